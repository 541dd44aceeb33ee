//! How a text is divided into lines of a table and their fields.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use csv::{ByteRecord, StringRecord};

use super::cell::content;
use super::records::misquoted;
use super::whitespace::Squeezed;
use crate::data::input::{CHUNK, Input};
use crate::data::written_number::Written;
use crate::{Error, Result};

/// What stands between the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// One ASCII character other than a quote or a line end.
    Byte(u8),
    /// Any number of spaces and tabs, as in columns that are aligned.
    Spaces,
}

impl FromStr for Delimiter {
    type Err = Error;

    /// `spaces`, `tab`, or the character.
    fn from_str(text: &str) -> Result<Self> {
        match text.as_bytes() {
            b"spaces" => Ok(Self::Spaces),
            b"tab" | b"\\t" => Ok(Self::Byte(b'\t')),
            &[byte] => Self::Byte(byte).checked(),
            _ => Err(refused(text)),
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spaces => f.write_str("spaces"),
            Self::Byte(b'\t') => f.write_str("tab"),
            Self::Byte(byte) => write!(f, "{}", byte.escape_ascii()),
        }
    }
}

impl Delimiter {
    pub(super) fn checked(self) -> Result<Self> {
        match self {
            Self::Byte(byte) if !byte.is_ascii() || b"\"\r\n".contains(&byte) => {
                Err(refused(&byte.escape_ascii().to_string()))
            }
            _ => Ok(self),
        }
    }

    /// The byte that the reader of records sees between fields.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Byte(byte) => byte,
            Self::Spaces => b' ',
        }
    }
}

fn refused(value: &str) -> Error {
    Error::Option {
        name: "delimiter",
        value: format!("`{value}`"),
        expected: "one ASCII character other than a quote or a line end, `tab` or `spaces`",
    }
}

/// How a text is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub delimiter: Delimiter,
    /// Whether a quote within a quoted field is written `\"`, not `""`.
    pub escapes: bool,
    /// Lines before the table: a title, comments, `sep=;`.
    pub front_lines: usize,
}

/// Bytes that hold as many lines as are looked at, of all but the widest tables.
const HEAD: usize = 1 << 20;
/// Records that are looked at.
const SAMPLE: usize = 100;
/// Most lines that may stand before a table.
const MOST_FRONT_LINES: usize = 20;

impl Dialect {
    /// Finds out from the first lines what isn't given.
    pub(super) fn detect(input: &mut Input, delimiter: Option<Delimiter>) -> Result<Self> {
        let delimiter = delimiter.map(Delimiter::checked).transpose()?;
        let mut head = input.head(HEAD)?;
        if head.len() == HEAD {
            // The last line may be cut; if it is the only one, so be it.
            let whole = head.iter().rposition(|&byte| byte == b'\n').map_or(HEAD, |end| end + 1);
            head.truncate(whole);
        }
        let text = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&head);
        let announced = announced(text);
        let delimiter = delimiter.or(announced).unwrap_or_else(|| likely(text));
        let plain = Self { delimiter, escapes: false, front_lines: 0 };
        let front_lines = match announced {
            Some(_) => 1 + plain.front_lines(after_line(text)),
            None => plain.front_lines(text),
        };
        let plain = Self { front_lines, ..plain };
        Ok(Self { escapes: plain.needs_escapes(text), ..plain })
    }

    /// Divides bytes from the table's first line on into records of any number of fields.
    pub(super) fn reader<'a, R: Read + 'a>(&self, from: R) -> csv::Reader<R> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter.byte())
            .escape(self.escapes.then_some(b'\\'))
            .buffer_capacity(CHUNK)
            .from_reader(from)
    }

    /// The bytes as [`reader`](Self::reader) needs them.
    pub(super) fn squeezed<'a>(&self, from: impl Read + 'a) -> Box<dyn Read + 'a> {
        match self.delimiter {
            Delimiter::Spaces => Box::new(Squeezed::new(from)),
            Delimiter::Byte(_) => Box::new(from),
        }
    }

    /// The records that aren't blank.
    fn records<'a>(&self, text: &'a [u8]) -> impl Iterator<Item = StringRecord> + use<'a> {
        let records = self.reader(self.squeezed(text)).into_byte_records();
        records
            .filter_map(std::result::Result::ok)
            .map(StringRecord::from_byte_record_lossy)
            .filter(|record| record.iter().any(|field| !field.trim().is_empty()))
    }

    /// The first of them.
    fn sample(&self, text: &[u8]) -> Vec<StringRecord> {
        self.records(text).take(SAMPLE).collect()
    }

    /// How many lines before the table are none of its.
    fn front_lines(&self, text: &[u8]) -> usize {
        let columns = usual_fields(&self.sample(text)).0;
        let is_blank = |line: &&[u8]| line.trim_ascii().is_empty();
        let mut rest = text;
        for lines in 0..=MOST_FRONT_LINES {
            let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let after = after_line(rest);
            // A record may go on in the lines below.
            let record = match is_blank(&line) {
                true => StringRecord::new(),
                false => self.records(rest).next().unwrap_or_default(),
            };
            let more_comments = || {
                let mut next = after.split(|&byte| byte == b'\n').skip_while(|line| is_blank(line));
                next.next().is_some_and(|next| next.starts_with(b"#"))
            };
            match record.len() {
                0 if after.is_empty() => return 0,
                0 => {}
                fields if line.starts_with(b"#") && (fields != columns || more_comments()) => {}
                fields if is_title(&record, fields, columns) => {}
                fields if fields == columns || columns < 2 => return lines,
                // No title: what is wrong with it is reported when it is read.
                _ => return 0,
            }
            rest = after;
        }
        0
    }

    /// Whether the quotes fit only if `\"` is one within a field.
    fn needs_escapes(&self, text: &[u8]) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(2).any(|pair| pair == b"\\\"");
        let table = (0..self.front_lines).fold(text, |text, _| after_line(text));
        if !holds(table) {
            return false;
        }
        let mut squeezed = Vec::new();
        // Bytes in memory can be read.
        let _ = self.squeezed(table).read_to_end(&mut squeezed);
        let table = &squeezed[..];
        let fits = |dialect: &Self| {
            let mut record = ByteRecord::new();
            let mut reader = dialect.reader(table);
            let mut start = 0;
            while reader.read_byte_record(&mut record).unwrap_or(false) {
                let end = usize::try_from(reader.position().byte()).unwrap_or(table.len());
                if misquoted(&table[start..end], dialect).is_some() {
                    return false;
                }
                start = end;
            }
            true
        };
        !fits(self) && fits(&Self { escapes: true, ..*self })
    }
}

