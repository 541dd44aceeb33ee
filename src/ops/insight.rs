//! What a step does to each parameter tensor, reduced to a few numbers and two histograms.

use super::step::StepUniform;
use super::wgsl;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};
use crate::insight::{BINS, RawTensor, bin_of};
use crate::ops::optimizer::ArenaShape;
use crate::optimizer::GroupUpdate;
use crate::real::Real;

/// Words that a tensor takes of the result: sums, then both histograms.
pub(crate) const TENSOR_WORDS: usize = SUM_WORDS + 2 * BINS;
const SUM_WORDS: usize = 8;

pub(crate) const INSIGHT: Kernel = Kernel {
    name: "insight",
    wgsl: wgsl!("step", "insight", "arena"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ArenaShape>("shape"),
        read("tensors"),
        read("gradients"),
        read("parameters"),
        read("measured"),
        read_write("result"),
    ],
    constants: &[("WORKGROUP", 128.0)],
    choices: &[],
};

pub(crate) const DEAD_UNITS: Kernel = Kernel {
    name: "dead_units",
    wgsl: wgsl!("step", "dead_units"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<DeadShape>("shape"),
        read("kept").or_half(),
        read_write("result"),
    ],
    constants: &[("WORKGROUP", 128.0)],
    choices: &[],
};

uniform_struct! {
    /// Columns of a stage and its place in the result.
    DeadShape { columns: u32, place: u32, } pad 2
}

impl DeadShape {
    pub(crate) fn new(columns: u32, place: u32) -> Self {
        Self { columns, place, ..Self::default() }
    }

    /// One workgroup.
    pub(crate) const fn grid() -> Grid {
        Grid::fixed(1, 1)
    }
}

/// One workgroup per tensor.
pub(crate) const fn grid(tensors: u32) -> Grid {
    Grid::fixed(tensors, 1)
}

/// Reads what the kernel wrote of one tensor.
pub(crate) fn parse(words: &[u32]) -> RawTensor {
    let (sums, histograms) = words.split_at(SUM_WORDS);
    let (steps, decays) = histograms.split_at(BINS);
    RawTensor {
        sums: std::array::from_fn(|i| f64::from(f32::from_bits(sums[i]))),
        steps: steps.to_vec(),
        decays: decays.to_vec(),
    }
}

/// Twin of `shaders/insight.wgsl` for one tensor, its sums in f64.
pub(crate) fn insight<T: Real>(
    scalars: &GroupUpdate<T>,
    gradients: &[T],
    parameters: &[T],
    measured: &[[T; 2]],
) -> RawTensor {
    let mut raw = RawTensor { sums: [0.0; 5], steps: vec![0; BINS], decays: vec![0; BINS] };
    for ((&g, &w), &[d, denominator]) in gradients.iter().zip(parameters).zip(measured) {
        let moved = scalars.step_size * d;
        let before = if scalars.keep == T::ZERO { T::ZERO } else { (w + moved) / scalars.keep };
        let change = moved + (T::ONE - scalars.keep) * before;
        let s = (d.abs() * scalars.correction).to_f64();
        raw.sums[0] += before.to_f64().powi(2);
        raw.sums[1] += g.to_f64().powi(2);
        raw.sums[2] += change.to_f64().powi(2);
        raw.sums[3] += s;
        raw.steps[bin_of(s)] += 1;
        if denominator > T::ZERO && scalars.l2 > T::ZERO {
            let c = (scalars.step_size * scalars.l2 / denominator).to_f64();
            raw.sums[4] += c;
            raw.decays[bin_of(c)] += 1;
        }
    }
    raw
}

/// Marks the columns that are not 0 in some row of `kept`. The others, over all rows of a batch, are
/// what `shaders/dead_units.wgsl` counts.
pub(crate) fn mark_alive<T: Real>(kept: &[T], alive: &mut [bool]) {
    for row in kept.chunks_exact(alive.len()) {
        alive.iter_mut().zip(row).for_each(|(alive, &y)| *alive |= y != T::ZERO);
    }
}
