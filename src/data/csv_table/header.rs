//! Whether the first line of a table names its columns.
//!
//! ```text
//! prior + Σ over the columns of  ln P(first cell | name) / P(first cell | value)   ≥ 0:  names
//! ```
//!
//! P(cell | value) comes from the rows below by Laplace's rule of succession, (k + 1)/(n + 2) for a kind of cell
//! that k of n have; for a word that none of them has by Good and Turing, whose k is the number of words that come
//! once. P(cell | name) are rounded guesses ([`prior`]). No single column decides.

use csv::StringRecord;

use super::cell::{Cell, CellOptions, content};

/// How often names of columns look so.
mod prior {
    /// A word that doesn't come again below it.
    pub(super) const NEW_WORD: f64 = 0.95;
    /// A word that comes again below it.
    pub(super) const WORD_AGAIN: f64 = 0.05;
    /// Nothing, in the first column: that of row numbers.
    pub(super) const EMPTY_FIRST: f64 = 0.3;
    /// Nothing, in another column.
    pub(super) const EMPTY: f64 = 0.05;
    /// `Na`, `inf`: names that are values elsewhere.
    pub(super) const MARKER: f64 = 0.05;
    /// A whole number.
    pub(super) const WHOLE: f64 = 0.03;
    /// A year.
    pub(super) const YEAR: f64 = 0.1;
    /// A number with decimals.
    pub(super) const FRACTION: f64 = 0.0005;
    /// Numbers in order.
    pub(super) const SEQUENCE: f64 = 0.1;
}

/// What is said before any column is looked at: three tables of four have names.
const PRIOR: f64 = 1.0;
/// The most that one column has to say for names, as a logarithm; against them it is twice that.
const MOST: f64 = 4.0;
/// The most that numbers in order have to say.
const MOST_OF_SEQUENCE: f64 = 6.0;
/// What a number that names two columns says, and a word.
const SAME_NUMBER: f64 = 6.0;
const SAME_WORD: f64 = 2.0;

/// Whether the line looks like names, to the rows below it or the first of them.
pub(super) fn looks_like_names(
    line: &StringRecord,
    below: &[StringRecord],
    options: &CellOptions,
) -> bool {
    let columns: Vec<Evidence> = line
        .iter()
        .enumerate()
        .map(|(i, cell)| Evidence::of(i, cell, below.iter().map(|row| &row[i]), options))
        .collect();
    let sequence = sequence(&columns, below);
    let numbers_alone = columns.iter().all(|column| column.number.is_some());
    let mut sum = PRIOR + sequence.unwrap_or(0.0);
    for column in &columns {
        sum += match column.number {
            Some(_) if sequence.is_some() => 0.0,
            // A first row of whole numbers above others with decimals: 0,1 at the time 0.
            Some(_) if numbers_alone => column.for_name.min(0.0),
            _ => column.for_name,
        };
    }
    for (i, cell) in line.iter().enumerate() {
        let is_again = line.iter().take(i).any(|other| other == cell);
        sum -= match columns[i].number {
            _ if !is_again || content(cell).is_empty() => 0.0,
            Some(_) => SAME_NUMBER,
            None => SAME_WORD,
        };
    }
    sum >= 0.0
}

/// What one column says.
struct Evidence {
    /// ln P(first cell | name) / P(first cell | value), from −2 [`MOST`] to [`MOST`].
    for_name: f64,
    /// The first cell, if it is a number.
    number: Option<f64>,
    /// Whether that is whole, or a year, and hardly any cell below it is.
    is_unlike: bool,
}

impl Evidence {
    fn of<'a>(
        index: usize,
        first: &str,
        cells: impl Iterator<Item = &'a str> + Clone,
        options: &CellOptions,
    ) -> Self {
        let parsed = cells.clone().map(|cell| Cell::parse(cell, options));
        let mut below = Below::default();
        parsed.for_each(|cell| below.add(&cell));
        let rows = below.rows;
        // The rule of succession.
        #[expect(clippy::cast_precision_loss, reason = "a few rows")]
        let share = |count: usize| (count + 1) as f64 / (rows + 2) as f64;

        let parsed = Cell::parse(first, options);
        let number = parsed.number();
        let (as_name, as_value) = match (&parsed, number) {
            (_, Some(number)) if number.fract() == 0.0 => {
                let is_outside = below.is_outside(number);
                let as_value = share(below.whole).min(if is_outside { share(1) } else { 1.0 });
                match YEARS.contains(&number) {
                    true => (prior::YEAR, as_value.min(share(below.years))),
                    false => (prior::WHOLE, as_value),
                }
            }
            (_, Some(_)) => (prior::FRACTION, share(below.numbers - below.whole)),
            (Cell::Missing, _) if content(first).is_empty() => {
                let as_name = if index == 0 { prior::EMPTY_FIRST } else { prior::EMPTY };
                (as_name, share(below.missing))
            }
            (Cell::Missing | Cell::Placeholder(_), _) => (prior::MARKER, share(below.missing)),
            (Cell::NotFinite, _) => (prior::MARKER, share(below.not_finite)),
            _ => {
                let is_again = cells.clone().any(|cell| content(cell) == content(first));
                let is_column_of_numbers = below.numbers > below.texts;
                match (is_again, is_column_of_numbers) {
                    (true, true) => (prior::WORD_AGAIN, share(below.texts)),
                    (true, false) => (prior::WORD_AGAIN, 1.0 - share(once(cells)).min(0.99)),
                    (false, true) => (prior::NEW_WORD, share(below.texts)),
                    (false, false) => {
                        (prior::NEW_WORD, share(once(cells) + below.missing).min(1.0))
                    }
                }
            }
        };
        let for_name = (as_name / as_value).ln().clamp(-2.0 * MOST, MOST);
        let alike = match number {
            Some(number) if YEARS.contains(&number) => below.years,
            _ => below.whole,
        };
        let is_whole = number.is_some_and(|number| number.fract() == 0.0);
        let is_unlike = is_whole && 5 * alike < below.numbers.max(below.texts);
        Self { for_name, number, is_unlike }
    }
}

