//! Whole runs: the GPU against the CPU, the same bits twice, and what a step costs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;

use common::{compare_engines, gpu_engine, learnable};
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, BatchNorm, CpuEngine, Decay, Engine, Init, Layer, Linear, Loss, Mlp, Optimizer,
    Plan, Rule, Sampling, Schedule, Score, TrainOptions, Trainer,
};

fn nets() -> [(Mlp, Loss); 3] {
    [
        (Mlp::with_hidden(3, &[32, 32], Activation::Tanh, 2), Loss::Mse),
        (Mlp::with_hidden(20, &[17, 33], Activation::Relu, 5), Loss::CROSS_ENTROPY),
        (Mlp::with_hidden(7, &[24], Activation::Gelu, 1), Loss::BCE_WITH_LOGITS),
    ]
}

fn optimizers() -> Vec<Optimizer> {
    let rmsprop = Rule::Rmsprop { alpha: 0.99, eps: 1e-8, momentum: 0.5, centred: true };
    vec![
        Optimizer::new(Rule::ADAGRAD, 0.01),
        Optimizer::new(rmsprop, 1e-3),
        Optimizer::new(Rule::AMSGRAD, 1e-3).weight_decay(0.01, Decay::L2),
        Optimizer::new(Rule::NADAM, 1e-3).weight_decay(0.01, Decay::Decoupled),
        Optimizer::sgd(0.05),
        Optimizer::momentum(0.02, 0.9, false),
        Optimizer::momentum(0.02, 0.9, true).weight_decay(0.01, Decay::L2),
        Optimizer::adam(1e-3),
        Optimizer::adam(1e-3).weight_decay(0.01, Decay::L2),
        Optimizer::adamw(1e-3),
    ]
}

/// 60 steps of every optimizer on three nets.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn sixty_steps_agree_on_all_engines() {
    for (mlp, loss) in nets() {
        for optimizer in optimizers() {
            let options = TrainOptions {
                batch_size: 16,
                epochs: 15,
                schedule: Schedule::Cosine { floor: 0.1 },
                seed: 5,
                ..TrainOptions::new(loss.clone(), optimizer)
            };
            // 61 rows in batches of 16: four steps an epoch, the last with 13 rows.
            let data = learnable(61, mlp.in_features(), mlp.out_features(), &loss, 8);
            let what = format!("{mlp}, {optimizer:?}");
            let exact = compare_engines(&what, &mlp, &options, &data);
            assert_eq!(exact.losses.len(), 60);
        }
    }
}

/// A norm without running statistics takes those of the rows beside each other, however many of them
/// a submission holds.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn predictions_have_the_same_batches_on_both_engines() {
    let norm = Layer::BatchNorm(BatchNorm::default().track_running_stats(false));
    let mlp = Mlp::new(2).layer(norm).linear(1);
    let options =
        TrainOptions { batch_size: 4, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)) };
    let plan = Plan::new(&mlp, &options).unwrap();
    // More than go at once, with one row beyond.
    let rows = 200 * plan.capacity() + 1;
    let inputs: Vec<f32> = (0..2 * rows).map(|i| (i * i % 97) as f32 / 97.0).collect();
    let cpu = CpuEngine::<f32>::new(plan.clone()).predict(&inputs).unwrap();
    let gpu = gpu_engine(plan).predict(&inputs).unwrap();
    // Numbers of about 1 through a dozen roundings; other batches would differ by a tenth.
    assert!(cpu.iter().zip(&gpu).all(|(cpu, gpu)| (cpu - gpu).abs() < 1e-5));
}

/// v − ḡ² of a constant gradient goes to 0, and by rounding below it.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_gradient_without_variance_keeps_rmsprop_finite() {
    let rule = Rule::Rmsprop { alpha: 0.95, eps: 1e-8, momentum: 0.0, centred: true };
    let options = TrainOptions {
        batch_size: 1,
        epochs: 400,
        ..TrainOptions::new(Loss::Mae, Optimizer::new(rule, 1e-9))
    };
    // A third to each bias, as far below its target as they stay.
    let targets = Targets::Values { values: vec![1e4; 3], width: 3 };
    let data = Dataset::new(vec![0.0], 1, targets).unwrap();
    let plan = || Plan::new(&Mlp::new(1).linear(3), &options).unwrap();
    Trainer::new(CpuEngine::<f32>::new(plan()), &data, None).unwrap().train().unwrap();
    let mut trainer = Trainer::new(gpu_engine(plan()), &data, None).unwrap();
    while trainer.epochs() < options.epochs {
        trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    }
    assert!(trainer.parameters().unwrap().iter().all(|w| w.is_finite()));
}

