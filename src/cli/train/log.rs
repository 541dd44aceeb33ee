//! What a run writes while the epochs go by.

use wgrad::EpochReport;

use super::history::History;
use crate::cli::failure::Failure;
use crate::cli::insights::Insights;
use crate::cli::run_folder::RunFolder;
use crate::cli::tensorboard::EventFile;

/// The files that grow, and the epochs so far.
pub(super) struct Log {
    pub folder: RunFolder,
    pub insights: Option<Insights>,
    pub events: Option<EventFile>,
    pub history: History,
}

impl Log {
    pub(super) fn add(&mut self, report: EpochReport) -> Result<(), Failure> {
        let mut more: &[f64] = &[];
        let summary;
        if let Some(insights) = &mut self.insights {
            insights.check()?;
            summary = insights.summary().unwrap_or([f64::NAN; 4]);
            more = &summary;
        }
        self.folder.add_epoch(&report, more)?;
        if let Some(events) = &mut self.events {
            events.add_epoch(&report);
            events.check()?;
        }
        self.history.add(report);
        Ok(())
    }

    /// Drops what was written behind so many steps, of which so many epochs are whole.
    pub(super) fn go_back(&mut self, steps: u64, epochs: u64) -> Result<(), Failure> {
        self.history.begin_again(self.folder.go_back(epochs)?);
        if let Some(insights) = &mut self.insights {
            insights.go_back(steps)?;
        }
        self.events.iter_mut().for_each(|events| events.begin(steps + 1));
        Ok(())
    }
}
