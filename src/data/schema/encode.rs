//! Turns tables into numbers, as a [`Schema`] says.

use std::collections::HashMap;

use super::known::Known;
use super::{InputKind, Schema, Target};
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
                labels: class_indices(table, targets[0], names, rows)?,
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
        let known = self.inputs.iter().map(|input| match &input.kind {
            InputKind::Categorical { fill, values } | InputKind::Ordinal { fill, values, .. } => {
                Some(Known::new(values, fill.as_deref()))
            }
            InputKind::Numeric { .. } => None,
        });
        let known: Vec<Option<Known>> = known.collect();
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
                        for (out, &row) in out.chunks_exact_mut(in_features).zip(rows) {
                            out[feature + known.index(table, column, row as usize)?] = 1.0;
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

/// Class index of each of `rows`.
pub(super) fn class_indices(
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
pub(super) mod tests {
    use super::*;
    use crate::data::{CsvOptions, Missing, Scaling, SchemaOptions, read_csv};

    fn table(text: &str) -> Table {
        read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
    }

    pub(in crate::data::schema) fn fit(text: &str, options: &SchemaOptions) -> Schema {
        let table = table(text);
        Schema::fit(&table, &table.all_rows(), options).unwrap()
    }

    fn unscaled() -> SchemaOptions {
        SchemaOptions { scaling: Scaling::None, ..SchemaOptions::default() }
    }

    pub(in crate::data::schema) fn filling() -> SchemaOptions {
        SchemaOptions { missing: Missing::Fill, ..unscaled() }
    }

    pub(in crate::data::schema) fn encode_all(schema: &Schema, text: &str) -> Result<Dataset> {
        let table = table(text);
        schema.encode(&table, &table.all_rows())
    }

    fn message(schema: &Schema, text: &str) -> String {
        encode_all(schema, text).unwrap_err().to_string()
    }

    pub(in crate::data::schema) const FRUIT: &str =
        "size,color,kind\n1,red,apple\n2,green,pear\n6,red,apple\n";

    #[test]
    fn numbers_are_scaled_and_words_become_one_hot() {
        let schema = fit(FRUIT, &SchemaOptions::default());
        assert_eq!((schema.in_features(), schema.outputs()), (3, 2));
        assert_eq!(schema.feature_names(), ["size", "color=green", "color=red"]);
        let data = schema.encode(&table(FRUIT), &[2, 0]).unwrap();
        let deviation = (14.0_f64 / 3.0).sqrt();
        let sizes = [3.0 / deviation, -2.0 / deviation].map(narrow);
        let expected = [sizes[0], 0.0, 1.0, sizes[1], 0.0, 1.0];
        for (got, expected) in data.inputs().iter().zip(expected) {
            assert!((got - expected).abs() <= 2.0 * f32::EPSILON, "{got}, not {expected}");
        }
        assert_eq!(data.targets(), &Targets::Classes { labels: vec![0, 0], classes: 2 });
    }

    #[test]
    fn numbers_can_be_classes_and_words_numbers() {
        let schema = fit("x,y\n1,3\n2,10\n3,3\n4,-1\n5,a\n6,b\n7,c\n8,d\n9,e\n", &unscaled());
        // Read on its own, this table's y is a column of numbers.
        let data = encode_all(&schema, "x,y\n1,10\n2,-1\n").unwrap();
        assert_eq!(data.targets().to_f32(), [1.0, 0.0]);
        let schema = fit(
            "x,y\n1,10\n2,9\n3,10\n4,9\n5,-0\n",
            &SchemaOptions { kind: crate::data::TargetKind::Classes, ..unscaled() },
        );
        assert!(
            matches!(&schema.target, Target::Classes { names, .. } if names == &["0", "9", "10"])
        );
        assert_eq!(encode_all(&schema, "x,y\n1,10\n2,0\n").unwrap().targets().to_f32(), [2.0, 0.0]);
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let schema = fit(FRUIT, &unscaled());
        let data =
            encode_all(&schema, "kind,extra,color,size\npear,0,green,7\napple,0,red,1\n").unwrap();
        assert_eq!(data.inputs(), [7.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(data.targets().to_f32(), [1.0, 0.0]);
        let inputs = schema.encode_inputs(&table("color,size\nred,5\n")).unwrap();
        assert_eq!(inputs, [5.0, 0.0, 1.0]);
    }

    #[test]
    fn without_a_header_columns_are_found_by_position() {
        let text = "y,a,id,b,z\n10,1,0,2,20\n11,3,0,4,21\n12,5,0,6,22\n";
        let options = SchemaOptions {
            targets: vec!["z".into(), "y".into()],
            ignore: vec!["id".into()],
            ..unscaled()
        };
        let schema = fit(text, &options);
        assert_eq!(schema.target_positions, [3, 0]);
        let data = encode_all(&schema, "7,1,2,8\n9,3,4,10\n").unwrap();
        assert_eq!(data.inputs(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(data.targets().to_f32(), [8.0, 7.0, 10.0, 9.0]);
        assert_eq!(schema.encode_inputs(&table("1,2\n3,4\n")).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(schema.encode_inputs(&table("1,2,3\n")).is_err());
        // With a header that names other columns, position is no guide.
        assert!(schema.encode_inputs(&table("c,d\n1,2\n")).is_err());
    }

    #[test]
    fn a_headerless_table_fits_one_without_its_target() {
        let schema = fit(
            "1,5,6\n2,7,8\n1,9,9\n",
            &SchemaOptions { targets: vec!["1".into()], ..unscaled() },
        );
        assert_eq!(schema.encode_inputs(&table("5,6\n")).unwrap(), [5.0, 6.0]);
        assert_eq!(encode_all(&schema, "2,5,6\n").unwrap().inputs(), [5.0, 6.0]);
    }

    #[test]
    fn columns_without_names_that_can_be_read_in_two_ways_are_refused() {
        let options = SchemaOptions { ignore: vec!["1".into()], ..unscaled() };
        let schema = fit("0,1,5,6\n1,2,7,8\n2,3,9,1\n", &options);
        assert_eq!(encode_all(&schema, "9,3,5,6\n").unwrap().inputs(), [3.0, 5.0]);
        assert_eq!(schema.encode_inputs(&table("3,5\n")).unwrap(), [3.0, 5.0]);
        // The ignored column and the inputs, or the inputs and the target?
        let refused = message(&schema, "9,3,5\n");
        assert!(refused.contains("its 3 columns have no names, so they could be"), "{refused}");
    }

    #[test]
    fn words_that_are_numbers_are_known_in_any_digits() {
        let schema = fit("k,y\n007,1\na,2\nb,3\n1.50,4\n", &unscaled());
        assert_eq!(
            schema.encode_inputs(&table("k,y\n1.5,1\n7,1\n")).unwrap()[..4],
            [0.0, 1.0, 0.0, 0.0]
        );
        assert!(message(&schema, "k,y\n8,1\n").contains("`8` is none of the values"));
        // Two of them are the same number.
        let schema = fit("k,y\n7.0,1\n007,2\na,3\nb,4\n", &unscaled());
        assert!(message(&schema, "k,y\n7,1\n").contains("`7` is none of the values"));
    }

    #[test]
    fn absent_columns_are_named() {
        let schema = fit(FRUIT, &unscaled());
        assert_eq!(
            message(&schema, "size,colour,kind\n1,red,apple\n"),
            "t.csv: no column `color`; did you mean `colour`?"
        );
        assert_eq!(
            message(&schema, "size,color\n1,red\n2,green\n"),
            "t.csv: no column `kind`; its columns are size, color"
        );
        let error = schema.encode(&table(FRUIT), &[]).unwrap_err().to_string();
        assert_eq!(error, "t.csv: no rows were chosen; take at least one");
    }

    #[test]
    fn what_was_never_seen_is_refused() {
        let schema = fit(FRUIT, &unscaled());
        assert_eq!(
            message(&schema, "size,color,kind\n1,red,pear\n1,blue,pear\n"),
            "t.csv, line 3, column color: `blue` is none of the values the model knows: green, red"
        );
        assert_eq!(
            message(&schema, "size,color,kind\n1,red,plum\n"),
            "t.csv, line 2, column kind: `plum` is none of the values the model knows: apple, pear"
        );
        assert_eq!(
            message(&schema, "size,color,kind\n1,7,pear\n"),
            "t.csv, line 2, column color: `7` is none of the values the model knows: green, red"
        );
        assert_eq!(
            message(&schema, "size,color,kind\n5,red,pear\nbig,red,pear\n"),
            "t.csv, line 3, column size: `big` is text, but the model was trained on numbers here"
        );
    }

    #[test]
    fn numbers_too_far_out_are_refused() {
        let schema = fit("x,y\n0,1\n1e-3,2.5\n", &SchemaOptions::default());
        assert_eq!(
            message(&schema, "x,y\n1,1\n3e38,1\n"),
            "t.csv, line 3, column x: 3e38 lies so far outside the training data that its scaled \
             value exceeds f32; correct it or remove the row"
        );
        // But the whole range of f32 fits where it was seen.
        let wide = "x,y\n-3e38,1\n3e38,2.5\n";
        let to_unit = SchemaOptions { scaling: Scaling::MinMax, ..SchemaOptions::default() };
        let data = encode_all(&fit(wide, &to_unit), wide).unwrap();
        assert!(data.inputs()[0] == 0.0 && (data.inputs()[1] - 1.0).abs() <= 2.0 * f32::EPSILON);
        let data = encode_all(&fit(wide, &SchemaOptions::default()), wide).unwrap();
        assert!(data.inputs().iter().all(|x| (x.abs() - 1.0).abs() <= 2.0 * f32::EPSILON));
    }

    #[test]
    fn missing_cells_are_filled_or_refused() {
        let holes = "size,color,kind\n2,red,pear\n,NA,pear\n5,blue,apple\n";
        let filled = encode_all(&fit(FRUIT, &filling()), holes).unwrap();
        assert_eq!(filled.inputs(), [2.0, 0.0, 1.0, 3.0, 0.0, 1.0, 5.0, 0.0, 1.0]);
        let advice = "the value is missing, and the model was trained without filling in missing \
                      values; remove the row, or train with `--missing fill`";
        let schema = fit(FRUIT, &unscaled());
        assert_eq!(message(&schema, holes), format!("t.csv, line 3, column size: {advice}"));
        assert_eq!(
            message(&schema, "size,color,kind\n2,,pear\n"),
            format!("t.csv, line 2, column color: {advice}")
        );
        for schema in [schema, fit(FRUIT, &filling())] {
            assert_eq!(
                message(&schema, "size,color,kind\n2,red,\n1,red,pear\n3,red,?\n"),
                "t.csv, line 2, column kind: the value is missing, the first of 2 (2 in kind); \
                 remove such rows, or fill in the target"
            );
        }
    }
}
