//! What the engine submits by itself: whole trainings, evaluations and predictions.

use std::time::Instant;

use super::buffers::{Buffers, SLOT_STRIDE, SLOTS, bytes_of, storage};
use super::flights::{self, MAX_PARTS};
use super::luggage::{METRICS_STAGED, Measured};
use super::scope::{in_scope, lost_or};
use super::slots::Written;
use super::tuning::Tuning;
use super::{GpuData, GpuEngine, compute_pass, copy, readback, scope};
use crate::data::Dataset;
use crate::engine::cpu::{evaluation_size, evaluation_steps, steps_of};
use crate::engine::state::{Arena, EngineState, Numbers};
use crate::engine::{Engine, Keep, Part, Report, Step, check_parameters, rows_of};
use crate::error::{Error, Result};
use crate::plan::Plan;

impl GpuEngine {
    /// Writes the scalars of parts that are submitted next.
    pub(super) fn write_steps(
        &mut self,
        data: &GpuData,
        parts: &[(Step, Part)],
    ) -> Result<Written> {
        self.slots.write(parts, data.rows, data.weighted)
    }

    /// Refuses what has to know that all recorded steps are done.
    fn check_nothing_pending(&mut self) -> Result<()> {
        match self.slots.pending() {
            0 => Ok(()),
            slots => Err(Error::Pending { slots }),
        }
    }

    /// How many parts a submission of our own can have beside what the host app has recorded. It is as
    /// many for all submissions of a call, so that is refused before it begins or not at all.
    fn room(&mut self) -> Result<usize> {
        match self.slots.free() {
            0 => Err(Error::Pending { slots: SLOTS }),
            free => Ok(free),
        }
    }

    /// Submits at most [`MAX_PARTS`] parts of training steps or of an evaluation, of which the last
    /// alone may be measured.
    fn submit(&mut self, data: &GpuData, parts: &[(Step, Part)]) -> Result<()> {
        self.identity.check(&data.owner)?;
        let written = self.write_steps(data, parts)?;
        let first = written.first;
        let (mut luggage, waited) = self.flights.take_idle()?;
        self.stats.throttles += u64::from(waited);
        let device = self.device.clone();
        in_scope(&device, "submitting steps", || {
            let mut encoder = self.encoder("wgrad.steps");
            self.clear_faults(&mut encoder, first, parts.len());
            let mut pass = compute_pass(&mut encoder, "wgrad.steps");
            self.record(&mut pass, data, first, parts, Some(&mut luggage.entries));
            drop(pass);
            luggage.pack(&mut encoder, &self.buffers, written);
            let measured = parts.last().filter(|(step, part)| step.insight && part.is_last);
            if let (Some((step, _)), Some(from)) = (measured, &self.program.insight) {
                let staging = &luggage.staging;
                encoder.copy_buffer_to_buffer(from, 0, staging, METRICS_STAGED, from.size());
                luggage.measured = Some(Measured { step: step.number, update: step.update });
            }
            let submission = self.queue.submit([encoder.finish()]);
            self.stats.submissions += 1;
            self.flights.push(luggage, submission);
        })
    }

    /// Writes to one of the engine's buffers, before what is submitted next.
    fn write(&self, buffer: &wgpu::Buffer, content: &[f32], during: &'static str) -> Result<()> {
        let content = bytemuck::cast_slice(content);
        in_scope(&self.device, during, || scope::write(&self.queue, buffer, 0, content, during))?
    }

    /// Submits copies between the engine's buffers. What goes wrong shows in the next call that can tell.
    fn submit_copies(
        &mut self,
        label: &str,
        record: impl FnOnce(&Self, &mut wgpu::CommandEncoder),
    ) {
        let _ = in_scope(&self.device, "copying parameters", || {
            let mut encoder = self.encoder(label);
            record(self, &mut encoder);
            self.queue.submit([encoder.finish()]);
        });
        self.stats.submissions += 1;
    }

