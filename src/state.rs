//! Files that outlive a run: written completely or not at all, and readable by their owner only.

mod lock;
mod temporary;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

pub use lock::{Claim, Holder, Lock};
pub use temporary::Reserved;

use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};
use crate::text;

/// Why a file of the state folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists and can't be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file, or the folder for it, can't be written.
    #[error("writing {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is larger than any that we write.
    #[error("{} is larger than {limit} bytes, so it is not a file of vw", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Something else has the file's name, such as a folder or a pipe.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another process held a lock until no time was left.
    #[error(
        "{holder} still holds the lock {} after {:.0} s",
        path.display(),
        waited.as_secs_f64()
    )]
    Locked {
        /// The lock's file.
        path: PathBuf,
        /// The process that holds it.
        holder: Holder,
        /// How long we waited.
        waited: Duration,
    },
    /// A signal came while another process held a lock.
    #[error("waiting for {holder}, which holds the lock {}", path.display())]
    Cancelled {
        /// The lock's file.
        path: PathBuf,
        /// The process that holds it.
        holder: Holder,
        /// The signal.
        source: Cancelled,
    },
}

impl Error {
    /// Whether waiting for a lock failed. The folder itself can be used.
    pub fn is_of_waiting(&self) -> bool {
        matches!(self, Error::Locked { .. } | Error::Cancelled { .. })
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Read { .. } | Error::Write { .. } | Error::TooLarge { .. } | Error::NotAFile { .. } => {
                Kind::Io
            }
            Error::Locked { .. } => Kind::TempFail,
            Error::Cancelled { source, .. } => source.kind(),
        }
    }
}

/// The characters that file names can't contain, and the sign of an encoded name.
const ENCODED: &AsciiSet = &CONTROLS.add(b'/').add(b'%');

/// The longest name of a file on the usual file systems, in bytes.
const LONGEST_NAME: usize = 255;

/// The name of the file for `id`: `prefix` and the id, as virt-who names its files.
///
/// An id with a slash or a control character, or one that begins with `%`, is percent-encoded after a `%`. Of an id that is too
/// long for the name of a file, `%%` and the SHA-256 remain. Different ids have different names.
///
/// ```
/// use vw::state::file_name;
/// assert_eq!(file_name("systemid-", "esx1.example.com"), "systemid-esx1.example.com");
/// assert_eq!(file_name("systemid-", "../etc"), "systemid-%..%2Fetc");
/// ```
pub fn file_name(prefix: &str, id: &str) -> String {
    let plain = !id.starts_with('%') && !id.contains(|c: char| c == '/' || c.is_ascii_control());
    let name = match plain {
        true => format!("{prefix}{id}"),
        false => format!("{prefix}%{}", percent_encode(id.as_bytes(), ENCODED)),
    };
    match name.len() <= LONGEST_NAME {
        true => name,
        // No encoded id begins like this, because a second % would be encoded, too.
        false => {
            let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
            format!("{prefix}%%{}", text::hex(digest.as_ref()))
        }
    }
}

/// A folder of state files.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`. It need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Folder(path.into())
    }

    /// Where it is.
    pub fn location(&self) -> &Path {
        &self.0
    }

    /// The path of the file with this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Creates the folder if it is missing, and proves that files can be created in it.
    ///
    /// Call it before an action whose result must not get lost.
    pub fn prepare(&self) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.and_then(|()| self.temporary().map(drop))
            .map_err(|source| Error::Write {
                path: self.0.clone(),
                source,
            })
    }

    /// The content of a file, or `None` if it does not exist. A file of more than `limit` bytes is an error.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name);
        // A pipe might never answer.
        let read = fs::metadata(&path).and_then(|metadata| match metadata.is_file() {
            true => read(&path, metadata.len(), limit).map(Some),
            false => Ok(None),
        });
        let content = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(None) => return Err(Error::NotAFile { path }),
            Err(source) => return Err(Error::Read { path, source }),
            Ok(Some(content)) => content,
        };
        match content.len() as u64 > limit {
            true => Err(Error::TooLarge { path, limit }),
            false => Ok(Some(content)),
        }
    }

    /// The names of the files that begin with `prefix`, in any order; none if the folder does not exist. Names that are not UTF-8
    /// are left out, because we make none.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(|entries| entries.collect::<io::Result<Vec<_>>>()),
        };
        let entries = entries.map_err(|source| Error::Read {
            path: self.0.clone(),
            source,
        })?;
        let names = entries.into_iter().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    /// Whether a file with this name exists.
    pub fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// Gives a file the first free name of `NAME.SUFFIX-1`, `NAME.SUFFIX-2` and so on. Returns its new path.
    pub fn set_aside(&self, name: &str, suffix: &str) -> Result<PathBuf, Error> {
        let mut names = (1..u32::MAX).map(|number| {
            let suffix = format!(".{suffix}-{number}");
            let room = LONGEST_NAME.saturating_sub(suffix.len());
            let fits = |end: &usize| *end <= room;
            let ends = name.char_indices().map(|(start, c)| start + c.len_utf8());
            let end = ends.take_while(fits).last().unwrap_or_default();
            format!("{}{suffix}", &name[..end])
        });
        let aside = self.path(&names.find(|name| !self.has(name)).unwrap_or_default());
        let path = self.path(name);
        match fs::rename(&path, &aside) {
            Ok(()) => Ok(aside),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    /// Makes the new names of files survive a crash of the machine.
    pub fn sync(&self) -> Result<(), Error> {
        let synced = File::open(&self.0).and_then(|folder| folder.sync_all());
        synced.map_err(|source| Error::Write {
            path: self.0.clone(),
            source,
        })
    }

    /// Removes a file, if it exists.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::Write { path, source: error })
            }
            _ => Ok(()),
        }
    }

    /// Writes a file, completely or not at all, unless it exists already; returns whether it did.
    ///
    /// Creates the folder if it is missing.
    pub fn create(&self, name: &Path, content: &[u8]) -> Result<bool, Error> {
        let path = self.0.join(name);
        let written = self.prepare().map(|()| self.create_in(&path, content))?;
        written.map_err(|source| Error::Write { path, source })
    }

    fn create_in(&self, path: &Path, content: &[u8]) -> io::Result<bool> {
        let mut file = self.temporary()?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            persisted => {
                persisted?;
                File::open(&self.0)?.sync_all()?;
                Ok(true)
            }
        }
    }
}

