//! `wgrad check`: whether the kernels compute on this machine's driver what they should.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wgrad::check::{Check, Finding};
use wgrad::{AdapterChoice, Error, Gpu};

use super::args::CheckArgs;
use super::choices::DeviceChoice;
use super::device::Device;
use super::failure::Failure;
use super::progress::bar;
use super::stdout;
use super::table::Table;
use super::talk::{Talk, count, duration};

/// A check with what came of it.
type Done = (Check, Result<Finding, Error>);

pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    let gpu = open(&args.device.device, talk)?;
    let device = Device::Gpu(Box::new(gpu));
    talk.line(format_args!("device  {}\n", device.description()));
    let Device::Gpu(gpu) = &device else { unreachable!("made above") };

    let (checks, others): (Vec<_>, Vec<_>) =
        Check::all().into_iter().partition(|check| check.suits(gpu));
    if !others.is_empty() {
        talk.line(format_args!(
            "mixed precision is left out, as the device has no f16 (SHADER_F16)"
        ));
    }
    let progress = bar(talk, checks.len() as u64);
    let done: Vec<Done> = checks
        .into_iter()
        .map(|check| {
            progress.set_message(check.name().to_owned());
            let finding = check.run(gpu);
            progress.inc(1);
            (check, finding)
        })
        .collect();
    progress.finish_and_clear();

    let failed = done.iter().filter(|(_, finding)| !is_sound(finding)).count();
    let text = if args.output.json {
        format!("{}\n", json_of(&device, &done))
    } else {
        format!("{}\n{}", table(&done), kernels(&done))
    };
    stdout::print(text)?;
    match failed {
        0 => Ok(()),
        failed => Err(Failure::run(format!(
            "{} of {} failed: this driver computes some kernels wrong, not the same twice, or hides NaN. Try \
             a newer driver or another backend (WGPU_BACKEND), train with --device cpu, and please report \
             the table",
            failed,
            count(done.len(), "check")
        ))),
    }
}

/// The adapter that is asked for; software where there is nothing else.
fn open(choice: &DeviceChoice, talk: Talk) -> Result<Gpu, Failure> {
    // Where only software is left, that is what is checked: nothing about it needs telling.
    let talk = if *choice == DeviceChoice::Auto { Talk { quiet: true } } else { talk };
    match Device::open(choice, talk)? {
        Device::Gpu(gpu) => Ok(*gpu),
        Device::Cpu if *choice == DeviceChoice::Cpu => Err(Failure::input(
            "--device cpu: what is checked is a GPU's driver (take auto or gpu)",
        )),
        Device::Cpu => Ok(Gpu::open(AdapterChoice::Any)?),
    }
}

fn is_sound(finding: &Result<Finding, Error>) -> bool {
    finding.as_ref().is_ok_and(Finding::is_sound)
}

fn verdict(finding: &Result<Finding, Error>) -> String {
    match finding {
        Ok(finding) if finding.is_sound() => "ok".into(),
        Ok(finding) if !finding.reproducible => "FAILED: not the same bits twice".into(),
        Ok(finding) if finding.worst.0 <= 1.0 => "FAILED: inputs of NaN give numbers".into(),
        Ok(finding) => format!("FAILED: {}", finding.worst.1),
        Err(error) => format!("FAILED: {error}"),
    }
}

/// The worst error as a part of its bound.
fn ratio(finding: &Result<Finding, Error>) -> String {
    finding.as_ref().map_or_else(|_| "—".into(), |finding| format!("{:.3}", finding.worst.0))
}

/// A line for each check.
fn table(done: &[Done]) -> String {
    let mut table = Table::new(&["check", "net", "batch", "error / bound", "time", ""]);
    for (check, finding) in done {
        let time = finding.as_ref().map_or_else(|_| "—".into(), |f| duration(f.seconds));
        table.row([
            check.name().into(),
            check.mlp().to_string(),
            check.batch().to_string(),
            ratio(finding),
            time,
            verdict(finding),
        ]);
    }
    table.text()
}

/// Of each kernel, the checks that it took part in and the worst of them.
fn by_kernel(done: &[Done]) -> BTreeMap<&'static str, (usize, f64, bool)> {
    let mut kernels = BTreeMap::new();
    for finding in done.iter().filter_map(|(_, finding)| finding.as_ref().ok()) {
        for kernel in &finding.kernels {
            let (checks, worst, sound) = kernels.entry(*kernel).or_insert((0, 0.0, true));
            *checks += 1;
            let ratio = finding.worst.0;
            *worst = if ratio <= *worst { *worst } else { ratio };
            *sound &= finding.is_sound();
        }
    }
    kernels
}

fn kernels(done: &[Done]) -> String {
    let mut table = Table::new(&["kernel", "checks", "worst error / bound", ""]);
    for (kernel, (checks, worst, sound)) in by_kernel(done) {
        let verdict = if sound { "ok" } else { "in a check that FAILED" };
        table.row([kernel.into(), checks.to_string(), format!("{worst:.3}"), verdict.into()]);
    }
    table.text()
}

fn json_of(device: &Device, done: &[Done]) -> Value {
    let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    let checks: Vec<Value> = done
        .iter()
        .map(|(check, finding)| {
            let found = finding.as_ref().ok();
            json!({
                "name": check.name(),
                "net": check.mlp().to_string(),
                "batch_size": check.batch(),
                "kernels": found.map(|found| &found.kernels),
                "error_over_bound": found.map(|found| number(found.worst.0)),
                "worst": found.map(|found| &found.worst.1),
                "reproducible": found.map(|found| found.reproducible),
                "shows_nan": found.map(|found| found.shows_nan),
                "seconds": found.map(|found| found.seconds),
                "problem": finding.as_ref().err().map(ToString::to_string),
                "sound": is_sound(finding),
            })
        })
        .collect();
    let sound = done.iter().all(|(_, finding)| is_sound(finding));
    json!({ "device": device.description(), "sound": sound, "checks": checks })
}
