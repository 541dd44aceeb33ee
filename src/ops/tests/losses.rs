//! The losses and the sums of a batch's metrics.

use super::{SCALING, U, batch_of, from_words, random, widen, word};
use crate::engine::gpu::rig::{Arg, POISON, Rig};
use crate::loss::Loss;
use crate::ops::WORKGROUP;
use crate::ops::loss::{LossInput, LossShape, METRICS_GROUPS, RowMetrics, kernel, loss};
use crate::ops::sample::sample_rows;
use crate::ops::step::StepUniform;
use crate::sampler::{Order, Sampling};
use crate::testing::{assert_within, gamma};

/// What lies in the metrics where another part of a step, or no workgroup, reports.
const ELSEWHERE: f32 = 0.25;

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

    /// The targets as the device has them, each row followed by its weight if there are weights, in
    /// a data set where other rows, which are NaN, lie between; and which rows of it the batch is.
    fn device_targets(&self) -> (Vec<f32>, Vec<u32>) {
        let data_rows = word(self.rows) + 5;
        let order = Order::new(Sampling::Shuffled, 8, 2, 3);
        let mut rows = vec![0; self.rows];
        sample_rows(&order, data_rows, 1, 0, &mut rows);
        let weights = self.sample_weight.chunks_exact(1);
        let weights = weights.chain(std::iter::repeat(&[][..]));
        let width = self.width() + usize::from(!self.sample_weight.is_empty());
        let mut data = vec![f32::NAN; data_rows as usize * width];
        for ((&row, target), weight) in
            rows.iter().zip(self.target.chunks(self.width())).zip(weights)
        {
            data[row as usize * width..][..width].copy_from_slice(&[target, weight].concat());
        }
        (data, rows)
    }

    fn weights(&self) -> Vec<f32> {
        self.loss.weights(self.outputs)
    }

    /// Gradient, and metrics of each workgroup, of the kernel, checked and unchecked.
    fn run(&self) -> [[Vec<f32>; 2]; 2] {
        let rig = Rig::get();
        let (record, choices) = kernel(&self.loss);
        let shape = LossShape::new(word(self.outputs), word(self.width()), &self.loss);
        let (targets, rows) = self.device_targets();
        let step = StepUniform {
            loss_scale: self.scale,
            weighted: u32::from(!self.sample_weight.is_empty()),
            slot: 1,
            ..batch_of(self.rows)
        };
        // Three slots, of which the second is the part's.
        let slot_len = METRICS_GROUPS * 4;
        let reported = slot_len..slot_len + groups(self.rows) * 4;
        let mut before = vec![ELSEWHERE; 3 * slot_len];
        before[reported.clone()].fill(f32::from_bits(POISON));
        let runs = rig.run(
            record,
            choices,
            LossShape::grid(),
            &step,
            &[("shape", rig.uniform(&shape))],
            &[
                ("prediction", Arg::Read(&self.prediction)),
                ("target_values", Arg::Read(&targets)),
                ("rows", Arg::Read(&from_words(&rows))),
                ("weight", Arg::Read(&self.weights())),
                ("gradient", Arg::Written(self.rows * self.outputs)),
                ("metrics", Arg::Updated(&before)),
                ("scaling", Arg::Read(&SCALING)),
            ],
        );
        runs.map(|mut run| {
            run[0].iter_mut().for_each(|gradient| *gradient *= SCALING[1]);
            let metrics: Vec<f32> = run[1].splice(reported.clone(), []).collect();
            assert!(run[1].iter().all(|&x| x == ELSEWHERE), "{:?} reports elsewhere", self.loss);
            [run.swap_remove(0), metrics]
        })
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

/// Workgroups that share a batch, each of which reports.
fn groups(rows: usize) -> usize {
    LossShape::grid().workgroups(word(rows))[0] as usize
}

/// Sums over the rows of each workgroup and bounds of their errors, from each row's metrics and theirs.
fn sums(rows: &[RowMetrics<f64>], error: impl Fn(&RowMetrics<f64>) -> [f64; 4]) -> [Vec<f64>; 2] {
    let groups = groups(rows.len());
    let (mut sums, mut bounds) = (vec![0.0; 4 * groups], vec![0.0; 4 * groups]);
    let workgroup = WORKGROUP as usize;
    // Every lane adds its rows, and a tree the lanes: so many roundings at most meet a row. Whole
    // numbers that small are added exactly.
    let roundings = rows.len().div_ceil(groups * workgroup) + workgroup.ilog2() as usize;
    for (row, metrics) in rows.iter().enumerate() {
        let values = [metrics.loss, metrics.weight, metrics.score, metrics.not_finite];
        for (k, (value, error)) in values.into_iter().zip(error(metrics)).enumerate() {
            let at = 4 * (row / workgroup % groups) + k;
            let exact = value.fract() == 0.0 && error == 0.0;
            sums[at] += value;
            bounds[at] +=
                error + if exact { 0.0 } else { gamma(roundings) * (value.abs() + error) };
        }
    }
    [sums, bounds]
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
        for (rows, outputs) in [(1, 1), (3, 3), (63, 1), (64, 3), (65, 3), (200, 3), (4167, 1)] {
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
            let [want, bounds] = sums(&metrics, |row| {
                let squares = gamma(outputs + 4) * row.score;
                let score = if loss.is_classification() { 0.0 } else { squares };
                [gamma(outputs + 6) * term + builtins, 0.0, score, 0.0]
            });
            for run in case.run() {
                assert_within(&run[0], &gradient, |_| {
                    (8.0 * U * 2.0 * e * weight + builtins) / count
                });
                assert_within(&run[1], &want, |i| bounds[i]);
            }
        }
    }
}

