//! Dropout, batch norm, decay and early stopping against overfitting on few samples.

use wgrad::{
    Activation, CpuEngine, Decay, EarlyStopping, Loss, Mlp, Optimizer, Plan, TrainOptions, Trainer,
};

use super::nets::{Digits, mean};
use super::study::{Study, Table};
use crate::cli::failure::Failure;
use crate::cli::figure::{Axis, Figure, Line, Panel};
use crate::cli::talk::significant;

const EPOCHS: u64 = 80;
const SEEDS: u64 = 4;
/// Share of the digits that train.
const TRAIN: f32 = 0.1;
/// Share of the training labels that are wrong: something that shouldn't be learnt.
const WRONG: f64 = 0.15;

/// One way to train.
struct Method {
    name: &'static str,
    batch_norm: bool,
    dropout: f64,
    decay: f64,
    stops: bool,
}

const METHODS: [Method; 5] = [
    Method { name: "nothing", batch_norm: false, dropout: 0.0, decay: 0.0, stops: false },
    Method { name: "decay 3", batch_norm: false, dropout: 0.0, decay: 3.0, stops: false },
    Method { name: "dropout 0.7", batch_norm: false, dropout: 0.7, decay: 0.0, stops: false },
    Method { name: "batch norm", batch_norm: true, dropout: 0.0, decay: 0.0, stops: false },
    Method { name: "early stopping", batch_norm: false, dropout: 0.0, decay: 0.0, stops: true },
];

/// What a method comes to, mean over the seeds.
struct Outcome {
    name: &'static str,
    /// Loss on the watched rows after each epoch.
    curve: Vec<f64>,
    train_loss: f64,
    train_accuracy: f64,
    test_loss: f64,
    test_accuracy: f64,
}

impl Method {
    fn mlp(&self) -> Mlp {
        let hidden = |mlp: Mlp| {
            let mlp = mlp.linear(128);
            let mlp = if self.batch_norm { mlp.batch_norm() } else { mlp };
            let mlp = mlp.activation(Activation::Relu);
            if self.dropout > 0.0 { mlp.dropout(self.dropout) } else { mlp }
        };
        hidden(hidden(Mlp::new(64))).linear(10)
    }

    /// Losses on the watched rows by epoch, then loss and accuracy on training and test rows.
    fn run(&self, seed: u64) -> Result<(Vec<f64>, [f64; 4]), Failure> {
        let digits = Digits::split(TRAIN, seed)?.mislabelled(WRONG, seed)?;
        let options = TrainOptions {
            epochs: EPOCHS,
            batch_size: 30,
            drop_last: true,
            early_stopping: self
                .stops
                .then(|| EarlyStopping { patience: 8, ..EarlyStopping::default() }),
            seed,
            ..TrainOptions::new(
                Loss::CROSS_ENTROPY,
                Optimizer::adam(3e-3).weight_decay(self.decay, Decay::Decoupled),
            )
        };
        let engine = CpuEngine::<f32>::new(Plan::new(&self.mlp(), &options)?);
        let mut trainer = Trainer::new(engine, &digits.train, Some(&digits.watch))?;
        let mut curve = Vec::new();
        while trainer.epochs() < EPOCHS {
            let report = trainer.train_epoch(|_| std::ops::ControlFlow::Continue(()))?;
            curve.extend(report.validation.map(|validation| validation.loss));
            if report.stop {
                break;
            }
        }
        let (train, test) = (trainer.evaluate(&digits.train)?, trainer.evaluate(&digits.test)?);
        let numbers = [train.loss, train.score.value(), test.loss, test.score.value()];
        Ok((curve, numbers))
    }
}

fn measure() -> Result<Vec<Outcome>, Failure> {
    let outcome = |method: &Method| {
        let runs: Vec<_> = (0..SEEDS).map(|seed| method.run(seed)).collect::<Result<_, _>>()?;
        let number = |k: usize| mean(&runs.iter().map(|run| run.1[k]).collect::<Vec<_>>());
        // Runs that stopped early are drawn as far as all of them went.
        let epochs = runs.iter().map(|run| run.0.len()).min().unwrap_or(0);
        let at = |epoch: usize| mean(&runs.iter().map(|run| run.0[epoch]).collect::<Vec<_>>());
        Ok(Outcome {
            name: method.name,
            curve: (0..epochs).map(at).collect(),
            train_loss: number(0),
            train_accuracy: number(1),
            test_loss: number(2),
            test_accuracy: number(3),
        })
    };
    METHODS.iter().map(outcome).collect()
}

pub(super) fn study() -> Result<Study, Failure> {
    let outcomes = measure()?;
    let mut table = Table::new(&["method", "train loss", "accuracy", "test loss", "accuracy"]);
    for o in &outcomes {
        table.row([
            o.name.to_owned(),
            significant(o.train_loss),
            format!("{:.4}", o.train_accuracy),
            significant(o.test_loss),
            format!("{:.4}", o.test_accuracy),
        ]);
    }
    let lines = outcomes.iter().enumerate().map(|(color, outcome)| {
        Line::new(outcome.name, color, (1..).map(f64::from).zip(outcome.curve.iter().copied()))
    });
    // A bar from the accuracy on test rows up to that on training rows.
    let gaps = (1..).map(f64::from).zip(&outcomes).enumerate().map(|(color, (place, o))| {
        Line::new(o.name, color, [(place, o.test_accuracy), (place, o.train_accuracy)])
    });
    let panels = vec![
        Panel {
            title: format!("loss on watched rows, mean over {SEEDS} seeds"),
            x: Axis::linear("epoch"),
            y: Axis::log("cross-entropy"),
            lines: lines.collect(),
        },
        Panel {
            title: "accuracy: from test rows up to training rows".into(),
            x: Axis::linear("method, in the table's order"),
            y: Axis::linear("accuracy"),
            lines: gaps.collect(),
        },
    ];
    let note = format!(
        "A net of 26,000 weights, 180 digits of which {:.0} % have a wrong label. Left alone it \
         learns all of them by heart, wrong ones too, and its loss on other digits rises from the \
         first epochs on. Decay keeps weights small, dropout keeps units from relying on each \
         other, early stopping goes back to the epoch before the rise. Batch norm helps training; \
         against overfitting the noise of its batches does little.",
        100.0 * WRONG
    );
    let title = "Overfitting on few samples".to_owned();
    Ok(Study { table, note, figure: Figure { title, panels } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regularisation_keeps_a_net_from_learning_by_heart() {
        let outcomes = measure().unwrap();
        let of = |name: &str| outcomes.iter().find(|o| o.name == name).unwrap();
        let nothing = of("nothing");
        assert!(nothing.train_accuracy > 0.99, "{}", nothing.train_accuracy);
        let least = nothing.curve.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(nothing.test_loss > 1.5 * least, "the test loss doesn't rise");
        for name in ["decay 3", "dropout 0.7", "early stopping"] {
            let method = of(name);
            assert!(method.test_loss < 0.7 * nothing.test_loss, "{name}: {}", method.test_loss);
            assert!(method.test_accuracy > nothing.test_accuracy, "{name}");
            assert!(method.train_accuracy < nothing.train_accuracy, "{name}");
        }
    }
}
