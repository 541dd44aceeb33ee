//! What is meant: the flags of a run, checked against each other and completed with what the data
//! tell. Written as `config.toml`, whose keys are the flags' names.

mod complete;
mod derived;
mod doubts;
mod meaning;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use wgrad::data::{
    BUILT_IN, CellOptions, CsvOptions, DecimalMark, Delimiter, ImageOptions, SchemaOptions, Source,
    is_target_file,
};
use wgrad::{Activation, Encoding, Plateau, Schedule};

pub(crate) use self::derived::outdated;
use super::args::TrainArgs;
use super::choices::{
    DecayChoice, DecimalChoice, DeviceChoice, DivergenceChoice, Header, InitChoice, LossChoice,
    MissingCells, NormChoice, OptimizerChoice, PrecisionChoice, SamplingChoice, ScalingChoice,
    StopOn, Task, TuneChoice,
};
use super::failure::Failure;
use super::recipe;
use super::values::{ClassWeights, ImageSize, TimeBudget, column_kind, list_of};

/// Sections and keys of `config.toml` that tell how a run went. No flag says them, so a run that is made
/// from the file again leaves them aside.
pub(crate) const FACTS: [(&str, &str); 7] = [
    ("", "wgrad"),
    ("data", "rows"),
    ("data", "fingerprint"),
    ("training", "derived"),
    ("run", "engine"),
    ("run", "device-name"),
    ("run", "outcome"),
];
/// The outcome of a run that hasn't ended.
pub(crate) const UNFINISHED: &str = "unfinished";
/// The outcome of a run that `wgrad sweep` left where others promised more.
pub(crate) const PAUSED: &str = "paused";
/// How the outcome, and the message, of a training that went wrong begins.
pub(crate) const DIVERGED: &str = "training diverged";
/// The key for what `--target` says of a file.
pub(crate) const TARGET_FILE: (&str, &str) = ("data", "target-file");

/// How a run was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Version of the program.
    pub wgrad: String,
    pub data: DataConfig,
    pub net: NetConfig,
    pub training: TrainingConfig,
    pub run: RunConfig,
}

/// Which rows are learnt from, and what their columns mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DataConfig {
    /// A built-in name, `-`, or the file's absolute path.
    pub source: String,
    /// Rows of the table; 0 until it is read.
    pub rows: usize,
    /// What tells the table from a changed one; empty until it is read.
    pub fingerprint: String,
    pub header: Header,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    pub delimiter: Option<Delimiter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<DecimalChoice>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_words: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_missing: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    pub image_size: Option<ImageSize>,
    pub target: Vec<String>,
    /// The absolute path of the targets' own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_file: Option<String>,
    pub task: Task,
    pub ignore: Vec<String>,
    /// Name of the column with the rows' weights.
    pub weights: Option<String>,
    pub missing: MissingCells,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rare_below: Option<usize>,
    pub scaling: ScalingChoice,
    pub validation: f32,
    pub test: f32,
    /// What columns are by name or number, as typed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
}

/// The net but for its inputs and outputs, which the data decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct NetConfig {
    /// `None` for inputs as they are.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    pub encoding: Option<Encoding>,
    /// Widths of the hidden layers.
    pub layers: Vec<usize>,
    #[serde(with = "text")]
    pub activation: Activation,
    pub init: InitChoice,
    /// The absolute path of the file with the weights to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<String>,
    #[serde(default = "no_norm")]
    pub norm: NormChoice,
    #[serde(default)]
    pub dropout: f64,
}

fn no_norm() -> NormChoice {
    NormChoice::None
}

fn single() -> PrecisionChoice {
    PrecisionChoice::F32
}

fn stop() -> DivergenceChoice {
    DivergenceChoice::Stop
}

/// The training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TrainingConfig {
    /// `None` until the data are known.
    pub loss: Option<LossChoice>,
    /// Of cross-entropy only; `None` until the data are known.
    pub label_smoothing: Option<f32>,
    pub optimizer: OptimizerChoice,
    /// `None` for optimizers without momentum.
    pub momentum: Option<f64>,
    pub lr: f64,
    /// `None` until the data are known.
    pub weight_decay: Option<f64>,
    /// `None` for what the optimizer's authors did.
    pub decay: Option<DecayChoice>,
    #[serde(default)]
    pub no_decay: bool,
    pub clip_norm: Option<f64>,
    pub clip_value: Option<f64>,
    pub ema: Option<f64>,
    #[serde(with = "text")]
    pub schedule: Schedule,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    pub plateau: Option<Plateau>,
    pub batch_size: usize,
    pub micro_batch: Option<usize>,
    pub epochs: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    pub time_budget: Option<TimeBudget>,
    /// Epochs that it waits for.
    pub early_stopping: Option<u64>,
    pub stop_on: Option<StopOn>,
    /// Of cross-entropy only; numbers once the data are known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    pub class_weights: Option<ClassWeights>,
    #[serde(default = "single")]
    pub precision: PrecisionChoice,
    #[serde(default = "stop")]
    pub on_divergence: DivergenceChoice,
    pub sampling: SamplingChoice,
    pub drop_last: bool,
    pub seed: u64,
    /// Keys whose values nobody gave.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub derived: BTreeSet<String>,
}

