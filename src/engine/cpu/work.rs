//! The engine's work: batches on their way through the net.

use super::lane::{Lane, Net};
use super::{CpuData, CpuEngine, evaluation_steps};
use crate::blocks::{RowsMut, in_blocks};
use crate::engine::{Metrics, Part, Report, Step, rows_of};
use crate::error::Result;
use crate::insight::{self, Insight};
use crate::ops::insight::insight as measure;
use crate::optimizer::{Update, group_of};
use crate::plan::StageOp;
use crate::real::Real;

/// The ways into the work, compiled here for each number type: generic code is compiled once more in
/// every crate that uses it, and behind these are all products, layers and optimizers.
pub trait Compiled: Sized {
    /// [`Engine::train`](crate::Engine::train).
    fn train(engine: &mut CpuEngine<Self>, data: &CpuData<Self>, steps: &[Step]);
    /// [`Engine::evaluate`](crate::Engine::evaluate).
    fn evaluate(engine: &mut CpuEngine<Self>, data: &CpuData<Self>, rows: u32);
    /// [`Engine::predict`](crate::Engine::predict).
    fn predict(engine: &mut CpuEngine<Self>, inputs: &[f32]) -> Result<Vec<f32>>;
    /// The loss over all rows, or as training sees it in the step of this number.
    fn loss(engine: &mut CpuEngine<Self>, data: &CpuData<Self>, step: Option<u64>) -> Metrics;
}

macro_rules! compiled {
    ($($type:ty),*) => {$(
        impl Compiled for $type {
            fn train(engine: &mut CpuEngine<Self>, data: &CpuData<Self>, steps: &[Step]) {
                engine.train_steps(data, steps);
            }
            fn evaluate(engine: &mut CpuEngine<Self>, data: &CpuData<Self>, rows: u32) {
                engine.evaluate_rows(data, rows);
            }
            fn predict(engine: &mut CpuEngine<Self>, inputs: &[f32]) -> Result<Vec<f32>> {
                engine.predict_rows(inputs)
            }
            fn loss(engine: &mut CpuEngine<Self>, data: &CpuData<Self>, step: Option<u64>) -> Metrics {
                engine.loss_sum(data, step)
            }
        }
    )*};
}
compiled!(f32, f64);
#[cfg(any(test, fuzzing))]
compiled!(crate::tracked::Tracked);

/// Multiply-adds of a step from which it is worth waking other threads.
pub(super) const POOLED: u64 = 1 << 20;

/// Runs `work` on a thread of the pool where it is `large`: there it shares work with others at
/// little cost, while a thread from outside would be woken and put to sleep each time.
fn in_pool<R: Send>(large: bool, work: impl FnOnce() -> R + Send) -> R {
    if large { rayon::scope(|_| work()) } else { work() }
}

impl<T: Real> CpuEngine<T> {
    fn train_steps(&mut self, data: &CpuData<T>, steps: &[Step]) {
        let large = self.plan.flops_per_step() >= POOLED;
        in_pool(large, || steps.iter().for_each(|step| self.train_step(data, step)));
    }

    fn train_step(&mut self, data: &CpuData<T>, step: &Step) {
        let mut metrics = Metrics::default();
        let (mut fault, mut insight) = (None, None);
        let mut lanes = 1;
        self.order_weights(true);
        for part in step.parts(self.plan.options().rows_at_once()) {
            metrics += self.run(data, step, part, true);
            // A later part may be smaller, but no larger.
            let rows = part.rows as usize;
            lanes = lanes.max(rows.div_ceil(self.division.share(rows)));
            if part.is_last {
                fault = self.update(step, lanes);
                let measured = step.insight && !fault.is_some_and(|fault| fault.skipped);
                insight = measured.then(|| Box::new(self.insight(step, part)));
            }
        }
        self.reports.push(Report { step: Some(step.number), metrics, fault, insight });
    }

    fn evaluate_rows(&mut self, data: &CpuData<T>, rows: u32) {
        let rows = data.rows.min(rows) as usize;
        in_pool(self.plan.flops_per_row() * rows as u64 >= POOLED, || {
            self.order_weights(false);
            for step in evaluation_steps(&self.plan, rows) {
                for part in step.parts(self.plan.capacity()) {
                    let metrics = self.run(data, &step, part, false);
                    let report = Report { step: None, metrics, fault: None, insight: None };
                    self.reports.push(report);
                }
            }
        });
    }

    fn loss_sum(&mut self, data: &CpuData<T>, number: Option<u64>) -> Metrics {
        self.order_weights(false);
        let options = self.plan.options();
        let (seed, training_rows) = (options.seed, options.rows_at_once());
        let mut sum = Metrics::default();
        for evaluation in evaluation_steps(&self.plan, data.rows as usize) {
            let (step, rows) = match number {
                None => (evaluation, self.plan.capacity()),
                Some(number) => {
                    let dropout_key = Step::dropout_key(seed, number);
                    (Step { number, dropout_key, ..evaluation }, training_rows)
                }
            };
            for part in step.parts(rows) {
                sum += self.run(data, &step, part, false);
            }
        }
        sum
    }

