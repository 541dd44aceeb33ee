//! The optimizer.

use super::{U, random, word};
use crate::Loss;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::ops::optimizer::{
    ArenaShape, Arenas, Cut, GRADIENT_NORM, OPTIMIZER, PARTIAL_SUMS, STATUS_WORDS, average,
    choices, norm_grid, optimizer, squares,
};
use crate::ops::step::StepUniform;
use crate::optimizer::{Clip, GroupRates, Optimizer, Rule, Update, Updates};
use crate::options::TrainOptions;
use crate::real::Real;
use crate::testing::assert_tracked;
use crate::testing::{assert_within, assert_within_f64};
use crate::tracked::{Tracked, exact};

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
pub(super) struct State<T> {
    pub parameters: Vec<T>,
    pub moments: [Vec<T>; 3],
    pub averages: Vec<T>,
    pub measured: Vec<[T; 2]>,
}

impl<T: Real> State<T> {
    pub(super) fn step(
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
/// parameter group, an average, also of two numbers that aren't trained, and what insights need.
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

                let all = len + 2;
                let (g, w, a) = (random(40, len), random(41, all), random(45, all));
                let v: Vec<f32> = random(43, len).iter().map(|v| v.abs() + 0.1).collect();
                let m: Vec<f32> = random(42, len).iter().map(|m| 0.3 * m).collect();
                // Variances first where the rule has no mean in front of them, and the largest last.
                let moments = match rule {
                    Rule::Rmsprop { .. } | Rule::Adagrad { .. } => [&v, &m, &m],
                    _ => [&m, &v, &v],
                };
                let moment = |k: usize| if k < has { moments[k].clone() } else { Vec::new() };
                let mut state = State {
                    parameters: exact(&w[..len]),
                    moments: [exact(&moment(0)), exact(&moment(1)), exact(&moment(2))],
                    averages: exact(&a[..len]),
                    measured: vec![[Tracked::ZERO; 2]; len],
                };
                // Partial sums in any order, as the kernel's own.
                let squares: f64 = g.iter().map(|&g| f64::from(g).powi(2)).sum();
                let shape = ArenaShape { averaged: word(all), ..ArenaShape::new(&ends) };
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
                let untrained: Vec<Tracked> = exact(&w[len..]);
                let mut averages_of_untrained: Vec<Tracked> = exact(&a[len..]);
                let share = update.cast().average_share;
                average(share, &mut averages_of_untrained, &untrained);
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
                    assert_tracked(&run[0][..len], &widened(&state.parameters));
                    assert_eq!(run[0][len..], w[len..], "untrained");
                    for (k, moment) in state.moments.iter().enumerate() {
                        assert_tracked(&run[1 + k][..moment.len()], &widened(moment));
                    }
                    assert_tracked(&run[4][..len], &widened(&state.averages));
                    assert_tracked(&run[4][len..], &averages_of_untrained);
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
pub(super) fn norm_slack(len: usize) -> f64 {
    2.0 * crate::testing::gamma(len + 20)
}
