//! Submissions under way: how many steps each gets, and their metrics on the way back.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::buffers::METRICS_BYTES;
use crate::engine::{Metrics, Report};
use crate::error::{Error, Result};

/// Submissions that may be under way at once: enough that the device never runs dry, few enough
/// that stopping is quick.
const MAX_FLIGHTS: usize = 4;
/// Most steps of one submission.
pub(crate) const MAX_STEPS: usize = 64;
/// Steps of the first submission, before anything is measured.
const FIRST_STEPS: usize = 4;
/// What a submission should take. Desktops reset a GPU after about two seconds and feel sluggish
/// after a few frames.
const SUBMISSION_SECONDS: f64 = 0.02;

/// What a submission takes along: where its metrics arrive, and what they are of.
#[derive(Debug)]
pub(crate) struct Luggage {
    /// Room for the metrics of [`MAX_STEPS`] batches.
    pub staging: wgpu::Buffer,
    /// Number (`None` in an evaluation) and rows of each batch.
    pub batches: Vec<(Option<u64>, u32)>,
}

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
    under_way: VecDeque<Flight>,
    idle: Vec<Luggage>,
    reports: Vec<Report>,
    /// When the last submission ended, as far as is known.
    last_end: Option<Instant>,
    steps_at_once: usize,
}

impl Flights {
    pub(crate) fn new(device: &wgpu::Device) -> Self {
        let luggage = |_| {
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgrad.metrics_staging"),
                size: MAX_STEPS as u64 * METRICS_BYTES,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            Luggage { staging, batches: Vec::with_capacity(MAX_STEPS) }
        };
        Self {
            device: device.clone(),
            under_way: VecDeque::with_capacity(MAX_FLIGHTS),
            idle: (0..MAX_FLIGHTS).map(luggage).collect(),
            reports: Vec::new(),
            last_end: None,
            steps_at_once: FIRST_STEPS,
        }
    }

    /// How many steps the next submission should have.
    pub(crate) fn steps_at_once(&self) -> usize {
        self.steps_at_once
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
            self.wait_for(oldest)?;
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
        self.wait_for(newest)?;
        Ok(true)
    }

    pub(crate) fn drain_reports(&mut self, into: &mut Vec<Report>) {
        into.append(&mut self.reports);
    }

    /// Waits for a submission of ours, and for nothing that the host app submitted after it.
    fn wait_for(&mut self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let before = self.under_way.len();
        poll(&self.device, wgpu::PollType::Wait { submission_index, timeout: None })?;
        self.land()?;
        if self.under_way.len() < before {
            return Ok(());
        }
        Err(Error::Device {
            during: "waiting for the device",
            reason: "it returned before its work was done".into(),
        })
    }

    /// Reads the metrics of all submissions that have ended, oldest first.
    fn land(&mut self) -> Result<()> {
        let now = Instant::now();
        let mut steps = 0;
        let mut start = None;
        while self.under_way.front().is_some_and(|flight| flight.mapped.get().is_some()) {
            let Some(flight) = self.under_way.pop_front() else { break };
            start = start.or(Some(flight.submitted));
            let mut luggage = flight.luggage;
            steps += luggage.batches.len();
            let read = match flight.mapped.get() {
                Some(Err(e)) => Err(Error::Device {
                    during: "reading the metrics back",
                    reason: format!("{e} (the device may be lost)"),
                }),
                _ => self.read(&luggage),
            };
            if read.is_ok() {
                luggage.staging.unmap();
            }
            luggage.batches.clear();
            self.idle.push(luggage);
            read?;
        }
        if let Some(submitted) = start {
            // Work of the first began when it was submitted or when the one before had ended.
            let began = self.last_end.map_or(submitted, |end| end.max(submitted));
            self.adapt(now.duration_since(began).as_secs_f64(), steps);
            self.last_end = Some(now);
        }
        Ok(())
    }

    fn read(&mut self, luggage: &Luggage) -> Result<()> {
        let view = luggage.staging.get_mapped_range(..).map_err(|e| Error::Device {
            during: "reading the metrics back",
            reason: e.to_string(),
        })?;
        let sums: &[[f32; 4]] = bytemuck::cast_slice(&view);
        self.reports.extend(luggage.batches.iter().zip(sums).map(|(&(step, rows), sums)| Report {
            step,
            metrics: Metrics::new(rows, sums.map(f64::from)),
        }));
        Ok(())
    }

    /// Aims the next submission at [`SUBMISSION_SECONDS`], at most doubling its steps.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and MAX_STEPS after clamping"
    )]
    pub(crate) fn adapt(&mut self, seconds: f64, steps: usize) {
        let fitting = SUBMISSION_SECONDS * steps as f64 / seconds.max(1e-9);
        let most = (2 * self.steps_at_once).min(MAX_STEPS);
        self.steps_at_once = (fitting.min(most as f64) as usize).max(1);
    }
}

/// Polls the device; an error means that it is lost.
pub(crate) fn poll(device: &wgpu::Device, how: wgpu::PollType) -> Result<()> {
    match device.poll(how) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::Device { during: "polling the device", reason: e.to_string() }),
    }
}
