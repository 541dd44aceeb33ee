//! The CPU engine's matrix product by itself.

use std::time::Instant;

use super::Samples;
use crate::blocks::{RowsMut, block_rows, in_blocks};
use crate::error::Result;
use crate::matmul::{Left, Matrix, Right, TILE_COLUMNS, TILE_ROWS, pack_panel, product};

/// Times C = A·B of `size` × `size` numbers on all threads of the pool that it is called in, for about
/// `seconds`. B is brought into the order of the product each time, as weights are in each step.
///
/// # Errors
/// None; a measurement of a device has some.
pub fn square_product(size: usize, seconds: f64) -> Result<Samples> {
    let [a, b] = [0.5, 0.25].map(|number| vec![number; size * size]);
    let mut c = vec![0.0_f32; size * size];
    let mut panels = vec![[0.0; TILE_COLUMNS]; Right::<f32>::len(size, size)];
    let block = block_rows(size, size * size, TILE_ROWS);
    Samples::take(seconds, f64::INFINITY, |repetitions| {
        let start = Instant::now();
        for _ in 0..repetitions {
            let work = (0..size.div_ceil(TILE_COLUMNS), RowsMut::new(&mut panels, size));
            in_blocks(work, 1, &|(numbers, panel)| {
                pack_panel(Matrix::new(&b, size), numbers.start, panel.elements);
            });
            let right = Right::new(&panels, size, size);
            in_blocks((0..size, RowsMut::new(&mut c, size)), block, &|(numbers, c)| {
                let a = &a[numbers.start * size..numbers.end * size];
                product(c.elements, false, Left::Rows(a), right);
            });
        }
        Ok(start.elapsed().as_secs_f64())
    })
}
