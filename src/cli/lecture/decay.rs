//! L2 penalty against decoupled weight decay, for SGD and for Adam.

use wgrad::data::Dataset;
use wgrad::{Activation, Decay, Loss, Mlp, Optimizer, Rule, TrainOptions};

use super::nets::{Digits, train};
use super::study::{Study, Table};
use crate::cli::failure::Failure;
use crate::cli::figure::{Axis, Figure, Line, Panel};
use crate::cli::talk::significant;

const LAMBDA: f64 = 0.02;
const EPOCHS: u64 = 12;

/// How far the two kinds of decay have come apart after each epoch: ‖w − w′‖/‖w‖.
struct Apart {
    rule: &'static str,
    distances: Vec<f64>,
}

fn weights_after_each_epoch(
    data: &Dataset,
    rule: Rule,
    lr: f64,
    decay: Decay,
) -> Result<Vec<Vec<f64>>, Failure> {
    let options = TrainOptions {
        epochs: EPOCHS,
        batch_size: 32,
        ..TrainOptions::new(
            Loss::CROSS_ENTROPY,
            Optimizer::new(rule, lr).weight_decay(LAMBDA, decay),
        )
    };
    let mlp = Mlp::with_hidden(data.in_features(), &[32], Activation::Tanh, 10);
    let mut seen = Vec::new();
    train::<f64>(&mlp, &options, data, |trainer, _| {
        seen.push(trainer.engine().parameters_exact().to_vec());
        Ok(())
    })?;
    Ok(seen)
}

fn measure() -> Result<Vec<Apart>, Failure> {
    let data = Digits::split(0.3, 0)?.train;
    let sgd = |momentum| Rule::Sgd { momentum, nesterov: false };
    let rules =
        [("SGD", sgd(0.0), 0.1), ("SGD, momentum 0.9", sgd(0.9), 0.01), ("Adam", Rule::ADAM, 3e-3)];
    rules
        .into_iter()
        .map(|(name, rule, lr)| {
            let l2 = weights_after_each_epoch(&data, rule, lr, Decay::L2)?;
            let decoupled = weights_after_each_epoch(&data, rule, lr, Decay::Decoupled)?;
            let norm = |w: &[f64]| w.iter().map(|w| w * w).sum::<f64>().sqrt();
            let distance = |(a, b): (&Vec<f64>, &Vec<f64>)| {
                let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
                norm(&difference) / norm(a)
            };
            let distances = l2.iter().zip(&decoupled).map(distance).collect();
            Ok(Apart { rule: name, distances })
        })
        .collect()
}

pub(super) fn study() -> Result<Study, Failure> {
    let rules = measure()?;
    let mut table = Table::new(&["rule", "apart after 1 epoch", "after the last"]);
    for Apart { rule, distances } in &rules {
        let last = distances[distances.len() - 1];
        table.row([(*rule).to_owned(), significant(distances[0]), significant(last)]);
    }
    let lines = rules.iter().enumerate().map(|(color, apart)| {
        let epochs = (1..).map(f64::from).zip(apart.distances.iter().copied());
        Line::new(apart.rule, color, epochs)
    });
    let panel = Panel {
        title: format!("distance between the two runs, λ = {LAMBDA}"),
        x: Axis::linear("epoch"),
        y: Axis::log("‖w − w′‖ / ‖w‖"),
        lines: lines.collect(),
    };
    let note = "For plain SGD a penalty λ/2·|w|² in the loss and a decay w(1 − ηλ) before the step \
                are one formula: the runs differ by rounding alone. Momentum remembers the penalty's \
                gradient and blurs that; Adam divides it by √v, so every weight decays by its own \
                coefficient, large where gradients are small, and the two are different methods."
        .into();
    let figure = Figure { title: "L2 penalty against decoupled decay".into(), panels: vec![panel] };
    Ok(Study { table, note, figure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_decays_are_one_for_sgd_and_two_for_adam() {
        let rules = measure().unwrap();
        let last = |rule: &str| {
            let apart = rules.iter().find(|apart| apart.rule == rule).unwrap();
            apart.distances[apart.distances.len() - 1]
        };
        assert!(last("SGD") < 1e-10, "{}", last("SGD"));
        assert!(last("Adam") > 0.1, "{}", last("Adam"));
        assert!(last("SGD, momentum 0.9") > 1e-6, "{}", last("SGD, momentum 0.9"));
    }
}
