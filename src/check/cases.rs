//! The trainings that together bring every kernel to work.

use super::Check;
use crate::activation::Activation;
use crate::data::{Dataset, Targets};
use crate::divergence::OnDivergence;
use crate::encoding::Encoding;
use crate::engine::gpu::Fusion;
use crate::loss::Loss;
use crate::model::Mlp;
use crate::optimizer::{Clip, Optimizer, ParameterGroup, Rule};
use crate::options::TrainOptions;
use crate::precision::Precision;
use crate::rng::{Purpose, Stream};
use crate::sampler::Sampling;

impl Check {
    fn new(name: &str, mlp: Mlp, loss: Loss) -> Self {
        let options = TrainOptions {
            batch_size: 48,
            epochs: 1,
            // So that the first batch is the first rows.
            sampling: Sampling::Sequential,
            seed: 7,
            ..TrainOptions::new(loss, Optimizer::momentum(0.01, 0.9, false))
        };
        let data = rows(&mlp, &options.loss, 2 * options.batch_size);
        let (name, fusion) = (name.into(), Fusion::Never);
        Self { name, mlp, options, fusion, in_each_form: false, data }
    }

    fn batch_size(mut self, batch_size: usize) -> Self {
        self.options.batch_size = batch_size;
        self.data = rows(&self.mlp, &self.options.loss, 2 * batch_size);
        self
    }

    fn with_rows(self, count: usize) -> Self {
        let data = rows(&self.mlp, &self.options.loss, count);
        Self { data, ..self }
    }

    /// With what the rows count.
    fn weighted(self, weights: Vec<f32>) -> Self {
        let data = self.data.with_weights(weights);
        Self { data: data.unwrap_or_else(|e| unreachable!("made to fit: {e}")), ..self }
    }

    fn fused(self) -> Self {
        Self { fusion: Fusion::Always, ..self }
    }

    fn in_each_form(self) -> Self {
        Self { in_each_form: true, ..self }
    }

    fn mixed(self) -> Self {
        self.with(|options| options.precision = Precision::Mixed)
    }

    fn with(mut self, change: impl FnOnce(&mut TrainOptions)) -> Self {
        change(&mut self.options);
        self
    }
}

/// Rows that the net can learn a little of.
fn rows(mlp: &Mlp, loss: &Loss, rows: usize) -> Dataset {
    let mut stream = Stream::new(7, Purpose::Synthetic, 0);
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what data sets hold")]
    let mut uniform = |len: usize| -> Vec<f32> {
        (0..len).map(|_| (2.0 * stream.uniform() - 1.0) as f32).collect()
    };
    let inputs = uniform(rows * mlp.in_features());
    let width = mlp.out_features();
    let targets = match loss {
        Loss::CrossEntropy { .. } => {
            #[expect(clippy::cast_possible_truncation, reason = "a few classes")]
            let labels = (0..rows).map(|i| (i * 7 % width) as u32).collect();
            Targets::Classes { labels, classes: width }
        }
        Loss::BceWithLogits { .. } => {
            let values = uniform(rows * width).into_iter();
            Targets::Values {
                values: values.map(|v| f32::from(u8::from(v > 0.0))).collect(),
                width,
            }
        }
        _ => Targets::Values { values: uniform(rows * width), width },
    };
    let data = Dataset::new(inputs, mlp.in_features(), targets);
    data.unwrap_or_else(|e| unreachable!("made to fit: {e}"))
}

