//! The net as an ONNX model that takes raw rows.

mod columns;
mod graph;
mod stages;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::plan;
use graph::{Columns, Graph, Type};

/// What Protocol Buffers can hold.
const MOST_BYTES: usize = i32::MAX as usize;

pub(super) fn onnx(file: &ModelFile) -> Result<Vec<u8>> {
    let folded = file.folded()?;
    let (plan, parameters) = folded.plan()?;
    let (inputs, outputs) = (plan.mlp().in_features(), plan.mlp().out_features());
    let mut graph = Graph::default();
    // Answers have their names whatever columns are called.
    let answers = file.schema().map_or(&["output"][..], |s| columns::answers(&s.target));
    for name in answers {
        graph.reserve(name);
    }
    let input = match file.schema() {
        Some(schema) => columns::inputs(&mut graph, schema),
        None => {
            let name = graph.reserve("input");
            graph.input(&name, Type::Float, Columns::Unnamed(inputs))
        }
    };
    let net = stages::stages(&mut graph, &plan, &parameters, input)?;
    match file.schema() {
        Some(schema) => columns::outputs(&mut graph, schema, &net, outputs),
        None => {
            graph.answer("Identity", &[&net], "output", &[]);
            graph.output("output", Type::Float, Columns::Unnamed(outputs));
        }
    }
    let bytes = graph.file(&plan.mlp().to_string());
    if bytes.len() > MOST_BYTES {
        return Err(Error::Limit {
            what: format!("{} as ONNX", plan.mlp()),
            needed: plan::bytes(bytes.len() as u64),
            limit_name: "a message of Protocol Buffers",
            limit: plan::bytes(MOST_BYTES as u64),
            remedy: ": take safetensors".into(),
        });
    }
    Ok(bytes)
}
