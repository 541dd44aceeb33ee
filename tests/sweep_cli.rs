//! Drives `wgrad sweep` as its users do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::place::{Place, rows, text};
use serde_json::Value;

const GRID: &str = "[net]\nlayers = [[16], \"none\", [16, 8]]\n\
                    [training]\nlr = { min = 1e-3, max = 1e-1, log = true, steps = 3 }\nepochs = 3\n\
                    [run]\ndevice = \"cpu\"\nno-report = true\n";

/// Everything with a memory, and 12 trials of which 4, 2 and 1 go on.
const HALVING: &str = "[net]\nnorm = \"batch\"\ndropout = [0, 0.1, 0.2]\nlayers = [32]\n\
                       [training]\nlr = { min = 1e-4, max = 0.3, log = true }\nema = 0.9\n\
                       optimizer = [\"adam\", \"nesterov\"]\nplateau = \"patience=1\"\nepochs = 12\n\
                       [run]\ndevice = \"cpu\"\nno-report = true\n\
                       [sweep]\nmethod = \"halving\"\ntrials = 12\nfactor = 2\nmin-epochs = 2\n";

fn model(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model.safetensors")).unwrap()
}

/// Columns of `results.csv`, without the seconds.
fn results(place: &Place, sweep: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(place.path(sweep).join("results.csv")).unwrap();
    let mut rows = rows(&text);
    let seconds = rows[0].iter().position(|name| name == "seconds").unwrap();
    rows.iter_mut().for_each(|row| drop(row.remove(seconds)));
    rows
}

/// The validation loss after each epoch of a trial.
fn losses(folder: &Path) -> Vec<f64> {
    let lines = rows(&fs::read_to_string(folder.join("metrics.csv")).unwrap());
    lines[1..].iter().map(|line| line[4].parse().unwrap()).collect()
}

/// Values of a key, as `--list` tells them.
fn listed(place: &Place, args: &str, key: &str) -> Vec<Value> {
    let told = place.json(&format!("sweep {args} --list"));
    let trials = told["trials"].as_array().unwrap();
    trials.iter().map(|trial| trial["settings"][key].clone()).collect()
}

#[test]
fn a_grid_trains_every_combination_and_ranks_them() {
    let place = Place::new();
    place.write("grid.toml", GRID);
    let told = place.done("sweep grid.toml");
    let lines: Vec<&str> = told.lines().collect();
    let head: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(
        head,
        ["trial", "layers", "lr", "validation", "loss", "accuracy", "trained", "time"]
    );
    let results = results(&place, "runs/grid");
    assert_eq!(results.len(), 1 + 9, "{told}");
    assert_eq!(results[0][5..], ["layers", "lr"]);
    let losses: Vec<f64> = results[1..].iter().map(|row| row[3].parse().unwrap()).collect();
    assert!(losses.is_sorted(), "{losses:?}");
    // The table has the same order, and says how to make the best again.
    let best = &results[1][0];
    assert!(lines[1].starts_with(best.as_str()), "{told}");
    assert!(told.contains(&format!("wgrad train --config runs/grid/{best}\n")), "{told}");
    // All combinations, each the training that its flags mean.
    let mut combinations: Vec<_> = results[1..].iter().map(|row| row[5..].to_vec()).collect();
    combinations.sort();
    combinations.dedup();
    assert_eq!(combinations.len(), 9);
    for row in &results[1..] {
        let run = place.path("runs/grid").join(&row[0]);
        let (layers, lr) = (&row[5], &row[6]);
        place.done(&format!(
            "train --device cpu --epochs 3 --no-report --layers {layers} --lr {lr} --runs plain --name {}",
            row[0]
        ));
        assert!(model(&run) == model(&place.path("plain").join(&row[0])), "{row:?}");
    }
    let mut rates: Vec<&str> = results[1..].iter().map(|row| &*row[6]).collect();
    rates.sort_unstable();
    rates.dedup();
    assert_eq!(rates, ["0.001", "0.01", "0.1"]);
    place.reproduce(&format!("runs/grid/{best}"));
    // Trials are runs like any other.
    let compared = place.done("compare runs/grid/trial-001 runs/grid/trial-009");
    assert!(compared.contains("layers") && compared.contains("16,8"), "{compared}");
    place.done("predict runs/grid/trial-005 digits");
    place.done("report runs/grid/trial-005 --device cpu");
    let svg = fs::read_to_string(place.path("runs/grid/sweep.svg")).unwrap();
    assert!(svg.starts_with("<svg") && !svg.contains("NaN") && svg.contains("layers"), "{svg}");

    // What is done isn't done again.
    let written = |place: &Place| {
        let models =
            (1..=9).map(|k| place.path(&format!("runs/grid/trial-00{k}/model.safetensors")));
        models.map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect::<Vec<_>>()
    };
    let before = written(&place);
    let again = place.json("sweep grid.toml");
    assert_eq!(written(&place), before);
    assert_eq!(again["best"], format!("runs/grid/{best}"));
    assert_eq!(again["trials"].as_array().unwrap().len(), 9);
    assert_eq!(again["interrupted"], false);
}

