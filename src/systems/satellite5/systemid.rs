//! Which hypervisors are registered: the systemid of each, kept in files that virt-who reads and writes, too.
//!
//! A systemid is the server's signed certificate for one profile. Its text is opaque here, and secret: who has it can
//! report as that hypervisor. A file holds all that the server answered to the registration, as a Python pickle.

use std::path::PathBuf;
use std::time::Instant;

use super::pickle;
use super::xmlrpc::Datum;
use crate::cancel::Cancel;
use crate::error::{Classify, Kind};
use crate::secret::Secret;
use crate::state::{self, Folder, Lock, Reserved, file_name};

/// What the file of a hypervisor is called, before its id.
const PREFIX: &str = "hypervisor-systemid-";
/// What the mark of a registration that is under way is called, before the hypervisor's id.
const MARK: &str = "hypervisor-pending-";
/// The largest file, in bytes; virt-who's have about two thousand.
const LARGEST: u64 = 1 << 20;
/// The room that is reserved for the answer to a registration, in bytes.
const ROOM: usize = 16 << 10;
/// The lock of those who register.
const LOCK: &str = "vw-report-sat5.lock";

/// A registration could not be looked up or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] state::Error),
    /// The file is there, and holds no registration.
    #[error(
        "{} can't be used; restore it, or remove it to have the hypervisor registered anew (its old profile stays on the server)",
        path.display()
    )]
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

/// The registrations in a folder.
#[derive(Debug, Clone)]
pub struct Registrations(Folder);

impl Registrations {
    /// Those in `folder`.
    pub fn new(folder: Folder) -> Self {
        Registrations(folder)
    }

    /// Keeps other processes from registering, as long as what is returned lives. Waits for one that does, but not beyond
    /// `until`. The folder is made if it is missing.
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

    /// Makes sure that the answer to the registration of `id` can be kept, and marks that it is under way.
    ///
    /// A registration that can't be kept would be made again by each report.
    pub fn begin(&self, id: &str) -> Result<Reserved, Error> {
        let (name, mark) = (file_name(PREFIX, id)?, file_name(MARK, id)?);
        Ok(self.0.reserve(&name, &mark, ROOM)?)
    }

    /// Keeps what the server answered to a registration, in the place of an older one.
    pub fn keep(&self, begun: Reserved, answer: &Datum<'_>) -> Result<(), Error> {
        Ok(begun.write(&pickle::write(answer))?)
    }

    /// Whether a registration of `id` was begun, and nobody knows what became of it.
    pub fn is_in_doubt(&self, id: &str) -> Result<bool, Error> {
        Ok(self.0.has(&file_name(MARK, id)?))
    }

    /// Keeps a systemid that was found out otherwise: no registration is in doubt any more.
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
    fn what_is_kept_is_found_again_whatever_the_id() {
        let place = tempfile::tempdir().unwrap();
        let registrations = Registrations::new(Folder::new(place.path()));
        for id in ["esx1.example.com", "a/b", "..", "é", "%"] {
            assert!(registrations.systemid(id).unwrap().is_none());
            let answer = Datum::members([("system_id", Datum::text(id))]);
            let begun = registrations.begin(id).unwrap();
            assert!(registrations.is_in_doubt(id).unwrap());
            assert!(registrations.systemid(id).unwrap().is_none());
            registrations.keep(begun, &answer).unwrap();
            assert_eq!(registrations.systemid(id).unwrap().unwrap().expose(), id);
            assert!(!registrations.is_in_doubt(id).unwrap());

            registrations.begin(id).unwrap().leave();
            assert!(registrations.is_in_doubt(id).unwrap());
            registrations.adopt(id, "another").unwrap();
            assert_eq!(registrations.systemid(id).unwrap().unwrap().expose(), "another");
            assert!(!registrations.is_in_doubt(id).unwrap());
        }
        assert!(place.path().join("hypervisor-systemid-esx1.example.com").exists());
    }

    #[test]
    fn a_damaged_file_is_named_and_not_taken_for_none() {
        let place = tempfile::tempdir().unwrap();
        let registrations = Registrations::new(Folder::new(place.path()));
        for content in ["", "cos\nsystem\n", "}."] {
            std::fs::write(place.path().join("hypervisor-systemid-h"), content).unwrap();
            let error = registrations.systemid("h").unwrap_err();
            assert!(
                error.to_string().contains("hypervisor-systemid-h can't be used"),
                "{error}"
            );
            assert_eq!(error.kind(), Kind::Io);
        }
    }
}
