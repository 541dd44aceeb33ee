//! The WGSL of each kind of stage.
//!
//! A row of activations is an array of vectors of four. Where the columns are no multiple of four, the
//! lanes behind the last are 0, always: so they count for nothing in a sum.

use std::fmt;

use super::text::{LANE_NAMES, LANES, literal, vector};
use super::{Snippet, Source};
use crate::activation::Activation;
use crate::encoding::Encoding;
use crate::plan::{Norm, Stage, StageOp, Tensor};

/// The function of a stage, but for its name. Stages that differ only in where their tensors begin have
/// the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// What it computes.
    pub formula: String,
    pub in_features: usize,
    pub out_features: usize,
    /// Names of its parameters: where in the buffer tensors begin, in vectors.
    pub tensors: Vec<&'static str>,
    /// Makes `y` of `x`.
    pub body: String,
}

/// A stage's function with its arguments.
pub(super) struct Call {
    pub code: Code,
    /// Of each of the code's tensors.
    pub arguments: Vec<usize>,
}

/// Formula, tensors by their names in the code, and body.
type Parts<'s> = (String, Vec<(&'static str, &'s Tensor)>, String);

/// Which vector of a row a piece of code is about.
#[derive(Clone, Copy)]
enum At {
    /// That of the loop's `i`.
    Loop,
    Vector(usize),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop => f.write_str("i"),
            Self::Vector(index) => write!(f, "{index}u"),
        }
    }
}

