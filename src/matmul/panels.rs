//! Matrices in the order in which a product reads them.

use super::Matrix;
use crate::real::Real;

/// Numbers of a cache line, in f32.
const LINE: usize = 16;

/// A matrix in panels of `N` neighbouring columns: row r of panel p holds columns p·N to p·N + N − 1,
/// those beyond the matrix 0. A product walks down a panel as one stream of memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panels<'a, T, const N: usize> {
    pub(super) rows: &'a [[T; N]],
    /// Rows of the matrix and of each panel.
    pub(super) depth: usize,
    pub(super) columns: usize,
}

impl<'a, T: Real, const N: usize> Panels<'a, T, N> {
    /// Elements of the storage for a matrix of `depth` × `columns`.
    pub(crate) const fn len(depth: usize, columns: usize) -> usize {
        depth * columns.div_ceil(N)
    }

    /// A matrix whose panels fill `rows`.
    ///
    /// # Panics
    /// If they don't: a bug in this crate.
    pub(crate) fn new(rows: &'a [[T; N]], depth: usize, columns: usize) -> Self {
        assert_eq!(rows.len(), Self::len(depth, columns), "panels of another shape");
        Self { rows, depth, columns }
    }

    /// Copies a matrix into panels, the first `Self::len` rows of `storage`.
    pub(crate) fn pack(matrix: Matrix<'_, T>, storage: &'a mut [[T; N]]) -> Self {
        let storage = &mut storage[..Self::len(matrix.rows, matrix.columns)];
        for (panel, rows) in storage.chunks_exact_mut(matrix.rows).enumerate() {
            pack_panel(matrix, panel, rows);
        }
        Self::new(storage, matrix.rows, matrix.columns)
    }
}

/// Copies one panel of a matrix.
pub(crate) fn pack_panel<T: Real, const N: usize>(
    matrix: Matrix<'_, T>,
    panel: usize,
    rows: &mut [[T; N]],
) {
    let Matrix { data, columns, stride, .. } = matrix;
    let first = panel * N;
    let width = N.min(columns - first);
    if !matrix.transposed {
        let from = data.chunks(stride).map(|row| &row[first..]);
        if width == N {
            // Copies of a length that the compiler knows.
            let from = from.filter_map(|row| row.first_chunk());
            rows.iter_mut().zip(from).for_each(|(row, from)| *row = *from);
        } else {
            for (row, from) in rows.iter_mut().zip(from) {
                row[..width].copy_from_slice(&from[..width]);
                row[width..].fill(T::ZERO);
            }
        }
        return;
    }
    // The last column stands in for those beyond the matrix, which become 0 in the end.
    let columns: [&[T]; N] = std::array::from_fn(|column| {
        &data[(first + column.min(width - 1)) * stride..][..rows.len()]
    });
    // A cache line of each column after the other: at some strides all of these compete for the same
    // few places of the cache.
    for (start, rows) in (0..).step_by(LINE).zip(rows.chunks_mut(LINE)) {
        for (at, column) in columns.iter().enumerate() {
            rows.iter_mut().zip(&column[start..]).for_each(|(row, &x)| row[at] = x);
        }
    }
    if width < N {
        rows.iter_mut().for_each(|row| row[width..].fill(T::ZERO));
    }
}
