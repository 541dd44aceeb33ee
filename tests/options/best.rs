//! Early stopping.

use super::*;

/// Validation rows that contradict the training rows: the loss on them rises from the first epochs
/// on, and training ends there.
fn early_stopping<E: Engine>(make: impl Fn(Plan) -> E, ema: Option<f64>) {
    let train = learnable(32, 3, 1, &Loss::Mse, 4);
    let Targets::Values { values, width } = train.targets() else { unreachable!() };
    let negated = values.iter().map(|v| 0.2 - v).collect();
    let targets = Targets::Values { values: negated, width: *width };
    let validation = Dataset::new(train.inputs().to_vec(), 3, targets).unwrap();
    let stopping = EarlyStopping { patience: 3, ..EarlyStopping::default() };
    let options = TrainOptions {
        batch_size: 8,
        epochs: 100,
        ema,
        early_stopping: Some(stopping),
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(0.01))
    };
    let mlp = Mlp::with_hidden(3, &[16], Activation::Tanh, 1);
    let trainer = |options: &TrainOptions| {
        let engine = make(Plan::new(&mlp, options).unwrap());
        Trainer::new(engine, &train, Some(&validation)).unwrap()
    };
    let mut stopped = trainer(&options);
    let report = stopped.train().unwrap();
    let best = report.best_epoch.unwrap();
    assert!(report.stop && report.restored, "{report:?}");
    assert_eq!(report.epoch, best + 3);
    assert!(report.epoch < 20, "{report:?}");
    // The same run without stopping, ended after the best epoch, has the same parameters.
    let mut free = trainer(&TrainOptions { early_stopping: None, ..options.clone() });
    let mut best_loss = 0.0;
    for _ in 0..best {
        let report = free.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        best_loss = report.validation.unwrap().loss;
    }
    assert_eq!(stopped.parameters().unwrap(), free.parameters().unwrap());
    assert_eq!(stopped.evaluate(&validation).unwrap().loss, best_loss);

    // Without restoring, the last epoch's stay.
    let keeping = EarlyStopping { restore_best: false, ..stopping };
    let mut kept = trainer(&TrainOptions { early_stopping: Some(keeping), ..options.clone() });
    let report = kept.train().unwrap();
    assert!(report.stop && !report.restored);
    assert_ne!(kept.parameters().unwrap(), stopped.parameters().unwrap());
    // R² falls as the loss rises.
    let by_score = EarlyStopping { metric: WatchedMetric::Score, ..stopping };
    let mut scored = trainer(&TrainOptions { early_stopping: Some(by_score), ..options.clone() });
    assert_eq!(scored.train().unwrap().best_epoch, Some(best));
    // Nothing to watch.
    let engine = make(Plan::new(&mlp, &options).unwrap());
    let refused = Trainer::new(engine, &train, None).err().unwrap().to_string();
    assert!(refused.contains("early stopping watches them"), "{refused}");
}

#[test]
fn early_stopping_restores_the_best_epoch_on_the_cpu() {
    early_stopping(CpuEngine::<f32>::new, None);
    early_stopping(CpuEngine::<f32>::new, Some(0.8));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn early_stopping_restores_the_best_epoch_on_the_gpu() {
    early_stopping(gpu_engine, Some(0.8));
}

/// A training may end between two epochs before its last.
#[test]
fn the_best_comes_back_wherever_a_training_ends() {
    let mut options = options(Loss::Mse, Optimizer::sgd(0.05));
    // The first epoch is the best, as no later one is so much better.
    options.early_stopping =
        Some(EarlyStopping { min_delta: 1e9, patience: 9, ..EarlyStopping::default() });
    let data = learnable(40, 3, 2, &Loss::Mse, 8);
    let plan = Plan::new(&Mlp::new(3).linear(2), &options).unwrap();
    let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, Some(&data)).unwrap();
    assert!(!trainer.restore_best());
    let mut epoch = || trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    assert!(!epoch().restored);
    let first = trainer.parameters().unwrap();
    assert!(!trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap().restored);
    assert_ne!(trainer.parameters().unwrap(), first);
    assert!(trainer.restore_best());
    assert_eq!(trainer.parameters().unwrap(), first);
    // Behind the last epoch too.
    for _ in 0..2 {
        assert!(trainer.train().unwrap().restored);
        assert_eq!(trainer.parameters().unwrap(), first);
    }
}
