//! The engine that runs the kernels on a wgpu device.

mod arrival;
pub(crate) mod buffers;
mod cooperative;
mod device;
mod flights;
mod forms;
mod fusion;
mod generator;
mod guest;
mod host_rows;
mod inference;
mod luggage;
mod memory;
mod module;
mod own;
mod pacing;
pub(crate) mod pipeline;
mod probe;
pub(crate) mod program;
pub(crate) mod readback;
mod recordings;
#[cfg(test)]
pub(crate) mod rig;
pub(crate) mod scope;
mod slots;
pub(crate) mod timer;
mod tune;
mod tuning;
mod upload;

pub use device::{AdapterChoice, Gpu, OPTIONAL_FEATURES, adapters, is_software};
pub(crate) use forms::Abilities;
pub use fusion::Fusion;
pub use generator::Generator;
pub use host_rows::{HostRows, RowFormat};
pub use module::Module;
pub use recordings::StepMetrics;
pub use tuning::Tuning;

use super::{Identity, Part, Step};
use crate::error::{Error, Result};
use crate::plan::Plan;
use buffers::{Buffers, SLOT_STRIDE, bytes_of};
use flights::{Flights, MAX_PARTS};
use inference::Inference;
use luggage::Entry;
use pipeline::{Checks, Pipelines};
use program::{Builder, Dispatch, Feed, Program};
use recordings::Recordings;
use scope::{in_scope, lost_or, memory_or};
use slots::Slots;
use tuning::Variants;

/// Trains and evaluates on a wgpu device.
///
/// The device stays the caller's: the engine clones its handles, needs no features and no more than
/// WebGPU's default limits (nets without norms no more than 128 invocations a workgroup), and checks errors
/// in scopes of its own. [`OPTIONAL_FEATURES`] make it
/// faster on some devices.
///
/// ```no_run
/// use wgrad::{AdapterChoice, Gpu, GpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions};
/// let gpu = Gpu::open(AdapterChoice::Any)?;
/// let mlp = Mlp::new(2).linear(1);
/// let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)))?;
/// let engine = GpuEngine::new(&gpu.device, &gpu.queue, plan)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct GpuEngine {
    device: wgpu::Device,
    queue: wgpu::Queue,
    plan: Plan,
    buffers: Buffers,
    pipelines: Pipelines,
    variants: Variants,
    program: Program,
    inference: Inference,
    slots: Slots,
    flights: Flights,
    recordings: Recordings,
    /// Reused by every submission.
    parts: Vec<(Step, Part)>,
    stats: GpuStats,
    /// Marks the data sets that were uploaded to this engine.
    pub(crate) identity: Identity,
}

/// What a host app may bring along for the engine.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GpuOptions {
    /// Where the driver's compiler finds and leaves compiled kernels, on devices with the feature
    /// `PIPELINE_CACHE`. It stays the host's, who stores its data. Default: none.
    pub pipeline_cache: Option<wgpu::PipelineCache>,
    /// Whether a training step of a small net is one dispatch and not several a layer. Default:
    /// [`Fusion::Auto`].
    pub fusion: Fusion,
    /// Which variants of the products to take, where that was measured on this device. Default: by rule.
    pub tuning: Tuning,
    /// What [`wgpu::Adapter::cooperative_matrix_properties`] says of the device's adapter, for devices made
    /// with the feature `EXPERIMENTAL_COOPERATIVE_MATRIX` and with subgroups of 32 lanes:
    /// [`GpuEngine::tune`] then tries these units too, squares of 8×8 in f32 and, in mixed precision, of 16×16 in
    /// f16 summed in f32. No adapter that could run them has been at hand: their modules are validated and
    /// translated in tests, and all around the units themselves is run with a stand-in. Default: none.
    pub cooperative_matrix: Vec<wgpu::CooperativeMatrixProperties>,
}

/// What the engine has asked of the device so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuStats {
    /// Compute dispatches recorded.
    pub dispatches: u64,
    /// Command buffers submitted, but for those that only read a buffer back.
    pub submissions: u64,
    /// Times the host waited until the device had nothing left to do.
    pub waits: u64,
    /// Times the host waited for an old submission while newer ones kept the device busy, so as
    /// not to run ahead without bound.
    pub throttles: u64,
}

/// A data set on the device.
#[derive(Debug)]
pub struct GpuData {
    feed: Feed,
    rows: usize,
    /// Whether each row's targets are followed by its weight.
    pub(crate) weighted: bool,
    /// Whether a function of the host app makes the rows.
    pub(crate) generated: bool,
    /// The engine whose buffers `feed` writes.
    pub(crate) owner: Identity,
}

impl GpuData {
    /// Rows of the data set.
    #[must_use]
    pub fn row_count(&self) -> u32 {
        program::word(self.rows)
    }
}

