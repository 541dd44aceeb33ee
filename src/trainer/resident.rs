//! Data sets on an engine.

use crate::data::{Dataset, Targets};
use crate::engine::Engine;
use crate::error::Result;
use crate::loss::Loss;
use crate::plan::Plan;
use crate::sampler::Sampling;

/// A data set on the engine with what the host needs to know of it.
#[derive(Debug)]
pub(super) struct Resident<D> {
    pub data: D,
    pub rows: u32,
    /// How training walks them.
    pub sampling: Sampling,
    /// What each row counts in the loss, with its class; `None` if all count 1.
    pub row_weights: Option<Vec<f32>>,
    /// Σ (t − mean t)² over rows and outputs, for R².
    pub target_squares: f64,
}

#[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
pub(super) fn upload<E: Engine>(engine: &mut E, data: &Dataset) -> Result<Resident<E::Data>> {
    // Which refuses labels without an output, and so without a class's weight.
    let uploaded = engine.upload(data)?;
    let plan = engine.plan();
    Ok(Resident {
        data: uploaded,
        rows: data.rows() as u32,
        sampling: plan.options().sampling,
        row_weights: row_weights(plan, data),
        target_squares: squares_about_the_mean(data.targets()),
    })
}

/// What each row counts in the loss: its own weight times its class's; `None` if all count 1.
fn row_weights(plan: &Plan, data: &Dataset) -> Option<Vec<f32>> {
    let class_weights = match &plan.options().loss {
        Loss::CrossEntropy { class_weights, .. } => class_weights.as_slice(),
        _ => &[],
    };
    let own = data.weights();
    if own.is_empty() && class_weights.is_empty() {
        return None;
    }
    let mut weights = if own.is_empty() { vec![1.0; data.rows()] } else { own.to_vec() };
    if let (Targets::Classes { labels, .. }, false) = (data.targets(), class_weights.is_empty()) {
        weights.iter_mut().zip(labels).for_each(|(w, &label)| *w *= class_weights[label as usize]);
    }
    Some(weights)
}

/// Σ (t − t̄)², t̄ the mean of each column. Looks at the numbers where they are: a copy of all would show
/// in the peak of memory.
#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
fn squares_about_the_mean(targets: &Targets) -> f64 {
    let (width, len) = match targets {
        Targets::Classes { labels, .. } => (1, labels.len()),
        Targets::Values { values, width } => (*width, values.len()),
    };
    let number = |index: usize| match targets {
        Targets::Classes { labels, .. } => f64::from(labels[index]),
        Targets::Values { values, .. } => f64::from(values[index]),
    };
    let rows = len / width;
    let column = |k: usize| (k..len).step_by(width).map(number);
    (0..width)
        .map(|k| {
            // A constant column's mean may be off by a rounding.
            if column(k).all(|t| Some(t) == column(k).next()) {
                return 0.0;
            }
            let mean = column(k).sum::<f64>() / rows as f64;
            column(k).map(|t| (t - mean).powi(2)).sum::<f64>()
        })
        .sum()
}
