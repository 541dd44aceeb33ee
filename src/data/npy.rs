//! Reads arrays that NumPy saved: NPY, versions 1 to 3 (NEP 1, `numpy.lib.format`).

use std::io::Read;

use super::array::{Element, Format, Header};
use super::input::read_error;
use crate::{Error, Result};

/// What an NPY file begins with.
pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes of a header at most; NumPy itself refuses more than 10,000.
const MAX_HEADER: usize = 1 << 16;

/// Reads the header of an array called `name` in messages.
pub(super) fn header(mut from: impl Read, name: &str) -> Result<Header> {
    let fail = |problem: String| Error::Data { source_name: name.to_owned(), problem };
    let mut take = |count: usize| -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        from.read_exact(&mut bytes).map_err(|error| read_error(name, error))?;
        Ok(bytes)
    };
    let start = take(8)?;
    if !start.starts_with(MAGIC) {
        return Err(fail(format!(
            "not an NPY array: it begins with `{}`, not `\\x93NUMPY`; save it with numpy.save",
            start[..6].escape_ascii()
        )));
    }
    let length = match start[6] {
        1 => take(2)?.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte)),
        2 | 3 => take(4)?.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte)),
        version => {
            return Err(fail(format!(
                "version {version} of the NPY format is unknown; versions 1 to 3 are read"
            )));
        }
    };
    if length > MAX_HEADER {
        return Err(fail(format!(
            "the header claims to be {length} bytes long, but no sound one is longer than \
             {MAX_HEADER}; the file is damaged, so save it again"
        )));
    }
    let text = take(length)?;
    let text = String::from_utf8_lossy(&text);
    let described = Description::parse(&text).map_err(|problem| {
        fail(format!("the header `{}` {problem}; save the array again", text.trim_end()))
    })?;
    let offset = 8 + if start[6] == 1 { 2 } else { 4 } + length as u64;
    let Description { descr, first_fastest, shape } = described;
    let element = element(&descr).ok_or_else(|| {
        fail(format!(
            "numbers of dtype `{descr}` are not read, but f4, f8, i1 to i8, u1 to u8 and bool are; \
             convert the array, as in array.astype(\"float32\")"
        ))
    })?;
    let (format, name) = (Format::Npy, name.to_owned());
    Ok(Header { format, name, element, shape, first_fastest, offset })
}

/// The element of a dtype's text, as in `<f4`. `=` is the order of whoever saved it and `|` that of
/// single bytes.
fn element(descr: &str) -> Option<Element> {
    let mut letters = descr.chars();
    let big_endian = match letters.next()? {
        '<' | '|' => false,
        '>' => true,
        '=' => cfg!(target_endian = "big"),
        _ => return None,
    };
    let kind = letters.next()?;
    Element::new(kind, letters.as_str().parse().ok()?, big_endian)
}

/// The Python dictionary in a header.
#[derive(Debug, PartialEq)]
struct Description {
    descr: String,
    first_fastest: bool,
    shape: Vec<u64>,
}

impl Description {
    /// Or what is wrong with it, after the text itself.
    fn parse(text: &str) -> Result<Self, String> {
        let mut text = Literal(text);
        let (mut descr, mut first_fastest, mut shape) = (None, None, None);
        text.expect('{')?;
        while !text.skip('}') {
            let key = text.string()?;
            text.expect(':')?;
            match &key[..] {
                "descr" if text.skip('[') => return Err(STRUCTURED.into()),
                "descr" => descr = Some(text.string()?),
                "fortran_order" => first_fastest = Some(text.truth()?),
                "shape" => shape = Some(text.sizes()?),
                _ => return Err(format!("has an unknown entry `{key}`")),
            }
            if !text.skip(',') {
                text.expect('}')?;
                break;
            }
        }
        match (descr, first_fastest, shape) {
            (Some(descr), Some(first_fastest), Some(shape)) => {
                Ok(Self { descr, first_fastest, shape })
            }
            _ => Err("lacks one of descr, fortran_order and shape".into()),
        }
    }
}

