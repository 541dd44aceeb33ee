//! What each column of the table is worth to the net: how far its score falls when the column's cells
//! change places among the rows (Breiman 2001; Fisher, Rudin and Dominici 2019).

use std::time::{Duration, Instant};

use wgrad::Engine;
use wgrad::data::{Dataset, Schema, Targets};
use wgrad::rng::{Purpose, Stream};

use super::groups::{Group, groups};
use super::scored::some_rows;
use crate::cli::failure::Failure;
use crate::cli::results::predicted_class;

/// Times that each column is shuffled, at most.
const MOST_SHUFFLES: usize = 5;
/// Rows that go through the net, of all columns and shuffles together, and FLOPs that this may take: about
/// a second of a CPU.
const MOST_WORK: usize = 1 << 19;
const MOST_FLOPS: u64 = 100_000_000_000;
/// Fewer rows than this wouldn't tell much.
const LEAST_ROWS: usize = 500;
/// Nobody should wait longer for it.
const MOST_TIME: Duration = Duration::from_secs(5);

/// Columns with what they are worth.
#[derive(Debug)]
pub(super) struct Importance {
    /// In the table's order; the last are missing if there was no time even for one round.
    pub columns: Vec<ColumnImportance>,
    /// Columns that there are.
    pub all: usize,
    /// Pixels along the side of a patch, where columns are patches of images; else 1.
    pub edge: usize,
    pub rows: usize,
    pub shuffles: usize,
}

#[derive(Debug)]
pub(super) struct ColumnImportance {
    pub name: String,
    /// How far the score falls, on average over the shuffles.
    pub drop: f64,
    /// Standard deviation between shuffles; 0 of a single one.
    pub deviation: f64,
}

impl Importance {
    /// Of the columns of `schema` on these rows; `None` where there is no score to fall.
    pub(super) fn of<E: Engine>(
        engine: &mut E,
        schema: &Schema,
        data: &Dataset,
        seed: u64,
    ) -> Result<Option<Self>, Failure> {
        let (edge, groups) = groups(schema);
        let all = groups.len();
        let affordable = MOST_FLOPS / engine.plan().flops_per_row().max(1);
        let work = usize::try_from(affordable).map_or(MOST_WORK, |rows| rows.min(MOST_WORK));
        let data = some_rows(data, LEAST_ROWS.max(work / all), seed)?;
        let rows = data.rows();
        let shuffles = (work / (rows * all)).clamp(1, MOST_SHUFFLES);
        let (whole, width) = (data.inputs(), data.in_features());
        let before = score(&engine.predict(whole)?, data.targets());
        if !before.is_finite() || rows < 2 {
            return Ok(None);
        }
        let begun = Instant::now();
        let mut inputs = whole.to_vec();
        let mut drops: Vec<Vec<f64>> = vec![Vec::new(); all];
        let mut rounds = 0;
        let mut stream = 1..;
        // All columns once, then all again: where time is short, each is shuffled less often.
        'rounds: while rounds < shuffles {
            for (group, (drops, index)) in groups.iter().zip(drops.iter_mut().zip(&mut stream)) {
                let features = || group.features.iter().copied();
                if begun.elapsed() > MOST_TIME {
                    break 'rounds;
                }
                // As many pixels of images are, always the same: nothing can change places.
                let is_first = |row: &[f32]| features().all(|k| row[k] == whole[k]);
                if whole.chunks_exact(width).all(is_first) {
                    drops.push(0.0);
                    continue;
                }
                let mut random = Stream::new(seed, Purpose::Inspect, index);
                let mut order: Vec<usize> = (0..rows).collect();
                random.shuffle(&mut order);
                for (to, from) in order.into_iter().enumerate() {
                    features().for_each(|k| inputs[to * width + k] = whole[from * width + k]);
                }
                drops.push(before - score(&engine.predict(&inputs)?, data.targets()));
                for (row, whole) in inputs.chunks_exact_mut(width).zip(whole.chunks_exact(width)) {
                    features().for_each(|k| row[k] = whole[k]);
                }
            }
            rounds += 1;
        }
        let shuffles = rounds.max(1);
        let columns = groups.into_iter().zip(drops).filter(|(_, drops)| !drops.is_empty());
        let columns = columns.map(|(Group { name, .. }, mut drops)| {
            // Of a round that wasn't finished nothing is told, unless it is the only one.
            drops.truncate(shuffles);
            let (drop, deviation) = mean_and_deviation(&drops);
            ColumnImportance { name, drop, deviation }
        });
        Ok(Some(Self { columns: columns.collect(), all, edge, rows, shuffles }))
    }
}

