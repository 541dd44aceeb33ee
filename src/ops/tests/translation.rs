//! Every variant of every kernel in every language that wgpu hands to drivers.

use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::ModuleInfo;
use naga::{Module, ShaderStage};

use super::records::{parse, storages, validate};
use crate::engine::kernel::{Halves, Kernel};
use crate::ops;

const ENTRY: &str = "main";

/// No bounds checks, as in modules that wgpu trusts.
const UNCHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Unchecked,
    buffer: BoundsCheckPolicy::Unchecked,
    image_load: BoundsCheckPolicy::Unchecked,
    binding_array: BoundsCheckPolicy::Unchecked,
};

/// A kernel for one combination of its choices, its overrides replaced by their values.
pub(super) struct Variant {
    pub kernel: &'static Kernel,
    pub halves: Halves,
    pub choices: Vec<f64>,
    module: Module,
    info: ModuleInfo,
}

/// Every variant of these kernels, made as wgpu makes a pipeline.
pub(super) fn variants(kernels: &[&'static Kernel]) -> impl Iterator<Item = Variant> {
    let stored = kernels
        .iter()
        .flat_map(|kernel| storages(kernel).into_iter().map(move |halves| (*kernel, halves)));
    stored.flat_map(|(kernel, halves)| {
        let module = parse(kernel, halves);
        let info = validate(kernel, halves, &module);
        kernel.variants().into_iter().map(move |choices| {
            let constants = kernel.constants_for(&choices);
            let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value));
            let entry = Some((ShaderStage::Compute, ENTRY));
            let (module, info) = naga::back::pipeline_constants::process_overrides(
                &module,
                &info,
                entry,
                &constants.collect(),
            )
            .unwrap_or_else(|e| panic!("{} for {choices:?}: {e}", kernel.name));
            let (module, info) = (module.into_owned(), info.into_owned());
            Variant { kernel, halves, choices, module, info }
        })
    })
}

impl Variant {
    /// Bytes of workgroup memory that it declares.
    pub(super) fn workgroup_bytes(&self) -> u32 {
        let mut layouts = naga::proc::Layouter::default();
        layouts.update(self.module.to_ctx()).unwrap_or_else(|e| panic!("{self}: {e:?}"));
        let shared = self.module.global_variables.iter().map(|(_, variable)| variable);
        let shared = shared.filter(|variable| variable.space == naga::AddressSpace::WorkGroup);
        shared.map(|variable| layouts[variable.ty].size).sum()
    }

