//! How often to repeat what is timed.

use std::time::Instant;

use crate::error::Result;

/// Samples whose median counts.
const SAMPLES: usize = 7;

/// What repeated timing found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Samples {
    /// Seconds of one repetition: the median of the samples.
    pub seconds: f64,
    /// The slowest sample minus the fastest, as a share of the median; 0 of a single sample.
    pub spread: f64,
    /// How many samples there was time for.
    pub count: usize,
}

impl Samples {
    /// Takes samples for about `seconds`, each of at most `longest` where a repetition doesn't take
    /// longer; one where there is no time for more. `timed` says how long so many repetitions take.
    pub(crate) fn take(
        seconds: f64,
        longest: f64,
        mut timed: impl FnMut(u64) -> Result<f64>,
    ) -> Result<Self> {
        // The first finds everything cold, kernels not compiled among it.
        timed(1)?;
        let start = Instant::now();
        let mut repetitions = 1;
        let mut last = timed(repetitions)?;
        let each = (seconds / (SAMPLES + 1) as f64).min(longest);
        while last < each / 2.0 {
            let growth = (each / last.max(1e-9)).clamp(2.0, 10.0);
            repetitions = times(repetitions, growth);
            last = timed(repetitions)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2⁵² repetitions")]
        let one = |seconds: f64| seconds / repetitions as f64;
        let mut samples = vec![one(last)];
        while samples.len() < SAMPLES && start.elapsed().as_secs_f64() < seconds {
            samples.push(one(timed(repetitions)?));
        }
        Ok(Self::of(samples))
    }

    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let count = samples.len();
        let seconds = samples[count / 2];
        Self { seconds, spread: (samples[count - 1] - samples[0]) / seconds, count }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, rounded down on purpose"
)]
fn times(count: u64, growth: f64) -> u64 {
    (count as f64 * growth) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_one_repetition() {
        let mut calls = 0;
        let mut noise = [1.0, 1.3, 0.8, 1.1, 0.9].into_iter().cycle();
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let samples = Samples::take(8.0, f64::INFINITY, |repetitions| {
            calls += 1;
            Ok(1e-3 * repetitions as f64 * noise.next().unwrap_or(1.0))
        })
        .unwrap();
        assert_eq!(samples.count, SAMPLES);
        assert!((0.9e-3..=1.1e-3).contains(&samples.seconds), "{samples:?}");
        assert!((0.3..=0.6).contains(&samples.spread), "{samples:?}");
        assert!(calls < 20, "{calls} calls");
    }

    #[test]
    fn what_takes_too_long_is_timed_once() {
        let mut calls = 0;
        let samples = Samples::take(0.01, 0.1, |_| {
            calls += 1;
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(5.0)
        })
        .unwrap();
        // Cold and warm.
        assert_eq!((calls, samples.count, samples.seconds, samples.spread), (2, 1, 5.0, 0.0));
    }

    #[test]
    fn no_sample_is_longer_than_asked() {
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        Samples::take(100.0, 0.1, |repetitions| {
            let seconds = 1e-3 * repetitions as f64;
            assert!(seconds <= 0.1, "{repetitions} repetitions");
            Ok(seconds)
        })
        .unwrap();
    }
}
