//! What a dispatch computes and moves, from the plan alone.

use crate::optimizer::Rule;
use crate::plan::{Plan, Stage};

/// Bytes of one number.
const F32: usize = 4;

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
        Self { flops: flops as u64, bytes: (F32 * numbers) as u64 }
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
        let stage = || plan.stages().iter().find(|stage| stage.layer.to_string() == place);
        let outputs = rows * plan.mlp().out_features();
        let targets = rows * plan.target_width();
        Some(match kernel {
            "sample" if place == "targets" => Self::of(0, 2 * targets),
            "sample" => Self::of(0, 2 * rows * plan.mlp().in_features()),
            "cross_entropy" | "loss_elementwise" => Self::of(6 * outputs, 2 * outputs + targets),
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
            _ => Self::of_stage(kernel, stage()?, rows)?,
        })
    }

    /// A kernel of one stage.
    fn of_stage(kernel: &str, stage: &Stage, rows: usize) -> Option<Self> {
        let (columns, elements) = (stage.in_features, rows * stage.out_features);
        let written = elements * (1 + usize::from(stage.keeps_apart()));
        let input = rows * columns;
        let weights = columns * stage.out_features;
        let product = 2 * rows * weights;
        Some(match kernel {
            "linear_forward" => Self::of(product, input + weights + stage.out_features + written),
            "linear_backward_weight" => {
                Self::of(product, elements + input + weights + stage.out_features)
            }
            // Of two slices at least.
            "gradient_sum" => {
                let gradients = weights + stage.out_features;
                Self::of(gradients, 3 * gradients)
            }
            // The stage before tells the derivative of its activation.
            "linear_backward_input" => Self::of(product, elements + weights + 2 * input),
            // A sine takes a dozen, an exponential and its argument six.
            "encoding_forward" => Self::of(12 * elements, input + written),
            "encoding_backward" => Self::of(14 * elements, elements + 2 * input),
            "activation_forward" => Self::of(elements, elements + written),
            "activation_backward" => Self::of(2 * elements, 3 * elements),
            // Shifted by a first guess, summed and squared.
            "norm_statistics" => Self::of(4 * elements, elements),
            "norm_forward" => Self::of(4 * elements, elements + written),
            "norm_backward_columns" => Self::of(5 * elements, 2 * elements),
            "norm_backward_rows" => Self::of(5 * elements, 2 * elements),
            "norm_backward_input" => Self::of(8 * elements, 4 * elements),
            _ => return None,
        })
    }
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
    let averages = usize::from(options.ema.is_some());
    let numbers = 3 + 2 * options.optimizer.moments() + 2 * averages;
    (flops * plan.trained_len(), numbers * plan.trained_len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Workload;
    use crate::plan::StageOp;
    use crate::{Encoding, Mlp};

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
}
