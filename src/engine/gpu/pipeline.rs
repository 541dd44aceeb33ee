//! Pipelines made from kernel records, and bind groups by name.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::scope::in_scope;
use crate::engine::kernel::{Access, Halves, Kernel};
use crate::error::Result;

/// Whether naga adds bounds checks, loop bounds and division checks to a kernel.
///
/// Tests run every kernel both ways; training runs without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    On,
    Off,
}

/// A pipeline that [`Pipelines::compile`] sets.
pub(crate) type Compiled = Arc<OnceLock<wgpu::ComputePipeline>>;

/// A kernel for one set of choices: its layout at once, its code when it is compiled.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub kernel: &'static Kernel,
    /// Which of its buffers hold f16.
    halves: Halves,
    pub compiled: Compiled,
    layout: wgpu::BindGroupLayout,
}

/// The pipelines of one device, each made once. Drivers take up to a second for one, so they are
/// compiled together, as many at a time as there are threads.
#[derive(Debug)]
pub(crate) struct Pipelines {
    device: wgpu::Device,
    checks: Checks,
    /// The host app's, if it has one.
    pub cache: Option<wgpu::PipelineCache>,
    made: HashMap<(&'static str, Halves, Vec<u64>), Pipeline>,
    /// What is made but not compiled, with its choices.
    waiting: Vec<(Pipeline, Vec<f64>)>,
}

impl Pipelines {
    pub(crate) fn new(device: &wgpu::Device, checks: Checks) -> Self {
        let (made, waiting) = (HashMap::new(), Vec::new());
        Self { device: device.clone(), checks, cache: None, made, waiting }
    }

    /// The pipeline of a kernel whose buffers hold f16 as told, for values of its choices, in the record's
    /// order. It runs when [`compile`](Self::compile) has been called.
    pub(crate) fn get(
        &mut self,
        kernel: &'static Kernel,
        halves: Halves,
        choices: &[f64],
    ) -> &Pipeline {
        let key = (kernel.name, halves, choices.iter().map(|c| c.to_bits()).collect());
        self.made.entry(key).or_insert_with(|| {
            let pipeline = Pipeline::new(&self.device, kernel, halves);
            self.waiting.push((pipeline.clone(), choices.to_vec()));
            pipeline
        })
    }

    /// Compiles all that were made since the last call.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the driver can't compile one.
    ///
    /// # Panics
    /// If choices aren't those of a variant: a bug in this crate.
    pub(crate) fn compile(&mut self) -> Result<()> {
        let (device, checks, cache) = (&self.device, self.checks, self.cache.as_ref());
        let result = self.waiting.par_iter().try_for_each(|(pipeline, choices)| {
            // Error scopes are a thread's own.
            let compiled = in_scope(device, "compiling a kernel", || {
                pipeline.compile(device, choices, checks, cache)
            })?;
            // Set here alone.
            let _ = pipeline.compiled.set(compiled);
            Ok(())
        });
        // After an error some are left.
        self.waiting.retain(|(pipeline, _)| pipeline.compiled.get().is_none());
        result
    }

    /// Whether all that were made can run.
    pub(crate) fn are_compiled(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// A kernel's module with a part that the host app wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostModule<'a> {
    pub wgsl: &'a str,
    /// Layout of the host's group 1, if it has one.
    pub group: Option<&'a wgpu::BindGroupLayout>,
}

impl Pipeline {
    pub(crate) fn new(device: &wgpu::Device, kernel: &'static Kernel, halves: Halves) -> Self {
        let label = format!("wgrad.{}", kernel.name);
        let entries: Vec<_> = (0_u32..)
            .zip(kernel.bindings)
            .map(|(binding, declared)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: binding_type(declared.access),
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label),
            entries: &entries,
        });
        Self { kernel, halves, compiled: Compiled::default(), layout }
    }

