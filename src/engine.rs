//! What executes a plan.

mod any_number;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod kernel;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::divergence::Fault;
use crate::error::Result;
use crate::insight::Insight;
use crate::model_file::ModelFile;
use crate::optimizer::Update;
use crate::plan::Plan;
use crate::rng::{Purpose, philox4x32, words};
use crate::sampler::Order;
pub(crate) use gpu::Tuning;
pub use state::EngineState;

/// One training step: which rows, and the optimizer's scalars. Made by the
/// [`Trainer`](crate::Trainer).
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Counted from 1; 0 in an evaluation.
    pub(crate) number: u64,
    /// Rows in this batch.
    pub(crate) batch: u32,
    /// Position of its first row in the epoch.
    pub(crate) first: u32,
    pub(crate) order: Order,
    /// 1/Σω over the batch, ω what a row counts in the loss; 0 if no row counts.
    pub(crate) loss_scale: f64,
    /// Key of the step's dropout masks.
    pub(crate) dropout_key: [u32; 2],
    pub(crate) update: Update<f64>,
    /// Whether the step's insights are wanted.
    pub(crate) insight: bool,
}

/// Rows that go through the net at once: a part of a step's batch, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Position of its first row in the step's batch.
    pub row0: u32,
    pub rows: u32,
    /// Whether no part comes before it.
    pub is_first: bool,
    /// Whether no part comes behind it.
    pub is_last: bool,
}

impl Step {
    /// Evaluation of the rows from `first` on, in the order of the data set.
    pub(crate) fn evaluation(first: u32, rows: u32) -> Self {
        Self {
            number: 0,
            batch: rows,
            first,
            order: Order::Sequential,
            loss_scale: 0.0,
            dropout_key: [0; 2],
            update: Update::default(),
            insight: false,
        }
    }

    /// Key of the dropout masks of step `number`.
    pub(crate) fn dropout_key(seed: u64, number: u64) -> [u32; 2] {
        let [low, high] = words(number);
        let [a, b, ..] = philox4x32([low, high, 0, Purpose::Dropout as u32], words(seed));
        [a, b]
    }

    pub(crate) const fn is_training(&self) -> bool {
        self.number > 0
    }

    /// The number under which the step reports.
    pub(crate) fn reported(&self) -> Option<u64> {
        self.is_training().then_some(self.number)
    }

    /// The step's batch in parts of at most `most` rows.
    pub(crate) fn parts(&self, most: usize) -> impl Iterator<Item = Part> + use<> {
        Part { row0: 0, rows: self.batch, is_first: true, is_last: true }.parts(most)
    }
}

impl Part {
    /// The same rows in parts of at most `most`.
    #[expect(clippy::cast_possible_truncation, reason = "parts are no longer than the batch")]
    pub(crate) fn parts(self, most: usize) -> impl Iterator<Item = Self> + use<> {
        let most = most.min(self.rows as usize).max(1) as u32;
        let count = self.rows.div_ceil(most);
        (0..count).map(move |index| {
            let start = index * most;
            Self {
                row0: self.row0 + start,
                rows: most.min(self.rows - start),
                is_first: self.is_first && index == 0,
                is_last: self.is_last && index + 1 == count,
            }
        })
    }
}

/// Which copy of the parameters (and of their average, where there is one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those of the last epoch that ended well.
    LastGood,
    /// Those of the best epoch; only with early stopping.
    Best,
}

/// Sums over the rows of one or more batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Rows.
    pub rows: u64,
    /// Sum of the rows' losses.
    pub loss_sum: f64,
    /// Sum of what the rows count: the number of rows but for weights of rows and
    /// classes.
    pub weight_sum: f64,
    /// Right predictions; for regression the sum of squared errors over rows and outputs, which may overflow
    /// where the loss doesn't.
    #[serde(with = "any_number")]
    pub score_sum: f64,
    /// Rows whose loss is NaN or infinite.
    pub not_finite: f64,
}

impl Metrics {
    pub(crate) fn new(rows: u32, sums: [f64; 4]) -> Self {
        let [loss_sum, weight_sum, score_sum, not_finite] = sums;
        Self { rows: u64::from(rows), loss_sum, weight_sum, score_sum, not_finite }
    }

    /// Mean loss; 0 if no row counts.
    #[must_use]
    pub fn loss(&self) -> f64 {
        match self.weight_sum {
            // What label smoothing makes of classes that count for nothing is no loss; NaN stays.
            0.0 if self.loss_sum.is_finite() => 0.0,
            0.0 => self.loss_sum,
            weights => self.loss_sum / weights,
        }
    }

    /// Whether the loss of every row is a finite number.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.not_finite == 0.0 && self.loss_sum.is_finite()
    }
}

