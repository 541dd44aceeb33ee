//! Which rows train, which validate, which test.

use crate::rng::{Purpose, Stream};
use crate::{Error, Result};

/// How to divide a table. Each fraction is of all rows, in 0 ≤ fraction < 1; a part whose fraction
/// isn't 0 gets at least one row.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionOptions {
    /// Fraction of rows that tell when to stop training. Default 0.1.
    pub validation: f32,
    /// Fraction of rows kept for the final score. Default 0.2.
    pub test: f32,
    /// Names the division among all possible ones. Default 0.
    pub seed: u64,
    /// Whether every part gets its share of each class, where there are classes. Default true.
    pub stratify: bool,
    /// How many of the last rows are the test part, instead of a random one (see
    /// [`Table::test_rows`](super::Table::test_rows)). Default 0.
    pub last_rows_test: usize,
}

impl Default for PartitionOptions {
    fn default() -> Self {
        Self { validation: 0.1, test: 0.2, seed: 0, stratify: true, last_rows_test: 0 }
    }
}

/// Row indices by part, each ascending; every row is in exactly one part.
///
/// ```
/// use wgrad::data::{Partition, PartitionOptions};
///
/// let parts = Partition::new(100, None, &PartitionOptions::default())?;
/// assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (70, 10, 20));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Rows to learn from; at least one.
    pub train: Vec<u32>,
    /// Rows that tell when to stop.
    pub validation: Vec<u32>,
    /// Rows for the final score. They depend on seed, `test` fraction and labels alone, so scores
    /// stay comparable when the validation part changes.
    pub test: Vec<u32>,
}

impl Partition {
    /// Divides `rows` rows; `labels` are their classes, if they have any.
    ///
    /// # Errors
    /// If a fraction is out of range, the number of labels isn't `rows`, there are more than 2³² − 1
    /// rows, or no row would be left to learn from.
    pub fn new(rows: usize, labels: Option<&[u32]>, options: &PartitionOptions) -> Result<Self> {
        let (rows, labels) = options.check(rows, labels)?;
        if options.last_rows_test > 0 {
            return Self::before_test(rows, labels, options);
        }
        let (test, validation) = (count(rows, options.test), count(rows, options.validation));
        if u64::from(test) + u64::from(validation) >= u64::from(rows) {
            return Err(Error::Shape {
                what: format!("partition of {rows} rows"),
                expected: "at least one row to learn from (lower the fractions)".into(),
                got: format!("{test} for testing and {validation} for validation"),
            });
        }

        let mut shuffled: Vec<u32> = (0..rows).collect();
        Stream::new(options.seed, Purpose::Split, 0).shuffle(&mut shuffled);
        let mut classes = by_class(shuffled, labels);
        let [test, validation] = [test, validation].map(|count| take(&mut classes, count));
        Ok(Self {
            train: ascending(classes.concat()),
            validation: ascending(validation),
            test: ascending(test),
        })
    }
}

impl PartitionOptions {
    /// The number of rows and the labels that are heeded, if the options suit them.
    fn check<'a>(
        &self,
        rows: usize,
        labels: Option<&'a [u32]>,
    ) -> Result<(u32, Option<&'a [u32]>)> {
        for (name, fraction) in [("validation", self.validation), ("test", self.test)] {
            if !(0.0..1.0).contains(&fraction) {
                return Err(Error::Option {
                    name,
                    value: fraction.to_string(),
                    expected: "a fraction of the rows, at least 0 and below 1",
                });
            }
        }
        let rows = u32::try_from(rows).map_err(|_| Error::Limit {
            what: "the partition".into(),
            needed: format!("{rows} rows"),
            limit_name: "row index",
            limit: format!("{} rows", u32::MAX),
            remedy: String::new(),
        })?;
        let labels = labels.filter(|_| self.stratify);
        if let Some(labels) = labels.filter(|labels| labels.len() != rows as usize) {
            return Err(Error::Shape {
                what: "labels of the partition".into(),
                expected: format!("{rows}"),
                got: labels.len().to_string(),
            });
        }
        Ok((rows, labels))
    }
}

