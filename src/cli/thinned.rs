//! A long series for a picture, in bounded memory.

/// Fewer than twice as many items are kept; no picture has room for more.
const MOST: usize = 2048;

/// Every so many items of a series: all of a short one, and every second, fourth, … of a long one.
#[derive(Clone, Debug)]
pub(crate) struct Thinned<T> {
    kept: Vec<T>,
    /// Items so far.
    count: u64,
    /// How many there are to one that is kept.
    each: u64,
}

impl<T> Default for Thinned<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), count: 0, each: 1 }
    }
}

impl<T> Thinned<T> {
    pub(crate) fn push(&mut self, item: T) {
        if self.count.is_multiple_of(self.each) {
            self.kept.push(item);
        }
        self.count += 1;
        if self.kept.len() == 2 * MOST {
            let mut even = false;
            self.kept.retain(|_| {
                even = !even;
                even
            });
            self.each *= 2;
        }
    }

    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }
}

/// Of the points of a curve those that a picture can show: of each of its columns, which `column` counts, the
/// first, least, most and last.
pub(crate) fn telling(points: &[(f64, f64)], column: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for column in points.chunk_by(|a, b| column(a.0).floor() == column(b.0).floor()) {
        let by = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let place = |wanted: Option<&(f64, f64)>| {
            wanted.and_then(|wanted| column.iter().position(|point| point == wanted)).unwrap_or(0)
        };
        let (least, most) = (place(column.iter().min_by(by)), place(column.iter().max_by(by)));
        let mut telling = [0, least, most, column.len() - 1];
        telling.sort_unstable();
        kept.extend(telling.map(|at| column[at]));
        kept.dedup();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_is_thinned_evenly() {
        let mut series = Thinned::default();
        for item in 0..1_000_000_u64 {
            series.push(item);
            let (kept, each) = (series.kept(), series.each);
            assert!(kept.len() < 2 * MOST);
            assert_eq!(kept.last().copied(), Some(item / each * each));
        }
        assert!(series.kept().len() >= MOST);
        assert!((0..).step_by(256).zip(series.kept()).all(|(want, &got)| want == got));
    }

    #[test]
    fn a_short_series_stays_whole() {
        let mut series = Thinned::default();
        (0..100).for_each(|item| series.push(item));
        assert!((0..100).eq(series.kept().iter().copied()));
    }
}
