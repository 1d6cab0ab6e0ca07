//! A section as a command uses it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::format::{Assignment, Block};
use super::interpolation::{self, Expanded};
use super::keys::{self, ENCRYPTED, RENAMED};
use super::password::{self, KEY_FILE};
use super::{Error, Lack, MissingKey, NoSection, Note, Place, variables};
use crate::list;
use crate::secret::{Secret, redact};

/// Keys that say how one certificate is verified. One of them in a section overrides all of them in `[defaults]`.
const TRUST: [[&str; 3]; 3] = [
    ["cacert", "thumbprint", "insecure"],
    ["rhsm_cacert", "rhsm_thumbprint", "rhsm_insecure"],
    ["sat_cacert", "sat_thumbprint", "sat_insecure"],
];

/// Keys whose empty value has a meaning. As in virt-who, an empty proxy or user overrides that of rhsm.conf; an empty filter is an
/// error, because it would keep nothing. Any other empty key counts as not set.
const MEANINGFUL_EMPTY: [&str; 5] = [
    "filter_hosts",
    "filter_host_uuids",
    "filter_host_parents",
    "rhsm_proxy_hostname",
    "rhsm_proxy_user",
];

/// The keys of one section, and of `[defaults]` below it.
///
/// A command asks for the keys that it uses, and only these can be errors. Each error names file, line, section and key.
/// [`Section::default`] has no name and no keys.
#[derive(Debug, Clone, Default)]
pub struct Section {
    pub(super) name: Option<String>,
    /// Where its keys are. An earlier block overrides a later one.
    pub(super) blocks: Vec<Arc<Block>>,
    /// The file with the key of encrypted passwords; without one [`KEY_FILE`].
    pub(super) key_file: Option<PathBuf>,
    /// The blocks of `[global]`.
    pub(super) global: Vec<Arc<Block>>,
    /// The blocks of `[system_environment]`.
    pub(super) exported: Vec<Arc<Block>>,
    /// The sections that exist, if none of them is used: for the error about a missing key.
    pub(super) without: Option<NoSection>,
}

impl Section {
    /// The section's name; none if no section of a file is used.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The type of source that the section describes: the key `type`, or virt-who's default `libvirt`.
    pub fn source_type(&self) -> Result<String, Error> {
        Ok(self.text("type")?.unwrap_or_else(|| "libvirt".to_owned()))
    }

    /// Whether the guests of the first hypervisor are this machine's own: `is_hypervisor=no` with `type=fake`. Other types
    /// ignore the key.
    pub fn is_local(&self) -> Result<bool, Error> {
        Ok(self.source_type()? == "fake" && self.flag("is_hypervisor")? == Some(false))
    }

    /// Whether the key is set. Most empty keys count as not set.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// A value of one line; none if it is empty.
    pub fn text(&self, key: &str) -> Result<Option<String>, Error> {
        let value = self.line(key)?.filter(|value| !value.text.is_empty());
        Ok(value.map(|value| value.text.to_string()))
    }

    /// A value of one line that the command needs; [`Error::Missing`] if there is none.
    pub fn need(&self, key: &str) -> Result<String, Error> {
        if let Some(text) = self.text(key)? {
            return Ok(text);
        }
        let (lack, message) = match &self.name {
            _ if self.has(key) || self.empty(key).is_some() => (Lack::Empty, "is empty"),
            _ if self.is_variables() => (Lack::Unset, "is missing"),
            Some(_) => (Lack::Absent, "is missing"),
            None => (Lack::NoSection(self.without.clone().map(Box::new)), "is missing"),
        };
        Err(Error::Missing(Box::new(MissingKey {
            key: key.to_owned(),
            note: self.note(key, message),
            lack,
        })))
    }

