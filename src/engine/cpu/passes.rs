//! The passes of the CPU engine over the stages of its plan: forward, loss, backward.

use super::{CpuData, CpuEngine};
use crate::engine::{Metrics, Part, Step};
use crate::ops::epilogue::{Draw, Epilogue};
use crate::ops::loss::LossInput;
use crate::ops::norm::{Affine, NormInput, Statistics};
use crate::ops::{linear, loss, metrics, norm, sample};
use crate::plan::{Norm, StageOp, Tensor};
use crate::real::Real;

impl<T: Real> CpuEngine<T> {
    /// Computes the activations of all stages for the rows in `batch_inputs`; `draw` is there in
    /// training only.
    pub(super) fn forward(&mut self, rows: usize, draw: Option<&Draw>) {
        let capacity = self.plan.capacity();
        for (index, stage) in self.plan.stages().iter().enumerate() {
            let (before, rest) = self.activations.split_at_mut(index);
            let input = match before.last() {
                Some(previous) => &previous[..rows * stage.in_features],
                None => &self.batch_inputs[..rows * stage.in_features],
            };
            let len = rows * stage.out_features;
            let offset = stage.kept_offset(capacity).min(rest[0].len());
            let (output, kept) = rest[0].split_at_mut(offset);
            let output = &mut output[..len];
            let kept_len = if kept.is_empty() { 0 } else { len };
            let kept = &mut kept[..kept_len];
            let epilogue = Epilogue::of(stage);
            match &stage.op {
                StageOp::Linear { tensors: [weight, bias] } => {
                    let [weight, bias] =
                        [weight, bias].map(|tensor| &self.parameters[tensor.range()]);
                    linear::linear_forward(&epilogue, draw, input, weight, bias, output, kept);
                }
                StageOp::Norm(norm) => {
                    let columns = stage.in_features;
                    let groups = norm.groups(rows, columns);
                    let statistics = &mut self.statistics[index][..groups];
                    statistics_of(norm, draw, columns, input, statistics, &mut self.parameters);
                    let statistics = &self.statistics[index][..groups];
                    let affine = affine(norm, &self.parameters);
                    NormInput { norm, columns, input, statistics, affine }
                        .forward(&epilogue, draw, output, kept);
                }
                StageOp::Pass => {
                    output.copy_from_slice(input);
                    epilogue.forward(draw, stage.out_features, output, kept);
                }
            }
        }
    }

    pub(super) fn forward_and_loss(
        &mut self,
        data: &CpuData<T>,
        step: &Step,
        part: Part,
    ) -> Metrics {
        let rows = part.rows as usize;
        let (inputs, targets) = (self.plan.mlp().in_features(), self.plan.target_width());
        let outputs = self.plan.mlp().out_features();
        let gather = |columns: usize, from: &[T], into: &mut [T]| {
            sample::sample(&step.order, step.first, part.row0, columns, from, into);
        };
        gather(inputs, &data.inputs, &mut self.batch_inputs[..rows * inputs]);
        gather(targets, &data.targets, &mut self.batch_targets[..rows * targets]);
        let weighted = if data.weights.is_empty() { 0 } else { rows };
        gather(1, &data.weights, &mut self.batch_weights[..weighted]);
        self.forward(rows, draw_of(step, part).as_ref());
        let last = &self.activations[self.activations.len() - 1];
        let input = LossInput {
            prediction: &last[..rows * outputs],
            target: &self.batch_targets[..rows * targets],
            weight: &self.loss_weights,
            sample_weight: &self.batch_weights[..weighted],
            scale: T::from_f64(step.loss_scale),
        };
        let gradient = &mut self.errors[0][..rows * outputs];
        let row_metrics = &mut self.row_metrics[..rows];
        loss::loss(&self.plan.options().loss, &input, gradient, row_metrics);
        Metrics::new(part.rows, metrics::metrics(&self.row_metrics[..rows]))
    }

