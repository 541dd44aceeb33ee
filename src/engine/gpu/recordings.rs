//! What was recorded into the host app's encoders: its metrics and its time come back once the host
//! has submitted it, through the host's own polling.

use std::collections::VecDeque;
use std::time::Instant;

use super::arrival::{Arrival, Outcome, Ticket};
use super::luggage::{Luggage, METRICS_STAGED};
use super::pacing::Pacing;
use super::timer::{Clock, TIMESTAMPS};
use crate::engine::{Metrics, Report};
use crate::error::{Error, Result};
use crate::plan::Plan;

/// Recordings under way at most, each with a place for its metrics. All slots of the step ring take four
/// or five; the others are for hosts that record a few steps at a time.
pub(super) const MAX_RECORDINGS: u32 = 16;

/// What the training steps that came back since the last look at them were like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StepMetrics {
    /// Number of the newest of them, counted from 1.
    pub step: u64,
    /// How many they are.
    pub steps: u64,
    /// Their sum, without steps that were left out: [`loss`](Metrics::loss) is their mean loss,
    /// [`is_finite`](Metrics::is_finite) whether all losses are finite.
    pub metrics: Metrics,
    /// How many of them had a gradient or left a parameter that isn't finite: see
    /// [`OnDivergence`](crate::OnDivergence) for which of them were left out.
    pub faults: u64,
}

/// What a recording takes along.
#[derive(Debug)]
pub(crate) struct Baggage {
    pub luggage: Luggage,
    /// Which of the clock's passes is its own.
    index: u32,
    /// When it was recorded.
    recorded: Instant,
}

/// The recordings that haven't come back, oldest first.
#[derive(Debug)]
pub(crate) struct Recordings {
    plan: Plan,
    clock: Option<Clock>,
    under_way: VecDeque<(Baggage, Arrival)>,
    idle: Vec<Baggage>,
    /// Reused by every landing.
    reports: Vec<Report>,
    news: StepMetrics,
    /// How long steps take, by the device's clock where it has one.
    pub pacing: Pacing,
}

impl Recordings {
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue, plan: &Plan) -> Self {
        let baggage = |index| Baggage {
            luggage: Luggage::new(device, TIMESTAMPS),
            index,
            recorded: Instant::now(),
        };
        Self {
            plan: plan.clone(),
            clock: Clock::new(device, queue, MAX_RECORDINGS),
            under_way: VecDeque::with_capacity(MAX_RECORDINGS as usize),
            idle: (0..MAX_RECORDINGS).map(baggage).collect(),
            reports: Vec::new(),
            news: StepMetrics::default(),
            pacing: Pacing::new(),
        }
    }

    /// Whether another recording may begin.
    pub(crate) fn have_room(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Baggage for the next recording, for which there has to be room.
    pub(crate) fn take(&mut self) -> Baggage {
        let baggage = self.idle.pop().unwrap_or_else(|| unreachable!("no room for a recording"));
        Baggage { recorded: Instant::now(), ..baggage }
    }

    /// Where the pass of a recording leaves its timestamps, if the device has any.
    pub(crate) fn timestamp_writes(
        &self,
        baggage: &Baggage,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        self.clock.as_ref().map(|clock| clock.writes(baggage.index))
    }

    /// Lets a recording's baggage travel: after its pass, in the same encoder.
    pub(crate) fn send(
        &mut self,
        baggage: Baggage,
        encoder: &mut wgpu::CommandEncoder,
        (arrival, ticket): (Arrival, Ticket),
    ) {
        let staging = &baggage.luggage.staging;
        if let Some(clock) = &self.clock {
            clock.resolve(encoder, baggage.index);
            let (from, to) = (Clock::resolved_at(baggage.index), METRICS_STAGED);
            encoder.copy_buffer_to_buffer(&clock.resolved, from, staging, to, TIMESTAMPS);
        }
        encoder.map_buffer_on_submit(staging, wgpu::MapMode::Read, .., move |mapped| {
            ticket.arrive(if mapped.is_ok() { Outcome::Done } else { Outcome::Failed });
        });
        self.under_way.push_back((baggage, arrival));
    }

    /// Takes in what has come back, without polling.
    ///
    /// # Errors
    /// [`Error::Device`] if the device failed on a recording.
    pub(crate) fn land(&mut self) -> Result<()> {
        let mut result = Ok(());
        // In any order: the host may submit its encoders in another than it began them.
        for _ in 0..self.under_way.len() {
            let Some((mut baggage, arrival)) = self.under_way.pop_front() else { break };
            match arrival.outcome() {
                None => {
                    self.under_way.push_back((baggage, arrival));
                    continue;
                }
                Some(Outcome::Done) => {
                    let read = self.read(&baggage);
                    baggage.luggage.staging.unmap();
                    result = result.and(read);
                }
                Some(Outcome::Failed) => {
                    result = Err(Error::Device {
                        during: "waiting for recorded steps",
                        reason: "their metrics can't be read (the device may be lost)".into(),
                    });
                }
                Some(Outcome::Dropped) => {}
            }
            baggage.luggage.clear();
            self.idle.push(baggage);
        }
        result
    }

    fn read(&mut self, Baggage { luggage, recorded, .. }: &Baggage) -> Result<()> {
        if luggage.entries.is_empty() || !luggage.has_run()? {
            return Ok(());
        }
        // Recordings hold whole steps, so nothing stays unfinished.
        luggage.read(&self.plan, &mut Metrics::default(), &mut self.reports)?;
        let parts = luggage.entries.len();
        if let Some(clock) = &self.clock {
            let seconds = clock.seconds(luggage.pair_behind()?);
            // Some drivers leave timestamps at 0, or one of them, and counters wrap: no pass takes longer
            // than it is ago.
            if seconds > 0.0 && seconds <= recorded.elapsed().as_secs_f64() {
                #[expect(clippy::cast_precision_loss, reason = "at most MAX_PARTS")]
                self.pacing.observe(seconds / parts as f64);
            }
        }
        for report in self.reports.drain(..) {
            self.news.step = self.news.step.max(report.step.unwrap_or(0));
            self.news.steps += 1;
            // As if it hadn't been.
            if !report.fault.is_some_and(|fault| fault.skipped) {
                self.news.metrics += report.metrics;
            }
            self.news.faults += u64::from(report.fault.is_some());
        }
        Ok(())
    }

    /// Drops all reports, also of what is under way.
    pub(crate) fn forget(&mut self) {
        self.under_way.iter_mut().for_each(|(baggage, _)| baggage.luggage.clear());
        self.news = StepMetrics::default();
    }

    /// What has come back since the last call.
    pub(crate) fn take_news(&mut self) -> Option<StepMetrics> {
        let news = std::mem::take(&mut self.news);
        (news.steps > 0).then_some(news)
    }
}
