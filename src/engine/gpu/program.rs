//! The dispatches of a step, with their pipelines and bind groups, made once for a plan.

use super::buffers::{Buffers, NormBuffers, part, storage, whole};
use super::pipeline::{Pipeline, Pipelines};
use crate::engine::kernel::{Grid, Kernel};
use crate::insight::{measured_tensors, relu_stages};
use crate::ops::activation::{ACTIVATION_BACKWARD, ACTIVATION_FORWARD, ActivationShape};
use crate::ops::epilogue::Epilogue;
use crate::ops::insight::{DEAD_UNITS, DeadShape, INSIGHT, TENSOR_WORDS};
use crate::ops::linear::{
    LINEAR_BACKWARD_INPUT, LINEAR_BACKWARD_WEIGHT, LINEAR_FORWARD, LinearShape,
};
use crate::ops::loss::LossShape;
use crate::ops::metrics::METRICS;
use crate::ops::norm::{
    NORM_BACKWARD_COLUMNS, NORM_BACKWARD_INPUT, NORM_BACKWARD_ROWS, NORM_FORWARD, NORM_STATISTICS,
    NormShape,
};
use crate::ops::optimizer::{ArenaShape, GRADIENT_NORM, OPTIMIZER};
use crate::ops::{insight, loss, metrics, norm, optimizer};
use crate::optimizer::{Clip, group_of};
use crate::plan::{Norm, Plan, Stage, StageOp, TENSOR_ALIGN};

/// One dispatch, ready to record. Its bind group has the step's slot as its one dynamic offset.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: Grid,
}

