//! From raw tables to the arrays that a net trains on.
//!
//! ```text
//! digits | table.csv | x.npy | t.parquet | photos/ | -         load
//!    │
//!  Table      columns of numbers or text, with the line each row stood on
//!    │
//!  Partition  which rows train, which validate, which test
//!    │
//!  Schema     fitted on the training rows; stored with the model
//!    │
//!  Dataset    numbers only, row-major, as the device gets them
//! ```
//!
//! Whoever has numbers already starts at [`Dataset::new`] and needs nothing else from here.
//!
//! ```
//! use wgrad::data::{self, CsvOptions, Partition, PartitionOptions, Schema, SchemaOptions};
//!
//! let table = data::load("digits", &CsvOptions::default())?;
//! let options = SchemaOptions::default();
//! let labels = options.labels(&table)?;
//! let parts = Partition::new(table.rows(), labels.as_deref(), &PartitionOptions::default())?;
//! let schema = Schema::fit(&table, &parts.train, &options)?;
//! let train = schema.encode(&table, &parts.train)?;
//! assert_eq!((train.rows(), train.in_features(), schema.outputs()), (1258, 64, 10));
//! # Ok::<(), wgrad::Error>(())
//! ```

mod array;
mod column;
mod content;
mod csv_table;
mod dataset;
#[cfg(any(feature = "images", feature = "parquet"))]
mod decoding;
mod digits;
mod idx;
#[cfg(feature = "images")]
mod image_folder;
mod images;
mod input;
mod load;
mod npy;
mod npz;
mod numbers;
#[cfg(feature = "parquet")]
mod parquet_table;
mod partition;
mod places;
mod schema;
mod stack;
mod statistics;
mod synthetic;
mod table;
pub(crate) mod wording;
mod written_number;
mod zip;

pub use column::{Column, ColumnValues, MISSING_TEXT};
pub use csv_table::{CellOptions, CsvOptions, Delimiter, read_csv};
pub use dataset::{Dataset, Targets};
#[cfg(any(feature = "images", feature = "parquet"))]
pub use decoding::is_decoding;
pub use digits::digits;
pub use images::ImageOptions;
pub use input::Reading;
pub use load::{BUILT_IN, Source, is_target_file, load};
pub use partition::{Partition, PartitionOptions};
pub use schema::{
    ColumnKind, InputColumn, InputKind, Missing, Scaling, Schema, SchemaOptions, Target,
    TargetKind, UnknownCells, ValueColumn, are_several_labels,
};
pub use synthetic::{moons, rings, sdf, signed_distance, spirals};
pub use table::Table;
pub use wording::{flag_list, shell_word, typed_list};
pub use written_number::{DecimalMark, signed_number};
