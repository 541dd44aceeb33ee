//! The engine that runs the twins on the CPU.

mod passes;

use super::{Engine, Keep, Metrics, Part, Report, Step, check_arena, check_data, rows_of};
use crate::data::Dataset;
use crate::error::Result;
use crate::insight::{self, Insight};
use crate::ops::insight::{dead_units, insight as measure};
use crate::ops::loss::RowMetrics;
use crate::ops::norm::Statistics;
use crate::ops::optimizer::{self, Arenas};
use crate::optimizer::{Update, group_of};
use crate::plan::{Plan, Stage};
use crate::real::Real;

/// Trains and evaluates on the CPU: in `f32` the reference and the fallback where there is no GPU,
/// in `f64` the oracle of the tests.
///
/// ```
/// use wgrad::{CpuEngine, Engine, Loss, Mlp, Optimizer, Plan, TrainOptions};
/// let mlp = Mlp::new(2).linear(1);
/// let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)))?;
/// let mut engine = CpuEngine::<f32>::new(plan);
/// assert_eq!(engine.predict(&[0.0, 0.0, 1.0, 1.0])?.len(), 2);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct CpuEngine<T> {
    plan: Plan,
    parameters: Vec<T>,
    gradients: Vec<T>,
    moments: [Vec<T>; 3],
    /// Averaged weights, where they are kept.
    averages: Vec<T>,
    /// The last good parameters and averages, and the best.
    kept: [[Vec<T>; 2]; 2],
    /// Y of each stage, and behind it what else its derivative needs.
    activations: Vec<Vec<T>>,
    /// Of each norm stage's groups.
    statistics: Vec<Vec<Statistics<T>>>,
    /// Sums over each norm stage's columns or groups, on the way back.
    sums: Vec<Vec<[T; 2]>>,
    /// dL/dZ of the stage at hand and of the one before it.
    errors: [Vec<T>; 2],
    batch_inputs: Vec<T>,
    batch_targets: Vec<T>,
    batch_weights: Vec<T>,
    loss_weights: Vec<T>,
    row_metrics: Vec<RowMetrics<T>>,
    /// Directions and denominators of the optimizer, where insights are wanted.
    measured: Vec<[T; 2]>,
    reports: Vec<Report>,
}

/// A data set in the CPU engine's number type.
#[derive(Debug)]
pub struct CpuData<T> {
    inputs: Vec<T>,
    targets: Vec<T>,
    /// What each row counts; empty if all count 1.
    weights: Vec<T>,
    rows: usize,
}

impl<T: Real> CpuEngine<T> {
    /// Allocates everything the plan says and initialises the parameters.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let rows = plan.capacity();
        let options = plan.options();
        let zeros = |len: usize| vec![T::ZERO; len];
        let trained = plan.trained_len();
        let moment = |index| zeros(if index < options.optimizer.moments() { trained } else { 0 });
        let parameters: Vec<T> = cast(&plan.initial_parameters());
        let averages =
            if options.ema.is_some() { parameters[..trained].to_vec() } else { Vec::new() };
        let kept = [parameters.clone(), averages.clone()];
        let best = if options.early_stopping.is_some() { kept.clone() } else { Default::default() };
        let measured = if options.insight_every.is_some() { trained } else { 0 };
        let groups = |stage: &Stage| stage.norm_groups(rows);
        // A layer norm's sums are first those of its columns, then those of its rows.
        let sums = |stage: &Stage| match groups(stage) {
            0 => 0,
            groups => groups.max(stage.in_features),
        };
        Self {
            parameters,
            gradients: zeros(trained),
            moments: [moment(0), moment(1), moment(2)],
            averages,
            kept: [kept, best],
            activations: plan.stages().iter().map(|s| zeros(s.activation_len(rows))).collect(),
            statistics: plan
                .stages()
                .iter()
                .map(|s| vec![Statistics::default(); groups(s)])
                .collect(),
            sums: plan.stages().iter().map(|s| vec![[T::ZERO; 2]; sums(s)]).collect(),
            errors: std::array::from_fn(|_| zeros(rows * plan.widest_output())),
            batch_inputs: zeros(rows * plan.mlp().in_features()),
            batch_targets: zeros(rows * plan.target_width()),
            batch_weights: zeros(rows),
            loss_weights: cast(&options.loss.weights(plan.mlp().out_features())),
            row_metrics: vec![RowMetrics::default(); rows],
            measured: vec![[T::ZERO; 2]; measured],
            reports: Vec::new(),
            plan,
        }
    }

    /// The gradient arena of the last training step, laid out as the plan says.
    #[must_use]
    pub fn gradients(&self) -> &[T] {
        &self.gradients
    }

    /// The parameter arena in the engine's own precision.
    #[must_use]
    pub fn parameters_exact(&self) -> &[T] {
        &self.parameters
    }

    /// The parameter arena, to change it in the engine's own precision.
    pub fn parameters_exact_mut(&mut self) -> &mut [T] {
        &mut self.parameters
    }

    /// Sums of the loss over all rows of a data set, now and in the engine's own precision.
    pub fn loss_of(&mut self, data: &CpuData<T>) -> Metrics {
        let mut sum = Metrics::default();
        for step in evaluation_steps(&self.plan, data.rows) {
            for part in step.parts(self.plan.capacity()) {
                sum += self.forward_and_loss(data, &step, part);
            }
        }
        sum
    }

    /// [`loss_of`](Self::loss_of) one batch of all rows as training sees it: norms take the batch's
    /// statistics, and dropout draws the masks of step `number` (counted from 1).
    pub fn training_loss_of(&mut self, data: &CpuData<T>, number: u64) -> Metrics {
        let mut sum = Metrics::default();
        for evaluation in evaluation_steps(&self.plan, data.rows) {
            let dropout_key = Step::dropout_key(self.plan.options().seed, number);
            let step = Step { number, dropout_key, ..evaluation };
            for part in step.parts(self.plan.options().rows_at_once()) {
                sum += self.forward_and_loss(data, &step, part);
            }
        }
        sum
    }

    /// The optimizer's step from the gradients of its whole batch.
    fn update(&mut self, step: &Step) {
        let trained = self.plan.trained_len();
        let [moment1, moment2, moment3] = &mut self.moments;
        let options = self.plan.options();
        optimizer::optimizer(
            &options.optimizer.rule,
            options.clip,
            self.plan.group_ends(),
            &step.update.cast(),
            Arenas {
                gradients: &self.gradients,
                parameters: &mut self.parameters[..trained],
                moments: [moment1, moment2, moment3],
                averages: &mut self.averages,
                measured: if step.insight { &mut self.measured } else { &mut [] },
            },
        );
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
                    &self.gradients[range.clone()],
                    &self.parameters[range.clone()],
                    &self.measured[range],
                )
            })
            .collect();
        let dead: Vec<u32> = insight::relu_stages(plan)
            .map(|(index, stage)| {
                let start = stage.kept(plan.capacity()).start;
                let len = part.rows as usize * stage.out_features;
                let kept = &self.activations[index][start..start + len];
                dead_units(stage.out_features, kept)
            })
            .collect();
        insight::assemble(plan, step.number, &step.update, &tensors, &dead)
    }
}

