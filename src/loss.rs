//! What training minimises.

use serde::{Deserialize, Serialize};

use crate::data::Targets;
use crate::error::{Error, Result};

/// The loss of one batch: a mean over its rows, as PyTorch's `reduction="mean"`.
///
/// Where a data set gives its rows weights ω, the mean is Σ ω l / Σ ω.
///
/// Below, p is a prediction of the net, t the target, B the rows of the batch and K the outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// 1/(B·K) Σ (p − t)² (`nn.MSELoss`).
    Mse,
    /// 1/(B·K) Σ |p − t|, with derivative 0 where p = t (`nn.L1Loss`).
    Mae,
    /// 1/(B·K) Σ h(p − t), h(e) = e²/2 for |e| ≤ δ, else δ(|e| − δ/2) (`nn.HuberLoss`).
    Huber {
        /// Where the parabola becomes a line, in units of the target; positive, PyTorch: 1.
        delta: f32,
    },
    /// −1/(B·K) Σ (w·t·ln σ(p) + (1 − t)·ln(1 − σ(p))), targets in [0, 1]
    /// (`nn.BCEWithLogitsLoss`).
    BceWithLogits {
        /// w: how much a positive target counts, per output (length K), or empty for 1.
        #[serde(default)]
        pos_weight: Vec<f32>,
    },
    /// `−Σ_b w_t ln softmax(p)_t / Σ_b w_t` for class indices t (`nn.CrossEntropyLoss`).
    ///
    /// With label smoothing ε each row's term is
    /// `(1 − ε) w_t (−ln s_t) + ε/K Σ_k w_k (−ln s_k)`, s = softmax(p).
    CrossEntropy {
        /// ε in 0.0..=1.0: how much of the target is spread over all classes.
        #[serde(default)]
        label_smoothing: f32,
        /// w: how much a row of each class counts (length K), or empty for 1. A batch in which no
        /// row counts has loss 0 and no gradient (PyTorch: NaN).
        #[serde(default)]
        class_weights: Vec<f32>,
    },
}

impl Loss {
    /// Huber loss with PyTorch's δ of 1.
    pub const HUBER: Self = Self::Huber { delta: 1.0 };
    /// Binary cross-entropy on logits without weights.
    pub const BCE_WITH_LOGITS: Self = Self::BceWithLogits { pos_weight: Vec::new() };
    /// Cross-entropy without smoothing or weights.
    pub const CROSS_ENTROPY: Self =
        Self::CrossEntropy { label_smoothing: 0.0, class_weights: Vec::new() };

