//! Which classes are taken for which.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Up to this many classes, the JSON has the whole matrix.
const WHOLE: usize = 256;

/// Rows of each true class by predicted class. Only what occurs is kept, so that of very many classes it is no
/// larger than the rows are many.
#[derive(Debug)]
pub(crate) struct Confusion {
    counts: BTreeMap<(usize, usize), usize>,
    classes: Vec<Class>,
}

/// What it tells of one class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Class {
    /// Rows of it.
    pub rows: usize,
    /// Rows taken for it.
    pub taken: usize,
    pub right: usize,
}

impl Confusion {
    /// Of true and predicted classes, row by row.
    pub(crate) fn of(classes: usize, rows: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut confusion =
            Self { counts: BTreeMap::new(), classes: vec![Class::default(); classes] };
        for (label, predicted) in rows {
            *confusion.counts.entry((label, predicted)).or_default() += 1;
            confusion.classes[label].rows += 1;
            confusion.classes[predicted].taken += 1;
            confusion.classes[label].right += usize::from(label == predicted);
        }
        confusion
    }

    /// Rows of one class that were taken for another.
    pub(crate) fn count(&self, label: usize, predicted: usize) -> usize {
        self.counts.get(&(label, predicted)).copied().unwrap_or(0)
    }

    /// The largest count.
    pub(crate) fn most(&self) -> usize {
        self.counts.values().copied().max().unwrap_or(0)
    }

    pub(crate) fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The entry for a JSON object: the matrix, or of very many classes the counts that aren't 0.
    pub(crate) fn json(&self) -> (&'static str, Value) {
        let classes = 0..self.classes.len();
        if classes.len() > WHOLE {
            let cell = |(&(label, predicted), &count): (&(usize, usize), &usize)| {
                json!([label, predicted, count])
            };
            return ("confusion_counts", self.counts.iter().map(cell).collect());
        }
        let row = |label| classes.clone().map(|k| json!(self.count(label, k))).collect::<Value>();
        ("confusion", classes.clone().map(row).collect())
    }
}

impl Class {
    /// Of the rows taken for it those that are; `None` if there are none.
    pub(crate) fn precision(&self) -> Option<f64> {
        share(self.right, self.taken)
    }

    /// Of its rows those that were taken for it.
    pub(crate) fn recall(&self) -> Option<f64> {
        share(self.right, self.rows)
    }

    /// The harmonic mean of both; 0 of a class that is never right, `None` of one that never occurs.
    pub(crate) fn f1(&self) -> Option<f64> {
        share(2 * self.right, self.rows + self.taken)
    }
}

/// A part of a whole; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
pub(crate) fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Of a matrix.
    pub(crate) fn confusion(matrix: &[Vec<usize>]) -> Confusion {
        let cells = matrix.iter().enumerate().flat_map(|(label, row)| {
            row.iter().enumerate().map(move |(predicted, &count)| (label, predicted, count))
        });
        let rows = cells
            .flat_map(|(label, predicted, count)| std::iter::repeat_n((label, predicted), count));
        Confusion::of(matrix.len(), rows)
    }

    #[test]
    fn shares_of_a_class_follow_from_the_matrix() {
        // Rows: 8, 3, 0; taken: 7, 4, 0.
        let confusion = confusion(&[vec![6, 2, 0], vec![1, 2, 0], vec![0, 0, 0]]);
        let [a, b, absent] = confusion.classes() else { panic!("3") };
        assert_eq!(
            (a.precision(), a.recall(), a.f1()),
            (Some(6.0 / 7.0), Some(0.75), Some(12.0 / 15.0))
        );
        assert_eq!((b.precision(), b.recall()), (Some(0.5), Some(2.0 / 3.0)));
        assert_eq!((absent.precision(), absent.recall(), absent.f1()), (None, None, None));
        assert_eq!((confusion.most(), confusion.count(1, 0), confusion.count(2, 2)), (6, 1, 0));
        assert_eq!(confusion.json(), ("confusion", json!([[6, 2, 0], [1, 2, 0], [0, 0, 0]])));
    }

    #[test]
    fn of_very_many_classes_what_occurs_is_told() {
        let many = Confusion::of(1_000_000, [(7, 7), (999_999, 7), (7, 7)].into_iter());
        assert_eq!(many.json(), ("confusion_counts", json!([[7, 7, 2], [999_999, 7, 1]])));
    }
}
