//! The flags of `wgrad train` for layers, update rules and what is measured, as users type them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::{Place, rows, text};
use serde_json::Value;

/// The configuration of a run.
fn config(place: &Place, name: &str) -> toml::Table {
    fs::read_to_string(place.path("runs").join(name).join("config.toml")).unwrap().parse().unwrap()
}

#[test]
fn every_optimizer_learns_the_digits() {
    let place = Place::new();
    for optimizer in
        ["adagrad", "rmsprop", "adam", "amsgrad", "nadam", "lion", "sgd", "momentum", "nesterov"]
    {
        let told = place.json(&format!(
            "train digits --device cpu --epochs 10 --optimizer {optimizer} --name {optimizer}"
        ));
        let accuracy = told["test_accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.9, "{optimizer}: {accuracy}");
        assert_eq!(config(&place, optimizer)["training"]["optimizer"].as_str(), Some(optimizer));
    }
}

#[test]
fn layers_and_options_reach_the_run_and_its_config() {
    let place = Place::new();
    let flags = "train digits --device cpu --epochs 6 --layers 32,16 --norm batch --dropout 0.1 \
                 --optimizer adam --decay decoupled --weight-decay 0.5 --no-decay --clip-norm 1 \
                 --ema 0.9 --micro-batch 16 --class-weights balanced";
    place.done(&format!("{flags} --name a"));
    place.done(&format!("{flags} --name b"));
    let model = |name: &str| fs::read(place.path("runs").join(name).join("model.safetensors"));
    assert_eq!(model("a").unwrap(), model("b").unwrap(), "the same flags give another model");
    let config = config(&place, "a");
    let (net, training) = (&config["net"], &config["training"]);
    assert_eq!((net["norm"].as_str(), net["dropout"].as_float()), (Some("batch"), Some(0.1)));
    assert_eq!(training["decay"].as_str(), Some("decoupled"));
    assert_eq!(training["no-decay"].as_bool(), Some(true));
    assert_eq!(training["clip-norm"].as_float(), Some(1.0));
    assert_eq!(training["ema"].as_float(), Some(0.9));
    assert_eq!(training["micro-batch"].as_integer(), Some(16));
    // The weights that `balanced` came to, one per class.
    assert_eq!(training["class-weights"].as_str().unwrap().split(',').count(), 10);

    // Each flag makes another model.
    for flag in [
        "--norm batch",
        "--dropout 0.1",
        "--decay decoupled",
        "--no-decay",
        "--clip-norm 1",
        "--ema 0.9",
        "--class-weights balanced",
    ] {
        let without = flags.replace(flag, "");
        assert_ne!(without, flags, "{flag} isn't there to be left out");
        let name = flag.replace(['-', ' ', '.'], "");
        place.done(&format!("{without} --name {name}"));
        assert_ne!(model(&name).unwrap(), model("a").unwrap(), "{flag} changes nothing");
    }
    place.done(&format!("{flags} --encoding freq2 --name encoded"));
    assert_ne!(model("encoded").unwrap(), model("a").unwrap());
    place.done(&format!("{} --clip-value 0.001 --name value", flags.replace("--clip-norm 1", "")));
    assert_ne!(model("value").unwrap(), model("clipnorm1").unwrap());
}

/// What is saved is what was scored: the average.
#[test]
fn averaged_weights_are_scored_and_saved() {
    let place = Place::new();
    let told = place.json("train digits --device cpu --epochs 5 --ema 0.95 --norm batch --name e");
    let again = place.json("eval runs/e");
    for key in ["test_loss", "test_accuracy"] {
        let (a, b) = (told[key].as_f64().unwrap(), again[key].as_f64().unwrap());
        assert!((a - b).abs() <= 1e-6, "{key}: {a} when trained, {b} when loaded");
    }
    let raw = place.json("train digits --device cpu --epochs 5 --norm batch --name r");
    assert_ne!(raw["test_loss"], told["test_loss"]);
}

#[test]
fn early_stopping_ends_early_and_says_so() {
    let place = Place::new();
    let flags = "train digits --device cpu --optimizer adam --label-smoothing 0 --lr 0.01";
    let told = place.json(&format!("{flags} --early-stopping=3 --epochs 500 --name s"));
    let (epochs, best) = (told["epochs"].as_u64().unwrap(), told["best_epoch"].as_u64().unwrap());
    assert_eq!(epochs, best + 3);
    let metrics = fs::read_to_string(place.path("runs/s/metrics.csv")).unwrap();
    let losses: Vec<f64> = rows(&metrics)[1..].iter().map(|row| row[4].parse().unwrap()).collect();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[usize::try_from(best).unwrap() - 1], least);
    assert_eq!(losses.len() as u64, epochs);
    let text = place.done(&format!("{flags} --early-stopping=3 --epochs 500 --name t"));
    assert!(text.contains(&format!("stopped early; the best was epoch {best}")), "{text}");
    // What is told of the validation rows is of the net that was saved.
    let told = place.json(&format!("{flags} --early-stopping=3 --epochs 500 --name saved"));
    let best = told["best_epoch"].as_u64().unwrap();
    let metrics = rows(&fs::read_to_string(place.path("runs/saved/metrics.csv")).unwrap());
    let line = metrics.iter().find(|line| line[0] == best.to_string()).unwrap();
    assert_ne!(line, metrics.last().unwrap());
    assert_eq!(told["train_loss"].to_string(), line[3]);
    assert_eq!(told["validation_loss"].to_string(), line[4]);
    let by_score = format!("{flags} --early-stopping --stop-on score --epochs 500 --name u");
    assert!(place.json(&by_score)["best_epoch"].is_u64());
    // Without it there is no best epoch to tell.
    let plain = place.json(&format!("{flags} --epochs 1 --name v"));
    assert_eq!(plain["best_epoch"], Value::Null);
}

