//! A net learns a signed distance function while a fragment shader marches rays through it: each step
//! along a ray asks the net how far the surface is.
//!
//!     cargo run --release --example neural_sdf
//!     cargo run --release --example neural_sdf -- --headless sdf.png --steps 500

#[path = "common/canvas.rs"]
mod canvas;

use canvas::{Format, Painter, Result, Scene};
use glam::Vec3;
use glam::camera::rh::{proj::directx::perspective, view::look_at_mat4};
use wgrad::{
    Activation, Encoding, Generator, GpuEngine, Loss, Mlp, Optimizer, Plan, Schedule, TrainOptions,
    Trainer, WgslOptions, wgpu,
};

/// A ring and a ball, blended, and a random point with its distance.
const SAMPLE: &str = "
    fn distance_to(p: vec3<f32>) -> f32 {
        let ring = length(vec2<f32>(length(p.xz) - 0.6, p.y)) - 0.2;
        let ball = length(p - vec3<f32>(0.0, 0.25, 0.0)) - 0.35;
        let blend = clamp(0.5 + 0.5 * (ball - ring) / 0.15, 0.0, 1.0);
        return mix(ball, ring, blend) - 0.15 * blend * (1.0 - blend);
    }
    fn sample(i: u32, seed: u32) -> Sample {
        let p = 2.0 * wgrad_random(i, seed).xyz - 1.0;
        return Sample(array(p.x, p.y, p.z), array(distance_to(p)));
    }";

const DRAW: &str = "
    struct Camera { to_world: mat4x4<f32>, eye: vec4<f32> }
    @group(0) @binding(1) var<uniform> camera: Camera;

    fn surface(p: vec3<f32>) -> f32 { return learned(array(p.x, p.y, p.z))[0]; }

    @fragment fn colour(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
        let screen = vec2<f32>(at.x / 160.0 - 1.0, 1.0 - at.y / 120.0);
        let far = camera.to_world * vec4<f32>(screen, 1.0, 1.0);
        let ray = normalize(far.xyz / far.w - camera.eye.xyz);
        let sky = mix(vec3<f32>(0.9, 0.93, 0.97), vec3<f32>(0.55, 0.66, 0.8), 0.5 + 0.5 * screen.y);
        // The net knows the cube from -1 to 1: rays begin where they enter it.
        let near = (-sign(ray) - camera.eye.xyz) / ray;
        let back = (sign(ray) - camera.eye.xyz) / ray;
        var t = max(max(near.x, near.y), max(near.z, 0.0));
        let end = min(back.x, min(back.y, back.z));
        for (var step = 0; step < 48 && t < end; step++) {
            let p = camera.eye.xyz + t * ray;
            let d = surface(p);
            if d < 0.003 {
                let e = vec2<f32>(0.04, 0.0);
                let ahead = vec3<f32>(surface(p + e.xyy), surface(p + e.yxy), surface(p + e.yyx));
                let normal = normalize(ahead - d);
                let light = 0.25 + 0.75 * max(dot(normal, normalize(vec3<f32>(0.5, 0.8, 0.3))), 0.0);
                let rim = 0.25 * pow(1.0 + dot(normal, ray), 3.0);
                return vec4<f32>(light * vec3<f32>(0.95, 0.55, 0.3) + rim, 1.0);
            }
            t += 0.9 * d;
        }
        return vec4<f32>(sky, 1.0);
    }";

struct NeuralSdf {
    trainer: Trainer<GpuEngine>,
    painter: Painter,
    queue: wgpu::Queue,
    camera: wgpu::Buffer,
    frame: u16,
}

impl Scene for NeuralSdf {
    const TITLE: &'static str = "neural distance";
    const SIZE: [u32; 2] = [320, 240];

    fn new(device: &wgpu::Device, queue: &wgpu::Queue, format: Format) -> Result<Self> {
        let hidden = |mlp: Mlp| mlp.linear(64).activation(Activation::Relu);
        let mlp = hidden(hidden(Mlp::new(3).encoding(Encoding::frequency(2)))).linear(1);
        let options = TrainOptions {
            batch_size: 2048,
            schedule: Schedule::Cosine { floor: 0.02 },
            ..TrainOptions::new(Loss::Mae, Optimizer::adam(1e-2))
        };
        let plan = Plan::new(&mlp, &options)?;
        let learned = plan.to_wgsl(&WgslOptions::default().function("learned"))?;
        let mut engine = GpuEngine::new(device, queue, plan)?;
        let parameters = engine.parameter_buffer().clone();
        let camera = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("camera"),
            size: 80,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let wgsl = [learned.as_str(), DRAW].concat();
        let painter = Painter::new(device, format, &wgsl, &[&parameters, &camera]);
        let data = engine.generate(&Generator::new(SAMPLE, 50 * 2048))?;
        let (trainer, queue) = (Trainer::on_device(engine, data)?, queue.clone());
        Ok(Self { trainer, painter, queue, camera, frame: 0 })
    }

    fn trainer(&mut self) -> &mut Trainer<GpuEngine> {
        &mut self.trainer
    }

    fn draw(&mut self, encoder: &mut wgpu::CommandEncoder, view: &wgpu::TextureView) {
        let angle = 0.6 + 0.01 * f32::from(self.frame);
        self.frame = self.frame.wrapping_add(1);
        let eye = Vec3::new(2.2 * angle.sin(), 1.5, 2.2 * angle.cos());
        let look = look_at_mat4(eye, Vec3::new(0.0, 0.05, 0.0), Vec3::Y);
        let to_world = (perspective(0.75, 4.0 / 3.0, 0.1, 10.0) * look).inverse();
        let uniform = [&to_world.to_cols_array()[..], &eye.extend(0.0).to_array()].concat();
        self.queue.write_buffer(&self.camera, 0, bytemuck::cast_slice(&uniform));
        self.painter.paint(encoder, view);
    }
}

fn main() -> Result<()> {
    canvas::run::<NeuralSdf>()
}
