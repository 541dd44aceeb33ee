//! What a warm-up saves a large learning rate from.

use wgrad::{Activation, Clip, Loss, Mlp, Optimizer, Schedule, TrainOptions};

use super::nets::{Digits, mean, train};
use super::study::{Study, Table};
use crate::cli::failure::Failure;
use crate::cli::figure::{Axis, Figure, Line, Panel};
use crate::cli::talk::significant;

const EPOCHS: u64 = 10;
const SEEDS: u64 = 8;
const RATES: [f64; 5] = [0.001, 0.005, 0.02, 0.03, 0.04];

/// The last training loss at each learning rate, mean over the seeds.
struct Outcome {
    name: &'static str,
    losses: Vec<f64>,
    accuracies: Vec<f64>,
}

const SCHEDULES: [(&str, &str); 2] =
    [("without", "constant+cosine:50%"), ("with", "warmup:30%+constant+cosine:50%")];

fn measure() -> Result<Vec<Outcome>, Failure> {
    let outcome = |&(name, text): &(&'static str, &str)| {
        let schedule: Schedule = text.parse()?;
        let (mut losses, mut accuracies) = (Vec::new(), Vec::new());
        for lr in RATES {
            let mut of_seeds = (Vec::new(), Vec::new());
            for seed in 0..SEEDS {
                let (loss, accuracy) = run(&schedule, lr, seed)?;
                of_seeds.0.push(loss);
                of_seeds.1.push(accuracy);
            }
            losses.push(mean(&of_seeds.0));
            accuracies.push(mean(&of_seeds.1));
        }
        Ok(Outcome { name, losses, accuracies })
    };
    SCHEDULES.iter().map(outcome).collect()
}

/// A deep net with Adam. A run that diverges counts with the loss and accuracy of guessing.
fn run(schedule: &Schedule, lr: f64, seed: u64) -> Result<(f64, f64), Failure> {
    let digits = Digits::split(0.5, seed)?;
    let options = TrainOptions {
        epochs: EPOCHS,
        batch_size: 32,
        schedule: schedule.clone(),
        seed,
        // A bound so wide that only what would blow up meets it.
        clip: Some(Clip::Norm(1e3)),
        ..TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adam(lr))
    };
    let mlp = Mlp::with_hidden(64, &[48; 6], Activation::Relu, 10);
    let mut last = f64::NAN;
    let trained = train::<f32>(&mlp, &options, &digits.train, |_, report| {
        last = report.train.loss();
        Ok(())
    });
    match trained {
        Ok(mut trainer) => Ok((last, trainer.evaluate(&digits.test)?.score.value())),
        Err(Failure::Run(_)) => Ok((10_f64.ln(), 0.1)),
        Err(failure) => Err(failure),
    }
}

pub(super) fn study() -> Result<Study, Failure> {
    let outcomes = measure()?;
    let mut table = Table::new(&["warm-up, η ="]);
    table.head.extend(RATES.iter().map(ToString::to_string));
    for Outcome { name, losses, accuracies } in &outcomes {
        let named = |what: &str, cells: Vec<String>| {
            std::iter::once(format!("{name}: {what}")).chain(cells).collect::<Vec<_>>()
        };
        table.row(named("train loss", losses.iter().map(|&loss| significant(loss)).collect()));
        table.row(named("accuracy", accuracies.iter().map(|a| format!("{a:.4}")).collect()));
    }
    let panel = |title: &str, y: Axis, of: fn(&Outcome) -> &[f64]| Panel {
        title: title.to_owned(),
        x: Axis::log("learning rate η"),
        y,
        lines: outcomes
            .iter()
            .enumerate()
            .map(|(color, outcome)| {
                let points = RATES.iter().copied().zip(of(outcome).iter().copied());
                Line::new(format!("{} warm-up", outcome.name), color, points)
            })
            .collect(),
    };
    let panels = vec![
        panel("training loss at the end", Axis::log("cross-entropy"), |o| &o.losses),
        panel("test accuracy", Axis::linear("accuracy"), |o| &o.accuracies),
    ];
    let note = "Six hidden layers, Adam, mean over eight seeds. Adam's first steps are of full length \
                whatever the gradient: v̂ knows one batch, so |m̂|/√v̂ is 1. At a large rate they throw \
                a deep net to where many units are dead, and training never quite recovers. A warm-up \
                takes the first steps small; where the rate is small anyway, it only costs steps."
        .into();
    let title = "Warm-up and large learning rates".to_owned();
    Ok(Study { table, note, figure: Figure { title, panels } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_saves_large_rates() {
        let outcomes = measure().unwrap();
        let (without, with) = (&outcomes[0].accuracies, &outcomes[1].accuracies);
        // At the two largest rates it gains points and lowers the training loss.
        for rate in [3, 4] {
            let gained = with[rate] - without[rate];
            assert!(gained > 0.005, "without {without:?}, with {with:?}");
            assert!(outcomes[1].losses[rate] < outcomes[0].losses[rate]);
        }
        // Where the rate suits the net, it makes little difference.
        assert!((with[1] - without[1]).abs() < 0.02, "without {without:?}, with {with:?}");
    }
}
