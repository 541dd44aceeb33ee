//! What the data tell of a run that the flags leave open.

use wgrad::data::{Dataset, Schema, Table, Target, Targets};
use wgrad::schedule::Run;

use super::Config;
use crate::cli::args::TrainArgs;
use crate::cli::choices::{Header, LossChoice, Task};
use crate::cli::failure::Failure;
use crate::cli::recipe;
use crate::cli::talk::count;
use crate::cli::values::ClassWeights;

impl Config {
    /// Puts in what the table tells but for its fingerprint: rows, target, task, loss, weight decay, the
    /// net for images where no other was asked for, and a batch size of no more than the training rows.
    pub(crate) fn complete(
        &mut self,
        args: &TrainArgs,
        table: &Table,
        schema: &Schema,
        train_rows: usize,
    ) -> Result<(), Failure> {
        let (data, derived) = (&mut self.data, &mut self.training.derived);
        data.rows = table.rows();
        derived.extend((args.columns.task == Task::Auto).then(|| "task".into()));
        // Of two files one may have a header and the other none.
        if data.target_file.is_none() {
            derived.extend((args.table.header == Header::Auto).then(|| "header".into()));
            data.header = if table.has_header() { Header::Yes } else { Header::No };
        }
        (data.target, data.task) = match &schema.target {
            Target::Classes { name, columns, .. } if columns.is_empty() => {
                (vec![name.clone()], Task::Classification)
            }
            Target::Classes { columns, .. } => (columns.clone(), Task::Classification),
            Target::Values { columns } => {
                (columns.iter().map(|c| c.name.clone()).collect(), Task::Regression)
            }
        };
        if table.test_rows() > 0 {
            data.test = share(table.test_rows(), table.rows());
            // A run's own file says what it came to.
            if let Some(test) = args.columns.test.filter(|&test| test != data.test) {
                return Err(Failure::input(format!(
                    "--test {test}: {} brings {} test rows of its own, so leave the flag out",
                    table.source_name(),
                    table.test_rows()
                )));
            }
        }
        let many_images = schema.pixels && train_rows >= recipe::MANY_IMAGES;
        if many_images && data.task == Task::Classification {
            let size = &recipe::IMAGES;
            if args.net.layers.is_none() {
                self.net.layers = size.hidden.to_vec();
            }
            self.training.batch_size = args.training.batch_size.unwrap_or(size.batch_size);
            self.training.epochs = args.training.epochs.unwrap_or(size.epochs);
        }
        let loss = match self.training.loss {
            Some(loss) => loss,
            None if data.task == Task::Classification => LossChoice::CrossEntropy,
            None => LossChoice::Mse,
        };
        check_loss(loss, schema)?;
        let training = &mut self.training;
        if training.loss.is_none() {
            training.loss = Some(loss);
            training.derived.insert("loss".into());
        }
        if loss == LossChoice::CrossEntropy {
            // Smoothed, every row would count towards a rare class with that class's large weight.
            let weighted = training.class_weights.is_some();
            let smoothing = if weighted { 0.0 } else { recipe::LABEL_SMOOTHING };
            if training.label_smoothing.is_none() {
                training.label_smoothing = Some(smoothing);
                training.derived.insert("label-smoothing".into());
            }
        } else if training.label_smoothing.is_some_and(|share| share > 0.0) {
            return Err(Failure::input(format!(
                "--label-smoothing is for --loss cross_entropy, not {loss}"
            )));
        }
        if !training.drop_last {
            // A larger one means the same, but buffers would be made for it.
            training.batch_size = training.batch_size.min(train_rows);
        }
        let (rows, batch) = (train_rows as u64, training.batch_size as u64);
        let per_epoch = if training.drop_last { rows / batch } else { rows.div_ceil(batch) };
        let run = Run::new(training.epochs, per_epoch);
        let sum_of_lr = recipe::sum_of_lr(training.lr, &training.schedule, &run);
        if training.weight_decay.is_none() {
            training.weight_decay = Some(recipe::weight_decay(training.optimizer, sum_of_lr));
            training.derived.insert("weight-decay".into());
        }
        Ok(())
    }

    /// Turns `balanced` class weights into those of the training rows.
    pub(crate) fn balance(&mut self, train: &Dataset) -> Result<(), Failure> {
        let training = &mut self.training;
        let Some(weights) = &mut training.class_weights else { return Ok(()) };
        let (Targets::Classes { labels, classes }, Some(LossChoice::CrossEntropy)) =
            (train.targets(), training.loss)
        else {
            return Err(Failure::input(format!(
                "--class-weights is for --loss cross_entropy, not {}",
                training.loss.map_or_else(String::new, |loss| loss.to_string())
            )));
        };
        match weights {
            ClassWeights::Balanced => {
                let mut counts = vec![0_u32; *classes];
                labels.iter().for_each(|&label| counts[label as usize] += 1);
                #[expect(clippy::cast_precision_loss, reason = "weights need no more digits")]
                let share = labels.len() as f32 / *classes as f32;
                // A class without training rows counts for nothing.
                let weight = |&n: &u32| if n > 0 { share / n as f32 } else { 0.0 };
                *weights = ClassWeights::List(counts.iter().map(weight).collect());
            }
            ClassWeights::List(list) if list.len() != *classes => {
                return Err(Failure::input(format!(
                    "--class-weights has {}, but there are {classes} classes",
                    count(list.len(), "number")
                )));
            }
            ClassWeights::List(list) if list.iter().all(|&weight| weight == 0.0) => {
                return Err(Failure::input("--class-weights: all are 0, so no class counts"));
            }
            ClassWeights::List(_) => {}
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "told to people")]
fn share(part: usize, whole: usize) -> f32 {
    (part as f64 / whole as f64) as f32
}

/// Refuses a loss that can't be computed for the target.
fn check_loss(loss: LossChoice, schema: &Schema) -> Result<(), Failure> {
    let fit = "cross_entropy, or leave --loss out";
    let problem = match (&schema.target, loss) {
        (Target::Classes { .. }, LossChoice::CrossEntropy) => return Ok(()),
        (Target::Classes { names, .. }, LossChoice::BceWithLogits) if names.len() == 2 => {
            return Ok(());
        }
        (Target::Classes { name, names, .. }, LossChoice::BceWithLogits) => {
            format!("is for two classes, but `{name}` has {}; take {fit}", names.len())
        }
        (Target::Classes { name, names, .. }, _) => format!(
            "is for numbers, but `{name}` has {} classes; take {fit} \
             (or --task regression, if the classes are numbers)",
            names.len()
        ),
        (Target::Values { columns }, LossChoice::CrossEntropy) => format!(
            "is for classes, but `{}` is a number; take mse, mae or huber \
             (or --task classification, if each number is a class)",
            columns[0].name
        ),
        // The net's answers would be logits, in another unit than the targets.
        (Target::Values { columns }, LossChoice::BceWithLogits) => format!(
            "is for two classes, but `{}` is a number; take mse, mae or huber (or --task classification, \
             if it has two values)",
            columns[0].name
        ),
        (Target::Values { .. }, _) => return Ok(()),
    };
    Err(Failure::input(format!("--loss {loss} {problem}")))
}
