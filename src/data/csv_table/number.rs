//! How the numbers of a column are written.

use crate::data::written_number::{DecimalMark, Written};

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberTally {
    /// Numbers with a decimal point only, as `1.5` or `1,299.99`.
    pub point_only: u64,
    /// Numbers with a decimal comma only, as `1,5` or `1.299.000`.
    pub comma_only: u64,
    /// Numbers that are others with a comma, written with a point as `1.299`.
    pub ambiguous_points: u64,
    /// Numbers that are others with a point, written with a comma as `1,299`.
    pub ambiguous_commas: u64,
    /// Numbers before a `%`.
    pub percents: u64,
}

impl NumberTally {
    pub(super) fn add(&mut self, number: &Written) {
        match (number.point, number.comma) {
            (Some(_), None) => self.point_only += 1,
            (None, Some(_)) => self.comma_only += 1,
            _ if !number.is_ambiguous() => {}
            // Thousands make it the larger one.
            (Some(point), Some(comma)) if point.abs() < comma.abs() => self.ambiguous_points += 1,
            _ => self.ambiguous_commas += 1,
        }
        self.percents += u64::from(number.percent);
    }

    /// The mark that the column's own cells show.
    pub(super) const fn mark(&self) -> Option<DecimalMark> {
        match (self.point_only, self.comma_only) {
            (0, 0) => None,
            (point, comma) if comma > point => Some(DecimalMark::Comma),
            _ => Some(DecimalMark::Point),
        }
    }
}

/// How to read the numbers of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumberFormat {
    /// `None` if nothing shows whether `1,299` has thousands or decimals.
    pub mark: Option<DecimalMark>,
    /// Whether each number needs a `%`.
    pub percent: bool,
}

impl NumberFormat {
    /// The format of a column of `numbers` numbers. The mark is `elsewhere`'s if its own cells don't show it.
    pub(super) fn of(tally: &NumberTally, numbers: u64, elsewhere: Option<DecimalMark>) -> Self {
        let otherwise = (tally.ambiguous_commas == 0).then_some(DecimalMark::Point);
        let mark = tally.mark().or(elsewhere).or(otherwise);
        Self { mark, percent: 2 * tally.percents > numbers }
    }

