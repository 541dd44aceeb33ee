//! The net as the user describes it.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::init::Init;

/// A multi-layer perceptron: a sequence of layers, as PyTorch's `nn.Sequential`.
///
/// Layers are counted from 0; an activation is a layer of its own and stands behind the linear
/// layer it belongs to.
///
/// ```
/// use wgrad::{Activation, Mlp};
/// let mlp = Mlp::new(784).linear(128).activation(Activation::Relu).linear(10);
/// assert_eq!((mlp.in_features(), mlp.out_features()), (784, 10));
/// assert_eq!(mlp.to_string(), "784-128-relu-10");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    in_features: usize,
    layers: Vec<Layer>,
}

/// One layer of an [`Mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// Y = X·Wᵀ + b.
    Linear(Linear),
    /// Y = a(Z), element by element.
    Activation(Activation),
}

/// A fully connected layer Y = X·Wᵀ + b with W (out × in, row-major) and b (out): `nn.Linear`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Linear {
    /// Columns of the output, at least 1.
    pub out_features: usize,
    /// Where the weights start. Default: [`Init::Default`].
    #[serde(default)]
    pub weight_init: Init,
    /// Where the biases start. Default: [`Init::Default`].
    #[serde(default)]
    pub bias_init: Init,
}

impl Linear {
    /// A layer with this many outputs and PyTorch's initial values.
    #[must_use]
    pub fn new(out_features: usize) -> Self {
        Self { out_features, weight_init: Init::Default, bias_init: Init::Default }
    }

    /// Sets where the weights start.
    #[must_use]
    pub fn weight_init(self, weight_init: Init) -> Self {
        Self { weight_init, ..self }
    }

    /// Sets where the biases start.
    #[must_use]
    pub fn bias_init(self, bias_init: Init) -> Self {
        Self { bias_init, ..self }
    }
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
            Layer::Activation(_) => None,
        });
        widths.unwrap_or(self.in_features)
    }

    /// The layers in order.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The net as the engines run it: each linear layer with the activation behind it.
    ///
    /// # Errors
    /// [`Error::Model`] if a size is 0, an activation doesn't stand behind a linear layer or a
    /// parameter lies outside its range.
    pub(crate) fn blocks(&self) -> Result<Vec<Block>> {
        let refuse = |layer, problem: &str| Err(Error::Model { layer, problem: problem.into() });
        if self.in_features == 0 {
            return refuse(0, "in_features is 0, but a net needs at least one input");
        }
        let mut blocks: Vec<Block> = Vec::new();
        let mut in_features = self.in_features;
        for (index, layer) in self.layers.iter().enumerate() {
            match *layer {
                Layer::Linear(linear) => {
                    if linear.out_features == 0 {
                        return refuse(index, "out_features is 0, but must be at least 1");
                    }
                    linear.weight_init.validate(index)?;
                    linear.bias_init.validate(index)?;
                    let activation = None;
                    blocks.push(Block { index, in_features, linear, activation });
                    in_features = linear.out_features;
                }
                Layer::Activation(activation) => {
                    activation.validate(index)?;
                    match blocks.last_mut() {
                        Some(block) if block.activation.is_none() => {
                            block.activation = Some(activation);
                        }
                        Some(_) => {
                            return refuse(
                                index,
                                "two activations in a row (put a linear layer between)",
                            );
                        }
                        None => {
                            return refuse(
                                index,
                                "an activation comes first (put a linear layer before it)",
                            );
                        }
                    }
                }
            }
        }
        if blocks.is_empty() {
            return refuse(0, "the net has no linear layer (add one with Mlp::linear)");
        }
        Ok(blocks)
    }
}

/// A linear layer with the activation behind it: what one forward dispatch computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Position of the linear layer in the [`Mlp`].
    pub index: usize,
    pub in_features: usize,
    pub linear: Linear,
    pub activation: Option<Activation>,
}

impl std::fmt::Display for Mlp {
    /// Sizes and activations in order, as in `784-128-relu-10`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.in_features)?;
        self.layers.iter().try_for_each(|layer| match layer {
            Layer::Linear(linear) => write!(f, "-{}", linear.out_features),
            Layer::Activation(activation) => write!(f, "-{activation}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_pair_linear_layers_with_their_activations() {
        let mlp = Mlp::new(3).linear(5).activation(Activation::Tanh).linear(4).linear(2);
        let blocks = mlp.blocks().unwrap();
        let seen: Vec<_> = blocks
            .iter()
            .map(|b| (b.index, b.in_features, b.linear.out_features, b.activation))
            .collect();
        assert_eq!(seen, [(0, 3, 5, Some(Activation::Tanh)), (2, 5, 4, None), (3, 4, 2, None)]);
    }

    #[test]
    fn impossible_nets_are_refused_by_layer() {
        let relu = Activation::Relu;
        let refused = |mlp: Mlp| mlp.blocks().unwrap_err().to_string();
        assert!(refused(Mlp::new(0).linear(1)).contains("in_features is 0"));
        assert!(refused(Mlp::new(1)).contains("no linear layer"));
        assert!(refused(Mlp::new(1).linear(1).linear(0)).starts_with("layer 1: out_features is 0"));
        assert!(refused(Mlp::new(1).activation(relu)).contains("comes first"));
        let twice = Mlp::new(1).linear(1).activation(relu).activation(relu);
        assert!(refused(twice).starts_with("layer 2: two activations"));
        let steep = Mlp::new(1).linear(1).activation(Activation::LeakyRelu { slope: f32::NAN });
        assert!(refused(steep).contains("slope is NaN"));
    }

    #[test]
    fn a_description_survives_json() {
        let mlp = Mlp::with_hidden(2, &[3], Activation::SINE, 1);
        let json = serde_json::to_string(&mlp).unwrap();
        assert_eq!(serde_json::from_str::<Mlp>(&json).unwrap(), mlp);
    }
}
