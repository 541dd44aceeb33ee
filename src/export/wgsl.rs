//! The net as a WGSL function.
//!
//! A function for each kind of stage writes its code ([`stages`]). Where parameters are read from a buffer,
//! stages whose code is the same share one WGSL function and differ in where its tensors begin.
//! Activations come out of the kernels' own shader file ([`library`]).

mod calls;
mod library;
mod meanings;
mod options;
mod stages;
#[cfg(test)]
mod tests;
mod text;
mod words;

use std::collections::BTreeSet;

pub use options::{Affine, ColumnScaling, Squash, WgslOptions};

use crate::activation::Activation;
use crate::data::Schema;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::plan::{Plan, Stage, StageOp, Tensor};
use calls::Calls;
use stages::{Call, Code};
use text::{LANE_NAMES, LANES, literal, vector};

/// Where the activations' functions are.
const ACTIVATIONS: &str = concat!(
    include_str!("../../shaders/near_zero.wgsl"),
    "\n",
    include_str!("../../shaders/activation_value.wgsl")
);

/// Where the encodings' functions are.
const ENCODINGS: &str = include_str!("../../shaders/encoding_value.wgsl");

/// Numbers that the variables of a function may hold: WGSL guarantees 8192 bytes (section "Limits").
const MAX_VARIABLES: usize = 2048;

/// Most parameters that a text may carry. Each is a multiply-add of its own in straight code, which
/// compilers take time for: about half a second for a thousand on lavapipe.
const MAX_CONSTANTS: usize = 8192;

/// Where the function has its parameters from.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// A buffer that holds the parameter arena.
    Buffer,
    /// Its own text, with the numbers of this arena.
    Text(&'a [f32]),
}

/// A net on its way to WGSL.
pub(super) struct Snippet<'a> {
    plan: &'a Plan,
    options: &'a WgslOptions,
    source: Source<'a>,
    /// What inputs and outputs are.
    schema: Option<&'a Schema>,
    /// Functions of stages by the position of the first layer that calls them.
    functions: Vec<(usize, Code)>,
    /// Functions of [`ACTIVATIONS`] that are called.
    activations: BTreeSet<&'static str>,
    /// Functions of [`ENCODINGS`] that are called.
    encodings: BTreeSet<&'static str>,
    /// Whether parameters are read one by one.
    reads_numbers: bool,
}

impl<'a> Snippet<'a> {
    /// One that reads the parameter arena.
    pub(super) fn live(plan: &'a Plan, options: &'a WgslOptions) -> Result<Self> {
        Self::new(plan, options, Source::Buffer, None)
    }

    /// One that carries the parameters of an arena.
    pub(super) fn baked(
        plan: &'a Plan,
        arena: &'a [f32],
        schema: Option<&'a Schema>,
        options: &'a WgslOptions,
    ) -> Result<Self> {
        check_constants(plan, arena)?;
        Self::new(plan, options, Source::Text(arena), schema)
    }

    fn new(
        plan: &'a Plan,
        options: &'a WgslOptions,
        source: Source<'a>,
        schema: Option<&'a Schema>,
    ) -> Result<Self> {
        options.validate(plan.mlp().in_features(), plan.mlp().out_features())?;
        check_norms(plan)?;
        check_variables(plan)?;
        Ok(Self {
            plan,
            options,
            source,
            schema,
            functions: Vec::new(),
            activations: BTreeSet::new(),
            encodings: BTreeSet::new(),
            reads_numbers: false,
        })
    }

    /// The whole text.
    pub(super) fn text(mut self) -> String {
        let main = self.main();
        let mut text = self.header();
        let prefix = &self.options.function;
        text += &library::extract(ENCODINGS, &self.encodings, prefix);
        text += &library::extract(ACTIVATIONS, &self.activations, prefix);
        if self.reads_numbers {
            text += &format!(
                "fn {}(at: u32) -> f32 {{\n    return {}[at >> 2u][at & 3u];\n}}\n\n",
                self.name("number"),
                self.name("parameters")
            );
        }
        for (layer, code) in &self.functions {
            text += &function(&self.layer_name(*layer), code);
        }
        text + &main
    }

    /// A name of the text's own.
    fn name(&self, of: &str) -> String {
        format!("{}_{of}", self.options.function)
    }

    fn layer_name(&self, layer: usize) -> String {
        self.name(&format!("layer_{layer}"))
    }

    /// a(z) for an expression z.
    fn activate(&mut self, activation: Activation, z: &str) -> String {
        let (name, parameter) = match activation {
            Activation::Identity => return z.into(),
            // The builtin has the shorter name.
            Activation::Tanh => ("stable_tanh", None),
            Activation::LeakyRelu { slope: p }
            | Activation::Elu { alpha: p }
            | Activation::Sine { omega0: p } => (activation.name(), Some(p)),
            Activation::Relu
            | Activation::Gelu
            | Activation::GeluTanh
            | Activation::Silu
            | Activation::Sigmoid
            | Activation::Softplus => (activation.name(), None),
        };
        self.activations.insert(name);
        let parameter = parameter.map_or(String::new(), |p| format!(", {}", literal(p)));
        format!("{}_{name}({z}{parameter})", self.options.function)
    }

