//! How a net is exported as WGSL.

use super::words;
use crate::data::{InputKind, Schema, Target};
use crate::error::{Error, Result};

/// How [`Plan::to_wgsl`](crate::Plan::to_wgsl) and [`ModelFile::to_wgsl`](crate::ModelFile::to_wgsl)
/// write a net.
///
/// ```
/// use wgrad::{Squash, WgslOptions};
/// let options = WgslOptions::default().function("shade").group(2).binding(1).squash(Squash::Sigmoid);
/// assert_eq!((options.function.as_str(), options.group), ("shade", 2));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WgslOptions {
    /// Name of the function, in ASCII and none of WGSL's own words. Everything else that the text
    /// declares is called by it, an underscore and more. Default: `mlp_eval`.
    pub function: String,
    /// Group of the parameter buffer. Default: 0.
    pub group: u32,
    /// Binding of the parameter buffer in its group. Default: 0.
    pub binding: u32,
    /// What is done to numbers in front of the net and behind it. Default: nothing.
    pub scaling: ColumnScaling,
    /// What is done to the outputs, before they are scaled. Default: nothing.
    pub squash: Squash,
}

impl Default for WgslOptions {
    fn default() -> Self {
        Self {
            function: "mlp_eval".into(),
            group: 0,
            binding: 0,
            scaling: ColumnScaling::default(),
            squash: Squash::None,
        }
    }
}

impl WgslOptions {
    /// Sets the function's name.
    #[must_use]
    pub fn function(self, function: impl Into<String>) -> Self {
        Self { function: function.into(), ..self }
    }

    /// Sets the group of the parameter buffer.
    #[must_use]
    pub fn group(self, group: u32) -> Self {
        Self { group, ..self }
    }

    /// Sets the binding of the parameter buffer.
    #[must_use]
    pub fn binding(self, binding: u32) -> Self {
        Self { binding, ..self }
    }

    /// Sets what is done to numbers in front of the net and behind it.
    #[must_use]
    pub fn scaling(self, scaling: ColumnScaling) -> Self {
        Self { scaling, ..self }
    }

    /// Sets what is done to the outputs.
    #[must_use]
    pub fn squash(self, squash: Squash) -> Self {
        Self { squash, ..self }
    }

    /// Checks the options for a net of so many inputs and outputs.
    pub(super) fn validate(&self, inputs: usize, outputs: usize) -> Result<()> {
        if !words::is_free(&self.function) {
            return Err(Error::Option {
                name: "function",
                value: format!("\"{}\"", self.function),
                expected: "a name for a WGSL function: ASCII letters, digits and underscores, not \
                           beginning with a digit or two underscores, and no word that WGSL reserves \
                           or declares itself (such as \"mlp_eval\")",
            });
        }
        let ColumnScaling { input, output } = &self.scaling;
        for (what, affine, columns) in [("inputs", input, inputs), ("outputs", output, outputs)] {
            if !affine.is_empty() && affine.len() != columns {
                return Err(Error::Shape {
                    what: format!("scaling of the {what}"),
                    expected: format!("{columns} columns, as the net has {what}, or none"),
                    got: affine.len().to_string(),
                });
            }
            let bad = |affine: &&Affine| !(affine.shift.is_finite() && affine.scale.is_finite());
            if let Some(Affine { shift, scale }) = affine.iter().find(bad) {
                return Err(Error::Option {
                    name: "scaling",
                    value: format!("shift {shift:?} and scale {scale:?}"),
                    expected: "finite",
                });
            }
        }
        Ok(())
    }
}

/// What is done to the outputs of an exported net.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Squash {
    /// Nothing: of a classification the function returns the logits.
    #[default]
    None,
    /// σ(y) = 1/(1 + e⁻ʸ) of each: probabilities where the loss is
    /// [`BceWithLogits`](crate::Loss::BceWithLogits).
    Sigmoid,
    /// `e^yᵢ / Σ e^yⱼ`: probabilities where the loss is [`CrossEntropy`](crate::Loss::CrossEntropy).
    Softmax,
}

/// What an exported net does to numbers on their way in and out, column by column.
///
/// ```
/// use wgrad::{Affine, ColumnScaling};
/// // Pixels to −1..1, and the output to 0..255.
/// let scaling = ColumnScaling {
///     input: vec![Affine { shift: 256.0, scale: 1.0 / 256.0 }; 2],
///     output: vec![Affine { shift: 0.0, scale: 255.0 }],
/// };
/// # let _ = scaling;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnScaling {
    /// Of each input x ↦ (x − shift)·scale; empty: none.
    pub input: Vec<Affine>,
    /// Of each output y ↦ y·scale + shift; empty: none.
    pub output: Vec<Affine>,
}

/// A shift and a factor of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Subtracted from an input before it is multiplied; added to an output afterwards.
    pub shift: f32,
    /// The factor.
    pub scale: f32,
}

impl ColumnScaling {
    /// What a schema does to the columns of a table: the function then takes numbers in the columns'
    /// own units, in the order of [`Schema::inputs`], and returns those of the target columns in
    /// theirs. Outputs of classes stay as they are.
    ///
    /// Nothing stands in for missing cells: a NaN stays one.
    ///
    /// # Errors
    /// [`Error::Shape`] for a column of categories, [`Error::Option`] for a target of a scale so small
    /// that its inverse exceeds f32.
    pub fn of(schema: &Schema) -> Result<Self> {
        let input = schema.inputs.iter().map(|column| match &column.kind {
            &InputKind::Numeric { offset, scale, .. } => Ok(Affine { shift: offset, scale }),
            InputKind::Categorical { values, .. } | InputKind::Ordinal { values, .. } => {
                Err(Error::Shape {
                    what: format!("column {} in front of a WGSL function", column.name),
                    expected:
                        "a column of numbers (ONNX takes words too; in the library, a function without \
                           scaling takes what Schema::encode_inputs makes)"
                            .into(),
                    got: format!("one of {} categories", values.len()),
                })
            }
        });
        let output = match &schema.target {
            Target::Classes { .. } => Vec::new(),
            Target::Values { columns } => {
                let inverse = |column: &crate::data::ValueColumn| {
                    let scale = column.scale.recip();
                    if !scale.is_finite() {
                        return Err(Error::Option {
                            name: "a target column's scale",
                            value: format!("{:?}", column.scale),
                            expected: "large enough to have an inverse in f32",
                        });
                    }
                    Ok(Affine { shift: column.offset, scale })
                };
                columns.iter().map(inverse).collect::<Result<_>>()?
            }
        };
        Ok(Self { input: input.collect::<Result<_>>()?, output })
    }
}
