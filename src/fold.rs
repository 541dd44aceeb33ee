//! A trained net without what only training needs: batch norms become part of the linear layers
//! beside them, dropout goes.

use crate::error::Result;
use crate::layer::{BatchNorm, Layer};
use crate::model::Mlp;
use crate::options::TrainOptions;
use crate::plan::Plan;

/// A layer of the folded net, with the tensors that it has: of a linear layer W and b, of a norm
/// those of the unfolded one.
struct Folded {
    layer: Layer,
    tensors: Vec<Vec<f64>>,
}

/// z ↦ scale·z + shift, column by column: what a batch norm with running statistics does in
/// evaluation.
struct ColumnMap {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl ColumnMap {
    /// scale = γ/√(σ² + ε), shift = β − μ·scale.
    fn new(norm: BatchNorm, tensors: &[Vec<f64>]) -> Self {
        let ([mean, var], affine) = match tensors {
            [weight, bias, mean, var] => ([mean, var], Some([weight, bias])),
            [mean, var] => ([mean, var], None),
            _ => unreachable!("a norm without running statistics isn't folded"),
        };
        let deviation = var.iter().map(|var| (var + norm.eps).sqrt());
        let scale: Vec<f64> = match affine {
            Some([weight, _]) => deviation.zip(weight).map(|(d, gamma)| gamma / d).collect(),
            None => deviation.map(f64::recip).collect(),
        };
        let bias = |column: usize| affine.map_or(0.0, |[_, bias]| bias[column]);
        let shift = (0..scale.len()).map(|c| bias(c) - mean[c] * scale[c]).collect();
        Self { scale, shift }
    }

    /// Behind a linear layer: W′ = diag(scale)·W, b′ = scale·b + shift.
    fn follow(&self, [weight, bias]: [&mut Vec<f64>; 2]) {
        let columns = weight.len() / bias.len();
        for (row, scale) in weight.chunks_exact_mut(columns).zip(&self.scale) {
            row.iter_mut().for_each(|w| *w *= scale);
        }
        for ((b, scale), shift) in bias.iter_mut().zip(&self.scale).zip(&self.shift) {
            *b = scale * *b + shift;
        }
    }

