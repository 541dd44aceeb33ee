//! Every kernel against its twin, and every record against its WGSL.
//!
//! The twin runs in f64 on the kernel's own f32 inputs, so what differs is the kernel's rounding
//! alone. Each bound says where it comes from. For the builtins WGSL documents
//! exp: 3 + 2|x| ULP, log: 3 ULP or 2⁻²¹ absolute near 1, sin and cos: 2⁻¹¹ absolute on [−π, π],
//! division: 2.5 ULP, sqrt: as 1/inverseSqrt, 2 ULP and a division.

pub(crate) mod activations;
mod averages;
mod cooperative;
mod dropout;
pub(crate) mod encodings;
mod faults;
mod fused;
mod isa;
mod losses;
mod norms;
mod products;
mod pytorch_norms;
mod pytorch_updates;
mod records;
mod samples;
mod scaling;
mod translation;
mod updates;

use crate::ops::step::StepUniform;
use crate::rng::{Purpose, Stream};

/// Unit roundoff of f32: half a ULP of 1.
pub(crate) const U: f64 = f32::EPSILON as f64 / 2.0;

/// What losses are scaled with in these tests.
const SCALING: [f32; 3] = [8.0, 0.125, 3.0];

/// Rows, inputs and outputs that break things come first: ones, one below, at and above the products'
/// blocks of 16, 32 and 64 and the tile's depth of 16, primes, narrow ends. Where inputs, or inputs and
/// outputs, are multiples of four, matrices are read four numbers at a time as well.
const SHAPES: [(usize, usize, usize); 16] = [
    (1, 1, 1),
    (1, 7, 3),
    (2, 4, 4),
    (3, 8, 5),
    (5, 5, 4),
    (8, 12, 8),
    (15, 16, 17),
    (16, 64, 16),
    (17, 15, 16),
    (31, 33, 2),
    (32, 32, 32),
    (33, 31, 33),
    (63, 20, 68),
    (64, 257, 10),
    (66, 36, 64),
    (129, 2, 65),
];

/// Reproducible numbers uniform in [−1, 1).
pub(crate) fn random(stream: u32, len: usize) -> Vec<f32> {
    let mut stream = Stream::new(11, Purpose::Synthetic, stream);
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what kernels take")]
    (0..len).map(|_| (2.0 * stream.uniform() - 1.0) as f32).collect()
}

fn widen(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}

fn magnitudes(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x.abs())).collect()
}

fn batch_of(rows: usize) -> StepUniform {
    StepUniform { batch: u32::try_from(rows).unwrap(), ..StepUniform::default() }
}

/// A size as kernels take it.
pub(crate) fn word(n: usize) -> u32 {
    u32::try_from(n).unwrap()
}

/// Words as the rig takes every buffer, in numbers of the same bits.
fn from_words(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word)).collect()
}

fn to_words(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
