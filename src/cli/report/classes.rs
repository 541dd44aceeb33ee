//! The part of a report on classes: which are taken for which, and how well each is told apart.

use std::cmp::Reverse;

use wgrad::Evaluation;
use wgrad::data::Targets;

use super::number;
use super::ranking::{Ranking, log_odds};
use super::scored::Scored;
use crate::cli::confusion::{Class, Confusion, share};
use crate::cli::figure::{Axis, Line, Panel};
use crate::cli::page::cells::confusion as confusion_matrix;
use crate::cli::page::curves::curves_with;
use crate::cli::page::{Page, Picture, Tile};
use crate::cli::results::{Results, percent};
use crate::cli::talk::{rows_of, significant};

/// More classes than this aren't shown one by one.
const MOST_SHOWN: usize = 50;
/// Classes that get curves of their own.
const MOST_CURVES: usize = 10;
/// Colour of what is there for comparison.
const REFERENCE: usize = 6;

/// Of the table; the last two are areas below curves.
const HEAD: [&str; 7] =
    ["class", "rows", "precision", "recall", "F1", "ROC AUC", "average precision"];

/// The results in a few numbers.
pub(super) fn tiles(
    part: &str,
    results: &Results,
    names: &[String],
    confusion: &Confusion,
) -> Vec<Tile> {
    let Evaluation { loss, score, rows, .. } = results.evaluation;
    let classes = confusion.classes();
    let right: usize = classes.iter().map(|class| class.right).sum();
    let all: usize = classes.iter().map(|class| class.rows).sum();
    let frequent = (0..names.len()).max_by_key(|&k| (classes[k].rows, Reverse(k))).unwrap_or(0);
    let guessed = share(classes[frequent].rows, all).unwrap_or(f64::NAN);
    let scores: Vec<f64> = classes.iter().filter_map(Class::f1).collect();
    vec![
        Tile::new(
            format!("{part} accuracy"),
            percent(score.value()),
            format!("{} of {}", indicatif::HumanCount(right as u64), rows_of(rows)),
        ),
        Tile::new(
            "baseline",
            percent(guessed),
            format!("always the most frequent class, {}", names[frequent]),
        ),
        Tile::new(
            "F1",
            format!("{:.4}", scores.iter().sum::<f64>() / number(scores.len())),
            "mean of the classes",
        ),
        Tile::new(format!("{part} loss"), significant(loss), results.loss_name.clone()),
    ]
}

/// The section.
pub(super) fn section(page: &mut Page, scored: &Scored, names: &[String], confusion: &Confusion) {
    page.section("Classes");
    let rankings = rankings(scored, names);
    let mut pictures = Vec::new();
    if names.len() <= MOST_SHOWN {
        pictures.push(confusion_matrix(names, confusion));
    }
    if rankings.iter().any(Option::is_some) {
        pictures.extend(ranking_pictures(names, &rankings));
    }
    page.pictures(&pictures, "");
    let (mut head, mut rows) = (HEAD.to_vec(), table(names, confusion, &rankings));
    if pictures.len() <= 1 {
        // Without curves there is nothing below them.
        head.truncate(HEAD.len() - 2);
        rows.iter_mut().for_each(|(_, cells)| cells.truncate(head.len()));
    }
    page.table(1, &head, &rows);
    if names.len() > MOST_SHOWN {
        page.note(&format!(
            "The {MOST_SHOWN} classes of {} with the lowest F1; results.json has the confusion of all.",
            names.len()
        ));
    }
}

/// One against the rest for each class.
fn rankings(scored: &Scored, names: &[String]) -> Vec<Option<Ranking>> {
    let (Targets::Classes { labels, .. }, true) =
        (scored.sample.targets(), names.len() <= MOST_CURVES)
    else {
        return names.iter().map(|_| None).collect();
    };
    let width = scored.outputs.len() / labels.len();
    let ranking = |class: usize| {
        let rows = scored.outputs.chunks_exact(width).zip(labels);
        let rows = rows.map(|(z, &label)| (log_odds(z, class), label as usize == class));
        Ranking::of(&rows.collect::<Vec<_>>())
    };
    (0..names.len()).map(ranking).collect()
}

