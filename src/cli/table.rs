//! A table of text, for people and as JSON.

use serde_json::{Value, json};

/// Columns with their names, and rows whose first cell is a name.
pub(crate) struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Aligned: names to the left, numbers to the right.
    pub(crate) fn text(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        lines()
            .map(|line| {
                let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                    if column == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
                });
                cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
            })
            .collect()
    }

    /// Rows as objects; what reads as a number is one.
    pub(crate) fn json(&self) -> Value {
        let cell = |text: &String| text.parse().map_or_else(|_| json!(text), |x: f64| json!(x));
        let object = |row: &Vec<String>| -> Value {
            self.head.iter().cloned().zip(row.iter().map(cell)).collect()
        };
        json!({ "rows": self.rows.iter().map(object).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let mut table = Table::new(&["name", "steps"]);
        table.row(["µ".into(), "12".into()]);
        table.row(["longer".into(), "—".into()]);
        assert_eq!(table.text(), "name     steps\nµ           12\nlonger       —\n");
        assert_eq!(table.json()["rows"][0]["steps"], 12.0);
        assert_eq!(table.json()["rows"][1]["steps"], "—");
    }
}
