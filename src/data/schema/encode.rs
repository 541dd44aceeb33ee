//! Turns tables into numbers, as a [`Schema`] says.

use std::collections::HashMap;

use super::fit::require_numbers;
use super::known::Known;
use super::{InputKind, Schema, Target, one_hot};
use crate::data::column::{Column, ColumnValues};
use crate::data::dataset::{Dataset, Targets};
use crate::data::statistics::narrow;
use crate::data::table::Table;
use crate::data::wording::{listed, shortened};
use crate::{Error, Result};

impl Schema {
    /// Inputs and targets of the given rows, in that order.
    ///
    /// Columns are found by name; in a table without a header also by position, if it has exactly
    /// the columns that were used, with or without the targets.
    ///
    /// # Errors
    /// If `rows` is empty, a column isn't there, a column of numbers holds text, a cell is missing
    /// and no fill value was fitted, a category or class is unknown, or a scaled number exceeds f32.
    ///
    /// # Panics
    /// If a row isn't in the table.
    pub fn encode(&self, table: &Table, rows: &[u32]) -> Result<Dataset> {
        let (inputs, targets) = self.columns(table)?;
        let Some(targets) = targets else {
            let absent = |name: &&&str| table.position(name).is_none();
            let names = self.target.column_names();
            return Err(table.no_column(names.iter().find(absent).unwrap_or(&"target")));
        };
        if rows.is_empty() {
            return Err(table.error("no rows were chosen; take at least one".into()));
        }
        let each_row = rows.iter().map(|&row| row as usize);
        require_values(table, &targets, each_row, "remove such rows, or fill in the target")?;
        let targets = match &self.target {
            Target::Classes { names, .. } => Targets::Classes {
                labels: self.target.labels(table, &targets, rows)?,
                classes: names.len(),
            },
            Target::Values { columns } => {
                let width = columns.len();
                let mut values = vec![0.0; rows.len() * width];
                for (i, (target, column)) in columns.iter().zip(targets).enumerate() {
                    let value = Scaled { offset: target.offset, scale: target.scale, fill: None };
                    value.encode(table, column, rows, values[i..].iter_mut().step_by(width))?;
                }
                Targets::Values { values, width }
            }
        };
        Dataset::new(self.encode_columns(table, &inputs, rows)?, self.in_features(), targets)
    }

    /// Inputs of all rows, rows × [`in_features`](Self::in_features), row-major. The table needs no
    /// target column.
    ///
    /// # Errors
    /// As [`Schema::encode`], as far as the inputs go.
    pub fn encode_inputs(&self, table: &Table) -> Result<Vec<f32>> {
        let (inputs, _) = self.columns(table)?;
        self.encode_columns(table, &inputs, &table.all_rows())
    }

    /// The table's columns for the inputs and, where they are there, for the targets.
    pub(super) fn columns<'a>(
        &self,
        table: &'a Table,
    ) -> Result<(Vec<&'a Column>, Option<Vec<&'a Column>>)> {
        // Arrays may have very many columns.
        let by_name: HashMap<&str, &Column> =
            table.columns().iter().map(|column| (column.name.as_str(), column)).collect();
        let named = |name: &str| by_name.get(name).copied();
        let inputs: Option<Vec<_>> = self.inputs.iter().map(|input| named(&input.name)).collect();
        let in_order = if table.has_header() { None } else { self.columns_in_order(table) };
        match (inputs, in_order) {
            // Without names they are numbered, perhaps among others than in the table that was learnt from.
            (Some(inputs), Some((in_order, _)))
                if inputs.iter().zip(&in_order).any(|(a, b)| a.name != b.name) =>
            {
                return Err(table.error(format!(
                    "its {} columns have no names, so they could be those that the model reads, or the first \
                     ones of the table that it learnt from; give all columns of that table, or a header",
                    table.columns().len()
                )));
            }
            (Some(inputs), _) => {
                return Ok((inputs, self.target.column_names().into_iter().map(named).collect()));
            }
            (None, Some(in_order)) => return Ok(in_order),
            (None, None) => {}
        }
        let absent = self.inputs.iter().find(|input| named(&input.name).is_none());
        let name = absent.map_or("", |input| &input.name);
        // What a table without names calls its columns.
        if table.has_header() && self.inputs.iter().all(|input| input.name.parse::<u32>().is_ok()) {
            return Err(table.error(format!(
                "no column `{name}`: the model was trained on columns without names; leave the names out \
                 here too, or call the columns by their numbers"
            )));
        }
        Err(table.no_column(name))
    }

    /// The table's columns if they are just those that were used, in their order.
    fn columns_in_order<'a>(
        &self,
        table: &'a Table,
    ) -> Option<(Vec<&'a Column>, Option<Vec<&'a Column>>)> {
        let columns = table.columns();
        if columns.len() == self.inputs.len() {
            return Some((columns.iter().collect(), None));
        }
        let positions = &self.target_positions;
        if columns.len() != self.inputs.len() + positions.len() {
            return None;
        }
        let inputs = columns.iter().enumerate().filter(|(i, _)| !positions.contains(i));
        let targets = positions.iter().map(|&i| columns.get(i)).collect();
        Some((inputs.map(|(_, column)| column).collect(), targets))
    }

    fn encode_columns(&self, table: &Table, columns: &[&Column], rows: &[u32]) -> Result<Vec<f32>> {
        /// Rows whose inputs stay in a cache while columns, which lie apart, are written to them.
        const AT_ONCE: usize = 64;
        let in_features = self.in_features();
        let mut inputs = vec![0.0; rows.len() * in_features];
        let known: Vec<Option<Known>> =
            self.inputs.iter().map(|input| Known::of(&input.kind)).collect();
        for (out, rows) in inputs.chunks_mut(AT_ONCE * in_features).zip(rows.chunks(AT_ONCE)) {
            let mut feature = 0;
            for ((input, column), known) in self.inputs.iter().zip(columns).zip(&known) {
                match (&input.kind, known) {
                    (&InputKind::Numeric { fill, offset, scale }, _) => {
                        let out = out[feature..].iter_mut().step_by(in_features);
                        Scaled { offset, scale, fill }.encode(table, column, rows, out)?;
                    }
                    (&InputKind::Ordinal { offset, scale, .. }, Some(known)) => {
                        for (out, &row) in out.chunks_exact_mut(in_features).zip(rows) {
                            let place = place_number(known.index(table, column, row as usize)?);
                            out[feature] = (place - offset) * scale;
                        }
                    }
                    (_, Some(known)) => {
                        let width = input.width();
                        for (out, &row) in out.chunks_exact_mut(in_features).zip(rows) {
                            // Values of which nothing is learnt have no input.
                            let index = known.index(table, column, row as usize)?;
                            if index < width {
                                out[feature + index] = 1.0;
                            }
                        }
                    }
                    _ => {}
                }
                feature += input.width();
            }
        }
        Ok(inputs)
    }
}