#[test]
fn a_time_budget_ends_in_good_order_and_goes_on() {
    let place = Place::new();
    let flags = "--device cpu --epochs 10000000 --time-budget 1s --insight-every 1000 --name t";
    let told = place.json(&format!("train moons {flags}"));
    assert_eq!((&told["time_up"], &told["interrupted"]), (&true.into(), &false.into()));
    let seconds = told["train_seconds"].as_f64().unwrap();
    assert!((0.9..20.0).contains(&seconds), "{seconds}");
    // Model, scores and metrics are of the same step.
    let evaluated = place.json("eval runs/t --device cpu");
    assert_eq!(evaluated["test_loss"], told["test_loss"]);
    let metrics =
        |place: &Place| rows(&fs::read_to_string(place.path("runs/t/metrics.csv")).unwrap());
    assert_eq!(metrics(&place).last().unwrap()[1], told["steps"].to_string());
    // The schedule is that of all epochs: it has hardly begun.
    let lr: f64 = metrics(&place).last().unwrap()[2].parse().unwrap();
    assert!(lr > 0.99 * 3e-3, "{lr}");

    // For as long again.
    let output = place.run("train --resume runs/t");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    for part in ["going on after step", "the time is up; the model is saved", "--resume runs/t"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    let result = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(result.contains("until the time was up in epoch"), "{result}");
    let steps: u64 = metrics(&place).last().unwrap()[1].parse().unwrap();
    assert!(steps > told["steps"].as_u64().unwrap());

    // Time that isn't needed changes nothing.
    place.done("train moons --device cpu --epochs 2 --time-budget 1h --name a");
    place.done("train moons --device cpu --epochs 2 --name b");
    let model = |name: &str| fs::read(place.path("runs").join(name).join("model.safetensors"));
    assert_eq!(model("a").unwrap(), model("b").unwrap());
    place.reproduce("runs/a");
}

#[test]
fn what_is_probably_not_intended_is_warned_of() {
    let place = Place::new();
    let rows = |number: &dyn Fn(usize) -> usize, name: &str| {
        let row = |i| format!("{},{},{}\n", number(i), (i * 7) % 11, i % 2);
        format!("{name},x,y\n{}", (0..40).map(row).collect::<String>())
    };
    place.write("counted.csv", &rows(&|i| i + 100, "id"));
    place.write("mixed.csv", &rows(&|i| i * 7 % 40, "id"));
    place.write("renamed.csv", &rows(&|i| i * 7 % 40, "size"));
    let weighed = (0..40).map(|i| format!("{}.5 kg,{},{}\n", i % 9 + 1, (i * 7) % 11, i % 2));
    place.write("weighed.csv", &format!("weight,x,y\n{}", weighed.collect::<String>()));
    let coded = (0..40).map(|i| format!("{:03},{},{}\n", i * 7 % 40, (i * 7) % 11, i % 2));
    place.write("coded.csv", &format!("zip,x,y\n{}", coded.collect::<String>()));
    place.write("classes.csv", &rows(&|i| i * 7 % 40, "id").replace(",1\n", ",2\n"));
    let told = |args: &str| {
        let output = place.run(&format!("train {args} --device cpu --no-report --epochs 2"));
        let told = text(&output.stderr);
        assert!(output.status.success(), "{args}: {told}");
        told
    };
    let silent = told("mixed.csv --name plain");
    assert!(!silent.contains("warning"), "{silent}");
    for (args, warning) in [
        (
            "counted.csv",
            "the column `id` counts the rows; if it is no more than their number, leave it out",
        ),
        (
            "weighed.csv",
            "the column `weight` is taken for words, as `1.5 kg`; if they are numbers, write",
        ),
        (
            "coded.csv",
            "the column `zip` has numbers with zeros in front; if these are codes, say so",
        ),
        ("classes.csv --init-from runs/plain", "answered `1` where this one is to answer `2`"),
        ("mixed.csv --image-size 8x8", "--image-size resizes images, and this table"),
        ("mixed.csv --tune cached", "--tune measures kernels of a GPU, and this is the CPU"),
        ("mixed.csv --plateau plateau:patience=1 --validation 0", "there are none to validate on"),
        ("mixed.csv --schedule warmup:9e+cosine", "leave none for `cosine`"),
        ("renamed.csv --init-from runs/plain", "read the column `id` where this table has `size`"),
    ] {
        let told = told(args);
        let warnings: Vec<&str> =
            told.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(warning), "{args}: {warnings:?}");
    }
    let ignored = told("counted.csv --ignore id");
    assert!(!ignored.contains("warning"), "{ignored}");
}

