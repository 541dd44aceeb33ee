//! Records of delimited text with the lines they begin on, one at a time.

use std::io::{self, Read};

use csv::{ErrorKind, StringRecord};

use super::data_error;
use super::dialect::Dialect;
use crate::data::input::{Input, Watch, read_error};
use crate::{Error, Result};

/// One pass through a text.
pub(super) struct Records<'a> {
    name: String,
    dialect: Dialect,
    reader: csv::Reader<LineCounter<Box<dyn Read + 'a>>>,
}

impl<'a> Records<'a> {
    pub(super) fn new(
        input: &'a mut Input<'_>,
        dialect: Dialect,
        doing: &'static str,
        watch: &'a mut Watch<'_>,
    ) -> Result<Self> {
        let name = input.name().to_owned();
        let lines = AfterLines { from: input.open(doing, watch)?, left: dialect.front_lines };
        let line = 1 + dialect.front_lines as u64;
        let reader = dialect.reader(LineCounter::new(dialect.squeezed(lines), line));
        Ok(Self { name, dialect, reader })
    }

    /// Calls `visit` with the line and the fields of each record that isn't blank.
    pub(super) fn for_each(
        mut self,
        mut visit: impl FnMut(u64, &StringRecord) -> Result<()>,
    ) -> Result<()> {
        let mut record = StringRecord::new();
        loop {
            match self.reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(self.error(error)),
            }
            let start = record.position().map_or(0, csv::Position::byte);
            let end = self.reader.position().byte();
            let counter = self.reader.get_mut();
            let line = counter.line_at(start);
            // Cells as they stand there: the parser passes over quotes that are out of place.
            let written = counter.up_to(end);
            let is_quoted = written.contains(&b'"');
            if let Some(problem) = is_quoted.then(|| misquoted(written, &self.dialect)).flatten() {
                return Err(data_error(&self.name, format!("line {line} {problem}")));
            }
            let is_blank = record.len() <= 1 && !is_quoted && record.iter().all(is_blank);
            if !is_blank {
                visit(line, &record)?;
            }
        }
    }

    fn error(&mut self, error: csv::Error) -> Error {
        match error.into_kind() {
            ErrorKind::Io(error) => read_error(&self.name, error),
            ErrorKind::Utf8 { pos, .. } => {
                let line = self.reader.get_mut().line_at(pos.map_or(0, |pos| pos.byte()));
                let problem = format!("line {line} is not UTF-8 text; save the file as UTF-8");
                data_error(&self.name, problem)
            }
            kind => data_error(&self.name, format!("{kind:?}")),
        }
    }
}

fn is_blank(field: &str) -> bool {
    field.trim().is_empty()
}

/// What is wrong with the quotes of a record, if anything is: a lone one joins rows.
pub(super) fn misquoted(record: &[u8], dialect: &Dialect) -> Option<&'static str> {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        Quoted,
        After,
    }
    let mut at = At::Start;
    let mut bytes = record.iter().peekable();
    while let Some(&byte) = bytes.next() {
        at = match (at, byte) {
            (At::Quoted, b'\\') if dialect.escapes => {
                bytes.next();
                At::Quoted
            }
            (At::Quoted, b'"') if bytes.next_if(|&&next| next == b'"').is_some() => At::Quoted,
            (At::Quoted, b'"') => At::After,
            (At::Quoted, _) => At::Quoted,
            (At::Start, b'"') => At::Quoted,
            (_, byte) if byte == dialect.delimiter.byte() || byte == b'\r' || byte == b'\n' => {
                At::Start
            }
            (At::After, byte) if !byte.is_ascii_whitespace() => {
                return Some(
                    "has text after the quote that ends a cell; within a quoted cell a quote is \
                     written twice, as \"\"",
                );
            }
            (At::After, _) => At::After,
            _ => At::Plain,
        };
    }
    (at == At::Quoted).then_some(
        "begins a cell with a quote that nothing ends; take it away, or write the cell in quotes and a \
         quote within it twice, as \"\"",
    )
}

/// The bytes after so many lines.
struct AfterLines<R> {
    from: R,
    left: usize,
}

