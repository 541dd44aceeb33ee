//! Gradients of every loss × activation and of every combination of layers against central
//! differences, in f64.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;

use common::{assert_close, gpu_engine, learnable};
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, BatchNorm, CpuEngine, Dropout, Encoding, Engine, Init, Layer, LayerNorm, Linear,
    Loss, Mlp, Optimizer, Plan, Rule, Sampling, TrainOptions, Trainer,
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

/// What may stand between the input and the last linear layer.
fn alphabet() -> Vec<Layer> {
    vec![
        Layer::Linear(Linear::new(4)),
        Layer::Activation(Activation::Tanh),
        Layer::Activation(Activation::Gelu),
        Layer::BatchNorm(BatchNorm::default()),
        Layer::BatchNorm(BatchNorm::default().affine(false).track_running_stats(false).eps(0.1)),
        Layer::LayerNorm(LayerNorm::default().eps(0.1)),
        Layer::LayerNorm(LayerNorm::default().affine(false).eps(0.1)),
        Layer::Dropout(Dropout::new(0.3)),
    ]
}

/// All sequences of up to three of the layers, and some longer ones.
#[test]
fn every_combination_of_layers_agrees_with_central_differences() {
    let alphabet = alphabet();
    let mut sequences: Vec<Vec<Layer>> = vec![Vec::new()];
    let mut longest = sequences.clone();
    for _ in 0..3 {
        longest = longest
            .iter()
            .flat_map(|sequence| {
                alphabet
                    .iter()
                    .map(move |&layer| sequence.iter().copied().chain([layer]).collect::<Vec<_>>())
            })
            .collect();
        sequences.extend(longest.clone());
    }
    let [linear, tanh, gelu, batch, plain_batch, layer, _, dropout] = alphabet[..] else {
        unreachable!()
    };
    sequences.push(vec![linear, batch, gelu, dropout, linear, layer, tanh, dropout]);
    sequences.push(vec![dropout, plain_batch, linear, linear, tanh, tanh, batch, batch]);
    assert_eq!(sequences.len(), 1 + 8 + 64 + 512 + 2);
    for (index, layers) in sequences.iter().enumerate() {
        let mlp = layers.iter().fold(Mlp::new(3), |mlp, &layer| mlp.layer(layer));
        let mlp = mlp.layer(Layer::Linear(Linear::new(3)));
        // The last layer may be any, too.
        let mlp = if index % 5 == 4 { mlp.layer(alphabet[1 + index % 7]) } else { mlp };
        let loss = if index % 2 == 0 { Loss::Mse } else { Loss::CROSS_ENTROPY };
        check_training(&mlp, &loss, index % 3 == 2);
    }
}

/// Every encoding in front, alone and with an activation or a norm of its own.
#[test]
fn nets_with_encodings_agree_with_central_differences() {
    let encodings = [Encoding::frequency(3), Encoding::one_blob(5), Encoding::triangle_wave(4)];
    for encoding in encodings {
        let encoded = || Mlp::new(3).encoding(encoding);
        let nets = [
            encoded().linear(4).activation(Activation::Tanh).linear(3),
            encoded().activation(Activation::Gelu).dropout(0.2).linear(3),
            encoded().batch_norm().linear(4).activation(Activation::Tanh).linear(3),
        ];
        for (index, mlp) in nets.iter().enumerate() {
            for loss in [Loss::Mse, Loss::CROSS_ENTROPY] {
                check_training(mlp, &loss, index == 0);
            }
        }
    }
}

