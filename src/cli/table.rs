//! Text in columns.

use std::io;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{colour, width};
use crate::text;

/// The most characters of a cell. A hostile name may be longer than any table.
const LONGEST_CELL: usize = 400;

/// The space between two columns.
const GAP: u16 = 2;

/// A space without width, which marks where a cell may be broken into lines.
const BREAK: char = '\u{200b}';

/// A column of a table with a heading.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The heading.
    pub title: &'static str,
    /// How its cells are shown.
    pub cells: Cells,
}

/// How the cells of a column are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cells {
    /// Text.
    Text,
    /// Ids, which get a third of the terminal if they need it, so that a uuid takes two lines and not five.
    Ids,
    /// Numbers, which are aligned at their last digit.
    Numbers,
}

/// Aligns the cells of each column. Columns are separated by two spaces.
pub fn of(rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    for row in rows {
        table.add_row(row.iter().map(|cell| line(cell)));
    }
    drawn(table)
}

/// A table with headings. It fits the terminal: cells of a table that is too wide are broken into several lines. Without a
/// terminal, each row is one line.
pub fn titled(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let terminal = width::columns(io::stdout());
    let cell = |cell: &String| {
        let cell = line(cell);
        let cell = text::cut(&cell, LONGEST_CELL);
        match terminal {
            Some(_) => breakable(&cell),
            None => cell.into_owned(),
        }
    };
    let mut table = Table::new();
    table.set_header(columns.iter().map(|column| column.title));
    for row in rows {
        table.add_row(row.iter().map(cell));
    }
    let widths = table.column_max_content_widths();
    for ((of_table, column), needed) in table.column_iter_mut().zip(columns).zip(widths) {
        match (column.cells, terminal) {
            (Cells::Numbers, _) => of_table.set_cell_alignment(CellAlignment::Right),
            (Cells::Ids, Some(terminal)) => {
                let width = needed.min(u16::try_from(terminal / 3).unwrap_or(u16::MAX));
                of_table.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
            }
            _ => {}
        }
    }
    if let Some(columns) = terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // The gap after the last column is removed.
        let columns = u16::try_from(columns).unwrap_or(u16::MAX);
        table.set_width(columns.saturating_add(GAP));
    }
    let drawn = drawn(table);
    let (headings, rows) = drawn.split_at(drawn.find('\n').unwrap_or(drawn.len()));
    let rows = match terminal {
        Some(_) => isolated(&rows.replace(BREAK, "")),
        None => rows.to_owned(),
    };
    colour::heading(headings) + &rows
}

/// A sentence in one line, which is broken between words if stdout is a terminal.
pub fn sentence(text: &str) -> String {
    let columns = width::columns(io::stdout()).unwrap_or(usize::MAX);
    width::wrapped(&line(text), columns, 2) + "\n"
}

/// The cell with marks after blanks and after the parts of names and ids.
fn breakable(cell: &str) -> String {
    let pieces = cell.split_inclusive([' ', '-', '.', '/', '_']);
    pieces.collect::<Vec<_>>().join(BREAK.encode_utf8(&mut [0; 4]))
}

fn drawn(mut table: Table) -> String {
    table.load_style(presets::NOTHING);
    table.set_delimiter(BREAK);
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// Text from a file in one line, without characters that control a terminal.
pub fn line(text: &str) -> String {
    text::message(&text.replace('\n', ", "))
}

/// Marks the ends of cells with right-to-left text. Otherwise a terminal that reorders such text would move the cells next to it.
fn isolated(lines: &str) -> String {
    const MARK: char = '\u{200e}';
    let mut marked = String::with_capacity(lines.len());
    for line in lines.split_inclusive('\n') {
        if !line.contains(is_right_to_left) {
            marked += line;
            continue;
        }
        marked.push(MARK);
        for (number, cell) in line.split("  ").enumerate() {
            if number > 0 {
                marked += "  ";
            }
            marked += cell;
            if cell.contains(is_right_to_left) && !cell.ends_with('\n') {
                marked.push(MARK);
            }
        }
    }
    marked
}

/// Whether a character belongs to a script that is written from right to left: the blocks that Unicode reserves for them.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        cells.iter().map(row).collect()
    }

    #[test]
    fn cells_are_aligned_by_their_width_on_the_screen() {
        let table = of(&rows(&[
            &["東京", "1"],
            &["é", "2"],
            &["abcdef", "", "x"],
            &["שלום", "3"],
        ]));
        assert_eq!(table, "東京    1\né       2\nabcdef     x\nשלום    3\n");
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn numbers_are_aligned_at_their_last_digit_and_a_cell_is_one_line() {
        let columns = [("NAME", Cells::Text), ("N", Cells::Numbers)];
        let columns = columns.map(|(title, cells)| Column { title, cells });
        let table = titled(&columns, rows(&[&["a\nb\u{1b}[2J", "1"], &["c", "100"]]));
        assert_eq!(table, "NAME        N\na, b [2J    1\nc         100\n");
    }

    #[test]
    fn right_to_left_text_does_not_move_its_neighbours() {
        assert_eq!(isolated("a  1\nשלום  2\n"), "a  1\n\u{200e}שלום\u{200e}  2\n");
    }
}
