//! What the engine records into the host app's encoders. Nothing here submits, polls or waits.

use std::time::{Duration, Instant};

use super::arrival::Arrival;
use super::buffers::Buffers;
use super::flights::MAX_PARTS;
use super::recordings::StepMetrics;
use super::{GpuData, GpuEngine, copy};
use crate::engine::{Part, Step};
use crate::error::{Error, Result};

impl GpuEngine {
    /// Records training steps, and returns how many: fewer than given if too much is recorded that isn't
    /// known to be done.
    pub(crate) fn encode_steps(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        data: &GpuData,
        steps: &[Step],
    ) -> Result<usize> {
        self.identity.check(&data.owner)?;
        let landed = self.recordings.land();
        self.told(landed)?;
        let micro_batch = self.plan.options().rows_at_once();
        let mut parts = std::mem::take(&mut self.parts);
        let mut recorded = 0;
        let mut result = Ok(());
        while recorded < steps.len() && result.is_ok() {
            parts.clear();
            let free = self.slots.free();
            // Whole steps, so that each recording's metrics stand alone.
            let mut count = 0;
            for step in &steps[recorded..] {
                let before = parts.len();
                parts.extend(step.parts(micro_batch).map(|part| (*step, part)));
                if parts.len() > free {
                    let too_many = parts.len() - before > MAX_PARTS;
                    if too_many && recorded + count == 0 {
                        result = Err(self.too_many_parts());
                    }
                    parts.truncate(before);
                    break;
                }
                count += 1;
            }
            if count == 0 || !self.recordings.have_room() {
                break;
            }
            result = self.encode_parts(encoder, data, &parts);
            recorded += count;
        }
        self.parts = parts;
        result?;
        if recorded == 0 && !steps.is_empty() {
            self.slots.note_full(Instant::now())?;
        }
        Ok(recorded)
    }

    fn too_many_parts(&self) -> Error {
        let options = self.plan.options();
        let (batch, micro) = (options.batch_size, options.rows_at_once());
        Error::Limit {
            what: format!("a batch of {batch} rows in parts of {micro}"),
            needed: format!("{} parts", options.parts()),
            limit_name: "parts of a recorded step",
            limit: MAX_PARTS.to_string(),
            remedy: format!(": a micro_batch of {} would fit", batch.div_ceil(MAX_PARTS)),
        }
    }

    /// Records at most [`MAX_PARTS`] parts of whole steps, for which there is room.
    fn encode_parts(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        data: &GpuData,
        parts: &[(Step, Part)],
    ) -> Result<()> {
        let written = self.slots.write(parts, data.rows, data.weighted)?;
        let mut baggage = self.recordings.take();
        let (arrival, ticket) = Arrival::new();
        self.slots.hold(written.first, parts.len(), &arrival);
        self.clear_faults(encoder, written.first, parts.len());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("wgrad.steps"),
            timestamp_writes: self.recordings.timestamp_writes(&baggage),
        });
        let entries = &mut baggage.luggage.entries;
        self.record(&mut pass, data, written.first, parts, Some(entries));
        drop(pass);
        baggage.luggage.pack(encoder, &self.buffers, written);
        self.recordings.send(baggage, encoder, (arrival, ticket));
        Ok(())
    }

    /// How many steps of `parts` parts a budget pays for.
    pub(crate) fn affordable(&mut self, budget: Duration, parts: usize) -> Result<u64> {
        let landed = self.recordings.land();
        self.told(landed)?;
        Ok(self.recordings.pacing.affordable(budget, parts, Instant::now()))
    }

    /// Has a step of `parts` parts take so long from now on, until it is measured again.
    pub(crate) fn set_step_time(&mut self, time: Duration, parts: usize) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2⁵²")]
        self.recordings.pacing.replace(time.as_secs_f64() / parts as f64);
    }

    /// What a step of `parts` parts takes, as far as is known.
    pub(crate) fn step_time(&self, parts: usize) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2⁵²")]
        let parts = parts as f64;
        self.recordings
            .pacing
            .part_seconds()
            .map(|seconds| Duration::from_secs_f64(seconds * parts))
    }

    /// Metrics of the recorded steps that came back since the last call, if any did.
    pub(crate) fn step_metrics(&mut self) -> Result<Option<StepMetrics>> {
        let landed = self.recordings.land();
        self.told(landed)?;
        Ok(self.recordings.take_news())
    }

    /// Records the exchange of the trained parameters with their average, where one is kept: a second
    /// one undoes it.
    pub(crate) fn encode_swap_average(&self, encoder: &mut wgpu::CommandEncoder) {
        if let Buffers { parameters, averages: Some([averages, swap]), .. } = &self.buffers {
            copy(encoder, parameters, swap);
            copy(encoder, averages, parameters);
            copy(encoder, swap, averages);
        }
    }
}