impl Snippet<'_> {
    /// What a stage computes; `None` if that is nothing.
    pub(super) fn stage(&mut self, stage: &Stage) -> Option<Call> {
        let (formula, tensors, body) = match &stage.op {
            StageOp::Linear { tensors } => self.linear(stage, tensors),
            StageOp::Norm(norm) => self.norm(stage, norm),
            StageOp::Encoding(encoding) => self.encoding(stage, *encoding),
            StageOp::Pass if stage.activation == Activation::Identity => return None,
            StageOp::Pass => self.pass(stage),
        };
        let formula = match stage.activation {
            Activation::Identity => formula,
            activation => format!("{formula}, y = {activation}"),
        };
        let (tensors, arguments) = match self.source {
            Source::Buffer => {
                tensors.into_iter().map(|(name, tensor)| (name, tensor.offset / LANES)).unzip()
            }
            Source::Text(_) => (Vec::new(), Vec::new()),
        };
        let Stage { in_features, out_features, .. } = *stage;
        Some(Call { code: Code { formula, in_features, out_features, tensors, body }, arguments })
    }

    /// z = W·x + b, four outputs at a time.
    fn linear<'s>(&mut self, stage: &Stage, [weight, bias]: &'s [Tensor; 2]) -> Parts<'s> {
        let body = self.vectors(stage.out_features, |snippet, at, outputs| {
            let sum = match snippet.source {
                Source::Buffer if stage.in_features.is_multiple_of(LANES) => {
                    snippet.sum_of_vectors(stage.in_features, at, outputs)
                }
                Source::Buffer => snippet.sum_of_numbers(stage.in_features, at, outputs),
                Source::Text(arena) => {
                    sum_of_constants(stage.in_features, at, &arena[weight.range()])
                }
            };
            let bias = snippet.parameter("bias", bias, at);
            let y = snippet.activated(stage.activation, outputs);
            format!("        var z = {bias};\n{sum}        y[{at}] = {y};\n")
        });
        ("z = W·x + b".into(), vec![("weight", weight), ("bias", bias)], body)
    }

    /// Adds W·x to `z`, where the rows of W consist of vectors.
    fn sum_of_vectors(&self, inputs: usize, at: At, outputs: usize) -> String {
        let (parameters, stride) = (self.name("parameters"), inputs / LANES);
        let row = |row| format!("dot({parameters}[row + {}u + k], v)", row * stride);
        format!(
            "        let row = weight + {inputs}u * {at};
        for (var k = 0u; k < {stride}u; k++) {{
            let v = (*x)[k];
            z += vec4<f32>(
{}            );
        }}\n",
            lanes(4, outputs, row)
        )
    }

    /// Adds W·x to `z`, where the rows of W begin anywhere.
    fn sum_of_numbers(&mut self, inputs: usize, at: At, outputs: usize) -> String {
        self.reads_numbers = true;
        let number = self.name("number");
        let row = |row| format!("{number}(row + {}u + k)", row * inputs);
        format!(
            "        let row = 4u * (weight + {inputs}u * {at});
        for (var k = 0u; k < {inputs}u; k++) {{
            z += (*x)[k >> 2u][k & 3u] * vec4<f32>(
{}            );
        }}\n",
            lanes(4, outputs, row)
        )
    }

    /// z = γ·(x − μ)/√(σ² + ε) + β with μ and σ² of the row or, column by column, the running ones.
    fn norm<'s>(&mut self, stage: &Stage, norm: &'s Norm) -> Parts<'s> {
        #[expect(clippy::cast_possible_truncation, reason = "as the kernels take it")]
        let eps = literal(norm.eps as f32);
        let mut tensors = Vec::new();
        let statistics = match &norm.running {
            Some([mean, variance]) => {
                tensors.extend([("mean", mean), ("variance", variance)]);
                String::new()
            }
            None => self.row_statistics(stage.in_features, &eps),
        };
        if let Some([weight, bias]) = &norm.affine {
            tensors.extend([("weight", weight), ("bias", bias)]);
        }
        let body = self.vectors(stage.out_features, |snippet, at, columns| {
            let normalised = match &norm.running {
                Some([mean, variance]) => format!(
                    "((*x)[{at}] - {}) / sqrt({} + {eps})",
                    snippet.parameter("mean", mean, at),
                    snippet.parameter("variance", variance, at)
                ),
                None => format!("(((*x)[{at}] - centre) - shift) * scale"),
            };
            let affine = norm.affine.as_ref().map(|[weight, bias]| {
                let weight = snippet.parameter("weight", weight, at);
                format!("        z = {weight} * z + {};\n", snippet.parameter("bias", bias, at))
            });
            let y = snippet.activated(stage.activation, columns);
            format!(
                "        var z = {normalised};\n{}        y[{at}] = {y};\n",
                affine.unwrap_or_default()
            )
        });
        let affine = if norm.affine.is_some() { "γ·x̂ + β" } else { "x̂" };
        let of = if norm.per_row { "of the row" } else { "running" };
        let formula = format!("z = {affine}, x̂ = (x − μ)/√(σ² + ε), μ and σ² {of}");
        (formula, tensors, statistics + &body)
    }

    /// Statistics of a row, as in `shaders/norm_statistics.wgsl`: the mean in two parts, the first
    /// element and the rest, so that one far larger than the spread costs no digits.
    fn row_statistics(&mut self, columns: usize, eps: &str) -> String {
        // The lanes behind the last column have no part in a sum.
        let mask = |columns| match columns {
            LANES => String::new(),
            _ => format!(" * {}", vector(&[1.0; LANES][..columns])),
        };
        let sum = self.vectors(columns, |_, at, columns| {
            format!("        sum += ((*x)[{at}] - centre){};\n", mask(columns))
        });
        let squares = self.vectors(columns, |_, at, columns| {
            let mask = mask(columns);
            format!(
                "        let d = (((*x)[{at}] - centre) - shift){mask};\n        squares += d * d;\n"
            )
        });
        format!(
            "    let centre = (*x)[0].x;
    var sum = vec4<f32>();
{sum}    let shift = dot(sum, vec4<f32>(1.0)) / {columns}.0;
    var squares = vec4<f32>();
{squares}    let scale = 1.0 / sqrt(dot(squares, vec4<f32>(1.0)) / {columns}.0 + {eps});\n"
        )
    }

    /// V values of each input, side by side.
    fn encoding<'s>(&mut self, stage: &Stage, encoding: Encoding) -> Parts<'s> {
        let values = encoding.values();
        let body = self.vectors(stage.out_features, |snippet, at, columns| {
            let mut code = format!("        let column = 4u * {at};\n        let z = vec4<f32>(\n");
            code += &lanes(3, columns, |lane| {
                let column = format!("(column + {lane}u)");
                let input =
                    format!("(*x)[{column} / {}u][{column} / {values}u % 4u]", LANES * values);
                snippet.encode(encoding, &input, &format!("{column} % {values}u"))
            });
            let y = snippet.activated(stage.activation, columns);
            format!("{code}        );\n        y[{at}] = {y};\n")
        });
        (format!("z = {encoding} of x"), Vec::new(), body)
    }

    /// z = x.
    fn pass<'s>(&mut self, stage: &Stage) -> Parts<'s> {
        let body = self.vectors(stage.out_features, |snippet, at, columns| {
            let y = snippet.activated(stage.activation, columns);
            format!("        let z = (*x)[{at}];\n        y[{at}] = {y};\n")
        });
        ("z = x".into(), Vec::new(), body)
    }

    /// `code` for each vector of a row. It is told how many of the vector's lanes are columns.
    ///
    /// Where parameters are read it is a loop over the vectors whose lanes all are; where they are part
    /// of the text there is nothing that a loop could share.
    fn vectors(
        &mut self,
        columns: usize,
        mut code: impl FnMut(&mut Self, At, usize) -> String,
    ) -> String {
        let whole = match self.source {
            Source::Buffer if columns >= 2 * LANES => columns / LANES,
            Source::Buffer | Source::Text(_) => 0,
        };
        let mut text = String::new();
        if whole > 0 {
            let code = code(self, At::Loop, LANES);
            text += &format!("    for (var i = 0u; i < {whole}u; i++) {{\n{code}    }}\n");
        }
        for index in whole..columns.div_ceil(LANES) {
            let code = code(self, At::Vector(index), LANES.min(columns - LANES * index));
            text += &format!("    {{\n{code}    }}\n");
        }
        text
    }

    /// A vector of a tensor that has as many elements as there are columns.
    fn parameter(&self, name: &str, tensor: &Tensor, at: At) -> String {
        match (self.source, at) {
            (Source::Text(arena), At::Vector(index)) => {
                let from = &arena[tensor.range()][LANES * index..];
                vector(&from[..from.len().min(LANES)])
            }
            _ => format!("{}[{name} + {at}]", self.name("parameters")),
        }
    }

    /// a(z) for the lanes of `z` that are columns; 0 for the others.
    fn activated(&mut self, activation: Activation, columns: usize) -> String {
        if activation == Activation::Identity && columns == LANES {
            return "z".into();
        }
        let lane = |lane: usize| self.activate(activation, &format!("z.{}", LANE_NAMES[lane]));
        format!("vec4<f32>(\n{}        )", lanes(3, columns, lane))
    }
}

