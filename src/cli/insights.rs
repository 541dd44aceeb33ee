//! What `--insight-every` leaves behind: `insights.csv`, columns of `metrics.csv`, `insights.svg`.

use std::fs::File;
use std::path::{Path, PathBuf};

use wgrad::{Insight, Spread, TensorInsight};

use super::failure::Failure;
use super::figure::{Axis, Figure, Line, Panel};
use super::files::{keep_lines, lines_behind};
use super::run_folder::INSIGHT_LINES;
use super::talk::shortest;
use super::thinned::Thinned;

/// Lines per panel of the picture; deeper nets show their first and last weights.
const MOST_LINES: usize = 6;

/// What a line says: of a step and a tensor these [`NUMBERS`].
const COLUMNS: [&str; 2 + NUMBERS] = [
    "step",
    "tensor",
    "weight_norm",
    "gradient_norm",
    "update_norm",
    "update_ratio",
    "effective_step_mean",
    "effective_step_p10",
    "effective_step_median",
    "effective_step_p90",
    "decay_mean",
    "decay_p10",
    "decay_median",
    "decay_p90",
    "dead_units",
];

/// Columns that `metrics.csv` gets.
pub(crate) const METRICS: [&str; 4] =
    ["gradient_norm", "update_ratio", "effective_step", "dead_units"];

/// Numbers of a tensor, in the order of [`COLUMNS`]; where one of them is.
const NUMBERS: usize = 13;
const WEIGHT_NORM: usize = 0;
const GRADIENT_NORM: usize = 1;
const UPDATE_NORM: usize = 2;
const UPDATE_RATIO: usize = 3;
/// Mean, tenth percentile, median, ninetieth percentile.
const EFFECTIVE_STEP: [usize; 4] = [4, 5, 6, 7];
const DECAY: [usize; 4] = [8, 9, 10, 11];
const DEAD_UNITS: usize = 12;

/// What was measured of a step.
struct Measured {
    step: u64,
    tensors: Vec<MeasuredTensor>,
}

/// What was measured of a tensor; NaN is what there isn't.
struct MeasuredTensor {
    name: String,
    numbers: [f64; NUMBERS],
}

impl Measured {
    fn of(insight: &Insight) -> Self {
        let tensor = |tensor: &TensorInsight| {
            // Behind which weights a ReLU stands is told by their layer.
            let layer = tensor.name.strip_suffix(".weight").and_then(|layer| layer.parse().ok());
            let dead = insight.dead_units.iter().find(|(of, _)| Some(*of) == layer);
            let [norm, gradient] = [tensor.weight_norm, tensor.gradient_norm];
            let mut numbers = [f64::NAN; NUMBERS];
            numbers[..4].copy_from_slice(&[
                norm,
                gradient,
                tensor.update_norm,
                tensor.update_ratio(),
            ]);
            for (at, spread) in
                [(EFFECTIVE_STEP, Some(tensor.effective_step)), (DECAY, tensor.decay)]
            {
                let Some(Spread { mean, p10, median, p90, .. }) = spread else { continue };
                numbers[at[0]..=at[3]].copy_from_slice(&[mean, p10, median, p90]);
            }
            numbers[DEAD_UNITS] = dead.map_or(f64::NAN, |(_, share)| *share);
            MeasuredTensor { name: tensor.name.clone(), numbers }
        };
        Self { step: insight.step, tensors: insight.tensors.iter().map(tensor).collect() }
    }

    /// The numbers of the tensors one after the other.
    fn each(&self, at: usize) -> impl Iterator<Item = f64> {
        self.tensors.iter().map(move |tensor| tensor.numbers[at])
    }
}

/// Reads `insights.csv` step by step; a line that was cut off ends it.
fn read(path: &Path, mut take: impl FnMut(Measured)) -> Result<(), Failure> {
    let failed = |e: csv::Error| Failure::run(format!("{}: {e}", path.display()));
    let mut step: Option<Measured> = None;
    for line in csv::Reader::from_path(path).map_err(failed)?.records().map_while(Result::ok) {
        let Some(number) = line.get(0).and_then(|text| text.parse().ok()) else { break };
        let cell = |at: usize| line.get(at).and_then(|text| text.parse().ok());
        let tensor = MeasuredTensor {
            name: line.get(1).unwrap_or_default().to_owned(),
            numbers: std::array::from_fn(|at| cell(2 + at).unwrap_or(f64::NAN)),
        };
        match &mut step {
            Some(step) if step.step == number => step.tensors.push(tensor),
            _ => {
                step.replace(Measured { step: number, tensors: vec![tensor] }).map(&mut take);
            }
        }
    }
    step.map(take);
    Ok(())
}

/// The insights of a run, written as they come.
pub(crate) struct Insights {
    path: PathBuf,
    lines: csv::Writer<File>,
    last: Option<Measured>,
    /// The first write that failed; told at the end of the epoch.
    failed: Option<csv::Error>,
}

impl Insights {
    /// Starts `insights.csv` in a run's folder.
    pub(crate) fn create(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(INSIGHT_LINES);
        let failed = |e: &dyn std::fmt::Display| Failure::run(format!("{}: {e}", path.display()));
        let file = File::create_new(&path).map_err(|e| failed(&e))?;
        let mut lines = csv::Writer::from_writer(file);
        lines.write_record(COLUMNS).map_err(|e| failed(&e))?;
        lines.flush().map_err(|e| failed(&e))?;
        Ok(Self { path, lines, last: None, failed: None })
    }

