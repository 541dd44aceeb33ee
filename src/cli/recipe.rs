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

/// The learning rate that an optimizer does well with on standardised inputs.
pub(crate) const fn lr(optimizer: OptimizerChoice) -> f64 {
    match optimizer {
        OptimizerChoice::Sgd => 0.1,
        OptimizerChoice::Momentum | OptimizerChoice::Nesterov => 0.02,
        OptimizerChoice::Adam | OptimizerChoice::Adamw => 3e-3,
    }
}

/// Weight decay: only AdamW is expected to have one.
pub(crate) const fn weight_decay(optimizer: OptimizerChoice) -> f64 {
    match optimizer {
        OptimizerChoice::Adamw => 0.01,
        _ => 0.0,
    }
}

/// Lists a default that depends on the optimizer, as `0.1 for sgd, …`.
pub(crate) fn by_optimizer(default: fn(OptimizerChoice) -> f64) -> String {
    use clap::ValueEnum;
    let mut groups: Vec<(f64, Vec<String>)> = Vec::new();
    for optimizer in OptimizerChoice::value_variants() {
        let value = default(*optimizer);
        match groups.iter_mut().find(|group| group.0 == value) {
            Some(group) => group.1.push(optimizer.to_string()),
            None => groups.push((value, vec![optimizer.to_string()])),
        }
    }
    let groups = groups.iter().map(|(value, names)| format!("{value} for {}", names.join(", ")));
    groups.collect::<Vec<_>>().join("; ")
}
