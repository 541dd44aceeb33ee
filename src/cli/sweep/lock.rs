//! One process at a time in a sweep's folder: two would write the same trials.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use crate::cli::failure::Failure;

/// The file that is locked; it stays there.
pub(super) const LOCK: &str = ".lock";

/// Holds a folder while it lives. The system gives it back however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Fails if another process holds the folder.
    pub(super) fn take(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(LOCK);
        match locked(&path) {
            Ok(Some(file)) => Ok(Self { _file: file }),
            Ok(None) => Err(Failure::input(format!(
                "{}: another wgrad sweep is at work there (wait for it, or take another --name)",
                folder.display()
            ))),
            Err(error) => Err(Failure::run(format!("{}: {error}", path.display()))),
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false);
    options
}

/// The file if nobody else holds it.
#[cfg(unix)]
fn locked(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    let file = options().open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(None),
        // Some network file systems know no locks; a sweep of one process needs none.
        Ok(()) | Err(_) => Ok(Some(file)),
    }
}

/// The file if nobody else holds it.
#[cfg(windows)]
fn locked(path: &Path) -> io::Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt as _;

    const SHARING_VIOLATION: i32 = 32;
    match options().share_mode(0).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_until_it_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err();
        assert!(matches!(&refused, Failure::Input(problem) if problem.contains("at work there")));
        drop(first);
        drop(Lock::take(folder.path()).unwrap());
    }
}
