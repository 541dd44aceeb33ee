//! 200 steps of every update rule beside PyTorch's.

use serde::Deserialize;

use super::U;
use super::updates::{State, norm_slack, status};
use crate::Loss;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::ops::optimizer::{
    ArenaShape, GRADIENT_NORM, OPTIMIZER, PARTIAL_SUMS, choices, norm_grid,
};
use crate::ops::step::StepUniform;
use crate::optimizer::{Clip, Decay, GroupRates, Optimizer, Rule, Updates};
use crate::options::TrainOptions;
use crate::real::Real;
use crate::testing::{assert_within, assert_within_f64};
use crate::tracked::Tracked;

/// What PyTorch makes of fixed gradients, see `make_optimizers.py`.
#[derive(Deserialize)]
struct Fixture {
    steps: u64,
    checkpoints: Vec<u64>,
    cases: Vec<Case>,
    clipping: Vec<Case>,
    groups: Vec<Case>,
    ema: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    rule: Rule,
    #[serde(default)]
    lr: f64,
    #[serde(default)]
    weight_decay: f64,
    decay: Decay,
    #[serde(default)]
    clip: Option<Clip>,
    #[serde(default)]
    groups: Vec<Rates>,
    #[serde(default)]
    ema_decay: Option<f64>,
    parameters: Vec<Vec<f64>>,
    /// How far PyTorch's own f32 is off at each checkpoint.
    f32_errors: Vec<f64>,
}

#[derive(Deserialize)]
struct Rates {
    lr: f64,
    weight_decay: f64,
}

/// Elements of the fixture's two tensors: a weight of 16 and a bias of 8.
const ENDS: [usize; 2] = [16, 24];

#[expect(clippy::cast_precision_loss, reason = "small")]
fn gradient(t: u64) -> Vec<f32> {
    (0..24_u64)
        .map(|i| {
            let k = (t * 7919 + i * 104_729 + (t * i) % 31 * 613) % 2003;
            let scale = [1.0, 0.1, 0.01, 0.001][usize::try_from(i % 4).unwrap()];
            f32::from_f64((k as f64 - 1001.0) / 1001.0 * scale)
        })
        .collect()
}

fn start() -> Vec<f32> {
    (0..24_u8)
        .map(|i| f32::from_f64((f64::from((u16::from(i) * 37 + 11) % 23) - 11.0) / 11.0))
        .collect()
}

impl Fixture {
    fn load() -> Self {
        serde_json::from_str(include_str!("../../../tests/fixtures/optimizers.json")).unwrap()
    }

    fn all(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().chain(&self.clipping).chain(&self.groups).chain(&self.ema)
    }
}

impl Case {
    fn options(&self) -> TrainOptions {
        let optimizer = Optimizer {
            rule: self.rule,
            lr: self.lr,
            weight_decay: self.weight_decay,
            decay: self.decay,
        };
        let mut options = TrainOptions::new(Loss::Mse, optimizer);
        (options.clip, options.ema) = (self.clip, self.ema_decay);
        options
    }

    fn updates(&self) -> Updates {
        let rates: Vec<GroupRates> = if self.groups.is_empty() {
            vec![GroupRates { lr: self.lr, weight_decay: self.weight_decay }; 2]
        } else {
            let rates = self.groups.iter();
            rates.map(|r| GroupRates { lr: r.lr, weight_decay: r.weight_decay }).collect()
        };
        let bound = self.clip.map_or(0.0, Clip::bound);
        Updates::new(self.options().optimizer, rates, bound, self.ema_decay.unwrap_or(0.0))
    }

    fn state<T: Real>(&self) -> State<T> {
        let has = self.options().optimizer.moments();
        let start: Vec<T> = start().iter().map(|&w| T::from_f32(w)).collect();
        let moment = |k| vec![T::ZERO; if k < has { 24 } else { 0 }];
        State {
            averages: if self.ema_decay.is_some() { start.clone() } else { Vec::new() },
            parameters: start,
            moments: [moment(0), moment(1), moment(2)],
            measured: Vec::new(),
        }
    }

    /// The parameters, or their average where one is kept, after each checkpoint.
    fn run<T: Real>(&self, fixture: &Fixture) -> Vec<Vec<T>> {
        let (options, mut updates, mut state) = (self.options(), self.updates(), self.state());
        let mut seen = Vec::new();
        for t in 1..=fixture.steps {
            let gradients: Vec<T> = gradient(t).iter().map(|&g| T::from_f32(g)).collect();
            state.step(&options, &ENDS, &updates.at(t, cosine(t, fixture.steps)), &gradients);
            if fixture.checkpoints.contains(&t) {
                let averaged = self.ema_decay.is_some();
                seen.push(if averaged { &state.averages } else { &state.parameters }.clone());
            }
        }
        seen
    }
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn cosine(t: u64, steps: u64) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * (t - 1) as f64 / steps as f64).cos())
}

#[test]
fn two_hundred_steps_in_f64_are_pytorchs_to_1e_12() {
    let fixture = Fixture::load();
    assert!(fixture.all().count() >= 47, "the fixture lost cases");
    for case in fixture.all() {
        for (got, want) in case.run::<f64>(&fixture).iter().zip(&case.parameters) {
            assert_within_f64(got, want, |i| 1e-12 * want[i].abs().max(1.0));
        }
    }
}

