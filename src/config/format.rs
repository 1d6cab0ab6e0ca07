//! The file format: that of Python's ConfigParser, on top of rust-ini.
//!
//! rust-ini alone differs from Python in comments, continued lines, letter case and lines that make no sense, and it copies
//! values about in memory, where passwords would stay. So a pass in front makes one line of each logical line, puts aside
//! what can't be understood, and keeps the values; rust-ini then finds sections and keys, with a value's number in its
//! place.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ini::{Ini, ParseOption};
use zeroize::Zeroizing;

use super::{Note, Place};

/// As many notes on one file help; garbage would otherwise yield one a line.
const MOST_NOTES: usize = 100;

/// A file's sections, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) blocks: Vec<Block>,
    pub(super) notes: Vec<Note>,
}

/// A section as it stands in one file; headers that repeat are one section.
pub(super) struct Block {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) entries: Entries,
    /// The file's `[DEFAULT]`, which Python puts under each section.
    pub(super) default: Arc<Entries>,
    /// Why none of it may be used.
    pub(super) broken: Option<Note>,
    /// Are these `VIRTWHO_*` variables, whose values stand for themselves?
    pub(super) is_variables: bool,
}

/// Keys in lower case and their values; of a key that repeats the last one.
pub(super) type Entries = BTreeMap<String, Entry>;

/// A value before anything is done with its percent signs and quotes.
pub(super) struct Entry {
    /// The key as it was written.
    pub(super) key: String,
    pub(super) value: Zeroizing<String>,
    /// 0 for one that stands in no file.
    pub(super) line: usize,
}

impl Block {
    /// The entry of a key in lower case.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key).or_else(|| self.default.get(key))
    }

    /// What there is to say about one of its lines.
    pub(super) fn note(&self, line: usize, key: Option<&str>, message: String) -> Note {
        Note {
            place: (line > 0 || !self.is_variables).then(|| Place {
                file: self.place.file.clone(),
                line,
            }),
            section: (!self.is_variables).then(|| self.name.clone()),
            key: key.map(str::to_owned),
            message,
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {:?}", self.name, self.entries.keys())
    }
}

/// Reads a file's bytes. Whatever they are, there is an answer.
pub(super) fn parse(file: &Arc<Path>, bytes: &[u8]) -> Document {
    let mut pass = Pass::new(file);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (number, line) in (1..).zip(lines(bytes)) {
        pass.line(number, line);
    }
    pass.finish()
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

/// What Python's `str.strip` takes off.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The pass in front of rust-ini, line by line.
struct Pass<'a> {
    file: &'a Arc<Path>,
    /// What rust-ini will read: one line for each header, and one for each key, whose value is its place in `values`.
    text: String,
    headers: Vec<Header>,
    values: Vec<Value>,
    /// May the last value go on in the next line?
    open: bool,
    /// Blank lines since, which belong to a value that goes on.
    blank_lines: usize,
    /// The indentation of the last line that was not a continuation.
    indent: usize,
    /// Are the lines part of a section? Else they stand before the first, or under a header that is none.
    inside: bool,
    /// Lines outside any section have been noted.
    noted_outside: bool,
    notes: Vec<Note>,
}

struct Header {
    name: String,
    line: usize,
    broken: Option<Note>,
}

struct Value {
    line: usize,
    text: Zeroizing<String>,
}

impl<'a> Pass<'a> {
    fn new(file: &'a Arc<Path>) -> Self {
        Pass {
            file,
            text: String::new(),
            headers: Vec::new(),
            values: Vec::new(),
            open: false,
            blank_lines: 0,
            indent: 0,
            inside: false,
            noted_outside: false,
            notes: Vec::new(),
        }
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
        match self.values.last_mut().filter(|_| self.open) {
            Some(value) if indent > self.indent => {
                // A value that only begins in this line has no newline before it.
                if !value.text.is_empty() {
                    super::append(&mut value.text, &"\n".repeat(blank_lines + 1));
                }
                super::append(&mut value.text, text);
            }
            _ => {
                self.open = false;
                self.indent = indent;
                self.begin(number, text);
            }
        }
    }

