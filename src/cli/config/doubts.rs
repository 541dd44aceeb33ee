//! What is allowed, and probably not intended.

use std::path::Path;

use wgrad::ModelFile;
use wgrad::data::{Dataset, InputColumn, Schema, Target, Targets};
use wgrad::schedule::Run;

use super::Config;
use crate::cli::schedule::unreached;
use crate::cli::trained::model_path;

impl Config {
    /// A sentence on each, of a training on these rows.
    pub(crate) fn doubts(&self, schema: &Schema, train: &Dataset, validates: bool) -> Vec<String> {
        let rows = u32::try_from(train.rows()).unwrap_or(u32::MAX);
        let run = Run::new(self.training.epochs, self.train_options().steps_per_epoch(rows));
        let mut doubts = Vec::from_iter(unreached(&self.training.schedule, &run));
        if self.training.plateau.is_some() && !validates {
            doubts.push(
                "--plateau watches the loss of the training rows, as there are none to validate on \
                 (see --validation)"
                    .into(),
            );
        }
        let is_pixel = |input: &InputColumn| input.name.starts_with("pixel_");
        if self.data.image_size.is_some() && !schema.inputs.iter().all(is_pixel) {
            doubts.push("--image-size resizes images, and this table isn't made of any".into());
        }
        doubts.extend(untaught(schema, train));
        doubts.extend(self.net.init_from.as_ref().and_then(|file| other_columns(file, schema)));
        doubts
    }
}

/// What is said of classes that no row teaches.
fn untaught(schema: &Schema, train: &Dataset) -> Option<String> {
    let (Target::Classes { names, .. }, Targets::Classes { labels, .. }) =
        (&schema.target, train.targets())
    else {
        return None;
    };
    let mut is_taught = vec![false; names.len()];
    labels.iter().for_each(|&label| is_taught[label as usize] = true);
    let absent = names.iter().zip(is_taught).filter(|(_, taught)| !taught);
    let absent: Vec<String> = absent.map(|(name, _)| format!("`{name}`")).collect();
    let shown = absent[..absent.len().min(3)].join(", ");
    match absent.len() {
        0 => None,
        1 => Some(format!("no training row is of the class {shown}, so it can't be learnt")),
        n => Some(format!("no training row is of {n} classes ({shown}…), so they can't be learnt")),
    }
}

/// What a net's outputs stand for.
fn answers(target: &Target) -> Vec<&str> {
    match target {
        Target::Classes { names, .. } => names.iter().map(String::as_str).collect(),
        Target::Values { columns } => columns.iter().map(|column| column.name.as_str()).collect(),
    }
}

/// What is said of initial weights that were learnt on other columns or classes, if their file tells.
fn other_columns(file: &str, schema: &Schema) -> Option<String> {
    let model = ModelFile::load(&model_path(Path::new(file)).ok()?).ok()?;
    let names = |schema: &Schema| -> Vec<String> {
        schema.inputs.iter().map(|input| input.name.clone()).collect()
    };
    let (then, now) = (names(model.schema()?), names(schema));
    if let Some((then, now)) = then.iter().zip(&now).find(|(then, now)| then != now) {
        return Some(format!(
            "--init-from {file}: its net read the column `{then}` where this table has `{now}`, so its weights \
             mean something else here"
        ));
    }
    let (then, now) = (answers(&model.schema()?.target), answers(&schema.target));
    let (then, now) = then.iter().zip(&now).find(|(then, now)| then != now)?;
    Some(format!(
        "--init-from {file}: its net answered `{then}` where this one is to answer `{now}`, so its last layer \
         means something else here"
    ))
}
