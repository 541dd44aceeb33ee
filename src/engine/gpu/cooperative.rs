//! Products by the matrix units of a GPU: where a device has them, and whether it is to be trusted with them.
//!
//! wgpu calls the feature experimental, so only a host app can enable it for its device; it tells what its
//! adapter offers by [`GpuOptions::cooperative_matrix`]. No rule chooses these forms:
//! [`GpuEngine::tune`](super::GpuEngine::tune) tries them out, if they compute right.

use super::forms::Abilities;
use super::tuning::Tuning;
use super::{Fusion, Gpu, GpuOptions};
use crate::check::Check;
use crate::error::Result;
use crate::ops::product::{Form, SUBGROUP};
use crate::precision::Precision;

impl Abilities {
    /// With the matrix units of an adapter, if the device can use them for numbers of this precision.
    pub(super) fn with_matrix_units(
        mut self,
        device: &wgpu::Device,
        offered: &[wgpu::CooperativeMatrixProperties],
        precision: Precision,
    ) -> Self {
        let info = device.adapter_info();
        let of_its_size = [info.subgroup_min_size, info.subgroup_max_size] == [SUBGROUP; 2];
        let enabled = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        if of_its_size && device.features().contains(enabled) {
            self.cooperative = form(offered, precision);
        }
        self
    }
}

/// The form for what an adapter offers. f16 would cost an f32 training its accuracy.
fn form(offered: &[wgpu::CooperativeMatrixProperties], precision: Precision) -> Option<Form> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let has = |size, factor| {
        offered.iter().any(|unit| {
            [unit.m_size, unit.n_size, unit.k_size] == [size; 3]
                && (unit.ab_type, unit.cr_type) == (factor, F32)
        })
    };
    match precision {
        Precision::Mixed if has(16, F16) => Some(Form::Cooperative16),
        _ if has(8, F32) => Some(Form::Cooperative8),
        _ => None,
    }
}

/// Whether small trainings, all of whose products take the form, come out right.
pub(super) fn is_trusted(
    gpu: &Gpu,
    options: &GpuOptions,
    form: Form,
    precision: Precision,
) -> Result<bool> {
    for check in Check::all() {
        if check.precision() != precision || !check.in_each_form {
            continue;
        }
        let tuning = Tuning::of_form(&check.plan()?, form);
        let options = GpuOptions { fusion: Fusion::Never, tuning, ..options.clone() };
        if !check.run_with(gpu, &options)?.is_sound() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_is_offered() {
        use wgpu::CooperativeScalarType::{F16, F32};
        let unit = |size, ab_type, cr_type| wgpu::CooperativeMatrixProperties {
            m_size: size,
            n_size: size,
            k_size: size,
            ab_type,
            cr_type,
            saturating_accumulation: false,
        };
        let metal = [unit(8, F32, F32)];
        let vulkan = [unit(16, F16, F16), unit(16, F16, F32)];
        let both = [metal[0], vulkan[1]];
        for (offered, single, mixed) in [
            (&metal[..], Some(Form::Cooperative8), Some(Form::Cooperative8)),
            (&vulkan, None, Some(Form::Cooperative16)),
            (&both, Some(Form::Cooperative8), Some(Form::Cooperative16)),
            (&vulkan[..1], None, None),
            (&[], None, None),
        ] {
            assert_eq!(form(offered, Precision::F32), single, "{offered:?}");
            assert_eq!(form(offered, Precision::Mixed), mixed, "{offered:?}");
        }
    }

    /// Trained in the forms that there are here: the self-test runs, and says that they are sound.
    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn a_form_that_computes_right_is_trusted() {
        let gpu = Gpu::open(crate::AdapterChoice::Any).unwrap();
        let options = GpuOptions::default();
        assert!(is_trusted(&gpu, &options, Form::Tiled4, Precision::F32).unwrap());
    }
}
