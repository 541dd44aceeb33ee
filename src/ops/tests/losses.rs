//! The losses and the batch's metrics.

use super::{U, batch_of, random, widen};
use crate::engine::gpu::rig::{Arg, Rig};
use crate::loss::Loss;
use crate::ops::loss::{LossInput, LossShape, RowMetrics, kernel, loss};
use crate::ops::metrics::{METRICS, grid};
use crate::ops::step::StepUniform;
use crate::testing::{assert_within, gamma};

/// A case: predictions and targets of one loss.
struct Case {
    loss: Loss,
    rows: usize,
    outputs: usize,
    prediction: Vec<f32>,
    /// Each row's followed by its weight, if there are weights.
    target: Vec<f32>,
    sample_weight: Vec<f32>,
    scale: f32,
}

impl Case {
    /// Predictions up to ±6; targets that suit the loss.
    fn new(loss: Loss, rows: usize, outputs: usize) -> Self {
        let prediction: Vec<f32> = random(20, rows * outputs).iter().map(|p| 6.0 * p).collect();
        let raw = random(21, rows * outputs);
        let target = match loss {
            Loss::CrossEntropy { .. } => (0..rows).map(|row| label(raw[row], outputs)).collect(),
            // Hard and soft targets.
            Loss::BceWithLogits { .. } => raw
                .iter()
                .map(|t| if t.abs() < 0.3 { t.abs() } else { f32::from(u8::from(*t > 0.0)) })
                .collect(),
            _ => raw.iter().map(|t| 4.0 * t).collect(),
        };
        let scale = 1.0 / rows as f32;
        Self { loss, rows, outputs, prediction, target, sample_weight: Vec::new(), scale }
    }

    /// The same with rows that count from 0 to 2.
    fn weighted(mut self) -> Self {
        self.sample_weight = random(24, self.rows).iter().map(|w| 1.0 + w).collect();
        self.scale = 1.0 / self.sample_weight.iter().sum::<f32>();
        self
    }

    /// Columns of the targets.
    fn width(&self) -> usize {
        self.target.len() / self.rows
    }

    /// The targets as the device has them.
    fn device_targets(&self) -> Vec<f32> {
        if self.sample_weight.is_empty() {
            return self.target.clone();
        }
        let rows = self.target.chunks_exact(self.width()).zip(&self.sample_weight);
        rows.flat_map(|(targets, weight)| targets.iter().chain([weight])).copied().collect()
    }

    fn weights(&self) -> Vec<f32> {
        self.loss.weights(self.outputs)
    }

    /// Gradient and row metrics of the kernel, checked and unchecked.
    fn run(&self) -> [Vec<Vec<f32>>; 2] {
        let rig = Rig::get();
        let (record, choices) = kernel(&self.loss);
        let word = |n: usize| u32::try_from(n).unwrap();
        let shape = LossShape::new(word(self.outputs), word(self.width()), &self.loss);
        let step = StepUniform {
            loss_scale: self.scale,
            weighted: u32::from(!self.sample_weight.is_empty()),
            ..batch_of(self.rows)
        };
        rig.run(
            record,
            choices,
            LossShape::grid(),
            &step,
            &[("shape", rig.uniform(&shape))],
            &[
                ("prediction", Arg::Read(&self.prediction)),
                ("target_values", Arg::Read(&self.device_targets())),
                ("weight", Arg::Read(&self.weights())),
                ("gradient", Arg::Written(self.rows * self.outputs)),
                ("row_metrics", Arg::Written(self.rows * 4)),
            ],
        )
    }

