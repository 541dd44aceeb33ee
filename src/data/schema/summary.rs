//! What is printed before training of the columns and of the classes.

use std::fmt::Write;

use super::{InputKind, Schema, Target, ValueColumn};
use crate::data::column::{Column, ColumnValues};
use crate::data::statistics::Statistics;
use crate::data::table::Table;
use crate::data::wording::{listed, shortened};

/// Up to this many input columns are all shown.
const SHOWN: usize = 12;
/// Of more than that: the first and the last ones.
const HEAD_AND_TAIL: usize = 4;

impl Schema {
    /// A short text table: each column's kind, values, missing cells and what becomes of it. Of more
    /// than 12 input columns it shows the first and last four. Below it the rows of each class; of
    /// more than 12 classes those of the most and least frequent one.
    ///
    /// ```
    /// # use wgrad::data::{CsvOptions, Schema, SchemaOptions, read_csv};
    /// let table = read_csv("x,y\n1,a\n3,b\n".as_bytes(), "xy", &CsvOptions::default())?;
    /// let schema = Schema::fit(&table, &[0, 1], &SchemaOptions::default())?;
    /// assert_eq!(
    ///     schema.summary(&table),
    ///     "column  kind    values       missing  becomes\n\
    ///      x       number  1 to 3, ø 2        0  (x − 2) · 1\n\
    ///      y       text    a, b               0  target: 2 classes\n\
    ///      classes (rows): a (1), b (1)\n"
    /// );
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    pub fn summary(&self, table: &Table) -> String {
        let title = ["column", "kind", "values", "missing", "becomes"].map(String::from);
        let mut lines = vec![title];
        for (i, input) in self.inputs.iter().enumerate() {
            let hidden = HEAD_AND_TAIL..self.inputs.len().saturating_sub(HEAD_AND_TAIL);
            if self.inputs.len() <= SHOWN || !hidden.contains(&i) {
                lines.push(line(table, &input.name, &fate(&input.kind)));
            } else if i == hidden.start {
                let more = format!("… {} more columns", hidden.len());
                lines.push([more, String::new(), String::new(), String::new(), String::new()]);
            }
        }
        match &self.target {
            Target::Classes { name, names, columns } if columns.is_empty() => {
                lines.push(line(table, name, &format!("target: {} classes", names.len())));
            }
            Target::Classes { names, columns, .. } => {
                for (column, name) in columns.iter().zip(names).take(SHOWN) {
                    lines.push(line(table, column, &format!("target: class {}", shortened(name))));
                }
                if columns.len() > SHOWN {
                    let more = format!("… {} more classes", columns.len() - SHOWN);
                    lines.push([more, String::new(), String::new(), String::new(), String::new()]);
                }
            }
            Target::Values { columns } => {
                for ValueColumn { name, offset, scale } in columns {
                    lines.push(line(
                        table,
                        name,
                        &format!("target: {}", scaled("y", *offset, *scale)),
                    ));
                }
            }
        }
        let counts = self.class_counts(table).unwrap_or_default();
        aligned(&lines) + &class_line(&counts)
    }

    /// Names of the classes with the rows that each has in the table; `None` if the net predicts
    /// numbers, or the table doesn't tell.
    fn class_counts(&self, table: &Table) -> Option<Vec<(&str, usize)>> {
        let Target::Classes { names, .. } = &self.target else { return None };
        let columns = self.target.column_names().into_iter();
        let columns = columns.map(|name| Some(&table.columns()[table.position(name)?]));
        let columns: Vec<&Column> = columns.collect::<Option<_>>()?;
        let labels = self.target.labels(table, &columns, &table.all_rows()).ok()?;
        let mut counts: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        labels.into_iter().for_each(|label| counts[label as usize].1 += 1);
        Some(counts)
    }
}

/// How many rows the classes have.
fn class_line(counts: &[(&str, usize)]) -> String {
    let one = |&(name, rows): &(&str, usize)| format!("{} ({rows})", shortened(name));
    let least = counts.iter().min_by_key(|(_, rows)| rows);
    let most = counts.iter().rev().max_by_key(|(_, rows)| rows);
    match (least, most) {
        (Some(&(_, least)), Some(&(_, most))) if counts.len() > SHOWN && least == most => {
            format!("classes: {}, of {least} rows each\n", counts.len())
        }
        (Some(least), Some(most)) if counts.len() > SHOWN => {
            format!("classes (rows): from {} to {}\n", one(least), one(most))
        }
        (Some(_), Some(_)) => {
            let all: Vec<String> = counts.iter().map(one).collect();
            format!("classes (rows): {}\n", all.join(", "))
        }
        _ => String::new(),
    }
}

