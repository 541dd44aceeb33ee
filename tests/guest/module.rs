//! A net as a stage of a differentiable pipeline.

use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, Encoding, Engine as _, Error, Loss, Mlp, Module, Optimizer, Plan, TrainOptions,
    Trainer,
};

use super::common::{assert_close, learnable, widen};
use super::{Host, bits};

fn module(host: &Host, mlp: &Mlp, options: &TrainOptions) -> Module {
    Module::new(host.engine(mlp, options)).unwrap()
}

/// Gradient arena and dL/dinput of a module for given inputs and dL/doutput.
fn gradients(host: &Host, module: &mut Module, input: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
    let (x, dy) = (host.floats(input), host.floats(dy));
    let (y, dx) = (host.empty(dy.size()), host.empty(x.size()));
    let mut encoder = host.encoder();
    module.encode_forward(&mut encoder, x.slice(..), y.slice(..)).unwrap();
    module.encode_backward(&mut encoder, dy.slice(..), Some(dx.slice(..))).unwrap();
    host.submit(encoder);
    let outputs = host.read(&y);
    let arena = module.engine_mut().gradients().unwrap();
    [outputs, arena, host.read(&dx)]
}

/// The net in f64, layer by layer, as plain as can be: what finite differences are taken of.
fn forward(plan: &Plan, parameters: &[f64], mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    use wgrad::Layer;
    let tensor = |layer: usize, name: &str| {
        let name = format!("{layer}.{name}");
        let tensor = plan.tensors().find(|tensor| tensor.name == name).unwrap();
        &parameters[tensor.range()]
    };
    for (index, layer) in plan.mlp().layers().iter().enumerate() {
        match layer {
            Layer::Linear(_) => {
                let (weight, bias) = (tensor(index, "weight"), tensor(index, "bias"));
                for row in &mut rows {
                    let weights = weight.chunks_exact(row.len());
                    let sum = |w: &[f64]| w.iter().zip(&*row).map(|(w, x)| w * x).sum::<f64>();
                    *row = weights.zip(bias).map(|(w, b)| sum(w) + b).collect();
                }
            }
            Layer::Activation(Activation::Tanh) => {
                rows.iter_mut().flatten().for_each(|x| *x = x.tanh());
            }
            Layer::Activation(Activation::Silu) => {
                rows.iter_mut().flatten().for_each(|x| *x /= 1.0 + (-*x).exp());
            }
            Layer::LayerNorm(norm) => {
                let (weight, bias) = (tensor(index, "weight"), tensor(index, "bias"));
                for row in &mut rows {
                    normalise(row.iter_mut(), norm.eps);
                    let affine = weight.iter().zip(bias);
                    row.iter_mut().zip(affine).for_each(|(x, (w, b))| *x = *x * w + b);
                }
            }
            Layer::BatchNorm(norm) => {
                let (weight, bias) = (tensor(index, "weight"), tensor(index, "bias"));
                for column in 0..weight.len() {
                    normalise(rows.iter_mut().map(|row| &mut row[column]), norm.eps);
                    for row in &mut rows {
                        row[column] = row[column] * weight[column] + bias[column];
                    }
                }
            }
            Layer::Encoding(encoding) => {
                for row in &mut rows {
                    *row = row.iter().flat_map(|&x| encoded(*encoding, x)).collect();
                }
            }
            other => panic!("no formula for {other}"),
        }
    }
    rows
}

/// The values of one input, as the documentation says.
fn encoded(encoding: Encoding, x: f64) -> Vec<f64> {
    use std::f64::consts::PI;
    match encoding {
        Encoding::Frequency { octaves } => (0..octaves)
            .flat_map(|k| [(f64::from(1 << k) * PI * x).sin(), (f64::from(1 << k) * PI * x).cos()])
            .collect(),
        Encoding::OneBlob { bins } => (0..bins)
            .map(|j| (-(f64::from(j) + 0.5 - f64::from(bins) * x).powi(2) / 2.0).exp())
            .collect(),
        Encoding::TriangleWave { octaves } => (0..octaves)
            .map(|k| {
                let t = f64::from(1 << k) * x / 2.0 + f64::from(k) / 4.0;
                4.0 * (t - t.floor() - 0.5).abs() - 1.0
            })
            .collect(),
        other => panic!("no formula for {other}"),
    }
}

