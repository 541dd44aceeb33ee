//! Reads the entries of a ZIP archive (PKWARE's APPNOTE 6.3), as far as `numpy.savez` needs it: stored
//! or deflated, with 64-bit sizes, on one disk, not encrypted.

use std::io::{self, BufReader, Read, SeekFrom, Take};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::input::{Bytes, CHUNK, most_unpacked, read_error};
use crate::{Error, Result};

/// What an archive with entries begins with.
pub(super) const MAGIC: &[u8; 4] = b"PK\x03\x04";
/// Signature and length of the record at the end, whose comment has up to 2¹⁶ − 1 bytes.
const END: &[u8; 4] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
/// The record before it that tells where its 64-bit form is, and that form.
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;
const END_64: &[u8; 4] = b"PK\x06\x06";
/// An entry of the directory.
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const ENTRY_LENGTH: usize = 46;
const LOCAL_LENGTH: usize = 30;
/// What stands where a size has 64 bits and is told elsewhere.
const ELSEWHERE: u64 = 0xffff_ffff;
/// Bytes of a directory at most: that of 100,000 arrays.
const MAX_DIRECTORY: u64 = 1 << 24;

/// A file in an archive.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Bytes that it has unpacked.
    pub(super) size: u64,
    packed: u64,
    method: u16,
    checksum: u32,
    offset: u64,
}

/// An archive of `len` bytes, called `name` in messages.
pub(super) struct Archive<'a> {
    pub(super) name: String,
    bytes: &'a mut dyn Bytes,
    len: u64,
    pub(super) entries: Vec<Entry>,
}

impl<'a> Archive<'a> {
    /// Reads the directory.
    pub(super) fn open(bytes: &'a mut dyn Bytes, len: u64, name: &str) -> Result<Self> {
        let mut archive = Self { name: name.to_owned(), bytes, len, entries: Vec::new() };
        let (start, length) = archive.directory()?;
        if length > MAX_DIRECTORY || start.checked_add(length).is_none_or(|end| end > len) {
            return Err(archive.error(format!(
                "the directory of the archive claims {length} bytes from byte {start} on, but the \
                 file has {len}; it is damaged, so copy or save it again"
            )));
        }
        let directory = archive.bytes_at(start, length)?;
        let mut rest = &directory[..];
        while rest.starts_with(ENTRY) {
            let Some((entry, after)) = entry(rest) else { break };
            archive.entries.push(entry);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(archive.error(
                "the directory of the archive is damaged; copy or save the file again".into(),
            ));
        }
        Ok(archive)
    }

    /// Where the directory starts, and its length.
    fn directory(&mut self) -> Result<(u64, u64)> {
        let tail = self.len.min((END_LENGTH + LOCATOR_LENGTH + usize::from(u16::MAX)) as u64);
        let tail_start = self.len - tail;
        let tail = self.bytes_at(tail_start, tail)?;
        let found = tail.windows(END_LENGTH).rposition(|window| window.starts_with(END));
        let Some(at) = found else {
            return Err(self.error(
                "the archive has no directory at its end; it is cut short, so copy or save it again"
                    .into(),
            ));
        };
        let end = &tail[at..];
        let (length, start) = (number(end, 12, 4), number(end, 16, 4));
        let locator = at.checked_sub(LOCATOR_LENGTH).map(|at| &tail[at..]);
        match locator.filter(|locator| locator.starts_with(LOCATOR)) {
            Some(locator) => {
                let end = self.bytes_at(number(locator, 8, 8), 56)?;
                if !end.starts_with(END_64) {
                    return Err(self.error(
                        "the archive's 64-bit record is not where it should be; the file is damaged, \
                         so copy or save it again"
                            .into(),
                    ));
                }
                Ok((number(&end, 48, 8), number(&end, 40, 8)))
            }
            None => Ok((start, length)),
        }
    }

