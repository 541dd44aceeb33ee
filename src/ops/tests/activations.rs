//! The activations: behind a linear layer, in front of one on the way back, and by themselves.

use super::{U, batch_of, magnitudes, random, widen, word};
use crate::activation::{Activation, GELU_CUBIC, SQRT_2_OVER_PI};
use crate::engine::gpu::rig::{Arg, Rig};
use crate::ops::activation::{ACTIVATION_BACKWARD, ACTIVATION_FORWARD, ActivationShape};
use crate::ops::epilogue::Epilogue;
use crate::ops::linear::{
    LINEAR_BACKWARD_INPUT, LINEAR_FORWARD, LinearShape, LinearWeight, linear_backward_input,
    linear_forward,
};
use crate::ops::product::Form;
use crate::plan::TENSOR_ALIGN;
use crate::real::Real as _;
use crate::testing::{assert_within, gamma};

/// Error of `activate(z)` in f32 for an exact z, from WGSL's bounds on the builtins.
pub(crate) fn activation_error(a: Activation, z: f64) -> f64 {
    let y = a.apply(z).abs();
    match a {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::LeakyRelu { .. } => U * y,
        Activation::Elu { alpha } => {
            let alpha = f64::from(alpha);
            alpha * exp_m1_error(y / alpha) + 2.0 * U * y
        }
        // 1/(1 + e^-z): relative error of the sum at most that of exp; division 2.5 ULP.
        Activation::Sigmoid => sigmoid_error(z),
        Activation::Silu => z.abs() * sigmoid_error(z) + U * y,
        Activation::Tanh => tanh_error(y),
        Activation::GeluTanh => z.abs() * gate_error(gelu_argument(z)) + U * y,
        Activation::Gelu => z.abs() * normal_cdf_error(z) + U * y,
        // ln(1 + e): a relative error of e, (3 + 2|z|) ULP, becomes no larger; then a sum, a division of 2.5 ULP,
        // whose square and product with the series carry it on, and the series itself. e may be flushed.
        Activation::Softplus => {
            let log_sum = (-z.abs()).exp().ln_1p();
            let relative = 2.0 * (3.0 + 2.0 * z.abs()) + 14.0;
            U * relative * log_sum + U * y + f64::from(f32::MIN_POSITIVE)
        }
        // 2^-11 for the builtin; the angle's rounding ω₀|z|·(U + the split of 2π).
        Activation::Sine { omega0 } => f64::powi(2.0, -11) + 4.0 * U * f64::from(omega0) * z.abs(),
    }
}

fn sigmoid_error(z: f64) -> f64 {
    // exp is within 3 + 2|z| ULP, which σ′ = σ(1 − σ) passes on; sum and division: 3 ULP of σ. Below
    // the smallest normal number the device may flush to 0.
    let s: f64 = crate::activation::sigmoid(z);
    2.0 * U * (3.0 + 2.0 * z.abs()) * s * (1.0 - s) + 6.0 * U * s + f64::from(f32::MIN_POSITIVE)
}

/// The argument of GELU's tanh form, exact.
fn gelu_argument(z: f64) -> f64 {
    2.0 * SQRT_2_OVER_PI * (z + GELU_CUBIC * z * z * z)
}

/// Error of σ(w) for a w that six roundings went into.
fn gate_error(w: f64) -> f64 {
    let s: f64 = crate::activation::sigmoid(w);
    // |w|·σ′ is 0 where w overflows.
    let inherited = if s * (1.0 - s) > 0.0 { 6.0 * U * w.abs() * s * (1.0 - s) } else { 0.0 };
    sigmoid_error(w) + inherited
}

/// Error of `e^(−z²/2)`, relative: z² rounded, and exp's 3 + z² ULP.
fn gaussian_error(z: f64) -> f64 {
    2.0 * U * (3.0 + 1.25 * z * z)
}

fn normal_cdf_error(z: f64) -> f64 {
    // Fit and polynomial of the tail are within 28 U of it, with a division of 2.5 ULP; a product with the
    // exponential follows, and for z > 0 a difference.
    let [cdf, _] = z.normal();
    let [tail, _] = (-z.abs()).normal();
    tail * (29.0 * U + gaussian_error(z)) + U * cdf + f64::from(f32::MIN_POSITIVE)
}

