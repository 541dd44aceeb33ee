//! The fused step against the CPU engine, run on numbers that carry the error of f32.

use super::translation::variants;
use super::{U, random, word};
use crate::data::{Dataset, Targets};
use crate::engine::gpu::rig::{Arg, Checks, Rig};
use crate::engine::{Engine as _, Part, Step};
use crate::ops::fused::{Fused, FusedShape};
use crate::ops::loss::{LossInput, METRICS_GROUPS, RowMetrics, loss};
use crate::ops::step::StepUniform;
use crate::plan::{Plan, StageOp};
use crate::real::Real as _;
use crate::sampler::{Order, Sampling};
use crate::testing::assert_tracked;
use crate::tracked::{Tracked, exact};
use crate::{Activation, CpuEngine, Loss, Mlp, Optimizer, TrainOptions};

/// What the sums of a step hold that goes before.
const BEFORE: f32 = 0.125;
/// The slot that the step reports at.
const SLOT: u32 = 1;

/// A net, its data and the rows that a step takes of them.
struct Case {
    plan: Plan,
    data: Dataset,
    /// Rows of the step's batch before the part, and of the part.
    row0: u32,
    rows: u32,
}

impl Case {
    fn new(widths: &[usize], activation: Activation, loss: Loss, rows: u32) -> Self {
        let [inputs, hidden @ .., outputs] = widths else { panic!("a net has two ends") };
        let mlp = Mlp::with_hidden(*inputs, hidden, activation, *outputs);
        let data_rows = rows as usize + 5;
        let values = random(31, data_rows * outputs);
        let targets = match &loss {
            Loss::CrossEntropy { .. } => Targets::Classes {
                labels: (0..).take(data_rows).map(|i| i * 7 % word(*outputs)).collect(),
                classes: *outputs,
            },
            Loss::BceWithLogits { .. } => Targets::Values {
                values: values.iter().map(|v| v.abs()).collect(),
                width: *outputs,
            },
            _ => Targets::Values { values, width: *outputs },
        };
        let data = Dataset::new(random(30, data_rows * inputs), *inputs, targets).unwrap();
        let mut options = TrainOptions::new(loss, Optimizer::sgd(0.1));
        options.batch_size = rows as usize + 2;
        let plan = Plan::new(&mlp, &options).unwrap();
        Self { plan, data, row0: 2, rows }
    }

    fn weighted(mut self) -> Self {
        let weights = random(32, self.data.rows()).iter().map(|w| 1.5 + w).collect();
        self.data = self.data.with_weights(weights).unwrap();
        self
    }

    fn step(&self) -> Step {
        let order = Order::new(Sampling::Shuffled, 5, 1, 9);
        Step {
            number: 1,
            batch: self.rows + self.row0,
            first: 3,
            order,
            loss_scale: 1.0 / f64::from(self.rows),
            dropout_key: Step::dropout_key(5, 1),
            update: self.plan.updates().at(1, 0.0),
            insight: false,
        }
    }

    fn part(&self) -> Part {
        Part { row0: self.row0, rows: self.rows, is_first: true, is_last: true }
    }

    /// The rows of the data set that the part takes.
    fn taken(&self) -> Vec<usize> {
        let (step, data_rows) = (self.step(), word(self.data.rows()));
        let row = |index| step.order.row(data_rows, step.first, self.row0 + index) as usize;
        (0..self.rows).map(row).collect()
    }

    /// Gradients as the layers' twins compute them: of a step that is the part alone.
    fn gradients(&self) -> Vec<Tracked> {
        let mut engine = CpuEngine::<Tracked>::new(self.plan.clone());
        let data = engine.upload(&self.data).unwrap();
        let step = self.step();
        let step = Step { first: step.first + self.row0, batch: self.rows, ..step };
        engine.train(&data, &[step]).unwrap();
        engine.gradients().to_vec()
    }

    /// The sums of the metrics, from the formulas.
    fn metrics(&self) -> [Tracked; 4] {
        let (inputs, _) = self.rows_of(&self.taken());
        let mut x = exact(&inputs);
        let parameters = exact(&self.plan.initial_parameters());
        for stage in self.plan.stages() {
            let StageOp::Linear { tensors: [weight, bias] } = &stage.op else { panic!("linear") };
            let (weight, bias) = (&parameters[weight.range()], &parameters[bias.range()]);
            let mut y = Vec::new();
            for x in x.chunks_exact(stage.in_features) {
                for (w, &b) in weight.chunks_exact(stage.in_features).zip(bias) {
                    let z = w.iter().zip(x).map(|(&w, &x)| w * x).chain([b]).sum();
                    y.push(stage.activation.apply(z));
                }
            }
            x = y;
        }
        let options = self.plan.options();
        let taken = self.taken();
        let width = self.data.targets().width();
        let all = exact(&self.data.targets().to_f32());
        let target: Vec<_> =
            taken.iter().flat_map(|&r| &all[r * width..][..width]).copied().collect();
        let weights = exact(self.data.weights());
        let weights: Vec<_> = taken.iter().filter_map(|&r| weights.get(r)).copied().collect();
        let mut rows = vec![RowMetrics::default(); taken.len()];
        let input = LossInput {
            prediction: &x,
            target: &target,
            weight: &exact(&options.loss.weights(self.plan.mlp().out_features())),
            sample_weight: &weights,
            scale: Tracked::ONE,
        };
        loss(&options.loss, &input, &mut vec![Tracked::ZERO; x.len()], &mut rows);
        let sum = |of: fn(&RowMetrics<Tracked>) -> Tracked| rows.iter().map(of).sum();
        [sum(|r| r.loss), sum(|r| r.weight), sum(|r| r.score), sum(|r| r.not_finite)]
    }

