//! What a file holds, told by its first bytes.

use super::{idx, npy, zip};

/// What a file holds.
#[derive(PartialEq)]
pub(super) enum Content {
    Text,
    /// NPY or IDX.
    Array,
    Archive,
    Parquet,
    /// PNG or JPEG.
    Image,
    /// Something else, with its name.
    Other(&'static str),
}

impl Content {
    /// How many bytes tell.
    pub(super) const HEAD: usize = 64;

    /// As its first bytes say.
    pub(super) fn of(head: &[u8]) -> Self {
        const OTHERS: [(&[u8], &str); 7] = [
            (b"ARROW1\0\0", "an Arrow file"),
            (b"\x89HDF", "an HDF5 file"),
            (b"\xfd7zXZ", "data packed by xz"),
            (b"\x28\xb5\x2f\xfd", "data packed by zstd"),
            (b"\xd0\xcf\x11\xe0", "an old Excel file"),
            (b"SQLite f", "an SQLite database"),
            (b"%PDF", "a PDF"),
        ];
        if head.starts_with(npy::MAGIC) || idx::is_magic(head) {
            Self::Array
        } else if head.starts_with(zip::MAGIC) {
            Self::Archive
        } else if is_parquet(head) {
            Self::Parquet
        } else if head.starts_with(b"\x89PNG") || head.starts_with(b"\xff\xd8\xff") {
            Self::Image
        } else {
            let other = OTHERS.iter().find(|(magic, _)| head.starts_with(magic));
            match other {
                Some((_, format)) => Self::Other(format),
                None if is_bzip2(head) => Self::Other("data packed by bzip2"),
                None if is_pickle(head) => Self::Other("a pickle of Python's"),
                None if is_json(head) => Self::Other("JSON"),
                None => Self::Text,
            }
        }
    }
}

/// Behind the letters, which a table may begin with too, Parquet has a page or its footer: structures whose
/// first byte is no text.
fn is_parquet(head: &[u8]) -> bool {
    let rest = head.strip_prefix(b"PAR1");
    rest.is_some_and(|rest| {
        rest.first().is_none_or(|byte| byte.is_ascii_control() && !b"\t\r\n".contains(byte))
    })
}

/// A pickle of protocol 2 or later names it. No text begins so.
fn is_pickle(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, ..])
}

/// An object with a name, or an array of objects or arrays.
fn is_json(head: &[u8]) -> bool {
    let mut marks = head.iter().filter(|byte| !byte.is_ascii_whitespace());
    match (marks.next(), marks.next()) {
        (Some(b'{'), second) => second == Some(&b'"'),
        (Some(b'['), second) => matches!(second, Some(b'{' | b'[')),
        _ => false,
    }
}

/// Behind the letters and a digit the head of a block, or of the end.
fn is_bzip2(head: &[u8]) -> bool {
    head.starts_with(b"BZh") && [Some(&b"1AY&"[..]), Some(b"\x17rE8")].contains(&head.get(4..8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_may_begin_with_the_letters_of_formats() {
        for head in ["PAR1,PAR", "PAR1\tx\n1", "PAR1\n1\n2", "ARROW1,y", "BZh,a,y\n", "BZh9,x,y"] {
            assert!(Content::of(head.as_bytes()) == Content::Text, "{head}");
        }
        assert!(Content::of(b"PAR1\x15\x04\x15\x20") == Content::Parquet);
        for head in
            ["{\"a\": 1}", "{\n  \"a\": [", "[{\"a\":1}]", "[\n        {", "[[1,2]]", "\u{80}"]
        {
            assert!(
                matches!(Content::of(head.as_bytes()), Content::Other(_)) != (head == "\u{80}")
            );
        }
        assert!(matches!(Content::of(b"\x80\x04\x95\x00"), Content::Other("a pickle of Python's")));
        for head in ["[a],b\n", "{x},y\n", "[1,2\n"] {
            assert!(Content::of(head.as_bytes()) == Content::Text, "{head}");
        }
        for head in [b"ARROW1\0\0", b"BZh91AY&", b"BZh1\x17rE8"] {
            assert!(matches!(Content::of(head), Content::Other(_)), "{head:?}");
        }
    }
}
