//! The defaults of `wgrad train`, in one place: changing them here changes the help as well.

use super::choices::{InitChoice, OptimizerChoice, ScheduleChoice};

/// Hidden widths, as typed.
pub(crate) const HIDDEN: &str = "128";
/// Activation behind each hidden layer, as typed.
pub(crate) const ACTIVATION: &str = "relu";
/// Where weights start.
pub(crate) const INIT: InitChoice = InitChoice::KaimingUniform;
/// How a gradient becomes a step.
pub(crate) const OPTIMIZER: OptimizerChoice = OptimizerChoice::Adamw;
/// μ of the optimizers that have momentum.
pub(crate) const MOMENTUM: f64 = 0.9;
/// The learning rate over the run.
pub(crate) const SCHEDULE: ScheduleChoice = ScheduleChoice::Cosine;
/// Rows per step.
pub(crate) const BATCH_SIZE: usize = 32;
/// Passes over the training rows.
pub(crate) const EPOCHS: u64 = 60;

/// Label smoothing of cross-entropy: keeps small data sets from being learnt by heart.
pub(crate) const LABEL_SMOOTHING: f32 = 0.1;

/// The learning rate that an optimizer does well with on standardised inputs.
pub(crate) const fn lr(optimizer: OptimizerChoice) -> f64 {
    match optimizer {
        OptimizerChoice::Sgd => 0.1,
        OptimizerChoice::Momentum | OptimizerChoice::Nesterov => 0.02,
        OptimizerChoice::Adam | OptimizerChoice::Adamw => 3e-3,
    }
}

/// Weight decay: only AdamW is expected to have one.
///
/// Decoupled decay shrinks a weight that no gradient holds by exp(−λ Σ η) over a run whose learning
/// rates sum to Σ η. λ = 1/Σ η makes that 1/e whatever the length of the run (Wang and Aitchison
/// 2024), so small tables get more of it; at most 1, and two digits to read.
pub(crate) fn weight_decay(optimizer: OptimizerChoice, sum_of_lr: f64) -> f64 {
    match optimizer {
        OptimizerChoice::Adamw => {
            let two_digits = format!("{:.1e}", sum_of_lr.recip().min(1.0));
            two_digits.parse().unwrap_or(1.0)
        }
        _ => 0.0,
    }
}

/// What the learning rates of a run sum to.
pub(crate) fn sum_of_lr(lr: f64, schedule: ScheduleChoice, steps: u64) -> f64 {
    let mean_factor = match schedule {
        ScheduleChoice::Constant => 1.0,
        ScheduleChoice::Cosine => 0.5,
    };
    #[expect(clippy::cast_precision_loss, reason = "two digits are kept")]
    let steps = steps as f64;
    lr * mean_factor * steps
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
