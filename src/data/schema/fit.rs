//! Fits a [`Schema`] to a table.

use std::collections::BTreeMap;

use super::encode::{class_indices, require_values};
use super::{InputColumn, InputKind, Schema, Target, ValueColumn};
use crate::Result;
use crate::data::statistics::{Statistics, narrow};
use crate::data::table::{Column, ColumnValues, Table, number_word};
use crate::data::wording::listed;

/// More different values than this make a column an identifier or free text, not a category.
const MAX_CATEGORIES: usize = 64;
/// Integers in a target count as classes up to this many different ones.
const MAX_INTEGER_CLASSES: usize = 20;
const TARGET_REMEDY: &str = "remove such rows, or choose another target with `--target`";

/// What to learn from a table, and how. The default predicts the last column from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaOptions {
    /// Columns to predict, by name or number (see [`Table::find`]); several only for numbers.
    /// Default: none named, which means the last column that isn't ignored.
    pub targets: Vec<String>,
    /// Whether the target is a class or a number.
    pub kind: TargetKind,
    /// Columns to leave out, by name or number.
    pub ignore: Vec<String>,
    /// What is done to numbers, inputs and targets alike.
    pub scaling: Scaling,
    /// What is done about missing input cells. A missing target is always an error.
    pub missing: Missing,
}

/// Whether the target is a class or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetKind {
    /// Text is a class. A number is a class if all are integers and there are two different ones, or
    /// up to 20 that are at most a tenth of the rows.
    #[default]
    Auto,
    /// One class for each different text or number.
    Classes,
    /// A number.
    Values,
}

