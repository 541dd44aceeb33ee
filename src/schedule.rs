//! The learning rate as a function of the step.
//!
//! A [`Schedule`] gives a factor on the optimizer's learning rate. Curves such as
//! [`Cosine`](Schedule::Cosine) stretch over the whole run; a [`Sequence`](Schedule::Sequence) gives
//! each of its [pieces](Piece) a length, and each piece sees its part as a run of its own. So a
//! warm-up is a [`Linear`](Schedule::Linear) piece in front, and a trapezoid is three pieces.
//! [`Plateau`] adds what a function of the step can't know: a loss that has stopped falling.

mod arguments;
mod plateau;
mod span;
mod text;

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use plateau::{Mode, Plateau, PlateauState, ThresholdMode};
use span::real;
pub use span::{Run, Span};

/// A factor on the optimizer's learning rate that depends on nothing but the step.
///
/// t is the number of steps done, T the steps of the run; in a sequence, of the piece. Curves that
/// end at T stay there. PyTorch's counterpart is named where there is one, stepped once a batch.
/// The text form is described at its [`FromStr`](#impl-FromStr-for-Schedule).
///
/// ```
/// use wgrad::Schedule;
/// use wgrad::schedule::Run;
///
/// let run = Run::new(10, 10);
/// let cosine = Schedule::Cosine { floor: 0.0 };
/// assert_eq!(cosine.factor(0, &run), 1.0);
/// assert!((cosine.factor(50, &run) - 0.5).abs() < 1e-12);
///
/// let trapezoid: Schedule = "warmup:10%+constant+linear:2e".parse()?;
/// assert_eq!([0, 5, 10, 79, 90].map(|step| trapezoid.factor(step, &run)), [0.0, 0.5, 1.0, 1.0, 0.5]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// 1.
    #[default]
    Constant,
    /// factor^⌊t/every⌋ (`StepLR`).
    Step {
        /// Length of a stair, at least a step.
        every: Span,
        /// What each stair multiplies by, positive. PyTorch's default is 0.1.
        factor: f64,
    },
    /// 1, and from each position on the factor beside it (`MultiStepLR` with the products written
    /// out; `ConstantLR`).
    Piecewise {
        /// Positions in ascending order, each with its factor, which is not negative.
        values: Vec<(Span, f64)>,
    },
    /// factor^(t/every), without stairs (`ExponentialLR`, where `every` is 1 step).
    Exponential {
        /// What each `every` multiplies by, positive; above 1 it grows.
        factor: f64,
        /// Length over which the factor is reached, at least a step.
        every: Span,
    },
    /// from + (to − from)·t/T (`LinearLR`).
    Linear {
        /// Factor at the beginning, not negative.
        from: f64,
        /// Factor at the end, not negative.
        to: f64,
    },
    /// floor + (1 − floor)·(1 − t/T)^power (`PolynomialLR`, where `floor` is 0).
    Polynomial {
        /// Exponent, positive. PyTorch's default is 1.
        power: f64,
        /// What is left of the learning rate at the end, in 0.0..=1.0. Default: 0.
        #[serde(default)]
        floor: f64,
    },
    /// floor + (1 − floor)·(1 + cos(πt/T))/2 (Loshchilov and Hutter 2017; `CosineAnnealingLR`).
    Cosine {
        /// What is left of the learning rate at the end, in 0.0..=1.0. Default: 0.
        #[serde(default)]
        floor: f64,
    },
    /// The cosine over and over: the first time in `period`, each time `multiplier` times as long
    /// (SGDR: Loshchilov and Hutter 2017; `CosineAnnealingWarmRestarts`).
    CosineRestarts {
        /// Length of the first fall, at least a step.
        period: Span,
        /// What each further fall is longer by, at least 1. PyTorch's default is 1.
        multiplier: u32,
        /// What is left of the learning rate before a restart, in 0.0..=1.0. Default: 0.
        #[serde(default)]
        floor: f64,
    },
    /// √(reference/(reference + t)). Behind a linear warm-up from 0 over `reference` it is the
    /// transformer's schedule (Vaswani et al. 2017).
    InverseSqrt {
        /// Length in which the learning rate falls to 1/√2, at least a step.
        reference: Span,
    },
    /// From `peak/div_factor` up to `peak`, and down to `peak/(div_factor·final_div_factor)` at the
    /// last step (Smith and Topin 2019; `OneCycleLR`, whose `max_lr` is peak times the optimizer's
    /// learning rate, without its momentum and its third phase).
    OneCycle {
        /// Factor at the top, positive. 1 in text where it isn't given.
        peak: f64,
        /// What the top is divided by for the start, positive. PyTorch's default is 25.
        div_factor: f64,
        /// What the start is divided by for the end, positive. PyTorch's default is 10,000.
        final_div_factor: f64,
        /// Length of the way up. PyTorch's default is 30 %; what it makes of it isn't rounded to
        /// whole steps, but differs by less than one.
        warmup: Span,
        /// The way from one to the next. PyTorch's default is the cosine.
        anneal: Anneal,
    },
    /// One after another (`SequentialLR`). Each piece counts its steps from its own beginning; the
    /// last goes on if all of them together are shorter than the run.
    Sequence(
        /// At least one, none of them a sequence; one at most takes the rest of the run.
        Vec<Piece>,
    ),
}

