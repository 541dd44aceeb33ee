//! Training on what the host has on the device: its buffers, and its own functions.

use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, Engine as _, Generator, GpuEngine, HostRows, Loss, Mlp, Optimizer, RowFormat,
    Sampling, TrainOptions, Trainer, wgpu,
};

use super::common::assert_close;
use super::{Host, bits};

const ROWS: u32 = 50;

/// Small multiples of 1/8, which f16 and Unorm8 with 255 in place of 1 can't tell from f32.
fn eighths(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + i / 7) % 33) as f32 / 8.0 - 2.0).collect()
}

fn options(loss: Loss) -> TrainOptions {
    TrainOptions { batch_size: 16, seed: 2, ..TrainOptions::new(loss, Optimizer::adam(1e-2)) }
}

/// Eleven recorded steps, which go over the ends of epochs.
fn trained(host: &Host, mut trainer: Trainer<GpuEngine>) -> Vec<u32> {
    let mut encoder = host.encoder();
    assert_eq!(trainer.encode_steps(&mut encoder, 11).unwrap(), 11);
    host.submit(encoder);
    bits(&trainer.parameters().unwrap())
}

fn uploaded(host: &Host, mlp: &Mlp, loss: Loss, data: &Dataset) -> Vec<u32> {
    let engine = host.engine(mlp, &options(loss));
    trained(host, Trainer::new(engine, data, None).unwrap())
}

fn bound(
    host: &Host,
    mlp: &Mlp,
    loss: Loss,
    inputs: &HostRows<'_>,
    targets: &HostRows<'_>,
) -> Vec<u32> {
    let mut engine = host.engine(mlp, &options(loss));
    let data = engine.bind(inputs, targets, ROWS).unwrap();
    trained(host, Trainer::on_device(engine, data).unwrap())
}

