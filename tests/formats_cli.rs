//! Tables in other formats than plain text, as users give them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use common::place::{Place, rows, table, text};
use flate2::Compression;
use flate2::write::GzEncoder;

/// An IDX file of bytes.
fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
    let sizes = shape.iter().flat_map(|size| size.to_be_bytes());
    let magic = [0, 0, 8, u8::try_from(shape.len()).unwrap()];
    magic.into_iter().chain(sizes).chain(data.iter().copied()).collect()
}

/// An NPY file; `order` is Python's truth about Fortran's.
fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), data].concat()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn put(place: &Place, name: &str, bytes: &[u8]) {
    fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
    fs::write(place.path(name), bytes).unwrap();
}

/// Images of 8 × 8 whose left or right half is bright, and which half it is.
fn images(count: u32, seed: u32) -> (Vec<u8>, Vec<u8>) {
    let mut state = seed;
    let mut noise = || {
        // Numerical Recipes' generator.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0] / 4
    };
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for i in 0..count {
        let right = i % 2 == 1;
        pixels.extend((0..64).map(|at| if (at % 8 >= 4) == right { 192 } else { 0 } + noise()));
        labels.push(u8::from(right));
    }
    (pixels, labels)
}

fn image_folder(place: &Place) {
    let (pixels, labels) = images(200, 1);
    put(place, "im/train-images-idx3-ubyte", &idx(&[200, 8, 8], &pixels));
    put(place, "im/train-labels-idx1-ubyte.gz", &gzipped(&idx(&[200], &labels)));
    let (pixels, labels) = images(50, 2);
    put(place, "im/t10k-images.idx3-ubyte.gz", &gzipped(&idx(&[50, 8, 8], &pixels)));
    put(place, "im/t10k-labels.idx1-ubyte", &idx(&[50], &labels));
}

#[test]
fn a_folder_of_images_trains_and_is_tested_on_its_own_test_rows() {
    let place = Place::new();
    image_folder(&place);
    let output = place.run("train im/ --device cpu --epochs 10 --name i");
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    for part in [
        "(180 to train, 20 to validate, 50 to test, kept apart by the source)",
        "memory  63.48 KiB for the table",
        "x / 255",
        "classes (rows): 0 (125), 1 (125)",
    ] {
        assert!(told.contains(part), "{told}\nlacks {part}");
    }
    let result = text(&output.stdout);
    assert!(result.contains("test accuracy  100.00 %  (50 of 50 rows)"), "{result}");

    // Raw rows in the same format again, and without labels.
    let own = place.json("eval runs/i --device cpu");
    let folder = place.json("eval runs/i im --device cpu");
    let pair = place.json(
        "eval runs/i im/t10k-images.idx3-ubyte.gz --target im/t10k-labels.idx1-ubyte --device cpu",
    );
    assert_eq!(own["test_rows"], 50);
    assert_eq!([&folder["test_loss"], &pair["test_loss"]], [&own["test_loss"]; 2]);
    let predicted = rows(&place.done("predict runs/i im/t10k-images.idx3-ubyte.gz --device cpu"));
    assert_eq!(
        (predicted.len(), &predicted[0][..]),
        (51, &["prediction", "p_0", "p_1"].map(String::from)[..])
    );
    assert!(
        predicted[1..].iter().zip(["0", "1"].iter().cycle()).all(|(row, label)| row[0] == *label)
    );
    place.reproduce("runs/i");
    // A gzipped copy under another name is the same table; a file that changed isn't.
    put(
        &place,
        "im/t10k-labels.idx1-ubyte",
        &idx(&[50], &images(50, 2).1.iter().map(|l| 1 - l).collect::<Vec<_>>()),
    );
    let output = place.run("eval runs/i --device cpu");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("has changed since the run was made"));
}

