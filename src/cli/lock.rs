//! One process at a time in the folder of a run or a sweep: two would write the same files.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::failure::Failure;

/// The file that is locked; it stays there.
pub(crate) const LOCK: &str = ".lock";

/// How long another process may take to give a folder back: a supervisor starts the next one at once, while the
/// system still ends the one that was killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at whether a folder is free.
const PAUSE: Duration = Duration::from_millis(20);

/// Holds a folder while it lives. The system gives it back however the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for two seconds, and fails if another process still holds the folder then; `or_else` is what to do
    /// beside waiting for it.
    pub(crate) fn take(folder: &Path, or_else: &str) -> Result<Self, Failure> {
        let path = folder.join(LOCK);
        let start = Instant::now();
        loop {
            match locked(&path) {
                Ok(Some(file)) => return Ok(Self { _file: file }),
                Ok(None) if start.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                Ok(None) => {
                    return Err(Failure::input(format!(
                        "{}: another wgrad is at work there (wait for it, or {or_else})",
                        folder.display()
                    )));
                }
                Err(error) => return Err(Failure::run(format!("{}: {error}", path.display()))),
            }
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
        // Some network file systems know no locks; one process alone needs none.
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
        let take = || Lock::take(folder.path(), "stop it");
        let first = take().unwrap();
        let refused = take().unwrap_err();
        assert!(matches!(&refused, Failure::Input(problem) if problem.contains("at work there")));
        drop(first);
        drop(take().unwrap());
    }

    /// As a process that was killed gives its folder back only when the system has ended it.
    #[test]
    fn a_folder_that_is_given_back_soon_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), "stop it").unwrap();
        let ending = std::thread::spawn(move || {
            std::thread::sleep(PATIENCE / 4);
            drop(first);
        });
        let start = Instant::now();
        drop(Lock::take(folder.path(), "stop it").unwrap());
        assert!(start.elapsed() >= PATIENCE / 8, "it was free at once");
        ending.join().unwrap();
    }
}