/// Accuracy or R² of outputs for these targets.
#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
fn score(outputs: &[f32], targets: &Targets) -> f64 {
    match targets {
        Targets::Classes { labels, .. } => {
            let outputs = outputs.chunks_exact(outputs.len() / labels.len());
            let right = |(z, label): &(&[f32], &u32)| predicted_class(z) == **label as usize;
            outputs.zip(labels).filter(right).count() as f64 / labels.len() as f64
        }
        Targets::Values { values, width } => {
            let rows = values.len() / width;
            let mean = |k: usize| -> f64 {
                values.iter().skip(k).step_by(*width).map(|&y| f64::from(y)).sum::<f64>()
                    / rows as f64
            };
            let means: Vec<f64> = (0..*width).map(mean).collect();
            let squares = |guess: &dyn Fn(usize) -> f64| -> f64 {
                values.iter().enumerate().map(|(i, &y)| (f64::from(y) - guess(i)).powi(2)).sum()
            };
            1.0 - squares(&|i| f64::from(outputs[i])) / squares(&|i| means[i % width])
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few numbers")]
fn mean_and_deviation(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use wgrad::data::{CsvOptions, SchemaOptions, read_csv};
    use wgrad::{CpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions};

    use super::*;

    /// y = 3·a + nothing of b, nothing of the words: a linear net with just these weights.
    #[test]
    fn only_columns_that_are_used_are_worth_anything() {
        let rows: String = (0..60)
            .map(|i| format!("{i},{},{},{}\n", i * 7 % 60, ["u", "v", "w"][i % 3], 3 * i))
            .collect();
        let text = format!("a,b,word,y\n{rows}");
        let table = read_csv(text.as_bytes(), "t", &CsvOptions::default()).unwrap();
        let schema = Schema::fit(&table, &table.all_rows(), &SchemaOptions::default()).unwrap();
        let data = schema.encode(&table, &table.all_rows()).unwrap();
        let options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
        let plan = Plan::new(&Mlp::new(schema.in_features()).linear(1), &options).unwrap();
        let mut engine = CpuEngine::<f32>::new(plan.clone());
        // Standardised, y is a; the words' three inputs come last.
        let mut parameters = vec![0.0; plan.arena_len()];
        parameters[0] = 1.0;
        engine.set_parameters(&parameters).unwrap();
        let measure = |engine: &mut CpuEngine<f32>, seed| {
            Importance::of(engine, &schema, &data, seed).unwrap().unwrap()
        };
        let importance = measure(&mut engine, 0);
        assert_eq!((importance.all, importance.rows, importance.shuffles), (3, 60, MOST_SHUFFLES));
        let [a, b, word] = &importance.columns[..] else { panic!("three columns") };
        assert_eq!((b.drop, word.drop), (0.0, 0.0));
        // Shuffled, it is as far from the truth as two rows are from each other: R² −1.
        assert!((a.drop - 2.0).abs() < 0.5 && a.deviation > 0.0, "{a:?}");
        let names = [&a.name, &b.name, &word.name];
        assert_eq!(names, ["a", "b", "word"]);
        assert_eq!(measure(&mut engine, 0).columns[0].drop, a.drop);
        assert_ne!(measure(&mut engine, 1).columns[0].drop, a.drop);
    }

    #[test]
    fn scores_are_those_of_the_rows_looked_at() {
        let classes = Targets::Classes { labels: vec![0, 1, 1], classes: 10 };
        assert_eq!(score(&[-1.0, 1.0, -1.0], &classes), 2.0 / 3.0);
        let values = Targets::Values { values: vec![1.0, 3.0, 5.0], width: 1 };
        assert_eq!(score(&[1.0, 3.0, 5.0], &values), 1.0);
        assert_eq!(score(&[3.0, 3.0, 3.0], &values), 0.0);
        let constant = Targets::Values { values: vec![1.0; 2], width: 1 };
        assert!(!score(&[1.0, 2.0], &constant).is_finite());
    }

    /// A wide table sorted by class: the columns that mark the first, second and last class, all of which the
    /// net reads alike, are worth the same.
    #[test]
    fn rows_are_from_all_over_the_table() {
        const WIDTH: usize = 600;
        let labels: Vec<u32> = (0..1800).map(|row| row / 600).collect();
        let rows = labels.len();
        let mut inputs = vec![0.0; rows * WIDTH];
        for (row, &label) in labels.iter().enumerate() {
            inputs[row * WIDTH + label as usize] = 1.0;
        }
        let data = Dataset::new(inputs, WIDTH, Targets::Classes { labels, classes: 3 }).unwrap();
        let names: Vec<String> = (0..WIDTH).map(|k| format!("x{k}")).collect();
        let text =
            format!("{},y\n{}a\n{}b\n", names.join(","), "0,".repeat(WIDTH), "1,".repeat(WIDTH));
        let table = read_csv(text.as_bytes(), "t", &CsvOptions::default()).unwrap();
        let schema = Schema::fit(&table, &table.all_rows(), &SchemaOptions::default()).unwrap();
        let options = TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adam(1e-3));
        let plan = Plan::new(&Mlp::new(WIDTH).linear(3), &options).unwrap();
        let mut engine = CpuEngine::<f32>::new(plan.clone());
        let mut parameters = vec![0.0; plan.arena_len()];
        (0..3).for_each(|class| parameters[class * WIDTH + class] = 1.0);
        engine.set_parameters(&parameters).unwrap();
        let importance = Importance::of(&mut engine, &schema, &data, 0).unwrap().unwrap();
        assert!(importance.rows < rows);
        let drop = |column: usize| importance.columns[column].drop;
        // 2/9 of the rows lose their mark, and as many get a second one.
        assert!((0..3).all(|k| drop(k) > 0.1), "{} {} {}", drop(0), drop(1), drop(2));
    }
}
