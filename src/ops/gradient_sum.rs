//! Gradients that slices of a batch have summed apart, added up in a fixed order.

use super::step::StepUniform;
use super::wgsl;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};

/// Quads of elements of a workgroup: neighbours in memory.
const QUADS: u32 = 8;
/// Invocations that share the slices of an element.
const LANES: u32 = 16;

pub(crate) const GRADIENT_SUM: Kernel = Kernel {
    name: "gradient_sum",
    wgsl: wgsl!("step", "gradient_sum"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<SliceShape>("shape"),
        read("partials"),
        read_write("gradients"),
    ],
    constants: &[
        ("QUADS", QUADS as f64),
        ("LANES", LANES as f64),
        ("WORKGROUP", (QUADS * LANES) as f64),
    ],
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

    /// One workgroup for so many quads of elements.
    pub(crate) fn grid(&self) -> Grid {
        Grid::elements(self.len as usize, QUADS)
    }
}

/// Twin of `shaders/gradient_sum.wgsl`: g = Σₛ partialₛ, each lane's slices first. The CPU engine needs no
/// slices.
#[cfg(test)]
pub(crate) fn gradient_sum<T: crate::real::Real>(partials: &[T], gradients: &mut [T]) {
    const LANES: usize = self::LANES as usize;
    let len = gradients.len();
    for (i, g) in gradients.iter_mut().enumerate() {
        let mut sums = [T::ZERO; LANES];
        for (slice, partial) in partials.chunks_exact(len).enumerate() {
            sums[slice % LANES] += partial[i];
        }
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                let other = sums[lane + width];
                sums[lane] += other;
            }
            width /= 2;
        }
        *g = sums[0];
    }
}
