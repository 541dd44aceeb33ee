//! How many steps fit a frame: the time of a step, estimated from measurements, against a budget.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Measurements whose median is the estimate.
const WINDOW: usize = 5;
/// First measurements that are left out, as the driver still compiles in them.
const WARM_UP: usize = 1;
/// The longest time for which calls with a budget record nothing, however short the budget is.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);

/// The time of a part of a step, and what earlier budgets have left over.
#[derive(Debug)]
pub(crate) struct Pacing {
    /// The newest measurements in seconds of a part, oldest first.
    measured: VecDeque<f64>,
    /// Measurements still to leave out.
    warm_up: usize,
    /// Seconds of earlier budgets that were too short for a step.
    saved: f64,
    /// Since when budgets have been too short.
    silent_since: Option<Instant>,
}

impl Pacing {
    pub(crate) fn new() -> Self {
        Self {
            measured: VecDeque::with_capacity(WINDOW),
            warm_up: WARM_UP,
            saved: 0.0,
            silent_since: None,
        }
    }

    /// Takes note of the seconds that a part of a recorded step took on the device.
    pub(crate) fn observe(&mut self, seconds: f64) {
        if self.warm_up > 0 {
            self.warm_up -= 1;
            return;
        }
        if self.measured.len() == WINDOW {
            self.measured.pop_front();
        }
        self.measured.push_back(seconds);
    }

    /// Replaces all measurements with this one.
    pub(crate) fn replace(&mut self, seconds: f64) {
        *self = Self { warm_up: 0, ..Self::new() };
        self.observe(seconds);
    }

    /// Seconds that a part of a step takes on the device: the median of the newest measurements, of an
    /// even number the lower of the two in the middle, so that two suffice to get over one outlier.
    pub(crate) fn part_seconds(&self) -> Option<f64> {
        let mut sorted = [0.0; WINDOW];
        let count = self.measured.len();
        for (place, seconds) in sorted.iter_mut().zip(&self.measured) {
            *place = *seconds;
        }
        let sorted = &mut sorted[..count];
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(count.checked_sub(1)? / 2).copied()
    }

    /// How many steps of `parts` parts a budget pays for at the time `now`: one while the time of a step
    /// isn't known, none for no time. If a step is longer than the budget, one comes as soon as the saved
    /// budgets pay for it, or when there has been none for [`LONGEST_SILENCE`].
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a frame has few steps"
    )]
    pub(crate) fn affordable(&mut self, budget: Duration, parts: usize, now: Instant) -> u64 {
        if budget.is_zero() {
            return 0;
        }
        let Some(part_seconds) = self.part_seconds() else { return 1 };
        let step = part_seconds * parts as f64;
        let budget = budget.as_secs_f64();
        if step <= budget {
            (self.saved, self.silent_since) = (0.0, None);
            return (budget / step) as u64;
        }
        self.saved += budget;
        let silent_since = *self.silent_since.get_or_insert(now);
        if self.saved < step && now.duration_since(silent_since) < LONGEST_SILENCE {
            return 0;
        }
        self.saved = (self.saved - step).max(0.0);
        self.silent_since = None;
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);
    const BUDGET: Duration = Duration::from_millis(4);

    /// Frames at 60 a second: how many steps each records. After each frame with steps `observe` is called.
    fn frames(count: u32, pacing: &mut Pacing, mut observe: impl FnMut(&mut Pacing)) -> Vec<u64> {
        let start = Instant::now();
        let frame = |index| {
            let steps = pacing.affordable(BUDGET, 1, start + FRAME * index);
            if steps > 0 {
                observe(pacing);
            }
            steps
        };
        (0..count).map(frame).collect()
    }

    /// With timestamps: 10 s of compiling in the first measurement don't hold up the steps after it.
    #[test]
    fn compiling_in_the_first_measurement_is_left_out() {
        let mut pacing = Pacing::new();
        let mut times = [10.0].into_iter().chain(std::iter::repeat(1e-3));
        let steps = frames(10, &mut pacing, |pacing| pacing.observe(times.next().unwrap()));
        assert_eq!(steps, [1, 1, 4, 4, 4, 4, 4, 4, 4, 4]);
    }

    /// A second outlier costs a second at most, since a step a second is recorded whatever the estimate.
    #[test]
    fn an_outlier_is_outvoted_within_a_second() {
        let mut pacing = Pacing::new();
        let mut times = [10.0, 10.0].into_iter().chain(std::iter::repeat(1e-3));
        let steps = frames(80, &mut pacing, |pacing| pacing.observe(times.next().unwrap()));
        let silence = steps.iter().skip(2).take_while(|&&steps| steps == 0).count();
        assert!((60..=63).contains(&silence), "{silence} frames of 16 ms are silent: {steps:?}");
        assert_eq!(steps[2 + silence..][..3], [1, 4, 4]);
        // In a full window two of five count for nothing.
        (0..WINDOW).for_each(|_| pacing.observe(1e-3));
        (0..2).for_each(|_| pacing.observe(10.0));
        assert_eq!(pacing.part_seconds(), Some(1e-3));
    }

    /// Without timestamps: 10 s as the one measurement still leave a step a second, until the next
    /// measurement takes its place.
    #[test]
    fn a_wrong_measurement_is_replaced() {
        let mut pacing = Pacing::new();
        pacing.replace(10.0);
        let steps = frames(400, &mut pacing, |_| {});
        let seconds = FRAME.as_secs_f64() * 400.0;
        let total: u64 = steps.iter().sum();
        assert!((5..=7).contains(&total), "{total} steps in {seconds} s");
        let longest = steps.split(|&steps| steps > 0).map(<[u64]>::len).max();
        assert!(longest <= Some(63), "{longest:?} frames of 16 ms are silent");
        pacing.replace(1e-3);
        assert_eq!(frames(3, &mut pacing, |_| {}), [4, 4, 4]);
    }

    #[test]
    fn budgets_too_short_are_saved() {
        let mut pacing = Pacing::new();
        let (budget, now) = (Duration::from_millis(500), Instant::now());
        assert_eq!(pacing.affordable(budget, 1, now), 1, "the time is not known yet");
        assert_eq!(pacing.affordable(Duration::ZERO, 1, now), 0);
        pacing.replace(0.25);
        let mut steps = |parts| pacing.affordable(budget, parts, now);
        assert_eq!([steps(1), steps(2), steps(3)], [2, 1, 0]);
        // 0.75 s a step: 0.5 + 0.5 − 0.75 = 0.25, + 0.5 − 0.75 = 0, …
        assert_eq!([(); 6].map(|()| steps(3)), [1, 1, 0, 1, 1, 0]);
    }
}