/// Of a prediction that is nearly certain and right, loss and slope are small, and keep their digits.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn binary_cross_entropy_keeps_small_slopes() {
    let prediction: Vec<f32> = (-40..=40).map(|p| p as f32 / 1.3).collect();
    let rows = prediction.len();
    for hit in [0.0, 1.0] {
        let loss = Loss::BceWithLogits { pos_weight: vec![3.0] };
        let target = vec![hit; rows];
        let case = Case { prediction: prediction.clone(), target, ..Case::new(loss, rows, 1) };
        let (gradient, _) = case.twin();
        for run in case.run() {
            // exp(−|p|) is within (3 + 2|p|) ULP, and its sum with 1, a division of 2.5 ULP and three products
            // follow.
            assert_within(&run[0], &gradient, |i| {
                let size = f64::from(prediction[i].abs());
                (2.0 * (3.0 + 2.0 * size) + 12.0) * U * gradient[i].abs()
            });
        }
        let smallest = gradient.iter().fold(f64::INFINITY, |least, g| least.min(g.abs()));
        assert!(smallest > 0.0 && smallest < 1e-14, "{smallest:e}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn cross_entropy_matches_its_twin() {
    for (rows, outputs) in [(1, 2), (5, 3), (63, 10), (64, 10), (65, 10), (130, 33), (4167, 3)] {
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
            let [want, bounds] = sums(&metrics, |_| [value, U * largest, 0.0, 0.0]);
            for run in case.run() {
                assert_within(&run[0], &gradient, |i| {
                    slope / normaliser + gradient[i].abs() * gamma(4)
                });
                assert_within(&run[1], &want, |i| bounds[i]);
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
fn losses_count_rows_that_are_not_finite() {
    for loss in [Loss::Mse, Loss::Mae, Loss::HUBER, Loss::BCE_WITH_LOGITS, Loss::CROSS_ENTROPY] {
        let mut case = Case::new(loss.clone(), 130, 2);
        let count =
            |metrics: &[f32]| metrics.iter().skip(3).step_by(4).copied().collect::<Vec<_>>();
        for [_, metrics] in case.run() {
            assert_eq!(count(&metrics), [0.0; 3], "{loss:?}");
        }
        // Rows 1 and 63 of the first workgroup's, and the last row of all.
        for at in [2, 127, 258] {
            case.prediction[at] = f32::NAN;
        }
        for [_, metrics] in case.run() {
            assert_eq!(count(&metrics), [2.0, 0.0, 1.0], "{loss:?}");
        }
        let flags: Vec<f64> = case.twin().1.iter().map(|row| row.not_finite).collect();
        assert_eq!((flags[0], flags[1], flags[63], flags[129]), (0.0, 1.0, 1.0, 1.0), "{loss:?}");
        // Row 65; an infinite logit may have a finite BCE, if it is on the right side.
        case.prediction[130..132].fill(f32::INFINITY);
        for [_, metrics] in case.run() {
            let least = f32::from(u8::from(!matches!(loss, Loss::BceWithLogits { .. })));
            assert!((least..=1.0).contains(&count(&metrics)[1]), "{loss:?}");
        }
    }
}
