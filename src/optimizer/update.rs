//! The scalars of a step. Powers like β₂ᵗ are exact enough only in f64, so the host computes them.

use super::{Decay, GroupRates, MAX_GROUPS, Optimizer, Rule};
use crate::real::Real;

/// The scalars of one optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Update<T> {
    /// β₁, or the momentum μ.
    pub beta1: T,
    /// 1 − β₁, rounded once; in f32, subtracting the rounded β₂ would cost five digits.
    pub one_minus_beta1: T,
    /// β₂, or RMSProp's α.
    pub beta2: T,
    pub one_minus_beta2: T,
    pub eps: T,
    /// 1/√(1 − β₂ᵗ).
    pub inv_root_correction2: T,
    /// NAdam: what g counts beside m.
    pub mix: T,
    /// Largest norm or value of the gradient.
    pub clip: T,
    /// What this step's weights count in their average.
    pub average_share: T,
    pub groups: [GroupUpdate<T>; MAX_GROUPS],
}

/// The scalars that differ by parameter group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct GroupUpdate<T> {
    /// η, with the bias correction of m where there is one.
    pub step_size: T,
    /// λ where decay is part of the gradient, else 0.
    pub l2: T,
    /// 1 − ηλ where decay is decoupled, else 1.
    pub keep: T,
    /// The bias correction of m in `step_size`.
    pub correction: T,
}

impl Update<f64> {
    /// The same numbers, rounded to `T`.
    pub(crate) fn cast<T: Real>(&self) -> Update<T> {
        let round = T::from_f64;
        Update {
            beta1: round(self.beta1),
            one_minus_beta1: round(self.one_minus_beta1),
            beta2: round(self.beta2),
            one_minus_beta2: round(self.one_minus_beta2),
            eps: round(self.eps),
            inv_root_correction2: round(self.inv_root_correction2),
            mix: round(self.mix),
            clip: round(self.clip),
            average_share: round(self.average_share),
            groups: self.groups.map(|group| GroupUpdate {
                step_size: round(group.step_size),
                l2: round(group.l2),
                keep: round(group.keep),
                correction: round(group.correction),
            }),
        }
    }
}

/// Makes the scalars of one step after another.
#[derive(Clone, Debug)]
pub(crate) struct Updates {
    optimizer: Optimizer,
    groups: Vec<GroupRates>,
    /// Bound of the clipping, 0 without.
    clip: f64,
    /// Decay of the weights' average, 0 without.
    decay: f64,
    /// NAdam's Πᵗμ at step t, the last one asked for.
    product: (u64, f64),
}

impl Updates {
    pub(crate) fn new(
        optimizer: Optimizer,
        groups: Vec<GroupRates>,
        clip: f64,
        decay: f64,
    ) -> Self {
        Self { optimizer, groups, clip, decay, product: (0, 1.0) }
    }

    /// The scalars of step `t`, counted from 1, whose learning rates the schedule scales by
    /// `factor`. Quick if steps are asked for in order.
    pub(crate) fn at(&mut self, t: u64, factor: f64) -> Update<f64> {
        let mut update = Update {
            one_minus_beta1: 1.0,
            one_minus_beta2: 1.0,
            inv_root_correction2: 1.0,
            clip: self.clip,
            average_share: average_share(self.decay, t),
            ..Update::default()
        };
        // What the step size is η times of.
        let mut correction = 1.0;
        match self.optimizer.rule {
            Rule::Sgd { momentum, .. } => update.beta1 = momentum,
            Rule::Adagrad { eps } => update.eps = eps,
            Rule::Rmsprop { alpha, eps, momentum, .. } => {
                update.beta1 = momentum;
                update.set_beta2(alpha);
                update.eps = eps;
            }
            Rule::Adam { beta1, beta2, eps, .. } => {
                update.set_beta1(beta1);
                update.set_beta2(beta2);
                update.eps = eps;
                update.inv_root_correction2 = one_minus_power(beta2, t).sqrt().recip();
                correction = one_minus_power(beta1, t).recip();
            }
            Rule::Nadam { beta1, beta2, eps, momentum_decay } => {
                update.set_beta1(beta1);
                update.set_beta2(beta2);
                update.eps = eps;
                update.inv_root_correction2 = one_minus_power(beta2, t).sqrt().recip();
                let mu = |t| nadam_momentum(beta1, momentum_decay, t);
                let product = self.momentum_product(t, mu);
                let of_moment = mu(t + 1) / (1.0 - product * mu(t + 1));
                let of_gradient = (1.0 - mu(t)) / (1.0 - product);
                // Where β₁ is as good as 0 the moment is the gradient.
                if of_moment < f64::from(f32::EPSILON) * of_gradient {
                    correction = of_gradient;
                } else {
                    correction = of_moment;
                    update.mix = of_gradient / of_moment;
                }
            }
            Rule::Lion { beta1, beta2 } => {
                update.set_beta1(beta1);
                update.set_beta2(beta2);
            }
        }
        for (group, rates) in update.groups.iter_mut().zip(&self.groups) {
            let lr = rates.lr * factor;
            let (l2, keep) = match self.optimizer.decay {
                Decay::L2 => (rates.weight_decay, 1.0),
                Decay::Decoupled => (0.0, 1.0 - lr * rates.weight_decay),
            };
            *group = GroupUpdate { step_size: lr * correction, l2, keep, correction };
        }
        update
    }

    /// The scalars of step `t` where the moments became 0 behind `first` steps: bias corrections count from
    /// there, the average goes on.
    pub(crate) fn since(&mut self, first: u64, t: u64, factor: f64) -> Update<f64> {
        Update { average_share: average_share(self.decay, t), ..self.at(t - first, factor) }
    }

