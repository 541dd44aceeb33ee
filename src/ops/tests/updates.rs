//! Sampling and the optimizer.

use serde::Deserialize;

use super::{U, random, to_words, word};
use crate::Loss;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::engine::{Part, Step};
use crate::ops::optimizer::{
    ArenaShape, Arenas, Cut, GRADIENT_NORM, OPTIMIZER, PARTIAL_SUMS, STATUS_WORDS, choices,
    norm_grid, optimizer, squares,
};
use crate::ops::sample::{SAMPLE, SampleShape, sample, sample_rows};
use crate::ops::step::StepUniform;
use crate::optimizer::{Clip, Decay, GroupRates, Optimizer, Rule, Update, Updates};
use crate::options::TrainOptions;
use crate::real::Real;
use crate::sampler::{Order, Sampling};
use crate::testing::tracked::{Tracked, assert_tracked, exact};
use crate::testing::{assert_within, assert_within_f64};

/// The batch must be the twin's to the bit: rows are copied, never computed with.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn sample_copies_the_very_rows_of_its_twin() {
    let rig = Rig::get();
    for sampling in [Sampling::Sequential, Sampling::Shuffled, Sampling::Replacement] {
        for (rows, columns, batch, first) in
            [(1, 1, 1, 0), (5, 3, 2, 3), (100, 65, 64, 36), (1797, 2, 33, 1000)]
        {
            let order = Order::new(sampling, 0xDEAD_BEEF_0123, 7, (1 << 33) + 5);
            let step = Step { number: 1, order, ..Step::evaluation(first, batch) };
            let inputs = random(30, rows * columns);
            let shape = SampleShape::new(word(columns), 0, word(columns));
            // The whole batch at once, and in parts.
            for part in step.parts(usize::MAX).chain(step.parts(7)) {
                let taken = part.rows as usize;
                let runs = rig.run(
                    &SAMPLE,
                    &[0.0],
                    SampleShape::grid(),
                    &StepUniform::new(&step, part, word(rows), false, 0),
                    &[("shape", rig.uniform(&shape))],
                    &[
                        ("source", Arg::Read(&inputs)),
                        ("batch", Arg::Written(taken * columns)),
                        ("rows", Arg::Written(taken)),
                    ],
                );
                let (mut x, mut places) = (vec![0.0; taken * columns], vec![0; taken]);
                sample_rows(&order, word(rows), first, part.row0, &mut places);
                sample(&places, columns, &inputs, &mut x);
                for run in runs {
                    assert_eq!(run[0], x, "{sampling:?} {rows} rows, {part:?}");
                    assert_eq!(to_words(&run[1]), places, "{sampling:?} {rows} rows, {part:?}");
                }
            }
        }
    }
}

/// Rows of any format, from any number on and at any distance.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn sample_reads_every_format() {
    let rig = Rig::get();
    // Bytes that are finite numbers in all formats: no exponent of f16 or f32 is all ones.
    let bytes: Vec<u8> = (0..4 * 200_u32).map(|i| (i * 37 % 120) as u8).collect();
    let source: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    let at = |format: u32, index: usize| -> f32 {
        let word = |i: usize| u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap());
        match format {
            0 => f32::from_bits(word(index)),
            1 => half(u16::from_le_bytes(bytes[2 * index..2 * index + 2].try_into().unwrap())),
            2 => f32::from(bytes[index]) / 255.0,
            3 => f32::from(bytes[index]),
            // Rounded to the nearest, as the kernel does.
            _ => word(index) as f32,
        }
    };
    for format in 0..5 {
        for (rows, columns, offset, stride) in [(1, 1, 0, 1), (7, 3, 5, 4), (3, 2, 1, 65)] {
            let step = Step::evaluation(0, rows);
            let [part] = step.parts(usize::MAX).collect::<Vec<_>>()[..] else { unreachable!() };
            let shape = SampleShape::new(columns, offset, stride);
            let taken = (rows * columns) as usize;
            let runs = rig.run(
                &SAMPLE,
                &[f64::from(format)],
                SampleShape::grid(),
                &StepUniform::new(&step, part, rows, false, 0),
                &[("shape", rig.uniform(&shape))],
                &[
                    ("source", Arg::Read(&source)),
                    ("batch", Arg::Written(taken)),
                    ("rows", Arg::Written(rows as usize)),
                ],
            );
            let want: Vec<f64> = (0..taken)
                .map(|i| {
                    let (row, k) = (i / columns as usize, i % columns as usize);
                    f64::from(at(format, offset as usize + row * stride as usize + k))
                })
                .collect();
            for run in runs {
                // A division by 255, or a product with its inverse, within 2.5 ULP and one rounding.
                let ulps = if format == 2 { 4.0 } else { 0.0 };
                assert_within(&run[0], &want, |i| ulps * f64::from(f32::EPSILON) * want[i].abs());
            }
        }
    }
}