/// More batches than the rings have slots: they wrap.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn six_hundred_steps_wrap_the_rings() {
    let mlp = Mlp::new(2).linear(1);
    let options = TrainOptions {
        batch_size: 2,
        epochs: 3,
        ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.01))
    };
    let data = learnable(400, 2, 1, &Loss::Mse, 4);
    let exact = compare_engines("wrapped", &mlp, &options, &data);
    assert_eq!(exact.losses.len(), 600);
}

/// The digits' loss curve, 52 steps of it.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_digits_curve_is_the_same_on_all_engines() {
    use wgrad::data::{Schema, SchemaOptions, digits};
    let table = digits();
    let rows = &table.all_rows()[..832];
    let schema = Schema::fit(&table, rows, &SchemaOptions::default()).unwrap();
    let data = schema.encode(&table, rows).unwrap();
    let mlp = Mlp::with_hidden(64, &[128], Activation::Relu, 10);
    let loss = Loss::CrossEntropy { label_smoothing: 0.1, class_weights: Vec::new() };
    let options = TrainOptions {
        batch_size: 32,
        epochs: 2,
        ..TrainOptions::new(loss, Optimizer::adamw(3e-3))
    };
    let exact = compare_engines("digits", &mlp, &options, &data);
    assert_eq!(exact.losses.len(), 52);
    assert!(exact.losses[51] < 0.5 * exact.losses[0], "{:?}", exact.losses);
}

/// One run in full: parameters as bits, predictions, validation.
fn bits<E: Engine>(make: impl Fn(Plan) -> E, sampling: Sampling) -> (Vec<u32>, Vec<u32>, f64) {
    let mlp = Mlp::with_hidden(6, &[16, 8], Activation::Silu, 3);
    let options = TrainOptions {
        batch_size: 16,
        epochs: 3,
        sampling,
        seed: 77,
        ..TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adamw(0.01))
    };
    let data = learnable(100, 6, 3, &options.loss, 1);
    let mut trainer =
        Trainer::new(make(Plan::new(&mlp, &options).unwrap()), &data, Some(&data)).unwrap();
    let report = trainer.train().unwrap();
    let predictions = trainer.predict(data.inputs()).unwrap();
    let parameters = trainer.engine_mut().parameters().unwrap();
    let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect();
    (bits(&parameters), bits(&predictions), report.validation.unwrap().loss)
}

