//! Every buffer of a plan on the device.

use crate::engine::kernel::Uniform;
use crate::plan::{Plan, Tensor};

/// Slots of the step ring and of the metrics ring.
pub(crate) const SLOTS: u32 = 256;
/// Bytes from one slot of the step ring to the next: the largest offset alignment WebGPU has.
pub(crate) const SLOT_STRIDE: u32 = 256;
/// Bytes of one batch's metrics: four f32.
pub(crate) const METRICS_BYTES: u64 = 16;

const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// The arenas, activations and rings. Fresh buffers are zero.
#[derive(Debug)]
pub(crate) struct Buffers {
    pub device: wgpu::Device,
    queue: wgpu::Queue,
    /// Scalars of [`SLOTS`] steps.
    pub steps: wgpu::Buffer,
    /// Metrics of [`SLOTS`] batches.
    pub ring: wgpu::Buffer,
    pub parameters: wgpu::Buffer,
    pub gradients: wgpu::Buffer,
    pub moments: [wgpu::Buffer; 2],
    pub kept: wgpu::Buffer,
    /// Y of each stage, and Z behind it where it is kept.
    pub activations: Vec<wgpu::Buffer>,
    pub errors: [wgpu::Buffer; 2],
    pub batch_inputs: wgpu::Buffer,
    pub batch_targets: wgpu::Buffer,
    pub loss_weights: wgpu::Buffer,
    pub row_metrics: wgpu::Buffer,
    /// Elements of Y per stage, without Z.
    output_lens: Vec<usize>,
}

impl Buffers {
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue, plan: &Plan) -> Self {
        let storage = |name: &str, elements: usize| storage(device, name, elements);
        let rows = plan.capacity();
        let moment = |index: usize| {
            let has = index < plan.options().optimizer.moments();
            // Every binding needs a buffer; one the kernel never touches is as small as can be.
            storage(["moment1", "moment2"][index], if has { plan.arena_len() } else { 1 })
        };
        let buffers = Self {
            device: device.clone(),
            queue: queue.clone(),
            steps: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgrad.steps"),
                size: u64::from(SLOTS * SLOT_STRIDE),
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            ring: storage("metrics", SLOTS as usize * 4),
            parameters: storage("parameters", plan.arena_len()),
            gradients: storage("gradients", plan.arena_len()),
            moments: [moment(0), moment(1)],
            kept: storage("kept", plan.arena_len()),
            activations: plan
                .stages()
                .iter()
                .map(|s| storage(&format!("activations[{}]", s.layer), s.activation_len(rows)))
                .collect(),
            errors: ["errors[0]", "errors[1]"]
                .map(|name| storage(name, rows * plan.widest_output())),
            batch_inputs: storage("batch_inputs", rows * plan.mlp().in_features()),
            batch_targets: storage("batch_targets", rows * plan.target_width()),
            loss_weights: storage("loss_weights", plan.mlp().out_features()),
            row_metrics: storage("row_metrics", rows * 4),
            output_lens: plan.stages().iter().map(|s| rows * s.out_features).collect(),
        };
        let weights = plan.options().loss.weights(plan.mlp().out_features());
        queue.write_buffer(&buffers.loss_weights, 0, bytemuck::cast_slice(&weights));
        let initial = plan.initial_parameters();
        queue.write_buffer(&buffers.parameters, 0, bytemuck::cast_slice(&initial));
        queue.write_buffer(&buffers.kept, 0, bytemuck::cast_slice(&initial));
        buffers
    }

    /// A uniform buffer with this content.
    pub(crate) fn uniform<T: Uniform>(&self, content: &T) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad.shape"),
            size: size_of::<T>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytemuck::bytes_of(content));
        buffer
    }

    /// What stage `index` reads: the batch, or Y of the stage before. For the number of stages,
    /// the output of the net.
    pub(crate) fn input_of(&self, index: usize) -> wgpu::BufferBinding<'_> {
        match index.checked_sub(1) {
            None => whole(&self.batch_inputs),
            Some(before) => part(&self.activations[before], 0, self.output_lens[before]),
        }
    }

    /// What the derivative of stage `index`'s activation is computed from.
    pub(crate) fn kept<'a>(&'a self, plan: &Plan, index: usize) -> wgpu::BufferBinding<'a> {
        let range = plan.stages()[index].kept(plan.capacity());
        part(&self.activations[index], range.start, range.len())
    }

    pub(crate) fn parameter(&self, tensor: &Tensor) -> wgpu::BufferBinding<'_> {
        part(&self.parameters, tensor.offset, tensor.len())
    }

    pub(crate) fn gradient(&self, tensor: &Tensor) -> wgpu::BufferBinding<'_> {
        part(&self.gradients, tensor.offset, tensor.len())
    }
}

/// A zeroed storage buffer of f32 that can be copied from and to.
pub(crate) fn storage(device: &wgpu::Device, name: &str, elements: usize) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(&format!("wgrad.{name}")),
        size: bytes_of(elements),
        usage: STORAGE,
        mapped_at_creation: false,
    })
}

/// The whole of a buffer.
pub(crate) fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    buffer.as_entire_buffer_binding()
}

/// `len` elements of a buffer from `start` on.
fn part(buffer: &wgpu::Buffer, start: usize, len: usize) -> wgpu::BufferBinding<'_> {
    let size = std::num::NonZeroU64::new(bytes_of(len));
    wgpu::BufferBinding { buffer, offset: bytes_of(start), size }
}

/// Bytes of this many f32.
pub(crate) const fn bytes_of(elements: usize) -> u64 {
    elements as u64 * size_of::<f32>() as u64
}
