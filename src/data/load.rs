//! A table by its name on the command line.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::content::Content;
use super::csv_table::{CsvOptions, read_text};
use super::digits::digits;
#[cfg(feature = "images")]
use super::image_folder;
use super::images::{self, ImageOptions};
use super::input::{Input, Reading, Watch};
#[cfg(feature = "parquet")]
use super::parquet_table;
use super::stack::{Entries, Files, Roles};
use super::synthetic::{moons, rings, sdf, spirals};
use super::table::Table;
use super::wording::nearest;
use super::zip::Archive;
use super::{idx, npz, stack};
use crate::plan::bytes;
use crate::{Error, Result};

/// Names of the built-in tables.
pub const BUILT_IN: [&str; 5] = ["digits", "spirals", "moons", "rings", "sdf"];

/// Where a table is, and how to read it.
///
/// The name is a built-in table (1,000 to 4,000 rows, always the same), standard input (`-`), a file,
/// or a folder with the IDX files of MNIST or with images. A built-in name wins over a file; `./digits` is the file.
/// What a file holds is told by its first bytes, whatever it is called:
///
/// * delimited text (see [`read_csv`](super::read_csv)),
/// * NPY: rows by the first index, all others in one row; columns `x0`, `x1`, …; numbers of 1 to 8
///   bytes, in any order of bytes and indices,
/// * NPZ: arrays called `x` and `y`, or `X` and `Y`, `data` and `target`, `images` and `labels`, or
///   these with `_train` and `_test`,
/// * IDX: images, whose columns are `pixel_0_0`, `pixel_0_1`, ….
///
/// With the cargo feature `parquet` also
/// * Parquet files of flat columns: numbers (decimals among them), text, truth values (`false`, `true`);
///   dates and times become text; what pandas keeps as its index is left out,
///
/// and with `images`
/// * PNG and JPEG files: one, a folder of them, or a folder with one folder for each class, maybe inside
///   `train` and `test`. Rows are in the order of folders and names; columns are `pixel_0_0`, … in grey, or
///   `pixel_0_0_red`, …, from 0 to 255, and `label`. Transparent pixels are seen before white.
///
/// All but NPZ and images may be gzipped. Targets may be in a file of their own: an array's in an array, a text's in
/// a text. Training and test parts that a source keeps apart are told by [`Table::test_rows`].
///
/// ```
/// use wgrad::data::Source;
///
/// let table = Source::new("digits").load()?;
/// assert_eq!((table.rows(), table.columns().len()), (1797, 65));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the table.
    pub name: String,
    /// File with the targets, one row for each of the table: text for a text, else NPY or IDX. Without names
    /// of their own they are called `y`, or `y0`, `y1`, …. Default `None`.
    pub targets: Option<String>,
    /// How to read delimited text.
    pub csv: CsvOptions,
    /// How to read images.
    pub images: ImageOptions,
    /// Bytes that the table may take. Default: no limit.
    pub memory: u64,
}

impl Source {
    /// The table of this name, read with the defaults.
    pub fn new(name: impl Into<String>) -> Self {
        let (csv, images) = (CsvOptions::default(), ImageOptions::default());
        Self { name: name.into(), targets: None, csv, images, memory: u64::MAX }
    }

    /// Reads the table.
    ///
    /// # Errors
    /// If there is no such file or table, it is in no known format, it needs more than
    /// [`memory`](Self::memory), targets don't fit the rows, or as [`read_csv`](super::read_csv).
    /// Sizes that a file claims are checked against its length before anything is set aside for
    /// them.
    pub fn load(&self) -> Result<Table> {
        self.load_watched(&mut |_| {})
    }

