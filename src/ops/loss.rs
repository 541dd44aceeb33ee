//! The losses: value, gradient and score of every row in one pass.

use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::activation::{sigmoid, softplus};
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::loss::Loss;
use crate::real::Real;

/// Workgroups that report on a part of a step at most: sums that the host adds up.
pub(crate) const METRICS_GROUPS: usize = 256;

pub(crate) const LOSS_ELEMENTWISE: Kernel = Kernel {
    name: "loss_elementwise",
    wgsl: wgsl!("step", "scaling", "near_zero", "loss_elementwise", "loss_row", "loss", "finite"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<LossShape>("shape"),
        read("prediction"),
        read("target_values"),
        read("rows"),
        read("weight"),
        read_write("gradient").or_half(),
        read_write("metrics"),
        read("scaling"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64), ("GROUPS", METRICS_GROUPS as f64)],
    choices: &[Choice::codes::<4>("LOSS")],
};

pub(crate) const CROSS_ENTROPY: Kernel = Kernel {
    name: "cross_entropy",
    wgsl: wgsl!("step", "scaling", "cross_entropy", "loss_row", "loss", "finite"),
    bindings: LOSS_ELEMENTWISE.bindings,
    constants: LOSS_ELEMENTWISE.constants,
    choices: &[],
};

uniform_struct! {
    /// Outputs of the net, the loss's δ or ε, and columns of the targets without the row's weight.
    LossShape { outputs: u32, parameter: f32, target_width: u32, } pad 1
}

impl LossShape {
    pub(crate) fn new(outputs: u32, target_width: u32, loss: &Loss) -> Self {
        Self { outputs, parameter: loss.parameter(), target_width, ..Self::default() }
    }

    /// One invocation per row, or per several of a large batch.
    #[expect(clippy::cast_possible_truncation, reason = "256")]
    pub(crate) const fn grid() -> Grid {
        Grid::rows_x(WORKGROUP).at_most(METRICS_GROUPS as u32)
    }
}

/// The kernel that computes a loss, and the values of its choices.
pub(crate) fn kernel(loss: &Loss) -> (&'static Kernel, &'static [f64]) {
    match loss {
        Loss::Mse => (&LOSS_ELEMENTWISE, &[0.0]),
        Loss::Mae => (&LOSS_ELEMENTWISE, &[1.0]),
        Loss::Huber { .. } => (&LOSS_ELEMENTWISE, &[2.0]),
        Loss::BceWithLogits { .. } => (&LOSS_ELEMENTWISE, &[3.0]),
        Loss::CrossEntropy { .. } => (&CROSS_ENTROPY, &[]),
    }
}

/// What a loss reports of one row; which the kernel sums over those of a workgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RowMetrics<T> {
    pub loss: T,
    /// What the row counts in the mean.
    pub weight: T,
    /// 1 for a right prediction; for regression the squared error, summed over the outputs.
    pub score: T,
    /// 1 if the loss isn't finite.
    pub not_finite: T,
}

impl<T: Real> RowMetrics<T> {
    fn new(loss: T, weight: T, score: T) -> Self {
        let not_finite = if loss.is_finite() { T::ZERO } else { T::ONE };
        Self { loss, weight, score, not_finite }
    }
}

/// What the losses compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossInput<'a, T> {
    /// batch × outputs.
    pub prediction: &'a [T],
    /// batch × columns of the targets.
    pub target: &'a [T],
    /// One number per output: class weights, positive weights or 1.
    pub weight: &'a [T],
    /// What each row counts, or empty for 1.
    pub sample_weight: &'a [T],
    /// 1/Σω over the step's batch, ω what a row counts with its class.
    pub scale: T,
}

impl<T: Real> LossInput<'_, T> {
    fn sample_weight(&self, row: usize) -> T {
        self.sample_weight.get(row).copied().unwrap_or(T::ONE)
    }
}

/// Twin of `shaders/loss_elementwise.wgsl` and `shaders/cross_entropy.wgsl`; `gradient` is
/// batch × outputs.
pub(crate) fn loss<T: Real>(
    loss: &Loss,
    input: &LossInput<'_, T>,
    gradient: &mut [T],
    row_metrics: &mut [RowMetrics<T>],
) {
    match *loss {
        Loss::CrossEntropy { label_smoothing, .. } => {
            cross_entropy(T::from_f32(label_smoothing), input, gradient, row_metrics);
        }
        ref elementwise => loss_elementwise(elementwise, input, gradient, row_metrics),
    }
}

