//! Matrices as coloured cells, and bars.

use std::fmt::Write as _;

use super::{Picture, cut, escaped, label, picture};
use crate::cli::confusion::Confusion;

const WIDTH: f64 = 400.0;
/// Up to this many rows, cells are large enough for their numbers.
const NUMBERED: usize = 12;
/// Up to this many, the heads beside rows and columns can be read.
const NAMED: usize = 25;

/// A row for each true class, a column for each predicted one: on the diagonal in one colour, beside it in
/// another, each cell as strong as its share of the row.
#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
pub(crate) fn confusion(names: &[String], counts: &Confusion) -> Picture {
    let n = names.len() as f64;
    let named = names.len() <= NAMED;
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let heads = 6.8 * longest.min(14) as f64;
    let left = if named { (28.0 + heads).max(40.0) } else { 24.0 };
    let size = (WIDTH - left) / n;
    // Heads that are too long to stand above their column are turned.
    let turned = heads > size - 4.0;
    let top = match (named, turned) {
        (false, _) => 20.0,
        (true, true) => 26.0 + heads,
        (true, false) => 36.0,
    };
    // Few classes don't fill the width with their height.
    let height = size.min(70.0);
    let mut drawing = label("middle", f64::midpoint(left, WIDTH), 12.0, "predicted");
    drawing += &format!(
        "<text class=\"middle\" transform=\"translate(12 {:.1}) rotate(-90)\">true</text>\n",
        top + height * n / 2.0
    );
    let mut errors = Vec::new();
    for (row, name) in names.iter().enumerate() {
        let y = top + height * row as f64;
        let total = counts.classes()[row].rows;
        let head = cut(name, 14);
        if named {
            drawing += &label("end strong", left - 5.0, y + height / 2.0 + 4.0, &head);
            let x = left + size * (row as f64 + 0.5);
            drawing += &if turned {
                let head = escaped(&head);
                let at = format!("translate({:.1} {:.1}) rotate(-90)", x + 4.0, top - 6.0);
                format!("<text class=\"strong\" transform=\"{at}\">{head}</text>\n")
            } else {
                label("middle strong", x, top - 6.0, &head)
            };
        }
        for column in 0..names.len() {
            let count = counts.count(row, column);
            let share = count as f64 / total.max(1) as f64;
            let x = left + size * column as f64;
            let (color, strength) = match count {
                0 => ("c6", 0.06),
                // Whatever is there can be seen.
                _ => (if row == column { "c0" } else { "c1" }, 0.3 + 0.7 * share),
            };
            let told = format!("{name} predicted as {}: {count} of {total}", names[column]);
            let _ = writeln!(
                drawing,
                "<rect class=\"cell {color}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" \
                 height=\"{:.2}\" fill-opacity=\"{strength:.2}\"><title>{}</title></rect>",
                size - gap(size),
                height - gap(size),
                escaped(&told)
            );
            if count > 0 && names.len() <= NUMBERED {
                let class = if strength > 0.55 { "middle on-color" } else { "middle strong" };
                let at = (x + (size - 1.0) / 2.0, y + height / 2.0 + 3.5);
                drawing += &label(class, at.0, at.1, &count.to_string());
            }
            if row != column && count > 0 {
                errors.push((count, told));
            }
        }
    }
    errors.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let worst: Vec<String> = errors.into_iter().take(3).map(|(_, told)| told).collect();
    let about = if worst.is_empty() {
        "no errors".into()
    } else {
        format!("largest errors: {}", worst.join("; "))
    };
    let picture_size = [WIDTH, (top + height * n).ceil()];
    picture("", "", picture_size, ["Confusion of classes", &about], &drawing)
}

/// A square image of numbers, row by row: above 0 in one colour, below in another, as strong as they
/// are large.
#[expect(clippy::cast_precision_loss, reason = "some thousand pixels")]
pub(crate) fn image(title: &str, about: &str, names: &[&str], values: &[f64]) -> Picture {
    let side = values.len().isqrt();
    let size = WIDTH / side as f64;
    let most = values.iter().fold(0.0, |most: f64, x| most.max(x.abs())).max(f64::MIN_POSITIVE);
    let mut drawing = String::new();
    for (index, (value, name)) in values.iter().zip(names).enumerate() {
        let (x, y) = (size * (index % side) as f64, size * (index / side) as f64);
        let color = if *value < 0.0 { "c1" } else { "c0" };
        let _ = writeln!(
            drawing,
            "<rect class=\"cell {color}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{1:.2}\" height=\"{1:.2}\" \
             fill-opacity=\"{0:.2}\"><title>{2}: {value:.4}</title></rect>",
            0.05 + 0.95 * value.abs() / most,
            size - gap(size),
            escaped(name)
        );
    }
    picture("", "", [WIDTH, WIDTH], [title, about], &drawing)
}

