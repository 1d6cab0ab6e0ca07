//! A section as a command meets it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::value::{self, Value};
use super::{Error, Note, Place};
use crate::list;
use crate::secret::Secret;

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

/// What one section says, `[defaults]` included.
///
/// A command asks for the keys that it uses, and only what it asks for can fail. Each getter's error names file, line,
/// section and key. [`Section::default`] is one without a name that says nothing.
#[derive(Debug, Clone, Default)]
pub struct Section {
    pub(super) name: Option<String>,
    pub(super) place: Option<Place>,
    pub(super) entries: BTreeMap<String, Entry>,
    /// Where there is no section: what was looked for in vain, for the message about a missing key.
    pub(super) in_vain: Option<String>,
}

/// One key of a section.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key as it was written, for it may be an old name.
    pub(super) key: String,
    /// The section where it stands: its own, or `defaults`.
    pub(super) section: String,
    pub(super) place: Place,
    pub(super) value: Result<Value, String>,
}

impl Section {
    /// The section's name; none where options say everything.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The key `type`: what kind of source the section describes; virt-who's default is `libvirt`.
    pub fn source_type(&self) -> Result<&str, Error> {
        Ok(self.text("type")?.unwrap_or("libvirt"))
    }

    /// Is the key there, whatever its value?
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A value of one line; an empty one counts as none.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        Ok(self.given(key)?.filter(|text| !text.is_empty()))
    }

    /// A value of one line, which may be empty.
    pub fn given(&self, key: &str) -> Result<Option<&str>, Error> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let text = value.text.expose();
        if text.contains('\n') {
            return Err(self.wrong(
                key,
                "has more than one line, for an indented line continues the value before it; \
                 begin each key at the start of its line",
            ));
        }
        Ok(Some(text))
    }

    /// A value that the command can't do without; `option` is what could be given instead, as in `--server`.
    pub fn need(&self, key: &str, option: &str) -> Result<&str, Error> {
        if let Some(text) = self.text(key)? {
            return Ok(text);
        }
        if self.has(key) {
            return Err(self.wrong(key, &format!("is empty; give it a value, or give {option}")));
        }
        let message = match (&self.name, &self.in_vain) {
            (Some(_), _) => format!("is missing; add it, or give {option}"),
            (None, Some(in_vain)) => {
                format!("is missing; give {option}, or a section with it by -n: {in_vain}")
            }
            (None, None) => format!("is missing; give {option}, or a section with it by -n"),
        };
        Err(Error::Wrong(Note {
            place: self.place.clone(),
            section: self.name.clone(),
            key: Some(key.to_owned()),
            message,
        }))
    }

    /// Yes or no: `yes`, `true`, `on`, `1` or `no`, `false`, `off`, `0`, in any case.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.to_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Ok(Some(true)),
            "no" | "false" | "off" | "0" => Ok(Some(false)),
            _ => Err(self.wrong_value(key, "is neither yes nor no (true, on, 1; false, off, 0)")),
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
        match self.number(key) {
            Ok(Some(0)) | Err(_) => Err(self.wrong_value(key, "is not a port, a number from 1 to 65535")),
            port => port,
        }
    }

    /// The items of a list, as [`list::parse`] reads them. A key without a value yields an empty list.
    pub fn list(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let items = list::parse(value.text.expose());
        items
            .map(Some)
            .map_err(|error| self.wrong_value(key, &error.to_string()))
    }

    /// A password: `key`, or the key that holds it encrypted, which beats the plain one.
    pub fn secret(&self, key: &str) -> Result<Option<Secret>, Error> {
        let encrypted = ENCRYPTED
            .iter()
            .find(|(plain, _)| *plain == key)
            .map(|(_, encrypted)| *encrypted);
        if let Some(encrypted) = encrypted.filter(|encrypted| self.has(encrypted)) {
            return Err(self.wrong(
                encrypted,
                &format!("encrypted passwords are not supported by this version yet; give {key}, or --password-file"),
            ));
        }
        match self.given(key)? {
            Some("") => Err(self.wrong(key, "is empty; give it a value, or remove the line")),
            Some(text) => Ok(Some(Secret::from(text.to_owned()))),
            None => Ok(None),
        }
    }

    /// The error that `key` has a value that makes no sense, for `reason`, which says what to do and shows no secret.
    pub fn wrong(&self, key: &str, reason: &str) -> Error {
        Error::Wrong(self.note(key, reason.to_owned()))
    }

    /// The same, with the value itself before the reason unless it is secret.
    pub fn wrong_value(&self, key: &str, reason: &str) -> Error {
        let value = self.entries.get(key).and_then(|entry| entry.value.as_ref().ok());
        match value.filter(|value| !value.secret) {
            Some(value) => self.wrong(key, &format!("'{}' {reason}", Excerpt(value.text.expose()))),
            None => self.wrong(key, reason),
        }
    }

    /// Is the note about this section, or about the file that it stands in?
    pub fn is_subject_of(&self, note: &Note) -> bool {
        match &note.section {
            Some(name) => self.name.as_ref() == Some(name),
            None => {
                let file = |place: &Option<Place>| place.as_ref().map(|place| place.file.clone());
                self.place.is_some() && file(&self.place) == file(&note.place)
            }
        }
    }

    fn value(&self, key: &str) -> Result<Option<&Value>, Error> {
        match self.entries.get(key).map(|entry| &entry.value) {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(reason)) => Err(self.wrong(key, reason)),
            None => Ok(None),
        }
    }

    fn note(&self, key: &str, message: String) -> Note {
        match self.entries.get(key) {
            Some(entry) => Note {
                place: Some(entry.place.clone()),
                section: Some(entry.section.clone()),
                key: Some(entry.key.to_lowercase()),
                message,
            },
            None => Note {
                place: self.place.clone(),
                section: self.name.clone(),
                key: Some(key.to_owned()),
                message,
            },
        }
    }

    /// Takes over the keys that the section does not have itself, be it by another form of the same password.
    pub(super) fn inherit(&mut self, from: &BTreeMap<String, Entry>) {
        let new = from.iter().filter(|(key, _)| !self.says(key));
        let new: Vec<_> = new.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        self.entries.extend(new);
    }

    fn says(&self, key: &str) -> bool {
        let forms = ENCRYPTED
            .iter()
            .find(|(plain, encrypted)| key == *plain || key == *encrypted);
        self.has(key) || forms.is_some_and(|(plain, encrypted)| self.has(plain) || self.has(encrypted))
    }

    /// Does it hold a password that anyone could read?
    pub(super) fn holds_password(&self) -> bool {
        ENCRYPTED
            .iter()
            .any(|(plain, _)| matches!(self.given(plain), Ok(Some(text)) if !text.is_empty()))
    }
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

