//! The panels of a figure as inline SVG, coloured by the page; the pointer reads values off them.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Picture, escaped, hue, label, picture};
use crate::cli::chart::tick;
use crate::cli::figure::{Axis, Line, Mark, Panel, padded};
use crate::cli::thinned::telling;

/// Size of the drawing, and where its axes lie in it.
const SIZE: [f64; 2] = [400.0, 250.0];
const XS: Range<f64> = 50.0..390.0;
/// From the top down.
const YS: Range<f64> = 8.0..210.0;
/// About as many marks are made along an axis.
const MARKS: f64 = 5.0;
/// Curves that differ in colour alone.
const COLORS: usize = 8;

/// Draws a panel; the legend tells each curve's last value.
pub(crate) fn curves(panel: &Panel) -> Picture {
    let last = |line: &Line| match panel.shown(line).last() {
        Some(point) if line.mark != Mark::Dots => tick(panel.y.value(point.1)),
        _ => String::new(),
    };
    curves_with(panel, &panel.lines.iter().map(last).collect::<Vec<_>>())
}

/// Draws a panel; the legend tells of each of its lines what is given here.
pub(crate) fn curves_with(panel: &Panel, told_of: &[String]) -> Picture {
    let shown: Vec<Vec<(f64, f64)>> = panel.lines.iter().map(|line| panel.shown(line)).collect();
    let all = || shown.iter().flatten();
    let x = Scale { axis: panel.x, values: padded(all().map(|p| p.0), 0.02), drawn: XS };
    let y =
        Scale { axis: panel.y, values: padded(all().map(|p| p.1), 0.06), drawn: YS.end..YS.start };
    let whole = !panel.x.log && all().all(|point| point.0.fract() == 0.0);

    let mut drawing = String::new();
    let marks = y.marks(false);
    for &place in &marks {
        let at = y.draw(place);
        // Writing to a String doesn't fail.
        let _ = writeln!(
            drawing,
            "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            XS.start, XS.end
        );
        drawing += &label("end", XS.start - 6.0, at + 4.0, &y.axis.label(place, apart(&marks)));
    }
    let _ = writeln!(
        drawing,
        "<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>",
        XS.start, XS.end, YS.end, YS.end
    );
    let marks = x.marks(whole);
    for &place in &marks {
        let text = x.axis.label(place, apart(&marks));
        drawing += &label("middle", x.draw(place), YS.end + 16.0, &text);
    }
    drawing += &label("middle", f64::midpoint(XS.start, XS.end), SIZE[1] - 6.0, panel.x.name);

    let mut legend = String::new();
    let mut told = Vec::new();
    for ((line, points), told_of) in panel.lines.iter().zip(&shown).zip(told_of) {
        if points.is_empty() {
            continue;
        }
        let drawn: Vec<_> = points.iter().map(|p| (x.draw(p.0), y.draw(p.1))).collect();
        let named = !line.name.is_empty();
        // A line needs two points; a single one would hardly be seen.
        let mark = if drawn.len() == 1 { Mark::Dots } else { line.mark };
        let class = classes(mark, line.color, named);
        let _ = writeln!(drawing, "<path class=\"{class}\" d=\"{}\"/>", path(mark, &drawn));
        if named {
            let shape = if line.mark == Mark::Dots { " dots" } else { "" };
            let _ = write!(
                legend,
                "<li><i class=\"{}{shape}\"></i>{}<output>{}</output></li>",
                hue(line.color),
                escaped(&line.name),
                escaped(told_of)
            );
            told.push(described(line, points, &x, &y));
        }
    }
    let _ = writeln!(drawing, "<line class=\"cursor\" y1=\"{}\" y2=\"{}\"/>", YS.start, YS.end);
    let attributes = format!(" data-x=\"{}\" data-y=\"{}\"", x.data(), y.data());
    let head = format!("<ul class=\"legend\">{legend}</ul>\n");
    let about = if told.is_empty() { "nothing to show".into() } else { told.join("; ") };
    let description = format!("{} over {}: {about}", panel.y.name, panel.x.name);
    picture(&attributes, &head, SIZE, [&panel.title, &description], &drawing)
}

