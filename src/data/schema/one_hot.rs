//! Classes that have a column each: 1 in their rows, 0 in all others.

use crate::data::column::{Column, ColumnValues};
use crate::data::table::Table;
use crate::{Error, Result};

/// The values of columns that hold nothing but 0 and 1; `None` for others.
fn zeros_and_ones<'a>(columns: &[&'a Column]) -> Option<Vec<&'a [f32]>> {
    let values = columns.iter().map(|column| match &column.values {
        ColumnValues::Numeric(values) => {
            let fits = values.iter().all(|&value| value == 0.0 || value == 1.0);
            fits.then_some(&values[..])
        }
        ColumnValues::Text { .. } => None,
    });
    values.collect()
}

/// Whether several columns are classes: nothing but 0 and 1, one 1 in each row, and each class in some row.
pub(super) fn are_classes(columns: &[&Column]) -> bool {
    let Some(values) = zeros_and_ones(columns) else { return false };
    let is_one = |row: usize| values.iter().filter(|column| column[row] == 1.0).count() == 1;
    values.len() > 1
        && values.iter().all(|column| column.contains(&1.0))
        && (0..values[0].len()).all(is_one)
}

/// Whether several columns hold nothing but 0 and 1, with several 1s in some row.
#[must_use]
pub fn are_several_labels(columns: &[&Column]) -> bool {
    let Some(values) = zeros_and_ones(columns) else { return false };
    let ones = |row: usize| values.iter().filter(|column| column[row] == 1.0).count();
    values.len() > 1 && (0..values[0].len()).any(|row| ones(row) > 1)
}

