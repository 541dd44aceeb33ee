//! The first line of scikit-learn's own tables: `150,4,setosa,versicolor,virginica`.

use csv::StringRecord;

use super::cell::content;

/// Says how many rows of how many features follow, and what the classes are called whose numbers,
/// from 0, end each row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Preamble {
    pub(super) rows: u64,
    classes: Vec<String>,
}

impl Preamble {
    /// What a line says, if it fits the one below it.
    pub(super) fn of(line: &StringRecord, below: &StringRecord) -> Option<Self> {
        let mut fields = line.iter().map(content);
        let rows = fields.next()?.parse().ok()?;
        let features: usize = fields.next()?.parse().ok()?;
        let classes: Vec<String> = fields.map(str::to_owned).collect();
        let is_name = |class: &String| !class.is_empty() && class.parse::<f32>().is_err();
        let preamble = Self { rows, classes };
        let fits = preamble.classes.len() > 1
            && preamble.classes.iter().all(is_name)
            && features.checked_add(1) == Some(below.len())
            && preamble.class(below.iter().next_back()?).is_ok();
        fits.then_some(preamble)
    }

    /// The name of the class with this number, or what is wrong with the number.
    pub(super) fn class(&self, number: &str) -> Result<&str, String> {
        let class = content(number).parse().ok().and_then(|number: usize| self.classes.get(number));
        class.map(String::as_str).ok_or_else(|| {
            format!(
                "`{}` is not the number of a class; the first line names {}, from 0 on",
                content(number),
                self.classes.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{header, message, names, read, read_with, row};

    #[test]
    fn classes_are_called_as_the_first_line_says() {
        // As many fields as a row has, fewer, and more.
        for (text, second) in [
            ("2,2,a\u{df},b\n1,2,1\n3,4,0\n", "3|4|aß"),
            ("2,3,a,b\n1,2,3,1\n3,4,5,0\n", "3|4|5|a"),
            ("2, 1, a, b, c\n1, 2\n3, 0\n", "3|a"),
        ] {
            let table = read(text);
            assert_eq!((table.rows(), row(&table, 1)), (2, second.into()), "{text:?}");
            assert_eq!((names(&table)[0], table.has_header(), table.line(0)), ("1", false, 2));
        }
    }

    #[test]
    fn other_first_lines_are_what_they_were() {
        // A row; a header, as one that is told; numbers that fit nothing.
        assert_eq!(read("5,1,a\n4,2,b\n").rows(), 2);
        assert_eq!(names(&read_with("2,3,a,b\n1,2,3,1\n", &header(true)).unwrap())[1], "3");
        for text in
            ["2,5,a,b\n1,2,1\n3,4,0\n", "2,2,a,b\n1,2,7\n3,4,0\n", "2,2,a,1\n1,2,1\n3,4,0\n"]
        {
            assert!(message(text).contains("line 2 has 3 fields, but line 1 has 4"), "{text:?}");
        }
    }

    #[test]
    fn what_does_not_keep_its_word_is_refused() {
        assert_eq!(
            message("3,2,a,b\n1,2,1\n3,4,0\n"),
            "t.csv: its first line says that 3 rows follow, but there are 2; is the file whole?"
        );
        assert_eq!(
            message("2,2,a,b\n1,2,1\n3,4,2\n"),
            "t.csv, line 3, column 3: `2` is not the number of a class; the first line names a, b, from 0 on"
        );
    }
}