/// Four lines of arguments, so many steps indented: `expression` for those lanes that there are, else 0.
fn lanes(indent: usize, count: usize, mut expression: impl FnMut(usize) -> String) -> String {
    let mut line = |lane| if lane < count { expression(lane) } else { "0.0".into() };
    (0..LANES).map(|lane| format!("{}{},\n", "    ".repeat(indent), line(lane))).collect()
}

/// Adds W·x to `z`, with the numbers of W: of four rows and four columns at a time, whose products with a
/// vector are that of the vector and a matrix with these rows as columns.
fn sum_of_constants(inputs: usize, at: At, weight: &[f32]) -> String {
    let At::Vector(block) = at else { unreachable!("constants are in no loop") };
    let rows: Vec<&[f32]> = weight.chunks(inputs).skip(LANES * block).take(LANES).collect();
    let product = |k: usize| {
        let four = |row: usize| {
            let row = rows.get(row).map_or(&[][..], |row| &row[LANES * k..]);
            format!("            {},\n", vector(&row[..row.len().min(LANES)]))
        };
        let columns: String = (0..LANES).map(four).collect();
        format!("        z += (*x)[{k}] * mat4x4<f32>(\n{columns}        );\n")
    };
    (0..inputs.div_ceil(LANES)).map(product).collect()
}
