//! A column of a table.

use std::borrow::Cow;
use std::collections::HashMap;

/// Code of a missing cell in a text column.
pub const MISSING_TEXT: u32 = u32::MAX;

/// A column of a [`Table`](super::Table).
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name, unique in the table; the number counted from 1 where the file names no columns.
    pub name: String,
    /// One value per row.
    pub values: ColumnValues,
    /// The cells as they were written, of numbers that are codes: whole ones, some with zeros in front
    /// (postcodes). As names of classes or categories they keep these.
    pub(super) codes: Option<ColumnValues>,
    /// The smallest and the largest number as they were read, where f32 has made others equal that lie
    /// between them.
    pub(super) merged: Option<[f64; 2]>,
    /// Whether f32 has moved whole numbers, so that they are no names of classes or categories.
    pub(super) moved_whole: bool,
    /// The first cell that is no number, and what is wrong with it, of words that are numbers for the most
    /// part.
    pub(super) stray: Option<(usize, String)>,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValues {
    /// Finite numbers; NaN marks a missing one.
    Numeric(Vec<f32>),
    /// Words, each stored once.
    Text {
        /// Index into `values` per row; [`MISSING_TEXT`] marks a missing one.
        codes: Vec<u32>,
        /// The different words, sorted; by size where all of them are numbers.
        values: Vec<String>,
    },
}

impl Column {
    /// A column of such values.
    pub fn new(name: impl Into<String>, values: ColumnValues) -> Self {
        let name = name.into();
        Self { name, values, codes: None, merged: None, moved_whole: false, stray: None }
    }

    /// A column of numbers; NaN marks a missing one.
    pub fn numeric(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self::new(name, ColumnValues::Numeric(values))
    }

    /// A column of words; `None` marks a missing one.
    pub fn text<S: AsRef<str>>(
        name: impl Into<String>,
        cells: impl IntoIterator<Item = Option<S>>,
    ) -> Self {
        let mut words = Words::default();
        cells.into_iter().for_each(|cell| words.push(cell.as_ref().map(AsRef::as_ref)));
        Self::new(name, words.into_values())
    }

    /// Number of cells, missing ones included.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.values {
            ColumnValues::Numeric(values) => values.len(),
            ColumnValues::Text { codes, .. } => codes.len(),
        }
    }

    /// Whether the cell of `row` is missing.
    ///
    /// # Panics
    /// If `row` isn't below [`rows`](Self::rows).
    #[must_use]
    pub fn is_missing(&self, row: usize) -> bool {
        match &self.values {
            ColumnValues::Numeric(values) => values[row].is_nan(),
            ColumnValues::Text { codes, .. } => codes[row] == MISSING_TEXT,
        }
    }

    /// Number of missing cells.
    #[must_use]
    pub fn missing(&self) -> usize {
        (0..self.rows()).filter(|&row| self.is_missing(row)).count()
    }

    /// The cell of `row` as text; `None` if it is missing. A number is in its shortest form, but as it was
    /// written in a text's column of whole numbers of which some have zeros in front.
    ///
    /// # Panics
    /// If `row` isn't below [`rows`](Self::rows).
    #[must_use]
    pub fn word(&self, row: usize) -> Option<Cow<'_, str>> {
        match self.codes.as_ref().unwrap_or(&self.values) {
            ColumnValues::Numeric(values) => number_word(values[row]).map(Cow::Owned),
            ColumnValues::Text { codes, values } => {
                values.get(codes[row] as usize).map(|word| Cow::Borrowed(word.as_str()))
            }
        }
    }

    /// Whether its numbers look like codes: whole ones of a text, some of which have zeros in front (postcodes).
    #[must_use]
    pub const fn is_code(&self) -> bool {
        self.codes.is_some()
    }

    /// The column with what [`word`](Self::word) makes of its cells.
    pub(super) fn to_text(&self) -> Self {
        match self.codes.as_ref().unwrap_or(&self.values) {
            ColumnValues::Numeric(numbers) => {
                Self::text(&self.name, numbers.iter().map(|&number| number_word(number)))
            }
            words => Self::new(&self.name, words.clone()),
        }
    }

    /// What is wrong with the values, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.values {
            ColumnValues::Numeric(values) => values
                .iter()
                .position(|value| value.is_infinite())
                .map(|row| format!("row {row} is {}, but must be finite or NaN", values[row])),
            ColumnValues::Text { codes, values } => codes
                .iter()
                .position(|&code| code != MISSING_TEXT && code as usize >= values.len())
                .map(|row| format!("row {row} has no entry in the list of {}", values.len())),
        }
    }
}

