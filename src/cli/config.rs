//! What is meant: the flags of a run, checked against each other and completed with what the data
//! tell. Written as `config.toml`, whose keys are the flags' names.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wgrad::data::{
    BUILT_IN, CsvOptions, Dataset, PartitionOptions, Schema, SchemaOptions, Source, Table, Target,
    Targets, is_target_file,
};
use wgrad::schedule::Run;
use wgrad::{
    Activation, Clip, EarlyStopping, Encoding, Layer, Linear, Mlp, Optimizer, ParameterGroup,
    Plateau, Schedule, TrainOptions, WatchedMetric,
};

use super::args::TrainArgs;
use super::choices::{
    DecayChoice, DeviceChoice, Header, InitChoice, LossChoice, MissingCells, NormChoice,
    OptimizerChoice, SamplingChoice, ScalingChoice, StopOn, Task,
};
use super::failure::Failure;
use super::prepare::fingerprint;
use super::recipe;
use super::values::{ClassWeights, Delimiter};

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
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub delimiter: Option<Delimiter>,
    pub target: Vec<String>,
    /// The absolute path of the targets' own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_file: Option<String>,
    pub task: Task,
    pub ignore: Vec<String>,
    /// Name of the column with the rows' weights.
    pub weights: Option<String>,
    pub missing: MissingCells,
    pub scaling: ScalingChoice,
    pub validation: f32,
    pub test: f32,
}

/// The net but for its inputs and outputs, which the data decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct NetConfig {
    /// `None` for inputs as they are.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub encoding: Option<Encoding>,
    /// Widths of the hidden layers.
    pub layers: Vec<usize>,
    #[serde(with = "text")]
    pub activation: Activation,
    pub init: InitChoice,
    #[serde(default = "no_norm")]
    pub norm: NormChoice,
    #[serde(default)]
    pub dropout: f64,
}

fn no_norm() -> NormChoice {
    NormChoice::None
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
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub plateau: Option<Plateau>,
    pub batch_size: usize,
    pub micro_batch: Option<usize>,
    pub epochs: u64,
    /// Epochs that it waits for.
    pub early_stopping: Option<u64>,
    pub stop_on: Option<StopOn>,
    /// Of cross-entropy only; numbers once the data are known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub class_weights: Option<ClassWeights>,
    pub sampling: SamplingChoice,
    pub drop_last: bool,
    pub seed: u64,
}

