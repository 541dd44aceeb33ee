//! Encodings, forward and back.

use super::{U, batch_of, random, widen, word};
use crate::activation::Activation;
use crate::encoding::Encoding;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::ops::encoding::{
    ENCODING_BACKWARD, ENCODING_FORWARD, EncodingShape, encoding_backward, encoding_forward,
};
use crate::ops::epilogue::Epilogue;
use crate::plan::TENSOR_ALIGN;
use crate::testing::{assert_within, gamma};

/// With values of one to many, odd ones among them, and the most octaves and bins.
const ENCODINGS: [Encoding; 9] = [
    Encoding::frequency(1),
    Encoding::frequency(5),
    Encoding::frequency(Encoding::MAX_OCTAVES),
    Encoding::triangle_wave(1),
    Encoding::triangle_wave(7),
    Encoding::triangle_wave(Encoding::MAX_OCTAVES),
    Encoding::one_blob(1),
    Encoding::one_blob(33),
    Encoding::one_blob(Encoding::MAX_BINS),
];

/// Rows and inputs: ones, more rows than a workgroup takes, rows of more than a workgroup.
const SHAPES: [(usize, usize); 6] = [(1, 1), (3, 1), (130, 1), (5, 3), (33, 2), (2, 67)];

/// Zeros, crests, kinks and what lies far outside, then numbers in [−0.25, 1.25).
fn inputs(len: usize) -> Vec<f32> {
    let special = [0.0, 1.0, -1.0, 0.5, 0.25, -0.75, 1e4, -1e4, 12_345.678, 3.0, 1e-6, -0.5];
    // Shapes of one element get one that shows.
    let special = if len == 1 { &[0.3] } else { &special[..] };
    let others = random(21, len).into_iter().map(|x| 0.5 + 0.75 * x);
    special.iter().copied().chain(others).take(len).collect()
}

/// Error of `encode(x, value)` in f32.
pub(crate) fn value_error(encoding: Encoding, x: f64, value: u32) -> f64 {
    let y = encoding.apply(x, value).abs();
    match encoding {
        Encoding::Frequency { .. } => sine_error(y, slope_of_sine(encoding, x, value)),
        // Twice an angle that is rounded once at most.
        Encoding::TriangleWave { .. } => U * y,
        Encoding::OneBlob { bins } => blob_error(blob(x, bins, value)),
    }
}

/// Error of `encode_derivative(x, value)` in f32.
fn derivative_error(encoding: Encoding, x: f64, value: u32) -> f64 {
    match encoding {
        // The sine in between, and the roundings of π and of two products.
        Encoding::Frequency { .. } => {
            let scale = f64::powf(2.0, f64::from(value / 2)) * std::f64::consts::PI;
            let sine = slope_of_sine(encoding, x, value);
            scale * (sine_error(sine, encoding.apply(x, value).abs()) + 3.0 * U * sine)
        }
        // A power of two.
        Encoding::TriangleWave { .. } => 0.0,
        // B·(z·y).
        Encoding::OneBlob { bins } => {
            let at = blob(x, bins, value);
            let [y, error] = [at.value, blob_error(at)];
            let z = at.distance;
            f64::from(bins) * (z * error + at.distance_error * (y + error) + 2.0 * U * z * y)
        }
    }
}

/// |cos πa| where the value is sin πa.
fn slope_of_sine(encoding: Encoding, x: f64, value: u32) -> f64 {
    let scale = f64::powf(2.0, f64::from(value / 2)) * std::f64::consts::PI;
    (encoding.derivative(x, value) / scale).abs()
}

/// Error of the sine of an angle: of `sin_pi`, and of the angle's own rounding where it is ½ − |r|.
///
/// In x·(π + s·tail) the tail is within 1.4U of its size, s and the product add 2U, and s·tail is at
/// most 0.57 of the sum: 2U. The sum rounds by U, as does the last product; the coefficients are off
/// by 0.5U.
fn sine_error(sine: f64, slope: f64) -> f64 {
    5.0 * U * sine + std::f64::consts::PI * f64::powi(2.0, -26) * slope
}

