//! What the cells of a table say.

use crate::data::column::Words;
use crate::data::numbers::Numbers;
use crate::data::statistics::narrow;
use crate::data::wording::shortened;

/// What a cell says.
#[derive(Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Missing,
    Number(f64),
    /// NaN, an infinity, or a number beyond the range of f32.
    NotFinite,
    /// A number but for a comma where there should be a point.
    DecimalComma,
    Text(&'a str),
}

impl<'a> Cell<'a> {
    pub(super) fn parse(field: &'a str) -> Self {
        const MISSING: [&str; 7] = ["", "NA", "N/A", "#N/A", "<NA>", "?", "null"];
        // Nan is a name.
        const NAN: [&str; 3] = ["nan", "NaN", "NAN"];
        let field = content(field);
        if MISSING.iter().any(|word| field.eq_ignore_ascii_case(word)) || NAN.contains(&field) {
            return Self::Missing;
        }
        match field.parse::<f64>() {
            Ok(number) if narrow(number).is_finite() => Self::Number(number),
            Ok(_) => Self::NotFinite,
            Err(_) if has_decimal_comma(field) => Self::DecimalComma,
            Err(_) => Self::Text(field),
        }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::NotFinite | Self::DecimalComma)
    }
}

fn has_decimal_comma(field: &str) -> bool {
    field.contains(',') && field.replacen(',', ".", 1).parse::<f64>().is_ok()
}

/// A field without the spaces around it, nor the quotes that a space before them kept from counting.
pub(super) fn content(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field)
}

/// Adds a cell to a column of words.
pub(super) fn add_word(words: &mut Words, field: &str) {
    let is_missing = Cell::parse(field) == Cell::Missing;
    words.push((!is_missing).then(|| content(field)));
}

/// Adds a cell to a column of numbers.
pub(super) fn add_number(numbers: &mut Numbers, field: &str) {
    let added = match Cell::parse(field) {
        Cell::Missing => {
            numbers.push_missing();
            Ok(())
        }
        Cell::Number(number) => numbers.push(number),
        Cell::Text(text) => Err(format!(
            "`{}` is not a number, but most of the column is; \
             correct it, or leave the cell empty if the value is missing",
            shortened(text)
        )),
        Cell::DecimalComma => Err(format!(
            "`{}` has a comma; write decimals with a point, and no separators in thousands",
            content(field)
        )),
        Cell::NotFinite if field.contains(|c: char| c.is_ascii_digit()) => Err(format!(
            "`{}` is beyond the range of f32 (±{:e}); use another unit",
            shortened(content(field)),
            f32::MAX
        )),
        Cell::NotFinite => Err(format!(
            "`{}` is not a finite number; remove the row, or leave the cell empty if the value is missing",
            content(field)
        )),
    };
    if let Err(problem) = added {
        numbers.push_stray(content(field), problem);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, read, row};
    use crate::data::{Column, ColumnValues};

    #[test]
    fn missing_cells_are_recognised() {
        let table =
            read("x,k\n1,NA\nna,a\nN/A,?\n?,b\nNULL,null\n2,\n3, \n4,n\n,b\nnan,NaN\n#n/a,<NA>\n");
        assert_eq!(table.columns().iter().map(Column::missing).collect::<Vec<_>>(), [7, 7]);
        assert_eq!(row(&table, 7), "4|n");
        let empty = read("x,y\n1,\n2,\n");
        assert!(matches!(&empty.columns()[1].values, ColumnValues::Numeric(v) if v[0].is_nan()));
    }

    #[test]
    fn the_majority_decides_what_a_column_holds() {
        assert_eq!(row(&read("x\na\nb\n007\n"), 2), "007");
        assert_eq!(row(&read("x\na\n1\n"), 1), "1", "half is not a majority");
        assert!(message("x\n1\n2\nb\n").contains("`b` is not a number"));
        assert_eq!(row(&read("name\nNan\nIna\nInf\nBo\n5\n6\nAl\nCy\nDi\nEd\n"), 0), "Nan");
    }

    #[test]
    fn bad_cells_are_named_by_line_and_column() {
        for (text, expected) in [
            (
                "x,y\n1,2\n2,oops\n3,4\n5,6\n",
                "t.csv, line 3, column y: `oops` is not a number, but most of the column is; \
                 correct it, or leave the cell empty if the value is missing",
            ),
            (
                "1,2\n2,inf\n",
                "t.csv, line 2, column 2: `inf` is not a finite number; remove the row, \
                 or leave the cell empty if the value is missing",
            ),
            (
                "x\n1\n-inf\n",
                "t.csv, line 3, column x: `-inf` is not a finite number; remove the row, \
                 or leave the cell empty if the value is missing",
            ),
            (
                "x\n1\n-1e39\n2\n",
                "t.csv, line 3, column x: `-1e39` is beyond the range of f32 (±3.4028235e38); \
                 use another unit",
            ),
        ] {
            assert_eq!(message(text), expected);
        }
        let long = message(format!("x\n1\n2\n{}\n", "é".repeat(99)));
        assert!(long.contains(&format!("`{}…`", "é".repeat(40))), "{long}");
    }
}
