//! `wgrad train`: from the flags to a run's folder.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use serde_json::{Map, Value, json};
use wgrad::data::{Dataset, Schema};
use wgrad::{Checkpoint, Engine, EpochReport, Error, ModelFile, Plan, Trainer};

use super::args::TrainArgs;
use super::chart;
use super::config::Config;
use super::device::{Device, Job};
use super::failure::Failure;
use super::insights::{self, Insights};
use super::interrupt;
use super::prepare::Prepared;
use super::progress::{Display, rate};
use super::report::{self, Part, Scored};
use super::results::{Results, score_entry};
use super::run_folder::{self, CHART, CHECKPOINT, CONFIG, INSIGHTS, MODEL, RESULTS, RunFolder};
use super::talk::{Talk, count, duration, printable};
use super::tensorboard::EventFile;
use super::values::Widths;

pub(crate) fn train(args: &TrainArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    let (mut config, folder, data, checkpoint) = match &args.resume {
        None => {
            let mut config = Config::new(args)?;
            let folder = run_folder::choose(&args.run.runs, args.run.name.as_deref(), &args.data)?;
            let data = Prepared::new(args, &mut config, talk)?;
            (config, folder, data, None)
        }
        Some(folder) => {
            let (mut config, checkpoint) = unfinished(folder)?;
            let data = Prepared::again(&mut config, talk)?;
            (config, folder.clone(), data, Some(checkpoint))
        }
    };
    let plan =
        Plan::new(&config.mlp(&data.schema), &config.train_options()).map_err(
            |error| match &error {
                Error::Limit { .. } => {
                    let layers = Widths(config.net.layers.clone());
                    Failure::input(format!("--layers {layers}: {error}"))
                }
                _ => error.into(),
            },
        )?;
    let device = Device::open(&config.run.device, talk)?;
    config.run.engine = device.engine().into();
    config.run.device_name = device.name();

    talk.line(format_args!("device  {}", device.description()));
    talk.line(format_args!("data    {}", data.description));
    talk.line(format_args!("memory  {}\n", data.memory));
    talk.line(&data.columns);
    talk.line(&plan);

    let Prepared { rows, schema, train, validation, test, .. } = data;
    let validates = validation.is_some();
    let reported = match (test, &validation) {
        (Some(test), _) => Some((Part::Test, test)),
        (None, Some(validation)) => {
            Some((Part::Validation, report::some_rows(validation, config.training.seed)?))
        }
        (None, None) => None,
    };
    let run = Run {
        config: &config,
        schema,
        train_rows: train.rows() as u64,
        validates,
        reported,
        reports: !args.run.no_report,
        folder,
        checkpoint,
        talk,
        json: args.output.json,
    };
    device.run(plan, rows, Training { run, train, validation })
}

/// How a run that didn't end was made, and how far it came.
fn unfinished(folder: &Path) -> Result<(Config, Checkpoint), Failure> {
    let refuse =
        |problem: &str| Err(Failure::input(format!("--resume {}: {problem}", folder.display())));
    if !folder.join(CONFIG).exists() {
        return refuse("no run's folder (it has no config.toml)");
    }
    let mut config = Config::load(&folder.join(CONFIG))?;
    if !folder.join(CHECKPOINT).exists() {
        return refuse(match config.run.outcome.as_str() {
            "complete" => "the run is complete, so there is nothing to go on with",
            _ => "there is no checkpoint to go on from (train with --checkpoint-every)",
        });
    }
    let checkpoint = Checkpoint::load(&folder.join(CHECKPOINT)).map_err(Failure::input)?;
    config.run.outcome = "unfinished".into();
    Ok((config, checkpoint))
}

/// Everything a run needs but the engine, and the rows that the engine has a copy of.
struct Run<'a> {
    config: &'a Config,
    schema: Schema,
    train_rows: u64,
    validates: bool,
    /// The rows that the net is scored on in the end: the test rows, else some of the validation rows.
    reported: Option<(Part, Dataset)>,
    /// Whether a report is wanted.
    reports: bool,
    folder: PathBuf,
    /// Where it goes on from, if it was begun before.
    checkpoint: Option<Checkpoint>,
    talk: Talk,
    json: bool,
}

