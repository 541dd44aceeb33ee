//! The bytes that the CPU engine allocates for a plan, before it does.

use super::CpuEngine;
use super::division::Division;
use super::lane::Lane;
use super::update::squares_len;
use crate::ops::linear::LinearWeight;
use crate::plan::{Plan, StageOp};
use crate::real::Real;

impl<T: Real> CpuEngine<T> {
    /// Bytes of everything that [`new`](Self::new) allocates. A data set takes
    /// [`Plan::data_bytes`] besides, where `T` is f32.
    #[must_use]
    pub fn bytes_of(plan: &Plan) -> u64 {
        let division = Division::of(plan);
        let first = plan.first_trained();
        let weights = plan.stages().iter().enumerate().filter_map(|(index, stage)| {
            let is_linear = matches!(stage.op, StageOp::Linear { .. });
            let (inputs, outputs) = (stage.in_features, stage.out_features);
            is_linear.then(|| LinearWeight::<T>::elements(inputs, outputs, index > first))
        });
        let elements = plan.lasting_elements() + weights.sum::<usize>() as u64;
        elements * size_of::<T>() as u64
            + (division.lanes * Lane::<T>::bytes_of(plan, division)) as u64
            + (squares_len(plan) * size_of::<f64>()) as u64
    }
}
