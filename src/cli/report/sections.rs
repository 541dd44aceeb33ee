//! The parts of a report that every run has, in their order.

use indicatif::{BinaryBytes, HumanCount};
use wgrad::data::Schema;
use wgrad::{Activation, Layer, Plan, Stage, StageOp, Tensor};

use super::groups::square_image;
use super::importance::{ColumnImportance, Importance};
use super::scored::Scored;
use super::{classes, number, values};
use crate::cli::failure::Failure;
use crate::cli::figure::{Line, Panel};
use crate::cli::page::cells::{Bar, bars, image};
use crate::cli::page::curves::curves;
use crate::cli::page::{Page, Picture, Tile};
use crate::cli::results::Detail;
use crate::cli::run_record::{LR, RunRecord, SCORE, TRAIN_LOSS, VALIDATION_LOSS, epoch_panel};
use crate::cli::talk::{count, duration, significant};

/// Bars of a picture.
const MOST_BARS: usize = 15;

/// The results, large.
pub(super) fn headline(page: &mut Page, record: &RunRecord, plan: &Plan, scored: Option<&Scored>) {
    let mut tiles = match scored {
        None => Vec::new(),
        Some(Scored { part, results, .. }) => match &results.detail {
            Detail::Classes { names, confusion } => {
                classes::tiles(part.name(), results, names, confusion)
            }
            Detail::Values(errors) => values::tiles(part.name(), results, errors),
        },
    };
    if let Some(last) = record.epochs.last() {
        let epochs = count(usize::try_from(last.epoch).unwrap_or(usize::MAX), "epoch");
        let took = format!("{} steps in {}", HumanCount(last.step), duration(record.seconds()));
        tiles.push(Tile::new("trained", epochs, took));
    }
    let parameters = HumanCount(plan.parameters() as u64).to_string();
    tiles.push(Tile::new("parameters", parameters, plan.mlp().to_string()));
    page.tiles(&tiles);
}

/// Curves over the epochs, and over the measured steps.
pub(super) fn training(page: &mut Page, record: &RunRecord) {
    page.section("Training");
    if record.epochs.is_empty() {
        page.note("No epoch came to its end.");
        return;
    }
    let losses = [("training", 0, TRAIN_LOSS), ("validation", 1, VALIDATION_LOSS)];
    let line = |(name, color, of)| Line::new(name, color, record.curve(of));
    let losses = losses.into_iter().map(line).filter(|line| !line.points.is_empty()).collect();
    let mut panels: Vec<Panel> = vec![epoch_panel("Loss", "loss", losses, true)];
    let scores = record.curve(SCORE);
    if !scores.is_empty() {
        let title = format!("Validation {}", record.score);
        let line = Line::new("validation", 2, scores);
        panels.push(epoch_panel(&title, record.score, vec![line], false));
    }
    let lr = Line::new("at the end of the epoch", 3, record.curve(LR));
    panels.push(epoch_panel("Learning rate", "learning rate", vec![lr], false));
    panels.extend(record.tensor_panels());
    page.pictures(&panels.iter().map(curves).collect::<Vec<_>>(), "");
    if record.tensors.is_empty() {
        page.note("Norms of gradients and updates weren't measured (--insight-every does).");
    }
}

/// What the net says of rows that it didn't learn from, and what it says that by.
pub(super) fn answers(page: &mut Page, schema: &Schema, scored: &Scored) {
    match &scored.results.detail {
        Detail::Classes { names, confusion } => classes::section(page, scored, names, confusion),
        Detail::Values(errors) => values::section(page, scored, schema, errors),
    }
    let (rows, sample) = (scored.results.evaluation.rows, scored.sample.rows());
    if rows > sample as u64 {
        page.note(&format!(
            "Curves and dots are of a sample of {} of the {} {} rows; counts and scores are of all.",
            HumanCount(sample as u64),
            HumanCount(rows),
            scored.part.name()
        ));
    }
    if let Some(importance) = &scored.importance {
        columns(page, schema, importance, scored);
    }
}

