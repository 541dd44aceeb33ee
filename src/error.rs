//! What can go wrong, each with the thing, the values and the remedy.

use std::path::PathBuf;

/// Result of every fallible function in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. The message names the thing, the values and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer of the model description can't be built.
    #[error("layer {layer}: {problem}")]
    Model {
        /// Position in the [`Mlp`](crate::Mlp), counted from 0 as in `nn.Sequential`.
        layer: usize,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// An option lies outside its range.
    #[error("{name} is {value}, but must be {expected}")]
    Option {
        /// Name of the option, as the user typed or wrote it.
        name: &'static str,
        /// What was given.
        value: String,
        /// The range it must lie in.
        expected: &'static str,
    },
    /// A text can't be understood.
    #[error("{what} \"{text}\", character {at}: {problem}")]
    Text {
        /// What the text describes.
        what: &'static str,
        /// The text, cut if it is long.
        text: String,
        /// Where the problem is, in characters counted from 1.
        at: usize,
        /// What is wrong there and what would be right.
        problem: String,
    },
    /// A size can't be represented or exceeds what the device allows.
    #[error("{what} needs {needed}, but the limit ({limit_name}) is {limit}{remedy}")]
    Limit {
        /// The tensor or dispatch that is too large.
        what: String,
        /// What was asked for, with its unit.
        needed: String,
        /// Name of the limit, as wgpu spells it where it is one of wgpu's.
        limit_name: &'static str,
        /// What the device or format allows, with its unit.
        limit: String,
        /// What would fit; empty, or a clause that starts with a separator.
        remedy: String,
    },
    /// Data and model, or data and its own description, don't fit together.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// What was compared.
        what: String,
        /// The expected shape or kind.
        expected: String,
        /// The shape or kind that was given.
        got: String,
    },
    /// A data set can't be used for what was asked.
    #[error("{source_name}: {problem}")]
    Data {
        /// Name of the file or data set.
        source_name: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A cell, row or column of a table can't be read.
    #[error("{source_name}, {place}, column {column}: {problem}")]
    Cell {
        /// Name of the file.
        source_name: String,
        /// Line in a text, counted from 1, or row of an array, counted from 0: `line 3`, `row 1`.
        place: String,
        /// Column name where there is a header, else its number counted from 1.
        column: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The loss, a gradient or a parameter stopped being finite.
    #[error(
        "training diverged: the loss of step {step} (epoch {epoch}) is {}{} \
         (lower the learning rate, or scale the inputs)",
        short(*loss),
        also_not_finite(*loss, tensor.as_deref())
    )]
    Diverged {
        /// Optimizer step, counted from 1, where the first number isn't finite.
        step: u64,
        /// Epoch of that step, counted from 1.
        epoch: u64,
        /// Its loss; finite, perhaps, if a tensor is named or the sum of the gradient's squares overflowed.
        loss: f64,
        /// Name of a tensor whose gradient in that step or whose value after it isn't finite, if the
        /// optimizer saw one: see [`Fault`](crate::Fault).
        tensor: Option<String>,
    },
    /// No adapter fits the request.
    #[error("{0}")]
    Adapter(String),
    /// The driver refused something.
    #[error("{during}: {reason}")]
    Device {
        /// What was being done.
        during: &'static str,
        /// wgpu's own message.
        reason: String,
    },
    /// The device is gone: its driver was reset, its hardware taken away, or it was destroyed. A training
    /// goes on with an engine on another device, which resumes its last
    /// [`Checkpoint`](crate::Checkpoint).
    #[error("{during}: the device was lost")]
    Lost {
        /// What was being done.
        during: &'static str,
    },
    /// More was recorded into encoders than the engine keeps scalars for.
    #[error(
        "{slots} parts of steps are recorded and not known to be done (submit their encoders and poll \
         the device, or record fewer for each submission)"
    )]
    Pending {
        /// How many: as many as the engine keeps scalars for, or those that are in the way of a call which
        /// needs all to be done.
        slots: u32,
    },
    /// A call came too early.
    #[error("{call} needs {needs} before it")]
    Sequence {
        /// The call.
        call: &'static str,
        /// What has to come first.
        needs: &'static str,
    },
    /// A model file can't be understood.
    #[error("{path}: {problem}")]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// Reading or writing a file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// Attaches a path to an I/O error: `.map_err(Error::io(path))`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }
}

/// A loss without digits that tell nothing.
fn short(loss: f64) -> String {
    if loss.is_finite() && loss.abs() >= 1e6 { format!("{loss:.3e}") } else { loss.to_string() }
}

/// What went wrong in a step beside its loss, in words.
fn also_not_finite(loss: f64, tensor: Option<&str>) -> String {
    match tensor {
        Some(name) => format!(", and {name} or its gradient isn't finite"),
        None if loss.is_finite() => ", and the norm of its gradient overflows".into(),
        None => String::new(),
    }
}
