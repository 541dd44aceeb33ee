//! The training loop: one for all engines.

mod epoch;
mod guest;
mod report;
mod resident;
mod steps;

use crate::checkpoint::TrainerState;
use crate::data::Dataset;
use crate::divergence::Recovery;
use crate::early_stopping::Best;
use crate::engine::{Engine, Metrics, Report, Step};
use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::optimizer::Updates;
use crate::schedule::{Mode, PlateauState};

pub use report::{EpochReport, Evaluation, Progress, Score};
use resident::{Resident, upload};
pub(crate) use steps::Place;

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
    recovery: Recovery,
    /// Why it went back last, until that is asked for.
    rolled_back: Option<Error>,
    /// Of the options' plateau; without one its factor stays 1.
    plateau: PlateauState,
    /// Reused by every epoch.
    steps: Vec<Step>,
    reports: Vec<Report>,
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
            recovery: Recovery::default(),
            rolled_back: None,
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

    /// Epochs whose steps are all among [`steps`](Self::steps).
    #[must_use]
    pub fn epochs(&self) -> u64 {
        self.at.epoch
    }

    /// Steps that the engine was given, the number of the last one: after `train…` all of them are done. After
    /// [`encode_steps`](Self::encode_steps) those that were recorded, whether they have happened yet or, with
    /// an encoder that is never submitted, never will. [`latest_metrics`](Self::latest_metrics) reports those
    /// that were done.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.at.step
    }

    /// Whether the options' epochs are all among [`epochs`](Self::epochs), or early stopping has ended the
    /// training. Steps can be trained nevertheless; they have the learning rate with which the schedule
    /// ends, which may be 0. With [`ENDLESS`](crate::TrainOptions::ENDLESS) epochs only early stopping ends it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let options = self.engine.plan().options();
        let stopped = options.early_stopping.is_some_and(|options| self.best.has_stopped(&options));
        stopped || self.at.epoch >= options.epochs
    }

    /// Rows that are trained on.
    pub(crate) fn rows(&self) -> u32 {
        self.train.rows
    }

    /// What the trainer itself remembers, between two steps.
    pub(crate) fn progress(&self) -> TrainerState {
        let Self { at, begin, good, sum, seconds, plateau, best, recovery, .. } = *self;
        TrainerState { at, begin, good, sum, seconds, plateau, best, recovery }
    }

    /// Goes on from there.
    pub(crate) fn set_progress(&mut self, progress: &TrainerState) {
        let TrainerState { at, begin, good, sum, seconds, plateau, best, recovery } = *progress;
        (self.at, self.begin, self.good) = (at, begin, good);
        (self.sum, self.seconds) = (sum, seconds);
        (self.plateau, self.best, self.recovery) = (plateau, best, recovery);
        self.reports.clear();
        self.rolled_back = None;
    }

    /// Begins the training anew, with a seed in place of the options' one: parameters, optimizer state,
    /// averages, running statistics, what early stopping and the plateau remember, and the counts of steps
    /// and epochs are those of a trainer that was just made with this seed, and so is every bit of what
    /// follows. NaN and infinity are gone too. Never waits; on a GPU it submits.
    ///
    /// Steps that were recorded before are not reported any more. If an encoder with such steps is submitted
    /// after this call, they train the new parameters: submit or drop it before.
    ///
    /// # Errors
    /// [`Error::Lost`] if the device is gone, [`Error::Device`] if it fails.
    pub fn reset(&mut self, seed: u64) -> Result<()> {
        self.engine.reset(seed)?;
        self.updates = self.engine.plan().updates();
        self.set_progress(&TrainerState::default());
        Ok(())
    }

    /// Begins the training anew, as [`reset`](Self::reset) with the options' seed, but with the parameters of a
    /// model file, which also become their average.
    ///
    /// # Errors
    /// [`Error::Shape`] if the file's net differs in more than initial values, dropout and the momentum of
    /// batch norms, or if a parameter is NaN or infinite: it names the tensor and the element, and nothing
    /// changes. Else as [`reset`](Self::reset).
    pub fn load(&mut self, file: &ModelFile) -> Result<()> {
        let plan = self.engine.plan();
        let (parameters, seed) = (file.parameters_for(plan)?, plan.options().seed);
        self.reset(seed)?;
        self.engine.set_parameters(&parameters)
    }

    /// What the options' plateau has come to; without one its factor stays 1.
    #[must_use]
    pub fn plateau(&self) -> &PlateauState {
        &self.plateau
    }

    /// Why the training went back to its last good parameters, if it has since the last call: what
    /// [`OnDivergence::RollBack`](crate::OnDivergence::RollBack) made of an [`Error::Diverged`].
    pub fn take_rollback(&mut self) -> Option<Error> {
        self.rolled_back.take()
    }

    /// What going back has made of the learning rate, a factor that starts as 1.
    #[must_use]
    pub fn rollback_factor(&self) -> f64 {
        self.recovery.factor
    }

    /// The parameters that [`evaluate`](Self::evaluate) and [`predict`](Self::predict) use, laid out
    /// as the plan says: the average of the weights where one is kept. Waits for them.
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails, [`Error::Lost`] if it is gone.
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
    /// [`Error::Shape`] if the data don't fit, [`Error::Device`] if the device fails, [`Error::Lost`] if it is gone.
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
}

/// Evaluates loss and score of an engine's net on a data set, in batches. Waits for the result. Reports of
/// what the engine did before are dropped if they haven't been fetched.
///
/// # Errors
/// [`Error::Shape`] if the data don't fit, [`Error::Device`] if the device fails, [`Error::Lost`] if it is gone.
pub fn evaluate<E: Engine>(engine: &mut E, data: &Dataset) -> Result<Evaluation> {
    engine.plan().check_evaluation(data.rows())?;
    let resident = upload(engine, data)?;
    let mut reports = Vec::new();
    engine.finish()?;
    engine.reports(&mut reports)?;
    reports.clear();
    engine.evaluate(&resident.data, resident.rows)?;
    engine.finish()?;
    engine.reports(&mut reports)?;
    Ok(evaluation(engine, take_sum(&mut reports, resident.rows.into()), resident.target_squares))
}

/// Takes the first reports, of so many rows, and sums them.
fn take_sum(reports: &mut Vec<Report>, rows: u64) -> Metrics {
    let mut sum = Metrics::default();
    let mut taken = 0;
    while sum.rows < rows && taken < reports.len() {
        sum += reports[taken].metrics;
        taken += 1;
    }
    reports.drain(..taken);
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
