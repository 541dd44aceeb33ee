//! A net that was trained before, by the path that was typed.

use std::path::{Path, PathBuf};

use wgrad::data::{Schema, Table, UnknownCells};
use wgrad::{Engine, ModelFile, Plan, TrainOptions};

use super::config::{Config, PAUSED, UNFINISHED};
use super::failure::Failure;
use super::run_folder::{CHECKPOINT, CONFIG, MODEL, PLAN, not_a_run};
use super::talk::{Talk, count};

/// The model file of this path: that of a run's folder, or itself.
pub(crate) fn model_path(path: &Path) -> Result<PathBuf, Failure> {
    let model = if path.is_dir() { path.join(MODEL) } else { path.to_owned() };
    if model.exists() {
        return Ok(model);
    }
    if path.join(PLAN).exists() {
        return Err(Failure::input(format!("{}: {}", path.display(), not_a_run(path))));
    }
    if path.join(CONFIG).exists() {
        let go_on = match path.join(CHECKPOINT).exists() {
            true => format!(" (to go on: wgrad train --resume {})", path.display()),
            false => String::new(),
        };
        let path = path.display();
        return Err(Failure::input(format!("{path}: the run has left no model yet{go_on}")));
    }
    Err(Failure::input(format!(
        "{}: no such model (give a run's folder, or a .safetensors file that wgrad wrote)",
        model.display()
    )))
}

/// Refuses to write to a file that is read.
pub(crate) fn keep(output: &Path, input: &Path, what: &str) -> Result<(), Failure> {
    match (output.canonicalize(), input.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => Err(Failure::input(format!(
            "--output {} is the {what} itself; choose another file",
            output.display()
        ))),
        _ => Ok(()),
    }
}

/// A model file with the schema it must have to be used on tables.
#[derive(Debug)]
pub(crate) struct Trained {
    path: PathBuf,
    pub schema: Schema,
    pub plan: Plan,
    parameters: Vec<f32>,
}

impl Trained {
    /// Reads a model file, or the one of a run's folder. Whatever keeps it from being used is the
    /// input's fault.
    pub(crate) fn load(path: &Path, talk: Talk) -> Result<Self, Failure> {
        let path = model_path(path)?;
        let file = ModelFile::load(&path).map_err(Failure::input)?;
        if let Ok(config) = Config::load(&path.with_file_name(CONFIG)) {
            let outcome = config.run.outcome;
            if !matches!(&outcome[..], "complete" | "interrupted" | "out of time" | PAUSED) {
                // Else it says what its training did.
                let is = if outcome == UNFINISHED { " run is" } else { "" };
                talk.line(format_args!("warning: this model's{is} {outcome}"));
            }
        }
        let Some(schema) = file.schema().cloned() else {
            return Err(Failure::input(format!(
                "{}: the model doesn't say which columns it reads, so it can't be applied to \
                 tables (use it from the library, or train it with wgrad train)",
                path.display()
            )));
        };
        let (plan, parameters) = file.plan()?;
        // Every row is wanted when a net is used.
        let options = TrainOptions { drop_last: false, ..plan.options().clone() };
        let plan = Plan::new(plan.mlp(), &options)?;
        Ok(Self { path, schema, plan, parameters })
    }

    /// Tells of cells that are taken for another value than they hold.
    pub(crate) fn warn_of_unknown(&self, table: &Table, talk: Talk) -> Result<(), Failure> {
        for UnknownCells { column, cells, taken_for } in self.schema.unknown_cells(table)? {
            let taken_for = taken_for
                .map_or_else(|| "one of its rare words".to_owned(), |value| format!("`{value}`"));
            talk.line(format_args!(
                "warning: column `{column}`: {} with other values than the model knows, taken for {taken_for}",
                count(cells, "cell")
            ));
        }
        Ok(())
    }

    /// How its run was made.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let path = self.path.with_file_name(CONFIG);
        if !path.exists() {
            return Err(Failure::input(format!(
                "{}: there is no {CONFIG} beside it that tells its test rows; name a table to \
                 score on",
                self.path.display()
            )));
        }
        Config::load(&path).map_err(|failure| {
            let problem = failure.message().unwrap_or_default();
            Failure::input(format!("{problem} (name a table to score on another)"))
        })
    }

    /// Gives the parameters to an engine that was made for the plan.
    pub(crate) fn set_parameters(&self, engine: &mut impl Engine) -> Result<(), Failure> {
        Ok(engine.set_parameters(&self.parameters)?)
    }
}
