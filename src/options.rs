//! Everything about a training run that isn't the net or the data.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::optimizer::Optimizer;
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
    /// Lowers the learning rate further where the loss stops falling. Default: none.
    #[serde(default)]
    pub plateau: Option<Plateau>,
    /// Rows per step, at least 1. Default: 64.
    pub batch_size: usize,
    /// Passes over the training rows, at least 1. Default: 10. A trainer may be run for fewer or
    /// more; schedules end here.
    pub epochs: u64,
    /// How rows are picked. Default: shuffled.
    #[serde(default)]
    pub sampling: Sampling,
    /// Leave out the last batch of an epoch if it isn't full (PyTorch's `drop_last`). Default: no;
    /// the last batch is then smaller, and its loss is the mean over its own rows.
    #[serde(default)]
    pub drop_last: bool,
    /// Seed of everything random. Default: 0.
    pub seed: u64,
}

impl TrainOptions {
    /// Batches of 64, 10 epochs, shuffled, constant learning rate, seed 0.
    #[must_use]
    pub fn new(loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            loss,
            optimizer,
            schedule: Schedule::Constant,
            plateau: None,
            batch_size: 64,
            epochs: 10,
            sampling: Sampling::Shuffled,
            drop_last: false,
            seed: 0,
        }
    }

    /// Checks every range for a net with `outputs` outputs.
    pub(crate) fn validate(&self, outputs: usize) -> Result<()> {
        let at_least_one = |name, value: u64| {
            if value > 0 {
                return Ok(());
            }
            Err(Error::Option { name, value: "0".into(), expected: "at least 1" })
        };
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("epochs", self.epochs)?;
        self.loss.validate(outputs)?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.plateau.map_or(Ok(()), |plateau| plateau.validate())
    }

    /// Optimizer steps per epoch over `rows` training rows.
    #[must_use]
    pub fn steps_per_epoch(&self, rows: u32) -> u64 {
        let (rows, batch) = (u64::from(rows), self.batch_size.max(1) as u64);
        if self.drop_last { rows / batch } else { rows.div_ceil(batch) }
    }
}
