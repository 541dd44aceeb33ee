//! The loss over a growing learning rate: smoothed while it comes in, and what it says of the rate.
//!
//! Smoothed is the median of the losses around a step. It doesn't lag, as running averages do, which by
//! that name too large a rate; and a hard batch, or the first that explodes, hardly moves it.

use std::f64::consts::FRAC_PI_2;

/// Part of the steps that the median reaches to each side.
const REACH: usize = 40;
/// The steps that it reaches at least.
const LEAST_REACH: usize = 5;
/// And at most: each smoothed loss takes as many numbers.
const MOST_REACH: usize = 100;
/// The smoothed loss has diverged where it is so many times its lowest, and higher than it began.
const DIVERGED: f64 = 4.0;
/// Part of its whole fall by which the loss may lie above its lowest and still be low.
const LOW: f64 = 0.1;
/// What is suggested, of the largest rate at which the loss was low: far enough from the edge for batches
/// and stages of a training that are worse than those of the test.
const MARGIN: f64 = 0.1;
/// A fall is one if it is so much of the loss that it began with,
const LEAST_FALL: f64 = 0.01;
/// and so many standard errors of a smoothed loss. The lowest of some hundred that vary by chance is
/// two or three below the first in the median, six in two tests of a hundred.
const LEAST_ERRORS: f64 = 6.0;

/// Losses of steps, each taken before its step, with their learning rates.
#[derive(Debug)]
pub(super) struct Curve {
    /// Steps that a median reaches to each side.
    reach: usize,
    pub lrs: Vec<f64>,
    pub losses: Vec<f64>,
    /// The smoothed losses, as far as all that they smooth is known.
    pub smoothed: Vec<f64>,
    lowest: f64,
    /// Whether the loss has become so large that there is nothing more to learn.
    pub diverged: bool,
}

/// What a curve says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finding {
    /// No rate lowered the loss.
    Flat,
    /// The loss rises from the first rates on.
    Rises,
    Found(Found),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    /// To two digits.
    pub suggestion: f64,
    /// Learning rate with the lowest loss.
    pub lowest_lr: f64,
    /// The lowest smoothed loss.
    pub lowest: f64,
    /// The largest rate at which the loss was still low.
    pub edge: f64,
    /// Whether the loss rose behind it.
    pub rises: bool,
}

impl Curve {
    /// Of `steps` steps at most.
    pub(super) fn new(steps: u64) -> Self {
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        Self {
            reach: (steps / REACH).clamp(LEAST_REACH, MOST_REACH),
            lrs: Vec::new(),
            losses: Vec::new(),
            smoothed: Vec::new(),
            lowest: f64::INFINITY,
            diverged: false,
        }
    }

    /// Adds a step. What comes behind the divergence is left out: how much that is depends on how many
    /// steps were given to the device at once.
    pub(super) fn add(&mut self, lr: f64, loss: f64) {
        if self.diverged {
            return;
        }
        self.lrs.push(lr);
        self.losses.push(loss);
        if let Some(known) = self.losses.len().checked_sub(self.reach + 1) {
            self.smooth(known);
            let smoothed = self.smoothed[known];
            self.diverged = smoothed > DIVERGED * self.lowest && smoothed > self.start();
        }
    }

    /// Ends it: the last steps are smoothed with what there is.
    pub(super) fn end(&mut self) {
        (self.smoothed.len()..self.losses.len()).for_each(|step| self.smooth(step));
    }

    fn smooth(&mut self, step: usize) {
        let last = self.losses.len().min(step + self.reach + 1);
        let smoothed = median(&self.losses[step.saturating_sub(self.reach)..last]);
        self.lowest = self.lowest.min(smoothed);
        self.smoothed.push(smoothed);
    }

    /// The smoothed loss before any rate had an effect.
    pub(super) fn start(&self) -> f64 {
        median(&self.losses[..self.losses.len().min(2 * self.reach + 1)])
    }

    /// What it says once it has ended, with one step at least.
    pub(super) fn finding(&self) -> Finding {
        let start = self.start();
        let fall = start - self.lowest;
        let low = |&step: &usize| self.smoothed[step] <= self.lowest + LOW * fall;
        let steps = || 0..self.smoothed.len();
        let by_loss = |&a: &usize, &b: &usize| self.smoothed[a].total_cmp(&self.smoothed[b]);
        let (Some(lowest), Some(edge)) = (steps().min_by(by_loss), steps().rfind(low)) else {
            return Finding::Flat;
        };
        // A loss that explodes at once has its lowest in front.
        let falls = lowest > 0
            && fall >= LEAST_FALL * start
            && fall > LEAST_ERRORS * self.standard_error(lowest);
        if !falls {
            return if self.diverged { Finding::Rises } else { Finding::Flat };
        }
        Finding::Found(Found {
            suggestion: two_digits(MARGIN * self.lrs[edge]),
            lowest_lr: self.lrs[lowest],
            lowest: self.lowest,
            edge: self.lrs[edge],
            rises: self.diverged || edge + 1 + self.reach < self.smoothed.len(),
        })
    }

