//! `wgrad train`: from the flags to a run's folder.

mod beginning;
mod epochs;
mod folds;
mod history;
mod leaving;
mod log;
mod standing;
mod summary;
mod tune;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use wgrad::data::{Dataset, Schema};
use wgrad::{Checkpoint, Engine, EpochReport, Error, Trainer};

pub(super) use self::beginning::Beginning;
use self::history::History;
use self::log::Log;
use self::standing::Standing;
use self::summary::Summary;
use self::tune::Tuned;
use super::args::TrainArgs;
use super::config::Config;
use super::device::{Device, Job};
use super::failure::Failure;
use super::insights::{self, Insights};
use super::interrupt;
use super::prepare::Prepared;
use super::report::{self, Part};
use super::results::Results;
use super::run_folder::{CHECKPOINT, CONFIG, MODEL, RESULTS, RunFolder, TUNING};
use super::stdout;
use super::talk::{Talk, printable};
use super::tensorboard::EventFile;

pub(crate) fn train(args: &TrainArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    if let Some(folds) = args.columns.folds {
        return folds::cross_validate(args, folds, talk).map_err(|failure| args.blame(failure));
    }
    let beginning = Beginning::of(args, talk).map_err(|failure| args.blame(failure))?;
    let mut device = Device::open(&beginning.config.run.device, talk)?;
    device.check_precision(beginning.config.training.precision, talk)?;
    let data = &beginning.data;

    talk.line(format_args!("device  {}", device.description()));
    talk.line(format_args!("data    {}", data.description));
    talk.line(format_args!("memory  {}\n", data.memory));
    talk.line(&data.columns);
    talk.line(&beginning.plan);
    let validates = data.validation.is_some();
    let doubts = beginning.config.doubts(&data.schema, &data.train, validates);
    for doubt in data.doubts.iter().chain(&doubts) {
        talk.line(format_args!("warning: {doubt}"));
    }

    let manner = Manner {
        talk,
        told: if args.output.json { Told::Json } else { Told::Text },
        reports: !(args.run.no_report || beginning.config.run.no_report),
        from: args.config.as_deref(),
        until: None,
        on_epoch: &|_| {},
    };
    run(beginning, &mut device, manner)
}

/// How a run is told, and how far it goes.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    pub talk: Talk,
    /// What is printed at its end.
    pub told: Told,
    /// Whether a report is wanted.
    pub reports: bool,
    /// The file that it is made from, if it is.
    pub from: Option<&'a Path>,
    /// The epoch behind which it pauses, if it comes so far: with a checkpoint, from which it goes on to
    /// the same bits as if it hadn't.
    pub until: Option<u64>,
    /// Called for each epoch.
    pub on_epoch: &'a dyn Fn(&EpochReport),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Text,
    Json,
    Nothing,
}

/// Trains, and leaves the run's folder.
pub(super) fn run(
    beginning: Beginning,
    device: &mut Device,
    manner: Manner,
) -> Result<(), Failure> {
    let Beginning { folder, is_named, plan, checkpoint, goes_back, initial, lock: _lock, .. } =
        beginning;
    let (mut config, data) = (beginning.config, beginning.data);
    let talk = manner.talk;
    config.run.engine = device.engine().into();
    config.run.device_name = device.name();
    let tuned = match &checkpoint {
        Some(_) => None,
        None => Tuned::of_run(config.run.tune, manner.from, device, &plan, talk)?,
    };
    let resumed = checkpoint.as_ref().map(|checkpoint| checkpoint.tuning().clone());
    let tuning = resumed.or(tuned.as_ref().map(|tuned| tuned.tuning.clone())).unwrap_or_default();
    let Prepared { rows, schema, train, validation, test, .. } = data;
    let validates = validation.is_some();
    let reported = match (test, &validation) {
        (Some(test), _) => Some((Part::Test, test)),
        (None, Some(validation)) => {
            let seed = config.training.seed;
            Some((Part::Validation, report::some_rows(validation, report::MOST_ROWS, seed)?))
        }
        (None, None) => None,
    };
    let run = Run {
        config: &config,
        schema,
        train_rows: train.rows() as u64,
        validates,
        reported,
        folder,
        is_named,
        goes_back,
        initial,
        tuning: tuned,
        manner,
        talk,
    };
    let mut standing = Standing::new(checkpoint, device);
    interrupt::watch()?;
    let mut learnt = Rc::new(Learnt { train, validation });
    loop {
        // Where the engine can't go away, the rows go when it has its copy.
        let kept = matches!(*device, Device::Gpu(_)).then(|| Rc::clone(&learnt));
        let training = Training { run: &run, standing: &mut standing, device, rows: learnt };
        let result = device.run_tuned(plan.clone(), rows, &tuning, training);
        let (Err(Failure::Lost(reason)), Some(kept)) = (&result, kept) else { return result };
        let next = standing.lost(reason).and_then(|steps| {
            let another = Device::open_patiently(&config.run.device, talk)?;
            Ok((steps, another))
        });
        let (steps, another) = next.map_err(|failure| standing.rescue(failure))?;
        *device = another;
        talk.line(format_args!(
            "warning: {reason}; going on behind step {steps} on {}",
            device.description()
        ));
        learnt = kept;
    }
}

