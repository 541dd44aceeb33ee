//! What a column is, where its cells don't say so by themselves.

use super::SchemaOptions;
use crate::Result;
use crate::data::table::Table;

/// What an input column is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A number, which the cells must be.
    Number,
    /// One of some categories, whether the cells are text or numbers (a postcode, say): each by its
    /// [word](crate::data::Column::word).
    Category,
    /// A place in this order, counted from 0 and then scaled as a number; at least two values, each
    /// once. Other cells are errors; the most frequent value fills in missing ones, and in later tables
    /// unknown ones, where they are [filled in](crate::data::Missing::Fill).
    Ordinal(Vec<String>),
}

impl SchemaOptions {
    /// The kind of each column of the table, `None` for those that are what their cells say. Of kinds
    /// for the same name the last one counts.
    pub(super) fn kinds_of(
        &self,
        table: &Table,
        inputs: &[usize],
    ) -> Result<Vec<Option<&ColumnKind>>> {
        let mut kinds: Vec<Option<(&String, &ColumnKind)>> = vec![None; table.columns().len()];
        for (name, kind) in &self.columns {
            let index = table.find(name)?;
            let refuse = |problem: &str| {
                let name = &table.columns()[index].name;
                Err(table.error(format!("column `{name}` {problem}")))
            };
            if !inputs.contains(&index) {
                return refuse(
                    "can't be given a kind, since it is a target or ignored (a target's kind is that \
                     of the task)",
                );
            }
            if let ColumnKind::Ordinal(order) = kind {
                if order.len() < 2 {
                    return refuse("needs at least two values in its order");
                }
                if let Some(twice) = (1..order.len()).find(|&i| order[..i].contains(&order[i])) {
                    return refuse(&format!("has `{}` twice in its order", order[twice]));
                }
            }
            let other = kinds[index].replace((name, kind)).filter(|(other, _)| *other != name);
            if let Some((other, _)) = other {
                return refuse(&format!("is given two kinds, as `{other}` and as `{name}`"));
            }
        }
        Ok(kinds.into_iter().map(|kind| kind.map(|(_, kind)| kind)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::ColumnKind::{Category, Number, Ordinal};
    use super::*;
    use crate::data::{CsvOptions, InputKind, Missing, Scaling, Schema, Target, read_csv};

    const GRADES: &str = "zip,grade,y\n10,low,1.5\n9,high,2.5\n10,mid,3.5\n7,high,4.5\n";

    fn ordinal(values: &[&str]) -> ColumnKind {
        Ordinal(values.iter().map(|&value| value.into()).collect())
    }

    fn options(columns: &[(&str, ColumnKind)]) -> SchemaOptions {
        let columns = columns.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone()));
        SchemaOptions { columns: columns.collect(), ..SchemaOptions::default() }
    }

    fn table(text: &str) -> Table {
        read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
    }

    fn message(text: &str, options: &SchemaOptions) -> String {
        let table = table(text);
        Schema::fit(&table, &[0, 1], options).unwrap_err().to_string()
    }

    #[test]
    fn numbers_become_categories_and_words_an_order() {
        let table = table(GRADES);
        let kinds = [("zip", Category), ("grade", ordinal(&["low", "mid", "high"]))];
        let options = SchemaOptions { scaling: Scaling::None, ..options(&kinds) };
        let schema = Schema::fit(&table, &table.all_rows(), &options).unwrap();
        assert_eq!(schema.feature_names(), ["zip=7", "zip=9", "zip=10", "grade"]);
        let inputs = schema.encode_inputs(&table).unwrap();
        assert_eq!(inputs[..8], [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 2.0]);
        assert!(schema.check().is_ok());
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
        let summary = schema.summary(&table);
        assert!(summary.contains("one-hot, 3 inputs"), "{summary}");
        assert!(summary.contains("as it is in low, mid, high"), "{summary}");
    }

    #[test]
    fn codes_keep_their_zeros() {
        let fit = |text: &str, kinds| {
            let table = table(text);
            Schema::fit(&table, &table.all_rows(), &options(kinds)).unwrap()
        };
        let zips = fit("zip,y\n00501,1.5\n501,2.5\n90210,3.5\n", &[("zip", Category)]);
        assert_eq!(zips.feature_names(), ["zip=00501", "zip=501", "zip=90210"]);
        let zips = fit("zip,y\n00501,1.5\n01001,2.5\n90210,3.5\n", &[("zip", Category)]);
        for text in ["zip\n01001\n", "zip\n1001\n", "zip\n1001.0\n"] {
            assert_eq!(zips.encode_inputs(&table(text)).unwrap(), [0.0, 1.0, 0.0], "{text}");
        }
        // A model of the numbers knows them with zeros too.
        let numbers = fit("zip,y\n501,1.5\n1001,2.5\n", &[("zip", Category)]);
        assert_eq!(numbers.encode_inputs(&table("zip\n01001\n")).unwrap(), [0.0, 1.0]);
        // f32 takes 20000001 for 20000000.
        let long = fit("id,y\n020000000,1.5\n020000001,2.5\n", &[("id", Category)]);
        assert_eq!(long.feature_names(), ["id=020000000", "id=020000001"]);
        let long = fit("id,y\n020000001,1.5\n000000001,2.5\n", &[("id", Category)]);
        assert!(long.encode_inputs(&table("id\n20000000\n")).is_err());
        let order = [("zip", ordinal(&["01", "02", "03"]))];
        let places = fit("zip,y\n03,1.5\n01,2.5\n", &order);
        assert_eq!(places.feature_names(), ["zip"]);
        // Classes are names too, and numbers stay numbers.
        let classes = fit("x,y\n007,01\n008,02\n", &[]);
        assert!(matches!(&classes.inputs[0].kind, InputKind::Numeric { .. }));
        assert!(matches!(&classes.target, Target::Classes { names, .. } if *names == ["01", "02"]));
    }

    #[test]
    fn places_are_scaled_and_filled_as_numbers_are() {
        let table = table("g,y\na,1.5\nc,2.5\nc,3.5\n,4.5\n");
        let kinds = [("g", Number), ("g", ordinal(&["a", "b", "c"]))];
        let options = SchemaOptions { missing: Missing::Fill, ..options(&kinds) };
        let schema = Schema::fit(&table, &[0, 1, 2], &options).unwrap();
        let InputKind::Ordinal { fill, offset, scale, .. } = &schema.inputs[0].kind else {
            panic!("not an order")
        };
        // Of 0, 2, 2: the mean is 4/3, the deviation √(8/9).
        assert_eq!(fill.as_deref(), Some("c"));
        assert!((offset - 4.0 / 3.0).abs() < 1e-6 && (scale - (9.0_f32 / 8.0).sqrt()).abs() < 1e-6);
        let inputs = schema.encode_inputs(&table).unwrap();
        assert_eq!(inputs, [-offset * scale, (2.0 - offset) * scale, inputs[1], inputs[1]]);
    }

    #[test]
    fn kinds_that_do_not_fit_are_refused() {
        for (kinds, expected) in [
            ([("zpi", Category)], "t.csv: no column `zpi`; did you mean `zip`?"),
            ([("y", Category)], "t.csv: column `y` can't be given a kind, since it is a target"),
            ([("grade", Number)], "t.csv: column `grade` holds text (high, low, mid), so it can't"),
            ([("grade", ordinal(&["low"]))], "t.csv: column `grade` needs at least two values"),
            ([("grade", ordinal(&["a", "b", "a"]))], "t.csv: column `grade` has `a` twice"),
            (
                [("grade", ordinal(&["low", "high"]))],
                "t.csv, line 4, column grade: `mid` is not in the order given, low, high",
            ),
        ] {
            let message = message(GRADES, &options(&kinds));
            assert!(message.starts_with(expected), "{message}");
        }
        let twice = message(GRADES, &options(&[("1", Category), ("zip", Number)]));
        assert!(twice.contains("`zip` is given two kinds, as `1` and as `zip`"), "{twice}");
    }
}
