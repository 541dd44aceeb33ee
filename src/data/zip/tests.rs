use std::io::{Cursor, Write as _};

use flate2::{Compression, write::DeflateEncoder};

use super::*;

/// An entry of this name, for what looks at names alone.
pub(in crate::data) fn named(name: &str) -> Entry {
    Entry { name: name.into(), size: 0, packed: 0, method: 0, checksum: 0, offset: 0 }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive as `numpy.savez` (stored) and `savez_compressed` (deflated) write it; `wide` with 64-bit
/// sizes in directory and end.
pub(in crate::data) fn archive(entries: &[(&str, &[u8])], method: u16, wide: bool) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, bytes) in entries {
        let packed = if method == 8 { deflated(bytes) } else { bytes.to_vec() };
        let mut crc = Crc::new();
        crc.update(bytes);
        let sizes = [packed.len() as u64, bytes.len() as u64, archive.len() as u64];
        let [short_packed, short_size, short_offset] =
            sizes.map(|size| if wide { u32::MAX } else { u32::try_from(size).unwrap() });
        let name_length = u16::try_from(name.len()).unwrap();
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0]);
        common.extend(method.to_le_bytes());
        common.extend([0; 4]);
        common.extend(crc.sum().to_le_bytes());
        common.extend(short_packed.to_le_bytes());
        common.extend(short_size.to_le_bytes());
        common.extend(name_length.to_le_bytes());

        // numpy pads the local header by an extra field that the directory lacks.
        archive
            .extend([MAGIC, &common[..], &[4, 0], name.as_bytes(), &[0xff, 0xff, 0, 0]].concat());
        archive.extend(packed);
        let extra = match wide {
            true => {
                let [packed, size, offset] = sizes.map(u64::to_le_bytes);
                [&[1, 0, 24, 0][..], &size, &packed, &offset].concat()
            }
            false => vec![],
        };
        directory.extend([ENTRY, &[20, 0][..], &common].concat());
        directory.extend([u8::try_from(extra.len()).unwrap(), 0]);
        directory.extend([0; 10]);
        directory.extend(short_offset.to_le_bytes());
        directory.extend([name.as_bytes(), &extra].concat());
    }
    let (start, length) = (archive.len() as u64, directory.len() as u64);
    archive.extend(directory);
    if wide {
        let end = archive.len() as u64;
        archive.extend([END_64, &[44, 0, 0, 0, 0, 0, 0, 0, 45, 0, 45, 0][..], &[0; 24]].concat());
        archive.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
        archive.extend([LOCATOR, &[0; 4][..], &end.to_le_bytes(), &[1, 0, 0, 0]].concat());
    }
    let short = |size| if wide { u32::MAX } else { u32::try_from(size).unwrap() };
    archive.extend([END, &[0; 8][..]].concat());
    archive.extend([short(length).to_le_bytes(), short(start).to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}

/// The content of every entry, or the first error.
fn contents(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut cursor = Cursor::new(bytes);
    let mut archive = Archive::open(&mut cursor, bytes.len() as u64, "a.npz")?;
    let entries = archive.entries.clone();
    let mut contents = Vec::new();
    for entry in entries {
        let mut content = Vec::new();
        let read = archive.read(&entry)?.read_to_end(&mut content);
        read.map_err(|error| read_error("a.npz", error))?;
        contents.push((entry.name, content));
    }
    Ok(contents)
}

fn message(bytes: &[u8]) -> String {
    contents(bytes).unwrap_err().to_string()
}

fn long() -> Vec<u8> {
    (0..200_000_u32).flat_map(|i| (i % 1000).to_le_bytes()).collect()
}

#[test]
fn entries_are_read_stored_and_deflated_short_and_wide() {
    let long = long();
    for method in [0, 8] {
        for wide in [false, true] {
            let bytes = archive(&[("x.npy", &long), ("y.npy", b"abc")], method, wide);
            let contents = contents(&bytes).unwrap();
            assert!(contents[0].0 == "x.npy" && contents[0].1 == long, "{method} {wide}");
            assert_eq!(contents[1], ("y.npy".into(), b"abc".to_vec()));
        }
    }
    let mut commented = archive(&[("x.npy", b"abc")], 0, false);
    let length = commented.len();
    commented[length - 2] = 9;
    commented.extend(b"a comment");
    assert_eq!(contents(&commented).unwrap().len(), 1);
    assert_eq!(contents(&archive(&[], 0, false)).unwrap(), []);
}

#[test]
fn entries_are_bounded_by_what_they_declare() {
    let long = long();
    let sound = archive(&[("x.npy", &long)], 8, false);
    let directory = sound.windows(4).position(|window| window == ENTRY).unwrap();
    let with_size = |size: u32| {
        let mut bytes = sound.clone();
        bytes[directory + 24..directory + 28].copy_from_slice(&size.to_le_bytes());
        bytes
    };
    let declared = u32::try_from(long.len()).unwrap();
    assert!(message(&with_size(declared - 1)).contains("more than the 799999 bytes declared"));
    assert!(message(&with_size(declared + 1)).contains("800000 bytes instead of 800001"));
    let impossible = message(&with_size(u32::MAX - 1));
    assert!(
        impossible.starts_with("x.npy in a.npz: the archive claims 4294967294"),
        "{impossible}"
    );
    let mut flipped = sound.clone();
    flipped[directory + 16] ^= 1;
    assert!(message(&flipped).contains("a wrong checksum"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let sound = archive(&[("x.npy", b"abcdef")], 0, false);
    let directory = sound.windows(4).position(|window| window == ENTRY).unwrap();
    let broken = |at: usize, value: u8| {
        let mut bytes = sound.clone();
        bytes[at] = value;
        message(&bytes)
    };
    assert!(broken(directory + 10, 12).contains("packed by method 12"));
    assert!(broken(6, 1).contains("the array is encrypted"));
    assert!(broken(0, 0).contains("not where the directory says"));
    assert!(broken(sound.len() - 7, 0xff).contains("the directory of the archive claims"));
    assert!(broken(directory + 28, 0xff).contains("directory of the archive is damaged"));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = crate::rng::Stream::new(1, crate::rng::Purpose::Synthetic, 0);
    let mut refused = 0;
    for wide in [false, true] {
        for method in [0, 8] {
            let sound = archive(&[("x.npy", b"abcdef"), ("y.npy", b"gh")], method, wide);
            for length in 0..sound.len() {
                assert!(contents(&sound[..length]).is_err(), "{length}");
            }
            for _ in 0..2000 {
                let mut bytes = sound.clone();
                let at = random.below(u32::try_from(bytes.len()).unwrap()) as usize;
                bytes[at] = [0, 1, 0x7f, 0xff][random.below(4) as usize];
                refused += usize::from(contents(&bytes).is_err());
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}