fn columns(page: &mut Page, schema: &Schema, importance: &Importance, scored: &Scored) {
    let Importance { columns, all, edge, rows, shuffles } = importance;
    page.section("Columns");
    let score = match &scored.results.detail {
        Detail::Classes { .. } => "accuracy",
        Detail::Values(_) => "R²",
    };
    let title = format!("Importance: drop of {score}");
    let mut ranked: Vec<&ColumnImportance> = columns.iter().collect();
    ranked.sort_by(|a, b| b.drop.total_cmp(&a.drop));
    let told: Vec<String> = ranked.iter().take(3).map(|column| column.name.clone()).collect();
    let about = format!("Largest for {}", told.join(", "));
    let mut pictures: Vec<Picture> = Vec::new();
    let (what, whose, many) = match edge {
        1 => ("pixel", "a column's cells change", "columns"),
        _ => ("patch", "the pixels of a patch change", "patches"),
    };
    if columns.len() == *all && square_image(schema).is_some() {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let drops: Vec<f64> = columns.iter().map(|column| column.drop).collect();
        pictures.push(image(&format!("{title}, {what} by {what}"), &about, &names, &drops));
    }
    let shown = ranked.iter().take(MOST_BARS).map(|column| Bar {
        name: column.name.clone(),
        value: column.drop,
        deviation: column.deviation,
        told: match shuffles {
            1 => significant(column.drop),
            _ => format!("{:.4} ± {:.4}", column.drop, column.deviation).replace('-', "−"),
        },
    });
    pictures.push(bars(&title, &about, &shown.collect::<Vec<_>>()));
    let mut note = format!(
        "How far {score} on {} {} rows falls when {whose} places among the rows{}. \
         {} that say the same stand in for each other, so each of them may seem to be worth \
         little.",
        HumanCount(*rows as u64),
        scored.part.name(),
        match shuffles {
            1 => String::new(),
            _ => format!(", mean and standard deviation of {shuffles} times"),
        },
        if *edge == 1 { "Columns" } else { "Patches" }
    );
    if columns.len() < *all {
        note +=
            &format!(" Measured for the first {} of {all} {many}, as time allowed.", columns.len());
    } else if columns.len() > MOST_BARS {
        note += &format!(" Bars are of the first {MOST_BARS} of {all} {many} in this order.");
    }
    page.pictures(&pictures, &note);
}

/// The net, layer by layer, and what it takes.
pub(super) fn net(page: &mut Page, plan: &Plan) {
    page.section("Net");
    let rows: Vec<_> = plan.stages().iter().map(|stage| (None, stage_row(plan, stage))).collect();
    page.table(3, &["layer", "kind", "behind it", "in", "out", "parameters"], &rows);
    page.note(&format!(
        "{} parameters; in training {} of parameters, gradients and optimizer state, \
         {} of activations of {} rows. {} FLOPs a row forward, {} a step of {} rows.",
        HumanCount(plan.parameters() as u64),
        BinaryBytes(plan.state_bytes()),
        BinaryBytes(plan.activation_bytes()),
        HumanCount(plan.capacity() as u64),
        HumanCount(plan.flops_per_row()),
        HumanCount(plan.flops_per_step()),
        HumanCount(plan.options().batch_size as u64),
    ));
}

fn stage_row(plan: &Plan, stage: &Stage) -> Vec<String> {
    let kind = match &stage.op {
        StageOp::Linear { .. } => "linear".into(),
        StageOp::Norm(norm) if norm.per_row => "layer norm".into(),
        StageOp::Norm(_) => "batch norm".into(),
        StageOp::Encoding(encoding) => format!("encoding {encoding}"),
        _ => String::new(),
    };
    let mut behind = Vec::new();
    if stage.activation != Activation::Identity {
        behind.push(stage.activation.to_string());
    }
    // A stage has at most two layers behind its own.
    for layer in plan.mlp().layers().iter().skip(stage.layer).take(3).skip(1) {
        match layer {
            Layer::Activation(_) => {}
            Layer::Dropout(dropout) => behind.push(format!("dropout {}", dropout.rate)),
            _ => break,
        }
    }
    let trained = stage.tensors().filter(|tensor| tensor.kind.is_trained());
    let parameters: usize = trained.map(Tensor::len).sum();
    let numbers = [stage.in_features, stage.out_features, parameters];
    [
        vec![stage.layer.to_string(), kind, behind.join(", ")],
        numbers.map(|n| HumanCount(n as u64).to_string()).to_vec(),
    ]
    .concat()
}

/// What it ran on, how long that took, and how to make it again.
pub(super) fn run(page: &mut Page, record: &RunRecord) -> Result<(), Failure> {
    page.section("Run");
    let run = &record.config.run;
    let device = format!("{} ({})", run.device_name, run.engine);
    let mut rows = vec![vec!["device".into(), device]];
    let seconds = record.seconds();
    if let Some(last) = record.epochs.last() {
        rows.push(vec!["training, validation included".into(), duration(seconds)]);
        let epochs = number(record.epochs.len());
        rows.push(vec!["an epoch".into(), duration(seconds / epochs)]);
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2⁵²")]
        let steps = last.step as f64;
        rows.push(vec!["a step".into(), crate::cli::talk::with_prefix(seconds / steps, "s")]);
    }
    if let Some(rate) = record.results.get("samples_per_s").and_then(serde_json::Value::as_u64) {
        rows.push(vec!["rows a second".into(), HumanCount(rate).to_string()]);
    }
    rows.push(vec!["outcome".into(), run.outcome.clone()]);
    rows.push(vec!["folder".into(), record.folder.display().to_string()]);
    let rows: Vec<_> = rows.into_iter().map(|cells| (None, cells)).collect();
    page.table(2, &[], &rows);
    page.section("Configuration");
    page.preformatted(record.config.to_toml()?.trim_end());
    Ok(())
}
