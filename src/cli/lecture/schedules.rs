//! Schedules of the learning rate on one task.

use wgrad::schedule::Run;
use wgrad::{Loss, Mlp, Optimizer, Schedule, TrainOptions};

use super::nets::{Digits, mean, train};
use super::study::{Study, Table};
use crate::cli::failure::Failure;
use crate::cli::figure::{Axis, Figure, Line, Panel};
use crate::cli::talk::significant;

const EPOCHS: u64 = 12;
const BATCH: usize = 8;
const LR: f64 = 0.3;
const SEEDS: u64 = 5;
/// Share of the training labels that are wrong, so that no weights fit all of them.
const WRONG: f64 = 0.15;

const SCHEDULES: [(&str, &str); 6] = [
    ("constant", "constant"),
    ("step", "step:4e,factor=0.1"),
    ("exponential", "exponential:0.7,every=1e"),
    ("linear", "linear:from=1,to=0"),
    ("cosine", "cosine"),
    ("one-cycle", "one_cycle"),
];

/// A schedule's losses, each the mean over the seeds.
struct Outcome {
    name: &'static str,
    schedule: Schedule,
    /// On the training rows after each epoch.
    losses: Vec<f64>,
    /// On the test rows at the end.
    test_loss: f64,
    test_accuracy: f64,
}

fn measure() -> Result<Vec<Outcome>, Failure> {
    let outcome = |&(name, text): &(&'static str, &str)| {
        let schedule: Schedule = text.parse()?;
        let (mut curves, mut losses, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..SEEDS {
            let digits = Digits::split(0.5, seed)?.mislabelled(WRONG, seed)?;
            let options = TrainOptions {
                epochs: EPOCHS,
                batch_size: BATCH,
                schedule: schedule.clone(),
                seed,
                ..TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::sgd(LR))
            };
            let mut curve = Vec::new();
            let mlp = Mlp::new(64).linear(10);
            let mut trainer = train::<f32>(&mlp, &options, &digits.train, |trainer, _| {
                curve.push(trainer.evaluate(&digits.train)?.loss);
                Ok(())
            })?;
            let evaluation = trainer.evaluate(&digits.test)?;
            curves.push(curve);
            losses.push(evaluation.loss);
            scores.push(evaluation.score.value());
        }
        let at = |epoch: usize| mean(&curves.iter().map(|curve| curve[epoch]).collect::<Vec<_>>());
        Ok(Outcome {
            name,
            schedule,
            losses: (0..curves[0].len()).map(at).collect(),
            test_loss: mean(&losses),
            test_accuracy: mean(&scores),
        })
    };
    SCHEDULES.iter().map(outcome).collect()
}

pub(super) fn study() -> Result<Study, Failure> {
    let outcomes = measure()?;
    let mut table = Table::new(&["schedule", "train loss", "test loss", "test accuracy"]);
    for outcome in &outcomes {
        let last = outcome.losses[outcome.losses.len() - 1];
        table.row([
            outcome.name.to_owned(),
            significant(last),
            significant(outcome.test_loss),
            format!("{:.4}", outcome.test_accuracy),
        ]);
    }
    let run = Run::new(EPOCHS, 100);
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    let rate = |schedule: &Schedule| -> Vec<(f64, f64)> {
        let point = |step: u64| (step as f64 / 100.0, LR * schedule.factor(step, &run));
        (0..run.steps).step_by(5).map(point).collect()
    };
    let lines = |of: &dyn Fn(&Outcome) -> Vec<(f64, f64)>| -> Vec<Line> {
        let numbered = outcomes.iter().enumerate();
        numbered.map(|(color, outcome)| Line::new(outcome.name, color, of(outcome))).collect()
    };
    let panels = vec![
        Panel {
            title: "learning rate".into(),
            x: Axis::linear("epoch"),
            y: Axis::linear("η"),
            lines: lines(&|outcome| rate(&outcome.schedule)),
        },
        Panel {
            title: format!("training loss, mean over {SEEDS} seeds"),
            x: Axis::linear("epoch"),
            y: Axis::log("cross-entropy"),
            lines: lines(&|o| (1..).map(f64::from).zip(o.losses.iter().copied()).collect()),
        },
    ];
    let note = format!(
        "Softmax regression on half of the digits, some of them mislabelled, by plain SGD in batches of {BATCH}, η₀ = {LR}. A constant rate leaves \
         the weights jumping about the minimum, by as much as the noise of small batches throws \
         them; every schedule that ends low lets them settle. Which one matters far less than \
         that there is one."
    );
    let title = "Schedules of the learning rate".to_owned();
    Ok(Study { table, note, figure: Figure { title, panels } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_that_ends_low_beats_a_constant_rate() {
        let outcomes = measure().unwrap();
        let last = |outcome: &Outcome| outcome.losses[outcome.losses.len() - 1];
        let constant = &outcomes[0];
        for outcome in &outcomes[1..] {
            assert!(
                last(outcome) < 0.93 * last(constant),
                "{}: {} against {}",
                outcome.name,
                last(outcome),
                last(constant)
            );
        }
    }
}
