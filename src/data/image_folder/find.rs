//! Which files of a folder are images, and of which class.

use std::path::{Path, PathBuf};

use super::folder_error;
use crate::data::images::{is_hidden, is_image};
use crate::{Error, Result};

/// Images in the order of rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    /// The files as messages call them: from the folder on.
    pub(super) names: Vec<String>,
    /// The class of each; none where the folder has no classes.
    pub(super) labels: Vec<String>,
    /// How many of the last are to test on.
    pub(super) test: usize,
}

/// What is in a folder, each sorted.
struct Entries {
    folders: Vec<PathBuf>,
    images: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl Entries {
    fn of(folder: &Path) -> Result<Self> {
        let mut entries = Self { folders: vec![], images: vec![], others: vec![] };
        for entry in folder.read_dir().map_err(Error::io(folder))? {
            let path = entry.map_err(Error::io(folder))?.path();
            if path.file_name().is_some_and(is_hidden) {
                continue;
            }
            let list = match path.is_dir() {
                true => &mut entries.folders,
                false if is_image(&path) => &mut entries.images,
                false => &mut entries.others,
            };
            list.push(path);
        }
        entries.folders.sort();
        entries.images.sort();
        entries.others.sort();
        Ok(entries)
    }
}

impl Found {
    pub(super) fn file(path: &Path) -> Self {
        let names = vec![path.display().to_string()];
        Self { files: vec![path.to_owned()], names, ..Self::default() }
    }

    /// Images in a folder; in one folder a class; or in such folders inside `train` and `test`.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let entries = Entries::of(folder)?;
        let mut found = Self::default();
        if entries.folders.is_empty() {
            found.files = entries.images;
            if found.files.is_empty() {
                let there: Vec<String> =
                    entries.others.iter().map(|path| file_name(path)).collect();
                return Err(folder_error(
                    folder,
                    "a folder of images has PNG or JPEG files, in one folder for each class",
                    &there,
                ));
            }
            refuse_others(&entries.others)?;
        } else if let Some(train) = parted(&entries)? {
            found.add_classes(&train)?;
            let trained = found.files.len();
            let test = folder.join("test");
            if test.is_dir() {
                found.add_classes(&Entries::of(&test)?)?;
            }
            found.test = found.files.len() - trained;
            let other =
                entries.folders.iter().find(|path| !matches!(&*file_name(path), "train" | "test"));
            if let Some(other) = other {
                return Err(problem_with(
                    other,
                    "only train and test are read where there is train; move its images to train (--validation \
                     takes some of these to watch the training with)",
                ));
            }
        } else {
            found.add_classes(&entries)?;
        }
        let from = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).display().to_string();
        found.names = found.files.iter().map(from).collect();
        Ok(found)
    }

    fn add_classes(&mut self, entries: &Entries) -> Result<()> {
        if let Some(image) = entries.images.first() {
            return Err(problem_with(
                image,
                "an image beside folders of classes; move it into the one of its class",
            ));
        }
        for folder in &entries.folders {
            let class = Entries::of(folder)?;
            if let Some(inner) = class.folders.first() {
                return Err(problem_with(
                    inner,
                    "a folder in that of a class, whose images must lie in it side by side; move them up",
                ));
            }
            refuse_others(&class.others)?;
            if class.images.is_empty() {
                return Err(problem_with(folder, "a class without images; add some, or delete it"));
            }
            let name = file_name(folder);
            self.labels.extend(class.images.iter().map(|_| name.clone()));
            self.files.extend(class.images);
        }
        Ok(())
    }
}

/// The entries of `train`, where that has folders of classes rather than being one.
fn parted(entries: &Entries) -> Result<Option<Entries>> {
    let Some(train) = entries.folders.iter().find(|path| file_name(path) == "train") else {
        return Ok(None);
    };
    Ok(Some(Entries::of(train)?).filter(|train| !train.folders.is_empty()))
}

/// Leaving files out unasked would be worse.
fn refuse_others(others: &[PathBuf]) -> Result<()> {
    match others.first() {
        None => Ok(()),
        Some(other) => Err(problem_with(
            other,
            "neither PNG nor JPEG by its name; convert it, or move it away",
        )),
    }
}

fn problem_with(path: &Path, problem: &str) -> Error {
    Error::Data { source_name: path.display().to_string(), problem: problem.to_owned() }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
