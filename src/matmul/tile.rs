//! The innermost loop of all products: a tile of the result that stays in registers.

use pulp::Simd;

use crate::real::Real;

/// Rows of a tile.
pub(crate) const TILE_ROWS: usize = 6;
/// Columns of a tile. 6 × 16 numbers are 12 of AVX2's 16 registers; two more hold a row of the right
/// factor and one an element of the left.
pub(crate) const TILE_COLUMNS: usize = 16;

/// A tile of a product.
pub(super) type Tile<T> = [[T; TILE_COLUMNS]; TILE_ROWS];

/// Σ aₖ·bₖᵀ over columns of the left factor and rows of the right one, in their order.
#[inline(always)]
pub(super) fn tile<T: Real, S: Simd>(
    simd: S,
    left: impl Iterator<Item = [T; TILE_ROWS]>,
    right: &[[T; TILE_COLUMNS]],
) -> Tile<T> {
    // Only as many of a row's vectors are used, and stay in registers, as hold its columns.
    let mut sums = [[T::splat(simd, T::ZERO); TILE_COLUMNS]; TILE_ROWS];
    for (a, b) in left.zip(right) {
        let b = T::vectors::<S>(b);
        for (&a, sums) in a.iter().zip(&mut sums) {
            let a = T::splat(simd, a);
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum = T::mul_add(simd, a, b, *sum);
            }
        }
    }
    let mut tile = [[T::ZERO; TILE_COLUMNS]; TILE_ROWS];
    for (row, sums) in tile.iter_mut().zip(&sums) {
        let row = T::vectors_mut::<S>(row);
        let columns = row.len();
        row.copy_from_slice(&sums[..columns]);
    }
    tile
}
