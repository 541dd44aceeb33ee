//! Whether the steps of a net are fused.

use super::tuning::Variants;
use crate::error::{Error, Result};
use crate::ops::fused::Fused;
use crate::plan::Plan;
use crate::precision::Precision;

/// Whether forward pass, loss and backward pass of a training step are one dispatch.
///
/// A workgroup then takes some rows through the whole net and back, so that activations never leave
/// the chip; fully fused MLPs are due to Müller et al., "Real-time neural radiance caching for path
/// tracing" (2021). It suits nets of up to 16 linear layers, no wider than 128 (a first encoding may
/// be in front), with the same activation behind all but the last, none behind that, and neither norms nor
/// dropout, in f32. Gradients differ from those of single layers by rounding alone. Evaluations and
/// predictions go layer by layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fusion {
    /// Where the net suits and a [`Tuning`](super::Tuning) doesn't say otherwise, the device's limits have room for its buffers and for as many workgroups as keep a
    /// GPU busy, and the device is one; software adapters take layers faster.
    #[default]
    Auto,
    /// On any device; an error where the net doesn't suit.
    Always,
    /// Layer by layer.
    Never,
}

impl Fusion {
    /// How the plan's steps are fused, if they are.
    ///
    /// # Errors
    /// [`Error::Option`] where they have to be and can't.
    pub(super) fn decide(
        self,
        plan: &Plan,
        variants: &Variants,
        limits: &wgpu::Limits,
    ) -> Result<Option<Fused>> {
        let of_plan = || match plan.options().precision {
            Precision::F32 => Fused::of(plan, limits),
            Precision::Mixed => Err("its precision is mixed, and a fused step is in f32".into()),
        };
        match self {
            Self::Never => Ok(None),
            Self::Auto => {
                let suits = of_plan().ok();
                let rule = |fused: &Fused| !variants.abilities.software && fused.keeps_busy();
                Ok(suits.filter(|fused| variants.tuning.fused().unwrap_or_else(|| rule(fused))))
            }
            Self::Always => of_plan().map(Some).map_err(|reason| Error::Option {
                name: "fusion",
                value: format!("Always for {}, but {reason}", plan.mlp()),
                expected: "Fusion::Auto or Fusion::Never for this net",
            }),
        }
    }
}
