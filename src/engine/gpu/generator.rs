//! Data that a WGSL function of the host app makes on the device, batch by batch.

use super::buffers::{storage, whole};
use super::pipeline::{HostModule, Pipeline};
use super::program::{Builder, Dispatch, Feed, Rows};
use super::scope::in_scope;
use super::{GpuData, GpuEngine};
use crate::engine::kernel::Halves;
use crate::error::{Error, Result};
use crate::ops::generate::{GENERATE, GENERATE_WGSL, grid};

/// A WGSL function that makes training data on the device, for [`GpuEngine::generate`]: samples of an
/// image or of a signed distance function, for example.
///
/// ```
/// // y = sin(2πx), x uniform in [0, 1)
/// let generator = wgrad::Generator::new("
///     fn sample(i: u32, seed: u32) -> Sample {
///         let x = wgrad_random(i, seed).x;
///         return Sample(array(x), array(sin(6.2831853 * x)));
///     }", 4096);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Generator<'a> {
    /// Declares `fn sample(i: u32, seed: u32) -> Sample`: row `i` of the epoch, counted from 0. `seed` is
    /// a random word, the same for all rows of a step and another in the next.
    ///
    /// `Sample` is there already: `struct Sample { input: array<f32, …>, targets: array<f32, …> }`, with
    /// as many elements as the net has inputs and the loss targets (1 class index for cross-entropy,
    /// else the net's outputs). So is `fn wgrad_random(i: u32, seed: u32) -> vec4<f32>`: four random
    /// numbers in [0, 1). `philox4x32`, `mul_high`, `main` and names that begin with `wgrad_` or
    /// `WGRAD_` are taken. Compiled with bounds checks, as any host code.
    pub wgsl: &'a str,
    /// How many rows make an epoch, which is what schedules count in; at least 1. Batches have no more.
    pub rows: u32,
    /// What the function reads besides: a bind group for `@group(1)`, with its very layout and without
    /// dynamic offsets. Default: none.
    pub group: Option<(&'a wgpu::BindGroupLayout, &'a wgpu::BindGroup)>,
}

impl<'a> Generator<'a> {
    /// A function that needs nothing but its arguments.
    #[must_use]
    pub const fn new(wgsl: &'a str, rows: u32) -> Self {
        Self { wgsl, rows, group: None }
    }
}

impl GpuEngine {
    /// A data set that the host's own WGSL makes on the device, batch by batch: nothing is stored.
    ///
    /// Compiles the function, and the kernels that aren't yet, as [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// [`Error::Device`] with the compiler's message if the text isn't WGSL, or doesn't declare what it
    /// has to; [`Error::Option`] if there are no rows.
    pub fn generate(&mut self, generator: &Generator<'_>) -> Result<GpuData> {
        if generator.rows == 0 {
            return Err(Error::Option {
                name: "rows of a generator",
                value: "0".into(),
                expected: "at least 1",
            });
        }
        let (in_features, width) = (self.plan.mlp().in_features(), self.plan.target_width());
        let constants =
            format!("\nconst WGRAD_INPUTS = {in_features}u;\nconst WGRAD_TARGETS = {width}u;\n");
        let module = HostModule {
            wgsl: &[generator.wgsl, &constants, GENERATE_WGSL].concat(),
            group: generator.group.map(|(layout, _)| layout),
        };
        let Self { device, plan, buffers, pipelines, variants, program, .. } = self;
        let during = "compiling a generator of training data";
        let feed = in_scope(device, during, || {
            let pipeline = Pipeline::new(device, &GENERATE, Halves::NONE);
            let compiled = pipeline.compile_host_module(device, &module, pipelines.cache.as_ref());
            // Set here alone.
            let _ = pipeline.compiled.set(compiled);
            let batch_targets = storage(device, "batch_targets", plan.capacity() * width);
            let bindings = [
                ("wgrad_step", whole(&buffers.steps)),
                ("wgrad_inputs", whole(&buffers.batch_inputs)),
                ("wgrad_targets", whole(&batch_targets)),
            ];
            let dispatch = Dispatch::new(device, &pipeline, "data", grid(), &bindings);
            let dispatch =
                dispatch.with_host_group(generator.group.map(|(_, group)| group.clone()));
            let inputs = Rows::Batch(&buffers.batch_inputs);
            let mut builder = Builder::new(plan, buffers, pipelines, variants);
            let net = program.fused_net(&mut builder);
            let targets = Rows::Batch(&batch_targets);
            Feed::new(builder, net, vec![dispatch], &inputs, Some(&targets))
        })
        .inspect_err(|_| program.forget_fused_net());
        let feed = self.told(feed)?;
        self.prepare()?;
        let data = self.data(feed, generator.rows as usize, false);
        Ok(GpuData { generated: true, ..data })
    }
}
