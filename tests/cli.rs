//! Drives the `wgrad` program as its users do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::place::{Place, rows, table, text};
use serde_json::Value;

#[test]
fn a_run_on_the_digits_leaves_everything() {
    let place = Place::new();
    let told = place.done("train digits --device cpu --epochs 5 --name d");
    assert!(told.contains("test accuracy") && told.contains("recall"), "{told}");
    assert!(
        told.ends_with(&format!("{:15}{}\n", "run", Path::new("runs").join("d").display())),
        "{told}"
    );

    let metrics = rows(&fs::read_to_string(place.path("runs/d/metrics.csv")).unwrap());
    assert_eq!(
        metrics[0].join(","),
        "epoch,step,lr,train_loss,validation_loss,validation_accuracy,seconds"
    );
    assert_eq!(metrics.len(), 1 + 5);
    let losses: Vec<f64> = metrics[1..].iter().map(|row| row[3].parse().unwrap()).collect();
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");

    let chart = fs::read_to_string(place.path("runs/d/loss.svg")).unwrap();
    for part in ["<svg", "training loss", "validation accuracy", "epoch", "</svg>"] {
        assert!(chart.contains(part), "no {part} in the chart");
    }
    let config: toml::Table =
        toml::from_str(&fs::read_to_string(place.path("runs/d/config.toml")).unwrap()).unwrap();
    assert_eq!(config["training"]["epochs"].as_integer(), Some(5));
    assert_eq!(config["run"]["engine"].as_str(), Some("cpu"));
    wgrad::ModelFile::load(&place.path("runs/d/model.safetensors")).unwrap();
}

#[test]
fn without_a_command_it_trains_on_the_digits() {
    let place = Place::new();
    place.done("--device cpu --epochs 1");
    let run = fs::read_dir(place.path("runs")).unwrap().next().unwrap().unwrap();
    let name = run.file_name().into_string().unwrap();
    assert!(name.starts_with("digits-2") && name.len() == "digits-20261122-214455".len(), "{name}");
}

#[test]
fn eval_gives_the_runs_own_results() {
    let place = Place::new();
    let diabetes = table("diabetes.train.csv");
    for (data, entries) in [
        ("digits", &["test_loss", "test_accuracy", "test_rows", "confusion"][..]),
        (
            "moons --loss bce_with_logits --layers none",
            &["test_loss", "test_accuracy", "confusion"],
        ),
        (&*diabetes, &["test_loss", "test_r2", "targets"]),
    ] {
        let trained = place.json(&format!("train {data} --device cpu --epochs 3 --seed 7"));
        let run = trained["run"].as_str().unwrap();
        let evaluated = place.json(&format!("eval {run} --device cpu"));
        for entry in entries {
            assert!(!trained[entry].is_null(), "{data}: no {entry}");
            assert_eq!(evaluated[entry], trained[entry], "{data}: {entry}");
        }
        let file = place.json(&format!("eval {run}/model.safetensors --device cpu"));
        assert_eq!(file["test_loss"], trained["test_loss"]);
    }
}

#[test]
fn json_is_one_object_and_nothing_else() {
    let place = Place::new();
    let output = place.run("train spirals --device cpu --epochs 2 --json");
    let stdout = text(&output.stdout);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&object["epochs"], &object["engine"]), (&2.into(), &"cpu".into()));
    assert_eq!(object["steps"], 2 * 1400_u32.div_ceil(32));
    assert_eq!(object["interrupted"], false);
    assert!(object["samples_per_s"].as_f64().unwrap() > 0.0);
    assert!(text(&output.stderr).contains("train loss"), "progress is told where nobody watches");

    let quiet = place.run("train spirals --device cpu --epochs 2 --json --quiet");
    assert_eq!(text(&quiet.stderr), "");
}

