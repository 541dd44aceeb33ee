//! Every size of a training run, before anything is allocated.
//!
//! The arenas for parameters, gradients and moments share one layout: each tensor starts at a
//! multiple of [`TENSOR_ALIGN`] elements, so that it can be bound as a range of its arena. Trained
//! tensors come first, sorted by parameter group; the parameter arena goes on with the running
//! statistics of batch norms, so that whatever copies it copies the whole state of the net. In mixed
//! precision tensors start at twice that multiple, so that the arena's copy in f16 can be bound likewise.

mod check;
mod memory;
mod stage;
mod table;

use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::init::Place;
use crate::layer::Layer;
use crate::loss::Loss;
use crate::model::{Block, BlockOp, Mlp};
use crate::optimizer::{GroupRates, Updates, group_of};
use crate::options::TrainOptions;
use crate::rng::{Purpose, Stream};

pub use stage::{Norm, Stage, StageOp, Tensor, TensorKind};

/// Elements that a tensor's offset is a multiple of: 256 bytes of f32, WebGPU's default
/// `min_storage_buffer_offset_alignment`.
pub const TENSOR_ALIGN: usize = 64;

/// Rows that evaluation and prediction process at once when the training batch is smaller, unless
/// that makes the widest activation longer than [`SMALL`].
const MIN_CAPACITY: usize = 256;
/// Elements, 16 MiB, that buffers may have for the convenience of evaluation alone.
const SMALL: usize = 1 << 22;
/// Bytes of the buffers with which a recorded inference takes more rows at once than training.
const INFERENCE_BYTES: u64 = 4 << 20;
/// Rows that it takes at most: from there on passes cost nothing beside their work.
const INFERENCE_ROWS: u64 = 1 << 14;
/// Most elements of an arena. A fault names one in 31 bits, and a dispatch over them may overshoot by less
/// than 2²⁴.
const MAX_ELEMENTS: u64 = (1 << 31) - (1 << 24);

pub(crate) use table::bytes;

/// Bytes of one number on the device.
const F32: u64 = 4;
/// The same of one that is stored in half of it.
const F16: u64 = 2;

/// Every shape, offset, length, byte and FLOP count of a net and its training.
///
/// ```
/// use wgrad::{Activation, Loss, Mlp, Optimizer, Plan, TrainOptions};
/// let mlp = Mlp::with_hidden(784, &[128], Activation::Relu, 10);
/// let plan = Plan::new(&mlp, &TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adam(1e-3)))?;
/// assert_eq!(plan.parameters(), 101_770);
/// println!("{plan}");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    mlp: Mlp,
    options: TrainOptions,
    stages: Vec<Stage>,
    /// Last element of each parameter group, plus one; the default group comes first.
    group_ends: Vec<usize>,
    arena_len: usize,
    capacity: usize,
}

impl Plan {
    /// Plans the training of `mlp`.
    ///
    /// # Errors
    /// [`Error::Model`] for a net that can't be, [`Error::Option`] and [`Error::Shape`] for options
    /// out of range, [`Error::Limit`] for sizes beyond 2³² elements.
    pub fn new(mlp: &Mlp, options: &TrainOptions) -> Result<Self> {
        let blocks = mlp.blocks()?;
        options.validate(mlp.out_features())?;
        let mut stages: Vec<Stage> = blocks.iter().map(stage).collect();
        let align = tensor_align(options);
        let mut end = 0;
        // The running statistics come last, whatever group may name their layer.
        let groups = options.groups.len() + 1;
        let mut group_ends = Vec::with_capacity(groups);
        for group in 0..=groups {
            let tensors = stages.iter_mut().flat_map(Stage::tensors_mut);
            for tensor in tensors {
                let trained = tensor.kind.is_trained();
                let its_group = if trained { group_of(&options.groups, tensor) } else { groups };
                if its_group == group {
                    end = place(tensor, end, align)?;
                }
            }
            group_ends.push(end);
        }
        group_ends.truncate(groups);
        let mut plan = Self {
            mlp: mlp.clone(),
            options: options.clone(),
            stages,
            group_ends,
            arena_len: end,
            capacity: 0,
        };
        let rows = options.rows_at_once();
        plan.capacity = rows.max(plan.least_capacity());
        plan.check_groups()?;
        plan.check_capacity()?;
        Ok(plan)
    }

    /// The net.
    #[must_use]
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &TrainOptions {
        &self.options
    }

