//! The options of `wgrad train` as clap describes them, by section and key of a configuration file: the
//! section is the heading in the help, the key the flag's name, the value what the flag takes.

use std::any::TypeId;

use clap::{Arg, ArgAction, Args as _, Command, CommandFactory as _, FromArgMatches as _};
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::args::{Args, SweepTable, TrainArgs};
use super::failure::Failure;
use super::values::{ClassWeights, ColumnRule, Columns, Widths};

/// What no file says: which file, what of it, and which run to go on with.
const NOT_IN_FILES: [&str; 4] = ["config", "without", "resume", "help"];
/// The section of what has no heading: the table.
const FIRST: &str = "data";

/// The command `wgrad train`.
pub(crate) fn train() -> Command {
    let train = Args::command().find_subcommand("train").cloned();
    train.expect("train is a command")
}

/// The table `[sweep]` as a command of its own.
pub(crate) fn sweep_table() -> Command {
    SweepTable::augment_args(Command::new("sweep"))
}

/// What such a table says with these words.
pub(crate) fn sweep_defaults(words: &[String]) -> Result<SweepTable, Failure> {
    let words = std::iter::once("sweep").chain(words.iter().map(String::as_str));
    let matches = sweep_table().try_get_matches_from(words);
    matches
        .and_then(|matches| SweepTable::from_arg_matches(&matches))
        .map_err(|error| Failure::input(error.kind()))
}

/// What `wgrad train` is told where nothing is typed.
pub(crate) fn defaults() -> TrainArgs {
    let matches = train().try_get_matches_from(["train"]);
    let defaults = matches.and_then(|matches| TrainArgs::from_arg_matches(&matches));
    defaults.expect("every flag may be left out")
}

/// An option that a file may set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub arg: &'a Arg,
    pub kind: Kind,
}

/// What a file holds for an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Switch,
    Whole,
    Number,
    Text,
    /// A string, or an array of numbers.
    Numbers,
    /// A string, or an array of names or numbers of columns.
    Columns,
    /// A table of columns and what they are.
    Kinds,
}

/// All options of the command [`train`].
pub(crate) fn settings(train: &Command) -> impl Iterator<Item = Setting<'_>> {
    let args = train.get_arguments().filter(|arg| !NOT_IN_FILES.contains(&arg.get_id().as_str()));
    args.map(|arg| Setting { arg, kind: Kind::of(arg) })
}

/// The sections, in their order.
pub(crate) fn sections(train: &Command) -> Vec<String> {
    let mut sections: Vec<String> = settings(train).map(|setting| setting.section()).collect();
    sections.dedup();
    sections
}

impl<'a> Setting<'a> {
    pub(crate) fn section(self) -> String {
        self.arg.get_help_heading().map_or_else(|| FIRST.into(), str::to_lowercase)
    }

    /// The flag's name; that of the field where there is no flag, or where many are one table.
    pub(crate) fn key(self) -> &'a str {
        if self.kind == Kind::Kinds {
            return self.arg.get_id().as_str();
        }
        self.arg.get_long().unwrap_or_else(|| self.arg.get_id().as_str())
    }

    /// What would be typed for a value, `shown` as it stands in a file; else what is wrong with it.
    pub(crate) fn words(self, value: &DeValue, shown: &str) -> Result<Vec<String>, String> {
        if let (Kind::Kinds, DeValue::Table(kinds), Some(flag)) =
            (self.kind, value, self.arg.get_long())
        {
            let word = |(column, kind): (&Spanned<DeString>, &Spanned<DeValue>)| {
                let (column, kind) = (column.get_ref(), kind.get_ref());
                let kind = kind.as_str().ok_or_else(|| {
                    wrong_type(&format!("{}: {column}", self.key()), kind, "a string")
                })?;
                Ok(format!("--{flag}={column}={kind}"))
            };
            return kinds.iter().map(word).collect();
        }
        let text = self.kind.text(value).ok_or_else(|| {
            wrong_type(&format!("{} = {shown}", self.key()), value, self.kind.expected())
        })?;
        Ok(match (self.arg.get_long(), text) {
            (_, None) => Vec::new(),
            (Some(flag), Some(_)) if self.kind == Kind::Switch => vec![format!("--{flag}")],
            (Some(flag), Some(text)) => vec![format!("--{flag}={text}")],
            (None, Some(text)) => vec![text],
        })
    }
}

fn wrong_type(what: &str, value: &DeValue, expected: &str) -> String {
    format!("{what} is of type {}, but must be {expected}", value.type_str())
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        let parser = arg.get_value_parser().type_id();
        let one_of = |types: &[TypeId]| types.iter().any(|of| parser == *of);
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            Self::Switch
        } else if one_of(&[TypeId::of::<u64>(), TypeId::of::<usize>()]) {
            Self::Whole
        } else if one_of(&[TypeId::of::<f32>(), TypeId::of::<f64>()]) {
            Self::Number
        } else if one_of(&[TypeId::of::<Widths>(), TypeId::of::<ClassWeights>()]) {
            Self::Numbers
        } else if one_of(&[TypeId::of::<Columns>()]) {
            Self::Columns
        } else if one_of(&[TypeId::of::<ColumnRule>()]) {
            Self::Kinds
        } else {
            Self::Text
        }
    }

    /// The flag's text for a value, `Some(None)` where the flag is left out; `None` for a value of
    /// another type.
    fn text(self, value: &DeValue) -> Option<Option<String>> {
        let text = match (self, value) {
            (Self::Switch, DeValue::Boolean(on)) => return Some(on.then(String::new)),
            (Self::Columns, DeValue::Array(names)) if names.is_empty() => return Some(None),
            (Self::Columns, DeValue::Array(names)) => {
                let name = |value: &DeValue| match value {
                    DeValue::String(name) => Some(name.to_string()),
                    number => whole(number),
                };
                let names = names.iter().map(|value| name(value.get_ref()));
                Columns(names.collect::<Option<_>>()?).to_string()
            }
            (Self::Numbers, DeValue::Array(numbers)) if numbers.is_empty() => "none".into(),
            (Self::Numbers, DeValue::Array(numbers)) => {
                let numbers = numbers.iter().map(|value| number(value.get_ref()));
                numbers.collect::<Option<Vec<_>>>()?.join(",")
            }
            (Self::Text | Self::Numbers | Self::Columns, DeValue::String(text)) => text.to_string(),
            (Self::Columns | Self::Whole, value) => whole(value)?,
            (Self::Number, value) => number(value)?,
            _ => return None,
        };
        Some(Some(text))
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Numbers => "an array of numbers, or a string",
            Self::Kinds => "a table of columns and what they are, as in zip = \"category\"",
            Self::Columns => "an array of names or numbers of columns, or a string",
        }
    }
}

fn whole(value: &DeValue) -> Option<String> {
    let integer = value.as_integer()?;
    Some(i128::from_str_radix(integer.as_str(), integer.radix()).ok()?.to_string())
}

fn number(value: &DeValue) -> Option<String> {
    whole(value).or_else(|| Some(value.as_float()?.as_str().to_owned()))
}
