//! The training loop: one for all engines.

mod guest;
mod report;
mod resident;

use std::ops::ControlFlow;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::checkpoint::TrainerState;
use crate::data::Dataset;
use crate::early_stopping::{Best, Verdict};
use crate::engine::{Engine, Keep, Metrics, Report, Step};
use crate::error::{Error, Result};
use crate::optimizer::Updates;
use crate::sampler::Order;
use crate::schedule::{Mode, Plateau, PlateauState, Run};

pub use report::{EpochReport, Evaluation, Progress, Score};
use resident::{Resident, upload};

/// Trains a net on an engine, epoch by epoch.
///
/// ```
/// use wgrad::data::{Dataset, Targets};
/// use wgrad::{CpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions, Trainer};
///
/// // y = 2x
/// let x = vec![-1.0, -0.5, 0.5, 1.0];
/// let y = x.iter().map(|x| 2.0 * x).collect();
/// let data = Dataset::new(x, 1, Targets::Values { values: y, width: 1 })?;
///
/// let mlp = Mlp::new(1).linear(1);
/// let options = TrainOptions { epochs: 100, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.5)) };
/// let mut trainer = Trainer::new(CpuEngine::<f32>::new(Plan::new(&mlp, &options)?), &data, None)?;
/// let report = trainer.train()?;
/// assert!(report.train.loss() < 1e-6);
/// assert!((trainer.predict(&[3.0])?[0] - 6.0).abs() < 1e-2);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer<E: Engine> {
    engine: E,
    train: Resident<E::Data>,
    validation: Option<Resident<E::Data>>,
    at: Place,
    /// Where the epoch under way began.
    begin: Place,
    /// Where the last good state is from.
    good: Place,
    /// Of the epoch under way: its reports so far, and the time that they took.
    sum: Metrics,
    seconds: f64,
    updates: Updates,
    best: Best,
    /// Of the options' plateau; without one its factor stays 1.
    plateau: PlateauState,
    /// Reused by every epoch.
    steps: Vec<Step>,
    reports: Vec<Report>,
}

/// How far a training has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Steps done; the next has this number plus 1.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps done of the epoch under way.
    pub position: u64,
}

impl Place {
    /// So many steps further, in epochs of `in_epoch` steps.
    const fn after(self, steps: u64, in_epoch: u64) -> Self {
        let position = self.position + steps;
        Self {
            step: self.step + steps,
            epoch: self.epoch + position / in_epoch,
            position: position % in_epoch,
        }
    }
}

impl<E: Engine> Trainer<E> {
    /// Copies the data to the engine.
    ///
    /// # Errors
    /// [`Error::Shape`] if the data don't fit the net or the loss, [`Error::Limit`] if they are too
    /// large for the device, [`Error::Data`] if `drop_last` leaves no full batch or early stopping has
    /// no validation rows, [`Error::Model`] if batch norm would see a batch of one row,
    /// [`Error::Option`] if the plateau watches the score of validation rows that aren't there.
    pub fn new(mut engine: E, train: &Dataset, validation: Option<&Dataset>) -> Result<Self> {
        let train = upload(&mut engine, train)?;
        let validation = validation.map(|data| upload(&mut engine, data)).transpose()?;
        Self::with_resident(engine, train, validation)
    }

    fn with_resident(
        engine: E,
        train: Resident<E::Data>,
        validation: Option<Resident<E::Data>>,
    ) -> Result<Self> {
        if let Some(validation) = &validation {
            engine.plan().check_evaluation(validation.rows as usize)?;
        }
        engine.plan().check_norms(train.rows)?;
        let options = engine.plan().options();
        if options.early_stopping.is_some() && validation.is_none() {
            return Err(Error::Data {
                source_name: "validation rows".into(),
                problem: "early stopping watches them, but there are none \
                          (give some, or leave early stopping off)"
                    .into(),
            });
        }
        if options.steps_per_epoch(train.rows) == 0 {
            return Err(Error::Data {
                source_name: "training rows".into(),
                problem: format!(
                    "{} rows make no full batch of {} (lower batch_size, or leave drop_last off)",
                    train.rows, options.batch_size
                ),
            });
        }
        if options.plateau.is_some_and(|p| p.mode == Mode::Max) && validation.is_none() {
            return Err(Error::Option {
                name: "plateau's mode",
                value: "max".into(),
                expected: "min without validation rows: max watches their score",
            });
        }
        Ok(Self {
            updates: engine.plan().updates(),
            engine,
            train,
            validation,
            at: Place::default(),
            begin: Place::default(),
            good: Place::default(),
            sum: Metrics::default(),
            seconds: 0.0,
            plateau: PlateauState::default(),
            best: Best::default(),
            steps: Vec::new(),
            reports: Vec::new(),
        })
    }