/// What each f32 number may be off: the error that the twin tracks for it. Where decay is part of the
/// gradient, or the weights are averaged, errors feed back, which such a bound can only take for growth; there
/// four times PyTorch's own error is allowed, and the rounding of the result.
fn bounds(case: &Case, fixture: &Fixture) -> Vec<Vec<f64>> {
    let decays = case.weight_decay > 0.0 && case.decay == Decay::L2;
    let feeds_back = decays || case.ema_decay.is_some();
    let runs = case.run::<Tracked>(fixture);
    let bounds = runs.iter().zip(&case.f32_errors).map(|(numbers, f32_error)| {
        let bound = |x: &Tracked| match feeds_back {
            true => 4.0 * f32_error + 8.0 * U * x.value.abs(),
            false => x.error,
        };
        numbers.iter().map(bound).collect::<Vec<_>>()
    });
    let bounds: Vec<_> = bounds.collect();
    let largest = bounds.iter().flatten().fold(0.0_f64, |m, &x| m.max(x));
    assert!(largest <= 1e-3, "{}: a bound of {largest:e} says nothing", case.name);
    bounds
}

#[test]
fn two_hundred_steps_in_f32_are_pytorchs_within_the_tracked_error() {
    let fixture = Fixture::load();
    for case in fixture.all() {
        let runs = case.run::<f32>(&fixture);
        for ((got, bound), want) in runs.iter().zip(bounds(case, &fixture)).zip(&case.parameters) {
            assert_within(got, want, |i| bound[i] + 1e-12);
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn two_hundred_steps_on_the_gpu_are_pytorchs_within_the_tracked_error() {
    use crate::engine::gpu::rig::Checks;
    let fixture = Fixture::load();
    let rig = Rig::get();
    for case in fixture.all() {
        let (options, mut updates) = (case.options(), case.updates());
        let has = options.optimizer.moments();
        let averaged = options.ema.is_some();
        let shape = ArenaShape::new(&ENDS);
        let uniforms = [("shape", rig.uniform(&shape))];
        let state: State<f32> = case.state();
        let placeholder = vec![0.0];
        let filled =
            |content: Vec<f32>| if content.is_empty() { placeholder.clone() } else { content };
        // Parameters, moments and averages, as the kernel gives them back.
        let mut arenas: Vec<Vec<f32>> = std::iter::once(state.parameters)
            .chain(state.moments)
            .chain([state.averages])
            .map(filled)
            .collect();
        let bounds = bounds(case, &fixture);
        for t in 1..=fixture.steps {
            let g = gradient(t);
            let mut step = StepUniform::default();
            step.set_update(&updates.at(t, cosine(t, fixture.steps)));
            let run = |kernel, choices: &[f64], grid, args: &[(&str, Arg<'_>)]| {
                rig.run_with(Checks::Off, kernel, choices, grid, &step, &uniforms, args)
            };
            let sums = match case.clip {
                Some(Clip::Norm(_)) => {
                    let sums = Arg::Written(PARTIAL_SUMS);
                    let args = [("gradients", Arg::Read(&g)), ("partial_sums", sums)];
                    run(&GRADIENT_NORM, &[], norm_grid(), &args).remove(0)
                }
                _ => vec![0.0; PARTIAL_SUMS],
            };
            let status = status(&sums);
            let args = [
                ("gradients", Arg::Read(&g)),
                ("parameters", Arg::Updated(&arenas[0])),
                ("moment1", Arg::Updated(&arenas[1])),
                ("moment2", Arg::Updated(&arenas[2])),
                ("moment3", Arg::Updated(&arenas[3])),
                ("averages", Arg::Updated(&arenas[4])),
                ("status", Arg::Updated(&status)),
                ("measured", Arg::Updated(&placeholder)),
            ];
            let after = run(&OPTIMIZER, &choices(&options, false), shape.grid(), &args);
            arenas = after[..5].to_vec();
            assert!((1 + has..4).all(|k| arenas[k] == placeholder), "{}: placeholders", case.name);
            if let Some(at) = fixture.checkpoints.iter().position(|&c| c == t) {
                let got = &arenas[if averaged { 4 } else { 0 }];
                let slack = if case.clip.is_some() { norm_slack(24) } else { 0.0 };
                assert_within(got, &case.parameters[at], |i| bounds[at][i] + slack + 1e-12);
            }
        }
    }
}

/// For SGD the two kinds of decay are one formula: w(1 − ηλ) − ηg.
#[test]
fn for_sgd_both_kinds_of_decay_are_the_same() {
    let fixture = Fixture::load();
    let run = |name: &str| {
        let case = fixture.cases.iter().find(|case| case.name == name).unwrap();
        case.run::<f64>(&fixture).pop().unwrap()
    };
    assert_within_f64(&run("sgd l2"), &run("sgd decoupled"), |_| 1e-13);
    let (l2, decoupled) = (run("adam l2"), run("adam decoupled"));
    let apart = l2.iter().zip(&decoupled).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(apart > 0.1, "Adam's decays are but {apart} apart");
}
