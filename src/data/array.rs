//! Arrays of numbers in binary files, as columns of a table.

use std::io::{self, ErrorKind, Read};

use super::input::{CHUNK, read_error};
use super::numbers::Numbers;
use crate::{Error, Result};

/// More columns than this are no table, and their names alone would fill the memory.
const MAX_COLUMNS: u64 = 1 << 20;

/// How a number is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    /// Bytes of one.
    pub(super) size: usize,
    /// Takes exactly so many.
    read: fn(&[u8]) -> f64,
}

/// The element of a number type, from bytes in this order.
macro_rules! element {
    ($number:ty, $from_bytes:ident) => {{
        fn read(bytes: &[u8]) -> f64 {
            <$number>::$from_bytes(bytes.first_chunk().copied().unwrap_or_default()) as f64
        }
        Element { size: size_of::<$number>(), read }
    }};
}

impl Element {
    /// By kind (`f`, `i`, `u`, or `b` for a truth value), size in bytes and order.
    pub(super) fn new(kind: char, size: usize, big_endian: bool) -> Option<Self> {
        Some(match (kind, size, big_endian) {
            ('u' | 'b', 1, _) => element!(u8, from_le_bytes),
            ('i', 1, _) => element!(i8, from_le_bytes),
            ('u', 2, false) => element!(u16, from_le_bytes),
            ('u', 2, true) => element!(u16, from_be_bytes),
            ('i', 2, false) => element!(i16, from_le_bytes),
            ('i', 2, true) => element!(i16, from_be_bytes),
            ('u', 4, false) => element!(u32, from_le_bytes),
            ('u', 4, true) => element!(u32, from_be_bytes),
            ('i', 4, false) => element!(i32, from_le_bytes),
            ('i', 4, true) => element!(i32, from_be_bytes),
            ('u', 8, false) => element!(u64, from_le_bytes),
            ('u', 8, true) => element!(u64, from_be_bytes),
            ('i', 8, false) => element!(i64, from_le_bytes),
            ('i', 8, true) => element!(i64, from_be_bytes),
            ('f', 4, false) => element!(f32, from_le_bytes),
            ('f', 4, true) => element!(f32, from_be_bytes),
            ('f', 8, false) => element!(f64, from_le_bytes),
            ('f', 8, true) => element!(f64, from_be_bytes),
            _ => return None,
        })
    }
}

/// The file format that an array comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Idx,
    Npy,
}

/// What the head of a file says of the array that follows.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) format: Format,
    /// What to call the array in messages.
    pub(super) name: String,
    pub(super) element: Element,
    pub(super) shape: Vec<u64>,
    /// Whether the first index runs fastest (Fortran) instead of the last (C).
    pub(super) first_fastest: bool,
    /// Bytes before the numbers.
    pub(super) offset: u64,
}

/// A header whose sizes are known to fit the file: rows, the first index, and all others as columns.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    pub(super) name: String,
    element: Element,
    pub(super) shape: Vec<usize>,
    first_fastest: bool,
    offset: u64,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Header {
    /// Checks the sizes against the bytes that the file has, or can have at most, before anything is
    /// set aside for the numbers.
    pub(super) fn layout(self, most_bytes: u64) -> Result<Layout> {
        let Self { format, name, element, shape, first_fastest, offset } = self;
        let fail = |problem| Err(Error::Data { source_name: name.clone(), problem });
        let described = format!("an array of {}", sizes(&shape));
        let Some((&rows, others)) = shape.split_first() else {
            return fail("the array is a single number; it needs one row or more".into());
        };
        if shape.contains(&0) {
            return fail(format!("{described} is empty; it needs one row and one column or more"));
        }
        let product = |sizes: &[u64]| sizes.iter().try_fold(1_u64, |n, &size| n.checked_mul(size));
        let needed = product(&shape).and_then(|n| n.checked_mul(element.size as u64));
        let held = most_bytes.saturating_sub(offset);
        if needed.is_none_or(|needed| needed > held) {
            let needed = needed.map_or("more than 2^64".into(), |needed| needed.to_string());
            return fail(format!(
                "the header claims {described}, {needed} bytes, but only {held} bytes can follow it; the \
                 file is cut short or damaged, so copy or save it again"
            ));
        }
        let columns = product(others).unwrap_or(u64::MAX);
        if columns > MAX_COLUMNS {
            return fail(format!(
                "{described} has {columns} columns, but at most {MAX_COLUMNS} are read; the first \
                 index must be that of the rows"
            ));
        }
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let (rows, columns) = (size(rows), size(columns));
        let shape = shape.into_iter().map(size).collect();
        Ok(Layout { format, name, element, shape, first_fastest, offset, rows, columns })
    }
}

