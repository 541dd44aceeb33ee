//! One step of every parameter, in one pass over the arenas.

mod pass;

use self::pass::{GroupPass, Pass};
use super::step::StepUniform;
use super::wgsl;
use crate::blocks::Split;
use crate::engine::gpu::buffers::SLOTS;
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::optimizer::{Clip, MAX_GROUPS, Rule, Update};
use crate::options::TrainOptions;
use crate::plan::Plan;
use crate::real::Real;
use crate::simd::{vectorised, vectorised_loop};

/// As many as the smallest devices allow.
const WORKGROUP: u32 = 128;
/// Partial sums of the gradient's norm.
pub(crate) const PARTIAL_SUMS: usize = WORKGROUP as usize;
/// Words of the optimizer's status: partial sums, and the faults of each slot of the step ring.
pub(crate) const STATUS_WORDS: usize = PARTIAL_SUMS + SLOTS as usize;

pub(crate) const GRADIENT_NORM: Kernel = Kernel {
    name: "gradient_norm",
    wgsl: wgsl!("step", "gradient_norm", "arena"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ArenaShape>("shape"),
        read("gradients"),
        read_write("partial_sums"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[],
};

pub(crate) const OPTIMIZER: Kernel = Kernel {
    name: "optimizer",
    wgsl: wgsl!("step", "optimizer", "arena", "finite"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ArenaShape>("shape"),
        read("gradients"),
        read_write("parameters"),
        read_write("moment1"),
        read_write("moment2"),
        read_write("moment3"),
        read_write("averages"),
        read_write("status"),
        read_write("measured"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[
        Choice::codes::<6>("RULE"),
        Choice::flag("MOMENTUM"),
        Choice::flag("VARIANT"),
        Choice::codes::<3>("CLIP"),
        Choice::flag("AVERAGED"),
        Choice::flag("MEASURED"),
        Choice::flag("SKIPS"),
    ],
};

uniform_struct! {
    /// Mirror of `ArenaShape` in `shaders/arena.wgsl`.
    ArenaShape { ends0: [u32; 4], ends1: [u32; 4], len: u32, averaged: u32, } pad 2
}

impl ArenaShape {
    /// The trained part of a plan's arenas, and what is averaged.
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn of(plan: &Plan) -> Self {
        Self { averaged: averaged_len(plan) as u32, ..Self::new(plan.group_ends()) }
    }

    /// Arenas whose parameter groups end there, all of them averaged where averages are kept.
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn new(group_ends: &[usize]) -> Self {
        let len = group_ends.last().map_or(0, |&end| end as u32);
        let mut ends = [len; MAX_GROUPS];
        ends.iter_mut().zip(group_ends).for_each(|(end, &group)| *end = group as u32);
        let [a, b, c, d, e, f, g, h] = ends;
        let averaged = len;
        Self { ends0: [a, b, c, d], ends1: [e, f, g, h], len, averaged, ..Self::default() }
    }

    /// One invocation per element.
    pub(crate) fn grid(&self) -> Grid {
        Grid::elements(self.len.max(self.averaged) as usize, WORKGROUP)
    }
}

/// Elements of the averages: all parameters, with the running statistics of batch norms, which belong to the
/// weights that they were taken with; 0 where no average is kept.
pub(crate) fn averaged_len(plan: &Plan) -> usize {
    if plan.options().ema.is_some() { plan.arena_len() } else { 0 }
}

/// One workgroup per partial sum.
pub(crate) const fn norm_grid() -> Grid {
    Grid::fixed(WORKGROUP, 1)
}

/// Whether steps are left out whose gradient isn't finite: by policy, or because they may be scaled too
/// much.
pub(crate) const fn skips(options: &TrainOptions) -> bool {
    options.on_divergence.skips() || options.precision.is_mixed()
}

/// Values of the optimizer kernel's choices.
pub(crate) fn choices(options: &TrainOptions, measured: bool) -> [f64; 7] {
    let (rule, momentum, variant) = match options.optimizer.rule {
        Rule::Sgd { momentum, nesterov } => (0, momentum > 0.0, nesterov),
        Rule::Adagrad { .. } => (1, false, false),
        Rule::Rmsprop { momentum, centred, .. } => (2, momentum > 0.0, centred),
        Rule::Adam { amsgrad, .. } => (3, false, amsgrad),
        Rule::Nadam { .. } => (4, false, false),
        Rule::Lion { .. } => (5, false, false),
    };
    let clip = match options.clip {
        None => 0,
        Some(Clip::Value(_)) => 1,
        Some(Clip::Norm(_)) => 2,
    };
    let flags = [options.ema.is_some(), measured, skips(options)].map(u8::from);
    let [averaged, measured, skips] = flags;
    let (momentum, variant) = (u8::from(momentum), u8::from(variant));
    [rule, momentum, variant, clip, averaged, measured, skips].map(f64::from)
}

/// Everything that a step of the optimizer reads and writes, trained elements only. Moments and
/// averages that there aren't are empty.
#[derive(Debug)]
pub(crate) struct Arenas<'a, T> {
    pub gradients: &'a [T],
    pub parameters: &'a mut [T],
    pub moments: [&'a mut [T]; 3],
    pub averages: &'a mut [T],
    /// (d, denominator) of each element, where it is wanted, else empty.
    pub measured: &'a mut [[T; 2]],
}

/// By elements.
impl<T: Real> Split for Arenas<'_, T> {
    fn rows(&self) -> usize {
        self.parameters.len()
    }

    fn split_at(self, element: usize) -> (Self, Self) {
        let (gradients, more_gradients) =
            self.gradients.split_at(element.min(self.gradients.len()));
        let (parameters, more_parameters) = self.parameters.split_at_mut(element);
        let [a, b, c] = self.moments.map(|moment| moment.split_at_mut(element.min(moment.len())));
        let (averages, more_averages) =
            self.averages.split_at_mut(element.min(self.averages.len()));
        let (measured, more_measured) =
            self.measured.split_at_mut(element.min(self.measured.len()));
        (
            Self { gradients, parameters, moments: [a.0, b.0, c.0], averages, measured },
            Self {
                gradients: more_gradients,
                parameters: more_parameters,
                moments: [a.1, b.1, c.1],
                averages: more_averages,
                measured: more_measured,
            },
        )
    }
}

/// What clipping does to a gradient: g·factor, then cut to ±bound; 1 and ∞ where nothing is clipped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut<T> {
    factor: T,
    bound: T,
}

impl<T: Real> Cut<T> {
    /// Of gradients whose squares sum up to `squares`, which only a clipped norm asks for.
    pub(crate) fn new(clip: Option<Clip>, limit: T, squares: impl FnOnce() -> f64) -> Self {
        match clip {
            None => Self { factor: T::ONE, bound: T::INFINITY },
            Some(Clip::Norm(_)) => {
                // min(1, c/(‖g‖ + 1e-6)). The squares overflow where the kernel's do.
                let norm = T::from_f64(squares()).sqrt();
                let ratio = limit / (norm + T::from_f64(1e-6));
                let factor = if ratio > T::ONE { T::ONE } else { ratio };
                Self { factor, bound: T::INFINITY }
            }
            Some(Clip::Value(_)) => Self { factor: T::ONE, bound: limit },
        }
    }

    /// A gradient after it; NaN stays.
    #[inline(always)]
    fn of(self, g: T) -> T {
        let g = g * self.factor;
        let g = if g > self.bound { self.bound } else { g };
        if g < -self.bound { -self.bound } else { g }
    }
}

/// Twin of `shaders/gradient_norm.wgsl`: Σ g², in f64.
pub(crate) fn squares<T: Real>(gradients: &[T]) -> f64 {
    gradients.iter().map(|g| g.to_f64().powi(2)).sum()
}

/// Twin of `shaders/optimizer.wgsl` for the elements of the arenas from `first` on. Returns which of
/// them, the last if several, has a gradient or value that isn't finite.
pub(crate) fn optimizer<T: Real>(
    rule: &Rule,
    cut: Cut<T>,
    group_ends: &[usize],
    update: &Update<T>,
    first: usize,
    arenas: Arenas<'_, T>,
) -> Option<usize> {
    let Arenas { gradients, parameters, mut moments, averages, measured } = arenas;
    let mut start = 0;
    for (scalars, &end) in update.groups.iter().zip(group_ends) {
        let end = end.saturating_sub(first).min(parameters.len());
        let pass = Pass {
            scalars,
            cut,
            gradients: &gradients[start..end],
            parameters: &mut parameters[start..end],
            measured: part(measured, start, end),
        };
        let moments = moments.each_mut().map(|moment| part(moment, start, end));
        vectorised(GroupPass { rule, update, pass, moments });
        start = end;
    }
    average(update.average_share, averages, parameters);
    last_fault(cut, gradients, parameters)
}

/// a + q (w − a) for each average a with the weight w, as `torch.lerp` computes it: from q = ½ on counted back
/// from w, so that q = 1 leaves nothing of a.
pub(crate) fn average<T: Real>(q: T, averages: &mut [T], weights: &[T]) {
    let rest = T::ONE - q;
    let is_small = q < T::from_f64(0.5);
    vectorised_loop!({
        for (a, &w) in averages.iter_mut().zip(weights) {
            *a = if is_small { *a + q * (w - *a) } else { w - rest * (w - *a) };
        }
    });
}

/// Elements that are looked at together, in vector registers.
const WIDTH: usize = 16;

/// The last element whose gradient, cut as the step's, or whose parameter isn't finite.
fn last_fault<T: Real>(cut: Cut<T>, gradients: &[T], parameters: &[T]) -> Option<usize> {
    // 0 each, or NaN from the first number on that isn't finite.
    let mut sums = [T::ZERO; WIDTH];
    let whole = parameters.len() / WIDTH * WIDTH;
    vectorised_loop!({
        // In registers, as are chunks whose length the compiler knows.
        let mut columns = [T::ZERO; WIDTH];
        let chunks = gradients.chunks_exact(WIDTH).zip(parameters[..whole].chunks_exact(WIDTH));
        for (gradients, parameters) in chunks {
            for ((sum, &g), &w) in columns.iter_mut().zip(gradients).zip(parameters) {
                *sum += T::ZERO * cut.of(g) + T::ZERO * w;
            }
        }
        sums = columns;
    });
    let is_bad = |&i: &usize| !(cut.of(gradients[i]).is_finite() && parameters[i].is_finite());
    let checked = if sums.iter().all(|sum| sum.is_finite()) { whole } else { 0 };
    (checked..parameters.len()).rev().find(is_bad)
}

/// A part of an arena; what isn't there stays empty.
fn part<T>(arena: &mut [T], start: usize, end: usize) -> &mut [T] {
    let len = arena.len();
    &mut arena[start.min(len)..end.min(len)]
}
