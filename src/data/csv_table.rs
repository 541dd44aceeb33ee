//! Reads delimited text into a [`Table`].
//!
//! The whole file is read first, then gone through twice: once to learn what each column holds,
//! once to take the values. That costs a second parse and saves holding every cell as a string.

mod cell;
mod detect;

use std::io::Read;

use csv::StringRecord;

use self::cell::{Cell, content, number};
use self::detect::{detect_delimiter, looks_like_header};
use super::table::{Column, ColumnValues, Table, Words};
use crate::{Error, Result};

/// How to read delimited text. The default finds out by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// ASCII character between fields. Default `None`: of tab, `;`, `|` and `,` the one that divides
    /// most of the first 16 lines into as many fields as the first, preferring the former (a comma
    /// may be part of a number or a sentence).
    pub delimiter: Option<u8>,
    /// Whether the first line names the columns. Default `None`: it does if none of its cells is a
    /// number or marked as missing, and either a number follows below one of them or none of them
    /// comes again in its column. Without a header the columns are named `1`, `2`, ….
    pub header: Option<bool>,
}

/// Reads a table from UTF-8 text with quoted fields (RFC 4180), LF or CRLF.
///
/// Spaces around cells and blank lines don't count. A cell that is empty or reads `NA`, `N/A`, `?` or
/// `null` (in any case) is missing. A column is numeric if more than half of its other cells read as
/// numbers.
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
/// their number of fields, two columns have the same name, or a cell of a numeric column is text,
/// NaN, infinite or beyond the range of f32.
pub fn read_csv(mut reader: impl Read, source_name: &str, options: &CsvOptions) -> Result<Table> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(Error::io(source_name))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        data_error(
            source_name,
            format!("line {} is not UTF-8 text; save the file as UTF-8", 1 + line_ends(before)),
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);

    let delimiter = match options.delimiter {
        Some(delimiter) => checked_delimiter(delimiter)?,
        None => detect_delimiter(text),
    };
    let source = Source { name: source_name, text, delimiter };
    let layout = Layout::survey(&source, options.header)?;
    layout.read(&source)
}

/// Text and how it is divided.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
    delimiter: u8,
}

impl Source<'_> {
    /// Calls `visit` with the line and the fields of each record that isn't blank.
    fn for_each(&self, mut visit: impl FnMut(u64, &StringRecord) -> Result<()>) -> Result<()> {
        let mut reader = reader(self.text, self.delimiter);
        let mut record = StringRecord::new();
        let (mut line, mut counted) = (1, 0);
        loop {
            let more = reader
                .read_record(&mut record)
                .map_err(|error| data_error(self.name, error.to_string()))?;
            if !more {
                return Ok(());
            }
            // The reader leaves line ends before a record to that record; the line to name is the
            // one that its first field is on.
            let start = record.position().map_or(0, |position| position.byte());
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.text.len());
            let blank = self.text[start..].len()
                - self.text[start..].trim_start_matches(['\r', '\n']).len();
            line += line_ends(&self.text.as_bytes()[counted..start + blank]);
            counted = start + blank;
            if record.iter().any(|field| !field.trim().is_empty()) || record.len() > 1 {
                visit(line, &record)?;
            }
        }
    }
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes())
}

/// Number of line ends: LF, CRLF or a lone CR.
fn line_ends(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for &byte in bytes {
        count += u64::from(byte == b'\r' || byte == b'\n' && previous != b'\r');
        previous = byte;
    }
    count
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
    names: Vec<String>,
    numeric: Vec<bool>,
}

/// What the cells of one column are, the first line's left out.
#[derive(Clone, Copy, Default)]
struct Tally {
    numbers: u64,
    texts: u64,
    /// Whether the first line's cell comes again.
    first_again: bool,
}

impl Tally {
    fn add(&mut self, cell: &Cell) {
        self.numbers += u64::from(cell.is_number());
        self.texts += u64::from(matches!(cell, Cell::Text(_)));
    }

    /// An empty column counts as numeric.
    const fn is_numeric(&self) -> bool {
        self.numbers > self.texts || self.texts == 0
    }
}

impl Layout {
    fn survey(source: &Source, header: Option<bool>) -> Result<Self> {
        let mut first: Option<(u64, StringRecord)> = None;
        let mut tallies = Vec::new();
        let mut later_rows = 0_u64;
        source.for_each(|line, record| {
            let Some((first_line, first)) = &first else {
                tallies.resize(record.len(), Tally::default());
                first = Some((line, record.clone()));
                return Ok(());
            };
            if record.len() != first.len() {
                return Err(data_error(
                    source.name,
                    format!(
                        "line {line} has {}, but line {first_line} has {}; \
                         check the delimiter `{}`, and quote fields that contain it",
                        fields(record.len()),
                        fields(first.len()),
                        source.delimiter.escape_ascii(),
                    ),
                ));
            }
            later_rows += 1;
            for ((tally, field), first) in tallies.iter_mut().zip(record).zip(first) {
                tally.add(&Cell::parse(field));
                tally.first_again |= content(field) == content(first);
            }
            Ok(())
        })?;

        let Some((_, first)) = first else {
            return Err(data_error(source.name, "the file is empty".into()));
        };
        let has_header = header.unwrap_or_else(|| looks_like_header(&first, &tallies));
        if has_header && later_rows == 0 {
            return Err(data_error(
                source.name,
                "there is a header but no row below it (if its line is a row, say that there is no header)".into(),
            ));
        }
        if !has_header {
            for (tally, field) in tallies.iter_mut().zip(&first) {
                tally.add(&Cell::parse(field));
            }
        }
        let name = |(number, field): (usize, &str)| match content(field) {
            field if has_header && !field.is_empty() => field.to_owned(),
            _ => number.to_string(),
        };
        Ok(Self {
            has_header,
            names: (1..).zip(&first).map(name).collect(),
            numeric: tallies.iter().map(Tally::is_numeric).collect(),
        })
    }

