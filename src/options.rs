//! Everything about a training run that isn't the net or the data.

use serde::{Deserialize, Serialize};

use crate::divergence::OnDivergence;
use crate::early_stopping::EarlyStopping;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::optimizer::{Clip, Optimizer, ParameterGroup};
use crate::precision::Precision;
use crate::sampler::Sampling;
use crate::schedule::{Plateau, Schedule};

/// How to train. Start from [`new`](Self::new) and change what should differ.
///
/// ```
/// use wgrad::{Loss, Optimizer, TrainOptions};
/// let options = TrainOptions { batch_size: 32, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)) };
/// assert_eq!(options.epochs, 10);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainOptions {
    /// What to minimise.
    pub loss: Loss,
    /// How a gradient becomes a step.
    pub optimizer: Optimizer,
    /// Factor on the learning rate by step. Default: constant.
    #[serde(default)]
    pub schedule: Schedule,
    /// Parameters with a learning rate or weight decay of their own, at most 7 groups. Default: none.
    #[serde(default)]
    pub groups: Vec<ParameterGroup>,
    /// Bound on the gradient. Default: none.
    #[serde(default)]
    pub clip: Option<Clip>,
    /// Average the weights over the steps with this decay d in 0.0..1.0, and evaluate and predict with the
    /// average: a ← a + q (w − a) after step t, q = (1 − d)/(1 − dᵗ). That is the mean of the weights after
    /// each step, weighted by dᵃ for an age of a steps; nothing stays of the initial weights, however short
    /// the run. (PyTorch: `AveragedModel` with such an `avg_fn` and `use_buffers=True`;
    /// `get_ema_multi_avg_fn` has q = 1 − d from the second step on, so the weights after the first step keep
    /// a share of dᵗ⁻¹.) The running statistics of batch norms are averaged likewise, since they belong to the
    /// weights that they were taken with. A step that is left out
    /// ([`OnDivergence::Skip`], mixed precision) counts as one after which the weights are what they were.
    /// Default: no.
    #[serde(default)]
    pub ema: Option<f64>,
    /// Lowers the learning rate further where the loss stops falling. Default: none.
    #[serde(default)]
    pub plateau: Option<Plateau>,
    /// Rows per step, at least 1. Default: 64.
    pub batch_size: usize,
    /// Rows that go through the net at once, at least 1: a step then adds up the gradients of several
    /// such parts of its batch, which takes less memory and comes to the same, but that batch norm
    /// sees the parts. Default: the whole batch.
    #[serde(default)]
    pub micro_batch: Option<usize>,
    /// Passes over the training rows, at least 1, or [`ENDLESS`](Self::ENDLESS). Default: 10. A trainer may
    /// be run for fewer or more; schedules end here, and further steps have the learning rate of their end,
    /// which may be 0: see [`Trainer::is_finished`](crate::Trainer::is_finished).
    pub epochs: u64,
    /// How rows are picked. Default: shuffled.
    #[serde(default)]
    pub sampling: Sampling,
    /// Leave out the last batch of an epoch if it isn't full (PyTorch's `drop_last`). Default: no;
    /// the last batch is then smaller, and its loss is the mean over its own rows.
    #[serde(default)]
    pub drop_last: bool,
    /// End when the validation rows show no improvement any more. Default: no.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// In which numbers activations and their gradients are stored. Default: f32.
    #[serde(default)]
    pub precision: Precision,
    /// What to do where a loss, a gradient or a parameter isn't finite. Default: stop.
    #[serde(default)]
    pub on_divergence: OnDivergence,
    /// Measure norms, update ratios and effective steps of every parameter tensor each so many
    /// steps, at least 1. Default: never.
    #[serde(default)]
    pub insight_every: Option<u64>,
    /// Seed of everything random. Default: 0.
    pub seed: u64,
}

impl TrainOptions {
    /// As many [`epochs`](Self::epochs) as a training whose end isn't known has: it lasts until its host app,
    /// or early stopping, ends it. Schedules can't stretch over it then.
    ///
    /// ```
    /// use wgrad::{Loss, Mlp, Optimizer, Plan, TrainOptions};
    /// let options = TrainOptions {
    ///     epochs: TrainOptions::ENDLESS,
    ///     schedule: "warmup:100+constant".parse()?,
    ///     ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3))
    /// };
    /// Plan::new(&Mlp::new(2).linear(1), &options)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub const ENDLESS: u64 = u64::MAX;

