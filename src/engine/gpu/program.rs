//! The dispatches of a step, with their pipelines and bind groups, made once for a plan.

use super::buffers::{Buffers, whole};
use super::pipeline::{Pipeline, Pipelines};
use crate::engine::kernel::{Grid, Kernel};
use crate::ops::activation::{ACTIVATION_BACKWARD, ActivationShape};
use crate::ops::linear::{
    LINEAR_BACKWARD_INPUT, LINEAR_BACKWARD_WEIGHT, LINEAR_FORWARD, LinearShape,
};
use crate::ops::loss::LossShape;
use crate::ops::metrics::METRICS;
use crate::ops::optimizer::{ArenaShape, OPTIMIZER};
use crate::ops::{loss, metrics};
use crate::plan::Plan;

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

/// What follows the sampling of a batch, in order.
#[derive(Debug)]
pub(crate) struct Program {
    /// Activations of all stages.
    pub forward: Vec<Dispatch>,
    /// Loss, its gradient, and the batch's metrics.
    pub loss: Vec<Dispatch>,
    /// Gradients of all parameters, and the optimizer's step.
    pub backward: Vec<Dispatch>,
}

impl Program {
    /// Makes every pipeline, uniform and bind group of the plan.
    pub(crate) fn new(plan: &Plan, buffers: &Buffers, pipelines: &mut Pipelines) -> Self {
        let mut builder = Builder { plan, buffers, pipelines };
        Self { forward: builder.forward(), loss: builder.loss(), backward: builder.backward() }
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    buffers: &'a Buffers,
    pipelines: &'a mut Pipelines,
}

impl Builder<'_> {
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

    fn forward(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let stages = plan.stages().iter().enumerate();
        stages
            .map(|(index, stage)| {
                let shape = LinearShape::new(stage, plan.capacity(), stage.activation);
                self.dispatch(
                    &LINEAR_FORWARD,
                    &[f64::from(stage.activation.code())],
                    &stage.layer.to_string(),
                    shape.forward_grid(),
                    &[
                        ("shape", whole(&buffers.uniform(&shape))),
                        ("input", buffers.input_of(index)),
                        ("weight", buffers.parameter(&stage.weight)),
                        ("bias", buffers.parameter(&stage.bias)),
                        ("output", whole(&buffers.activations[index])),
                    ],
                )
            })
            .collect()
    }

    fn loss(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let loss = &plan.options().loss;
        let (kernel, choice) = loss::kernel(loss);
        let stages = plan.stages().len();
        let shape = LossShape::new(word(plan.mlp().out_features()), loss);
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
            self.dispatch(kernel, &[choice], loss.name(), LossShape::grid(), &bindings),
            self.dispatch(&METRICS, &[], "batch", metrics::grid(), &rows),
        ]
    }

    fn backward(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let mut dispatches = Vec::new();
        // The two gradient buffers take turns: one holds dL/dZ of the stage at hand, the other gets
        // that of the stage before.
        let [mut current, mut previous] = [&buffers.errors[0], &buffers.errors[1]];
        let last = plan.last_stage();
        if last.activation != crate::Activation::Identity {
            let shape = ActivationShape::new(word(last.out_features), last.activation);
            dispatches.push(self.dispatch(
                &ACTIVATION_BACKWARD,
                &[f64::from(last.activation.code())],
                &last.layer.to_string(),
                shape.grid(),
                &[
                    ("shape", whole(&buffers.uniform(&shape))),
                    ("kept", buffers.kept(plan, plan.stages().len() - 1)),
                    ("gradient", whole(current)),
                ],
            ));
        }
        for (index, stage) in plan.stages().iter().enumerate().rev() {
            let shape = LinearShape::new(stage, plan.capacity(), crate::Activation::Identity);
            dispatches.push(self.dispatch(
                &LINEAR_BACKWARD_WEIGHT,
                &[],
                &stage.layer.to_string(),
                shape.backward_weight_grid(),
                &[
                    ("shape", whole(&buffers.uniform(&shape))),
                    ("gradient_output", whole(current)),
                    ("input", buffers.input_of(index)),
                    ("gradient_weight", buffers.gradient(&stage.weight)),
                    ("gradient_bias", buffers.gradient(&stage.bias)),
                ],
            ));
            if index == 0 {
                continue;
            }
            let before = plan.stages()[index - 1].activation;
            let shape = LinearShape::new(stage, plan.capacity(), before);
            dispatches.push(self.dispatch(
                &LINEAR_BACKWARD_INPUT,
                &[f64::from(before.code())],
                &stage.layer.to_string(),
                shape.backward_input_grid(),
                &[
                    ("shape", whole(&buffers.uniform(&shape))),
                    ("gradient_output", whole(current)),
                    ("weight", buffers.parameter(&stage.weight)),
                    ("kept", buffers.kept(plan, index - 1)),
                    ("gradient_input", whole(previous)),
                ],
            ));
            std::mem::swap(&mut current, &mut previous);
        }
        let shape = ArenaShape::new(plan.arena_len());
        let rule = f64::from(plan.options().optimizer.code());
        let grid = shape.grid();
        let shape = buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&shape)),
            ("gradients", whole(&buffers.gradients)),
            ("parameters", whole(&buffers.parameters)),
            ("moment1", whole(&buffers.moments[0])),
            ("moment2", whole(&buffers.moments[1])),
        ];
        dispatches.push(self.dispatch(&OPTIMIZER, &[rule], "arena", grid, &bindings));
        dispatches
    }
}

/// A size that the plan has checked.
#[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
pub(crate) const fn word(size: usize) -> u32 {
    size as u32
}
