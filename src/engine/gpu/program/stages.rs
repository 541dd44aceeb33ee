//! The dispatches of all stages, forward and back.

use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::whole;
use crate::ops::activation::{ACTIVATION_BACKWARD, ACTIVATION_FORWARD, ActivationShape};
use crate::ops::epilogue::Epilogue;
use crate::ops::linear::{
    LINEAR_BACKWARD_INPUT, LINEAR_BACKWARD_WEIGHT, LINEAR_FORWARD, LinearShape,
};
use crate::plan::StageOp;

impl Builder<'_> {
    /// Activations of all stages.
    pub(super) fn forward(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let mut dispatches = Vec::new();
        for (index, stage) in plan.stages().iter().enumerate() {
            let epilogue = Epilogue::of(stage);
            let choices = epilogue.choices();
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
                    dispatches.push(self.dispatch(kernel, &choices, &place, grid, &bindings));
                }
                StageOp::Norm(norm) => dispatches.extend(self.norm_forward(index, norm)),
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
                    dispatches.push(self.dispatch(kernel, &choices, &place, grid, &bindings));
                }
            }
        }
        dispatches
    }

    /// Gradients of all parameters.
    pub(super) fn backward(&mut self) -> Vec<Dispatch> {
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
}
