//! The file format of virt-who, which is that of Python's ConfigParser, read by rust-ini.
//!
//! rust-ini reads sections, keys and values, but differs from Python in indented comments, continued lines and letter case, keeps
//! no line numbers, and refuses the whole file for one invalid line. So [`logical`] goes first: it joins each value into one line,
//! escapes it, and keeps the line numbers and what is wrong with a line. Each value is overwritten in memory when it is dropped;
//! rust-ini's own buffers are not.

mod logical;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ini::{Ini, ParseOption};
use zeroize::Zeroizing;

use self::logical::{Header, Logical, MOST_NOTES};
use super::{Note, Place};

/// A file's sections, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct ParsedFile {
    pub(super) blocks: Vec<Block>,
    pub(super) notes: Vec<Note>,
}

/// A section as one file has it. Headers of the same name are one section.
pub(super) struct Block {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) assignments: Assignments,
    /// The file's `[DEFAULT]`, which Python puts under each section.
    pub(super) default: Arc<Assignments>,
    /// Why nothing in it may be used.
    pub(super) broken: Option<Note>,
    /// Are these `VIRTWHO_*` variables? Their values have no quotes and no `%(key)s`.
    pub(super) is_variables: bool,
}

/// What is assigned to each key, by the key in lower case. If a key repeats, the last line counts.
pub(super) type Assignments = BTreeMap<String, Assignment>;

/// A line `key = value`, before quotes are taken off and `%(key)s` are put in.
pub(super) struct Assignment {
    /// The key as it was written.
    pub(super) key: String,
    pub(super) value: Zeroizing<String>,
    /// Counted from 1; 0 if it is in no file.
    pub(super) line: usize,
}

impl Block {
    pub(super) fn empty(name: &str, place: Place) -> Self {
        Block {
            name: name.to_owned(),
            place,
            assignments: Assignments::new(),
            default: Arc::default(),
            broken: None,
            is_variables: false,
        }
    }

    /// What is assigned to a key, which is in lower case.
    pub(super) fn assignment(&self, key: &str) -> Option<&Assignment> {
        self.assignments.get(key).or_else(|| self.default.get(key))
    }

    /// The place of one of its lines; none for a variable of the environment.
    pub(super) fn place_of(&self, line: usize) -> Option<Place> {
        (line > 0 || !self.is_variables).then(|| Place {
            file: self.place.file.clone(),
            line,
        })
    }

    /// A note about one of its lines.
    pub(super) fn note(&self, line: usize, key: Option<&str>, message: String) -> Note {
        Note {
            place: self.place_of(line),
            section: (!self.is_variables).then(|| self.name.clone()),
            key: key.map(str::to_owned),
            message,
        }
    }

    /// Adds the keys below one of its headers, and notes those that repeat.
    fn add(
        &mut self,
        header: Header,
        keys: impl IntoIterator<Item = (String, String)>,
        notes: &mut Vec<Note>,
    ) {
        if let (None, Some((line, message))) = (&self.broken, header.broken) {
            self.broken = Some(self.note(line, None, message));
        }
        for (line, (key, value)) in header.keys.into_iter().zip(keys) {
            let key = key.trim_matches(is_blank).to_owned();
            let lower = key.to_lowercase();
            let value = trimmed(Zeroizing::new(value));
            let earlier = self
                .assignments
                .insert(lower.clone(), Assignment { key, value, line });
            if let Some(earlier) = earlier.filter(|_| notes.len() < MOST_NOTES) {
                let message = format!("is also in line {}; the last one counts", earlier.line);
                notes.push(self.note(line, Some(&lower), message));
            }
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {:?}", self.name, self.assignments.keys())
    }
}

/// Reads a file's bytes. It never fails: what is wrong with them becomes notes and broken sections.
pub(super) fn parse(file: &Arc<Path>, bytes: &[u8]) -> ParsedFile {
    let Logical {
        text,
        headers,
        mut notes,
        ..
    } = Logical::new(file, bytes);
    // Quotes are part of a value until `%(key)s` are put in.
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: true,
        ..ParseOption::default()
    };
    let ini = Ini::load_from_str_opt(&text, options).unwrap_or_else(|error| {
        // Unexpected, because the pass in front leaves out what rust-ini refuses.
        notes.push(Note {
            place: Some(Place {
                file: file.clone(),
                line: 0,
            }),
            section: None,
            key: None,
            message: format!("can't be parsed: {}", error.msg),
        });
        Ini::new()
    });
    let mut blocks: Vec<Block> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    // The keys before the first header are in a section without a name, which is always there.
    let sections = ini.into_iter().filter_map(|(name, keys)| Some((name?, keys)));
    for (header, (name, keys)) in headers.into_iter().zip(sections) {
        let at = *known.entry(name.clone()).or_insert(blocks.len());
        if at == blocks.len() {
            let place = Place {
                file: file.clone(),
                line: header.line,
            };
            blocks.push(Block::empty(&name, place));
        }
        if let Some(block) = blocks.get_mut(at) {
            block.add(header, keys, &mut notes);
        }
    }
    ParsedFile {
        blocks: with_default(blocks, &mut notes),
        notes,
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
            let default = Arc::new(default.assignments);
            blocks
                .iter_mut()
                .for_each(|block| block.default = default.clone());
        }
    }
    blocks
}

/// What Python's `str.strip` removes, which is more than rust-ini trims.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

fn trimmed(value: Zeroizing<String>) -> Zeroizing<String> {
    let text = value.trim_matches(is_blank);
    match text.len() == value.len() {
        true => value,
        false => Zeroizing::new(text.to_owned()),
    }
}
