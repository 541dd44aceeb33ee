//! What may be typed. Single values are checked here; what they mean together, in
//! [`config`](super::config).

mod find_lr;
mod sweep;
mod train;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use wgrad::Schedule;
use wgrad::data::{CellOptions, CsvOptions, DecimalMark, Delimiter, ImageOptions, Schema, Source};

pub(crate) use self::find_lr::FindLrArgs;
pub(crate) use self::sweep::{SweepArgs, SweepTable};
pub(crate) use self::train::TrainArgs;
use super::choices::{DecimalChoice, DeviceChoice, ExportFormat, Header};
use super::config::image_options;
use super::recipe;
use super::values::{
    Columns, ImageSize, at_least_one, delimiter, list_of, output_file, picture_file, positive,
    schedule, words,
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
  wgrad predict runs/iris-20261122-214455 new.csv > answers.csv

Exit codes:
  0  done; also where a run was interrupted and its model is kept
  1  the run failed: training diverged, the device was lost, a file couldn't be written
  2  flags, files or data can't be used as they are; nothing was trained

Environment:
  WGPU_BACKEND        backends to look for adapters in: vulkan, metal, dx12, gl, divided by commas
  WGPU_ADAPTER_NAME   what --device auto and gpu take: a part of an adapter's name
  WGRAD_CACHE         where --tune keeps what it finds, instead of the system's folder for caches
  WGRAD_LOG, RUST_LOG what is logged, as in debug or wgpu_core=info; the first wins";

const TRAIN_EXAMPLES: &str = "\
Examples:
  wgrad train spirals --layers 64,64 --activation tanh
  wgrad train houses.csv --target price --ignore id,date --missing fill
  wgrad train digits --optimizer sgd --lr 0.05 --epochs 20 --device gpu
  wgrad train mnist/                     train-images-idx3-ubyte[.gz] and so on, and their test rows
  wgrad train photos/ --image-size 32x32 a folder of PNG or JPEG files for each class (feature images)
  wgrad train houses.parquet --target price                              (feature parquet)
  wgrad train x.npy --target y.npy       arrays of NumPy; data.npz with x and y, or x_train, y_train, …
  zstdcat houses.csv.zst | wgrad train - --target price --json > result.json

A cell that is empty or reads NA, N/A, #N/A, <NA>, ?, null or nan is missing. Where a few cells of a
column of numbers are none, they are named, unless it is left out or taken for a category.
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
  wgrad predict runs/photos-20261122-214455 photo.jpg

The table needs the columns that the model reads; the target column may be missing. Arrays have no
names, so theirs count by position. Images are one file, or a folder of them, with or without folders of
classes; they are resized to what the model reads, and the first column says which file is which.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  wgrad export runs/iris-20261122-214455 --output iris.onnx
  wgrad export model.safetensors --format wgsl > net.wgsl
  wgrad export runs/x-20261122-214455 --format json | jq .net

ONNX takes raw rows and answers with labels and probabilities, or with the targets in their own units.
It can't refuse a word that the net doesn't know, or one with spaces around it: that is filled in where
the model was trained so; else it is none of a category's values, and in an order NaN. Categories that
are numbers are words to it, in their shortest form (501, not 501.0) unless the table that was learnt
from has some with zeros in front (00501).
WGSL is a function of raw numbers, for nets of up to 8192 parameters. PyTorch takes a run's
model.safetensors as it is.";

const COMPARE_EXAMPLES: &str = "\
Examples:
  wgrad compare runs/*
  wgrad compare runs/a runs/b --output comparison.html
  wgrad compare runs/* --json | jq '.runs[] | [.run, .test_score]'

What differs is told by the runs' config.toml. Folders that aren't whole are named, and the exit code is 1.";

const CHECK_EXAMPLES: &str = "\
Examples:
  wgrad check                            the fastest GPU, else a software adapter
  wgrad check --device radeon --json > check.json

Each check trains a small net for two steps on the GPU, twice, and on the CPU in f64; together they run
every kernel. An error is told as a part of the bound that rounding explains: up to 1 is fine. The exit
code is 1 if any check fails.";

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
#[command(name = "wgrad", version, styles = STYLES, max_term_width = 100, after_help = EXAMPLES,
          override_usage = "wgrad [COMMAND]")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a net on a table
    #[command(after_help = TRAIN_EXAMPLES)]
    Train(Box<TrainArgs>),
    /// Write a configuration file with all of train's flags and their defaults
    Init(InitArgs),
    /// Score a trained net
    Eval(EvalArgs),
    /// Apply a trained net to a table and write CSV, or JSON
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArgs),
    /// Write a trained net as ONNX, as a WGSL function or as JSON
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Write report.html of a run's folder again
    Report(ReportArgs),
    /// Show several runs side by side
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Train with many values of some flags, and rank what comes of them
    #[command(after_help = sweep::HELP)]
    Sweep(SweepArgs),
    /// Find a learning rate, by the loss while it grows
    #[command(after_help = find_lr::EXAMPLES, mut_args = find_lr::hide_idle)]
    FindLr(Box<FindLrArgs>),
    /// Show what a learning-rate schedule does
    #[command(after_help = SCHEDULE_HELP)]
    Schedule(ScheduleArgs),
    /// Measure what the lecture on training nets says, in seven short studies
    #[command(after_help = LECTURE_EXAMPLES)]
    Lecture(LectureArgs),
    /// Measure how fast this machine trains, and how far its kernels are from what it could do
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArgs),
    /// Check the kernels on this machine's driver against the same in f64
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// List the adapters that wgpu finds, and which one training takes
    Adapters(AdaptersArgs),
    /// Write the manual as man pages
    Man(ManArgs),
    /// Write a shell's completions of these commands and flags
    Completions(CompletionsArgs),
}

/// How to read a table.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct TableArgs {
    /// Whether the first line names the columns
    #[arg(long, default_value_t = Header::Auto)]
    pub header: Header,
    /// Character between fields, `tab`, or `spaces` for any number of them [default: found out]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub delimiter: Option<Delimiter>,
    /// Decimal mark of columns whose numbers may have either, as 1,299 [default: what the other columns show]
    #[arg(long, value_name = "MARK")]
    pub decimal: Option<DecimalChoice>,
    /// Words that mark a missing cell, as in nil,-999, beside the usual ones: NA, N/A, NaN, null, ? and, among
    /// numbers, a point, a dash and None
    #[arg(long, value_name = "WORDS", value_parser = words, allow_hyphen_values = true)]
    pub missing_words: Vec<Columns>,
    /// Words that are values, though they usually mark a missing cell, as NA for Namibia
    #[arg(long, value_name = "WORDS", value_parser = words, allow_hyphen_values = true)]
    pub not_missing: Vec<Columns>,
    /// Size in pixels that images are resized to, whatever their proportions, as in 28x28 [default: their
    /// own, or the one that the model reads]
    #[arg(long, value_name = "WxH")]
    pub image_size: Option<ImageSize>,
}

impl TableArgs {
    /// How to read text, with what a model that was trained before knows of it.
    fn csv(&self, schema: &Schema) -> CsvOptions {
        let trained = schema.cells.clone();
        let words = |typed: &[Columns], trained: Vec<String>| match typed {
            [] => trained,
            _ => list_of(typed),
        };
        CsvOptions {
            delimiter: self.delimiter,
            header: self.header.into(),
            names: schema.inputs.iter().map(|input| input.name.clone()).collect(),
            cells: CellOptions {
                missing_words: words(&self.missing_words, trained.missing_words),
                not_missing: words(&self.not_missing, trained.not_missing),
                decimal: self.decimal.map(DecimalMark::from).or(trained.decimal),
            },
        }
    }

    /// The table of this name for a trained net, with the file of its targets if they have one: its text is read
    /// as that of the table that the net learnt from, its images become such as the net reads.
    pub(crate) fn source_for(
        &self,
        schema: &Schema,
        name: &str,
        targets: Option<String>,
    ) -> Source {
        let read = ImageOptions::of(schema);
        let size = image_options(self.image_size).size.or(read.size);
        let images = ImageOptions { size, ..read };
        Source { targets, csv: self.csv(schema), images, ..Source::new(name) }
    }
}

/// What computes.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct DeviceArgs {
    /// auto (a hardware GPU, else the CPU), gpu (software ones too), cpu, or a part of an adapter's or
    /// its driver's name
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

/// Where to write.
#[derive(Debug, ClapArgs)]
pub(crate) struct InitArgs {
    /// The file, which must not be there yet; `-` for standard output
    #[arg(default_value = "wgrad.toml")]
    pub path: PathBuf,
}

/// What to score.
#[derive(Debug, ClapArgs)]
pub(crate) struct EvalArgs {
    /// A run's folder, or a model file
    pub model: PathBuf,
    /// Table to score on, as in train: all its rows count, or the test rows that it keeps apart
    /// [default: the run's own test rows]
    pub data: Option<String>,
    /// File with the targets, where they aren't in the table: NPY or IDX for such an array, text for a
    /// text
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
    #[arg(long = "output", short = 'o', value_name = "FILE", value_parser = output_file)]
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
    #[arg(long = "output", short = 'o', value_name = "FILE", value_parser = output_file)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to write, and where.
#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// A run's folder, or a model file
    pub model: PathBuf,
    /// What to write [default: what the name of the output ends in]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// File to write to [default: standard output]
    #[arg(long = "output", short = 'o', value_name = "FILE", value_parser = output_file)]
    pub file: Option<PathBuf>,
    /// Name of the WGSL function [default: `mlp_eval`]
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Tell nothing but errors
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
    #[arg(long, short, value_name = "FILE", value_parser = picture_file)]
    pub output: Option<PathBuf>,
    /// Print the table as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to check.
#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to tell of adapters.
#[derive(Debug, ClapArgs)]
pub(crate) struct AdaptersArgs {
    /// Print the adapters as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Where to write man pages.
#[derive(Debug, ClapArgs)]
pub(crate) struct ManArgs {
    /// Folder for a page per command [default: the first page to standard output]
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Which completions to write.
#[derive(Debug, ClapArgs)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
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
    #[arg(long = "output", short = 'o', value_name = "DIR", default_value = "lecture")]
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
    #[arg(long = "output", short = 'o', value_name = "FILE", value_parser = picture_file)]
    pub picture: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_and_default_is_sound() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
