//! The linear layer and the activations.

use super::{SHAPES, U, batch_of, magnitudes, random, widen};
use crate::activation::Activation;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::matmul::{Matrix, Panels, Right, TILE_COLUMNS, TILE_ROWS};
use crate::ops::activation::{ACTIVATION_BACKWARD, ACTIVATION_FORWARD, ActivationShape};
use crate::ops::epilogue::Epilogue;
use crate::ops::linear::{
    LINEAR_BACKWARD_INPUT, LINEAR_BACKWARD_WEIGHT, LINEAR_FORWARD, LinearShape, LinearWeight,
    WeightGradient, linear_backward_input, linear_backward_weight, linear_forward,
};
use crate::ops::step::StepUniform;
use crate::plan::TENSOR_ALIGN;
use crate::testing::{assert_within, gamma};

/// Error of `activate(z)` in f32 for an exact z, from WGSL's bounds on the builtins.
fn activation_error(a: Activation, z: f64) -> f64 {
    let y = a.apply(z).abs();
    // exp(x) with x ≤ 0: (3 + 2|x|) ULP of e^x, a ULP being 2U; |x|e^x ≤ 1/e, so below 8U.
    let exp = 8.0 * U;
    match a {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::LeakyRelu { .. } => U * y,
        Activation::Elu { alpha } => f64::from(alpha) * (exp + U) + 2.0 * U * y,
        // 1/(1 + e^-z): relative error of the sum at most that of exp; division 2.5 ULP.
        Activation::Sigmoid => sigmoid_error(z),
        Activation::Silu => z.abs() * sigmoid_error(z) + U * y,
        // (1 − e)/(1 + e): both sums carry exp's error and a rounding.
        Activation::Tanh => tanh_error(),
        // The argument's error, five roundings of it, passes tanh with slope ≤ 1 and
        // |u|·tanh′(u) ≤ 0.5.
        Activation::GeluTanh => z.abs() * (tanh_error() + 5.0 * U) + 4.0 * U * y,
        Activation::Gelu => z.abs() * normal_cdf_error(z) + 3.0 * U * y,
        // log(1 + e): 3 ULP away from 1, 2^-21 near it.
        Activation::Softplus => f64::powi(2.0, -21) + exp + 4.0 * U * y,
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

fn normal_cdf_error(z: f64) -> f64 {
    // erf is within 1.5e-7 and eleven roundings of terms below 1.5. Away from 0 both it and the
    // truth lie within e^(−z²/2) of ±1, where a remainder below U is rounded away.
    let tail = (-0.5 * z * z).exp();
    (0.5 * 1.5e-7 + 11.0 * U).min(tail + if tail > U / 4.0 { 11.0 * U } else { 0.0 })
}

fn tanh_error() -> f64 {
    2.0 * 8.0 * U + 8.0 * U
}

/// Error of `activation_derivative` in f32 for an exact argument.
fn derivative_error(a: Activation, kept: f64) -> f64 {
    let k = kept.abs();
    match a {
        Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } => 0.0,
        Activation::Elu { alpha } => U * (k + f64::from(alpha)),
        Activation::Sigmoid => 2.0 * U * k * (1.0 + k),
        Activation::Tanh => 2.0 * U * (1.0 + k * k),
        // 1 − e^−y: exp's error and a rounding.
        Activation::Softplus => 9.0 * U,
        // Φ as in the forward pass; the density (3 + k²) ULP of its value.
        Activation::Gelu => normal_cdf_error(kept) + k * 0.4 * (2.0 * U) * (5.0 + k * k) + 2.0 * U,
        // 1 − t² doubles t's error; du ≤ 0.8(1 + 0.134k²).
        Activation::GeluTanh => {
            let t = tanh_error() + 5.0 * U;
            0.5 * t + 0.5 * k * 0.8 * (1.0 + 0.134 * k * k) * (2.0 * t + 6.0 * U) + 4.0 * U
        }
        Activation::Silu => sigmoid_error(kept) * (1.0 + 2.0 * k) + 6.0 * U * (1.0 + k),
        Activation::Sine { omega0 } => {
            let omega0 = f64::from(omega0);
            omega0 * (f64::powi(2.0, -11) + 4.0 * U * omega0 * k + U)
        }
    }
}

/// The largest |a′|: how much an error of z can grow on its way to y.
fn lipschitz(a: Activation) -> f64 {
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

fn word(n: usize) -> u32 {
    u32::try_from(n).unwrap()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn linear_forward_matches_its_twin() {
    let rig = Rig::get();
    for (index, (rows, inputs, outputs)) in SHAPES.into_iter().enumerate() {
        // All activations on one shape in the middle, two on each of the others.
        let all = (rows, inputs, outputs) == (17, 15, 16);
        let some = [Activation::ALL[index % 11], Activation::ALL[(index + 5) % 11]];
        for &a in if all { Activation::ALL } else { &some[..] } {
            let (x, w, b) =
                (random(1, rows * inputs), random(2, outputs * inputs), random(3, outputs));
            let len = rows * outputs;
            let offset = len.next_multiple_of(TENSOR_ALIGN);
            let keeps = a.keeps_preactivation();
            let shape = LinearShape::new(inputs, outputs);
            let epilogue = plain(a).uniform(offset);
            // Padding between Y and Z isn't written, so the buffer comes in two shapes.
            let zeros = vec![0.0; offset + len];
            let output = if keeps { Arg::Updated(&zeros) } else { Arg::Written(len) };
            let runs = rig.run(
                &LINEAR_FORWARD,
                &plain(a).choices(),
                shape.forward_grid(),
                &batch_of(rows),
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
                &[
                    ("input", Arg::Read(&x)),
                    ("weight", Arg::Read(&w)),
                    ("bias", Arg::Read(&b)),
                    ("output", output),
                ],
            );
            let (mut y, mut z, mut size) = (vec![0.0; len], vec![0.0; len], vec![0.0; len]);
            let epilogue = plain(a);
            let kept = if keeps { z.as_mut_slice() } else { &mut [] };
            let weight = ordered(&widen(&w), outputs);
            linear_forward(&epilogue, None, &widen(&x), &weight, &widen(&b), &mut y, kept);
            if !keeps {
                let none = plain(Activation::Identity);
                linear_forward(&none, None, &widen(&x), &weight, &widen(&b), &mut z, &mut []);
            }
            // Fed magnitudes, the twin computes what rounding errors scale with (Higham, ch. 3).
            let identity = plain(Activation::Identity);
            let (x, w, b) = (magnitudes(&x), magnitudes(&w), magnitudes(&b));
            linear_forward(&identity, None, &x, &ordered(&w, outputs), &b, &mut size, &mut []);
            let z_error = |i: usize| gamma(inputs + 1) * size[i];
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
fn linear_backward_input_matches_its_twin() {
    let rig = Rig::get();
    for (index, (rows, inputs, outputs)) in SHAPES.into_iter().enumerate() {
        let all = (rows, inputs, outputs) == (17, 15, 16);
        let some = [Activation::ALL[index % 11], Activation::ALL[(index + 5) % 11]];
        for &a in if all { Activation::ALL } else { &some[..] } {
            let (dz, w) = (random(4, rows * outputs), random(5, outputs * inputs));
            let kept = kept_values(a, rows * inputs);
            let shape = LinearShape::new(inputs, outputs);
            let epilogue = plain(a).uniform(0);
            let runs = rig.run(
                &LINEAR_BACKWARD_INPUT,
                &plain(a).choices(),
                shape.backward_input_grid(),
                &batch_of(rows),
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
                &[
                    ("gradient_output", Arg::Read(&dz)),
                    ("weight", Arg::Read(&w)),
                    ("kept", Arg::Read(&kept)),
                    ("gradient_input", Arg::Written(rows * inputs)),
                ],
            );
            let product = |dz: &[f64], w: &[f64]| {
                let mut dx = vec![0.0; rows * inputs];
                let none = plain(Activation::Identity);
                linear_backward_input(&none, None, dz, &ordered(w, outputs), &[], &mut dx);
                dx
            };
            let (sum, size) =
                (product(&widen(&dz), &widen(&w)), product(&magnitudes(&dz), &magnitudes(&w)));
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
fn ordered(weight: &[f64], outputs: usize) -> LinearWeight<f64> {
    let mut ordered = LinearWeight::new(weight.len() / outputs, outputs, true);
    ordered.set(weight, true);
    ordered
}

/// What a forward pass could have kept: z, or a(z), for z in [−3, 3).
fn kept_values(a: Activation, len: usize) -> Vec<f32> {
    let z = random(6, len).into_iter().map(|z| 3.0 * z);
    z.map(|z| if a.keeps_preactivation() { z } else { a.apply(z) }).collect()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn linear_backward_weight_matches_its_twin() {
    let rig = Rig::get();
    for (rows, inputs, outputs) in SHAPES {
        for accumulate in [false, true] {
            let (dz, x) = (random(7, rows * outputs), random(8, rows * inputs));
            let shape = LinearShape::new(inputs, outputs);
            let before = random(10, outputs * inputs.max(1));
            let prior = |content| {
                if accumulate { Arg::Updated(content) } else { Arg::Written(<[f32]>::len(content)) }
            };
            let runs = rig.run(
                &LINEAR_BACKWARD_WEIGHT,
                &[],
                shape.backward_weight_grid(),
                &StepUniform { accumulate: u32::from(accumulate), ..batch_of(rows) },
                &[("shape", rig.uniform(&shape))],
                &[
                    ("gradient_output", Arg::Read(&dz)),
                    ("input", Arg::Read(&x)),
                    ("gradient_weight", prior(&before)),
                    ("gradient_bias", prior(&before[..outputs])),
                ],
            );
            let twin = |dz: &[f64], x: &[f64], before: &[f64]| {
                let (mut dw, mut db) = (before.to_vec(), before[..outputs].to_vec());
                let mut storage = vec![[0.0; TILE_COLUMNS]; Right::<f64>::len(rows, inputs)];
                let input = Panels::pack(Matrix::new(x, inputs), &mut storage);
                let panels = &mut vec![[0.0; TILE_ROWS]; outputs.div_ceil(TILE_ROWS) * rows];
                let gradient = WeightGradient { first: 0, weight: &mut dw, bias: &mut db, panels };
                linear_backward_weight(accumulate, dz, outputs, input, gradient);
                [dw, db]
            };
            let want = twin(&widen(&dz), &widen(&x), &widen(&before));
            let size = twin(&magnitudes(&dz), &magnitudes(&x), &magnitudes(&before));
            for run in runs {
                for ((got, want), size) in run.iter().zip(&want).zip(&size) {
                    assert_within(got, want, |i| gamma(rows + 1) * size[i]);
                }
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn activation_backward_matches_its_twin() {
    let rig = Rig::get();
    for &a in Activation::ALL {
        for (rows, columns) in [(1, 1), (7, 9), (64, 65)] {
            let (kept, dy) = (kept_values(a, rows * columns), random(9, rows * columns));
            let shape = ActivationShape::new(word(columns));
            let epilogue = plain(a).uniform(0);
            let runs = rig.run(
                &ACTIVATION_BACKWARD,
                &plain(a).choices(),
                shape.grid(),
                &batch_of(rows),
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
                &[("kept", Arg::Read(&kept)), ("gradient", Arg::Updated(&dy))],
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
        for (rows, columns) in [(1, 1), (7, 9), (64, 65)] {
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

/// Large arguments must not overflow inside a builtin, and small ones keep the bound.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn activations_hold_their_bound_over_the_whole_range() {
    let rig = Rig::get();
    let magnitudes = [0.0, 1e-6, 1e-3, 0.1, 0.9, 2.0, 5.0, 9.0, 11.0, 30.0, 88.0, 100.0, 1e4];
    let z: Vec<f32> = magnitudes.into_iter().flat_map(|z| [z, -z]).collect();
    let len = z.len();
    for &a in Activation::ALL {
        let keeps = a.keeps_preactivation();
        let offset = len.next_multiple_of(TENSOR_ALIGN);
        let shape = LinearShape::new(1, 1);
        let epilogue = plain(a).uniform(offset);
        let zeros = vec![0.0; offset + len];
        let runs = rig.run(
            &LINEAR_FORWARD,
            &plain(a).choices(),
            shape.forward_grid(),
            &batch_of(len),
            &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
            &[
                ("input", Arg::Read(&z)),
                ("weight", Arg::Read(&[1.0])),
                ("bias", Arg::Read(&[0.0])),
                ("output", if keeps { Arg::Updated(&zeros) } else { Arg::Written(len) }),
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
    let shape = LinearShape::new(1, 1);
    // Y, padding and Z: those that keep Z write both.
    let zeros = [0.0; 65];
    for &a in Activation::ALL {
        let epilogue = plain(a).uniform(64);
        let runs = rig.run(
            &LINEAR_FORWARD,
            &plain(a).choices(),
            shape.forward_grid(),
            &batch_of(1),
            &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue))],
            &[
                ("input", Arg::Read(&[f32::NAN])),
                ("weight", Arg::Read(&[1.0])),
                ("bias", Arg::Read(&[0.0])),
                ("output", Arg::Updated(&zeros)),
            ],
        );
        assert!(runs.iter().all(|run| run[0][0].is_nan()), "{a}: {runs:?}");
    }
}