fn normalise<'a>(numbers: impl Iterator<Item = &'a mut f64>, eps: f64) {
    let mut numbers: Vec<&mut f64> = numbers.collect();
    let count = numbers.len() as f64;
    let mean = numbers.iter().map(|x| **x).sum::<f64>() / count;
    let variance = numbers.iter().map(|x| (**x - mean).powi(2)).sum::<f64>() / count;
    numbers.iter_mut().for_each(|x| **x = (**x - mean) / (variance + eps).sqrt());
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn gradients_agree_with_finite_differences() {
    let host = Host::new();
    let (tanh, silu) = (Activation::Tanh, Activation::Silu);
    let nets = [
        Mlp::new(3).linear(2),
        Mlp::new(3).linear(5).activation(tanh).linear(4).activation(silu).linear(2),
        // What ends, or begins, with something else than a linear layer.
        Mlp::new(3).linear(5).activation(tanh).linear(2).activation(tanh),
        Mlp::new(3).layer_norm().linear(5).batch_norm().activation(silu).linear(2),
        Mlp::new(3).batch_norm().linear(2),
        Mlp::new(3).activation(tanh).linear(2),
        Mlp::new(3).encoding(Encoding::frequency(2)).linear(4).activation(tanh).linear(2),
        Mlp::new(3).encoding(Encoding::one_blob(3)).linear(2),
        Mlp::new(3).encoding(Encoding::triangle_wave(2)).layer_norm().linear(2),
    ];
    let rows = 6;
    let inputs = learnable(rows, 3, 1, &Loss::Mse, 4).inputs().to_vec();
    let dy = learnable(rows, 2, 1, &Loss::Mse, 5).inputs().to_vec();
    for mlp in nets {
        let options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1));
        let mut module = module(&host, &mlp, &options);
        let plan = module.engine().plan().clone();
        // Away from where norms begin, with γ = 1 and β = 0.
        let mut parameters = plan.initial_parameters();
        for tensor in plan.tensors().filter(|tensor| tensor.kind.is_trained()) {
            for (i, w) in parameters[tensor.range()].iter_mut().enumerate() {
                *w += 0.1 * ((i % 5) as f32 - 1.5);
            }
        }
        module.engine_mut().set_parameters(&parameters).unwrap();
        let [outputs, arena, dx] = gradients(&host, &mut module, &inputs, &dy);

        let (parameters, x) = (widen(&parameters), widen(&inputs));
        let run = |parameters: &[f64], x: &[f64]| -> Vec<f64> {
            let rows = x.chunks_exact(3).map(<[f64]>::to_vec).collect();
            forward(&plan, parameters, rows).concat()
        };
        // L = Σ dy·y has just these derivatives.
        let loss = |parameters: &[f64], x: &[f64]| -> f64 {
            run(parameters, x).iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
        };
        let slope = |at: usize, numbers: &[f64], loss: &dyn Fn(&[f64]) -> f64| {
            let h = 1e-5;
            let moved = |by: f64| {
                let mut moved = numbers.to_vec();
                moved[at] += by;
                loss(&moved)
            };
            (moved(h) - moved(-h)) / (2.0 * h)
        };
        // f32 rounds some dozen sums of a few numbers of size 1; norms divide by what may be 0.1.
        let check = |what: &str, got: f32, want: f64| {
            assert!((f64::from(got) - want).abs() <= 2e-5, "{mlp}, {what}: {got} against {want}");
        };
        for (i, (&got, want)) in outputs.iter().zip(run(&parameters, &x)).enumerate() {
            check(&format!("output {i}"), got, want);
        }
        for (i, &got) in dx.iter().enumerate() {
            check(&format!("input {i}"), got, slope(i, &x, &|x| loss(&parameters, x)));
        }
        for tensor in plan.tensors().filter(|tensor| tensor.kind.is_trained()) {
            for i in tensor.range() {
                let want = slope(i, &parameters, &|parameters| loss(parameters, &x));
                check(&format!("{} element {i}", tensor.name), arena[i], want);
            }
        }
    }
}

/// Host code for L = mean of (y − t)²: what dL/dy is.
fn mse_gradient(outputs: &[f32], targets: &[f32]) -> Vec<f32> {
    let scale = 2.0 / outputs.len() as f32;
    outputs.iter().zip(targets).map(|(y, t)| scale * (y - t)).collect()
}