    /// A result, whose error tells if the device is gone.
    pub(super) fn told<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| lost_or(&self.device, &self.queue, error))
    }

    fn give_steps(&mut self, data: &GpuData, steps: &[Step]) -> Result<()> {
        let micro_batch = self.plan.options().rows_at_once();
        let room = self.room()?;
        let mut parts = std::mem::take(&mut self.parts);
        parts.clear();
        for step in steps {
            for part in step.parts(micro_batch) {
                parts.push((*step, part));
                // What is measured leaves with the submission that made it.
                if parts.len() == room || step.insight && part.is_last {
                    self.submit(data, &parts)?;
                    parts.clear();
                }
            }
        }
        if !parts.is_empty() {
            self.submit(data, &parts)?;
        }
        self.parts = parts;
        Ok(())
    }

    fn give_evaluation(&mut self, data: &GpuData, rows: u32) -> Result<()> {
        let (capacity, room) = (self.plan.capacity(), self.room()?);
        let mut parts = evaluation_steps(&self.plan, data.rows.min(rows as usize))
            .flat_map(|step| step.parts(capacity).map(move |part| (step, part)));
        loop {
            let batch: Vec<_> =
                parts.by_ref().take(self.flights.parts_at_once().min(room)).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.submit(data, &batch)?;
        }
    }

    fn predict_all(&mut self, inputs: &[f32]) -> Result<Vec<f32>> {
        let in_features = self.plan.mlp().in_features();
        let rows = rows_of(&self.plan, inputs)?;
        let room = self.room()?;
        let mut predictions = Vec::with_capacity(rows * self.plan.mlp().out_features());
        let limits = self.device.limits();
        let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        // The plan has checked that one batch fits.
        let batches_that_fit = limit / bytes_of(self.plan.capacity() * self.plan.widest());
        let most = usize::try_from(batches_that_fit).unwrap_or(MAX_PARTS).max(1);
        // The same batches however many of them a submission takes.
        let size = evaluation_size(&self.plan, rows);
        let mut left = inputs;
        while !left.is_empty() {
            // As much as one submission should take.
            let block = size * self.flights.parts_at_once().min(most).min(room);
            let (now, later) = left.split_at(left.len().min(block * in_features));
            predictions.extend(self.predict_block(now, now.len() / in_features, size)?);
            left = later;
        }
        Ok(predictions)
    }

    /// The content of a buffer after everything submitted so far. Waits for it.
    pub(super) fn download(&mut self, buffer: &wgpu::Buffer) -> Result<Vec<f32>> {
        self.stats.waits += 1;
        self.told(readback::download(&self.device, &self.queue, buffer))
    }

    /// Predicts one submission's worth of rows, in batches of `size`.
    fn predict_block(&mut self, inputs: &[f32], rows: usize, size: usize) -> Result<Vec<f32>> {
        let start = Instant::now();
        let data = self.upload_arrays(inputs, &[], false, rows)?;
        let outputs = self.plan.mlp().out_features();
        let predictions = in_scope(&self.device, "predicting", || {
            storage(&self.device, "predictions", rows * outputs)
        })?;
        let capacity = self.plan.capacity();
        let parts: Vec<(Step, Part)> = steps_of(size, rows)
            .flat_map(|step| step.parts(capacity).map(move |part| (step, part)))
            .collect();
        let first_slot = self.write_steps(&data, &parts)?.first;
        let device = self.device.clone();
        in_scope(&device, "predicting", || {
            self.submit_outputs(&data, first_slot, &parts, &predictions);
        })?;
        self.stats.waits += 1;
        let predictions = readback::download(&self.device, &self.queue, &predictions)?;
        self.flights.adapt(start.elapsed().as_secs_f64(), parts.len());
        Ok(predictions)
    }

    /// Submits the forward pass of parts, whose scalars are in the slots from `first_slot` on, and the copy
    /// of their outputs into one buffer.
    fn submit_outputs(
        &mut self,
        data: &GpuData,
        first_slot: u32,
        parts: &[(Step, Part)],
        predictions: &wgpu::Buffer,
    ) {
        let outputs = self.plan.mlp().out_features();
        let output = &self.buffers.activations[self.buffers.activations.len() - 1];
        let mut encoder = self.encoder("wgrad.predict");
        let mut first = 0;
        for (slot, (_, part)) in (first_slot..).zip(parts) {
            let mut pass = compute_pass(&mut encoder, "wgrad.predict");
            for dispatch in self.program.outputs(&data.feed) {
                dispatch.record(&mut pass, slot * SLOT_STRIDE, part.rows);
                self.stats.dispatches += 1;
            }
            drop(pass);
            let len = part.rows as usize * outputs;
            encoder.copy_buffer_to_buffer(output, 0, predictions, bytes_of(first), bytes_of(len));
            first += len;
        }
        self.queue.submit([encoder.finish()]);
        self.stats.submissions += 1;
    }

    fn encoder(&self, label: &str) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(label) })
    }
}