impl std::ops::AddAssign for Metrics {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.loss_sum += other.loss_sum;
        self.weight_sum += other.weight_sum;
        self.score_sum += other.score_sum;
        self.not_finite += other.not_finite;
    }
}

/// What an engine tells of one batch, some time after it was given it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of the training step, or `None` for a batch of an evaluation.
    pub step: Option<u64>,
    /// Of the batch.
    pub metrics: Metrics,
    /// What went wrong in the step's gradient or update, if anything did.
    pub fault: Option<Fault>,
    /// Of the step, if it was to be measured.
    pub insight: Option<Box<Insight>>,
}

/// Memory and arithmetic for a [`Plan`], on one device.
///
/// Work is given in order and done in order, but perhaps later: reports come through
/// [`reports`](Self::reports) when they are there, and [`finish`](Self::finish) waits for all.
///
/// Sealed: the engines of this crate are all there are.
pub trait Engine: sealed::Sealed {
    /// A data set in the engine's memory.
    type Data;

    /// What the engine was made for.
    fn plan(&self) -> &Plan;

    /// A short name of the engine, for people: `cpu` or `gpu`.
    fn name(&self) -> &'static str;

    /// Which variants of its kernels were chosen by measurement; none unless the engine was made with a
    /// [`Tuning`].
    fn tuning(&self) -> Tuning {
        Tuning::default()
    }

    /// Copies a data set to the engine.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if it doesn't fit the net or the loss,
    /// [`Error::Limit`](crate::Error::Limit) if it is too large for the device.
    fn upload(&mut self, data: &Dataset) -> Result<Self::Data>;

    /// How many steps [`train`](Self::train) should be given at once, at most.
    fn steps_at_once(&self) -> usize;

    /// Trains the steps, of one data set, in order. May return before they are done.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the data were uploaded to another engine.
    /// [`Error::Pending`](crate::Error::Pending) if a host app has recorded as much as there is room for:
    /// then nothing is done, here as in [`evaluate`](Self::evaluate) and [`predict`](Self::predict).
    /// [`Error::Device`](crate::Error::Device) if the device fails, [`Error::Lost`](crate::Error::Lost) if it is gone.
    fn train(&mut self, data: &Self::Data, steps: &[Step]) -> Result<()>;

    /// Evaluates the loss on the first `rows` rows, in batches. May return before it is done.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the data were uploaded to another engine.
    /// [`Error::Device`](crate::Error::Device) if the device fails, [`Error::Lost`](crate::Error::Lost) if it is gone.
    fn evaluate(&mut self, data: &Self::Data, rows: u32) -> Result<()>;

    /// Moves the reports that have arrived, oldest first, to the end of `into`. Never waits; polls the
    /// device.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device failed.
    fn reports(&mut self, into: &mut Vec<Report>) -> Result<()>;

    /// Waits until everything given is done and its reports have arrived.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device failed.
    fn finish(&mut self) -> Result<()>;

    /// Outputs of the net (rows × `out_features`) for inputs (rows × `in_features`), row-major.
    /// Waits for them.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the inputs don't divide into rows,
    /// [`Error::Device`](crate::Error::Device) if the device fails, [`Error::Lost`](crate::Error::Lost) if it is gone.
    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>>;

    /// The parameter arena, running statistics included, laid out as the plan says. Waits for it.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device fails, [`Error::Lost`](crate::Error::Lost) if it is gone.
    fn parameters(&mut self) -> Result<Vec<f32>>;

    /// Replaces the parameter arena, which also becomes the last good state and, where averages of the
    /// weights are kept, the average. Optimizer moments stay as they are: [`reset`](Self::reset) before it
    /// makes them 0.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if it has another length than the plan says, or if a number is NaN
    /// or infinite: then it names the tensor and the element, and nothing changes.
    /// [`Error::Lost`](crate::Error::Lost) if the device is gone.
    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()>;

    /// [`set_parameters`](Self::set_parameters) to those of a model file with the same net. The file's
    /// other options may differ from the plan's. [`Trainer::load`](crate::Trainer::load) also begins a
    /// training anew.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the file's net differs in more than initial values, dropout
    /// and the momentum of batch norms, or as [`set_parameters`](Self::set_parameters).
    fn load(&mut self, file: &ModelFile) -> Result<()> {
        let parameters = file.parameters_for(self.plan())?;
        self.set_parameters(&parameters)
    }

