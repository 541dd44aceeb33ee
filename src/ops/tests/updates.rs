//! Sampling and the optimizer.

use super::{U, random, widen};
use crate::engine::Step;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::ops::optimizer::{ArenaShape, OPTIMIZER, optimizer};
use crate::ops::sample::{SAMPLE, SampleShape, sample};
use crate::ops::step::StepUniform;
use crate::optimizer::{Decay, Optimizer};
use crate::sampler::{Order, Sampling};
use crate::testing::assert_within;

/// The batch must be the twin's to the bit: rows are copied, never computed with.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn sample_copies_the_very_rows_of_its_twin() {
    let rig = Rig::get();
    let plain = Optimizer::sgd(1.0).update(1, 1.0);
    for sampling in [Sampling::Sequential, Sampling::Shuffled, Sampling::Replacement] {
        for (rows, columns, width, batch, first) in
            [(1, 1, 1, 1, 0), (5, 3, 2, 2, 3), (100, 65, 1, 64, 36), (1797, 2, 3, 33, 1000)]
        {
            let order = Order::new(sampling, 0xDEAD_BEEF_0123, 7, (1 << 33) + 5);
            let step = Step { number: 1, batch, first, order, update: plain };
            let (inputs, targets) = (random(30, rows * columns), random(31, rows * width));
            let word = |n: usize| u32::try_from(n).unwrap();
            let shape = SampleShape::new(word(columns), word(width));
            let taken = batch as usize;
            let runs = rig.run(
                &SAMPLE,
                &[],
                SampleShape::grid(),
                &StepUniform::new(&step, word(rows), 0),
                rig.shape(&shape),
                &[
                    ("inputs", Arg::Read(&inputs)),
                    ("targets", Arg::Read(&targets)),
                    ("batch_inputs", Arg::Written(taken * columns)),
                    ("batch_targets", Arg::Written(taken * width)),
                ],
            );
            let (mut x, mut t) = (vec![0.0; taken * columns], vec![0.0; taken * width]);
            sample(&order, first, columns, &inputs, &mut x);
            sample(&order, first, width, &targets, &mut t);
            for run in runs {
                assert_eq!(run, [x.clone(), t.clone()], "{sampling:?} {rows} rows");
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn optimizer_matches_its_twin() {
    let rig = Rig::get();
    let rules = [
        Optimizer::sgd(0.1),
        Optimizer::momentum(0.1, 0.9, false),
        Optimizer::momentum(0.1, 0.9, true),
        Optimizer::adam(0.01),
    ];
    for rule in rules {
        for decay in [Decay::L2, Decay::Decoupled] {
            for len in [1, 255, 256, 300] {
                let o = rule.weight_decay(0.05, decay);
                let update = o.update(3, o.lr);
                let (g, w) = (random(40, len), random(41, len));
                let m = random(42, len);
                let v: Vec<f32> = random(43, len).iter().map(|v| v.abs()).collect();
                let order = Order::Sequential;
                let step = Step { number: 3, batch: 1, first: 0, order, update };
                let shape = ArenaShape::new(len);
                let runs = rig.run(
                    &OPTIMIZER,
                    &[f64::from(o.code())],
                    shape.grid(),
                    &StepUniform::new(&step, 1, 0),
                    rig.shape(&shape),
                    &[
                        ("gradients", Arg::Read(&g)),
                        ("parameters", Arg::Updated(&w)),
                        ("moment1", Arg::Updated(&m)),
                        ("moment2", Arg::Updated(&v)),
                    ],
                );
                let mut want = [widen(&w), widen(&m), widen(&v)];
                let [w64, m64, v64] = &mut want;
                optimizer(&o, &update.cast(), &widen(&g), w64, m64, v64);
                for run in runs {
                    // Numbers are at most 1 but for the direction m/(√v·c + ε), whose error is
                    // relative: a dozen roundings and 2 + 2.5 ULP for root and quotient.
                    for (got, want) in run.iter().zip(&want).skip(1) {
                        assert_within(got, want, |_| 6.0 * U * 2.0);
                    }
                    assert_within(&run[0], &want[0], |i| {
                        let moved = (want[0][i] - f64::from(w[i])).abs();
                        4.0 * U
                            + moved * 24.0 * U
                            + direction_error(&update, want[1][i], want[2][i])
                    });
                }
            }
        }
    }

    /// What the absolute errors of m and v do to η·m/(√v·c).
    fn direction_error(u: &crate::optimizer::Update<f64>, m: f64, v: f64) -> f64 {
        if u.one_minus_beta2 == 1.0 {
            return u.step_size * 12.0 * U;
        }
        let root = v.sqrt() * u.inv_root_correction2 + u.eps;
        u.step_size * (12.0 * U / root + m.abs() / root * 12.0 * U / v.max(1e-30))
    }
}
