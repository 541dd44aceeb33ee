//! The bytes of a plan, and what is refused by them.

use super::table::bytes;
use super::{F16, F32, Plan};
use crate::error::{Error, Result};
use crate::options::TrainOptions;

impl Plan {
    /// Numbers that last from step to step: parameters, moments, averages, the copies of these that are
    /// kept, and what insights are measured by.
    pub(crate) fn lasting_elements(&self) -> u64 {
        let TrainOptions { optimizer, ema, early_stopping, insight_every, .. } = &self.options;
        // The parameters and their last good copy, and the best one.
        let copies = 2 + u64::from(early_stopping.is_some());
        let arenas = copies * (1 + u64::from(ema.is_some()));
        let trained = optimizer.moments() as u64 + 2 * u64::from(insight_every.is_some());
        arenas * self.arena_len as u64 + trained * self.trained_len() as u64
    }

    /// Bytes of parameters, gradients, optimizer state, averages and the copies of all this that are
    /// kept: on a GPU, in mixed precision with a copy of the parameters in f16.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        // Averages change places with the parameters by way of a third buffer.
        let swap = u64::from(self.options.ema.is_some()) * self.arena_len as u64;
        let halves = if self.options.precision.is_mixed() { F16 } else { 0 };
        (self.lasting_elements() + swap) * F32 + (F32 + halves) * self.trained_len() as u64
    }

    /// Bytes of the activations and their gradients for [`capacity`](Self::capacity) rows, the
    /// batch's inputs included: on a GPU, where mixed precision halves most.
    #[must_use]
    pub fn activation_bytes(&self) -> u64 {
        // Two buffers for dL/dZ take turns.
        let number = if self.options.precision.is_mixed() { F16 } else { F32 };
        self.forward_bytes() + 2 * self.capacity as u64 * self.widest_output() as u64 * number
    }

    /// The part of [`activation_bytes`](Self::activation_bytes) that the forward pass takes.
    pub(crate) fn forward_bytes(&self) -> u64 {
        let rows = self.capacity;
        let number = |is_half: bool| if is_half { F16 } else { F32 };
        let stages = self.stages.iter().enumerate();
        let activations: u64 =
            stages.map(|(i, s)| s.activation_len(rows) as u64 * number(self.is_half(i))).sum();
        // One more column for the rows' places in the data set.
        let batch = rows as u64 * (self.mlp.in_features() + 1) as u64;
        let norms: u64 = self.stages.iter().map(|s| 5 * s.norm_groups(rows) as u64).sum();
        activations + (batch + norms) * F32
    }

    /// Bytes of a data set of `rows` rows, resident on the device.
    #[must_use]
    pub fn data_bytes(&self, rows: usize) -> u64 {
        rows as u64 * (self.mlp.in_features() + self.target_width()) as u64 * F32
    }

    /// Bytes of state and activations: what any device needs, be the engine what it may.
    /// [`CpuEngine::bytes_of`](crate::CpuEngine::bytes_of) and
    /// [`GpuEngine::bytes`](crate::GpuEngine::bytes) count all that they allocate.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.state_bytes() + self.activation_bytes()
    }

    /// Refuses a plan that needs more than `available` bytes as `bytes_of` counts them, naming the
    /// batch size that would fit.
    ///
    /// ```
    /// # use wgrad::{CpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions};
    /// # let options = TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1));
    /// # let plan = Plan::new(&Mlp::new(2).linear(1), &options)?;
    /// plan.check_memory(CpuEngine::<f32>::bytes_of, 1 << 30, "free memory")?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Limit`] with the numbers.
    pub fn check_memory(
        &self,
        bytes_of: impl Fn(&Self) -> u64,
        available: u64,
        limit_name: &'static str,
    ) -> Result<()> {
        let needed = bytes_of(self);
        if needed <= available {
            return Ok(());
        }
        // Between the ranges of a buffer is padding, so a share of the bytes wouldn't be exact.
        let (mut fitting, mut too_many) = (0, self.options.rows_at_once());
        while too_many - fitting > 1 {
            let middle = fitting + (too_many - fitting) / 2;
            let fits = bytes_of(&self.with_batch(middle)) <= available;
            if fits { fitting = middle } else { too_many = middle }
        }
        Err(Error::Limit {
            what: self.purpose(),
            needed: bytes(needed),
            limit_name,
            limit: bytes(available),
            remedy: match fitting {
                0 => ": make the layers narrower; no batch size fits".into(),
                rows => format!(": a batch_size of {rows} would fit"),
            },
        })
    }

    /// What the training is, for errors.
    pub(crate) fn purpose(&self) -> String {
        format!("training {} with batches of {}", self.mlp, self.options.batch_size)
    }

    /// What would help where `bytes_of` the plan were too many, whatever the memory is.
    pub(crate) fn smaller(&self, bytes_of: impl Fn(&Self) -> u64) -> String {
        let rows = self.options.rows_at_once() / 2;
        let less = (rows > 0).then(|| bytes_of(&self.with_batch(rows)));
        match less.filter(|&less| less < bytes_of(self)) {
            None => " (make the layers narrower)".into(),
            Some(less) => {
                format!(" (a batch_size or micro_batch of {rows} would need {})", bytes(less))
            }
        }
    }

    /// The same training with smaller batches.
    fn with_batch(&self, rows: usize) -> Self {
        let mut plan = self.clone();
        plan.options.batch_size = rows;
        plan.capacity = rows.max(plan.least_capacity());
        plan
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Plan;
    use crate::plan::tests::plan;
    use crate::{Activation, Mlp};

    #[test]
    fn memory_is_refused_with_the_batch_that_fits() {
        let mlp = Mlp::with_hidden(100, &[100], Activation::Relu, 10);
        let check = |batch, available| {
            plan(&mlp, batch).unwrap().check_memory(Plan::total_bytes, available, "free memory")
        };
        let available = plan(&mlp, 1000).unwrap().total_bytes();
        let refused = check(5000, available).unwrap_err().to_string();
        assert!(refused.contains("a batch_size of 1000 would fit"), "{refused}");
        assert!(check(1000, available).is_ok());
    }

    #[test]
    fn a_batch_below_what_evaluation_takes_at_once_is_not_named() {
        let mlp = Mlp::new(1).linear(39).batch_norm().linear(12);
        let plan = plan(&mlp, 471).unwrap();
        let available = plan.state_bytes() + plan.activation_bytes() / 471;
        let refused = plan.check_memory(Plan::total_bytes, available, "free memory");
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("no batch size fits"), "{refused}");
    }

    #[test]
    fn what_would_help_counts_the_rows_that_evaluation_takes() {
        let mlp = Mlp::with_hidden(100, &[100], Activation::Relu, 10);
        let told = |batch| plan(&mlp, batch).unwrap().smaller(Plan::total_bytes);
        assert!(told(256).contains("make the layers narrower"), "{}", told(256));
        let less = plan(&mlp, 500).unwrap().total_bytes();
        assert_eq!(
            told(1000),
            format!(" (a batch_size or micro_batch of 500 would need {})", super::bytes(less))
        );
    }
}
