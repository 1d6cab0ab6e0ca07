//! virt-who's files and their sections.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{self, Block};
use super::keys::SPECIAL;
use super::section::{self, Section};
use super::sysconfig::Variables;
use super::{Content, Error, NoSection, Note, Place};

/// Which files make up the configuration.
///
/// By default these are `main` and the `*.conf` in `folder`. A section in `folder` replaces one of the same name in `main`.
/// `listed` replaces both. If files are `given`, only their sections describe sources, as in virt-who; `[global]`,
/// `[defaults]` and `[system_environment]` still come from `main` or `listed`. Unlike in virt-who, these sections are also read in
/// the given files. If a key is in several files, the last one is used.
///
/// A folder in place of a file means the `*.conf` in it.
#[derive(Debug, Clone)]
pub struct Files {
    /// Files that the user named for this run.
    pub given: Vec<PathBuf>,
    /// Files that the environment names.
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
    /// The `given` files, and those in a variable, between colons. An empty variable counts as not set.
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

    /// Where sections are looked for, in the words of a message.
    fn looked_at(&self) -> Vec<String> {
        let name = |path: &PathBuf| match path.is_dir() {
            true => format!("{}/*.conf", path.display()),
            false => path.display().to_string(),
        };
        match (self.given.as_slice(), &self.listed) {
            ([], None) => vec![
                self.main.display().to_string(),
                format!("{}/*.conf", self.folder.display()),
            ],
            ([], Some(listed)) => listed.iter().map(name).collect(),
            (given, _) => given.iter().map(name).collect(),
        }
    }
}

/// The sections of all files.
#[derive(Debug, Default)]
pub struct Config {
    sections: Vec<Section>,
    /// The index of each section in `sections`, by its name.
    index: HashMap<String, usize>,
    global: Section,
    defaults: Section,
    system_environment: Section,
    environment: Option<Section>,
    notes: Vec<Note>,
    /// Files that were not read and that nobody named. They matter only if a section is missing.
    unread: Vec<Note>,
    /// Those of `notes` that say that a file can't be read.
    unreadable: Vec<Note>,
    /// The files that were looked at, in order.
    files: Vec<PathBuf>,
    /// Where sections were looked for.
    looked_at: Vec<String>,
}

/// What to do about a named file that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnUnreadable {
    /// Loading fails.
    Fail,
    /// A note says so.
    Note,
}

/// Which sections of a file are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// All.
    Whole,
    /// Those that describe sources: virt-who.d.
    Sources,
    /// The others: virt-who.conf if files were given.
    Special,
}

impl Config {
    /// Reads the files. It fails if a named file can't be read; everything else becomes a note.
    pub fn load(files: &Files) -> Result<Self, Error> {
        Config::load_with(files, &Variables::default())
    }

    /// The same with variables, which are a section of their own and override `[global]`.
    pub fn load_with(files: &Files, variables: &Variables) -> Result<Self, Error> {
        Config::load_as(OnUnreadable::Fail, files, variables)
    }

    /// The same for a look at the configuration: a note says what can't be read, see [`Config::unreadable`].
    pub fn load_what_is_readable(files: &Files, variables: &Variables) -> Result<Self, Error> {
        Config::load_as(OnUnreadable::Note, files, variables)
    }

    fn load_as(unreadable: OnUnreadable, files: &Files, variables: &Variables) -> Result<Self, Error> {
        let mut config = Config::default();
        let base = if files.given.is_empty() {
            Scope::Whole
        } else {
            Scope::Special
        };
        match &files.listed {
            Some(listed) => {
                for file in listed {
                    config.add_named(file, base, unreadable)?;
                }
            }
            None => {
                config.add_found(&files.main, base);
                if files.given.is_empty() {
                    config.add_folder(&files.folder, Scope::Sources);
                }
            }
        }
        for file in &files.given {
            config.add_named(file, Scope::Whole, unreadable)?;
        }
        config.looked_at = files.looked_at();
        config.environment = variables.section();
        config.notes.extend(variables.notes());
        let general = variables.global();
        if !general.assignments.is_empty() {
            config.global.blocks.insert(0, Arc::new(general));
        }
        for section in config.sections.iter_mut().chain(config.environment.as_mut()) {
            section.blocks.extend_from_slice(&config.defaults.blocks);
            section.global.clone_from(&config.global.blocks);
            section.exported.clone_from(&config.system_environment.blocks);
        }
        Ok(config)
    }

