//! How tables become net inputs, and net outputs the user's quantities again.

mod encode;
mod fit;
mod kind;
mod known;
mod one_hot;
mod summary;

use serde::{Deserialize, Serialize};

pub use self::fit::{Missing, Scaling, SchemaOptions, TargetKind};
pub use self::kind::ColumnKind;
pub use self::known::UnknownCells;
pub use self::one_hot::are_several_labels;
use super::csv_table::CellOptions;
use super::statistics::narrow;
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
    /// Whether the inputs are pixels, as [`Scaling::Auto`] describes them: 64 or more columns, of whole
    /// numbers from 0 to 255 or of numbers from 0 to 1. Default in a file: `false`.
    #[serde(default)]
    pub pixels: bool,
    /// How the cells of a text are read, so that later tables are read as the one that it was fitted to.
    #[serde(default)]
    pub cells: CellOptions,
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
    /// One input: (x − offset) · scale. A scale of 0 belongs to a column that is constant in the training rows:
    /// nothing is learnt from it, so other numbers count for nothing either.
    Numeric {
        /// What stands in for a missing cell, in the column's own units; `None`: an error.
        fill: Option<f32>,
        /// In the column's own units.
        offset: f32,
        /// Per unit of the column.
        scale: f32,
    },
    /// One input per value: 1 where the cell has that value, else 0; and one more for all gathered values, if
    /// there are any.
    Categorical {
        /// What stands in for a missing cell, and for an unknown one if no values are gathered; `None`: an error.
        fill: Option<String>,
        /// The values with an input of their own, sorted.
        values: Vec<String>,
        /// Rare values that share the last input, sorted. Unknown cells have it too. Default in a file: none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gathered: Vec<String>,
        /// Values of the table that no training row has, sorted: all inputs are 0, since nothing is learnt of
        /// them. Default in a file: none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unlearnt: Vec<String>,
    },
    /// One input: (place of the cell's value − offset) · scale, places counted from 0. A scale of 0 as for numbers.
    Ordinal {
        /// What stands in for a missing or unknown cell; `None`: an error.
        fill: Option<String>,
        /// The known values, in their order.
        values: Vec<String>,
        /// In places.
        offset: f32,
        /// Per place.
        scale: f32,
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
        /// The columns of the classes, if each has one with a 1 in its rows and 0 in others. Default in a file:
        /// none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
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
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.kind {
            InputKind::Numeric { .. } | InputKind::Ordinal { .. } => 1,
            InputKind::Categorical { values, gathered, .. } => {
                values.len() + usize::from(!gathered.is_empty())
            }
        }
    }
}

