//! A long training at the highest step rate: memory and drift while the steps add up.
//!
//!     cargo bench --bench long [-- [cpu|gpu] [MINUTES]]
//!
//! Linear regression on rows whose targets are exact, so that every batch has the same optimum w*. A step
//! of SGD on a batch with the Hessian H takes the error e = w − w* to (I − ηH)e, and f32 adds a rounding ε.
//! With ρ the largest ‖I − ηH‖ of the batches, the error settles below ‖ε‖/(1 − ρ), however long it
//! goes on. The table says how many steps were done, what the process's memory is (on software adapters
//! the device's too), and the largest error as a share of that bound. It fails if memory grows after the
//! first look, or if the bound is broken.
#![allow(clippy::print_stdout, reason = "a benchmark's results")]
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use wgrad::data::{Dataset, Targets};
use wgrad::rng::{Purpose, Stream};
use wgrad::{
    AdapterChoice, CpuEngine, Engine, Gpu, GpuEngine, Loss, Mlp, Optimizer, Plan, Sampling,
    TrainOptions, Trainer,
};

const COLUMNS: usize = 4;
/// Weights and bias.
const SIZE: usize = COLUMNS + 1;
const ROWS: usize = 4096;
const BATCH: usize = 64;
const RATE: f64 = 0.25;
/// Numbers of few bits, so that targets are exact.
const OPTIMUM: [f64; SIZE] = [0.5, -1.25, 0.75, 1.5, -0.375];
/// What an allocator may keep from being given back, in bytes.
const SLACK: u64 = 2 << 20;
/// Looks at memory and error over the run.
const LOOKS: u32 = 20;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let minutes = typed.iter().find_map(|word| word.parse().ok()).unwrap_or(60.0);
    let wanted = |engine: &str| typed.iter().any(|word| word == engine);
    let both = !wanted("cpu") && !wanted("gpu");
    let rows = rows();
    let options = TrainOptions {
        batch_size: BATCH,
        epochs: u64::MAX / 2,
        sampling: Sampling::Sequential,
        ..TrainOptions::new(Loss::Mse, Optimizer::sgd(RATE))
    };
    let plan = Plan::new(&Mlp::new(COLUMNS).linear(1), &options)?;
    let time = Duration::from_secs_f64(60.0 * minutes);
    if both || wanted("cpu") {
        run(CpuEngine::<f32>::new(plan.clone()), &rows, time)?;
    }
    if both || wanted("gpu") {
        let gpu = Gpu::open(AdapterChoice::Any)?;
        run(GpuEngine::new(&gpu.device, &gpu.queue, plan)?, &rows, time)?;
    }
    Ok(())
}

fn run<E: Engine>(engine: E, rows: &[[f64; COLUMNS]], time: Duration) -> Outcome<()> {
    let bound = bound(rows);
    println!("{}: error at most {bound:.2e} by theory", engine.name());
    println!("{:>10} {:>14} {:>12} {:>18}", "minutes", "steps", "memory", "error of the bound");
    let mut trainer = Trainer::new(engine, &data(rows)?, None)?;
    let begun = Instant::now();
    let (mut first, mut looks) = (None, 0);
    while looks < LOOKS {
        trainer.train_epoch(|_| ControlFlow::Continue(()))?;
        if begun.elapsed() < time * (looks + 1) / LOOKS {
            continue;
        }
        looks += 1;
        let parameters = trainer.parameters()?;
        let plan = trainer.engine().plan();
        let trained: Vec<f64> = plan
            .tensors()
            .flat_map(|tensor| &parameters[tensor.range()])
            .map(|&w| f64::from(w))
            .collect();
        let error = norm(trained.iter().zip(OPTIMUM).map(|(w, optimum)| w - optimum));
        let memory = memory();
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let mib = memory.map_or("—".into(), |bytes| format!("{} KiB", bytes >> 10));
        let share = format!("{:.3}", error / bound);
        println!("{minutes:>10.1} {:>14} {mib:>12} {share:>18}", trainer.steps());
        if error.is_nan() || error > bound {
            return Err(format!("an error of {error:.2e} is beyond the bound").into());
        }
        let first = *first.get_or_insert(memory);
        if let (Some(first), Some(now)) = (first, memory) {
            if now > first + SLACK {
                return Err(format!("memory grew from {first} to {now} bytes").into());
            }
        }
    }
    Ok(())
}

