//! Lengths and positions in a run.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a schedule knows of the run besides the step.
///
/// ```
/// use wgrad::schedule::Run;
/// assert_eq!(Run::new(10, 40).steps, 400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Optimizer steps in all.
    pub steps: u64,
    /// Optimizer steps an epoch.
    pub steps_per_epoch: u64,
}

impl Run {
    /// A run of whole epochs.
    #[must_use]
    pub const fn new(epochs: u64, steps_per_epoch: u64) -> Self {
        Self { steps: epochs.saturating_mul(steps_per_epoch), steps_per_epoch }
    }
}

/// A length, or a position counted from the beginning. Rounded to whole steps.
///
/// ```
/// use wgrad::schedule::{Run, Span};
/// let run = Run::new(10, 40);
/// assert_eq!(Span::Epochs(2.5).steps(&run), 100);
/// assert_eq!(Span::Percent(10.0).steps(&run), 40);
/// assert_eq!("5e".parse::<Span>()?, Span::Epochs(5.0));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Span {
    /// Optimizer steps: `100`.
    Steps(u64),
    /// Epochs, finite and not negative: `5e`, `0.5e`.
    Epochs(f64),
    /// Percent of the run, 0 to 100: `10%`. Inside a sequence: of the sequence's run, for the
    /// lengths of the pieces; of the piece, for what a piece says of itself.
    Percent(f64),
    /// As the length of a piece, what the others leave of the run; elsewhere all of it: `rest`.
    #[default]
    Rest,
}

impl Span {
    /// In steps of a run.
    #[must_use]
    pub fn steps(self, run: &Run) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => whole(epochs * real(run.steps_per_epoch)),
            Self::Percent(percent) => whole(percent / 100.0 * real(run.steps)),
            Self::Rest => run.steps,
        }
    }

    /// Checks the range; a span that is divided by must be `positive`.
    pub(super) fn validate(self, name: &'static str, positive: bool) -> Result<()> {
        let refused = |expected| Err(Error::Option { name, value: self.to_string(), expected });
        let number = match self {
            Self::Steps(steps) => real(steps),
            Self::Epochs(number) | Self::Percent(number) => number,
            Self::Rest => return Ok(()),
        };
        match self {
            Self::Percent(percent) if !(0.0..=100.0).contains(&percent) => refused("0% to 100%"),
            _ if !(number >= 0.0 && number.is_finite()) => refused("finite and not negative"),
            _ if positive && number == 0.0 => refused("longer than 0"),
            _ => Ok(()),
        }
    }
}

/// Rounded; what doesn't fit becomes the nearest number that does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
fn whole(x: f64) -> u64 {
    x.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2⁵²")]
pub(super) fn real(steps: u64) -> f64 {
    steps as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_steps_and_saturate() {
        let run = Run::new(10, 10);
        // In f64 1.1·10 is a little more than 11.
        assert_eq!(Span::Epochs(1.1).steps(&run), 11);
        assert_eq!(Span::Percent(7.0).steps(&run), 7);
        assert_eq!(Span::Rest.steps(&run), 100);
        assert_eq!(Span::Epochs(1e300).steps(&run), u64::MAX);
        assert_eq!(Run::new(u64::MAX, 2).steps, u64::MAX);
    }

    #[test]
    fn spans_out_of_range_are_refused() {
        for span in [
            Span::Epochs(-1.0),
            Span::Epochs(f64::NAN),
            Span::Epochs(f64::INFINITY),
            Span::Percent(101.0),
            Span::Percent(-0.5),
            Span::Percent(f64::NAN),
        ] {
            assert!(span.validate("length", false).is_err(), "{span:?}");
        }
        assert!(Span::Steps(0).validate("every", true).is_err());
        assert!(Span::Steps(0).validate("length", false).is_ok());
        assert!(Span::Percent(100.0).validate("length", true).is_ok());
    }
}
