//! The folder that a run leaves behind.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use wgrad::{EpochReport, Evaluation, Metrics, Score};

use super::failure::Failure;
use super::files::{keep_lines, lines_behind, write_whole};
use super::lock::Lock;
use super::talk::shortest;

/// The trained net.
pub(crate) const MODEL: &str = "model.safetensors";
/// How the run was made.
pub(crate) const CONFIG: &str = "config.toml";
/// A line per epoch.
const METRICS: &str = "metrics.csv";
/// What the steps did to the tensors, a line per measured step and tensor.
pub(crate) const INSIGHT_LINES: &str = "insights.csv";
/// The same over the steps.
pub(crate) const INSIGHTS: &str = "insights.svg";
/// The losses over the epochs.
pub(crate) const CHART: &str = "loss.svg";
/// The scores, as `--json` prints them.
pub(crate) const RESULTS: &str = "results.json";
/// All of this for people.
pub(crate) const REPORT: &str = "report.html";
/// What an unfinished run goes on from.
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";
/// Which variants of the kernels it took, where they were measured.
pub(crate) const TUNING: &str = "tuning.json";
/// The folder of the newest and earlier such files, where more than one is kept.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// What a sweep's folder, whose runs are its trials, was made of.
pub(crate) const PLAN: &str = "plan.json";
/// The net at its smallest validation loss.
pub(crate) const BEST: &str = "best.safetensors";

/// A folder of its own for one run, with the metrics written so far.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: csv::Writer<File>,
    /// Of a new folder; whoever goes on with one has it already.
    _lock: Option<Lock>,
}

impl RunFolder {
    /// Makes the folder and starts `metrics.csv`; `score` names the validation score's column, and
    /// `more` those that come last. If another run has taken the path in the meantime, a name that nobody
    /// gave gets a number.
    pub(crate) fn create(
        path: PathBuf,
        is_named: bool,
        score: &str,
        more: &[&str],
    ) -> Result<Self, Failure> {
        let runs = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(runs).map_err(Failure::folder(runs))?;
        let path = claim(path, is_named)?;
        let failed = |error: &dyn std::fmt::Display| {
            Failure::run(format!("making the run folder {}: {error}", path.display()))
        };
        let lock = Some(Lock::take(&path, "stop it")?);
        let file = File::create_new(path.join(METRICS)).map_err(|e| failed(&e))?;
        let mut metrics = csv::Writer::from_writer(file);
        let validation_score = format!("validation_{score}");
        let head =
            ["epoch", "step", "lr", "train_loss", "validation_loss", &validation_score, "seconds"];
        metrics.write_record(head.iter().chain(more)).map_err(|e| failed(&e))?;
        metrics.flush().map_err(|e| failed(&e))?;
        Ok(Self { path, metrics, _lock: lock })
    }

    /// An epoch, as its line tells.
    pub(crate) fn epoch(&self, number: u64) -> Option<EpochReport> {
        let mut reader = csv::Reader::from_path(self.path.join(METRICS)).ok()?;
        let (_, score) = score_of(reader.headers().ok()?)?;
        let lines = reader.records().map_while(Result::ok);
        lines.filter_map(|line| report(&line, score)).find(|report| report.epoch == number)
    }

    /// The folder of a run that goes on after `epochs` epochs; later ones' lines are dropped. Returns the
    /// epochs that stay, as far as the lines tell.
    pub(crate) fn reopen(path: PathBuf, epochs: u64) -> Result<(Self, Vec<EpochReport>), Failure> {
        let file = path.join(METRICS);
        let history = keep_epochs(&file, epochs)?;
        Ok((Self { metrics: lines_behind(&file)?, path, _lock: None }, history))
    }

    /// Drops the lines of epochs behind the first `epochs`, and returns what the others tell.
    pub(crate) fn go_back(&mut self, epochs: u64) -> Result<Vec<EpochReport>, Failure> {
        let file = self.file(METRICS);
        let history = keep_epochs(&file, epochs)?;
        self.metrics = lines_behind(&file)?;
        Ok(history)
    }

