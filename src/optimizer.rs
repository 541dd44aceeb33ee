//! How a gradient becomes a step of the parameters.

mod groups;
mod update;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use groups::{Clip, ParameterGroup, Parameters};
pub(crate) use groups::{GroupRates, MAX_GROUPS, group_of};
pub(crate) use update::{GroupUpdate, Update, Updates};

/// An update rule with its weight decay. Defaults are PyTorch's.
///
/// g is the gradient of the batch's loss, w a parameter, η the learning rate of the step, λ
/// `weight_decay`, t the step counted from 1.
///
/// ```
/// use wgrad::Optimizer;
/// let adamw = Optimizer::adamw(1e-3);
/// assert_eq!(adamw.weight_decay, 0.01);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Optimizer {
    /// The update rule.
    pub rule: Rule,
    /// Learning rate η before the schedule scales it; positive.
    pub lr: f64,
    /// Weight decay λ; not negative.
    pub weight_decay: f64,
    /// Whether λ enters the gradient or the weights.
    pub decay: Decay,
}

/// The formula that turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// m ← μ m + g; w ← w − η m, or with Nesterov w ← w − η (g + μ m) (`optim.SGD`).
    Sgd {
        /// μ in 0.0..1.0; PyTorch: 0.
        momentum: f64,
        /// Look ahead along the momentum; needs momentum > 0.
        nesterov: bool,
    },
    /// v ← v + g²; w ← w − η g/(√v + ε) (Duchi, Hazan and Singer 2011; `optim.Adagrad`).
    Adagrad {
        /// ε, positive; PyTorch: 1e-10.
        eps: f64,
    },
    /// v ← α v + (1−α)g²; w ← w − η g/(√v + ε) (Hinton 2012; `optim.RMSprop`).
    ///
    /// Centred, the mean ḡ ← α ḡ + (1−α)g is taken off: √(v − ḡ²) in place of √v, of 0 where rounding
    /// makes that negative (PyTorch's is NaN there). With momentum μ > 0
    /// the step goes through m ← μ m + g/(√v + ε), w ← w − η m.
    Rmsprop {
        /// α in 0.0..1.0; PyTorch: 0.99.
        alpha: f64,
        /// ε, positive; PyTorch: 1e-8.
        eps: f64,
        /// μ in 0.0..1.0; PyTorch: 0.
        momentum: f64,
        /// Estimate the variance in place of the mean square; PyTorch: no.
        centred: bool,
    },
    /// m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; w ← w − η m̂/(√v̂ + ε) with
    /// m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) (Kingma and Ba 2015; `optim.Adam`).
    Adam {
        /// β₁ in 0.0..1.0; PyTorch: 0.9.
        beta1: f64,
        /// β₂ in 0.0..1.0; PyTorch: 0.999.
        beta2: f64,
        /// ε, positive; PyTorch: 1e-8.
        eps: f64,
        /// AMSGrad: the largest v so far in place of v (Reddi, Kale and Kumar 2018); PyTorch: no.
        #[serde(default)]
        amsgrad: bool,
    },
    /// Adam with Nesterov's look-ahead (Dozat 2016; `optim.NAdam`):
    /// w ← w − η (μₜ₊₁ m/(1−Πᵗ⁺¹μ) + (1−μₜ) g/(1−Πᵗμ))/(√v̂ + ε), μₜ = β₁(1 − 0.96^(tψ)/2).
    Nadam {
        /// β₁ in 0.0..1.0; PyTorch: 0.9.
        beta1: f64,
        /// β₂ in 0.0..1.0; PyTorch: 0.999.
        beta2: f64,
        /// ε, positive; PyTorch: 1e-8.
        eps: f64,
        /// ψ, not negative; PyTorch: 0.004.
        momentum_decay: f64,
    },
    /// w ← w − η sgn(β₁m + (1−β₁)g); m ← β₂m + (1−β₂)g (Chen et al. 2023). PyTorch has none; its
    /// authors advise a learning rate three to ten times smaller than Adam's.
    Lion {
        /// β₁ in 0.0..1.0; the paper's: 0.9.
        beta1: f64,
        /// β₂ in 0.0..1.0; the paper's: 0.99.
        beta2: f64,
    },
}

/// Where weight decay enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// g ← g + λ w: the gradient of a penalty λ/2·|w|² in the loss.
    #[default]
    L2,
    /// w ← w (1 − ηλ) before the step (Loshchilov and Hutter 2019).
    Decoupled,
}