    fn read(self, source: &Source) -> Result<Table> {
        enum Building {
            Numeric(Vec<f32>),
            Text(Words),
        }
        let start = |&numeric: &bool| {
            if numeric { Building::Numeric(vec![]) } else { Building::Text(Words::default()) }
        };
        let mut columns: Vec<Building> = self.numeric.iter().map(start).collect();
        let mut lines = Vec::new();
        let mut is_header = self.has_header;
        source.for_each(|line, record| {
            if std::mem::take(&mut is_header) {
                return Ok(());
            }
            lines.push(line);
            for ((column, field), name) in columns.iter_mut().zip(record).zip(&self.names) {
                match column {
                    Building::Numeric(values) => {
                        values.push(number(field).map_err(|problem| Error::Cell {
                            source_name: source.name.to_owned(),
                            line,
                            column: name.clone(),
                            problem,
                        })?);
                    }
                    Building::Text(words) => words.push(match Cell::parse(field) {
                        Cell::Missing => None,
                        _ => Some(content(field)),
                    }),
                }
            }
            Ok(())
        })?;
        let finish = |(column, name)| Column {
            name,
            values: match column {
                Building::Numeric(values) => ColumnValues::Numeric(values),
                Building::Text(words) => words.into_values(),
            },
        };
        let columns = columns.into_iter().zip(self.names).map(finish).collect();
        Table::with_lines(source.name.to_owned(), columns, lines, self.has_header)
    }
}

fn data_error(source_name: &str, problem: String) -> Error {
    Error::Data { source_name: source_name.to_owned(), problem }
}