impl Engine for GpuEngine {
    type Data = GpuData;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn name(&self) -> &'static str {
        "gpu"
    }

    fn tuning(&self) -> Tuning {
        self.variants.tuning.clone()
    }

    fn upload(&mut self, data: &Dataset) -> Result<Self::Data> {
        let result = self.upload_data(data);
        self.told(result)
    }

    fn steps_at_once(&self) -> usize {
        (self.flights.parts_at_once() / self.plan.options().parts()).max(1)
    }

    fn train(&mut self, data: &Self::Data, steps: &[Step]) -> Result<()> {
        let result = self.give_steps(data, steps);
        self.told(result)
    }

    fn evaluate(&mut self, data: &Self::Data, rows: u32) -> Result<()> {
        let result = self.give_evaluation(data, rows);
        self.told(result)
    }

    fn reports(&mut self, into: &mut Vec<Report>) -> Result<()> {
        let result = self.flights.collect();
        self.flights.drain_reports(into);
        self.told(result)
    }

    fn finish(&mut self) -> Result<()> {
        let result = self.flights.wait_for_all();
        self.stats.waits += u64::from(self.told(result)?);
        Ok(())
    }

    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>> {
        let result = self.predict_all(inputs);
        self.told(result)
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        self.download(&self.buffers.parameters.clone())
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_parameters(&self.plan, parameters)?;
        let Buffers { parameters: trained, averages, kept, .. } = &self.buffers;
        let kept = &kept[Keep::LastGood as usize];
        let averages = averages.as_ref().map(|[averages, _]| averages);
        [trained, &kept.parameters]
            .into_iter()
            .chain(averages)
            .chain(&kept.averages)
            .try_for_each(|buffer| self.write(buffer, parameters, "setting parameters"))
    }

    fn reset(&mut self, seed: u64) -> Result<()> {
        self.plan.set_seed(seed);
        let device = self.device.clone();
        let result = in_scope(&device, "resetting the training", || {
            self.buffers.write_initial(&self.plan)?;
            let mut encoder = self.encoder("wgrad.reset");
            let moments = &self.buffers.moments;
            moments.iter().for_each(|moment| encoder.clear_buffer(moment, 0, None));
            self.queue.submit([encoder.finish()]);
            Ok(())
        })
        .and_then(|result| result);
        self.stats.submissions += 1;
        self.flights.forget();
        self.recordings.forget();
        self.told(result)
    }

    fn state(&mut self) -> Result<EngineState> {
        // Before the arenas come one by one: a thread of the host's may be about to submit steps.
        self.stats.waits += 1;
        flights::poll(&self.device, wgpu::PollType::wait_indefinitely())?;
        self.check_nothing_pending()?;
        let mut arenas = Vec::new();
        for arena in Arena::all(&self.plan) {
            arenas.push(Numbers::F32(self.download(&self.buffers.arena(arena).clone())?));
        }
        Ok(EngineState { arenas })
    }

    fn set_state(&mut self, state: &EngineState) -> Result<()> {
        self.stats.waits += 1;
        flights::poll(&self.device, wgpu::PollType::wait_indefinitely())?;
        self.check_nothing_pending()?;
        self.recordings.land()?;
        // Of the training that it was.
        self.recordings.forget();
        for (arena, numbers) in state.of_plan(&self.plan)? {
            let mut content = vec![0.0_f32; numbers.len()];
            numbers.copy_to(&mut content);
            self.write(self.buffers.arena(arena), &content, "setting the engine's state")?;
        }
        Ok(())
    }

    fn swap_average(&mut self) {
        if self.buffers.averages.is_some() {
            self.submit_copies("wgrad.swap_average", Self::encode_swap_average);
        }
    }

    fn keep(&mut self, which: Keep) {
        self.submit_copies("wgrad.keep", |engine, encoder| {
            let Buffers { parameters, averages, kept, .. } = &engine.buffers;
            let kept = &kept[which as usize];
            copy(encoder, parameters, &kept.parameters);
            if let (Some([averages, _]), Some(kept)) = (averages, &kept.averages) {
                copy(encoder, averages, kept);
            }
        });
    }

    fn restore(&mut self, which: Keep) {
        self.submit_copies("wgrad.restore", |engine, encoder| {
            let Buffers { parameters, averages, kept, moments, .. } = &engine.buffers;
            let kept = &kept[which as usize];
            copy(encoder, &kept.parameters, parameters);
            if let (Some([averages, _]), Some(kept)) = (averages, &kept.averages) {
                copy(encoder, kept, averages);
            }
            moments.iter().for_each(|moment| encoder.clear_buffer(moment, 0, None));
        });
    }
}
