//! Numbers as people and spreadsheets write them: `1.299,99`, `$1,200`, `12 %`, `<0.006`.

use serde::{Deserialize, Serialize};

/// The character before the decimals of a number. The other one of the two may group thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecimalMark {
    /// `1,299.99`
    Point,
    /// `1.299,99`
    Comma,
}

/// A cell that is a number, under each of the two decimal marks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Written {
    /// Its value with a decimal point; `None` if it is no number then.
    pub point: Option<f64>,
    /// Its value with a decimal comma.
    pub comma: Option<f64>,
    /// Whether `%` follows.
    pub percent: bool,
    /// Whether it is a bound or rough, as `<0.006` or `~5`.
    pub bound: bool,
    /// Whether it is more than digits, a sign, a point and an exponent.
    pub decorated: bool,
}

impl Written {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // `inf` and `nan` parse, but say no number.
        let plain = text.parse().ok().filter(|_| text.bytes().any(|byte| byte.is_ascii_digit()));
        if let Some(value) = plain {
            let comma = if text.contains('.') { in_thousands(text) } else { plain };
            let (percent, bound, decorated) = (false, false, false);
            return Some(Self { point: Some(value), comma, percent, bound, decorated });
        }
        let (bound, rest) = strip_any(text, &["<=", ">=", "<", ">", "≤", "≥", "~", "≈"]);
        let (sign_before, rest) = sign(rest);
        let (currency_before, rest) = strip_any(rest, &CURRENCIES);
        let (sign_after, rest) = sign(rest);
        let (percent, rest) = strip_end(rest, &["%"]);
        let (currency_after, core) = strip_end(rest, &CURRENCIES);
        let has_currency = currency_before || currency_after;
        if sign_before.is_some() && sign_after.is_some()
            || currency_before && currency_after
            || percent && has_currency
        {
            return None;
        }
        let is_negative = sign_before.or(sign_after) == Some('-');
        let value = |mark| {
            let value = value_of(core, mark)?;
            // No currency has thousandths, so three digits at the end are thousands.
            let is_thousandths = has_currency && decimals(core, mark) == Some(3);
            (!is_thousandths).then_some(if is_negative { -value } else { value })
        };
        let (point, comma) = (value(DecimalMark::Point), value(DecimalMark::Comma));
        (point.is_some() || comma.is_some()).then_some(Self {
            point,
            comma,
            percent,
            bound,
            decorated: true,
        })
    }

    pub(super) const fn value(&self, mark: DecimalMark) -> Option<f64> {
        match mark {
            DecimalMark::Point => self.point,
            DecimalMark::Comma => self.comma,
        }
    }

    /// Whether the two marks give different numbers, as for `1,299`.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!((self.point, self.comma), (Some(point), Some(comma)) if point != comma)
    }
}

/// The value of a plain number with a point, if that may stand before thousands.
fn in_thousands(text: &str) -> Option<f64> {
    let (sign, digits) = sign(text);
    let (whole, rest) = digits.split_once('.')?;
    // Most numbers have other decimals than three, and are done here.
    let is_group = rest.len() == 3
        && rest.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(whole.len(), 1..=3)
        && !whole.starts_with('0');
    let value = if is_group { format!("{whole}{rest}").parse().ok() } else { None };
    value.map(|value: f64| if sign == Some('-') { -value } else { value })
}

const CURRENCIES: [&str; 17] = [
    "US$", "$", "€", "£", "¥", "₹", "₽", "₩", "₺", "zł", "USD", "EUR", "GBP", "CHF", "JPY", "CNY",
    "INR",
];

/// Whether one of the marks begins the text, and the text after it and after spaces.
fn strip_any<'a>(text: &'a str, marks: &[&str]) -> (bool, &'a str) {
    match marks.iter().find_map(|mark| text.strip_prefix(mark)) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    }
}

/// Whether one of the marks ends the text, and the text before it and before spaces.
fn strip_end<'a>(text: &'a str, marks: &[&str]) -> (bool, &'a str) {
    match marks.iter().find_map(|mark| text.strip_suffix(mark)) {
        Some(rest) => (true, rest.trim_end()),
        None => (false, text),
    }
}

/// The sign that begins a text, if one does, and the text after it and after spaces.
fn sign(text: &str) -> (Option<char>, &str) {
    for (mark, sign) in [('+', '+'), ('-', '-'), ('−', '-')] {
        if let Some(rest) = text.strip_prefix(mark) {
            return (Some(sign), rest.trim_start());
        }
    }
    (None, text)
}

