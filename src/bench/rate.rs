//! Steps per second of a workload on an engine.

use std::time::Instant;

use super::{Samples, Workload};
use crate::data::Dataset;
use crate::engine::Engine;
use crate::engine::gpu::{Gpu, GpuEngine, GpuStats};
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

/// What the engine asked of the device for one step, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepCounts {
    /// Compute dispatches.
    pub dispatches: f64,
    /// Submissions.
    pub submissions: f64,
    /// Waits of the host until the device had nothing left to do, and for old submissions.
    pub waits: f64,
}

/// Trains a workload for about `seconds` on the engine that `make` makes, after a warm-up, and tells
/// how fast it was. Data, validation and pauses between epochs don't count. A workload whose first
/// step takes longer than that is stepped once.
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

/// As [`rate`], for any training on any data.
///
/// # Errors
/// What the trainer and the engine return.
pub fn rate_on<E: Engine>(engine: E, data: &Dataset, seconds: f64) -> Result<Rate> {
    rate_of(&mut Trainer::new(engine, data, None)?, seconds)
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

/// As [`rate`], on a GPU, and what that took of the device.
///
/// # Errors
/// [`Error::Limit`](crate::Error::Limit) where the device is too small for the workload,
/// [`Error::Device`](crate::Error::Device) where it fails.
pub fn gpu_rate(workload: Workload, seconds: f64, gpu: &Gpu) -> Result<(Rate, StepCounts)> {
    let mut trainer = trainer(workload, |plan| GpuEngine::new(&gpu.device, &gpu.queue, plan))?;
    let before = trainer.engine().stats();
    let rate = rate_of(&mut trainer, seconds)?;
    let counts = StepCounts::between(before, trainer.engine().stats(), trainer.steps());
    Ok((rate, counts))
}

fn trainer<E: Engine>(
    workload: Workload,
    make: impl FnOnce(Plan) -> Result<E>,
) -> Result<Trainer<E>> {
    let plan = Plan::new(&workload.mlp(), &workload.options())?;
    Trainer::new(make(plan)?, &workload.data(BATCHES)?, None)
}

fn rate_of<E: Engine>(trainer: &mut Trainer<E>, seconds: f64) -> Result<Rate> {
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

impl StepCounts {
    #[expect(clippy::cast_precision_loss, reason = "far below 2⁵² of each")]
    fn between(before: GpuStats, after: GpuStats, steps: u64) -> Self {
        let each =
            |count: fn(&GpuStats) -> u64| (count(&after) - count(&before)) as f64 / steps as f64;
        Self {
            dispatches: each(|stats| stats.dispatches),
            submissions: each(|stats| stats.submissions),
            waits: each(|stats| stats.waits + stats.throttles),
        }
    }
}
