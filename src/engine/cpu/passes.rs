//! The passes of a lane over the stages of its plan: forward and backward.

use super::lane::{Lane, Net};
use crate::blocks::{Rows, RowsMut, in_blocks};
use crate::engine::{Part, Step};
use crate::matmul::{Matrix, Panels, Right, TILE_COLUMNS, TILE_ROWS, pack_panel};
use crate::ops::encoding::encoding_forward;
use crate::ops::epilogue::{Draw, Epilogue};
use crate::ops::linear::{self, LinearWeight, WeightGradient};
use crate::ops::norm::{self, Affine, NormInput, Statistics};
use crate::plan::{Norm, StageOp, Tensor};
use crate::real::Real;

/// Columns of which threads divide a batch norm's sums: four cache lines of a row.
const COLUMNS: usize = 64;
/// What an activation costs, in multiply-adds an element.
const EPILOGUE: usize = 16;

impl<T: Real> Lane<T> {
    /// Computes the activations of all stages for the rows in `batch_inputs`; `draw` is there in
    /// training only, which moves the `running` statistics.
    pub(super) fn forward(
        &mut self,
        net: &Net<'_, T>,
        running: &mut [T],
        rows: usize,
        draw: Option<&Draw>,
    ) {
        let capacity = net.division.rows;
        for (index, stage) in net.plan.stages().iter().enumerate() {
            let (inputs, outputs) = (stage.in_features, stage.out_features);
            let (before, rest) = self.activations.split_at_mut(index);
            let input = match before.last() {
                Some(previous) => &previous[..rows * inputs],
                None => &self.batch_inputs[..rows * inputs],
            };
            let offset = stage.kept_offset(capacity).min(rest[0].len());
            let (output, kept) = rest[0].split_at_mut(offset);
            let kept_len = if kept.is_empty() { 0 } else { rows * outputs };
            let epilogue = Epilogue::of(stage);
            if let StageOp::Norm(norm) = &stage.op {
                let statistics = &mut self.statistics[index][..norm.groups(rows, inputs)];
                statistics_of(net, norm, draw, inputs, input, statistics, running);
            }
            let products = match &stage.op {
                StageOp::Linear { .. } => inputs,
                StageOp::Norm(_) | StageOp::Encoding(_) | StageOp::Pass => 0,
            };
            let block = net.block(rows, outputs * (products + EPILOGUE));
            let work = (
                (0..rows, Rows::new(input, inputs)),
                (
                    RowsMut::new(&mut output[..rows * outputs], outputs),
                    RowsMut::new(&mut kept[..kept_len], outputs),
                ),
            );
            in_blocks(work, block, &|((numbers, input), (output, kept))| {
                let (input, output, kept) = (input.elements, output.elements, kept.elements);
                let draw = draw.map(|draw| draw.from(numbers.start));
                let draw = draw.as_ref();
                match (&stage.op, &net.weights[index]) {
                    (StageOp::Linear { tensors: [_, bias] }, Some(weight)) => {
                        let bias = &net.parameters[bias.range()];
                        linear::linear_forward(&epilogue, draw, input, weight, bias, output, kept);
                    }
                    (StageOp::Norm(norm), _) => {
                        let groups = if norm.per_row { numbers } else { 0..inputs };
                        let statistics = &self.statistics[index][groups];
                        let affine = affine(norm, net.parameters);
                        NormInput { norm, columns: inputs, input, statistics, affine }
                            .forward(&epilogue, draw, output, kept);
                    }
                    (StageOp::Encoding(encoding), _) => {
                        encoding_forward(*encoding, input, output);
                        epilogue.forward(draw, outputs, output, kept);
                    }
                    _ => {
                        output.copy_from_slice(input);
                        epilogue.forward(draw, outputs, output, kept);
                    }
                }
            });
        }
    }