/// Trains a chain of modules by steps on all rows, and returns the last losses' gradients.
fn train_chain(host: &Host, modules: &mut [Module], data: &Dataset, steps: usize) {
    let rows = data.rows() as u64;
    let Targets::Values { values, .. } = data.targets() else { unreachable!() };
    let widths: Vec<u64> = std::iter::once(data.in_features() as u64)
        .chain(modules.iter().map(|m| m.engine().plan().mlp().out_features() as u64))
        .collect();
    let activations: Vec<_> = widths.iter().map(|width| host.empty(4 * rows * width)).collect();
    let gradients: Vec<_> = widths.iter().map(|width| host.empty(4 * rows * width)).collect();
    host.queue.write_buffer(&activations[0], 0, bytemuck::cast_slice(data.inputs()));
    let last = modules.len();
    for _ in 0..steps {
        let mut encoder = host.encoder();
        for (module, ends) in modules.iter_mut().zip(activations.windows(2)) {
            module.encode_forward(&mut encoder, ends[0].slice(..), ends[1].slice(..)).unwrap();
        }
        host.submit(encoder);
        let dy = mse_gradient(&host.read(&activations[last]), values);
        host.queue.write_buffer(&gradients[last], 0, bytemuck::cast_slice(&dy));
        let mut encoder = host.encoder();
        for (index, module) in modules.iter_mut().enumerate().rev() {
            let below = (index > 0).then(|| gradients[index].slice(..));
            module.encode_backward(&mut encoder, gradients[index + 1].slice(..), below).unwrap();
            module.encode_update(&mut encoder).unwrap();
        }
        host.submit(encoder);
    }
}

/// Two nets chained through the host's buffers, the same net in one piece, and as a trainer has it.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_chain_of_two_trains_as_one() {
    let host = Host::new();
    let data = learnable(24, 3, 2, &Loss::Mse, 8);
    let front = || Mlp::new(3).linear(16).batch_norm().activation(Activation::Tanh);
    let back = || Mlp::new(16).linear(8).layer_norm().activation(Activation::Gelu).linear(2);
    let whole = back().layers().iter().fold(front(), |mlp, &layer| mlp.layer(layer));
    let options = TrainOptions {
        batch_size: 24,
        epochs: 10,
        schedule: wgrad::Schedule::Cosine { floor: 0.1 },
        sampling: wgrad::Sampling::Sequential,
        ..TrainOptions::new(Loss::Mse, Optimizer::adamw(0.01))
    };
    let mut chain = [module(&host, &front(), &options), module(&host, &back(), &options)];
    let mut one = [module(&host, &whole, &options)];
    // The chain begins with the parameters of the whole, tensor by tensor.
    let plan = one[0].engine().plan().clone();
    let initial = plan.initial_parameters();
    let offsets = [0, front().layers().len()];
    for (module, offset) in chain.iter_mut().zip(offsets) {
        let its = module.engine().plan().clone();
        let mut arena = its.initial_parameters();
        for tensor in its.tensors() {
            let (layer, name) = tensor.name.split_once('.').unwrap();
            let name = format!("{}.{name}", layer.parse::<usize>().unwrap() + offset);
            let from = plan.tensors().find(|tensor| tensor.name == name).unwrap();
            arena[tensor.range()].copy_from_slice(&initial[from.range()]);
        }
        module.engine_mut().set_parameters(&arena).unwrap();
    }
    train_chain(&host, &mut chain, &data, 10);
    train_chain(&host, &mut one, &data, 10);
    let mut trainer = Trainer::new(host.engine(&whole, &options), &data, None).unwrap();
    trainer.train().unwrap();

    let whole = one[0].engine_mut().parameters().unwrap();
    for (module, offset) in chain.iter_mut().zip(offsets) {
        let arena = module.engine_mut().parameters().unwrap();
        for tensor in module.engine().plan().tensors() {
            let (layer, name) = tensor.name.split_once('.').unwrap();
            let name = format!("{}.{name}", layer.parse::<usize>().unwrap() + offset);
            let place = plan.tensors().find(|tensor| tensor.name == name).unwrap().range();
            assert_eq!(bits(&arena[tensor.range()]), bits(&whole[place]), "{name}");
        }
    }
    // The trainer scales its loss in another order.
    let trained = trainer.parameters().unwrap();
    let moved = whole.iter().zip(&initial).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(moved > 0.05, "moved by {moved:e} only");
    assert_close("trained", &widen(&trained), &widen(&whole), 1e-4 * f64::from(moved));
}

