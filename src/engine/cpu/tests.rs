//! Lanes and threads: they change who computes, never what.

use super::division::Division;
use super::*;
use crate::loss::Loss;
use crate::model::Mlp;
use crate::optimizer::{Clip, Optimizer};
use crate::options::TrainOptions;
use crate::rng::{Purpose, Stream};
use crate::sampler::Order;
use crate::testing::assert_within_f64;
use crate::trainer::Trainer;
use crate::{Activation, Encoding, data::Targets};

fn data(plan: &Plan, rows: usize) -> Dataset {
    let mut stream = Stream::new(3, Purpose::Synthetic, 0);
    let mut numbers = |width: usize| -> Vec<f32> {
        (0..rows * width).map(|_| f32::from_f64(stream.normal())).collect()
    };
    let (inputs, width) = (plan.mlp().in_features(), plan.mlp().out_features());
    let targets = Targets::Values { values: numbers(width), width };
    Dataset::new(numbers(inputs), inputs, targets).unwrap()
}

#[test]
fn no_evaluation_ends_with_a_single_row() {
    let options =
        TrainOptions { batch_size: 256, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)) };
    let plan = Plan::new(&Mlp::new(2).linear(1), &options).unwrap();
    for rows in (2..3000).chain([65_281, 65_537, 1_000_001]) {
        let size = evaluation_size(&plan, rows);
        assert!((1..=plan.capacity()).contains(&size) && rows % size != 1, "{rows} in {size}");
    }
}

/// Small with lanes, wide with shared products, with batch norms, and encoded in either way.
fn plans() -> [(usize, Plan); 6] {
    let options = |batch_size, micro_batch| TrainOptions {
        batch_size,
        micro_batch,
        clip: Some(Clip::Norm(0.5)),
        ema: Some(0.9),
        insight_every: Some(2),
        ..TrainOptions::new(Loss::Mse, Optimizer::adamw(1e-2))
    };
    let small = Mlp::new(3).linear(40).layer_norm().activation(Activation::Gelu).dropout(0.2);
    let small = small.linear(33).activation(Activation::Relu).linear(2);
    let wide = Mlp::with_hidden(70, &[200, 150], Activation::Relu, 10);
    let normed = Mlp::new(32).linear(256).batch_norm().activation(Activation::Silu);
    let normed = normed.dropout(0.1).linear(96).batch_norm().linear(1);
    let encoded = |width: usize| {
        let mlp = Mlp::new(3).encoding(Encoding::frequency(6)).activation(Activation::Gelu);
        mlp.linear(width).activation(Activation::Relu).linear(2)
    };
    [
        (2, Plan::new(&encoded(40), &options(600, None)).unwrap()),
        (1, Plan::new(&encoded(1000), &options(600, None)).unwrap()),
        // Parts of 700, 700 and 130 rows: the last leaves a lane without rows.
        (2, Plan::new(&small, &options(1530, Some(700))).unwrap()),
        (1, Plan::new(&wide, &options(131, None)).unwrap()),
        (1, Plan::new(&normed, &options(250, None)).unwrap()),
        // So wide that how rows are divided depends on the threads.
        (
            1,
            Plan::new(&Mlp::with_hidden(1500, &[1450], Activation::Relu, 2), &options(48, None))
                .unwrap(),
        ),
    ]
}

/// Parameters, averages, gradients and insights of a few steps.
fn run(plan: &Plan, threads: usize) -> (Vec<u32>, Vec<u32>, String) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let data = data(plan, 2 * plan.options().batch_size + 7);
    pool.install(|| {
        let engine = CpuEngine::<f32>::new(plan.clone());
        let mut trainer = Trainer::new(engine, &data, Some(&data)).unwrap();
        let mut insights = String::new();
        for _ in 0..2 {
            let report = trainer.train_epoch(|progress| {
                insights += &format!("{} {:?}\n", progress.step_loss, progress.insight);
                std::ops::ControlFlow::Continue(())
            });
            insights += &format!("{:?}\n", report.unwrap().validation);
        }
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let engine = trainer.engine();
        let state = [&engine.parameters, &engine.averages].map(|arena| bits(arena)).concat();
        (state, bits(engine.gradients()), insights)
    })
}

#[test]
fn the_number_of_threads_does_not_change_the_bits_of_a_training() {
    for (lanes, plan) in plans() {
        assert_eq!(Division::of(&plan).lanes, lanes, "{}", plan.mlp());
        let one = run(&plan, 1);
        assert!(one.2.contains("dead_units"), "{}", one.2);
        for threads in [2, 3] {
            assert!(run(&plan, threads) == one, "{} on {threads} threads", plan.mlp());
        }
    }
}

