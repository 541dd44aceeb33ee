//! What the layers and options of a training come to on both engines.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "options/averages.rs"]
mod averages;
#[path = "options/best.rs"]
mod best;
mod common;
#[path = "options/insights.rs"]
mod insights;

use std::ops::ControlFlow;

use common::{assert_close, compare_engines, distance, gpu_engine, largest, learnable, run, widen};
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, BatchNorm, Clip, CpuEngine, Decay, EarlyStopping, Encoding, Engine, Insight, Layer,
    Loss, Mlp, Optimizer, ParameterGroup, Parameters, Plan, Rule, Sampling, TrainOptions, Trainer,
    WatchedMetric,
};

fn options(loss: Loss, optimizer: Optimizer) -> TrainOptions {
    TrainOptions { batch_size: 16, epochs: 6, seed: 5, ..TrainOptions::new(loss, optimizer) }
}

/// 24 steps of nets with every layer, the dropout masks being the same on all engines.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn encodings_norms_and_dropout_agree_on_all_engines() {
    let untracked = Layer::BatchNorm(BatchNorm::default().track_running_stats(false));
    let nets = [
        Mlp::new(5).linear(24).batch_norm().activation(Activation::Tanh).linear(3),
        Mlp::new(5).linear(17).layer_norm().activation(Activation::Gelu).dropout(0.3).linear(3),
        Mlp::new(5)
            .batch_norm()
            .dropout(0.1)
            .linear(33)
            .activation(Activation::Silu)
            .layer(untracked)
            .activation(Activation::Tanh)
            .activation(Activation::Sigmoid)
            .dropout(0.5)
            .linear(3)
            .dropout(0.1),
        Mlp::new(5)
            .encoding(Encoding::frequency(4))
            .linear(24)
            .activation(Activation::Tanh)
            .linear(3),
        Mlp::new(5)
            .encoding(Encoding::one_blob(7))
            .activation(Activation::Gelu)
            .dropout(0.2)
            .linear(3),
        Mlp::new(5).encoding(Encoding::triangle_wave(5)).layer_norm().linear(3),
    ];
    for mlp in nets {
        for loss in [Loss::Mse, Loss::CROSS_ENTROPY] {
            let data = learnable(61, 5, 3, &loss, 8);
            // Not Adam: the bias in front of a batch norm has no gradient but rounding noise, and Adam
            // would make full steps of it.
            let options = options(loss, Optimizer::momentum(0.02, 0.9, false));
            compare_engines(&mlp.to_string(), &mlp, &options, &data);
        }
    }
}