#[test]
fn the_cpu_gives_the_same_bits_twice() {
    for sampling in [Sampling::Shuffled, Sampling::Replacement] {
        assert_eq!(bits(CpuEngine::<f32>::new, sampling), bits(CpuEngine::<f32>::new, sampling));
    }
    let (shuffled, ..) = bits(CpuEngine::<f32>::new, Sampling::Shuffled);
    let (drawn, ..) = bits(CpuEngine::<f32>::new, Sampling::Replacement);
    assert_ne!(shuffled, drawn);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_gpu_gives_the_same_bits_twice() {
    for sampling in [Sampling::Shuffled, Sampling::Replacement] {
        assert_eq!(bits(gpu_engine, sampling), bits(gpu_engine, sampling));
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_step_takes_seven_dispatches_and_an_epoch_one_wait() {
    let mlp = Mlp::with_hidden(784, &[128], Activation::Relu, 10);
    let options = TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adam(1e-3));
    let data = learnable(640, 784, 10, &options.loss, 1);
    let engine = gpu_engine(Plan::new(&mlp, &options).unwrap());
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    for _ in 0..2 {
        let before = trainer.engine().stats();
        trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        let after = trainer.engine().stats();
        let steps = 640 / 64;
        // After the last step the loss of a batch is taken once more: two layers and the loss.
        assert_eq!(after.dispatches - before.dispatches, 7 * steps + 3);
        // None at all if the device was done before the host asked.
        assert!(after.waits - before.waits <= 1, "{before:?} then {after:?}");
    }
}

/// An epoch over 10 rows in batches of 4: 4, 4 and 2 rows, or two full batches.
fn partial_batches<E: Engine>(make: impl Fn(Plan) -> E) {
    let loss = Loss::Mse;
    let data = learnable(10, 3, 1, &loss, 2);
    for (drop_last, steps, rows) in [(false, 3, 10), (true, 2, 8)] {
        let options = TrainOptions {
            batch_size: 4,
            drop_last,
            ..TrainOptions::new(loss.clone(), Optimizer::sgd(0.01))
        };
        let plan = Plan::new(&Mlp::new(3).linear(1), &options).unwrap();
        let mut trainer = Trainer::new(make(plan), &data, None).unwrap();
        let report = trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        assert_eq!((report.step, report.train.rows), (steps, rows));
    }
    let options = TrainOptions {
        batch_size: 11,
        drop_last: true,
        ..TrainOptions::new(loss, Optimizer::sgd(0.01))
    };
    let plan = Plan::new(&Mlp::new(3).linear(1), &options).unwrap();
    let refused = Trainer::new(make(plan), &data, None).err().unwrap().to_string();
    assert!(refused.contains("10 rows make no full batch of 11"), "{refused}");
}

#[test]
fn the_last_batch_is_smaller_or_dropped_on_the_cpu() {
    partial_batches(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_last_batch_is_smaller_or_dropped_on_the_gpu() {
    partial_batches(gpu_engine);
}

/// Reports of an evaluation that nobody fetched belong neither to the next one nor to an epoch.
fn unfetched_reports<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = learnable(30, 2, 1, &Loss::Mse, 1);
    let options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.01));
    let plan = Plan::new(&Mlp::new(2).linear(1), &options).unwrap();
    let mut trainer = Trainer::new(make(plan), &data, Some(&data)).unwrap();
    let resident = trainer.engine_mut().upload(&data).unwrap();
    trainer.engine_mut().evaluate(&resident, 30).unwrap();
    assert_eq!(trainer.evaluate(&data).unwrap().rows, 30);
    trainer.engine_mut().evaluate(&resident, 30).unwrap();
    let report = trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(report.validation.unwrap().rows, 30);
}

#[test]
fn reports_nobody_fetched_are_nobody_elses_on_the_cpu() {
    unfetched_reports(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn reports_nobody_fetched_are_nobody_elses_on_the_gpu() {
    unfetched_reports(gpu_engine);
}

/// A net that computes 2x − 1 must score 1 on such data, and predict it for many rows.
fn known_net<E: Engine>(make: impl Fn(Plan) -> E) {
    let linear = Linear::new(1).weight_init(Init::Constant(2.0)).bias_init(Init::Constant(-1.0));
    let mlp = Mlp::new(1).layer(Layer::Linear(linear));
    let options = TrainOptions::new(Loss::HUBER, Optimizer::sgd(0.01));
    // More rows than one submission of predictions starts with.
    let inputs: Vec<f32> = (0..3000_u16).map(|i| f32::from(i) / 1500.0).collect();
    let values = inputs.iter().map(|x| 2.0 * x - 1.0).collect();
    let targets = Targets::Values { values, width: 1 };
    let data = Dataset::new(inputs.clone(), 1, targets).unwrap();
    let mut trainer = Trainer::new(make(Plan::new(&mlp, &options).unwrap()), &data, None).unwrap();
    let evaluation = trainer.evaluate(&data).unwrap();
    assert_eq!(evaluation.rows, 3000);
    assert!(evaluation.loss <= 1e-12, "{evaluation:?}");
    assert!(
        matches!(evaluation.score, Score::R2(r2) if (r2 - 1.0).abs() <= 1e-12),
        "{evaluation:?}"
    );
    let predictions = trainer.predict(&inputs).unwrap();
    let mut errors = inputs.iter().zip(&predictions).map(|(x, p)| (p - (2.0 * x - 1.0)).abs());
    assert_eq!(predictions.len(), 3000);
    assert!(errors.all(|error| error <= 1e-6), "{predictions:?}");
    assert_eq!(trainer.predict(&[]).unwrap(), [0.0_f32; 0]);
    assert!(trainer.engine_mut().set_parameters(&[0.0]).is_err());
}

#[test]
fn a_known_net_scores_one_on_the_cpu() {
    known_net(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_known_net_scores_one_on_the_gpu() {
    known_net(gpu_engine);
}

/// A host app polls its device on threads of its own, and may so take over the engine's callbacks.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_host_that_polls_beside_the_engine_does_no_harm() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let data = learnable(8, 2, 1, &Loss::Mse, 3);
    let options =
        TrainOptions { batch_size: 8, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.01)) };
    let engine = gpu_engine(Plan::new(&Mlp::new(2).linear(1), &options).unwrap());
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    common::gpu().device.poll(wgpu::PollType::Poll).unwrap();
                }
            });
        }
        let epochs: Vec<_> =
            (0..120).map(|_| trainer.train_epoch(|_| ControlFlow::Continue(()))).collect();
        done.store(true, Ordering::Relaxed);
        for report in epochs {
            assert_eq!(report.unwrap().train.rows, 8);
        }
    });
}

