//! The engines against PyTorch: outputs, loss, gradients, and ten steps of each optimizer.
//!
//! In f64 the numbers must be PyTorch's to 1e-12. In f32 they may be at most four times as far from
//! the exact ones as PyTorch's own f32 is: the same number of roundings in another order, and on
//! GPUs less exact built-in functions (`Tolerance`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::ops::ControlFlow;

use common::{assert_close, gpu_engine, largest, widen};
use serde::Deserialize;
use wgrad::data::{Dataset, Targets};
use wgrad::{CpuEngine, Engine, Loss, Mlp, Optimizer, Plan, Sampling, TrainOptions, Trainer};

#[derive(Deserialize)]
struct Fixture {
    rows: usize,
    inputs: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    mlp: Mlp,
    loss: Loss,
    optimizer: Option<Optimizer>,
    targets: Vec<f32>,
    parameters: HashMap<String, Vec<f32>>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    outputs: Numbers,
    loss: Numbers,
    gradients: Numbers,
    curve: Option<Numbers>,
    after: Option<Numbers>,
    /// Running means and variances after the steps.
    running: Option<Numbers>,
}

/// What PyTorch computes in f64, and how far its f32 is from that.
#[derive(Deserialize)]
struct Numbers {
    values: Vec<f64>,
    f32_error: f64,
}

/// What an engine came to, tensors joined in the order of the model file.
struct Got {
    outputs: Vec<f64>,
    loss: f64,
    gradients: Vec<f64>,
    curve: Vec<f64>,
    after: Vec<f64>,
    running: Vec<f64>,
}

impl Fixture {
    fn load() -> Self {
        serde_json::from_str(include_str!("fixtures/pytorch.json")).unwrap()
    }

    fn data(&self, case: &Case) -> Dataset {
        let targets = match case.loss {
            Loss::CrossEntropy { .. } => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "small"
                )]
                let labels = case.targets.iter().map(|&t| t as u32).collect();
                Targets::Classes { labels, classes: 3 }
            }
            _ => Targets::Values { values: case.targets.clone(), width: 3 },
        };
        Dataset::new(self.inputs.clone(), 4, targets).unwrap()
    }

    /// Runs a case on an engine that `make` makes; `gradients` and `parameters` read its arenas.
    fn run<E: Engine>(
        &self,
        case: &Case,
        make: impl Fn(Plan) -> E,
        gradients: impl Fn(&mut E) -> Vec<f64>,
        parameters: impl Fn(&mut E) -> Vec<f64>,
    ) -> Got {
        let data = self.data(case);
        let options = |batch_size| TrainOptions {
            batch_size,
            epochs: 5,
            sampling: Sampling::Sequential,
            ..TrainOptions::new(
                case.loss.clone(),
                case.optimizer.unwrap_or_else(|| Optimizer::sgd(1e-3)),
            )
        };
        let trainer = |batch_size| {
            let plan = Plan::new(&case.mlp, &options(batch_size)).unwrap();
            let mut arena = vec![0.0; plan.arena_len()];
            for tensor in plan.tensors() {
                arena[tensor.range()].copy_from_slice(&case.parameters[&tensor.name]);
            }
            let mut engine = make(plan);
            engine.set_parameters(&arena).unwrap();
            Trainer::new(engine, &data, None).unwrap()
        };
        // Outputs, loss and gradients of the whole set in one batch.
        let mut whole = trainer(self.rows);
        let outputs = widen(&whole.predict(&self.inputs).unwrap());
        let loss = whole.train_epoch(|_| ControlFlow::Continue(())).unwrap().train.loss();
        let gradients = unpadded(&gradients(whole.engine_mut()), whole.engine().plan(), true);
        // Ten steps on batches of 4 and 3 rows.
        let (mut curve, mut after, mut running) = (Vec::new(), Vec::new(), Vec::new());
        if case.optimizer.is_some() {
            let mut steps = trainer(4);
            for _ in 0..5 {
                let report = steps.train_epoch(|_| ControlFlow::Continue(())).unwrap();
                curve.push(report.train.loss());
            }
            let arena = parameters(steps.engine_mut());
            after = unpadded(&arena, steps.engine().plan(), true);
            running = unpadded(&arena, steps.engine().plan(), false);
        }
        Got { outputs, loss, gradients, curve, after, running }
    }

    /// The two losses of each epoch as the one mean that the trainer reports.
    fn expected_curve(&self, case: &Case) -> Option<Vec<f64>> {
        let numbers = case.expected.curve.as_ref()?;
        let data = self.data(case);
        let weight = |rows: std::ops::Range<usize>| match (&case.loss, data.targets()) {
            (Loss::CrossEntropy { class_weights, .. }, Targets::Classes { labels, .. }) => {
                labels[rows].iter().map(|&t| f64::from(class_weights[t as usize])).sum()
            }
            _ => rows.len() as f64,
        };
        let (first, second): (f64, f64) = (weight(0..4), weight(4..self.rows));
        let epochs = numbers.values.chunks_exact(2);
        Some(epochs.map(|l| (l[0] * first + l[1] * second) / (first + second)).collect())
    }
}

