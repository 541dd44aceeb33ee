//! What follows a layer's own formula: Y = dropout(a(Z)), applied and differentiated by the kernels
//! of the layers around it.

use pulp::{Simd, WithSimd};

use crate::activation::{Activation, with_constant};
use crate::engine::kernel::{Choice, uniform_struct};
use crate::layer::Dropout;
use crate::plan::Stage;
use crate::real::Real;
use crate::rng::{Purpose, philox4x32_vectors};
use crate::simd::{vectorised, vectorised_loop};

/// The activation and the dropout behind a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue {
    pub activation: Activation,
    /// With its position in the net.
    pub dropout: Option<(usize, Dropout)>,
}

uniform_struct! {
    /// Mirror of `Epilogue` in `shaders/epilogue.wgsl`.
    EpilogueUniform {
        parameter: f32,
        kept: u32,
        drop_below: u32,
        keep_scale: f32,
        layer: u32,
    }
    pad 3
}

/// What dropout draws of a part of a training step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Draw {
    pub key: [u32; 2],
    /// Position of the part's first row in the step's batch.
    pub row0: u32,
}

impl Draw {
    /// Of the rows from `row` on.
    #[expect(clippy::cast_possible_truncation, reason = "a batch has fewer than 2³² rows")]
    pub(crate) const fn from(&self, row: usize) -> Self {
        Self { key: self.key, row0: self.row0 + row as u32 }
    }
}

impl Epilogue {
    pub(crate) const ACTIVATION: Choice = Choice::codes::<{ Activation::ALL.len() }>("ACTIVATION");
    pub(crate) const DROPOUT: Choice = Choice::flag("DROPOUT");
    /// The choices of every kernel that has an epilogue; others of its own come behind.
    pub(crate) const CHOICES: &'static [Choice] = &[Self::ACTIVATION, Self::DROPOUT];

    /// Y = Z.
    pub(crate) const NONE: Self = Self { activation: Activation::Identity, dropout: None };

    pub(crate) const fn of(stage: &Stage) -> Self {
        Self { activation: stage.activation, dropout: stage.dropout }
    }

    /// Values of the kernels' choices `ACTIVATION` and `DROPOUT`.
    pub(crate) fn choices(&self) -> [f64; 2] {
        [f64::from(self.activation.code()), f64::from(u8::from(self.dropout.is_some()))]
    }

    /// The uniform; `kept` is where behind Y the kernels find what the derivative needs.
    #[expect(clippy::cast_possible_truncation, reason = "the plan keeps every size below 2³²")]
    pub(crate) fn uniform(&self, kept: usize) -> EpilogueUniform {
        let parameter = self.activation.parameter();
        let base = EpilogueUniform { parameter, kept: kept as u32, ..EpilogueUniform::default() };
        match self.dropout {
            Some((layer, dropout)) => EpilogueUniform {
                drop_below: dropout.drop_below(),
                keep_scale: dropout.keep_scale() as f32,
                layer: layer as u32,
                ..base
            },
            None => base,
        }
    }

    /// Turns Z (rows × columns) in `output` into Y, and fills `kept`, which is empty where Y is
    /// enough for the derivative. Without a draw, outside of training, nothing is dropped.
    pub(crate) fn forward<T: Real>(
        &self,
        draw: Option<&Draw>,
        columns: usize,
        output: &mut [T],
        kept: &mut [T],
    ) {
        let activation = self.activation;
        let keeps_preactivation = activation.keeps_preactivation();
        if !kept.is_empty() && keeps_preactivation {
            kept.copy_from_slice(output);
        }
        if activation != Activation::Identity {
            vectorised_loop!({
                with_constant!(activation, |a| {
                    for y in &mut *output {
                        *y = a.apply(*y);
                    }
                });
            });
        }
        if !kept.is_empty() && !keeps_preactivation {
            kept.copy_from_slice(output);
        }
        self.drop(draw, columns, output);
    }

