//! The dispatches of a step that touch the data set: they belong to it, all others to the plan.

use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::whole;
use crate::ops::loss;
use crate::ops::loss::LossShape;
use crate::ops::sample::{SAMPLE, SampleShape};

/// What connects a data set with a [`Program`](super::Program).
#[derive(Debug)]
pub(crate) struct Feed {
    /// Brings the batch's rows into the net: the first linear layer, or a copy of the rows.
    pub enter: Vec<Dispatch>,
    /// Loss, its gradient and the part's metrics.
    pub loss: Dispatch,
    /// The gradient of the first layer's weight, where that reads the data set.
    pub leave: Vec<Dispatch>,
}

impl Feed {
    /// Binds the inputs (rows × `in_features`) and targets (rows × the plan's target width, each row
    /// perhaps followed by its weight) of a data set.
    pub(crate) fn new(
        mut builder: Builder<'_>,
        inputs: &wgpu::Buffer,
        targets: &wgpu::Buffer,
    ) -> Self {
        let loss = builder.loss(targets);
        if !builder.plan.gathers() {
            return Self { enter: vec![builder.sample(inputs)], loss, leave: Vec::new() };
        }
        // Where nothing before it is trained, the first layer's gradient is the last of all.
        let leave = builder.weight_gradient(0, builder.gradient_of(0), whole(inputs), true);
        let enter = vec![builder.linear_forward(0, whole(inputs), true)];
        Self { enter, loss, leave }
    }

    /// Workgroups that report on a part of so many rows.
    pub(crate) fn metrics_groups(&self, rows: u32) -> u32 {
        self.loss.grid.workgroups(rows)[0]
    }
}

impl Builder<'_> {
    /// Copies the batch's rows.
    fn sample(&mut self, inputs: &wgpu::Buffer) -> Dispatch {
        let buffers = self.buffers;
        let shape = SampleShape::new(word(self.plan.mlp().in_features()));
        let shape = buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&shape)),
            ("inputs", whole(inputs)),
            ("batch_inputs", whole(&buffers.batch_inputs)),
            ("rows", whole(&buffers.rows)),
        ];
        self.dispatch(&SAMPLE, &[], "data", SampleShape::grid(), &bindings)
    }

    fn loss(&mut self, targets: &wgpu::Buffer) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let loss = &plan.options().loss;
        let (kernel, choices) = loss::kernel(loss);
        let stages = plan.stages().len();
        let (outputs, width) = (word(plan.mlp().out_features()), word(plan.target_width()));
        let shape = LossShape::new(outputs, width, loss);
        let shape = buffers.uniform(&shape);
        let bindings = [
            ("shape", whole(&shape)),
            ("prediction", buffers.input_of(stages)),
            ("target_values", whole(targets)),
            ("rows", whole(&buffers.rows)),
            ("weight", whole(&buffers.loss_weights)),
            ("gradient", whole(&buffers.errors[0])),
            ("metrics", whole(&buffers.ring)),
        ];
        self.dispatch(kernel, choices, loss.name(), LossShape::grid(), &bindings)
    }
}
