//! The learning rate as a function of the step.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A factor on the optimizer's learning rate that depends on nothing but the step.
///
/// ```
/// use wgrad::Schedule;
/// let cosine = Schedule::Cosine { floor: 0.0 };
/// assert_eq!(cosine.factor(0, 100), 1.0);
/// assert!((cosine.factor(50, 100) - 0.5).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Schedule {
    /// 1.
    #[default]
    Constant,
    /// floor + (1 − floor)·(1 + cos(πt/T))/2 for step t of T (Loshchilov and Hutter 2017;
    /// `lr_scheduler.CosineAnnealingLR` stepped once a batch).
    Cosine {
        /// What is left of the learning rate at the end, in 0.0..=1.0.
        #[serde(default)]
        floor: f64,
    },
}

impl Schedule {
    /// The factor for the step that has `step` steps before it, of `total` in the run.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "steps stay far below 2⁵²")]
    pub fn factor(self, step: u64, total: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine { floor } => {
                let progress = step.min(total) as f64 / total.max(1) as f64;
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }

    pub(crate) fn validate(self) -> Result<()> {
        match self {
            Self::Cosine { floor } if !(0.0..=1.0).contains(&floor) => Err(Error::Option {
                name: "cosine floor",
                value: floor.to_string(),
                expected: "in 0..=1",
            }),
            _ => Ok(()),
        }
    }
}

impl std::str::FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "constant" => Ok(Self::Constant),
            "cosine" => Ok(Self::Cosine { floor: 0.0 }),
            _ => Err(Error::Option {
                name: "schedule",
                value: format!("\"{text}\""),
                expected: "constant or cosine",
            }),
        }
    }
}
