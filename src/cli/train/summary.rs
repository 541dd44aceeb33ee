//! What `wgrad train` tells at its end.

use indicatif::HumanCount;
use serde_json::{Map, Value, json};
use wgrad::EpochReport;

use super::history::History;
use crate::cli::config::Config;
use crate::cli::progress::rate;
use crate::cli::results::{Results, score_entry};
use crate::cli::run_folder::RunFolder;
use crate::cli::talk::{count, duration};

/// What is told at the end.
pub(super) struct Summary<'a> {
    pub config: &'a Config,
    pub folder: &'a RunFolder,
    pub history: &'a History,
    /// The epoch whose net was saved.
    pub saved: Option<EpochReport>,
    /// On the test rows, if there are any.
    pub results: Option<Results>,
    pub interrupted: bool,
    pub time_up: bool,
    /// Why training went wrong, if it did.
    pub diverged: Option<&'a str>,
    pub steps: u64,
}

impl Summary<'_> {
    pub(super) fn text(&self) -> String {
        let results = match &self.results {
            Some(results) => results.text(),
            None => "no rows to test on (--test 0)\n".into(),
        };
        let History { rows, seconds, .. } = *self.history;
        let asked = self.config.training.epochs;
        let epochs = match self.history.last {
            Some(last) if self.interrupted => {
                format!("until interrupted in epoch {} of {asked}", last.epoch)
            }
            Some(last) if self.time_up => {
                format!("until the time was up in epoch {} of {asked}", last.epoch)
            }
            _ if self.interrupted => "not at all (interrupted)".into(),
            Some(last) if last.stop => {
                let best = last.best_epoch.unwrap_or(last.epoch);
                format!(
                    "{} of {asked} epochs, stopped early; the best was epoch {best}",
                    last.epoch
                )
            }
            Some(EpochReport { restored: true, best_epoch: Some(best), .. }) => {
                format!("{}; the best was epoch {best}", count_epochs(asked))
            }
            _ => count_epochs(asked),
        };
        format!(
            "{results}\n{:15}{epochs}, {} steps in {} ({} samples/s) on {}\n{:15}{}\n",
            "trained",
            HumanCount(self.steps),
            duration(seconds),
            HumanCount(rate(rows, seconds)),
            self.config.run.device_name,
            "run",
            self.folder.path().display()
        )
    }

    pub(super) fn json(&self) -> String {
        let mut object = self.results.as_ref().map_or_else(Map::new, Results::json);
        if self.results.is_none() {
            object.insert("test_loss".into(), Value::Null);
        }
        if let Some(saved) = self.saved {
            object.insert("train_loss".into(), json!(saved.train.loss()));
            if let Some(validation) = saved.validation {
                object.insert("validation_loss".into(), json!(validation.loss));
                let (name, score) = score_entry("validation", validation.score);
                object.insert(name, score);
            }
        }
        let History { rows, seconds, .. } = *self.history;
        let run = &self.config.run;
        let entries = [
            ("epochs", json!(self.history.whole)),
            ("best_epoch", json!(self.history.last.and_then(|report| report.best_epoch))),
            ("steps", json!(self.steps)),
            ("train_seconds", json!(seconds)),
            ("samples_per_s", json!(rate(rows, seconds))),
            ("engine", json!(run.engine)),
            ("device", json!(run.device_name)),
            ("seed", json!(self.config.training.seed)),
            ("interrupted", json!(self.interrupted)),
            ("time_up", json!(self.time_up)),
            ("diverged", json!(self.diverged)),
            ("run", json!(self.folder.path().display().to_string())),
        ];
        object.extend(entries.map(|(name, value)| (name.to_owned(), value)));
        format!("{}\n", Value::Object(object))
    }
}

fn count_epochs(epochs: u64) -> String {
    usize::try_from(epochs).map_or_else(|_| format!("{epochs} epochs"), |n| count(n, "epoch"))
}