    /// Keeps the checkpoint just written beside later ones, and of those kept so the `most` newest.
    pub(crate) fn keep_checkpoint(&self, steps: u64, most: usize) -> Result<(), Failure> {
        let folder = self.file(CHECKPOINTS);
        let failed = |e: std::io::Error| Failure::run(format!("{}: {e}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let (newest, kept) =
            (self.file(CHECKPOINT), folder.join(format!("step-{steps}.safetensors")));
        // A run that went back writes the same steps again.
        let _ = std::fs::remove_file(&kept);
        // The same file under a second name, where the file system has that.
        if std::fs::hard_link(&newest, &kept).is_err() {
            std::fs::copy(&newest, &kept).map_err(failed)?;
        }
        let mut all: Vec<(u64, PathBuf)> = std::fs::read_dir(&folder)
            .map_err(failed)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|path| Some((steps_of(&path)?, path)))
            .collect();
        all.sort_unstable();
        // Later ones are of a training that this one went back behind.
        let newest = all.partition_point(|(kept, _)| *kept <= steps);
        let oldest = newest.saturating_sub(most);
        let mut dropped = all[..oldest].iter().chain(&all[newest..]);
        dropped.try_for_each(|(_, path)| std::fs::remove_file(path)).map_err(failed)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a text file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        write_whole(&self.file(name), text.as_bytes())
    }

    /// Adds the line of an epoch, with the columns that come last; others can read it when this
    /// returns.
    pub(crate) fn add_epoch(&mut self, report: &EpochReport, more: &[f64]) -> Result<(), Failure> {
        let validation = |value: Option<f64>| value.map_or_else(String::new, shortest);
        let line = [
            report.epoch.to_string(),
            report.step.to_string(),
            shortest(report.lr),
            shortest(report.train.loss()),
            validation(report.validation.map(|v| v.loss)),
            validation(report.validation.map(|v| v.score.value())),
            format!("{:.6}", report.seconds),
        ];
        let more = more.iter().map(|&x| if x.is_nan() { String::new() } else { shortest(x) });
        let written = self
            .metrics
            .write_record(line.into_iter().chain(more))
            .and_then(|()| Ok(self.metrics.flush()?));
        written.map_err(|e| Failure::run(format!("{}: {e}", self.file(METRICS).display())))
    }
}

/// What the validation score is called, and the epochs, as far as the lines of `metrics.csv` tell. A line
/// that was cut off when the run was killed ends them.
pub(crate) fn history(folder: &Path) -> Result<(&'static str, Vec<EpochReport>), Failure> {
    let path = folder.join(METRICS);
    let failed = |e: &dyn std::fmt::Display| Failure::run(format!("{}: {e}", path.display()));
    let mut reader = csv::Reader::from_path(&path).map_err(|e| failed(&e))?;
    let head = reader.headers().map_err(|e| failed(&e))?;
    let (name, score) =
        score_of(head).ok_or_else(|| failed(&"these aren't the metrics of a run"))?;
    let lines = reader.records().map_while(Result::ok);
    Ok((name, lines.map_while(|line| report(&line, score)).collect()))
}

/// A score of this value.
type OfNumber = fn(f64) -> Score;

/// What the validation score is called, and what makes one of a number, by the head of `metrics.csv`.
fn score_of(head: &csv::StringRecord) -> Option<(&'static str, OfNumber)> {
    match head.get(5)? {
        "validation_accuracy" => Some(("accuracy", Score::Accuracy)),
        "validation_r2" => Some(("R²", Score::R2)),
        _ => None,
    }
}

/// Drops the lines of epochs behind the first `epochs`, and returns what the others tell.
fn keep_epochs(metrics: &Path, epochs: u64) -> Result<Vec<EpochReport>, Failure> {
    let mut history = Vec::new();
    keep_lines(metrics, epochs, |head, line| {
        history.extend(score_of(head).and_then(|(_, score)| report(line, score)));
    })?;
    Ok(history)
}

/// The steps behind a kept checkpoint, from its name.
fn steps_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

/// An epoch, from its line.
fn report(line: &csv::StringRecord, score: OfNumber) -> Option<EpochReport> {
    let number = |at: usize| line.get(at).and_then(|text| text.parse::<f64>().ok());
    let train = Metrics { loss_sum: number(3)?, weight_sum: 1.0, ..Metrics::default() };
    let score = score(number(5).unwrap_or(f64::NAN));
    Some(EpochReport {
        epoch: line.get(0)?.parse().ok()?,
        step: line.get(1)?.parse().ok()?,
        lr: number(2)?,
        train,
        validation: number(4).map(|loss| Evaluation { loss, score, rows: 0 }),
        seconds: number(6)?,
        interrupted: false,
        best_epoch: None,
        stop: false,
        restored: false,
        skipped: 0,
        rescaled: 0,
    })
}

/// Makes a folder of this path, or with a number behind it where that is taken and nobody named it.
fn claim(path: PathBuf, is_named: bool) -> Result<PathBuf, Failure> {
    let mut candidate = path.clone();
    let mut number = 1;
    loop {
        match std::fs::create_dir(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !is_named => {
                number += 1;
                let mut name = path.clone().into_os_string();
                name.push(format!("-{number}"));
                candidate = name.into();
            }
            Err(error) => {
                let remedy = match error.kind() {
                    ErrorKind::AlreadyExists => " (take another name)",
                    _ => "",
                };
                let path = path.display();
                return Err(Failure::run(format!("making the run folder {path}: {error}{remedy}")));
            }
        }
    }
}

/// Where a run of this name goes; without a name, where one on the data set `source` at this moment
/// goes, of which there may be several.
pub(crate) fn choose(runs: &Path, name: Option<&str>, source: &str) -> Result<PathBuf, Failure> {
    let Some(name) = name else {
        let stamp = time_stamp(seconds_since_1970());
        return Ok(runs.join(format!("{}-{stamp}", data_name(source))));
    };
    if !is_plain(name) {
        return Err(Failure::input(format!(
            "--name {name:?} must be a plain folder name, without / \\ : * ? \" < > | \
             (--runs chooses the folder it lies in)"
        )));
    }
    let path = runs.join(name);
    if path.exists() {
        return Err(Failure::input(format!(
            "--name {name}: {} is there already (take another name, or delete it)",
            path.display()
        )));
    }
    Ok(path)
}

/// What is wrong with a folder that is taken for a run's, and what to do.
pub(crate) fn not_a_run(folder: &Path) -> String {
    if folder.join(PLAN).exists() {
        return format!(
            "the folder of a sweep, whose trials are the runs: name one, as in {} (results.csv has the best \
             first)",
            folder.join("trial-001").display()
        );
    }
    format!("no run's folder (it has no {CONFIG})")
}

/// Whether a name is a folder's on every system.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    let forbidden = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    one && !name.contains(forbidden) && !name.ends_with([' ', '.'])
}

