//! Fits a [`Schema`] to a table.

mod input;

use super::encode::require_values;
use super::{ColumnKind, Schema, Target, ValueColumn, one_hot};
use crate::Result;
use crate::data::column::{Column, ColumnValues, MAX_WORDS, number_word};
use crate::data::statistics::{Statistics, narrow};
use crate::data::table::Table;
use crate::data::wording::listed;

/// So many different words may be names that hardly come twice: beyond it, categories that come once are gathered
/// and classes are refused if there are more of them than half the rows.
pub(super) const MANY_CATEGORIES: usize = 64;
/// Inputs that a column of categories has at most.
pub(super) const MAX_CATEGORIES: usize = 1024;
/// Integers in a target count as classes up to this many different ones.
const MAX_INTEGER_CLASSES: usize = 20;
const TARGET_REMEDY: &str = "remove such rows, or choose another target with `--target`";

/// What to learn from a table, and how. The default predicts the last column from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaOptions {
    /// Columns to predict, by name or number (see [`Table::find`]); several only for numbers, or for classes
    /// that have a column each (a 1 in their rows, 0 in others).
    /// Default: none named, which means the last column that isn't ignored.
    pub targets: Vec<String>,
    /// Whether the target is a class or a number.
    pub kind: TargetKind,
    /// Columns to leave out, by name or number.
    pub ignore: Vec<String>,
    /// What is done to numbers, inputs and targets alike.
    pub scaling: Scaling,
    /// What input columns are, by name or number, where that differs from what their cells say: text is a
    /// category and numbers are numbers. Default: none.
    pub columns: Vec<(String, ColumnKind)>,
    /// What is done about missing input cells. A missing target is always an error.
    pub missing: Missing,
    /// Words of a category that stand in fewer training rows than this share one input, and so do words that
    /// only come later. Default `None`: 1 (each word has an input of its own), but 2 in columns of more than 64
    /// different words that are more than half the table's rows. Of a column's words the 1,023 most frequent
    /// ones have an input at most.
    pub rare_below: Option<usize>,
}

/// Whether the target is a class or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetKind {
    /// Text is a class. A number is a class if all are integers and there are two different ones, or
    /// up to 20 that are at most a tenth of the rows. Several columns of 0 and 1 with a single 1 in each row
    /// are a class each.
    #[default]
    Auto,
    /// One class for each different text or number.
    Classes,
    /// A number.
    Values,
}

/// What is done to numbers before a net sees them, always as (x − offset) · scale. An input column that is
/// constant over the training rows has the scale 0, whatever the scaling: its weights aren't learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scaling {
    /// Pixels become x / 255, or stay as they are where they are fractions of 1; other numbers are
    /// standardised, and targets always.
    ///
    /// Pixels are 64 or more columns of numbers, all whole from 0 to 255 with some above 127, or all
    /// from 0 to 1 with some above 0.5, over the training rows. They share a unit, and a scale of its
    /// own for each would blow up those that hardly ever differ from the paper.
    #[default]
    Auto,
    /// To mean 0 and standard deviation 1 over the training rows.
    Standardize,
    /// To the range 0 to 1 over the training rows.
    MinMax,
    /// Nothing.
    None,
}

/// What is done about missing input cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// An error, so that nobody trains on invented values unawares.
    #[default]
    Reject,
    /// The mean or most frequent value of the training rows takes their place, now and in later
    /// tables, and also the place of categories unknown now.
    Fill,
}

impl SchemaOptions {
    /// The class of each row, for a stratified [`Partition`](crate::data::Partition); `None` where the
    /// target is a number.
    ///
    /// # Errors
    /// As [`Schema::fit`], as far as the target goes.
    pub fn labels(&self, table: &Table) -> Result<Option<Vec<u32>>> {
        let (targets, _) = self.choose(table)?;
        let Some(classes) = self.classes(table, &targets)? else { return Ok(None) };
        let columns: Vec<&Column> = targets.iter().map(|&index| &table.columns()[index]).collect();
        classes.labels(table, &columns, &table.all_rows()).map(Some)
    }

