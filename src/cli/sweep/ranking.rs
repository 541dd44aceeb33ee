//! What came of the trials, the best first: as a table, as CSV and as JSON.

use std::cmp::Ordering;

use serde_json::{Value as Json, json};

use super::plan::Sweep;
use super::trial::Standing;
use super::{PICTURE, RESULTS};
use crate::cli::choices::StopOn;
use crate::cli::failure::Failure;
use crate::cli::results::percent;
use crate::cli::table::Table;
use crate::cli::talk::{duration, shortest, significant};

/// The trials as far as they are trained.
pub(super) struct Ranking {
    metric: StopOn,
    /// By the trial's place in the sweep.
    entries: Vec<Option<Entry>>,
    pub interrupted: bool,
}

/// A trial that has come through a rung.
struct Entry {
    standing: Standing,
    /// Epochs of the last rung that it came through.
    reached: u64,
}

impl Entry {
    fn rank(&self, metric: StopOn) -> Option<[f64; 2]> {
        self.standing.rank(metric, self.reached)
    }

    /// The best first: who has come further, then who is better. Behind all others are those that diverged.
    fn order(&self, other: &Self, metric: StopOn) -> Ordering {
        match (self.rank(metric), other.rank(metric)) {
            (Some(a), Some(b)) => {
                let by_value = a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]));
                other.reached.cmp(&self.reached).then(by_value)
            }
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }

    fn outcome(&self) -> &str {
        if self.standing.diverged() { "diverged" } else { &self.standing.record.config.run.outcome }
    }

    fn score_text(&self, score: f64) -> String {
        match self.standing.record.score {
            "accuracy" => percent(score),
            _ => format!("{score:.4}"),
        }
    }

    /// What `results.json` calls the score of the test rows.
    fn test(&self) -> Option<String> {
        let record = &self.standing.record;
        let score = record.result("test_accuracy").or_else(|| record.result("test_r2"))?;
        Some(format!("test {} {}", record.score, self.score_text(score)))
    }
}

impl Ranking {
    pub(super) fn new(sweep: &Sweep) -> Self {
        let entries = sweep.trials.iter().map(|_| None).collect();
        Self { metric: sweep.metric, entries, interrupted: false }
    }

    pub(super) fn set(&mut self, trial: usize, standing: Standing, reached: u64) {
        self.entries[trial] = Some(Entry { standing: standing.told(), reached });
    }

    /// Of these trials so many of the best, in the sweep's order; none that diverged.
    pub(super) fn best_of(&self, trials: &[usize], most: usize) -> Vec<usize> {
        let ranked = self
            .ranked()
            .into_iter()
            .filter(|(trial, entry)| trials.contains(trial) && entry.rank(self.metric).is_some());
        let mut best: Vec<usize> = ranked.take(most).map(|(trial, _)| trial).collect();
        best.sort_unstable();
        best
    }

    /// The best first; of equal ones the first.
    fn ranked(&self) -> Vec<(usize, &Entry)> {
        let entries = self.entries.iter().enumerate();
        let mut ranked: Vec<_> =
            entries.filter_map(|(k, entry)| Some((k, entry.as_ref()?))).collect();
        ranked.sort_by(|a, b| a.1.order(b.1, self.metric));
        ranked
    }

    /// The best trial.
    pub(super) fn best(&self) -> Option<usize> {
        let (best, entry) = *self.ranked().first()?;
        entry.rank(self.metric).map(|_| best)
    }

    /// The trials with what ranks them, the best first; those that diverged without.
    pub(super) fn values(&self) -> Vec<(usize, Option<f64>)> {
        let value = |entry: &Entry| {
            let [rank, _] = entry.rank(self.metric)?;
            Some(if self.metric == StopOn::Score { -rank } else { rank })
        };
        self.ranked().into_iter().map(|(trial, entry)| (trial, value(entry))).collect()
    }

    /// What the metric is called.
    pub(super) fn metric_name(&self) -> String {
        match self.metric {
            StopOn::Loss => "validation loss".into(),
            StopOn::Score => format!("validation {}", self.score_name()),
        }
    }

