//! A table as it was read: named columns of numbers or text.

use std::collections::BTreeMap;

use super::column::Column;
use super::csv_table::CellOptions;
use super::places::Places;
use super::wording::nearest;
use crate::{Error, Result};

/// Named columns of equal length, with the line of the file that each row stood on.
///
/// ```
/// use wgrad::data::{Column, Table};
///
/// let table = Table::new(
///     "fruit",
///     vec![
///         Column::numeric("weight", vec![120.0, 150.0]),
///         Column::text("kind", [Some("apple"), Some("pear")]),
///     ],
/// )?;
/// assert_eq!(table.find("kind")?, 1);
/// assert_eq!(table.find("-1")?, 1);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    source_name: String,
    columns: Vec<Column>,
    places: Places,
    has_header: bool,
    targets: usize,
    test_rows: usize,
    cells: CellOptions,
    assumptions: Vec<String>,
}

impl Table {
    /// A table with named columns whose rows count as lines 1, 2, ….
    ///
    /// # Errors
    /// If there is no column or no row, there are 2³² rows or more, lengths differ, two columns
    /// have the same name, a number is infinite, or a text code has no entry.
    pub fn new(source_name: impl Into<String>, columns: Vec<Column>) -> Result<Self> {
        let rows = columns.first().map_or(0, Column::rows);
        let places = Places::of_lines(rows);
        Self::with_places(source_name.into(), columns, places, true)
    }

    /// A numeric table from row-major `values`, one column per name; NaN marks a missing value.
    ///
    /// # Errors
    /// As [`Table::new`], or if `values` isn't rows × `names`.
    pub fn from_rows(
        source_name: impl Into<String>,
        names: &[impl AsRef<str>],
        values: &[f32],
    ) -> Result<Self> {
        let source_name = source_name.into();
        if names.is_empty() || !values.len().is_multiple_of(names.len()) {
            return Err(Error::Shape {
                what: format!("values of {source_name}"),
                expected: format!("rows × {} columns", names.len()),
                got: format!("{} numbers", values.len()),
            });
        }
        let column = |(i, name): (usize, &_)| {
            let values = values.iter().skip(i).step_by(names.len()).copied().collect();
            Column::numeric(AsRef::<str>::as_ref(name), values)
        };
        Self::new(source_name, names.iter().enumerate().map(column).collect())
    }

    /// `has_header`: whether the file named the columns.
    pub(super) fn with_places(
        source_name: String,
        columns: Vec<Column>,
        places: Places,
        has_header: bool,
    ) -> Result<Self> {
        let fail = |problem| Err(Error::Data { source_name: source_name.clone(), problem });
        let rows = places.rows();
        if columns.is_empty() || rows == 0 {
            return fail("the table is empty; it needs at least one column and one row".into());
        }
        if u32::try_from(rows).is_err() {
            return fail(format!("{rows} rows, but at most {} can be numbered", u32::MAX));
        }
        let mut names = BTreeMap::new();
        for (number, column) in (1..).zip(&columns) {
            if let Some(first) = names.insert(column.name.as_str(), number) {
                return fail(format!(
                    "columns {first} and {number} are both named `{}`; rename one of them",
                    column.name
                ));
            }
            if column.rows() != rows {
                return fail(format!(
                    "column {} has {} rows, but there are {rows}",
                    column.name,
                    column.rows(),
                ));
            }
            if let Some(problem) = column.problem() {
                return fail(format!("column {}: {problem}", column.name));
            }
        }
        let (cells, assumptions) = (CellOptions::default(), Vec::new());
        let (targets, test_rows) = (1, 0);
        Ok(Self {
            source_name,
            columns,
            places,
            has_header,
            targets,
            test_rows,
            cells,
            assumptions,
        })
    }

    /// How the cells of a later table like this one are read, and what was taken for granted here.
    pub(super) fn with_reading(self, cells: CellOptions, assumptions: Vec<String>) -> Self {
        Self { cells, assumptions, ..self }
    }

    /// What the source itself says of its columns and rows: how many of the last columns are its
    /// targets, and how many of the last rows its test rows.
    pub(super) fn with_parts(self, targets: usize, test_rows: usize) -> Self {
        Self { targets, test_rows, ..self }
    }

