//! What an exported net should return, with the error that f32 may make of it: the net's formulas on
//! numbers that carry their own bounds.

use crate::activation::Activation;
use crate::ops::tests::activations::{activation_error, lipschitz};
use crate::ops::tests::encodings::value_error;
use crate::ops::tests::{U, random};
use crate::plan::{Norm, Plan, Stage, StageOp, Tensor, TensorKind};
use crate::real::Real as _;
use crate::tracked::{Tracked, exact};
use crate::{Affine, ColumnScaling, CpuEngine, Engine as _, Squash, WgslOptions};

/// Parameters unlike their initial ones, γ and running statistics too. A row of W is a 1 at a place of
/// its own and numbers that add up to 1 at most: so every layer of a deep net still shows in its
/// outputs, and their bound doesn't grow beyond use.
pub(super) fn parameters(plan: &Plan) -> Vec<f32> {
    let mut arena = vec![0.0; plan.arena_len()];
    for (stream, tensor) in (0..).zip(plan.tensors()) {
        let columns = *tensor.shape.last().unwrap();
        let (centre, spread) = match tensor.kind {
            TensorKind::Weight => (0.0, 1.0 / columns as f32),
            TensorKind::Bias | TensorKind::NormBias | TensorKind::RunningMean => (0.0, 0.5),
            TensorKind::NormWeight | TensorKind::RunningVar => (1.0, 0.5),
        };
        let tensor_of_arena = &mut arena[tensor.range()];
        for (place, x) in tensor_of_arena.iter_mut().zip(random(stream, tensor.len())) {
            *place = centre + spread * x;
        }
        if tensor.kind == TensorKind::Weight {
            for (i, row) in tensor_of_arena.chunks_mut(columns).enumerate() {
                row[(7 * i + 3) % columns] += 1.0;
            }
        }
    }
    arena
}

/// The outputs of an exported net for rows of inputs.
pub(super) fn expected(
    plan: &Plan,
    arena: &[f32],
    options: &WgslOptions,
    inputs: &[f32],
) -> Vec<Tracked> {
    let ColumnScaling { input, output } = &options.scaling;
    let mut all = Vec::new();
    for row in inputs.chunks(plan.mlp().in_features()) {
        let mut x = exact(row);
        for (x, &Affine { shift, scale }) in x.iter_mut().zip(input) {
            *x = (*x - Tracked::from_f32(shift)) * Tracked::from_f32(scale);
        }
        for stage in plan.stages() {
            let z = preactivations(stage, arena, &x);
            x = z.into_iter().map(|z| activated(stage.activation, z)).collect();
        }
        x = squashed(options.squash, x);
        for (y, &Affine { shift, scale }) in x.iter_mut().zip(output) {
            *y = *y * Tracked::from_f32(scale) + Tracked::from_f32(shift);
        }
        all.extend(x);
    }
    all
}

/// Z of a stage for one row.
fn preactivations(stage: &Stage, arena: &[f32], x: &[Tracked]) -> Vec<Tracked> {
    let tensor = |tensor: &Tensor| exact(&arena[tensor.range()]);
    match &stage.op {
        StageOp::Pass => x.to_vec(),
        StageOp::Encoding(encoding) => {
            let value = |(x, value): (Tracked, u32)| {
                assert!(x.error == 0.0, "inputs of an encoding are exact");
                let value_of_x = encoding.apply(x.value, value);
                Tracked::within(value_of_x, value_error(*encoding, x.value, value))
            };
            let values = (0..).take(encoding.values());
            x.iter().flat_map(|&x| values.clone().map(move |v| (x, v))).map(value).collect()
        }
        StageOp::Linear { tensors: [weight, bias] } => {
            let row = |(w, b): (&[Tracked], Tracked)| {
                w.iter().zip(x).fold(b, |mut z, (&w, &x)| {
                    z += w * x;
                    z
                })
            };
            tensor(weight).chunks(x.len()).zip(tensor(bias)).map(row).collect()
        }
        StageOp::Norm(norm) => {
            let normalised = match &norm.running {
                Some([mean, var]) => {
                    let statistics = tensor(mean).into_iter().zip(tensor(var));
                    let eps = Tracked::from_f64(norm.eps);
                    let of = |(&x, (mean, var)): (&Tracked, (Tracked, Tracked))| {
                        (x - mean) / (var + eps).sqrt()
                    };
                    x.iter().zip(statistics).map(of).collect()
                }
                None => normalised_row(norm, x),
            };
            match &norm.affine {
                Some([weight, bias]) => {
                    let affine = tensor(weight).into_iter().zip(tensor(bias));
                    normalised.into_iter().zip(affine).map(|(z, (w, b))| w * z + b).collect()
                }
                None => normalised,
            }
        }
    }
}

fn normalised_row(norm: &Norm, x: &[Tracked]) -> Vec<Tracked> {
    let count = Tracked::from_f64(x.len() as f64);
    let shift = x.iter().map(|&x_k| x_k - x[0]).sum::<Tracked>() / count;
    let deviations: Vec<Tracked> = x.iter().map(|&x_k| (x_k - x[0]) - shift).collect();
    let variance = deviations.iter().map(|&d| d * d).sum::<Tracked>() / count;
    let scale = Tracked::ONE / (variance + Tracked::from_f64(norm.eps)).sqrt();
    deviations.into_iter().map(|d| d * scale).collect()
}

/// a(z): its argument's error grows by |a′| at most, and its own is the largest near z.
fn activated(activation: Activation, z: Tracked) -> Tracked {
    if activation == Activation::Identity {
        return z;
    }
    let near = [z.value - z.error, z.value, z.value + z.error];
    let own = near.map(|z| activation_error(activation, z)).into_iter().fold(0.0, f64::max);
    let value = activation.apply(z.value);
    Tracked::within(value, lipschitz(activation) * z.error + own)
}

fn squashed(squash: Squash, y: Vec<Tracked>) -> Vec<Tracked> {
    match squash {
        Squash::None => y,
        Squash::Sigmoid => y.into_iter().map(|y| activated(Activation::Sigmoid, y)).collect(),
        Squash::Softmax => {
            let largest =
                y.iter().copied().fold(y[0], |a, b| if b.value > a.value { b } else { a });
            // e^d with d ≤ 0: d's error, and (3 + 2|d|) ULP, a ULP being 2U.
            let exp = |y: Tracked| {
                let d = y - largest;
                let value = d.value.exp();
                let own = 2.0 * U * (3.0 + 2.0 * (d.value.abs() + d.error));
                let error = value * (d.error.exp() * (1.0 + own) - 1.0);
                Tracked::within(value, error + f64::from(f32::MIN_POSITIVE))
            };
            let powers: Vec<Tracked> = y.iter().map(|&y| exp(y)).collect();
            let total: Tracked = powers.iter().copied().sum();
            powers.into_iter().map(|power| power / total).collect()
        }
    }
}

/// The formulas above are those of the engine.
#[test]
fn the_expected_outputs_are_the_engines() {
    for case in super::cases::all() {
        let plan = case.plan();
        let arena = parameters(&plan);
        let inputs = case.inputs();
        let want = expected(&plan, &arena, &WgslOptions::default(), &inputs);
        let mut engine = CpuEngine::<f64>::new(plan);
        engine.set_parameters(&arena).unwrap();
        // The engine returns its numbers rounded to f32.
        let want: Vec<f64> = want.iter().map(|y| y.value).collect();
        let got = engine.predict(&inputs).unwrap();
        crate::testing::assert_within(&got, &want, |i| (U + 1e-12) * want[i].abs() + 1e-12);
    }
}
