//! Reads delimited text into a [`Table`].
//!
//! The text streams through twice: once to learn what each column holds and how many rows there are
//! ([`survey`]), once to take the values. That costs a second parse and saves holding any cell as a string.

mod assumptions;
mod cell;
mod dialect;
mod header;
mod notes;
mod number;
mod preamble;
mod records;
mod survey;
mod whitespace;

use std::collections::BTreeSet;
use std::io::Read;

pub use self::cell::CellOptions;
use self::cell::{Cell, NA, content};
pub use self::dialect::Delimiter;
use self::dialect::Dialect;
use self::number::NumberFormat;
use self::preamble::Preamble;
use self::records::Records;
use self::survey::{ColumnFormat, Survey};
use super::column::{Column, Words};
use super::input::{Input, Watch};
use super::load::check_memory;
use super::numbers::Numbers;
use super::places::Places;
use super::table::Table;
use super::wording::{shortened, typed_list};
use crate::{Error, Result};

/// How to read delimited text. The default finds out by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// What stands between fields. Default `None`: of tab, `;`, `|` and `,` the one that divides most of the
    /// first 100 lines into equally many fields, preferring the former (a comma may be part of a number or
    /// a sentence); runs of spaces if they divide all lines so and none of the others does, or if tabs leave
    /// several numbers in a field. A first line `sep=;` gives it.
    pub delimiter: Option<Delimiter>,
    /// Whether the first line names the columns. Default `None`: all columns decide together, by how often
    /// cells like the first one stand below it; numbers are names if they are 0, 1, 2, … or years. Without a
    /// header the columns are named `1`, `2`, …. A first line as scikit-learn's tables have it
    /// (`150,4,setosa,versicolor,virginica`: rows, features, classes) is no header and no row; the classes'
    /// numbers become their names.
    pub header: Option<bool>,
    /// Names of columns that the table must have: a first line with all of them is a header, unless
    /// [`header`](Self::header) is given. Whole numbers but 0 don't count, as they may be numbers of columns.
    /// Default: none.
    pub names: Vec<String>,
    /// How cells are read.
    pub cells: CellOptions,
}

/// Reads a table from UTF-8 text with quoted fields (RFC 4180), LF or CRLF, gzipped or not.
///
/// Spaces around cells and blank lines don't count. A quote within a quoted field is `""`, or `\"` if the quotes
/// fit only so. Up to 20 lines before the table (titles, comments with `#`, `sep=;`) and after it (notes) are
/// left out if they don't have the table's fields.
///
/// A cell is missing if it is empty or reads `NA`, `N/A`, `n/a`, `#N/A`, `<NA>`, `?`, `NULL`, `null`, `NaN`,
/// `nan` or `NAN`; in a column of numbers also in any other case, and as `None`, `N.A.`, `-`, `--`, `---`, `.`,
/// `..` or `...`. In a column of two capital letters each, `NA` is a word. [`CellOptions`] change that.
///
/// A column is one of numbers if more of its cells are numbers than other words. Numbers may have a decimal
/// comma, groups of thousands (`1.299,99`, `1 299`, `$1,200`), a currency, a percent sign (`12 %` is 12) or be
/// bounds (`<0.006` is 0.006). Whole ones of which some have zeros in front (`00501`) keep these where they are
/// names of classes or categories. A column of numbers with a few other cells (text, infinities, numbers beyond
/// the range of f32) is read as one of words, which [`Schema::fit`](super::Schema::fit) refuses by line unless
/// the options leave the column out or make it one of categories. [`Table::assumptions`] lists what was taken for
/// granted. What doesn't fit in 64 MiB waits in a temporary file to be read twice.
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
    let dialect = Dialect::detect(input, options.delimiter)?;
    let survey = Survey::new(input, dialect, options, watch)?;
    check_memory(input.name(), survey.rows, survey.names.len() as u64, memory)?;
    read_values(input, dialect, survey, &options.cells, watch)
}

/// The second pass.
fn read_values(
    input: &mut Input,
    dialect: Dialect,
    survey: Survey,
    options: &CellOptions,
    watch: &mut Watch,
) -> Result<Table> {
    // The survey counted them, so no more is set aside than the text has rows.
    let rows = usize::try_from(survey.rows).unwrap_or(0);
    let source_name = input.name().to_owned();
    let mut columns: Vec<Cells> =
        survey.columns.iter().map(|&format| Cells::new(format, rows)).collect();
    if let (Some(preamble), Some(classes)) = (&survey.preamble, columns.last_mut()) {
        *classes = Cells::Classes(Words::with_capacity(rows), preamble);
    }
    let mut places = Places::lines();
    let mut is_header = survey.has_header || survey.preamble.is_some();
    Records::new(input, dialect, "reading", watch)?.for_each(|line, record| {
        // Notes may follow.
        if std::mem::take(&mut is_header) || places.rows() == rows {
            return Ok(());
        }
        places.push(line);
        for ((column, field), name) in columns.iter_mut().zip(record).zip(&survey.names) {
            column.push(field, options).map_err(|problem| Error::Cell {
                source_name: source_name.clone(),
                place: format!("line {line}"),
                column: name.clone(),
                problem,
            })?;
        }
        Ok(())
    })?;
    let has_header = survey.has_header;
    let columns =
        columns.into_iter().zip(survey.names).map(|(cells, name)| cells.finish(name, has_header));
    let table = Table::with_places(source_name, columns.collect(), places, survey.has_header)?;
    Ok(table.with_reading(survey.cells, survey.assumptions))
}

