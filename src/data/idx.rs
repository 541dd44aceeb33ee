//! Reads IDX, the format of MNIST: a magic number, the sizes, then the numbers, all with the highest
//! byte first (Y. LeCun, C. Cortes, C. Burges: The MNIST database of handwritten digits).

use std::io::Read;
use std::path::{Path, PathBuf};

use super::array::{Element, Format, Header};
use super::input::read_error;
use super::wording::listed;
use crate::{Error, Result};

/// The start of an IDX file: two zeros, the number type, the number of sizes.
pub(super) const fn is_magic(head: &[u8]) -> bool {
    matches!(head, [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=8, ..])
}

/// Reads the header of an array called `name` in messages.
pub(super) fn header(mut from: impl Read, name: &str) -> Result<Header> {
    let mut take = || -> Result<[u8; 4]> {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes).map_err(|error| read_error(name, error))?;
        Ok(bytes)
    };
    let magic = take()?;
    let element = match magic {
        [0, 0, 0x08, _] => Element::new('u', 1, true),
        [0, 0, 0x09, _] => Element::new('i', 1, true),
        [0, 0, 0x0b, _] => Element::new('i', 2, true),
        [0, 0, 0x0c, _] => Element::new('i', 4, true),
        [0, 0, 0x0d, _] => Element::new('f', 4, true),
        [0, 0, 0x0e, _] => Element::new('f', 8, true),
        _ => None,
    };
    let Some(element) = element.filter(|_| is_magic(&magic)) else {
        return Err(Error::Data {
            source_name: name.to_owned(),
            problem: format!(
                "not an IDX file: it begins with {magic:02x?}, not with 00 00, a number type from 08 \
                 to 0e, and 01 to 08 sizes; copy or download it again"
            ),
        });
    };
    let mut shape = Vec::new();
    for _ in 0..magic[3] {
        shape.push(u64::from(u32::from_be_bytes(take()?)));
    }
    let offset = 4 + 4 * shape.len() as u64;
    let (format, name) = (Format::Idx, name.to_owned());
    Ok(Header { format, name, element, shape, first_fastest: false, offset })
}

/// The files of a folder such as MNIST's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// Images and labels to learn from.
    pub(super) train: [PathBuf; 2],
    /// Images and labels to test on.
    pub(super) test: Option<[PathBuf; 2]>,
}

