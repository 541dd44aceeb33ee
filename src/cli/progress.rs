//! What is told while a net trains: a bar where somebody watches, and a line for every few epochs.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use wgrad::data::Reading;
use wgrad::{EpochReport, Evaluation, Progress, Score};

use super::results::percent;
use super::talk::{Talk, r2, significant};

/// Runs of more epochs than this don't get a line for each.
const MOST_LINES: u64 = 25;
/// Lines of such a run, about.
const LINES: u64 = 20;
/// The bar's text needn't change faster than anybody reads.
const REFRESH: Duration = Duration::from_millis(60);

/// Shows how far a run is.
#[derive(Debug)]
pub(crate) struct Display {
    talk: Talk,
    /// Hidden where nobody watches.
    bar: ProgressBar,
    epochs: u64,
    /// Training rows.
    rows: u64,
    /// Name of the validation score; empty where there are no validation rows.
    score: &'static str,
    validation: Option<Evaluation>,
    refreshed: Instant,
}

impl Display {
    pub(crate) fn new(talk: Talk, epochs: u64, rows: u64, score: Option<&'static str>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(epochs.saturating_mul(rows)), target(talk));
        bar.set_style(style());
        let score = score.unwrap_or_default();
        Self { talk, bar, epochs, rows, score, validation: None, refreshed: Instant::now() }
    }

    /// Names the columns of the epochs' lines.
    pub(crate) fn start(&self) {
        let validation = match self.score {
            "" => String::new(),
            score => format!("  {:>15}  {score:>8}", "validation loss"),
        };
        let title =
            format!("epoch  {:>10}{validation}  {:>9}  {:>11}", "train loss", "lr", "samples/s");
        self.line(&title);
    }

    /// How far the epoch is.
    pub(crate) fn progress(&mut self, progress: &Progress) {
        if self.bar.is_hidden() || self.refreshed.elapsed() < REFRESH {
            return;
        }
        self.refreshed = Instant::now();
        let mut text = format!(
            "epoch {}/{}  loss {}",
            progress.epoch,
            self.epochs,
            significant(progress.loss)
        );
        if let Some(validation) = &self.validation {
            let (loss, score) = (significant(validation.loss), shown(validation.score));
            // Writing to a String doesn't fail.
            let _ = write!(text, "  validation {loss}  {} {score}", self.score);
        }
        let _ = write!(text, "  lr {:.1e}", progress.lr);
        self.bar.set_message(text);
        self.bar.set_position((progress.epoch - 1) * self.rows + progress.rows);
    }

    /// What an epoch came to.
    pub(crate) fn epoch(&mut self, report: &EpochReport) {
        self.validation = report.validation.or(self.validation);
        self.bar.set_position(report.epoch * self.rows);
        let every = if self.epochs <= MOST_LINES { 1 } else { self.epochs.div_ceil(LINES) };
        let due =
            report.epoch == 1 || report.epoch.is_multiple_of(every) || report.epoch == self.epochs;
        if due || report.interrupted {
            self.line(&self.epoch_line(report));
        }
    }

    fn epoch_line(&self, report: &EpochReport) -> String {
        let mut line = format!("{:>5}  {:>10}", report.epoch, significant(report.train.loss()));
        if !self.score.is_empty() {
            let [loss, score] = match report.validation {
                Some(validation) => [significant(validation.loss), shown(validation.score)],
                None => [String::new(), String::new()],
            };
            let _ = write!(line, "  {loss:>15}  {score:>8}");
        }
        let rate = HumanCount(rate(report.train.rows, report.seconds)).to_string();
        let _ = write!(line, "  {:>9.2e}  {rate:>11}", report.lr);
        line
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Tells something beside the epochs' lines.
    pub(crate) fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            self.talk.line(text);
        } else {
            self.bar.println(text);
        }
    }
}

/// How far something of so many parts is, where somebody watches.
pub(crate) fn bar(talk: Talk, parts: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(parts), target(talk));
    if let Ok(style) = ProgressStyle::with_template("{bar:20.cyan/dim} {elapsed}  {msg}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Shows how far the reading of a table is.
pub(crate) struct ReadingBar(ProgressBar);

impl ReadingBar {
    pub(crate) fn new(talk: Talk) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(talk));
        let template = "{bar:20.cyan/dim} {bytes} of {total_bytes}  {bytes_per_sec}  {wide_msg}";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
        Self(bar)
    }

    pub(crate) fn show(&self, reading: &Reading) {
        if !self.0.is_hidden() {
            if let Some(total) = reading.total {
                self.0.set_length(total);
            }
            self.0.set_message(reading.doing);
            self.0.set_position(reading.bytes);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Where bars are drawn: on standard error if that is a terminal whose cursor can move. The logs of build
/// servers, some of which pretend to be one, get lines alone. Colours are left out where `NO_COLOR` says so.
fn target(talk: Talk) -> ProgressDrawTarget {
    let is = |name, wanted: fn(&str) -> bool| std::env::var(name).is_ok_and(|value| wanted(&value));
    let is_ci = is("CI", |value| !matches!(value, "" | "0" | "false"));
    if talk.quiet || is_ci || is("TERM", |value| value == "dumb") {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}

fn style() -> ProgressStyle {
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // Nothing to do about a failure to format.
        let _ = write!(text, "{}", HumanCount(whole(state.per_sec())));
    };
    ProgressStyle::with_template("{bar:20.cyan/dim} {eta} left  {rate} samples/s  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate)
        .progress_chars("━╸─")
}

/// Samples per second.
#[expect(clippy::cast_precision_loss, reason = "shown in whole samples")]
pub(crate) fn rate(rows: u64, seconds: f64) -> u64 {
    whole(rows as f64 / seconds)
}

/// Rounded; 0 for what isn't a number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
fn whole(x: f64) -> u64 {
    x.round() as u64
}

/// A score by its kind.
fn shown(score: Score) -> String {
    match score {
        Score::Accuracy(accuracy) => percent(accuracy),
        Score::R2(value) => r2(value),
    }
}