/// Everything a run needs but the engine, and the rows that the engine has a copy of.
struct Run<'a> {
    config: &'a Config,
    schema: Schema,
    train_rows: u64,
    validates: bool,
    /// The rows that the net is scored on in the end: the test rows, else some of the validation rows.
    reported: Option<(Part, Dataset)>,
    folder: PathBuf,
    /// Whether the folder's name was given.
    is_named: bool,
    /// Whether the checkpoint that it goes on from may be older than the folder's newest.
    goes_back: bool,
    /// Parameters to begin with, where they are given.
    initial: Option<Vec<f32>>,
    /// The variants of the kernels, where they were measured.
    tuning: Option<Tuned>,
    manner: Manner<'a>,
    /// That of the manner.
    talk: Talk,
}

/// The rows that a run learns from.
struct Learnt {
    train: Dataset,
    validation: Option<Dataset>,
}

/// A run on a device, from where it stands.
struct Training<'a> {
    run: &'a Run<'a>,
    standing: &'a mut Standing,
    device: &'a Device,
    rows: Rc<Learnt>,
}

/// How the epochs came to an end.
enum End {
    Complete,
    Interrupted,
    /// Where it was to pause.
    Paused,
    /// `--time-budget` was spent.
    TimeUp,
    Diverged(Error),
}

impl Job for Training<'_> {
    type Output = ();

    fn run<E: Engine>(self, mut engine: E) -> Result<(), Failure> {
        let Self { run, standing, device, rows } = self;
        if let Some(initial) = &run.initial {
            engine.set_parameters(initial)?;
        }
        let mut trainer = Trainer::new(engine, &rows.train, rows.validation.as_ref())?;
        // The engine has them now.
        drop(rows);
        // From here on flags and data are known to be good.
        let mut log = run.log(&mut trainer, standing)?;
        let end = run.epochs(&mut trainer, &mut log, standing, device);
        // What comes now may have to be done again.
        let log = standing.log.insert(log);
        let end = end?;
        // Scores are told even if a full disk keeps the rest from being written.
        let mut config = run.config.clone();
        // Perhaps not the first.
        (config.run.engine, config.run.device_name) = (device.engine().into(), device.name());
        let written = run.leave(&mut trainer, log, &end, &mut config);
        let diverged = match &end {
            End::Diverged(error) => Some(error.to_string()),
            _ => None,
        };
        let ended = match end {
            End::Interrupted => Some("interrupted"),
            End::TimeUp => Some("the time is up"),
            End::Complete | End::Paused | End::Diverged(_) => None,
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
        // The saved net's, where that isn't the last one's.
        let saved = log.history.last.filter(|last| last.restored);
        let saved = saved.and_then(|last| log.folder.epoch(last.best_epoch?));
        let summary = Summary {
            saved: saved.or(log.history.last),
            config: &config,
            folder: &log.folder,
            history: &log.history,
            results,
            interrupted: matches!(end, End::Interrupted),
            time_up: matches!(end, End::TimeUp),
            diverged: diverged.as_deref(),
            steps: trainer.steps(),
        };
        run.talk.line("");
        let text = match (run.manner.told, &diverged) {
            (Told::Json, _) => summary.json(),
            (Told::Text, None) => printable(&summary.text()),
            (Told::Text, Some(_)) | (Told::Nothing, _) => String::new(),
        };
        let printed = if text.is_empty() { Ok(()) } else { stdout::print(text) };
        let scores = log.folder.write(RESULTS, &summary.json());
        let page = match end {
            // It would be another when the run has gone on, and is made of the scores.
            End::Paused => Ok(()),
            _ if scores.is_err() => Ok(()),
            _ => run.report(trainer.engine_mut(), log.folder.path(), summary.results),
        };
        if let Err(failure) = page {
            // Where nothing is printed, somebody reads the files.
            if run.manner.told == Told::Nothing {
                return Err(failure);
            }
            let problem = failure.message().unwrap_or_default();
            run.talk.line(format_args!("warning: {problem}"));
        }
        printed?;
        written?;
        scores?;
        match diverged {
            Some(error) => Err(Failure::run(format!(
                "{error}; the parameters from before that epoch are in {}",
                log.folder.file(MODEL).display()
            ))),
            None => Ok(()),
        }
    }
}

