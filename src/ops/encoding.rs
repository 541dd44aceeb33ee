//! The encoding of a net's inputs.

use super::epilogue::{Epilogue, EpilogueUniform};
use super::step::StepUniform;
use super::{WORKGROUP, wgsl};
use crate::encoding::Encoding;
use crate::engine::kernel::{
    Choice, Grid, Kernel, read, read_write, step, uniform, uniform_struct,
};
use crate::real::Real;
use crate::simd::vectorised_loop;

const ENCODING: Choice = Choice::codes::<3>("ENCODING");

pub(crate) const ENCODING_FORWARD: Kernel = Kernel {
    name: "encoding_forward",
    wgsl: wgsl!(
        "step",
        "finite",
        "near_zero",
        "activation_value",
        "activation",
        "philox",
        "epilogue",
        "epilogue_output",
        "encoding_value",
        "encoding",
        "encoding_forward"
    ),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<EncodingShape>("shape"),
        uniform::<EpilogueUniform>("epilogue"),
        read("input"),
        read_write("output").or_half(),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[Epilogue::ACTIVATION, Epilogue::DROPOUT, ENCODING],
};

pub(crate) const ENCODING_BACKWARD: Kernel = Kernel {
    name: "encoding_backward",
    wgsl: wgsl!("step", "finite", "encoding_value", "encoding", "encoding_backward"),
    bindings: &[
        step::<StepUniform>("step"),
        uniform::<EncodingShape>("shape"),
        read("gradient_output").or_half(),
        read("input"),
        read_write("gradient_input"),
    ],
    constants: &[("WORKGROUP", WORKGROUP as f64)],
    choices: &[ENCODING],
};

uniform_struct! {
    /// Mirror of `EncodingShape` in `shaders/encoding.wgsl`.
    EncodingShape {
        in_features: u32,
        values: u32,
        lanes: u32,
        rows: u32,
    }
}

impl EncodingShape {
    /// For the way forward, whose invocations compute four columns of the output each.
    pub(crate) fn forward(encoding: Encoding, in_features: u32) -> Self {
        let values = value_count(encoding);
        Self::new(in_features, values, (in_features * values).div_ceil(4))
    }

    /// For the way back, whose invocations compute a column of the input each.
    pub(crate) fn backward(encoding: Encoding, in_features: u32) -> Self {
        Self::new(in_features, value_count(encoding), in_features)
    }

    /// A workgroup takes several rows where they are short.
    fn new(in_features: u32, values: u32, invocations: u32) -> Self {
        let lanes = invocations.min(WORKGROUP);
        Self { in_features, values, lanes, rows: WORKGROUP / lanes }
    }

    pub(crate) const fn forward_grid(&self) -> Grid {
        self.grid((self.in_features * self.values).div_ceil(4))
    }

    pub(crate) const fn backward_grid(&self) -> Grid {
        self.grid(self.in_features)
    }

    const fn grid(&self, invocations: u32) -> Grid {
        Grid::rows_y(invocations.div_ceil(self.lanes), self.rows)
    }
}

/// Encoded values of an input.
#[expect(clippy::cast_possible_truncation, reason = "at most 4096")]
fn value_count(encoding: Encoding) -> u32 {
    encoding.values() as u32
}

/// Twin of `shaders/encoding_forward.wgsl` before its epilogue: Z of the inputs.
pub(crate) fn encoding_forward<T: Real>(encoding: Encoding, input: &[T], output: &mut [T]) {
    vectorised_loop!({
        for (&x, values) in input.iter().zip(output.chunks_exact_mut(encoding.values())) {
            for (value, z) in (0..).zip(values) {
                *z = encoding.apply(x, value);
            }
        }
    });
}

/// Twin of `shaders/encoding_backward.wgsl`: dX from dZ.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "only a `Module` takes the gradient of its inputs, on the GPU")
)]
pub(crate) fn encoding_backward<T: Real>(
    encoding: Encoding,
    gradient_output: &[T],
    input: &[T],
    gradient_input: &mut [T],
) {
    let gradients = gradient_output.chunks_exact(encoding.values());
    for ((dx, &x), gradients) in gradient_input.iter_mut().zip(input).zip(gradients) {
        let mut sum = T::ZERO;
        for (value, &dz) in (0..).zip(gradients) {
            sum += dz * encoding.derivative(x, value);
        }
        *dx = sum;
    }
}
