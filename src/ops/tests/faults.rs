//! What the optimizer raises where numbers aren't finite, and what it leaves alone then.

use super::updates::status;
use crate::Loss;
use crate::divergence::{Fault, OnDivergence};
use crate::engine::gpu::rig::{Arg, Rig};
use crate::ops::optimizer::{
    ArenaShape, Arenas, Cut, GRADIENT_NORM, OPTIMIZER, PARTIAL_SUMS, average, choices, norm_grid,
    optimizer,
};
use crate::ops::step::StepUniform;
use crate::optimizer::{Clip, GroupRates, Optimizer, Rule, Updates};
use crate::options::TrainOptions;

const LEN: usize = 300;
const INF: f32 = f32::INFINITY;

/// Numbers that aren't finite, or make such, at places of their own.
struct Case {
    gradients: &'static [(usize, f32)],
    parameters: &'static [(usize, f32)],
    clip: Option<Clip>,
    /// The last element that goes wrong.
    fault: Option<usize>,
    /// Whether a policy that skips does so here.
    skipped: bool,
}

const GOOD: Case =
    Case { gradients: &[], parameters: &[], clip: None, fault: None, skipped: false };

/// A run's parameters, moments, averages and fault.
type Outcome = (Vec<f32>, [Vec<f32>; 2], Vec<f32>, Option<usize>);

/// What the averages begin with.
const AVERAGE: f32 = 2.0;

fn filled(value: f32, others: &[(usize, f32)]) -> Vec<f32> {
    let mut numbers = vec![value; LEN];
    others.iter().for_each(|&(at, x)| numbers[at] = x);
    numbers
}

