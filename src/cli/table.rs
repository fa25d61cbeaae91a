//! Tables of text: columns as wide as what stands in them, the last one cut off where the terminal ends.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::text::{FAINT, plain, styled};

/// Between two columns.
const GAP: &str = "  ";
/// However narrow the terminal is, so much of the last column is shown.
const LEAST: usize = 16;

/// A table. Cells are made harmless, so they may hold whatever others wrote.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

struct Column {
    title: &'static str,
    align: Align,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// One cell, and how it looks.
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref()), style }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::styled(Style::new(), text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::styled(Style::new(), text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        number.to_string().into()
    }
}

impl Table {
    /// A table with these titles. One that starts with `>` is a column of numbers.
    pub(super) fn new<const N: usize>(titles: [&'static str; N]) -> Self {
        let column = |title: &'static str| match title.strip_prefix('>') {
            Some(title) => Column { title, align: Align::Right },
            None => Column { title, align: Align::Left },
        };
        Self { columns: titles.map(column).into(), rows: Vec::new() }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }

    /// The table as lines that each start with `indent` spaces and are at most `width` columns wide.
    pub(super) fn render(&self, indent: usize, width: Option<usize>) -> String {
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                self.rows.iter().map(|row| row[at].text.width()).fold(column.title.width(), usize::max)
            })
            .collect();
        let before_last: usize =
            widths.iter().rev().skip(1).map(|width| width + GAP.len()).sum::<usize>() + indent;
        let last = width.map(|width| width.saturating_sub(before_last).max(LEAST));
        let mut out = String::new();
        let titles: Vec<Cell> = self.columns.iter().map(|column| Cell::styled(FAINT, column.title)).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            out.push_str(&" ".repeat(indent));
            for (at, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                let is_last = at + 1 == row.len();
                let text = match last {
                    Some(last) if is_last => shortened(&cell.text, last),
                    _ => cell.text.clone(),
                };
                let pad = " ".repeat(widths[at].saturating_sub(text.width()));
                let text = if cell.style == Style::new() { text } else { styled(cell.style, &text) };
                match column.align {
                    Align::Right => out.extend([pad.as_str(), text.as_str()]),
                    // Nothing follows the last cell, so nothing needs to fill it up.
                    Align::Left if is_last => out.push_str(&text),
                    Align::Left => out.extend([text.as_str(), pad.as_str()]),
                }
                if !is_last {
                    out.push_str(GAP);
                }
            }
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        out
    }
}

/// The text, or as much of it as fits with an ellipsis.
fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = text.chars().take_while(|c| {
        let needed = c.width().unwrap_or(0);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    });
    fits.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["NAME", ">N", "ERROR"]);
        table.row(["李小龍".into(), 7.into(), "connection refused by the other side".into()]);
        table.row(["ada".into(), 1234.into(), "".into()]);
        table
    }

    fn shown(table: &Table, width: Option<usize>) -> String {
        anstream::adapter::strip_str(&table.render(2, width)).to_string()
    }

    #[test]
    fn columns_line_up_however_wide_a_character_is() {
        let expected = "  NAME       N  ERROR
  李小龍     7  connection refused by the other side
  ada     1234
";
        assert_eq!(shown(&table(), None), expected);
    }

    #[test]
    fn the_last_column_ends_where_the_terminal_does() {
        let lines = shown(&table(), Some(40));
        assert_eq!(lines.lines().nth(1).unwrap(), "  李小龍     7  connection refused by t…");
        assert!(lines.lines().all(|line| line.width() <= 40), "{lines}");
    }

    #[test]
    fn a_cell_cannot_break_the_table() {
        let mut table = Table::new(["A", "B"]);
        table.row(["x\ny".into(), "\u{1b}[31mred".into()]);
        assert_eq!(shown(&table, None), "  A    B\n  x y  \u{fffd}[31mred\n");
    }
}
