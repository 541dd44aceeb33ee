//! The one source of randomness: Philox4x32-10, a counter-based generator.
//!
//! A draw is a pure function of (key, counter), so any element of any stream can be computed on its
//! own, on the host and on the device alike, and nothing but the seed needs saving.
//! `shaders/philox.wgsl` is the same function.
//!
//! Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011).

use pulp::{Scalar, Simd};

/// Multipliers of the two products of a round.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What the key grows by each round: the golden ratio and √3 − 1 as 32-bit fractions.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// 128 random bits for `counter` under `key`.
///
/// ```
/// // The published test vector for an all-zero counter and key.
/// assert_eq!(
///     wgrad::rng::philox4x32([0; 4], [0; 2]),
///     [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
/// );
/// ```
#[must_use]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    philox4x32_vectors(Scalar::new(), counter, key)
}

/// [`philox4x32`] of as many counters at once as a vector register has lanes, given and returned word
/// by word.
#[inline(always)]
pub(crate) fn philox4x32_vectors<S: Simd>(
    simd: S,
    [mut a, mut b, mut c, mut d]: [S::u32s; 4],
    mut key: [u32; 2],
) -> [S::u32s; 4] {
    let multipliers = MULTIPLIERS.map(|multiplier| simd.splat_u32s(multiplier));
    for _ in 0..ROUNDS {
        let (low0, high0) = simd.widening_mul_u32s(multipliers[0], a);
        let (low1, high1) = simd.widening_mul_u32s(multipliers[1], c);
        let mixed =
            |high, word, key| simd.xor_u32s(high, simd.xor_u32s(word, simd.splat_u32s(key)));
        [a, b, c, d] = [mixed(high1, b, key[0]), low1, mixed(high0, d, key[1]), low0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    [a, b, c, d]
}

/// Low and high word of a 64-bit number, the order in which the device gets them.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
#[must_use]
pub const fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// What a stream of numbers is for. Streams of different purposes never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial values of a parameter tensor.
    Init = 1,
    /// Round keys of an epoch's permutation.
    Shuffle = 2,
    /// Rows drawn with replacement.
    Draw = 3,
    /// The split of a data set into training, validation and test part.
    Split = 4,
    /// Synthetic data sets.
    Synthetic = 5,
    /// Dropout masks.
    Dropout = 6,
    /// What a function of the host app makes on the device.
    Generate = 7,
    /// Rows that a finished net is looked at with, and columns that are shuffled to see what they tell it.
    Inspect = 8,
    /// Trials of a search for hyper-parameters.
    Sweep = 9,
}

/// A reproducible stream of random numbers: (seed, purpose, index) names it.
///
/// ```
/// use wgrad::rng::{Purpose, Stream};
/// let draw = || Stream::new(7, Purpose::Synthetic, 0).uniform();
/// assert_eq!(draw(), draw());
/// assert!((0.0..1.0).contains(&draw()));
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    purpose: Purpose,
    index: u32,
    position: u64,
}

impl Stream {
    /// Stream number `index` of a purpose under a seed.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, index: u32) -> Self {
        Self { key: words(seed), purpose, index, position: 0 }
    }

    /// The next 128 bits.
    pub fn bits(&mut self) -> [u32; 4] {
        let [low, high] = words(self.position);
        self.position += 1;
        philox4x32([low, high, self.index, self.purpose as u32], self.key)
    }

    /// The next number uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        let [a, b, ..] = self.bits();
        unit_interval(a, b)
    }

    /// The next number of the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let [a, b, c, d] = self.bits();
        // 1 − u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - unit_interval(a, b)).ln()).sqrt();
        radius * (std::f64::consts::TAU * unit_interval(c, d)).cos()
    }

    /// A number uniform in 0..n (`n` > 0), with a bias below n / 2⁶⁴.
    #[expect(clippy::cast_possible_truncation, reason = "the high half is below n")]
    pub fn below(&mut self, n: u32) -> u32 {
        let [a, b, ..] = self.bits();
        ((u128::from(u64::from(a) << 32 | u64::from(b)) * u128::from(n)) >> 64) as u32
    }

    /// Shuffles in place (Fisher and Yates; Durstenfeld 1964). At most 2³² elements.
    #[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// 53 of 64 random bits as a number in [0, 1).
fn unit_interval(high: u32, low: u32) -> f64 {
    let bits = u64::from(high) << 32 | u64::from(low);
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let fraction = (bits >> 11) as f64;
    fraction * f64::powi(2.0, -53)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that Random123 publishes (`kat_vectors`, philox 4x32 10).
    #[test]
    fn agrees_with_the_published_vectors() {
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let n = 100_000;
        let mut stream = Stream::new(3, Purpose::Init, 0);
        let uniform: Vec<f64> = (0..n).map(|_| stream.uniform()).collect();
        let normal: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / f64::from(n);
        let variance = |v: &[f64]| {
            let centre = mean(v);
            v.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / f64::from(n)
        };
        // Four standard errors: σ/√n for a mean, σ²·√((κ−1)/n) for a variance (kurtosis κ 1.8 and 3).
        let errors = f64::from(n).sqrt();
        assert!((mean(&uniform) - 0.5).abs() <= 4.0 * (1.0_f64 / 12.0).sqrt() / errors);
        assert!((variance(&uniform) - 1.0 / 12.0).abs() <= 4.0 / 12.0 * 0.8_f64.sqrt() / errors);
        assert!(mean(&normal).abs() <= 4.0 / errors);
        assert!((variance(&normal) - 1.0).abs() <= 4.0 * 2.0_f64.sqrt() / errors);
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..1000).collect();
        Stream::new(1, Purpose::Split, 0).shuffle(&mut items);
        assert_ne!(items, (0..1000).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..1000).collect::<Vec<_>>());
    }
}