/// The gradients of two halves of a batch add up to those of the whole.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn gradients_add_up_until_the_update() {
    let host = Host::new();
    let mlp = Mlp::with_hidden(3, &[8], Activation::Tanh, 2);
    let options =
        TrainOptions { batch_size: 8, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)) };
    let data = learnable(8, 3, 2, &Loss::Mse, 8);
    let dy = learnable(8, 2, 1, &Loss::Mse, 5).inputs().to_vec();
    let [_, want, whole_dx] =
        gradients(&host, &mut module(&host, &mlp, &options), data.inputs(), &dy);
    let mut halves = module(&host, &mlp, &options);
    let [_, _, first_dx] = gradients(&host, &mut halves, &data.inputs()[..12], &dy[..8]);
    let [_, got, second_dx] = gradients(&host, &mut halves, &data.inputs()[12..], &dy[8..]);
    for (got, want) in got.iter().zip(&want) {
        assert!((got - want).abs() <= 1e-5, "{got} against {want}");
    }
    assert_eq!(bits(&[first_dx, second_dx].concat()), bits(&whole_dx));
    // After an update the sum begins anew.
    let mut encoder = host.encoder();
    halves.encode_update(&mut encoder).unwrap();
    host.submit(encoder);
    let before = halves.engine_mut().parameters().unwrap();
    let initial = halves.engine().plan().initial_parameters();
    for ((w, start), g) in before.iter().zip(&initial).zip(&got) {
        assert!((w - (start - 0.1 * g)).abs() <= 1e-6, "{w}");
    }
    let [_, fresh, _] = gradients(&host, &mut halves, &data.inputs()[..12], &dy[..8]);
    assert!(fresh.iter().zip(&got).any(|(a, b)| (a - b).abs() > 1e-3));
}

/// Each forward pass drops other elements, and its own backward pass the same.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn dropout_is_the_same_forward_and_back() {
    let host = Host::new();
    let mlp = Mlp::new(1).dropout(0.5).linear(1);
    let options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1));
    let mut module = module(&host, &mlp, &options);
    let ones = vec![1.0; 64];
    let weight = module.engine().plan().initial_parameters()[0];
    let mut seen = Vec::new();
    for _ in 0..2 {
        let [y, _, dx] = gradients(&host, &mut module, &ones, &ones);
        let kept: Vec<bool> = dx.iter().map(|&dx| dx != 0.0).collect();
        let bias = y.iter().zip(&kept).find(|(_, kept)| !**kept).unwrap().0;
        for ((y, dx), &kept) in y.iter().zip(&dx).zip(&kept) {
            let factor = if kept { 2.0 } else { 0.0 };
            assert!(
                (y - bias - factor * weight).abs() <= 1e-6 && (dx - factor * weight).abs() <= 1e-6
            );
        }
        seen.push(kept);
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn calls_out_of_order_are_refused() {
    let host = Host::new();
    let options =
        TrainOptions { batch_size: 4, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)) };
    let mut module = module(&host, &Mlp::new(2).batch_norm().linear(1), &options);
    let (x, y) = (host.empty(8 * 5), host.empty(4 * 5));
    let mut encoder = host.encoder();
    let error = module.encode_backward(&mut encoder, y.slice(..), None).unwrap_err();
    assert_eq!(error.to_string(), "encode_backward needs encode_forward before it");
    let error = module.encode_update(&mut encoder).unwrap_err();
    assert!(matches!(error, Error::Sequence { call: "encode_update", .. }));
    let error = module.encode_forward(&mut encoder, x.slice(..), y.slice(..)).unwrap_err();
    assert!(error.to_string().contains("at most 4 rows"), "{error}");
    let error = module.encode_forward(&mut encoder, x.slice(..8), y.slice(..4)).unwrap_err();
    assert!(error.to_string().contains("at least 2 rows"), "{error}");
    module.encode_forward(&mut encoder, x.slice(..16), y.slice(..8)).unwrap();
    let error = module.encode_backward(&mut encoder, y.slice(..4), None).unwrap_err();
    assert!(error.to_string().contains("expected 2 rows"), "{error}");
    module.encode_backward(&mut encoder, y.slice(..8), None).unwrap();
    module.encode_update(&mut encoder).unwrap();
    assert!(module.encode_update(&mut encoder).is_err());
    host.submit(encoder);
}