    /// Gradients of all parameters from dL/dY of the last stage in `errors[0]`.
    pub(super) fn backward(&mut self, net: &Net<'_, T>, step: &Step, part: Part) {
        let (capacity, rows) = (net.division.rows, part.rows as usize);
        let draw = draw_of(step, part);
        let draw = draw.as_ref();
        let accumulate = !part.is_first;
        let stages = net.plan.stages();
        let activations = &self.activations;
        let kept = |index: usize| {
            let start = stages[index].kept(capacity).start;
            &activations[index][start..start + rows * stages[index].out_features]
        };
        let [current, previous] = &mut self.errors;
        let last = net.plan.last_stage();
        let gradient = &mut current[..rows * last.out_features];
        Epilogue::of(last).backward(draw, last.out_features, kept(stages.len() - 1), gradient);
        let first = net.plan.first_trained();
        for (index, stage) in stages.iter().enumerate().skip(first).rev() {
            let (inputs, outputs) = (stage.in_features, stage.out_features);
            let gradient_output = &current[..rows * outputs];
            let input = match index {
                0 => &self.batch_inputs[..rows * inputs],
                _ => &activations[index - 1][..rows * inputs],
            };
            match &stage.op {
                StageOp::Linear { tensors: [weight, bias] } => {
                    let input = pack_input(net, input, inputs, &mut self.input_panels);
                    let [weight, bias] = disjoint(&mut self.gradients, [weight, bias]);
                    let panels = Panels::<T, TILE_ROWS>::len(rows, outputs);
                    let panels = &mut self.error_panels[..panels];
                    let gradient = WeightGradient { first: 0, weight, bias, panels };
                    let block = net.block(outputs, rows * inputs);
                    in_blocks(gradient, block, &|gradient| {
                        linear::linear_backward_weight(
                            accumulate,
                            gradient_output,
                            outputs,
                            input,
                            gradient,
                        );
                    });
                }
                StageOp::Norm(norm) => {
                    let sums = &mut self.sums[index];
                    let groups = norm.groups(rows, inputs);
                    let normal = NormInput {
                        norm,
                        columns: inputs,
                        input,
                        statistics: &self.statistics[index][..groups],
                        affine: affine(norm, net.parameters),
                    };
                    let [weight, bias] = match &norm.affine {
                        Some([weight, bias]) => disjoint(&mut self.gradients, [weight, bias]),
                        None => [&mut [] as &mut [T], &mut []],
                    };
                    let work = (
                        (0..inputs, RowsMut::new(&mut sums[..inputs], 1)),
                        (RowsMut::new(weight, 1), RowsMut::new(bias, 1)),
                    );
                    let block = net.block(inputs, rows * EPILOGUE).next_multiple_of(COLUMNS);
                    in_blocks(work, block, &|((numbers, sums), (weight, bias))| {
                        let gradients = [weight.elements, bias.elements];
                        let (first, sums) = (numbers.start, sums.elements);
                        normal.backward_columns(
                            accumulate,
                            gradient_output,
                            first,
                            sums,
                            gradients,
                        );
                    });
                    if norm.per_row {
                        normal.backward_rows(gradient_output, &mut sums[..groups]);
                    }
                }
                StageOp::Encoding(_) | StageOp::Pass => {}
            }
            if index == first {
                break;
            }
            // The gradient goes on through the epilogue in front of this stage.
            let epilogue = Epilogue::of(&stages[index - 1]);
            let products = match &stage.op {
                StageOp::Linear { .. } => outputs,
                StageOp::Norm(_) | StageOp::Encoding(_) | StageOp::Pass => 0,
            };
            let block = net.block(rows, inputs * (products + EPILOGUE));
            let work = (
                (0..rows, Rows::new(gradient_output, outputs)),
                (
                    Rows::new(kept(index - 1), inputs),
                    RowsMut::new(&mut previous[..rows * inputs], inputs),
                ),
            );
            let (statistics, sums) = (&self.statistics[index], &self.sums[index]);
            in_blocks(work, block, &|((numbers, gradient_output), (kept, into))| {
                let draw = draw.map(|draw| draw.from(numbers.start));
                let draw = draw.as_ref();
                let (dz, kept, into) = (gradient_output.elements, kept.elements, into.elements);
                match (&stage.op, &net.weights[index]) {
                    (StageOp::Linear { .. }, Some(weight)) => {
                        linear::linear_backward_input(&epilogue, draw, dz, weight, kept, into);
                    }
                    (StageOp::Norm(norm), _) => {
                        let elements = numbers.start * inputs..numbers.end * inputs;
                        let groups = if norm.per_row { numbers } else { 0..inputs };
                        let normal = NormInput {
                            norm,
                            columns: inputs,
                            input: &input[elements],
                            statistics: &statistics[groups.clone()],
                            affine: affine(norm, net.parameters),
                        };
                        let sums = &sums[groups];
                        normal.backward_input(&epilogue, draw, rows, sums, dz, kept, into);
                    }
                    _ => {
                        into.copy_from_slice(dz);
                        epilogue.backward(draw, inputs, kept, into);
                    }
                }
            });
            std::mem::swap(current, previous);
        }
    }
}

