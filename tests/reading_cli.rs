//! Tables as people write them, from the command line: what is taken for granted is said, and later tables are read
//! as the one that was learnt from.

mod common;

use std::fmt::Write as _;
use std::fs;

use common::place::{Place, text};
use serde_json::Value;

const TRAIN: &str = "train t.csv --device cpu --epochs 2 --no-report --runs . --name run";

/// Trains on a table and returns what is said meanwhile.
#[track_caller]
fn told(place: &Place, table: &str, flags: &str) -> String {
    place.write("t.csv", table);
    let _ = fs::remove_dir_all(place.path("run"));
    let output = place.run(&format!("{TRAIN} {flags}"));
    let told = text(&output.stderr);
    assert!(output.status.success(), "{flags}: {told}");
    told
}

/// Rows of a table, made one by one.
fn rows(header: &str, row: impl Fn(usize) -> String) -> String {
    (0..60).fold(format!("{header}\n"), |mut text, i| {
        let _ = writeln!(text, "{}", row(i));
        text
    })
}

fn answers(place: &Place, table: &str, flags: &str) -> Vec<String> {
    place.write("new.csv", table);
    let answers = place.done(&format!("predict run new.csv --device cpu -q {flags}"));
    answers.lines().skip(1).map(str::to_owned).collect()
}

/// One answer a row, whether the model's names stand above it or not.
#[test]
fn predictions_know_the_names_of_columns() {
    let place = Place::new();
    let words = |i: usize| (["red", "blue"][i % 2], ["round", "flat"][i / 2 % 2], i % 2);
    let row = |i: usize| {
        let (color, shape, kind) = words(i);
        format!("{color},{shape},{}", ["no", "yes"][kind])
    };
    told(&place, &rows("color,shape,kind", row), "");
    let below = "red,round\nblue,flat\nred,flat\n";
    let with = answers(&place, &format!("color,shape\n{below}"), "");
    assert_eq!(with.len(), 3);
    assert_eq!(answers(&place, &format!("color,shape\n{}", "red,round\n"), "").len(), 1);
    // In another order they count too, and words that come again don't make a row of them.
    let other = answers(&place, "shape,color\nround,red\nflat,blue\nflat,red\n", "");
    assert_eq!(other, with);
    assert_eq!(answers(&place, "red,round\nred,flat\nblue,flat\nred,round\n", "").len(), 4);

    // Trained without a header, applied to a table that has one: numbers of columns are no names.
    told(&place, &rows("color,shape,kind", row), "--header no");
    let told = text(&place.run("predict run new.csv --device cpu").stderr);
    assert!(told.contains("the first line is a row"), "{told}");
    assert_eq!(answers(&place, "red,round\nred,flat\nblue,flat\nred,round\n", "").len(), 4);
}

#[test]
fn a_column_that_was_constant_counts_for_nothing() {
    let place = Place::new();
    let said = told(&place, &rows("x,same,y", |i| format!("{i},5,{i}.5")), "");
    assert!(said.contains("the column `same` is the same in all training rows"), "{said}");
    assert!(said.contains("nothing, as it is constant in the training rows"), "{said}");
    for scaling in ["auto", "min-max", "none"] {
        told(
            &place,
            &rows("x,same,y", |i| format!("{i},5,{i}.5")),
            &format!("--scaling {scaling}"),
        );
        let as_learnt = answers(&place, "x,same\n3,5\n40,5\n", "");
        assert_eq!(answers(&place, "x,same\n3,-1e6\n40,77\n", ""), as_learnt, "{scaling}");
    }
    let json: Value = serde_json::from_str(&place.done("export run --format json")).unwrap();
    assert_eq!(json["schema"]["inputs"][1]["kind"]["numeric"]["scale"], 0.0, "{json}");
}

#[test]
fn numbers_and_markers_are_read_later_as_they_were_learnt() {
    let place = Place::new();
    let table = rows("price;grade;y", |i| {
        let price =
            if i % 9 == 4 { "nil".into() } else { format!("{}.{:03},50", 1 + i, 7 * i % 1000) };
        format!("{price};{};{i},5", ["NA", "b"][i % 2])
    });
    let said = told(&place, &table, "--missing fill --missing-words nil --not-missing NA");
    assert!(said.contains("has numbers as `1.000,50`, read as 1000.5"), "{said}");
    assert!(said.contains("NA, b"), "NA is a word: {said}");
    // `2.007` alone could be two and a bit.
    let one = answers(&place, "price;grade\n2.007;NA\n", "");
    assert_eq!(one, answers(&place, "price;grade\n2007;NA\n", ""));
    assert_ne!(one, answers(&place, "price;grade\n2,007;NA\n", ""));
    assert_ne!(one, answers(&place, "price;grade\n2007;b\n", ""));
    // What is typed counts more.
    assert_eq!(answers(&place, "price;grade\n2,007;NA\n", "--decimal point"), one);
    let missing = answers(&place, "price;grade\nnil;NA\n", "");
    assert_eq!(missing, answers(&place, "price;grade\n;NA\n", ""));
    // A run's own file makes it again.
    let again = place.run("train --config run --runs . --name again --device cpu --no-report");
    assert!(again.status.success(), "{}", text(&again.stderr));
    let model = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(model("run") == model("again"));
}