#[test]
fn padding_stays_0() {
    for (_, plan) in plans() {
        let data = data(&plan, 2 * plan.options().batch_size);
        let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan.clone()), &data, None).unwrap();
        trainer.train_epoch(|_| std::ops::ControlFlow::Continue(())).unwrap();
        let engine = trainer.engine();
        let mut padding = vec![true; plan.arena_len()];
        plan.tensors().for_each(|tensor| padding[tensor.range()].fill(false));
        let arenas = [&engine.parameters, engine.gradients(), &engine.moments[1], &engine.averages];
        for arena in arenas {
            let mut beyond = arena.iter().zip(&padding).filter(|(_, padding)| **padding);
            assert!(beyond.all(|(&x, _)| x == 0.0), "{}", plan.mlp());
        }
    }
}

/// Gradients of some rows, each counted as one of `of`.
fn gradients(
    engine: &mut CpuEngine<f64>,
    data: &Dataset,
    first: u32,
    rows: u32,
    of: u32,
) -> Vec<f64> {
    let step = Step {
        number: 1,
        order: Order::Sequential,
        loss_scale: f64::from(of).recip(),
        // A learning rate of 0 leaves the parameters as they are.
        update: engine.plan().updates().at(1, 0.0),
        ..Step::evaluation(first, rows)
    };
    let data = engine.upload(data).unwrap();
    engine.train(&data, &[step]).unwrap();
    engine.gradients().to_vec()
}

/// A lane computes the very terms that the whole batch has; only their sum has another order.
#[test]
fn lanes_come_to_the_gradients_of_the_whole_batch() {
    let mlp = Mlp::new(3).linear(24).layer_norm().activation(Activation::Tanh).linear(17).linear(2);
    let rows = 777;
    let options = TrainOptions {
        batch_size: rows as usize,
        ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))
    };
    let plan = Plan::new(&mlp, &options).unwrap();
    let mut lanes = CpuEngine::<f64>::new(plan.clone());
    assert_eq!(lanes.lanes.len(), 3);
    let data = data(&plan, rows as usize);
    let mut whole = CpuEngine::<f64>::new(plan.clone());
    whole.division = Division { lanes: 1, rows: plan.capacity() };
    whole.lanes = vec![Lane::new(&plan, whole.division)];
    let want = gradients(&mut whole, &data, 0, rows, rows);
    let got = gradients(&mut lanes, &data, 0, rows, rows);
    // Both sums are within γₙ·Σ|terms| of the exact one (Higham, ch. 3).
    let mut size = vec![0.0; want.len()];
    for row in 0..rows {
        let terms = gradients(&mut whole, &data, row, 1, rows);
        size.iter_mut().zip(terms).for_each(|(size, term)| *size += term.abs());
    }
    let gamma = f64::from(rows) * f64::EPSILON / (1.0 - f64::from(rows) * f64::EPSILON);
    assert_within_f64(&got, &want, |i| gamma * size[i]);
    assert!(want.iter().any(|&g| g != 0.0));
}

/// A row of it doesn't fit what a lane takes at once.
#[test]
fn lanes_take_rows_of_any_width() {
    let mlp = Mlp::new(784).encoding(Encoding::one_blob(32)).linear(1);
    let options =
        TrainOptions { batch_size: 512, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)) };
    let plan = Plan::new(&mlp, &options).unwrap();
    let mut engine = CpuEngine::<f32>::new(plan.clone());
    assert!(engine.lanes.len() > 1);
    let rows = data(&plan, 512);
    let data = engine.upload(&rows).unwrap();
    let step = Step {
        number: 1,
        order: Order::Sequential,
        loss_scale: 1.0 / 512.0,
        update: plan.updates().at(1, 1.0),
        ..Step::evaluation(0, 512)
    };
    engine.train(&data, &[step]).unwrap();
    assert!(engine.gradients().iter().any(|&g| g != 0.0));
    assert_eq!(engine.predict(rows.inputs()).unwrap().len(), 512);
}

#[test]
fn predictions_do_not_depend_on_the_rows_beside_them() {
    let plan = &plans()[2].1;
    let mut engine = CpuEngine::<f32>::new(plan.clone());
    let data = data(plan, 1000);
    let all = engine.predict(data.inputs()).unwrap();
    for row in [0, 499, 999] {
        let alone = engine.predict(&data.inputs()[3 * row..3 * row + 3]).unwrap();
        assert_eq!(alone, all[2 * row..2 * row + 2]);
    }
}

#[test]
fn weights_follow_the_parameters() {
    let plan =
        Plan::new(&Mlp::new(1).linear(1), &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)));
    let mut engine = CpuEngine::<f32>::new(plan.unwrap());
    engine.predict(&[1.0]).unwrap();
    let mut parameters = engine.parameters().unwrap();
    parameters[0] = 2.0;
    let bias = engine.plan().tensors().nth(1).unwrap().offset;
    parameters[bias] = 1.0;
    engine.set_parameters(&parameters).unwrap();
    assert_eq!(engine.predict(&[3.0]).unwrap(), [7.0]);
    engine.parameters_exact_mut()[0] = 4.0;
    assert_eq!(engine.predict(&[3.0]).unwrap(), [13.0]);
    engine.restore(Keep::LastGood);
    assert_ne!(engine.predict(&[3.0]).unwrap(), [13.0]);
}