/// y = x₀ + 2 x₁ in the number types and orders of NumPy.
#[test]
fn arrays_of_any_kind_train_alike() {
    let x: Vec<[i16; 2]> = (0..200).map(|i| [i * 7 % 50, i * 3 % 40]).collect();
    let y: Vec<f64> = x.iter().map(|[a, b]| f64::from(*a) + 2.0 * f64::from(*b) + 0.5).collect();
    let place = Place::new();
    let by_rows: Vec<i16> = x.concat();
    let by_columns: Vec<i16> =
        x.iter().map(|row| row[0]).chain(x.iter().map(|row| row[1])).collect();
    let bytes =
        |values: &[i16], of: fn(&i16) -> Vec<u8>| values.iter().flat_map(of).collect::<Vec<u8>>();
    let little = |v: &i16| v.to_le_bytes().to_vec();
    put(&place, "a.npy", &npy("<i2", "False", "(200, 2)", &bytes(&by_rows, little)));
    put(
        &place,
        "b.npy",
        &npy(">i2", "True", "(200, 2)", &bytes(&by_columns, |v| v.to_be_bytes().to_vec())),
    );
    let float = |v: &i16| f32::from(*v).to_le_bytes().to_vec();
    put(&place, "c.npy", &gzipped(&npy("<f4", "False", "(200, 2, 1)", &bytes(&by_rows, float))));
    let targets: Vec<u8> = y.iter().flat_map(|y| y.to_le_bytes()).collect();
    put(&place, "y.npy", &npy("<f8", "False", "(200,)", &targets));
    let mut losses = Vec::new();
    for name in ["a", "b", "c"] {
        let told = place.json(&format!(
            "train {name}.npy --target y.npy --layers none --lr 0.05 --weight-decay 0 --device cpu \
             --name {name}"
        ));
        assert!(told["test_r2"].as_f64().unwrap() > 0.99, "{told}");
        losses.push(told["test_loss"].as_f64().unwrap());
        let again = place.json(&format!("eval runs/{name} --device cpu"));
        assert_eq!(again["test_loss"], told["test_loss"]);
    }
    assert_eq!(losses, [losses[0]; 3]);
    // Columns of arrays count by position, whatever the array.
    let predicted = place.done("predict runs/a b.npy --device cpu");
    assert_eq!(predicted, place.done("predict runs/c a.npy --device cpu"));
    assert_eq!(rows(&predicted)[0], ["y"]);
    let config = fs::read_to_string(place.path("runs/a/config.toml")).unwrap();
    assert!(config.contains("target-file = ") && config.contains("target = [\"y\"]"), "{config}");
    place.reproduce("runs/a");
    // A matrix alone has its target in the last column, and flags name columns as in other tables.
    let told =
        place.json("train a.npy --target x0 --task regression --device cpu --epochs 1 --name m");
    assert!(told["targets"]["x0"].is_object(), "{told}");
}

/// As scikit-learn has its own: numbers of classes below a line that names them, and targets in a file of
/// their own beside numbers with spaces between them.
#[test]
fn the_files_of_scikit_learn_are_read_as_they_are() {
    let place = Place::new();
    let row = |i: usize| format!("{},{}.5,{}\n", i * 7 % 60, i % 7, i / 20);
    let classes: String = (0..60).map(row).collect();
    place.write("iris.csv", &format!("60,2,setosa,versicolor,virginica\n{classes}"));
    let told = place.done("train iris.csv --device cpu --epochs 2 --name iris");
    assert!(told.contains("versicolor"), "{told}");
    let predicted = place.done("predict runs/iris iris.csv --device cpu");
    assert_eq!(rows(&predicted).len(), 61);
    assert_eq!(rows(&predicted)[0][1..], ["p_setosa", "p_versicolor", "p_virginica"]);
    place.reproduce("runs/iris");

    let inputs: String = (0..60).map(|i| format!("{} {}\n", i * 7 % 60, i % 7)).collect();
    let targets: String = (0..60).map(|i| format!("{}.5\n", 3 * i)).collect();
    put(&place, "x.csv.gz", &gzipped(inputs.as_bytes()));
    place.write("y.csv", &targets);
    let flags = "--device cpu --epochs 2 --layers none";
    let told = place.json(&format!("train x.csv.gz --target y.csv {flags} --name pair"));
    assert!(told["targets"]["y"].is_object(), "{told}");
    assert_eq!(place.json("eval runs/pair")["test_loss"], told["test_loss"]);
    assert_eq!(place.json("eval runs/pair x.csv.gz --target y.csv")["test_rows"], 60);
    assert_eq!(rows(&place.done("predict runs/pair x.csv.gz")).len(), 61);
    place.reproduce("runs/pair");
    // One of them with names.
    place.write("z.csv", &format!("z\n{targets}"));
    place.done(&format!("train x.csv.gz --target z.csv {flags} --name named"));
    place.reproduce("runs/named");
}

