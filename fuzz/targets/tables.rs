//! Tables whose truth is known: rows, names, kinds and cells come out as they were written, in whichever way. Each
//! text is read by a plain reader too, so that the writer is checked as well.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use wgrad::data::{Column, ColumnValues, CsvOptions, read_csv};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match Written::new(&mut Unstructured::new(bytes)) {
        Ok(written) => {
            written.check();
            Corpus::Keep
        }
        Err(_) => Corpus::Reject,
    }
});

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug)]
enum Number {
    Plain,
    Comma,
    GroupedPoint,
    GroupedComma,
    Spaced,
    Dollars,
    Percent,
}

const NUMBERS: [Number; 7] = [
    Number::Plain,
    Number::Comma,
    Number::GroupedPoint,
    Number::GroupedComma,
    Number::Spaced,
    Number::Dollars,
    Number::Percent,
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Number(Number),
    Word,
}

/// What a cell says.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Missing,
    /// Hundredths.
    Number(i64),
    Word(&'static str),
}

/// Words that need quotes, look like other things or hold what divides; none is a number or a marker.
const WORDS: [&str; 12] = [
    "red", "dark blue", "a, b", "semi;colon", "tab\there", "say \"so\"", "\"quoted\"", "line\nbreak", "Nan", "Na",
    "12 kg", "ünïcode|bar",
];
const NAMES: [&str; 6] = ["size", "a longer name", "with, comma", "\"in quotes\"", "Na", "größe"];
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
const MISSING: [&str; 5] = ["", "NA", "nan", "?", "null"];

/// A table and its text.
#[derive(Debug)]
struct Written {
    kinds: Vec<Kind>,
    /// Row by row.
    cells: Vec<Vec<Cell>>,
    has_header: bool,
    front: bool,
    notes: bool,
    text: String,
    delimiter: char,
}

impl Written {
    fn new(u: &mut Unstructured) -> Result<Self> {
        let columns = u.int_in_range(2..=NAMES.len())?;
        let rows = u.int_in_range(4..=30)?;
        let mut kinds = Vec::new();
        for column in 0..columns {
            // Numbers tell a header from a row.
            let is_number = column == 0 || u.arbitrary()?;
            let number = Kind::Number(*u.choose(&NUMBERS)?);
            kinds.push(if is_number { number } else { Kind::Word });
        }
        let mut cells = Vec::new();
        for row in 0..rows {
            let cell = |kind: &Kind| {
                // The first rows show how the numbers are written, and that there are some.
                if row >= 4 && u.ratio(1, 8)? {
                    return Ok(Cell::Missing);
                }
                Ok(match kind {
                    // Decimals in the first row, thousands in the second.
                    Kind::Number(_) if row == 0 => Cell::Number(25 + 100 * u.int_in_range(0..=99)?),
                    Kind::Number(_) if row == 1 => Cell::Number(123_456_750),
                    Kind::Number(_) => Cell::Number(u.int_in_range(-2_000_000..=2_000_000)?),
                    Kind::Word => Cell::Word(u.choose(&WORDS)?),
                })
            };
            cells.push(kinds.iter().map(cell).collect::<Result<Vec<_>>>()?);
        }
        let (has_header, front, notes) = (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
        let delimiter = *u.choose(&DELIMITERS)?;
        let end = if u.arbitrary()? { "\r\n" } else { "\n" };
        let quotes_all: bool = u.arbitrary()?;
        let field = |text: &str| {
            let special = [delimiter, '"', '\n', '\r'];
            match quotes_all || text.contains(special) {
                true => format!("\"{}\"", text.replace('"', "\"\"")),
                false => text.to_owned(),
            }
        };
        let line = |fields: Vec<String>| fields.join(&delimiter.to_string()) + end;
        let mut text = String::new();
        if front {
            text += &format!("A title of the table{end}");
        }
        if has_header {
            text += &line(NAMES[..columns].iter().map(|name| field(name)).collect());
        }
        for row in &cells {
            let fields = row.iter().zip(&kinds).map(|(cell, kind)| {
                Ok(field(&match (cell, kind) {
                    (Cell::Missing, _) => (*u.choose(&MISSING)?).to_owned(),
                    (Cell::Word(word), _) => (*word).to_owned(),
                    (Cell::Number(number), Kind::Number(form)) => shown(*number, *form),
                    (Cell::Number(_), Kind::Word) => unreachable!("words hold no numbers"),
                }))
            });
            text += &line(fields.collect::<Result<_>>()?);
        }
        if notes {
            text += &format!("Source: made up{end}");
        }
        Ok(Self { kinds, cells, has_header, front, notes, text, delimiter })
    }

    fn check(&self) {
        let plain = plain_records(&self.text, self.delimiter);
        let extra = usize::from(self.has_header) + usize::from(self.front) + usize::from(self.notes);
        assert_eq!(plain.len(), self.cells.len() + extra, "{:?}", self.text);

        let table = read_csv(self.text.as_bytes(), "fuzz", &CsvOptions::default())
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text));
        assert_eq!(table.has_header(), self.has_header, "{:?}", self.text);
        assert_eq!(table.rows(), self.cells.len(), "{:?}", self.text);
        assert_eq!(table.columns().len(), self.kinds.len(), "{:?}", self.text);
        for (i, (column, kind)) in table.columns().iter().zip(&self.kinds).enumerate() {
            if self.has_header {
                assert_eq!(column.name, NAMES[i]);
            }
            let is_numeric = matches!(column.values, ColumnValues::Numeric(_));
            assert_eq!(is_numeric, matches!(kind, Kind::Number(_)), "{kind:?}: {:?}", self.text);
            for (row, cells) in self.cells.iter().enumerate() {
                assert_eq!(read(column, row), expected(&cells[i]), "{kind:?}: {:?}", self.text);
            }
        }
    }
}

/// A number of hundredths as it is written.
fn shown(hundredths: i64, form: Number) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let (whole, rest) = (hundredths.abs() / 100, hundredths.abs() % 100);
    let grouped = |separator: char| {
        let digits = whole.to_string();
        let mut text = String::new();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i) % 3 == 0 {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    };
    match form {
        Number::Plain => format!("{sign}{whole}.{rest:02}"),
        Number::Comma => format!("{sign}{whole},{rest:02}"),
        Number::GroupedPoint => format!("{sign}{}.{rest:02}", grouped(',')),
        Number::GroupedComma => format!("{sign}{},{rest:02}", grouped('.')),
        Number::Spaced => format!("{sign}{},{rest:02}", grouped('\u{a0}')),
        Number::Dollars => format!("{sign}${}.{rest:02}", grouped(',')),
        Number::Percent => format!("{sign}{whole}.{rest:02} %"),
    }
}

fn expected(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Missing => None,
        #[expect(clippy::cast_possible_truncation, reason = "as the table holds it")]
        Cell::Number(number) => Some(format!("{:?}", (*number as f64 / 100.0) as f32)),
        Cell::Word(word) => Some((*word).to_owned()),
    }
}

fn read(column: &Column, row: usize) -> Option<String> {
    match &column.values {
        ColumnValues::Numeric(values) => {
            Some(values[row]).filter(|value| !value.is_nan()).map(|value| format!("{value:?}"))
        }
        ColumnValues::Text { .. } => column.word(row).map(|word| word.into_owned()),
    }
}

/// The records of a text, by the rules of RFC 4180 and no others.
fn plain_records(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut in_quotes = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => field.push(c),
            '\r' => {}
            '\n' => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ if c == delimiter => record.push(std::mem::take(&mut field)),
            _ => field.push(c),
        }
    }
    records
}
