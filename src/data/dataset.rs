//! The arrays a net trains on.

use crate::{Error, Result};

/// Class indices travel as f32, which holds every integer up to here.
const MAX_CLASSES: usize = 1 << 24;

/// Inputs and targets as numbers, ready for the device: every value finite, at least one row, at
/// most 2³² − 1 rows.
///
/// ```
/// use wgrad::data::{Dataset, Targets};
///
/// let xor = Dataset::new(
///     vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
///     2,
///     Targets::Classes { labels: vec![0, 1, 1, 0], classes: 2 },
/// )?;
/// assert_eq!((xor.rows(), xor.in_features()), (4, 2));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    inputs: Vec<f32>,
    in_features: usize,
    targets: Targets,
    weights: Vec<f32>,
}

/// What a net is to answer for each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class per row: classification.
    Classes {
        /// Class index per row, each below `classes`.
        labels: Vec<u32>,
        /// Number of classes, from 1 to 2²⁴.
        classes: usize,
    },
    /// Numbers per row: regression.
    Values {
        /// rows × width, row-major.
        values: Vec<f32>,
        /// Numbers per row, at least 1.
        width: usize,
    },
}

impl Targets {
    /// Columns per row on the device: 1 for classes, `width` for values.
    #[must_use]
    pub const fn width(&self) -> usize {
        match self {
            Self::Classes { .. } => 1,
            Self::Values { width, .. } => *width,
        }
    }

    /// Rows × [`width`](Self::width) numbers, row-major; a class is its index, exact in f32.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Classes { labels, .. } => labels.iter().map(|&label| label as f32).collect(),
            Self::Values { values, .. } => values.clone(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Values { values, .. } => values.len(),
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Classes { labels, classes } => {
                if !(1..=MAX_CLASSES).contains(classes) {
                    return Err(Error::Limit {
                        what: "the target".into(),
                        needed: format!("{classes} classes"),
                        limit_name: "integers that f32 holds",
                        limit: format!("1 to {MAX_CLASSES}"),
                        remedy: String::new(),
                    });
                }
                match labels.iter().position(|&label| label as usize >= *classes) {
                    Some(row) => Err(Error::Shape {
                        what: format!("label of row {row}"),
                        expected: format!("a class index below {classes}"),
                        got: labels[row].to_string(),
                    }),
                    None => Ok(()),
                }
            }
            Self::Values { values, width } => check_finite("target", values, *width),
        }
    }
}

impl Dataset {
    /// Takes `inputs` (rows × `in_features`, row-major) and one target per row.
    ///
    /// # Errors
    /// If there is no row, a length doesn't fit, a label isn't below the number of classes, or a
    /// number isn't finite. Rows and columns are counted from 0 in the messages, as in the arrays.
    pub fn new(inputs: Vec<f32>, in_features: usize, targets: Targets) -> Result<Self> {
        if in_features == 0 || inputs.is_empty() || !inputs.len().is_multiple_of(in_features) {
            return Err(Error::Shape {
                what: "inputs of the data set".into(),
                expected: format!("rows × {in_features} features, neither of them 0"),
                got: format!("{} numbers", inputs.len()),
            });
        }
        let (rows, width) = (inputs.len() / in_features, targets.width());
        if u32::try_from(rows).is_err() {
            return Err(Error::Limit {
                what: "the data set".into(),
                needed: format!("{rows} rows"),
                limit_name: "row index",
                limit: format!("{} rows", u32::MAX),
                remedy: String::new(),
            });
        }
        if width == 0 || Some(targets.len()) != rows.checked_mul(width) {
            return Err(Error::Shape {
                what: "targets of the data set".into(),
                expected: format!("{rows} rows × {width}, not 0"),
                got: targets.len().to_string(),
            });
        }
        check_finite("input", &inputs, in_features)?;
        targets.check()?;
        Ok(Self { inputs, in_features, targets, weights: Vec::new() })
    }

