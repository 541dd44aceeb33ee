//! `sweep.svg`: an axis for each key and one for what ranks the trials, and each trial as a line from axis
//! to axis (Inselberg 1985, parallel coordinates).

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::plan::Sweep;
use super::ranking::Ranking;
use super::space::{Axis, Value, Values};
use crate::cli::chart::{
    Area, Drawn, FONT, GRID, QUIET, TEXT, TITLE_HEIGHT, at, picture, px, tick,
};
use crate::cli::choices::StopOn;
use crate::cli::failure::Failure;
use crate::cli::talk::{count, printable};

const HEIGHT: u32 = 400;
/// Where the first and the last axis stand, and where they begin and end.
const XS: [f64; 2] = [90.0, 790.0];
const YS: [f64; 2] = [330.0, 50.0];
/// Room above and below the places on an axis.
const AIR: f64 = 0.04;
/// Stretches between the marks along an axis of numbers.
const MARKS: u32 = 4;
/// Marks that are closer would cover each other.
const APART: f64 = 0.07;
/// Characters of a value at the most, half of those of a name, and the width of one.
const CHARACTERS: usize = 14;
const CHARACTER: f64 = 8.0;
/// Losses that differ by more than this factor are drawn on a logarithmic axis.
const LOG_FROM: f64 = 20.0;

const BEST: RGBColor = RGBColor(0, 114, 178);
const WORST: RGBColor = RGBColor(205, 211, 220);
const DIVERGED: RGBColor = RGBColor(213, 94, 0);

/// An axis as it is drawn: marks with their places, 0 below to 1 above.
struct Scale {
    name: String,
    marks: Vec<(f64, String)>,
    /// The place of each trial; `None` for one that diverged.
    places: Vec<Option<f64>>,
}

pub(super) fn svg(sweep: &Sweep, ranking: &Ranking) -> Result<String, Failure> {
    let ranked = ranking.values();
    let scales = sweep.axes.iter().enumerate().map(|(key, axis)| {
        let shown = ranked.iter().map(|(trial, _)| sweep.trials[*trial].shown().swap_remove(key));
        of_key(axis, &shown.collect::<Vec<_>>())
    });
    let values: Vec<Option<f64>> = ranked.iter().map(|(_, value)| *value).collect();
    let metric = of_metric(ranking.metric_name(), sweep.metric == StopOn::Loss, &values);
    let scales: Vec<Scale> = scales.chain([metric]).collect();
    let name = sweep.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let title = format!("{name} · {}", count(ranked.len(), "trial"));
    picture(TITLE_HEIGHT + HEIGHT, &printable(&title), |body| draw(body, &scales, values.len()))
}

/// Numbers where they lie, words one below the other.
fn of_key(axis: &Axis, shown: &[String]) -> Scale {
    let listed: &[Value] = match &axis.values {
        Values::List(values) => values,
        Values::Range(range) => return of_numbers(axis, [range.min, range.max], &[], shown),
    };
    let numbers = listed.iter().map(|value| value.shown.parse().ok()).collect::<Option<Vec<f64>>>();
    let least = |numbers: &Vec<f64>| numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |numbers: &Vec<f64>| numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match numbers.map(|numbers| [least(&numbers), most(&numbers)]) {
        Some(ends) if ends[0] < ends[1] => of_numbers(axis, ends, listed, shown),
        _ => of_words(axis, listed, shown),
    }
}

/// Few values are all marked.
fn of_numbers(axis: &Axis, [least, most]: [f64; 2], listed: &[Value], shown: &[String]) -> Scale {
    let place = |text: &String| Some(share(least, most, text.parse().ok()?, axis.log));
    let marks = match listed.len() {
        1..=8 => {
            let mark = |value: &Value| Some((place(&value.shown)?, value.shown.clone()));
            listed.iter().filter_map(mark).collect()
        }
        _ => marks(least, most, axis.log),
    };
    Scale { name: axis.key.clone(), marks, places: shown.iter().map(place).collect() }
}

fn of_words(axis: &Axis, listed: &[Value], shown: &[String]) -> Scale {
    let place = |index: usize| match listed.len() {
        1 => 0.5,
        count => 1.0 - fraction(index, count - 1),
    };
    let of_word = |text: &String| listed.iter().position(|value| value.shown == *text).map(place);
    let marks = listed.iter().enumerate().map(|(k, value)| (place(k), value.shown.clone()));
    let places = shown.iter().map(of_word).collect();
    Scale { name: axis.key.clone(), marks: marks.collect(), places }
}

