//! `vw-config check`: errors in the configuration, and what would fail when it is used.

mod connection;
mod destination;
mod global;
mod kubevirt;
mod libvirt;
mod same_server;
mod source;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cli::advice;
use crate::cli::args::Hosts;
use crate::commands::filtering::Filtering;
use crate::config::effective::EffectiveKey;
use crate::config::{Config, Error, Note, Section, keys, password};
use crate::secret::redact;

use self::same_server::Servers;

/// An error or a warning.
#[derive(Debug)]
pub(super) struct Finding {
    /// Whether its section can't be used because of it.
    pub is_error: bool,
    /// What is wrong, and where.
    pub note: Note,
}

/// The result for one section.
#[derive(Debug)]
pub(super) struct Checked {
    /// Its name; none for the section that is made of variables.
    pub name: Option<String>,
    /// Whether it can be used.
    pub usable: bool,
    /// The type of its source.
    pub kind: Option<String>,
}

/// The result for the whole configuration.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// The findings, in the order of the files and their lines.
    pub findings: Vec<Finding>,
    /// The sections, in the order of the files.
    pub sections: Vec<Checked>,
    /// How many configuration files exist and could not be read.
    pub unreadable: usize,
    /// The findings as text. An error in [defaults] or rhsm.conf is found in each section, and is reported once.
    seen: HashSet<String>,
    /// How many errors were found, including those that were seen before.
    errors: usize,
    /// Missing certificates of this machine, and the sections that need them.
    unregistered: BTreeMap<PathBuf, Vec<String>>,
}

/// What the check reads besides the configuration.
pub(super) struct Surroundings<'a> {
    /// The key file of encrypted passwords.
    pub key_file: PathBuf,
    /// `--rhsm-conf`.
    pub rhsm_conf: Option<&'a Path>,
    /// Whether there is a command of this name, in the folder of this one or in PATH.
    pub has_command: &'a dyn Fn(&str) -> bool,
}

/// The keys of a section's passwords.
const PASSWORDS: [&str; 4] = ["password", "rhsm_password", "rhsm_proxy_password", "sat_password"];

impl Check {
    /// Checks all sections, or one section and what it depends on.
    pub(super) fn new(config: &Config, only: Option<&Section>, surroundings: &Surroundings<'_>) -> Self {
        let mut check = Check::default();
        let concerns = |note: &Note| {
            let general = ["global", "system_environment"];
            let is_general = |section: &String| general.contains(&section.as_str());
            only.is_none_or(|only| only.is_subject_of(note) || note.section.as_ref().is_some_and(is_general))
        };
        let broken: Vec<&Note> = config.broken().collect();
        for note in config.notes() {
            let is_unreadable = config.unreadable().contains(note);
            check.unreadable += usize::from(is_unreadable);
            if is_unreadable || concerns(note) {
                check.add(is_unreadable || broken.contains(&note), note.clone());
            }
        }
        for note in config.unknown().into_iter().filter(concerns) {
            check.add(false, note);
        }
        check.global(&config.global().clone());
        let all: Vec<&Section> = config.sections().chain(config.environment()).collect();
        let servers = Servers::new(&all);
        for section in all {
            if only.is_some_and(|only| only.name() != section.name()) {
                continue;
            }
            let section = section.clone().with_key_file(Some(surroundings.key_file.clone()));
            let before = check.errors;
            if section.broken().is_none() {
                check.section(&section, surroundings);
                check.same_server(&section, &servers, only.is_some());
            }
            check.sections.push(Checked {
                name: section.name().map(str::to_owned),
                usable: section.broken().is_none() && check.errors == before,
                kind: section.source_type().ok().map(|kind| redact::value(&kind)),
            });
        }
        for (file, sections) in std::mem::take(&mut check.unregistered) {
            let message = format!(
                "this machine is not registered: {} not found; register it, or set rhsm_username and rhsm_password in {}",
                file.display(),
                sections.join(", ")
            );
            check.add(false, elsewhere(&message));
        }
        check.sort(config);
        check
    }

