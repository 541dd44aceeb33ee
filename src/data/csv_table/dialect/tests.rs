use super::super::tests::{names, read, read_with, row};
use super::*;
use crate::data::CsvOptions;

fn message(text: &str) -> String {
    read_with(text, &CsvOptions::default()).unwrap_err().to_string()
}

#[test]
fn spaces_divide_where_nothing_else_does() {
    let table = read("chins situps\n5 162\n2 110\n");
    assert_eq!((names(&table), row(&table, 1)), (vec!["chins", "situps"], "2|110".into()));
    assert_eq!(names(&read("a b,c d\n1 2,3 4\n")), ["a b", "c d"]);
    assert_eq!(names(&read("city\nNew York\nSan Jose\n")), ["city"]);
    assert_eq!(names(&read("some text\none\nor more words\n")), ["some text"]);
}

#[test]
fn aligned_columns_are_divided_by_runs_of_spaces() {
    let table = read("  n    size  kind\n  1    20.5  a\n 12   101.5  \"b  c\"\n");
    assert_eq!(names(&table), ["n", "size", "kind"]);
    assert_eq!(row(&table, 1), "12|101.5|b  c");
    // Spaces and then a tab, as UCI's auto-mpg has them.
    let table = read(
        "18.0   8   307.0\t\"chevrolet malibu\"\n15.0  10   ?\t\"buick\"\n9.0  4  97.5\t\"vw\"\n",
    );
    assert_eq!((table.rows(), row(&table, 1)), (3, "15|10|-|buick".into()));
    assert!(table.assumptions()[0].starts_with("runs of spaces divide the columns"));
    // A number may have spaces between its thousands, and before its percent sign.
    let table = read("1 234,5\t12 %\n2 345,5\t13 %\n6 700,5\t14 %\n");
    assert_eq!(row(&table, 0), "1234.5|12");
    // Tabs divide words of several, and a number with another.
    assert_eq!(read("a b\tc d\ne f\tg h\n").columns().len(), 2);
    assert_eq!(read("1\t2\n3\t4\n").columns().len(), 2);
    let spaces = CsvOptions { delimiter: Some(Delimiter::Spaces), ..CsvOptions::default() };
    let ragged = read_with("a  b\n1 2\n1 2 3\n", &spaces).unwrap_err().to_string();
    assert!(
        ragged
            .ends_with("line 1 has 2 fields; spaces divide them, so quote those that contain some")
    );
    assert_eq!(read_with("a,b c\n1,2 3\n", &spaces).unwrap().columns().len(), 2);
}

#[test]
fn lines_before_the_table_are_left_out() {
    for (text, front_lines, rows) in [
        ("Report of 2023\nx,y,z\n1,2,3\n4,5,6\n", 1, 2),
        ("Report of 2023,,\n\nx,y,z\n1,2,3\n4,5,6\n", 2, 2),
        ("# made by a program\n# on Monday, at noon\nx,y,z\n1,2,3\n4,5,6\n", 2, 2),
        ("sep=;\nx;y\n1;2\n", 1, 1),
        ("SEP=|\nTitle of it\nx|y\n1|2\n", 2, 1),
        ("Sales, in EUR\nyear,a,b,c,d\n2001,1,2,3,4\n2002,5,6,7,8\n", 1, 2),
        ("\u{feff}Name of it:\r\nx\ty\r\n1\t2\r\n", 1, 1),
        ("#a longer comment\n1 2\n3 4\n", 1, 2),
    ] {
        let table = read(text);
        assert_eq!(table.rows(), rows, "{text}");
        let last_line = text.lines().count() as u64;
        assert_eq!(table.line(rows - 1), last_line, "{text}");
        let told = &table.assumptions()[0];
        assert!(told.contains("none of the table") == (front_lines > 0), "{told}");
    }
    assert_eq!(names(&read("Report of 2023\nx,y,z\n1,2,3\n4,5,6\n")), ["x", "y", "z"]);
    // A header that begins with the mark of comments.
    assert_eq!(names(&read("# n,size\n1,2.5\n2,3.5\n")), ["# n", "size"]);
    assert_eq!(names(&read("# made by hand\n# n,size\n1,2.5\n2,3.5\n")), ["# n", "size"]);
    // A name in two lines is no title.
    assert_eq!(names(&read("\"long\nname\",y,z\n1,2,3\n4,5,6\n"))[0], "long\nname");
    // Nor does it hide a title that the first record goes on in a second line.
    let table = read("A title of it\n1,\"two\nlines\",3\n4,one,6\n7,one,9\n");
    assert_eq!((table.rows(), row(&table, 0)), (3, "1|two\nlines|3".into()));
    // Rows that lack a cell are no titles.
    assert!(message("a,b,c\n1\n2,3,4\n5,6,7\n").contains("line 2 has 1 field"));
    assert!(message("5\n1,2,3\n2,3,4\n5,6,7\n").contains("line 2 has 3 fields"));
}

