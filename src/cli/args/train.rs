//! What may be typed behind `wgrad train`: the one description of its options, from which their help,
//! their checks, the keys of configuration files and the files of `wgrad init` follow.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use wgrad::{Activation, Encoding, Plateau, Schedule};

use super::{DeviceArgs, OutputArgs, TableArgs};
use crate::cli::choices::{
    ActivationParser, DecayChoice, DivergenceChoice, InitChoice, LossChoice, MissingCells,
    NormChoice, OptimizerChoice, PrecisionChoice, SamplingChoice, ScalingChoice, StopOn, Task,
    TuneChoice,
};
use crate::cli::failure::Failure;
use crate::cli::recipe;
use crate::cli::values::{
    ClassWeights, ColumnRule, Columns, TimeBudget, Widths, at_least_one, at_least_two, below_one,
    encoding, not_negative, plateau, positive, probability, rows_fraction, schedule, seed,
};

/// [`recipe::PATIENCE`] as clap wants it.
const PATIENCE: &str = "10";

/// What to train on, and how.
#[derive(Debug, ClapArgs)]
pub(crate) struct TrainArgs {
    /// A CSV, TSV, NPY, IDX or Parquet file, gzipped or not, or an NPZ file; a folder with MNIST's four files, or with a
    /// folder of images for each class; `-` for standard input; or a built-in table: digits, spirals, moons,
    /// rings, sdf
    #[arg(value_name = "DATA", default_value = "digits")]
    pub source: String,
    /// A TOML file with flags, as wgrad init writes it, or a run's config.toml, to make that run again;
    /// flags that are typed win
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What that file says and this run leaves out, by key, as in early-stopping,stop-on
    #[arg(long, value_name = "KEYS", value_delimiter = ',', requires = "config")]
    pub without: Vec<String>,
    /// The table that the run of that file was made with.
    #[arg(skip)]
    pub fingerprint: Option<String>,
    /// Go on with a run that was interrupted or killed, from the checkpoint in its folder; all else is as
    /// that run was told. Its table is named again only where it has moved, or was standard input
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "config", "TableArgs", "ColumnArgs", "NetArgs", "TrainingArgs", "DeviceArgs", "name", "runs",
        "insight_every", "checkpoint_every", "keep_checkpoints", "keep_best", "tune", "tensorboard",
    ])]
    pub resume: Option<PathBuf>,
    /// What that file derived, and is still said by it.
    #[arg(skip)]
    pub derived: Vec<String>,
    /// Where the table of that run is now, if that was typed.
    #[arg(skip)]
    pub moved: Option<String>,
    #[command(flatten, next_help_heading = "Data")]
    pub table: TableArgs,
    #[command(flatten)]
    pub columns: ColumnArgs,
    #[command(flatten, next_help_heading = "Net")]
    pub net: NetArgs,
    #[command(flatten, next_help_heading = "Training")]
    pub training: TrainingArgs,
    #[command(flatten, next_help_heading = "Run")]
    pub run: RunArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

impl TrainArgs {
    /// Says of what can't be used that it may be from a file.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        match &self.config {
            Some(file) => failure.of_file(file),
            None => failure,
        }
    }
}

/// What the columns mean and which rows do what.
#[derive(Debug, ClapArgs)]
pub(crate) struct ColumnArgs {
    /// Column to predict, by name or number (-1 is the last); several for regression, or for classes with a
    /// column of 0 and 1 each; or a file with the
    /// targets, NPY or IDX for such an array, CSV or TSV for a text [default: the last column, or what
    /// the file says]
    #[arg(long, value_name = "COL", allow_hyphen_values = true)]
    pub target: Vec<Columns>,
    /// What the target is
    #[arg(long, value_name = "KIND", default_value_t = Task::Auto)]
    pub task: Task,
    /// Columns to leave out
    #[arg(long, value_name = "COL", allow_hyphen_values = true)]
    pub ignore: Vec<Columns>,
    /// What a column is, where its cells don't say so: zip=category, x=number, or
    /// grade=ordinal:low,mid,high; may be given several times
    #[arg(long = "column", value_name = "COL=KIND", allow_hyphen_values = true)]
    pub columns: Vec<ColumnRule>,
    /// Column with what each row counts in the loss (scores count all rows once); not an input
    #[arg(long, value_name = "COL")]
    pub weights: Option<String>,
    /// What to do about missing input cells
    #[arg(long, value_name = "HOW", default_value_t = MissingCells::Reject)]
    pub missing: MissingCells,
    /// Words of a category in fewer training rows than this share one input, as do words that only come later
    /// [default: 1, each has its own; 2 for columns of more than 64 words, one for nearly each row]
    #[arg(long, value_name = "ROWS", value_parser = at_least_one::<usize>, allow_negative_numbers = true)]
    pub rare_below: Option<usize>,
    /// What to do to numbers, learnt from the training rows
    #[arg(long, value_name = "HOW", default_value_t = ScalingChoice::Auto)]
    pub scaling: ScalingChoice,
    /// Fraction of the rows to watch the training with
    #[arg(long, value_name = "FRACTION", default_value = "0.1", value_parser = rows_fraction, allow_negative_numbers = true)]
    pub validation: f32,
    #[arg(long, value_name = "FRACTION", value_parser = rows_fraction, allow_negative_numbers = true,
          help = format!("Fraction of the rows to score the result with [default: {}; the test rows that \
                          the data bring, if they do]", recipe::TEST))]
    pub test: Option<f32>,
    /// Train so many times, each time testing on another part of the rows, and print the scores with their
    /// mean and standard deviation; no model is kept
    #[arg(long, value_name = "K", value_parser = at_least_two, allow_negative_numbers = true, conflicts_with_all = [
        "test", "resume", "name", "runs", "insight_every", "checkpoint_every", "keep_checkpoints", "keep_best", "tune", "time_budget", "tensorboard",
        "no_report",
    ])]
    pub folds: Option<usize>,
}