const YEARS: std::ops::RangeInclusive<f64> = 1800.0..=2100.0;

/// What the cells below the first are.
#[derive(Default)]
struct Below {
    rows: usize,
    numbers: usize,
    whole: usize,
    years: usize,
    texts: usize,
    missing: usize,
    not_finite: usize,
    range: Option<[f64; 2]>,
    last: Option<f64>,
    rises: bool,
    falls: bool,
}

impl Below {
    fn add(&mut self, cell: &Cell) {
        self.rows += 1;
        match cell {
            Cell::Missing | Cell::Placeholder(_) => self.missing += 1,
            Cell::NotFinite => self.not_finite += 1,
            Cell::Text(_) => self.texts += 1,
            Cell::Number(_) => {}
        }
        let Some(number) = cell.number() else { return };
        self.numbers += 1;
        self.whole += usize::from(number.fract() == 0.0);
        self.years += usize::from(number.fract() == 0.0 && YEARS.contains(&number));
        let [least, most] = self.range.unwrap_or([number; 2]);
        self.range = Some([least.min(number), most.max(number)]);
        if let Some(last) = self.last.replace(number) {
            self.rises |= number > last;
            self.falls |= number < last;
        }
    }

    /// Whether a number lies beyond all others, in a column that isn't in order.
    fn is_outside(&self, number: f64) -> bool {
        let is_beyond = |[least, most]: [f64; 2]| number < least || number > most;
        self.rises && self.falls && self.range.is_some_and(is_beyond)
    }
}

/// How many different words come once.
fn once<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    let mut counts = std::collections::HashMap::new();
    cells.for_each(|cell| *counts.entry(content(cell)).or_insert(0) += 1);
    counts.values().filter(|&&count| count == 1).count()
}

/// What is said by the first line's numbers if they are whole and in order (0, 1, 2, …; years): nearly all names
/// of columns that are numbers are, and hardly any row.
fn sequence(columns: &[Evidence], below: &[StringRecord]) -> Option<f64> {
    let numbered: Vec<(usize, f64)> =
        columns.iter().enumerate().filter_map(|(i, column)| Some((i, column.number?))).collect();
    let values: Vec<f64> = numbered.iter().map(|&(_, number)| number).collect();
    let mut unlike = numbered.iter().map(|&(i, _)| columns[i].is_unlike);
    let is_telling = match values.len() {
        0 | 1 => false,
        // 0,1 may be a first row by itself, but not beside a name.
        2 => unlike.all(|unlike| unlike) && columns.len() > 2,
        3 => unlike.any(|unlike| unlike),
        _ => true,
    };
    if !is_telling || !is_in_order(&values) {
        return None;
    }
    let is_sequence = |row: &&StringRecord| {
        let cells = numbered.iter().map(|&(i, _)| content(&row[i]).parse().ok());
        cells.collect::<Option<Vec<f64>>>().is_some_and(|values| is_in_order(&values))
    };
    let sequences = below.iter().filter(is_sequence).count();
    // The more numbers, the less likely is it that a row has them so.
    let exponent = i32::try_from(values.len() - 2).unwrap_or(i32::MAX);
    #[expect(clippy::cast_precision_loss, reason = "a few rows")]
    let as_row = (sequences as f64 + 0.1_f64.powi(exponent)) / (below.len() + 2) as f64;
    Some((prior::SEQUENCE / as_row).ln().clamp(-MOST, MOST_OF_SEQUENCE))
}

/// Whether whole numbers rise in equal steps: from 0 or 1 by one, or years.
fn is_in_order(values: &[f64]) -> bool {
    let step = values[1] - values[0];
    let begins = (values[0] == 0.0 || values[0] == 1.0) && step == 1.0
        || values.iter().all(|value| YEARS.contains(value));
    begins
        && step > 0.0
        && values[0].fract() == 0.0
        && step.fract() == 0.0
        && values.windows(2).all(|pair| pair[1] - pair[0] == step)
}

#[cfg(test)]
#[path = "header/tests.rs"]
mod tests;