    fn score_name(&self) -> &'static str {
        let first = self.entries.iter().flatten().next();
        first.map_or("score", |entry| entry.standing.record.score)
    }

    /// For the progress bar.
    pub(super) fn best_so_far(&self) -> String {
        let value = self.values().first().and_then(|(trial, value)| Some((*trial, (*value)?)));
        value.map_or_else(String::new, |(trial, value)| {
            format!("  best {} so far: trial {}", significant(value), trial + 1)
        })
    }

    fn cells(&self, trial: usize, entry: &Entry, sweep: &Sweep) -> Vec<String> {
        let (loss, score) = match entry.standing.validation(entry.reached) {
            Some((loss, score)) => (significant(loss), entry.score_text(score)),
            None => (entry.outcome().into(), "–".into()),
        };
        let standing = &entry.standing;
        let told =
            [loss, score, standing.epochs().to_string(), duration(standing.record.seconds())];
        let trial = &sweep.trials[trial];
        [vec![trial.name.clone()], trial.shown(), told.to_vec()].concat()
    }

    /// What is told of a trial when it has come through a rung.
    pub(super) fn line(&self, trial: usize, sweep: &Sweep) -> String {
        let Some(entry) = &self.entries[trial] else { return String::new() };
        let trial = &sweep.trials[trial];
        let values = sweep.axes.iter().zip(trial.shown());
        let values: Vec<String> =
            values.map(|(axis, value)| format!("{} {value}", axis.key)).collect();
        let validation = match entry.standing.validation(entry.reached) {
            Some((loss, score)) => format!(
                "validation loss {}  {} {}",
                significant(loss),
                entry.standing.record.score,
                entry.score_text(score)
            ),
            None => entry.outcome().into(),
        };
        format!("{}  {}  {validation}", trial.name, values.join("  "))
    }

    pub(super) fn text(&self, sweep: &Sweep) -> String {
        let keys = sweep.axes.iter().map(|axis| axis.key.clone());
        let told = ["validation loss", self.score_name(), "trained", "time"].map(String::from);
        let head = std::iter::once("trial".into()).chain(keys).chain(told).collect();
        let ranked = self.ranked();
        let rows = ranked.iter().map(|(trial, entry)| self.cells(*trial, entry, sweep)).collect();
        let table = Table { head, rows }.text();
        let Some(best) = self.best() else { return table };
        let (trial, entry) = (&sweep.trials[best], self.entries[best].as_ref());
        let test = entry.and_then(Entry::test).map_or_else(String::new, |test| format!(", {test}"));
        let (folder, run) = (sweep.folder.display(), trial.folder.display());
        format!(
            "{table}\nbest      {}{test}\nrun       {run}\nagain     wgrad train --config {run}\n\
             results   {folder}/{RESULTS}, {folder}/{PICTURE}\n",
            trial.name
        )
    }

    pub(super) fn csv(&self, sweep: &Sweep) -> Result<String, Failure> {
        let score = match self.score_name() {
            "accuracy" => "validation_accuracy",
            _ => "validation_r2",
        };
        let head = ["trial", "outcome", "epochs_trained", "validation_loss", score, "seconds"];
        let keys = sweep.axes.iter().map(|axis| &*axis.key);
        let failed = |error: &dyn std::fmt::Display| Failure::run(format!("{RESULTS}: {error}"));
        let mut text = csv::Writer::from_writer(Vec::new());
        text.write_record(head.into_iter().chain(keys)).map_err(|e| failed(&e))?;
        for (trial, entry) in self.ranked() {
            let standing = &entry.standing;
            let validation = standing.validation(entry.reached);
            let [loss, score] = match validation {
                Some((loss, score)) => [shortest(loss), shortest(score)],
                None => [String::new(), String::new()],
            };
            let trial = &sweep.trials[trial];
            let told = [
                trial.name.clone(),
                entry.outcome().into(),
                standing.epochs().to_string(),
                loss,
                score,
                format!("{:.6}", standing.record.seconds()),
            ];
            text.write_record(told.into_iter().chain(trial.shown())).map_err(|e| failed(&e))?;
        }
        let bytes = text.into_inner().map_err(|e| failed(&e))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn json(&self, sweep: &Sweep) -> String {
        let trial = |(trial, entry): (usize, &Entry)| {
            let (standing, trial) = (&entry.standing, &sweep.trials[trial]);
            let validation = standing.validation(entry.reached);
            json!({
                "trial": trial.name,
                "run": trial.folder.display().to_string(),
                "outcome": standing.record.config.run.outcome,
                "settings": trial.settings(&sweep.axes),
                "epochs": standing.epochs(),
                "validation_loss": validation.map(|(loss, _)| loss),
                "validation_score": validation.map(|(_, score)| score),
                "score": standing.record.score,
                "seconds": standing.record.seconds(),
            })
        };
        let trials: Vec<Json> = self.ranked().into_iter().map(trial).collect();
        let best = self.best().map(|best| sweep.trials[best].folder.display().to_string());
        let object = json!({
            "sweep": sweep.folder.display().to_string(),
            "metric": self.metric.to_string(),
            "trials": trials,
            "best": best,
            "interrupted": self.interrupted,
        });
        format!("{object}\n")
    }
}
