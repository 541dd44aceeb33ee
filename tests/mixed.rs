//! Trainings whose numbers are stored in f16.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;

use common::{distance, gpu, learnable, run, widen};
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, Checkpoint, CpuEngine, Engine, EpochReport, Error, Fusion, GpuEngine, GpuOptions,
    Loss, Mlp, Module, OnDivergence, Optimizer, Plan, Precision, TrainOptions, Trainer, wgpu,
};

fn mixed(options: TrainOptions) -> TrainOptions {
    TrainOptions { precision: Precision::Mixed, ..options }
}

fn engine(plan: Plan) -> GpuEngine {
    GpuEngine::new(&gpu().device, &gpu().queue, plan).unwrap()
}

fn go_on(_: &wgrad::Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// f16 rounds 2¹³ times as coarsely as f32, and fewer numbers: the trainings part at most as many times as
/// far from one in f64 as the CPU's in f32 does, four times for luck.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_training_is_that_in_f32_but_for_rounding() {
    let norm = Mlp::new(5).linear(20).batch_norm().activation(Activation::Silu).dropout(0.2);
    for (mlp, loss) in [
        (Mlp::with_hidden(5, &[24, 16], Activation::Tanh, 3), Loss::Mse),
        (norm.linear(12).layer_norm().activation(Activation::Gelu).linear(3), Loss::CROSS_ENTROPY),
    ] {
        let data = learnable(96, 5, 3, &loss, 4);
        let options = TrainOptions {
            batch_size: 24,
            micro_batch: Some(16),
            epochs: 3,
            ema: Some(0.9),
            ..TrainOptions::new(loss, Optimizer::momentum(0.05, 0.9, false))
        };
        let plan = |options: &TrainOptions| Plan::new(&mlp, options).unwrap();
        let narrow = |engine: &mut CpuEngine<f32>| widen(&engine.parameters().unwrap());
        let exact = |engine: &mut CpuEngine<f64>| engine.parameters_exact().to_vec();
        let rounded = run(CpuEngine::<f32>::new(plan(&options)), &data, narrow);
        let exact = run(CpuEngine::<f64>::new(plan(&options)), &data, exact);
        // Tensors lie elsewhere in this plan's arena.
        let (of_mixed, of_f32) = (plan(&mixed(options.clone())), plan(&options));
        let places: Vec<_> = of_mixed
            .tensors()
            .map(|t| t.range())
            .zip(of_f32.tensors().map(|t| t.range()))
            .collect();
        let device = run(engine(of_mixed.clone()), &data, |engine| {
            let arena = widen(&engine.parameters().unwrap());
            let mut parameters = vec![0.0; of_f32.arena_len()];
            for (from, to) in &places {
                parameters[to.clone()].copy_from_slice(&arena[from.clone()]);
            }
            parameters
        });
        for (what, device, rounded, exact) in [
            ("losses", &device.losses, &rounded.losses, &exact.losses),
            ("parameters", &device.parameters, &rounded.parameters, &exact.parameters),
        ] {
            let (error, bound) = (distance(device, exact), 4.0 * 8192.0 * distance(rounded, exact));
            println!("{mlp}: {what} {error:e}, bound {bound:e}");
            assert!(error <= bound, "{mlp}: {what} are off by {error:e}, bound {bound:e}");
            // Something was rounded to f16 at all.
            assert!(error > 8.0 * distance(rounded, exact), "{mlp}: {what} are those of f32");
        }
    }
}

/// Rows whose targets are far away: gradients of 2·100/4.
fn far_away(target: f32) -> Dataset {
    let inputs = (0..32).map(|i| 0.1 * (i % 7) as f32 - 0.3).collect();
    Dataset::new(inputs, 2, Targets::Values { values: vec![target; 16], width: 1 }).unwrap()
}

fn options(seed: u64) -> TrainOptions {
    let options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
    mixed(TrainOptions { batch_size: 4, epochs: 4, seed, ..options })
}

fn trainer(options: &TrainOptions, data: &Dataset) -> Trainer<GpuEngine> {
    let mlp = Mlp::with_hidden(2, &[8], Activation::Tanh, 1);
    Trainer::new(engine(Plan::new(&mlp, options).unwrap()), data, None).unwrap()
}

/// dL/dy is 50: scaled by 2¹⁶ it is beyond 65504, and by 2¹⁰ no longer.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_scale_too_large_is_lowered_and_costs_its_steps() {
    let mut trainer = trainer(&options(3), &far_away(100.0));
    let initial = trainer.parameters().unwrap();
    assert!(trainer.train_steps(3, go_on).unwrap().is_none());
    assert_eq!(bits(&trainer.parameters().unwrap()), bits(&initial), "a step was done");
    let report = trainer.train_epoch(go_on).unwrap();
    assert_eq!((report.rescaled, report.skipped, report.step), (4, 0, 4));
    let report = trainer.train_epoch(go_on).unwrap();
    assert_eq!((report.rescaled, report.skipped, report.step), (2, 0, 8));
    assert!(report.train.is_finite() && report.train.rows == 8, "{:?}", report.train);
    assert_ne!(bits(&trainer.parameters().unwrap()), bits(&initial));
    let report = trainer.train_epoch(go_on).unwrap();
    assert_eq!((report.rescaled, report.train.rows), (0, 16));
}