/// The net.
#[derive(Debug, ClapArgs)]
pub(crate) struct NetArgs {
    /// What encodes the inputs in front of the net: freqN or triN of N octaves, blobN of N bins; suits
    /// few inputs, for blobN with --scaling min-max
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub encoding: Option<Encoding>,
    #[arg(long, value_name = "WIDTHS", allow_hyphen_values = true,
          help = format!("Widths of the hidden layers, as in 64,64; `none` for a linear model {}",
                         recipe::by_data(|size| size.hidden[0])))]
    pub layers: Option<Widths>,
    /// Activation behind each hidden layer
    #[arg(long, value_name = "NAME", default_value = recipe::ACTIVATION, value_parser = ActivationParser)]
    pub activation: Activation,
    /// Where weights start
    #[arg(long, value_name = "NAME", default_value_t = recipe::INIT)]
    pub init: InitChoice,
    /// Weights to begin with: a .safetensors file of wgrad's, or of the same net in PyTorch
    #[arg(long, value_name = "FILE")]
    pub init_from: Option<String>,
    /// What normalises behind each hidden linear layer
    #[arg(long, value_name = "KIND", default_value_t = NormChoice::None)]
    pub norm: NormChoice,
    /// Share of the hidden units that training drops at random, at least 0 and below 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = below_one, allow_negative_numbers = true)]
    pub dropout: f64,
}

