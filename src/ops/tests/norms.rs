//! Batch and layer norms: the kernels against their twins.

use super::{SCALING, batch_of, random};
use crate::engine::gpu::rig::{Arg, Rig};
use crate::ops::epilogue::Epilogue;
use crate::ops::norm::{
    Affine, NORM_BACKWARD_COLUMNS, NORM_BACKWARD_INPUT, NORM_BACKWARD_ROWS, NORM_FORWARD,
    NORM_STATISTICS, NormInput, NormShape, Statistics, choices, column_statistics, row_statistics,
    running_statistics,
};
use crate::ops::step::StepUniform;
use crate::plan::{Norm, Stage, StageOp};
use crate::real::Real;
use crate::testing::{assert_tracked, assert_within_f64};
use crate::tracked::Tracked;
use crate::{Activation, BatchNorm, Layer, LayerNorm, Loss, Mlp, Optimizer, Plan, TrainOptions};

const NONE: Epilogue = Epilogue { activation: Activation::Identity, dropout: None };

/// The fixture's numbers: a hash of the index, uniform in [0, 1).
fn uniform(salt: u32, n: usize) -> f64 {
    let n = u32::try_from(n).unwrap();
    let mut h =
        n.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)).wrapping_add(12_345);
    for _ in 0..2 {
        h = (h ^ (h >> 15)).wrapping_mul(2_246_822_519);
        h ^= h >> 13;
    }
    f64::from(h >> 8) / 16_777_216.0
}

fn numbers(salt: u32, len: usize, formula: impl Fn(f64) -> f64) -> Vec<f32> {
    (0..len).map(|n| f32::from_f64(formula(uniform(salt, n)))).collect()
}

/// A norm's inputs, parameters and the gradient of its output.
pub(super) struct Problem {
    norm: Norm,
    rows: usize,
    columns: usize,
    input: Vec<f32>,
    gradient: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    running: [Vec<f32>; 2],
}

/// Everything that a norm computes.
pub(super) struct Outcome<T> {
    pub output: Vec<T>,
    pub input_gradient: Vec<T>,
    pub weight_gradient: Vec<T>,
    pub bias_gradient: Vec<T>,
    pub running: [Vec<T>; 2],
    pub eval_output: Vec<T>,
}

