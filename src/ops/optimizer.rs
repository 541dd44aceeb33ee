//! One step of every parameter, in one pass over the arenas.

use super::step::StepUniform;
use super::wgsl;
use crate::engine::kernel::{Grid, Kernel, read, read_write, step, uniform, uniform_struct};
use crate::optimizer::{Optimizer, Rule, Update};
use crate::real::Real;

const WORKGROUP: u32 = 256;

pub(crate) const OPTIMIZER: Kernel = Kernel {
    name: "optimizer",
    wgsl: wgsl!("step", "optimizer"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ArenaShape>("shape"),
        read("gradients"),
        read_write("parameters"),
        read_write("moment1"),
        read_write("moment2"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &["RULE"],
};

uniform_struct! {
    /// Elements of the arenas.
    ArenaShape { len: u32, } pad 3
}

impl ArenaShape {
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn new(arena_len: usize) -> Self {
        Self { len: arena_len as u32, ..Self::default() }
    }

    /// One invocation per element.
    pub(crate) fn grid(&self) -> Grid {
        Grid::elements(self.len as usize, WORKGROUP)
    }
}

/// Twin of `shaders/optimizer.wgsl`. Moments that the rule hasn't are empty.
pub(crate) fn optimizer<T: Real>(
    optimizer: &Optimizer,
    update: &Update<T>,
    gradients: &[T],
    parameters: &mut [T],
    moment1: &mut [T],
    moment2: &mut [T],
) {
    let u = update;
    let decayed = |w: T, g: T| g + u.l2 * w;
    let step = |w: &mut T, direction: T| *w = u.keep * *w - u.step_size * direction;
    let steps = parameters.iter_mut().zip(gradients);
    match optimizer.rule {
        Rule::Sgd { momentum: 0.0, .. } => {
            steps.for_each(|(w, &g)| step(w, decayed(*w, g)));
        }
        Rule::Sgd { nesterov, .. } => {
            for ((w, &g), m) in steps.zip(moment1) {
                let g = decayed(*w, g);
                *m = u.beta1 * *m + g;
                step(w, if nesterov { g + u.beta1 * *m } else { *m });
            }
        }
        Rule::Adam { .. } => {
            for (((w, &g), m), v) in steps.zip(moment1).zip(moment2) {
                let g = decayed(*w, g);
                *m = u.beta1 * *m + u.one_minus_beta1 * g;
                *v = u.beta2 * *v + u.one_minus_beta2 * g * g;
                step(w, *m / (v.sqrt() * u.inv_root_correction2 + u.eps));
            }
        }
    }
}
