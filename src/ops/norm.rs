//! Batch and layer normalisation: z = γ·x̂ + β with x̂ = (x − μ)/√(σ² + ε).
//!
//! Both divide their input into groups with a mean and variance of their own: its columns (batch
//! norm) or its rows (layer norm).

mod statistics;

use super::activation::elementwise;
use super::epilogue::{Draw, Epilogue, EpilogueUniform};
use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::plan::Norm;
use crate::real::Real;
use crate::simd::vectorised_loop;
use statistics::{ROWS, WIDTH, count, wide};
pub(crate) use statistics::{Statistics, column_statistics, row_statistics, running_statistics};

/// Groups, and lanes of each, that a workgroup of the reductions has.
const LANES: u32 = 16;
const REDUCTION: &[(&str, f64)] = &[("LANES", LANES as f64)];
const ELEMENTWISE: &[(&str, f64)] = &[("WORKGROUP", WORKGROUP as f64)];

const PER_ROW: Choice = Choice::flag("PER_ROW");
const AFFINE: Choice = Choice::flag("AFFINE");
/// Choices of the kernels that apply the norm to elements and what follows it.
const WITH_EPILOGUE: &[Choice] = &[Epilogue::ACTIVATION, Epilogue::DROPOUT, PER_ROW, AFFINE];

pub(crate) const NORM_STATISTICS: Kernel = Kernel {
    name: "norm_statistics",
    wgsl: wgsl!("step", "norm_shape", "norm_statistics", "lanes", "finite"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<NormShape>("shape"),
        read("input").or_half(),
        read_write("statistics"),
        read_write("running_mean"),
        read_write("running_var"),
    ],
    constants: REDUCTION,
    choices: &[PER_ROW],
};

pub(crate) const NORM_FORWARD: Kernel = Kernel {
    name: "norm_forward",
    wgsl: wgsl!(
        "step",
        "finite",
        "near_zero",
        "activation_value",
        "activation",
        "philox",
        "epilogue",
        "epilogue_output",
        "norm_shape",
        "norm_value",
        "norm_forward"
    ),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<NormShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("input").or_half(),
        read("statistics"),
        read("weight"),
        read("bias"),
        read_write("output").or_half(),
    ],
    constants: ELEMENTWISE,
    choices: WITH_EPILOGUE,
};

pub(crate) const NORM_BACKWARD_COLUMNS: Kernel = Kernel {
    name: "norm_backward_columns",
    wgsl: wgsl!("step", "scaling", "norm_shape", "norm_value", "norm_backward_columns", "lanes"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<NormShape>("shape"),
        read("input").or_half(),
        read("statistics"),
        read("gradient_output").or_half(),
        read_write("sums"),
        read_write("gradient_weight"),
        read_write("gradient_bias"),
        read("scaling"),
    ],
    constants: REDUCTION,
    choices: &[PER_ROW, AFFINE],
};

pub(crate) const NORM_BACKWARD_ROWS: Kernel = Kernel {
    name: "norm_backward_rows",
    wgsl: wgsl!("step", "norm_shape", "norm_value", "norm_backward_rows", "lanes"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<NormShape>("shape"),
        read("input").or_half(),
        read("statistics"),
        read("weight"),
        read("gradient_output").or_half(),
        read_write("sums"),
    ],
    constants: REDUCTION,
    choices: &[PER_ROW, AFFINE],
};

pub(crate) const NORM_BACKWARD_INPUT: Kernel = Kernel {
    name: "norm_backward_input",
    wgsl: wgsl!(
        "step",
        "finite",
        "near_zero",
        "activation_value",
        "activation",
        "philox",
        "epilogue",
        "epilogue_gradient",
        "norm_shape",
        "norm_value",
        "norm_backward_input"
    ),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<NormShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("input").or_half(),
        read("statistics"),
        read("sums"),
        read("weight"),
        read("gradient_output").or_half(),
        read("kept").or_half(),
        read_write("gradient_input").or_half(),
    ],
    constants: ELEMENTWISE,
    choices: WITH_EPILOGUE,
};

uniform_struct! {
    /// Mirror of `NormShape` in `shaders/norm_shape.wgsl`.
    NormShape { columns: u32, tracked: u32, eps: f32, momentum: f32, }
}

impl NormShape {
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn new(norm: &Norm, columns: usize) -> Self {
        Self {
            columns: columns as u32,
            tracked: u32::from(norm.running.is_some()),
            eps: norm.eps as f32,
            momentum: norm.momentum as f32,
        }
    }

    /// Workgroups that cover the groups of a norm.
    pub(crate) const fn groups_grid(&self, per_row: bool) -> Grid {
        if per_row { Grid::rows_x(LANES) } else { self.columns_grid() }
    }

