//! What a run asks of the library.

use std::path::Path;

use wgrad::data::{PartitionOptions, Schema};
use wgrad::{
    Clip, EarlyStopping, Error, Layer, Linear, Mlp, Optimizer, ParameterGroup, Plan, TrainOptions,
    WatchedMetric,
};

use super::{Config, TrainingConfig};
use crate::cli::choices::{LossChoice, NormChoice, StopOn, Task};
use crate::cli::failure::Failure;
use crate::cli::recipe;
use crate::cli::trained::model_path;
use crate::cli::values::{ClassWeights, Widths};

impl Config {
    /// The net for the data.
    pub(crate) fn mlp(&self, schema: &Schema) -> Mlp {
        let net = &self.net;
        let outputs = match self.training.loss {
            // One logit tells two classes apart.
            Some(LossChoice::BceWithLogits) if self.data.task == Task::Classification => 1,
            _ => schema.outputs(),
        };
        let weights = net.init.before(net.activation).unwrap_or_default();
        let linear = |width| Layer::Linear(Linear::new(width).weight_init(weights));
        let mlp = Mlp::new(schema.in_features());
        let mlp = net.encoding.into_iter().fold(mlp, Mlp::encoding);
        net.layers
            .iter()
            .fold(mlp, |mlp, &width| {
                let mlp = mlp.layer(linear(width));
                let mlp = match net.norm {
                    NormChoice::None => mlp,
                    NormChoice::Batch => mlp.batch_norm(),
                    NormChoice::Layer => mlp.layer_norm(),
                };
                let mlp = mlp.activation(net.activation);
                if net.dropout > 0.0 { mlp.dropout(net.dropout) } else { mlp }
            })
            .layer(linear(outputs))
    }

    /// The training; [`complete`](Self::complete) comes before.
    pub(crate) fn train_options(&self) -> TrainOptions {
        let training = &self.training;
        let loss = training.loss.unwrap_or(LossChoice::Mse);
        let class_weights = match &training.class_weights {
            Some(ClassWeights::List(weights)) => weights.clone(),
            _ => Vec::new(),
        };
        let loss = loss.with(training.label_smoothing.unwrap_or(0.0), class_weights);
        let metric = match training.stop_on {
            Some(StopOn::Score) => WatchedMetric::Score,
            _ => WatchedMetric::Loss,
        };
        let stopping = |patience| EarlyStopping { patience, metric, ..EarlyStopping::default() };
        let by_norm = training.clip_norm.map(Clip::Norm);
        TrainOptions {
            groups: if training.no_decay {
                vec![ParameterGroup::without_decay()]
            } else {
                Vec::new()
            },
            clip: by_norm.or(training.clip_value.map(Clip::Value)),
            ema: training.ema,
            micro_batch: training.micro_batch,
            precision: training.precision.into(),
            on_divergence: training.on_divergence.into(),
            early_stopping: training.early_stopping.map(stopping),
            insight_every: self.run.insight_every,
            schedule: training.schedule.clone(),
            plateau: training.plateau,
            batch_size: training.batch_size,
            epochs: training.epochs,
            sampling: training.sampling.into(),
            drop_last: training.drop_last,
            seed: training.seed,
            ..TrainOptions::new(loss, self.optimizer())
        }
    }

    /// The plan of a training of the net.
    pub(crate) fn plan(&self, schema: &Schema, options: &TrainOptions) -> Result<Plan, Failure> {
        Plan::new(&self.mlp(schema), options).map_err(|error| match &error {
            Error::Limit { .. } => {
                let layers = Widths(self.net.layers.clone());
                Failure::input(format!("--layers {layers}: {error}"))
            }
            _ => error.into(),
        })
    }

    /// The parameters of `--init-from`, if it was given.
    pub(crate) fn initial(&self, plan: &Plan) -> Result<Option<Vec<f32>>, Failure> {
        let given = self.net.init_from.as_ref().map(|file| {
            let file =
                model_path(Path::new(file)).map_err(|failure| failure.because("--init-from"))?;
            let parameters = plan.load_state_dict(&file);
            parameters.map_err(|error| Failure::input(format!("--init-from: {error}")))
        });
        given.transpose()
    }

    fn optimizer(&self) -> Optimizer {
        let TrainingConfig { lr, weight_decay, optimizer, .. } = self.training;
        let momentum = self.training.momentum.unwrap_or(recipe::MOMENTUM);
        let decay = self.training.decay.unwrap_or_else(|| optimizer.decay());
        Optimizer::new(optimizer.rule(momentum), lr)
            .weight_decay(weight_decay.unwrap_or(0.0), decay.into())
    }

    /// How a table is divided whose last rows may be test rows.
    pub(crate) fn partition(&self, last_rows_test: usize) -> PartitionOptions {
        PartitionOptions {
            last_rows_test,
            validation: self.data.validation,
            test: self.data.test,
            seed: self.training.seed,
            stratify: true,
        }
    }
}
