//! What encodings are for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{gpu, gpu_engine, run};
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, CpuEngine, Encoding, Engine, Loss, Mlp, Module, Optimizer, Plan, TrainOptions, wgpu,
};

/// 13 periods of a sine over [0, 1): a tone that no wave of an encoding has.
fn tone() -> Dataset {
    let x: Vec<f32> = (0..512_u16).map(|i| f32::from(i) / 512.0).collect();
    let values = x.iter().map(|x| (26.0 * std::f32::consts::PI * x).sin()).collect();
    Dataset::new(x, 1, Targets::Values { values, width: 1 }).unwrap()
}

/// Mean squared error at the end of a training on the tone, whose own mean square is ½.
fn error_of(mlp: &Mlp) -> f64 {
    let options = TrainOptions {
        batch_size: 64,
        epochs: 60,
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(3e-3))
    };
    let plan = Plan::new(mlp, &options).unwrap();
    let losses = run(CpuEngine::<f32>::new(plan), &tone(), |_| Vec::new()).losses;
    let last = &losses[losses.len() - 8..];
    last.iter().sum::<f64>() / 8.0
}

#[test]
fn encoded_nets_fit_what_plain_ones_cannot() {
    let behind = |mlp: Mlp| {
        let mlp = mlp.linear(64).activation(Activation::Relu);
        mlp.linear(64).activation(Activation::Relu).linear(1)
    };
    let plain = error_of(&behind(Mlp::new(1)));
    assert!(plain > 0.4, "the plain net comes to {plain}");
    let encodings = [Encoding::frequency(6), Encoding::one_blob(64), Encoding::triangle_wave(8)];
    for encoding in encodings {
        let error = error_of(&behind(Mlp::new(1).encoding(encoding)));
        assert!(error < 0.01, "{encoding} comes to {error}");
    }
}

/// A buffer that a module reads from and writes to, as part of the host's pipeline.
fn buffer(content: &[f32]) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let size = size_of_val(content) as u64;
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    let buffer = gpu().device.create_buffer(&descriptor);
    gpu().queue.write_buffer(&buffer, 0, bytemuck::cast_slice(content));
    buffer
}

/// What a buffer holds, now.
fn read(buffer: &wgpu::Buffer) -> Vec<f32> {
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let size = buffer.size();
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    let staging = gpu().device.create_buffer(&descriptor);
    let mut encoder = gpu().device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
    gpu().queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
    gpu().device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    bytemuck::cast_slice(&staging.get_mapped_range(..).unwrap()).to_vec()
}

/// The gradient of the inputs of a net within a pipeline: Wᵀ·dY, through the encoding's derivative.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_modules_gradient_reaches_its_inputs() {
    const U: f64 = f32::EPSILON as f64 / 2.0;
    let x = [0.11_f32, -0.3, 0.72, 0.04, 1.4, 0.51];
    let dy: Vec<f32> = (0..9_u8).map(|i| f32::from(i % 5) - 2.5).collect();
    for encoding in [Encoding::frequency(4), Encoding::one_blob(6), Encoding::triangle_wave(5)] {
        let values = encoding.values();
        let mlp = Mlp::new(2).encoding(encoding).linear(3);
        let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))).unwrap();
        let weight = plan.tensors().next().unwrap().range();
        let mut engine = gpu_engine(plan);
        let weight = engine.parameters().unwrap()[weight].to_vec();
        let mut module = Module::new(engine).unwrap();

        let [input, output, output_gradient, input_gradient] =
            [&x[..], &[0.0; 9], &dy, &[0.0; 6]].map(buffer);
        let mut encoder = gpu().device.create_command_encoder(&Default::default());
        module.encode_forward(&mut encoder, input.slice(..), output.slice(..)).unwrap();
        gpu().queue.submit([encoder.finish()]);
        let mut encoder = gpu().device.create_command_encoder(&Default::default());
        let into = Some(input_gradient.slice(..));
        module.encode_backward(&mut encoder, output_gradient.slice(..), into).unwrap();
        gpu().queue.submit([encoder.finish()]);
        let got = read(&input_gradient);

        let mut telling = false;
        for (i, &got) in got.iter().enumerate() {
            let (row, column) = (i / 2, i % 2);
            let (mut want, mut bound) = (0.0, 0.0);
            for value in 0..values {
                let slope = encoding.derivative(f64::from(x[i]), u32::try_from(value).unwrap());
                let weights = weight.iter().skip(column * values + value).step_by(2 * values);
                let terms =
                    weights.zip(&dy[3 * row..]).map(|(&w, &dy)| f64::from(w) * f64::from(dy));
                let terms: Vec<f64> = terms.collect();
                let size: f64 = terms.iter().map(|term| term.abs()).sum();
                want += slope * terms.iter().sum::<f64>();
                // Slopes are at most 32, and f32 has them to 16 roundings of that; then come the sums of
                // three products and over the values.
                bound += (16.0 * 32.0 + slope.abs() * 11.0) * U * size;
            }
            let off = (f64::from(got) - want).abs();
            assert!(off <= bound, "{encoding}, input {i}: {got}, not {want}, bound {bound:e}");
            telling |= want.abs() > 1e3 * bound;
        }
        assert!(telling, "{encoding}: the gradients say nothing");
    }
}