    /// Value number `value` of an expression x.
    fn encode(&mut self, encoding: Encoding, x: &str, value: &str) -> String {
        let (name, bins) = match encoding {
            Encoding::Frequency { .. } => ("frequency", None),
            Encoding::OneBlob { bins } => ("one_blob", Some(bins)),
            Encoding::TriangleWave { .. } => ("triangle_wave", None),
        };
        self.encodings.insert(name);
        let bins = bins.map_or(String::new(), |bins| format!(", {bins}u"));
        format!("{}_{name}({x}, {value}{bins})", self.options.function)
    }

    /// What the text is, and the buffer that it reads.
    fn header(&self) -> String {
        let WgslOptions { function, group, binding, .. } = self.options;
        let (mlp, version) = (self.plan.mlp(), env!("CARGO_PKG_VERSION"));
        let title = format!("// {function}: the net {mlp}, written by wgrad {version}.\n");
        match self.source {
            Source::Text(_) => title + "\n",
            Source::Buffer => {
                let line = |tensor: &Tensor| {
                    let Tensor { name, shape, offset, .. } = tensor;
                    format!("//   {name:<16} {:<12} {offset}\n", format!("{shape:?}"))
                };
                let tensors: String = self.plan.tensors().map(line).collect();
                format!(
                    "{title}//\n// The buffer is wgrad's parameter arena; each tensor with its shape and first \
                     number:\n{tensors}@group({group}) @binding({binding}) var<storage, read> {}: \
                     array<vec4<f32>, {}>;\n\n",
                    self.name("parameters"),
                    self.plan.arena_len() / LANES
                )
            }
        }
    }

    /// The function that the host calls.
    fn main(&mut self) -> String {
        let (inputs, outputs) = (self.plan.mlp().in_features(), self.plan.mlp().out_features());
        let mut body = enter(inputs);
        for (i, four) in self.options.scaling.input.chunks(LANES).enumerate() {
            let [shift, scale] = lanes_of(four);
            body += &format!("    x{inputs}[{i}] = (x{inputs}[{i}] - {shift}) * {scale};\n");
        }
        let mut calls = Calls::default();
        for stage in self.plan.stages() {
            let Some(Call { code, arguments }) = self.stage(stage) else { continue };
            let layer = match self.functions.iter().find(|(_, known)| *known == code) {
                Some((layer, _)) => *layer,
                None => {
                    self.functions.push((stage.layer, code));
                    stage.layer
                }
            };
            let columns = [stage.in_features, stage.out_features];
            calls.push(self.layer_name(layer), columns, arguments);
        }
        body += &calls.text(inputs);
        body += &leave(outputs);
        body += &self.squash(outputs);
        for (i, Affine { shift, scale }) in self.options.scaling.output.iter().enumerate() {
            let (shift, scale) = (literal(*shift), literal(*scale));
            body += &format!("    output[{i}] = output[{i}] * {scale} + {shift};\n");
        }
        format!(
            "{}fn {}(input: array<f32, {inputs}>) -> array<f32, {outputs}> {{\n{body}    return output;\n}}\n",
            self.schema.map_or_else(String::new, |schema| meanings::comments(schema, outputs)),
            self.options.function
        )
    }

    /// What happens to the outputs.
    fn squash(&mut self, outputs: usize) -> String {
        match self.options.squash {
            Squash::None => String::new(),
            Squash::Sigmoid => {
                let y = self.activate(Activation::Sigmoid, "output[i]");
                format!("    for (var i = 0u; i < {outputs}u; i++) {{ output[i] = {y}; }}\n")
            }
            // The largest becomes e⁰, so that nothing overflows.
            Squash::Softmax => format!(
                "    var largest = output[0];
    for (var i = 1u; i < {outputs}u; i++) {{ largest = max(largest, output[i]); }}
    var total = 0.0;
    for (var i = 0u; i < {outputs}u; i++) {{
        output[i] = exp(output[i] - largest);
        total += output[i];
    }}
    for (var i = 0u; i < {outputs}u; i++) {{ output[i] /= total; }}\n"
            ),
        }
    }
}

/// Refuses batch norms that have no statistics but a batch's.
fn check_norms(plan: &Plan) -> Result<()> {
    let by_batch = |stage: &&Stage| matches!(&stage.op, StageOp::Norm(norm) if !norm.per_row && norm.running.is_none());
    match plan.stages().iter().find(by_batch) {
        None => Ok(()),
        Some(stage) => Err(Error::Model {
            layer: stage.layer,
            problem: "batch norm without running statistics normalises by the batch, but a WGSL \
                      function sees a single row (set track_running_stats, or take a layer norm)"
                .into(),
        }),
    }
}

