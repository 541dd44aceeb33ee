//! How the rows of a batch are divided among lanes and blocks.

use crate::matmul::TILE_ROWS;
use crate::plan::{Plan, Stage, StageOp};

/// Parameters up to which every lane can have gradients of its own: with the weights in both orders
/// of the products they stay in the second level of a core's cache.
const SMALL_NET: usize = 1 << 15;
/// Rows from which a lane is worth its share of the gradients' sum.
const MIN_LANE_ROWS: usize = 256;
const MAX_LANES: usize = 16;
/// Elements that the activations of a block and their gradients may have, to stay in the second level
/// of the cache as well.
const BLOCK_ELEMENTS: usize = 1 << 16;

/// How many parts of a batch go through the net independently, and how many rows at once.
///
/// The plan alone decides, not the number of threads, so that the order of sums, and with it every
/// bit, is the same on any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// Parts of a batch, each with buffers and gradients of its own. One lane has the whole batch,
    /// and threads share its work stage by stage.
    pub lanes: usize,
    /// Rows that a lane's buffers hold.
    pub rows: usize,
}

impl Division {
    /// Small nets on large batches have lanes. A batch norm needs the whole batch at once; wide nets
    /// have products that are worth sharing, and too many gradients to have them several times.
    pub(super) fn of(plan: &Plan) -> Self {
        let one = Self { lanes: 1, rows: plan.capacity() };
        let whole_batch = |stage: &Stage| match &stage.op {
            StageOp::Norm(norm) => !norm.per_row,
            StageOp::Linear { .. } | StageOp::Encoding(_) | StageOp::Pass => false,
        };
        let rows = plan.options().rows_at_once();
        let lanes = (rows / MIN_LANE_ROWS).min(MAX_LANES);
        if lanes < 2 || plan.trained_len() > SMALL_NET || plan.stages().iter().any(whole_batch) {
            return one;
        }
        let width = |stage: &Stage| stage.out_features * (1 + usize::from(stage.keeps_apart()));
        let activations: usize = plan.stages().iter().map(width).sum();
        let row = plan.mlp().in_features() + activations + 2 * plan.widest_output();
        let rows = (BLOCK_ELEMENTS / row).max(1).next_multiple_of(4 * TILE_ROWS);
        Self { lanes, rows: rows.min(MIN_LANE_ROWS) }
    }

    /// Rows of each lane, the last with what is left, of a batch of `rows`.
    pub(super) const fn share(&self, rows: usize) -> usize {
        if self.lanes == 1 { rows } else { rows.div_ceil(self.lanes) }
    }
}
