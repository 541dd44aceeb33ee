//! Activation functions: formula, derivative and the gain that initialisation uses.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::real::Real;

/// An element-wise function y = a(z) behind a linear layer.
///
/// Formulas and defaults are PyTorch's; `shaders/activation_value.wgsl` computes the same.
///
/// ```
/// use wgrad::Activation;
/// assert_eq!(Activation::Relu.apply(-2.0_f64), 0.0);
/// assert_eq!(Activation::LEAKY_RELU.apply(-2.0_f32), -0.02);
/// assert_eq!("gelu".parse::<Activation>()?, Activation::Gelu);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// a(z) = z (`nn.Identity`).
    #[default]
    Identity,
    /// a(z) = max(z, 0); a′(0) = 0 (`nn.ReLU`).
    Relu,
    /// a(z) = z for z > 0, else slope·z (`nn.LeakyReLU`).
    LeakyRelu {
        /// Slope for z ≤ 0, in 0.0..=1.0. PyTorch's default is 0.01.
        slope: f32,
    },
    /// a(z) = z for z > 0, else α(eᶻ − 1) (`nn.ELU`).
    Elu {
        /// Minus the limit for z → −∞, positive. PyTorch's default is 1.
        alpha: f32,
    },
    /// a(z) = z·Φ(z) = z/2·(1 + erf(z/√2)) (`nn.GELU`).
    Gelu,
    /// a(z) = z/2·(1 + tanh(√(2/π)(z + 0.044715 z³))) (`nn.GELU(approximate="tanh")`).
    GeluTanh,
    /// a(z) = z·σ(z) (`nn.SiLU`, also called swish).
    Silu,
    /// a(z) = σ(z) = 1/(1 + e⁻ᶻ) (`nn.Sigmoid`).
    Sigmoid,
    /// a(z) = tanh z (`nn.Tanh`).
    Tanh,
    /// a(z) = ln(1 + eᶻ) (`nn.Softplus`; computed stably for all z, without PyTorch's threshold).
    Softplus,
    /// a(z) = sin(ω₀ z) (SIREN: Sitzmann et al. 2020).
    Sine {
        /// Angular frequency ω₀ in radians per unit of z, positive. SIREN uses 30.
        omega0: f32,
    },
}

/// Does something with an activation as a constant: a loop is then made for each, and needn't ask at
/// every element which it is.
macro_rules! with_constant {
    ($activation:expr, |$constant:ident| $work:expr) => {
        with_constant!(@each $activation, $constant, $work,
            [Identity Relu Gelu GeluTanh Silu Sigmoid Tanh Softplus]
            [LeakyRelu(slope) Elu(alpha) Sine(omega0)])
    };
    (@each $activation:expr, $constant:ident, $work:expr,
        [$($plain:ident)*] [$($other:ident($parameter:ident))*]) => {
        match $activation {
            $(Activation::$plain => {
                let $constant = Activation::$plain;
                $work
            })*
            $(Activation::$other { $parameter } => {
                let $constant = Activation::$other { $parameter };
                $work
            })*
        }
    };
}
pub(crate) use with_constant;

/// √(2/π).
pub(crate) const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
/// Cubic coefficient of GELU's tanh form (Hendrycks and Gimpel 2016).
pub(crate) const GELU_CUBIC: f64 = 0.044_715;

impl Activation {
    /// Leaky ReLU with PyTorch's slope of 0.01.
    pub const LEAKY_RELU: Self = Self::LeakyRelu { slope: 0.01 };
    /// ELU with PyTorch's α of 1.
    pub const ELU: Self = Self::Elu { alpha: 1.0 };
    /// SIREN's sine with ω₀ = 30.
    pub const SINE: Self = Self::Sine { omega0: 30.0 };

