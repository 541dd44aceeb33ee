//! A net as a stage of a larger differentiable pipeline: the host app goes on where it ends, and gives
//! gradients back.

use super::arrival::{Arrival, Outcome};
use super::buffers::{SLOT_STRIDE, bytes_of};
use super::inference::{rows_in, same_rows};
use super::program::{Builder, Dispatch, word};
use super::scope::in_scope;
use super::{GpuEngine, compute_pass};
use crate::checkpoint::ModuleState;
use crate::engine::{Engine as _, Part, Step};
use crate::error::{Error, Result};
use crate::optimizer::Updates;
use crate::plan::StageOp;
use crate::schedule::Run;

/// A net between other stages of a differentiable pipeline, all recorded into the host's encoders:
/// as a `torch.nn.Module` with its optimizer, while the host is what comes before and behind it.
///
/// ```no_run
/// # fn f(engine: wgrad::GpuEngine, encoder: &mut wgrad::wgpu::CommandEncoder,
/// #     [x, y, dy, dx]: [&wgrad::wgpu::Buffer; 4]) -> wgrad::Result<()> {
/// let mut module = wgrad::Module::new(engine)?;
/// module.encode_forward(encoder, x.slice(..), y.slice(..))?;
/// // … the host computes its loss of y, and dL/dy …
/// module.encode_backward(encoder, dy.slice(..), Some(dx.slice(..)))?;
/// module.encode_update(encoder)?;
/// # Ok(())
/// # }
/// ```
///
/// Of the plan's options it follows the optimizer, groups, clipping, average and seed. `batch_size` (or
/// `micro_batch`) is how many rows a forward pass may have, `epochs` how many updates the schedule
/// stretches over. The loss is the host's: what the options say of it, of sampling and of stopping has
/// no effect.
///
/// Recording makes nothing that stays, and never submits, polls or waits. What is recorded counts, so an
/// encoder that is dropped instead of submitted leaves gradients and updates out that the module takes
/// for done: [`reset`](Module::reset) begins anew. All slices hold f32, row-major and
/// without gaps. The rows pass through buffers of the engine, so what is read needs the usage
/// `COPY_SRC`, what is written `COPY_DST`.
#[derive(Debug)]
pub struct Module {
    pub(crate) engine: GpuEngine,
    /// All gradients, down to dL/dinput.
    backward: Vec<Dispatch>,
    /// Where dL/dinput arrives (rows × `in_features`).
    input_gradient: wgpu::Buffer,
    updates: Updates,
    /// Updates done.
    steps: u64,
    /// Forward passes done: each drops other elements.
    forwards: u64,
    /// The forward pass whose activations are there.
    forward: Option<Step>,
    /// Whether gradients have been added up since the last update.
    has_gradients: bool,
}

impl Module {
    /// Makes a module of an engine's net, and compiles all its kernels.
    ///
    /// # Errors
    /// [`Error::Option`] in mixed precision, [`Error::Device`] if the driver refuses.
    pub fn new(mut engine: GpuEngine) -> Result<Self> {
        if engine.plan.options().precision.is_mixed() {
            return Err(Error::Option {
                name: "precision",
                value: "Mixed for a module, whose gradients are the host's".into(),
                expected: "Precision::F32",
            });
        }
        let GpuEngine { device, plan, buffers, pipelines, variants, .. } = &mut engine;
        let (backward, input_gradient) = in_scope(device, "preparing a module", || {
            let elements = plan.capacity() * plan.mlp().in_features();
            let gradient = buffers.scratch("input_gradient", elements);
            let mut builder = Builder::new(plan, buffers, pipelines, variants).adding();
            let mut backward = builder.backward(Some(&gradient));
            backward.extend(builder.leave());
            // A first stage that only passes on leaves dL/dinput where its own gradient is.
            let passes = matches!(plan.stages()[0].op, StageOp::Pass);
            let gradient = if passes { builder.gradient_of(0).clone() } else { gradient };
            (backward, gradient)
        })?;
        engine.prepare()?;
        Ok(Self {
            updates: engine.plan().updates(),
            engine,
            backward,
            input_gradient,
            steps: 0,
            forwards: 0,
            forward: None,
            has_gradients: false,
        })
    }