    fn predict_rows(&mut self, inputs: &[f32]) -> Result<Vec<f32>> {
        let (in_features, outputs) =
            (self.plan.mlp().in_features(), self.plan.mlp().out_features());
        let rows = rows_of(&self.plan, inputs)?;
        let mut predictions = vec![0.0; rows * outputs];
        in_pool(self.plan.flops_per_row() * rows as u64 >= POOLED, || {
            self.order_weights(false);
            let steps = evaluation_steps(&self.plan, rows);
            let division = self.division;
            let (net, running, lanes) = self.parts();
            for step in steps {
                let (first, rows) = (step.first as usize, step.batch as usize);
                let inputs = &inputs[first * in_features..][..rows * in_features];
                let outputs_of = &mut predictions[first * outputs..][..rows * outputs];
                let share = division.share(rows);
                let inputs = inputs.chunks(share * in_features);
                let work = inputs.zip(outputs_of.chunks_mut(share * outputs));
                match &mut *lanes {
                    [lane] => work.for_each(|(x, y)| lane.predict(&net, running, x, y)),
                    lanes => rayon::scope(|scope| {
                        for (lane, (x, y)) in lanes.iter_mut().zip(work) {
                            let net = &net;
                            scope.spawn(move |_| lane.predict(net, &mut [], x, y));
                        }
                    }),
                }
            }
        });
        Ok(predictions)
    }

    /// Brings the weights into the order of the products, where they have changed; that for the way
    /// back only in training, which changes them each time.
    fn order_weights(&mut self, backward: bool) {
        if std::mem::replace(&mut self.weights_are_current, !backward) && !backward {
            return;
        }
        let first = self.plan.first_trained();
        for (index, (stage, ordered)) in
            self.plan.stages().iter().zip(&mut self.weights).enumerate()
        {
            if let (StageOp::Linear { tensors: [weight, _] }, Some(ordered)) = (&stage.op, ordered)
            {
                ordered.set(&self.parameters[weight.range()], backward && index > first);
            }
        }
    }

    /// Takes a part of a batch through the net, and in training back.
    fn run(&mut self, data: &CpuData<T>, step: &Step, part: Part, backward: bool) -> Metrics {
        let share = self.division.share(part.rows as usize);
        let (net, running, lanes) = self.parts();
        match lanes {
            [lane] => {
                lane.run(&net, running, data, step, part, backward);
                lane.metrics
            }
            lanes => {
                let lanes = &mut lanes[..(part.rows as usize).div_ceil(share)];
                let work = (0..lanes.len(), RowsMut::new(lanes, 1));
                in_blocks(work, 1, &|(numbers, lanes)| {
                    for (lane, share) in
                        lanes.elements.iter_mut().zip(part.parts(share).skip(numbers.start))
                    {
                        let share = Part { is_first: part.is_first, ..share };
                        lane.run(&net, &mut [], data, step, share, backward);
                    }
                });
                let mut sum = Metrics::default();
                lanes.iter().for_each(|lane| sum += lane.metrics);
                sum
            }
        }
    }

    /// What lanes share, the running statistics, and the lanes.
    fn parts(&mut self) -> (Net<'_, T>, &mut [T], &mut [Lane<T>]) {
        let (parameters, running) = self.parameters.split_at_mut(self.plan.trained_len());
        let net = Net {
            plan: &self.plan,
            division: self.division,
            parameters,
            weights: &self.weights,
            loss_weights: &self.loss_weights,
        };
        (net, running, &mut self.lanes)
    }

    /// What the step just done did.
    fn insight(&self, step: &Step, part: Part) -> Insight {
        let plan = &self.plan;
        let update: Update<T> = step.update.cast();
        let tensors: Vec<_> = insight::measured_tensors(plan)
            .map(|tensor| {
                let range = tensor.range();
                let group = group_of(&plan.options().groups, tensor);
                measure(
                    &update.groups[group],
                    &self.lanes[0].gradients[range.clone()],
                    &self.parameters[range.clone()],
                    &self.measured[range],
                )
            })
            .collect();
        let rows = part.rows as usize;
        let lanes = &self.lanes[..rows.div_ceil(self.division.share(rows))];
        let is_dead = |stage: usize, unit: usize| lanes.iter().all(|lane| !lane.alive[stage][unit]);
        let dead: Vec<u32> = insight::relu_stages(plan)
            .enumerate()
            .map(|(index, (_, stage))| {
                (0..stage.out_features).map(|unit| u32::from(is_dead(index, unit))).sum()
            })
            .collect();
        insight::assemble(plan, step.number, &step.update, &tensors, &dead)
    }
}
