//! The words of a text form: `name:argument,key=argument,…`.

use std::str::FromStr;

use super::Span;
use crate::data::wording::{nearest, shortened};
use crate::error::{Error, Result};

/// Longest text that is read, in bytes: what is longer is no description of a schedule.
const MAX_LENGTH: usize = 4096;

/// A text that is being read. Words are slices of it, so each knows where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// What the text describes.
    pub what: &'static str,
    pub text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(what: &'static str, text: &'a str) -> Result<Self> {
        let source = Self { what, text };
        if text.len() > MAX_LENGTH {
            let problem = format!("{} bytes are too long (at most {MAX_LENGTH})", text.len());
            return Err(source.error(text, problem));
        }
        Ok(source)
    }

    /// The problem of a word, which is a slice of the text.
    pub(super) fn error(&self, word: &str, problem: String) -> Error {
        let bytes = (word.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..bytes).unwrap_or_default();
        let at = before.chars().count() + 1;
        Error::Text { what: self.what, text: shortened(self.text), at, problem }
    }
}

/// A name with its arguments. Each is taken once; [`finish`](Self::finish) refuses what is left.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    source: Source<'a>,
    name: &'a str,
    /// Key and value. The key is empty where only a value was given.
    given: Vec<(&'a str, &'a str)>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
    /// The name as it may be used, for messages.
    example: &'static str,
}

impl<'a> Arguments<'a> {
    /// Splits `name:argument,…`, which is a slice of the source.
    pub(super) fn new(source: Source<'a>, text: &'a str) -> Result<Self> {
        match text.split_once(':') {
            Some((name, list)) => Self::list(source, name.trim(), list),
            None => Ok(Self::none(source, text.trim())),
        }
    }

    fn none(source: Source<'a>, name: &'a str) -> Self {
        Self { source, name, given: vec![], known: vec![], example: "" }
    }

    /// Splits `argument,…` of a name.
    pub(super) fn list(source: Source<'a>, name: &'a str, list: &'a str) -> Result<Self> {
        let mut read = Self::none(source, name);
        for argument in list.split(',') {
            let (key, value) = argument.split_once('=').unwrap_or((&argument[..0], argument));
            let (key, value) = (key.trim(), value.trim());
            let problem = if value.is_empty() {
                "a value is missing".to_owned()
            } else if key.is_empty() && argument.contains('=') {
                "a key is missing before =".to_owned()
            } else if key.is_empty() && !read.given.is_empty() {
                format!("{} needs its key, as in key={}", quoted(value), shortened(value))
            } else {
                read.given.push((key, value));
                continue;
            };
            return Err(source.error(argument, problem));
        }
        Ok(read)
    }

    /// The name as one of the `forms` (name and example); hyphens are underscores.
    pub(super) fn name(
        &mut self,
        forms: &'static [(&'static str, &'static str)],
    ) -> Result<&'static str> {
        let typed = self.name.replace('-', "_");
        if let Some(&(name, example)) = forms.iter().find(|form| form.0 == typed) {
            self.example = example;
            return Ok(name);
        }
        let names = || forms.iter().map(|form| form.0);
        let tip = match nearest(&typed, names()) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("known are {}", names().collect::<Vec<_>>().join(", ")),
        };
        let problem = format!("no {} is called {}; {tip}", self.source.what, quoted(self.name));
        Err(self.source.error(self.name, problem))
    }

    /// Says what an argument without a key means.
    pub(super) fn bare(&mut self, key: &'static str) {
        if let Some((given, _)) = self.given.first_mut().filter(|(given, _)| given.is_empty()) {
            *given = key;
        }
    }

    /// The value of a key as its source has it.
    fn take(&mut self, key: &'static str) -> Option<&'a str> {
        self.known.push(key);
        let found = self.given.iter().position(|&(given, _)| given == key)?;
        Some(self.given.remove(found).1)
    }

    /// The value of a key, read by `read`; `expected` says what that takes.
    fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let problem = || format!("{key} is {}, but must be {expected}", quoted(value));
        read(value).map(Some).ok_or_else(|| self.source.error(value, problem()))
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<f64>> {
        self.read(key, "a finite number", number)
    }

    pub(super) fn whole<T: FromStr>(&mut self, key: &'static str) -> Result<Option<T>> {
        self.read(key, "a whole number", |text| text.parse().ok())
    }

    pub(super) fn span(&mut self, key: &'static str) -> Result<Option<Span>> {
        self.read(key, Span::EXPECTED, Span::read)
    }

    /// One of a list of words, each with its meaning.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>> {
        let expected = words.iter().map(|word| word.0).collect::<Vec<_>>().join(" or ");
        self.read(key, &expected, |text| {
            words.iter().find(|(word, _)| *word == text).map(|&(_, meaning)| meaning)
        })
    }

    /// The arguments that are left, whose keys are positions and whose values are factors.
    pub(super) fn positions(&mut self) -> Result<Vec<(Span, f64)>> {
        std::mem::take(&mut self.given)
            .into_iter()
            .map(|(key, value)| {
                let position = Span::read(key).ok_or_else(|| {
                    let word = if key.is_empty() { value } else { key };
                    let problem = format!(
                        "{} isn't a position with its factor, as in {}",
                        quoted(word),
                        self.example
                    );
                    self.source.error(word, problem)
                })?;
                let factor = number(value).ok_or_else(|| {
                    let problem = format!("{} isn't a finite number", quoted(value));
                    self.source.error(value, problem)
                })?;
                Ok((position, factor))
            })
            .collect()
    }

    /// What a key must have.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| {
            let problem = format!("{} needs {key}, as in {}", self.name, self.example);
            self.source.error(self.name, problem)
        })
    }

    /// Refuses what nobody has asked for.
    pub(super) fn finish(self) -> Result<()> {
        let Some(&(key, value)) = self.given.first() else { return Ok(()) };
        let word = if key.is_empty() { value } else { key };
        let problem = if self.known.contains(&key) {
            format!("{key} is given twice")
        } else {
            // Of equally near ones the schedule's own, which come behind `for`.
            let tip = match nearest(word, self.known.iter().rev().copied()) {
                Some(key) => format!("did you mean {key}?"),
                None => format!("it has {}", self.known.join(", ")),
            };
            format!("{} has no argument {}; {tip}", self.name, quoted(word))
        };
        // A key that `bare` has named is no part of the text.
        let place = if self.known.contains(&key) { value } else { word };
        Err(self.source.error(place, problem))
    }
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|x: &f64| x.is_finite())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}