    /// The section of this name; an error if it is broken.
    pub fn named(&self, name: &str) -> Result<Section, Error> {
        let section = self.known(name)?;
        match section.broken() {
            Some(broken) => Err(Error::Wrong(broken.clone())),
            None => Ok(section.clone()),
        }
    }

    /// The section of this name, broken or not.
    pub fn known(&self, name: &str) -> Result<&Section, Error> {
        match self.index.get(name).and_then(|at| self.sections.get(*at)) {
            Some(section) => Ok(section),
            None => Err(Error::UnknownSection {
                name: name.to_owned(),
                found: Box::new(self.no_section()),
            }),
        }
    }

    /// The only section that fits; if none does, [`Config::nameless`].
    ///
    /// If several sections fit, that is an error. If none fits and one is broken, its error is returned, because it may be the one
    /// that was meant.
    pub fn only(&self, fits: impl Fn(&Section) -> Result<bool, Error>) -> Result<Section, Error> {
        let mut fitting = Vec::new();
        let mut doubt = None;
        for section in &self.sections {
            let fits = match section.broken() {
                Some(broken) => Err(Error::Wrong(broken.clone())),
                None => fits(section),
            };
            match fits {
                Ok(true) => fitting.push(section),
                Ok(false) => {}
                Err(error) => doubt = doubt.or(Some(error)),
            }
        }
        match fitting.as_slice() {
            [section] => Ok((*section).clone()),
            [] => doubt.map_or_else(|| Ok(self.nameless()), Err),
            several => Err(Error::SeveralSections {
                names: several
                    .iter()
                    .filter_map(|section| section.name.clone())
                    .collect(),
            }),
        }
    }

    /// A section without a name, which has the keys of `[defaults]`, for a command that needs no section.
    pub fn nameless(&self) -> Section {
        Section {
            name: None,
            without: Some(self.no_section()),
            global: self.global.blocks.clone(),
            exported: self.system_environment.blocks.clone(),
            ..self.defaults.clone()
        }
    }

    /// Which sections there are, and where they were looked for, for an error that none fits.
    pub fn no_section(&self) -> NoSection {
        NoSection {
            sections: self.names().map(str::to_owned).collect(),
            looked_at: self.looked_at.clone(),
            has_files: !self.files.is_empty(),
            unread: self.unread.clone(),
        }
    }

    /// The files that were looked at, in order: read, ignored or unreadable.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The notes about files that exist and can't be read. Sections may be missing because of them.
    pub fn unreadable(&self) -> &[Note] {
        &self.unreadable
    }

    /// The section that is made of variables, if they choose a source or a destination.
    pub fn environment(&self) -> Option<&Section> {
        self.environment.as_ref()
    }