/// The value of a finite f16.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023) / 1024.0);
    let magnitude = match exponent {
        0 => fraction * 2_f32.powi(-14),
        _ => (1.0 + fraction) * 2_f32.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[test]
fn parts_cover_a_batch() {
    let step = Step::evaluation(0, 10);
    let parts: Vec<Part> = step.parts(4).collect();
    let rows: Vec<_> = parts.iter().map(|p| (p.row0, p.rows, p.is_first, p.is_last)).collect();
    assert_eq!(rows, [(0, 4, true, false), (4, 4, false, false), (8, 2, false, true)]);
    assert_eq!(step.parts(100).count(), 1);
}

fn rules() -> Vec<Rule> {
    let rmsprop = |momentum, centred| Rule::Rmsprop { alpha: 0.99, eps: 1e-8, momentum, centred };
    vec![
        Rule::Sgd { momentum: 0.0, nesterov: false },
        Rule::Sgd { momentum: 0.9, nesterov: false },
        Rule::Sgd { momentum: 0.9, nesterov: true },
        Rule::ADAGRAD,
        rmsprop(0.0, false),
        rmsprop(0.0, true),
        rmsprop(0.9, false),
        rmsprop(0.9, true),
        Rule::ADAM,
        Rule::AMSGRAD,
        Rule::NADAM,
        Rule::LION,
    ]
}

/// The arenas of a twin's run, as long as the rule and the options need them.
#[derive(Clone)]
struct State<T> {
    parameters: Vec<T>,
    moments: [Vec<T>; 3],
    averages: Vec<T>,
    measured: Vec<[T; 2]>,
}

impl<T: Real> State<T> {
    fn step(
        &mut self,
        options: &TrainOptions,
        ends: &[usize],
        update: &Update<f64>,
        gradients: &[T],
    ) {
        let [moment1, moment2, moment3] = &mut self.moments;
        let update = update.cast();
        let cut = Cut::new(options.clip, update.clip, || squares(gradients));
        optimizer(
            &options.optimizer.rule,
            cut,
            ends,
            &update,
            0,
            Arenas {
                gradients,
                parameters: &mut self.parameters,
                moments: [moment1, moment2, moment3],
                averages: &mut self.averages,
                measured: &mut self.measured,
            },
        );
    }
}

/// One step with every rule × clipping on every length, with moments from earlier steps, a second
/// parameter group, an average, and what insights need.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn optimizer_matches_its_twin() {
    let rig = Rig::get();
    for rule in rules() {
        for clip in [None, Some(Clip::Value(0.5)), Some(Clip::Norm(0.7))] {
            for (len, first) in [(1, 1), (256, 100), (300, 256)] {
                let mut options = TrainOptions::new(Loss::Mse, Optimizer::new(rule, 0.01));
                (options.clip, options.ema) = (clip, Some(0.9));
                let has = options.optimizer.moments();
                let rates = |lr, weight_decay| GroupRates { lr, weight_decay };
                let groups = vec![rates(0.01, 0.05), rates(0.03, 0.0)];
                let bound = clip.map_or(0.0, Clip::bound);
                let mut updates = Updates::new(options.optimizer, groups, bound, 0.9);
                let update = updates.at(3, 0.5);
                let ends = [first, len];

                let (g, w, a) = (random(40, len), random(41, len), random(45, len));
                let v: Vec<f32> = random(43, len).iter().map(|v| v.abs() + 0.1).collect();
                let m: Vec<f32> = random(42, len).iter().map(|m| 0.3 * m).collect();
                // Variances first where the rule has no mean in front of them, and the largest last.
                let moments = match rule {
                    Rule::Rmsprop { .. } | Rule::Adagrad { .. } => [&v, &m, &m],
                    _ => [&m, &v, &v],
                };
                let moment = |k: usize| if k < has { moments[k].clone() } else { Vec::new() };
                let mut state = State {
                    parameters: exact(&w),
                    moments: [exact(&moment(0)), exact(&moment(1)), exact(&moment(2))],
                    averages: exact(&a),
                    measured: vec![[Tracked::ZERO; 2]; len],
                };
                // Partial sums in any order, as the kernel's own.
                let squares: f64 = g.iter().map(|&g| f64::from(g).powi(2)).sum();
                let shape = ArenaShape::new(&ends);
                let uniforms = [("shape", rig.uniform(&shape))];
                let norm = rig.run(
                    &GRADIENT_NORM,
                    &[],
                    norm_grid(),
                    &StepUniform::default(),
                    &uniforms,
                    &[("gradients", Arg::Read(&g)), ("partial_sums", Arg::Written(PARTIAL_SUMS))],
                );
                for run in &norm {
                    let sum: f64 = run[0].iter().map(|&x| f64::from(x)).sum();
                    assert_within_f64(&[sum], &[squares], |_| crate::testing::gamma(len) * squares);
                }
                state.step(&options, &ends, &update, &exact(&g));
                let mut step = StepUniform::default();
                step.set_update(&update);
                let placeholder = [0.0];
                let device_moment =
                    |k: usize| if k < has { moments[k].as_slice() } else { &placeholder };
                let runs = rig.run(
                    &OPTIMIZER,
                    &choices(&options, true),
                    shape.grid(),
                    &step,
                    &uniforms,
                    &[
                        ("gradients", Arg::Read(&g)),
                        ("parameters", Arg::Updated(&w)),
                        ("moment1", Arg::Updated(device_moment(0))),
                        ("moment2", Arg::Updated(device_moment(1))),
                        ("moment3", Arg::Updated(device_moment(2))),
                        ("averages", Arg::Updated(&a)),
                        ("status", Arg::Updated(&status(&norm[0][0]))),
                        ("measured", Arg::Written(2 * len)),
                    ],
                );
                // The kernel takes the norm of f32 partial sums.
                let slack = if matches!(clip, Some(Clip::Norm(_))) { norm_slack(len) } else { 0.0 };
                let widened = |numbers: &[Tracked]| -> Vec<Tracked> {
                    numbers.iter().map(|x| x.widened(slack)).collect()
                };
                for run in runs {
                    assert_tracked(&run[0], &widened(&state.parameters));
                    for (k, moment) in state.moments.iter().enumerate() {
                        assert_tracked(&run[1 + k][..moment.len()], &widened(moment));
                    }
                    assert_tracked(&run[4], &widened(&state.averages));
                    // Directions aren't scaled by the learning rate; theirs is relative.
                    let relative = |x: &Tracked| x.widened(10.0 * slack * (1.0 + x.value.abs()));
                    let measured: Vec<_> = state.measured.iter().flatten().map(relative).collect();
                    assert_tracked(&run[6], &measured);
                }
            }
        }
    }
}

