//! A net learns an image while it is drawn: left the image, right the net, by a fragment shader that
//! calls it. Both training and drawing are recorded into one encoder.
//!
//!     cargo run --release --example neural_image
//!     cargo run --release --example neural_image -- --headless image.png --steps 500

#[path = "common/canvas.rs"]
mod canvas;

use canvas::{Format, Painter, Result, Scene};
use wgrad::{
    Activation, Encoding, Generator, GpuEngine, Loss, Mlp, Optimizer, Plan, Schedule, TrainOptions,
    Trainer, WgslOptions, wgpu,
};

/// The image, as a function: what the net is shown, and what is drawn on the left.
const IMAGE: &str = "
    fn image(uv: vec2<f32>) -> vec3<f32> {
        let p = 2.0 * uv - 1.0;
        // A sky, a sun in it, and hills in front.
        var colour = mix(vec3<f32>(0.98, 0.72, 0.42), vec3<f32>(0.16, 0.28, 0.56), uv.y);
        let sun = length(p - vec2<f32>(0.35, 0.3));
        colour = mix(colour, vec3<f32>(1.0, 0.95, 0.7), 1.0 - smoothstep(0.22, 0.25, sun));
        for (var i = 0; i < 4; i++) {
            let depth = f32(i);
            let height = 0.1 - 0.25 * depth + 0.16 * sin(3.1 * p.x + 2.3 * depth)
                + 0.05 * sin(9.0 * p.x - 4.0 * depth);
            let hill = mix(vec3<f32>(0.45, 0.42, 0.52), vec3<f32>(0.05, 0.12, 0.1), depth / 3.0);
            colour = mix(colour, hill, 1.0 - smoothstep(height - 0.015, height + 0.015, p.y));
        }
        return colour;
    }";

/// A random place and its colour, made on the device.
const SAMPLE: &str = "
    fn sample(i: u32, seed: u32) -> Sample {
        let uv = wgrad_random(i, seed).xy;
        let colour = image(uv);
        return Sample(array(uv.x, uv.y), array(colour.x, colour.y, colour.z));
    }";

const DRAW: &str = "
    @fragment fn colour(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
        let uv = vec2<f32>(fract(at.x / 256.0), 1.0 - at.y / 256.0);
        if at.x < 256.0 { return vec4<f32>(image(uv), 1.0); }
        let net = learned(array(uv.x, uv.y));
        return vec4<f32>(net[0], net[1], net[2], 1.0);
    }";

struct NeuralImage {
    trainer: Trainer<GpuEngine>,
    painter: Painter,
}

impl Scene for NeuralImage {
    const TITLE: &'static str = "neural image";
    const SIZE: [u32; 2] = [512, 256];

    fn new(device: &wgpu::Device, queue: &wgpu::Queue, format: Format) -> Result<Self> {
        let hidden = |mlp: Mlp| mlp.linear(64).activation(Activation::Relu);
        let mlp = hidden(hidden(Mlp::new(2).encoding(Encoding::frequency(5)))).linear(3);
        let options = TrainOptions {
            batch_size: 2048,
            schedule: Schedule::Cosine { floor: 0.02 },
            ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-2))
        };
        let plan = Plan::new(&mlp, &options)?;
        // The net as a function of WGSL, which reads the parameters as they are at each moment.
        let learned = plan.to_wgsl(&WgslOptions::default().function("learned"))?;
        let mut engine = GpuEngine::new(device, queue, plan)?;
        let parameters = engine.parameter_buffer().clone();
        let wgsl = [learned.as_str(), IMAGE, DRAW].concat();
        let painter = Painter::new(device, format, &wgsl, &[&parameters]);
        // Ten epochs of fifty steps each.
        let samples = [IMAGE, SAMPLE].concat();
        let data = engine.generate(&Generator::new(&samples, 50 * 2048))?;
        Ok(Self { trainer: Trainer::on_device(engine, data)?, painter })
    }

    fn trainer(&mut self) -> &mut Trainer<GpuEngine> {
        &mut self.trainer
    }

    fn draw(&mut self, encoder: &mut wgpu::CommandEncoder, view: &wgpu::TextureView) {
        self.painter.paint(encoder, view);
    }

    fn verdict(pixels: &[u8]) -> String {
        let errors = pixels.chunks_exact(4 * 512).flat_map(|row| {
            let (image, net) = row.split_at(4 * 256);
            image.iter().zip(net).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2))
        });
        // A fourth of the numbers are alpha, the same on both sides.
        let mean = errors.sum::<f64>() / f64::from(256 * 256 * 3);
        format!("PSNR {:.1} dB", 10.0 * (255.0 * 255.0 / mean).log10())
    }
}

fn main() -> Result<()> {
    canvas::run::<NeuralImage>()
}
