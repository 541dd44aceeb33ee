//! What encodings are for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::run;
use wgrad::data::{Dataset, Targets};
use wgrad::{Activation, CpuEngine, Encoding, Loss, Mlp, Optimizer, Plan, TrainOptions};

/// 13 periods of a sine over [0, 1): a tone that no wave of an encoding has.
fn tone() -> Dataset {
    let x: Vec<f32> = (0..512_u16).map(|i| f32::from(i) / 512.0).collect();
    let values = x.iter().map(|x| (26.0 * std::f32::consts::PI * x).sin()).collect();
    Dataset::new(x, 1, Targets::Values { values, width: 1 }).unwrap()
}

/// Mean squared error at the end of a training on the tone, whose own mean square is ½.
fn error_of(mlp: &Mlp) -> f64 {
    let options = TrainOptions {
        batch_size: 64,
        epochs: 60,
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(3e-3))
    };
    let plan = Plan::new(mlp, &options).unwrap();
    let losses = run(CpuEngine::<f32>::new(plan), &tone(), |_| Vec::new()).losses;
    let last = &losses[losses.len() - 8..];
    last.iter().sum::<f64>() / 8.0
}

#[test]
fn encoded_nets_fit_what_plain_ones_cannot() {
    let behind = |mlp: Mlp| {
        let mlp = mlp.linear(64).activation(Activation::Relu);
        mlp.linear(64).activation(Activation::Relu).linear(1)
    };
    let plain = error_of(&behind(Mlp::new(1)));
    assert!(plain > 0.4, "the plain net comes to {plain}");
    let encodings = [Encoding::frequency(6), Encoding::one_blob(64), Encoding::triangle_wave(8)];
    for encoding in encodings {
        let error = error_of(&behind(Mlp::new(1).encoding(encoding)));
        assert!(error < 0.01, "{encoding} comes to {error}");
    }
}