    fn compile(
        &self,
        device: &wgpu::Device,
        choices: &[f64],
        checks: Checks,
        cache: Option<&wgpu::PipelineCache>,
    ) -> wgpu::ComputePipeline {
        let kernel = self.kernel;
        let module = shader_module(device, kernel, self.halves, checks);
        let constants = kernel.constants_for(choices);
        self.create(device, &[Some(&self.layout)], &module, &constants, checks, cache)
    }

    /// The pipeline of a module with code of the host app in it: with all checks, unlike our own.
    pub(crate) fn compile_host_module(
        &self,
        device: &wgpu::Device,
        module: &HostModule<'_>,
        cache: Option<&wgpu::PipelineCache>,
    ) -> wgpu::ComputePipeline {
        let created = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&format!("wgrad.{}", self.kernel.name)),
            source: wgpu::ShaderSource::Wgsl(module.wgsl.into()),
        });
        let both = [Some(&self.layout), module.group];
        let layouts = if module.group.is_some() { &both[..] } else { &both[..1] };
        self.create(device, layouts, &created, self.kernel.constants, Checks::On, cache)
    }

    fn create(
        &self,
        device: &wgpu::Device,
        layouts: &[Option<&wgpu::BindGroupLayout>],
        module: &wgpu::ShaderModule,
        constants: &[(&str, f64)],
        checks: Checks,
        cache: Option<&wgpu::PipelineCache>,
    ) -> wgpu::ComputePipeline {
        let label = format!("wgrad.{}", self.kernel.name);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: layouts,
            immediate_size: 0,
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: checks == Checks::On,
            },
            cache,
        })
    }

    /// Binds buffers by name, in any order; called while planning, never per step.
    ///
    /// # Panics
    /// If a declared binding is missing or an undeclared one is given: a bug in this crate.
    pub(crate) fn bind(
        &self,
        device: &wgpu::Device,
        label: &str,
        buffers: &[(&str, wgpu::BufferBinding<'_>)],
    ) -> wgpu::BindGroup {
        let Kernel { name, bindings, .. } = self.kernel;
        assert_eq!(buffers.len(), bindings.len(), "bindings of {name}");
        let entries: Vec<_> = (0_u32..)
            .zip(*bindings)
            .map(|(binding, declared)| {
                let found = buffers.iter().find(|(name, _)| *name == declared.name);
                let Some((_, buffer)) = found else {
                    panic!("{name}: no buffer for {}", declared.name)
                };
                let mut buffer = buffer.clone();
                if let Access::Step { size, .. } = declared.access {
                    buffer.size = std::num::NonZeroU64::new(size);
                }
                wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(buffer) }
            })
            .collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &self.layout,
            entries: &entries,
        })
    }
}

fn binding_type(access: Access) -> wgpu::BindingType {
    let (ty, has_dynamic_offset, min_binding_size) = match access {
        Access::Uniform { size, .. } => {
            (wgpu::BufferBindingType::Uniform, false, std::num::NonZeroU64::new(size))
        }
        Access::Step { size, .. } => {
            (wgpu::BufferBindingType::Uniform, true, std::num::NonZeroU64::new(size))
        }
        Access::Read => (wgpu::BufferBindingType::Storage { read_only: true }, false, None),
        Access::ReadWrite => (wgpu::BufferBindingType::Storage { read_only: false }, false, None),
    };
    wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size }
}

fn shader_module(
    device: &wgpu::Device,
    kernel: &Kernel,
    halves: Halves,
    checks: Checks,
) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(&format!("wgrad.{}", kernel.name)),
        source: wgpu::ShaderSource::Wgsl(halves.module(kernel)),
    };
    match checks {
        Checks::On => device.create_shader_module(descriptor),
        Checks::Off => {
            #[expect(unsafe_code, reason = "runtime checks would run in every inner loop")]
            // SAFETY: the kernels are this crate's own. Every index they use is guarded by the
            // shape and step uniforms, which the plan derives from the buffers' lengths, and every
            // loop ends by these. Tests run kernels with and without the checks, on buffers
            // with guard words behind them.
            unsafe {
                device.create_shader_module_trusted(
                    descriptor,
                    wgpu::ShaderRuntimeChecks::unchecked(),
                )
            }
        }
    }
}