    /// The engine.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// The engine, for what the trainer has no function for.
    pub fn engine_mut(&mut self) -> &mut E {
        &mut self.engine
    }

    /// Epochs done.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        self.at.epoch
    }

    /// Steps done.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.at.step
    }

    /// Rows that are trained on.
    pub(crate) fn rows(&self) -> u32 {
        self.train.rows
    }

    /// What the trainer itself remembers, between two steps.
    pub(crate) fn progress(&self) -> TrainerState {
        let Self { at, begin, good, sum, seconds, plateau, best, .. } = *self;
        TrainerState { at, begin, good, sum, seconds, plateau, best }
    }

    /// Goes on from there.
    pub(crate) fn set_progress(&mut self, progress: &TrainerState) {
        let TrainerState { at, begin, good, sum, seconds, plateau, best } = *progress;
        (self.at, self.begin, self.good) = (at, begin, good);
        (self.sum, self.seconds) = (sum, seconds);
        (self.plateau, self.best) = (plateau, best);
        self.reports.clear();
    }

    /// What the options' plateau has come to; without one its factor stays 1.
    #[must_use]
    pub fn plateau(&self) -> &PlateauState {
        &self.plateau
    }

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
        Ok(report)
    }

    /// Trains one epoch and evaluates on the validation rows.
    ///
    /// `observe` is called for every step as its report comes in, which is some time after the step
    /// was given to the engine. If it breaks, no further steps are given; those given are completed.
    /// On a GPU the host waits for the device once, at the end.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a loss isn't finite: that of a batch, or after the epoch that of the
    /// validation rows (without such rows, of one batch). Parameters and step count are then those of
    /// the end of the last epoch that ended in such a call, the optimizer's moments 0. [`Error::Pending`]
    /// if a host app has recorded as much as there is room for; [`Error::Device`] if the device fails.
    pub fn train_epoch(
        &mut self,
        mut observe: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<EpochReport> {
        let start = Instant::now();
        let broke = self.give_steps(u64::MAX, &mut observe)?;
        self.end_epoch_from(start, broke, &mut observe)
    }

    /// Trains up to `most` steps, but not beyond the end of the epoch under way, and waits for them.
    /// Returns the epoch's report if that ended; else the epoch goes on with the next call, of this or
    /// of [`train_epoch`](Self::train_epoch), with the same bits as if it hadn't paused. In between is
    /// where a [`checkpoint`](Self::checkpoint) can be taken.
    ///
    /// `observe` is as in [`train_epoch`](Self::train_epoch); if it breaks, the epoch pauses too.
    ///
    /// # Errors
    /// As [`train_epoch`](Self::train_epoch).
    pub fn train_steps(
        &mut self,
        most: u64,
        mut observe: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Option<EpochReport>> {
        let start = Instant::now();
        self.give_steps(most, &mut observe)?;
        if self.at.epoch > self.begin.epoch {
            return self.end_epoch_from(start, false, &mut observe).map(Some);
        }
        self.engine.finish()?;
        self.engine.reports(&mut self.reports)?;
        self.take_training_reports(&mut observe)?;
        self.seconds += start.elapsed().as_secs_f64();
        Ok(None)
    }

    /// Ends the epoch under way where it is, as [`train_epoch`](Self::train_epoch) does when it is
    /// interrupted: with a look at the validation rows.
    ///
    /// # Errors
    /// As [`train_epoch`](Self::train_epoch).
    pub fn end_epoch(&mut self) -> Result<EpochReport> {
        self.end_epoch_from(Instant::now(), true, &mut |_| ControlFlow::Continue(()))
    }

    /// Gives the engine up to `most` steps of the epoch under way. Says whether `observe` broke off.
    fn give_steps(
        &mut self,
        most: u64,
        observe: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
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
        observe: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<EpochReport> {
        // Losses are taken before the step that they lead to, so the last step's parameters still
        // have to show theirs: on the validation rows, or else on a batch of the training rows.
        let validation = self.validation.as_ref().filter(|_| !interrupted);
        let shown = validation.unwrap_or(&self.train);
        let batch = u32::try_from(self.engine.plan().options().batch_size).unwrap_or(u32::MAX);
        let rows = if validation.is_some() { shown.rows } else { shown.rows.min(batch) };
        let target_squares = validation.map(|validation| validation.target_squares);
        self.engine.swap_average();
        let given = self.engine.evaluate(&shown.data, rows);
        self.engine.swap_average();
        given?;
        self.engine.finish()?;
        self.engine.reports(&mut self.reports)?;
        interrupted |= self.take_training_reports(observe)?;
        let shown = take_sum(&mut self.reports);
        if !shown.is_finite() {
            return Err(self.go_back(self.at.step, shown.loss()));
        }
        self.engine.keep(Keep::LastGood);
        // Part of an epoch ends it too.
        self.at = Place { epoch: self.begin.epoch + 1, position: 0, ..self.at };
        (self.begin, self.good) = (self.at, self.at);
        let sum = std::mem::take(&mut self.sum);
        let seconds = std::mem::take(&mut self.seconds) + start.elapsed().as_secs_f64();
        let validation = target_squares.map(|squares| evaluation(&self.engine, shown, squares));
        let lr = self.lr(self.at.step.max(1) - 1);
        // Part of an epoch tells less than the epochs that it would be compared with.
        let plateau = self.engine.plan().options().plateau.filter(|_| !interrupted);
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

    /// Goes back to the parameters of the best epoch, if early stopping is to do so.
    fn restore_best(&mut self) -> bool {
        let options = self.engine.plan().options().early_stopping;
        let restores = options.is_some_and(|options| options.restore_best);
        let restored = restores && self.best.epoch().is_some();
        if restored {
            self.engine.restore(Keep::Best);
        }
        restored
    }

    /// The parameters that [`evaluate`](Self::evaluate) and [`predict`](Self::predict) use, laid out
    /// as the plan says: the average of the weights where one is kept. Waits for them.
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails.
    pub fn parameters(&mut self) -> Result<Vec<f32>> {
        self.with_average(E::parameters)
    }

    /// Does something with the averaged weights in place of the trained ones, where there are any.
    fn with_average<R>(&mut self, run: impl FnOnce(&mut E) -> Result<R>) -> Result<R> {
        self.engine.swap_average();
        let result = run(&mut self.engine);
        self.engine.swap_average();
        result
    }

    /// Evaluates loss and score on any data set. Waits for the result.
    ///
    /// # Errors
    /// [`Error::Shape`] if the data don't fit, [`Error::Device`] if the device fails.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        self.with_average(|engine| evaluate(engine, data))
    }

    /// Outputs of the net (rows × `out_features`) for inputs (rows × `in_features`), row-major:
    /// logits for the classification losses.
    ///
    /// # Errors
    /// [`Error::Shape`] if the inputs don't divide into rows, [`Error::Device`] if the device
    /// fails.
    pub fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>> {
        self.with_average(|engine| engine.predict(inputs))
    }

    /// Makes the next `count` steps.
    fn make_steps(&mut self, count: u64) {
        self.steps.clear();
        for ahead in 0..count {
            let step = self.make_step(ahead);
            self.steps.push(step);
        }
    }

    /// Takes note of so many steps done.
    fn advance(&mut self, steps: u64) {
        let in_epoch = self.engine.plan().options().steps_per_epoch(self.train.rows);
        self.at = self.at.after(steps, in_epoch);
    }

    /// Takes it that the epochs before the one under way have ended, whoever trained them.
    fn settle(&mut self) {
        if self.at.epoch > self.begin.epoch {
            let Place { step, epoch, position } = self.at;
            self.begin = Place { step: step - position, epoch, position: 0 };
            (self.sum, self.seconds) = (Metrics::default(), 0.0);
        }
    }

    /// The step that has `ahead` others between it and those done.
    #[expect(clippy::cast_possible_truncation, reason = "both are below the number of rows")]
    fn make_step(&mut self, ahead: u64) -> Step {
        let options = self.engine.plan().options();
        let rows = self.train.rows;
        let at = self.at.after(ahead, options.steps_per_epoch(rows));
        let number = at.step + 1;
        let first = at.position * options.batch_size as u64;
        let batch = (u64::from(rows) - first).min(options.batch_size as u64) as u32;
        let first = first as u32;
        let order = Order::new(self.train.sampling, options.seed, at.epoch, number);
        // What the batch's rows count.
        let count: f64 = match &self.train.row_weights {
            Some(weights) => (0..batch)
                .map(|index| f64::from(weights[order.row(rows, first, index) as usize]))
                .sum(),
            None => f64::from(batch),
        };
        Step {
            number,
            batch,
            first,
            order,
            // Without a row that counts there is nothing to learn: no gradient, instead of 0/0.
            loss_scale: if count > 0.0 { count.recip() } else { 0.0 },
            dropout_key: Step::dropout_key(options.seed, number),
            update: self.updates.at(number, self.factor(at.step)),
            insight: options.insight_every.is_some_and(|every| number.is_multiple_of(every)),
        }
    }

    /// Learning rate of the step that has `done` steps before it.
    fn lr(&self, done: u64) -> f64 {
        self.engine.plan().options().optimizer.lr * self.factor(done)
    }

    /// What the learning rate of that step is multiplied with.
    fn factor(&self, done: u64) -> f64 {
        let options = self.engine.plan().options();
        let run = Run::new(options.epochs, options.steps_per_epoch(self.train.rows));
        options.schedule.factor(done, &run) * self.plateau.factor()
    }

    /// Adds the training reports that have arrived to the epoch's sum, tells `observe` of each, and leaves the
    /// reports of evaluations. Says whether `observe` broke off.
    fn take_training_reports(
        &mut self,
        observe: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        let mut broke = false;
        let mut diverged = None;
        for report in &self.reports {
            let Some(step) = report.step else { continue };
            let step_loss = report.metrics.loss();
            if !report.metrics.is_finite() {
                diverged = Some((step, step_loss));
                break;
            }
            self.sum += report.metrics;
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
        self.reports.retain(|report| report.step.is_none());
        if let Some((step, loss)) = diverged {
            self.engine.finish()?;
            self.engine.reports(&mut self.reports)?;
            self.reports.clear();
            return Err(self.go_back(step, loss));
        }
        Ok(broke)
    }

    /// Goes back to the end of the last epoch that ended here, and says at which step the loss went bad.
    fn go_back(&mut self, step: u64, loss: f64) -> Error {
        self.engine.restore(Keep::LastGood);
        let epoch = self.begin.epoch + 1;
        (self.at, self.begin) = (self.good, self.good);
        (self.sum, self.seconds) = (Metrics::default(), 0.0);
        Error::Diverged { step, epoch, loss }
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

/// Evaluates loss and score of an engine's net on a data set, in batches. Waits for the result.
///
/// # Errors
/// [`Error::Shape`] if the data don't fit, [`Error::Device`] if the device fails.
pub fn evaluate<E: Engine>(engine: &mut E, data: &Dataset) -> Result<Evaluation> {
    engine.plan().check_evaluation(data.rows())?;
    let resident = upload(engine, data)?;
    let mut reports = Vec::new();
    engine.evaluate(&resident.data, resident.rows)?;
    engine.finish()?;
    engine.reports(&mut reports)?;
    Ok(evaluation(engine, take_sum(&mut reports), resident.target_squares))
}

fn take_sum(reports: &mut Vec<Report>) -> Metrics {
    let mut sum = Metrics::default();
    reports.drain(..).for_each(|report| sum += report.metrics);
    sum
}

#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
fn evaluation<E: Engine>(engine: &E, sum: Metrics, target_squares: f64) -> Evaluation {
    let score = if engine.plan().options().loss.is_classification() {
        Score::Accuracy(sum.score_sum / sum.rows as f64)
    } else {
        let varies = target_squares > 0.0;
        Score::R2(if varies { 1.0 - sum.score_sum / target_squares } else { f64::NAN })
    };
    Evaluation { loss: sum.loss(), score, rows: sum.rows }
}
