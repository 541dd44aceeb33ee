//! Batches that a function of the host app makes on the device.

use super::{WORKGROUP, wgsl};
use crate::engine::kernel::{Grid, Kernel, read_write, step, uniform_struct};

/// The kernel around a host app's function, whose text and constants come before it.
pub(crate) const GENERATE_WGSL: &str = wgsl!("philox", "generate");

/// The kernel with a function as an example: its bindings are those of any other.
pub(crate) const GENERATE: Kernel = Kernel {
    name: "generate",
    wgsl: wgsl!("generate_example", "philox", "generate"),
    bindings: &[
        step::<GenerateStep>("wgrad_step"),
        read_write("wgrad_inputs"),
        read_write("wgrad_targets"),
    ],
    constants: &[("WGRAD_WORKGROUP", WORKGROUP as f64)],
    choices: &[],
};

uniform_struct! {
    /// Mirror of `WgradStep` in `shaders/generate.wgsl`: how a step's scalars begin.
    GenerateStep {
        keys0: [u32; 4],
        keys1: [u32; 4],
        groups: [[f32; 4]; 8],
        seed: [u32; 2],
        draw: [u32; 2],
        dropout_key: [u32; 2],
        batch: u32,
        first: u32,
        row0: u32,
    }
    pad 3
}

/// One invocation per row.
pub(crate) const fn grid() -> Grid {
    Grid::rows_x(WORKGROUP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernel::Uniform as _;
    use crate::ops::step::StepUniform;

    #[test]
    fn a_step_begins_with_what_a_generator_reads() {
        let fields = GenerateStep::FIELDS;
        assert_eq!(fields, &StepUniform::FIELDS[..fields.len()]);
        assert!(size_of::<GenerateStep>() <= size_of::<StepUniform>());
    }
}