/// The cells of a column while they are read.
enum Cells<'a> {
    Numbers(NumberCells),
    Codes(Numbers, Words),
    Words {
        words: Words,
        with_na: bool,
    },
    /// The numbers of classes that a preamble names.
    Classes(Words, &'a Preamble),
}

impl Cells<'_> {
    fn new(format: ColumnFormat, rows: usize) -> Self {
        match format {
            ColumnFormat::Numbers(format) => Self::Numbers(NumberCells {
                format,
                numbers: Numbers::with_capacity(rows),
                other_words: BTreeSet::new(),
                begins_with_word: None,
            }),
            ColumnFormat::Codes => {
                Self::Codes(Numbers::with_capacity(rows), Words::with_capacity(rows))
            }
            ColumnFormat::Words { with_na } => {
                Self::Words { words: Words::with_capacity(rows), with_na }
            }
        }
    }

    fn push(&mut self, field: &str, options: &CellOptions) -> std::result::Result<(), String> {
        match self {
            Self::Numbers(cells) => cells.push(field, options),
            Self::Codes(numbers, words) => {
                let cell = Cell::parse(field, options);
                let number = cell.number();
                numbers.push(number.unwrap_or(f64::NAN))?;
                words.push(number.is_some().then(|| content(field)));
            }
            Self::Words { words, with_na } => {
                let is_missing = Cell::parse(field, options) == Cell::Missing;
                let is_word = *with_na && content(field) == NA;
                words.push((!is_missing || is_word).then(|| content(field)));
            }
            Self::Classes(words, preamble) => words.push(Some(preamble.class(field)?)),
        }
        Ok(())
    }

    fn finish(self, name: String, has_header: bool) -> Column {
        match self {
            Self::Numbers(cells) => cells.finish(name, has_header),
            Self::Codes(numbers, words) => {
                Column { codes: Some(words.into_values()), ..numbers.into_column(name) }
            }
            Self::Words { words, .. } | Self::Classes(words, _) => {
                Column::new(name, words.into_values())
            }
        }
    }
}

/// The cells of a column of numbers.
struct NumberCells {
    format: NumberFormat,
    numbers: Numbers,
    /// The different words among them, as many as may be markers of missing cells and one more.
    other_words: BTreeSet<String>,
    /// Whether the first cell that is no number is a word.
    begins_with_word: Option<bool>,
}

/// So many different words in a column of numbers may mark missing cells.
const MOST_MARKERS: usize = 3;

impl NumberCells {
    fn push(&mut self, field: &str, options: &CellOptions) {
        let text = content(field);
        let cell = Cell::parse(field, options);
        let is_word = matches!(cell, Cell::Text(_));
        let added = match cell {
            Cell::Missing | Cell::Placeholder(_) => {
                self.numbers.push_missing();
                Ok(())
            }
            Cell::Number(number) => {
                self.format.read(&number, text).and_then(|number| self.numbers.push(number))
            }
            Cell::Text(text) => {
                if self.other_words.len() <= MOST_MARKERS {
                    self.other_words.insert(text.to_owned());
                }
                Err(format!("`{}` is not a number, but most of the column is", shortened(text)))
            }
            Cell::NotFinite if text.contains(|c: char| c.is_ascii_digit()) => Err(format!(
                "`{}` is beyond the range of f32 (±{:e}); use another unit",
                shortened(text),
                f32::MAX
            )),
            Cell::NotFinite => Err(format!(
                "`{text}` is not a finite number; remove the row, or leave the cell empty if the value is missing"
            )),
        };
        if let Err(problem) = added {
            self.begins_with_word.get_or_insert(is_word);
            self.numbers.push_stray(text, problem);
        }
    }

    fn finish(self, name: String, has_header: bool) -> Column {
        let Self { mut numbers, other_words, begins_with_word, .. } = self;
        if begins_with_word == Some(true) {
            numbers.add_remedy(&match other_words.len() {
                _ if !has_header && numbers.first_stray() == Some(0) => {
                    "the first line is taken for a row; if it names the columns: --header yes"
                        .into()
                }
                1..=MOST_MARKERS => format!(
                    "correct it, or say that it marks a missing value: --missing-words {}",
                    typed_list(other_words.iter().map(String::as_str))
                ),
                _ => "correct it, or leave the cell empty if the value is missing".into(),
            });
        }
        numbers.into_column(name)
    }
}

fn data_error(source_name: &str, problem: String) -> Error {
    Error::Data { source_name: source_name.to_owned(), problem }
}

#[cfg(test)]
mod tests;
