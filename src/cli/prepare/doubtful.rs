//! Columns that are probably not intended to be learnt from as they are.

use wgrad::data::{
    Column, ColumnValues, InputKind, Schema, Table, Target, are_several_labels, shell_word,
    signed_number, typed_list,
};

/// A sentence on each.
pub(super) fn columns(schema: &Schema, table: &Table) -> Vec<String> {
    let doubts = [
        numbering(schema, table),
        codes(schema, table),
        measured(schema),
        naming(schema, table),
        constant(schema),
        several_labels(schema, table),
    ];
    doubts.into_iter().flatten().collect()
}

/// Fewer rows may be so by chance.
const DOUBTED: usize = 20;

/// What is said of columns that are the same in all training rows.
fn constant(schema: &Schema) -> Option<String> {
    let is_constant = |kind: &InputKind| {
        matches!(
            kind,
            InputKind::Numeric { scale: 0.0, .. } | InputKind::Ordinal { scale: 0.0, .. }
        )
    };
    /// Images and counts of words have as many columns or more, and some of them are always empty.
    const MANY: usize = 64;
    let inputs = schema.inputs.iter().filter(|_| schema.inputs.len() < MANY);
    let mut constant = inputs.filter(|input| is_constant(&input.kind));
    let name = &constant.next()?.name;
    let others = match constant.count() {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    Some(format!(
        "the column `{name}`{others} is the same in all training rows, so nothing is learnt from it, and what later \
         rows have there counts for nothing (--ignore {} leaves it out)",
        typed_list([&name[..]])
    ))
}

/// What is said of targets of 0 and 1 of which several may be 1.
fn several_labels(schema: &Schema, table: &Table) -> Option<String> {
    let Target::Values { columns } = &schema.target else { return None };
    let found = columns.iter().map(|target| Some(&table.columns()[table.find(&target.name).ok()?]));
    let found: Vec<&Column> = found.collect::<Option<_>>()?;
    are_several_labels(&found).then(|| {
        let mut names = columns.iter().map(|column| column.name.as_str());
        let first = names.next().unwrap_or_default();
        format!(
            "the targets are 0 or 1, several of them 1 in a row, and are predicted as numbers; for classes \
             predict one at a time, without the others (--target {} --ignore {})",
            typed_list([first]),
            typed_list(names)
        )
    })
}

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
        "the column `{name}` counts the rows; if it is no more than their number, leave it out (--ignore {})",
        typed_list([&name[..]])
    ))
}

/// What is said of numbers with zeros in front, of which a net would learn more and less.
fn codes(schema: &Schema, table: &Table) -> Option<String> {
    let is_code = |name: &str| table.find(name).is_ok_and(|index| table.columns()[index].is_code());
    let is_number = |kind: &InputKind| matches!(kind, InputKind::Numeric { .. });
    let mut inputs = schema.inputs.iter().filter(|input| is_number(&input.kind));
    let name = &inputs.find(|input| is_code(&input.name))?.name;
    Some(format!(
        "the column `{name}` has numbers with zeros in front; if these are codes, say so (--column {}), or leave \
         them out (--ignore {})",
        shell_word(&format!("{name}=category")),
        typed_list([&name[..]])
    ))
}

/// What is said of words that hardly come twice, which tell nothing of rows with others.
fn naming(schema: &Schema, table: &Table) -> Option<String> {
    let (name, words) = schema.inputs.iter().find_map(|input| match &input.kind {
        InputKind::Categorical { values, gathered, unlearnt, .. } => {
            let words = values.len() + gathered.len() + unlearnt.len();
            let hardly_twice = table.rows() >= DOUBTED && 2 * words > table.rows();
            hardly_twice.then_some((&input.name, words))
        }
        _ => None,
    })?;
    Some(format!(
        "the column `{name}` has {words} different words in {} rows, of which a net learns next to nothing for \
         others; leave the column out (--ignore {}), or put what they have in common in its place",
        table.rows(),
        typed_list([&name[..]])
    ))
}

/// What is said of words that are numbers with a unit, which tell a net nothing of more and less.
fn measured(schema: &Schema) -> Option<String> {
    let inputs = schema.inputs.iter().filter_map(|input| match &input.kind {
        InputKind::Categorical { values, gathered, .. } => {
            let words = values.iter().chain(gathered);
            Some((&input.name, words.collect::<Vec<_>>()))
        }
        _ => None,
    });
    let target = match &schema.target {
        Target::Classes { name, names, .. } => Some((name, names.iter().collect())),
        Target::Values { .. } => None,
    };
    let (name, words) = inputs.chain(target).find(|(_, words)| are_measured(words))?;
    Some(format!(
        "the column `{name}` is taken for words, as `{}`; if they are numbers, write them without the unit, as \
         {}",
        words[0],
        measure(words[0])?.0
    ))
}

/// Whether all words are numbers with the same unit.
fn are_measured(words: &[&String]) -> bool {
    let units = words.iter().map(|word| measure(word).map(|(_, unit)| unit));
    let units: Option<Vec<&str>> = units.collect();
    units.is_some_and(|units| units.len() > 1 && units.windows(2).all(|pair| pair[0] == pair[1]))
}

/// The number that a word begins with, and its unit.
fn measure(word: &str) -> Option<(f64, &str)> {
    let end = word.find(|c: char| c.is_alphabetic() || c == '°' || c == '%').unwrap_or(word.len());
    let (number, unit) = (word[..end].trim(), &word[end..]);
    let plain = || number.parse().ok().filter(|_| !unit.is_empty());
    let number = signed_number(word).or_else(|| signed_number(number)).or_else(plain)?;
    Some((number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_seen() {
        let are = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.into()).collect();
            are_measured(&words.iter().collect::<Vec<_>>())
        };
        assert!(are(&["10 kg", "12.5 kg"]) && are(&["3m", "4m"]) && are(&["$3", "$4.50"]));
        assert!(are(&["1.100,5 kg", "900,5 kg"]));
        assert!(
            !are(&["10 kg", "12 m"])
                && !are(&["a1", "b2"])
                && !are(&["1", "2"])
                && !are(&["10 kg"])
        );
        assert_eq!(measure("1.100,50 kg"), Some((1100.5, "kg")));
    }
}
