//! The engine that runs the twins on the CPU.

mod division;
mod lane;
mod memory;
mod passes;
#[cfg(test)]
mod tests;
mod update;

use self::division::Division;
use self::lane::{Lane, Net};
use self::passes::linear_weights;
use super::state::{Arena, EngineState, Numbers};
use super::{Engine, Keep, Metrics, Part, Report, Step, check_arena, check_data, rows_of};
use crate::blocks::{RowsMut, in_blocks};
use crate::data::Dataset;
use crate::error::Result;
use crate::insight::{self, Insight};
use crate::ops::insight::insight as measure;
use crate::ops::linear::LinearWeight;
use crate::ops::scaling::Scaling;
use crate::optimizer::{Update, group_of};
use crate::plan::{Plan, StageOp};
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
    division: Division,
    parameters: Vec<T>,
    moments: [Vec<T>; 3],
    /// Averaged weights, where they are kept.
    averages: Vec<T>,
    /// The last good parameters and averages, and the best.
    kept: [[Vec<T>; 2]; 2],
    /// Of each linear stage, in the order of the products.
    weights: Vec<Option<LinearWeight<T>>>,
    /// Whether `weights` are those of `parameters`.
    weights_are_current: bool,
    /// The first one's gradients become those of the whole batch.
    lanes: Vec<Lane<T>>,
    loss_weights: Vec<T>,
    /// Directions and denominators of the optimizer, where insights are wanted.
    measured: Vec<[T; 2]>,
    /// Of the gradients of each block of the arena, where their norm is asked for.
    squares: Vec<f64>,
    /// That of a GPU's training whose state this engine was given: here nothing is scaled.
    scaling: Vec<T>,
    reports: Vec<Report>,
}

/// A data set in the CPU engine's number type.
#[derive(Debug)]
pub struct CpuData<T> {
    inputs: Vec<T>,
    targets: Vec<T>,
    /// What each row counts; empty if all count 1.
    weights: Vec<T>,
    rows: u32,
}

impl<T: Real> CpuEngine<T> {
    /// Allocates everything the plan says and initialises the parameters.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
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
        let division = Division::of(&plan);
        Self {
            parameters,
            moments: [moment(0), moment(1), moment(2)],
            averages,
            kept: [kept, best],
            weights: linear_weights(&plan),
            weights_are_current: false,
            lanes: (0..division.lanes).map(|_| Lane::new(&plan, division)).collect(),
            loss_weights: cast(&options.loss.weights(plan.mlp().out_features())),
            measured: vec![[T::ZERO; 2]; measured],
            squares: vec![0.0; update::squares_len(&plan)],
            scaling: Scaling::initial(true).numbers().map(T::from_f32).to_vec(),
            reports: Vec::new(),
            division,
            plan,
        }
    }

    /// The numbers of an arena that the plan has.
    fn arena(&mut self, arena: Arena) -> &mut Vec<T> {
        match arena {
            Arena::Parameters => &mut self.parameters,
            Arena::Moment(index) => &mut self.moments[index],
            Arena::Average => &mut self.averages,
            Arena::KeptParameters(which) => &mut self.kept[which as usize][0],
            Arena::KeptAverage(which) => &mut self.kept[which as usize][1],
            Arena::Scaling => &mut self.scaling,
        }
    }

    /// The gradient arena of the last training step, laid out as the plan says.
    #[must_use]
    pub fn gradients(&self) -> &[T] {
        &self.lanes[0].gradients
    }

    /// The parameter arena in the engine's own precision.
    #[must_use]
    pub fn parameters_exact(&self) -> &[T] {
        &self.parameters
    }

    /// The parameter arena, to change it in the engine's own precision.
    pub fn parameters_exact_mut(&mut self) -> &mut [T] {
        self.weights_are_current = false;
        &mut self.parameters
    }

    /// Sums of the loss over all rows of a data set, now and in the engine's own precision.
    pub fn loss_of(&mut self, data: &CpuData<T>) -> Metrics {
        self.order_weights(false);
        let mut sum = Metrics::default();
        for step in evaluation_steps(&self.plan, data.rows as usize) {
            for part in step.parts(self.plan.capacity()) {
                sum += self.run(data, &step, part, false);
            }
        }
        sum
    }

    /// [`loss_of`](Self::loss_of) one batch of all rows as training sees it: norms take the batch's
    /// statistics, and dropout draws the masks of step `number` (counted from 1).
    pub fn training_loss_of(&mut self, data: &CpuData<T>, number: u64) -> Metrics {
        self.order_weights(false);
        let mut sum = Metrics::default();
        for evaluation in evaluation_steps(&self.plan, data.rows as usize) {
            let dropout_key = Step::dropout_key(self.plan.options().seed, number);
            let step = Step { number, dropout_key, ..evaluation };
            for part in step.parts(self.plan.options().rows_at_once()) {
                sum += self.run(data, &step, part, false);
            }
        }
        sum
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
}