/// The entries of a section as it stands in a file, with old names put right and values made ready.
pub(super) fn entries(raw: &super::format::RawSection, notes: &mut Vec<Note>) -> BTreeMap<String, Entry> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let place = |line| Place {
        file: raw.place.file.clone(),
        line,
    };
    for (key, found) in &raw.entries {
        let today = RENAMED
            .iter()
            .find(|(old, _)| old == key)
            .map(|(_, today)| *today);
        let note = |message: String| Note {
            place: Some(place(found.line)),
            section: Some(raw.name.clone()),
            key: Some(key.clone()),
            message,
        };
        if let Some(today) = today.filter(|today| raw.entries.contains_key(*today)) {
            notes.push(note(format!(
                "is the old name of {today}, which is there too; only {today} counts"
            )));
            continue;
        }
        let value = value::of(key, &raw.entries);
        if let Ok(Value { text, secret: false }) = &value
            && let Some(mark) = [" #", " ;"].into_iter().find(|mark| text.expose().contains(mark))
        {
            notes.push(note(format!(
                "'{mark}' and what follows it belong to the value; put a comment on a line of its own"
            )));
        }
        let entry = Entry {
            key: found.key.clone(),
            section: raw.name.clone(),
            place: place(found.line),
            value,
        };
        entries.insert(today.unwrap_or(key).to_owned(), entry);
    }
    entries
}
