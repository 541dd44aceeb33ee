//! Cells of one column, group by group.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;

use super::cell::{Cell, Kind};
use super::{damaged, guarded};
use crate::data::column::{Column, Words};
use crate::data::numbers::Numbers;
use crate::{Error, Result};

/// Cells that are decoded at once.
const BATCH: usize = 1 << 12;

/// A column of the table while it is read.
pub(super) enum Building {
    Numeric(Numbers),
    Text(Words),
}

impl Building {
    /// Grows as it is read: a file may claim any number of rows.
    pub(super) fn new(kind: Kind) -> Self {
        if kind.is_text() {
            Self::Text(Words::default())
        } else {
            Self::Numeric(Numbers::with_capacity(0))
        }
    }

    fn push(&mut self, cell: Option<Cell>) -> Result<(), String> {
        match (self, cell) {
            (Self::Numeric(numbers), Some(Cell::Number(number))) => {
                numbers.push(number)?;
            }
            (Self::Numeric(numbers), _) => numbers.push_missing(),
            (Self::Text(words), Some(Cell::Text(word))) => words.push(Some(&word)),
            (Self::Text(words), _) => words.push(None),
        }
        Ok(())
    }

    pub(super) fn finish(self, name: String) -> Column {
        match self {
            Self::Numeric(numbers) => numbers.into_column(name),
            Self::Text(words) => Column::new(name, words.into_values()),
        }
    }
}

/// A column's cells in a group of rows.
pub(super) struct Chunk<'a> {
    /// The file, as messages call it.
    pub(super) name: &'a str,
    pub(super) column: &'a str,
    /// Whether cells may be missing.
    pub(super) optional: bool,
    /// The group's first row in the table.
    pub(super) first_row: usize,
    pub(super) rows: usize,
}

impl Chunk<'_> {
    /// Appends the cells, and tells how many of the rows are read.
    pub(super) fn read(
        &self,
        reader: ColumnReader,
        kind: Kind,
        into: &mut Building,
        tell: &mut dyn FnMut(usize),
    ) -> Result<()> {
        let words = |truth: bool| Cell::Text(if truth { "true" } else { "false" }.into());
        match reader {
            ColumnReader::BoolColumnReader(r) => self.cells(r, into, tell, |&v| Ok(words(v))),
            ColumnReader::Int32ColumnReader(r) => {
                self.cells(r, into, tell, |&v| Ok(kind.of_i32(v)))
            }
            ColumnReader::Int64ColumnReader(r) => {
                self.cells(r, into, tell, |&v| Ok(kind.of_i64(v)))
            }
            ColumnReader::Int96ColumnReader(r) => {
                self.cells(r, into, tell, |v| Ok(Kind::of_int96(v)))
            }
            ColumnReader::FloatColumnReader(r) => {
                self.cells(r, into, tell, |&v| Ok(Cell::Number(v.into())))
            }
            ColumnReader::DoubleColumnReader(r) => {
                self.cells(r, into, tell, |&v| Ok(Cell::Number(v)))
            }
            ColumnReader::ByteArrayColumnReader(r) => {
                self.cells(r, into, tell, |v| kind.of_bytes(v))
            }
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                self.cells(r, into, tell, |v| kind.of_bytes(v))
            }
        }
    }

    fn cells<T: DataType>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        into: &mut Building,
        tell: &mut dyn FnMut(usize),
        cell: impl for<'v> Fn(&'v T::T) -> Result<Cell<'v>, String>,
    ) -> Result<()> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let mut row = 0;
        while row < self.rows {
            levels.clear();
            values.clear();
            let most = BATCH.min(self.rows - row);
            let (read, ..) = guarded(self.name, || {
                reader.read_records(most, Some(&mut levels), None, &mut values)
            })?;
            let mut values = values.iter();
            let short = || {
                let ends =
                    format!("column {} ends at row {row} of a group of {}", self.column, self.rows);
                damaged(self.name, &ends)
            };
            if read == 0 || self.optional && levels.len() != read {
                return Err(short());
            }
            for at in 0..read {
                let value = match self.optional && levels.get(at) == Some(&0) {
                    true => None,
                    false => Some(values.next().ok_or_else(short)?),
                };
                let pushed = value.map(&cell).transpose().and_then(|cell| into.push(cell));
                pushed.map_err(|problem| Error::Cell {
                    source_name: self.name.to_owned(),
                    place: format!("row {}", self.first_row + row + at),
                    column: self.column.to_owned(),
                    problem,
                })?;
            }
            row += read;
            tell(row);
        }
        Ok(())
    }
}
