//! Measuring: workloads that every change and every peer is timed on, what the device could do at
//! most, and what its kernels do of that.
//!
//! `wgrad bench` shows all of it; `benches/` has what takes longer.

mod cpu_peak;
mod gpu_peak;
mod gpu_workload;
mod peak;
mod product;
mod rate;
mod samples;
mod work;
mod workload;

pub use cpu_peak::cpu_peak;
pub use gpu_peak::gpu_peak;
#[cfg(test)]
pub(crate) use gpu_peak::{BENCH_COPY, BENCH_FMA};
pub use gpu_workload::{GpuWorkload, KernelTime, StepCounts};
pub use peak::Peak;
pub use product::square_product;
pub use rate::{Rate, first_step, rate, rate_of};
pub use samples::Samples;
pub use work::Work;
pub use workload::Workload;