/// The input of a linear stage as the right factor of dW's product.
fn pack_input<'a, T: Real>(
    net: &Net<'_, T>,
    input: &[T],
    columns: usize,
    panels: &'a mut [[T; TILE_COLUMNS]],
) -> Right<'a, T> {
    let rows = input.len() / columns;
    let matrix = Matrix::new(input, columns);
    let panels = &mut panels[..Right::<T>::len(rows, columns)];
    let work = (0..panels.len() / rows, RowsMut::new(panels, rows));
    let block = net.block(columns.div_ceil(TILE_COLUMNS), rows * TILE_COLUMNS * EPILOGUE);
    in_blocks(work, block, &|(numbers, panels)| {
        let panels = panels.elements.chunks_exact_mut(rows);
        numbers.zip(panels).for_each(|(number, panel)| pack_panel(matrix, number, panel));
    });
    Right::new(panels, rows, columns)
}

/// The statistics that a norm takes: of the batch, or in evaluation the running ones, if there are
/// any. In training these move.
fn statistics_of<T: Real>(
    net: &Net<'_, T>,
    norm: &Norm,
    draw: Option<&Draw>,
    columns: usize,
    input: &[T],
    statistics: &mut [Statistics<T>],
    running: &mut [T],
) {
    if norm.per_row {
        let rows = input.len() / columns;
        let work = (Rows::new(input, columns), RowsMut::new(statistics, 1));
        in_blocks(work, net.block(rows, columns * EPILOGUE), &|(input, statistics)| {
            norm::row_statistics(norm, columns, input.elements, statistics.elements);
        });
        return;
    }
    let mut of_columns = |[mean, var]: [&mut [T]; 2]| {
        let work = (
            (0..columns, RowsMut::new(&mut *statistics, 1)),
            (RowsMut::new(mean, 1), RowsMut::new(var, 1)),
        );
        let rows = input.len() / columns;
        let block = net.block(columns, rows * EPILOGUE).next_multiple_of(COLUMNS);
        in_blocks(work, block, &|((numbers, statistics), (mean, var))| {
            let (first, running) = (numbers.start, [mean.elements, var.elements]);
            norm::column_statistics(norm, columns, input, first, statistics.elements, running);
        });
    };
    let first = net.plan.trained_len();
    let range = |tensor: &Tensor| tensor.range().start - first..tensor.range().end - first;
    match (&norm.running, draw) {
        (Some([mean, var]), Some(_)) => {
            let running = match running.get_disjoint_mut([range(mean), range(var)]) {
                Ok(running) => running,
                Err(e) => panic!("tensors {} and {}: {e}", mean.name, var.name),
            };
            of_columns(running);
        }
        (Some(tensors), None) => {
            let running = tensors.each_ref().map(|tensor| &running[range(tensor)]);
            norm::running_statistics(norm, running, statistics);
        }
        (None, _) => {
            of_columns([&mut [], &mut []]);
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
pub(super) fn draw_of(step: &Step, part: Part) -> Option<Draw> {
    step.is_training().then_some(Draw { key: step.dropout_key, row0: part.row0 })
}

/// The weights of a plan's linear stages, in the order of the products.
pub(super) fn linear_weights<T: Real>(plan: &crate::plan::Plan) -> Vec<Option<LinearWeight<T>>> {
    let first = plan.first_trained();
    let stages = plan.stages().iter().enumerate();
    stages
        .map(|(index, stage)| match &stage.op {
            StageOp::Linear { .. } => {
                Some(LinearWeight::new(stage.in_features, stage.out_features, index > first))
            }
            StageOp::Norm(_) | StageOp::Encoding(_) | StageOp::Pass => None,
        })
        .collect()
}
