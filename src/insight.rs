//! What a step does to each parameter tensor, measured.

use crate::activation::Activation;
use crate::ops::insight::TENSOR_WORDS;
use crate::optimizer::{Update, group_of};
use crate::plan::{Plan, Stage, Tensor};

/// Measurements of one training step ([`TrainOptions::insight_every`]).
///
/// ```
/// use std::ops::ControlFlow;
/// use wgrad::data::{Dataset, Targets};
/// use wgrad::{CpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions, Trainer};
///
/// let data = Dataset::new(vec![-1.0, 1.0], 1, Targets::Values { values: vec![0.0, 2.0], width: 1 })?;
/// let mut options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
/// options.insight_every = Some(1);
/// let plan = Plan::new(&Mlp::new(1).linear(1), &options)?;
/// let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, None)?;
/// trainer.train_epoch(|progress| {
///     for tensor in progress.insight.into_iter().flat_map(|insight| &insight.tensors) {
///         // Adam's first step is of full length: |m̂|/(√v̂ + ε) = 1.
///         assert!((tensor.effective_step.mean - 1.0).abs() < 1e-3);
///     }
///     ControlFlow::Continue(())
/// })?;
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// [`TrainOptions::insight_every`]: crate::TrainOptions::insight_every
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Insight {
    /// Step, counted from 1.
    pub step: u64,
    /// Each trained tensor, in the order of the model file.
    pub tensors: Vec<TensorInsight>,
    /// Share of the units behind each ReLU that were 0 for every row of the batch (of its last part,
    /// with [`micro_batch`](crate::TrainOptions::micro_batch)), with the position of the ReLU's
    /// stage in the net: such units don't learn from it. 0 to 1.
    pub dead_units: Vec<(usize, f64)>,
}

/// One tensor in one step. Norms are Euclidean.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorInsight {
    /// Name in the model file, for example `0.weight`.
    pub name: String,
    /// ‖w‖ before the step.
    pub weight_norm: f64,
    /// ‖g‖ of the loss's gradient, before clipping and weight decay.
    pub gradient_norm: f64,
    /// ‖Δw‖, weight decay included.
    pub update_norm: f64,
    /// |Δ|/η over the elements, Δ the step without decoupled decay: for Adam |m̂|/(√v̂ + ε), about 1
    /// where gradients agree from step to step, below 1 where they scatter around 0.
    pub effective_step: Spread,
    /// By how much decay shrinks each weight, relative to it: the single ηλ where it is decoupled;
    /// for Adam with L2 ηλ/((1−β₁ᵗ)(√v̂ + ε)), which differs from weight to weight. Empty without
    /// weight decay, and for rules that don't divide by √v.
    pub decay: Option<Spread>,
}

impl TensorInsight {
    /// ‖Δw‖/‖w‖; about 1e-3 is usual for a training that goes well. NaN for a tensor of zeros.
    #[must_use]
    pub fn update_ratio(&self) -> f64 {
        self.update_norm / self.weight_norm
    }
}

/// How a quantity is spread over the elements of a tensor.
///
/// Quantiles are read from a histogram with sixteen bins an octave, so from 2⁻²⁴ to 2⁸ (6e-8 to 256) they are within
/// 2.2 % of the exact ones, and beyond at these ends; the mean is exact but for rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// A tenth of the elements lies below.
    pub p10: f64,
    /// Half of the elements lies below.
    pub median: f64,
    /// Nine tenths of the elements lie below.
    pub p90: f64,
}

/// Bins of a histogram: sixteen an octave from 2⁻²⁴ to 2⁸, the outermost open-ended.
pub(crate) const BINS: usize = 512;
const BINS_PER_OCTAVE: f64 = 16.0;
/// log₂ of the lower edge of bin 0.
const LOWEST: f64 = -24.0;

/// What a device tells of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawTensor {
    /// Σ w², Σ g², Σ Δw², Σ of the effective steps, Σ of the decay coefficients.
    pub sums: [f64; 5],
    /// Histogram of the effective steps.
    pub steps: Vec<u32>,
    /// Histogram of the decay coefficients; all 0 where there are none.
    pub decays: Vec<u32>,
}

/// The bin of a number: not a number, and what is too small to tell, go to bin 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(crate) fn bin_of(x: f64) -> usize {
    if x > 1e-30 {
        let bin = ((x.log2() - LOWEST) * BINS_PER_OCTAVE).floor();
        bin.clamp(0.0, (BINS - 1) as f64) as usize
    } else {
        0
    }
}

impl Spread {
    /// The same number for every element.
    fn constant(value: f64) -> Self {
        Self { mean: value, p10: value, median: value, p90: value }
    }

