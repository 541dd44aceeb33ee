//! The dispatches of a step, with their pipelines and bind groups, made once for a plan.

mod encoding;
mod feed;
mod fused;
mod linear;
mod mixed;
mod norms;
mod stages;
mod update;

use super::buffers::{Buffers, storage, whole};
use super::pipeline::{Compiled, Pipeline, Pipelines};
use super::tuning::Variants;
use crate::engine::kernel::{Grid, Halves, Kernel};
use crate::ops::epilogue::Epilogue;
use crate::ops::fused::Fused;
use crate::plan::{Plan, Stage, TENSOR_ALIGN};
pub(crate) use feed::{Feed, Rows, Source};
pub(crate) use fused::FusedNet;

/// One dispatch, ready to record. Its bind group has the step's slot as its one dynamic offset.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Which of several of its kind it is: a layer's number, or what it works on.
    pub place: String,
    pipeline: Compiled,
    bind_group: wgpu::BindGroup,
    /// Group 1, where the host app brought one.
    host_group: Option<wgpu::BindGroup>,
    grid: Grid,
}

impl Dispatch {
    /// Binds buffers by name; `place` tells which of several of its kind it is.
    pub(crate) fn new(
        device: &wgpu::Device,
        pipeline: &Pipeline,
        place: &str,
        grid: Grid,
        bindings: &[(&str, wgpu::BufferBinding<'_>)],
    ) -> Self {
        let kernel = pipeline.kernel.name;
        let bind_group = pipeline.bind(device, &format!("wgrad.{kernel}[{place}]"), bindings);
        let pipeline = Compiled::clone(&pipeline.compiled);
        Self { kernel, place: place.to_owned(), pipeline, bind_group, host_group: None, grid }
    }

    /// With a bind group of the host app's as group 1.
    pub(crate) fn with_host_group(self, host_group: Option<wgpu::BindGroup>) -> Self {
        Self { host_group, ..self }
    }

    /// Records the dispatch for a batch of `rows` rows whose scalars are at `slot_offset`.
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, slot_offset: u32, rows: u32) {
        let [x, y, z] = self.grid.workgroups(rows);
        let Some(pipeline) = self.pipeline.get() else { unreachable!("compiled before it is run") };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &self.bind_group, &[slot_offset]);
        if let Some(group) = &self.host_group {
            pass.set_bind_group(1, group, &[]);
        }
        pass.dispatch_workgroups(x, y, z);
    }
}

/// What a step does apart from the data set: see [`Feed`] for the rest.
#[derive(Debug)]
pub(crate) struct Program {
    /// What a forward pass begins with, in mixed precision.
    begin: Vec<Dispatch>,
    /// Brings rows that lie in the engine's own batch buffer into the net.
    enter: Vec<Dispatch>,
    /// Activations of all stages that the feed leaves.
    forward: Vec<Dispatch>,
    /// Gradients of all parameters that the feed leaves; empty where the net is fused.
    pub backward: Vec<Dispatch>,
    /// How forward pass, loss and backward pass of a training step are one dispatch, if they are.
    pub fusion: Option<Fused>,
    /// What surrounds that dispatch. Made with the first data set that can be trained on: it takes
    /// buffers that predictions have no use for.
    fused: Option<FusedNet>,
    /// The optimizer's step, once for all parts of a batch.
    pub update: Vec<Dispatch>,
    /// The step and its insights; empty where none are wanted.
    pub measured_update: Vec<Dispatch>,
    /// Where the insights arrive, if any are wanted.
    pub insight: Option<wgpu::Buffer>,
}

impl Program {
    /// Makes every pipeline, uniform and bind group of the plan, whose steps may be fused.
    pub(crate) fn new(mut builder: Builder<'_>, fusion: Option<Fused>) -> Self {
        let (measured_update, insight) = builder.measured_update().unzip();
        Self {
            begin: builder.halve(),
            enter: builder.enter(),
            forward: builder.forward(),
            backward: if fusion.is_none() { builder.backward(None) } else { Vec::new() },
            fusion,
            fused: None,
            update: builder.update(false),
            measured_update: measured_update.unwrap_or_default(),
            insight,
        }
    }
}

impl Program {
    /// What surrounds the one dispatch of a fused step, if steps are fused.
    pub(crate) fn fused_net(&mut self, builder: &mut Builder<'_>) -> Option<&FusedNet> {
        let fusion = self.fusion?;
        Some(self.fused.get_or_insert_with(|| builder.fused_net(fusion)))
    }

    /// Has what surrounds that dispatch made anew, after it couldn't be made.
    pub(crate) fn forget_fused_net(&mut self) {
        self.fused = None;
    }