/// A value of a one-blob with |z|, and the error of that.
#[derive(Clone, Copy)]
struct Blob {
    distance: f64,
    distance_error: f64,
    value: f64,
}

fn blob(x: f64, bins: u32, bin: u32) -> Blob {
    let scaled = f64::from(bins) * x;
    let distance = (f64::from(bin) + 0.5 - scaled).abs();
    let distance_error = U * scaled.abs() + U * distance;
    Blob { distance, distance_error, value: (-0.5 * distance * distance).exp() }
}

fn blob_error(Blob { distance: z, distance_error, value: y }: Blob) -> f64 {
    let at = |z: f64| (-0.5 * z * z).exp();
    let moved = (at((z - distance_error).max(0.0)) - y).max(y - at(z + distance_error));
    // The square's rounding, and 3 + 2·z²/2 ULP of exp.
    moved + (y + moved) * (U * z * z + 2.0 * U * (3.0 + z * z))
}

fn columns_of(encoding: Encoding, inputs: usize) -> usize {
    inputs * encoding.values()
}

/// Twin of the forward pass without an epilogue.
fn encoded(encoding: Encoding, x: &[f32]) -> Vec<f64> {
    let mut y = vec![0.0; columns_of(encoding, x.len())];
    encoding_forward(encoding, &widen(x), &mut y);
    y
}

/// Whether a test can afford a shape: the most bins only in few rows.
fn is_affordable(encoding: Encoding, (rows, inputs): (usize, usize)) -> bool {
    rows * columns_of(encoding, inputs) <= 1 << 14
}

/// Runs the forward kernel behind which `activation` follows; `output` is Y, and Z behind it.
fn run_forward(
    encoding: Encoding,
    activation: Activation,
    (rows, inputs): (usize, usize),
    x: &[f32],
) -> [Vec<f32>; 2] {
    let rig = Rig::get();
    let len = rows * columns_of(encoding, inputs);
    let offset = len.next_multiple_of(TENSOR_ALIGN);
    let shape = EncodingShape::forward(encoding, word(inputs));
    let epilogue = Epilogue { activation, dropout: None };
    let [code, dropout] = epilogue.choices();
    let zeros = vec![0.0; offset + len];
    let keeps = activation.keeps_preactivation();
    let runs = rig.run(
        &ENCODING_FORWARD,
        &[code, dropout, f64::from(encoding.code())],
        shape.forward_grid(),
        &batch_of(rows),
        &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue.uniform(offset)))],
        &[
            ("input", Arg::Read(x)),
            ("output", if keeps { Arg::Updated(&zeros) } else { Arg::Written(len) }),
        ],
    );
    runs.map(|mut run| run.swap_remove(0))
}

