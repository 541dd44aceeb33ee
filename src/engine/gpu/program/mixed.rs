//! The dispatches that only mixed precision has.

use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::{part, whole};
use crate::ops::halve::{HALVE, HalveShape};
use crate::ops::optimizer::ArenaShape;
use crate::ops::scaling::{self, SCALE};

impl Builder<'_> {
    /// Rounds the parameters to f16. Every step, evaluation and prediction begins with it, as the host app
    /// may write parameters at any time.
    pub(super) fn halve(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let Some(halves) = &buffers.halves else { return Vec::new() };
        let shape = HalveShape::new(word(plan.trained_len()));
        let uniform = buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&uniform)),
            ("parameters", part(&buffers.parameters, 0, plan.trained_len())),
            ("halves", whole(halves)),
        ];
        vec![self.dispatch(&HALVE, &[], "arena", shape.grid(), &bindings)]
    }

    /// Lowers or raises what the loss is scaled with, behind the optimizer's step.
    pub(super) fn scale(&mut self) -> Option<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        buffers.halves.as_ref()?;
        let shape = buffers.uniform(&ArenaShape::of(plan));
        let bindings = [
            ("shape", whole(&shape)),
            ("status", whole(&buffers.status)),
            ("scaling", whole(&buffers.scaling)),
        ];
        let skips = f64::from(u8::from(plan.options().on_divergence.skips()));
        Some(self.dispatch(&SCALE, &[skips], "arena", scaling::grid(), &bindings))
    }
}
