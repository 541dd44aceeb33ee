//! Submissions under way: how many steps each gets, and their metrics on the way back.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::luggage::Luggage;
use crate::engine::{Metrics, Report};
use crate::error::{Error, Result};
use crate::plan::Plan;

/// Submissions that may be under way at once: enough that the device never runs dry, few enough
/// that stopping is quick.
pub(super) const MAX_FLIGHTS: usize = 4;
/// Most parts of steps in one submission.
pub(crate) const MAX_PARTS: usize = 64;
/// Parts of the first submission, before anything is measured.
const FIRST_PARTS: usize = 4;
/// How long after a submission's end its metrics may arrive: another thread may be held up on the way
/// to tell of them.
const LATEST_CALLBACK: Duration = Duration::from_secs(10);
/// What a submission should take. Desktops reset a GPU after about two seconds and feel sluggish
/// after a few frames.
const SUBMISSION_SECONDS: f64 = 0.02;

/// One submission.
#[derive(Debug)]
struct Flight {
    luggage: Luggage,
    submission: wgpu::SubmissionIndex,
    submitted: Instant,
    /// Set by wgpu when the staging buffer is mapped.
    mapped: Arc<OnceLock<Result<(), wgpu::BufferAsyncError>>>,
}

/// The submissions under way, oldest first.
#[derive(Debug)]
pub(crate) struct Flights {
    device: wgpu::Device,
    plan: Plan,
    under_way: VecDeque<Flight>,
    idle: Vec<Luggage>,
    reports: Vec<Report>,
    /// Of the parts so far of a batch that goes on.
    unfinished: Metrics,
    /// When the last submission ended, as far as is known.
    last_end: Option<Instant>,
    parts_at_once: usize,
}

impl Flights {
    /// `insight_bytes` is what the insights of a step take, if any are wanted.
    pub(crate) fn new(device: &wgpu::Device, plan: &Plan, insight_bytes: Option<u64>) -> Self {
        let luggage = |_| Luggage::new(device, insight_bytes.unwrap_or(0));
        Self {
            device: device.clone(),
            plan: plan.clone(),
            under_way: VecDeque::with_capacity(MAX_FLIGHTS),
            idle: (0..MAX_FLIGHTS).map(luggage).collect(),
            reports: Vec::new(),
            unfinished: Metrics::default(),
            last_end: None,
            parts_at_once: FIRST_PARTS,
        }
    }

    /// How many parts of steps the next submission should have.
    pub(crate) fn parts_at_once(&self) -> usize {
        self.parts_at_once
    }

    /// Luggage for the next submission. If all is under way, waits for the oldest, and says so; the
    /// device is then still busy with the others.
    pub(crate) fn take_idle(&mut self) -> Result<(Luggage, bool)> {
        self.collect()?;
        let mut waited = false;
        loop {
            if let Some(luggage) = self.idle.pop() {
                return Ok((luggage, waited));
            }
            waited = true;
            let oldest = self.under_way.front().map(|flight| flight.submission.clone());
            self.wait_for(oldest, self.under_way.len() - 1)?;
        }
    }