/// Error of `exp_m1(x)` for x ≤ 0 in f32, of |eˣ − 1|.
fn exp_m1_error(size: f64) -> f64 {
    if size < 0.221 {
        // The series, beyond −1/4: five sums and products, each of less than what is around it.
        12.0 * U * size
    } else {
        // exp(x): (3 + 2|x|) ULP of e^x, a ULP being 2U; |x|e^x ≤ 1/e, so below 8U.
        9.0 * U
    }
}

/// Error of `stable_tanh` in f32, of |tanh z|.
fn tanh_error(size: f64) -> f64 {
    // −m/(2 + m): m's error by 2/(2 + m)², a sum, and a division of 2.5 ULP. m = −2t/(1 + t).
    let m = 2.0 * size / (1.0 + size);
    2.0 / (2.0 - m).powi(2) * exp_m1_error(m) + 8.0 * U * size
}

/// Error of the slope that `sigmoid_and_slope` gives in f32 for an exact argument: that of the exponential, which
/// e/(1 + e)² passes on with a factor of at most 1; a sum and a division of 2.5 ULP, both squared; two products.
/// The device may flush what is small.
fn sigmoid_slope_error(z: f64) -> f64 {
    U * (2.0 * (3.0 + 2.0 * z.abs()) + 14.0) * sigmoid_slope(z) + f64::from(f32::MIN_POSITIVE)
}

/// σ′, exact where σ(1 − σ) cancels.
fn sigmoid_slope(z: f64) -> f64 {
    0.25 / (0.5 * z).cosh().powi(2)
}

/// Error of σ(w) + m·σ′(w) for a w that six roundings went into, which change both terms by no more than σ′ each,
/// and an m of five.
fn gated_error(w: f64, m: f64) -> f64 {
    let s: f64 = crate::activation::sigmoid(w);
    let slope = sigmoid_slope(w);
    let size = 1.0 + m.abs();
    // Where w is infinite so is what it is multiplied with.
    let inherited = if slope > 0.0 { 6.0 * U * w.abs() * slope * size } else { 0.0 };
    let terms = if slope > 0.0 {
        m.abs() * sigmoid_slope_error(w) + 7.0 * U * m.abs() * slope
    } else {
        0.0
    };
    inherited + sigmoid_error(w) + 2.0 * U * s + terms + f64::from(f32::MIN_POSITIVE) * size
}

/// Error of `activation_derivative` in f32 for an exact argument.
pub(super) fn derivative_error(a: Activation, kept: f64) -> f64 {
    let k = kept.abs();
    let least = f64::from(f32::MIN_POSITIVE);
    match a {
        Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } => 0.0,
        Activation::Elu { .. } => {
            U * (2.0 * (3.0 + 2.0 * k) + 1.0) * a.derivative(kept)
                + if kept > 0.0 { 0.0 } else { least }
        }
        Activation::Sigmoid => sigmoid_slope_error(kept),
        Activation::Tanh => 4.0 * sigmoid_slope_error(2.0 * kept),
        Activation::Softplus => exp_m1_error((-kept).exp_m1().abs()) + least,
        Activation::Gelu => {
            let [cdf, density] = kept.normal();
            // The product with φ has three more roundings, one of them that of 1/√2π.
            let term = k * density;
            normal_cdf_error(kept)
                + term * (gaussian_error(kept) + 3.0 * U)
                + U * (cdf + term)
                + k * least
        }
        // 2du/dz has four roundings.
        Activation::GeluTanh => {
            let slope = 2.0 * SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * k * k);
            gated_error(gelu_argument(kept), k * slope)
        }
        Activation::Silu => gated_error(kept, k),
        Activation::Sine { omega0 } => {
            let omega0 = f64::from(omega0);
            omega0 * (f64::powi(2.0, -11) + 4.0 * U * omega0 * k + U)
        }
    }
}

