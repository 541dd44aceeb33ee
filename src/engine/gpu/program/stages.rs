//! The dispatches of all stages, forward and back.

use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::whole;
use crate::ops::activation::{ACTIVATION_BACKWARD, ACTIVATION_FORWARD, ActivationShape};
use crate::ops::epilogue::Epilogue;
use crate::plan::StageOp;

impl<'a> Builder<'a> {
    /// Activations of all stages but the one that gathers the batch's rows.
    pub(super) fn forward(&mut self) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let mut dispatches = Vec::new();
        let first = usize::from(plan.gathers());
        for (index, stage) in plan.stages().iter().enumerate().skip(first) {
            let input = buffers.input_of(index);
            match &stage.op {
                StageOp::Linear { .. } => {
                    dispatches.push(self.linear_forward(index, input, false));
                }
                StageOp::Norm(norm) => dispatches.extend(self.norm_forward(index, norm)),
                StageOp::Encoding(encoding) => {
                    dispatches.push(self.encoding_forward(index, *encoding, input));
                }
                StageOp::Pass => {
                    let shape = ActivationShape::new(word(stage.out_features));
                    let uniform = buffers.uniform(&shape);
                    let epilogue = Epilogue::of(stage);
                    let after = self.epilogue(&epilogue, Some(stage));
                    let bindings = [
                        ("shape", whole(&uniform)),
                        ("epilogue", whole(&after)),
                        ("input", input),
                        ("output", whole(&buffers.activations[index])),
                    ];
                    let (kernel, grid) = (&ACTIVATION_FORWARD, shape.grid());
                    let (choices, place) = (epilogue.choices(), stage.layer.to_string());
                    dispatches.push(self.dispatch(kernel, &choices, &place, grid, &bindings));
                }
            }
        }
        dispatches
    }

    /// Where dL/dZ of a stage arrives. The two gradient buffers take turns: one holds that of the
    /// stage at hand, the other gets that of the stage before; only passing on leaves it in place.
    pub(crate) fn gradient_of(&self, index: usize) -> &'a wgpu::Buffer {
        let behind = &self.plan.stages()[index + 1..];
        let turns = behind.iter().filter(|stage| !matches!(stage.op, StageOp::Pass)).count();
        &self.buffers.errors[turns % 2]
    }

    /// Gradients of all parameters but those of the layer that gathers the batch's rows; with
    /// `input_gradient` also dL/dX of the net, which arrives there.
    pub(crate) fn backward(&mut self, input_gradient: Option<&wgpu::Buffer>) -> Vec<Dispatch> {
        let (plan, buffers) = (self.plan, self.buffers);
        let mut dispatches = Vec::new();
        let stages = plan.stages();
        if plan.last_stage().has_epilogue() {
            let last = stages.len() - 1;
            dispatches.push(self.epilogue_backward(last, self.gradient_of(last)));
        }
        let first = if input_gradient.is_some() { 0 } else { plan.first_trained() };
        for (index, stage) in stages.iter().enumerate().skip(first).rev() {
            let gradient = self.gradient_of(index);
            let below =
                if index > first { Some(self.gradient_of(index - 1)) } else { input_gradient };
            match &stage.op {
                StageOp::Linear { .. } => {
                    if index > 0 || !plan.gathers() {
                        let input = buffers.input_of(index);
                        dispatches.extend(self.weight_gradient(index, gradient, input, false));
                    }
                    if let Some(below) = below {
                        dispatches.push(self.input_gradient(index, gradient, below));
                    }
                }
                StageOp::Norm(norm) => {
                    dispatches.extend(self.norm_backward(index, norm, gradient, below));
                }
                StageOp::Encoding(encoding) => {
                    if let Some(below) = below {
                        let (input, below) = (buffers.input_of(index), whole(below));
                        let backward =
                            self.encoding_backward(index, *encoding, gradient, input, below);
                        dispatches.push(backward);
                    }
                }
                StageOp::Pass => {
                    // dX is dZ: it stays where it is, and passes the epilogue that made X.
                    if index > first && stages[index - 1].has_epilogue() {
                        dispatches.push(self.epilogue_backward(index - 1, gradient));
                    }
                }
            }
        }
        dispatches
    }

    /// The epilogue that made a stage's input, which its gradient has to pass, and what the derivative is
    /// computed from; for the first stage nothing, and anything as large as the input.
    pub(super) fn below(&self, index: usize) -> (Epilogue, wgpu::BufferBinding<'a>) {
        match index.checked_sub(1) {
            None => (Epilogue::NONE, whole(&self.buffers.batch_inputs)),
            Some(below) => {
                let stage = &self.plan.stages()[below];
                (Epilogue::of(stage), self.buffers.kept(self.plan, below))
            }
        }
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
            ("gradient_input", whole(gradient)),
        ];
        let place = stage.layer.to_string();
        self.dispatch(&ACTIVATION_BACKWARD, &epilogue.choices(), &place, shape.grid(), &bindings)
    }
}
