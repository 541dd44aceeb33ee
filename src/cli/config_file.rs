//! `--config`: a file that says what flags say. It becomes the words that would have been typed, so that
//! it has the same checks and defaults.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory as _};
use toml::de::{DeTable, DeValue};

use super::args::Args;
use super::config::{FACTS, TARGET_FILE, outdated};
use super::failure::Failure;
use super::options::{self, Kind, Setting};
use super::run_folder::CONFIG;

/// Bytes that a file may have: beyond, it is something else.
const MOST: u64 = 1 << 20;

/// What a file says.
#[derive(Debug, Default)]
struct ConfigFile {
    /// Options by clap's name, with the words for them.
    words: Vec<(String, Vec<String>)>,
    /// The table that a run was made with, if the file is a run's.
    fingerprint: Option<String>,
    /// Keys whose values it derived.
    derived: Vec<String>,
}

/// A command line with its configuration file put in.
#[derive(Debug)]
pub(crate) struct Expanded {
    pub words: Vec<OsString>,
    /// The file, if one was named.
    pub file: Option<PathBuf>,
    /// The table that the file's run was made with, unless another was typed.
    pub fingerprint: Option<String>,
    /// What the file derived, and says.
    pub derived: Vec<String>,
    /// The table, if it was typed beside a run that goes on.
    pub moved: Option<String>,
}

/// Puts in the words of the file that `--config` names. What was typed wins.
pub(crate) fn expand(mut typed: Vec<OsString>) -> Result<Expanded, Failure> {
    let plain =
        |words| Expanded { words, file: None, fingerprint: None, derived: Vec::new(), moved: None };
    // What is wrong with it is told when it is read for good.
    let lenient = Args::command().ignore_errors(true).try_get_matches_from(&typed);
    let Ok(lenient) = lenient else { return Ok(plain(typed)) };
    let Some((command @ ("train" | "find-lr"), matches)) = lenient.subcommand() else {
        return Ok(plain(typed));
    };
    if is_typed(matches, "resume") {
        let source = matches.get_one("source").filter(|_| is_typed(matches, "source"));
        return Ok(Expanded { moved: source.cloned(), ..plain(typed) });
    }
    let Some(path) = matches.get_one::<PathBuf>("config") else { return Ok(plain(typed)) };
    let path = if path.is_dir() { path.join(CONFIG) } else { path.clone() };
    let train = options::train();
    let file = ConfigFile::read(&path, &train)?;
    let without = file.ids(&train, matches.get_many("without").unwrap_or_default(), &path)?;
    // Folds that took for ever where a file allows seconds would be a surprise.
    let budgeted = file.words.iter().any(|(id, _)| id == "time_budget");
    if is_typed(matches, "folds") && budgeted && !without.iter().any(|id| id == "time_budget") {
        return Err(Failure::input(format!(
            "--folds has no time budget, but {} has one: leave it out with `--without time-budget`",
            path.display()
        )));
    }
    let overruled = overruled(&train, matches);
    let id_of = |key: &str| key.replace('-', "_");
    let changed = |key: &str| {
        let id = id_of(key);
        overruled.contains(&id) || without.contains(&id) || is_typed(matches, &id)
    };
    let mut outdated = outdated(&file.derived, changed);
    if command == "find-lr" {
        // It has none of its own.
        outdated.extend(file.derived.iter().filter(|key| *key == "weight-decay").cloned());
    }
    let ids: Vec<String> = outdated.iter().map(|key| id_of(key)).collect();
    let says = |id: &String| !overruled.contains(id) && !without.contains(id) && !ids.contains(id);
    let mut derived = file.derived;
    derived.retain(|key| says(&id_of(key)));
    let words = file.words.into_iter().filter(|(id, _)| says(id));
    let words = words.flat_map(|(_, words)| words).map(OsString::from);
    // Behind the command.
    typed.splice(2..2, words);
    let fingerprint = file.fingerprint.filter(|_| !is_typed(matches, "source"));
    Ok(Expanded { words: typed, file: Some(path), fingerprint, derived, moved: None })
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// The options that were typed, and those that can't stand beside them. What a file says of columns stays:
/// for each the last word counts.
fn overruled(train: &Command, matches: &ArgMatches) -> Vec<String> {
    let settings: Vec<Setting> = options::settings(train).collect();
    let excludes = |a: &Setting, b: &Setting| train.get_arg_conflicts_with(a.arg).contains(&b.arg);
    let typed: Vec<&Setting> = settings
        .iter()
        .filter(|setting| is_typed(matches, setting.arg.get_id().as_str()))
        .collect();
    let is_overruled = |setting: &&Setting| {
        if setting.kind == Kind::Kinds {
            return false;
        }
        let same = |typed: &&Setting| typed.arg.get_id() == setting.arg.get_id();
        typed
            .iter()
            .any(|typed| same(typed) || excludes(typed, setting) || excludes(setting, typed))
    };
    settings.iter().filter(is_overruled).map(|setting| setting.arg.get_id().to_string()).collect()
}

/// Adds to what clap says of a command line that some of it is from a file.
pub(crate) fn blame(error: &mut clap::Error, file: &Path) {
    let tip = StyledStr::from(format!("flags that weren't typed are from {}", file.display()));
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
}

/// What is wrong, and at which byte.
type Problem = (usize, String);

/// A key of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub section: &'a str,
    pub key: &'a str,
    pub value: &'a DeValue<'a>,
    /// The value as it stands in the file.
    pub shown: &'a str,
}

