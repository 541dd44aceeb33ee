//! One stage of a plan: a layer with the activation and the dropout behind it.

use std::ops::Range;

use super::TENSOR_ALIGN;
use crate::activation::Activation;
use crate::encoding::Encoding;
use crate::layer::Dropout;

/// A parameter tensor: its name in the model file, shape and place in the arenas.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tensor {
    /// Name as in PyTorch's `state_dict` of the same `nn.Sequential`, for example `0.weight`.
    pub name: String,
    /// Position of its layer in the [`Mlp`](crate::Mlp).
    pub layer: usize,
    /// What it is.
    pub kind: TensorKind,
    /// Rows and columns of a linear layer's weight (out × in), else the length.
    pub shape: Vec<usize>,
    /// First element in each arena, a multiple of [`TENSOR_ALIGN`].
    pub offset: usize,
}

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorKind {
    /// W of a linear layer.
    Weight,
    /// b of a linear layer.
    Bias,
    /// γ of a norm layer.
    NormWeight,
    /// β of a norm layer.
    NormBias,
    /// Running mean of batch normalisation; not trained.
    RunningMean,
    /// Running variance of batch normalisation; not trained.
    RunningVar,
}

impl TensorKind {
    /// Whether the optimizer changes it.
    #[must_use]
    pub const fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
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

/// A layer with the activation and the dropout behind it: Y = dropout(a(Z)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stage {
    /// Position of the first of its layers in the [`Mlp`](crate::Mlp).
    pub layer: usize,
    /// Columns of the input.
    pub in_features: usize,
    /// Columns of the output.
    pub out_features: usize,
    /// How Z is made.
    pub op: StageOp,
    /// The activation; identity if there is none.
    pub activation: Activation,
    /// Dropout of a rate above 0, with its layer's position.
    pub(crate) dropout: Option<(usize, Dropout)>,
}

/// How a stage makes Z of its input X.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StageOp {
    /// Z = X·Wᵀ + b.
    Linear {
        /// W (out × in) and b (length out).
        tensors: [Tensor; 2],
    },
    /// Z = γ·(X − μ)/√(σ² + ε) + β.
    Norm(Norm),
    /// Each element of X widened to several of Z. Only in the first stage.
    Encoding(Encoding),
    /// Z = X.
    Pass,
}

/// A norm layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Norm {
    /// Whether μ and σ² are taken over each row (layer norm), else over each column of the batch.
    pub per_row: bool,
    /// ε.
    pub eps: f64,
    /// What a batch counts in the running statistics.
    pub momentum: f64,
    /// γ and β, if they are learnt.
    pub affine: Option<[Tensor; 2]>,
    /// Running mean and variance, if they are kept.
    pub running: Option<[Tensor; 2]>,
}

impl Stage {
    /// Elements of the stage's activation buffer for `rows` rows: Y, and behind it at
    /// [`kept_offset`](Self::kept_offset) what else the derivative needs.
    #[must_use]
    pub fn activation_len(&self, rows: usize) -> usize {
        if self.keeps_apart() {
            self.kept_offset(rows) + rows * self.out_features
        } else {
            rows * self.out_features
        }
    }

    /// First element of what is kept behind Y in an activation buffer for `rows` rows, aligned so
    /// that it can be bound, be it f32 or f16.
    #[must_use]
    pub fn kept_offset(&self, rows: usize) -> usize {
        (rows * self.out_features).next_multiple_of(2 * TENSOR_ALIGN)
    }

    /// What the derivative of this stage's activation is computed from: a range of its activation
    /// buffer.
    #[must_use]
    pub fn kept(&self, rows: usize) -> Range<usize> {
        let start = if self.keeps_apart() { self.kept_offset(rows) } else { 0 };
        start..start + rows * self.out_features
    }

    /// Whether something is kept behind Y: Z where the derivative is computed from it, else a(Z)
    /// where dropout leaves no trace of it in Y.
    #[must_use]
    pub fn keeps_apart(&self) -> bool {
        let dropped = self.dropout.is_some() && self.activation != Activation::Identity;
        self.activation.keeps_preactivation() || dropped
    }

    /// Whether Y differs from Z.
    #[must_use]
    pub fn has_epilogue(&self) -> bool {
        self.activation != Activation::Identity || self.dropout.is_some()
    }

    /// The tensors, trained ones first.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let (trained, running): (&[Tensor], &[Tensor]) = match &self.op {
            StageOp::Linear { tensors } => (tensors, &[]),
            StageOp::Norm(Norm { affine, running, .. }) => (
                affine.as_ref().map_or(&[], |tensors| tensors.as_slice()),
                running.as_ref().map_or(&[], |tensors| tensors.as_slice()),
            ),
            StageOp::Encoding(_) | StageOp::Pass => (&[], &[]),
        };
        trained.iter().chain(running)
    }

    pub(super) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        let (trained, running): (&mut [Tensor], &mut [Tensor]) = match &mut self.op {
            StageOp::Linear { tensors } => (tensors, &mut []),
            StageOp::Norm(Norm { affine, running, .. }) => (
                affine.as_mut().map_or(&mut [], |tensors| tensors.as_mut_slice()),
                running.as_mut().map_or(&mut [], |tensors| tensors.as_mut_slice()),
            ),
            StageOp::Encoding(_) | StageOp::Pass => (&mut [], &mut []),
        };
        trained.iter_mut().chain(running)
    }

    /// Groups with a mean and variance of their own in a batch of `rows` rows; 0 without a norm.
    pub(crate) const fn norm_groups(&self, rows: usize) -> usize {
        match &self.op {
            StageOp::Norm(norm) => norm.groups(rows, self.out_features),
            _ => 0,
        }
    }

    /// Multiply-adds of the forward product for one row.
    pub(super) const fn products(&self) -> u64 {
        match self.op {
            StageOp::Linear { .. } => self.in_features as u64 * self.out_features as u64,
            _ => 0,
        }
    }
}

impl Norm {
    /// Groups of elements with a mean and variance of their own, of a batch of `rows` × `columns`.
    pub(crate) const fn groups(&self, rows: usize, columns: usize) -> usize {
        if self.per_row { rows } else { columns }
    }
}