    /// Every activation, with its default parameter.
    pub const ALL: &'static [Self] = &[
        Self::Identity,
        Self::Relu,
        Self::LEAKY_RELU,
        Self::ELU,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
        Self::Sigmoid,
        Self::Tanh,
        Self::Softplus,
        Self::SINE,
    ];

    /// The name that [`FromStr`](std::str::FromStr) takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softplus => "softplus",
            Self::Sine { .. } => "sine",
        }
    }

    /// a(z).
    #[must_use]
    #[inline(always)]
    pub fn apply<T: Real>(self, z: T) -> T {
        match self {
            Self::Identity => z,
            Self::Relu => relu(z),
            Self::LeakyRelu { slope } => leaky(z, T::from_f32(slope)),
            Self::Elu { alpha } => {
                if z > T::ZERO {
                    z
                } else {
                    T::from_f32(alpha) * z.exp_m1()
                }
            }
            Self::Gelu => z * z.normal()[0],
            Self::GeluTanh => z * sigmoid(gelu_argument(z)),
            Self::Silu => z * sigmoid(z),
            Self::Sigmoid => sigmoid(z),
            Self::Tanh => z.tanh(),
            Self::Softplus => softplus(z),
            Self::Sine { omega0 } => (T::from_f32(omega0) * z).sin(),
        }
    }

    /// a′(z), computed from what training keeps of the forward pass: `kept` is z where
    /// [`keeps_preactivation`](Self::keeps_preactivation), else y = a(z).
    #[must_use]
    #[inline(always)]
    pub fn derivative<T: Real>(self, kept: T) -> T {
        let real = T::from_f64;
        let leaky_slope = |slope: T| if kept > T::ZERO { T::ONE } else { slope };
        match self {
            Self::Identity => T::ONE,
            Self::Relu => leaky_slope(T::ZERO),
            Self::LeakyRelu { slope } => leaky_slope(T::from_f32(slope)),
            Self::Elu { alpha } => leaky_slope(T::from_f32(alpha) * kept.exp()),
            Self::Gelu => {
                let [distribution, density] = kept.normal();
                distribution + kept * density
            }
            Self::GeluTanh => {
                let cubic_slope = T::ONE + real(3.0 * GELU_CUBIC) * kept * kept;
                let [gate, slope] = sigmoid_and_slope(gelu_argument(kept));
                gate + kept * real(2.0 * SQRT_2_OVER_PI) * cubic_slope * slope
            }
            Self::Silu => {
                let [gate, slope] = sigmoid_and_slope(kept);
                gate + kept * slope
            }
            Self::Sigmoid => sigmoid_and_slope(kept)[1],
            // 1 − tanh²z = 4 σ′(2z).
            Self::Tanh => real(4.0) * sigmoid_and_slope(real(2.0) * kept)[1],
            // σ(z) = 1 − e⁻ʸ.
            Self::Softplus => -(-kept).exp_m1(),
            Self::Sine { omega0 } => {
                let omega0 = T::from_f32(omega0);
                omega0 * (omega0 * kept).cos()
            }
        }
    }

    /// Whether the derivative needs z: then training keeps z beside y, at the cost of one more
    /// number per output and row.
    ///
    /// Sigmoid, tanh and ELU would need none, as y(1 − y), 1 − y² and y + α are their derivatives. But where
    /// they saturate y is rounded to its limit, and these become 0: from |z| ≈ 9 on for tanh and from 17 on
    /// for the others, with few digits long before. Optimizers that divide by the size of the gradient would
    /// never move such a unit again. Softplus keeps all digits as 1 − e⁻ʸ.
    #[must_use]
    pub const fn keeps_preactivation(self) -> bool {
        match self {
            Self::Elu { .. }
            | Self::Gelu
            | Self::GeluTanh
            | Self::Silu
            | Self::Sigmoid
            | Self::Tanh
            | Self::Sine { .. } => true,
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } | Self::Softplus => false,
        }
    }

    /// The factor by which Kaiming and Xavier initialisation widen the weights in front of this
    /// activation: PyTorch's `nn.init.calculate_gain`. Where that has none: √2 for the functions that
    /// approach ReLU away from 0 (GELU, SiLU, ELU), else 1.
    #[must_use]
    pub fn gain(self) -> f64 {
        match self {
            Self::Relu | Self::Gelu | Self::GeluTanh | Self::Silu | Self::Elu { .. } => {
                std::f64::consts::SQRT_2
            }
            Self::LeakyRelu { slope } => (2.0 / (1.0 + f64::from(slope).powi(2))).sqrt(),
            Self::Tanh => 5.0 / 3.0,
            Self::Identity | Self::Sigmoid | Self::Softplus | Self::Sine { .. } => 1.0,
        }
    }

    /// The value of `ACTIVATION` in `shaders/activation.wgsl`.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Identity => 0,
            Self::Relu => 1,
            Self::LeakyRelu { .. } => 2,
            Self::Elu { .. } => 3,
            Self::Gelu => 4,
            Self::GeluTanh => 5,
            Self::Silu => 6,
            Self::Sigmoid => 7,
            Self::Tanh => 8,
            Self::Softplus => 9,
            Self::Sine { .. } => 10,
        }
    }

    /// Slope, α or ω₀; 0 where there is no parameter.
    pub(crate) const fn parameter(self) -> f32 {
        match self {
            Self::LeakyRelu { slope } => slope,
            Self::Elu { alpha } => alpha,
            Self::Sine { omega0 } => omega0,
            _ => 0.0,
        }
    }

    /// Checks the parameter's range.
    pub(crate) fn validate(self, layer: usize) -> Result<()> {
        let problem = match self {
            // A negative slope would make the sign of y useless for the derivative.
            Self::LeakyRelu { slope } if !(0.0..=1.0).contains(&slope) => {
                format!("leaky_relu's slope is {slope}, but must lie in 0..=1")
            }
            Self::Elu { alpha } if !(alpha > 0.0 && alpha.is_finite()) => {
                format!("elu's alpha is {alpha}, but must be positive")
            }
            Self::Sine { omega0 } if !(omega0 > 0.0 && omega0.is_finite()) => {
                format!("sine's omega0 is {omega0}, but must be positive")
            }
            _ => return Ok(()),
        };
        Err(Error::Model { layer, problem })
    }
}

