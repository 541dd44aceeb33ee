//! `--tune`: which variants of the kernels a run takes, from measurements that are remembered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wgrad::{Gpu, GpuEngine, Plan, Tuning, is_software};

use crate::cli::choices::TuneChoice;
use crate::cli::device::{Device, driver};
use crate::cli::failure::Failure;
use crate::cli::run_folder::{TUNING, write_whole};
use crate::cli::talk::Talk;

/// What a search may take on a GPU, and on a software adapter, whose compiler is slow.
const BUDGET: Duration = Duration::from_secs(1);
const SOFTWARE_BUDGET: Duration = Duration::from_secs(10);
/// All tunings of this machine.
const REMEMBERED: &str = "tunings.json";

/// By adapter, driver, version of the program, net and rows at once.
type Remembered = BTreeMap<String, Tuning>;

/// The tuning of a new run. One that is made from another run's file takes what that took.
pub(super) fn of_run(
    choice: TuneChoice,
    from: Option<&Path>,
    device: &Device,
    plan: &Plan,
    talk: Talk,
) -> Result<Tuning, Failure> {
    let Device::Gpu(gpu) = device else { return Ok(Tuning::default()) };
    // `--config` takes a run's folder, too.
    let beside = from.map(|from| match from.is_dir() {
        true => from.join(TUNING),
        false => from.with_file_name(TUNING),
    });
    let beside = beside.filter(|file| file.exists());
    if let (Some(file), true) = (beside, choice != TuneChoice::Off) {
        return read(&file);
    }
    let file = cache_folder().map(|folder| folder.join(REMEMBERED));
    let mut remembered = file.as_deref().map_or_else(Remembered::new, |file| {
        // What can't be read is found again.
        if file.exists() { read(file).unwrap_or_default() } else { Remembered::new() }
    });
    let key = key(gpu, plan);
    let tuning = match (choice, remembered.get(&key)) {
        (TuneChoice::Off, _) => return Ok(Tuning::default()),
        (TuneChoice::Cached, Some(tuning)) => return Ok(tuning.clone()),
        _ => search(gpu, plan, talk)?,
    };
    remembered.insert(key, tuning.clone());
    let Some(file) = file else { return Ok(tuning) };
    let folder = file.parent().unwrap_or(&file);
    let kept = std::fs::create_dir_all(folder)
        .map_err(Failure::folder(folder))
        .and_then(|()| write(&file, &remembered));
    if let Some(problem) = kept.err().as_ref().and_then(Failure::message) {
        talk.line(format_args!("warning: the tuning isn't remembered: {problem}"));
    }
    Ok(tuning)
}

fn search(gpu: &Gpu, plan: &Plan, talk: Talk) -> Result<Tuning, Failure> {
    let budget = if is_software(&gpu.info) { SOFTWARE_BUDGET } else { BUDGET };
    let bar = crate::cli::progress::bar(talk, 1);
    bar.set_message("measuring the variants of the kernels");
    let tuning = GpuEngine::tune(&gpu.device, &gpu.queue, plan, budget);
    bar.finish_and_clear();
    Ok(tuning?)
}

fn key(gpu: &Gpu, plan: &Plan) -> String {
    let options = plan.options();
    let rows = options.micro_batch.unwrap_or(options.batch_size).min(options.batch_size);
    format!(
        "{} · {} · {} · wgrad {} · {} · {rows} rows",
        gpu.info.name,
        driver(&gpu.info),
        gpu.info.backend,
        env!("CARGO_PKG_VERSION"),
        plan.mlp()
    )
}

/// Reads a tuning, or several.
fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let problem = |e: &dyn std::fmt::Display| Failure::input(format!("{}: {e}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| problem(&e))?;
    serde_json::from_str(&text).map_err(|e| problem(&e))
}

/// Writes a tuning, or several.
pub(super) fn write<T: serde::Serialize>(file: &Path, tuning: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(tuning)
        .map_err(|e| Failure::run(format!("{}: {e}", file.display())))?;
    write_whole(file, text.as_bytes())
}

/// Where programs keep what can be made again, on this system; `WGRAD_CACHE` overrides.
fn cache_folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = named("WGRAD_CACHE") {
        return Some(folder.into());
    }
    let home = || named("HOME").map(PathBuf::from);
    let folder = if cfg!(windows) {
        named("LOCALAPPDATA").map(PathBuf::from)
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        named("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cache")))
    };
    Some(folder?.join("wgrad"))
}
