//! The engine that runs the kernels on a wgpu device.

mod arrival;
pub(crate) mod buffers;
mod device;
mod flights;
mod forms;
mod generator;
mod guest;
mod host_rows;
mod luggage;
mod module;
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

pub use device::{AdapterChoice, Gpu, OPTIONAL_FEATURES, adapters, is_software};
pub use generator::Generator;
pub use host_rows::{HostRows, RowFormat};
pub use module::Module;
pub use recordings::StepMetrics;

use std::sync::Arc;
use std::time::Instant;

use super::cpu::evaluation_steps;
use super::state::{Arena, EngineState, Numbers};
use super::{Engine, Keep, Part, Report, Step, check_arena, check_data, rows_of};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::plan::{Plan, bytes};
use buffers::{Buffers, SLOT_STRIDE, SLOTS, bytes_of, storage, whole};
use flights::{Flights, MAX_PARTS};
use forms::Abilities;
use luggage::{Entry, METRICS_STAGED, Measured};
use pipeline::{Checks, Pipelines};
use program::{Builder, Feed, Program, Rows};
use recordings::Recordings;
use scope::in_scope;
use slots::Slots;

/// Trains and evaluates on a wgpu device.
///
/// The device stays the caller's: the engine clones its handles, needs no features and no more than
/// WebGPU's default limits, and checks errors in scopes of its own. [`OPTIONAL_FEATURES`] make it
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
    abilities: Abilities,
    program: Program,
    slots: Slots,
    flights: Flights,
    recordings: Recordings,
    /// Reused by every submission.
    parts: Vec<(Step, Part)>,
    stats: GpuStats,
    /// Marks the data sets that were uploaded to this engine.
    identity: Arc<()>,
}

/// What a host app may bring along for the engine.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GpuOptions {
    /// Where the driver's compiler finds and leaves compiled kernels, on devices with the feature
    /// `PIPELINE_CACHE`. It stays the host's, who stores its data. Default: none.
    pub pipeline_cache: Option<wgpu::PipelineCache>,
}

