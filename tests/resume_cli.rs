//! `wgrad train --resume`: a run that was killed goes on as if it hadn't been.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use common::place::{Place, text};

/// Everything with a memory, and epochs whose ends checkpoints don't meet.
const RUN: &str = "train digits --device cpu --norm batch --dropout 0.1 --ema 0.99 \
                   --early-stopping=90 --epochs 60 --checkpoint-every 7 --quiet --name";

fn spawn(place: &Place, args: &str) -> Child {
    let mut command = place.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// Kills a run some milliseconds behind its next checkpoint; false if it ends before.
fn kill(run: &mut Child, checkpoint: &Path, behind: u64) -> bool {
    let (before, begun) = (modified(checkpoint), Instant::now());
    while run.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "neither a checkpoint nor an end");
        if modified(checkpoint) != before {
            std::thread::sleep(Duration::from_millis(behind));
            run.kill().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    !run.wait().unwrap().success()
}

/// `metrics.csv` without the seconds.
fn metrics(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("metrics.csv")).unwrap();
    let without = |line: &str| {
        let mut cells: Vec<_> = line.split(',').collect();
        cells.remove(6);
        cells.join(",")
    };
    text.lines().map(without).collect()
}

#[test]
fn killed_runs_end_with_the_bytes_of_whole_ones() {
    let place = Place::new();
    place.done(&format!("{RUN} whole"));
    let [whole, cut] = ["runs/whole", "runs/cut"].map(|name| place.path(name));
    let checkpoint = cut.join("checkpoint.safetensors");
    let mut run = spawn(&place, &format!("{RUN} cut"));
    let mut kills = 0;
    while kills < 6 && kill(&mut run, &checkpoint, 11 * kills) {
        kills += 1;
        run = spawn(&place, "train --resume runs/cut --quiet");
    }
    assert!(kills > 0, "nothing was killed");
    assert!(run.wait().unwrap().success());
    let model = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(model(&whole) == model(&cut), "the models differ after {kills} kills");
    assert_eq!(metrics(&whole), metrics(&cut));
    // Its report has all epochs, whichever process made them.
    let page = std::fs::read_to_string(cut.join("report.html")).unwrap();
    assert!(page.contains("<dd>60 epochs<small>2,400 steps"), "{page}");
    assert!(!checkpoint.exists(), "a complete run keeps its checkpoint");
    refused(&place, "runs/cut", "the run is complete");
}

#[test]
fn pictures_of_a_run_that_went_on_show_all_of_it() {
    let place = Place::new();
    let run = "train sdf --device cpu --quiet --layers 8 --batch-size 256 --epochs 6 --insight-every 5 \
               --checkpoint-every 20 --keep-checkpoints 9 --name";
    place.done(&format!("{run} whole"));
    place.done(&format!("{run} parts"));
    place.done("train --resume runs/parts/checkpoints/step-20.safetensors --quiet");
    for name in ["loss.svg", "insights.svg"] {
        let read = |run: &str| {
            let path = place.path(&format!("runs/{run}/{name}"));
            std::fs::read_to_string(path).unwrap().replace(run, "run")
        };
        assert!(read("whole") == read("parts"), "{name} differs");
    }
    assert!(std::fs::read_to_string(place.path("runs/parts/loss.svg")).unwrap().contains("R²"));
}

/// What a run that can't go on says; its folder stays.
#[track_caller]
fn refused(place: &Place, run: &str, part: &str) {
    let output = place.run(&format!("train --resume {run}"));
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(part), "{message:?} lacks {part:?}");
    assert_eq!(message.matches("error:").count(), 1, "{message}");
}

