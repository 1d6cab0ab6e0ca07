//! How Python and virt-who interpret a value: `%(key)s`, `%%`, outer quotes.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::format::{self, Block};
use crate::secret::redact::is_secret_name;

/// How deep `%(key)s` may be nested, as in Python's ConfigParser.
const MAX_DEPTH: usize = 10;
/// How many `%(key)s` one value may contain, nested ones included. More is an attack, or a mistake.
const MAX_REFERENCES: usize = 10_000;
/// How long a value may become, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// A value with its `%(key)s` put in and its outer quotes taken off.
pub(super) struct Expanded {
    pub(super) text: Zeroizing<String>,
    /// Whether it must stay out of messages.
    pub(super) secret: bool,
}

/// Yes or no, in the words of Python's ConfigParser; none for any other text.
pub fn parse_flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// What to write into a file so that `value` is read from it; none if the format can't express it.
pub fn written_form(value: &str) -> Option<String> {
    let escaped = value.replace('%', "%%");
    let forms = [escaped.clone(), format!("\"{escaped}\""), format!("'{escaped}'")];
    let text_of = |form: &String| {
        let file: Arc<Path> = Arc::from(Path::new(""));
        let document = format::parse(&file, format!("[a]\nk={form}\n").as_bytes());
        let block = document.blocks.first().filter(|block| block.broken.is_none())?;
        expand("k", &block.assignments.get("k")?.value, block).ok()
    };
    forms
        .into_iter()
        .find(|form| text_of(form).is_some_and(|found| *found.text == *value))
}

/// Expands the text that a section assigns to `key`. The error says why that is not possible.
pub(super) fn expand(key: &str, text: &str, block: &Block) -> Result<Expanded, String> {
    if block.is_variables {
        return Ok(Expanded {
            text: Zeroizing::new(text.to_owned()),
            secret: is_secret_name(key),
        });
    }
    let mut expansion = Expansion {
        block,
        text: Zeroizing::default(),
        secret: is_secret_name(key),
        has_at: text.contains('@'),
        left: MAX_REFERENCES,
    };
    expansion.expand(text, 1)?;
    let text = Zeroizing::new(unquoted(&expansion.text).to_owned());
    Ok(Expanded {
        text,
        secret: expansion.secret,
    })
}

struct Expansion<'a> {
    block: &'a Block,
    text: Zeroizing<String>,
    secret: bool,
    /// Whether the value has an @, as a URL with a password does.
    has_at: bool,
    /// How many more `%(key)s` may follow.
    left: usize,
}

impl Expansion<'_> {
    fn expand(&mut self, mut rest: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!(
                "its %(key)s refer to each other, or are nested deeper than {MAX_DEPTH}; write %% for a percent sign"
            ));
        }
        while let Some((before, after)) = rest.split_once('%') {
            self.push(before)?;
            rest = after;
            if let Some(after) = rest.strip_prefix('%') {
                self.push("%")?;
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                self.put_in(name, depth)?;
                rest = after;
            } else {
                // Python refuses the value, but passwords with a single percent sign are common.
                self.push("%")?;
            }
        }
        self.push(rest)
    }

    fn put_in(&mut self, name: &str, depth: usize) -> Result<(), String> {
        let name = name.to_lowercase();
        let Some(entry) = self.block.assignment(&name) else {
            // The name is part of the value, which may be a password.
            let what = if self.secret || self.has_at {
                "%(…)s names a key"
            } else {
                &format!("%({name})s names a key")
            };
            return Err(format!(
                "{what} that the section does not have; write %% for a percent sign"
            ));
        };
        self.left = self.left.checked_sub(1).ok_or_else(too_long)?;
        self.secret |= is_secret_name(&name);
        if entry.value.contains('%') {
            self.expand(&entry.value, depth + 1)
        } else {
            self.push(&entry.value)
        }
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        if self.text.len() + text.len() > MAX_LENGTH {
            return Err(too_long());
        }
        super::append(&mut self.text, text);
        Ok(())
    }
}

fn too_long() -> String {
    format!(
        "with its %(key)s replaced, it is longer than {} MiB; shorten it",
        MAX_LENGTH >> 20
    )
}

/// Splits `(name)s` from the text after it.
fn reference(rest: &str) -> Option<(&str, &str)> {
    let (name, after) = rest.strip_prefix('(')?.split_once(')')?;
    let after = after.strip_prefix('s')?;
    (!name.is_empty()).then_some((name, after))
}

/// Removes one pair of outer quotes, unless the same quote appears inside.
pub(super) fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(quote)) {
            return inner;
        }
    }
    text
}
