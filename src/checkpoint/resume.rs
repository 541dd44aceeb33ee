//! Taking a checkpoint, and going on from it.

use super::{Checkpoint, Description, Progress, VERSION};
use crate::engine::Engine;
use crate::engine::gpu::Module;
use crate::error::{Error, Result};
use crate::options::TrainOptions;
use crate::plan::Plan;
use crate::trainer::Trainer;

impl<E: Engine> Trainer<E> {
    /// The training as it is, between two steps. Waits for it.
    ///
    /// # Errors
    /// [`Error::Pending`] if steps are recorded into a host app's encoders and not known to be done, so
    /// that they would be counted but not be in it; [`Error::Device`] if the device fails, [`Error::Lost`] if it is gone.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let (rows, progress) = (self.rows(), Progress::Trainer(Box::new(self.progress())));
        Checkpoint::take(self.engine_mut(), rows, progress)
    }

    /// Goes on where a checkpoint was taken, of a training with the same net, options and rows.
    ///
    /// # Errors
    /// [`Error::Shape`] names what differs; [`Error::Pending`] if steps are recorded into a host app's
    /// encoders and not known to be done.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.check(self.engine().plan(), self.rows())?;
        let Progress::Trainer(state) = &checkpoint.description.progress else {
            return differs("kind", "of a trainer", "of a module");
        };
        let options = self.engine().plan().options();
        if !state.is_possible(options.steps_per_epoch(self.rows())) {
            return differs("progress", "steps of its epochs", format!("{:?}", state.at));
        }
        self.engine_mut().set_state(&checkpoint.state)?;
        self.set_progress(state);
        Ok(())
    }
}

impl Module {
    /// The module as it is, between an update and the next backward pass. Waits for it. A module of the same net
    /// and options that [`resume`](Self::resume)s it goes on with the same bits, if what its host gives it has the
    /// same.
    ///
    /// # Errors
    /// [`Error::Sequence`] if gradients have been added up since the last update, which aren't in it;
    /// [`Error::Pending`] if what is recorded isn't known to be done; [`Error::Device`] if the device
    /// fails, [`Error::Lost`] if it is gone.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let progress = Progress::Module(self.progress("checkpoint")?);
        Checkpoint::take(&mut self.engine, 0, progress)
    }

    /// Goes on where a checkpoint was taken, of a module with the same net and options.
    ///
    /// # Errors
    /// [`Error::Shape`] names what differs; [`Error::Pending`] if what is recorded isn't known to be done.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.check(self.engine().plan(), 0)?;
        let Progress::Module(state) = checkpoint.description.progress else {
            return differs("kind", "of a module", "of a trainer");
        };
        if !state.is_possible() {
            return differs("progress", "a forward pass for each update", format!("{state:?}"));
        }
        self.engine.set_state(&checkpoint.state)?;
        self.set_progress(state);
        Ok(())
    }
}

impl Checkpoint {
    fn take(engine: &mut impl Engine, rows: u32, progress: Progress) -> Result<Self> {
        let state = engine.state()?;
        let plan = engine.plan();
        let description = Description {
            version: VERSION,
            mlp: plan.mlp().clone(),
            options: plan.options().clone(),
            rows,
            progress,
            tuning: engine.tuning(),
        };
        Ok(Self { description, state })
    }

    /// Refuses a training of another net, with other options or of other rows.
    fn check(&self, plan: &Plan, rows: u32) -> Result<()> {
        let Description { mlp, options, rows: its, .. } = &self.description;
        if mlp != plan.mlp() {
            return differs("net", plan.mlp(), mlp);
        }
        if options != plan.options() {
            let text = |options: &TrainOptions| serde_json::to_string(options).unwrap_or_default();
            return differs("options", text(plan.options()), text(options));
        }
        if *its != rows {
            return differs("training rows", rows, its);
        }
        Ok(())
    }
}

fn differs(what: &str, expected: impl ToString, got: impl ToString) -> Result<()> {
    let (expected, got) = (expected.to_string(), got.to_string());
    Err(Error::Shape { what: format!("checkpoint's {what}"), expected, got })
}
