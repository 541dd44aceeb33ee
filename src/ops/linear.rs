//! The linear layer with its epilogue: forward, and backward to input, weight and bias.

use super::epilogue::{Draw, Epilogue, EpilogueUniform};
use super::product::{Family, Form, family};
use super::step::StepUniform;
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::matmul::{Matrix, matmul, matmul_add};
use crate::plan::TENSOR_ALIGN;
use crate::real::Real;

pub(crate) static LINEAR_FORWARD: Family = family!(
    "linear_forward",
    ["step", "activation", "philox", "order", "epilogue", "epilogue_output"],
    ["input", "weight"],
    &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("input"),
        read("weight"),
        read("bias"),
        read_write("output"),
        read_write("rows_of_data"),
    ],
    &[Epilogue::ACTIVATION, Epilogue::DROPOUT, Choice::flag("GATHERED")]
);

pub(crate) static LINEAR_BACKWARD_INPUT: Family = family!(
    "linear_backward_input",
    ["step", "activation", "philox", "epilogue", "epilogue_gradient"],
    ["gradient_output", "weight"],
    &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("gradient_output"),
        read("weight"),
        read("kept"),
        read_write("gradient_input"),
    ],
    Epilogue::CHOICES
);

pub(crate) static LINEAR_BACKWARD_WEIGHT: Family = family!(
    "linear_backward_weight",
    ["step"],
    ["gradient_output", "input"],
    &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        read("gradient_output"),
        read("input"),
        read_write("gradient"),
        read("rows_of_data"),
    ],
    &[Choice::flag("GATHERED")]
);

uniform_struct! {
    /// Mirror of `LinearShape` in `shaders/linear_shape.wgsl`.
    LinearShape {
        in_features: u32,
        out_features: u32,
        weight_at: u32,
        bias_at: u32,
        slices: u32,
        slice_stride: u32,
    }
    pad 2
}

#[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
impl LinearShape {
    /// A layer whose gradients lie at these places of an arena.
    pub(crate) fn new(in_features: usize, out_features: usize, places: [usize; 2]) -> Self {
        let [weight_at, bias_at] = places.map(|place| place as u32);
        Self {
            in_features: in_features as u32,
            out_features: out_features as u32,
            weight_at,
            bias_at,
            slices: 1,
            ..Self::default()
        }
    }

    /// The same with the gradient summed in slices of the batch, each a copy of W and b.
    pub(crate) fn sliced(self, slices: u32) -> Self {
        let bias_at = (self.in_features * self.out_features).next_multiple_of(TENSOR_ALIGN as u32);
        let slice_stride = (bias_at + self.out_features).next_multiple_of(TENSOR_ALIGN as u32);
        Self { weight_at: 0, bias_at, slices, slice_stride, ..self }
    }

    /// Whether the rows of X and W are multiples of four.
    pub(crate) const fn in_quads(&self) -> bool {
        self.in_features.is_multiple_of(4)
    }

    /// Whether the rows of X, W and dZ are multiples of four.
    pub(crate) const fn all_quads(&self) -> bool {
        self.in_quads() && self.out_features.is_multiple_of(4)
    }

    /// Workgroups that cover every element of the output.
    pub(crate) const fn forward_grid(&self, form: Form) -> Grid {
        form.batch_grid(self.out_features)
    }

    /// Workgroups that cover every element of the input's gradient.
    pub(crate) const fn backward_input_grid(&self, form: Form) -> Grid {
        form.batch_grid(self.in_features)
    }

    /// Workgroups that cover every weight and, as one more column, the biases, in every slice.
    pub(crate) const fn backward_weight_grid(&self, form: Form) -> Grid {
        form.grid(self.out_features, self.in_features + 1, self.slices)
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
