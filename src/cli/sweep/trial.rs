//! One training of a sweep: a run in a folder of the sweep's, which tells how far it has come.

use std::path::PathBuf;

use clap::FromArgMatches as _;
use serde_json::{Value as Json, json};
use wgrad::data::{Dataset, Table, Targets};
use wgrad::{Checkpoint, EpochReport};

use super::space::{Axis, Value};
use crate::cli::args::TrainArgs;
use crate::cli::choices::StopOn;
use crate::cli::config::{Config, DIVERGED, DataConfig, PAUSED};
use crate::cli::device::Device;
use crate::cli::failure::Failure;
use crate::cli::files::write_whole;
use crate::cli::lock::Lock;
use crate::cli::options;
use crate::cli::prepare::Prepared;
use crate::cli::run_folder::{CHECKPOINT, CONFIG};
use crate::cli::run_record::RunRecord;
use crate::cli::talk::Talk;
use crate::cli::train::{self, Beginning, Manner, Told};

#[derive(Debug)]
pub(super) struct Trial {
    pub name: String,
    pub folder: PathBuf,
    /// In the order of the sweep's keys.
    values: Vec<Value>,
    args: TrainArgs,
}

/// What became of a trial so far.
#[derive(Debug)]
pub(super) struct Standing {
    pub record: RunRecord,
    /// Whether all files are of the same moment: killed while it wrote its end, a trial does that again.
    whole: bool,
    /// Where it goes on from, if it does.
    checkpoint: Option<Checkpoint>,
}

impl Trial {
    /// A trial for each combination of values, beside the words that all have; the sweep's folder is given
    /// to them later.
    pub(super) fn all(fixed: &[String], values: Vec<Vec<Value>>) -> Result<Vec<Self>, Failure> {
        let width = values.len().to_string().len().max(3);
        let trial = |(number, values): (usize, Vec<Value>)| {
            let name = format!("trial-{number:0width$}");
            let args = args(fixed, &values).map_err(|failure| failure.because(&name))?;
            Ok(Self { name, folder: PathBuf::new(), values, args })
        };
        (1..).zip(values).map(trial).collect()
    }

    pub(super) fn args(&self) -> &TrainArgs {
        &self.args
    }

    /// Its values, for people.
    pub(super) fn shown(&self) -> Vec<String> {
        self.values.iter().map(|value| value.shown.clone()).collect()
    }

    /// Its values by key; what reads as a number is one.
    pub(super) fn settings(&self, axes: &[Axis]) -> Json {
        let value = |text: String| match (text.parse::<u64>(), text.parse::<f64>()) {
            (Ok(whole), _) => json!(whole),
            (_, Ok(number)) => json!(number),
            _ => json!(text),
        };
        axes.iter().map(|axis| axis.key.clone()).zip(self.shown().into_iter().map(value)).collect()
    }

    /// The flags by themselves.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        Config::new(&self.args).map_err(|failure| failure.because(&self.name))
    }

    /// Everything that it begins with.
    fn prepare(&self, table: &Table) -> Result<Beginning, Failure> {
        let prepare = || {
            let mut config = Config::new(&self.args)?;
            let data = Prepared::from_table(&self.args, &mut config, table)?;
            let plan = config.plan(&data.schema, &config.train_options())?;
            let initial = config.initial(&plan)?;
            let folder = self.folder.clone();
            Ok(Beginning {
                config,
                folder,
                is_named: true,
                data,
                plan,
                checkpoint: None,
                goes_back: false,
                initial,
                lock: None,
            })
        };
        prepare().map_err(|failure: Failure| failure.because(&self.name))
    }

    /// The epochs of its training, if it can begin. Trials mostly differ in how they learn alone: what one
    /// before it left in `encoded` is taken where it means the same.
    pub(super) fn check(
        &self,
        table: &Table,
        metric: StopOn,
        encoded: &mut Option<(DataConfig, Prepared)>,
    ) -> Result<u64, Failure> {
        let mut look = || {
            let mut config = Config::new(&self.args)?;
            let typed = config.data.clone();
            let data = match encoded.take().filter(|(of, _)| *of == typed) {
                Some((_, data)) => {
                    config.complete(&self.args, table, &data.schema, data.train.rows())?;
                    config.balance(&data.train)?;
                    data
                }
                None => Prepared::from_table(&self.args, &mut config, table)?,
            };
            let plan = config.plan(&data.schema, &config.train_options())?;
            config.initial(&plan)?;
            let undefined = data.validation.as_ref().is_some_and(|rows| !has_score(rows));
            if metric == StopOn::Score && undefined {
                return Err(Failure::input(
                    "metric = \"score\": R² of the validation rows is undefined, since their targets are all \
                     the same (take metric = \"loss\", or more validation rows)",
                ));
            }
            *encoded = Some((typed, data));
            Ok(config.training.epochs)
        };
        look().map_err(|failure: Failure| failure.because(&self.name))
    }

    /// How far it has come; `None` if it is to begin, once more where it was stopped without a
    /// checkpoint.
    pub(super) fn standing(&self) -> Result<Option<Standing>, Failure> {
        if !self.folder.join(CONFIG).exists() {
            return Ok(None);
        }
        let record = RunRecord::read(&self.folder)?;
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2⁵²")]
        let steps = record.epochs.last().map_or(0, |last| last.step) as f64;
        let mut standing =
            Standing { whole: record.result("steps") == Some(steps), checkpoint: None, record };
        if standing.ended() {
            return Ok(Some(standing));
        }
        let checkpoint = self.folder.join(CHECKPOINT);
        if !checkpoint.exists() {
            return Ok(None);
        }
        standing.checkpoint = Some(Checkpoint::load(&checkpoint).map_err(Failure::input)?);
        Ok(Some(standing))
    }

    /// Trains up to the end of epoch `until`, from where the trial is, and returns what became of it. A
    /// training that diverges is a result.
    pub(super) fn advance(
        &self,
        table: &Table,
        device: &mut Device,
        until: u64,
        on_epoch: &dyn Fn(&EpochReport),
    ) -> Result<Standing, Failure> {
        let checkpoint = match self.standing()? {
            Some(standing) if standing.reaches(until) => return Ok(standing),
            standing => standing.and_then(|standing| standing.checkpoint),
        };
        let mut beginning = self.prepare(table)?;
        if checkpoint.is_some() {
            beginning.checkpoint = checkpoint;
            beginning.initial = None;
            beginning.lock = Some(Lock::take(&self.folder, "stop it")?);
        } else if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)
                .map_err(|error| Failure::run(format!("{}: {error}", self.folder.display())))?;
        }
        let mut config = beginning.config.clone();
        let manner = Manner {
            talk: Talk { quiet: true },
            told: Told::Nothing,
            reports: !self.args.run.no_report,
            from: None,
            until: Some(until),
            on_epoch,
        };
        match train::run(beginning, device, manner) {
            Ok(()) => {}
            Err(Failure::Run(problem)) if problem.starts_with(DIVERGED) => {
                let record = RunRecord::read(&self.folder)?;
                if !record.config.run.diverged() {
                    // There was no good epoch to save.
                    config.run = record.config.run;
                    config.run.outcome = problem;
                    write_whole(&self.folder.join(CONFIG), config.to_toml()?.as_bytes())?;
                }
            }
            Err(failure) => return Err(failure.because(&self.name)),
        }
        self.standing()?.ok_or_else(|| {
            let folder = self.folder.display();
            Failure::run(format!("{folder}: not all of it could be written (is the disk full?)"))
        })
    }
}

