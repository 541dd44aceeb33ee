//! `wgrad find-lr`: the learning-rate range test (Smith 2015, "Cyclical learning rates for training neural
//! networks", section 3.3): the rate grows exponentially over a few steps, and the loss tells which are
//! too low and which too high.

mod curve;

use std::ops::ControlFlow;

use serde_json::{Value, json};
use wgrad::data::Dataset;
use wgrad::schedule::Span;
use wgrad::{Engine, Error, OnDivergence, Schedule, TrainOptions, Trainer};

use self::curve::{Curve, Finding, Found};
use super::args::FindLrArgs;
use super::config::Config;
use super::device::{Device, Job};
use super::failure::Failure;
use super::figure::{Axis, Figure, Line, Panel};
use super::plot::plot;
use super::prepare::Prepared;
use super::stdout;
use super::table::Table;
use super::talk::{Talk, shortest, significant};

/// Steps where none are asked for: those of an epoch, between these.
const STEPS: [u64; 2] = [100, 200];
/// Fewer steps than this show no curve.
const LEAST_STEPS: u64 = 20;
/// Rows of the table.
const ROWS: usize = 12;
/// How much of a divergence pictures show: up to so many times the loss that it began with.
const SHOWN: f64 = 1.5;

pub(crate) fn find(args: &FindLrArgs) -> Result<(), Failure> {
    let train = &args.train;
    check(args)?;
    let talk = Talk { quiet: train.output.quiet };
    let of_file = |failure| train.blame(failure);
    let mut config = Config::new(train).map_err(of_file)?;
    let data = Prepared::new(train, &mut config, talk).map_err(of_file)?;
    if train.training.weight_decay.is_none() {
        config.training.weight_decay = Some(0.0);
    }
    let (steps, options) = test_options(args, &config, data.train.rows());
    let plan = config.plan(&data.schema, &options).map_err(of_file)?;
    let initial = config.initial(&plan).map_err(of_file)?;
    let device = Device::open(&config.run.device, talk)?;
    device.check_precision(config.training.precision, talk)?;
    talk.line(format_args!("device  {}", device.description()));
    talk.line(format_args!("data    {}\n", data.description));

    let title = format!("{} · {} · {}", train.source, plan.mlp(), config.training.optimizer);
    let Prepared { rows, train: rows_to_learn, .. } = data;
    let curve = device.run(plan, rows, RangeTest { train: rows_to_learn, initial, steps })?;
    let finding = curve.finding();
    if let Some(path) = &args.picture {
        let svg = figure(title, &curve, finding).svg()?;
        std::fs::write(path, svg).map_err(Failure::write(path.display()))?;
    }
    let text = if train.output.json {
        let more = json!({
            "optimizer": config.training.optimizer.to_string(),
            "batch_size": config.training.batch_size,
            "engine": device.engine(),
            "device": device.name(),
            "seed": config.training.seed,
        });
        json_text(&curve, finding, more)
    } else {
        text(&curve, finding)
    };
    stdout::print(text)
}

fn check(args: &FindLrArgs) -> Result<(), Failure> {
    let (from, to) = (shortest(args.from), shortest(args.to));
    if args.from >= args.to || !(args.to / args.from).is_finite() {
        return Err(Failure::input(format!(
            "--from {from} --to {to}: the learning rate grows, so give a higher --to, or a lower --from \
             (of at most 1e308 times less)"
        )));
    }
    if let Some(steps) = args.steps.filter(|&steps| steps < LEAST_STEPS) {
        return Err(Failure::input(format!(
            "--steps {steps}: so few show no curve; give at least {LEAST_STEPS}"
        )));
    }
    let flag = match &args.train {
        train if train.resume.is_some() => "--resume",
        train if train.columns.folds.is_some() => "--folds",
        _ => return Ok(()),
    };
    Err(Failure::input(format!("{flag} is for wgrad train; find-lr begins anew, once")))
}

/// The steps of the test, and the training that they are.
fn test_options(args: &FindLrArgs, config: &Config, rows: usize) -> (u64, TrainOptions) {
    let options = config.train_options();
    let epoch = options.steps_per_epoch(u32::try_from(rows).unwrap_or(u32::MAX)).max(1);
    let steps = args.steps.unwrap_or(epoch.clamp(STEPS[0], STEPS[1]));
    let mut optimizer = options.optimizer;
    optimizer.lr = args.from;
    let schedule =
        Schedule::Exponential { factor: args.to / args.from, every: Span::Steps(steps - 1) };
    let options = TrainOptions {
        optimizer,
        schedule,
        epochs: steps.div_ceil(epoch),
        plateau: None,
        early_stopping: None,
        insight_every: None,
        on_divergence: OnDivergence::Stop,
        ..options
    };
    (steps, options)
}

struct RangeTest {
    train: Dataset,
    initial: Option<Vec<f32>>,
    steps: u64,
}

impl Job for RangeTest {
    type Output = Curve;

