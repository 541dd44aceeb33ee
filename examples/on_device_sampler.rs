//! Trains on samples that are made on the device, by a function of this program, and draws what was
//! learned: no row of data ever crosses the bus. The net tells inside from outside of a heart.
//!
//!     cargo run --release --example on_device_sampler        # writes heart.png
#![allow(clippy::print_stdout, reason = "a program talks")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 256")]

use wgrad::{
    Activation, Generator, GpuEngine, Loss, Mlp, Optimizer, Plan, Schedule, TrainOptions, Trainer,
    wgpu,
};

/// Pixels along each side of the picture.
const SIDE: u32 = 256;
const STEPS: u64 = 400;

const SAMPLE: &str = "
    // (x² + y² − 1)³ < x²y³
    fn sample(i: u32, seed: u32) -> Sample {
        let p = 3.0 * wgrad_random(i, seed).xy - 1.5;
        let ring = dot(p, p) - 1.0;
        let inside = ring * ring * ring < p.x * p.x * p.y * p.y * p.y;
        return Sample(array(p.x, p.y), array(select(0.0, 1.0, inside)));
    }";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The app's own device: default limits, no features.
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let adapter =
        pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) =
        pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;

    let mlp = Mlp::with_hidden(2, &[32, 32], Activation::Silu, 1);
    let options = TrainOptions {
        batch_size: 1024,
        epochs: STEPS,
        schedule: Schedule::Cosine { floor: 0.0 },
        ..TrainOptions::new(Loss::BCE_WITH_LOGITS, Optimizer::adam(2e-2))
    };
    let mut engine = GpuEngine::new(&device, &queue, Plan::new(&mlp, &options)?)?;
    let data = engine.generate(&Generator::new(SAMPLE, 1024))?;
    let mut trainer = Trainer::on_device(engine, data)?;

    // The app's loop: it owns the encoder, the submission and the polling.
    while trainer.steps() < STEPS {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        trainer.encode_steps(&mut encoder, 10)?;
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        if let Some(news) = trainer.latest_metrics()? {
            let right = news.metrics.score_sum / news.metrics.rows as f64;
            println!("step {:>3}: {:.2} % right", news.step, 100.0 * right);
        }
    }

    // The logit of every pixel, through buffers of the app.
    let at = |pixel: u32| 3.0 * (pixel as f32 + 0.5) / SIDE as f32 - 1.5;
    let points: Vec<f32> = (0..SIDE * SIDE).flat_map(|i| [at(i % SIDE), -at(i / SIDE)]).collect();
    let buffer = |label, size, usage| {
        let label = Some(label);
        device.create_buffer(&wgpu::BufferDescriptor {
            label,
            size,
            usage,
            mapped_at_creation: false,
        })
    };
    use wgpu::BufferUsages as Usage;
    let size = u64::from(4 * SIDE * SIDE);
    let input = buffer("points", 2 * size, Usage::COPY_SRC | Usage::COPY_DST);
    let output = buffer("logits", size, Usage::COPY_DST | Usage::MAP_READ);
    queue.write_buffer(&input, 0, bytemuck::cast_slice(&points));
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    trainer.encode_inference(&mut encoder, input.slice(..), output.slice(..))?;
    queue.submit([encoder.finish()]);
    output.map_async(wgpu::MapMode::Read, .., |_| {});
    device.poll(wgpu::PollType::wait_indefinitely())?;

    let logits: Vec<f32> = bytemuck::pod_collect_to_vec(&output.get_mapped_range(..)?);
    let pixels: Vec<u8> = logits.iter().flat_map(|&logit| colour(logit)).collect();
    let mut png = png::Encoder::new(std::fs::File::create("heart.png")?, SIDE, SIDE);
    png.set_color(png::ColorType::Rgb);
    png.write_header()?.write_image_data(&pixels)?;
    println!("wrote heart.png");
    Ok(())
}

/// Red inside, pale outside, and a line where the net is undecided.
fn colour(logit: f32) -> [u8; 3] {
    let inside = 1.0 / (1.0 + (-logit).exp());
    let line = 1.0 - (-logit * logit).exp();
    [[250.0, 200.0], [243.0, 30.0], [238.0, 60.0]]
        .map(|[outside, red]| (line * (outside + inside * (red - outside))) as u8)
}
