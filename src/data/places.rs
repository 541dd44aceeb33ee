//! Where the rows of a table stood.

/// Where each row stood in its source, as runs of consecutive numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Places {
    /// What is numbered: `line` of a text, `row` of an array.
    unit: &'static str,
    rows: usize,
    /// First row of each run, and its number.
    runs: Vec<(usize, u64)>,
    /// The file of each row; none where all are in one.
    files: Vec<String>,
}

impl Places {
    /// Lines of a text, to be added one by one.
    pub(super) const fn lines() -> Self {
        Self { unit: "line", rows: 0, runs: Vec::new(), files: Vec::new() }
    }

    /// Lines 1, 2, … of a text.
    pub(super) fn of_lines(rows: usize) -> Self {
        Self { unit: "line", rows, runs: vec![(0, 1)], files: Vec::new() }
    }

    /// Rows of an array, counted from 0 as array libraries do.
    pub(super) fn of_array(rows: usize) -> Self {
        Self { unit: "row", rows, runs: vec![(0, 0)], files: Vec::new() }
    }

    /// Files with a row each.
    #[cfg(feature = "images")]
    pub(super) fn of_files(files: Vec<String>) -> Self {
        let rows = files.len();
        Self { files, ..Self::of_array(rows) }
    }

    pub(super) fn push(&mut self, number: u64) {
        let next = self.runs.last().map(|&(row, first)| first + (self.rows - row) as u64);
        if next != Some(number) {
            self.runs.push((self.rows, number));
        }
        self.rows += 1;
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn files(&self) -> &[String] {
        &self.files
    }

    /// The row's file where each has its own; else what it is numbered as.
    pub(super) fn name(&self, row: usize) -> String {
        match self.files.get(row) {
            Some(file) => file.clone(),
            None => format!("{} {}", self.unit, self.number(row)),
        }
    }

    pub(super) fn number(&self, row: usize) -> u64 {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let (first_row, first) =
            self.runs[self.runs.partition_point(|&(start, _)| start <= row) - 1];
        first + (row - first_row) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_the_place_they_stood_at() {
        let mut lines = Places::lines();
        let numbers = [2, 3, 4, 7, 8, 10];
        numbers.iter().for_each(|&number| lines.push(number));
        assert_eq!(lines.runs, [(0, 2), (3, 7), (5, 10)]);
        assert!(numbers.iter().enumerate().all(|(row, &number)| lines.number(row) == number));
        assert_eq!(Places::of_array(3).number(2), 2);
    }
}
