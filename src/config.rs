//! The configuration that virt-who left on the machine: /etc/virt-who.conf, /etc/virt-who.d/*.conf, /etc/rhsm/rhsm.conf.
//!
//! ```no_run
//! use vw::config::{Config, Files};
//!
//! let config = Config::load(&Files::default())?;
//! let section = config.named("prod")?;
//! println!("{}", section.need("server", "--server")?);
//! # Ok::<(), vw::config::Error>(())
//! ```
//!
//! What is wrong with one section never keeps another from being used, and what is wrong with one key only fails the
//! command that asks for that key. Both are told by [`Note`]s and [`Error`]s that name file, line, section and key.

mod format;
pub mod keys;
pub mod password;
mod rhsm;
mod section;
mod similar;
pub mod sysconfig;
#[cfg(test)]
mod tests;
mod trust;
mod value;
mod virt_who;

use crate::error::Classify;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

pub use rhsm::{Proxy, Rhsm};
pub use section::Section;
pub use similar::did_you_mean;
pub use trust::{Trust, TrustKeys};
pub use value::{flag, written};
pub use virt_who::{Config, Files};

/// The largest configuration file that is read, in bytes; a thousand sections are a tenth of it.
pub const LARGEST_FILE: usize = 4 << 20;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<Path>,
    /// The line, counted from 1; 0 stands for the file as a whole.
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

/// Something that a person should know about the configuration: where it stands, what it is, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where it was seen, unless it is about something that stands nowhere.
    pub place: Option<Place>,
    /// The section that it is about.
    pub section: Option<String>,
    /// The key that it is about.
    pub key: Option<String>,
    /// What is wrong and what to do; never shows a secret.
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

/// Why the configuration can't be used as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that was named by an option or by `VW_CONFIG` can't be read.
    #[error("reading {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is not one that holds a configuration: a folder, or far too large.
    #[error("{}: {reason}", file.display())]
    NoConfiguration {
        /// The file.
        file: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// `-n` names a section that does not exist.
    #[error("there is no section [{name}]{}", others(name, known, looked_at, also))]
    UnknownSection {
        /// The name that was asked for.
        name: String,
        /// The sections that exist.
        known: Vec<String>,
        /// If there is none: the files and folders that were looked at.
        looked_at: String,
        /// Files that could not be read, where the section may stand.
        also: Vec<Note>,
    },
    /// Several sections fit the command, and `-n` is missing.
    #[error("several sections fit: choose one with -n: {}", some(names))]
    SeveralSections {
        /// Those that fit.
        names: Vec<String>,
    },
    /// A server was named by an option without what it needs, and more than one section could say that.
    #[error(
        "--server without {missing}: add that, or choose a section with -n: {}",
        some(names)
    )]
    Incomplete {
        /// The options that are missing.
        missing: String,
        /// The sections.
        names: Vec<String>,
    },
    /// A section that can't be understood, a missing key or a value that makes no sense.
    #[error("{0}")]
    Wrong(Note),
}

impl Classify for Error {
    fn kind(&self) -> crate::error::Kind {
        crate::error::Kind::Config
    }
}

fn others(name: &str, known: &[String], looked_at: &str, also: &[Note]) -> String {
    let mut text = match known {
        [] => format!(": {looked_at}"),
        [only] => format!("{}; there is {only}", meant(name, known)),
        known => format!("{}; there are {}", meant(name, known), some(known)),
    };
    for note in also {
        text += &format!("; {note}");
    }
    text
}

fn meant(name: &str, known: &[String]) -> String {
    similar::did_you_mean(name, known.iter().map(String::as_str))
}

/// Appends to a text that may hold a password: where it must move to grow, what it leaves behind is overwritten.
fn append(text: &mut Zeroizing<String>, more: &str) {
    let length = text.len() + more.len();
    if length > text.capacity() {
        let mut grown = Zeroizing::new(String::with_capacity(length.max(2 * text.len())));
        grown.push_str(text);
        *text = grown;
    }
    text.push_str(more);
}

/// As many names as a message bears.
pub fn some(names: &[String]) -> String {
    const ENOUGH: usize = 20;
    match names.get(..ENOUGH) {
        Some(first) if names.len() > ENOUGH => {
            format!(
                "{} and {} more (vw-config list)",
                first.join(", "),
                names.len() - ENOUGH
            )
        }
        _ => names.join(", "),
    }
}

/// A file's bytes, and whether others than its owner and group may read them.
struct Content {
    bytes: Zeroizing<Vec<u8>>,
    open_to_others: bool,
}

/// Reads a configuration file, which may also be a pipe.
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
    // Folders are read file by file, where a folder may be given.
    if about.is_dir() {
        return Err(refused("is a folder, and a file is needed".to_owned()));
    }
    // Allocated once, for what a growing buffer leaves behind may be a password.
    let expected = usize::try_from(about.len()).unwrap_or(0).min(LARGEST_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    let limit = LARGEST_FILE as u64 + 1;
    opened.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > LARGEST_FILE {
        return Err(refused(format!(
            "is larger than {} MiB, so it is no configuration",
            LARGEST_FILE >> 20
        )));
    }
    Ok(Content {
        bytes,
        open_to_others: about.is_file() && readable_by_others(&about),
    })
}

#[cfg(unix)]
fn readable_by_others(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    about.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn readable_by_others(_: &std::fs::Metadata) -> bool {
    false
}
