//! The two number types the CPU path is generic over.

mod fast;

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

/// `f32`, the reference and fallback engine's type, or `f64`, the oracle's.
///
/// The CPU twins of all kernels are written once over this trait; tests run them in `f64` to derive
/// tolerances and to check gradients. Sealed: these two are all there will be.
pub trait Real:
    Copy
    + Debug
    + Default
    + Display
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Div<Output = Self>
    + Mul<Output = Self>
    + MulAssign
    + Neg<Output = Self>
    + Sub<Output = Self>
    + Sum
    + Send
    + Sync
    + sealed::Sealed
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// +∞.
    const INFINITY: Self;

    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// Exact.
    fn from_f32(value: f32) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// The nearest `f32`.
    fn to_f32(self) -> f32;
    /// |x|.
    #[must_use]
    fn abs(self) -> Self;
    /// √x.
    #[must_use]
    fn sqrt(self) -> Self;
    /// eˣ.
    #[must_use]
    fn exp(self) -> Self;
    /// eˣ − 1, accurate near 0.
    #[must_use]
    fn exp_m1(self) -> Self;
    /// ln x.
    #[must_use]
    fn ln(self) -> Self;
    /// ln(1 + x), accurate near 0.
    #[must_use]
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    #[must_use]
    fn tanh(self) -> Self;
    /// Sine of radians.
    #[must_use]
    fn sin(self) -> Self;
    /// Cosine of radians.
    #[must_use]
    fn cos(self) -> Self;
    /// sin πx for x in [−½, ½].
    #[must_use]
    fn sin_pi(self) -> Self;
    /// The standard normal's distribution function Φ(x) and density φ(x).
    #[must_use]
    fn normal(self) -> [Self; 2];
    /// The nearest integer, of two the even one.
    #[must_use]
    fn round_ties_even(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

mod sealed {
    pub trait Sealed: crate::simd::Lanes + crate::engine::cpu::Compiled {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    #[cfg(any(test, fuzzing))]
    impl Sealed for crate::tracked::Tracked {}
}

macro_rules! impl_real {
    ($type:ident, $functions:ident) => {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_lossless,
            reason = "rounding to the nearest is what the conversions promise"
        )]
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = $type::INFINITY;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn from_f32(value: f32) -> Self {
                value as Self
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $functions::exp(self)
            }
            #[inline(always)]
            fn exp_m1(self) -> Self {
                $functions::exp_m1(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                $functions::ln_1p(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $functions::tanh(self)
            }
            #[inline(always)]
            fn sin(self) -> Self {
                self.sin()
            }
            #[inline(always)]
            fn cos(self) -> Self {
                self.cos()
            }
            #[inline(always)]
            fn sin_pi(self) -> Self {
                $functions::sin_pi(self)
            }
            #[inline(always)]
            fn normal(self) -> [Self; 2] {
                $functions::normal(self)
            }
            #[inline(always)]
            fn round_ties_even(self) -> Self {
                self.round_ties_even()
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}
impl_real!(f32, fast);
impl_real!(f64, precise);

/// In f64 speed doesn't matter.
mod precise {
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

    pub(super) fn exp(x: f64) -> f64 {
        x.exp()
    }

    pub(super) fn exp_m1(x: f64) -> f64 {
        x.exp_m1()
    }

    pub(super) fn ln_1p(x: f64) -> f64 {
        x.ln_1p()
    }

    pub(super) fn tanh(x: f64) -> f64 {
        x.tanh()
    }

    pub(super) fn sin_pi(x: f64) -> f64 {
        (std::f64::consts::PI * x).sin()
    }

    pub(super) fn normal(x: f64) -> [f64; 2] {
        let density = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0 * (-0.5 * x * x).exp();
        [0.5 * libm::erfc(-x * FRAC_1_SQRT_2), density]
    }
}