/// Up to one byte more than `limit` of a file that had this size, so that it is read in one piece.
fn read(path: &Path, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(size.min(limit)).unwrap_or(0);
    let mut content = Vec::with_capacity(size + 64);
    File::open(path)?.take(limit + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_completely_and_readable_by_its_owner_only() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("new/folder"));
        assert!(folder.read("a", 10).unwrap().is_none());
        folder.prepare().unwrap();
        fs::write(folder.path("a"), "of virt-who").unwrap();
        fs::set_permissions(folder.path("a"), fs::Permissions::from_mode(0o644)).unwrap();
        folder.write("a", b"ours").unwrap();
        assert_eq!(folder.read("a", 4).unwrap().unwrap(), b"ours");
        let mode = fs::metadata(folder.path("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names: Vec<_> = fs::read_dir(place.path().join("new/folder")).unwrap().collect();
        assert_eq!(names.len(), 1, "no temporary file stays behind");
    }

    #[test]
    fn an_unusable_file_is_named_with_its_path() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        folder.write("large", b"12345").unwrap();
        let error = folder.read("large", 4).unwrap_err();
        assert!(error.to_string().contains("large is larger than 4"), "{error}");
        fs::create_dir(folder.path("folder")).unwrap();
        let error = folder.read("folder", 4).unwrap_err();
        assert!(
            error.to_string().ends_with("folder is not a regular file"),
            "{error}"
        );
        assert!(folder.write("folder", b"x").is_err());
        fs::write(folder.path("file"), "").unwrap();
        let below_a_file = Folder::new(folder.path("file/sub"));
        assert_eq!(below_a_file.prepare().unwrap_err().kind(), Kind::Io);
        // The random name of a temporary file helps nobody.
        let Error::Write { source, .. } = Folder::new("/proc").prepare().unwrap_err() else {
            panic!("not about writing");
        };
        assert!(!source.to_string().contains(".vw-"), "{source}");
    }

    #[test]
    fn an_id_that_is_too_long_for_a_file_name_gets_a_short_one() {
        assert_eq!(file_name("p-", &"x".repeat(253)).len(), 255);
        let long = file_name("p-", &"x".repeat(254));
        assert_eq!((long.len(), &long[..4]), (68, "p-%%"));
        assert_ne!(long, file_name("p-", &"x".repeat(255)));
        // Encoded, it is three times as long.
        assert_eq!(file_name("p-", &"/".repeat(90)).len(), 68);
        assert_eq!(file_name("p-", "%%"), "p-%%25%25");
    }

    #[test]
    fn a_file_that_is_set_aside_replaces_no_other() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        for number in 1..=3 {
            fs::write(folder.path("a"), number.to_string()).unwrap();
            let aside = folder.set_aside("a", "damaged").unwrap();
            assert_eq!(aside, folder.path(&format!("a.damaged-{number}")));
            assert_eq!(fs::read_to_string(aside).unwrap(), number.to_string());
        }
        assert!(!folder.has("a"));
        assert_eq!(folder.names("a.").unwrap().len(), 3);
        assert!(folder.set_aside("a", "damaged").is_err());
        let long = "é".repeat(127);
        fs::write(folder.path(&long), "").unwrap();
        folder.set_aside(&long, "damaged").unwrap();
        folder.sync().unwrap();
    }

    proptest! {
        #[test]
        fn names_are_safe_and_different(a in "[%/a2F\u{1}é.]{0,6}", b in "[%/a2F\u{1}é.]{0,6}") {
            let (first, second) = (file_name("p-", &a), file_name("p-", &b));
            prop_assert!(!first.contains(|c: char| c == '/' || c.is_control()), "{}", first);
            prop_assert_eq!(a == b, first == second);
        }
    }
}