/// The largest |a′|: how much an error of z can grow on its way to y.
pub(crate) fn lipschitz(a: Activation) -> f64 {
    match a {
        Activation::Gelu | Activation::GeluTanh | Activation::Silu => 1.13,
        Activation::Elu { alpha } => f64::from(alpha).max(1.0),
        Activation::Sine { omega0 } => f64::from(omega0),
        _ => 1.0,
    }
}

fn plain(activation: Activation) -> Epilogue {
    Epilogue { activation, dropout: None }
}

/// The form that shows all activations; what follows a sum is the same in every one.
const FORM: Form = Form::Tiled4;

/// Choices of the forward product without gathering.
fn choices(activation: Activation) -> [f64; 3] {
    let [activation, dropout] = plain(activation).choices();
    [activation, dropout, 0.0]
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_linear_layer_applies_every_activation() {
    let rig = Rig::get();
    for (rows, inputs, outputs) in [(1, 7, 3), (17, 15, 16), (31, 33, 34)] {
        let (x, w, b) = (random(1, rows * inputs), random(2, outputs * inputs), random(3, outputs));
        let len = rows * outputs;
        let offset = len.next_multiple_of(TENSOR_ALIGN);
        let shape = LinearShape::new(inputs, outputs, [0; 2]);
        let twin = |a: Activation, x: &[f64], w: &[f64], b: &[f64]| {
            let mut y = vec![0.0; len];
            linear_forward(&plain(a), None, x, &ordered(w, outputs), b, &mut y, &mut []);
            y
        };
        let z = twin(Activation::Identity, &widen(&x), &widen(&w), &widen(&b));
        // Fed magnitudes, the twin computes what rounding errors scale with (Higham, ch. 3).
        let size = twin(Activation::Identity, &magnitudes(&x), &magnitudes(&w), &magnitudes(&b));
        let z_error = |i: usize| gamma(inputs + 1) * size[i];
        for &a in Activation::ALL {
            let keeps = a.keeps_preactivation();
            let epilogue = plain(a).uniform(offset);
            // Padding between Y and Z isn't written, so the buffer comes in two shapes.
            let zeros = vec![0.0; offset + len];
            let output = if keeps { Arg::Updated(&zeros) } else { Arg::Written(len) };
            let runs = rig.run(
                LINEAR_FORWARD.kernel(FORM, false),
                &choices(a),
                shape.forward_grid(FORM),
                &batch_of(rows),
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
                &[
                    ("input", Arg::Read(&x)),
                    ("weight", Arg::Read(&w)),
                    ("bias", Arg::Read(&b)),
                    ("output", output),
                    ("rows_of_data", Arg::Updated(&[0.0])),
                ],
            );
            let y = twin(a, &widen(&x), &widen(&w), &widen(&b));
            for run in runs {
                assert_within(&run[0][..len], &y, |i| {
                    lipschitz(a) * z_error(i) + activation_error(a, z[i])
                });
                if keeps {
                    assert_within(&run[0][offset..], &z, z_error);
                }
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_linear_layer_differentiates_every_activation() {
    let rig = Rig::get();
    for (rows, inputs, outputs) in [(1, 7, 3), (17, 15, 16), (31, 34, 33)] {
        let (dz, w) = (random(4, rows * outputs), random(5, outputs * inputs));
        let shape = LinearShape::new(inputs, outputs, [0; 2]);
        let product = |dz: &[f64], w: &[f64]| {
            let mut dx = vec![0.0; rows * inputs];
            let none = plain(Activation::Identity);
            linear_backward_input(&none, None, dz, &ordered(w, outputs), &[], &mut dx);
            dx
        };
        let (sum, size) =
            (product(&widen(&dz), &widen(&w)), product(&magnitudes(&dz), &magnitudes(&w)));
        for &a in Activation::ALL {
            let kept = kept_values(a, rows * inputs);
            let epilogue = plain(a).uniform(0);
            let runs = rig.run(
                LINEAR_BACKWARD_INPUT.kernel(FORM, false),
                &plain(a).choices(),
                shape.backward_input_grid(FORM),
                &batch_of(rows),
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
                &[
                    ("gradient_output", Arg::Read(&dz)),
                    ("weight", Arg::Read(&w)),
                    ("kept", Arg::Read(&kept)),
                    ("gradient_input", Arg::Written(rows * inputs)),
                ],
            );
            let mut want = sum.clone();
            plain(a).backward(None, inputs, &widen(&kept), &mut want);
            for run in runs {
                assert_within(&run[0], &want, |i| {
                    let k = f64::from(kept[i]);
                    let derivative = a.derivative(k).abs();
                    gamma(outputs + 1) * size[i] * (derivative + derivative_error(a, k))
                        + sum[i].abs() * derivative_error(a, k)
                });
            }
        }
    }
}

/// A weight of `outputs` rows as the twins take it.
pub(super) fn ordered(weight: &[f64], outputs: usize) -> LinearWeight<f64> {
    let mut ordered = LinearWeight::new(weight.len() / outputs, outputs, true);
    ordered.set(weight, true);
    ordered
}

/// What a forward pass could have kept: z, or a(z), for z in [−3, 3).
fn kept_values(a: Activation, len: usize) -> Vec<f32> {
    // Every third near 0, where softplus is that of a z far below.
    let scales = [3.0, 3.0, 1e-6].into_iter().cycle();
    let z = random(6, len).into_iter().zip(scales).map(|(z, scale)| scale * z);
    z.map(|z| if a == Activation::Softplus { 5.0 * z - 4.0 } else { z })
        .map(|z| if a.keeps_preactivation() { z } else { a.apply(z) })
        .collect()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn activation_backward_matches_its_twin() {
    let rig = Rig::get();
    for &a in Activation::ALL {
        for (rows, columns) in [(1, 1), (5, 4), (7, 9), (64, 65), (2, 258)] {
            let (kept, dy) = (kept_values(a, rows * columns), random(9, rows * columns));
            let shape = ActivationShape::new(word(columns));
            let epilogue = plain(a).uniform(0);
            let runs = rig.run(
                &ACTIVATION_BACKWARD,
                &plain(a).choices(),
                shape.grid(),
                &batch_of(rows),
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
                &[("kept", Arg::Read(&kept)), ("gradient_input", Arg::Updated(&dy))],
            );
            let mut want = widen(&dy);
            plain(a).backward(None, columns, &widen(&kept), &mut want);
            for run in runs {
                assert_within(&run[0], &want, |i| {
                    f64::from(dy[i].abs()) * derivative_error(a, f64::from(kept[i]))
                        + U * want[i].abs()
                });
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn activation_forward_matches_its_twin() {
    let rig = Rig::get();
    for &a in Activation::ALL {
        for (rows, columns) in [(1, 1), (5, 4), (7, 9), (64, 65), (2, 258)] {
            let x: Vec<f32> = random(9, rows * columns).iter().map(|x| 3.0 * x).collect();
            let shape = ActivationShape::new(word(columns));
            let len = rows * columns;
            let offset = len.next_multiple_of(TENSOR_ALIGN);
            let epilogue = plain(a).uniform(offset);
            let zeros = vec![0.0; offset + len];
            let keeps = a.keeps_preactivation();
            let runs = rig.run(
                &ACTIVATION_FORWARD,
                &plain(a).choices(),
                shape.grid(),
                &batch_of(rows),
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
                &[
                    ("input", Arg::Read(&x)),
                    ("output", if keeps { Arg::Updated(&zeros) } else { Arg::Written(len) }),
                ],
            );
            let mut want = widen(&x);
            plain(a).forward(None, columns, &mut want, &mut []);
            for run in runs {
                assert_within(&run[0][..len], &want, |i| activation_error(a, f64::from(x[i])));
                if keeps {
                    assert_eq!(run[0][offset..], x, "{a}");
                }
            }
        }
    }
}

/// Arguments of both signs up to 80, where activations saturate.
fn saturating() -> impl Iterator<Item = f32> {
    let steps = [0.01, 0.3, 1.0, 2.5, 4.0, 6.0, 8.5, 9.5, 12.0, 17.5, 20.0, 30.0, 43.0, 60.0, 80.0];
    steps.into_iter().flat_map(|z| [z, -z])
}

/// A saturated unit's derivative is small but has its digits: the bound is relative.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn derivatives_keep_their_digits_where_activations_saturate() {
    let rig = Rig::get();
    for &a in Activation::ALL {
        let kept = |z: f32| if a.keeps_preactivation() { z } else { a.apply(z) };
        let kept: Vec<f32> = saturating().map(kept).collect();
        let shape = ActivationShape::new(word(kept.len()));
        let epilogue = plain(a).uniform(0);
        let runs = rig.run(
            &ACTIVATION_BACKWARD,
            &plain(a).choices(),
            shape.grid(),
            &batch_of(1),
            &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
            &[("kept", Arg::Read(&kept)), ("gradient_input", Arg::Updated(&vec![1.0; kept.len()]))],
        );
        let want: Vec<f64> = kept.iter().map(|&k| a.derivative(f64::from(k))).collect();
        let bound = |i: usize| derivative_error(a, f64::from(kept[i])) + U * want[i].abs();
        for i in 0..kept.len() {
            // What cancels in a sum of two terms, near an extremum, is relative to these. Sines never saturate.
            let least = 1e6 * f64::from(f32::MIN_POSITIVE);
            let relative = 1e-4 * (want[i].abs() + if kept[i] > -2.0 { 1.0 } else { 0.0 }) + least;
            let sine = matches!(a, Activation::Sine { .. });
            assert!(sine || bound(i) <= relative, "{a} of {}: {:e}", kept[i], bound(i));
        }
        for run in runs {
            assert_within(&run[0], &want, bound);
        }
    }
}

/// Large arguments must not overflow inside a builtin, and small ones keep the bound.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn activations_hold_their_bound_over_the_whole_range() {
    let rig = Rig::get();
    let magnitudes = [
        0.0, 2e-8, 1e-6, 1e-3, 0.1, 0.124, 0.126, 0.249, 0.251, 0.9, 2.0, 5.0, 9.0, 11.0, 17.0,
        30.0, 88.0, 100.0, 1e4,
    ];
    let z: Vec<f32> = magnitudes.into_iter().flat_map(|z| [z, -z]).collect();
    let len = z.len();
    for &a in Activation::ALL {
        let keeps = a.keeps_preactivation();
        let offset = len.next_multiple_of(TENSOR_ALIGN);
        let shape = LinearShape::new(1, 1, [0; 2]);
        let epilogue = plain(a).uniform(offset);
        let zeros = vec![0.0; offset + len];
        let runs = rig.run(
            LINEAR_FORWARD.kernel(FORM, false),
            &choices(a),
            shape.forward_grid(FORM),
            &batch_of(len),
            &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
            &[
                ("input", Arg::Read(&z)),
                ("weight", Arg::Read(&[1.0])),
                ("bias", Arg::Read(&[0.0])),
                ("output", if keeps { Arg::Updated(&zeros) } else { Arg::Written(len) }),
                ("rows_of_data", Arg::Updated(&[0.0])),
            ],
        );
        let want: Vec<f64> = z.iter().map(|&z| a.apply(f64::from(z))).collect();
        for run in runs {
            assert_within(&run[0][..len], &want, |i| activation_error(a, f64::from(z[i])));
        }
    }
}

/// A NaN in the input must reach the output: hiding it would hide a diverged run.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn activations_let_nan_through() {
    let rig = Rig::get();
    let shape = LinearShape::new(1, 1, [0; 2]);
    // Y, padding and Z: those that keep Z write both.
    let zeros = [0.0; 65];
    for &a in Activation::ALL {
        let epilogue = plain(a).uniform(64);
        let runs = rig.run(
            LINEAR_FORWARD.kernel(FORM, false),
            &choices(a),
            shape.forward_grid(FORM),
            &batch_of(1),
            &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
            &[
                ("input", Arg::Read(&[f32::NAN])),
                ("weight", Arg::Read(&[1.0])),
                ("bias", Arg::Read(&[0.0])),
                ("output", Arg::Updated(&zeros)),
                ("rows_of_data", Arg::Updated(&[0.0])),
            ],
        );
        assert!(runs.iter().all(|run| run[0][0].is_nan()), "{a}: {runs:?}");
    }
}