    /// With the columns of `targets` behind its own, as its targets.
    ///
    /// # Errors
    /// If `targets` has other rows, or a column of the same name.
    pub(super) fn with_targets(self, targets: Self) -> Result<Self> {
        if targets.rows() != self.rows() {
            let rows = targets.rows();
            return Err(targets.error(format!(
                "{rows} row{} of targets, but {} has {} rows; save as many of both",
                if rows == 1 { "" } else { "s" },
                self.source_name,
                self.rows()
            )));
        }
        let (last, has_header) = (targets.columns.len(), targets.has_header);
        let named = |(i, column): (usize, Column)| match (has_header, last) {
            (true, _) => column,
            (false, 1) => Column { name: "y".into(), ..column },
            (false, _) => Column { name: format!("y{i}"), ..column },
        };
        let mut columns = self.columns;
        columns.extend(targets.columns.iter().cloned().enumerate().map(named));
        let (mut assumptions, name) = (self.assumptions, &targets.source_name);
        assumptions.extend(targets.assumptions.iter().map(|text| format!("{name}: {text}")));
        let table = Self::with_places(self.source_name, columns, self.places, self.has_header)?;
        Ok(table.with_parts(last, 0).with_reading(self.cells, assumptions))
    }

    /// Name of the file or built-in table.
    #[must_use]
    pub fn source_name(&self) -> &str {
        &self.source_name
    }

