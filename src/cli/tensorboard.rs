//! What `--tensorboard` leaves behind: the run's curves as TensorBoard reads them.
//!
//! An event file is a sequence of TFRecords: the length of the data, a checksum of that, the data, a
//! checksum of them, all little-endian. The data of each are a protobuf message `Event`, of which curves need
//! five fields (`tensorflow/core/util/event.proto` and `framework/summary.proto`).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use wgrad::{EpochReport, Insight, Score};

use super::failure::Failure;

/// The folder that TensorBoard is given, within a run's.
const FOLDER: &str = "tensorboard";
/// What a file begins with; from version 2 on a session's begin makes later steps void.
const VERSION: &str = "brain.Event:2";

/// A value of a curve, by the curve's name.
type Scalar = (String, f64);

/// An event file that grows with the run.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
    /// The first write that failed; told at the end of the epoch.
    failed: Option<io::Error>,
}

impl EventFile {
    /// Starts a file of its own in a run's folder. What files before it hold of steps from `from` on is void.
    pub(crate) fn create(run: &Path, from: u64) -> Result<Self, Failure> {
        let folder = run.join(FOLDER);
        // TensorBoard reads a folder's files in the order of their names. A process may begin again within
        // a second.
        let (seconds, process) = (now(), std::process::id());
        let path = |number: u32| {
            let name = format!("events.out.tfevents.{seconds:010.0}.wgrad.{process}.{number:04}");
            folder.join(name)
        };
        let mut number = 0;
        let file = std::fs::create_dir_all(&folder).and_then(|()| {
            loop {
                match File::create_new(path(number)) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                    file => break file,
                }
            }
        });
        let path = path(number);
        let file = file.map_err(|e| Failure::run(format!("{}: {e}", path.display())))?;
        let mut events = Self { path, file, failed: None };
        events.write(0, &message(3, VERSION.as_bytes()));
        events.begin(from);
        events.check()?;
        Ok(events)
    }

    /// Makes void what there is of steps from `from` on.
    pub(crate) fn begin(&mut self, from: u64) {
        // Field 7 is a session, of status (1) start (1).
        self.write(from, &message(7, &varint_field(1, 1)));
    }

    /// Adds what an epoch came to. Part of one, which would come again in a run that goes on, tells less than
    /// the epochs that it would be compared with.
    pub(crate) fn add_epoch(&mut self, report: &EpochReport) {
        if report.interrupted {
            return;
        }
        let mut scalars: Vec<Scalar> =
            vec![("loss/train".into(), report.train.loss()), ("lr".into(), report.lr)];
        if let Some(validation) = report.validation {
            scalars.push(("loss/validation".into(), validation.loss));
            let score = match validation.score {
                Score::Accuracy(_) => "accuracy",
                Score::R2(_) => "r2",
            };
            scalars.push((format!("{score}/validation"), validation.score.value()));
        }
        self.add(report.step, &scalars);
    }

    /// Adds what was measured of a step's tensors.
    pub(crate) fn add_insight(&mut self, insight: &Insight) {
        let scalars = insight.tensors.iter().flat_map(|tensor| {
            let named = |what: &str| format!("{what}/{}", tensor.name);
            [
                (named("gradient_norm"), tensor.gradient_norm),
                (named("update_ratio"), tensor.update_ratio()),
            ]
        });
        self.add(insight.step, &scalars.collect::<Vec<_>>());
    }

    fn add(&mut self, step: u64, scalars: &[Scalar]) {
        let values: Vec<u8> =
            scalars.iter().flat_map(|scalar| message(1, &value(scalar))).collect();
        self.write(step, &message(5, &values));
    }

    /// Writes an event: the time, the step, and what happened.
    fn write(&mut self, step: u64, what: &[u8]) {
        let time = [&[1 << 3 | 1][..], &now().to_le_bytes()].concat();
        let event = [time, varint_field(2, step), what.to_vec()].concat();
        if let Err(error) = self.file.write_all(&record(&event)) {
            self.failed.get_or_insert(error);
        }
    }

    /// Whether everything could be written.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.failed.take() {
            Some(e) => Err(Failure::run(format!("{}: {e}", self.path.display()))),
            None => Ok(()),
        }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// A `Summary.Value`: tag (1) and `simple_value` (2).
#[expect(clippy::cast_possible_truncation, reason = "the format's values are f32")]
fn value((name, value): &Scalar) -> Vec<u8> {
    [message(1, name.as_bytes()), vec![2 << 3 | 5], (*value as f32).to_le_bytes().to_vec()].concat()
}

/// A field that holds bytes: a text, or another message.
fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn varint_field(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Data framed as TFRecord.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked(crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), data, &checksum(data)].concat()
}

/// So that a checksum of data that hold their checksum isn't a constant.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, RFC 3720), a byte at a time: events are few and short.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "below 256")]
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                // The polynomial, its bits reversed.
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes
        .iter()
        .fold(!0, |crc: u32, byte| crc >> 8 ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4; the last is the check value of catalogues of CRCs.
    #[test]
    fn checksums_are_the_published_ones() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        for (bytes, crc) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (&falling, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(crc32c(bytes), crc, "{bytes:?}");
        }
    }

    #[test]
    fn a_run_that_begins_again_at_once_has_a_file_behind_its_first() {
        let run = tempfile::tempdir().unwrap();
        let paths: Vec<_> =
            (0..12).map(|from| EventFile::create(run.path(), from).unwrap().path).collect();
        assert!(paths.windows(2).all(|pair| pair[0] < pair[1]), "{paths:?}");
    }

    #[test]
    fn numbers_are_those_of_the_encoding() {
        // protobuf.dev/programming-guides/encoding
        assert_eq!(varint(150), [0x96, 0x01]);
        assert_eq!(varint_field(1, 150), [0x08, 0x96, 0x01]);
        assert_eq!(message(2, b"testing"), b"\x12\x07testing");
        assert_eq!((varint(0), varint(u64::MAX).len()), (vec![0], 10));
    }
}
