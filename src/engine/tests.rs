//! Any small net with any options: a step or two on both engines, within the error that f32 may have.

use std::ops::ControlFlow;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::data::{Dataset, Targets};
use crate::engine::gpu::rig::Rig;
use crate::ops::tests::random;
use crate::testing::{assert_within, cases};
use crate::tracked::{Tracked, unambiguous};
use crate::{
    Activation, Clip, CpuEngine, Decay, Encoding, Engine, Loss, Mlp, Optimizer, Plan, Rule,
    Sampling, TrainOptions, Trainer,
};

/// Nets that are tried: each has kernels of its own to be compiled.
const NETS: u32 = 40;
/// A bound of so much of what a step moved is one that a wrong formula would break.
const TELLING: f64 = 0.01;

fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(Activation::ALL)
}

fn encoding() -> impl Strategy<Value = Option<Encoding>> {
    prop_oneof![
        3 => Just(None),
        1 => (1..4_u32).prop_map(|octaves| Some(Encoding::triangle_wave(octaves))),
    ]
}

/// A layer as a step from one net to a longer one.
fn layer() -> impl Strategy<Value = (u32, usize, Activation)> {
    (0..10_u32, 1..20_usize, activation())
}

fn net() -> impl Strategy<Value = Mlp> {
    let layers = prop::collection::vec(layer(), 0..6);
    (1..9_usize, encoding(), layers, 1..6_usize).prop_map(|(inputs, encoding, layers, outputs)| {
        let mlp = Mlp::new(inputs);
        let mlp = encoding.into_iter().fold(mlp, Mlp::encoding);
        let longer = |mlp: Mlp, (kind, width, activation)| match kind {
            0..=3 => mlp.linear(width),
            4..=6 => mlp.activation(activation),
            7 => mlp.batch_norm(),
            8 => mlp.layer_norm(),
            _ => mlp.dropout(0.3),
        };
        layers.into_iter().fold(mlp, longer).linear(outputs)
    })
}

fn loss() -> impl Strategy<Value = Loss> {
    prop::sample::select(vec![
        Loss::Mse,
        Loss::Mae,
        Loss::HUBER,
        Loss::BCE_WITH_LOGITS,
        Loss::CrossEntropy { label_smoothing: 0.1, class_weights: Vec::new() },
    ])
}

/// Rules whose steps follow the gradient: those that divide by its size make full steps of what is
/// nothing but rounding. They have tests of their own (`ops/tests/updates.rs`).
fn optimizer() -> impl Strategy<Value = Optimizer> {
    let adagrad = Rule::Adagrad { eps: 0.1 };
    let adam = Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 0.1, amsgrad: false };
    let nadam = Rule::Nadam { beta1: 0.9, beta2: 0.999, eps: 0.1, momentum_decay: 4e-3 };
    let rmsprop = Rule::Rmsprop { alpha: 0.9, eps: 0.1, momentum: 0.5, centred: false };
    prop::sample::select(vec![
        Optimizer::sgd(0.1),
        Optimizer::momentum(0.1, 0.9, false).weight_decay(0.01, Decay::L2),
        Optimizer::momentum(0.1, 0.9, true).weight_decay(0.01, Decay::Decoupled),
        Optimizer::new(adagrad, 0.1),
        Optimizer::new(adam, 0.1).weight_decay(0.01, Decay::Decoupled),
        Optimizer::new(nadam, 0.1),
        Optimizer::new(rmsprop, 0.1),
    ])
}

fn options() -> impl Strategy<Value = TrainOptions> {
    let batches = (1..24_usize, prop::option::of(1..12_usize), any::<u64>());
    // Not by the norm, which is summed in f64 and there loses its bound.
    let clip = prop::option::of(Just(Clip::Value(0.05)));
    let sampling =
        prop::sample::select(vec![Sampling::Shuffled, Sampling::Replacement, Sampling::Sequential]);
    (loss(), optimizer(), batches, clip, sampling).prop_map(
        |(loss, optimizer, batches, clip, sampling)| {
            let (batch_size, micro_batch, seed) = batches;
            TrainOptions {
                batch_size,
                micro_batch,
                clip,
                sampling,
                seed,
                ..TrainOptions::new(loss, optimizer)
            }
        },
    )
}

/// Rows for a plan: numbers in [−1, 1], targets of the kind that its loss wants.
fn data(plan: &Plan, rows: usize, weighted: bool) -> Dataset {
    let (inputs, width) = (plan.mlp().in_features(), plan.mlp().out_features());
    let values = random(30, rows * width);
    let targets = match plan.options().loss {
        Loss::CrossEntropy { .. } => Targets::Classes {
            labels: (0..)
                .step_by(7)
                .take(rows)
                .map(|i: u32| i % crate::ops::tests::word(width))
                .collect(),
            classes: width,
        },
        Loss::BceWithLogits { .. } => {
            Targets::Values { values: values.iter().map(|v| v.abs()).collect(), width }
        }
        _ => Targets::Values { values, width },
    };
    let data = Dataset::new(random(31, rows * inputs), inputs, targets).unwrap();
    if weighted {
        data.with_weights(random(32, rows).iter().map(|w| 1.5 + w).collect()).unwrap()
    } else {
        data
    }
}

/// The parameters after some steps; none where the rows don't suit the net.
fn trained<E: Engine, P>(
    engine: E,
    data: &Dataset,
    steps: u64,
    parameters: fn(&mut E) -> P,
) -> Option<P> {
    let mut trainer = Trainer::new(engine, data, None).ok()?;
    trainer.train_steps(steps, |_| ControlFlow::Continue(())).unwrap();
    Some(parameters(trainer.engine_mut()))
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn any_net_takes_the_same_steps_on_both_engines() {
    let mut runner = TestRunner::new(cases(NETS));
    let strategy = (net(), options(), 1..40_usize, any::<bool>(), 1..3_u64);
    let (mut compared, mut telling) = (0, 0);
    for _ in 0..NETS {
        let (mlp, options, rows, weighted, steps) =
            strategy.new_tree(&mut runner).unwrap().current();
        println!("{mlp}, {steps} steps of {rows} rows, weighted: {weighted}, {options:?}");
        // A batch norm has to have two rows at once.
        let Ok(plan) = Plan::new(&mlp, &options) else { continue };
        let data = data(&plan, rows, weighted);
        let exact = unambiguous(|| {
            let engine = CpuEngine::<Tracked>::new(plan.clone());
            trained(engine, &data, steps, |engine| engine.parameters_exact().to_vec())
        });
        let Some(exact) = exact.flatten() else { continue };
        let values: Vec<f64> = exact.iter().map(|x| x.value).collect();
        let cpu = CpuEngine::<f32>::new(plan.clone());
        let cpu = trained(cpu, &data, steps, |engine| engine.parameters().unwrap()).unwrap();
        assert_within(&cpu, &values, |i| exact[i].error);
        let gpu = Rig::get().engine(plan.clone());
        let gpu = trained(gpu, &data, steps, |engine| engine.parameters().unwrap()).unwrap();
        assert_within(&gpu, &values, |i| exact[i].error);

        let before = plan.initial_parameters();
        let moved = values.iter().zip(&before).map(|(x, &before)| (x - f64::from(before)).abs());
        let widest = exact.iter().map(|x| x.error).fold(0.0, f64::max);
        let share = widest / moved.fold(0.0, f64::max);
        println!("within {share:.1e} of what they moved");
        compared += 1;
        telling += u32::from(share < TELLING);
    }
    println!("{compared} of {NETS} compared, {telling} of them by a bound that tells");
    assert!(compared >= NETS / 2 && telling >= compared * 3 / 4);
}
