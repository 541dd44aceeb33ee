//! The file of a sweep: one of `wgrad train --config`, in which keys may have many values.

use std::cmp::Ordering;
use std::path::Path;

use clap::Command;
use toml::de::{DeTable, DeValue};

use super::space::{Axis, MOST_TRIALS, Range, Value, Values};
use crate::cli::args::SweepTable;
use crate::cli::config::outdated;
use crate::cli::config_file::{self, Entry, misplaced, words};
use crate::cli::failure::Failure;
use crate::cli::options::{self, Kind, Setting};

/// The largest number up to which all whole numbers are numbers of a range.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;
/// Lists whose numbers differ by more than this factor are drawn on a logarithmic axis.
const LOG_FROM: f64 = 20.0;
/// Keys of [data] that decide what is learnt and what it is measured by.
const TASK_KEYS: [&str; 10] = [
    "source",
    "header",
    "delimiter",
    "target",
    "task",
    "weights",
    "validation",
    "test",
    "folds",
    "columns",
];

/// What a sweep's file says.
#[derive(Debug, Default)]
pub(super) struct SweepFile {
    /// The words of keys with one value, in the order of train's flags.
    pub fixed: Vec<String>,
    /// The keys with many, in that order too.
    pub axes: Vec<Axis>,
    /// The table [sweep].
    pub table: SweepTable,
}

/// What a file says of a key.
enum Said {
    One(Vec<String>),
    Many(Axis),
}

impl SweepFile {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let (train, table) = (options::train(), options::sweep_table());
        // By the place of the flag.
        let mut said: Vec<(usize, String, Said)> = Vec::new();
        let mut of_table = Vec::new();
        let mut derived = Vec::new();
        config_file::read(path, &[&train, &table], |entry| {
            if let Some(setting) = entry.setting(&table) {
                of_table.extend(words(&table, setting, entry.value, entry.shown)?);
                return Ok(());
            }
            if entry.is_fact() {
                if entry.key == "derived" {
                    derived = entry.strings();
                }
                return Ok(());
            }
            let Some(setting) = entry.setting(&train) else {
                return Err(misplaced(&[&train, &table], Some(entry.section), entry.key));
            };
            let place = place(&train, setting);
            let known = said.iter().position(|(at, ..)| *at == place);
            let value = values(&train, setting, entry)?;
            match known {
                // The names of columns say less than the file that they are in.
                Some(at) if entry.is_target_file() => said[at].2 = value,
                Some(_) => {}
                None => said.push((place, entry.key.to_owned(), value)),
            }
            Ok(())
        })?;
        said.sort_by_key(|(place, ..)| *place);
        let varies =
            |key: &str| said.iter().any(|(_, of, said)| of == key && matches!(said, Said::Many(_)));
        // What a run derived from what varies here is derived for each trial.
        let outdated = outdated(&derived, varies);
        said.retain(|(_, key, said)| matches!(said, Said::Many(_)) || !outdated.contains(key));
        let mut file = Self { table: options::sweep_defaults(&of_table)?, ..Self::default() };
        for (_, _, said) in said {
            match said {
                Said::One(words) => file.fixed.extend(words),
                Said::Many(axis) => file.axes.push(axis),
            }
        }
        Ok(file)
    }
}

fn place(train: &Command, setting: Setting) -> usize {
    let id = setting.arg.get_id();
    options::settings(train).position(|other| other.arg.get_id() == id).unwrap_or(usize::MAX)
}

/// What train's file may hold is one value. Any other array is a list of such values, and a table a range.
fn values(train: &Command, setting: Setting, entry: Entry) -> Result<Said, String> {
    let (key, value) = (setting.key(), entry.value);
    let many = match value {
        _ if setting.words(value, entry.shown).is_ok() => None,
        DeValue::Array(items) => Some(list(train, setting, items)?),
        DeValue::Table(table) if is_number(setting) => Some(range(train, setting, table)?),
        _ => None,
    };
    let Some((values, log)) = many else {
        return Ok(Said::One(words(train, setting, value, entry.shown)?));
    };
    let section = setting.section();
    if section == "run" || section == "data" && TASK_KEYS.contains(&key) {
        return Err(format!(
            "{key} can't have many values: trials differ in how they learn, not in what or where (make a \
             sweep for each)"
        ));
    }
    if key == "seed" {
        return Err(
            "seed can't have many values: it also decides which rows validate, so trials would be scored \
             on different ones (make a sweep for each, or cross-validate the best with --folds)"
                .into(),
        );
    }
    Ok(Said::Many(Axis { key: key.to_owned(), values, log }))
}