impl GpuEngine {
    /// Allocates everything the plan says and initialises the parameters. Kernels are compiled when the
    /// first data set arrives, all at the same time, or before that by [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// [`Error::Limit`] if a buffer or dispatch exceeds the device's limits, or all buffers its free
    /// memory; [`Error::Lost`] if it is gone; [`Error::Device`] if the driver refuses all the same.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, plan: Plan) -> Result<Self> {
        Self::with_options(device, queue, plan, &GpuOptions::default())
    }

    /// As [`new`](Self::new), with what a host app may bring along.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        plan: Plan,
        options: &GpuOptions,
    ) -> Result<Self> {
        plan.check_limits(&device.limits())?;
        let precision = plan.options().precision;
        if precision.is_mixed() && !device.features().contains(wgpu::Features::SHADER_F16) {
            return Err(Error::Option {
                name: "precision",
                value: "Mixed on a device without the feature SHADER_F16".into(),
                expected: "Precision::F32, or a device made with that feature",
            });
        }
        let units = &options.cooperative_matrix;
        let abilities = Abilities::of(device).with_matrix_units(device, units, precision);
        let variants = Variants { abilities, tuning: options.tuning.clone() };
        let fused = options.fusion.decide(&plan, &variants, &device.limits())?;
        let during = "preparing the training";
        let made = in_scope(device, during, || {
            let buffers = Buffers::new(device, queue, &plan)?;
            let mut pipelines = Pipelines::new(device, Checks::Off);
            pipelines.cache = options.pipeline_cache.clone();
            let builder = Builder::new(&plan, &buffers, &mut pipelines, &variants);
            let program = Program::new(builder, fused);
            let inference = Inference::new(&plan, &buffers, &mut pipelines, &variants);
            let insight_bytes = program.insight.as_ref().map(wgpu::Buffer::size);
            let flights = Flights::new(device, &plan, insight_bytes);
            let recordings = Recordings::new(device, queue, &plan);
            Ok((buffers, pipelines, program, inference, flights, recordings))
        })
        .and_then(|result| result)
        .map_err(|error| {
            let needed = |plan: &Plan| {
                let fused = options.fusion.decide(plan, &variants, &device.limits());
                let fused = fused.ok().flatten();
                memory::buffer_bytes(plan, &variants, fused.as_ref(), &device.limits())
            };
            let error = lost_or(device, queue, error);
            memory_or(error, plan.purpose(), needed(&plan), plan.smaller(needed))
        });
        let (buffers, pipelines, program, inference, flights, recordings) = made?;
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            slots: Slots::new(queue, &buffers.steps),
            plan,
            buffers,
            pipelines,
            variants,
            program,
            inference,
            flights,
            recordings,
            parts: Vec::with_capacity(MAX_PARTS),
            stats: GpuStats::default(),
            identity: Identity::default(),
        })
    }

    /// Compiles the kernels that don't depend on a data set: up to a second for each on software
    /// adapters, as many at a time as there are threads. The engine can be made and prepared on a
    /// thread of its own, while the host app draws its first frames.
    ///
    /// # Errors
    /// [`Error::Device`] if the driver can't compile one.
    pub fn prepare(&mut self) -> Result<()> {
        let result = self.pipelines.compile();
        self.told(result)
    }

    /// Counts of what was asked of the device.
    #[must_use]
    pub fn stats(&self) -> GpuStats {
        self.stats
    }

    /// The parameter arena on the device, for shaders of the host's own:
    /// [`Plan::to_wgsl`] writes the net as a function that reads it.
    ///
    /// f32 numbers in the layout of the plan: each of [`Plan::tensors`] from its
    /// [`offset`](crate::Tensor::offset) on, padding 0, [`Plan::arena_len`] in all. The usages are
    /// `STORAGE`, `COPY_SRC` and `COPY_DST`; bind it as read-only storage. It is the same buffer as long
    /// as the engine lives and changes with every step, in the order of submissions to the queue: what
    /// is submitted behind a step sees that step's parameters. Where averages are kept, it holds the
    /// trained weights, and the averages between two calls of
    /// [`swap_average`](crate::Engine::swap_average).
    #[must_use]
    pub fn parameter_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.parameters
    }

    /// The gradient arena of the last training step. Waits for it.
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails, [`Error::Lost`] if it is gone.
    pub fn gradients(&mut self) -> Result<Vec<f32>> {
        self.download(&self.buffers.gradients.clone())
    }

    fn data(&self, feed: Feed, rows: usize, weighted: bool) -> GpuData {
        GpuData { feed, rows, weighted, generated: false, owner: self.identity.clone() }
    }

    /// Records that nothing has gone wrong yet in `count` slots from `first` on.
    fn clear_faults(&self, encoder: &mut wgpu::CommandEncoder, first: u32, count: usize) {
        let (at, size) = (Buffers::faults_at(first), bytes_of(count));
        encoder.clear_buffer(&self.buffers.status, at, Some(size));
    }

    /// Records parts of training steps or of an evaluation, whose scalars are in the slots from `first`
    /// on, and what their metrics will be of.
    fn record(
        &mut self,
        pass: &mut wgpu::ComputePass<'_>,
        data: &GpuData,
        first: u32,
        parts: &[(Step, Part)],
        mut entries: Option<&mut Vec<Entry>>,
    ) {
        for (slot, (step, part)) in (first..).zip(parts) {
            let training = step.is_training();
            let mut record = |dispatch: &Dispatch| {
                dispatch.record(pass, slot * SLOT_STRIDE, part.rows);
                self.stats.dispatches += 1;
            };
            if training {
                let Part { is_first, is_last, .. } = *part;
                let dispatches =
                    self.program.of_training(&data.feed, is_first, is_last, step.insight);
                dispatches.for_each(record);
            } else {
                self.program.of_evaluation(&data.feed).for_each(&mut record);
            }
            if let Some(entries) = &mut entries {
                entries.push(Entry {
                    step: step.reported(),
                    rows: part.rows,
                    groups: data.feed.metrics_groups(part.rows, training),
                    ends: part.is_last,
                });
            }
        }
    }
}

/// Copies as much as both buffers hold.
fn copy(encoder: &mut wgpu::CommandEncoder, from: &wgpu::Buffer, to: &wgpu::Buffer) {
    encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size().min(to.size()));
}

/// Begins a pass under a label, which debuggers show as a group.
fn compute_pass<'a>(encoder: &'a mut wgpu::CommandEncoder, label: &str) -> wgpu::ComputePass<'a> {
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: Some(label),
        timestamp_writes: None,
    })
}
