//! The engine that runs the twins on the CPU.

mod division;
mod lane;
mod memory;
mod passes;
#[cfg(test)]
mod tests;
mod update;
mod work;

use self::division::Division;
use self::lane::Lane;
use self::passes::linear_weights;
pub(crate) use self::work::Compiled;
use self::work::POOLED;
use super::state::{Arena, EngineState, Numbers};
use super::{Engine, Identity, Keep, Metrics, Report, Step, check_data, check_parameters};
use crate::data::Dataset;
use crate::error::Result;
use crate::ops::linear::LinearWeight;
use crate::ops::scaling::Scaling;
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
    division: Division,
    parameters: Vec<T>,
    moments: [Vec<T>; 3],
    /// Averages of the parameters, where they are kept.
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
    /// Shared with the data sets uploaded to this engine.
    identity: Identity,
}

/// A data set in the CPU engine's number type.
#[derive(Debug)]
pub struct CpuData<T> {
    inputs: Vec<T>,
    targets: Vec<T>,
    /// What each row counts; empty if all count 1.
    weights: Vec<T>,
    rows: u32,
    owner: Identity,
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
        let averages = if options.ema.is_some() { parameters.clone() } else { Vec::new() };
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
            scaling: initial_scaling().to_vec(),
            reports: Vec::new(),
            identity: Identity::default(),
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
    ///
    /// # Panics
    /// If the data were uploaded to another engine.
    pub fn loss_of(&mut self, data: &CpuData<T>) -> Metrics {
        self.loss_in(data, None)
    }

    /// [`loss_of`](Self::loss_of) one batch of all rows as training sees it: norms take the batch's
    /// statistics, which moves their running ones, and dropout draws the masks of step `number` (counted from
    /// 1). More rows than go through the net at once are several batches.
    ///
    /// # Panics
    /// If the data were uploaded to another engine.
    pub fn training_loss_of(&mut self, data: &CpuData<T>, number: u64) -> Metrics {
        self.loss_in(data, Some(number))
    }

    fn loss_in(&mut self, data: &CpuData<T>, training: Option<u64>) -> Metrics {
        assert!(self.identity.check(&data.owner).is_ok(), "the data are another engine's");
        T::loss(self, data, training)
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

    #[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
    fn upload(&mut self, data: &Dataset) -> Result<Self::Data> {
        check_data(&self.plan, data)?;
        Ok(CpuData {
            inputs: cast(data.inputs()),
            // In place, where `T` is f32: a second copy would show in the peak of memory.
            targets: data.targets().to_f32().into_iter().map(T::from_f32).collect(),
            weights: cast(data.weights()),
            rows: data.rows() as u32,
            owner: self.identity.clone(),
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
        self.identity.check(&data.owner)?;
        T::train(self, data, steps);
        Ok(())
    }

    fn evaluate(&mut self, data: &Self::Data, rows: u32) -> Result<()> {
        self.identity.check(&data.owner)?;
        T::evaluate(self, data, rows);
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
        T::predict(self, inputs)
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        Ok(self.parameters.iter().map(|w| w.to_f32()).collect())
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_parameters(&self.plan, parameters)?;
        self.parameters = cast(parameters);
        let averaged = self.averages.len();
        self.averages.copy_from_slice(&self.parameters[..averaged]);
        let [parameters, averages] = &mut self.kept[Keep::LastGood as usize];
        parameters.copy_from_slice(&self.parameters);
        averages.copy_from_slice(&self.averages);
        self.weights_are_current = false;
        Ok(())
    }

    fn reset(&mut self, seed: u64) -> Result<()> {
        self.plan.set_seed(seed);
        let initial: Vec<T> = cast(&self.plan.initial_parameters());
        let copies = self.kept.as_flattened_mut().iter_mut();
        for numbers in copies.chain([&mut self.parameters, &mut self.averages]) {
            let len = numbers.len();
            numbers.copy_from_slice(&initial[..len]);
        }
        self.moments.iter_mut().for_each(|moment| moment.fill(T::ZERO));
        self.scaling.copy_from_slice(&initial_scaling());
        self.weights_are_current = false;
        self.reports.clear();
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

fn initial_scaling<T: Real>() -> [T; Scaling::LEN] {
    Scaling::initial(true).numbers().map(T::from_f32)
}

fn cast<T: Real>(numbers: &[f32]) -> Vec<T> {
    numbers.iter().map(|&x| T::from_f32(x)).collect()
}

/// Rows of the batches that cover `rows` rows, as few as the buffers allow and of about the same size. The
/// last has more than one where that is possible, as a norm without running statistics needs.
pub(crate) fn evaluation_size(plan: &Plan, rows: usize) -> usize {
    let batches = rows.div_ceil(plan.capacity()).max(1);
    let size = rows.div_ceil(batches).max(1);
    (2..=size).rev().find(|size| rows % size != 1).unwrap_or(size)
}

/// Batches of `size` rows that cover `rows` rows in order.
#[expect(clippy::cast_possible_truncation, reason = "data sets have at most 2³² rows")]
pub(crate) fn steps_of(size: usize, rows: usize) -> impl Iterator<Item = Step> {
    (0..rows)
        .step_by(size)
        .map(move |first| Step::evaluation(first as u32, size.min(rows - first) as u32))
}

/// Batches of [`evaluation_size`] that cover `rows` rows in order.
pub(crate) fn evaluation_steps(plan: &Plan, rows: usize) -> impl Iterator<Item = Step> + use<> {
    steps_of(evaluation_size(plan, rows), rows)
}
