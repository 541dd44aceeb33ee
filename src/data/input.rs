//! The bytes of a table's source: a file, or what came through a pipe, unpacked where they are
//! gzipped, and readable as often as needed.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};

#[cfg(feature = "parquet")]
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tempfile::SpooledTempFile;

use crate::{Error, Result};

/// Bytes asked of the system at once.
pub(super) const CHUNK: usize = 1 << 16;
/// Bytes of a pipe that are kept in memory; more go to a temporary file.
const SPOOLED: usize = 1 << 26;
/// What a byte of deflated data stands for at most (RFC 1951: 258 bytes in two bits), and a bit more
/// for what the last byte begins.
const MOST_UNPACKED: u64 = 1032;

/// How far the reading of a table's source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is being done, as in `looking for columns`.
    pub doing: &'static str,
    /// Bytes read of the source as it is stored.
    pub bytes: u64,
    /// Bytes there are; `None` while a pipe goes on.
    pub total: Option<u64>,
}

/// Is told how far it is after every chunk of 64 KiB.
pub(super) type Watch<'a> = dyn FnMut(Reading) + 'a;

pub(super) trait Bytes: Read + Seek {}
impl<T: Read + Seek> Bytes for T {}

/// A source, stored or kept, with its length.
pub(super) struct Input<'a> {
    name: String,
    bytes: Box<dyn Bytes + 'a>,
    len: u64,
    gzipped: bool,
}

impl<'a> Input<'a> {
    pub(super) fn file(name: &str, file: File, watch: &mut Watch) -> Result<Self> {
        // A pipe has a path too, but can be read only once.
        if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Self::new(name, Box::new(file));
        }
        Self::piped(name, file, watch)
    }

    /// Reads to the end what can be read only once.
    pub(super) fn piped(name: &str, from: impl Read, watch: &mut Watch) -> Result<Self> {
        let mut spool = SpooledTempFile::new(SPOOLED);
        let mut from = Watched { from, doing: "reading", bytes: 0, total: None, watch };
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => spool.write_all(&chunk[..count]).map_err(Error::io(name))?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(name)(error)),
            }
        }
        Self::new(name, Box::new(spool))
    }

    fn new(name: &str, mut bytes: Box<dyn Bytes + 'a>) -> Result<Self> {
        let len = bytes.seek(SeekFrom::End(0)).map_err(Error::io(name))?;
        let mut input = Self { name: name.to_owned(), bytes, len, gzipped: false };
        input.gzipped = input.head(2)?.starts_with(b"\x1f\x8b");
        Ok(input)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The unpacked bytes from the start on.
    pub(super) fn open<'b>(
        &'b mut self,
        doing: &'static str,
        watch: &'b mut Watch<'_>,
    ) -> Result<Box<dyn Read + 'b>> {
        self.bytes.seek(SeekFrom::Start(0)).map_err(Error::io(&self.name))?;
        let from = &mut self.bytes;
        let watched = Watched { from, doing, bytes: 0, total: Some(self.len), watch };
        Ok(if self.gzipped {
            let buffered = BufReader::with_capacity(CHUNK, watched);
            Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(buffered)))
        } else {
            Box::new(BufReader::with_capacity(CHUNK, watched))
        })
    }

    /// The first unpacked bytes, fewer if there are no more.
    pub(super) fn head(&mut self, most: usize) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let read = self.open("reading", &mut |_| {})?.take(most as u64).read_to_end(&mut head);
        read.map_err(|error| self.error(error))?;
        Ok(head)
    }

    /// How many unpacked bytes there are, or can be at most where they are gzipped.
    pub(super) const fn most_bytes(&self) -> u64 {
        if self.gzipped { most_unpacked(self.len) } else { self.len }
    }

    /// The bytes as they are stored, for what isn't read from start to end.
    pub(super) fn stored(&mut self) -> (&mut (dyn Bytes + 'a), u64) {
        (&mut *self.bytes, self.len)
    }

    /// The unpacked bytes as a file: the one of that path, if it is given and not gzipped, else a copy that
    /// goes when it is closed.
    #[cfg(feature = "parquet")]
    pub(super) fn into_file(mut self, path: Option<&Path>, watch: &mut Watch) -> Result<File> {
        if let Some(path) = path.filter(|_| !self.gzipped) {
            return File::open(path).map_err(Error::io(path));
        }
        let name = self.name.clone();
        let mut file = tempfile::tempfile().map_err(Error::io(&name))?;
        let copied = io::copy(&mut self.open("unpacking", watch)?, &mut file);
        copied.map_err(|error| read_error(&name, error))?;
        Ok(file)
    }

    /// An error while reading.
    pub(super) fn error(&self, error: io::Error) -> Error {
        read_error(&self.name, error)
    }
}

/// Bytes that so many deflated ones can stand for.
pub(super) const fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_add(1).saturating_mul(MOST_UNPACKED)
}

/// The error of a read: damage is told as such, and isn't the system's fault.
pub(super) fn read_error(name: &str, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            let problem =
                format!("the file is cut short or damaged ({error}); copy or download it again");
            Error::Data { source_name: name.to_owned(), problem }
        }
        _ => Error::io(name)(error),
    }
}

/// Tells how much was read.
pub(super) struct Watched<'a, 'w, R> {
    from: R,
    doing: &'static str,
    bytes: u64,
    total: Option<u64>,
    watch: &'a mut Watch<'w>,
}

impl<'a, 'w, R> Watched<'a, 'w, R> {
    /// Of so many bytes.
    pub(super) fn new(from: R, total: u64, watch: &'a mut Watch<'w>) -> Self {
        Self { from, doing: "reading", bytes: 0, total: Some(total), watch }
    }
}

impl<R: Read> Read for Watched<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.bytes += count as u64;
        (self.watch)(Reading { doing: self.doing, bytes: self.bytes, total: self.total });
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    pub(in crate::data) fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn all(input: &mut Input, watch: &mut Watch) -> Vec<u8> {
        let mut bytes = Vec::new();
        input.open("reading", watch).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_pipe_is_read_as_often_as_needed_packed_or_not() {
        let text = b"a,b\n1,2\n".repeat(20_000);
        let twice = [gzipped(&text[..4]), gzipped(&text[4..])].concat();
        for (stored, gzipped) in [(text.clone(), false), (gzipped(&text), true), (twice, true)] {
            let mut told = Vec::new();
            let mut watch = |reading: Reading| told.push(reading);
            let mut input = Input::piped("-", &stored[..], &mut watch).unwrap();
            assert_eq!(input.gzipped, gzipped);
            assert!(input.most_bytes() >= text.len() as u64);
            assert_eq!(input.head(7).unwrap(), b"a,b\n1,2");
            assert!(all(&mut input, &mut watch) == text && all(&mut input, &mut watch) == text);
            let last = told.last().unwrap();
            assert_eq!((last.bytes, last.total), (stored.len() as u64, Some(stored.len() as u64)));
        }
    }

    #[test]
    fn damage_is_the_files_fault() {
        let mut stored = gzipped(&b"a,b\n1,2\n".repeat(1000));
        stored.truncate(stored.len() - 9);
        let mut watch = |_| {};
        let mut input = Input::piped("t.csv.gz", &stored[..], &mut watch).unwrap();
        let error =
            input.open("reading", &mut watch).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        let message = input.error(error).to_string();
        assert!(message.starts_with("t.csv.gz: the file is cut short or damaged"), "{message}");
    }
}