    /// Turns dL/dY (rows × columns) in `gradient` into dL/dZ.
    pub(crate) fn backward<T: Real>(
        &self,
        draw: Option<&Draw>,
        columns: usize,
        kept: &[T],
        gradient: &mut [T],
    ) {
        let activation = self.activation;
        if activation != Activation::Identity {
            vectorised_loop!({
                with_constant!(activation, |a| {
                    for (g, &k) in gradient.iter_mut().zip(kept) {
                        *g *= a.derivative(k);
                    }
                });
            });
        }
        self.drop(draw, columns, gradient);
    }

    /// Multiplies every element with its factor, 0 or 1/(1 − p).
    fn drop<T: Real>(&self, draw: Option<&Draw>, columns: usize, elements: &mut [T]) {
        if let (Some((layer, dropout)), Some(draw)) = (self.dropout, draw) {
            vectorised(Drop { layer, dropout, draw, columns, elements });
        }
    }
}

/// Dropout of `elements` (rows × columns).
struct Drop<'a, T> {
    layer: usize,
    dropout: Dropout,
    draw: &'a Draw,
    columns: usize,
    elements: &'a mut [T],
}

/// Groups of four neighbouring columns whose masks are drawn at once: twice what a register of AVX2
/// holds, as each round of the generator waits for the one before.
const QUADS: usize = 16;

impl<T: Real> WithSimd for Drop<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let below = self.dropout.drop_below();
        let scale = T::from_f64(self.dropout.keep_scale());
        let rows = self.elements.chunks_exact_mut(self.columns);
        for (row, elements) in (self.draw.row0..).zip(rows) {
            for (quad, elements) in (0..).step_by(QUADS).zip(elements.chunks_mut(4 * QUADS)) {
                let words = mask_words(simd, self.draw.key, row, quad, self.layer);
                let mut factors = [[T::ZERO; QUADS]; 4];
                for (factors, words) in factors.iter_mut().zip(&words) {
                    for (factor, &word) in factors.iter_mut().zip(words) {
                        *factor = if word < below { T::ZERO } else { scale };
                    }
                }
                for (lane, elements) in elements.chunks_mut(4).enumerate() {
                    for (x, factors) in elements.iter_mut().zip(&factors) {
                        *x *= factors[lane];
                    }
                }
            }
        }
    }
}

/// The random words of the columns from 4·quad on: word w of lane l is that of column
/// 4·(quad + l) + w.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "nets have fewer than 2³² layers")]
fn mask_words<S: Simd>(
    simd: S,
    key: [u32; 2],
    row: u32,
    quad: u32,
    layer: usize,
) -> [[u32; QUADS]; 4] {
    let quads: [u32; QUADS] = std::array::from_fn(|lane| quad + lane as u32);
    let [row, layer, purpose] =
        [row, layer as u32, Purpose::Dropout as u32].map(|word| simd.splat_u32s(word));
    let mut words = [[0; QUADS]; 4];
    for (vector, &quads) in S::as_simd_u32s(&quads).0.iter().enumerate() {
        let drawn = philox4x32_vectors(simd, [row, quads, layer, purpose], key);
        for (words, drawn) in words.iter_mut().zip(drawn) {
            S::as_mut_simd_u32s(words).0[vector] = drawn;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::philox4x32;

    #[test]
    fn each_element_has_the_mask_of_its_own_place() {
        let dropout = Dropout::new(0.4);
        let epilogue = Epilogue { dropout: Some((3, dropout)), ..Epilogue::NONE };
        let draw = Draw { key: [7, 8], row0: 5 };
        // Below, at and above what is drawn at once.
        for columns in [1, 7, 4 * QUADS, 4 * QUADS + 1, 200] {
            let mut elements = vec![1.0_f32; 3 * columns];
            epilogue.drop(Some(&draw), columns, &mut elements);
            for (i, &element) in elements.iter().enumerate() {
                let [row, column] = [i / columns, i % columns].map(|at| u32::try_from(at).unwrap());
                let place = [draw.row0 + row, column / 4, 3, Purpose::Dropout as u32];
                let word = philox4x32(place, draw.key)[column as usize % 4];
                let kept = word >= dropout.drop_below();
                let want = if kept { f32::from_f64(dropout.keep_scale()) } else { 0.0 };
                assert_eq!(element, want, "row {row}, column {column} of {columns}");
            }
        }
    }
}
