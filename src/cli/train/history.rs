//! The epochs of a run, in bounded memory: what pictures show of them, and what is told of all.

use wgrad::EpochReport;

use crate::cli::thinned::Thinned;

/// The epochs so far.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    shown: Thinned<EpochReport>,
    pub last: Option<EpochReport>,
    /// Epochs that weren't interrupted.
    pub whole: u64,
    /// Rows trained on, and the seconds that took, validation included.
    pub rows: u64,
    pub seconds: f64,
    /// Smallest validation loss.
    smallest: Option<f64>,
    /// Whether it is the last epoch's alone.
    pub last_is_best: bool,
}

impl History {
    pub(super) fn add(&mut self, report: EpochReport) {
        self.shown.push(report);
        self.last = Some(report);
        self.whole += u64::from(!report.interrupted);
        self.rows += report.train.rows;
        self.seconds += report.seconds;
        // NaN is no loss to be small.
        let loss =
            report.validation.map(|validation| validation.loss).filter(|loss| !loss.is_nan());
        self.last_is_best = loss.is_some_and(|loss| self.smallest.is_none_or(|best| loss < best));
        if self.last_is_best {
            self.smallest = loss;
        }
    }

    /// As many epochs as a picture has room for, the last among them.
    pub(super) fn shown(&self) -> Vec<EpochReport> {
        let mut shown = self.shown.kept().to_vec();
        let last =
            self.last.filter(|last| shown.last().is_none_or(|shown| shown.epoch < last.epoch));
        shown.extend(last);
        shown
    }
}

impl FromIterator<EpochReport> for History {
    fn from_iter<I: IntoIterator<Item = EpochReport>>(reports: I) -> Self {
        let mut history = Self::default();
        reports.into_iter().for_each(|report| history.add(report));
        history
    }
}

#[cfg(test)]
mod tests {
    use wgrad::{Evaluation, Metrics, Score};

    use super::*;

    fn report(epoch: u64, loss: f64) -> EpochReport {
        EpochReport {
            epoch,
            step: epoch,
            lr: 0.1,
            train: Metrics { rows: 3, ..Metrics::default() },
            validation: Some(Evaluation { loss, score: Score::Accuracy(0.0), rows: 1 }),
            seconds: 0.5,
            interrupted: false,
            best_epoch: None,
            stop: false,
            restored: false,
            skipped: 0,
        }
    }

    #[test]
    fn the_best_is_the_smallest_loss_so_far() {
        let losses = [2.0, f64::NAN, 1.0, 1.0, f64::NAN, 0.5];
        let mut history = History::default();
        let best: Vec<bool> = (1..)
            .zip(losses)
            .map(|(epoch, loss)| {
                history.add(report(epoch, loss));
                history.last_is_best
            })
            .collect();
        assert_eq!(best, [true, false, true, false, false, true]);
        assert_eq!((history.whole, history.rows, history.seconds), (6, 18, 3.0));
    }

    #[test]
    fn long_histories_show_their_last_epoch() {
        let history: History = (1..=10_000).map(|epoch| report(epoch, 1.0)).collect();
        let shown = history.shown();
        assert!(shown.len() < 5000, "{}", shown.len());
        assert_eq!((shown[0].epoch, shown[shown.len() - 1].epoch), (1, 10_000));
        assert_eq!(history.rows, 30_000);
        let short: History = (1..=3).map(|epoch| report(epoch, 1.0)).collect();
        assert_eq!(short.shown().len(), 3);
    }
}