impl Problem {
    pub(super) fn new(layer: Layer, rows: usize, columns: usize, mean: f64) -> Self {
        let mlp = Mlp::new(columns).layer(layer).linear(1);
        let options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1));
        let plan = Plan::new(&mlp, &options).unwrap();
        let Stage { op: StageOp::Norm(norm), .. } = &plan.stages()[0] else { unreachable!() };
        Self {
            norm: norm.clone(),
            rows,
            columns,
            input: numbers(1, rows * columns, |u| mean + 12_f64.sqrt() * (u - 0.5)),
            gradient: numbers(2, rows * columns, |u| u - 0.5),
            weight: numbers(3, columns, |u| 0.5 + u),
            bias: numbers(4, columns, |u| u - 0.5),
            running: [numbers(5, columns, |u| u), numbers(6, columns, |u| 0.5 + u)],
        }
    }

    fn groups(&self) -> usize {
        self.norm.groups(self.rows, self.columns)
    }

    /// What the twins compute.
    pub(super) fn twins<T: Real>(&self) -> Outcome<T> {
        let cast = |x: &[f32]| -> Vec<T> { x.iter().map(|&x| T::from_f32(x)).collect() };
        let (norm, columns, len) = (&self.norm, self.columns, self.input.len());
        let (input, gradient) = (cast(&self.input), cast(&self.gradient));
        let (weight, bias) = (cast(&self.weight), cast(&self.bias));
        let affine = match norm.affine {
            Some(_) => Affine { weight: &weight, bias: &bias },
            None => Affine::NONE,
        };
        let tracked = if norm.running.is_some() { columns } else { 0 };
        let mut running = self.running.each_ref().map(|r| cast(&r[..tracked]));
        let mut statistics = vec![Statistics::default(); self.groups()];
        let [mean, var] = &mut running;
        if norm.per_row {
            row_statistics(norm, columns, &input, &mut statistics);
        } else {
            column_statistics(norm, columns, &input, 0, &mut statistics, [mean, var]);
        }
        let normal = NormInput { norm, columns, input: &input, statistics: &statistics, affine };
        let zeros = || vec![T::ZERO; len];
        let (mut output, mut input_gradient) = (zeros(), zeros());
        normal.forward(&NONE, None, &mut output, &mut []);
        let mut sums = vec![[T::ZERO; 2]; columns];
        let parameters = if norm.affine.is_some() { columns } else { 0 };
        let (mut dw, mut db) = (vec![T::ZERO; parameters], vec![T::ZERO; parameters]);
        normal.backward_columns(false, &gradient, 0, &mut sums, [&mut dw, &mut db]);
        if norm.per_row {
            sums.resize(self.rows, [T::ZERO; 2]);
            normal.backward_rows(&gradient, &mut sums);
        }
        normal.backward_input(&NONE, None, self.rows, &sums, &gradient, &[], &mut input_gradient);
        let mut eval_output = Vec::new();
        if tracked > 0 {
            let [mean, var] = &running;
            let mut statistics = statistics.clone();
            running_statistics(norm, [mean, var], &mut statistics);
            eval_output = zeros();
            let normal = NormInput { statistics: &statistics, ..normal };
            normal.forward(&NONE, None, &mut eval_output, &mut []);
        }
        Outcome {
            output,
            input_gradient,
            weight_gradient: dw,
            bias_gradient: db,
            running,
            eval_output,
        }
    }

    /// What the kernels compute, with and without runtime checks.
    pub(super) fn kernels(&self) -> [Outcome<f32>; 2] {
        let rig = Rig::get();
        let (norm, columns, len) = (&self.norm, self.columns, self.input.len());
        let shape = NormShape::new(norm, columns);
        let uniforms = [("shape", rig.uniform(&shape))];
        let with_epilogue =
            [("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&NONE.uniform(0)))];
        let training = StepUniform { training: 1, ..batch_of(self.rows) };
        let [activation, dropout] = NONE.choices();
        let [per_row, affine] = choices(norm);
        let elementwise = [activation, dropout, per_row, affine];
        let statistics = |step: &StepUniform, running: &[Vec<f32>; 2]| {
            rig.run(
                &NORM_STATISTICS,
                &[per_row],
                shape.groups_grid(norm.per_row),
                step,
                &uniforms,
                &[
                    ("input", Arg::Read(&self.input)),
                    ("statistics", Arg::Written(3 * self.groups())),
                    ("running_mean", Arg::Updated(&running[0])),
                    ("running_var", Arg::Updated(&running[1])),
                ],
            )
        };
        let forward = |step: &StepUniform, statistics: &[f32]| {
            rig.run(
                &NORM_FORWARD,
                &elementwise,
                shape.elements_grid(),
                step,
                &with_epilogue,
                &[
                    ("input", Arg::Read(&self.input)),
                    ("statistics", Arg::Read(statistics)),
                    ("weight", Arg::Read(&self.weight)),
                    ("bias", Arg::Read(&self.bias)),
                    ("output", Arg::Written(len)),
                ],
            )
        };
        let of_batch = statistics(&training, &self.running);
        let running = [of_batch[0][1].clone(), of_batch[0][2].clone()];
        assert_eq!(of_batch[0], of_batch[1], "checks change the statistics");
        let of_batch = &of_batch[0][0];
        let columns_run = rig
            .run(
                &NORM_BACKWARD_COLUMNS,
                &[per_row, affine],
                shape.columns_grid(),
                &training,
                &uniforms,
                &[
                    ("input", Arg::Read(&self.input)),
                    ("statistics", Arg::Read(of_batch)),
                    ("gradient_output", Arg::Read(&self.gradient)),
                    (
                        "sums",
                        if norm.per_row { Arg::Updated(&[0.5]) } else { Arg::Written(2 * columns) },
                    ),
                    ("gradient_weight", self.gradient_arg()),
                    ("gradient_bias", self.gradient_arg()),
                    ("scaling", Arg::Read(&SCALING)),
                ],
            )
            .map(|run| if norm.affine.is_some() { unscaled(run) } else { run });
        let mut sums = columns_run[0][0].clone();
        if norm.per_row {
            assert_eq!(sums, [0.5], "the columns' kernel wrote a layer norm's sums");
            let rows_run = rig.run(
                &NORM_BACKWARD_ROWS,
                &[per_row, affine],
                shape.groups_grid(true),
                &training,
                &uniforms,
                &[
                    ("input", Arg::Read(&self.input)),
                    ("statistics", Arg::Read(of_batch)),
                    ("weight", Arg::Read(&self.weight)),
                    ("gradient_output", Arg::Read(&self.gradient)),
                    ("sums", Arg::Written(2 * self.rows)),
                ],
            );
            sums.clone_from(&rows_run[0][0]);
        }
        let input_run = rig.run(
            &NORM_BACKWARD_INPUT,
            &elementwise,
            shape.elements_grid(),
            &training,
            &with_epilogue,
            &[
                ("input", Arg::Read(&self.input)),
                ("statistics", Arg::Read(of_batch)),
                ("sums", Arg::Read(&sums)),
                ("weight", Arg::Read(&self.weight)),
                ("gradient_output", Arg::Read(&self.gradient)),
                ("kept", Arg::Read(&self.input)),
                ("gradient_input", Arg::Written(len)),
            ],
        );
        let evaluation = batch_of(self.rows);
        let eval_statistics = statistics(&evaluation, &running);
        assert_eq!(eval_statistics[0][1], running[0], "evaluation moved the running mean");
        let outputs = forward(&training, of_batch);
        let eval_outputs = forward(&evaluation, &eval_statistics[0][0]);
        let tracked = norm.running.is_some();
        [0, 1].map(|mode| Outcome {
            output: outputs[mode][0].clone(),
            input_gradient: input_run[mode][0].clone(),
            weight_gradient: columns_run[mode][1].clone(),
            bias_gradient: columns_run[mode][2].clone(),
            running: running.clone(),
            eval_output: if tracked { eval_outputs[mode][0].clone() } else { Vec::new() },
        })
    }

    fn gradient_arg(&self) -> Arg<'_> {
        if self.norm.affine.is_some() { Arg::Written(self.columns) } else { Arg::Updated(&[0.25]) }
    }
}

