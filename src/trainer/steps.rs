//! Which step comes next: its number, its rows and its learning rate.

use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::engine::{Engine, Metrics, Step};
use crate::sampler::Order;
use crate::schedule::Run;

/// How far a training has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Steps done; the next has this number plus 1.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps done of the epoch under way.
    pub position: u64,
}

impl Place {
    /// So many steps further, in epochs of `in_epoch` steps.
    const fn after(self, steps: u64, in_epoch: u64) -> Self {
        let position = self.position + steps;
        Self {
            step: self.step + steps,
            epoch: self.epoch + position / in_epoch,
            position: position % in_epoch,
        }
    }
}

impl<E: Engine> Trainer<E> {
    /// Makes the next `count` steps.
    pub(super) fn make_steps(&mut self, count: u64) {
        self.steps.clear();
        for ahead in 0..count {
            let step = self.make_step(ahead);
            self.steps.push(step);
        }
    }

    /// Takes note of so many steps done.
    pub(super) fn advance(&mut self, steps: u64) {
        let in_epoch = self.engine.plan().options().steps_per_epoch(self.train.rows);
        self.at = self.at.after(steps, in_epoch);
    }

    /// Takes it that the epochs before the one under way have ended, whoever trained them.
    pub(super) fn settle(&mut self) {
        if self.at.epoch > self.begin.epoch {
            let Place { step, epoch, position } = self.at;
            self.begin = Place { step: step - position, epoch, position: 0 };
            (self.sum, self.seconds) = (Metrics::default(), 0.0);
        }
    }

    /// The step that has `ahead` others between it and those done.
    #[expect(clippy::cast_possible_truncation, reason = "both are below the number of rows")]
    pub(super) fn make_step(&mut self, ahead: u64) -> Step {
        let options = self.engine.plan().options();
        let rows = self.train.rows;
        let at = self.at.after(ahead, options.steps_per_epoch(rows));
        let number = at.step + 1;
        let first = at.position * options.batch_size as u64;
        let batch = (u64::from(rows) - first).min(options.batch_size as u64) as u32;
        let first = first as u32;
        let order = Order::new(self.train.sampling, options.seed, at.epoch, number);
        // What the batch's rows count.
        let count: f64 = match &self.train.row_weights {
            Some(weights) => (0..batch)
                .map(|index| f64::from(weights[order.row(rows, first, index) as usize]))
                .sum(),
            None => f64::from(batch),
        };
        Step {
            number,
            batch,
            first,
            order,
            // Without a row that counts there is nothing to learn: no gradient, instead of 0/0.
            loss_scale: if count > 0.0 { count.recip() } else { 0.0 },
            dropout_key: Step::dropout_key(options.seed, number),
            update: self.updates.since(self.recovery.moments_from, number, self.factor(at.step)),
            insight: options.insight_every.is_some_and(|every| number.is_multiple_of(every)),
        }
    }

    /// Learning rate of the step that has `done` steps before it.
    pub(super) fn lr(&self, done: u64) -> f64 {
        self.engine.plan().options().optimizer.lr * self.factor(done)
    }

    /// What the learning rate of that step is multiplied with.
    pub(super) fn factor(&self, done: u64) -> f64 {
        let options = self.engine.plan().options();
        let run = Run::new(options.epochs, options.steps_per_epoch(self.train.rows));
        options.schedule.factor(done, &run) * self.plateau.factor() * self.recovery.factor
    }
}
