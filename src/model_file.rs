//! A trained net on disk: safetensors with PyTorch's names, and everything needed to use it.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::checkpoint;
use crate::data::{Schema, Target};
use crate::engine::check_parameters;
use crate::error::{Error, Result};
use crate::fold::fold;
use crate::layer::{BatchNorm, Dropout, Layer, Linear};
use crate::model::Mlp;
use crate::options::TrainOptions;
use crate::plan::Plan;
use crate::state_dict;
use crate::whole_file::write_whole;

/// Key of the metadata entry that holds the description. It is the only entry: the order of
/// several would differ from file to file.
const METADATA_KEY: &str = "wgrad";
/// Version of that description. Every older one is a description of this one with fewer keys.
const VERSION: u32 = 2;

/// A net with its parameters, how it was trained, and how raw tables become its inputs.
///
/// The file is safetensors. Tensors are named as in the `state_dict` of the same `nn.Sequential`,
/// so `torch.nn.Module.load_state_dict(safetensors.torch.load_file(path))` takes them as they are;
/// the rest is JSON under the metadata key `wgrad`. PyTorch has no encodings: a module of one's own
/// takes the place of one in the `nn.Sequential`, so that layers are counted alike.
///
/// ```
/// use wgrad::{Loss, Mlp, ModelFile, Optimizer, Plan, TrainOptions};
/// let options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1));
/// let plan = Plan::new(&Mlp::new(3).linear(2), &options)?;
/// let file = ModelFile::new(&plan, plan.initial_parameters(), None)?;
/// # let folder = tempfile::tempdir().map_err(|e| wgrad::Error::Io { path: "".into(), source: e })?;
/// # let path = folder.path().join("model.safetensors");
/// file.save(&path)?;
/// let (plan, parameters) = ModelFile::load(&path)?.plan()?;
/// assert_eq!(parameters, plan.initial_parameters());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelFile {
    description: Description,
    /// The parameter arena of the description's plan.
    parameters: Vec<f32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Description {
    version: u32,
    mlp: Mlp,
    options: TrainOptions,
    schema: Option<Schema>,
}

impl ModelFile {
    /// What [`save`](Self::save) will write: the arena of a plan, and how tables become inputs
    /// where that is known.
    ///
    /// # Errors
    /// [`Error::Shape`] if `parameters` isn't an arena of the plan, or the schema's columns don't make the
    /// net's inputs and outputs.
    pub fn new(plan: &Plan, parameters: Vec<f32>, schema: Option<Schema>) -> Result<Self> {
        crate::engine::check_arena(plan, &parameters)?;
        if let Some(schema) = &schema {
            check_columns(plan.mlp(), schema)?;
        }
        let (mlp, options) = (plan.mlp().clone(), plan.options().clone());
        Ok(Self { description: Description { version: VERSION, mlp, options, schema }, parameters })
    }

    /// The net.
    #[must_use]
    pub fn mlp(&self) -> &Mlp {
        &self.description.mlp
    }

    /// How it was trained.
    #[must_use]
    pub fn options(&self) -> &TrainOptions {
        &self.description.options
    }

