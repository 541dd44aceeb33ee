//! Every buffer of a plan on the device.

use super::scope;
use crate::engine::kernel::Uniform;
use crate::engine::state::Arena;
use crate::error::Result;
use crate::ops::loss::METRICS_GROUPS;
use crate::ops::optimizer::{PARTIAL_SUMS, STATUS_WORDS};
use crate::ops::scaling::Scaling;
use crate::plan::{Plan, Stage, Tensor};

/// Slots of the step ring and of the metrics ring.
pub(crate) const SLOTS: u32 = 256;
/// Bytes from one slot of the step ring to the next: a multiple of the largest offset alignment that
/// WebGPU has, 256.
pub(crate) const SLOT_STRIDE: u32 = 512;
/// Bytes of one part's metrics: four f32 from each workgroup of the loss.
pub(crate) const METRICS_BYTES: u64 = 16 * METRICS_GROUPS as u64;

const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// The arenas, activations and rings. Fresh buffers are zero; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    pub device: wgpu::Device,
    queue: wgpu::Queue,
    /// Scalars of [`SLOTS`] parts of steps.
    pub steps: wgpu::Buffer,
    /// Metrics of [`SLOTS`] parts.
    pub ring: wgpu::Buffer,
    pub parameters: wgpu::Buffer,
    /// The parameters as f16, in mixed precision.
    pub halves: Option<wgpu::Buffer>,
    /// What the loss is scaled with.
    pub scaling: wgpu::Buffer,
    pub gradients: wgpu::Buffer,
    pub moments: [wgpu::Buffer; 3],
    /// Averages of the parameters, and room to exchange them with the parameters.
    pub averages: Option<[wgpu::Buffer; 2]>,
    /// Copies of parameters and averages: the last good ones, and the best.
    pub kept: Vec<Kept>,
    /// Partial sums of the gradient's norm, and behind them what went wrong in each slot's step.
    pub status: wgpu::Buffer,
    /// What the optimizer measures, where insights are wanted.
    pub measured: Option<wgpu::Buffer>,
    /// Y of each stage, and behind it what else its derivative needs.
    pub activations: Vec<wgpu::Buffer>,
    /// Statistics and sums of each stage that is a norm.
    pub norms: Vec<Option<NormBuffers>>,
    pub errors: [wgpu::Buffer; 2],
    /// The batch's inputs, where they are copied and not gathered from a data set.
    pub batch_inputs: wgpu::Buffer,
    /// Where in the data set the batch's rows are.
    pub rows: wgpu::Buffer,
    pub loss_weights: wgpu::Buffer,
    /// Elements of Y per stage, without what is kept behind it.
    output_lens: Vec<usize>,
}

/// One copy of the parameters and of their average, where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub parameters: wgpu::Buffer,
    pub averages: Option<wgpu::Buffer>,
}

/// What the kernels of a norm share.
#[derive(Clone, Debug)]
pub(crate) struct NormBuffers {
    /// [groups, 3]
    pub statistics: wgpu::Buffer,
    /// [groups, 2]
    pub sums: wgpu::Buffer,
}