    /// In front of a linear layer: W′ = W·diag(scale), b′ = b + W·shift.
    fn precede(&self, [weight, bias]: [&mut Vec<f64>; 2]) {
        let columns = self.scale.len();
        for (row, b) in weight.chunks_exact_mut(columns).zip(bias) {
            *b += row.iter().zip(&self.shift).map(|(w, shift)| w * shift).sum::<f64>();
            row.iter_mut().zip(&self.scale).for_each(|(w, scale)| *w *= scale);
        }
    }
}

/// The folded net with its plan and parameter arena.
pub(crate) fn fold(plan: &Plan, parameters: &[f32]) -> Result<(Plan, Vec<f32>)> {
    let tensors_of = |index: usize| -> Vec<Vec<f64>> {
        let tensors = plan.tensors().filter(|tensor| tensor.layer == index);
        let widen = |numbers: &[f32]| numbers.iter().map(|&w| f64::from(w)).collect();
        tensors.map(|tensor| widen(&parameters[tensor.range()])).collect()
    };
    let layers = plan.mlp().layers();
    let mut folded: Vec<Folded> = Vec::new();
    // A norm on its way into the linear layer behind it.
    let mut pending: Option<ColumnMap> = None;
    for (index, &layer) in layers.iter().enumerate() {
        let mut tensors = tensors_of(index);
        match layer {
            Layer::Dropout(_) => continue,
            Layer::BatchNorm(norm) if norm.track_running_stats => {
                let map = ColumnMap::new(norm, &tensors);
                if let Some(Folded { layer: Layer::Linear(_), tensors }) = folded.last_mut() {
                    map.follow(pair(tensors));
                    continue;
                }
                let mut behind = layers[index + 1..].iter();
                let next = behind.find(|layer| !matches!(layer, Layer::Dropout(_)));
                if let Some(Layer::Linear(_)) = next {
                    pending = Some(map);
                    continue;
                }
            }
            Layer::Linear(_) => {
                if let Some(map) = pending.take() {
                    map.precede(pair(&mut tensors));
                }
            }
            _ => {}
        }
        folded.push(Folded { layer, tensors });
    }

    let mlp = Mlp::new(plan.mlp().in_features());
    let mlp = folded.iter().fold(mlp, |mlp, folded| mlp.layer(folded.layer));
    // Groups may name layers that are no longer there.
    let options = TrainOptions { groups: Vec::new(), ..plan.options().clone() };
    let plan = Plan::new(&mlp, &options)?;
    let mut arena = vec![0.0; plan.arena_len()];
    for (index, folded) in folded.iter().enumerate() {
        let tensors = plan.tensors().filter(|tensor| tensor.layer == index);
        for (tensor, values) in tensors.zip(&folded.tensors) {
            for (place, &value) in arena[tensor.range()].iter_mut().zip(values) {
                #[expect(clippy::cast_possible_truncation, reason = "models are in f32")]
                let value = value as f32;
                *place = value;
            }
        }
    }
    Ok((plan, arena))
}

/// W and b of a linear layer.
fn pair(tensors: &mut [Vec<f64>]) -> [&mut Vec<f64>; 2] {
    match tensors {
        [weight, bias] => [weight, bias],
        _ => unreachable!("a linear layer has a weight and a bias"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_within;
    use crate::{Activation, CpuEngine, Encoding, Engine, Loss, Optimizer};

    /// A plan with parameters and running statistics unlike their initial ones.
    fn trained(mlp: &Mlp) -> (Plan, Vec<f32>) {
        let plan = Plan::new(mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))).unwrap();
        let mut parameters = plan.initial_parameters();
        for (i, w) in (0_u16..).zip(&mut parameters) {
            *w += 0.1 + 0.2 * f32::from(i % 7);
        }
        (plan, parameters)
    }

    fn predict(plan: Plan, parameters: &[f32], inputs: &[f32]) -> Vec<f32> {
        let mut engine = CpuEngine::<f32>::new(plan);
        engine.set_parameters(parameters).unwrap();
        engine.predict(inputs).unwrap()
    }

    #[test]
    fn folded_nets_predict_the_same() {
        let plain = Layer::BatchNorm(BatchNorm::default().affine(false));
        let untracked = Layer::BatchNorm(BatchNorm::default().track_running_stats(false));
        let tanh = Activation::Tanh;
        let nets = [
            (Mlp::new(3).linear(4).batch_norm().activation(tanh).linear(2), "3-4-tanh-2"),
            (Mlp::new(3).batch_norm().dropout(0.2).linear(4).layer(plain).linear(2), "3-4-2"),
            (Mlp::new(3).linear(4).activation(tanh).layer(plain).linear(2), "3-4-tanh-2"),
            // Nothing beside it to fold into, a norm of another kind, and statistics of the batch.
            (
                Mlp::new(3).linear(4).activation(tanh).batch_norm().activation(tanh).linear(2),
                "3-4-tanh-bn-tanh-2",
            ),
            (Mlp::new(3).linear(4).layer_norm().linear(2).dropout(0.5), "3-4-ln-2"),
            (Mlp::new(3).linear(4).layer(untracked).linear(2), "3-4-bn-2"),
            (Mlp::new(3).linear(2).batch_norm().batch_norm(), "3-2"),
            (Mlp::new(3).encoding(Encoding::frequency(2)).batch_norm().linear(2), "3-freq2-2"),
        ];
        let inputs: Vec<f32> = (0..30_u8).map(|i| f32::from(i % 11) / 5.0 - 1.0).collect();
        for (mlp, name) in nets {
            let (plan, parameters) = trained(&mlp);
            let (folded_plan, folded) = fold(&plan, &parameters).unwrap();
            assert_eq!(folded_plan.mlp().to_string(), name);
            let want = predict(plan, &parameters, &inputs);
            let want: Vec<f64> = want.iter().map(|&y| f64::from(y)).collect();
            // Some dozen roundings of numbers up to 10 on either side.
            assert_within(&predict(folded_plan, &folded, &inputs), &want, |_| 2e-5);
        }
    }
}