/// The scale of pixels that are bytes.
const PIXEL: f32 = 1.0 / 255.0;

/// What becomes of an input column.
fn fate(kind: &InputKind) -> String {
    let (fate, fill) = match kind {
        InputKind::Numeric { fill, offset, scale } => {
            (scaled("x", *offset, *scale), fill.map(|fill| four_digits(fill.into())))
        }
        InputKind::Categorical { fill, values, gathered, .. } => {
            let fate = match gathered.len() {
                0 => format!("one-hot, {} inputs", values.len()),
                n => format!("one-hot, {} inputs, the last for {n} rare words", values.len() + 1),
            };
            (fate, fill.as_deref().map(shortened))
        }
        InputKind::Ordinal { fill, values, offset, scale } => {
            let place = scaled("place", *offset, *scale);
            (format!("{place} in {}", listed(values)), fill.as_deref().map(shortened))
        }
    };
    fate + &fill.map_or_else(String::new, |fill| format!(", missing: {fill}"))
}

fn scaled(variable: &str, offset: f32, scale: f32) -> String {
    match (offset, scale) {
        (_, 0.0) => "nothing, as it is constant in the training rows".into(),
        (0.0, 1.0) => "as it is".into(),
        (0.0, scale) if scale == PIXEL => format!("{variable} / 255"),
        _ => {
            format!("({variable} − {}) · {}", four_digits(offset.into()), four_digits(scale.into()))
        }
    }
}

fn line(table: &Table, name: &str, fate: &str) -> [String; 5] {
    /// Words of a text column worth showing.
    const WORDS: usize = 4;
    let Some(column) = table.position(name).map(|index| &table.columns()[index]) else {
        return [shortened(name), "absent".into(), String::new(), String::new(), fate.into()];
    };
    let (kind, values) = match &column.values {
        ColumnValues::Numeric(values) => (
            "number",
            Statistics::of(values.iter().copied()).map_or_else(String::new, |statistics| {
                let Statistics { min, max, mean, .. } = statistics;
                let varies = min < max;
                let [min, max, mean] = [min.into(), max.into(), mean].map(four_digits);
                match varies {
                    true => format!("{min} to {max}, ø {mean}"),
                    false => format!("always {min}"),
                }
            }),
        ),
        ColumnValues::Text { values, .. } => {
            let words: Vec<_> = values.iter().take(WORDS).map(|word| shortened(word)).collect();
            let more = if values.len() > WORDS {
                format!(", … ({})", values.len())
            } else {
                String::new()
            };
            ("text", words.join(", ") + &more)
        }
    };
    [shortened(name), kind.into(), values, column.missing().to_string(), fate.into()]
}

/// Four significant digits, without trailing zeros.
fn four_digits(value: f64) -> String {
    let magnitude = value.abs().log10().floor();
    if value == 0.0 {
        "0".into()
    } else if (-4.0..6.0).contains(&magnitude) {
        let decimals = (0..8).find(|&decimals| magnitude + f64::from(decimals) >= 3.0).unwrap_or(8);
        let digits = format!("{value:.*}", usize::try_from(decimals).unwrap_or(0));
        match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.').into(),
            false => digits,
        }
    } else {
        format!("{value:.3e}")
    }
}

