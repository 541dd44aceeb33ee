//! Time per sample and memory as the data set grows from 10⁴ to 10⁷ rows.
//!
//!     cargo bench --bench flatness [-- cpu|gpu]
//!
//! The net is W4's, 2-64-64-64-64-3, with batches of 1,024. Each row count has a process of its own.
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
        println!("{engine:10} {:>14} {:>12} {:>12}", "a sample", "memory", "planned");
        for rows in ROWS {
            let program = std::env::current_exe()?;
            let told = Command::new(program).args([ONE, &rows.to_string(), engine]).output()?;
            if !told.status.success() {
                return Err(String::from_utf8_lossy(&told.stderr).into());
            }
            print!("{rows:<10} {}", String::from_utf8_lossy(&told.stdout));
        }
    }
    Ok(())
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
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    println!(
        "{sample:>8.1} ns ±{:<2.0}% {:>11} {:>12}",
        50.0 * rate.spread,
        grown.map_or("—".into(), mib),
        mib(planned + data_bytes)
    );
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
