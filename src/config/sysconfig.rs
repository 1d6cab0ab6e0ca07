//! `VIRTWHO_*` variables: virt-who's first configuration, in the environment or in /etc/sysconfig/virt-who.
//!
//! That file is a list of assignments for a shell, not an INI file. rust-ini does not fit: it has no `export`, joins no quoted
//! parts as in `a'b'"c"`, ends a value at no blank, and would keep a `$` that a shell replaces.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::format::{Assignment, Block};
use super::similar::did_you_mean;
use super::variables::{ESX, GENERAL, IGNORED, SATELLITE, SWITCHES, UNSUPPORTED, names};
use super::{Error, Note, Place, Section, interpolation};
use crate::environment::is_about_proxies;
use crate::secret::redact;

/// virt-who's file with these variables.
pub const FILE: &str = "/etc/sysconfig/virt-who";

/// Keys and their values.
pub type Keys = BTreeMap<String, String>;

/// The variables of one environment or file.
#[derive(Debug, Default)]
pub struct Variables {
    file: Option<Arc<Path>>,
    found: BTreeMap<String, Variable>,
    /// Proxies that a file sets, by their names in lower case, and whether the file has the name in lower case.
    proxies: BTreeMap<String, (bool, Zeroizing<String>)>,
    /// Variables of a file that are not used, and their lines.
    unused: Vec<(String, usize)>,
    /// Notes about the file and its lines.
    notes: Vec<Note>,
}

struct Variable {
    value: Zeroizing<String>,
    /// Counted from 1; 0 in an environment.
    line: usize,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(redacted)")
    }
}