/// A run with the rows that it learns from.
struct Training<'a> {
    run: Run<'a>,
    train: Dataset,
    validation: Option<Dataset>,
}

/// How the epochs came to an end.
enum End {
    Complete,
    Interrupted,
    Diverged(Error),
}

impl Job for Training<'_> {
    type Output = ();

    fn run<E: Engine>(self, engine: E) -> Result<(), Failure> {
        let Self { run, train, validation } = self;
        let mut trainer = Trainer::new(engine, &train, validation.as_ref())?;
        // The engine has them now.
        drop((train, validation));
        // From here on flags and data are known to be good.
        let mut log = run.log(&mut trainer)?;
        log.folder.write(CONFIG, &run.config.to_toml()?)?;
        interrupt::watch()?;

        let end = run.epochs(&mut trainer, &mut log)?;
        // Scores are told even if a full disk keeps the rest from being written.
        let written = run.leave(&mut trainer, &log, &end);
        let diverged = match &end {
            End::Diverged(error) => Some(error.to_string()),
            _ => None,
        };
        if matches!(end, End::Interrupted) && written.is_ok() {
            let folder = log.folder.path().display();
            run.talk.line(format_args!(
                "interrupted; the model is saved (to go on: wgrad train --resume {folder})"
            ));
        }
        // With the weights that were saved: their average, where one is kept.
        trainer.engine_mut().swap_average();
        let test = match &run.reported {
            Some((Part::Test, test)) if diverged.is_none() => Some(test),
            _ => None,
        };
        let results =
            test.map(|test| Results::of(trainer.engine_mut(), &run.schema, test)).transpose()?;
        let summary = Summary {
            config: run.config,
            folder: &log.folder,
            history: &log.history,
            results,
            interrupted: matches!(end, End::Interrupted),
            diverged: diverged.as_deref(),
            steps: trainer.steps(),
        };
        run.talk.line("");
        let text = match (run.json, &diverged) {
            (true, _) => summary.json(),
            (false, None) => printable(&summary.text()),
            (false, Some(_)) => String::new(),
        };
        let mut out = std::io::stdout();
        let told = out.write_all(text.as_bytes()).map_err(Failure::write("standard output"));
        let page = log
            .folder
            .write(RESULTS, &summary.json())
            .and_then(|()| run.report(trainer.engine_mut(), log.folder.path(), summary.results));
        if let Some(problem) = page.err().as_ref().and_then(Failure::message) {
            run.talk.line(format_args!("warning: {problem}"));
        }
        told?;
        written?;
        match diverged {
            Some(error) => Err(Failure::run(format!(
                "{error}; the parameters from before that epoch are in {}",
                log.folder.file(MODEL).display()
            ))),
            None => Ok(()),
        }
    }
}

/// What is written while the epochs go by.
struct Log {
    folder: RunFolder,
    insights: Option<Insights>,
    events: Option<EventFile>,
    history: Vec<EpochReport>,
}

impl Log {
    fn add(&mut self, report: EpochReport) -> Result<(), Failure> {
        let mut more: &[f64] = &[];
        let summary;
        if let Some(insights) = &mut self.insights {
            insights.check()?;
            summary = insights.summary().unwrap_or([f64::NAN; 4]);
            more = &summary;
        }
        self.folder.add_epoch(&report, more)?;
        if let Some(events) = &mut self.events {
            events.add_epoch(&report);
            events.check()?;
        }
        self.history.push(report);
        Ok(())
    }
}