/// Each [`Check`], small ones first.
pub(super) fn all() -> Vec<Check> {
    use Activation::{Gelu, GeluTanh, Identity, Relu, Sigmoid, Silu, Softplus, Tanh};
    let smooth = || Loss::CrossEntropy { label_smoothing: 0.1, class_weights: Vec::new() };
    let hidden = |sizes: &[usize], activation: Activation| {
        let [inputs, hidden @ .., outputs] = sizes else { unreachable!("two ends") };
        Mlp::with_hidden(*inputs, hidden, activation, *outputs)
    };
    let mut checks = vec![
        Check::new("products, odd sizes", hidden(&[5, 33, 7], Relu), smooth()).in_each_form(),
        Check::new("products, multiples of four", hidden(&[64, 64, 32, 8], Relu), Loss::Mse)
            .in_each_form(),
        // Of so many units some lie so near a ReLU's kink that rounding takes them across.
        Check::new("products, large", hidden(&[128, 512, 512, 12], Tanh), smooth())
            .batch_size(1024),
        Check::new("gradients in slices", hidden(&[8, 16, 4], Tanh), Loss::Mse).batch_size(2048),
        Check::new("batch in parts", hidden(&[8, 16, 4], Tanh), smooth())
            .with(|options| options.micro_batch = Some(20)),
        Check::new(
            "batch norm, dropout",
            Mlp::new(12).linear(24).batch_norm().activation(Relu).dropout(0.3).linear(5),
            smooth(),
        ),
        Check::new(
            "layer norm, dropout",
            Mlp::new(12)
                .layer_norm()
                .linear(24)
                .layer_norm()
                .activation(Silu)
                .dropout(0.5)
                .linear(5),
            Loss::Mse,
        ),
        Check::new(
            "activations at the ends",
            Mlp::new(6)
                .activation(Tanh)
                .linear(9)
                .activation(Relu)
                .activation(Sigmoid)
                .linear(3)
                .activation(Sigmoid),
            Loss::Mse,
        ),
    ];
    let leaky = Activation::LeakyRelu { slope: 0.1 };
    let (elu, sine) = (Activation::Elu { alpha: 1.0 }, Activation::Sine { omega0: 3.0 });
    let activations =
        [Identity, Relu, leaky, elu, Gelu, GeluTanh, Silu, Sigmoid, Tanh, Softplus, sine];
    for activation in activations {
        let mlp = hidden(&[6, 20, 16, 3], activation);
        checks.push(Check::new(&format!("activation {activation}"), mlp, Loss::Mse));
    }
    for encoding in [Encoding::frequency(4), Encoding::one_blob(8), Encoding::triangle_wave(6)] {
        let mlp = Mlp::new(3).encoding(encoding).linear(24).activation(Relu).linear(3);
        checks.push(Check::new(&format!("encoding {encoding}"), mlp, Loss::Mse));
    }
    let mse = |name: &str| Check::new(name, hidden(&[6, 20, 3], Tanh), Loss::Mse);
    for loss in [Loss::Mae, Loss::Huber { delta: 0.5 }, Loss::BCE_WITH_LOGITS, smooth()] {
        let name = format!("loss {}", loss.name());
        checks.push(Check::new(&name, hidden(&[6, 20, 3], Tanh), loss));
    }
    // As trainings go through their rows, where the last batch is shorter: gathered by a first layer, by a
    // fused step, and copied.
    let gathered = || hidden(&[6, 20, 3], Tanh);
    let copied = Mlp::new(6).activation(Tanh).linear(9).activation(Silu).linear(3);
    for (name, sampling) in
        [("shuffled", Sampling::Shuffled), ("with replacement", Sampling::Replacement)]
    {
        let of = |about: &str, mlp: Mlp| {
            let check = Check::new(&format!("rows {name}, {about}"), mlp, Loss::Mse);
            check.with_rows(53).with(|options| options.sampling = sampling)
        };
        checks.push(of("gathered", gathered()));
        checks.push(of("copied", copied.clone()));
        checks.push(of("fused", gathered()).fused());
    }
    let weights: Vec<f32> = (0..96_u8).map(|row| f32::from(row % 5) / 2.0).collect();
    let weighted = Loss::CrossEntropy { label_smoothing: 0.0, class_weights: vec![1.0, 0.5, 2.0] };
    checks.push(Check::new("weights of rows and classes", gathered(), weighted).weighted(weights));
    checks.push(mse("parameter groups, skipping").with(|options| {
        options.groups = vec![ParameterGroup::without_decay()];
        options.optimizer.weight_decay = 0.1;
        options.on_divergence = OnDivergence::Skip { most: 1 };
    }));
    checks.push(mse("clipping by value").with(|options| options.clip = Some(Clip::Value(0.01))));
    let rmsprop = Rule::Rmsprop { alpha: 0.99, eps: 1e-8, momentum: 0.5, centred: true };
    let rules = [
        ("adamw", Optimizer::adamw(1e-3)),
        ("adagrad", Optimizer::new(Rule::ADAGRAD, 0.01)),
        ("rmsprop", Optimizer::new(rmsprop, 1e-3)),
        ("nadam", Optimizer::new(Rule::NADAM, 1e-3)),
        ("amsgrad", Optimizer::new(Rule::AMSGRAD, 1e-3)),
        ("nesterov", Optimizer::momentum(0.01, 0.9, true)),
    ];
    for (name, optimizer) in rules {
        // Adam and its kin divide by the gradients' size: rounding of the smallest is a whole step, unless ε
        // is far above it.
        let optimizer = with_eps(optimizer, 1e-3);
        checks
            .push(mse(&format!("optimizer {name}")).with(|options| options.optimizer = optimizer));
    }
    let relu = Check::new("clipping, averages, insights", hidden(&[6, 40, 3], Relu), Loss::Mse);
    checks.push(relu.with(|options| {
        options.clip = Some(Clip::Norm(0.1));
        options.ema = Some(0.9);
        options.insight_every = Some(1);
    }));
    for (name, mlp, loss) in [
        ("fused, 32 wide", hidden(&[3, 32, 32, 2], Silu), Loss::Mse),
        ("fused, 64 wide", hidden(&[2, 64, 64, 64, 3], Gelu), Loss::Huber { delta: 0.5 }),
        ("fused, 128 wide", hidden(&[20, 128, 128, 10], Tanh), smooth()),
    ] {
        checks.push(Check::new(name, mlp.clone(), loss.clone()).fused());
        // As many rows as make tiles large.
        checks.push(Check::new(&format!("{name}, many rows"), mlp, loss).batch_size(8192).fused());
    }
    // Of rounded numbers many lie at a ReLU's kink.
    let normed = Mlp::new(12).linear(24).batch_norm().activation(Silu).dropout(0.3);
    let encoded = Mlp::new(3).encoding(Encoding::frequency(3)).linear(24).activation(Gelu);
    let passed = Mlp::new(6).activation(Tanh).linear(9).activation(Silu).activation(Sigmoid);
    let mixed = |about: &str, mlp: Mlp, loss: Loss| {
        Check::new(&format!("mixed precision, {about}"), mlp, loss).mixed()
    };
    checks.extend([
        mixed("odd sizes", hidden(&[5, 33, 21, 7], Gelu), smooth()).in_each_form(),
        mixed("multiples of four", hidden(&[64, 64, 32, 8], Tanh), Loss::Mse).in_each_form(),
        mixed(
            "norms, dropout",
            normed.linear(24).layer_norm().activation(Tanh).linear(5),
            smooth(),
        ),
        mixed("encoding", encoded.linear(3), Loss::Huber { delta: 0.5 }),
        mixed("activations at the ends", passed.linear(3).activation(Sigmoid), Loss::Mse),
    ]);
    checks
}

/// The same rule with another ε.
fn with_eps(optimizer: Optimizer, value: f64) -> Optimizer {
    let mut optimizer = optimizer;
    match &mut optimizer.rule {
        Rule::Adam { eps, .. }
        | Rule::Nadam { eps, .. }
        | Rule::Adagrad { eps, .. }
        | Rule::Rmsprop { eps, .. } => *eps = value,
        Rule::Sgd { .. } | Rule::Lion { .. } => {}
    }
    optimizer
}
