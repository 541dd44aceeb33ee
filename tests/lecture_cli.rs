//! `wgrad lecture`, as users type it. What the studies find is tested where they are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::{Place, text};

#[test]
fn studies_are_listed_and_run() {
    let place = Place::new();
    let list = place.done("lecture --list");
    assert_eq!(list.lines().count(), 7, "{list}");
    let told = place.done("lecture momentum decay --output pictures");
    assert!(told.contains("momentum: how many steps"), "{told}");
    assert!(told.contains("SGD") && told.contains("Nesterov"), "{told}");
    for study in ["momentum", "decay"] {
        let svg = fs::read_to_string(place.path("pictures").join(format!("{study}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{study}");
    }
    assert!(!place.path("pictures/warmup.svg").exists());
    let json = place.json("lecture momentum");
    let rows = json["momentum"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 9);
    assert!(rows[0]["steps"].as_f64().unwrap() > 0.0);
}

#[test]
fn unknown_studies_are_refused() {
    let place = Place::new();
    let output = place.run("lecture moment");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("momentum"), "{}", text(&output.stderr));
    place.write("file", "");
    let output = place.run("lecture momentum --output file/x");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("file/x"));
}
