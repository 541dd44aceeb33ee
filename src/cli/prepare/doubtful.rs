//! Columns that are probably not intended to be learnt from as they are.

use wgrad::data::{ColumnValues, InputKind, Schema, Table, Target, signed_number};

/// A sentence on the first there is.
pub(super) fn column(schema: &Schema, table: &Table) -> Option<String> {
    let codes = || codes(schema, table);
    numbering(schema, table)
        .or_else(codes)
        .or_else(|| signed(schema))
        .or_else(|| naming(schema, table))
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

/// What is said of numbers with zeros in front, of which a net would learn more and less.
fn codes(schema: &Schema, table: &Table) -> Option<String> {
    let is_code = |name: &str| table.find(name).is_ok_and(|index| table.columns()[index].is_code());
    let is_number = |kind: &InputKind| matches!(kind, InputKind::Numeric { .. });
    let mut inputs = schema.inputs.iter().filter(|input| is_number(&input.kind));
    let name = &inputs.find(|input| is_code(&input.name))?.name;
    Some(format!(
        "the column `{name}` has numbers with zeros in front; if these are codes, say so (--column \
         {name}=category), or leave them out (--ignore {name})"
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
         others; leave the column out (--ignore {name}), or put what they have in common in its place",
        words.len(),
        table.rows(),
        words[0]
    ))
}

/// What is said of words that are numbers with signs, which tell a net nothing of more and less.
fn signed(schema: &Schema) -> Option<String> {
    let inputs = schema.inputs.iter().filter_map(|input| match &input.kind {
        InputKind::Categorical { values, .. } => Some((&input.name, values)),
        _ => None,
    });
    let target = match &schema.target {
        Target::Classes { name, names } => Some((name, names)),
        Target::Values { .. } => None,
    };
    let (name, words) = inputs
        .chain(target)
        .find(|(_, words)| words.len() > 1 && words.iter().all(|w| signed_number(w).is_some()))?;
    Some(format!(
        "the column `{name}` is taken for words, as `{}`; if they are numbers, write them without signs, \
         as {}",
        words[0],
        signed_number(&words[0])?
    ))
}
