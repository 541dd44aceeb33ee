//! Whether a device computes what it should: its kernels in small trainings, against the same in f64 on
//! the CPU.
//!
//! A driver's compiler may be wrong where ours is right, so users can ask their own: `wgrad check`.
//! Each [`Check`] is a net whose training brings certain kernels to work; together they bring all that trainings
//! on the device have to do with.

mod cases;
mod finding;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Instant;

use crate::activation::Activation;
use crate::data::{Dataset, Targets};
use crate::engine::Engine;
use crate::engine::cpu::CpuEngine;
use crate::engine::gpu::{Abilities, Fusion, Gpu, GpuEngine, GpuOptions, Tuning};
use crate::error::Result;
use crate::insight::TensorInsight;
use crate::model::Mlp;
use crate::options::TrainOptions;
use crate::plan::{Plan, Stage};
use crate::precision::Precision;
use crate::sampler::Order;
use crate::trainer::{Progress, Trainer};
pub use finding::Finding;
use finding::worse;

/// A small training of two steps.
#[derive(Clone, Debug)]
pub struct Check {
    name: String,
    mlp: Mlp,
    options: TrainOptions,
    fusion: Fusion,
    /// Whether it is about products, and is done in each form that the device's come in.
    pub(crate) in_each_form: bool,
    data: Dataset,
}

/// Numbers that two steps leave.
struct Outcome {
    /// Of the steps, then of all rows.
    losses: Vec<f64>,
    /// Of the first step.
    gradients: Vec<f64>,
    /// The trained ones, then their average.
    parameters: Vec<f64>,
    predictions: Vec<f64>,
    /// For inputs that are NaN.
    nan_predictions: Vec<f32>,
    /// Norms and dead units, where they are measured.
    insights: Vec<f64>,
}

impl Check {
    /// All of them, in the order of what they need: each kernel that a training of rows has to do with is in one
    /// at least.
    #[must_use]
    pub fn all() -> Vec<Self> {
        cases::all()
    }

