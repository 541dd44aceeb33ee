//! The statistics of a norm's groups.

use crate::plan::Norm;
use crate::real::Real;
use crate::simd::vectorised_loop;

/// (c, μ − c, 1/√(σ² + ε)) of a group: μ in two parts, a number near it and the small rest, so that a
/// mean far larger than the spread costs no digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Statistics<T> {
    pub centre: T,
    pub shift: T,
    pub inv_deviation: T,
}

impl<T: Real> Statistics<T> {
    fn new(centre: T, shift: T, variance: T, eps: T) -> Self {
        Self { centre, shift, inv_deviation: T::ONE / (variance + eps).sqrt() }
    }

    /// x̂.
    #[inline(always)]
    pub(super) fn normalised(&self, x: T) -> T {
        ((x - self.centre) - self.shift) * self.inv_deviation
    }
}

/// Twin of `shaders/norm_statistics.wgsl` for a layer norm: the statistics of each row of `input`
/// (rows × columns).
pub(crate) fn row_statistics<T: Real>(
    norm: &Norm,
    columns: usize,
    input: &[T],
    statistics: &mut [Statistics<T>],
) {
    let eps = T::from_f64(norm.eps);
    vectorised_loop!({
        for (row, statistics) in input.chunks_exact(columns).zip(&mut *statistics) {
            let (shift, squares) = moments(row);
            *statistics = Statistics::new(row[0], shift, squares / count(columns), eps);
        }
    });
}

/// Twin of `shaders/norm_statistics.wgsl` for a batch norm: the statistics of as many columns of
/// `input` (rows × columns) from `first` on as there are `statistics`. `running` holds their running
/// mean and variance, and is moved; empty slices where nothing is tracked.
pub(crate) fn column_statistics<T: Real>(
    norm: &Norm,
    columns: usize,
    input: &[T],
    first: usize,
    statistics: &mut [Statistics<T>],
    running: [&mut [T]; 2],
) {
    let momentum = T::from_f64(norm.momentum);
    let eps = T::from_f64(norm.eps);
    let len = count::<T>(input.len() / columns);
    // Until they are complete, `shift` and `inv_deviation` hold the sums of what they come from.
    for (statistics, &centre) in statistics.iter_mut().zip(&input[first..]) {
        *statistics = Statistics { centre, ..Statistics::default() };
    }
    vectorised_loop!({
        for rows in input.chunks(ROWS * columns) {
            for (strip, statistics) in statistics.chunks_mut(WIDTH).enumerate() {
                let centre = wide_of(statistics, |s| s.centre);
                let mut shift = wide_of(statistics, |s| s.shift);
                for row in rows.chunks_exact(columns) {
                    let x = wide(row, first + strip * WIDTH, T::ZERO);
                    for j in 0..WIDTH {
                        shift[j] += x[j] - centre[j];
                    }
                }
                statistics.iter_mut().zip(shift).for_each(|(s, shift)| s.shift = shift);
            }
        }
    });
    statistics.iter_mut().for_each(|s| s.shift = s.shift / len);
    vectorised_loop!({
        for rows in input.chunks(ROWS * columns) {
            for (strip, statistics) in statistics.chunks_mut(WIDTH).enumerate() {
                let centre = wide_of(statistics, |s| s.centre);
                let shift = wide_of(statistics, |s| s.shift);
                let mut squares = wide_of(statistics, |s| s.inv_deviation);
                for row in rows.chunks_exact(columns) {
                    let x = wide(row, first + strip * WIDTH, T::ZERO);
                    for j in 0..WIDTH {
                        let deviation = (x[j] - centre[j]) - shift[j];
                        squares[j] += deviation * deviation;
                    }
                }
                let sums = statistics.iter_mut().zip(squares);
                sums.for_each(|(s, squares)| s.inv_deviation = squares);
            }
        }
    });
    let [running_mean, running_var] = running;
    for (column, statistics) in statistics.iter_mut().enumerate() {
        let Statistics { centre, shift, inv_deviation: squares } = *statistics;
        *statistics = Statistics::new(centre, shift, squares / len, eps);
        let running = (running_mean.get_mut(column), running_var.get_mut(column));
        if let (Some(mean), Some(var)) = running {
            let moved = |running: T, statistic: T| match momentum == T::ONE {
                true => statistic,
                false => running + momentum * (statistic - running),
            };
            let moved = [moved(*mean, centre + shift), moved(*var, squares / (len - T::ONE))];
            if moved.iter().all(|x| x.is_finite()) {
                [*mean, *var] = moved;
            }
        }
    }
}

/// Mean and sum of squared deviations of a row, both of what is beyond its first element.
#[inline(always)]
fn moments<T: Real>(row: &[T]) -> (T, T) {
    let centre = row[0];
    let shift = lane_sum(row, |x| x - centre) / count(row.len());
    let squares = lane_sum(row, |x| {
        let deviation = (x - centre) - shift;
        deviation * deviation
    });
    (shift, squares)
}

/// Σ f(x), in as many sums as fill vector registers.
#[inline(always)]
fn lane_sum<T: Real>(row: &[T], f: impl Fn(T) -> T) -> T {
    let mut sums = [T::ZERO; WIDTH];
    for row in row.chunks(WIDTH) {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += f(x);
        }
    }
    sums.into_iter().sum()
}

/// Neighbouring columns that are done at once, in vector registers.
pub(super) const WIDTH: usize = 16;
/// Rows that are done with all columns before the next ones: memory is then read in its order.
pub(super) const ROWS: usize = 32;

/// A field of up to `WIDTH` neighbouring groups' statistics.
#[inline(always)]
fn wide_of<T: Real>(
    statistics: &[Statistics<T>],
    field: impl Fn(&Statistics<T>) -> T,
) -> [T; WIDTH] {
    std::array::from_fn(|j| statistics.get(j).map_or(T::ZERO, &field))
}

/// `WIDTH` elements from `first` on, those beyond the end `absent`.
#[inline(always)]
pub(super) fn wide<T: Real>(row: &[T], first: usize, absent: T) -> [T; WIDTH] {
    let rest = row.get(first..).unwrap_or(&[]);
    match rest.first_chunk() {
        Some(wide) => *wide,
        None => {
            let mut wide = [absent; WIDTH];
            wide[..rest.len()].copy_from_slice(rest);
            wide
        }
    }
}

/// Twin of `shaders/norm_statistics.wgsl` outside of training: the running statistics.
pub(crate) fn running_statistics<T: Real>(
    norm: &Norm,
    [mean, var]: [&[T]; 2],
    statistics: &mut [Statistics<T>],
) {
    for ((statistics, &mean), &var) in statistics.iter_mut().zip(mean).zip(var) {
        *statistics = Statistics::new(mean, T::ZERO, var, T::from_f64(norm.eps));
    }
}

#[expect(clippy::cast_precision_loss, reason = "batches and columns are far below 2⁵²")]
pub(super) fn count<T: Real>(n: usize) -> T {
    T::from_f64(n as f64)
}