    /// Workgroups that cover every column.
    pub(crate) const fn columns_grid(&self) -> Grid {
        Grid::fixed(self.columns.div_ceil(LANES), 1)
    }

    /// Workgroups that cover every element of the batch.
    pub(crate) const fn elements_grid(&self) -> Grid {
        elementwise(self.columns)
    }
}

/// Values of the choices `PER_ROW` and `AFFINE`.
pub(crate) fn choices(norm: &Norm) -> [f64; 2] {
    [norm.per_row, norm.affine.is_some()].map(|choice| f64::from(u8::from(choice)))
}

/// γ and β, or empty slices where the norm has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<'a, T> {
    pub weight: &'a [T],
    pub bias: &'a [T],
}

impl<T: Real> Affine<'_, T> {
    /// Neither γ nor β.
    pub(crate) const NONE: Self = Affine { weight: &[], bias: &[] };

    #[inline(always)]
    fn gamma(&self, first: usize) -> [T; WIDTH] {
        wide(self.weight, first, T::ONE)
    }

    #[inline(always)]
    fn beta(&self, first: usize) -> [T; WIDTH] {
        wide(self.bias, first, T::ZERO)
    }
}

/// What the passes over a norm read: its input (rows × columns), statistics and parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormInput<'a, T> {
    pub norm: &'a Norm,
    pub columns: usize,
    pub input: &'a [T],
    pub statistics: &'a [Statistics<T>],
    pub affine: Affine<'a, T>,
}

