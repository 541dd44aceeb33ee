//! The first pass through a text: what its columns are called and hold, and how many rows there are.

use csv::StringRecord;

use super::CsvOptions;
use super::assumptions::{Found, assumptions};
use super::cell::{Cell, CellOptions, NA, content};
use super::data_error;
use super::dialect::{Delimiter, Dialect};
use super::header::looks_like_names;
use super::notes::Notes;
use super::number::{NumberFormat, NumberTally};
use super::preamble::Preamble;
use super::records::Records;
use crate::Result;
use crate::data::input::{Input, Watch};
use crate::data::written_number::{DecimalMark, Written};

/// What is known before any value is taken.
pub(super) struct Survey {
    pub has_header: bool,
    pub preamble: Option<Preamble>,
    pub names: Vec<String>,
    pub columns: Vec<ColumnFormat>,
    pub rows: u64,
    /// The options for a later table like this one: with the decimal mark and the words found here.
    pub cells: CellOptions,
    /// What was taken for granted, a sentence each.
    pub assumptions: Vec<String>,
}

/// How the cells of a column are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum ColumnFormat {
    Numbers(NumberFormat),
    /// Whole numbers of which some have zeros in front.
    Codes,
    Words {
        /// Whether `NA` is one of them.
        with_na: bool,
    },
}

/// What the cells of a column are, without the first line's.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnSurvey {
    pub numbers: u64,
    pub texts: u64,
    /// How many of the numbers are nothing but digits.
    digits: u64,
    /// Whether one of these begins with a zero that doesn't count.
    zero_in_front: bool,
    pub tally: NumberTally,
    /// The first number that isn't just digits and a point, or is another one with a decimal comma.
    pub unusual: Option<(String, Written)>,
    pub bounds: Counted,
    /// Words that mark a missing cell in any column.
    pub markers: Counted,
    /// Words that mark one in a column of numbers.
    pub placeholders: Counted,
    /// Whether a word is another than two capital letters, as codes of countries are.
    has_long_words: bool,
}

/// How many cells, and the first of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub cells: u64,
    pub first: Option<String>,
}

impl Counted {
    fn add(&mut self, field: &str) {
        self.cells += 1;
        self.first.get_or_insert_with(|| field.to_owned());
    }
}

impl ColumnSurvey {
    fn add(&mut self, field: &str, options: &CellOptions) {
        let cell = Cell::parse(field, options);
        let field = content(field);
        match cell {
            Cell::Missing if field.is_empty() => {}
            Cell::Missing => self.markers.add(field),
            Cell::Placeholder(_) => self.placeholders.add(field),
            Cell::NotFinite => self.numbers += 1,
            Cell::Text(_) => {
                self.texts += 1;
                let is_code = field.len() == 2 && field.bytes().all(|b| b.is_ascii_uppercase());
                self.has_long_words |= !is_code;
            }
            Cell::Number(number) => {
                self.numbers += 1;
                self.tally.add(&number);
                if number.decorated || number.is_ambiguous() {
                    self.unusual.get_or_insert_with(|| (field.to_owned(), number));
                }
                if number.bound {
                    self.bounds.add(field);
                }
                if field.bytes().all(|byte| byte.is_ascii_digit()) {
                    self.digits += 1;
                    self.zero_in_front |= field.len() > 1 && field.starts_with('0');
                }
            }
        }
    }

    /// An empty column is one of numbers.
    fn format(&self, options: &CellOptions, shared: Option<DecimalMark>) -> ColumnFormat {
        /// Fewer codes of countries may be so by chance.
        const FEW: u64 = 5;
        if self.texts >= self.numbers && self.texts + self.placeholders.cells > 0 {
            let are_codes = self.texts >= FEW && !self.has_long_words && self.numbers == 0;
            return ColumnFormat::Words { with_na: are_codes && !options.is_marker(NA) };
        }
        let all_digits = self.texts == 0 && self.digits == self.numbers;
        if self.zero_in_front && all_digits {
            return ColumnFormat::Codes;
        }
        ColumnFormat::Numbers(NumberFormat::of(
            &self.tally,
            self.numbers,
            options.decimal.or(shared),
        ))
    }
}

/// The lines of a table, taken one by one.
#[derive(Default)]
struct Lines {
    /// Where the first one stands, and its fields.
    first: Option<(u64, StringRecord)>,
    preamble: Option<Preamble>,
    /// Whether the first one lacks the name of the first column.
    lacks_name: bool,
    columns: Vec<ColumnSurvey>,
    /// How many follow the first one.
    below: u64,
    /// Some of these, by which it is decided whether the first one names the columns.
    sample: Vec<StringRecord>,
    sample_bytes: usize,
}

