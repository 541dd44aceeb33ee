//! How good a net is: the numbers, as a block of text and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use wgrad::data::{Dataset, Schema, Target, Targets};
use wgrad::{Engine, Evaluation, Loss, Score};

use super::confusion::Confusion;
use super::failure::Failure;
use super::talk::{r2, rows_of, significant};

/// Up to this many classes the confusion matrix is shown.
const SHOWN_CLASSES: usize = 20;

/// What a net does on a data set.
#[derive(Debug)]
pub(crate) struct Results {
    pub evaluation: Evaluation,
    /// With what makes it differ from the plain loss of that name.
    pub loss_name: String,
    pub detail: Detail,
}

#[derive(Debug)]
pub(crate) enum Detail {
    Classes { names: Vec<String>, confusion: Confusion },
    Values(Vec<ValueErrors>),
}

/// Errors on one target column, in its own units.
#[derive(Clone, Debug)]
pub(crate) struct ValueErrors {
    pub name: String,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Standard deviation of the target: the RMSE of always guessing its mean.
    pub deviation: f64,
}

impl ValueErrors {
    /// The column's share of what varies that is explained.
    fn r2(&self) -> f64 {
        if self.deviation > 0.0 { 1.0 - (self.rmse / self.deviation).powi(2) } else { f64::NAN }
    }
}

impl Results {
    /// Evaluates `data`.
    pub(crate) fn of<E: Engine>(
        engine: &mut E,
        schema: &Schema,
        data: &Dataset,
    ) -> Result<Self, Failure> {
        let evaluation = wgrad::evaluate(engine, data)?;
        let outputs = engine.predict(data.inputs())?;
        let loss = &engine.plan().options().loss;
        let loss_name = match loss {
            Loss::CrossEntropy { label_smoothing, .. } if *label_smoothing > 0.0 => {
                format!("{}, labels smoothed by {label_smoothing}", loss.name())
            }
            _ => loss.name().to_owned(),
        };
        // Scores and errors count each row once.
        let loss_name = match data.weights() {
            [] => loss_name,
            _ => format!("{loss_name}, rows by their weights"),
        };
        let detail = match (&schema.target, data.targets()) {
            (Target::Classes { names, .. }, Targets::Classes { labels, .. }) => {
                let width = outputs.len() / data.rows();
                let predicted = outputs.chunks_exact(width).map(predicted_class);
                let rows = labels.iter().map(|&label| label as usize).zip(predicted);
                Detail::Classes {
                    names: names.clone(),
                    confusion: Confusion::of(names.len(), rows),
                }
            }
            (Target::Values { columns }, targets) => {
                let (mut predicted, mut wanted) = (outputs, targets.to_f32());
                schema.restore_values(&mut predicted);
                schema.restore_values(&mut wanted);
                let width = columns.len();
                let errors = columns.iter().enumerate().map(|(k, column)| {
                    let column_of = |v: &[f32]| -> Vec<f64> {
                        v.iter().skip(k).step_by(width).map(|&x| f64::from(x)).collect()
                    };
                    value_errors(&column.name, &column_of(&predicted), &column_of(&wanted))
                });
                Detail::Values(errors.collect())
            }
            (Target::Classes { .. }, Targets::Values { .. }) => {
                unreachable!("a schema encodes classes as classes")
            }
        };
        let score = match &detail {
            Detail::Values(errors) if errors.len() > 1 => Score::R2(mean_r2(errors)),
            _ => evaluation.score,
        };
        Ok(Self { evaluation: Evaluation { score, ..evaluation }, loss_name, detail })
    }