#[test]
fn cross_validation_scores_every_row_once() {
    let place = Place::new();
    let iris = common::place::table("iris.train.csv");
    let flags = format!("train {iris} --device cpu --epochs 60 --seed 3");
    let told = place.json(&format!("{flags} --folds 5"));
    let folds = told["folds"].as_array().unwrap();
    assert_eq!(folds.len(), 5);
    assert_eq!(folds.iter().map(|fold| fold["test_rows"].as_u64().unwrap()).sum::<u64>(), 112);
    for name in ["test_loss", "test_accuracy"] {
        let scores: Vec<f64> = folds.iter().map(|fold| fold[name].as_f64().unwrap()).collect();
        let mean = scores.iter().sum::<f64>() / 5.0;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        assert!((told["mean"][name].as_f64().unwrap() - mean).abs() < 1e-12, "{told}");
        let deviation = told["standard_deviation"][name].as_f64().unwrap();
        assert!((deviation - (squares / 4.0).sqrt()).abs() < 1e-12, "{told}");
    }
    assert!(told["mean"]["test_accuracy"].as_f64().unwrap() > 0.9, "{told}");
    assert_eq!(told, place.json(&format!("{flags} --folds 5")), "the same seed scores otherwise");
    let text = place.done(&format!("{flags} --folds 5"));
    assert!(text.contains("test accuracy") && text.contains(" ± "), "{text}");
    place.write("run.toml", "[training]\ntime-budget = \"1s\"\n");
    let refused = "train moons --config run.toml --folds 2 --device cpu --epochs 1";
    place.refused_with(refused, &["--folds has no time budget", "--without time-budget"]);
    place.done(&format!("{refused} --without time-budget"));
    let r2 = place.done("train sdf --folds 2 --device cpu --epochs 1");
    assert!(r2.contains("test R²"), "{r2}");
    assert!(!place.path("runs").exists(), "a model was kept");
    // Folds are trained as a run is: the average of the weights is what is scored, which has nothing of the
    // initial ones, however short the run; and early stopping ends them.
    let loss = |flags: &str| {
        let told = place.json(&format!("train moons --folds 2 --device cpu --epochs 30 {flags}"));
        told["mean"]["test_loss"].as_f64().unwrap()
    };
    let plain = loss("");
    let averaged = loss("--ema 0.9999");
    assert!(averaged > plain + 1e-3 && averaged < plain + 0.1, "{averaged}, {plain} without");
    assert!((loss("--early-stopping=1 --lr 0.1") - loss("--lr 0.1")).abs() > 1e-6);
    // In a file too; what is typed overrules what can't stand beside it.
    place.write("f.toml", "[data]\nsource = \"moons\"\ntest = 0.3\n[run]\nname = \"x\"\n");
    let told = place.json("train --config f.toml --folds 2 --device cpu --epochs 1");
    assert_eq!(told["folds"].as_array().unwrap().len(), 2);
}