/// Whether a class has curves. Of two classes the first one's would tell the same from the other side.
fn has_curves(names: &[String], class: usize) -> bool {
    names.len() > 2 || class == 1
}

/// The curves; their legends tell the areas below them.
fn ranking_pictures(names: &[String], rankings: &[Option<Ranking>]) -> [Picture; 2] {
    let kind = match names.len() {
        2 => names[1].clone(),
        _ => "each class against the rest".into(),
    };
    let picture = |title: &str, [x, y]: [&'static str; 2], reference: Line, of: Curve| {
        let numbered = rankings.iter().zip(names).enumerate();
        let shown = numbered.filter(|(k, _)| has_curves(names, *k));
        let known = shown.filter_map(|(k, (ranking, name))| Some((k, ranking.as_ref()?, name)));
        let (mut lines, mut areas): (Vec<Line>, Vec<String>) = known
            .map(|(k, ranking, name)| {
                let (points, area) = of(ranking);
                let line = Line::new(name.clone(), color(names, k), points.iter().copied());
                (line, format!("{area:.4}"))
            })
            .unzip();
        lines.push(reference.thin());
        areas.push(String::new());
        let (x, y) = (Axis::linear(x), Axis::linear(y));
        curves_with(&Panel { title: format!("{title}: {kind}"), x, y, lines }, &areas)
    };
    let chance = Line::new("", REFERENCE, [(0.0, 0.0), (1.0, 1.0)]);
    let ideal = Line::new("", REFERENCE, [(0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]);
    [
        picture("ROC and AUC", ["false positive rate", "true positive rate"], chance, |ranking| {
            (&ranking.roc, ranking.auc)
        }),
        picture("Precision, recall and AP", ["recall", "precision"], ideal, |ranking| {
            (&ranking.precision_recall, ranking.average_precision)
        }),
    ]
}

/// Points of a curve, and the area below it.
type Curve = fn(&Ranking) -> (&[(f64, f64)], f64);

/// The colour of a class. Two classes have one curve.
fn color(names: &[String], class: usize) -> usize {
    if names.len() == 2 { 0 } else { class }
}

/// A line per class, coloured as its curves; of very many the worst.
fn table(
    names: &[String],
    confusion: &Confusion,
    rankings: &[Option<Ranking>],
) -> Vec<(Option<usize>, Vec<String>)> {
    let of = |share: Option<f64>| share.map_or_else(|| "–".into(), percent);
    let area = |k: usize, of: fn(&Ranking) -> f64| {
        rankings[k].as_ref().map_or_else(|| "–".into(), |ranking| format!("{:.4}", of(ranking)))
    };
    let mut classes: Vec<(usize, &Class)> = confusion.classes().iter().enumerate().collect();
    if classes.len() > MOST_SHOWN {
        let f1 = |class: &Class| class.f1().unwrap_or(f64::INFINITY);
        classes.sort_by(|a, b| f1(a.1).total_cmp(&f1(b.1)));
        classes.truncate(MOST_SHOWN);
    }
    let line = |(k, class): (usize, &Class)| {
        let is_drawn = rankings[k].is_some() && has_curves(names, k);
        let color = is_drawn.then_some(color(names, k));
        let cells = vec![
            names[k].clone(),
            indicatif::HumanCount(class.rows as u64).to_string(),
            of(class.precision()),
            of(class.recall()),
            of(class.f1()),
            area(k, |ranking| ranking.auc),
            area(k, |ranking| ranking.average_precision),
        ];
        (color, cells)
    };
    classes.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::confusion::tests::confusion;

    #[test]
    fn of_very_many_classes_the_worst_are_told() {
        let names: Vec<String> = (0..60).map(|k| k.to_string()).collect();
        // Each class k is right in k of 60 rows.
        let confusion_rows: Vec<Vec<usize>> = (0..60)
            .map(|k| {
                (0..60).map(|l| if l == k { k } else { usize::from(l == 0) * (60 - k) }).collect()
            })
            .collect();
        let confusion = confusion(&confusion_rows);
        let none: Vec<Option<Ranking>> = names.iter().map(|_| None).collect();
        let table = table(&names, &confusion, &none);
        assert_eq!(table.len(), MOST_SHOWN);
        assert_eq!(table[1].1[..4], ["1", "60", "100.00 %", "1.67 %"]);
    }
}
