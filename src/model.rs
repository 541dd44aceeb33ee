//! The net as the user describes it.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::layer::{BatchNorm, Dropout, Layer, LayerNorm, Linear};

/// A multi-layer perceptron: a sequence of layers, as PyTorch's `nn.Sequential`.
///
/// Layers are counted from 0 and may come in any order, but an encoding comes first; activations, norms
/// and dropout are layers of their own.
///
/// ```
/// use wgrad::{Activation, Mlp};
/// let mlp = Mlp::new(784).linear(128).activation(Activation::Relu).linear(10);
/// assert_eq!((mlp.in_features(), mlp.out_features()), (784, 10));
/// assert_eq!(mlp.to_string(), "784-128-relu-10");
///
/// let mlp = Mlp::new(64).linear(32).batch_norm().activation(Activation::Relu).dropout(0.2).linear(10);
/// assert_eq!(mlp.to_string(), "64-32-bn-relu-drop0.2-10");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    in_features: usize,
    layers: Vec<Layer>,
}

impl Mlp {
    /// A net without layers yet, for rows of `in_features` numbers.
    #[must_use]
    pub fn new(in_features: usize) -> Self {
        Self { in_features, layers: Vec::new() }
    }

    /// The usual net: linear layers of the `hidden` sizes, each followed by `activation`, then a
    /// linear layer to `out_features`.
    ///
    /// ```
    /// use wgrad::{Activation, Mlp};
    /// let mlp = Mlp::with_hidden(2, &[32, 32], Activation::Tanh, 1);
    /// assert_eq!(mlp.to_string(), "2-32-tanh-32-tanh-1");
    /// ```
    #[must_use]
    pub fn with_hidden(
        in_features: usize,
        hidden: &[usize],
        activation: Activation,
        out_features: usize,
    ) -> Self {
        hidden
            .iter()
            .fold(Self::new(in_features), |mlp, &width| mlp.linear(width).activation(activation))
            .linear(out_features)
    }

    /// Appends an encoding of the net's inputs, which must be the first layer.
    #[must_use]
    pub fn encoding(self, encoding: Encoding) -> Self {
        self.layer(Layer::Encoding(encoding))
    }

    /// Appends a linear layer with PyTorch's initial values.
    #[must_use]
    pub fn linear(self, out_features: usize) -> Self {
        self.layer(Layer::Linear(Linear::new(out_features)))
    }

    /// Appends an activation.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        self.layer(Layer::Activation(activation))
    }

    /// Appends batch normalisation with PyTorch's defaults.
    #[must_use]
    pub fn batch_norm(self) -> Self {
        self.layer(Layer::BatchNorm(BatchNorm::default()))
    }

    /// Appends layer normalisation with PyTorch's defaults.
    #[must_use]
    pub fn layer_norm(self) -> Self {
        self.layer(Layer::LayerNorm(LayerNorm::default()))
    }

    /// Appends dropout of a share `rate` of the elements, in 0.0..1.0.
    #[must_use]
    pub fn dropout(self, rate: f64) -> Self {
        self.layer(Layer::Dropout(Dropout::new(rate)))
    }

    /// Appends any layer.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Columns of the input.
    #[must_use]
    pub fn in_features(&self) -> usize {
        self.in_features
    }

    /// Columns of the output: those of the last linear layer, `in_features` if there is none.
    #[must_use]
    pub fn out_features(&self) -> usize {
        let widths = self.layers.iter().rev().find_map(|layer| match layer {
            Layer::Linear(linear) => Some(linear.out_features),
            _ => None,
        });
        widths.unwrap_or(self.in_features)
    }

    /// The layers in order.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The net as the engines run it: each linear or norm layer with the activation and the dropout
    /// behind it. What stands elsewhere gets a block of its own.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no linear layer, an encoding isn't the first, a size is 0 or a
    /// parameter lies outside its range; [`Error::Limit`] if an encoding has too many columns.
    pub(crate) fn blocks(&self) -> Result<Vec<Block>> {
        let refuse = |problem: &str| Err(Error::Model { layer: 0, problem: problem.into() });
        if self.in_features == 0 {
            return refuse("in_features is 0, but a net needs at least one input");
        }
        if !self.layers.iter().any(|layer| matches!(layer, Layer::Linear(_))) {
            return refuse("the net has no linear layer (add one with Mlp::linear)");
        }
        let mut blocks: Vec<Block> = Vec::new();
        let mut columns = self.in_features;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.validate(index)?;
            let mut block = Block {
                index,
                in_features: columns,
                out_features: columns,
                op: BlockOp::Pass,
                activation: Activation::Identity,
                dropout: None,
            };
            // The block that an activation or dropout may join.
            let last = blocks.last_mut().filter(|last| last.dropout.is_none());
            match *layer {
                Layer::Linear(linear) => {
                    block.op = BlockOp::Linear;
                    block.out_features = linear.out_features;
                }
                Layer::BatchNorm(norm) => block.op = BlockOp::BatchNorm(norm),
                Layer::LayerNorm(norm) => block.op = BlockOp::LayerNorm(norm),
                Layer::Encoding(encoding) => {
                    block.op = BlockOp::Encoding(encoding);
                    block.out_features = encoded_columns(encoding, columns)?;
                }
                Layer::Activation(activation) => match last {
                    Some(last) if last.activation == Activation::Identity => {
                        last.activation = activation;
                        continue;
                    }
                    _ => block.activation = activation,
                },
                Layer::Dropout(dropout) => match last {
                    Some(last) => {
                        last.dropout = Some((index, dropout));
                        continue;
                    }
                    None => block.dropout = Some((index, dropout)),
                },
            }
            columns = block.out_features;
            blocks.push(block);
        }
        Ok(blocks)
    }
}

