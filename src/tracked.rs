//! A number that carries the bound of its own rounding error, so that a twin run on it derives the
//! tolerance of its kernel.

use std::cell::Cell;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use pulp::Simd;

use crate::real::Real;
use crate::simd::Lanes;

/// Unit roundoff of f32.
const U: f64 = f32::EPSILON as f64 / 2.0;

/// The exact value of a computation, as far as f64 tells, and how far the same computation in f32 may
/// be from it: on the CPU or in WGSL, whose division is within 2.5 ULP and whose square root is
/// 1/inverseSqrt, 2 ULP and a division.
///
/// Comparisons go by the exact values: fine where both branches agree at the border. Elsewhere
/// [`unambiguous`] tells whether all of them are certain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracked {
    /// What exact arithmetic gives.
    pub value: f64,
    /// The distance that f32 keeps from it.
    pub error: f64,
    /// Σ |x| of what was added up so far with `+=`; these sums may be taken in any order.
    mass: f64,
}

impl Tracked {
    /// A result with the errors of its operands and `ulps` half ULPs of its own.
    fn rounded(value: f64, inherited: f64, halves: f64) -> Self {
        // 0·∞ or ∞/∞: nothing is known.
        let inherited = if inherited.is_nan() { f64::INFINITY } else { inherited };
        // Below the smallest normal number the device may flush to 0.
        let own = halves * U * (value.abs() + inherited) + f64::from(f32::MIN_POSITIVE);
        Self { value, error: inherited + own, mass: 0.0 }
    }

    /// A value with a bound derived elsewhere.
    #[must_use]
    pub fn within(value: f64, error: f64) -> Self {
        Self { value, error, mass: 0.0 }
    }

    /// The same with a larger bound.
    #[must_use]
    pub fn widened(self, by: f64) -> Self {
        Self { error: self.error + by, ..self }
    }

    /// Notes whether a comparison could come out otherwise.
    fn compared_with(&self, other: &Self) {
        let errors = self.error + other.error;
        if errors > 0.0 && (self.value - other.value).abs() <= errors {
            AMBIGUOUS.set(true);
        }
    }

    fn size(self) -> f64 {
        self.value.abs() + self.error
    }
}

thread_local! {
    /// Whether a comparison on this thread could have come out otherwise in f32.
    static AMBIGUOUS: Cell<bool> = const { Cell::new(false) };
}

/// What `work` comes to, if none of its comparisons could come out otherwise in f32. It runs on one thread,
/// where all of them are seen.
pub fn unambiguous<R: Send>(work: impl FnOnce() -> R + Send) -> Option<R> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| {
        AMBIGUOUS.set(false);
        let result = work();
        (!AMBIGUOUS.get()).then_some(result)
    })
}

impl PartialEq for Tracked {
    fn eq(&self, other: &Self) -> bool {
        self.compared_with(other);
        self.value == other.value
    }
}

impl PartialOrd for Tracked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.compared_with(other);
        self.value.partial_cmp(&other.value)
    }
}

impl Add for Tracked {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::rounded(self.value + other.value, self.error + other.error, 1.0)
    }
}

impl Sub for Tracked {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Tracked {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, ..self }
    }
}

impl Mul for Tracked {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let inherited = self.value.abs() * other.error + self.error * other.size();
        Self::rounded(self.value * other.value, inherited, 1.0)
    }
}

impl Div for Tracked {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        // Infinite where the divisor may be 0.
        let least = (other.value.abs() - other.error).max(0.0);
        let errors = self.error + value.abs() * other.error;
        Self::rounded(value, if errors == 0.0 { 0.0 } else { errors / least }, 5.0)
    }
}

impl AddAssign for Tracked {
    /// A sum over `+=` may be taken in any order: every partial sum is at most Σ |x|, and there are
    /// no more roundings than terms.
    fn add_assign(&mut self, other: Self) {
        self.mass = self.mass.max(self.size()) + other.size();
        self.value += other.value;
        self.error += other.error + 2.0 * U * self.mass;
    }
}

