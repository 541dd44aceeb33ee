//! Checks of single values as they are typed. Each says what would be right; clap names the flag
//! and the value.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use wgrad::data::{ColumnKind, Delimiter, flag_list};
use wgrad::{Encoding, Error, Plateau, Schedule};

fn number(text: &str, fits: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    // NaN and infinities parse, but fit nowhere.
    text.parse().ok().filter(|&x: &f64| x.is_finite() && fits(x)).ok_or_else(|| expected.to_owned())
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "give a finite number above 0")
}

pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "give a finite number, at least 0")
}

pub(crate) fn below_one(text: &str) -> Result<f64, String> {
    number(text, |x| (0.0..1.0).contains(&x), "give a number, at least 0 and below 1")
}

pub(crate) fn probability(text: &str) -> Result<f32, String> {
    number(text, |x| (0.0..=1.0).contains(&x), "give a number from 0 to 1").map(narrow)
}

pub(crate) fn rows_fraction(text: &str) -> Result<f32, String> {
    let expected = "give a fraction of the rows, at least 0 and below 1";
    number(text, |x| (0.0..1.0).contains(&x), expected).map(narrow)
}

#[expect(clippy::cast_possible_truncation, reason = "small numbers, as typed")]
fn narrow(x: f64) -> f32 {
    x as f32
}

pub(crate) fn at_least_one<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    let value = text.parse().ok().filter(|n: &T| *n >= T::from(1));
    value.ok_or_else(|| {
        let too_large = text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_digit());
        let bound = if too_large { "a smaller whole number" } else { "a whole number, at least 1" };
        format!("give {bound}")
    })
}

pub(crate) fn at_least_two(text: &str) -> Result<usize, String> {
    let value = text.parse().ok().filter(|&n: &usize| n >= 2);
    value.ok_or_else(|| "give a whole number, at least 2".to_owned())
}

/// A file to write to. What keeps it from being made is told before the work that it is to hold.
pub(crate) fn output_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        _ if path.is_dir() => Err("that is a folder; name a file".into()),
        Some(folder) if !folder.is_dir() => {
            Err("its folder isn't there (make it, or name another)".into())
        }
        _ => Ok(path),
    }
}

/// A file for a picture.
pub(crate) fn picture_file(text: &str) -> Result<PathBuf, String> {
    let path = output_file(text)?;
    // A pipe has any name.
    let is_new = path.is_file() || !path.exists();
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("svg") => Ok(path),
        _ if is_new => Err("pictures are SVG, so end the name in .svg".into()),
        _ => Ok(path),
    }
}

pub(crate) fn seed(text: &str) -> Result<u64, String> {
    // TOML's integers have a sign.
    let most = i64::MAX.unsigned_abs();
    let value = text.parse().ok().filter(|&n: &u64| n <= most);
    value.ok_or_else(|| format!("give a whole number from 0 to {most}"))
}

pub(crate) fn schedule(text: &str) -> Result<Schedule, String> {
    text.parse().map_err(within)
}

pub(crate) fn plateau(text: &str) -> Result<Plateau, String> {
    text.parse().map_err(within)
}

pub(crate) fn encoding(text: &str) -> Result<Encoding, String> {
    text.parse().map_err(|error| match error {
        Error::Option { expected, .. } => format!("give {expected}"),
        error => error.to_string(),
    })
}

/// What is wrong with a text that clap repeats itself.
fn within(error: Error) -> String {
    match error {
        Error::Text { at, problem, .. } => format!("character {at}: {problem}"),
        _ => error.to_string(),
    }
}

/// Widest hidden layer that may be typed: a larger number is sooner a typing error than a net. The
/// library has no such bound.
const MAX_WIDTH: usize = 65_536;

/// Longest side of an image that may be typed.
const MAX_SIDE: u32 = 65_536;

/// Widths of the hidden layers: `64,64`, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Widths(pub Vec<usize>);

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let width = |text: &str| at_least_one(text.trim()).ok().filter(|&n| n <= MAX_WIDTH);
        text.split(',').map(width).collect::<Option<_>>().map(Self).ok_or_else(|| {
            format!(
                "give whole numbers from 1 to {MAX_WIDTH} divided by commas, as in 64,64, or none \
                 for a linear model"
            )
        })
    }
}

impl fmt::Display for Widths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [] => f.write_str("none"),
            widths => {
                let widths: Vec<_> = widths.iter().map(ToString::to_string).collect();
                f.write_str(&widths.join(","))
            }
        }
    }
}

