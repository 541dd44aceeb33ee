//! What may be typed. Single values are checked here; what they mean together, in
//! [`config`](super::config).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args as ClapArgs, Parser, Subcommand};
use wgrad::data::Source;
use wgrad::{Activation, Encoding, Plateau, Schedule};

use super::choices::{
    ActivationParser, DecayChoice, DeviceChoice, Header, InitChoice, LossChoice, MissingCells,
    NormChoice, OptimizerChoice, SamplingChoice, ScalingChoice, StopOn, Task,
};
use super::config::csv_options;
use super::recipe;
use super::values::{
    ClassWeights, Delimiter, Widths, at_least_one, below_one, encoding, not_negative, plateau,
    positive, probability, rows_fraction, schedule, seed,
};

const LECTURE_EXAMPLES: &str = "\
Examples:
  wgrad lecture                          all studies: a table and a picture each
  wgrad lecture momentum decay --output pictures
  wgrad lecture approximation --json > approximation.json";

const BENCH_EXAMPLES: &str = "\
Examples:
  wgrad bench                            what training takes: a hardware GPU, else the CPU
  wgrad bench --device gpu --workload W1,W5 --output roofline.svg
  wgrad bench --device cpu --seconds 5 --json > bench.json

A roofline is what a device could do: arithmetic at its peak, or memory at its peak, whichever takes
longer. Both peaks are measured first, by multiply-adds in registers and by a copy.

Workloads:
  W1  784-128-10 relu, batch 64, adam: a small net on digits
  W2  784-512-512-10 relu, batch 256, adamw: a large one
  W3  1024-5×1024-10 gelu, batch 512, adamw: products alone count
  W4  2-4×64-3 relu, batch 16384, adam: an image as a function of the place
  W5  32-2×256-1 norm relu dropout, batch 1024, momentum: a table";

/// [`recipe::PATIENCE`] as clap wants it.
const PATIENCE: &str = "10";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  wgrad                                  train on the built-in handwritten digits
  wgrad train iris.csv                   train on a table; its last column is the target
  wgrad train mnist/                     train on images, test on those kept apart
  wgrad eval runs/iris-20261122-214455   score a run on its test rows again
  wgrad predict runs/iris-20261122-214455 new.csv > answers.csv";

const TRAIN_EXAMPLES: &str = "\
Examples:
  wgrad train spirals --layers 64,64 --activation tanh
  wgrad train houses.csv --target price --ignore id,date --missing fill
  wgrad train digits --optimizer sgd --lr 0.05 --epochs 20 --device gpu
  wgrad train mnist/                     train-images-idx3-ubyte[.gz] and so on, and their test rows
  wgrad train x.npy --target y.npy       arrays of NumPy; data.npz with x and y, or x_train, y_train, …
  zstdcat houses.csv.zst | wgrad train - --target price --json > result.json

What a file holds is told by its first bytes; CSV streams, so its size is bound by its numbers as f32.
A run leaves a folder with model.safetensors, metrics.csv, results.json, config.toml, loss.svg and
report.html, a page with all there is to see.
Ctrl-C ends it early and keeps the model.";

const PREDICT_EXAMPLES: &str = "\
Examples:
  wgrad predict runs/iris-20261122-214455 new.csv
  wgrad predict model.safetensors - --output answers.csv < new.csv
  wgrad predict runs/mnist-20261122-214455 t10k-images-idx3-ubyte.gz
  wgrad predict runs/x-20261122-214455 new.npy

The table needs the columns that the model reads; the target column may be missing. Arrays have no
names, so theirs count by position.";

