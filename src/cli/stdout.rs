//! Standard output, where results go.

use std::io::{self, StdoutLock, Write as _};

use super::failure::Failure;

/// What messages call it.
pub(crate) const NAME: &str = "standard output";

/// Writes results.
pub(crate) fn print(results: impl AsRef<[u8]>) -> Result<(), Failure> {
    open()?.write_all(results.as_ref()).map_err(Failure::write(NAME))
}

/// Standard output, if it is there.
pub(crate) fn open() -> Result<StdoutLock<'static>, Failure> {
    let out = io::stdout().lock();
    if is_closed(&out) {
        return Err(Failure::run(format!("{NAME} is closed, so nothing was written to it")));
    }
    Ok(out)
}

/// Whether the program was started without it. Rust's runtime has then opened `/dev/null` in its place, for reading
/// and writing; who redirects to that opens it for writing.
#[cfg(unix)]
fn is_closed(out: &StdoutLock) -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};

    let is_both = fcntl_getfl(out).is_ok_and(|flags| flags.contains(OFlags::RDWR));
    let is_null = || match (fstat(out), stat("/dev/null")) {
        (Ok(out), Ok(null)) => out.st_rdev == null.st_rdev && out.st_ino == null.st_ino,
        _ => false,
    };
    is_both && is_null()
}

#[cfg(not(unix))]
const fn is_closed(_: &StdoutLock) -> bool {
    false
}