/// Whether some target varies, as R² needs it.
fn has_score(rows: &Dataset) -> bool {
    match rows.targets() {
        Targets::Classes { .. } => true,
        Targets::Values { values, width } => {
            values.iter().skip(*width).zip(values).any(|(a, b)| a != b)
        }
    }
}

/// What these words say to `wgrad train`.
fn args(fixed: &[String], values: &[Value]) -> Result<TrainArgs, Failure> {
    let varied = values.iter().flat_map(|value| &value.words);
    let words = std::iter::once("train").chain(fixed.iter().chain(varied).map(String::as_str));
    let args = options::train()
        .try_get_matches_from(words)
        .and_then(|matches| TrainArgs::from_arg_matches(&matches));
    args.map_err(|error| {
        let text = error.to_string();
        let problem = text.trim_start_matches("error: ").split("\n\n").next();
        Failure::input(problem.unwrap_or_default().trim())
    })
}

impl Standing {
    fn outcome(&self) -> &str {
        &self.record.config.run.outcome
    }

    /// Whether there is nothing to go on with.
    fn ended(&self) -> bool {
        self.whole && (self.outcome() == "complete" || self.diverged())
    }

    /// Whether nothing is left to do up to the end of that epoch.
    pub(super) fn reaches(&self, epoch: u64) -> bool {
        let paused = self.whole && self.outcome() == PAUSED && self.epochs() >= epoch;
        self.ended() || paused || self.is_behind(epoch)
    }

    /// Whether it was stopped on its way from the end of that epoch to that of a later one.
    fn is_behind(&self, epoch: u64) -> bool {
        let end = self.record.epochs.iter().find(|line| line.epoch == epoch).map(|line| line.step);
        end.is_some_and(|end| self.checkpoint.as_ref().is_some_and(|at| at.steps() > end))
    }

    /// What it tells, without what its training would go on from: of many trials that is as much as many nets.
    pub(super) fn told(self) -> Self {
        Self { checkpoint: None, ..self }
    }

    pub(super) fn epochs(&self) -> u64 {
        self.record.epochs.last().map_or(0, |last| last.epoch)
    }

    pub(super) fn diverged(&self) -> bool {
        self.record.config.run.diverged()
    }

    /// The validation rows' loss and score with the net that it had at the end of epoch `until`; or, where it
    /// ended before, with the one that it left. `None` if it diverged on the way there.
    pub(super) fn validation(&self, until: u64) -> Option<(f64, f64)> {
        let last = self.epochs();
        let shown = match self.record.result("best_epoch") {
            _ if self.diverged() && last < until => return None,
            // Early stopping went back to it.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an epoch")]
            Some(best) if self.outcome() == "complete" && last <= until => best as u64,
            _ => last.min(until),
        };
        let epoch = self.record.epochs.iter().rev().find(|report| report.epoch == shown)?;
        let validation = epoch.validation?;
        Some((validation.loss, validation.score.value()))
    }

    /// What ranks it after that epoch, the smaller the better: the metric, then what decides between equals,
    /// as few rows make them of scores. `None` is behind all others.
    pub(super) fn rank(&self, metric: StopOn, until: u64) -> Option<[f64; 2]> {
        let (loss, score) = self.validation(until)?;
        let rank = match metric {
            StopOn::Loss => [loss, -score],
            StopOn::Score => [-score, loss],
        };
        (!rank[0].is_nan()).then_some(rank)
    }
}