    /// Lets each row count so much in the loss: a mean over rows becomes Σ ω l / Σ ω, as scikit-learn's
    /// `sample_weight`. Scores count every row once.
    ///
    /// # Errors
    /// If there isn't one weight per row, or one is negative or not finite, or all are 0.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Self> {
        let problem = if weights.len() != self.rows() {
            Some((format!("{}, one per row", self.rows()), weights.len().to_string()))
        } else if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            let got = format!("{} in row {row}", weights[row]);
            Some(("finite numbers that aren't negative".into(), got))
        } else if weights.iter().all(|&w| w == 0.0) {
            Some(("a row that counts".into(), "only zeros".into()))
        } else {
            None
        };
        match problem {
            Some((expected, got)) => {
                Err(Error::Shape { what: "weights of the data set's rows".into(), expected, got })
            }
            None => Ok(Self { weights, ..self }),
        }
    }

    /// What each row counts; empty if all count 1.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Number of rows, from 1 to 2³² − 1.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.inputs.len() / self.in_features
    }

    /// Numbers per row that the net reads, at least 1.
    #[must_use]
    pub const fn in_features(&self) -> usize {
        self.in_features
    }

    /// Rows × [`in_features`](Self::in_features), row-major.
    #[must_use]
    pub fn inputs(&self) -> &[f32] {
        &self.inputs
    }

    /// What the net is to answer for each row.
    #[must_use]
    pub const fn targets(&self) -> &Targets {
        &self.targets
    }
}

fn check_finite(what: &str, values: &[f32], width: usize) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(Error::Shape {
            what: format!("{what} of row {}, column {}", at / width, at % width),
            expected: "a finite number".into(),
            got: values[at].to_string(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(labels: &[u32], classes: usize) -> Targets {
        Targets::Classes { labels: labels.to_vec(), classes }
    }

    fn values(values: &[f32], width: usize) -> Targets {
        Targets::Values { values: values.to_vec(), width }
    }

    fn message(inputs: &[f32], in_features: usize, targets: Targets) -> String {
        Dataset::new(inputs.to_vec(), in_features, targets).unwrap_err().to_string()
    }

    #[test]
    fn sizes_follow_from_the_arrays() {
        let data = Dataset::new(vec![0.0; 6], 3, values(&[1.0, 2.0, 3.0, 4.0], 2)).unwrap();
        assert_eq!((data.rows(), data.in_features(), data.targets().width()), (2, 3, 2));
        let data = Dataset::new(vec![0.0; 6], 2, classes(&[2, 0, 1], 3)).unwrap();
        assert_eq!((data.rows(), data.targets().width()), (3, 1));
        assert_eq!(data.targets().to_f32(), [2.0, 0.0, 1.0]);
    }

    #[test]
    fn the_largest_class_index_survives_f32() {
        let data =
            Dataset::new(vec![0.0; 2], 1, classes(&[16_777_214, 16_777_215], MAX_CLASSES)).unwrap();
        let back: Vec<f64> = data.targets().to_f32().into_iter().map(f64::from).collect();
        assert_eq!(back, [16_777_214.0, 16_777_215.0]);
        assert!(message(&[0.0], 1, classes(&[0], MAX_CLASSES + 1)).contains("16777217 classes"));
        assert!(message(&[0.0], 1, classes(&[0], 0)).contains("0 classes"));
    }

    #[test]
    fn lengths_must_fit() {
        let expected = "inputs of the data set: expected rows × 2 features, neither of them 0, got";
        assert_eq!(message(&[0.0; 3], 2, classes(&[0], 1)), format!("{expected} 3 numbers"));
        assert_eq!(message(&[], 2, classes(&[], 1)), format!("{expected} 0 numbers"));
        assert!(message(&[0.0], 0, classes(&[0], 1)).contains("rows × 0 features"));
        let expected = "targets of the data set: expected 2 rows";
        assert_eq!(
            message(&[0.0; 2], 1, classes(&[0], 1)),
            format!("{expected} × 1, not 0, got 1")
        );
        assert_eq!(
            message(&[0.0; 2], 1, values(&[0.0; 3], 2)),
            format!("{expected} × 2, not 0, got 3")
        );
        assert_eq!(message(&[0.0; 2], 1, values(&[], 0)), format!("{expected} × 0, not 0, got 0"));
    }

    #[test]
    fn bad_values_are_named_by_row_and_column() {
        assert_eq!(
            message(&[0.0, 1.0, 2.0, f32::NAN], 2, classes(&[0, 0], 1)),
            "input of row 1, column 1: expected a finite number, got NaN"
        );
        assert_eq!(
            message(&[0.0, 1.0], 1, values(&[0.0, 1.0, f32::INFINITY, 1.0], 2)),
            "target of row 1, column 0: expected a finite number, got inf"
        );
        assert_eq!(
            message(&[0.0, 1.0], 1, classes(&[1, 2], 2)),
            "label of row 1: expected a class index below 2, got 2"
        );
    }
}
