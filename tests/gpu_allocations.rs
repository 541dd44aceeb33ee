//! What the GPU engine allocates and submits in its steps, on wgpu's noop device.
//!
//! wgpu allocates whenever something is recorded, so its share is measured too: by as many dispatches
//! without an engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and passes on")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;

use common::learnable;
use wgrad::wgpu;
use wgrad::{
    Activation, Clip, Fusion, GpuEngine, GpuOptions, GpuStats, Loss, Mlp, Optimizer, Plan,
    TrainOptions, Trainer,
};

struct Counting;

thread_local! {
    /// Those of this thread, on which the noop device works as well.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn device() -> (wgpu::Device, wgpu::Queue) {
    wgpu::Device::noop(&wgpu::DeviceDescriptor::default())
}

const BATCH: usize = 8;

fn trainer(mlp: &Mlp, fusion: Fusion, steps: usize) -> Trainer<GpuEngine> {
    let options = TrainOptions {
        batch_size: BATCH,
        clip: Some(Clip::Norm(1.0)),
        ema: Some(0.99),
        ..TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adamw(1e-3))
    };
    let mut gpu_options = GpuOptions::default();
    gpu_options.fusion = fusion;
    let (device, queue) = device();
    let plan = Plan::new(mlp, &options).unwrap();
    let engine = GpuEngine::with_options(&device, &queue, plan, &gpu_options).unwrap();
    let data = learnable(steps * BATCH, mlp.in_features(), 3, &options.loss, 1);
    Trainer::new(engine, &data, None).unwrap()
}

/// Trains an epoch, and tells what it took of the device.
fn epoch(trainer: &mut Trainer<GpuEngine>) -> GpuStats {
    let before = trainer.engine().stats();
    trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    let mut stats = trainer.engine().stats();
    stats.dispatches -= before.dispatches;
    stats.submissions -= before.submissions;
    stats
}

/// As many dispatches as wgpu has them without an engine, in one pass.
struct Bare {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
}

impl Bare {
    fn new() -> Self {
        let (device, queue) = device();
        let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let written = wgpu::BufferBindingType::Storage { read_only: false };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &[
                entry(0, wgpu::BufferBindingType::Uniform, true),
                // Between two dispatches that write is a barrier.
                entry(1, written, false),
            ],
        });
        let buffer = |usage| {
            let descriptor =
                wgpu::BufferDescriptor { label: None, size: 512, usage, mapped_at_creation: false };
            device.create_buffer(&descriptor)
        };
        let (uniform, storage) =
            (buffer(wgpu::BufferUsages::UNIFORM), buffer(wgpu::BufferUsages::STORAGE));
        let half = wgpu::BufferBinding {
            buffer: &uniform,
            offset: 0,
            size: std::num::NonZeroU64::new(256),
        };
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(half) },
                wgpu::BindGroupEntry { binding: 1, resource: storage.as_entire_binding() },
            ],
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl("@compute @workgroup_size(1) fn main() {}".into()),
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Self { device, queue, pipeline, bind_group }
    }

    fn run(&self, dispatches: u64) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in 0..dispatches {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.bind_group, &[256]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        drop(pass);
        self.queue.submit([encoder.finish()]);
    }
}

#[test]
fn a_step_allocates_nothing_of_its_own() {
    const STEPS: [usize; 2] = [16, 64];
    let small = Mlp::with_hidden(8, &[32, 32], Activation::Tanh, 3);
    let normed = Mlp::new(8).linear(200).batch_norm().activation(Activation::Gelu).dropout(0.1);
    let normed = normed.linear(3);
    let bare = Bare::new();
    for (mlp, fusion) in
        [(&small, Fusion::Always), (&small, Fusion::Never), (&normed, Fusion::Never)]
    {
        let beside_wgpu = STEPS.map(|steps| {
            let mut trainer = trainer(mlp, fusion, steps);
            // Submissions grow until all steps fit into one, and so does all that is reused.
            (0..5).for_each(|_| {
                epoch(&mut trainer);
            });
            let mut stats = GpuStats::default();
            let all = allocations(|| stats = epoch(&mut trainer));
            bare.run(stats.dispatches);
            let of_wgpu = allocations(|| bare.run(stats.dispatches));
            i64::try_from(all).unwrap() - i64::try_from(of_wgpu).unwrap()
        });
        // Vectors of wgpu's grow with a submission, but not with each step.
        let more = beside_wgpu[1] - beside_wgpu[0];
        let steps = i64::try_from(STEPS[1] - STEPS[0]).unwrap();
        assert!(more < steps / 2, "{mlp}, {fusion:?}: {more} allocations in {steps} steps");
    }
}

#[test]
fn short_steps_share_submissions() {
    const STEPS: usize = 640;
    let mlp = Mlp::with_hidden(8, &[32], Activation::Relu, 3);
    let mut trainer = trainer(&mlp, Fusion::Never, STEPS);
    // Also while submissions still grow, and with those that an epoch ends with.
    for number in 1..=2 {
        let submissions = epoch(&mut trainer).submissions;
        assert!(submissions <= STEPS as u64 / 16, "epoch {number}: {submissions} submissions");
    }
}