fn off() -> TuneChoice {
    TuneChoice::Off
}

fn one() -> usize {
    1
}

/// What it ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RunConfig {
    /// As asked for.
    #[serde(with = "text")]
    pub device: DeviceChoice,
    #[serde(default = "off")]
    pub tune: TuneChoice,
    pub insight_every: Option<u64>,
    #[serde(default)]
    pub checkpoint_every: Option<u64>,
    #[serde(default = "one")]
    pub keep_checkpoints: usize,
    #[serde(default)]
    pub keep_best: bool,
    #[serde(default)]
    pub tensorboard: bool,
    #[serde(default)]
    pub no_report: bool,
    /// `cpu` or `gpu`, as it turned out.
    pub engine: String,
    /// What that is, for people.
    pub device_name: String,
    /// How it ended: `unfinished`, `complete`, `interrupted`, `paused`, or with what it diverged.
    pub outcome: String,
}

impl Config {
    /// Checks the flags against each other.
    pub(crate) fn new(args: &TrainArgs) -> Result<Self, Failure> {
        let (columns, net, training) = (&args.columns, &args.net, &args.training);
        let has_momentum =
            matches!(training.optimizer, OptimizerChoice::Momentum | OptimizerChoice::Nesterov);
        if training.momentum.is_some() && !has_momentum {
            return Err(Failure::input(format!(
                "--momentum is for --optimizer momentum and nesterov, not {}",
                training.optimizer
            )));
        }
        if training.early_stopping.is_some() && columns.validation == 0.0 {
            return Err(Failure::input(
                "--early-stopping watches the validation rows, but --validation is 0 (give a fraction, \
                 or leave --early-stopping off)",
            ));
        }
        if args.run.keep_checkpoints > 1 && args.run.checkpoint_every.is_none() {
            return Err(Failure::input(format!(
                "--keep-checkpoints {} needs checkpoints to keep (give --checkpoint-every too)",
                args.run.keep_checkpoints
            )));
        }
        if args.run.keep_best && columns.validation == 0.0 {
            return Err(Failure::input(
                "--keep-best looks for the smallest validation loss, but --validation is 0 (give a \
                 fraction, or leave --keep-best off)",
            ));
        }
        if net.init.before(net.activation).is_none() {
            return Err(Failure::input(format!(
                "--init siren is for --activation sine, whose omega0 it takes, not {}",
                net.activation
            )));
        }
        let targets = list_of(&columns.target);
        let (files, target): (Vec<String>, Vec<String>) =
            targets.iter().cloned().partition(|target| is_target_file(target));
        if files.len() > 1 || !files.is_empty() && !target.is_empty() {
            return Err(Failure::input(format!(
                "--target {}: name columns, or one file that holds all targets",
                targets.join(",")
            )));
        }
        let size = &recipe::TABLES;
        let mut derived: BTreeSet<String> = args.derived.iter().cloned().collect();
        derived.extend(training.lr.is_none().then(|| "lr".into()));
        derived.extend((has_momentum && training.momentum.is_none()).then(|| "momentum".into()));
        Ok(Self {
            wgrad: env!("CARGO_PKG_VERSION").into(),
            data: DataConfig {
                source: absolute(&args.source),
                rows: 0,
                fingerprint: String::new(),
                header: args.table.header,
                delimiter: args.table.delimiter,
                decimal: args.table.decimal,
                missing_words: list_of(&args.table.missing_words),
                not_missing: list_of(&args.table.not_missing),
                image_size: args.table.image_size,
                target,
                target_file: files.first().map(|file| absolute(file)),
                task: columns.task,
                ignore: list_of(&columns.ignore),
                weights: columns.weights.clone(),
                missing: columns.missing,
                rare_below: columns.rare_below,
                scaling: columns.scaling,
                validation: columns.validation,
                test: columns.test.unwrap_or(recipe::TEST),
                columns: columns
                    .columns
                    .iter()
                    .map(|rule| (rule.column.clone(), rule.kind()))
                    .collect(),
            },
            net: NetConfig {
                encoding: net.encoding,
                layers: net.layers.as_ref().map_or(size.hidden.to_vec(), |widths| widths.0.clone()),
                activation: net.activation,
                init: net.init,
                init_from: net.init_from.as_deref().map(absolute),
                norm: net.norm,
                dropout: net.dropout,
            },
            training: TrainingConfig {
                loss: training.loss,
                label_smoothing: training.label_smoothing,
                optimizer: training.optimizer,
                momentum: has_momentum.then(|| training.momentum.unwrap_or(recipe::MOMENTUM)),
                lr: training.lr.unwrap_or_else(|| recipe::lr(training.optimizer)),
                weight_decay: training.weight_decay,
                decay: training.decay,
                no_decay: training.no_decay,
                clip_norm: training.clip_norm,
                clip_value: training.clip_value,
                ema: training.ema,
                schedule: training.schedule.clone(),
                plateau: training.plateau,
                batch_size: training.batch_size.unwrap_or(size.batch_size),
                micro_batch: training.micro_batch,
                epochs: training.epochs.unwrap_or(size.epochs),
                time_budget: training.time_budget,
                early_stopping: training.early_stopping,
                stop_on: training.stop_on,
                class_weights: training.class_weights.clone(),
                precision: training.precision,
                on_divergence: training.on_divergence,
                sampling: training.sampling,
                drop_last: training.drop_last,
                seed: training.seed,
                derived,
            },
            run: RunConfig {
                device: args.run.device.device.clone(),
                tune: args.run.tune,
                insight_every: args.run.insight_every,
                checkpoint_every: args.run.checkpoint_every,
                keep_checkpoints: args.run.keep_checkpoints,
                keep_best: args.run.keep_best,
                tensorboard: args.run.tensorboard,
                no_report: args.run.no_report,
                engine: String::new(),
                device_name: String::new(),
                outcome: UNFINISHED.into(),
            },
        })
    }

