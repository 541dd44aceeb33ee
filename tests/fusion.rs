//! Fused steps: the same training as layer by layer, in three dispatches.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;

use common::{compare_engines_with, gpu, learnable};
use wgrad::bench::Workload;
use wgrad::{
    Activation, Encoding, Engine as _, Error, Fusion, GpuEngine, GpuOptions, Loss, Mlp, Optimizer,
    Plan, TrainOptions, Trainer,
};

fn engine(plan: Plan, fusion: Fusion) -> wgrad::Result<GpuEngine> {
    let gpu = gpu();
    let mut options = GpuOptions::default();
    options.fusion = fusion;
    GpuEngine::with_options(&gpu.device, &gpu.queue, plan, &options)
}

fn fused(plan: Plan) -> GpuEngine {
    engine(plan, Fusion::Always).unwrap()
}

/// Nets with and without an encoding, whole batches and parts, on all three engines.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn sixty_fused_steps_agree_with_all_engines() {
    let plain = Mlp::with_hidden(7, &[24, 36], Activation::Gelu, 3);
    let encoded = Mlp::new(2)
        .encoding(Encoding::frequency(3))
        .linear(16)
        .activation(Activation::Relu)
        .linear(2);
    for (mlp, loss, micro_batch) in [
        (&plain, Loss::CROSS_ENTROPY, None),
        (&plain, Loss::CROSS_ENTROPY, Some(7)),
        (&encoded, Loss::Mse, None),
    ] {
        let options = TrainOptions {
            batch_size: 40,
            micro_batch,
            epochs: 20,
            insight_every: Some(7),
            ..TrainOptions::new(loss.clone(), Optimizer::adamw(1e-3))
        };
        let data = learnable(101, mlp.in_features(), mlp.out_features(), &loss, 8);
        let what = format!("{mlp} in parts of {micro_batch:?}");
        let exact = compare_engines_with(fused, &what, mlp, &options, &data);
        assert_eq!(exact.losses.len(), 60);
    }
}

/// Looking at a step doesn't change it, and tells the same of a fused one.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn insights_of_fused_steps_are_those_of_layers() {
    let mlp = Mlp::with_hidden(5, &[40, 40], Activation::Relu, 2);
    let run = |fusion, insight_every| {
        let options = TrainOptions {
            batch_size: 32,
            epochs: 2,
            insight_every,
            ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-2))
        };
        let data = learnable(64, 5, 2, &Loss::Mse, 3);
        let plan = Plan::new(&mlp, &options).unwrap();
        let mut trainer = Trainer::new(engine(plan, fusion).unwrap(), &data, None).unwrap();
        let mut insights = Vec::new();
        let mut observe = |progress: &wgrad::Progress| {
            insights.extend(progress.insight.cloned());
            ControlFlow::Continue(())
        };
        trainer.train_epoch(&mut observe).unwrap();
        trainer.train_epoch(&mut observe).unwrap();
        let parameters = trainer.engine_mut().parameters().unwrap();
        (parameters.iter().map(|w| w.to_bits()).collect::<Vec<_>>(), insights)
    };
    let (unseen, _) = run(Fusion::Always, None);
    let (seen, insights) = run(Fusion::Always, Some(1));
    assert_eq!(seen, unseen);
    let (_, of_layers) = run(Fusion::Never, Some(1));
    assert_eq!((insights.len(), of_layers.len()), (4, 4));
    // The first step, before which all parameters are the same: rounding is far below what another
    // step's norms would differ by.
    let (fused, layers) = (&insights[0], &of_layers[0]);
    assert_eq!(fused.dead_units, layers.dead_units);
    for (a, b) in fused.tensors.iter().zip(&layers.tensors) {
        let (a, b) = (a.gradient_norm, b.gradient_norm);
        assert!((a - b).abs() <= 1e-5 * b, "{a} and {b}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_fused_step_is_three_dispatches() {
    let mlp = Workload::Image.mlp();
    let options = TrainOptions { batch_size: 100, ..Workload::Image.options() };
    let data = learnable(400, 2, 3, &Loss::Mse, 1);
    for (fusion, dispatches) in [(Fusion::Always, 3), (Fusion::Never, 16)] {
        let plan = Plan::new(&mlp, &options).unwrap();
        let mut trainer = Trainer::new(engine(plan, fusion).unwrap(), &data, None).unwrap();
        trainer.train_steps(3, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(trainer.engine().stats().dispatches, 3 * dispatches);
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_net_that_cannot_be_fused_is_refused_by_name() {
    let mlp = Mlp::with_hidden(784, &[128], Activation::Relu, 10);
    let options = TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adam(1e-3));
    let plan = Plan::new(&mlp, &options).unwrap();
    assert!(engine(plan.clone(), Fusion::Auto).is_ok());
    let refused = engine(plan, Fusion::Always).unwrap_err();
    assert!(matches!(refused, Error::Option { name: "fusion", .. }));
    let text = refused.to_string();
    assert!(text.contains("a width of 784 is above 128"), "{text}");
}
