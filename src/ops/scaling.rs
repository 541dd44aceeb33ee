//! What the loss is scaled with where gradients are f16.

use super::optimizer::{ArenaShape, PARTIAL_SUMS};
use super::step::StepUniform;
use super::wgsl;
use crate::engine::kernel::{Choice, Grid, Kernel, read_write, step, uniform};

/// Steps without an overflow until the scale is tried twice as large, as in `torch.amp.GradScaler`.
pub(crate) const INTERVAL: f32 = 2000.0;
/// The largest scale: 2²⁴.
pub(crate) const LARGEST: f32 = 16_777_216.0;
/// The scale that a training begins with, as in `torch.amp.GradScaler`.
const INITIAL: f32 = 65_536.0;

/// After the optimizer: lowers or raises the scale.
pub(crate) const SCALE: Kernel = Kernel {
    name: "scale",
    wgsl: wgsl!("step", "scaling", "arena", "finite", "scale"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<ArenaShape>("shape"),
        read_write("status"),
        read_write("scaling"),
    ],
    constants: &[
        ("WORKGROUP", PARTIAL_SUMS as f64),
        ("INTERVAL", INTERVAL as f64),
        ("LARGEST", LARGEST as f64),
    ],
    choices: &[Choice::flag("SKIPS")],
};

/// The one workgroup.
pub(crate) const fn grid() -> Grid {
    Grid::fixed(1, 1)
}

/// Mirror of `Scaling` in `shaders/scaling.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scaling {
    pub scale: f32,
    /// Steps since it changed.
    pub steady: f32,
}

impl Scaling {
    /// Numbers of it in a buffer.
    pub(crate) const LEN: usize = 3;

    /// At the start of a training: 1 for good where gradients are f32.
    pub(crate) const fn initial(is_mixed: bool) -> Self {
        Self { scale: if is_mixed { INITIAL } else { 1.0 }, steady: 0.0 }
    }

    /// As buffers hold it.
    pub(crate) const fn numbers(self) -> [f32; Self::LEN] {
        [self.scale, 1.0 / self.scale, self.steady]
    }
}

/// Twin of `shaders/scale.wgsl`, but for the fault: what follows from a step.
#[cfg(test)]
pub(crate) fn next(scaling: Scaling, is_good: bool) -> Scaling {
    let Scaling { scale, steady } = scaling;
    let changed = |scale| Scaling { scale, steady: 0.0 };
    match is_good {
        true if steady + 1.0 >= INTERVAL => changed((2.0 * scale).min(LARGEST)),
        true => Scaling { scale, steady: steady + 1.0 },
        false => changed((0.5 * scale).max(1.0)),
    }
}
