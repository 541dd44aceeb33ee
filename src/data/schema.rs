//! How tables become net inputs, and net outputs the user's quantities again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::csv_table::shortened;
use super::dataset::{Dataset, Targets};
use super::table::{Column, ColumnValues, Table};
use crate::{Error, Result};

/// Which columns a net reads and predicts, and how cells and numbers correspond.
///
/// Fitted once by [`Schema::fit`], stored with the model, and applied to every later table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The columns that the net reads, in the order of its inputs; at least one.
    pub inputs: Vec<InputColumn>,
    /// What the net predicts.
    pub target: Target,
    /// Where the target columns stood among the used columns, counted from 0: what tells columns
    /// apart in a table without a header.
    pub target_positions: Vec<usize>,
}

/// A column that the net reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputColumn {
    /// Name of the table's column.
    pub name: String,
    /// How its cells become inputs.
    pub kind: InputKind,
}

/// How a cell becomes one or more inputs of the net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// One input: (x − offset) · scale.
    Numeric {
        /// What stands in for a missing cell, in the column's own units; `None`: an error.
        fill: Option<f32>,
        /// In the column's own units.
        offset: f32,
        /// Per unit of the column.
        scale: f32,
    },
    /// One input per value: 1 where the cell has that value, else 0.
    Categorical {
        /// What stands in for a missing or unknown cell; `None`: an error.
        fill: Option<String>,
        /// The known values, sorted.
        values: Vec<String>,
    },
}

/// What the net predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One of several classes.
    Classes {
        /// Name of the table's column.
        name: String,
        /// Class names by class index: numbers in order of size, words sorted; at least two.
        names: Vec<String>,
    },
    /// One number per column.
    Values {
        /// In the order of the net's outputs; at least one.
        columns: Vec<ValueColumn>,
    },
}

/// A number that the net predicts: output = (y − offset) · scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueColumn {
    /// Name of the table's column.
    pub name: String,
    /// In the column's own units.
    pub offset: f32,
    /// Per unit of the column, not 0.
    pub scale: f32,
}

impl InputColumn {
    /// Number of the net's inputs that the column fills.
    fn width(&self) -> usize {
        match &self.kind {
            InputKind::Numeric { .. } => 1,
            InputKind::Categorical { values, .. } => values.len(),
        }
    }
}

impl Target {
    /// Names of the target's columns in the table.
    pub(super) fn column_names(&self) -> Vec<&str> {
        match self {
            Self::Classes { name, .. } => vec![name],
            Self::Values { columns } => columns.iter().map(|column| column.name.as_str()).collect(),
        }
    }
}

impl Schema {
    /// Numbers that the net reads per row.
    #[must_use]
    pub fn in_features(&self) -> usize {
        self.inputs.iter().map(InputColumn::width).sum()
    }

