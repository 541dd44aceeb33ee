//! What differs between the configurations of runs.

use super::super::config::Config;
use super::super::failure::Failure;

/// How a run ended is a result, and which of the values nobody gave says nothing of them.
const NO_DIFFERENCE: [&str; 2] = ["outcome", "derived"];
/// What stands for a key that a run doesn't have.
pub(super) const ABSENT: &str = "–";

/// A key, and each run's value of it.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    pub key: String,
    pub values: Vec<String>,
}

/// The keys whose values differ, table by table of `config.toml`. Other tables have other fingerprints; so
/// that is told only where one has changed.
pub(super) fn differences(configs: &[&Config]) -> Result<Vec<Difference>, Failure> {
    let texts = configs.iter().map(|config| Ok(entries(&config.to_toml()?)));
    let texts = texts.collect::<Result<Vec<_>, Failure>>()?;
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in texts.iter().flatten() {
        if !keys.contains(&key) && !NO_DIFFERENCE.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let values = |key: &String| -> Vec<String> {
        let value = |entries: &Vec<(String, String)>| {
            let found = entries.iter().find(|(name, _)| name == key);
            found.map_or_else(|| ABSENT.into(), |(_, value)| value.clone())
        };
        texts.iter().map(value).collect()
    };
    let all = keys.into_iter().map(|key| Difference { key: key.clone(), values: values(key) });
    let mut found: Vec<Difference> =
        all.filter(|of| of.values.iter().any(|value| *value != of.values[0])).collect();
    if found.iter().any(|of| of.key == "source") {
        found.retain(|of| of.key != "fingerprint");
    }
    Ok(found)
}

/// Keys and values of a TOML text, tables left aside: keys are flags, whose names differ.
fn entries(text: &str) -> Vec<(String, String)> {
    // Lists may go over several lines, so it is read as what it is.
    let tables: toml::Table = text.parse().unwrap_or_default();
    let mut all = Vec::new();
    for (key, value) in tables {
        match value {
            toml::Value::Table(entries) => {
                all.extend(entries.into_iter().map(|(key, value)| (key, short(&value))));
            }
            value => all.push((key, short(&value))),
        }
    }
    all
}

/// A value as it is typed behind a flag.
fn short(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(short).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Args, Command};

    fn config(flags: &[&str]) -> Config {
        let args = Args::try_parse_from([&["wgrad", "train"], flags].concat()).unwrap();
        let Command::Train(args) = args.command else { panic!("train was given") };
        Config::new(&args).unwrap()
    }

    #[test]
    fn only_what_differs_is_told() {
        let plain = config(&[]);
        let wide = config(&["--layers", "64,32", "--clip-norm", "1"]);
        assert_eq!(differences(&[&plain, &plain]).unwrap(), []);
        let found = differences(&[&plain, &wide]).unwrap();
        let difference = |key: &str, values: [&str; 2]| Difference {
            key: key.into(),
            values: values.map(String::from).to_vec(),
        };
        assert_eq!(
            found,
            [difference("layers", ["128", "64,32"]), difference("clip-norm", [ABSENT, "1.0"])]
        );
    }
}
