//! How the program ends when it can't do what it was asked to.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use wgrad::Error;

/// Why a command ended early, by exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: the run failed.
    Run(String),
    /// 1, unless the run goes on elsewhere: its device is gone.
    Lost(String),
    /// 2: flags, data or model can't be used.
    Input(String),
    /// 0: whoever read the output has seen enough.
    BrokenPipe,
}

impl Failure {
    /// Flags, data or model can't be used.
    pub(crate) fn input(problem: impl fmt::Display) -> Self {
        Self::Input(problem.to_string())
    }

    /// The run failed.
    pub(crate) fn run(problem: impl fmt::Display) -> Self {
        Self::Run(problem.to_string())
    }

    /// Writing results to `what` failed.
    pub(crate) fn write(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            io::ErrorKind::NotFound => {
                Self::Run(format!("{what}: its folder isn't there (make it, or name another)"))
            }
            io::ErrorKind::IsADirectory => Self::Run(format!("{what} is a folder; name a file")),
            _ => Self::Run(format!("{what}: {error}")),
        }
    }

    /// Making a folder of this path failed.
    pub(crate) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let path = path.display();
            Self::Run(format!("making the folder {path}: {error} (name another folder)"))
        }
    }

    /// The same where flags are from a configuration file.
    pub(crate) fn of_file(self, file: &Path) -> Self {
        match self {
            Self::Input(problem) => Self::Input(format!(
                "{problem} (flags that weren't typed are from {})",
                file.display()
            )),
            other => other,
        }
    }

    /// The same with what led to it in front.
    pub(crate) fn because(self, of: impl fmt::Display) -> Self {
        match self {
            Self::Run(problem) => Self::Run(format!("{of}: {problem}")),
            Self::Lost(problem) => Self::Lost(format!("{of}: {problem}")),
            Self::Input(problem) => Self::Input(format!("{of}: {problem}")),
            Self::BrokenPipe => Self::BrokenPipe,
        }
    }

    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Run(message) | Self::Lost(message) | Self::Input(message) => Some(message),
            Self::BrokenPipe => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Run(_) | Self::Lost(_) => ExitCode::from(1),
            Self::Input(_) => ExitCode::from(2),
            Self::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Lost { .. } => Self::Lost(error.to_string()),
            Error::Diverged { .. } | Error::Device { .. } | Error::Io { .. } => Self::run(error),
            // What was typed or read can't be used; new kinds of errors are no exception until
            // they are known to be.
            // The library's options are flags here.
            _ => Self::input(
                error
                    .to_string()
                    .replace("batch_size", "--batch-size")
                    .replace("drop_last", "--drop-last"),
            ),
        }
    }
}
