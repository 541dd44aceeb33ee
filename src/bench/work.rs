//! What a dispatch computes and moves, from the plan alone.

use crate::ops::optimizer::PARTIAL_SUMS;
use crate::optimizer::Rule;
use crate::plan::Plan;

/// Bytes of one number.
const F32: usize = 4;
/// The same of one that is stored in half of it.
const F16: usize = 2;

/// Arithmetic and memory traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Additions and multiplications, two for a fused multiply-add; a division, a root or an
    /// exponential counts as one.
    pub flops: u64,
    /// Bytes that have to be read and written if every number moves once.
    pub bytes: u64,
}

impl Work {
    /// FLOPs a byte.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    pub fn intensity(&self) -> f64 {
        self.flops as f64 / self.bytes as f64
    }

    /// So many numbers with so many FLOPs.
    const fn of(flops: usize, numbers: usize) -> Self {
        Self::moving(flops, F32 * numbers)
    }

    const fn moving(flops: usize, bytes: usize) -> Self {
        Self { flops: flops as u64, bytes: bytes as u64 }
    }

    /// What a whole training step can't do without: its products, the rows of its batch, and the
    /// parameters with gradients and moments as the optimizer takes them. Activations may stay in
    /// caches.
    #[must_use]
    pub fn of_step(plan: &Plan) -> Self {
        let batch = plan.options().batch_size * (plan.mlp().in_features() + plan.target_width());
        Self { flops: plan.flops_per_step(), ..Self::of(0, batch + optimizer(plan).1) }
    }

    /// One dispatch of a training step on `rows` rows: a kernel's name, and which of its kind it is.
    /// `None` for a kernel that isn't known here. Where rows are in the data set is not counted.
    pub(crate) fn of_dispatch(plan: &Plan, kernel: &str, place: &str, rows: usize) -> Option<Self> {
        // The form of a product comes behind a dot.
        let kernel = kernel.split('.').next().unwrap_or(kernel);
        let stage = || plan.stages().iter().position(|stage| stage.layer.to_string() == place);
        let outputs = rows * plan.mlp().out_features();
        let targets = rows * plan.target_width();
        let gradient = number(plan.options().precision.is_mixed());
        Some(match kernel {
            "sample" if place == "targets" => Self::of(0, 2 * targets),
            "sample" => Self::of(0, 2 * rows * plan.mlp().in_features()),
            "cross_entropy" | "loss_elementwise" => {
                Self::moving(6 * outputs, (F32 + gradient) * outputs + F32 * targets)
            }
            "halve" => Self::moving(0, (F32 + F16) * plan.trained_len()),
            "scale" => Self::of(PARTIAL_SUMS, PARTIAL_SUMS),
            "gradient_norm" => Self::of(2 * plan.trained_len(), plan.trained_len()),
            // Every row in, and the parameters in and their gradients out for a workgroup at least.
            "fused" => {
                let flops = plan.flops_per_step() / plan.options().batch_size as u64;
                let numbers = rows * (plan.mlp().in_features() + plan.target_width());
                Self { flops: flops * rows as u64, ..Self::of(0, numbers + 2 * plan.trained_len()) }
            }
            "gradient_sum" if place == "net" => {
                Self::of(plan.trained_len(), 3 * plan.trained_len())
            }
            "optimizer" => {
                let (flops, numbers) = optimizer(plan);
                Self::of(flops, numbers)
            }
            _ => Self::of_stage(kernel, plan, stage()?, rows)?,
        })
    }

    /// A kernel of one stage.
    fn of_stage(kernel: &str, plan: &Plan, index: usize, rows: usize) -> Option<Self> {
        let stage = &plan.stages()[index];
        let (columns, elements) = (stage.in_features, rows * stage.out_features);
        let weights = columns * stage.out_features;
        let (inputs, parameters) = (rows * columns, weights + stage.out_features);
        let product = 2 * rows * weights;
        // Bytes of X, Y with what is kept behind it, W, dZ and dX.
        let stored = number(plan.options().precision.is_mixed());
        let x = inputs * number(index > 0 && plan.is_half(index - 1));
        let y = elements * (1 + usize::from(stage.keeps_apart())) * number(plan.is_half(index));
        let (w, dz, dx) = (weights * stored, elements * stored, inputs * stored);
        Some(match kernel {
            "linear_forward" => Self::moving(product, x + w + F32 * stage.out_features + y),
            "linear_backward_weight" => Self::moving(product, dz + x + F32 * parameters),
            // Of two slices at least.
            "gradient_sum" => Self::of(parameters, 3 * parameters),
            // The stage before tells the derivative of its activation.
            "linear_backward_input" => Self::moving(product, dz + w + x + dx),
            // A sine takes a dozen, an exponential and its argument six.
            "encoding_forward" => Self::moving(12 * elements, x + y),
            // Only where the host goes on with the gradient of the inputs.
            "encoding_backward" => Self::of(14 * elements, elements + 2 * inputs),
            "activation_forward" => Self::moving(elements, x + y),
            "activation_backward" => {
                Self::moving(2 * elements, 2 * dz + elements * number(plan.is_half(index)))
            }
            // Shifted by a first guess, summed and squared.
            "norm_statistics" => Self::moving(4 * elements, x),
            "norm_forward" => Self::moving(4 * elements, x + y),
            "norm_backward_columns" | "norm_backward_rows" => Self::moving(5 * elements, x + dz),
            "norm_backward_input" => Self::moving(8 * elements, 2 * x + dz + dx),
            _ => return None,
        })
    }
}

