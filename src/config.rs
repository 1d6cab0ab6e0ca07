//! The configuration of virt-who: /etc/virt-who.conf, /etc/virt-who.d/*.conf, /etc/rhsm/rhsm.conf.
//!
//! ```no_run
//! use vw::config::{Config, Files};
//!
//! let config = Config::load(&Files::default())?;
//! let section = config.named("prod")?;
//! println!("{}", section.need("server")?);
//! # Ok::<(), vw::config::Error>(())
//! ```
//!
//! An error in one section does not affect the others, and an invalid value fails only the command that asks for its key.
//! [`Note`]s and [`Error`]s name file, line, section and key. They state facts and name no option of a command, because
//! only the commands know their options.

pub mod effective;
mod fingerprint;
mod format;
mod interpolation;
pub mod keys;
pub mod password;
mod rhsm;
mod section;
mod similar;
pub mod sysconfig;
#[cfg(test)]
mod tests;
mod trust;
pub mod variables;
mod virt_who;

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::Classify;
use crate::text;

pub use interpolation::{parse_flag, written_form};
pub use rhsm::{Rhsm, RhsmProxy};
pub use section::Section;
pub use similar::did_you_mean;
pub use trust::{TrustKeys, Verification};
pub use virt_who::{Config, Files};

/// The largest configuration file that is read, in bytes. A thousand sections need a tenth of it.
pub const MAX_FILE_SIZE: usize = 4 << 20;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, by the name that was given.
    pub file: Arc<Path>,
    /// The line, counted from 1; 0 for the whole file.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}

/// What a person should know about the configuration: where it is, what is wrong, what to do in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its file and line; none for a variable of the environment.
    pub place: Option<Place>,
    /// The section, if it is about one.
    pub section: Option<String>,
    /// The key or variable, if it is about one.
    pub key: Option<String>,
    /// What is wrong and what to do, without any secret.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(section) = &self.section {
            write!(f, "[{section}] ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Why the configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that was named by the user can't be read.
    #[error("reading {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file can't be a configuration: it is a folder, or too large.
    #[error("{}: {reason}", file.display())]
    NoConfiguration {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The section that was named does not exist.
    #[error("there is no section [{name}]{}", instead(name, found))]
    UnknownSection {
        /// The name that was asked for.
        name: String,
        /// What exists instead.
        found: Box<NoSection>,
    },
    /// No section was named, and none fits the command.
    #[error("{0}")]
    NoSection(Box<NoSection>),
    /// No section was named, and several fit the command.
    #[error("several sections fit: {}", name_list(names))]
    SeveralSections {
        /// Those that fit.
        names: Vec<String>,
    },
    /// A key that the command needs has no value.
    #[error("{0}")]
    Missing(Box<MissingKey>),
    /// An encrypted password can't be decrypted.
    #[error("{note}")]
    Encrypted {
        /// Where the password is, and why it can't be decrypted.
        note: Box<Note>,
        /// The same reason. It is not a source, because the note has its text.
        reason: password::Error,
    },
    /// A section that can't be used, or an invalid value.
    #[error("{0}")]
    Wrong(Note),
}

/// Which sections were found, and where they were looked for.
#[derive(Debug, Clone)]
pub struct NoSection {
    /// The names of all sections.
    pub sections: Vec<String>,
    /// The files and folders where sections were looked for.
    pub looked_at: Vec<String>,
    /// Does one of the files exist?
    pub has_files: bool,
    /// Files that were not read, which may have the section.
    pub unread: Vec<Note>,
}

impl fmt::Display for NoSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.looked_at.join(" and ");
        match self.sections.as_slice() {
            [] if self.looked_at.is_empty() => write!(f, "no configuration file was named")?,
            [] if !self.has_files => write!(f, "there is no configuration file (looked for {places})")?,
            [] => write!(f, "there is no section in {places}")?,
            sections => write!(f, "none of {} fits", name_list(sections))?,
        }
        self.unread.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

/// A key without a value.
#[derive(Debug)]
pub struct MissingKey {
    /// The key, by its name in a section.
    pub key: String,
    /// Where the key is missing.
    pub note: Note,
    /// Why it has no value.
    pub lack: Lack,
}

/// Why a key has no value.
#[derive(Debug)]
pub enum Lack {
    /// It is there, and empty.
    Empty,
    /// The section does not have it.
    Absent,
    /// Its variable is not set.
    Unset,
    /// No section is used.
    NoSection(Option<Box<NoSection>>),
}

impl fmt::Display for MissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)?;
        match &self.lack {
            Lack::NoSection(Some(found)) => write!(f, ", and {found}"),
            _ => Ok(()),
        }
    }
}

impl Error {
    /// The note that the error is, if it is about one section.
    pub fn note(&self) -> Option<&Note> {
        match self {
            Error::Missing(missing) => Some(&missing.note),
            Error::Encrypted { note, .. } => Some(note),
            Error::Wrong(note) => Some(note),
            _ => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> crate::error::Kind {
        crate::error::Kind::Config
    }
}

/// Which sections there are instead of the one that was named.
fn instead(name: &str, found: &NoSection) -> String {
    let mut text = match found.sections.as_slice() {
        [] => return format!(": {found}"),
        [only] => format!("{}; there is {only}", meant(name, &found.sections)),
        known => format!("{}; there are {}", meant(name, known), name_list(known)),
    };
    for note in &found.unread {
        text += &format!("; {note}");
    }
    text
}

fn meant(name: &str, known: &[String]) -> String {
    similar::did_you_mean(name, known.iter().map(String::as_str))
}

/// Appends to a text that may contain a password. If the text moves to grow, its old memory is overwritten.
fn append(text: &mut Zeroizing<String>, more: &str) {
    let length = text.len() + more.len();
    if length > text.capacity() {
        let mut grown = Zeroizing::new(String::with_capacity(length.max(2 * text.len())));
        grown.push_str(text);
        *text = grown;
    }
    text.push_str(more);
}

/// The most names in one message.
pub const MOST_NAMES: usize = 20;

/// Names between commas, at most [`MOST_NAMES`] and how many more there are.
pub fn name_list(names: &[String]) -> String {
    text::names(names.iter(), MOST_NAMES)
}

/// A file's bytes, and whether everyone may read them.
struct Content {
    bytes: Zeroizing<Vec<u8>>,
    open_to_others: bool,
}

/// Reads a configuration file, which may be a pipe.
fn read(file: &Path) -> Result<Content, Error> {
    let unreadable = |source| Error::Unreadable {
        file: file.to_owned(),
        source,
    };
    let refused = |reason: String| Error::NoConfiguration {
        file: file.to_owned(),
        reason,
    };
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let about = opened.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return Err(refused("is a folder, not a file".to_owned()));
    }
    // Allocated once, because a growing buffer leaves copies of passwords behind.
    let expected = usize::try_from(about.len()).unwrap_or(0).min(MAX_FILE_SIZE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    let limit = MAX_FILE_SIZE as u64 + 1;
    opened.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_FILE_SIZE {
        return Err(refused(format!(
            "is larger than {} MiB, the limit for a configuration file",
            MAX_FILE_SIZE >> 20
        )));
    }
    Ok(Content {
        bytes,
        open_to_others: about.is_file() && readable_by_others(&about),
    })
}

fn readable_by_others(about: &std::fs::Metadata) -> bool {
    about.permissions().mode() & 0o004 != 0
}
