//! What the engine records into the host app's encoders. Nothing here submits, polls or waits.

use std::time::{Duration, Instant};

use super::arrival::{Arrival, Outcome};
use super::buffers::{Buffers, SLOT_STRIDE, bytes_of};
use super::flights::MAX_PARTS;
use super::recordings::StepMetrics;
use super::{GpuData, GpuEngine, compute_pass, copy};
use crate::engine::cpu::evaluation_steps;
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

    /// Records the net's outputs for rows in the host's buffers, with the parameters as they are at
    /// that point of the encoder. Both slices hold f32, row-major and without gaps: `input` rows ×
    /// `in_features`, `output` rows × `out_features`; how many rows follows from their lengths.
    /// Evaluation mode: nothing is dropped, batch norms take their running statistics.
    ///
    /// Makes nothing that stays, and never submits, polls or waits. `input` needs the usage `COPY_SRC`,
    /// `output` `COPY_DST`, as the rows pass through buffers of the engine.
    ///
    /// # Errors
    /// [`Error::Shape`] if the slices are no whole rows, don't have the same number of them, or lack
    /// a usage; [`Error::Sequence`] before [`prepare`](Self::prepare) where no data set was given either;
    /// [`Error::Model`] for a single row and a batch norm without running statistics;
    /// [`Error::Pending`] if too much is recorded that isn't known to be done.
    pub fn encode_inference(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        input: wgpu::BufferSlice<'_>,
        output: wgpu::BufferSlice<'_>,
    ) -> Result<()> {
        let mlp = self.plan.mlp();
        let (in_features, out_features) = (mlp.in_features(), mlp.out_features());
        let rows = rows_in("input", &input, in_features, wgpu::BufferUsages::COPY_SRC)?;
        let out_rows = rows_in("output", &output, out_features, wgpu::BufferUsages::COPY_DST)?;
        same_rows("output of an inference", out_rows, rows)?;
        self.plan.check_evaluation(rows)?;
        if !self.pipelines.are_compiled() {
            return Err(Error::Sequence { call: "encode_inference", needs: "prepare" });
        }
        // All chunks are of one size but for the last, and each lies at the start of its buffer.
        let mut chunks = evaluation_steps(&self.plan, rows).map(|step| step.batch);
        let Some(most) = chunks.next() else { return Ok(()) };
        let parts = [most, chunks.last().unwrap_or(most)].map(|rows| {
            (Step::evaluation(0, rows), Part { row0: 0, rows, is_first: true, is_last: true })
        });
        let first = self.slots.write(&parts, most as usize, false)?.first;
        let (arrival, ticket) = Arrival::new();
        self.slots.hold(first, parts.len(), &arrival);
        let Self { buffers, program, .. } = self;
        let result = &buffers.activations[buffers.activations.len() - 1];
        let most = most as usize;
        for start in (0..rows).step_by(most) {
            let now = most.min(rows - start);
            let slot = first + u32::from(now != most);
            let (from, to) = (bytes_of(start * in_features), bytes_of(start * out_features));
            encoder.copy_buffer_to_buffer(
                input.buffer(),
                input.offset() + from,
                &buffers.batch_inputs,
                0,
                bytes_of(now * in_features),
            );
            let mut pass = compute_pass(encoder, "wgrad.inference");
            for dispatch in program.outputs_of_batch() {
                dispatch.record(
                    &mut pass,
                    slot * SLOT_STRIDE,
                    parts[usize::from(now != most)].1.rows,
                );
                self.stats.dispatches += 1;
            }
            drop(pass);
            encoder.copy_buffer_to_buffer(
                result,
                0,
                output.buffer(),
                output.offset() + to,
                bytes_of(now * out_features),
            );
        }
        encoder.on_submitted_work_done(move || ticket.arrive(Outcome::Done));
        Ok(())
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

/// Refuses a buffer with another number of rows than the input.
pub(super) fn same_rows(what: &str, got: usize, expected: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::Shape {
        what: what.into(),
        expected: format!("{expected} rows, as the input"),
        got: got.to_string(),
    })
}

/// How many rows of `columns` f32 a slice holds, if its buffer can be used so.
pub(super) fn rows_in(
    name: &str,
    slice: &wgpu::BufferSlice<'_>,
    columns: usize,
    usage: wgpu::BufferUsages,
) -> Result<usize> {
    let refuse = |expected: String, got: String| {
        Err(Error::Shape { what: format!("{name} buffer"), expected, got })
    };
    let (bytes, row) = (slice.size(), bytes_of(columns));
    if bytes % row != 0 || !slice.offset().is_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT) {
        return refuse(
            format!("rows of {columns} f32 ({row} bytes), from a multiple of 4 bytes on"),
            format!("{bytes} bytes from {} on", slice.offset()),
        );
    }
    let has = slice.buffer().usage();
    if !has.contains(usage) {
        return refuse(format!("one with the usage {usage:?}"), format!("{has:?}"));
    }
    usize::try_from(bytes / row).or_else(|_| refuse("fewer rows".into(), bytes.to_string()))
}
