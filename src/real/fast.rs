//! eˣ and its relatives in f32, as polynomials without branches, so that the compiler can compute a
//! vector of them at once.
//!
//! The coefficients are least-maximum fits (Lawson's weights on Chebyshev nodes) of the functions
//! in their comments. `tests` measures the error of each against f64 over the whole range; the bounds
//! there are what the crate relies on. Infinities come out right, and NaN stays NaN.

/// ln 2 in two parts, the first with few enough bits that multiples of it up to 256 are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Adding this to a number rounds it to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;

/// n, r and eʳ − 1 for x = n·ln 2 + r, |r| ≤ ln 2/2, where x is cut to what f32 can hold the
/// exponential of.
#[inline(always)]
fn reduce(x: f32) -> (i32, f32) {
    // Comparisons that NaN fails, so that it stays.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed();
    let multiple = rounded - ROUND;
    let r = x - multiple * LN_2[0] - multiple * LN_2[1];
    // (eʳ − 1 − r)/r².
    let q = 0.5 + r * (0.166_665_18 + r * (0.041_666_206 + r * (0.008_368_89 + r * 0.001_395_049)));
    (n, r + r * r * q)
}

/// 2ⁿ for −126 ≤ n ≤ 127.
#[inline(always)]
fn power(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23).cast_unsigned())
}

/// eˣ.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let (n, m) = reduce(x);
    // In two steps: the result may be below the smallest normal number.
    let half = n >> 1;
    (1.0 + m) * power(half) * power(n - half)
}

/// eˣ − 1.
#[inline(always)]
pub(super) fn exp_m1(x: f32) -> f32 {
    let (n, m) = reduce(x);
    // 2ⁿ(m + 1) − 1, where m may be far smaller than 1.
    let half = n >> 1;
    let (a, b) = (power(half), n - half);
    (a * m + (a - power(-b))) * power(b)
}

/// tanh x = −t/(2 + t) with t = e^(−2|x|) − 1, for x ≥ 0.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let t = exp_m1(-2.0 * x.abs());
    (-t / (2.0 + t)).copysign(x)
}

/// ln(1 + x).
#[inline(always)]
pub(super) fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    // What the sum lost, relative to u; nothing where u is infinite.
    let lost = if u < f32::INFINITY { (x - (u - 1.0)) / u } else { 0.0 };
    // u = 2ⁿ·(1 + f) with 1 + f in [√½, √2).
    let bits = u.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits()).cast_signed();
    let n = bits >> 23;
    let f = f32::from_bits(u.to_bits().wrapping_sub((n << 23).cast_unsigned())) - 1.0;
    // ln(1 + f) = 2·artanh s.
    let s = f / (2.0 + f);
    let t = s * s;
    // (artanh s / s − 1)/s².
    let q = 0.333_333_3 + t * (0.200_001_69 + t * (0.142_686_19 + t * 0.117_917_86));
    #[expect(clippy::cast_precision_loss, reason = "an exponent")]
    let n = n as f32;
    let sum = (2.0 * s + (2.0 * s * t * q + lost + n * LN_2[1])) + n * LN_2[0];
    // The logarithm of what isn't a positive number.
    if u < f32::INFINITY {
        if u > 0.0 {
            sum
        } else if u < 0.0 {
            f32::NAN
        } else {
            f32::NEG_INFINITY
        }
    } else {
        u
    }
}

/// sin πx for x in [−½, ½]; `shaders/encoding.wgsl` has the same.
#[inline(always)]
pub(super) fn sin_pi(x: f32) -> f32 {
    // sin πx / x of x².
    let s = x * x;
    let tail = -5.167_721 + s * (2.550_269_8 + s * (-0.599_437_36 + s * 0.079_835_77));
    x * (std::f32::consts::PI + s * tail)
}

/// Φ(x) and φ(x), which share e^(−x²/2). The form of Φ is that of Abramowitz and Stegun 7.1.26, but the fit is of
/// its relative error for x < 0, so that the tail keeps its digits; `shaders/activation_value.wgsl` has the same.
#[inline(always)]
pub(super) fn normal(x: f32) -> [f32; 2] {
    let e = exp(-0.5 * x * x);
    // Φ(−|x|)·e^(x²/2) of t.
    let t = 1.0 / (1.0 + 0.3 * x.abs());
    let q = -0.051_710_945 + t * (0.204_203_8 + t * (-0.155_952_69 + t * 0.035_374_187));
    let q = 0.119_632_53 + t * (0.120_704_06 + t * (0.100_226_91 + t * (0.127_522_07 + t * q)));
    let q = t * q;
    let tail = q * e;
    [if x < 0.0 { tail } else { 1.0 - tail }, 0.398_942_3 * e]
}