/// The twin's step, which is never left out.
fn twin(options: &TrainOptions, g: &[f32], w: &[f32], updates: &mut Updates) -> Outcome {
    let mut parameters = w.to_vec();
    let [mut m, mut v, mut a] = [vec![0.5; LEN], vec![0.25; LEN], vec![AVERAGE; LEN]];
    let update = updates.at(3, 1.0).cast();
    let squares = || g.iter().map(|&g| f64::from(g).powi(2)).sum();
    let arenas = Arenas {
        gradients: g,
        parameters: &mut parameters,
        moments: [&mut m, &mut v, &mut []],
        averages: &mut a,
        measured: &mut [],
    };
    let cut = Cut::new(options.clip, update.clip, squares);
    let fault = optimizer(&options.optimizer.rule, cut, &[LEN], &update, 0, arenas);
    (parameters, [m, v], a, fault)
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn what_is_not_finite_is_raised_and_skipped() {
    let rig = Rig::get();
    let value = Some(Clip::Value(1.0));
    let cases = [
        GOOD,
        Case { gradients: &[(7, f32::NAN), (130, INF)], fault: Some(130), skipped: true, ..GOOD },
        Case { gradients: &[(299, -INF)], fault: Some(299), skipped: true, ..GOOD },
        Case { gradients: &[(0, f32::NAN)], fault: Some(0), skipped: true, ..GOOD },
        // Clipped to a finite number, but its square isn't.
        Case { gradients: &[(7, INF)], clip: value, fault: None, skipped: true, ..GOOD },
        Case { gradients: &[(7, f32::NAN)], clip: value, fault: Some(7), skipped: true, ..GOOD },
        // ‖g‖ is infinite, so all of g·c/‖g‖ is 0 but that itself.
        Case {
            gradients: &[(9, INF)],
            clip: Some(Clip::Norm(1.0)),
            fault: Some(9),
            skipped: true,
            ..GOOD
        },
        // The gradient is sound, the parameter isn't.
        Case { parameters: &[(42, f32::NAN), (60, INF)], fault: Some(60), ..GOOD },
        // Squares overflow, and nothing else.
        Case { gradients: &[(5, 1e25)], skipped: true, ..GOOD },
        // So they do for the norm that clips: nothing is left of the gradient.
        Case { gradients: &[(5, 1e25)], clip: Some(Clip::Norm(1.0)), skipped: true, ..GOOD },
    ];
    for (number, case) in cases.iter().enumerate() {
        for skips in [false, true] {
            for rule in [Optimizer::sgd(0.1), Optimizer::adam(0.1), Optimizer::new(Rule::LION, 0.1)]
            {
                // 1e25 doesn't fit Adam's v either, unless it is clipped.
                if rule == Optimizer::adam(0.1) && number == 8 {
                    continue;
                }
                let mut options = TrainOptions::new(Loss::Mse, rule);
                (options.clip, options.ema) = (case.clip, Some(0.9));
                options.on_divergence =
                    if skips { OnDivergence::Skip { most: 1 } } else { OnDivergence::Stop };
                let rates = vec![GroupRates { lr: 0.1, weight_decay: 0.0 }];
                let mut updates = Updates::new(rule, rates, 1.0, 0.9);
                let (g, w) = (filled(0.5, case.gradients), filled(1.0, case.parameters));
                let (mut parameters, mut moments, mut averages, fault) =
                    twin(&options, &g, &w, &mut updates);
                assert_eq!(fault, case.fault, "case {number}: twin");
                let skipped = skips && case.skipped;
                if skipped {
                    (parameters, moments) = (w.clone(), [vec![0.5; LEN], vec![0.25; LEN]]);
                    // As after any step, with the weights that this one has left.
                    averages = vec![AVERAGE; LEN];
                    let share = updates.at(3, 1.0).cast::<f32>().average_share;
                    average(share, &mut averages, &w);
                }

                let shape = ArenaShape::new(&[LEN]);
                let uniforms = [("shape", rig.uniform(&shape))];
                let mut step = StepUniform { slot: 5, ..StepUniform::default() };
                step.set_update(&updates.at(3, 1.0));
                let sums = rig.run(
                    &GRADIENT_NORM,
                    &[],
                    norm_grid(),
                    &step,
                    &uniforms,
                    &[("gradients", Arg::Read(&g)), ("partial_sums", Arg::Written(PARTIAL_SUMS))],
                );
                let nothing = [0.0];
                let runs = rig.run(
                    &OPTIMIZER,
                    &choices(&options, false),
                    shape.grid(),
                    &step,
                    &uniforms,
                    &[
                        ("gradients", Arg::Read(&g)),
                        ("parameters", Arg::Updated(&w)),
                        ("moment1", Arg::Updated(&[0.5; LEN])),
                        ("moment2", Arg::Updated(&[0.25; LEN])),
                        ("moment3", Arg::Updated(&nothing)),
                        ("averages", Arg::Updated(&[AVERAGE; LEN])),
                        ("status", Arg::Updated(&status(&sums[0][0]))),
                        ("measured", Arg::Updated(&nothing)),
                    ],
                );
                // What is raised in a step that is left out: an element of g, before clipping.
                let unsound = g.iter().rposition(|g| !g.is_finite());
                let want = match (skipped, case.clip, case.fault) {
                    (true, ..) => Fault::word(unsound, true),
                    (false, Some(Clip::Norm(_)), None) => Fault::OVERFLOW,
                    (false, _, fault) => Fault::word(fault, false),
                };
                for run in runs {
                    let words: Vec<u32> = run[5].iter().map(|x| x.to_bits()).collect();
                    let faults = &words[PARTIAL_SUMS..];
                    assert_eq!(faults[5], want, "case {number}, {rule:?}, skips {skips}");
                    let others = faults.iter().enumerate().filter(|(slot, _)| *slot != 5);
                    assert!(others.clone().all(|(_, &fault)| fault == 0), "case {number}: slots");
                    assert_alike(&run[0], &parameters, skipped);
                    assert_alike(&run[4], &averages, false);
                    for (got, want) in
                        run[1..3].iter().zip(&moments).take(options.optimizer.moments())
                    {
                        assert_alike(got, want, skipped);
                    }
                }
            }
        }
    }
}

/// Within two roundings of the twin, and exactly where nothing was computed. What isn't finite isn't so in
/// both; NaN or infinite is up to the order of operations.
fn assert_alike(got: &[f32], want: &[f32], exactly: bool) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let alike = match (want.is_finite(), exactly) {
            (_, true) => got.to_bits() == want.to_bits(),
            (false, _) => !got.is_finite(),
            (true, false) => (got - want).abs() <= 8.0 * f32::EPSILON * want.abs().max(1.0),
        };
        assert!(alike, "element {i}: {got}, not {want}");
    }
}