/// Compares the gradient of a training step, dropout and batch statistics included, with central
/// differences; in parts of four rows if `micro`.
fn check_training(mlp: &Mlp, loss: &Loss, micro: bool) {
    let options = TrainOptions {
        batch_size: 2 * ROWS,
        micro_batch: micro.then_some(4),
        epochs: 1,
        sampling: Sampling::Sequential,
        seed: 6,
        ..TrainOptions::new(loss.clone(), Optimizer::sgd(1e-3))
    };
    let data = learnable(2 * ROWS, 3, 3, loss, 3);
    let plan = Plan::new(mlp, &options).unwrap();
    let start: Vec<f64> = common::widen(&plan.initial_parameters());
    let trained: Vec<usize> = plan
        .tensors()
        .filter(|tensor| tensor.kind.is_trained())
        .flat_map(wgrad::Tensor::range)
        .collect();
    let mut trainer = Trainer::new(CpuEngine::<f64>::new(plan), &data, None).unwrap();
    trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    let analytic = trainer.engine().gradients().to_vec();
    let engine = trainer.engine_mut();
    let resident = engine.upload(&data).unwrap();
    let mut loss_at = |index: usize, delta: f64| {
        engine.parameters_exact_mut().copy_from_slice(&start);
        engine.parameters_exact_mut()[index] += delta;
        engine.training_loss_of(&resident, 1).loss()
    };
    let mut largest = 0.0_f64;
    for index in trained {
        let mut central = |h: f64| (loss_at(index, h) - loss_at(index, -h)) / (2.0 * h);
        let (coarse, fine) = (central(2e-4), central(1e-4));
        // Truncation falls with h², so the two tell what it is, and what remains of it after
        // extrapolation falls with h⁴; rounding is a few ε of the loss, over h.
        let extrapolated = fine + (fine - coarse) / 3.0;
        let bound = 0.05 * (fine - coarse).abs() + 2e-11;
        let got = analytic[index];
        assert!(
            (got - extrapolated).abs() <= bound,
            "{mlp}, {loss:?}, parameter {index}: {got} against {extrapolated}, bound {bound:e}"
        );
        largest = largest.max(got.abs());
    }
    assert!(largest > 1e-4, "{mlp}: all gradients vanish");
}

/// A saturated unit has a small gradient, not none: Lion, which goes by its sign, moves it by a whole step.
fn saturated_units_move<E: Engine>(make: impl Fn(Plan) -> E) {
    let lr = 1.0 / 128.0;
    let data = Targets::Values { values: vec![3.0; 4], width: 1 };
    let data = Dataset::new(vec![0.5, -0.25, 1.0, 0.75], 1, data).unwrap();
    for (activation, bias, slope) in [
        (Activation::ELU, -25.0, 1.0),
        (Activation::Elu { alpha: 0.5 }, -40.0, 1.0),
        (Activation::Sigmoid, 25.0, 1.0),
        (Activation::Sigmoid, -60.0, 1.0),
        (Activation::Tanh, 14.0, 1.0),
        (Activation::Tanh, -30.0, 1.0),
        (Activation::Softplus, -50.0, 1.0),
        (Activation::Gelu, -9.0, -1.0),
        (Activation::GeluTanh, -7.0, -1.0),
        (Activation::Silu, -40.0, -1.0),
    ] {
        let mlp = Mlp::with_hidden(1, &[1], activation, 1);
        let options = TrainOptions::new(Loss::Mse, Optimizer::new(Rule::LION, lr));
        let plan = Plan::new(&mlp, &TrainOptions { epochs: 1, ..options }).unwrap();
        let place = |name: &str| plan.tensors().find(|t| t.name == name).unwrap().offset;
        let (bias_at, weight_at) = (place("0.bias"), place("2.weight"));
        let mut parameters = vec![0.0; plan.arena_len()];
        (parameters[bias_at], parameters[weight_at]) = (bias, 1.0);
        let mut engine = make(plan);
        engine.set_parameters(&parameters).unwrap();
        let mut trainer = Trainer::new(engine, &data, None).unwrap();
        trainer.train().unwrap();
        // The outputs are below the targets, so the unit rises where its slope is positive.
        #[expect(clippy::cast_possible_truncation, reason = "exact")]
        let want = bias + slope * lr as f32;
        assert_eq!(trainer.parameters().unwrap()[bias_at], want, "{activation} at {bias}");
    }
}

#[test]
fn saturated_units_move_on_the_cpu() {
    saturated_units_move(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn saturated_units_move_on_the_gpu() {
    saturated_units_move(gpu_engine);
}
