//! What a Parquet file claims, against its length and against itself, before anything is set aside for it.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::MAGIC;
use super::thrift::Walk;

/// Bytes of a page's header at most: it may hold the page's smallest and largest text.
const HEADER: u64 = 1 << 20;
/// Bytes that a page may claim to unpack to, whatever it takes packed: writers make pages of 1 MiB.
const PAGE: u64 = 1 << 24;
/// What a packed byte may stand for in larger pages: the most that deflate can do. zstd could do more.
const RATIO: u64 = 1032;

/// Page types and encodings by their numbers in the format.
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const DATA_PAGE_V2: i64 = 3;
const DICTIONARY_ENCODINGS: [i64; 2] = [2, 8];
const LEVEL_ENCODINGS: [i64; 2] = [3, 4];
const ENCODINGS: [i64; 8] = [0, 2, 3, 5, 6, 7, 8, 9];

/// What is wrong with the description at the end of the file, if anything is.
pub(super) fn footer(file: &File, len: u64) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    let mut tail = [0; 8];
    let at = len.checked_sub(8).filter(|&at| at >= 4).ok_or("it is too short")?;
    let mut from = file;
    from.seek(SeekFrom::Start(at)).and_then(|_| from.read_exact(&mut tail)).map_err(told)?;
    let [a, b, c, d, magic @ ..] = tail;
    if &magic != MAGIC {
        return Err(format!("it doesn't end in {}", MAGIC.escape_ascii()));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    let start = at
        .checked_sub(length)
        .filter(|&start| start >= 4)
        .ok_or_else(|| format!("its description claims {length} bytes, but the file has {len}"))?;
    from.seek(SeekFrom::Start(start)).map_err(told)?;
    Walk::new(BufReader::new(from), length)
        .structure(&mut |_, _, _| {})
        .map_err(|error| format!("its description: {error}"))
}

/// The rows, where all groups have as many as the file.
pub(super) fn rows(metadata: &ParquetMetaData) -> Result<u64, String> {
    let claimed = metadata.file_metadata().num_rows();
    let mut sum = 0_i64;
    for group in metadata.row_groups() {
        let rows = group.num_rows();
        sum = sum.checked_add(rows).filter(|_| rows >= 0).ok_or("a group has too many rows")?;
    }
    if sum != claimed {
        return Err(format!("it claims {claimed} rows, but its groups have {sum}"));
    }
    u64::try_from(claimed).map_err(|_| "a negative number of rows".into())
}

/// What the header of a page says, −1 where it says nothing.
struct PageHeader {
    kind: i64,
    unpacked: i64,
    packed: i64,
    values: i64,
    encoding: i64,
    level_encoding: i64,
}

impl PageHeader {
    fn read(walk: &mut Walk<impl io::Read>) -> io::Result<Self> {
        let mut header = Self {
            kind: -1,
            unpacked: -1,
            packed: -1,
            values: -1,
            encoding: -1,
            level_encoding: LEVEL_ENCODINGS[0],
        };
        walk.structure(&mut |parent, field, number| match (parent, field) {
            (0, 1) => header.kind = number,
            (0, 2) => header.unpacked = number,
            (0, 3) => header.packed = number,
            // Of data pages, dictionary pages, data pages of version 2.
            (5 | 7 | 8, 1) => header.values = number,
            (5 | 7, 2) | (8, 4) => header.encoding = number,
            (5, 3) => header.level_encoding = number,
            _ => {}
        })?;
        Ok(header)
    }
}

