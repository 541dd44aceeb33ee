//! The bytes of the buffers that the GPU engine makes for a plan, before it does.

use super::GpuEngine;
use super::buffers::{METRICS_BYTES, SLOT_STRIDE, SLOTS, bytes_of};
use super::flights::MAX_FLIGHTS;
use super::luggage::METRICS_STAGED;
use super::program::word;
use super::recordings::MAX_RECORDINGS;
use super::timer::TIMESTAMPS;
use super::tuning::{Orientation, Product, Variants};
use crate::insight::words;
use crate::ops::fused::Fused;
use crate::ops::linear::LinearShape;
use crate::ops::optimizer::STATUS_WORDS;
use crate::plan::{Plan, StageOp};

impl GpuEngine {
    /// Bytes of the buffers that the engine makes, but for the small ones of shapes, a few KiB. A data set
    /// takes [`Plan::data_bytes`] besides. Those of fused steps come with the first data set that can
    /// be trained on.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let limits = self.device.limits();
        buffer_bytes(&self.plan, &self.variants, self.program.fusion.as_ref(), &limits)
    }
}

/// Bytes of the buffers of a plan whose steps may be fused, on a device with these limits.
pub(super) fn buffer_bytes(
    plan: &Plan,
    variants: &Variants,
    fused: Option<&Fused>,
    limits: &wgpu::Limits,
) -> u64 {
    let insight = plan.options().insight_every.map_or(0, |_| bytes_of(words(plan)));
    let rings = u64::from(SLOTS) * (u64::from(SLOT_STRIDE) + METRICS_BYTES);
    let staged = MAX_FLIGHTS as u64 * (METRICS_STAGED + insight)
        + u64::from(MAX_RECORDINGS) * (METRICS_STAGED + TIMESTAMPS);
    let sums = match fused {
        Some(fused) => fused.buffer_lens().into_iter().sum(),
        None => sliced_sums(plan, variants),
    };
    let inference = plan.for_inference(limits);
    // Else it has no buffers of its own.
    let inference =
        if inference.capacity() > plan.capacity() { inference.forward_bytes() } else { 0 };
    let sums = bytes_of(sums);
    plan.total_bytes() + inference + rings + bytes_of(STATUS_WORDS) + insight + staged + sums
}

/// Elements of the weight gradients that are summed in slices of the batch.
fn sliced_sums(plan: &Plan, variants: &Variants) -> usize {
    let (batch, align) = (word(plan.options().rows_at_once()), word(plan.tensor_align()));
    let stages = plan.stages().iter().skip(plan.first_trained());
    let elements = stages.map(|stage| {
        let StageOp::Linear { tensors } = &stage.op else { return 0 };
        let places = tensors.each_ref().map(|tensor| tensor.offset);
        let shape = LinearShape::new(stage.in_features, stage.out_features, places);
        let (inputs, outputs) = (shape.in_features, shape.out_features);
        let product = Product::of(Orientation::BackwardWeight, batch, inputs, outputs);
        shape.sliced(variants.of(product).slices, align).partials_len()
    });
    elements.sum()
}
