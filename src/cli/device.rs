//! From a device's name to an engine on it.

use std::time::Duration;

use indicatif::BinaryBytes;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use wgrad::wgpu::{Adapter, AdapterInfo, DeviceType};
use wgrad::{
    AdapterChoice, CpuEngine, Engine, Gpu, GpuEngine, GpuOptions, Plan, Tuning, adapters,
    is_software,
};

use super::choices::DeviceChoice;
use super::environment;
use super::failure::Failure;
use super::talk::Talk;

/// How often a lost device is looked for, once a second, before that counts as an error.
const REOPENINGS: u32 = 5;

/// What computes.
#[derive(Debug)]
pub(crate) enum Device {
    Cpu,
    Gpu(Box<Gpu>),
}

/// Work for an engine whose type is known only at run time.
pub(crate) trait Job {
    /// What comes of it.
    type Output;

    fn run<E: Engine>(self, engine: E) -> Result<Self::Output, Failure>;
}

impl Device {
    /// Opens what was asked for; an adapter that the environment names stands for `auto` and `gpu`. Where `auto` ends at the CPU it tells why, and what would make the
    /// GPU kernels run.
    pub(crate) fn open(choice: &DeviceChoice, talk: Talk) -> Result<Self, Failure> {
        if *choice == DeviceChoice::Cpu {
            return Ok(Self::Cpu);
        }
        environment::check_backends()?;
        let gpu = match (choice, environment::adapter_name()) {
            (DeviceChoice::Named(name), _) => Gpu::open(AdapterChoice::Named(name))?,
            (_, Some(name)) => Gpu::open(AdapterChoice::Named(&name)).map_err(|error| {
                Failure::from(error).because(format_args!("WGPU_ADAPTER_NAME={name}"))
            })?,
            (DeviceChoice::Gpu, None) => Gpu::open(AdapterChoice::Any)?,
            (DeviceChoice::Auto | DeviceChoice::Cpu, None) => return Ok(Self::fastest(talk)),
        };
        Ok(Self::Gpu(Box::new(gpu)))
    }

    /// The same for one that was lost: a driver takes some seconds to come back from a reset.
    pub(crate) fn open_patiently(choice: &DeviceChoice, talk: Talk) -> Result<Self, Failure> {
        for _ in 0..REOPENINGS {
            if let Ok(device) = Self::open(choice, talk) {
                return Ok(device);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        Self::open(choice, talk)
    }

    /// A hardware GPU, else the CPU.
    fn fastest(talk: Talk) -> Self {
        let adapters = adapters();
        let hardware = adapters.iter().find(|adapter| !is_software(&adapter.get_info()));
        match hardware.map(Gpu::from_adapter) {
            Some(Ok(gpu)) => return Self::Gpu(Box::new(gpu)),
            Some(Err(refusal)) => {
                talk.line(format_args!("no GPU can be used, so the CPU computes ({refusal})"));
            }
            None => talk.line(no_hardware(&adapters)),
        }
        Self::Cpu
    }

    /// `cpu` or `gpu`.
    pub(crate) fn engine(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu(_) => "gpu",
        }
    }

    /// A name for people: the adapter's, or the number of threads.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Cpu => match rayon::current_num_threads() {
                1 => "CPU, 1 thread".into(),
                threads => format!("CPU, {threads} threads"),
            },
            Self::Gpu(gpu) => gpu.info.name.clone(),
        }
    }

    /// The name with everything else that is known.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Cpu => self.name(),
            Self::Gpu(gpu) => {
                let info = &gpu.info;
                let parts = [
                    info.name.clone(),
                    driver(info),
                    info.backend.to_string(),
                    kind(info).to_owned(),
                ];
                parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
            }
        }
    }

    /// Makes the engine and does the job on it. `rows` is how many rows of data the engine will
    /// hold.
    pub(crate) fn run<J: Job>(
        &self,
        plan: Plan,
        rows: usize,
        job: J,
    ) -> Result<J::Output, Failure> {
        self.run_tuned(plan, rows, &Tuning::default(), job)
    }

    /// The same with variants of the kernels that were measured on this device.
    pub(crate) fn run_tuned<J: Job>(
        &self,
        plan: Plan,
        rows: usize,
        tuning: &Tuning,
        job: J,
    ) -> Result<J::Output, Failure> {
        match self {
            Self::Cpu => {
                let left = memory_beside(plan.data_bytes(rows), rows)?;
                plan.check_memory(CpuEngine::<f32>::bytes_of, left, "free memory")?;
                job.run(CpuEngine::<f32>::new(plan))
            }
            Self::Gpu(gpu) => {
                let mut options = GpuOptions::default();
                options.tuning = tuning.clone();
                job.run(GpuEngine::with_options(&gpu.device, &gpu.queue, plan, &options)?)
            }
        }
    }
}

/// Why `auto` takes the CPU, and what would make the GPU kernels run.
fn no_hardware(adapters: &[Adapter]) -> String {
    match adapters.first() {
        Some(software) => format!(
            "no hardware GPU found: computing on the CPU (--device gpu runs the GPU kernels in \
             software, on {})",
            software.get_info().name
        ),
        None => "no GPU found: computing on the CPU (to run the GPU kernels install your GPU's \
                 Vulkan driver, or Mesa's software one: mesa-vulkan-drivers)"
            .into(),
    }
}

/// Driver and version.
pub(crate) fn driver(info: &AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

/// The type of an adapter.
pub(crate) fn kind(info: &AdapterInfo) -> &'static str {
    match info.device_type {
        DeviceType::DiscreteGpu => "discrete GPU",
        DeviceType::IntegratedGpu => "integrated GPU",
        DeviceType::VirtualGpu => "virtual GPU",
        DeviceType::Cpu => "software",
        DeviceType::Other => "other",
    }
}

/// Bytes of memory that are left when so many are taken for the numbers of rows; or says that they are
/// too many.
pub(crate) fn memory_beside(data: u64, rows: usize) -> Result<u64, Failure> {
    let free = free_memory();
    free.checked_sub(data).ok_or_else(|| {
        Failure::input(format!(
            "{rows} rows need {} of memory beside the table, but {} are free \
             (train on fewer rows, or free some memory)",
            BinaryBytes(data),
            BinaryBytes(free)
        ))
    })
}

/// Bytes of memory that this process may still take, of the machine's or of its container's.
pub(crate) fn free_memory() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let container = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    match system.available_memory().min(container) {
        // The system doesn't tell.
        0 => u64::MAX,
        free => free,
    }
}
