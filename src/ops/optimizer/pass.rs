//! The rules of the optimizers, over the elements of a parameter group.

use pulp::{Simd, WithSimd};

use super::Cut;
use crate::optimizer::{GroupUpdate, Rule, Update};
use crate::real::Real;

/// One parameter group's part of the arenas.
pub(super) struct Pass<'a, T> {
    pub scalars: &'a GroupUpdate<T>,
    pub cut: Cut<T>,
    pub gradients: &'a [T],
    pub parameters: &'a mut [T],
    pub measured: &'a mut [[T; 2]],
}

impl<T: Real> Pass<'_, T> {
    /// Runs a formula over the elements: (g, moments) to ((d, denominator), moments).
    #[inline(always)]
    fn run<const N: usize>(
        self,
        moments: [&mut [T]; N],
        formula: impl Fn(T, [T; N]) -> ([T; 2], [T; N]),
    ) {
        // Two loops: what is rarely measured mustn't keep the other from being vectorised.
        if self.measured.is_empty() {
            self.each(moments, formula, |_, _, _| {});
        } else {
            self.each(moments, formula, |measured, i, d| measured[i] = d);
        }
    }

    #[inline(always)]
    fn each<const N: usize>(
        self,
        moments: [&mut [T]; N],
        formula: impl Fn(T, [T; N]) -> ([T; 2], [T; N]),
        measure: impl Fn(&mut [[T; 2]], usize, [T; 2]),
    ) {
        let Self { scalars, cut, gradients, parameters, measured } = self;
        let GroupUpdate { step_size, l2, keep, .. } = *scalars;
        let len = parameters.len();
        let gradients = &gradients[..len];
        let mut moments = moments.map(|moment| &mut moment[..len]);
        for i in 0..len {
            let g = cut.of(gradients[i]);
            let before = std::array::from_fn(|k| moments[k][i]);
            let (d, after) = formula(g + l2 * parameters[i], before);
            for (moment, after) in moments.iter_mut().zip(after) {
                moment[i] = after;
            }
            parameters[i] = keep * parameters[i] - step_size * d[0];
            measure(measured, i, d);
        }
    }
}

/// A rule's pass over a parameter group.
pub(super) struct GroupPass<'a, T> {
    pub rule: &'a Rule,
    pub update: &'a Update<T>,
    pub pass: Pass<'a, T>,
    pub moments: [&'a mut [T]; 3],
}

impl<T: Real> WithSimd for GroupPass<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rule, update, pass, moments } = self;
        group_pass(rule, update, pass, moments);
    }
}

#[inline(always)]
fn group_pass<T: Real>(
    rule: &Rule,
    update: &Update<T>,
    pass: Pass<'_, T>,
    [moment1, moment2, moment3]: [&mut [T]; 3],
) {
    let u = update;
    let mean1 = |m: T, g: T| u.beta1 * m + u.one_minus_beta1 * g;
    let mean2 = |m: T, g: T| u.beta2 * m + u.one_minus_beta2 * g;
    let square2 = |v: T, g: T| u.beta2 * v + u.one_minus_beta2 * g * g;
    let corrected = |v: T| v.sqrt() * u.inv_root_correction2 + u.eps;
    match *rule {
        Rule::Sgd { momentum: 0.0, .. } => pass.run(
            [],
            #[inline(always)]
            |g, []| ([g, T::ZERO], []),
        ),
        Rule::Sgd { nesterov, .. } => pass.run(
            [moment1],
            #[inline(always)]
            |g, [m]| {
                let m = u.beta1 * m + g;
                ([if nesterov { g + u.beta1 * m } else { m }, T::ZERO], [m])
            },
        ),
        Rule::Adagrad { .. } => pass.run(
            [moment1],
            #[inline(always)]
            |g, [v]| {
                let v = v + g * g;
                let denominator = v.sqrt() + u.eps;
                ([g / denominator, denominator], [v])
            },
        ),
        Rule::Rmsprop { momentum, centred, .. } => {
            let plain = |v: T| v.sqrt() + u.eps;
            // What rounding makes negative is 0; NaN stays.
            let variance = |v: T, mean: T| {
                let variance = v - mean * mean;
                if variance < T::ZERO { T::ZERO } else { variance }
            };
            match (centred, momentum > 0.0) {
                (false, false) => pass.run(
                    [moment1],
                    #[inline(always)]
                    |g, [v]| {
                        let v = square2(v, g);
                        ([g / plain(v), plain(v)], [v])
                    },
                ),
                (false, true) => pass.run(
                    [moment1, moment2],
                    #[inline(always)]
                    |g, [v, m]| {
                        let v = square2(v, g);
                        let m = u.beta1 * m + g / plain(v);
                        ([m, plain(v)], [v, m])
                    },
                ),
                (true, false) => pass.run(
                    [moment1, moment2],
                    #[inline(always)]
                    |g, [v, mean]| {
                        let (v, mean) = (square2(v, g), mean2(mean, g));
                        let denominator = plain(variance(v, mean));
                        ([g / denominator, denominator], [v, mean])
                    },
                ),
                (true, true) => pass.run(
                    [moment1, moment2, moment3],
                    #[inline(always)]
                    |g, [v, mean, m]| {
                        let (v, mean) = (square2(v, g), mean2(mean, g));
                        let denominator = plain(variance(v, mean));
                        let m = u.beta1 * m + g / denominator;
                        ([m, denominator], [v, mean, m])
                    },
                ),
            }
        }
        Rule::Adam { amsgrad: false, .. } => pass.run(
            [moment1, moment2],
            #[inline(always)]
            |g, [m, v]| {
                let (m, v) = (mean1(m, g), square2(v, g));
                ([m / corrected(v), corrected(v)], [m, v])
            },
        ),
        Rule::Adam { amsgrad: true, .. } => {
            pass.run(
                [moment1, moment2, moment3],
                #[inline(always)]
                |g, [m, v, largest]| {
                    let (m, v) = (mean1(m, g), square2(v, g));
                    let largest = if largest > v { largest } else { v };
                    ([m / corrected(largest), corrected(largest)], [m, v, largest])
                },
            );
        }
        Rule::Nadam { .. } => pass.run(
            [moment1, moment2],
            #[inline(always)]
            |g, [m, v]| {
                let (m, v) = (mean1(m, g), square2(v, g));
                ([(m + u.mix * g) / corrected(v), corrected(v)], [m, v])
            },
        ),
        Rule::Lion { .. } => {
            pass.run(
                [moment1],
                #[inline(always)]
                |g, [m]| ([sign(mean1(m, g)), T::ZERO], [mean2(m, g)]),
            );
        }
    }
}

/// −1, 0 or 1; NaN stays.
#[inline(always)]
fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x
    }
}