    /// Reads the table and tells `watch` how far it is, every 64 KiB.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_watched(&self, watch: &mut dyn FnMut(Reading)) -> Result<Table> {
        let built_in = match &self.name[..] {
            "digits" => Ok(digits()),
            "spirals" => spirals(2000, 0.02, 0),
            "moons" => moons(1000, 0.1, 0),
            "rings" => rings(1500, 0.05, 0),
            "sdf" => sdf(4000, 0),
            _ if Path::new(&self.name).is_dir() => self.folder(watch),
            _ => return self.file(watch),
        };
        match &self.targets {
            None => built_in,
            Some(targets) => Err(self.has_targets(targets)),
        }
    }

    fn folder(&self, watch: &mut Watch) -> Result<Table> {
        let folder = Path::new(&self.name);
        if !idx::Files::are_in(folder) && images::are_in(folder) {
            return self.images(watch);
        }
        let files = idx::Files::find(folder)?;
        let paths = files.train.iter().chain(files.test.iter().flatten());
        let open = |path: &std::path::PathBuf| open(&path.to_string_lossy(), &mut |_| {});
        let inputs = paths.map(open).collect::<Result<Vec<_>>>()?;
        let test = files.test.is_some().then_some((2, 3));
        let roles = Roles { inputs: 0, targets: Some(1), test };
        stack::table(&self.name, &mut Files { inputs, watch }, roles, self.memory)
    }

    fn file(&self, watch: &mut Watch) -> Result<Table> {
        let mut input = open(&self.name, watch)?;
        let content = Content::of(&input.head(Content::HEAD)?);
        match content {
            Content::Array => {
                let mut inputs = vec![input];
                if let Some(targets) = &self.targets {
                    inputs.push(open_targets(targets, &content, watch)?);
                }
                let targets = self.targets.is_some().then_some(1);
                let roles = Roles { inputs: 0, targets, test: None };
                stack::table(&self.name, &mut Files { inputs, watch }, roles, self.memory)
            }
            Content::Text => {
                let table = read_text(&mut input, &self.csv, self.memory, watch)?;
                let Some(targets) = &self.targets else { return Ok(table) };
                let mut targets = open_targets(targets, &content, watch)?;
                let left = self
                    .memory
                    .saturating_sub(cells(table.rows() as u64, table.columns().len() as u64));
                table.with_targets(read_text(&mut targets, &self.csv, left, watch)?)
            }
            _ if self.targets.is_some() => {
                Err(self.has_targets(self.targets.as_deref().unwrap_or_default()))
            }
            Content::Archive => {
                let name = input.name().to_owned();
                let (bytes, len) = input.stored();
                let archive = Archive::open(bytes, len, &name)?;
                let roles =
                    npz::roles(&archive.entries).map_err(|problem| archive.error(problem))?;
                stack::table(&name, &mut Entries { archive, watch }, roles, self.memory)
            }
            Content::Parquet => self.parquet(input, watch),
            Content::Image => self.images(watch),
            Content::Other(format) => Err(Error::Data {
                source_name: input.name().to_owned(),
                problem: format!(
                    "this is {format}, which is not read; give delimited text, NPY, NPZ or IDX, as it is \
                     or gzipped (other programs can write text for `-`, standard input)"
                ),
            }),
        }
    }

    #[cfg(feature = "parquet")]
    fn parquet(&self, input: Input, watch: &mut Watch) -> Result<Table> {
        let name = input.name().to_owned();
        // A pipe has a path too, but can be read only once.
        let path = Some(Path::new(&self.name)).filter(|path| self.name != "-" && path.is_file());
        let file = input.into_file(path, watch)?;
        parquet_table::read(&name, file, self.memory, watch)
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(&self, input: Input, _: &mut Watch) -> Result<Table> {
        Err(not_built_in(input.name(), "a Parquet file", "parquet"))
    }

    #[cfg(feature = "images")]
    fn images(&self, watch: &mut Watch) -> Result<Table> {
        if self.name == "-" {
            return Err(Error::Data {
                source_name: "standard input".into(),
                problem: "this is an image, which is read from files only; name the file".into(),
            });
        }
        image_folder::read(Path::new(&self.name), &self.images, self.memory, watch)
    }

    #[cfg(not(feature = "images"))]
    fn images(&self, _: &mut Watch) -> Result<Table> {
        let what = match Path::new(&self.name).is_dir() {
            true => "a folder of folders or images",
            false => "an image",
        };
        Err(not_built_in(&self.name, what, "images"))
    }

    fn has_targets(&self, targets: &str) -> Error {
        Error::Data {
            source_name: self.name.clone(),
            problem: format!(
                "its targets are among its columns, so {targets} can't be them; name a column"
            ),
        }
    }
}

