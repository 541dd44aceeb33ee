//! The parameters as the products of a net in f16 read them.

use super::step::StepUniform;
use super::wgsl;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};

const WORKGROUP: u32 = 128;

pub(crate) const HALVE: Kernel = Kernel {
    name: "halve",
    wgsl: wgsl!("step", "halve"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<HalveShape>("shape"),
        read("parameters"),
        read_write("halves").or_half(),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[],
};

uniform_struct! {
    /// Mirror of `HalveShape` in `shaders/halve.wgsl`.
    HalveShape { len: u32, } pad 3
}

impl HalveShape {
    /// Arenas of `len` elements, a multiple of four.
    pub(crate) fn new(len: u32) -> Self {
        Self { len: len / 4, ..Self::default() }
    }

    /// One invocation for four elements.
    pub(crate) fn grid(&self) -> Grid {
        Grid::elements(self.len as usize, WORKGROUP)
    }
}