fn classes(mark: Mark, color: usize, named: bool) -> String {
    let mut class = format!("curve {}", hue(color));
    match mark {
        Mark::Line if color >= COLORS => class += " dashed",
        Mark::Line => {}
        Mark::Thin => class += " thin",
        Mark::Dots => class += " dots",
        Mark::Outline => class += " outline",
    }
    if named {
        class += " named";
    }
    class
}

/// A curve in words.
fn described(line: &Line, points: &[(f64, f64)], x: &Scale, y: &Scale) -> String {
    let values = || points.iter().map(|point| point.1);
    let least = y.text(values().fold(f64::INFINITY, f64::min));
    let most = y.text(values().fold(f64::NEG_INFINITY, f64::max));
    let (first, last) = (points[0], points[points.len() - 1]);
    match line.mark {
        Mark::Dots => format!("{}, {} points from {least} to {most}", line.name, points.len()),
        _ => format!(
            "{} from {} at {} to {} at {}, least {least}, most {most}",
            line.name,
            y.text(first.1),
            x.text(first.0),
            y.text(last.1),
            x.text(last.0)
        ),
    }
}

/// An axis with what it shows, as places on the axis, and where that is drawn.
struct Scale {
    axis: Axis,
    values: Range<f64>,
    drawn: Range<f64>,
}

impl Scale {
    fn draw(&self, place: f64) -> f64 {
        let share = (place - self.values.start) / (self.values.end - self.values.start);
        self.drawn.start + share * (self.drawn.end - self.drawn.start)
    }

    fn text(&self, place: f64) -> String {
        tick(self.axis.value(place))
    }

    /// Round places along the axis; on a logarithmic one decades, or parts of one. `whole`: no parts
    /// of 1.
    fn marks(&self, whole: bool) -> Vec<f64> {
        let length = self.values.end - self.values.start;
        if self.axis.log && length < 1.5 {
            let of_decade = |decade: f64| [1.0, 2.0, 5.0].map(|part: f64| decade + part.log10());
            let decades = std::iter::successors(Some(self.values.start.floor()), |d| Some(d + 1.0));
            let places = decades.take_while(|d| *d < self.values.end).flat_map(of_decade);
            let places: Vec<f64> = places.filter(|place| self.values.contains(place)).collect();
            if places.len() > 1 {
                return places;
            }
            // Within so little, the axis is nearly linear.
            let [start, end] = [self.values.start, self.values.end].map(|at| self.axis.value(at));
            let axis = Axis { log: false, ..self.axis };
            let linear = Self { axis, values: start..end, drawn: self.drawn.clone() };
            return linear.marks(whole).into_iter().map(|value| self.axis.place(value)).collect();
        }
        let rough = length / MARKS;
        let power = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0].map(|part| part * power);
        let step = round.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        let step = if whole || self.axis.log { step.max(1.0).round() } else { step };
        let first = (self.values.start / step).ceil();
        let places = std::iter::successors(Some(first), |n| Some(n + 1.0)).map(|n| n * step);
        places.take_while(|place| *place <= self.values.end).take(64).collect()
    }

    /// What the script reads values by: from and to on the drawing, the values there, 1 for logarithms.
    fn data(&self) -> String {
        let (Range { start: from, end: to }, Range { start: low, end: high }) =
            (&self.drawn, &self.values);
        format!("{from} {to} {low} {high} {}", u8::from(self.axis.log))
    }
}

/// About how far apart neighbouring marks are; of a single one, anything.
fn apart(marks: &[f64]) -> f64 {
    marks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min)
}

