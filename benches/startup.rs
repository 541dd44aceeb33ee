//! Milliseconds from the start of a process to the end of its first training step.
//!
//!     cargo bench --bench startup [-- cpu|gpu] [W1 …]
//!
//! Each time is the median of several processes. A driver that compiles kernels keeps them from one
//! process to the next; cold processes get an empty folder for that, as after an installation, warm
//! ones share one. The folder is Mesa's; other drivers' caches are left as they are.
#![allow(clippy::print_stdout, reason = "a benchmark's results")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use wgrad::bench::{Workload, first_step};
use wgrad::{AdapterChoice, CpuEngine, Gpu, GpuEngine};

/// Processes whose median counts.
const PROCESSES: usize = 7;
/// What makes this program a process that is timed.
const TIMED: &str = "--one-step";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    match &typed[..] {
        [first, engine, workload, ..] if first == TIMED => return one_step(engine, workload),
        _ => {}
    }
    let is_wanted = |name: &str, all: &[&str]| {
        typed.iter().any(|w| w == name) || !typed.iter().any(|w| all.contains(&w.as_str()))
    };
    let engines = ["cpu", "gpu"];
    println!("{:8} {:>12} {:>12}", "", "cold", "warm");
    for engine in engines.into_iter().filter(|engine| is_wanted(engine, &engines)) {
        for name in Workload::ALL.map(Workload::name) {
            if !is_wanted(name, &Workload::ALL.map(Workload::name)) {
                continue;
            }
            let shared = tempfile::tempdir()?;
            process(engine, name, shared.path())?;
            let warm = median(|| process(engine, name, shared.path()))?;
            let cold = median(|| process(engine, name, tempfile::tempdir()?.path()))?;
            println!("{engine} {name:4} {cold:>9.0} ms {warm:>9.0} ms");
        }
    }
    Ok(())
}

fn one_step(engine: &str, workload: &str) -> Outcome<()> {
    let found = Workload::ALL.into_iter().find(|w| w.name() == workload);
    let workload = found.ok_or("no such workload")?;
    if engine == "cpu" {
        first_step(workload, |plan| Ok(CpuEngine::<f32>::new(plan)))?;
    } else {
        let gpu = Gpu::open(AdapterChoice::Any)?;
        first_step(workload, |plan| GpuEngine::new(&gpu.device, &gpu.queue, plan))?;
    }
    Ok(())
}

/// Milliseconds of one process.
fn process(engine: &str, workload: &str, cache: &Path) -> Outcome<f64> {
    let start = Instant::now();
    let done = Command::new(std::env::current_exe()?)
        .args([TIMED, engine, workload])
        .env("MESA_SHADER_CACHE_DIR", cache)
        .env("XDG_RUNTIME_DIR", cache)
        .output()?;
    let took = 1000.0 * start.elapsed().as_secs_f64();
    if done.status.success() { Ok(took) } else { Err(String::from_utf8_lossy(&done.stderr).into()) }
}

fn median(mut timed: impl FnMut() -> Outcome<f64>) -> Outcome<f64> {
    let mut times = (0..PROCESSES).map(|_| timed()).collect::<Outcome<Vec<_>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[PROCESSES / 2])
}
