//! Numbers that go wrong: seen, named, and dealt with as the options say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "divergence/rollback.rs"]
mod rollback;

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

/// The weights of a training that skips batches are those of the training on the other rows, to the bit.
fn skipped_steps_leave_no_trace<E: Engine>(make: impl Fn(Plan) -> E) {
    let mlp = Mlp::with_hidden(2, &[8], Activation::Tanh, 1);
    let train = |data: &Dataset, options: &TrainOptions| {
        let engine = make(Plan::new(&mlp, options).unwrap());
        let mut trainer = Trainer::new(engine, data, None).unwrap();
        let reports = all_epochs(&mut trainer).unwrap();
        (reports, bits(&trainer.engine_mut().parameters().unwrap()))
    };
    let rows = |range: std::ops::Range<usize>| range.collect::<Vec<_>>();
    // The second and third batch, and the last.
    let without = [rows(4..12), rows(20..24)].concat();
    let policy = OnDivergence::Skip { most: 2 };
    // A batch in parts is skipped as a whole.
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
