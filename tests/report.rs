//! `report.html`, as a browser shows it. Needs Chromium where pages are opened; without one, built with
//! `--cfg no_browser`, those tests show as ignored.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::place::{Place, table, text};

/// What a hostile table would like to put on the page.
const HOSTILE: &str = "</title></td><script>fetch('http://127.0.0.1:9/x')</script>";

/// The page as a browser has it after its scripts, and what it complained of.
fn opened(page: &Path) -> (String, String) {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let profile = tempfile::tempdir().unwrap();
    for name in names {
        let output = Command::new(name)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--enable-logging=stderr", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("file://{}", page.canonicalize().unwrap().display()))
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else { continue };
        let told = text(&output.stderr);
        assert!(output.status.success(), "{name}: {told}");
        let complaints: Vec<&str> = told.lines().filter(|line| line.contains("CONSOLE")).collect();
        return (text(&output.stdout), complaints.join("\n"));
    }
    panic!(
        "no browser among {}: install chromium, or leave these tests out \
         (RUSTFLAGS=\"--cfg no_browser\")",
        names.join(", ")
    );
}

/// Opens a run's report and checks what holds for all: it is whole, complains of nothing, fetches nothing, and
/// shows these pictures and texts.
#[track_caller]
fn shows(place: &Place, run: &str, pictures: &[&str], texts: &[&str]) -> String {
    let page = place.path("runs").join(run).join("report.html");
    let file = fs::read_to_string(&page).unwrap();
    assert!(file.starts_with("<!DOCTYPE html>") && file.ends_with("</html>\n"), "{run} is cut off");
    assert!(file.len() < 500_000, "{run}: {} bytes", file.len());
    let (dom, complaints) = opened(&page);
    // Whatever the page would fetch, its policy refuses, and the browser complains of that.
    assert_eq!(complaints, "", "{run}");
    for picture in pictures {
        let begin = format!("role=\"img\"><title>{picture}</title><desc>");
        assert!(dom.contains(&begin), "{run}: no {picture} in {dom}");
    }
    assert_eq!(dom.matches("<svg").count(), pictures.len(), "{run}: other pictures too: {dom}");
    for text in texts {
        assert!(dom.contains(text), "{run}: no {text:?} in {dom}");
    }
    assert!(!dom.contains("NaN"), "{run}");
    dom
}

