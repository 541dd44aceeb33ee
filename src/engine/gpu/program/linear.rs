//! The dispatches of a linear layer's three products.

use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::{bytes_of, whole};
use crate::engine::gpu::tuning::{Orientation, Product, Variant};
use crate::ops::epilogue::Epilogue;
use crate::ops::gradient_sum::{GRADIENT_SUM, SliceShape};
use crate::ops::linear::{
    LINEAR_BACKWARD_INPUT, LINEAR_BACKWARD_WEIGHT, LINEAR_FORWARD, LinearShape,
};
use crate::plan::{StageOp, Tensor};

impl<'a> Builder<'a> {
    /// W and b of a stage that is a linear layer.
    fn tensors(&self, index: usize) -> &'a [Tensor; 2] {
        match &self.plan.stages()[index].op {
            StageOp::Linear { tensors } => tensors,
            _ => unreachable!("stage {index} is no linear layer"),
        }
    }

    fn linear_shape(&self, index: usize) -> LinearShape {
        let stage = &self.plan.stages()[index];
        let places = self.tensors(index).each_ref().map(|tensor| tensor.offset);
        LinearShape::new(stage.in_features, stage.out_features, places)
    }

    /// The variant of a layer's product.
    fn variant(&self, orientation: Orientation, shape: &LinearShape) -> Variant {
        let batch = word(self.plan.options().rows_at_once());
        let (inputs, outputs) = (shape.in_features, shape.out_features);
        self.variants.of(Product::of(orientation, batch, inputs, outputs))
    }

    /// Y of a linear stage. If `gathered`, `input` is a data set, whose rows of the batch it takes
    /// where they lie.
    pub(crate) fn linear_forward(
        &mut self,
        index: usize,
        input: wgpu::BufferBinding<'_>,
        gathered: bool,
    ) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let stage = &plan.stages()[index];
        let [weight, bias] = self.tensors(index);
        let shape = self.linear_shape(index);
        let uniform = buffers.uniform(&shape);
        let epilogue = Epilogue::of(stage);
        let after = self.epilogue(&epilogue, Some(stage));
        let nothing = self.nothing.clone();
        let bindings = [
            ("shape", whole(&uniform)),
            ("epilogue", whole(&after)),
            ("input", input),
            ("weight", buffers.weight(weight)),
            ("bias", buffers.parameter(bias)),
            ("output", whole(&buffers.activations[index])),
            ("rows_of_data", whole(if gathered { &buffers.rows } else { &nothing })),
        ];
        let Variant { form, .. } = self.variant(Orientation::Forward, &shape);
        let kernel = LINEAR_FORWARD.kernel(form, shape.in_quads());
        let [activation, dropout] = epilogue.choices();
        let choices = [activation, dropout, f64::from(u8::from(gathered))];
        let place = stage.layer.to_string();
        self.dispatch(kernel, &choices, &place, shape.forward_grid(form), &bindings)
    }

    /// dZ of the stage before a linear one, from its own; for the first stage dL/dX of the net.
    pub(crate) fn input_gradient(
        &mut self,
        index: usize,
        gradient_output: &wgpu::Buffer,
        gradient_input: &wgpu::Buffer,
    ) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let [weight, _] = self.tensors(index);
        let shape = self.linear_shape(index);
        let uniform = buffers.uniform(&shape);
        let (below, kept) = self.below(index);
        let below_uniform = self.epilogue(&below, None);
        let bindings = [
            ("shape", whole(&uniform)),
            ("epilogue", whole(&below_uniform)),
            ("gradient_output", whole(gradient_output)),
            ("weight", buffers.weight(weight)),
            ("kept", kept),
            ("gradient_input", whole(gradient_input)),
        ];
        let Variant { form, .. } = self.variant(Orientation::BackwardInput, &shape);
        let kernel = LINEAR_BACKWARD_INPUT.kernel(form, shape.all_quads());
        let place = plan.stages()[index].layer.to_string();
        let grid = shape.backward_input_grid(form);
        self.dispatch(kernel, &below.choices(), &place, grid, &bindings)
    }

    /// dW and db of a linear stage: one dispatch, or two where the batch is summed in slices.
    pub(crate) fn weight_gradient(
        &mut self,
        index: usize,
        gradient_output: &wgpu::Buffer,
        input: wgpu::BufferBinding<'_>,
        gathered: bool,
    ) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let [weight, _] = self.tensors(index);
        let shape = self.linear_shape(index);
        let Variant { form, slices } = self.variant(Orientation::BackwardWeight, &shape);
        let shape = shape.sliced(slices, word(plan.tensor_align()));
        let partials =
            (shape.slices > 1).then(|| buffers.scratch("partials", shape.partials_len()));
        let uniform = buffers.uniform(&shape);
        let place = plan.stages()[index].layer.to_string();
        let rows_of_data = if gathered { buffers.rows.clone() } else { self.nothing.clone() };
        let bindings = [
            ("shape", whole(&uniform)),
            ("gradient_output", whole(gradient_output)),
            ("input", input),
            ("gradient", whole(partials.as_ref().unwrap_or(&buffers.gradients))),
            ("rows_of_data", whole(&rows_of_data)),
            ("scaling", whole(&buffers.scaling)),
        ];
        let kernel = LINEAR_BACKWARD_WEIGHT.kernel(form, shape.all_quads());
        let choices = [gathered, self.adds].map(|choice| f64::from(u8::from(choice)));
        let grid = shape.backward_weight_grid(form);
        let mut dispatches = vec![self.dispatch(kernel, &choices, &place, grid, &bindings)];
        if let Some(partials) = &partials {
            let sum = SliceShape::new(shape.slices, shape.slice_stride);
            let uniform = buffers.uniform(&sum);
            let mut gradients = whole(&buffers.gradients);
            gradients.offset = bytes_of(weight.offset);
            gradients.size = std::num::NonZeroU64::new(bytes_of(shape.slice_stride as usize));
            let bindings = [
                ("shape", whole(&uniform)),
                ("partials", whole(partials)),
                ("gradients", gradients),
            ];
            dispatches.push(self.dispatch(&GRADIENT_SUM, &[], &place, sum.grid(), &bindings));
        }
        dispatches
    }
}
