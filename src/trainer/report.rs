//! What a trainer tells.

use crate::engine::Metrics;
use crate::insight::Insight;

/// How far an epoch is, told for every step as its report comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Epoch, counted from 1.
    pub epoch: u64,
    /// The step that has reported, counted from 1 over the whole run.
    pub step: u64,
    /// Rows of the epoch trained so far.
    pub rows: u64,
    /// Mean loss over these rows, each taken before the step that its batch made.
    pub loss: f64,
    /// Mean loss over the step's own batch, taken before the step.
    pub step_loss: f64,
    /// Learning rate of the step.
    pub lr: f64,
    /// What the step did, if it was measured.
    pub insight: Option<&'a Insight>,
}

/// What an epoch came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// Epoch, counted from 1.
    pub epoch: u64,
    /// Steps done since the start of the run.
    pub step: u64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Sums over the epoch's batches, each taken before the step that it made.
    pub train: Metrics,
    /// On the validation rows, after the epoch; `None` without such rows or without the epoch's last step.
    pub validation: Option<Evaluation>,
    /// Wall-clock seconds of the epoch, validation included.
    pub seconds: f64,
    /// Whether the observer broke off, even if all the epoch's steps were done by then, or
    /// [`end_epoch`](crate::Trainer::end_epoch) ended it.
    pub interrupted: bool,
    /// The best epoch so far by what early stopping watches, counted from 1; `None` without.
    pub best_epoch: Option<u64>,
    /// Whether early stopping says that training should end here.
    pub stop: bool,
    /// Whether the parameters are those of the best epoch again: training ended here, by itself, by
    /// early stopping or by the observer, and early stopping restores the best.
    pub restored: bool,
    /// Steps of the epoch that were left out, as their gradient wasn't finite:
    /// [`OnDivergence::Skip`](crate::OnDivergence::Skip). They count in no other number.
    pub skipped: u64,
    /// Others that were left out because the loss was scaled too much for f16:
    /// [`Precision::Mixed`](crate::Precision::Mixed). They count in no other number either.
    pub rescaled: u64,
}

/// Loss and score on a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// How good the predictions are.
    pub score: Score,
    /// Rows.
    pub rows: u64,
}

/// A score whose meaning doesn't depend on the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// Share of right predictions, 0 to 1.
    Accuracy(f64),
    /// Coefficient of determination 1 − Σ(t − p)²/Σ(t − t̄)² over all outputs: 1 is perfect, 0 is no
    /// better than the mean. NaN if the targets don't vary.
    R2(f64),
}

impl Score {
    /// The number, whatever it means.
    #[must_use]
    pub const fn value(self) -> f64 {
        match self {
            Self::Accuracy(value) | Self::R2(value) => value,
        }
    }
}