/// Everything at once: clipping, parts of batches, averaged weights, parameter groups.
fn everything() -> (Mlp, TrainOptions, Dataset) {
    let mlp = Mlp::new(5)
        .linear(20)
        .layer_norm()
        .activation(Activation::Tanh)
        .dropout(0.2)
        .linear(9)
        .activation(Activation::Relu)
        .linear(3);
    let options = TrainOptions {
        clip: Some(Clip::Norm(0.3)),
        micro_batch: Some(5),
        ema: Some(0.9),
        groups: vec![
            ParameterGroup {
                parameters: vec![Parameters::Tensor("4.weight".into())],
                lr: Some(5e-3),
                weight_decay: Some(0.3),
            },
            ParameterGroup::without_decay(),
        ],
        ..options(Loss::CROSS_ENTROPY, Optimizer::adamw(1e-3))
    };
    let data = learnable(61, 5, 3, &Loss::CROSS_ENTROPY, 8);
    (mlp, options, data)
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn everything_at_once_agrees_on_all_engines() {
    let (mlp, options, data) = everything();
    let exact = compare_engines("everything", &mlp, &options, &data);
    assert_eq!(exact.losses.len(), 6 * 4);
    let by_value = TrainOptions { clip: Some(Clip::Value(0.01)), ..options };
    compare_engines("clipped by value", &mlp, &by_value, &data);
}

/// Each option changes the run: none is ignored.
#[test]
fn no_option_is_ignored() {
    let (mlp, options, data) = everything();
    let run_of = |options: &TrainOptions| {
        let plan = Plan::new(&mlp, options).unwrap();
        let named = |e: &mut CpuEngine<f64>| {
            let tensors = e.plan().tensors().map(wgrad::Tensor::range).collect::<Vec<_>>();
            tensors.into_iter().flat_map(|r| e.parameters_exact()[r].to_vec()).collect()
        };
        run(CpuEngine::<f64>::new(plan), &data, named).parameters
    };
    let all = run_of(&options);
    let change = |change: &dyn Fn(&mut TrainOptions)| {
        let mut other = options.clone();
        change(&mut other);
        distance(&run_of(&other), &all)
    };
    assert!(change(&|o| o.clip = None) > 1e-4);
    assert!(change(&|o| o.ema = None) > 1e-4);
    assert!(change(&|o| o.groups.clear()) > 1e-4);
    assert!(change(&|o| o.groups[0].lr = None) > 1e-4);
    assert!(change(&|o| o.groups[0].weight_decay = None) > 1e-6);
    assert!(change(&|o| o.optimizer.decay = Decay::L2) > 1e-5);
    assert!(change(&|o| o.seed = 6) > 1e-4);
    // Parts of a batch come to the same but for rounding.
    assert!(change(&|o| o.micro_batch = None) < 1e-12);
}

/// 4 × 64 rows are 1 × 256 rows to rounding, dropout and weights of rows and classes included.
#[test]
fn micro_batches_come_to_the_same() {
    let mlp =
        Mlp::new(4).linear(16).layer_norm().activation(Activation::Tanh).dropout(0.5).linear(3);
    let class_weights = vec![0.5, 2.0, 1.25];
    let weighted = Loss::CrossEntropy { label_smoothing: 0.1, class_weights };
    for (loss, weights) in [(Loss::Mse, false), (Loss::Mse, true), (weighted, true)] {
        let mut data = learnable(600, 4, 3, &loss, 8);
        if weights {
            data = data.with_weights((0..600_u16).map(|i| f32::from(i % 7)).collect()).unwrap();
        }
        let run_of = |micro_batch| {
            let options = TrainOptions {
                batch_size: 256,
                micro_batch,
                ..options(loss.clone(), Optimizer::momentum(0.1, 0.9, false))
            };
            let plan = Plan::new(&mlp, &options).unwrap();
            run(CpuEngine::<f64>::new(plan), &data, |e| e.parameters_exact().to_vec())
        };
        // 600 = 256 + 256 + 88 rows: the last batch has a full part and a smaller one.
        let (whole, parts) = (run_of(None), run_of(Some(64)));
        assert_close("losses", &parts.losses, &whole.losses, 1e-13 * largest(&whole.losses));
        assert_close("parameters", &parts.parameters, &whole.parameters, 1e-12);
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn micro_batches_come_to_the_same_on_the_gpu() {
    let mlp = Mlp::new(4).linear(16).activation(Activation::Tanh).dropout(0.5).linear(3);
    let data = learnable(256, 4, 3, &Loss::Mse, 8);
    let run_of = |micro_batch| {
        let options = TrainOptions {
            batch_size: 256,
            micro_batch,
            ..options(Loss::Mse, Optimizer::momentum(0.1, 0.9, false))
        };
        let plan = Plan::new(&mlp, &options).unwrap();
        run(gpu_engine(plan), &data, |e| widen(&e.parameters().unwrap()))
    };
    // More parts than a submission takes: 86.
    let (whole, parts, small) = (run_of(None), run_of(Some(64)), run_of(Some(3)));
    // A sum of 256 rows in another order: γ₂₅₆ of numbers that gradients of about 1 make.
    for other in [parts, small] {
        assert_close("losses", &other.losses, &whole.losses, 1e-5);
        assert_close("parameters", &other.parameters, &whole.parameters, 1e-5);
    }
}

/// The optimizer is one dispatch for the whole net, two where the norm is clipped, and runs once for
/// all parts of a batch.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_optimizer_stays_one_dispatch() {
    let mlp = Mlp::new(4).linear(8).activation(Activation::Relu).linear(8).linear(2);
    let data = learnable(32, 4, 2, &Loss::Mse, 8);
    let dispatches = |change: &dyn Fn(&mut TrainOptions)| {
        let mut options = TrainOptions {
            batch_size: 32,
            groups: vec![ParameterGroup::without_decay()],
            ema: Some(0.9),
            epochs: 1,
            ..TrainOptions::new(Loss::Mse, Optimizer::adamw(1e-3))
        };
        change(&mut options);
        let engine = gpu_engine(Plan::new(&mlp, &options).unwrap());
        let mut trainer = Trainer::new(engine, &data, None).unwrap();
        trainer.train().unwrap();
        trainer.engine().stats().dispatches
    };
    // Three layers and the loss; three weight and two input gradients; and the checks of the last step's
    // parameters and of their average: three layers and the loss.
    let net = 4 + 5 + 2 * 4;
    assert_eq!(dispatches(&|_| {}), net + 1);
    assert_eq!(dispatches(&|o| o.clip = Some(Clip::Value(1.0))), net + 1);
    assert_eq!(dispatches(&|o| o.clip = Some(Clip::Norm(1.0))), net + 2);
    assert_eq!(dispatches(&|o| o.optimizer.rule = Rule::AMSGRAD), net + 1);
    // Four parts: the net four times, the optimizer once; the checks take whole batches.
    assert_eq!(dispatches(&|o| o.micro_batch = Some(8)), 4 * 9 + 2 * 4 + 1);
    // Insights: one dispatch for all tensors and one for the ReLU.
    assert_eq!(dispatches(&|o| o.insight_every = Some(1)), net + 3);
}

/// A row of weight 2 counts as much as the row twice, one of weight 0 not at all.
#[test]
fn weights_of_rows_count() {
    for loss in [Loss::Mse, Loss::HUBER, Loss::BCE_WITH_LOGITS, Loss::CROSS_ENTROPY] {
        let data = learnable(12, 3, 2, &loss, 4);
        let rows = |order: &[usize]| {
            let inputs = order.iter().flat_map(|&r| data.inputs()[3 * r..][..3].to_vec()).collect();
            let targets = match data.targets() {
                Targets::Classes { labels, classes } => Targets::Classes {
                    labels: order.iter().map(|&r| labels[r]).collect(),
                    classes: *classes,
                },
                Targets::Values { values, width } => Targets::Values {
                    values: order
                        .iter()
                        .flat_map(|&r| values[width * r..][..*width].to_vec())
                        .collect(),
                    width: *width,
                },
            };
            Dataset::new(inputs, 3, targets).unwrap()
        };
        let twice = rows(&[0, 1, 1, 2, 3, 3, 4]);
        let weighted =
            rows(&[0, 1, 2, 3, 4, 5]).with_weights(vec![1.0, 2.0, 1.0, 2.0, 1.0, 0.0]).unwrap();
        let mlp = Mlp::with_hidden(3, &[8], Activation::Tanh, 2);
        let run_of = |data: &Dataset| {
            let options = TrainOptions {
                batch_size: data.rows(),
                sampling: Sampling::Sequential,
                ..options(loss.clone(), Optimizer::momentum(0.1, 0.9, false))
            };
            let plan = Plan::new(&mlp, &options).unwrap();
            run(CpuEngine::<f64>::new(plan), data, |e| e.parameters_exact().to_vec())
        };
        let (twice, weighted) = (run_of(&twice), run_of(&weighted));
        assert_close("losses", &weighted.losses, &twice.losses, 1e-13);
        assert_close("parameters", &weighted.parameters, &twice.parameters, 1e-13);
    }
    let data = learnable(4, 3, 2, &Loss::Mse, 4);
    let refused = |weights: Vec<f32>| data.clone().with_weights(weights).unwrap_err().to_string();
    assert!(refused(vec![1.0]).contains("expected 4, one per row, got 1"));
    assert!(refused(vec![1.0, -1.0, 1.0, 1.0]).contains("got -1 in row 1"));
    assert!(refused(vec![1.0, f32::NAN, 1.0, 1.0]).contains("got NaN in row 1"));
    assert!(refused(vec![0.0; 4]).contains("only zeros"));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn weights_of_rows_agree_on_all_engines() {
    let class_weights = vec![0.5, 2.0, 1.25];
    for loss in [Loss::Mse, Loss::CrossEntropy { label_smoothing: 0.1, class_weights }] {
        let data = learnable(61, 5, 3, &loss, 8);
        let data = data.with_weights((0..61_u8).map(|i| f32::from(i % 4)).collect()).unwrap();
        let mlp = Mlp::with_hidden(5, &[16], Activation::Tanh, 3);
        compare_engines("weighted", &mlp, &options(loss, Optimizer::sgd(0.05)), &data);
    }
}

/// A loss of 0 weight in a whole batch has no gradient, not 0/0.
#[test]
fn a_batch_that_does_not_count_teaches_nothing() {
    let data = learnable(4, 3, 2, &Loss::Mse, 4).with_weights(vec![0.0, 0.0, 1.0, 1.0]).unwrap();
    let options = TrainOptions {
        batch_size: 2,
        sampling: Sampling::Sequential,
        ..options(Loss::Mse, Optimizer::sgd(0.1))
    };
    let plan = Plan::new(&Mlp::new(3).linear(2), &options).unwrap();
    let before = plan.initial_parameters();
    let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, None).unwrap();
    let report = trainer
        .train_epoch(
            |p| if p.step == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) },
        )
        .unwrap();
    assert_eq!((report.step, report.train.loss()), (1, 0.0));
    assert_eq!(trainer.engine_mut().parameters().unwrap(), before);
}

