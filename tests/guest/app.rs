//! A whole app around a training: it draws, it submits, and its handlers stay its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use wgrad::{Activation, Loss, Mlp, Optimizer, TrainOptions, Trainer, wgpu};

use super::Host;
use super::common::learnable;

const TRIANGLE: &str = "
@vertex fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}
@fragment fn colour() -> @location(0) vec4<f32> { return vec4<f32>(1.0, 0.5, 0.0, 1.0); }
";

struct Triangle {
    pipeline: wgpu::RenderPipeline,
    view: wgpu::TextureView,
}

impl Triangle {
    fn new(device: &wgpu::Device) -> Self {
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("triangle"),
            source: wgpu::ShaderSource::Wgsl(TRIANGLE.into()),
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("triangle"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("colour"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(format.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("screen"),
            size: wgpu::Extent3d { width: 16, height: 16, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        Self { pipeline, view: texture.create_view(&wgpu::TextureViewDescriptor::default()) }
    }

    fn draw(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("triangle"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &self.view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..wgpu::RenderPassDescriptor::default()
        });
        pass.set_pipeline(&self.pipeline);
        pass.draw(0..3, 0..1);
    }
}

/// Bytes that wgpu's allocator has given out on the device; elsewhere the driver has the allocator.
fn allocated(device: &wgpu::Device) -> Option<u64> {
    let report = device.generate_allocator_report();
    let tells =
        matches!(device.adapter_info().backend, wgpu::Backend::Vulkan | wgpu::Backend::Dx12);
    assert_eq!(report.is_some(), tells, "{:?}", device.adapter_info());
    report.map(|report| report.total_allocated_bytes)
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_thousand_frames_draw_and_train() {
    let host = Host::new();
    let Host { device, .. } = &host;
    let errors = Arc::new(Mutex::new(Vec::<String>::new()));
    let seen = Arc::clone(&errors);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        seen.lock().unwrap().push(error.to_string());
    }));
    let lost = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&lost);
    device.set_device_lost_callback(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
    });

    let triangle = Triangle::new(device);
    let mlp = Mlp::with_hidden(2, &[16], Activation::Tanh, 1);
    let options = TrainOptions {
        batch_size: 16,
        seed: 3,
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(5e-3))
    };
    let data = learnable(100, 2, 1, &Loss::Mse, 1);
    let mut trainer = Trainer::new(host.engine(&mlp, &options), &data, None).unwrap();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    let mut after_ten = None;
    for frame in 1..=1000 {
        let mut encoder = host.encoder();
        triangle.draw(&mut encoder);
        assert_eq!(trainer.encode_steps(&mut encoder, 1).unwrap(), 1, "frame {frame}");
        triangle.draw(&mut encoder);
        host.submit(encoder);
        // As a swapchain does, no more than three frames ahead of the device.
        if frame % 3 == 0 {
            host.wait();
        }
        if let Some(news) = trainer.latest_metrics().unwrap() {
            assert!(news.metrics.is_finite(), "frame {frame}");
            if frame <= 50 { &mut early } else { &mut late }.push(news);
        }
        if frame == 10 || frame == 1000 {
            host.wait();
            // What was freed is given back when the device is polled.
            host.wait();
            let now = allocated(device);
            if frame == 10 {
                after_ten = now;
            }
            assert_eq!(now, after_ten, "bytes allocated after {frame} frames");
        }
    }
    late.extend(trainer.latest_metrics().unwrap());
    // Not one step's metrics were lost, and the loss fell.
    let steps: u64 = early.iter().chain(&late).map(|news| news.steps).sum();
    assert_eq!((steps, trainer.steps(), late.last().unwrap().step), (1000, 1000, 1000));
    assert_eq!(trainer.engine().stats().submissions, 0);
    let (first, last) = (early[0].metrics.loss(), late.last().unwrap().metrics.loss());
    assert!(last < 0.1 * first, "loss {first} at first, {last} at last");

    // A training whose creation fails is told to its caller alone.
    let bad = wgrad::Generator::new("fn sample(", 1);
    assert!(trainer.engine_mut().generate(&bad).is_err());
    assert!(errors.lock().unwrap().is_empty(), "{errors:?}");
    // The handlers are the host's still: an error and the loss of the device reach them.
    drop(device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("too large"),
        size: u64::MAX / 2,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    }));
    assert_eq!(errors.lock().unwrap().len(), 1);
    device.destroy();
    let _ = device.poll(wgpu::PollType::wait_indefinitely());
    assert_eq!(lost.load(Ordering::SeqCst), 1);
    // And wgrad says so instead of panicking.
    let mut encoder = host.encoder();
    let _ = trainer.encode_steps(&mut encoder, 1);
}

