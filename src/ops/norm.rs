//! Batch and layer normalisation: z = γ·x̂ + β with x̂ = (x − μ)/√(σ² + ε).
//!
//! Both divide their input into groups with a mean and variance of their own: its columns (batch
//! norm) or its rows (layer norm).

use super::activation::elementwise;
use super::epilogue::{Draw, Epilogue, EpilogueUniform};
use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::plan::Norm;
use crate::real::Real;

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
    wgsl: wgsl!("step", "norm_shape", "norm_statistics", "lanes"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<NormShape>("shape"),
        read("input"),
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
        read("input"),
        read("statistics"),
        read("weight"),
        read("bias"),
        read_write("output"),
    ],
    constants: ELEMENTWISE,
    choices: WITH_EPILOGUE,
};

pub(crate) const NORM_BACKWARD_COLUMNS: Kernel = Kernel {
    name: "norm_backward_columns",
    wgsl: wgsl!("step", "norm_shape", "norm_value", "norm_backward_columns", "lanes"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<NormShape>("shape"),
        read("input"),
        read("statistics"),
        read("gradient_output"),
        read_write("sums"),
        read_write("gradient_weight"),
        read_write("gradient_bias"),
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
        read("input"),
        read("statistics"),
        read("weight"),
        read("gradient_output"),
        read_write("sums"),
    ],
    constants: REDUCTION,
    choices: &[PER_ROW, AFFINE],
};

pub(crate) const NORM_BACKWARD_INPUT: Kernel = Kernel {
    name: "norm_backward_input",
    wgsl: wgsl!(
        "step",
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
        read("input"),
        read("statistics"),
        read("sums"),
        read("weight"),
        read("gradient_output"),
        read("kept"),
        read_write("gradient_input"),
    ],
    constants: ELEMENTWISE,
    choices: WITH_EPILOGUE,
};

uniform_struct! {
    /// Mirror of `NormShape` in `shaders/norm_shape.wgsl`.
    NormShape { columns: u32, tracked: u32, eps: f32, momentum: f32, one_minus_momentum: f32, }
    pad 3
}

