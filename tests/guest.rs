//! wgrad inside a host app: the host owns device, queue, encoders and submissions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

#[path = "guest/app.rs"]
mod app;
mod common;
#[path = "guest/data.rs"]
mod data;
#[path = "guest/ending.rs"]
mod ending;
#[path = "guest/inference.rs"]
mod inference;
#[path = "guest/loading.rs"]
mod loading;
#[path = "guest/module.rs"]
mod module;
#[path = "guest/recording.rs"]
mod recording;
#[path = "guest/reports.rs"]
mod reports;
#[path = "guest/reset.rs"]
mod reset;

use common::engine_on;
use wgrad::{GpuEngine, Mlp, Plan, TrainOptions, wgpu};

/// A device as a host app opens it: wgpu's default limits and no features.
struct Host {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Host {
    fn new() -> Self {
        Self::with_features(wgpu::Features::empty())
    }

    /// With features that the adapter must have.
    fn with_features(required_features: wgpu::Features) -> Self {
        let adapters = wgrad::adapters();
        let adapter = adapters.first().expect("an adapter; no GPU is never a silent pass");
        let descriptor =
            wgpu::DeviceDescriptor { required_features, ..wgpu::DeviceDescriptor::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        Self { device, queue }
    }

    fn engine(&self, mlp: &Mlp, options: &TrainOptions) -> GpuEngine {
        engine_on(&self.device, &self.queue, Plan::new(mlp, options).unwrap())
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn submit(&self, encoder: wgpu::CommandEncoder) {
        self.queue.submit([encoder.finish()]);
    }

    fn wait(&self) {
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    }

    /// A buffer with this content, for anything.
    fn buffer(&self, bytes: &[u8]) -> wgpu::Buffer {
        let buffer = self.empty(bytes.len() as u64);
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }

    fn floats(&self, numbers: &[f32]) -> wgpu::Buffer {
        self.buffer(bytemuck::cast_slice(numbers))
    }

    fn empty(&self, size: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("host"),
            size,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Vec<f32> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("host readback"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.submit(encoder);
        staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
        self.wait();
        bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).unwrap())
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