    fn run<E: Engine>(self, mut engine: E) -> Result<Curve, Failure> {
        let Self { train, initial, steps } = self;
        if let Some(initial) = &initial {
            engine.set_parameters(initial)?;
        }
        let mut trainer = Trainer::new(engine, &train, None)?;
        drop(train);
        let mut curve = Curve::new(steps);
        while trainer.steps() < steps && !curve.diverged {
            let trained = trainer.train_steps(steps - trainer.steps(), |progress| {
                curve.add(progress.lr, progress.step_loss);
                if curve.diverged { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match trained {
                Ok(_) => {}
                // How the test is to end, unless nothing came before.
                Err(error @ Error::Diverged { .. }) if curve.losses.is_empty() => {
                    return Err(Failure::run(format!(
                        "{error}: the very first loss, before any step (scale the inputs, or look \
                         at the targets)"
                    )));
                }
                Err(Error::Diverged { .. }) => curve.diverged = true,
                Err(error) => return Err(error.into()),
            }
        }
        curve.end();
        Ok(curve)
    }
}

/// What there is to do about it.
fn advice(curve: &Curve, finding: Finding) -> String {
    let rate = |step: Option<&f64>| significant(step.copied().unwrap_or(f64::NAN));
    let (first, last) = (rate(curve.lrs.first()), rate(curve.lrs.last()));
    match finding {
        Finding::Flat => format!(
            "no learning rate from {first} to {last} lowers the loss: try a higher --to, or look at the \
             targets, the net, or its initial weights\n"
        ),
        Finding::Rises => format!(
            "the loss rises, from {first} on, before it has clearly fallen, so there is no rate to suggest: lower \
             --from or --to, or give more --steps\n"
        ),
        Finding::Found(Found { suggestion, lowest_lr, lowest, edge, rises }) => format!(
            "lowest     {} at lr {}\nlow up to  lr {}{}\nsuggested  --lr {}\n",
            significant(lowest),
            significant(lowest_lr),
            significant(edge),
            if rises {
                ""
            } else {
                ", which ends the test, not the fall: a higher --to may show more"
            },
            shortest(suggestion),
        ),
    }
}

/// The largest loss that pictures show.
fn ceiling(curve: &Curve) -> f64 {
    SHOWN * curve.start()
}

fn text(curve: &Curve, finding: Finding) -> String {
    let most = ceiling(curve);
    let points = (0..).zip(curve.smoothed.iter().map(|loss| loss.min(most)));
    let points: Vec<(u64, f64)> = points.collect();
    let rate = |step: Option<&f64>| significant(step.copied().unwrap_or(f64::NAN));
    let ends = [rate(curve.lrs.first()), format!("lr {}", rate(curve.lrs.last()))];
    let mut table = Table::new(&["step", "lr", "loss", "smoothed"]);
    let last = curve.losses.len() - 1;
    let mut steps: Vec<usize> = (0..ROWS).map(|row| row * last / (ROWS - 1)).collect();
    steps.dedup();
    for step in steps {
        let numbers = [curve.lrs[step], curve.losses[step], curve.smoothed[step]];
        let cells = numbers.map(significant).into_iter();
        table.row(std::iter::once((step + 1).to_string()).chain(cells));
    }
    format!("{}\n{}\n{}", plot(&points, &ends), table.text(), advice(curve, finding))
}

fn json_text(curve: &Curve, finding: Finding, mut object: Value) -> String {
    let found = match finding {
        Finding::Found(found) => Some(found),
        Finding::Flat | Finding::Rises => None,
    };
    let steps = (1..).zip(curve.lrs.iter().zip(&curve.losses).zip(&curve.smoothed));
    let step = |(step, ((lr, loss), smoothed)): (u64, ((&f64, &f64), &f64))| json!({ "step": step, "lr": lr, "loss": loss, "smoothed": smoothed });
    object["lr"] = json!(found.map(|found| found.suggestion));
    object["lowest_loss"] = json!(found.map(|found| found.lowest));
    object["lowest_lr"] = json!(found.map(|found| found.lowest_lr));
    object["low_up_to_lr"] = json!(found.map(|found| found.edge));
    object["diverged"] = json!(curve.diverged);
    object["steps"] = steps.map(step).collect();
    format!("{object}\n")
}

fn figure(title: String, curve: &Curve, finding: Finding) -> Figure {
    let most = ceiling(curve);
    let points = |losses: &[f64]| -> Vec<(f64, f64)> {
        let points = curve.lrs.iter().copied().zip(losses.iter().copied());
        points.filter(|point| point.1 <= most).collect()
    };
    let mut lines = vec![
        Line::new("loss of each batch", 5, points(&curve.losses)).thin(),
        Line::new("smoothed", 0, points(&curve.smoothed)),
    ];
    if let Finding::Found(found) = finding {
        let at = |name: String, color, lr| Line::new(name, color, [(lr, 0.0), (lr, most)]).thin();
        let suggestion = shortest(found.suggestion);
        lines.push(at(format!("suggested: {suggestion}"), 2, found.suggestion));
        lines.push(at(format!("low up to {}", significant(found.edge)), 1, found.edge));
    }
    let (x, y) = (Axis::log("learning rate"), Axis::linear("loss"));
    let panel = Panel { title: "loss while the learning rate grows".into(), x, y, lines };
    Figure { title, panels: vec![panel] }
}
