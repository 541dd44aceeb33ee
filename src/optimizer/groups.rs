//! Which parameters have a learning rate and weight decay of their own, and how gradients are
//! clipped.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::{Tensor, TensorKind};

/// Groups of one training, the default one included: what a step's uniform has room for.
pub(crate) const MAX_GROUPS: usize = 8;

/// Parameters with a learning rate and weight decay of their own, as the `param_groups` of PyTorch's
/// optimizers. A tensor belongs to the first group that names it, else to the optimizer's defaults.
///
/// ```
/// use wgrad::{Loss, Optimizer, ParameterGroup, TrainOptions};
/// let mut options = TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adamw(1e-3));
/// options.groups = vec![ParameterGroup::without_decay()];
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// The parameters: all that any of these name.
    pub parameters: Vec<Parameters>,
    /// Learning rate before the schedule scales it, not negative; `None` for the optimizer's. 0 freezes
    /// them.
    #[serde(default)]
    pub lr: Option<f64>,
    /// Weight decay, not negative; `None` for the optimizer's.
    #[serde(default)]
    pub weight_decay: Option<f64>,
}

/// Parameters of a net, by what or where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Parameters {
    /// The biases of all linear layers.
    Biases,
    /// γ and β of all norm layers.
    Norms,
    /// All of the layer at this position of the [`Mlp`](crate::Mlp).
    Layer(usize),
    /// The tensor of this name, for example `0.weight`.
    Tensor(String),
}

/// A bound on the gradient of a step, applied before weight decay is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Clip {
    /// g ← g·min(1, c/(‖g‖ + 1e-6)), ‖g‖ the Euclidean norm over all parameters
    /// (`clip_grad_norm_`); c positive.
    Norm(f64),
    /// Every element of g cut to ±c (`clip_grad_value_`); c positive.
    Value(f64),
}

/// What a group comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GroupRates {
    pub lr: f64,
    pub weight_decay: f64,
}

impl ParameterGroup {
    /// Biases and norm parameters without weight decay, as is usual: it would only pull γ to 0 and
    /// doesn't keep biases from overfitting.
    #[must_use]
    pub fn without_decay() -> Self {
        let parameters = vec![Parameters::Biases, Parameters::Norms];
        Self { parameters, lr: None, weight_decay: Some(0.0) }
    }

    fn names(&self, tensor: &Tensor) -> bool {
        self.parameters.iter().any(|parameters| match parameters {
            Parameters::Biases => tensor.kind == TensorKind::Bias,
            Parameters::Norms => {
                matches!(tensor.kind, TensorKind::NormWeight | TensorKind::NormBias)
            }
            Parameters::Layer(layer) => tensor.layer == *layer,
            Parameters::Tensor(name) => tensor.name == *name,
        })
    }

    pub(crate) fn validate(groups: &[Self]) -> Result<()> {
        if groups.len() >= MAX_GROUPS {
            return Err(Error::Option {
                name: "groups",
                value: format!("{} parameter groups", groups.len()),
                expected: "at most 7",
            });
        }
        let checked = |name, value: Option<f64>| match value {
            Some(x) if !(x >= 0.0 && x.is_finite()) => Err(Error::Option {
                name,
                value: x.to_string(),
                expected: "finite and not negative",
            }),
            _ => Ok(()),
        };
        groups.iter().try_for_each(|group| {
            checked("lr of a parameter group", group.lr)?;
            checked("weight_decay of a parameter group", group.weight_decay)
        })
    }
}

/// The group of a tensor: 0 for the optimizer's defaults, else 1 plus its place in `groups`.
pub(crate) fn group_of(groups: &[ParameterGroup], tensor: &Tensor) -> usize {
    groups.iter().position(|group| group.names(tensor)).map_or(0, |place| place + 1)
}

impl Clip {
    /// The bound c.
    pub(crate) const fn bound(self) -> f64 {
        match self {
            Self::Norm(bound) | Self::Value(bound) => bound,
        }
    }

    pub(crate) fn validate(self) -> Result<()> {
        let (name, bound) = match self {
            Self::Norm(bound) => ("clip norm", bound),
            Self::Value(bound) => ("clip value", bound),
        };
        if bound > 0.0 && bound.is_finite() {
            return Ok(());
        }
        Err(Error::Option { name, value: bound.to_string(), expected: "finite and positive" })
    }
}
