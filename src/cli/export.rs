//! `wgrad export`: a trained net in the forms that other programs take.

use std::io::IsTerminal as _;
use std::path::Path;

use clap::ValueEnum as _;
use wgrad::data::{InputColumn, InputKind, Schema, Target};
use wgrad::{ColumnScaling, ModelFile, Squash, WgslOptions};

use super::args::ExportArgs;
use super::choices::ExportFormat;
use super::failure::Failure;
use super::files::write_whole;
use super::stdout;
use super::talk::Talk;
use super::trained::{keep, model_path};

pub(crate) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.quiet };
    let format = args.format.map_or_else(|| of_extension(args.file.as_deref()), Ok)?;
    if args.function.is_some() && format != ExportFormat::Wgsl {
        return Err(Failure::input("--function names the function of WGSL, and this isn't WGSL"));
    }
    let path = model_path(&args.model)?;
    let file = ModelFile::load(&path).map_err(Failure::input)?;
    let content = match format {
        ExportFormat::Onnx => file.to_onnx().map_err(Failure::input)?,
        ExportFormat::Wgsl => wgsl(&file, args.function.as_deref())?.into_bytes(),
        ExportFormat::Json => file.to_json().map_err(Failure::input)?.into_bytes(),
    };
    if let Some(output) = &args.file {
        keep(output, &path, "model")?;
    }
    let Some(output) = &args.file else {
        if format == ExportFormat::Onnx && std::io::stdout().is_terminal() {
            return Err(Failure::input("ONNX is nothing to read: name a file with --output"));
        }
        return stdout::print(content);
    };
    write_whole(output, &content)?;
    if let Some(input) = file.schema().filter(|_| format == ExportFormat::Onnx).and_then(numbers) {
        talk.line(format_args!(
            "warning: categories of the column `{}` are numbers, which ONNX knows in their shortest form \
             alone (501 for 501.0)",
            input.name
        ));
    }
    talk.line(format_args!("{} written to {}", file.mlp(), output.display()));
    Ok(())
}

/// An input whose categories may be numbers that the table writes otherwise. Where zeros in front are kept, so is
/// all that is written.
fn numbers(schema: &Schema) -> Option<&InputColumn> {
    schema.inputs.iter().find(|input| match &input.kind {
        InputKind::Categorical { values, .. } | InputKind::Ordinal { values, .. } => {
            let is_code = |value: &String| {
                value.len() > 1
                    && value.starts_with('0')
                    && value.bytes().all(|b| b.is_ascii_digit())
            };
            values.iter().all(|value| value.parse::<f32>().is_ok()) && !values.iter().any(is_code)
        }
        InputKind::Numeric { .. } => false,
    })
}

/// The format that a file's name tells.
fn of_extension(output: Option<&Path>) -> Result<ExportFormat, Failure> {
    let extension = output.and_then(Path::extension).map(|e| e.to_string_lossy());
    let known = extension.and_then(|e| ExportFormat::from_str(&e, true).ok());
    known.ok_or_else(|| match output {
        None => Failure::input("export as what? Give --format onnx, wgsl or json, or --output FILE"),
        Some(output) => Failure::input(format!(
            "--output {}: the name tells no format (end it in .onnx, .wgsl or .json, or give --format)",
            output.display()
        )),
    })
}

/// A function of a table's raw numbers that returns probabilities, or the targets in their own units.
fn wgsl(file: &ModelFile, function: Option<&str>) -> Result<String, Failure> {
    let mut options = WgslOptions::default();
    if let Some(name) = function {
        options = options.function(name);
    }
    if let Some(schema) = file.schema() {
        options = options.scaling(ColumnScaling::of(schema).map_err(Failure::input)?);
        if let Target::Classes { .. } = schema.target {
            let single = file.mlp().out_features() == 1;
            options = options.squash(if single { Squash::Sigmoid } else { Squash::Softmax });
        }
    }
    file.to_wgsl(&options).map_err(Failure::input)
}
