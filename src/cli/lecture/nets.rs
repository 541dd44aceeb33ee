//! What the studies share: training on the CPU, and the digits.

use std::ops::ControlFlow;

use wgrad::data::{Dataset, Partition, PartitionOptions, Schema, SchemaOptions, Targets, digits};
use wgrad::rng::{Purpose, Stream};
use wgrad::{CpuEngine, EpochReport, Insight, Mlp, Plan, Real, TrainOptions, Trainer};

use crate::cli::failure::Failure;

/// Trains for the epochs of the options; `each` sees the trainer after every epoch.
pub(super) fn train<T: Real>(
    mlp: &Mlp,
    options: &TrainOptions,
    data: &Dataset,
    mut each: impl FnMut(&mut Trainer<CpuEngine<T>>, &EpochReport) -> Result<(), Failure>,
) -> Result<Trainer<CpuEngine<T>>, Failure> {
    let mut trainer = Trainer::new(CpuEngine::<T>::new(Plan::new(mlp, options)?), data, None)?;
    while trainer.epochs() < options.epochs {
        let report = trainer.train_epoch(|_| ControlFlow::Continue(()))?;
        each(&mut trainer, &report)?;
    }
    Ok(trainer)
}

/// The insights of a run, in order.
pub(super) fn insights(
    mlp: &Mlp,
    options: &TrainOptions,
    data: &Dataset,
) -> Result<Vec<Insight>, Failure> {
    let mut trainer = Trainer::new(CpuEngine::<f64>::new(Plan::new(mlp, options)?), data, None)?;
    let mut seen = Vec::new();
    while trainer.epochs() < options.epochs {
        trainer.train_epoch(|progress| {
            seen.extend(progress.insight.cloned());
            ControlFlow::Continue(())
        })?;
    }
    Ok(seen)
}

/// Digits to train on, to watch the training with, and to test with.
pub(super) struct Digits {
    pub train: Dataset,
    pub watch: Dataset,
    pub test: Dataset,
}

impl Digits {
    /// A share `train` of the digits to train on, half of the others each to watch and to test.
    pub(super) fn split(train: f32, seed: u64) -> Result<Self, Failure> {
        let table = digits();
        let columns = SchemaOptions::default();
        let labels = columns.labels(&table)?;
        let half = (1.0 - train) / 2.0;
        let options =
            PartitionOptions { validation: half, test: half, seed, ..PartitionOptions::default() };
        let parts = Partition::new(table.rows(), labels.as_deref(), &options)?;
        let schema = Schema::fit(&table, &parts.train, &columns)?;
        Ok(Self {
            train: schema.encode(&table, &parts.train)?,
            watch: schema.encode(&table, &parts.validation)?,
            test: schema.encode(&table, &parts.test)?,
        })
    }

    /// The same with a share of the training labels replaced by wrong ones: something that shouldn't
    /// be learnt.
    pub(super) fn mislabelled(self, share: f64, seed: u64) -> Result<Self, Failure> {
        let Targets::Classes { labels, classes } = self.train.targets() else {
            unreachable!("digits are classes")
        };
        let mut stream = Stream::new(seed, Purpose::Synthetic, 7);
        let others = u32::try_from(*classes).unwrap_or(2) - 1;
        let mut relabel = |&label: &u32| {
            let wrong = stream.uniform() < share;
            if wrong { (label + 1 + stream.below(others)) % (others + 1) } else { label }
        };
        let labels = labels.iter().map(&mut relabel).collect();
        let targets = Targets::Classes { labels, classes: *classes };
        let inputs = self.train.inputs().to_vec();
        Ok(Self { train: Dataset::new(inputs, self.train.in_features(), targets)?, ..self })
    }
}

/// The mean of some numbers.
#[expect(clippy::cast_precision_loss, reason = "a few numbers")]
pub(super) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}
