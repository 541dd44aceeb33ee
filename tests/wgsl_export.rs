//! Nets as functions in the shaders of a host app.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/host.rs"]
mod host;

use std::ops::ControlFlow;

use common::{distance, largest, learnable, widen};
use host::{Caller, Function, Host};
use wgrad::data::{CsvOptions, Schema, SchemaOptions, read_csv};
use wgrad::{
    Activation, ColumnScaling, CpuEngine, Engine, GpuEngine, Loss, Mlp, ModelFile, Optimizer, Plan,
    TrainOptions, Trainer, WgslOptions,
};

/// Fails unless `got` is as near to the engine in f64 as 16 times the distance of the one in f32, whose
/// roundings are as many and whose built-in functions are more accurate.
fn assert_near(got: &[f32], plan: &Plan, parameters: &[f32], inputs: &[f32]) {
    let mut exact = CpuEngine::<f64>::new(plan.clone());
    exact.set_parameters(parameters).unwrap();
    let exact = widen(&exact.predict(inputs).unwrap());
    let mut cpu = CpuEngine::<f32>::new(plan.clone());
    cpu.set_parameters(parameters).unwrap();
    let rounding = f64::from(f32::EPSILON) * largest(&exact);
    let bound = 16.0 * distance(&widen(&cpu.predict(inputs).unwrap()), &exact) + 4.0 * rounding;
    let off = distance(&widen(got), &exact);
    assert!(off <= bound, "{off:e} off, bound {bound:e}");
    assert!(bound <= 1e-4 * largest(&exact), "a bound of {bound:e} says nothing");
}

/// The app makes its pipeline once and draws between epochs.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_shader_follows_the_training() {
    let host = Host::get();
    let data = learnable(64, 2, 3, &Loss::Mse, 5);
    let mlp =
        Mlp::new(2).linear(16).batch_norm().activation(Activation::Tanh).dropout(0.1).linear(3);
    let options =
        TrainOptions { batch_size: 16, ..TrainOptions::new(Loss::Mse, Optimizer::adam(0.01)) };
    let plan = Plan::new(&mlp, &options).unwrap();
    let wgsl = plan.to_wgsl(&WgslOptions::default().function("surface")).unwrap();
    let function = Function { wgsl: &wgsl, name: "surface", inputs: 2, outputs: 3 };
    let pipeline = host.pipeline(Caller::Fragment, function);

    let engine = GpuEngine::new(&host.device, &host.queue, plan.clone()).unwrap();
    let mut trainer = Trainer::new(engine, &data, None).unwrap();
    let mut before = Vec::new();
    for _ in 0..3 {
        trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        let engine = trainer.engine_mut();
        let drawn = host.run(&pipeline, Some(engine.parameter_buffer()), data.inputs());
        assert_near(&drawn, &plan, &engine.parameters().unwrap(), data.inputs());
        assert_ne!(drawn, before, "the picture stands still");
        before = drawn;
    }
}

/// With the scaling of its table's columns, the function speaks their units.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_model_file_with_a_schema_speaks_the_tables_units() {
    let rows = 40;
    let column = |f: fn(f32) -> f32| (0..rows).map(|i| f(i as f32)).collect::<Vec<_>>();
    let columns =
        [column(|i| 1000.0 + i), column(|i| (i * 0.7).sin()), column(|i| 5.0 * i - 300.0)];
    let mut csv = "a,b,y\n".to_owned();
    for ((a, b), y) in columns[0].iter().zip(&columns[1]).zip(&columns[2]) {
        csv += &format!("{a},{b},{y}\n");
    }
    let table = read_csv(csv.as_bytes(), "table", &CsvOptions::default()).unwrap();
    let all: Vec<u32> = (0..rows).collect();
    let schema = Schema::fit(&table, &all, &SchemaOptions::default()).unwrap();
    let mlp = Mlp::with_hidden(2, &[8], Activation::Silu, 1);
    let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::adam(0.01))).unwrap();
    let engine = CpuEngine::<f32>::new(plan.clone());
    let mut trainer = Trainer::new(engine, &schema.encode(&table, &all).unwrap(), None).unwrap();
    trainer.train().unwrap();
    let engine = trainer.engine_mut();
    let mut want = engine.predict(&schema.encode_inputs(&table).unwrap()).unwrap();
    schema.restore_values(&mut want);

    let parameters = engine.parameters().unwrap();
    let file = ModelFile::new(&plan, parameters, Some(schema.clone())).unwrap();
    let options = WgslOptions::default().scaling(ColumnScaling::of(&schema).unwrap());
    let wgsl = file.to_wgsl(&options).unwrap();
    let function = Function { wgsl: &wgsl, name: "mlp_eval", inputs: 2, outputs: 1 };
    let host = Host::get();
    let pipeline = host.pipeline(Caller::Compute, function);
    let inputs: Vec<f32> = columns[0].iter().zip(&columns[1]).flat_map(|(&a, &b)| [a, b]).collect();
    let got = host.run(&pipeline, None, &inputs);
    // Both round some dozen numbers of up to the target's size, and a's 1000 before it is centred.
    let bound = 64.0 * f64::from(f32::EPSILON) * largest(&widen(&want));
    let off = distance(&widen(&got), &widen(&want));
    assert!(off <= bound, "{off:e} off, bound {bound:e}");
}