    /// A switch: `yes`, `true`, `on`, `1` or `no`, `false`, `off`, `0`, in any case.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match interpolation::parse_flag(&text) {
            None => Err(self.wrong_value(key, "is neither yes nor no (true, on, 1; false, off, 0)")),
            flag => Ok(flag),
        }
    }

    /// A number that fits `T`.
    pub fn number<T: FromStr>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.wrong_value(key, "is not a number, or too large")),
        }
    }

    /// A TCP port.
    pub fn port(&self, key: &str) -> Result<Option<u16>, Error> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(self.wrong_value(key, "is not a port, a number from 1 to 65535")),
        }
    }

    /// The items of a list, as [`list::parse`] reads them. An empty `filter_*` is an empty list.
    pub fn list(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let items = list::parse(&value.text);
        items
            .map(Some)
            .map_err(|error| self.wrong(key, &error.to_string()))
    }

    /// A password, from `key` or from the key of the encrypted password, which has precedence.
    pub fn secret(&self, key: &str) -> Result<Option<Secret>, Error> {
        let encrypted = ENCRYPTED
            .iter()
            .find(|(plain, _)| *plain == key)
            .map(|(_, encrypted)| *encrypted);
        if let Some(encrypted) = encrypted
            && let Some(value) = self.line(encrypted)?
        {
            let file = self.key_file.as_deref().unwrap_or(Path::new(KEY_FILE));
            let secret = password::decrypt(&value.text, file);
            return secret.map(Some).map_err(|reason| Error::Encrypted {
                note: Box::new(self.note(encrypted, &reason.to_string())),
                reason,
            });
        }
        match self.line(key)? {
            Some(value) if value.text.is_empty() => {
                Err(self.wrong(key, "is empty; give it a value, or remove the line"))
            }
            Some(value) => Ok(Some(Secret::from(value.text.to_string()))),
            None => Ok(None),
        }
    }

    /// Whether the password of this key is there in encrypted form.
    pub fn is_encrypted(&self, key: &str) -> bool {
        ENCRYPTED
            .iter()
            .any(|(plain, encrypted)| *plain == key && self.has(encrypted))
    }

    /// The same section, with `file` as the key file of encrypted passwords.
    pub fn with_key_file(self, file: Option<PathBuf>) -> Self {
        Section {
            key_file: file.or(self.key_file),
            ..self
        }
    }

    /// The error that `key` has an invalid value. `reason` says why and what to do. Passwords are removed from a value that it
    /// quotes.
    pub fn wrong(&self, key: &str, reason: &str) -> Error {
        let reason = &match self.value(key) {
            Ok(Some(value)) => reason.replace(&*value.text, &redact::value(&value.text)),
            _ => reason.to_owned(),
        };
        Error::Wrong(self.note(key, reason))
    }

    /// A note about a key, with its line if it has one.
    pub fn note(&self, key: &str, reason: &str) -> Note {
        let reason = &redact::message(reason);
        match self.find(key).or_else(|| self.empty(key)) {
            Some((block, assignment)) => {
                let key = match block.is_variables {
                    true => assignment.key.clone(),
                    false => assignment.key.to_lowercase(),
                };
                block.note(assignment.line, Some(&key), reason.to_owned())
            }
            None => Note {
                place: self.place().cloned(),
                section: self.name.clone(),
                key: Some(match variables::variable(key) {
                    Some(variable) if self.is_variables() => variable.to_owned(),
                    _ => key.to_owned(),
                }),
                message: reason.to_owned(),
            },
        }
    }

    /// The error of [`Section::wrong`], which quotes the value before the reason unless it is secret.
    pub fn wrong_value(&self, key: &str, reason: &str) -> Error {
        match self.value(key) {
            Ok(Some(value)) if !value.secret => self.wrong(
                key,
                &format!("'{}' {reason}", Excerpt(&redact::value(&value.text))),
            ),
            _ => self.wrong(key, reason),
        }
    }

    /// Whether the note is about this section or its file.
    pub fn is_subject_of(&self, note: &Note) -> bool {
        match (&note.section, &note.place, self.place()) {
            // Only variables of the environment have no place.
            (None, None, _) => self.is_variables(),
            // An error in [defaults] is an error in each section.
            (Some(section), ..) => section == "defaults" || self.name.as_ref() == Some(section),
            (None, Some(noted), Some(own)) => noted.file == own.file,
            _ => false,
        }
    }

    /// Whether the section is made of `VIRTWHO_*` variables.
    pub fn is_variables(&self) -> bool {
        self.blocks.first().is_some_and(|block| block.is_variables)
    }

    /// `[global]`, and the variables that override it.
    pub fn global(&self) -> Section {
        Section {
            name: Some("global".to_owned()),
            blocks: self.global.clone(),
            ..Section::default()
        }
    }

    /// `[system_environment]`.
    pub(super) fn system_environment(&self) -> Section {
        Section {
            blocks: self.exported.clone(),
            ..Section::default()
        }
    }

    /// The line of its header; none for variables, or without a section of a file.
    pub fn place(&self) -> Option<&Place> {
        let own = self
            .blocks
            .first()
            .filter(|block| self.name.as_ref() == Some(&block.name));
        own.map(|block| &block.place)
    }

    pub(super) fn new(block: Block) -> Self {
        Section {
            name: Some(block.name.clone()),
            blocks: vec![Arc::new(block)],
            ..Section::default()
        }
    }

    /// Adds the keys of another file, which override those that are there. A broken block is ignored.
    pub(super) fn add(&mut self, block: Block) {
        if block.broken.is_none() {
            self.name = Some(block.name.clone());
            self.blocks.insert(0, Arc::new(block));
        }
    }

    /// Why the section can't be used, if so.
    pub fn broken(&self) -> Option<&Note> {
        self.blocks.first()?.broken.as_ref()
    }

    /// All keys, as they were written, and their values.
    pub(super) fn variables(&self) -> Result<Vec<(String, String)>, Error> {
        let keys: BTreeSet<&str> = self
            .blocks
            .iter()
            .flat_map(|block| block.assignments.keys().map(String::as_str))
            .collect();
        let found = keys.into_iter().filter_map(|key| {
            let (_, assignment) = self.find(key)?;
            let value = self.line(key).transpose()?;
            Some(value.map(|value| (assignment.key.clone(), value.text.to_string())))
        });
        found.collect()
    }

    /// A value of one line, which may be empty.
    fn line(&self, key: &str) -> Result<Option<Expanded>, Error> {
        let value = self.value(key)?;
        if value.as_ref().is_some_and(|value| value.text.contains('\n')) {
            return Err(self.wrong(
                key,
                "has more than one line, because an indented line continues the value before it; \
                 begin each key at the start of its line",
            ));
        }
        Ok(value)
    }

    fn value(&self, key: &str) -> Result<Option<Expanded>, Error> {
        let Some((block, assignment)) = self.find(key) else {
            return Ok(None);
        };
        interpolation::expand(key, &assignment.value, block)
            .map(Some)
            .map_err(|reason| Error::Wrong(self.note(key, &reason)))
    }

    /// Finds the assignment that is in force, by the name or the old name of its key.
    pub(super) fn find(&self, key: &str) -> Option<(&Block, &Assignment)> {
        let old = old_name(key);
        for block in &self.blocks {
            let filled = |key: &str| {
                block
                    .assignment(key)
                    .filter(|assignment| !is_unset(key, assignment))
            };
            let assignment = filled(key).or_else(|| filled(old?));
            if let Some(assignment) = assignment {
                return Some((block, assignment));
            }
            // Another key with the same purpose overrides [defaults].
            let is_set = |other: &&str| {
                let is_switch = other.ends_with("insecure");
                filled(other).is_some_and(|assignment| {
                    !is_switch || interpolation::parse_flag(unquoted(assignment)) == Some(true)
                })
            };
            if rivals(key).iter().any(is_set) {
                return None;
            }
        }
        None
    }

    /// The assignment of a key that counts as not set because it is empty.
    fn empty(&self, key: &str) -> Option<(&Block, &Assignment)> {
        let old = old_name(key);
        self.blocks.iter().find_map(|block| {
            let assignment = block.assignment(key).or_else(|| block.assignment(old?))?;
            Some((&**block, assignment))
        })
    }
}