/// The best is above.
fn of_metric(name: String, is_loss: bool, values: &[Option<f64>]) -> Scale {
    let numbers = || values.iter().flatten().copied().filter(|x| x.is_finite());
    let least = numbers().fold(f64::INFINITY, f64::min);
    let most = numbers().fold(f64::NEG_INFINITY, f64::max);
    if least >= most || numbers().next().is_none() {
        let marks = numbers().next().map(|x| (0.5, tick(x))).into_iter().collect();
        let places = values.iter().map(|value| value.map(|_| 0.5)).collect();
        return Scale { name, marks, places };
    }
    let log = least > 0.0 && most / least > LOG_FROM;
    let turn = |place: f64| if is_loss { 1.0 - place } else { place };
    let marks = marks(least, most, log).into_iter().map(|(place, text)| (turn(place), text));
    let place = |x: &Option<f64>| x.map(|x| turn(share(least, most, x, log)));
    Scale { name, marks: marks.collect(), places: values.iter().map(place).collect() }
}

fn share(least: f64, most: f64, x: f64, log: bool) -> f64 {
    if log { (x / least).ln() / (most / least).ln() } else { (x - least) / (most - least) }
}

/// The ends and what is even between them; of logarithms the decades.
fn marks(least: f64, most: f64, log: bool) -> Vec<(f64, String)> {
    let mark = |x: f64| (share(least, most, x, log), tick(x));
    let even = |k: u32| mark(least + f64::from(k) / f64::from(MARKS) * (most - least));
    if !log {
        return (0..=MARKS).map(even).collect();
    }
    let decades = std::iter::successors(Some(least.log10().ceil()), |decade| Some(decade + 1.0));
    let decades = decades.take_while(|decade| *decade <= most.log10()).map(|d| 10_f64.powf(d));
    // Those at the ends would cover these.
    let between = decades.map(mark).filter(|(place, _)| (APART..=1.0 - APART).contains(place));
    [mark(least), mark(most)].into_iter().chain(between).collect()
}

fn draw(body: &Area<'_>, scales: &[Scale], trials: usize) -> Drawn {
    let last = scales.len().saturating_sub(1).max(1);
    let x = |axis: usize| XS[0] + (XS[1] - XS[0]) * fraction(axis, last);
    let y = |place: f64| {
        let inner = AIR + (1.0 - 2.0 * AIR) * place;
        YS[0] + (YS[1] - YS[0]) * inner
    };
    let style = |size: u32, color: &'static RGBColor, h, v| {
        TextStyle::from((FONT, px(size))).color(color).pos(Pos::new(h, v))
    };
    // What fits between two axes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let fitting = ((x(1) - x(0)) / CHARACTER).max(4.0) as usize;
    for (axis, Scale { name, .. }) in scales.iter().enumerate() {
        let ends = [point(x(axis), YS[0]), point(x(axis), YS[1])];
        body.draw(&PathElement::new(ends, GRID.stroke_width(px(2))))?;
        let style = style(14, &TEXT, HPos::Center, VPos::Center);
        body.draw(&Text::new(
            cut(name, fitting.min(2 * CHARACTERS)),
            point(x(axis), YS[1] - 22.0),
            style,
        ))?;
    }
    // The best on top of the others.
    for trial in (0..trials).rev() {
        let places: Vec<Option<f64>> = scales.iter().map(|scale| scale.places[trial]).collect();
        let diverged = places.last().is_none_or(Option::is_none);
        let points = places.iter().enumerate();
        let points: Vec<_> = points.filter_map(|(k, p)| p.map(|p| point(x(k), y(p)))).collect();
        let (color, width) = match trial {
            _ if diverged => (DIVERGED, 1),
            0 => (BEST, 4),
            _ => (mixed(fraction(trial, trials)), 2),
        };
        body.draw(&PathElement::new(points.clone(), color.stroke_width(px(width))))?;
        if diverged {
            if let Some(&end) = points.last() {
                body.draw(&Cross::new(end, px(5), DIVERGED.stroke_width(px(2))))?;
            }
        }
    }
    for (axis, Scale { marks, .. }) in scales.iter().enumerate() {
        for (place, text) in marks {
            let (at, text) = (point(x(axis), y(*place)), cut(text, (fitting - 2).min(CHARACTERS)));
            body.draw(&Circle::new(at, px(2), QUIET.filled()))?;
            let (side, h) = if axis == last { (8, HPos::Left) } else { (-8, HPos::Right) };
            let beside = (at.0 + side * px(1).cast_signed(), at.1);
            let style = style(12, &QUIET, h, VPos::Center);
            let ground = ground(beside, &text, axis == last);
            body.draw(&Rectangle::new(ground, WHITE.mix(0.8).filled()))?;
            body.draw(&Text::new(text, beside, style))?;
        }
    }
    let note = "Each line is a trial, the best in dark blue; a cross ends those that diverged.";
    let quiet = style(12, &QUIET, HPos::Left, VPos::Center);
    body.draw(&Text::new(note, at(24, HEIGHT - 28), quiet))?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "some thousand trials")]
