//! A table by its name on the command line.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

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
use super::zip::{self, Archive};
use super::{idx, npy, npz, stack};
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
        let content = Content::of(&input.head(8)?);
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

/// What a file holds, by its first bytes.
#[derive(PartialEq)]
enum Content {
    Text,
    /// NPY or IDX.
    Array,
    Archive,
    Parquet,
    /// PNG or JPEG.
    Image,
    /// Something else, with its name.
    Other(&'static str),
}

impl Content {
    fn of(head: &[u8]) -> Self {
        const OTHERS: [(&[u8], &str); 9] = [
            (b"ARROW1", "an Arrow file"),
            (b"\x89HDF", "an HDF5 file"),
            (b"BZh", "data packed by bzip2"),
            (b"\xfd7zXZ", "data packed by xz"),
            (b"\x28\xb5\x2f\xfd", "data packed by zstd"),
            (b"\xd0\xcf\x11\xe0", "an old Excel file"),
            (b"SQLite f", "an SQLite database"),
            (b"%PDF", "a PDF"),
            (b"{\"", "JSON"),
        ];
        if head.starts_with(npy::MAGIC) || idx::is_magic(head) {
            Self::Array
        } else if head.starts_with(zip::MAGIC) {
            Self::Archive
        } else if head.starts_with(b"PAR1") {
            Self::Parquet
        } else if head.starts_with(b"\x89PNG") || head.starts_with(b"\xff\xd8\xff") {
            Self::Image
        } else {
            let other = OTHERS.iter().find(|(magic, _)| head.starts_with(magic));
            other.map_or(Self::Text, |(_, format)| Self::Other(format))
        }
    }
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
    let mut targets = open(name, watch)?;
    if Content::of(&targets.head(8)?) == *content {
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
mod tests {
    use super::*;
    use crate::data::idx::tests::file as idx_file;
    use crate::data::input::tests::gzipped;
    use crate::data::npy::tests::file as npy_file;
    use crate::data::zip::tests::archive as zip_archive;
    use crate::data::{ColumnValues, Schema, SchemaOptions};

    fn load_default(spec: &str) -> Result<Table> {
        load(spec, &CsvOptions::default())
    }

    #[test]
    fn every_built_in_name_loads() {
        for name in BUILT_IN {
            let table = load_default(name).unwrap();
            assert_eq!(table.source_name(), name);
            assert!((1000..=4000).contains(&table.rows()), "{name} has {} rows", table.rows());
        }
    }

    #[test]
    fn a_path_is_read() {
        // Rows of both parts, columns, outputs: as tests/tables/README.md says.
        for (name, rows, columns, outputs) in [
            ("iris", 150, 5, 3),
            ("wine", 178, 14, 3),
            ("breast_cancer", 569, 31, 2),
            ("diabetes", 442, 11, 1),
        ] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables");
            let part = |part| load_default(&format!("{folder}/{name}.{part}.csv")).unwrap();
            let (train, test) = (part("train"), part("test"));
            assert_eq!(
                (train.rows() + test.rows(), train.columns().len()),
                (rows, columns),
                "{name}"
            );
            let schema = Schema::fit(&train, &train.all_rows(), &SchemaOptions::default()).unwrap();
            assert_eq!((schema.in_features(), schema.outputs()), (columns - 1, outputs), "{name}");
            let test_set = schema.encode(&test, &test.all_rows()).unwrap();
            // Standardised by the training rows, the test rows spread about as much.
            let squares = test_set.inputs().iter().map(|x| f64::from(x * x)).sum::<f64>();
            let spread = (squares / test_set.inputs().len() as f64).sqrt();
            assert!((0.8..1.2).contains(&spread), "{name}: {spread}");
        }
    }

    #[test]
    fn what_does_not_exist_is_answered_with_what_does() {
        let message = |spec| load_default(spec).unwrap_err().to_string();
        assert_eq!(
            message("data/nothing.csv"),
            "data/nothing.csv: no such file; give a path, `-` for standard input, or a built-in table: \
             digits, spirals, moons, rings, sdf"
        );
        assert_eq!(
            message("spiral"),
            "spiral: no such file or built-in table; did you mean `spirals`?"
        );
    }

    /// A folder with these files in it.
    fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn source(folder: &tempfile::TempDir, name: &str) -> Source {
        Source::new(folder.path().join(name).to_string_lossy())
    }

    fn column(table: &Table, name: &str) -> Vec<f32> {
        match &table.columns()[table.find(name).unwrap()].values {
            ColumnValues::Numeric(values) => values.clone(),
            ColumnValues::Text { codes, .. } => codes.iter().map(|&code| code as f32).collect(),
        }
    }

    #[test]
    fn a_folder_of_images_brings_its_own_test_rows() {
        let pixels: Vec<u8> = (0..30).collect();
        let files = [
            ("train-images-idx3-ubyte", idx_file(&[3, 2, 3], &pixels[..18])),
            ("train-labels.idx1-ubyte.gz", gzipped(&idx_file(&[3], &[2, 10, 2]))),
            ("t10k-images-idx3-ubyte.gz", gzipped(&idx_file(&[2, 2, 3], &pixels[18..]))),
            ("t10k-labels-idx1-ubyte", idx_file(&[2], &[10, 2])),
        ];
        let table = source(&folder(&files), "").load().unwrap();
        assert_eq!((table.rows(), table.columns().len(), table.test_rows()), (5, 7, 2));
        assert_eq!(column(&table, "pixel_1_2"), [5.0, 11.0, 17.0, 23.0, 29.0]);
        assert_eq!(column(&table, "label"), [0.0, 1.0, 0.0, 1.0, 0.0]);
        let label = &table.columns()[6].values;
        assert!(matches!(label, ColumnValues::Text { values, .. } if values == &["2", "10"]));

        let refused = |at: usize, bytes: Vec<u8>, part: &str| {
            let mut files = files.clone();
            files[at].1 = bytes;
            let message = source(&folder(&files), "").load().unwrap_err().to_string();
            assert!(message.contains(files[at].0) && message.contains(part), "{message}");
        };
        refused(1, gzipped(&idx_file(&[2], &[0, 1])), "2 rows of targets, but");
        refused(2, gzipped(&idx_file(&[2, 3, 3], &pixels[..18])), "an array of 2 × 3 × 3, but");
        refused(0, idx_file(&[3, 2, 3], &pixels[..17]), "18 bytes, but only 17 bytes can follow");
        refused(0, idx_file(&[1 << 31, 1 << 15, 1 << 14], &pixels), "the header claims");
        refused(3, b"labels".to_vec(), "not an IDX file");
        // Packed, it could be true until the data end.
        refused(2, gzipped(&idx_file(&[2, 2, 3], &pixels[..11])), "the file ends at row");
        refused(2, gzipped(&idx_file(&[u32::MAX, 28, 28], &pixels)), "the header claims");
    }

    #[test]
    fn arrays_come_alone_with_targets_or_in_an_archive() {
        let x = npy_file("<i2", "(4, 2)", &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0]);
        let y = npy_file("|u1", "(4,)", &[9, 8, 7, 6]);
        let pair = npy_file("|b1", "(4, 2)", &[0, 1, 1, 0, 0, 0, 1, 1]);
        let archive = |names: [&str; 4], method| {
            let entries = [(names[0], &x[..]), (names[1], &y), (names[2], &x), (names[3], &y)];
            zip_archive(&entries, method, false)
        };
        let own = archive(["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"], 8);
        let plain = archive(["a.npy", "y.npy", "x.npy", "b.npy"], 0);
        let files = [
            ("x.npy", x.clone()),
            ("y.npy", gzipped(&y)),
            ("pair", pair),
            ("own.npz", own),
            ("plain.npz", plain),
            ("cube.npy", npy_file("|u1", "(2, 1, 2)", &[1, 2, 3, 4])),
        ];
        let folder = folder(&files);
        let load = |name: &str, targets: Option<&str>| {
            let targets = targets.map(|name| source(&folder, name).name);
            Source { targets, ..source(&folder, name) }.load()
        };
        let shape = |table: &Table| {
            let names: Vec<_> = table.columns().iter().map(|c| c.name.as_str()).collect();
            (names.join(","), table.rows(), table.targets(), table.test_rows())
        };
        let alone = load("x.npy", None).unwrap();
        assert_eq!(shape(&alone), ("x0,x1".into(), 4, 1, 0));
        assert_eq!((column(&alone, "x1"), alone.place(3)), (vec![2., 4., 6., 8.], "row 3".into()));
        let with = load("x.npy", Some("y.npy")).unwrap();
        assert_eq!(
            (shape(&with), column(&with, "y")),
            (("x0,x1,y".into(), 4, 1, 0), vec![9., 8., 7., 6.])
        );
        assert_eq!(shape(&load("x.npy", Some("pair")).unwrap()), ("x0,x1,y0,y1".into(), 4, 2, 0));
        assert_eq!(shape(&load("plain.npz", None).unwrap()), ("x0,x1,y".into(), 4, 1, 0));
        let own = load("own.npz", None).unwrap();
        assert_eq!(shape(&own), ("x0,x1,y".into(), 8, 1, 4));
        assert_eq!(column(&own, "x0"), [1., 3., 5., 7., 1., 3., 5., 7.]);
        let cube = load("cube.npy", None).unwrap();
        assert_eq!(shape(&cube), ("x0,x1".into(), 2, 0, 0));
        let error = Schema::fit(&cube, &[0], &SchemaOptions::default()).unwrap_err().to_string();
        assert!(error.contains("no targets; give the file with them"), "{error}");

        let message = |name, targets| load(name, targets).unwrap_err().to_string();
        assert!(message("x.npy", Some("cube.npy")).contains("2 rows of targets, but"));
        assert!(message("own.npz", Some("y.npy")).contains("so "));
        let short = Source { memory: 47, ..source(&folder, "own.npz") }.load().unwrap_err();
        assert!(matches!(short, Error::Limit { .. }), "{short}");
    }