#[cfg(test)]
mod tests {
    /// Units in the last place of f32 at `y`, 2⁻¹⁴⁹ where numbers are subnormal.
    fn ulp(y: f64) -> f64 {
        let exponent = y.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
        f64::powf(2.0, exponent - 23.0)
    }

    /// Every 997th f32, in particular of all magnitudes.
    fn numbers() -> impl Iterator<Item = f32> {
        (0..u32::MAX).step_by(997).map(f32::from_bits)
    }

    /// Fails unless `fast` is within `ulps` of `exact` wherever that is finite in f32, and like it
    /// elsewhere.
    #[track_caller]
    fn check(name: &str, ulps: f64, fast: fn(f32) -> f32, exact: fn(f64) -> f64) {
        let mut worst = (0.0, 0.0);
        let ends = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -1.0, 1.0, 88.7, 89.5];
        for x in numbers().chain(ends) {
            let (got, want) = (fast(x), exact(f64::from(x)));
            #[expect(clippy::cast_possible_truncation, reason = "what f32 would be at best")]
            let nearest = want as f32;
            if !nearest.is_finite() || !got.is_finite() {
                let close_to_the_end = want.abs() > 0.999_99 * f64::from(f32::MAX);
                let alike = got.is_nan() == nearest.is_nan() && (got > 0.0) == (nearest > 0.0);
                assert!(
                    alike && (got == nearest || got.is_nan() || close_to_the_end),
                    "{name}({x}) = {got}, not {want}"
                );
                continue;
            }
            let error = (f64::from(got) - want).abs() / ulp(want);
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 <= ulps, "{name}({}) is {} ULP off", worst.1, worst.0);
        println!("{name}: {} ULP at {}", worst.0, worst.1);
    }

    #[test]
    fn errors_are_within_their_bounds_over_all_of_f32() {
        check("exp", 1.5, super::exp, f64::exp);
        check("exp_m1", 2.0, super::exp_m1, f64::exp_m1);
        check("tanh", 3.0, super::tanh, f64::tanh);
        check("ln_1p", 2.0, super::ln_1p, f64::ln_1p);
    }

    /// Of every 7th number in its range.
    #[test]
    fn sin_pi_is_within_its_bound() {
        let largest = 0.5_f32.to_bits();
        for bits in (0..=largest).rev().step_by(7) {
            let x = f32::from_bits(bits);
            let want = (std::f64::consts::PI * f64::from(x)).sin();
            let error = (f64::from(super::sin_pi(x)) - want).abs();
            // The largest subnormal numbers' squares are rounded away.
            assert!(error <= 3.5 * ulp(want), "sin_pi({x}) is {} ULP off", error / ulp(want));
            assert_eq!(super::sin_pi(-x), -super::sin_pi(x));
        }
        assert!(super::sin_pi(f32::NAN).is_nan());
    }

    /// In ULPs of the result, of which the rounding of −x²/2 takes x²/2, and in ULPs of 1.
    #[test]
    fn the_normal_distribution_is_within_its_bounds() {
        let (mut worst, mut of_one) = ([0.0_f64; 2], [0.0_f64; 2]);
        for x in numbers().filter(|x| !x.is_nan()) {
            let exact = crate::Real::normal(f64::from(x));
            for (k, (fast, exact)) in super::normal(x).into_iter().zip(exact).enumerate() {
                let error = (f64::from(fast) - exact).abs();
                of_one[k] = of_one[k].max(error / f64::from(f32::EPSILON));
                let square = f64::from(x).powi(2).min(250.0);
                worst[k] = worst[k].max(error / ulp(exact) - square / 2.0);
            }
        }
        let [distribution, density] = worst;
        println!("Φ: {distribution}, φ: {density} ULPs besides x²/2; of 1 {of_one:?}");
        assert!(distribution <= 10.0 && density <= 3.0, "{distribution}, {density} ULPs off");
        assert!(of_one[0] <= 2.5 && of_one[1] <= 0.5, "{of_one:?} ULPs of 1 off");
        assert!(super::normal(f32::NAN).iter().all(|y| y.is_nan()));
        assert_eq!(super::normal(f32::INFINITY), [1.0, 0.0]);
        assert_eq!(super::normal(f32::NEG_INFINITY), [0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "ULP off")]
    fn an_error_in_the_last_digits_fails() {
        check("exp", 1.5, |x| super::exp(x) * (1.0 + 4e-7), f64::exp);
    }

    #[test]
    #[should_panic(expected = "not")]
    fn a_hidden_nan_fails() {
        check("exp", 1.5, |x| super::exp(x.max(-200.0)), f64::exp);
    }
}