#[test]
fn words_of_later_rows_share_the_input_of_rare_ones() {
    let place = Place::new();
    let table = rows("town,y", |i| match i % 6 {
        0 => format!("t{i},{i}.5"),
        k => format!("t{k},{k}.5"),
    });
    let said = told(&place, &table, "--rare-below 2");
    assert!(said.contains("the last for"), "{said}");
    place.write("new.csv", "town\nt0\nnowhere\nt1\n");
    let output = place.run("predict run new.csv --device cpu");
    let answers: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(answers[1] == answers[2] && answers[2] != answers[3], "{answers:?}");
    let told = text(&output.stderr);
    assert!(told.contains(
        "1 cell with other values than the model knows, taken for one of its rare words"
    ));
}

#[test]
fn several_targets_have_a_score_each_or_are_classes() {
    let place = Place::new();
    told(&place, &rows("x,a,b", |i| format!("{i},{i}.5,{}", (i * i) % 37)), "--target a,b");
    let results: Value =
        serde_json::from_str(&fs::read_to_string(place.path("run/results.json")).unwrap()).unwrap();
    let r2 = |target: &str| results["targets"][target]["r2"].as_f64().unwrap();
    let mean = (r2("a") + r2("b")) / 2.0;
    assert!((results["test_r2"].as_f64().unwrap() - mean).abs() < 1e-12, "{results}");

    let hot =
        rows("x,is_a,is_b", |i| format!("{i},{},{}", usize::from(i > 30), usize::from(i <= 30)));
    let said = told(&place, &hot, "--target is_a,is_b");
    assert!(
        said.contains("target: class a") && said.contains("classes (rows): a (29), b (31)"),
        "{said}"
    );
    place.write("new.csv", "x\n1\n59\n");
    assert!(place.done("predict run new.csv --device cpu -q").starts_with("prediction,p_a,p_b\n"));
    place.done("eval run t.csv --device cpu -q");
    let labels = rows("x,is_a,is_b", |i| format!("{i},{},{}", i % 2, usize::from(i % 3 > 0)));
    let said = told(&place, &labels, "--target is_a,is_b");
    assert!(said.contains("several of them 1 in a row"), "{said}");
    assert!(said.contains("(--target is_a --ignore is_b)"), "{said}");
}

/// What a message says can be typed as it stands.
#[test]
fn hints_are_quoted_as_they_must_be_typed() {
    let place = Place::new();
    for (name, typed) in [
        ("row number", "--ignore 'row number'"),
        ("\"length, mm\"", "--ignore '\"length, mm\"'"),
        ("# n", "--ignore '# n'"),
        ("n", "--ignore n)"),
    ] {
        let said =
            told(&place, &rows(&format!("{name},x,y"), |i| format!("{i},{},{i}.5", i * i % 7)), "");
        assert!(said.contains(typed), "{said}");
    }
    let said = told(&place, &rows("it's,x,y", |i| format!("0{i},{},{i}.5", i * i % 7)), "");
    assert!(said.contains(r"--column 'it'\''s=category'"), "{said}");
}

#[test]
#[cfg(unix)]
fn results_that_nobody_can_get_are_an_error() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::{Command, Stdio};

    let place = Place::new();
    told(&place, &rows("x,y", |i| format!("{i},{i}.5")), "");
    let wgrad = env!("CARGO_BIN_EXE_wgrad");
    let shell = |redirection: &str| {
        let line = format!("{wgrad} predict run t.csv --device cpu -q {redirection}");
        Command::new("sh").args(["-c", &line]).current_dir(place.path("")).output().unwrap()
    };
    let closed = shell(">&-");
    assert_eq!(closed.status.code(), Some(1));
    assert!(text(&closed.stderr).contains("standard output is closed"), "{}", text(&closed.stderr));
    assert!(shell(">/dev/null").status.success());

    let name = OsStr::from_bytes(b"\xff.csv");
    fs::copy(place.path("t.csv"), place.path("").join(name)).unwrap();
    let mut train = Command::new(wgrad);
    let odd = train.arg("train").arg(name).current_dir(place.path("")).stdin(Stdio::null());
    let odd = odd.output().unwrap();
    assert_eq!(odd.status.code(), Some(2));
    assert!(text(&odd.stderr).contains("names that aren't UTF-8"), "{}", text(&odd.stderr));
}