impl std::fmt::Display for Activation {
    /// The name, with the parameter in parentheses where there is one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        match *self {
            Self::LeakyRelu { slope: p } | Self::Elu { alpha: p } | Self::Sine { omega0: p } => {
                write!(f, "({p})")
            }
            _ => Ok(()),
        }
    }
}

impl std::str::FromStr for Activation {
    type Err = Error;

    /// Takes [`name`](Activation::name), or the name with a parameter as in `leaky_relu(0.2)`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, parameter) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').map(str::parse)),
            None => (text, None),
        };
        let found = Self::ALL.iter().copied().find(|a| a.name() == name);
        match (found, parameter) {
            (Some(a), None) if !text.contains('(') => Ok(a),
            (Some(Self::LeakyRelu { .. }), Some(Ok(slope))) => Ok(Self::LeakyRelu { slope }),
            (Some(Self::Elu { .. }), Some(Ok(alpha))) => Ok(Self::Elu { alpha }),
            (Some(Self::Sine { .. }), Some(Ok(omega0))) => Ok(Self::Sine { omega0 }),
            _ => Err(Error::Option {
                name: "activation",
                value: format!("\"{text}\""),
                expected: "one of identity, relu, leaky_relu(slope), elu(alpha), gelu, gelu_tanh, \
                           silu, sigmoid, tanh, softplus, sine(omega0)",
            }),
        }
    }
}

/// Not [`leaky`], whose product with −∞ would be NaN.
#[inline(always)]
fn relu<T: Real>(z: T) -> T {
    if z <= T::ZERO { T::ZERO } else { z }
}

#[inline(always)]
fn leaky<T: Real>(z: T, slope: T) -> T {
    // Written so that NaN stays NaN.
    if z <= T::ZERO { slope * z } else { z }
}

/// σ(z) = 1/(1 + e⁻ᶻ).
#[inline(always)]
pub(crate) fn sigmoid<T: Real>(z: T) -> T {
    T::ONE / (T::ONE + (-z).exp())
}

/// σ(z) and σ′(z) = e/(1 + e)² of e = e^−|z|, where nothing overflows or cancels, as σ(1 − σ) does.
#[inline(always)]
fn sigmoid_and_slope<T: Real>(z: T) -> [T; 2] {
    let e = (-z.abs()).exp();
    let r = T::ONE / (T::ONE + e);
    [if z < T::ZERO { e * r } else { r }, e * r * r]
}

/// 2√(2/π)(z + 0.044715 z³): the tanh form of GELU is z·σ of it, since 1 + tanh u = 2σ(2u).
#[inline(always)]
fn gelu_argument<T: Real>(z: T) -> T {
    T::from_f64(2.0 * SQRT_2_OVER_PI) * (z + T::from_f64(GELU_CUBIC) * z * z * z)
}