/// Inputs far wider than every layer, in batches larger than what evaluation takes at once.
#[test]
fn wide_inputs_need_no_room_for_their_gradient() {
    let data = learnable(300, 100, 2, &Loss::Mse, 4);
    for mlp in [Mlp::new(100).linear(2), Mlp::new(100).dropout(0.1).linear(2)] {
        let options = TrainOptions { batch_size: 300, ..options(Loss::Mse, Optimizer::sgd(0.01)) };
        let engine = CpuEngine::<f32>::new(Plan::new(&mlp, &options).unwrap());
        let report = Trainer::new(engine, &data, None).unwrap().train().unwrap();
        assert!(report.train.is_finite());
    }
}

/// The running statistics are those of the training rows, and evaluation uses them.
fn running_statistics<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = learnable(64, 3, 1, &Loss::Mse, 4);
    let norm = Layer::BatchNorm(BatchNorm::default().momentum(1.0));
    let mlp = Mlp::new(3).layer(norm).linear(1);
    let options = TrainOptions {
        batch_size: 64,
        epochs: 1,
        sampling: Sampling::Sequential,
        ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.01))
    };
    let plan = Plan::new(&mlp, &options).unwrap();
    let tensors: Vec<_> = plan.tensors().map(|t| (t.name.clone(), t.range())).collect();
    let names: Vec<_> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let norm_names = ["0.weight", "0.bias", "0.running_mean", "0.running_var"];
    assert_eq!(names[..4], norm_names);
    assert_eq!(names[4..], ["1.weight", "1.bias"]);
    let mut trainer = Trainer::new(make(plan), &data, None).unwrap();
    trainer.train().unwrap();
    let parameters = trainer.parameters().unwrap();
    let tensor = |k: usize| widen(&parameters[tensors[k].1.clone()]);
    let (mean, var): (Vec<f64>, Vec<f64>) = (0..3)
        .map(|c| {
            let x: Vec<f64> =
                data.inputs().iter().skip(c).step_by(3).map(|&x| f64::from(x)).collect();
            let mean = x.iter().sum::<f64>() / 64.0;
            (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 63.0)
        })
        .unzip();
    assert_close("running mean", &tensor(2), &mean, 1e-6);
    assert_close("running variance", &tensor(3), &var, 1e-6);
    // One row's prediction, by hand.
    let x = [0.5_f32, -0.25, 0.75];
    let by_hand: f64 = (0..3)
        .map(|c| {
            let normal = (f64::from(x[c]) - mean[c]) / (var[c] + 1e-5).sqrt();
            tensor(4)[c] * (tensor(0)[c] * normal + tensor(1)[c])
        })
        .sum::<f64>()
        + tensor(5)[0];
    let predicted = f64::from(trainer.predict(&x).unwrap()[0]);
    assert!((predicted - by_hand).abs() <= 1e-5, "{predicted} against {by_hand}");
}

