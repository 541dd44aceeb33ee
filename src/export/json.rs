//! The net as JSON, for programs that read nothing else.

use serde::Serialize;

use crate::data::Schema;
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::model_file::ModelFile;

/// Version of the form, which grows with keys alone.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Model<'a> {
    version: u32,
    net: &'a Mlp,
    schema: Option<&'a Schema>,
    tensors: Vec<Tensor<'a>>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    shape: &'a [usize],
    values: &'a [f32],
}

pub(super) fn json(file: &ModelFile) -> Result<String> {
    let (plan, parameters) = file.plan()?;
    let finite = |tensor: &&crate::Tensor| parameters[tensor.range()].iter().all(|x| x.is_finite());
    if let Some(tensor) = plan.tensors().find(|tensor| !finite(tensor)) {
        return Err(Error::Model {
            layer: tensor.layer,
            problem: format!(
                "{} holds a number that isn't finite, which JSON doesn't have",
                tensor.name
            ),
        });
    }
    let tensors = plan.tensors().map(|tensor| Tensor {
        name: &tensor.name,
        shape: &tensor.shape,
        values: &parameters[tensor.range()],
    });
    let (net, tensors) = (plan.mlp(), tensors.collect());
    let model = Model { version: VERSION, net, schema: file.schema(), tensors };
    serde_json::to_string(&model)
        .map_err(|e| Error::ModelFile { path: "JSON".into(), problem: e.to_string() })
}
