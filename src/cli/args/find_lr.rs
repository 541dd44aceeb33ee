//! What may be typed behind `wgrad find-lr`: its rates, and everything that may be typed behind `wgrad train`.

use std::path::PathBuf;

use clap::{Arg, Args as ClapArgs};

use super::TrainArgs;
use crate::cli::values::{at_least_one, picture_file, positive};

pub(super) const EXAMPLES: &str = "\
Examples:
  wgrad find-lr houses.csv --target price
  wgrad find-lr digits --optimizer momentum --layers 64,64 --output lr.svg
  wgrad find-lr --config wgrad.toml --json | jq .lr

The learning rate grows by the same factor at each step, over ordinary batches, until the loss is four
times its lowest and higher than it began (Smith 2015, section 3.3). Suggested is a tenth of the largest
rate at which the loss was still low. Nothing is saved.

All other flags are train's, so that a command of it becomes one of this by its name. What the test
itself decides (--lr, --schedule, --plateau, --epochs, --time-budget, --early-stopping) and what a run
leaves behind (--name, --runs, --no-report and so on) make no difference. Without --weight-decay there
is none, since train's default for adamw and lion follows from the learning rate.";

/// train's flags that make no difference here, or are refused.
const IDLE: [&str; 19] = [
    "lr",
    "schedule",
    "plateau",
    "epochs",
    "time_budget",
    "early_stopping",
    "stop_on",
    "resume",
    "folds",
    "name",
    "runs",
    "insight_every",
    "checkpoint_every",
    "keep_checkpoints",
    "keep_best",
    "on_divergence",
    "tune",
    "tensorboard",
    "no_report",
];

/// Which rates to try, and on what.
#[derive(Debug, ClapArgs)]
pub(crate) struct FindLrArgs {
    /// The lowest learning rate, of the first step
    #[arg(long, value_name = "RATE", default_value = "1e-6", value_parser = positive, allow_negative_numbers = true)]
    pub from: f64,
    /// The highest, of the last step
    #[arg(long, value_name = "RATE", default_value = "10", value_parser = positive, allow_negative_numbers = true)]
    pub to: f64,
    /// Steps between them, 20 at least, over as many epochs as they take [default: those of an epoch, but
    /// at least 100 and at most 200]
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>, allow_negative_numbers = true)]
    pub steps: Option<u64>,
    /// Write the curve as an SVG
    #[arg(long = "output", short = 'o', value_name = "FILE", value_parser = picture_file)]
    pub picture: Option<PathBuf>,
    #[command(flatten)]
    pub train: TrainArgs,
}

/// Leaves flags out of the help that make no difference.
pub(super) fn hide_idle(arg: Arg) -> Arg {
    let idle = IDLE.iter().any(|id| arg.get_id() == *id);
    if idle { arg.hide(true) } else { arg }
}