/// Reads a table by name, as [`Source`] describes.
///
/// # Errors
/// As [`Source::load`].
pub fn load(name: &str, csv: &CsvOptions) -> Result<Table> {
    Source { csv: csv.clone(), ..Source::new(name) }.load()
}

/// Whether a target of this name is a file of targets rather than a column: it ends as files of arrays
/// or text do.
#[must_use]
pub fn is_target_file(target: &str) -> bool {
    let plain = target.strip_suffix(".gz").unwrap_or(target);
    [".npy", "idx1-ubyte", ".csv", ".tsv"].iter().any(|end| plain.ends_with(end))
}

/// The error for what a feature of the crate reads that is off.
#[cfg(not(all(feature = "images", feature = "parquet")))]
fn not_built_in(name: &str, what: &str, feature: &str) -> Error {
    let problem = format!(
        "this is {what}, which this build of wgrad does not read; build it with the feature that does \
         (`cargo install --path . --features {feature}`)"
    );
    Error::Data { source_name: name.to_owned(), problem }
}

fn open(name: &str, watch: &mut Watch) -> Result<Input<'static>> {
    if name == "-" {
        return Input::piped("standard input", io::stdin().lock(), watch);
    }
    match File::open(name) {
        Ok(file) => Input::file(name, file, watch),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(no_such_table(name)),
        Err(error) => Err(Error::io(name)(error)),
    }
}

/// The targets of a table with this content.
fn open_targets(name: &str, content: &Content, watch: &mut Watch) -> Result<Input<'static>> {
    let file = File::open(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Data {
            source_name: name.to_owned(),
            problem: "no such file, which was to hold the targets".into(),
        },
        _ => Error::io(name)(error),
    })?;
    let mut targets = Input::file(name, file, watch)?;
    if Content::of(&targets.head(Content::HEAD)?) == *content {
        return Ok(targets);
    }
    let wanted = match content {
        Content::Text => {
            "the table is text, so its targets must be text too, or one of its columns"
        }
        _ => "targets in a file of their own must be an NPY or IDX array",
    };
    Err(Error::Data { source_name: targets.name().to_owned(), problem: wanted.into() })
}

fn no_such_table(spec: &str) -> Error {
    let problem = match nearest(spec, BUILT_IN) {
        Some(meant) => format!("no such file or built-in table; did you mean `{meant}`?"),
        None => format!(
            "no such file; give a path, `-` for standard input, or a built-in table: {}",
            BUILT_IN.join(", ")
        ),
    };
    Error::Data { source_name: spec.to_owned(), problem }
}

/// Refuses a table that takes more than `memory` bytes: four for each cell.
pub(super) fn check_memory(name: &str, rows: u64, columns: u64, memory: u64) -> Result<()> {
    let needed = cells(rows, columns);
    if needed <= memory {
        return Ok(());
    }
    Err(Error::Limit {
        what: format!("{name}: the table of {rows} rows and {columns} columns"),
        needed: bytes(needed),
        limit_name: "free memory",
        limit: bytes(memory),
        remedy: " (take fewer rows or columns, or free some memory)".into(),
    })
}

/// Bytes of a table.
const fn cells(rows: u64, columns: u64) -> u64 {
    rows.saturating_mul(columns).saturating_mul(4)
}

#[cfg(test)]
mod tests;