/// What it ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RunConfig {
    /// As asked for.
    #[serde(with = "text")]
    pub device: DeviceChoice,
    pub insight_every: Option<u64>,
    #[serde(default)]
    pub checkpoint_every: Option<u64>,
    #[serde(default)]
    pub tensorboard: bool,
    /// `cpu` or `gpu`, as it turned out.
    pub engine: String,
    /// What that is, for people.
    pub device_name: String,
    /// How it ended: `unfinished`, `complete`, `interrupted`, or with what it diverged.
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
        if net.init.before(net.activation).is_none() {
            return Err(Failure::input(format!(
                "--init siren is for --activation sine, whose omega0 it takes, not {}",
                net.activation
            )));
        }
        let (files, target): (Vec<String>, Vec<String>) =
            columns.target.iter().cloned().partition(|target| is_target_file(target));
        if files.len() > 1 || !files.is_empty() && !target.is_empty() {
            return Err(Failure::input(format!(
                "--target {}: name columns, or one file that holds all targets",
                columns.target.join(",")
            )));
        }
        let size = &recipe::TABLES;
        Ok(Self {
            wgrad: env!("CARGO_PKG_VERSION").into(),
            data: DataConfig {
                source: absolute(&args.data),
                rows: 0,
                fingerprint: String::new(),
                header: args.table.header,
                delimiter: args.table.delimiter,
                target,
                target_file: files.first().map(|file| absolute(file)),
                task: columns.task,
                ignore: columns.ignore.clone(),
                weights: columns.weights.clone(),
                missing: columns.missing,
                scaling: columns.scaling,
                validation: columns.validation,
                test: columns.test.unwrap_or(recipe::TEST),
            },
            net: NetConfig {
                encoding: net.encoding,
                layers: net.layers.as_ref().map_or(size.hidden.to_vec(), |widths| widths.0.clone()),
                activation: net.activation,
                init: net.init,
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
                early_stopping: training.early_stopping,
                stop_on: training.stop_on,
                class_weights: training.class_weights.clone(),
                sampling: training.sampling,
                drop_last: training.drop_last,
                seed: training.seed,
            },
            run: RunConfig {
                device: args.run.device.device.clone(),
                insight_every: args.run.insight_every,
                checkpoint_every: args.run.checkpoint_every,
                tensorboard: args.run.tensorboard,
                engine: String::new(),
                device_name: String::new(),
                outcome: "unfinished".into(),
            },
        })
    }

    /// Puts in what the table tells: rows, target, task, loss, weight decay, the net for images where
    /// no other was asked for, and a batch size of no more than the training rows.
    pub(crate) fn complete(
        &mut self,
        args: &TrainArgs,
        table: &Table,
        schema: &Schema,
        train_rows: usize,
    ) -> Result<(), Failure> {
        let data = &mut self.data;
        data.rows = table.rows();
        data.fingerprint = fingerprint(table);
        data.header = if table.has_header() { Header::Yes } else { Header::No };
        (data.target, data.task) = match &schema.target {
            Target::Classes { name, .. } => (vec![name.clone()], Task::Classification),
            Target::Values { columns } => {
                (columns.iter().map(|c| c.name.clone()).collect(), Task::Regression)
            }
        };
        if table.test_rows() > 0 {
            if let Some(test) = args.columns.test {
                return Err(Failure::input(format!(
                    "--test {test}: {} brings {} test rows of its own, so leave the flag out",
                    table.source_name(),
                    table.test_rows()
                )));
            }
            data.test = share(table.test_rows(), table.rows());
        }
        let many_images = schema.reads_pixels() && train_rows >= recipe::MANY_IMAGES;
        if many_images && data.task == Task::Classification {
            let size = &recipe::IMAGES;
            if args.net.layers.is_none() {
                self.net.layers = size.hidden.to_vec();
            }
            self.training.batch_size = args.training.batch_size.unwrap_or(size.batch_size);
            self.training.epochs = args.training.epochs.unwrap_or(size.epochs);
        }
        let loss = match self.training.loss {
            Some(loss) => loss,
            None if data.task == Task::Classification => LossChoice::CrossEntropy,
            None => LossChoice::Mse,
        };
        check_loss(loss, schema)?;
        let training = &mut self.training;
        training.loss = Some(loss);
        if loss == LossChoice::CrossEntropy {
            training.label_smoothing.get_or_insert(recipe::LABEL_SMOOTHING);
        } else if training.label_smoothing.is_some_and(|share| share > 0.0) {
            return Err(Failure::input(format!(
                "--label-smoothing is for --loss cross_entropy, not {loss}"
            )));
        }
        if !training.drop_last {
            // A larger one means the same, but buffers would be made for it.
            training.batch_size = training.batch_size.min(train_rows);
        }
        let (rows, batch) = (train_rows as u64, training.batch_size as u64);
        let per_epoch = if training.drop_last { rows / batch } else { rows.div_ceil(batch) };
        let run = Run::new(training.epochs, per_epoch);
        let sum_of_lr = recipe::sum_of_lr(training.lr, &training.schedule, &run);
        training
            .weight_decay
            .get_or_insert_with(|| recipe::weight_decay(training.optimizer, sum_of_lr));
        Ok(())
    }

    /// Turns `balanced` class weights into those of the training rows.
    pub(crate) fn balance(&mut self, train: &Dataset) -> Result<(), Failure> {
        let training = &mut self.training;
        let Some(weights) = &mut training.class_weights else { return Ok(()) };
        let (Targets::Classes { labels, classes }, Some(LossChoice::CrossEntropy)) =
            (train.targets(), training.loss)
        else {
            return Err(Failure::input(format!(
                "--class-weights is for --loss cross_entropy, not {}",
                training.loss.map_or_else(String::new, |loss| loss.to_string())
            )));
        };
        match weights {
            ClassWeights::Balanced => {
                let mut counts = vec![0_u32; *classes];
                labels.iter().for_each(|&label| counts[label as usize] += 1);
                #[expect(clippy::cast_precision_loss, reason = "weights need no more digits")]
                let share = labels.len() as f32 / *classes as f32;
                // A class without training rows counts for nothing.
                let weight = |&n: &u32| if n > 0 { share / n as f32 } else { 0.0 };
                *weights = ClassWeights::List(counts.iter().map(weight).collect());
            }
            ClassWeights::List(list) if list.len() != *classes => {
                return Err(Failure::input(format!(
                    "--class-weights has {} numbers, but there are {classes} classes",
                    list.len()
                )));
            }
            ClassWeights::List(_) => {}
        }
        Ok(())
    }

    /// The net for the data.
    pub(crate) fn mlp(&self, schema: &Schema) -> Mlp {
        let net = &self.net;
        let outputs = match self.training.loss {
            // One logit tells two classes apart.
            Some(LossChoice::BceWithLogits) if self.data.task == Task::Classification => 1,
            _ => schema.outputs(),
        };
        let weights = net.init.before(net.activation).unwrap_or_default();
        let linear = |width| Layer::Linear(Linear::new(width).weight_init(weights));
        let mlp = Mlp::new(schema.in_features());
        let mlp = net.encoding.into_iter().fold(mlp, Mlp::encoding);
        net.layers
            .iter()
            .fold(mlp, |mlp, &width| {
                let mlp = mlp.layer(linear(width));
                let mlp = match net.norm {
                    NormChoice::None => mlp,
                    NormChoice::Batch => mlp.batch_norm(),
                    NormChoice::Layer => mlp.layer_norm(),
                };
                let mlp = mlp.activation(net.activation);
                if net.dropout > 0.0 { mlp.dropout(net.dropout) } else { mlp }
            })
            .layer(linear(outputs))
    }

    /// The training; [`complete`](Self::complete) comes before.
    pub(crate) fn train_options(&self) -> TrainOptions {
        let training = &self.training;
        let loss = training.loss.unwrap_or(LossChoice::Mse);
        let class_weights = match &training.class_weights {
            Some(ClassWeights::List(weights)) => weights.clone(),
            _ => Vec::new(),
        };
        let loss = loss.with(training.label_smoothing.unwrap_or(0.0), class_weights);
        let metric = match training.stop_on {
            Some(StopOn::Score) => WatchedMetric::Score,
            _ => WatchedMetric::Loss,
        };
        let stopping = |patience| EarlyStopping { patience, metric, ..EarlyStopping::default() };
        let by_norm = training.clip_norm.map(Clip::Norm);
        TrainOptions {
            groups: if training.no_decay {
                vec![ParameterGroup::without_decay()]
            } else {
                Vec::new()
            },
            clip: by_norm.or(training.clip_value.map(Clip::Value)),
            ema: training.ema,
            micro_batch: training.micro_batch,
            early_stopping: training.early_stopping.map(stopping),
            insight_every: self.run.insight_every,
            schedule: training.schedule.clone(),
            plateau: training.plateau,
            batch_size: training.batch_size,
            epochs: training.epochs,
            sampling: training.sampling.into(),
            drop_last: training.drop_last,
            seed: training.seed,
            ..TrainOptions::new(loss, self.optimizer())
        }
    }

    fn optimizer(&self) -> Optimizer {
        let TrainingConfig { lr, weight_decay, optimizer, .. } = self.training;
        let momentum = self.training.momentum.unwrap_or(recipe::MOMENTUM);
        let decay = self.training.decay.unwrap_or_else(|| optimizer.decay());
        Optimizer::new(optimizer.rule(momentum), lr)
            .weight_decay(weight_decay.unwrap_or(0.0), decay.into())
    }

    /// How a table is divided whose last rows may be test rows.
    pub(crate) fn partition(&self, last_rows_test: usize) -> PartitionOptions {
        PartitionOptions {
            last_rows_test,
            validation: self.data.validation,
            test: self.data.test,
            seed: self.training.seed,
            stratify: true,
        }
    }

    /// The text of `config.toml`.
    pub(crate) fn to_toml(&self) -> Result<String, Failure> {
        let body = toml::to_string(self).map_err(|e| Failure::run(format!("config.toml: {e}")))?;
        Ok(format!("# How this run was made. Keys are the flags of `wgrad train`.\n{body}"))
    }

    /// Reads a `config.toml`.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let problem = |error: &dyn std::fmt::Display| {
            Failure::input(format!("{}: {error} (name a table to use another)", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|e| problem(&e))?;
        toml::from_str(&text).map_err(|e| problem(&e))
    }
}