/// Rows of `columns` numbers, `stride` apart, from number `offset` on; NaN between them.
fn spread(rows: &[f32], columns: usize, offset: usize, stride: usize) -> Vec<f32> {
    let mut spread = vec![f32::NAN; offset];
    for row in rows.chunks_exact(columns) {
        spread.extend(row);
        spread.extend(vec![f32::NAN; stride - columns]);
    }
    spread
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn host_rows_train_as_uploaded_ones_wherever_they_lie() {
    let host = Host::new();
    let (inputs, targets) = (eighths(4 * ROWS as usize), eighths(2 * ROWS as usize));
    // One net gathers its rows in the first layer, the other begins with a norm.
    let nets = [
        Mlp::with_hidden(4, &[16], Activation::Tanh, 2),
        Mlp::new(4).layer_norm().linear(16).activation(Activation::Relu).linear(2),
    ];
    for mlp in nets {
        let values = Targets::Values { values: targets.clone(), width: 2 };
        let data = Dataset::new(inputs.clone(), 4, values).unwrap();
        let want = uploaded(&host, &mlp, Loss::Mse, &data);
        let dense = [host.floats(&inputs), host.floats(&targets)];
        let dense = dense.each_ref().map(HostRows::new);
        // 64 numbers are 256 bytes, where a binding may begin; 3 are not.
        for (offset, stride) in [(64, None), (3, None), (0, Some(7)), (65, Some(9))] {
            let apart = |rows: &[f32], columns: usize| {
                host.floats(&spread(
                    rows,
                    columns,
                    offset,
                    stride.unwrap_or(columns as u32) as usize,
                ))
            };
            let buffers = [apart(&inputs, 4), apart(&targets, 2)];
            let [inputs, targets] = buffers.each_ref().map(|buffer| HostRows {
                offset: 4 * offset as u64,
                stride,
                ..HostRows::new(buffer)
            });
            for (inputs, targets) in
                [(&inputs, &targets), (&inputs, &dense[1]), (&dense[0], &targets)]
            {
                let got = bound(&host, &mlp, Loss::Mse, inputs, targets);
                assert_eq!(got, want, "{mlp}: {inputs:?}, {targets:?}");
            }
        }
        assert_eq!(bound(&host, &mlp, Loss::Mse, &dense[0], &dense[1]), want, "{mlp}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn host_rows_may_be_halves_bytes_and_integers() {
    let host = Host::new();
    let mlp = Mlp::with_hidden(3, &[8], Activation::Tanh, 5);
    let loss = || Loss::CROSS_ENTROPY;
    let labels: Vec<u32> = (0..ROWS).map(|row| row * 7 % 5).collect();
    let classes = Targets::Classes { labels: labels.clone(), classes: 5 };
    let inputs = eighths(3 * ROWS as usize);
    let want =
        uploaded(&host, &mlp, loss(), &Dataset::new(inputs.clone(), 3, classes.clone()).unwrap());

    let halves: Vec<u16> = inputs.iter().map(|&x| half(x)).collect();
    // A number in front, so that rows begin in the middle of a word; and one behind, as an odd count
    // of halves isn't a whole word.
    let halves = [&[0x7E00_u16][..], &halves, &[0x7E00]].concat();
    let halves = host.buffer(bytemuck::cast_slice(&halves));
    let halves = HostRows { offset: 2, format: RowFormat::F16, ..HostRows::new(&halves) };
    let words = host.buffer(bytemuck::cast_slice(&labels));
    let words = HostRows { format: RowFormat::Uint32, ..HostRows::new(&words) };
    let bytes: Vec<u8> = labels.iter().flat_map(|&label| [label as u8, 99, 98]).collect();
    let bytes = host.buffer(&[&bytes[..], &[0; 2]].concat());
    let bytes = HostRows { stride: Some(3), format: RowFormat::Uint8, ..HostRows::new(&bytes) };
    for targets in [words, bytes] {
        assert_eq!(bound(&host, &mlp, loss(), &halves, &targets), want, "{targets:?}");
    }

    // Bytes as fractions: those of 255, to the rounding of a division.
    let bytes: Vec<u8> = (0..3 * ROWS).map(|i| (i * 41 % 256) as u8).collect();
    let fractions = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let want = uploaded(&host, &mlp, loss(), &Dataset::new(fractions, 3, classes).unwrap());
    let buffer = host.buffer(&[&bytes[..], &[0; 2]].concat());
    let inputs = HostRows { format: RowFormat::Unorm8, ..HostRows::new(&buffer) };
    let got = bound(&host, &mlp, loss(), &inputs, &words);
    let numbers = |bits: &[u32]| -> Vec<f64> {
        bits.iter().map(|&bits| f64::from(f32::from_bits(bits))).collect()
    };
    // Inputs differ in their last bits, 6e-8 of at most 1. Adam's first steps are 0.01 in the direction of
    // a gradient of some 0.01: 11 steps of it, each turned by a share of about 1e-5, stay within 1e-5.
    assert_close("bytes as fractions", &numbers(&got), &numbers(&want), 1e-5);
}

/// The bits of a number that f16 holds exactly, and that isn't below its normal ones.
fn half(x: f32) -> u16 {
    if x == 0.0 {
        return 0;
    }
    let bits = x.to_bits();
    let exponent = (bits >> 23 & 0xFF) as i32 - 127 + 15;
    (bits >> 16 & 0x8000) as u16 | (exponent as u16) << 10 | (bits >> 13 & 0x3FF) as u16
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn host_rows_outside_of_their_buffer_are_refused() {
    let host = Host::new();
    let mut engine = host.engine(&Mlp::new(4).linear(1), &options(Loss::Mse));
    let (inputs, targets) = (host.empty(16 * 10), host.empty(4 * 10));
    let targets = HostRows::new(&targets);
    let all = HostRows::new(&inputs);
    let mut refused = |inputs: HostRows<'_>, rows| {
        engine.bind(&inputs, &targets, rows).map(|data| data.row_count()).unwrap_err().to_string()
    };
    let cases = [
        (all, 11, "11 rows of 4 columns: 176 bytes from 0 on, up to"),
        (all, 0, "at least one row"),
        (HostRows { offset: 16, ..all }, 10, "from 16 on"),
        (HostRows { offset: u64::MAX - 3, ..all }, 1, "got a buffer of 160 bytes"),
        (HostRows { offset: 2, ..all }, 1, "whole 4-byte numbers"),
        (HostRows { stride: Some(3), ..all }, 1, "a stride of at least 4 columns, got 3"),
        (HostRows { stride: Some(u32::MAX), ..all }, 2, "got a buffer of 160 bytes"),
        // 2⁶⁴ bytes and 16.
        (HostRows { stride: Some(1 << 31), ..all }, (1 << 31) + 1, "got a buffer of 160 bytes"),
    ];
    for (rows, count, message) in cases {
        let error = refused(rows, count);
        assert!(error.contains(message), "{error}\n  lacks  {message}");
    }
    let vertices = host.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 160,
        usage: wgpu::BufferUsages::VERTEX,
        mapped_at_creation: false,
    });
    assert!(refused(HostRows::new(&vertices), 10).contains("STORAGE"));
    // Ten rows of four bytes, the last of them half outside of a word.
    let bytes = host.empty(42);
    let bytes = HostRows { offset: 1, format: RowFormat::Uint8, ..HostRows::new(&bytes) };
    assert!(refused(bytes, 10).contains("40 bytes from 1 on, up to a multiple of 4"));
}

/// The rows that a function makes, and the same uploaded.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_generator_trains_as_its_rows_do() {
    const WGSL: &str = "
        @group(1) @binding(0) var<storage, read> table: array<f32>;
        // Names of our kernels, which may not clash.
        const shape = 0.125;
        fn weight(i: u32) -> f32 { return step(2.0, f32(i)) * table[i % 7u]; }
        fn sample(i: u32, seed: u32) -> Sample {
            let x = f32(i % 16u) * shape;
            return Sample(array(x, weight(i)), array(0.5 * x - 1.0));
        }";
    let host = Host::new();
    let table = [0.25, -0.5, 1.0, 2.0, -1.5, 0.75, 0.125];
    let buffer = host.floats(&table);
    let layout = host.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &[wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: true },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        }],
    });
    let group = host.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &layout,
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
    });
    let mut inputs = Vec::new();
    let mut values = Vec::new();
    for i in 0..ROWS {
        let x = (i % 16) as f32 * 0.125;
        inputs.extend([x, if i >= 2 { table[i as usize % 7] } else { 0.0 }]);
        values.push(0.5 * x - 1.0);
    }
    let data = Dataset::new(inputs, 2, Targets::Values { values, width: 1 }).unwrap();
    let nets = [
        Mlp::with_hidden(2, &[8], Activation::Tanh, 1),
        Mlp::new(2).layer_norm().linear(8).activation(Activation::Relu).linear(1),
    ];
    for mlp in nets {
        let options = TrainOptions {
            sampling: Sampling::Sequential,
            micro_batch: Some(6),
            ..options(Loss::Mse)
        };
        let uploaded = Trainer::new(host.engine(&mlp, &options), &data, None).unwrap();
        let want = trained(&host, uploaded);
        let mut engine = host.engine(&mlp, &options);
        let generator = Generator { group: Some((&layout, &group)), ..Generator::new(WGSL, ROWS) };
        let data = engine.generate(&generator).unwrap();
        let got = trained(&host, Trainer::on_device(engine, data).unwrap());
        assert_eq!(got, want, "{mlp}");
    }
}

