//! What a training step costs the host: microseconds to record and submit it, on wgpu's noop device,
//! which does nothing else.
//!
//!     cargo bench --bench host
#![allow(clippy::print_stdout, reason = "a benchmark's results")]

use wgrad::bench::{Rate, Workload, rate};
use wgrad::{Error, GpuEngine, wgpu};

/// Seconds for each workload.
const SECONDS: f64 = 2.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapter =
        pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let device = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    let (device, queue) = device;
    for workload in Workload::ALL {
        let make = |plan| GpuEngine::new(&device, &queue, plan);
        let measured: Result<Rate, Error> = rate(workload, SECONDS, make);
        let Rate { steps_per_second, spread, .. } = measured?;
        println!(
            "{workload}  {:>7.1} µs a step  ±{:>3.0} %  {}",
            1e6 / steps_per_second,
            50.0 * spread,
            workload.summary()
        );
    }
    Ok(())
}