impl<T: Real> NormInput<'_, T> {
    /// The statistics of `WIDTH` columns from `first` on, in a row.
    #[inline(always)]
    fn statistics(&self, row: usize, first: usize) -> [Statistics<T>; WIDTH] {
        if self.norm.per_row {
            [self.statistics[row]; WIDTH]
        } else {
            let rest = &self.statistics[first..];
            std::array::from_fn(|j| rest.get(j).copied().unwrap_or_default())
        }
    }

    /// Calls `each` for `WIDTH` columns from every `first` on of all rows: with the row, x̂ and
    /// 1/√(σ² + ε). What it needs of columns, `of_columns` tells it once for many rows.
    #[inline(always)]
    fn for_each<C>(
        &self,
        of_columns: impl Fn(usize) -> C,
        mut each: impl FnMut(&C, usize, usize, [T; WIDTH], [T; WIDTH]),
    ) {
        for (block, rows) in self.input.chunks(ROWS * self.columns).enumerate() {
            for first in (0..self.columns).step_by(WIDTH) {
                let columns = of_columns(first);
                let mut statistics = self.statistics(block * ROWS, first);
                for (row, x) in (block * ROWS..).zip(rows.chunks_exact(self.columns)) {
                    if self.norm.per_row {
                        statistics = self.statistics(row, first);
                    }
                    let x = wide(x, first, T::ZERO);
                    let normalised = std::array::from_fn(|j| statistics[j].normalised(x[j]));
                    let inv_deviation = std::array::from_fn(|j| statistics[j].inv_deviation);
                    each(&columns, row, first, normalised, inv_deviation);
                }
            }
        }
    }

    /// Of row `row` of a matrix like the input, the elements from `first` on.
    #[inline(always)]
    fn elements(&self, matrix: &[T], row: usize, first: usize) -> [T; WIDTH] {
        wide(&matrix[row * self.columns..][..self.columns], first, T::ZERO)
    }

    /// Writes them.
    #[inline(always)]
    fn set(&self, matrix: &mut [T], row: usize, first: usize, values: [T; WIDTH]) {
        let row = &mut matrix[row * self.columns..][..self.columns][first..];
        match row.first_chunk_mut() {
            Some(row) => *row = values,
            None => row.iter_mut().zip(values).for_each(|(x, value)| *x = value),
        }
    }

    /// Twin of `shaders/norm_forward.wgsl`: Z = γ·x̂ + β, Y = dropout(a(Z)).
    pub(crate) fn forward(
        &self,
        epilogue: &Epilogue,
        draw: Option<&Draw>,
        output: &mut [T],
        kept: &mut [T],
    ) {
        vectorised_loop!({
            self.for_each(
                #[inline(always)]
                |first| (self.affine.gamma(first), self.affine.beta(first)),
                #[inline(always)]
                |(gamma, beta), row, first, x, _| {
                    let z = std::array::from_fn(|j| gamma[j] * x[j] + beta[j]);
                    self.set(output, row, first, z);
                },
            );
        });
        epilogue.forward(draw, self.columns, output, kept);
    }

    /// Twin of `shaders/norm_backward_columns.wgsl`: `sums` (Σ dZ, Σ dZ·x̂) of as many columns from
    /// `first` on, which are also those of a batch norm's groups. The gradients of β and γ are these
    /// sums, added to what is there if `accumulate`; empty slices where there are none.
    pub(crate) fn backward_columns(
        &self,
        accumulate: bool,
        gradient_output: &[T],
        first: usize,
        sums: &mut [[T; 2]],
        [gradient_weight, gradient_bias]: [&mut [T]; 2],
    ) {
        sums.fill([T::ZERO; 2]);
        vectorised_loop!({
            for (block, rows) in self.input.chunks(ROWS * self.columns).enumerate() {
                for (strip, sums) in sums.chunks_mut(WIDTH).enumerate() {
                    let first = first + strip * WIDTH;
                    let mut statistics = self.statistics(block * ROWS, first);
                    let sum = |i: usize| {
                        std::array::from_fn(|j| sums.get(j).map_or(T::ZERO, |sums| sums[i]))
                    };
                    let [mut s, mut t]: [[T; WIDTH]; 2] = [sum(0), sum(1)];
                    for (row, x) in (block * ROWS..).zip(rows.chunks_exact(self.columns)) {
                        if self.norm.per_row {
                            statistics = self.statistics(row, first);
                        }
                        let x = wide(x, first, T::ZERO);
                        let dz = self.elements(gradient_output, row, first);
                        for j in 0..WIDTH {
                            s[j] += dz[j];
                            t[j] += dz[j] * statistics[j].normalised(x[j]);
                        }
                    }
                    for (sums, (s, t)) in sums.iter_mut().zip(s.into_iter().zip(t)) {
                        *sums = [s, t];
                    }
                }
            }
        });
        let add =
            |gradient: &mut T, sum: T| *gradient = if accumulate { *gradient + sum } else { sum };
        gradient_bias.iter_mut().zip(&*sums).for_each(|(g, sums)| add(g, sums[0]));
        gradient_weight.iter_mut().zip(&*sums).for_each(|(g, sums)| add(g, sums[1]));
    }

    /// Twin of `shaders/norm_backward_rows.wgsl`: (Σ γ·dZ, Σ γ·dZ·x̂) of each row.
    pub(crate) fn backward_rows(&self, gradient_output: &[T], sums: &mut [[T; 2]]) {
        sums.fill([T::ZERO; 2]);
        vectorised_loop!({
            self.for_each(
                #[inline(always)]
                |first| self.affine.gamma(first),
                #[inline(always)]
                |gamma, row, first, x, _| {
                    let dz = self.elements(gradient_output, row, first);
                    let g: [T; WIDTH] = std::array::from_fn(|j| gamma[j] * dz[j]);
                    sums[row][0] += g.into_iter().sum();
                    sums[row][1] += g.into_iter().zip(x).map(|(g, x)| g * x).sum();
                },
            );
        });
    }

    /// Twin of `shaders/norm_backward_input.wgsl`:
    /// dX = (γ·dZ − (s + x̂·t)/n)/√(σ² + ε) ⊙ the derivative of the epilogue that made X, on some
    /// rows of a batch of `batch`.
    #[expect(clippy::too_many_arguments, reason = "what the kernel reads and writes")]
    pub(crate) fn backward_input(
        &self,
        epilogue: &Epilogue,
        draw: Option<&Draw>,
        batch: usize,
        sums: &[[T; 2]],
        gradient_output: &[T],
        kept: &[T],
        gradient_input: &mut [T],
    ) {
        let per_row = self.norm.per_row;
        let len = count::<T>(if per_row { self.columns } else { batch });
        vectorised_loop!({
            self.for_each(
                #[inline(always)]
                |first| {
                    let gamma = self.affine.gamma(first);
                    let sums = sums.get(first..).unwrap_or(&[]);
                    let sums = |i: usize| {
                        std::array::from_fn(|j| sums.get(j).map_or(T::ZERO, |sums| sums[i]))
                    };
                    (gamma, [sums(0), sums(1)])
                },
                #[inline(always)]
                |(gamma, of_columns), row, first, x, inv_deviation| {
                    let dz = self.elements(gradient_output, row, first);
                    // The sums of a batch norm leave out γ, which is the same in the whole group.
                    let ([s, t], outside) = if per_row {
                        (sums[row].map(|sum| [sum; WIDTH]), [T::ONE; WIDTH])
                    } else {
                        (*of_columns, *gamma)
                    };
                    let dx = std::array::from_fn(|j| {
                        let mean = (s[j] + x[j] * t[j]) / len;
                        (gamma[j] * dz[j] - outside[j] * mean) * inv_deviation[j]
                    });
                    self.set(gradient_input, row, first, dx);
                },
            );
        });
        epilogue.backward(draw, self.columns, kept, gradient_input);
    }
}
