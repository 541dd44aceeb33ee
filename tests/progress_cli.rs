//! What `wgrad train` tells on the way: a bar in a terminal, lines elsewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::place::{Place, text};
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};

const RUN: &str = "train digits --device cpu --epochs 30 --no-report";

/// The lines of epochs are there, each once.
#[track_caller]
fn has_lines(told: &str) {
    for epoch in [1, 4, 16, 30] {
        let begins = format!("{epoch:>5}  ");
        let lines = told.lines().filter(|line| line.starts_with(&begins));
        assert_eq!(lines.count(), 1, "epoch {epoch}: {told}");
    }
}

#[test]
fn a_pipe_gets_plain_lines() {
    let place = Place::new();
    for variable in ["CI", "NO_COLOR", "CLICOLOR_FORCE"] {
        let output = place.command(RUN).env(variable, "1").output().unwrap();
        let told = text(&output.stderr);
        has_lines(&told);
        assert!(!told.contains(['\u{1b}', '\r']), "{variable}: {told:?}");
    }
}

/// What a terminal of this kind gets to see: `script` pretends to be one.
#[cfg(target_os = "linux")]
fn in_terminal(variables: &[(&str, &str)]) -> String {
    let place = Place::new();
    let run = format!("{} {RUN}", env!("CARGO_BIN_EXE_wgrad"));
    let output = Command::new("script")
        .args(["-qec", &run, "/dev/null"])
        .current_dir(place.path(""))
        .env("XDG_RUNTIME_DIR", place.path(""))
        .env("TERM", "xterm-256color")
        .env_remove("CI")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    text(&output.stdout)
}

/// Whether there are codes that set colours: `ESC [ … m`.
#[cfg(target_os = "linux")]
fn is_coloured(told: &str) -> bool {
    told.split("\u{1b}[").skip(1).any(|code| {
        code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_gets_a_bar() {
    let told = in_terminal(&[]);
    assert!(told.contains("left") && is_coloured(&told), "{told:?}");
    let told = in_terminal(&[("NO_COLOR", "1")]);
    assert!(told.contains("left") && !is_coloured(&told), "{told:?}");
    // A terminal that nobody watches, and one that can't move its cursor.
    for variable in [("CI", "true"), ("TERM", "dumb")] {
        let told = in_terminal(&[variable]);
        has_lines(&told.replace("\r\n", "\n"));
        assert!(!told.contains('\u{1b}'), "{variable:?}: {told:?}");
    }
    assert!(in_terminal(&[("CI", "false")]).contains("left"), "that is no build server");
}
