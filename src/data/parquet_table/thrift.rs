//! Walks through what Parquet says of its data, which is written in Thrift's compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>), without keeping
//! anything but the numbers asked for.

use std::io::{self, ErrorKind, Read};

/// More structures and lists inside each other than Parquet has.
const DEPTH: u8 = 16;

/// The parent of what is too deep to be asked for.
const DEEPER: i16 = -1;

/// A structure of up to so many bytes.
pub(super) struct Walk<R> {
    from: R,
    left: u64,
    taken: u64,
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}

fn deeper(depth: u8) -> io::Result<u8> {
    depth.checked_sub(1).ok_or_else(|| invalid("structures too deep"))
}

impl<R: Read> Walk<R> {
    pub(super) const fn new(from: R, most: u64) -> Self {
        Self { from, left: most, taken: 0 }
    }

    /// Bytes that it took so far.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Goes through a structure and tells each whole number and truth value with its field and the field
    /// that its structure is: 0 for the outermost, [`DEEPER`] for all inside those that the outermost has.
    /// Lengths of lists and texts must fit in what is left.
    pub(super) fn structure(&mut self, found: &mut dyn FnMut(i16, i16, i64)) -> io::Result<()> {
        self.fields(0, DEPTH, found)
    }

    fn fields(
        &mut self,
        parent: i16,
        depth: u8,
        found: &mut dyn FnMut(i16, i16, i64),
    ) -> io::Result<()> {
        let depth = deeper(depth)?;
        let mut field = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            field = match head >> 4 {
                0 => i16::try_from(self.whole()?).map_err(|_| invalid("a field's number"))?,
                delta => field
                    .checked_add(i16::from(delta))
                    .ok_or_else(|| invalid("a field's number"))?,
            };
            match head & 15 {
                truth @ (1 | 2) => found(parent, field, i64::from(truth == 1)),
                kind => self.value(kind, parent, field, depth, found)?,
            }
        }
    }

    fn value(
        &mut self,
        kind: u8,
        parent: i16,
        field: i16,
        depth: u8,
        found: &mut dyn FnMut(i16, i16, i64),
    ) -> io::Result<()> {
        match kind {
            // A truth value in a list has a byte of its own.
            1..=3 => found(parent, field, i64::from(self.byte()?)),
            4..=6 => found(parent, field, self.whole()?),
            7 => self.skip(8)?,
            8 => {
                let length = self.number()?;
                self.skip(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let length = match head >> 4 {
                    15 => self.number()?,
                    short => u64::from(short),
                };
                // Each element has a byte at least.
                if length > self.left {
                    return Err(invalid("a list longer than what is left"));
                }
                let depth = deeper(depth)?;
                for _ in 0..length {
                    self.value(head & 15, parent, field, depth, found)?;
                }
            }
            12 => self.fields(if parent == 0 { field } else { DEEPER }, depth, found)?,
            _ => return Err(invalid("an unknown type")),
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.left =
            self.left.checked_sub(1).ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?;
        let mut byte = [0];
        self.from.read_exact(&mut byte)?;
        self.taken += 1;
        Ok(byte[0])
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| invalid("a text longer than what is left"))?;
        let skipped = io::copy(&mut (&mut self.from).take(bytes), &mut io::sink())?;
        self.taken += skipped;
        if skipped == bytes { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// A number in groups of seven bits, the lowest first.
    pub(super) fn number(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err(invalid("a number of more than 64 bits"))
    }

    /// A number with a sign, which is its lowest bit.
    fn whole(&mut self) -> io::Result<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(bytes: &[u8]) -> io::Result<Vec<(i16, i16, i64)>> {
        let mut found = Vec::new();
        let mut walk = Walk::new(bytes, bytes.len() as u64);
        walk.structure(&mut |parent, field, number| found.push((parent, field, number)))?;
        assert_eq!(walk.taken(), bytes.len() as u64);
        Ok(found)
    }

    #[test]
    fn numbers_are_found_with_their_fields() {
        // 1: i32 3, 2: i64 -1, 5: {1: true, 3: "ab", 4: {1: i32 5}}, 7: [i32 1, i32 2], 8: double.
        let bytes = [
            &[0x15, 6, 0x16, 1, 0x3c, 0x11, 0x28, 2, b'a', b'b', 0x1c, 0x15, 10, 0, 0][..],
            &[0x29, 0x25, 2, 4, 0x17],
            &[0; 8],
            &[0],
        ]
        .concat();
        let found = [(0, 1, 3), (0, 2, -1), (5, 1, 1), (DEEPER, 1, 5), (0, 7, 1), (0, 7, 2)];
        assert_eq!(walk(&bytes).unwrap(), found);
        for cut in 0..bytes.len() {
            assert!(walk(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn lengths_must_fit_in_what_is_left() {
        let problem = |bytes: &[u8]| walk(bytes).unwrap_err().to_string();
        // A list of 2³⁵ − 1 numbers, a text as long, structures in structures.
        assert!(problem(&[0x19, 0xf5, 255, 255, 255, 255, 127, 0]).contains("a list longer"));
        assert!(problem(&[0x18, 255, 255, 255, 255, 127, 0]).contains("a text longer"));
        assert!(problem(&[0x1c; 40]).contains("too deep"));
        assert!(problem(&[0x19; 1 << 20]).contains("too deep"));
        assert!(problem(&[0x1d, 0]).contains("an unknown type"));
        assert!(problem(&[0x16; 12]).contains("64 bits") || walk(&[0x16; 12]).is_err());
    }
}
