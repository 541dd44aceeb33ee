//! Drives `wgrad bench` as its users do. What is measured is never judged here, only told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::Place;

#[test]
fn the_cpu_is_measured_workload_by_workload() {
    let place = Place::new();
    let told = place.done("bench --device cpu --workload w1,W5 --seconds 0.05 --output r.svg");
    assert!(told.starts_with("CPU, "), "{told}");
    assert!(told.contains("FLOP/s of multiply-adds"), "{told}");
    let names: Vec<_> =
        told.lines().filter(|line| line.starts_with('W')).map(|line| &line[..2]).collect();
    assert_eq!(names, ["W1", "W5"], "{told}");
    assert!(!told.contains("NaN") && !told.contains('\x1b'), "{told:?}");
    let svg = fs::read_to_string(place.path("r.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("roofline") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn the_json_holds_what_the_table_shows() {
    let told = Place::new().json("bench --device cpu --workload W1 --seconds 0.05 --quiet");
    assert_eq!((&told["engine"], &told["software"]), (&"cpu".into(), &false.into()));
    let rows = told["workloads"].as_array().unwrap();
    let number = |name: &str| rows[0][name].as_f64().unwrap();
    assert_eq!((rows.len(), &rows[0]["workload"]), (1, &"W1".into()));
    assert_eq!(number("flops_per_step"), 26_181_632.0);
    assert!((number("samples_per_second") / number("steps_per_second") - 64.0).abs() < 1e-9);
    let peak = told["peak"]["flops_per_second"].as_f64().unwrap();
    assert!((number("of_peak") - number("flops_per_second") / peak).abs() < 1e-12);
    assert!(rows[0]["kernels"].is_null(), "{told}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_gpu_is_measured_dispatch_by_dispatch() {
    let place = Place::new();
    let told = place.json("bench --device gpu --workload W1 --seconds 0.01 --quiet --output r.svg");
    let row = &told["workloads"][0];
    let kernels = row["kernels"].as_array().unwrap();
    assert_eq!(
        row["dispatches_per_step"].as_f64(),
        u32::try_from(kernels.len()).ok().map(f64::from)
    );
    for kernel in kernels {
        assert!(kernel["seconds"].as_f64().unwrap() > 0.0, "{kernel}");
        assert!(kernel["of_roofline"].as_f64().unwrap() > 0.0, "{kernel}");
    }
    let svg = fs::read_to_string(place.path("r.svg")).unwrap();
    assert!(svg.contains("dispatches, one by one"), "{svg}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    for (args, parts) in [
        ("bench --workload W6", &["--workload", "W1, W2, W3, W4, W5"][..]),
        ("bench --seconds 0", &["--seconds", "above 0"]),
        ("bench --seconds nan", &["--seconds", "above 0"]),
        ("bench W1", &["W1"]),
        ("bench --output no/such/r.svg", &["no/such/r.svg", "its folder isn't there"]),
    ] {
        place.refused_with(args, parts);
    }
}
