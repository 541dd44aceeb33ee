//! `loss.svg`: the losses over the epochs, and the validation score below them; and the curve of a
//! schedule.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use wgrad::{EpochReport, Score};

use super::failure::Failure;

/// The backend places points on whole pixels, so it draws on a canvas this many times larger than
/// the picture is shown.
const SCALE: u32 = 4;
const WIDTH: u32 = 900;
const LOSS_HEIGHT: u32 = 400;
const SCORE_HEIGHT: u32 = 240;
pub(crate) const TITLE_HEIGHT: u32 = 44;

const TRAIN: RGBColor = RGBColor(37, 99, 235);
const VALIDATION: RGBColor = RGBColor(234, 88, 12);
const SCORE: RGBColor = RGBColor(5, 150, 105);
pub(crate) const TEXT: RGBColor = RGBColor(31, 41, 55);
pub(crate) const QUIET: RGBColor = RGBColor(107, 114, 128);
pub(crate) const GRID: RGBColor = RGBColor(229, 231, 235);

pub(crate) const FONT: &str =
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
/// Losses that differ by more than this factor are drawn on a logarithmic axis.
const LOG_FROM: f64 = 20.0;
/// About so many marks are beside the upright axis.
const MARKS: u8 = 7;
/// Up to this many epochs each gets a dot.
const DOTS: usize = 30;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A curve with its name in the legend.
struct Curve {
    /// Without one there is neither a legend nor a dot for each point.
    name: String,
    color: RGBColor,
    /// Epoch and value.
    points: Vec<(f64, f64)>,
}

/// Draws the epochs of a run.
pub(crate) fn svg(title: &str, history: &[EpochReport]) -> Result<String, Failure> {
    let height =
        TITLE_HEIGHT + LOSS_HEIGHT + if scored(history).is_some() { SCORE_HEIGHT } else { 0 };
    picture(height, title, |body| draw(body, history))
}

/// Draws one curve, whose values are not negative.
pub(crate) fn curve_svg(
    title: &str,
    x_name: &str,
    y_name: &str,
    points: Vec<(f64, f64)>,
) -> Result<String, Failure> {
    let first = points.first().map_or(0.0, |point| point.0);
    let last = points.last().map_or(1.0, |point| point.0);
    let xs = if last > first { first..last } else { first - 0.5..first + 0.5 };
    let most = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let range = 0.0..if most > 0.0 { 1.06 * most } else { 1.0 };
    let curve = Curve { name: String::new(), color: TRAIN, points };
    picture(TITLE_HEIGHT + LOSS_HEIGHT, title, |body| {
        panel(body, &xs, range.clone(), step(&range), y_name, &[curve], Some(x_name))
    })
}