impl Target {
    /// Names of the target's columns in the table.
    fn column_names(&self) -> Vec<&str> {
        match self {
            Self::Classes { name, columns, .. } if columns.is_empty() => vec![name],
            Self::Classes { columns, .. } => columns.iter().map(String::as_str).collect(),
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

    /// Name of each input of the net: the column's, or `column=value`; `column=other words` for gathered values.
    #[must_use]
    pub fn feature_names(&self) -> Vec<String> {
        let names = |column: &InputColumn| match &column.kind {
            InputKind::Numeric { .. } | InputKind::Ordinal { .. } => vec![column.name.clone()],
            InputKind::Categorical { values, gathered, .. } => {
                let others = (!gathered.is_empty()).then_some("other words");
                let values = values.iter().map(String::as_str).chain(others);
                values.map(|value| format!("{}={value}", column.name)).collect()
            }
        };
        self.inputs.iter().flat_map(names).collect()
    }

    /// Checks a schema that doesn't come from [`Schema::fit`], a deserialised one for instance.
    ///
    /// # Errors
    /// If there is no input, a list of categories is empty, there are fewer than two classes or no
    /// target column, a number isn't finite, a target's scale is 0, or the target positions don't fit.
    pub fn check(&self) -> Result<()> {
        let fail = |what: String, expected: &str, got: String| {
            Err(Error::Shape { what: format!("schema, {what}"), expected: expected.into(), got })
        };
        let finite = |offset: f32, scale: f32| offset.is_finite() && scale.is_finite();
        let scaling = |name: &str, expected: &str, offset: f32, scale: f32| {
            fail(format!("column {name}"), expected, format!("{offset} and {scale}"))
        };
        const FINITE: &str = "a finite offset and a finite scale";
        if self.inputs.is_empty() {
            return fail("inputs".into(), "at least one column", "none".into());
        }
        for input in &self.inputs {
            let InputColumn { name, kind } = input;
            match kind {
                &InputKind::Numeric { fill, offset, scale } => {
                    if !finite(offset, scale) || fill.is_some_and(|fill| !fill.is_finite()) {
                        return scaling(name, FINITE, offset, scale);
                    }
                }
                InputKind::Categorical { .. } if input.width() == 0 => {
                    return fail(format!("column {name}"), "at least one category", "none".into());
                }
                InputKind::Ordinal { values, .. } if values.is_empty() => {
                    return fail(format!("column {name}"), "at least one category", "none".into());
                }
                &InputKind::Ordinal { offset, scale, .. } if !finite(offset, scale) => {
                    return scaling(name, FINITE, offset, scale);
                }
                InputKind::Categorical { .. } | InputKind::Ordinal { .. } => {}
            }
        }
        match &self.target {
            Target::Classes { names, .. } if names.len() < 2 => {
                return fail("target".into(), "at least two classes", names.len().to_string());
            }
            Target::Classes { names, columns, .. }
                if !columns.is_empty() && columns.len() != names.len() =>
            {
                let expected = "a column for each class, or none";
                return fail("target".into(), expected, columns.len().to_string());
            }
            Target::Values { columns } if columns.is_empty() => {
                return fail("target".into(), "at least one column", "none".into());
            }
            Target::Classes { .. } => {}
            Target::Values { columns } => {
                for &ValueColumn { ref name, offset, scale } in columns {
                    if !finite(offset, scale) || scale == 0.0 {
                        let expected = "a finite offset and a finite scale other than 0";
                        return scaling(name, expected, offset, scale);
                    }
                }
            }
        }
        let targets = self.target.column_names().len();
        let mut positions = self.target_positions.clone();
        positions.sort_unstable();
        positions.dedup();
        let in_table = positions.last().is_some_and(|&last| last < self.inputs.len() + targets);
        if positions.len() != targets || self.target_positions.len() != targets || !in_table {
            let expected = "a position of its own for each target among the used columns";
            return fail(
                "target positions".into(),
                expected,
                format!("{:?}", self.target_positions),
            );
        }
        Ok(())
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
}

#[cfg(test)]
mod tests {
    use super::encode::tests::{FRUIT, encode_all, filling, fit};
    use super::*;
    use crate::data::Targets;

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

    #[test]
    fn a_broken_schema_is_refused() {
        let sound = fit(FRUIT, &filling());
        assert!(sound.check().is_ok());
        let refused = |expected: &str, break_it: &dyn Fn(&mut Schema)| {
            let mut schema = sound.clone();
            break_it(&mut schema);
            let message = schema.check().unwrap_err().to_string();
            assert!(message.starts_with(&format!("schema, {expected}")), "{message}");
        };
        refused("inputs: expected at least one column", &|s| s.inputs.clear());
        for (offset, scale) in [(f32::NAN, 1.0), (0.0, f32::INFINITY)] {
            refused("column size: expected a finite offset", &|s| {
                s.inputs[0].kind = InputKind::Numeric { fill: None, offset, scale };
            });
        }
        refused("column color: expected at least one category", &|s| {
            s.inputs[1].kind = InputKind::Categorical {
                fill: None,
                values: vec![],
                gathered: vec![],
                unlearnt: vec![],
            };
        });
        refused("target: expected at least two classes, got 1", &|s| {
            let names = vec!["a".into()];
            s.target = Target::Classes { name: "kind".into(), names, columns: vec![] };
        });
        refused("target: expected a column for each class", &|s| {
            let names = vec!["a".into(), "b".into()];
            s.target = Target::Classes { name: "kind".into(), names, columns: vec!["c".into()] };
        });
        refused("target: expected at least one column", &|s| {
            s.target = Target::Values { columns: vec![] };
        });
        refused(
            "column y: expected a finite offset and a finite scale other than 0, got 0 and 0",
            &|s| {
                let column = ValueColumn { name: "y".into(), offset: 0.0, scale: 0.0 };
                s.target = Target::Values { columns: vec![column] };
            },
        );
        for positions in [vec![3], vec![0, 0], vec![]] {
            refused("target positions: expected a position of its own", &|s| {
                s.target_positions.clone_from(&positions);
            });
        }
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
}