/// Bytes of a number as it is stored.
const fn number(is_half: bool) -> usize {
    if is_half { F16 } else { F32 }
}

/// FLOPs of the optimizer, and the numbers that it reads and writes: g, w twice, each moment twice.
fn optimizer(plan: &Plan) -> (usize, usize) {
    let options = plan.options();
    // With weight decay and the step itself.
    let flops = match options.optimizer.rule {
        Rule::Sgd { .. } | Rule::Lion { .. } => 6,
        Rule::Adagrad { .. } | Rule::Rmsprop { .. } => 10,
        Rule::Adam { .. } | Rule::Nadam { .. } => 14,
    };
    let trained = plan.trained_len();
    let mut numbers = (3 + 2 * options.optimizer.moments()) * trained;
    if options.ema.is_some() {
        // Of running statistics, which the optimizer else doesn't read, the average as well.
        numbers += 2 * plan.arena_len() + (plan.arena_len() - trained);
    }
    (flops * trained, numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Workload;
    use crate::plan::{Stage, StageOp};
    use crate::{Encoding, Mlp, Precision, TrainOptions};

    fn plan(workload: Workload) -> Plan {
        Plan::new(&workload.mlp(), &workload.options()).unwrap()
    }

    #[test]
    fn the_products_of_a_step_are_the_plans() {
        for workload in Workload::ALL {
            let plan = plan(workload);
            let rows = plan.options().batch_size;
            let linear = |stage: &&Stage| matches!(stage.op, StageOp::Linear { .. });
            let mut flops = 0;
            for (index, stage) in plan.stages().iter().filter(linear).enumerate() {
                for kernel in ["linear_forward", "linear_backward_weight", "linear_backward_input"]
                {
                    let place = stage.layer.to_string();
                    let work = Work::of_dispatch(&plan, kernel, &place, rows).unwrap();
                    if index > 0 || kernel != "linear_backward_input" {
                        flops += work.flops;
                    }
                }
            }
            assert_eq!(flops, plan.flops_per_step(), "{workload}");
        }
    }

    #[test]
    fn bytes_are_those_of_every_number_once() {
        let plan = plan(Workload::Digits);
        let work = |kernel, place| Work::of_dispatch(&plan, kernel, place, 64).unwrap();
        let forward = 4 * (64 * 784 + 784 * 128 + 128 + 64 * 128);
        assert_eq!(work("linear_forward", "0").bytes, forward);
        assert_eq!(work("linear_forward.tiled8.quads", "0").bytes, forward);
        assert_eq!(work("cross_entropy", "cross_entropy").bytes, 4 * 64 * (10 + 10 + 1));
        // g, w and two moments.
        assert_eq!(work("optimizer", "arena").bytes, 4 * 7 * plan.trained_len() as u64);
        assert!(Work::of_dispatch(&plan, "linear_forward", "9", 64).is_none());
        let mlp = Mlp::new(3).encoding(Encoding::one_blob(16)).linear(2);
        let plan = Plan::new(&mlp, plan.options()).unwrap();
        let work = |kernel| Work::of_dispatch(&plan, kernel, "0", 64).unwrap();
        assert_eq!(work("encoding_forward").bytes, 4 * 64 * (3 + 48));
        assert_eq!(work("encoding_backward").bytes, 4 * 64 * (48 + 3 + 3));
        assert!(Work::of_dispatch(&plan, "unheard_of", "0", 64).is_none());
    }

    #[test]
    fn mixed_precision_halves_what_is_stored() {
        let options = Workload::Digits.options();
        let options = TrainOptions { precision: Precision::Mixed, ..options };
        let plan = Plan::new(&Workload::Digits.mlp(), &options).unwrap();
        let work = |kernel, place| Work::of_dispatch(&plan, kernel, place, 64).unwrap().bytes;
        // The rows of the data set and the logits are f32.
        let forward = 4 * 64 * 784 + 2 * 784 * 128 + 4 * 128 + 2 * 64 * 128;
        assert_eq!(work("linear_forward", "0"), forward);
        let last = 2 * 64 * 128 + 2 * 128 * 10 + 4 * 10 + 4 * 64 * 10;
        assert_eq!(work("linear_forward", "2"), last);
        let backward = 2 * 64 * 10 + 2 * 64 * 128 + 4 * (128 * 10 + 10);
        assert_eq!(work("linear_backward_weight", "2"), backward);
        assert_eq!(work("halve", "arena"), 6 * plan.trained_len() as u64);
    }
}
