//! Configuration files: `wgrad train --config` and `wgrad init`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::{Place, table, text};

/// The configuration of a run.
fn config(place: &Place, name: &str) -> toml::Table {
    fs::read_to_string(place.path("runs").join(name).join("config.toml")).unwrap().parse().unwrap()
}

#[test]
fn a_file_says_what_flags_say_and_typed_flags_win() {
    let place = Place::new();
    place.write(
        "run.toml",
        "[data]\nsource = \"spirals\"\n[net]\nlayers = [16, 8]\nactivation = \"tanh\"\n\
         [training]\nepochs = 2\nlr = 0.01\nclip-norm = 1\n[run]\ndevice = \"cpu\"\nname = \"file\"\n",
    );
    place.done("train --config run.toml");
    let flags = "spirals --layers 16,8 --activation tanh --lr 0.01 --device cpu";
    place.done(&format!("train {flags} --epochs 2 --clip-norm 1 --name flags"));
    let [by_file, by_flags] = ["file", "flags"].map(|name| {
        let mut config = config(&place, name);
        config.remove("wgrad");
        config
    });
    assert_eq!(by_file, by_flags);

    // Without a command too, and flags that exclude one of the file's.
    place.done("--config run.toml --epochs 1 --name typed --clip-value 0.5 moons");
    let typed = config(&place, "typed");
    assert_eq!(typed["data"]["source"].as_str(), Some("moons"));
    let training = &typed["training"];
    assert_eq!((training["epochs"].as_integer(), training["lr"].as_float()), (Some(1), Some(0.01)));
    assert_eq!(training["clip-value"].as_float(), Some(0.5));
    assert!(training.get("clip-norm").is_none(), "{training}");

    // What the file says can be left out.
    place.done("train --config run.toml --without clip-norm,layers --without lr --name without");
    let without = config(&place, "without");
    assert!(without["training"].get("clip-norm").is_none());
    assert_eq!(without["net"]["layers"], toml::Value::Array(vec![128.into()]));
    assert_eq!(without["training"]["lr"].as_float(), Some(3e-3));
    assert_eq!(without["training"]["epochs"].as_integer(), Some(2));
}

#[test]
fn a_runs_own_file_makes_it_again() {
    let place = Place::new();
    let flags = "--optimizer nesterov --layers 32 --norm batch --dropout 0.1 --ema 0.9 --seed 3 \
                 --early-stopping=5 --class-weights balanced --schedule warmup:1e+cosine --epochs 3 \
                 --plateau patience=2 --device cpu --name a";
    place.done(&format!("train digits {flags}"));
    place.reproduce("runs/a");
    place.done(&format!("train {} --device cpu --epochs 3 --name d", table("diabetes.train.csv")));
    place.reproduce("runs/d");
    // Names that are hard to write; no hidden layer; a column of weights.
    let rows: String = (0..60).map(|i| format!("{i},{},1,{}\n", i % 7, 2 * i)).collect();
    place.write("t.csv", &format!("\"a, b\",\"c \"\"d\"\"\",w,\"y,z\"\n{rows}"));
    place.done("train t.csv --layers none --weights w --ignore 2 --device cpu --epochs 2 --name t");
    place.reproduce("runs/t");

    // Columns that are something else than their cells say, by flag and by file.
    let coded: String =
        (0..60).map(|i| format!("{},{},{i}.5\n", 10 + i % 3, ["lo", "hi"][i % 2])).collect();
    place.write("k.csv", &format!("zip,grade,y\n{coded}"));
    place.write("k.toml", "[data.columns]\nzip = \"category\"\ngrade = \"category\"\n");
    let flags = "--device cpu --epochs 2 --column grade=ordinal:lo,hi";
    let output = place.run(&format!("train k.csv --config k.toml {flags} --name k"));
    let told = text(&output.stderr);
    for part in ["one-hot, 3 inputs", "(place − 0.5) · 2 in lo, hi"] {
        assert!(told.contains(part), "{told} lacks {part}");
    }
    place.reproduce("runs/k");
    assert_eq!(place.done("predict runs/k k.csv --device cpu").lines().count(), 61);

    // Another table under the same name is told of.
    place.write(
        "t.csv",
        &format!("\"a, b\",\"c \"\"d\"\"\",w,\"y,z\"\n{rows}").replace("\n3,", "\n4,"),
    );
    let output = place.run("train --config runs/t --name u");
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("t.csv has changed since that run was made"), "{told}");
}

