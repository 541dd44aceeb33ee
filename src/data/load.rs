//! A table by its name on the command line.

use std::fs::File;
use std::io::{self, ErrorKind};

use super::csv_table::{CsvOptions, read_csv};
use super::digits::digits;
use super::synthetic::{moons, rings, sdf, spirals};
use super::table::Table;
use super::wording::nearest;
use crate::{Error, Result};

/// Names of the built-in tables.
pub const BUILT_IN: [&str; 5] = ["digits", "spirals", "moons", "rings", "sdf"];

/// Loads a built-in table (1,000 to 4,000 rows, always the same), standard input (`-`), or a file of
/// delimited text. A built-in name wins over a file; `./digits` is the file.
///
/// # Errors
/// If there is no such file or table, or as [`read_csv`].
pub fn load(spec: &str, options: &CsvOptions) -> Result<Table> {
    match spec {
        "digits" => Ok(digits()),
        "spirals" => spirals(2000, 0.02, 0),
        "moons" => moons(1000, 0.1, 0),
        "rings" => rings(1500, 0.05, 0),
        "sdf" => sdf(4000, 0),
        "-" => read_csv(io::stdin().lock(), "standard input", options),
        path => match File::open(path) {
            Ok(file) => read_csv(file, path, options),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(no_such_table(path)),
            Err(error) => Err(Error::io(path)(error)),
        },
    }
}

fn no_such_table(spec: &str) -> Error {
    let problem = match nearest(spec, BUILT_IN) {
        Some(meant) => format!("no such file or built-in table; did you mean `{meant}`?"),
        None => format!(
            "no such file; give a path, `-` for standard input, or a built-in table: {}",
            BUILT_IN.join(", ")
        ),
    };
    Error::Data { source_name: spec.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Schema, SchemaOptions};

    fn load_default(spec: &str) -> Result<Table> {
        load(spec, &CsvOptions::default())
    }

    #[test]
    fn every_built_in_name_loads() {
        for name in BUILT_IN {
            let table = load_default(name).unwrap();
            assert_eq!(table.source_name(), name);
            assert!((1000..=4000).contains(&table.rows()), "{name} has {} rows", table.rows());
        }
    }

    #[test]
    fn a_path_is_read() {
        // Rows of both parts, columns, outputs: as tests/tables/README.md says.
        for (name, rows, columns, outputs) in [
            ("iris", 150, 5, 3),
            ("wine", 178, 14, 3),
            ("breast_cancer", 569, 31, 2),
            ("diabetes", 442, 11, 1),
        ] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables");
            let part = |part| load_default(&format!("{folder}/{name}.{part}.csv")).unwrap();
            let (train, test) = (part("train"), part("test"));
            assert_eq!(
                (train.rows() + test.rows(), train.columns().len()),
                (rows, columns),
                "{name}"
            );
            let schema = Schema::fit(&train, &train.all_rows(), &SchemaOptions::default()).unwrap();
            assert_eq!((schema.in_features(), schema.outputs()), (columns - 1, outputs), "{name}");
            let test_set = schema.encode(&test, &test.all_rows()).unwrap();
            // Standardised by the training rows, the test rows spread about as much.
            let squares = test_set.inputs().iter().map(|x| f64::from(x * x)).sum::<f64>();
            let spread = (squares / test_set.inputs().len() as f64).sqrt();
            assert!((0.8..1.2).contains(&spread), "{name}: {spread}");
        }
    }

    #[test]
    fn what_does_not_exist_is_answered_with_what_does() {
        let message = |spec| load_default(spec).unwrap_err().to_string();
        assert_eq!(
            message("data/nothing.csv"),
            "data/nothing.csv: no such file; give a path, `-` for standard input, or a built-in table: \
             digits, spirals, moons, rings, sdf"
        );
        assert_eq!(
            message("spiral"),
            "spiral: no such file or built-in table; did you mean `spirals`?"
        );
    }
}
