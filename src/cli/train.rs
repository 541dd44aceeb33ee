//! `wgrad train`: from the flags to a run's folder.

mod beginning;
mod folds;
mod summary;

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use wgrad::data::{Dataset, Schema};
use wgrad::{Checkpoint, Engine, EpochReport, Error, ModelFile, Trainer};

use self::beginning::Beginning;
use self::summary::Summary;
use super::args::TrainArgs;
use super::chart;
use super::config::Config;
use super::device::{Device, Job};
use super::failure::Failure;
use super::insights::{self, Insights};
use super::interrupt;
use super::prepare::Prepared;
use super::progress::Display;
use super::report::{self, Part, Scored};
use super::results::Results;
use super::run_folder::{CHART, CHECKPOINT, CONFIG, INSIGHTS, MODEL, RESULTS, RunFolder};
use super::talk::{Talk, printable};
use super::tensorboard::EventFile;

pub(crate) fn train(args: &TrainArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    if let Some(folds) = args.columns.folds {
        return folds::cross_validate(args, folds, talk).map_err(|failure| args.blame(failure));
    }
    let Beginning { mut config, folder, data, plan, checkpoint, initial } =
        Beginning::of(args, talk).map_err(|failure| args.blame(failure))?;
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
        initial,
        talk,
        json: args.output.json,
    };
    device.run(plan, rows, Training { run, train, validation })
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
    /// Parameters to begin with, where they are given.
    initial: Option<Vec<f32>>,
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
    /// `--time-budget` was spent.
    TimeUp,
    Diverged(Error),
}

impl Job for Training<'_> {
    type Output = ();

    fn run<E: Engine>(self, mut engine: E) -> Result<(), Failure> {
        let Self { run, train, validation } = self;
        if let Some(initial) = &run.initial {
            engine.set_parameters(initial)?;
        }
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
        let ended = match end {
            End::Interrupted => Some("interrupted"),
            End::TimeUp => Some("the time is up"),
            End::Complete | End::Diverged(_) => None,
        };
        if let Some(ended) = ended.filter(|_| written.is_ok()) {
            let folder = log.folder.path().display();
            run.talk.line(format_args!(
                "{ended}; the model is saved (to go on: wgrad train --resume {folder})"
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
            time_up: matches!(end, End::TimeUp),
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
        // The time of this process: a run that goes on has it once more.
        let budget = self.config.training.time_budget.map(|budget| (Instant::now(), budget.0));
        let time_up = || budget.is_some_and(|(begun, budget)| begun.elapsed() >= budget);
        let every = self.config.run.checkpoint_every;
        while trainer.epochs() < epochs {
            let most = every.map_or(u64::MAX, |every| every - trainer.steps() % every);
            let report = trainer.train_steps(most, |progress| {
                display.progress(progress);
                if let (Some(insights), Some(insight)) = (&mut log.insights, progress.insight) {
                    insights.add(insight);
                    log.events.iter_mut().for_each(|events| events.add_insight(insight));
                }
                if interrupt::interrupted() || time_up() {
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
            // Asked once, so that what is done and what is told agree.
            let end = match (interrupt::interrupted(), time_up()) {
                (true, _) => Some(End::Interrupted),
                (false, true) => Some(End::TimeUp),
                (false, false) => None,
            };
            if let Some(end) = end.filter(|_| trainer.epochs() < epochs) {
                self.keep(trainer, log)?;
                if report.is_none() {
                    let report = trainer.end_epoch()?;
                    log.add(report)?;
                    display.epoch(&report);
                }
                display.finish();
                return Ok(end);
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
            End::TimeUp => "out of time".into(),
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
