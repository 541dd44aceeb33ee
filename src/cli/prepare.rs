//! From a table's name to the data sets of a run.

mod doubtful;

use indicatif::BinaryBytes;
use wgrad::data::{ColumnValues, Dataset, Partition, Schema, Source, Table};

use super::args::TrainArgs;
use super::config::Config;
use super::device::{free_memory, memory_beside};
use super::failure::Failure;
use super::progress::ReadingBar;
use super::report::{MOST_ROWS, Part, some_rows};
use super::talk::{Talk, count};

/// The data of a run. The table that they are from is given up. Parts without rows are `None`.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Rows that an engine holds at most: the test rows come when training is over, but before its
    /// rows are given up.
    pub rows: usize,
    /// Name, size and division of the table.
    pub description: String,
    /// What the numbers take.
    pub memory: String,
    /// What the columns are and what becomes of them.
    pub columns: String,
    /// Columns that are probably not intended to be learnt from as they are.
    pub doubts: Vec<String>,
    pub schema: Schema,
    pub train: Dataset,
    pub validation: Option<Dataset>,
    pub test: Option<Dataset>,
}

impl Prepared {
    /// Loads, divides and encodes the table, and completes the config with what it tells.
    pub(crate) fn new(args: &TrainArgs, config: &mut Config, talk: Talk) -> Result<Self, Failure> {
        // By the name that was typed, which messages repeat.
        let source = Source { name: args.source.clone(), ..config.data.table() };
        let table = load(source, talk)?;
        let data = Self::from_table(args, config, &table)?;
        if args.fingerprint.as_ref().is_some_and(|then| *then != config.data.fingerprint) {
            let name = table.source_name();
            talk.line(format_args!(
                "warning: {name} has changed since that run was made, so this one will differ"
            ));
        }
        Ok(data)
    }

    /// Divides and encodes a table that is there, and completes the config with what it tells.
    pub(crate) fn from_table(
        args: &TrainArgs,
        config: &mut Config,
        table: &Table,
    ) -> Result<Self, Failure> {
        let parts = partition(table, config)?;
        let data = Self::fold(args, config, table, &parts)?;
        config.data.fingerprint = fingerprint(table);
        Ok(data)
    }

    /// The table and its divisions for a cross-validation.
    pub(crate) fn folds(
        args: &TrainArgs,
        config: &Config,
        folds: usize,
        talk: Talk,
    ) -> Result<(Table, Vec<Partition>), Failure> {
        let source = Source { name: args.source.clone(), ..config.data.table() };
        let table = load(source, talk)?;
        let labels = config.data.schema_options().labels(&table)?;
        let options = config.partition(0);
        let parts = Partition::folds(table.rows(), labels.as_deref(), folds, &options);
        let parts = parts.map_err(|error| {
            Failure::input(format!(
                "{}: {error}; see --folds and --validation",
                table.source_name()
            ))
        })?;
        Ok((table, parts))
    }

    /// The data of a table divided so.
    pub(crate) fn fold(
        args: &TrainArgs,
        config: &mut Config,
        table: &Table,
        parts: &Partition,
    ) -> Result<Self, Failure> {
        let schema = fitted(table, parts, config)?;
        config.complete(args, table, &schema, parts.train.len())?;
        Self::of(table, parts, schema, config)
    }

    /// The data of a run that was made before, to go on with it; from another place where they have moved.
    pub(crate) fn again(
        config: &mut Config,
        moved: Option<&str>,
        talk: Talk,
    ) -> Result<Self, Failure> {
        let therefore =
            "the run can't go on (if the table is elsewhere now, name it behind --resume RUN)";
        let table = match moved {
            Some(source) => {
                config.data.move_to(source);
                same_table(config, "the run can't go on with it", talk)?
            }
            None => own_table(config, therefore, talk)?,
        };
        let parts = partition(&table, config)?;
        let schema = fitted(&table, &parts, config)?;
        Self::of(&table, &parts, schema, config)
    }

