//! A folder in which the program runs, and what it says there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder in which the program runs.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
        command.args(args.split_whitespace()).current_dir(self.0.path());
        // EGL complains on standard error where this isn't set.
        command.env("XDG_RUNTIME_DIR", self.0.path());
        command.env("WGRAD_CACHE", self.path("cache"));
        command.env_remove("WGRAD_LOG").env_remove("RUST_LOG");
        command
    }

    pub(crate) fn run(&self, args: &str) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs what should succeed and returns its standard output.
    #[track_caller]
    pub(crate) fn done(&self, args: &str) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "wgrad {args}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.done(&format!("{args} --json"))).unwrap()
    }

    /// Makes a run again from its `config.toml`; fails unless the model is the same byte for byte.
    #[track_caller]
    pub(crate) fn reproduce(&self, run: &str) {
        let output = self.run(&format!("train --config {run}/config.toml --name again"));
        let told = text(&output.stderr);
        assert!(output.status.success() && !told.contains("warning"), "{run}: {told}");
        let model = |folder: PathBuf| fs::read(folder.join("model.safetensors")).unwrap();
        let again = self.path("runs/again");
        assert!(model(self.path(run)) == model(again.clone()), "{run} is another model again");
        fs::remove_dir_all(again).unwrap();
    }

    /// Runs what should be refused: exit code 2, one error on standard error, nothing on standard
    /// output and no run left behind. Returns the error.
    #[track_caller]
    pub(crate) fn refused(&self, args: &str) -> String {
        let output = self.run(args);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "wgrad {args}: {message}");
        assert_eq!(message.matches("error:").count(), 1, "wgrad {args}: {message}");
        assert!(!message.contains("panicked"), "wgrad {args}: {message}");
        assert_eq!(text(&output.stdout), "", "wgrad {args}");
        assert!(!self.path("runs").exists(), "wgrad {args} left a run");
        message
    }

    /// As [`refused`](Self::refused); the error must contain all `parts`.
    #[track_caller]
    pub(crate) fn refused_with(&self, args: &str, parts: &[&str]) {
        let message = self.refused(args);
        for part in parts {
            assert!(message.contains(part), "wgrad {args}: {message:?} lacks {part:?}");
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A table of this repository, for a command line.
pub(crate) fn table(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(name);
    let path = path.to_str().unwrap().to_owned();
    assert!(!path.contains(char::is_whitespace), "commands are split at spaces");
    path
}

/// Rows of a CSV, the header first.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}