/// A bar's name, length, how far that scatters, and how both are told.
pub(crate) struct Bar {
    pub name: String,
    pub value: f64,
    pub deviation: f64,
    pub told: String,
}

/// Bars from 0 on, below each other.
#[expect(clippy::cast_precision_loss, reason = "some tens of bars")]
pub(crate) fn bars(title: &str, about: &str, bars: &[Bar]) -> Picture {
    const HEIGHT: f64 = 22.0;
    const NAMES: f64 = 130.0;
    const TOLD: f64 = 104.0;
    let ends =
        || bars.iter().flat_map(|bar| [bar.value - bar.deviation, bar.value + bar.deviation]);
    let least = ends().fold(0.0, f64::min);
    let most = ends().fold(0.0, f64::max).max(least + f64::MIN_POSITIVE);
    let place = |value: f64| NAMES + (value - least) / (most - least) * (WIDTH - NAMES - TOLD);
    let mut drawing = String::new();
    for (index, bar) in bars.iter().enumerate() {
        let y = HEIGHT * index as f64;
        let name = cut(&bar.name, 18);
        drawing += &label("end strong", NAMES - 8.0, y + 15.0, &name);
        let (from, to) = (place(bar.value.min(0.0)), place(bar.value.max(0.0)));
        let color = if bar.value < 0.0 { "c1" } else { "c0" };
        let _ = writeln!(
            drawing,
            "<rect class=\"bar {color}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" \
             rx=\"2\"><title>{}: {}</title></rect>",
            y + 4.0,
            (to - from).max(1.0),
            escaped(&bar.name),
            escaped(&bar.told)
        );
        let _ = writeln!(
            drawing,
            "<line class=\"axis\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{3:.1}\" y2=\"{3:.1}\"/>\
             <text x=\"{2:.1}\" y=\"{4:.1}\">{5}</text>",
            place(bar.value - bar.deviation),
            place(bar.value + bar.deviation),
            WIDTH - TOLD + 8.0,
            y + 11.0,
            y + 15.0,
            escaped(&bar.told)
        );
    }
    picture("", "", [WIDTH, HEIGHT * bars.len() as f64], [title, about], &drawing)
}

/// Between cells of this size.
fn gap(size: f64) -> f64 {
    if size < 8.0 { 0.2 } else { 1.5 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::HOSTILE;
    use super::*;
    use crate::cli::confusion::tests::confusion as counted;

    #[test]
    fn every_matrix_can_be_drawn() {
        for classes in [2, 3, 12, 13, 25, 26, 50] {
            let names: Vec<String> = (0..classes).map(|k| format!("{k}{HOSTILE}")).collect();
            let counts: Vec<Vec<usize>> = (0..classes).map(|k| vec![k; classes]).collect();
            let Picture(svg) = confusion(&names, &counted(&counts));
            assert!(!svg.contains("NaN") && !svg.contains("<script"), "{svg}");
            assert_eq!(svg.matches("class=\"cell").count(), classes * classes);
        }
        let Picture(svg) =
            confusion(&["a".into(), "b".into()], &counted(&[vec![0, 2], vec![0, 0]]));
        assert!(svg.contains("largest errors: a predicted as b: 2 of 2"), "{svg}");
    }

    #[test]
    fn images_and_bars_can_be_drawn() {
        let Picture(svg) = image("t", "d", &[HOSTILE; 4], &[0.0, -1.0, 0.5, f64::NAN]);
        assert!(svg.matches("<rect").count() == 4 && !svg.contains("<script"), "{svg}");
        let bar = |value| Bar { name: HOSTILE.into(), value, deviation: 0.1, told: HOSTILE.into() };
        for values in [&[][..], &[0.0], &[-1.0, 2.0]] {
            let Picture(svg) = bars("t", "d", &values.iter().copied().map(bar).collect::<Vec<_>>());
            assert!(!svg.contains("NaN") && !svg.contains("<script"), "{svg}");
        }
    }
}
