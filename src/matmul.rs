//! The matrix products of the CPU path, in safe Rust.
//!
//! A product is computed tile by tile ([`mod@tile`]); the factors come in the order in which tiles read
//! them ([`panels`]). Every element is one sum in the order of the inner dimension, in blocks of
//! [`DEPTH`], whatever part of the result is computed with it: so threads may share a product in any
//! way without changing its bits.

mod panels;
mod tile;

pub(crate) use panels::{Panels, pack_panel};
pub(crate) use tile::{TILE_COLUMNS, TILE_ROWS};

use std::ops::Range;

use pulp::{Simd, WithSimd};
use tile::{Tile, tile};

use crate::real::Real;
use crate::simd::vectorised;

/// Length of the inner dimension that is done in one go. Longer ones save passes over the result.
const DEPTH: usize = 2048;
/// Strips of rows that are done with one panel: so much of the left factor stays there beside it.
const BLOCK: usize = 2;
/// Rows of panels that all rows of the result are done with before the next ones: so much of the right
/// factor, 256 KiB of f32, stays in the second level of the cache.
const SLAB: usize = 4096;

/// A row-major matrix or the transpose of one, or some columns of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    /// From the start of a row, or transposed of a column, to that of the next.
    stride: usize,
    transposed: bool,
}

impl<'a, T> Matrix<'a, T> {
    /// All of a row-major slice of `columns` columns.
    pub(crate) fn new(data: &'a [T], columns: usize) -> Self {
        assert!(data.len().is_multiple_of(columns), "not so many columns");
        let rows = data.len() / columns;
        Self { data, rows, columns, stride: columns, transposed: false }
    }

    /// The transpose, without moving anything.
    pub(crate) const fn transposed(self) -> Self {
        let Self { rows, columns, .. } = self;
        Self { rows: columns, columns: rows, transposed: !self.transposed, ..self }
    }

    /// Neighbouring columns of a row-major matrix.
    pub(crate) fn columns(self, range: Range<usize>) -> Self {
        assert!(!self.transposed && range.end <= self.columns, "no such columns");
        Self { data: &self.data[range.start..], columns: range.len(), ..self }
    }
}

/// A right factor.
pub(crate) type Right<'a, T> = Panels<'a, T, TILE_COLUMNS>;

