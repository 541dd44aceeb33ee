//! `wgrad predict`: applies a trained net to a table and writes CSV or JSON.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use wgrad::Engine;
use wgrad::data::{Schema, Target};

use super::args::PredictArgs;
use super::device::{Device, Job};
use super::failure::Failure;
use super::prepare;
use super::results::predicted_class;
use super::stdout;
use super::talk::{Talk, count, shortest};
use super::trained::{Trained, keep, model_path};

pub(crate) fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    let trained = Trained::load(&args.model, talk)?;
    let table = prepare::load(args.table.source_for(&trained.schema, &args.data, None), talk)?;
    let inputs = trained.schema.encode_inputs(&table)?;
    trained.warn_of_unknown(&table, talk)?;
    if !table.has_header() {
        let names: HashSet<&str> = table.columns().iter().map(|c| c.name.as_str()).collect();
        let by_number = trained.schema.inputs.iter().all(|i| names.contains(i.name.as_str()));
        let how = if by_number { "by their numbers" } else { "in the model's order" };
        talk.line(format_args!("no column names: taking the columns {how}"));
        let read = trained.schema.inputs.len() + trained.schema.target_positions.len();
        if table.columns().len() > read {
            talk.line(format_args!(
                "warning: {} has {} columns, more than the {read} of the model's inputs and targets",
                args.data,
                table.columns().len()
            ));
        }
    }
    if let Some(output) = &args.file {
        keep(output, Path::new(&args.data), "table")?;
        keep(output, &model_path(&args.model)?, "model")?;
    }
    let device = Device::open(&args.device.device, talk)?;

    let job = Prediction { trained: &trained, inputs: &inputs };
    let outputs = device.run(trained.plan.clone(), table.rows(), job)?;
    let width = outputs.len() / table.rows();
    if let Some(index) = outputs.iter().position(|output| !output.is_finite()) {
        talk.line(format_args!(
            "warning: {} gives {}: its numbers are too far from those that were learnt",
            table.place(index / width),
            outputs[index]
        ));
    }
    let files = table.files();
    let write = |out: &mut dyn Write, name: &dyn Display| {
        let written = match args.output.json {
            true => write_json(out, &trained.schema, files, outputs, width),
            false => write_csv(out, &trained.schema, files, outputs, width).map_err(io_error),
        };
        written.map_err(Failure::write(name))
    };
    let Some(path) = &args.file else {
        return write(&mut stdout::open()?, &stdout::NAME);
    };
    let mut file = File::create(path).map_err(Failure::write(path.display()))?;
    write(&mut file, &path.display())?;
    let rows = count(table.rows(), "prediction");
    talk.line(format_args!("{rows} written to {}", path.display()));
    Ok(())
}

struct Prediction<'a> {
    trained: &'a Trained,
    inputs: &'a [f32],
}

impl Job for Prediction<'_> {
    type Output = Vec<f32>;

    fn run<E: Engine>(self, mut engine: E) -> Result<Vec<f32>, Failure> {
        self.trained.set_parameters(&mut engine)?;
        Ok(engine.predict(self.inputs)?)
    }
}

/// A line per row: its file, where each has its own; the class and each class's probability, or each
/// target's value.
fn write_csv(
    out: impl Write,
    schema: &Schema,
    files: &[String],
    mut outputs: Vec<f32>,
    width: usize,
) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    if !files.is_empty() {
        csv.write_field("file")?;
    }
    let mut files = files.iter();
    match &schema.target {
        Target::Classes { names, .. } => {
            csv.write_field("prediction")?;
            csv.write_record(names.iter().map(|name| format!("p_{name}")))?;
            for logits in outputs.chunks_exact(width) {
                files.next().map_or(Ok(()), |file| csv.write_field(file))?;
                csv.write_field(&names[predicted_class(logits)])?;
                csv.write_record(probabilities(logits).into_iter().map(shortest))?;
            }
        }
        Target::Values { columns } => {
            schema.restore_values(&mut outputs);
            csv.write_record(columns.iter().map(|column| &column.name))?;
            for values in outputs.chunks_exact(width) {
                files.next().map_or(Ok(()), |file| csv.write_field(file))?;
                csv.write_record(values.iter().copied().map(shortest))?;
            }
        }
    }
    Ok(csv.flush()?)
}

/// What [`write_csv`] writes, as one object.
fn write_json(
    out: impl Write,
    schema: &Schema,
    files: &[String],
    mut outputs: Vec<f32>,
    width: usize,
) -> io::Result<()> {
    schema.restore_values(&mut outputs);
    let mut out = io::BufWriter::new(out);
    serde_json::to_writer(&mut out, &Predictions { schema, files, outputs: &outputs, width })?;
    writeln!(out)?;
    out.flush()
}

/// `{"classes": …, "predictions": [{"prediction": …, "probabilities": …}, …]}`, or
/// `{"targets": …, "predictions": [[…], …]}`; with `"files"` where each row has its own.
struct Predictions<'a> {
    schema: &'a Schema,
    files: &'a [String],
    outputs: &'a [f32],
    width: usize,
}

#[derive(Serialize)]
struct Class<'a> {
    prediction: &'a str,
    /// In the order of the classes.
    probabilities: Vec<f32>,
}

/// The items of an iterator, written one by one.
struct Items<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Items<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

impl Serialize for Predictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Predictions", 3)?;
        match self.files.is_empty() {
            true => object.skip_field("files")?,
            false => object.serialize_field("files", self.files)?,
        }
        let rows = || self.outputs.chunks_exact(self.width);
        match &self.schema.target {
            Target::Classes { names, .. } => {
                let class = |logits| Class {
                    prediction: &names[predicted_class(logits)],
                    probabilities: probabilities(logits),
                };
                object.serialize_field("classes", names)?;
                object.serialize_field("predictions", &Items(|| rows().map(class)))?;
            }
            Target::Values { columns } => {
                let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
                object.serialize_field("targets", &names)?;
                object.serialize_field("predictions", &Items(rows))?;
            }
        }
        object.end()
    }
}

/// The I/O error inside: wrapped as another, a broken pipe would no longer be one.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// Softmax of the logits; of a single one, 1 − σ and σ.
#[expect(clippy::cast_possible_truncation, reason = "as precise as the logits")]
fn probabilities(logits: &[f32]) -> Vec<f32> {
    // σ(z) is the second softmax of (0, z).
    let logits = if let &[logit] = logits { &[0.0, logit] } else { logits };
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> =
        logits.iter().map(|&logit| (f64::from(logit) - f64::from(largest)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_softmax_and_sigmoid() {
        let close = |got: Vec<f32>, want: &[f32]| {
            assert_eq!(got.len(), want.len());
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?}");
        };
        close(probabilities(&[0.0, 2.0_f32.ln()]), &[1.0 / 3.0, 2.0 / 3.0]);
        close(probabilities(&[3.0_f32.ln()]), &[0.25, 0.75]);
        close(probabilities(&[1e30, -1e30, 0.0]), &[1.0, 0.0, 0.0]);
    }
}
