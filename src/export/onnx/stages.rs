//! The net's stages as ONNX nodes.

use super::graph::{Attribute, Graph, Values};
use crate::activation::{Activation, GELU_CUBIC, SQRT_2_OVER_PI};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::plan::{Norm, Plan, Stage, StageOp, Tensor};

/// Appends all stages; returns the name of the net's outputs.
pub(super) fn stages(
    graph: &mut Graph,
    plan: &Plan,
    arena: &[f32],
    input: String,
) -> Result<String> {
    plan.stages().iter().try_fold(input, |x, stage| {
        let mut layer = Layer { graph, arena, name: format!("layer{}", stage.layer) };
        let z = layer.stage(stage, &x)?;
        Ok(layer.activate(stage.activation, z))
    })
}

/// Where a stage's nodes go.
struct Layer<'a> {
    graph: &'a mut Graph,
    arena: &'a [f32],
    /// What all its names begin with.
    name: String,
}

impl Layer<'_> {
    fn named(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    fn tensor(&mut self, tensor: &Tensor) -> String {
        let values = Values::Floats(&self.arena[tensor.range()]);
        self.graph.constant(&tensor.name, &tensor.shape, &values)
    }

    fn scalar(&mut self, part: &str, value: f64) -> String {
        #[expect(clippy::cast_possible_truncation, reason = "the net computes in f32")]
        self.graph.scalar(&self.named(part), value as f32)
    }

    fn node(&mut self, operator: &str, inputs: &[&str], part: &str) -> String {
        let output = self.named(part);
        self.graph.node(operator, inputs, &output)
    }

    fn stage(&mut self, stage: &Stage, x: &str) -> Result<String> {
        Ok(match &stage.op {
            StageOp::Pass => x.into(),
            StageOp::Linear { tensors: [weight, bias] } => {
                let (weight, bias) = (self.tensor(weight), self.tensor(bias));
                let output = self.named("z");
                let transposed = [("transB", Attribute::Integer(1))];
                self.graph.node_with("Gemm", "", &[x, &weight, &bias], &output, &transposed)
            }
            StageOp::Norm(norm) => self.norm(stage, norm, x)?,
            StageOp::Encoding(encoding) => self.encode(*encoding, stage.out_features, x),
        })
    }

    fn norm(&mut self, stage: &Stage, norm: &Norm, x: &str) -> Result<String> {
        let columns = stage.out_features;
        let [gamma, beta] = match &norm.affine {
            Some([gamma, beta]) => [self.tensor(gamma), self.tensor(beta)],
            None => [("gamma", 1.0), ("beta", 0.0)].map(|(part, value)| {
                let values = Values::Floats(&vec![value; columns]);
                self.graph.constant(&self.named(part), &[columns], &values)
            }),
        };
        let output = self.named("z");
        #[expect(clippy::cast_possible_truncation, reason = "the net computes in f32")]
        let epsilon = ("epsilon", Attribute::Float(norm.eps as f32));
        if norm.per_row {
            let inputs = [x, &gamma, &beta];
            return Ok(self.graph.node_with(
                "LayerNormalization",
                "",
                &inputs,
                &output,
                &[epsilon],
            ));
        }
        let Some([mean, variance]) = &norm.running else {
            return Err(Error::Model {
                layer: stage.layer,
                problem:
                    "batch norm without running statistics normalises by the batch, which ONNX \
                          has no node for (set track_running_stats, or take a layer norm)"
                        .into(),
            });
        };
        let (mean, variance) = (self.tensor(mean), self.tensor(variance));
        let inputs = [x, &gamma, &beta, &mean, &variance];
        Ok(self.graph.node_with("BatchNormalization", "", &inputs, &output, &[epsilon]))
    }

    /// Each input as several columns, from [rows, inputs, 1] by broadcasting.
    fn encode(&mut self, encoding: Encoding, columns: usize, x: &str) -> String {
        let last = self.graph.constant(&self.named("last"), &[1], &Values::Integers(&[-1]));
        let x = self.node("Unsqueeze", &[x, &last], "apart");
        let row = |layer: &mut Self, part: &str, count: u32, value: &dyn Fn(f64) -> f64| {
            #[expect(clippy::cast_possible_truncation, reason = "the net computes in f32")]
            let values: Vec<f32> = (0..count).map(|k| value(f64::from(k)) as f32).collect();
            let name = layer.named(part);
            layer.graph.constant(&name, &[values.len()], &Values::Floats(&values))
        };
        let values = match encoding {
            Encoding::Frequency { octaves } => {
                // 2ᵏx mod 2 is exact, so the sine's angle is small.
                let factors = row(self, "octaves", octaves, &f64::exp2);
                let scaled = self.node("Mul", &[&x, &factors], "scaled");
                let two = self.scalar("two", 2.0);
                let turns = self.named("turns");
                let float = [("fmod", Attribute::Integer(1))];
                let turns = self.graph.node_with("Mod", "", &[&scaled, &two], &turns, &float);
                let pi = self.scalar("pi", std::f64::consts::PI);
                let angle = self.node("Mul", &[&turns, &pi], "angle");
                let waves = ["Sin", "Cos"].map(|wave| {
                    let value = self.node(wave, &[&angle], &wave.to_lowercase());
                    self.node("Unsqueeze", &[&value, &last], &format!("{wave}s"))
                });
                let pairs = self.named("pairs");
                let axis = [("axis", Attribute::Integer(-1))];
                self.graph.node_with("Concat", "", &[&waves[0], &waves[1]], &pairs, &axis)
            }
            Encoding::OneBlob { bins } => {
                let centres = row(self, "centres", bins, &|j| j + 0.5);
                let count = self.scalar("bins", f64::from(bins));
                let scaled = self.node("Mul", &[&x, &count], "scaled");
                let distance = self.node("Sub", &[&centres, &scaled], "distance");
                let square = self.node("Mul", &[&distance, &distance], "square");
                let factor = self.scalar("factor", -0.5);
                let exponent = self.node("Mul", &[&square, &factor], "exponent");
                self.node("Exp", &[&exponent], "blob")
            }
            Encoding::TriangleWave { octaves } => {
                let factors = row(self, "octaves", octaves, &|k| k.exp2() / 2.0);
                let shifts = row(self, "shifts", octaves, &|k| k / 4.0 % 1.0);
                let scaled = self.node("Mul", &[&x, &factors], "scaled");
                // The octave's own fraction first, which is exact.
                let whole = self.node("Floor", &[&scaled], "whole");
                let fraction = self.node("Sub", &[&scaled, &whole], "fraction");
                let shifted = self.node("Add", &[&fraction, &shifts], "shifted");
                let turns = self.node("Floor", &[&shifted], "turns");
                let place = self.node("Sub", &[&shifted, &turns], "place");
                let half = self.scalar("half", 0.5);
                let centred = self.node("Sub", &[&place, &half], "centred");
                let distance = self.node("Abs", &[&centred], "distance");
                let (four, one) = (self.scalar("four", 4.0), self.scalar("one", 1.0));
                let wide = self.node("Mul", &[&distance, &four], "wide");
                self.node("Sub", &[&wide, &one], "wave")
            }
        };
        #[expect(clippy::cast_possible_wrap, reason = "the plan keeps every size below 2³²")]
        let flat = Values::Integers(&[-1, columns as i64]);
        let flat = self.graph.constant(&self.named("flat"), &[2], &flat);
        self.node("Reshape", &[&values, &flat], "encoded")
    }

    fn activate(&mut self, activation: Activation, z: String) -> String {
        let output = self.named("y");
        let with = |graph: &mut Graph, operator: &str, attributes: &[(&str, Attribute<'_>)]| {
            graph.node_with(operator, "", &[&z], &output, attributes)
        };
        match activation {
            Activation::Identity => z,
            Activation::Relu => with(self.graph, "Relu", &[]),
            Activation::LeakyRelu { slope } => {
                with(self.graph, "LeakyRelu", &[("alpha", Attribute::Float(slope))])
            }
            Activation::Elu { alpha } => {
                with(self.graph, "Elu", &[("alpha", Attribute::Float(alpha))])
            }
            Activation::Sigmoid => with(self.graph, "Sigmoid", &[]),
            Activation::Tanh => with(self.graph, "Tanh", &[]),
            Activation::Softplus => with(self.graph, "Softplus", &[]),
            Activation::Silu => {
                let gate = self.node("Sigmoid", &[&z], "gate");
                self.node("Mul", &[&z, &gate], "y")
            }
            Activation::Sine { omega0 } => {
                let omega0 = self.scalar("omega0", f64::from(omega0));
                let angle = self.node("Mul", &[&z, &omega0], "angle");
                self.node("Sin", &[&angle], "y")
            }
            Activation::Gelu => {
                let factor = self.scalar("inv_sqrt_2", std::f64::consts::FRAC_1_SQRT_2);
                let argument = self.node("Mul", &[&z, &factor], "argument");
                let error_function = self.node("Erf", &[&argument], "erf");
                self.gated(&z, &error_function)
            }
            Activation::GeluTanh => {
                let square = self.node("Mul", &[&z, &z], "square");
                let cubic = self.scalar("cubic", GELU_CUBIC);
                let bend = self.node("Mul", &[&square, &cubic], "bend");
                let one = self.scalar("unit", 1.0);
                let stretch = self.node("Add", &[&bend, &one], "stretch");
                let stretched = self.node("Mul", &[&z, &stretch], "stretched");
                let factor = self.scalar("factor", SQRT_2_OVER_PI);
                let argument = self.node("Mul", &[&stretched, &factor], "argument");
                let tanh = self.node("Tanh", &[&argument], "tanh");
                self.gated(&z, &tanh)
            }
        }
    }

    /// z·(1 + t)/2
    fn gated(&mut self, z: &str, t: &str) -> String {
        let (one, half) = (self.scalar("one", 1.0), self.scalar("half", 0.5));
        let sum = self.node("Add", &[t, &one], "sum");
        let gate = self.node("Mul", &[&sum, &half], "gate");
        self.node("Mul", &[z, &gate], "y")
    }
}