    /// Indices of the target and of the input columns.
    fn choose(&self, table: &Table) -> Result<(Vec<usize>, Vec<usize>)> {
        let find = |names: &[String]| -> Result<Vec<usize>> {
            names.iter().map(|name| table.find(name)).collect()
        };
        let ignored = find(&self.ignore)?;
        let usable = |index: &usize| !ignored.contains(index);
        let mut targets = find(&self.targets)?;
        if targets.is_empty() {
            targets.extend((0..table.columns().len()).rev().filter(usable).take(table.targets()));
            targets.reverse();
        }
        if targets.is_empty() {
            return Err(table.error(
                "the array has no targets; give the file with them, as in `--target y.npy`, or name \
                 columns"
                    .into(),
            ));
        }
        for (i, target) in targets.iter().enumerate() {
            let name = &table.columns()[*target].name;
            if !usable(target) {
                return Err(table.error(format!(
                    "column `{name}` is both target and ignored, by name or as weights of rows; name another target, or leave \
                     it out of what is ignored"
                )));
            }
            if targets[..i].contains(target) {
                return Err(
                    table.error(format!("column `{name}` is named twice as target; name it once"))
                );
            }
        }
        let inputs: Vec<usize> = (0..table.columns().len())
            .filter(|index| usable(index) && !targets.contains(index))
            .collect();
        if inputs.is_empty() {
            return Err(table.error(format!(
                "no column is left to learn from: {} in all, {} to predict, {} ignored (is the \
                 delimiter right?)",
                table.columns().len(),
                targets.len(),
                ignored.len()
            )));
        }
        Ok((targets, inputs))
    }

    /// The classes of the whole table; `None` if the targets are numbers.
    fn classes(&self, table: &Table, targets: &[usize]) -> Result<Option<Target>> {
        let columns: Vec<&Column> = targets.iter().map(|&index| &table.columns()[index]).collect();
        if self.kind != TargetKind::Classes {
            columns.iter().try_for_each(|column| require_numbers(table, column))?;
        }
        for column in &columns {
            require_apart(table, column, self.kind == TargetKind::Classes, "")?;
        }
        require_values(table, &columns, 0..table.rows(), TARGET_REMEDY)?;

        let is_text = |column: &Column| matches!(column.values, ColumnValues::Text { .. });
        let [column] = columns[..] else {
            if self.kind != TargetKind::Values && one_hot::are_classes(&columns) {
                let (name, names) = one_hot::names(&columns);
                let columns = columns.iter().map(|column| column.name.clone()).collect();
                return Ok(Some(Target::Classes { name, names, columns }));
            }
            return match columns
                .into_iter()
                .find(|&column| is_text(column) || self.kind == TargetKind::Classes)
            {
                None => Ok(None),
                Some(column) => Err(table.error(format!(
                    "column `{}` can't be a class, because there are {} targets; \
                     choose a single target, columns of 0 and 1 with a single 1 in each row, or only numbers",
                    column.name,
                    targets.len()
                ))),
            };
        };
        if self.kind == TargetKind::Values && is_text(column) {
            return Err(table.error(format!(
                "column `{}` holds text (`{}`), so it can't be predicted as a number; \
                 predict classes, or choose another target",
                column.name,
                column.word(0).unwrap_or_default()
            )));
        }
        let names = match &column.values {
            ColumnValues::Text { values, .. } => values.clone(),
            ColumnValues::Numeric(values) => {
                let first = values[0];
                if values.iter().all(|&value| value == first) {
                    return Err(table.error(format!(
                        "target column `{}` is {first} in every row, so there is nothing to learn; \
                         choose another target with `--target`",
                        column.name
                    )));
                }
                let integers = || values.iter().all(|value| value.fract() == 0.0);
                if self.kind == TargetKind::Values || self.kind == TargetKind::Auto && !integers() {
                    return Ok(None);
                }
                let mut distinct = values.clone();
                distinct.sort_by(f32::total_cmp);
                distinct.dedup();
                let few = (table.rows() / 10).clamp(2, MAX_INTEGER_CLASSES);
                if self.kind == TargetKind::Auto && distinct.len() > few {
                    return Ok(None);
                }
                match &column.codes {
                    Some(ColumnValues::Text { values, .. }) => values.clone(),
                    _ => distinct.into_iter().filter_map(number_word).collect(),
                }
            }
        };
        require_names(table, column)?;
        if let [only] = &names[..] {
            return Err(table.error(format!(
                "target column `{}` has only one class (`{only}`), so there is nothing to learn; \
                 choose another target with `--target`",
                column.name
            )));
        }
        let is_full = names.len() >= MAX_WORDS;
        if is_full || names.len() > MANY_CATEGORIES && names.len() > table.rows() / 2 {
            return Err(table.error(format!(
                "target column `{}` has {}{} different values in {} rows ({}), so hardly a class \
                 comes twice; choose another target with `--target`",
                column.name,
                names.len(),
                if is_full { " or more" } else { "" },
                table.rows(),
                listed(&names)
            )));
        }
        Ok(Some(Target::Classes { name: column.name.clone(), names, columns: Vec::new() }))
    }

