//! `wgrad train --tensorboard`: its event files, by a reader of their own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::{Command, Stdio};

use common::place::{Place, rows};

/// Each tag's steps and values.
type Curves = BTreeMap<String, Vec<(u64, f32)>>;

/// The event files of a run, in the order in which TensorBoard reads them.
fn event_files(run: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(run.join("tensorboard")).unwrap();
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.iter().all(|file| file.to_string_lossy().contains("tfevents")), "{files:?}");
    files
}

/// CRC-32C bit by bit, masked.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    let crc = !crc;
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A number of a file, as event files hold it.
#[expect(clippy::cast_possible_truncation, reason = "the format's values are f32")]
fn number(text: &str) -> f32 {
    text.parse::<f64>().unwrap() as f32
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// A message's fields: their numbers, and their bytes or their varint's.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes);
        let content = match key & 7 {
            0 => take_varint(&mut bytes).to_le_bytes().to_vec(),
            1 => take(&mut bytes, 8).to_vec(),
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)).unwrap();
                take(&mut bytes, length).to_vec()
            }
            5 => take(&mut bytes, 4).to_vec(),
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, content));
    }
    fields
}

/// Reads files one after the other; where a session starts, later steps are void.
fn curves(files: &[PathBuf]) -> Curves {
    let mut curves = Curves::new();
    for file in files {
        let whole = fs::read(file).unwrap();
        let mut bytes = &whole[..];
        let mut events = 0;
        while !bytes.is_empty() {
            let length = take(&mut bytes, 8);
            assert_eq!(take(&mut bytes, 4), checksum(length).to_le_bytes(), "of a length");
            let count = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
            let data = take(&mut bytes, count);
            assert_eq!(take(&mut bytes, 4), checksum(data).to_le_bytes(), "of an event");
            event(data, events, &mut curves);
            events += 1;
        }
    }
    curves
}

fn event(data: &[u8], number: usize, curves: &mut Curves) {
    let event = fields(data);
    let field = |wanted| event.iter().find(|(field, _)| *field == wanted).map(|(_, bytes)| bytes);
    let time = f64::from_le_bytes(field(1).unwrap()[..].try_into().unwrap());
    assert!(time > 1.6e9, "{time} isn't a time of today");
    let step = u64::from_le_bytes(field(2).unwrap()[..].try_into().unwrap());
    assert_eq!(field(3).is_some(), number == 0, "the version comes first");
    if let Some(version) = field(3) {
        assert_eq!(version, b"brain.Event:2");
    }
    if let Some(session) = field(7) {
        assert_eq!(fields(session), [(1, 1_u64.to_le_bytes().to_vec())]);
        curves.values_mut().for_each(|points| points.retain(|point| point.0 < step));
    }
    for (_, value) in field(5).map(|summary| fields(summary)).unwrap_or_default() {
        let [(1, tag), (2, value)] = &fields(&value)[..] else { panic!("no tag and value") };
        let tag = String::from_utf8(tag.clone()).unwrap();
        let value = f32::from_le_bytes(value[..].try_into().unwrap());
        curves.entry(tag).or_default().push((step, value));
    }
}

/// The lines of a run's file: first column, and the others by name.
fn lines(run: &Path, file: &str) -> Vec<BTreeMap<String, String>> {
    let table = rows(&fs::read_to_string(run.join(file)).unwrap());
    table[1..]
        .iter()
        .map(|row| table[0].iter().cloned().zip(row.iter().cloned()).collect())
        .collect()
}

/// The curves are those of `metrics.csv`.
#[track_caller]
fn agrees(curves: &Curves, run: &Path) {
    let lines = lines(run, "metrics.csv");
    for (tag, column) in [
        ("loss/train", "train_loss"),
        ("loss/validation", "validation_loss"),
        ("accuracy/validation", "validation_accuracy"),
        ("lr", "lr"),
    ] {
        let want = lines.iter().filter(|line| !line[column].is_empty());
        let want: Vec<(u64, f32)> =
            want.map(|line| (line["step"].parse().unwrap(), number(&line[column]))).collect();
        assert_eq!(curves[tag], want, "{tag}");
    }
}

#[test]
fn curves_are_those_of_the_run() {
    let place = Place::new();
    place.done("train digits --device cpu --epochs 4 --insight-every 25 --tensorboard --name t");
    let run = place.path("runs/t");
    let files = event_files(&run);
    assert_eq!(files.len(), 1);
    let curves = curves(&files);
    agrees(&curves, &run);
    let insights = lines(&run, "insights.csv");
    for tensor in ["0.weight", "0.bias", "2.weight", "2.bias"] {
        for what in ["gradient_norm", "update_ratio"] {
            let of_tensor = insights.iter().filter(|line| line["tensor"] == tensor);
            let want: Vec<(u64, f32)> = of_tensor
                .map(|line| (line["step"].parse().unwrap(), number(&line[what])))
                .collect();
            assert_eq!(want.len(), 160 / 25);
            assert_eq!(curves[&format!("{what}/{tensor}")], want);
        }
    }
    assert_eq!(curves.len(), 4 + 2 * 4);

    place.done("train digits --device cpu --epochs 1 --name plain");
    assert!(!place.path("runs/plain/tensorboard").exists(), "nobody asked for it");
}

/// What lay behind the checkpoint is void, as in `metrics.csv`.
#[test]
#[cfg(unix)]
fn a_run_that_goes_on_has_one_curve() {
    let place = Place::new();
    let run = place.path("runs/t");
    let mut child = place
        .command(
            "train digits --device cpu --epochs 300 --tensorboard --checkpoint-every 100 --name t",
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !run.join("checkpoint.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "no checkpoint");
        std::thread::yield_now();
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(child.wait().unwrap().success());
    place.done("train --resume runs/t");
    let files = event_files(&run);
    assert_eq!(files.len(), 2, "each part has its file");
    agrees(&curves(&files), &run);
}
