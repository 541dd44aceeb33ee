//! The layers of which a net is made.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::init::Init;

/// One layer of an [`Mlp`](crate::Mlp).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// Y = X·Wᵀ + b.
    Linear(Linear),
    /// Y = a(Z), element by element.
    Activation(Activation),
    /// Each column brought to mean 0 and variance 1 over the batch.
    BatchNorm(BatchNorm),
    /// Each row brought to mean 0 and variance 1.
    LayerNorm(LayerNorm),
    /// Elements dropped at random while training.
    Dropout(Dropout),
    /// The net's inputs, each widened to several values. Only as the first layer.
    Encoding(Encoding),
}

/// A fully connected layer Y = X·Wᵀ + b with W (out × in, row-major) and b (out): `nn.Linear`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Linear {
    /// Columns of the output, at least 1.
    pub out_features: usize,
    /// Where the weights start. Default: [`Init::Default`].
    #[serde(default)]
    pub weight_init: Init,
    /// Where the biases start. Default: [`Init::Default`].
    #[serde(default)]
    pub bias_init: Init,
}

impl Linear {
    /// A layer with this many outputs and PyTorch's initial values.
    #[must_use]
    pub fn new(out_features: usize) -> Self {
        Self { out_features, weight_init: Init::Default, bias_init: Init::Default }
    }

    /// Sets where the weights start.
    #[must_use]
    pub fn weight_init(self, weight_init: Init) -> Self {
        Self { weight_init, ..self }
    }

    /// Sets where the biases start.
    #[must_use]
    pub fn bias_init(self, bias_init: Init) -> Self {
        Self { bias_init, ..self }
    }
}

/// Batch normalisation of each column: `nn.BatchNorm1d` (Ioffe and Szegedy 2015).
///
/// y = γ·(x − μ)/√(σ² + ε) + β. In training μ and σ² (biased) are those of the batch, which needs at
/// least two rows, and the running statistics move towards them:
/// r ← (1 − momentum)·r + momentum·statistic, with the unbiased variance. Otherwise μ and σ² are the
/// running ones. γ starts at 1, β and the running mean at 0, the running variance at 1. As in PyTorch these
/// initial values keep a share of (1 − momentum)ᵗ after t batches: a run of a few batches needs a larger momentum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BatchNorm {
    /// ε, at least `f32::MIN_POSITIVE`. Default: 1e-5.
    pub eps: f64,
    /// What a batch counts in the running statistics, in 0.0..=1.0. Default: 0.1.
    pub momentum: f64,
    /// Whether γ and β are learnt; else they are 1 and 0. Default: yes.
    pub affine: bool,
    /// Whether running statistics are kept; else batches are normalised by their own in evaluation
    /// and prediction too, so that a row's output depends on its neighbours. Default: yes.
    pub track_running_stats: bool,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1, affine: true, track_running_stats: true }
    }
}

impl BatchNorm {
    /// Sets ε.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets what a batch counts in the running statistics.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets whether γ and β are learnt.
    #[must_use]
    pub fn affine(self, affine: bool) -> Self {
        Self { affine, ..self }
    }

    /// Sets whether running statistics are kept.
    #[must_use]
    pub fn track_running_stats(self, track_running_stats: bool) -> Self {
        Self { track_running_stats, ..self }
    }
}

/// Layer normalisation of each row: `nn.LayerNorm` over the columns (Ba, Kiros and Hinton 2016).
///
/// y = γ·(x − μ)/√(σ² + ε) + β with μ and σ² (biased) of the row. γ starts at 1, β at 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LayerNorm {
    /// ε, at least `f32::MIN_POSITIVE`. Default: 1e-5.
    pub eps: f64,
    /// Whether γ and β are learnt (`elementwise_affine`); else they are 1 and 0. Default: yes.
    pub affine: bool,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self { eps: 1e-5, affine: true }
    }
}

impl LayerNorm {
    /// Sets ε.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets whether γ and β are learnt.
    #[must_use]
    pub fn affine(self, affine: bool) -> Self {
        Self { affine, ..self }
    }
}

/// Dropout: in training each element becomes 0 with probability p, the others are divided by 1 − p;
/// otherwise nothing changes (`nn.Dropout`; Srivastava et al. 2014, inverted).
///
/// The mask is a function of the seed, the step, the layer and the element, so it is stored nowhere
/// and the same on every device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dropout {
    /// p, in 0.0..1.0.
    pub rate: f64,
}

impl Dropout {
    /// Dropout of a share of `rate` of the elements.
    #[must_use]
    pub const fn new(rate: f64) -> Self {
        Self { rate }
    }

    /// An element is dropped if its 32 random bits are below this: p·2³².
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "p < 1")]
    pub(crate) fn drop_below(self) -> u32 {
        (self.rate * 2_f64.powi(32)) as u32
    }

    /// 1/(1 − p), the factor of the elements that stay.
    pub(crate) fn keep_scale(self) -> f64 {
        (1.0 - self.rate).recip()
    }
}

impl Layer {
    /// Checks the parameters of the layer at position `index`.
    pub(crate) fn validate(&self, index: usize) -> Result<()> {
        let check = |fits: bool, problem: String| {
            if fits { Ok(()) } else { Err(Error::Model { layer: index, problem }) }
        };
        let eps_fits = |eps: f64| {
            // In f32 less is 0, and a group without spread 0/0.
            let fits = eps >= f64::from(f32::MIN_POSITIVE) && eps.is_finite();
            check(fits, format!("eps is {eps}, but must be at least 1.2e-38 and finite"))
        };
        match *self {
            Self::Linear(linear) => {
                check(linear.out_features > 0, "out_features is 0, but must be at least 1".into())?;
                linear.weight_init.validate(index)?;
                linear.bias_init.validate(index)
            }
            Self::Activation(activation) => activation.validate(index),
            Self::BatchNorm(norm) => {
                eps_fits(norm.eps)?;
                check(
                    (0.0..=1.0).contains(&norm.momentum),
                    format!("momentum is {}, but must be in 0..=1", norm.momentum),
                )
            }
            Self::LayerNorm(norm) => eps_fits(norm.eps),
            Self::Dropout(Dropout { rate }) => check(
                (0.0..1.0).contains(&rate),
                format!("dropout is {rate}, but must be at least 0 and below 1"),
            ),
            Self::Encoding(encoding) => {
                encoding.validate(index)?;
                check(
                    index == 0,
                    format!(
                        "{encoding} encodes the net's inputs and must be its first layer (call \
                         Mlp::encoding right behind Mlp::new)"
                    ),
                )
            }
        }
    }
}

impl std::fmt::Display for Layer {
    /// Short, as in the description of a net: `128`, `relu`, `bn`, `ln`, `drop0.5`, `freq8`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Linear(linear) => write!(f, "{}", linear.out_features),
            Self::Activation(activation) => write!(f, "{activation}"),
            Self::BatchNorm(_) => f.write_str("bn"),
            Self::LayerNorm(_) => f.write_str("ln"),
            Self::Dropout(dropout) => write!(f, "drop{}", dropout.rate),
            Self::Encoding(encoding) => write!(f, "{encoding}"),
        }
    }
}