#[test]
fn predictions_have_a_probability_for_each_class() {
    let place = Place::new();
    place.done(&format!("train {} --device cpu --epochs 20 --name iris", table("iris.train.csv")));
    let predict = format!("predict runs/iris {} --device cpu", table("iris.test.csv"));
    let written = place.done(&predict);
    let predicted = rows(&written);
    assert_eq!(predicted[0], ["prediction", "p_setosa", "p_versicolor", "p_virginica"]);
    assert_eq!(predicted.len(), 1 + 38);
    for row in &predicted[1..] {
        let p: Vec<f64> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{row:?}");
        let best = (0..3).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
        assert_eq!(format!("p_{}", row[0]), predicted[0][1 + best], "{row:?}");
    }

    place.done(&format!("{predict} --output answers.csv"));
    assert_eq!(fs::read_to_string(place.path("answers.csv")).unwrap(), written);

    // The target column isn't needed, and the table may come through a pipe.
    let table = fs::read_to_string(table("iris.test.csv")).unwrap();
    let without_target: String =
        table.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect();
    let mut child = place
        .command("predict runs/iris - --device cpu")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(without_target.as_bytes()).unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), written);
}

#[test]
fn regression_is_told_and_predicted_in_the_targets_units() {
    let place = Place::new();
    let trained = place
        .json(&format!("train {} --device cpu --epochs 20 --name d", table("diabetes.train.csv")));
    assert!(trained["test_r2"].as_f64().unwrap() > 0.2, "{trained}");
    let rmse = trained["targets"]["progression"]["rmse"].as_f64().unwrap();
    assert!((40.0..80.0).contains(&rmse), "{rmse}");

    let predicted =
        rows(&place.done(&format!("predict runs/d {} --device cpu", table("diabetes.test.csv"))));
    assert_eq!((predicted[0].join(","), predicted.len()), ("progression".into(), 1 + 111));
    let mean = predicted[1..].iter().map(|row| row[0].parse::<f64>().unwrap()).sum::<f64>() / 111.0;
    assert!((120.0..180.0).contains(&mean), "{mean}");
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let place = Place::new();
    let model = |name: &str, seed: u32| {
        place.done(&format!("train --device cpu --epochs 2 --seed {seed} --name {name}"));
        fs::read(place.path("runs").join(name).join("model.safetensors")).unwrap()
    };
    let first = model("a", 1);
    assert!(first == model("b", 1), "the same seed gave another model");
    assert!(first != model("c", 2), "another seed gave the same model");
}

#[test]
fn a_taken_name_is_refused() {
    let place = Place::new();
    place.done("train spirals --device cpu --epochs 1 --name s");
    let model = || fs::read(place.path("runs/s/model.safetensors")).unwrap();
    let before = model();
    let output = place.run("train spirals --device cpu --epochs 1 --name s --seed 1");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is there already"), "{}", text(&output.stderr));
    assert_eq!(model(), before);
}

#[test]
fn a_run_whose_table_changed_is_not_scored_on_other_rows() {
    let place = Place::new();
    let rows: String = (0..40).map(|i| format!("{i},{}\n", i * i)).collect();
    place
        .write("t.csv", &format!("x,y\n{rows}"))
        .done("train t.csv --device cpu --epochs 1 --name t");
    place.done("eval runs/t --device cpu");
    // One row more, and the same rows in another order.
    let turned: String = rows.lines().rev().map(|row| format!("{row}\n")).collect();
    for changed in [format!("x,y\n{rows}40,1600\n"), format!("x,y\n{turned}")] {
        place.write("t.csv", &changed);
        let output = place.run("eval runs/t --device cpu");
        assert_eq!(output.status.code(), Some(2));
        let message = text(&output.stderr);
        assert!(message.contains("has changed since the run was made"), "{message}");
    }
}

