//! What the reader of a text took for granted, with how to change it.

use super::CsvOptions;
use super::cell::{CellOptions, NA};
use super::dialect::{Delimiter, Dialect};
use super::number::NumberFormat;
use super::survey::{ColumnFormat, ColumnSurvey, Counted};
use crate::data::wording::{shortened, typed_list};
use crate::data::written_number::DecimalMark;

/// What was found out.
pub(super) struct Found<'a> {
    pub options: &'a CsvOptions,
    pub dialect: Dialect,
    /// Whether the first line names the columns; `None` if it is no line of the table.
    pub has_header: Option<bool>,
    /// Whether it names all but the first.
    pub lacks_name: bool,
    pub names: &'a [String],
    pub columns: &'a [ColumnSurvey],
    pub formats: &'a [ColumnFormat],
}

/// The options for later tables like this one, and a sentence on each thing that was taken for granted.
pub(super) fn assumptions(found: &Found) -> (CellOptions, Vec<String>) {
    let mut cells = found.options.cells.clone();
    cells.decimal = cells.decimal.or_else(|| found.decimal());
    if found.columns().any(|(_, column, format)| keeps_na(column, format)) {
        cells.not_missing.push(NA.into());
    }
    let sentences = [
        found.lines(),
        found.header(),
        found.numbers(),
        found.percents(),
        found.bounds(),
        found.markers(),
        found.placeholders(),
        found.country_codes(),
    ];
    (cells, sentences.into_iter().flatten().collect())
}

/// Whether `NA` is one of the column's words.
fn keeps_na(column: &ColumnSurvey, format: &ColumnFormat) -> bool {
    let has_na = column.markers.first.as_deref() == Some(NA);
    has_na && matches!(format, ColumnFormat::Words { with_na: true })
}

type Part<'a> = (&'a str, &'a ColumnSurvey, &'a ColumnFormat);

