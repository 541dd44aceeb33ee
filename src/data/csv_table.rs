//! Reads delimited text into a [`Table`].
//!
//! The text streams through twice: once to learn what each column holds and how many rows there are,
//! once to take the values. That costs a second parse and saves holding any cell as a string.

mod cell;
mod detect;
mod preamble;
mod records;

use std::io::Read;

use csv::StringRecord;

use self::cell::{Cell, add_number, add_word, content};
use self::detect::{detect_delimiter, looks_like_header};
use self::preamble::Preamble;
use self::records::Records;
use super::column::{Column, Words};
use super::input::{Input, Watch};
use super::load::check_memory;
use super::numbers::Numbers;
use super::places::Places;
use super::table::Table;
use crate::{Error, Result};

/// How to read delimited text. The default finds out by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// ASCII character between fields. Default `None`: of tab, `;`, `|` and `,` the one that divides
    /// most of the first 16 lines into as many fields as the first, preferring the former (a comma
    /// may be part of a number or a sentence); where none does, a space that divides all of them so.
    pub delimiter: Option<u8>,
    /// Whether the first line names the columns. Default `None`: it does if none of its cells is a
    /// number or marked as missing, and either a number follows below one of them or none of them
    /// comes again in its column. Without a header the columns are named `1`, `2`, …. A first line as
    /// scikit-learn's tables have it (`150,4,setosa,versicolor,virginica`: rows, features, classes) is
    /// no header and no row; the classes' numbers become their names.
    pub header: Option<bool>,
}

/// Reads a table from UTF-8 text with quoted fields (RFC 4180), LF or CRLF, gzipped or not.
///
/// Spaces around cells and blank lines don't count. A cell that is empty or reads `NA`, `N/A`, `#N/A`, `<NA>`,
/// `?` or `null` (in any case), `nan`, `NaN` or `NAN` is missing. A column is numeric if all its other cells
/// are numbers; whole ones of which some have zeros in front (`00501`) keep these where they are names of classes
/// or categories. One that has a few others (text, infinities, numbers beyond the range of f32) is a column of
/// words, which [`Schema::fit`](super::Schema::fit) refuses by line unless it is told to leave the column out or
/// to take it for categories. What doesn't fit in 64 MiB waits in a temporary file to be read twice.
///
/// ```
/// use wgrad::data::{CsvOptions, read_csv};
///
/// let table = read_csv("size;kind\n1.5;a\n2;b\n".as_bytes(), "example", &CsvOptions::default())?;
/// assert_eq!((table.rows(), table.columns().len()), (2, 2));
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// Each with file and line: if reading fails, the text isn't UTF-8, there is no row, rows differ in
/// their number of fields, or two columns have the same name.
pub fn read_csv(reader: impl Read, source_name: &str, options: &CsvOptions) -> Result<Table> {
    let mut watch = |_| {};
    let mut input = Input::piped(source_name, reader, &mut watch)?;
    read_text(&mut input, options, u64::MAX, &mut watch)
}

/// As [`read_csv`], of a table that takes up to `memory` bytes.
pub(super) fn read_text(
    input: &mut Input,
    options: &CsvOptions,
    memory: u64,
    watch: &mut Watch,
) -> Result<Table> {
    let delimiter = match options.delimiter {
        Some(delimiter) => checked_delimiter(delimiter)?,
        None => detect_delimiter(input)?,
    };
    let layout = Layout::survey(input, delimiter, options.header, watch)?;
    let rows = layout.rows;
    check_memory(input.name(), rows, layout.names.len() as u64, memory)?;
    layout.read(input, delimiter, watch)
}

fn checked_delimiter(delimiter: u8) -> Result<u8> {
    if delimiter.is_ascii() && !b"\"\r\n".contains(&delimiter) {
        return Ok(delimiter);
    }
    Err(Error::Option {
        name: "delimiter",
        value: format!("`{}`", delimiter.escape_ascii()),
        expected: "one ASCII character other than a quote or a line end",
    })
}

/// What each column is called and holds, learnt before any value is taken.
struct Layout {
    has_header: bool,
    preamble: Option<Preamble>,
    names: Vec<String>,
    kinds: Vec<Kind>,
    rows: u64,
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Numbers,
    /// Whole numbers of which some have zeros in front.
    Codes,
    Words,
}

/// What the cells of one column are, the first line's left out.
#[derive(Clone, Copy, Default)]
struct Tally {
    numbers: u64,
    texts: u64,
    /// Of the numbers those that are nothing but digits.
    digits: u64,
    /// Whether one of these begins with a zero that doesn't count.
    zero_in_front: bool,
    /// Whether the first line's cell comes again.
    first_again: bool,
}

impl Tally {
    fn add(&mut self, field: &str) {
        let cell = Cell::parse(field);
        self.numbers += u64::from(cell.is_number());
        self.texts += u64::from(matches!(cell, Cell::Text(_)));
        let field = content(field).as_bytes();
        if matches!(cell, Cell::Number(_)) && field.iter().all(u8::is_ascii_digit) {
            self.digits += 1;
            self.zero_in_front |= field.len() > 1 && field[0] == b'0';
        }
    }

