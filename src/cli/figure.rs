//! Pictures of several panels: side by side, two a row, each with its legend below the axes.

use std::ops::Range;

use plotters::prelude::*;

use super::chart::{Area, Drawn, FONT, GRID, QUIET, TEXT, TITLE_HEIGHT, at, picture, px, tick_of};
use super::failure::Failure;
use super::thinned::telling;

const PANEL_WIDTH: u32 = 450;
const PANEL_HEIGHT: u32 = 330;
/// Height of a line of the legend, and how many names it holds.
const LEGEND_LINE: u32 = 20;
const NAMES_A_LINE: usize = 3;
/// Lines that a panel has room for; with more it is higher.
const LEGEND_LINES: u32 = 4;

/// Colours that differ for most eyes (Okabe and Ito 2008).
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(150, 110, 60),
];

pub(crate) struct Figure {
    pub title: String,
    pub panels: Vec<Panel>,
}

pub(crate) struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub name: &'static str,
    pub log: bool,
}

/// A curve. Points that its axes can't show are left out.
pub(crate) struct Line {
    pub name: String,
    /// Place in the palette.
    pub color: usize,
    pub mark: Mark,
    pub points: Vec<(f64, f64)>,
}

/// How a curve is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Line,
    /// A thin line: a reference.
    Thin,
    /// Its points alone.
    Dots,
    /// The outline of an area, which pages fill.
    Outline,
}

impl Axis {
    pub(crate) const fn linear(name: &'static str) -> Self {
        Self { name, log: false }
    }

    pub(crate) const fn log(name: &'static str) -> Self {
        Self { name, log: true }
    }

    /// Where a number lies on the axis.
    pub(crate) fn place(self, x: f64) -> f64 {
        if self.log { x.log10() } else { x }
    }

    /// The number that lies at a place.
    pub(crate) fn value(self, place: f64) -> f64 {
        if self.log { 10_f64.powf(place) } else { place }
    }

    /// What stands at a place where marks are about `step` apart.
    pub(crate) fn label(self, place: f64, step: f64) -> String {
        // What is drawn at 0 may lie a rounding beside it.
        let is_nought = step.is_finite() && place.abs() < 1e-6 * step;
        let value = self.value(if is_nought { 0.0 } else { place });
        tick_of(value, if self.log { value * (10_f64.powf(step) - 1.0) } else { step })
    }
}

impl Line {
    pub(crate) fn new(
        name: impl Into<String>,
        color: usize,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        let points = points.into_iter().collect();
        Self { name: name.into(), color, mark: Mark::Line, points }
    }

    pub(crate) fn thin(self) -> Self {
        Self { mark: Mark::Thin, ..self }
    }

    pub(crate) fn dots(self) -> Self {
        Self { mark: Mark::Dots, ..self }
    }

    pub(crate) fn outline(self) -> Self {
        Self { mark: Mark::Outline, ..self }
    }

    /// Left out of the legend.
    pub(crate) fn unnamed(self) -> Self {
        Self { name: String::new(), ..self }
    }
}

impl Figure {
    pub(crate) fn svg(&self) -> Result<String, Failure> {
        let rows = u32::try_from(self.panels.len().div_ceil(2)).unwrap_or(1);
        let height = self.panels.iter().map(Panel::height).max().unwrap_or(PANEL_HEIGHT);
        picture(TITLE_HEIGHT + rows * height, &self.title, |body| self.draw(body, height))
    }

    fn draw(&self, body: &Area<'_>, height: u32) -> Drawn {
        let columns = self.panels.len().min(2);
        let areas = body.split_evenly((self.panels.len().div_ceil(2), columns));
        self.panels.iter().zip(&areas).try_for_each(|(panel, area)| panel.draw(area, height))
    }
}

