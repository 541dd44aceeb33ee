//! What the cells of a table say.

use serde::{Deserialize, Serialize};

use crate::data::statistics::narrow;
use crate::data::written_number::{DecimalMark, Written};

/// How cells are read. The default finds out by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CellOptions {
    /// Words that mark a missing cell, beside those that usually do (see [`read_csv`](super::read_csv)), as
    /// written: `-999`, `nil`. Default: none.
    pub missing_words: Vec<String>,
    /// Words that are values in columns of words, though they usually mark a missing cell: `NA` for Namibia.
    /// Default: none.
    pub not_missing: Vec<String>,
    /// The decimal mark of columns whose cells don't show it, as `1,299` and `1.299` don't (`1,5` and `1.299,99`
    /// do). Default `None`: what the other columns show, else a point; `1,299` is an error then.
    pub decimal: Option<DecimalMark>,
}

impl CellOptions {
    /// Whether a word is said to mark a missing cell.
    pub(super) fn is_marker(&self, word: &str) -> bool {
        self.missing_words.iter().any(|marker| marker == word)
    }
}

/// The marker of a missing cell that is a code of a country too.
pub(super) const NA: &str = "NA";

/// What a cell says.
#[derive(Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// Nothing, or a word that marks a missing cell in any column.
    Missing,
    /// A word that marks a missing cell in a column of numbers, and may be a value in one of words.
    Placeholder(&'a str),
    Number(Written),
    /// NaN, an infinity, or a number beyond the range of f32.
    NotFinite,
    Text(&'a str),
}

/// Words that mark a missing cell in any column, as written.
const MISSING: [&str; 12] =
    ["NA", "N/A", "n/a", "#N/A", "#n/a", "<NA>", "?", "NULL", "null", "NaN", "nan", "NAN"];
/// Words that mark a missing cell in a column of numbers, in any case.
const PLACEHOLDERS: [&str; 15] = [
    "NA", "N/A", "#N/A", "<NA>", "?", "NULL", "NaN", "None", "N.A.", "-", "--", "---", ".", "..",
    "...",
];

impl<'a> Cell<'a> {
    pub(super) fn parse(field: &'a str, options: &CellOptions) -> Self {
        let field = content(field);
        if field.is_empty() || options.is_marker(field) {
            return Self::Missing;
        }
        if let Some(number) = Written::parse(field) {
            let is_finite =
                |value: Option<f64>| value.is_none_or(|value| narrow(value).is_finite());
            return match is_finite(number.point) && is_finite(number.comma) {
                true => Self::Number(number),
                false => Self::NotFinite,
            };
        }
        if PLACEHOLDERS.iter().any(|word| word.eq_ignore_ascii_case(field)) {
            let is_value = options.not_missing.iter().any(|word| word == field);
            return match MISSING.contains(&field) && !is_value {
                true => Self::Missing,
                false => Self::Placeholder(field),
            };
        }
        // `inf`, `-Infinity`; NaN is missing.
        if field.parse::<f64>().is_ok() { Self::NotFinite } else { Self::Text(field) }
    }

    /// The number, whatever its decimal mark.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.point.or(number.comma),
            _ => None,
        }
    }
}

