//! Columns for people.

use crate::trace::ladder::harmless;

/// Rows under a headline, each column as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headline: &[&str]) -> Self {
        Self { rows: vec![headline.iter().map(|&word| word.to_owned()).collect()] }
    }

    /// One row; what peers wrote is made harmless.
    pub(super) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.iter().map(|cell| harmless(cell)).collect());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    pub(super) fn print(&self) {
        for line in self.lines() {
            say!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["name", "state"]);
        table.row(&["a-long-name".to_owned(), "up".to_owned()]);
        table.row(&["b\x1b[2J".to_owned(), "down".to_owned()]);
        assert_eq!(table.lines(), ["name         state", "a-long-name  up", "b\u{fffd}[2J        down"]);
    }
}
