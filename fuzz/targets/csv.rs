//! Delimited text: what is read once is read the same again, and takes its place in a schema.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wgrad::data::{CsvOptions, read_csv};

fuzz_target!(|bytes: &[u8]| {
    let options = CsvOptions::default();
    let Ok(table) = read_csv(bytes, "fuzz", &options) else { return };
    let again = read_csv(bytes, "fuzz", &options).expect("read before");
    // As text, since NaN, which marks a missing cell, isn't equal to itself.
    assert_eq!(format!("{:?}", table.columns()), format!("{:?}", again.columns()));
    assert!(table.rows() > 0);
    for column in table.columns() {
        assert_eq!(column.rows(), table.rows());
        (0..table.rows()).for_each(|row| drop(column.word(row)));
    }
    wgrad_fuzz::fit(&table);
});
