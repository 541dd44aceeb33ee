//! `--tune`: which variants of the kernels a run takes, from measurements that are remembered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wgrad::{Gpu, GpuEngine, GpuOptions, Plan, Precision, Tuning, is_software};

use crate::cli::choices::TuneChoice;
use crate::cli::device::{Device, driver};
use crate::cli::failure::Failure;
use crate::cli::files::write_whole;
use crate::cli::progress::bar;
use crate::cli::run_folder::{CONFIG, TUNING};
use crate::cli::talk::Talk;

/// What a search may take on a GPU, and on a software adapter, whose compiler is slow.
const BUDGET: Duration = Duration::from_secs(1);
const SOFTWARE_BUDGET: Duration = Duration::from_secs(10);
/// All tunings of this machine.
const REMEMBERED: &str = "tunings.json";

/// By adapter, driver, version of the program, net and rows at once.
type Tunings = BTreeMap<String, Tuning>;

/// A tuning, and what it was measured for.
pub(super) struct Tuned {
    key: String,
    pub tuning: Tuning,
}

impl Tuned {
    /// The tuning of a new run, if it is to have one. One that is made again from another run's file takes
    /// what that took, on the same device.
    pub(super) fn of_run(
        choice: TuneChoice,
        from: Option<&Path>,
        device: &Device,
        plan: &Plan,
        talk: Talk,
    ) -> Result<Option<Self>, Failure> {
        if choice == TuneChoice::Off {
            return Ok(None);
        }
        let Device::Gpu(gpu) = device else {
            talk.line("warning: --tune measures kernels of a GPU, and this is the CPU");
            return Ok(None);
        };
        let key = key(gpu, plan);
        let cache = cache_folder().map(|folder| folder.join(REMEMBERED));
        let mut remembered = cache.as_deref().map(read).unwrap_or_default();
        let of_that_run = from.and_then(beside).map(|file| read(&file)).unwrap_or_default();
        let known = of_that_run.get(&key).or(remembered.get(&key));
        if let Some(tuning) = known.filter(|_| choice == TuneChoice::Cached) {
            return Ok(Some(Self { key, tuning: tuning.clone() }));
        }
        let tuning = match search(gpu, plan, talk) {
            Ok(tuning) => tuning,
            Err(failure @ Failure::Lost(_)) => return Err(failure),
            Err(failure) => {
                let problem = failure.message().unwrap_or_default();
                talk.line(format_args!("warning: variants are left to the rule: {problem}"));
                return Ok(None);
            }
        };
        remembered.insert(key.clone(), tuning.clone());
        let kept = cache.map_or(Ok(()), |file| write(&file, &remembered));
        if let Some(problem) = kept.err().as_ref().and_then(Failure::message) {
            talk.line(format_args!("warning: the tuning isn't remembered: {problem}"));
        }
        Ok(Some(Self { key, tuning }))
    }

    /// Writes it where a run made from this one's file finds it.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        write(file, &Tunings::from([(self.key.clone(), self.tuning.clone())]))
    }
}

fn search(gpu: &Gpu, plan: &Plan, talk: Talk) -> Result<Tuning, Failure> {
    let budget = if is_software(&gpu.info) { SOFTWARE_BUDGET } else { BUDGET };
    let bar = bar(talk, 1);
    bar.set_message("measuring the variants of the kernels");
    let tuning = GpuEngine::tune(&gpu.device, &gpu.queue, plan, &GpuOptions::default(), budget);
    bar.finish_and_clear();
    Ok(tuning?)
}

fn key(gpu: &Gpu, plan: &Plan) -> String {
    let options = plan.options();
    let rows = options.micro_batch.unwrap_or(options.batch_size).min(options.batch_size);
    let precision = match options.precision {
        Precision::F32 => "",
        _ => ", mixed precision",
    };
    format!(
        "{} · {} · {} · wgrad {} · {} · {rows} rows{precision}",
        gpu.info.name,
        driver(&gpu.info),
        gpu.info.backend,
        env!("CARGO_PKG_VERSION"),
        plan.mlp()
    )
}

/// The tuning beside a run's file.
fn beside(file: &Path) -> Option<PathBuf> {
    (file.file_name()? == CONFIG).then(|| file.with_file_name(TUNING))
}

/// Reads tunings. What can't be read is measured again.
fn read(file: &Path) -> Tunings {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Writes tunings in one piece, whoever else does at the same time.
fn write(file: &Path, tunings: &Tunings) -> Result<(), Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::run(format!("{}: {e}", file.display()));
    let text = serde_json::to_string_pretty(tunings).map_err(|e| failed(&e))?;
    std::fs::create_dir_all(file.parent().unwrap_or(file)).map_err(|e| failed(&e))?;
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
