//! Files that are written whole, and files that grow by lines.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use csv::StringRecord;

use super::failure::Failure;

/// What files are called that aren't whole yet.
pub(crate) const PARTIAL: &str = ".partial";

/// Writes a file in one piece: a run that is killed here keeps the old one, or has the new one. What is no
/// file (a device, a pipe, a link) is written to as it is.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let is_file = path.symlink_metadata().map_or(true, |found| found.is_file());
    let written = if is_file { replace(path, content) } else { std::fs::write(path, content) };
    written.map_err(|e| Failure::run(format!("{}: {e}", path.display())))
}

fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut partial = tempfile::Builder::new();
    partial.prefix(".").suffix(PARTIAL);
    // As any new file: for all to read, less what the umask takes; not for the owner alone.
    #[cfg(unix)]
    partial.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = partial.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Writes lines behind those of a CSV file.
pub(crate) fn lines_behind(path: &Path) -> Result<csv::Writer<File>, Failure> {
    let file = File::options().append(true).open(path);
    let file = file.map_err(|e| Failure::run(format!("{}: {e}", path.display())))?;
    Ok(csv::WriterBuilder::new().has_headers(false).from_writer(file))
}

/// Drops the lines of a CSV file from the first on whose first number is above `last`, and calls `keep` with
/// the head and each of the others. A line that was cut off when the run was killed goes too. The file may be
/// larger than memory.
pub(crate) fn keep_lines(
    path: &Path,
    last: u64,
    mut keep: impl FnMut(&StringRecord, &StringRecord),
) -> Result<(), Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::run(format!("{}: {e}", path.display()));
    let mut file = File::options().read(true).write(true).open(path).map_err(|e| failed(&e))?;
    let whole = whole_lines(&mut file).map_err(|e| failed(&e))?;
    let mut reader = csv::Reader::from_reader((&file).take(whole));
    let head = reader.headers().map_err(|e| failed(&e))?.clone();
    let mut line = StringRecord::new();
    let mut end = reader.position().byte();
    loop {
        match reader.read_record(&mut line) {
            Ok(true) => {}
            // What couldn't be read may be sound.
            Err(error) if error.is_io_error() => return Err(failed(&error)),
            Ok(false) | Err(_) => break,
        }
        let number = line.get(0).and_then(|number| number.parse::<u64>().ok());
        if number.is_none_or(|number| number > last) {
            break;
        }
        keep(&head, &line);
        end = reader.position().byte();
    }
    let cut = || {
        if end < file.metadata()?.len() {
            file.set_len(end)?;
            file.sync_all()?;
        }
        Ok(())
    };
    cut().map_err(|e: std::io::Error| failed(&e))
}

/// Bytes up to the end of the last line that has one. Leaves the file at its beginning.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    /// Longer than any line.
    const TAIL: u64 = 1 << 16;
    let len = file.metadata()?.len();
    let from = len.saturating_sub(TAIL);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut tail)?;
    file.rewind()?;
    let end = tail.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1);
    Ok(from + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dropped_from_a_number_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.csv");
        for (content, kept) in [
            ("n,x\n1,a\n1,b\n2,c\n3,d\n", "n,x\n1,a\n1,b\n2,c\n"),
            ("n,x\n1,a\n2,c\n", "n,x\n1,a\n2,c\n"),
            ("n,x\n3,a\n1,b\n", "n,x\n"),
            ("n,x\n", "n,x\n"),
            // Cut off: within a number, a cell, before the end of the line, and within the head's.
            ("n,x\n1,a\n2", "n,x\n1,a\n"),
            ("n,x\n1,a\n2,0.1", "n,x\n1,a\n"),
            ("n,x\n1,\"a\nb\"\n2,\"c", "n,x\n1,\"a\nb\"\n"),
            ("n,x", ""),
            // What is no number isn't a line of these.
            ("n,x\n1,a\n?,b\n1,c\n", "n,x\n1,a\n"),
            ("n,x\n1,a\n2\n2,c\n", "n,x\n1,a\n"),
        ] {
            std::fs::write(&path, content).unwrap();
            let mut lines = 0;
            keep_lines(&path, 2, |_, _| lines += 1).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), kept, "{content:?}");
            let expected = csv::Reader::from_reader(kept.as_bytes()).records().count();
            assert_eq!(lines, expected, "{content:?}");
        }
    }
}
