//! The rows of a batch, copied from the data set.

use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::real::Real;
use crate::sampler::Order;

pub(crate) const SAMPLE: Kernel = Kernel {
    name: "sample",
    wgsl: wgsl!("step", "philox", "order", "sample"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<SampleShape>("shape"),
        read("source"),
        read_write("batch"),
        read_write("rows"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[Choice::codes::<5>("FORMAT")],
};

uniform_struct! {
    /// How the rows of the data set lie, in numbers.
    SampleShape { columns: u32, offset: u32, stride: u32, } pad 1
}

impl SampleShape {
    /// Rows of so many columns, the first from number `offset` on, each `stride` behind the other.
    pub(crate) fn new(columns: u32, offset: u32, stride: u32) -> Self {
        Self { columns, offset, stride, ..Self::default() }
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
