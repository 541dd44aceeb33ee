use super::*;
use crate::data::idx::tests::file as idx_file;
use crate::data::input::tests::gzipped;
use crate::data::npy::tests::file as npy_file;
use crate::data::zip::tests::archive as zip_archive;
use crate::data::{ColumnValues, Schema, SchemaOptions};

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
        assert_eq!((train.rows() + test.rows(), train.columns().len()), (rows, columns), "{name}");
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

/// A folder with these files in it.
fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn source(folder: &tempfile::TempDir, name: &str) -> Source {
    Source::new(folder.path().join(name).to_string_lossy())
}

fn column(table: &Table, name: &str) -> Vec<f32> {
    match &table.columns()[table.find(name).unwrap()].values {
        ColumnValues::Numeric(values) => values.clone(),
        ColumnValues::Text { codes, .. } => codes.iter().map(|&code| code as f32).collect(),
    }
}

#[test]
fn a_folder_of_images_brings_its_own_test_rows() {
    let pixels: Vec<u8> = (0..30).collect();
    let files = [
        ("train-images-idx3-ubyte", idx_file(&[3, 2, 3], &pixels[..18])),
        ("train-labels.idx1-ubyte.gz", gzipped(&idx_file(&[3], &[2, 10, 2]))),
        ("t10k-images-idx3-ubyte.gz", gzipped(&idx_file(&[2, 2, 3], &pixels[18..]))),
        ("t10k-labels-idx1-ubyte", idx_file(&[2], &[10, 2])),
    ];
    let table = source(&folder(&files), "").load().unwrap();
    assert_eq!((table.rows(), table.columns().len(), table.test_rows()), (5, 7, 2));
    assert_eq!(column(&table, "pixel_1_2"), [5.0, 11.0, 17.0, 23.0, 29.0]);
    assert_eq!(column(&table, "label"), [0.0, 1.0, 0.0, 1.0, 0.0]);
    let label = &table.columns()[6].values;
    assert!(matches!(label, ColumnValues::Text { values, .. } if values == &["2", "10"]));

    let refused = |at: usize, bytes: Vec<u8>, part: &str| {
        let mut files = files.clone();
        files[at].1 = bytes;
        let message = source(&folder(&files), "").load().unwrap_err().to_string();
        assert!(message.contains(files[at].0) && message.contains(part), "{message}");
    };
    refused(1, gzipped(&idx_file(&[2], &[0, 1])), "2 rows of targets, but");
    refused(2, gzipped(&idx_file(&[2, 3, 3], &pixels[..18])), "an array of 2 × 3 × 3, but");
    refused(0, idx_file(&[3, 2, 3], &pixels[..17]), "18 bytes, but only 17 bytes can follow");
    refused(0, idx_file(&[1 << 31, 1 << 15, 1 << 14], &pixels), "the header claims");
    refused(3, b"labels".to_vec(), "not an IDX file");
    // Packed, it could be true until the data end.
    refused(2, gzipped(&idx_file(&[2, 2, 3], &pixels[..11])), "the file ends at row");
    refused(2, gzipped(&idx_file(&[u32::MAX, 28, 28], &pixels)), "the header claims");
}

#[test]
fn arrays_come_alone_with_targets_or_in_an_archive() {
    let x = npy_file("<i2", "(4, 2)", &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0]);
    let y = npy_file("|u1", "(4,)", &[9, 8, 7, 6]);
    let pair = npy_file("|b1", "(4, 2)", &[0, 1, 1, 0, 0, 0, 1, 1]);
    let archive = |names: [&str; 4], method| {
        let entries = [(names[0], &x[..]), (names[1], &y), (names[2], &x), (names[3], &y)];
        zip_archive(&entries, method, false)
    };
    let own = archive(["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"], 8);
    let plain = archive(["a.npy", "y.npy", "x.npy", "b.npy"], 0);
    let files = [
        ("x.npy", x.clone()),
        ("y.npy", gzipped(&y)),
        ("pair", pair),
        ("own.npz", own),
        ("plain.npz", plain),
        ("cube.npy", npy_file("|u1", "(2, 1, 2)", &[1, 2, 3, 4])),
    ];
    let folder = folder(&files);
    let load = |name: &str, targets: Option<&str>| {
        let targets = targets.map(|name| source(&folder, name).name);
        Source { targets, ..source(&folder, name) }.load()
    };
    let shape = |table: &Table| {
        let names: Vec<_> = table.columns().iter().map(|c| c.name.as_str()).collect();
        (names.join(","), table.rows(), table.targets(), table.test_rows())
    };
    let alone = load("x.npy", None).unwrap();
    assert_eq!(shape(&alone), ("x0,x1".into(), 4, 1, 0));
    assert_eq!((column(&alone, "x1"), alone.place(3)), (vec![2., 4., 6., 8.], "row 3".into()));
    let with = load("x.npy", Some("y.npy")).unwrap();
    assert_eq!(
        (shape(&with), column(&with, "y")),
        (("x0,x1,y".into(), 4, 1, 0), vec![9., 8., 7., 6.])
    );
    assert_eq!(shape(&load("x.npy", Some("pair")).unwrap()), ("x0,x1,y0,y1".into(), 4, 2, 0));
    assert_eq!(shape(&load("plain.npz", None).unwrap()), ("x0,x1,y".into(), 4, 1, 0));
    let own = load("own.npz", None).unwrap();
    assert_eq!(shape(&own), ("x0,x1,y".into(), 8, 1, 4));
    assert_eq!(column(&own, "x0"), [1., 3., 5., 7., 1., 3., 5., 7.]);
    let cube = load("cube.npy", None).unwrap();
    assert_eq!(shape(&cube), ("x0,x1".into(), 2, 0, 0));
    let error = Schema::fit(&cube, &[0], &SchemaOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no targets; give the file with them"), "{error}");

    let message = |name, targets| load(name, targets).unwrap_err().to_string();
    assert!(message("x.npy", Some("cube.npy")).contains("2 rows of targets, but"));
    assert!(message("own.npz", Some("y.npy")).contains("so "));
    let short = Source { memory: 47, ..source(&folder, "own.npz") }.load().unwrap_err();
    assert!(matches!(short, Error::Limit { .. }), "{short}");
}