    /// The names of the sections that describe sources, broken ones too, in the order of the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().filter_map(Section::name)
    }

    /// The sections that describe sources, broken ones too, in the order of the files.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    /// `[defaults]`.
    pub fn defaults(&self) -> &Section {
        &self.defaults
    }

    /// Why sections that describe sources can't be used.
    pub fn broken(&self) -> impl Iterator<Item = &Note> {
        self.sections.iter().filter_map(Section::broken)
    }

    /// `[global]`.
    pub fn global(&self) -> &Section {
        &self.global
    }

    /// The variables of `[system_environment]` and their values. Names keep their case, unlike in virt-who.
    pub fn system_environment(&self) -> Result<Vec<(String, String)>, Error> {
        self.system_environment.variables()
    }

    /// What a person should know about the files, in their order: what is broken, ignored, or looks wrong.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Reads a named file, or the `*.conf` in a named folder.
    fn add_named(&mut self, file: &Path, scope: Scope, unreadable: OnUnreadable) -> Result<(), Error> {
        if file.is_dir() {
            self.add_folder(file, scope);
            return Ok(());
        }
        match (super::read(file), unreadable) {
            (Ok(content), _) => self.add(file, content, scope),
            (Err(error), OnUnreadable::Fail) => return Err(error),
            (Err(error), OnUnreadable::Note) => self.unreadable_file(file, &error),
        }
        Ok(())
    }

    /// virt-who.d, or a folder like it: its `*.conf` in the order of their names.
    fn add_folder(&mut self, folder: &Path, scope: Scope) {
        let unreadable = |source| Error::Unreadable {
            file: folder.to_owned(),
            source,
        };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.unreadable_file(folder, &unreadable(error)),
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => files.push(entry.path()),
                Err(error) => self.unreadable_file(folder, &unreadable(error)),
            }
        }
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(b".") || !name.ends_with(b".conf") {
                self.ignored(&file);
            } else if file.is_file() {
                self.add_found(&file, scope);
            } else {
                self.skip(&file, "is not a regular file, so it is ignored");
            }
        }
    }

    /// Notes a file that is ignored because of its name, if it has a section of a source.
    fn ignored(&mut self, file: &Path) {
        let has_sections = |content: Content| {
            let found = format::parse(&Arc::from(file), &content.bytes);
            found
                .blocks
                .iter()
                .any(|block| block.assignments.contains_key("type"))
        };
        if file.is_file() && super::read(file).is_ok_and(has_sections) {
            self.skip(
                file,
                "looks like configuration but is ignored, because its name begins with a dot or does not end in .conf; \
                 rename it",
            );
        }
    }

    /// Reads a file that nobody named, if it exists. If it can't be read, a note says so.
    fn add_found(&mut self, file: &Path, scope: Scope) {
        match super::read(file) {
            Ok(content) => self.add(file, content, scope),
            Err(Error::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => self.unreadable_file(file, &error),
        }
    }

    fn unreadable_file(&mut self, file: &Path, error: &Error) {
        let message = match error {
            Error::Unreadable { source, .. } => format!("can't be read: {source}"),
            Error::NoConfiguration { reason, .. } => reason.clone(),
            error => error.to_string(),
        };
        let note = self.skip(file, &message);
        self.unreadable.push(note);
    }

    fn skip(&mut self, file: &Path, message: &str) -> Note {
        self.files.push(file.to_owned());
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
        self.notes.push(note.clone());
        note
    }

    fn add(&mut self, file: &Path, content: Content, scope: Scope) {
        self.files.push(file.to_owned());
        let earlier = self.notes.len();
        let shared: Arc<Path> = Arc::from(file);
        let document = format::parse(&shared, &content.bytes);
        self.notes.extend(document.notes);
        let mut has_password = false;
        for block in document.blocks {
            let special = SPECIAL.contains(&block.name.as_str());
            if scope == Scope::Special && !special {
                continue;
            }
            if scope == Scope::Sources && special {
                self.notes.push(about(
                    &block,
                    "is ignored here; it belongs in virt-who.conf".to_owned(),
                ));
                continue;
            }
            has_password |= section::has_password(&block);
            match &block.broken {
                Some(broken) => self.notes.push(broken.clone()),
                None => self.notes.extend(section::oddities(&block)),
            }
            match block.name.as_str() {
                "global" => self.global.add(block),
                "defaults" => self.defaults.add(block),
                "system_environment" => self.system_environment.add(block),
                _ => self.add_section(block),
            }
        }
        if has_password && content.open_to_others {
            self.notes.push(Note {
                place: Some(Place {
                    file: shared,
                    line: 0,
                }),
                section: None,
                key: None,
                message: "contains passwords and is readable by everyone; chmod 600 it".to_owned(),
            });
        }
        let own = self.notes.get_mut(earlier..).unwrap_or_default();
        own.sort_by_key(|note| note.place.as_ref().map(|place| place.line));
    }

    /// Adds a section that describes a source. It replaces one of the same name.
    fn add_section(&mut self, block: Block) {
        let next = self.sections.len();
        let at = *self.index.entry(block.name.clone()).or_insert(next);
        let Some(earlier) = self.sections.get_mut(at) else {
            return self.sections.push(Section::new(block));
        };
        if let Some(place) = earlier.place() {
            self.notes.push(about(
                &block,
                format!("replaces the section of this name in {place}"),
            ));
        }
        *earlier = Section::new(block);
    }
}

fn about(block: &Block, message: String) -> Note {
    Note {
        place: Some(block.place.clone()),
        section: Some(block.name.clone()),
        key: None,
        message,
    }
}
