//! Five trainings of different shape, and data for them.

use crate::activation::Activation;
use crate::data::{Dataset, Targets};
use crate::loss::Loss;
use crate::model::Mlp;
use crate::optimizer::{Decay, Optimizer};
use crate::options::TrainOptions;
use crate::rng::{Purpose, Stream};

/// A training whose speed is worth knowing. Every net has random inputs, so that only its shape
/// matters.
///
/// ```
/// use wgrad::bench::Workload;
/// use wgrad::Plan;
/// let workload = Workload::Digits;
/// let plan = Plan::new(&workload.mlp(), &workload.options())?;
/// assert_eq!(plan.parameters(), 101_770);
/// assert_eq!(workload.data(2)?.rows(), 128);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Workload {
    /// W1: 784-128-10, ReLU, cross-entropy, batch 64, Adam. A small net on MNIST's digits.
    Digits,
    /// W2: 784-512-512-10, ReLU, cross-entropy, batch 256, AdamW. A large one.
    WideDigits,
    /// W3: 1024, five hidden layers of 1024, 10; GELU, cross-entropy, batch 512, AdamW. Products are
    /// all that counts.
    Square,
    /// W4: 2-64-64-64-64-3, ReLU, MSE, batch 16,384, Adam. An image as a function of the place.
    Image,
    /// W5: 32-256-256-1, batch norm, ReLU, dropout 0.1, binary cross-entropy, batch 1,024, SGD with
    /// momentum 0.9 and weight decay. A table.
    Table,
}

impl Workload {
    /// All five.
    pub const ALL: [Self; 5] =
        [Self::Digits, Self::WideDigits, Self::Square, Self::Image, Self::Table];

    /// `W1` to `W5`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "W1",
            Self::WideDigits => "W2",
            Self::Square => "W3",
            Self::Image => "W4",
            Self::Table => "W5",
        }
    }

    /// The net in a few words.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Digits => "784-128-10 relu, batch 64, adam",
            Self::WideDigits => "784-512-512-10 relu, batch 256, adamw",
            Self::Square => "1024-5×1024-10 gelu, batch 512, adamw",
            Self::Image => "2-4×64-3 relu, batch 16384, adam",
            Self::Table => "32-2×256-1 norm relu dropout, batch 1024, momentum",
        }
    }

    /// The net.
    #[must_use]
    pub fn mlp(self) -> Mlp {
        match self {
            Self::Digits => Mlp::with_hidden(784, &[128], Activation::Relu, 10),
            Self::WideDigits => Mlp::with_hidden(784, &[512; 2], Activation::Relu, 10),
            Self::Square => Mlp::with_hidden(1024, &[1024; 5], Activation::Gelu, 10),
            Self::Image => Mlp::with_hidden(2, &[64; 4], Activation::Relu, 3),
            Self::Table => {
                let hidden = |mlp: Mlp| {
                    mlp.linear(256).batch_norm().activation(Activation::Relu).dropout(0.1)
                };
                hidden(hidden(Mlp::new(32))).linear(1)
            }
        }
    }

    /// The training.
    #[must_use]
    pub fn options(self) -> TrainOptions {
        let (loss, optimizer, batch_size) = match self {
            Self::Digits => (Loss::CROSS_ENTROPY, Optimizer::adam(1e-3), 64),
            Self::WideDigits => (Loss::CROSS_ENTROPY, Optimizer::adamw(1e-3), 256),
            Self::Square => (Loss::CROSS_ENTROPY, Optimizer::adamw(1e-4), 512),
            Self::Image => (Loss::Mse, Optimizer::adam(1e-3), 16_384),
            Self::Table => {
                let momentum = Optimizer::momentum(1e-2, 0.9, false);
                (Loss::BCE_WITH_LOGITS, momentum.weight_decay(1e-4, Decay::L2), 1024)
            }
        };
        TrainOptions { batch_size, ..TrainOptions::new(loss, optimizer) }
    }

    /// Random rows for `steps` batches.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) if there are more than 2³² of them.
    pub fn data(self, steps: usize) -> crate::Result<Dataset> {
        let (mlp, options) = (self.mlp(), self.options());
        let rows = steps * options.batch_size;
        let mut stream = Stream::new(0, Purpose::Synthetic, 0);
        #[expect(clippy::cast_possible_truncation, reason = "f32 is what data sets hold")]
        let mut uniform = |len: usize, low: f64| -> Vec<f32> {
            (0..len).map(|_| (low + (1.0 - low) * stream.uniform()) as f32).collect()
        };
        let inputs = uniform(rows * mlp.in_features(), -1.0);
        let width = mlp.out_features();
        let targets = match options.loss {
            Loss::CrossEntropy { .. } => {
                #[expect(clippy::cast_possible_truncation, reason = "nets have ten classes")]
                let labels = (0..rows).map(|i| (i % width) as u32).collect();
                Targets::Classes { labels, classes: width }
            }
            Loss::BceWithLogits { .. } => {
                let values = uniform(rows * width, 0.0).into_iter().map(f32::round).collect();
                Targets::Values { values, width }
            }
            _ => Targets::Values { values: uniform(rows * width, 0.0), width },
        };
        Dataset::new(inputs, mlp.in_features(), targets)
    }
}

impl std::fmt::Display for Workload {
    /// The name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
