//! Finds out how a table is written.

use csv::StringRecord;

use super::Tally;
use super::cell::{Cell, content};
use super::records::reader;
use crate::Result;
use crate::data::input::Input;

/// The delimiter that [`CsvOptions`](super::CsvOptions) describes.
pub(super) fn detect_delimiter(input: &mut Input) -> Result<u8> {
    const SAMPLE: usize = 16;
    /// Bytes that hold as many lines of all but the widest tables.
    const HEAD: usize = 1 << 20;
    let mut head = input.head(HEAD)?;
    if head.len() == HEAD {
        // The last line may be cut; where it is the only one, so be it.
        let whole = head.iter().rposition(|&byte| byte == b'\n').map_or(HEAD, |end| end + 1);
        head.truncate(whole);
    }
    let fields = |delimiter| -> Vec<usize> {
        reader(&head[..], delimiter)
            .into_byte_records()
            .filter_map(Result::ok)
            .filter(|record| record.iter().any(|field| !field.trim_ascii().is_empty()))
            .map(|record| record.len())
            .take(SAMPLE)
            .collect()
    };
    // Records that agree with the first; of equals max_by_key takes the last.
    let agreeing = |&delimiter: &u8| match &fields(delimiter)[..] {
        all @ [first, ..] if *first > 1 => all.iter().filter(|&count| count == first).count(),
        _ => 0,
    };
    let found = [b',', b'|', b';', b'\t'].into_iter().max_by_key(agreeing);
    // Words of a sentence are divided by spaces too, but rarely as many in each line.
    let spaces = || agreeing(&b' ') > 0 && agreeing(&b' ') == fields(b' ').len();
    Ok(match found.filter(|delimiter| agreeing(delimiter) > 0) {
        Some(delimiter) => delimiter,
        None if spaces() => b' ',
        None => b',',
    })
}

/// Whether the first line names the columns, as [`CsvOptions`](super::CsvOptions) describes.
pub(super) fn looks_like_header(first: &StringRecord, tallies: &[Tally]) -> bool {
    let could_be_names = first.iter().all(|field| match Cell::parse(field) {
        Cell::Text(_) => true,
        // Spreadsheets leave the name of a column of row numbers empty.
        Cell::Missing => content(field).is_empty(),
        Cell::Number(_) | Cell::NotFinite | Cell::DecimalComma => false,
    });
    could_be_names
        && (tallies.iter().any(|tally| tally.numbers > 0)
            || tallies.iter().all(|tally| !tally.first_again))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{header, message, names, read, read_with, row};

    #[test]
    fn headers_are_recognised() {
        for (text, has_header, why) in [
            ("x,y\n1,2\n", true, "numbers follow"),
            ("x,kind\n1,a\n2,x\n", true, "numbers follow below one column"),
            (",x\n0,1\n1,2\n", true, "row numbers without a name"),
            ("shape,color\nround,red\nflat,red\n", true, "no word of the first line comes again"),
            ("round,red\nround,blue\nflat,green\n", false, "`round` comes again"),
            ("1,2\n3,4\n", false, "a number can't be a name"),
            ("5.1,setosa\n4.9,setosa\n", false, "a number can't be a name"),
            ("?,a\n1,b\n", false, "a missing value can't be a name"),
            ("1,2\n", false, "a single row"),
        ] {
            let table = read(text);
            assert_eq!(table.has_header(), has_header, "{why}: {text:?}");
            if !has_header {
                assert_eq!(names(&table), ["1", "2"]);
            }
        }
        assert_eq!(names(&read(",x\n0,1\n")), ["1", "x"]);
        assert_eq!(names(&read_with("2023,2024\n1,2\n", &header(true)).unwrap()), ["2023", "2024"]);
        assert_eq!(row(&read_with("a,b\nc,d\n", &header(false)).unwrap(), 0), "a|b");
    }

    #[test]
    fn spaces_divide_where_nothing_else_does() {
        let table = read("chins situps\n5 162\n2 110\n");
        assert_eq!((names(&table), row(&table, 1)), (vec!["chins", "situps"], "2|110".into()));
        assert_eq!(names(&read("a b,c d\n1 2,3 4\n")), ["a b", "c d"]);
        assert_eq!(names(&read("some text\none\nor more words\n")), ["some text"]);
    }

    #[test]
    fn a_comma_within_numbers_does_not_divide() {
        for text in ["1,5;2,5\n2,0;3,5\n", "a;b\n0;1\n1,5;2\n2;3\n"] {
            let message = message(text);
            assert!(
                message.ends_with(
                    "`1,5` has a comma; write decimals with a point, and no separators in thousands"
                ),
                "{message}"
            );
        }
        assert_eq!(row(&read("x;words\n1;a, b\n2;c, d\n"), 0), "1|a, b");
    }
}
