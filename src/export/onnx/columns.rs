//! A table's columns on their way into the net, and the net's outputs on their way to answers.

use super::graph::{Attribute, Columns, Graph, ML, Type, Values};
use crate::data::{InputColumn, InputKind, Schema, Target};

/// Appends what turns raw columns into the net's inputs; returns their name.
pub(super) fn inputs(graph: &mut Graph, schema: &Schema) -> String {
    let numeric: Option<Vec<_>> = schema.inputs.iter().map(numbers).collect();
    if let Some(columns) = numeric {
        let name = graph.reserve("input");
        let names: Vec<&str> = schema.inputs.iter().map(|column| column.name.as_str()).collect();
        let x = graph.input(&name, Type::Float, Columns::Named(&names));
        return scaled(graph, "input", x, &columns);
    }
    // All columns have their names before the first node takes one.
    let columns: Vec<(String, &InputColumn)> =
        schema.inputs.iter().map(|column| (graph.reserve(&column.name), column)).collect();
    let parts: Vec<String> =
        columns.iter().map(|(name, column)| part(graph, name, column)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let axis = [("axis", Attribute::Integer(1))];
    graph.node_with("Concat", "", &parts, "features", &axis)
}

/// Fill, offset and scale of a column of numbers.
type Numbers = (Option<f32>, f32, f32);

fn numbers(column: &InputColumn) -> Option<Numbers> {
    match column.kind {
        InputKind::Numeric { fill, offset, scale } => Some((fill, offset, scale)),
        InputKind::Categorical { .. } | InputKind::Ordinal { .. } => None,
    }
}

/// (x − offset)·scale of neighbouring columns, where NaN stands for what is missing.
fn scaled(graph: &mut Graph, name: &str, x: String, columns: &[(Option<f32>, f32, f32)]) -> String {
    let constant = |graph: &mut Graph, part: &str, of: fn(&Numbers) -> f32| {
        let values: Vec<f32> = columns.iter().map(of).collect();
        graph.constant(&format!("{name}.{part}"), &[values.len()], &Values::Floats(&values))
    };
    let mut x = x;
    if columns.iter().any(|(fill, ..)| fill.is_some()) {
        let fill = constant(graph, "fill", |(fill, ..)| fill.unwrap_or(f32::NAN));
        let missing = graph.node("IsNaN", &[&x], &format!("{name}.missing"));
        x = graph.node("Where", &[&missing, &fill, &x], &format!("{name}.filled"));
    }
    let offset = constant(graph, "offset", |&(_, offset, _)| offset);
    let scale = constant(graph, "scale", |&(.., scale)| scale);
    let centred = graph.node("Sub", &[&x, &offset], &format!("{name}.centred"));
    graph.node("Mul", &[&centred, &scale], &format!("{name}.scaled"))
}

/// A column that is an input of its own.
fn part(graph: &mut Graph, name: &str, column: &InputColumn) -> String {
    let named = |part: &str| format!("{name}.{part}");
    match &column.kind {
        &InputKind::Numeric { fill, offset, scale } => {
            let x = graph.input(name, Type::Float, Columns::Named(&[&column.name]));
            scaled(graph, name, x, &[(fill, offset, scale)])
        }
        InputKind::Ordinal { fill, values, offset, scale } => {
            let word = graph.input(name, Type::String, Columns::Named(&[&column.name]));
            // A word without a place is no number.
            let default = place(values, fill.as_deref()).map_or(f32::NAN, narrow);
            let places: Vec<f32> = (0..values.len()).map(narrow).collect();
            let attributes = [
                ("keys_strings", Attribute::Strings(values)),
                ("values_floats", Attribute::Floats(&places)),
                ("default_float", Attribute::Float(default)),
            ];
            let x = graph.node_with("LabelEncoder", ML, &[&word], &named("place"), &attributes);
            scaled(graph, name, x, &[(None, *offset, *scale)])
        }
        InputKind::Categorical { fill, values, gathered, unlearnt } => {
            let word = graph.input(name, Type::String, Columns::Named(&[&column.name]));
            let last = values.len();
            // A place after the last input: all are 0.
            let width = column.width();
            let mut words = values.clone();
            let mut places: Vec<i64> = (0..last).map(integer).collect();
            let mut add = |word: &String, place| {
                words.push(word.clone());
                places.push(integer(place));
            };
            gathered.iter().for_each(|word| add(word, last));
            unlearnt.iter().for_each(|word| add(word, width));
            let filled = fill.as_ref().map(|fill| place(values, Some(fill)).unwrap_or(last));
            let default = if gathered.is_empty() { filled.unwrap_or(width) } else { last };
            // A missing cell is an empty word.
            if let Some(filled) = filled.filter(|&filled| filled != default) {
                add(&String::new(), filled);
            }
            let attributes = [
                ("keys_strings", Attribute::Strings(&words)),
                ("values_int64s", Attribute::Integers(&places)),
                ("default_int64", Attribute::Integer(integer(default))),
            ];
            let index = graph.node_with("LabelEncoder", ML, &[&word], &named("index"), &attributes);
            let width = integer(width);
            let depth = graph.constant(&named("depth"), &[1], &Values::Integers(&[width]));
            let range = graph.constant(&named("range"), &[2], &Values::Floats(&[0.0, 1.0]));
            let hot = graph.node("OneHot", &[&index, &depth, &range], &named("hot"));
            let shape = graph.constant(&named("shape"), &[2], &Values::Integers(&[-1, width]));
            graph.node("Reshape", &[&hot, &shape], &named("one_hot"))
        }
    }
}

/// Where a word stands among others.
fn place(values: &[String], word: Option<&str>) -> Option<usize> {
    values.iter().position(|value| Some(value.as_str()) == word)
}

#[expect(clippy::cast_possible_wrap, reason = "far fewer than 2⁶³ words")]
const fn integer(place: usize) -> i64 {
    place as i64
}

#[expect(clippy::cast_precision_loss, reason = "as in training")]
const fn narrow(place: usize) -> f32 {
    place as f32
}

/// Names of the answers, which columns of the same names leave to them.
pub(super) fn answers(target: &Target) -> &'static [&'static str] {
    match target {
        Target::Classes { .. } => &["label", "probabilities", "logits"],
        Target::Values { .. } => &["prediction"],
    }
}

