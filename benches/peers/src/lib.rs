//! The five workloads of `src/bench/workload.rs` for other frameworks, and how they are timed: as in
//! `src/bench/samples.rs`.

use std::time::Instant;

/// Batches that the data set holds.
pub const BATCHES: usize = 4;
/// Samples whose median is the rate.
const SAMPLES: usize = 7;

/// A net with its training.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub inputs: usize,
    pub hidden: &'static [usize],
    pub outputs: usize,
    pub activation: Activation,
    /// Batch norm before, and dropout behind each activation.
    pub regularised: bool,
    pub loss: Loss,
    pub optimizer: Optimizer,
    pub batch: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Relu,
    /// By erf.
    Gelu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    CrossEntropy,
    Mse,
    BceWithLogits,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    Adam { lr: f64 },
    /// With decoupled weight decay of 0.01.
    AdamW { lr: f64 },
    /// With weight decay in the gradient.
    Momentum { lr: f64, momentum: f64, weight_decay: f64 },
}

pub const DROPOUT: f64 = 0.1;

pub const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "W1",
        inputs: 784,
        hidden: &[128],
        outputs: 10,
        activation: Activation::Relu,
        regularised: false,
        loss: Loss::CrossEntropy,
        optimizer: Optimizer::Adam { lr: 1e-3 },
        batch: 64,
    },
    Workload {
        name: "W2",
        inputs: 784,
        hidden: &[512; 2],
        outputs: 10,
        activation: Activation::Relu,
        regularised: false,
        loss: Loss::CrossEntropy,
        optimizer: Optimizer::AdamW { lr: 1e-3 },
        batch: 256,
    },
    Workload {
        name: "W3",
        inputs: 1024,
        hidden: &[1024; 5],
        outputs: 10,
        activation: Activation::Gelu,
        regularised: false,
        loss: Loss::CrossEntropy,
        optimizer: Optimizer::AdamW { lr: 1e-4 },
        batch: 512,
    },
    Workload {
        name: "W4",
        inputs: 2,
        hidden: &[64; 4],
        outputs: 3,
        activation: Activation::Relu,
        regularised: false,
        loss: Loss::Mse,
        optimizer: Optimizer::Adam { lr: 1e-3 },
        batch: 16_384,
    },
    Workload {
        name: "W5",
        inputs: 32,
        hidden: &[256; 2],
        outputs: 1,
        activation: Activation::Relu,
        regularised: true,
        loss: Loss::BceWithLogits,
        optimizer: Optimizer::Momentum { lr: 1e-2, momentum: 0.9, weight_decay: 1e-4 },
        batch: 1024,
    },
];

impl Workload {
    pub fn rows(&self) -> usize {
        BATCHES * self.batch
    }

    /// Random inputs in −1..1.
    pub fn input_values(&self, random: &mut Random) -> Vec<f32> {
        (0..self.rows() * self.inputs).map(|_| 2.0 * random.uniform() - 1.0).collect()
    }

    /// Random targets of a net that doesn't classify, in 0..1 or 0 and 1.
    pub fn target_values(&self, random: &mut Random) -> Vec<f32> {
        let round = |x: f32| if self.loss == Loss::BceWithLogits { x.round() } else { x };
        (0..self.rows() * self.outputs).map(|_| round(random.uniform())).collect()
    }

    pub fn labels(&self) -> impl Iterator<Item = usize> {
        let classes = self.outputs;
        (0..self.rows()).map(move |row| row % classes)
    }
}

/// Which rows come next: a new random order an epoch.
#[derive(Debug)]
pub struct Order {
    rows: Vec<u32>,
    next: usize,
    batch: usize,
    random: Random,
}

impl Order {
    pub fn new(workload: &Workload) -> Self {
        let rows = (0..workload.rows() as u32).collect();
        Self { rows, next: 0, batch: workload.batch, random: Random(7) }
    }

    /// The rows of the next batch.
    pub fn batch(&mut self) -> &[u32] {
        if self.next == 0 {
            for last in (1..self.rows.len()).rev() {
                self.rows.swap(last, self.random.below(last as u32 + 1) as usize);
            }
        }
        let first = self.next;
        self.next = (first + self.batch) % self.rows.len();
        &self.rows[first..first + self.batch]
    }
}

/// PCG of 32 bits (O'Neill 2014).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    fn bits(&mut self) -> u32 {
        let state = self.0;
        self.0 = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = ((state >> 18 ^ state) >> 27) as u32;
        word.rotate_right((state >> 59) as u32)
    }

    fn uniform(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, n: u32) -> u32 {
        (u64::from(self.bits()) * u64::from(n) >> 32) as u32
    }
}

/// What a peer is asked on its command line: `[--seconds S] [W1 …]` behind its own words.
#[derive(Debug)]
pub struct Request {
    pub seconds: f64,
    pub workloads: Vec<Workload>,
    /// Everything else.
    pub words: Vec<String>,
}

impl Request {
    pub fn read() -> Self {
        let mut request = Self { seconds: 3.0, workloads: Vec::new(), words: Vec::new() };
        let mut typed = std::env::args().skip(1);
        while let Some(word) = typed.next() {
            if word == "--seconds" {
                let seconds = typed.next().and_then(|seconds| seconds.parse().ok());
                request.seconds = seconds.expect("--seconds takes a number");
            } else if let Some(workload) = WORKLOADS.iter().find(|workload| workload.name == word) {
                request.workloads.push(*workload);
            } else {
                request.words.push(word);
            }
        }
        if request.workloads.is_empty() {
            request.workloads = WORKLOADS.to_vec();
        }
        request
    }
}

/// Times steps and prints their rate as a line of JSON. `run` does so many and waits for them.
pub fn report(peer: &str, workload: &Workload, seconds: f64, mut run: impl FnMut(u64)) {
    let mut timed = |steps: u64| {
        let start = Instant::now();
        run(steps);
        start.elapsed().as_secs_f64()
    };
    // The first steps find everything cold.
    timed(3);
    let each = seconds / (SAMPLES + 1) as f64;
    let mut steps = 1;
    let mut last = timed(steps);
    while last < each / 2.0 {
        steps = (steps as f64 * (each / last).clamp(2.0, 10.0)) as u64;
        last = timed(steps);
    }
    let mut rates: Vec<f64> = (0..SAMPLES).map(|_| steps as f64 / timed(steps)).collect();
    rates.sort_by(f64::total_cmp);
    let median = rates[SAMPLES / 2];
    let spread = (rates[SAMPLES - 1] - rates[0]) / median;
    println!(
        "{{\"peer\": \"{peer}\", \"workload\": \"{}\", \"steps_per_second\": {median}, \"spread\": {spread}}}",
        workload.name
    );
}
