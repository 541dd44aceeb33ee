//! Recorded steps that ran are reported, each once, and no others.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wgrad::{Activation, Error, GpuEngine, Loss, Mlp, Optimizer, TrainOptions, Trainer, wgpu};

use super::Host;
use super::common::learnable;

fn trainer(host: &Host, options: &TrainOptions) -> Trainer<GpuEngine> {
    let mlp = Mlp::with_hidden(3, &[8], Activation::Tanh, 2);
    let data = learnable(64, 3, 2, &Loss::Mse, 8);
    Trainer::new(host.engine(&mlp, options), &data, None).unwrap()
}

fn options() -> TrainOptions {
    TrainOptions {
        batch_size: 16,
        epochs: 1000,
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3))
    }
}

/// Collects a host's errors instead of panicking.
fn errors_of(host: &Host) -> Arc<Mutex<Vec<String>>> {
    let errors = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&errors);
    host.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        seen.lock().unwrap().push(error.to_string());
    }));
    errors
}

/// An encoder that a mistake of the host's makes invalid, one that reads a buffer which the host has
/// destroyed, and one of another device: wgpu maps our staging buffers nevertheless.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn steps_that_never_ran_are_not_reported() {
    let adapters = wgrad::adapters();
    let open = || {
        let device = adapters[0].request_device(&wgpu::DeviceDescriptor::default());
        let (device, queue) = pollster::block_on(device).unwrap();
        Host { device, queue }
    };
    let (host, other) = (open(), open());
    let errors = [errors_of(&host), errors_of(&other)];
    let [from, to] = [host.empty(64), host.empty(64)];
    let mut trainer = trainer(&host, &options());
    let good = |trainer: &mut Trainer<GpuEngine>| {
        let mut encoder = host.encoder();
        assert_eq!(trainer.encode_steps(&mut encoder, 3).unwrap(), 3);
        host.submit(encoder);
        host.wait();
        trainer.latest_metrics().unwrap().unwrap()
    };
    type Record<'a> = &'a dyn Fn(&mut Trainer<GpuEngine>);
    let wrong: [Record<'_>; 3] = [
        &|trainer| {
            let mut encoder = host.encoder();
            assert_eq!(trainer.encode_steps(&mut encoder, 3).unwrap(), 3);
            encoder.copy_buffer_to_buffer(&from, 0, &to, 32, 64);
            host.submit(encoder);
        },
        &|trainer| {
            let mut encoder = host.encoder();
            let gone = host.empty(64);
            encoder.copy_buffer_to_buffer(&gone, 0, &to, 0, 64);
            assert_eq!(trainer.encode_steps(&mut encoder, 3).unwrap(), 3);
            gone.destroy();
            host.submit(encoder);
        },
        &|trainer| {
            let mut encoder = other.encoder();
            assert_eq!(trainer.encode_steps(&mut encoder, 3).unwrap(), 3);
            other.submit(encoder);
            other.wait();
        },
    ];
    // At first the staging buffers are zero, then they hold what an earlier recording left.
    for recorded in [0, 6 * 3] {
        for (index, record) in (0..).zip(wrong) {
            let before = trainer.parameters().unwrap();
            record(&mut trainer);
            host.wait();
            assert_eq!(trainer.latest_metrics().unwrap(), None, "{index}");
            assert_eq!(trainer.parameters().unwrap(), before, "{index}");
            assert_eq!(trainer.steps(), recorded + 6 * index + 3, "recorded steps count");
            let news = good(&mut trainer);
            assert_eq!((news.step, news.steps), (trainer.steps(), 3));
            assert!(news.metrics.loss() > 0.0, "{news:?}");
        }
    }
    let [errors, others] = errors.map(|errors| errors.lock().unwrap().len());
    assert!(errors >= 4 && others >= 2, "{errors} and {others}");
}

/// A host three frames ahead of its device, whose frames have more steps than a recording, or many
/// recordings.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn every_step_that_ran_is_reported() {
    let host = Host::new();
    let parts = TrainOptions { micro_batch: Some(4), ..options() };
    for (options, calls) in [(options(), &[80, 20][..]), (options(), &[1; 7]), (parts, &[21, 1])] {
        let mut trainer = trainer(&host, &options);
        let (mut recorded, mut reported, mut newest) = (0, 0, 0);
        for _ in 0..3 {
            let mut frames = [host.encoder(), host.encoder(), host.encoder()];
            let mut now = 0;
            for encoder in &mut frames {
                for &steps in calls {
                    now += trainer.encode_steps(encoder, steps).unwrap();
                }
            }
            assert!(now < 3 * calls.iter().sum::<u64>(), "{calls:?} fit three times");
            host.queue.submit(frames.map(wgpu::CommandEncoder::finish));
            host.wait();
            let news = trainer.latest_metrics().unwrap().unwrap();
            (recorded, reported, newest) = (recorded + now, reported + news.steps, news.step);
        }
        assert_eq!((reported, newest), (recorded, recorded), "{calls:?} a frame");
        assert_eq!(trainer.steps(), recorded);
    }
}

/// A host that keeps its encoders is told in the end.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn encoders_that_are_never_submitted_are_an_error() {
    let host = Host::new();
    let mut trainer = trainer(&host, &options());
    let mut encoder = host.encoder();
    let mut recorded = 0;
    let start = Instant::now();
    let error = loop {
        match trainer.encode_steps(&mut encoder, 1) {
            Ok(steps) => recorded += steps,
            Err(error) => break error,
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(start.elapsed() >= Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(matches!(error, Error::Pending { slots: 16 }), "{error}");
    assert_eq!(recorded, 16);
    drop(encoder);
    let mut encoder = host.encoder();
    assert_eq!(trainer.encode_steps(&mut encoder, 1).unwrap(), 1);
}
