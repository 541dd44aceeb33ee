//! Tables that can't be learnt from, and what isn't one.

use std::fs;

use super::{Content, place, refused};

/// Tables that can't be learnt from.
const TABLES: &[Content] = &[
    ("", &["t.csv", "empty"]),
    ("a,b\n1,2\n3\n", &["line 3 has 1 field", "line 1 has 2"]),
    ("a,b\n1,2\nx,3\n4,5\n6,7\n", &["line 3, column a", "`x` is not a number"]),
    ("a,b\n1,2\nnan,3\n4,5\n", &["line 3, column a", "the value is missing", "--missing fill"]),
    ("a,b\n1,2\n3,4\ninf,5\n", &["line 4, column a", "`inf` is not a finite number"]),
    ("a,b\n1,2\n,3\n4,5\n", &["line 3, column a", "missing", "--missing fill"]),
    ("a,b\n1,x\n2,x\n3,x\n", &["only one class (`x`)", "--target"]),
    ("a\n1\n2\n", &["no column is left"]),
    ("a,b\n", &["there is a header but no row"]),
    ("a,a,y\n1,2,3\n4,5,6\n", &["columns 1 and 2 are both named `a`", "rename"]),
    (
        "a;b;y\n1,234;2;3\n4,567;5;6\n4,568;5;7\n4,569;5;8\n",
        &["line 2, column a", "--decimal point or --decimal comma"],
    ),
    ("a,b\n1,2\nnil,3\n4,5\n6,7\n", &["line 3, column a", "--missing-words nil"]),
    ("a,b\n1,2\n\"3,4\n", &["line 3 begins a cell with a quote that nothing ends", "twice"]),
    ("a,b\n1e39,2\n2,3\n3,4\n", &["line 2, column a", "`1e39` is beyond the range of f32"]),
    ("a,b\n1,5\n2,5\n3,5\n", &["target column `b` is 5 in every row", "--target"]),
    ("{\"a\": 1}\n{\"a\": 2}\n", &["this is JSON"]),
    ("[\n  {\"a\": 1}\n]\n", &["this is JSON"]),
    ("\u{0}\u{1}\u{2}", &["t.csv"]),
];

#[test]
fn tables_that_cannot_be_learnt_from_are_refused() {
    let place = place();
    for (content, parts) in TABLES {
        place.write("t.csv", content);
        refused(&place, "train t.csv --device cpu", 2, &[&["t.csv"], *parts].concat());
    }
    refused(&place, "train nothing.csv", 2, &["nothing.csv", "no such file"]);
    refused(&place, "train folder", 2, &["folder", "train-images-idx3-ubyte", "it is empty"]);
    fs::write(place.path("a.png"), b"\x89PNG\r\n\x1a\n and so on").unwrap();
    let told: &[&str] = match cfg!(feature = "images") {
        true => &["a.png"],
        false => &["a.png: this is an image", "--features images"],
    };
    refused(&place, "train a.png", 2, told);
}

#[test]
fn columns_that_cannot_be_what_they_are_for_are_refused() {
    let place = place();
    let rows = |head: &str, row: &dyn Fn(usize) -> String| {
        head.to_owned() + &(0..90).map(row).collect::<String>()
    };
    // Whose weight is in one part of three.
    place.write(
        "w.csv",
        &rows("x,w,y\n", &|i| format!("{i},{},{}.5\n", usize::from(i == 7), i * i)),
    );
    let told = ["--weights w: the ", "rows of one part", "have a weight of 0 each", "--seed"];
    refused(&place, "train w.csv --weights w --device cpu", 2, &told);
    let told = ["`y` is both target and ignored, by name or as weights of rows"];
    refused(&place, "train w.csv --target y --weights y --device cpu", 2, &told);
    place.write("weights.csv", &rows("weight,y\n", &|i| format!("{i}.5 kg,{i}.5\n")));
    let told = ["`weight`", "hardly a class comes twice"];
    refused(&place, "train weights.csv --device cpu --target weight", 2, &told);
}
