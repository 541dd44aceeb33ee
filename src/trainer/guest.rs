//! Training inside a host app's frames: recorded into its encoders, submitted and polled by it.

use std::time::{Duration, Instant};

use super::Trainer;
use super::resident::Resident;
use crate::engine::Engine as _;
use crate::engine::gpu::{GpuData, GpuEngine, StepMetrics};
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::options::TrainOptions;
use crate::plan::Plan;
use crate::sampler::Sampling;
use crate::{Loss, Optimizer, Precision};

/// What a host app calls in its frames.
///
/// Nothing here submits, polls or waits but [`measure_steps`](Trainer::measure_steps), and nothing is made
/// that stays. What submits by itself (`train…`, `evaluate`, `predict`, `checkpoint`) overtakes encoders
/// that the host hasn't submitted yet. Steps are those that [`train_epoch`](Trainer::train_epoch) would do next,
/// with the same bits; what happens at the end of an epoch there (validation, plateau, early stopping,
/// going back when the loss isn't finite) is left to the host, and insights aren't measured.
///
/// ```no_run
/// # fn frame(device: &wgrad::wgpu::Device, queue: &wgrad::wgpu::Queue,
/// #     trainer: &mut wgrad::Trainer<wgrad::GpuEngine>) -> wgrad::Result<()> {
/// use std::time::Duration;
/// let mut encoder = device.create_command_encoder(&Default::default());
/// trainer.encode_steps_within(&mut encoder, Duration::from_millis(4))?;
/// // … the app's own passes …
/// queue.submit([encoder.finish()]);
/// if let Some(news) = trainer.latest_metrics()? {
///     println!("step {}: loss {:.4}", news.step, news.metrics.loss());
/// }
/// # Ok(())
/// # }
/// ```
impl Trainer<GpuEngine> {
    /// Kernels that the training has to do with.
    pub(crate) fn kernels(&self) -> impl Iterator<Item = &'static str> {
        self.engine.kernels(&self.train.data)
    }

    /// The limits that a device needs for training `mlp` with batches of `batch_size` rows: wgpu's
    /// defaults, with larger buffers where the net asks for them. [`OPTIONAL_FEATURES`] tells which
    /// features make it faster; none is needed. For trainings with insights ask
    /// [`Plan::required_limits`].
    ///
    /// # Errors
    /// As [`Plan::new`] and, where no device can have them, as [`Plan::check_limits`].
    ///
    /// [`OPTIONAL_FEATURES`]: crate::OPTIONAL_FEATURES
    pub fn required_limits(mlp: &Mlp, batch_size: usize) -> Result<wgpu::Limits> {
        // Sizes don't depend on the loss, and Adam has as many buffers as any usual rule.
        let options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
        let plan =
            |precision| Plan::new(mlp, &TrainOptions { batch_size, precision, ..options.clone() });
        let plans = [plan(Precision::F32)?, plan(Precision::Mixed)?];
        let [single, mixed] = plans.each_ref().map(Plan::required_limits);
        let limits = single.or_better_values_from(&mixed);
        plans.iter().try_for_each(|plan| plan.check_limits(&limits))?;
        Ok(limits)
    }

    /// [`OPTIONAL_FEATURES`](crate::OPTIONAL_FEATURES).
    #[must_use]
    pub const fn optional_features() -> wgpu::Features {
        crate::OPTIONAL_FEATURES
    }

    /// Trains on data that are on the device already: rows in the host's buffers
    /// ([`GpuEngine::bind`]) or made by the host's function ([`GpuEngine::generate`]).
    ///
    /// # Errors
    /// As [`new`](Self::new), but for what depends on the values; [`Error::Option`] for class weights, by
    /// whose sum over the batch the loss would have to be divided.
    pub fn on_device(engine: GpuEngine, data: GpuData) -> Result<Self> {
        engine.identity.check(&data.owner)?;
        let options = engine.plan().options();
        match &options.loss {
            Loss::CrossEntropy { class_weights, .. } if !class_weights.is_empty() => {
                return Err(Error::Option {
                    name: "class_weights",
                    value: format!("{class_weights:?}"),
                    expected: "empty for data on the device: the host can't sum its classes' weights",
                });
            }
            _ => {}
        }
        if data.weighted {
            return Err(Error::Option {
                name: "data set",
                value: "one with weights of rows".into(),
                expected: "one without for data on the device: the host can't sum the weights of a batch",
            });
        }
        // A generator gets the step's random word, as draws do.
        let sampling = if data.generated { Sampling::Replacement } else { options.sampling };
        let rows = data.row_count();
        let train = Resident { data, rows, sampling, row_weights: None, target_squares: 0.0 };
        Self::with_resident(engine, train, None)
    }

    /// Records the next `steps` training steps, and returns how many: fewer if too much is recorded that
    /// isn't known to be done. The engine has room for 16 recordings with 256 parts of steps in all: a step is
    /// one part unless [`micro_batch`](TrainOptions::micro_batch) divides it, and each 64 parts of a call are
    /// a recording. A recording is done after its encoder was submitted and the device has been polled, which
    /// submitting does too.
    ///
    /// If the encoder is dropped or invalid, its steps never happen: no parameter changes, nothing is
    /// reported of them, and their numbers aren't used again.
    ///
    /// After the options' last epoch the steps go on, with the learning rate of the schedule's end, which may
    /// be 0: [`is_finished`](Self::is_finished) reports that, and
    /// [`TrainOptions::ENDLESS`] has no last epoch.
    ///
    /// The steps run where they stand in the encoder; passes of the host before and behind them see the
    /// parameters before and after.
    ///
    /// # Errors
    /// [`Error::Limit`] if a batch has more than 64 parts; [`Error::Pending`] if there has been no room for
    /// 10 s, as encoders aren't submitted or the device isn't polled; [`Error::Device`] if the device failed
    /// on earlier steps, [`Error::Lost`] if it is gone.
    pub fn encode_steps(&mut self, encoder: &mut wgpu::CommandEncoder, steps: u64) -> Result<u64> {
        /// Steps to make at once.
        const AT_ONCE: u64 = 64;
        let mut recorded = 0;
        while recorded < steps {
            let wanted = (steps - recorded).min(AT_ONCE);
            self.make_steps(wanted);
            self.steps.iter_mut().for_each(|step| step.insight = false);
            let count = self.engine.encode_steps(encoder, &self.train.data, &self.steps)? as u64;
            self.advance(count);
            recorded += count;
            if count < wanted {
                break;
            }
        }
        self.settle();
        Ok(recorded)
    }

    /// Records as many steps as the device does in `budget`, by the time that earlier ones took, and returns
    /// how many. If a step takes longer than the budget, it is recorded after so many calls that their
    /// budgets pay for it, so `budget` holds on average; but a step is recorded each second, however long
    /// it takes.
    ///
    /// The time of a step is the median of the newest five measurements by the device's timestamps, if it
    /// was opened with the feature `TIMESTAMP_QUERY`; the first one is left out, as the driver may still
    /// compile in it. Without timestamps it is what the newest [`measure_steps`](Self::measure_steps)
    /// returned. While it isn't known, each call records one step.
    ///
    /// # Errors
    /// As [`encode_steps`](Self::encode_steps).
    pub fn encode_steps_within(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        budget: Duration,
    ) -> Result<u64> {
        let steps = self.engine.affordable(budget, self.parts())?;
        self.encode_steps(encoder, steps)
    }

    /// Trains so many steps, at least 2, in submissions of its own, waits for them, and returns what one
    /// takes by wall-clock time. The first step isn't timed, as the driver may still compile in it.
    /// [`encode_steps_within`](Self::encode_steps_within) goes by the result, instead of by what was
    /// measured before.
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails, [`Error::Lost`] if it is gone.
    pub fn measure_steps(&mut self, steps: u64) -> Result<Duration> {
        self.run_steps(1)?;
        let timed = steps.max(2) - 1;
        let start = Instant::now();
        self.run_steps(timed)?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2⁵²")]
        let each = start.elapsed().div_f64(timed as f64);
        self.engine.set_step_time(each, self.parts());
        Ok(each)
    }

    /// What a step takes on the device, as far as that is known: see
    /// [`encode_steps_within`](Self::encode_steps_within).
    #[must_use]
    pub fn step_time(&self) -> Option<Duration> {
        self.engine.step_time(self.parts())
    }

    /// Parts of a step.
    fn parts(&self) -> usize {
        self.engine.plan().options().parts_of(self.train.rows as usize)
    }

    /// Metrics of the recorded steps that came back since the last call; `None` if none did. They come
    /// after the host has submitted the steps and polled its device, of all steps that were done and of no
    /// others.
    ///
    /// # Errors
    /// [`Error::Device`] if the device failed.
    pub fn latest_metrics(&mut self) -> Result<Option<StepMetrics>> {
        self.engine.step_metrics()
    }

    /// Records the net's outputs for rows in the host's buffers, as [`GpuEngine::encode_inference`], but
    /// with the averaged weights where an average is kept ([`TrainOptions::ema`]).
    ///
    /// # Errors
    /// As [`GpuEngine::encode_inference`].
    pub fn encode_inference(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        input: wgpu::BufferSlice<'_>,
        output: wgpu::BufferSlice<'_>,
    ) -> Result<()> {
        self.engine.encode_swap_average(encoder);
        let result = self.engine.encode_inference(encoder, input, output);
        self.engine.encode_swap_average(encoder);
        result
    }
}