#[test]
fn running_statistics_are_those_of_the_rows_on_the_cpu() {
    running_statistics(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn running_statistics_are_those_of_the_rows_on_the_gpu() {
    running_statistics(gpu_engine);
}

#[test]
fn batch_norm_refuses_batches_of_one() {
    let refused = |rows: usize, change: &dyn Fn(&mut TrainOptions)| {
        let mut options = options(Loss::Mse, Optimizer::sgd(0.1));
        change(&mut options);
        let plan = Plan::new(&Mlp::new(3).linear(4).batch_norm().linear(1), &options).unwrap();
        let data = learnable(rows, 3, 1, &Loss::Mse, 4);
        Trainer::new(CpuEngine::<f32>::new(plan), &data, None).err().map(|e| e.to_string())
    };
    let message = refused(20, &|o| o.batch_size = 1).unwrap();
    assert_eq!(
        message,
        "layer 1: batch norm needs at least 2 rows at once in training, got a batch of 1 \
         (raise batch_size)"
    );
    let message = refused(33, &|_| {}).unwrap();
    assert!(message.contains("33 rows in batches of 16 leave a batch of 1"), "{message}");
    assert!(refused(33, &|o| o.drop_last = true).is_none());
    assert!(refused(34, &|_| {}).is_none());
    let message = refused(32, &|o| o.micro_batch = Some(5)).unwrap();
    assert!(message.contains("got a batch of 1 (raise micro_batch)"), "{message}");
    assert!(refused(32, &|o| o.micro_batch = Some(4)).is_none());
    let message = refused(1, &|_| {}).unwrap();
    assert!(message.contains("got a batch of 1"), "{message}");

    // Without running statistics one row can't be predicted either.
    let untracked = Layer::BatchNorm(BatchNorm::default().track_running_stats(false));
    let mlp = Mlp::new(3).layer(untracked).linear(1);
    let plan = Plan::new(&mlp, &options(Loss::Mse, Optimizer::sgd(0.1))).unwrap();
    let mut engine = CpuEngine::<f32>::new(plan);
    assert!(engine.predict(&[0.0; 3]).unwrap_err().to_string().starts_with("layer 0: batch norm"));
    // 257 rows go in two parts of about the same size.
    assert_eq!(engine.predict(&[0.5; 3 * 257]).unwrap().len(), 257);
}

#[test]
fn labels_without_a_weight_of_their_class_are_refused() {
    let loss = Loss::CrossEntropy { label_smoothing: 0.0, class_weights: vec![1.0, 2.0] };
    let plan = Plan::new(&Mlp::new(1).linear(2), &options(loss, Optimizer::sgd(0.1))).unwrap();
    let data = |classes: u32| {
        let targets =
            Targets::Classes { labels: vec![0, 1, classes - 1], classes: classes as usize };
        Dataset::new(vec![0.1, 0.2, 0.3], 1, targets).unwrap()
    };
    let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan.clone()), &data(2), None).unwrap();
    for error in [
        trainer.evaluate(&data(3)).unwrap_err(),
        Trainer::new(CpuEngine::<f32>::new(plan), &data(3), None).err().unwrap(),
    ] {
        assert!(matches!(error, wgrad::Error::Shape { .. }), "{error}");
    }
}

