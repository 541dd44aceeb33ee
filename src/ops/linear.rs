//! The linear layer with its epilogue: forward, and backward to input, weight and bias.

use super::epilogue::{Draw, Epilogue, EpilogueUniform};
use super::product::{Family, Form, family};
use super::step::StepUniform;
use crate::blocks::{RowsMut, Split, in_blocks};
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::matmul::{Left, Matrix, Panels, Right, TILE_COLUMNS, TILE_ROWS, pack_panel, product};
use crate::real::Real;
use crate::simd::vectorised_loop;

pub(crate) static LINEAR_FORWARD: Family = family!(
    "linear_forward",
    [
        "step",
        "finite",
        "near_zero",
        "activation_value",
        "activation",
        "philox",
        "order",
        "epilogue",
        "epilogue_output"
    ],
    ["input", "weight"],
    &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("input").or_half(),
        read("weight").or_half(),
        read("bias"),
        read_write("output").or_half(),
        read_write("rows_of_data"),
    ],
    &[Epilogue::ACTIVATION, Epilogue::DROPOUT, Choice::flag("GATHERED")]
);

pub(crate) static LINEAR_BACKWARD_INPUT: Family = family!(
    "linear_backward_input",
    [
        "step",
        "finite",
        "near_zero",
        "activation_value",
        "activation",
        "philox",
        "epilogue",
        "epilogue_gradient"
    ],
    ["gradient_output", "weight"],
    &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("gradient_output").or_half(),
        read("weight").or_half(),
        read("kept").or_half(),
        read_write("gradient_input").or_half(),
    ],
    Epilogue::CHOICES
);

pub(crate) static LINEAR_BACKWARD_WEIGHT: Family = family!(
    "linear_backward_weight",
    ["step", "scaling"],
    ["gradient_output", "input"],
    &[
        step::<StepUniform>("step"),
        uniform::<LinearShape>("shape"),
        read("gradient_output").or_half(),
        read("input").or_half(),
        read_write("gradient"),
        read("rows_of_data"),
        read("scaling"),
    ],
    &[Choice::flag("GATHERED"), Choice::flag("ADDS")]
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

    /// The same with the gradient summed in slices of the batch, each a copy of W and b, which start at
    /// multiples of `align`. The copies are added up to one range of the arena, so there is one slice
    /// where b isn't behind W.
    pub(crate) fn sliced(self, slices: u32, align: u32) -> Self {
        let bias_at = (self.in_features * self.out_features).next_multiple_of(align);
        if slices == 1 || self.bias_at != self.weight_at + bias_at {
            return self;
        }
        let slice_stride = (bias_at + self.out_features).next_multiple_of(align);
        Self { weight_at: 0, bias_at, slices, slice_stride, ..self }
    }

    /// Elements of the slices' sums; 0 where there is one slice, which is the sum.
    pub(crate) const fn partials_len(&self) -> usize {
        self.slices as usize * self.slice_stride as usize
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

/// The weight of a layer in the two orders in which the products over rows read it.
#[derive(Clone, Debug)]
pub(crate) struct LinearWeight<T> {
    in_features: usize,
    out_features: usize,
    /// Of Wᵀ, for X·Wᵀ.
    forward: Vec<[T; TILE_COLUMNS]>,
    /// Of W, for dZ·W; empty where no gradient goes on to the input.
    backward: Vec<[T; TILE_COLUMNS]>,
}

impl<T: Real> LinearWeight<T> {
    /// Room for a weight of out × in elements.
    pub(crate) fn new(in_features: usize, out_features: usize, has_backward: bool) -> Self {
        let zeros = |rows| vec![[T::ZERO; TILE_COLUMNS]; rows];
        let [forward, backward] = Self::rows(in_features, out_features, has_backward).map(zeros);
        Self { in_features, out_features, forward, backward }
    }

    /// Numbers in a weight of out × in elements.
    pub(crate) fn elements(in_features: usize, out_features: usize, has_backward: bool) -> usize {
        let rows = Self::rows(in_features, out_features, has_backward);
        TILE_COLUMNS * rows.iter().sum::<usize>()
    }

    /// Rows of the panels for the way forward and back.
    const fn rows(in_features: usize, out_features: usize, has_backward: bool) -> [usize; 2] {
        let forward = Right::<T>::len(in_features, out_features);
        [forward, if has_backward { Right::<T>::len(out_features, in_features) } else { 0 }]
    }

    /// Takes new values, also in the order of the way back where that is `wanted`.
    pub(crate) fn set(&mut self, weight: &[T], backward: bool) {
        let weight = Matrix::new(weight, self.in_features);
        let pack = |matrix: Matrix<'_, T>, panels: &mut [[T; TILE_COLUMNS]], depth: usize| {
            let panels = (0..panels.len() / depth, RowsMut::new(panels, depth));
            let block = (PACKED_BLOCK / (depth * TILE_COLUMNS)).max(1);
            in_blocks(panels, block, &|(numbers, panels)| {
                let panels = panels.elements.chunks_exact_mut(depth);
                numbers.zip(panels).for_each(|(number, panel)| pack_panel(matrix, number, panel));
            });
        };
        pack(weight.transposed(), &mut self.forward, self.in_features);
        if backward {
            pack(weight, &mut self.backward, self.out_features);
        }
    }

    fn forward(&self) -> Right<'_, T> {
        Right::new(&self.forward, self.in_features, self.out_features)
    }

    fn backward(&self) -> Right<'_, T> {
        Right::new(&self.backward, self.out_features, self.in_features)
    }
}