/// Refuses parameters that make no constants: too many, or such that aren't numbers.
fn check_constants(plan: &Plan, arena: &[f32]) -> Result<()> {
    let count: usize = plan.tensors().map(Tensor::len).sum();
    if count > MAX_CONSTANTS {
        return Err(Error::Limit {
            what: format!("{} with its parameters in a WGSL text", plan.mlp()),
            needed: format!("{count} constants"),
            limit_name: "what shader compilers take in seconds",
            limit: format!("{MAX_CONSTANTS} constants"),
            remedy: ": let the shader read them from a buffer (the library's Plan::to_wgsl), or export ONNX".into(),
        });
    }
    for tensor in plan.tensors() {
        if let Some(bad) = arena[tensor.range()].iter().find(|number| !number.is_finite()) {
            return Err(Error::Model {
                layer: tensor.layer,
                problem: format!(
                    "tensor {} holds {bad}, for which WGSL has no constant (export parameters from \
                     before the training diverged)",
                    tensor.name
                ),
            });
        }
    }
    Ok(())
}

/// Refuses nets whose activations an invocation can't be sure to hold.
fn check_variables(plan: &Plan) -> Result<()> {
    let (inputs, outputs) = (plan.mlp().in_features(), plan.mlp().out_features());
    let widths = plan.stages().iter().map(|stage| stage.out_features).chain([inputs]);
    let widths: BTreeSet<usize> = widths.collect();
    let rows: usize = widths.iter().map(|width| width.next_multiple_of(LANES)).sum();
    let needed = rows + inputs + outputs;
    if needed <= MAX_VARIABLES {
        return Ok(());
    }
    Err(Error::Limit {
        what: format!("{} as a WGSL function", plan.mlp()),
        needed: format!("variables of {} bytes", 4 * needed),
        limit_name: "variables of a WGSL function",
        limit: format!("{} bytes", 4 * MAX_VARIABLES),
        remedy: ": make inputs and layers narrower, or export ONNX".into(),
    })
}

/// The function of a stage.
fn function(name: &str, code: &Code) -> String {
    let Code { formula, in_features, out_features, tensors, body } = code;
    let ty = |columns: usize| format!("array<vec4<f32>, {}>", columns.div_ceil(LANES));
    let tensors: String = tensors.iter().map(|name| format!(", {name}: u32")).collect();
    format!(
        "// {in_features} → {out_features}: {formula}
fn {name}(x: ptr<function, {}>{tensors}) -> {} {{
    var y: {};
{body}    return y;
}}\n\n",
        ty(*in_features),
        ty(*out_features),
        ty(*out_features)
    )
}

/// Rows of more vectors than this are copied by loops.
const UNROLLED: usize = 4;

/// Makes vectors of `input`.
fn enter(columns: usize) -> String {
    let (whole, vectors) = (columns / LANES, columns.div_ceil(LANES));
    let mut text = format!("    var x{columns}: array<vec4<f32>, {vectors}>;\n");
    let looped = if vectors > UNROLLED { whole } else { 0 };
    if looped > 0 {
        // Values can't be indexed by a variable everywhere.
        text += &format!(
            "    var numbers = input;
    for (var i = 0u; i < {looped}u; i++) {{
        x{columns}[i] = vec4<f32>(
            numbers[4u * i], numbers[4u * i + 1u], numbers[4u * i + 2u], numbers[4u * i + 3u],
        );
    }}\n"
        );
    }
    for i in looped..vectors {
        let lane = |lane| match LANES * i + lane {
            column if column < columns => format!("input[{column}]"),
            _ => "0.0".into(),
        };
        let lanes = [0, 1, 2, 3].map(lane).join(", ");
        text += &format!("    x{columns}[{i}] = vec4<f32>({lanes});\n");
    }
    text
}

/// Makes `output` of vectors.
fn leave(columns: usize) -> String {
    let (whole, vectors) = (columns / LANES, columns.div_ceil(LANES));
    let mut text = format!("    var output: array<f32, {columns}>;\n");
    let looped = if vectors > UNROLLED { whole } else { 0 };
    if looped > 0 {
        text += &format!(
            "    for (var i = 0u; i < {looped}u; i++) {{
        output[4u * i] = x{columns}[i].x;
        output[4u * i + 1u] = x{columns}[i].y;
        output[4u * i + 2u] = x{columns}[i].z;
        output[4u * i + 3u] = x{columns}[i].w;
    }}\n"
        );
    }
    for column in LANES * looped..columns {
        let (i, lane) = (column / LANES, LANE_NAMES[column % LANES]);
        text += &format!("    output[{column}] = x{columns}[{i}].{lane};\n");
    }
    text
}

/// Shifts and factors of up to four columns; 0 behind the last.
fn lanes_of(columns: &[Affine]) -> [String; 2] {
    let vector_of =
        |part: fn(&Affine) -> f32| vector(&columns.iter().map(part).collect::<Vec<_>>());
    [vector_of(|affine| affine.shift), vector_of(|affine| affine.scale)]
}
