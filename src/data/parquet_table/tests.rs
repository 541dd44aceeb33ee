use std::path::PathBuf;

use super::*;
use crate::data::Column;
use crate::data::input::tests::gzipped;
use crate::data::{ColumnValues, CsvOptions, SchemaOptions, Source, load, read_csv};
use crate::data::{Schema, Table};
use crate::rng::{Purpose, Stream};

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables/parquet")).join(name)
}

fn open(name: &str) -> Result<Table> {
    load(&path(name).to_string_lossy(), &CsvOptions::default())
}

fn of_bytes(bytes: &[u8]) -> Result<Table> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    read("t", file, u64::MAX, &mut |_| {})
}

fn message(name: &str) -> String {
    open(name).unwrap_err().to_string()
}

/// Names and cells, to the bit.
fn cells(table: &Table) -> Vec<(String, Vec<String>)> {
    let bits = |column: &Column| match &column.values {
        ColumnValues::Numeric(numbers) => {
            numbers.iter().map(|number| format!("{:08x}", (number + 0.0).to_bits())).collect()
        }
        ColumnValues::Text { .. } => {
            (0..column.rows()).map(|row| format!("{:?}", column.word(row))).collect()
        }
    };
    table.columns().iter().map(|column| (column.name.clone(), bits(column))).collect()
}

const SAME: [&str; 6] = ["plain", "snappy", "gzip", "zstd", "lz4", "delta"];

#[test]
fn every_codec_and_encoding_gives_what_pandas_reads() {
    let text = std::fs::read(path("values.csv")).unwrap();
    let expected = read_csv(&text[..], "values.csv", &CsvOptions::default()).unwrap();
    let missing: Vec<usize> = expected.columns().iter().map(Column::missing).collect();
    assert_eq!(missing, [9, 0, 0, 0, 0, 6, 0, 5, 4, 7, 0]);
    for name in SAME {
        let table = open(&format!("{name}.parquet")).unwrap();
        assert_eq!((table.rows(), table.targets(), table.test_rows()), (60, 1, 0), "{name}");
        assert!(table.has_header() && table.place(59) == "row 59", "{name}");
        for (got, expected) in cells(&table).iter().zip(cells(&expected)) {
            assert_eq!(*got, expected, "{name}");
        }
        assert_eq!(table.columns().len(), expected.columns().len());
    }
}

#[test]
fn pandas_index_is_no_column_and_nan_is_missing() {
    let table = open("pandas_index.parquet").unwrap();
    assert_eq!(cells(&table).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    let infinite = message("infinite.parquet");
    let expected =
        "infinite.parquet, row 2, column x: -inf is not a finite number; NaN marks a missing";
    assert!(infinite.contains(expected), "{infinite}");
}

#[test]
fn dates_and_times_are_text_which_the_schema_refuses() {
    let table = open("times.parquet").unwrap();
    let word = |column: usize| table.columns()[column].word(1).unwrap().into_owned();
    assert_eq!([word(0), word(1), word(2)], ["2024-02-29", "2024-02-29T23:59:58", "23:59:58"]);
    let old = open("int96.parquet").unwrap();
    assert_eq!(old.columns()[0].word(2).unwrap(), "2024-03-01T23:59:58");
    let fit = |ignore: &[&str]| {
        let ignore = ignore.iter().map(ToString::to_string).collect();
        let options = SchemaOptions { ignore, ..SchemaOptions::default() };
        Schema::fit(&table, &table.all_rows(), &options).map_err(|error| error.to_string())
    };
    assert!(fit(&[]).unwrap_err().contains("column `day` holds dates (`2024-02-28`)"));
    assert!(fit(&["day"]).unwrap_err().contains("column `at` holds dates (`2024-02-28T23:59:58`)"));
    assert_eq!(fit(&["day", "at"]).unwrap().in_features(), 2);
}

#[test]
fn what_a_table_cannot_hold_is_refused_by_name() {
    for (name, parts) in [
        ("list", &["column `tags.list.element` is a list", "columns=[\"tags\"]"][..]),
        ("nested", &["column `at.lat` is nested", "columns=[\"at\"]"]),
        ("half", &["column `x` holds numbers of 16 bits", "astype(\"float32\")"]),
        ("bytes", &["column `raw` holds bytes", "write the file without it"]),
        ("brotli", &["column count: packed by Brotli", "snappy, zstd or gzip"]),
    ] {
        let message = message(&format!("{name}.parquet"));
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let name = path("plain.parquet").to_string_lossy().into_owned();
    let short = Source { memory: 4 * 60 * 11 - 1, ..Source::new(name) }.load().unwrap_err();
    assert!(matches!(short, Error::Limit { .. }), "{short}");
}

#[test]
fn packed_ones_are_unpacked_and_reading_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("t");
    let bytes = std::fs::read(path("snappy.parquet")).unwrap();
    std::fs::write(&packed, gzipped(&bytes)).unwrap();
    let table = load(&packed.to_string_lossy(), &CsvOptions::default()).unwrap();
    assert_eq!(cells(&table), cells(&open("snappy.parquet").unwrap()));

    let mut told = Vec::new();
    let name = path("snappy.parquet").to_string_lossy().into_owned();
    Source::new(name).load_watched(&mut |reading| told.push(reading.bytes)).unwrap();
    assert!(told.is_sorted() && told.len() > 33, "{told:?}");
    assert_eq!(told.last(), Some(&(bytes.len() as u64)));
}

#[test]
fn claims_are_checked_before_anything_is_set_aside() {
    let sound = std::fs::read(path("plain.parquet")).unwrap();
    let problem = |bytes: &[u8]| of_bytes(bytes).unwrap_err().to_string();
    assert!(problem(b"PAR1 and so on").contains("it doesn't end in PAR1"));
    assert!(problem(b"PAR1").contains("it is too short"));
    let at = sound.len() - 8;
    let mut long = sound.clone();
    long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(problem(&long).contains("its description claims 4294967295 bytes, but the file has"));
    let mut short = sound.clone();
    short.drain(4..at / 2);
    assert!(problem(&short).contains("the file is cut short or damaged"));
    for cut in 0..sound.len() {
        let message = problem(&sound[..cut]);
        assert!(message.contains("the file is cut short or damaged"), "{cut}: {message}");
    }
}

/// Damaged files give errors, or tables no larger than the sound one.
#[test]
fn no_bytes_make_it_panic() {
    let mut random = Stream::new(1, Purpose::Synthetic, 0);
    let sound = SAME.map(|name| std::fs::read(path(&format!("{name}.parquet"))).unwrap());
    let mut refused = 0;
    let rounds = std::env::var("FUZZ").map_or(1_000, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        let mut bytes = sound[random.below(6) as usize].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(u32::try_from(bytes.len()).unwrap()) as usize;
            let any = u8::try_from(random.below(256)).unwrap();
            bytes[at] =
                [0, 1, 0x7f, 0xff, any, bytes[at] ^ 1 << (any & 7)][random.below(6) as usize];
        }
        match of_bytes(&bytes) {
            Ok(table) => assert!(table.rows() <= 60 && table.columns().len() <= 11),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > rounds / 4 && refused < rounds, "{refused}");
}
