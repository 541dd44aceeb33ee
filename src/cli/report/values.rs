//! The part of a report on numbers: what was predicted against what is true.

use wgrad::data::Schema;

use super::number;
use super::scored::Scored;
use crate::cli::figure::{Axis, Line, Panel};
use crate::cli::page::curves::curves_with;
use crate::cli::page::{Page, Tile};
use crate::cli::results::{Results, ValueErrors};
use crate::cli::talk::{r2, rows_of, significant};

/// Targets that get pictures of their own.
const MOST_TARGETS: usize = 4;
/// Dots of a picture.
const MOST_DOTS: usize = 2000;
/// Bars of a histogram.
const BINS: usize = 24;
/// Colour of what is there for comparison.
const REFERENCE: usize = 6;

/// The results in a few numbers.
pub(super) fn tiles(part: &str, results: &Results, errors: &[ValueErrors]) -> Vec<Tile> {
    let evaluation = &results.evaluation;
    let mut tiles = vec![Tile::new(
        format!("{part} R²"),
        r2(evaluation.score.value()),
        format!("on {}; baseline 0, always the mean", rows_of(evaluation.rows)),
    )];
    for column in errors.iter().take(MOST_TARGETS) {
        let of = if errors.len() == 1 { String::new() } else { format!(" of {}", column.name) };
        tiles.push(Tile::new(
            format!("RMSE{of}"),
            significant(column.rmse),
            format!("baseline {}, always the mean", significant(column.deviation)),
        ));
        if errors.len() == 1 {
            let note = format!("mean absolute error of {}", column.name);
            tiles.push(Tile::new("MAE", significant(column.mae), note));
        }
    }
    tiles.push(Tile::new(
        format!("{part} loss"),
        significant(evaluation.loss),
        results.loss_name.clone(),
    ));
    tiles
}

/// The section.
pub(super) fn section(page: &mut Page, scored: &Scored, schema: &Schema, errors: &[ValueErrors]) {
    let (mut predicted, mut wanted) = (scored.outputs.clone(), scored.sample.targets().to_f32());
    schema.restore_values(&mut predicted);
    schema.restore_values(&mut wanted);
    page.section("Predictions");
    let width = errors.len();
    let mut pictures = Vec::new();
    for (k, column) in errors.iter().enumerate().take(MOST_TARGETS) {
        let numbers = |v: &[f32]| -> Vec<f64> {
            v.iter().skip(k).step_by(width).map(|&x| f64::from(x)).collect()
        };
        let panels = panels(&column.name, &numbers(&predicted), &numbers(&wanted));
        pictures
            .extend(panels.iter().map(|panel| curves_with(panel, &[const { String::new() }; 2])));
    }
    page.pictures(&pictures, "");
    if width > 1 {
        let line = |column: &ValueErrors| {
            let numbers = [column.rmse, column.deviation, column.mae].map(significant);
            (None, [vec![column.name.clone()], numbers.to_vec()].concat())
        };
        let lines: Vec<_> = errors.iter().map(line).collect();
        page.table(1, &["target", "RMSE", "RMSE of the mean", "MAE"], &lines);
    }
    if width > MOST_TARGETS {
        page.note(&format!("Pictures of the first {MOST_TARGETS} targets of {width}."));
    }
}

fn panels(name: &str, predicted: &[f64], wanted: &[f64]) -> [Panel; 3] {
    let every = predicted.len().div_ceil(MOST_DOTS);
    let dots = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        Line::new("rows", 0, points.step_by(every)).dots()
    };
    let range = |numbers: &[f64]| {
        let finite = numbers.iter().copied().filter(|x| x.is_finite());
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)))
    };
    let residuals: Vec<f64> = predicted.iter().zip(wanted).map(|(p, w)| p - w).collect();
    let (truth, guesses) = (range(wanted), range(predicted));
    let panel =
        |title: String, x, y, lines| Panel { title, x: Axis::linear(x), y: Axis::linear(y), lines };
    [
        panel(
            format!("Predicted against true: {name}"),
            "true",
            "predicted",
            vec![
                Line::new("as it should be", REFERENCE, [truth.0, truth.1].map(|x| (x, x)))
                    .thin()
                    .unnamed(),
                dots(&mut wanted.iter().copied().zip(predicted.iter().copied())),
            ],
        ),
        panel(
            format!("Residuals: {name}"),
            "predicted",
            "predicted − true",
            vec![
                Line::new("", REFERENCE, [guesses.0, guesses.1].map(|x| (x, 0.0))).thin(),
                dots(&mut predicted.iter().copied().zip(residuals.iter().copied())),
            ],
        ),
        panel(
            format!("Residuals, how many: {name}"),
            "predicted − true",
            "rows",
            vec![Line::new("rows", 0, histogram(&residuals, range(&residuals))).outline()],
        ),
    ]
}

/// The outline of bars: how many numbers lie in each of equal parts of the range.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn histogram(numbers: &[f64], (least, most): (f64, f64)) -> Vec<(f64, f64)> {
    let width = (most - least) / number(BINS);
    if !(width > 0.0 && width.is_finite()) {
        return Vec::new();
    }
    let mut counts = [0_usize; BINS];
    for x in numbers.iter().filter(|x| x.is_finite()) {
        counts[(((x - least) / width) as usize).min(BINS - 1)] += 1;
    }
    let edge = |k: usize| least + width * number(k);
    let bar = |(k, &n): (usize, &usize)| [(edge(k), number(n)), (edge(k + 1), number(n))];
    let bars = counts.iter().enumerate().flat_map(bar);
    [(least, 0.0)].into_iter().chain(bars).chain([(most, 0.0)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_counted_once() {
        let numbers: Vec<f64> = (0..=100).map(f64::from).collect();
        let outline = histogram(&numbers, (0.0, 100.0));
        assert_eq!(outline.len(), 2 * BINS + 2);
        let counted: f64 = outline[1..].iter().step_by(2).take(BINS).map(|point| point.1).sum();
        assert_eq!(counted, 101.0);
        assert!(histogram(&[1.0, 1.0], (1.0, 1.0)).is_empty());
        assert!(histogram(&[], (f64::INFINITY, f64::NEG_INFINITY)).is_empty());
    }
}
