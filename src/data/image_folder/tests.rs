use std::fs;

use image::{GrayImage, Luma, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::data::{ColumnValues, Source};
use crate::rng::{Purpose, Stream};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables/images")).join(name)
}

fn load(path: &Path) -> Result<Table> {
    Source::new(path.to_string_lossy()).load()
}

fn sized(path: &Path, width: u32, height: u32) -> Result<Table> {
    let images = ImageOptions { size: Some((width, height)), colour: None };
    Source { images, ..Source::new(path.to_string_lossy()) }.load()
}

fn row(table: &Table, row: usize) -> Vec<f32> {
    let number = |column: &Column| match &column.values {
        ColumnValues::Numeric(numbers) => Some(numbers[row]),
        ColumnValues::Text { .. } => None,
    };
    table.columns().iter().filter_map(number).collect()
}

/// Grey images of one shade by their paths.
fn folder(images: &[(&str, u32, u32, u8)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for &(path, width, height, shade) in images {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(width, height, Luma([shade])).save(path).unwrap();
    }
    folder
}

#[test]
fn every_kind_gives_what_pillow_reads() {
    let text = fs::read_to_string(fixture("pixels.csv")).unwrap();
    for line in text.lines() {
        let (name, pixels) = line.split_once(',').unwrap();
        let expected: Vec<f32> = pixels.split(',').map(|pixel| pixel.parse().unwrap()).collect();
        let table = load(&fixture(name)).unwrap();
        let colour = expected.len() == 3 * 48;
        let last = if colour { "pixel_5_7_blue" } else { "pixel_5_7" };
        assert_eq!(table.columns().last().unwrap().name, last, "{name}");
        assert_eq!((table.rows(), table.targets()), (1, 0));
        // Of JPEG each decoder may round its cosine transform by 1 (ITU-T T.83), and colours are up to
        // 1 + 1.772 times that. A blend with white rounds once in each program.
        let bound = match (name.ends_with("jpg"), colour) {
            (true, false) => 2.0,
            (true, true) => 6.0,
            (false, _) if name == "transparent.png" => 1.0,
            (false, _) => 0.0,
        };
        let got = row(&table, 0);
        assert_eq!(got.len(), expected.len(), "{name}");
        for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert!((got - expected).abs() <= bound, "{name}, {at}: {got}, not {expected}");
        }
    }
}

#[test]
fn folders_are_classes_and_rows_are_in_the_order_of_names() {
    let images = [
        ("dog/b.png", 2, 3, 1),
        ("dog/a.jpg", 2, 3, 2),
        ("cat/z.PNG", 2, 3, 3),
        ("cat/.hidden.png", 5, 5, 3),
    ];
    let classes = folder(&images);
    fs::write(classes.path().join("dog/Thumbs.db"), "").unwrap();
    let table = load(classes.path()).unwrap();
    assert_eq!(table.files(), ["cat/z.PNG", "dog/a.jpg", "dog/b.png"]);
    assert_eq!(table.place(1), "dog/a.jpg");
    assert_eq!([row(&table, 0), row(&table, 2)], [vec![3.0; 6], vec![1.0; 6]]);
    let label = table.columns().last().unwrap();
    assert_eq!(label.name, "label");
    assert_eq!([0, 1, 2].map(|row| label.word(row).unwrap()), ["cat", "dog", "dog"]);
    assert_eq!((table.targets(), table.test_rows()), (1, 0));

    let parts = folder(&[
        ("test/b/1.png", 1, 1, 9),
        ("train/a/1.png", 1, 1, 7),
        ("train/b/1.png", 1, 1, 8),
    ]);
    let table = load(parts.path()).unwrap();
    assert_eq!(table.files(), ["train/a/1.png", "train/b/1.png", "test/b/1.png"]);
    assert_eq!((table.test_rows(), row(&table, 2)), (1, vec![9.0]));
    // A class may be called so.
    let train = folder(&[("car/1.png", 1, 1, 0), ("train/1.png", 1, 1, 0)]);
    assert_eq!(load(train.path()).unwrap().test_rows(), 0);

    let flat = folder(&[("b.png", 1, 1, 0), ("a.png", 1, 1, 5)]);
    let table = load(flat.path()).unwrap();
    assert_eq!((table.files(), table.targets()), (&["a.png", "b.png"].map(String::from)[..], 0));
}

#[test]
fn one_image_in_colour_makes_all_so() {
    let mixed = folder(&[("a/1.png", 1, 2, 40), ("b/2.png", 1, 2, 0)]);
    RgbImage::from_raw(1, 2, vec![1, 2, 3, 4, 5, 6])
        .unwrap()
        .save(mixed.path().join("b/2.png"))
        .unwrap();
    let table = load(mixed.path()).unwrap();
    let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names[..4], ["pixel_0_0_red", "pixel_0_0_green", "pixel_0_0_blue", "pixel_1_0_red"]);
    assert_eq!(
        [row(&table, 0), row(&table, 1)],
        [vec![40.0; 6], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]
    );
    let images = ImageOptions { size: None, colour: Some(false) };
    let grey = Source { images, ..Source::new(mixed.path().to_string_lossy()) }.load().unwrap();
    assert_eq!(row(&grey, 0), [40.0, 40.0]);
}

