//! The dispatches of an encoding.

use super::{Builder, Dispatch, word};
use crate::encoding::Encoding;
use crate::engine::gpu::buffers::whole;
use crate::ops::encoding::{ENCODING_BACKWARD, ENCODING_FORWARD, EncodingShape};
use crate::ops::epilogue::Epilogue;

impl Builder<'_> {
    /// Y of an encoding.
    pub(super) fn encoding_forward(
        &mut self,
        index: usize,
        encoding: Encoding,
        input: wgpu::BufferBinding<'_>,
    ) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let stage = &plan.stages()[index];
        let shape = EncodingShape::forward(encoding, word(stage.in_features));
        let uniform = buffers.uniform(&shape);
        let epilogue = Epilogue::of(stage);
        let after = self.epilogue(&epilogue, Some(stage));
        let bindings = [
            ("shape", whole(&uniform)),
            ("epilogue", whole(&after)),
            ("input", input),
            ("output", whole(&buffers.activations[index])),
        ];
        let [activation, dropout] = epilogue.choices();
        let choices = [activation, dropout, f64::from(encoding.code())];
        let (place, grid) = (stage.layer.to_string(), shape.forward_grid());
        self.dispatch(&ENCODING_FORWARD, &choices, &place, grid, &bindings)
    }

    /// dX of an encoding, the gradient of the net's inputs, from its dZ.
    pub(super) fn encoding_backward(
        &mut self,
        index: usize,
        encoding: Encoding,
        gradient_output: &wgpu::Buffer,
        input: wgpu::BufferBinding<'_>,
        gradient_input: wgpu::BufferBinding<'_>,
    ) -> Dispatch {
        let stage = &self.plan.stages()[index];
        let shape = EncodingShape::backward(encoding, word(stage.in_features));
        let uniform = self.buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&uniform)),
            ("gradient_output", whole(gradient_output)),
            ("input", input),
            ("gradient_input", gradient_input),
        ];
        let choices = [f64::from(encoding.code())];
        let (place, grid) = (stage.layer.to_string(), shape.backward_grid());
        self.dispatch(&ENCODING_BACKWARD, &choices, &place, grid, &bindings)
    }
}