    /// Offset and scale of numbers with these statistics.
    fn offset_and_scale(&self, statistics: &Statistics) -> (f32, f32) {
        let Statistics { min, max, mean, deviation } = *statistics;
        let (offset, range) = match self.scaling {
            Scaling::None => return (0.0, 1.0),
            Scaling::Auto | Scaling::Standardize => (narrow(mean), deviation),
            Scaling::MinMax => (min, f64::from(max) - f64::from(min)),
        };
        let scale = narrow(range.recip());
        // The range of a constant column, or of subnormal numbers, has no reciprocal in f32.
        (offset, if scale.is_finite() { scale } else { 1.0 })
    }

    /// The same for an input, of which nothing is learnt where it is constant.
    fn input_offset_and_scale(&self, statistics: &Statistics, white: Option<f32>) -> (f32, f32) {
        if statistics.min == statistics.max {
            return (statistics.min, 0.0);
        }
        white.map_or_else(|| self.offset_and_scale(statistics), |white| (0.0, white.recip()))
    }
}

/// Refuses a column of numbers in which some cells are none.
pub(super) fn require_numbers(table: &Table, column: &Column) -> Result<()> {
    match &column.stray {
        Some((row, problem)) => Err(table.cell_error(*row, &column.name, problem.clone())),
        None => Ok(()),
    }
}

/// Refuses numbers of which f32 makes different ones equal, but names that are kept as they were written.
pub(super) fn require_apart(
    table: &Table,
    column: &Column,
    as_names: bool,
    or_else: &str,
) -> Result<()> {
    let Some([least, most]) = column.merged.filter(|_| !as_names || column.codes.is_none()) else {
        return Ok(());
    };
    let remedy = match least.abs().max(most.abs()) < f32::MIN_POSITIVE.into() {
        true => "use another unit".into(),
        false => format!("subtract {least} from them"),
    };
    Err(table.error(format!(
        "column `{}` lies between {least} and {most}, so close together that f32, which keeps 7 digits, makes \
         different ones equal; {remedy}{or_else}",
        column.name
    )))
}

/// Refuses numbers as names that aren't those of the table.
fn require_names(table: &Table, column: &Column) -> Result<()> {
    if !column.moved_whole || column.codes.is_some() {
        return Ok(());
    }
    Err(table.error(format!(
        "column `{}` has whole numbers beyond {}, which f32 doesn't keep, so they are no names of classes or \
         categories; write them as words, with a letter in front",
        column.name,
        1 << f32::MANTISSA_DIGITS
    )))
}

