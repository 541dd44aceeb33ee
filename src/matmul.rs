//! The one matrix product of the CPU path: a safe face of the `gemm` crate.

use crate::real::Real;

/// A matrix somewhere in a slice: element (r, c) is at `r · row_stride + c · column_stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// All of a row-major slice of `columns` columns.
    pub(crate) fn new(data: &'a [T], columns: usize) -> Self {
        let rows = data.len() / columns;
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Multiply-adds from which a product is worth more than one thread.
const THREADED: usize = 1 << 19;

/// `out = a·b`, row-major.
///
/// # Panics
/// If the shapes don't fit: a bug in this crate.
pub(crate) fn matmul<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    product(out, false, a, b);
}

/// `out += a·b`, row-major.
///
/// # Panics
/// As [`matmul`].
pub(crate) fn matmul_add<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    product(out, true, a, b);
}

fn product<T: Real>(out: &mut [T], add: bool, a: Matrix<'_, T>, b: Matrix<'_, T>) {
    assert_eq!(a.columns, b.rows, "inner dimensions differ");
    assert_eq!(out.len(), a.rows * b.columns, "the output has another shape");
    for m in [&a, &b] {
        assert!(m.rows * m.columns <= m.data.len(), "a matrix reaches beyond its slice");
    }
    let parallelism = if a.rows * a.columns * b.columns >= THREADED {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    #[expect(unsafe_code, reason = "gemm takes raw pointers")]
    // SAFETY: both inputs are dense views (row-major or its transpose) that the assertions above
    // keep inside their slices; the output is a dense row-major slice of exactly rows × columns,
    // borrowed mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns.cast_signed(),
            add,
            a.data.as_ptr(),
            a.column_stride.cast_signed(),
            a.row_stride.cast_signed(),
            b.data.as_ptr(),
            b.column_stride.cast_signed(),
            b.row_stride.cast_signed(),
            if add { T::ONE } else { T::ZERO },
            T::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::testing::{assert_within, gamma};

    #[test]
    fn the_number_of_threads_does_not_change_the_bits() {
        let mut stream = Stream::new(2, Purpose::Synthetic, 0);
        let n = 131;
        let mut random =
            || -> Vec<f32> { (0..n * n).map(|_| f32::from_f64(stream.normal())).collect() };
        let (a, b) = (random(), random());
        let product = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = vec![0.0; n * n];
            assert!(n * n * n >= THREADED, "too small to be threaded");
            pool.install(|| matmul(&mut out, Matrix::new(&a, n), Matrix::new(&b, n).transposed()));
            out
        };
        let one = product(1);
        assert_eq!(one, product(2));
        assert_eq!(one, product(3));
    }

    #[test]
    fn agrees_with_a_naive_triple_loop() {
        let mut stream = Stream::new(1, Purpose::Synthetic, 0);
        let mut random = |n: usize| -> Vec<f32> {
            (0..n).map(|_| f32::from_f64(2.0 * stream.uniform() - 1.0)).collect()
        };
        for (m, k, n) in [(1, 1, 1), (3, 5, 7), (64, 64, 64), (17, 129, 31), (200, 100, 60)] {
            let (a, b) = (random(m * k), random(k * n));
            // Every way to view the same numbers: as they are, and as the transpose of a transpose.
            let transpose = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect()
            };
            let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
            for a_view in [Matrix::new(&a, k), Matrix::new(&at, m).transposed()] {
                for b_view in [Matrix::new(&b, n), Matrix::new(&bt, k).transposed()] {
                    let mut out = vec![f32::NAN; m * n];
                    matmul(&mut out, a_view, b_view);
                    let terms = |i: usize| {
                        let (a, b) = (&a, &b);
                        (0..k)
                            .map(move |j| f64::from(a[i / n * k + j]) * f64::from(b[j * n + i % n]))
                    };
                    let want: Vec<f64> = (0..m * n).map(|i| terms(i).sum()).collect();
                    let size = |i: usize| terms(i).map(f64::abs).sum::<f64>();
                    assert_within(&out, &want, |i| gamma(k) * size(i));
                    matmul_add(&mut out, a_view, b_view);
                    let twice: Vec<f64> = want.iter().map(|x| 2.0 * x).collect();
                    assert_within(&out, &twice, |i| 2.0 * gamma(k + 1) * size(i));
                }
            }
        }
    }
}
