//! Work on rows, divided among threads.

use std::ops::Range;

/// Something that is done row by row and can be divided between rows.
pub(crate) trait Split: Sized + Send {
    fn rows(&self) -> usize;

    /// The rows before `row`, and those from it on.
    fn split_at(self, row: usize) -> (Self, Self);
}

/// Blocks into which threads divide work: enough for many threads to have about the same.
const BLOCKS: usize = 16;
/// A block of a product reads all of the right factor, which is as many numbers as a row takes
/// multiply-adds: 8 MiB of f32 hardly stay in the last level of the cache from block to block.
const FAR: usize = 1 << 21;

/// Rows in a block of work that is worth dividing, where a row takes `work` multiply-adds: a multiple of
/// `unit`.
pub(crate) fn block_rows(rows: usize, work: usize, unit: usize) -> usize {
    let blocks = if work > FAR { (2 * rayon::current_num_threads()).min(BLOCKS) } else { BLOCKS };
    rows.div_ceil(blocks).next_multiple_of(unit)
}

/// Does `work` in blocks of `block` rows, the last with what is left, on all threads of the pool.
/// Nothing is allocated.
pub(crate) fn in_blocks<W: Split>(work: W, block: usize, run: &(impl Fn(W) + Sync)) {
    let blocks = work.rows().div_ceil(block);
    if blocks <= 1 {
        return run(work);
    }
    let (before, behind) = work.split_at(blocks / 2 * block);
    rayon::join(|| in_blocks(before, block, run), || in_blocks(behind, block, run));
}

/// The numbers of the rows.
impl Split for Range<usize> {
    fn rows(&self) -> usize {
        self.len()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let middle = self.start + row;
        (self.start..middle, middle..self.end)
    }
}

/// Rows of `columns` elements, to read; none where there are no elements.
#[derive(Debug)]
pub(crate) struct Rows<'a, T> {
    pub elements: &'a [T],
    pub columns: usize,
}

/// Rows of `columns` elements, to write; none where there are no elements.
#[derive(Debug)]
pub(crate) struct RowsMut<'a, T> {
    pub elements: &'a mut [T],
    pub columns: usize,
}

impl<'a, T> Rows<'a, T> {
    pub(crate) const fn new(elements: &'a [T], columns: usize) -> Self {
        Self { elements, columns }
    }
}

impl<'a, T> RowsMut<'a, T> {
    pub(crate) const fn new(elements: &'a mut [T], columns: usize) -> Self {
        Self { elements, columns }
    }
}

impl<T: Sync> Split for Rows<'_, T> {
    fn rows(&self) -> usize {
        self.elements.len() / self.columns
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let Self { elements, columns } = self;
        let (before, behind) = elements.split_at((row * columns).min(elements.len()));
        (Self::new(before, columns), Self::new(behind, columns))
    }
}

impl<T: Send> Split for RowsMut<'_, T> {
    fn rows(&self) -> usize {
        self.elements.len() / self.columns
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let Self { elements, columns } = self;
        let (before, behind) = elements.split_at_mut((row * columns).min(elements.len()));
        (Self::new(before, columns), Self::new(behind, columns))
    }
}

/// As many rows as the first has.
impl<A: Split, B: Split> Split for (A, B) {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let ((a, b), (c, d)) = (self.0.split_at(row), self.1.split_at(row));
        ((a, c), (b, d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_done_once_in_blocks_that_begin_at_multiples() {
        for (rows, block) in [(1, 1), (7, 3), (64, 6), (5, 100), (0, 4)] {
            let mut counts = vec![0; rows * 2];
            let mut optional: Vec<u8> = Vec::new();
            let work = (0..rows, (RowsMut::new(&mut counts, 2), RowsMut::new(&mut optional, 3)));
            in_blocks(work, block, &|(numbers, (counts, optional))| {
                assert_eq!(numbers.start % block, 0);
                assert_eq!(counts.elements.len(), 2 * numbers.len());
                assert!(optional.elements.is_empty() && numbers.len() <= block);
                counts.elements.iter_mut().for_each(|count| *count += 1);
            });
            assert!(counts.iter().all(|&count| count == 1), "{rows} rows in {block}: {counts:?}");
        }
    }
}
