//! The peaks of a GPU, measured by two kernels of their own.

use super::{Peak, Samples};
use crate::engine::gpu::Gpu;
use crate::engine::gpu::buffers::{bytes_of, storage, whole};
use crate::engine::gpu::pipeline::{Checks, Pipeline, Pipelines};
use crate::engine::gpu::program::word;
use crate::engine::gpu::scope::in_scope;
use crate::engine::gpu::timer::PassTimer;
use crate::engine::kernel::{Kernel, read, read_write, uniform, uniform_struct};
use crate::error::Result;
use crate::ops::wgsl;

const WORKGROUP: u32 = 256;
/// Workgroups of the multiply-adds: more invocations than any GPU holds at once.
const GROUPS: u32 = 4096;
/// FLOPs of a round of an invocation: four multiply-adds of eight chains of four lanes.
const FLOPS_A_ROUND: u64 = 2 * 4 * 8 * 4;
/// Elements of each of the two buffers that are copied: 128 MiB, the largest binding that every
/// device allows, and larger than its caches.
const COPIED: usize = 1 << 25;
/// Longest pass in seconds: a desktop resets its GPU after two.
pub(super) const LONGEST: f64 = 0.1;

pub(crate) const BENCH_FMA: Kernel = Kernel {
    name: "bench_fma",
    wgsl: wgsl!("bench_fma"),
    bindings: &[uniform::<FmaShape>("shape"), read_write("output")],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[],
};

pub(crate) const BENCH_COPY: Kernel = Kernel {
    name: "bench_copy",
    wgsl: wgsl!("bench_copy"),
    bindings: &[read("input"), read_write("output")],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[],
};

uniform_struct! {
    /// Mirror of `FmaShape` in `shaders/bench_fma.wgsl`.
    FmaShape { rounds: u32, a: f32, b: f32, } pad 1
}

impl FmaShape {
    /// The fixed point of y/2 + 1 is 2: numbers stay moderate however long it goes on.
    fn new(rounds: u64) -> Self {
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        Self { rounds, a: 0.5, b: 1.0, ..Self::default() }
    }
}

/// Measures for about `seconds`, longer where the device is slow.
///
/// # Errors
/// [`Error::Device`](crate::Error::Device) if the device fails.
pub fn gpu_peak(gpu: &Gpu, seconds: f64) -> Result<Peak> {
    let Gpu { device, queue, .. } = gpu;
    let timer = PassTimer::new(device, queue)?;
    let mut pipelines = Pipelines::new(device, Checks::Off);
    let invocations = GROUPS * WORKGROUP;
    let (fma, copy) = in_scope(device, "preparing to measure the peaks", || {
        let shape = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad.shape"),
            size: size_of::<FmaShape>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let sums = storage(device, "sums", 4 * invocations as usize);
        let bindings = [("shape", whole(&shape)), ("output", whole(&sums))];
        let fma = Ready::new(device, pipelines.get(&BENCH_FMA, &[]), &bindings);
        let [input, output] = ["input", "output"].map(|name| storage(device, name, COPIED));
        let bindings = [("input", whole(&input)), ("output", whole(&output))];
        let copy = Ready::new(device, pipelines.get(&BENCH_COPY, &[]), &bindings);
        ((fma, shape), copy)
    })?;
    let (fma, shape) = fma;
    let arithmetic = Samples::take(seconds / 2.0, LONGEST, |rounds| {
        queue.write_buffer(&shape, 0, bytemuck::bytes_of(&FmaShape::new(rounds)));
        timer.seconds(|pass| fma.record(pass, GROUPS, 1))
    })?;
    let groups = word(COPIED / 4).div_ceil(WORKGROUP);
    let memory = Samples::take(seconds / 2.0, LONGEST, |times| {
        timer.seconds(|pass| copy.record(pass, groups, times))
    })?;
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    Ok(Peak {
        flops_per_second: (FLOPS_A_ROUND * u64::from(invocations)) as f64 / arithmetic.seconds,
        bytes_per_second: 2.0 * bytes_of(COPIED) as f64 / memory.seconds,
        spread: arithmetic.spread.max(memory.spread),
    })
}

/// A kernel with what it binds.
struct Ready {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
}

impl Ready {
    fn new(
        device: &wgpu::Device,
        pipeline: &Pipeline,
        buffers: &[(&str, wgpu::BufferBinding<'_>)],
    ) -> Self {
        let bind_group = pipeline.bind(device, pipeline.kernel.name, buffers);
        Self { pipeline: pipeline.pipeline.clone(), bind_group }
    }

    fn record(&self, pass: &mut wgpu::ComputePass<'_>, groups: u32, times: u64) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        (0..times).for_each(|_| pass.dispatch_workgroups(groups, 1, 1));
    }
}
