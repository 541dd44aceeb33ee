//! Steps per second of a workload on an engine.

use std::time::Instant;

use super::{Samples, Workload};
use crate::engine::Engine;
use crate::error::Result;
use crate::plan::Plan;
use crate::trainer::Trainer;

/// Batches that the measured data set holds.
const BATCHES: usize = 4;

/// How fast a workload trains.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// Steps per second: the median of several samples.
    pub steps_per_second: f64,
    /// The slowest sample minus the fastest, as a share of the median; 0 of a single sample.
    pub spread: f64,
    /// Samples that there was time for.
    pub samples: usize,
}

/// Trains a workload for about `seconds` on the engine that `make` makes, after a warm-up, and tells
/// how fast it was. Data, validation and pauses between epochs don't count. A workload of which a
/// step takes longer than that is timed once.
///
/// # Errors
/// What `make` and the engine return.
pub fn rate<E: Engine>(
    workload: Workload,
    seconds: f64,
    make: impl FnOnce(Plan) -> Result<E>,
) -> Result<Rate> {
    rate_of(&mut trainer(workload, make)?, seconds)
}

/// One step of a workload from nothing: what a new process does first.
///
/// # Errors
/// What `make` and the engine return.
pub fn first_step<E: Engine>(
    workload: Workload,
    make: impl FnOnce(Plan) -> Result<E>,
) -> Result<()> {
    trainer(workload, make)?.run_steps(1)
}

pub(super) fn trainer<E: Engine>(
    workload: Workload,
    make: impl FnOnce(Plan) -> Result<E>,
) -> Result<Trainer<E>> {
    let plan = Plan::new(&workload.mlp(), &workload.options())?;
    Trainer::new(make(plan)?, &workload.data(BATCHES)?, None)
}

/// As [`rate`], for a training that there is.
///
/// # Errors
/// What the engine returns.
pub fn rate_of<E: Engine>(trainer: &mut Trainer<E>, seconds: f64) -> Result<Rate> {
    let samples = Samples::take(seconds, f64::INFINITY, |steps| {
        let start = Instant::now();
        trainer.run_steps(steps)?;
        Ok(start.elapsed().as_secs_f64())
    })?;
    Ok(Rate {
        steps_per_second: samples.seconds.recip(),
        spread: samples.spread,
        samples: samples.count,
    })
}