/// A picture with a title; `draw` fills what is below it.
pub(crate) fn picture(
    height: u32,
    title: &str,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, Failure> {
    let mut svg = String::new();
    draw_below(&mut svg, height, title, draw)
        .map_err(|e| Failure::run(format!("drawing the chart: {e}")))?;
    let size = |scale| format!("width=\"{}\" height=\"{}\"", WIDTH * scale, height * scale);
    Ok(svg.replacen(&size(SCALE), &size(1), 1))
}

fn draw_below(
    svg: &mut String,
    height: u32,
    title: &str,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Drawn {
    let root = SVGBackend::with_string(svg, (px(WIDTH), px(height))).into_drawing_area();
    root.fill(&WHITE)?;
    let heading = TextStyle::from((FONT, px(19))).color(&TEXT);
    root.draw(&Text::new(title.to_owned(), at(24, 20), heading))?;
    let (_, body) = root.split_vertically(px(TITLE_HEIGHT));
    draw(&body)?;
    root.present()?;
    Ok(())
}

/// What the validation score is called, if there is one.
fn scored(history: &[EpochReport]) -> Option<&'static str> {
    history.iter().find_map(|report| report.validation).map(|validation| match validation.score {
        Score::Accuracy(_) => "accuracy",
        Score::R2(_) => "R²",
    })
}

/// A length on the canvas.
pub(crate) const fn px(length: u32) -> u32 {
    length * SCALE
}

/// A place on the canvas.
#[expect(clippy::cast_possible_wrap, reason = "some thousand pixels")]
pub(crate) const fn at(x: u32, y: u32) -> (i32, i32) {
    (px(x) as i32, px(y) as i32)
}

fn draw(body: &Area<'_>, history: &[EpochReport]) -> Drawn {
    let losses = [
        curve("training loss", TRAIN, history, |report| Some(report.train.loss())),
        curve("validation loss", VALIDATION, history, |report| Some(report.validation?.loss)),
    ];
    let score = scored(history).map(|name| {
        curve(&format!("validation {name}"), SCORE, history, |r| Some(r.validation?.score.value()))
    });

    let (top, bottom) = body.split_vertically(px(LOSS_HEIGHT));

    #[expect(clippy::cast_precision_loss, reason = "epochs are far below 2⁵²")]
    let last = history.last().map_or(1.0, |report| report.epoch as f64);
    // A single epoch still needs an axis with a length.
    let epochs = if last > 1.0 { 1.0..last } else { 0.5..1.5 };
    draw_losses(&top, &epochs, &losses, score.is_none())?;
    if let Some(score) = score {
        let values = || score.points.iter().map(|point| point.1);
        let range = padded(values());
        // An accuracy is no more than 1, and an R² neither.
        let range = range.start..range.end.min(1.0 + 0.03 * (1.0 - range.start).abs().max(1e-3));
        let label = score.name.clone();
        let step = step(&range);
        panel(&bottom, &epochs, range, step, &label, &[score], Some("epoch"))?;
    }
    Ok(())
}

/// The finite values of an epoch's number.
fn curve(
    name: &str,
    color: RGBColor,
    history: &[EpochReport],
    value: impl Fn(&EpochReport) -> Option<f64>,
) -> Curve {
    #[expect(clippy::cast_precision_loss, reason = "epochs are far below 2⁵²")]
    let point = |report| Some((EpochReport::clone(report).epoch as f64, value(report)?));
    let points = history.iter().filter_map(point).filter(|point| point.1.is_finite()).collect();
    Curve { name: name.to_owned(), color, points }
}

fn draw_losses(area: &Area<'_>, epochs: &Range<f64>, losses: &[Curve], lowest: bool) -> Drawn {
    let x_name = lowest.then_some("epoch");
    let values = || losses.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(0.0, f64::max);
    if least > 0.0 && most / least > LOG_FROM {
        let range = (least / 1.3..most * 1.3).log_scale();
        panel(area, epochs, range, f64::INFINITY, "loss", losses, x_name)
    } else {
        let range = padded(values());
        // Losses are not negative.
        let range = range.start.max(0.0)..range.end;
        let step = step(&range);
        panel(area, epochs, range, step, "loss", losses, x_name)
    }
}

/// The values' range with some air around it.
fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, most) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(v), most.max(v)));
    if least > most {
        return 0.0..1.0;
    }
    let air = 0.06 * (most - least).max(1e-3 * most.abs()).max(1e-9);
    least - air..most + air
}

/// About how far apart the marks beside a range are.
fn step(range: &Range<f64>) -> f64 {
    (range.end - range.start) / f64::from(MARKS)
}

/// One system of axes with its curves; marks beside the upright one are about `step` apart. `x_name` is written
/// below the lowest.
fn panel<Y>(
    area: &Area<'_>,
    xs: &Range<f64>,
    range: Y,
    step: f64,
    label: &str,
    curves: &[Curve],
    x_name: Option<&str>,
) -> Drawn
where
    Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
{
    let mut chart = ChartBuilder::on(area)
        .margin_left(px(16))
        .margin_right(px(28))
        .margin_top(px(6))
        .margin_bottom(px(10))
        .x_label_area_size(px(if x_name.is_some() { 46 } else { 28 }))
        .y_label_area_size(px(74))
        .build_cartesian_2d(xs.clone(), range)?;
    let text = |size: u32, color: &'static RGBColor| TextStyle::from((FONT, px(size))).color(color);
    let whole = |x: &f64| if x.fract() == 0.0 { format!("{x}") } else { String::new() };
    let value = |y: &f64| tick_of(*y, step);
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(px(1)))
        .axis_style(QUIET.stroke_width(px(1)))
        .set_all_tick_mark_size(px(5))
        .label_style(text(14, &QUIET))
        .axis_desc_style(text(15, &TEXT))
        .y_desc(label)
        .x_labels(12)
        .y_labels(MARKS.into())
        .x_label_formatter(&whole)
        .y_label_formatter(&value);
    if let Some(name) = x_name {
        mesh.x_desc(name);
    }
    mesh.draw()?;

    for Curve { name, color, points } in curves.iter().filter(|curve| !curve.points.is_empty()) {
        let line = color.stroke_width(px(2));
        let last = points.last().map_or(0.0, |point| point.1);
        let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), line))?;
        if name.is_empty() {
            continue;
        }
        drawn
            .label(format!("{name}  {}", tick(last)))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + at(22, 0).0, y)], line));
        if points.len() <= DOTS {
            let dots = points.iter().map(|&point| Circle::new(point, px(3), color.filled()));
            chart.draw_series(dots)?;
        }
    }
    if curves.iter().all(|curve| curve.name.is_empty()) {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(if x_name.is_some() && curves.len() == 1 {
            SeriesLabelPosition::LowerRight
        } else {
            SeriesLabelPosition::UpperRight
        })
        .background_style(WHITE.mix(0.85))
        .label_font(text(14, &TEXT))
        .margin(px(10))
        .legend_area_size(px(30))
        .draw()?;
    Ok(())
}

