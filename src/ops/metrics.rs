//! The metrics of a batch, summed on the device.

use super::loss::RowMetrics;
use super::step::StepUniform;
use super::wgsl;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step};
use crate::real::Real;

pub(crate) const METRICS: Kernel = Kernel {
    name: "metrics",
    wgsl: wgsl!("step", "metrics"),
    bindings: &[step::<StepUniform>("step"), read("row_metrics"), read_write("ring")],
    constants: &[("WORKGROUP", 256.0)],
    choices: &[],
};

/// One workgroup sums the whole batch.
pub(crate) const fn grid() -> Grid {
    Grid::fixed(1, 1)
}

/// Twin of `shaders/metrics.wgsl`: the sum of the rows' metrics, in f64.
pub(crate) fn metrics<T: Real>(row_metrics: &[RowMetrics<T>]) -> [f64; 4] {
    row_metrics.iter().fold([0.0; 4], |sum, row| {
        let row = [row.loss, row.weight, row.score, row.not_finite];
        std::array::from_fn(|i| sum[i] + row[i].to_f64())
    })
}