/// What is done to numbers before a net sees them, always as (x − offset) · scale. A column that is
/// constant over the training rows becomes 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// To mean 0 and standard deviation 1 over the training rows.
    #[default]
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
        let Some(names) = self.class_names(table, &targets)? else { return Ok(None) };
        let labels = class_indices(table, &table.columns()[targets[0]], &names, &table.all_rows())?;
        Ok(Some(labels))
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
            targets.extend((0..table.columns().len()).rev().find(usable));
        }
        for (i, target) in targets.iter().enumerate() {
            let name = &table.columns()[*target].name;
            if !usable(target) {
                return Err(
                    table.error(format!("column `{name}` is both target and ignored; choose one"))
                );
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
                "no column is left to learn from; of {} columns {} are targets and {} ignored \
                 (is the delimiter right?)",
                table.columns().len(),
                targets.len(),
                ignored.len()
            )));
        }
        Ok((targets, inputs))
    }

    /// Names of the classes, in the whole table; `None` if the targets are numbers.
    fn class_names(&self, table: &Table, targets: &[usize]) -> Result<Option<Vec<String>>> {
        let columns: Vec<&Column> = targets.iter().map(|&index| &table.columns()[index]).collect();
        require_values(table, &columns, 0..table.rows(), TARGET_REMEDY)?;

        let is_text = |column: &Column| matches!(column.values, ColumnValues::Text { .. });
        let [column] = columns[..] else {
            return match columns
                .into_iter()
                .find(|&column| is_text(column) || self.kind == TargetKind::Classes)
            {
                None => Ok(None),
                Some(column) => Err(table.error(format!(
                    "column `{}` can't be a class, because there are {} targets; \
                     choose a single target, or only numbers",
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
                let mut distinct = values.clone();
                distinct.sort_by(f32::total_cmp);
                distinct.dedup();
                if let [only] = distinct[..] {
                    return Err(table.error(format!(
                        "target column `{}` is {only} in every row, so there is nothing to learn; \
                         choose another target with `--target`",
                        column.name
                    )));
                }
                let integers = distinct.iter().all(|value| value.fract() == 0.0);
                let few = (table.rows() / 10).clamp(2, MAX_INTEGER_CLASSES);
                let classes = integers && distinct.len() <= few;
                if self.kind == TargetKind::Values || self.kind == TargetKind::Auto && !classes {
                    return Ok(None);
                }
                distinct.into_iter().filter_map(number_word).collect()
            }
        };
        if let [only] = &names[..] {
            return Err(table.error(format!(
                "target column `{}` has only one class (`{only}`), so there is nothing to learn; \
                 choose another target with `--target`",
                column.name
            )));
        }
        if names.len() > MAX_CATEGORIES && names.len() > table.rows() / 2 {
            return Err(table.error(format!(
                "target column `{}` has {} different values in {} rows ({}), so hardly a class \
                 comes twice; choose another target with `--target`",
                column.name,
                names.len(),
                table.rows(),
                listed(&names)
            )));
        }
        Ok(Some(names))
    }

    /// Offset and scale of numbers with these statistics.
    fn offset_and_scale(&self, statistics: &Statistics) -> (f32, f32) {
        let Statistics { min, max, mean, deviation } = *statistics;
        let (offset, range) = match self.scaling {
            Scaling::None => return (0.0, 1.0),
            Scaling::Standardize => (narrow(mean), deviation),
            Scaling::MinMax => (min, f64::from(max) - f64::from(min)),
        };
        let scale = narrow(range.recip());
        // The range of a constant column, or of subnormal numbers, has no reciprocal in f32.
        (offset, if scale.is_finite() { scale } else { 1.0 })
    }

    fn fit_input(&self, table: &Table, column: &Column, train_rows: &[u32]) -> Result<InputColumn> {
        let fill = self.missing == Missing::Fill;
        let empty = || {
            table.error(format!(
                "column `{0}` has no value in any of the {1} training rows; leave it out with `--ignore {0}`",
                column.name,
                train_rows.len()
            ))
        };
        let kind = match &column.values {
            ColumnValues::Numeric(values) => {
                let values = train_rows.iter().map(|&row| values[row as usize]);
                let statistics = Statistics::of(values).ok_or_else(empty)?;
                let (offset, scale) = self.offset_and_scale(&statistics);
                InputKind::Numeric { fill: fill.then(|| narrow(statistics.mean)), offset, scale }
            }
            ColumnValues::Text { codes, values } => {
                if values.len() > MAX_CATEGORIES {
                    return Err(table.error(format!(
                        "column `{0}` holds {1} different texts ({2}), too many to tell apart \
                         (at most {MAX_CATEGORIES}); leave it out with `--ignore {0}`",
                        column.name,
                        values.len(),
                        listed(values)
                    )));
                }
                let mut counts = BTreeMap::new();
                for &row in train_rows {
                    *counts.entry(codes[row as usize]).or_insert(0_u32) += 1;
                }
                let present = counts
                    .into_iter()
                    .filter_map(|(code, count)| Some((count, values.get(code as usize)?)));
                // Of equally frequent ones the first in order.
                let frequent = present.rev().max_by_key(|&(count, _)| count).ok_or_else(empty)?.1;
                InputKind::Categorical {
                    fill: fill.then(|| frequent.clone()),
                    values: values.clone(),
                }
            }
        };
        Ok(InputColumn { name: column.name.clone(), kind })
    }
}

impl Schema {
    /// Learns from `table` what the columns hold. Scales and fill values come from `train_rows`
    /// alone; the lists of categories and classes, which say nothing about a row, from all rows, so
    /// that a rare one may be missing from the training part.
    ///
    /// # Errors
    /// If a column isn't there, no input is left, a target cell is missing, an input cell is missing
    /// under [`Missing::Reject`], a column has no value at all, a text column has more than 64
    /// different values, the target has a single class or nothing but different ones, or
    /// `train_rows` is empty.
    ///
    /// # Panics
    /// If a training row isn't in the table.
    pub fn fit(table: &Table, train_rows: &[u32], options: &SchemaOptions) -> Result<Self> {
        if train_rows.is_empty() {
            return Err(table.error("there is no training row to fit to; take at least one".into()));
        }
        let (targets, inputs) = options.choose(table)?;
        let class_names = options.class_names(table, &targets)?;
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
        let inputs = columns
            .into_iter()
            .map(|column| options.fit_input(table, column, train_rows))
            .collect::<Result<Vec<_>>>()?;

        let fit_value = |&index: &usize| {
            let column = target(index);
            let ColumnValues::Numeric(values) = &column.values else {
                unreachable!("class_names takes text for classes")
            };
            let values = train_rows.iter().map(|&row| values[row as usize]);
            let (offset, scale) = Statistics::of(values)
                .map_or((0.0, 1.0), |statistics| options.offset_and_scale(&statistics));
            ValueColumn { name: column.name.clone(), offset, scale }
        };
        let target = match class_names {
            Some(names) => Target::Classes { name: target(targets[0]).name.clone(), names },
            None => Target::Values { columns: targets.iter().map(fit_value).collect() },
        };
        Ok(Self { inputs, target, target_positions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CsvOptions, digits, read_csv};

    fn table(text: &str) -> Table {
        read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
    }

    fn fit_all(text: &str, options: &SchemaOptions) -> Result<Schema> {
        let table = table(text);
        Schema::fit(&table, &table.all_rows(), options)
    }

    fn message(text: &str, options: &SchemaOptions) -> String {
        fit_all(text, options).unwrap_err().to_string()
    }

    fn target(name: &str) -> SchemaOptions {
        SchemaOptions { targets: vec![name.into()], ..SchemaOptions::default() }
    }

    fn ignore(names: &[&str]) -> SchemaOptions {
        let ignore = names.iter().map(|&name| name.into()).collect();
        SchemaOptions { ignore, ..SchemaOptions::default() }
    }

    fn names(schema: &Schema) -> (Vec<&str>, Vec<&str>) {
        let inputs = schema.inputs.iter().map(|input| input.name.as_str()).collect();
        (inputs, schema.target.column_names())
    }

    const ABC: &str = "a,b,c\n1,2,x\n3,5,y\n4,9,x\n";

    #[test]
    fn targets_and_ignored_columns_are_left_out_of_the_inputs() {
        for (options, expected) in [
            (SchemaOptions::default(), (vec!["a", "b"], vec!["c"])),
            (target("a"), (vec!["b", "c"], vec!["a"])),
            (target("-2"), (vec!["a", "c"], vec!["b"])),
            (ignore(&["1"]), (vec!["b"], vec!["c"])),
            (ignore(&["c"]), (vec!["a"], vec!["b"])),
        ] {
            assert_eq!(names(&fit_all(ABC, &options).unwrap()), expected, "{options:?}");
        }
        assert_eq!(
            message(ABC, &SchemaOptions { ignore: vec!["c".into()], ..target("c") }),
            "t.csv: column `c` is both target and ignored; choose one"
        );
        let twice =
            SchemaOptions { targets: vec!["a".into(), "1".into()], ..SchemaOptions::default() };
        assert_eq!(
            message(ABC, &twice),
            "t.csv: column `a` is named twice as target; name it once"
        );
        assert!(message(ABC, &target("d")).contains("its columns are a, b, c"));
        assert_eq!(
            message(ABC, &ignore(&["a", "b"])),
            "t.csv: no column is left to learn from; of 3 columns 1 are targets and 2 ignored \
             (is the delimiter right?)"
        );
        assert!(
            message("a\n1\n2\n", &SchemaOptions::default()).contains("is the delimiter right?")
        );
    }

    #[test]
    fn the_target_is_a_class_or_a_number() {
        let is_class = |values: &mut dyn Iterator<Item = f32>, kind| {
            let y: Vec<f32> = values.collect();
            let table =
                Table::new("t", vec![Column::numeric("x", y.clone()), Column::numeric("y", y)])
                    .unwrap();
            let options = SchemaOptions { kind, ..SchemaOptions::default() };
            let labels = options.labels(&table).unwrap();
            let schema = Schema::fit(&table, &[0], &options).unwrap();
            assert_eq!(labels.is_some(), matches!(schema.target, Target::Classes { .. }));
            labels.is_some()
        };
        let cycle = |different: u16, rows: usize| (0..different).map(f32::from).cycle().take(rows);
        for (different, rows, expected) in [
            (2, 3, true),
            (3, 29, false),
            (3, 30, true),
            (20, 200, true),
            (20, 199, false),
            (21, 999, false),
        ] {
            assert_eq!(
                is_class(&mut cycle(different, rows), TargetKind::Auto),
                expected,
                "{different} of {rows}"
            );
        }
        assert!(!is_class(&mut cycle(2, 100).map(|y| y + 0.5), TargetKind::Auto));
        assert!(is_class(&mut cycle(2, 100).map(|y| y + 0.5), TargetKind::Classes));
        assert!(!is_class(&mut cycle(2, 100), TargetKind::Values));

        let options = SchemaOptions { kind: TargetKind::Values, ..SchemaOptions::default() };
        assert_eq!(
            message(ABC, &options),
            "t.csv: column `c` holds text (`x`), so it can't be predicted as a number; \
             predict classes, or choose another target"
        );
        let two =
            SchemaOptions { targets: vec!["a".into(), "c".into()], ..SchemaOptions::default() };
        assert_eq!(
            message(ABC, &two),
            "t.csv: column `c` can't be a class, because there are 2 targets; \
             choose a single target, or only numbers"
        );
    }

    #[test]
    fn labels_are_the_encoded_targets() {
        let (table, options) = (digits(), SchemaOptions::default());
        let rows = table.all_rows();
        let data =
            Schema::fit(&table, &rows[..10], &options).unwrap().encode(&table, &rows).unwrap();
        let labels = options.labels(&table).unwrap().unwrap();
        assert_eq!(data.targets(), &crate::data::Targets::Classes { labels, classes: 10 });
    }

    #[test]
    fn classes_must_be_worth_telling_apart() {
        assert_eq!(
            message("x,y\n1,a\n2,a\n3,a\n", &SchemaOptions::default()),
            "t.csv: target column `y` has only one class (`a`), so there is nothing to learn; \
             choose another target with `--target`"
        );
        let ids =
            |rows| (0..rows).fold("x,id\n".to_owned(), |text, i| text + &format!("{i},n{i}\n"));
        assert_eq!(
            message(&ids(65), &SchemaOptions::default()),
            "t.csv: target column `id` has 65 different values in 65 rows \
             (n0, n1, n10, n11, n12, n13, n14, n15, n16, n17, … (65 in all)), so hardly a class comes \
             twice; choose another target with `--target`"
        );
        assert!(fit_all(&ids(64), &SchemaOptions::default()).is_ok());
        assert_eq!(
            message(&ids(65), &target("x")),
            "t.csv: column `id` holds 65 different texts \
             (n0, n1, n10, n11, n12, n13, n14, n15, n16, n17, … (65 in all)), too many to tell apart \
             (at most 64); leave it out with `--ignore id`"
        );
    }

    #[test]
    fn scales_come_from_the_training_rows_alone() {
        let table = table("x,w,y\n1,a,1\n3,a,3\n1000,b,1000\n5,b,5\n");
        for (scaling, offset, scale) in [
            (Scaling::Standardize, 3.0, narrow((8.0_f64 / 3.0).sqrt().recip())),
            (Scaling::MinMax, 1.0, 0.25),
            (Scaling::None, 0.0, 1.0),
        ] {
            let options = SchemaOptions {
                scaling,
                kind: TargetKind::Values,
                missing: Missing::Fill,
                ..SchemaOptions::default()
            };
            let schema = Schema::fit(&table, &[3, 0, 1], &options).unwrap();
            assert_eq!(
                schema.inputs[0].kind,
                InputKind::Numeric { fill: Some(3.0), offset, scale }
            );
            let column = ValueColumn { name: "y".into(), offset, scale };
            assert_eq!(schema.target, Target::Values { columns: vec![column] });
        }
    }

    #[test]
    fn a_constant_target_is_refused() {
        let options = SchemaOptions { kind: TargetKind::Values, ..SchemaOptions::default() };
        let refused = Schema::fit(&table("x,y\n1,0.5\n2,0.5\n"), &[0, 1], &options).unwrap_err();
        let message = refused.to_string();
        assert!(message.contains("column `y` is 0.5 in every row"), "{message}");
    }

    #[test]
    fn words_are_known_from_all_rows_but_filled_in_from_training_rows() {
        let table = table("w,y\na,1.5\nb,2\nb,3\nc,4\n,5\n");
        let options = SchemaOptions { missing: Missing::Fill, ..SchemaOptions::default() };
        let values = ["a", "b", "c"].map(String::from).to_vec();
        for (rows, fill) in [(&[0, 1, 2, 4][..], "b"), (&[3, 0][..], "a"), (&[3, 3, 0][..], "c")] {
            let schema = Schema::fit(&table, rows, &options).unwrap();
            let expected =
                InputKind::Categorical { fill: Some(fill.into()), values: values.clone() };
            assert_eq!(schema.inputs[0].kind, expected);
        }
    }

    #[test]
    fn a_constant_column_becomes_zero() {
        let table = Table::from_rows("t", &["x", "y"], &[0.1, 1.0, 0.1, 2.5].repeat(501)).unwrap();
        let rows: Vec<u32> = (0..1002).collect();
        for scaling in [Scaling::Standardize, Scaling::MinMax] {
            let options = SchemaOptions { scaling, ..SchemaOptions::default() };
            let schema = Schema::fit(&table, &rows, &options).unwrap();
            assert_eq!(
                schema.inputs[0].kind,
                InputKind::Numeric { fill: None, offset: 0.1, scale: 1.0 }
            );
            assert!(schema.encode_inputs(&table).unwrap().iter().all(|&x| x == 0.0));
        }
    }

    #[test]
    fn a_subnormal_range_stays_finite() {
        let table = Table::from_rows("t", &["x", "y"], &[0.0, 1.0, 1e-45, 2.5]).unwrap();
        let schema = Schema::fit(&table, &[0, 1], &SchemaOptions::default()).unwrap();
        assert!(schema.encode(&table, &[0, 1]).is_ok());
    }

    #[test]
    fn missing_cells_are_counted_and_the_first_one_named() {
        let text = "x,w,y\n1,a,p\n2,,q\n,b,p\n,b,q\n5,a,p\n";
        assert_eq!(
            message(text, &SchemaOptions::default()),
            "t.csv, line 3, column w: the value is missing, the first of 3 (2 in x, 1 in w); \
             fill such cells in with `--missing fill`, remove their rows, \
             or leave the column out with `--ignore`"
        );
        assert!(message(text, &ignore(&["x"])).contains("column w: the value is missing; fill"));
        assert!(
            fit_all(text, &ignore(&["x", "w"])).is_err_and(|e| e.to_string().contains("no column"))
        );
        let fill = SchemaOptions { missing: Missing::Fill, ..SchemaOptions::default() };
        assert!(fit_all(text, &fill).is_ok());
        let mut holes = fill.clone();
        holes.targets = vec!["w".into()];
        assert_eq!(
            message(text, &holes),
            "t.csv, line 3, column w: the value is missing; remove such rows, \
             or choose another target with `--target`"
        );
        assert!(holes.labels(&table(text)).is_err());
        assert_eq!(
            message("x,e,y\n1,,p\n2,,q\n", &fill),
            "t.csv: column `e` has no value in any of the 2 training rows; leave it out with `--ignore e`"
        );
        let words = Table::new(
            "t",
            vec![
                Column::text("w", [None, Some("a"), Some("b")]),
                Column::text("y", [Some("p"), Some("q"), Some("q")]),
            ],
        );
        let error = Schema::fit(&words.unwrap(), &[0], &fill).unwrap_err().to_string();
        assert!(error.contains("column `w` has no value in any of the 1 training rows"), "{error}");
    }

    #[test]
    fn there_must_be_training_rows() {
        let error =
            Schema::fit(&table(ABC), &[], &SchemaOptions::default()).unwrap_err().to_string();
        assert_eq!(error, "t.csv: there is no training row to fit to; take at least one");
    }
}