/// Multiples of 1/64 in [−1, 1).
fn rows() -> Vec<[f64; COLUMNS]> {
    let mut stream = Stream::new(1, Purpose::Synthetic, 0);
    let mut number = || (stream.uniform() * 128.0).floor() / 64.0 - 1.0;
    (0..ROWS).map(|_| std::array::from_fn(|_| number())).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "exact in f32")]
fn data(rows: &[[f64; COLUMNS]]) -> Outcome<Dataset> {
    let inputs = rows.iter().flatten().map(|&x| x as f32).collect();
    let target = |row| dot(&with_one(row), &OPTIMUM) as f32;
    Ok(Dataset::new(
        inputs,
        COLUMNS,
        Targets::Values { values: rows.iter().map(target).collect(), width: 1 },
    )?)
}

/// A row and the bias's 1.
fn with_one(row: &[f64; COLUMNS]) -> [f64; SIZE] {
    std::array::from_fn(|i| row.get(i).copied().unwrap_or(1.0))
}

fn dot(a: &[f64; SIZE], b: &[f64; SIZE]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|x| x * x).sum::<f64>().sqrt()
}

/// ‖ε‖/(1 − ρ).
fn bound(rows: &[[f64; COLUMNS]]) -> f64 {
    let contraction = rows.chunks(BATCH).map(contraction).fold(0.0, f64::max);
    let u = f64::from(f32::EPSILON) / 2.0;
    let gamma = |n: usize| n as f64 * u / (1.0 - n as f64 * u);
    // Near the optimum |w| is its own, up to errors that count in second order; 1 % pays for those.
    let size: f64 = OPTIMUM.iter().map(|w| w.abs()).sum();
    // A residual w·x + b − y: SIZE products and sums of numbers up to |w||x| ≤ size, and y of up to size.
    let residual = gamma(SIZE + 1) * 2.0 * size;
    // An element of the gradient is the mean of 2·x·residual, |x| ≤ 1; the sum's own rounding is relative
    // to it.
    let gradient = 2.0 * residual * (1.0 + gamma(BATCH + 4));
    // η·g rounds once, the difference once.
    let largest = OPTIMUM.iter().fold(0.0_f64, |largest, w| largest.max(w.abs()));
    let element = RATE * gradient * (1.0 + 2.0 * u) + u * largest;
    1.01 * element * (SIZE as f64).sqrt() / (1.0 - contraction)
}

/// ‖I − ηH‖ of a batch, H = 2/n Σ x xᵀ: the larger of |1 − ηλ| at H's two ends, by power iteration.
fn contraction(batch: &[[f64; COLUMNS]]) -> f64 {
    let rows: Vec<_> = batch.iter().map(with_one).collect();
    let apply = |v: &[f64; SIZE]| {
        let mut out = *v;
        for x in &rows {
            let along = 2.0 * RATE / rows.len() as f64 * dot(x, v);
            out.iter_mut().zip(x).for_each(|(out, x)| *out -= along * x);
        }
        out
    };
    let mut v = [1.0, -0.7, 0.4, 0.9, -0.2];
    let mut size = 0.0;
    for _ in 0..500 {
        let next = apply(&v);
        size = norm(next.iter().copied()) / norm(v.iter().copied());
        let length = norm(next.iter().copied());
        v = next.map(|x| x / length);
    }
    size
}

/// Bytes of this process's memory, where /proc tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    Some(1024 * line.split_whitespace().nth(1)?.parse::<u64>().ok()?)
}
