//! The values that a category or an order has, and cells that hold others.

use std::collections::HashMap;

use super::encode::missing;
use super::{InputKind, Schema};
use crate::Result;
use crate::data::column::{Column, ColumnValues, OTHERS};
use crate::data::table::Table;
use crate::data::wording::{listed, shortened};

/// The values that a categorical column or target may have.
pub(super) struct Known<'a> {
    index: HashMap<&'a str, usize>,
    values: &'a [String],
    /// The place of missing cells, if they have one.
    fill: Option<usize>,
    /// The place of unknown cells, if they have one.
    unknown: Option<usize>,
}

impl<'a> Known<'a> {
    pub(super) fn new(values: &'a [String], fill: Option<&str>) -> Self {
        let index: HashMap<_, _> = values.iter().map(String::as_str).zip(0..).collect();
        let fill = fill.and_then(|fill| index.get(fill).copied());
        Self { index, values, fill, unknown: fill }
    }

    /// The values of an input column; `None` if it is one of numbers.
    pub(super) fn of(kind: &'a InputKind) -> Option<Self> {
        match kind {
            InputKind::Numeric { .. } => None,
            InputKind::Ordinal { fill, values, .. } => Some(Self::new(values, fill.as_deref())),
            InputKind::Categorical { fill, values, gathered, unlearnt } => {
                let mut known = Self::new(values, None);
                let last = values.len();
                let width = last + usize::from(!gathered.is_empty());
                known.index.extend(gathered.iter().map(|word| (word.as_str(), last)));
                known.index.extend(unlearnt.iter().map(|word| (word.as_str(), width)));
                known.fill = fill.as_ref().and_then(|fill| known.index.get(fill.as_str()).copied());
                known.unknown = if gathered.is_empty() { known.fill } else { Some(last) };
                Some(known)
            }
        }
    }

    /// The one value that is the number of a cell in other digits: `007`, of a column of codes or with words,
    /// is 7 in a column without.
    fn written_otherwise(&self, column: &Column, row: usize) -> Option<usize> {
        /// From here on f32 takes different whole numbers for one.
        const MOST: f32 = (1 << f32::MANTISSA_DIGITS) as f32;
        let ColumnValues::Numeric(numbers) = &column.values else { return None };
        let is_same = |value: &str| value.parse() == Ok(numbers[row]) && numbers[row].abs() < MOST;
        let mut same = self.index.iter().filter(|(value, _)| is_same(value));
        same.next().map(|(_, &index)| index).filter(|_| same.next().is_none())
    }

    /// The place of a cell's value.
    pub(super) fn find(&self, column: &Column, row: usize) -> Option<usize> {
        let found = self.index.get(column.word(row)?.as_ref()).copied();
        found.or_else(|| self.written_otherwise(column, row))
    }

    pub(super) fn index(&self, table: &Table, column: &Column, row: usize) -> Result<usize> {
        // A word that isn't told from others may be one that is known.
        let place = || {
            let word = column.word(row);
            let place = if word.is_none() { self.fill } else { self.unknown };
            place.filter(|_| word.as_deref() != Some(OTHERS))
        };
        self.find(column, row).or_else(place).ok_or_else(|| match column.word(row) {
            None => missing(table, column, row),
            Some(word) => table.cell_error(
                row,
                &column.name,
                format!(
                    "`{}` is none of the values the model knows: {}",
                    shortened(&word),
                    listed(self.values)
                ),
            ),
        })
    }
}

/// Cells of a column whose values the schema doesn't know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCells {
    /// The column.
    pub column: String,
    /// How many there are.
    pub cells: usize,
    /// The value that they are taken for: the most frequent one where the schema was fitted; `None` if they
    /// share an input with its rare values.
    pub taken_for: Option<String>,
}

impl Schema {
    /// Cells of a table that aren't missing, hold none of the values that a category or an order had where
    /// the schema was fitted, and are taken for another ([`Missing::Fill`](crate::data::Missing::Fill)) or for one
    /// of its rare values.
    ///
    /// ```
    /// use wgrad::data::{CsvOptions, Missing, Schema, SchemaOptions, read_csv};
    /// let read = |text: &str| read_csv(text.as_bytes(), "t", &CsvOptions::default());
    /// let options = SchemaOptions { missing: Missing::Fill, ..SchemaOptions::default() };
    /// let schema = Schema::fit(&read("k,y\na,1.5\nb,2.5\na,3.5\n")?, &[0, 1, 2], &options)?;
    /// let unknown = schema.unknown_cells(&read("k,y\nb,1.5\nc,2.5\n,3.5\n")?)?;
    /// assert_eq!((unknown[0].cells, unknown[0].taken_for.as_deref()), (1, Some("a")));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a column isn't there.
    pub fn unknown_cells(&self, table: &Table) -> Result<Vec<UnknownCells>> {
        let (columns, _) = self.columns(table)?;
        let mut unknown = Vec::new();
        for (input, column) in self.inputs.iter().zip(columns) {
            let Some(known) = Known::of(&input.kind) else { continue };
            let taken_for = match &input.kind {
                InputKind::Categorical { gathered, .. } if !gathered.is_empty() => None,
                InputKind::Categorical { fill: Some(fill), .. }
                | InputKind::Ordinal { fill: Some(fill), .. } => Some(fill.clone()),
                _ => continue,
            };
            let is_unknown =
                |&row: &usize| !column.is_missing(row) && known.find(column, row).is_none();
            let cells = (0..table.rows()).filter(is_unknown).count();
            if cells > 0 {
                unknown.push(UnknownCells { column: input.name.clone(), cells, taken_for });
            }
        }
        Ok(unknown)
    }
}
