//! Makes text from servers and files safe to print.
//!
//! Text for people passes through [`line()`], [`message()`] or [`printable()`], and JSON for a terminal through [`TerminalJson`]. So a
//! name can't break a line, control the terminal or change the direction of the text next to it.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::secret::redact;

/// Whether a character controls a terminal or the direction of text: the control characters C0, DEL and C1, the separators of
/// lines and paragraphs, and the marks of bidirectional text.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text in one line. Control characters become spaces.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// A message in one line, without error numbers such as `(os error 2)`, and without the passwords of URLs, because clap repeats
/// the values of options.
pub fn message(text: &str) -> String {
    line(&without_numbers(&redact::urls(text)))
}

/// Lines for a terminal. Control characters other than newlines become spaces.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) && c != '\n' { ' ' } else { c })
        .collect()
}

/// Text without the system's error numbers, such as `(os error 2)`.
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

/// Writes JSON that is safe on a terminal: control characters become `\uXXXX`, which is the same value. If `out` is not a
/// terminal, the JSON is written unchanged.
///
/// Valid JSON contains such characters in strings only, except for the white space between values, which is kept.
#[derive(Debug)]
pub struct TerminalJson<W> {
    out: W,
    escaping: bool,
    /// The first bytes of a character whose other bytes have not been written yet.
    begun: Vec<u8>,
}

impl<W: Write> TerminalJson<W> {
    /// A writer to `out`.
    pub fn new(out: W, is_terminal: bool) -> Self {
        TerminalJson {
            out,
            escaping: is_terminal,
            begun: Vec::new(),
        }
    }

    fn escape(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some(at) = rest.find(|c| steers(c) && c >= '\u{7f}') {
            let (plain, from) = rest.split_at(at);
            self.out.write_all(plain.as_bytes())?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                write!(self.out, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        self.out.write_all(rest.as_bytes())
    }
}

impl<W: Write> Write for TerminalJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.escaping {
            return self.out.write(bytes);
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut rest = &all[..];
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.escape(text)?;
                    rest = &[];
                }
                Err(error) => {
                    let (text, from) = rest.split_at(error.valid_up_to());
                    self.escape(&String::from_utf8_lossy(text))?;
                    let Some(wrong) = error.error_len() else {
                        self.begun = from.to_vec();
                        break;
                    };
                    // Invalid UTF-8 is not JSON. A replacement character shows it.
                    self.escape("\u{fffd}")?;
                    rest = from.get(wrong..).unwrap_or_default();
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEERING: &str =
        "\u{1b}[2J\u{7}\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}";

    fn json(text: &str, is_terminal: bool, size: usize) -> String {
        let mut json = TerminalJson::new(Vec::new(), is_terminal);
        for part in text.as_bytes().chunks(size) {
            json.write_all(part).unwrap();
        }
        String::from_utf8(json.out).unwrap()
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(line("a\nb\u{9b}c\u{202e}d"), "a b c d");
        assert_eq!(line("Zürich – 東京 👩‍🚀"), "Zürich – 東京 👩‍🚀");
        assert!(!line(STEERING).contains(steers));
        assert_eq!(printable("a\u{1b}[2Jb\nc\n"), "a [2Jb\nc\n");
        assert!(!message(STEERING).contains(steers));
    }

    #[test]
    fn error_numbers_are_removed() {
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
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({"name": STEERING, "päth": ["\u{202e}", "東京"]});
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        assert_eq!(json(&text, false, 1), text);
        for size in [1, 2, 3, 5, 1000] {
            let shown = json(&text, true, size);
            assert!(!shown.contains(|c| steers(c) && c != '\n'), "{shown:?}");
            assert!(shown.contains("\\u202e") && shown.contains("東京"), "{shown}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, value);
        }
    }

    proptest! {
        #[test]
        fn escaping_keeps_the_value_of_any_text(text in any::<String>(), size in 1..9_usize) {
            let written = serde_json::to_string(&text).unwrap();
            let shown = json(&written, true, size);
            prop_assert!(!shown.contains(steers));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