/// A left factor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left<'a, T> {
    /// Row-major.
    Rows(&'a [T]),
    /// The panels of its transpose.
    Panels(Panels<'a, T, TILE_ROWS>),
}

/// `out = a·b`, row-major; `out += a·b` if `add`. On one thread.
///
/// # Panics
/// If the shapes don't fit: a bug in this crate.
pub(crate) fn product<T: Real>(out: &mut [T], add: bool, left: Left<'_, T>, right: Right<'_, T>) {
    let rows = out.len() / right.columns;
    assert_eq!(out.len(), rows * right.columns, "the output has another shape");
    match left {
        Left::Rows(data) => assert_eq!(data.len(), rows * right.depth, "shapes differ"),
        Left::Panels(panels) => {
            assert_eq!((panels.columns, panels.depth), (rows, right.depth), "shapes differ");
        }
    }
    vectorised(Product { out, add, left, right });
}

struct Product<'a, T> {
    out: &'a mut [T],
    add: bool,
    left: Left<'a, T>,
    right: Right<'a, T>,
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Panels { rows: panels, depth, columns } = self.right;
        for from in (0..depth).step_by(DEPTH) {
            let to = (from + DEPTH).min(depth);
            let add = self.add || from > 0;
            let in_slab = SLAB / (to - from);
            for (slab, panels) in panels.chunks(in_slab * depth).enumerate() {
                let slab = slab * in_slab * TILE_COLUMNS;
                for (block, out) in self.out.chunks_mut(BLOCK * TILE_ROWS * columns).enumerate() {
                    let columns_of = (slab..).step_by(TILE_COLUMNS);
                    for (panel, first) in panels.chunks_exact(depth).zip(columns_of) {
                        let panel = &panel[from..to];
                        let strips = (block * BLOCK..).zip(out.chunks_mut(TILE_ROWS * columns));
                        for (strip, out) in strips {
                            let live = out.len() / columns;
                            let sums = self.left.strip_times(simd, strip, live, depth, from, panel);
                            for (out, sums) in out.chunks_exact_mut(columns).zip(&sums) {
                                store(&mut out[first..], add, sums);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<T: Real> Left<'_, T> {
    /// The tile of a strip of `live` rows and a panel's rows that start at `from`.
    #[inline(always)]
    fn strip_times<S: Simd>(
        &self,
        simd: S,
        strip: usize,
        live: usize,
        depth: usize,
        from: usize,
        panel: &[[T; TILE_COLUMNS]],
    ) -> Tile<T> {
        let len = panel.len();
        match self {
            Left::Rows(data) => {
                // The last row stands in for those that aren't there.
                let [a, b, c, d, e, f] = std::array::from_fn(|row| {
                    let row = strip * TILE_ROWS + row.min(live - 1);
                    &data[row * depth + from..][..len]
                });
                tile(simd, (0..len).map(|k| [a[k], b[k], c[k], d[k], e[k], f[k]]), panel)
            }
            Left::Panels(left) => {
                let strip = &left.rows[strip * depth + from..][..len];
                tile(simd, strip.iter().copied(), panel)
            }
        }
    }
}

/// Writes or adds a row of a tile, of which the part beyond the matrix has no place.
#[inline(always)]
fn store<T: Real>(out: &mut [T], add: bool, sums: &[T; TILE_COLUMNS]) {
    if let Some(out) = out.first_chunk_mut::<{ TILE_COLUMNS }>() {
        if add {
            for (out, &sum) in out.iter_mut().zip(sums) {
                *out += sum;
            }
        } else {
            *out = *sums;
        }
    } else if add {
        out.iter_mut().zip(sums).for_each(|(out, &sum)| *out += sum);
    } else {
        out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::testing::{assert_within, gamma};

    fn transpose(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        (0..numbers.len()).map(|i| numbers[i % rows * columns + i / rows]).collect()
    }

    #[test]
    fn agrees_with_a_naive_triple_loop() {
        let mut stream = Stream::new(1, Purpose::Synthetic, 0);
        let mut random = |n: usize| -> Vec<f32> {
            (0..n).map(|_| f32::from_f64(2.0 * stream.uniform() - 1.0)).collect()
        };
        // Below, at and above a tile, a block of tiles, a slab of panels and the depth of one go.
        let shapes = [
            (1, 1, 1),
            (3, 5, 7),
            (6, 64, 16),
            (7, 129, 17),
            (12, 512, 128),
            (13, 513, 129),
            (12, 2048, 32),
            (13, 2049, 33),
            (50, 4100, 40),
        ];
        for (m, k, n) in shapes {
            let (a, b) = (random(m * k), random(k * n));
            let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
            let mut left = vec![[f32::NAN; TILE_ROWS]; Panels::<f32, TILE_ROWS>::len(k, m)];
            let left = Panels::pack(Matrix::new(&at, m), &mut left);
            for a_view in [Left::Rows(&a), Left::Panels(left)] {
                for b_view in [Matrix::new(&b, n), Matrix::new(&bt, k).transposed()] {
                    let mut right = vec![[f32::NAN; TILE_COLUMNS]; Right::<f32>::len(k, n)];
                    let right = Panels::pack(b_view, &mut right);
                    let mut out = vec![f32::NAN; m * n];
                    product(&mut out, false, a_view, right);
                    let terms = |i: usize| {
                        let (a, b) = (&a, &b);
                        (0..k)
                            .map(move |j| f64::from(a[i / n * k + j]) * f64::from(b[j * n + i % n]))
                    };
                    let want: Vec<f64> = (0..m * n).map(|i| terms(i).sum()).collect();
                    let size = |i: usize| terms(i).map(f64::abs).sum::<f64>();
                    assert_within(&out, &want, |i| gamma(k) * size(i));
                    product(&mut out, true, a_view, right);
                    let twice: Vec<f64> = want.iter().map(|x| 2.0 * x).collect();
                    assert_within(&out, &twice, |i| 2.0 * gamma(k + 1) * size(i));
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_product_has_the_bits_of_the_whole() {
        let mut stream = Stream::new(2, Purpose::Synthetic, 0);
        let mut random =
            |n: usize| -> Vec<f32> { (0..n).map(|_| f32::from_f64(stream.normal())).collect() };
        let (m, k, n) = (31, 2100, 45);
        let (a, b) = (random(m * k), random(k * n));
        let mut right = vec![[0.0; TILE_COLUMNS]; Right::<f32>::len(k, n)];
        let right = Panels::pack(Matrix::new(&b, n), &mut right);
        let mut whole = vec![0.0; m * n];
        product(&mut whole, false, Left::Rows(&a), right);
        for rows in [1, 5, 6, 13] {
            let mut parts = vec![0.0; m * n];
            for (a, part) in a.chunks(rows * k).zip(parts.chunks_mut(rows * n)) {
                product(part, false, Left::Rows(a), right);
            }
            assert_eq!(whole, parts, "{rows} rows at once");
        }
    }
}
