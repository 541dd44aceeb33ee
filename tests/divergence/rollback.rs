//! Trainings that go back and lower their learning rates.

use std::cell::Cell;

use super::*;

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

/// One row with x = 1 and y = 0, so that ∂L/∂w = ∂L/∂b = 2·(w + b), and w + b grows (4·3 − 1)-fold a step
/// until its square overflows; its average is behind by so much that it still has a loss then.
fn averages_do_not_hide_a_divergence<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = Dataset::new(vec![1.0], 1, Targets::Values { values: vec![0.0], width: 1 }).unwrap();
    for ema in [None, Some(0.9), Some(0.99)] {
        let options = TrainOptions {
            batch_size: 1,
            epochs: 60,
            ema,
            on_divergence: OnDivergence::RollBack { factor: 0.05, most: 2 },
            ..TrainOptions::new(Loss::Mse, Optimizer::sgd(3.0))
        };
        let plan = Plan::new(&Mlp::new(1).linear(1), &options).unwrap();
        let mut trainer = Trainer::new(make(plan), &data, None).unwrap();
        let reports = all_epochs(&mut trainer).unwrap();
        assert!((trainer.rollback_factor() - 0.05).abs() < 1e-12, "once is enough");
        assert!(reports.last().unwrap().train.loss() < 1e36, "{ema:?}: it comes down");
    }
}

#[test]
fn averages_do_not_hide_a_divergence_on_the_cpu() {
    averages_do_not_hide_a_divergence(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn averages_do_not_hide_a_divergence_on_the_gpu() {
    averages_do_not_hide_a_divergence(gpu_engine);
}

/// An observer that breaks off once, before the step that diverges is known, is obeyed, and so is who ends
/// an epoch by hand.
#[test]
fn a_rollback_does_not_go_on_for_who_broke_off() {
    let data = sequential(&[], &[]);
    let mut options = options(OnDivergence::RollBack { factor: 0.5, most: 9 });
    // What the fifth step makes of the parameters overflows in the next loss.
    options.schedule = "piecewise:4=1e30".parse().unwrap();
    let plan = Plan::new(&Mlp::new(2).linear(1), &options).unwrap();
    let trainer = || Trainer::new(CpuEngine::<f32>::new(plan.clone()), &data, None).unwrap();
    let mut broken = trainer();
    let asked = Cell::new(false);
    let error = broken.train_epoch(|progress| match progress.step {
        5 if !asked.replace(true) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(error, Err(Error::Diverged { step: 5, .. })), "{error:?}");
    assert_eq!((broken.steps(), broken.rollback_factor()), (0, 0.5));
    assert!(broken.take_rollback().is_none(), "the error was returned");

    let mut ended = trainer();
    assert!(ended.train_steps(5, |_| ControlFlow::Continue(())).unwrap().is_none());
    assert!(matches!(ended.end_epoch(), Err(Error::Diverged { step: 5, .. })));
    assert_eq!((ended.steps(), ended.rollback_factor()), (0, 0.5));
}
