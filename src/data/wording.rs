//! Parts of error messages.

/// The candidate that `name` may be a misspelling of: at most a third of its letters differ.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let letters = |word: &str| word.to_lowercase().chars().collect::<Vec<_>>();
    let name = letters(name);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(&name, &letters(candidate)), candidate))
        .min_by_key(|&(distance, _)| distance)
        .filter(|&(distance, _)| distance <= name.len() / 3)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and exchanges of neighbours that turn `a` into `b` (Damerau 1964),
/// where no part is changed twice.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    // row[j] is the distance between the letters of `a` so far and the first j of `b`; before that the
    // rows of one and of two letters less.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut above = row.clone();
    for i in 0..a.len() {
        let two_above = std::mem::replace(&mut above, row.clone());
        row[0] = i + 1;
        for j in 0..b.len() {
            let substituted = above[j] + usize::from(a[i] != b[j]);
            row[j + 1] = substituted.min(row[j] + 1).min(above[j + 1] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(two_above[j - 1] + 1);
            }
        }
    }
    row[b.len()]
}

/// A cell as it is worth repeating in a message: on one line.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let (shown, rest) = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    };
    shown.replace(['\r', '\n'], " ") + rest
}

/// The number in a word with signs around it (`$3.00`, `12 %`), or with commas or spaces between its digits;
/// none in a plain number, or in other words.
///
/// ```
/// use wgrad::data::signed_number;
/// assert_eq!(signed_number("-$1,234.50"), Some(-1234.5));
/// assert_eq!((signed_number("3"), signed_number("10 kg")), (None, None));
/// ```
#[must_use]
pub fn signed_number(word: &str) -> Option<f64> {
    const SIGNS: [char; 10] = ['$', '€', '£', '¥', '%', ',', ' ', '\'', '\u{a0}', '\u{202f}'];
    let digits = word.replace(SIGNS, "").replace('−', "-");
    let is_signed = digits.len() < word.len();
    digits.parse().ok().filter(|number: &f64| is_signed && number.is_finite())
}

/// What to do with words that are all such numbers.
pub(crate) fn signed_remedy(words: &[String]) -> Option<String> {
    let first = signed_number(words.first()?)?;
    let all = words.iter().all(|word| signed_number(word).is_some());
    all.then(|| format!("if they are numbers, write them without signs, as {first}"))
}

/// The first few of a list.
pub(crate) fn listed(values: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 10;
    let mut list = values
        .iter()
        .take(SHOWN)
        .map(|value| shortened(value.as_ref()))
        .collect::<Vec<_>>()
        .join(", ");
    if values.len() > SHOWN {
        list += &format!(", … ({} in all)", values.len());
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        let distance = |a: &str, b: &str| {
            edit_distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        for (a, b, expected) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("ü", "ü", 0),
            ("zpi", "zip", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_third_of_the_letters_may_differ() {
        assert_eq!(nearest("Speceis", ["petal", "species"]), Some("species"));
        assert_eq!(nearest("spec", ["petal", "species"]), None);
        assert_eq!(nearest("ab", ["ac", "AB"]), Some("AB"));
        assert_eq!(nearest("ab", ["ac"]), None);
        assert_eq!(nearest("", ["a"]), None);
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(shortened(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(shortened(&"é".repeat(41)), "é".repeat(40) + "…");
        assert_eq!(shortened("a\nb"), "a b");
    }

    #[test]
    fn numbers_are_found_behind_signs() {
        for (word, number) in [
            ("$3.00", 3.0),
            ("12 %", 12.0),
            ("1,234.5", 1234.5),
            ("-€ 7", -7.0),
            ("3'000", 3000.0),
            ("1\u{a0}100", 1100.0),
            ("−1.5", -1.5),
        ] {
            assert_eq!(signed_number(word), Some(number), "{word}");
        }
        for word in ["3", "-1.5", "a 1", "1-2", "2026-11-28", "10 kg", "%", "", "in f"] {
            assert_eq!(signed_number(word), None, "{word}");
        }
        let many: Vec<_> = (0..30).map(|i| i.to_string()).collect();
        assert_eq!(listed(&many[..10]), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (30 in all)");
    }
}
