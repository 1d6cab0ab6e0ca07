//! Text from servers and files, made fit for people and terminals; and bytes as hex digits.
//!
//! Everything that is printed for people passes [`line()`], [`message()`] or [`printable()`], so that a name can't break a
//! line, control a terminal or change the writing direction of its neighbours.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::secret::redact;

/// Whether a character controls a terminal or changes how its neighbours are shown: C0, DEL and C1, the separators of lines
/// and paragraphs, and the marks that set the writing direction.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text in one line; each control character becomes a space.
pub fn line(text: &str) -> String {
    text.chars()
        .map(|c| if is_control(c) { ' ' } else { c })
        .collect()
}

/// The first line that is not blank, without spaces around it, in at most `longest` characters.
pub fn first_line(text: &str, longest: usize) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let cleaned = line(first.unwrap_or_default());
    cut(cleaned.trim(), longest).into_owned()
}

/// At most `longest` characters of a text; an ellipsis after them shows that something is missing.
pub fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// An error or another message in one line, without the system's error numbers and without the passwords of URLs, which clap
/// repeats from an option.
pub fn message(text: &str) -> String {
    line(&without_numbers(&redact::urls(text)))
}

/// Lines for a terminal: control characters become spaces, except the ends of lines.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_control(c) && c != '\n' { ' ' } else { c })
        .collect()
}

/// A time in seconds for messages, such as `0.25`, `0.004` and `12`.
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds @ 10.0.. => format!("{seconds:.0}"),
        seconds => ((seconds * 1000.0).round() / 1000.0).to_string(),
    }
}

/// Text without the numbers that the standard library adds to the system's errors: `(os error 2)`.
pub fn without_numbers(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = " (os error ";
    let mut left = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        left += before;
        let number = after.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = match number.strip_prefix(')') {
            Some(behind) if number.len() < after.len() => behind,
            _ => {
                left += BEGIN;
                after
            }
        };
    }
    match left.is_empty() && rest.len() == text.len() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(left + rest),
    }
}

/// Why the system refused something, such as `No such file or directory`, without the number of the error.
pub fn reason(error: &io::Error) -> String {
    without_numbers(&error.to_string()).into_owned()
}

/// Bytes as lower-case hex digits. They are written into one allocation, so a key leaves no copy behind.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

/// The first names, at most `most`, and how many more there are: `a, b and 3 more`.
///
/// ```
/// assert_eq!(vw::text::names(["a", "b", "c"].iter(), 2), "a, b and 1 more");
/// ```
pub fn names<T: fmt::Display>(names: impl ExactSizeIterator<Item = T>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let named: Vec<String> = names.take(most).map(|name| name.to_string()).collect();
    match more {
        0 => named.join(", "),
        _ => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROLS: &str =
        "\u{1b}[2J\u{7}\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}";

    #[test]
    fn short_times_have_decimals() {
        let text = |micros| seconds(Duration::from_micros(micros));
        assert_eq!(
            [text(12_340_000), text(1_920_000), text(4_400)],
            ["12", "1.92", "0.004"]
        );
    }

    #[test]
    fn no_control_character_is_left() {
        assert_eq!(line("a\nb\u{9b}c\u{202e}d"), "a b c d");
        assert_eq!(line("Zürich – 東京 👩‍🚀"), "Zürich – 東京 👩‍🚀");
        assert!(!line(CONTROLS).contains(is_control));
        assert_eq!(printable("a\u{1b}[2Jb\nc\n"), "a [2Jb\nc\n");
        assert!(!message(CONTROLS).contains(is_control));
    }

    #[test]
    fn the_first_line_is_cut() {
        assert_eq!(
            first_line("\n \r\n it is\u{1b}[1m full \n really", 300),
            "it is [1m full"
        );
        assert_eq!(first_line("\u{1b}[2J", 300), "[2J");
        assert_eq!(first_line(" \n\u{7}\n", 300), "");
        assert_eq!(first_line(&"é".repeat(301), 300), "é".repeat(300) + "…");
        assert_eq!(first_line(&"é".repeat(300), 300), "é".repeat(300));
    }

    #[test]
    fn numbers_of_the_system_are_left_out() {
        for (text, expected) in [
            (
                "x: No such file or directory (os error 2)",
                "x: No such file or directory",
            ),
            ("a (os error 13); b (os error 2): c", "a; b: c"),
            (
                "disk (os error) and (os error x)",
                "disk (os error) and (os error x)",
            ),
            ("cut (os error 2", "cut (os error 2"),
            (" (os error )", " (os error )"),
            (" (os error 5)", ""),
            ("", ""),
        ] {
            assert_eq!(message(text), expected);
        }
    }

    #[test]
    fn a_reason_of_the_system_has_no_number() {
        assert_eq!(
            reason(&io::Error::from_raw_os_error(2)),
            "No such file or directory"
        );
    }

    #[test]
    fn many_names_are_counted() {
        assert_eq!(names([1, 2, 3].iter(), 2), "1, 2 and 1 more");
        assert_eq!(names([1, 2].iter(), 2), "1, 2");
    }

    #[test]
    fn bytes_as_hex() {
        assert_eq!(hex(&[0, 9, 0xab, 0xff]), "0009abff");
        assert_eq!(hex(&[]), "");
    }
}