impl MulAssign for Tracked {
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}

impl Sum for Tracked {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::default(), |mut sum, term| {
            sum += term;
            sum
        })
    }
}

impl fmt::Display for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ± {:e}", self.value, self.error)
    }
}

/// A register of one. The sum of a product may be taken in any order too.
impl Lanes for Tracked {
    type Vector<S: Simd> = Self;

    fn vectors<S: Simd>(numbers: &[Self]) -> &[Self] {
        numbers
    }
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [Self] {
        numbers
    }
    fn splat<S: Simd>(_: S, number: Self) -> Self {
        number
    }
    fn mul_add<S: Simd>(_: S, a: Self, b: Self, c: Self) -> Self {
        let mut sum = c;
        sum += a * b;
        sum
    }
}

impl Real for Tracked {
    const ZERO: Self = Self { value: 0.0, error: 0.0, mass: 0.0 };
    const ONE: Self = Self { value: 1.0, error: 0.0, mass: 0.0 };
    const INFINITY: Self = Self { value: f64::INFINITY, error: 0.0, mass: 0.0 };

    fn from_f64(value: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "rounding is what is measured")]
        let error = (f64::from(value as f32) - value).abs();
        Self { value, error, mass: 0.0 }
    }
    fn from_f32(value: f32) -> Self {
        Self { value: f64::from(value), error: 0.0, mass: 0.0 }
    }
    fn to_f64(self) -> f64 {
        self.value
    }
    fn to_f32(self) -> f32 {
        self.value.to_f32()
    }
    fn abs(self) -> Self {
        Self { value: self.value.abs(), ..self }
    }
    fn sqrt(self) -> Self {
        let value = self.value.max(0.0).sqrt();
        // |√a − √b| ≤ |a − b|/√a, and ≤ √|a − b|.
        let inherited = (self.error / value).min(self.error.sqrt());
        Self::rounded(value, inherited, 9.0)
    }
    /// WGSL's exp is within 3 + 2|x| ULP.
    fn exp(self) -> Self {
        let value = self.value.exp();
        Self::rounded(value, value * self.error.exp_m1(), 2.0 * (3.0 + 2.0 * self.size()))
    }
    /// As kernels compute it: WGSL lacks it.
    fn exp_m1(self) -> Self {
        self.exp() - Self::ONE
    }
    /// WGSL's log is within 3 ULP, and near 1 within 2⁻²¹.
    fn ln(self) -> Self {
        let least = (self.value - self.error).max(0.0);
        let near_one = if (0.5..=2.0).contains(&self.value) { 2.0_f64.powi(-21) } else { 0.0 };
        Self::rounded(self.value.ln(), self.error / least + near_one, 6.0)
    }
    fn ln_1p(self) -> Self {
        (Self::ONE + self).ln()
    }
    /// As kernels compute it, by the exponential of −2|x|.
    fn tanh(self) -> Self {
        let e = (Self::from_f32(-2.0) * self.abs()).exp();
        let t = (Self::ONE - e) / (Self::ONE + e);
        if self.value < 0.0 { -t } else { t }
    }
    /// WGSL's is within 2⁻¹¹ of angles that kernels have brought into ±π, by three roundings.
    fn sin(self) -> Self {
        let inherited = self.error + 2.0_f64.powi(-11) + 3.0 * U * self.size();
        Self::rounded(self.value.sin(), inherited, 0.0)
    }
    fn cos(self) -> Self {
        let inherited = self.error + 2.0_f64.powi(-11) + 3.0 * U * self.size();
        Self::rounded(self.value.cos(), inherited, 0.0)
    }
    /// The polynomial of kernels and twins is within 3.5 ULP.
    fn sin_pi(self) -> Self {
        Self::rounded(self.value.sin_pi(), std::f64::consts::PI * self.error, 7.0)
    }
    /// As kernels compute it, by the exponential of −x²/2: of Φ the tail, whose fit and evaluation are within
    /// 28 U of it (a division of 2.5 ULP included), and φ. Slopes are at most 0.4 and 0.25.
    fn normal(self) -> [Self; 2] {
        let [cdf, density] = self.value.normal();
        let exp = 2.0 * U * (5.0 + 1.5 * self.value * self.value);
        let tail = cdf.min(1.0 - cdf);
        [
            Self::rounded(cdf, 0.4 * self.error + tail * (28.0 * U + exp), 1.0),
            Self::rounded(density, 0.25 * self.error + density * exp + U, 0.0),
        ]
    }
    fn round_ties_even(self) -> Self {
        let value = self.value.round_ties_even();
        if self.error > 0.0 && (self.value - value).abs() + self.error >= 0.5 {
            AMBIGUOUS.set(true);
        }
        Self { value, error: 0.0, mass: 0.0 }
    }
    fn is_finite(self) -> bool {
        self.value.is_finite()
    }
}