/// Width and height of images in pixels, as in `28x28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageSize {
    pub width: u32,
    pub height: u32,
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| at_least_one(text).ok().filter(|&n: &u32| n <= MAX_SIDE);
        let sides = text.split_once('x').map(|(width, height)| (side(width), side(height)));
        match sides {
            Some((Some(width), Some(height))) => Ok(Self { width, height }),
            _ => Err(format!("give width x height from 1 to {MAX_SIDE} pixels, as in 28x28")),
        }
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What rows of each class count: `balanced`, or a number for each class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClassWeights {
    /// `n/(K·n_k)` for class k of K with `n_k` of n training rows, as scikit-learn's `balanced`.
    Balanced,
    /// In the order of the classes.
    List(Vec<f32>),
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "balanced" {
            return Ok(Self::Balanced);
        }
        let weights = text.split(',').map(|weight| not_negative(weight.trim()).map(narrow));
        weights.collect::<Result<_, _>>().map(Self::List).map_err(|_| {
            "give balanced, or numbers of at least 0 divided by commas, one per class".to_owned()
        })
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.write_str("balanced"),
            Self::List(weights) => {
                let weights: Vec<_> = weights.iter().map(ToString::to_string).collect();
                f.write_str(&weights.join(","))
            }
        }
    }
}

/// Columns by name or number, divided by commas; a name with a comma stands in quotes, as in CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(pub Vec<String>);

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let names = reader.records().next().and_then(Result::ok);
        let names: Vec<String> = names.iter().flatten().map(str::to_owned).collect();
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err("give names or numbers of columns, divided by commas".into());
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&flag_list(self.0.iter().map(String::as_str)))
    }
}

/// Words divided by commas, as [`Columns`] are.
pub(crate) fn words(text: &str) -> Result<Columns, String> {
    text.parse()
        .map_err(|_| "give words, divided by commas; an empty cell is missing anyway".to_owned())
}

/// What was typed, in one list.
pub(crate) fn list_of(typed: &[Columns]) -> Vec<String> {
    typed.iter().flat_map(|columns| columns.0.clone()).collect()
}

/// What a column is taken for: `zip=category`, `x=number`, `grade=ordinal:low,mid,high`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnRule {
    /// Name or number of the column.
    pub column: String,
    pub kind: ColumnKind,
}

impl FromStr for ColumnRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names may have an equals sign, and so may the values of an order.
        let split = text.match_indices('=').find_map(|(at, _)| {
            let kind = column_kind(&text[at + 1..])?;
            Some(Self { column: text[..at].to_owned(), kind })
        });
        split.filter(|rule| !rule.column.is_empty()).ok_or_else(|| {
            "give a column and what it is: zip=category, x=number, or grade=ordinal:low,mid,high".into()
        })
    }
}

/// What stands behind the equals sign; `None` for anything else.
pub(crate) fn column_kind(text: &str) -> Option<ColumnKind> {
    match text {
        "number" => Some(ColumnKind::Number),
        "category" => Some(ColumnKind::Category),
        _ => {
            let order: Columns = text.strip_prefix("ordinal:")?.parse().ok()?;
            Some(ColumnKind::Ordinal(order.0))
        }
    }
}

impl ColumnRule {
    /// The kind as it is typed behind the equals sign.
    pub(crate) fn kind(&self) -> String {
        match &self.kind {
            ColumnKind::Number => "number".into(),
            ColumnKind::Category => "category".into(),
            ColumnKind::Ordinal(order) => format!("ordinal:{}", Columns(order.clone())),
        }
    }
}

/// A time in hours, minutes and seconds: `1h30m`, `5m`, `30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeBudget(pub Duration);

/// Seconds of each unit, the largest first.
const UNITS: [(char, u64); 3] = [('h', 3600), ('m', 60), ('s', 1)];

impl FromStr for TimeBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = || {
            let (mut rest, mut total) = (text, 0_u64);
            for (unit, length) in UNITS {
                if let Some((number, behind)) = rest.split_once(unit) {
                    total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
                    rest = behind;
                }
            }
            Some(total).filter(|&total| rest.is_empty() && total > 0)
        };
        let budget = seconds().map(|seconds| Self(Duration::from_secs(seconds)));
        budget.ok_or_else(|| {
            "give whole hours, minutes or seconds above 0, as in 30s, 5m or 1h30m".into()
        })
    }
}

impl fmt::Display for TimeBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_secs();
        for (unit, length) in UNITS {
            if left >= length {
                write!(f, "{}{unit}", left / length)?;
                left %= length;
            }
        }
        Ok(())
    }
}

/// What stands between fields.
pub(crate) fn delimiter(text: &str) -> Result<Delimiter, String> {
    text.parse().map_err(|_| {
        "give one ASCII character that isn't a quote, tab, or spaces (any number of them)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
