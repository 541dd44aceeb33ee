//! What is known about a column of numbers.

/// Mean and spread, summed in f64 whatever the data's precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Statistics {
    pub(super) min: f32,
    pub(super) max: f32,
    pub(super) mean: f64,
    /// Standard deviation of these values as a whole population (divided by n), as torch's batch
    /// norm and scikit-learn's `StandardScaler` have it.
    pub(super) deviation: f64,
}

impl Statistics {
    /// Of the values that aren't NaN; `None` if there are none.
    pub(super) fn of(values: impl Iterator<Item = f32> + Clone) -> Option<Self> {
        let values = values.filter(|value| !value.is_nan());
        let mean_of = |term: &dyn Fn(f64) -> f64| {
            let (sum, count) = values
                .clone()
                .fold((0.0, 0_u64), |(sum, count), value| (sum + term(value.into()), count + 1));
            sum / count as f64
        };
        let min = values.clone().reduce(f32::min)?;
        let max = values.clone().reduce(f32::max)?;
        let mean = mean_of(&|x| x);
        // From the deviations, not from the sum of squares, which cancels for a far-off mean.
        let deviation = mean_of(&|x| (x - mean).powi(2)).sqrt();
        Some(Self { min, max, mean, deviation })
    }
}

/// Rounds to the precision of the device.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
pub(super) const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_do_not_count() {
        let s = Statistics::of([1.0, f32::NAN, 2.0, 6.0].into_iter()).unwrap();
        assert_eq!((s.min, s.max, s.mean), (1.0, 6.0, 3.0));
        assert_eq!(s.deviation, (14.0_f64 / 3.0).sqrt());
        assert_eq!(Statistics::of([f32::NAN].into_iter()), None);
    }

    #[test]
    fn a_far_off_mean_leaves_the_deviation_right() {
        // Neighbours in f32, whose mean isn't a number of f64.
        let near = [0.0_f32, 64.0, 192.0];
        let far = near.map(|x| x + 1e9);
        let deviation = |values: [f32; 3]| Statistics::of(values.into_iter()).unwrap().deviation;
        assert!((deviation(far) / deviation(near) - 1.0).abs() < 1e-6);
    }
}