    /// Numbers that the net gives per row: one logit per class, or one per target column.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match &self.target {
            Target::Classes { names, .. } => names.len(),
            Target::Values { columns } => columns.len(),
        }
    }

    /// Name of each input of the net: the column's, or `column=value`.
    #[must_use]
    pub fn feature_names(&self) -> Vec<String> {
        let names = |column: &InputColumn| match &column.kind {
            InputKind::Numeric { .. } => vec![column.name.clone()],
            InputKind::Categorical { values, .. } => {
                values.iter().map(|value| format!("{}={value}", column.name)).collect()
            }
        };
        self.inputs.iter().flat_map(names).collect()
    }

    /// Turns outputs of a regression net (rows × [`outputs`](Self::outputs), row-major) into the
    /// target's own units. Class logits stay as they are.
    pub fn restore_values(&self, outputs: &mut [f32]) {
        if let Target::Values { columns } = &self.target {
            for row in outputs.chunks_mut(columns.len()) {
                for (value, column) in row.iter_mut().zip(columns) {
                    *value = narrow(
                        f64::from(*value) / f64::from(column.scale) + f64::from(column.offset),
                    );
                }
            }
        }
    }

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
        let rows: Vec<u32> = (0..).take(table.rows()).collect();
        self.encode_columns(table, &inputs, &rows)
    }

    /// The table's columns for the inputs and, where they are there, for the targets.
    fn columns<'a>(&self, table: &'a Table) -> Result<(Vec<&'a Column>, Option<Vec<&'a Column>>)> {
        let named = |name: &str| Some(&table.columns()[table.position(name)?]);
        let inputs: Option<Vec<_>> = self.inputs.iter().map(|input| named(&input.name)).collect();
        if let Some(inputs) = inputs {
            return Ok((inputs, self.target.column_names().into_iter().map(named).collect()));
        }
        if !table.has_header() {
            if table.columns().len() == self.inputs.len() {
                return Ok((table.columns().iter().collect(), None));
            }
            let mut inputs: Vec<_> = table.columns().iter().collect();
            let mut targets = Vec::new();
            // From the right, so that the positions to the left stay what they were.
            let mut positions: Vec<_> = (0..).zip(&self.target_positions).collect();
            positions.sort_by_key(|&(_, &position)| std::cmp::Reverse(position));
            for (output, &position) in positions {
                if position < inputs.len() {
                    targets.push((output, inputs.remove(position)));
                }
            }
            if inputs.len() == self.inputs.len()
                && targets.len() == self.target.column_names().len()
            {
                targets.sort_by_key(|&(output, _): &(usize, _)| output);
                return Ok((inputs, Some(targets.into_iter().map(|(_, column)| column).collect())));
            }
        }
        let absent = self.inputs.iter().find(|input| named(&input.name).is_none());
        Err(table.no_column(absent.map_or("", |input| &input.name)))
    }

    fn encode_columns(&self, table: &Table, columns: &[&Column], rows: &[u32]) -> Result<Vec<f32>> {
        let in_features = self.in_features();
        let mut inputs = vec![0.0; rows.len() * in_features];
        let mut feature = 0;
        for (input, column) in self.inputs.iter().zip(columns) {
            match &input.kind {
                &InputKind::Numeric { fill, offset, scale } => {
                    let out = inputs[feature..].iter_mut().step_by(in_features);
                    Scaled { offset, scale, fill }.encode(table, column, rows, out)?;
                }
                InputKind::Categorical { fill, values } => {
                    let known = Known::new(values, fill.as_deref());
                    for (out, &row) in inputs.chunks_exact_mut(in_features).zip(rows) {
                        out[feature + known.index(table, column, row as usize)?] = 1.0;
                    }
                }
            }
            feature += input.width();
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

/// The values that a categorical column or target may have.
struct Known<'a> {
    index: HashMap<&'a str, usize>,
    values: &'a [String],
    fill: Option<usize>,
}

impl<'a> Known<'a> {
    fn new(values: &'a [String], fill: Option<&str>) -> Self {
        let index: HashMap<_, _> = values.iter().map(String::as_str).zip(0..).collect();
        let fill = fill.and_then(|fill| index.get(fill).copied());
        Self { index, values, fill }
    }

    fn index(&self, table: &Table, column: &Column, row: usize) -> Result<usize> {
        let word = column.word(row);
        let found = word.as_ref().and_then(|word| self.index.get(word.as_ref()).copied());
        found.or(self.fill).ok_or_else(|| match word {
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

fn missing(table: &Table, column: &Column, row: usize) -> Error {
    table.cell_error(
        row,
        &column.name,
        "the value is missing, and the model was trained without filling in missing values; \
         remove the row, or train with `--missing fill`"
            .into(),
    )
}

/// The first few of a list.
pub(super) fn listed(values: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 10;
    let mut list = values
        .iter()
        .take(SHOWN)
        .map(|value| shortened(value.as_ref()))
        .collect::<Vec<_>>()
        .join(", ");
    if values.len() > SHOWN {
        list += &format!(", … ({} in all)", values.len());
    }
    list
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
pub(super) const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CsvOptions, Missing, Scaling, SchemaOptions, read_csv};

    fn table(text: &str) -> Table {
        read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
    }

    fn rows(table: &Table) -> Vec<u32> {
        (0..table.rows() as u32).collect()
    }

    fn fit(text: &str, options: &SchemaOptions) -> Schema {
        let table = table(text);
        Schema::fit(&table, &rows(&table), options).unwrap()
    }

    fn unscaled() -> SchemaOptions {
        SchemaOptions { scaling: Scaling::None, ..SchemaOptions::default() }
    }

    fn filling() -> SchemaOptions {
        SchemaOptions { missing: Missing::Fill, ..unscaled() }
    }

    fn encode_all(schema: &Schema, text: &str) -> Result<Dataset> {
        let table = table(text);
        schema.encode(&table, &rows(&table))
    }

    fn message(schema: &Schema, text: &str) -> String {
        encode_all(schema, text).unwrap_err().to_string()
    }

    const FRUIT: &str = "size,color,kind\n1,red,apple\n2,green,pear\n6,red,apple\n";

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
    fn regression_targets_come_back_in_their_own_units() {
        let text = "x,y,z\n1,100,-1\n2,300,5\n3,800,6\n";
        let options =
            SchemaOptions { targets: vec!["z".into(), "y".into()], ..SchemaOptions::default() };
        let schema = fit(text, &options);
        assert_eq!((schema.in_features(), schema.outputs()), (1, 2));
        let data = encode_all(&schema, text).unwrap();
        let Targets::Values { values, width: 2 } = data.targets() else { panic!("two values") };
        let mean: f32 = values.iter().sum::<f32>() / 6.0;
        assert!(mean.abs() < 1e-6, "standardised, mean {mean}");
        let mut outputs = values.clone();
        schema.restore_values(&mut outputs);
        for (got, expected) in outputs.iter().zip([-1.0, 100.0, 5.0, 300.0, 6.0, 800.0]) {
            assert!((got - expected).abs() < 1e-3, "{got}, not {expected}");
        }

        let mut logits = [1.5, -2.0];
        fit(FRUIT, &SchemaOptions::default()).restore_values(&mut logits);
        assert_eq!(logits, [1.5, -2.0]);
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
        let many: Vec<_> = (0..30).map(|i| i.to_string()).collect();
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (30 in all)");
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

    #[test]
    fn a_schema_survives_json_bit_by_bit() {
        let mut random = crate::rng::Stream::new(1, crate::rng::Purpose::Synthetic, 0);
        // Any finite f32, subnormal ones included.
        let mut number = || loop {
            let number = f32::from_bits(random.bits()[0]);
            if number.is_finite() {
                return number;
            }
        };
        let columns: Vec<_> = (0..1000)
            .map(|i| ValueColumn { name: format!("c{i}"), offset: number(), scale: number() })
            .collect();
        for options in [SchemaOptions::default(), filling()] {
            let mut schema = fit(FRUIT, &options);
            for target in [schema.target.clone(), Target::Values { columns: columns.clone() }] {
                schema.target = target;
                let json = serde_json::to_string(&schema).unwrap();
                assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
            }
        }
    }
}
