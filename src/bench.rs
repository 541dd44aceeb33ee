//! Measuring: workloads that every change and every peer is timed on.

mod rate;
mod workload;

pub use rate::{Rate, rate};
pub use workload::Workload;