/// Numbers that are exact in f32.
#[must_use]
pub fn exact(numbers: &[f32]) -> Vec<Tracked> {
    numbers.iter().map(|&x| Tracked::from_f32(x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::testing::assert_tracked;

    /// What f32 computes lies within the tracked bound, and that isn't much larger.
    #[test]
    fn f32_keeps_within_the_tracked_error() {
        fn formula<T: Real>(x: T, y: T) -> T {
            (x * y + x / y).sqrt() - (x - y) * T::from_f64(0.1)
        }
        let mut stream = Stream::new(4, Purpose::Synthetic, 0);
        let mut worst = 0.0_f64;
        for _ in 0..1000 {
            let mut draw = || f32::from_f64(0.5 + stream.uniform());
            let (x, y) = (draw(), draw());
            let tracked = formula(Tracked::from_f32(x), Tracked::from_f32(y));
            let off = (f64::from(formula(x, y)) - tracked.value).abs();
            assert!(off <= tracked.error, "{off:e} of {tracked}");
            worst = worst.max(off / tracked.error);
        }
        assert!(worst > 0.02, "the bound is {:.0} times too wide", 1.0 / worst);
    }

    #[test]
    fn sums_in_any_order_keep_within_the_tracked_error() {
        let mut stream = Stream::new(5, Purpose::Synthetic, 0);
        let numbers: Vec<f32> = (0..500).map(|_| f32::from_f64(stream.normal())).collect();
        let tracked: Tracked = exact(&numbers).into_iter().sum();
        let forward: f32 = numbers.iter().sum();
        let backward: f32 = numbers.iter().rev().sum();
        let mut sorted = numbers;
        sorted.sort_by(f32::total_cmp);
        let by_size: f32 = sorted.iter().sum();
        for sum in [forward, backward, by_size] {
            assert!((f64::from(sum) - tracked.value).abs() <= tracked.error, "{sum} of {tracked}");
        }
    }

    /// 1/x where x may be 0, and what comes of it.
    #[test]
    fn what_is_not_known_stays_so() {
        let nothing = Tracked::within(0.0, 1e-30);
        let unknown = Tracked::ZERO * (Tracked::ONE / (nothing + Tracked::within(1e-40, 0.0)));
        for x in [unknown, unknown.sqrt(), unknown / Tracked::ONE, Tracked::ONE / unknown] {
            assert_eq!(x.error, f64::INFINITY, "{x}");
        }
        assert!((Tracked::ZERO / Tracked::ONE).error < 1e-30);
    }

    #[test]
    #[should_panic(expected = "element 0")]
    fn one_wrong_digit_fails() {
        let sum = Tracked::from_f32(1.0) + Tracked::from_f32(2.0);
        assert_tracked(&[3.000_001], &[sum]);
    }
}
