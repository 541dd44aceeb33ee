//! When to stop before the last epoch.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Ends a training whose validation rows have shown no improvement for some epochs, and goes back to
/// the parameters of the best one (Prechelt 1998).
///
/// ```
/// use wgrad::{EarlyStopping, Loss, Optimizer, TrainOptions};
/// let mut options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
/// options.early_stopping = Some(EarlyStopping { patience: 5, ..EarlyStopping::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStopping {
    /// Epochs without improvement after which the training ends, at least 1; those without a look at the
    /// validation rows, as when a host app records steps, don't count. Default: 10.
    pub patience: u64,
    /// What counts as an improvement: more than this, in the units of the metric; not negative.
    /// Default: 0.
    pub min_delta: f64,
    /// What is watched. Default: the validation loss.
    pub metric: WatchedMetric,
    /// Whether the parameters of the best epoch come back at the end. Default: yes.
    pub restore_best: bool,
}

/// What early stopping watches, on the validation rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchedMetric {
    /// The loss; smaller is better.
    #[default]
    Loss,
    /// Accuracy or R²; larger is better.
    Score,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self { patience: 10, min_delta: 0.0, metric: WatchedMetric::Loss, restore_best: true }
    }
}

impl EarlyStopping {
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |name, value: String, expected| Err(Error::Option { name, value, expected });
        if self.patience == 0 {
            return refuse("early stopping's patience", "0".into(), "at least 1");
        }
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            let value = self.min_delta.to_string();
            return refuse("early stopping's min_delta", value, "finite and not negative");
        }
        Ok(())
    }
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Best {
    /// Epoch and what is watched, larger is better.
    best: Option<(u64, f64)>,
    /// Epochs looked at since then.
    #[serde(default)]
    since: u64,
}

/// What an epoch means for the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The best so far.
    Improved,
    /// No improvement yet.
    Waiting,
    /// No improvement for too long.
    Stop,
}

impl Best {
    /// Takes note of an epoch.
    pub(crate) fn observe(
        &mut self,
        options: &EarlyStopping,
        epoch: u64,
        loss: f64,
        score: f64,
    ) -> Verdict {
        let value = match options.metric {
            WatchedMetric::Loss => -loss,
            WatchedMetric::Score => score,
        };
        // Neither NaN nor a score that overflowed is an improvement.
        let improves =
            value.is_finite() && self.best.is_none_or(|(_, best)| value > best + options.min_delta);
        if improves {
            *self = Self { best: Some((epoch, value)), since: 0 };
            return Verdict::Improved;
        }
        self.since = self.since.saturating_add(1);
        if self.has_stopped(options) { Verdict::Stop } else { Verdict::Waiting }
    }

    /// Whether patience has run out.
    pub(crate) fn has_stopped(&self, options: &EarlyStopping) -> bool {
        self.best.is_some() && self.since >= options.patience
    }

    /// The best epoch, counted from 1.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.best.map(|(epoch, _)| epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(options: &EarlyStopping, losses: &[f64]) -> (Vec<Verdict>, Option<u64>) {
        let mut best = Best::default();
        let verdicts =
            (1..).zip(losses).map(|(epoch, &loss)| best.observe(options, epoch, loss, -loss));
        (verdicts.collect(), best.epoch())
    }

    #[test]
    fn stops_when_patience_runs_out() {
        use Verdict::{Improved, Stop, Waiting};
        let options = EarlyStopping { patience: 2, ..EarlyStopping::default() };
        let (seen, best) = verdicts(&options, &[3.0, 2.0, 2.0, 1.9, f64::NAN, 5.0]);
        assert_eq!(seen, [Improved, Improved, Waiting, Improved, Waiting, Stop]);
        assert_eq!(best, Some(4));
        let by_score = EarlyStopping { metric: WatchedMetric::Score, ..options };
        assert_eq!(verdicts(&by_score, &[3.0, 2.0, 2.0, 1.9, f64::NAN, 5.0]).1, Some(4));
        let coarse = EarlyStopping { min_delta: 0.5, ..options };
        assert_eq!(verdicts(&coarse, &[3.0, 2.0, 2.0, 1.9]).0[3], Stop);
        assert_eq!(verdicts(&options, &[f64::NAN, 1.0]).1, Some(2));
        assert_eq!(verdicts(&by_score, &[f64::INFINITY, f64::NEG_INFINITY, 1.0]).1, Some(3));
    }

    #[test]
    fn epochs_without_a_look_do_not_count() {
        let options = EarlyStopping { patience: 2, ..EarlyStopping::default() };
        let mut best = Best::default();
        // A host has recorded the epochs in between.
        let seen = [(1, 1.0), (40, 2.0), (80, 3.0)]
            .map(|(epoch, loss)| best.observe(&options, epoch, loss, -loss));
        assert_eq!(seen, [Verdict::Improved, Verdict::Waiting, Verdict::Stop]);
    }
}
