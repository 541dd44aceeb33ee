//! Every size of a training run, before anything is allocated.
//!
//! The arenas for parameters, gradients and moments share one layout: each tensor starts at a
//! multiple of [`TENSOR_ALIGN`] elements, so that it can be bound as a range of its arena.

mod check;
mod table;

use std::ops::Range;

use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::init::Place;
use crate::loss::Loss;
use crate::model::{Layer, Mlp};
use crate::options::TrainOptions;
use crate::rng::{Purpose, Stream};

/// Elements that a tensor's offset is a multiple of: 256 bytes of f32, WebGPU's default
/// `min_storage_buffer_offset_alignment`.
pub const TENSOR_ALIGN: usize = 64;

/// Rows that evaluation and prediction process at once when the training batch is smaller, unless
/// that makes the widest activation longer than [`SMALL`].
const MIN_CAPACITY: usize = 256;
/// Elements, 16 MiB, that buffers may have for the convenience of evaluation alone.
const SMALL: usize = 1 << 22;
/// Most elements of an arena. Indices are 32 bits, and a dispatch over them may overshoot by less
/// than 2²⁴.
const MAX_ELEMENTS: u64 = (1 << 32) - (1 << 24);

pub(crate) use table::bytes;

/// Bytes of one number on the device.
const F32: u64 = 4;

/// A parameter tensor: its name in the model file, shape and place in the arenas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name as in PyTorch's `state_dict` of the same `nn.Sequential`, for example `0.weight`.
    pub name: String,
    /// Rows and columns of a weight (out × in), length of a bias.
    pub shape: Vec<usize>,
    /// First element in each arena, a multiple of [`TENSOR_ALIGN`].
    pub offset: usize,
}

impl Tensor {
    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements, which a planned tensor never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements it takes of an arena.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// One linear layer with its activation: what one forward dispatch computes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stage {
    /// Position of the linear layer in the [`Mlp`].
    pub layer: usize,
    /// Columns of the input.
    pub in_features: usize,
    /// Columns of the output.
    pub out_features: usize,
    /// The activation behind the linear layer; identity if there is none.
    pub activation: Activation,
    /// W, out × in.
    pub weight: Tensor,
    /// b, length out.
    pub bias: Tensor,
}

impl Stage {
    /// Elements of the stage's activation buffer for `rows` rows: Y, and behind it Z at
    /// [`preactivation_offset`](Self::preactivation_offset) where the derivative needs it.
    #[must_use]
    pub fn activation_len(&self, rows: usize) -> usize {
        if self.activation.keeps_preactivation() {
            self.preactivation_offset(rows) + rows * self.out_features
        } else {
            rows * self.out_features
        }
    }

    /// First element of Z in an activation buffer for `rows` rows, aligned so that it can be bound.
    #[must_use]
    pub fn preactivation_offset(&self, rows: usize) -> usize {
        (rows * self.out_features).next_multiple_of(TENSOR_ALIGN)
    }

    /// What the derivative of this stage's activation is computed from: a range of its activation
    /// buffer (Z where kept, else Y).
    #[must_use]
    pub fn kept(&self, rows: usize) -> Range<usize> {
        let start =
            if self.activation.keeps_preactivation() { self.preactivation_offset(rows) } else { 0 };
        start..start + rows * self.out_features
    }

