//! WGSL that the kernels and the exported functions share: the paragraphs of a shader file that a
//! snippet needs, under names of its own.

use std::collections::BTreeSet;

/// The paragraphs of `source` that declare the `roots` and what these use, in the source's order. Every
/// name that `source` declares is preceded by `prefix` and an underscore.
///
/// A paragraph ends at a blank line; one that declares nothing is a comment on the file.
pub(super) fn extract(source: &str, roots: &BTreeSet<&str>, prefix: &str) -> String {
    let paragraphs: Vec<(&str, Vec<&str>)> = source
        .split("\n\n")
        .map(|paragraph| (paragraph.trim_matches('\n'), declared(paragraph)))
        .collect();
    let all: BTreeSet<&str> = paragraphs.iter().flat_map(|(_, names)| names).copied().collect();
    let mut needed: BTreeSet<&str> = roots.clone();
    loop {
        let before = needed.len();
        for (paragraph, names) in &paragraphs {
            if names.iter().any(|name| needed.contains(name)) {
                let code = paragraph.lines().filter(|line| !is_comment(line));
                needed.extend(code.flat_map(words).filter(|word| all.contains(word)));
            }
        }
        if needed.len() == before {
            break;
        }
    }
    let taken = paragraphs.iter().filter(|(_, names)| names.iter().any(|n| needed.contains(n)));
    taken.map(|(paragraph, _)| renamed(paragraph, &all, prefix) + "\n\n").collect()
}

/// The functions and constants that a paragraph declares.
fn declared(paragraph: &str) -> Vec<&str> {
    let name = |line| {
        let rest =
            ["fn ", "const "].iter().find_map(|&keyword| str::strip_prefix(line, keyword))?;
        words(rest).next()
    };
    paragraph.lines().filter_map(name).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether a character can be part of a name.
const fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !in_word(c)).filter(|word| !word.is_empty())
}

/// The text with `prefix` and an underscore in front of these names, comments left alone.
fn renamed(text: &str, names: &BTreeSet<&str>, prefix: &str) -> String {
    let line = |line: &str| {
        if is_comment(line) {
            return line.to_owned();
        }
        let mut renamed = String::new();
        let mut inside = false;
        for (at, c) in line.char_indices() {
            let begins = in_word(c) && !inside;
            if begins && words(&line[at..]).next().is_some_and(|word| names.contains(word)) {
                renamed += prefix;
                renamed.push('_');
            }
            renamed.push(c);
            inside = in_word(c);
        }
        renamed
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "// file: about relu\n\n\
        fn relu(z: f32) -> f32 { return max(z, 0.0); }\n\n\
        // Twice relu.\nconst TWO = 2.0;\nfn twice_relu(z: f32) -> f32 { return TWO * relu(z); }\n\n\
        // Not elu: relu.\nfn other(elu: f32) -> f32 { return elu; }\n";

    fn take(roots: &[&str]) -> String {
        extract(SOURCE, &roots.iter().copied().collect(), "net")
    }

    #[test]
    fn what_is_needed_comes_along_under_new_names() {
        assert_eq!(
            take(&["twice_relu"]),
            "fn net_relu(z: f32) -> f32 { return max(z, 0.0); }\n\n\
             // Twice relu.\nconst net_TWO = 2.0;\n\
             fn net_twice_relu(z: f32) -> f32 { return net_TWO * net_relu(z); }\n\n"
        );
        assert_eq!(take(&[]), "");
    }

    #[test]
    fn comments_and_parts_of_words_count_for_nothing() {
        assert_eq!(
            take(&["other"]),
            "// Not elu: relu.\nfn net_other(elu: f32) -> f32 { return elu; }\n\n"
        );
    }
}
