//! Any small net with any options: refused by its plan, or a step of it on the CPU in f32 keeps within the
//! error that f32 may have, or says that the results are no numbers.
#![no_main]

use std::ops::ControlFlow;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use wgrad::data::{Dataset, Targets};
use wgrad::tracked::{Tracked, unambiguous};
use wgrad::{
    Activation, BatchNorm, Clip, CpuEngine, Decay, Dropout, EarlyStopping, Encoding, Init, Layer,
    LayerNorm, Linear, Loss, Mlp, Optimizer, ParameterGroup, Parameters, Plan, Plateau, Real, Rule,
    Sampling, Schedule, TrainOptions, Trainer,
};

/// Beyond this in f64, f32 may have overflowed on the way: its square is far from f32's range.
const MODERATE: f64 = 1e6;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match training(&mut Unstructured::new(bytes)) {
        Ok(()) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
});

fn training(u: &mut Unstructured) -> Result<()> {
    let mlp = mlp(u)?;
    let options = options(u, &mlp)?;
    let Ok(plan) = Plan::new(&mlp, &options) else { return Ok(()) };
    plan.to_string();
    if plan.total_bytes() > 1 << 22 {
        return Ok(());
    }
    let data = data(u, &plan)?;
    let mut exact = None;
    // Whether every comparison of f32 must come out as that of f64 did. A norm that clips is summed in f64,
    // and there loses its bound.
    let certain = unambiguous(|| exact = step::<Tracked>(&plan, &data)).is_some()
        && !matches!(options.clip, Some(Clip::Norm(_)));
    let rounded = step::<f32>(&plan, &data);
    if let (Some(exact), Some(rounded)) = (exact, rounded) {
        compare(&plan, certain, &exact, &rounded);
    }
    Ok(())
}

/// Predictions before and after a step, and the parameters then.
struct Outcome<T> {
    predictions: Vec<f32>,
    parameters: Vec<T>,
}

fn compare(plan: &Plan, certain: bool, exact: &Outcome<Tracked>, rounded: &Outcome<f32>) {
    let what = format!("{}, {:?}", plan.mlp(), plan.options());
    assert_eq!(rounded.predictions.len(), exact.predictions.len());
    assert_eq!(rounded.parameters.len(), exact.parameters.len());
    let numbers = exact.predictions.iter().map(|&x| f64::from(x));
    let numbers = numbers.chain(exact.parameters.iter().map(|x| x.value));
    if numbers.into_iter().any(|x| !(x.abs() <= MODERATE)) {
        return;
    }
    let is_number = |x: &f32| x.is_finite();
    assert!(rounded.predictions.iter().all(is_number), "{what}: {:?}", rounded.predictions);
    assert!(rounded.parameters.iter().all(is_number), "{what}: {:?}", rounded.parameters);
    // Where an error is none, what it comes from was a number of any size.
    if certain && exact.parameters.iter().all(|x| x.error.is_finite()) {
        for (i, (exact, &rounded)) in exact.parameters.iter().zip(&rounded.parameters).enumerate() {
            let off = (f64::from(rounded) - exact.value).abs();
            assert!(off <= exact.error, "{what}: parameter {i} is {rounded}, not {exact}");
        }
    }
}

/// A step; `None` where it is refused or diverges.
fn step<T: Real>(plan: &Plan, data: &Dataset) -> Option<Outcome<T>> {
    let engine = CpuEngine::<T>::new(plan.clone());
    let mut trainer = Trainer::new(engine, data, Some(data)).ok()?;
    let mut predictions = trainer.predict(data.inputs()).ok()?;
    trainer.train_steps(1, |_| ControlFlow::Continue(())).ok()?;
    predictions.extend(trainer.predict(data.inputs()).ok()?);
    let parameters = trainer.engine().parameters_exact().to_vec();
    Some(Outcome { predictions, parameters })
}