#[test]
fn insights_leave_a_table_columns_and_a_picture() {
    let place = Place::new();
    let flags = "train digits --device cpu --epochs 2 --optimizer adam --weight-decay 0.01 \
                 --layers 32 --norm layer --dropout 0.2";
    place.done(&format!("{flags} --insight-every 10 --name i"));
    let read = |file: &str| fs::read_to_string(place.path("runs/i").join(file)).unwrap();
    let table = rows(&read("insights.csv"));
    assert_eq!(table[0].len(), 15);
    // 80 steps, eight measured, of six tensors.
    assert_eq!(table.len(), 1 + 8 * 6);
    let column = |name: &str| table[0].iter().position(|head| head == name).unwrap();
    for row in &table[1..] {
        for name in ["weight_norm", "gradient_norm", "update_norm", "effective_step_median"] {
            let value: f64 = row[column(name)].parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{name}: {row:?}");
        }
        // Adam with L2: each weight decays by its own coefficient.
        let p10: f64 = row[column("decay_p10")].parse().unwrap();
        let p90: f64 = row[column("decay_p90")].parse().unwrap();
        assert!(p10 <= p90, "{row:?}");
        // The ReLU stands behind the norm, layer 1.
        assert_eq!(!row[column("dead_units")].is_empty(), row[1] == "1.weight", "{row:?}");
    }
    let metrics = rows(&read("metrics.csv"));
    assert_eq!(metrics[0][7..], ["gradient_norm", "update_ratio", "effective_step", "dead_units"]);
    assert!(metrics[1..].iter().all(|row| row[7..].iter().all(|x| x.parse::<f64>().is_ok())));
    let svg = read("insights.svg");
    assert!(svg.starts_with("<svg") && !svg.contains("NaN"));

    place.done(&format!("{flags} --name plain"));
    let plain = fs::read_to_string(place.path("runs/plain/metrics.csv")).unwrap();
    assert_eq!(rows(&plain)[0].len(), 7, "columns that nobody asked for");
    assert!(!place.path("runs/plain/insights.csv").exists());
}

