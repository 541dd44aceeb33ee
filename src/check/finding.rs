//! What came of a check.

use std::collections::BTreeSet;

#[cfg(doc)]
use super::Check;

/// What a device made of a [`Check`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Kernels that took part, by name; a product's form follows its name.
    pub kernels: BTreeSet<&'static str>,
    /// The largest error as a part of its bound, and of what; above 1 the device is wrong. NaN where a
    /// number isn't finite.
    pub worst: (f64, String),
    /// Whether a second run gave the same bits.
    pub reproducible: bool,
    /// Whether every output for an input of NaN is NaN: a driver that computes a number of it would hide
    /// that a training has gone wrong.
    pub shows_nan: bool,
    /// Seconds for both runs, in all forms, compiling included.
    pub seconds: f64,
}

impl Finding {
    /// That of no run at all.
    pub(super) const fn none() -> Self {
        Self {
            kernels: BTreeSet::new(),
            worst: (0.0, String::new()),
            reproducible: true,
            shows_nan: true,
            seconds: 0.0,
        }
    }

    /// Adds what another one found.
    pub(super) fn add(&mut self, other: Self) {
        self.kernels.extend(other.kernels);
        self.worst = worse(std::mem::take(&mut self.worst), other.worst);
        self.reproducible &= other.reproducible;
        self.shows_nan &= other.shows_nan;
        self.seconds += other.seconds;
    }

    /// Whether all is as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.worst.0 <= 1.0 && self.reproducible && self.shows_nan
    }
}

/// The larger of two ratios; NaN is the worst.
pub(super) fn worse(a: (f64, String), b: (f64, String)) -> (f64, String) {
    if a.0.is_nan() || b.0 <= a.0 { a } else { b }
}
