//! Drives `wgrad find-lr` as its users do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;
use std::fs;

use common::place::{Place, text};

/// Standardised, both inputs of the loss's Hessian 2·[[E x², 0], [0, 1]] are 1, so λmax is 2 and gradient
/// descent is stable up to a learning rate of 2/λmax = 1. Half of the target's variance can't be learnt, so
/// the loss stays at 0.5 until it diverges.
fn quadratic(place: &Place) {
    let mut rows = String::from("x,y\n");
    for i in 0..64 {
        let (x, rest) = ([-1.0, 1.0][i & 1], [-1.0, 1.0][i >> 1 & 1]);
        writeln!(rows, "{x:.1},{:.2}", 1.25 * (x + rest)).unwrap();
    }
    place.write("t.csv", &rows);
}

const LINEAR: &str = "find-lr t.csv --task regression --layers none --optimizer sgd --loss mse \
                      --validation 0 --test 0 --batch-size 64 --device cpu --steps 1000";

#[test]
fn the_largest_stable_rate_of_a_quadratic_is_found() {
    let place = Place::new();
    quadratic(&place);
    let told = place.json(LINEAR);
    let number = |key: &str| told[key].as_f64().unwrap();
    // Behind 1 the error, which rounding keeps near 1e-8, first has to grow: at 1.016 times the rate a
    // step, by e^(0.016 k²) in k steps, that is at a rate of 1.7.
    assert!((1.0..2.0).contains(&number("low_up_to_lr")), "{}", number("low_up_to_lr"));
    assert!((0.1..=0.2).contains(&number("lr")), "{}", number("lr"));
    assert!((number("lowest_loss") - 0.5).abs() < 1e-3, "{}", number("lowest_loss"));
    assert_eq!(told["diverged"], true);
    let steps = told["steps"].as_array().unwrap();
    assert_eq!(steps[0]["lr"], 1e-6);
    assert!(steps.len() < 1000, "it ends where it has diverged");
    assert_eq!(place.json(LINEAR), told, "the same numbers twice");
}

#[test]
fn a_table_a_plot_and_a_picture_tell_the_rate_and_nothing_else_is_left() {
    let place = Place::new();
    let told = place.done("find-lr moons --layers 16 --device cpu --output lr.svg");
    assert!(told.contains("suggested  --lr 0.") && told.contains('│'), "{told}");
    assert!(!told.contains("NaN"), "{told}");
    let svg = fs::read_to_string(place.path("lr.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("suggested") && !svg.contains("NaN"), "{svg}");
    assert!(!place.path("runs").exists());
}

#[test]
fn flags_may_be_from_a_file() {
    let place = Place::new();
    place.write("run.toml", "[net]\nlayers = [16]\n[training]\nlr = 0.5\n");
    let typed = place.json("find-lr moons --layers 16 --device cpu");
    assert_eq!(place.json("find-lr moons --config run.toml --device cpu"), typed);
    // What the test itself decides makes no difference.
    let idle = "--lr 0.5 --schedule cosine --plateau patience=1 --early-stopping=1 --epochs 1";
    assert_eq!(place.json(&format!("find-lr moons --layers 16 --device cpu {idle}")), typed);
}

#[test]
fn a_net_that_is_trained_begins_where_it_is() {
    let place = Place::new();
    place.done("train moons --layers 16 --device cpu --epochs 20 --no-report --name a");
    let first = |flags: &str| {
        let told = place.json(&format!("find-lr moons --layers 16 --device cpu {flags}"));
        told["steps"][0]["loss"].as_f64().unwrap()
    };
    let (fresh, trained) = (first(""), first("--init-from runs/a"));
    assert!(trained < 0.8 * fresh, "{trained} and {fresh}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_gpu_finds_a_rate_too() {
    let told = Place::new().json("find-lr moons --layers 8 --device gpu");
    assert_eq!(told["engine"], "gpu");
    assert!(told["lr"].as_f64().unwrap() > 0.0, "{told}");
}

#[test]
fn where_no_rate_helps_it_says_so() {
    let place = Place::new();
    quadratic(&place);
    let told = place.done(&format!("{LINEAR} --to 2e-6"));
    assert!(told.contains("no learning rate from 1.000e-6 to 2.000e-6 lowers the loss"), "{told}");
    let told = place.json(&format!("{LINEAR} --to 2e-6"));
    assert!(told["lr"].is_null() && told["diverged"] == false, "{told}");
    let told = place.done(&format!("{LINEAR} --from 5 --to 10"));
    assert!(told.contains("lower --from"), "{told}");
}

#[test]
fn a_first_loss_that_is_no_number_fails() {
    let place = Place::new();
    place.write("t.csv", "x,y\n1e30,1.5\n-1e30,2.5\n2e30,3.5\n1e30,4.5\n-2e30,5.5\n3e30,0.5\n");
    let args =
        "find-lr t.csv --task regression --scaling none --test 0 --validation 0 --device cpu";
    let output = place.run(args);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("the very first loss"), "{message}");
}

/// Whatever a training would do about numbers that go wrong, the test ends there.
#[test]
fn a_policy_for_divergence_does_not_change_the_curve() {
    let place = Place::new();
    let curve = |flags: &str| {
        let sizes = "--layers 16 --optimizer sgd --from 1e-3 --to 1e35 --steps 24";
        place.json(&format!("find-lr digits --device cpu {sizes} {flags}"))
    };
    let plain = curve("");
    for policy in ["skip", "roll-back"] {
        assert_eq!(curve(&format!("--on-divergence {policy}")), plain, "{policy}");
    }
}
