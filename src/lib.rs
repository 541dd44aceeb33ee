//! Trains multi-layer perceptrons with WGSL compute shaders on any GPU that wgpu reaches.

mod error;
pub mod rng;

pub use error::{Error, Result};