/// A checkpoint between a forward and its backward pass disturbs neither, taken or refused.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_checkpoint_leaves_the_forward_pass_alone() {
    let host = Host::new();
    let mlp = Mlp::with_hidden(3, &[8], Activation::Tanh, 2);
    let options =
        TrainOptions { batch_size: 8, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)) };
    let (x, dy) = (learnable(8, 3, 2, &Loss::Mse, 8), vec![0.5; 16]);
    let mut module = module(&host, &mlp, &options);
    let [_, want, _] = gradients(&host, &mut module, x.inputs(), &dy);
    module.reset();
    module.engine_mut();
    let (x, y, dy) = (host.floats(x.inputs()), host.empty(4 * 16), host.floats(&dy));
    let mut encoder = host.encoder();
    module.encode_forward(&mut encoder, x.slice(..), y.slice(..)).unwrap();
    assert!(matches!(module.checkpoint(), Err(Error::Pending { .. })));
    host.submit(encoder);
    host.wait();
    module.checkpoint().unwrap();
    let mut encoder = host.encoder();
    module.encode_backward(&mut encoder, dy.slice(..), None).unwrap();
    host.submit(encoder);
    assert_eq!(bits(&module.engine_mut().gradients().unwrap()), bits(&want));
}

/// Dropout, bias correction, running statistics and the average go on too.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_module_goes_on_from_its_checkpoint_with_the_same_bits() {
    let host = Host::new();
    let data = learnable(24, 3, 2, &Loss::Mse, 8);
    let mlp =
        Mlp::new(3).linear(8).batch_norm().activation(Activation::Tanh).dropout(0.3).linear(2);
    let options = TrainOptions {
        batch_size: 24,
        epochs: 10,
        ema: Some(0.9),
        schedule: wgrad::Schedule::Cosine { floor: 0.1 },
        ..TrainOptions::new(Loss::Mse, Optimizer::adamw(0.01))
    };
    let state = |[module]: &mut [Module; 1]| module.engine_mut().state().unwrap();
    let mut whole = [module(&host, &mlp, &options)];
    train_chain(&host, &mut whole, &data, 3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.safetensors");
    whole[0].checkpoint().unwrap().save(&path).unwrap();
    train_chain(&host, &mut whole, &data, 4);

    let checkpoint = wgrad::Checkpoint::load(&path).unwrap();
    assert_eq!((checkpoint.steps(), checkpoint.epochs()), (3, 0));
    let mut parts = [module(&host, &mlp, &options)];
    parts[0].resume(&checkpoint).unwrap();
    assert_eq!(parts[0].steps(), 3);
    train_chain(&host, &mut parts, &data, 4);
    assert_eq!(state(&mut parts), state(&mut whole));

    // What isn't of such a module is refused, and so are sums that would be lost.
    let mut trainer = Trainer::new(host.engine(&mlp, &options), &data, None).unwrap();
    for error in [
        trainer.resume(&checkpoint).unwrap_err(),
        whole[0].resume(&trainer.checkpoint().unwrap()).unwrap_err(),
        module(&host, &mlp, &TrainOptions { seed: 1, ..options }).resume(&checkpoint).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }
    gradients(&host, &mut whole[0], data.inputs(), &[0.0; 48]);
    let error = whole[0].checkpoint().unwrap_err();
    assert!(matches!(error, Error::Sequence { needs: "encode_update", .. }), "{error}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_module_that_restarts_is_a_new_one() {
    let host = Host::new();
    let data = learnable(24, 3, 2, &Loss::Mse, 8);
    let mlp =
        Mlp::new(3).linear(8).batch_norm().activation(Activation::Tanh).dropout(0.3).linear(2);
    let options = |seed| TrainOptions {
        batch_size: 24,
        seed,
        ..TrainOptions::new(Loss::Mse, Optimizer::adamw(0.01))
    };
    let [mut used, mut fresh] = [3, 7].map(|seed| [module(&host, &mlp, &options(seed))]);
    train_chain(&host, &mut used, &data, 3);
    gradients(&host, &mut used[0], data.inputs(), &[0.5; 48]);
    used[0].restart(7).unwrap();
    assert_eq!(used[0].steps(), 0);
    for modules in [&mut used, &mut fresh] {
        train_chain(&host, modules, &data, 3);
    }
    let [used, fresh] = [used, fresh].map(|[mut module]| module.engine_mut().state().unwrap());
    assert!(used == fresh, "another state than a new module's");
}
