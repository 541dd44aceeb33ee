//! Initial values of weights and biases.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::Stream;

/// The distribution a parameter tensor starts from.
///
/// `fan_in` and `fan_out` are the linear layer's `in_features` and `out_features`; the gain is
/// [`Activation::gain`](crate::Activation::gain) of the activation behind the layer. U(a) is
/// uniform on [−a, a], N(σ) is normal with mean 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Init {
    /// `U(1/√fan_in)`, for weights and biases: what PyTorch's `nn.Linear` does.
    #[default]
    Default,
    /// `U(gain·√(3/fan_in))` (He et al. 2015; `nn.init.kaiming_uniform_`).
    KaimingUniform,
    /// `N(gain/√fan_in)` (`nn.init.kaiming_normal_`).
    KaimingNormal,
    /// `U(gain·√(6/(fan_in + fan_out)))` (Glorot and Bengio 2010; `nn.init.xavier_uniform_`).
    XavierUniform,
    /// `N(gain·√(2/(fan_in + fan_out)))` (`nn.init.xavier_normal_`).
    XavierNormal,
    /// `U(√(3/fan_in))` (LeCun et al. 1998).
    LecunUniform,
    /// `N(1/√fan_in)` (LeCun et al. 1998).
    LecunNormal,
    /// `U(1/fan_in)` in the net's first linear layer, `U(√(6/fan_in)/ω₀)` in the others
    /// (Sitzmann et al. 2020).
    Siren {
        /// ω₀ of the sine activations, positive. SIREN uses 30.
        omega0: f32,
    },
    /// Every element has this value.
    Constant(f32),
}

/// What an [`Init`] needs to know of the tensor's place in the net.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub fan_in: usize,
    pub fan_out: usize,
    /// Gain of the activation behind the layer.
    pub gain: f64,
    /// Whether this is the net's first linear layer.
    pub first: bool,
}

/// A distribution with its scale.
enum Distribution {
    Uniform(f64),
    Normal(f64),
    Constant(f64),
}

impl Init {
    fn distribution(self, place: &Place) -> Distribution {
        use Distribution::{Constant, Normal, Uniform};
        #[expect(clippy::cast_precision_loss, reason = "layer sizes are far below 2⁵²")]
        let (fan_in, fan_out) = (place.fan_in as f64, place.fan_out as f64);
        match self {
            Self::Default => Uniform(1.0 / fan_in.sqrt()),
            Self::KaimingUniform => Uniform(place.gain * (3.0 / fan_in).sqrt()),
            Self::KaimingNormal => Normal(place.gain / fan_in.sqrt()),
            Self::XavierUniform => Uniform(place.gain * (6.0 / (fan_in + fan_out)).sqrt()),
            Self::XavierNormal => Normal(place.gain * (2.0 / (fan_in + fan_out)).sqrt()),
            Self::LecunUniform => Uniform((3.0 / fan_in).sqrt()),
            Self::LecunNormal => Normal(1.0 / fan_in.sqrt()),
            Self::Siren { .. } if place.first => Uniform(1.0 / fan_in),
            Self::Siren { omega0 } => Uniform((6.0 / fan_in).sqrt() / f64::from(omega0)),
            Self::Constant(value) => Constant(f64::from(value)),
        }
    }

    /// Fills a tensor from its stream.
    #[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
    pub(crate) fn fill(self, place: &Place, stream: &mut Stream, tensor: &mut [f32]) {
        let distribution = self.distribution(place);
        tensor.fill_with(|| match distribution {
            Distribution::Uniform(bound) => (bound * (2.0 * stream.uniform() - 1.0)) as f32,
            Distribution::Normal(deviation) => (deviation * stream.normal()) as f32,
            Distribution::Constant(value) => value as f32,
        });
    }

    pub(crate) fn validate(self, layer: usize) -> Result<()> {
        let problem = match self {
            Self::Siren { omega0 } if !(omega0 > 0.0 && omega0.is_finite()) => {
                format!("siren's omega0 is {omega0}, but must be positive")
            }
            Self::Constant(value) if !value.is_finite() => {
                format!("the constant initial value is {value}, but must be finite")
            }
            _ => return Ok(()),
        };
        Err(Error::Model { layer, problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn every_distribution_has_its_bound_and_deviation() {
        let place = Place { fan_in: 50, fan_out: 30, gain: 2.0_f64.sqrt(), first: false };
        let uniform_deviation = |bound: f64| bound / 3.0_f64.sqrt();
        let cases = [
            (Init::Default, uniform_deviation(1.0 / 50.0_f64.sqrt())),
            (Init::KaimingUniform, (2.0 / 50.0_f64).sqrt()),
            (Init::KaimingNormal, (2.0 / 50.0_f64).sqrt()),
            (Init::XavierUniform, (4.0 / 80.0_f64).sqrt()),
            (Init::XavierNormal, (4.0 / 80.0_f64).sqrt()),
            (Init::LecunUniform, (1.0 / 50.0_f64).sqrt()),
            (Init::LecunNormal, (1.0 / 50.0_f64).sqrt()),
            (Init::Siren { omega0: 30.0 }, uniform_deviation((6.0 / 50.0_f64).sqrt() / 30.0)),
        ];
        for (init, deviation) in cases {
            let mut tensor = vec![0.0; 20_000];
            init.fill(&place, &mut Stream::new(1, Purpose::Init, 0), &mut tensor);
            let n = 20_000.0_f64;
            let mean = tensor.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let square = tensor.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n;
            assert!(mean.abs() <= 4.0 * deviation / n.sqrt(), "{init:?}: mean {mean}");
            // Standard error of the variance: σ²√((κ−1)/n), kurtosis κ ≤ 3.
            let ratio = square / deviation.powi(2);
            assert!((ratio - 1.0).abs() <= 4.0 * (2.0 / n).sqrt(), "{init:?}: ratio {ratio}");
        }
    }

    #[test]
    fn siren_treats_the_first_layer_apart() {
        let place = Place { fan_in: 2, fan_out: 8, gain: 1.0, first: true };
        let mut tensor = vec![0.0; 1000];
        Init::Siren { omega0: 30.0 }.fill(
            &place,
            &mut Stream::new(1, Purpose::Init, 0),
            &mut tensor,
        );
        let largest = tensor.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        assert!((0.49..=0.5).contains(&largest), "{largest}");
    }
}
