//! Which rows of the data set make a batch.
//!
//! Nothing is stored or uploaded: the row at a position is computed where it is needed, on the host
//! or on the device (`shaders/sample.wgsl`), from the seed, the epoch and the position.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::{Purpose, Stream, philox4x32, words};

/// How training walks the data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sampling {
    /// Every row once per epoch, in a new random order each epoch
    /// (`DataLoader(shuffle=True)`).
    #[default]
    Shuffled,
    /// Every row of every batch drawn uniformly and independently
    /// (`RandomSampler(replacement=True)`); an epoch has as many steps as a shuffled one.
    Replacement,
    /// Every row once per epoch, in the order of the data set.
    Sequential,
}

impl std::str::FromStr for Sampling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "shuffled" => Ok(Self::Shuffled),
            "replacement" => Ok(Self::Replacement),
            "sequential" => Ok(Self::Sequential),
            _ => Err(Error::Option {
                name: "sampling",
                value: format!("\"{text}\""),
                expected: "shuffled, replacement or sequential",
            }),
        }
    }
}

/// Rounds of the permutation's Feistel network.
pub(crate) const FEISTEL_ROUNDS: usize = 8;

/// The rule that maps a position in the epoch to a row of a data set of `rows` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// row = position.
    Sequential,
    /// row = π(position), a keyed permutation of the rows.
    Shuffled { keys: [u32; FEISTEL_ROUNDS] },
    /// row = ⌊u·rows⌋ with u drawn from (seed, step, position in the batch).
    Replacement { seed: u64, step: u64 },
}

impl Order {
    /// The order of a step (counted from 1) in an epoch (counted from 0).
    #[expect(clippy::cast_possible_truncation, reason = "2³² epochs repeat no sooner than needed")]
    pub(crate) fn new(sampling: Sampling, seed: u64, epoch: u64, step: u64) -> Self {
        match sampling {
            Sampling::Sequential => Self::Sequential,
            Sampling::Replacement => Self::Replacement { seed, step },
            Sampling::Shuffled => {
                let mut stream = Stream::new(seed, Purpose::Shuffle, epoch as u32);
                let ([a, b, c, d], [e, f, g, h]) = (stream.bits(), stream.bits());
                Self::Shuffled { keys: [a, b, c, d, e, f, g, h] }
            }
        }
    }

    /// The value of `step.order` in `shaders/sample.wgsl`.
    pub(crate) const fn code(&self) -> u32 {
        match self {
            Self::Sequential => 0,
            Self::Shuffled { .. } => 1,
            Self::Replacement { .. } => 2,
        }
    }

    /// The row for element `index` of the batch whose first position in the epoch is `first`.
    pub(crate) fn row(&self, rows: u32, first: u32, index: u32) -> u32 {
        match *self {
            Self::Sequential => first + index,
            Self::Shuffled { ref keys } => permute(first + index, rows, keys),
            Self::Replacement { seed, step } => {
                let [low, high] = words(step);
                let [u, ..] = philox4x32([index, low, high, Purpose::Draw as u32], words(seed));
                // The high half of the product: below `rows`, biased by at most rows / 2³².
                words(u64::from(u) * u64::from(rows))[1]
            }
        }
    }
}

/// Bits of each half of the Feistel network whose domain 2^(2·bits) is the smallest to cover `rows`.
pub(crate) fn half_bits(rows: u32) -> u32 {
    (32 - rows.saturating_sub(1).leading_zeros()).div_ceil(2).max(1)
}

/// π(position): a permutation of 0..rows.
///
/// A Feistel network permutes a power-of-four domain of at most 4·rows elements; positions that
/// land outside 0..rows are sent through again until they land inside (cycle walking, Black and
/// Rogaway 2002), fewer than four times on average.
fn permute(position: u32, rows: u32, keys: &[u32; FEISTEL_ROUNDS]) -> u32 {
    let half = half_bits(rows);
    let mask = (1 << half) - 1;
    let mut x = position;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for key in keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        x = left << half | right;
        if x < rows {
            return x;
        }
    }
}

/// The finaliser of MurmurHash3 (Appleby 2011): every input bit moves every output bit.
fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::cases;

    proptest! {
        #![proptest_config(cases(2000))]

        #[test]
        fn rows_of_any_number_are_permuted(
            seed: u64,
            epoch: u64,
            (rows, one, other) in (2..=u32::MAX).prop_flat_map(|n| (Just(n), 0..n, 0..n)),
        ) {
            let order = Order::new(Sampling::Shuffled, seed, epoch, 1);
            let [a, b] = [one, other].map(|position| order.row(rows, position, 0));
            prop_assert!(a < rows && b < rows);
            prop_assert_eq!(a == b, one == other);
        }
    }

    #[test]
    fn every_row_comes_once_per_epoch() {
        for rows in [1, 2, 3, 4, 5, 15, 16, 17, 64, 65, 1797, 70_001] {
            let order = Order::new(Sampling::Shuffled, 5, 2, 1);
            let mut seen = vec![false; rows as usize];
            for position in 0..rows {
                let row = order.row(rows, position, 0) as usize;
                assert!(!seen[row], "row {row} of {rows} comes twice");
                seen[row] = true;
            }
        }
    }

    #[test]
    fn every_row_comes_to_every_place_equally_often() {
        // χ² of 16 rows × 16 places. Rows and columns of the counts sum to the epochs, so it is
        // 16/15 times a χ² with 15·15 degrees of freedom: mean 240, deviation 22.6; five of these.
        let (rows, epochs) = (16_u32, 4096_u32);
        let mut counts = vec![0_u32; 256];
        for epoch in 0..epochs {
            let order = Order::new(Sampling::Shuffled, 9, u64::from(epoch), 1);
            for position in 0..rows {
                counts[(position * rows + order.row(rows, position, 0)) as usize] += 1;
            }
        }
        let expected = f64::from(epochs) / f64::from(rows);
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        assert!((240.0 - 113.0..=240.0 + 113.0).contains(&chi2), "χ² = {chi2}");
    }

    #[test]
    fn neighbours_do_not_stay_neighbours() {
        // A random permutation sends a position next to its neighbour's place about twice in all.
        let order = Order::new(Sampling::Shuffled, 1, 0, 1);
        let rows = 10_000;
        let close = (1..rows)
            .filter(|&p| order.row(rows, p, 0).abs_diff(order.row(rows, p - 1, 0)) == 1)
            .count();
        assert!(close <= 10, "{close} neighbours");
    }

    #[test]
    fn draws_with_replacement_are_uniform() {
        let (rows, draws) = (10_u32, 100_000_u32);
        let mut counts = [0_u32; 10];
        for step in 0..draws / 100 {
            let order = Order::new(Sampling::Replacement, 3, 0, u64::from(step));
            (0..100).for_each(|i| counts[order.row(rows, 0, i) as usize] += 1);
        }
        let expected = f64::from(draws) / f64::from(rows);
        for count in counts {
            assert!(
                (f64::from(count) - expected).abs() <= 4.0 * (expected * 0.9).sqrt(),
                "{counts:?}"
            );
        }
    }
}
