//! Lines after a table: where its numbers are from, what a star means.

use csv::StringRecord;

use super::cell::content;
use crate::data::wording::shortened;
use crate::data::written_number::Written;

/// Most lines that may stand after a table.
const MOST: usize = 20;

/// Lines that may be notes: they are, unless rows of the table follow.
#[derive(Default)]
pub(super) struct Notes {
    /// Fields of the lines that are none.
    fields: usize,
    held: Vec<(u64, StringRecord)>,
}

impl Notes {
    /// Keeps a line that may be a note.
    pub(super) fn hold(&mut self, line: u64, record: &StringRecord) -> bool {
        if self.held.len() < MOST && is_note(record, self.fields) {
            self.held.push((line, record.clone()));
            return true;
        }
        self.fields = record.len();
        false
    }

    /// The lines that are none, since another follows them.
    pub(super) fn release(&mut self) -> Vec<(u64, StringRecord)> {
        std::mem::take(&mut self.held)
    }

    /// What is reported of those that are left out.
    pub(super) fn assumption(&self) -> Option<String> {
        let (line, record) = self.held.first()?;
        let text = record.iter().map(content).find(|field| !field.is_empty())?;
        let text = shortened(text);
        Some(match self.held.len() {
            1 => format!("line {line} (`{text}`), after the table, is left out"),
            n => format!("{n} lines from line {line} on (`{text}`), after the table, are left out"),
        })
    }
}

/// Whether a line below others with so many fields is a sentence, or a comment, and no row.
fn is_note(record: &StringRecord, fields: usize) -> bool {
    let mut filled = record.iter().map(content).filter(|field| !field.is_empty());
    let Some(first) = filled.next() else { return false };
    let is_alone = filled.next().is_none();
    let is_sentence = first.contains(char::is_whitespace)
        || first.ends_with(':')
        || first.starts_with(['*', '(', '†']);
    let is_sentence = is_alone && is_sentence && Written::parse(first).is_none();
    match record.len() == fields {
        // Spreadsheets fill up the line.
        true => fields > 2 && is_sentence,
        false => fields > 1 && (is_sentence || first.starts_with('#')),
    }
}