    /// The dispatches of a part of an evaluation in order: forward and loss.
    pub(crate) fn of_evaluation<'a>(
        &'a self,
        feed: &'a Feed,
    ) -> impl Iterator<Item = &'a Dispatch> {
        self.outputs(feed).chain(&feed.loss)
    }

    /// The dispatches of a part of a training step, the first or last of its step or not, in order:
    /// forward, loss and gradients, and with the last part the update.
    pub(crate) fn of_training<'a>(
        &'a self,
        feed: &'a Feed,
        is_first: bool,
        is_last: bool,
        is_measured: bool,
    ) -> impl Iterator<Item = &'a Dispatch> {
        let update = match (is_last, is_measured) {
            (false, _) => &[],
            (true, false) => self.update.as_slice(),
            (true, true) => self.measured_update.as_slice(),
        };
        let fused = self.fused.iter().zip(&feed.fused).flat_map(|(net, fused)| {
            feed.fill.iter().chain(&net.before).chain([fused]).chain(&net.behind)
        });
        // What the insights look at doesn't leave a fused step.
        let needs_outputs = self.fusion.is_none() || is_last && is_measured;
        // Parameters are the same in all parts of a step.
        let begin = self.begin.iter().filter(move |_| is_first);
        let outputs = needs_outputs.then(|| begin.chain(self.stages(feed))).into_iter().flatten();
        let loss = feed.loss.iter().filter(|_| self.fusion.is_none());
        let backward = self.backward.iter().chain(&feed.leave);
        fused.chain(outputs).chain(loss).chain(backward).chain(update)
    }

    /// The dispatches that bring a part's rows in and through all stages.
    pub(crate) fn outputs<'a>(&'a self, feed: &'a Feed) -> impl Iterator<Item = &'a Dispatch> {
        self.begin.iter().chain(self.stages(feed))
    }

    /// The same where the last part had the same parameters.
    fn stages<'a>(&'a self, feed: &'a Feed) -> impl Iterator<Item = &'a Dispatch> {
        feed.fill.iter().chain(&feed.enter).chain(&self.forward)
    }

    /// The same as [`outputs`](Self::outputs) for rows that lie in the engine's own batch buffer.
    pub(crate) fn outputs_of_batch(&self) -> impl Iterator<Item = &Dispatch> {
        self.begin.iter().chain(&self.enter).chain(&self.forward)
    }
}

/// Makes dispatches.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    plan: &'a Plan,
    buffers: &'a Buffers,
    pipelines: &'a mut Pipelines,
    variants: &'a Variants,
    /// Whether gradients may be added to those of an earlier part.
    adds: bool,
    /// Bound where a kernel's variant has no use for a binding.
    nothing: wgpu::Buffer,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        buffers: &'a Buffers,
        pipelines: &'a mut Pipelines,
        variants: &'a Variants,
    ) -> Self {
        let nothing = storage(&buffers.device, "nothing", 2 * TENSOR_ALIGN);
        let adds = plan.options().parts() > 1;
        Self { plan, buffers, pipelines, variants, adds, nothing }
    }

    /// A forward pass of rows that lie in the buffers' own batch buffer.
    pub(crate) fn outputs_of_batch(&mut self) -> Vec<Dispatch> {
        let begin = self.halve().into_iter();
        begin.chain(self.enter()).chain(self.forward()).collect()
    }

    /// For gradients that add up as long as the host wants.
    pub(crate) fn adding(self) -> Self {
        Self { adds: true, ..self }
    }

    fn dispatch(
        &mut self,
        kernel: &'static Kernel,
        choices: &[f64],
        place: &str,
        grid: Grid,
        bindings: &[(&str, wgpu::BufferBinding<'_>)],
    ) -> Dispatch {
        let step = ("step", whole(&self.buffers.steps));
        let bindings: Vec<_> = std::iter::once(step).chain(bindings.iter().cloned()).collect();
        let halves = Halves::of(kernel, |name| {
            let bound = bindings.iter().find(|(bound, _)| *bound == name);
            bound.is_some_and(|(_, bound)| self.buffers.is_half(bound.buffer))
        });
        let pipeline = self.pipelines.get(kernel, halves, choices);
        Dispatch::new(&self.buffers.device, pipeline, place, grid, &bindings)
    }

    /// The epilogue's uniform for a kernel that applies it or differentiates it.
    fn epilogue(&self, epilogue: &Epilogue, stage: Option<&Stage>) -> wgpu::Buffer {
        let kept = stage.map_or(0, |stage| stage.kept_offset(self.plan.capacity()));
        self.buffers.uniform(&epilogue.uniform(kept))
    }
}

/// A size that the plan has checked.
#[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
pub(crate) const fn word(size: usize) -> u32 {
    size as u32
}
