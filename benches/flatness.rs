//! Time per sample and memory as the data set grows from 10⁴ to 10⁷ rows.
//!
//!     cargo bench --bench flatness [-- cpu|gpu]
//!
//! The net is W4's, 2-64-64-64-64-3, with batches of 1,024. Each row count has a process of its own, in
//! rounds, so that all share the machine's moods: the time is the median, and behind it how many times
//! that of the smallest count.
//! Its memory is on the CPU what the process grew by from the data set on, at its peak, where /proc
//! tells; on a GPU that of wgrad's buffers, where the device tells. Beside it is what the engine says
//! that it takes.
#![allow(clippy::print_stdout, reason = "a benchmark's results")]

use std::process::Command;

use wgrad::bench::{Workload, rate_of};
use wgrad::data::{Dataset, Targets};
use wgrad::{AdapterChoice, CpuEngine, Gpu, GpuEngine, Plan, TrainOptions, Trainer, wgpu};

const ROWS: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const BATCH: usize = 1024;
const SECONDS: f64 = 3.0;
const ROUNDS: usize = 5;
/// What makes this program a process that measures one row count.
const ONE: &str = "--rows";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    match &typed[..] {
        [first, rows, engine, ..] if first == ONE => return measure(rows.parse()?, engine),
        _ => {}
    }
    let wanted = ["cpu", "gpu"].into_iter().filter(|engine| typed.iter().any(|w| w == engine));
    let wanted: Vec<_> = wanted.collect();
    for engine in if wanted.is_empty() { vec!["cpu", "gpu"] } else { wanted } {
        let mut rounds = vec![Vec::new(); ROWS.len()];
        for _ in 0..ROUNDS {
            for (figures, rows) in rounds.iter_mut().zip(ROWS) {
                figures.push(figures_of(rows, engine)?);
            }
        }
        println!("{engine:10} {:>14} {:>8} {:>12} {:>12}", "a sample", "", "memory", "planned");
        let mut first = None;
        for (figures, rows) in rounds.iter_mut().zip(ROWS) {
            figures.sort_by(|a, b| a[0].total_cmp(&b[0]));
            let [sample, memory, planned] = figures[ROUNDS / 2];
            let mib = |bytes: f64| format!("{:.1} MiB", bytes / f64::from(1 << 20));
            println!(
                "{rows:<10} {sample:>11.1} ns {:>7.2}x {:>12} {:>12}",
                sample / *first.get_or_insert(sample),
                if memory > 0.0 { mib(memory) } else { "—".into() },
                mib(planned)
            );
        }
    }
    Ok(())
}

/// Nanoseconds a sample, bytes of memory (0 where nothing tells) and bytes planned, from a process of
/// their own.
fn figures_of(rows: usize, engine: &str) -> Outcome<[f64; 3]> {
    let program = std::env::current_exe()?;
    let told = Command::new(program).args([ONE, &rows.to_string(), engine]).output()?;
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into());
    }
    let told = String::from_utf8(told.stdout)?;
    let numbers: Result<Vec<f64>, _> = told.split_whitespace().map(str::parse).collect();
    numbers?.try_into().map_err(|_| "three numbers were expected".into())
}

fn measure(rows: usize, engine: &str) -> Outcome<()> {
    let options = TrainOptions { batch_size: BATCH, ..Workload::Image.options() };
    let plan = Plan::new(&Workload::Image.mlp(), &options)?;
    let data = data(rows)?;
    let data_bytes = plan.data_bytes(rows);
    let before = memory("VmRSS");
    let (rate, grown, planned) = if engine == "cpu" {
        let planned = CpuEngine::<f32>::bytes_of(&plan);
        let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, None)?;
        let rate = rate_of(&mut trainer, SECONDS)?;
        let grown = before.zip(memory("VmHWM")).map(|(before, peak)| peak.saturating_sub(before));
        (rate, grown, planned)
    } else {
        let gpu = Gpu::open(AdapterChoice::Any)?;
        let engine = GpuEngine::new(&gpu.device, &gpu.queue, plan)?;
        let planned = engine.bytes();
        let mut trainer = Trainer::new(engine, &data, None)?;
        (rate_of(&mut trainer, SECONDS)?, buffers(&gpu.device), planned)
    };
    let sample = 1e9 / (rate.steps_per_second * BATCH as f64);
    println!("{sample} {} {}", grown.unwrap_or(0), planned + data_bytes);
    Ok(())
}

/// Points in a square and values that vary over it, as cheap as can be.
fn data(rows: usize) -> Outcome<Dataset> {
    // The additive recurrence of the plastic number (Roberts 2018).
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what data sets hold")]
    let place = |row: usize, step: f64| (0.5 + step * row as f64).fract() as f32;
    let mut inputs = Vec::with_capacity(2 * rows);
    let mut values = Vec::with_capacity(3 * rows);
    for row in 0..rows {
        let (x, y) = (place(row, 0.754_877_666), place(row, 0.569_840_291));
        inputs.extend([x, y]);
        values.extend([x * y, x - y, y * y]);
    }
    Ok(Dataset::new(inputs, 2, Targets::Values { values, width: 3 })?)
}

/// Bytes of wgrad's buffers on a device.
fn buffers(device: &wgpu::Device) -> Option<u64> {
    let report = device.generate_allocator_report()?;
    let ours = report.allocations.iter().filter(|buffer| buffer.name.starts_with("wgrad."));
    Some(ours.map(|buffer| buffer.size).sum())
}

/// Bytes of this process's memory now (`VmRSS`) or at its peak (`VmHWM`).
fn memory(which: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(which))?;
    Some(1024 * line.split_whitespace().nth(1)?.parse::<u64>().ok()?)
}
