//! What Python and virt-who make of a value: `%(key)s`, `%%`, outer quotes.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::format::{self, Block};
use crate::secret::redact::is_secret_name;

/// As deep as Python's ConfigParser follows `%(key)s`.
const DEEPEST: usize = 10;
/// As many `%(key)s` as one value may stand for in the end; more is a bomb.
const MOST: usize = 10_000;
/// As long as one value may become, in bytes.
const LONGEST: usize = 1 << 20;

/// A value ready to be used.
pub(super) struct Value {
    pub(super) text: Zeroizing<String>,
    /// Must it stay out of messages?
    pub(super) secret: bool,
}

/// Yes or no, as Python's ConfigParser has them.
pub fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A value as it must be written so that it is read again; none where the format has no way to say it.
pub fn written(value: &str) -> Option<String> {
    let escaped = value.replace('%', "%%");
    let forms = [escaped.clone(), format!("\"{escaped}\""), format!("'{escaped}'")];
    let text_of = |form: &String| {
        let file: Arc<Path> = Arc::from(Path::new(""));
        let document = format::parse(&file, format!("[a]\nk={form}\n").as_bytes());
        let block = document.blocks.first().filter(|block| block.broken.is_none())?;
        of("k", &block.assignments.get("k")?.value, block).ok()
    };
    forms
        .into_iter()
        .find(|form| text_of(form).is_some_and(|found| *found.text == *value))
}

/// The value that a section's text stands for, or why it stands for none.
pub(super) fn of(key: &str, text: &str, block: &Block) -> Result<Value, String> {
    if block.is_variables {
        return Ok(Value {
            text: Zeroizing::new(text.to_owned()),
            secret: is_secret_name(key),
        });
    }
    let mut expansion = Expansion {
        block,
        text: Zeroizing::default(),
        secret: is_secret_name(key),
        has_at: text.contains('@'),
        left: MOST,
    };
    expansion.expand(text, 1)?;
    let text = Zeroizing::new(unquoted(&expansion.text).to_owned());
    Ok(Value {
        text,
        secret: expansion.secret,
    })
}

struct Expansion<'a> {
    block: &'a Block,
    text: Zeroizing<String>,
    secret: bool,
    /// Has the value an @, as a URL with a password does?
    has_at: bool,
    left: usize,
}

impl Expansion<'_> {
    fn expand(&mut self, mut rest: &str, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!(
                "its %(key)s stand for each other, or go deeper than {DEEPEST}; write %% for a percent sign"
            ));
        }
        while let Some((before, after)) = rest.split_once('%') {
            self.push(before)?;
            rest = after;
            if let Some(after) = rest.strip_prefix('%') {
                self.push("%")?;
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                self.refer(name, depth)?;
                rest = after;
            } else {
                // Python would refuse the file; a password with a percent sign is no reason to.
                self.push("%")?;
            }
        }
        self.push(rest)
    }

    fn refer(&mut self, name: &str, depth: usize) -> Result<(), String> {
        let name = name.to_lowercase();
        let Some(entry) = self.block.assignment(&name) else {
            // The name is part of the value, which may be a password after all.
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
        if self.text.len() + text.len() > LONGEST {
            return Err(too_long());
        }
        super::append(&mut self.text, text);
        Ok(())
    }
}

fn too_long() -> String {
    format!(
        "with its %(key)s put in, it is longer than {} MiB; shorten it",
        LONGEST >> 20
    )
}

/// `(name)s` and what follows it.
fn reference(rest: &str) -> Option<(&str, &str)> {
    let (name, after) = rest.strip_prefix('(')?.split_once(')')?;
    let after = after.strip_prefix('s')?;
    (!name.is_empty()).then_some((name, after))
}

/// Takes one pair of outer quotes off, unless the same quote appears inside.
pub(super) fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(quote)) {
            return inner;
        }
    }
    text
}
