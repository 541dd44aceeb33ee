//! Momentum on a quadratic whose curvatures differ by κ.

use wgrad::data::{Dataset, Targets};
use wgrad::{Init, Layer, Linear, Loss, Mlp, Optimizer, Sampling, TrainOptions};

use super::nets::train;
use super::study::{Study, Table};
use crate::cli::failure::Failure;
use crate::cli::figure::{Axis, Figure, Line, Panel};

/// How much the loss is to fall.
const TARGET: f64 = 1e-8;
const CONDITIONS: [f64; 3] = [10.0, 100.0, 1000.0];
/// The condition whose curves are drawn.
const DRAWN: f64 = 100.0;

/// One method on one quadratic.
struct Run {
    method: &'static str,
    condition: f64,
    /// Loss before each step, relative to the first.
    losses: Vec<f64>,
    /// The factor by which theory says that the error shrinks in a step.
    rate: f64,
}

impl Run {
    /// Steps until the loss has fallen to [`TARGET`] for good.
    fn steps(&self) -> usize {
        self.losses.iter().rposition(|&loss| loss > TARGET).map_or(0, |last| last + 1)
    }

    /// Steps that theory predicts: the loss is the square of the error.
    fn predicted(&self) -> f64 {
        TARGET.sqrt().ln() / self.rate.ln()
    }
}

/// A linear net on rows (±1, ±c): the mean squared error has curvature 2 along the first weight and
/// the bias, and 2c² = 2/κ along the second weight.
fn quadratic(condition: f64, optimizer: Optimizer, steps: u64) -> Result<Vec<f64>, Failure> {
    #[expect(clippy::cast_possible_truncation, reason = "data sets are in f32")]
    let c = condition.sqrt().recip() as f32;
    let inputs: Vec<f32> =
        [(1.0, c), (1.0, -c), (-1.0, c), (-1.0, -c)].iter().flat_map(|&(a, b)| [a, b]).collect();
    let targets = Targets::Values { values: vec![0.0; 4], width: 1 };
    let data = Dataset::new(inputs, 2, targets)?;
    let one = Init::Constant(1.0);
    let linear = Linear::new(1).weight_init(one).bias_init(one);
    let options = TrainOptions {
        batch_size: 4,
        epochs: steps,
        sampling: Sampling::Sequential,
        ..TrainOptions::new(Loss::Mse, optimizer)
    };
    let mut losses = Vec::new();
    train::<f64>(&Mlp::new(2).layer(Layer::Linear(linear)), &options, &data, |_, report| {
        losses.push(report.train.loss());
        Ok(())
    })?;
    let first = losses[0];
    losses.iter_mut().for_each(|loss| *loss /= first);
    Ok(losses)
}

/// Every method with the learning rate and momentum that theory calls best for curvatures from
/// μ = 2/κ to L = 2.
fn measure() -> Result<Vec<Run>, Failure> {
    let mut runs = Vec::new();
    for condition in CONDITIONS {
        let (largest, least) = (2.0, 2.0 / condition);
        let root = condition.sqrt();
        let heavy = ((root - 1.0) / (root + 1.0)).powi(2);
        let nesterov = (root - 1.0) / (root + 1.0);
        let sum_of_roots: f64 = f64::sqrt(largest) + f64::sqrt(least);
        let methods = [
            ("SGD", Optimizer::sgd(2.0 / (largest + least)), (condition - 1.0) / (condition + 1.0)),
            (
                "momentum",
                Optimizer::momentum(4.0 / sum_of_roots.powi(2), heavy, false),
                (root - 1.0) / (root + 1.0),
            ),
            ("Nesterov", Optimizer::momentum(1.0 / largest, nesterov, true), 1.0 - root.recip()),
        ];
        for (method, optimizer, rate) in methods {
            let mut run = Run { method, condition, losses: Vec::new(), rate };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "some thousand"
            )]
            let enough = (2.0 * run.predicted()) as u64 + 60;
            run.losses = quadratic(condition, optimizer, enough)?;
            runs.push(run);
        }
    }
    Ok(runs)
}

pub(super) fn study() -> Result<Study, Failure> {
    let runs = measure()?;
    let mut table = Table::new(&["κ", "method", "steps", "theory"]);
    for run in &runs {
        table.row([
            run.condition.to_string(),
            run.method.to_owned(),
            run.steps().to_string(),
            format!("{:.0}", run.predicted()),
        ]);
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    let points = |losses: &[f64]| -> Vec<(f64, f64)> {
        losses.iter().enumerate().map(|(step, &loss)| (step as f64, loss)).collect()
    };
    let drawn = runs.iter().filter(|run| run.condition == DRAWN).enumerate();
    let curves = drawn.map(|(color, run)| Line::new(run.method, color, points(&run.losses)));
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    let steps = |method: &str| -> Vec<(f64, f64)> {
        let of = runs.iter().filter(|run| run.method == method);
        of.map(|run| (run.condition, run.steps() as f64)).collect()
    };
    let by_condition = ["SGD", "momentum", "Nesterov"];
    let by_condition =
        by_condition.iter().enumerate().map(|(color, &m)| Line::new(m, color, steps(m)));
    let panels = vec![
        Panel {
            title: format!("κ = {DRAWN}"),
            x: Axis::linear("step"),
            y: Axis::log("loss, relative to the first"),
            lines: curves.collect(),
        },
        Panel {
            title: format!("steps until the loss is {TARGET:e} of the first"),
            x: Axis::log("κ"),
            y: Axis::log("steps"),
            lines: by_condition.collect(),
        },
    ];
    let note = "Plain gradient descent is bounded by the steepest direction and crawls along the \
                flattest: its error shrinks by (κ−1)/(κ+1) a step. Momentum adds up what the \
                steps agree on and makes that (√κ−1)/(√κ+1), Nesterov's 1 − 1/√κ: about √κ times fewer \
                steps. The theory counts the steps of the rate alone; momentum pays some more \
                before it reaches it."
        .into();
    Ok(Study {
        table,
        note,
        figure: Figure { title: "Momentum on an ill-conditioned quadratic".into(), panels },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    fn momentum_saves_the_root_of_the_condition() {
        let runs = measure().unwrap();
        for condition in CONDITIONS {
            let steps = |method: &str| {
                let run = runs.iter().find(|r| r.method == method && r.condition == condition);
                run.unwrap().steps() as f64
            };
            let root = condition.sqrt();
            for method in ["momentum", "Nesterov"] {
                let saved = steps("SGD") / steps(method);
                assert!(
                    saved > 0.25 * root && saved < 1.5 * root,
                    "κ {condition} {method}: {saved}"
                );
            }
        }
        for run in &runs {
            // SGD's rate is exact; the others' are asymptotic, and pay for their transient.
            let ratio = run.steps() as f64 / run.predicted();
            let (least, most) = if run.method == "SGD" { (0.9, 1.1) } else { (0.5, 2.0) };
            assert!((least..=most).contains(&ratio), "κ {} {}: {ratio}", run.condition, run.method);
        }
    }
}
