//! What the numbers are that go into the function and come out of it.

use crate::data::{Schema, Target};

/// Comments that say what inputs and outputs are.
pub(super) fn comments(schema: &Schema, outputs: usize) -> String {
    let outputs = match &schema.target {
        // One logit is that of the second class.
        Target::Classes { names, .. } => names[names.len() - outputs..].to_vec(),
        Target::Values { columns } => columns.iter().map(|column| column.name.clone()).collect(),
    };
    let lines = |variable: &str, names: Vec<String>| -> String {
        let line =
            |(i, name): (usize, String)| format!("// {variable}[{i}]: {}\n", one_line(&name));
        names.into_iter().enumerate().map(line).collect()
    };
    lines("input", schema.feature_names()) + &lines("output", outputs)
}

/// A name without what ends a line in WGSL (section "Blankspace and Line Breaks"), and so a comment.
fn one_line(name: &str) -> String {
    name.replace(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c), " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CsvOptions, SchemaOptions, TargetKind, read_csv};

    #[test]
    fn inputs_and_outputs_are_named() {
        let text = "a,\"b\n}\",k\n1,2,0\n3,5,1\n7,8,0\n";
        let table = read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap();
        let comments = |kind, outputs| {
            let options = SchemaOptions { kind, ..SchemaOptions::default() };
            comments(&Schema::fit(&table, &[0, 1, 2], &options).unwrap(), outputs)
        };
        let inputs = "// input[0]: a\n// input[1]: b }\n";
        for (kind, outputs, expected) in [
            (TargetKind::Classes, 2, "// output[0]: 0\n// output[1]: 1\n"),
            (TargetKind::Classes, 1, "// output[0]: 1\n"),
            (TargetKind::Values, 1, "// output[0]: k\n"),
        ] {
            assert_eq!(comments(kind, outputs), format!("{inputs}{expected}"));
        }
    }

    #[test]
    fn nothing_ends_a_comment() {
        for end in ["\n", "\u{b}", "\u{c}", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
            assert_eq!(one_line(&format!("é{end}x")), "é x");
        }
    }
}
