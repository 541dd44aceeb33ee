//! Plateaus against PyTorch's, at scores of either sign, and in a training.

use std::ops::ControlFlow;

use wgrad::Plateau;
use wgrad::schedule::{Mode, PlateauState, ThresholdMode};

use super::{Fixture, RELATIVE, Watched, fixture, trainer};

#[test]
fn plateaus_are_pytorchs() {
    let Fixture { lr, plateaus, .. } = fixture();
    assert_eq!(plateaus.len(), 11);
    for Watched { plateau, metrics, lr: theirs } in plateaus {
        plateau.validate().unwrap();
        let mut state = PlateauState::default();
        for (epoch, (metric, want)) in metrics.into_iter().zip(theirs).enumerate() {
            // Through its file form, as a checkpoint would.
            state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
            let got = lr * state.observe(&plateau, metric.unwrap_or(f64::NAN));
            let bound = RELATIVE * want;
            assert!((got - want).abs() <= bound, "{plateau}, epoch {epoch}: {got:e}, not {want:e}");
            assert_eq!(got, lr * state.factor());
        }
    }
}

/// best + threshold·|best| for max and best − threshold·|best| for min, for a best of either sign.
#[test]
fn a_relative_threshold_is_a_share_of_the_best_metrics_size() {
    for (mode, best, just_short, just_beyond) in [
        (Mode::Max, 0.5, 0.549, 0.551),
        (Mode::Max, -0.5, -0.451, -0.449),
        (Mode::Max, 0.0, 0.0, 1e-300),
        (Mode::Min, 0.5, 0.451, 0.449),
        (Mode::Min, -0.5, -0.549, -0.551),
        (Mode::Min, 0.0, 0.0, -1e-300),
    ] {
        let plateau = Plateau { mode, threshold: 0.1, ..Plateau::default() };
        for (metric, improves) in [(just_short, false), (just_beyond, true), (best, false)] {
            let mut state = PlateauState::default();
            state.observe(&plateau, best);
            state.observe(&plateau, metric);
            let want = if improves { metric } else { best };
            assert_eq!(state.best(), Some(want), "{plateau}: {best}, then {metric}");
        }
    }
}

/// A score that only gets worse lowers the learning rate, be it negative or not.
#[test]
fn a_falling_negative_score_is_a_plateau() {
    let plateau = Plateau { mode: Mode::Max, patience: 1, threshold: 0.2, ..Plateau::default() };
    let mut state = PlateauState::default();
    let factors = [-2.0, -2.1, -2.3, -2.6, -2.9].map(|r2| state.observe(&plateau, r2));
    assert_eq!(factors, [1.0, 1.0, 0.1, 0.1, 0.1 * 0.1]);
}

#[test]
fn a_trainer_lowers_the_learning_rate_on_a_plateau() {
    // The line is learnt soon, and what is still gained then lies below the threshold.
    for (mode, validation) in [(Mode::Min, false), (Mode::Min, true), (Mode::Max, true)] {
        let (threshold, threshold_mode) = (0.1, ThresholdMode::Abs);
        let plateau = Plateau {
            mode,
            patience: 1,
            factor: 0.5,
            threshold,
            threshold_mode,
            ..Plateau::default()
        };
        let mut trainer = trainer("linear", Some(plateau), validation).unwrap();
        let mut state = PlateauState::default();
        for epoch in 0..30 {
            let report = trainer.train_epoch(|_| ControlFlow::Continue(())).unwrap();
            // The last of two steps, at the factor from before this epoch was judged.
            let linear = 1.0 - f64::from(2 * epoch + 1) / 60.0;
            let want = 0.4 * linear * state.factor();
            assert!((report.lr / want - 1.0).abs() < 1e-12, "epoch {epoch}: {}", report.lr);
            state.observe(
                &plateau,
                match (mode, report.validation) {
                    (Mode::Max, Some(validation)) => validation.score.value(),
                    (Mode::Min, Some(validation)) => validation.loss,
                    (_, None) => report.train.loss(),
                },
            );
            assert_eq!(trainer.plateau(), &state);
        }
        assert!(state.factor() < 0.5, "{mode:?}: {}", state.factor());
    }
}

#[test]
fn part_of_an_epoch_is_no_plateau() {
    let plateau = Plateau { patience: 0, ..Plateau::default() };
    let mut trainer = trainer("constant", Some(plateau), false).unwrap();
    for _ in 0..3 {
        assert!(trainer.train_epoch(|_| ControlFlow::Break(())).unwrap().interrupted);
    }
    assert_eq!(trainer.plateau(), &PlateauState::default());
}

#[test]
fn a_plateau_of_the_score_needs_validation_rows() {
    let plateau = Plateau { mode: Mode::Max, ..Plateau::default() };
    let error = trainer("constant", Some(plateau), false).unwrap_err();
    assert!(error.to_string().contains("validation rows"), "{error}");
    assert!(trainer("constant", Some(Plateau { factor: 2.0, ..plateau }), true).is_err());
}
