//! What all commands have in common: JSON, help, man pages, completions, and the variables of the
//! environment that they heed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::{Place, rows, text};
use serde_json::Value;

#[test]
fn what_prints_results_prints_them_as_json() {
    let place = Place::new();
    place.write("t.csv", "a,y\n1,2.5\n2,3.5\n3,4.5\n4,5.5\n5,6.5\n6,7.5\n7,8.5\n8,9.5\n");
    place.write("s.toml", "[training]\nlr = [0.1, 0.01]\nepochs = 1\n");
    for (command, key) in [
        ("train moons --device cpu --epochs 1 --name m", "test_loss"),
        ("train t.csv --device cpu --epochs 1 --name t", "test_loss"),
        ("eval runs/m --device cpu", "confusion"),
        ("predict runs/m moons --device cpu", "predictions"),
        ("predict runs/t t.csv --device cpu", "predictions"),
        ("find-lr moons --device cpu", "steps"),
        ("sweep s.toml --device cpu --list", "trials"),
        ("sweep s.toml --device cpu", "best"),
        ("schedule cosine", "rows"),
        ("lecture --list", "warmup"),
        ("adapters", "adapters"),
    ] {
        let object = place.json(command);
        assert!(!object[key].is_null(), "{command}: {object}");
    }
}

/// The same numbers in both forms.
#[test]
fn predictions_are_told_as_csv_and_as_json() {
    let place = Place::new();
    place.done("train moons --device cpu --epochs 1 --name m");
    let csv = rows(&place.done("predict runs/m moons --device cpu"));
    let json = place.json("predict runs/m moons --device cpu");
    let predictions = json["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), csv.len() - 1);
    for (row, told) in csv[1..].iter().zip(predictions) {
        assert_eq!(row[0], told["prediction"].as_str().unwrap());
        let told: Vec<f64> = serde_json::from_value(told["probabilities"].clone()).unwrap();
        let row: Vec<f64> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(row, told);
    }
    place.done("predict runs/m moons --device cpu --json --output m.json");
    let written: Value = serde_json::from_slice(&fs::read(place.path("m.json")).unwrap()).unwrap();
    assert_eq!(written, json);
}

#[test]
fn help_tells_of_exit_codes_and_the_environment() {
    let help = Place::new().done("--help");
    for part in ["Exit codes:", "diverged", "WGPU_ADAPTER_NAME", "WGPU_BACKEND", "RUST_LOG"] {
        assert!(help.contains(part), "{help}");
    }
}

#[test]
fn man_pages_and_completions_cover_every_command() {
    let place = Place::new();
    place.done("man pages");
    let page = fs::read_to_string(place.path("pages/wgrad-train.1")).unwrap();
    assert!(page.contains("batch\\-size") && page.contains("PyTorch"), "{page}");
    let first = place.done("man");
    assert_eq!(first, fs::read_to_string(place.path("pages/wgrad.1")).unwrap());
    let commands: Vec<String> = fs::read_dir(place.path("pages"))
        .unwrap()
        .filter_map(|page| Some(page.unwrap().file_name().to_str()?.strip_prefix("wgrad-")?.into()))
        .collect();
    assert!(commands.len() >= 9, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.done(&format!("completions {shell}"));
        for command in &commands {
            let name = command.strip_suffix(".1").unwrap();
            assert!(script.contains(name), "{shell} lacks {name}");
        }
    }
}

/// Runs with a variable of the environment.
fn with(place: &Place, variable: (&str, &str), args: &str) -> (Option<i32>, String, String) {
    let output = place.command(args).env(variable.0, variable.1).output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn both_variables_turn_the_log_on() {
    let place = Place::new();
    assert_eq!(text(&place.run("adapters").stderr), "");
    for variable in ["RUST_LOG", "WGRAD_LOG"] {
        let (_, _, told) = with(&place, (variable, "wgpu_hal=debug,wgpu_core=debug"), "adapters");
        assert!(told.contains("DEBUG"), "{variable}: {told}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn wgpus_variables_choose_the_adapter() {
    let place = Place::new();
    let listed = place.json("adapters");
    let name = listed["adapters"][0]["name"].as_str().unwrap();
    let by_name = ("WGPU_ADAPTER_NAME", name);
    let (_, told, _) = with(&place, by_name, "adapters --json");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["auto"]["adapter"], &told["auto"]["engine"]), (&0.into(), &"gpu".into()));
    place.done("train moons --device cpu --epochs 1 --name m");
    // What is named is taken, software or not; what is typed wins.
    for (device, engine) in [("auto", "gpu"), ("gpu", "gpu"), ("cpu", "cpu")] {
        let args = format!("eval runs/m moons --json --device {device}");
        let (code, told, complaint) = with(&place, by_name, &args);
        assert_eq!(code, Some(0), "{complaint}");
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["engine"], engine);
    }

    for device in ["auto", "gpu"] {
        let args = format!("eval runs/m moons --device {device}");
        let (code, told, complaint) = with(&place, ("WGPU_ADAPTER_NAME", "abacus"), &args);
        assert_eq!((code, &*told), (Some(2), ""), "{complaint}");
        for part in ["WGPU_ADAPTER_NAME=abacus", "no adapter has \"abacus\"", name] {
            assert!(complaint.contains(part), "{complaint}");
        }
    }
    let elsewhere = if cfg!(windows) { "metal" } else { "dx12" };
    for (backend, parts) in [
        ("abacus", &["WGPU_BACKEND=abacus", "vulkan, metal, dx12 or gl"][..]),
        ("vulkan,", &["WGPU_BACKEND=vulkan,", "no backend \"\""]),
        (elsewhere, &["no GPU adapter found", "WGPU_BACKEND=", "leave it out"]),
    ] {
        let args = "eval runs/m moons --device gpu";
        let (code, told, complaint) = with(&place, ("WGPU_BACKEND", backend), args);
        assert_eq!((code, &*told), (Some(2), ""), "{complaint}");
        for part in parts {
            assert!(complaint.contains(part), "{complaint} lacks {part}");
        }
    }
}
