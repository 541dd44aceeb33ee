//! Schedules as they are typed: `warmup:5e+cosine:floor=0.01`.

use std::fmt;
use std::str::FromStr;

use super::arguments::{Arguments, Source, number};
use super::{Anneal, Mode, Piece, Plateau, Schedule, Span, ThresholdMode};
use crate::error::{Error, Result};

/// Names, each as it may be typed.
const FORMS: &[(&str, &str)] = &[
    ("constant", "constant"),
    ("step", "step:30e,factor=0.1"),
    ("piecewise", "piecewise:30e=0.1,60e=0.01"),
    ("exponential", "exponential:0.95,every=1e"),
    ("linear", "linear:10e,from=1,to=0.1"),
    ("polynomial", "polynomial:power=2"),
    ("cosine", "cosine:floor=0.01"),
    ("cosine_restarts", "cosine_restarts:10e,multiplier=2"),
    ("inverse_sqrt", "inverse_sqrt:4000"),
    ("one_cycle", "one_cycle:warmup=30%"),
    ("warmup", "warmup:5e,from=0.1"),
];

const ANNEALS: &[(&str, Anneal)] = &[("cos", Anneal::Cos), ("linear", Anneal::Linear)];
const MODES: &[(&str, Mode)] = &[("min", Mode::Min), ("max", Mode::Max)];
const THRESHOLD_MODES: &[(&str, ThresholdMode)] =
    &[("rel", ThresholdMode::Rel), ("abs", ThresholdMode::Abs)];

impl FromStr for Schedule {
    type Err = Error;

