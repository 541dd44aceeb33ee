//! The epochs of a run, in bounded memory: what pictures show of them, and what is told of all.

use wgrad::EpochReport;

use crate::cli::thinned::Thinned;

/// The epochs so far.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Rows of a step, and of a whole epoch.
    batch: usize,
    train_rows: u64,
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
    pub(super) fn new(batch: usize, train_rows: u64) -> Self {
        Self {
            batch,
            train_rows,
            shown: Thinned::default(),
            last: None,
            whole: 0,
            rows: 0,
            seconds: 0.0,
            smallest: None,
            last_is_best: false,
        }
    }

    /// Begins again with epochs of which lines alone are left, that don't tell their rows.
    pub(super) fn begin_again(&mut self, reports: Vec<EpochReport>) {
        *self = Self::new(self.batch, self.train_rows);
        let mut before = 0;
        for mut report in reports {
            let steps = report.step.saturating_sub(before);
            report.train.rows = steps.saturating_mul(self.batch as u64).min(self.train_rows);
            before = report.step;
            self.add(report);
        }
    }

    /// The parameters are those of the best epoch again.
    pub(super) fn restored(&mut self) {
        if let Some(last) = &mut self.last {
            last.restored = true;
        }
    }

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
            rescaled: 0,
        }
    }

    #[test]
    fn the_best_is_the_smallest_loss_so_far() {
        let losses = [2.0, f64::NAN, 1.0, 1.0, f64::NAN, 0.5];
        let mut history = History::new(2, 3);
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
        let of = |epochs: u64| {
            let mut history = History::new(2, 3);
            (1..=epochs).for_each(|epoch| history.add(report(epoch, 1.0)));
            history
        };
        let history = of(10_000);
        let shown = history.shown();
        assert!(shown.len() < 5000, "{}", shown.len());
        assert_eq!((shown[0].epoch, shown[shown.len() - 1].epoch), (1, 10_000));
        assert_eq!(history.rows, 30_000);
        assert_eq!(of(3).shown().len(), 3);
    }

    #[test]
    fn lines_are_of_as_many_rows_as_their_steps_had() {
        let mut history = History::new(2, 3);
        // Two steps an epoch, of two rows and of one; the last was interrupted behind its first.
        let line = |epoch: u64, step: u64| EpochReport {
            step,
            train: Metrics::default(),
            ..report(epoch, 1.0)
        };
        history.begin_again(vec![line(1, 2), line(2, 4), line(3, 5)]);
        assert_eq!((history.rows, history.seconds), (3 + 3 + 2, 1.5));
    }
}