/// Multiply-adds of a step from which it is worth waking other threads.
const POOLED: u64 = 1 << 20;

/// Runs `work` on a thread of the pool where it is `large`: there it shares work with others at
/// little cost, while a thread from outside would be woken and put to sleep each time.
fn in_pool<R: Send>(large: bool, work: impl FnOnce() -> R + Send) -> R {
    if large { rayon::scope(|_| work()) } else { work() }
}

impl<T: Real> Engine for CpuEngine<T> {
    type Data = CpuData<T>;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn name(&self) -> &'static str {
        "cpu"
    }

    #[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
    fn upload(&mut self, data: &Dataset) -> Result<Self::Data> {
        check_data(&self.plan, data)?;
        Ok(CpuData {
            inputs: cast(data.inputs()),
            // In place, where `T` is f32: a second copy would show in the peak of memory.
            targets: data.targets().to_f32().into_iter().map(T::from_f32).collect(),
            weights: cast(data.weights()),
            rows: data.rows() as u32,
        })
    }

    fn steps_at_once(&self) -> usize {
        // About 2 ms, so that threads of the pool needn't be woken for every step.
        match self.plan.flops_per_step() {
            flops if flops < POOLED => 1,
            flops => ((1 << 27) / flops).clamp(1, 16) as usize,
        }
    }

    fn train(&mut self, data: &Self::Data, steps: &[Step]) -> Result<()> {
        let large = self.plan.flops_per_step() >= POOLED;
        in_pool(large, || steps.iter().for_each(|step| self.train_step(data, step)));
        Ok(())
    }

    fn evaluate(&mut self, data: &Self::Data, rows: u32) -> Result<()> {
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

    fn parameters(&mut self) -> Result<Vec<f32>> {
        Ok(self.parameters.iter().map(|w| w.to_f32()).collect())
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_arena(&self.plan, parameters)?;
        self.parameters = cast(parameters);
        let trained = self.averages.len();
        self.averages.copy_from_slice(&self.parameters[..trained]);
        let [parameters, averages] = &mut self.kept[Keep::LastGood as usize];
        parameters.copy_from_slice(&self.parameters);
        averages.copy_from_slice(&self.averages);
        self.weights_are_current = false;
        Ok(())
    }

    fn state(&mut self) -> Result<EngineState> {
        let arenas = Arena::all(&self.plan).into_iter();
        let arenas = arenas.map(|arena| Numbers::of(self.arena(arena))).collect();
        Ok(EngineState { arenas })
    }

    fn set_state(&mut self, state: &EngineState) -> Result<()> {
        let plan = self.plan.clone();
        for (arena, numbers) in state.of_plan(&plan)? {
            numbers.copy_to(self.arena(arena));
        }
        self.weights_are_current = false;
        Ok(())
    }

    fn swap_average(&mut self) {
        self.weights_are_current &= self.averages.is_empty();
        self.averages.iter_mut().zip(&mut self.parameters).for_each(|(a, w)| std::mem::swap(a, w));
    }

    fn keep(&mut self, which: Keep) {
        let [parameters, averages] = &mut self.kept[which as usize];
        parameters.copy_from_slice(&self.parameters);
        averages.copy_from_slice(&self.averages);
    }

    fn restore(&mut self, which: Keep) {
        self.weights_are_current = false;
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
