//! virt-who's files and the sections in them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{self, RawSection};
use super::section::{self, Section};
use super::{Content, Error, Note, Place};

/// Sections that describe no source.
const SPECIAL: [&str; 3] = ["global", "defaults", "system_environment"];

/// Which files make up the configuration.
///
/// Without any choice these are `main` and the `*.conf` in `folder`, where a section in `folder` beats one of the same
/// name in `main`. `listed`, from `VW_CONFIG`, replaces both. With `given`, from `-c`, only those files' sections
/// describe sources, as in virt-who; `[global]`, `[defaults]` and `[system_environment]` still come from `main` or
/// `listed`, and, which virt-who ignores though everyone expects it, from the given files, key by key, the later file first.
#[derive(Debug, Clone)]
pub struct Files {
    /// Files named by `-c`.
    pub given: Vec<PathBuf>,
    /// Files named by `VW_CONFIG`.
    pub listed: Option<Vec<PathBuf>>,
    /// virt-who.conf; it need not exist.
    pub main: PathBuf,
    /// virt-who.d; it need not exist.
    pub folder: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Files {
            given: Vec::new(),
            listed: None,
            main: "/etc/virt-who.conf".into(),
            folder: "/etc/virt-who.d".into(),
        }
    }
}

impl Files {
    /// The files named by `-c`, and those in the value of `VW_CONFIG`, between colons; an empty variable is none.
    pub fn new(given: Vec<PathBuf>, variable: Option<OsString>) -> Self {
        let listed = variable.filter(|variable| !variable.is_empty()).map(|variable| {
            let files = std::env::split_paths(&variable);
            files.filter(|file| !file.as_os_str().is_empty()).collect()
        });
        Files {
            given,
            listed,
            ..Files::default()
        }
    }
}

/// The sections of all files.
#[derive(Debug, Default)]
pub struct Config {
    sections: Vec<Found>,
    global: Section,
    defaults: Section,
    system_environment: Section,
    notes: Vec<Note>,
    /// Files that could not be read and were not named, so that only a command that misses something cares.
    unread: Vec<Note>,
    /// The files that were read.
    files: Vec<PathBuf>,
}

/// A section that describes a source, or why it can't be used.
#[derive(Debug)]
struct Found {
    name: String,
    section: Result<Section, Note>,
}

/// What a file counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of its sections.
    Whole,
    /// Only sections that describe sources: virt-who.d.
    Sources,
    /// Only the others: virt-who.conf beside `-c`.
    Special,
}

impl Config {
    /// Reads the files. Only one that was named can make this fail; whatever else is wrong becomes a note.
    pub fn load(files: &Files) -> Result<Self, Error> {
        let mut config = Config::default();
        let base = if files.given.is_empty() {
            Part::Whole
        } else {
            Part::Special
        };
        match &files.listed {
            Some(listed) => {
                for file in listed {
                    config.add(file, super::read(file)?, base);
                }
            }
            None => {
                config.add_found(&files.main, base);
                if files.given.is_empty() {
                    config.add_folder(&files.folder);
                }
            }
        }
        for file in &files.given {
            config.add(file, super::read(file)?, Part::Whole);
        }
        config.finish();
        Ok(config)
    }

    /// The section of this name.
    pub fn named(&self, name: &str) -> Result<Section, Error> {
        match self.sections.iter().find(|found| found.name == name) {
            Some(found) => found.section.clone().map_err(Error::Wrong),
            None => Err(Error::UnknownSection {
                name: name.to_owned(),
                known: self.names().map(str::to_owned).collect(),
                also: self.unread.clone(),
            }),
        }
    }

    /// The only section that fits, or one without a name where none does.
    ///
    /// Several that fit are an error. So is a broken section where no other fits, for it may be the one that was meant.
    pub fn only(&self, fits: impl Fn(&Section) -> bool) -> Result<Section, Error> {
        let usable = self
            .sections
            .iter()
            .filter_map(|found| found.section.as_ref().ok());
        let fitting: Vec<&Section> = usable.filter(|section| fits(section)).collect();
        match fitting.as_slice() {
            [section] => Ok((*section).clone()),
            [] => match self
                .sections
                .iter()
                .find_map(|found| found.section.as_ref().err())
            {
                Some(broken) => Err(Error::Wrong(broken.clone())),
                None => Ok(self.nameless()),
            },
            several => Err(Error::SeveralSections {
                names: several
                    .iter()
                    .filter_map(|section| section.name.clone())
                    .collect(),
            }),
        }
    }

    /// A section without a name, for a command whose options say everything; it says what `[defaults]` says.
    pub fn nameless(&self) -> Section {
        let mut in_vain = match (self.sections.is_empty(), self.files.is_empty()) {
            (false, _) => {
                let names: Vec<&str> = self.names().collect();
                format!("of {} none fits", names.join(", "))
            }
            (true, false) => {
                let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
                format!("there is no section in {}", files.join(", "))
            }
            (true, true) => "there is no configuration file".to_owned(),
        };
        for note in &self.unread {
            in_vain += &format!("; {note}");
        }
        Section {
            name: None,
            in_vain: Some(in_vain),
            ..self.defaults.clone()
        }
    }