/// A field without the spaces around it, nor the quotes that a space before them kept from counting.
pub(super) fn content(field: &str) -> &str {
    let trimmed = field.trim();
    if !field.starts_with(char::is_whitespace) {
        return trimmed;
    }
    trimmed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(trimmed)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, read, read_with, row};
    use super::*;
    use crate::data::{Column, ColumnValues, CsvOptions, Table};

    fn with(missing: &[&str], not_missing: &[&str]) -> CsvOptions {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let cells = CellOptions {
            missing_words: words(missing),
            not_missing: words(not_missing),
            decimal: None,
        };
        CsvOptions { cells, ..CsvOptions::default() }
    }

    fn missing(table: &Table) -> Vec<usize> {
        table.columns().iter().map(Column::missing).collect()
    }

    fn is_numeric(table: &Table, column: usize) -> bool {
        matches!(table.columns()[column].values, ColumnValues::Numeric(_))
    }

    #[test]
    fn missing_cells_are_recognised() {
        let table =
            read("x,k\n1,NA\nna,a\nN/A,?\n?,b\nNULL,null\n2,\n3, \n4,n\n,b\nnan,NaN\n#n/a,<NA>\n");
        assert_eq!(missing(&table), [7, 7]);
        assert_eq!(row(&table, 7), "4|n");
        let empty = read("x,y\n1,\n2,\n");
        assert!(matches!(&empty.columns()[1].values, ColumnValues::Numeric(v) if v[0].is_nan()));
    }

    #[test]
    fn what_marks_a_missing_number_may_be_a_word() {
        let rows = "1,None\nNone,Null\n-,-\n.,Na\n2,n.a.\n3,x\n";
        let table = read(format!("x,k\n{rows}"));
        assert_eq!(missing(&table), [3, 0]);
        assert_eq!(row(&table, 1), "-|Null");
        let told = &table.assumptions()[1];
        assert_eq!(told, "`None`, 3 times in the column `x`, marks a missing cell");
        // Alone they are words.
        assert!(!is_numeric(&read("x,k\n1,None\n2,None\n"), 1));
    }

    #[test]
    fn words_for_missing_cells_can_be_given() {
        let text = "x,k\n1,nil\nnil,a\n-999,b\n2,NA\n3,b\n";
        let table = read_with(text, &with(&["nil", "-999"], &[])).unwrap();
        assert_eq!(missing(&table), [2, 2]);
        let table = read_with(text, &with(&["nil"], &["NA"])).unwrap();
        assert_eq!((missing(&table), row(&table, 3)), (vec![1, 1], "2|NA".into()));
        assert_eq!(
            message("x\n1\n2\n3\nnil\n"),
            "t.csv, line 5, column x: `nil` is not a number, but most of the column is; correct it, or say \
             that it marks a missing value: --missing-words nil"
        );
        let header =
            read_with("x\n1\n2\n", &CsvOptions { header: Some(false), ..CsvOptions::default() });
        let (_, problem) = header.unwrap().columns()[0].stray.clone().unwrap();
        assert!(
            problem.ends_with("taken for a row; if it names the columns: --header yes"),
            "{problem}"
        );
        let many = message("x;k\n1;a\n2;a\n3;a\nno data;a\nn, d;a\n");
        assert!(many.ends_with("--missing-words '\"n, d\",no data'"), "{many}");
        // A marker keeps no column from being one of numbers.
        let marked = read_with("x\nnil\nnil\nnil\n2\n", &with(&["nil"], &[])).unwrap();
        assert!(is_numeric(&marked, 0));
    }

    #[test]
    fn codes_of_countries_have_one_that_is_na() {
        let codes = "DE NA FR IT ES NA PL AT".replace(' ', "\n");
        let table = read(format!("land\n{codes}\n"));
        assert_eq!((missing(&table), row(&table, 1)), (vec![0], "NA".into()));
        assert!(table.assumptions()[1].contains("--missing-words NA"), "{:?}", table.assumptions());
        // A later table is read so as well.
        let one = CsvOptions { cells: table.cells().clone(), ..CsvOptions::default() };
        assert_eq!(missing(&read_with("land\nNA\nDE\n", &one).unwrap()), [0]);
        // What the report offers.
        let missing_na = read_with(format!("land\n{codes}\n"), &with(&["NA"], &[])).unwrap();
        assert_eq!(missing(&missing_na), [2]);
        // Others are no such codes.
        let table = read("kind\nred\nNA\nblue\nNA\nred\nred\nblue\n");
        assert_eq!(missing(&table), [2]);
        assert!(table.assumptions()[1].contains("--not-missing NA"), "{:?}", table.assumptions());
    }

    #[test]
    fn the_majority_decides_what_a_column_holds() {
        assert_eq!(row(&read("x\na\nb\n007\n"), 2), "007");
        assert_eq!(row(&read("x\na\n1\n"), 1), "1", "half is not a majority");
        assert!(message("x\n1\n2\nb\n").contains("`b` is not a number"));
        assert_eq!(row(&read("name\nNan\nIna\nInf\nBo\n5\n6\nAl\nCy\nDi\nEd\n"), 0), "Nan");
    }

    /// Those that belong to the value stay.
    #[test]
    fn quotes_are_part_of_a_value_unless_a_space_made_them_so() {
        let table = read("x,k\n1,plain\n2,\"\"\"plain\"\"\"\n3, \"spaced\"\n4,\"\"\"\"\n");
        assert_eq!(
            (0..4).map(|i| row(&table, i)).collect::<Vec<_>>(),
            ["1|plain", "2|\"plain\"", "3|spaced", "4|\""]
        );
    }

    #[test]
    fn bad_cells_are_named_by_line_and_column() {
        for (text, expected) in [
            (
                "1,2\n2,inf\n",
                "t.csv, line 2, column 2: `inf` is not a finite number; remove the row, \
                 or leave the cell empty if the value is missing",
            ),
            (
                "x\n1\n-inf\n",
                "t.csv, line 3, column x: `-inf` is not a finite number; remove the row, \
                 or leave the cell empty if the value is missing",
            ),
            (
                "x\n1\n-1e39\n2\n",
                "t.csv, line 3, column x: `-1e39` is beyond the range of f32 (±3.4028235e38); \
                 use another unit",
            ),
        ] {
            assert_eq!(message(text), expected);
        }
        let long = message(format!("x\n1\n2\n{}\n", "é".repeat(99)));
        assert!(long.contains(&format!("`{}…`", "é".repeat(40))), "{long}");
    }
}
