//! A workload on a GPU: its steps, and their dispatches one by one.

use super::gpu_peak::LONGEST;
use super::rate::{rate_of, trainer};
use super::{Rate, Samples, Work, Workload};
use crate::engine::Engine as _;
use crate::engine::gpu::timer::PassTimer;
use crate::engine::gpu::{Gpu, GpuEngine, GpuStats};
use crate::error::Result;
use crate::trainer::Trainer;

/// How long one dispatch of a training step takes, alone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KernelTime {
    /// Name of the kernel: that of its file in `shaders/`, and for a product its form.
    pub kernel: &'static str,
    /// Which of several of its kind it is: a layer's number, or what it works on.
    pub place: String,
    /// What it computes and moves; `None` where that isn't known.
    pub work: Option<Work>,
    /// Time of one dispatch.
    pub time: Samples,
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

/// A workload on a GPU, ready to be measured.
#[derive(Debug)]
pub struct GpuWorkload {
    workload: Workload,
    trainer: Trainer<GpuEngine>,
    timer: PassTimer,
}

impl GpuWorkload {
    /// Allocates everything and makes the kernels.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) where the device is too small for the workload,
    /// [`Error::Device`](crate::Error::Device) where it fails.
    pub fn new(workload: Workload, gpu: &Gpu) -> Result<Self> {
        let Gpu { device, queue, .. } = gpu;
        let trainer = trainer(workload, |plan| GpuEngine::new(device, queue, plan))?;
        Ok(Self { workload, trainer, timer: PassTimer::new(device, queue)? })
    }

    /// As [`rate`](super::rate()), and what that took of the device.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where the device fails.
    pub fn rate(&mut self, seconds: f64) -> Result<(Rate, StepCounts)> {
        let (before, done) = (self.trainer.engine().stats(), self.trainer.steps());
        let rate = rate_of(&mut self.trainer, seconds)?;
        let steps = self.trainer.steps() - done;
        Ok((rate, StepCounts::between(before, self.trainer.engine().stats(), steps)))
    }

    /// Times each dispatch of a step, repeated back to back, for about `seconds` in all, longer where
    /// the device is slow. `observe` is told how many are done, of how many.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where the device fails.
    pub fn kernels(
        &mut self,
        seconds: f64,
        mut observe: impl FnMut(usize, usize),
    ) -> Result<Vec<KernelTime>> {
        let Self { workload, trainer, timer } = self;
        let engine = trainer.engine_mut();
        let data = engine.upload(&workload.data(1)?)?;
        engine.rehearse(&data)?;
        let dispatches = engine.step_dispatches(&data);
        let count = dispatches.len();
        #[expect(clippy::cast_precision_loss, reason = "some ten dispatches")]
        let each = seconds / count as f64;
        let mut times = Vec::with_capacity(count);
        for (index, (kernel, place)) in dispatches.into_iter().enumerate() {
            observe(index, count);
            let timed = |times| engine.time_dispatch(&data, index, times, timer);
            let time = Samples::take(each, LONGEST, timed)?;
            let plan = engine.plan();
            let work = Work::of_dispatch(plan, kernel, &place, plan.options().batch_size);
            times.push(KernelTime { kernel, place, work, time });
        }
        observe(count, count);
        Ok(times)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::AdapterChoice;
    use crate::plan::Plan;

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn every_dispatch_of_a_step_is_timed_and_known() {
        let gpu = Gpu::open(AdapterChoice::Any).unwrap();
        let (workload, mut seen) = (Workload::Digits, Vec::new());
        let mut measured = GpuWorkload::new(workload, &gpu).unwrap();
        let (_, counts) = measured.rate(0.01).unwrap();
        let times = measured.kernels(0.01, |done, of| seen.push((done, of))).unwrap();
        let step = times.len();
        assert_eq!(counts.dispatches, f64::from(u32::try_from(step).unwrap()));
        assert_eq!(seen.last(), Some(&(step, step)));
        for time in &times {
            assert!(time.time.seconds > 0.0 && time.time.seconds.is_finite(), "{time:?}");
            assert!(time.work.is_some_and(|work| work.bytes > 0), "unknown: {time:?}");
        }
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn a_rehearsal_leaves_the_parameters_as_they_are() {
        let gpu = Gpu::open(AdapterChoice::Any).unwrap();
        let workload = Workload::Digits;
        let plan = Plan::new(&workload.mlp(), &workload.options()).unwrap();
        let initial = plan.initial_parameters();
        let mut engine = GpuEngine::new(&gpu.device, &gpu.queue, plan).unwrap();
        let data = engine.upload(&workload.data(1).unwrap()).unwrap();
        engine.rehearse(&data).unwrap();
        assert_eq!(engine.parameters().unwrap(), initial);
        assert!(engine.gradients().unwrap().iter().any(|&g| g != 0.0));
    }
}
