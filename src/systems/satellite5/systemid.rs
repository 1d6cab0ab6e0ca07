//! The systemids of the registered hypervisors, in files that virt-who reads and writes, too.
//!
//! A systemid is the server's signed certificate for one profile. Its text is opaque here, and secret: whoever has it can
//! report as that hypervisor. A file has the server's whole answer to the registration, as a Python pickle.

use std::path::PathBuf;
use std::time::Instant;

use super::pickle;
use super::xmlrpc::Datum;
use crate::cancel::Cancel;
use crate::error::{Classify, Kind};
use crate::secret::Secret;
use crate::state::{self, Folder, Lock, Reserved, file_name};

/// The name of a hypervisor's file, before the id.
const PREFIX: &str = "hypervisor-systemid-";
/// The name of the file that marks a registration in progress, before the hypervisor's id.
const MARK: &str = "hypervisor-pending-";
/// The largest file that is read, in bytes; virt-who's have about two thousand.
const LARGEST: u64 = 1 << 20;
/// How many bytes are reserved for the answer to a registration.
const ROOM: usize = 16 << 10;
/// The lock file of processes that register.
const LOCK: &str = "vw-report-sat5.lock";

/// A systemid could not be looked up or stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] state::Error),
    /// The file exists, but has no systemid.
    #[error("{} can't be used", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pickle::Error,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::File(error) => error.kind(),
            Error::Damaged { .. } => Kind::Io,
        }
    }
}

/// The systemids in a folder.
#[derive(Debug, Clone)]
pub struct Registrations(Folder);

impl Registrations {
    /// The systemids in `folder`, which is created when it is needed.
    pub fn new(folder: Folder) -> Self {
        Registrations(folder)
    }

    /// Keeps other processes from registering, for as long as the lock lives. Waits until `until` for a process that has the
    /// lock.
    pub fn lock(&self, until: Option<Instant>, cancel: &Cancel) -> Result<Lock, Error> {
        Ok(self.0.lock(LOCK, until, cancel)?)
    }

    /// The systemid of the hypervisor `id`, if it is registered.
    pub fn systemid(&self, id: &str) -> Result<Option<Secret>, Error> {
        let name = file_name(PREFIX, id)?;
        let Some(file) = self.0.read(&name, LARGEST)? else {
            return Ok(None);
        };
        match pickle::text_of(&file, "system_id") {
            Ok(text) => Ok(Some(Secret::from(text))),
            Err(source) => Err(Error::Damaged {
                path: self.0.path(&name),
                source,
            }),
        }
    }

    /// Makes sure that the answer to the registration of `id` can be stored, and marks the registration as in progress.
    ///
    /// If an answer could not be stored each report would register the hypervisor once more.
    pub fn begin(&self, id: &str) -> Result<Reserved, Error> {
        let (name, mark) = (file_name(PREFIX, id)?, file_name(MARK, id)?);
        Ok(self.0.reserve(&name, &mark, ROOM)?)
    }

    /// Stores the answer to a registration, in place of an older one.
    pub fn keep(&self, reserved: Reserved, answer: &Datum<'_>) -> Result<(), Error> {
        Ok(reserved.write(&pickle::write(answer))?)
    }

    /// Whether a registration of `id` was begun, and its answer was lost.
    pub fn is_in_doubt(&self, id: &str) -> Result<bool, Error> {
        Ok(self.0.has(&file_name(MARK, id)?))
    }

    /// Stores a systemid that was found on the server, and removes the mark.
    pub fn adopt(&self, id: &str, systemid: &str) -> Result<(), Error> {
        let kept = Datum::members([("system_id", Datum::text(systemid))]);
        self.0.write(&file_name(PREFIX, id)?, &pickle::write(&kept))?;
        Ok(self.0.remove(&file_name(MARK, id)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_systemid_is_found_again_whatever_the_id() {
        let folder = tempfile::tempdir().unwrap();
        let registrations = Registrations::new(Folder::new(folder.path()));
        for id in ["esx1.example.com", "a/b", "..", "é", "%"] {
            assert!(registrations.systemid(id).unwrap().is_none());
            let answer = Datum::members([("system_id", Datum::text(id))]);
            let reserved = registrations.begin(id).unwrap();
            assert!(registrations.is_in_doubt(id).unwrap());
            assert!(registrations.systemid(id).unwrap().is_none());
            registrations.keep(reserved, &answer).unwrap();
            assert_eq!(registrations.systemid(id).unwrap().unwrap().expose(), id);
            assert!(!registrations.is_in_doubt(id).unwrap());

            registrations.begin(id).unwrap().leave();
            assert!(registrations.is_in_doubt(id).unwrap());
            registrations.adopt(id, "another").unwrap();
            assert_eq!(registrations.systemid(id).unwrap().unwrap().expose(), "another");
            assert!(!registrations.is_in_doubt(id).unwrap());
        }
        assert!(
            folder
                .path()
                .join("hypervisor-systemid-esx1.example.com")
                .exists()
        );
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let registrations = Registrations::new(Folder::new(folder.path()));
        for content in ["", "cos\nsystem\n", "}."] {
            std::fs::write(folder.path().join("hypervisor-systemid-h"), content).unwrap();
            let error = registrations.systemid("h").unwrap_err();
            assert!(
                error.to_string().contains("hypervisor-systemid-h can't be used"),
                "{error}"
            );
            assert_eq!(error.kind(), Kind::Io);
        }
    }
}
