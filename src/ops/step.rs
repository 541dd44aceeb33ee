//! The scalars of one step, as the device gets them.

use crate::engine::Step;
use crate::engine::kernel::uniform_struct;
use crate::rng::words;
use crate::sampler::{Order, half_bits};

uniform_struct! {
    /// Mirror of `Step` in `shaders/step.wgsl`.
    StepUniform {
        keys0: [u32; 4],
        keys1: [u32; 4],
        seed: [u32; 2],
        draw: [u32; 2],
        batch: u32,
        first: u32,
        rows: u32,
        order: u32,
        half_bits: u32,
        slot: u32,
        step_size: f32,
        beta1: f32,
        one_minus_beta1: f32,
        beta2: f32,
        one_minus_beta2: f32,
        eps: f32,
        inv_root_correction2: f32,
        l2: f32,
        keep: f32,
    }
    pad 1
}

impl StepUniform {
    /// The scalars of `step` over a data set of `rows` rows, reporting at `slot`.
    pub(crate) fn new(step: &Step, rows: u32, slot: u32) -> Self {
        let update = step.update.cast::<f32>();
        let mut uniform = Self {
            batch: step.batch,
            first: step.first,
            rows,
            order: step.order.code(),
            half_bits: half_bits(rows),
            slot,
            step_size: update.step_size,
            beta1: update.beta1,
            one_minus_beta1: update.one_minus_beta1,
            beta2: update.beta2,
            one_minus_beta2: update.one_minus_beta2,
            eps: update.eps,
            inv_root_correction2: update.inv_root_correction2,
            l2: update.l2,
            keep: update.keep,
            ..Self::default()
        };
        match step.order {
            Order::Sequential => {}
            Order::Shuffled { keys: [a, b, c, d, e, f, g, h] } => {
                uniform.keys0 = [a, b, c, d];
                uniform.keys1 = [e, f, g, h];
            }
            Order::Replacement { seed, step } => {
                uniform.seed = words(seed);
                uniform.draw = words(step);
            }
        }
        uniform
    }
}