const STRUCTURED: &str =
    "describes records of named fields, which are not read (save each field as an array)";

/// The rest of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn skip(&mut self, mark: char) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.skip(mark) { Ok(()) } else { Err(format!("lacks a `{mark}`")) }
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = if self.skip('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect(quote)?;
        }
        let (string, rest) = self.0.split_once(quote).ok_or("has a string without an end")?;
        self.0 = rest;
        Ok(string.to_owned())
    }

    /// Letters or digits.
    fn word(&mut self) -> &'a str {
        self.0 = self.0.trim_start();
        let end = self.0.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn truth(&mut self) -> Result<bool, String> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            other => Err(format!("has `{other}` for True or False")),
        }
    }

    /// A tuple of sizes; Python 2 wrote an `L` behind long ones.
    fn sizes(&mut self) -> Result<Vec<u64>, String> {
        self.expect('(')?;
        let mut sizes = Vec::new();
        while !self.skip(')') {
            let word = self.word();
            let size = word.trim_end_matches('L').parse();
            sizes.push(size.map_err(|_| format!("has `{word}` for a size"))?);
            if !self.skip(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An NPY file of one-byte numbers, or of whatever `descr` says.
    pub(in crate::data) fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0][..], &length, text.as_bytes(), data].concat()
    }

    #[test]
    fn headers_are_read() {
        let described = |descr: &str, first_fastest, shape: &[u64]| {
            Ok(Description { descr: descr.into(), first_fastest, shape: shape.to_vec() })
        };
        let parse = Description::parse;
        assert_eq!(
            parse("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }     \n"),
            described("<f8", false, &[3, 4])
        );
        assert_eq!(
            parse("{\"shape\":(3L,),\"fortran_order\":True,\"descr\":\"|b1\"}"),
            described("|b1", true, &[3])
        );
        assert_eq!(
            parse("{'descr': '>i2', 'fortran_order': False, 'shape': ()}"),
            described(">i2", false, &[])
        );
        for (text, problem) in [
            ("", "lacks a `{`"),
            ("{'descr': '<f4'}", "lacks one of descr"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "named fields"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "`0` for True or False"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "`` for a size"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1", "lacks a `)`"),
            ("{'descr': '<f4, 'fortran_order': False}", "lacks a `}`"),
            ("{'descr': '<f4", "without an end"),
            ("{'kind': 1}", "unknown entry `kind`"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(problem), "{text}: {message}");
        }
    }

    #[test]
    fn every_version_has_its_length() {
        let text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
        for version in 1..=3_u8 {
            let length = u32::try_from(text.len()).unwrap().to_le_bytes();
            let length = &length[..if version == 1 { 2 } else { 4 }];
            let bytes = [&MAGIC[..], &[version, 0], length, text].concat();
            let header = header(&bytes[..], "a.npy").unwrap();
            assert_eq!((header.shape, header.element.size), (vec![2], 4));
            assert_eq!(header.offset, bytes.len() as u64);
        }
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        let message = |bytes: &[u8]| header(bytes, "a.npy").unwrap_err().to_string();
        for descr in ["<f2", "<c16", "|O", "<U10", "|S3", "<M8[ns]", "f4", "<i3"] {
            let told = message(&file(descr, "(1,)", &[]));
            assert!(told.contains(&format!("a.npy: numbers of dtype `{descr}` are not")), "{told}");
        }
        assert!(message(b"\x93NUMPX\x01\x00").contains("begins with `\\x93NUMPX`"));
        assert!(message(b"\x93NUMPY\x04\x00").contains("version 4"));
        assert!(message(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("4294967295 bytes long"));
        let whole = file("<f4", "(1,)", &[]);
        for length in 0..whole.len() {
            assert!(message(&whole[..length]).contains("cut short"), "{length}");
        }
    }
}
