//! Nets to export, and what each covers.

use crate::ops::tests::random;
use crate::{
    Activation, Affine, BatchNorm, ColumnScaling, Encoding, Layer, LayerNorm, Loss, Mlp, Optimizer,
    ParameterGroup, Plan, Squash, TrainOptions, WgslOptions,
};

pub(super) struct Case {
    pub mlp: Mlp,
    pub options: WgslOptions,
    groups: Vec<ParameterGroup>,
}

impl Case {
    fn new(mlp: Mlp) -> Self {
        Self { mlp, options: WgslOptions::default(), groups: Vec::new() }
    }

    fn with(self, options: WgslOptions) -> Self {
        Self { options, ..self }
    }

    pub(super) fn plan(&self) -> Plan {
        let options = TrainOptions {
            groups: self.groups.clone(),
            ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))
        };
        Plan::new(&self.mlp, &options).unwrap()
    }

    /// Nine rows: one more than a workgroup of the host's has.
    pub(super) fn inputs(&self) -> Vec<f32> {
        random(99, 9 * self.mlp.in_features())
    }
}

pub(super) fn all() -> Vec<Case> {
    let (relu, tanh) = (Activation::Relu, Activation::Tanh);
    let affine = |shift, scale| Affine { shift, scale };
    // Every activation, on rows of numbers and of vectors. But for SIREN's sine, which may be off by
    // 2⁻¹¹: a second one would make 30 times as much of that.
    let second = |a| if a == Activation::SINE { tanh } else { a };
    let mut cases: Vec<Case> = Activation::ALL
        .iter()
        .map(|&a| (a, second(a)))
        .map(|(a, b)| Mlp::new(3).linear(5).activation(a).linear(4).activation(b).linear(1))
        .map(Case::new)
        .collect();
    // Another parameter than the default, twice: no two layers may share what differs in it.
    let sines = [1.5, 2.0].map(|omega0| Activation::Sine { omega0 });
    cases.push(Case::new(
        Mlp::new(4).linear(4).activation(sines[0]).linear(4).activation(sines[1]).linear(4),
    ));
    let plain = BatchNorm::default().affine(false);
    let eps = LayerNorm::default().affine(false).eps(0.25);
    cases.extend(
        [
            // The smallest.
            Mlp::new(1).linear(1),
            // Rows one below, at and above a multiple of the vector.
            Mlp::with_hidden(4, &[31, 32, 33], tanh, 5),
            // One function for seven layers, each with tensors of its own.
            Mlp::with_hidden(2, &[32; 8], Activation::Silu, 3),
            // Large code, if it were written as often.
            Mlp::with_hidden(2, &[128; 8], relu, 3),
            // Wide behind odd, and a last row of one output.
            Mlp::with_hidden(5, &[128], relu, 1),
            // Inputs and outputs that loops copy, with a rest.
            Mlp::new(19).linear(18),
            // Dropout that does nothing, in front, alone and behind; an activation by itself.
            Mlp::new(3)
                .dropout(0.5)
                .activation(tanh)
                .linear(4)
                .dropout(0.2)
                .activation(relu)
                .linear(2),
            // Norms in front of, behind and between what they could be folded into or couldn't.
            Mlp::new(5).batch_norm().linear(6).batch_norm().activation(tanh).dropout(0.1).linear(2),
            Mlp::new(4)
                .linear(6)
                .activation(tanh)
                .batch_norm()
                .activation(tanh)
                .layer(Layer::BatchNorm(plain))
                .activation(relu)
                .linear(4),
            Mlp::new(3).linear(8).layer_norm().activation(Activation::Gelu).linear(3),
            // Values of an input across vectors and in parts of one; an activation behind them.
            Mlp::new(2).encoding(Encoding::frequency(3)).linear(4).activation(tanh).linear(1),
            Mlp::new(3).encoding(Encoding::triangle_wave(5)).activation(relu).linear(3),
            Mlp::new(5).encoding(Encoding::one_blob(6)).linear(2),
            // Lanes behind the last column have no part in a row's statistics.
            Mlp::new(3)
                .linear(7)
                .activation(Activation::Sigmoid)
                .layer(Layer::LayerNorm(eps))
                .layer_norm()
                .linear(2),
        ]
        .map(Case::new),
    );
    // Tensors in another order than layers.
    cases.push(Case {
        groups: vec![ParameterGroup::without_decay()],
        ..Case::new(Mlp::new(2).linear(4).activation(relu).linear(2))
    });
    let scaling = ColumnScaling {
        input: (1..=5_u8).map(|i| affine(0.1 * f32::from(i), 1.0 / f32::from(i))).collect(),
        output: vec![affine(-100.0, 3.0), affine(0.25, 0.5)],
    };
    let scaled = WgslOptions::default().function("scaled_net").scaling(scaling);
    cases.push(Case::new(Mlp::with_hidden(5, &[4], tanh, 2)).with(scaled.clone()));
    cases.push(Case::new(Mlp::with_hidden(5, &[4], tanh, 2)).with(scaled.squash(Squash::Sigmoid)));
    let softmax = WgslOptions::default().squash(Squash::Softmax);
    cases.push(Case::new(Mlp::with_hidden(3, &[4], relu, 7)).with(softmax));
    cases
}