/// A number in a picture: three digits, without zeros behind a point.
pub(crate) fn tick(value: f64) -> String {
    tick_of(value, f64::INFINITY)
}

/// A number beside an axis whose marks are about `step` apart: with more digits where three don't tell them
/// apart.
pub(crate) fn tick_of(value: f64, step: f64) -> String {
    let magnitude = value.abs().log10().floor();
    let digits = (magnitude - step.log10().floor() + 1.0).clamp(3.0, 15.0);
    let trimmed = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    if value == 0.0 {
        "0".into()
    } else if (-4.0..5.0).contains(&magnitude) || digits > 3.0 && (5.0..9.0).contains(&magnitude) {
        let decimals = (0..15).find(|&d| magnitude + f64::from(d) >= digits - 1.0).unwrap_or(15);
        trimmed(&format!("{value:.*}", usize::try_from(decimals).unwrap_or(0)))
    } else {
        let decimals = (0..15).find(|&d| f64::from(d) >= digits - 1.0).unwrap_or(15);
        let digits = format!("{value:.*e}", usize::try_from(decimals).unwrap_or(0));
        let (digits, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
        format!("{}e{exponent}", trimmed(digits))
    }
}

#[cfg(test)]
mod tests {
    use wgrad::{Evaluation, Metrics};

    use super::*;

    fn report(epoch: u64, loss: f64, accuracy: Option<f64>) -> EpochReport {
        EpochReport {
            epoch,
            step: epoch,
            lr: 0.1,
            train: Metrics { rows: 1, loss_sum: loss, weight_sum: 1.0, ..Metrics::default() },
            validation: accuracy.map(|a| Evaluation { loss, score: Score::Accuracy(a), rows: 1 }),
            seconds: 1.0,
            interrupted: false,
            best_epoch: None,
            stop: false,
            restored: false,
            skipped: 0,
            rescaled: 0,
        }
    }

    #[test]
    fn every_history_has_a_picture() {
        for history in [
            vec![],
            vec![report(1, 0.5, None)],
            vec![report(1, 0.5, Some(1.0)), report(2, 0.0, Some(1.0))],
            vec![report(1, f64::NAN, Some(f64::NAN)), report(2, f64::INFINITY, None)],
            vec![report(1, 1e30, Some(0.0)), report(2, 1e-30, Some(0.0))],
        ] {
            let svg = svg("title", &history).unwrap();
            assert!(svg.starts_with("<svg width=\"900\"") && svg.trim_end().ends_with("</svg>"));
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn ticks_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.1, "0.1"),
            (0.01234, "0.0123"),
            (1e-9, "1e-9"),
            (250.0, "250"),
            (-1.5e7, "-1.5e7"),
        ] {
            assert_eq!(tick(value), text);
        }
        // As many digits as tell neighbours apart.
        for (value, step, text) in [
            (101_250.0, 50.0, "101250"),
            (0.9995, 1e-4, "0.9995"),
            (0.99945, 5e-5, "0.99945"),
            (0.5, 0.25, "0.5"),
            (1.234_56e12, 1e8, "1.2346e12"),
            (-2e-9, 1e-10, "-2e-9"),
            (0.0, 1e-3, "0"),
        ] {
            assert_eq!(tick_of(value, step), text);
        }
    }
}
