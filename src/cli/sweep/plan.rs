//! What a sweep is to do: its trials, how far they go, and the folder that holds them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use wgrad::data::Table;

use super::file::SweepFile;
use super::rungs::{self, Rung};
use super::space::{self, Axis};
use super::trial::Trial;
use crate::cli::args::{SweepArgs, SweepTable, TrainArgs};
use crate::cli::choices::{StopOn, SweepMethod};
use crate::cli::failure::Failure;
use crate::cli::files::{PARTIAL, write_whole};
use crate::cli::lock::{LOCK, Lock};
use crate::cli::prepare::fingerprint;
use crate::cli::run_folder::{PLAN, is_plain};
use crate::cli::table::Table as Text;
use crate::cli::talk::count;

/// Trials that are drawn where nothing else is said.
const TRIALS: usize = 20;
/// Of each rung one in so many goes on.
const FACTOR: usize = 3;
/// Keys that change what the loss is.
const LOSS_KEYS: [&str; 4] = ["loss", "label-smoothing", "class-weights", "scaling"];

pub(super) struct Sweep {
    file: PathBuf,
    pub folder: PathBuf,
    pub axes: Vec<Axis>,
    pub trials: Vec<Trial>,
    pub metric: StopOn,
    /// The words of keys with one value.
    fixed: Vec<String>,
    method: SweepMethod,
    /// Epochs of halving's first rung, and how one leads to the next.
    min_epochs: u64,
    factor: usize,
}

impl Sweep {
    /// Checks all that can be checked without the data.
    pub(super) fn new(args: &SweepArgs) -> Result<Self, Failure> {
        let SweepFile { fixed, axes, table } = SweepFile::read(&args.file)?;
        let sweep = Self::of(args, fixed, axes, args.table.clone().or(table));
        sweep.map_err(|failure| failure.of_file(&args.file))
    }

    fn of(
        args: &SweepArgs,
        mut fixed: Vec<String>,
        axes: Vec<Axis>,
        table: SweepTable,
    ) -> Result<Self, Failure> {
        let method = table.method.unwrap_or(SweepMethod::Grid);
        let metric = table.metric.unwrap_or(StopOn::Loss);
        check_table(&table, method)?;
        check_axes(&axes, method, metric)?;
        if let Some(device) = &args.device {
            fixed.retain(|word| !word.starts_with("--device="));
            fixed.push(format!("--device={device}"));
        }
        let most = space::combinations(&axes).unwrap_or(TRIALS);
        let trials = table.trials.unwrap_or(TRIALS.min(most));
        let values = match method {
            SweepMethod::Grid => space::grid(&axes)?,
            _ => space::draw(&axes, trials, table.seed.unwrap_or(0))?,
        };
        let mut trials = Trial::all(&fixed, values)?;
        trials.iter().try_for_each(|trial| trial.config().map(drop))?;
        let folder = folder(args, trials[0].args())?;
        trials.iter_mut().for_each(|trial| trial.folder = folder.join(&trial.name));
        Ok(Self {
            file: args.file.clone(),
            folder,
            axes,
            trials,
            metric,
            fixed,
            method,
            min_epochs: table.min_epochs.unwrap_or(1),
            factor: table.factor.unwrap_or(FACTOR),
        })
    }

    /// How far trials go. Each is looked at with the data before any begins.
    pub(super) fn rungs(&self, table: &Table) -> Result<Vec<Rung>, Failure> {
        let mut encoded = None;
        let epochs = self.trials.iter().map(|trial| trial.check(table, self.metric, &mut encoded));
        let epochs = epochs.collect::<Result<Vec<_>, Failure>>()?;
        let epochs = epochs.into_iter().max().unwrap_or(1);
        let trials = self.trials.len();
        match self.method {
            SweepMethod::Halving => rungs::halving(trials, self.min_epochs, epochs, self.factor),
            SweepMethod::Grid | SweepMethod::Random => Ok(rungs::whole(trials, epochs)),
        }
    }

