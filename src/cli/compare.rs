//! `wgrad compare`: several runs side by side.

mod differences;

use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use serde_json::{Map, Value, json};
use wgrad::ModelFile;

use self::differences::{ABSENT, Difference, differences};
use super::args::CompareArgs;
use super::failure::Failure;
use super::figure::{Figure, Line, Panel};
use super::files::write_whole;
use super::page::Page;
use super::page::curves::curves;
use super::results::percent;
use super::run_folder::{MODEL, PLAN};
use super::run_record::{LR, OfEpoch, RunRecord, SCORE, TRAIN_LOSS, VALIDATION_LOSS, epoch_panel};
use super::stdout;
use super::table::Table;
use super::talk::{Talk, count, duration, printable, significant};

pub(crate) fn compare(args: &CompareArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    if let Some(path) = &args.picture {
        kind_of(path)?;
    }
    // Damaged folders don't keep the others from being compared.
    let mut problems = Vec::new();
    let mut runs = Vec::new();
    // A sweep's own files lie beside its trials.
    let of_sweep = |path: &&PathBuf| path.is_file() && path.with_file_name(PLAN).is_file();
    for folder in args.runs.iter().filter(|path| !of_sweep(path)) {
        match RunRecord::read(folder).map(Run::new) {
            Ok(run) => runs.push(run),
            Err(failure) => problems.extend(failure.message().map(printable)),
        }
    }
    if runs.is_empty() && problems.is_empty() {
        return Err(Failure::input("none of these is a run: a sweep's trials are its folders"));
    }
    if !runs.is_empty() {
        let configs: Vec<_> = runs.iter().map(|run| &run.record.config).collect();
        let comparison = Comparison { differences: differences(&configs)?, runs };
        if let Some(path) = &args.picture {
            let text = match kind_of(path)? {
                Kind::Page => comparison.page(),
                Kind::Picture => comparison.figure().svg()?,
            };
            write_whole(path, text.as_bytes())?;
            talk.line(format_args!("comparison in {}", path.display()));
        }
        let text = match args.output.json {
            true => comparison.json(&problems),
            false => printable(&comparison.text()),
        };
        stdout::print(text)?;
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::run(problems.join("\n"))),
    }
}

enum Kind {
    Page,
    Picture,
}

fn kind_of(path: &Path) -> Result<Kind, Failure> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html" | "htm") => Ok(Kind::Page),
        Some("svg") => Ok(Kind::Picture),
        _ => Err(Failure::input(format!(
            "--output {}: a comparison is a page or a picture, so end the name in .html or .svg",
            path.display()
        ))),
    }
}

/// A run with what isn't among its lines.
struct Run {
    record: RunRecord,
    /// Of its model, if that is there.
    parameters: Option<usize>,
}

/// A quantity of one epoch.
struct At {
    value: f64,
    epoch: f64,
}

impl Run {
    fn new(record: RunRecord) -> Self {
        let model = ModelFile::load(&record.folder.join(MODEL)).ok();
        let plan = model.and_then(|model| Some(model.plan().ok()?.0));
        Self { parameters: plan.map(|plan| plan.parameters()), record }
    }

    fn last(&self, of: OfEpoch) -> Option<At> {
        self.record.curve(of).last().map(|&(epoch, value)| At { value, epoch })
    }

    /// The least of losses, the most of scores; of equal ones the first.
    fn best(&self, of: OfEpoch, is_loss: bool) -> Option<At> {
        let sign = if is_loss { 1.0 } else { -1.0 };
        let points = self.record.curve(of).into_iter();
        let best = points.min_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
        best.map(|(epoch, value)| At { value, epoch })
    }

    fn score(&self, value: f64) -> String {
        if self.record.score == "accuracy" { percent(value) } else { format!("{value:.4}") }
    }

    fn epochs(&self) -> u64 {
        self.record.epochs.last().map_or(0, |epoch| epoch.epoch)
    }

    /// The score that was told at its end.
    fn test_score(&self) -> Option<f64> {
        self.record.result("test_accuracy").or_else(|| self.record.result("test_r2"))
    }

    /// How it ended, in a word or two.
    fn outcome(&self) -> &str {
        let run = &self.record.config.run;
        if run.diverged() { "diverged" } else { &run.outcome }
    }

    fn cells(&self) -> Vec<String> {
        let or_absent = |text: Option<String>| text.unwrap_or_else(|| ABSENT.into());
        let loss = |at: Option<At>| or_absent(at.map(|at| significant(at.value)));
        let best = |at: Option<At>, told: &dyn Fn(f64) -> String| {
            or_absent(at.map(|at| format!("{} ({})", told(at.value), at.epoch)))
        };
        vec![
            self.record.name(),
            self.outcome().into(),
            or_absent(self.test_score().map(|score| self.score(score))),
            best(self.best(SCORE, false), &|score| self.score(score)),
            or_absent(self.last(SCORE).map(|at| self.score(at.value))),
            best(self.best(VALIDATION_LOSS, true), &significant),
            loss(self.last(VALIDATION_LOSS)),
            loss(self.last(TRAIN_LOSS)),
            HumanCount(self.epochs()).to_string(),
            duration(self.record.seconds()),
            or_absent(self.parameters.map(|n| HumanCount(n as u64).to_string())),
        ]
    }

