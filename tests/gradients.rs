//! Gradients of every loss × activation against central differences, in f64.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;

use common::{assert_close, learnable};
use wgrad::{
    Activation, CpuEngine, Engine, Init, Layer, Linear, Loss, Mlp, Optimizer, Plan, Sampling,
    TrainOptions, Trainer,
};

const ROWS: usize = 5;

fn losses() -> Vec<Loss> {
    let weights = vec![0.5, 2.0, 1.25];
    vec![
        Loss::Mse,
        Loss::Mae,
        Loss::HUBER,
        Loss::BCE_WITH_LOGITS,
        Loss::BceWithLogits { pos_weight: weights.clone() },
        Loss::CROSS_ENTROPY,
        Loss::CrossEntropy { label_smoothing: 0.1, class_weights: vec![] },
        Loss::CrossEntropy { label_smoothing: 0.2, class_weights: weights },
    ]
}

/// A net whose last layer has an activation too, so that its derivative is covered.
fn net(activation: Activation, at_the_end: bool) -> Mlp {
    // Biases away from 0 keep the kinks of ReLU and its kin away from the differences.
    let linear = |out| Layer::Linear(Linear::new(out).bias_init(Init::Constant(0.1)));
    let mlp = Mlp::new(2).layer(linear(4)).activation(activation).layer(linear(4));
    let mlp = mlp.activation(activation).layer(linear(3));
    if at_the_end { mlp.activation(activation) } else { mlp }
}

#[test]
fn every_loss_and_activation_agrees_with_central_differences() {
    for loss in losses() {
        for &activation in Activation::ALL {
            // Third derivatives of a deep sine net grow as ω₀⁹; 30 would drown every difference.
            let activation = match activation {
                Activation::Sine { .. } => Activation::Sine { omega0: 2.0 },
                other => other,
            };
            for at_the_end in [false, true] {
                check(&loss, activation, at_the_end);
            }
        }
    }
}

fn check(loss: &Loss, activation: Activation, at_the_end: bool) {
    let options = TrainOptions {
        batch_size: ROWS,
        sampling: Sampling::Sequential,
        seed: 4,
        ..TrainOptions::new(loss.clone(), Optimizer::sgd(0.01))
    };
    let data = learnable(ROWS, 2, 3, loss, 3);
    let plan = Plan::new(&net(activation, at_the_end), &options).unwrap();
    let start: Vec<f64> = common::widen(&plan.initial_parameters());
    let mut trainer = Trainer::new(CpuEngine::<f64>::new(plan), &data, None).unwrap();
    trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    let analytic = trainer.engine().gradients().to_vec();

    let engine = trainer.engine_mut();
    let resident = engine.upload(&data).unwrap();
    let mut loss_at = |index: usize, delta: f64| {
        engine.parameters_exact_mut().copy_from_slice(&start);
        engine.parameters_exact_mut()[index] += delta;
        engine.loss_of(&resident).loss()
    };
    let h = 1e-5;
    let indices: Vec<usize> =
        trainer_tensors(&options, activation, at_the_end).into_iter().flatten().collect();
    let differences: Vec<f64> =
        indices.iter().map(|&i| (loss_at(i, h) - loss_at(i, -h)) / (2.0 * h)).collect();
    let analytic: Vec<f64> = indices.iter().map(|&i| analytic[i]).collect();
    // Truncation is h²/6 times the third derivative, of the order of 10², and for sine ω₀ times
    // that per layer and order; rounding is a few ε of the loss, over h.
    let third =
        if matches!(activation, Activation::Sine { .. }) { 1e2 * 2_f64.powi(9) } else { 1e2 };
    let bound = h * h / 6.0 * third + 1e-15 / h;
    let what = format!("{loss:?}, {activation}, at the end: {at_the_end}");
    assert_close(&what, &analytic, &differences, bound);
    assert!(analytic.iter().any(|g| g.abs() > 1e-3), "{what}: all gradients vanish");
}

fn trainer_tensors(
    options: &TrainOptions,
    activation: Activation,
    at_the_end: bool,
) -> Vec<std::ops::Range<usize>> {
    let plan = Plan::new(&net(activation, at_the_end), options).unwrap();
    plan.tensors().map(wgrad::Tensor::range).collect()
}