impl Layout {
    /// Appends the numbers of a file to the columns; they must be all that follows its header.
    ///
    /// # Panics
    /// If there aren't as many columns.
    pub(super) fn read(&self, mut from: impl Read, columns: &mut [Numbers]) -> Result<()> {
        assert_eq!(columns.len(), self.columns, "columns of {}", self.name);
        io::copy(&mut (&mut from).take(self.offset), &mut io::sink())
            .map_err(|error| read_error(&self.name, error))?;
        if self.first_fastest && self.shape.len() > 1 {
            self.read_columns(&mut from, columns)?;
        } else {
            self.read_rows(&mut from, columns)?;
        }
        match from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.error(format!(
                "more bytes follow the array of {}; a file holds one array, so save each in its own",
                sizes(&self.shape)
            ))),
            Err(error) => Err(read_error(&self.name, error)),
        }
    }

    /// The last index runs fastest: rows one after the other, taken in blocks that stay in a cache.
    fn read_rows(&self, from: &mut impl Read, columns: &mut [Numbers]) -> Result<()> {
        let row_bytes = self.columns * self.element.size;
        let at_once = (4 * CHUNK / row_bytes).clamp(1, self.rows);
        let mut block = vec![0; at_once * row_bytes];
        for first in (0..self.rows).step_by(at_once) {
            let rows = at_once.min(self.rows - first);
            let block = &mut block[..rows * row_bytes];
            self.fill(from, block, first)?;
            for (i, column) in columns.iter_mut().enumerate() {
                let numbers =
                    block.chunks_exact(row_bytes).map(|row| &row[i * self.element.size..]);
                self.append(first, numbers, i, column)?;
            }
        }
        Ok(())
    }

    /// The first index runs fastest: columns one after the other, their own first index fastest.
    fn read_columns(&self, from: &mut impl Read, columns: &mut [Numbers]) -> Result<()> {
        let at_once = (4 * CHUNK / self.element.size).clamp(1, self.rows);
        let mut block = vec![0; at_once * self.element.size];
        for stored in 0..self.columns {
            let i = self.last_fastest(stored);
            for first in (0..self.rows).step_by(at_once) {
                let rows = at_once.min(self.rows - first);
                let block = &mut block[..rows * self.element.size];
                self.fill(from, block, first)?;
                let numbers = block.chunks_exact(self.element.size);
                self.append(first, numbers, i, &mut columns[i])?;
            }
        }
        Ok(())
    }

    /// The column, counted with the last index fastest, of one counted with the first fastest.
    fn last_fastest(&self, stored: usize) -> usize {
        let (mut rest, mut stride, mut column) = (stored, self.columns, 0);
        for size in &self.shape[1..] {
            stride /= size;
            column += rest % size * stride;
            rest /= size;
        }
        column
    }

    fn fill(&self, from: &mut impl Read, block: &mut [u8], row: usize) -> Result<()> {
        from.read_exact(block).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.error(format!(
                "the file ends at row {row} of the {} that its header claims; it is cut short, so copy \
                 or save it again",
                self.rows
            )),
            _ => read_error(&self.name, error),
        })
    }

    /// Numbers of a column, of the rows from `first` on.
    fn append<'a>(
        &self,
        first: usize,
        numbers: impl Iterator<Item = &'a [u8]>,
        index: usize,
        column: &mut Numbers,
    ) -> Result<()> {
        for (row, bytes) in (first..).zip(numbers) {
            column.push((self.element.read)(bytes)).map_err(|problem| Error::Cell {
                source_name: self.name.clone(),
                place: format!("row {row}"),
                column: format!("{index} (counted from 0)"),
                problem,
            })?;
        }
        Ok(())
    }

    pub(super) fn error(&self, problem: String) -> Error {
        Error::Data { source_name: self.name.clone(), problem }
    }
}

