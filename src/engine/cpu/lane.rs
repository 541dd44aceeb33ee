//! A part of a batch on its way through the net.

use super::CpuData;
use super::division::Division;
use super::passes::draw_of;
use crate::blocks::{RowsMut, block_rows, in_blocks};
use crate::engine::{Metrics, Part, Step};
use crate::insight;
use crate::matmul::{Panels, Right, TILE_COLUMNS, TILE_ROWS};
use crate::ops::insight::mark_alive;
use crate::ops::linear::LinearWeight;
use crate::ops::loss::{LossInput, RowMetrics};
use crate::ops::norm::Statistics;
use crate::ops::{loss, metrics, sample};
use crate::plan::{Plan, Stage, StageOp};
use crate::real::Real;

/// The buffers of a lane, all of them planned: rows go through in blocks that they hold.
#[derive(Debug)]
pub(super) struct Lane<T> {
    /// Summed over the lane's rows.
    pub gradients: Vec<T>,
    /// Y of each stage, and behind it what else its derivative needs.
    pub(super) activations: Vec<Vec<T>>,
    /// Of each norm stage's groups.
    pub(super) statistics: Vec<Vec<Statistics<T>>>,
    /// Sums over each norm stage's columns or groups, on the way back.
    pub(super) sums: Vec<Vec<[T; 2]>>,
    /// dL/dZ of the stage at hand and of the one before it.
    pub(super) errors: [Vec<T>; 2],
    /// Rows of the data set.
    rows: Vec<u32>,
    pub(super) batch_inputs: Vec<T>,
    batch_targets: Vec<T>,
    batch_weights: Vec<T>,
    row_metrics: Vec<RowMetrics<T>>,
    /// The input of a stage, in the order in which dW's product reads it.
    pub(super) input_panels: Vec<[T; TILE_COLUMNS]>,
    /// dZ of a stage, likewise.
    pub(super) error_panels: Vec<[T; TILE_ROWS]>,
    /// Which units of each ReLU stage were not 0 in every row, where insights are wanted.
    pub alive: Vec<Vec<bool>>,
    pub metrics: Metrics,
}

/// What the lanes share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net<'a, T> {
    pub plan: &'a Plan,
    pub division: Division,
    /// The trained part of the arena.
    pub parameters: &'a [T],
    /// The weight of each linear stage, in the order of the products.
    pub weights: &'a [Option<LinearWeight<T>>],
    /// Of the loss.
    pub loss_weights: &'a [T],
}

/// Multiply-adds from which work is worth more than one thread.
const THREADED: usize = 1 << 19;

impl<T> Net<'_, T> {
    /// Rows in a block of work that takes so many multiply-adds a row: all, where threads have lanes
    /// of their own or would cost more than they save.
    pub(super) fn block(&self, rows: usize, work: usize) -> usize {
        let shared = self.division.lanes == 1 && rows * work >= THREADED;
        if shared { block_rows(rows, work, TILE_ROWS) } else { rows.max(1) }
    }
}

/// Sums of a stage for so many rows: a layer norm's are first those of its columns, then those of its
/// rows.
fn sums_len(stage: &Stage, rows: usize) -> usize {
    match stage.norm_groups(rows) {
        0 => 0,
        groups => groups.max(stage.in_features),
    }
}

/// Rows of the panels that hold any linear stage's input, and of those for its dZ.
fn panel_rows<T: Real>(plan: &Plan, rows: usize) -> [usize; 2] {
    let linear = || plan.stages().iter().filter(|s| matches!(s.op, StageOp::Linear { .. }));
    let inputs = linear().map(|s| Right::<T>::len(rows, s.in_features)).max();
    let errors = linear().map(|s| Panels::<T, TILE_ROWS>::len(rows, s.out_features)).max();
    [inputs, errors].map(Option::unwrap_or_default)
}

impl<T: Real> Lane<T> {
    /// Bytes of what [`new`](Self::new) allocates, but for a bool a unit where insights are wanted.
    pub(super) fn bytes_of(plan: &Plan, Division { rows, .. }: Division) -> usize {
        let stages = || plan.stages().iter();
        let [inputs, errors] = panel_rows::<T>(plan, rows);
        let numbers = plan.trained_len()
            + stages().map(|s| s.activation_len(rows) + 2 * sums_len(s, rows)).sum::<usize>()
            + rows
                * (2 * plan.widest_output() + plan.mlp().in_features() + plan.target_width() + 1)
            + inputs * TILE_COLUMNS
            + errors * TILE_ROWS;
        let groups: usize = stages().map(|s| s.norm_groups(rows)).sum();
        numbers * size_of::<T>()
            + groups * size_of::<Statistics<T>>()
            + rows * (size_of::<u32>() + size_of::<RowMetrics<T>>())
    }

