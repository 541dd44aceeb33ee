//! An epoch: its steps, the look at the rows behind them, and what follows from it.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::Instant;

use super::steps::Place;
use super::{EpochReport, Evaluation, Progress, Trainer, evaluation, take_sum};
use crate::early_stopping::Verdict;
use crate::engine::{Engine, Keep, Metrics};
use crate::error::{Error, Result};
use crate::schedule::{Mode, Plateau};

impl<E: Engine> Trainer<E> {
    /// Trains until the epochs of the options are done, one at least, or early stopping ends it, and
    /// returns the last one's report.
    ///
    /// # Errors
    /// As [`train_epoch`](Self::train_epoch).
    pub fn train(&mut self) -> Result<EpochReport> {
        let mut report = self.train_epoch(|_| ControlFlow::Continue(()))?;
        while self.at.epoch < self.engine.plan().options().epochs && !report.stop {
            report = self.train_epoch(|_| ControlFlow::Continue(()))?;
        }
        // It was called behind the last epoch.
        report.restored = report.restored || self.restore_best();
        Ok(report)
    }

    /// Trains one epoch and evaluates on the validation rows.
    ///
    /// `observe` is called for every step as its report comes in, which is some time after the step
    /// was given to the engine. If it breaks, no further steps are given; those given are completed, and if
    /// they were the epoch's last, it ends as any other.
    /// On a GPU the host waits for the device once, at the end.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a loss, a gradient or a parameter isn't finite: in a step, or after the
    /// epoch the loss of the validation rows (without such rows, of one batch); what else may come of that
    /// says [`OnDivergence`](crate::OnDivergence). Parameters and step count are then those of
    /// the end of the last epoch that ended in such a call, the optimizer's moments 0. A training that rolls
    /// back ends so too where `observe` has broken off: the next call goes on with the lower learning rate.
    /// [`Error::Pending`] if a host app has recorded as much as there is room for; [`Error::Device`] if the device fails, [`Error::Lost`] if it is gone.
    pub fn train_epoch(
        &mut self,
        mut observe: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<EpochReport> {
        let broke = Cell::new(false);
        let mut observe = |progress: &Progress<'_>| {
            let flow = observe(progress);
            broke.set(broke.get() || flow.is_break());
            flow
        };
        loop {
            let start = Instant::now();
            let epoch = self
                .give_steps(u64::MAX, &mut observe)
                .and_then(|broke| self.end_epoch_from(start, broke, &mut observe));
            match epoch {
                Err(error) if broke.get() => {
                    self.lowers_rates(&error);
                    return Err(error);
                }
                Err(error) => self.roll_back(error)?,
                report => return report,
            }
        }
    }

