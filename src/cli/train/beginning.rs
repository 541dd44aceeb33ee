//! From the flags of `wgrad train` to everything that a run needs but its device.

use std::path::{Path, PathBuf};

use wgrad::{Checkpoint, Plan};

use crate::cli::args::TrainArgs;
use crate::cli::config::{Config, UNFINISHED};
use crate::cli::failure::Failure;
use crate::cli::lock::Lock;
use crate::cli::prepare::Prepared;
use crate::cli::run_folder::{self, CHECKPOINT, CHECKPOINTS, CONFIG, not_a_run};
use crate::cli::talk::Talk;

/// What is known of a run before it has a device.
pub(crate) struct Beginning {
    pub config: Config,
    pub folder: PathBuf,
    /// Whether its name was given.
    pub is_named: bool,
    pub data: Prepared,
    pub plan: Plan,
    pub checkpoint: Option<Checkpoint>,
    /// Whether that was named, and so may be older than the folder's newest.
    pub goes_back: bool,
    /// Parameters of `--init-from`.
    pub initial: Option<Vec<f32>>,
    /// On the folder of a run that goes on.
    pub lock: Option<Lock>,
}

impl Beginning {
    pub(super) fn of(args: &TrainArgs, talk: Talk) -> Result<Self, Failure> {
        let (config, folder, data, going_on) = match &args.resume {
            None => {
                let mut config = Config::new(args)?;
                let (runs, name) = (&args.run.runs, args.run.name.as_deref());
                let folder = run_folder::choose(runs, name, &args.source)?;
                let data = Prepared::new(args, &mut config, talk)?;
                (config, folder, data, None)
            }
            Some(run) => {
                let (mut config, folder, lock, checkpoint) = unfinished(run)?;
                let data = Prepared::again(&mut config, args.moved.as_deref(), talk)?;
                (config, folder, data, Some((lock, checkpoint)))
            }
        };
        let plan = config.plan(&data.schema, &config.train_options())?;
        let initial = if going_on.is_none() { config.initial(&plan)? } else { None };
        let (lock, checkpoint) = going_on.unzip();
        let is_named = args.run.name.is_some();
        let goes_back = args.resume.as_ref().is_some_and(|run| run.is_file());
        Ok(Self { config, folder, is_named, data, plan, checkpoint, goes_back, initial, lock })
    }
}

/// How a run was made, its folder, and how far it had come: by its folder, or by one of its kept
/// checkpoints.
fn unfinished(run: &Path) -> Result<(Config, PathBuf, Lock, Checkpoint), Failure> {
    let refuse =
        |problem: &str| Err(Failure::input(format!("--resume {}: {problem}", run.display())));
    let (folder, file) = if run.is_file() {
        // runs/x/checkpoints/step-1000.safetensors, or runs/x/checkpoint.safetensors; from wherever that
        // is typed.
        let whole = std::path::absolute(run).unwrap_or_else(|_| run.to_path_buf());
        let holder = whole.ancestors().skip(1).take(2).find(|folder| folder.join(CONFIG).exists());
        (holder.unwrap_or(run).to_path_buf(), run.to_path_buf())
    } else {
        (run.to_path_buf(), run.join(CHECKPOINT))
    };
    if !folder.join(CONFIG).exists() {
        return refuse(&not_a_run(&folder));
    }
    let lock = Lock::take(&folder, "stop it")?;
    let mut config = Config::load(&folder.join(CONFIG))?;
    if !file.exists() {
        return refuse(match config.run.outcome.as_str() {
            "complete" => "the run is complete, so there is nothing to go on with",
            _ => "there is no checkpoint to go on from (train with --checkpoint-every)",
        });
    }
    let checkpoint = Checkpoint::load(&file).map_err(|error| {
        let others = folder.join(CHECKPOINTS);
        let others =
            others.is_dir().then(|| format!(" (earlier ones are in {})", others.display()));
        Failure::input(format!("{error}{}", others.unwrap_or_default()))
    })?;
    config.run.outcome = UNFINISHED.into();
    Ok((config, folder, lock, checkpoint))
}