    /// Takes another seed: no size depends on it.
    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.options.seed = seed;
    }

    /// The stages in forward order; at least one.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage whose output is the net's.
    pub(crate) fn last_stage(&self) -> &Stage {
        &self.stages[self.stages.len() - 1]
    }

    /// Tensors in the order of the model file: by layer, running statistics included.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.stages.iter().flat_map(Stage::tensors)
    }

    /// Elements of the parameter arena, padding between tensors and running statistics included.
    #[must_use]
    pub fn arena_len(&self) -> usize {
        self.arena_len
    }

    /// Elements of the arenas of gradients and moments: the trained part of the parameter arena,
    /// which comes first.
    #[must_use]
    pub fn trained_len(&self) -> usize {
        self.group_ends[self.group_ends.len() - 1]
    }

    /// Where each parameter group ends in the arenas, the default one first.
    pub(crate) fn group_ends(&self) -> &[usize] {
        &self.group_ends
    }

    /// The first stage with something to train: no gradient is needed before it.
    pub(crate) fn first_trained(&self) -> usize {
        let trained = |stage: &Stage| stage.tensors().any(|tensor| tensor.kind.is_trained());
        self.stages.iter().position(trained).unwrap_or(0)
    }

    /// Whether the first stage is a linear layer, which gathers the batch's rows from the data set
    /// while it computes.
    pub(crate) fn gathers(&self) -> bool {
        is_linear(&self.stages[0])
    }

    /// What makes the scalars of the optimizer's steps.
    pub(crate) fn updates(&self) -> Updates {
        let TrainOptions { optimizer, groups, clip, ema, .. } = &self.options;
        let default = GroupRates { lr: optimizer.lr, weight_decay: optimizer.weight_decay };
        let rates = groups.iter().map(|group| GroupRates {
            lr: group.lr.unwrap_or(default.lr),
            weight_decay: group.weight_decay.unwrap_or(default.weight_decay),
        });
        let rates = std::iter::once(default).chain(rates).collect();
        Updates::new(*optimizer, rates, clip.map_or(0.0, |c| c.bound()), ema.unwrap_or(0.0))
    }

    /// Rows that the buffers hold: those that go through the net at once, and for rows of moderate
    /// width no fewer than 256, so that evaluation is quick after training with small batches.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Rows that the buffers hold for evaluation, however small the batch is.
    fn least_capacity(&self) -> usize {
        MIN_CAPACITY.min(SMALL / self.widest())
    }

    /// The same net with room for the rows that a recorded inference takes at once on a device: as many as
    /// [`INFERENCE_BYTES`] and [`INFERENCE_ROWS`] allow, and no fewer than in training. Where outputs depend on
    /// the rows beside them, it is the same number.
    pub(crate) fn for_inference(&self, limits: &wgpu::Limits) -> Self {
        let bytes_of_row = self.forward_bytes().div_ceil(self.capacity as u64);
        let rows = (INFERENCE_BYTES / bytes_of_row).min(INFERENCE_ROWS) as usize;
        let wider = Self { capacity: rows.max(self.capacity), ..self.clone() };
        let fits = wider.check_capacity().and_then(|()| wider.check_limits(limits)).is_ok();
        if fits && !self.evaluates_by_batch() { wider } else { self.clone() }
    }

    /// Columns of the widest activation, the input's included.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.stages.iter().map(|s| s.out_features).fold(self.mlp.in_features(), usize::max)
    }

    /// Columns of the widest stage's output: what a buffer for dL/dZ of any stage must hold.
    #[must_use]
    pub fn widest_output(&self) -> usize {
        self.stages.iter().map(|s| s.out_features).fold(1, usize::max)
    }

    /// Columns of the targets on the device: 1 for class indices, else the net's outputs.
    #[must_use]
    pub fn target_width(&self) -> usize {
        match self.options.loss {
            Loss::CrossEntropy { .. } => 1,
            Loss::Mse | Loss::Mae | Loss::Huber { .. } | Loss::BceWithLogits { .. } => {
                self.mlp.out_features()
            }
        }
    }

    /// Trained parameters of the net, padding not counted.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors().filter(|t| t.kind.is_trained()).map(Tensor::len).sum()
    }

    /// Initial values of the parameter arena; padding is 0. Every tensor has a stream of its own,
    /// so a layer's values don't depend on the sizes of others.
    #[must_use]
    pub fn initial_parameters(&self) -> Vec<f32> {
        let mut arena = vec![0.0; self.arena_len];
        let seed = self.options.seed;
        let mut streams = (0..).map(|tensor| Stream::new(seed, Purpose::Init, tensor));
        for (position, stage) in self.stages.iter().enumerate() {
            for tensor in stage.tensors() {
                if matches!(tensor.kind, TensorKind::NormWeight | TensorKind::RunningVar) {
                    arena[tensor.range()].fill(1.0);
                }
            }
            let (StageOp::Linear { tensors: [weight, bias] }, Layer::Linear(linear)) =
                (&stage.op, self.mlp.layers()[stage.layer])
            else {
                continue;
            };
            let place = Place {
                fan_in: stage.in_features,
                fan_out: stage.out_features,
                gain: self.activation_behind(position).gain(),
                first: !self.stages[..position].iter().any(is_linear),
            };
            let tensors = [(linear.weight_init, weight), (linear.bias_init, bias)];
            for ((init, tensor), mut stream) in tensors.into_iter().zip(&mut streams) {
                init.fill(&place, &mut stream, &mut arena[tensor.range()]);
            }
        }
        arena
    }

    /// The first activation behind a stage's linear layer, norms in between passed over.
    fn activation_behind(&self, position: usize) -> Activation {
        let until_next = self.stages[position + 1..].iter().take_while(|stage| !is_linear(stage));
        std::iter::once(&self.stages[position])
            .chain(until_next)
            .map(|stage| stage.activation)
            .find(|&activation| activation != Activation::Identity)
            .unwrap_or(Activation::Identity)
    }

    /// FLOPs of one training step on a full batch: 2 per multiply-add of the three products
    /// (forward, to the input, to the weight; the first trained layer has no input gradient). Biases,
    /// norms, activations, loss and optimizer are not counted, as is usual.
    #[must_use]
    pub fn flops_per_step(&self) -> u64 {
        let products: u64 = self.stages.iter().map(Stage::products).sum();
        let first = self.stages[self.first_trained()].products();
        // A batch that goes through in parts may have any number of rows.
        (2 * (3 * products - first)).saturating_mul(self.options.batch_size as u64)
    }

    /// FLOPs of the forward pass of one row.
    #[must_use]
    pub fn flops_per_row(&self) -> u64 {
        2 * self.stages.iter().map(Stage::products).sum::<u64>()
    }

    /// Elements that tensors start at multiples of.
    pub(crate) fn tensor_align(&self) -> usize {
        tensor_align(&self.options)
    }

    /// Whether numbers of a stage's output are stored as f16: in mixed precision those of all stages but
    /// the last, whose output is the net's.
    pub(crate) fn is_half(&self, stage: usize) -> bool {
        self.options.precision.is_mixed() && stage + 1 < self.stages.len()
    }
}

