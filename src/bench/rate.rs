//! Steps per second of a workload on an engine.

use std::time::Instant;

use super::Workload;
use crate::engine::Engine;
use crate::error::Result;
use crate::plan::Plan;
use crate::trainer::Trainer;

/// Batches that the measured data set holds.
const BATCHES: usize = 4;
/// Samples whose median is the rate.
const SAMPLES: usize = 7;

/// How fast a workload trains.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// Steps per second: the median of several samples.
    pub steps_per_second: f64,
    /// The fastest sample minus the slowest, as a share of the median.
    pub spread: f64,
}

/// Trains a workload for about `seconds` on the engine that `make` makes, after a warm-up, and tells
/// how fast it was. Data, validation and pauses between epochs don't count.
///
/// # Errors
/// What `make` and the engine return.
pub fn rate<E: Engine>(
    workload: Workload,
    seconds: f64,
    make: impl FnOnce(Plan) -> Result<E>,
) -> Result<Rate> {
    let plan = Plan::new(&workload.mlp(), &workload.options())?;
    let mut trainer = Trainer::new(make(plan)?, &workload.data(BATCHES)?, None)?;
    let mut timed = |steps: u64| -> Result<f64> {
        let start = Instant::now();
        trainer.run_steps(steps)?;
        Ok(start.elapsed().as_secs_f64())
    };
    // The first step finds everything cold; the second tells how many a sample should have.
    timed(1)?;
    let each = seconds / (SAMPLES + 1) as f64;
    let mut steps = 1;
    let mut last = timed(steps)?;
    while last < each / 2.0 {
        let growth = (each / last).clamp(2.0, 10.0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of steps"
        )]
        let more = (steps as f64 * growth) as u64;
        steps = more;
        last = timed(steps)?;
    }
    let mut rates = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        #[expect(clippy::cast_precision_loss, reason = "a count of steps")]
        rates.push(steps as f64 / timed(steps)?);
    }
    rates.sort_by(f64::total_cmp);
    let median = rates[SAMPLES / 2];
    Ok(Rate { steps_per_second: median, spread: (rates[SAMPLES - 1] - rates[0]) / median })
}