/// The host can't know what classes a batch on the device has.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn class_weights_need_classes_that_the_host_knows() {
    let host = Host::new();
    let weighted = Loss::CrossEntropy { label_smoothing: 0.0, class_weights: vec![1.0, 2.0] };
    let mut engine = host.engine(&Mlp::new(1).linear(2), &options(weighted));
    let (inputs, labels) = (host.empty(40), host.empty(40));
    let data = engine.bind(&HostRows::new(&inputs), &HostRows::new(&labels), 10).unwrap();
    let refused = Trainer::on_device(engine, data).unwrap_err().to_string();
    assert!(refused.contains("class_weights is [1.0, 2.0]"), "{refused}");
}

/// Nor what its rows weigh together.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn weights_of_rows_need_a_host_that_sums_them() {
    let host = Host::new();
    let mut engine = host.engine(&Mlp::new(1).linear(1), &options(Loss::Mse));
    let targets = Targets::Values { values: vec![0.0; 4], width: 1 };
    let data = Dataset::new(vec![0.0; 4], 1, targets).unwrap().with_weights(vec![1.0; 4]).unwrap();
    let data = engine.upload(&data).unwrap();
    let refused = Trainer::on_device(engine, data).unwrap_err().to_string();
    assert!(refused.contains("one with weights of rows"), "{refused}");
}