impl Run<'_> {
    /// The folder of a new run, or that of one that goes on, and the trainer where it was.
    fn log<E: Engine>(
        &self,
        trainer: &mut Trainer<E>,
        standing: &mut Standing,
    ) -> Result<Log, Failure> {
        if let Some(checkpoint) = &standing.checkpoint {
            // While the log stays where a lost device leaves it.
            trainer.resume(checkpoint).map_err(|error| match error {
                Error::Shape { .. } => Failure::input(error),
                error => error.into(),
            })?;
        }
        let log = match (&standing.checkpoint, standing.log.take()) {
            (None, None) => self.new_log(trainer)?,
            (None, Some(mut log)) => {
                log.go_back(0, 0)?;
                log
            }
            (Some(checkpoint), log) => {
                let (steps, epochs) = (checkpoint.steps(), checkpoint.epochs());
                match log {
                    Some(mut log) => {
                        log.go_back(steps, epochs)?;
                        return Ok(log);
                    }
                    None => self.old_log(checkpoint)?,
                }
            }
        };
        // From here on there is a folder, whatever becomes of the device.
        let log = standing.log.insert(log);
        log.folder.write(CONFIG, &self.config.to_toml()?)?;
        if let Some(tuning) = &self.tuning {
            tuning.write(&log.folder.file(TUNING))?;
        }
        standing.snapshot(trainer)?;
        let Some(log) = standing.log.take() else { unreachable!("it was put there") };
        Ok(log)
    }

    fn new_log<E: Engine>(&self, trainer: &Trainer<E>) -> Result<Log, Failure> {
        let measures = self.config.run.insight_every.is_some();
        let classification = trainer.engine().plan().options().loss.is_classification();
        let score = if classification { "accuracy" } else { "r2" };
        let more: &[&str] = if measures { &insights::METRICS } else { &[] };
        let folder = RunFolder::create(self.folder.clone(), self.is_named, score, more)?;
        let insights = measures.then(|| Insights::create(folder.path())).transpose()?;
        let events = self.events(&folder, 1)?;
        Ok(Log { folder, insights, events, history: self.no_history() })
    }

    fn old_log(&self, checkpoint: &Checkpoint) -> Result<Log, Failure> {
        let (steps, epochs) = (checkpoint.steps(), checkpoint.epochs());
        let measures = self.config.run.insight_every.is_some();
        if self.goes_back {
            // Before anything is cut off: a later one would go on from where no lines lead to.
            let newest = self.folder.join(CHECKPOINT);
            checkpoint.save(&newest).map_err(|error| Failure::run(error.to_string()))?;
        }
        let dropped = if self.goes_back { "; what it did behind that goes" } else { "" };
        self.talk
            .line(format_args!("going on after step {steps}, in epoch {}{dropped}\n", epochs + 1));
        let (folder, history) = RunFolder::reopen(self.folder.clone(), epochs)?;
        let insights = measures.then(|| Insights::reopen(folder.path(), steps)).transpose()?;
        let events = self.events(&folder, steps + 1)?;
        let mut log = Log { folder, insights, events, history: self.no_history() };
        log.history.begin_again(history);
        Ok(log)
    }

    fn no_history(&self) -> History {
        History::new(self.config.training.batch_size, self.train_rows)
    }

    fn events(&self, folder: &RunFolder, from: u64) -> Result<Option<EventFile>, Failure> {
        let wanted = self.config.run.tensorboard;
        wanted.then(|| EventFile::create(folder.path(), from)).transpose()
    }
}
