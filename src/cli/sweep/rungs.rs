//! Successive halving (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and
//! hyperparameter optimization", algorithm 1): epochs are spent on the trials that do well with few.

use crate::cli::failure::Failure;

/// A stretch of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    /// Trials that come so far.
    pub trials: usize,
    /// Epochs of each when it ends, since the trial's begin.
    pub epochs: u64,
}

/// The one rung of a sweep that trains all to the end.
pub(super) fn whole(trials: usize, epochs: u64) -> Vec<Rung> {
    vec![Rung { trials, epochs }]
}

/// All train for `first` epochs; of these one in `factor` goes on to `factor` times as many, and so on, up
/// to `last`. One that is left alone has nobody to wait for.
pub(super) fn halving(
    trials: usize,
    first: u64,
    last: u64,
    factor: usize,
) -> Result<Vec<Rung>, Failure> {
    if first >= last {
        return Err(Failure::input(format!(
            "min-epochs = {first} with epochs = {last}: there is no rung between them (give fewer \
             min-epochs, or more epochs)"
        )));
    }
    let mut rungs = vec![Rung { trials, epochs: first }];
    while let Some(&Rung { trials, epochs }) = rungs.last().filter(|rung| rung.epochs < last) {
        let trials = (trials / factor).max(1);
        let more = if trials == 1 { last } else { epochs.saturating_mul(factor as u64).min(last) };
        rungs.push(Rung { trials, epochs: more });
    }
    Ok(rungs)
}

/// Epochs of the whole sweep, where no trial ends before.
pub(super) fn epochs(rungs: &[Rung]) -> u64 {
    let before = std::iter::once(0).chain(rungs.iter().map(|rung| rung.epochs));
    let of =
        |(rung, before): (&Rung, u64)| (rung.trials as u64).saturating_mul(rung.epochs - before);
    rungs.iter().zip(before).map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(trials: usize, first: u64, last: u64, factor: usize) -> Vec<(usize, u64)> {
        let rungs = halving(trials, first, last, factor).unwrap();
        rungs.iter().map(|rung| (rung.trials, rung.epochs)).collect()
    }

    #[test]
    fn each_rung_has_fewer_trials_of_more_epochs() {
        assert_eq!(rungs(27, 1, 27, 3), [(27, 1), (9, 3), (3, 9), (1, 27)]);
        // The last rung is that of all epochs, wherever that lies.
        assert_eq!(rungs(27, 1, 20, 3), [(27, 1), (9, 3), (3, 9), (1, 20)]);
        assert_eq!(rungs(16, 2, 10, 2), [(16, 2), (8, 4), (4, 8), (2, 10)]);
        // One that is alone goes on to the end.
        assert_eq!(rungs(4, 1, 1000, 2), [(4, 1), (2, 2), (1, 1000)]);
        assert_eq!(rungs(2, 1, 9, 3), [(2, 1), (1, 9)]);
        assert!(halving(9, 5, 5, 3).is_err());
    }

    #[test]
    fn epochs_are_counted_once() {
        let rungs = halving(27, 1, 27, 3).unwrap();
        assert_eq!(epochs(&rungs), 27 + 9 * 2 + 3 * 6 + 18);
        assert_eq!(epochs(&whole(4, 10)), 40);
    }
}