#[test]
fn text_has_its_targets_in_another() {
    let folder = folder(&[
        ("x.csv", b"1 2\n3 4\n".to_vec()),
        ("y.csv.gz", gzipped(b"7\n8\n")),
        ("named.csv", b"u,v\n5,6\n7,8\n".to_vec()),
        ("short.csv", b"u\n5\n".to_vec()),
        ("y.npy", npy_file("|u1", "(2,)", &[9, 8])),
    ]);
    let load = |name: &str, targets: &str| {
        let targets = Some(source(&folder, targets).name);
        Source { targets, ..source(&folder, name) }.load()
    };
    let shape = |table: &Table| {
        let names: Vec<_> = table.columns().iter().map(|c| c.name.as_str()).collect();
        (names.join(","), table.targets(), table.has_header())
    };
    let one = load("x.csv", "y.csv.gz").unwrap();
    assert_eq!((shape(&one), column(&one, "y")), (("1,2,y".into(), 1, false), vec![7.0, 8.0]));
    assert_eq!(shape(&load("x.csv", "named.csv").unwrap()), ("1,2,u,v".into(), 2, false));
    assert_eq!(shape(&load("named.csv", "x.csv").unwrap()), ("u,v,y0,y1".into(), 2, true));
    let message = |name, targets| load(name, targets).unwrap_err().to_string();
    assert!(message("x.csv", "short.csv").contains("1 row of targets, but"));
    assert!(message("named.csv", "named.csv").contains("both named `u`"));
    assert!(message("x.csv", "y.npy").contains("so its targets must be text too"));
    assert!(message("y.npy", "x.csv").contains("must be an NPY or IDX array"));
    let targets = Some(source(&folder, "named.csv").name);
    let limited = Source { memory: 31, targets, ..source(&folder, "x.csv") }.load();
    assert!(matches!(limited, Err(Error::Limit { .. })));
}

#[test]
fn text_may_be_gzipped_and_other_formats_are_named() {
    let text = b"x,y\n1,a\n2,b\n";
    let other = |magic: &[u8]| [magic, &[0; 40]].concat();
    let folder = folder(&[
        ("t.csv.gz", gzipped(text)),
        ("t.parquet", other(b"PAR1\x15")),
        ("t.csv.zst", other(b"\x28\xb5\x2f\xfd")),
        ("t.xlsx", zip_archive(&[("xl/workbook.xml", b"<x/>")], 8, false)),
        ("cut.csv.gz", gzipped(text)[..20].to_vec()),
    ]);
    assert_eq!(source(&folder, "t.csv.gz").load().unwrap().rows(), 2);
    let message = |name| source(&folder, name).load().unwrap_err().to_string();
    #[cfg(not(feature = "parquet"))]
    assert!(message("t.parquet").contains("this is a Parquet file, which this build of wgrad"));
    assert!(message("t.csv.zst").contains("packed by zstd"));
    assert!(message("t.xlsx").contains("holds no arrays"));
    assert!(message("cut.csv.gz").contains("cut short or damaged"));
    let limited = Source { memory: 15, ..source(&folder, "t.csv.gz") }.load().unwrap_err();
    assert!(limited.to_string().contains("needs 16 B, but the limit (free memory) is 15 B"));
}

#[test]
fn reading_is_told() {
    let folder = folder(&[("t.csv", b"x,y\n1,a\n2,b\n".to_vec())]);
    let mut told = Vec::new();
    source(&folder, "t.csv").load_watched(&mut |reading| told.push(reading)).unwrap();
    for doing in ["looking for columns", "reading"] {
        assert!(told.contains(&Reading { doing, bytes: 12, total: Some(12) }), "{told:?}");
    }
}