#[test]
#[cfg_attr(no_browser, ignore = "built with --cfg no_browser")]
fn a_report_shows_what_a_classifier_does() {
    let place = Place::new();
    let told = place.json("train digits --device cpu --epochs 8 --insight-every 20 --name d");
    let pictures = [
        "Loss",
        "Validation accuracy",
        "Learning rate",
        "Norm of the gradient",
        "Update to weight",
        "Confusion of classes",
        "ROC and AUC: each class against the rest",
        "Precision, recall and AP: each class against the rest",
        "Importance: drop of accuracy, pixel by pixel",
        "Importance: drop of accuracy",
    ];
    let accuracy = format!("{:.2} %", 100.0 * told["test_accuracy"].as_f64().unwrap());
    // 37 of 359 rows are of the most frequent class.
    let dom = shows(&place, "d", &pictures, &[&accuracy, "10.31 %", "batch-size = 32", "8,320"]);
    for class in ["curve", "grid", "cell", "bar"] {
        assert!(dom.contains(&format!("class=\"{class}")), "nothing is a {class}");
    }
    // All that was printed is there for programs.
    let results = fs::read_to_string(place.path("runs/d/results.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&results).unwrap(), told);
}

#[test]
#[cfg_attr(no_browser, ignore = "built with --cfg no_browser")]
fn a_report_of_two_classes_has_a_curve_each() {
    let place = Place::new();
    for (name, loss) in [("one", "bce_with_logits"), ("two", "cross_entropy")] {
        let flags = "train moons --device cpu --epochs 3 --test 0 --layers 8";
        place.done(&format!("{flags} --loss {loss} --name {name}"));
        let pictures = [
            "Loss",
            "Validation accuracy",
            "Learning rate",
            "Confusion of classes",
            "ROC and AUC: upper",
            "Precision, recall and AP: upper",
            "Importance: drop of accuracy",
        ];
        let dom =
            shows(&place, name, &pictures, &["validation accuracy", "there are no test rows"]);
        assert!(!dom.contains(">–<"), "a class without an area: {dom}");
    }
}

#[test]
#[cfg_attr(no_browser, ignore = "built with --cfg no_browser")]
fn a_report_shows_what_a_regression_does() {
    let place = Place::new();
    let flags = "--device cpu --epochs 20";
    place.done(&format!("train {} {flags} --name d", table("diabetes.train.csv")));
    let pictures = [
        "Loss",
        "Validation R²",
        "Learning rate",
        "Predicted against true: progression",
        "Residuals: progression",
        "Residuals, how many: progression",
        "Importance: drop of R²",
    ];
    shows(&place, "d", &pictures, &["test R²", "RMSE", "always the mean", "bmi"]);
    // Five targets have pictures of the first four.
    let targets = "--target age,bmi,bp,s1,progression";
    place.done(&format!("train {} {flags} {targets} --name e", table("diabetes.train.csv")));
    let mut pictures = vec!["Loss", "Validation R²", "Learning rate", "Importance: drop of R²"];
    let of_targets: Vec<String> = ["Predicted against true", "Residuals", "Residuals, how many"]
        .iter()
        .flat_map(|picture| ["age", "bmi", "bp", "s1"].map(|name| format!("{picture}: {name}")))
        .collect();
    pictures.extend(of_targets.iter().map(String::as_str));
    shows(&place, "e", &pictures, &["RMSE of bp", "first 4 targets of 5"]);
}

#[test]
#[cfg_attr(no_browser, ignore = "built with --cfg no_browser")]
fn what_a_table_holds_is_text() {
    let place = Place::new();
    let quoted = HOSTILE.replace('"', "\"\"");
    let rows: String = (0..80).map(|i| format!("{i},{},\"{quoted}{}\"\n", i % 7, i / 40)).collect();
    place.write("b'&t.csv", &format!("\"{quoted}\",\"\"\"><img src=x>\",y\n{rows}"));
    place.done("train b'&t.csv --device cpu --epochs 2 --name h");
    let dom = shows(
        &place,
        "h",
        &[
            "Loss",
            "Validation accuracy",
            "Learning rate",
            "Confusion of classes",
            "ROC and AUC: &lt;/title&gt;&lt;/td&gt;&lt;script&gt;fetch('http://127.0.0.1:9/x')&lt;/script&gt;1",
            "Precision, recall and AP: \
             &lt;/title&gt;&lt;/td&gt;&lt;script&gt;fetch('http://127.0.0.1:9/x')&lt;/script&gt;1",
            "Importance: drop of accuracy",
        ],
        &["b'&amp;t.csv", "\"&gt;&lt;img src=x&gt;"],
    );
    assert_eq!(dom.matches("<script").count(), 1, "only our own");
    assert!(!dom.contains("<img") && !dom.contains("<b>"), "{dom}");
}

/// The pointer at a place of the first picture reads the values there off the curves.
#[test]
#[cfg_attr(no_browser, ignore = "built with --cfg no_browser")]
fn the_pointer_reads_values_off_the_curves() {
    let place = Place::new();
    place.done("train digits --device cpu --epochs 4 --optimizer sgd --schedule constant --lr 0.25 --name d");
    let page = fs::read_to_string(place.path("runs/d/report.html")).unwrap();
    let point = "<script>
        for (const svg of document.querySelectorAll('figure[data-x] svg')) {
            const box = svg.getBoundingClientRect();
            const at = { clientX: box.left + box.width * 0.97, clientY: box.top + box.height / 2 };
            svg.dispatchEvent(new PointerEvent('pointermove', at));
        }
        </script></body>";
    place.write("pointed.html", &page.replace("</body>", point));
    let (dom, complaints) = opened(&place.path("pointed.html"));
    assert_eq!(complaints, "");
    // The third picture is of the learning rate.
    let lr = dom.split("<title>Learning rate</title>").next().unwrap();
    assert!(lr.ends_with("role=\"img\">") && lr.contains("<output>0.25 at 4</output>"), "{lr}");
    let loss = dom.split("training<output>").nth(1).unwrap();
    let loss: f64 = loss.split(' ').next().unwrap().parse().unwrap();
    let metrics = fs::read_to_string(place.path("runs/d/metrics.csv")).unwrap();
    let last: f64 = metrics.lines().last().unwrap().split(',').nth(3).unwrap().parse().unwrap();
    assert!((loss / last - 1.0).abs() < 2e-3, "{loss} was shown, {last} is meant");
}

#[test]
fn a_report_can_be_written_again() {
    let place = Place::new();
    for (name, flags) in [
        ("tested", ""),
        ("validated", "--test 0"),
        ("blind", "--test 0 --validation 0"),
        ("diverged", "--optimizer sgd --lr 1e9"),
    ] {
        let run = place.run(&format!("train moons --device cpu --epochs 2 {flags} --name {name}"));
        assert_eq!(run.status.code(), Some(if name == "diverged" { 1 } else { 0 }), "{name}");
        let page = place.path("runs").join(name).join("report.html");
        let first = fs::read_to_string(&page).unwrap();
        fs::remove_file(&page).unwrap();
        let told = place.done(&format!("report runs/{name} --device cpu"));
        assert_eq!(Path::new(told.trim_end()), Path::new("runs").join(name).join("report.html"));
        assert!(fs::read_to_string(&page).unwrap() == first, "{name}: another page");
        for (what, of) in [
            ("Scored on validation rows", "validated"),
            ("all rows were learnt from", "blind"),
            ("This run failed: training diverged", "diverged"),
        ] {
            assert_eq!(first.contains(what), name == of, "{name}: {what}");
        }
    }
}

#[test]
fn without_its_table_a_run_still_has_a_report() {
    let place = Place::new();
    let rows: String = (0..40).map(|i| format!("{i},{}\n", i * i)).collect();
    place.write("t.csv", &format!("x,y\n{rows}"));
    place.done("train t.csv --device cpu --epochs 2 --name t --no-report");
    assert!(!place.path("runs/t/report.html").exists(), "nobody asked for one");
    fs::remove_file(place.path("t.csv")).unwrap();
    let output = place.run("report runs/t --device cpu");
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("warning: ") && text(&output.stderr).contains("t.csv"));
    let page = fs::read_to_string(place.path("runs/t/report.html")).unwrap();
    assert!(page.contains("Not scored: ") && page.contains("<title>Loss</title>"), "{page}");
    // A page that is there may hold what can't be had again.
    let output = place.run("report runs/t --device cpu");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("report.html stays as it is"), "{output:?}");
    let config = fs::read_to_string(place.path("runs/t/config.toml")).unwrap();
    assert!(config.contains("no-report = true"), "a run that goes on leaves it out too");

    let output = place.run("report runs/t --device abacus");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("abacus"), "{}", text(&output.stderr));
    fs::remove_file(place.path("runs/t/metrics.csv")).unwrap();
    for (run, code, part) in [("runs/none", 2, "no such folder"), ("runs/t", 1, "metrics.csv")] {
        let output = place.run(&format!("report {run}"));
        assert_eq!(output.status.code(), Some(code));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
}

/// A report that can't be written is a warning; the run is what counts.
#[test]
fn a_run_outlives_its_report() {
    let place = Place::new();
    let mut child = place
        .command("train digits --device cpu --epochs 200 --name f")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !place.path("runs/f").exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    fs::create_dir_all(place.path("runs/f/report.html/in the way")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("warning: ") && text(&output.stderr).contains("report.html")
    );
    wgrad::ModelFile::load(&place.path("runs/f/model.safetensors")).unwrap();
}
