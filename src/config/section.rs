//! A section as a command meets it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::format::{Assignment, Block};
use super::keys;
use super::password::{self, KEY_FILE};
use super::value::{self, Value};
use super::{Error, Lack, MissingKey, NoSection, Note, Place, sysconfig};
use crate::list;
use crate::secret::{Secret, redact};

/// Keys that virt-who renamed, with the name of today.
pub(super) const RENAMED: [(&str, &str); 2] = [
    ("filter_host_uuids", "filter_hosts"),
    ("exclude_host_uuids", "exclude_hosts"),
];

/// Each password and the key that holds it encrypted, which beats the plain one.
pub(super) const ENCRYPTED: [(&str, &str); 4] = [
    ("password", "encrypted_password"),
    ("rhsm_password", "rhsm_encrypted_password"),
    ("rhsm_proxy_password", "rhsm_encrypted_proxy_password"),
    ("sat_password", "sat_encrypted_password"),
];

/// Keys that say how one certificate is verified: one of them in a section beats the others in `[defaults]`.
const TRUST: [[&str; 3]; 3] = [
    ["cacert", "thumbprint", "insecure"],
    ["rhsm_cacert", "rhsm_thumbprint", "rhsm_insecure"],
    ["sat_cacert", "sat_thumbprint", "sat_insecure"],
];

/// Keys that mean something when they are empty: no proxy, or none with a user, whatever rhsm.conf has, as in virt-who; and for
/// a filter an error, because it would keep nothing. Any other empty key counts as not set.
const EMPTY: [&str; 5] = [
    "filter_hosts",
    "filter_host_uuids",
    "filter_host_parents",
    "rhsm_proxy_hostname",
    "rhsm_proxy_user",
];

/// What one section says, `[defaults]` included.
///
/// A command asks for the keys that it uses, and only what it asks for can fail. Each getter's error names file, line,
/// section and key. [`Section::default`] is one without a name that says nothing.
#[derive(Debug, Clone, Default)]
pub struct Section {
    pub(super) name: Option<String>,
    /// Where its keys stand; what stands in an earlier one beats what stands in a later one.
    pub(super) blocks: Vec<Arc<Block>>,
    /// The file with the key of encrypted passwords.
    pub(super) key_file: Option<PathBuf>,
    /// What `[global]` says.
    pub(super) global: Vec<Arc<Block>>,
    /// What `[system_environment]` says.
    pub(super) exported: Vec<Arc<Block>>,
    /// If it is not one of the configuration: which sections there are, for the error about a missing key.
    pub(super) without: Option<NoSection>,
}

impl Section {
    /// The section's name; none where options say everything.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The key `type`: what kind of source the section describes; virt-who's default is `libvirt`.
    pub fn source_type(&self) -> Result<String, Error> {
        Ok(self.text("type")?.unwrap_or_else(|| "libvirt".to_owned()))
    }

    /// `is_hypervisor=no` of a `type=fake`: the guests of its first hypervisor are this machine's own. For any other type the key
    /// means nothing.
    pub fn is_local(&self) -> Result<bool, Error> {
        Ok(self.source_type()? == "fake" && self.flag("is_hypervisor")? == Some(false))
    }

    /// Is the key there, and not empty unless that means something?
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// A value of one line; an empty one counts as none.
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

