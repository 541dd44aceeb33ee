//! What may be typed behind `wgrad sweep`. [`SweepTable`] is also the table `[sweep]` of its file.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::OutputArgs;
use crate::cli::choices::{DeviceChoice, StopOn, SweepMethod};
use crate::cli::values::{at_least_one, at_least_two, seed};

pub(super) const HELP: &str = "\
The file is one of `wgrad train --config` (wgrad init writes one) in which keys may have many values:
  [training]
  lr = { min = 1e-4, max = 1e-1, log = true }     a range; steps = 4 makes it four values
  batch-size = [16, 32, 64]                       a list
  [net]
  layers = [[64], [64, 64]]                       nets; layers = [64, 64] is one net, as in train
  [sweep]                                         the flags below, where they aren't typed
  method = \"random\"
  trials = 20
A value that train's file may hold is one value; any other array is a list of such values.

Methods:
  grid     every combination; ranges need steps
  random   trials drawn over the ranges, evenly or (log = true) with evenly spread logarithms
  halving  the same draws, in rungs (Jamieson and Talwalkar 2016): all trials train for min-epochs; of
           these the best 1/factor go on to factor times as many, and so on up to the file's epochs.
           A trial that goes on is the one that paused, to the same bits, and its schedule is that of
           all epochs, so those of early rungs have seen its high learning rates alone

Each trial is a run in the sweep's folder, for wgrad report, compare, predict and the others. The same
command goes on with a sweep that was interrupted or killed, to the same results. results.csv has a line
a trial, sweep.svg a line through the values of each.

Examples:
  wgrad sweep sweep.toml
  wgrad sweep sweep.toml --list                   the trials, without training
  wgrad sweep sweep.toml --method halving --trials 27 --name wide
  wgrad sweep sweep.toml --json | jq .best";

/// Which sweep, and where it goes.
#[derive(Debug, ClapArgs)]
pub(crate) struct SweepArgs {
    /// A TOML file with train's flags, some of them with many values
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// List the trials, and train none
    #[arg(long)]
    pub list: bool,
    /// Name of the sweep's folder [default: that in the file, else the file's own without its ending]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder for runs [default: the file's, or runs]
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// What computes, as in train [default: the file's, or auto]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceChoice>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub table: SweepTable,
}

/// Which trials there are, and which are good.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Sweep")]
pub(crate) struct SweepTable {
    /// How trials are chosen [default: grid]
    #[arg(long, value_name = "METHOD")]
    pub method: Option<SweepMethod>,
    /// How many are drawn, by random and halving [default: 20]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>, allow_negative_numbers = true)]
    pub trials: Option<usize>,
    /// Seed of the draws; each key has its own, so that another key or more trials change no value
    /// [default: 0]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// What ranks trials, on the validation rows [default: loss]
    #[arg(long, value_name = "WHAT")]
    pub metric: Option<StopOn>,
    /// Of each rung of halving the best 1/N go on, to N times as many epochs [default: 3]
    #[arg(long, value_name = "N", value_parser = at_least_two, allow_negative_numbers = true)]
    pub factor: Option<usize>,
    /// Epochs of halving's first rung [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>, allow_negative_numbers = true)]
    pub min_epochs: Option<u64>,
}

impl SweepTable {
    /// What is left open here is as in the file; but another method takes none of what only the file's reads.
    pub(crate) fn or(self, file: Self) -> Self {
        let other = match self.method {
            Some(method) if self.method != file.method => file.read_by(method),
            _ => file,
        };
        Self {
            method: self.method.or(other.method),
            trials: self.trials.or(other.trials),
            seed: self.seed.or(other.seed),
            metric: self.metric.or(other.metric),
            factor: self.factor.or(other.factor),
            min_epochs: self.min_epochs.or(other.min_epochs),
        }
    }

    /// Without what this method doesn't read.
    pub(crate) fn read_by(self, method: SweepMethod) -> Self {
        let draws = method != SweepMethod::Grid;
        let halves = method == SweepMethod::Halving;
        Self {
            trials: self.trials.filter(|_| draws),
            seed: self.seed.filter(|_| draws),
            factor: self.factor.filter(|_| halves),
            min_epochs: self.min_epochs.filter(|_| halves),
            ..self
        }
    }
}