/// A short name of a data set: the file's without its endings.
fn data_name(source: &str) -> String {
    if source == "-" {
        return "stdin".into();
    }
    let source = source.strip_suffix(".gz").unwrap_or(source);
    let stem = Path::new(source).file_stem().map(|s| s.to_string_lossy().into_owned());
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = stem.unwrap_or_default().chars().map(plain).collect();
    if is_plain(&name) { name } else { "run".into() }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// UTC as `20261122-214455`.
fn time_stamp(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// The Gregorian date of a day counted from 1970-01-01 (Hinnant 2013, `civil_from_days`). Years are
/// counted from March, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_utc() {
        // date -u -d @SECONDS +%Y%m%d-%H%M%S
        for (seconds, stamp) in [
            (0, "19700101-000000"),
            (951_782_400, "20000229-000000"),
            (1_735_689_599, "20241231-235959"),
            (1_795_383_895, "20261122-214455"),
            (4_107_542_400, "21000301-000000"),
        ] {
            assert_eq!(time_stamp(seconds), stamp);
        }
    }

    #[test]
    fn only_plain_names_are_folders() {
        for name in ["a", "digits-20261122-214455", "größe 2", ".hidden", "a.b"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", ".", "..", "/", "a/b", "a/", "../a", "a\\b", "c:", "a\n", "a.", "a*"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn data_sets_lend_their_names() {
        for (source, name) in [
            ("digits", "digits"),
            ("-", "stdin"),
            ("data/my iris.csv.gz", "my_iris"),
            ("..", "run"),
        ] {
            assert_eq!(data_name(source), name);
        }
    }

    #[test]
    fn a_taken_name_is_refused_or_numbered() {
        let runs = tempfile::tempdir().unwrap();
        let chosen = choose(runs.path(), Some("a"), "digits").unwrap();
        std::fs::create_dir(&chosen).unwrap();
        let refused = choose(runs.path(), Some("a"), "digits").unwrap_err();
        assert!(refused.message().unwrap().contains("is there already"));
        let numbered = |name: &str| claim(runs.path().join("b"), false).unwrap().ends_with(name);
        assert!(["b", "b-2", "b-3"].into_iter().all(numbered));
        // Another process may take a name that was given, after it was looked at.
        let refused = claim(runs.path().join("b"), true).unwrap_err();
        assert!(refused.message().unwrap().ends_with("(take another name)"));
    }
}
