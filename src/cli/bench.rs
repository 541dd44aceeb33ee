//! `wgrad bench`: how fast this machine trains, and how far its kernels are from what it could do.

mod report;
mod roofline;

use indicatif::ProgressBar;
use wgrad::bench::{
    GpuWorkload, KernelTime, Peak, Rate, StepCounts, Work, Workload, cpu_peak, gpu_peak, rate,
};
use wgrad::{CpuEngine, Plan, is_software};

use super::args::BenchArgs;
use super::device::Device;
use super::failure::Failure;
use super::progress::bar;
use super::stdout;
use super::talk::Talk;

/// Measurements that scatter by more than this share of their median are warned of.
const SCATTER: f64 = 0.2;
/// Kernels that take less of a step than this may scatter.
const MINOR: f64 = 0.05;
/// Steps of the progress bar for a workload: half for its rate, half for its kernels.
const UNITS: u64 = 100;

/// The names of all workloads.
pub(crate) fn names() -> [&'static str; 5] {
    Workload::ALL.map(Workload::name)
}

pub(crate) fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    let device = Device::open(&args.device.device, talk)?;
    let software = match &device {
        Device::Gpu(gpu) => Some(gpu).filter(|gpu| is_software(&gpu.info)),
        Device::Cpu => None,
    };
    if let Some(gpu) = software {
        talk.line(format_args!(
            "warning: {} runs the kernels in software, so this tells about the CPU and not about a \
             GPU (--device cpu measures the CPU engine, which is what trains there)",
            gpu.info.name
        ));
    }
    let is_wanted = |workload: &Workload| {
        let name = workload.name();
        args.workloads.is_empty() || args.workloads.iter().any(|w| w.eq_ignore_ascii_case(name))
    };
    let workloads: Vec<_> = Workload::ALL.into_iter().filter(is_wanted).collect();
    let bench = Bench::measure(&device, &workloads, args.seconds, talk)?;
    if let Some(path) = &args.picture {
        std::fs::write(path, roofline::figure(&bench).svg()?)
            .map_err(Failure::write(path.display()))?;
    }
    for warning in bench.warnings() {
        talk.line(format_args!("warning: {warning}"));
    }
    let text = if args.output.json { bench.json() } else { bench.text() };
    stdout::print(text)
}

/// What was measured.
struct Bench {
    engine: &'static str,
    device: String,
    software: bool,
    seconds: f64,
    peak: Peak,
    rows: Vec<Row>,
}

/// One workload.
struct Row {
    workload: Workload,
    batch_size: usize,
    rate: Rate,
    /// What a step can't do without.
    least: Work,
    /// What the GPU engine asked of the device, and its dispatches one by one.
    gpu: Option<(StepCounts, Vec<KernelTime>)>,
}

impl Bench {
    fn measure(
        device: &Device,
        workloads: &[Workload],
        seconds: f64,
        talk: Talk,
    ) -> Result<Self, Failure> {
        let bar = bar(talk, UNITS * (workloads.len() as u64 + 1));
        bar.set_message("peaks");
        let peak = match device {
            Device::Cpu => cpu_peak(seconds)?,
            Device::Gpu(gpu) => gpu_peak(gpu, seconds)?,
        };
        bar.inc(UNITS);
        let mut rows = Vec::with_capacity(workloads.len());
        for &workload in workloads {
            rows.push(Row::measure(device, workload, seconds, &bar)?);
        }
        bar.finish_and_clear();
        let software = matches!(device, Device::Gpu(gpu) if is_software(&gpu.info));
        let (engine, device) = (device.engine(), device.description());
        Ok(Self { engine, device, software, seconds, peak, rows })
    }

    /// What makes the figures doubtful.
    fn warnings(&self) -> Vec<String> {
        let mut scattered: Vec<String> = Vec::new();
        let mut once: Vec<&str> = Vec::new();
        if self.peak.spread > SCATTER {
            scattered.push("the peaks".into());
        }
        for row in &self.rows {
            let name = row.workload.name();
            if row.rate.samples == 1 {
                once.push(name);
            } else if row.rate.spread > SCATTER {
                scattered.push(format!("{name}'s steps"));
            }
            let kernels = row.gpu.as_ref().map_or(&[][..], |(_, kernels)| kernels);
            let all: f64 = kernels.iter().map(|kernel| kernel.time.seconds).sum();
            let unsteady = |kernel: &&KernelTime| {
                kernel.time.spread > SCATTER && kernel.time.seconds > MINOR * all
            };
            let unsteady = kernels.iter().filter(unsteady);
            scattered.extend(unsteady.map(|k| format!("{name}'s {}[{}]", k.kernel, k.place)));
        }
        let mut warnings = Vec::new();
        if !scattered.is_empty() {
            warnings.push(format!(
                "measurements of {} differ by more than {:.0} % (let nothing else run, or measure \
                 longer: --seconds {})",
                scattered.join(", "),
                100.0 * SCATTER,
                4.0 * self.seconds
            ));
        }
        if !once.is_empty() {
            warnings.push(format!(
                "one step of {} takes longer than the {} s for a measurement, so one was timed \
                 (--seconds gives more)",
                once.join(", "),
                self.seconds
            ));
        }
        warnings
    }
}

impl Row {
    fn measure(
        device: &Device,
        workload: Workload,
        seconds: f64,
        bar: &ProgressBar,
    ) -> Result<Self, Failure> {
        let begin = bar.position();
        bar.set_message(format!("{workload}  steps"));
        let plan = Plan::new(&workload.mlp(), &workload.options())?;
        let (batch_size, least) = (plan.options().batch_size, Work::of_step(&plan));
        let (rate, gpu) = match device {
            Device::Cpu => (rate(workload, seconds, |plan| Ok(CpuEngine::<f32>::new(plan)))?, None),
            Device::Gpu(gpu) => {
                let mut measured = GpuWorkload::new(workload, gpu)?;
                let (rate, counts) = measured.rate(seconds)?;
                bar.set_message(format!("{workload}  kernels"));
                let kernels = measured.kernels(seconds, |done, of| {
                    let share = UNITS / 2 * done as u64 / of as u64;
                    bar.set_position(begin + UNITS / 2 + share);
                })?;
                (rate, Some((counts, kernels)))
            }
        };
        bar.set_position(begin + UNITS);
        Ok(Self { workload, batch_size, rate, least, gpu })
    }
}