    /// The text of `config.toml`.
    pub(crate) fn to_toml(&self) -> Result<String, Failure> {
        let body = toml::to_string(self).map_err(|e| Failure::run(format!("config.toml: {e}")))?;
        Ok(format!("# How this run was made. Keys are the flags of `wgrad train`.\n{body}"))
    }

    /// Reads a `config.toml`.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let problem = |error: &dyn std::fmt::Display| {
            Failure::input(format!("{}: {}", path.display(), error.to_string().trim_end()))
        };
        let text = std::fs::read_to_string(path).map_err(|e| problem(&e))?;
        toml::from_str(&text).map_err(|e| problem(&e))
    }
}

impl RunConfig {
    /// Whether its training went wrong.
    pub(crate) fn diverged(&self) -> bool {
        self.outcome.starts_with(DIVERGED)
    }
}

impl DataConfig {
    /// Says where the table is now.
    pub(crate) fn move_to(&mut self, source: &str) {
        self.source = absolute(source);
    }

    /// The table, to be read again.
    pub(crate) fn table(&self) -> Source {
        Source {
            targets: self.target_file.clone(),
            csv: self.csv(),
            images: image_options(self.image_size),
            ..Source::new(&self.source)
        }
    }

    fn csv(&self) -> CsvOptions {
        let named = self.target.iter().chain(&self.ignore).chain(&self.weights);
        CsvOptions {
            delimiter: self.delimiter,
            header: self.header.into(),
            names: named.chain(self.columns.keys()).cloned().collect(),
            cells: CellOptions {
                missing_words: self.missing_words.clone(),
                not_missing: self.not_missing.clone(),
                decimal: self.decimal.map(DecimalMark::from),
            },
        }
    }

    pub(crate) fn schema_options(&self) -> SchemaOptions {
        SchemaOptions {
            targets: self.target.clone(),
            kind: self.task.into(),
            ignore: self.ignore.iter().chain(&self.weights).cloned().collect(),
            scaling: self.scaling.into(),
            missing: self.missing.into(),
            rare_below: self.rare_below,
            columns: self
                .columns
                .iter()
                .filter_map(|(column, kind)| Some((column.clone(), column_kind(kind)?)))
                .collect(),
        }
    }
}

/// How to read images.
pub(crate) fn image_options(size: Option<ImageSize>) -> ImageOptions {
    let size = size.map(|size| (size.width, size.height));
    ImageOptions { size, ..ImageOptions::default() }
}

/// A path that means the same from everywhere; other names stay what they are.
fn absolute(data: &str) -> String {
    if data == "-" || BUILT_IN.contains(&data) {
        return data.into();
    }
    std::path::absolute(data).map_or_else(|_| data.into(), |path| path.to_string_lossy().into())
}

#[cfg(test)]
mod tests;
