//! What a file holds, told by its first bytes.

use super::{idx, npy, zip};

/// What a file holds.
#[derive(PartialEq)]
pub(super) enum Content {
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
    /// As its first eight bytes say.
    pub(super) fn of(head: &[u8]) -> Self {
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
