//! The width of the terminal, and text that fits it.

use std::os::fd::AsFd;

/// The number of columns if the terminal's width is unknown.
pub(super) const DEFAULT: usize = 80;

/// The number of columns of a terminal. `None` if it is unknown, or if `of` is not a terminal.
pub(super) fn columns(of: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(of).ok()?;
    Some(size.ws_col.into()).filter(|columns| *columns > 0)
}

/// Breaks text between words into lines of at most `columns` characters. All but the first are indented by `indent` spaces. A
/// longer word stays whole, so that it can be copied.
pub(super) fn wrapped(text: &str, columns: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    let (blanks, words) = text.split_at(text.len() - text.trim_start().len());
    for (at, word) in words.split(' ').enumerate() {
        let length = word.chars().count();
        if at == 0 {
            out += blanks;
            column = blanks.len();
        } else if column + 1 + length > columns {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
    }
    out
}

/// The first `columns` characters of a text.
pub(super) fn cut(text: &str, columns: usize) -> &str {
    text.char_indices()
        .nth(columns)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("", 10, 2), "");
        assert_eq!(wrapped("one two", 7, 2), "one two");
        assert_eq!(wrapped("one two three", 7, 2), "one two\n  three");
        assert_eq!(wrapped("  one two three", 7, 4), "  one\n    two\n    three");
        assert_eq!(wrapped("äää ööö", 7, 2), "äää ööö");
        assert_eq!(wrapped("a verylongword b", 5, 1), "a\n verylongword\n b");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 9), "äöü");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn only_a_terminal_has_a_width() {
        let (reader, _) = std::io::pipe().unwrap();
        assert_eq!(columns(reader), None);
    }
}