impl Dispatch {
    /// Binds buffers by name; `place` tells in labels which of several of its kind it is.
    pub(crate) fn new(
        device: &wgpu::Device,
        pipeline: &Pipeline,
        place: &str,
        grid: Grid,
        bindings: &[(&str, wgpu::BufferBinding<'_>)],
    ) -> Self {
        let label = format!("wgrad.{}[{place}]", pipeline.kernel.name);
        let bind_group = pipeline.bind(device, &label, bindings);
        Self { pipeline: pipeline.pipeline.clone(), bind_group, grid }
    }

    /// Records the dispatch for a batch of `rows` rows whose scalars are at `slot_offset`.
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, slot_offset: u32, rows: u32) {
        let [x, y, z] = self.grid.workgroups(rows);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[slot_offset]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// What follows the sampling of a part of a batch, in order.
#[derive(Debug)]
pub(crate) struct Program {
    /// Activations of all stages.
    pub forward: Vec<Dispatch>,
    /// Loss, its gradient, and the part's metrics.
    pub loss: Vec<Dispatch>,
    /// Gradients of all parameters.
    pub backward: Vec<Dispatch>,
    /// The optimizer's step, once for all parts of a batch.
    pub update: Vec<Dispatch>,
    /// The step and its insights; empty where none are wanted.
    pub measured_update: Vec<Dispatch>,
    /// Where the insights arrive, if any are wanted.
    pub insight: Option<wgpu::Buffer>,
}

impl Program {
    /// Makes every pipeline, uniform and bind group of the plan.
    pub(crate) fn new(plan: &Plan, buffers: &Buffers, pipelines: &mut Pipelines) -> Self {
        let nothing = storage(&buffers.device, "nothing", 2 * TENSOR_ALIGN);
        let mut builder = Builder { plan, buffers, pipelines, nothing };
        let (measured_update, insight) = builder.measured_update().unzip();
        Self {
            forward: builder.forward(),
            loss: builder.loss(),
            backward: builder.backward(),
            update: builder.update(false),
            measured_update: measured_update.unwrap_or_default(),
            insight,
        }
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    buffers: &'a Buffers,
    pipelines: &'a mut Pipelines,
    /// Bound where a kernel's variant has no use for a binding.
    nothing: wgpu::Buffer,
}

impl<'a> Builder<'a> {
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
        let pipeline = self.pipelines.get(kernel, choices);
        Dispatch::new(&self.buffers.device, pipeline, place, grid, &bindings)
    }

    /// The epilogue's uniform for a kernel that applies it or differentiates it.
    fn epilogue(&self, epilogue: &Epilogue, stage: Option<&Stage>) -> wgpu::Buffer {
        let kept = stage.map_or(0, |stage| stage.kept_offset(self.plan.capacity()));
        self.buffers.uniform(&epilogue.uniform(kept))
    }

    fn forward(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let mut dispatches = Vec::new();
        for (index, stage) in plan.stages().iter().enumerate() {
            let epilogue = Epilogue::of(stage);
            let [activation, dropout] = epilogue.choices();
            let after = self.epilogue(&epilogue, Some(stage));
            let place = stage.layer.to_string();
            let input = buffers.input_of(index);
            let output = whole(&buffers.activations[index]);
            match &stage.op {
                StageOp::Linear { tensors: [weight, bias] } => {
                    let shape = LinearShape::new(stage.in_features, stage.out_features);
                    let uniform = buffers.uniform(&shape);
                    let bindings = [
                        ("shape", whole(&uniform)),
                        ("epilogue", whole(&after)),
                        ("input", input),
                        ("weight", buffers.parameter(weight)),
                        ("bias", buffers.parameter(bias)),
                        ("output", output),
                    ];
                    let (kernel, grid) = (&LINEAR_FORWARD, shape.forward_grid());
                    dispatches.push(self.dispatch(
                        kernel,
                        &[activation, dropout],
                        &place,
                        grid,
                        &bindings,
                    ));
                }
                StageOp::Norm(norm) => {
                    let shape = NormShape::new(norm, stage.in_features);
                    let uniform = buffers.uniform(&shape);
                    let statistics = whole(&self.norm_buffers(index).statistics);
                    let [per_row, affine] = norm::choices(norm);
                    let nothing = self.nothing.clone();
                    let [running_mean, running_var] = match &norm.running {
                        Some(running) => running.each_ref().map(|t| buffers.parameter(t)),
                        // Not touched; apart, because both may be written.
                        None => [0, 1].map(|at| part(&nothing, at * TENSOR_ALIGN, 1)),
                    };
                    let [weight, bias] = self.affine(norm, &nothing);
                    let bindings = [
                        ("shape", whole(&uniform)),
                        ("input", input.clone()),
                        ("statistics", statistics.clone()),
                        ("running_mean", running_mean),
                        ("running_var", running_var),
                    ];
                    let grid = shape.groups_grid(norm.per_row);
                    let kernel = &NORM_STATISTICS;
                    dispatches.push(self.dispatch(kernel, &[per_row], &place, grid, &bindings));
                    let bindings = [
                        ("shape", whole(&uniform)),
                        ("epilogue", whole(&after)),
                        ("input", input),
                        ("statistics", statistics),
                        ("weight", weight),
                        ("bias", bias),
                        ("output", output),
                    ];
                    let choices = [activation, dropout, per_row, affine];
                    let grid = shape.elements_grid();
                    dispatches.push(self.dispatch(
                        &NORM_FORWARD,
                        &choices,
                        &place,
                        grid,
                        &bindings,
                    ));
                }
                StageOp::Pass => {
                    let shape = ActivationShape::new(word(stage.out_features));
                    let uniform = buffers.uniform(&shape);
                    let bindings = [
                        ("shape", whole(&uniform)),
                        ("epilogue", whole(&after)),
                        ("input", input),
                        ("output", output),
                    ];
                    let (kernel, grid) = (&ACTIVATION_FORWARD, shape.grid());
                    dispatches.push(self.dispatch(
                        kernel,
                        &[activation, dropout],
                        &place,
                        grid,
                        &bindings,
                    ));
                }
            }
        }
        dispatches
    }

    fn norm_buffers(&self, index: usize) -> &'a NormBuffers {
        match &self.buffers.norms[index] {
            Some(buffers) => buffers,
            None => unreachable!("stage {index} is no norm"),
        }
    }

    /// γ and β of a norm, or a placeholder.
    fn affine<'b>(&self, norm: &Norm, nothing: &'b wgpu::Buffer) -> [wgpu::BufferBinding<'b>; 2]
    where
        'a: 'b,
    {
        match &norm.affine {
            Some(affine) => affine.each_ref().map(|tensor| self.buffers.parameter(tensor)),
            None => [whole(nothing), whole(nothing)],
        }
    }

    fn loss(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let loss = &plan.options().loss;
        let (kernel, choices) = loss::kernel(loss);
        let stages = plan.stages().len();
        let (outputs, targets) = (word(plan.mlp().out_features()), word(plan.target_width()));
        let shape = LossShape::new(outputs, targets, loss);
        let shape = buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&shape)),
            ("prediction", buffers.input_of(stages)),
            ("target_values", whole(&buffers.batch_targets)),
            ("weight", whole(&buffers.loss_weights)),
            ("gradient", whole(&buffers.errors[0])),
            ("row_metrics", whole(&buffers.row_metrics)),
        ];
        let rows = [("row_metrics", whole(&buffers.row_metrics)), ("ring", whole(&buffers.ring))];
        vec![
            self.dispatch(kernel, choices, loss.name(), LossShape::grid(), &bindings),
            self.dispatch(&METRICS, &[], "batch", metrics::grid(), &rows),
        ]
    }

    fn backward(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let mut dispatches = Vec::new();
        // The two gradient buffers take turns: one holds dL/dZ of the stage at hand, the other gets
        // that of the stage before.
        let [mut current, mut previous] = [&buffers.errors[0], &buffers.errors[1]];
        let stages = plan.stages();
        if plan.last_stage().has_epilogue() {
            dispatches.push(self.epilogue_backward(stages.len() - 1, current));
        }
        let first = plan.first_trained();
        for (index, stage) in stages.iter().enumerate().skip(first).rev() {
            match &stage.op {
                StageOp::Linear { tensors: [weight, bias] } => {
                    let shape = LinearShape::new(stage.in_features, stage.out_features);
                    let uniform = buffers.uniform(&shape);
                    let place = stage.layer.to_string();
                    dispatches.push(self.dispatch(
                        &LINEAR_BACKWARD_WEIGHT,
                        &[],
                        &place,
                        shape.backward_weight_grid(),
                        &[
                            ("shape", whole(&uniform)),
                            ("gradient_output", whole(current)),
                            ("input", buffers.input_of(index)),
                            ("gradient_weight", buffers.gradient(weight)),
                            ("gradient_bias", buffers.gradient(bias)),
                        ],
                    ));
                    if index > first {
                        let below = Epilogue::of(&stages[index - 1]);
                        let below_uniform = self.epilogue(&below, None);
                        let bindings = [
                            ("shape", whole(&uniform)),
                            ("epilogue", whole(&below_uniform)),
                            ("gradient_output", whole(current)),
                            ("weight", buffers.parameter(weight)),
                            ("kept", buffers.kept(plan, index - 1)),
                            ("gradient_input", whole(previous)),
                        ];
                        let grid = shape.backward_input_grid();
                        let choices = below.choices();
                        let kernel = &LINEAR_BACKWARD_INPUT;
                        dispatches.push(self.dispatch(kernel, &choices, &place, grid, &bindings));
                    }
                }
                StageOp::Norm(norm) => {
                    let into = (index > first).then_some(previous);
                    dispatches.extend(self.norm_backward(index, norm, current, into));
                }
                StageOp::Pass => {
                    // dX is dZ: it stays where it is, and passes the epilogue that made X.
                    if index > first && stages[index - 1].has_epilogue() {
                        dispatches.push(self.epilogue_backward(index - 1, current));
                    }
                    continue;
                }
            }
            std::mem::swap(&mut current, &mut previous);
        }
        dispatches
    }

    /// Turns dL/dY of a stage into dL/dZ, in place.
    fn epilogue_backward(&mut self, index: usize, gradient: &wgpu::Buffer) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let stage = &plan.stages()[index];
        let epilogue = Epilogue::of(stage);
        let shape = ActivationShape::new(word(stage.out_features));
        let uniform = buffers.uniform(&shape);
        let after = self.epilogue(&epilogue, None);
        let bindings = [
            ("shape", whole(&uniform)),
            ("epilogue", whole(&after)),
            ("kept", buffers.kept(plan, index)),
            ("gradient", whole(gradient)),
        ];
        let place = stage.layer.to_string();
        self.dispatch(&ACTIVATION_BACKWARD, &epilogue.choices(), &place, shape.grid(), &bindings)
    }

    /// The gradients of a norm's parameters and, if it goes on, of its input.
    fn norm_backward(
        &mut self,
        index: usize,
        norm: &Norm,
        gradient_output: &wgpu::Buffer,
        gradient_input: Option<&wgpu::Buffer>,
    ) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let stage = &plan.stages()[index];
        let shape = NormShape::new(norm, stage.in_features);
        let uniform = buffers.uniform(&shape);
        let norm_buffers = self.norm_buffers(index);
        let nothing = self.nothing.clone();
        let [weight, _] = self.affine(norm, &nothing);
        let [gradient_weight, gradient_bias] = match &norm.affine {
            Some(affine) => affine.each_ref().map(|tensor| buffers.gradient(tensor)),
            // Not touched; apart, because both may be written.
            None => [0, 1].map(|at| part(&nothing, at * TENSOR_ALIGN, 1)),
        };
        let place = stage.layer.to_string();
        let choices = norm::choices(norm);
        let common = [
            ("shape", whole(&uniform)),
            ("input", buffers.input_of(index)),
            ("statistics", whole(&norm_buffers.statistics)),
            ("gradient_output", whole(gradient_output)),
        ];
        let mut dispatches = Vec::new();
        let mut columns = common.to_vec();
        columns.extend([
            ("sums", whole(&norm_buffers.sums)),
            ("gradient_weight", gradient_weight),
            ("gradient_bias", gradient_bias),
        ]);
        let (kernel, grid) = (&NORM_BACKWARD_COLUMNS, shape.columns_grid());
        dispatches.push(self.dispatch(kernel, &choices, &place, grid, &columns));
        let Some(gradient_input) = gradient_input else { return dispatches };
        if norm.per_row {
            let mut rows = common.to_vec();
            rows.extend([("weight", weight.clone()), ("sums", whole(&norm_buffers.sums))]);
            let (kernel, grid) = (&NORM_BACKWARD_ROWS, shape.groups_grid(true));
            dispatches.push(self.dispatch(kernel, &choices, &place, grid, &rows));
        }
        let below = Epilogue::of(&plan.stages()[index - 1]);
        let below_uniform = self.epilogue(&below, None);
        let mut elements = common.to_vec();
        elements.extend([
            ("epilogue", whole(&below_uniform)),
            ("sums", whole(&norm_buffers.sums)),
            ("weight", weight),
            ("kept", buffers.kept(plan, index - 1)),
            ("gradient_input", whole(gradient_input)),
        ]);
        let ([activation, dropout], [per_row, affine]) = (below.choices(), choices);
        let choices = [activation, dropout, per_row, affine];
        let (kernel, grid) = (&NORM_BACKWARD_INPUT, shape.elements_grid());
        dispatches.push(self.dispatch(kernel, &choices, &place, grid, &elements));
        dispatches
    }

    /// The optimizer's step, with the gradient's norm before it where that is clipped.
    fn update(&mut self, measured: bool) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let options = plan.options();
        let shape = ArenaShape::of(plan);
        let uniform = buffers.uniform(&shape);
        let nothing = self.nothing.clone();
        let mut dispatches = Vec::new();
        if matches!(options.clip, Some(Clip::Norm(_))) {
            let bindings = [
                ("shape", whole(&uniform)),
                ("gradients", whole(&buffers.gradients)),
                ("partial_sums", whole(&buffers.partial_sums)),
            ];
            let grid = optimizer::norm_grid();
            dispatches.push(self.dispatch(&GRADIENT_NORM, &[], "arena", grid, &bindings));
        }
        let [moment1, moment2, moment3] = &buffers.moments;
        let averages = buffers.averages.as_ref().map_or(&nothing, |[averages, _]| averages);
        let spare = storage(&buffers.device, "nothing", 2);
        let bindings = [
            ("shape", whole(&uniform)),
            ("gradients", whole(&buffers.gradients)),
            ("parameters", whole_trained(plan, &buffers.parameters)),
            ("moment1", whole(moment1)),
            ("moment2", whole(moment2)),
            ("moment3", whole(moment3)),
            ("averages", whole(averages)),
            ("partial_sums", whole(&buffers.partial_sums)),
            ("measured", whole(buffers.measured.as_ref().filter(|_| measured).unwrap_or(&spare))),
        ];
        let choices = optimizer::choices(options, measured);
        dispatches.push(self.dispatch(&OPTIMIZER, &choices, "arena", shape.grid(), &bindings));
        dispatches
    }

    /// The optimizer's step and what it did, with the buffer that tells; `None` where no insights are
    /// wanted.
    fn measured_update(&mut self) -> Option<(Vec<Dispatch>, wgpu::Buffer)> {
        let (plan, buffers) = (self.plan, self.buffers);
        let measured = buffers.measured.as_ref()?;
        let groups = &plan.options().groups;
        let tensors: Vec<[u32; 4]> = measured_tensors(plan)
            .map(|t| [word(t.offset), word(t.len()), word(group_of(groups, t)), 0])
            .collect();
        let relus = relu_stages(plan).count();
        let words = tensors.len() * TENSOR_WORDS + relus;
        let result = storage(&buffers.device, "insight", words);
        let table = buffers.filled("tensors", bytemuck::cast_slice(&tensors));
        let mut dispatches = self.update(true);
        let shape = buffers.uniform(&ArenaShape::of(plan));
        let bindings = [
            ("shape", whole(&shape)),
            ("tensors", whole(&table)),
            ("gradients", whole(&buffers.gradients)),
            ("parameters", whole_trained(plan, &buffers.parameters)),
            ("measured", whole(measured)),
            ("result", whole(&result)),
        ];
        let grid = insight::grid(word(tensors.len()));
        dispatches.push(self.dispatch(&INSIGHT, &[], "arena", grid, &bindings));
        for (place, (index, stage)) in relu_stages(plan).enumerate() {
            let place = word(tensors.len() * TENSOR_WORDS + place);
            let shape = buffers.uniform(&DeadShape::new(word(stage.out_features), place));
            let bindings = [
                ("shape", whole(&shape)),
                ("kept", buffers.kept(plan, index)),
                ("result", whole(&result)),
            ];
            let label = stage.layer.to_string();
            dispatches.push(self.dispatch(&DEAD_UNITS, &[], &label, DeadShape::grid(), &bindings));
        }
        Some((dispatches, result))
    }
}

/// The trained part of the parameter arena.
fn whole_trained<'a>(plan: &Plan, parameters: &'a wgpu::Buffer) -> wgpu::BufferBinding<'a> {
    part(parameters, 0, plan.trained_len())
}

/// A size that the plan has checked.
#[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
pub(crate) const fn word(size: usize) -> u32 {
    size as u32
}
