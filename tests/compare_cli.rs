//! `wgrad compare`: several runs side by side.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::{Place, table, text};
use serde_json::Value;

fn two_runs() -> Place {
    let place = Place::new();
    let flags = "train digits --device cpu --epochs 4 --quiet";
    place.done(&format!("{flags} --name a"));
    place.done(&format!("{flags} --lr 0.01 --layers 16 --name b"));
    place
}

#[test]
fn runs_are_told_side_by_side() {
    let place = two_runs();
    let told = place.done("compare runs/a runs/b");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("run ") && lines[0].contains("best loss (epoch)"), "{told}");
    for (line, name) in lines[1..].iter().zip(["a", "b"]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..2], [name, "complete"], "{told}");
    }
    // What differs, and nothing else.
    let differs: Vec<Vec<&str>> =
        lines[6..].iter().map(|line| line.split_whitespace().collect()).collect();
    let expected = [vec!["a", "b"], vec!["layers", "128", "16"], vec!["lr", "0.003", "0.01"]];
    assert_eq!(differs, expected, "{told}");
    assert!(place.done("compare runs/a runs/a").contains("configurations: the same"));

    // The same as numbers.
    let object = place.json("compare runs/a runs/b");
    let [a, b] = [0, 1].map(|k| &object["runs"][k]);
    let results: Value =
        serde_json::from_str(&fs::read_to_string(place.path("runs/a/results.json")).unwrap())
            .unwrap();
    assert_eq!(a["test_score"], results["test_accuracy"]);
    assert_eq!(a["test_loss"], results["test_loss"]);
    assert_eq!(a["validation_loss"]["last"]["value"], results["validation_loss"]);
    assert_eq!(
        (&a["epochs"], &a["steps"], &a["parameters"]),
        (&4.into(), &160.into(), &9610.into())
    );
    assert_eq!(b["differs"]["layers"], "16");
    assert_eq!(object["problems"], Value::Array(vec![]));
    let best = a["train_loss"]["best"]["value"].as_f64().unwrap();
    assert!(best <= a["train_loss"]["last"]["value"].as_f64().unwrap());
}

#[test]
fn pages_and_pictures_have_all_curves() {
    let place = two_runs();
    let regression =
        format!("train {} --device cpu --epochs 3 --name c", table("diabetes.train.csv"));
    place.done(&regression);
    place.done("compare runs/a runs/b runs/c --output all.html");
    let page = fs::read_to_string(place.path("all.html")).unwrap();
    for title in [
        "Validation loss",
        "Training loss",
        "Validation accuracy",
        "Validation R²",
        "Learning rate",
    ] {
        assert!(page.contains(&format!("<title>{title}</title>")), "no {title}");
    }
    // Three runs in three panels, two and one in those of their scores.
    assert_eq!(page.matches("class=\"curve ").count(), 3 * 3 + 2 + 1);
    assert!(!page.contains("NaN"));
    place.done("compare runs/a runs/b --output all.svg");
    let picture = fs::read_to_string(place.path("all.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("Validation accuracy"), "{picture}");
    place.done("compare runs/a --output one.html --quiet");

    let output = place.run("compare runs/a --output all.png");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(".html or .svg"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}

/// They are named, and the others compared all the same.
#[test]
fn damaged_folders_are_named() {
    let place = two_runs();
    let path = |name: &str| place.path("runs").join(name);
    fs::create_dir(path("empty")).unwrap();
    for (name, file, content) in
        [("config", "config.toml", "lr = "), ("head", "metrics.csv", "a,b\n1,2\n")]
    {
        fs::create_dir(path(name)).unwrap();
        fs::copy(path("a").join("config.toml"), path(name).join("config.toml")).unwrap();
        fs::write(path(name).join(file), content).unwrap();
    }
    // A sweep's own files beside its trials are passed over.
    place.write("runs/plan.json", "{}").write("runs/results.csv", "trial\n");
    place.done("compare runs/a runs/b runs/plan.json runs/results.csv");
    let output =
        place.run("compare runs/none runs/a runs/empty runs/config runs/head runs/b --json");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert_eq!(told.matches("error:").count(), 1, "{told}");
    for (name, problem) in [
        ("none", "no such folder"),
        ("empty", "no config.toml"),
        ("config", "config.toml"),
        ("head", "these aren't the metrics of a run"),
    ] {
        let line = told.lines().find(|line| line.contains(&format!("runs/{name}")));
        assert!(line.is_some_and(|line| line.contains(problem)), "{name}: {told}");
    }
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["runs"].as_array().unwrap().len(), 2);
    assert_eq!(object["problems"].as_array().unwrap().len(), 4);

    // A run that was killed lacks its end: what there is, is told.
    fs::remove_file(path("a").join("model.safetensors")).unwrap();
    fs::remove_file(path("a").join("results.json")).unwrap();
    let metrics = fs::read_to_string(path("a").join("metrics.csv")).unwrap();
    fs::write(path("a").join("metrics.csv"), &metrics[..metrics.len() - 30]).unwrap();
    let object = place.json("compare runs/a runs/b");
    let a = &object["runs"][0];
    assert_eq!(
        (&a["epochs"], &a["parameters"], &a["test_score"]),
        (&3.into(), &Value::Null, &Value::Null)
    );

    let output = place.run("compare");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("<RUN>"), "{}", text(&output.stderr));
}
