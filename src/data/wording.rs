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

/// Names or words as a flag takes a list of them: divided by commas, those with a comma in quotes as in CSV.
#[must_use]
pub fn flag_list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |word: &'a str| match word.contains([',', '"', '\n', '\r']) || word.is_empty() {
        true => format!("\"{}\"", word.replace('"', "\"\"")),
        false => word.to_owned(),
    };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// [`flag_list`] as it is typed: one [word of a shell](shell_word).
///
/// ```
/// use wgrad::data::typed_list;
/// assert_eq!(typed_list(["a", "b"]), "a,b");
/// assert_eq!(typed_list(["length, mm"]), "'\"length, mm\"'");
/// ```
#[must_use]
pub fn typed_list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    shell_word(&flag_list(words))
}

/// A text as one word of a shell's command line, quoted if need be.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
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
    fn what_is_typed_is_quoted() {
        for (name, typed) in [
            ("age", "age"),
            ("row number", "'row number'"),
            ("length, mm", "'\"length, mm\"'"),
            ("# n", "'# n'"),
            ("it's", r"'it'\''s'"),
            ("5\" disk", "'\"5\"\" disk\"'"),
            ("größe", "größe"),
            ("$x", "'$x'"),
            ("", "'\"\"'"),
        ] {
            assert_eq!(typed_list([name]), typed);
        }
        assert_eq!(typed_list(["nil", "-"]), "nil,-");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(shortened(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(shortened(&"é".repeat(41)), "é".repeat(40) + "…");
        assert_eq!(shortened("a\nb"), "a b");
    }

    #[test]
    fn lists_are_cut() {
        let many: Vec<_> = (0..30).map(|i| i.to_string()).collect();
        assert_eq!(listed(&many[..10]), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (30 in all)");
    }
}