    /// Trains up to `most` steps, but not beyond the end of the epoch under way, and waits for them.
    /// Returns the epoch's report if that ended; else the epoch goes on with the next call, of this or
    /// of [`train_epoch`](Self::train_epoch), with the same bits as if it hadn't paused. In between is
    /// where a [`checkpoint`](Self::checkpoint) can be taken.
    ///
    /// `observe` is as in [`train_epoch`](Self::train_epoch); if it breaks, the epoch pauses too, unless all
    /// its steps are done. A training that rolls back ([`OnDivergence`](crate::OnDivergence)) pauses where it
    /// has gone back to.
    ///
    /// # Errors
    /// As [`train_epoch`](Self::train_epoch).
    pub fn train_steps(
        &mut self,
        most: u64,
        mut observe: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Option<EpochReport>> {
        self.try_steps(most, &mut observe).or_else(|error| self.roll_back(error).map(|()| None))
    }

    fn try_steps(
        &mut self,
        most: u64,
        observe: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Option<EpochReport>> {
        let start = Instant::now();
        self.give_steps(most, observe)?;
        if self.at.epoch > self.begin.epoch {
            // The epoch is whole, whatever the observer says of its last steps: it ends as any other.
            let mut told = |progress: &Progress<'_>| {
                let _ = observe(progress);
                ControlFlow::Continue(())
            };
            return self.end_epoch_from(start, false, &mut told).map(Some);
        }
        self.engine.finish()?;
        self.engine.reports(&mut self.reports)?;
        self.take_training_reports(observe)?;
        self.seconds += start.elapsed().as_secs_f64();
        Ok(None)
    }

    /// Ends the epoch under way where it is, as [`train_epoch`](Self::train_epoch) does when it is
    /// interrupted: with a look at one batch, not at the validation rows, so that neither early stopping nor a
    /// plateau takes note of it.
    ///
    /// # Errors
    /// [`Error::Sequence`] if the epoch has no step yet, else as [`train_epoch`](Self::train_epoch) whose
    /// `observe` has broken off.
    pub fn end_epoch(&mut self) -> Result<EpochReport> {
        if self.at.step == self.begin.step {
            return Err(Error::Sequence { call: "end_epoch", needs: "a step of the epoch" });
        }
        let ended = self.end_epoch_from(Instant::now(), true, &mut |_| ControlFlow::Continue(()));
        if let Err(error) = &ended {
            self.lowers_rates(error);
        }
        ended
    }

    /// Gives the engine up to `most` steps of the epoch under way. Says whether `observe` broke off.
    fn give_steps(
        &mut self,
        most: u64,
        observe: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        let in_epoch = self.engine.plan().options().steps_per_epoch(self.train.rows);
        let end = self.at.step.saturating_add(most).min(self.begin.step + in_epoch);
        let mut broke = false;
        while self.at.step < end && !broke {
            self.make_steps((end - self.at.step).min(self.engine.steps_at_once() as u64));
            self.engine.train(&self.train.data, &self.steps)?;
            self.advance(self.steps.len() as u64);
            self.engine.reports(&mut self.reports)?;
            broke = self.take_training_reports(observe)?;
        }
        Ok(broke)
    }

    fn end_epoch_from(
        &mut self,
        start: Instant,
        mut interrupted: bool,
        observe: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<EpochReport> {
        let is_whole = self.at.epoch > self.begin.epoch;
        // Losses are taken before the step that they lead to, so the last step's parameters still
        // have to show theirs: on the validation rows, or else on a batch of the training rows.
        let validation = self.validation.as_ref().filter(|_| is_whole);
        let shown = validation.unwrap_or(&self.train);
        let batch = u32::try_from(self.engine.plan().options().batch_size).unwrap_or(u32::MAX);
        let rows = if validation.is_some() { shown.rows } else { shown.rows.min(batch) };
        let target_squares = validation.map(|validation| validation.target_squares);
        // An average hides for long what its weights have come to.
        let trained_rows = match self.engine.plan().options().ema {
            Some(_) => self.train.rows.min(batch),
            None => 0,
        };
        if trained_rows > 0 {
            self.engine.evaluate(&self.train.data, trained_rows)?;
        }
        self.engine.swap_average();
        let given = self.engine.evaluate(&shown.data, rows);
        self.engine.swap_average();
        given?;
        self.engine.finish()?;
        self.engine.reports(&mut self.reports)?;
        interrupted |= self.take_training_reports(observe)?;
        let trained = take_sum(&mut self.reports, trained_rows.into());
        let shown = take_sum(&mut self.reports, rows.into());
        if let Some(bad) = [trained, shown].iter().find(|seen| !seen.is_finite()) {
            return Err(self.go_back(self.at.step, bad.loss(), None));
        }
        self.engine.keep(Keep::LastGood);
        // Part of an epoch ends it too.
        self.at = Place { epoch: self.begin.epoch + 1, position: 0, ..self.at };
        (self.begin, self.good) = (self.at, self.at);
        let sum = std::mem::take(&mut self.sum);
        let skipped = std::mem::take(&mut self.recovery.skipped);
        let rescaled = std::mem::take(&mut self.recovery.rescaled);
        let seconds = std::mem::take(&mut self.seconds) + start.elapsed().as_secs_f64();
        let validation = target_squares.map(|squares| evaluation(&self.engine, shown, squares));
        let lr = self.lr(self.at.step.max(1) - 1);
        // Part of an epoch tells less than the epochs that it would be compared with.
        // If all its steps were left out it tells nothing.
        let tells = is_whole && (sum.rows > 0 || validation.is_some());
        let plateau = self.engine.plan().options().plateau.filter(|_| tells);
        if let Some(plateau) = plateau {
            self.plateau.observe(&plateau, watched(&plateau, &sum, validation));
        }
        let stop = self.stops(validation);
        let ends = stop || interrupted || self.at.epoch == self.engine.plan().options().epochs;
        Ok(EpochReport {
            epoch: self.at.epoch,
            step: self.at.step,
            lr,
            train: sum,
            validation,
            seconds,
            interrupted,
            best_epoch: self.best.epoch(),
            stop,
            restored: ends && self.restore_best(),
            skipped,
            rescaled,
        })
    }

    /// Trains so many steps, over as many epochs as they take, with nothing in between, and waits for
    /// them: what a measurement of the engine alone times.
    pub(crate) fn run_steps(&mut self, steps: u64) -> Result<()> {
        let end = self.at.step + steps;
        while self.at.step < end {
            self.make_steps((end - self.at.step).min(self.engine.steps_at_once() as u64));
            self.engine.train(&self.train.data, &self.steps)?;
            self.advance(self.steps.len() as u64);
            self.engine.reports(&mut self.reports)?;
            self.reports.clear();
        }
        self.engine.finish()?;
        self.engine.reports(&mut self.reports)?;
        self.reports.clear();
        self.settle();
        Ok(())
    }

    /// Whether early stopping ends the training here. Keeps the parameters of an improvement.
    fn stops(&mut self, validation: Option<Evaluation>) -> bool {
        let options = self.engine.plan().options().early_stopping;
        let (Some(options), Some(validation)) = (options, validation) else { return false };
        let Evaluation { loss, score, .. } = validation;
        let verdict = self.best.observe(&options, self.at.epoch, loss, score.value());
        if verdict == Verdict::Improved {
            self.engine.keep(Keep::Best);
        }
        verdict == Verdict::Stop
    }

    /// Goes back to the parameters of the best epoch, if [`EarlyStopping`](crate::EarlyStopping) is to do
    /// so, and says whether it did. The last epoch and one that was broken off do it by themselves; this is
    /// for a training that ends between two epochs before its last.
    pub fn restore_best(&mut self) -> bool {
        let options = self.engine.plan().options().early_stopping;
        let restores = options.is_some_and(|options| options.restore_best);
        let restored = restores && self.best.epoch().is_some();
        if restored {
            self.engine.restore(Keep::Best);
            self.recovery.moments_from = self.at.step;
        }
        restored
    }

    /// Adds the training reports that have arrived to the epoch's sum, tells `observe` of each, and leaves
    /// the reports of what was evaluated behind them. Says whether `observe` broke off.
    fn take_training_reports(
        &mut self,
        observe: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        let policy = self.engine.plan().options().on_divergence;
        let mut broke = false;
        let mut diverged = None;
        for report in &self.reports {
            let Some(step) = report.step else { continue };
            let step_loss = report.metrics.loss();
            let (is_finite, fault) = (report.metrics.is_finite(), report.fault);
            if self.recovery.observe(policy, is_finite, fault) {
                diverged = Some((step, step_loss, fault.and_then(|fault| fault.tensor)));
                break;
            }
            if is_finite && fault.is_none() {
                self.sum += report.metrics;
            }
            broke |= observe(&Progress {
                epoch: self.begin.epoch + 1,
                step,
                rows: self.sum.rows,
                loss: self.sum.loss(),
                step_loss,
                lr: self.lr(step - 1),
                insight: report.insight.as_deref(),
            })
            .is_break();
        }
        let done = self.reports.iter().rposition(|report| report.step.is_some());
        self.reports.drain(..done.map_or(0, |last| last + 1));
        if let Some((step, loss, tensor)) = diverged {
            self.engine.finish()?;
            self.engine.reports(&mut self.reports)?;
            self.reports.clear();
            return Err(self.go_back(step, loss, tensor));
        }
        Ok(broke)
    }

    /// Goes back to the end of the last epoch that ended here, and says at which step numbers went bad, and
    /// in which tensor as far as is known.
    fn go_back(&mut self, step: u64, loss: f64, tensor: Option<usize>) -> Error {
        self.engine.restore(Keep::LastGood);
        let epoch = self.begin.epoch + 1;
        (self.at, self.begin) = (self.good, self.good);
        (self.sum, self.seconds) = (Metrics::default(), 0.0);
        self.recovery.begin_again();
        self.recovery.moments_from = self.at.step;
        let tensor = tensor.and_then(|index| self.engine.plan().tensors().nth(index));
        Error::Diverged { step, epoch, loss, tensor: tensor.map(|tensor| tensor.name.clone()) }
    }

    /// Makes what a divergence has gone back to the training's new beginning, if the policy is so.
    fn roll_back(&mut self, error: Error) -> Result<()> {
        if !self.lowers_rates(&error) {
            return Err(error);
        }
        self.rolled_back = Some(error);
        Ok(())
    }

    /// Lowers the learning rates after a divergence, if the policy is so, and says whether it did.
    fn lowers_rates(&mut self, error: &Error) -> bool {
        let policy = self.engine.plan().options().on_divergence;
        matches!(error, Error::Diverged { .. }) && self.recovery.rolls_back(policy)
    }
}

/// The metric of an epoch that a plateau looks for.
fn watched(plateau: &Plateau, train: &Metrics, validation: Option<Evaluation>) -> f64 {
    match (plateau.mode, validation) {
        (_, None) => train.loss(),
        (Mode::Min, Some(validation)) => validation.loss,
        (Mode::Max, Some(validation)) => validation.score.value(),
    }
}