/// What the engine has asked of the device so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuStats {
    /// Compute dispatches recorded.
    pub dispatches: u64,
    /// Command buffers submitted.
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
    weighted: bool,
    /// Whether a function of the host app makes the rows.
    pub(crate) generated: bool,
    /// The engine whose buffers `feed` writes.
    owner: Arc<()>,
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
    /// [`Error::Limit`] if a buffer or dispatch exceeds the device's limits; [`Error::Device`] if
    /// the driver refuses all the same.
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
        let abilities = Abilities::of(device);
        let during = "preparing the training";
        let (buffers, pipelines, program, flights, recordings) = in_scope(device, during, || {
            let buffers = Buffers::new(device, queue, &plan);
            let mut pipelines = Pipelines::new(device, Checks::Off);
            pipelines.cache = options.pipeline_cache.clone();
            let builder = Builder::new(&plan, &buffers, &mut pipelines, abilities);
            let program = Program::new(builder);
            let insight_bytes = program.insight.as_ref().map(wgpu::Buffer::size);
            let flights = Flights::new(device, &plan, insight_bytes);
            let recordings = Recordings::new(device, queue, &plan);
            (buffers, pipelines, program, flights, recordings)
        })?;
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            slots: Slots::new(queue, &buffers.steps),
            plan,
            buffers,
            pipelines,
            abilities,
            program,
            flights,
            recordings,
            parts: Vec::with_capacity(MAX_PARTS),
            stats: GpuStats::default(),
            identity: Arc::new(()),
        })
    }

    /// Compiles the kernels that don't depend on a data set: up to a second for each on software
    /// adapters, as many at a time as there are threads. The engine can be made and prepared on a
    /// thread of its own, while the host app draws its first frames.
    ///
    /// # Errors
    /// [`Error::Device`] if the driver can't compile one.
    pub fn prepare(&mut self) -> Result<()> {
        self.pipelines.compile()
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
    /// [`swap_average`](Engine::swap_average).
    #[must_use]
    pub fn parameter_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.parameters
    }

    /// The gradient arena of the last training step. Waits for it.
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails.
    pub fn gradients(&mut self) -> Result<Vec<f32>> {
        self.stats.waits += 1;
        readback::download(&self.device, &self.queue, &self.buffers.gradients)
    }

    /// Copies inputs (rows × `in_features`) and targets to the device. Targets may be empty where
    /// only predictions are wanted, and are followed by each row's weight if `weighted`.
    fn upload_arrays(
        &mut self,
        inputs: &[f32],
        targets: &[f32],
        weighted: bool,
        rows: usize,
    ) -> Result<GpuData> {
        let limits = self.device.limits();
        let needed = bytes_of(inputs.len().max(targets.len()));
        let bounds = [
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
            ("max_buffer_size", limits.max_buffer_size),
            ("32-bit element index", 4 << 32),
        ];
        if let Some((limit_name, limit)) = bounds.into_iter().find(|(_, limit)| needed > *limit) {
            let row = needed / rows.max(1) as u64;
            return Err(Error::Limit {
                what: format!("a data set of {rows} rows"),
                needed: bytes(needed),
                limit_name,
                limit: bytes(limit),
                remedy: format!(": {} rows would fit", limit / row.max(1)),
            });
        }
        let Self { device, queue, plan, buffers, pipelines, abilities, .. } = self;
        let feed = in_scope(device, "copying a data set to the device", || {
            let array = |name: &str, content: &[f32]| {
                // Kernels read whole vectors of four.
                let buffer = storage(device, name, content.len().max(1).next_multiple_of(4));
                queue.write_buffer(&buffer, 0, bytemuck::cast_slice(content));
                buffer
            };
            let builder = Builder::new(plan, buffers, pipelines, *abilities);
            let (inputs, targets) = (array("inputs", inputs), array("targets", targets));
            let dense = |buffer| Rows::Dense(whole(buffer));
            Feed::new(builder, Vec::new(), &dense(&inputs), &dense(&targets))
        })?;
        pipelines.compile()?;
        Ok(self.data(feed, rows, weighted))
    }

    fn data(&self, feed: Feed, rows: usize, weighted: bool) -> GpuData {
        GpuData { feed, rows, weighted, generated: false, owner: Arc::clone(&self.identity) }
    }

    /// Writes the scalars of parts that are submitted next; their slots are those from the returned
    /// one on.
    fn write_steps(&mut self, data: &GpuData, parts: &[(Step, Part)]) -> Result<u32> {
        self.slots.write(parts, data.rows, data.weighted).ok_or(Error::Pending { slots: SLOTS })
    }

    /// Refuses what has to know that all recorded steps are done.
    fn check_nothing_pending(&mut self) -> Result<()> {
        match self.slots.pending() {
            0 => Ok(()),
            slots => Err(Error::Pending { slots }),
        }
    }

    /// How many parts a submission of our own can have beside what the host app has recorded. It is as
    /// many for all submissions of a call, so that is refused before it begins or not at all.
    fn room(&mut self) -> Result<usize> {
        match self.slots.free() {
            0 => Err(Error::Pending { slots: SLOTS }),
            free => Ok(free),
        }
    }

    /// Refuses data sets of other engines.
    pub(crate) fn check_owner(&self, data: &GpuData) -> Result<()> {
        if Arc::ptr_eq(&data.owner, &self.identity) {
            return Ok(());
        }
        Err(Error::Shape {
            what: "data set".into(),
            expected: "one that was uploaded to this engine".into(),
            got: "one of another engine".into(),
        })
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
            let program = &self.program;
            let update = match (step.is_training() && part.is_last, step.insight) {
                (false, _) => &[],
                (true, false) => program.update.as_slice(),
                (true, true) => program.measured_update.as_slice(),
            };
            for dispatch in program.of_part(&data.feed, step.is_training(), update) {
                dispatch.record(pass, slot * SLOT_STRIDE, part.rows);
                self.stats.dispatches += 1;
            }
            if let Some(entries) = &mut entries {
                entries.push(Entry {
                    step: step.reported(),
                    rows: part.rows,
                    groups: data.feed.metrics_groups(part.rows),
                    ends: part.is_last,
                });
            }
        }
    }

    /// Submits at most [`MAX_PARTS`] parts of training steps or of an evaluation, of which the last
    /// alone may be measured.
    fn submit(&mut self, data: &GpuData, parts: &[(Step, Part)]) -> Result<()> {
        self.check_owner(data)?;
        let first = self.write_steps(data, parts)?;
        let (mut luggage, waited) = self.flights.take_idle()?;
        self.stats.throttles += u64::from(waited);
        let mut encoder = self.encoder("wgrad.steps");
        let mut pass = compute_pass(&mut encoder, "wgrad.steps");
        self.record(&mut pass, data, first, parts, Some(&mut luggage.entries));
        drop(pass);
        luggage.pack(&mut encoder, &self.buffers.ring, first);
        let measured = parts.last().filter(|(step, part)| step.insight && part.is_last);
        if let (Some((step, _)), Some(from)) = (measured, &self.program.insight) {
            let staging = &luggage.staging;
            encoder.copy_buffer_to_buffer(from, 0, staging, METRICS_STAGED, from.size());
            luggage.measured = Some(Measured { step: step.number, update: step.update });
        }
        let submission = self.queue.submit([encoder.finish()]);
        self.stats.submissions += 1;
        self.flights.push(luggage, submission);
        Ok(())
    }

    /// Predicts one submission's worth of rows.
    fn predict_block(&mut self, inputs: &[f32], rows: usize) -> Result<Vec<f32>> {
        let start = Instant::now();
        let data = self.upload_arrays(inputs, &[], false, rows)?;
        let outputs = self.plan.mlp().out_features();
        let predictions = in_scope(&self.device, "predicting", || {
            storage(&self.device, "predictions", rows * outputs)
        })?;
        let capacity = self.plan.capacity();
        let parts: Vec<(Step, Part)> = evaluation_steps(&self.plan, rows)
            .flat_map(|step| step.parts(capacity).map(move |part| (step, part)))
            .collect();
        let first_slot = self.write_steps(&data, &parts)?;
        let output = &self.buffers.activations[self.buffers.activations.len() - 1];
        let mut encoder = self.encoder("wgrad.predict");
        let mut first = 0;
        for (slot, (_, part)) in (first_slot..).zip(&parts) {
            let mut pass = compute_pass(&mut encoder, "wgrad.predict");
            for dispatch in data.feed.enter.iter().chain(&self.program.forward) {
                dispatch.record(&mut pass, slot * SLOT_STRIDE, part.rows);
                self.stats.dispatches += 1;
            }
            drop(pass);
            let len = part.rows as usize * outputs;
            encoder.copy_buffer_to_buffer(output, 0, &predictions, bytes_of(first), bytes_of(len));
            first += len;
        }
        self.queue.submit([encoder.finish()]);
        self.stats.submissions += 1;
        self.stats.waits += 1;
        let predictions = readback::download(&self.device, &self.queue, &predictions)?;
        self.flights.adapt(start.elapsed().as_secs_f64(), parts.len());
        Ok(predictions)
    }

    fn encoder(&self, label: &str) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(label) })
    }
}