fn fields(count: usize) -> String {
    format!("{count} field{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    pub(super) fn read_with(text: impl AsRef<[u8]>, options: &CsvOptions) -> Result<Table> {
        read_csv(text.as_ref(), "t.csv", options)
    }

    pub(super) fn read(text: impl AsRef<[u8]>) -> Table {
        read_with(text, &CsvOptions::default()).unwrap()
    }

    pub(super) fn message(text: impl AsRef<[u8]>) -> String {
        read_with(text, &CsvOptions::default()).unwrap_err().to_string()
    }

    pub(super) fn header(header: bool) -> CsvOptions {
        CsvOptions { header: Some(header), ..CsvOptions::default() }
    }

    pub(super) fn names(table: &Table) -> Vec<&str> {
        table.columns().iter().map(|column| column.name.as_str()).collect()
    }

    /// The cells of a row, `-` where one is missing.
    pub(super) fn row(table: &Table, row: usize) -> String {
        let word = |column: &Column| column.word(row).map_or("-".into(), |word| word.into_owned());
        table.columns().iter().map(word).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn numbers_and_words_become_columns() {
        let table = read("size,kind\n1.5,b\n-2e3,a\n,\n");
        assert_eq!(names(&table), ["size", "kind"]);
        assert!(
            matches!(&table.columns()[0].values, ColumnValues::Numeric(values) if values[1] == -2000.0)
        );
        let ColumnValues::Text { codes, values } = &table.columns()[1].values else {
            panic!("kind is text")
        };
        assert_eq!(
            (&codes[..2], &values[..]),
            (&[1, 0][..], &["a".to_owned(), "b".to_owned()][..])
        );
        assert_eq!(row(&table, 2), "-|-");
        assert!(table.has_header());
    }

    #[test]
    fn every_way_to_write_a_table_reads_the_same() {
        let plain = read("x,kind\n1,a b\n2,\"c, d\"\n");
        assert_eq!(row(&plain, 1), "2|c, d");
        for text in [
            "\u{feff}x,kind\n1,a b\n2,\"c, d\"\n",
            "x,kind\r\n1,a b\r\n2,\"c, d\"\r\n",
            "x,kind\n1,a b\n2,\"c, d\"",
            "x,kind\n1,a b\n2,\"c, d\"\n\n\n  \n",
            " x , kind\n 1 , a b \n 2,\" c, d \"\n",
            "x\tkind\n1\ta b\n2\tc, d\n",
            "x;kind\n1;a b\n2;c, d\n",
            "x|kind\n1|a b\n2|\"c, d\"\n",
            "\"x\", \"kind\"\n\"1\", \"a b\"\n2,\"c, d\"\n",
        ] {
            let table = read(text);
            assert_eq!(table.columns(), plain.columns(), "{text:?}");
        }
    }

    #[test]
    fn a_given_delimiter_is_used() {
        let options = |delimiter| CsvOptions { delimiter: Some(delimiter), header: None };
        assert_eq!(read_with("a b\n1 2\n", &options(b' ')).unwrap().columns().len(), 2);
        for (delimiter, shown) in [(b'"', "`\\\"`"), (b'\n', "`\\n`"), (0xff, "`\\xff`")] {
            assert_eq!(
                read_with("a\n1\n", &options(delimiter)).unwrap_err().to_string(),
                format!(
                    "delimiter is {shown}, but must be one ASCII character other than a quote or a line end"
                )
            );
        }
    }

    #[test]
    fn lines_are_those_an_editor_shows() {
        for (text, line) in [
            ("x,y\n1,2\n3,oops\n5,6\n7,8\n", 3),
            ("x,y\r\n1,2\r\n3,oops\r\n5,6\r\n7,8\r\n", 3),
            ("x,y\r1,2\r3,oops\r5,6\r7,8\r", 3),
            ("\n\nx,y\n1,2\n\n\n3,oops\n5,6\n7,8\n", 7),
            ("\u{feff}x,y\n1,2\n   \n3,oops\n5,6\n7,8\n", 4),
            ("x,y\n\"1\n\",2\n3,oops\n5,6\n7,8\n", 4),
        ] {
            let expected = format!("t.csv, line {line}, column y: `oops`");
            assert!(message(text).starts_with(&expected), "{text:?}: {}", message(text));
        }
        assert_eq!(read("x\n1\n\n2\n").line(1), 4);
    }

    #[test]
    fn ragged_rows_are_refused() {
        assert_eq!(
            message("a,b,c\n1,2,3\n4,5\n"),
            "t.csv: line 3 has 2 fields, but line 1 has 3 fields; \
             check the delimiter `,`, and quote fields that contain it"
        );
        assert!(message("a\tb\n1\t2\n\n4\t5\t6\n").contains("line 4 has 3 fields"));
        assert!(message("a\tb\n1\n").contains("check the delimiter `\\t`"));
    }

    #[test]
    fn files_without_rows_are_refused() {
        for text in ["", "\n\n", "\u{feff}", "  \n"] {
            assert_eq!(message(text), "t.csv: the file is empty", "{text:?}");
        }
        assert_eq!(
            message("a,b\n\n"),
            "t.csv: there is a header but no row below it \
             (if its line is a row, say that there is no header)"
        );
        assert!(read_with("1,2\n", &header(true)).is_err());
    }

    #[test]
    fn names_must_differ() {
        assert_eq!(
            message("a,b,a\n1,2,3\n"),
            "t.csv: columns 1 and 3 are both named `a`; rename one of them"
        );
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(
            message(b"x,y\r\n1,2\r\n3,caf\xe9\r\n"),
            "t.csv: line 3 is not UTF-8 text; save the file as UTF-8"
        );
        assert!(message(b"\xff\xfea\0,\0b\0").contains("line 1 is not UTF-8"));
    }

    #[test]
    fn a_failing_reader_is_reported() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("unplugged"))
            }
        }
        let error = read_csv(Broken, "t.csv", &CsvOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "t.csv: unplugged");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        /// What separates, quotes, counts or is missing, and some that isn't text.
        const PIECES: [&[u8]; 20] = [
            b",",
            b";",
            b"\t",
            b"|",
            b"\n",
            b"\r\n",
            b"\r",
            b"\"",
            b" ",
            b"1",
            b"-2.5",
            b"1e99",
            b"nan",
            b"NA",
            b"?",
            b"abc",
            b"\xef\xbb\xbf",
            "é".as_bytes(),
            b"\xff",
            b"\0",
        ];
        let mut random = Stream::new(1, Purpose::Synthetic, 0);
        let mut read = 0;
        for _ in 0..20_000 {
            let length = random.below(30);
            // Most of the pieces that aren't text would end the reading at once.
            let kinds = if random.below(4) == 0 { 20 } else { 18 };
            let text: Vec<u8> =
                (0..length).flat_map(|_| PIECES[random.below(kinds) as usize]).copied().collect();
            let options = CsvOptions {
                delimiter: [None, Some(b','), Some(b' ')][random.below(3) as usize],
                header: [None, Some(true), Some(false)][random.below(3) as usize],
            };
            if let Ok(table) = read_with(&text, &options) {
                read += 1;
                let lines = 1 + line_ends(&text);
                assert!(
                    (0..table.rows()).all(|row| (1..=lines).contains(&table.line(row))),
                    "{text:?}"
                );
                let missing: usize = table.columns().iter().map(Column::missing).sum();
                assert!(missing <= table.rows() * table.columns().len());
            }
        }
        assert!(read > 1000, "only {read} of the texts were tables");
    }
}