    fn twin(&self) -> (Vec<f64>, Vec<RowMetrics<f64>>) {
        let mut gradient = vec![0.0; self.rows * self.outputs];
        let mut rows = vec![RowMetrics::default(); self.rows];
        let input = LossInput {
            prediction: &widen(&self.prediction),
            target: &widen(&self.target),
            weight: &widen(&self.weights()),
            sample_weight: &widen(&self.sample_weight),
            scale: f64::from(self.scale),
        };
        loss(&self.loss, &input, &mut gradient, &mut rows);
        (gradient, rows)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn label(random: f32, classes: usize) -> f32 {
    let classes = u16::try_from(classes).unwrap();
    f32::from((f32::from(classes) * 0.5 * (random + 1.0)) as u16)
}

fn flat(rows: &[RowMetrics<f64>]) -> Vec<f64> {
    rows.iter().flat_map(|r| [r.loss, r.weight, r.score, r.not_finite]).collect()
}

/// Largest |prediction| and |target| decide how large a term can get.
fn size(case: &Case) -> f64 {
    let largest = |v: &[f32]| f64::from(v.iter().fold(0.0_f32, |m, x| m.max(x.abs())));
    largest(&case.prediction) + largest(&case.target)
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn elementwise_losses_match_their_twin() {
    let losses = [
        Loss::Mse,
        Loss::Mae,
        Loss::HUBER,
        Loss::Huber { delta: 0.3 },
        Loss::BCE_WITH_LOGITS,
        Loss::BceWithLogits { pos_weight: vec![0.5, 2.0, 7.5] },
    ];
    for loss in losses {
        for (rows, outputs) in [(1, 1), (3, 3), (63, 1), (64, 3), (65, 3), (200, 3)] {
            if matches!(&loss, Loss::BceWithLogits { pos_weight } if pos_weight.len() > outputs) {
                continue;
            }
            let case = Case::new(loss.clone(), rows, outputs);
            // Odd shapes with weights; these at most double a term.
            let case = if rows % 2 == 1 { case.weighted() } else { case };
            let (gradient, metrics) = case.twin();
            let e = size(&case);
            // Value and slope have at most e² and 2e, made by a handful of roundings each; BCE adds
            // exp (8U for negative arguments) and log (2⁻²¹), times its weight.
            let weight = 2.0 * f64::from(case.weights().iter().fold(1.0_f32, |m, w| m.max(*w)));
            let builtins = if loss.is_classification() {
                weight * (f64::powi(2.0, -21) + 16.0 * U)
            } else {
                0.0
            };
            let count = f64::from(u32::try_from(outputs).unwrap()) / f64::from(case.scale);
            let term = (e * e).max(weight * e);
            for run in case.run() {
                assert_within(&run[0], &gradient, |_| {
                    (8.0 * U * 2.0 * e * weight + builtins) / count
                });
                let scored = flat(&metrics);
                assert_within(&run[1], &scored, |i| match i % 4 {
                    0 => gamma(outputs + 6) * term + builtins,
                    2 if !loss.is_classification() => gamma(outputs + 4) * scored[i],
                    _ => 0.0,
                });
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn cross_entropy_matches_its_twin() {
    for (rows, outputs) in [(1, 2), (5, 3), (63, 10), (64, 10), (65, 10), (130, 33)] {
        let random_weights: Vec<f32> = random(22, outputs).iter().map(|w| 1.5 + w).collect();
        for (label_smoothing, class_weights) in [
            (0.0, vec![]),
            (0.1, vec![]),
            (0.0, random_weights.clone()),
            (0.3, random_weights.clone()),
        ] {
            let loss = Loss::CrossEntropy { label_smoothing, class_weights };
            let case = Case::new(loss, rows, outputs);
            let case = if rows % 2 == 1 { case.weighted() } else { case };
            let (gradient, metrics) = case.twin();
            let weights = case.weights();
            // A row's own weight is at most 2.
            let largest = 2.0 * f64::from(weights.iter().fold(0.0_f32, |m, w| m.max(*w)));
            let normaliser = 1.0 / f64::from(case.scale);
            // Softmax: exp of a difference up to 2·size (3 + 2|x| ULP of a value below 1, so 8U,
            // and the rounding of the difference), a sum of `outputs` terms, a division.
            let softmax = 8.0 * U + 2.0 * size(&case) * U + gamma(outputs) + 5.0 * U;
            let slope = largest * (2.0 * softmax + gamma(outputs) + 8.0 * U);
            let value = largest * (2.0 * size(&case) + 4.0) * gamma(outputs + 8)
                + largest * (f64::powi(2.0, -21) + softmax);
            for run in case.run() {
                assert_within(&run[0], &gradient, |i| {
                    slope / normaliser + gradient[i].abs() * gamma(4)
                });
                assert_within(&run[1], &flat(&metrics), |i| match i % 4 {
                    0 => value,
                    1 => U * largest,
                    _ => 0.0,
                });
            }
        }
    }
}

/// A batch whose rows all weigh 0 has no gradient, not 0/0.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn rows_that_do_not_count_have_no_gradient() {
    let class_weights = vec![0.0, 1.0];
    let loss = Loss::CrossEntropy { label_smoothing: 0.0, class_weights };
    let mut case = Case::new(loss, 3, 2);
    case.target.fill(0.0);
    // What the trainer makes of Σω = 0.
    case.scale = 0.0;
    for run in case.run() {
        assert_eq!(run[0], [0.0; 6]);
    }
    assert_eq!(case.twin().0, [0.0; 6]);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn losses_flag_rows_that_are_not_finite() {
    for loss in [Loss::Mse, Loss::Mae, Loss::HUBER, Loss::BCE_WITH_LOGITS, Loss::CROSS_ENTROPY] {
        let mut case = Case::new(loss.clone(), 4, 2);
        case.prediction[2] = f32::NAN;
        case.prediction[4] = f32::INFINITY;
        case.prediction[5] = f32::INFINITY;
        for run in case.run() {
            let flags: Vec<f32> = run[1].iter().skip(3).step_by(4).copied().collect();
            assert_eq!((flags[0], flags[1], flags[3]), (0.0, 1.0, 0.0), "{loss:?}");
            // An infinite logit may have a finite BCE, if it is on the right side.
            if !matches!(loss, Loss::BceWithLogits { .. }) {
                assert_eq!(flags[2], 1.0, "{loss:?}");
            }
        }
        let (_, twin) = case.twin();
        assert_eq!((twin[0].not_finite, twin[1].not_finite), (0.0, 1.0), "{loss:?}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn metrics_sum_the_rows_and_nothing_behind_them() {
    let rig = Rig::get();
    for rows in [1_usize, 2, 255, 256, 257, 1000] {
        // More rows than the batch has: what an earlier, fuller batch left.
        let row_metrics = random(23, (rows + 3) * 4);
        let step = StepUniform { slot: 2, ..batch_of(rows) };
        let ring = [0.0; 4 * 4];
        let runs = rig.run(
            &METRICS,
            &[],
            grid(),
            &step,
            &[],
            &[("row_metrics", Arg::Read(&row_metrics)), ("ring", Arg::Updated(&ring))],
        );
        let column = |k: usize| row_metrics[..rows * 4].iter().skip(k).step_by(4);
        let want: Vec<f64> = (0..16)
            .map(|i| if i / 4 == 2 { column(i % 4).map(|&x| f64::from(x)).sum() } else { 0.0 })
            .collect();
        for run in runs {
            assert_within(&run[0], &want, |i| {
                gamma(rows) * column(i % 4).map(|x| f64::from(x.abs())).sum::<f64>()
            });
        }
    }
}