/// y = x in rows that count, y = −x in rows that don't.
#[test]
fn rows_count_by_their_weight() {
    let place = Place::new();
    let mut csv = String::from("x,w,y\n");
    for i in 0..200 {
        let (x, lies) = (f64::from(i) / 100.0 - 1.0, i % 3 == 0);
        csv += &format!("{x},{},{}\n", if lies { 0 } else { 2 }, if lies { -x } else { x });
    }
    place.write("t.csv", &csv);
    let flags = "train t.csv --device cpu --layers none --epochs 40 --lr 0.05 --weight-decay 0";
    let told = place.json(&format!("{flags} --weights w --name w"));
    assert!(told["test_loss"].as_f64().unwrap() < 1e-3, "{told}");
    let config = config(&place, "w");
    assert_eq!(config["data"]["weights"].as_str(), Some("w"));
    // Scored again, the rows count as they did; the net reads x alone.
    let again = place.json("eval runs/w");
    let close =
        |key: &str| (told[key].as_f64().unwrap() - again[key].as_f64().unwrap()).abs() < 1e-6;
    assert!(close("test_loss"), "{told} {again}");
    place.write("new.csv", "x\n0.5\n");
    let predicted: f64 = rows(&place.done("predict runs/w new.csv"))[1][0].parse().unwrap();
    assert!((predicted - 0.5).abs() < 0.05, "{predicted}");

    // What rows without weight hold sets no scale.
    let far = csv.lines().map(|line| match line.split(',').collect::<Vec<_>>()[..] {
        [x, "0", _] => format!("{x},0,99999\n"),
        _ => format!("{line}\n"),
    });
    place.write("far.csv", &far.collect::<String>());
    place.done(&flags.replace("t.csv", "far.csv --weights w --name far"));
    let far: Value = serde_json::from_str(&place.done("export runs/far --format json")).unwrap();
    let offset = far.pointer("/schema/target/values/columns/0/offset").unwrap().as_f64().unwrap();
    assert!(offset.abs() < 1.0, "{offset}");

    place.write("bad.csv", &csv.replacen(",2,", ",-2,", 1));
    fs::remove_dir_all(place.path("runs")).unwrap();
    place.refused_with(
        &flags.replace("t.csv", "bad.csv --weights w"),
        &["--weights w", "is -2, but must be finite and not negative"],
    );
    place.refused_with(&format!("{flags} --weights v"), &["v"]);
}

/// A diverged run is told as JSON too, with what is known.
#[test]
fn divergence_is_told_as_json() {
    let place = Place::new();
    let output = place.run("train digits --device cpu --optimizer sgd --lr 1e9 --json --name d");
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["diverged"].as_str().unwrap().contains("the loss of step"), "{told}");
    assert_eq!(told["test_loss"], Value::Null);
    assert!(place.path("runs/d/model.safetensors").exists());
}

/// What a table's cells hold never reaches the terminal as commands.
#[test]
fn control_characters_are_shown_not_sent() {
    let place = Place::new();
    let rows: String =
        (0..60).map(|i| format!("{i},{}\n", if i < 30 { "a\u{1b}[31mb" } else { "c" })).collect();
    place.write("t.csv", &format!("x,y\n{rows}"));
    let output = place.run("train t.csv --device cpu --epochs 2");
    assert!(output.status.success());
    for stream in [&output.stdout, &output.stderr] {
        assert!(!stream.contains(&0x1b), "{}", String::from_utf8_lossy(stream));
    }
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("a\\u{1b}[31mb"), "{told}");
}