fn loss_elementwise<T: Real>(
    loss: &Loss,
    input: &LossInput<'_, T>,
    gradient: &mut [T],
    row_metrics: &mut [RowMetrics<T>],
) {
    let weight = input.weight;
    let outputs = count::<T>(weight.len());
    let rows = input
        .prediction
        .chunks_exact(weight.len())
        .zip(input.target.chunks_exact(weight.len()))
        .zip(gradient.chunks_exact_mut(weight.len()));
    for (row, (((p, t), g), report)) in rows.zip(row_metrics).enumerate() {
        let row_weight = input.sample_weight(row);
        let scale = row_weight * input.scale / outputs;
        let (mut sum, mut squares, mut right) = (T::ZERO, T::ZERO, true);
        for (((&p, &t), g), &w) in p.iter().zip(t).zip(g).zip(weight) {
            let (value, slope) = loss_and_slope(loss, p, t, w);
            sum += value;
            *g = slope * scale;
            squares += (p - t) * (p - t);
            right &= (p > T::ZERO) == (t > T::from_f64(0.5));
        }
        let hit = if right { T::ONE } else { T::ZERO };
        let score = if loss.is_classification() { hit } else { squares };
        *report = RowMetrics::new(row_weight * sum / outputs, row_weight, score);
    }
}

/// l(p, t) and dl/dp.
fn loss_and_slope<T: Real>(loss: &Loss, p: T, t: T, w: T) -> (T, T) {
    let e = p - t;
    let sign = |e: T| match e.partial_cmp(&T::ZERO) {
        Some(std::cmp::Ordering::Greater) => T::ONE,
        Some(std::cmp::Ordering::Less) => -T::ONE,
        _ => T::ZERO,
    };
    match *loss {
        Loss::Mae => (e.abs(), sign(e)),
        Loss::Huber { delta } => {
            let (delta, half) = (T::from_f32(delta), T::from_f64(0.5));
            if e.abs() > delta {
                (delta * (e.abs() - half * delta), sign(e) * delta)
            } else {
                (half * e * e, e)
            }
        }
        Loss::BceWithLogits { .. } => {
            // −ln σ(−p) and −ln σ(p), and their slopes σ(p) and −σ(−p).
            let value = (T::ONE - t) * softplus(p) + w * t * softplus(-p);
            (value, (T::ONE - t) * sigmoid(p) - w * t * sigmoid(-p))
        }
        Loss::Mse => (e * e, e + e),
        Loss::CrossEntropy { .. } => unreachable!("not element-wise"),
    }
}

fn cross_entropy<T: Real>(
    smoothing: T,
    input: &LossInput<'_, T>,
    gradient: &mut [T],
    row_metrics: &mut [RowMetrics<T>],
) {
    let weight = input.weight;
    let weights: T = weight.iter().copied().sum();
    let spread = smoothing / count::<T>(weight.len());
    let rows = input
        .prediction
        .chunks_exact(weight.len())
        .zip(input.target)
        .zip(gradient.chunks_exact_mut(weight.len()));
    for (row, (((p, t), g), report)) in rows.zip(row_metrics).enumerate() {
        let t = label(t);
        let row_weight = input.sample_weight(row);
        let scale = row_weight * input.scale;
        let predicted = (1..p.len()).fold(0, |best, k| if p[k] > p[best] { k } else { best });
        let largest = p[predicted];
        let sum: T = p.iter().map(|&p| (p - largest).exp()).sum();
        let log_sum = sum.ln();
        let focus = (T::ONE - smoothing) * weight[t];
        let mut value = focus * (log_sum - (p[t] - largest));
        for (k, ((&p, g), &w)) in p.iter().zip(g).zip(weight).enumerate() {
            let softmax = (p - largest).exp() / sum;
            value += spread * w * (log_sum - (p - largest));
            let hit = if k == t { T::ONE } else { T::ZERO };
            *g = (focus * (softmax - hit) + spread * (softmax * weights - w)) * scale;
        }
        let score = if predicted == t { T::ONE } else { T::ZERO };
        *report = RowMetrics::new(row_weight * value, row_weight * weight[t], score);
    }
}

#[expect(clippy::cast_precision_loss, reason = "batches and outputs are far below 2⁵²")]
fn count<T: Real>(n: usize) -> T {
    T::from_f64(n as f64)
}

/// The class index that a target column holds as a number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by Dataset")]
fn label<T: Real>(target: &T) -> usize {
    target.to_f64() as usize
}
