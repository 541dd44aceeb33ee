//! Parameters rounded to f16, and how the loss's scale follows from a step.

use half::f16;

use super::{from_words, random, to_words, word};
use crate::divergence::Fault;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::engine::kernel::Halves;
use crate::ops::halve::{HALVE, HalveShape};
use crate::ops::optimizer::{ArenaShape, PARTIAL_SUMS, STATUS_WORDS};
use crate::ops::scaling::{INTERVAL, LARGEST, SCALE, Scaling, grid, next};
use crate::ops::step::StepUniform;
use crate::{Loss, Mlp, Optimizer, Plan, TrainOptions};

/// In f32 the copy is one to the bit; that f16 is its rounding is what the rig sees to.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn halves_are_the_parameters() {
    assert_ne!(Halves::all(&HALVE), Halves::NONE);
    let rig = Rig::get();
    for len in [4, 128, 516, 1028] {
        let mut parameters = random(3, len);
        parameters[..4].copy_from_slice(&[65504.0, -65519.0, 1e-7, f32::NAN]);
        let shape = HalveShape::new(word(len));
        let runs = rig.run(
            &HALVE,
            &[],
            shape.grid(),
            &StepUniform::default(),
            &[("shape", rig.uniform(&shape))],
            &[("parameters", Arg::Read(&parameters)), ("halves", Arg::Written(len))],
        );
        for run in runs {
            assert_eq!(to_words(&run[0]), to_words(&parameters));
        }
    }
    assert_eq!(f16::MAX.to_f32(), 65504.0, "the bound of half.wgsl");
}

/// The scale and the fault's word after a step whose partial sums and fault were these.
fn run(scaling: Scaling, last_sum: f32, fault: u32, skips: bool) -> (Scaling, u32) {
    const SLOT: u32 = 5;
    let rig = Rig::get();
    let mut status = vec![1.0; PARTIAL_SUMS];
    status[PARTIAL_SUMS - 1] = last_sum;
    status.resize(STATUS_WORDS, 0.0);
    let at = PARTIAL_SUMS + SLOT as usize;
    status[at] = from_words(&[fault])[0];
    let step = StepUniform { slot: SLOT, ..StepUniform::default() };
    let runs = rig.run(
        &SCALE,
        &[f64::from(u8::from(skips))],
        grid(),
        &step,
        &[("shape", rig.uniform(&ArenaShape::new(&[64])))],
        &[("status", Arg::Updated(&status)), ("scaling", Arg::Updated(&scaling.numbers()))],
    );
    let [checked, unchecked] = runs.map(|run| run.concat());
    assert_eq!(to_words(&checked), to_words(&unchecked));
    let (after, scaling) = checked.split_at(STATUS_WORDS);
    for (i, (before, after)) in to_words(&status).iter().zip(to_words(after)).enumerate() {
        assert!(i == at || *before == after, "word {i} of the status changed");
    }
    let [scale, inverse, steady] = [0, 1, 2].map(|i| scaling[i]);
    assert_eq!(inverse, 1.0 / scale);
    (Scaling { scale, steady }, to_words(after)[at])
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_scale_follows_from_the_gradient() {
    let plan =
        Plan::new(&Mlp::new(2).linear(1), &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)));
    let plan = plan.unwrap();
    let states = [(1.0, 0.0), (1.0, INTERVAL - 1.0), (2.0, 7.0), (65536.0, INTERVAL - 2.0)];
    for (scale, steady) in states.into_iter().chain([(LARGEST, INTERVAL - 1.0)]) {
        let scaling = Scaling { scale, steady };
        let (after, fault) = run(scaling, 1.0, 0, false);
        assert_eq!((after, fault), (next(scaling, true), 0), "{scaling:?}");
        for sum in [f32::INFINITY, f32::NAN] {
            for skips in [false, true] {
                let raised = Fault::word(Some(1), true);
                let (after, fault) = run(scaling, sum, raised, skips);
                assert_eq!(after, next(scaling, false), "{scaling:?}");
                let fault = Fault::of_word(fault, &plan).unwrap();
                if scale > 1.0 {
                    assert!(fault.rescaled && fault.skipped, "{scaling:?}: {fault:?}");
                } else {
                    let Fault { tensor, skipped, rescaled } = fault;
                    assert_eq!((tensor, skipped, rescaled), (Some(0), skips, false));
                }
            }
        }
    }
}

/// What `torch._amp_update_scale_` of PyTorch 2.15, behind `torch.amp.GradScaler`, makes of overflows in steps 1
/// and 2500, with the defaults 2, 0.5 and 2000.
#[test]
fn the_scale_is_pytorchs() {
    let mut scaling = Scaling::initial(true);
    let mut scales = Vec::new();
    for step in 0..6003 {
        let before = scaling.scale;
        scaling = next(scaling, step != 1 && step != 2500);
        if before != scaling.scale {
            scales.push((step, scaling.scale));
        }
    }
    assert_eq!(scales, [(1, 32768.0), (2001, 65536.0), (2500, 32768.0), (4500, 65536.0)]);
}
