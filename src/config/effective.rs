//! Which values are in force, and which keys are unknown: for a look at the configuration.

use std::collections::BTreeSet;

use super::keys::{ENCRYPTED, GLOBAL, RENAMED, SECTION, SPECIAL, is_known};
use super::section::Section;
use super::similar::{did_you_mean, similar};
use super::virt_who::Config;
use super::{Note, Place, interpolation};
use crate::secret::redact;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The section itself.
    Section,
    /// `[defaults]`.
    Defaults,
    /// `[global]`.
    Global,
    /// A variable of the environment.
    Environment,
    /// rhsm.conf.
    Rhsm,
    /// The built-in default.
    BuiltIn,
}

/// A key and the value that is in force.
#[derive(Debug, Clone)]
pub struct EffectiveKey {
    /// The key, by its new name if it was renamed.
    pub key: String,
    /// The value without passwords, or its error. None if the value is secret, or may be because the key is unknown.
    pub value: Option<Result<String, String>>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its file and line, if it is in a file.
    pub place: Option<Place>,
}

impl EffectiveKey {
    /// A built-in default.
    pub fn built_in(key: &str, value: &str) -> Self {
        EffectiveKey {
            key: key.to_owned(),
            value: Some(Ok(value.to_owned())),
            origin: Origin::BuiltIn,
            place: None,
        }
    }
}

impl Section {
    /// All values that are in force, in the order of their keys. If a password is there in both forms, only the encrypted one
    /// is in force.
    pub fn effective_keys(&self) -> Vec<EffectiveKey> {
        let mut keys: BTreeSet<&str> = BTreeSet::new();
        for block in &self.blocks {
            for key in block.assignments.keys().chain(block.default.keys()) {
                let today = RENAMED
                    .iter()
                    .find(|(old, _)| old == key)
                    .map(|(_, today)| *today);
                keys.insert(today.unwrap_or(key));
            }
        }
        for (plain, encrypted) in ENCRYPTED {
            if keys.contains(encrypted) && self.has(encrypted) {
                keys.remove(plain);
            }
        }
        keys.into_iter()
            .filter_map(|key| self.effective_key(key))
            .collect()
    }

    /// The value of one key.
    pub(super) fn effective_key(&self, key: &str) -> Option<EffectiveKey> {
        let (block, assignment) = self.find(key)?;
        let value = match interpolation::expand(key, &assignment.value, block) {
            // An unknown key may be a mistyped one, and its value a password.
            Ok(value) if value.secret || !is_known(key) => None,
            Ok(value) => Some(Ok(redact::value(&value.text))),
            Err(reason) => Some(Err(redact::message(&reason))),
        };
        Some(EffectiveKey {
            key: key.to_owned(),
            value,
            origin: match block.name.as_str() {
                _ if block.is_variables => Origin::Environment,
                "defaults" => Origin::Defaults,
                "global" => Origin::Global,
                _ => Origin::Section,
            },
            place: block.place_of(assignment.line),
        })
    }

    /// A note about a section without a type whose name is similar to that of a special section.
    fn mistaken_name(&self) -> Option<Note> {
        let block = self.blocks.first()?;
        let meant = similar(&block.name, SPECIAL).filter(|_| !block.assignments.contains_key("type"))?;
        let message = format!("is the section of a source; did you mean [{meant}]?");
        Some(block.note(block.place.line, None, message))
    }

    /// Notes about unknown keys.
    fn unknown_keys(&self, known: &[&str]) -> Vec<Note> {
        let Some(block) = self.blocks.iter().find(|block| !block.is_variables) else {
            return Vec::new();
        };
        let unknown = block
            .assignments
            .iter()
            .filter(|(key, _)| !known.contains(&key.as_str()));
        unknown
            .map(|(key, assignment)| {
                let meant = did_you_mean(key, known.iter().copied());
                block.note(
                    assignment.line,
                    Some(key),
                    format!("unknown key, so it is ignored{meant}"),
                )
            })
            .collect()
    }
}

impl Config {
    /// Notes about unknown keys, and about sections whose names are similar to those of special ones.
    pub fn unknown(&self) -> Vec<Note> {
        let mut notes = self.global().unknown_keys(&GLOBAL);
        notes.extend(self.defaults().unknown_keys(&SECTION));
        for section in self.sections() {
            notes.extend(section.mistaken_name());
            notes.extend(section.unknown_keys(&SECTION));
        }
        notes
    }
}