    /// The block that is printed.
    pub(crate) fn text(&self) -> String {
        let Evaluation { loss, score, rows, .. } = self.evaluation;
        let mut text = format!("{:15}{}  ({})\n", "test loss", significant(loss), self.loss_name);
        // Writing to a String doesn't fail.
        let _ = match score {
            Score::Accuracy(accuracy) => {
                let right = right_rows(accuracy, rows);
                let of = indicatif::HumanCount(rows);
                writeln!(
                    text,
                    "{:15}{}  ({right} of {of} rows)",
                    "test accuracy",
                    percent(accuracy)
                )
            }
            Score::R2(value) => {
                let why = match &self.detail {
                    _ if value.is_nan() => ", whose targets are all the same",
                    Detail::Values(errors) if errors.len() > 1 => ", the mean of the targets'",
                    _ => "",
                };
                writeln!(text, "{:15}{}  (on {}{why})", "test R²", r2(value), rows_of(rows))
            }
        };
        match &self.detail {
            Detail::Classes { names, confusion } if names.len() <= SHOWN_CLASSES => {
                text += "\n";
                text += &matrix(names, confusion);
            }
            Detail::Classes { names, .. } => {
                let _ = writeln!(
                    text,
                    "{:15}not shown for {} classes (--json has it)",
                    "confusion",
                    names.len()
                );
            }
            Detail::Values(errors) => text += &error_table(errors),
        }
        text
    }

    /// The entries for the JSON object, named with `test_` in front.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let mut entries = Map::new();
        entries.insert("test_loss".into(), json!(self.evaluation.loss));
        let (name, score) = score_entry("test", self.evaluation.score);
        entries.insert(name, score);
        entries.insert("test_rows".into(), json!(self.evaluation.rows));
        match &self.detail {
            Detail::Classes { names, confusion } => {
                entries.insert("classes".into(), json!(names));
                let (key, counts) = confusion.json();
                entries.insert(key.into(), counts);
            }
            Detail::Values(errors) => {
                let column = |e: &ValueErrors| {
                    (e.name.clone(), json!({ "rmse": e.rmse, "mae": e.mae, "r2": e.r2() }))
                };
                let columns: Map<String, Value> = errors.iter().map(column).collect();
                entries.insert("targets".into(), Value::Object(columns));
            }
        }
        entries
    }
}

/// The class that logits stand for: the largest, or for a single one its sign.
pub(crate) fn predicted_class(logits: &[f32]) -> usize {
    match logits {
        &[logit] => usize::from(logit > 0.0),
        _ => (1..logits.len()).fold(0, |best, k| if logits[k] > logits[best] { k } else { best }),
    }
}

/// `test_accuracy` or `test_r2`, with its value.
pub(crate) fn score_entry(part: &str, score: Score) -> (String, Value) {
    match score {
        Score::Accuracy(value) => (format!("{part}_accuracy"), json!(value)),
        Score::R2(value) => (format!("{part}_r2"), json!(value)),
    }
}

/// A share as `97.8 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
fn right_rows(accuracy: f64, rows: u64) -> String {
    format!("{:.0}", accuracy * rows as f64)
}

#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
fn value_errors(name: &str, predicted: &[f64], wanted: &[f64]) -> ValueErrors {
    let rows = wanted.len() as f64;
    let mean = |error: fn(f64) -> f64| {
        let sum: f64 = predicted.iter().zip(wanted).map(|(p, w)| error(p - w)).sum();
        sum / rows
    };
    let centre = wanted.iter().sum::<f64>() / rows;
    let variance = wanted.iter().map(|w| (w - centre).powi(2)).sum::<f64>() / rows;
    ValueErrors {
        name: name.to_owned(),
        rmse: mean(|e| e * e).sqrt(),
        mae: mean(f64::abs),
        deviation: variance.sqrt(),
    }
}

/// The mean of the targets' R²; those that don't vary have none.
#[expect(clippy::cast_precision_loss, reason = "a few targets")]
fn mean_r2(errors: &[ValueErrors]) -> f64 {
    let defined: Vec<f64> = errors.iter().map(ValueErrors::r2).filter(|r2| !r2.is_nan()).collect();
    defined.iter().sum::<f64>() / defined.len() as f64
}

/// The errors of each target, in its units, and R² where there are several.
fn error_table(errors: &[ValueErrors]) -> String {
    let width = errors.iter().map(|e| e.name.chars().count()).max().unwrap_or(0);
    let line = |name: &str, rmse: &str, mae: &str, r2: &str| {
        let r2 = if errors.len() > 1 { format!("  {r2:>9}") } else { String::new() };
        format!("{name:width$}  {rmse:>10}  {mae:>10}{r2}\n")
    };
    let mut text = format!("\n{}", line("", "RMSE", "MAE", "R²"));
    for column in errors {
        let ValueErrors { name, rmse, mae, .. } = column;
        text += &line(name, &significant(*rmse), &significant(*mae), &r2(column.r2()));
    }
    text
}

