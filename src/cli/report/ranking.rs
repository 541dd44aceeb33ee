//! How well outputs tell the rows of one class from the others, over all thresholds.

/// The curves of one class against the others.
#[derive(Debug)]
pub(super) struct Ranking {
    /// False positive rate, true positive rate.
    pub roc: Vec<(f64, f64)>,
    /// Area under the ROC curve.
    pub auc: f64,
    /// Recall, precision.
    pub precision_recall: Vec<(f64, f64)>,
    /// Σ (Rₙ − Rₙ₋₁) Pₙ, the average precision.
    pub average_precision: f64,
}

impl Ranking {
    /// Of rows with a score each, and whether they are of the class; `None` if all or none are. Rows of equal
    /// scores pass a threshold together.
    #[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
    pub(super) fn of(rows: &[(f64, bool)]) -> Option<Self> {
        let positives = rows.iter().filter(|row| row.1).count() as f64;
        let negatives = rows.len() as f64 - positives;
        if positives == 0.0 || negatives == 0.0 || rows.iter().any(|row| row.0.is_nan()) {
            return None;
        }
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut hits, mut alarms) = (0.0, 0.0);
        let (mut roc, mut precision_recall) = (vec![(0.0, 0.0)], Vec::new());
        let (mut auc, mut average_precision) = (0.0, 0.0);
        // −0 and 0 are one threshold.
        for equal in rows.chunk_by(|a, b| a.0 == b.0) {
            let (before_hits, before_alarms) = (hits, alarms);
            let of_class = equal.iter().filter(|row| row.1).count() as f64;
            hits += of_class;
            alarms += equal.len() as f64 - of_class;
            auc +=
                (alarms - before_alarms) / negatives * f64::midpoint(before_hits, hits) / positives;
            let precision = hits / (hits + alarms);
            average_precision += (hits - before_hits) / positives * precision;
            roc.push((alarms / negatives, hits / positives));
            precision_recall.push((hits / positives, precision));
        }
        Some(Self { roc, auc, precision_recall, average_precision })
    }
}

/// The logarithm of the odds of a class: orders rows as its probability does, also where that rounds to 1.
/// Of a single logit, which stands for class 1, that itself.
pub(super) fn log_odds(logits: &[f32], class: usize) -> f64 {
    if let &[logit] = logits {
        return f64::from(if class == 1 { logit } else { -logit });
    }
    let others =
        || logits.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, z)| f64::from(*z));
    let largest = others().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others().map(|z| (z - largest).exp()).sum();
    f64::from(logits[class]) - largest - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in scikit-learn's documentation of `roc_auc_score`, `roc_curve` and
    /// `average_precision_score`.
    #[test]
    fn areas_are_those_of_scikit_learn() {
        let rows = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        let ranking = Ranking::of(&rows).unwrap();
        assert_eq!(ranking.roc, [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert!((ranking.auc - 0.75).abs() < 1e-12, "{ranking:?}");
        assert!((ranking.average_precision - 5.0 / 6.0).abs() < 1e-12, "{ranking:?}");
    }

    #[test]
    fn equal_scores_tell_nothing() {
        let rows = [(0.5, true), (0.5, false), (0.5, true), (0.5, false)];
        let ranking = Ranking::of(&rows).unwrap();
        assert_eq!((ranking.auc, ranking.average_precision), (0.5, 0.5));
        assert!(Ranking::of(&[(0.0, true), (-0.0, false)]).unwrap().auc == 0.5);
        assert!(Ranking::of(&rows[..1]).is_none() && Ranking::of(&[]).is_none());
        assert!(Ranking::of(&[(f64::NAN, true), (0.0, false)]).is_none());
    }

    #[test]
    fn odds_are_those_of_the_softmax() {
        // p = 1/4, 1/4, 1/2.
        let logits = [0.0, 0.0, 2.0_f32.ln()];
        assert!((log_odds(&logits, 2) - 0.0).abs() < 1e-6);
        assert!((log_odds(&logits, 0) - (1.0_f64 / 3.0).ln()).abs() < 1e-6);
        assert!(log_odds(&[90.0, 0.0], 0) > log_odds(&[80.0, 0.0], 0), "both round to 1");
        assert_eq!([log_odds(&[1.5], 1), log_odds(&[1.5], 0)], [1.5, -1.5]);
    }
}
