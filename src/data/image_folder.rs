//! Reads PNG and JPEG images: a file as a row, a number of a pixel as a column.
//!
//! Headers are read first, so that sizes are compared, and too large ones refused, before any image is
//! unpacked.

mod find;
mod picture;

use std::path::Path;

use rayon::prelude::*;

use self::find::Found;
use self::picture::{Head, decode, head};
use super::column::Column;
use super::images::ImageOptions;
use super::input::{Reading, Watch};
use super::load::check_memory;
use super::places::Places;
use super::table::Table;
use super::wording::listed;
use crate::{Error, Result};

/// Columns that are read at most: more are no table, and their names alone would fill the memory.
const MAX_COLUMNS: u64 = 1 << 20;
/// Images that are unpacked at once, each by a thread.
const AT_ONCE: usize = 32;

/// The table of a folder, or of a single file.
pub(super) fn read(
    path: &Path,
    options: &ImageOptions,
    memory: u64,
    watch: &mut Watch,
) -> Result<Table> {
    let name = path.to_string_lossy();
    let fail = |problem| Error::Data { source_name: name.clone().into_owned(), problem };
    let found = if path.is_dir() { Found::in_folder(path)? } else { Found::file(path) };
    let lengths: Vec<u64> =
        found.files.iter().map(|file| file.metadata().map_or(0, |of| of.len())).collect();
    let total = Some(lengths.iter().sum());
    let mut told = 0;
    let mut heads = Vec::with_capacity(found.files.len());
    for (file, length) in found.files.iter().zip(&lengths) {
        heads.push(head(file)?);
        told += length;
        watch(Reading { doing: "looking at images", bytes: told, total });
    }
    let shown = |at: usize| found.names[at].clone();
    let (width, height) = match (options.size, other_size(&heads)) {
        (Some(size), _) => size,
        (None, None) => (heads[0].width, heads[0].height),
        (None, Some(other)) => {
            return Err(fail(format!(
                "{} has {} pixels, but {} has {}; a net needs one size for all, so resize them, as with \
                 `--image-size {}x{}`",
                shown(0),
                heads[0].size(),
                shown(other),
                heads[other].size(),
                heads[0].width.min(heads[other].width).min(64),
                heads[0].height.min(heads[other].height).min(64),
            )));
        }
    };
    let colour = options.colour.unwrap_or_else(|| heads.iter().any(|head| head.colour));
    let channels = if colour { 3 } else { 1 };
    let pixels = u64::from(width) * u64::from(height) * channels;
    if pixels > MAX_COLUMNS {
        return Err(fail(format!(
            "images of {width} × {height} pixels{} have {pixels} numbers each, but at most {MAX_COLUMNS} \
             columns are read; make them smaller, as with `--image-size 64x64`",
            if colour { " in colour" } else { "" },
        )));
    }
    let rows = found.files.len();
    check_memory(&name, rows as u64, pixels + 1, memory)?;

    let pixels = usize::try_from(pixels).unwrap_or(usize::MAX);
    let mut columns: Vec<Vec<f32>> = (0..pixels).map(|_| Vec::with_capacity(rows)).collect();
    let mut told = 0;
    for (files, lengths) in found.files.chunks(AT_ONCE).zip(lengths.chunks(AT_ONCE)) {
        let images: Vec<Vec<u8>> = files
            .par_iter()
            .map(|file| decode(file, width, height, colour))
            .collect::<Result<_>>()?;
        for image in &images {
            for (column, &pixel) in columns.iter_mut().zip(image) {
                column.push(pixel.into());
            }
        }
        told += lengths.iter().sum::<u64>();
        watch(Reading { doing: "reading", bytes: told, total });
    }
    let names = pixel_names(width, colour);
    let mut columns: Vec<Column> = columns
        .into_iter()
        .enumerate()
        .map(|(at, values)| Column::numeric(names(at), values))
        .collect();
    let targets = usize::from(!found.labels.is_empty());
    if targets > 0 {
        columns.push(Column::text("label", found.labels.into_iter().map(Some)));
    }
    let places = Places::of_files(found.names);
    let table = Table::with_places(name.clone().into_owned(), columns, places, true)?;
    Ok(table.with_parts(targets, found.test))
}

/// The first image that hasn't the size of the first of all.
fn other_size(heads: &[Head]) -> Option<usize> {
    heads.iter().position(|head| head.size() != heads[0].size())
}

/// `pixel_0_1` (row, column) and so on; in colour `pixel_0_1_red` and so on.
fn pixel_names(width: u32, colour: bool) -> impl Fn(usize) -> String {
    let width = width as usize;
    move |at| match colour {
        true => {
            let (pixel, channel) = (at / 3, ["red", "green", "blue"][at % 3]);
            format!("pixel_{}_{}_{channel}", pixel / width, pixel % width)
        }
        false => format!("pixel_{}_{}", at / width, at % width),
    }
}

/// An error about a folder whose entries aren't what they should be.
fn folder_error(folder: &Path, problem: &str, entries: &[String]) -> Error {
    let has = if entries.is_empty() {
        "it is empty".into()
    } else {
        format!("it has {}", listed(entries))
    };
    Error::Data { source_name: folder.display().to_string(), problem: format!("{problem}; {has}") }
}

#[cfg(test)]
mod tests;