fn layers() -> [Layer; 5] {
    let (batch, layer) = (BatchNorm::default(), LayerNorm::default());
    [
        Layer::BatchNorm(batch),
        Layer::LayerNorm(layer),
        Layer::BatchNorm(batch.affine(false).eps(1e-3)),
        Layer::BatchNorm(batch.track_running_stats(false)),
        Layer::LayerNorm(layer.affine(false)),
    ]
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn norm_kernels_match_their_twins() {
    for layer in layers() {
        for (rows, columns) in [(2, 1), (3, 7), (15, 17), (16, 16), (17, 33), (64, 65), (200, 3)] {
            for mean in [0.0, 1e4] {
                let problem = Problem::new(layer, rows, columns, mean);
                let want = problem.twins::<Tracked>();
                for got in problem.kernels() {
                    assert_tracked(&got.output, &want.output);
                    assert_tracked(&got.input_gradient, &want.input_gradient);
                    if problem.norm.affine.is_some() {
                        assert_tracked(&got.weight_gradient, &want.weight_gradient);
                        assert_tracked(&got.bias_gradient, &want.bias_gradient);
                    } else {
                        assert_eq!(got.weight_gradient, [0.25]);
                        assert_eq!(got.bias_gradient, [0.25]);
                    }
                    if problem.norm.running.is_some() {
                        assert_tracked(&got.running[0], &want.running[0]);
                        assert_tracked(&got.running[1], &want.running[1]);
                        assert_tracked(&got.eval_output, &want.eval_output);
                    } else {
                        assert_eq!(got.running, problem.running);
                    }
                }
            }
        }
    }
}

/// The columns' sums are added to what other parts of the batch left.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn norm_gradients_add_up_over_parts() {
    let rig = Rig::get();
    let problem = Problem::new(Layer::BatchNorm(BatchNorm::default()), 9, 5, 0.0);
    let shape = NormShape::new(&problem.norm, 5);
    let before = [1.0, 2.0, 3.0, 4.0, 5.0];
    let statistics: Vec<f32> = [0.0, 0.0, 1.0].repeat(5);
    let run = |accumulate, gradient: fn(&'static [f32]) -> Arg<'static>| {
        static BEFORE: [f32; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];
        rig.run(
            &NORM_BACKWARD_COLUMNS,
            &choices(&problem.norm),
            shape.columns_grid(),
            &StepUniform { accumulate, training: 1, ..batch_of(9) },
            &[("shape", rig.uniform(&shape))],
            &[
                ("input", Arg::Read(&problem.input)),
                ("statistics", Arg::Read(&statistics)),
                ("gradient_output", Arg::Read(&problem.gradient)),
                ("sums", Arg::Written(10)),
                ("gradient_weight", gradient(&BEFORE)),
                ("gradient_bias", gradient(&BEFORE)),
                ("scaling", Arg::Read(&SCALING)),
            ],
        )
    };
    let first = run(0, |before| Arg::Written(before.len()));
    let later = run(1, Arg::Updated);
    for (first, later) in first.iter().zip(&later) {
        for k in [1, 2] {
            let sums: Vec<f32> = first[k].iter().zip(before).map(|(g, b)| g + b).collect();
            assert_eq!(later[k], sums);
        }
        assert_eq!(first[0], later[0], "the sums are the part's own");
    }
}

/// What the columns' kernel gives, with dγ and dβ as if nothing were scaled.
fn unscaled(mut run: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    run[1..].iter_mut().flatten().for_each(|gradient| *gradient *= SCALING[0]);
    run
}

#[test]
fn a_large_mean_costs_no_digits() {
    for layer in layers() {
        let problem = Problem::new(layer, 64, 7, 1e4);
        let shifted = Problem {
            input: problem.input.iter().map(|x| x - 1e4).collect(),
            ..Problem::new(layer, 64, 7, 0.0)
        };
        let (far, near) = (problem.twins::<f32>(), shifted.twins::<f64>());
        assert_within_f64(
            &far.output.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(),
            &near.output,
            |_| 2e-6,
        );
    }
}

#[test]
fn columns_in_parts_have_the_bits_of_the_whole() {
    // More rows than are done at once, and parts that end within and at vectors.
    let (rows, columns) = (70, 150);
    let norm = Norm { per_row: false, eps: 1e-5, momentum: 0.1, affine: None, running: None };
    let (input, dz) = (random(40, rows * columns), random(41, rows * columns));
    let mut whole = vec![Statistics::default(); columns];
    column_statistics(&norm, columns, &input, 0, &mut whole, [&mut [], &mut []]);
    let normal = |statistics| NormInput {
        norm: &norm,
        columns,
        input: &input,
        statistics,
        affine: Affine::NONE,
    };
    let mut whole_sums = vec![[0.0; 2]; columns];
    normal(&whole).backward_columns(false, &dz, 0, &mut whole_sums, [&mut [], &mut []]);
    for part in [64, 16, 7] {
        let mut parts = vec![Statistics::default(); columns];
        for (index, part_of) in parts.chunks_mut(part).enumerate() {
            column_statistics(&norm, columns, &input, index * part, part_of, [&mut [], &mut []]);
        }
        assert_eq!(whole, parts, "{part} columns at once");
        let mut sums = vec![[0.0; 2]; columns];
        for (index, sums) in sums.chunks_mut(part).enumerate() {
            let none = [&mut [] as &mut [f32], &mut []];
            normal(&whole).backward_columns(false, &dz, index * part, sums, none);
        }
        assert_eq!(whole_sums, sums, "{part} columns at once");
    }
}