#[test]
fn what_cannot_go_on_says_why() {
    let place = Place::new();
    place.refused_with("train --resume runs/none", &["no run's folder"]);
    place.refused_with("train --resume", &["--resume <RUN>"]);
    for flags in ["--lr 1", "--device cpu", "--checkpoint-every 5", "--name x"] {
        place.refused_with(&format!("train --resume runs/none {flags}"), &["cannot be used with"]);
    }
    place.refused_with("train --checkpoint-every 0", &["at least 1"]);

    let table = "x,y\n1,2\n2,4\n3,6\n4,8\n5,10\n6,12\n7,14\n8,16\n9,18\n10,20\n";
    place.write("t.csv", table);
    let long = "train t.csv --name t --device cpu --epochs 1000000 --checkpoint-every 50 --quiet";
    let checkpoint = place.path("runs/t/checkpoint.safetensors");
    assert!(kill(&mut spawn(&place, long), &checkpoint, 0));
    place.write("t.csv", &table.replace("10,20", "10,21"));
    refused(
        &place,
        "runs/t",
        "has changed since the run was made, or isn't its table, so the run can't go on",
    );
    refused(
        &place,
        "runs/t t.csv",
        "has changed since the run was made, or isn't its table, so the run can't go on",
    );
    std::fs::remove_file(place.path("t.csv")).unwrap();
    refused(&place, "runs/t", "if the table is elsewhere now, name it behind --resume RUN");
    refused(&place, "runs/t none.csv", "none.csv");
    let bytes = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    refused(&place, "runs/t", "cut short");
    std::fs::remove_file(&checkpoint).unwrap();
    refused(&place, "runs/t", "no checkpoint to go on from");
}

#[test]
fn a_run_goes_on_with_its_table_from_elsewhere() {
    let place = Place::new();
    let rows: String = (0..40).map(|i| format!("{},{}\n", (i * 7) % 40, i % 3)).collect();
    let table = format!("x,y\n{rows}");
    place.write("t.csv", &table);
    let from = |args: &str, file: &str| {
        let stdin = std::fs::File::open(place.path(file)).unwrap();
        let output = place.command(args).stdin(stdin).output().unwrap();
        let told = text(&output.stderr);
        (output.status.code(), told)
    };
    let (code, told) =
        from("train - --name t --device cpu --epochs 10000000 --time-budget 1s", "t.csv");
    assert_eq!(code, Some(0), "{told}");
    refused(&place, "runs/t", "the run read standard input, so the run can't go on");
    let (code, told) = from("train --resume runs/t -", "t.csv");
    assert!(code == Some(0) && told.contains("going on after step"), "{told}");
    std::fs::rename(place.path("t.csv"), place.path("moved.csv")).unwrap();
    let (code, told) = from("train moved.csv --resume runs/t", "moved.csv");
    assert!(code == Some(0) && told.contains("going on after step"), "{told}");
    let config = std::fs::read_to_string(place.path("runs/t/config.toml")).unwrap();
    assert!(config.contains("moved.csv"), "{config}");
    refused(&place, "runs/t digits", "has changed since the run was made");
}

#[test]
fn a_run_that_is_training_is_left_alone() {
    let place = Place::new();
    let table = "x,y\n1,2\n2,4\n3,6\n4,8\n5,10\n6,12\n7,14\n8,16\n9,18\n10,20\n";
    place.write("t.csv", table);
    let long = "train t.csv --name t --device cpu --epochs 1000000 --checkpoint-every 50 --quiet";
    let mut first = spawn(&place, long);
    let checkpoint = place.path("runs/t/checkpoint.safetensors");
    while !checkpoint.exists() {
        assert!(first.try_wait().unwrap().is_none(), "it ended without a checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    refused(&place, "runs/t", "runs/t: another wgrad is at work there (wait for it, or stop it)");
    first.kill().unwrap();
    first.wait().unwrap();
    // Killed, it holds nothing.
    assert!(kill(&mut spawn(&place, "train --resume runs/t --quiet"), &checkpoint, 0));
}

/// Twenty destroyed devices, each followed by another that goes on from the newest snapshot.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn runs_that_lose_their_device_end_with_the_bytes_of_whole_ones() {
    let run = "train digits --layers 16 --epochs 20 --device gpu --ema 0.99 --insight-every 7 --tensorboard \
               --seed 3 --name";
    let place = Place::new();
    place.done(&format!("{run} whole --quiet"));
    let broken = place
        .command(&format!("{run} broken"))
        .env("WGRAD_TEST_DESTROY_EVERY", "11")
        .output()
        .unwrap();
    let told = text(&broken.stderr);
    assert!(broken.status.success(), "{told}");
    assert_eq!(told.matches("the device was lost; going on behind step").count(), 20, "{told}");
    let [whole, broken] = ["runs/whole", "runs/broken"].map(|name| place.path(name));
    let bytes = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    for name in ["model.safetensors", "insights.csv"] {
        assert!(bytes(&whole, name) == bytes(&broken, name), "{name} differs");
    }
    assert_eq!(metrics(&whole), metrics(&broken));
}

/// Steps of the checkpoints kept in a run's folder.
fn kept(folder: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(folder.join("checkpoints")).unwrap();
    let steps = names.map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let steps = name.strip_prefix("step-").unwrap().strip_suffix(".safetensors").unwrap();
        steps.parse().unwrap()
    });
    let mut steps: Vec<u64> = steps.collect();
    steps.sort_unstable();
    steps
}