impl Buffers {
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost) if the device is gone.
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue, plan: &Plan) -> Result<Self> {
        let storage = |name: &str, elements: usize| storage(device, name, elements);
        let options = plan.options();
        let mixed = options.precision.is_mixed();
        let number = if mixed { half_storage } else { self::storage };
        let (rows, trained) = (plan.capacity(), plan.trained_len());
        let forward = ForwardBuffers::new(device, plan);
        // Every binding needs a buffer; one the kernel never touches is as small as can be.
        let moment = |name: &str, index: usize| {
            storage(name, if index < options.optimizer.moments() { trained } else { 1 })
        };
        let kept = || Kept {
            parameters: storage("kept", plan.arena_len()),
            averages: options.ema.map(|_| storage("kept_averages", plan.arena_len())),
        };
        let buffers = Self {
            device: device.clone(),
            queue: queue.clone(),
            steps: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgrad.steps"),
                size: u64::from(SLOTS * SLOT_STRIDE),
                usage: wgpu::BufferUsages::UNIFORM
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            ring: storage("metrics", SLOTS as usize * METRICS_GROUPS * 4),
            parameters: storage("parameters", plan.arena_len()),
            halves: mixed.then(|| half_storage(device, "halves", trained)),
            scaling: storage("scaling", Scaling::LEN),
            gradients: storage("gradients", trained),
            moments: [moment("moment1", 0), moment("moment2", 1), moment("moment3", 2)],
            averages: options
                .ema
                .map(|_| ["averages", "swap"].map(|name| storage(name, plan.arena_len()))),
            kept: (0..1 + usize::from(options.early_stopping.is_some())).map(|_| kept()).collect(),
            status: storage("status", STATUS_WORDS),
            measured: options.insight_every.map(|_| storage("measured", 2 * trained)),
            activations: forward.activations,
            norms: forward.norms,
            errors: ["errors[0]", "errors[1]"]
                .map(|name| number(device, name, rows * plan.widest_output())),
            batch_inputs: forward.batch_inputs,
            rows: forward.rows,
            loss_weights: storage("loss_weights", plan.mlp().out_features()),
            output_lens: forward.output_lens,
        };
        let weights = options.loss.weights(plan.mlp().out_features());
        queue.write_buffer(&buffers.loss_weights, 0, bytemuck::cast_slice(&weights));
        buffers.write_initial(plan)?;
        Ok(buffers)
    }

    /// The same, but with a forward pass of its own for the rows of another plan of the net.
    pub(crate) fn with_forward_of(&self, plan: &Plan) -> Self {
        let ForwardBuffers { activations, norms, batch_inputs, rows, output_lens } =
            ForwardBuffers::new(&self.device, plan);
        Self { activations, norms, batch_inputs, rows, output_lens, ..self.clone() }
    }

    /// Writes what a training begins with: parameters, their averages and copies, and the loss's scale.
    ///
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost) if the device is gone.
    pub(crate) fn write_initial(&self, plan: &Plan) -> Result<()> {
        let write = |buffer: &wgpu::Buffer, content: &[f32]| {
            let (content, during) = (bytemuck::cast_slice(content), "writing initial parameters");
            scope::write(&self.queue, buffer, 0, content, during)
        };
        let mixed = plan.options().precision.is_mixed();
        write(&self.scaling, &Scaling::initial(mixed).numbers())?;
        let initial = plan.initial_parameters();
        let parameters = self.kept.iter().map(|kept| &kept.parameters).chain([&self.parameters]);
        for buffer in parameters {
            write(buffer, &initial)?;
        }
        let kept = self.kept.iter().filter_map(|kept| kept.averages.as_ref());
        let averages = self.averages.iter().map(|[averages, _]| averages);
        for buffer in kept.chain(averages) {
            write(buffer, &initial)?;
        }
        Ok(())
    }

    /// Partial sums of the gradient's norm.
    pub(crate) fn partial_sums(&self) -> wgpu::BufferBinding<'_> {
        part(&self.status, 0, PARTIAL_SUMS)
    }

    /// Where in `status` the faults of the slot are, in bytes.
    pub(crate) const fn faults_at(slot: u32) -> u64 {
        bytes_of(PARTIAL_SUMS + slot as usize)
    }

    /// The buffer of an arena that the plan has.
    pub(crate) fn arena(&self, arena: Arena) -> &wgpu::Buffer {
        let found = match arena {
            Arena::Parameters => Some(&self.parameters),
            Arena::Moment(index) => self.moments.get(index),
            Arena::Average => self.averages.as_ref().map(|[averages, _]| averages),
            Arena::Scaling => Some(&self.scaling),
            Arena::KeptParameters(which) => {
                self.kept.get(which as usize).map(|kept| &kept.parameters)
            }
            Arena::KeptAverage(which) => {
                self.kept.get(which as usize).and_then(|kept| kept.averages.as_ref())
            }
        };
        found.unwrap_or_else(|| unreachable!("{arena:?} isn't in the plan"))
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

    /// A storage buffer with this content.
    pub(crate) fn filled(&self, name: &str, content: &[f32]) -> wgpu::Buffer {
        let buffer = storage(&self.device, name, content.len());
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(content));
        buffer
    }

    /// A storage buffer with the numbers from 0 on, as u32.
    pub(crate) fn numbered(&self, name: &str, count: usize) -> wgpu::Buffer {
        let buffer = storage(&self.device, name, count);
        let numbers: Vec<u32> = (0..).take(count).collect();
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&numbers));
        buffer
    }

    /// A zeroed storage buffer that only the dispatches made now share.
    pub(crate) fn scratch(&self, name: &str, elements: usize) -> wgpu::Buffer {
        storage(&self.device, name, elements)
    }

    /// What stage `index` reads: the batch, or Y of the stage before. For the number of stages,
    /// the output of the net.
    pub(crate) fn input_of(&self, index: usize) -> wgpu::BufferBinding<'_> {
        match index.checked_sub(1) {
            None => whole(&self.batch_inputs),
            Some(before) => self.part(&self.activations[before], 0, self.output_lens[before]),
        }
    }

    /// What the derivative of stage `index`'s activation is computed from.
    pub(crate) fn kept<'a>(&'a self, plan: &Plan, index: usize) -> wgpu::BufferBinding<'a> {
        let range = plan.stages()[index].kept(plan.capacity());
        self.part(&self.activations[index], range.start, range.len())
    }

    /// The weight of a linear layer as its products read it.
    pub(crate) fn weight(&self, tensor: &Tensor) -> wgpu::BufferBinding<'_> {
        self.part(self.halves.as_ref().unwrap_or(&self.parameters), tensor.offset, tensor.len())
    }

    /// Whether a buffer's numbers are f16.
    pub(crate) fn is_half(&self, buffer: &wgpu::Buffer) -> bool {
        let Some(halves) = &self.halves else { return false };
        // The last stage's output is the net's.
        let inner = &self.activations[..self.activations.len() - 1];
        buffer == halves || self.errors.contains(buffer) || inner.contains(buffer)
    }

    /// `len` numbers of a buffer from `start` on, of whichever kind they are.
    fn part<'a>(
        &self,
        buffer: &'a wgpu::Buffer,
        start: usize,
        len: usize,
    ) -> wgpu::BufferBinding<'a> {
        if !self.is_half(buffer) {
            return part(buffer, start, len);
        }
        let size = half_bytes_of(len).next_multiple_of(4);
        wgpu::BufferBinding {
            buffer,
            offset: half_bytes_of(start),
            size: std::num::NonZeroU64::new(size),
        }
    }

    pub(crate) fn parameter(&self, tensor: &Tensor) -> wgpu::BufferBinding<'_> {
        part(&self.parameters, tensor.offset, tensor.len())
    }

    /// The gradient of a tensor.
    pub(crate) fn gradient(&self, tensor: &Tensor) -> wgpu::BufferBinding<'_> {
        part(&self.gradients, tensor.offset, tensor.len())
    }
}

