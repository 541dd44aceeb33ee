//! The net as an ONNX model that takes raw rows.

mod columns;
mod graph;
mod stages;

use crate::error::Result;
use crate::model_file::ModelFile;
use graph::{Graph, Type};

pub(super) fn onnx(file: &ModelFile) -> Result<Vec<u8>> {
    let folded = file.folded()?;
    let (plan, parameters) = folded.plan()?;
    let (inputs, outputs) = (plan.mlp().in_features(), plan.mlp().out_features());
    let mut graph = Graph::default();
    let input = match file.schema() {
        Some(schema) => columns::inputs(&mut graph, schema),
        None => graph.input("input", Type::Float, inputs),
    };
    let net = stages::stages(&mut graph, &plan, &parameters, input)?;
    match file.schema() {
        Some(schema) => columns::outputs(&mut graph, schema, &net, outputs),
        None => {
            graph.node("Identity", &[&net], "output");
            graph.output("output", Type::Float, Some(outputs));
        }
    }
    Ok(graph.file(&plan.mlp().to_string()))
}