/// A part of a [`Schedule::Sequence`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// What happens in it.
    pub schedule: Schedule,
    /// How long it lasts. Default: what the others leave of the run, be they before it or behind.
    #[serde(default)]
    pub length: Span,
}

/// The curve between two learning rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anneal {
    /// Half a cosine.
    #[default]
    Cos,
    /// A straight line.
    Linear,
}

impl Schedule {
    /// The factor for the step that has `step` steps before it.
    #[must_use]
    pub fn factor(&self, step: u64, run: &Run) -> f64 {
        let progress = progress(step, run.steps);
        // What is rounded to whole steps may come to none.
        let unit = |span: &Span| span.steps(run).max(1);
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => factor.powf(real(step / unit(every))),
            Self::Piecewise { values } => values
                .iter()
                .rev()
                .find(|(position, _)| position.steps(run) <= step)
                .map_or(1.0, |&(_, factor)| factor),
            Self::Exponential { factor, every } => factor.powf(real(step) / real(unit(every))),
            Self::Linear { from, to } => mix(*from, *to, progress),
            Self::Polynomial { power, floor } => mix(*floor, 1.0, (1.0 - progress).powf(*power)),
            Self::Cosine { floor } => mix(*floor, 1.0, half_cosine(step, run.steps)),
            Self::CosineRestarts { period, multiplier, floor } => {
                let (done, length) = fall(step, unit(period), u64::from(*multiplier));
                mix(*floor, 1.0, half_cosine(done, length))
            }
            Self::InverseSqrt { reference } => {
                let reference = real(unit(reference));
                (reference / (reference + real(step))).sqrt()
            }
            Self::OneCycle { peak, div_factor, final_div_factor, warmup, anneal } => {
                let start = peak / div_factor;
                // The top is the last step of the way up, the end the last step of the run.
                let top = warmup.steps(run).min(run.steps).saturating_sub(1);
                let down = run.steps.saturating_sub(top + 1);
                if step >= run.steps {
                    start / final_div_factor
                } else if step <= top {
                    anneal.between(*peak, start, step, top)
                } else {
                    anneal.between(start / final_div_factor, *peak, step - top, down)
                }
            }
            Self::Sequence(pieces) => in_sequence(pieces, step, run),
        }
    }

    /// Pieces of a sequence that have no step in a run: those before them take it all, or they are rounded
    /// to none. (If it is the last, the rest of the run has the learning rate of its end.)
    ///
    /// ```
    /// use wgrad::Schedule;
    /// use wgrad::schedule::Run;
    /// let schedule: Schedule = "warmup:5e+cosine".parse()?;
    /// assert!(schedule.unreached(&Run::new(10, 40)).is_empty());
    /// assert_eq!(schedule.unreached(&Run::new(5, 40))[0].schedule, Schedule::Cosine { floor: 0.0 });
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    pub fn unreached(&self, run: &Run) -> Vec<&Piece> {
        let Self::Sequence(pieces) = self else { return Vec::new() };
        let mut first = 0_u64;
        let has_no_step = |(piece, steps): (_, u64)| {
            let last = first.saturating_add(steps).min(run.steps);
            let is_reached = last > first;
            first = last;
            (!is_reached).then_some(piece)
        };
        pieces.iter().zip(lengths(pieces, run)).filter_map(has_no_step).collect()
    }

    /// Whether a factor depends on the length of the run.
    pub(crate) fn needs_length(&self) -> bool {
        let stretches = |span: &Span| matches!(span, Span::Percent(_) | Span::Rest);
        match self {
            Self::Constant => false,
            Self::Step { every: span, .. }
            | Self::Exponential { every: span, .. }
            | Self::CosineRestarts { period: span, .. }
            | Self::InverseSqrt { reference: span } => stretches(span),
            Self::Piecewise { values } => values.iter().any(|(position, _)| stretches(position)),
            Self::Linear { .. }
            | Self::Polynomial { .. }
            | Self::Cosine { .. }
            | Self::OneCycle { .. } => true,
            // A piece of a fixed length is a run of its own.
            Self::Sequence(pieces) => pieces.iter().any(|piece| match piece.length {
                Span::Rest => piece.schedule.needs_length(),
                length => stretches(&length),
            }),
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Option`] names the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Constant => Ok(()),
            Self::Step { every, factor } => {
                every.validate("step's every", true)?;
                positive("step's factor", *factor)
            }
            Self::Piecewise { values } if values.is_empty() => {
                refused("piecewise's values", "none", "one position with its factor or more")
            }
            Self::Piecewise { values } => values.iter().enumerate().try_for_each(|(i, value)| {
                value.0.validate("piecewise's position", false)?;
                not_negative("piecewise's factor", value.1)?;
                let before = i.checked_sub(1).map(|i| values[i].0);
                if before.is_some_and(|before| !ascending(before, value.0)) {
                    return refused("piecewise's position", value.0, "behind the one before it");
                }
                Ok(())
            }),
            Self::Exponential { factor, every } => {
                positive("exponential's factor", *factor)?;
                every.validate("exponential's every", true)
            }
            Self::Linear { from, to } => {
                not_negative("linear's from", *from)?;
                not_negative("linear's to", *to)
            }
            Self::Polynomial { power, floor } => {
                positive("polynomial's power", *power)?;
                share("polynomial's floor", *floor)
            }
            Self::Cosine { floor } => share("cosine's floor", *floor),
            Self::CosineRestarts { period, multiplier, floor } => {
                period.validate("cosine_restarts' period", true)?;
                if *multiplier == 0 {
                    return refused("cosine_restarts' multiplier", 0, "at least 1");
                }
                share("cosine_restarts' floor", *floor)
            }
            Self::InverseSqrt { reference } => reference.validate("inverse_sqrt's reference", true),
            Self::OneCycle { peak, div_factor, final_div_factor, warmup, .. } => {
                positive("one_cycle's peak", *peak)?;
                positive("one_cycle's div_factor", *div_factor)?;
                positive("one_cycle's final_div_factor", *final_div_factor)?;
                warmup.validate("one_cycle's warmup", false)
            }
            Self::Sequence(pieces) => validate_sequence(pieces),
        }
    }
}

impl Anneal {
    /// From `start` to `end`, `done` steps of `length` on the way.
    fn between(self, end: f64, start: f64, done: u64, length: u64) -> f64 {
        let left = match self {
            Self::Cos => half_cosine(done, length),
            Self::Linear => 1.0 - progress(done, length),
        };
        mix(end, start, left)
    }
}

/// `a` at weight 0, `b` at 1: both exactly, which a + weight·(b − a) isn't.
fn mix(a: f64, b: f64, weight: f64) -> f64 {
    a * (1.0 - weight) + b * weight
}

/// t/T, 1 beyond the end. What has no length is at its end.
fn progress(step: u64, steps: u64) -> f64 {
    if step < steps { real(step) / real(steps) } else { 1.0 }
}

/// (1 + cos(πt/T))/2, written as sin²(π/2·(T − t)/T): 1 + cos cancels near the end, where a
/// relative error of the learning rate is an error all the same.
fn half_cosine(step: u64, steps: u64) -> f64 {
    let left = real(steps.saturating_sub(step)) / real(steps.max(1));
    (FRAC_PI_2 * left).sin().powi(2)
}

/// Steps done of the fall that `step` lies in, and its length.
fn fall(step: u64, period: u64, multiplier: u64) -> (u64, u64) {
    if multiplier <= 1 {
        return (step % period, period);
    }
    // Lengths at least double, so there are at most 64 of them.
    let (mut done, mut length) = (step, period);
    while done >= length {
        done -= length;
        length = length.saturating_mul(multiplier);
    }
    (done, length)
}

/// Steps of each piece of a sequence.
fn lengths(pieces: &[Piece], run: &Run) -> impl Iterator<Item = u64> {
    let given = |piece: &Piece| match piece.length {
        Span::Rest => 0,
        length => length.steps(run),
    };
    let rest = pieces.iter().map(given).fold(run.steps, u64::saturating_sub);
    pieces.iter().map(move |piece| if piece.length == Span::Rest { rest } else { given(piece) })
}

fn in_sequence(pieces: &[Piece], step: u64, run: &Run) -> f64 {
    let mut local = step;
    for (i, (piece, steps)) in pieces.iter().zip(lengths(pieces, run)).enumerate() {
        if local < steps || i + 1 == pieces.len() {
            return piece.schedule.factor(local, &Run { steps, ..*run });
        }
        local -= steps;
    }
    1.0
}

fn validate_sequence(pieces: &[Piece]) -> Result<()> {
    if pieces.is_empty() {
        return refused("sequence", "empty", "one piece or more");
    }
    let rests = pieces.iter().filter(|piece| piece.length == Span::Rest).count();
    if rests > 1 {
        return refused(
            "pieces without a length",
            rests,
            "at most 1, which takes the rest of the run (as in constant:10e+cosine)",
        );
    }
    pieces.iter().try_for_each(|piece| {
        piece.length.validate("length of a piece", false)?;
        match piece.schedule {
            Schedule::Sequence(_) => {
                refused("piece of a sequence", "a sequence", "a single schedule (list all pieces)")
            }
            _ => piece.schedule.validate(),
        }
    })
}

/// Whether `b` may follow `a`. What is given in different units is known only in a run, where the
/// last position that is reached counts.
fn ascending(a: Span, b: Span) -> bool {
    match (a, b) {
        (Span::Steps(a), Span::Steps(b)) => a < b,
        (Span::Epochs(a), Span::Epochs(b)) | (Span::Percent(a), Span::Percent(b)) => a < b,
        _ => a != Span::Rest,
    }
}

fn refused(
    name: &'static str,
    value: impl std::fmt::Display,
    expected: &'static str,
) -> Result<()> {
    Err(Error::Option { name, value: value.to_string(), expected })
}

/// Written so that NaN is refused, as below.
fn positive(name: &'static str, x: f64) -> Result<()> {
    if x > 0.0 && x.is_finite() { Ok(()) } else { refused(name, x, "finite and positive") }
}

fn not_negative(name: &'static str, x: f64) -> Result<()> {
    if x >= 0.0 && x.is_finite() { Ok(()) } else { refused(name, x, "finite and not negative") }
}

fn share(name: &'static str, x: f64) -> Result<()> {
    if (0.0..=1.0).contains(&x) { Ok(()) } else { refused(name, x, "in 0..=1") }
}