/// What a forward pass reads and writes for each row: see the fields of [`Buffers`].
struct ForwardBuffers {
    activations: Vec<wgpu::Buffer>,
    norms: Vec<Option<NormBuffers>>,
    batch_inputs: wgpu::Buffer,
    rows: wgpu::Buffer,
    output_lens: Vec<usize>,
}

impl ForwardBuffers {
    fn new(device: &wgpu::Device, plan: &Plan) -> Self {
        let storage = |name: &str, elements: usize| storage(device, name, elements);
        let rows = plan.capacity();
        let activation = |(index, stage): (usize, &Stage)| {
            let number = if plan.is_half(index) { half_storage } else { self::storage };
            let name = format!("activations[{}]", stage.layer);
            number(device, &name, stage.activation_len(rows))
        };
        let norm = |stage: &Stage| {
            let groups = stage.norm_groups(rows);
            (groups > 0).then(|| NormBuffers {
                statistics: storage(&format!("statistics[{}]", stage.layer), 3 * groups),
                sums: storage(&format!("sums[{}]", stage.layer), 2 * groups),
            })
        };
        Self {
            activations: plan.stages().iter().enumerate().map(activation).collect(),
            norms: plan.stages().iter().map(norm).collect(),
            // Kernels read whole vectors of four.
            batch_inputs: storage(
                "batch_inputs",
                (rows * plan.mlp().in_features()).next_multiple_of(4),
            ),
            rows: storage("rows", rows),
            output_lens: plan.stages().iter().map(|stage| rows * stage.out_features).collect(),
        }
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

/// The same of f16, up to the next whole vector of four.
pub(crate) fn half_storage(device: &wgpu::Device, name: &str, elements: usize) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(&format!("wgrad.{name}")),
        size: half_bytes_of(elements.next_multiple_of(4)),
        usage: STORAGE,
        mapped_at_creation: false,
    })
}

/// The whole of a buffer.
pub(crate) fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    buffer.as_entire_buffer_binding()
}

/// `len` elements of a buffer from `start` on.
pub(crate) fn part(buffer: &wgpu::Buffer, start: usize, len: usize) -> wgpu::BufferBinding<'_> {
    let size = std::num::NonZeroU64::new(bytes_of(len));
    wgpu::BufferBinding { buffer, offset: bytes_of(start), size }
}

/// Bytes of this many f16.
const fn half_bytes_of(elements: usize) -> u64 {
    elements as u64 * 2
}

/// Bytes of this many f32.
pub(crate) const fn bytes_of(elements: usize) -> u64 {
    elements as u64 * size_of::<f32>() as u64
}