impl NormShape {
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn new(norm: &Norm, columns: usize) -> Self {
        Self {
            columns: columns as u32,
            tracked: u32::from(norm.running.is_some()),
            eps: norm.eps as f32,
            momentum: norm.momentum as f32,
            one_minus_momentum: (1.0 - norm.momentum) as f32,
            ..Self::default()
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

/// (c, μ − c, 1/√(σ² + ε)) of a group: μ in two parts, a number near it and the small rest, so that a
/// mean far larger than the spread costs no digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Statistics<T> {
    pub centre: T,
    pub shift: T,
    pub inv_deviation: T,
}

impl<T: Real> Statistics<T> {
    fn new(centre: T, shift: T, variance: T, eps: T) -> Self {
        Self { centre, shift, inv_deviation: T::ONE / (variance + eps).sqrt() }
    }

    /// x̂.
    fn normalised(&self, x: T) -> T {
        ((x - self.centre) - self.shift) * self.inv_deviation
    }
}

/// Twin of `shaders/norm_statistics.wgsl` on batch statistics: those of each group of `input`
/// (rows × columns). `running` holds the running mean and variance, and is moved; empty slices where
/// nothing is tracked or nothing is trained.
pub(crate) fn norm_statistics<T: Real>(
    norm: &Norm,
    columns: usize,
    input: &[T],
    statistics: &mut [Statistics<T>],
    running: [&mut [T]; 2],
) {
    let rows = input.len() / columns;
    let momentum = T::from_f64(norm.momentum);
    let rest = T::from_f64(1.0 - norm.momentum);
    let [running_mean, running_var] = running;
    for (group, statistics) in statistics.iter_mut().enumerate() {
        let (start, stride, len) =
            if norm.per_row { (group * columns, 1, columns) } else { (group, columns, rows) };
        let elements = || input[start..].iter().step_by(stride).take(len).copied();
        let count = count::<T>(len);
        let centre = input[start];
        let shift = elements().map(|x| x - centre).sum::<T>() / count;
        let deviation = |x: T| (x - centre) - shift;
        let squares: T = elements().map(|x| deviation(x) * deviation(x)).sum();
        *statistics = Statistics::new(centre, shift, squares / count, T::from_f64(norm.eps));
        if let (Some(mean), Some(var)) = (running_mean.get_mut(group), running_var.get_mut(group)) {
            *mean = rest * *mean + momentum * (centre + shift);
            *var = rest * *var + momentum * (squares / (count - T::ONE));
        }
    }
}

/// Twin of `shaders/norm_statistics.wgsl` outside of training: the running statistics.
pub(crate) fn running_statistics<T: Real>(
    norm: &Norm,
    [mean, var]: [&[T]; 2],
    statistics: &mut [Statistics<T>],
) {
    for ((statistics, &mean), &var) in statistics.iter_mut().zip(mean).zip(var) {
        *statistics = Statistics::new(mean, T::ZERO, var, T::from_f64(norm.eps));
    }
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

    fn gamma(&self, column: usize) -> T {
        self.weight.get(column).copied().unwrap_or(T::ONE)
    }

    fn beta(&self, column: usize) -> T {
        self.bias.get(column).copied().unwrap_or(T::ZERO)
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
    /// Group of an element.
    const fn group(&self, row: usize, column: usize) -> usize {
        if self.norm.per_row { row } else { column }
    }

    /// x̂ of every element, with its row and column.
    fn normalised(&self) -> impl Iterator<Item = (usize, usize, T)> {
        self.input.chunks_exact(self.columns).enumerate().flat_map(move |(row, input)| {
            input.iter().enumerate().map(move |(column, &x)| {
                (row, column, self.statistics[self.group(row, column)].normalised(x))
            })
        })
    }

    /// Twin of `shaders/norm_forward.wgsl`: Z = γ·x̂ + β, Y = dropout(a(Z)).
    pub(crate) fn forward(
        &self,
        epilogue: &Epilogue,
        draw: Option<&Draw>,
        output: &mut [T],
        kept: &mut [T],
    ) {
        for ((_, column, x), z) in self.normalised().zip(&mut *output) {
            *z = self.affine.gamma(column) * x + self.affine.beta(column);
        }
        epilogue.forward(draw, self.columns, output, kept);
    }

    /// Twin of `shaders/norm_backward_columns.wgsl`: `sums` of each column (Σ dZ, Σ dZ·x̂), which are
    /// also those of a batch norm's groups. The gradients of β and γ are these sums, added to what is
    /// there if `accumulate`; empty slices where there are none.
    pub(crate) fn backward_columns(
        &self,
        accumulate: bool,
        gradient_output: &[T],
        sums: &mut [[T; 2]],
        gradient_weight: &mut [T],
        gradient_bias: &mut [T],
    ) {
        sums.fill([T::ZERO; 2]);
        for ((_, column, x), &dz) in self.normalised().zip(gradient_output) {
            sums[column][0] += dz;
            sums[column][1] += dz * x;
        }
        let add =
            |gradient: &mut T, sum: T| *gradient = if accumulate { *gradient + sum } else { sum };
        gradient_bias.iter_mut().zip(&*sums).for_each(|(g, sums)| add(g, sums[0]));
        gradient_weight.iter_mut().zip(&*sums).for_each(|(g, sums)| add(g, sums[1]));
    }

    /// Twin of `shaders/norm_backward_rows.wgsl`: (Σ γ·dZ, Σ γ·dZ·x̂) of each row.
    pub(crate) fn backward_rows(&self, gradient_output: &[T], sums: &mut [[T; 2]]) {
        sums.fill([T::ZERO; 2]);
        for ((row, column, x), &dz) in self.normalised().zip(gradient_output) {
            let g = self.affine.gamma(column) * dz;
            sums[row][0] += g;
            sums[row][1] += g * x;
        }
    }

    /// Twin of `shaders/norm_backward_input.wgsl`:
    /// dX = (γ·dZ − (s + x̂·t)/n)/√(σ² + ε) ⊙ the derivative of the epilogue that made X, on some
    /// rows of a batch of `batch`.
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
        let len = count::<T>(if self.norm.per_row { self.columns } else { batch });
        let elements = self.normalised().zip(gradient_output).zip(&mut *gradient_input);
        for (((row, column, x), &dz), dx) in elements {
            let group = self.group(row, column);
            let gamma = self.affine.gamma(column);
            // The sums of a batch norm leave out γ, which is the same in the whole group.
            let outside = if self.norm.per_row { T::ONE } else { gamma };
            let [s, t] = sums[group];
            let mean = (s + x * t) / len;
            *dx = (gamma * dz - outside * mean) * self.statistics[group].inv_deviation;
        }
        epilogue.backward(draw, self.columns, kept, gradient_input);
    }
}

#[expect(clippy::cast_precision_loss, reason = "batches and columns are far below 2⁵²")]
fn count<T: Real>(n: usize) -> T {
    T::from_f64(n as f64)
}