const COMPARE_EXAMPLES: &str = "\
Examples:
  wgrad compare runs/*
  wgrad compare runs/a runs/b --output comparison.html
  wgrad compare runs/* --json | jq '.runs[] | [.run, .test_score]'

What differs is told by the runs' config.toml. Folders that aren't whole are named, and the exit code is 1.";

const SCHEDULE_HELP: &str = "\
Schedules, with what they do where an argument is left out:
  constant:FOR                                       the learning rate as it is
  warmup:FOR,from=0                                  a line up to it
  linear:FOR,from=1,to=0                             a line between two factors
  polynomial:FOR,power=1,floor=0                     a power of what is left
  cosine:FOR,floor=0                                 half a cosine down to the floor
  cosine_restarts:PERIOD,multiplier=1,floor=0        the cosine over and over
  one_cycle:FOR,peak=1,div_factor=25,final_div_factor=1e4,warmup=30%,anneal=cos|linear
                                                     up to the peak and far down
  step:EVERY,factor=0.1                              stairs
  piecewise:30e=0.1,60e=0.01                         a factor from each position on
  exponential:FACTOR,every=1e                        the factor once an epoch, without stairs
  inverse_sqrt:REFERENCE                             1/sqrt(1 + steps/REFERENCE)
Lengths are 100 (steps), 5e (epochs), 10% (of the run) or rest. Join pieces with +, each with its
length; those without for the first place take for=LENGTH. One piece without takes the rest.

train's --plateau takes plateau:mode=min|max,factor=0.1,patience=10,threshold=1e-4,
threshold_mode=rel|abs,cooldown=0,floor=0. min watches the validation loss, max the score.

Examples:
  wgrad schedule warmup:5e+cosine
  wgrad schedule warmup:5%+constant+linear:20% --steps 10000 --output trapezoid.svg
  wgrad schedule cosine_restarts:10e,multiplier=2 --epochs 70 --steps-per-epoch 100 --lr 0.1
  wgrad schedule constant:10e+exponential:0.95 --json";

/// Trains multi-layer perceptrons with WGSL compute shaders on the GPU, or on the CPU. Without a
/// command it trains on the built-in handwritten digits.
#[derive(Debug, Parser)]
#[command(name = "wgrad", version, styles = STYLES, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a net on a table
    #[command(after_help = TRAIN_EXAMPLES)]
    Train(Box<TrainArgs>),
    /// Score a trained net
    Eval(EvalArgs),
    /// Apply a trained net to a table and write CSV
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArgs),
    /// Write report.html of a run's folder again
    Report(ReportArgs),
    /// Show several runs side by side
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Show what a learning-rate schedule does
    #[command(after_help = SCHEDULE_HELP)]
    Schedule(ScheduleArgs),
    /// Measure what the lecture on training nets says, in seven short studies
    #[command(after_help = LECTURE_EXAMPLES)]
    Lecture(LectureArgs),
    /// Measure how fast this machine trains, and how far its kernels are from what it could do
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArgs),
    /// List the adapters that wgpu finds, and which one training takes
    Adapters(AdaptersArgs),
}

/// What to train on, and how.
#[derive(Debug, ClapArgs)]
pub(crate) struct TrainArgs {
    /// A CSV, TSV, NPY, NPZ or IDX file, gzipped or not; a folder with MNIST's four files; `-` for
    /// standard input; or a built-in table: digits, spirals, moons, rings, sdf
    #[arg(default_value = "digits")]
    pub data: String,
    /// Go on with a run that was interrupted or killed, from the checkpoint in its folder; all else is as
    /// that run was told
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "data", "TableArgs", "ColumnArgs", "NetArgs", "TrainingArgs", "DeviceArgs", "name", "runs",
        "insight_every", "checkpoint_every", "tensorboard",
    ])]
    pub resume: Option<PathBuf>,
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

/// How to read delimited text.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct TableArgs {
    /// Whether the first line names the columns
    #[arg(long, default_value_t = Header::Auto)]
    pub header: Header,
    /// Character between fields, or `tab` [default: found out]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<Delimiter>,
}

impl TableArgs {
    /// The table of this name, with the file of its targets if they have one.
    pub(crate) fn source(&self, name: &str, targets: Option<String>) -> Source {
        let csv = csv_options(self.header, self.delimiter);
        Source { targets, csv, ..Source::new(name) }
    }
}

/// What the columns mean and which rows do what.
#[derive(Debug, ClapArgs)]
pub(crate) struct ColumnArgs {
    /// Column to predict, by name or number (-1 is the last); several for regression; or an NPY or
    /// IDX file with the targets of such an array [default: the last column, or what the file says]
    #[arg(long, value_name = "COL", value_delimiter = ',', allow_hyphen_values = true)]
    pub target: Vec<String>,
    /// What the target is
    #[arg(long, value_name = "KIND", default_value_t = Task::Auto)]
    pub task: Task,
    /// Columns to leave out
    #[arg(long, value_name = "COL", value_delimiter = ',', allow_hyphen_values = true)]
    pub ignore: Vec<String>,
    /// Column with what each row counts in the loss; not an input
    #[arg(long, value_name = "COL")]
    pub weights: Option<String>,
    /// What to do about missing input cells
    #[arg(long, value_name = "HOW", default_value_t = MissingCells::Reject)]
    pub missing: MissingCells,
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
          help = format!("How much of the target cross-entropy spreads over all classes, 0 to 1 \
                          [default: {}]", recipe::LABEL_SMOOTHING))]
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
    /// Write the run's curves for TensorBoard too, into the folder tensorboard of the run's
    #[arg(long)]
    pub tensorboard: bool,
    /// Leave out report.html
    #[arg(long)]
    pub no_report: bool,
}

/// What computes.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct DeviceArgs {
    /// auto (a hardware GPU, else the CPU), gpu (software ones too), cpu, or a part of an adapter's
    /// name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
}

/// What is told.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct OutputArgs {
    /// Tell nothing but results and errors
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the results as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to score.
#[derive(Debug, ClapArgs)]
pub(crate) struct EvalArgs {
    /// A run's folder, or a model file
    pub model: PathBuf,
    /// Table to score on, as in train: all its rows count, or the test rows that it keeps apart
    /// [default: the run's own test rows]
    pub data: Option<String>,
    /// NPY or IDX file with the targets, where the table is such an array
    #[arg(long, value_name = "FILE", requires = "data")]
    pub target: Option<String>,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which run to report on.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    /// A run's folder
    pub run: PathBuf,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Tell nothing but the report's path and errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Which runs to compare.
#[derive(Debug, ClapArgs)]
pub(crate) struct CompareArgs {
    /// Folders of runs
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Write a page (.html) or a picture (.svg) with their curves
    #[arg(long = "output", short = 'o', value_name = "FILE")]
    pub picture: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to predict from.
#[derive(Debug, ClapArgs)]
pub(crate) struct PredictArgs {
    /// A run's folder, or a model file
    pub model: PathBuf,
    /// Table to predict for, as in train
    pub data: String,
    /// File to write to [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Tell nothing but results and errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Which schedule, over which run.
#[derive(Debug, ClapArgs)]
pub(crate) struct ScheduleArgs {
    /// The schedule, as train's --schedule takes it
    #[arg(value_name = "SPEC", value_parser = schedule, allow_hyphen_values = true)]
    pub schedule: Schedule,
    /// Learning rate that the schedule scales
    #[arg(long, value_name = "RATE", default_value = "0.001", value_parser = positive, allow_negative_numbers = true)]
    pub lr: f64,
    /// Steps of the run [default: epochs × steps per epoch]
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = at_least_one::<u64>, allow_negative_numbers = true)]
    pub steps: Option<u64>,
    /// Epochs of the run
    #[arg(long, value_name = "N", default_value_t = recipe::TABLES.epochs, value_parser = at_least_one::<u64>, allow_negative_numbers = true)]
    pub epochs: u64,
    /// Steps of an epoch: training rows / batch size
    #[arg(long, value_name = "N", default_value = "40", value_parser = at_least_one::<u64>, allow_negative_numbers = true)]
    pub steps_per_epoch: u64,
    /// Write the curve as an SVG
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the table as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to tell of adapters.
#[derive(Debug, ClapArgs)]
pub(crate) struct AdaptersArgs {
    /// Print the adapters as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Which studies to run.
#[derive(Debug, ClapArgs)]
pub(crate) struct LectureArgs {
    /// Studies to run [default: all seven]
    #[arg(value_name = "STUDY", value_parser = PossibleValuesParser::new(super::lecture::names()))]
    pub studies: Vec<String>,
    /// List the studies and what they ask
    #[arg(long)]
    pub list: bool,
    /// Folder for the pictures
    #[arg(long = "output", short, value_name = "DIR", default_value = "lecture")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to measure, and where.
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// Workloads to measure, divided by commas [default: all five]
    #[arg(long = "workload", value_name = "NAMES", value_delimiter = ',', ignore_case = true,
          value_parser = PossibleValuesParser::new(super::bench::names()))]
    pub workloads: Vec<String>,
    /// Seconds for each measurement: a workload has two, its steps and its kernels one by one. What
    /// takes longer is timed once
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = positive, allow_negative_numbers = true)]
    pub seconds: f64,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Draw the rooflines as an SVG
    #[arg(long = "output", short = 'o', value_name = "FILE")]
    pub picture: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

impl Args {
    /// Reads the command line; ends the program where it asks for help or can't be understood.
    ///
    /// Without a command it is training's: `wgrad` and `wgrad --epochs 5` train.
    pub(crate) fn read(mut typed: Vec<OsString>) -> Command {
        let own = ["-h", "--help", "-V", "--version"];
        let is_flag = |arg: &OsString| {
            arg.to_string_lossy().starts_with('-') && !own.iter().any(|own| arg == own)
        };
        if typed.get(1).is_none_or(is_flag) {
            typed.insert(1.min(typed.len()), "train".into());
        }
        match Self::try_parse_from(typed) {
            Ok(args) => args.command,
            Err(mut error) => {
                if error.kind() == ErrorKind::InvalidSubcommand
                    && error.get(ContextKind::SuggestedSubcommand).is_none()
                {
                    let tip = "to train on a table, put `train` before its name".into();
                    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
                }
                error.exit()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_and_default_is_sound() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_trains() {
        let read = |typed: &[&str]| Args::read(typed.iter().map(Into::into).collect());
        assert!(matches!(read(&["wgrad"]), Command::Train(_)));
        let Command::Train(args) = read(&["wgrad", "--epochs", "5"]) else { panic!("not train") };
        assert_eq!(args.training.epochs, Some(5));
        assert!(matches!(read(&["wgrad", "adapters"]), Command::Adapters(_)));
    }
}