/// A column with more different words than this is no category. Those that follow count as one more, so
/// that a column of identifiers doesn't cost a string a row.
pub(super) const MAX_WORDS: usize = 1 << 18;
/// What they count as.
pub(super) const OTHERS: &str = "one of more than 262,144 words";

/// A number in its shortest form, but whole ones with all their digits; `None` if it is NaN. Adding 0 makes
/// −0 the same as 0.
pub(super) fn number_word(number: f32) -> Option<String> {
    /// Behind it, not even f64 has all whole numbers.
    const WHOLE: f32 = (1_u64 << f64::MANTISSA_DIGITS) as f32;
    let is_whole = number.fract() == 0.0 && number.abs() <= WHOLE;
    let word = || if is_whole { f64::from(number + 0.0).to_string() } else { number.to_string() };
    (!number.is_nan()).then(word)
}

/// Collects the cells of a text column, keeping each different word once.
#[derive(Default)]
pub(super) struct Words {
    codes: Vec<u32>,
    first_seen: HashMap<String, u32>,
}

impl Words {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { codes: Vec::with_capacity(rows), first_seen: HashMap::new() }
    }

    pub(super) fn push(&mut self, cell: Option<&str>) {
        let code = match cell {
            None => MISSING_TEXT,
            Some(word) => match self.first_seen.get(word) {
                Some(&code) => code,
                None => {
                    let is_full = self.first_seen.len() >= MAX_WORDS;
                    let word = if is_full { OTHERS } else { word };
                    let next = u32::try_from(self.first_seen.len()).unwrap_or(MISSING_TEXT);
                    *self.first_seen.entry(word.to_owned()).or_insert(next)
                }
            },
        };
        self.codes.push(code);
    }

    /// Renumbers the words in sorted order, so that a code doesn't depend on the order of rows.
    pub(super) fn into_values(self) -> ColumnValues {
        let mut sorted: Vec<(String, u32)> = self.first_seen.into_iter().collect();
        let numbers: Option<Vec<f64>> = sorted.iter().map(|(word, _)| word.parse().ok()).collect();
        sorted.sort();
        if numbers.is_some_and(|numbers| numbers.iter().all(|number| number.is_finite())) {
            let number = |word: &str| word.parse().unwrap_or(0.0);
            sorted.sort_by(|(a, _), (b, _)| f64::total_cmp(&number(a), &number(b)));
        }
        let mut new_code = vec![0; sorted.len()];
        for (new, &(_, old)) in (0..).zip(&sorted) {
            new_code[old as usize] = new;
        }
        // A missing cell has no entry and keeps its code.
        let renumber = |code: u32| new_code.get(code as usize).copied().unwrap_or(code);
        ColumnValues::Text {
            codes: self.codes.into_iter().map(renumber).collect(),
            values: sorted.into_iter().map(|(word, _)| word).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_all_their_digits() {
        let word = |number: f32| number_word(number).unwrap();
        for (number, expected) in
            [(134_217_728.0, "134217728"), (-16_777_216.0, "-16777216"), (0.1, "0.1"), (-0.0, "0")]
        {
            assert_eq!(word(number), expected);
        }
        // What f64 has no whole numbers for is what the shortest digits are.
        assert_eq!(word(1e30), format!("1{}", "0".repeat(30)));
        assert_eq!(number_word(f32::NAN), None);
    }

    #[test]
    fn too_many_words_are_none_of_the_first() {
        let cells: Vec<String> = (0..MAX_WORDS + 2).map(|i| format!("w{i:06}")).collect();
        let column = Column::text("t", cells.iter().map(|cell| Some(cell.as_str())));
        assert_eq!(column.word(MAX_WORDS - 1).unwrap(), cells[MAX_WORDS - 1]);
        assert_eq!([0, 1].map(|i| column.word(MAX_WORDS + i).unwrap()), [OTHERS; 2]);
    }

    #[test]
    fn words_that_are_numbers_are_sorted_by_size() {
        let ColumnValues::Text { codes, values } =
            Column::text("label", ["10", "9", "2"].map(Some)).values
        else {
            panic!("labels are text")
        };
        assert_eq!((codes, values), (vec![2, 1, 0], ["2", "9", "10"].map(String::from).to_vec()));
    }
}
