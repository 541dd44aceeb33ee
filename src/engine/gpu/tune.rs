//! The search for the fastest variants of a net's products on a device.

use std::time::{Duration, Instant};

use super::cooperative::is_trusted;
use super::program::{Builder, Dispatch};
use super::scope::in_scope;
use super::timer::PassTimer;
use super::tuning::{Orientation, Product, Tuning, Variant, products};
use super::{Fusion, Gpu, GpuData, GpuEngine, GpuOptions};
use crate::error::Result;
use crate::ops::fused::Fused;
use crate::plan::Plan;

/// A variant takes the rule's place if it takes less than this share of its time: below that it may be
/// noise, and the rule's choice is the same on every run.
const WORTH: f64 = 0.95;
/// Seconds of one measurement at the most.
pub(super) const LONGEST: f64 = 2e-3;

impl GpuEngine {
    /// Measures the variants of the plan's products on a device, and whether fused steps are faster, for
    /// about `budget`, beside compiling the net's own kernels. What there is no time for is left to the rule. The products are
    /// those of full batches, one after the other; nothing is trained.
    ///
    /// A second is enough for most nets on a GPU. On software adapters a kernel alone may take that long
    /// to compile. Matrix units ([`GpuOptions::cooperative_matrix`]) are tried out where two small trainings
    /// with them come out right; of the other options only the pipeline cache has an effect.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn tune(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        plan: &Plan,
        options: &GpuOptions,
        budget: Duration,
    ) -> Result<Tuning> {
        let begun = Instant::now();
        let plain = GpuOptions { tuning: Tuning::default(), ..options.clone() };
        let by_layers = GpuOptions { fusion: Fusion::Never, ..plain.clone() };
        let mut engine = Self::with_options(device, queue, plan.clone(), &by_layers)?;
        if let Some(form) = engine.variants.abilities.cooperative {
            let (device, queue) = (device.clone(), queue.clone());
            let gpu = Gpu { info: device.adapter_info(), device, queue };
            if !is_trusted(&gpu, &plain, form, plan.options().precision)? {
                engine.variants.abilities.cooperative = None;
            }
        }
        let data = engine.blank_batch()?;
        engine.rehearse(&data)?;
        let timer = PassTimer::new(device, queue)?;
        let products = products(plan);
        let count: usize =
            products.iter().map(|(_, product)| engine.variants.candidates(*product).len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "some ten candidates")]
        let each = budget.as_secs_f64() / (2 * count.max(1)) as f64;
        let software = engine.variants.abilities.software;
        let mut tuning = Tuning::default();
        for (index, product) in products {
            let rule = engine.variants.of(product);
            let mut fastest = (rule, f64::INFINITY);
            for variant in engine.variants.candidates(product) {
                if begun.elapsed() >= budget {
                    return Ok(tuning);
                }
                let dispatches = engine.product(index, product, variant)?;
                let seconds = engine.repeat(&data, each, &timer, |_, pass, offset, rows| {
                    dispatches.iter().for_each(|dispatch| dispatch.record(pass, offset, rows));
                })?;
                let worth = if fastest.0 == rule { WORTH } else { 1.0 };
                // The rule's is the first.
                if variant == rule || seconds < worth * fastest.1 {
                    fastest = (variant, seconds);
                }
            }
            if fastest.0 != rule {
                tuning.set(product, fastest.0);
            }
        }
        drop((engine, data));
        let suits = Fused::of(plan, &device.limits()).ok().filter(|_| !software);
        let Some(fused) = suits.filter(|_| begun.elapsed() < budget) else { return Ok(tuning) };
        let seconds_of = |fusion| {
            let options = GpuOptions { fusion, tuning: tuning.clone(), ..plain.clone() };
            let mut engine = Self::with_options(device, queue, plan.clone(), &options)?;
            let data = engine.blank_batch()?;
            engine.rehearse(&data)?;
            engine.time_step(&data, each, &timer)
        };
        let (layers, whole) = (seconds_of(Fusion::Never)?, seconds_of(Fusion::Always)?);
        let rule = fused.keeps_busy();
        if if rule { layers < WORTH * whole } else { whole < WORTH * layers } {
            tuning.set_fused(!rule);
        }
        Ok(tuning)
    }

    /// A batch of rows of which nothing is learnt.
    fn blank_batch(&mut self) -> Result<GpuData> {
        let rows = self.plan.options().rows_at_once();
        let inputs = vec![0.0; rows * self.plan.mlp().in_features()];
        let targets = vec![0.0; rows * self.plan.target_width()];
        self.upload_arrays(&inputs, &targets, false, rows)
    }

    /// A product of stage `index`, compiled.
    fn product(
        &mut self,
        index: usize,
        product: Product,
        variant: Variant,
    ) -> Result<Vec<Dispatch>> {
        let mut variants = self.variants.clone();
        variants.tuning.set(product, variant);
        let Self { device, plan, buffers, pipelines, .. } = self;
        let dispatches = in_scope(device, "preparing to tune", || {
            let mut builder = Builder::new(plan, buffers, pipelines, &variants);
            let (input, gradient) = (buffers.input_of(index), builder.gradient_of(index));
            match product.orientation {
                Orientation::Forward => vec![builder.linear_forward(index, input, false)],
                Orientation::BackwardInput => {
                    let below = builder.gradient_of(index - 1);
                    vec![builder.input_gradient(index, gradient, below)]
                }
                Orientation::BackwardWeight => {
                    builder.weight_gradient(index, gradient, input, false)
                }
            }
        })?;
        pipelines.compile()?;
        Ok(dispatches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine as _;
    use crate::engine::gpu::AdapterChoice;
    use crate::{Activation, Loss, Mlp, Optimizer, TrainOptions};

    fn plan() -> Plan {
        let mlp = Mlp::with_hidden(8, &[12, 12], Activation::Relu, 4);
        let options =
            TrainOptions { batch_size: 32, ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)) };
        Plan::new(&mlp, &options).unwrap()
    }

    #[test]
    fn each_shape_is_measured_once() {
        let of = |orientation, inputs, outputs| Product::of(orientation, 32, inputs, outputs);
        use Orientation::{BackwardInput, BackwardWeight, Forward};
        assert_eq!(
            products(&plan()),
            [
                (0, of(Forward, 8, 12)),
                (0, of(BackwardWeight, 8, 12)),
                (1, of(Forward, 12, 12)),
                (1, of(BackwardWeight, 12, 12)),
                (1, of(BackwardInput, 12, 12)),
                (2, of(Forward, 12, 4)),
                (2, of(BackwardWeight, 12, 4)),
                (2, of(BackwardInput, 12, 4)),
            ]
        );
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn a_search_keeps_to_its_time_and_names_variants_of_the_device() {
        let gpu = Gpu::open(AdapterChoice::Any).unwrap();
        let plan = plan();
        let tune = |budget| {
            GpuEngine::tune(&gpu.device, &gpu.queue, &plan, &GpuOptions::default(), budget).unwrap()
        };
        let none = tune(Duration::ZERO);
        assert!(none.is_empty());
        let tuning = tune(Duration::from_secs(20));
        let options = GpuOptions { tuning: tuning.clone(), ..GpuOptions::default() };
        let engine =
            GpuEngine::with_options(&gpu.device, &gpu.queue, plan.clone(), &options).unwrap();
        for (_, product) in products(&plan) {
            let variant = engine.variants.of(product);
            assert!(engine.variants.candidates(product).contains(&variant), "{product:?}");
        }
        assert_eq!(engine.tuning(), tuning);
    }

    /// Kernels are those that the tuning names, and a training with them is the same to rounding.
    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn an_engine_runs_what_its_tuning_says() {
        use crate::ops::product::Form;
        let gpu = Gpu::open(AdapterChoice::Any).unwrap();
        let plan = plan();
        let mut tuning = Tuning::default();
        let forward = Product::of(Orientation::Forward, 32, 8, 12);
        let weight = Product::of(Orientation::BackwardWeight, 32, 12, 4);
        tuning.set(forward, Variant { form: Form::Tiled8, slices: 1 });
        tuning.set(weight, Variant { form: Form::Direct, slices: 2 });
        let gradients = |tuning: Tuning| {
            let options = GpuOptions { tuning, fusion: Fusion::Never, ..GpuOptions::default() };
            let mut engine =
                GpuEngine::with_options(&gpu.device, &gpu.queue, plan.clone(), &options).unwrap();
            let inputs: Vec<f32> = (0_u8..=255).map(|i| f32::from(i) / 256.0 - 0.5).collect();
            let data = engine.upload_arrays(&inputs, &[0.25; 32 * 4], false, 32).unwrap();
            let names: Vec<String> = engine
                .step_dispatches(&data)
                .into_iter()
                .map(|(kernel, place)| format!("{kernel}[{place}]"))
                .collect();
            engine.rehearse(&data).unwrap();
            (names, engine.gradients().unwrap())
        };
        let (names, tuned) = gradients(tuning);
        for name in [
            "linear_forward.tiled8.quads[0]",
            "linear_backward_weight.direct.quads[4]",
            "gradient_sum[4]",
        ] {
            assert!(names.iter().any(|other| other == name), "{name} isn't in {names:?}");
        }
        let (names, plain) = gradients(Tuning::default());
        assert!(!names.iter().any(|name| name.contains("gradient_sum")), "{names:?}");
        // Sums of at most 32 products of numbers below 1, in any order, through three layers.
        let mut apart = tuned.iter().zip(&plain).map(|(a, b)| (a - b).abs());
        assert!(apart.all(|apart| apart <= 3.0 * 64.0 * f32::EPSILON), "{tuned:?} {plain:?}");
        assert!(plain.iter().any(|&g| g != 0.0));
    }
}
