//! JSON for terminals, and what makes other text fit for them.

use std::io::{self, Write};

use crate::text::is_control;
pub use crate::text::{line, message, printable, without_numbers};

/// JSON for a terminal: characters that steer it are written as `\uXXXX`, which is the same value. For anything else than a
/// terminal it passes as it is.
///
/// In JSON such characters stand within strings only, apart from the blanks between values, which stay.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
    escaping: bool,
    /// The bytes of a character that has not arrived whole.
    begun: Vec<u8>,
}

impl<W: Write> Json<W> {
    /// JSON for `out`, which may be a terminal.
    pub fn new(out: W, is_terminal: bool) -> Self {
        Json {
            out,
            escaping: is_terminal,
            begun: Vec::new(),
        }
    }

    fn escape(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some(at) = rest.find(|c| is_control(c) && c >= '\u{7f}') {
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

impl<W: Write> Write for Json<W> {
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
                    // Not JSON, then: shown as what it is not.
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

    const CONTROLS: &str =
        "\u{1b}[2J\u{7}\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}";

    fn json(text: &str, is_terminal: bool, size: usize) -> String {
        let mut json = Json::new(Vec::new(), is_terminal);
        for part in text.as_bytes().chunks(size) {
            json.write_all(part).unwrap();
        }
        String::from_utf8(json.out).unwrap()
    }

    #[test]
    fn json_for_a_terminal_is_the_same_value() {
        let value = serde_json::json!({"name": CONTROLS, "päth": ["\u{202e}", "東京"]});
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        assert_eq!(json(&text, false, 1), text);
        for size in [1, 2, 3, 5, 1000] {
            let shown = json(&text, true, size);
            assert!(!shown.contains(|c| is_control(c) && c != '\n'), "{shown:?}");
            assert!(shown.contains("\\u202e") && shown.contains("東京"), "{shown}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, value);
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_what_it_is(text in any::<String>(), size in 1..9_usize) {
            let written = serde_json::to_string(&text).unwrap();
            let shown = json(&written, true, size);
            prop_assert!(!shown.contains(is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