/// Sizes as people say them: `60000 × 28 × 28`.
pub(super) fn sizes(shape: &[impl ToString]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::statistics::narrow;

    fn header(element: Element, shape: &[u64], first_fastest: bool) -> Header {
        let (format, name, shape) = (Format::Npy, "a".into(), shape.to_vec());
        Header { format, name, element, shape, first_fastest, offset: 0 }
    }

    fn columns(header: Header, bytes: &[u8]) -> Result<Vec<Vec<f32>>> {
        let layout = header.layout(bytes.len() as u64)?;
        let mut columns = vec![Numbers::with_capacity(0); layout.columns];
        layout.read(bytes, &mut columns)?;
        Ok(columns.into_iter().map(Numbers::into_values).collect())
    }

    #[test]
    fn every_number_type_is_read_in_both_orders() {
        macro_rules! check {
            ($number:ty, $kind:literal, $values:expr) => {
                for big in [false, true] {
                    let bytes: Vec<u8> = $values
                        .iter()
                        .flat_map(|v: &$number| if big { v.to_be_bytes() } else { v.to_le_bytes() })
                        .collect();
                    let element = Element::new($kind, size_of::<$number>(), big).unwrap();
                    let read = columns(header(element, &[$values.len() as u64], false), &bytes);
                    let expected: Vec<f32> = $values.iter().map(|&v| narrow(v as f64)).collect();
                    assert_eq!(read.unwrap(), [expected], "{} {big}", stringify!($number));
                }
            };
        }
        check!(u8, 'u', [0, 1, 255]);
        check!(i8, 'i', [0, 127, -128]);
        check!(u16, 'u', [1, 256, u16::MAX]);
        check!(i16, 'i', [1, 256, i16::MIN]);
        check!(u32, 'u', [1, 1 << 24, u32::MAX]);
        check!(i32, 'i', [1, -3, i32::MIN]);
        check!(u64, 'u', [1, 1 << 40, u64::MAX]);
        check!(i64, 'i', [1, -(1 << 40), i64::MIN]);
        check!(f32, 'f', [1.5, -0.0, f32::MAX]);
        check!(f64, 'f', [0.1, -1e30, 1e-50]);
        assert!(Element::new('f', 2, false).is_none() && Element::new('c', 8, false).is_none());
    }

    #[test]
    fn both_orders_of_indices_give_the_same_columns() {
        // a[i, j, k] = 25 i + 10 j + k of shape 5 × 3 × 2, whatever is stored first.
        let byte = Element::new('u', 1, false).unwrap();
        let (rows, columns_of_two) = (5, 3);
        let mut c_order = Vec::new();
        for (i, j, k) in indices(rows, columns_of_two, 2) {
            c_order.push(25 * i + 10 * j + k);
        }
        let mut fortran = Vec::new();
        for k in 0..2 {
            for j in 0..columns_of_two {
                fortran.extend((0..rows).map(|i| 25 * i + 10 * j + k));
            }
        }
        let expected: Vec<Vec<f32>> = indices(1, columns_of_two, 2)
            .map(|(_, j, k)| (0..rows).map(|i| f32::from(25 * i + 10 * j + k)).collect())
            .collect();
        for (bytes, first_fastest) in [(c_order, false), (fortran, true)] {
            let read = columns(header(byte, &[5, 3, 2], first_fastest), &bytes).unwrap();
            assert_eq!(read, expected, "{first_fastest}");
        }
    }

    fn indices(a: u8, b: u8, c: u8) -> impl Iterator<Item = (u8, u8, u8)> {
        (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
    }

    #[test]
    fn arrays_longer_than_a_block_are_read_whole() {
        let short = Element::new('u', 2, false).unwrap();
        let rows = 300_001_u64;
        let bytes: Vec<u8> =
            (0..2 * rows).flat_map(|i| u16::try_from(i % 65_521).unwrap().to_le_bytes()).collect();
        for first_fastest in [false, true] {
            let read = columns(header(short, &[rows, 2], first_fastest), &bytes).unwrap();
            for (at, stored) in [(0, 0), (200_000, 200_000), (300_000, rows - 1)] {
                let expected = if first_fastest { stored } else { 2 * stored } % 65_521;
                assert_eq!(read[0][at], expected as f32, "{first_fastest} {at}");
            }
        }
    }

    #[test]
    fn claims_are_checked_before_anything_is_set_aside() {
        let double = Element::new('f', 8, false).unwrap();
        let message =
            |shape: &[u64]| header(double, shape, false).layout(100).unwrap_err().to_string();
        let claim = "the header claims an array of";
        for shape in [&[1 << 60][..], &[1 << 32, 1 << 32], &[u64::MAX, 3], &[13]] {
            let message = message(shape);
            assert!(message.starts_with(&format!("a: {claim} {}", sizes(shape))), "{message}");
            assert!(message.contains("but only 100 bytes can follow it"), "{message}");
        }
        assert!(message(&[]).contains("single number"));
        assert!(message(&[0, 1 << 60]).contains("is empty"));
        let wide = header(double, &[1, 2 << 20], false).layout(u64::MAX).unwrap_err().to_string();
        assert!(wide.contains("at most 1048576 are read"), "{wide}");
    }

    #[test]
    fn wrong_lengths_and_numbers_are_named() {
        let float = Element::new('f', 4, false).unwrap();
        let bytes: Vec<u8> = [1.0_f32, 2.0, 3.0, f32::INFINITY].map(f32::to_le_bytes).concat();
        let message = |result: Result<Vec<Vec<f32>>>| result.unwrap_err().to_string();
        let infinite = message(columns(header(float, &[2, 2], false), &bytes));
        let expected = "a, row 1, column 1 (counted from 0): inf is not a finite number";
        assert!(infinite.starts_with(expected), "{infinite}");
        // Whose columns hold others' rows already.
        let mut behind = vec![Numbers::with_capacity(0); 2];
        behind.iter_mut().for_each(|column| column.push(1.0).unwrap());
        let layout = header(float, &[2, 2], false).layout(16).unwrap();
        let infinite = layout.read(&bytes[..], &mut behind).unwrap_err().to_string();
        assert!(infinite.starts_with(expected), "{infinite}");
        let longer = message(columns(header(float, &[3], false), &bytes));
        assert!(longer.contains("more bytes follow the array of 3"), "{longer}");
        let layout = header(float, &[4, 1], false).layout(16).unwrap();
        let cut =
            layout.read(&bytes[..10], &mut [Numbers::with_capacity(0)]).unwrap_err().to_string();
        assert!(cut.contains("ends at row 0 of the 4"), "{cut}");
        let huge = Element::new('f', 8, true).unwrap();
        let huge = message(columns(header(huge, &[1], false), &1e39_f64.to_be_bytes()));
        assert!(huge.contains("1e39 is beyond the range of f32"), "{huge}");
    }
}