/// The path of a curve: of each column a drawing unit wide what tells it; dots are all kept.
fn path(mark: Mark, drawn: &[(f64, f64)]) -> String {
    if mark == Mark::Dots {
        return drawn.iter().map(|(x, y)| format!("M{x:.1} {y:.1}h0")).collect();
    }
    let mut kept = telling(drawn, |x| x);
    // A single point would be drawn as nothing.
    if let &[point] = &kept[..] {
        kept.push(point);
    }
    let points: Vec<String> = kept.iter().map(|(x, y)| format!("{x:.2} {y:.2}")).collect();
    format!("M{}", points.join("L"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::HOSTILE;
    use super::*;

    fn panel(log: bool, points: Vec<(f64, f64)>) -> Panel {
        let axis = if log { Axis::log("n") } else { Axis::linear("n") };
        let line = Line::new(HOSTILE, 9, points.clone());
        let reference = Line::new("", 6, points.clone()).thin();
        let dots = Line::new("dots", 1, points).dots();
        Panel { title: HOSTILE.into(), x: axis, y: axis, lines: vec![line, reference, dots] }
    }

    #[test]
    fn every_panel_can_be_drawn() {
        for points in [
            vec![],
            vec![(0.0, 0.0)],
            vec![(1.0, f64::NAN), (2.0, 1.0)],
            vec![(1.0, -1e300), (2.0, 1e300)],
            vec![(1.0, 1e-300), (2.0, 1e300)],
            vec![(1e18, 1.0), (1e18, 1.0 + 1e-15)],
            (0..100_000).map(|i| (f64::from(i), f64::from(i % 7))).collect(),
        ] {
            for log in [false, true] {
                let Picture(svg) = curves(&panel(log, points.clone()));
                assert!(!svg.contains("NaN") && !svg.contains("<script"), "{svg}");
                assert!(svg.len() < 2_500_000);
            }
        }
    }

    #[test]
    fn a_single_point_is_seen() {
        let dotted = |points: &[(f64, f64)]| {
            let Picture(svg) = curves(&panel(false, points.to_vec()));
            let paths = svg.lines().filter(|line| line.starts_with("<path"));
            paths.filter(|path| path.contains(" dots")).count()
        };
        assert_eq!([dotted(&[(1.0, 0.5)]), dotted(&[(1.0, 0.5), (2.0, 0.25)])], [3, 1]);
    }

    #[test]
    fn marks_are_round() {
        let marks = |axis, values, whole| Scale { axis, values, drawn: XS }.marks(whole);
        let linear = Axis::linear("x");
        assert_eq!(marks(linear, -0.02..1.02, false), [0.0, 0.5, 1.0]);
        assert_eq!(marks(linear, 0.9..4.1, true), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(marks(linear, 0.9..1.1, true), [1.0]);
        assert_eq!(marks(Axis::log("x"), -3.2..2.1, false), [-2.0, 0.0, 2.0]);
        assert_eq!(marks(Axis::log("x"), -0.1..0.5, false).len(), 2);
    }

    #[test]
    fn narrow_axes_have_marks_that_differ() {
        let texts = |axis: Axis, values: Range<f64>| -> Vec<String> {
            let scale = Scale { axis, values, drawn: XS };
            let marks = scale.marks(false);
            marks.iter().map(|&place| axis.label(place, apart(&marks))).collect()
        };
        let linear = texts(Axis::linear("Pa"), 101_265.0..101_385.0);
        assert_eq!(linear, ["101300", "101350"]);
        let scale = Scale { axis: Axis::linear("epoch"), values: 0.9..1.1, drawn: XS };
        let marks = scale.marks(true);
        assert_eq!(
            marks.iter().map(|&m| scale.axis.label(m, apart(&marks))).collect::<Vec<_>>(),
            ["1"]
        );
        let log = texts(Axis::log("rate"), 2.3e-3_f64.log10()..2.9e-3_f64.log10());
        assert_eq!(log, ["0.0024", "0.0026", "0.0028"]);
        let log = texts(Axis::log("rate"), 0.99951_f64.log10()..0.9999_f64.log10());
        assert_eq!(log, ["0.9996", "0.9997", "0.9998", "0.9999"]);
    }

    #[test]
    fn thinning_keeps_ends_and_extremes() {
        let mut points: Vec<_> = (0..10_000).map(|i| (f64::from(i) * 0.034, 5.0)).collect();
        points[4321].1 = 0.0;
        points[9999].1 = 7.0;
        let path = path(Mark::Line, &points);
        assert!(path.starts_with("M0.00 5.00L") && path.ends_with("L339.97 7.00"), "{path}");
        assert!(path.contains(" 0.00L") && path.len() < 20_000, "{path}");
    }
}
