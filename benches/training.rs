//! Steps per second of the five workloads on each engine.
//!
//!     cargo bench --bench training [-- cpu|gpu] [W1 …]
//!
//! The GPU is whatever adapter comes first, software included; its name is printed.
#![allow(clippy::print_stdout, reason = "a benchmark's results")]

use wgrad::bench::{Rate, Workload, rate};
use wgrad::{AdapterChoice, CpuEngine, Gpu, GpuEngine, Result};

/// Seconds that a measurement takes, where a step doesn't take longer.
const SECONDS: f64 = 3.0;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let is_wanted = |name: &str, all: &[&str]| {
        wanted.iter().any(|w| w == name) || !wanted.iter().any(|w| all.contains(&w.as_str()))
    };
    let workloads = Workload::ALL
        .into_iter()
        .filter(|w| is_wanted(w.name(), &Workload::ALL.map(Workload::name)))
        .collect::<Vec<_>>();
    let engines = ["cpu", "gpu"];
    if is_wanted("cpu", &engines) {
        println!("CPU, {} threads", std::thread::available_parallelism().map_or(1, usize::from));
        for &workload in &workloads {
            print(workload, rate(workload, SECONDS, |plan| Ok(CpuEngine::<f32>::new(plan)))?);
        }
    }
    if is_wanted("gpu", &engines) {
        let gpu = Gpu::open(AdapterChoice::Any)?;
        println!("{} ({:?}, {})", gpu.info.name, gpu.info.backend, gpu.info.driver_info);
        for &workload in &workloads {
            let make = |plan| GpuEngine::new(&gpu.device, &gpu.queue, plan);
            print(workload, rate(workload, SECONDS, make)?);
        }
    }
    Ok(())
}

fn print(workload: Workload, rate: Rate) {
    let Rate { steps_per_second, spread, .. } = rate;
    println!(
        "  {workload}  {steps_per_second:>9.3} steps/s  ±{:>3.0} %  {}",
        50.0 * spread,
        workload.summary()
    );
}
