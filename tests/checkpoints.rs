//! A training that was stopped and goes on from a file is the training that wasn't.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{gpu_engine, learnable};
use wgrad::data::{Dataset, Targets};
use wgrad::schedule::Plateau;
use wgrad::{
    Activation, Checkpoint, Clip, CpuEngine, EarlyStopping, Engine, EpochReport, Error, Loss, Mlp,
    ModelFile, Optimizer, Plan, Rule, Sampling, Schedule, TrainOptions, Trainer,
};

fn mlp() -> Mlp {
    Mlp::new(3).linear(17).batch_norm().activation(Activation::Relu).dropout(0.25).linear(2)
}

/// Everything with a memory: moments, an average, early stopping, a plateau, norms, dropout.
fn options(rule: Rule) -> TrainOptions {
    TrainOptions {
        batch_size: 16,
        epochs: 3,
        schedule: Schedule::Cosine { floor: 0.1 },
        ema: Some(0.9),
        clip: Some(Clip::Norm(1.0)),
        plateau: Some(Plateau { patience: 0, ..Plateau::default() }),
        early_stopping: Some(EarlyStopping { patience: 5, ..EarlyStopping::default() }),
        seed: 5,
        ..TrainOptions::new(Loss::Mse, Optimizer::new(rule, 0.02))
    }
}

/// 61 rows in batches of 16: four steps an epoch, the last with 13 rows.
fn rows(seed: u64) -> Dataset {
    learnable(61, 3, 2, &Loss::Mse, seed)
}

fn trainer<E: Engine>(engine: E) -> Trainer<E> {
    Trainer::new(engine, &rows(8), Some(&rows(9))).unwrap()
}

/// What two trainings have to have in common.
type Outcome = (Vec<u32>, Vec<EpochReport>);

/// Trains to the end, and says what came of it.
fn finish<E: Engine>(trainer: &mut Trainer<E>) -> Outcome {
    let mut reports = Vec::new();
    while trainer.epochs() < 3 {
        let mut report = trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        report.seconds = 0.0;
        reports.push(report);
    }
    let parameters = trainer.parameters().unwrap();
    (parameters.iter().map(|w| w.to_bits()).collect(), reports)
}

/// Stops after every number of steps in turn, and goes on from the file in a new engine.
fn check<E: Engine>(what: &str, engine: impl Fn() -> E, stops: &[u64]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let want = finish(&mut trainer(engine()));
    assert_eq!(want.1.len(), 3);
    for &stop in stops {
        let mut first = trainer(engine());
        let mut reports = Vec::new();
        // A step at a time, as far as it goes: pauses change nothing.
        while first.steps() < stop {
            let report = first.train_steps(1, |_| ControlFlow::Continue(())).unwrap();
            reports.extend(report.map(|report| EpochReport { seconds: 0.0, ..report }));
        }
        let checkpoint = first.checkpoint().unwrap();
        assert_eq!((checkpoint.steps(), checkpoint.epochs()), (stop, stop / 4));
        checkpoint.save(&path).unwrap();
        drop(first);
        let loaded = Checkpoint::load(&path).unwrap();
        assert!(loaded == checkpoint, "{what}: step {stop}");
        let mut second = trainer(engine());
        second.resume(&loaded).unwrap();
        let got = finish(&mut second);
        assert_eq!(got.0, want.0, "{what}: parameters after a stop at step {stop}");
        assert_eq!([reports, got.1].concat(), want.1, "{what}: reports after a stop at {stop}");
    }
}

fn rules() -> [Rule; 3] {
    [Rule::Sgd { momentum: 0.9, nesterov: false }, Rule::AMSGRAD, Rule::NADAM]
}

