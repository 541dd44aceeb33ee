//! The derivative of the net's last activation.

use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::activation::Activation;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};
use crate::real::Real;

pub(crate) const ACTIVATION_BACKWARD: Kernel = Kernel {
    name: "activation_backward",
    wgsl: wgsl!("step", "activation", "activation_backward"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ActivationShape>("shape"),
        read("kept"),
        read_write("gradient"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &["ACTIVATION"],
};

uniform_struct! {
    /// Columns of the layer and the activation's parameter.
    ActivationShape { columns: u32, parameter: f32, } pad 2
}

impl ActivationShape {
    pub(crate) fn new(columns: u32, activation: Activation) -> Self {
        Self { columns, parameter: activation.parameter(), ..Self::default() }
    }

    /// Workgroups that cover every element of the batch.
    pub(crate) const fn grid(&self) -> Grid {
        Grid::rows_y(self.columns.div_ceil(WORKGROUP), 1)
    }
}

/// Twin of `shaders/activation_backward.wgsl`: dZ = dY ⊙ a′(kept), in place.
pub(crate) fn activation_backward<T: Real>(activation: Activation, kept: &[T], gradient: &mut [T]) {
    if activation != Activation::Identity {
        gradient.iter_mut().zip(kept).for_each(|(g, &k)| *g *= activation.derivative(k));
    }
}
