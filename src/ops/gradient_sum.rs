//! Gradients that slices of a batch have summed apart, added up in a fixed order.

use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};

pub(crate) const GRADIENT_SUM: Kernel = Kernel {
    name: "gradient_sum",
    wgsl: wgsl!("step", "gradient_sum"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<SliceShape>("shape"),
        read("partials"),
        read_write("gradients"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[],
};

uniform_struct! {
    /// Mirror of `SliceShape` in `shaders/gradient_sum.wgsl`.
    SliceShape { slices: u32, stride: u32, len: u32, } pad 1
}

impl SliceShape {
    /// So many slices of `len` elements each, a multiple of four.
    pub(crate) fn new(slices: u32, len: u32) -> Self {
        Self { slices, stride: len / 4, len: len / 4, ..Self::default() }
    }

    /// One invocation for four elements.
    pub(crate) fn grid(&self) -> Grid {
        Grid::elements(self.len as usize, WORKGROUP)
    }
}

/// Twin of `shaders/gradient_sum.wgsl`: g = Σₛ partialₛ. The CPU engine needs no slices.
#[cfg(test)]
pub(crate) fn gradient_sum<T: crate::real::Real>(partials: &[T], gradients: &mut [T]) {
    gradients.fill(T::ZERO);
    for partial in partials.chunks_exact(gradients.len()) {
        gradients.iter_mut().zip(partial).for_each(|(g, &p)| *g += p);
    }
}