impl Run<'_> {
    /// The folder of a new run, or that of one that goes on, and the trainer where it was.
    fn log<E: Engine>(&self, trainer: &mut Trainer<E>) -> Result<Log, Failure> {
        let measures = self.config.run.insight_every.is_some();
        let path = self.folder.clone();
        let events = |folder: &Path, from| {
            self.config.run.tensorboard.then(|| EventFile::create(folder, from)).transpose()
        };
        let Some(checkpoint) = &self.checkpoint else {
            let classification = trainer.engine().plan().options().loss.is_classification();
            let score = if classification { "accuracy" } else { "r2" };
            let more: &[&str] = if measures { &insights::METRICS } else { &[] };
            let folder = RunFolder::create(path, score, more)?;
            let insights = measures.then(|| Insights::create(folder.path())).transpose()?;
            let events = events(folder.path(), 1)?;
            return Ok(Log { folder, insights, events, history: Vec::new() });
        };
        trainer.resume(checkpoint).map_err(Failure::input)?;
        let (steps, epochs) = (checkpoint.steps(), checkpoint.epochs());
        self.talk.line(format_args!("going on after step {steps}, in epoch {}\n", epochs + 1));
        let (folder, history) = RunFolder::reopen(path, epochs)?;
        let insights = measures.then(|| Insights::reopen(folder.path(), steps)).transpose()?;
        let events = events(folder.path(), steps + 1)?;
        Ok(Log { folder, insights, events, history })
    }

    /// Writes what the run goes on from if it is stopped here.
    fn keep<E: Engine>(&self, trainer: &mut Trainer<E>, log: &Log) -> Result<(), Failure> {
        Ok(trainer.checkpoint()?.save(&log.folder.file(CHECKPOINT))?)
    }

    fn epochs<E: Engine>(&self, trainer: &mut Trainer<E>, log: &mut Log) -> Result<End, Failure> {
        let options = trainer.engine().plan().options();
        let score = if options.loss.is_classification() { "accuracy" } else { "R²" };
        let score = self.validates.then_some(score);
        let epochs = options.epochs;
        let mut display = Display::new(self.talk, epochs, self.train_rows, score);
        display.start();
        let every = self.config.run.checkpoint_every;
        while trainer.epochs() < epochs {
            let most = every.map_or(u64::MAX, |every| every - trainer.steps() % every);
            let report = trainer.train_steps(most, |progress| {
                display.progress(progress);
                if let (Some(insights), Some(insight)) = (&mut log.insights, progress.insight) {
                    insights.add(insight);
                    log.events.iter_mut().for_each(|events| events.add_insight(insight));
                }
                if interrupt::interrupted() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let report = match report {
                Ok(report) => report,
                Err(error @ Error::Diverged { .. }) => {
                    display.finish();
                    return Ok(End::Diverged(error));
                }
                Err(error) => return Err(error.into()),
            };
            let stop = report.is_some_and(|report| report.stop);
            if let Some(report) = report {
                log.add(report)?;
                display.epoch(&report);
            }
            if stop {
                break;
            }
            if interrupt::interrupted() && trainer.epochs() < epochs {
                self.keep(trainer, log)?;
                if report.is_none() {
                    let report = trainer.end_epoch()?;
                    log.add(report)?;
                    display.epoch(&report);
                }
                display.finish();
                return Ok(End::Interrupted);
            }
            if every.is_some_and(|every| trainer.steps().is_multiple_of(every)) {
                self.keep(trainer, log)?;
            }
        }
        display.finish();
        Ok(End::Complete)
    }

    /// Writes the model, the pictures and how it ended.
    fn leave<E: Engine>(
        &self,
        trainer: &mut Trainer<E>,
        log: &Log,
        end: &End,
    ) -> Result<(), Failure> {
        let Log { folder, insights, history, .. } = log;
        self.save(trainer, folder)?;
        let title = format!("{} · {}", folder_name(folder), trainer.engine().plan().mlp());
        if !history.is_empty() {
            folder.write(CHART, &chart::svg(&title, history)?)?;
        }
        let svg = insights.as_ref().map(|insights| insights.svg(&title)).transpose()?.flatten();
        if let Some(svg) = svg {
            folder.write(INSIGHTS, &svg)?;
        }
        let mut config = self.config.clone();
        config.run.outcome = match end {
            End::Complete => "complete".into(),
            End::Interrupted => "interrupted".into(),
            End::Diverged(error) => error.to_string(),
        };
        folder.write(CONFIG, &config.to_toml()?)?;
        if matches!(end, End::Complete) {
            // There is nothing left to go on with. Killed before this, the run would do its end again.
            let _ = std::fs::remove_file(folder.file(CHECKPOINT));
        }
        Ok(())
    }

    /// Writes the page with all that there is to see. What the net says of rows may be known.
    fn report<E: Engine>(
        &self,
        engine: &mut E,
        folder: &Path,
        results: Option<Results>,
    ) -> Result<(), Failure> {
        if !self.reports {
            return Ok(());
        }
        let scored = self.reported.as_ref().map(|(part, data)| {
            let seed = self.config.training.seed;
            Scored::of(engine, &self.schema, (*part, data), results, seed)
        });
        let path = report::write(folder, &self.schema, &scored.transpose())?;
        self.talk.line(format_args!("{:15}{}", "report", path.display()));
        Ok(())
    }

    fn save<E: Engine>(&self, trainer: &mut Trainer<E>, folder: &RunFolder) -> Result<(), Failure> {
        let parameters = trainer.parameters()?;
        if parameters.iter().any(|w| !w.is_finite()) {
            return Err(Failure::run(format!(
                "training diverged: after step {} some parameters are no longer finite, so there \
                 is no model to save (lower the learning rate, or scale the inputs)",
                trainer.steps()
            )));
        }
        let schema = self.schema.clone();
        ModelFile::new(trainer.engine().plan(), parameters, Some(schema))?
            .save(&folder.file(MODEL))?;
        Ok(())
    }
}

fn folder_name(folder: &RunFolder) -> String {
    folder.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What is told at the end.
struct Summary<'a> {
    config: &'a Config,
    folder: &'a RunFolder,
    history: &'a [EpochReport],
    /// On the test rows, if there are any.
    results: Option<Results>,
    interrupted: bool,
    /// Why training went wrong, if it did.
    diverged: Option<&'a str>,
    steps: u64,
}

impl Summary<'_> {
    /// Rows trained on, and the seconds that took, validation included.
    fn trained(&self) -> (u64, f64) {
        let rows = self.history.iter().map(|report| report.train.rows).sum();
        (rows, self.history.iter().map(|report| report.seconds).sum())
    }

    fn text(&self) -> String {
        let results = match &self.results {
            Some(results) => results.text(),
            None => "no rows to test on (--test 0)\n".into(),
        };
        let (rows, seconds) = self.trained();
        let asked = self.config.training.epochs;
        let epochs = match self.history.last() {
            Some(last) if self.interrupted => {
                format!("until interrupted in epoch {} of {asked}", last.epoch)
            }
            _ if self.interrupted => "not at all (interrupted)".into(),
            Some(last) if last.stop => {
                let best = last.best_epoch.unwrap_or(last.epoch);
                format!("{} of {asked}, stopped early; the best was epoch {best}", last.epoch)
            }
            Some(EpochReport { restored: true, best_epoch: Some(best), .. }) => {
                format!("{}; the best was epoch {best}", count_epochs(asked))
            }
            _ => count_epochs(asked),
        };
        format!(
            "{results}\n{:15}{epochs}, {} steps in {} ({} samples/s) on {}\n{:15}{}\n",
            "trained",
            HumanCount(self.steps),
            duration(seconds),
            HumanCount(rate(rows, seconds)),
            self.config.run.device_name,
            "run",
            self.folder.path().display()
        )
    }

    fn json(&self) -> String {
        let mut object = self.results.as_ref().map_or_else(Map::new, Results::json);
        if self.results.is_none() {
            object.insert("test_loss".into(), Value::Null);
        }
        if let Some(last) = self.history.last() {
            object.insert("train_loss".into(), json!(last.train.loss()));
            if let Some(validation) = last.validation {
                object.insert("validation_loss".into(), json!(validation.loss));
                let (name, score) = score_entry("validation", validation.score);
                object.insert(name, score);
            }
        }
        let (rows, seconds) = self.trained();
        let run = &self.config.run;
        let entries = [
            ("epochs", json!(self.history.iter().filter(|report| !report.interrupted).count())),
            ("best_epoch", json!(self.history.last().and_then(|report| report.best_epoch))),
            ("steps", json!(self.steps)),
            ("train_seconds", json!(seconds)),
            ("samples_per_s", json!(rate(rows, seconds))),
            ("engine", json!(run.engine)),
            ("device", json!(run.device_name)),
            ("seed", json!(self.config.training.seed)),
            ("interrupted", json!(self.interrupted)),
            ("diverged", json!(self.diverged)),
            ("run", json!(self.folder.path())),
        ];
        object.extend(entries.map(|(name, value)| (name.to_owned(), value)));
        format!("{}\n", Value::Object(object))
    }
}

fn count_epochs(epochs: u64) -> String {
    usize::try_from(epochs).map_or_else(|_| format!("{epochs} epochs"), |n| count(n, "epoch"))
}