/// What the columns have in common, and what each class is called: `kind` and `a`, `b` for `kind_a` and `kind_b`,
/// `y` and `0`, `1` for `y0` and `y1`; else `class` and the columns' names.
pub(super) fn names(columns: &[&Column]) -> (String, Vec<String>) {
    const MARKS: [char; 5] = ['_', '=', '.', '-', ' '];
    let first = columns.first().map_or("", |column| column.name.as_str());
    let is_common = |end: &usize| {
        first.is_char_boundary(*end)
            && columns.iter().all(|column| column.name.starts_with(&first[..*end]))
    };
    let fits = |end: &usize| {
        let is_divided = first[..*end].ends_with(MARKS);
        let rests = || columns.iter().map(|column| &column.name[*end..]);
        let all_digits = || rests().all(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        rests().all(|rest| !rest.is_empty()) && (is_divided || all_digits())
    };
    // Digits belong to the classes, so the shortest beginning is taken; else the longest one.
    let ends = || (1..first.len()).filter(is_common).filter(fits);
    let is_digit = |end: &usize| first.as_bytes()[*end].is_ascii_digit();
    let end = ends().rfind(|end| !is_digit(end)).or_else(|| ends().next());
    let common = end.map_or("", |end| first[..end].trim_end_matches(MARKS));
    match end.filter(|_| !common.is_empty()) {
        Some(end) => (
            common.to_owned(),
            columns.iter().map(|column| column.name[end..].to_owned()).collect(),
        ),
        None => ("class".into(), columns.iter().map(|column| column.name.clone()).collect()),
    }
}

/// Class index of each of `rows`.
pub(super) fn class_indices(table: &Table, columns: &[&Column], rows: &[u32]) -> Result<Vec<u32>> {
    let refuse = |row: u32| -> Error {
        let problem = "the columns of the classes need a single 1 in each row, and 0 else".into();
        table.cell_error(row as usize, &columns[0].name, problem)
    };
    let one = |&row: &u32| {
        let mut class = None;
        for (index, column) in (0..).zip(columns) {
            let ColumnValues::Numeric(values) = &column.values else { return Err(refuse(row)) };
            match values[row as usize] {
                0.0 => {}
                1.0 if class.is_none() => class = Some(index),
                _ => return Err(refuse(row)),
            }
        }
        class.ok_or_else(|| refuse(row))
    };
    rows.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CsvOptions, Schema, SchemaOptions, Target, TargetKind, Targets, read_csv};

    fn table(text: &str) -> Table {
        read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
    }

    fn options(targets: &[&str]) -> SchemaOptions {
        let targets = targets.iter().map(|&target| target.into()).collect();
        SchemaOptions { targets, ..SchemaOptions::default() }
    }

    const FRUIT: &str = "size,kind_pear,kind_fig,kind_plum\n1,1,0,0\n2,0,1,0\n3,0,0,1\n4,0,1,0\n";
    const KINDS: [&str; 3] = ["kind_pear", "kind_fig", "kind_plum"];

    #[test]
    fn a_single_one_in_each_row_is_a_class() {
        let table = table(FRUIT);
        let schema = Schema::fit(&table, &table.all_rows(), &options(&KINDS)).unwrap();
        let Target::Classes { name, names, columns } = &schema.target else { panic!("no classes") };
        assert_eq!((name.as_str(), names.join(" ")), ("kind", "pear fig plum".into()));
        assert_eq!(columns[..], KINDS);
        assert_eq!((schema.outputs(), &schema.target_positions[..]), (3, &[1, 2, 3][..]));
        assert!(schema.check().is_ok());
        let data = schema.encode(&table, &table.all_rows()).unwrap();
        let expected = Targets::Classes { labels: vec![0, 1, 2, 1], classes: 3 };
        assert_eq!(data.targets(), &expected);
        assert_eq!(options(&KINDS).labels(&table).unwrap(), Some(vec![0, 1, 2, 1]));
        assert!(schema.summary(&table).ends_with("classes (rows): pear (1), fig (2), plum (1)\n"));
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
        // As numbers, if that is said.
        let values = SchemaOptions { kind: TargetKind::Values, ..options(&KINDS) };
        let schema = Schema::fit(&table, &table.all_rows(), &values).unwrap();
        assert!(matches!(schema.target, Target::Values { columns } if columns.len() == 3));
    }

    #[test]
    fn other_columns_are_no_classes() {
        for text in [
            "x,a,b\n1,1,1\n2,0,1\n3,1,0\n",
            "x,a,b\n1,1,0\n2,0,1\n3,0,0\n",
            "x,a,b\n1,1,0\n2,0,2\n3,1,0\n",
            "x,a,b\n1,1,0\n2,1,0\n3,1,0\n",
        ] {
            let table = table(text);
            let schema = Schema::fit(&table, &[0, 1, 2], &options(&["a", "b"])).unwrap();
            assert!(matches!(schema.target, Target::Values { .. }), "{text}");
            let columns: Vec<&Column> = table.columns()[1..].iter().collect();
            assert_eq!(are_several_labels(&columns), text.contains("1,1,1"));
        }
        let schema = Schema::fit(&table(FRUIT), &[0, 1, 2, 3], &options(&KINDS)).unwrap();
        let error = schema.encode(&table("size,kind_pear,kind_fig,kind_plum\n1,1,0,1\n"), &[0]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("t.csv, line 2, column kind_pear: the columns of the classes need")
        );
    }

    #[test]
    fn classes_are_called_as_their_columns_differ() {
        for (columns, expected) in [
            (["y0", "y1"], "y: 0, 1"),
            (["y10", "y11"], "y: 10, 11"),
            (["kind=a", "kind=b"], "kind: a, b"),
            (["setosa", "virginica"], "class: setosa, virginica"),
            (["dark", "dawn"], "class: dark, dawn"),
            (["is_a_x", "is_a_y"], "is_a: x, y"),
            (["1", "2"], "class: 1, 2"),
        ] {
            let columns = columns.map(|name| Column::numeric(name, vec![]));
            let (name, names) = names(&columns.iter().collect::<Vec<_>>());
            assert_eq!(format!("{name}: {}", names.join(", ")), expected);
        }
    }
}
