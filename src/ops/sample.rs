//! The rows of a batch, gathered from the data set.

use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};
use crate::real::Real;
use crate::sampler::Order;

pub(crate) const SAMPLE: Kernel = Kernel {
    name: "sample",
    wgsl: wgsl!("step", "philox", "order", "sample"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<SampleShape>("shape"),
        read("inputs"),
        read_write("batch_inputs"),
        read_write("rows"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[],
};

uniform_struct! {
    /// Columns of the data set.
    SampleShape { in_features: u32, } pad 3
}

impl SampleShape {
    pub(crate) fn new(in_features: u32) -> Self {
        Self { in_features, ..Self::default() }
    }

    /// One workgroup per row.
    pub(crate) const fn grid() -> Grid {
        Grid::rows_x(1)
    }
}

/// Twin of `shaders/sample.wgsl` for one array: row b of `batch` ← row π(first + row0 + b) of `data`.
pub(crate) fn sample<T: Real>(
    order: &Order,
    first: u32,
    row0: u32,
    columns: usize,
    data: &[T],
    batch: &mut [T],
) {
    #[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
    let rows = (data.len() / columns) as u32;
    for (index, destination) in (row0..).zip(batch.chunks_exact_mut(columns)) {
        let start = order.row(rows, first, index) as usize * columns;
        destination.copy_from_slice(&data[start..start + columns]);
    }
}