#[test]
fn what_a_run_derived_is_derived_again_where_its_sources_change() {
    let place = Place::new();
    let training = |name: &str| config(&place, name)["training"].as_table().unwrap().clone();
    let flags = "--device cpu --epochs 2 --layers 8 --no-report";
    place.done(&format!("train spirals {flags} --name first"));
    let first = training("first");
    let derived: Vec<&str> =
        first["derived"].as_array().unwrap().iter().filter_map(|key| key.as_str()).collect();
    assert_eq!(derived, ["header", "label-smoothing", "loss", "lr", "task", "weight-decay"]);
    for (typed, name) in [
        ("--optimizer momentum", "momentum"),
        ("--class-weights balanced", "weights"),
        ("--epochs 4", "longer"),
    ] {
        place.done(&format!("train --config runs/first {typed} --name {name}-again"));
        place.done(
            &format!("train spirals {flags} {typed} --name {name}")
                .replace("--epochs 2", if name == "longer" { "" } else { "--epochs 2" }),
        );
        assert_eq!(training(&format!("{name}-again")), training(name), "{typed}");
        assert_ne!(training(name), first);
    }
    // What doesn't bear on them leaves them, and what was given stays.
    place.done("train --config runs/first --seed 5 --name seeded");
    assert_eq!(training("seeded")["weight-decay"], first["weight-decay"]);
    place.done(&format!("train spirals {flags} --lr 0.02 --name given"));
    place.done("train --config runs/given --optimizer sgd --name kept");
    assert_eq!(training("kept")["lr"].as_float(), Some(0.02));
    // A sweep's trials too.
    let file = fs::read_to_string(place.path("runs/first/config.toml")).unwrap();
    let many = file.replace("optimizer = \"adamw\"", "optimizer = [\"adamw\", \"momentum\"]");
    assert_ne!(many, file);
    place.write("sweep.toml", &many);
    place.done("sweep sweep.toml --name s --quiet");
    let trial: toml::Table =
        fs::read_to_string(place.path("runs/s/trial-002/config.toml")).unwrap().parse().unwrap();
    assert_eq!(trial["training"]["lr"], training("momentum")["lr"]);
    assert_eq!(trial["training"]["momentum"], training("momentum")["momentum"]);
}

/// Another target or table is another task.
#[test]
fn the_task_follows_from_the_target() {
    let place = Place::new();
    let rows = |kinds: [&str; 2]| -> String {
        (0..40).map(|i| format!("{}.5,{},{}\n", i % 7, i % 5, kinds[i % 2])).collect()
    };
    place.write("t.csv", &format!("x,n,kind\n{}", rows(["a", "b"])));
    place.write("plain.csv", &rows(["0", "1"]));
    let flags = "--device cpu --epochs 1 --layers 4 --no-report";
    place.done(&format!("train t.csv {flags} --name classes"));
    let said = |name: &str| {
        let config = config(&place, name);
        let of = |section: &str, key: &str| config[section][key].as_str().unwrap().to_owned();
        (
            of("data", "task"),
            of("training", "loss"),
            config["training"].get("label-smoothing").cloned(),
        )
    };
    assert_eq!(said("classes").0, "classification");
    place.done("train --config runs/classes --target x --name values");
    let values = said("values");
    assert_eq!((&*values.0, &*values.1, values.2), ("regression", "mse", None));
    place.done("train --config runs/values --target kind --name again");
    assert_eq!(said("again"), said("classes"));
    // A table without names keeps its first row.
    place.done("train plain.csv --config runs/classes --target 3 --name plain");
    assert_eq!(config(&place, "plain")["data"]["rows"].as_integer(), Some(40));
    // What was given stays.
    place.done(&format!("train t.csv {flags} --task classification --name given"));
    place.done("train --config runs/given --target x --name kept");
    assert_eq!(said("kept").0, "classification");
}

#[test]
fn init_writes_a_file_that_means_the_defaults() {
    let place = Place::new();
    assert_eq!(place.done("init"), "");
    let file = fs::read_to_string(place.path("wgrad.toml")).unwrap();
    assert_eq!(place.done("init -"), file);
    place.refused_with("init", &["wgrad.toml is there already", "another file"]);
    place.refused_with("init absent/run.toml", &["absent/run.toml"]);
    assert_eq!(fs::read_to_string(place.path("wgrad.toml")).unwrap(), file);
    place.done("train --config wgrad.toml --device cpu --epochs 1 --name a");
    place.done("train --device cpu --epochs 1 --name b");
    let model = |name: &str| fs::read(place.path("runs").join(name).join("model.safetensors"));
    assert!(model("a").unwrap() == model("b").unwrap(), "the file means something else");
}
