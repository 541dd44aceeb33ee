//! Recorded steps and inferences are those of the engine's own submissions.

use std::ops::ControlFlow;
use std::time::Duration;

use wgrad::data::Dataset;
use wgrad::{
    Activation, Clip, Engine as _, Error, GpuEngine, GpuOptions, Loss, Mlp, Optimizer, Plan,
    Precision, TrainOptions, Trainer, wgpu,
};

use super::common::learnable;
use super::{Host, bits};

fn mlp() -> Mlp {
    Mlp::new(3).linear(17).batch_norm().activation(Activation::Relu).dropout(0.25).linear(2)
}

fn options() -> TrainOptions {
    TrainOptions {
        batch_size: 16,
        epochs: 4,
        schedule: wgrad::Schedule::Cosine { floor: 0.1 },
        ema: Some(0.9),
        seed: 5,
        ..TrainOptions::new(Loss::Mse, Optimizer::adamw(1e-2))
    }
}

/// 61 rows in batches of 16: four steps an epoch, the last with 13 rows.
fn rows() -> Dataset {
    learnable(61, 3, 2, &Loss::Mse, 8)
}

fn trainer(host: &Host, options: &TrainOptions) -> Trainer<GpuEngine> {
    Trainer::new(host.engine(&mlp(), options), &rows(), None).unwrap()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn recorded_steps_have_the_bits_of_epochs() {
    let host = Host::new();
    for options in [options(), TrainOptions { micro_batch: Some(7), ..options() }] {
        let mut epochs = trainer(&host, &options);
        for _ in 0..3 {
            epochs.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        }
        // Twelve steps, over the ends of epochs, in several encoders of two submissions.
        let mut recorded = trainer(&host, &options);
        let mut encoders = [host.encoder(), host.encoder()];
        for encoder in &mut encoders {
            assert_eq!(recorded.encode_steps(encoder, 3).unwrap(), 3);
        }
        host.queue.submit(encoders.map(wgpu::CommandEncoder::finish));
        let mut encoder = host.encoder();
        for _ in 0..6 {
            assert_eq!(recorded.encode_steps(&mut encoder, 1).unwrap(), 1);
        }
        host.submit(encoder);
        assert_eq!((recorded.steps(), recorded.epochs()), (12, 3));
        assert_eq!(bits(&recorded.parameters().unwrap()), bits(&epochs.parameters().unwrap()));
        // From where the recording ended, epochs go on.
        let mut encoder = host.encoder();
        recorded.encode_steps(&mut encoder, 2).unwrap();
        host.submit(encoder);
        recorded.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        epochs.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        assert_eq!((recorded.steps(), recorded.epochs()), (16, 4));
        assert_eq!(bits(&recorded.parameters().unwrap()), bits(&epochs.parameters().unwrap()));
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_hundred_steps_go_in_one_submission() {
    let host = Host::new();
    let options = TrainOptions { epochs: 25, ..options() };
    let mut recorded = trainer(&host, &options);
    let mut encoder = host.encoder();
    assert_eq!(recorded.encode_steps(&mut encoder, 100).unwrap(), 100);
    host.submit(encoder);
    host.wait();
    let news = recorded.latest_metrics().unwrap().unwrap();
    assert_eq!((news.step, news.steps), (100, 100));
    let mut epochs = trainer(&host, &options);
    epochs.train().unwrap();
    assert_eq!(bits(&recorded.parameters().unwrap()), bits(&epochs.parameters().unwrap()));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn more_steps_than_there_are_slots_are_left_out() {
    let host = Host::new();
    let mut trainer = trainer(&host, &TrainOptions { epochs: 1000, ..options() });
    let mut encoder = host.encoder();
    assert_eq!(trainer.encode_steps(&mut encoder, 1000).unwrap(), 256);
    assert_eq!(trainer.encode_steps(&mut encoder, 1).unwrap(), 0);
    let (input, output) = (host.empty(12), host.empty(8));
    let error = trainer.encode_inference(&mut encoder, input.slice(..), output.slice(..));
    assert!(matches!(error, Err(Error::Pending { slots: 256 })), "{error:?}");
    host.submit(encoder);
    host.wait();
    let mut encoder = host.encoder();
    assert_eq!(trainer.encode_steps(&mut encoder, 5).unwrap(), 5);
    assert_eq!(trainer.steps(), 261);
    let news = trainer.latest_metrics().unwrap().unwrap();
    assert_eq!((news.step, news.steps), (256, 256));
}

/// An encoder that is never submitted takes its steps along, and gives back what it held.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn dropped_encoders_hold_nothing() {
    let host = Host::new();
    let mut trainer = trainer(&host, &TrainOptions { epochs: 1000, ..options() });
    let before = trainer.parameters().unwrap();
    for _ in 0..10 {
        let mut encoder = host.encoder();
        assert_eq!(trainer.encode_steps(&mut encoder, 200).unwrap(), 200);
        drop(encoder);
    }
    assert_eq!(trainer.latest_metrics().unwrap(), None);
    assert_eq!(trainer.parameters().unwrap(), before);
    let mut encoder = host.encoder();
    assert_eq!(trainer.encode_steps(&mut encoder, 1).unwrap(), 1);
    host.submit(encoder);
    host.wait();
    assert_eq!(trainer.latest_metrics().unwrap().unwrap().step, 2001);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn recorded_inference_is_the_prediction() {
    let host = Host::new();
    let mut trainer = trainer(&host, &options());
    trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    let capacity = trainer.engine().plan().capacity();
    for rows in [1, capacity - 1, capacity, capacity + 1, 2 * capacity + 3] {
        let inputs = learnable(rows, 3, 2, &Loss::Mse, 9).inputs().to_vec();
        let (input, output) = (host.floats(&inputs), host.empty(8 * rows as u64 + 16));
        let mut encoder = host.encoder();
        let into = output.slice(8..8 * rows as u64 + 8);
        trainer.encode_inference(&mut encoder, input.slice(..), into).unwrap();
        host.submit(encoder);
        let got = host.read(&output);
        let (front, rest) = got.split_at(2);
        let (got, behind) = rest.split_at(2 * rows);
        assert_eq!((front, behind), (&[0.0; 2][..], &[0.0; 2][..]));
        assert_eq!(bits(got), bits(&trainer.predict(&inputs).unwrap()), "{rows} rows");
    }
    // A norm of the batch's own statistics sees the rows of its chunk, the shorter last one's too.
    let untracked = wgrad::BatchNorm::default().track_running_stats(false);
    let net = Mlp::new(3).linear(4).layer(wgrad::Layer::BatchNorm(untracked)).linear(2);
    let mut engine = host.engine(&net, &options());
    engine.prepare().unwrap();
    let rows_of_chunks = 2 * engine.plan().capacity() + 3;
    let inputs = learnable(rows_of_chunks, 3, 2, &Loss::Mse, 9).inputs().to_vec();
    let (input, output) = (host.floats(&inputs), host.empty(8 * rows_of_chunks as u64));
    let mut encoder = host.encoder();
    engine.encode_inference(&mut encoder, input.slice(..), output.slice(..)).unwrap();
    host.submit(encoder);
    assert_eq!(bits(&host.read(&output)), bits(&engine.predict(&inputs).unwrap()));
    // In an encoder behind steps, with the parameters that they leave.
    let inputs = rows().inputs().to_vec();
    let (input, output) = (host.floats(&inputs), host.empty(8 * 61));
    let mut encoder = host.encoder();
    trainer.encode_steps(&mut encoder, 3).unwrap();
    trainer.encode_inference(&mut encoder, input.slice(..), output.slice(..)).unwrap();
    host.submit(encoder);
    assert_eq!(bits(&host.read(&output)), bits(&trainer.predict(&inputs).unwrap()));
}

/// What submits by itself makes room beside a recording that isn't submitted, or is refused whole.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn own_submissions_stay_clear_of_recordings() {
    let host = Host::new();
    let long = TrainOptions { epochs: 1000, ..options() };
    let (mut trainer, mut alone) = (trainer(&host, &long), trainer(&host, &long));
    let mut waiting = host.encoder();
    assert_eq!(trainer.encode_steps(&mut waiting, 3).unwrap(), 3);
    // It isn't known yet whether these steps will be.
    assert!(matches!(trainer.checkpoint(), Err(Error::Pending { slots: 3 })));
    let checkpoint = alone.checkpoint().unwrap();
    assert!(matches!(trainer.resume(&checkpoint), Err(Error::Pending { slots: 3 })));
    // Many times around the ring.
    let inputs = rows().inputs().to_vec();
    let want = alone.predict(&inputs).unwrap();
    for _ in 0..300 {
        assert_eq!(trainer.predict(&inputs).unwrap(), want);
    }
    host.submit(waiting);
    let mut encoder = host.encoder();
    alone.encode_steps(&mut encoder, 3).unwrap();
    host.submit(encoder);
    assert_eq!(bits(&trainer.parameters().unwrap()), bits(&alone.parameters().unwrap()));

    let mut full = host.encoder();
    assert_eq!(trainer.encode_steps(&mut full, 300).unwrap(), 256);
    for _ in 0..6 {
        let refused = trainer.evaluate(&rows()).unwrap_err();
        assert!(matches!(refused, Error::Pending { slots: 256 }), "{refused}");
    }
    drop(full);
    assert_eq!(trainer.evaluate(&rows()).unwrap().rows, 61);
}

/// A loss that isn't finite leads back to the last epoch that ended, guest steps or not.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn divergence_leads_back_to_the_last_epoch_that_ended() {
    let host = Host::new();
    let mut trainer = trainer(&host, &TrainOptions { epochs: 1000, ..options() });
    trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    let good = trainer.parameters().unwrap();
    let mut encoder = host.encoder();
    trainer.encode_steps(&mut encoder, 9).unwrap();
    host.submit(encoder);
    assert_eq!((trainer.steps(), trainer.epochs()), (13, 3));
    let parameters = trainer.engine().parameter_buffer();
    host.queue.write_buffer(parameters, 0, bytemuck::bytes_of(&f32::NAN));
    let error = trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::Diverged { step: 14, epoch: 4, .. }), "{error}");
    assert_eq!((trainer.steps(), trainer.epochs()), (4, 1));
    assert_eq!(bits(&trainer.parameters().unwrap()), bits(&good));
    trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!((trainer.steps(), trainer.epochs()), (8, 2));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn an_engine_that_only_predicts_has_to_be_prepared() {
    let host = Host::new();
    let mut engine = host.engine(&mlp(), &options());
    let (input, output) = (host.empty(12), host.empty(8));
    let mut encoder = host.encoder();
    let early = engine.encode_inference(&mut encoder, input.slice(..), output.slice(..));
    let early = early.unwrap_err().to_string();
    assert_eq!(early, "encode_inference needs prepare before it");
    engine.prepare().unwrap();
    engine.encode_inference(&mut encoder, input.slice(..), output.slice(..)).unwrap();
    host.submit(encoder);
    assert_eq!(host.read(&output), engine.predict(&[0.0; 3]).unwrap());
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn slices_that_do_not_fit_are_refused() {
    let host = Host::new();
    let mut engine = host.engine(&mlp(), &options());
    let (input, output) = (host.empty(24), host.empty(16));
    let mut encoder = host.encoder();
    let mut refused = |input: wgpu::BufferSlice<'_>, output: wgpu::BufferSlice<'_>| {
        engine.encode_inference(&mut encoder, input, output).unwrap_err().to_string()
    };
    let error = refused(input.slice(..20), output.slice(..));
    assert!(error.contains("rows of 3 f32 (12 bytes)") && error.contains("20 bytes"), "{error}");
    let error = refused(input.slice(..), output.slice(..8));
    assert!(error.contains("expected 2 rows"), "{error}");
    let staging = host.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 24,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let error = refused(staging.slice(..), output.slice(..));
    assert!(error.contains("COPY_SRC"), "{error}");
}

/// By the device's own clock where it has one, else by a measurement.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_budget_chooses_the_steps() {
    let adapters = wgrad::adapters();
    let timestamps = adapters[0].features() & wgpu::Features::TIMESTAMP_QUERY;
    for features in [wgpu::Features::empty(), timestamps] {
        let host = Host::with_features(features);
        let mut trainer = trainer(&host, &TrainOptions { epochs: 1000, ..options() });
        let budget = Duration::from_millis(5);
        // In the first the driver may still compile, so it isn't what the others go by.
        for _ in 0..2 {
            assert_eq!(trainer.step_time(), None);
            let mut encoder = host.encoder();
            assert_eq!(trainer.encode_steps_within(&mut encoder, budget).unwrap(), 1);
            host.submit(encoder);
            host.wait();
            assert_eq!(trainer.latest_metrics().unwrap().unwrap().steps, 1);
        }
        if features.is_empty() {
            assert_eq!(trainer.step_time(), None);
            let steps = trainer.steps();
            let measured = trainer.measure_steps(4).unwrap();
            assert_eq!(trainer.steps(), steps + 4);
            assert!(trainer.step_time().unwrap().abs_diff(measured) < Duration::from_nanos(10));
        }
        let step = trainer.step_time().expect("measured");
        assert!(step > Duration::ZERO && step < Duration::from_secs(10), "{step:?}");
        // Ten and a half steps' time pays for ten; a third of a step's for every third call.
        let mut encoder = host.encoder();
        assert_eq!(trainer.encode_steps_within(&mut encoder, step.mul_f64(10.5)).unwrap(), 10);
        let third = step.mul_f64(0.334);
        let mut counts = [0; 6];
        for count in &mut counts {
            *count = trainer.encode_steps_within(&mut encoder, third).unwrap();
        }
        assert_eq!(counts, [0, 0, 1, 0, 0, 1]);
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn limits_can_be_asked_for_before_there_is_a_device() {
    let small = Trainer::required_limits(&mlp(), 64).unwrap();
    assert_eq!(small, wgpu::Limits::default());
    // 20 million weights take 80 MB, a batch of 50,000 rows × 20,000 columns 4 GB.
    let wide = Mlp::new(20_000).linear(1_000);
    let limits = Trainer::required_limits(&wide, 50_000).unwrap();
    assert_eq!(limits.max_storage_buffer_binding_size, 4_000_000_000);
    assert!(limits.max_buffer_size >= 4_000_000_000);
    let options =
        TrainOptions { batch_size: 50_000, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)) };
    Plan::new(&wide, &options).unwrap().check_limits(&limits).unwrap();
    // Mixed precision places tensors further apart.
    let odd = Mlp::new(5_000).linear(7_000).linear(10);
    let limits = Trainer::required_limits(&odd, 64).unwrap();
    for precision in [Precision::F32, Precision::Mixed] {
        let options = TrainOptions { precision, batch_size: 64, ..options.clone() };
        Plan::new(&odd, &options).unwrap().check_limits(&limits).unwrap();
    }
    // As many rows as a dimension has workgroups, and more.
    assert_eq!(Trainer::required_limits(&mlp(), 70_000).unwrap(), wgpu::Limits::default());
    assert!(Trainer::optional_features().contains(wgpu::Features::SUBGROUP));
}

/// A batch of more rows than there are is one of all rows, in as many parts as these take.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_full_batch_can_be_budgeted() {
    let host = Host::new();
    let whole =
        TrainOptions { batch_size: usize::MAX, micro_batch: Some(16), epochs: 1000, ..options() };
    let mut trainer = trainer(&host, &whole);
    let measured = trainer.measure_steps(4).unwrap();
    let ratio = trainer.step_time().unwrap().as_secs_f64() / measured.as_secs_f64();
    assert!((ratio - 1.0).abs() < 1e-3, "{ratio}");
    let mut encoder = host.encoder();
    let budget = measured.mul_f64(2.5);
    assert_eq!(trainer.encode_steps_within(&mut encoder, budget).unwrap(), 2);
    host.submit(encoder);
}

