//! The scalars of one step, as the device gets them.

use crate::engine::kernel::uniform_struct;
use crate::engine::{Part, Step};
use crate::optimizer::{MAX_GROUPS, Update};
use crate::rng::words;
use crate::sampler::{Order, half_bits};

uniform_struct! {
    /// Mirror of `Step` in `shaders/step.wgsl`.
    StepUniform {
        keys0: [u32; 4],
        keys1: [u32; 4],
        groups: [[f32; 4]; MAX_GROUPS],
        seed: [u32; 2],
        draw: [u32; 2],
        dropout_key: [u32; 2],
        batch: u32,
        first: u32,
        row0: u32,
        rows: u32,
        order: u32,
        half_bits: u32,
        slot: u32,
        training: u32,
        accumulate: u32,
        weighted: u32,
        loss_scale: f32,
        beta1: f32,
        one_minus_beta1: f32,
        beta2: f32,
        one_minus_beta2: f32,
        eps: f32,
        inv_root_correction2: f32,
        mix: f32,
        clip: f32,
        average_share: f32,
    }
    pad 2
}

impl StepUniform {
    /// The scalars of a part of `step` over a data set of `rows` rows, each followed by its weight
    /// if they are `weighted`, reporting at `slot`.
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what the device computes in")]
    pub(crate) fn new(step: &Step, part: Part, rows: u32, weighted: bool, slot: u32) -> Self {
        let mut uniform = Self {
            batch: part.rows,
            first: step.first,
            row0: part.row0,
            rows,
            order: step.order.code(),
            half_bits: half_bits(rows),
            slot,
            training: u32::from(step.is_training()),
            accumulate: u32::from(!part.is_first),
            weighted: u32::from(weighted),
            loss_scale: step.loss_scale as f32,
            dropout_key: step.dropout_key,
            ..Self::default()
        };
        uniform.set_update(&step.update);
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

    /// The optimizer's scalars.
    pub(crate) fn set_update(&mut self, update: &Update<f64>) {
        let u = update.cast::<f32>();
        self.beta1 = u.beta1;
        self.one_minus_beta1 = u.one_minus_beta1;
        self.beta2 = u.beta2;
        self.one_minus_beta2 = u.one_minus_beta2;
        self.eps = u.eps;
        self.inv_root_correction2 = u.inv_root_correction2;
        self.mix = u.mix;
        self.clip = u.clip;
        self.average_share = u.average_share;
        self.groups = u.groups.map(|g| [g.step_size, g.l2, g.keep, g.correction]);
    }
}
