//! The engine that runs the twins on the CPU.

use super::{Engine, Metrics, Report, Step, check_arena, check_data, rows_of};
use crate::data::Dataset;
use crate::error::Result;
use crate::ops::loss::RowMetrics;
use crate::ops::{activation, linear, loss, metrics, optimizer, sample};
use crate::plan::Plan;
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
    moments: [Vec<T>; 2],
    kept: Vec<T>,
    /// Y of each stage, and Z behind it where it is kept.
    activations: Vec<Vec<T>>,
    /// dL/dZ of the stage at hand and of the one before it.
    errors: [Vec<T>; 2],
    batch_inputs: Vec<T>,
    batch_targets: Vec<T>,
    loss_weights: Vec<T>,
    row_metrics: Vec<RowMetrics<T>>,
    reports: Vec<Report>,
}

/// A data set in the CPU engine's number type.
#[derive(Debug)]
pub struct CpuData<T> {
    inputs: Vec<T>,
    targets: Vec<T>,
    rows: usize,
}

impl<T: Real> CpuEngine<T> {
    /// Allocates everything the plan says and initialises the parameters.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let rows = plan.capacity();
        let zeros = |len: usize| vec![T::ZERO; len];
        let moment = |index| {
            let has = index < plan.options().optimizer.moments();
            zeros(if has { plan.arena_len() } else { 0 })
        };
        let parameters = cast(&plan.initial_parameters());
        Self {
            kept: parameters.clone(),
            parameters,
            gradients: zeros(plan.arena_len()),
            moments: [moment(0), moment(1)],
            activations: plan.stages().iter().map(|s| zeros(s.activation_len(rows))).collect(),
            errors: std::array::from_fn(|_| zeros(rows * plan.widest_output())),
            batch_inputs: zeros(rows * plan.mlp().in_features()),
            batch_targets: zeros(rows * plan.target_width()),
            loss_weights: cast(&plan.options().loss.weights(plan.mlp().out_features())),
            row_metrics: vec![RowMetrics::default(); rows],
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
            sum += self.forward_and_loss(data, &step);
        }
        sum
    }

    /// Gathers the batch and computes the activations of all stages.
    fn forward(&mut self, rows: usize) {
        let capacity = self.plan.capacity();
        for (index, stage) in self.plan.stages().iter().enumerate() {
            let (before, rest) = self.activations.split_at_mut(index);
            let input = match before.last() {
                Some(previous) => &previous[..rows * stage.in_features],
                None => &self.batch_inputs[..rows * stage.in_features],
            };
            let len = rows * stage.out_features;
            let offset = stage.preactivation_offset(capacity).min(rest[0].len());
            let (output, preactivation) = rest[0].split_at_mut(offset);
            let kept = if preactivation.is_empty() { 0 } else { len };
            linear::linear_forward(
                stage.activation,
                input,
                &self.parameters[stage.weight.range()],
                &self.parameters[stage.bias.range()],
                &mut output[..len],
                &mut preactivation[..kept],
            );
        }
    }

    fn forward_and_loss(&mut self, data: &CpuData<T>, step: &Step) -> Metrics {
        let rows = step.batch as usize;
        let (inputs, targets) = (self.plan.mlp().in_features(), self.plan.target_width());
        let outputs = self.plan.mlp().out_features();
        let gather = |columns: usize, from: &[T], into: &mut [T]| {
            sample::sample(&step.order, step.first, columns, from, &mut into[..rows * columns]);
        };
        gather(inputs, &data.inputs, &mut self.batch_inputs);
        gather(targets, &data.targets, &mut self.batch_targets);
        self.forward(rows);
        let last = &self.activations[self.activations.len() - 1];
        loss::loss(
            &self.plan.options().loss,
            &last[..rows * outputs],
            &self.batch_targets[..rows * targets],
            &self.loss_weights,
            &mut self.errors[0][..rows * outputs],
            &mut self.row_metrics[..rows],
        );
        Metrics::new(step.batch, metrics::metrics(&self.row_metrics[..rows]))
    }

    /// Gradients of all parameters from dL/dY of the last stage in `errors[0]`.
    fn backward(&mut self, rows: usize) {
        let capacity = self.plan.capacity();
        let kept = |index: usize| {
            let stage = &self.plan.stages()[index];
            let start = stage.kept(capacity).start;
            &self.activations[index][start..start + rows * stage.out_features]
        };
        let [current, previous] = &mut self.errors;
        let last = self.plan.last_stage();
        let last_index = self.plan.stages().len() - 1;
        activation::activation_backward(
            last.activation,
            kept(last_index),
            &mut current[..rows * last.out_features],
        );
        for (index, stage) in self.plan.stages().iter().enumerate().rev() {
            let gradient_output = &current[..rows * stage.out_features];
            let input = match index {
                0 => &self.batch_inputs[..rows * stage.in_features],
                _ => &self.activations[index - 1][..rows * stage.in_features],
            };
            // The bias lies behind the weight in the arena.
            let (weight, bias) = self.gradients.split_at_mut(stage.bias.offset);
            linear::linear_backward_weight(
                gradient_output,
                input,
                &mut weight[stage.weight.range()],
                &mut bias[..stage.bias.len()],
            );
            if index > 0 {
                linear::linear_backward_input(
                    self.plan.stages()[index - 1].activation,
                    gradient_output,
                    &self.parameters[stage.weight.range()],
                    stage.out_features,
                    kept(index - 1),
                    &mut previous[..rows * stage.in_features],
                );
                std::mem::swap(current, previous);
            }
        }
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
        let targets = cast(&data.targets().to_f32());
        Ok(CpuData { inputs: cast(data.inputs()), targets, rows: data.rows() })
    }

    fn steps_at_once(&self) -> usize {
        1
    }

    fn train(&mut self, data: &Self::Data, steps: &[Step]) -> Result<()> {
        for step in steps {
            let metrics = self.forward_and_loss(data, step);
            self.backward(step.batch as usize);
            let [moment1, moment2] = &mut self.moments;
            optimizer::optimizer(
                &self.plan.options().optimizer,
                &step.update.cast(),
                &self.gradients,
                &mut self.parameters,
                moment1,
                moment2,
            );
            self.reports.push(Report { step: Some(step.number), metrics });
        }
        Ok(())
    }

    fn evaluate(&mut self, data: &Self::Data, rows: u32) -> Result<()> {
        for step in evaluation_steps(&self.plan, data.rows.min(rows as usize)) {
            let metrics = self.forward_and_loss(data, &step);
            self.reports.push(Report { step: None, metrics });
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
        let mut predictions = Vec::with_capacity(rows_of(inputs, in_features)? * outputs);
        for batch in inputs.chunks(self.plan.capacity() * in_features) {
            self.batch_inputs.iter_mut().zip(batch).for_each(|(x, &value)| *x = T::from_f32(value));
            let rows = batch.len() / in_features;
            self.forward(rows);
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

    fn keep(&mut self) {
        self.kept.copy_from_slice(&self.parameters);
    }

    fn restore(&mut self) {
        self.parameters.copy_from_slice(&self.kept);
        self.moments.iter_mut().for_each(|moment| moment.fill(T::ZERO));
    }
}

fn cast<T: Real>(numbers: &[f32]) -> Vec<T> {
    numbers.iter().map(|&x| T::from_f32(x)).collect()
}

/// Batches that cover `rows` rows in order, as full as the buffers allow.
#[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
pub(crate) fn evaluation_steps(plan: &Plan, rows: usize) -> impl Iterator<Item = Step> + use<> {
    let capacity = plan.capacity();
    let update = plan.options().optimizer.update(1, 0.0);
    (0..rows).step_by(capacity).map(move |first| Step {
        number: 0,
        batch: capacity.min(rows - first) as u32,
        first: first as u32,
        order: crate::sampler::Order::Sequential,
        update,
    })
}
