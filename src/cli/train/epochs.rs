//! The epochs of a run, with all that is told, written and kept while they go by.

use std::ops::ControlFlow;
use std::time::Instant;

use wgrad::{Engine, EpochReport, Error, Trainer};

use super::log::Log;
use super::standing::Standing;
use super::{End, Run};
use crate::cli::device::Device;
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::progress::Display;
use crate::cli::run_folder::{BEST, CHECKPOINT};
use crate::cli::talk::count;

impl Run<'_> {
    pub(super) fn epochs<E: Engine>(
        &self,
        trainer: &mut Trainer<E>,
        log: &mut Log,
        standing: &mut Standing,
        device: &Device,
    ) -> Result<End, Failure> {
        let options = trainer.engine().plan().options();
        let score = if options.loss.is_classification() { "accuracy" } else { "R²" };
        let score = self.validates.then_some(score);
        let epochs = options.epochs;
        let mut display = Display::new(self.talk, epochs, self.train_rows, score);
        display.start();
        // The time of this process: a run that goes on has it once more.
        let begun = *standing.begun.get_or_insert_with(Instant::now);
        let budget = self.config.training.time_budget;
        let time_up = || budget.is_some_and(|budget| begun.elapsed() >= budget.0);
        let every = self.config.run.checkpoint_every;
        let last = self.manner.until.map_or(epochs, |until| until.min(epochs));
        let mut stop = false;
        while trainer.epochs() < last {
            let most = every.map_or(u64::MAX, |every| every - trainer.steps() % every);
            let report = trainer.train_steps(most, |progress| {
                display.progress(progress);
                if let (Some(insights), Some(insight)) = (&mut log.insights, progress.insight) {
                    insights.add(insight);
                    log.events.iter_mut().for_each(|events| events.add_insight(insight));
                }
                standing.suffer(device, progress.step);
                if interrupt::interrupted() || time_up() || standing.is_due(progress.step) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let report = match report {
                Ok(report) => report,
                Err(error) => return broken_off(error, &mut display),
            };
            let rollback = trainer.take_rollback();
            let is_under_way = report.is_none() && rollback.is_none();
            if let Some(error) = rollback {
                go_back(&error, trainer, log, &mut display)?;
            }
            if let Some(report) = report {
                stop = report.stop;
                self.end_epoch(trainer, log, &mut display, report)?;
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
                self.keep(trainer, log, standing)?;
                if is_under_way {
                    let factor = trainer.rollback_factor();
                    match trainer.end_epoch() {
                        Ok(report) => self.end_epoch(trainer, log, &mut display, report)?,
                        Err(error) if trainer.rollback_factor() < factor => {
                            go_back(&error, trainer, log, &mut display)?;
                        }
                        Err(error) => return broken_off(error, &mut display),
                    }
                } else if trainer.restore_best() {
                    log.history.restored();
                }
                display.finish();
                return Ok(end);
            }
            if every.is_some_and(|every| trainer.steps().is_multiple_of(every)) {
                self.keep(trainer, log, standing)?;
            } else if standing.is_due(trainer.steps()) {
                standing.snapshot(trainer)?;
            }
        }
        display.finish();
        if stop || trainer.epochs() >= epochs {
            return Ok(End::Complete);
        }
        self.keep(trainer, log, standing)?;
        Ok(End::Paused)
    }

    /// Tells and writes what an epoch came to.
    fn end_epoch<E: Engine>(
        &self,
        trainer: &mut Trainer<E>,
        log: &mut Log,
        display: &mut Display,
        report: EpochReport,
    ) -> Result<(), Failure> {
        log.add(report)?;
        display.epoch(&report);
        (self.manner.on_epoch)(&report);
        if report.skipped > 0 {
            display.line(&format!(
                "epoch {}: {} left out, whose gradient wasn't finite",
                report.epoch,
                count(usize::try_from(report.skipped).unwrap_or(usize::MAX), "step")
            ));
        }
        if self.config.run.keep_best && log.history.last_is_best {
            self.save(trainer, &log.folder.file(BEST))?;
        }
        Ok(())
    }

    /// Writes what the run goes on from if it is stopped here.
    fn keep<E: Engine>(
        &self,
        trainer: &mut Trainer<E>,
        log: &Log,
        standing: &mut Standing,
    ) -> Result<(), Failure> {
        let checkpoint = trainer.checkpoint()?;
        checkpoint.save(&log.folder.file(CHECKPOINT))?;
        let most = self.config.run.keep_checkpoints;
        if most > 1 {
            log.folder.keep_checkpoint(checkpoint.steps(), most)?;
        }
        standing.set(checkpoint);
        Ok(())
    }
}

/// Tells that the training has gone back, and takes what it has gone back over out of the files.
fn go_back<E: Engine>(
    why: &Error,
    trainer: &Trainer<E>,
    log: &mut Log,
    display: &mut Display,
) -> Result<(), Failure> {
    let (epoch, factor) = (trainer.epochs(), trainer.rollback_factor());
    display.line(&format!(
        "{why}; back to the end of epoch {epoch}, with {factor} times the learning rates"
    ));
    log.go_back(trainer.steps(), epoch)
}

/// What an error makes of the training: numbers that went wrong are an end with a model.
fn broken_off(error: Error, display: &mut Display) -> Result<End, Failure> {
    display.finish();
    match error {
        Error::Diverged { .. } => Ok(End::Diverged(error)),
        error => Err(error.into()),
    }
}
