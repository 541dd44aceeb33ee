//! Exported nets in a host's shaders against the engine in f64, and in every language that naga writes.

mod cases;
mod expected;
#[path = "../../../tests/common/host.rs"]
mod host;
mod numbers;
mod refusals;
mod translation;