impl Lines {
    fn add(
        &mut self,
        line: u64,
        record: &StringRecord,
        options: &CsvOptions,
    ) -> Result<(), String> {
        /// Most rows of the sample, and bytes.
        const SAMPLE: (usize, usize) = (1000, 1 << 22);
        if self.below == 0 && self.preamble.is_none() && options.header != Some(true) {
            let preamble = self.first.as_ref().and_then(|(_, above)| Preamble::of(above, record));
            self.first = self.first.take().filter(|_| preamble.is_none());
            self.preamble = preamble;
        }
        let Some((first_line, first)) = &mut self.first else {
            self.columns = vec![ColumnSurvey::default(); record.len()];
            self.first = Some((line, record.clone()));
            return Ok(());
        };
        if self.below == 0
            && options.header != Some(false)
            && lacks_name(first, record, &options.cells)
        {
            self.lacks_name = true;
            *first = std::iter::once("").chain(first.iter()).collect();
            self.columns.push(ColumnSurvey::default());
        }
        if record.len() != first.len() {
            let (got, expected) = (fields(record.len()), fields(first.len()));
            return Err(format!("line {line} has {got}, but line {first_line} has {expected}"));
        }
        self.below += 1;
        for (column, field) in self.columns.iter_mut().zip(record) {
            column.add(field, &options.cells);
        }
        if self.sample.len() < SAMPLE.0 && self.sample_bytes < SAMPLE.1 {
            self.sample_bytes += record.as_slice().len();
            self.sample.push(record.clone());
        }
        Ok(())
    }
}

impl Survey {
    pub(super) fn new(
        input: &mut Input,
        dialect: Dialect,
        options: &CsvOptions,
        watch: &mut Watch,
    ) -> Result<Self> {
        let name = input.name().to_owned();
        let mut lines = Lines::default();
        let mut notes = Notes::default();
        let ragged = |problem: String| {
            let by = match dialect.delimiter {
                Delimiter::Spaces => "spaces divide them, so quote those that contain some".into(),
                Delimiter::Byte(byte) => format!(
                    "check the delimiter `{}`, and quote fields that contain it",
                    byte.escape_ascii()
                ),
            };
            data_error(&name, format!("{problem}; {by}"))
        };
        Records::new(input, dialect, "looking for columns", watch)?.for_each(|line, record| {
            if notes.hold(line, record) {
                return Ok(());
            }
            for (line, record) in notes.release() {
                lines.add(line, &record, options).map_err(ragged)?;
            }
            lines.add(line, record, options).map_err(ragged)
        })?;
        let Lines { first, preamble, lacks_name, mut columns, below, sample, .. } = lines;

        let Some((_, first)) = first else {
            return Err(data_error(&name, "the file is empty".into()));
        };
        let has_header = options.header.unwrap_or_else(|| {
            preamble.is_none()
                && (lacks_name
                    || has_names(&first, &options.names)
                    || looks_like_names(&first, &sample, &options.cells))
        });
        if has_header && below == 0 {
            return Err(data_error(
                &name,
                "there is a header but no row below it (if its line is a row, say that there is no header)".into(),
            ));
        }
        if !has_header {
            for (column, field) in columns.iter_mut().zip(&first) {
                column.add(field, &options.cells);
            }
        }
        let rows = below + u64::from(!has_header);
        if let Some(Preamble { rows: said, .. }) =
            preamble.as_ref().filter(|said| said.rows != rows)
        {
            return Err(data_error(
                &name,
                format!(
                    "its first line says that {said} rows follow, but there are {rows}; is the file whole?"
                ),
            ));
        }
        let is_taken = |name: &str| has_header && first.iter().any(|field| content(field) == name);
        let column_name = |(number, field): (usize, &str)| match content(field) {
            field if has_header && !field.is_empty() => field.to_owned(),
            _ if is_taken(&number.to_string()) => format!("column {number}"),
            _ => number.to_string(),
        };
        let names: Vec<String> = (1..).zip(&first).map(column_name).collect();
        let shared = shared_mark(&columns);
        let formats: Vec<ColumnFormat> =
            columns.iter().map(|column| column.format(&options.cells, shared)).collect();
        let (cells, mut assumptions) = assumptions(&Found {
            options,
            dialect,
            has_header: preamble.is_none().then_some(has_header),
            lacks_name,
            names: &names,
            columns: &columns,
            formats: &formats,
        });
        assumptions.extend(notes.assumption());
        Ok(Self { has_header, preamble, names, columns: formats, rows, cells, assumptions })
    }
}

/// Whether the first line has all names that are known. Whole numbers but 0 may be numbers of columns.
fn has_names(first: &StringRecord, names: &[String]) -> bool {
    let is_number = |name: &String| name.parse::<i64>().is_ok_and(|number| number != 0);
    let holds = |name: &String| first.iter().any(|cell| content(cell) == name);
    names.iter().any(|name| !is_number(name))
        && names.iter().all(|name| is_number(name) || holds(name))
}

/// Whether the first line names all columns but the first, as R's `write.table` does with names of rows.
fn lacks_name(first: &StringRecord, below: &StringRecord, options: &CellOptions) -> bool {
    let parse = |cell| Cell::parse(cell, options);
    let is_name = |cell| !matches!(parse(cell), Cell::Number(_)) && !content(cell).is_empty();
    let names_row =
        |cell| matches!(parse(cell), Cell::Text(_)) || matches!(content(cell), "0" | "1");
    first.len() + 1 == below.len()
        && first.iter().all(is_name)
        && below.iter().next().is_some_and(names_row)
        && below.iter().all(|cell| !content(cell).is_empty())
}

/// The decimal mark that the columns show, if they agree.
fn shared_mark(columns: &[ColumnSurvey]) -> Option<DecimalMark> {
    let mut marks = columns.iter().filter_map(|column| column.tally.mark());
    let first = marks.next()?;
    marks.all(|mark| mark == first).then_some(first)
}

fn fields(count: usize) -> String {
    format!("{count} field{}", if count == 1 { "" } else { "s" })
}