    /// The names that [`FromStr`](std::str::FromStr) takes.
    pub const NAMES: &'static [&'static str] =
        &["mse", "mae", "huber", "bce_with_logits", "cross_entropy"];

    /// The loss's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::Huber { .. } => "huber",
            Self::BceWithLogits { .. } => "bce_with_logits",
            Self::CrossEntropy { .. } => "cross_entropy",
        }
    }

    /// Whether the loss is for classes, so that predictions can be right or wrong. Otherwise the
    /// score of a prediction is its squared error.
    #[must_use]
    pub const fn is_classification(&self) -> bool {
        matches!(self, Self::BceWithLogits { .. } | Self::CrossEntropy { .. })
    }

    /// Weights per output (length `outputs`): class weights, positive weights, or 1.
    pub(crate) fn weights(&self, outputs: usize) -> Vec<f32> {
        match self {
            Self::BceWithLogits { pos_weight: w } | Self::CrossEntropy { class_weights: w, .. }
                if !w.is_empty() =>
            {
                w.clone()
            }
            _ => vec![1.0; outputs],
        }
    }

    /// δ or ε; 0 where there is no parameter.
    pub(crate) const fn parameter(&self) -> f32 {
        match self {
            Self::Huber { delta } => *delta,
            Self::CrossEntropy { label_smoothing, .. } => *label_smoothing,
            _ => 0.0,
        }
    }

    /// Checks the parameters against the net's outputs.
    ///
    /// # Errors
    /// [`Error::Option`] for a value outside its range, [`Error::Shape`] for weights of a wrong
    /// length.
    pub(crate) fn validate(&self, outputs: usize) -> Result<()> {
        let option = |name, value: f32, expected| {
            Err(Error::Option { name, value: value.to_string(), expected })
        };
        let weights = |name: &'static str, weights: &[f32]| {
            if !weights.is_empty() && weights.len() != outputs {
                return Err(Error::Shape {
                    what: name.into(),
                    expected: format!("{outputs} numbers, one per output"),
                    got: weights.len().to_string(),
                });
            }
            match weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
                Some(&bad) => option(name, bad, "finite and not negative"),
                None => Ok(()),
            }
        };
        match self {
            Self::Mse | Self::Mae => Ok(()),
            Self::Huber { delta } if !(delta.is_finite() && *delta > 0.0) => {
                option("huber delta", *delta, "finite and positive")
            }
            Self::Huber { .. } => Ok(()),
            Self::BceWithLogits { pos_weight } => weights("pos_weight", pos_weight),
            Self::CrossEntropy { label_smoothing, .. }
                if !(0.0..=1.0).contains(label_smoothing) =>
            {
                option("label_smoothing", *label_smoothing, "in 0..=1")
            }
            Self::CrossEntropy { class_weights, .. } => {
                if outputs < 2 {
                    return Err(Error::Shape {
                        what: "cross_entropy".into(),
                        expected: "a net with one output per class, at least 2".into(),
                        got: outputs.to_string(),
                    });
                }
                weights("class_weights", class_weights)
            }
        }
    }

    /// Checks that targets are of the kind and width that this loss compares `outputs` with.
    ///
    /// # Errors
    /// [`Error::Shape`] if not.
    pub(crate) fn check_targets(&self, targets: &Targets, outputs: usize) -> Result<()> {
        let mismatch = |expected: String, got: String| {
            Err(Error::Shape { what: format!("targets of {}", self.name()), expected, got })
        };
        match (self, targets) {
            (Self::CrossEntropy { .. }, Targets::Classes { classes, .. }) if *classes > outputs => {
                mismatch(format!("at most {outputs} classes, one per output"), classes.to_string())
            }
            (Self::CrossEntropy { .. }, Targets::Classes { .. }) => Ok(()),
            (Self::CrossEntropy { .. }, Targets::Values { .. }) => {
                mismatch("class indices".into(), "values (use mse, mae or huber)".into())
            }
            // Two classes are the targets 0 and 1 of one logit.
            (Self::BceWithLogits { .. }, Targets::Classes { classes, .. }) => {
                if *classes == 2 && outputs == 1 {
                    return Ok(());
                }
                mismatch(
                    "two classes and a net with one output, or a column of 0 and 1 per output"
                        .into(),
                    format!("{classes} classes and {outputs} outputs (use cross_entropy)"),
                )
            }
            (_, Targets::Classes { .. }) => {
                mismatch("values".into(), "class indices (use cross_entropy)".into())
            }
            (_, Targets::Values { width, .. }) if *width != outputs => {
                mismatch(format!("{outputs} columns, one per output"), width.to_string())
            }
            (Self::BceWithLogits { .. }, Targets::Values { values, width }) => {
                match values.iter().position(|t| !(0.0..=1.0).contains(t)) {
                    Some(i) => mismatch(
                        "values in 0..=1".into(),
                        format!("{} in row {}, column {}", values[i], i / width, i % width),
                    ),
                    None => Ok(()),
                }
            }
            (_, Targets::Values { .. }) => Ok(()),
        }
    }
}

impl std::str::FromStr for Loss {
    type Err = Error;

    /// Takes a [name](Loss::name); parameters have PyTorch's defaults.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "mse" => Ok(Self::Mse),
            "mae" => Ok(Self::Mae),
            "huber" => Ok(Self::HUBER),
            "bce_with_logits" => Ok(Self::BCE_WITH_LOGITS),
            "cross_entropy" => Ok(Self::CROSS_ENTROPY),
            _ => Err(Error::Option {
                name: "loss",
                value: format!("\"{text}\""),
                expected: "one of mse, mae, huber, bce_with_logits, cross_entropy",
            }),
        }
    }
}