impl Schema {
    /// Learns from `table` what the columns hold. Scales, fill values and the categories that have inputs come from
    /// `train_rows` alone; the list of classes, which says nothing about a row, from all rows, so that a rare
    /// one may be missing from the training part.
    ///
    /// # Errors
    /// If a column isn't there, no input is left, a target cell is missing, an input cell is missing
    /// under [`Missing::Reject`], a column of numbers has a cell that is none, a column has no value at all, a
    /// column can't be of its [kind](ColumnKind), the target has a single class or nothing but different ones,
    /// or `train_rows` is empty.
    ///
    /// # Panics
    /// If a training row isn't in the table.
    pub fn fit(table: &Table, train_rows: &[u32], options: &SchemaOptions) -> Result<Self> {
        if train_rows.is_empty() {
            return Err(table.error("there is no training row to fit to; take at least one".into()));
        }
        let (targets, inputs) = options.choose(table)?;
        let kinds = options.kinds_of(table, &inputs)?;
        let classes = options.classes(table, &targets)?;
        let target = |index: usize| &table.columns()[index];
        let inputs_left = |index: usize| inputs.iter().filter(|&&input| input < index).count();
        let targets_left = |index: usize| targets.iter().filter(|&&target| target < index).count();
        let target_positions =
            targets.iter().map(|&index| inputs_left(index) + targets_left(index)).collect();

        let columns: Vec<&Column> = inputs.iter().map(|&index| &table.columns()[index]).collect();
        if options.missing == Missing::Reject {
            let remedy = "fill such cells in with `--missing fill`, remove their rows, \
                          or leave the column out with `--ignore`";
            require_values(table, &columns, 0..table.rows(), remedy)?;
        }
        let kinds: Vec<_> = inputs.iter().map(|&index| kinds[index]).collect();
        let all_numbers = kinds.iter().all(|kind| matches!(kind, None | Some(ColumnKind::Number)));
        let white = if all_numbers { white(&columns, train_rows) } else { None };
        let pixels = white.is_some();
        let white = white.filter(|_| options.scaling == Scaling::Auto);
        let inputs = columns
            .into_iter()
            .zip(kinds)
            .map(|(column, kind)| options.fit_input(table, column, kind, train_rows, white))
            .collect::<Result<Vec<_>>>()?;

        let fit_value = |&index: &usize| {
            let column = target(index);
            let ColumnValues::Numeric(values) = &column.values else {
                unreachable!("text is taken for classes")
            };
            let values = train_rows.iter().map(|&row| values[row as usize]);
            let (offset, scale) = Statistics::of(values)
                .map_or((0.0, 1.0), |statistics| options.offset_and_scale(&statistics));
            ValueColumn { name: column.name.clone(), offset, scale }
        };
        let target = classes
            .unwrap_or_else(|| Target::Values { columns: targets.iter().map(fit_value).collect() });
        Ok(Self { inputs, target, target_positions, pixels, cells: table.cells().clone() })
    }
}

/// Fewer columns than this are no image.
const MIN_PIXELS: usize = 64;

/// What a pixel is at most, if the columns are pixels as [`Scaling::Auto`] describes them.
fn white(columns: &[&Column], rows: &[u32]) -> Option<f32> {
    if columns.len() < MIN_PIXELS {
        return None;
    }
    let all = |fits: &dyn Fn(f32) -> bool| {
        let mut most = 0.0_f32;
        for column in columns {
            let ColumnValues::Numeric(values) = &column.values else { return None };
            for &row in rows {
                let value = values[row as usize];
                if !(fits(value) || value.is_nan()) {
                    return None;
                }
                most = most.max(value);
            }
        }
        Some(most)
    };
    let bytes = all(&|x| (0.0..=255.0).contains(&x) && x.fract() == 0.0);
    if bytes.is_some_and(|most| most > 127.0) {
        return Some(255.0);
    }
    let fractions = all(&|x| (0.0..=1.0).contains(&x));
    fractions.filter(|&most| most > 0.5).map(|_| 1.0)
}

#[cfg(test)]
mod tests;