#[test]
fn divergence_ends_with_the_last_good_model() {
    let place = Place::new();
    let flags = "--optimizer sgd --lr 1e6 --device cpu --quiet --name d";
    let output = place.run(&format!("train {} {flags}", table("diabetes.train.csv")));
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in ["training diverged", "step ", "lower the learning rate", "model.safetensors"] {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    assert_eq!(text(&output.stdout), "");
    wgrad::ModelFile::load(&place.path("runs/d/model.safetensors")).unwrap();
    // Whoever uses the model is told.
    let output = place.run(&format!("predict runs/d {} --device cpu", table("diabetes.test.csv")));
    assert_eq!(output.status.code(), Some(0));
    let message = text(&output.stderr);
    assert!(message.contains("warning: this model's training diverged"), "{message}");
}

#[test]
fn runs_that_begin_at_once_have_folders_of_their_own() {
    let place = Place::new();
    let begin = || {
        let mut command = place.command("train moons --device cpu --epochs 1 --quiet");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let runs: Vec<Child> = (0..6).map(|_| begin()).collect();
    assert!(runs.into_iter().all(|mut run| run.wait().unwrap().success()));
    let models = fs::read_dir(place.path("runs")).unwrap();
    assert_eq!(
        models
            .filter(|run| run.as_ref().unwrap().path().join("model.safetensors").exists())
            .count(),
        6
    );
}

#[test]
fn a_table_is_not_overwritten_with_its_own_predictions() {
    let place = Place::new();
    let rows = "x,y\n1,2.5\n2,4.5\n3,6.5\n4,8.5\n5,10.5\n6,12.5\n7,14.5\n8,16.5\n9,18.5\n";
    place.write("t.csv", rows).done("train t.csv --device cpu --epochs 1 --name t");
    let output = place.run("predict runs/t t.csv --device cpu --output ./t.csv");
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("--output ./t.csv is the table itself"), "{message}");
    assert_eq!(fs::read_to_string(place.path("t.csv")).unwrap(), rows);
}

/// Starts a run that would take hours and waits for its first epoch.
#[cfg(unix)]
fn long_run(place: &Place) -> Child {
    let mut child = place
        .command("train digits --device cpu --epochs 10000000 --name long --json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let first_epoch = |line: &str| line.split_whitespace().next() == Some("1");
    assert!(lines.map(Result::unwrap).any(|line| first_epoch(&line)), "no line for epoch 1");
    child
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_model() {
    // What a terminal sends, what a service manager does, and what `timeout` does: to the process and to
    // its group.
    for (signal, times) in [("-INT", 1), ("-TERM", 1), ("-TERM", 2)] {
        let place = Place::new();
        let child = long_run(&place);
        for _ in 0..times {
            Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{signal} {times} times");
        let object: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        assert_eq!(object["interrupted"], true);
        let evaluated = place.json("eval runs/long --device cpu");
        assert_eq!(evaluated["test_loss"], object["test_loss"]);
        assert!(place.path("runs/long/loss.svg").exists());
        let page = fs::read_to_string(place.path("runs/long/report.html")).unwrap();
        assert!(page.contains("This run isn&#39;t complete (interrupted)"), "{page}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    place.done("train digits --device cpu --epochs 1 --name d");
    // More than a pipe holds, so that writing goes on after the reader has left.
    let mut child = place
        .command("predict runs/d digits --device cpu")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("prediction,p_0,"), "{first}");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_gpu_engine_trains() {
    let place = Place::new();
    let trained = place.json("train digits --device gpu --epochs 2 --name g");
    assert_eq!(trained["engine"], "gpu");
    assert!(trained["test_accuracy"].as_f64().unwrap() > 0.8, "{trained}");
    // Another engine rounds differently, but not by much.
    let on_cpu = place.json("eval runs/g --device cpu");
    let difference = on_cpu["test_loss"].as_f64().unwrap() - trained["test_loss"].as_f64().unwrap();
    assert!(difference.abs() < 1e-4, "{difference}");
}

#[test]
fn adapters_are_listed() {
    let place = Place::new();
    let object = place.json("adapters");
    assert!(object["adapters"].is_array() && object["auto"]["why"].is_string(), "{object}");
    assert!(place.done("adapters").contains("--device auto takes"));
}