    /// Takes note of a submission that copies its metrics to the luggage's buffer.
    pub(crate) fn push(&mut self, luggage: Luggage, submission: wgpu::SubmissionIndex) {
        let mapped = Arc::new(OnceLock::new());
        let setter = Arc::clone(&mapped);
        luggage.staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // Called once; a second value couldn't be told anyway.
            let _ = setter.set(result);
        });
        let submitted = Instant::now();
        self.under_way.push_back(Flight { luggage, submission, submitted, mapped });
    }

    /// Takes in what has arrived, without waiting.
    pub(crate) fn collect(&mut self) -> Result<()> {
        if self.under_way.is_empty() {
            return Ok(());
        }
        poll(&self.device, wgpu::PollType::Poll)?;
        self.land()
    }

    /// Waits for everything; says whether there was anything to wait for.
    pub(crate) fn wait_for_all(&mut self) -> Result<bool> {
        if self.under_way.is_empty() {
            return Ok(false);
        }
        let newest = self.under_way.back().map(|flight| flight.submission.clone());
        self.wait_for(newest, 0)?;
        Ok(true)
    }

    /// Drops all reports, also of what is under way.
    pub(crate) fn forget(&mut self) {
        self.under_way.iter_mut().for_each(|flight| flight.luggage.clear());
        self.reports.clear();
        self.unfinished = Metrics::default();
    }

    pub(crate) fn drain_reports(&mut self, into: &mut Vec<Report>) {
        into.append(&mut self.reports);
    }

    /// Waits for a submission of ours, and for nothing that the host app submitted after it, until no
    /// more than `left` flights are under way.
    fn wait_for(
        &mut self,
        submission_index: Option<wgpu::SubmissionIndex>,
        left: usize,
    ) -> Result<()> {
        poll(&self.device, wgpu::PollType::Wait { submission_index, timeout: None })?;
        let done = Instant::now();
        loop {
            self.land()?;
            if self.under_way.len() <= left {
                return Ok(());
            }
            // Another thread that polls the same device may have taken our callbacks along, and be
            // about to call them.
            if done.elapsed() > LATEST_CALLBACK {
                return Err(Error::Device {
                    during: "waiting for the device",
                    reason: "it returned before its work was done".into(),
                });
            }
            std::thread::yield_now();
        }
    }

    /// Reads the metrics of all submissions that have ended, oldest first.
    fn land(&mut self) -> Result<()> {
        let now = Instant::now();
        let mut parts = 0;
        let mut start = None;
        while self.under_way.front().is_some_and(|flight| flight.mapped.get().is_some()) {
            let Some(flight) = self.under_way.pop_front() else { break };
            start = start.or(Some(flight.submitted));
            let mut luggage = flight.luggage;
            parts += luggage.entries.len();
            let read = match flight.mapped.get() {
                Some(Err(e)) => Err(Error::Device {
                    during: "reading the metrics back",
                    reason: format!("{e} (the device may be lost)"),
                }),
                _ => luggage.read(&self.plan, &mut self.unfinished, &mut self.reports),
            };
            if read.is_ok() {
                luggage.staging.unmap();
            }
            luggage.clear();
            self.idle.push(luggage);
            read?;
        }
        if let Some(submitted) = start {
            // Work of the first began when it was submitted or when the one before had ended.
            let began = self.last_end.map_or(submitted, |end| end.max(submitted));
            self.adapt(now.duration_since(began).as_secs_f64(), parts);
            self.last_end = Some(now);
        }
        Ok(())
    }

    /// Aims the next submission at [`SUBMISSION_SECONDS`], at most doubling its parts.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and MAX_PARTS after clamping"
    )]
    pub(crate) fn adapt(&mut self, seconds: f64, parts: usize) {
        let fitting = SUBMISSION_SECONDS * parts as f64 / seconds.max(1e-9);
        let most = (2 * self.parts_at_once).min(MAX_PARTS);
        self.parts_at_once = (fitting.min(most as f64) as usize).max(1);
    }
}

/// Polls the device. wgpu panics here where the driver says that the device is lost, after its hook for
/// panics has told of it. Polling runs the host's callbacks too, whose panics go on.
pub(crate) fn poll(device: &wgpu::Device, how: wgpu::PollType) -> Result<()> {
    const DURING: &str = "polling the device";
    match catch_unwind(AssertUnwindSafe(|| device.poll(how))) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) => Err(Error::Device { during: DURING, reason: e.to_string() }),
        Err(panic) if is_of_wgpu(&*panic) => Err(Error::Lost { during: DURING }),
        Err(panic) => resume_unwind(panic),
    }
}

/// Whether wgpu itself panicked in a poll: its words begin so.
fn is_of_wgpu(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<String>().is_some_and(|words| words.starts_with("Error in Device::poll"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_hosts_is_no_lost_device() {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        // Nothing is under way, so the next poll calls it.
        queue.on_submitted_work_done(|| panic!("the host's own"));
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&device, wgpu::PollType::Poll)));
        assert_eq!(polled.unwrap_err().downcast_ref(), Some(&"the host's own"));
    }
}
