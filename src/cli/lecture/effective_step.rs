//! The effective step |m̂|/(√v̂ + ε) far from the optimum and near it, and what Adam makes of an L2
//! penalty.

use wgrad::data::{Dataset, Targets};
use wgrad::rng::{Purpose, Stream};
use wgrad::{Decay, Init, Insight, Layer, Linear, Loss, Mlp, Optimizer, TrainOptions};

use super::nets::insights;
use super::study::{Study, Table};
use crate::cli::failure::Failure;
use crate::cli::figure::{Axis, Figure, Line, Panel};
use crate::cli::talk::significant;

const LR: f64 = 0.02;
const LAMBDA: f64 = 0.01;
/// Inputs, whose sizes go from 0.5 to 2.
const COLUMNS: usize = 8;
const ROWS: usize = 4096;
const BATCH: usize = 256;
const EPOCHS: u64 = 48;
/// Steps that count as far from the optimum, and as near it.
const FAR: std::ops::RangeInclusive<u64> = 20..=100;
const NEAR: std::ops::RangeInclusive<u64> = 500..=768;

/// Insights of Adam with an L2 penalty, and of `AdamW`.
struct Runs {
    l2: Vec<Insight>,
    decoupled: Vec<Insight>,
}

/// A noisy linear problem: t = Σ x + noise, x of very different sizes.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small, in f32")]
fn problem() -> Result<Dataset, Failure> {
    let mut stream = Stream::new(2, Purpose::Synthetic, 0);
    let size = |column: usize| 0.5 * 4_f64.powf(column as f64 / (COLUMNS - 1) as f64);
    let (mut inputs, mut values) = (Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let row: Vec<f64> = (0..COLUMNS).map(|column| size(column) * stream.normal()).collect();
        values.push((row.iter().sum::<f64>() + 2.0 * stream.normal()) as f32);
        inputs.extend(row.iter().map(|&x| x as f32));
    }
    Ok(Dataset::new(inputs, COLUMNS, Targets::Values { values, width: 1 })?)
}

/// All weights start at −4; the best are 1.
fn measure() -> Result<Runs, Failure> {
    let data = problem()?;
    let linear = Linear::new(1).weight_init(Init::Constant(-4.0));
    let mlp = Mlp::new(COLUMNS).layer(Layer::Linear(linear));
    let run = |decay| {
        let optimizer = Optimizer::adam(LR).weight_decay(LAMBDA, decay);
        let options = TrainOptions {
            batch_size: BATCH,
            epochs: EPOCHS,
            insight_every: Some(1),
            ..TrainOptions::new(Loss::Mse, optimizer)
        };
        insights(&mlp, &options, &data)
    };
    Ok(Runs { l2: run(Decay::L2)?, decoupled: run(Decay::Decoupled)? })
}

/// The median over the weights, averaged over some steps.
fn median_step(run: &[Insight], steps: &std::ops::RangeInclusive<u64>) -> f64 {
    let medians: Vec<f64> = run
        .iter()
        .filter(|insight| steps.contains(&insight.step))
        .map(|insight| insight.tensors[0].effective_step.median)
        .collect();
    super::nets::mean(&medians)
}

/// Smallest and largest decay coefficient that most weights have, at the last step.
fn decays(run: &[Insight]) -> [f64; 2] {
    let last = run.last().and_then(|insight| insight.tensors[0].decay);
    last.map_or([f64::NAN; 2], |decay| [decay.p10, decay.p90])
}

pub(super) fn study() -> Result<Study, Failure> {
    let runs = measure()?;
    let mut table = Table::new(&["", "far", "near", "decay p10", "decay p90"]);
    for (name, run) in [("Adam + L2", &runs.l2), ("AdamW", &runs.decoupled)] {
        let [low, high] = decays(run);
        let (far, near) = (median_step(run, &FAR), median_step(run, &NEAR));
        let numbers = [far, near, low, high].map(significant);
        table.row(std::iter::once(name.to_owned()).chain(numbers));
    }
    let line = |run: &[Insight], of: fn(&wgrad::TensorInsight) -> f64| -> Vec<(f64, f64)> {
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        let point = |insight: &Insight| (insight.step as f64, of(&insight.tensors[0]));
        run.iter().map(point).collect()
    };
    let decay = |run, color, name: &str, of| Line::new(name, color, line(run, of));
    let panels = vec![
        Panel {
            title: "AdamW: |m̂|/(√v̂ + ε) over the weights".into(),
            x: Axis::linear("step"),
            y: Axis::linear("effective step"),
            lines: vec![
                Line::new("p90", 5, line(&runs.decoupled, |t| t.effective_step.p90)).thin(),
                Line::new("median", 0, line(&runs.decoupled, |t| t.effective_step.median)),
                Line::new("p10", 5, line(&runs.decoupled, |t| t.effective_step.p10)).thin(),
            ],
        },
        Panel {
            title: "what decay takes of each weight in a step".into(),
            x: Axis::linear("step"),
            y: Axis::log("coefficient"),
            lines: vec![
                decay(&runs.l2, 1, "Adam + L2, p90", |t| t.decay.map_or(f64::NAN, |d| d.p90)),
                decay(&runs.l2, 4, "p10", |t| t.decay.map_or(f64::NAN, |d| d.p10)),
                decay(&runs.decoupled, 0, "AdamW", |t| t.decay.map_or(f64::NAN, |d| d.median)),
            ],
        },
    ];
    let note = format!(
        "Far from the optimum the gradients agree: |E g|/√(Var g + (E g)²) is about 1, and Adam \
         moves every weight by η a step. Near it they scatter around 0 and the steps shrink by \
         themselves. (Far: steps {} to {}, near: {} to {}.) A penalty's gradient is divided by √v̂ \
         as well, so each weight decays by ηλ/((1−β₁ᵗ)(√v̂+ε)), its own coefficient; AdamW's is ηλ \
         for all.",
        FAR.start(),
        FAR.end(),
        NEAR.start(),
        NEAR.end()
    );
    let title = "Adam's effective step, and its decay coefficients".to_owned();
    Ok(Study { table, note, figure: Figure { title, panels } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_long_far_away_and_short_near_the_optimum() {
        let runs = measure().unwrap();
        for run in [&runs.l2, &runs.decoupled] {
            let (far, near) = (median_step(run, &FAR), median_step(run, &NEAR));
            assert!(far > 0.8 && far < 1.1, "far: {far}");
            assert!(near < 0.5 * far, "near: {near}, far: {far}");
        }
        let [low, high] = decays(&runs.l2);
        assert!(high > 3.0 * low, "Adam with L2 decays all weights alike: {low} to {high}");
        let [low, high] = decays(&runs.decoupled);
        assert!((low / (LR * LAMBDA) - 1.0).abs() < 1e-9 && low == high, "{low} to {high}");
    }
}