fn is_number(setting: Setting) -> bool {
    matches!(setting.kind, Kind::Whole | Kind::Number)
}

fn list(
    train: &Command,
    setting: Setting,
    items: &toml::de::DeArray,
) -> Result<(Values, bool), String> {
    let key = setting.key();
    let mut values: Vec<Value> = Vec::new();
    for item in items.iter() {
        let item = item.get_ref();
        let shown = told(item);
        let words = words(train, setting, item, &shown).map_err(|problem| match setting.kind {
            Kind::Numbers | Kind::Columns => format!(
                "{problem} (an array of which not all are such is a list of values; as in \
                 {key} = [[64], [64, 64]])"
            ),
            _ => problem,
        })?;
        let typed = words.first().and_then(|word| word.split_once('=')).map(|(_, value)| value);
        let shown = typed.map_or(shown, str::to_owned);
        let number: Option<f64> = shown.parse().ok();
        let same = |value: &Value| {
            value.shown == shown || number.is_some() && value.shown.parse().ok() == number
        };
        if values.iter().any(same) {
            return Err(format!("{key} has {shown} twice"));
        }
        values.push(Value { words, shown });
    }
    if values.is_empty() {
        return Err(format!("{key} = []: give a value, or several"));
    }
    let numbers: Option<Vec<f64>> = values.iter().map(|value| value.shown.parse().ok()).collect();
    let numbers = numbers.unwrap_or_default();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    Ok((Values::List(values), least > 0.0 && most / least > LOG_FROM))
}

fn range(train: &Command, setting: Setting, table: &DeTable) -> Result<(Values, bool), String> {
    const KEYS: [&str; 4] = ["min", "max", "log", "steps"];
    let key = setting.key();
    if let Some(unknown) = table.keys().find(|name| !KEYS.contains(&&*name.get_ref().to_string())) {
        return Err(format!(
            "{key}: unknown key `{}` of a range; its keys are {}",
            unknown.get_ref(),
            KEYS.join(", ")
        ));
    }
    let entry = |name: &str| {
        table.iter().find(|(known, _)| *known.get_ref() == name).map(|(_, value)| value.get_ref())
    };
    let end = |name: &str| {
        let value = entry(name)
            .ok_or_else(|| format!("{key}: a range needs {name}, as in {{ min = 1, max = 10 }}"))?;
        let words = words(train, setting, value, &told(value))
            .map_err(|problem| format!("{problem} ({name} of its range)"))?;
        let text = words.first().and_then(|word| word.split_once('='));
        let (flag, text) = text.ok_or_else(|| format!("{key}: no flag takes {name}"))?;
        let number: f64 = text.parse().map_err(|_| format!("{key}: {name} = {text}"))?;
        Ok::<_, String>((flag.to_owned(), number))
    };
    let ((flag, min), (_, max)) = (end("min")?, end("max")?);
    let log = match entry("log") {
        None => false,
        Some(value) => {
            value.as_bool().ok_or_else(|| format!("{key}: log must be true or false"))?
        }
    };
    let whole = setting.kind == Kind::Whole;
    if min == max {
        return Err(format!("{key}: min and max are both {min}; write {key} = {min}"));
    }
    // NaN is below nothing.
    if min.partial_cmp(&max) != Some(Ordering::Less) {
        return Err(format!("{key}: min = {min} is not below max = {max}; exchange them"));
    }
    if log && min <= 0.0 {
        return Err(format!("{key}: log = true needs a min above 0, not {min}"));
    }
    if whole && max > MOST_WHOLE {
        return Err(format!("{key}: max = {max}: give at most {MOST_WHOLE}"));
    }
    let range = Range { flag, min, max, log, whole };
    let Some(steps) = entry("steps") else { return Ok((Values::Range(range), log)) };
    let number = match steps {
        DeValue::Integer(steps) => steps.as_str().parse().ok(),
        _ => None,
    };
    match number.filter(|steps| (2..=MOST_TRIALS).contains(steps)) {
        Some(steps) => Ok((Values::List(range.steps(steps)), log)),
        None => Err(format!(
            "{key}: steps = {}: give a whole number from 2 to {MOST_TRIALS}",
            told(steps)
        )),
    }
}

/// A value as TOML.
fn told(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => toml::Value::from(&**text).to_string(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| told(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(entries) => {
            let entry =
                |(name, value): (&toml::Spanned<toml::de::DeString>, &toml::Spanned<DeValue>)| {
                    format!("{} = {}", name.get_ref(), told(value.get_ref()))
                };
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}