    /// How raw tables become inputs, and outputs become answers.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.description.schema.as_ref()
    }

    /// The plan of the net, and its parameter arena.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(&self) -> Result<(Plan, Vec<f32>)> {
        let plan = Plan::new(&self.description.mlp, &self.description.options)?;
        Ok((plan, self.parameters.clone()))
    }

    /// The parameter arena in the layout of a plan of the same net, whose options may place tensors
    /// elsewhere.
    ///
    /// # Errors
    /// [`Error::Shape`] names the layer that differs, or the tensor that isn't finite.
    pub(crate) fn parameters_for(&self, plan: &Plan) -> Result<Vec<f32>> {
        check_same_net(plan.mlp(), self.mlp())?;
        let (own, parameters) = self.plan()?;
        check_parameters(&own, &parameters)?;
        let mut arena = vec![0.0; plan.arena_len()];
        for (from, to) in own.tensors().zip(plan.tensors()) {
            arena[to.range()].copy_from_slice(&parameters[from.range()]);
        }
        Ok(arena)
    }

    /// The same net without what only training needs: batch norms with running statistics become part
    /// of the linear layer before or behind them (where there is one without anything in between),
    /// dropout goes. It predicts the same but for rounding.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn folded(&self) -> Result<Self> {
        let (plan, parameters) = self.plan()?;
        let (plan, parameters) = fold(&plan, &parameters)?;
        Self::new(&plan, parameters, self.schema().cloned())
    }

    /// Writes the file in one piece: to a temporary file beside it, synced, then renamed, and the
    /// folder synced. Whatever happens, `path` holds either the old file or the new one.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder can't be written, [`Error::ModelFile`] if a parameter isn't finite.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.to_bytes(path)?)
    }

    /// The content that [`save`](Self::save) writes; `name` stands for the file in errors.
    ///
    /// # Errors
    /// [`Error::ModelFile`] if a parameter isn't finite.
    pub fn to_bytes(&self, name: &Path) -> Result<Vec<u8>> {
        let failed = |problem: String| Error::ModelFile { path: name.into(), problem };
        if let Some(number) = self.parameters.iter().find(|number| !number.is_finite()) {
            return Err(failed(format!("not written, for a parameter is {number}")));
        }
        let (plan, parameters) = self.plan()?;
        let tensors: Vec<_> = plan
            .tensors()
            .map(|tensor| {
                let data: Vec<u8> =
                    parameters[tensor.range()].iter().flat_map(|w| w.to_le_bytes()).collect();
                (tensor.name.clone(), tensor.shape.clone(), data)
            })
            .collect();
        let views = tensors
            .iter()
            .map(|(name, shape, data)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), data);
                view.map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| failed(e.to_string()))?;
        let json = serde_json::to_string(&self.description).map_err(|e| failed(e.to_string()))?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), json)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| failed(e.to_string()))
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if the file can't be read, [`Error::ModelFile`] if it isn't safetensors, is
    /// cut short, wasn't written by wgrad, or holds other tensors than its own description says.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Self::from_bytes(&bytes, path)
    }

    /// Reads the content of a file, embedded or downloaded perhaps; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::ModelFile`] as [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: &Path) -> Result<Self> {
        let failed = |problem: String| Error::ModelFile { path: name.into(), problem };
        let tensors = state_dict::read(bytes).map_err(failed)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| failed(e.to_string()))?;
        let entry = |key| metadata.metadata().as_ref().and_then(|entries| entries.get(key));
        let json = entry(METADATA_KEY).ok_or_else(|| {
            let problem = match entry(checkpoint::METADATA_KEY) {
                Some(_) => {
                    "a checkpoint, from which a training goes on (train --resume, Checkpoint::load); the \
                     model is the run's model.safetensors"
                }
                None => "no `wgrad` entry in the metadata: another program wrote this file",
            };
            failed(problem.into())
        })?;
        let version = serde_json::from_str::<Version>(json).map_err(|e| failed(e.to_string()))?;
        if !(1..=VERSION).contains(&version.version) {
            return Err(failed(format!(
                "written in format {}, but this wgrad reads formats 1 to {VERSION}",
                version.version
            )));
        }
        let description: Description =
            serde_json::from_str(json).map_err(|e| failed(format!("its description: {e}")))?;
        let plan = Plan::new(&description.mlp, &description.options)
            .map_err(|e| failed(format!("its description: {e}")))?;
        if let Some(schema) = &description.schema {
            schema.check().map_err(|e| failed(format!("its columns: {e}")))?;
            check_columns(plan.mlp(), schema).map_err(|e| failed(e.to_string()))?;
        }
        let parameters = state_dict::parameters(&plan, &tensors, "").map_err(failed)?;
        Ok(Self { description, parameters })
    }
}