fn mlp(u: &mut Unstructured) -> Result<Mlp> {
    let mut mlp = Mlp::new(u.int_in_range(0..=5)?);
    for _ in 0..u.int_in_range(0..=6)? {
        mlp = mlp.layer(layer(u)?);
    }
    Ok(mlp)
}

fn layer(u: &mut Unstructured) -> Result<Layer> {
    Ok(match u.int_in_range(0..=7)? {
        0..=2 => {
            let linear = Linear::new(u.int_in_range(0..=9)?);
            Layer::Linear(linear.weight_init(init(u)?).bias_init(init(u)?))
        }
        3 | 4 => Layer::Activation(activation(u)?),
        5 => {
            let norm = BatchNorm::default().eps(number(u)?).momentum(number(u)?);
            Layer::BatchNorm(norm.affine(u.arbitrary()?).track_running_stats(u.arbitrary()?))
        }
        6 if u.arbitrary()? => {
            Layer::LayerNorm(LayerNorm::default().eps(number(u)?).affine(u.arbitrary()?))
        }
        6 => Layer::Dropout(Dropout::new(number(u)?)),
        _ => Layer::Encoding(match u.int_in_range(0..=2)? {
            0 => Encoding::frequency(u.int_in_range(0..=25)?),
            1 => Encoding::one_blob(u.int_in_range(0..=20)?),
            _ => Encoding::triangle_wave(u.int_in_range(0..=25)?),
        }),
    })
}

fn activation(u: &mut Unstructured) -> Result<Activation> {
    let parameter = number(u)? as f32;
    Ok(*u.choose(&[
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu { slope: parameter },
        Activation::Elu { alpha: parameter },
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softplus,
        Activation::Sine { omega0: parameter },
    ])?)
}

fn init(u: &mut Unstructured) -> Result<Init> {
    let parameter = number(u)? as f32;
    Ok(*u.choose(&[
        Init::Default,
        Init::KaimingUniform,
        Init::KaimingNormal,
        Init::XavierUniform,
        Init::XavierNormal,
        Init::LecunUniform,
        Init::LecunNormal,
        Init::Siren { omega0: parameter },
        Init::Constant(parameter),
    ])?)
}

/// Mostly a moderate number, at times any at all.
fn number(u: &mut Unstructured) -> Result<f64> {
    Ok(match u.int_in_range(0..=15)? {
        0 => f64::arbitrary(u)?,
        1 => *u.choose(&[0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e300, 1e-40])?,
        _ => f64::from(u.int_in_range::<u16>(0..=u16::MAX)?) / 65_536.0,
    })
}

fn options(u: &mut Unstructured, mlp: &Mlp) -> Result<TrainOptions> {
    let rule = match u.int_in_range(0..=5)? {
        0 => Rule::Sgd { momentum: number(u)?, nesterov: u.arbitrary()? },
        1 => Rule::Adagrad { eps: number(u)? },
        2 => Rule::Rmsprop {
            alpha: number(u)?,
            eps: number(u)?,
            momentum: number(u)?,
            centred: u.arbitrary()?,
        },
        3 => Rule::Adam {
            beta1: number(u)?,
            beta2: number(u)?,
            eps: number(u)?,
            amsgrad: u.arbitrary()?,
        },
        4 => Rule::Nadam {
            beta1: number(u)?,
            beta2: number(u)?,
            eps: number(u)?,
            momentum_decay: number(u)?,
        },
        _ => Rule::Lion { beta1: number(u)?, beta2: number(u)? },
    };
    let decay = if u.arbitrary()? { Decay::L2 } else { Decay::Decoupled };
    let optimizer = Optimizer::new(rule, number(u)?).weight_decay(number(u)?, decay);
    let mut options = TrainOptions::new(loss(u, mlp)?, optimizer);
    options.batch_size = size(u)?;
    options.micro_batch = if u.arbitrary()? { Some(size(u)?) } else { None };
    options.epochs = u.int_in_range(0..=3)?;
    options.drop_last = u.arbitrary()?;
    options.sampling =
        *u.choose(&[Sampling::Shuffled, Sampling::Replacement, Sampling::Sequential])?;
    options.seed = u.arbitrary()?;
    options.ema = if u.arbitrary()? { Some(number(u)?) } else { None };
    options.insight_every = if u.arbitrary()? { Some(u.int_in_range(0..=2)?) } else { None };
    options.clip = match u.int_in_range(0..=2)? {
        0 => None,
        1 => Some(Clip::Norm(number(u)?)),
        _ => Some(Clip::Value(number(u)?)),
    };
    options.schedule = match u.int_in_range(0..=2)? {
        0 => Schedule::Constant,
        1 => Schedule::Cosine { floor: number(u)? },
        _ => Schedule::Linear { from: number(u)?, to: number(u)? },
    };
    if u.arbitrary()? {
        options.plateau = Some(Plateau { factor: number(u)?, ..Plateau::default() });
    }
    if u.arbitrary()? {
        options.early_stopping = Some(EarlyStopping::default());
    }
    for _ in 0..u.int_in_range(0..=2)? {
        options.groups.push(group(u)?);
    }
    Ok(options)
}