/// Reads a file of keys in these sections, those of `commands`, and gives each to `take`.
pub(crate) fn read(
    path: &Path,
    commands: &[&Command],
    take: impl FnMut(Entry<'_>) -> Result<(), String>,
) -> Result<(), Failure> {
    let refuse = |problem: String| Failure::input(format!("{}{problem}", path.display()));
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text)).map_err(
        |error| {
            let wanted = match commands {
                [_] => "--config takes a TOML file, as wgrad init writes it, or a run's folder",
                _ => "a sweep takes a TOML file; wgrad sweep --help shows one",
            };
            refuse(format!(": {error} ({wanted})"))
        },
    )?;
    if text.len() as u64 > MOST {
        return Err(refuse(format!(": no configuration file has more than {MOST} bytes")));
    }
    parse(&text, commands, take).map_err(|(at, problem)| {
        let line = text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1;
        refuse(format!(", line {line}: {problem}"))
    })
}

/// Fails with the first problem.
pub(crate) fn parse(
    text: &str,
    commands: &[&Command],
    mut take: impl FnMut(Entry<'_>) -> Result<(), String>,
) -> Result<(), Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        (at, error.message().to_owned())
    })?;
    let mut problems = Vec::new();
    let sections: Vec<String> =
        commands.iter().flat_map(|command| options::sections(command)).collect();
    for (section, value) in table.get_ref() {
        let (name, at) = (section.get_ref(), section.span().start);
        match value.get_ref() {
            DeValue::Table(keys) if sections.iter().any(|known| known == name) => {
                for (key, value) in keys {
                    let (key, at) = (key.get_ref(), key.span().start);
                    let shown = text.get(value.span()).unwrap_or_default();
                    let entry = Entry { section: name, key, value: value.get_ref(), shown };
                    problems.extend(take(entry).err().map(|problem| (at, problem)));
                }
            }
            DeValue::Table(_) => {
                let problem = format!("unknown section [{name}]; {}", known("sections", &sections));
                problems.push((at, problem));
            }
            _ if is_fact("", name) => {}
            _ => problems.push((at, misplaced(commands, None, name))),
        }
    }
    match problems.into_iter().min() {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

impl<'a> Entry<'a> {
    /// The option of a command that it sets.
    pub(crate) fn setting<'c>(self, command: &'c Command) -> Option<Setting<'c>> {
        // A run's file has the names of the targets as well, which are those of the file.
        let key = if self.is_target_file() { "target" } else { self.key };
        let named = |setting: &Setting| setting.key() == key && setting.section() == self.section;
        options::settings(command).find(named)
    }

    pub(crate) fn is_target_file(self) -> bool {
        (self.section, self.key) == TARGET_FILE
    }

    /// The texts of an array.
    pub(crate) fn strings(self) -> Vec<String> {
        let items = self.value.as_array().into_iter().flat_map(|array| array.iter());
        items.filter_map(|item| item.get_ref().as_str()).map(str::to_owned).collect()
    }

    /// Whether it tells how a run went.
    pub(crate) fn is_fact(self) -> bool {
        is_fact(self.section, self.key)
    }
}

/// What would be typed for a value of an option, `shown` as it stands in the file.
pub(crate) fn words(
    command: &Command,
    setting: Setting,
    value: &DeValue,
    shown: &str,
) -> Result<Vec<String>, String> {
    let key = setting.key();
    let words = setting.words(value, shown)?;
    for word in &words {
        check(command, word).map_err(|problem| match word.split_once('=') {
            Some((_, of_column)) if setting.kind == Kind::Kinds => {
                format!("{key}: {of_column}: {problem}")
            }
            _ => format!("{key} = {shown}: {problem}"),
        })?;
    }
    Ok(words)
}

impl ConfigFile {
    fn read(path: &Path, train: &Command) -> Result<Self, Failure> {
        let mut file = Self::default();
        read(path, &[train], |entry| file.take(train, entry))?;
        Ok(file)
    }