    #[test]
    fn text_has_its_targets_in_another() {
        let folder = folder(&[
            ("x.csv", b"1 2\n3 4\n".to_vec()),
            ("y.csv.gz", gzipped(b"7\n8\n")),
            ("named.csv", b"u,v\n5,6\n7,8\n".to_vec()),
            ("short.csv", b"u\n5\n".to_vec()),
            ("y.npy", npy_file("|u1", "(2,)", &[9, 8])),
        ]);
        let load = |name: &str, targets: &str| {
            let targets = Some(source(&folder, targets).name);
            Source { targets, ..source(&folder, name) }.load()
        };
        let shape = |table: &Table| {
            let names: Vec<_> = table.columns().iter().map(|c| c.name.as_str()).collect();
            (names.join(","), table.targets(), table.has_header())
        };
        let one = load("x.csv", "y.csv.gz").unwrap();
        assert_eq!((shape(&one), column(&one, "y")), (("1,2,y".into(), 1, false), vec![7.0, 8.0]));
        assert_eq!(shape(&load("x.csv", "named.csv").unwrap()), ("1,2,u,v".into(), 2, false));
        assert_eq!(shape(&load("named.csv", "x.csv").unwrap()), ("u,v,y0,y1".into(), 2, true));
        let message = |name, targets| load(name, targets).unwrap_err().to_string();
        assert!(message("x.csv", "short.csv").contains("1 row of targets, but"));
        assert!(message("named.csv", "named.csv").contains("both named `u`"));
        assert!(message("x.csv", "y.npy").contains("so its targets must be text too"));
        assert!(message("y.npy", "x.csv").contains("must be an NPY or IDX array"));
        let targets = Some(source(&folder, "named.csv").name);
        let limited = Source { memory: 31, targets, ..source(&folder, "x.csv") }.load();
        assert!(matches!(limited, Err(Error::Limit { .. })));
    }