    /// What it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The net.
    #[must_use]
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// Rows of a batch.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.options.batch_size
    }

    /// In which numbers it trains.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.options.precision
    }

    /// Whether a device has what it is about.
    #[must_use]
    pub fn suits(&self, gpu: &Gpu) -> bool {
        let has_halves = gpu.device.features().contains(wgpu::Features::SHADER_F16);
        has_halves || self.precision() == Precision::F32
    }

    /// Trains on the device, twice, and on the CPU.
    ///
    /// The losses of two steps and of all rows behind them, the gradients of the first, the parameters, their average
    /// and the predictions after the second are compared with those of [`CpuEngine<f64>`]. How far rounding takes them in f32 is
    /// measured by `CpuEngine<f32>`; the device, with as many roundings and coarser functions, may be 16
    /// times as far off, and by what WGSL lets its functions err (exp 3 + 2|x| ULP, sin 2⁻¹¹). In mixed
    /// precision numbers are rounded less often but 2¹³ times as coarsely, and it may be four times that far
    /// off. Outputs for an input of NaN have to be NaN. The gradients also have to be the slope of the f64 loss along themselves, by a difference quotient,
    /// which knows nothing of how they were made.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device fails, [`Error::Limit`](crate::Error::Limit)
    /// if it is too small, [`Error::Option`](crate::Error::Option) unless it [`suits`](Self::suits).
    pub fn run(&self, gpu: &Gpu) -> Result<Finding> {
        let run = |tuning| {
            self.run_with(gpu, &GpuOptions { fusion: self.fusion, tuning, ..GpuOptions::default() })
        };
        if !self.in_each_form {
            return run(Tuning::default());
        }
        let mut all = Finding::none();
        for &form in Abilities::of(&gpu.device).forms() {
            all.add(run(Tuning::of_form(&self.plan()?, form))?);
        }
        Ok(all)
    }

    /// The plan of its training.
    pub(crate) fn plan(&self) -> Result<Plan> {
        Plan::new(&self.mlp, &self.options)
    }

    /// [`run`](Self::run) on an engine with these options.
    pub(crate) fn run_with(&self, gpu: &Gpu, options: &GpuOptions) -> Result<Finding> {
        let plan = || self.plan();
        let begun = Instant::now();
        let mut kernels = BTreeSet::new();
        let mut on_device = || {
            let engine = GpuEngine::with_options(&gpu.device, &gpu.queue, plan()?, options)?;
            let (outcome, trainer) = self.two_steps(engine, GpuEngine::gradients)?;
            kernels.extend(trainer.kernels());
            Ok(outcome)
        };
        let [device, again]: [Outcome; 2] = [on_device()?, on_device()?];
        let seconds = begun.elapsed().as_secs_f64();
        let gradients = |engine: &mut CpuEngine<f32>| Ok(engine.gradients().to_vec());
        let (rounded, _) = self.two_steps(CpuEngine::<f32>::new(plan()?), gradients)?;
        let narrow = |engine: &mut CpuEngine<f64>| Ok(engine.gradients().to_vec());
        let (exact, _) = self.two_steps(CpuEngine::<f64>::new(plan()?), narrow)?;
        let parts = [
            ("losses", &device.losses, &rounded.losses, &exact.losses),
            ("gradients", &device.gradients, &rounded.gradients, &exact.gradients),
            ("parameters", &device.parameters, &rounded.parameters, &exact.parameters),
            ("predictions", &device.predictions, &rounded.predictions, &exact.predictions),
            ("insights", &device.insights, &rounded.insights, &exact.insights),
        ];
        let own = own_error(&plan()?);
        let ratio = |(what, device, rounded, exact): (&str, &Vec<f64>, &Vec<f64>, &Vec<f64>)| {
            let bound = self.allowed() * distance(rounded, exact) + own * largest(exact);
            // Where nothing is measured there is nothing to be off.
            let error = if exact.is_empty() { 0.0 } else { distance(device, exact) / bound };
            (error, what.to_owned())
        };
        let slope = (self.slope_error(&device.gradients)?, "slope along the gradients".to_owned());
        let worst = parts.map(ratio).into_iter().chain([slope]).fold((0.0, String::new()), worse);
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        let reproducible = same(&device.parameters, &again.parameters)
            && same(&device.losses, &again.losses)
            && same(&device.predictions, &again.predictions);
        let shows_nan = device.nan_predictions.iter().all(|y| y.is_nan());
        Ok(Finding { kernels, worst, reproducible, shows_nan, seconds })
    }

    fn two_steps<E: Engine, T: Copy + Into<f64>>(
        &self,
        engine: E,
        gradients: impl Fn(&mut E) -> Result<Vec<T>>,
    ) -> Result<(Outcome, Trainer<E>)> {
        let mut trainer = Trainer::new(engine, &self.data, None)?;
        let (mut losses, mut insights) = (Vec::new(), Vec::new());
        let mut observe = |progress: &Progress<'_>| {
            losses.push(progress.step_loss);
            if let Some(insight) = progress.insight {
                let norms = |t: &TensorInsight| [t.weight_norm, t.gradient_norm, t.update_norm];
                insights.extend(insight.tensors.iter().flat_map(norms));
                insights.extend(insight.dead_units.iter().map(|&(_, share)| share));
            }
            ControlFlow::Continue(())
        };
        trainer.train_steps(1, &mut observe)?;
        let gradients = gradients(trainer.engine_mut())?.into_iter().map(Into::into).collect();
        trainer.train_steps(1, &mut observe)?;
        losses.push(trainer.evaluate(&self.data)?.loss);
        let widen = |numbers: Vec<f32>| numbers.into_iter().map(f64::from);
        let mut parameters: Vec<f64> = widen(trainer.engine_mut().parameters()?).collect();
        // Where there is an average, it is what is evaluated and predicted with.
        parameters.extend(widen(trainer.parameters()?));
        let rows = self.data.rows().min(16) * self.mlp.in_features();
        let predictions = widen(trainer.predict(&self.data.inputs()[..rows])?).collect();
        let nan = vec![f32::NAN; self.mlp.in_features()];
        let nan_predictions = trainer.engine_mut().predict(&nan)?;
        let outcome =
            Outcome { losses, gradients, parameters, predictions, nan_predictions, insights };
        Ok((outcome, trainer))
    }
}