/// Rows are true classes, columns predicted ones; zeros are dots, so that errors stand out.
fn matrix(names: &[String], confusion: &Confusion) -> String {
    const LABEL: usize = 24;
    // Longer names are cut in the heads of columns, which are as wide as the widest of them.
    let head = if names.len() <= 6 { 14 } else { 8 };
    let cut = |name: &str, most: usize| match name.char_indices().nth(most) {
        Some(_) => name.chars().take(most - 1).chain(['…']).collect(),
        None => name.to_owned(),
    };
    let heads: Vec<String> = names.iter().map(|name| cut(name, head)).collect();
    let labels: Vec<String> = names.iter().map(|name| cut(name, LABEL)).collect();
    let chars = |texts: &[String]| texts.iter().map(|t| t.chars().count()).max().unwrap_or(0);
    let digits = confusion.most().to_string().len();
    let (label, cell) = (chars(&labels).max("true".len()), chars(&heads).max(digits));

    let mut text = format!("{:label$}   predicted\n{:label$}", "", "true");
    heads.iter().for_each(|head| text += &format!("  {head:>cell$}"));
    text += &format!("  {:>8}\n", "recall");
    for (i, (name, class)) in labels.iter().zip(confusion.classes()).enumerate() {
        text += &format!("{name:label$}");
        for n in (0..names.len()).map(|predicted| confusion.count(i, predicted)) {
            let shown = if n == 0 { "·".to_owned() } else { n.to_string() };
            text += &format!("  {shown:>cell$}");
        }
        let recall = class.recall();
        let recall = recall.map_or("no rows".into(), |recall| format!("{:.1} %", 100.0 * recall));
        text += &format!("  {recall:>8}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::confusion::tests::confusion;

    #[test]
    fn a_confusion_matrix_is_aligned() {
        let names = ["cat", "dog", "hippopotamus tail"].map(String::from);
        let confusion = confusion(&[vec![10, 0, 1], vec![2, 120, 0], vec![0, 0, 0]]);
        assert_eq!(
            matrix(&names, &confusion),
            "                    predicted
true                          cat             dog  hippopotamus …    recall
cat                            10               ·               1    90.9 %
dog                             2             120               ·    98.4 %
hippopotamus tail               ·               ·               ·   no rows
"
        );
    }

    #[test]
    fn errors_are_means_over_rows() {
        let errors = value_errors("y", &[1.0, 2.0, 3.0], &[1.0, 4.0, 0.0]);
        assert!((errors.rmse - (13.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{errors:?}");
        assert!((errors.mae - 5.0 / 3.0).abs() < 1e-12, "{errors:?}");
        // Of 1, 4, 0.
        assert!((errors.deviation - (26.0_f64 / 9.0).sqrt()).abs() < 1e-12, "{errors:?}");
        assert!((errors.r2() + 0.5).abs() < 1e-12, "{errors:?}");
        let other = value_errors("z", &[1.0, 2.0], &[1.0, 2.0]);
        let constant = value_errors("constant", &[1.0, 2.0], &[2.0, 2.0]);
        let mean = mean_r2(&[errors.clone(), other, constant.clone()]);
        assert!((mean - 0.25).abs() < 1e-12, "{mean}");
        assert_eq!(
            error_table(&[errors, constant]),
            "
                RMSE         MAE         R²
y              2.082       1.667    -0.5000
constant      0.7071      0.5000  undefined
"
        );
    }

    #[test]
    fn one_logit_tells_by_its_sign() {
        assert_eq!([-1.0, 0.0, 1.0].map(|logit| predicted_class(&[logit])), [0, 0, 1]);
        assert_eq!(predicted_class(&[0.0, 3.0, 3.0]), 1, "of equal ones the first");
    }
}
