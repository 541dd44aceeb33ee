//! Numbers that go wrong: seen, named, and dealt with as the options say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;

use common::{gpu_engine, learnable};
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, Checkpoint, Clip, CpuEngine, Engine, EpochReport, Error, Loss, Mlp, OnDivergence,
    Optimizer, Plan, Sampling, TrainOptions, Trainer,
};

/// A learning rate that blows up must end in an error that names the step, with the parameters of
/// the last good epoch back in place.
fn divergence<E: Engine>(make: impl Fn(Plan) -> E) {
    let loss = Loss::Mse;
    let data = learnable(64, 4, 2, &loss, 3);
    let options = TrainOptions {
        batch_size: 16,
        epochs: 50,
        ..TrainOptions::new(loss, Optimizer::sgd(20.0))
    };
    let mlp = Mlp::with_hidden(4, &[16], Activation::Relu, 2);
    let engine = make(Plan::new(&mlp, &options).unwrap());
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    let error = trainer.train().unwrap_err();
    let Error::Diverged { step, epoch, loss, tensor } = error else { panic!("{error}") };
    // Weights overflow before the loss that they lead to, or the loss does.
    assert!(!loss.is_finite() || tensor.is_some(), "{loss}");
    assert_eq!(epoch, (step - 1) / 4 + 1);
    assert_eq!((trainer.epochs(), trainer.steps()), (epoch - 1, 4 * (epoch - 1)));
    let parameters = trainer.engine_mut().parameters().unwrap();
    assert!(parameters.iter().all(|w| w.is_finite()), "the last good parameters aren't back");
}

#[test]
fn divergence_names_the_step_on_the_cpu() {
    divergence(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn divergence_names_the_step_on_the_gpu() {
    divergence(gpu_engine);
}

/// Parameters that were set, of a loaded model perhaps, are what a diverged first epoch goes back to.
fn divergence_keeps_loaded_parameters<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = learnable(16, 4, 2, &Loss::Mse, 3);
    let options =
        TrainOptions { batch_size: 4, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e38)) };
    let mut engine = make(Plan::new(&Mlp::new(4).linear(2), &options).unwrap());
    let loaded: Vec<f32> = engine.parameters().unwrap().iter().map(|w| w + 0.25).collect();
    engine.set_parameters(&loaded).unwrap();
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    for _ in 0..2 {
        let error = trainer.train().unwrap_err();
        assert!(matches!(error, Error::Diverged { epoch: 1, tensor: Some(_), .. }), "{error}");
        assert_eq!(trainer.engine_mut().parameters().unwrap(), loaded);
    }
}

