//! The dispatches of a step whose forward pass, loss and backward pass are one.

use super::feed::Rows;
use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::whole;
use crate::ops::fused::Fused;
use crate::ops::gradient_sum::{GRADIENT_SUM, SliceShape};
use crate::plan::StageOp;

/// What all data sets of a fused net share.
#[derive(Debug)]
pub(crate) struct FusedNet {
    plan: Fused,
    /// The encoding in front, if there is one.
    pub before: Vec<Dispatch>,
    /// Adds up what the workgroups have summed.
    pub behind: Vec<Dispatch>,
    kept: wgpu::Buffer,
    partials: wgpu::Buffer,
}

impl Builder<'_> {
    /// Makes what doesn't depend on the data set.
    pub(super) fn fused_net(&mut self, fused: Fused) -> FusedNet {
        let (plan, buffers) = (self.plan, self.buffers);
        let [kept, partials] = fused.buffer_lens();
        let partials = buffers.scratch("partials", partials);
        let kept = buffers.scratch("kept_rows", kept);
        let sum = SliceShape::new(fused.groups, word(plan.trained_len()));
        let uniform = buffers.uniform(&sum);
        let bindings = [
            ("shape", whole(&uniform)),
            ("partials", whole(&partials)),
            ("gradients", whole(&buffers.gradients)),
        ];
        let behind = vec![self.dispatch(&GRADIENT_SUM, &[], "net", sum.grid(), &bindings)];
        let before = match plan.stages()[0].op {
            StageOp::Encoding(encoding) => {
                vec![self.encoding_forward(0, encoding, buffers.input_of(0))]
            }
            _ => Vec::new(),
        };
        FusedNet { plan: fused, before, behind, kept, partials }
    }

    /// The one dispatch, for the rows of a data set.
    pub(super) fn fused_step(
        &mut self,
        net: &FusedNet,
        inputs: &Rows<'_>,
        targets: &Rows<'_>,
    ) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let (input, gathered_inputs) = match inputs {
            Rows::Dense(binding) if plan.gathers() => (binding.clone(), true),
            Rows::Batch(buffer) if plan.gathers() => (whole(buffer), false),
            _ => (buffers.input_of(net.plan.first), false),
        };
        let (target_values, gathered_targets) = match targets {
            Rows::Dense(binding) => (binding.clone(), true),
            Rows::Batch(buffer) => (whole(buffer), false),
        };
        let mut shape = net.plan.shape;
        shape.gathered_inputs = u32::from(gathered_inputs);
        shape.gathered_targets = u32::from(gathered_targets);
        let shape = buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&shape)),
            ("input", input),
            ("target_values", target_values),
            ("weight", whole(&buffers.loss_weights)),
            ("parameters", whole(&buffers.parameters)),
            ("kept", whole(&net.kept)),
            ("partials", whole(&net.partials)),
            ("metrics", whole(&buffers.ring)),
        ];
        let (kernel, choices) = net.plan.kernel(&plan.options().loss);
        self.dispatch(kernel, &choices, "net", net.plan.grid(), &bindings)
    }
}