    /// An empty column is one of numbers.
    const fn kind(&self) -> Kind {
        match self {
            _ if self.texts > 0 && self.texts >= self.numbers => Kind::Words,
            _ if self.zero_in_front && self.texts == 0 && self.digits == self.numbers => {
                Kind::Codes
            }
            _ => Kind::Numbers,
        }
    }
}

impl Layout {
    fn survey(
        input: &mut Input,
        delimiter: u8,
        header: Option<bool>,
        watch: &mut Watch,
    ) -> Result<Self> {
        let name = input.name().to_owned();
        let mut first: Option<(u64, StringRecord)> = None;
        let mut preamble = None;
        let mut tallies = Vec::new();
        let mut later_rows = 0_u64;
        let records = Records::new(input, delimiter, "looking for columns", watch)?;
        records.for_each(|line, record| {
            if later_rows == 0 && preamble.is_none() && header != Some(true) {
                preamble = first.as_ref().and_then(|(_, above)| Preamble::of(above, record));
                first = first.take().filter(|_| preamble.is_none());
            }
            let Some((first_line, first)) = &first else {
                tallies = vec![Tally::default(); record.len()];
                first = Some((line, record.clone()));
                return Ok(());
            };
            if record.len() != first.len() {
                return Err(data_error(
                    &name,
                    format!(
                        "line {line} has {}, but line {first_line} has {}; \
                         check the delimiter `{}`, and quote fields that contain it",
                        fields(record.len()),
                        fields(first.len()),
                        delimiter.escape_ascii(),
                    ),
                ));
            }
            later_rows += 1;
            for ((tally, field), first) in tallies.iter_mut().zip(record).zip(first) {
                tally.add(field);
                tally.first_again = tally.first_again || content(field) == content(first);
            }
            Ok(())
        })?;

        let Some((_, first)) = first else {
            return Err(data_error(&name, "the file is empty".into()));
        };
        let has_header =
            header.unwrap_or_else(|| preamble.is_none() && looks_like_header(&first, &tallies));
        if has_header && later_rows == 0 {
            return Err(data_error(
                &name,
                "there is a header but no row below it (if its line is a row, say that there is no header)".into(),
            ));
        }
        if !has_header {
            for (tally, field) in tallies.iter_mut().zip(&first) {
                tally.add(field);
            }
        }
        let rows = later_rows + u64::from(!has_header);
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
        let column_name = |(number, field): (usize, &str)| match content(field) {
            field if has_header && !field.is_empty() => field.to_owned(),
            _ => number.to_string(),
        };
        Ok(Self {
            has_header,
            preamble,
            names: (1..).zip(&first).map(column_name).collect(),
            kinds: tallies.iter().map(Tally::kind).collect(),
            rows,
        })
    }

    fn read(self, input: &mut Input, delimiter: u8, watch: &mut Watch) -> Result<Table> {
        enum Building<'a> {
            Numeric(Numbers),
            Codes(Numbers, Words),
            Text(Words),
            Classes(Words, &'a Preamble),
        }
        // The survey counted them, so no more is set aside than the text has rows.
        let rows = usize::try_from(self.rows).unwrap_or(0);
        let start = |kind: &Kind| match kind {
            Kind::Numbers => Building::Numeric(Numbers::with_capacity(rows)),
            Kind::Codes => {
                Building::Codes(Numbers::with_capacity(rows), Words::with_capacity(rows))
            }
            Kind::Words => Building::Text(Words::with_capacity(rows)),
        };
        let source_name = input.name().to_owned();
        let mut columns: Vec<Building> = self.kinds.iter().map(start).collect();
        if let (Some(preamble), Some(classes)) = (&self.preamble, columns.last_mut()) {
            *classes = Building::Classes(Words::with_capacity(rows), preamble);
        }
        let mut places = Places::lines();
        let mut is_header = self.has_header || self.preamble.is_some();
        Records::new(input, delimiter, "reading", watch)?.for_each(|line, record| {
            if std::mem::take(&mut is_header) {
                return Ok(());
            }
            places.push(line);
            for ((column, field), name) in columns.iter_mut().zip(record).zip(&self.names) {
                let refused = |problem| Error::Cell {
                    source_name: source_name.clone(),
                    place: format!("line {line}"),
                    column: name.clone(),
                    problem,
                };
                match column {
                    Building::Numeric(numbers) => add_number(numbers, field),
                    Building::Classes(words, preamble) => {
                        words.push(Some(preamble.class(field).map_err(refused)?));
                    }
                    Building::Codes(numbers, words) => {
                        add_number(numbers, field);
                        add_word(words, field);
                    }
                    Building::Text(words) => add_word(words, field),
                }
            }
            Ok(())
        })?;
        let finish = |(column, name): (_, String)| match column {
            Building::Numeric(numbers) => numbers.into_column(name),
            Building::Codes(numbers, words) => {
                Column { codes: Some(words.into_values()), ..numbers.into_column(name) }
            }
            Building::Text(words) | Building::Classes(words, _) => {
                Column::new(name, words.into_values())
            }
        };
        let columns = columns.into_iter().zip(self.names).map(finish).collect();
        Table::with_places(source_name, columns, places, self.has_header)
    }
}

fn data_error(source_name: &str, problem: String) -> Error {
    Error::Data { source_name: source_name.to_owned(), problem }
}

fn fields(count: usize) -> String {
    format!("{count} field{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
