//! The pass in front of rust-ini, which makes one line of each logical line of a file.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::is_blank;
use crate::config::{Note, Place};

/// The most notes about one file. Without a limit, garbage yields one for each of its lines.
pub(super) const MOST_NOTES: usize = 100;

/// A file as rust-ini reads it, and what rust-ini does not keep.
pub(super) struct Logical<'a> {
    file: &'a Arc<Path>,
    /// One line for each header and each key. A backslash is escaped; a newline within a value is `\n`.
    pub(super) text: Zeroizing<String>,
    /// The headers in `text`, in their order.
    pub(super) headers: Vec<Header>,
    /// What a person should know about lines that are in no section.
    pub(super) notes: Vec<Note>,
    /// Does an indented line continue a value?
    in_value: bool,
    /// Blank lines since the last line of the value. They belong to the value if it continues.
    blank_lines: usize,
    /// The indentation of the last line that was not a continuation.
    indent: usize,
    /// Are the lines part of a section? Otherwise they are before the first header, or below an invalid one.
    inside: bool,
    /// Lines outside any section have been noted.
    noted_outside: bool,
}

/// The header of a section and the lines below it.
pub(super) struct Header {
    /// The line of the header, counted from 1.
    pub(super) line: usize,
    /// The line of each key, in the order of the keys.
    pub(super) keys: Vec<usize>,
    /// The first line that makes the section unusable, and what is wrong with it.
    pub(super) broken: Option<(usize, String)>,
}

impl<'a> Logical<'a> {
    /// Reads all lines of a file.
    pub(super) fn new(file: &'a Arc<Path>, bytes: &[u8]) -> Self {
        let mut logical = Logical {
            file,
            // Allocated once, because a growing buffer leaves copies of passwords behind. At most each byte is escaped.
            text: Zeroizing::new(String::with_capacity(2 * bytes.len() + 1)),
            headers: Vec::new(),
            notes: Vec::new(),
            in_value: false,
            blank_lines: 0,
            indent: 0,
            inside: false,
            noted_outside: false,
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (number, line) in (1..).zip(lines(bytes)) {
            logical.line(number, line);
        }
        logical
    }

    fn line(&mut self, number: usize, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            return self.broken(number, "is not UTF-8; save the file as UTF-8");
        };
        if line.contains('\0') {
            return self.broken(number, "has a NUL byte; save the file as plain UTF-8 text");
        }
        let text = line.trim_matches(is_blank);
        if text.starts_with(['#', ';']) {
            return;
        }
        if text.is_empty() {
            self.blank_lines += 1;
            return;
        }
        let blank_lines = std::mem::take(&mut self.blank_lines);
        let indent = line.chars().take_while(|c| is_blank(*c)).count();
        if !self.in_value || indent <= self.indent {
            self.in_value = false;
            self.indent = indent;
            return self.begin(number, text);
        }
        // As in Python there is one before a value that begins below its key, too. It is trimmed away with blanks around the value.
        (0..=blank_lines).for_each(|_| self.text.push_str("\\n"));
        self.escaped(text);
    }

    /// A line that continues no value: a header, a key, or a line that Python refuses.
    fn begin(&mut self, number: usize, text: &str) {
        if let Some(after) = text.strip_prefix('[') {
            // Python ignores what follows the last bracket.
            let name = after.rsplit_once(']').map(|(name, _)| name);
            return self.header(number, name.filter(|name| is_plain(name)));
        }
        if !self.inside {
            if !self.noted_outside {
                self.noted_outside = true;
                self.note(number, "is before the first [section], so it is ignored");
            }
            return;
        }
        match text.find(['=', ':']) {
            Some(0) => self.broken(number, "has no key before its '=' or ':'"),
            Some(_) => {
                self.in_value = true;
                self.text.push('\n');
                self.escaped(text);
                if let Some(header) = self.headers.last_mut() {
                    header.keys.push(number);
                }
            }
            None => self.broken(
                number,
                "is neither a [section] nor 'key = value'; give the key a value, or begin the line with #",
            ),
        }
    }

    /// The header of a section, if it has a valid name.
    fn header(&mut self, line: usize, name: Option<&str>) {
        self.inside = name.is_some();
        let Some(name) = name else {
            self.noted_outside = true;
            return self.note(
                line,
                "is not a valid section header, so the lines below it are ignored; write a name in brackets, without \
                 blanks around it",
            );
        };
        self.text.push_str("\n[");
        self.escaped(name);
        self.text.push(']');
        self.headers.push(Header {
            line,
            keys: Vec::new(),
            broken: None,
        });
    }

    fn escaped(&mut self, text: &str) {
        for (at, part) in text.split('\\').enumerate() {
            if at > 0 {
                self.text.push_str("\\\\");
            }
            self.text.push_str(part);
        }
    }

    /// A line that makes its section unusable.
    fn broken(&mut self, number: usize, message: &str) {
        match self.headers.last_mut().filter(|_| self.inside) {
            Some(header) => {
                header
                    .broken
                    .get_or_insert_with(|| (number, format!("the line {message}")));
            }
            None => self.note(number, message),
        }
    }

    fn note(&mut self, line: usize, message: &str) {
        if self.notes.len() < MOST_NOTES {
            let place = Some(Place {
                file: self.file.clone(),
                line,
            });
            self.notes.push(Note {
                place,
                section: None,
                key: None,
                message: format!("the line {message}"),
            });
        }
    }
}

/// Lines as Python's text files have them: ended by LF, CR LF or CR.
fn lines(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        let ended = after.strip_prefix(b"\r\n").or_else(|| after.get(1..));
        rest = ended.unwrap_or_default();
        Some(line)
    })
}

/// Whether rust-ini reads the name of a section as Python does.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(']') && name.trim_matches(is_blank) == name
}