fn fraction(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// A place on the canvas, which is some hundred pixels wide.
#[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
fn point(x: f64, y: f64) -> (i32, i32) {
    let scale = f64::from(px(1));
    ((scale * x).round() as i32, (scale * y).round() as i32)
}

/// What a text of 12 pixels covers that begins, or else ends, at a place; lines behind it would hide it.
fn ground(at: (i32, i32), text: &str, begins: bool) -> [(i32, i32); 2] {
    let length = u32::try_from(text.chars().count()).unwrap_or(0);
    let (width, half) = (px(7 * length).cast_signed(), px(8).cast_signed());
    let left = if begins { at.0 } else { at.0 - width };
    [(left, at.1 - half), (left + width, at.1 + half)]
}

/// From the colour of the best, 0, to that of the worst, 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two bytes")]
fn mixed(share: f64) -> RGBColor {
    let mix = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(BEST.0, WORST.0), mix(BEST.1, WORST.1), mix(BEST.2, WORST.2))
}

fn cut(text: &str, most: usize) -> String {
    let text = printable(text);
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sweep::space::Range;

    fn list(values: &[&str]) -> Axis {
        let value = |text: &&str| Value { words: Vec::new(), shown: (*text).to_owned() };
        let values = Values::List(values.iter().map(value).collect());
        Axis { key: "key".into(), values, log: false }
    }

    fn places(axis: &Axis, shown: &[&str]) -> Vec<Option<f64>> {
        of_key(axis, &shown.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()).places
    }

    #[test]
    fn values_lie_where_they_should() {
        let range = Range { flag: "--lr".into(), min: 1e-4, max: 1.0, log: true, whole: false };
        let range = Axis { key: "lr".into(), values: Values::Range(range), log: true };
        for (text, place) in [("0.0001", 0.0), ("0.01", 0.5), ("1", 1.0)] {
            assert!((places(&range, &[text])[0].unwrap() - place).abs() < 1e-12, "{text}");
        }
        assert_eq!(marks(1e-4, 1.0, true).len(), 5);
        assert_eq!(
            places(&list(&["16", "48", "32"]), &["16", "32", "48"]),
            [0.0, 0.5, 1.0].map(Some)
        );
        assert_eq!(places(&list(&["a", "b", "4"]), &["a", "b", "4"]), [1.0, 0.5, 0.0].map(Some));
        assert_eq!(places(&list(&["a"]), &["a", "other"]), [Some(0.5), None]);
        // The best is above.
        let metric = |is_loss| of_metric("m".into(), is_loss, &[Some(0.1), None, Some(0.2)]).places;
        assert_eq!(metric(true), [Some(1.0), None, Some(0.0)]);
        assert_eq!(metric(false), [Some(0.0), None, Some(1.0)]);
    }

    #[test]
    fn every_sweep_has_a_picture() {
        for values in [vec![], vec![None], vec![Some(0.5)], vec![Some(1e-9), Some(1e9), None]] {
            let shown = vec!["<a>&".to_owned(); values.len()];
            let scales =
                [of_key(&list(&["<a>&", "b"]), &shown), of_metric("m".into(), true, &values)];
            let drawn = |body: &Area<'_>| draw(body, &scales, values.len());
            let svg = picture(HEIGHT, "title", drawn).unwrap();
            assert!(
                svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("<a>"),
                "{svg}"
            );
        }
    }
}
