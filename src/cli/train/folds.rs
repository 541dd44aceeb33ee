//! `wgrad train --folds`: cross-validation. Every row is tested once, by a net that hasn't seen it.

use std::ops::ControlFlow;

use serde_json::{Map, Value, json};
use wgrad::data::Dataset;
use wgrad::{Engine, Evaluation, Plan, Score, Trainer, evaluate};

use crate::cli::args::TrainArgs;
use crate::cli::config::Config;
use crate::cli::device::{Device, Job};
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::prepare::Prepared;
use crate::cli::results::{percent, score_entry};
use crate::cli::stdout;
use crate::cli::talk::{Talk, count, r2, significant};

pub(crate) fn cross_validate(args: &TrainArgs, folds: usize, talk: Talk) -> Result<(), Failure> {
    let begun = Config::new(args)?;
    if begun.net.init_from.is_some() {
        return Err(Failure::input(
            "--folds with --init-from: weights that may have seen a fold's rows would make its score a lie; \
             leave one of them out",
        ));
    }
    let (table, parts) = Prepared::folds(args, &begun, folds, talk)?;
    if table.test_rows() > 0 {
        return Err(Failure::input(format!(
            "--folds {folds}: {} keeps {} test rows apart, so there is nothing to divide; leave the \
             flag out",
            table.source_name(),
            table.test_rows()
        )));
    }
    let device = Device::open(&begun.run.device, talk)?;
    device.check_precision(begun.training.precision, talk)?;
    talk.line(format_args!("device  {}", device.description()));
    let rows = count(table.rows(), "row");
    talk.line(format_args!("data    {}: {rows} in {folds} folds\n", table.source_name()));
    interrupt::watch()?;
    let mut scores = Vec::with_capacity(folds);
    for (fold, parts) in (1..).zip(&parts) {
        let mut config = begun.clone();
        let data = Prepared::fold(args, &mut config, &table, parts)?;
        let plan = Plan::new(&config.mlp(&data.schema), &config.train_options())?;
        if fold == 1 {
            talk.line(&data.columns);
            talk.line(&plan);
        }
        let Prepared { rows, train, validation, test, .. } = data;
        let job = Fold { train, validation, test };
        let evaluation = device.run(plan, rows, job).map_err(|failure| {
            failure.because(format_args!("fold {fold} of {folds}{}", before(&scores)))
        })?;
        talk.line(format_args!("fold {fold} of {folds}: {}", told(evaluation.score)));
        scores.push(evaluation);
    }
    talk.line("");
    let text = if args.output.json { json_text(&scores, &begun, &device) } else { text(&scores) };
    stdout::print(text)
}

/// One of the trainings.
struct Fold {
    train: Dataset,
    validation: Option<Dataset>,
    test: Option<Dataset>,
}

impl Job for Fold {
    type Output = Evaluation;

    fn run<E: Engine>(self, engine: E) -> Result<Evaluation, Failure> {
        let Self { train, validation, test } = self;
        let mut trainer = Trainer::new(engine, &train, validation.as_ref())?;
        let epochs = trainer.engine().plan().options().epochs;
        let mut stop = false;
        while trainer.epochs() < epochs && !stop {
            let report = trainer.train_epoch(|_| match interrupt::interrupted() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })?;
            if interrupt::interrupted() {
                return Err(Failure::run("interrupted, so there is no score"));
            }
            stop = report.stop;
        }
        trainer.engine_mut().swap_average();
        // Every fold has test rows.
        let test = test.ok_or_else(|| Failure::run("no rows to test on"))?;
        Ok(evaluate(trainer.engine_mut(), &test)?)
    }
}

/// The scores that a failure would take along.
fn before(scores: &[Evaluation]) -> String {
    let told: Vec<String> = scores.iter().map(|evaluation| told(evaluation.score)).collect();
    if told.is_empty() { String::new() } else { format!(" (before it: {})", told.join(", ")) }
}

/// Mean and standard deviation over the folds, of which there are two or more: that of a sample.
fn spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (n, sum) = values.clone().fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    let mean = sum / n;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

fn losses(scores: &[Evaluation]) -> (f64, f64) {
    spread(scores.iter().map(|evaluation| evaluation.loss))
}

fn values(scores: &[Evaluation]) -> (f64, f64) {
    spread(scores.iter().map(|evaluation| evaluation.score.value()))
}

fn told(score: Score) -> String {
    match score {
        Score::Accuracy(share) => percent(share),
        Score::R2(value) => r2(value),
    }
}

fn text(scores: &[Evaluation]) -> String {
    let name = match scores.first().map(|evaluation| evaluation.score) {
        Some(Score::R2(_)) => "test R²",
        _ => "test accuracy",
    };
    let line = |fold: &str, rows: &str, loss: &str, score: &str| {
        format!("{fold:>4}  {rows:>7}  {loss:>9}  {score:>13}\n")
    };
    let mut text = line("fold", "rows", "test loss", name);
    for (fold, Evaluation { loss, score, rows, .. }) in (1..).zip(scores) {
        text += &line(&format!("{fold}"), &rows.to_string(), &significant(*loss), &told(*score));
    }
    let ((loss, loss_sd), (score, score_sd)) = (losses(scores), values(scores));
    let [score, score_sd] = [score, score_sd].map(|value| match name {
        "test R²" => format!("{value:.4}"),
        _ => percent(value),
    });
    let (loss, loss_sd) = (significant(loss), significant(loss_sd));
    text + &format!(
        "\ntest loss {loss} ± {loss_sd}, {name} {score} ± {score_sd} (mean ± standard deviation)\n"
    )
}

fn json_text(scores: &[Evaluation], config: &Config, device: &Device) -> String {
    let one = |(fold, evaluation): (usize, &Evaluation)| {
        let (name, score) = score_entry("test", evaluation.score);
        let mut entries = Map::new();
        entries.insert("fold".into(), json!(fold));
        entries.insert("test_loss".into(), json!(evaluation.loss));
        entries.insert("test_rows".into(), json!(evaluation.rows));
        entries.insert(name, score);
        Value::Object(entries)
    };
    let folds: Vec<Value> = (1..).zip(scores).map(one).collect();
    let ((loss, loss_sd), (score, score_sd)) = (losses(scores), values(scores));
    let name = scores.first().map_or_else(String::new, |first| score_entry("test", first.score).0);
    let object = json!({
        "folds": folds,
        "mean": { "test_loss": loss, name.as_str(): score },
        "standard_deviation": { "test_loss": loss_sd, name.as_str(): score_sd },
        "engine": device.engine(),
        "device": device.name(),
        "seed": config.training.seed,
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let (mean, deviation) = spread([1.0, 2.0, 3.0, 6.0].into_iter());
        assert_eq!(mean, 3.0);
        // (4 + 1 + 0 + 9) / 3
        assert!((deviation - (14.0_f64 / 3.0).sqrt()).abs() < 1e-15);
    }
}