    /// Gradients, summed over the workgroups, and metrics of the kernel.
    fn run(
        &self,
        fused: &Fused,
        checks: Checks,
        gathered: bool,
        accumulate: bool,
    ) -> (Vec<f32>, [f32; 4]) {
        let rig = Rig::get();
        let (step, part) = (self.step(), Part { is_first: !accumulate, ..self.part() });
        let data_rows = word(self.data.rows());
        let weighted = !self.data.weights().is_empty();
        let uniform = StepUniform::new(&step, part, data_rows, weighted, SLOT);
        let rows = if gathered { (0..self.data.rows()).collect() } else { self.taken() };
        let (inputs, targets) = self.rows_of(&rows);
        let flag = u32::from(gathered);
        let shape = FusedShape { gathered_inputs: flag, gathered_targets: flag, ..fused.shape };
        let parameters = self.plan.initial_parameters();
        let weight = self.plan.options().loss.weights(self.plan.mlp().out_features());
        let len = self.plan.trained_len();
        let groups = fused.groups as usize;
        let before = vec![BEFORE; groups * len];
        let elsewhere = vec![BEFORE; 3 * METRICS_GROUPS * 4];
        // What no row is kept in.
        let kept = vec![0.0; fused.buffer_lens()[0]];
        let (kernel, choices) = fused.kernel(&self.plan.options().loss);
        let uniforms = [("shape", rig.uniform(&shape))];
        let args = [
            ("input", Arg::Read(&inputs)),
            ("target_values", Arg::Read(&targets)),
            ("weight", Arg::Read(&weight)),
            ("parameters", Arg::Read(&parameters)),
            ("kept", Arg::Updated(&kept)),
            ("partials", Arg::Updated(&before)),
            ("metrics", Arg::Updated(&elsewhere)),
        ];
        let run = rig.run_with(checks, kernel, &choices, fused.grid(), &uniform, &uniforms, &args);
        let [_, partials, metrics] = &run[..] else { panic!("three are written") };

        let begun = if accumulate { f64::from(BEFORE) } else { 0.0 };
        let is_padding = |i: usize| !self.plan.tensors().any(|t| t.range().contains(&i));
        let sum = |i: usize| -> f64 {
            let of_groups = partials.chunks_exact(len).map(|partial| partial[i]);
            if is_padding(i) {
                assert!(of_groups.clone().all(|x| x == BEFORE || x == 0.0), "padding {i}");
                return 0.0;
            }
            of_groups.map(|x| f64::from(x) - begun).sum()
        };
        #[expect(clippy::cast_possible_truncation, reason = "compared as f32")]
        let gradients = (0..len).map(|i| sum(i) as f32).collect();
        let (slot, others) = (SLOT as usize * METRICS_GROUPS * 4, groups * 4);
        let (front, back) = metrics.split_at(slot);
        let (reports, back) = back.split_at(others);
        assert!(front.iter().chain(back).all(|&x| x == BEFORE), "other places of the metrics");
        let mut sums = [0.0; 4];
        for report in reports.chunks_exact(4) {
            sums.iter_mut().zip(report).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        #[expect(clippy::cast_possible_truncation, reason = "compared as f32")]
        (gradients, sums.map(|sum| sum as f32))
    }

    /// Inputs and targets, each followed by its weight if there are weights, of these rows.
    fn rows_of(&self, rows: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let columns = self.data.in_features();
        let inputs = rows.iter().flat_map(|&r| &self.data.inputs()[r * columns..][..columns]);
        let all = self.data.targets().to_f32();
        let width = self.data.targets().width();
        let targets = rows.iter().flat_map(|&r| {
            let weight = self.data.weights().get(r);
            all[r * width..][..width].iter().chain(weight)
        });
        (inputs.copied().collect(), targets.copied().collect())
    }
}

/// Widths at and beside the tiles' 32, 64 and 128, one layer and many; rows at and beside a tile.
fn cases() -> Vec<Case> {
    let smooth = Loss::CrossEntropy { label_smoothing: 0.1, class_weights: vec![0.5, 1.0, 2.0] };
    let positive = Loss::BceWithLogits { pos_weight: vec![2.0, 0.5] };
    vec![
        Case::new(&[2, 8, 8, 3], Activation::Relu, Loss::Mse, 64),
        Case::new(&[1, 1], Activation::Identity, Loss::Mae, 1),
        Case::new(&[5, 33, 20, 3], Activation::Silu, smooth, 70).weighted(),
        Case::new(&[64, 64, 64, 10], Activation::Softplus, Loss::CROSS_ENTROPY, 33),
        Case::new(&[127, 128, 65], Activation::Tanh, Loss::Huber { delta: 0.3 }, 31),
        Case::new(&[3, 16, 16, 16, 16, 2], Activation::Sine { omega0: 2.0 }, positive, 130),
    ]
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_fused_step_is_that_of_its_layers() {
    for case in cases() {
        let (gradients, metrics) = (case.gradients(), case.metrics());
        // Compiling takes longer than all else: one with checks, the other without.
        for (panels, checks) in [(1, Checks::On), (2, Checks::Off)] {
            let mut fused = Fused::with_panels(&case.plan, panels).unwrap();
            // One workgroup takes tile after tile; of five one at least has none.
            for groups in [1, 5] {
                fused.groups = groups;
                let gathered = (groups == 5) == (panels == 1);
                println!("{} in {groups} workgroups, {panels} panels", case.plan.mlp());
                let accumulate = groups == 1;
                let (got, sums) = case.run(&fused, checks, gathered, accumulate);
                // Where the sums of a part before are added to, each tile of at least 16 rows is
                // rounded with them.
                let roundings =
                    if accumulate { 1.0 + f64::from(case.rows.div_ceil(16)) } else { 0.0 };
                let with = |g: &Tracked| {
                    g.widened(roundings * U * (f64::from(BEFORE) + g.value.abs() + g.error))
                };
                assert_tracked(&got, &gradients.iter().map(with).collect::<Vec<_>>());
                assert_tracked(&sums, &metrics);
            }
        }
    }
}

#[test]
fn nets_that_do_not_suit_are_refused_with_the_reason() {
    let plan = |mlp: Mlp| Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)));
    let limits = |bytes: u32| wgpu::Limits {
        max_compute_workgroup_storage_size: bytes,
        ..wgpu::Limits::default()
    };
    let reason = |mlp: Mlp, bytes: u32| Fused::of(&plan(mlp).unwrap(), &limits(bytes)).unwrap_err();
    let relu = Activation::Relu;
    let small = || Mlp::with_hidden(2, &[8], relu, 1);
    assert!(Fused::of(&plan(small()).unwrap(), &limits(16 << 10)).is_ok());
    assert!(
        reason(small(), 8 << 10).contains("8192 bytes of memory, not 1"),
        "{}",
        reason(small(), 8 << 10)
    );
    for (mlp, why) in [
        (Mlp::with_hidden(2, &[129], relu, 1), "a width of 129 is above 128"),
        (Mlp::with_hidden(2, &[4; 16], relu, 1), "17 layers, more than 16"),
        (Mlp::with_hidden(2, &[4], relu, 1).activation(Activation::Tanh), "ends in an activation"),
        (
            Mlp::new(2).linear(4).activation(relu).linear(4).linear(1),
            "layer 2 has another activation",
        ),
        (Mlp::new(2).linear(4).dropout(0.5).linear(1), "dropout follows layer 0"),
        (Mlp::new(2).linear(4).layer_norm().linear(1), "layer 1 isn't linear"),
    ] {
        let got = reason(mlp, 32 << 10);
        assert!(got.contains(why), "{got}");
    }
}

/// 16 KiB is what every device has, 32 what most have.
#[test]
fn tiles_fit_the_memory_of_a_workgroup() {
    for (widths, panels, bytes) in [
        ([8, 8], 1, 16 << 10),
        ([64, 8], 1, 16 << 10),
        ([128, 8], 1, 16 << 10),
        ([8, 8], 2, 32 << 10),
        ([64, 8], 2, 32 << 10),
        ([128, 8], 2, 32 << 10),
    ] {
        let case = Case::new(&widths, Activation::Relu, Loss::Mse, 8);
        let fused = Fused::with_panels(&case.plan, panels).unwrap();
        let needed = fused.shared_bytes();
        let (kernel, choices) = fused.kernel(&Loss::Mse);
        let declared = variants(&[kernel]).find(|variant| variant.choices == choices).unwrap();
        assert_eq!(needed, declared.workgroup_bytes(), "{declared}");
        assert!(needed <= bytes, "{widths:?} with {panels} panels: {needed}");
    }
}
