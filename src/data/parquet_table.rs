//! Reads Parquet files (Apache Parquet format, version 2): rows in groups, and in each group the columns
//! one after the other, in pages that are packed by themselves. One page is unpacked at a time.
//!
//! The decoders take what a file says of itself for true, so [`check`] comes before them.

mod cell;
mod check;
mod column;
mod thrift;

use std::fs::File;
use std::sync::Arc;

use parquet::column::reader::get_column_reader;
use parquet::file::metadata::{FileMetaData, RowGroupMetaData};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::{SerializedFileReader, SerializedPageReader};

use self::cell::Kind;
use self::check::CheckedPages;
use self::column::{Building, Chunk};
use super::decoding::decoded;
use super::input::{Reading, Watch};
use super::load::check_memory;
use super::places::Places;
use super::table::Table;
use crate::{Error, Result};

/// What a Parquet file begins and ends with.
pub(super) const MAGIC: &[u8; 4] = b"PAR1";

/// The table of a file, called `name` in messages, of up to `memory` bytes.
pub(super) fn read(name: &str, file: File, memory: u64, watch: &mut Watch) -> Result<Table> {
    let len = file.metadata().map_err(Error::io(name))?.len();
    let fail = |problem| Error::Data { source_name: name.to_owned(), problem };
    check::footer(&file, len).map_err(|problem| damaged(name, &problem))?;
    let pages_of = Arc::new(file.try_clone().map_err(Error::io(name))?);
    let reader = guarded(name, || SerializedFileReader::new(file))?;
    let metadata = reader.metadata();
    let groups = metadata.row_groups();
    let rows = check::rows(metadata).map_err(|problem| damaged(name, &problem))?;

    let schema = metadata.file_metadata().schema_descr();
    let index = pandas_index(metadata.file_metadata());
    let mut columns = Vec::new();
    for (at, description) in schema.columns().iter().enumerate() {
        let path = description.path().parts();
        let outer = path.first().map_or("", String::as_str);
        if path.len() != 1 || description.max_rep_level() > 0 {
            return Err(fail(format!(
                "column `{}` is {}, but a table has one number or word in each cell; write the file \
                 with a column for each number in it, or without it (pandas: df.drop(columns=[\"{outer}\"]))",
                description.path().string(),
                if description.max_rep_level() > 0 { "a list" } else { "nested" },
            )));
        }
        if index.iter().any(|name| name == outer) {
            continue;
        }
        let kind =
            Kind::of(description).map_err(|problem| fail(format!("column `{outer}` {problem}")))?;
        columns.push((at, kind, Building::new(kind)));
    }
    check_memory(name, rows, columns.len() as u64, memory)?;

    let mut first_row = 0;
    let mut done = 0;
    for group in groups {
        let group_rows = usize::try_from(group.num_rows()).unwrap_or(0);
        for (at, kind, building) in &mut columns {
            let bytes = check::chunk(&pages_of, len, group, *at)
                .map_err(|problem| damaged(name, &problem))?;
            let description = schema.column(*at);
            let pages = pages(name, &pages_of, group, *at)?;
            let chunk = Chunk {
                name,
                column: description.name(),
                optional: description.max_def_level() > 0,
                first_row,
                rows: group_rows,
            };
            let reader = guarded(name, || Ok(get_column_reader(description.clone(), pages)))?;
            let mut tell = |row: usize| {
                let part = bytes as f64 * row as f64 / group_rows as f64;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a part of them, told to people"
                )]
                let bytes = done + part as u64;
                watch(Reading { doing: "reading", bytes, total: Some(len) });
            };
            chunk.read(reader, *kind, building, &mut tell)?;
            done += bytes;
        }
        first_row += group_rows;
    }
    watch(Reading { doing: "reading", bytes: len, total: Some(len) });
    let named = |(at, _, building): (usize, Kind, Building)| {
        building.finish(schema.column(at).name().to_owned())
    };
    let columns = columns.into_iter().map(named).collect();
    Table::with_places(name.to_owned(), columns, Places::of_array(first_row), true)
}

/// The pages of a column in a group of rows, each looked at before it is decoded.
fn pages(
    name: &str,
    file: &Arc<File>,
    group: &RowGroupMetaData,
    at: usize,
) -> Result<Box<CheckedPages>> {
    let (column, rows) = (group.column(at), usize::try_from(group.num_rows()).unwrap_or(0));
    let pages = guarded(name, || SerializedPageReader::new(Arc::clone(file), column, rows, None))?;
    let optional = column.column_descr().max_def_level() > 0;
    Ok(Box::new(CheckedPages { pages, optional }))
}

/// Names of the columns in which pandas has put the rows' index: they are none of the table's.
fn pandas_index(metadata: &FileMetaData) -> Vec<String> {
    let entries = metadata.key_value_metadata().into_iter().flatten();
    let pandas = entries
        .filter(|entry| entry.key == "pandas")
        .find_map(|entry| serde_json::from_str::<serde_json::Value>(entry.value.as_deref()?).ok());
    let names = pandas.as_ref().and_then(|pandas| pandas.get("index_columns")?.as_array());
    names.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// What a decoder gives, where it neither fails nor panics: of damaged pages it does both.
fn guarded<T>(name: &str, decode: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    match decoded(decode) {
        Some(decoded) => decoded.map_err(|error| damaged(name, &error.to_string())),
        None => Err(damaged(name, "its parts contradict each other")),
    }
}

fn damaged(name: &str, problem: &str) -> Error {
    let problem =
        format!("the file is cut short or damaged ({problem}); copy, download or write it again");
    Error::Data { source_name: name.to_owned(), problem }
}

#[cfg(test)]
mod tests;