/// Pads all columns but the last; counts of missing cells stand right-aligned.
fn aligned(lines: &[[String; 5]]) -> String {
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let [w0, w1, w2, w3] = std::array::from_fn(width);
    let mut text = String::new();
    for [name, kind, values, missing, fate] in lines {
        let line = format!("{name:w0$}  {kind:w1$}  {values:w2$}  {missing:>w3$}  {fate}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CsvOptions, Missing, Scaling, SchemaOptions, digits, read_csv};

    #[test]
    fn every_kind_of_column_is_told_apart() {
        let text = "size,color,n,price\n1.23456,red,5,10.5\n,green,5,20\n3,NA,5,70000\n";
        let table = read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap();
        let options = SchemaOptions { missing: Missing::Fill, ..SchemaOptions::default() };
        let schema = Schema::fit(&table, &[0, 1, 2], &options).unwrap();
        assert_eq!(
            schema.summary(&table),
            "\
column  kind    values                  missing  becomes
size    number  1.235 to 3, ø 2.117           1  (x − 2.117) · 1.133, missing: 2.117
color   text    green, red                    1  one-hot, 2 inputs, missing: green
n       number  always 5                      0  nothing, as it is constant in the training rows, missing: 5
price   number  10.5 to 70000, ø 23344        0  target: (y − 23344) · 3.031e-5
"
        );
    }

    #[test]
    fn columns_that_vary_a_little_vary() {
        let table =
            read_csv(&b"p,y\n1013.2,1\n1013.4,2\n"[..], "t", &CsvOptions::default()).unwrap();
        let schema = Schema::fit(&table, &[0, 1], &SchemaOptions::default()).unwrap();
        assert!(schema.summary(&table).contains("1013 to 1013, ø 1013"));
    }

    #[test]
    fn classes_are_counted() {
        let summary = |classes: usize| {
            let rows: String =
                (0..3 * classes).map(|i| format!("{i},c{:02}\n", i * i % classes)).collect();
            let text = format!("x,y\n{rows}");
            let table = read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap();
            let schema = Schema::fit(&table, &table.all_rows(), &SchemaOptions::default()).unwrap();
            schema.summary(&table)
        };
        assert!(summary(4).ends_with("target: 2 classes\nclasses (rows): c00 (6), c01 (6)\n"));
        let many = summary(29);
        assert!(
            many.ends_with("target: 15 classes\nclasses (rows): from c00 (3) to c01 (6)\n"),
            "{many}"
        );
    }

    #[test]
    fn equal_classes_are_counted_once() {
        let rows: String = (0..45).map(|i| format!("{i},c{:02}\n", i % 15)).collect();
        let table =
            read_csv(format!("x,y\n{rows}").as_bytes(), "t.csv", &CsvOptions::default()).unwrap();
        let schema = Schema::fit(&table, &table.all_rows(), &SchemaOptions::default()).unwrap();
        let summary = schema.summary(&table);
        assert!(summary.ends_with("\nclasses: 15, of 3 rows each\n"), "{summary}");
    }

    #[test]
    fn many_columns_are_collapsed() {
        let table = digits();
        let options = SchemaOptions { scaling: Scaling::None, ..SchemaOptions::default() };
        let summary = Schema::fit(&table, &table.all_rows(), &options).unwrap().summary(&table);
        let lines: Vec<&str> = summary.lines().collect();
        assert_eq!(lines.len(), 1 + 4 + 1 + 4 + 1 + 1);
        assert!(lines[11].starts_with("classes (rows): 0 (178), 1 (182), 2 (177), "), "{summary}");
        assert!(lines[4].starts_with("pixel_0_3 ") && lines[4].ends_with("as it is"), "{summary}");
        assert_eq!(lines[5], "… 56 more columns");
        assert!(lines[6].starts_with("pixel_7_4 "), "{summary}");
        assert!(lines[10].contains("0, 1, 2, 3, … (10)"), "{summary}");
        assert!(lines[10].ends_with("target: 10 classes"), "{summary}");
    }

    #[test]
    fn an_absent_column_is_shown_as_such() {
        let table = digits();
        let schema = Schema::fit(&table, &[0], &SchemaOptions::default()).unwrap();
        let other = Table::from_rows("t", &["pixel_0_0"], &[1.0]).unwrap();
        assert!(schema.summary(&other).contains("absent"));
    }

    #[test]
    fn numbers_have_four_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (-1.0, "-1"),
            (0.000_123_456, "0.0001235"),
            (0.000_012_3, "1.230e-5"),
            (9.99996, "10"),
            (1234.56, "1235"),
            (-999_999.0, "-999999"),
            (1_234_567.0, "1.235e6"),
            (100.0, "100"),
        ] {
            assert_eq!(four_digits(value), expected);
        }
    }
}
