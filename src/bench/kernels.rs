//! The dispatches of a workload's step, one by one.

use super::gpu_peak::LONGEST;
use super::{Samples, Work, Workload};
use crate::engine::Engine as _;
use crate::engine::gpu::timer::PassTimer;
use crate::engine::gpu::{Gpu, GpuEngine};
use crate::error::Result;
use crate::plan::Plan;

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

/// Times each dispatch of a workload's step, repeated back to back, for about `seconds` in all, longer
/// where the device is slow. `observe` is told how many are done, of how many.
///
/// # Errors
/// [`Error::Limit`](crate::Error::Limit) where the device is too small for the workload,
/// [`Error::Device`](crate::Error::Device) where it fails.
pub fn kernel_times(
    workload: Workload,
    seconds: f64,
    gpu: &Gpu,
    mut observe: impl FnMut(usize, usize),
) -> Result<Vec<KernelTime>> {
    let plan = Plan::new(&workload.mlp(), &workload.options())?;
    let rows = plan.options().batch_size;
    let mut engine = GpuEngine::new(&gpu.device, &gpu.queue, plan)?;
    let data = engine.upload(&workload.data(1)?)?;
    let timer = PassTimer::new(&gpu.device, &gpu.queue)?;
    engine.rehearse(&data)?;
    let dispatches = engine.step_dispatches(&data);
    let count = dispatches.len();
    #[expect(clippy::cast_precision_loss, reason = "some ten dispatches")]
    let each = seconds / count as f64;
    let mut times = Vec::with_capacity(count);
    for (index, (kernel, place)) in dispatches.into_iter().enumerate() {
        observe(index, count);
        let timed = |times| engine.time_dispatch(&data, index, times, &timer);
        let time = Samples::take(each, LONGEST, timed)?;
        let work = Work::of_dispatch(engine.plan(), kernel, &place, rows);
        times.push(KernelTime { kernel, place, work, time });
    }
    observe(count, count);
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::AdapterChoice;

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn every_dispatch_of_a_step_is_timed_and_known() {
        let gpu = Gpu::open(AdapterChoice::Any).unwrap();
        let (workload, mut seen) = (Workload::Digits, Vec::new());
        let times = kernel_times(workload, 0.01, &gpu, |done, of| seen.push((done, of))).unwrap();
        let plan = Plan::new(&workload.mlp(), &workload.options()).unwrap();
        let mut engine = GpuEngine::new(&gpu.device, &gpu.queue, plan).unwrap();
        let data = engine.upload(&workload.data(1).unwrap()).unwrap();
        engine.rehearse(&data).unwrap();
        let step = usize::try_from(engine.stats().dispatches).unwrap();
        assert_eq!((times.len(), seen.last()), (step, Some(&(step, step))));
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