#[test]
fn a_stop_changes_no_bit_on_the_cpu() {
    for rule in rules() {
        let plan = || Plan::new(&mlp(), &options(rule)).unwrap();
        let stops: Vec<u64> = (0..=12).collect();
        check(&format!("{rule:?}"), || CpuEngine::<f32>::new(plan()), &stops);
        check(&format!("{rule:?} in f64"), || CpuEngine::<f64>::new(plan()), &[5]);
    }
    let parts = TrainOptions {
        micro_batch: Some(7),
        sampling: Sampling::Replacement,
        ..options(Rule::ADAM)
    };
    let plan = || Plan::new(&mlp(), &parts).unwrap();
    check("parts", || CpuEngine::<f32>::new(plan()), &[3, 4, 6]);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_stop_changes_no_bit_on_a_gpu() {
    let plan = || Plan::new(&mlp(), &options(Rule::NADAM)).unwrap();
    check("gpu", || gpu_engine(plan()), &[0, 5, 8, 11]);
}

/// An observer that always breaks pauses the training after each submission: nothing else.
fn check_breaks<E: Engine>(engine: impl Fn() -> E) {
    let want = finish(&mut trainer(engine()));
    let mut paused = trainer(engine());
    let mut reports = Vec::new();
    while paused.epochs() < 3 {
        let report = paused.train_steps(u64::MAX, |_| ControlFlow::Break(())).unwrap();
        reports.extend(report.map(|report| EpochReport { seconds: 0.0, ..report }));
    }
    let parameters = paused.parameters().unwrap();
    let bits: Vec<u32> = parameters.iter().map(|w| w.to_bits()).collect();
    assert!(bits == want.0, "the parameters differ");
    assert_eq!(reports, want.1);
}

#[test]
fn a_break_changes_no_bit_on_the_cpu() {
    let plan = || Plan::new(&mlp(), &options(Rule::ADAM)).unwrap();
    check_breaks(|| CpuEngine::<f32>::new(plan()));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_break_changes_no_bit_on_a_gpu() {
    let plan = || Plan::new(&mlp(), &options(Rule::ADAM)).unwrap();
    check_breaks(|| gpu_engine(plan()));
}

/// A training may go on on another device: with its rounding, but from the same numbers.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_checkpoint_moves_between_engines() {
    let plan = || Plan::new(&mlp(), &options(Rule::ADAM)).unwrap();
    let mut cpu = trainer(CpuEngine::<f32>::new(plan()));
    cpu.train_steps(6, |_| ControlFlow::Continue(())).unwrap();
    cpu.train_steps(6, |_| ControlFlow::Continue(())).unwrap();
    let checkpoint = cpu.checkpoint().unwrap();
    let mut gpu = trainer(gpu_engine(plan()));
    gpu.resume(&checkpoint).unwrap();
    assert!(gpu.checkpoint().unwrap() == checkpoint);
    let mut exact = trainer(CpuEngine::<f64>::new(plan()));
    exact.resume(&checkpoint).unwrap();
    assert_eq!(exact.parameters().unwrap(), gpu.parameters().unwrap());
}

#[test]
fn another_training_is_refused() {
    let plan = |mlp: &Mlp, options: &TrainOptions| Plan::new(mlp, options).unwrap();
    let adam = options(Rule::ADAM);
    let checkpoint = trainer(CpuEngine::<f32>::new(plan(&mlp(), &adam))).checkpoint().unwrap();
    let refused = |mlp: Mlp, options: &TrainOptions, data: &Dataset| {
        let engine = CpuEngine::<f32>::new(plan(&mlp, options));
        let mut trainer = Trainer::new(engine, data, Some(&rows(9))).unwrap();
        trainer.resume(&checkpoint).unwrap_err().to_string()
    };
    let error = refused(mlp().activation(Activation::Tanh), &adam, &rows(8));
    assert!(error.contains("net") && error.contains("drop0.25-2-tanh"), "{error}");
    let error = refused(mlp(), &TrainOptions { seed: 6, ..adam.clone() }, &rows(8));
    assert!(error.contains("options") && error.contains("\"seed\":6"), "{error}");
    let error = refused(mlp(), &adam, &learnable(60, 3, 2, &Loss::Mse, 8));
    assert!(error.contains("training rows: expected 60, got 61"), "{error}");
}

/// The sum of squares that R² is made of overflows in f32 where the mean error doesn't.
#[test]
fn a_score_that_overflows_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let mae = TrainOptions { batch_size: 1, ..TrainOptions::new(Loss::Mae, Optimizer::sgd(0.1)) };
    let plan = Plan::new(&Mlp::new(1).linear(1), &mae).unwrap();
    let targets = Targets::Values { values: vec![1e20, 2e20], width: 1 };
    let data = Dataset::new(vec![1.0, 2.0], 1, targets).unwrap();
    let trainer = || Trainer::new(CpuEngine::<f32>::new(plan.clone()), &data, None).unwrap();
    let mut first = trainer();
    first.train_steps(1, |_| ControlFlow::Continue(())).unwrap();
    let checkpoint = first.checkpoint().unwrap();
    checkpoint.save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded, checkpoint);
    let mut second = trainer();
    second.resume(&loaded).unwrap();
    let [first, second] = [first, second].map(|mut trainer| trainer.train().unwrap().train);
    assert_eq!(first, second);
    assert!(first.is_finite() && first.score_sum == f64::INFINITY);
}

#[test]
fn a_broken_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let plan = Plan::new(&Mlp::new(10).linear(8), &options(Rule::ADAM)).unwrap();
    let data = learnable(20, 10, 8, &Loss::Mse, 1);
    let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, Some(&data)).unwrap();
    trainer.checkpoint().unwrap().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Checkpoint::load(&path)
    };
    assert!(load(&bytes).is_ok());
    let error = ModelFile::load(&path).unwrap_err().to_string();
    assert!(error.contains("a checkpoint, from which a training goes on"), "{error}");
    for len in 0..bytes.len() {
        assert!(load(&bytes[..len]).is_err(), "{len} of {} bytes were taken", bytes.len());
    }
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        load(&bytes)
    };
    // Moments that begin behind the steps that were done; more epochs without improvement than epochs.
    for counter in ["moments_from", "in_a_row", "skipped", "bad_epochs"] {
        let of = |count| format!("\\\"{counter}\\\":{count}");
        let impossible = changed(&of(0), &of(9)).unwrap();
        let error = trainer.resume(&impossible).unwrap_err().to_string();
        assert!(error.contains("progress"), "{counter}: {error}");
    }
    let replaced =
        |from: &str, to: &str| changed(from, to).map(|_| "taken").unwrap_err().to_string();
    let error = replaced("moment1", "moment9");
    assert!(error.contains("moment1 is missing"), "{error}");
    let error = replaced("\\\"version\\\":1", "\\\"version\\\":7");
    assert!(error.contains("format 7, but this wgrad reads format 1"), "{error}");
    // A net with more parameters than the arenas hold.
    let error = replaced("\\\"in_features\\\":10", "\\\"in_features\\\":90");
    assert!(error.contains("parameters has [192] elements, not 832"), "{error}");
    let error = replaced("wgrad_checkpoint", "another_program_");
    assert!(error.contains("not a checkpoint"), "{error}");
    assert!(matches!(Checkpoint::load(Path::new("nowhere")), Err(Error::Io { .. })));
}
