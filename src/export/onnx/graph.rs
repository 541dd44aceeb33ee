//! An ONNX graph on its way into its file, a message of Protocol Buffers.
//!
//! Field numbers are those of `onnx.proto` (ONNX 1.12, IR version 8). Of Protocol Buffers four things are
//! needed: numbers of variable length, and strings, messages and packed numbers with their length in front.

use std::collections::HashSet;

/// IR version of ONNX 1.12, which has operator set 17.
const IR_VERSION: u64 = 8;
/// The first operator set with `LayerNormalization`.
const OPSET: u64 = 17;
/// Operators on categories, `LabelEncoder` among them.
pub(super) const ML: &str = "ai.onnx.ml";
const ML_OPSET: u64 = 3;

/// Types of tensors.
#[derive(Clone, Copy)]
pub(super) enum Type {
    Float = 1,
    Int64 = 7,
    String = 8,
}

/// A value of a tensor that is part of the file.
pub(super) enum Values<'a> {
    Floats(&'a [f32]),
    Integers(&'a [i64]),
    Strings(&'a [String]),
}

/// An attribute of a node.
pub(super) enum Attribute<'a> {
    Float(f32),
    Integer(i64),
    Integers(&'a [i64]),
    Floats(&'a [f32]),
    Strings(&'a [String]),
}

/// Fields of a message, in their order.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        // Seven bits a byte, the lowest first; all but the last have the eighth set.
        while value >= 0x80 {
            self.0.push(0x80 | value.to_le_bytes()[0]);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn messages<'a>(self, field: u64, messages: impl IntoIterator<Item = &'a Self>) -> Self {
        messages.into_iter().fold(self, |all, message| all.message(field, message))
    }
}

/// Two's complement, as Protocol Buffers have negative numbers.
const fn signed(value: i64) -> u64 {
    value.cast_unsigned()
}

/// The second dimension of an input or output.
#[derive(Clone, Copy)]
pub(super) enum Columns<'a> {
    /// A value a row.
    None,
    Unnamed(usize),
    Named(&'a [&'a str]),
}

/// Nodes in the order of the data flow.
///
/// Each value of a graph needs a name of its own. Inputs and outputs have the names that they are asked
/// for, all of them reserved before the first node; every other name is changed where it is taken, so a
/// node's output is called as [`node`](Self::node) returns it.
#[derive(Debug, Default)]
pub(super) struct Graph {
    names: HashSet<String>,
    nodes: Vec<Message>,
    constants: Vec<Message>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
}

impl Graph {
    /// Takes a name for an input or output, with underscores behind it where it is taken; returns it.
    pub(super) fn reserve(&mut self, name: &str) -> String {
        let mut name = name.to_owned();
        while !self.names.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    /// An input; returns its name.
    pub(super) fn input(&mut self, name: &str, of: Type, columns: Columns<'_>) -> String {
        self.inputs.push(value_info(name, of, columns));
        name.into()
    }

    /// An output.
    pub(super) fn output(&mut self, name: &str, of: Type, columns: Columns<'_>) {
        self.outputs.push(value_info(name, of, columns));
    }

    /// A tensor of the file; returns its name.
    pub(super) fn constant(&mut self, name: &str, dims: &[usize], values: &Values<'_>) -> String {
        let name = self.reserve(name);
        let tensor = Message::default().text(8, &name);
        let tensor = dims.iter().fold(tensor, |t, &dim| t.number(1, dim as u64));
        let tensor = match values {
            Values::Floats(values) => {
                let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                tensor.number(2, Type::Float as u64).bytes(9, &raw)
            }
            Values::Integers(values) => {
                let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                tensor.number(2, Type::Int64 as u64).bytes(9, &raw)
            }
            Values::Strings(values) => values
                .iter()
                .fold(tensor.number(2, Type::String as u64), |tensor, s| tensor.text(6, s)),
        };
        self.constants.push(tensor);
        name
    }

    /// A number for all elements.
    pub(super) fn scalar(&mut self, name: &str, value: f32) -> String {
        self.constant(name, &[], &Values::Floats(&[value]))
    }

    /// A node of the standard operators with one output, whose name is the node's; returns it.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        self.node_with(operator, "", inputs, output, &[])
    }

    /// The same with attributes, of any domain.
    pub(super) fn node_with(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        let output = self.reserve(output);
        self.push(operator, domain, inputs, &output, attributes);
        output
    }

    /// A node whose output has a reserved name.
    pub(super) fn answer(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute<'_>)],
    ) {
        self.push(operator, "", inputs, output, attributes);
    }

    fn push(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute<'_>)],
    ) {
        let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        let node = node.text(2, output).text(3, output).text(4, operator);
        let attributes: Vec<Message> = attributes.iter().map(attribute).collect();
        self.nodes.push(node.messages(5, &attributes).text(7, domain));
    }

    /// The file, with a line that describes the net.
    pub(super) fn file(&self, description: &str) -> Vec<u8> {
        let graph = Message::default()
            .messages(1, &self.nodes)
            .text(2, "wgrad")
            .messages(5, &self.constants)
            .text(10, description)
            .messages(11, &self.inputs)
            .messages(12, &self.outputs);
        let opset = |domain: &str, version| Message::default().text(1, domain).number(2, version);
        Message::default()
            .number(1, IR_VERSION)
            .text(2, "wgrad")
            .text(3, env!("CARGO_PKG_VERSION"))
            .message(7, &graph)
            .messages(8, &[opset("", OPSET), opset(ML, ML_OPSET)])
            .0
    }
}

fn attribute((name, value): &(&str, Attribute<'_>)) -> Message {
    let of = Message::default().text(1, name);
    match value {
        Attribute::Float(value) => of.float(2, *value).number(20, 1),
        Attribute::Integer(value) => of.number(3, signed(*value)).number(20, 2),
        Attribute::Integers(values) => {
            values.iter().fold(of, |of, &value| of.number(8, signed(value))).number(20, 7)
        }
        Attribute::Floats(values) => {
            values.iter().fold(of, |of, &value| of.float(7, value)).number(20, 6)
        }
        Attribute::Strings(values) => {
            values.iter().fold(of, |of, value| of.text(9, value)).number(20, 8)
        }
    }
}

/// Name, type and shape of an input or output; the names of its columns are its description.
fn value_info(name: &str, of: Type, columns: Columns<'_>) -> Message {
    let (width, names) = match columns {
        Columns::None => (None, None),
        Columns::Unnamed(count) => (Some(count), None),
        Columns::Named(names) => (Some(names.len()), serde_json::to_string(names).ok()),
    };
    let rows = Message::default().text(2, "rows");
    let width = width.map(|width| Message::default().number(1, width as u64));
    let shape = Message::default().message(1, &rows).messages(1, &width);
    let tensor = Message::default().number(1, of as u64).message(2, &shape);
    let info = Message::default().text(1, name).message(2, &Message::default().message(1, &tensor));
    names.iter().fold(info, |info, names| info.text(3, names))
}