    /// The names of the sections that describe sources, broken ones too, in the order of the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|found| found.name.as_str())
    }

    /// `[global]`.
    pub fn global(&self) -> &Section {
        &self.global
    }

    /// `[system_environment]`: variables and their values. Their names keep their case, which virt-who lowers.
    pub fn system_environment(&self) -> Result<Vec<(&str, &str)>, Error> {
        let section = &self.system_environment;
        let pairs = section.entries.iter().filter_map(|(key, entry)| {
            let value = section.given(key).transpose()?;
            Some(value.map(|value| (entry.key.as_str(), value)))
        });
        pairs.collect()
    }

    /// What a person should know about the files, in their order: broken and ignored things, values that look wrong.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// virt-who.d: its `*.conf` in the order of their names.
    fn add_folder(&mut self, folder: &Path) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.skip(folder, &error.to_string()),
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => files.push(entry.path()),
                Err(error) => self.skip(folder, &error.to_string()),
            }
        }
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(b".") || !name.ends_with(b".conf") {
                self.ignored(&file);
            } else if file.is_file() {
                self.add_found(&file, Part::Sources);
            } else {
                self.skip(&file, "is no regular file, so it is ignored");
            }
        }
    }

    /// Notes a file that is not read because of its name, if a section may be lost by that.
    fn ignored(&mut self, file: &Path) {
        let has_sections = |content: Content| {
            let found = format::parse(&Arc::from(file), &content.bytes);
            found
                .sections
                .iter()
                .any(|section| section.entries.contains_key("type"))
        };
        if file.is_file() && super::read(file).is_ok_and(has_sections) {
            self.notes.push(Note {
                place: Some(Place { file: Arc::from(file), line: 0 }),
                section: None,
                key: None,
                message: "looks like configuration but is ignored, for its name begins with a dot or does not end in \
                          .conf; rename it"
                    .to_owned(),
            });
        }
    }

    /// Reads a file that nobody named: it need not exist, and when it can't be read that is only noted.
    fn add_found(&mut self, file: &Path, part: Part) {
        match super::read(file) {
            Ok(content) => self.add(file, content, part),
            Err(Error::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(Error::Unreadable { source, .. }) => self.skip(file, &format!("can't be read: {source}")),
            Err(Error::NoConfiguration { reason, .. }) => self.skip(file, &reason),
            Err(error) => self.skip(file, &error.to_string()),
        }
    }

    fn skip(&mut self, file: &Path, message: &str) {
        let note = Note {
            place: Some(Place {
                file: Arc::from(file),
                line: 0,
            }),
            section: None,
            key: None,
            message: message.to_owned(),
        };
        self.unread.push(note.clone());
        self.notes.push(note);
    }

    fn add(&mut self, file: &Path, content: Content, part: Part) {
        self.files.push(file.to_owned());
        let shared: Arc<Path> = Arc::from(file);
        let document = format::parse(&shared, &content.bytes);
        self.notes.extend(document.notes);
        let mut index: HashMap<String, usize> = (0..)
            .zip(&self.sections)
            .map(|(at, found)| (found.name.clone(), at))
            .collect();
        let mut holds_password = false;
        for raw in document.sections {
            let special = SPECIAL.contains(&raw.name.as_str());
            if part == Part::Special && !special {
                continue;
            }
            if part == Part::Sources && special {
                self.notes.push(about(
                    &raw,
                    "is ignored here; it belongs into virt-who.conf".to_owned(),
                ));
                continue;
            }
            let section = self.section(&raw);
            holds_password |= section.as_ref().is_ok_and(Section::holds_password);
            if special {
                self.add_special(&raw.name, section);
                continue;
            }
            match index.get(&raw.name).and_then(|at| self.sections.get_mut(*at)) {
                Some(found) => {
                    let earlier = match &found.section {
                        Ok(section) => section.place.clone(),
                        Err(note) => note.place.clone(),
                    };
                    let place = earlier.map(|place| place.to_string()).unwrap_or_default();
                    self.notes.push(about(
                        &raw,
                        format!("takes the place of the section of this name in {place}"),
                    ));
                    found.section = section;
                }
                None => {
                    index.insert(raw.name.clone(), self.sections.len());
                    self.sections.push(Found {
                        name: raw.name,
                        section,
                    });
                }
            }
        }
        if holds_password && content.open_to_others {
            self.notes.push(Note {
                place: Some(Place {
                    file: shared,
                    line: 0,
                }),
                section: None,
                key: None,
                message: "holds passwords and everyone may read it; chmod 600 it".to_owned(),
            });
        }
    }

    fn section(&mut self, raw: &RawSection) -> Result<Section, Note> {
        if let Some(broken) = &raw.broken {
            self.notes.push(broken.clone());
            return Err(broken.clone());
        }
        Ok(Section {
            name: Some(raw.name.clone()),
            place: Some(raw.place.clone()),
            entries: section::entries(raw, &mut self.notes),
            in_vain: None,
        })
    }

    /// Adds to `[global]` and its like; of a key in several files the last one counts.
    fn add_special(&mut self, name: &str, section: Result<Section, Note>) {
        let Ok(mut section) = section else { return };
        let held = match name {
            "global" => &mut self.global,
            "defaults" => &mut self.defaults,
            _ => &mut self.system_environment,
        };
        section.inherit(&held.entries);
        *held = section;
    }

    /// Puts `[defaults]` under each section that describes a source.
    fn finish(&mut self) {
        for found in &mut self.sections {
            if let Ok(section) = &mut found.section {
                section.inherit(&self.defaults.entries);
            }
        }
    }
}

fn about(raw: &RawSection, message: String) -> Note {
    Note {
        place: Some(raw.place.clone()),
        section: Some(raw.name.clone()),
        key: None,
        message,
    }
}
