//! Numbers that go wrong: how a step shows it, and what a training does about it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::Plan;

/// What a training does where a loss, a gradient or a parameter is NaN or infinite. All of it is seen
/// where the step is computed (but for an infinite gradient that [`Clip::Value`](crate::Clip::Value) makes finite); the host hears of it with the step's metrics and never waits for it.
///
/// Whatever the policy, a loss on the validation rows (without such rows, on one batch) that isn't finite
/// at the end of an epoch counts as divergence, and parameters go back to those of the end of the last
/// epoch whose loss was finite, with the optimizer's moments 0.
///
/// ```
/// use wgrad::{Loss, OnDivergence, Optimizer, TrainOptions};
/// let mut options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
/// options.on_divergence = OnDivergence::Skip { most: 3 };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OnDivergence {
    /// Go back to the last good parameters and end with [`Error::Diverged`], which names the step and the
    /// tensor.
    #[default]
    Stop,
    /// Leave out the steps whose gradient isn't finite: parameters, moments and averages stay as they
    /// are; running statistics, which move on the way forward, take any batch whose own are finite. That is the case where Σg² isn't finite in f32, which is what
    /// clipping by norm looks at; finding out takes one dispatch more a step. Bias corrections count the
    /// step nevertheless, unlike where PyTorch's `GradScaler` skips. Batches whose loss isn't finite are left out
    /// of the epoch's sums.
    Skip {
        /// How many such steps in a row are put up with, at least 1; one more ends the training as
        /// [`Stop`](Self::Stop) does. So does a parameter that isn't finite.
        most: u32,
    },
    /// Go back to the last good parameters and repeat the steps since then with lower learning rates.
    RollBack {
        /// What the learning rate is multiplied with each time, in 0..1.
        factor: f64,
        /// How often, over the whole training, at least 1; the next time ends it as
        /// [`Stop`](Self::Stop) does.
        most: u32,
    },
}

impl OnDivergence {
    pub(crate) fn validate(self) -> Result<()> {
        let refuse = |name, value: String, expected| Err(Error::Option { name, value, expected });
        match self {
            Self::Skip { most: 0 } | Self::RollBack { most: 0, .. } => {
                refuse("on_divergence's most", "0".into(), "at least 1")
            }
            Self::RollBack { factor, .. } if !(factor > 0.0 && factor < 1.0) => {
                refuse("on_divergence's factor", factor.to_string(), "in 0..1, without 0 and 1")
            }
            _ => Ok(()),
        }
    }

    pub(crate) const fn skips(self) -> bool {
        matches!(self, Self::Skip { .. })
    }
}

/// What the optimizer saw go wrong in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Index in [`Plan::tensors`] of a tensor whose gradient or value isn't finite, the last of the
    /// arena: where all are of one parameter group, the one nearest to the loss. `None` if none is and
    /// only the sum of the gradient's squares overflowed.
    pub tensor: Option<usize>,
    /// Whether the step was left out, so that the parameters are what they were.
    pub skipped: bool,
    /// Whether it was left out only because the loss was scaled too much for f16, and is scaled less
    /// from now on: see [`Precision::Mixed`](crate::Precision::Mixed).
    pub rescaled: bool,
}

/// Set in a fault's word if the step wasn't left out.
const BROKEN: u32 = 1 << 31;
/// The word of a step that `shaders/scale.wgsl` puts down to the loss's scale.
const RESCALED: u32 = BROKEN - 1;

impl Fault {
    /// From what `shaders/optimizer.wgsl` raises, and `shaders/scale.wgsl` makes of it.
    pub(crate) fn of_word(word: u32, plan: &Plan) -> Option<Self> {
        if word == RESCALED {
            return Some(Self { tensor: None, skipped: true, rescaled: true });
        }
        let element = (word & !BROKEN).checked_sub(2);
        // The padding behind a tensor counts as its own: it shows a learning rate that isn't finite.
        let holder = |element: u32| {
            let tensors = plan.tensors().enumerate();
            let before = tensors.filter(|(_, tensor)| tensor.offset <= element as usize);
            before.max_by_key(|(_, tensor)| tensor.offset).map(|(index, _)| index)
        };
        (word != 0).then(|| Self {
            tensor: element.and_then(holder),
            skipped: word & BROKEN == 0,
            rescaled: false,
        })
    }

    /// The word of a step that was taken although the norm that clips its gradient isn't finite, which
    /// leaves nothing of the gradient.
    pub(crate) const OVERFLOW: u32 = BROKEN | 1;

    /// The word for the last element that isn't finite, if any, of a step that was left out or not.
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps arenas below 2³¹ − 2²⁴")]
    pub(crate) fn word(element: Option<usize>, skipped: bool) -> u32 {
        match (element, skipped) {
            (Some(element), true) => element as u32 + 2,
            (Some(element), false) => (element as u32 + 2) | BROKEN,
            (None, true) => 1,
            (None, false) => 0,
        }
    }
}

