//! How tests compare numbers: within a derived bound, element by element, and NaN never passes.

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use crate::tracked::Tracked;

/// Fails unless every `got` is within its own bound of `want`.
#[track_caller]
pub(crate) fn assert_within(got: &[f32], want: &[f64], bound: impl Fn(usize) -> f64) {
    let got: Vec<f64> = got.iter().map(|&x| f64::from(x)).collect();
    assert_within_f64(&got, want, bound);
}

/// [`assert_within`] for results in f64.
#[track_caller]
pub(crate) fn assert_within_f64(got: &[f64], want: &[f64], bound: impl Fn(usize) -> f64) {
    assert_eq!(got.len(), want.len(), "lengths differ");
    let excess = |i: usize| {
        // The floor keeps 0 against 0 with a bound of 0 from being 0/0.
        (got[i] - want[i]).abs() / (bound(i) + f64::from(f32::MIN_POSITIVE))
    };
    // total_cmp puts NaN above every number, so a NaN is always the worst.
    let worst = (0..got.len()).map(|i| (i, excess(i))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((i, excess)) = worst {
        assert!(
            excess <= 1.0,
            "element {i} of {}: got {}, want {}, bound {:.3e} ({excess:.2}× the bound)",
            got.len(),
            got[i],
            want[i],
            bound(i)
        );
    }
}

/// Fails unless every number is within the bound that was tracked for it.
#[track_caller]
pub(crate) fn assert_tracked(got: &[f32], want: &[Tracked]) {
    let values: Vec<f64> = want.iter().map(|x| x.value).collect();
    assert_within(got, &values, |i| want[i].error);
}

/// So many cases of a property, the same in every run.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

/// γₙ = n·u/(1 − n·u) for f32, u = 2⁻²⁴: the relative error of n roundings (Higham, ch. 3).
pub(crate) fn gamma(n: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let nu = n as f64 * f64::from(f32::EPSILON) / 2.0;
    nu / (1.0 - nu)
}

mod tests {
    use super::*;

    #[test]
    fn equal_numbers_pass() {
        assert_within(&[1.0, 0.0], &[1.0, 0.0], |_| 0.0);
    }

    #[test]
    #[should_panic(expected = "element 1")]
    fn one_wrong_element_fails() {
        assert_within(&[1.0, 2.5, 3.0], &[1.0, 2.0, 3.0], |_| 0.1);
    }

    #[test]
    #[should_panic(expected = "element 0")]
    fn nan_fails() {
        assert_within(&[f32::NAN, 2.0], &[1.0, 2.0], |_| 0.1);
    }

    #[test]
    #[should_panic(expected = "element 0")]
    fn a_nan_bound_fails() {
        assert_within(&[1.0], &[1.0], |_| f64::NAN);
    }

    #[test]
    #[should_panic(expected = "element 0")]
    fn infinity_fails() {
        assert_within(&[f32::INFINITY], &[1.0], |_| 0.1);
    }

    #[test]
    #[should_panic(expected = "lengths differ")]
    fn a_wrong_length_fails() {
        assert_within(&[1.0], &[1.0, 2.0], |_| 0.1);
    }
}