impl RunConfig {
    /// Whether its training went wrong.
    pub(crate) fn diverged(&self) -> bool {
        self.outcome.starts_with("training diverged")
    }
}

impl DataConfig {
    /// The table, to be read again.
    pub(crate) fn table(&self) -> Source {
        Source {
            targets: self.target_file.clone(),
            csv: csv_options(self.header, self.delimiter),
            ..Source::new(&self.source)
        }
    }

    pub(crate) fn schema_options(&self) -> SchemaOptions {
        SchemaOptions {
            targets: self.target.clone(),
            kind: self.task.into(),
            ignore: self.ignore.iter().chain(&self.weights).cloned().collect(),
            scaling: self.scaling.into(),
            missing: self.missing.into(),
        }
    }
}

/// How to read a table.
pub(crate) fn csv_options(header: Header, delimiter: Option<Delimiter>) -> CsvOptions {
    let header = match header {
        Header::Auto => None,
        Header::Yes => Some(true),
        Header::No => Some(false),
    };
    CsvOptions { delimiter: delimiter.map(|d| d.0), header }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "told to people")]
fn share(part: usize, whole: usize) -> f32 {
    (part as f64 / whole as f64) as f32
}

/// A path that means the same from everywhere; other names stay what they are.
fn absolute(data: &str) -> String {
    if data == "-" || BUILT_IN.contains(&data) {
        return data.into();
    }
    std::path::absolute(data).map_or_else(|_| data.into(), |path| path.to_string_lossy().into())
}

