//! The dispatches of a norm.

use super::{Builder, Dispatch};
use crate::engine::gpu::buffers::{NormBuffers, part, whole};
use crate::ops::epilogue::Epilogue;
use crate::ops::norm::{
    self, NORM_BACKWARD_COLUMNS, NORM_BACKWARD_INPUT, NORM_BACKWARD_ROWS, NORM_FORWARD,
    NORM_STATISTICS, NormShape,
};
use crate::plan::{Norm, TENSOR_ALIGN};

impl<'a> Builder<'a> {
    /// The statistics of a norm, and its activations.
    pub(super) fn norm_forward(&mut self, index: usize, norm: &Norm) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let stage = &plan.stages()[index];
        let epilogue = Epilogue::of(stage);
        let [activation, dropout] = epilogue.choices();
        let after = self.epilogue(&epilogue, Some(stage));
        let place = stage.layer.to_string();
        let input = buffers.input_of(index);
        let output = whole(&buffers.activations[index]);
        let shape = NormShape::new(norm, stage.in_features);
        let uniform = buffers.uniform(&shape);
        let statistics = whole(&self.norm_buffers(index).statistics);
        let [per_row, affine] = norm::choices(norm);
        let nothing = self.nothing.clone();
        let [running_mean, running_var] = match &norm.running {
            Some(running) => running.each_ref().map(|t| buffers.parameter(t)),
            // Not touched; apart, because both may be written.
            None => [0, 1].map(|at| part(&nothing, at * TENSOR_ALIGN, 1)),
        };
        let [weight, bias] = self.affine(norm, &nothing);
        let bindings = [
            ("shape", whole(&uniform)),
            ("input", input.clone()),
            ("statistics", statistics.clone()),
            ("running_mean", running_mean),
            ("running_var", running_var),
        ];
        let grid = shape.groups_grid(norm.per_row);
        let kernel = &NORM_STATISTICS;
        let statistics_dispatch = self.dispatch(kernel, &[per_row], &place, grid, &bindings);
        let bindings = [
            ("shape", whole(&uniform)),
            ("epilogue", whole(&after)),
            ("input", input),
            ("statistics", statistics),
            ("weight", weight),
            ("bias", bias),
            ("output", output),
        ];
        let choices = [activation, dropout, per_row, affine];
        let grid = shape.elements_grid();
        vec![statistics_dispatch, self.dispatch(&NORM_FORWARD, &choices, &place, grid, &bindings)]
    }

    /// The gradients of a norm's parameters and, if it goes on, of its input.
    pub(super) fn norm_backward(
        &mut self,
        index: usize,
        norm: &Norm,
        gradient_output: &wgpu::Buffer,
        gradient_input: Option<&wgpu::Buffer>,
    ) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let stage = &plan.stages()[index];
        let shape = NormShape::new(norm, stage.in_features);
        let uniform = buffers.uniform(&shape);
        let norm_buffers = self.norm_buffers(index);
        let nothing = self.nothing.clone();
        let [weight, _] = self.affine(norm, &nothing);
        let [gradient_weight, gradient_bias] = match &norm.affine {
            Some(affine) => affine.each_ref().map(|tensor| buffers.gradient(tensor)),
            // Not touched; apart, because both may be written.
            None => [0, 1].map(|at| part(&nothing, at * TENSOR_ALIGN, 1)),
        };
        let place = stage.layer.to_string();
        let choices = norm::choices(norm);
        let common = [
            ("shape", whole(&uniform)),
            ("input", buffers.input_of(index)),
            ("statistics", whole(&norm_buffers.statistics)),
            ("gradient_output", whole(gradient_output)),
        ];
        let mut dispatches = Vec::new();
        let mut columns = common.to_vec();
        columns.extend([
            ("sums", whole(&norm_buffers.sums)),
            ("gradient_weight", gradient_weight),
            ("gradient_bias", gradient_bias),
            ("scaling", whole(&buffers.scaling)),
        ]);
        let (kernel, grid) = (&NORM_BACKWARD_COLUMNS, shape.columns_grid());
        dispatches.push(self.dispatch(kernel, &choices, &place, grid, &columns));
        let Some(gradient_input) = gradient_input else { return dispatches };
        if norm.per_row {
            let mut rows = common.to_vec();
            rows.extend([("weight", weight.clone()), ("sums", whole(&norm_buffers.sums))]);
            let (kernel, grid) = (&NORM_BACKWARD_ROWS, shape.groups_grid(true));
            dispatches.push(self.dispatch(kernel, &choices, &place, grid, &rows));
        }
        let (below, kept) = self.below(index);
        let below_uniform = self.epilogue(&below, None);
        let mut elements = common.to_vec();
        elements.extend([
            ("epilogue", whole(&below_uniform)),
            ("sums", whole(&norm_buffers.sums)),
            ("weight", weight),
            ("kept", kept),
            ("gradient_input", whole(gradient_input)),
        ]);
        let ([activation, dropout], [per_row, affine]) = (below.choices(), choices);
        let choices = [activation, dropout, per_row, affine];
        let (kernel, grid) = (&NORM_BACKWARD_INPUT, shape.elements_grid());
        dispatches.push(self.dispatch(kernel, &choices, &place, grid, &elements));
        dispatches
    }

    fn norm_buffers(&self, index: usize) -> &'a NormBuffers {
        match &self.buffers.norms[index] {
            Some(buffers) => buffers,
            None => unreachable!("stage {index} is no norm"),
        }
    }

    /// γ and β of a norm, or a placeholder.
    fn affine<'b>(&self, norm: &Norm, nothing: &'b wgpu::Buffer) -> [wgpu::BufferBinding<'b>; 2]
    where
        'a: 'b,
    {
        match &norm.affine {
            Some(affine) => affine.each_ref().map(|tensor| self.buffers.parameter(tensor)),
            None => [whole(nothing), whole(nothing)],
        }
    }
}