    fn of(
        table: &Table,
        parts: &Partition,
        schema: Schema,
        config: &mut Config,
    ) -> Result<Self, Failure> {
        let rows = table.rows();
        let numbers = schema.in_features() + config.data.target.len();
        let data_bytes = bytes(rows, numbers);
        memory_beside(data_bytes, rows)?;
        let encode = |rows: &[u32]| encoded(&schema, table, rows, config.data.weights.as_deref());
        let some = |rows: &[u32]| (!rows.is_empty()).then(|| encode(rows)).transpose();
        let train = encode(&parts.train)?;
        let (validation, test) = (some(&parts.validation)?, some(&parts.test)?);
        config.balance(&train)?;

        let table_bytes = bytes(rows, table.columns().len());
        let description = format!(
            "{}: {} ({} to train, {} to validate, {} to test{})",
            table.source_name(),
            count(rows, "row"),
            indicatif::HumanCount(parts.train.len() as u64),
            indicatif::HumanCount(parts.validation.len() as u64),
            indicatif::HumanCount(parts.test.len() as u64),
            if table.test_rows() > 0 { ", kept apart by the source" } else { "" },
        );
        let memory = format!(
            "{} for the table while it is read, {} for the numbers from it, as much for the engine's \
             copy; {} at a time",
            BinaryBytes(table_bytes),
            BinaryBytes(data_bytes),
            BinaryBytes(data_bytes + table_bytes.max(data_bytes)),
        );
        let columns = schema.summary(table);
        let doubts = doubtful::columns(&schema, table);
        Ok(Self { rows, description, memory, columns, doubts, schema, train, validation, test })
    }
}

/// The schema of the training rows; what those without weight hold has no say in scales and fill values.
fn fitted(table: &Table, parts: &Partition, config: &Config) -> Result<Schema, Failure> {
    let options = config.data.schema_options();
    let weights = config.data.weights.as_deref().map(|name| table.find(name)).transpose()?;
    let counting = match weights.map(|column| &table.columns()[column].values) {
        Some(ColumnValues::Numeric(weights)) => {
            parts.train.iter().copied().filter(|&row| weights[row as usize] > 0.0).collect()
        }
        _ => Vec::new(),
    };
    // Weights that aren't any are told of later.
    let rows = if counting.is_empty() { &parts.train } else { &counting };
    Ok(Schema::fit(table, rows, &options)?)
}

/// Bytes of so many numbers in each row.
fn bytes(rows: usize, numbers: usize) -> u64 {
    (rows as u64).saturating_mul(numbers as u64).saturating_mul(4)
}

/// Reads a table. Whatever keeps it from being read is the input's fault.
pub(crate) fn load(source: Source, talk: Talk) -> Result<Table, Failure> {
    let bar = ReadingBar::new(talk);
    let source = Source { memory: free_memory(), ..source };
    let table = source.load_watched(&mut |reading| bar.show(&reading));
    bar.finish();
    let table = table.map_err(Failure::input)?;
    for assumption in table.assumptions() {
        talk.line(format_args!("{}: {assumption}", table.source_name()));
    }
    Ok(table)
}

/// The rows of a table to score on: its test rows where it keeps some apart, else all.
pub(crate) fn rows_to_score(table: &Table) -> Vec<u32> {
    let rows = table.all_rows();
    match table.test_rows() {
        0 => rows,
        test => rows[rows.len() - test..].to_vec(),
    }
}

/// The table that a run was made with, from where it was; or what it means that it isn't there.
fn own_table(config: &Config, therefore: &str, talk: Talk) -> Result<Table, Failure> {
    match config.data.source.as_str() {
        "-" => Err(Failure::input(format!("the run read standard input, so {therefore}"))),
        _ => same_table(config, therefore, talk),
    }
}

/// The table of a run's data, if it is the one that the run was made with.
fn same_table(config: &Config, therefore: &str, talk: Talk) -> Result<Table, Failure> {
    let source = &config.data.source;
    let table = load(config.data.table(), talk).map_err(|failure| {
        let error = failure.message().unwrap_or_default();
        Failure::input(format!("{error} (the run's own table), so {therefore}"))
    })?;
    if table.rows() != config.data.rows || fingerprint(&table) != config.data.fingerprint {
        return Err(Failure::input(format!(
            "{source} has changed since the run was made, or isn't its table, so {therefore}"
        )));
    }
    Ok(table)
}

