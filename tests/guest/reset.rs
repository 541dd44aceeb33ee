//! A training that begins anew is the training that was never another, to the bit.

use std::ops::ControlFlow;

use wgrad::{
    Activation, CpuEngine, EarlyStopping, Engine, GpuEngine, Keep, Loss, Mlp, Optimizer, Plan,
    TrainOptions, Trainer, schedule::Plateau,
};

use super::common::learnable;
use super::{Host, bits};

const SEED: u64 = 7;

/// With everything that a training remembers.
fn plan(seed: u64) -> Plan {
    let mlp =
        Mlp::new(3).linear(9).batch_norm().activation(Activation::Relu).dropout(0.25).linear(2);
    let options = TrainOptions {
        batch_size: 16,
        epochs: 5,
        ema: Some(0.9),
        plateau: Some(Plateau::default()),
        early_stopping: Some(EarlyStopping { patience: 1, ..EarlyStopping::default() }),
        schedule: wgrad::Schedule::Cosine { floor: 0.1 },
        seed,
        ..TrainOptions::new(Loss::Mse, Optimizer::adamw(1e-2))
    };
    Plan::new(&mlp, &options).unwrap()
}

fn trainer<E: Engine>(make: impl Fn(Plan) -> E, seed: u64) -> Trainer<E> {
    let data = learnable(61, 3, 2, &Loss::Mse, 8);
    Trainer::new(make(plan(seed)), &data, Some(&data)).unwrap()
}

fn epochs<E: Engine>(trainer: &mut Trainer<E>, count: usize) -> Vec<wgrad::EpochReport> {
    let epoch = |_| trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    // But for the wall clock.
    (0..count).map(epoch).map(|report| wgrad::EpochReport { seconds: 0.0, ..report }).collect()
}

/// Resets a training, and compares it with one that has just begun.
fn assert_begins_anew<E: Engine>(trained: &mut Trainer<E>, make: impl Fn(Plan) -> E) {
    let mut fresh = trainer(make, SEED);
    trained.reset(SEED).unwrap();
    assert_eq!((trained.steps(), trained.epochs()), (0, 0));
    assert_eq!(trained.engine().plan().options(), fresh.engine().plan().options());
    let same = |trained: &mut Trainer<E>, fresh: &mut Trainer<E>| {
        trained.engine_mut().state().unwrap() == fresh.engine_mut().state().unwrap()
    };
    assert!(same(trained, &mut fresh), "at the beginning");
    assert_eq!(epochs(trained, 3), epochs(&mut fresh, 3));
    assert_eq!(trained.checkpoint().unwrap().steps(), 12);
    assert!(same(trained, &mut fresh), "after three epochs");
}

#[test]
fn a_reset_begins_anew_on_the_cpu() {
    let mut trained = trainer(CpuEngine::<f32>::new, 3);
    epochs(&mut trained, 4);
    assert_begins_anew(&mut trained, CpuEngine::<f32>::new);
}

/// With NaN in parameters and moments, steps under way, and without a wait.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_reset_begins_anew_on_the_gpu() {
    let host = Host::new();
    let make = |plan: Plan| GpuEngine::new(&host.device, &host.queue, plan).unwrap();
    let mut trained = trainer(make, 3);
    epochs(&mut trained, 2);
    let parameters = trained.engine().parameter_buffer().clone();
    host.queue.write_buffer(&parameters, 0, bytemuck::bytes_of(&f32::NAN));
    let mut encoder = host.encoder();
    assert_eq!(trained.encode_steps(&mut encoder, 6).unwrap(), 6);
    host.submit(encoder);
    trained.engine_mut().keep(Keep::LastGood);
    let waits = trained.engine().stats().waits;
    trained.reset(SEED).unwrap();
    assert_eq!(trained.engine().stats().waits, waits);
    host.wait();
    assert_eq!(trained.latest_metrics().unwrap(), None, "they are of the training before");
    assert_begins_anew(&mut trained, make);
}

/// Recorded steps go on from a reset in the middle of a frame loop.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn frames_go_on_after_a_reset() {
    let host = Host::new();
    let make = |plan: Plan| GpuEngine::new(&host.device, &host.queue, plan).unwrap();
    let (mut trained, mut fresh) = (trainer(make, 3), trainer(make, SEED));
    for (frame, resets) in [false, false, true, false].into_iter().enumerate() {
        let mut encoder = host.encoder();
        if resets {
            trained.reset(SEED).unwrap();
        }
        trained.encode_steps(&mut encoder, 2).unwrap();
        if frame >= 2 {
            fresh.encode_steps(&mut encoder, 2).unwrap();
        }
        host.submit(encoder);
    }
    host.wait();
    let news = trained.latest_metrics().unwrap().unwrap();
    assert_eq!((news.step, news.steps), (4, 4));
    assert_eq!(bits(&trained.parameters().unwrap()), bits(&fresh.parameters().unwrap()));
}