/// ln(1 + eᶻ) = max(z, 0) + ln(1 + e^−|z|), which neither overflows nor cancels.
#[inline(always)]
pub(crate) fn softplus<T: Real>(z: T) -> T {
    relu(z) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_infinite_stays_what_it_tends_to() {
        let infinity = f32::INFINITY;
        for a in [Activation::Relu, Activation::Softplus] {
            assert_eq!([a.apply(-infinity), a.apply(infinity)], [0.0, infinity], "{a}");
            assert!(a.apply(f32::NAN).is_nan(), "{a}");
        }
    }

    #[test]
    fn derivatives_agree_with_central_differences() {
        for &a in Activation::ALL {
            for z in [-7.3, -2.0, -0.6, -0.01, 0.02, 0.4, 1.7, 6.1] {
                let h = 1e-6_f64;
                let difference = (a.apply(z + h) - a.apply(z - h)) / (2.0 * h);
                let kept = if a.keeps_preactivation() { z } else { a.apply(z) };
                // Truncation h²/6·|a‴|, at most ω₀³ = 27,000 for sine; rounding of a few ε, and of
                // sine's argument ω₀z, over h.
                let argument = f64::from(a.parameter()) * z.abs();
                let bound = 27_000.0 * h * h / 6.0 + (8.0 + argument) * f64::EPSILON / h;
                let error = (a.derivative(kept) - difference).abs();
                assert!(error <= bound, "{a} at {z}: {error:e} > {bound:e}");
            }
        }
    }

    /// Closed forms that keep their digits in f64, with the sum of the terms that may cancel near an extremum.
    fn exact_derivative(a: Activation, z: f64) -> [f64; 2] {
        let one = |x: f64| [x, x.abs()];
        // σ(w) + z·s·σ′(w), s = dw/dz.
        let gated = |w: f64, s: f64| {
            let (gate, slope) = (1.0 / (1.0 + (-w).exp()), 0.25 / (0.5 * w).cosh().powi(2));
            [gate + z * s * slope, gate + (z * s * slope).abs()]
        };
        match a {
            Activation::Identity => one(1.0),
            Activation::Relu => one(if z > 0.0 { 1.0 } else { 0.0 }),
            Activation::LeakyRelu { slope } => one(if z > 0.0 { 1.0 } else { f64::from(slope) }),
            Activation::Elu { alpha } => {
                one(if z > 0.0 { 1.0 } else { f64::from(alpha) * z.exp() })
            }
            Activation::Gelu => {
                let cdf = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
                let term = z * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
                [cdf + term, cdf + term.abs()]
            }
            Activation::GeluTanh => {
                let slope = 2.0 * SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * z * z);
                gated(2.0 * SQRT_2_OVER_PI * (z + GELU_CUBIC * z.powi(3)), slope)
            }
            Activation::Silu => gated(z, 1.0),
            Activation::Sigmoid => one(0.25 / (0.5 * z).cosh().powi(2)),
            Activation::Tanh => one(1.0 / z.cosh().powi(2)),
            Activation::Softplus => one(1.0 / (1.0 + (-z).exp())),
            Activation::Sine { omega0 } => {
                let omega0 = f64::from(omega0);
                [omega0 * (omega0 * z).cos(), omega0]
            }
        }
    }

    /// Where an activation saturates its derivative is small, but has its digits: what an optimizer that
    /// divides by the size of the gradient goes by.
    #[test]
    fn derivatives_keep_their_digits_where_activations_saturate() {
        let unit = f64::from(f32::EPSILON) / 2.0;
        let grid = (0..=1600_u16).map(|i| f32::from(i) / 10.0 - 80.0);
        for &a in Activation::ALL {
            for z in grid.clone() {
                let kept = if a.keeps_preactivation() { z } else { a.apply(z) };
                let got = f64::from(a.derivative(kept));
                let [want, terms] = exact_derivative(a, f64::from(z));
                // Exponentials, their sums and quotients, and the polynomial of Φ: 32 roundings. Arguments are
                // rounded: ω₀z, z²/2, and six times the cubic one of GELU's tanh form.
                let z = f64::from(z);
                let argument = match a {
                    Activation::Sine { omega0 } => 2.0 * (f64::from(omega0) * z).abs(),
                    Activation::Gelu => z * z,
                    Activation::GeluTanh => 12.0 * (z.abs() + GELU_CUBIC * z.abs().powi(3)),
                    _ => 0.0,
                };
                // σ is 0 where e⁻ᶻ overflows, before it would be by itself; a factor of up to a thousand follows.
                let least = 1e3 * f64::from(f32::MIN_POSITIVE);
                let bound = unit * (32.0 + argument) * terms + least;
                let error = (got - want).abs();
                assert!(error <= bound, "{a}′({z}) = {got:e}, not {want:e}: {error:e} > {bound:e}");
            }
        }
    }

    #[test]
    fn extreme_arguments_stay_finite_and_nan_stays_nan() {
        for &a in Activation::ALL {
            for z in [-1e4_f32, 1e4] {
                assert!(a.apply(z).is_finite(), "{a} at {z}: {}", a.apply(z));
                let kept = if a.keeps_preactivation() { z } else { a.apply(z) };
                assert!(a.derivative(kept).is_finite(), "{a}′ at {z}");
            }
            assert!(a.apply(f32::NAN).is_nan(), "{a} hides NaN");
        }
    }

    #[test]
    fn names_round_trip() {
        for &a in Activation::ALL {
            assert_eq!(a.name().parse::<Activation>().unwrap(), a);
            assert_eq!(a.to_string().parse::<Activation>().unwrap(), a);
        }
        let leaky: Activation = "leaky_relu(0.2)".parse().unwrap();
        assert_eq!(leaky, Activation::LeakyRelu { slope: 0.2 });
        for bad in ["", "rel", "relu(1)", "elu(", "elu(x)", "sine(1"] {
            assert!(bad.parse::<Activation>().is_err(), "{bad} was taken");
        }
    }
}