/// Columns of an encoding's output.
fn encoded_columns(encoding: Encoding, inputs: usize) -> Result<usize> {
    let most = u32::MAX as usize;
    let columns = inputs.checked_mul(encoding.values()).filter(|&columns| columns <= most);
    columns.ok_or_else(|| Error::Limit {
        what: format!("layer 0 ({encoding} of {inputs} inputs)"),
        needed: format!("{} columns an input", encoding.values()),
        limit_name: "32-bit element index",
        limit: format!("{most} columns in all"),
        remedy: ": encode fewer inputs".into(),
    })
}

/// A layer with the activation and the dropout behind it: what a stage of the plan computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Position of its first layer in the [`Mlp`].
    pub index: usize,
    pub in_features: usize,
    pub out_features: usize,
    pub op: BlockOp,
    pub activation: Activation,
    /// With its position in the [`Mlp`].
    pub dropout: Option<(usize, Dropout)>,
}

/// What a block computes before its activation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BlockOp {
    Linear,
    BatchNorm(BatchNorm),
    LayerNorm(LayerNorm),
    Encoding(Encoding),
    /// Nothing.
    Pass,
}

impl std::fmt::Display for Mlp {
    /// The layers in order, as in `784-128-bn-relu-drop0.5-10`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.in_features)?;
        self.layers.iter().try_for_each(|layer| write!(f, "-{layer}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_take_in_the_activation_and_dropout_behind_them() {
        let mlp = Mlp::new(3)
            .dropout(0.25)
            .linear(5)
            .batch_norm()
            .activation(Activation::Tanh)
            .dropout(0.5)
            .activation(Activation::Relu)
            .linear(2);
        assert_eq!(mlp.to_string(), "3-drop0.25-5-bn-tanh-drop0.5-relu-2");
        let blocks = mlp.blocks().unwrap();
        let seen: Vec<_> = blocks
            .iter()
            .map(|b| (b.index, b.in_features, b.out_features, b.activation, b.dropout))
            .collect();
        let drop = |layer, rate| Some((layer, Dropout::new(rate)));
        assert_eq!(
            seen,
            [
                (0, 3, 3, Activation::Identity, drop(0, 0.25)),
                (1, 3, 5, Activation::Identity, None),
                (2, 5, 5, Activation::Tanh, drop(4, 0.5)),
                (5, 5, 5, Activation::Relu, None),
                (6, 5, 2, Activation::Identity, None),
            ]
        );
    }

    #[test]
    fn impossible_nets_are_refused_by_layer() {
        let refused = |mlp: Mlp| mlp.blocks().unwrap_err().to_string();
        assert!(refused(Mlp::new(0).linear(1)).contains("in_features is 0"));
        assert!(refused(Mlp::new(1)).contains("no linear layer"));
        assert!(refused(Mlp::new(1).batch_norm()).contains("no linear layer"));
        assert!(refused(Mlp::new(1).linear(1).linear(0)).starts_with("layer 1: out_features is 0"));
        let steep = Mlp::new(1).linear(1).activation(Activation::LeakyRelu { slope: f32::NAN });
        assert!(refused(steep).contains("slope is NaN"));
        for rate in [1.0, -0.1, f64::NAN] {
            let problem = refused(Mlp::new(1).linear(1).dropout(rate));
            assert!(problem.starts_with("layer 1: dropout is "), "{problem}");
        }
        let flat = Layer::BatchNorm(BatchNorm::default().eps(0.0));
        assert!(refused(Mlp::new(1).linear(1).layer(flat)).contains("eps is 0"));
        let tiny = Layer::LayerNorm(LayerNorm::default().eps(1e-39));
        assert!(refused(Mlp::new(1).linear(1).layer(tiny)).contains("at least 1.2e-38"));
        let eager = Layer::BatchNorm(BatchNorm::default().momentum(1.5));
        assert!(refused(Mlp::new(1).linear(1).layer(eager)).contains("momentum is 1.5"));
    }

    #[test]
    fn an_encoding_is_the_first_layer() {
        let (relu, freq) = (Activation::Relu, Encoding::frequency(4));
        let mlp = Mlp::new(3).encoding(freq).activation(relu).dropout(0.5).linear(2);
        assert_eq!(mlp.to_string(), "3-freq4-relu-drop0.5-2");
        let blocks = mlp.blocks().unwrap();
        assert_eq!(blocks.len(), 2);
        let dropout = Some((2, Dropout::new(0.5)));
        assert_eq!((blocks[0].out_features, blocks[0].activation), (24, relu));
        assert_eq!((blocks[0].dropout, blocks[1].in_features), (dropout, 24));

        let refused = |mlp: Mlp| mlp.linear(1).blocks().unwrap_err().to_string();
        let late = refused(Mlp::new(1).linear(2).encoding(freq));
        assert!(late.starts_with("layer 1: freq4 encodes the net's inputs"), "{late}");
        assert!(refused(Mlp::new(1).encoding(freq).encoding(freq)).starts_with("layer 1: freq4"));
        for (encoding, problem) in [
            (Encoding::frequency(0), "freq's octaves are 0, but must lie in 1..=24"),
            (Encoding::frequency(25), "freq's octaves are 25"),
            (Encoding::triangle_wave(u32::MAX), "tri's octaves are 4294967295"),
            (Encoding::one_blob(0), "blob's bins are 0, but must lie in 1..=4096"),
        ] {
            let refused = refused(Mlp::new(1).encoding(encoding));
            assert!(refused.starts_with(&format!("layer 0: {problem}")), "{refused}");
        }
        for inputs in [u32::MAX as usize / 8 + 1, usize::MAX] {
            let wide = refused(Mlp::new(inputs).encoding(freq));
            assert!(wide.contains("inputs) needs 8 columns an input"), "{wide}");
        }
    }

    #[test]
    fn a_description_survives_json() {
        let mlp = Mlp::with_hidden(2, &[3], Activation::SINE, 1).batch_norm().dropout(0.5);
        let json = serde_json::to_string(&mlp).unwrap();
        assert_eq!(serde_json::from_str::<Mlp>(&json).unwrap(), mlp);
        let json = r#"{"in_features":2,"layers":[{"encoding":{"one_blob":{"bins":16}}}]}"#;
        let mlp = Mlp::new(2).encoding(Encoding::one_blob(16));
        assert_eq!(serde_json::to_string(&mlp).unwrap(), json);
        assert_eq!(serde_json::from_str::<Mlp>(json).unwrap(), mlp);
    }
}
