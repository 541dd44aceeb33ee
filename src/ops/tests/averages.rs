//! Averages of weights over thousands of steps, beside PyTorch's.

use serde::Deserialize;

use super::updates::status;
use crate::Loss;
use crate::engine::gpu::rig::{Arg, Checks, Rig};
use crate::ops::optimizer::{ArenaShape, OPTIMIZER, PARTIAL_SUMS, average, choices};
use crate::ops::step::StepUniform;
use crate::optimizer::{GroupRates, Optimizer, Update, Updates};
use crate::options::TrainOptions;
use crate::real::Real;
use crate::testing::{assert_within, assert_within_f64};

/// What PyTorch makes of moving weights, see `make_optimizers.py`.
#[derive(Deserialize)]
struct Fixture {
    averages: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    ema_decay: f64,
    /// Steps that the average has seen already.
    before: u64,
    steps: u64,
    checkpoints: Vec<u64>,
    averages: Vec<[f64; WEIGHTS]>,
    /// How far PyTorch's own f32 is off at each checkpoint.
    f32_errors: Vec<[f64; WEIGHTS]>,
}

const WEIGHTS: usize = 4;

fn cases() -> Vec<Case> {
    let fixture = include_str!("../../../tests/fixtures/optimizers.json");
    let cases = serde_json::from_str::<Fixture>(fixture).unwrap().averages;
    assert_eq!(cases.len(), 6, "the fixture lost cases");
    cases
}

/// The weights after step `t`.
#[expect(clippy::cast_precision_loss, reason = "small")]
fn weights(t: u64) -> [f32; WEIGHTS] {
    let noise = |i: u64| ((t * 7919 + i * 104_729) % 2003) as f64 / 1001.0 - 1.0;
    let drift = 4e-8 * t as f64;
    [1.0 + 0.01 * noise(0), 1.0 + drift + 0.002 * noise(1), 1.02, -0.3 + 0.5 * noise(3)]
        .map(f32::from_f64)
}

impl Case {
    fn updates(&self) -> Updates {
        let rates = vec![GroupRates { lr: 0.0, weight_decay: 0.0 }];
        Updates::new(Optimizer::sgd(0.0), rates, 0.0, self.ema_decay)
    }

    /// The averages at the checkpoints, where `step` does one: the update's scalars, averages and weights.
    fn run<T: Real>(
        &self,
        last: u64,
        mut step: impl FnMut(&Update<f64>, &mut [T], [f32; WEIGHTS]),
    ) -> Vec<Vec<T>> {
        let (mut updates, mut averages, mut seen) = (self.updates(), vec![T::ONE; WEIGHTS], vec![]);
        for t in 1..=last {
            step(&updates.at(self.before + t, 1.0), &mut averages, weights(t));
            if self.checkpoints.contains(&t) {
                seen.push(averages.clone());
            }
        }
        seen
    }

    /// How far an average in f32 may be off at a checkpoint.
    ///
    /// Each step rounds a, by up to half a ULP, and keeps 1 − q of the error so far. Errors that don't depend on
    /// each other make a walk of min(t, 1/2q) steps with a deviation of ULP/√12; six such deviations are
    /// allowed, and for steps that round to the same side, twice what PyTorch's f32 is off.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn bound(&self, checkpoint: usize, weight: usize) -> f64 {
        let t = self.checkpoints[checkpoint];
        let share = self.updates().at(self.before + t, 1.0).average_share;
        let ulp = f64::from(f32::EPSILON) * self.averages[checkpoint][weight].abs();
        let walk = (t as f64).min(0.5 / share).max(1.0).sqrt();
        2.0 * self.f32_errors[checkpoint][weight] + 6.0 * ulp * walk / 12.0_f64.sqrt()
    }
}

#[test]
fn averages_in_f64_are_pytorchs() {
    for case in cases() {
        let seen = case.run::<f64>(case.steps, |update, averages, weights| {
            average(update.average_share, averages, &weights.map(f64::from));
        });
        for (got, want) in seen.iter().zip(&case.averages) {
            assert_within_f64(got, want, |i| 1e-12 * want[i].abs().max(1.0));
        }
    }
}

#[test]
fn averages_in_f32_keep_the_digits_that_pytorchs_keep() {
    for case in cases() {
        let seen = case.run::<f32>(case.steps, |update, averages, weights| {
            average(update.cast::<f32>().average_share, averages, &weights);
        });
        for (at, (got, want)) in seen.iter().zip(&case.averages).enumerate() {
            assert_within(got, want, |i| case.bound(at, i));
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn averages_on_the_gpu_keep_the_digits_that_pytorchs_keep() {
    let rig = Rig::get();
    let mut options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.0));
    options.ema = Some(0.9);
    let choices = choices(&options, false);
    let shape = ArenaShape::new(&[WEIGHTS]);
    let uniforms = [("shape", rig.uniform(&shape))];
    let (nothing, no_fault) = ([0.0], status(&[0.0; PARTIAL_SUMS]));
    // The longest average loses digits first.
    for case in cases().into_iter().filter(|case| case.ema_decay > 0.999) {
        let seen = case.run::<f32>(1000, |update, averages, weights| {
            let mut step = StepUniform::default();
            step.set_update(update);
            let args = [
                ("gradients", Arg::Read(&[0.0; WEIGHTS])),
                ("parameters", Arg::Updated(&weights)),
                ("moment1", Arg::Updated(&nothing)),
                ("moment2", Arg::Updated(&nothing)),
                ("moment3", Arg::Updated(&nothing)),
                ("averages", Arg::Updated(averages)),
                ("status", Arg::Updated(&no_fault)),
                ("measured", Arg::Updated(&nothing)),
            ];
            let grid = shape.grid();
            let after =
                rig.run_with(Checks::Off, &OPTIMIZER, &choices, grid, &step, &uniforms, &args);
            averages.copy_from_slice(&after[4]);
        });
        for (at, (got, want)) in seen.iter().zip(&case.averages).enumerate() {
            assert_within(got, want, |i| case.bound(at, i));
        }
    }
}

/// Whatever the average held before the first step, and however large it was.
#[test]
fn nothing_stays_of_what_an_average_began_with() {
    let share = cases()[0].updates().at(1, 1.0).cast::<f32>().average_share;
    let mut averages = [1e8_f32, -3e-5, 0.0];
    average(share, &mut averages, &[0.1, 0.2, 0.3]);
    assert_eq!(averages, [0.1, 0.2, 0.3]);
}
