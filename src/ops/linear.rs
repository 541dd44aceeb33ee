//! The linear layer with its epilogue: forward, and backward to input, weight and bias.

use super::epilogue::{Draw, Epilogue, EpilogueUniform};
use super::step::StepUniform;
use super::wgsl;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};
use crate::matmul::{Matrix, matmul, matmul_add};
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
    wgsl: wgsl!(
        "step",
        "activation",
        "philox",
        "epilogue",
        "epilogue_output",
        "matmul",
        "linear_shape",
        "linear_forward"
    ),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("input"),
        read("weight"),
        read("bias"),
        read_write("output"),
    ],
    constants: MATMUL,
    choices: Epilogue::CHOICES,
};

pub(crate) const LINEAR_BACKWARD_INPUT: Kernel = Kernel {
    name: "linear_backward_input",
    wgsl: wgsl!(
        "step",
        "activation",
        "philox",
        "epilogue",
        "matmul",
        "linear_shape",
        "linear_backward_input"
    ),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("gradient_output"),
        read("weight"),
        read("kept"),
        read_write("gradient_input"),
    ],
    constants: MATMUL,
    choices: Epilogue::CHOICES,
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
    /// Shape of one linear layer.
    LinearShape { in_features: u32, out_features: u32, } pad 2
}

impl LinearShape {
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn new(in_features: usize, out_features: usize) -> Self {
        Self {
            in_features: in_features as u32,
            out_features: out_features as u32,
            ..Self::default()
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

/// Twin of `shaders/linear_forward.wgsl`: Z = X·Wᵀ + b, Y = dropout(a(Z)).
///
/// `kept` is empty where the derivative needs nothing but Y.
pub(crate) fn linear_forward<T: Real>(
    epilogue: &Epilogue,
    draw: Option<&Draw>,
    input: &[T],
    weight: &[T],
    bias: &[T],
    output: &mut [T],
    kept: &mut [T],
) {
    let (in_features, out_features) = (weight.len() / bias.len(), bias.len());
    let weight = Matrix::new(weight, in_features);
    matmul(output, Matrix::new(input, in_features), weight.transposed());
    for row in output.chunks_exact_mut(out_features) {
        row.iter_mut().zip(bias).for_each(|(z, &b)| *z += b);
    }
    epilogue.forward(draw, out_features, output, kept);
}

/// Twin of `shaders/linear_backward_input.wgsl`: dX = (dZ·W) ⊙ the derivative of the epilogue that
/// made X.
pub(crate) fn linear_backward_input<T: Real>(
    epilogue: &Epilogue,
    draw: Option<&Draw>,
    gradient_output: &[T],
    weight: &[T],
    out_features: usize,
    kept: &[T],
    gradient_input: &mut [T],
) {
    let in_features = weight.len() / out_features;
    let weight = Matrix::new(weight, in_features);
    matmul(gradient_input, Matrix::new(gradient_output, out_features), weight);
    epilogue.backward(draw, in_features, kept, gradient_input);
}

/// Twin of `shaders/linear_backward_weight.wgsl`: dW = dZᵀ·X, db = Σ dZ over the rows; added to what
/// is there if `accumulate`.
pub(crate) fn linear_backward_weight<T: Real>(
    accumulate: bool,
    gradient_output: &[T],
    input: &[T],
    gradient_weight: &mut [T],
    gradient_bias: &mut [T],
) {
    let out_features = gradient_bias.len();
    let in_features = gradient_weight.len() / out_features;
    let gradients = Matrix::new(gradient_output, out_features).transposed();
    let input = Matrix::new(input, in_features);
    if accumulate {
        matmul_add(gradient_weight, gradients, input);
    } else {
        matmul(gradient_weight, gradients, input);
        gradient_bias.fill(T::ZERO);
    }
    for row in gradient_output.chunks_exact(out_features) {
        gradient_bias.iter_mut().zip(row).for_each(|(sum, &g)| *sum += g);
    }
}
