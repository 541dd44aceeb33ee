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

/// The rows of the data set in a batch: that at position b is π(first + row0 + b).
pub(crate) fn sample_rows(order: &Order, rows: u32, first: u32, row0: u32, batch: &mut [u32]) {
    (row0..).zip(batch).for_each(|(index, row)| *row = order.row(rows, first, index));
}

/// Twin of `shaders/sample.wgsl` for one array: row b of `batch` ← row `rows[b]` of `data`.
pub(crate) fn sample<T: Real>(rows: &[u32], columns: usize, data: &[T], batch: &mut [T]) {
    for (&row, destination) in rows.iter().zip(batch.chunks_exact_mut(columns)) {
        destination.copy_from_slice(&data[row as usize * columns..][..columns]);
    }
}