/// The value of digits in groups, decimals and an exponent; with a sign too.
fn value_of(text: &str, mark: DecimalMark) -> Option<f64> {
    let (sign, text) = sign(text);
    let (decimal, other) = match mark {
        DecimalMark::Point => ('.', ','),
        DecimalMark::Comma => (',', '.'),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once(decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let digits = match whole {
        "" if fraction.is_some() => String::from("0"),
        _ => ungrouped(whole, other)?,
    };
    if !fraction.is_none_or(is_number) {
        return None;
    }
    let exponent = match exponent {
        None => "0",
        Some(exponent) if is_number(exponent.trim_start_matches(['+', '-'])) => exponent,
        Some(_) => return None,
    };
    let sign = if sign == Some('-') { "-" } else { "" };
    format!("{sign}{digits}.{}e{exponent}", fraction.unwrap_or("0")).parse().ok()
}

/// The digits of a whole number, whose thousands may be in groups.
fn ungrouped(text: &str, other: char) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let separator = text.chars().find(|c| !c.is_ascii_digit())?;
    if separator != other
        && ![' ', '\'', '’', '\u{a0}', '\u{202f}', '\u{2009}'].contains(&separator)
    {
        return None;
    }
    let groups: Vec<&str> = text.split(separator).collect();
    let (first, rest) = groups.split_first()?;
    let (last, middle) = rest.split_last()?;
    let is_group = |group: &str, lengths: &[usize]| {
        lengths.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
    };
    // Lakhs and crores have two digits: 12,34,567.
    let lengths: &[usize] = match middle.first() {
        Some(group) if separator == ',' && group.len() == 2 => &[2],
        _ => &[3],
    };
    let fits = is_group(first, &[1, 2, 3])
        && !first.starts_with('0')
        && middle.iter().all(|group| is_group(group, lengths))
        && is_group(last, &[3]);
    fits.then(|| groups.concat())
}

/// How many digits follow the decimal mark.
fn decimals(text: &str, mark: DecimalMark) -> Option<usize> {
    let mark = if mark == DecimalMark::Point { '.' } else { ',' };
    text.split_once(mark).map(|(_, fraction)| fraction.len())
}

/// The number in a word that is more than digits, a sign, a point and an exponent: with a decimal comma, groups of
/// thousands, a currency or a percent sign. `None` for a plain number, for other words, and for what may be
/// two numbers, as `1,299`.
///
/// ```
/// use wgrad::data::signed_number;
/// assert_eq!(signed_number("-$1,234.50"), Some(-1234.5));
/// assert_eq!(signed_number("1.100,50"), Some(1100.5));
/// assert_eq!((signed_number("3"), signed_number("10 kg"), signed_number("1,299")), (None, None, None));
/// ```
#[must_use]
pub fn signed_number(word: &str) -> Option<f64> {
    let number =
        Written::parse(word).filter(|number| number.decorated && !number.is_ambiguous())?;
    number.point.or(number.comma)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_under_both_marks() {
        let (any, point, comma) =
            (|x| (Some(x), Some(x)), |x| (Some(x), None::<f64>), |x| (None::<f64>, Some(x)));
        for (text, expected) in [
            ("7", any(7.0)),
            ("-12", any(-12.0)),
            ("+3", any(3.0)),
            ("1e5", any(1e5)),
            ("1.5", point(1.5)),
            (".5", point(0.5)),
            ("-1.5e-3", point(-1.5e-3)),
            ("0.125", point(0.125)),
            ("1.299", (Some(1.299), Some(1299.0))),
            ("1234.567", point(1234.567)),
            ("1.1e5", point(1.1e5)),
            ("-1.299", (Some(-1.299), Some(-1299.0))),
            ("1,5", comma(1.5)),
            (",5", comma(0.5)),
            ("0,125", comma(0.125)),
            ("1,299", (Some(1299.0), Some(1.299))),
            ("-12,345", (Some(-12345.0), Some(-12.345))),
            ("1.299,99", comma(1299.99)),
            ("1,299.99", point(1299.99)),
            ("1 299,99", comma(1299.99)),
            ("1 299.99", point(1299.99)),
            ("1 299", any(1299.0)),
            ("1.299.000", comma(1_299_000.0)),
            ("1,299,000", point(1_299_000.0)),
            ("12,34,567", point(1_234_567.0)),
            ("1'299.5", point(1299.5)),
            ("1\u{202f}100", any(1100.0)),
            ("−1.5", point(-1.5)),
            ("$1,200", point(1200.0)),
            ("$1,200.50", point(1200.5)),
            ("1.200 €", comma(1200.0)),
            ("-€ 7", any(-7.0)),
            ("$-7", any(-7.0)),
            ("12 %", any(12.0)),
            ("12,5%", comma(12.5)),
            ("<0.006", point(0.006)),
            (">100", any(100.0)),
            ("≥ 1,5", comma(1.5)),
            ("~5", any(5.0)),
            ("EUR 10", any(10.0)),
        ] {
            let number = Written::parse(text).unwrap_or_else(|| panic!("{text} is a number"));
            assert_eq!((number.point, number.comma), expected, "{text}");
        }
        for text in [
            "",
            "-",
            "%",
            "$",
            "a 1",
            "1-2",
            "2026-11-28",
            "10 kg",
            "12.05.2023",
            "1.10.2",
            "1,2,3",
            "10:30",
            "1.2,3.4",
            "01,234,",
            "0.1.234",
            "inf",
            "nan",
            "--1",
            "1 2",
            "<",
            "1e",
            "$5%",
            "５",
        ] {
            assert_eq!(Written::parse(text), None, "{text}");
        }
    }

    #[test]
    fn signs_around_a_number_are_seen() {
        let parse = |text| Written::parse(text).unwrap();
        assert!(parse("12 %").percent && !parse("12").percent);
        assert!(parse("<5").bound && !parse("5").bound);
        assert!(parse("1,5").decorated && !parse("1.5").decorated);
        assert!(parse("1,299").is_ambiguous() && !parse("$1,299").is_ambiguous());
    }
}
