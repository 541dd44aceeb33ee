//! A curve in characters.

use super::talk::significant;

/// Size in characters; each is 2 dots wide and 4 high.
const WIDTH: usize = 64;
const HEIGHT: usize = 12;

/// Plots values over evenly spaced steps as Braille dots, the axis of values from 0 up; `ends` is written at
/// both ends of the other axis.
pub(crate) fn plot(points: &[(u64, f64)], ends: &[String; 2]) -> String {
    let most = points.iter().fold(0.0, |most: f64, point| most.max(point.1));
    let mut dots = vec![[false; 2 * WIDTH]; 4 * HEIGHT];
    // The row of the last point of the column before.
    let mut before = None;
    for column in 0..2 * WIDTH {
        // A column shows all points up to its own, so that no short fall is missed; and a jump from
        // the column before is a line that begins beside that column's dot.
        let place = |column: usize| column * (points.len() - 1) / (2 * WIDTH - 1);
        let first = column.checked_sub(1).map_or(0, |column| place(column) + 1);
        let shown = &points[first.min(place(column))..=place(column)];
        let rows = shown.iter().map(|point| row(point.1, most));
        let (top, bottom) =
            rows.fold((usize::MAX, 0), |(top, bottom), r| (top.min(r), bottom.max(r)));
        let left = before.unwrap_or(top);
        for lit in &mut dots[top.min(left + 1)..=bottom.max(left.saturating_sub(1))] {
            lit[column] = true;
        }
        before = Some(row(points[place(column)].1, most));
    }
    let mut text = String::new();
    for (line, rows) in dots.chunks_exact(4).enumerate() {
        let label = match line {
            0 => significant(most),
            _ if line + 1 == HEIGHT => "0".into(),
            _ => String::new(),
        };
        let characters: String = (0..WIDTH).map(|x| braille(rows, 2 * x)).collect();
        text += format!("{label:>10} │{characters}").trim_end_matches(['\u{2800}', ' ']);
        text += "\n";
    }
    let [first, last] = ends;
    let width = WIDTH.saturating_sub(first.chars().count());
    text + &format!("{:>10} └{}\n{:>12}{first}{last:>width$}\n", "", "─".repeat(WIDTH), "")
}

/// The row of dots of a value, counted from the top.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded on purpose")]
#[expect(clippy::cast_precision_loss, reason = "some ten rows")]
fn row(value: f64, most: f64) -> usize {
    let last = 4 * HEIGHT - 1;
    let height = if most > 0.0 { value / most * last as f64 } else { 0.0 };
    last - (height.round() as usize).min(last)
}

/// The character of four rows of dots and two columns.
fn braille(rows: &[[bool; 2 * WIDTH]], column: usize) -> char {
    // Unicode numbers the dots down the left column, down the right one, and then the lowest two.
    const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    let bits = rows
        .iter()
        .zip(BITS)
        .map(|(row, bits)| bits[0] * u32::from(row[column]) + bits[1] * u32::from(row[column + 1]));
    char::from_u32(0x2800 + bits.sum::<u32>()).unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_has_a_plot() {
        for values in [&[0.0][..], &[1.0], &[0.0, 1.0], &[1e-300, 0.0, 1e300], &[0.0; 5000]] {
            let points: Vec<_> = (0..).zip(values.iter().copied()).collect();
            let text = plot(&points, &["1".into(), values.len().to_string()]);
            assert_eq!(text.lines().count(), HEIGHT + 2, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 12 + WIDTH), "{text}");
        }
    }

    #[test]
    fn no_short_fall_is_missed() {
        let mut points: Vec<_> = (0..10_000).map(|i| (i, 1.0)).collect();
        points[4321].1 = 0.0;
        let text = plot(&points, &["1".into(), "10000".into()]);
        let lowest = text.lines().nth(HEIGHT - 1).unwrap();
        assert_eq!(lowest.chars().filter(|&c| c > '\u{2800}').count(), 1, "{text}");
    }

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let points: Vec<_> = (0..128).map(|i| (i, f64::from(u32::try_from(i).unwrap()))).collect();
        let text = plot(&points, &["1".into(), "128".into()]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with('⠉') || lines[0].ends_with('⠋'), "{text}");
        assert!(lines[0].starts_with("     127.0 │"), "{text}");
        assert!(lines[HEIGHT - 1].starts_with("         0 │⣀"), "{text}");
    }
}