    /// The engine: for parameters, gradients and inference.
    #[must_use]
    pub fn engine(&self) -> &GpuEngine {
        &self.engine
    }

    /// The engine, for what changes something. An inference takes the place of the forward pass that
    /// [`encode_backward`](Self::encode_backward) would go back through. The module counts its updates and
    /// forward passes, which bias correction, schedule and dropout go by, and no state that is set here
    /// brings its counts along: [`resume`](Self::resume) and [`restart`](Self::restart) do.
    pub fn engine_mut(&mut self) -> &mut GpuEngine {
        self.forward = None;
        &mut self.engine
    }

    /// Begins the training anew, with a seed in place of the options' one: everything is as in a module that
    /// was just made with this seed. Submits; never waits. Submit or drop encoders with recorded passes
    /// before it.
    ///
    /// # Errors
    /// [`Error::Lost`] if the device is gone, [`Error::Device`] if it fails.
    pub fn restart(&mut self, seed: u64) -> Result<()> {
        self.engine.reset(seed)?;
        self.updates = self.engine.plan().updates();
        self.set_progress(ModuleState::default());
        Ok(())
    }

    /// Forgets the latest forward pass and the gradients that have added up: after an encoder with a
    /// backward pass was dropped.
    pub fn reset(&mut self) {
        self.forward = None;
        self.has_gradients = false;
    }

    /// What it counts, where nothing is between two updates that a checkpoint would lack.
    pub(crate) fn progress(&self, call: &'static str) -> Result<ModuleState> {
        if self.has_gradients {
            return Err(Error::Sequence { call, needs: "encode_update" });
        }
        Ok(ModuleState { updates: self.steps, forwards: self.forwards })
    }

    pub(crate) fn set_progress(&mut self, ModuleState { updates, forwards }: ModuleState) {
        (self.steps, self.forwards) = (updates, forwards);
        self.reset();
    }

    /// Updates recorded.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Records the net's outputs (rows × `out_features`) for inputs (rows × `in_features`), in training
    /// mode: dropout drops, batch norms take the batch's statistics. How many rows follows from the
    /// lengths.
    ///
    /// # Errors
    /// [`Error::Shape`] if the slices are no whole rows, don't have the same number of them, have more
    /// than the plan's batch, or lack a usage; [`Error::Model`] for a single row and a batch norm;
    /// [`Error::Pending`] if too much is recorded that isn't known to be done.
    pub fn encode_forward(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        input: wgpu::BufferSlice<'_>,
        output: wgpu::BufferSlice<'_>,
    ) -> Result<()> {
        let plan = &self.engine.plan;
        let (mlp, most) = (plan.mlp(), plan.options().rows_at_once());
        let (in_features, out_features) = (mlp.in_features(), mlp.out_features());
        let rows = rows_in("input", &input, in_features, wgpu::BufferUsages::COPY_SRC)?;
        let out_rows = rows_in("output", &output, out_features, wgpu::BufferUsages::COPY_DST)?;
        same_rows("output of a module", out_rows, rows)?;
        if rows > most {
            return Err(Error::Shape {
                what: "input of a module".into(),
                expected: format!("at most {most} rows, as the plan's batch"),
                got: rows.to_string(),
            });
        }
        plan.check_norms(word(rows))?;
        let step = Step {
            number: self.steps + 1,
            dropout_key: Step::dropout_key(plan.options().seed, self.forwards + 1),
            ..Step::evaluation(0, word(rows))
        };
        let slot = self.write(encoder, &step, true)?;
        let GpuEngine { buffers, program, stats, .. } = &mut self.engine;
        let size = bytes_of(rows * in_features);
        encoder.copy_buffer_to_buffer(
            input.buffer(),
            input.offset(),
            &buffers.batch_inputs,
            0,
            size,
        );
        let mut pass = compute_pass(encoder, "wgrad.forward");
        for dispatch in program.outputs_of_batch() {
            dispatch.record(&mut pass, slot * SLOT_STRIDE, word(rows));
            stats.dispatches += 1;
        }
        drop(pass);
        let result = &buffers.activations[buffers.activations.len() - 1];
        let size = bytes_of(rows * out_features);
        encoder.copy_buffer_to_buffer(result, 0, output.buffer(), output.offset(), size);
        self.forwards += 1;
        self.forward = Some(step);
        Ok(())
    }

