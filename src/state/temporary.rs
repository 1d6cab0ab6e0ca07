//! Temporary files: content is written into one, which then takes the name of the real file in one step.
//!
//! A process holds a lock on each of its temporary files. So an unlocked one was left by a process that was killed.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Error, Folder};

/// The beginning of a temporary file's name.
const PREFIX: &str = ".vw-";
/// The number of random letters and digits that follow.
const RANDOM: usize = 6;

/// Disk space for a file that will be written, and a mark that the action it will describe has begun.
///
/// The space is a file with a name of its own, the mark. Dropping this removes the mark. It stays if the process is killed, after
/// [`Reserved::leave`], or if the file can't be written in the end. It need not survive a crash of the machine.
#[derive(Debug)]
pub struct Reserved {
    file: File,
    mark: Option<PathBuf>,
    path: PathBuf,
}

impl Folder {
    /// Makes sure that the file `name` can be written later, with up to `room` bytes even on a full disk. Until then the file
    /// `mark` exists.
    ///
    /// Call it before an action whose result must not get lost.
    pub fn reserve(&self, name: &str, mark: &str, room: usize) -> Result<Reserved, Error> {
        let (path, mark) = (self.path(name), self.path(mark));
        let fill = || {
            let mut file = self.temporary()?;
            // Zeros would take no space on a file system that compresses.
            let mut filler = vec![0; room];
            rustix::rand::getrandom(&mut filler, rustix::rand::GetRandomFlags::empty())?;
            // Through the plain file, because errors of the temporary one contain its random name.
            file.as_file_mut().write_all(&filler)?;
            // The system reserves the space at once. Waiting for the disk as well took most of the time of a registration.
            Ok(file)
        };
        let file = match fill() {
            Ok(file) => file,
            Err(source) => return Err(Error::Write { path, source }),
        };
        match file.persist(&mark) {
            Ok(file) => Ok(Reserved {
                file,
                mark: Some(mark),
                path,
            }),
            Err(failed) => Err(Error::Write {
                path: mark,
                source: failed.error,
            }),
        }
    }

    /// Writes a file. Readers find the old content or the new one, also after a crash.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        self.replace(name, content, 0o600)
    }

    /// The same for a file that everyone may read.
    pub fn publish(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        self.replace(name, content, 0o644)
    }

    fn replace(&self, name: &str, content: &[u8], mode: u32) -> Result<(), Error> {
        let path = self.path(name);
        let write = || {
            let mut file = self.temporary()?;
            file.as_file_mut().write_all(content)?;
            file.as_file().set_permissions(Permissions::from_mode(mode))?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })
    }

    /// A new file with mode 0600 and our lock. It is removed unless it gets a name.
    pub(super) fn temporary(&self) -> io::Result<NamedTempFile> {
        let mut new = tempfile::Builder::new();
        let new = new.prefix(PREFIX).rand_bytes(RANDOM);
        loop {
            // `tempfile_in` would put the random name into its errors.
            let file = new.make_in(&self.0, |path| {
                let mut options = File::options();
                let options = options.read(true).write(true).create_new(true).mode(0o600);
                options.open(path)
            })?;
            match file.as_file().try_lock() {
                // Another process took it for a left-over file before we had the lock.
                Err(TryLockError::WouldBlock) => {}
                Ok(()) if file.as_file().metadata()?.nlink() == 0 => {}
                // A file system without locks: no process removes left-over files there.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
            }
        }
    }

    /// Removes temporary files of killed processes. What can't be removed is left for the next time.
    pub(super) fn remove_left_over(&self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let regular = entry.file_type().is_ok_and(|kind| kind.is_file());
            if regular && is_temporary(entry.file_name().as_encoded_bytes()) && remove_unlocked(&entry.path())
            {
                log::debug!("removed {}, which a killed process left", entry.path().display());
            }
        }
    }
}

fn is_temporary(name: &[u8]) -> bool {
    let random = name.strip_prefix(PREFIX.as_bytes());
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
}

