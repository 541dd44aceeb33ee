//! Trains multi-layer perceptrons with WGSL compute shaders on any GPU that wgpu reaches, and on
//! the CPU with the same results.
//!
//! # Tour
//! In the order of the data flow:
//!
//! ```text
//! Dataset ─▶ sampler ─▶ forward ─▶ loss + dL/dlogits ─▶ backward ─▶ optimizer ─▶ metrics
//! ```
//!
//! * [`data`] turns tables into a [`Dataset`](data::Dataset), which an engine keeps in its memory.
//! * [`Mlp`] describes the net, a sequence of [`Layer`]s; [`TrainOptions`] the training: [`Loss`],
//!   [`Optimizer`] with [`ParameterGroup`]s and [`Clip`]ping, [`Schedule`], [`Plateau`],
//!   [`Sampling`], [`EarlyStopping`].
//! * [`Plan`] computes every size, byte and FLOP of both before anything is allocated.
//! * [`GpuEngine`] and [`CpuEngine`] execute a plan; [`Engine`] is what they have in common.
//! * [`Trainer`] drives an engine and reports as it goes; [`Insight`] is what it can measure of a
//!   step.
//! * [`ModelFile`] stores the result as safetensors, named as PyTorch's `state_dict`.
//! * [`Plan::to_wgsl`] writes the net as a function that the host's shaders call while it learns.
//!
//! # Example
//! ```
//! use wgrad::data::{self, Partition, PartitionOptions, Schema, SchemaOptions};
//! use wgrad::{Activation, CpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions, Trainer};
//!
//! // A table, split into training, validation and test rows; columns scaled by the training rows.
//! let table = data::digits();
//! let columns = SchemaOptions::default();
//! let labels = columns.labels(&table)?;
//! let parts = Partition::new(table.rows(), labels.as_deref(), &PartitionOptions::default())?;
//! let schema = Schema::fit(&table, &parts.train, &columns)?;
//!
//! // A net, how to train it, and every size of both before anything is allocated.
//! let mlp = Mlp::with_hidden(schema.in_features(), &[64], Activation::Relu, schema.outputs());
//! let options = TrainOptions {
//!     epochs: 3,
//!     ..TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adamw(3e-3))
//! };
//! let plan = Plan::new(&mlp, &options)?;
//!
//! // `GpuEngine::new(&device, &queue, plan)?` trains on your wgpu device instead.
//! let engine = CpuEngine::<f32>::new(plan);
//! let mut trainer = Trainer::new(engine, &schema.encode(&table, &parts.train)?, None)?;
//! trainer.train()?;
//! let test = trainer.evaluate(&schema.encode(&table, &parts.test)?)?;
//! assert!(test.score.value() > 0.9);
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! # Features
//! `cli` (default) brings the dependencies of the command line; the library needs none of them:
//! `wgrad = { version = "…", default-features = false }`. `parquet` and `images` add such tables to [`data`].

mod activation;
pub mod bench;
mod blocks;
pub mod check;
mod checkpoint;
pub mod data;
mod divergence;
mod early_stopping;
mod encoding;
mod engine;
mod error;
mod export;
mod fold;
mod init;
mod insight;
mod layer;
mod loss;
mod matmul;
mod model;
mod model_file;
mod ops;
mod optimizer;
mod options;
mod plan;
mod precision;
mod real;
pub mod rng;
mod sampler;
pub mod schedule;
mod simd;
mod state_dict;
#[cfg(test)]
mod testing;
// Not for users: fuzzing compares with it.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod tracked;
mod trainer;
mod whole_file;

pub use activation::Activation;
pub use checkpoint::Checkpoint;
pub use divergence::{Fault, OnDivergence};
pub use early_stopping::{EarlyStopping, WatchedMetric};
pub use encoding::Encoding;
pub use engine::cpu::{CpuData, CpuEngine};
pub use engine::gpu::{
    AdapterChoice, Fusion, Generator, Gpu, GpuData, GpuEngine, GpuOptions, GpuStats, HostRows,
    Module, OPTIONAL_FEATURES, RowFormat, StepMetrics, Tuning, adapters, is_software,
};
pub use engine::{Engine, EngineState, Keep, Metrics, Report, Step};
pub use error::{Error, Result};
pub use export::wgsl::{Affine, ColumnScaling, Squash, WgslOptions};
pub use init::Init;
pub use insight::{Insight, Spread, TensorInsight};
pub use layer::{BatchNorm, Dropout, Layer, LayerNorm, Linear};
pub use loss::Loss;
pub use model::Mlp;
pub use model_file::ModelFile;
pub use optimizer::{Clip, Decay, Optimizer, ParameterGroup, Parameters, Rule};
pub use options::TrainOptions;
pub use plan::{Norm, Plan, Stage, StageOp, TENSOR_ALIGN, Tensor, TensorKind};
pub use precision::Precision;
pub use real::Real;
pub use sampler::Sampling;
pub use schedule::{Plateau, Schedule};
pub use trainer::{EpochReport, Evaluation, Progress, Score, Trainer, evaluate};
/// The wgpu that the engine speaks: apps that share their device need this very version.
pub use wgpu;