/// Where the way forward overflows, no scale helps: from 2¹⁶ to 1 it takes 16 steps, then the policy says
/// what happens.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn what_no_scale_helps_against_is_a_divergence() {
    let inputs = vec![3e5; 64];
    let targets = Targets::Values { values: vec![1.0; 32], width: 1 };
    let data = Dataset::new(inputs, 2, targets).unwrap();
    for (policy, step) in [(OnDivergence::Stop, 17), (OnDivergence::Skip { most: 3 }, 20)] {
        let options = TrainOptions {
            batch_size: 1,
            on_divergence: policy,
            ..mixed(TrainOptions::new(Loss::Mse, Optimizer::sgd(1e-9)))
        };
        let mlp = Mlp::with_hidden(2, &[8], Activation::Relu, 1);
        let plan = Plan::new(&mlp, &options).unwrap();
        let mut trainer = Trainer::new(engine(plan), &data, None).unwrap();
        let error = trainer.train().unwrap_err();
        let Error::Diverged { step: at, .. } = error else { panic!("{error}") };
        assert_eq!(at, step, "{policy:?}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_training_that_goes_on_from_a_file_has_the_same_bits() {
    let finish = |trainer: &mut Trainer<GpuEngine>| -> (Vec<u32>, Vec<EpochReport>) {
        let mut reports = Vec::new();
        while trainer.epochs() < 4 {
            reports.push(EpochReport { seconds: 0.0, ..trainer.train_epoch(go_on).unwrap() });
        }
        (bits(&trainer.parameters().unwrap()), reports)
    };
    let (options, data) = (options(5), far_away(100.0));
    let whole = finish(&mut trainer(&options, &data));
    assert_eq!(whole, finish(&mut trainer(&options, &data)), "a second run has other bits");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    // In the middle of an epoch, while the scale is on its way down, and behind it.
    for stop in [3, 5, 10] {
        let mut first = trainer(&options, &data);
        let mut reports = Vec::new();
        while first.steps() < stop {
            let report = first.train_steps(1, go_on).unwrap();
            reports.extend(report.map(|report| EpochReport { seconds: 0.0, ..report }));
        }
        first.checkpoint().unwrap().save(&path).unwrap();
        drop(first);
        let mut second = trainer(&options, &data);
        second.resume(&Checkpoint::load(&path).unwrap()).unwrap();
        let (parameters, rest) = finish(&mut second);
        reports.extend(rest);
        assert_eq!((parameters, reports), whole, "stopped at step {stop}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn recorded_steps_have_the_same_bits() {
    let (options, data) = (options(6), far_away(40.0));
    let mut own = trainer(&options, &data);
    while own.steps() < 12 {
        own.train_steps(1, go_on).unwrap();
    }
    let mut recorded = trainer(&options, &data);
    let mut encoder =
        gpu().device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    assert_eq!(recorded.encode_steps(&mut encoder, 12).unwrap(), 12);
    gpu().queue.submit([encoder.finish()]);
    assert_eq!(bits(&recorded.parameters().unwrap()), bits(&own.parameters().unwrap()));
}

/// Rounding the parameters, the gradient's norm and the scale: three dispatches more.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_step_has_three_dispatches_more() {
    let [half, single] = [Precision::Mixed, Precision::F32].map(|precision| {
        let mut trainer = trainer(&TrainOptions { precision, ..options(1) }, &far_away(1.0));
        trainer.train_steps(2, go_on).unwrap();
        trainer.engine().stats().dispatches
    });
    assert_eq!(half, single + 6);
    // Not for each part of a batch.
    let [half, single] = [Precision::Mixed, Precision::F32].map(|precision| {
        let parts = TrainOptions { precision, micro_batch: Some(1), ..options(1) };
        let mut trainer = trainer(&parts, &far_away(1.0));
        trainer.train_steps(2, go_on).unwrap();
        trainer.engine().stats().dispatches
    });
    assert_eq!(half, single + 6);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn what_has_no_f16_says_so() {
    let plan = Plan::new(&Mlp::with_hidden(2, &[8], Activation::Tanh, 1), &options(1)).unwrap();
    let refusal = |error: Error| match error {
        Error::Option { name, value, .. } => (name, value),
        other => panic!("{other}"),
    };
    let module = Module::new(engine(plan.clone())).unwrap_err();
    assert_eq!(refusal(module).0, "precision");
    let mut always = GpuOptions::default();
    always.fusion = Fusion::Always;
    let (device, queue) = (&gpu().device, &gpu().queue);
    let fused = GpuEngine::with_options(device, queue, plan.clone(), &always).unwrap_err();
    let (name, value) = refusal(fused);
    assert!(name == "fusion" && value.contains("mixed"), "{value}");
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let (name, value) = refusal(GpuEngine::new(&device, &queue, plan).unwrap_err());
    assert!(name == "precision" && value.contains("SHADER_F16"), "{value}");
}