    /// Πᵗ μ over the steps from 1 to t.
    fn momentum_product(&mut self, t: u64, mu: impl Fn(u64) -> f64) -> f64 {
        if t < self.product.0 {
            self.product = (0, 1.0);
        }
        // Below that it no longer counts beside 1.
        while self.product.0 < t && self.product.1 > 1e-20 {
            let next = self.product.0 + 1;
            self.product = (next, self.product.1 * mu(next));
        }
        self.product.1
    }
}

impl Update<f64> {
    fn set_beta1(&mut self, beta1: f64) {
        (self.beta1, self.one_minus_beta1) = (beta1, 1.0 - beta1);
    }

    fn set_beta2(&mut self, beta2: f64) {
        (self.beta2, self.one_minus_beta2) = (beta2, 1.0 - beta2);
    }
}

/// 1 − βᵗ.
#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2⁵²")]
fn one_minus_power(beta: f64, t: u64) -> f64 {
    1.0 - beta.powf(t as f64)
}

/// What the weights after step `t` count in their average, (1 − d)/(1 − dᵗ). The average is then the mean of
/// the weights after each step, weighted by dᵃ for an age of a steps: the usual d·a + (1 − d)·w from a = 0 on,
/// divided by 1 − dᵗ (Kingma and Ba 2015, section 3). At step 1 that is 1, so nothing stays of the initial
/// weights.
fn average_share(decay: f64, t: u64) -> f64 {
    (1.0 - decay) / one_minus_power(decay, t)
}

/// μₜ of NAdam.
#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2⁵²")]
fn nadam_momentum(beta1: f64, decay: f64, t: u64) -> f64 {
    beta1 * (1.0 - 0.5 * 0.96_f64.powf(t as f64 * decay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_is_the_mean_weighted_by_age() {
        let rates = vec![GroupRates { lr: 0.1, weight_decay: 0.0 }];
        for decay in [0.0, 0.3, 0.9, 0.999, 0.9999] {
            let mut updates = Updates::new(Optimizer::sgd(0.1), rates.clone(), 0.0, decay);
            // What the weights after each step so far count.
            let mut shares: Vec<f64> = Vec::new();
            for t in 1..=700_i32 {
                let share = updates.at(t.unsigned_abs().into(), 1.0).average_share;
                shares.iter_mut().for_each(|earlier| *earlier *= 1.0 - share);
                shares.push(share);
                let ages = (0..t).rev();
                let sum: f64 = ages.clone().map(|age| decay.powi(age)).sum();
                for (got, age) in shares.iter().zip(ages) {
                    let want = decay.powi(age) / sum;
                    // 1 − dᵗ loses what it is smaller than 1; t products follow.
                    let bound = f64::EPSILON * (f64::from(4 * t) + 2.0 / (1.0 - decay));
                    assert!(
                        (got - want).abs() <= bound * want + f64::MIN_POSITIVE,
                        "{decay}, {t}: {got:e}, {want:e}"
                    );
                }
            }
            assert_eq!(updates.at(1, 1.0).average_share, 1.0, "{decay}");
        }
    }

    #[test]
    fn steps_may_be_asked_for_in_any_order() {
        let make = || {
            let rates = GroupRates { lr: 0.1, weight_decay: 0.0 };
            Updates::new(Optimizer::new(Rule::NADAM, 0.1), vec![rates], 0.0, 0.0)
        };
        let mut forward = make();
        let in_order: Vec<_> = (1..=20).map(|t| forward.at(t, 1.0)).collect();
        for t in [20, 3, 7, 1, 20] {
            assert_eq!(forward.at(t, 1.0), in_order[usize::try_from(t).unwrap() - 1]);
            assert_eq!(make().at(t, 1.0), in_order[usize::try_from(t).unwrap() - 1]);
        }
    }

    #[test]
    fn corrections_count_from_where_the_moments_are_0() {
        let rates = GroupRates { lr: 0.1, weight_decay: 0.0 };
        let mut updates = Updates::new(Optimizer::adam(0.1), vec![rates], 0.0, 0.9);
        let begun = updates.at(1, 1.0);
        let again = updates.since(500, 501, 1.0);
        assert_eq!(again.groups, begun.groups);
        assert_eq!(again.inv_root_correction2, begun.inv_root_correction2);
        assert_eq!(
            (begun.average_share, again.average_share),
            (1.0, updates.at(501, 1.0).average_share)
        );
        assert_eq!(updates.since(0, 501, 1.0), updates.at(501, 1.0));
    }

    #[test]
    fn nadam_without_momentum_follows_the_gradient() {
        for beta1 in [0.0, 1e-300, 1e-30] {
            let rule = Rule::Nadam { beta1, beta2: 0.999, eps: 1e-8, momentum_decay: 4e-3 };
            let rates = GroupRates { lr: 0.1, weight_decay: 0.0 };
            let mut updates = Updates::new(Optimizer::new(rule, 0.1), vec![rates], 0.0, 0.0);
            for t in [1, 2, 100] {
                let update = updates.at(t, 1.0);
                assert_eq!((update.mix, update.groups[0].step_size), (0.0, 0.1), "step {t}");
            }
        }
    }

    #[test]
    fn far_steps_are_quick_and_finite() {
        let rates = GroupRates { lr: 0.1, weight_decay: 0.0 };
        let mut updates = Updates::new(Optimizer::new(Rule::NADAM, 0.1), vec![rates], 0.0, 0.0);
        let update = updates.at(u64::from(u32::MAX), 1.0);
        assert!(update.mix.is_finite() && update.groups[0].step_size.is_finite(), "{update:?}");
    }
}