#[test]
fn resizing_keeps_shades() {
    let same = folder(&[("a/1.png", 9, 5, 77), ("b/2.png", 2, 3, 200)]);
    let table = sized(same.path(), 4, 2).unwrap();
    assert_eq!([row(&table, 0), row(&table, 1)], [vec![77.0; 8], vec![200.0; 8]]);
    // An edge stays where it is, and the filter's window doesn't reach from one end to the other.
    let edge = GrayImage::from_fn(64, 64, |x, _| Luma([if x < 32 { 0 } else { 255 }]));
    edge.save(same.path().join("a/1.png")).unwrap();
    let table = sized(same.path(), 8, 1).unwrap();
    let pixels = row(&table, 0);
    assert!(
        pixels[0] < 3.0 && pixels[3] < 50.0 && pixels[4] > 205.0 && pixels[7] > 252.0,
        "{pixels:?}"
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let message = |folder: &TempDir| load(folder.path()).unwrap_err().to_string();
    let sizes = folder(&[("a/1.png", 8, 8, 0), ("b/2.png", 8, 9, 0)]);
    let expected = "a/1.png has 8 × 8 pixels, but b/2.png has 8 × 9; a net needs one size for all, so resize \
                    them, as with `--image-size 8x8`";
    assert!(message(&sizes).ends_with(expected), "{}", message(&sizes));

    let large = folder(&[("a/1.png", 1025, 1024, 0)]);
    let expected = "images of 1025 × 1024 pixels have 1049600 numbers each, but at most 1048576 columns are \
                    read; make them smaller, as with `--image-size 64x64`";
    assert!(message(&large).ends_with(expected), "{}", message(&large));

    let with = |file: &str, bytes: &[u8]| {
        let folder = folder(&[("a/1.png", 1, 1, 0), ("b/1.png", 1, 1, 0)]);
        fs::create_dir_all(folder.path().join(file).parent().unwrap()).unwrap();
        fs::write(folder.path().join(file), bytes).unwrap();
        message(&folder)
    };
    assert!(
        with("a/2.gif", b"GIF89a").contains("2.gif: neither PNG nor JPEG by its name; convert it")
    );
    assert!(with("2.png", b"").contains("2.png: an image beside folders of classes"));
    assert!(with("a/c/2.png", b"").contains("c: a folder in that of a class"));
    assert!(with("c/.keep", b"").contains("c: a class without images"));
    assert!(with("a/2.png", b"text").contains("2.png: the image is damaged, or no PNG or JPEG"));
    let whole = fs::read(fixture("grey.jpg")).unwrap();
    assert!(with("a/2.jpg", &whole[..whole.len() - 2]).contains("2.jpg"));
    let nothing = tempfile::tempdir().unwrap();
    fs::write(nothing.path().join("notes.txt"), "").unwrap();
    assert!(message(&nothing).contains("it has notes.txt"));
    let parts = folder(&[("train/a/1.png", 1, 1, 0), ("val/a/1.png", 1, 1, 0)]);
    assert!(message(&parts).contains("val: only train and test are read where there is train"));
}

#[test]
fn images_cut_short_or_too_large_are_refused() {
    let bomb = load(&fixture("bomb.png")).unwrap_err().to_string();
    let expected =
        "bomb.png: the image claims 60000 × 60000 pixels, 3600000000 in all, but at most 67108864";
    assert!(bomb.contains(expected), "{bomb}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.png");
    for name in ["grey.jpg", "colour.jpg", "turned.jpg", "colour.png", "palette.png"] {
        let whole = fs::read(fixture(name)).unwrap();
        // A PNG's end mark holds no pixels.
        let needed = if name.ends_with("png") { whole.len() - 16 } else { whole.len() };
        for cut in 0..needed {
            fs::write(&path, &whole[..cut]).unwrap();
            let problem = image_problem(&path);
            assert!(problem.contains("t.png: the image is "), "{name}, {cut}: {problem}");
        }
    }
}

fn image_problem(path: &Path) -> String {
    read(path, &ImageOptions::default(), u64::MAX, &mut |_| {}).unwrap_err().to_string()
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = Stream::new(1, Purpose::Synthetic, 0);
    let names =
        ["grey.jpg", "colour.jpg", "turned.jpg", "colour.png", "bits.png", "transparent.png"];
    let sound = names.map(|name| fs::read(fixture(name)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.png");
    let mut refused = 0;
    let rounds = std::env::var("FUZZ").map_or(1_000, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        let mut bytes = sound[random.below(6) as usize].clone();
        let at = random.below(u32::try_from(bytes.len()).unwrap()) as usize;
        let any = u8::try_from(random.below(256)).unwrap();
        bytes[at] = [0, 0xff, any, bytes[at] ^ 1 << (any & 7)][random.below(4) as usize];
        fs::write(&path, &bytes).unwrap();
        let options = ImageOptions { size: Some((4, 4)), colour: Some(false) };
        match read(&path, &options, u64::MAX, &mut |_| {}) {
            Ok(table) => assert_eq!(table.columns().len(), 16),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > rounds / 4 && refused < rounds, "{refused}");
}