impl<'a> Found<'a> {
    fn columns(&self) -> impl Iterator<Item = Part<'a>> {
        let names = self.names.iter().map(String::as_str);
        names
            .zip(self.columns)
            .zip(self.formats)
            .map(|((name, column), format)| (name, column, format))
    }

    fn numeric(&self) -> impl Iterator<Item = (&'a str, &'a ColumnSurvey, NumberFormat)> {
        self.columns().filter_map(|(name, column, format)| match format {
            ColumnFormat::Numbers(format) => Some((name, column, *format)),
            _ => None,
        })
    }

    /// The decimal mark of the table's numbers, if it matters for later tables.
    fn decimal(&self) -> Option<DecimalMark> {
        let marks = || {
            // Numbers with a plain point say nothing of later tables.
            let shows = |column: &ColumnSurvey, mark| match (&column.unusual, mark) {
                (Some((_, number)), DecimalMark::Point) => number.decorated,
                (unusual, DecimalMark::Comma) => unusual.is_some(),
                _ => false,
            };
            self.numeric().filter_map(move |(_, column, format)| {
                format.mark.filter(|&mark| shows(column, mark))
            })
        };
        marks().find(|&mark| mark == DecimalMark::Comma).or_else(|| marks().next())
    }

    fn lines(&self) -> Option<String> {
        let front = match self.dialect.front_lines {
            0 => None,
            1 => Some("the first line is none of the table and is left out".to_owned()),
            n => Some(format!("the first {n} lines are none of the table and are left out")),
        };
        let is_found = self.options.delimiter.is_none();
        let spaces = (is_found && self.dialect.delimiter == Delimiter::Spaces)
            .then(|| "runs of spaces divide the columns (else: --delimiter)".to_owned());
        match (front, spaces) {
            (Some(front), Some(spaces)) => Some(format!("{front}; {spaces}")),
            (front, spaces) => front.or(spaces),
        }
    }

    fn header(&self) -> Option<String> {
        if self.options.header.is_some() {
            return None;
        }
        let after = if self.dialect.front_lines > 0 { " of the table" } else { "" };
        Some(match self.has_header? {
            true if self.lacks_name => {
                format!("the first line{after} names all columns but the first, which is named 1")
            }
            true => {
                format!("the first line{after} names the columns (if it is a row: --header no)")
            }
            false => format!(
                "the first line{after} is a row, so columns are named by their numbers (if it names them: \
                 --header yes)"
            ),
        })
    }

    fn numbers(&self) -> Option<String> {
        let mut unusual = self.numeric().filter_map(|(name, column, format)| {
            let (text, number) = column.unusual.as_ref()?;
            let mark = format.mark?;
            let value = number.value(mark)?;
            // What a decimal point says by itself is no surprise.
            let is_plain = !number.decorated && number.point == Some(value);
            let is_certain = column.tally.mark().is_some();
            (!is_plain && !number.bound && !number.percent)
                .then_some((name, text, value, mark, is_certain))
        });
        let (name, text, value, mark, is_certain) = unusual.next()?;
        let others = others(unusual.count());
        let other = match mark {
            DecimalMark::Point => "comma",
            DecimalMark::Comma => "point",
        };
        let remedy = match is_certain {
            true => String::new(),
            false => format!(" (if that is wrong: --decimal {other})"),
        };
        Some(format!(
            "the column `{name}`{others} has numbers as `{}`, read as {value}{remedy}",
            shortened(text)
        ))
    }

    fn percents(&self) -> Option<String> {
        let mut percents = self.numeric().filter_map(|(name, column, format)| {
            let (text, number) = column.unusual.as_ref().filter(|_| format.percent)?;
            Some((name, text, number.value(format.mark?)?))
        });
        let (name, text, value) = percents.next()?;
        let others = others(percents.count());
        Some(format!("the column `{name}`{others} has percents, `{text}` read as {value}"))
    }

    fn bounds(&self) -> Option<String> {
        self.counted(
            |column, format| matches!(format, ColumnFormat::Numbers(_)).then_some(&column.bounds),
            |word| {
                format!(
                    "is a bound, taken for the number itself (to take it for a missing cell: --missing-words {word})"
                )
            },
        )
    }

    fn markers(&self) -> Option<String> {
        self.counted(
            |column, format| {
                let is_word = matches!(format, ColumnFormat::Words { .. });
                (is_word && !keeps_na(column, format)).then_some(&column.markers)
            },
            |word| format!("marks a missing cell (if it is a word: --not-missing {word})"),
        )
    }

    fn placeholders(&self) -> Option<String> {
        self.counted(
            |column, format| match format {
                ColumnFormat::Numbers(_) | ColumnFormat::Codes => Some(&column.placeholders),
                ColumnFormat::Words { .. } => None,
            },
            |_| "marks a missing cell".into(),
        )
    }

    fn country_codes(&self) -> Option<String> {
        self.counted(
            |column, format| keeps_na(column, format).then_some(&column.markers),
            |word| {
                format!(
                    "is a word as the others there, of two capital letters (if it marks a missing cell: \
                     --missing-words {word})"
                )
            },
        )
    }

    /// A sentence on the first column with such cells: how many there are, and what they are taken for.
    fn counted(
        &self,
        cells: impl Fn(&'a ColumnSurvey, &ColumnFormat) -> Option<&'a Counted>,
        taken_for: impl Fn(&str) -> String,
    ) -> Option<String> {
        let mut found = self.columns().filter_map(|(name, column, format)| {
            let Counted { cells, first } = cells(column, format)?;
            Some((name, *cells, first.as_ref()?))
        });
        let (name, cells, word) = found.next()?;
        let others = others(found.count());
        let times = if cells == 1 { "once".into() } else { format!("{cells} times") };
        let taken_for = taken_for(&typed_list([word.as_str()]));
        Some(format!("`{}`, {times} in the column `{name}`{others}, {taken_for}", shortened(word)))
    }
}

fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " (and one more)".into(),
        n => format!(" (and {n} more)"),
    }
}