#[test]
fn divergence_keeps_loaded_parameters_on_the_cpu() {
    divergence_keeps_loaded_parameters(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn divergence_keeps_loaded_parameters_on_the_gpu() {
    divergence_keeps_loaded_parameters(gpu_engine);
}

/// The third row's squared error overflows. A second attempt must see the very losses of the first:
/// parameters, moments and step count are all back where they were.
fn divergence_leaves_nothing_behind<E: Engine>(make: impl Fn(Plan) -> E) {
    let values = vec![0.5, -1.0, 3e38];
    let targets = Targets::Values { values, width: 1 };
    let data = Dataset::new(vec![1.0, 2.0, 3.0], 1, targets).unwrap();
    let options = TrainOptions {
        batch_size: 1,
        sampling: Sampling::Sequential,
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(0.1))
    };
    let engine = make(Plan::new(&Mlp::new(1).linear(1), &options).unwrap());
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    let mut attempt = || {
        let mut losses = Vec::new();
        let error = trainer.train_epoch(|progress| {
            losses.push((progress.step, progress.step_loss.to_bits()));
            ControlFlow::Continue(())
        });
        assert!(matches!(error, Err(Error::Diverged { step: 3, epoch: 1, .. })), "{error:?}");
        losses
    };
    let first = attempt();
    assert_eq!(first.len(), 2);
    assert_eq!(attempt(), first);
}

#[test]
fn divergence_leaves_nothing_behind_on_the_cpu() {
    divergence_leaves_nothing_behind(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn divergence_leaves_nothing_behind_on_the_gpu() {
    divergence_leaves_nothing_behind(gpu_engine);
}

/// The one step of the one epoch blows the parameters up; its own loss was still finite.
fn divergence_in_the_last_step<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = learnable(16, 4, 2, &Loss::Mse, 3);
    let options = TrainOptions {
        batch_size: 16,
        epochs: 1,
        ..TrainOptions::new(Loss::Mse, Optimizer::sgd(1e39))
    };
    for validation in [None, Some(&data)] {
        let plan = Plan::new(&Mlp::new(4).linear(2), &options).unwrap();
        let start = plan.initial_parameters();
        let mut trainer = Trainer::new(make(plan), &data, validation).unwrap();
        let error = trainer.train().unwrap_err();
        let Error::Diverged { step: 1, epoch: 1, loss, tensor } = error else { panic!("{error}") };
        assert!(loss.is_finite() && tensor.as_deref() == Some("0.bias"), "{loss}, {tensor:?}");
        assert_eq!(trainer.engine_mut().parameters().unwrap(), start);
    }
}

#[test]
fn divergence_in_the_last_step_is_seen_on_the_cpu() {
    divergence_in_the_last_step(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn divergence_in_the_last_step_is_seen_on_the_gpu() {
    divergence_in_the_last_step(gpu_engine);
}

/// The squares of the one gradient overflow, so that clipping by norm would leave nothing of it; it and the
/// loss are finite.
fn a_norm_that_overflows<E: Engine>(make: impl Fn(Plan) -> E) {
    let targets = Targets::Values { values: vec![0.0], width: 1 };
    let data = Dataset::new(vec![1e20], 1, targets).unwrap();
    let options = TrainOptions {
        batch_size: 1,
        clip: Some(Clip::Norm(1.0)),
        ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))
    };
    let mut engine = make(Plan::new(&Mlp::new(1).linear(1), &options).unwrap());
    let mut parameters = engine.parameters().unwrap();
    parameters[0] = 1e-10;
    engine.set_parameters(&parameters).unwrap();
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    let error = trainer.train().unwrap_err();
    assert!(error.to_string().contains("the norm of its gradient overflows"), "{error}");
    assert!(matches!(error, Error::Diverged { step: 1, tensor: None, .. }), "{error}");
    assert_eq!(trainer.parameters().unwrap(), parameters);
}

#[test]
fn a_norm_that_overflows_is_seen_on_the_cpu() {
    a_norm_that_overflows(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_norm_that_overflows_is_seen_on_the_gpu() {
    a_norm_that_overflows(gpu_engine);
}

/// Rows in order, without what is in `without`; those in `broken` have a target whose gradient overflows.
fn sequential(without: &[usize], broken: &[usize]) -> Dataset {
    let rows: Vec<usize> = (0..24).filter(|row| !without.contains(row)).collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let input = |&row: &usize| [(row as f32).sin(), (row as f32).cos()];
    let target = |row: &usize| if broken.contains(row) { 3e38 } else { input(row)[0] };
    let values = rows.iter().map(target).collect();
    let inputs = rows.iter().flat_map(input).collect();
    Dataset::new(inputs, 2, Targets::Values { values, width: 1 }).unwrap()
}

fn options(on_divergence: OnDivergence) -> TrainOptions {
    TrainOptions {
        batch_size: 4,
        epochs: 2,
        sampling: Sampling::Sequential,
        on_divergence,
        ..TrainOptions::new(Loss::Mse, Optimizer::momentum(0.05, 0.9, false))
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn all_epochs<E: Engine>(trainer: &mut Trainer<E>) -> Result<Vec<EpochReport>, Error> {
    let epochs = trainer.engine().plan().options().epochs;
    let mut reports = Vec::new();
    while trainer.epochs() < epochs {
        reports.push(trainer.train_epoch(|_| ControlFlow::Continue(()))?);
    }
    Ok(reports)
}

/// A training that skips two batches is the training on the other rows, to the bit.
fn skipped_steps_leave_no_trace<E: Engine>(make: impl Fn(Plan) -> E) {
    let mlp = Mlp::with_hidden(2, &[8], Activation::Tanh, 1);
    let train = |data: &Dataset, options: &TrainOptions| {
        let engine = make(Plan::new(&mlp, options).unwrap());
        let mut trainer = Trainer::new(engine, data, None).unwrap();
        let reports = all_epochs(&mut trainer).unwrap();
        (reports, bits(&trainer.parameters().unwrap()))
    };
    let rows = |range: std::ops::Range<usize>| range.collect::<Vec<_>>();
    // The second and third batch, and the last.
    let without = [rows(4..12), rows(20..24)].concat();
    let policy = OnDivergence::Skip { most: 2 };
    // A batch in parts is skipped as a whole, and averages know nothing of it.
    let plain = options(policy);
    let more = TrainOptions { micro_batch: Some(3), ema: Some(0.9), ..options(policy) };
    for options in [plain, more] {
        let (reports, parameters) = train(&sequential(&[], &[5, 8, 11, 20]), &options);
        let (expected, want) = train(&sequential(&without, &[]), &options);
        assert_eq!(parameters, want);
        for (report, expected) in reports.iter().zip(&expected) {
            assert_eq!((report.skipped, expected.skipped), (3, 0));
            assert_eq!(report.train, expected.train);
            assert_eq!(report.step, expected.step + 3 * report.epoch);
        }
    }
    // Nothing is wrong: the policy makes no difference.
    let sound = sequential(&[], &[]);
    assert_eq!(train(&sound, &options(policy)).1, train(&sound, &options(OnDivergence::Stop)).1);
}

#[test]
fn skipped_steps_leave_no_trace_on_the_cpu() {
    skipped_steps_leave_no_trace(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn skipped_steps_leave_no_trace_on_the_gpu() {
    skipped_steps_leave_no_trace(gpu_engine);
}

fn too_many_skips_end_the_training<E: Engine>(make: impl Fn(Plan) -> E) {
    let plan = Plan::new(&Mlp::new(2).linear(1), &options(OnDivergence::Skip { most: 1 })).unwrap();
    let start = bits(&plan.initial_parameters());
    let mut trainer = Trainer::new(make(plan), &sequential(&[], &[4, 8]), None).unwrap();
    let error = all_epochs(&mut trainer).unwrap_err();
    let Error::Diverged { step: 3, epoch: 1, tensor, .. } = &error else { panic!("{error}") };
    assert_eq!(tensor.as_deref(), Some("0.bias"));
    assert!(error.to_string().contains("0.bias or its gradient isn't finite"), "{error}");
    assert_eq!(bits(&trainer.parameters().unwrap()), start);
}

#[test]
fn too_many_skips_end_the_training_on_the_cpu() {
    too_many_skips_end_the_training(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn too_many_skips_end_the_training_on_the_gpu() {
    too_many_skips_end_the_training(gpu_engine);
}

/// Inputs that overflow in a norm must not stay in its running statistics.
fn running_statistics_stay_finite<E: Engine>(make: impl Fn(Plan) -> E) {
    let mut inputs: Vec<f32> = sequential(&[], &[]).inputs().to_vec();
    inputs[10] = 3e38;
    inputs[12] = -3e38;
    let values = vec![0.5; 24];
    let data = Dataset::new(inputs, 2, Targets::Values { values, width: 1 }).unwrap();
    let mlp = Mlp::new(2).linear(4).batch_norm().activation(Activation::Relu).linear(1);
    let plan = Plan::new(&mlp, &options(OnDivergence::Skip { most: 2 })).unwrap();
    let mut trainer = Trainer::new(make(plan), &data, None).unwrap();
    // What is infinite divides by itself or makes 0; only the statistics show it.
    all_epochs(&mut trainer).unwrap();
    assert!(trainer.parameters().unwrap().iter().all(|w| w.is_finite()));
}

#[test]
fn running_statistics_stay_finite_on_the_cpu() {
    running_statistics_stay_finite(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn running_statistics_stay_finite_on_the_gpu() {
    running_statistics_stay_finite(gpu_engine);
}

/// A rate that is far too high comes down until it trains; a checkpoint remembers how far.
fn rolling_back_finds_a_rate<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = sequential(&[], &[]);
    let mut options = options(OnDivergence::RollBack { factor: 0.1, most: 5 });
    options.optimizer = Optimizer::sgd(3e4);
    options.epochs = 40;
    let plan = Plan::new(&Mlp::new(2).linear(1), &options).unwrap();
    let trainer = || Trainer::new(make(plan.clone()), &data, None).unwrap();
    let mut whole = trainer();
    let reports = all_epochs(&mut whole).unwrap();
    let last = reports.last().unwrap();
    let why = whole.take_rollback().unwrap();
    assert!(matches!(why, Error::Diverged { .. }), "{why}");
    assert!(whole.take_rollback().is_none());
    let factor = whole.rollback_factor();
    assert!(factor < 1.0 && last.train.is_finite(), "{factor}");
    assert!((last.lr - 3e4 * factor).abs() <= 1e-9 * last.lr);
    assert_eq!((reports.len(), last.epoch, last.step), (40, 40, 240));

    // In steps, and in two halves: where it has gone back, it pauses.
    let mut halves = trainer();
    while halves.steps() < 101 {
        halves.train_steps(101 - halves.steps(), |_| ControlFlow::Continue(())).unwrap();
    }
    let checkpoint = halves.checkpoint().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    checkpoint.save(&path).unwrap();
    let mut second = trainer();
    second.resume(&Checkpoint::load(&path).unwrap()).unwrap();
    assert_eq!(second.rollback_factor(), halves.rollback_factor());
    all_epochs(&mut second).unwrap();
    assert_eq!(bits(&second.parameters().unwrap()), bits(&whole.parameters().unwrap()));

    // As often as allowed, and no more.
    options.on_divergence = OnDivergence::RollBack { factor: 0.9, most: 2 };
    let plan = Plan::new(&Mlp::new(2).linear(1), &options).unwrap();
    let mut trainer = Trainer::new(make(plan), &data, None).unwrap();
    let error = all_epochs(&mut trainer).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    assert!((trainer.rollback_factor() - 0.81).abs() < 1e-12);
}

#[test]
fn rolling_back_finds_a_rate_on_the_cpu() {
    rolling_back_finds_a_rate(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn rolling_back_finds_a_rate_on_the_gpu() {
    rolling_back_finds_a_rate(gpu_engine);
}

/// Adam's first step behind a rollback is as long as its first of all: at most η a weight, whatever the
/// step's number.
#[test]
fn steps_behind_a_rollback_are_no_longer_than_the_first() {
    let data = learnable(64, 4, 2, &Loss::Mse, 3);
    let options = TrainOptions {
        batch_size: 64,
        epochs: 600,
        // The 501st step takes the parameters far out of f32's range.
        schedule: "piecewise:500=1e40".parse().unwrap(),
        on_divergence: OnDivergence::RollBack { factor: 1e-40, most: 1 },
        insight_every: Some(1),
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3))
    };
    let engine = CpuEngine::<f32>::new(Plan::new(&Mlp::new(4).linear(2), &options).unwrap());
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    let mut longest = Vec::new();
    while trainer.epochs() < 505 {
        trainer
            .train_epoch(|progress| {
                let tensors = progress.insight.iter().flat_map(|insight| &insight.tensors);
                let step = tensors.map(|tensor| tensor.effective_step.mean).fold(0.0, f64::max);
                longest.push((progress.step, step));
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    assert!(trainer.take_rollback().is_some());
    let of = |wanted: u64| longest.iter().rev().find(|(step, _)| *step == wanted).unwrap().1;
    // |m̂|/√v̂ is 1 in the first step after the moments were 0.
    assert!((of(1) - 1.0).abs() < 1e-3, "{}", of(1));
    assert!((of(501) - 1.0).abs() < 1e-3, "{}", of(501));
}