/// Random numbers are uniform, differ from row to row and step to step, and come again.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_generator_draws_random_numbers() {
    // The net is y = b: after one step of rate 1/2 on the squared error b is the batch's mean.
    const WGSL: &str = "fn sample(i: u32, seed: u32) -> Sample {
        return Sample(array(0.0), array(wgrad_random(i, seed).COLUMN));
    }";
    let host = Host::new();
    let options =
        TrainOptions { batch_size: 4096, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.5)) };
    let mean = |column: &str, steps: u64| {
        let mut engine = host.engine(&Mlp::new(1).linear(1), &options);
        let wgsl = WGSL.replace("COLUMN", column);
        let data = engine.generate(&Generator::new(&wgsl, 4096)).unwrap();
        let mut trainer = Trainer::on_device(engine, data).unwrap();
        let mut encoder = host.encoder();
        trainer.encode_steps(&mut encoder, steps).unwrap();
        host.submit(encoder);
        let bias = trainer.engine().plan().tensors().find(|t| t.name == "0.bias").unwrap().offset;
        trainer.parameters().unwrap()[bias]
    };
    // The mean of 4,096 uniform numbers has a deviation of 0.0045; five of these.
    let means: Vec<f32> =
        [("x", 1), ("x", 2), ("y", 1), ("z", 1), ("w", 1)].map(|(c, n)| mean(c, n)).to_vec();
    for (index, &m) in means.iter().enumerate() {
        assert!((m - 0.5).abs() <= 5.0 * 0.0045, "{means:?}");
        // More than rounding: means of the same numbers would be as near as that.
        assert!(means[..index].iter().all(|before| (before - m).abs() > 1e-5), "{means:?}");
    }
    assert_eq!(mean("x", 1), means[0]);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_faulty_generator_is_an_error_with_its_line() {
    let host = Host::new();
    let mut engine = host.engine(&Mlp::new(2).linear(1), &options(Loss::Mse));
    let mut refused = |wgsl: &str| {
        let error = engine.generate(&Generator::new(wgsl, 5)).map(|data| data.row_count());
        error.unwrap_err().to_string()
    };
    let error =
        refused("// first line\nfn sample(i: u32, seed: u32) -> Sample { return nothing; }");
    assert!(error.contains("nothing") && error.contains(":2:"), "{error}");
    let error = refused("fn other() {}");
    assert!(error.contains("sample"), "{error}");
    // One input too many.
    let error = refused(
        "fn sample(i: u32, seed: u32) -> Sample { return Sample(array(1.0, 2.0, 3.0), array(1.0)); }",
    );
    assert!(error.contains("generator"), "{error}");
    let error = engine.generate(&Generator::new("", 0)).unwrap_err().to_string();
    assert!(error.contains("at least 1"), "{error}");
}
