//! Ctrl-C, and on Unix SIGTERM and SIGHUP: once ends the training and keeps the model, twice ends
//! the program.

use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::Failure;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// What a shell reports for a program that SIGINT ended.
const EXIT_CODE: i32 = 130;

/// From here on Ctrl-C no longer ends the program at once.
pub(crate) fn watch() -> Result<(), Failure> {
    if WATCHED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE);
        }
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::run(format!("listening for Ctrl-C: {e}")))
}

/// Whether Ctrl-C was pressed.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
