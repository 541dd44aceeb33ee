//! How a gradient becomes a step of the parameters.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::real::Real;

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
    /// m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; w ← w − η m̂/(√v̂ + ε) with
    /// m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) (Kingma and Ba 2015; `optim.Adam`).
    Adam {
        /// β₁ in 0.0..1.0; PyTorch: 0.9.
        beta1: f64,
        /// β₂ in 0.0..1.0; PyTorch: 0.999.
        beta2: f64,
        /// ε, positive; PyTorch: 1e-8.
        eps: f64,
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
    /// Adam with PyTorch's β₁, β₂ and ε.
    pub const ADAM: Self = Self::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
}

impl Optimizer {
    /// Plain SGD. Momentum, weight decay and the rest are 0 as in PyTorch.
    #[must_use]
    pub fn sgd(lr: f64) -> Self {
        let rule = Rule::Sgd { momentum: 0.0, nesterov: false };
        Self { rule, lr, weight_decay: 0.0, decay: Decay::L2 }
    }

    /// SGD with momentum μ, with or without Nesterov's look-ahead.
    #[must_use]
    pub fn momentum(lr: f64, momentum: f64, nesterov: bool) -> Self {
        Self { rule: Rule::Sgd { momentum, nesterov }, ..Self::sgd(lr) }
    }

    /// Adam without weight decay.
    #[must_use]
    pub fn adam(lr: f64) -> Self {
        Self { rule: Rule::ADAM, ..Self::sgd(lr) }
    }

    /// Adam with decoupled weight decay of 0.01.
    #[must_use]
    pub fn adamw(lr: f64) -> Self {
        Self { weight_decay: 0.01, decay: Decay::Decoupled, ..Self::adam(lr) }
    }

    /// Sets the weight decay λ and where it enters.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64, decay: Decay) -> Self {
        Self { weight_decay, decay, ..self }
    }

    /// How many numbers the rule remembers per parameter.
    #[must_use]
    pub fn moments(&self) -> usize {
        match self.rule {
            Rule::Sgd { momentum, .. } => usize::from(momentum > 0.0),
            Rule::Adam { .. } => 2,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Option`] names the first value outside its range.
    pub(crate) fn validate(&self) -> Result<()> {
        let unit = |x: f64| (0.0..1.0).contains(&x);
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let decay_fits = self.weight_decay >= 0.0 && self.weight_decay.is_finite();
        let mut ranges = vec![
            ("lr", self.lr, positive(self.lr), "finite and positive"),
            ("weight_decay", self.weight_decay, decay_fits, "finite and not negative"),
        ];
        match self.rule {
            Rule::Sgd { momentum, nesterov } => {
                ranges.push(("momentum", momentum, unit(momentum), "in 0..1"));
                let fits = !nesterov || momentum > 0.0;
                ranges.push(("momentum", momentum, fits, "positive with nesterov"));
            }
            Rule::Adam { beta1, beta2, eps } => ranges.extend([
                ("beta1", beta1, unit(beta1), "in 0..1"),
                ("beta2", beta2, unit(beta2), "in 0..1"),
                ("eps", eps, positive(eps), "finite and positive"),
            ]),
        }
        match ranges.into_iter().find(|&(_, _, fits, _)| !fits) {
            Some((name, value, _, expected)) => {
                Err(Error::Option { name, value: value.to_string(), expected })
            }
            None => Ok(()),
        }
    }

    /// The numbers that step `t` (counted from 1) needs at learning rate `lr`, bias corrections
    /// included: powers like β₂ᵗ are exact enough only in f64, so the host computes them.
    pub(crate) fn update(&self, t: u64, lr: f64) -> Update<f64> {
        let (l2, keep) = match self.decay {
            Decay::L2 => (self.weight_decay, 1.0),
            Decay::Decoupled => (0.0, 1.0 - lr * self.weight_decay),
        };
        match self.rule {
            Rule::Sgd { momentum, .. } => Update {
                step_size: lr,
                beta1: momentum,
                one_minus_beta1: 1.0 - momentum,
                beta2: 0.0,
                one_minus_beta2: 1.0,
                eps: 0.0,
                inv_root_correction2: 1.0,
                l2,
                keep,
            },
            Rule::Adam { beta1, beta2, eps } => Update {
                step_size: lr / one_minus_power(beta1, t),
                beta1,
                one_minus_beta1: 1.0 - beta1,
                beta2,
                one_minus_beta2: 1.0 - beta2,
                eps,
                inv_root_correction2: one_minus_power(beta2, t).sqrt().recip(),
                l2,
                keep,
            },
        }
    }

    /// The value of `RULE` in `shaders/optimizer.wgsl`.
    pub(crate) fn code(&self) -> u32 {
        match self.rule {
            Rule::Sgd { momentum: 0.0, .. } => 0,
            Rule::Sgd { nesterov: false, .. } => 1,
            Rule::Sgd { nesterov: true, .. } => 2,
            Rule::Adam { .. } => 3,
        }
    }
}

/// 1 − βᵗ.
#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2⁵²")]
fn one_minus_power(beta: f64, t: u64) -> f64 {
    1.0 - beta.powf(t as f64)
}

/// The scalars of one optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Update<T> {
    /// η, for Adam already divided by 1 − β₁ᵗ.
    pub step_size: T,
    /// β₁, or SGD's momentum μ.
    pub beta1: T,
    /// 1 − β₁, rounded once; in f32, subtracting the rounded β₂ would cost five digits.
    pub one_minus_beta1: T,
    pub beta2: T,
    pub one_minus_beta2: T,
    pub eps: T,
    /// 1/√(1 − β₂ᵗ).
    pub inv_root_correction2: T,
    /// λ where decay is part of the gradient, else 0.
    pub l2: T,
    /// 1 − ηλ where decay is decoupled, else 1.
    pub keep: T,
}

impl Update<f64> {
    /// The same numbers, rounded to `T`.
    pub(crate) fn cast<T: Real>(&self) -> Update<T> {
        Update {
            step_size: T::from_f64(self.step_size),
            beta1: T::from_f64(self.beta1),
            one_minus_beta1: T::from_f64(self.one_minus_beta1),
            beta2: T::from_f64(self.beta2),
            one_minus_beta2: T::from_f64(self.one_minus_beta2),
            eps: T::from_f64(self.eps),
            inv_root_correction2: T::from_f64(self.inv_root_correction2),
            l2: T::from_f64(self.l2),
            keep: T::from_f64(self.keep),
        }
    }
}