    fn json(&self, index: usize, differences: &[Difference]) -> Value {
        let at = |at: Option<At>| at.map(|at| json!({ "value": at.value, "epoch": at.epoch }));
        let series = |of: OfEpoch, is_loss: bool| json!({ "best": at(self.best(of, is_loss)), "last": at(self.last(of)) });
        let settings: Map<String, Value> = differences
            .iter()
            .map(|difference| (difference.key.clone(), json!(difference.values[index])))
            .collect();
        json!({
            "run": self.record.folder.display().to_string(),
            "outcome": self.record.config.run.outcome,
            "epochs": self.epochs(),
            "steps": self.record.epochs.last().map_or(0, |epoch| epoch.step),
            "seconds": self.record.seconds(),
            "parameters": self.parameters,
            "score": self.record.score,
            "test_score": self.test_score(),
            "test_loss": self.record.result("test_loss"),
            "validation_score": series(SCORE, false),
            "validation_loss": series(VALIDATION_LOSS, true),
            "train_loss": series(TRAIN_LOSS, true),
            "differs": settings,
        })
    }
}

struct Comparison {
    runs: Vec<Run>,
    differences: Vec<Difference>,
}

impl Comparison {
    const HEAD: [&'static str; 11] = [
        "run",
        "outcome",
        "test score",
        "best score (epoch)",
        "last score",
        "best loss (epoch)",
        "last loss",
        "train loss",
        "epochs",
        "time",
        "parameters",
    ];

    /// The runs' names above what differs.
    fn settings(&self) -> Table {
        let names = self.runs.iter().map(|run| run.record.name());
        let head = std::iter::once(String::new()).chain(names).collect();
        let rows = self.differences.iter();
        let row = |of: &Difference| [vec![of.key.clone()], of.values.clone()].concat();
        Table { head, rows: rows.map(row).collect() }
    }

    fn text(&self) -> String {
        let mut table = Table::new(&Self::HEAD);
        self.runs.iter().for_each(|run| table.row(run.cells()));
        let mut text = table.text();
        text += "\nScores and losses are of the validation rows but for the test score and the train loss.\n\n";
        text += &match self.differences.is_empty() {
            true => "configurations: the same\n".into(),
            false => self.settings().text(),
        };
        text
    }

    fn json(&self, problems: &[String]) -> String {
        let runs: Vec<Value> =
            self.runs.iter().enumerate().map(|(k, run)| run.json(k, &self.differences)).collect();
        format!("{}\n", json!({ "runs": runs, "problems": problems }))
    }

    /// The curves, those of all runs in each panel. Accuracy and R² have panels of their own.
    fn panels(&self) -> Vec<Panel> {
        let panel = |title: &str, y, of, is_loss, score: Option<&str>| {
            let runs = self.runs.iter().enumerate();
            let runs = runs.filter(|(_, run)| score.is_none_or(|score| run.record.score == score));
            let lines = runs.map(|(k, run)| Line::new(run.record.name(), k, run.record.curve(of)));
            let lines: Vec<Line> = lines.filter(|line| !line.points.is_empty()).collect();
            (!lines.is_empty()).then(|| epoch_panel(title, y, lines, is_loss))
        };
        let panels = [
            panel("Validation loss", "loss", VALIDATION_LOSS, true, None),
            panel("Training loss", "loss", TRAIN_LOSS, true, None),
            panel("Validation accuracy", "accuracy", SCORE, false, Some("accuracy")),
            panel("Validation R²", "R²", SCORE, false, Some("R²")),
            panel("Learning rate", "learning rate", LR, false, None),
        ];
        panels.into_iter().flatten().collect()
    }

    fn title(&self) -> String {
        format!("Comparison of {}", count(self.runs.len(), "run"))
    }

    fn figure(&self) -> Figure {
        Figure { title: self.title(), panels: self.panels() }
    }

    fn page(&self) -> String {
        let folders: Vec<_> =
            self.runs.iter().map(|run| run.record.folder.display().to_string()).collect();
        let mut page = Page::new(&self.title(), &folders.join(" · "));
        page.section("Results");
        let rows: Vec<_> =
            self.runs.iter().enumerate().map(|(k, run)| (Some(k), run.cells())).collect();
        page.table(2, &Self::HEAD, &rows);
        page.note(
            "Scores and losses are of the validation rows but for the test score and the train loss.",
        );
        page.section("Curves");
        page.pictures(&self.panels().iter().map(curves).collect::<Vec<_>>(), "");
        page.section("What differs");
        if self.differences.is_empty() {
            page.note("The configurations are the same.");
        } else {
            let Table { head, rows } = self.settings();
            let head: Vec<&str> = head.iter().map(String::as_str).collect();
            let rows: Vec<_> = rows.into_iter().map(|cells| (None, cells)).collect();
            page.table(head.len(), &head, &rows);
        }
        page.html()
    }
}