/// The training.
#[derive(Debug, ClapArgs)]
pub(crate) struct TrainingArgs {
    #[arg(
        long,
        value_name = "NAME",
        help = "What to minimise [default: cross_entropy for classes, mse for values]"
    )]
    pub loss: Option<LossChoice>,
    #[arg(long, value_name = "SHARE", value_parser = probability, allow_negative_numbers = true,
          help = format!("Share of each target that cross-entropy spreads evenly over all classes, 0 to 1 \
                          [default: {}, or 0 with --class-weights]", recipe::LABEL_SMOOTHING))]
    pub label_smoothing: Option<f32>,
    /// How a gradient becomes a step
    #[arg(long, value_name = "NAME", default_value_t = recipe::OPTIMIZER)]
    pub optimizer: OptimizerChoice,
    #[arg(long, value_name = "MU", value_parser = below_one, allow_negative_numbers = true,
          help = format!("Momentum of momentum and nesterov [default: {}]", recipe::MOMENTUM))]
    pub momentum: Option<f64>,
    #[arg(long, value_name = "RATE", value_parser = positive, allow_negative_numbers = true,
          help = format!("Learning rate [default: {}]", recipe::lr_by_optimizer()))]
    pub lr: Option<f64>,
    #[arg(long, value_name = "LAMBDA", value_parser = not_negative, allow_negative_numbers = true,
          help = "Weight decay [default: 0; for adamw and lion 1 / sum of all learning rates, at most 1]")]
    pub weight_decay: Option<f64>,
    #[arg(
        long,
        value_name = "KIND",
        help = "Where weight decay enters [default: decoupled for adamw and lion, else l2]"
    )]
    pub decay: Option<DecayChoice>,
    /// No weight decay on biases and on the norms' parameters
    #[arg(long)]
    pub no_decay: bool,
    /// Bound on the norm of the gradient
    #[arg(long, value_name = "BOUND", value_parser = positive, allow_negative_numbers = true)]
    pub clip_norm: Option<f64>,
    /// Bound on each element of the gradient
    #[arg(long, value_name = "BOUND", value_parser = positive, allow_negative_numbers = true, conflicts_with = "clip_norm")]
    pub clip_value: Option<f64>,
    /// Average the weights over the steps, keeping this share at each, as in 0.999; the average is
    /// what is validated, tested and saved
    #[arg(long, value_name = "SHARE", value_parser = below_one, allow_negative_numbers = true)]
    pub ema: Option<f64>,
    /// Learning rate over the run, as in warmup:5e+cosine; `wgrad schedule --help` has them all
    #[arg(long, value_name = "SPEC", default_value = recipe::SCHEDULE, value_parser = schedule, allow_hyphen_values = true)]
    pub schedule: Schedule,
    /// Lower the learning rate where the validation loss stops falling, as in
    /// plateau:factor=0.1,patience=10; `wgrad schedule --help` has the keys
    #[arg(long, value_name = "SPEC", value_parser = plateau, allow_hyphen_values = true)]
    pub plateau: Option<Plateau>,
    #[arg(long, value_name = "ROWS", value_parser = at_least_one::<usize>, allow_negative_numbers = true,
          help = format!("Rows per step {}", recipe::by_data(|size| size.batch_size)))]
    pub batch_size: Option<usize>,
    /// Rows that go through the net at once: less memory, the same steps [default: the batch]
    #[arg(long, value_name = "ROWS", value_parser = at_least_one::<usize>, allow_negative_numbers = true)]
    pub micro_batch: Option<usize>,
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>, allow_negative_numbers = true,
          help = format!("Passes over the training rows {}", recipe::by_data(|size| size.epochs)))]
    pub epochs: Option<u64>,
    /// End at the first step behind so much time, as in 30s, 5m or 1h30m, and keep the model. The schedule
    /// is still that of all epochs; --resume goes on for as long again
    #[arg(long, value_name = "TIME")]
    pub time_budget: Option<TimeBudget>,
    #[arg(long, value_name = "EPOCHS", num_args = 0..=1, require_equals = true,
          default_missing_value = PATIENCE, value_parser = at_least_one::<u64>,
          help = format!("End when the validation rows show no improvement for so many epochs, and \
                          go back to the best [default without a number: {}]", recipe::PATIENCE))]
    pub early_stopping: Option<u64>,
    /// What early stopping watches on the validation rows [default: loss]
    #[arg(long, value_name = "WHAT", requires = "early_stopping")]
    pub stop_on: Option<StopOn>,
    /// What rows of each class count in the loss: `balanced`, or a number per class, as in 1,2.5
    #[arg(long, value_name = "WEIGHTS", allow_hyphen_values = true)]
    pub class_weights: Option<ClassWeights>,
    /// In which numbers a GPU stores what it trains with; it computes in f32
    #[arg(long, value_name = "HOW", default_value_t = PrecisionChoice::F32)]
    pub precision: PrecisionChoice,
    /// What to do where a loss, a gradient or a weight is NaN or infinite
    #[arg(long, value_name = "HOW", default_value_t = DivergenceChoice::Stop)]
    pub on_divergence: DivergenceChoice,
    /// How batches are drawn
    #[arg(long, value_name = "HOW", default_value_t = SamplingChoice::Shuffled)]
    pub sampling: SamplingChoice,
    /// Leave out the last batch of an epoch if it isn't full
    #[arg(long)]
    pub drop_last: bool,
    /// Seed of everything random: the same seed on the same device gives the same model
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
}

/// Where a run goes.
#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Which variants of the kernels a GPU runs: they differ in speed and rounding
    #[arg(long, value_name = "HOW", default_value_t = TuneChoice::Off)]
    pub tune: TuneChoice,
    /// Name of the run's folder [default: the data's name and the time]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder for runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Measure norms, update ratios and effective steps of every tensor each N steps: insights.csv,
    /// insights.svg and four columns of metrics.csv
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>, allow_negative_numbers = true)]
    pub insight_every: Option<u64>,
    /// Write a checkpoint each N steps, which --resume goes on from; one is always written on Ctrl-C
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>, allow_negative_numbers = true)]
    pub checkpoint_every: Option<u64>,
    /// Keep the newest N checkpoints in the run's folder checkpoints, not just the newest; --resume takes
    /// any of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one::<usize>, allow_negative_numbers = true)]
    pub keep_checkpoints: usize,
    /// Keep the net of the epoch with the smallest validation loss too, in best.safetensors
    #[arg(long, conflicts_with = "early_stopping")]
    pub keep_best: bool,
    /// Write the run's curves for TensorBoard too, into the folder tensorboard of the run's
    #[arg(long)]
    pub tensorboard: bool,
    /// Leave out report.html
    #[arg(long)]
    pub no_report: bool,
}