impl Partition {
    /// Divides `rows` rows `folds` times, so that each is in the test part once: k-fold cross-validation
    /// (Stone 1974). Test parts differ by a row at most, and have their share of each class as those of
    /// [`new`](Self::new); the options' `test` and `last_rows_test` aren't heeded.
    ///
    /// # Errors
    /// As [`new`](Self::new); if there are fewer than two folds, or fewer rows than folds.
    pub fn folds(
        rows: usize,
        labels: Option<&[u32]>,
        folds: usize,
        options: &PartitionOptions,
    ) -> Result<Vec<Self>> {
        let (rows, labels) = options.check(rows, labels)?;
        let count_of_folds = u32::try_from(folds).ok().filter(|&folds| folds >= 2 && folds <= rows);
        let folds = count_of_folds.ok_or_else(|| Error::Option {
            name: "folds",
            value: folds.to_string(),
            expected: "a whole number from 2 to the number of rows",
        })?;
        let mut shuffled: Vec<u32> = (0..rows).collect();
        Stream::new(options.seed, Purpose::Split, 0).shuffle(&mut shuffled);
        let mut classes = by_class(shuffled, labels);
        let size = |fold| rows / folds + u32::from(fold < rows % folds);
        let tests: Vec<Vec<u32>> = (0..folds).map(|fold| take(&mut classes, size(fold))).collect();
        let validation = count(rows, options.validation);
        let divide = |fold: usize| {
            let others = tests.iter().enumerate().filter(|&(other, _)| other != fold);
            let others: Vec<u32> = others.flat_map(|(_, rows)| rows).copied().collect();
            if validation as usize >= others.len() {
                return Err(Error::Shape {
                    what: format!("fold of {rows} rows"),
                    expected: "at least one row to learn from (lower the fraction)".into(),
                    got: format!(
                        "{} for testing and {validation} for validation",
                        tests[fold].len()
                    ),
                });
            }
            let mut classes = by_class(others, labels);
            let validation = ascending(take(&mut classes, validation));
            let (train, test) = (ascending(classes.concat()), ascending(tests[fold].clone()));
            Ok(Self { train, validation, test })
        };
        (0..tests.len()).map(divide).collect()
    }

    /// Divides the rows before those that are the test part.
    fn before_test(rows: u32, labels: Option<&[u32]>, options: &PartitionOptions) -> Result<Self> {
        let first = u32::try_from(options.last_rows_test).ok().and_then(|n| rows.checked_sub(n));
        let first = first.filter(|&first| first > 0).ok_or_else(|| Error::Shape {
            what: format!("partition of {rows} rows"),
            expected: "at least one row before the test part".into(),
            got: format!("{} test rows", options.last_rows_test),
        })?;
        let labels = labels.map(|labels| &labels[..first as usize]);
        let rest = PartitionOptions { test: 0.0, last_rows_test: 0, ..options.clone() };
        Ok(Self { test: (first..rows).collect(), ..Self::new(first as usize, labels, &rest)? })
    }
}

fn ascending(mut rows: Vec<u32>) -> Vec<u32> {
    rows.sort_unstable();
    rows
}

/// Rows that a fraction comes to.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ fraction < 1")]
fn count(rows: u32, fraction: f32) -> u32 {
    match fraction {
        0.0 => 0,
        _ => ((f64::from(rows) * f64::from(fraction)).round() as u32).max(1),
    }
}

/// The shuffled rows of each class, or all of them as one.
fn by_class(shuffled: Vec<u32>, labels: Option<&[u32]>) -> Vec<Vec<u32>> {
    let Some(labels) = labels else { return vec![shuffled] };
    let mut classes = std::collections::BTreeMap::<u32, Vec<u32>>::new();
    for row in shuffled {
        classes.entry(labels[row as usize]).or_default().push(row);
    }
    classes.into_values().collect()
}

