//! Insights.

use super::*;

/// The insights of some steps of a run.
fn insights<E: Engine>(engine: E, data: &Dataset) -> Vec<Insight> {
    let mut trainer = Trainer::new(engine, data, None).unwrap();
    let epochs = trainer.engine().plan().options().epochs;
    let mut seen = Vec::new();
    for _ in 0..epochs {
        let observe = |progress: &wgrad::Progress<'_>| {
            assert_eq!(progress.insight.is_some(), progress.step.is_multiple_of(3));
            seen.extend(progress.insight.cloned());
            ControlFlow::Continue(())
        };
        trainer.train_epoch(observe).unwrap();
    }
    seen
}

fn measured(optimizer: Optimizer) -> (Mlp, TrainOptions, Dataset) {
    let mlp = Mlp::new(4)
        .linear(12)
        .activation(Activation::Relu)
        .dropout(0.2)
        .linear(6)
        .activation(Activation::Relu)
        .linear(2);
    let options = TrainOptions {
        batch_size: 8,
        epochs: 2,
        insight_every: Some(3),
        micro_batch: Some(5),
        groups: vec![ParameterGroup::without_decay()],
        ..TrainOptions::new(Loss::Mse, optimizer)
    };
    (mlp, options, learnable(32, 4, 2, &Loss::Mse, 8))
}

/// Insights against what the parameters and gradients themselves say, for SGD, whose step is known.
#[test]
fn insights_are_what_the_step_did() {
    let (mlp, mut options, data) = measured(Optimizer::sgd(0.1));
    (options.insight_every, options.batch_size, options.micro_batch) = (Some(1), 32, None);
    options.optimizer = options.optimizer.weight_decay(0.5, Decay::Decoupled);
    let plan = Plan::new(&mlp, &options).unwrap();
    let before = widen(&plan.initial_parameters());
    let mut trainer = Trainer::new(CpuEngine::<f64>::new(plan), &data, None).unwrap();
    let mut insight = None;
    trainer
        .train_epoch(|p| {
            insight = p.insight.cloned();
            ControlFlow::Continue(())
        })
        .unwrap();
    let insight = insight.unwrap();
    assert_eq!(insight.step, 1);
    let engine = trainer.engine();
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert_eq!(insight.tensors.len(), 6);
    for (tensor, measured) in engine.plan().tensors().zip(&insight.tensors) {
        let range = tensor.range();
        let (old, new) = (&before[range.clone()], &engine.parameters_exact()[range.clone()]);
        let gradient = &engine.gradients()[range];
        let change: Vec<f64> = old.iter().zip(new).map(|(old, new)| new - old).collect();
        let mean = gradient.iter().map(|g| g.abs()).sum::<f64>() / gradient.len() as f64;
        let got = [
            measured.weight_norm,
            measured.gradient_norm,
            measured.update_norm,
            measured.update_ratio(),
            measured.effective_step.mean,
        ];
        let want = [norm(old), norm(gradient), norm(&change), norm(&change) / norm(old), mean];
        assert_eq!(measured.name, tensor.name);
        assert_close(&tensor.name, &got, &want, 1e-12);
        let spread = measured.effective_step;
        assert!(spread.p10 <= spread.median && spread.median <= spread.p90, "{spread:?}");
        // Biases are in a group without decay.
        match (measured.decay, tensor.name.ends_with("weight")) {
            (Some(decay), true) => assert!((decay.mean - 0.05).abs() <= 1e-12, "{decay:?}"),
            (None, false) => {}
            other => panic!("{}: {other:?}", tensor.name),
        }
    }
    let layers: Vec<usize> = insight.dead_units.iter().map(|(layer, _)| *layer).collect();
    assert_eq!(layers, [0, 3]);
}

/// A ReLU whose biases are far below 0 is dead, one far above isn't.
#[test]
fn dead_units_are_counted() {
    let (mlp, options, data) = measured(Optimizer::sgd(1e-6));
    for (bias, share) in [(-100.0, 1.0), (100.0, 0.0)] {
        let plan = Plan::new(&mlp, &options).unwrap();
        let mut parameters = plan.initial_parameters();
        let tensor = plan.tensors().find(|t| t.name == "0.bias").unwrap();
        parameters[tensor.range()].fill(bias);
        let mut engine = CpuEngine::<f32>::new(plan);
        engine.set_parameters(&parameters).unwrap();
        for insight in insights(engine, &data) {
            assert_eq!(insight.dead_units[0], (0, share));
        }
    }
}

/// The kernels measure what the twins do, but for rounding; a number at the border of two bins may
/// fall into either, which moves a quantile by at most a bin.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn insights_agree_on_both_engines() {
    let optimizers = [
        Optimizer::sgd(0.01),
        Optimizer::adam(1e-3).weight_decay(0.1, Decay::L2),
        // So much that decay is most of the step.
        Optimizer::adamw(1e-3).weight_decay(10.0, Decay::Decoupled),
        Optimizer::new(Rule::AMSGRAD, 1e-3).weight_decay(0.1, Decay::L2),
        Optimizer::new(Rule::ADAGRAD, 1e-2).weight_decay(0.1, Decay::L2),
        Optimizer::new(Rule::RMSPROP, 1e-3).weight_decay(0.1, Decay::L2),
    ];
    for optimizer in optimizers {
        let (mlp, options, data) = measured(optimizer);
        let plan = || Plan::new(&mlp, &options).unwrap();
        let cpu = insights(CpuEngine::<f64>::new(plan()), &data);
        let gpu = insights(gpu_engine(plan()), &data);
        assert_eq!((cpu.len(), gpu.len()), (2, 2));
        for (cpu, gpu) in cpu.iter().zip(&gpu) {
            assert_eq!((cpu.step, &cpu.dead_units), (gpu.step, &gpu.dead_units));
            for (c, g) in cpu.tensors.iter().zip(&gpu.tensors) {
                let norms = |t: &wgrad::TensorInsight| {
                    let decay = t.decay.map_or(0.0, |decay| decay.mean);
                    [t.weight_norm, t.gradient_norm, t.update_norm, t.effective_step.mean, decay]
                };
                let what = format!("{optimizer:?}, {} at step {}", c.name, cpu.step);
                let bound = 1e-3 * largest(&norms(c));
                assert_close(&what, &norms(g), &norms(c), bound);
                assert_eq!(c.decay.is_some(), g.decay.is_some(), "{what}");
                let spreads =
                    [(Some(c.effective_step), Some(g.effective_step)), (c.decay, g.decay)];
                for (c, g) in spreads {
                    let (Some(c), Some(g)) = (c, g) else { continue };
                    for (c, g) in [(c.p10, g.p10), (c.median, g.median), (c.p90, g.p90)] {
                        // Two bins of a sixteenth of an octave.
                        assert!(
                            (g / c).log2().abs() <= 2.0 / 16.0 + 1e-9 || c == g,
                            "{what}: {g} {c}"
                        );
                    }
                }
            }
        }
    }
}