fn group(u: &mut Unstructured) -> Result<ParameterGroup> {
    let parameters = match u.int_in_range(0..=3)? {
        0 => Parameters::Biases,
        1 => Parameters::Norms,
        2 => Parameters::Layer(u.int_in_range(0..=6)?),
        _ => Parameters::Tensor("0.weight".into()),
    };
    let lr = if u.arbitrary()? { Some(number(u)?) } else { None };
    let weight_decay = if u.arbitrary()? { Some(number(u)?) } else { None };
    Ok(ParameterGroup { parameters: vec![parameters], lr, weight_decay })
}

fn loss(u: &mut Unstructured, mlp: &Mlp) -> Result<Loss> {
    let parameter = number(u)? as f32;
    let weights = |u: &mut Unstructured| -> Result<Vec<f32>> {
        let outputs = if u.arbitrary()? { mlp.out_features() } else { 0 };
        (0..outputs).map(|_| Ok(number(u)? as f32)).collect()
    };
    Ok(match u.int_in_range(0..=4)? {
        0 => Loss::Mse,
        1 => Loss::Mae,
        2 => Loss::Huber { delta: parameter },
        3 => Loss::BceWithLogits { pos_weight: weights(u)? },
        _ => Loss::CrossEntropy { label_smoothing: parameter, class_weights: weights(u)? },
    })
}

/// Of a batch: mostly some rows, at times any number.
fn size(u: &mut Unstructured) -> Result<usize> {
    if u.ratio(1, 16)? { u.arbitrary() } else { u.int_in_range(0..=9) }
}

/// Rows that fit, of numbers in [−2, 2).
fn data(u: &mut Unstructured, plan: &Plan) -> Result<Dataset> {
    let (inputs, outputs) = (plan.mlp().in_features(), plan.mlp().out_features());
    let rows = u.int_in_range(1..=9)?;
    let mut numbers = |count: usize| -> Result<Vec<f32>> {
        (0..count).map(|_| Ok(f32::from(u.arbitrary::<i8>()?) / 64.0)).collect()
    };
    let x = numbers(rows * inputs)?;
    let y = numbers(rows * outputs)?;
    let targets = match plan.options().loss {
        Loss::CrossEntropy { .. } => {
            let label = |x: &f32| (x.to_bits() >> 8) % outputs as u32;
            Targets::Classes { labels: y[..rows].iter().map(label).collect(), classes: outputs }
        }
        Loss::BceWithLogits { .. } => {
            let values = y.into_iter().map(|y| y.clamp(0.0, 1.0)).collect();
            Targets::Values { values, width: outputs }
        }
        _ => Targets::Values { values: y, width: outputs },
    };
    Ok(Dataset::new(x, inputs, targets).expect("finite numbers of the sizes that the net has"))
}