impl Engine for GpuEngine {
    type Data = GpuData;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn name(&self) -> &'static str {
        "gpu"
    }

    fn upload(&mut self, data: &Dataset) -> Result<Self::Data> {
        check_data(&self.plan, data)?;
        let targets = data.targets().to_f32();
        if data.weights().is_empty() {
            return self.upload_arrays(data.inputs(), &targets, false, data.rows());
        }
        // Each row's weight behind its targets.
        let rows = targets.chunks_exact(data.targets().width()).zip(data.weights());
        let targets: Vec<f32> =
            rows.flat_map(|(targets, weight)| targets.iter().chain([weight])).copied().collect();
        self.upload_arrays(data.inputs(), &targets, true, data.rows())
    }

    fn steps_at_once(&self) -> usize {
        (self.flights.parts_at_once() / self.plan.options().parts()).max(1)
    }

    fn train(&mut self, data: &Self::Data, steps: &[Step]) -> Result<()> {
        let micro_batch = self.plan.options().rows_at_once();
        let room = self.room()?;
        let mut parts = std::mem::take(&mut self.parts);
        parts.clear();
        for step in steps {
            for part in step.parts(micro_batch) {
                parts.push((*step, part));
                // What is measured leaves with the submission that made it.
                if parts.len() == room || step.insight && part.is_last {
                    self.submit(data, &parts)?;
                    parts.clear();
                }
            }
        }
        if !parts.is_empty() {
            self.submit(data, &parts)?;
        }
        self.parts = parts;
        Ok(())
    }

    fn evaluate(&mut self, data: &Self::Data, rows: u32) -> Result<()> {
        let (capacity, room) = (self.plan.capacity(), self.room()?);
        let mut parts = evaluation_steps(&self.plan, data.rows.min(rows as usize))
            .flat_map(|step| step.parts(capacity).map(move |part| (step, part)));
        loop {
            let batch: Vec<_> =
                parts.by_ref().take(self.flights.parts_at_once().min(room)).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.submit(data, &batch)?;
        }
    }

    fn reports(&mut self, into: &mut Vec<Report>) -> Result<()> {
        self.flights.collect()?;
        self.flights.drain_reports(into);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.stats.waits += u64::from(self.flights.wait_for_all()?);
        Ok(())
    }

    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>> {
        let in_features = self.plan.mlp().in_features();
        let rows = rows_of(&self.plan, inputs)?;
        let room = self.room()?;
        let mut predictions = Vec::with_capacity(rows * self.plan.mlp().out_features());
        let limits = self.device.limits();
        let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        // The plan has checked that one batch fits.
        let batches_that_fit = limit / bytes_of(self.plan.capacity() * self.plan.widest());
        let most = usize::try_from(batches_that_fit).unwrap_or(MAX_PARTS).max(1);
        let mut left = inputs;
        while !left.is_empty() {
            // As much as one submission should take.
            let block = self.plan.capacity() * self.flights.parts_at_once().min(most).min(room);
            let (now, later) = left.split_at(left.len().min(block * in_features));
            predictions.extend(self.predict_block(now, now.len() / in_features)?);
            left = later;
        }
        Ok(predictions)
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        self.stats.waits += 1;
        readback::download(&self.device, &self.queue, &self.buffers.parameters)
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_arena(&self.plan, parameters)?;
        let Buffers { parameters: trained, kept, .. } = &self.buffers;
        for buffer in [trained, &kept[Keep::LastGood as usize].parameters] {
            self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(parameters));
        }
        Ok(())
    }

    fn state(&mut self) -> Result<EngineState> {
        let mut arenas = Vec::new();
        for arena in Arena::all(&self.plan) {
            self.stats.waits += 1;
            let buffer = self.buffers.arena(arena);
            arenas.push(Numbers::F32(readback::download(&self.device, &self.queue, buffer)?));
        }
        self.check_nothing_pending()?;
        Ok(EngineState { arenas })
    }

    fn set_state(&mut self, state: &EngineState) -> Result<()> {
        flights::poll(&self.device, wgpu::PollType::Poll)?;
        self.check_nothing_pending()?;
        self.recordings.land()?;
        // Of the training that it was.
        self.recordings.take_news();
        for (arena, numbers) in state.of_plan(&self.plan)? {
            let mut content = vec![0.0_f32; numbers.len()];
            numbers.copy_to(&mut content);
            self.queue.write_buffer(self.buffers.arena(arena), 0, bytemuck::cast_slice(&content));
        }
        Ok(())
    }

    fn swap_average(&mut self) {
        if self.buffers.averages.is_none() {
            return;
        }
        let mut encoder = self.encoder("wgrad.swap_average");
        self.encode_swap_average(&mut encoder);
        self.queue.submit([encoder.finish()]);
        self.stats.submissions += 1;
    }

    fn keep(&mut self, which: Keep) {
        let Buffers { parameters, averages, kept, .. } = &self.buffers;
        let kept = &kept[which as usize];
        let mut encoder = self.encoder("wgrad.keep");
        copy(&mut encoder, parameters, &kept.parameters);
        if let (Some([averages, _]), Some(kept)) = (averages, &kept.averages) {
            copy(&mut encoder, averages, kept);
        }
        self.queue.submit([encoder.finish()]);
        self.stats.submissions += 1;
    }

    fn restore(&mut self, which: Keep) {
        let Buffers { parameters, averages, kept, moments, .. } = &self.buffers;
        let kept = &kept[which as usize];
        let mut encoder = self.encoder("wgrad.restore");
        copy(&mut encoder, &kept.parameters, parameters);
        if let (Some([averages, _]), Some(kept)) = (averages, &kept.averages) {
            copy(&mut encoder, kept, averages);
        }
        moments.iter().for_each(|moment| encoder.clear_buffer(moment, 0, None));
        self.queue.submit([encoder.finish()]);
        self.stats.submissions += 1;
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