    /// Gradients of all parameters from dL/dY of the last stage in `errors[0]`.
    pub(super) fn backward(&mut self, step: &Step, part: Part) {
        let (capacity, rows) = (self.plan.capacity(), part.rows as usize);
        let draw = draw_of(step, part);
        let draw = draw.as_ref();
        let accumulate = !part.is_first;
        let stages = self.plan.stages();
        let kept = |index: usize| {
            let start = stages[index].kept(capacity).start;
            &self.activations[index][start..start + rows * stages[index].out_features]
        };
        let [current, previous] = &mut self.errors;
        let last = self.plan.last_stage();
        let gradient = &mut current[..rows * last.out_features];
        Epilogue::of(last).backward(draw, last.out_features, kept(stages.len() - 1), gradient);
        let first = self.plan.first_trained();
        for (index, stage) in stages.iter().enumerate().skip(first).rev() {
            let gradient_output = &mut current[..rows * stage.out_features];
            let input = match index {
                0 => &self.batch_inputs[..rows * stage.in_features],
                _ => &self.activations[index - 1][..rows * stage.in_features],
            };
            // Where the gradient goes on to, with the epilogue that it passes on the way.
            let below = (index > first).then(|| {
                let into = &mut previous[..rows * stage.in_features];
                (Epilogue::of(&stages[index - 1]), kept(index - 1), into)
            });
            match &stage.op {
                StageOp::Linear { tensors: [weight, bias] } => {
                    let [gradient_weight, gradient_bias] =
                        disjoint(&mut self.gradients, [weight, bias]);
                    linear::linear_backward_weight(
                        accumulate,
                        gradient_output,
                        input,
                        gradient_weight,
                        gradient_bias,
                    );
                    if let Some((epilogue, kept, into)) = below {
                        linear::linear_backward_input(
                            &epilogue,
                            draw,
                            gradient_output,
                            &self.parameters[weight.range()],
                            stage.out_features,
                            kept,
                            into,
                        );
                    }
                }
                StageOp::Norm(norm) => {
                    let columns = stage.in_features;
                    let groups = norm.groups(rows, columns);
                    let sums = &mut self.sums[index];
                    let normal = NormInput {
                        norm,
                        columns,
                        input,
                        statistics: &self.statistics[index][..groups],
                        affine: affine(norm, &self.parameters),
                    };
                    let [weight, bias] = match &norm.affine {
                        Some([weight, bias]) => disjoint(&mut self.gradients, [weight, bias]),
                        None => [&mut [] as &mut [T], &mut []],
                    };
                    let of_columns = &mut sums[..columns];
                    normal.backward_columns(accumulate, gradient_output, of_columns, weight, bias);
                    if norm.per_row {
                        normal.backward_rows(gradient_output, &mut sums[..groups]);
                    }
                    let sums = &sums[..groups];
                    if let Some((epilogue, kept, into)) = below {
                        normal.backward_input(&epilogue, draw, sums, gradient_output, kept, into);
                    }
                }
                StageOp::Pass => {
                    if let Some((epilogue, kept, into)) = below {
                        into.copy_from_slice(gradient_output);
                        epilogue.backward(draw, stage.in_features, kept, into);
                    }
                }
            }
            std::mem::swap(current, previous);
        }
    }
}

/// The statistics that a norm takes: of the batch, or in evaluation the running ones, if there are
/// any. In training these move.
fn statistics_of<T: Real>(
    norm: &Norm,
    draw: Option<&Draw>,
    columns: usize,
    input: &[T],
    statistics: &mut [Statistics<T>],
    parameters: &mut [T],
) {
    match (&norm.running, draw) {
        (Some([mean, var]), Some(_)) => {
            let running = disjoint(parameters, [mean, var]);
            norm::norm_statistics(norm, columns, input, statistics, running);
        }
        (Some(running), None) => {
            let running = running.each_ref().map(|tensor| &parameters[tensor.range()]);
            norm::running_statistics(norm, running, statistics);
        }
        (None, _) => {
            norm::norm_statistics(norm, columns, input, statistics, [&mut [], &mut []]);
        }
    }
}

fn affine<'a, T: Real>(norm: &Norm, parameters: &'a [T]) -> Affine<'a, T> {
    match &norm.affine {
        Some([weight, bias]) => {
            Affine { weight: &parameters[weight.range()], bias: &parameters[bias.range()] }
        }
        None => Affine::NONE,
    }
}

/// Two tensors of an arena.
///
/// # Panics
/// If they overlap, which planned tensors never do.
fn disjoint<'a, T>(arena: &'a mut [T], [a, b]: [&Tensor; 2]) -> [&'a mut [T]; 2] {
    match arena.get_disjoint_mut([a.range(), b.range()]) {
        Ok(tensors) => tensors,
        Err(e) => panic!("tensors {} and {}: {e}", a.name, b.name),
    }
}

/// What dropout draws in a part of a step; nothing in an evaluation.
fn draw_of(step: &Step, part: Part) -> Option<Draw> {
    step.is_training().then_some(Draw { key: step.dropout_key, row0: part.row0 })
}