/// What every version's description starts with.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Fails unless both nets compute the same function of the same parameters.
fn check_same_net(expected: &Mlp, got: &Mlp) -> Result<()> {
    let inputs = (expected.in_features(), got.in_features());
    let layers = expected.layers().iter().zip(got.layers());
    let differs = layers.map(|(a, b)| (for_prediction(a), for_prediction(b))).find(|(a, b)| a != b);
    let same_count = expected.layers().len() == got.layers().len();
    if inputs.0 == inputs.1 && same_count && differs.is_none() {
        return Ok(());
    }
    let what = "net of the model file".into();
    let (mut expected, mut got) = (expected.to_string(), got.to_string());
    // Nets that read the same differ in what a layer's short name leaves out.
    if let (Some((a, b)), true) = (differs, expected == got) {
        expected.push_str(&format!(" with {a:?}"));
        got.push_str(&format!(" with {b:?}"));
    }
    Err(Error::Shape { what, expected: format!("{expected}, as the plan's"), got })
}

/// A layer without what only training goes by.
fn for_prediction(layer: &Layer) -> Layer {
    match *layer {
        Layer::Linear(linear) => Layer::Linear(Linear::new(linear.out_features)),
        Layer::BatchNorm(norm) => Layer::BatchNorm(norm.momentum(BatchNorm::default().momentum)),
        Layer::Dropout(_) => Layer::Dropout(Dropout::new(0.0)),
        other => other,
    }
}