/// The bytes of a column in a group of rows, where its pages fit in the file, hold a value for each row,
/// and unpack to no more than such pages do.
pub(super) fn chunk(
    file: &File,
    len: u64,
    group: &RowGroupMetaData,
    at: usize,
) -> Result<u64, String> {
    let (column, rows) = (group.column(at), group.num_rows());
    let name = column.column_path().string();
    let fail = |problem: &str| Err(format!("column {name}: {problem}"));
    if matches!(column.compression(), Compression::BROTLI(_) | Compression::LZO) {
        return fail(
            "packed by Brotli or LZO, which isn't read; write it with snappy, zstd or gzip",
        );
    }
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let length = column.compressed_size();
    let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(length)) else {
        return fail("its place is negative");
    };
    // Behind the magic number, before the length of the description and the magic number.
    let end = start.checked_add(length).filter(|&end| start >= 4 && end <= len.saturating_sub(8));
    let Some(end) = end else {
        return fail(&format!("it claims {length} bytes from byte {start} on, of {len}"));
    };
    if column.num_values() != rows {
        return fail(&format!("{} values for {rows} rows", column.num_values()));
    }
    let width = match column.column_type() {
        Type::BOOLEAN => 1,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        // A text is behind its length.
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::FIXED_LEN_BYTE_ARRAY => i64::from(column.column_descr().type_length().max(1)),
    };
    let mut from = BufReader::new(file);
    let (mut at, mut values, mut has_dictionary) = (start, 0_i64, false);
    while at < end {
        from.seek(SeekFrom::Start(at)).map_err(|error| format!("column {name}: {error}"))?;
        let mut walk = Walk::new(&mut from, HEADER.min(end - at));
        let header = PageHeader::read(&mut walk)
            .map_err(|error| format!("column {name}: the page at byte {at}: {error}"))?;
        let fail = |problem: &str| fail(&format!("the page at byte {at} {problem}"));
        let left = end - at - walk.taken();
        let sizes = (u64::try_from(header.packed), u64::try_from(header.unpacked));
        let (Ok(packed), Ok(unpacked)) = sizes else { return fail("has no size") };
        if packed > left {
            return fail(&format!("claims {packed} bytes of {left}"));
        }
        if unpacked > packed.saturating_mul(RATIO).max(PAGE) {
            return fail(&format!("claims that {packed} bytes unpack to {unpacked}"));
        }
        if header.values < 0 {
            return fail("doesn't say how many values it has");
        }
        match header.kind {
            // The decoder makes room for as many values.
            DICTIONARY_PAGE if has_dictionary || at > start => {
                return fail("is one more dictionary");
            }
            DICTIONARY_PAGE if header.values > header.unpacked / width => {
                return fail(&format!("claims {} values in {unpacked} bytes", header.values));
            }
            DICTIONARY_PAGE => has_dictionary = true,
            DATA_PAGE | DATA_PAGE_V2 => {
                let known = ENCODINGS.contains(&header.encoding)
                    && LEVEL_ENCODINGS.contains(&header.level_encoding);
                let needs_dictionary = DICTIONARY_ENCODINGS.contains(&header.encoding);
                if !known || needs_dictionary && !has_dictionary {
                    return fail("is encoded in no known way");
                }
                values = values.saturating_add(header.values);
            }
            _ => return fail("is of no known type"),
        }
        at += walk.taken() + packed;
    }
    if values != rows {
        return fail(&format!("its pages have {values} values for {rows} rows"));
    }
    Ok(length)
}

/// Pages whose lengths inside are looked at before they are decoded.
pub(super) struct CheckedPages {
    pub(super) pages: SerializedPageReader<File>,
    /// Whether the column's cells may be missing, so that pages hold levels.
    pub(super) optional: bool,
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> parquet::errors::Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if page.as_ref().is_none_or(|page| is_sound(page, self.optional)) {
            return Ok(page);
        }
        Err(ParquetError::General("a page claims more than it holds".into()))
    }

    fn peek_next_page(&mut self) -> parquet::errors::Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> parquet::errors::Result<()> {
        self.pages.skip_next_page()
    }
}

impl Iterator for CheckedPages {
    type Item = parquet::errors::Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

/// Whether a page's levels end in it, and its texts claim no more lengths than it has values: the decoder
/// makes room for as many.
fn is_sound(page: &Page, optional: bool) -> bool {
    let (buffer, encoding, values) = match page {
        Page::DictionaryPage { .. } => return true,
        Page::DataPage { buf, encoding, num_values, .. }
        | Page::DataPageV2 { buf, encoding, num_values, .. } => (buf, encoding, *num_values),
    };
    let levels = match page {
        Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
            u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len)
        }
        Page::DataPage { def_level_encoding: Encoding::RLE, .. } if optional => {
            let Some(length) = buffer.first_chunk() else { return false };
            4 + u64::from(u32::from_le_bytes(*length))
        }
        _ if optional => u64::from(values).div_ceil(8),
        _ => 0,
    };
    let rest = usize::try_from(levels).ok().and_then(|levels| buffer.get(levels..));
    let Some(rest) = rest else { return false };
    if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
        return true;
    }
    let claimed = lengths(&mut Walk::new(rest, rest.len() as u64));
    claimed.is_ok_and(|claimed| claimed <= u64::from(values))
}

/// How many lengths a page of texts claims: the third number of what packs them.
fn lengths(walk: &mut Walk<&[u8]>) -> io::Result<u64> {
    walk.number()?;
    walk.number()?;
    walk.number()
}