/// A device with less than wgpu's defaults: with a compatibility mode's workgroups of 128 invocations, and
/// with the four storage buffers of wgpu's `downlevel_defaults`.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn small_devices_train_what_fits() {
    let adapters = wgrad::adapters();
    let small = wgpu::Limits {
        max_storage_buffers_per_shader_stage: 8,
        max_compute_invocations_per_workgroup: 128,
        max_compute_workgroup_size_x: 128,
        max_compute_workgroup_size_y: 128,
        ..wgpu::Limits::downlevel_defaults()
    };
    let open = |required_limits: wgpu::Limits| {
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapters[0].request_device(&descriptor)).unwrap();
        Host { device, queue }
    };
    let plain = Mlp::with_hidden(3, &[17, 9], Activation::Gelu, 2);
    let options = TrainOptions { clip: Some(Clip::Norm(1.0)), ..options() };
    let trained = |host: &Host| {
        let mut trainer = Trainer::new(host.engine(&plain, &options), &rows(), None).unwrap();
        trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        bits(&trainer.parameters().unwrap())
    };
    let host = open(small.clone());
    assert_eq!(trained(&host), trained(&Host::new()));

    // What doesn't fit is refused with the number.
    let refused = |mlp: &Mlp, host: &Host| {
        let plan = Plan::new(mlp, &options).unwrap();
        GpuEngine::new(&host.device, &host.queue, plan).unwrap_err().to_string()
    };
    let error = refused(&mlp(), &host);
    assert!(error.contains("layer 1, a norm, needs 256") && error.contains("128"), "{error}");
    let host = open(wgpu::Limits::downlevel_defaults());
    let error = refused(&plain, &host);
    assert!(error.contains("max_storage_buffers_per_shader_stage) is 4"), "{error}");
}