/// Runs the backward kernel.
fn run_backward(
    encoding: Encoding,
    (rows, inputs): (usize, usize),
    dz: &[f32],
    x: &[f32],
) -> [Vec<f32>; 2] {
    let rig = Rig::get();
    let shape = EncodingShape::backward(encoding, word(inputs));
    let runs = rig.run(
        &ENCODING_BACKWARD,
        &[f64::from(encoding.code())],
        shape.backward_grid(),
        &batch_of(rows),
        &[("shape", rig.uniform(&shape))],
        &[
            ("gradient_output", Arg::Read(dz)),
            ("input", Arg::Read(x)),
            ("gradient_input", Arg::Written(rows * inputs)),
        ],
    );
    runs.map(|mut run| run.swap_remove(0))
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn encoding_forward_matches_its_twin() {
    for encoding in ENCODINGS {
        let values = encoding.values();
        for shape in SHAPES.into_iter().filter(|&shape| is_affordable(encoding, shape)) {
            let x = inputs(shape.0 * shape.1);
            let want = encoded(encoding, &x);
            let error =
                |i: usize| value_error(encoding, f64::from(x[i / values]), word(i % values));
            for run in run_forward(encoding, Activation::Identity, shape, &x) {
                assert_within(&run, &want, error);
            }
            let mut single = vec![0.0; want.len()];
            encoding_forward(encoding, &x, &mut single);
            assert_within(&single, &want, error);
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn an_activation_follows_an_encoding() {
    use super::activations::{activation_error, lipschitz};
    let shape = (7, 3);
    for encoding in [Encoding::frequency(3), Encoding::one_blob(5), Encoding::triangle_wave(3)] {
        let values = encoding.values();
        let x = inputs(shape.0 * shape.1);
        let z = encoded(encoding, &x);
        let error = |i: usize| value_error(encoding, f64::from(x[i / values]), word(i % values));
        for activation in [Activation::Relu, Activation::Gelu] {
            let y: Vec<f64> = z.iter().map(|&z| activation.apply(z)).collect();
            for run in run_forward(encoding, activation, shape, &x) {
                assert_within(&run[..y.len()], &y, |i| {
                    lipschitz(activation) * error(i) + activation_error(activation, z[i])
                });
                if activation.keeps_preactivation() {
                    assert_within(&run[run.len() - z.len()..], &z, error);
                }
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn encoding_backward_matches_its_twin() {
    for encoding in ENCODINGS {
        let values = encoding.values();
        for shape in SHAPES.into_iter().filter(|&shape| is_affordable(encoding, shape)) {
            let x = inputs(shape.0 * shape.1);
            let dz = random(22, x.len() * values);
            let mut want = vec![0.0; x.len()];
            encoding_backward(encoding, &widen(&dz), &widen(&x), &mut want);
            // Each term's own error, and that of the products and the sum (Higham, ch. 3).
            let error = |i: usize| {
                let x = f64::from(x[i]);
                let terms = (0..).zip(&dz[i * values..][..values]);
                let terms = terms.map(|(value, &dz)| {
                    let error = derivative_error(encoding, x, value);
                    let size = encoding.derivative(x, value).abs() + error;
                    f64::from(dz.abs()) * (error + gamma(values) * size)
                });
                terms.sum::<f64>()
            };
            for run in run_backward(encoding, shape, &dz, &x) {
                assert_within(&run, &want, error);
            }
            let mut single = vec![0.0; want.len()];
            encoding_backward(encoding, &dz, &x, &mut single);
            assert_within(&single, &want, error);
        }
    }
}

/// A NaN among the inputs must reach the loss, and what is infinite has no place on a wave.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn inputs_that_are_no_numbers_show() {
    let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let shape = (3, 1);
    for encoding in [Encoding::frequency(3), Encoding::one_blob(5), Encoding::triangle_wave(5)] {
        let values = encoding.values();
        let (mut y, mut dx) = (vec![0.0; 3 * values], vec![0.0; 3]);
        let dz = vec![1.0; 3 * values];
        encoding_forward(encoding, &x, &mut y);
        encoding_backward(encoding, &dz, &x, &mut dx);
        let forward = run_forward(encoding, Activation::Identity, shape, &x);
        for y in forward.into_iter().chain([y]) {
            for (row, y) in y.chunks_exact(values).enumerate() {
                let far = matches!(encoding, Encoding::OneBlob { .. }) && row > 0;
                let fits = |y: &f32| if far { *y == 0.0 } else { y.is_nan() };
                assert!(y.iter().all(fits), "{encoding} of {}: {y:?}", x[row]);
            }
        }
        // A triangle's slope is one of two numbers, as ReLU's.
        let slope = matches!(encoding, Encoding::TriangleWave { .. });
        for dx in run_backward(encoding, shape, &dz, &x).into_iter().chain([dx]) {
            assert!(slope || dx.iter().all(|dx| dx.is_nan()), "{encoding}: {dx:?}");
        }
    }
}
