//! The rows that a report looks at, and what the net says of them.

use wgrad::Engine;
use wgrad::data::{Dataset, Schema, Targets};
use wgrad::rng::{Purpose, Stream};

use super::importance::Importance;
use crate::cli::failure::Failure;
use crate::cli::results::Results;

/// Rows that curves and importances are computed of, at most.
pub(crate) const MOST_ROWS: usize = 10_000;

/// Which rows a net is scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Test,
    /// Where there are no test rows.
    Validation,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Validation => "validation",
        }
    }
}

/// What a net does on rows that it didn't learn from.
#[derive(Debug)]
pub(crate) struct Scored {
    pub part: Part,
    /// Of all rows given.
    pub results: Results,
    /// Some of these rows, all if they are few.
    pub sample: Dataset,
    /// The net's outputs for the sample, row by row.
    pub outputs: Vec<f32>,
    pub(super) importance: Option<Importance>,
}

impl Scored {
    /// Scores `data`, unless its results are known.
    pub(crate) fn of<E: Engine>(
        engine: &mut E,
        schema: &Schema,
        (part, data): (Part, &Dataset),
        results: Option<Results>,
        seed: u64,
    ) -> Result<Self, Failure> {
        let results = match results {
            Some(results) => results,
            None => Results::of(engine, schema, data)?,
        };
        let sample = some_rows(data, MOST_ROWS, seed)?;
        let outputs = engine.predict(sample.inputs())?;
        let importance = Importance::of(engine, schema, &sample, seed)?;
        Ok(Self { part, results, sample, outputs, importance })
    }
}

/// At most `most` of the rows, from all over the table: many are sorted by class.
pub(crate) fn some_rows(data: &Dataset, most: usize, seed: u64) -> Result<Dataset, Failure> {
    fn taken<T: Copy>(from: &[T], width: usize, rows: &[u32]) -> Vec<T> {
        rows.iter().flat_map(|&row| &from[row as usize * width..][..width]).copied().collect()
    }
    let rows = sample(data.rows(), most, seed);
    let targets = match data.targets() {
        Targets::Classes { labels, classes } => {
            Targets::Classes { labels: taken(labels, 1, &rows), classes: *classes }
        }
        Targets::Values { values, width } => {
            Targets::Values { values: taken(values, *width, &rows), width: *width }
        }
    };
    let inputs = taken(data.inputs(), data.in_features(), &rows);
    let some = Dataset::new(inputs, data.in_features(), targets)?;
    let weights =
        if data.weights().is_empty() { Vec::new() } else { taken(data.weights(), 1, &rows) };
    // Rows of which none counts have no loss; then all count.
    Ok(if weights.iter().any(|w| *w > 0.0) { some.with_weights(weights)? } else { some })
}

/// One row of each of `most` stretches; all rows if there are no more.
fn sample(rows: usize, most: usize, seed: u64) -> Vec<u32> {
    let count = rows.min(most) as u64;
    let mut random = Stream::new(seed, Purpose::Inspect, 0);
    let start = |i: u64| u32::try_from(i * rows as u64 / count).unwrap_or(u32::MAX);
    (0..count).map(|i| start(i) + random.below(start(i + 1) - start(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_in_order_and_of_all_rows() {
        assert_eq!(sample(7, MOST_ROWS, 0), [0, 1, 2, 3, 4, 5, 6]);
        let many = sample(4_000_000_000, MOST_ROWS, 0);
        assert_eq!(many.len(), MOST_ROWS);
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(many[0] < 400_000 && many[MOST_ROWS - 1] >= 3_999_600_000);
        assert_ne!(sample(20_000, MOST_ROWS, 1), sample(20_000, MOST_ROWS, 2));
    }

    #[test]
    fn rows_stay_whole() {
        let inputs = (0..40_000_u16).map(f32::from).collect();
        let labels = (0..20_000).collect();
        let data = Dataset::new(inputs, 2, Targets::Classes { labels, classes: 20_000 }).unwrap();
        let some = some_rows(&data, MOST_ROWS, 3).unwrap();
        let Targets::Classes { labels, .. } = some.targets() else { panic!("classes") };
        assert_eq!(some.rows(), MOST_ROWS);
        for (row, &label) in some.inputs().chunks_exact(2).zip(labels) {
            assert_eq!(row, [2.0 * label as f32, 2.0 * label as f32 + 1.0]);
        }
    }
}
