//! The defaults of `wgrad train`, in one place: changing them here changes the help as well.

use std::fmt;

use wgrad::Schedule;
use wgrad::schedule::Run;

use super::choices::{InitChoice, OptimizerChoice};

/// What depends on the data.
pub(crate) struct Size {
    /// Widths of the hidden layers.
    pub hidden: &'static [usize],
    /// Rows per step.
    pub batch_size: usize,
    /// Passes over the training rows.
    pub epochs: u64,
}

/// For tables in general.
pub(crate) const TABLES: Size = Size { hidden: &[128], batch_size: 32, epochs: 60 };
/// For the classes of [many](MANY_IMAGES) images: on validation rows of MNIST 98.7 %, where
/// [`TABLES`] give 98.0 % in twice the time, and 512 units 98.8 % in twice as well.
pub(crate) const IMAGES: Size = Size { hidden: &[256], batch_size: 128, epochs: 20 };
/// From so many training rows on, pixels get the net of [`IMAGES`].
pub(crate) const MANY_IMAGES: usize = 10_000;

/// Activation behind each hidden layer, as typed.
pub(crate) const ACTIVATION: &str = "relu";
/// Where weights start.
pub(crate) const INIT: InitChoice = InitChoice::KaimingUniform;
/// How a gradient becomes a step.
pub(crate) const OPTIMIZER: OptimizerChoice = OptimizerChoice::Adamw;
/// μ of the optimizers that have momentum.
pub(crate) const MOMENTUM: f64 = 0.9;
/// The learning rate over the run, as typed.
pub(crate) const SCHEDULE: &str = "cosine";
/// Fraction of the rows to score with.
pub(crate) const TEST: f32 = 0.2;

/// Label smoothing of cross-entropy: keeps small data sets from being learnt by heart.
pub(crate) const LABEL_SMOOTHING: f32 = 0.1;

/// The learning rate that an optimizer does well with on standardised inputs: of steps of about a
/// factor of 3, the best on validation rows of the digits (seeds 100 to 102).
pub(crate) const fn lr(optimizer: OptimizerChoice) -> f64 {
    match optimizer {
        OptimizerChoice::Sgd => 0.1,
        OptimizerChoice::Momentum | OptimizerChoice::Nesterov => 0.02,
        OptimizerChoice::Adagrad => 3e-2,
        OptimizerChoice::Rmsprop
        | OptimizerChoice::Adam
        | OptimizerChoice::Amsgrad
        | OptimizerChoice::Adamw
        | OptimizerChoice::Nadam => 3e-3,
        OptimizerChoice::Lion => 1e-3,
    }
}

/// Epochs without improvement that early stopping waits for.
pub(crate) const PATIENCE: u64 = 10;

/// Weight decay: only AdamW and Lion are expected to have one.
///
/// Decoupled decay shrinks a weight that no gradient holds by exp(−λ Σ η) over a run whose learning
/// rates sum to Σ η. λ = 1/Σ η makes that 1/e whatever the length of the run (Wang and Aitchison
/// 2024), so small tables get more of it; at most 1, and two digits to read.
pub(crate) fn weight_decay(optimizer: OptimizerChoice, sum_of_lr: f64) -> f64 {
    match optimizer {
        OptimizerChoice::Adamw | OptimizerChoice::Lion => {
            let two_digits = format!("{:.1e}", sum_of_lr.recip().min(1.0));
            two_digits.parse().unwrap_or(1.0)
        }
        _ => 0.0,
    }
}

/// Steps that a sum over a run is taken at; in longer runs each stands for its neighbours. A step
/// more or less before a schedule jumps is then a share of 10⁻⁵, and two digits are kept.
const SUMMANDS: u64 = 100_000;

/// What the learning rates of a run sum to, but for what a plateau takes from them.
#[expect(clippy::cast_precision_loss, reason = "two digits are kept")]
pub(crate) fn sum_of_lr(lr: f64, schedule: &Schedule, run: &Run) -> f64 {
    let summands = run.steps.clamp(1, SUMMANDS);
    let stride = run.steps as f64 / summands as f64;
    // The middle of each stretch; its only step where it has but one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floor of a step")]
    let step = |i: u64| ((i as f64 + 0.5) * stride) as u64;
    lr * stride * (0..summands).map(|i| schedule.factor(step(i), run)).sum::<f64>()
}

/// A default that depends on the data, as `60; 20 for 10,000 and more images`.
pub(crate) fn by_data<T: fmt::Display>(of: impl Fn(&Size) -> T) -> String {
    let many = indicatif::HumanCount(MANY_IMAGES as u64);
    format!("[default: {}; {} for {many} and more images]", of(&TABLES), of(&IMAGES))
}

/// Lists the default learning rates, as `0.1 for sgd; …`.
pub(crate) fn lr_by_optimizer() -> String {
    use clap::ValueEnum;
    let mut groups: Vec<(f64, Vec<String>)> = Vec::new();
    for optimizer in OptimizerChoice::value_variants() {
        let value = lr(*optimizer);
        match groups.iter_mut().find(|group| group.0 == value) {
            Some(group) => group.1.push(optimizer.to_string()),
            None => groups.push((value, vec![optimizer.to_string()])),
        }
    }
    let groups = groups.iter().map(|(value, names)| format!("{value} for {}", names.join(", ")));
    groups.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_steps() {
        for text in ["constant", "cosine", "warmup:5e+step:7e", "one_cycle", "cosine_restarts:3e"] {
            let schedule: Schedule = text.parse().unwrap();
            for run in [Run::new(1, 1), Run::new(60, 37), Run::new(50, 5003)] {
                let sum: f64 = (0..run.steps).map(|step| schedule.factor(step, &run)).sum();
                let got = sum_of_lr(0.5, &schedule, &run);
                assert!((got - 0.5 * sum).abs() <= 1e-4 * sum, "{text}, {run:?}: {got}");
            }
        }
    }

    #[test]
    fn the_longest_runs_are_summed_at_once() {
        let run = Run::new(u64::MAX, 1);
        let sum = sum_of_lr(1.0, &Schedule::Cosine { floor: 0.0 }, &run);
        assert!((sum / 2f64.powi(63) - 1.0).abs() < 1e-9, "{sum:e}");
    }
}
