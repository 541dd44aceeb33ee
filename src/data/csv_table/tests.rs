use super::*;
use crate::data::ColumnValues;
use crate::rng::{Purpose, Stream};

pub(super) fn read_with(text: impl AsRef<[u8]>, options: &CsvOptions) -> Result<Table> {
    read_csv(text.as_ref(), "t.csv", options)
}

pub(super) fn read(text: impl AsRef<[u8]>) -> Table {
    read_with(text, &CsvOptions::default()).unwrap()
}

/// What is wrong with a text, or with the first of its columns with a cell that is no number.
pub(super) fn message(text: impl AsRef<[u8]>) -> String {
    let table = match read_with(text, &CsvOptions::default()) {
        Ok(table) => table,
        Err(error) => return error.to_string(),
    };
    let strays = table.columns().iter().filter_map(|column| Some((column, column.stray.as_ref()?)));
    let (column, (row, problem)) = strays.min_by_key(|(_, (row, _))| *row).unwrap();
    table.cell_error(*row, &column.name, problem.clone()).to_string()
}

pub(super) fn header(header: bool) -> CsvOptions {
    CsvOptions { header: Some(header), ..CsvOptions::default() }
}

pub(super) fn names(table: &Table) -> Vec<&str> {
    table.columns().iter().map(|column| column.name.as_str()).collect()
}

/// The cells of a row, `-` where one is missing.
pub(super) fn row(table: &Table, row: usize) -> String {
    let word = |column: &Column| column.word(row).map_or("-".into(), |word| word.into_owned());
    table.columns().iter().map(word).collect::<Vec<_>>().join("|")
}

#[test]
fn numbers_and_words_become_columns() {
    let table = read("size,kind\n1.5,b\n-2e3,a\n,\n");
    assert_eq!(names(&table), ["size", "kind"]);
    assert!(
        matches!(&table.columns()[0].values, ColumnValues::Numeric(values) if values[1] == -2000.0)
    );
    let ColumnValues::Text { codes, values } = &table.columns()[1].values else {
        panic!("kind is text")
    };
    assert_eq!((&codes[..2], &values[..]), (&[1, 0][..], &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!(row(&table, 2), "-|-");
    assert!(table.has_header());
}

#[test]
fn every_way_to_write_a_table_reads_the_same() {
    let plain = read("x,kind\n1,a b\n2,\"c, d\"\n");
    assert_eq!(row(&plain, 1), "2|c, d");
    for text in [
        "\u{feff}x,kind\n1,a b\n2,\"c, d\"\n",
        "x,kind\r\n1,a b\r\n2,\"c, d\"\r\n",
        "x,kind\n1,a b\n2,\"c, d\"",
        "x,kind\n1,a b\n2,\"c, d\"\n\n\n  \n",
        " x , kind\n 1 , a b \n 2,\" c, d \"\n",
        "x\tkind\n1\ta b\n2\tc, d\n",
        "x;kind\n1;a b\n2;c, d\n",
        "x|kind\n1|a b\n2|\"c, d\"\n",
        "\"x\", \"kind\"\n\"1\", \"a b\"\n2,\"c, d\"\n",
    ] {
        let table = read(text);
        assert_eq!(table.columns(), plain.columns(), "{text:?}");
    }
}

#[test]
fn whole_numbers_with_zeros_in_front_are_codes() {
    let table = read("a,b,c,d,e\n007,7.0,0.5,0,00\n12,012,007,10,\n");
    assert_eq!([0, 1].map(|i| row(&table, i)), ["007|7|0.5|0|00", "12|12|7|10|-"]);
    let is_numeric = |column: &Column| matches!(column.values, ColumnValues::Numeric(_));
    assert!(table.columns().iter().all(is_numeric));
    // Without a header the first line counts too.
    assert_eq!(row(&read("007,1\n8,2\n"), 0), "007|1");
}

#[test]
fn a_given_delimiter_is_used() {
    let options =
        |byte| CsvOptions { delimiter: Some(Delimiter::Byte(byte)), ..CsvOptions::default() };
    assert_eq!(read_with("a b\n1 2\n", &options(b' ')).unwrap().columns().len(), 2);
    for (delimiter, shown) in [(b'"', "`\\\"`"), (b'\n', "`\\n`"), (0xff, "`\\xff`")] {
        assert_eq!(
            read_with("a\n1\n", &options(delimiter)).unwrap_err().to_string(),
            format!(
                "delimiter is {shown}, but must be one ASCII character other than a quote or a line end, `tab` or \
                 `spaces`"
            )
        );
    }
}

#[test]
fn lines_are_those_an_editor_shows() {
    for (text, line) in [
        ("x,y\n1,2\n3,oops\n5,6\n7,8\n", 3),
        ("x,y\r\n1,2\r\n3,oops\r\n5,6\r\n7,8\r\n", 3),
        ("x,y\r1,2\r3,oops\r5,6\r7,8\r", 3),
        ("\n\nx,y\n1,2\n\n\n3,oops\n5,6\n7,8\n", 7),
        ("\u{feff}x,y\n1,2\n   \n3,oops\n5,6\n7,8\n", 4),
        ("x,y\n\"1\n\",2\n3,oops\n5,6\n7,8\n", 4),
    ] {
        let expected = format!("t.csv, line {line}, column y: `oops`");
        assert!(message(text).starts_with(&expected), "{text:?}: {}", message(text));
    }
    assert_eq!(read("x\n1\n\n2\n").line(1), 4);
}

#[test]
fn ragged_rows_are_refused() {
    assert_eq!(
        message("a,b,c\n1,2,3\n4,5\n"),
        "t.csv: line 3 has 2 fields, but line 1 has 3 fields; \
         check the delimiter `,`, and quote fields that contain it"
    );
    assert!(message("a\tb\n1\t2\n\n4\t5\t6\n").contains("line 4 has 3 fields"));
    assert!(message("a\tb\n1\n").contains("check the delimiter `\\t`"));
}

#[test]
fn files_without_rows_are_refused() {
    for text in ["", "\n\n", "\u{feff}", "  \n"] {
        assert_eq!(message(text), "t.csv: the file is empty", "{text:?}");
    }
    assert_eq!(
        message("a,b\n\n"),
        "t.csv: there is a header but no row below it \
         (if its line is a row, say that there is no header)"
    );
    assert!(read_with("1,2\n", &header(true)).is_err());
}

#[test]
fn names_must_differ() {
    assert_eq!(
        message("a,b,a\n1,2,3\n"),
        "t.csv: columns 1 and 3 are both named `a`; rename one of them"
    );
}

#[test]
fn other_encodings_are_refused() {
    assert_eq!(
        message(b"x,y\r\n1,2\r\n3,caf\xe9\r\n"),
        "t.csv: line 3 is not UTF-8 text; save the file as UTF-8"
    );
    assert!(message(b"\xff\xfea\0,\0b\0").contains("line 1 is not UTF-8"));
}

#[test]
fn a_failing_reader_is_reported() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("unplugged"))
        }
    }
    let error = read_csv(Broken, "t.csv", &CsvOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "t.csv: unplugged");
}

