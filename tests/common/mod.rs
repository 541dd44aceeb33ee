//! What the integration tests share.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "random numbers of small tests")]
#![allow(dead_code, reason = "each test binary uses its part")]

#[cfg(feature = "cli")]
pub(crate) mod place;

use std::ops::ControlFlow;
use std::sync::OnceLock;

use wgrad::data::{Dataset, Targets};
use wgrad::rng::{Purpose, Stream};
use wgrad::wgpu;
use wgrad::{
    AdapterChoice, CpuEngine, Engine, Error, Fusion, Gpu, GpuEngine, GpuOptions, Loss, Mlp, Plan,
    TrainOptions, Trainer,
};

/// The test binary's one device.
///
/// # Panics
/// Without any adapter: no GPU is never a silent pass.
pub(crate) fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| Gpu::open(AdapterChoice::Any).unwrap_or_else(|e| panic!("{e}")))
}

pub(crate) fn gpu_engine(plan: Plan) -> GpuEngine {
    engine_on(&gpu().device, &gpu().queue, plan)
}

/// An engine that chooses by itself; with the environment variable `WGRAD_FUSED` one that fuses what suits,
/// as GPUs do and software adapters don't.
pub(crate) fn engine_on(device: &wgpu::Device, queue: &wgpu::Queue, plan: Plan) -> GpuEngine {
    let engine = |fusion| {
        let mut options = GpuOptions::default();
        options.fusion = fusion;
        GpuEngine::with_options(device, queue, plan.clone(), &options)
    };
    if std::env::var_os("WGRAD_FUSED").is_none() {
        return engine(Fusion::Auto).unwrap();
    }
    match engine(Fusion::Always) {
        Err(Error::Option { name: "fusion", .. }) => engine(Fusion::Never).unwrap(),
        engine => engine.unwrap(),
    }
}

/// Rows of numbers in [−1, 1) with targets that a net can learn: of each row's numbers x, the
/// values sin(3x₀) + x₁ and so on, or the class of the largest.
pub(crate) fn learnable(
    rows: usize,
    columns: usize,
    outputs: usize,
    loss: &Loss,
    seed: u64,
) -> Dataset {
    let mut stream = Stream::new(seed, Purpose::Synthetic, 0);
    let inputs: Vec<f32> =
        (0..rows * columns).map(|_| 2.0 * stream.uniform() as f32 - 1.0).collect();
    let value = |row: &[f32], k: usize| (3.0 * row[k % columns]).sin() + row[(k + 1) % columns];
    let per_row = inputs.chunks_exact(columns);
    let targets = match loss {
        Loss::CrossEntropy { .. } => {
            let label = |row: &[f32]| {
                let best = (0..outputs).max_by(|&a, &b| value(row, a).total_cmp(&value(row, b)));
                u32::try_from(best.unwrap()).unwrap()
            };
            Targets::Classes { labels: per_row.map(label).collect(), classes: outputs }
        }
        loss => {
            let binary = matches!(loss, Loss::BceWithLogits { .. });
            let values = per_row
                .flat_map(|row| (0..outputs).map(move |k| value(row, k)))
                .map(|v| if binary { f32::from(u8::from(v > 0.0)) } else { v })
                .collect();
            Targets::Values { values, width: outputs }
        }
    };
    Dataset::new(inputs, columns, targets).unwrap()
}

/// Fails unless `got` and `want` differ by at most `bound` in every element; NaN never passes.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &[f64], want: &[f64], bound: f64) {
    assert_eq!(got.len(), want.len(), "{what}: lengths differ");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= bound,
            "{what}, element {i}: {got} against {want}, bound {bound:e}"
        );
    }
}

/// Largest |a − b|; NaN if any is.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |m: f64, d| if m.is_nan() || d <= m { m } else { d })
}

/// Largest |x|.
pub(crate) fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |m: f64, x| if m.is_nan() || x.abs() <= m { m } else { x.abs() })
}

pub(crate) fn widen(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Loss of each step and the parameters at the end: the average of the weights where one is kept.
pub(crate) struct Run {
    pub losses: Vec<f64>,
    pub parameters: Vec<f64>,
}

/// Trains for the epochs of the options.
pub(crate) fn run<E: Engine>(engine: E, data: &Dataset, read: impl Fn(&mut E) -> Vec<f64>) -> Run {
    let epochs = engine.plan().options().epochs;
    let mut trainer = Trainer::new(engine, data, None).unwrap();
    let mut losses = Vec::new();
    for _ in 0..epochs {
        let mut observe = |progress: &wgrad::Progress| {
            losses.push(progress.step_loss);
            ControlFlow::Continue(())
        };
        trainer.train_epoch(&mut observe).unwrap();
    }
    let engine = trainer.engine_mut();
    engine.swap_average();
    let parameters = read(engine);
    engine.swap_average();
    Run { losses, parameters }
}

/// Runs all three engines and compares. The exact run is the f64 oracle's. Rounding drives every
/// f32 run away from it by an amount that depends on the problem; the CPU's f32 run measures it, and
/// the GPU, with as many roundings and coarser built-in functions (exp 3 + 2|x| ULP),
/// may go up to 16 times as far. Returns the exact run.
pub(crate) fn compare_engines(
    what: &str,
    mlp: &Mlp,
    options: &TrainOptions,
    data: &Dataset,
) -> Run {
    compare_engines_with(gpu_engine, what, mlp, options, data)
}

/// The same with a GPU engine of the caller's.
pub(crate) fn compare_engines_with(
    gpu_engine: impl Fn(Plan) -> GpuEngine,
    what: &str,
    mlp: &Mlp,
    options: &TrainOptions,
    data: &Dataset,
) -> Run {
    let plan = || Plan::new(mlp, options).unwrap();
    let exact = run(CpuEngine::<f64>::new(plan()), data, |e| e.parameters_exact().to_vec());
    let cpu = run(CpuEngine::<f32>::new(plan()), data, |e| widen(&e.parameters().unwrap()));
    let gpu = run(gpu_engine(plan()), data, |e| widen(&e.parameters().unwrap()));
    let check = |what: &str, gpu: &[f64], cpu: &[f64], exact: &[f64], scale: f64| {
        let rounding = f64::from(f32::EPSILON) * largest(exact);
        let bound = 16.0 * distance(cpu, exact) + 4.0 * rounding;
        let off = distance(gpu, exact);
        assert!(off <= bound, "{what}: the GPU is {off:e} off, bound {bound:e}");
        // The bound itself must stay far below anything a wrong formula would cause.
        assert!(bound <= 1e-3 * scale, "{what}: a bound of {bound:e} says nothing");
    };
    let what_of = |part: &str| format!("{what}: {part}");
    let scale = largest(&exact.losses);
    check(&what_of("losses"), &gpu.losses, &cpu.losses, &exact.losses, scale);
    let moved = distance(&exact.parameters, &widen(&plan().initial_parameters()));
    check(&what_of("parameters"), &gpu.parameters, &cpu.parameters, &exact.parameters, moved);
    exact
}