    /// A line that continues nothing: a header, a key, or nothing that Python would know.
    fn begin(&mut self, number: usize, text: &str) {
        if let Some(after) = text.strip_prefix('[') {
            // As Python has it, whatever follows the last bracket is no part of the name and ignored.
            match after.rsplit_once(']').map(|(name, _)| name) {
                Some(name) if is_plain(name) => self.header(number, name),
                _ => {
                    self.inside = false;
                    self.noted_outside = true;
                    self.note(
                        number,
                        "is no section's header, so what follows it is ignored; a header is a name in brackets, \
                         without blanks around it",
                    );
                }
            }
        } else if !self.inside {
            if !self.noted_outside {
                self.noted_outside = true;
                self.note(number, "stands before the first [section], so it is ignored");
            }
        } else {
            match text.find(['=', ':']) {
                Some(0) => self.broken(number, "has no key before its '=' or ':'"),
                Some(end) => {
                    self.open = true;
                    self.escaped(text[..end].trim_end_matches(is_blank));
                    self.text.push_str(&format!("={}\n", self.values.len()));
                    let value = Zeroizing::new(text[end + 1..].trim_start_matches(is_blank).to_owned());
                    self.values.push(Value { line: number, text: value });
                }
                None => self.broken(
                    number,
                    "is neither a [section] nor 'key = value'; give the key a value, or begin the line with #",
                ),
            }
        }
    }

    fn header(&mut self, line: usize, name: &str) {
        self.inside = true;
        self.text.push('[');
        self.escaped(name);
        self.text.push_str("]\n");
        self.headers.push(Header {
            name: name.to_owned(),
            line,
            broken: None,
        });
    }

    /// Writes text so that rust-ini reads the same text again.
    fn escaped(&mut self, text: &str) {
        self.text.push_str(&text.replace('\\', "\\\\"));
    }

    /// A line that spoils its section.
    fn broken(&mut self, number: usize, message: &str) {
        match self.headers.last_mut().filter(|_| self.inside) {
            Some(header) => {
                header.broken.get_or_insert_with(|| Note {
                    place: Some(Place {
                        file: self.file.clone(),
                        line: number,
                    }),
                    section: Some(header.name.clone()),
                    key: None,
                    message: format!("the line {message}"),
                });
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

    fn finish(mut self) -> Document {
        let options = ParseOption {
            enabled_quote: false,
            enabled_escape: true,
            ..ParseOption::default()
        };
        let ini = match Ini::load_from_str_opt(&self.text, options) {
            Ok(ini) => ini,
            Err(error) => {
                // The pass should have put aside whatever rust-ini refuses.
                self.note(0, &format!("can't be understood: {}", error.msg));
                return Document {
                    blocks: Vec::new(),
                    notes: self.notes,
                };
            }
        };
        let mut blocks: Vec<Block> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let found = ini.into_iter().filter(|(name, _)| name.is_some());
        for (header, (_, properties)) in self.headers.into_iter().zip(found) {
            let at = *known.entry(header.name.clone()).or_insert(blocks.len());
            if at == blocks.len() {
                blocks.push(Block {
                    name: header.name,
                    place: Place {
                        file: self.file.clone(),
                        line: header.line,
                    },
                    entries: Entries::new(),
                    default: Arc::default(),
                    broken: None,
                    is_variables: false,
                });
            }
            let Some(block) = blocks.get_mut(at) else { continue };
            block.broken = block.broken.take().or(header.broken);
            for (key, number) in properties {
                let number = number.parse().ok();
                let Some(value) = number.and_then(|number: usize| self.values.get_mut(number)) else {
                    continue;
                };
                let (line, value) = (value.line, std::mem::take(&mut value.text));
                let lower = key.to_lowercase();
                let Some(earlier) = block.entries.insert(lower.clone(), Entry { key, value, line }) else {
                    continue;
                };
                if self.notes.len() < MOST_NOTES {
                    let message = format!("is also in line {}; the last one counts", earlier.line);
                    self.notes.push(block.note(line, Some(&lower), message));
                }
            }
        }
        Document {
            blocks: with_default(blocks, &mut self.notes),
            notes: self.notes,
        }
    }
}

/// Puts `[DEFAULT]` under the other sections.
fn with_default(mut blocks: Vec<Block>, notes: &mut Vec<Note>) -> Vec<Block> {
    let Some(at) = blocks.iter().position(|block| block.name == "DEFAULT") else {
        return blocks;
    };
    let default = blocks.remove(at);
    match default.broken {
        Some(broken) => notes.push(broken),
        None => {
            let default = Arc::new(default.entries);
            blocks
                .iter_mut()
                .for_each(|block| block.default = default.clone());
        }
    }
    blocks
}

/// A name that rust-ini reads as Python does.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(']') && name.trim_matches(is_blank) == name
}
