//! Time of one epoch on each engine, for nets of different shape.
//!
//!     cargo bench
//!
//! The GPU is whatever adapter comes first, software included; its name is printed.
#![allow(clippy::print_stderr, reason = "a benchmark talks")]
#![allow(clippy::cast_possible_truncation, reason = "rows are few")]

use std::ops::ControlFlow;

use divan::Bencher;
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, AdapterChoice, CpuEngine, Engine, Gpu, GpuEngine, Loss, Mlp, Optimizer, Plan,
    TrainOptions, Trainer,
};

fn main() {
    match Gpu::open(AdapterChoice::Any) {
        Ok(gpu) => eprintln!("GPU: {} ({:?})", gpu.info.name, gpu.info.backend),
        Err(e) => eprintln!("{e}"),
    }
    divan::main();
}

/// A net, its batch, and the steps that one measurement takes.
#[derive(Clone, Copy, Debug)]
enum Workload {
    /// 784-128-10, ReLU, batch 64, Adam: digits of MNIST's size.
    Digits,
    /// 2-64-64-64-64-3, ReLU, batch 1,024, Adam: an image as a function.
    Image,
    /// 32-256-256-1, ReLU, batch 256, SGD with momentum: a table.
    Table,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

const ALL: [Workload; 3] = [Workload::Digits, Workload::Image, Workload::Table];
const STEPS: usize = 8;

impl Workload {
    fn plan(self) -> Plan {
        let (mlp, loss, optimizer, batch_size) = match self {
            Self::Digits => {
                let mlp = Mlp::with_hidden(784, &[128], Activation::Relu, 10);
                (mlp, Loss::CROSS_ENTROPY, Optimizer::adam(1e-3), 64)
            }
            Self::Image => {
                let mlp = Mlp::with_hidden(2, &[64; 4], Activation::Relu, 3);
                (mlp, Loss::Mse, Optimizer::adam(1e-3), 1024)
            }
            Self::Table => {
                let mlp = Mlp::with_hidden(32, &[256, 256], Activation::Relu, 1);
                (mlp, Loss::Mse, Optimizer::momentum(1e-2, 0.9, false), 256)
            }
        };
        let options = TrainOptions { batch_size, ..TrainOptions::new(loss, optimizer) };
        Plan::new(&mlp, &options).expect("the workloads are valid")
    }
}

fn bench<E: Engine>(bencher: Bencher<'_, '_>, workload: Workload, make: impl Fn(Plan) -> E) {
    let plan = workload.plan();
    let (mlp, rows) = (plan.mlp(), STEPS * plan.options().batch_size);
    let number = |i: usize| (i as f32 * 0.7).sin();
    let inputs = (0..rows * mlp.in_features()).map(number).collect();
    let targets = match plan.options().loss {
        Loss::CrossEntropy { .. } => {
            Targets::Classes { labels: (0..rows as u32).map(|i| i % 10).collect(), classes: 10 }
        }
        _ => {
            let width = mlp.out_features();
            Targets::Values { values: (0..rows * width).map(number).collect(), width }
        }
    };
    let data = Dataset::new(inputs, mlp.in_features(), targets).expect("the data are valid");
    let mut trainer = Trainer::new(make(plan), &data, None).expect("the data fit the net");
    let mut epoch = || trainer.train_epoch(|_| ControlFlow::Continue(())).expect("it trains");
    epoch();
    bencher.counter(divan::counter::ItemsCount::new(STEPS)).bench_local(epoch);
}

/// Eight steps on the CPU.
#[divan::bench(args = ALL, sample_count = 10)]
fn cpu(bencher: Bencher<'_, '_>, workload: Workload) {
    bench(bencher, workload, CpuEngine::<f32>::new);
}

/// Eight steps on the GPU.
#[divan::bench(args = ALL, sample_count = 5)]
fn gpu(bencher: Bencher<'_, '_>, workload: Workload) {
    let gpu = Gpu::open(AdapterChoice::Any).expect("an adapter is there");
    let make = |plan| GpuEngine::new(&gpu.device, &gpu.queue, plan).expect("the plan fits");
    bench(bencher, workload, make);
}
