//! Input encodings: what neural graphics puts in front of a net.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::real::Real;

/// A fixed function that widens each input x to several values, so that a small net can tell close
/// inputs apart. It is a net's first layer, or not there; it has no parameters.
///
/// Encoded values of an input are adjacent: with V of them ([`values`](Self::values)), column
/// V·i + v of the output is value v of input i. That is NeRF's order, and tiny-cuda-nn's.
///
/// Waves are computed from 2ᵏx mod 2, which f32 has exactly, so they are within a few ULP at every
/// octave and for inputs of any size. The values of NaN are NaN; of infinite inputs too, but those of
/// a one-blob are 0.
///
/// ```
/// use wgrad::{Activation, Encoding, Mlp};
/// let mlp = Mlp::new(2).encoding(Encoding::frequency(6)).linear(64).activation(Activation::Relu).linear(3);
/// assert_eq!(mlp.to_string(), "2-freq6-64-relu-3");
/// assert_eq!(Encoding::frequency(6).values(), 12);
/// assert_eq!("blob16".parse::<Encoding>()?, Encoding::one_blob(16));
/// // sin(4π/8) and cos(4π/8).
/// assert_eq!(Encoding::frequency(6).apply(0.125_f64, 4), 1.0);
/// assert_eq!(Encoding::frequency(6).apply(0.125_f64, 5), 0.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Encoding {
    /// Values 2k and 2k + 1 are sin(2ᵏπx) and cos(2ᵏπx) (NeRF: Mildenhall et al. 2020, equation 4;
    /// tiny-cuda-nn's `Frequency`).
    Frequency {
        /// How many k count from 0, in 1..=24.
        octaves: u32,
    },
    /// Value j is exp(−(j + ½ − Bx)²/2) of B bins: a Gaussian of deviation 1/B around x, read at the
    /// bins' centres (Müller et al. 2019, "Neural Importance Sampling", section 4.3).
    ///
    /// For x in [0, 1]; further than some bins outside of it all values are 0, and so is the
    /// derivative. Without the density's factor B/√2π the largest value is about 1 for any B, which
    /// suits the initial values of the layer behind. tiny-cuda-nn's `OneBlob` differs: it integrates a
    /// quartic kernel over each bin and lets it wrap around at 0 and 1.
    OneBlob {
        /// B, in 1..=4096. The paper's is 32.
        bins: u32,
    },
    /// Value k is 4·|t − ⌊t⌋ − ½| − 1 with t = 2ᵏx/2 + k/4: a wave of triangles between −1 and 1, with
    /// the period of cos(2ᵏπx) and shifted by a quarter of it from octave to octave (tiny-cuda-nn's
    /// `TriangleWave`).
    ///
    /// It stands in for [`Frequency`](Self::Frequency) at half the values ("Real-time Neural Radiance
    /// Caching", Müller et al. 2021, has the waves without the shifts). At a kink the derivative is
    /// that to the right.
    TriangleWave {
        /// How many k count from 0, in 1..=24.
        octaves: u32,
    },
}

impl Encoding {
    /// Most octaves of a wave. Numbers from ½ to 1 are multiples of 2⁻²⁴ in f32: of the 25th octave
    /// they would all be at multiples of half a period, where every sine is 0.
    pub const MAX_OCTAVES: u32 = 24;
    /// Most bins of a one-blob. A rounding of x near 1 then moves a value by up to 1.5e-4.
    pub const MAX_BINS: u32 = 4096;

    /// Sines and cosines of so many octaves.
    #[must_use]
    pub const fn frequency(octaves: u32) -> Self {
        Self::Frequency { octaves }
    }

    /// A Gaussian over so many bins.
    #[must_use]
    pub const fn one_blob(bins: u32) -> Self {
        Self::OneBlob { bins }
    }

    /// Triangle waves of so many octaves.
    #[must_use]
    pub const fn triangle_wave(octaves: u32) -> Self {
        Self::TriangleWave { octaves }
    }

    /// Encoded values of an input.
    #[must_use]
    pub const fn values(self) -> usize {
        match self {
            Self::Frequency { octaves } => 2 * octaves as usize,
            Self::OneBlob { bins } => bins as usize,
            Self::TriangleWave { octaves } => octaves as usize,
        }
    }

    /// Value number `value`, below [`values`](Self::values), of an input.
    #[must_use]
    #[inline(always)]
    pub fn apply<T: Real>(self, x: T, value: u32) -> T {
        match self {
            Self::Frequency { .. } => {
                let (octave, quarters) = wave(value);
                angle(place(x, octave), quarters).sin_pi()
            }
            Self::OneBlob { bins } => gaussian(distance(x, bins, value)),
            Self::TriangleWave { .. } => T::from_f64(2.0) * angle(place(x, value), value % 4),
        }
    }

    /// The derivative of [`apply`](Self::apply) by x.
    #[must_use]
    #[inline(always)]
    pub fn derivative<T: Real>(self, x: T, value: u32) -> T {
        match self {
            // cos′(πr) = π·cos(π(r + ½)).
            Self::Frequency { .. } => {
                let (octave, quarters) = wave(value);
                let next = angle(place(x, octave), (quarters + 1) % 4).sin_pi();
                power_of_two::<T>(octave) * T::from_f64(std::f64::consts::PI) * next
            }
            Self::OneBlob { bins } => {
                let z = distance(x, bins, value);
                T::from_f64(f64::from(bins)) * (z * gaussian(z))
            }
            Self::TriangleWave { .. } => {
                power_of_two::<T>(value) * slope(place(x, value), value % 4)
            }
        }
    }

