//! A device that goes away: a typed error from every call, and the same bits on another one.
#![cfg_attr(no_gpu, allow(dead_code, unused_imports, reason = "every test needs a GPU"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;
use std::time::Duration;

use common::{engine_on, learnable};
use wgrad::data::Dataset;
use wgrad::{
    Activation, AdapterChoice, CpuEngine, Engine, Error, Gpu, GpuEngine, Keep, Loss, Mlp,
    ModelFile, Optimizer, Plan, Result, TrainOptions, Trainer, wgpu,
};

fn plan() -> Plan {
    let mlp = Mlp::with_hidden(3, &[16], Activation::Tanh, 2);
    let options = TrainOptions {
        batch_size: 8,
        epochs: 4,
        ema: Some(0.9),
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(0.01))
    };
    Plan::new(&mlp, &options).unwrap()
}

fn rows() -> Dataset {
    learnable(64, 3, 2, &Loss::Mse, 5)
}

/// A device of its own for each engine, to be destroyed.
fn trainer() -> (Gpu, Trainer<GpuEngine>) {
    let gpu = Gpu::open(AdapterChoice::Any).unwrap();
    let engine = engine_on(&gpu.device, &gpu.queue, plan());
    (gpu, Trainer::new(engine, &rows(), Some(&rows())).unwrap())
}

fn assert_lost<T>(call: &str, result: Result<T>) {
    match result {
        Ok(_) => panic!("{call} succeeds on a lost device"),
        Err(error) => assert!(matches!(error, Error::Lost { .. }), "{call}: {error:?}"),
    }
}

/// An encoder as a host app makes it, also if it hasn't noticed that the device is gone.
fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn every_call_says_that_the_device_is_lost() {
    let go = |_: &wgrad::Progress<'_>| ControlFlow::Continue(());
    // Each on a device of its own, so that it is the first to notice.
    type Call = fn(&mut Trainer<GpuEngine>, &Gpu) -> Result<()>;
    let calls: [(&str, Call); 14] = [
        ("train_epoch", |trainer, _| trainer.train_epoch(|_| ControlFlow::Continue(())).map(drop)),
        ("train_steps", |trainer, _| {
            trainer.train_steps(1, |_| ControlFlow::Continue(())).map(drop)
        }),
        ("evaluate", |trainer, _| trainer.evaluate(&rows()).map(drop)),
        ("predict", |trainer, _| trainer.predict(&[0.0; 12]).map(drop)),
        ("parameters", |trainer, _| trainer.parameters().map(drop)),
        ("checkpoint", |trainer, _| trainer.checkpoint().map(drop)),
        ("gradients", |trainer, _| trainer.engine_mut().gradients().map(drop)),
        ("encode_steps", |trainer, gpu| trainer.encode_steps(&mut encoder(gpu), 5).map(drop)),
        ("encode_steps_within", |trainer, gpu| {
            let budget = Duration::from_millis(4);
            trainer.encode_steps_within(&mut encoder(gpu), budget).map(drop)
        }),
        ("measure_steps", |trainer, _| trainer.measure_steps(2).map(drop)),
        ("set_parameters", |trainer, _| {
            let initial = trainer.engine().plan().initial_parameters();
            trainer.engine_mut().set_parameters(&initial)
        }),
        ("reset", |trainer, _| trainer.reset(1)),
        ("load", |trainer, _| {
            let plan = trainer.engine().plan();
            let file = ModelFile::new(plan, plan.initial_parameters(), None)?;
            trainer.load(&file)
        }),
        ("resume", |trainer, _| {
            let cpu = CpuEngine::<f32>::new(plan());
            let checkpoint = Trainer::new(cpu, &rows(), Some(&rows()))?.checkpoint()?;
            trainer.resume(&checkpoint)
        }),
    ];
    for (name, call) in calls {
        let (gpu, mut trainer) = trainer();
        trainer.train_steps(3, go).unwrap();
        gpu.device.destroy();
        // What can't fail doesn't panic either.
        trainer.engine_mut().keep(Keep::LastGood);
        trainer.engine_mut().restore(Keep::LastGood);
        assert_lost(name, call(&mut trainer, &gpu));
        assert_lost(name, call(&mut trainer, &gpu));
        assert_lost(
            "new",
            GpuEngine::new(&gpu.device, &gpu.queue, plan()).and_then(|mut engine| {
                // Where nothing is checked, it shows with the first use.
                engine.predict(&[0.0; 3])
            }),
        );
    }
}

/// In the middle of an epoch, while steps are under way.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_training_goes_on_from_its_checkpoint_with_the_same_bits() {
    let go = |_: &wgrad::Progress<'_>| ControlFlow::Continue(());
    let (_, mut whole) = trainer();
    whole.train().unwrap();
    let want: Vec<u32> = whole.parameters().unwrap().iter().map(|w| w.to_bits()).collect();

    let (mut gpu, mut broken) = trainer();
    let mut checkpoint = broken.checkpoint().unwrap();
    let mut lost = 0;
    for at in [1, 7, 8, 9, 15, 30] {
        while broken.steps() + 1 < at {
            broken.train_steps(at - 1 - broken.steps(), go).unwrap();
        }
        if broken.steps() > checkpoint.steps() {
            checkpoint = broken.checkpoint().unwrap();
        }
        let device = gpu.device.clone();
        let result = broken.train_epoch(|_| {
            device.destroy();
            ControlFlow::Continue(())
        });
        // Its steps may have been done by then.
        assert_lost("train_epoch", result.and_then(|_| broken.parameters()));
        lost += 1;
        (gpu, broken) = trainer();
        broken.resume(&checkpoint).unwrap();
    }
    while broken.epochs() < 4 {
        broken.train_epoch(go).unwrap();
    }
    let bits: Vec<u32> = broken.parameters().unwrap().iter().map(|w| w.to_bits()).collect();
    assert_eq!((lost, bits), (6, want));
}
