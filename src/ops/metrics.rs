//! The metrics of a batch.

use super::loss::RowMetrics;
use crate::real::Real;

/// What the loss kernels and the host sum together: the rows' metrics, in f64.
pub(crate) fn metrics<T: Real>(row_metrics: &[RowMetrics<T>]) -> [f64; 4] {
    row_metrics.iter().fold([0.0; 4], |sum, row| {
        let row = [row.loss, row.weight, row.score, row.not_finite];
        std::array::from_fn(|i| sum[i] + row[i].to_f64())
    })
}
