//! What a run leaves in its folder when it ends.

use std::path::Path;

use wgrad::{Engine, ModelFile, Trainer};

use super::log::Log;
use super::{End, Run};
use crate::cli::chart;
use crate::cli::config::{Config, DIVERGED, PAUSED};
use crate::cli::failure::Failure;
use crate::cli::report::{self, Scored};
use crate::cli::results::Results;
use crate::cli::run_folder::{CHART, CHECKPOINT, CONFIG, INSIGHTS, MODEL, RunFolder};

impl Run<'_> {
    /// Writes the model, the pictures and how it ended.
    pub(super) fn leave<E: Engine>(
        &self,
        trainer: &mut Trainer<E>,
        log: &Log,
        end: &End,
        config: &mut Config,
    ) -> Result<(), Failure> {
        let Log { folder, insights, history, .. } = log;
        self.save(trainer, &folder.file(MODEL))?;
        let title = format!("{} · {}", folder_name(folder), trainer.engine().plan().mlp());
        if history.last.is_some() {
            folder.write(CHART, &chart::svg(&title, &history.shown())?)?;
        }
        let svg = insights.as_ref().map(|insights| insights.svg(&title)).transpose()?.flatten();
        if let Some(svg) = svg {
            folder.write(INSIGHTS, &svg)?;
        }
        config.run.outcome = match end {
            End::Complete => "complete".into(),
            End::Interrupted => "interrupted".into(),
            End::Paused => PAUSED.into(),
            End::TimeUp => "out of time".into(),
            End::Diverged(error) => error.to_string(),
        };
        folder.write(CONFIG, &config.to_toml()?)?;
        if matches!(end, End::Complete) {
            // There is nothing left to go on with. Killed before this, the run would do its end again.
            let _ = std::fs::remove_file(folder.file(CHECKPOINT));
        }
        Ok(())
    }

    /// Writes the page with all that there is to see. What the net says of rows may be known.
    pub(super) fn report<E: Engine>(
        &self,
        engine: &mut E,
        folder: &Path,
        results: Option<Results>,
    ) -> Result<(), Failure> {
        if !self.manner.reports {
            return Ok(());
        }
        let scored = self.reported.as_ref().map(|(part, data)| {
            let seed = self.config.training.seed;
            Scored::of(engine, &self.schema, (*part, data), results, seed)
        });
        let path = report::write(folder, &self.schema, &scored.transpose())?;
        self.talk.line(format_args!("{:15}{}", "report", path.display()));
        Ok(())
    }

    /// Writes the net as it is evaluated.
    pub(super) fn save<E: Engine>(
        &self,
        trainer: &mut Trainer<E>,
        path: &Path,
    ) -> Result<(), Failure> {
        let parameters = trainer.parameters()?;
        if parameters.iter().any(|w| !w.is_finite()) {
            return Err(Failure::run(format!(
                "{DIVERGED}: after step {} some parameters are no longer finite, so there \
                 is no model to save (lower the learning rate, or scale the inputs)",
                trainer.steps()
            )));
        }
        let schema = self.schema.clone();
        Ok(ModelFile::new(trainer.engine().plan(), parameters, Some(schema))?.save(path)?)
    }
}

fn folder_name(folder: &RunFolder) -> String {
    folder.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
