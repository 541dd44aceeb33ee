//! The `wgrad` program: trains, scores and applies nets from the command line.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
