//! What `--insight-every` leaves behind: `insights.csv`, columns of `metrics.csv`, `insights.svg`.

use std::fs::File;
use std::path::{Path, PathBuf};

use wgrad::{Insight, Spread, TensorInsight};

use super::failure::Failure;
use super::figure::{Axis, Figure, Line, Panel};
use super::run_folder::{INSIGHT_LINES, keep_lines, lines_behind};
use super::talk::shortest;
use super::thinned::Thinned;

/// Lines per panel of the picture; deeper nets show their first and last weights.
const MOST_LINES: usize = 6;

const COLUMNS: [&str; 15] = [
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

/// The insights of a run, written as they come.
pub(crate) struct Insights {
    path: PathBuf,
    lines: csv::Writer<File>,
    seen: Thinned<Insight>,
    last: Option<Insight>,
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
        Ok(Self { path, lines, seen: Thinned::default(), last: None, failed: None })
    }

    /// Goes on with `insights.csv` of a run that has `steps` steps behind it. The picture begins there.
    pub(crate) fn reopen(folder: &Path, steps: u64) -> Result<Self, Failure> {
        let path = folder.join(INSIGHT_LINES);
        keep_lines(&path, steps)?;
        Ok(Self {
            lines: lines_behind(&path)?,
            path,
            seen: Thinned::default(),
            last: None,
            failed: None,
        })
    }

    /// Drops what was measured of steps behind the first `steps`.
    pub(crate) fn go_back(&mut self, steps: u64) -> Result<(), Failure> {
        self.check()?;
        keep_lines(&self.path, steps)?;
        self.lines = lines_behind(&self.path)?;
        self.seen.keep_while(|insight| insight.step <= steps);
        self.last = self.seen.kept().last().cloned();
        Ok(())
    }

    /// Adds the lines of a step.
    pub(crate) fn add(&mut self, insight: &Insight) {
        let written = insight
            .tensors
            .iter()
            .try_for_each(|tensor| self.lines.write_record(record(insight, tensor)))
            .and_then(|()| Ok(self.lines.flush()?));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
        self.seen.push(insight.clone());
        self.last = Some(insight.clone());
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
        let norm = |of: fn(&TensorInsight) -> f64| {
            last.tensors.iter().map(|tensor| of(tensor).powi(2)).sum::<f64>().sqrt()
        };
        let update_ratio = norm(|t| t.update_norm) / norm(|t| t.weight_norm);
        let steps = mean(last.tensors.iter().map(|tensor| tensor.effective_step.mean));
        let dead = mean(last.dead_units.iter().map(|(_, share)| *share));
        Some([norm(|t| t.gradient_norm), update_ratio, steps, dead])
    }

    /// The picture, if anything was measured.
    pub(crate) fn svg(&self, title: &str) -> Result<Option<String>, Failure> {
        let Some(first) = self.seen.kept().first() else { return Ok(None) };
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
        let lines = |of: &dyn Fn(&TensorInsight) -> f64| -> Vec<Line> {
            let numbered = shown.iter().enumerate();
            numbered
                .map(|(color, &k)| {
                    let name = first.tensors[k].name.clone();
                    Line::new(name, color, self.curve(|insight| of(&insight.tensors[k])))
                })
                .collect()
        };
        // A band about each median.
        let band = |of: &dyn Fn(&TensorInsight) -> Option<Spread>| -> Vec<Line> {
            let value = |part: fn(Spread) -> f64, t: &TensorInsight| of(t).map_or(f64::NAN, part);
            let mut all = lines(&|t| value(|s| s.median, t));
            for edge in [|s: Spread| s.p10, |s: Spread| s.p90] {
                all.extend(
                    lines(&|t| value(edge, t)).into_iter().map(|line| line.thin().unnamed()),
                );
            }
            all
        };
        let step = Axis::linear("step");
        let panel = |title: &str, y, lines| Panel { title: title.into(), x: step, y, lines };
        let mut panels = vec![
            panel("gradient", Axis::log("‖g‖"), lines(&|t| t.gradient_norm)),
            panel("update to weight", Axis::log("‖Δw‖ / ‖w‖"), lines(&|t| t.update_ratio())),
            panel(
                "effective step |Δ|/η: median, p10 and p90",
                Axis::log("effective step"),
                band(&|t| Some(t.effective_step)),
            ),
        ];
        if first.tensors.iter().any(|tensor| tensor.decay.is_some()) {
            panels.push(panel(
                "decay a step: median, p10 and p90",
                Axis::log("coefficient"),
                band(&|t| t.decay),
            ));
        }
        let dead = first.dead_units.iter().enumerate().map(|(k, (layer, _))| {
            let shares = self.curve(|insight| insight.dead_units[k].1);
            Line::new(format!("layer {layer}"), k, shares)
        });
        let dead: Vec<Line> = dead.collect();
        if !dead.is_empty() {
            panels.push(panel("dead ReLU units", Axis::linear("share"), dead));
        }
        Figure { title: title.to_owned(), panels }.svg().map(Some)
    }

    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2⁵²")]
    fn curve(&self, of: impl Fn(&Insight) -> f64) -> Vec<(f64, f64)> {
        self.seen.kept().iter().map(|insight| (insight.step as f64, of(insight))).collect()
    }
}

fn record(insight: &Insight, tensor: &TensorInsight) -> Vec<String> {
    let spread = |spread: Option<Spread>| -> [String; 4] {
        match spread {
            Some(s) => [s.mean, s.p10, s.median, s.p90].map(shortest),
            None => Default::default(),
        }
    };
    // Behind which weights a ReLU stands is told by their layer.
    let layer = tensor.name.strip_suffix(".weight").and_then(|layer| layer.parse().ok());
    let dead = insight.dead_units.iter().find(|(of, _)| Some(*of) == layer);
    let norms =
        [tensor.weight_norm, tensor.gradient_norm, tensor.update_norm, tensor.update_ratio()];
    [insight.step.to_string(), tensor.name.clone()]
        .into_iter()
        .chain(norms.map(shortest))
        .chain(spread(Some(tensor.effective_step)))
        .chain(spread(tensor.decay))
        .chain([dead.map_or_else(String::new, |(_, share)| shortest(*share))])
        .collect()
}

/// NaN of nothing.
fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    sum / count
}