/// Fails unless the columns make what the net takes and gives.
fn check_columns(mlp: &Mlp, schema: &Schema) -> Result<()> {
    let (inputs, outputs) = (mlp.in_features(), mlp.out_features());
    let columns = (schema.in_features(), schema.outputs());
    // One logit tells two classes apart.
    let by_one_logit =
        outputs == 1 && columns.1 == 2 && matches!(schema.target, Target::Classes { .. });
    if columns.0 == inputs && (columns.1 == outputs || by_one_logit) {
        return Ok(());
    }
    Err(Error::Shape {
        what: "columns of the model's table".into(),
        expected: format!("{inputs} inputs and {outputs} outputs of the net"),
        got: format!("{} and {}", columns.0, columns.1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Encoding, Loss, Optimizer};

    fn file() -> ModelFile {
        let mlp = Mlp::with_hidden(3, &[5], Activation::Tanh, 2);
        let options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
        let plan = Plan::new(&mlp, &options).unwrap();
        ModelFile::new(&plan, plan.initial_parameters(), None).unwrap()
    }

    fn load(bytes: &[u8]) -> Result<ModelFile> {
        ModelFile::from_bytes(bytes, Path::new("m.safetensors"))
    }

    #[test]
    fn a_file_gives_back_what_was_saved() {
        let saved = file();
        let bytes = saved.to_bytes(Path::new("m")).unwrap();
        let loaded = load(&bytes).unwrap();
        assert_eq!(loaded.mlp(), saved.mlp());
        assert_eq!(loaded.options(), saved.options());
        assert_eq!(loaded.parameters, saved.parameters);
        assert_eq!(loaded.to_bytes(Path::new("m")).unwrap(), bytes, "not the same bytes again");
    }

    #[test]
    fn columns_that_are_not_the_nets_are_refused_before_anything_is_written() {
        use crate::data::{SchemaOptions, ValueColumn, moons};
        let table = moons(20, 0.1, 1).unwrap();
        let schema = Schema::fit(&table, &table.all_rows(), &SchemaOptions::default()).unwrap();
        let (plan, parameters) = file().plan().unwrap();
        let error = ModelFile::new(&plan, parameters, Some(schema)).unwrap_err().to_string();
        assert_eq!(
            error,
            "columns of the model's table: expected 3 inputs and 2 outputs of the net, got 2 and 2"
        );
        // One logit is for two classes, but one number isn't for two.
        let mut schema = Schema::fit(&table, &table.all_rows(), &SchemaOptions::default()).unwrap();
        let options = TrainOptions::new(Loss::BCE_WITH_LOGITS, Optimizer::adam(1e-3));
        let plan = Plan::new(&Mlp::new(2).linear(1), &options).unwrap();
        let parameters = plan.initial_parameters();
        assert!(ModelFile::new(&plan, parameters.clone(), Some(schema.clone())).is_ok());
        let number = |name: &str| ValueColumn { name: name.into(), offset: 0.0, scale: 1.0 };
        schema.target = Target::Values { columns: vec![number("a"), number("b")] };
        schema.target_positions = vec![2, 3];
        assert!(ModelFile::new(&plan, parameters, Some(schema)).is_err());
    }

    #[test]
    fn files_of_older_formats_are_read_and_those_of_newer_ones_refused() {
        let bytes = file().to_bytes(Path::new("m")).unwrap();
        let key = b"\\\"version\\\":";
        let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
        let of_version = |digit| {
            let mut bytes = bytes.clone();
            bytes[at] = digit;
            load(&bytes)
        };
        assert!(of_version(b'1').is_ok());
        let refused = of_version(b'9').unwrap_err().to_string();
        assert!(refused.contains("written in format 9, but this wgrad reads formats 1 to 2"));
    }

    #[test]
    fn norms_are_saved_with_their_running_statistics() {
        let mlp = Mlp::new(3).linear(5).batch_norm().dropout(0.5).linear(2);
        let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3))).unwrap();
        let parameters: Vec<f32> = plan.initial_parameters().iter().map(|w| w + 0.5).collect();
        let saved = ModelFile::new(&plan, parameters, None).unwrap();
        let bytes = saved.to_bytes(Path::new("m")).unwrap();
        let loaded = load(&bytes).unwrap();
        for tensor in plan.tensors() {
            let range = tensor.range();
            assert_eq!(loaded.parameters[range.clone()], saved.parameters[range]);
        }
        let mut names = SafeTensors::deserialize(&bytes)
            .unwrap()
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        names.sort();
        let norm = ["1.bias", "1.running_mean", "1.running_var", "1.weight"];
        assert_eq!(names[..2], ["0.bias", "0.weight"]);
        assert_eq!(names[2..6], norm);
        assert_eq!(loaded.folded().unwrap().mlp().to_string(), "3-5-2");
    }

    #[test]
    fn an_encoding_has_no_tensors_but_counts_as_a_layer() {
        let mlp = Mlp::new(2).encoding(Encoding::triangle_wave(4)).linear(3);
        let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3))).unwrap();
        let saved = ModelFile::new(&plan, plan.initial_parameters(), None).unwrap();
        let loaded = load(&saved.to_bytes(Path::new("m")).unwrap()).unwrap();
        assert_eq!(loaded.mlp(), &mlp);
        let (plan, parameters) = loaded.plan().unwrap();
        assert_eq!(parameters, saved.parameters);
        let tensors: Vec<_> = plan.tensors().map(|t| (t.name.as_str(), &t.shape[..])).collect();
        assert_eq!(tensors, [("1.weight", &[3, 8][..]), ("1.bias", &[3])]);
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = file().to_bytes(Path::new("m")).unwrap();
        for len in 0..bytes.len() {
            assert!(load(&bytes[..len]).is_err(), "{len} of {} bytes were taken", bytes.len());
        }
    }

    #[test]
    fn other_tensors_than_described_are_errors() {
        // The last four bytes are a number of the last tensor.
        let mut nan = file().to_bytes(Path::new("m")).unwrap();
        let end = nan.len();
        nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let refused = load(&nan).unwrap_err().to_string();
        assert!(refused.contains("holds NaN"), "{refused}");

        let mut broken = file();
        broken.parameters[0] = f32::INFINITY;
        let refused = broken.to_bytes(Path::new("m")).unwrap_err().to_string();
        assert!(refused.contains("not written, for a parameter is inf"), "{refused}");

        // Another net in the description than in the tensors.
        let bytes = file().to_bytes(Path::new("m")).unwrap();
        let key = b"\\\"out_features\\\":";
        let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
        assert_eq!(bytes[at], b'5');
        let mut other = bytes.clone();
        other[at] = b'6';
        let refused = load(&other).unwrap_err().to_string();
        assert!(refused.contains("0.weight is F32 [5, 3], but the net 3-6-tanh-2"), "{refused}");
    }
}