    /// The unpacked bytes of an entry: as many as it declares and no more, with the right checksum.
    pub(super) fn read(&mut self, entry: &Entry) -> Result<impl Read> {
        let place = format!("{} in {}", entry.name, self.name);
        let fail = |problem: String| Err(Error::Data { source_name: place.clone(), problem });
        if !matches!(entry.method, 0 | 8) {
            return fail(format!(
                "packed by method {}, but only stored and deflated arrays are read; save them with \
                 numpy.savez or numpy.savez_compressed",
                entry.method
            ));
        }
        let most = if entry.method == 0 { entry.packed } else { most_unpacked(entry.packed) };
        if entry.size > most {
            return fail(format!(
                "the archive claims {} bytes in {} packed ones, which can hold {most} at most; the file \
                 is damaged, so save it again",
                entry.size, entry.packed
            ));
        }
        let local = self.bytes_at(entry.offset, LOCAL_LENGTH as u64)?;
        let start =
            entry.offset + LOCAL_LENGTH as u64 + number(&local, 26, 2) + number(&local, 28, 2);
        let encrypted = number(&local, 6, 2) & 1 == 1;
        let fits = start.checked_add(entry.packed).is_some_and(|end| end <= self.len);
        if !local.starts_with(MAGIC) || !fits || encrypted {
            let problem = if encrypted { "encrypted" } else { "not where the directory says" };
            return fail(format!("the array is {problem}; save the archive again"));
        }
        self.bytes.seek(SeekFrom::Start(start)).map_err(Error::io(&self.name))?;
        let packed = BufReader::with_capacity(CHUNK, (&mut *self.bytes).take(entry.packed));
        let unpacked: Box<dyn Read + '_> = match entry.method {
            0 => Box::new(packed),
            _ => Box::new(DeflateDecoder::new(packed)),
        };
        // One byte more than declared tells a longer entry.
        let unpacked = unpacked.take(entry.size + 1);
        Ok(Checked { unpacked, size: entry.size, checksum: entry.checksum, crc: Crc::new() })
    }

    fn bytes_at(&mut self, start: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self
            .bytes
            .seek(SeekFrom::Start(start))
            .and_then(|_| (&mut *self.bytes).take(length).read_to_end(&mut bytes));
        match read {
            Ok(count) if count as u64 == length => Ok(bytes),
            Ok(_) => Err(read_error(&self.name, io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(read_error(&self.name, error)),
        }
    }

    pub(super) fn error(&self, problem: String) -> Error {
        Error::Data { source_name: self.name.clone(), problem }
    }
}

/// The first entry of a directory, and what follows; `None` if it is cut.
fn entry(directory: &[u8]) -> Option<(Entry, &[u8])> {
    let fixed = directory.get(..ENTRY_LENGTH)?;
    let length = |at| usize::try_from(number(fixed, at, 2)).unwrap_or(usize::MAX);
    let rest = &directory[ENTRY_LENGTH..];
    let (name, rest) = rest.split_at_checked(length(28))?;
    let (mut extra, rest) = rest.split_at_checked(length(30))?;
    let rest = rest.get(length(32)..)?;
    let mut sizes = [number(fixed, 24, 4), number(fixed, 20, 4), number(fixed, 42, 4)];
    while let Some((head, fields)) = extra.split_at_checked(4) {
        let length = usize::try_from(number(head, 2, 2)).ok()?;
        let (mut field, more) = fields.split_at_checked(length)?;
        if number(head, 0, 2) == 1 {
            // Those sizes that don't fit in 32 bits, in this order.
            for size in sizes.iter_mut().filter(|size| **size == ELSEWHERE) {
                let (wide, after) = field.split_at_checked(8)?;
                *size = number(wide, 0, 8);
                field = after;
            }
        }
        extra = more;
    }
    let [size, packed, offset] = sizes;
    let method = u16::from_le_bytes([fixed[10], fixed[11]]);
    let checksum = u32::from_le_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]);
    let name = String::from_utf8_lossy(name).into_owned();
    Some((Entry { name, size, packed, method, checksum, offset }, rest))
}

/// A number of `length` bytes, the lowest first.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
}

/// Refuses at its end what has another length or checksum than declared.
struct Checked<R> {
    unpacked: Take<R>,
    size: u64,
    checksum: u32,
    crc: Crc,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.unpacked.read(buffer)?;
        self.crc.update(&buffer[..count]);
        // Limited by one more than declared.
        let read = self.size + 1 - self.unpacked.limit();
        let problem = match count {
            0 if buffer.is_empty() => return Ok(0),
            0 if read < self.size => format!("{read} bytes instead of {}", self.size),
            0 if self.crc.sum() != self.checksum => "a wrong checksum".into(),
            _ if read > self.size => format!("more than the {} bytes declared", self.size),
            _ => return Ok(count),
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, problem))
    }
}

#[cfg(test)]
pub(super) mod tests;
