//! Text in columns.

use std::io;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{colour, width};
use crate::text;

/// The most characters of a cell. A hostile name may be longer than any table.
const LONGEST_CELL: usize = 400;

/// The space between two columns.
const GAP: u16 = 2;

/// The narrowest column, with its gap, that still shows something.
const NARROW: u16 = 8;

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
    /// Text, such as names.
    Text,
    /// Text that is broken only at blanks, such as times.
    Words,
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
    let drawn = fitted(columns, rows, width::columns(io::stdout()));
    let (headings, rows) = drawn.split_at(drawn.find('\n').unwrap_or(drawn.len()));
    colour::heading(headings) + rows
}

/// A table with headings for a terminal of this width, if there is one.
fn fitted(
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<String>>,
    terminal: Option<usize>,
) -> String {
    let mut table = Table::new();
    table.set_header(columns.iter().map(|column| column.title));
    // The widest part of each column that is not broken.
    let mut unbroken: Vec<usize> = columns.iter().map(|column| column.title.len()).collect();
    for row in rows {
        let cells = row.iter().zip(columns).zip(&mut unbroken);
        table.add_row(cells.map(|((cell, column), unbroken)| {
            let cell = line(cell);
            let cell = text::cut(&cell, LONGEST_CELL);
            if terminal.is_none() {
                return cell.into_owned();
            }
            let cell = breakable(&cell, column.cells);
            let parts = cell.split(BREAK).map(|part| part.chars().count());
            *unbroken = parts.max().unwrap_or_default().max(*unbroken);
            cell
        }));
    }
    for (of_table, column) in table.column_iter_mut().zip(columns) {
        if column.cells == Cells::Numbers {
            of_table.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(terminal) = terminal {
        let terminal = u16::try_from(terminal).unwrap_or(u16::MAX);
        fit(&mut table, columns, &unbroken, terminal);
    }
    match terminal {
        Some(_) => isolated(&drawn(table).replace(BREAK, "")),
        None => drawn(table),
    }
}

/// Fits a table to the terminal, with its words and numbers unbroken as far as there is room.
fn fit(table: &mut Table, columns: &[Column], unbroken: &[usize], terminal: u16) {
    table.set_content_arrangement(ContentArrangement::Dynamic);
    // The gap after the last column is removed.
    let room = terminal.saturating_add(GAP);
    table.set_width(room);
    let needed = table.column_max_content_widths();
    let width = |((column, unbroken), needed): ((&Column, &usize), u16)| {
        let unbroken = u16::try_from(*unbroken).unwrap_or(u16::MAX).saturating_add(GAP);
        match column.cells {
            Cells::Ids => needed.min(terminal / 3).max(unbroken),
            Cells::Text | Cells::Words | Cells::Numbers => unbroken,
        }
    };
    let mut least: Vec<u16> = columns.iter().zip(unbroken).zip(needed).map(width).collect();
    // The longest words are broken if there is no room for them.
    while least.iter().map(|width| usize::from(*width)).sum::<usize>() > usize::from(room) {
        match least.iter_mut().max() {
            Some(widest) if *widest > NARROW => *widest -= 1,
            _ => return,
        }
    }
    for (column, width) in table.column_iter_mut().zip(least) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
    }
}

/// A sentence in one line, which is broken between words if stdout is a terminal.
pub fn sentence(text: &str) -> String {
    let columns = width::columns(io::stdout()).unwrap_or(usize::MAX);
    width::wrapped(&line(text), columns, 2) + "\n"
}

/// The cell with marks after blanks and, unless it consists of words, after the parts of names and ids.
fn breakable(cell: &str, cells: Cells) -> String {
    let ends: &[char] = match cells {
        Cells::Words => &[' '],
        Cells::Text | Cells::Ids | Cells::Numbers => &[' ', '-', '.', '/', '_'],
    };
    let pieces = cell.split_inclusive(ends);
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
    fn a_narrow_terminal_breaks_no_word() {
        let columns = [
            ("NAME", Cells::Text),
            ("ID", Cells::Ids),
            ("CLUSTER", Cells::Text),
            ("SOCKETS", Cells::Numbers),
            ("STATES", Cells::Text),
            ("SEEN", Cells::Words),
        ];
        let columns = columns.map(|(title, cells)| Column { title, cells });
        let id = "c7a53e37-5cef-45df-b640-afb238ee46bc";
        let states = "4 running, 1 paused, 12 shut off";
        let row = [
            "esx1.example.com",
            id,
            "Cluster 1",
            "1024",
            states,
            "2026-08-01 12:00:00",
        ];
        for terminal in [100, 80, 68] {
            let table = fitted(&columns, rows(&[&row]), Some(terminal));
            assert!(
                table.lines().all(|line| line.chars().count() <= terminal),
                "{table}"
            );
            let words: Vec<&str> = table.split_whitespace().collect();
            for word in [
                "Cluster",
                "1024",
                "running,",
                "paused,",
                "off",
                "2026-08-01",
                "12:00:00",
            ] {
                assert!(words.contains(&word), "{terminal}, {word}: {table}");
            }
        }
        // If there is no room, the longest words are broken.
        let table = fitted(&columns, rows(&[&row]), Some(50));
        assert!(table.lines().all(|line| line.chars().count() <= 50), "{table}");
    }

    #[test]
    fn right_to_left_text_does_not_move_its_neighbours() {
        assert_eq!(isolated("a  1\nשלום  2\n"), "a  1\n\u{200e}שלום\u{200e}  2\n");
    }
}