    /// Yes or no: `yes`, `true`, `on`, `1` or `no`, `false`, `off`, `0`, in any case.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match value::flag(&text) {
            None => Err(self.wrong_value(key, "is neither yes nor no (true, on, 1; false, off, 0)")),
            flag => Ok(flag),
        }
    }

    /// A number within `T`.
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

    /// The items of a list, as [`list::parse`] reads them. A `filter_*` without a value yields an empty list.
    pub fn list(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let items = list::parse(&value.text);
        items
            .map(Some)
            .map_err(|error| self.wrong(key, &error.to_string()))
    }

    /// A password: `key`, or the key that holds it encrypted, which beats the plain one.
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

    /// Does a password of this key stand there encrypted?
    pub fn is_encrypted(&self, key: &str) -> bool {
        ENCRYPTED
            .iter()
            .any(|(plain, encrypted)| *plain == key && self.has(encrypted))
    }

    /// The section with its encrypted passwords read by the key in `file` instead of [`KEY_FILE`].
    pub fn with_key_file(self, file: Option<PathBuf>) -> Self {
        Section {
            key_file: file.or(self.key_file),
            ..self
        }
    }

    /// The error that `key` has an invalid value. `reason` says why and what to do; if it quotes the value, the passwords in
    /// that are taken out.
    pub fn wrong(&self, key: &str, reason: &str) -> Error {
        let reason = &match self.value(key) {
            Ok(Some(value)) if value.text.contains('@') => {
                reason.replace(&*value.text, &redact::value(&value.text))
            }
            _ => reason.to_owned(),
        };
        Error::Wrong(self.note(key, reason))
    }

    /// What there is to say about a key, at its line if it has one.
    pub fn note(&self, key: &str, reason: &str) -> Note {
        let reason = &redact::message(reason);
        match self.find(key).or_else(|| self.empty(key)) {
            Some((block, entry)) => {
                let key = match block.is_variables {
                    true => entry.key.clone(),
                    false => entry.key.to_lowercase(),
                };
                block.note(entry.line, Some(&key), reason.to_owned())
            }
            None => Note {
                place: self.place().cloned(),
                section: self.name.clone(),
                key: Some(match sysconfig::variable(key) {
                    Some(variable) if self.is_variables() => variable.to_owned(),
                    _ => key.to_owned(),
                }),
                message: reason.to_owned(),
            },
        }
    }

    /// The error of [`Section::wrong`], with the value itself before the reason unless it is secret.
    pub fn wrong_value(&self, key: &str, reason: &str) -> Error {
        match self.value(key) {
            Ok(Some(value)) if !value.secret => self.wrong(
                key,
                &format!("'{}' {reason}", Excerpt(&redact::value(&value.text))),
            ),
            _ => self.wrong(key, reason),
        }
    }

    /// Is the note about this section, or about the file that it stands in?
    pub fn is_subject_of(&self, note: &Note) -> bool {
        match (&note.section, &note.place, self.place()) {
            // Only variables of the environment stand nowhere.
            (None, None, _) => self.is_variables(),
            // Whatever is wrong with [defaults] is wrong with each section.
            (Some(section), ..) => section == "defaults" || self.name.as_ref() == Some(section),
            (None, Some(noted), Some(own)) => noted.file == own.file,
            _ => false,
        }
    }

    /// Is it the section that `VIRTWHO_*` variables are?
    pub fn is_variables(&self) -> bool {
        self.blocks.first().is_some_and(|block| block.is_variables)
    }

    /// `[global]`, with the variables of the environment that are above it.
    pub fn global(&self) -> Section {
        Section {
            name: Some("global".to_owned()),
            blocks: self.global.clone(),
            ..Section::default()
        }
    }

    /// A variable that `[system_environment]` sets, by its name in the case that was written.
    pub fn exported(&self, name: &str) -> Result<Option<String>, Error> {
        let section = Section {
            name: Some("system_environment".to_owned()),
            blocks: self.exported.clone(),
            ..Section::default()
        };
        let key = name.to_lowercase();
        match section.find(&key) {
            Some((_, entry)) if entry.key == name => section.text(&key),
            _ => Ok(None),
        }
    }

    /// Where the section begins.
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

    /// Puts what stands in one more file before what is there, unless it is broken.
    pub(super) fn add(&mut self, block: Block) {
        if block.broken.is_none() {
            self.name = Some(block.name.clone());
            self.blocks.insert(0, Arc::new(block));
        }
    }

    /// Why the section can't be used.
    pub fn broken(&self) -> Option<&Note> {
        self.blocks.first()?.broken.as_ref()
    }

    /// All keys as they were written, and their values.
    pub(super) fn variables(&self) -> Result<Vec<(String, String)>, Error> {
        let keys: BTreeSet<&str> = self
            .blocks
            .iter()
            .flat_map(|block| block.assignments.keys().map(String::as_str))
            .collect();
        let found = keys.into_iter().filter_map(|key| {
            let (_, entry) = self.find(key)?;
            let value = self.line(key).transpose()?;
            Some(value.map(|value| (entry.key.clone(), value.text.to_string())))
        });
        found.collect()
    }

    /// A value of one line, which may be empty.
    fn line(&self, key: &str) -> Result<Option<Value>, Error> {
        let value = self.value(key)?;
        if value.as_ref().is_some_and(|value| value.text.contains('\n')) {
            return Err(self.wrong(
                key,
                "has more than one line, for an indented line continues the value before it; \
                 begin each key at the start of its line",
            ));
        }
        Ok(value)
    }

    fn value(&self, key: &str) -> Result<Option<Value>, Error> {
        let Some((block, entry)) = self.find(key) else {
            return Ok(None);
        };
        value::of(key, &entry.value, block)
            .map(Some)
            .map_err(|reason| Error::Wrong(self.note(key, &reason)))
    }

    /// Finds the key that is in force, by its name or its old name.
    pub(super) fn find(&self, key: &str) -> Option<(&Block, &Assignment)> {
        let old = old_name(key);
        for block in &self.blocks {
            let filled = |key: &str| block.assignment(key).filter(|entry| !is_unset(key, entry));
            let entry = filled(key).or_else(|| filled(old?));
            if let Some(entry) = entry {
                return Some((block, entry));
            }
            // What a section says in other words beats [defaults].
            let says = |other: &&str| {
                let is_switch = other.ends_with("insecure");
                filled(other).is_some_and(|entry| !is_switch || value::flag(unquoted(entry)) == Some(true))
            };
            if rivals(key).iter().any(says) {
                return None;
            }
        }
        None
    }

    /// Where a key is that counts as not set because it is empty.
    fn empty(&self, key: &str) -> Option<(&Block, &Assignment)> {
        let old = old_name(key);
        self.blocks.iter().find_map(|block| {
            let entry = block.assignment(key).or_else(|| block.assignment(old?))?;
            Some((&**block, entry))
        })
    }
}

