//! The dispatches of a training step one by one, for measurements.

use super::GpuData;
use super::GpuEngine;
use super::buffers::SLOT_STRIDE;
use super::program::Dispatch;
use super::timer::PassTimer;
use super::tune::LONGEST;
use crate::bench::Samples;
use crate::engine::{Engine as _, Part, Step};
use crate::error::Result;
use crate::sampler::Order;

impl GpuEngine {
    /// Kernel and place of each dispatch of a training step, in order.
    pub(crate) fn step_dispatches(&self, data: &GpuData) -> Vec<(&'static str, String)> {
        let named = |dispatch: &Dispatch| (dispatch.kernel, dispatch.place.clone());
        self.of_step(data).map(named).collect()
    }

    /// Kernels that a training on `data` has to do with.
    pub(crate) fn kernels<'a>(
        &'a self,
        data: &'a GpuData,
    ) -> impl Iterator<Item = &'static str> + 'a {
        let is_measured = self.plan.options().insight_every.is_some();
        let training = self.program.of_training(&data.feed, true, true, is_measured);
        training.chain(self.program.of_evaluation(&data.feed)).map(|dispatch| dispatch.kernel)
    }

    /// Does one training step on the first rows of `data` that leaves the parameters as they are, so
    /// that every buffer holds what it does in training.
    pub(crate) fn rehearse(&mut self, data: &GpuData) -> Result<()> {
        let (step, _) = self.rehearsed_step(data);
        self.train(data, &[step])?;
        self.finish()
    }

    /// Seconds that dispatch `index` of the step takes `times` times in a row.
    pub(crate) fn time_dispatch(
        &mut self,
        data: &GpuData,
        index: usize,
        times: u64,
        timer: &PassTimer,
    ) -> Result<f64> {
        let (step, part) = self.rehearsed_step(data);
        let slot = self.write_steps(data, &[(step, part)])?.first;
        timer.seconds(|pass| {
            for dispatch in self.of_step(data).skip(index).take(1) {
                for _ in 0..times {
                    dispatch.record(pass, slot * SLOT_STRIDE, part.rows);
                }
            }
        })
    }

    /// Seconds of all dispatches of the step, the median over about `seconds`.
    pub(super) fn time_step(
        &mut self,
        data: &GpuData,
        seconds: f64,
        timer: &PassTimer,
    ) -> Result<f64> {
        self.repeat(data, seconds, timer, |engine, pass, offset, rows| {
            engine.of_step(data).for_each(|dispatch| dispatch.record(pass, offset, rows));
        })
    }

    /// Seconds of what `record` records, for a slot at this offset and so many rows; the median over about
    /// `seconds`.
    pub(super) fn repeat(
        &mut self,
        data: &GpuData,
        seconds: f64,
        timer: &PassTimer,
        record: impl Fn(&Self, &mut wgpu::ComputePass<'_>, u32, u32),
    ) -> Result<f64> {
        let (step, part) = self.rehearsed_step(data);
        let slot = self.write_steps(data, &[(step, part)])?.first;
        let timed = |times| {
            timer.seconds(|pass| {
                (0..times).for_each(|_| record(self, pass, slot * SLOT_STRIDE, part.rows));
            })
        };
        Ok(Samples::take(seconds, LONGEST, timed)?.seconds)
    }

    fn of_step<'a>(&'a self, data: &'a GpuData) -> impl Iterator<Item = &'a Dispatch> {
        self.program.of_training(&data.feed, true, true, false)
    }

    /// The first step of a training without micro-batches, at a learning rate of 0.
    fn rehearsed_step(&self, data: &GpuData) -> (Step, Part) {
        let options = self.plan.options();
        let rows = options.rows_at_once().min(data.rows);
        #[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
        let batch = rows as u32;
        let step = Step {
            number: 1,
            batch,
            first: 0,
            order: Order::new(options.sampling, options.seed, 0, 1),
            loss_scale: f64::from(batch).recip(),
            dropout_key: Step::dropout_key(options.seed, 1),
            update: self.plan.updates().at(1, 0.0),
            insight: false,
        };
        (step, Part { row0: 0, rows: batch, is_first: true, is_last: true })
    }
}