/// Appends what turns the net's `width` outputs into answers, whose names are reserved.
pub(super) fn outputs(graph: &mut Graph, schema: &Schema, net: &str, width: usize) {
    match &schema.target {
        Target::Classes { names, .. } => {
            let axis = [("axis", Attribute::Integer(1))];
            // One logit z is the second of (0, z).
            if width == 1 {
                let nought = graph.node("Sub", &[net, net], "nought");
                graph.answer("Concat", &[&nought, net], "logits", &axis);
            } else {
                graph.answer("Identity", &[net], "logits", &[]);
            }
            let flat = [("axis", Attribute::Integer(1)), ("keepdims", Attribute::Integer(0))];
            let best = graph.node_with("ArgMax", "", &["logits"], "best", &flat);
            let classes = graph.constant("classes", &[names.len()], &Values::Strings(names));
            graph.answer("Gather", &[&classes, &best], "label", &[]);
            graph.answer("Softmax", &["logits"], "probabilities", &axis);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            graph.output("label", Type::String, Columns::None);
            graph.output("probabilities", Type::Float, Columns::Named(&names));
            graph.output("logits", Type::Float, Columns::Named(&names));
        }
        Target::Values { columns } => {
            let of = |value: &dyn Fn(f32, f32) -> f32| -> Vec<f32> {
                columns.iter().map(|column| value(column.offset, column.scale)).collect()
            };
            let scale = of(&|_, scale| scale);
            let scale = graph.constant("target.scale", &[columns.len()], &Values::Floats(&scale));
            let offset = of(&|offset, _| offset);
            let offset =
                graph.constant("target.offset", &[columns.len()], &Values::Floats(&offset));
            let unscaled = graph.node("Div", &[net, &scale], "unscaled");
            graph.answer("Add", &[&unscaled, &offset], "prediction", &[]);
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            graph.output("prediction", Type::Float, Columns::Named(&names));
        }
    }
}