impl Check {
    /// How far the slope of the loss along the device's gradients is from their norm, as a part of its
    /// bound.
    fn slope_error(&self, gradients: &[f64]) -> Result<f64> {
        /// A step along the gradients: its square, which a difference quotient is off by, and the rounding
        /// of a loss in f64 by this are both far below a part in 10⁴.
        const STEP: f64 = 1e-5;
        let plan = Plan::new(&self.mlp, &self.options)?;
        let stored = if plan.options().precision.is_mixed() { 2.0_f64.powi(-7) } else { 0.0 };
        let bound = 1e-4 + stored + own_error(&plan);
        let batch = self.first_batch()?;
        let mut engine = CpuEngine::<f64>::new(plan);
        let data = engine.upload(&batch)?;
        let norm = gradients.iter().map(|g| g * g).sum::<f64>().sqrt();
        let initial = engine.parameters_exact().to_vec();
        let mut loss_at = |way: f64| {
            let moved = initial.iter().zip(gradients.iter().chain(std::iter::repeat(&0.0)));
            let moved = moved.map(|(w, g)| w + way * g / norm);
            engine.parameters_exact_mut().iter_mut().zip(moved).for_each(|(w, moved)| *w = moved);
            engine.training_loss_of(&data, 1).loss()
        };
        let slope = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
        Ok((slope - norm).abs() / (bound * norm))
    }
}

impl Check {
    /// How many times as far off as the CPU in f32 a device may be.
    const fn allowed(&self) -> f64 {
        match self.options.precision {
            Precision::F32 => 16.0,
            // Unit roundoffs of 2⁻¹¹ and 2⁻²⁴.
            Precision::Mixed => 4.0 * (1 << 13) as f64,
        }
    }

    fn first_batch(&self) -> Result<Dataset> {
        let order = Order::new(self.options.sampling, self.options.seed, 0, 1);
        let rows: Vec<usize> = (0..self.options.batch_size)
            .map(|index| order.row(count(self.data.rows()), 0, count(index)) as usize)
            .collect();
        fn taken<T: Copy>(from: &[T], width: usize, rows: &[usize]) -> Vec<T> {
            rows.iter().flat_map(|row| &from[row * width..][..width]).copied().collect()
        }
        let targets = match self.data.targets() {
            Targets::Classes { labels, classes } => {
                Targets::Classes { labels: taken(labels, 1, &rows), classes: *classes }
            }
            Targets::Values { values, width } => {
                Targets::Values { values: taken(values, *width, &rows), width: *width }
            }
        };
        let columns = self.data.in_features();
        let batch = Dataset::new(taken(self.data.inputs(), columns, &rows), columns, targets)?;
        match self.data.weights() {
            [] => Ok(batch),
            weights => batch.with_weights(taken(weights, 1, &rows)),
        }
    }
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

/// What WGSL lets the functions of a net err, as a part of its largest numbers.
fn own_error(plan: &Plan) -> f64 {
    let is_sine = |stage: &Stage| matches!(stage.activation, Activation::Sine { .. });
    // Sines 2⁻¹¹, of which a layer passes on a few; exponentials of up to 6 in size 15 ULP, and so do
    // errors of the error function, 1.5e-7.
    if plan.stages().iter().any(is_sine) {
        2.0_f64.powi(-9)
    } else {
        32.0 * f64::from(f32::EPSILON)
    }
}

/// Largest |a − b|; NaN if any is, or if there aren't as many.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |most: f64, d| if most.is_nan() || d <= most { most } else { d })
}

