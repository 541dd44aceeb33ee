//! An IDX array, gzipped perhaps, as a table.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wgrad_fuzz::load_table(bytes));
