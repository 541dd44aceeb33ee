//! When a training has ended, and trainings that don't end by themselves.

use std::ops::ControlFlow;

use wgrad::{
    Activation, CpuEngine, EarlyStopping, Loss, Mlp, Optimizer, Plan, Schedule, TrainOptions,
    Trainer,
};

use super::Host;
use super::common::learnable;

fn mlp() -> Mlp {
    Mlp::with_hidden(3, &[8], Activation::Tanh, 2)
}

fn options() -> TrainOptions {
    TrainOptions { batch_size: 16, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)) }
}

/// Recorded steps end with the options' epochs; what is recorded then has the schedule's last rate, here 0.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn recorded_trainings_are_finished_with_their_epochs() {
    let host = Host::new();
    let data = learnable(64, 3, 2, &Loss::Mse, 8);
    let schedule = Schedule::Cosine { floor: 0.0 };
    let options = TrainOptions { epochs: 2, schedule, ..options() };
    let mut trainer = Trainer::new(host.engine(&mlp(), &options), &data, None).unwrap();
    let record = |trainer: &mut Trainer<_>, steps| {
        let mut encoder = host.encoder();
        assert_eq!(trainer.encode_steps(&mut encoder, steps).unwrap(), steps);
        host.submit(encoder);
    };
    record(&mut trainer, 7);
    assert!(!trainer.is_finished(), "a step is left");
    record(&mut trainer, 1);
    assert!(trainer.is_finished());
    let ended = trainer.parameters().unwrap();
    record(&mut trainer, 3);
    assert_eq!(trainer.parameters().unwrap(), ended);
    trainer.reset(1).unwrap();
    assert!(!trainer.is_finished());
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn endless_trainings_go_on_learning() {
    let host = Host::new();
    let data = learnable(64, 3, 2, &Loss::Mse, 8);
    let schedule = "warmup:10+constant".parse().unwrap();
    let options = TrainOptions { epochs: TrainOptions::ENDLESS, schedule, ..options() };
    let mut trainer = Trainer::new(host.engine(&mlp(), &options), &data, None).unwrap();
    for _ in 0..10 {
        let before = trainer.parameters().unwrap();
        let mut encoder = host.encoder();
        trainer.encode_steps(&mut encoder, 100).unwrap();
        host.submit(encoder);
        assert!(!trainer.is_finished());
        assert_ne!(trainer.parameters().unwrap(), before);
    }
    // The first step's rate is the warm-up's.
    let mut seen = Vec::new();
    trainer.reset(0).unwrap();
    let observe = |progress: &wgrad::Progress<'_>| {
        seen.push(progress.lr);
        ControlFlow::Continue(())
    };
    trainer.train_steps(4, observe).unwrap();
    let want = [0.0, 1e-4, 2e-4, 3e-4];
    let close = |(seen, want): (&f64, f64)| (seen - want).abs() < 1e-15;
    assert!(seen.len() == 4 && seen.iter().zip(want).all(close), "{seen:?}");
}

#[test]
fn early_stopping_finishes_a_training() {
    let data = learnable(64, 3, 2, &Loss::Mse, 8);
    let early_stopping =
        Some(EarlyStopping { patience: 2, min_delta: 1e9, ..EarlyStopping::default() });
    let options = TrainOptions { epochs: TrainOptions::ENDLESS, early_stopping, ..options() };
    let plan = Plan::new(&mlp(), &options).unwrap();
    let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, Some(&data)).unwrap();
    for epoch in 1..=3 {
        assert!(!trainer.is_finished(), "before epoch {epoch}");
        let report = trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        assert_eq!(report.stop, epoch == 3);
    }
    assert!(trainer.is_finished());
}
