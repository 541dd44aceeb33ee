//! Columns aligned by spaces: runs of spaces and tabs as one delimiter.

use std::io::{self, Read};

/// Passes a text on with one space for each run of spaces and tabs, and none at the ends of lines. Runs
/// within quotes stay.
pub(super) struct Squeezed<R> {
    from: R,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How many bytes of `output` are passed on.
    passed: usize,
    at_line_start: bool,
    /// Whether a run ended just now, or goes on.
    in_run: bool,
    in_quotes: bool,
    /// Whether the last byte was a quote that ended a cell, or is the first of two within it.
    after_quote: bool,
}

impl<R: Read> Squeezed<R> {
    pub(super) fn new(from: R) -> Self {
        const CHUNK: usize = 1 << 16;
        Self {
            from,
            input: vec![0; CHUNK],
            output: Vec::with_capacity(CHUNK + 1),
            passed: 0,
            at_line_start: true,
            in_run: false,
            in_quotes: false,
            after_quote: false,
        }
    }

    fn push(&mut self, byte: u8) {
        let after_quote = std::mem::take(&mut self.after_quote);
        if self.in_quotes {
            self.in_quotes = byte != b'"';
            self.after_quote = byte == b'"';
            self.output.push(byte);
            return;
        }
        match byte {
            b' ' | b'\t' => self.in_run = true,
            b'\n' | b'\r' => {
                self.at_line_start = true;
                self.in_run = false;
                self.output.push(byte);
            }
            _ => {
                let begins_cell = self.at_line_start || self.in_run;
                if self.in_run && !self.at_line_start {
                    self.output.push(b' ');
                }
                self.in_quotes = byte == b'"' && (begins_cell || after_quote);
                self.at_line_start = false;
                self.in_run = false;
                self.output.push(byte);
            }
        }
    }
}

impl<R: Read> Read for Squeezed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.passed == self.output.len() {
            self.output.clear();
            self.passed = 0;
            let mut input = std::mem::take(&mut self.input);
            let count = self.from.read(&mut input)?;
            input[..count].iter().for_each(|&byte| self.push(byte));
            self.input = input;
            if count == 0 {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.output.len() - self.passed);
        buffer[..count].copy_from_slice(&self.output[self.passed..self.passed + count]);
        self.passed += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_one_space() {
        for (text, expected) in [
            ("a   b\n", "a b\n"),
            ("  1 \t 2  \r\n 3\t4\n", "1 2\r\n3 4\n"),
            ("1  \"two  words\"\n", "1 \"two  words\"\n"),
            ("1  \"a \"\"b  c\"\" d\"  2\n", "1 \"a \"\"b  c\"\" d\" 2\n"),
            ("\n\n x", "\n\nx"),
            ("5\"  x", "5\" x"),
        ] {
            let mut got = String::new();
            Squeezed::new(text.as_bytes()).read_to_string(&mut got).unwrap();
            assert_eq!(got, expected);
        }
    }

    /// Runs and quotes that go on in the next chunk.
    #[test]
    fn the_size_of_chunks_does_not_matter() {
        struct OneByOne<'a>(&'a [u8]);
        impl Read for OneByOne<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(1);
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut got = String::new();
        Squeezed::new(OneByOne(b"a  \"b  c\"\t d \n")).read_to_string(&mut got).unwrap();
        assert_eq!(got, "a \"b  c\" d\n");
    }
}