impl Rule {
    /// AdaGrad with PyTorch's ε.
    pub const ADAGRAD: Self = Self::Adagrad { eps: 1e-10 };
    /// RMSProp with PyTorch's α and ε, neither centred nor with momentum.
    pub const RMSPROP: Self =
        Self::Rmsprop { alpha: 0.99, eps: 1e-8, momentum: 0.0, centred: false };
    /// Adam with PyTorch's β₁, β₂ and ε.
    pub const ADAM: Self = Self::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, amsgrad: false };
    /// AMSGrad with PyTorch's β₁, β₂ and ε.
    pub const AMSGRAD: Self = Self::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, amsgrad: true };
    /// NAdam with PyTorch's β₁, β₂, ε and ψ.
    pub const NADAM: Self =
        Self::Nadam { beta1: 0.9, beta2: 0.999, eps: 1e-8, momentum_decay: 0.004 };
    /// Lion with the paper's β₁ and β₂.
    pub const LION: Self = Self::Lion { beta1: 0.9, beta2: 0.99 };
}

impl Optimizer {
    /// A rule without weight decay.
    #[must_use]
    pub fn new(rule: Rule, lr: f64) -> Self {
        Self { rule, lr, weight_decay: 0.0, decay: Decay::L2 }
    }

    /// Plain SGD. Momentum, weight decay and the rest are 0 as in PyTorch.
    #[must_use]
    pub fn sgd(lr: f64) -> Self {
        Self::new(Rule::Sgd { momentum: 0.0, nesterov: false }, lr)
    }

    /// SGD with momentum μ, with or without Nesterov's look-ahead.
    #[must_use]
    pub fn momentum(lr: f64, momentum: f64, nesterov: bool) -> Self {
        Self::new(Rule::Sgd { momentum, nesterov }, lr)
    }

    /// Adam without weight decay.
    #[must_use]
    pub fn adam(lr: f64) -> Self {
        Self::new(Rule::ADAM, lr)
    }

    /// Adam with decoupled weight decay of 0.01.
    #[must_use]
    pub fn adamw(lr: f64) -> Self {
        Self::adam(lr).weight_decay(0.01, Decay::Decoupled)
    }

    /// Sets the weight decay λ and where it enters.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64, decay: Decay) -> Self {
        Self { weight_decay, decay, ..self }
    }

    /// How many numbers the rule remembers per parameter: 0 to 3.
    #[must_use]
    pub fn moments(&self) -> usize {
        match self.rule {
            Rule::Sgd { momentum, .. } => usize::from(momentum > 0.0),
            Rule::Adagrad { .. } | Rule::Lion { .. } => 1,
            Rule::Rmsprop { momentum, centred, .. } => {
                1 + usize::from(centred) + usize::from(momentum > 0.0)
            }
            Rule::Adam { amsgrad, .. } => 2 + usize::from(amsgrad),
            Rule::Nadam { .. } => 2,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Option`] names the first value outside its range.
    pub(crate) fn validate(&self) -> Result<()> {
        let unit = |name, x: f64| (name, x, (0.0..1.0).contains(&x), "in 0..1");
        let positive = |name, x: f64| (name, x, x > 0.0 && x.is_finite(), "finite and positive");
        // In f32 less is 0, and the quotient of a parameter without a gradient 0/0.
        let normal = |name, x: f64| {
            let fits = x >= f64::from(f32::MIN_POSITIVE) && x.is_finite();
            (name, x, fits, "finite and at least 1.2e-38")
        };
        let not_negative =
            |name, x: f64| (name, x, x >= 0.0 && x.is_finite(), "finite and not negative");
        let mut ranges =
            vec![positive("lr", self.lr), not_negative("weight_decay", self.weight_decay)];
        match self.rule {
            Rule::Sgd { momentum, nesterov } => {
                ranges.push(unit("momentum", momentum));
                let fits = !nesterov || momentum > 0.0;
                ranges.push(("momentum", momentum, fits, "positive with nesterov"));
            }
            Rule::Adagrad { eps } => ranges.push(normal("eps", eps)),
            Rule::Rmsprop { alpha, eps, momentum, .. } => {
                ranges.extend([unit("alpha", alpha), normal("eps", eps)]);
                ranges.push(unit("momentum", momentum));
            }
            Rule::Adam { beta1, beta2, eps, .. } => {
                ranges.extend([unit("beta1", beta1), unit("beta2", beta2), normal("eps", eps)]);
            }
            Rule::Nadam { beta1, beta2, eps, momentum_decay } => {
                ranges.extend([unit("beta1", beta1), unit("beta2", beta2), normal("eps", eps)]);
                ranges.push(not_negative("momentum_decay", momentum_decay));
            }
            Rule::Lion { beta1, beta2 } => {
                ranges.extend([unit("beta1", beta1), unit("beta2", beta2)]);
            }
        }
        match ranges.into_iter().find(|&(_, _, fits, _)| !fits) {
            Some((name, value, _, expected)) => {
                Err(Error::Option { name, value: value.to_string(), expected })
            }
            None => Ok(()),
        }
    }
}
