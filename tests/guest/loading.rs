//! Parameters that an engine takes are finite, and those of its net.

use std::ops::ControlFlow;

use wgrad::{
    Activation, BatchNorm, CpuEngine, Engine, Error, GpuEngine, Layer, Loss, Mlp, ModelFile,
    Optimizer, ParameterGroup, Parameters, Plan, TrainOptions, Trainer,
};

use super::Host;
use super::common::learnable;

fn options() -> TrainOptions {
    TrainOptions {
        batch_size: 16,
        ema: Some(0.9),
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-2))
    }
}

fn plan(mlp: &Mlp) -> Plan {
    Plan::new(mlp, &options()).unwrap()
}

fn net(activation: Activation) -> Mlp {
    Mlp::with_hidden(3, &[5], activation, 2)
}

fn file(mlp: &Mlp, change: impl Fn(&mut [f32])) -> ModelFile {
    let plan = plan(mlp);
    let mut parameters = plan.initial_parameters();
    change(&mut parameters);
    ModelFile::new(&plan, parameters, None).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error:?}");
    error.to_string()
}

fn engines_take_only_their_own_parameters<E: Engine>(make: impl Fn(Plan) -> E) {
    let tanh = net(Activation::Tanh);
    let mut engine = make(plan(&tanh));
    let before = engine.parameters().unwrap();
    // Of another net whose arena is as long: with another activation, of another width, with another ε.
    let relu = file(&net(Activation::Relu), |_| ());
    assert_eq!(
        refused(engine.load(&relu)),
        "net of the model file: expected 3-5-tanh-2, as the plan's, got 3-5-relu-2"
    );
    let narrow = Mlp::with_hidden(3, &[4], Activation::Tanh, 2);
    assert_eq!(plan(&narrow).arena_len(), before.len());
    assert!(refused(engine.load(&file(&narrow, |_| ()))).contains("got 3-4-tanh-2"));
    let norm = |eps| Mlp::new(3).layer(Layer::BatchNorm(BatchNorm::default().eps(eps))).linear(2);
    let error = refused(make(plan(&norm(1e-5))).load(&file(&norm(1e-3), |_| ())));
    assert!(error.contains("eps: 1e-5") && error.contains("eps: 0.001"), "{error}");

    // What isn't finite is named, wherever it is.
    let plan = engine.plan().clone();
    for tensor in plan.tensors() {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut broken = before.clone();
            broken[tensor.range().end - 1] = number;
            let element = format!("element {} of tensor {}", tensor.len() - 1, tensor.name);
            let expected = format!("{element}: expected a finite number, got {number}");
            assert_eq!(refused(engine.set_parameters(&broken)), expected);
            let file = ModelFile::new(&plan, broken, None).unwrap();
            assert_eq!(refused(engine.load(&file)), expected);
        }
    }
    let mut padding = before.clone();
    padding[63] = f32::NAN;
    assert!(refused(engine.set_parameters(&padding)).contains("padding"));
    assert_eq!(engine.parameters().unwrap(), before, "a refusal changes something");

    // Other initial values, dropout and parameter groups are no other net, wherever its tensors are.
    let dropout = |rate| Mlp::new(3).linear(5).activation(Activation::Tanh).dropout(rate).linear(2);
    let saved = file(&dropout(0.25), |parameters| parameters.iter_mut().for_each(|w| *w *= 0.5));
    let parameters = vec![Parameters::Layer(0)];
    let group = ParameterGroup { parameters, lr: Some(1e-3), weight_decay: None };
    let options = TrainOptions { groups: vec![group], ..options() };
    let mut engine = make(Plan::new(&dropout(0.5), &options).unwrap());
    engine.load(&saved).unwrap();
    let parameters = engine.parameters().unwrap();
    let (own, expected) = saved.plan().unwrap();
    assert_ne!(parameters, expected, "the layouts should differ");
    for (tensor, saved) in engine.plan().tensors().zip(own.tensors()) {
        assert_eq!(parameters[tensor.range()], expected[saved.range()], "{}", tensor.name);
    }
}

fn trainers_begin_anew_with_a_file<E: Engine>(make: impl Fn(Plan) -> E) {
    let mlp = net(Activation::Tanh);
    let data = learnable(64, 3, 2, &Loss::Mse, 1);
    let trainer = || Trainer::new(make(plan(&mlp)), &data, None).unwrap();
    let go_on = |trainer: &mut Trainer<E>| {
        trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
        trainer.engine_mut().state().unwrap()
    };
    let mut source = trainer();
    go_on(&mut source);
    let saved = ModelFile::new(&plan(&mlp), source.parameters().unwrap(), None).unwrap();
    // One that has trained, one that is new.
    let [mut used, mut fresh] = [trainer(), trainer()];
    go_on(&mut used);
    let state = used.engine_mut().state().unwrap();
    refused(used.load(&file(&net(Activation::Relu), |_| ())));
    refused(used.load(&file(&mlp, |parameters| parameters[2] = f32::NAN)));
    assert!(used.engine_mut().state().unwrap() == state, "a refusal changes something");
    for trainer in [&mut used, &mut fresh] {
        trainer.load(&saved).unwrap();
        assert_eq!((trainer.steps(), trainer.epochs()), (0, 0));
        assert_eq!(trainer.parameters().unwrap(), saved.plan().unwrap().1);
    }
    assert!(go_on(&mut used) == go_on(&mut fresh), "the training before shows");
}

#[test]
fn parameters_are_checked_on_the_cpu() {
    engines_take_only_their_own_parameters(CpuEngine::<f32>::new);
    trainers_begin_anew_with_a_file(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn parameters_are_checked_on_the_gpu() {
    let host = Host::new();
    let make = |plan: Plan| GpuEngine::new(&host.device, &host.queue, plan).unwrap();
    engines_take_only_their_own_parameters(make);
    trainers_begin_anew_with_a_file(make);
}