#[test]
fn breaking_off_keeps_what_was_done() {
    let loss = Loss::Mse;
    let data = learnable(64, 4, 2, &loss, 3);
    let options = TrainOptions { batch_size: 4, ..TrainOptions::new(loss, Optimizer::sgd(0.01)) };
    let plan = Plan::new(&Mlp::new(4).linear(2), &options).unwrap();
    let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, Some(&data)).unwrap();
    let report = trainer
        .train_epoch(
            |p| if p.step == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) },
        )
        .unwrap();
    assert!(report.interrupted);
    assert_eq!((report.step, report.validation), (3, None));
    // The next epoch goes on counting where this one broke off.
    let mut seen = Vec::new();
    let report = trainer
        .train_epoch(|p| {
            seen.push(p.step);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((report.step, report.epoch, seen), (19, 2, (4..=19).collect()));
}

/// The observer breaks off in the last step: the epoch is whole.
fn breaking_off_behind_the_last_step<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = learnable(16, 4, 2, &Loss::Mse, 3);
    let options =
        TrainOptions { batch_size: 4, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.01)) };
    let plan = Plan::new(&Mlp::new(4).linear(2), &options).unwrap();
    let mut trainer = Trainer::new(make(plan), &data, Some(&data)).unwrap();
    let report = trainer
        .train_epoch(
            |p| if p.step == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) },
        )
        .unwrap();
    assert!(report.interrupted && report.validation.is_some(), "{report:?}");
    assert_eq!((report.step, trainer.epochs()), (4, 1));
}

#[test]
fn breaking_off_behind_the_last_step_validates_on_the_cpu() {
    breaking_off_behind_the_last_step(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn breaking_off_behind_the_last_step_validates_on_the_gpu() {
    breaking_off_behind_the_last_step(gpu_engine);
}

fn data_of_another_engine<E: Engine>(make: impl Fn(Plan) -> E) {
    let options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1));
    let engine = |inputs| make(Plan::new(&Mlp::new(inputs).linear(1), &options).unwrap());
    let (mut one, mut other) = (engine(3), engine(4));
    let data = one.upload(&learnable(8, 3, 1, &Loss::Mse, 1)).unwrap();
    let error = other.evaluate(&data, 8).unwrap_err().to_string();
    assert!(error.contains("one that was uploaded to this engine"), "{error}");
    one.evaluate(&data, 8).unwrap();
}

#[test]
fn data_of_another_engine_are_refused_on_the_cpu() {
    data_of_another_engine(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn data_of_another_engine_are_refused_on_the_gpu() {
    data_of_another_engine(gpu_engine);
}

#[test]
fn data_that_do_not_fit_are_refused() {
    let options = TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::sgd(0.1));
    let engine = || CpuEngine::<f32>::new(Plan::new(&Mlp::new(3).linear(2), &options).unwrap());
    let message = |data: &Dataset| {
        Trainer::new(engine(), data, None).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let wide = learnable(8, 4, 2, &Loss::CROSS_ENTROPY, 1);
    assert!(message(&wide).contains("expected 3 as the net's inputs, got 4"), "{}", message(&wide));
    let many = learnable(8, 3, 5, &Loss::CROSS_ENTROPY, 1);
    assert!(message(&many).contains("at most 2 classes"), "{}", message(&many));
    let values = learnable(8, 3, 2, &Loss::Mse, 1);
    assert!(message(&values).contains("expected class indices"), "{}", message(&values));
}