    /// Clap's names of the options that it sets with these keys.
    fn ids<'k>(
        &self,
        train: &Command,
        keys: impl Iterator<Item = &'k String>,
        path: &Path,
    ) -> Result<Vec<String>, Failure> {
        let id = |key: &String| {
            let setting = options::settings(train).find(|setting| setting.key() == key);
            let id = setting.map(|setting| setting.arg.get_id().to_string());
            id.filter(|id| self.words.iter().any(|(said, _)| said == id)).ok_or_else(|| {
                let meant = nearest(train, key).filter(|meant| meant != key);
                let remedy =
                    meant.map_or_else(String::new, |key| format!("; did you mean `{key}`?"));
                Failure::input(format!(
                    "--without {key}: {} has no such key{remedy}",
                    path.display()
                ))
            })
        };
        keys.map(id).collect()
    }

    /// Fails with the first problem.
    #[cfg(test)]
    fn parse(text: &str, train: &Command) -> Result<Self, Problem> {
        let mut file = Self::default();
        parse(text, &[train], |entry| file.take(train, entry))?;
        Ok(file)
    }

    fn take(&mut self, train: &Command, entry: Entry) -> Result<(), String> {
        if entry.is_fact() {
            match entry.key {
                "fingerprint" => self.fingerprint = entry.value.as_str().map(str::to_owned),
                "derived" => self.derived = entry.strings(),
                _ => {}
            }
            return Ok(());
        }
        let Some(setting) = entry.setting(train) else {
            return Err(misplaced(&[train], Some(entry.section), entry.key));
        };
        let words = words(train, setting, entry.value, entry.shown)?;
        let id = setting.arg.get_id().to_string();
        match self.words.iter_mut().find(|(known, _)| *known == id) {
            Some((_, target)) if entry.is_target_file() => *target = words,
            Some(_) => {}
            None => self.words.push((id, words)),
        }
        Ok(())
    }
}

fn is_fact(section: &str, key: &str) -> bool {
    FACTS.contains(&(section, key))
}

/// What is wrong with a key that isn't its section's.
pub(crate) fn misplaced(commands: &[&Command], section: Option<&str>, key: &str) -> String {
    let settings = || commands.iter().flat_map(|command| options::settings(command));
    if let Some(setting) = settings().find(|setting| setting.key() == key) {
        return format!("`{key}` belongs to the section [{}]", setting.section());
    }
    let place =
        section.map_or_else(|| "outside the sections".into(), |name| format!("in [{name}]"));
    let is_own = |command: &&&Command| {
        options::sections(command).iter().any(|of| Some(of.as_str()) == section)
    };
    // First among those that have the section.
    let likely = commands.iter().filter(is_own).chain(commands).find_map(|command| {
        nearest(command, key)
            .filter(|name| options::settings(command).any(|setting| setting.key() == name))
    });
    let remedy = match (likely, section) {
        (Some(name), _) => format!("did you mean `{name}`?"),
        (None, Some(section)) => {
            let keys = settings().filter(|setting| setting.section() == section);
            known("keys", &keys.map(|setting| setting.key().to_owned()).collect::<Vec<_>>())
        }
        (None, None) => {
            let sections = commands.iter().flat_map(|command| options::sections(command));
            known("sections", &sections.collect::<Vec<_>>())
        }
    };
    format!("unknown key `{key}` {place}; {remedy}")
}

fn known(things: &str, names: &[String]) -> String {
    format!("its {things} are {}", names.join(", "))
}

/// The flag that clap takes a misspelt one for.
fn nearest(command: &Command, key: &str) -> Option<String> {
    let error = command.clone().try_get_matches_from(["wgrad", &format!("--{key}")]).err()?;
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(flag) => Some(flag.trim_start_matches('-').to_owned()),
        _ => None,
    }
}

/// Whether a flag can be understood by itself.
fn check(command: &Command, word: &str) -> Result<(), String> {
    let Err(error) = command.clone().try_get_matches_from(["wgrad", word]) else { return Ok(()) };
    match error.kind() {
        // What it stands beside is seen later.
        ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict => Ok(()),
        ErrorKind::InvalidValue => {
            let mut problem = String::from("give another value");
            if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) {
                problem = format!("give one of {}", values.join(", "));
            }
            if let Some(ContextValue::String(value)) = error.get(ContextKind::SuggestedValue) {
                problem += &format!("; did you mean `{value}`?");
            }
            Err(problem)
        }
        _ => Err(std::error::Error::source(&error)
            .map_or_else(|| error.kind().to_string(), ToString::to_string)),
    }
}

#[cfg(test)]
mod tests;