fn old_name(key: &str) -> Option<&'static str> {
    let found = RENAMED.iter().find(|(_, today)| key == *today);
    found.map(|(old, _)| *old)
}

/// The keys that say the same thing in another form.
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

/// Is the key empty, and does that not mean anything?
fn is_unset(key: &str, entry: &Assignment) -> bool {
    unquoted(entry).is_empty() && !EMPTY.contains(&key)
}

fn unquoted(entry: &Assignment) -> &str {
    value::unquoted(&entry.value)
}

/// What is odd about a section but keeps nobody from using it.
pub(super) fn oddities(block: &Block) -> Vec<Note> {
    let mut notes = Vec::new();
    for (key, entry) in &block.assignments {
        let mut note = |message: String| notes.push(block.note(entry.line, Some(key), message));
        let today = RENAMED
            .iter()
            .find(|(old, _)| old == key)
            .map(|(_, today)| *today);
        if let Some(today) = today.filter(|today| block.assignments.contains_key(*today)) {
            note(format!(
                "is the old name of {today}, which is there too; only {today} counts"
            ));
        }
        if is_unset(key, entry) && keys::is_known(key) {
            note("is empty, so it counts as not set; give it a value, or remove the line".to_owned());
        }
        if let Some(message) = comment(key, entry) {
            note(message);
        }
    }
    notes
}

/// The warning about what looks like a comment after a value, unless quotes show that it belongs there.
fn comment(key: &str, entry: &Assignment) -> Option<String> {
    let mark = [" #", " ;"].into_iter().find(|mark| entry.value.contains(mark))?;
    if unquoted(entry).len() < entry.value.len() {
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
        "'{mark}' and what follows it belong to the value{cut}; {advice}"
    ))
}

/// Does it hold a password that can be read as it stands?
pub(super) fn holds_password(block: &Block) -> bool {
    let is_encrypted = |key: &str| ENCRYPTED.iter().any(|(_, encrypted)| *encrypted == key);
    block.assignments.iter().any(|(key, entry)| {
        let is_plain = redact::is_secret_name(key) && !is_encrypted(key);
        is_plain && !entry.value.is_empty() || redact::value(&entry.value) != *entry.value
    })
}

/// As much of a value as a message bears.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ENOUGH: usize = 80;
        match self.0.char_indices().nth(ENOUGH) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}
