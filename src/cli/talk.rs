//! Words for people, on standard error.

use std::fmt;
use std::io::Write as _;

/// Standard error, unless asked to be quiet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub quiet: bool,
}

impl Talk {
    pub(crate) fn line(self, text: impl fmt::Display) {
        if !self.quiet {
            write_line(text);
        }
    }
}

/// An error, whether quiet or not.
pub(crate) fn complain(message: &str) {
    write_line(format_args!("error: {message}"));
}

fn write_line(text: impl fmt::Display) {
    // Nobody is left to be told if this fails, and a run should go on.
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(&text.to_string()));
}

/// A text whose control characters but for line ends can be seen: those of a table's cells would
/// otherwise move the cursor, or worse.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A whole number with commas, and what it counts: `1 row`, `1,797 rows`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    let number = indicatif::HumanCount(n as u64);
    if n == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// [`count`] of rows.
pub(crate) fn rows_of(rows: u64) -> String {
    count(usize::try_from(rows).unwrap_or(usize::MAX), "row")
}

/// A coefficient of determination: there is none where the targets don't vary.
pub(crate) fn r2(r2: f64) -> String {
    match r2 {
        _ if r2.is_nan() => "undefined".into(),
        // That bad, it has no use for so many digits.
        _ if r2 < -99.0 => significant(r2),
        _ => format!("{r2:.4}"),
    }
}

/// Seconds as people say them: `3.20 s`, `2 min 5 s`, `1 h 2 min`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded on purpose")]
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 0.9995 => format!("{:.0} ms", 1000.0 * seconds),
        0..=9 => format!("{seconds:.2} s"),
        10..=59 => format!("{seconds:.1} s"),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// Four significant digits, with an exponent where that is shorter.
pub(crate) fn significant(value: f64) -> String {
    let magnitude = value.abs().log10().floor();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (0..8).find(|&d| magnitude + f64::from(d) >= 3.0).unwrap_or(8);
    format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// Three significant digits and a unit with the prefix that makes them short: `31.2 GB/s`.
pub(crate) fn with_prefix(value: f64, unit: &str) -> String {
    const PREFIXES: [&str; 10] = ["n", "µ", "m", "", "k", "M", "G", "T", "P", "E"];
    if value == 0.0 || !value.is_finite() {
        return format!("{value} {unit}");
    }
    // What rounds up to a thousand has the next prefix.
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let thousands = (rounded.abs().log10() / 3.0 + 1e-9).floor().clamp(-3.0, 6.0);
    let scaled = value / 1000_f64.powf(thousands);
    let decimals = (0..2).find(|&d| scaled.abs() >= 99.95 / 10_f64.powi(d)).unwrap_or(2);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
    let prefix = PREFIXES[(thousands + 3.0) as usize];
    format!("{scaled:.*} {prefix}{unit}", usize::try_from(decimals).unwrap_or(2))
}

/// The shortest text that reads as the same number, with an exponent where there would be many
/// zeros.
pub(crate) fn shortest<T: Copy + Into<f64> + fmt::Display + fmt::LowerExp>(x: T) -> String {
    let size = x.into().abs();
    if size == 0.0 || (1e-4..1e9).contains(&size) { x.to_string() } else { format!("{x:e}") }
}

/// A text in lines of at most 80 characters.
pub(crate) fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 80 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [count(0, "row"), count(1, "row"), count(1797, "row")],
            ["0 rows", "1 row", "1,797 rows"]
        );
        for (seconds, text) in [
            (0.0123, "12 ms"),
            (5.216, "5.22 s"),
            (12.34, "12.3 s"),
            (125.0, "2 min 5 s"),
            (3720.0, "1 h 2 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (value, text) in [
            (0.0, "0"),
            (0.067_161, "0.06716"),
            (53.214, "53.21"),
            (123_456.0, "123456"),
            (1.5e-7, "1.500e-7"),
        ] {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn prefixes_keep_numbers_short() {
        for (value, text) in [
            (31.24e9, "31.2 GB/s"),
            (999.6, "1.00 kB/s"),
            (999.4, "999 B/s"),
            (1e-4, "100 µB/s"),
            (4.2e-6, "4.20 µB/s"),
            (99.96e12, "100 TB/s"),
            (0.0, "0 B/s"),
        ] {
            assert_eq!(with_prefix(value, "B/s"), text);
        }
    }

    #[test]
    fn shortest_numbers_read_back_as_themselves() {
        for x in [0.0, 1.0, -0.1, 123_456.79, 1e-20, f32::MIN_POSITIVE, f32::MAX] {
            assert_eq!(shortest(x).parse::<f32>().unwrap(), x);
            assert!(shortest(x).len() < 16, "{}", shortest(x));
        }
    }
}