/// Refuses a loss that can't be computed for the target.
fn check_loss(loss: LossChoice, schema: &Schema) -> Result<(), Failure> {
    let fit = "cross_entropy, or leave --loss out";
    let problem = match (&schema.target, loss) {
        (Target::Classes { .. }, LossChoice::CrossEntropy) => return Ok(()),
        (Target::Classes { names, .. }, LossChoice::BceWithLogits) if names.len() == 2 => {
            return Ok(());
        }
        (Target::Classes { name, names }, LossChoice::BceWithLogits) => {
            format!("is for two classes, but `{name}` has {}; take {fit}", names.len())
        }
        (Target::Classes { name, names }, _) => format!(
            "is for numbers, but `{name}` has {} classes; take {fit} \
             (or --task regression, if the classes are numbers)",
            names.len()
        ),
        (Target::Values { columns }, LossChoice::CrossEntropy) => format!(
            "is for classes, but `{}` is a number; take mse, mae or huber \
             (or --task classification, if each number is a class)",
            columns[0].name
        ),
        (Target::Values { .. }, _) => return Ok(()),
    };
    Err(Failure::input(format!("--loss {loss} {problem}")))
}

/// Serialises through `Display` and `FromStr`, so that files hold what is typed.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: std::fmt::Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// As [`text`], for what may be absent.
mod optional_text {
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<T: std::fmt::Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
        D: Deserializer<'de>,
    {
        super::text::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Args, Command};

    fn config(flags: &[&str]) -> Result<Config, Failure> {
        let args = Args::try_parse_from([&["wgrad", "train"], flags].concat()).unwrap();
        let Command::Train(args) = args.command else { panic!("train was given") };
        Config::new(&args)
    }

    fn message(flags: &[&str]) -> String {
        config(flags).unwrap_err().message().unwrap().to_owned()
    }

    #[test]
    fn a_config_survives_its_file() {
        for flags in [
            &[][..],
            &["t.csv", "--delimiter", "tab", "--activation", "leaky_relu(0.2)", "--loss", "mae"],
            &["--schedule", "warmup:5e+cosine:floor=0.01", "--plateau", "patience=3,floor=1e-3"],
            &["--optimizer", "nesterov", "--momentum", "0.8", "--seed", "9223372036854775807"],
            &["spirals", "--encoding", "blob16", "--scaling", "min-max"],
            &["--device", "llvm", "--layers", "none", "--target", "a,b", "--validation", "0.15"],
        ] {
            let config = config(flags).unwrap();
            let text = config.to_toml().unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        assert!(message(&["--optimizer", "adam", "--momentum", "0.9"]).contains("not adam"));
        assert!(message(&["--init", "siren"]).contains("not relu"));
        assert!(config(&["--init", "siren", "--activation", "sine(30)"]).is_ok());
    }

    #[test]
    fn defaults_depend_on_the_optimizer() {
        let training = |flags: &[&str]| config(flags).unwrap().training;
        let sgd = training(&["--optimizer", "sgd"]);
        assert_eq!((sgd.lr, sgd.momentum), (0.1, None));
        assert_eq!(training(&["--optimizer", "momentum"]).momentum, Some(0.9));
        // 2,400 steps of 3e-3 under a cosine sum to 3.6; a run of 100 would get more than 1.
        let cosine = Schedule::Cosine { floor: 0.0 };
        let sum = |steps| recipe::sum_of_lr(3e-3, &cosine, &Run::new(steps, 1));
        assert_eq!(recipe::weight_decay(OptimizerChoice::Adamw, sum(2400)), 0.28);
        assert_eq!(recipe::weight_decay(OptimizerChoice::Adamw, sum(100)), 1.0);
        assert_eq!(recipe::weight_decay(OptimizerChoice::Sgd, sum(2400)), 0.0);
        assert_eq!(training(&["--lr", "0.5"]).lr, 0.5);
    }
}