    /// Reads pieces joined by `+`, each a name with arguments: `name:value,key=value,…`. The first
    /// argument may go without its key; the others may stand in any order. Keys are the fields'
    /// names; `for` is the length of the piece.
    ///
    /// | text | schedule, and what it is without its arguments |
    /// |---|---|
    /// | `constant:FOR` | 1 |
    /// | `step:EVERY,factor=0.1` | [`Step`](Schedule::Step) |
    /// | `piecewise:30e=0.1,60e=0.01` | [`Piecewise`](Schedule::Piecewise): positions with their factors |
    /// | `exponential:FACTOR,every=1e` | [`Exponential`](Schedule::Exponential) |
    /// | `linear:FOR,from=1,to=0` | [`Linear`](Schedule::Linear) |
    /// | `polynomial:FOR,power=1,floor=0` | [`Polynomial`](Schedule::Polynomial) |
    /// | `cosine:FOR,floor=0` | [`Cosine`](Schedule::Cosine) |
    /// | `cosine_restarts:PERIOD,multiplier=1,floor=0` | [`CosineRestarts`](Schedule::CosineRestarts) |
    /// | `inverse_sqrt:REFERENCE` | [`InverseSqrt`](Schedule::InverseSqrt) |
    /// | `one_cycle:FOR,peak=1,div_factor=25,final_div_factor=10000,warmup=30%,anneal=cos` | [`OneCycle`](Schedule::OneCycle) |
    /// | `warmup:FOR,from=0` | [`Linear`](Schedule::Linear) up to 1 |
    ///
    /// Lengths and positions are [`Span`]s: `100` (steps), `5e` (epochs), `10%` (of the run), `rest`.
    /// A piece without a length takes what the others leave of the run; one at most may. Pieces are
    /// taken to the letter: what follows `linear:10e,to=0.1` doesn't start at 0.1.
    ///
    /// ```
    /// # use wgrad::Schedule;
    /// let schedule: Schedule = "warmup:5e + constant + cosine:20%".parse()?;
    /// assert_eq!(schedule.to_string(), "warmup:5e+constant+cosine:20%");
    /// let error = "warmup:5e+cosin".parse::<Schedule>().unwrap_err().to_string();
    /// assert_eq!(
    ///     error,
    ///     "schedule \"warmup:5e+cosin\", character 11: no schedule is called \"cosin\"; \
    ///      did you mean cosine?"
    /// );
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Text`] says where the text can't be understood, [`Error::Option`] which number is
    /// out of range.
    fn from_str(text: &str) -> Result<Self> {
        let source = Source::new("schedule", text)?;
        let mut pieces =
            text.split('+').map(|text| piece(source, text)).collect::<Result<Vec<_>>>()?;
        let schedule = match &mut pieces[..] {
            [(schedule, None)] => std::mem::take(schedule),
            _ => Self::Sequence(
                pieces
                    .into_iter()
                    .map(|(schedule, length)| Piece {
                        schedule,
                        length: length.unwrap_or_default(),
                    })
                    .collect(),
            ),
        };
        schedule.validate()?;
        Ok(schedule)
    }
}

/// A piece and, if it was given, its length.
fn piece<'a>(source: Source<'a>, text: &'a str) -> Result<(Schedule, Option<Span>)> {
    let mut given = Arguments::new(source, text)?;
    let name = given.name(FORMS)?;
    given.bare(match name {
        "step" => "every",
        "exponential" => "factor",
        "cosine_restarts" => "period",
        "inverse_sqrt" => "reference",
        "piecewise" => "",
        _ => "for",
    });
    let length = given.span("for")?;
    let floor = |given: &mut Arguments<'_>| Ok::<_, Error>(given.number("floor")?.unwrap_or(0.0));
    let schedule = match name {
        "step" => {
            let every = given.span("every")?;
            let every = given.required("every", every)?;
            Schedule::Step { every, factor: given.number("factor")?.unwrap_or(0.1) }
        }
        "piecewise" => {
            let values = given.positions()?;
            let some = (!values.is_empty()).then_some(values);
            Schedule::Piecewise { values: given.required("a position", some)? }
        }
        "exponential" => {
            let factor = given.number("factor")?;
            let factor = given.required("factor", factor)?;
            Schedule::Exponential { factor, every: given.span("every")?.unwrap_or(EPOCH) }
        }
        "linear" => Schedule::Linear {
            from: given.number("from")?.unwrap_or(1.0),
            to: given.number("to")?.unwrap_or(0.0),
        },
        "warmup" => Schedule::Linear { from: given.number("from")?.unwrap_or(0.0), to: 1.0 },
        "polynomial" => Schedule::Polynomial {
            power: given.number("power")?.unwrap_or(1.0),
            floor: floor(&mut given)?,
        },
        "cosine" => Schedule::Cosine { floor: floor(&mut given)? },
        "cosine_restarts" => {
            let period = given.span("period")?;
            Schedule::CosineRestarts {
                period: given.required("period", period)?,
                multiplier: given.whole("multiplier")?.unwrap_or(1),
                floor: floor(&mut given)?,
            }
        }
        "inverse_sqrt" => {
            let reference = given.span("reference")?;
            Schedule::InverseSqrt { reference: given.required("reference", reference)? }
        }
        "one_cycle" => Schedule::OneCycle {
            peak: given.number("peak")?.unwrap_or(1.0),
            div_factor: given.number("div_factor")?.unwrap_or(25.0),
            final_div_factor: given.number("final_div_factor")?.unwrap_or(1e4),
            warmup: given.span("warmup")?.unwrap_or(ONE_CYCLE_WARMUP),
            anneal: given.choice("anneal", ANNEALS)?.unwrap_or_default(),
        },
        _ => Schedule::Constant,
    };
    given.finish()?;
    Ok((schedule, length))
}

const EPOCH: Span = Span::Epochs(1.0);
const ONE_CYCLE_WARMUP: Span = Span::Percent(30.0);

impl fmt::Display for Schedule {
    /// The text that reads as the same schedule; what is as without arguments is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(pieces) => {
                for (i, Piece { schedule, length }) in pieces.iter().enumerate() {
                    f.write_str(if i > 0 { "+" } else { "" })?;
                    // Alone and without its length it would read as a schedule of its own.
                    let told = *length != Span::Rest || pieces.len() == 1;
                    f.write_str(&schedule.words(told.then_some(*length)))?;
                }
                Ok(())
            }
            _ => f.write_str(&self.words(None)),
        }
    }
}

impl Schedule {
    /// The text of a piece.
    fn words(&self, length: Option<Span>) -> String {
        let mut words = Words::default();
        // A curve begins with its length, others end with it.
        let (curve, other) = match self {
            Self::Step { .. }
            | Self::Piecewise { .. }
            | Self::Exponential { .. }
            | Self::CosineRestarts { .. }
            | Self::InverseSqrt { .. } => (None, length),
            _ => (length, None),
        };
        words.0.extend(curve.map(|length| length.to_string()));
        let name = match self {
            Self::Constant => "constant",
            Self::Step { every, factor } => {
                words.0.push(every.to_string());
                words.number("factor", *factor, 0.1);
                "step"
            }
            Self::Piecewise { values } => {
                let value = |(at, factor): &(Span, f64)| format!("{at}={}", Number(*factor));
                words.0.extend(values.iter().map(value));
                "piecewise"
            }
            Self::Exponential { factor, every } => {
                words.0.push(Number(*factor).to_string());
                words.add("every", *every, EPOCH);
                "exponential"
            }
            Self::Linear { from, to } if *to == 1.0 && *from < 1.0 => {
                words.number("from", *from, 0.0);
                "warmup"
            }
            Self::Linear { from, to } => {
                words.number("from", *from, 1.0);
                words.number("to", *to, 0.0);
                "linear"
            }
            Self::Polynomial { power, floor } => {
                words.number("power", *power, 1.0);
                words.number("floor", *floor, 0.0);
                "polynomial"
            }
            Self::Cosine { floor } => {
                words.number("floor", *floor, 0.0);
                "cosine"
            }
            Self::CosineRestarts { period, multiplier, floor } => {
                words.0.push(period.to_string());
                words.add("multiplier", *multiplier, 1);
                words.number("floor", *floor, 0.0);
                "cosine_restarts"
            }
            Self::InverseSqrt { reference } => {
                words.0.push(reference.to_string());
                "inverse_sqrt"
            }
            Self::OneCycle { peak, div_factor, final_div_factor, warmup, anneal } => {
                words.number("peak", *peak, 1.0);
                words.number("div_factor", *div_factor, 25.0);
                words.number("final_div_factor", *final_div_factor, 1e4);
                words.add("warmup", *warmup, ONE_CYCLE_WARMUP);
                words.choice("anneal", *anneal, ANNEALS);
                "one_cycle"
            }
            // Not valid as a piece; shown all the same.
            Self::Sequence(_) => return format!("({self})"),
        };
        words.0.extend(other.map(|length| format!("for={length}")));
        words.behind(name)
    }
}

impl FromStr for Plateau {
    type Err = Error;

    /// Reads `plateau:key=value,…`, or only its arguments. Keys are the fields' names; those that
    /// are left out have their defaults.
    ///
    /// ```
    /// # use wgrad::Plateau;
    /// let plateau: Plateau = "plateau:factor=0.5,patience=5".parse()?;
    /// assert_eq!(plateau, Plateau { factor: 0.5, patience: 5, ..Plateau::default() });
    /// assert_eq!("patience=5,factor=0.5".parse::<Plateau>()?, plateau);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Text`] says where the text can't be understood, [`Error::Option`] which number is
    /// out of range.
    fn from_str(text: &str) -> Result<Self> {
        const FORM: &[(&str, &str)] = &[("plateau", "plateau:factor=0.1,patience=10")];
        let source = Source::new("plateau", text)?;
        let mut given = match text.contains('=') && !text.contains(':') {
            true => Arguments::list(source, "plateau", text)?,
            false => Arguments::new(source, text)?,
        };
        given.name(FORM)?;
        let default = Self::default();
        let plateau = Self {
            mode: given.choice("mode", MODES)?.unwrap_or(default.mode),
            factor: given.number("factor")?.unwrap_or(default.factor),
            patience: given.whole("patience")?.unwrap_or(default.patience),
            threshold: given.number("threshold")?.unwrap_or(default.threshold),
            threshold_mode: given
                .choice("threshold_mode", THRESHOLD_MODES)?
                .unwrap_or(default.threshold_mode),
            cooldown: given.whole("cooldown")?.unwrap_or(default.cooldown),
            floor: given.number("floor")?.unwrap_or(default.floor),
        };
        given.finish()?;
        plateau.validate()?;
        Ok(plateau)
    }
}

