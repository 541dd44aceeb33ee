//! What the folder of a run tells of it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use wgrad::EpochReport;

use super::config::Config;
use super::failure::Failure;
use super::figure::{Axis, Line, Panel};
use super::run_folder::{self, CONFIG, INSIGHT_LINES, RESULTS, not_a_run};

/// Losses that differ by more than this factor are drawn on a logarithmic axis.
const LOG_FROM: f64 = 20.0;
/// Tensors that get a curve; deeper nets show their first and last weights.
const MOST_TENSORS: usize = 6;

/// A run, read from its folder.
#[derive(Debug)]
pub(crate) struct RunRecord {
    pub folder: PathBuf,
    pub config: Config,
    /// What the validation score is called.
    pub score: &'static str,
    pub epochs: Vec<EpochReport>,
    /// Measured tensors in the order of the net.
    pub tensors: Vec<TensorRecord>,
    /// What was printed at the end; empty if the run didn't come so far.
    pub results: Map<String, Value>,
}

/// What was measured of a weight tensor.
#[derive(Debug)]
pub(crate) struct TensorRecord {
    pub name: String,
    /// Step, norm of the gradient, ‖Δw‖/‖w‖.
    pub steps: Vec<[f64; 3]>,
}

/// A quantity of an epoch.
pub(crate) type OfEpoch = fn(&EpochReport) -> Option<f64>;

pub(crate) const TRAIN_LOSS: OfEpoch = |epoch| Some(epoch.train.loss());
pub(crate) const VALIDATION_LOSS: OfEpoch = |epoch| Some(epoch.validation?.loss);
pub(crate) const SCORE: OfEpoch = |epoch| Some(epoch.validation?.score.value());
pub(crate) const LR: OfEpoch = |epoch| Some(epoch.lr);

impl RunRecord {
    /// Reads a run's folder; one that isn't whole is refused.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let refuse = |problem: &str| Failure::input(format!("{}: {problem}", folder.display()));
        if !folder.is_dir() {
            return Err(refuse("no such folder of a run"));
        }
        if !folder.join(CONFIG).exists() {
            return Err(refuse(&not_a_run(folder)));
        }
        let config = Config::load(&folder.join(CONFIG))
            .map_err(|failure| Failure::run(failure.message().unwrap_or_default()))?;
        let (score, epochs) = run_folder::history(folder)?;
        // Of what isn't there nothing is told.
        let results = std::fs::read_to_string(folder.join(RESULTS)).unwrap_or_default();
        Ok(Self {
            folder: folder.to_owned(),
            config,
            score,
            epochs,
            tensors: tensors(folder).unwrap_or_default(),
            results: serde_json::from_str(&results).unwrap_or_default(),
        })
    }

    /// The folder's own name.
    pub(crate) fn name(&self) -> String {
        let folder = std::path::absolute(&self.folder).unwrap_or_else(|_| self.folder.clone());
        folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Its quantity over the epochs, where that is a number.
    #[expect(clippy::cast_precision_loss, reason = "epochs are far below 2⁵²")]
    pub(crate) fn curve(&self, of: OfEpoch) -> Vec<(f64, f64)> {
        let point = |epoch: &EpochReport| Some((epoch.epoch as f64, of(epoch)?));
        self.epochs.iter().filter_map(point).filter(|point| point.1.is_finite()).collect()
    }

    /// Seconds that its epochs took.
    pub(crate) fn seconds(&self) -> f64 {
        // The sum of none is −0.
        self.epochs.iter().map(|epoch| epoch.seconds).sum::<f64>() + 0.0
    }

    /// A number that was printed at its end.
    pub(crate) fn result(&self, name: &str) -> Option<f64> {
        self.results.get(name)?.as_f64()
    }

    /// Gradients and updates of the measured steps.
    pub(crate) fn tensor_panels(&self) -> Vec<Panel> {
        let half = MOST_TENSORS / 2;
        let shown: Vec<&TensorRecord> = match &self.tensors[..] {
            [] => return Vec::new(),
            all if all.len() <= MOST_TENSORS => all.iter().collect(),
            all => all[..half].iter().chain(&all[all.len() - half..]).collect(),
        };
        let panel = |title: &str, y, column: usize| {
            let line = |(color, tensor): (usize, &&TensorRecord)| {
                let points = tensor.steps.iter().map(|step| (step[0], step[column]));
                Line::new(tensor.name.clone(), color, points)
            };
            let lines = shown.iter().enumerate().map(line).collect();
            Panel { title: title.into(), x: Axis::linear("step"), y, lines }
        };
        vec![
            panel("Norm of the gradient", Axis::log("‖g‖"), 1),
            panel("Update to weight", Axis::log("‖Δw‖ / ‖w‖"), 2),
        ]
    }
}

/// A panel over the epochs; of losses, or what else is above 0, a logarithmic one where they differ
/// much.
pub(crate) fn epoch_panel(title: &str, y: &'static str, lines: Vec<Line>, is_loss: bool) -> Panel {
    let values = || lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let least = values().fold(f64::INFINITY, f64::min);
    let log = is_loss && least > 0.0 && values().fold(0.0, f64::max) / least > LOG_FROM;
    let y = if log { Axis::log(y) } else { Axis::linear(y) };
    Panel { title: title.into(), x: Axis::linear("epoch"), y, lines }
}

/// The weights of `insights.csv`; matrices say most.
fn tensors(folder: &Path) -> Option<Vec<TensorRecord>> {
    let mut reader = csv::Reader::from_path(folder.join(INSIGHT_LINES)).ok()?;
    let head = reader.headers().ok()?.clone();
    let column = |name: &str| head.iter().position(|column| column == name);
    let name = column("tensor")?;
    let numbers = [column("step")?, column("gradient_norm")?, column("update_ratio")?];
    let mut tensors: Vec<TensorRecord> = Vec::new();
    for line in reader.records().map_while(Result::ok) {
        let number = |at: usize| line.get(at).and_then(|text| text.parse().ok());
        let name = line.get(name).filter(|name| name.ends_with(".weight"));
        let (Some(name), [Some(step), Some(gradient), Some(update)]) = (name, numbers.map(number))
        else {
            continue;
        };
        let known = tensors.iter().position(|tensor| tensor.name == name).unwrap_or_else(|| {
            tensors.push(TensorRecord { name: name.to_owned(), steps: Vec::new() });
            tensors.len() - 1
        });
        tensors[known].steps.push([step, gradient, update]);
    }
    Some(tensors)
}
