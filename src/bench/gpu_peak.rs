//! The peaks of a GPU, measured by two kernels of their own.

use super::{Peak, Samples};
use crate::engine::gpu::Gpu;
use crate::engine::gpu::buffers::{bytes_of, storage, whole};
use crate::engine::gpu::pipeline::{Checks, Compiled, Pipeline, Pipelines};
use crate::engine::gpu::program::word;
use crate::engine::gpu::scope::in_scope;
use crate::engine::gpu::timer::PassTimer;
use crate::engine::kernel::{Halves, Kernel, read, read_write, uniform, uniform_struct};
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
        let fma = Ready::new(device, pipelines.get(&BENCH_FMA, Halves::NONE, &[]), &bindings);
        let [input, output] = ["input", "output"].map(|name| storage(device, name, COPIED));
        let bindings = [("input", whole(&input)), ("output", whole(&output))];
        let copy = Ready::new(device, pipelines.get(&BENCH_COPY, Halves::NONE, &[]), &bindings);
        ((fma, shape), copy)
    })?;
    pipelines.compile()?;
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
    pipeline: Compiled,
    bind_group: wgpu::BindGroup,
}

impl Ready {
    fn new(
        device: &wgpu::Device,
        pipeline: &Pipeline,
        buffers: &[(&str, wgpu::BufferBinding<'_>)],
    ) -> Self {
        let bind_group = pipeline.bind(device, pipeline.kernel.name, buffers);
        Self { pipeline: Compiled::clone(&pipeline.compiled), bind_group }
    }

    fn record(&self, pass: &mut wgpu::ComputePass<'_>, groups: u32, times: u64) {
        let Some(pipeline) = self.pipeline.get() else { unreachable!("compiled before it is run") };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        (0..times).for_each(|_| pass.dispatch_workgroups(groups, 1, 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::AdapterChoice;
    use crate::engine::gpu::readback::download;

    /// What a kernel makes of its buffers, the last of which it writes.
    fn run(kernel: &'static Kernel, shape: Option<FmaShape>, contents: &[&[f32]]) -> Vec<f32> {
        let Gpu { device, queue, .. } = &Gpu::open(AdapterChoice::Any).unwrap();
        let mut buffers: Vec<_> = contents
            .iter()
            .map(|content| {
                let buffer = storage(device, "test", content.len());
                queue.write_buffer(&buffer, 0, bytemuck::cast_slice(content));
                buffer
            })
            .collect();
        if let Some(shape) = shape {
            let uniform = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: size_of::<FmaShape>() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            queue.write_buffer(&uniform, 0, bytemuck::bytes_of(&shape));
            buffers.insert(0, uniform);
        }
        let names = kernel.bindings.iter().map(|binding| binding.name);
        let bindings: Vec<_> = names.zip(buffers.iter().map(whole)).collect();
        let mut pipelines = Pipelines::new(device, Checks::Off);
        let ready = Ready::new(device, pipelines.get(kernel, Halves::NONE, &[]), &bindings);
        pipelines.compile().unwrap();
        let timer = PassTimer::new(device, queue).unwrap();
        let seconds = timer.seconds(|pass| ready.record(pass, 1, 1)).unwrap();
        assert!(seconds > 0.0 && seconds.is_finite(), "{seconds} s");
        download(device, queue, &buffers[buffers.len() - 1]).unwrap()
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn every_multiply_add_is_done() {
        let poison = vec![f32::NAN; 4 * WORKGROUP as usize];
        for rounds in [0, 1, 2] {
            let got = run(&BENCH_FMA, Some(FmaShape::new(rounds)), &[&poison]);
            for (index, &got) in got.iter().enumerate() {
                // y starts as chain + lane/4; with a = ½ and b = 1 all is exact in f32.
                let lane = 0.25 * (index % 4) as f32;
                let chain =
                    |chain: u8| (0..4 * rounds).fold(f32::from(chain) + lane, |y, _| 0.5 * y + 1.0);
                let want: f32 = (0..8).map(chain).sum();
                assert_eq!(got, want, "element {index} after {rounds} rounds");
            }
        }
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn every_number_is_copied() {
        let numbers: Vec<f32> = (0..1024_u16).map(f32::from).collect();
        assert_eq!(numbers.len(), 4 * WORKGROUP as usize);
        let poison = vec![f32::NAN; numbers.len()];
        assert_eq!(run(&BENCH_COPY, None, &[&numbers, &poison]), numbers);
    }
}