    /// Records the gradients of the latest forward pass: from dL/doutput (rows × `out_features`) those of
    /// all parameters, which add up until [`encode_update`](Self::encode_update), and dL/dinput (rows ×
    /// `in_features`) where it is wanted.
    ///
    /// # Errors
    /// [`Error::Sequence`] without a forward pass; [`Error::Shape`] if the slices don't have its rows, or
    /// lack a usage; [`Error::Pending`] if too much is recorded that isn't known to be done.
    pub fn encode_backward(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        output_gradient: wgpu::BufferSlice<'_>,
        input_gradient: Option<wgpu::BufferSlice<'_>>,
    ) -> Result<()> {
        let Some(step) = self.forward else {
            let (call, needs) = ("encode_backward", "encode_forward");
            return Err(Error::Sequence { call, needs });
        };
        let mlp = self.engine.plan.mlp();
        let (in_features, out_features) = (mlp.in_features(), mlp.out_features());
        let rows = step.batch as usize;
        let (read, write) = (wgpu::BufferUsages::COPY_SRC, wgpu::BufferUsages::COPY_DST);
        let given = rows_in("output gradient", &output_gradient, out_features, read)?;
        same_rows("output gradient", given, rows)?;
        if let Some(slice) = &input_gradient {
            let given = rows_in("input gradient", slice, in_features, write)?;
            same_rows("input gradient", given, rows)?;
        }
        let slot = self.write(encoder, &step, !self.has_gradients)?;
        let GpuEngine { buffers, stats, .. } = &mut self.engine;
        let (from, size) = (output_gradient.offset(), bytes_of(rows * out_features));
        let error = &buffers.errors[0];
        encoder.copy_buffer_to_buffer(output_gradient.buffer(), from, error, 0, size);
        let mut pass = compute_pass(encoder, "wgrad.backward");
        for dispatch in &self.backward {
            dispatch.record(&mut pass, slot * SLOT_STRIDE, step.batch);
            stats.dispatches += 1;
        }
        drop(pass);
        if let Some(slice) = input_gradient {
            let (to, size) = (slice.offset(), bytes_of(rows * in_features));
            encoder.copy_buffer_to_buffer(&self.input_gradient, 0, slice.buffer(), to, size);
        }
        self.has_gradients = true;
        Ok(())
    }

    /// Records the optimizer's step with the gradients that have added up, and begins a new sum.
    ///
    /// # Errors
    /// [`Error::Sequence`] if there was no backward pass since the last update; [`Error::Pending`] if too
    /// much is recorded that isn't known to be done.
    pub fn encode_update(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        if !self.has_gradients {
            let (call, needs) = ("encode_update", "encode_backward");
            return Err(Error::Sequence { call, needs });
        }
        let options = self.engine.plan.options();
        let factor = options.schedule.factor(self.steps, &Run::new(options.epochs, 1));
        let number = self.steps + 1;
        let update = self.updates.at(number, factor);
        let step = Step { number, update, ..Step::evaluation(0, 1) };
        let slot = self.write(encoder, &step, true)?;
        let mut pass = compute_pass(encoder, "wgrad.update");
        for dispatch in &self.engine.program.update {
            dispatch.record(&mut pass, slot * SLOT_STRIDE, 1);
            self.engine.stats.dispatches += 1;
        }
        drop(pass);
        self.steps = number;
        self.has_gradients = false;
        // Its activations were of other parameters.
        self.forward = None;
        Ok(())
    }

    /// Writes the scalars of what is recorded next to a slot.
    fn write(
        &mut self,
        encoder: &wgpu::CommandEncoder,
        step: &Step,
        is_first: bool,
    ) -> Result<u32> {
        let part = Part { row0: 0, rows: step.batch, is_first, is_last: true };
        let slots = &mut self.engine.slots;
        let slot = slots.write(&[(*step, part)], step.batch as usize, false)?.first;
        let (arrival, ticket) = Arrival::new();
        slots.hold(slot, 1, &arrival);
        encoder.on_submitted_work_done(move || ticket.arrive(Outcome::Done));
        Ok(slot)
    }
}