#[test]
fn text_comes_gzipped_and_through_pipes() {
    let place = Place::new();
    let iris = fs::read(table("iris.train.csv")).unwrap();
    put(&place, "iris.csv.gz", &gzipped(&iris));
    let plain =
        place.json(&format!("train {} --device cpu --epochs 3 --name a", table("iris.train.csv")));
    let packed = place.json("train iris.csv.gz --device cpu --epochs 3 --name b");
    assert_eq!(packed["test_loss"], plain["test_loss"]);
    assert_eq!(place.json("eval runs/b")["test_loss"], plain["test_loss"]);
    for (bytes, name) in [(&iris, "c"), (&gzipped(&iris), "d")] {
        let mut child = place
            .command(&format!("train - --device cpu --epochs 3 --json --name {name}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let told: serde_json::Value =
            serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(told["test_loss"], plain["test_loss"]);
    }
}

#[test]
fn files_that_claim_too_much_or_do_not_fit_are_refused() {
    let place = Place::new();
    let claim = "(1152921504606846976,)";
    put(&place, "claim.npy", &npy("<f8", "False", claim, &[0; 30]));
    put(&place, "claim.npy.gz", &gzipped(&npy("<f8", "False", "(1048576, 1048576)", &[0; 30])));
    put(&place, "claim-idx3-ubyte", &idx(&[u32::MAX; 3], &[0; 80]));
    put(&place, "cut.npy", &npy("<f4", "False", "(3, 2)", &[0; 20]));
    put(&place, "long.npy", &npy("|u1", "False", "(3, 2)", &[0; 7]));
    put(&place, "half.npy", &npy("<f2", "False", "(3, 2)", &[0; 12]));
    put(&place, "x.npy", &npy("|u1", "False", "(3, 2)", &[0, 1, 2, 3, 4, 5]));
    put(&place, "y.npy", &npy("|u1", "False", "(2,)", &[0, 1]));
    put(&place, "cube.npy", &npy("|u1", "False", "(3, 1, 2)", &[0, 1, 2, 3, 4, 5]));
    put(&place, "inf.npy", &npy("<f4", "False", "(1, 2)", &[0, 0, 128, 127, 0, 0, 0, 0]));
    put(&place, "bad.npz", b"PK\x03\x04 and so on");
    put(&place, "t.parquet", b"PAR1\x15 and so on");
    put(&place, "cut.csv.gz", &gzipped(b"a,b\n1,2\n")[..15]);
    put(&place, "empty/notes.txt", b"");
    place.write("t.csv", "a,b\n1,2.5\n2,3.5\n");
    for (flags, parts) in [
        ("claim.npy", &["claim.npy", "1152921504606846976", "only 30 bytes can follow"][..]),
        ("claim.npy.gz", &["claim.npy.gz", "1048576 × 1048576", "8796093022208 bytes"]),
        ("claim-idx3-ubyte", &["4294967295 × 4294967295", "only 80 bytes"]),
        ("cut.npy", &["cut.npy", "an array of 3 × 2, 24 bytes", "only 20 bytes"]),
        ("long.npy", &["long.npy", "more bytes follow the array of 3 × 2"]),
        ("half.npy", &["dtype `<f2`", "astype(\"float32\")"]),
        ("x.npy --target y.npy", &["y.npy: 2 rows of targets, but x.npy has 3 rows"]),
        ("x.npy --target absent.npy", &["absent.npy: no such file"]),
        ("x.npy --target y.npy,x1", &["--target y.npy,x1", "one file"]),
        ("x.npy --target t.csv.npy", &["t.csv.npy: no such file"]),
        ("t.csv --target y.npy", &["y.npy: the table is text, so its targets must be text too"]),
        ("cube.npy", &["cube.npy", "no targets", "--target y.npy"]),
        ("inf.npy", &["inf.npy, row 0, column 0 (counted from 0)", "inf"]),
        ("bad.npz", &["bad.npz", "no directory at its end"]),
        ("cut.csv.gz", &["cut.csv.gz", "cut short or damaged"]),
        ("empty", &["train-images-idx3-ubyte", "it has notes.txt"]),
    ] {
        place.refused_with(&format!("train {flags} --device cpu"), parts);
    }
    #[cfg(not(feature = "parquet"))]
    place.refused_with(
        "train t.parquet",
        &["t.parquet: this is a Parquet file", "--features parquet"],
    );
    #[cfg(not(feature = "images"))]
    {
        put(&place, "photos/cat/1.png", b"\x89PNG\r\n\x1a\n");
        place.refused_with("train photos", &["photos: this is a folder", "--features images"]);
        place.refused_with(
            "train photos/cat/1.png",
            &["1.png: this is an image", "--features images"],
        );
    }
    image_folder(&place);
    place.refused_with("train im --folds 3", &["--folds 3", "keeps 50 test rows apart"]);
    place.refused_with("train im --test 0.3", &["--test 0.3", "50 test rows of its own"]);
    let (pixels, _) = images(49, 2);
    put(&place, "im/t10k-images.idx3-ubyte.gz", &gzipped(&idx(&[49, 8, 8], &pixels)));
    place.refused_with("train im", &["50 rows of targets, but", "49 rows"]);
}

#[test]
fn dates_are_refused_with_advice() {
    let place = Place::new();
    let rows: String = (0..30).map(|i| format!("2024-01-{:02},{i}\n", i + 1)).collect();
    place.write("t.csv", &format!("day,y\n{rows}"));
    place.refused_with("train t.csv", &["column `day` holds dates (`2024-01-01`)", "--ignore day"]);
}
