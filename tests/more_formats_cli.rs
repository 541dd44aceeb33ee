//! Tables whose formats are features: Parquet files and images, as users give them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Stdio;

use common::place::{Place, rows, table, text};

const PARQUET: &str = "--target kind --ignore note,code --missing fill --device cpu --epochs 3";

/// A grey PNG, `size` pixels wide and high, whose left or right half is bright.
fn png(place: &Place, path: &str, size: u32, right: bool, noise: u8) {
    let path = place.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), size, size);
    encoder.set_color(png::ColorType::Grayscale);
    let pixel =
        |at: u32| if (at % size >= size / 2) == right { 200 + noise % 50 } else { noise % 60 };
    let pixels: Vec<u8> = (0..size * size).map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

/// 60 images to train on and 20 to test on.
fn photos(place: &Place, size: u32) {
    for i in 0..80_u8 {
        let part = if i < 60 { "train" } else { "test" };
        let class = ["left", "right"][usize::from(i % 2)];
        png(
            place,
            &format!("photos/{part}/{class}/{i:02}.png"),
            size,
            i % 2 == 1,
            i.wrapping_mul(37),
        );
    }
}

#[test]
fn parquet_trains_as_the_same_text_does() {
    let place = Place::new();
    let by_text =
        place.json(&format!("train {} {PARQUET} --name text", table("parquet/values.csv")));
    for name in ["snappy", "delta"] {
        let file = table(&format!("parquet/{name}.parquet"));
        let told = place.json(&format!("train {file} {PARQUET} --name {name}"));
        assert_eq!(told["test_loss"], by_text["test_loss"]);
        let run = format!("runs/{name}");
        assert_eq!(place.json(&format!("eval {run} --device cpu"))["test_loss"], told["test_loss"]);
        assert_eq!(
            place.done(&format!("predict {run} {file} --device cpu")),
            place.done(&format!("predict {run} {} --device cpu", table("parquet/values.csv")))
        );
        place.reproduce(&run);
    }
    let file = table("parquet/zstd.parquet");
    let child = place
        .command(&format!("train - {PARQUET} --json --name pipe"))
        .stdin(Stdio::from(fs::File::open(&file).unwrap()))
        .output()
        .unwrap();
    let told: serde_json::Value = serde_json::from_slice(&child.stdout).unwrap();
    assert_eq!(told["test_loss"], by_text["test_loss"]);
    let rate = place.json(&format!(
        "find-lr {file} --target kind --ignore note,code --missing fill --device cpu --steps 30"
    ));
    assert_eq!(rate["steps"].as_array().unwrap().len(), 30, "{rate}");
}

#[test]
fn parquet_that_cannot_be_used_is_refused() {
    let place = Place::new();
    let sound = fs::read(table("parquet/snappy.parquet")).unwrap();
    fs::write(place.path("cut.parquet"), &sound[..sound.len() / 2]).unwrap();
    let mut claim = sound.clone();
    let at = claim.len() - 8;
    claim[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(place.path("claim.parquet"), claim).unwrap();
    // The length of a text, of which the decoder panics.
    let mut long = fs::read(table("parquet/plain.parquet")).unwrap();
    long[1762] = 0xff;
    fs::write(place.path("long.parquet"), long).unwrap();
    let contradiction = ["long.parquet: the file is cut short or damaged (its parts contradict"];
    place.refused_with("train long.parquet", &contradiction);
    place.refused_with("train cut.parquet", &["cut.parquet: the file is cut short or damaged"]);
    place.refused_with("train claim.parquet", &["its description claims 4294967295 bytes"]);
    for (name, parts) in [
        ("list", &["column `tags.list.element` is a list"][..]),
        ("nested", &["column `at.lat` is nested", "df.drop"]),
        ("brotli", &["Brotli", "snappy, zstd or gzip"]),
        ("times", &["column `day` holds dates (`2024-02-28`)", "--ignore day"]),
        ("infinite", &["row 2, column x: -inf"]),
    ] {
        let file = table(&format!("parquet/{name}.parquet"));
        place.refused_with(&format!("train {file} --device cpu"), parts);
    }
    let times = table("parquet/times.parquet");
    place.done(&format!("train {times} --ignore day,at --device cpu --epochs 1 --missing fill --validation 0 --test 0"));
}

#[test]
fn a_folder_of_classes_trains_and_is_tested_on_its_own_test_rows() {
    let place = Place::new();
    photos(&place, 8);
    let output = place.run("train photos/ --device cpu --epochs 20 --name i");
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    for part in ["(54 to train, 6 to validate, 20 to test, kept apart by the source)", "x / 255"] {
        assert!(told.contains(part), "{told}\nlacks {part}");
    }
    assert!(text(&output.stdout).contains("(20 of 20 rows)"), "{}", text(&output.stdout));
    let own = place.json("eval runs/i --device cpu");
    assert_eq!(own["test_loss"], place.json("eval runs/i photos --device cpu")["test_loss"]);
    place.reproduce("runs/i");

    // One image, a folder of them, and one of classes; with their names.
    let one = rows(&place.done("predict runs/i photos/test/left/60.png --device cpu"));
    assert_eq!(one[0], ["file", "prediction", "p_left", "p_right"]);
    assert_eq!(one[1][..2], ["photos/test/left/60.png", "left"].map(String::from));
    let folder = rows(&place.done("predict runs/i photos/test/right --device cpu"));
    assert_eq!((folder.len(), &folder[1][..2]), (11, &["61.png", "right"].map(String::from)[..]));
    let all = place.json("predict runs/i photos/test --device cpu");
    assert_eq!(all["files"][10], "right/61.png");
    assert_eq!(all["predictions"][10]["prediction"], "right");
}

#[test]
fn images_are_resized_to_what_was_asked_for_or_learnt() {
    let place = Place::new();
    photos(&place, 20);
    png(&place, "photos/train/left/large.png", 31, false, 9);
    place.refused_with("train photos --device cpu", &["20 × 20", "31 × 31", "--image-size 20x20"]);
    place.done("train photos --image-size 8x8 --device cpu --epochs 20 --name i");
    let config = fs::read_to_string(place.path("runs/i/config.toml")).unwrap();
    assert!(config.contains("image-size = \"8x8\""), "{config}");
    place.reproduce("runs/i");
    png(&place, "new.png", 50, true, 7);
    let one = rows(&place.done("predict runs/i new.png --device cpu"));
    assert_eq!(one[1][..2], ["new.png", "right"].map(String::from));
    let own = place.json("eval runs/i --device cpu");
    assert_eq!(own["test_loss"], place.json("eval runs/i photos --device cpu")["test_loss"]);
}

#[test]
fn images_that_cannot_be_used_are_refused() {
    let place = Place::new();
    photos(&place, 8);
    place.refused_with("train photos/train/left", &["no targets"]);
    place.refused_with("train photos --image-size 8", &["--image-size", "'8'", "as in 28x28"]);
    place.refused_with("train photos --image-size 2000x2000", &["4000000 numbers", "1048576"]);
    place.refused_with("train photos --folds 3", &["--folds 3", "keeps 20 test rows apart"]);
    fs::copy(table("images/bomb.png"), place.path("photos/train/left/00.png")).unwrap();
    place.refused_with("train photos", &["photos/train/left/00.png", "60000 × 60000"]);
    let sound = fs::read(table("images/grey.jpg")).unwrap();
    fs::write(place.path("photos/train/left/00.png"), &sound[..sound.len() - 2]).unwrap();
    let cut = ["photos/train/left/00.png: the image is cut short"];
    place.refused_with("train photos --image-size 8x8", &cut);
}