impl<R: Read> Read for AfterLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.from.read(buffer)?;
            let mut start = 0;
            while self.left > 0 && start < count {
                self.left -= usize::from(buffer[start] == b'\n');
                start += 1;
            }
            buffer.copy_within(start..count, 0);
            if start < count || count == 0 {
                return Ok(count - start);
            }
        }
    }
}

/// Passes bytes on and keeps those whose line ends aren't counted yet: about a chunk, and a record.
///
/// The parser's own count knows only LF, and leaves line ends before a record to that record; the
/// line to name is the one that an editor shows for its first field.
struct LineCounter<R> {
    from: R,
    kept: Vec<u8>,
    /// Where the first of `kept` stands among all bytes.
    start: u64,
    /// How many of `kept` are counted.
    counted: usize,
    line: u64,
}

impl<R> LineCounter<R> {
    /// The first byte is on line `line`.
    const fn new(from: R, line: u64) -> Self {
        Self { from, kept: Vec::new(), start: 0, counted: 0, line }
    }

    /// The bytes from the last record that was asked for up to this one.
    fn up_to(&self, byte: u64) -> &[u8] {
        let end = usize::try_from(byte.saturating_sub(self.start)).unwrap_or(usize::MAX);
        &self.kept[self.counted..end.clamp(self.counted, self.kept.len())]
    }

    /// The line of the first field of the record that begins at this byte; each is asked for in its
    /// turn.
    fn line_at(&mut self, byte: u64) -> u64 {
        let begin = usize::try_from(byte.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let begin = begin.clamp(self.counted, self.kept.len());
        let is_end = |&byte: &u8| byte == b'\r' || byte == b'\n';
        let blank = self.kept[begin..].iter().position(|byte| !is_end(byte));
        let field = blank.map_or(self.kept.len(), |blank| begin + blank);
        self.line += line_ends(&self.kept[self.counted..field]);
        self.counted = field;
        self.line
    }
}

impl<R: Read> Read for LineCounter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.kept.drain(..self.counted);
        self.start += self.counted as u64;
        self.counted = 0;
        self.kept.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

/// Number of line ends: LF, CRLF or a lone CR.
pub(super) fn line_ends(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for &byte in bytes {
        count += u64::from(byte == b'\r' || byte == b'\n' && previous != b'\r');
        previous = byte;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lone quote joins rows; a cell of nothing in quotes is a missing one, and no blank line.
    #[test]
    fn quotes_end_where_their_cell_does() {
        for (sound, rows) in [
            ("x,y\n1,\"a \"\"b\"\"\"\n2,\"c\nd\" \n", 2),
            ("x\n1\n\"\"\n\n3\n", 3),
            ("x;y\n\"1\";5\"\n2;6\" x 7\"\n", 2),
            ("x y\n\"1\" \"a\"\n2 b\n", 2),
        ] {
            assert_eq!(super::super::tests::read(sound).rows(), rows, "{sound}");
        }
        for (text, problem) in [
            ("x,y\n1,a\n2,\"b\n3,a\n4,b\n", "line 3 begins a cell with a quote that nothing ends"),
            ("x,y\n1,a\n2,\"b\n3,a\n4,\"c\n", "line 3 has text after the quote that ends a cell"),
            ("x,y\n1,a\n2,\"b\"c\n", "line 3 has text after"),
        ] {
            let message = super::super::tests::message(text);
            assert!(message.contains(problem), "{message}");
        }
    }

    /// Text that is longer than a chunk, with records that end across its edges.
    #[test]
    fn lines_are_counted_across_chunks() {
        for end in ["\n", "\r\n", "\r"] {
            let text: String = (0..40_000).map(|i| format!("{i},\"a{end}b\"{end}{end}")).collect();
            let mut watch = |_| {};
            let mut input = Input::piped("t.csv", text.as_bytes(), &mut watch).unwrap();
            let mut expected = 1;
            let visit = |line, record: &StringRecord| {
                assert_eq!((line, record.len()), (expected, 2));
                expected += 3;
                Ok(())
            };
            let dialect = Dialect::detect(&mut input, None).unwrap();
            Records::new(&mut input, dialect, "reading", &mut |_| {})
                .unwrap()
                .for_each(visit)
                .unwrap();
            assert_eq!(expected, 1 + 3 * 40_000);
        }
    }
}