    /// How far chance moves a smoothed loss: from how the losses up to a step scatter around theirs, by the
    /// median of the distances, which one batch that stands out doesn't move. Of normal numbers it is
    /// 1/1.4826 of the standard deviation, and the median has √(π/2) times the error of the mean.
    #[expect(clippy::cast_precision_loss, reason = "some hundred steps")]
    fn standard_error(&self, step: usize) -> f64 {
        let pairs = self.losses.iter().zip(&self.smoothed).take(step + 1);
        let distances: Vec<f64> = pairs.map(|(loss, smoothed)| (loss - smoothed).abs()).collect();
        let deviation = 1.4826 * median(&distances);
        FRAC_PI_2.sqrt() * deviation / ((2 * self.reach + 1) as f64).sqrt()
    }
}

/// The middle of some numbers; the mean of both middles of an even number.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    f64::midpoint(sorted[last / 2], sorted[sorted.len() / 2])
}

/// A suggestion isn't more exact than that.
fn two_digits(x: f64) -> f64 {
    format!("{x:.1e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 rates from 10⁻⁶ to 10, and a loss by rate.
    fn curve(loss: impl Fn(usize, f64) -> f64) -> Curve {
        let mut curve = Curve::new(200);
        for step in 0..200_u16 {
            let lr = 10_f64.powf(f64::from(step) / 199.0 * 7.0 - 6.0);
            curve.add(lr, loss(step.into(), lr));
        }
        curve.end();
        assert_eq!(curve.losses.len(), curve.smoothed.len());
        curve
    }

    /// Falls around 10⁻³, and rises from 0.1 on.
    fn valley(lr: f64) -> f64 {
        1.0 / (1.0 + lr / 1e-3) + 0.1 + (lr / 0.3).powi(4)
    }

    /// Numbers that seem to vary by chance, in -1..1.
    fn noise(step: usize) -> f64 {
        (f64::from(u16::try_from(step).unwrap()) * 78.233).sin() * 43_758.547 % 1.0
    }

    #[test]
    fn a_tenth_of_the_largest_rate_with_a_low_loss_is_suggested() {
        for scatter in [0.0, 0.05] {
            let curve = curve(|step, lr| valley(lr) + scatter * noise(step));
            let Finding::Found(found) = curve.finding() else { panic!("{:?}", curve.finding()) };
            assert!((0.02..0.25).contains(&found.lowest_lr), "{found:?}");
            assert!((0.1..0.25).contains(&found.edge) && found.rises, "{found:?}");
            assert!((found.suggestion / found.edge - 0.1).abs() < 0.005, "{found:?}");
            // 4 · 0.11 = 0.44 is less than the start, 1.1, which (lr/0.3)⁴ reaches at 0.3.
            assert!(curve.diverged && curve.lrs.last().unwrap() < &0.5, "{:?}", curve.lrs.last());
        }
    }

    #[test]
    fn a_batch_that_stands_out_moves_nothing() {
        let plain = curve(|_, lr| valley(lr));
        let spiked = curve(|step, lr| if step == 60 { 1e9 } else { valley(lr) });
        assert_eq!(plain.finding(), spiked.finding());
    }

    #[test]
    fn chance_is_no_fall() {
        assert_eq!(curve(|_, _| 1.0).finding(), Finding::Flat);
        assert_eq!(curve(|_, _| 0.0).finding(), Finding::Flat);
        assert_eq!(curve(|step, _| 1.0 + 0.3 * noise(step)).finding(), Finding::Flat);
        assert_eq!(curve(|_, lr| 1.0 - 1e-4 * lr).finding(), Finding::Flat);
        assert_eq!(curve(|_, lr| 1.0 + 1e7 * lr).finding(), Finding::Rises);
    }

    #[test]
    fn a_loss_that_only_falls_has_its_edge_at_the_end() {
        let Finding::Found(found) = curve(|_, lr| 1.0 / (1.0 + lr)).finding() else { panic!() };
        assert!(!found.rises && found.edge > 5.0, "{found:?}");
    }

    #[test]
    fn a_loss_that_was_almost_nothing_may_grow_to_little() {
        let curve = curve(|_, lr| if lr < 1e-3 { 1.0 } else { 1e-6 + 1e-3 * lr });
        assert!(!curve.diverged && curve.lrs.last().unwrap() > &9.0, "{:?}", curve.lrs.last());
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(
            [median(&[3.0]), median(&[1.0, 9.0, 2.0]), median(&[4.0, 1.0])],
            [3.0, 2.0, 2.5]
        );
    }
}