/// The trained tensors of an arena, or the others.
fn unpadded(arena: &[f64], plan: &Plan, trained: bool) -> Vec<f64> {
    plan.tensors()
        .filter(|tensor| tensor.kind.is_trained() == trained)
        .flat_map(|tensor| arena[tensor.range()].to_vec())
        .collect()
}

/// Compares everything; `bound` gives what is allowed for numbers that PyTorch computed so.
fn compare(fixture: &Fixture, case: &Case, got: &Got, bound: impl Fn(&Numbers) -> f64) {
    let Case { name, expected, .. } = case;
    let check = |what: &str, got: &[f64], want: &[f64], numbers: &Numbers| {
        assert_close(&format!("{name}: {what}"), got, want, bound(numbers));
    };
    check("outputs", &got.outputs, &expected.outputs.values, &expected.outputs);
    check("loss", &[got.loss], &expected.loss.values, &expected.loss);
    check("gradients", &got.gradients, &expected.gradients.values, &expected.gradients);
    if let (Some(after), Some(curve)) = (&expected.after, &expected.curve) {
        check("parameters", &got.after, &after.values, after);
        check("curve", &got.curve, &fixture.expected_curve(case).unwrap(), curve);
    }
    if let Some(running) = &expected.running {
        check("running statistics", &got.running, &running.values, running);
    }
}

/// Four times PyTorch's own f32 error, and what rounding the result itself may cost; PyTorch's
/// error may happen to be 0. `builtins` is the error of the device's built-in functions, relative
/// to the largest number.
fn single(numbers: &Numbers, builtins: f64) -> f64 {
    let ulp = f64::from(f32::EPSILON) * largest(&numbers.values);
    4.0 * numbers.f32_error + 2.0 * ulp + builtins * largest(&numbers.values)
}

#[test]
fn f64_on_the_cpu_is_pytorch_to_1e_12() {
    let fixture = Fixture::load();
    assert!(fixture.cases.len() >= 41, "the fixture lost cases");
    let normed = fixture.cases.iter().filter(|case| case.expected.running.is_some());
    assert_eq!(normed.count(), 4, "the fixture lost running statistics");
    for case in &fixture.cases {
        let got = fixture.run(
            case,
            CpuEngine::<f64>::new,
            |engine| engine.gradients().to_vec(),
            |engine| engine.parameters_exact().to_vec(),
        );
        // Predictions leave the engine as f32.
        let outputs = &case.expected.outputs.values;
        let rounded = f64::from(f32::EPSILON) * largest(outputs);
        assert_close(&case.name, &got.outputs, outputs, rounded);
        let exact = Got { outputs: outputs.clone(), ..got };
        compare(&fixture, case, &exact, |numbers| 1e-12 * largest(&numbers.values).max(1.0));
    }
}

#[test]
fn f32_on_the_cpu_is_as_exact_as_pytorch() {
    let fixture = Fixture::load();
    for case in &fixture.cases {
        let got = fixture.run(
            case,
            CpuEngine::<f32>::new,
            |engine| widen(engine.gradients()),
            |engine| widen(engine.parameters_exact()),
        );
        compare(&fixture, case, &got, |numbers| single(numbers, 0.0));
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn f32_on_the_gpu_is_as_exact_as_pytorch() {
    let fixture = Fixture::load();
    for case in &fixture.cases {
        let got = fixture.run(
            case,
            gpu_engine,
            |engine| widen(&engine.gradients().unwrap()),
            |engine| widen(&engine.parameters().unwrap()),
        );
        // WGSL allows exp 3 + 2|x| ULP, and erf here is within 1.5e-7.
        let builtins = if case.name.starts_with("sine") {
            // sin and cos: 2⁻¹¹ absolute, times ω₀ = 3 per layer in derivatives.
            f64::powi(2.0, -11) * 9.0
        } else {
            1e-6
        };
        compare(&fixture, case, &got, |numbers| single(numbers, builtins));
    }
}
