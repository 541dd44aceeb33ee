//! The command line: what was typed ([`args`]), what is meant ([`config`]), the commands, and how
//! they end ([`failure`]).

mod adapters;
mod args;
mod bench;
mod chart;
mod check;
mod choices;
mod command_line;
mod compare;
mod config;
mod config_file;
mod confusion;
mod device;
mod environment;
mod eval;
mod export;
mod failure;
mod figure;
mod files;
mod find_lr;
mod init;
mod insights;
mod interrupt;
mod lecture;
mod lock;
mod manual;
mod options;
mod page;
mod plot;
mod precision;
mod predict;
mod prepare;
mod progress;
mod recipe;
mod report;
mod results;
mod run_folder;
mod run_record;
mod schedule;
mod stdout;
mod sweep;
mod table;
mod talk;
mod tensorboard;
mod thinned;
mod train;
mod trained;
mod values;

use std::process::ExitCode;

use args::Command;

/// What is logged unless the environment says otherwise: wgpu tells about every driver that isn't
/// there.
const LOG: &str = "warn,wgpu_core=error,wgpu_hal=off,naga=error";

/// Does what was typed.
pub(crate) fn run() -> ExitCode {
    start_log();
    #[cfg(any(feature = "images", feature = "parquet"))]
    hush_decoders();
    let outcome =
        command_line::read(std::env::args_os().collect()).and_then(|command| match command {
            Command::Init(args) => init::init(&args),
            Command::Train(args) => train::train(&args),
            Command::Eval(args) => eval::eval(&args),
            Command::Predict(args) => predict::predict(&args),
            Command::Export(args) => export::export(&args),
            Command::Report(args) => report::report(&args),
            Command::Compare(args) => compare::compare(&args),
            Command::Sweep(args) => sweep::sweep(&args),
            Command::FindLr(args) => find_lr::find(&args),
            Command::Schedule(args) => schedule::show(&args),
            Command::Lecture(args) => lecture::lecture(&args),
            Command::Bench(args) => bench::bench(&args),
            Command::Check(args) => check::check(&args),
            Command::Adapters(args) => adapters::list(&args),
            Command::Man(args) => manual::man(&args),
            Command::Completions(args) => manual::completions(&args),
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                talk::complain(message);
            }
            failure.exit_code()
        }
    }
}

/// Keeps panics silent that are caught and told as errors.
#[cfg(any(feature = "images", feature = "parquet"))]
fn hush_decoders() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !wgrad::data::is_decoding() {
            hook(panic);
        }
    }));
}

/// Logs as `WGRAD_LOG` says, else as `RUST_LOG` says.
fn start_log() {
    let variable = |name| std::env::var(name).ok();
    let filters = variable("WGRAD_LOG").or_else(|| variable("RUST_LOG"));
    env_logger::Builder::new().parse_filters(filters.as_deref().unwrap_or(LOG)).init();
}