fn is_linear(stage: &Stage) -> bool {
    matches!(stage.op, StageOp::Linear { .. })
}

/// A block with its tensors, not placed yet.
fn stage(block: &Block) -> Stage {
    let (layer, columns) = (block.index, block.out_features);
    let tensor = |name: &str, kind, shape: &[usize]| Tensor {
        name: format!("{layer}.{name}"),
        layer,
        kind,
        shape: shape.to_vec(),
        offset: 0,
    };
    let norm = |per_row, eps, momentum, affine: bool, running: bool| {
        let pair = |[first, second]: [(&str, TensorKind); 2]| {
            [tensor(first.0, first.1, &[columns]), tensor(second.0, second.1, &[columns])]
        };
        StageOp::Norm(Norm {
            per_row,
            eps,
            momentum,
            affine: affine.then(|| {
                pair([("weight", TensorKind::NormWeight), ("bias", TensorKind::NormBias)])
            }),
            running: running.then(|| {
                let mean = ("running_mean", TensorKind::RunningMean);
                pair([mean, ("running_var", TensorKind::RunningVar)])
            }),
        })
    };
    let op = match block.op {
        BlockOp::Linear => StageOp::Linear {
            tensors: [
                tensor("weight", TensorKind::Weight, &[columns, block.in_features]),
                tensor("bias", TensorKind::Bias, &[columns]),
            ],
        },
        BlockOp::BatchNorm(b) => norm(false, b.eps, b.momentum, b.affine, b.track_running_stats),
        BlockOp::LayerNorm(l) => norm(true, l.eps, 0.0, l.affine, false),
        BlockOp::Encoding(encoding) => StageOp::Encoding(encoding),
        BlockOp::Pass => StageOp::Pass,
    };
    Stage {
        layer,
        in_features: block.in_features,
        out_features: columns,
        op,
        activation: block.activation,
        dropout: block.dropout.filter(|(_, dropout)| dropout.rate > 0.0),
    }
}

/// Elements that tensors start at multiples of.
const fn tensor_align(options: &TrainOptions) -> usize {
    if options.precision.is_mixed() { 2 * TENSOR_ALIGN } else { TENSOR_ALIGN }
}

/// Places a tensor at `end` of the arenas and returns the new end.
fn place(tensor: &mut Tensor, end: usize, align: usize) -> Result<usize> {
    tensor.offset = end;
    let next = tensor
        .shape
        .iter()
        .try_fold(1_usize, |product, &n| product.checked_mul(n))
        .and_then(|len| len.checked_add(end)?.checked_next_multiple_of(align))
        .filter(|&next| next as u64 <= MAX_ELEMENTS);
    next.ok_or_else(|| Error::Limit {
        what: format!("tensor {} ({})", tensor.name, join(&tensor.shape, " × ")),
        needed: "more elements than can be counted".into(),
        limit_name: "32-bit element index",
        limit: format!("{MAX_ELEMENTS} parameters in all"),
        remedy: ": make the layers narrower".into(),
    })
}

fn join(numbers: &[usize], separator: &str) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests;