    /// Multiply-adds of the forward product for one row.
    const fn products(&self) -> u64 {
        self.in_features as u64 * self.out_features as u64
    }
}

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
        let mut end: usize = 0;
        let mut stages = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (layer, out, columns) = (block.index, block.linear.out_features, block.in_features);
            let mut tensor = |name: &str, shape: Vec<usize>| {
                let offset = end;
                let next = shape
                    .iter()
                    .try_fold(1_usize, |product, &n| product.checked_mul(n))
                    .and_then(|len| len.checked_add(offset)?.checked_next_multiple_of(TENSOR_ALIGN))
                    .filter(|&next| next as u64 <= MAX_ELEMENTS);
                end = next.ok_or_else(|| Error::Limit {
                    what: format!("layer {layer}: {name} ({})", join(&shape, " × ")),
                    needed: "more elements than can be counted".into(),
                    limit_name: "32-bit element index",
                    limit: format!("{MAX_ELEMENTS} parameters in all"),
                    remedy: ": make the layers narrower".into(),
                })?;
                Ok(Tensor { name: format!("{layer}.{name}"), shape, offset })
            };
            stages.push(Stage {
                layer,
                in_features: columns,
                out_features: out,
                activation: block.activation.unwrap_or(Activation::Identity),
                weight: tensor("weight", vec![out, columns])?,
                bias: tensor("bias", vec![out])?,
            });
        }
        let mut plan = Self {
            mlp: mlp.clone(),
            options: options.clone(),
            stages,
            arena_len: end,
            capacity: 0,
        };
        plan.capacity = options.batch_size.max(MIN_CAPACITY.min(SMALL / plan.widest()));
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

    /// The stages in forward order; at least one.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage whose output is the net's.
    pub(crate) fn last_stage(&self) -> &Stage {
        &self.stages[self.stages.len() - 1]
    }

    /// Parameter tensors in the order of the model file.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.stages.iter().flat_map(|stage| [&stage.weight, &stage.bias])
    }

    /// Elements of each arena, padding between tensors included.
    #[must_use]
    pub fn arena_len(&self) -> usize {
        self.arena_len
    }

    /// Rows that the buffers hold: the batch size, and for rows of moderate width no fewer than 256,
    /// so that evaluation is quick after training with small batches.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
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

    /// Parameters of the net, padding not counted.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors().map(Tensor::len).sum()
    }

    /// Initial values of the parameter arena; padding is 0. Every tensor has a stream of its own,
    /// so a layer's values don't depend on the sizes of others.
    #[must_use]
    pub fn initial_parameters(&self) -> Vec<f32> {
        let mut arena = vec![0.0; self.arena_len];
        let seed = self.options.seed;
        let mut streams = (0..).map(|tensor| Stream::new(seed, Purpose::Init, tensor));
        for (position, stage) in self.stages.iter().enumerate() {
            let Layer::Linear(linear) = self.mlp.layers()[stage.layer] else { continue };
            let place = Place {
                fan_in: stage.in_features,
                fan_out: stage.out_features,
                gain: stage.activation.gain(),
                first: position == 0,
            };
            let tensors = [(linear.weight_init, &stage.weight), (linear.bias_init, &stage.bias)];
            for ((init, tensor), mut stream) in tensors.into_iter().zip(&mut streams) {
                init.fill(&place, &mut stream, &mut arena[tensor.range()]);
            }
        }
        arena
    }

    /// FLOPs of one training step on a full batch: 2 per multiply-add of the three products
    /// (forward, to the input, to the weight; the first layer has no input gradient). Biases,
    /// activations, loss and optimizer are not counted, as is usual.
    #[must_use]
    pub fn flops_per_step(&self) -> u64 {
        let products: u64 = self.stages.iter().map(Stage::products).sum();
        2 * self.options.batch_size as u64 * (3 * products - self.stages[0].products())
    }

    /// FLOPs of the forward pass of one row.
    #[must_use]
    pub fn flops_per_row(&self) -> u64 {
        2 * self.stages.iter().map(Stage::products).sum::<u64>()
    }

    /// Bytes of parameters, gradients and optimizer state.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        // Parameters, gradients and the copy that is kept as the last good one.
        let arenas = 3 + self.options.optimizer.moments() as u64;
        arenas * self.arena_len as u64 * F32
    }

    /// Bytes of the activations and their gradients for [`capacity`](Self::capacity) rows, the
    /// batch's inputs and targets included.
    #[must_use]
    pub fn activation_bytes(&self) -> u64 {
        let rows = self.capacity;
        let forward: u64 = self.stages.iter().map(|s| s.activation_len(rows) as u64).sum();
        let batch = rows as u64 * (self.mlp.in_features() + self.target_width()) as u64;
        // Two buffers for dL/dZ take turns; each row also has its loss and score.
        let backward = 2 * rows as u64 * self.widest_output() as u64 + 4 * rows as u64;
        (forward + batch + backward) * F32
    }

    /// Bytes of a data set of `rows` rows, resident on the device.
    #[must_use]
    pub fn data_bytes(&self, rows: usize) -> u64 {
        rows as u64 * (self.mlp.in_features() + self.target_width()) as u64 * F32
    }

    /// Bytes of everything but the data.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.state_bytes() + self.activation_bytes()
    }
}

fn join(numbers: &[usize], separator: &str) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Loss, Optimizer};

    fn options(batch_size: usize) -> TrainOptions {
        TrainOptions { batch_size, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)) }
    }

    pub(super) fn plan(mlp: &Mlp, batch_size: usize) -> Result<Plan> {
        Plan::new(mlp, &options(batch_size))
    }

    #[test]
    fn tensors_are_aligned_and_do_not_overlap() {
        let mlp = Mlp::with_hidden(3, &[65, 7], Activation::Gelu, 1);
        let plan = plan(&mlp, 16).unwrap();
        let mut end = 0;
        for tensor in plan.tensors() {
            assert_eq!(tensor.offset % TENSOR_ALIGN, 0, "{}", tensor.name);
            assert!(tensor.offset >= end, "{} overlaps", tensor.name);
            end = tensor.range().end;
        }
        assert!(plan.arena_len() >= end);
        assert_eq!(plan.parameters(), 3 * 65 + 65 + 65 * 7 + 7 + 7 + 1);
        let names: Vec<_> = plan.tensors().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]);
    }

    #[test]
    fn flops_count_three_products_but_for_the_first_layer() {
        let plan = plan(&Mlp::with_hidden(784, &[128], Activation::Relu, 10), 64).unwrap();
        assert_eq!(plan.flops_per_step(), 2 * 64 * (2 * 784 * 128 + 3 * 128 * 10));
    }

    #[test]
    fn sizes_that_overflow_are_errors() {
        for width in [10_000_000_usize, usize::MAX / 2, usize::MAX] {
            let mlp = Mlp::with_hidden(width, &[width], Activation::Relu, width);
            assert!(matches!(plan(&mlp, 64), Err(Error::Limit { .. })), "{width}");
        }
        let mlp = Mlp::new(1).linear(1);
        assert!(matches!(plan(&mlp, usize::MAX), Err(Error::Limit { .. })));
        assert!(matches!(plan(&mlp, 0), Err(Error::Option { name: "batch_size", .. })));
    }
}