    /// Makes the folder, or sees that it is the same sweep's, and keeps others out of it.
    pub(super) fn claim(&self, rungs: &[Rung], table: &Table) -> Result<Lock, Failure> {
        let (plan, path) = (self.plan(rungs, table), self.folder.join(PLAN));
        let folder = self.folder.display();
        if self.is_foreign() {
            return Err(Failure::input(format!(
                "{folder} is there already, and no sweep's folder (take another --name)"
            )));
        }
        std::fs::create_dir_all(&self.folder).map_err(Failure::folder(&self.folder))?;
        let lock = Lock::take(&self.folder, "take another --name")?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                write_whole(&path, format!("{plan:#}\n").as_bytes())?;
                return Ok(lock);
            }
            Err(error) => return Err(Failure::input(format!("{}: {error}", path.display()))),
        };
        let then: Json = serde_json::from_str(&text).map_err(|error| {
            Failure::input(format!(
                "{}: {error}, so it can't be told what the sweep was (delete {folder}, or take another \
                 --name)",
                path.display()
            ))
        })?;
        let parts = [
            ("table", "another table"),
            ("method", "another method"),
            ("metric", "another metric"),
            ("keys", "other keys"),
            ("trials", "other trials"),
            ("rungs", "other rungs"),
            ("flags", "other flags"),
        ];
        match parts.into_iter().find(|(part, _)| then[part] != plan[part]) {
            None => Ok(lock),
            Some((_, part)) => Err(Failure::input(format!(
                "{folder} holds a sweep with {part} than {} and its table say now (take another --name, or \
                 delete the folder)",
                self.file.display()
            ))),
        }
    }

    /// Whether something else is where the folder is to be.
    fn is_foreign(&self) -> bool {
        // Killed while it was made, a sweep's holds nothing but these.
        let is_begun = |name: &str| name == LOCK || name.ends_with(PARTIAL);
        let entries = std::fs::read_dir(&self.folder);
        let others = entries.is_ok_and(|entries| {
            entries.flatten().any(|entry| !entry.file_name().to_str().is_some_and(is_begun))
        });
        self.folder.is_file() || others && !self.folder.join(PLAN).exists()
    }

    fn plan(&self, rungs: &[Rung], table: &Table) -> Json {
        json!({
            "table": [table.source_name(), &fingerprint(table)],
            "method": self.method.to_string(),
            "metric": self.metric.to_string(),
            "keys": self.axes.iter().map(|axis| &axis.key).collect::<Vec<_>>(),
            "trials": self.trials.iter().map(Trial::shown).collect::<Vec<_>>(),
            "rungs": rungs.iter().map(|rung| (rung.trials, rung.epochs)).collect::<Vec<_>>(),
            "flags": self.fixed,
        })
    }

    /// In a line.
    pub(super) fn description(&self, rungs: &[Rung]) -> String {
        let keys: Vec<&str> = self.axes.iter().map(|axis| &*axis.key).collect();
        let trials = count(self.trials.len(), "trial");
        let epochs = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "epoch");
        let rung = |rung: &Rung| format!("{} for {}", rung.trials, epochs(rung.epochs));
        let rungs = match rungs {
            [_] => String::new(),
            rungs => format!(": {}", rungs.iter().map(rung).collect::<Vec<_>>().join(", ")),
        };
        format!("{} of {}, {trials}{rungs}", self.method, keys.join(", "))
    }

    /// The trials, without what comes of them.
    pub(super) fn list(&self, rungs: &[Rung], json: bool) -> String {
        let keys = self.axes.iter().map(|axis| axis.key.clone());
        let head = std::iter::once("trial".to_owned()).chain(keys).collect();
        let row = |trial: &Trial| [vec![trial.name.clone()], trial.shown()].concat();
        let table = Text { head, rows: self.trials.iter().map(row).collect() };
        if json {
            return format!("{}\n", self.plan_json(rungs));
        }
        format!("{}\n{}\n", table.text(), self.description(rungs))
    }

    fn plan_json(&self, rungs: &[Rung]) -> Json {
        let trial =
            |trial: &Trial| json!({ "trial": trial.name, "settings": trial.settings(&self.axes) });
        json!({
            "method": self.method.to_string(),
            "metric": self.metric.to_string(),
            "rungs": rungs
                .iter()
                .map(|rung| json!({ "trials": rung.trials, "epochs": rung.epochs }))
                .collect::<Vec<_>>(),
            "trials": self.trials.iter().map(trial).collect::<Vec<_>>(),
        })
    }
}

/// Refuses what the method doesn't read.
fn check_table(table: &SweepTable, method: SweepMethod) -> Result<(), Failure> {
    let read = table.clone().read_by(method);
    let idle = [
        ("trials", table.trials != read.trials, "random and halving"),
        ("seed", table.seed != read.seed, "random and halving"),
        ("factor", table.factor != read.factor, "halving"),
        ("min-epochs", table.min_epochs != read.min_epochs, "halving"),
    ];
    match idle.into_iter().find(|(_, idle, _)| *idle) {
        None => Ok(()),
        Some((key, _, of)) => Err(Failure::input(format!(
            "{key} is for the methods {of}, not {method}: leave it out, or take another method"
        ))),
    }
}

/// Refuses keys whose trials couldn't be ranked.
fn check_axes(axes: &[Axis], method: SweepMethod, metric: StopOn) -> Result<(), Failure> {
    if axes.is_empty() {
        return Err(Failure::input(
            "no key has many values, so there is nothing to sweep: give a list, as in lr = [0.01, 0.001] \
             or layers = [[64], [64, 64]], or a range, as in lr = { min = 1e-4, max = 0.1, log = true }",
        ));
    }
    let varies = |key: &str| axes.iter().any(|axis| axis.key == key);
    let of_loss = LOSS_KEYS.into_iter().find(|key| varies(key));
    if let Some(key) = of_loss.filter(|_| metric == StopOn::Loss) {
        return Err(Failure::input(format!(
            "{key} changes what the loss is, so that losses don't rank trials: set metric = \"score\""
        )));
    }
    if varies("epochs") && method == SweepMethod::Halving {
        return Err(Failure::input(
            "epochs is what halving divides: give it one value, that of the last rung",
        ));
    }
    Ok(())
}

/// The folder of a sweep with trials like this one.
fn folder(args: &SweepArgs, trial: &TrainArgs) -> Result<PathBuf, Failure> {
    let refuse = |problem: &str| Err(Failure::input(problem));
    if trial.source == "-" {
        return refuse(
            "a sweep that goes on reads its table again, so that can't be standard input",
        );
    }
    if trial.columns.folds.is_some() {
        return refuse("folds keeps no models, so there is nothing to rank: leave it out");
    }
    if trial.training.time_budget.is_some() {
        return refuse(
            "time-budget ends trials by the clock, so that a slow machine ranks them otherwise: leave it \
             out, and give fewer epochs or method = \"halving\"",
        );
    }
    if trial.columns.validation == 0.0 {
        return refuse(
            "a sweep ranks by the validation rows, but validation is 0: give a fraction",
        );
    }
    let stem = || args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.clone().or(trial.run.name.clone()).or_else(stem).unwrap_or_default();
    if !is_plain(&name) {
        return Err(Failure::input(format!(
            "--name {name:?} must be a plain folder name, without / \\ : * ? \" < > | (--runs chooses the \
             folder it lies in)"
        )));
    }
    let runs: &Path = args.runs.as_deref().unwrap_or(&trial.run.runs);
    Ok(runs.join(name))
}
