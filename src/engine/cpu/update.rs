//! The end of a step: the lanes' gradients become one, and the optimizer moves the parameters.

use std::sync::atomic::{AtomicU32, Ordering};

use super::CpuEngine;
use super::lane::Lane;
use crate::blocks::{RowsMut, in_blocks};
use crate::divergence::Fault;
use crate::engine::Step;
use crate::ops::optimizer::{Arenas, Cut, average, optimizer, squares};
use crate::optimizer::Clip;
use crate::plan::{Plan, TENSOR_ALIGN};
use crate::real::Real;
use crate::simd::vectorised_loop;

/// Elements that a thread does in one go.
const BLOCK: usize = 1 << 13;

/// Elements of the sums of squares: one for as many gradients as tensors are aligned to.
pub(super) fn squares_len(plan: &Plan) -> usize {
    let options = plan.options();
    let asks = matches!(options.clip, Some(Clip::Norm(_))) || options.on_divergence.skips();
    if asks { plan.trained_len() / TENSOR_ALIGN } else { 0 }
}

impl<T: Real> CpuEngine<T> {
    /// The optimizer's step from the gradients of `lanes` lanes: one pass over the arenas, or where
    /// the norm is asked for, one before. Returns what went wrong, if anything did.
    pub(super) fn update(&mut self, step: &Step, lanes: usize) -> Option<Fault> {
        self.weights_are_current = false;
        let options = self.plan.options();
        let update = step.update.cast::<T>();
        let (first, others) = self.lanes[..lanes].split_first_mut()?;
        let asks_norm = !self.squares.is_empty();
        if asks_norm {
            let work = (
                0..self.squares.len(),
                (
                    RowsMut::new(&mut first.gradients, TENSOR_ALIGN),
                    RowsMut::new(&mut self.squares, 1),
                ),
            );
            in_blocks(work, BLOCK / TENSOR_ALIGN, &|(numbers, (gradients, sums))| {
                add_lanes(gradients.elements, others, numbers.start * TENSOR_ALIGN);
                let gradients = gradients.elements.chunks_exact(TENSOR_ALIGN);
                sums.elements.iter_mut().zip(gradients).for_each(|(sum, g)| *sum = squares(g));
            });
        }
        let squares: f64 = self.squares.iter().sum();
        let cut = Cut::new(options.clip, update.clip, || squares);
        // In the engine's precision, as on a GPU.
        let overflows = !T::from_f64(squares).is_finite();
        if options.on_divergence.skips() && overflows {
            let element = first.gradients.iter().rposition(|g| !g.is_finite());
            average(update.average_share, &mut self.averages, &self.parameters);
            return Fault::of_word(Fault::word(element, true), &self.plan);
        }
        let trained = self.plan.trained_len();
        let (parameters, running) = self.parameters.split_at_mut(trained);
        let averaged = trained.min(self.averages.len());
        let (averages, averages_of_running) = self.averages.split_at_mut(averaged);
        average(update.average_share, averages_of_running, running);
        let [moment1, moment2, moment3] = &mut self.moments;
        let arenas = Arenas {
            gradients: &[],
            parameters,
            moments: [moment1, moment2, moment3],
            averages,
            measured: if step.insight { &mut self.measured } else { &mut [] },
        };
        let fault = AtomicU32::new(if overflows { Fault::OVERFLOW } else { 0 });
        let work = (0..trained, (RowsMut::new(&mut first.gradients, 1), arenas));
        in_blocks(work, BLOCK, &|(numbers, (gradients, arenas))| {
            if !asks_norm {
                add_lanes(gradients.elements, others, numbers.start);
            }
            let arenas = Arenas { gradients: gradients.elements, ..arenas };
            let (rule, ends) = (&options.optimizer.rule, self.plan.group_ends());
            let broken = optimizer(rule, cut, ends, &update, numbers.start, arenas);
            if let Some(element) = broken {
                let word = Fault::word(Some(numbers.start + element), false);
                fault.fetch_max(word, Ordering::Relaxed);
            }
        });
        Fault::of_word(fault.into_inner(), &self.plan)
    }
}

/// Adds the lanes' gradients from element `first` on, in their order.
fn add_lanes<T: Real>(gradients: &mut [T], lanes: &[Lane<T>], first: usize) {
    vectorised_loop!({
        for lane in lanes {
            for (sum, &g) in gradients.iter_mut().zip(&lane.gradients[first..]) {
                *sum += g;
            }
        }
    });
}
