//! In how many bits a training keeps its numbers.

use serde::{Deserialize, Serialize};

/// In which numbers activations, their gradients and the weights that products read are stored. All is
/// computed in f32.
///
/// ```
/// use wgrad::{Loss, Optimizer, Precision, TrainOptions};
/// let mut options = TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adamw(1e-3));
/// options.precision = Precision::Mixed;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// f16, but for what has to be exact: the parameters that the optimizer changes, its moments, the
    /// gradients of parameters, sums and statistics, the net's inputs and its outputs are f32. What the
    /// products of inner layers read and write of activations and weights is half as many bytes; nets that
    /// suit [`Fusion`](crate::Fusion) keep their activations on the chip in f32 anyway.
    ///
    /// Gradients of activations are small: so that they keep to the range of f16, the loss is multiplied
    /// with a power of two, and the gradients of the parameters are divided by it again. It begins with
    /// 2¹⁶; a step whose gradient overflows is left out and halves it, 2000 steps without one double it.
    /// The device decides that, without a word of the host's (Micikevicius et al., "Mixed precision
    /// training", 2018; PyTorch's `autocast` and `GradScaler`). If it has come down to 1, what overflows
    /// is treated as [`OnDivergence`](crate::OnDivergence) says.
    ///
    /// Only [`GpuEngine`](crate::GpuEngine) does so, on devices with the feature `SHADER_F16`;
    /// [`CpuEngine`](crate::CpuEngine) computes in its own numbers all the same. Steps aren't fused, and
    /// there is no [`Module`](crate::Module).
    Mixed,
}

impl Precision {
    pub(crate) const fn is_mixed(self) -> bool {
        matches!(self, Self::Mixed)
    }
}
