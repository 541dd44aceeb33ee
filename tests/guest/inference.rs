//! Recorded inference takes many rows in a few passes, with the bits of predictions.

use wgrad::{
    Activation, Encoding, Engine as _, GpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions, wgpu,
};

use super::common::learnable;
use super::{Host, bits};

fn options(batch_size: usize) -> TrainOptions {
    TrainOptions { batch_size, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)) }
}

fn prepared(host: &Host, mlp: &Mlp, batch_size: usize) -> GpuEngine {
    let mut engine = host.engine(mlp, &options(batch_size));
    engine.prepare().unwrap();
    engine
}

/// Records the outputs of so many rows and compares them with the prediction; returns the dispatches.
fn dispatches(host: &Host, engine: &mut GpuEngine, rows: usize) -> u64 {
    let (inputs, outputs) = (engine.plan().mlp().in_features(), engine.plan().mlp().out_features());
    let inputs = learnable(rows, inputs, 1, &Loss::Mse, 9).inputs().to_vec();
    let (input, output) = (host.floats(&inputs), host.empty(4 * (rows * outputs) as u64));
    let before = engine.stats().dispatches;
    let mut encoder = host.encoder();
    engine.encode_inference(&mut encoder, input.slice(..), output.slice(..)).unwrap();
    let recorded = engine.stats().dispatches - before;
    host.submit(encoder);
    let got = host.read(&output);
    assert_eq!(bits(&got), bits(&engine.predict(&inputs).unwrap()), "{rows} rows");
    recorded
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn many_rows_take_few_passes() {
    let host = Host::new();
    let mlp = Mlp::with_hidden(2, &[16, 16], Activation::Relu, 2);
    // Batches smaller and larger than a chunk.
    let mut small = prepared(&host, &mlp, 64);
    assert_eq!(small.plan().capacity(), 256);
    // Three layers each: a dispatch a layer.
    for (rows, passes) in [(1, 1), (16_384, 1), (16_385, 2), (100_000, 7)] {
        assert_eq!(dispatches(&host, &mut small, rows), 3 * passes, "{rows} rows");
    }
    let mut large = prepared(&host, &mlp, 20_000);
    for (rows, passes) in [(20_000, 1), (20_001, 2)] {
        assert_eq!(dispatches(&host, &mut large, rows), 3 * passes, "{rows} rows");
    }
}

/// Chunks of every kind of stage, in any order.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn chunks_have_the_bits_of_predictions() {
    let host = Host::new();
    let untracked = wgrad::BatchNorm::default().track_running_stats(false);
    let nets = [
        Mlp::new(3).linear(9).batch_norm().activation(Activation::Gelu).dropout(0.25).linear(2),
        Mlp::new(3).layer_norm().linear(5).activation(Activation::Silu).layer_norm().linear(2),
        Mlp::new(2)
            .encoding(Encoding::frequency(4))
            .linear(8)
            .activation(Activation::Relu)
            .linear(3),
        Mlp::new(3).activation(Activation::Tanh).linear(2),
        Mlp::new(3).linear(4).layer(wgrad::Layer::BatchNorm(untracked)).linear(2),
    ];
    for mlp in nets {
        let mut engine = prepared(&host, &mlp, 16);
        for rows in [255, 257, 16_383, 20_003] {
            dispatches(&host, &mut engine, rows);
        }
    }
}

/// A wide net's chunk takes no more than its bytes, and a small device's limits hold for it too.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn chunks_keep_to_bytes_and_limits() {
    let adapters = wgrad::adapters();
    let open = |required_limits: wgpu::Limits| {
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapters[0].request_device(&descriptor)).unwrap();
        Host { device, queue }
    };
    let wide = Mlp::with_hidden(100, &[1000], Activation::Relu, 3);
    let options = options(16);
    let bytes = |host: &Host, mlp: &Mlp| {
        let plan = Plan::new(mlp, &options).unwrap();
        GpuEngine::new(&host.device, &host.queue, plan).unwrap().bytes()
    };
    let host = open(wgpu::Limits::default());
    let mut engine = prepared(&host, &wide, 16);
    // 1,105 numbers a row in 4 MiB.
    for (rows, passes) in [(940, 1), (1_880, 2)] {
        assert_eq!(dispatches(&host, &mut engine, rows), 2 * passes, "{rows} rows");
    }
    let few =
        open(wgpu::Limits { max_compute_workgroups_per_dimension: 512, ..wgpu::Limits::default() });
    let narrow = Mlp::with_hidden(2, &[16], Activation::Tanh, 2);
    let mut engine = prepared(&few, &narrow, 16);
    assert_eq!(dispatches(&few, &mut engine, 512), 2 * 2, "batches of 256, as in training");
    assert!(bytes(&few, &narrow) < bytes(&host, &narrow));
}
