//! Columns that are hardly meant to be learnt from as they are.

use wgrad::data::{ColumnValues, InputKind, Schema, Table};

/// A sentence on the first there is.
pub(super) fn column(schema: &Schema, table: &Table) -> Option<String> {
    numbering(schema, table).or_else(|| signed(schema)).or_else(|| naming(schema, table))
}

/// Fewer rows may be so by chance.
const DOUBTED: usize = 20;

/// What is said of an input that numbers the rows, which tells nothing of rows to come.
fn numbering(schema: &Schema, table: &Table) -> Option<String> {
    let counts = |name: &str| {
        let ColumnValues::Numeric(values) = &table.columns()[table.find(name).ok()?].values else {
            return None;
        };
        let next = |pair: &[f32]| pair[1] == pair[0] + 1.0 && pair[0].fract() == 0.0;
        Some(values.len() >= DOUBTED && values.windows(2).all(next))
    };
    // One by itself is what somebody wants to learn from.
    let mut inputs = schema.inputs.iter().filter(|_| schema.inputs.len() > 1);
    let input = inputs.find(|input| counts(&input.name) == Some(true))?;
    let name = &input.name;
    Some(format!(
        "the column `{name}` counts the rows; if it is no more than their number, leave it out (--ignore \
         {name})"
    ))
}

/// What is said of words that hardly come twice, which tell nothing of rows with others.
fn naming(schema: &Schema, table: &Table) -> Option<String> {
    let (name, words) = schema.inputs.iter().find_map(|input| match &input.kind {
        InputKind::Categorical { values, .. } => {
            let hardly_twice = table.rows() >= DOUBTED && 2 * values.len() > table.rows();
            hardly_twice.then_some((&input.name, values))
        }
        _ => None,
    })?;
    Some(format!(
        "the column `{name}` has {} different words in {} rows, as `{}`, of which a net learns nothing for \
         others; write numbers without signs, or leave the column out (--ignore {name})",
        words.len(),
        table.rows(),
        words[0]
    ))
}

/// What is said of words that are numbers with signs, which tell a net nothing of more and less.
fn signed(schema: &Schema) -> Option<String> {
    let (name, word) = schema.inputs.iter().find_map(|input| match &input.kind {
        InputKind::Categorical { values, .. } => {
            let all = values.len() > 1 && values.iter().all(|word| bare(word).is_some());
            all.then_some((&input.name, &values[0]))
        }
        _ => None,
    })?;
    Some(format!(
        "the column `{name}` is taken for words, as `{word}`; if they are numbers, write them without \
         signs, as {}",
        bare(word)?
    ))
}

/// The number in a word with signs around it, or with commas or spaces between its digits; none in a
/// plain number, which somebody wants to be a word.
fn bare(word: &str) -> Option<f64> {
    const SIGNS: [char; 8] = ['$', '€', '£', '¥', '%', ',', ' ', '\''];
    let digits = word.replace(SIGNS, "");
    if digits.len() == word.len() { None } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_signs() {
        for (word, number) in
            [("$3.00", 3.0), ("12 %", 12.0), ("1,234.5", 1234.5), ("-€ 7", -7.0), ("3'000", 3000.0)]
        {
            assert_eq!(bare(word), Some(number), "{word}");
        }
        for word in ["3", "-1.5", "a 1", "1-2", "2026-11-28", "10 kg", "%", ""] {
            assert_eq!(bare(word), None, "{word}");
        }
    }
}