    /// SPIR-V as wgpu's Vulkan backend makes it of a trusted module.
    pub(super) fn spirv(&self) -> Vec<u32> {
        let options = spv::Options {
            lang_version: (1, 6),
            flags: spv::WriterFlags::empty(),
            bounds_check_policies: UNCHECKED,
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: false,
            emit_int_div_checks: false,
            ..spv::Options::default()
        };
        let pipeline = spv::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: ENTRY.to_owned(),
        };
        spv::write_vec(&self.module, &self.info, &options, Some(&pipeline))
            .unwrap_or_else(|e| panic!("{self}: {e}"))
    }

    /// The value of a choice, if the kernel has it.
    pub(super) fn choice(&self, name: &str) -> Option<f64> {
        let at = self.kernel.choices.iter().position(|choice| choice.name == name)?;
        Some(self.choices[at])
    }

    /// Whether it needs matrix units.
    pub(super) fn is_cooperative(&self) -> bool {
        self.kernel.name.contains("cooperative")
    }

    /// Slots of its bindings that the pipeline keeps.
    fn bindings(&self) -> impl Iterator<Item = (naga::ResourceBinding, u8)> {
        self.module.global_variables.iter().filter_map(|(_, variable)| {
            let binding = variable.binding?;
            u8::try_from(binding.binding).ok().map(|slot| (binding, slot))
        })
    }

    /// Metal's language at the version of macOS 10.14.
    fn msl(&self) -> Result<String, msl::Error> {
        let target = |slot| msl::BindTarget { buffer: Some(slot), mutable: true, ..<_>::default() };
        let resources = msl::EntryPointResources {
            resources: self.bindings().map(|(binding, slot)| (binding, target(slot))).collect(),
            // wgpu tells lengths of buffers behind all of them.
            sizes_buffer: u8::try_from(self.kernel.bindings.len()).ok(),
            ..msl::EntryPointResources::default()
        };
        let options = msl::Options {
            // Matrix units came with that of macOS 11.
            lang_version: if self.is_cooperative() { (2, 3) } else { (2, 1) },
            per_entry_point_map: [(ENTRY.to_owned(), resources)].into(),
            fake_missing_bindings: false,
            bounds_check_policies: UNCHECKED,
            zero_initialize_workgroup_memory: false,
            force_loop_bounding: false,
            emit_int_div_checks: false,
            ..msl::Options::default()
        };
        let pipeline = msl::PipelineOptions {
            entry_point: Some((ShaderStage::Compute, ENTRY.to_owned())),
            ..msl::PipelineOptions::default()
        };
        msl::write_string(&self.module, &self.info, &options, &pipeline).map(|(text, _)| text)
    }

    /// HLSL for Direct3D's older compiler, or with f16 for the newer one.
    fn hlsl(&self) -> Result<String, hlsl::Error> {
        let has_halves = self.halves != Halves::NONE;
        let shader_model =
            if has_halves { hlsl::ShaderModel::V6_2 } else { hlsl::ShaderModel::V5_1 };
        let target = |slot| hlsl::BindTarget { register: u32::from(slot), ..<_>::default() };
        let options = hlsl::Options {
            shader_model,
            binding_map: self.bindings().map(|(binding, slot)| (binding, target(slot))).collect(),
            fake_missing_bindings: false,
            // Where wgpu tells the number of workgroups.
            special_constants_binding: Some(hlsl::BindTarget { space: 1, ..<_>::default() }),
            zero_initialize_workgroup_memory: false,
            restrict_indexing: false,
            force_loop_bounding: false,
            ..hlsl::Options::default()
        };
        let pipeline =
            hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, ENTRY.to_owned())) };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &pipeline).write(&self.module, &self.info, None)?;
        Ok(text)
    }

    /// GLSL ES 3.1, the first with compute shaders.
    fn glsl(&self) -> Result<String, glsl::Error> {
        let options = glsl::Options {
            version: glsl::Version::new_gles(310),
            binding_map: self.bindings().collect(),
            zero_initialize_workgroup_memory: false,
            ..glsl::Options::default()
        };
        let pipeline = glsl::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: ENTRY.to_owned(),
            multiview: None,
        };
        let mut text = String::new();
        let (module, info) = (&self.module, &self.info);
        glsl::Writer::new(&mut text, module, info, &options, &pipeline, UNCHECKED)?.write()?;
        Ok(text)
    }
}

impl std::fmt::Display for Variant {
    /// The kernel's name and the values of its choices.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kernel.name)?;
        if self.halves != Halves::NONE {
            f.write_str(" in f16")?;
        }
        self.kernel
            .choices
            .iter()
            .zip(&self.choices)
            .try_for_each(|(choice, value)| write!(f, " {}={value}", choice.name))
    }
}

/// Translates every variant and looks for what only a compute shader of the language has.
fn translate<E: std::fmt::Display>(
    translation: impl Fn(&Variant) -> Result<String, E>,
    hallmark: &str,
    takes: impl Fn(&Variant) -> bool,
) {
    for variant in variants(&ops::all()).filter(takes) {
        let text = translation(&variant).unwrap_or_else(|e| panic!("{variant}: {e}"));
        assert!(text.contains(hallmark), "{variant}: no {hallmark} in\n{text}");
    }
}

#[test]
fn every_variant_translates_for_metal() {
    // Metal's units multiply squares of 8×8.
    let takes = |variant: &Variant| !variant.kernel.name.contains("cooperative16");
    translate(Variant::msl, "kernel void main_(", takes);
}

#[test]
fn every_variant_translates_for_direct3d() {
    // Which has no matrix units.
    translate(Variant::hlsl, "[numthreads(", |variant| !variant.is_cooperative());
}

#[test]
fn every_variant_translates_for_vulkan() {
    // Which products of matrix units become.
    const MULTIPLY_ADD: u32 = 4459;
    for variant in variants(&ops::all()) {
        let words = variant.spirv();
        let multiplies = words.iter().any(|word| word & 0xFFFF == MULTIPLY_ADD && word >> 16 >= 6);
        assert!(!variant.is_cooperative() || multiplies, "{variant} multiplies no squares");
    }
}

#[test]
fn every_variant_translates_for_opengl_es() {
    // Which has no f16, as wgpu's backend for it hasn't.
    let takes = |variant: &Variant| variant.halves == Halves::NONE && !variant.is_cooperative();
    translate(Variant::glsl, "layout(local_size_x = ", takes);
}
