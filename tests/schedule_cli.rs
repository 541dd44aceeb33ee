//! Drives `wgrad schedule`, `--schedule` and `--plateau` as their users do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::Place;

/// Step, epoch and learning rate of the table's rows.
fn table(told: &str) -> Vec<[String; 3]> {
    let lines = told.lines().skip_while(|line| !line.ends_with("lr")).skip(1);
    lines
        .map(|line| line.split_whitespace().map(String::from).collect::<Vec<_>>())
        .map(|row| row.try_into().unwrap())
        .collect()
}

#[test]
fn a_schedule_is_shown_with_its_corners() {
    let place = Place::new();
    let told = place
        .done("schedule warmup:5e+constant+linear:5e --epochs 20 --steps-per-epoch 10 --lr 0.1");
    assert!(told.starts_with("warmup:5e+constant+linear:5e\n200 steps, 10 an epoch"), "{told}");
    // 50·0.1·(49/50)/2 + 100·0.1 + 50·0.1·(51/50)/2
    assert!(told.contains("sum to 15.00"), "{told}");
    let rows = [
        ["1", "1", "0"],
        ["51", "6", "0.1000"],
        ["151", "16", "0.1000"],
        ["200", "20", "0.002000"],
    ];
    assert_eq!(table(&told), rows.map(|row| row.map(String::from)));
    assert_eq!(told.lines().filter(|line| line.contains('│')).count(), 12, "{told}");
    assert!(!told.contains('\x1b'), "escape sequences don't belong into a file: {told:?}");
}

#[test]
fn jumps_have_both_their_sides() {
    let rows = table(&Place::new().done("schedule step:10e --steps 1000 --steps-per-epoch 40"));
    let steps: Vec<_> = rows.iter().map(|row| &row[0][..]).collect();
    assert_eq!(steps, ["1", "400", "401", "800", "801", "1000"]);
    assert_eq!(rows[2][2], "0.0001000");
}

#[test]
fn the_json_holds_the_table() {
    let place = Place::new();
    let told = place.json("schedule piecewise:10=0.5 --steps 20 --lr 2");
    assert_eq!(told["schedule"], "piecewise:10=0.5");
    assert_eq!((told["lr"].as_f64(), told["steps"].as_u64()), (Some(2.0), Some(20)));
    assert_eq!(told["sum_of_lr"], 30.0);
    let rows = told["rows"].as_array().unwrap();
    let row = |i: usize| (rows[i]["step"].as_u64().unwrap(), rows[i]["lr"].as_f64().unwrap());
    assert_eq!((rows.len(), row(1), row(2)), (4, (10, 2.0), (11, 1.0)));
}

#[test]
fn every_kind_of_run_is_shown() {
    let place = Place::new();
    for run in
        ["--steps 1", "--steps 2", "--epochs 1 --steps-per-epoch 1", "--steps 18446744073709551615"]
    {
        for spec in ["constant", "warmup", "warmup:5%+cosine", "one_cycle", "linear:from=0"] {
            let told = place.done(&format!("schedule {spec} {run} --output s.svg"));
            assert!(!told.contains("NaN"), "{told}");
            let svg = fs::read_to_string(place.path("s.svg")).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains(spec) && !svg.contains("NaN"), "{svg}");
        }
    }
}

#[test]
fn what_is_no_schedule_is_refused() {
    let place = Place::new();
    for (args, parts) in [
        ("schedule", &["SPEC"][..]),
        ("schedule warmup:5e+cosin", &["character 11", "did you mean cosine?"]),
        ("schedule cosine:flor=0.1", &["character 8", "did you mean floor?"]),
        ("schedule cosine:floor=7", &["cosine's floor is 7", "0..=1"]),
        ("schedule -cosine", &["no schedule is called \"-cosine\"", "did you mean cosine?"]),
        ("schedule warmup+cosine", &["without a length is 2", "constant:10e+cosine"]),
        ("schedule cosine --steps 0", &["--steps", "at least 1"]),
        ("schedule cosine --steps 10 --epochs 3", &["--steps", "--epochs"]),
        ("schedule cosine --lr nan", &["--lr", "above 0"]),
        ("schedule exponential:10,every=1 --steps 1000", &["learning rate of step", "inf"]),
        ("train --schedule stepp:3e", &["--schedule", "did you mean step?"]),
        ("train --plateau patience=x", &["--plateau", "character 10", "whole number"]),
        ("train --plateau factor=2", &["plateau's factor is 2"]),
        (
            "train digits --device cpu --validation 0 --plateau mode=max",
            &["plateau's mode", "validation rows"],
        ),
    ] {
        place.refused_with(args, parts);
    }
    assert!(!place.path("runs").exists());
    place.refused_with("schedule cosine --output no/such/folder.svg", &["no/such/folder.svg"]);
}

#[test]
fn the_help_has_every_schedule() {
    let help = Place::new().done("schedule --help");
    let names = [
        "constant",
        "warmup",
        "linear",
        "polynomial",
        "cosine",
        "cosine_restarts",
        "one_cycle",
        "step",
        "piecewise",
        "exponential",
        "inverse_sqrt",
    ];
    for name in names {
        assert!(help.contains(&format!("\n  {name}:")), "{name} is missing");
    }
    for line in help.lines().filter(|line| line.starts_with("  wgrad schedule ")) {
        Place::new().done(line.trim().strip_prefix("wgrad ").unwrap());
    }
}

#[test]
fn a_run_follows_its_schedule_and_plateau() {
    let place = Place::new();
    let spec = "warmup:2e+step:2e,factor=0.5";
    // No epoch is better by 0.9 of the best, so every one after the first counts.
    let plateau = "patience=1,factor=0.5,threshold=0.9";
    place.done(&format!(
        "train digits --device cpu --epochs 8 --lr 0.01 --schedule {spec} --plateau {plateau} --name d"
    ));
    let config = fs::read_to_string(place.path("runs/d/config.toml")).unwrap();
    assert!(config.contains(&format!("schedule = \"{spec}\"")), "{config}");
    assert!(
        config.contains("plateau = \"plateau:factor=0.5,patience=1,threshold=0.9\""),
        "{config}"
    );

    let metrics = fs::read_to_string(place.path("runs/d/metrics.csv")).unwrap();
    let lr = |line: &str| line.split(',').nth(2).unwrap().parse::<f64>().unwrap();
    let got: Vec<_> = metrics.lines().skip(1).map(lr).collect();
    // The last of 40 steps an epoch: the warm-up is one short of its end, the stairs are whole. The
    // plateau halves after the third epoch, the fifth and the seventh.
    let schedule = [39.0 / 80.0, 79.0 / 80.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25];
    let plateau = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125];
    let want = schedule.iter().zip(plateau).map(|(schedule, plateau)| 0.01 * schedule * plateau);
    for (epoch, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got / want - 1.0).abs() < 1e-12, "epoch {}: {got}, not {want}", epoch + 1);
    }
    assert_eq!(got.len(), 8);
    // The run's own description is read again.
    place.json("eval runs/d --device cpu");
}