    /// Goes on with `insights.csv` of a run that has `steps` steps behind it.
    pub(crate) fn reopen(folder: &Path, steps: u64) -> Result<Self, Failure> {
        let path = folder.join(INSIGHT_LINES);
        keep_lines(&path, steps, |_, _| ())?;
        let mut last = None;
        read(&path, |step| last = Some(step))?;
        Ok(Self { lines: lines_behind(&path)?, path, last, failed: None })
    }

    /// Drops what was measured of steps behind the first `steps`.
    pub(crate) fn go_back(&mut self, steps: u64) -> Result<(), Failure> {
        self.check()?;
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        *self = Self::reopen(&folder, steps)?;
        Ok(())
    }

    /// Adds the lines of a step.
    pub(crate) fn add(&mut self, insight: &Insight) {
        let step = Measured::of(insight);
        let written = step
            .tensors
            .iter()
            .try_for_each(|tensor| self.lines.write_record(record(step.step, tensor)))
            .and_then(|()| Ok(self.lines.flush()?));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
        self.last = Some(step);
    }

    /// Whether everything could be written.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.failed.take() {
            Some(e) => Err(Failure::run(format!("{}: {e}", self.path.display()))),
            None => Ok(()),
        }
    }

    /// The last measured step over the whole net, as [`METRICS`] names it: ‖g‖, ‖Δw‖/‖w‖, mean
    /// effective step of the tensors, mean share of dead units; NaN where there is none.
    pub(crate) fn summary(&self) -> Option<[f64; 4]> {
        let last = self.last.as_ref()?;
        let norm = |at| last.each(at).map(|norm| norm.powi(2)).sum::<f64>().sqrt();
        let update_ratio = norm(UPDATE_NORM) / norm(WEIGHT_NORM);
        let steps = mean(last.each(EFFECTIVE_STEP[0]));
        let dead = mean(last.each(DEAD_UNITS).filter(|share| !share.is_nan()));
        Some([norm(GRADIENT_NORM), update_ratio, steps, dead])
    }

    /// The picture of all that the file holds, if anything was measured.
    pub(crate) fn svg(&self, title: &str) -> Result<Option<String>, Failure> {
        let mut steps = Thinned::default();
        read(&self.path, |step| steps.push(step))?;
        let steps = steps.kept();
        let Some(first) = steps.first() else { return Ok(None) };
        // Matrices say most; biases and norms would fill the picture.
        let weights: Vec<usize> = (0..first.tensors.len())
            .filter(|&k| first.tensors[k].name.ends_with(".weight"))
            .collect();
        let half = MOST_LINES / 2;
        let shown: Vec<usize> = if weights.len() <= MOST_LINES {
            weights
        } else {
            weights[..half].iter().chain(&weights[weights.len() - half..]).copied().collect()
        };
        let lines = |at: usize| -> Vec<Line> {
            let line = |(color, &k): (usize, &usize)| {
                Line::new(first.tensors[k].name.clone(), color, curve(steps, k, at))
            };
            shown.iter().enumerate().map(line).collect()
        };
        // A band about each median.
        let band = |[_, p10, median, p90]: [usize; 4]| -> Vec<Line> {
            let mut all = lines(median);
            for edge in [p10, p90] {
                all.extend(lines(edge).into_iter().map(|line| line.thin().unnamed()));
            }
            all
        };
        let has = |at: usize| {
            (0..first.tensors.len()).filter(move |&k| !first.tensors[k].numbers[at].is_nan())
        };
        let step = Axis::linear("step");
        let panel = |title: &str, y, lines| Panel { title: title.into(), x: step, y, lines };
        let mut panels = vec![
            panel("gradient", Axis::log("‖g‖"), lines(GRADIENT_NORM)),
            panel("update to weight", Axis::log("‖Δw‖ / ‖w‖"), lines(UPDATE_RATIO)),
            panel(
                "effective step |Δ|/η: median, p10 and p90",
                Axis::log("effective step"),
                band(EFFECTIVE_STEP),
            ),
        ];
        if has(DECAY[0]).next().is_some() {
            panels.push(panel(
                "decay a step: median, p10 and p90",
                Axis::log("coefficient"),
                band(DECAY),
            ));
        }
        let dead = has(DEAD_UNITS).enumerate().map(|(color, k)| {
            let layer = first.tensors[k].name.trim_end_matches(".weight");
            Line::new(format!("layer {layer}"), color, curve(steps, k, DEAD_UNITS))
        });
        let dead: Vec<Line> = dead.collect();
        if !dead.is_empty() {
            panels.push(panel("dead ReLU units", Axis::linear("share"), dead));
        }
        Figure { title: title.to_owned(), panels }.svg().map(Some)
    }
}

/// A number of a tensor over the steps.
#[expect(clippy::cast_precision_loss, reason = "steps are far below 2⁵²")]
fn curve(steps: &[Measured], tensor: usize, at: usize) -> Vec<(f64, f64)> {
    let number = |step: &Measured| Some(step.tensors.get(tensor)?.numbers[at]);
    steps.iter().map(|step| (step.step as f64, number(step).unwrap_or(f64::NAN))).collect()
}

fn record(step: u64, tensor: &MeasuredTensor) -> impl Iterator<Item = String> {
    let cell = |&number: &f64| if number.is_nan() { String::new() } else { shortest(number) };
    [step.to_string(), tensor.name.clone()].into_iter().chain(tensor.numbers.iter().map(cell))
}

/// NaN of nothing.
fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    sum / count
}