impl<T: Real> Engine for CpuEngine<T> {
    type Data = CpuData<T>;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn name(&self) -> &'static str {
        "cpu"
    }

    fn upload(&mut self, data: &Dataset) -> Result<Self::Data> {
        check_data(&self.plan, data)?;
        Ok(CpuData {
            inputs: cast(data.inputs()),
            targets: cast(&data.targets().to_f32()),
            weights: cast(data.weights()),
            rows: data.rows(),
        })
    }

    fn steps_at_once(&self) -> usize {
        1
    }

    fn train(&mut self, data: &Self::Data, steps: &[Step]) -> Result<()> {
        for step in steps {
            let mut metrics = Metrics::default();
            let mut insight = None;
            for part in step.parts(self.plan.options().rows_at_once()) {
                metrics += self.forward_and_loss(data, step, part);
                self.backward(step, part);
                if part.is_last {
                    self.update(step);
                    insight = step.insight.then(|| Box::new(self.insight(step, part)));
                }
            }
            self.reports.push(Report { step: Some(step.number), metrics, insight });
        }
        Ok(())
    }

    fn evaluate(&mut self, data: &Self::Data, rows: u32) -> Result<()> {
        for step in evaluation_steps(&self.plan, data.rows.min(rows as usize)) {
            for part in step.parts(self.plan.capacity()) {
                let metrics = self.forward_and_loss(data, &step, part);
                self.reports.push(Report { step: None, metrics, insight: None });
            }
        }
        Ok(())
    }

    fn reports(&mut self, into: &mut Vec<Report>) -> Result<()> {
        into.append(&mut self.reports);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>> {
        let (in_features, outputs) =
            (self.plan.mlp().in_features(), self.plan.mlp().out_features());
        let rows = rows_of(&self.plan, inputs)?;
        let mut predictions = Vec::with_capacity(rows * outputs);
        for step in evaluation_steps(&self.plan, rows) {
            let (first, rows) = (step.first as usize, step.batch as usize);
            let batch = &inputs[first * in_features..(first + rows) * in_features];
            self.batch_inputs.iter_mut().zip(batch).for_each(|(x, &value)| *x = T::from_f32(value));
            self.forward(rows, None);
            let last = &self.activations[self.activations.len() - 1];
            predictions.extend(last[..rows * outputs].iter().map(|y| y.to_f32()));
        }
        Ok(predictions)
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        Ok(self.parameters.iter().map(|w| w.to_f32()).collect())
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_arena(&self.plan, parameters)?;
        self.parameters = cast(parameters);
        Ok(())
    }

    fn swap_average(&mut self) {
        self.averages.iter_mut().zip(&mut self.parameters).for_each(|(a, w)| std::mem::swap(a, w));
    }

    fn keep(&mut self, which: Keep) {
        let [parameters, averages] = &mut self.kept[which as usize];
        parameters.copy_from_slice(&self.parameters);
        averages.copy_from_slice(&self.averages);
    }

    fn restore(&mut self, which: Keep) {
        let [parameters, averages] = &self.kept[which as usize];
        self.parameters.copy_from_slice(parameters);
        self.averages.copy_from_slice(averages);
        self.moments.iter_mut().for_each(|moment| moment.fill(T::ZERO));
    }
}

fn cast<T: Real>(numbers: &[f32]) -> Vec<T> {
    numbers.iter().map(|&x| T::from_f32(x)).collect()
}

/// Batches that cover `rows` rows in order, as few as the buffers allow and of about the same size:
/// a norm without running statistics needs more than a row at the end.
#[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
pub(crate) fn evaluation_steps(plan: &Plan, rows: usize) -> impl Iterator<Item = Step> + use<> {
    let batches = rows.div_ceil(plan.capacity()).max(1);
    let size = rows.div_ceil(batches).max(1);
    (0..rows)
        .step_by(size)
        .map(move |first| Step::evaluation(first as u32, size.min(rows - first) as u32))
}
