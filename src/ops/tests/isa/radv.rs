//! Mesa's AMD driver RADV, which compiles pipelines for GPUs that aren't there and tells what the
//! machine code needs (`VK_KHR_pipeline_executable_properties`).
#![expect(unsafe_code, reason = "wgpu doesn't tell what a driver makes of a kernel; Vulkan does")]

use std::ffi::CStr;

use ash::{ext, khr, vk};

use crate::engine::kernel::{Access, Binding};

/// A device of the family that the environment asks for.
pub(super) struct Radv {
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    instance: ash::Instance,
    /// Keeps Vulkan's library loaded.
    _entry: ash::Entry,
    /// As the driver calls it.
    pub name: String,
}

/// What the driver tells of a compiled kernel.
pub(super) struct Executable {
    statistics: Vec<(String, u64)>,
    /// Machine code in text form.
    pub assembly: String,
}

impl Executable {
    /// A statistic by the driver's name for it.
    pub(super) fn statistic(&self, name: &str) -> u64 {
        let found = self.statistics.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no \"{name}\" among {:?}", self.statistics)).1
    }
}

impl Radv {
    /// Opens the only device there is.
    ///
    /// # Panics
    /// If it isn't RADV's, or can't be opened.
    pub(super) fn open() -> Self {
        // SAFETY: the loader that the system installed, which is what wgpu loads as well.
        let entry = unsafe { ash::Entry::load() }.expect("Vulkan's loader");
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let description = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: the description is complete and outlives the call.
        let instance = unsafe { entry.create_instance(&description, None) }.expect("instance");
        // SAFETY: the instance lives.
        let gpus = unsafe { instance.enumerate_physical_devices() }.expect("physical devices");
        let [gpu] = gpus[..] else { panic!("{} devices instead of the one asked for", gpus.len()) };
        // SAFETY: the device is the instance's.
        let properties = unsafe { instance.get_physical_device_properties(gpu) };
        let name = text(&properties.device_name);
        assert!(name.contains("RADV"), "{name} isn't RADV's");

        // Robust access is what wgpu asks for, and the driver's loads depend on it.
        let mut executable_info =
            vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
                .pipeline_executable_info(true);
        let mut robustness =
            vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
        let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
        let queues =
            [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
        let extensions =
            [khr::pipeline_executable_properties::NAME.as_ptr(), ext::robustness2::NAME.as_ptr()];
        let description = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&extensions)
            .enabled_features(&features)
            .push_next(&mut executable_info)
            .push_next(&mut robustness);
        // SAFETY: the device is the instance's, every driver has a queue family 0, and the
        // description outlives the call.
        let device = unsafe { instance.create_device(gpu, &description, None) }.expect("device");
        let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);
        Self { device, executables, instance, _entry: entry, name }
    }

    /// Compiles a module with the entry point `main` that uses these bindings of group 0.
    pub(super) fn compile(&self, spirv: &[u32], bindings: &[Binding]) -> Executable {
        let bindings: Vec<_> = (0..).zip(bindings).map(descriptor).collect();
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .name(c"main");
        let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
            | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        let device = &self.device;
        // SAFETY: naga's valid SPIR-V, and bindings that agree with it as a test of all records
        // says. All objects are the device's, live until the last use and are destroyed once.
        unsafe {
            let code = vk::ShaderModuleCreateInfo::default().code(spirv);
            let module = device.create_shader_module(&code, None).expect("shader module");
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&set, None).expect("set layout")];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None).expect("pipeline layout");
            let description = vk::ComputePipelineCreateInfo::default()
                .stage(stage.module(module))
                .layout(layout)
                .flags(flags);
            let pipeline = device
                .create_compute_pipelines(vk::PipelineCache::null(), &[description], None)
                .expect("pipeline")[0];
            let executable = Executable {
                statistics: self.statistics(pipeline),
                assembly: self.assembly(pipeline),
            };
            device.destroy_pipeline(pipeline, None);
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            device.destroy_shader_module(module, None);
            executable
        }
    }

    /// # Safety
    /// The pipeline must be the device's and have been made with its statistics captured.
    unsafe fn statistics(&self, pipeline: vk::Pipeline) -> Vec<(String, u64)> {
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: as this function demands; a compute pipeline has one executable, the first.
        let found = unsafe { self.executables.get_pipeline_executable_statistics(&info) };
        let found = found.expect("statistics");
        let counts =
            found.iter().filter(|s| s.format == vk::PipelineExecutableStatisticFormatKHR::UINT64);
        // SAFETY: the format tells which field of the union is there.
        counts.map(|s| (text(&s.name), unsafe { s.value.u64 })).collect()
    }

    /// # Safety
    /// The pipeline must be the device's and have been made with its representations captured.
    unsafe fn assembly(&self, pipeline: vk::Pipeline) -> String {
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: as this function demands; without places to write to the driver tells sizes.
        let mut found =
            unsafe { self.executables.get_pipeline_executable_internal_representations(&info) }
                .expect("representations");
        let mut texts: Vec<_> = found.iter().map(|r| vec![0_u8; r.data_size]).collect();
        for (representation, text) in found.iter_mut().zip(&mut texts) {
            representation.p_data = text.as_mut_ptr().cast();
        }
        let mut count = u32::try_from(found.len()).expect("a few representations");
        // SAFETY: each place is as large as the driver said, and outlives the call.
        unsafe {
            (self.executables.fp().get_pipeline_executable_internal_representations_khr)(
                self.device.handle(),
                &info,
                &mut count,
                found.as_mut_ptr(),
            )
        }
        .result()
        .expect("representations");
        let assembly = found.iter().position(|r| text(&r.name) == "Assembly");
        let assembly = assembly.expect("an assembly among the representations");
        String::from_utf8_lossy(&texts[assembly]).trim_end_matches('\0').to_owned()
    }
}

impl Drop for Radv {
    fn drop(&mut self) {
        // SAFETY: nothing made from them is left.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

/// As wgpu lays out a binding.
fn descriptor((slot, binding): (u32, &Binding)) -> vk::DescriptorSetLayoutBinding<'static> {
    let ty = match binding.access {
        Access::Uniform { .. } => vk::DescriptorType::UNIFORM_BUFFER,
        Access::Step { .. } => vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC,
        Access::Read | Access::ReadWrite => vk::DescriptorType::STORAGE_BUFFER,
    };
    vk::DescriptorSetLayoutBinding::default()
        .binding(slot)
        .descriptor_type(ty)
        .descriptor_count(1)
        .stage_flags(vk::ShaderStageFlags::COMPUTE)
}

/// Text of a fixed field.
fn text(field: &[std::ffi::c_char]) -> String {
    // SAFETY: c_char is a byte, signed or not.
    let bytes = unsafe { std::slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    CStr::from_bytes_until_nul(bytes).unwrap_or_default().to_string_lossy().into_owned()
}