#[test]
fn draws_depend_on_seed_and_key_alone() {
    let place = Place::new();
    let training = "[training]\nlr = { min = 1e-4, max = 1, log = true }\n";
    let sweep = "[sweep]\nmethod = \"random\"\ntrials = 8\n";
    place.write("a.toml", &format!("{training}batch-size = {{ min = 8, max = 64 }}\n{sweep}"));
    place.write(
        "b.toml",
        "[sweep]\ntrials = 8\nmethod = \"random\"\n[training]\nbatch-size = { max = 64, min = 8 }\n\
         lr = { log = true, max = 1, min = 1e-4 }\n[net]\ndropout = [0, 0.5]\n",
    );
    let lr = listed(&place, "a.toml", "lr");
    assert_eq!(lr.len(), 8);
    assert_eq!(listed(&place, "a.toml", "lr"), lr);
    assert_eq!(listed(&place, "b.toml", "lr"), lr, "the order of keys, or another, changes draws");
    assert_eq!(listed(&place, "a.toml --trials 12", "lr")[..8], lr);
    let other = listed(&place, "a.toml --seed 1", "lr");
    assert!(lr.iter().zip(&other).all(|(a, b)| a != b), "{lr:?} {other:?}");
    assert!(lr.iter().all(|lr| (1e-4..=1.0).contains(&lr.as_f64().unwrap())), "{lr:?}");
    let sizes = listed(&place, "a.toml", "batch-size");
    assert!(sizes.iter().all(|size| (8..=64).contains(&size.as_u64().unwrap())), "{sizes:?}");
    assert!(!place.path("runs").exists(), "--list begins something");
}

/// The trials with at least so many epochs.
fn trained(place: &Place, sweep: &str, trials: usize, epochs: usize) -> Vec<usize> {
    let folder = |trial: usize| place.path(sweep).join(format!("trial-{trial:03}"));
    (1..=trials).filter(|&trial| losses(&folder(trial)).len() >= epochs).collect()
}

#[test]
fn halving_promotes_the_best_which_go_on_to_the_same_bits() {
    let place = Place::new();
    place.write("h.toml", HALVING);
    place.done("sweep h.toml");
    let folder = |trial: usize| place.path("runs/h").join(format!("trial-{trial:03}"));
    let rungs = [(12, 2), (6, 4), (3, 8), (1, 12)];
    for (rung, &(trials, epochs)) in rungs.iter().enumerate() {
        let field = trained(&place, "runs/h", 12, epochs);
        assert_eq!(field.len(), trials, "rung {rung}: {field:?}");
        let Some(&(promoted, more)) = rungs.get(rung + 1) else { continue };
        let mut ranked = field.clone();
        let loss = |trial: &usize| losses(&folder(*trial))[epochs - 1];
        ranked.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
        let mut best = ranked[..promoted].to_vec();
        best.sort_unstable();
        assert_eq!(trained(&place, "runs/h", 12, more), best, "rung {rung}");
        assert!(field.iter().all(|t| best.contains(t) || losses(&folder(*t)).len() == epochs));
    }
    // The last rung's trial is first, whatever others had lost less after fewer epochs.
    let results = results(&place, "runs/h");
    let winner = trained(&place, "runs/h", 12, 12)[0];
    assert_eq!((&*results[1][0], &*results[1][1]), (&*format!("trial-{winner:03}"), "complete"));
    assert!(results[2..].iter().all(|row| row[1] == "paused"), "{results:?}");
    // It paused three times, and is what it would be without.
    place.reproduce(&format!("runs/h/trial-{winner:03}"));
    assert_eq!(losses(&folder(winner)), losses_of_again(&place, winner));
    // One that was left behind can still go on, and is what it would be.
    let left = (1..=12).find(|&trial| losses(&folder(trial)).len() == 2).unwrap();
    place.done(&format!("train --resume runs/h/trial-{left:03}"));
    place.reproduce(&format!("runs/h/trial-{left:03}"));
}