/// The delimiter that a first line as `sep=;` gives.
fn announced(text: &[u8]) -> Option<Delimiter> {
    let line = text.split(|&byte| byte == b'\n').next()?.trim_ascii_end();
    match line {
        [s, e, p, b'=', byte] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => {
            Delimiter::Byte(*byte).checked().ok()
        }
        _ => None,
    }
}

fn after_line(text: &[u8]) -> &[u8] {
    text.iter().position(|&byte| byte == b'\n').map_or(&[], |end| &text[end + 1..])
}

/// Whether a line that isn't blank is a title: words in one field, or in far fewer than the table's lines have.
fn is_title(record: &StringRecord, fields: usize, columns: usize) -> bool {
    let mut words = record.iter().map(content).filter(|field| !field.is_empty());
    let filled = words.clone().count();
    let is_sentence = |field: &str| field.contains(char::is_whitespace) || field.ends_with(':');
    let all_words = words.clone().all(|field| Written::parse(field).is_none());
    let has_few = filled == 1 && (columns > 2 || words.any(is_sentence)) || 2 * filled < columns;
    columns > 1 && filled < columns && has_few && all_words && (fields != columns || filled == 1)
}

/// The number of fields that most records have, and how many these are.
fn usual_fields(records: &[StringRecord]) -> (usize, usize) {
    let mut counts = std::collections::BTreeMap::new();
    records.iter().for_each(|record| *counts.entry(record.len()).or_insert(0) += 1);
    // Among equals the larger.
    counts.into_iter().max_by_key(|&(_, count)| count).unwrap_or((0, 0))
}

/// The delimiter that divides most lines alike.
fn likely(text: &[u8]) -> Delimiter {
    struct Candidate {
        delimiter: Delimiter,
        records: Vec<StringRecord>,
        fields: usize,
        alike: usize,
    }
    let candidate = |delimiter| {
        let records = Dialect { delimiter, escapes: false, front_lines: 0 }.sample(text);
        let (fields, count) = usual_fields(&records);
        Candidate { delimiter, records, fields, alike: if fields > 1 { count } else { 0 } }
    };
    let found = [b',', b'|', b';', b'\t'].map(|byte| candidate(Delimiter::Byte(byte)));
    // Of equals the last: a comma may be part of a number or a sentence.
    let found = found.into_iter().filter(|found| found.alike > 0).max_by_key(|found| found.alike);
    let spaces = candidate(Delimiter::Spaces);
    let comments = spaces.records.iter().filter(|record| record[0].starts_with('#')).count();
    // Words of a sentence are divided by spaces too, but rarely as many in each line.
    // A header may lack the name of the first column; that of a column of two words each doesn't.
    let first = spaces.records.first().map_or(0, StringRecord::len);
    let lacks_name = first > 1 && first + 1 == spaces.fields;
    let others = comments + usize::from(lacks_name);
    let all_alike = spaces.alike > 0 && spaces.alike + others >= spaces.records.len();
    match found {
        None if all_alike => Delimiter::Spaces,
        None => Delimiter::Byte(b','),
        Some(found) => {
            let is_tab = found.delimiter == Delimiter::Byte(b'\t');
            let holds_numbers = || (0..found.fields).any(|i| holds_many_numbers(&found.records, i));
            let is_finer = is_tab && all_alike && spaces.fields > found.fields;
            if is_finer && holds_numbers() { Delimiter::Spaces } else { found.delimiter }
        }
    }
}

/// Whether each field of a column holds several numbers divided by spaces.
fn holds_many_numbers(records: &[StringRecord], column: usize) -> bool {
    // The first line may be the header.
    let rows = &records[records.len().min(2) - 1..];
    rows.iter().all(|record| {
        let field = record.get(column).unwrap_or_default().trim();
        let mut words = field.split([' ', '\t']).filter(|word| !word.is_empty());
        words.clone().count() > 1
            // One number may have its thousands apart.
            && Written::parse(field).is_none()
            && words.all(|word| word == "?" || Written::parse(word).is_some())
    })
}

#[cfg(test)]
#[path = "dialect/tests.rs"]
mod tests;
