//! A table by its name on the command line.

use std::fs::File;
use std::io::{self, ErrorKind};

use super::csv_table::{CsvOptions, read_csv};
use super::digits::digits;
use super::synthetic::{moons, rings, sdf, spirals};
use super::table::{Table, nearest};
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
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables/iris.test.csv");
        let table = load_default(path).unwrap();
        assert_eq!((table.rows(), table.columns().len(), table.source_name()), (38, 5, path));
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