    /// The number that a cell is, or what is wrong with it.
    pub(super) fn read(&self, number: &Written, text: &str) -> Result<f64, String> {
        let Some(mark) = self.mark.or((!number.is_ambiguous()).then_some(DecimalMark::Point))
        else {
            let [point, comma] = [number.point, number.comma].map(Option::unwrap_or_default);
            return Err(format!(
                "`{text}` is {point} if its comma groups thousands, and {comma} if it is the decimal mark; say \
                 which with --decimal point or --decimal comma"
            ));
        };
        let value = number.value(mark).ok_or_else(|| {
            let (has, read) = match mark {
                DecimalMark::Point => ("comma", "point"),
                DecimalMark::Comma => ("point", "comma"),
            };
            format!(
                "`{text}` has a decimal {has}, but the numbers of the column are read with a decimal {read}; write \
                 all in one way"
            )
        })?;
        if number.percent == self.percent {
            return Ok(value);
        }
        let (has, most) = if self.percent { ("no %", "has one") } else { ("a %", "has none") };
        Err(format!("`{text}` has {has}, but most of the column {most}; write all in one way"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, read, read_with, row};
    use super::*;
    use crate::data::{CellOptions, CsvOptions, Table};

    fn column(table: &Table) -> String {
        (0..table.rows()).map(|i| row(table, i)).collect::<Vec<_>>().join(" ")
    }

    /// A column `x` of cells divided by bars, beside one of words.
    fn text(cells: &str) -> String {
        format!("x;k\n{}", cells.split('|').map(|cell| format!("{cell};a\n")).collect::<String>())
    }

    fn read_as(text: &str, mark: DecimalMark) -> Table {
        let cells = CellOptions { decimal: Some(mark), ..CellOptions::default() };
        read_with(text, &CsvOptions { cells, ..CsvOptions::default() }).unwrap()
    }

    /// Columns, their cells divided by bars, and the numbers that they are.
    #[test]
    fn columns_are_read_as_their_cells_show() {
        for (cells, expected) in [
            ("1.5|2", "1.5 2"),
            ("1,5|2", "1.5 2"),
            ("1.100,50|900,25|7", "1100.5 900.25 7"),
            ("1,100.50|900.25|7", "1100.5 900.25 7"),
            ("1 100,50|900,25", "1100.5 900.25"),
            ("1'100.50|900.25", "1100.5 900.25"),
            ("1.100.500|2.500", "1100500 2500"),
            ("1,100,500|2,500", "1100500 2500"),
            ("12,34,567|1,234", "1234567 1234"),
            ("1.299|2.500", "1.299 2.5"),
            ("1,299|2,5", "1.299 2.5"),
            ("1,299|2.5", "1299 2.5"),
            ("1.299|2,5", "1299 2.5"),
            ("0,125|1,250", "0.125 1.25"),
            ("$1,200|$900", "1200 900"),
            ("1.200 €|900 €", "1200 900"),
            ("-$1,200.75|$3", "-1200.75 3"),
            ("12 %|7.5 %", "12 7.5"),
            ("12,5%|7%", "12.5 7"),
            ("<0.006|0.5|>100", "0.006 0.5 100"),
            ("<0,006|0,5|≥ 1,5", "0.006 0.5 1.5"),
            ("<0.006|<0.006|0.5", "0.006 0.006 0.5"),
            ("−1.5|1.5", "-1.5 1.5"),
            ("1\u{202f}234|56", "1234 56"),
        ] {
            let table = read(text(cells));
            assert_eq!(column(&table), expected.replace(' ', "|a ") + "|a", "{cells}");
        }
        // Dates, versions, addresses and phone numbers stay what they are.
        for words in
            ["12.05.2023|13.05.2023", "1.10.2|1.11.0", "10.0.0.1|10.0.0.12", "030-123|030-124"]
        {
            assert_eq!(column(&read(text(words))), words.replace('|', "|a ") + "|a");
        }
    }

    /// A column that says nothing by itself follows the others, and what is given.
    #[test]
    fn other_columns_show_the_decimal_mark() {
        assert_eq!(column(&read("a;b\n1.299;2,5\n1.500;3,5\n")), "1299|2.5 1500|3.5");
        assert_eq!(column(&read("a;b\n1,299;2.5\n1,500;3.5\n")), "1299|2.5 1500|3.5");
        assert_eq!(column(&read("a;b\n1.299;2\n1.500;3\n")), "1.299|2 1.5|3");
        let unclear = message("a;b\n1,299;2\n1,500;3\n");
        assert!(
            unclear.ends_with(
                "`1,299` is 1299 if its comma groups thousands, and 1.299 if it is the decimal mark; say which \
                 with --decimal point or --decimal comma"
            ),
            "{unclear}"
        );
        let text = "a\n\"1,299\"\n\"1,500\"\n";
        assert_eq!(column(&read_as(text, DecimalMark::Point)), "1299 1500");
        assert_eq!(column(&read_as(text, DecimalMark::Comma)), "1.299 1.5");
        assert_eq!(column(&read_as("a\n1.299\n7\n", DecimalMark::Comma)), "1299 7");
        // What the cells show counts more.
        assert_eq!(column(&read_as("a\n1.5\n1.299\n", DecimalMark::Comma)), "1.5 1.299");
    }

    #[test]
    fn numbers_of_another_kind_are_refused() {
        for (cells, expected) in [
            (
                "1,5|2,5|3.5",
                "line 4, column x: `3.5` has a decimal point, but the numbers of the column",
            ),
            ("1.5|2.5|3,5", "line 4, column x: `3,5` has a decimal comma"),
            ("12 %|13 %|0.14", "line 4, column x: `0.14` has no %, but most of the column has one"),
            ("0.12|0.13|14 %", "line 4, column x: `14 %` has a %, but most of the column has none"),
        ] {
            let message = message(text(cells));
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn what_is_read_is_reported() {
        for (cells, expected) in [
            ("1.100,50|2", "the column `x` has numbers as `1.100,50`, read as 1100.5"),
            ("1.100.500|2", "the column `x` has numbers as `1.100.500`, read as 1100500"),
            ("12 %|7 %", "the column `x` has percents, `12 %` read as 12"),
            // What is offered can be typed.
            ("<1,5|2,5", "(to take it for a missing cell: --missing-words '\"<1,5\"')"),
            (
                "<0.006|1",
                "`<0.006`, once in the column `x`, is a bound, taken for the number itself",
            ),
        ] {
            let table = read(text(cells));
            assert!(table.assumptions()[1].contains(expected), "{:?}", table.assumptions());
        }
        assert_eq!(read("x\n1.5\n1.299\n").assumptions().len(), 1, "only the header");
        let elsewhere = read("a;b\n1.299;2,5\n1.500;3,5\n");
        let told = "the column `a` (and one more) has numbers as `1.299`, read as 1299 (if that is wrong: --decimal \
                    point)";
        assert_eq!(elsewhere.assumptions()[1], told);
        // A later table is read so as well, where it is not clear.
        let cells = read("x;y\n1.100,50;2\n").cells().clone();
        assert_eq!(cells.decimal, Some(DecimalMark::Comma));
        assert_eq!(read("x\n1.5\n1.234\n").cells().decimal, None);
    }
}