impl Files {
    /// Whether a folder has any.
    pub(super) fn are_in(folder: &Path) -> bool {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| plain(&path).ends_with("-ubyte"))
    }

    /// Finds them by the usual names: `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz` and so
    /// on, with anything before. What is there unpacked too is taken unpacked.
    pub(super) fn find(folder: &Path) -> Result<Self> {
        let source_name = || folder.display().to_string();
        let fail = |problem| Error::Data { source_name: source_name(), problem };
        let mut paths = Vec::new();
        for file in folder.read_dir().map_err(Error::io(folder))? {
            paths.push(file.map_err(Error::io(folder))?.path());
        }
        paths.sort();
        let named = |endings: &[&str]| -> Result<Option<PathBuf>> {
            let fits = |path: &&PathBuf| endings.iter().any(|ending| plain(path).ends_with(ending));
            let found: Vec<&PathBuf> = paths.iter().filter(fits).collect();
            // Sorted, so that what is unpacked comes before the same with `.gz`.
            let Some(&first) = found.first() else { return Ok(None) };
            match found.iter().find(|path| plain(path) != plain(first)) {
                None => Ok(Some(first.clone())),
                Some(other) => Err(fail(format!(
                    "both {} and {} could be meant; leave one data set in the folder",
                    plain(first),
                    plain(other)
                ))),
            }
        };
        let pair = |images: Option<PathBuf>, labels: Option<PathBuf>, part| match (images, labels) {
            (Some(images), Some(labels)) => Ok(Some([images, labels])),
            (None, None) => Ok(None),
            (Some(one), None) | (None, Some(one)) => Err(fail(format!(
                "{} is there, but its counterpart isn't; a folder needs {part}-images-idx3-ubyte and \
                 {part}-labels-idx1-ubyte, packed by gzip or not",
                plain(&one)
            ))),
        };
        let train = pair(
            named(&["train-images-idx3-ubyte"])?,
            named(&["train-labels-idx1-ubyte"])?,
            "train",
        )?;
        let test = pair(
            named(&["t10k-images-idx3-ubyte", "test-images-idx3-ubyte"])?,
            named(&["t10k-labels-idx1-ubyte", "test-labels-idx1-ubyte"])?,
            "t10k",
        )?;
        let Some(train) = train else {
            let there: Vec<String> = paths.iter().map(|path| file_name(path)).collect();
            return Err(fail(format!(
                "a folder of images needs train-images-idx3-ubyte and train-labels-idx1-ubyte (and, to \
                 test on, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte), packed by gzip or not, or PNG \
                 or JPEG files in one folder for each class; {}",
                if there.is_empty() {
                    "it is empty".into()
                } else {
                    format!("it has {}", listed(&there))
                }
            )));
        };
        Ok(Self { train, test })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The name of a file in one spelling: unpacked, with `-` before `idx`.
fn plain(path: &Path) -> String {
    let name = file_name(path);
    name.strip_suffix(".gz").unwrap_or(&name).replace(".idx", "-idx")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An IDX file of bytes.
    pub(in crate::data) fn file(shape: &[u32], data: &[u8]) -> Vec<u8> {
        let sizes = shape.iter().flat_map(|size| size.to_be_bytes());
        let magic = [0, 0, 8, u8::try_from(shape.len()).unwrap()];
        magic.into_iter().chain(sizes).chain(data.iter().copied()).collect()
    }

    #[test]
    fn headers_are_read() {
        let read = header(&file(&[3, 28, 28], &[])[..], "images").unwrap();
        assert_eq!((read.shape, read.offset, read.element.size), (vec![3, 28, 28], 16, 1));
        for (kind, size) in [(0x09, 1), (0x0b, 2), (0x0c, 4), (0x0d, 4), (0x0e, 8)] {
            let read = header(&[0, 0, kind, 1, 0, 0, 1, 0][..], "t").unwrap();
            assert_eq!((read.shape, read.element.size), (vec![256], size));
        }
        let message = |bytes: &[u8]| header(bytes, "t").unwrap_err().to_string();
        for magic in [[0, 0, 7, 1], [0, 1, 8, 1], [0, 0, 8, 0], [0, 0, 8, 9], *b"P5\n2"] {
            assert!(message(&magic).starts_with("t: not an IDX file: it begins with ["));
        }
        assert!(message(&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0]).contains("cut short"));
    }

    #[test]
    fn files_are_found_in_their_usual_spellings() {
        let folder = tempfile::tempdir().unwrap();
        let find = || Files::find(folder.path());
        let message = || find().unwrap_err().to_string();
        let add = |name: &str| {
            std::fs::write(folder.path().join(name), "").unwrap();
            folder.path().join(name)
        };
        assert!(message().contains("it is empty"));
        let images = add("train-images.idx3-ubyte");
        assert!(message().contains("train-images-idx3-ubyte is there, but its counterpart isn't"));
        let labels = add("train-labels-idx1-ubyte.gz");
        let train = [images, labels];
        assert_eq!(find().unwrap(), Files { train: train.clone(), test: None });
        let test = [add("t10k-images-idx3-ubyte"), add("t10k-labels-idx1-ubyte")];
        add("train-images.idx3-ubyte.gz");
        add("t10k-images-idx3-ubyte.gz");
        add("notes.txt");
        assert_eq!(find().unwrap(), Files { train, test: Some(test) });
        add("emnist-letters-train-images-idx3-ubyte");
        let both = message();
        assert!(both.contains("both emnist-letters-train-images-idx3-ubyte and train-"), "{both}");

        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("notes.txt"), "").unwrap();
        assert!(Files::find(other.path()).unwrap_err().to_string().ends_with("it has notes.txt"));
    }
}