/// The losses of a trial that is made again without a pause.
fn losses_of_again(place: &Place, trial: usize) -> Vec<f64> {
    place.done(&format!("train --config runs/h/trial-{trial:03} --no-report --name unbroken"));
    losses(&place.path("runs/unbroken"))
}

fn spawn(place: &Place, args: &str) -> Child {
    let mut command = place.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a file is there, or the process has ended; whether it is still running.
fn runs_until(child: &mut Child, path: &Path) -> bool {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// Leaves a file in each folder whose trial can go on.
fn mark(place: &Place) {
    for trial in 1..=12 {
        let folder = place.path(&format!("runs/cut/trial-{trial:03}"));
        if folder.join("checkpoint.safetensors").exists() {
            fs::write(folder.join("mark"), "").unwrap();
        }
    }
}

/// The trials in whose folders it still is.
fn marks(place: &Place) -> Vec<usize> {
    let marked = |trial: &usize| place.path(&format!("runs/cut/trial-{trial:03}/mark")).exists();
    (1..=12).filter(marked).collect()
}

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_the_same() {
    let place = Place::new();
    // Reports too, and checkpoints within epochs, which differ from those of rungs.
    let file = HALVING.replace("no-report = true", "checkpoint-every = 7");
    place.write("whole.toml", &file).write("cut.toml", &file);
    place.done("sweep whole.toml --quiet");
    let mut kills = 0;
    // In the first rung, where the second trial of a rung is under way, in every rung, and at the end.
    for (trial, behind) in [(1, 0), (2, 3), (5, 9), (9, 1), (12, 14), (12, 45), (12, 80)] {
        let mut child = spawn(&place, "sweep cut.toml --quiet");
        let begun = place.path(&format!("runs/cut/trial-{trial:03}/metrics.csv"));
        if runs_until(&mut child, &begun) {
            std::thread::sleep(Duration::from_millis(behind));
            child.kill().unwrap();
        }
        kills += usize::from(!child.wait().unwrap().success());
        mark(&place);
    }
    assert!(kills >= 3, "only {kills} kills");
    let marked = marks(&place);
    assert!(!marked.is_empty(), "no trial had a checkpoint");
    place.done("sweep cut.toml --quiet");
    assert_eq!(marks(&place), marked, "a trial with a checkpoint began again");
    assert_eq!(results(&place, "runs/cut"), results(&place, "runs/whole"));
    for trial in 1..=12 {
        let [whole, cut] = ["whole", "cut"]
            .map(|sweep| place.path("runs").join(format!("{sweep}/trial-{trial:03}")));
        assert!(model(&whole) == model(&cut), "the models of trial {trial} differ, {kills} kills");
        assert_eq!(losses(&whole), losses(&cut), "trial {trial}");
    }
    let svg = |name: &str| {
        let svg = fs::read_to_string(place.path("runs").join(name).join("sweep.svg")).unwrap();
        svg.replace(name, "")
    };
    assert!(svg("cut") == svg("whole"), "the pictures differ");
    let best = place.path("runs/cut").join(&results(&place, "runs/cut")[1][0]);
    assert!(best.join("report.html").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_in_good_order_and_the_same_command_goes_on() {
    let place = Place::new();
    let long = GRID.replace("epochs = 3", "epochs = 200");
    place.write("long.toml", &long).write("whole.toml", &long);
    let mut child = spawn(&place, "sweep long.toml --json");
    assert!(runs_until(&mut child, &place.path("runs/long/trial-003/metrics.csv")), "too fast");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["interrupted"], true);
    let done = told["trials"].as_array().unwrap().len();
    assert!((2..9).contains(&done), "{told}");
    let last = place.path(&format!("runs/long/trial-{:03}", done + 1));
    assert!(last.join("checkpoint.safetensors").exists(), "{told}");
    let table = place.done("sweep long.toml");
    assert_eq!(table.lines().filter(|line| line.starts_with("trial-")).count(), 9, "{table}");
    place.done("sweep whole.toml --quiet");
    assert_eq!(results(&place, "runs/long"), results(&place, "runs/whole"));
}

#[test]
fn divergence_is_a_result() {
    let place = Place::new();
    let file = |rates: &str, more: &str| {
        format!(
            "[training]\noptimizer = \"sgd\"\nlr = {rates}\nepochs = 9\n[run]\ndevice = \"cpu\"\n\
             no-report = true\n{more}"
        )
    };
    place.write("d.toml", &file("[1e9, 0.1, 1e8, 0.01]", ""));
    let told = place.json("sweep d.toml");
    let outcomes: Vec<(&str, &str)> = told["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| (trial["trial"].as_str().unwrap(), trial["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(outcomes.len(), 4);
    assert_eq!(outcomes[..2], [("trial-002", "complete"), ("trial-004", "complete")]);
    for (place, trial) in [(2, "trial-001"), (3, "trial-003")] {
        assert_eq!(outcomes[place].0, trial);
        assert!(outcomes[place].1.starts_with("training diverged"), "{outcomes:?}");
    }
    assert_eq!(told["trials"][3]["validation_loss"], Value::Null);
    let table = place.done("sweep d.toml");
    assert!(table.lines().nth(4).unwrap().contains("diverged"), "{table}");

    // None is promoted in place of a worse one, nor is it one of the best for want of others.
    let halving = "[sweep]\nmethod = \"halving\"\ntrials = 4\nfactor = 2\n";
    place.write("h.toml", &file("[1e9, 0.1, 1e8, 1e7]", halving));
    let told = place.json("sweep h.toml");
    let epochs: Vec<u64> =
        told["trials"].as_array().unwrap().iter().map(|t| t["epochs"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [9, 0, 0, 0], "{told}");

    place.write("all.toml", &file("[1e9, 1e8]", ""));
    let output = place.run("sweep all.toml --json");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("all trials diverged (lower the learning rates"));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["best"], Value::Null);
}

/// Early stopping goes back to the best epoch; that is what ranks a trial, now and when it is looked at again.
#[test]
fn the_net_that_is_kept_ranks_a_trial() {
    let place = Place::new();
    place.write(
        "e.toml",
        "[net]\nlayers = [[16], [128]]\n[training]\noptimizer = \"adam\"\nlabel-smoothing = 0\n\
         lr = [0.01, 0.03]\nepochs = 200\nearly-stopping = 2\n[run]\ndevice = \"cpu\"\n\
         no-report = true\n[sweep]\nmethod = \"halving\"\ntrials = 4\nfactor = 2\nmin-epochs = 4\n",
    );
    let told = place.json("sweep e.toml");
    let best = &told["trials"][0];
    let run = place.path(best["run"].as_str().unwrap());
    let least = losses(&run).into_iter().fold(f64::INFINITY, f64::min);
    assert_eq!(best["validation_loss"].as_f64(), Some(least), "{told}");
    assert!(losses(&run).last().unwrap() > &least);
    let before = results(&place, "runs/e");
    place.done("sweep e.toml");
    assert_eq!(results(&place, "runs/e"), before);
}

#[test]
fn the_score_ranks_where_it_is_asked_to() {
    let place = Place::new();
    place.write(
        "s.toml",
        "[training]\nlabel-smoothing = [0, 0.9]\nlr = [5e-4, 3e-3]\nepochs = 4\n[run]\ndevice = \"cpu\"\n\
         no-report = true\n[sweep]\nmetric = \"score\"\n",
    );
    place.done("sweep s.toml");
    let results = results(&place, "runs/s");
    assert_eq!(results[0][4], "validation_accuracy");
    let column = |at: usize| -> Vec<f64> {
        results[1..].iter().map(|row| row[at].parse().unwrap()).collect()
    };
    let (losses, scores) = (column(3), column(4));
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let equal = (1..scores.len()).filter(|&k| scores[k - 1] == scores[k]);
    assert!(equal.clone().all(|k| losses[k - 1] <= losses[k]), "{scores:?} {losses:?}");
    assert!(!losses.is_sorted(), "losses would have given the same order: {losses:?}");
}

#[test]
fn a_metric_that_is_undefined_is_refused() {
    let place = Place::new();
    place.write("t.csv", "x,y\n1,2\n2,4\n3,6\n4,8\n5,10\n6,12\n7,14\n8,16\n9,18\n10,20\n11,22\n");
    place.write("t.toml", "[data]\nsource = \"t.csv\"\n[training]\nlr = [0.1, 0.01]\nepochs = 1\n");
    place.refused_with("sweep t.toml --device cpu --metric score", &["R² of the validation rows"]);
    place.done("sweep t.toml --device cpu");
}

#[test]
fn a_folder_holds_one_sweep() {
    let place = Place::new();
    let table: String = (0..40).map(|x| format!("{x},{}\n", 2 * x)).collect();
    place.write("t.csv", &format!("x,y\n{table}"));
    let file = |rates: &str, more: &str| {
        format!("[data]\nsource = \"t.csv\"\n[training]\nlr = {rates}\nepochs = 1\n{more}")
    };
    place.write("t.toml", &file("[0.1, 0.01]", ""));
    place.done("sweep t.toml --device cpu");
    // Comments and the order of keys are no other plan.
    place.write("t.toml", &file("[1e-1, 0.01]", "# the same\n"));
    let refused = |args: &str, part: &str| {
        let output = place.run(&format!("sweep t.toml {args}"));
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        for part in [part, "another --name, or delete the folder"] {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    };
    // The value is another text.
    refused("--device cpu", "runs/t holds a sweep with other trials than");
    place.write("t.toml", &file("[0.1, 0.01]", "# the same\n"));
    place.done("sweep t.toml --device cpu");
    refused("--device gpu", "with other flags than");
    place.write("t.toml", &file("[0.1, 0.01]", "drop-last = true\n"));
    refused("--device cpu", "with other flags than");
    place.write("t.toml", &file("[0.1, 0.01]", ""));
    refused("--device cpu --metric score", "with another metric than");
    place.write("t.csv", "x,y\n1,2\n2,4\n3,6\n4,8\n5,10\n6,12\n7,14\n8,16\n9,18\n10,20\n11,23\n");
    refused("--device cpu", "with another table than");
    place.done("sweep t.toml --device cpu --name other");

    fs::create_dir_all(place.path("runs/mine/things")).unwrap();
    let output = place.run("sweep t.toml --device cpu --name mine");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("runs/mine is there already, and no sweep's folder"));
    assert!(place.path("runs/mine/things").exists());
}

#[test]
#[cfg(unix)]
fn one_process_at_a_time_is_at_work_in_a_folder() {
    let place = Place::new();
    place.write("h.toml", HALVING);
    let mut first = spawn(&place, "sweep h.toml");
    assert!(runs_until(&mut first, &place.path("runs/h/plan.json")));
    // Another waits for two seconds, in which the sweep could end.
    let stop = Command::new("kill").args(["-STOP", &first.id().to_string()]).status().unwrap();
    assert!(stop.success());
    let output = place.run("sweep h.toml");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("runs/h: another wgrad is at work there"), "{message}");
    // Killed, it holds nothing.
    first.kill().unwrap();
    first.wait().unwrap();
    place.done("sweep h.toml");
}

#[test]
fn a_typed_method_takes_what_it_reads_of_the_file() {
    let place = Place::new();
    place.write("h.toml", HALVING);
    let told = place.json("sweep h.toml --list --method random");
    assert_eq!(told["method"], "random");
    assert_eq!(told["trials"].as_array().unwrap().len(), 12);
    assert_eq!(told["rungs"].as_array().unwrap().len(), 1);
    // What is typed must be read.
    let message = text(&place.run("sweep h.toml --list --method random --factor 4").stderr);
    assert!(message.contains("factor is for the methods halving"), "{message}");
    let output = place.run("sweep h.toml --list --method grid");
    assert!(text(&output.stderr).contains("lr: a grid needs steps"));
}