/// Takes `count` rows, from each class its share by the method of largest remainders (Hamilton 1792):
/// first the whole part of the share, then one more for those with the largest fractional part.
fn take(classes: &mut [Vec<u32>], count: u32) -> Vec<u32> {
    let total: u64 = classes.iter().map(|class| class.len() as u64).sum();
    // Exact in integers: rows · count < 2⁶⁴.
    let shares = classes.iter().map(|class| class.len() as u64 * u64::from(count));
    let mut shares: Vec<(usize, u64, u64)> =
        shares.enumerate().map(|(class, share)| (class, share / total, share % total)).collect();
    let missing = u64::from(count) - shares.iter().map(|&(_, whole, _)| whole).sum::<u64>();
    shares.sort_by_key(|&(_, _, remainder)| std::cmp::Reverse(remainder));

    let mut taken = Vec::new();
    for (rank, (class, whole, _)) in (0_u64..).zip(shares) {
        for _ in 0..whole + u64::from(rank < missing) {
            taken.extend(classes[class].pop());
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(validation: f32, test: f32) -> PartitionOptions {
        PartitionOptions { validation, test, ..PartitionOptions::default() }
    }

    /// Three classes of 10, 30 and 60 %.
    fn labels(rows: u32) -> Vec<u32> {
        (0..rows)
            .map(|row| match row % 10 {
                0 => 0,
                1..4 => 1,
                _ => 2,
            })
            .collect()
    }

    #[test]
    fn every_row_is_in_exactly_one_part() {
        for rows in [1_u32, 2, 3, 10, 97, 1000] {
            for labels in [None, Some(labels(rows))] {
                for (validation, test) in [(0.0, 0.0), (0.1, 0.2), (0.45, 0.3), (0.0, 0.5)] {
                    let options = options(validation, test);
                    let Ok(parts) = Partition::new(rows as usize, labels.as_deref(), &options)
                    else {
                        assert!(rows <= 3, "{rows} rows can be divided");
                        continue;
                    };
                    let sorted = |part: &[u32]| part.is_sorted();
                    assert!(
                        sorted(&parts.train) && sorted(&parts.validation) && sorted(&parts.test)
                    );
                    assert_eq!(parts.test.len(), count(rows, test) as usize);
                    assert_eq!(parts.validation.len(), count(rows, validation) as usize);
                    let mut all = [parts.train, parts.validation, parts.test].concat();
                    all.sort_unstable();
                    assert_eq!(all, (0..rows).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn every_part_gets_its_share_of_each_class() {
        let labels = labels(200);
        let parts = Partition::new(200, Some(&labels), &options(0.1, 0.2)).unwrap();
        let counts = |part: &[u32]| {
            [0, 1, 2].map(|class| part.iter().filter(|&&row| labels[row as usize] == class).count())
        };
        assert_eq!(counts(&parts.test), [4, 12, 24]);
        assert_eq!(counts(&parts.validation), [2, 6, 12]);
        assert_eq!(counts(&parts.train), [14, 42, 84]);

        let anyhow = PartitionOptions { stratify: false, ..options(0.1, 0.2) };
        let unstratified = Partition::new(200, Some(&labels), &anyhow).unwrap();
        assert_eq!(unstratified, Partition::new(200, None, &anyhow).unwrap());
        assert_ne!(unstratified, parts);
    }

    #[test]
    fn remainders_go_to_the_largest() {
        // Shares of 7 out of 5 + 5 + 4: 2.5, 2.5 and 2.
        let mut classes = vec![vec![0; 5], vec![1; 5], vec![2; 4]];
        let taken = take(&mut classes, 7);
        assert_eq!(taken.len(), 7);
        assert_eq!(classes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3, 2]);
    }

    #[test]
    fn the_test_part_does_not_depend_on_the_validation_part() {
        let labels = labels(300);
        for labels in [None, Some(&labels[..])] {
            let test =
                |validation| Partition::new(300, labels, &options(validation, 0.25)).unwrap().test;
            assert_eq!(test(0.0), test(0.3));
        }
    }

    #[test]
    fn the_last_rows_may_be_the_test_part() {
        let labels = labels(300);
        let options = PartitionOptions { last_rows_test: 100, ..options(0.1, 0.2) };
        let parts = Partition::new(300, Some(&labels), &options).unwrap();
        assert_eq!(parts.test, (200..300).collect::<Vec<_>>());
        assert_eq!((parts.train.len(), parts.validation.len()), (180, 20));
        assert!(parts.train.iter().chain(&parts.validation).all(|&row| row < 200));
        for rows in [99, 100] {
            let error = Partition::new(rows, None, &options).unwrap_err().to_string();
            assert!(error.contains("at least one row before the test part, got 100"), "{error}");
        }
    }

    #[test]
    fn the_seed_names_the_division() {
        let parts = |seed| {
            let options = PartitionOptions { seed, ..PartitionOptions::default() };
            Partition::new(50, None, &options).unwrap()
        };
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }

    #[test]
    fn bad_fractions_and_sizes_are_refused() {
        let message = |rows, labels: Option<&[u32]>, validation, test| {
            Partition::new(rows, labels, &options(validation, test)).unwrap_err().to_string()
        };
        let expected = "but must be a fraction of the rows, at least 0 and below 1";
        assert_eq!(message(10, None, -0.1, 0.2), format!("validation is -0.1, {expected}"));
        assert_eq!(message(10, None, 0.1, 1.0), format!("test is 1, {expected}"));
        assert_eq!(message(10, None, f32::NAN, 0.0), format!("validation is NaN, {expected}"));
        let expected = "expected at least one row to learn from (lower the fractions), got";
        assert_eq!(
            message(10, None, 0.5, 0.5),
            format!("partition of 10 rows: {expected} 5 for testing and 5 for validation")
        );
        assert_eq!(
            message(2, None, 0.1, 0.2),
            format!("partition of 2 rows: {expected} 1 for testing and 1 for validation")
        );
        assert!(message(0, None, 0.0, 0.0).contains("partition of 0 rows"));
        assert_eq!(message(3, Some(&[0]), 0.0, 0.5), "labels of the partition: expected 3, got 1");
    }

    #[test]
    fn every_row_is_tested_in_one_fold() {
        for (rows, folds, labelled) in
            [(103, 5, true), (103, 5, false), (10, 10, false), (9, 2, true)]
        {
            let labels = labels(rows);
            let labels = labelled.then_some(&labels[..]);
            let all: Vec<u32> = (0..rows).collect();
            let (expected, rows) = (count(rows, 0.1) as usize, rows as usize);
            let parts = Partition::folds(rows, labels, folds, &options(0.1, 0.2)).unwrap();
            assert_eq!(parts, Partition::folds(rows, labels, folds, &options(0.1, 0.9)).unwrap());
            let tested: Vec<u32> = parts.iter().flat_map(|part| part.test.clone()).collect();
            assert_eq!(ascending(tested), all);
            for Partition { train, validation, test } in &parts {
                assert!(test.len() == rows / folds || test.len() == rows.div_ceil(folds));
                assert_eq!(validation.len(), expected);
                assert_eq!(ascending([&train[..], validation, test].concat()), all);
                if let (Some(labels), true) = (labels, rows > 100) {
                    let largest = test.iter().filter(|&&row| labels[row as usize] == 2).count();
                    assert!((11..=13).contains(&largest), "{largest} of {}", test.len());
                }
            }
        }
        for (rows, folds) in [(10, 1), (10, 0), (10, 11), (2, 2)] {
            assert!(Partition::folds(rows, None, folds, &options(0.5, 0.0)).is_err());
        }
    }
}