impl Variables {
    /// The `VIRTWHO_*` variables among those of an environment, as from [`std::env::vars_os`].
    pub fn from_environment(environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut variables = Variables::default();
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with("VIRTWHO_")) else {
                continue;
            };
            match value.into_string() {
                Ok(value) => variables.add(name, value, 0),
                Err(_) => variables.note(name, 0, "is not UTF-8, so it is ignored"),
            }
        }
        variables
    }

    /// Reads a file of assignments as a shell does: /etc/sysconfig/virt-who.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let content = super::read(file)?;
        let Ok(text) = std::str::from_utf8(&content.bytes) else {
            return Err(Error::NoConfiguration {
                file: file.to_owned(),
                reason: "is not UTF-8; save it as UTF-8".to_owned(),
            });
        };
        let mut variables = Variables {
            file: Some(Arc::from(file)),
            ..Variables::default()
        };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            match line.split_once('=') {
                Some((name, value)) if is_name(name) => {
                    let is_proxy = is_about_proxies(name);
                    match unquoted(value) {
                        _ if !is_proxy && !name.starts_with("VIRTWHO_") => {
                            variables.unused.push((name.to_owned(), number));
                        }
                        Ok(value) if is_proxy => variables.add_proxy(name, value),
                        Ok(value) => variables.add(name, value, number),
                        Err(reason) => variables.note(name, number, reason),
                    }
                }
                _ => variables.note("", number, "the line is not NAME=value, so it is ignored"),
            }
        }
        Ok(variables)
    }

    /// What a person should know about them.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = self.notes.clone();
        for (name, variable) in &self.found {
            let switch = SWITCHES.contains(&name.as_str()) || UNSUPPORTED.contains(&name.as_str());
            let message = match self.switch(name) {
                Some(true) if UNSUPPORTED.contains(&name.as_str()) => {
                    "is not supported; write a section with the type of the source instead"
                }
                None if switch && !variable.value.is_empty() => "is neither 0 nor 1, so it counts as 0",
                _ => continue,
            };
            notes.push(self.note_on(name, variable.line, message));
        }
        if self.is_sam() && self.is_satellite5() {
            notes.push(self.note_on(
                "VIRTWHO_SATELLITE5",
                0,
                "contradicts VIRTWHO_SAM or VIRTWHO_SATELLITE6; the destination is whichever reporter you run",
            ));
        }
        notes
    }

    /// Notes about variables that are not used, in the order of their lines.
    pub fn unknown(&self) -> Vec<Note> {
        let known: Vec<&str> = names().collect();
        let unknown = self.found.iter().filter_map(|(name, variable)| {
            let message = match IGNORED.contains(&name.as_str()) {
                true if matches!(interpolation::parse_flag(&variable.value), Some(true)) => {
                    "is ignored: systemd or cron runs the commands".to_owned()
                }
                false if !known.contains(&name.as_str()) => {
                    format!(
                        "unknown variable, so it is ignored{}",
                        did_you_mean(name, names())
                    )
                }
                _ => return None,
            };
            Some((variable.line, self.note_on(name, variable.line, &message)))
        });
        let unused = self.unused.iter().map(|(name, line)| {
            let note = self.note_on(name, *line, "is ignored: no command uses it");
            (*line, note)
        });
        let mut notes: Vec<(usize, Note)> = unknown.chain(unused).collect();
        notes.sort_by_key(|(line, _)| *line);
        notes.into_iter().map(|(_, note)| note).collect()
    }

    /// The section that the variables make; none if they choose neither a source nor Satellite 5.
    pub fn section(&self) -> Option<Section> {
        let (esx, satellite5) = (self.is_esx(), self.is_satellite5());
        if !esx && !satellite5 {
            return None;
        }
        let mut block = self.block();
        let mut set = |key: &str, switch: &str, value: &str| {
            let line = self.found.get(switch).map_or(0, |variable| variable.line);
            let (key, value) = (key.to_owned(), Zeroizing::new(value.to_owned()));
            let assignment = Assignment {
                key: switch.to_owned(),
                value,
                line,
            };
            block.assignments.insert(key, assignment);
        };
        if esx {
            set("type", "VIRTWHO_ESX", "esx");
        }
        match (self.is_sam(), satellite5) {
            (true, false) => set("sm_type", "VIRTWHO_SAM", "sam"),
            (false, true) => set("sm_type", "VIRTWHO_SATELLITE5", "satellite"),
            _ => {}
        }
        if esx {
            self.fill(&mut block, &ESX);
        }
        if satellite5 {
            self.fill(&mut block, &SATELLITE);
        }
        Some(Section {
            blocks: vec![Arc::new(block)],
            ..Section::default()
        })
    }

    /// The keys of `[global]`, of `[system_environment]` and of a section that have the same meaning in virt-who.conf. They include
    /// passwords.
    pub fn migrated(&self) -> [Keys; 3] {
        let section = self.section().unwrap_or_default();
        let [global, section] = [&[Arc::new(self.global())][..], &section.blocks].map(|blocks| {
            let assignments = blocks.iter().flat_map(|block| block.assignments.iter());
            assignments
                .map(|(key, assignment)| (key.clone(), assignment.value.to_string()))
                .collect()
        });
        let proxies = self.proxies.iter();
        let proxies = proxies.map(|(name, (_, value))| (name.clone(), value.to_string()));
        [global, proxies.collect(), section]
    }

    /// Whether there is a password among them.
    pub fn has_password(&self) -> bool {
        let found = self.found.iter();
        let mut proxies = self.proxies.values();
        found
            .into_iter()
            .any(|(name, variable)| name.ends_with("_PASSWORD") && !variable.value.is_empty())
            || proxies.any(|(_, value)| redact::value(value) != **value)
    }

    /// The keys of `[global]` that the variables set.
    pub(super) fn global(&self) -> Block {
        let mut block = self.block();
        self.fill(&mut block, &GENERAL);
        block
    }

    fn block(&self) -> Block {
        let file = self.file.clone();
        let file = file.unwrap_or_else(|| Arc::from(Path::new("the environment")));
        Block {
            is_variables: true,
            ..Block::empty("", Place { file, line: 0 })
        }
    }

    /// Adds the keys whose variables have a value.
    fn fill(&self, block: &mut Block, keys: &[(&str, &str)]) {
        for (name, key) in keys {
            if let Some(variable) = self.found.get(*name).filter(|found| !found.value.is_empty()) {
                let assignment = Assignment {
                    key: (*name).to_owned(),
                    value: variable.value.clone(),
                    line: variable.line,
                };
                block.assignments.insert((*key).to_owned(), assignment);
            }
        }
    }

    /// `VIRTWHO_ESX`. If it is not set, a server or user chooses ESX, too. A password alone does not, because the rest may be
    /// options.
    fn is_esx(&self) -> bool {
        self.switch("VIRTWHO_ESX").unwrap_or_else(|| {
            let is_set = |(name, key): &(&str, &str)| *key != "password" && self.has(name);
            !self.has("VIRTWHO_ESX") && ESX.iter().any(is_set)
        })
    }

    /// As in virt-who, `VIRTWHO_SATELLITE` is Satellite 5.
    fn is_satellite5(&self) -> bool {
        let switches = ["VIRTWHO_SATELLITE5", "VIRTWHO_SATELLITE"];
        if switches.iter().any(|name| self.switch(name) == Some(true)) {
            return true;
        }
        !switches.iter().any(|name| self.has(name)) && !self.is_sam() && self.has("VIRTWHO_SATELLITE_SERVER")
    }

    fn is_sam(&self) -> bool {
        let on = |name| self.switch(name) == Some(true);
        on("VIRTWHO_SAM") || on("VIRTWHO_SATELLITE6")
    }

    fn has(&self, name: &str) -> bool {
        self.found.get(name).is_some_and(|found| !found.value.is_empty())
    }

    /// The value of a switch; none if it is neither yes nor no.
    fn switch(&self, name: &str) -> Option<bool> {
        interpolation::parse_flag(&self.found.get(name)?.value)
    }

    /// As in curl, a name in lower case has precedence over the same in upper case, which virt-who ignores.
    fn add_proxy(&mut self, name: &str, value: String) {
        let lower = name.to_lowercase();
        let (is_lower, value) = (lower == name, Zeroizing::new(value));
        let is_overridden = |(was_lower, _): &(bool, _)| is_lower || !was_lower;
        if !value.is_empty() && self.proxies.get(&lower).is_none_or(is_overridden) {
            self.proxies.insert(lower, (is_lower, value));
        }
    }

    fn add(&mut self, name: &str, value: String, line: usize) {
        let value = Zeroizing::new(value);
        self.found.insert(name.to_owned(), Variable { value, line });
    }

    fn note(&mut self, name: &str, line: usize, message: &str) {
        let note = self.note_on(name, line, message);
        self.notes.push(note);
    }

    fn note_on(&self, name: &str, line: usize, message: &str) -> Note {
        Note {
            place: self.file.clone().map(|file| Place { file, line }),
            section: None,
            key: (!name.is_empty()).then(|| name.to_owned()),
            message: message.to_owned(),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The value of an assignment as a shell reads it. The error says why this needs a shell.
fn unquoted(text: &str) -> Result<String, &'static str> {
    const SHELL: &str = "has a $ or `, which only a shell can replace, so it is ignored; write the value itself, in single quotes";
    const OPEN: &str = "has a quote that is not closed, so it is ignored";
    let mut value = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('$' | '`', None | Some('"')) => return Err(SHELL),
            ('\\', None) => value.push(chars.next().ok_or("ends with a backslash, so it is ignored")?),
            ('\\', Some('"')) => match chars.next().ok_or(OPEN)? {
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            (c, Some(_)) => value.push(c),
            ('"' | '\'', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => {
                let rest = chars.as_str().trim_start();
                return match rest.is_empty() || rest.starts_with('#') {
                    true => Ok(value),
                    false => {
                        Err("has a blank outside quotes, so it is ignored; put the value in single quotes")
                    }
                };
            }
            (c, None) => value.push(c),
        }
    }
    match quote {
        None => Ok(value),
        Some(_) => Err(OPEN),
    }
}