/// A folder that can't be written any more costs the files, not the scores.
#[test]
#[cfg(unix)]
fn scores_are_told_even_if_nothing_can_be_written() {
    let place = Place::new();
    // The model's place is taken by a folder.
    let mut child = place
        .command("train digits --device cpu --epochs 300 --name f")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let model = place.path("runs/f/model.safetensors");
    while !place.path("runs/f").exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    fs::create_dir_all(model.join("in the way")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("test accuracy"), "{told}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("model.safetensors"));
}

/// A learning rate that is far too high, and what each policy makes of it.
#[test]
fn runs_that_diverge_stop_skip_or_roll_back() {
    let place = Place::new();
    let run = |policy: &str| {
        let flags =
            "train digits --device cpu --optimizer sgd --lr 30 --layers 16 --epochs 4 --no-report";
        let output = place.run(&format!("{flags} --on-divergence {policy} --name {policy}"));
        (output.status.code(), text(&output.stderr))
    };
    for policy in ["stop", "skip"] {
        let (code, told) = run(policy);
        assert_eq!(code, Some(1), "{told}");
        let message = "or its gradient isn't finite (lower the learning rate";
        assert!(told.contains("training diverged") && told.contains(message), "{told}");
    }
    let (code, told) = run("roll-back");
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("; back to the end of epoch 0, with 0.5 times the learning rates"),
        "{told}"
    );
    let metrics = fs::read_to_string(place.path("runs/roll-back/metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 1 + 4, "{metrics}");
    place.reproduce("runs/roll-back");
    Place::new().refused_with("train digits --on-divergence rollback", &["roll-back"]);
}

/// Variants that were measured are remembered by net, and a run is made again with them.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn measured_variants_are_remembered() {
    let place = Place::new();
    let remembered = || fs::read_to_string(place.path("cache/tunings.json")).unwrap();
    let run = "train digits --device gpu --layers 12 --epochs 1 --no-report --quiet";
    place.done(&format!("{run} --name plain"));
    assert!(!place.path("cache").exists(), "--tune is off by default");
    place.done(&format!("{run} --tune cached --name first"));
    let tunings: Value = serde_json::from_str(&remembered()).unwrap();
    let (key, tuning) = tunings.as_object().unwrap().iter().next().unwrap();
    assert!(key.contains("64-12-relu-10") && key.ends_with("32 rows"), "{key}");
    assert!(tuning["products"].is_array(), "{tuning}");
    place.reproduce("runs/first");

    // A tuning that was never measured here, to see that it is taken: slices, which no rule makes here.
    let product = r#"{"orientation":"backward_weight","rows":12,"columns":65,"depth":32}"#;
    let variant = r#"{"form":"direct","slices":2}"#;
    let text = format!(
        r#"{{{}:{{"products":[[{product},{variant}]],"fused":null}}}}"#,
        Value::from(&**key)
    );
    place.write("cache/tunings.json", &text);
    place.done(&format!("{run} --tune cached --checkpoint-every 7 --name second"));
    let kept = fs::read_to_string(place.path("runs/second/tuning.json")).unwrap();
    assert!(kept.contains("\"slices\": 2"), "{kept}");
    place.write("cache/tunings.json", "not json");
    place.reproduce("runs/second");
    place.done(&format!("{run} --tune full --name third"));
    assert!(remembered().contains("64-12-relu-10"), "a broken file is written anew");
    Place::new().refused_with("train digits --tune on", &["cached"]);
}

/// f16 is checked first, reaches the configuration, makes the same run twice and a net that the CPU agrees
/// with.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn mixed_precision_trains_nets_for_any_engine() {
    let place = Place::new();
    let flags = "train digits --device gpu --precision mixed --epochs 5 --layers 32 --no-report";
    let told = text(&place.run(&format!("{flags} --name a")).stderr);
    assert!(told.contains("f16 checked on this device: 5 small trainings"), "{told}");
    assert_eq!(config(&place, "a")["training"]["precision"].as_str(), Some("mixed"));
    place.done("train --config runs/a/config.toml --name b --no-report");
    place.done(&flags.replace("mixed", "f32 --name c"));
    let model = |name: &str| fs::read(place.path("runs").join(name).join("model.safetensors"));
    assert_eq!(model("a").unwrap(), model("b").unwrap(), "the same run gives another model");
    assert_ne!(model("a").unwrap(), model("c").unwrap(), "f16 made no difference");
    let accuracy = place.json("eval runs/a/model.safetensors digits --device cpu")["test_accuracy"]
        .as_f64()
        .unwrap_or(f64::NAN);
    assert!(accuracy > 0.85, "{accuracy}");
}
