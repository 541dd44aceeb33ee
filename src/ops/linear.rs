//! The linear layer with its activation: forward, and backward to input, weight and bias.

use super::step::StepUniform;
use super::wgsl;
use crate::activation::Activation;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};
use crate::matmul::{Matrix, matmul};
use crate::plan::Stage;
use crate::real::Real;

/// Invocations along each edge of a workgroup of the products.
const SIDE: u32 = 8;
/// Edge of the square block of elements that one workgroup computes: four an invocation.
const BLOCK: u32 = 4 * SIDE;
/// Steps along the products' inner dimension that are in workgroup memory at once.
const DEPTH: u32 = 16;
/// Constants of `shaders/matmul.wgsl`.
const MATMUL: &[(&str, f64)] = &[("SIDE", SIDE as f64), ("DEPTH", DEPTH as f64)];

pub(crate) const LINEAR_FORWARD: Kernel = Kernel {
    name: "linear_forward",
    wgsl: wgsl!("step", "activation", "matmul", "linear_shape", "linear_forward"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        read("input"),
        read("weight"),
        read("bias"),
        read_write("output"),
    ],
    constants: MATMUL,
    choices: &["ACTIVATION"],
};

pub(crate) const LINEAR_BACKWARD_INPUT: Kernel = Kernel {
    name: "linear_backward_input",
    wgsl: wgsl!("step", "activation", "matmul", "linear_shape", "linear_backward_input"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        read("gradient_output"),
        read("weight"),
        read("kept"),
        read_write("gradient_input"),
    ],
    constants: MATMUL,
    choices: &["ACTIVATION"],
};

pub(crate) const LINEAR_BACKWARD_WEIGHT: Kernel = Kernel {
    name: "linear_backward_weight",
    wgsl: wgsl!("step", "matmul", "linear_shape", "linear_backward_weight"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        read("gradient_output"),
        read("input"),
        read_write("gradient_weight"),
        read_write("gradient_bias"),
    ],
    constants: MATMUL,
    choices: &[],
};

uniform_struct! {
    /// Shape of one linear layer, where its output keeps Z, and the parameter of the activation
    /// that the kernel applies or differentiates.
    LinearShape {
        in_features: u32,
        out_features: u32,
        preactivation: u32,
        parameter: f32,
    }
}

impl LinearShape {
    /// The shape of a stage whose buffers hold `capacity` rows.
    ///
    /// `activation` is what the kernel applies (forward: the stage's own) or differentiates
    /// (backward to the input: the one before the stage).
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn new(stage: &Stage, capacity: usize, activation: Activation) -> Self {
        Self {
            in_features: stage.in_features as u32,
            out_features: stage.out_features as u32,
            preactivation: stage.preactivation_offset(capacity) as u32,
            parameter: activation.parameter(),
        }
    }

    /// Workgroups that cover every element of the output.
    pub(crate) const fn forward_grid(&self) -> Grid {
        Grid::rows_y(self.out_features.div_ceil(BLOCK), BLOCK)
    }

    /// Workgroups that cover every element of the input's gradient.
    pub(crate) const fn backward_input_grid(&self) -> Grid {
        Grid::rows_y(self.in_features.div_ceil(BLOCK), BLOCK)
    }

    /// Workgroups that cover every weight and, as one more column, the biases.
    pub(crate) const fn backward_weight_grid(&self) -> Grid {
        Grid::fixed((self.in_features + 1).div_ceil(BLOCK), self.out_features.div_ceil(BLOCK))
    }
}

/// Twin of `shaders/linear_forward.wgsl`: Z = X·Wᵀ + b, Y = a(Z).
///
/// `preactivation` is empty where the derivative doesn't need Z.
pub(crate) fn linear_forward<T: Real>(
    activation: Activation,
    input: &[T],
    weight: &[T],
    bias: &[T],
    output: &mut [T],
    preactivation: &mut [T],
) {
    let (in_features, out_features) = (weight.len() / bias.len(), bias.len());
    let weight = Matrix::new(weight, in_features);
    matmul(output, Matrix::new(input, in_features), weight.transposed());
    for row in output.chunks_exact_mut(out_features) {
        row.iter_mut().zip(bias).for_each(|(z, &b)| *z += b);
    }
    if !preactivation.is_empty() {
        preactivation.copy_from_slice(output);
    }
    if activation != Activation::Identity {
        output.iter_mut().for_each(|y| *y = activation.apply(*y));
    }
}

/// Twin of `shaders/linear_backward_input.wgsl`: dX = (dZ·W) ⊙ a′(kept).
pub(crate) fn linear_backward_input<T: Real>(
    activation: Activation,
    gradient_output: &[T],
    weight: &[T],
    out_features: usize,
    kept: &[T],
    gradient_input: &mut [T],
) {
    let weight = Matrix::new(weight, weight.len() / out_features);
    matmul(gradient_input, Matrix::new(gradient_output, out_features), weight);
    super::activation::activation_backward(activation, kept, gradient_input);
}

/// Twin of `shaders/linear_backward_weight.wgsl`: dW = dZᵀ·X, db = Σ dZ over the rows.
pub(crate) fn linear_backward_weight<T: Real>(
    gradient_output: &[T],
    input: &[T],
    gradient_weight: &mut [T],
    gradient_bias: &mut [T],
) {
    let out_features = gradient_bias.len();
    let in_features = gradient_weight.len() / out_features;
    let gradients = Matrix::new(gradient_output, out_features);
    matmul(gradient_weight, gradients.transposed(), Matrix::new(input, in_features));
    gradient_bias.fill(T::ZERO);
    for row in gradient_output.chunks_exact(out_features) {
        gradient_bias.iter_mut().zip(row).for_each(|(sum, &g)| *sum += g);
    }
}