/// The test rows of a finished run, from the table that it was made with.
pub(crate) fn test_rows(config: &Config, schema: &Schema, talk: Talk) -> Result<Dataset, Failure> {
    let table = own_table(config, "its test rows can't be told; name a table to score on", talk)?;
    let parts = partition(&table, config)?;
    if parts.test.is_empty() {
        return Err(Failure::input(
            "the run kept no rows to test on (--test 0); name a table to score on",
        ));
    }
    encoded(schema, &table, &parts.test, config.data.weights.as_deref())
}

/// Rows of a finished run that it didn't learn from, from the table that it was made with: its test rows,
/// else some of its validation rows, if it has either.
pub(crate) fn rows_to_report(
    config: &Config,
    schema: &Schema,
    talk: Talk,
) -> Result<Option<(Part, Dataset)>, Failure> {
    let table = own_table(config, "there are no rows to score on", talk)?;
    let parts = partition(&table, config)?;
    let encode = |rows: &[u32]| encoded(schema, &table, rows, config.data.weights.as_deref());
    Ok(match (&parts.test[..], &parts.validation[..]) {
        ([], []) => None,
        ([], rows) => {
            Some((Part::Validation, some_rows(&encode(rows)?, MOST_ROWS, config.training.seed)?))
        }
        (rows, _) => Some((Part::Test, encode(rows)?)),
    })
}

/// Rows of a table as the net reads them, with their weights from the column of that name.
pub(crate) fn encoded(
    schema: &Schema,
    table: &Table,
    rows: &[u32],
    weights: Option<&str>,
) -> Result<Dataset, Failure> {
    let data = schema.encode(table, rows)?;
    let Some(name) = weights else { return Ok(data) };
    let refuse = |problem: String| {
        Err(Failure::input(format!("--weights {name}: {problem} in {}", table.source_name())))
    };
    let column = &table.columns()[table.find(name)?];
    let ColumnValues::Numeric(values) = &column.values else {
        return refuse("the column holds text, not numbers,".into());
    };
    let weights: Vec<f32> = rows.iter().map(|&row| values[row as usize]).collect();
    match weights.iter().zip(rows).find(|(w, _)| !(w.is_finite() && **w >= 0.0)) {
        Some((w, row)) if w.is_nan() => refuse(format!("the weight of row {} is missing", row + 1)),
        Some((w, row)) => refuse(format!(
            "the weight of row {} is {w}, but must be finite and not negative",
            row + 1
        )),
        None if weights.iter().all(|&w| w == 0.0) => refuse(format!(
            "the {} of one part (to train, validate or test; --seed divides them otherwise, --validation 0 \
             and --test 0 do without) have a weight of 0 each",
            count(weights.len(), "row")
        )),
        None => Ok(data.with_weights(weights)?),
    }
}

fn partition(table: &Table, config: &Config) -> Result<Partition, Failure> {
    let labels = config.data.schema_options().labels(table)?;
    let options = config.partition(table.test_rows());
    Partition::new(table.rows(), labels.as_deref(), &options).map_err(|error| {
        Failure::input(format!("{}: {error}; see --validation and --test", table.source_name()))
    })
}

/// A number that tells a table from one with other cells or another order of rows: 64-bit FNV-1a
/// (Fowler, Noll, Vo) over names and cells, in hexadecimal.
pub(crate) fn fingerprint(table: &Table) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut take = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for column in table.columns() {
        take(column.name.as_bytes());
        match &column.values {
            ColumnValues::Numeric(values) => {
                values.iter().for_each(|value| take(&value.to_bits().to_le_bytes()));
            }
            ColumnValues::Text { codes, values } => {
                values.iter().for_each(|value| take(value.as_bytes()));
                codes.iter().for_each(|code| take(&code.to_le_bytes()));
            }
        }
    }
    format!("{hash:016x}")
}
