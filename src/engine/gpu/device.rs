//! An adapter and a device of our own, for those who don't bring one.

use crate::error::{Error, Result};

/// A device that wgrad made for itself, with what is known of its adapter.
///
/// Apps that have a device pass that to [`GpuEngine::new`](crate::GpuEngine::new) instead.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// The logical device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// Name, driver, backend and type.
    pub info: wgpu::AdapterInfo,
}

/// Features that make training faster where a device was opened with them. None is needed, but
/// `SHADER_F16` for [`Precision::Mixed`](crate::Precision::Mixed). `TIMESTAMP_QUERY` is for measurements.
pub const OPTIONAL_FEATURES: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::SHADER_F16);

/// Which adapter to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdapterChoice<'a> {
    /// The fastest hardware adapter: discrete before integrated before virtual. None if there is
    /// only software.
    #[default]
    Hardware,
    /// The fastest adapter, software included.
    Any,
    /// The first, in order of speed, whose name or driver contains this text, upper or lower case.
    Named(&'a str),
}

impl AdapterChoice<'_> {
    /// Whether it may fall on an adapter.
    #[must_use]
    pub fn fits(self, info: &wgpu::AdapterInfo) -> bool {
        match self {
            Self::Hardware => !is_software(info),
            Self::Any => true,
            Self::Named(part) => {
                let part = part.to_lowercase();
                [&info.name, &info.driver, &info.driver_info]
                    .iter()
                    .any(|text| text.to_lowercase().contains(&part))
            }
        }
    }
}

/// All adapters, the fastest kind first.
///
/// Those of Vulkan, Metal and DX12; of OpenGL only where there are no others, since looking for
/// them is slow and makes some drivers print. The environment variable `WGPU_BACKEND` overrides.
#[must_use]
pub fn adapters() -> Vec<wgpu::Adapter> {
    let found = |backends: wgpu::Backends| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle_from_env()
        });
        pollster::block_on(instance.enumerate_adapters(backends))
    };
    let mut adapters = match wgpu::Backends::from_env() {
        Some(backends) => found(backends),
        None => found(wgpu::Backends::PRIMARY),
    };
    if adapters.is_empty() && wgpu::Backends::from_env().is_none() {
        adapters = found(wgpu::Backends::GL);
    }
    adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
    adapters
}

/// Whether an adapter executes on a CPU.
#[must_use]
pub fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// Sorting key: faster kinds of device first, native backends before GL.
fn rank(info: &wgpu::AdapterInfo) -> (u8, u8) {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    (kind, u8::from(info.backend == wgpu::Backend::Gl))
}

impl Gpu {
    /// Opens a device on the chosen adapter, with WebGPU's default limits but for buffers, which
    /// may be as large as the adapter allows, and workgroup memory: up to 32 KiB.
    ///
    /// # Errors
    /// [`Error::Adapter`] if no adapter fits (it lists those that are there and says how to get
    /// one), [`Error::Device`] if the driver refuses.
    pub fn open(choice: AdapterChoice<'_>) -> Result<Self> {
        let adapters = adapters();
        let Some(adapter) = adapters.iter().find(|adapter| choice.fits(&adapter.get_info())) else {
            return Err(Error::Adapter(no_adapter(choice, &adapters)));
        };
        Self::from_adapter(adapter)
    }

    /// Opens a device on this adapter.
    ///
    /// # Errors
    /// [`Error::Device`] if the driver refuses.
    pub fn from_adapter(adapter: &wgpu::Adapter) -> Result<Self> {
        let offered = adapter.limits();
        let common = wgpu::Limits::default();
        let required_limits = if common.check_limits(&offered) {
            wgpu::Limits {
                max_buffer_size: offered.max_buffer_size,
                max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
                // What fused nets have a use for.
                max_compute_workgroup_storage_size: offered
                    .max_compute_workgroup_storage_size
                    .min(32 << 10),
                ..common
            }
        } else {
            // A small device: take all it has and let the plan see whether the net fits.
            offered
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgrad"),
            required_features: adapter.features() & OPTIONAL_FEATURES,
            required_limits,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| Error::Device { during: "opening the device", reason: e.to_string() })?;
        Ok(Self { device, queue, info: adapter.get_info() })
    }
}

fn no_adapter(choice: AdapterChoice<'_>, adapters: &[wgpu::Adapter]) -> String {
    let wanted = match choice {
        AdapterChoice::Hardware => "no hardware GPU found".to_owned(),
        AdapterChoice::Any => "no GPU adapter found".to_owned(),
        AdapterChoice::Named(part) => format!("no adapter has \"{part}\" in its name or driver"),
    };
    if adapters.is_empty() {
        if let Ok(backends) = std::env::var("WGPU_BACKEND") {
            return format!(
                "{wanted} by WGPU_BACKEND={backends}; leave it out to look in all backends"
            );
        }
        return format!(
            "{wanted}; install your GPU's Vulkan driver, or Mesa's software one (Debian and \
             Ubuntu: apt-get install mesa-vulkan-drivers)"
        );
    }
    let names: Vec<String> =
        adapters.iter().map(|adapter| format!("\"{}\"", adapter.get_info().name)).collect();
    format!("{wanted}; there is {}", names.join(", "))
}