#[test]
fn impossible_options_are_refused() {
    let mlp = Mlp::new(2).linear(1);
    let refused = |change: &dyn Fn(&mut TrainOptions)| {
        let mut options = options(Loss::Mse, Optimizer::adam(0.1));
        change(&mut options);
        Plan::new(&mlp, &options).unwrap_err().to_string()
    };
    let group =
        |parameters| ParameterGroup { parameters: vec![parameters], lr: None, weight_decay: None };
    let message = refused(&|o| o.groups = vec![group(Parameters::Layer(3))]);
    assert!(message.contains("names layer 3") && message.contains("0.weight, 0.bias"), "{message}");
    let message = refused(&|o| o.groups = vec![group(Parameters::Tensor("0.gamma".into()))]);
    assert!(message.contains("names tensor 0.gamma"), "{message}");
    assert!(refused(&|o| o.groups = vec![group(Parameters::Biases); 8]).contains("at most 7"));
    let negative = ParameterGroup { lr: Some(-1.0), ..group(Parameters::Biases) };
    assert!(
        refused(&|o| o.groups = vec![negative.clone()]).contains("lr of a parameter group is -1")
    );
    assert!(refused(&|o| o.clip = Some(Clip::Norm(0.0))).contains("clip norm is 0"));
    assert!(refused(&|o| o.clip = Some(Clip::Value(f64::NAN))).contains("clip value is NaN"));
    assert!(refused(&|o| o.ema = Some(1.0)).contains("ema is 1"));
    assert!(refused(&|o| o.micro_batch = Some(0)).contains("micro_batch is 0"));
    assert!(refused(&|o| o.insight_every = Some(0)).contains("insight_every is 0"));
    let impatient = EarlyStopping { patience: 0, ..EarlyStopping::default() };
    assert!(refused(&|o| o.early_stopping = Some(impatient)).contains("patience is 0"));
    let lion = Rule::Lion { beta1: 1.0, beta2: 0.99 };
    assert!(refused(&|o| o.optimizer.rule = lion).contains("beta1 is 1"));
}

/// A batch of more rows than a dimension of a grid has workgroups, in every kernel that takes few rows a
/// workgroup.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn batches_of_more_rows_than_a_dimension_has_groups_agree_on_all_engines() {
    let rows = 65_537;
    let nets = [
        Mlp::new(5).layer_norm().linear(2).activation(Activation::Tanh).dropout(0.2).linear(1),
        Mlp::new(5)
            .encoding(Encoding::one_blob(5))
            .dropout(0.3)
            .activation(Activation::Gelu)
            .linear(1),
    ];
    for mlp in nets {
        let data = learnable(rows, 5, 1, &Loss::Mse, 8);
        let options = TrainOptions {
            batch_size: rows,
            epochs: 1,
            seed: 5,
            ..TrainOptions::new(Loss::Mse, Optimizer::momentum(0.1, 0.9, false))
        };
        let exact = compare_engines(&mlp.to_string(), &mlp, &options, &data);
        assert_eq!(exact.losses.len(), 1);
    }
}
