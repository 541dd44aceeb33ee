//! The workloads in candle, on the CPU.
//!
//!     cargo run --release --features candle --bin candle [-- --seconds 3 W1 …]

use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{
    BatchNorm, Dropout, Linear, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, VarMap, loss,
};
use wgrad_peers::{Activation, DROPOUT, Loss, Optimizer, Order, Random, Request, Workload, report};

struct Net {
    hidden: Vec<(Linear, Option<BatchNorm>)>,
    last: Linear,
    activation: Activation,
    dropout: Option<Dropout>,
}

impl Net {
    fn new(workload: &Workload, variables: VarBuilder) -> Result<Self> {
        let mut inputs = workload.inputs;
        let mut hidden = Vec::new();
        for (index, &width) in workload.hidden.iter().enumerate() {
            let linear = candle_nn::linear(inputs, width, variables.pp(format!("linear{index}")))?;
            let norm = |v| candle_nn::batch_norm(width, candle_nn::BatchNormConfig::default(), v);
            let norm = workload.regularised.then(|| norm(variables.pp(format!("norm{index}"))));
            hidden.push((linear, norm.transpose()?));
            inputs = width;
        }
        Ok(Self {
            hidden,
            last: candle_nn::linear(inputs, workload.outputs, variables.pp("last"))?,
            activation: workload.activation,
            dropout: workload.regularised.then(|| Dropout::new(DROPOUT as f32)),
        })
    }

    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let mut x = inputs.clone();
        for (linear, norm) in &self.hidden {
            x = linear.forward(&x)?;
            if let Some(norm) = norm {
                x = norm.forward_train(&x)?;
            }
            x = match self.activation {
                Activation::Relu => x.relu()?,
                Activation::Gelu => x.gelu_erf()?,
            };
            if let Some(dropout) = &self.dropout {
                x = dropout.forward(&x, true)?;
            }
        }
        self.last.forward(&x)
    }
}

/// The optimizer that a workload wants; candle's SGD has no momentum.
enum Update {
    Adam(candle_nn::AdamW),
    Momentum { moments: Vec<(Var, Var)>, lr: f64, momentum: f64, weight_decay: f64 },
}

impl Update {
    fn new(optimizer: Optimizer, variables: Vec<Var>) -> Result<Self> {
        let adam = |lr, weight_decay| {
            let params = ParamsAdamW { lr, weight_decay, ..ParamsAdamW::default() };
            Ok(Self::Adam(candle_nn::AdamW::new(variables.clone(), params)?))
        };
        match optimizer {
            Optimizer::Adam { lr } => adam(lr, 0.0),
            Optimizer::AdamW { lr } => adam(lr, 0.01),
            Optimizer::Momentum { lr, momentum, weight_decay } => {
                let moment = |w: &Var| Ok((w.clone(), Var::from_tensor(&w.zeros_like()?)?));
                let moments = variables.iter().map(moment).collect::<Result<_>>()?;
                Ok(Self::Momentum { moments, lr, momentum, weight_decay })
            }
        }
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        match self {
            Self::Adam(adam) => adam.step(gradients),
            Self::Momentum { moments, lr, momentum, weight_decay } => {
                for (w, m) in moments {
                    // Running statistics have no gradient.
                    let Some(g) = gradients.get(w) else { continue };
                    let g = (g + (w.as_tensor() * *weight_decay)?)?;
                    m.set(&((m.as_tensor() * *momentum)? + g)?)?;
                    w.set(&(w.as_tensor() - (m.as_tensor() * *lr)?)?)?;
                }
                Ok(())
            }
        }
    }
}

fn measure(workload: &Workload, seconds: f64) -> Result<()> {
    let device = Device::Cpu;
    let mut random = Random(1);
    let (rows, outputs) = (workload.rows(), workload.outputs);
    let inputs =
        Tensor::from_vec(workload.input_values(&mut random), (rows, workload.inputs), &device)?;
    let targets = match workload.loss {
        Loss::CrossEntropy => {
            Tensor::from_vec(workload.labels().map(|label| label as u32).collect(), rows, &device)?
        }
        _ => Tensor::from_vec(workload.target_values(&mut random), (rows, outputs), &device)?,
    };
    let variables = VarMap::new();
    let net = Net::new(workload, VarBuilder::from_varmap(&variables, DType::F32, &device))?;
    let mut update = Update::new(workload.optimizer, variables.all_vars())?;
    let mut order = Order::new(workload);
    let mut step = || -> Result<()> {
        let rows = Tensor::new(order.batch(), &device)?;
        let logits = net.forward(&inputs.index_select(&rows, 0)?)?;
        let wanted = targets.index_select(&rows, 0)?;
        let loss = match workload.loss {
            Loss::CrossEntropy => loss::cross_entropy(&logits, &wanted)?,
            Loss::Mse => loss::mse(&logits, &wanted)?,
            Loss::BceWithLogits => stable_bce(&logits, &wanted)?,
        };
        update.step(&loss.backward()?)
    };
    report("candle 0.11, cpu", workload, seconds, |steps| {
        (0..steps).for_each(|_| step().expect("candle computes"));
    });
    Ok(())
}

/// max(z, 0) − z·y + ln(1 + e^−|z|): candle's own takes the logarithm of a sigmoid, which is less
/// exact and not faster.
fn stable_bce(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let log = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((logits.relu()? - (logits * targets)?)? + log)?.mean(D::Minus1)?.mean_all()
}

fn main() -> Result<()> {
    let request = Request::read();
    request.workloads.iter().try_for_each(|workload| measure(workload, request.seconds))
}