/// What a training remembers of its divergences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recovery {
    /// Steps left out in a row, up to now.
    pub in_a_row: u32,
    /// Steps left out of the epoch under way.
    pub skipped: u64,
    /// Others that were, because the loss was scaled too much.
    #[serde(default)]
    pub rescaled: u64,
    /// How often it went back.
    pub rollbacks: u32,
    /// What that made of the learning rate.
    pub factor: f64,
    /// Steps before the optimizer's moments were last 0: bias corrections count from there.
    #[serde(default)]
    pub moments_from: u64,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { in_a_row: 0, skipped: 0, rescaled: 0, rollbacks: 0, factor: 1.0, moments_from: 0 }
    }
}

impl Recovery {
    /// Takes note of a step; says whether it has to end or turn back the training.
    pub(crate) fn observe(
        &mut self,
        policy: OnDivergence,
        loss_is_finite: bool,
        fault: Option<Fault>,
    ) -> bool {
        if loss_is_finite && fault.is_none() {
            self.in_a_row = 0;
            return false;
        }
        if fault.is_some_and(|fault| fault.rescaled) {
            self.rescaled += 1;
            return false;
        }
        let OnDivergence::Skip { most } = policy else { return true };
        self.in_a_row += 1;
        self.skipped += u64::from(fault.is_some());
        fault.is_some_and(|fault| !fault.skipped) || self.in_a_row > most
    }

    /// Whether so many steps can have come to it.
    pub(crate) fn is_possible(&self, steps: u64) -> bool {
        let counts = [self.in_a_row.into(), self.skipped, self.rescaled, self.moments_from];
        counts.iter().all(|&count| count <= steps)
    }

    /// Forgets the steps that a training has gone back over.
    pub(crate) fn begin_again(&mut self) {
        (self.in_a_row, self.skipped, self.rescaled) = (0, 0, 0);
    }

    /// Lowers the learning rate, if the policy is to go back and hasn't done so too often.
    pub(crate) fn rolls_back(&mut self, policy: OnDivergence) -> bool {
        let OnDivergence::RollBack { factor, most } = policy else { return false };
        if self.rollbacks == most {
            return false;
        }
        self.rollbacks += 1;
        self.factor *= factor;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKIPPED: Option<Fault> = Some(Fault { tensor: None, skipped: true, rescaled: false });

    #[test]
    fn skips_end_after_so_many_in_a_row() {
        let policy = OnDivergence::Skip { most: 2 };
        let mut recovery = Recovery::default();
        let mut ends = |finite, fault| recovery.observe(policy, finite, fault);
        assert!(!ends(false, SKIPPED) && !ends(true, SKIPPED));
        // A loss that isn't finite is one of them, whatever the gradient.
        assert!(ends(false, None));
        assert!(!ends(true, None), "a good step begins anew");
        assert!(!ends(false, SKIPPED) && !ends(false, None) && ends(true, SKIPPED));
        assert_eq!(recovery.skipped, 4);
        let broken = Some(Fault { tensor: Some(0), skipped: false, rescaled: false });
        assert!(Recovery::default().observe(policy, true, broken), "parameters are lost");
    }

    #[test]
    fn rollbacks_are_counted() {
        let policy = OnDivergence::RollBack { factor: 0.5, most: 2 };
        let mut recovery = Recovery::default();
        assert!(recovery.observe(policy, false, None));
        assert!(recovery.rolls_back(policy) && recovery.rolls_back(policy));
        assert!(!recovery.rolls_back(policy) && !recovery.rolls_back(OnDivergence::Stop));
        assert_eq!((recovery.factor, recovery.rollbacks), (0.25, 2));
    }

    #[test]
    fn ranges_are_checked() {
        assert!(OnDivergence::Skip { most: 0 }.validate().is_err());
        for factor in [0.0, 1.0, f64::NAN] {
            assert!(OnDivergence::RollBack { factor, most: 1 }.validate().is_err(), "{factor}");
        }
        assert!(OnDivergence::RollBack { factor: 0.5, most: 1 }.validate().is_ok());
    }

    #[test]
    fn a_word_tells_the_tensor() {
        let mlp = crate::Mlp::new(2).linear(3).linear(1);
        let options = crate::TrainOptions::new(crate::Loss::Mse, crate::Optimizer::sgd(0.1));
        let plan = Plan::new(&mlp, &options).unwrap();
        let tensors: Vec<_> = plan.tensors().collect();
        for (index, tensor) in tensors.iter().enumerate() {
            for skipped in [true, false] {
                let word = Fault::word(Some(tensor.offset + tensor.len() - 1), skipped);
                assert_eq!(
                    Fault::of_word(word, &plan),
                    Some(Fault { tensor: Some(index), skipped, rescaled: false })
                );
            }
        }
        assert_eq!(Fault::of_word(Fault::word(None, true), &plan), SKIPPED);
        assert_eq!(Fault::of_word(Fault::word(None, false), &plan), None);
        let overflow = Fault { tensor: None, skipped: false, rescaled: false };
        assert_eq!(Fault::of_word(Fault::OVERFLOW, &plan), Some(overflow));
    }
}