#[test]
fn notes_after_the_table_are_left_out() {
    for (notes, count) in [
        ("Source: Eurostat\n", 1),
        ("\nSource: Eurostat,,\n", 1),
        ("* estimated\n(c) 2023\n", 2),
        ("# end, of, it, all\n", 1),
        ("Note:\nall values, rounded\n", 0),
    ] {
        let text = format!("x,y,z\n1,2,3\n4,5,6\n{notes}");
        match read_with(&text, &CsvOptions::default()) {
            Ok(table) => {
                assert_eq!((table.rows(), count > 0), (2, true), "{text}");
                let told = table.assumptions().last().unwrap();
                assert!(told.contains("after the table"), "{told}");
            }
            Err(error) => assert!(count == 0 && error.to_string().contains("fields"), "{error}"),
        }
    }
    // Not if rows follow; and a row that is cut short is none.
    assert!(message("x,y,z\n1,2,3\nsee below\n4,5,6\n").contains("line 3 has 1 field"));
    assert!(message("x,y,z\n1,2,3\n4,5\n").contains("line 3 has 2 fields"));
    assert!(message("x,y\n1,2\n4\n").contains("line 3 has 1 field"));
    assert!(message("x,name\n1,Ann\nBo\n").contains("line 3 has 1 field"));
    // A sentence is a row where a line is one.
    assert_eq!(read("text\none of them\nanother\nthe last one\n").rows(), 3);
}

#[test]
fn quotes_may_be_escaped() {
    let table = read("n,said\n1,\"a \\\"word\\\", or two\"\n2,\"none\"\n");
    assert_eq!(row(&table, 0), "1|a \"word\", or two");
    // Not if they fit without.
    assert_eq!(row(&read("n,path\n1,\"C:\\\"\n2,\"D:\\x\\\"\n"), 1), "2|D:\\x\\");
    assert_eq!(row(&read("n,said\n1,\"a \"\"word\"\"\"\n"), 0), "1|a \"word\"");
}

#[test]
fn a_comma_within_numbers_does_not_divide() {
    assert_eq!(row(&read("1,5;2,5\n2,0;3,5\n"), 0), "1.5|2.5");
    assert_eq!(row(&read("a;b\n0;1\n1,5;2\n2;3\n"), 1), "1.5|2");
    assert_eq!(row(&read("x;words\n1;a, b\n2;c, d\n"), 0), "1|a, b");
}

#[test]
fn delimiters_are_typed_by_name() {
    for (text, delimiter) in [
        ("tab", Delimiter::Byte(b'\t')),
        ("\\t", Delimiter::Byte(b'\t')),
        ("spaces", Delimiter::Spaces),
        (";", Delimiter::Byte(b';')),
        (" ", Delimiter::Byte(b' ')),
    ] {
        assert_eq!(text.parse::<Delimiter>().unwrap(), delimiter);
        assert_eq!(delimiter.to_string().parse::<Delimiter>().unwrap(), delimiter);
    }
    for text in ["", "ab", "\"", "\n", "é"] {
        assert!(text.parse::<Delimiter>().is_err(), "{text}");
    }
}
