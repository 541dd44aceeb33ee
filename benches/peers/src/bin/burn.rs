//! The workloads in burn, on the CPU (its `flex` backend) or through wgpu.
//!
//!     cargo run --release --features burn-cpu,burn-wgpu --bin burn -- cpu|wgpu [--seconds 3 W1 …]

use burn::module::Module;
use burn::nn::loss::{
    BinaryCrossEntropyLossConfig, CrossEntropyLossConfig, MseLoss, Reduction,
};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::{gelu, relu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use wgrad_peers::{Activation, DROPOUT, Loss, Optimizer, Order, Random, Request, Workload, report};

#[derive(Module, Debug)]
struct Net {
    linears: Vec<Linear>,
    norms: Vec<BatchNorm>,
    dropout: Dropout,
    last: Linear,
    gelu: bool,
    regularised: bool,
}

impl Net {
    fn new(workload: &Workload, device: &Device) -> Self {
        let inputs = std::iter::once(&workload.inputs).chain(workload.hidden);
        let last = workload.hidden.last().map_or(workload.inputs, |&width| width);
        let norms = if workload.regularised { workload.hidden } else { &[] };
        Self {
            linears: inputs
                .zip(workload.hidden)
                .map(|(&n_in, &n_out)| LinearConfig::new(n_in, n_out).init(device))
                .collect(),
            norms: norms.iter().map(|&n| BatchNormConfig::new(n).init(device)).collect(),
            dropout: DropoutConfig::new(DROPOUT).init(),
            last: LinearConfig::new(last, workload.outputs).init(device),
            gelu: workload.activation == Activation::Gelu,
            regularised: workload.regularised,
        }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let mut x = inputs;
        for (index, linear) in self.linears.iter().enumerate() {
            x = linear.forward(x);
            if let Some(norm) = self.norms.get(index) {
                x = norm.forward(x);
            }
            x = if self.gelu { gelu(x) } else { relu(x) };
            if self.regularised {
                x = self.dropout.forward(x);
            }
        }
        self.last.forward(x)
    }
}

/// PyTorch's defaults, which differ from burn's.
fn optimizer(optimizer: Optimizer) -> (ModuleOptimizer, f64) {
    match optimizer {
        Optimizer::Adam { lr } => (AdamConfig::new().with_epsilon(1e-8).init(), lr),
        Optimizer::AdamW { lr } => {
            (AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init(), lr)
        }
        Optimizer::Momentum { lr, momentum, weight_decay } => {
            let momentum = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
            let decay = WeightDecayConfig::new(weight_decay as f32);
            let sgd = SgdConfig::new();
            (sgd.with_momentum(Some(momentum)).with_weight_decay(Some(decay)).init(), lr)
        }
    }
}

/// Targets, and how far outputs are from them.
enum Goal {
    Classes(Tensor<1, Int>),
    Yes(Tensor<2, Int>),
    Values(Tensor<2>),
}

impl Goal {
    fn new(workload: &Workload, random: &mut Random, device: &Device) -> Self {
        let shape = [workload.rows(), workload.outputs];
        match workload.loss {
            Loss::CrossEntropy => {
                let labels: Vec<i32> = workload.labels().map(|label| label as i32).collect();
                let rows = labels.len();
                Self::Classes(Tensor::from_data(TensorData::new(labels, [rows]), device))
            }
            Loss::BceWithLogits => {
                let values = workload.target_values(random);
                let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
                Self::Yes(Tensor::from_data(TensorData::new(values, shape), device))
            }
            Loss::Mse => {
                let values = TensorData::new(workload.target_values(random), shape);
                Self::Values(Tensor::from_data(values, device))
            }
        }
    }

    fn loss(&self, outputs: Tensor<2>, rows: Tensor<1, Int>, device: &Device) -> Tensor<1> {
        match self {
            Self::Classes(labels) => {
                let loss = CrossEntropyLossConfig::new().init(device);
                loss.forward(outputs, labels.clone().select(0, rows))
            }
            Self::Yes(values) => {
                let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(device);
                loss.forward(outputs, values.clone().select(0, rows))
            }
            Self::Values(values) => {
                MseLoss::new().forward(outputs, values.clone().select(0, rows), Reduction::Mean)
            }
        }
    }
}

fn measure(peer: &str, workload: &Workload, seconds: f64, device: &Device) {
    let mut random = Random(1);
    let shape = [workload.rows(), workload.inputs];
    let inputs = TensorData::new(workload.input_values(&mut random), shape);
    let inputs: Tensor<2> = Tensor::from_data(inputs, device);
    let goal = Goal::new(workload, &mut random, device);
    let (mut optimizer, lr) = optimizer(workload.optimizer);
    let mut net = Some(Net::new(workload, device));
    let mut order = Order::new(workload);
    report(peer, workload, seconds, |steps| {
        for _ in 0..steps {
            let rows: Vec<i32> = order.batch().iter().map(|&row| row as i32).collect();
            let rows = Tensor::from_data(TensorData::new(rows, [workload.batch]), device);
            let now = net.take().expect("the step before gave one back");
            let outputs = now.forward(inputs.clone().select(0, rows.clone()));
            let gradients = goal.loss(outputs, rows, device).backward();
            let gradients = GradientsParams::from_grads(gradients, &now);
            net = Some(optimizer.step(lr, now, gradients));
        }
        device.sync().expect("the device answers");
    });
}

/// The device by its name on the command line.
fn device(name: &str) -> Option<Device> {
    match name {
        #[cfg(feature = "burn-cpu")]
        "cpu" => Some(Device::flex()),
        #[cfg(feature = "burn-wgpu")]
        "wgpu" => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        _ => None,
    }
}

fn main() {
    let request = Request::read();
    for name in &request.words {
        let device = device(name).expect("cpu or wgpu, each with its feature").autodiff();
        for workload in &request.workloads {
            measure(&format!("burn 0.22, {name}"), workload, request.seconds, &device);
        }
    }
}