    /// The value of `ENCODING` in `shaders/encoding.wgsl`.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Frequency { .. } => 0,
            Self::OneBlob { .. } => 1,
            Self::TriangleWave { .. } => 2,
        }
    }

    /// What the text form starts with, and the number behind it.
    const fn parts(self) -> (&'static str, u32) {
        match self {
            Self::Frequency { octaves } => ("freq", octaves),
            Self::OneBlob { bins } => ("blob", bins),
            Self::TriangleWave { octaves } => ("tri", octaves),
        }
    }

    /// What its number counts, and the most of it.
    const fn limit(self) -> (&'static str, u32) {
        match self {
            Self::Frequency { .. } | Self::TriangleWave { .. } => ("octaves", Self::MAX_OCTAVES),
            Self::OneBlob { .. } => ("bins", Self::MAX_BINS),
        }
    }

    /// Checks the parameter's range.
    pub(crate) fn validate(self, layer: usize) -> Result<()> {
        let ((name, number), (what, most)) = (self.parts(), self.limit());
        if (1..=most).contains(&number) {
            return Ok(());
        }
        let problem = format!("{name}'s {what} are {number}, but must lie in 1..={most}");
        Err(Error::Model { layer, problem })
    }
}

impl std::fmt::Display for Encoding {
    /// Short, as in the description of a net: `freq8`, `blob16`, `tri8`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, number) = self.parts();
        write!(f, "{name}{number}")
    }
}

impl std::str::FromStr for Encoding {
    type Err = Error;

    /// Takes what [`Display`](std::fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self> {
        let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (name, number) = text.split_at(digits);
        let number = number.parse().ok();
        let found = number.and_then(|number| match name {
            "freq" => Some(Self::frequency(number)),
            "blob" => Some(Self::one_blob(number)),
            "tri" => Some(Self::triangle_wave(number)),
            _ => None,
        });
        found.filter(|encoding| encoding.validate(0).is_ok()).ok_or_else(|| Error::Option {
            name: "encoding",
            value: format!("\"{text}\""),
            expected: "one of freq1 to freq24 (octaves), blob1 to blob4096 (bins), tri1 to tri24 \
                       (octaves)",
        })
    }
}

/// The octave of a value of `Frequency`, and the quarters of a period by which it is ahead of the
/// cosine: three for a sine.
#[inline(always)]
const fn wave(value: u32) -> (u32, u32) {
    (value / 2, if value % 2 == 1 { 0 } else { 3 })
}

/// 2ᵏ for k ≤ 127.
#[inline(always)]
fn power_of_two<T: Real>(k: u32) -> T {
    T::from_f32(f32::from_bits((127 + k) << 23))
}

/// t mod 2, in [−1, 1]. Exact: half of t and its nearest integer are, and the difference is a
/// multiple of t's last place and smaller than t or equal to it.
#[inline(always)]
fn mod_2<T: Real>(t: T) -> T {
    t - T::from_f64(2.0) * (T::from_f64(0.5) * t).round_ties_even()
}

/// 2ᵏx mod 2, in [−1, 1]: where x is in the wave of octave k, in half periods from a crest of its
/// cosine. Taken of x first, so that 2ᵏ can't overflow.
#[inline(always)]
fn place<T: Real>(x: T, octave: u32) -> T {
    mod_2(power_of_two::<T>(octave) * mod_2(x))
}

/// The a in [−½, ½] for which sin πa = cos π(r + quarters/2), for r in [−1, 1] and quarters below 4.
///
/// Exact but for a rounding of ½ − |r| where |r| < ¼, and a sine is flat where that goes.
#[inline(always)]
fn angle<T: Real>(r: T, quarters: u32) -> T {
    let half = T::from_f64(0.5);
    let folded = if r > half {
        T::ONE - r
    } else if r < -half {
        -T::ONE - r
    } else {
        r
    };
    let a = if quarters % 2 == 1 { folded } else { half - r.abs() };
    if is_negative(quarters) { -a } else { a }
}

/// dA/dr of A = 2·[`angle`], to the right of a kink: 2 or −2.
#[inline(always)]
fn slope<T: Real>(r: T, quarters: u32) -> T {
    let half = T::from_f64(0.5);
    let rises = if quarters % 2 == 1 { -half <= r && r < half } else { r < T::ZERO || r >= T::ONE };
    T::from_f64(if rises == is_negative(quarters) { -2.0 } else { 2.0 })
}

/// Whether cos π(r + quarters/2) is −sin πr or −cos πr.
#[inline(always)]
const fn is_negative(quarters: u32) -> bool {
    quarters == 1 || quarters == 2
}

/// From x to the centre of a bin, in bins.
#[inline(always)]
fn distance<T: Real>(x: T, bins: u32, bin: u32) -> T {
    T::from_f64(f64::from(bin) + 0.5) - T::from_f64(f64::from(bins)) * x
}

/// exp(−z²/2).
#[inline(always)]
fn gaussian<T: Real>(z: T) -> T {
    (T::from_f64(-0.5) * z * z).exp()
}

#[cfg(test)]
mod tests;
