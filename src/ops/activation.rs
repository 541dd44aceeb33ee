//! Activation and dropout as passes of their own: where no layer's kernel can apply them on the way.

use super::epilogue::{Epilogue, EpilogueUniform};
use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};

pub(crate) const ACTIVATION_FORWARD: Kernel = Kernel {
    name: "activation_forward",
    wgsl: wgsl!(
        "step",
        "finite",
        "near_zero",
        "activation_value",
        "activation",
        "philox",
        "epilogue",
        "epilogue_output",
        "activation_forward"
    ),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ActivationShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("input").or_half(),
        read_write("output").or_half(),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: Epilogue::CHOICES,
};

pub(crate) const ACTIVATION_BACKWARD: Kernel = Kernel {
    name: "activation_backward",
    wgsl: wgsl!(
        "step",
        "finite",
        "near_zero",
        "activation_value",
        "activation",
        "philox",
        "epilogue",
        "epilogue_gradient",
        "activation_backward"
    ),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ActivationShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("kept").or_half(),
        read_write("gradient_input").or_half(),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: Epilogue::CHOICES,
};

uniform_struct! {
    /// Columns of the stage.
    ActivationShape { columns: u32, } pad 3
}

impl ActivationShape {
    pub(crate) fn new(columns: u32) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Workgroups that cover every element of the batch.
    pub(crate) const fn grid(&self) -> Grid {
        elementwise(self.columns)
    }
}

/// Workgroups that cover every element of a batch of so many columns, four an invocation.
pub(crate) const fn elementwise(columns: u32) -> Grid {
    Grid::rows_y(columns.div_ceil(4 * WORKGROUP), 1)
}