impl Panel {
    fn named(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.name.is_empty())
    }

    fn legend_lines(&self) -> u32 {
        u32::try_from(self.named().count().div_ceil(NAMES_A_LINE)).unwrap_or(1)
    }

    /// What the axes need, with its legend.
    fn height(&self) -> u32 {
        PANEL_HEIGHT + LEGEND_LINE * self.legend_lines().saturating_sub(LEGEND_LINES)
    }

    /// In an area of this height, at least its own.
    fn draw(&self, area: &Area<'_>, height: u32) -> Drawn {
        let text =
            |size: u32, color: &'static RGBColor| TextStyle::from((FONT, px(size))).color(color);
        let legend_height = LEGEND_LINE * self.legend_lines() + 8;
        let (axes, legend) = area.split_vertically(px(height - legend_height));
        axes.draw(&Text::new(self.title.clone(), at(24, 4), text(15, &TEXT)))?;
        let shown: Vec<Vec<(f64, f64)>> = self.lines.iter().map(|line| self.shown(line)).collect();
        let all = || shown.iter().flatten();
        let xs = padded(all().map(|p| p.0), 0.02);
        let ys = padded(all().map(|p| p.1), 0.06);
        let decades = |range: &Range<f64>| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
            let decades = (range.end - range.start).ceil().clamp(2.0, 9.0) as usize;
            decades + 1
        };
        let mut chart = ChartBuilder::on(&axes)
            .margin_left(px(8))
            .margin_right(px(18))
            .margin_top(px(28))
            .margin_bottom(px(2))
            .x_label_area_size(px(40))
            .y_label_area_size(px(66))
            .build_cartesian_2d(xs.clone(), ys.clone())?;
        let (x, y) = (self.x, self.y);
        let x_marks = if x.log { decades(&xs) } else { 6 };
        let y_marks = if y.log { decades(&ys) } else { 6 };
        #[expect(clippy::cast_precision_loss, reason = "a few marks")]
        let step = |range: &Range<f64>, marks: usize| (range.end - range.start) / marks as f64;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(px(1)))
            .axis_style(QUIET.stroke_width(px(1)))
            .set_all_tick_mark_size(px(4))
            .label_style(text(12, &QUIET))
            .axis_desc_style(text(13, &TEXT))
            .x_desc(x.name)
            .y_desc(y.name)
            .x_labels(x_marks)
            .y_labels(y_marks)
            .x_label_formatter(&|place| x.label(*place, step(&xs, x_marks)))
            .y_label_formatter(&|place| y.label(*place, step(&ys, y_marks)))
            .draw()?;
        for (line, points) in self.lines.iter().zip(shown) {
            let color = COLORS[line.color % COLORS.len()];
            // A line needs two points.
            if line.mark == Mark::Dots || points.len() == 1 {
                let dot = |point| Circle::new(point, px(4), color.mix(0.8).filled());
                chart.draw_series(points.into_iter().map(dot))?;
            } else {
                let width = if line.mark == Mark::Thin { 1 } else { 2 };
                let column = |x: f64| (x - xs.start) / (xs.end - xs.start) * f64::from(PANEL_WIDTH);
                let points = telling(&points, column);
                chart.draw_series(LineSeries::new(points, color.stroke_width(px(width))))?;
            }
        }
        for (index, line) in self.named().enumerate() {
            let place = |n: usize| u32::try_from(n).unwrap_or(0);
            let across = (PANEL_WIDTH - 40) / place(NAMES_A_LINE);
            let left = 28 + place(index % NAMES_A_LINE) * across;
            let top = place(index / NAMES_A_LINE) * LEGEND_LINE;
            let color = COLORS[line.color % COLORS.len()];
            if line.mark == Mark::Dots {
                legend.draw(&Circle::new(
                    at(left + 12, top + 8),
                    px(4),
                    color.mix(0.8).filled(),
                ))?;
            } else {
                let mark = [at(left, top + 8), at(left + 18, top + 8)];
                let width = if line.mark == Mark::Thin { 1 } else { 3 };
                legend.draw(&PathElement::new(mark, color.stroke_width(px(width))))?;
            }
            legend.draw(&Text::new(line.name.clone(), at(left + 24, top), text(13, &TEXT)))?;
        }
        Ok(())
    }

    /// The points that the axes can show, where they lie on them.
    pub(crate) fn shown(&self, line: &Line) -> Vec<(f64, f64)> {
        let place = |&(x, y): &(f64, f64)| (self.x.place(x), self.y.place(y));
        let finite = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite();
        line.points.iter().map(place).filter(finite).collect()
    }
}

/// The range of numbers with some air around it.
pub(crate) fn padded(numbers: impl Iterator<Item = f64>, air: f64) -> Range<f64> {
    let (least, most) = numbers
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| (least.min(x), most.max(x)));
    if least > most {
        return 0.0..1.0;
    }
    // A constant needs room too.
    let air = match (most - least > 1e-9 * most.abs(), most == 0.0) {
        (true, _) => air * (most - least),
        // Most of what is 0 throughout is a share, and none of it is negative.
        (false, true) => return -0.05..1.0,
        (false, false) => 0.1 * most.abs(),
    };
    least - air..most + air
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_can_be_drawn() {
        let panel = |log, points: Vec<(f64, f64)>| Panel {
            title: "panel".into(),
            x: Axis { name: "x", log },
            y: Axis { name: "y", log },
            lines: vec![
                Line::new("a", 0, points.clone()),
                Line::new("b", 9, points.clone()).thin(),
                Line::new("c", 1, points).dots(),
            ],
        };
        let panels = vec![
            panel(false, vec![]),
            panel(true, vec![(0.0, 1.0), (1.0, f64::NAN)]),
            panel(true, vec![(1.0, 1e-12), (1e5, 1e3)]),
        ];
        let svg = Figure { title: "t".into(), panels }.svg().unwrap();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{svg}");
    }

    /// As runs of one epoch are.
    #[test]
    fn single_points_are_seen() {
        let lines =
            vec![Line::new("a", 0, [(1.0, 0.5)]), Line::new("b", 1, [(1.0, 0.0), (2.0, 1.0)])];
        let (x, y) = (Axis::linear("x"), Axis::linear("y"));
        let panels = vec![Panel { title: "p".into(), x, y, lines }];
        let svg = Figure { title: "t".into(), panels }.svg().unwrap();
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
    }

    /// Of what would be drawn over the edge, plotters writes negative places.
    #[test]
    fn many_and_long_curves_have_room() {
        let line =
            |k: usize| Line::new(format!("run {k}"), k, (0..5000).map(|i| (f64::from(i), 0.5)));
        let panel = |lines| Panel {
            title: "panel".into(),
            x: Axis::linear("x"),
            y: Axis::linear("y"),
            lines: (0..lines).map(line).collect(),
        };
        let svg = Figure { title: "t".into(), panels: vec![panel(100), panel(1)] }.svg().unwrap();
        assert!([" y=\"-", " x=\"-", ",-"].iter().all(|outside| !svg.contains(outside)), "{svg}");
        assert!(svg.contains("run 99"));
        assert!(svg.len() < 101 * 4 * 450 * 10, "{} bytes", svg.len());
    }
}