#[test]
fn the_newest_checkpoints_and_the_best_net_stay() {
    let place = Place::new();
    let run = "train digits --device cpu --epochs 6 --layers 16 --checkpoint-every 30 --keep-checkpoints 3 \
               --keep-best --quiet --name whole";
    place.done(run);
    let whole = place.path("runs/whole");
    // 6 epochs of 40 steps.
    assert_eq!(kept(&whole), [180, 210, 240]);
    let model = std::fs::read(whole.join("model.safetensors")).unwrap();

    // From a kept one the run comes to the same end once more.
    place.done("train --resume runs/whole/checkpoints/step-180.safetensors --quiet");
    assert!(std::fs::read(whole.join("model.safetensors")).unwrap() == model);
    assert_eq!(metrics(&whole).len(), 1 + 6);

    // The best is what early stopping would have gone back to.
    let run = "train digits --device cpu --epochs 9 --lr 0.05 --schedule constant --quiet";
    place.done(&format!("{run} --keep-best --name kept"));
    place.done(&format!("{run} --early-stopping=9 --name restored"));
    let of = |net: &str| place.done(&format!("predict runs/{net} digits"));
    assert_eq!(of("kept/best.safetensors"), of("restored/model.safetensors"));
    assert_ne!(
        of("kept/model.safetensors"),
        of("restored/model.safetensors"),
        "the last was the best"
    );
    let flags = "train digits --keep-best --validation 0";
    Place::new().refused_with(flags, &["--keep-best", "--validation"]);
}

/// A run that goes back to an earlier checkpoint and is stopped at once doesn't go on from the later one.
#[test]
fn going_back_leaves_no_hole() {
    let place = Place::new();
    let folder = place.path("runs/cut");
    let mut run = spawn(&place, &format!("{RUN} cut --keep-checkpoints 999 --insight-every 40"));
    // In the fourth epoch or behind.
    let begun = Instant::now();
    while !folder.join("checkpoints/step-126.safetensors").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    run.kill().unwrap();
    assert!(!run.wait().unwrap().success(), "it was too fast");
    let earlier = "runs/cut/checkpoints/step-14.safetensors";
    assert!(metrics(&folder).len() > 3);
    // What can't be gone on with, behind what was cut off already.
    let [lines, aside] = ["insights.csv", "aside.csv"].map(|name| folder.join(name));
    std::fs::rename(&lines, &aside).unwrap();
    std::fs::create_dir(&lines).unwrap();
    let output = place.run(&format!("train --resume {earlier}"));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(metrics(&folder).len(), 1);
    std::fs::remove_dir(&lines).unwrap();
    std::fs::rename(&aside, &lines).unwrap();
    place.done("train --resume runs/cut --quiet");
    let epochs: Vec<u64> = metrics(&folder)[1..]
        .iter()
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(epochs, (1..=60).collect::<Vec<_>>());
}

/// Scores that can't be kept are no success.
#[test]
fn results_that_can_not_be_written_are_told() {
    let place = Place::new();
    let folder = place.path("runs/cut");
    let mut run = spawn(&place, &format!("{RUN} cut"));
    assert!(kill(&mut run, &folder.join("checkpoint.safetensors"), 0), "it was too fast");
    std::fs::create_dir(folder.join("results.json")).unwrap();
    let output = place.run("train --resume runs/cut --quiet");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("results.json"), "{told}");
    assert!(folder.join("model.safetensors").exists());
}