/// Elements that are packed in one go: beside that, a thread costs little.
const PACKED_BLOCK: usize = 1 << 15;

/// Twin of `shaders/linear_forward.wgsl`: Z = X·Wᵀ + b, Y = dropout(a(Z)).
///
/// `kept` is empty where the derivative needs nothing but Y.
pub(crate) fn linear_forward<T: Real>(
    epilogue: &Epilogue,
    draw: Option<&Draw>,
    input: &[T],
    weight: &LinearWeight<T>,
    bias: &[T],
    output: &mut [T],
    kept: &mut [T],
) {
    product(output, false, Left::Rows(input), weight.forward());
    vectorised_loop!({
        for row in output.chunks_exact_mut(bias.len()) {
            for (z, &b) in row.iter_mut().zip(bias) {
                *z += b;
            }
        }
    });
    epilogue.forward(draw, bias.len(), output, kept);
}

/// Twin of `shaders/linear_backward_input.wgsl`: dX = (dZ·W) ⊙ the derivative of the epilogue that
/// made X.
pub(crate) fn linear_backward_input<T: Real>(
    epilogue: &Epilogue,
    draw: Option<&Draw>,
    gradient_output: &[T],
    weight: &LinearWeight<T>,
    kept: &[T],
    gradient_input: &mut [T],
) {
    product(gradient_input, false, Left::Rows(gradient_output), weight.backward());
    epilogue.backward(draw, weight.in_features, kept, gradient_input);
}

/// The gradients of a layer's outputs from `first` on: rows of dW, elements of db, and room for the
/// same columns of dZ in the order of the product.
#[derive(Debug)]
pub(crate) struct WeightGradient<'a, T> {
    pub first: usize,
    pub weight: &'a mut [T],
    pub bias: &'a mut [T],
    pub panels: &'a mut [[T; TILE_ROWS]],
}

/// Divides at multiples of `TILE_ROWS`.
impl<T: Real> Split for WeightGradient<'_, T> {
    fn rows(&self) -> usize {
        self.bias.len()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let outputs = self.bias.len();
        let (weight, more_weight) = self.weight.split_at_mut(self.weight.len() / outputs * row);
        let (bias, more_bias) = self.bias.split_at_mut(row);
        let depth = self.panels.len() / outputs.div_ceil(TILE_ROWS);
        let (panels, more_panels) = self.panels.split_at_mut(row / TILE_ROWS * depth);
        let first = self.first;
        (
            Self { first, weight, bias, panels },
            Self { first: first + row, weight: more_weight, bias: more_bias, panels: more_panels },
        )
    }
}

/// Twin of `shaders/linear_backward_weight.wgsl`: dW = dZᵀ·X, db = Σ dZ over the rows; added to what
/// is there if `accumulate`.
///
/// `gradient_output` has `out_features` columns, some of which are those of `gradient`.
pub(crate) fn linear_backward_weight<T: Real>(
    accumulate: bool,
    gradient_output: &[T],
    out_features: usize,
    input: Right<'_, T>,
    gradient: WeightGradient<'_, T>,
) {
    let WeightGradient { first, weight, bias, panels } = gradient;
    let dz = Matrix::new(gradient_output, out_features).columns(first..first + bias.len());
    product(weight, accumulate, Left::Panels(Panels::pack(dz, panels)), input);
    if !accumulate {
        bias.fill(T::ZERO);
    }
    vectorised_loop!({
        for row in gradient_output.chunks_exact(out_features) {
            for (sum, &g) in bias.iter_mut().zip(&row[first..]) {
                *sum += g;
            }
        }
    });
}