/// What is made goes when it is dropped.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn dropping_a_trainer_frees_everything() {
    let host = Host::new();
    let mlp = Mlp::with_hidden(2, &[256], Activation::Tanh, 1);
    let options = TrainOptions::new(Loss::Mse, Optimizer::adam(5e-3));
    let data = learnable(1000, 2, 1, &Loss::Mse, 1);
    let train = || {
        let mut trainer = Trainer::new(host.engine(&mlp, &options), &data, None).unwrap();
        let mut encoder = host.encoder();
        trainer.encode_steps(&mut encoder, 2).unwrap();
        host.submit(encoder);
        host.wait();
        allocated(&host.device)
    };
    let used = train();
    host.wait();
    let before = allocated(&host.device);
    if let (Some(before), Some(used)) = (before, used) {
        assert!(before < used / 4, "{before} of {used} bytes are left");
    }
    for _ in 0..5 {
        train();
    }
    host.wait();
    assert_eq!(allocated(&host.device), before);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn trainers_share_a_device_and_live_on_several() {
    let hosts = [Host::new(), Host::new()];
    let mlp = Mlp::with_hidden(2, &[8], Activation::Tanh, 1);
    let options = TrainOptions::new(Loss::Mse, Optimizer::adam(5e-3));
    let data = learnable(64, 2, 1, &Loss::Mse, 1);
    let mut trainers: Vec<_> = [&hosts[0], &hosts[0], &hosts[1]]
        .into_iter()
        .map(|host| (host, Trainer::new(host.engine(&mlp, &options), &data, None).unwrap()))
        .collect();
    for _ in 0..3 {
        let mut encoders = [hosts[0].encoder(), hosts[1].encoder()];
        for (index, (_, trainer)) in trainers.iter_mut().enumerate() {
            trainer.encode_steps(&mut encoders[index / 2], 2).unwrap();
        }
        for (host, encoder) in hosts.iter().zip(encoders) {
            host.submit(encoder);
        }
    }
    let parameters: Vec<_> =
        trainers.iter_mut().map(|(_, trainer)| trainer.parameters().unwrap()).collect();
    assert_eq!(parameters[0], parameters[1]);
    assert_eq!(parameters[0], parameters[2]);
}

#[test]
fn a_trainer_goes_to_another_thread() {
    fn sends<T: Send + Sync>() {}
    sends::<Trainer<wgrad::GpuEngine>>();
    sends::<wgrad::GpuData>();
    sends::<wgrad::Module>();
}

/// The source of what records never submits, polls or waits.
#[test]
fn the_recording_path_neither_submits_nor_polls() {
    let files = [
        ("engine", include_str!("../../src/engine/gpu.rs")),
        ("arrival", include_str!("../../src/engine/gpu/arrival.rs")),
        ("guest", include_str!("../../src/engine/gpu/guest.rs")),
        ("inference", include_str!("../../src/engine/gpu/inference.rs")),
        ("luggage", include_str!("../../src/engine/gpu/luggage.rs")),
        ("module", include_str!("../../src/engine/gpu/module.rs")),
        ("pacing", include_str!("../../src/engine/gpu/pacing.rs")),
        ("program", include_str!("../../src/engine/gpu/program.rs")),
        ("recordings", include_str!("../../src/engine/gpu/recordings.rs")),
        ("slots", include_str!("../../src/engine/gpu/slots.rs")),
        ("trainer", include_str!("../../src/trainer/guest.rs")),
    ];
    for (name, text) in files {
        for call in [".submit(", "poll(", "block_on(", "map_async(", "finish()"] {
            let line =
                text.lines().find(|line| line.contains(call) && !line.trim().starts_with("//"));
            assert_eq!(line, None, "{name} calls {call}");
        }
    }
}