/// The name of a key before it was renamed.
fn old_name(key: &str) -> Option<&'static str> {
    let found = RENAMED.iter().find(|(_, today)| key == *today);
    found.map(|(old, _)| *old)
}

/// The other keys with the same purpose.
fn rivals(key: &str) -> Vec<&'static str> {
    let encrypted = ENCRYPTED
        .iter()
        .map(|(plain, encrypted)| vec![*plain, *encrypted]);
    let group = encrypted
        .chain(TRUST.iter().map(|keys| keys.to_vec()))
        .find(|group| group.contains(&key));
    let mut group = group.unwrap_or_default();
    group.retain(|other| *other != key);
    group
}

/// Whether the key is empty, and therefore not set.
fn is_unset(key: &str, assignment: &Assignment) -> bool {
    unquoted(assignment).is_empty() && !MEANINGFUL_EMPTY.contains(&key)
}

fn unquoted(assignment: &Assignment) -> &str {
    interpolation::unquoted(&assignment.value)
}

/// Warnings about a section that can be used.
pub(super) fn oddities(block: &Block) -> Vec<Note> {
    let mut notes = Vec::new();
    for (key, assignment) in &block.assignments {
        let mut note = |message: String| notes.push(block.note(assignment.line, Some(key), message));
        let today = RENAMED
            .iter()
            .find(|(old, _)| old == key)
            .map(|(_, today)| *today);
        if let Some(today) = today.filter(|today| block.assignments.contains_key(*today)) {
            note(format!(
                "is the old name of {today}, which is there too; only {today} is used"
            ));
        }
        if is_unset(key, assignment) && keys::is_known(key) {
            note("is empty, so it counts as not set; give it a value, or remove the line".to_owned());
        }
        if let Some(message) = comment(key, assignment) {
            note(message);
        }
    }
    notes
}

/// The warning about a value that seems to end with a comment. Quotes show that it does not.
fn comment(key: &str, assignment: &Assignment) -> Option<String> {
    let mark = [" #", " ;"]
        .into_iter()
        .find(|mark| assignment.value.contains(mark))?;
    if unquoted(assignment).len() < assignment.value.len() {
        return None;
    }
    let cut = match mark {
        " ;" => " (virt-who on Python 2 cut it off)",
        _ => "",
    };
    let advice = match redact::is_secret_name(key) {
        true => "put a comment on a line of its own, or the whole value in quotes if this is no comment",
        false => "put a comment on a line of its own",
    };
    Some(format!(
        "'{mark}' and the text after it are part of the value{cut}; {advice}"
    ))
}

/// Whether it contains a password that is not encrypted.
pub(super) fn has_password(block: &Block) -> bool {
    let is_encrypted = |key: &str| ENCRYPTED.iter().any(|(_, encrypted)| *encrypted == key);
    block.assignments.iter().any(|(key, assignment)| {
        let is_plain = redact::is_secret_name(key) && !is_encrypted(key);
        is_plain && !assignment.value.is_empty() || redact::value(&assignment.value) != *assignment.value
    })
}

/// The value, cut to 80 characters.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST_CHARACTERS: usize = 80;
        match self.0.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}