/// Kernels are compiled with the host's cache, on a thread of their own.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_host_brings_its_pipeline_cache() {
    let offered = wgrad::adapters()[0].features();
    if !offered.contains(wgpu::Features::PIPELINE_CACHE) {
        // Vulkan has it; elsewhere there is nothing to test.
        assert_ne!(wgrad::adapters()[0].get_info().backend, wgpu::Backend::Vulkan);
        return;
    }
    let host = Host::with_features(wgpu::Features::PIPELINE_CACHE);
    let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: None, fallback: true };
    #[allow(unsafe_code, reason = "wgpu asks callers to vouch for the data; there is none")]
    // SAFETY: no data is given.
    let cache = unsafe { host.device.create_pipeline_cache(&descriptor) };
    let mut gpu_options = GpuOptions::default();
    gpu_options.pipeline_cache = Some(cache.clone());
    let plan = Plan::new(&mlp(), &options()).unwrap();
    let (device, queue) = (host.device.clone(), host.queue.clone());
    let engine = std::thread::spawn(move || {
        let mut engine = GpuEngine::with_options(&device, &queue, plan, &gpu_options)?;
        engine.prepare()?;
        Ok::<_, Error>(engine)
    });
    let engine = engine.join().unwrap().unwrap();
    // lavapipe leaves nothing in it, so there is no more to see than that it is taken.
    assert!(cache.get_data().is_some());
    Trainer::new(engine, &rows(), None)
        .unwrap()
        .train_epoch(|_| ControlFlow::Continue(()))
        .unwrap();
}