/// Largest |x|.
fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, x| most.max(x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdapterChoice;
    use crate::engine::kernel::Kernel;
    use crate::ops;

    /// What trainings of rows through `Trainer` have nothing to do with.
    const ELSEWHERE: [&str; 4] = ["generate", "encoding_backward", "bench_fma", "bench_copy"];

    /// A kernel's name without the form that the device chose.
    fn base(name: &str) -> &str {
        name.split('.').next().unwrap_or(name)
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn the_checks_pass_here_and_run_every_kernel() {
        let gpu = Gpu::open(AdapterChoice::Any).unwrap();
        let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());
        for check in Check::all() {
            let finding = check.run(&gpu).unwrap();
            println!("{}: {:?} in {:.1} s", check.name(), finding.worst, finding.seconds);
            assert!(finding.is_sound(), "{}: {finding:?}", check.name());
            seen.extend(finding.kernels.iter().map(|name| base(name)));
            names.extend(finding.kernels);
        }
        for form in Abilities::of(&gpu.device).forms() {
            let form = serde_json::to_value(form).unwrap();
            let has_form = |kernel: &Kernel| kernel.name.split('.').nth(1) == form.as_str();
            for kernel in ops::all().into_iter().filter(|kernel| has_form(kernel)) {
                assert!(names.contains(kernel.name), "{} isn't checked", kernel.name);
            }
        }
        for kernel in ops::all().iter().map(|kernel| base(kernel.name)) {
            // Software adapters don't sum in slices; fused steps do.
            assert!(seen.contains(kernel) || ELSEWHERE.contains(&kernel), "{kernel} isn't checked");
        }
    }

    /// A bound so wide that a wrong formula would pass says nothing.
    #[test]
    fn bounds_are_far_below_what_a_wrong_formula_makes() {
        for check in Check::all() {
            let plan = || Plan::new(&check.mlp, &check.options).unwrap();
            let gradients = |engine: &mut CpuEngine<f32>| Ok(engine.gradients().to_vec());
            let (rounded, _) = check.two_steps(CpuEngine::<f32>::new(plan()), gradients).unwrap();
            let gradients = |engine: &mut CpuEngine<f64>| Ok(engine.gradients().to_vec());
            let (exact, _) = check.two_steps(CpuEngine::<f64>::new(plan()), gradients).unwrap();
            let own = own_error(&plan());
            for (what, rounded, exact) in [
                ("losses", &rounded.losses, &exact.losses),
                ("gradients", &rounded.gradients, &exact.gradients),
                ("parameters", &rounded.parameters, &exact.parameters),
            ] {
                let bound = check.allowed() * distance(rounded, exact) / largest(exact) + own;
                let most = if check.precision() == Precision::F32 { 2e-3 } else { 4e-2 };
                assert!(bound <= most + own, "{}, {what}: {bound:e}", check.name);
            }
        }
    }

    #[test]
    fn a_gradient_without_one_term_is_no_slope() {
        let check = &Check::all()[0];
        let plan = Plan::new(&check.mlp, &check.options).unwrap();
        let gradients = |engine: &mut CpuEngine<f64>| Ok(engine.gradients().to_vec());
        let (exact, _) = check.two_steps(CpuEngine::<f64>::new(plan.clone()), gradients).unwrap();
        assert!(check.slope_error(&exact.gradients).unwrap() <= 1.0);
        let mut wrong = exact.gradients.clone();
        let last = plan.tensors().last().unwrap().range();
        wrong[last].iter_mut().for_each(|g| *g *= 0.9);
        assert!(check.slope_error(&wrong).unwrap() > 1.0);
        let nan = (f64::NAN, String::new());
        assert!(worse(nan, (0.5, String::new())).0.is_nan());
        assert!(distance(&[0.0, f64::NAN, 9.0], &[0.0; 3]).is_nan());
        assert_eq!(distance(&[0.0, -9.0, 1.0], &[0.0; 3]), 9.0);
    }
}