    /// Batches of 64, 10 epochs, shuffled, constant learning rate, seed 0.
    #[must_use]
    pub fn new(loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            loss,
            optimizer,
            schedule: Schedule::Constant,
            groups: Vec::new(),
            clip: None,
            ema: None,
            plateau: None,
            batch_size: 64,
            micro_batch: None,
            epochs: 10,
            sampling: Sampling::Shuffled,
            drop_last: false,
            early_stopping: None,
            precision: Precision::F32,
            on_divergence: OnDivergence::Stop,
            insight_every: None,
            seed: 0,
        }
    }

    /// Checks every range for a net with `outputs` outputs.
    pub(crate) fn validate(&self, outputs: usize) -> Result<()> {
        let at_least_one = |name: &'static str, value: u64| {
            if value > 0 {
                return Ok(());
            }
            Err(Error::Option { name, value: "0".into(), expected: "at least 1" })
        };
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("micro_batch", self.rows_at_once() as u64)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("insight_every", self.insight_every.unwrap_or(1))?;
        match self.ema {
            Some(decay) if !(0.0..1.0).contains(&decay) => {
                return Err(Error::Option {
                    name: "ema",
                    value: decay.to_string(),
                    expected: "in 0..1",
                });
            }
            _ => {}
        }
        if let Some(stopping) = &self.early_stopping {
            stopping.validate()?;
        }
        self.on_divergence.validate()?;
        ParameterGroup::validate(&self.groups)?;
        self.clip.map_or(Ok(()), Clip::validate)?;
        self.loss.validate(outputs)?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        if self.epochs == Self::ENDLESS && self.schedule.needs_length() {
            return Err(Error::Option {
                name: "schedule",
                value: self.schedule.to_string(),
                expected: "one whose lengths are steps or epochs, as epochs is ENDLESS (constant, \
                           warmup:100+constant, cosine_restarts:10e, …)",
            });
        }
        self.plateau.map_or(Ok(()), |plateau| plateau.validate())
    }

    /// Rows that go through the net at once: [`micro_batch`](Self::micro_batch), at most a batch.
    pub(crate) fn rows_at_once(&self) -> usize {
        self.micro_batch.map_or(self.batch_size, |rows| rows.min(self.batch_size))
    }

    /// Parts of a full batch.
    pub(crate) fn parts(&self) -> usize {
        self.parts_of(usize::MAX)
    }

    /// Parts of a batch of a data set of so many rows.
    pub(crate) fn parts_of(&self, rows: usize) -> usize {
        self.batch_size.min(rows).div_ceil(self.rows_at_once())
    }

    /// Optimizer steps per epoch over `rows` training rows.
    #[must_use]
    pub fn steps_per_epoch(&self, rows: u32) -> u64 {
        let (rows, batch) = (u64::from(rows), self.batch_size.max(1) as u64);
        if self.drop_last { rows / batch } else { rows.div_ceil(batch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_trainings_have_schedules_without_an_end() {
        let validate = |schedule: &str, epochs| {
            let schedule = schedule.parse().unwrap();
            let optimizer = Optimizer::adam(1e-3);
            TrainOptions { schedule, epochs, ..TrainOptions::new(Loss::Mse, optimizer) }.validate(1)
        };
        let endless = TrainOptions::ENDLESS;
        for schedule in [
            "constant",
            "warmup:100+constant",
            "linear:2e,from=0,to=1+constant",
            "step:10e,factor=0.5",
            "step:10,factor=0.5",
            "inverse_sqrt:100",
            "warmup:100+cosine:1000",
            "cosine_restarts:10e",
        ] {
            validate(schedule, endless).unwrap_or_else(|e| panic!("{schedule}: {e}"));
        }
        for schedule in [
            "cosine",
            "linear:from=1,to=0.1",
            "polynomial",
            "one_cycle",
            "warmup:5%+constant",
            "warmup:100+cosine",
            "inverse_sqrt:10%",
        ] {
            let refused = validate(schedule, endless).expect_err(schedule).to_string();
            assert!(refused.contains("epochs is ENDLESS"), "{refused}");
            validate(schedule, endless - 1).unwrap_or_else(|e| panic!("{schedule}: {e}"));
        }
    }
}