impl fmt::Display for Plateau {
    /// The text that reads as the same plateau; defaults are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let mut words = Words::default();
        words.choice("mode", self.mode, MODES);
        words.number("factor", self.factor, default.factor);
        words.add("patience", self.patience, default.patience);
        words.number("threshold", self.threshold, default.threshold);
        words.choice("threshold_mode", self.threshold_mode, THRESHOLD_MODES);
        words.add("cooldown", self.cooldown, default.cooldown);
        words.number("floor", self.floor, default.floor);
        f.write_str(&words.behind("plateau"))
    }
}

impl Span {
    pub(super) const EXPECTED: &str = "100 (steps), 5e (epochs), 10% (of the run) or rest";

    pub(super) fn read(text: &str) -> Option<Self> {
        if text == "rest" {
            Some(Self::Rest)
        } else if let Some(epochs) = text.strip_suffix('e') {
            number(epochs).map(Self::Epochs)
        } else if let Some(percent) = text.strip_suffix('%') {
            number(percent).map(Self::Percent)
        } else {
            text.parse().ok().map(Self::Steps)
        }
    }
}

impl FromStr for Span {
    type Err = Error;

    /// Reads `100` (steps), `5e` (epochs), `10%` (of the run) or `rest`.
    fn from_str(text: &str) -> Result<Self> {
        let source = Source::new("length", text)?;
        let span = Self::read(text.trim())
            .ok_or_else(|| source.error(text, format!("give {}", Self::EXPECTED)))?;
        span.validate("length", false)?;
        Ok(span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "{steps}"),
            Self::Epochs(epochs) => write!(f, "{}e", Number(*epochs)),
            Self::Percent(percent) => write!(f, "{}%", Number(*percent)),
            Self::Rest => f.write_str("rest"),
        }
    }
}

/// The shortest text that reads as the same number, with an exponent instead of many zeros.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(x) = self;
        let plain = *x == 0.0 || (1e-4..1e9).contains(&x.abs());
        if plain { write!(f, "{x}") } else { write!(f, "{x:e}") }
    }
}

/// Arguments to be written, without those that are as if they weren't given.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add<T: PartialEq + fmt::Display>(&mut self, key: &str, value: T, default: T) {
        if value != default {
            self.0.push(format!("{key}={value}"));
        }
    }

    fn number(&mut self, key: &str, value: f64, default: f64) {
        if value != default {
            self.0.push(format!("{key}={}", Number(value)));
        }
    }

    /// The first of the words is the default.
    fn choice<T: Copy + PartialEq>(&mut self, key: &str, value: T, words: &[(&str, T)]) {
        let found = words.iter().skip(1).find(|word| word.1 == value);
        self.0.extend(found.map(|(word, _)| format!("{key}={word}")));
    }

    fn behind(&self, name: &str) -> String {
        let colon = if self.0.is_empty() { "" } else { ":" };
        format!("{name}{colon}{}", self.0.join(","))
    }
}
