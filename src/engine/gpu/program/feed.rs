//! The dispatches of a step that touch the data set: they belong to it, all others to the plan.

use super::fused::FusedNet;
use super::{Builder, Dispatch, word};
use crate::engine::gpu::buffers::whole;
use crate::ops::loss;
use crate::ops::loss::LossShape;
use crate::ops::sample::{SAMPLE, SampleShape};

/// What connects a data set with a [`Program`](super::Program).
#[derive(Debug)]
pub(crate) struct Feed {
    /// Leaves the batch's rows where the net reads them, if that isn't the data set.
    pub fill: Vec<Dispatch>,
    /// The first layer, where that is what gathers the batch's rows.
    pub enter: Vec<Dispatch>,
    /// Loss, its gradient and the part's metrics, where the rows have targets.
    pub loss: Option<Dispatch>,
    /// The gradient of the first layer's weight, where that reads the data set.
    pub leave: Vec<Dispatch>,
    /// In place of all these but `fill`, where the net is fused.
    pub fused: Option<Dispatch>,
}

/// Inputs or targets of a data set.
#[derive(Debug)]
pub(crate) enum Rows<'a> {
    /// f32 (rows × columns) without gaps: found by the row's number.
    Dense(wgpu::BufferBinding<'a>),
    /// Those of the batch, which a dispatch before has left in a buffer in the batch's order.
    Batch(&'a wgpu::Buffer),
}

/// Rows in a buffer, and how [`SAMPLE`] reads them.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub binding: wgpu::BufferBinding<'a>,
    pub shape: SampleShape,
    /// The kernel's choice.
    pub format: u32,
}

impl Feed {
    /// Binds inputs (rows × `in_features`) and targets (rows × the plan's target width, each row
    /// perhaps followed by its weight), or none for predictions alone. `fill` is what leaves batches
    /// where they are read; `net` is what surrounds a fused step.
    pub(crate) fn new(
        mut builder: Builder<'_>,
        net: Option<&FusedNet>,
        mut fill: Vec<Dispatch>,
        inputs: &Rows<'_>,
        targets: Option<&Rows<'_>>,
    ) -> Self {
        let loss = targets.map(|targets| builder.loss(targets));
        let fused = targets.zip(net).map(|(targets, net)| builder.fused_step(net, inputs, targets));
        let (mut enter, mut leave) = (Vec::new(), Vec::new());
        if builder.plan.gathers() {
            let (source, gathered) = match inputs {
                Rows::Dense(binding) => (binding.clone(), true),
                Rows::Batch(buffer) => (whole(buffer), false),
            };
            enter.push(builder.linear_forward(0, source.clone(), gathered));
            // Where nothing before it is trained, the first layer's gradient is the last of all.
            if targets.is_some() && fused.is_none() {
                leave = builder.weight_gradient(0, builder.gradient_of(0), source, gathered);
            }
        } else if let Rows::Dense(binding) = inputs {
            let columns = word(builder.plan.mlp().in_features());
            let shape = SampleShape::new(columns, 0, columns);
            let source = Source { binding: binding.clone(), shape, format: 0 };
            fill.push(builder.sample(&source, &builder.buffers.batch_inputs, "data"));
        }
        Self { fill, enter, loss, leave, fused }
    }

    /// Workgroups that report on a part of so many rows.
    pub(crate) fn metrics_groups(&self, rows: u32, training: bool) -> u32 {
        let reports = self.fused.as_ref().filter(|_| training).or(self.loss.as_ref());
        reports.map_or(0, |dispatch| dispatch.grid.workgroups(rows)[0])
    }
}

impl Builder<'_> {
    /// Brings rows that lie in the batch's own buffer into the net, where it doesn't begin there.
    pub(super) fn enter(&mut self) -> Vec<Dispatch> {
        let gathers = self.plan.gathers();
        let inputs = whole(&self.buffers.batch_inputs);
        // The kernel that every data set's first layer needs: it finds the rows in their order.
        gathers.then(|| self.linear_forward(0, inputs, true)).into_iter().collect()
    }

    /// The gradient of the first layer's weight for rows that [`enter`](Self::enter) brought in.
    pub(crate) fn leave(&mut self) -> Vec<Dispatch> {
        if !self.plan.gathers() {
            return Vec::new();
        }
        self.weight_gradient(0, self.gradient_of(0), whole(&self.buffers.batch_inputs), true)
    }

    /// Copies the batch's rows to the beginning of a buffer, as f32.
    pub(crate) fn sample(
        &mut self,
        source: &Source<'_>,
        batch: &wgpu::Buffer,
        place: &str,
    ) -> Dispatch {
        let buffers = self.buffers;
        let shape = buffers.uniform(&source.shape);
        let bindings = [
            ("shape", whole(&shape)),
            ("source", source.binding.clone()),
            ("batch", whole(batch)),
            ("rows", whole(&buffers.rows)),
        ];
        let format = f64::from(source.format);
        self.dispatch(&SAMPLE, &[format], place, SampleShape::grid(), &bindings)
    }

    fn loss(&mut self, targets: &Rows<'_>) -> Dispatch {
        let (plan, buffers) = (self.plan, self.buffers);
        let loss = &plan.options().loss;
        let (kernel, choices) = loss::kernel(loss);
        let stages = plan.stages().len();
        let (outputs, width) = (word(plan.mlp().out_features()), word(plan.target_width()));
        let shape = LossShape::new(outputs, width, loss);
        let shape = buffers.uniform(&shape);
        let in_order;
        let (values, rows) = match targets {
            Rows::Dense(binding) => (binding.clone(), &buffers.rows),
            Rows::Batch(buffer) => {
                in_order = buffers.numbered("batch_rows", plan.capacity());
                (whole(buffer), &in_order)
            }
        };
        let bindings = [
            ("shape", whole(&shape)),
            ("prediction", buffers.input_of(stages)),
            ("target_values", values),
            ("rows", whole(rows)),
            ("weight", whole(&buffers.loss_weights)),
            ("gradient", whole(&buffers.errors[0])),
            ("metrics", whole(&buffers.ring)),
            ("scaling", whole(&buffers.scaling)),
        ];
        self.dispatch(kernel, choices, loss.name(), LossShape::grid(), &bindings)
    }
}
