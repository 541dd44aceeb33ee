//! A learning rate that falls when the loss no longer does.

use serde::{Deserialize, Serialize};

use super::{not_negative, refused, share};
use crate::error::Result;

/// Lowers the learning rate when a metric has stopped improving (`ReduceLROnPlateau`, with its
/// defaults). Its factor multiplies the [`Schedule`](super::Schedule)'s.
///
/// Unlike PyTorch's it works on a factor, so the floor is one as well, and there is no `eps` below
/// which a change of the learning rate is left out. A relative threshold is a share of |best|, so that a
/// score may be negative, as R² is; PyTorch's is a share of the signed best, and then counts a worse score as
/// an improvement. For positive metrics both are the same.
///
/// ```
/// use wgrad::schedule::{Plateau, PlateauState};
/// let plateau = Plateau { patience: 1, ..Plateau::default() };
/// let mut state = PlateauState::default();
/// let factors = [3.0, 2.0, 2.0, 2.0].map(|loss| state.observe(&plateau, loss));
/// assert_eq!(factors, [1.0, 1.0, 1.0, 0.1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plateau {
    /// Whether less or more is better, and so what the trainer watches. Default: min.
    pub mode: Mode,
    /// What the learning rate is multiplied by, above 0 and below 1. Default: 0.1.
    pub factor: f64,
    /// Epochs without an improvement that are put up with; one more lowers the learning rate.
    /// Default: 10.
    pub patience: u64,
    /// What counts as an improvement, not negative; below 1 if relative. Default: 1e-4.
    pub threshold: f64,
    /// Whether the threshold is a share of the best metric or a difference. Default: relative.
    pub threshold_mode: ThresholdMode,
    /// Epochs after a reduction that don't count. Default: 0.
    pub cooldown: u64,
    /// What is left of the learning rate at least, in 0.0..=1.0. Default: 0.
    pub floor: f64,
}

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Less is better. The trainer watches the validation loss, or without validation rows the
    /// loss of the epoch's batches.
    #[default]
    Min,
    /// More is better. The trainer watches the validation score, for which it needs validation
    /// rows.
    Max,
}

/// What the threshold of an improvement is measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMode {
    /// Better than best − threshold·|best|, or for max best + threshold·|best|.
    #[default]
    Rel,
    /// Better than best − threshold, or for max best + threshold.
    Abs,
}

impl Default for Plateau {
    fn default() -> Self {
        Self {
            mode: Mode::Min,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            cooldown: 0,
            floor: 0.0,
        }
    }
}

impl Plateau {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) names the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return refused("plateau's factor", self.factor, "above 0 and below 1");
        }
        not_negative("plateau's threshold", self.threshold)?;
        if self.threshold_mode == ThresholdMode::Rel && self.threshold >= 1.0 {
            return refused(
                "plateau's threshold",
                self.threshold,
                "below 1 with threshold_mode rel",
            );
        }
        share("plateau's floor", self.floor)
    }

    fn improves(&self, metric: f64, best: Option<f64>) -> bool {
        // Any number is better than none yet.
        let Some(best) = best else { return metric.is_finite() };
        // best·(1 ± threshold) is best ± threshold·|best| as PyTorch rounds it for a positive best.
        let share = self.threshold.copysign(best);
        let improved = match (self.mode, self.threshold_mode) {
            (Mode::Min, ThresholdMode::Rel) => metric < best * (1.0 - share),
            (Mode::Min, ThresholdMode::Abs) => metric < best - self.threshold,
            (Mode::Max, ThresholdMode::Rel) => metric > best * (1.0 + share),
            (Mode::Max, ThresholdMode::Abs) => metric > best + self.threshold,
        };
        improved && metric.is_finite()
    }
}

/// What a [`Plateau`] remembers from epoch to epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauState {
    factor: f64,
    best: Option<f64>,
    bad_epochs: u64,
    cooldown: u64,
}

impl Default for PlateauState {
    fn default() -> Self {
        Self { factor: 1.0, best: None, bad_epochs: 0, cooldown: 0 }
    }
}

impl PlateauState {
    /// The factor on the learning rate as it is now; 1 at the beginning.
    #[must_use]
    pub const fn factor(&self) -> f64 {
        self.factor
    }

    /// The best metric so far; `None` before the first that is finite.
    #[must_use]
    pub const fn best(&self) -> Option<f64> {
        self.best
    }

    /// Whether so many epochs can have come to it.
    pub(crate) fn is_possible(&self, epochs: u64) -> bool {
        self.bad_epochs <= epochs
    }

    /// Takes the metric of an epoch and returns the factor for the epochs to come. A metric that
    /// isn't finite is no improvement.
    pub fn observe(&mut self, plateau: &Plateau, metric: f64) -> f64 {
        if plateau.improves(metric, self.best) {
            self.best = Some(metric);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.bad_epochs = 0;
        }
        if self.bad_epochs > plateau.patience {
            // A floor that was raised meanwhile doesn't raise the learning rate.
            self.factor = (self.factor * plateau.factor).max(plateau.floor).min(self.factor);
            self.cooldown = plateau.cooldown;
            self.bad_epochs = 0;
        }
        self.factor
    }
}