    /// The columns in the order of the file; at least one.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows, from 1 to 2³² − 1.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.places.rows()
    }

    /// How many of the last columns are targets unless others are named: 1 in text, which doesn't
    /// tell; 0 in arrays that came without theirs.
    #[must_use]
    pub const fn targets(&self) -> usize {
        self.targets
    }

    /// How many of the last rows are test rows because the source keeps them apart; 0 if it doesn't.
    #[must_use]
    pub const fn test_rows(&self) -> usize {
        self.test_rows
    }

    /// The indices of all rows.
    #[must_use]
    pub fn all_rows(&self) -> Vec<u32> {
        (0..).take(self.rows()).collect()
    }

    /// Line of the file, counted from 1, on which a row begins; of arrays the row, counted from 0.
    ///
    /// # Panics
    /// If `row` isn't below [`rows`](Self::rows).
    #[must_use]
    pub fn line(&self, row: usize) -> u64 {
        self.places.number(row)
    }

    /// The file of each row, from the folder that was read on; empty where all are in one.
    #[must_use]
    pub fn files(&self) -> &[String] {
        self.places.files()
    }

    /// Where a row stood, as `line 3`, `row 1` or the name of its own file.
    ///
    /// # Panics
    /// If `row` isn't below [`rows`](Self::rows).
    #[must_use]
    pub fn place(&self, row: usize) -> String {
        self.places.name(row)
    }

    /// Whether the columns have names of their own, not just their numbers.
    #[must_use]
    pub const fn has_header(&self) -> bool {
        self.has_header
    }

    /// How the cells of a later table like this one are read: the [`CellOptions`] of this one, with the decimal
    /// mark that its numbers show. The default for what isn't text.
    #[must_use]
    pub const fn cells(&self) -> &CellOptions {
        &self.cells
    }

    /// What the reader of a text took for granted, a sentence each: whether the first line names the columns, which
    /// lines are none of the table, how numbers are written, which words mark missing cells; and how to
    /// change it, by flags of the command line. Empty for what isn't text.
    #[must_use]
    pub fn assumptions(&self) -> &[String] {
        &self.assumptions
    }

    /// Index of the column with this name, or else with this number: `1` is the first column, `-1`
    /// the last.
    ///
    /// # Errors
    /// If there is no such column; the message suggests what may have been meant.
    pub fn find(&self, name: &str) -> Result<usize> {
        self.position(name).or_else(|| self.numbered(name)).ok_or_else(|| self.no_column(name))
    }

    /// Index of the column with exactly this name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    fn numbered(&self, number: &str) -> Option<usize> {
        let (back, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number),
        };
        let number: usize = digits.parse().ok()?;
        let from_start =
            if back { self.columns.len().checked_sub(number)? } else { number.checked_sub(1)? };
        (number > 0 && from_start < self.columns.len()).then_some(from_start)
    }

    /// The error for a column that isn't there.
    pub(super) fn no_column(&self, name: &str) -> Error {
        /// More names than this aren't worth reading.
        const LISTED: usize = 12;
        let names = || self.columns.iter().map(|column| column.name.as_str());
        let mut problem = format!("no column `{name}`");
        if let Some(meant) = nearest(name, names()) {
            problem += &format!("; did you mean `{meant}`?");
        } else if self.columns.len() <= LISTED {
            problem += &format!("; its columns are {}", names().collect::<Vec<_>>().join(", "));
        } else {
            problem += &format!(
                "; it has {} columns, named like `{}`",
                self.columns.len(),
                self.columns[0].name
            );
        }
        Error::Data { source_name: self.source_name.clone(), problem }
    }

    /// An error about one cell.
    pub(super) fn cell_error(&self, row: usize, column: &str, problem: String) -> Error {
        Error::Cell {
            source_name: self.source_name.clone(),
            place: self.place(row),
            column: column.to_owned(),
            problem,
        }
    }

    /// An error about the table or one of its columns.
    pub(super) fn error(&self, problem: String) -> Error {
        Error::Data { source_name: self.source_name.clone(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ColumnValues, MISSING_TEXT};

    fn flowers() -> Table {
        let species = Column::text("species", [Some("setosa"), None, Some("iris"), Some("setosa")]);
        Table::new(
            "flowers",
            vec![Column::numeric("petal", vec![1.0, 2.0, f32::NAN, 4.0]), species],
        )
        .unwrap()
    }

    fn message(columns: Vec<Column>) -> String {
        Table::new("t", columns).unwrap_err().to_string()
    }

    #[test]
    fn words_are_stored_once_and_sorted() {
        let table = flowers();
        let ColumnValues::Text { codes, values } = &table.columns()[1].values else {
            panic!("species is text")
        };
        assert_eq!(values, &["iris", "setosa"]);
        assert_eq!(codes, &[1, MISSING_TEXT, 0, 1]);
    }

    #[test]
    fn missing_cells_are_counted() {
        let table = flowers();
        assert_eq!(table.columns().iter().map(Column::missing).collect::<Vec<_>>(), [1, 1]);
        assert!(table.columns()[0].is_missing(2) && !table.columns()[0].is_missing(3));
    }

    #[test]
    fn columns_are_found_by_name_and_by_number() {
        let table = flowers();
        for (name, index) in
            [("petal", 0), ("species", 1), ("1", 0), ("2", 1), ("-1", 1), ("-2", 0)]
        {
            assert_eq!(table.find(name).unwrap(), index, "{name}");
        }
        for name in ["0", "3", "-3", "-0", "--1", "", "1.0", "99999999999999999999"] {
            assert!(table.find(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_wins_over_a_number() {
        let columns = ["2", "1"].map(|name| Column::numeric(name, vec![0.0])).to_vec();
        assert_eq!(Table::new("t", columns).unwrap().find("1").unwrap(), 1);
    }

    #[test]
    fn an_unknown_column_is_answered_with_a_suggestion() {
        let error = |name| flowers().find(name).unwrap_err().to_string();
        assert_eq!(error("Speceis"), "flowers: no column `Speceis`; did you mean `species`?");
        assert_eq!(error("7"), "flowers: no column `7`; its columns are petal, species");
        let wide: Vec<_> = (0..13).map(|i| Column::numeric(format!("x{i}"), vec![0.0])).collect();
        assert_eq!(
            Table::new("wide", wide).unwrap().find("petal").unwrap_err().to_string(),
            "wide: no column `petal`; it has 13 columns, named like `x0`"
        );
    }

    #[test]
    fn rows_become_columns() {
        let table = Table::from_rows("t", &["a", "b"], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(table.columns()[1].values, ColumnValues::Numeric(vec![2.0, 4.0]));
        assert_eq!((table.rows(), table.line(1)), (2, 2));
        assert_eq!(
            Table::from_rows("t", &["a", "b"], &[1.0]).unwrap_err().to_string(),
            "values of t: expected rows × 2 columns, got 1 numbers"
        );
    }

    #[test]
    fn inconsistent_columns_are_refused() {
        let column = |name, rows| Column::numeric(name, vec![0.0; rows]);
        assert!(message(vec![]).contains("the table is empty"));
        assert!(message(vec![column("a", 0)]).contains("the table is empty"));
        assert_eq!(
            message(vec![column("a", 1), column("b", 1), column("a", 1)]),
            "t: columns 1 and 3 are both named `a`; rename one of them"
        );
        assert_eq!(
            message(vec![column("a", 1), column("b", 2)]),
            "t: column b has 2 rows, but there are 1"
        );
        assert_eq!(
            message(vec![Column::numeric("a", vec![0.0, f32::INFINITY])]),
            "t: column a: row 1 is inf, but must be finite or NaN"
        );
        let values = ColumnValues::Text { codes: vec![1], values: vec!["x".into()] };
        assert_eq!(
            message(vec![Column::new("a", values)]),
            "t: column a: row 0 has no entry in the list of 1"
        );
    }
}