/// Removes a file unless another process has locked it; returns whether it did.
fn remove_unlocked(path: &Path) -> bool {
    // We hold the lock while we remove the file, so its maker, if it is about to lock it, notices that the file is gone.
    File::open(path).is_ok_and(|file| file.try_lock().is_ok() && fs::remove_file(path).is_ok())
}

impl Reserved {
    /// Writes the file and removes the mark. Readers find the old content or the new one, also after a crash.
    ///
    /// Which of the two a crash of the machine leaves is certain only after [`Folder::sync`].
    pub fn write(mut self, content: &[u8]) -> Result<(), Error> {
        let Some(mark) = self.mark.take() else {
            return Ok(());
        };
        let mut write = || {
            self.file.rewind()?;
            self.file.write_all(content)?;
            self.file.set_len(content.len() as u64)?;
            self.file.sync_all()?;
            fs::rename(&mark, &self.path)
        };
        write().map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Leaves the mark, because it is unknown what became of the action.
    pub fn leave(mut self) {
        self.mark = None;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(mark) = self.mark.take() {
            // A mark that stays only costs one question to the server.
            let _ = fs::remove_file(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_reserved_file_is_written_and_its_mark_removed_or_left() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        for content in [&b"short"[..], &[b'x'; 9000]] {
            let reserved = folder.reserve("a", "mark", 4096).unwrap();
            assert_eq!(fs::metadata(folder.path("mark")).unwrap().len(), 4096);
            reserved.write(content).unwrap();
            assert_eq!(fs::read(folder.path("a")).unwrap(), content);
            assert_eq!(names(place.path()), ["a"]);
        }
        drop(folder.reserve("b", "mark", 10).unwrap());
        assert_eq!(names(place.path()), ["a"]);
        folder.reserve("b", "mark", 10).unwrap().leave();
        assert_eq!(names(place.path()), ["a", "mark"]);

        // A mark that can't be made is named.
        fs::create_dir(folder.path("taken")).unwrap();
        let error = folder.reserve("c", "taken", 10).unwrap_err();
        assert!(error.to_string().ends_with("/taken"), "{error}");
        fs::remove_dir(folder.path("taken")).unwrap();

        // A file that can't be written leaves the mark.
        fs::create_dir(folder.path("d")).unwrap();
        let reserved = folder.reserve("d", "mark", 10).unwrap();
        let error = reserved.write(b"x").unwrap_err();
        assert!(error.to_string().ends_with("/d"), "{error}");
        assert_eq!(names(place.path()), ["a", "d", "mark"]);
    }

    #[test]
    fn a_published_file_can_be_read_by_everyone() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let mode = || fs::metadata(folder.path("a")).unwrap().mode() & 0o777;
        folder.write("a", b"ours").unwrap();
        assert_eq!(mode(), 0o600);
        folder.publish("a", b"everyone's").unwrap();
        assert_eq!(mode(), 0o644);
        assert_eq!(names(place.path()), ["a"]);
    }

    #[test]
    fn only_temporary_files_of_killed_processes_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let kept = [
            ".vw-abcdefg",
            ".vw-ab/def",
            ".vw-abcde",
            "vw-abcdef",
            "x.vw-abcdef",
        ];
        for name in kept.iter().filter(|name| !name.contains('/')) {
            fs::write(folder.path(name), "").unwrap();
        }
        fs::create_dir(folder.path(".vw-folder")).unwrap();
        std::os::unix::fs::symlink("x.vw-abcdef", folder.path(".vw-a1b2c3")).unwrap();
        let before = names(place.path());
        for name in [".vw-AbcdeF", ".vw-012345"] {
            fs::write(folder.path(name), "half a system").unwrap();
        }
        let ours = folder.temporary().unwrap();
        folder.lock("z.lock", None, &Cancel::default()).unwrap();
        ours.persist(folder.path("a")).unwrap();
        let after: Vec<String> = names(place.path())
            .into_iter()
            .filter(|name| name != "a" && name != "z.lock")
            .collect();
        assert_eq!(after, before);
    }
}