    /// Makes the engine what it would be if it had just been made with `seed` as its options' seed: all
    /// parameters have their initial values, as has their average and what was kept, and the optimizer's
    /// moments are 0. Submits; never waits. What counts steps has to begin anew too:
    /// [`Trainer::reset`](crate::Trainer::reset) does both.
    ///
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost) if the device is gone, [`Error::Device`](crate::Error::Device) if it
    /// fails.
    fn reset(&mut self, seed: u64) -> Result<()>;

    /// All that the training depends on, bit for bit. Waits for it. Not to be called while the average
    /// is exchanged ([`swap_average`](Self::swap_average)).
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device fails, [`Error::Lost`](crate::Error::Lost) if it is gone.
    fn state(&mut self) -> Result<EngineState>;

    /// Goes on from a state: one of an engine with the same plan, perhaps on another device.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if it is of another plan.
    fn set_state(&mut self, state: &EngineState) -> Result<()>;

    /// Exchanges the trained parameters with their average, for an evaluation with it; a second call
    /// undoes it. Submits. Nothing happens where no average is kept ([`TrainOptions::ema`]).
    ///
    /// [`TrainOptions::ema`]: crate::TrainOptions::ema
    fn swap_average(&mut self);

    /// Remembers the parameters as they are after everything given so far. Submits; never waits.
    ///
    /// # Panics
    /// For [`Keep::Best`] in a plan without early stopping.
    fn keep(&mut self, which: Keep);

    /// Goes back to the parameters kept: the initial ones if none were. Submits. The optimizer's moments
    /// become 0, as at the start of a training; the scale of the loss in mixed precision, which follows the
    /// gradients by itself, stays. The count of steps is the trainer's: its own roll-back begins the bias
    /// corrections anew, a call on [`Trainer::engine_mut`](crate::Trainer::engine_mut) doesn't;
    /// [`Trainer::reset`](crate::Trainer::reset) makes everything begin anew.
    ///
    /// # Panics
    /// For [`Keep::Best`] in a plan without early stopping.
    fn restore(&mut self, which: Keep);
}

/// What an engine and the data sets uploaded to it share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity(Arc<()>);

impl Identity {
    /// Refuses a data set of another engine.
    pub(crate) fn check(&self, of_data: &Self) -> Result<()> {
        if Arc::ptr_eq(&self.0, &of_data.0) {
            return Ok(());
        }
        Err(crate::Error::Shape {
            what: "data set".into(),
            expected: "one that was uploaded to this engine".into(),
            got: "one of another engine".into(),
        })
    }
}

mod sealed {
    pub trait Sealed {}
    impl<T> Sealed for super::cpu::CpuEngine<T> {}
    impl Sealed for super::gpu::GpuEngine {}
}

/// Checks inputs of a prediction and says how many rows they are.
pub(crate) fn rows_of(plan: &Plan, inputs: &[f32]) -> Result<usize> {
    let in_features = plan.mlp().in_features();
    if inputs.len().is_multiple_of(in_features) {
        let rows = inputs.len() / in_features;
        plan.check_evaluation(rows)?;
        return Ok(rows);
    }
    Err(crate::Error::Shape {
        what: "inputs of a prediction".into(),
        expected: format!("rows of {in_features} numbers"),
        got: format!("{} numbers", inputs.len()),
    })
}

/// Checks that a data set fits the net and the loss of a plan.
pub(crate) fn check_data(plan: &Plan, data: &Dataset) -> Result<()> {
    let mlp = plan.mlp();
    if data.in_features() != mlp.in_features() {
        return Err(crate::Error::Shape {
            what: "columns of the data set".into(),
            expected: format!("{} as the net's inputs", mlp.in_features()),
            got: data.in_features().to_string(),
        });
    }
    plan.options().loss.check_targets(data.targets(), mlp.out_features())
}

/// Checks the length of a parameter arena.
pub(crate) fn check_arena(plan: &Plan, parameters: &[f32]) -> Result<()> {
    if parameters.len() == plan.arena_len() {
        return Ok(());
    }
    Err(crate::Error::Shape {
        what: "parameter arena".into(),
        expected: format!("{} elements", plan.arena_len()),
        got: parameters.len().to_string(),
    })
}

/// Checks the length of a parameter arena, and that all its numbers are finite.
pub(crate) fn check_parameters(plan: &Plan, parameters: &[f32]) -> Result<()> {
    check_arena(plan, parameters)?;
    let Some(index) = parameters.iter().position(|number| !number.is_finite()) else {
        return Ok(());
    };
    let before = plan.tensors().filter(|tensor| tensor.offset <= index);
    let what = match before.max_by_key(|tensor| tensor.offset) {
        Some(tensor) if tensor.range().contains(&index) => {
            format!("element {} of tensor {}", index - tensor.offset, tensor.name)
        }
        _ => format!("element {index} of the parameter arena, padding between tensors"),
    };
    let (expected, got) = ("a finite number".into(), parameters[index].to_string());
    Err(crate::Error::Shape { what, expected, got })
}
