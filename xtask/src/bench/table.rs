//! Columns that stand under each other. Must not know what is in them.

use serde_json::Value;

/// Rows of as many cells as the first one, the heads, has.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns of words; the others are of numbers and end at the same place.
    words: usize,
}

impl Table {
    pub(super) fn new(words: usize, heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|&head| head.to_owned()).collect()], words }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(super) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column < self.words {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A text as it is, everything else as JSON; nothing for what is not there.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn words_begin_and_numbers_end_at_the_same_place() {
        let mut table = Table::new(1, &["act", "ns"]);
        table.row(vec!["a long one".to_owned(), "7".to_owned()]);
        table.row(vec!["é".to_owned(), "1234".to_owned()]);
        assert_eq!(table.render(), "act           ns\na long one     7\né           1234\n");
    }
}