    #[test]
    fn text_may_be_gzipped_and_other_formats_are_named() {
        let text = b"x,y\n1,a\n2,b\n";
        let other = |magic: &[u8]| [magic, &[0; 40]].concat();
        let folder = folder(&[
            ("t.csv.gz", gzipped(text)),
            ("t.parquet", other(b"PAR1")),
            ("t.csv.zst", other(b"\x28\xb5\x2f\xfd")),
            ("t.xlsx", zip_archive(&[("xl/workbook.xml", b"<x/>")], 8, false)),
            ("cut.csv.gz", gzipped(text)[..20].to_vec()),
        ]);
        assert_eq!(source(&folder, "t.csv.gz").load().unwrap().rows(), 2);
        let message = |name| source(&folder, name).load().unwrap_err().to_string();
        #[cfg(not(feature = "parquet"))]
        assert!(message("t.parquet").contains("this is a Parquet file, which this build of wgrad"));
        assert!(message("t.csv.zst").contains("packed by zstd"));
        assert!(message("t.xlsx").contains("holds no arrays"));
        assert!(message("cut.csv.gz").contains("cut short or damaged"));
        let limited = Source { memory: 15, ..source(&folder, "t.csv.gz") }.load().unwrap_err();
        assert!(limited.to_string().contains("needs 16 B, but the limit (free memory) is 15 B"));
    }

    #[test]
    fn reading_is_told() {
        let folder = folder(&[("t.csv", b"x,y\n1,a\n2,b\n".to_vec())]);
        let mut told = Vec::new();
        source(&folder, "t.csv").load_watched(&mut |reading| told.push(reading)).unwrap();
        for doing in ["looking for columns", "reading"] {
            assert!(told.contains(&Reading { doing, bytes: 12, total: Some(12) }), "{told:?}");
        }
    }
}