#[test]
fn no_bytes_make_it_panic() {
    /// What separates, quotes, counts or is missing, and some that isn't text.
    const PIECES: [&[u8]; 20] = [
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r\n",
        b"\r",
        b"\"",
        b" ",
        b"1",
        b"-2.5",
        b"1e99",
        b"nan",
        b"NA",
        b"?",
        b"abc",
        b"\xef\xbb\xbf",
        "é".as_bytes(),
        b"\xff",
        b"\0",
    ];
    let mut random = Stream::new(1, Purpose::Synthetic, 0);
    let mut read = 0;
    for _ in 0..20_000 {
        let length = random.below(30);
        // Most of the pieces that aren't text would end the reading at once.
        let kinds = if random.below(4) == 0 { 20 } else { 18 };
        let text: Vec<u8> =
            (0..length).flat_map(|_| PIECES[random.below(kinds) as usize]).copied().collect();
        let options = CsvOptions {
            delimiter: [None, Some(Delimiter::Byte(b',')), Some(Delimiter::Spaces)]
                [random.below(3) as usize],
            header: [None, Some(true), Some(false)][random.below(3) as usize],
            ..CsvOptions::default()
        };
        if let Ok(table) = read_with(&text, &options) {
            read += 1;
            let lines = 1 + records::line_ends(&text);
            assert!(
                (0..table.rows()).all(|row| (1..=lines).contains(&table.line(row))),
                "{text:?}"
            );
            let missing: usize = table.columns().iter().map(Column::missing).sum();
            assert!(missing <= table.rows() * table.columns().len());
        }
    }
    assert!(read > 1000, "only {read} of the texts were tables");
}
