//! The numbers of a column while they are read.

use super::column::{Column, ColumnValues, number_word};
use super::statistics::narrow;

/// Collects numbers as f32, and notes what that rounds away.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    values: Vec<f32>,
    /// The smallest and the largest before rounding.
    range: [f64; 2],
    /// The most that rounding moved one.
    error: f64,
    /// Whether it moved a whole number, one beyond 2²⁴.
    moved_whole: bool,
    /// Rows whose cells are no numbers, and these.
    strays: Vec<(usize, String)>,
    /// What is wrong with the first of them.
    problem: Option<String>,
}

impl Numbers {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let values = Vec::with_capacity(rows);
        let range = [f64::INFINITY, f64::NEG_INFINITY];
        Self { values, range, error: 0.0, moved_whole: false, strays: Vec::new(), problem: None }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes a number, NaN for a missing one; or says what is wrong with it.
    #[inline]
    pub(super) fn push(&mut self, number: f64) -> Result<(), String> {
        let rounded = narrow(number);
        if rounded.is_infinite() {
            return Err(match number.is_finite() {
                true => format!("{number:e} is beyond the range of f32; use another unit"),
                false => format!("{number} is not a finite number; NaN marks a missing one"),
            });
        }
        let [least, most] = self.range;
        // NaN is neither smaller nor larger.
        self.range = [least.min(number), most.max(number)];
        let error = (number - f64::from(rounded)).abs();
        self.error = self.error.max(error);
        self.moved_whole |= error > 0.0 && number.fract() == 0.0;
        self.values.push(rounded);
        Ok(())
    }

    pub(super) fn push_missing(&mut self) {
        self.values.push(f32::NAN);
    }

    /// Takes a cell that is no number, for the reason told. It is held against the column where that is to
    /// be one of numbers.
    pub(super) fn push_stray(&mut self, cell: &str, problem: String) {
        self.strays.push((self.len(), cell.to_owned()));
        self.problem.get_or_insert(problem);
        self.push_missing();
    }

    /// The first row whose cell is no number.
    pub(super) fn first_stray(&self) -> Option<usize> {
        self.strays.first().map(|&(row, _)| row)
    }

    /// Says what to do about the first cell that is no number.
    pub(super) fn add_remedy(&mut self, remedy: &str) {
        if let Some(problem) = &mut self.problem {
            *problem = format!("{problem}; {remedy}");
        }
    }

    #[cfg(test)]
    pub(super) fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// A column of the numbers; of words, where some cells are none.
    pub(super) fn into_column(self, name: impl Into<String>) -> Column {
        if !self.strays.is_empty() {
            return self.into_text(name);
        }
        let (merged, moved_whole) = (self.merged(), self.moved_whole);
        Column { merged, moved_whole, ..Column::new(name, ColumnValues::Numeric(self.values)) }
    }

    /// A column of the numbers as words.
    pub(super) fn into_text(self, name: impl Into<String>) -> Column {
        let Self { values, moved_whole, strays, problem, .. } = self;
        let stray = strays.first().map(|&(row, _)| row).zip(problem);
        let mut strays = strays.into_iter().peekable();
        let words = (0..).zip(values).map(|(row, value)| {
            let stray = strays.next_if(|&(at, _)| at == row);
            stray.map_or_else(|| number_word(value), |(_, word)| Some(word))
        });
        Column { moved_whole, stray, ..Column::text(name, words) }
    }

    /// The smallest and the largest number, if rounding has moved one by more than 1/256 of what they are
    /// apart: different ones have become equal.
    fn merged(&self) -> Option<[f64; 2]> {
        let [least, most] = self.range;
        (self.error > (most - least) / 256.0 && most > least).then_some(self.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(numbers: &[f64]) -> Option<[f64; 2]> {
        let mut collected = Numbers::with_capacity(0);
        numbers.iter().for_each(|&x| collected.push(x).unwrap());
        collected.merged()
    }

    #[test]
    fn numbers_that_f32_makes_equal_are_noticed() {
        let seconds = 1_700_000_000.0;
        assert_eq!(merged(&[seconds, seconds + 60.0]), Some([seconds, seconds + 60.0]));
        // Over a day f32 still tells 675 times apart.
        assert_eq!(merged(&[seconds, seconds + 86_400.0]), None);
        // Days of a month as yyyymmdd are merged in pairs, those of a year hardly.
        assert!(merged(&[20_230_101.0, 20_230_131.0]).is_some());
        assert_eq!(merged(&[20_230_101.0, 20_231_231.0]), None);
        // A constant stays one, and so do decimals.
        assert_eq!(merged(&[0.1, 0.1]), None);
        assert_eq!(merged(&[0.1, f64::NAN, 0.2]), None);
        assert_eq!(merged(&[]), None);
    }
}