    /// From a sum and a histogram; `None` if nothing was counted.
    #[expect(clippy::cast_precision_loss, reason = "tensors have fewer than 2³² elements")]
    fn new(sum: f64, histogram: &[u32]) -> Option<Self> {
        let count: u64 = histogram.iter().map(|&n| u64::from(n)).sum();
        let quantile = |share: f64| {
            let rank = share * count as f64;
            let mut below = 0.0;
            let reached = |&n: &u32| {
                below += f64::from(n);
                below >= rank
            };
            let bin = histogram.iter().position(reached).unwrap_or(BINS - 1);
            // Bin 0 holds what is too small to tell from 0.
            let centre = LOWEST + (bin as f64 + 0.5) / BINS_PER_OCTAVE;
            if bin == 0 { 0.0 } else { centre.exp2() }
        };
        (count > 0).then(|| Self {
            mean: sum / count as f64,
            p10: quantile(0.1),
            median: quantile(0.5),
            p90: quantile(0.9),
        })
    }
}

impl TensorInsight {
    /// `shrink` is ηλ where decay is decoupled, else 0.
    pub(crate) fn new(tensor: &Tensor, raw: &RawTensor, shrink: f64) -> Self {
        let [weight, gradient, update, steps, decays] = raw.sums;
        let nothing = Spread::constant(f64::NAN);
        Self {
            name: tensor.name.clone(),
            weight_norm: weight.sqrt(),
            gradient_norm: gradient.sqrt(),
            update_norm: update.sqrt(),
            effective_step: Spread::new(steps, &raw.steps).unwrap_or(nothing),
            decay: if shrink > 0.0 {
                Some(Spread::constant(shrink))
            } else {
                Spread::new(decays, &raw.decays)
            },
        }
    }
}

/// The tensors that insights are measured of, in the order of the model file.
pub(crate) fn measured_tensors(plan: &Plan) -> impl Iterator<Item = &Tensor> {
    plan.tensors().filter(|tensor| tensor.kind.is_trained())
}

/// The stages whose dead units are counted, with their position.
pub(crate) fn relu_stages(plan: &Plan) -> impl Iterator<Item = (usize, &Stage)> {
    plan.stages().iter().enumerate().filter(|(_, stage)| stage.activation == Activation::Relu)
}

/// Words in which a device tells of a step.
pub(crate) fn words(plan: &Plan) -> usize {
    TENSOR_WORDS * measured_tensors(plan).count() + relu_stages(plan).count()
}

/// Puts together what a device tells of a step: its tensors and the dead units of its ReLU stages.
pub(crate) fn assemble(
    plan: &Plan,
    step: u64,
    update: &Update<f64>,
    raw: &[RawTensor],
    dead: &[u32],
) -> Insight {
    let group = |tensor: &Tensor| group_of(&plan.options().groups, tensor);
    let tensors = measured_tensors(plan).zip(raw).map(|(tensor, raw)| {
        TensorInsight::new(tensor, raw, 1.0 - update.groups[group(tensor)].keep)
    });
    let share = |stage: &Stage, dead: u32| f64::from(dead) / stage.out_features as f64;
    Insight {
        step,
        tensors: tensors.collect(),
        dead_units: relu_stages(plan)
            .zip(dead)
            .map(|((_, stage), &dead)| (stage.layer, share(stage, dead)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_their_bins() {
        let numbers: Vec<f64> = (1..=1000).map(|i| f64::from(i) * 1e-3).collect();
        let mut histogram = vec![0; BINS];
        numbers.iter().for_each(|&x| histogram[bin_of(x)] += 1);
        let spread = Spread::new(numbers.iter().sum(), &histogram).unwrap();
        // Half a bin: 2^(1/32) − 1.
        let close = |got: f64, want: f64| (got / want - 1.0).abs() <= 0.022;
        assert!((spread.mean - 0.5005).abs() <= 1e-12, "{spread:?}");
        assert!(close(spread.p10, 0.1), "{spread:?}");
        assert!(close(spread.median, 0.5), "{spread:?}");
        assert!(close(spread.p90, 0.9), "{spread:?}");
        assert_eq!(Spread::new(0.0, &vec![0; BINS]), None);
    }

    #[test]
    fn every_number_has_a_bin() {
        for x in [0.0, -1.0, f64::NAN, 1e-40, f64::MIN_POSITIVE] {
            assert_eq!(bin_of(x), 0, "{x}");
        }
        assert_eq!(bin_of(f64::INFINITY), BINS - 1);
        assert_eq!(bin_of(1.0), 24 * 16);
    }
}
