//! The built-in images of handwritten digits.

use super::column::Column;
use super::table::Table;

/// Rows of 64 pixels and a label, a byte each; `data/README.md` says where they are from.
const DIGITS: &[u8] = include_bytes!("../../data/digits.bin");
const EDGE: usize = 8;
const ROW: usize = EDGE * EDGE + 1;

/// 1,797 handwritten digits as images of 8×8 pixels.
///
/// The columns are `pixel_0_0` (row, column) to `pixel_7_7`, from 0 (paper) to 16 (ink), and the text
/// column `digit`, from `0` to `9`.
///
/// E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning
/// Repository, doi 10.24432/C50P49, CC BY 4.0.
///
/// # Panics
/// Never: the table is part of this crate.
#[must_use]
pub fn digits() -> Table {
    let byte_column = |at: usize| DIGITS.iter().skip(at).step_by(ROW).copied();
    let pixels = (0..EDGE * EDGE).map(|at| {
        let name = format!("pixel_{}_{}", at / EDGE, at % EDGE);
        Column::numeric(name, byte_column(at).map(f32::from).collect())
    });
    let digit = Column::text("digit", byte_column(ROW - 1).map(|digit| Some(digit.to_string())));
    Table::new("digits", pixels.chain([digit]).collect()).expect("the built-in digits are a table")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ColumnValues, MISSING_TEXT};

    #[test]
    fn the_file_is_the_published_one() {
        let table = digits();
        assert_eq!((table.rows(), table.columns().len()), (1797, 65));
        let ColumnValues::Text { codes, values } = &table.columns()[64].values else {
            panic!("digit is text")
        };
        assert_eq!(values.concat(), "0123456789");
        // Rows per digit in optdigits.names, test set.
        let mut rows = [0; 10];
        codes
            .iter()
            .filter(|&&code| code != MISSING_TEXT)
            .for_each(|&code| rows[code as usize] += 1);
        assert_eq!(rows, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn the_first_image_is_a_zero() {
        let table = digits();
        let row: Vec<_> = table.columns().iter().map(|column| column.word(0).unwrap()).collect();
        // First line of scikit-learn's digits.csv.
        let expected = "0,0,5,13,9,1,0,0,0,0,13,15,10,15,5,0,0,3,15,2,0,11,8,0,0,4,12,0,0,8,8,0,\
                        0,5,8,0,0,9,8,0,0,4,11,0,1,12,7,0,0,2,14,5,10,12,0,0,0,0,6,13,10,0,0,0,0";
        assert_eq!(row.join(","), expected);
        assert_eq!(table.columns()[10].name, "pixel_1_2");
        assert!(DIGITS.chunks(ROW).all(|row| row[..64].iter().all(|&pixel| pixel <= 16)));
    }
}