impl Target {
    /// Class index of each of `rows`, of a target of classes.
    pub(super) fn labels(
        &self,
        table: &Table,
        target: &[&Column],
        rows: &[u32],
    ) -> Result<Vec<u32>> {
        match self {
            Self::Classes { names, columns, .. } if columns.is_empty() => {
                class_indices(table, target[0], names, rows)
            }
            _ => one_hot::class_indices(table, target, rows),
        }
    }
}

/// Class index of each of `rows`.
fn class_indices(
    table: &Table,
    column: &Column,
    names: &[String],
    rows: &[u32],
) -> Result<Vec<u32>> {
    let known = Known::new(names, None);
    let index = |&row: &u32| {
        let index = known.index(table, column, row as usize)?;
        Ok(u32::try_from(index).unwrap_or(u32::MAX))
    };
    rows.iter().map(index).collect()
}

/// (x − offset) · scale.
struct Scaled {
    offset: f32,
    scale: f32,
    fill: Option<f32>,
}

impl Scaled {
    fn encode<'a>(
        &self,
        table: &Table,
        column: &Column,
        rows: &[u32],
        out: impl Iterator<Item = &'a mut f32>,
    ) -> Result<()> {
        let ColumnValues::Numeric(values) = &column.values else {
            require_numbers(table, column)?;
            let word = |row| column.word(row).unwrap_or_default();
            let row = (0..table.rows()).find(|&row| word(row).parse::<f32>().is_err()).unwrap_or(0);
            return Err(table.cell_error(
                row,
                &column.name,
                format!(
                    "`{}` is text, but the model was trained on numbers here",
                    shortened(&word(row))
                ),
            ));
        };
        for (out, &row) in out.zip(rows) {
            let value = values[row as usize];
            let value = if value.is_nan() { self.fill } else { Some(value) };
            let value = value.ok_or_else(|| missing(table, column, row as usize))?;
            // In f64: neither the difference nor its product with a large scale may overflow.
            *out = narrow((f64::from(value) - f64::from(self.offset)) * f64::from(self.scale));
            if !out.is_finite() {
                return Err(table.cell_error(
                    row as usize,
                    &column.name,
                    format!(
                        "{value:e} lies so far outside the training data that its scaled value \
                         exceeds f32; correct it or remove the row"
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// A place in an order, as a number.
#[expect(clippy::cast_precision_loss, reason = "orders are short")]
pub(super) fn place_number(place: usize) -> f32 {
    place as f32
}

/// Refuses a table in which a cell of these columns and rows is missing.
pub(super) fn require_values(
    table: &Table,
    columns: &[&Column],
    rows: impl Iterator<Item = usize> + Clone,
    remedy: &str,
) -> Result<()> {
    let incomplete: Vec<(usize, usize, &Column)> = columns
        .iter()
        .filter_map(|&column| {
            let missing = rows.clone().filter(|&row| column.is_missing(row));
            Some((missing.clone().min()?, missing.count(), column))
        })
        .collect();
    let Some(&(row, _, column)) = incomplete.iter().min_by_key(|&&(row, ..)| row) else {
        return Ok(());
    };
    let total: usize = incomplete.iter().map(|&(_, count, _)| count).sum();
    let count = |&(_, count, column): &(_, usize, &Column)| format!("{count} in {}", column.name);
    let counts: Vec<_> = incomplete.iter().map(count).collect();
    Err(table.cell_error(
        row,
        &column.name,
        if total == 1 {
            format!("the value is missing; {remedy}")
        } else {
            format!("the value is missing, the first of {total} ({}); {remedy}", listed(&counts))
        },
    ))
}

pub(super) fn missing(table: &Table, column: &Column, row: usize) -> Error {
    table.cell_error(
        row,
        &column.name,
        "the value is missing, and the model was trained without filling in missing values; \
         remove the row, or train with `--missing fill`"
            .into(),
    )
}

#[cfg(test)]
pub(super) mod tests;