    /// Sorts the findings by file and line; those without a file are last. If an error says that a key is empty, the warning that
    /// says the same is removed.
    fn sort(&mut self, config: &Config) {
        let of_empty = |finding: &Finding| finding.note.message.starts_with("is empty");
        let failed: Vec<Note> = self
            .findings
            .iter()
            .filter(|finding| finding.is_error && of_empty(finding))
            .map(|finding| finding.note.clone())
            .collect();
        self.findings.retain(|finding| {
            let same = |error: &Note| error.place == finding.note.place && error.key == finding.note.key;
            finding.is_error || !of_empty(finding) || !failed.iter().any(same)
        });
        let files: HashMap<&Path, usize> = config.files().iter().map(PathBuf::as_path).zip(0..).collect();
        self.findings.sort_by_key(|finding| match &finding.note.place {
            Some(place) => (
                files.get(&*place.file).copied().unwrap_or(usize::MAX - 1),
                place.line,
            ),
            None => (usize::MAX, 0),
        });
    }

    /// Adds a finding, unless it was seen before.
    fn add(&mut self, is_error: bool, note: Note) {
        self.errors += usize::from(is_error);
        if self.seen.insert(format!("{is_error} {note}")) {
            self.findings.push(Finding { is_error, note });
        }
    }

    /// The value; none after its error was added.
    fn ok<T>(&mut self, value: Result<T, Error>) -> Option<T> {
        value
            .map_err(|error| match advice::note(&error) {
                Some(note) => self.add(true, note),
                None => self.add(true, elsewhere(&format!("{:#}", advice::advised(error.into())))),
            })
            .ok()
    }

    fn warn(&mut self, section: &Section, key: &str, reason: &str) {
        self.add(false, section.note(key, reason));
    }

    fn fail(&mut self, section: &Section, key: &str, reason: &str) {
        let _: Option<()> = self.ok(Err(section.wrong(key, reason)));
    }

    fn section(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let before = self.errors;
        for EffectiveKey { key, value, .. } in section.effective_keys() {
            if let Some(Err(reason)) = value {
                match keys::SECTION.contains(&key.as_str()) {
                    true => self.fail(section, &key, &reason),
                    false => self.warn(section, &key, &reason),
                }
            }
        }
        if self.errors > before {
            return;
        }
        self.key_file(section, surroundings);
        self.source(section, surroundings);
        if let Err(error) = Filtering::new(&Hosts::default(), Some(section)) {
            match error.downcast::<Error>() {
                Ok(error) => drop(self.ok::<()>(Err(error))),
                Err(error) => self.add(true, elsewhere(&format!("{error:#}"))),
            }
        }
        self.patterns(section);
        self.destination(section, surroundings);
    }

    /// Warns about a password that is missing. `stage`, a scan or a report, asks for it.
    fn password(&mut self, section: &Section, key: &str, stage: &str) {
        if matches!(section.secret(key), Ok(None)) {
            let reason =
                format!("is missing; unless --password-file gives it, the {stage} asks for it on a terminal");
            self.warn(section, key, &reason);
        }
    }

    /// Whether all encrypted passwords can be decrypted.
    fn key_file(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let mut encrypted = false;
        for key in PASSWORDS {
            self.ok(section.secret(key));
            encrypted |= section.is_encrypted(key);
        }
        if encrypted && let Ok(true) = password::try_key(&surroundings.key_file) {
            let file = surroundings.key_file.display();
            let reason = format!("the key file {file} is readable by everyone; chmod 600 it");
            self.warn(section, "encrypted_password", &reason);
        }
    }
}

/// A note about something that is not in the configuration.
fn elsewhere(message: &str) -> Note {
    Note {
        place: None,
        section: None,
        key: None,
        message: message.to_owned(),
    }
}
