//! Inference recorded into the host app's encoders, in chunks of its own. Nothing here submits, polls or
//! waits.

use super::arrival::{Arrival, Outcome};
use super::buffers::{Buffers, SLOT_STRIDE, bytes_of};
use super::pipeline::Pipelines;
use super::program::{Builder, Dispatch};
use super::tuning::Variants;
use super::{GpuEngine, compute_pass};
use crate::engine::cpu::evaluation_steps;
use crate::engine::{Part, Step};
use crate::error::{Error, Result};
use crate::plan::Plan;

/// The forward pass for as many rows at once as inference takes.
#[derive(Debug)]
pub(crate) struct Inference {
    /// The engine's, with room for these rows.
    plan: Plan,
    /// The engine's, with activations for these rows.
    buffers: Buffers,
    dispatches: Vec<Dispatch>,
}

impl Inference {
    /// Makes it from what the engine has: with buffers of its own only if it takes more rows at once.
    pub(crate) fn new(
        plan: &Plan,
        buffers: &Buffers,
        pipelines: &mut Pipelines,
        variants: &Variants,
    ) -> Self {
        let training_rows = plan.capacity();
        let plan = plan.for_inference(&buffers.device.limits());
        let is_larger = plan.capacity() > training_rows;
        let buffers = if is_larger { buffers.with_forward_of(&plan) } else { buffers.clone() };
        let dispatches = Builder::new(&plan, &buffers, pipelines, variants).outputs_of_batch();
        Self { plan, buffers, dispatches }
    }
}

impl GpuEngine {
    /// Records the net's outputs for rows in the host's buffers, with the parameters as they are at
    /// that point of the encoder. Both slices hold f32, row-major and without gaps: `input` rows ×
    /// `in_features`, `output` rows × `out_features`; how many rows follows from their lengths.
    /// Evaluation mode: nothing is dropped, batch norms take their running statistics.
    ///
    /// Many rows go through the net in chunks, a pass each: usually of 16,384 rows, fewer if the net is wide, so
    /// that their buffers take 4 MiB, but no fewer than in training. If a batch norm takes the batch's own
    /// statistics, chunks are those of [`predict`](crate::Engine::predict).
    ///
    /// Makes nothing that stays, and never submits, polls or waits. `input` needs the usage `COPY_SRC`,
    /// `output` `COPY_DST`, as the rows pass through buffers of the engine.
    ///
    /// # Errors
    /// [`Error::Shape`] if the slices are no whole rows, don't have the same number of them, or lack
    /// a usage; [`Error::Sequence`] before [`prepare`](Self::prepare) where no data set was given either;
    /// [`Error::Model`] for a single row and a batch norm without running statistics;
    /// [`Error::Pending`] if too much is recorded that isn't known to be done; [`Error::Lost`] if the device is
    /// gone.
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
        let mut chunks = evaluation_steps(&self.inference.plan, rows).map(|step| step.batch);
        let Some(most) = chunks.next() else { return Ok(()) };
        let parts = [most, chunks.last().unwrap_or(most)].map(|rows| {
            (Step::evaluation(0, rows), Part { row0: 0, rows, is_first: true, is_last: true })
        });
        let first = self.slots.write(&parts, most as usize, false)?.first;
        let (arrival, ticket) = Arrival::new();
        self.slots.hold(first, parts.len(), &arrival);
        let Self { inference: Inference { buffers, dispatches, .. }, stats, .. } = self;
        let result = &buffers.activations[buffers.activations.len() - 1];
        let most = most as usize;
        for start in (0..rows).step_by(most) {
            let now = most.min(rows - start);
            let (slot, part) = if now == most { (first, 0) } else { (first + 1, 1) };
            let (from, to) = (bytes_of(start * in_features), bytes_of(start * out_features));
            encoder.copy_buffer_to_buffer(
                input.buffer(),
                input.offset() + from,
                &buffers.batch_inputs,
                0,
                bytes_of(now * in_features),
            );
            let mut pass = compute_pass(encoder, "wgrad.inference");
            for dispatch in dispatches.iter() {
                dispatch.record(&mut pass, slot * SLOT_STRIDE, parts[part].1.rows);
                stats.dispatches += 1;
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
