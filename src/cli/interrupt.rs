//! Ctrl-C, and on Unix SIGTERM and SIGHUP: once ends the training and keeps the model, once more later
//! on ends the program.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// When the first signal came.
static INTERRUPTED: OnceLock<Instant> = OnceLock::new();
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Signals this close to the first are the same wish: `timeout` and schedulers send one to the process
/// and one to its group.
const SAME: Duration = Duration::from_millis(500);

/// What a shell reports for a program that SIGINT ended.
const EXIT_CODE: i32 = 130;

/// From here on Ctrl-C no longer ends the program at once.
pub(crate) fn watch() -> Result<(), Failure> {
    if WATCHED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let handler = || {
        if INTERRUPTED.get_or_init(Instant::now).elapsed() > SAME {
            std::process::exit(EXIT_CODE);
        }
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::run(format!("listening for Ctrl-C: {e}")))
}

/// Whether Ctrl-C was pressed.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.get().is_some()
}