    pub(super) fn new(plan: &Plan, division: Division) -> Self {
        let rows = division.rows;
        let zeros = |len: usize| vec![T::ZERO; len];
        let [inputs, errors] = panel_rows::<T>(plan, rows);
        let measured = plan.options().insight_every.is_some();
        let relu = insight::relu_stages(plan).filter(|_| measured);
        Self {
            gradients: zeros(plan.trained_len()),
            activations: plan.stages().iter().map(|s| zeros(s.activation_len(rows))).collect(),
            statistics: plan
                .stages()
                .iter()
                .map(|s| vec![Statistics::default(); s.norm_groups(rows)])
                .collect(),
            sums: plan.stages().iter().map(|s| vec![[T::ZERO; 2]; sums_len(s, rows)]).collect(),
            errors: std::array::from_fn(|_| zeros(rows * plan.widest_output())),
            rows: vec![0; rows],
            batch_inputs: zeros(rows * plan.mlp().in_features()),
            batch_targets: zeros(rows * plan.target_width()),
            batch_weights: zeros(rows),
            row_metrics: vec![RowMetrics::default(); rows],
            input_panels: vec![[T::ZERO; TILE_COLUMNS]; inputs],
            error_panels: vec![[T::ZERO; TILE_ROWS]; errors],
            alive: relu.map(|(_, stage)| vec![false; stage.out_features]).collect(),
            metrics: Metrics::default(),
        }
    }

    /// Takes its rows of a batch, `share`, through the net, and in training back; sums their metrics
    /// and gradients. `running` are the running statistics of the batch norms, which training moves.
    pub(super) fn run(
        &mut self,
        net: &Net<'_, T>,
        running: &mut [T],
        data: &CpuData<T>,
        step: &Step,
        share: Part,
        backward: bool,
    ) {
        self.metrics = Metrics::default();
        self.alive.iter_mut().for_each(|alive| alive.fill(false));
        for part in share.parts(net.division.rows) {
            self.gather(net, data, step, part);
            self.forward(net, running, part.rows as usize, draw_of(step, part).as_ref());
            let metrics = self.loss(net, data, step, part);
            self.metrics += metrics;
            if backward {
                self.backward(net, step, part);
            }
            if backward && step.insight {
                self.mark_alive(net, part.rows as usize);
            }
        }
    }

    /// Outputs for rows of inputs.
    pub(super) fn predict(
        &mut self,
        net: &Net<'_, T>,
        running: &mut [T],
        inputs: &[f32],
        outputs: &mut [f32],
    ) {
        let (in_features, out_features) =
            (net.plan.mlp().in_features(), net.plan.mlp().out_features());
        let blocks = inputs
            .chunks(net.division.rows * in_features)
            .zip(outputs.chunks_mut(net.division.rows * out_features));
        for (inputs, outputs) in blocks {
            self.batch_inputs
                .iter_mut()
                .zip(inputs)
                .for_each(|(x, &value)| *x = T::from_f32(value));
            self.forward(net, running, inputs.len() / in_features, None);
            let last = &self.activations[self.activations.len() - 1];
            outputs.iter_mut().zip(last).for_each(|(y, value)| *y = value.to_f32());
        }
    }

    /// Copies the rows of a part from the data set.
    fn gather(&mut self, net: &Net<'_, T>, data: &CpuData<T>, step: &Step, part: Part) {
        let rows = part.rows as usize;
        let (inputs, targets) = (net.plan.mlp().in_features(), net.plan.target_width());
        let weighted = usize::from(!data.weights.is_empty());
        let places = &mut self.rows[..rows];
        sample::sample_rows(&step.order, data.rows, step.first, part.row0, places);
        let work = (
            (
                RowsMut::new(places, 1),
                RowsMut::new(&mut self.batch_inputs[..rows * inputs], inputs),
            ),
            (
                RowsMut::new(&mut self.batch_targets[..rows * targets], targets),
                RowsMut::new(&mut self.batch_weights[..rows * weighted], 1),
            ),
        );
        // A copied element takes about as long as so many multiply-adds.
        let block = net.block(rows, 16 * inputs);
        in_blocks(work, block, &|((places, batch_inputs), (batch_targets, batch_weights))| {
            sample::sample(places.elements, inputs, &data.inputs, batch_inputs.elements);
            sample::sample(places.elements, targets, &data.targets, batch_targets.elements);
            if weighted > 0 {
                sample::sample(places.elements, 1, &data.weights, batch_weights.elements);
            }
        });
    }

    /// Loss and dL/dY of the last stage, into `errors[0]`.
    fn loss(&mut self, net: &Net<'_, T>, data: &CpuData<T>, step: &Step, part: Part) -> Metrics {
        let (rows, plan) = (part.rows as usize, net.plan);
        let outputs = plan.mlp().out_features();
        let weighted = if data.weights.is_empty() { 0 } else { rows };
        let last = &self.activations[self.activations.len() - 1];
        let input = LossInput {
            prediction: &last[..rows * outputs],
            target: &self.batch_targets[..rows * plan.target_width()],
            weight: net.loss_weights,
            sample_weight: &self.batch_weights[..weighted],
            scale: T::from_f64(step.loss_scale),
        };
        let gradient = &mut self.errors[0][..rows * outputs];
        let row_metrics = &mut self.row_metrics[..rows];
        loss::loss(&plan.options().loss, &input, gradient, row_metrics);
        Metrics::new(part.rows, metrics::metrics(row_metrics))
    }

    fn mark_alive(&mut self, net: &Net<'_, T>, rows: usize) {
        for ((index, stage), alive) in insight::relu_stages(net.plan).zip(&mut self.alive) {
            let start = stage.kept(net.division.rows).start;
            mark_alive(&self.activations[index][start..start + rows * stage.out_features], alive);
        }
    }
}
