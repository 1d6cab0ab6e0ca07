//! Log files. They are opened again when logrotate(8) has renamed or removed them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::state;

/// A file that messages are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens a file for appending, and creates it if it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // Each line is one write, so the stages of a pipeline can share the file. Opening a pipe that nobody reads must not block.
        let mut options = File::options();
        let options = options.append(true).create(true);
        let file = options.custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
        let flags = fcntl_getfl(&file)?;
        fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
        Ok(LogFile {
            path: path.to_owned(),
            file,
        })
    }

    /// The same, and creates the file's folder, as virt-who does.
    pub(super) fn open_in_new_folder(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        }
        LogFile::open(path)
    }

    /// Appends a line.
    fn append(&mut self, line: &str) {
        if self.was_moved() {
            // A folder that takes no new file is no reason to lose the line.
            if let Ok(new) = LogFile::open(&self.path) {
                *self = new;
            }
        }
        // A full disk is no reason to stop, and the message is on stderr anyway.
        let _ = self.file.write_all(format!("{line}\n").as_bytes());
    }

    /// Whether the path is no longer that of our file.
    fn was_moved(&self) -> bool {
        let id = |about: Metadata| (about.dev(), about.ino());
        match (fs::metadata(&self.path).map(id), self.file.metadata().map(id)) {
            (Ok(there), Ok(ours)) => there != ours,
            (Err(_), _) => true,
            (Ok(_), Err(_)) => false,
        }
    }
}

/// The log files of a command.
#[derive(Debug)]
pub(super) struct LogFiles {
    general: LogFile,
    /// The folder for one file per section, if the messages of sections have their own, and the files opened so far.
    sections: Option<(PathBuf, BTreeMap<String, LogFile>)>,
}

impl From<LogFile> for LogFiles {
    fn from(general: LogFile) -> Self {
        LogFiles {
            general,
            sections: None,
        }
    }
}

impl LogFiles {
    /// Messages about a section go to `SECTION.log` in this folder, the others to `general`.
    pub(super) fn per_section(general: LogFile, folder: PathBuf) -> Self {
        LogFiles {
            general,
            sections: Some((folder, BTreeMap::new())),
        }
    }

    /// Appends a line about a section, or about none.
    pub(super) fn append(&mut self, section: Option<&str>, line: &str) {
        let own = section.and_then(|section| self.of_section(section));
        match own {
            Some(file) => file.append(line),
            None => self.general.append(line),
        }
    }

    /// The section's own file. `None` if sections have none, or if it can't be opened.
    fn of_section(&mut self, section: &str) -> Option<&mut LogFile> {
        let (folder, files) = self.sections.as_mut()?;
        if !files.contains_key(section) {
            let file = LogFile::open(&folder.join(name(section))).ok()?;
            files.insert(section.to_owned(), file);
        }
        files.get_mut(section)
    }
}

/// The name of a section's own log file.
pub(super) fn name(section: &str) -> String {
    state::file_name("", &format!("{section}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_file_that_was_renamed_or_removed_is_opened_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/folder/all.log");
        let mut file = LogFile::open_in_new_folder(&path).unwrap();
        file.append("1");
        let old = place.path().join("old");
        fs::rename(&path, &old).unwrap();
        file.append("2");
        assert_eq!((&*text(&old), &*text(&path)), ("1\n", "2\n"));
        // As with logrotate's "create": the new file is there already.
        fs::rename(&path, &old).unwrap();
        fs::write(&path, "created\n").unwrap();
        file.append("3");
        assert_eq!((&*text(&old), &*text(&path)), ("2\n", "created\n3\n"));
        // As with "copytruncate".
        fs::write(&path, "").unwrap();
        file.append("4");
        fs::remove_file(&path).unwrap();
        file.append("5");
        assert_eq!(text(&path), "5\n");
        // Without its folder the old file is written on.
        fs::rename(place.path().join("new"), place.path().join("gone")).unwrap();
        file.append("6");
        assert_eq!(text(&place.path().join("gone/folder/all.log")), "5\n6\n");
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_one_with_a_reader_gets_every_line() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        assert!(LogFile::open(&path).is_err());
        let pipe = path.clone();
        let reader = std::thread::spawn(move || fs::read_to_string(pipe).unwrap());
        let mut file = loop {
            match LogFile::open(&path) {
                Ok(file) => break file,
                Err(_) => std::thread::yield_now(),
            }
        };
        let long = "x".repeat(100_000);
        file.append(&long);
        drop(file);
        assert_eq!(reader.join().unwrap(), format!("{long}\n"));
    }

    #[test]
    fn messages_about_a_section_go_to_its_own_file_if_there_is_one() {
        let place = tempfile::tempdir().unwrap();
        let general = || LogFile::open(&place.path().join("rhsm.log")).unwrap();
        let mut files = LogFiles::per_section(general(), place.path().to_owned());
        files.append(None, "about all");
        files.append(Some("prod"), "about prod");
        files.append(Some("../x"), "about x");
        // A folder is in the way of this one.
        fs::create_dir(place.path().join("odd.log")).unwrap();
        files.append(Some("odd"), "about odd");
        assert_eq!(text(&place.path().join("prod.log")), "about prod\n");
        assert_eq!(text(&place.path().join("%..%2Fx.log")), "about x\n");
        let mut files = LogFiles::from(general());
        files.append(Some("prod"), "all in one");
        let expected = "about all\nabout odd\nall in one\n";
        assert_eq!(text(&place.path().join("rhsm.log")), expected);
    }
}