/// The 1e-6 in PyTorch's clipping counts where gradients are small: 1e-7/(1e-6 + 1e-6).
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn tiny_gradients_are_clipped_as_pytorch_does() {
    let rig = Rig::get();
    let mut options = TrainOptions::new(Loss::Mse, Optimizer::sgd(1.0));
    options.clip = Some(Clip::Norm(1e-7));
    let groups = vec![GroupRates { lr: 1.0, weight_decay: 0.0 }];
    let update = Updates::new(options.optimizer, groups, 1e-7, 0.0).at(1, 1.0);
    let (g, w) = ([1e-6_f32], [0.0]);
    let mut twin = State::<f64> {
        parameters: vec![0.0],
        moments: Default::default(),
        averages: Vec::new(),
        measured: Vec::new(),
    };
    twin.step(&options, &[1], &update, &[1e-6]);
    assert_within_f64(&twin.parameters, &[-5e-8], |_| 1e-15);
    let mut step = StepUniform::default();
    step.set_update(&update);
    let mut sums = vec![0.0; PARTIAL_SUMS];
    sums[3] = 1e-12;
    let placeholder = [0.0];
    let shape = ArenaShape::new(&[1]);
    let runs = rig.run(
        &OPTIMIZER,
        &choices(&options, false),
        shape.grid(),
        &step,
        &[("shape", rig.uniform(&shape))],
        &[
            ("gradients", Arg::Read(&g)),
            ("parameters", Arg::Updated(&w)),
            ("moment1", Arg::Updated(&placeholder)),
            ("moment2", Arg::Updated(&placeholder)),
            ("moment3", Arg::Updated(&placeholder)),
            ("averages", Arg::Updated(&placeholder)),
            ("status", Arg::Updated(&status(&sums))),
            ("measured", Arg::Updated(&placeholder)),
        ],
    );
    for run in runs {
        assert_within(&run[0], &[-5e-8], |_| 5e-8 * 30.0 * U);
    }
}

/// The optimizer's status: partial sums, and no fault in any slot.
pub(super) fn status(partial_sums: &[f32]) -> Vec<f32> {
    let mut status = partial_sums.to_vec();
    status.resize(STATUS_WORDS, 0.0);
    status
}

/// What the rounding of ‖g‖² may change in numbers of about 1.
fn norm_slack(len: usize) -> f64 {
    2.0 * crate::testing::gamma(len + 20)
}

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
    assert!(fixture.all().count() >= 44, "the fixture lost cases");
    for case in fixture.all() {
        for (got, want) in case.run::<f64>(&fixture).iter().zip(&case.parameters) {
            assert_within_f64(got, want, |i| 1e-12 * want[i].abs().max(1.0));
        }
    }
}

/// What each f32 number may be off: the error that the twin tracks for it. Where decay is part of the
/// gradient, errors feed back, which such a bound can only take for growth; there four times
/// PyTorch's own error is allowed, and the rounding of the result.
fn bounds(case: &Case, fixture: &Fixture) -> Vec<Vec<f64>> {
    let feeds_back = case.weight_decay > 0.0 && case.decay == Decay::L2;
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
