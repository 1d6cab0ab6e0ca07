//! The systemids of the registered hypervisors, in files that virt-who reads and writes, too.
//!
//! A systemid is the server's signed certificate for one profile. Its text is opaque here, and secret: whoever has it can
//! report as that hypervisor. A file has the server's whole answer to the registration, as a Python pickle.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::pickle;
use crate::cancel::Cancel;
use crate::error::{Classify, Kind};
use crate::secret::Secret;
use crate::state::{self, Folder, Lock, Reserved, file_name};
use crate::xmlrpc::{Datum, is_sendable};

/// The name of a hypervisor's file, before the id.
const PREFIX: &str = "hypervisor-systemid-";
/// The name of the file that marks a registration in progress, before the hypervisor's id.
const MARK: &str = "hypervisor-pending-";
/// The largest file that is read, in bytes; virt-who's have about two thousand.
const LARGEST: u64 = 1 << 20;
/// How many bytes are reserved for the answer to a registration.
const ROOM: usize = 4 << 10;
/// What a damaged file is called after its name, before a number.
const DAMAGED: &str = "damaged";
/// The file that names the server whose registrations are in the folder itself.
const OWNER: &str = "vw-report-sat5.server";
/// The name of the folder with another server's registrations, before the server.
const OTHER: &str = "vw-report-sat5-";
/// The lock file of processes that register.
const LOCK: &str = "vw-report-sat5.lock";

/// A systemid could not be looked up or stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] state::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::File(error) => error.kind(),
        }
    }
}

/// What is kept of a hypervisor's registration.
#[derive(Debug)]
pub enum Kept {
    /// There is no file.
    Nothing,
    /// Its systemid.
    Systemid(Secret),
    /// Its file is damaged, or something else.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The systemids in a folder.
#[derive(Debug, Clone)]
pub struct Registrations(Folder);

impl Registrations {
    /// The systemids in `folder`, which is created when it is needed.
    pub fn new(folder: Folder) -> Self {
        Registrations(folder)
    }

    /// The systemids of a server in `folder`: in the folder itself, where virt-who has them too, or in a folder below it if those
    /// are another server's. A systemid does not say whose it is.
    pub fn of(server: &str, folder: Folder) -> Result<Self, Error> {
        // A folder that can't be used is an error of each hypervisor's registration, which names it.
        let owner = match folder.has(OWNER) {
            true => folder.read(OWNER, LARGEST)?,
            false => None,
        };
        let owner = owner.as_deref().map(String::from_utf8_lossy);
        Ok(Registrations(match owner {
            Some(owner) if owner.trim() != server => Folder::new(folder.path(&file_name(OTHER, server))),
            _ => folder,
        }))
    }

    /// Like [`Registrations::of`], for a report: what is in the folder becomes the server's if it is nobody's yet.
    pub fn claim(server: &str, folder: Folder) -> Result<Self, Error> {
        folder.prepare()?;
        folder.create(Path::new(OWNER), format!("{server}\n").as_bytes())?;
        Registrations::of(server, folder)
    }

    /// Keeps other processes from registering, for as long as the lock lives. Waits until `until` for a process that has the
    /// lock.
    pub fn lock(&self, until: Option<Instant>, cancel: &Cancel) -> Result<Lock, Error> {
        Ok(self.0.lock(LOCK, until, cancel)?)
    }

    /// What is kept of the hypervisor `id`.
    pub fn kept(&self, id: &str) -> Result<Kept, Error> {
        let name = file_name(PREFIX, id);
        let damaged = |reason: String| {
            let path = self.0.path(&name);
            Ok(Kept::Damaged { path, reason })
        };
        match self.0.read(&name, LARGEST) {
            Ok(None) => Ok(Kept::Nothing),
            Ok(Some(file)) => match pickle::text_of(&file, "system_id") {
                Ok(text) if text.trim().is_empty() => damaged("its systemid is empty".to_owned()),
                Ok(text) if !text.chars().all(is_sendable) => {
                    damaged("its systemid has characters that can't be sent".to_owned())
                }
                Ok(text) => Ok(Kept::Systemid(Secret::from(text))),
                Err(error) => damaged(error.to_string()),
            },
            Err(state::Error::TooLarge { limit, .. }) => damaged(format!("it is larger than {limit} bytes")),
            Err(state::Error::NotAFile { .. }) => damaged("it is not a regular file".to_owned()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the damaged file of the hypervisor `id` another name, which it returns.
    pub fn set_aside(&self, id: &str) -> Result<PathBuf, Error> {
        Ok(self.0.set_aside(&file_name(PREFIX, id), DAMAGED)?)
    }

    /// Whether the registration of another hypervisor than `id` is that of the system with this number.
    pub fn has_system(&self, number: i64, id: &str) -> Result<bool, Error> {
        let number = format!("ID-{number}");
        let own = file_name(PREFIX, id);
        let is_other = |name: &String| *name != own && !is_set_aside(name);
        for name in self.0.names(PREFIX)?.into_iter().filter(is_other) {
            // What is not a file of ours has no registration either.
            if let Ok(Some(file)) = self.0.read(&name, LARGEST)
                && names_system(&file, number.as_bytes())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes what was stored survive a crash of the machine.
    pub fn sync(&self) -> Result<(), Error> {
        Ok(self.0.sync()?)
    }

    /// The folder.
    pub fn folder(&self) -> &Folder {
        &self.0
    }

    /// Makes sure that the answer to the registration of `id` can be stored, and marks the registration as in progress.
    ///
    /// If an answer could not be stored each report would register the hypervisor once more.
    pub fn begin(&self, id: &str) -> Result<Reserved, Error> {
        let (name, mark) = (file_name(PREFIX, id), file_name(MARK, id));
        Ok(self.0.reserve(&name, &mark, ROOM)?)
    }

    /// Stores the answer to a registration, in place of an older one.
    pub fn keep(&self, reserved: Reserved, answer: &Datum<'_>) -> Result<(), Error> {
        Ok(reserved.write(&pickle::write(answer))?)
    }

    /// Whether a registration of `id` was begun, and its answer was lost.
    pub fn is_in_doubt(&self, id: &str) -> bool {
        self.0.has(&file_name(MARK, id))
    }
}

/// Whether a file was damaged, and is no registration any more.
fn is_set_aside(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name.strip_suffix('-').is_some_and(|name| name.ends_with(DAMAGED))
}

/// Whether a file has the id of a system, such as `ID-1000010000`. It is the same text in a pickle of any protocol.
fn names_system(file: &[u8], id: &[u8]) -> bool {
    let ends = |end: usize| !file.get(end).is_some_and(u8::is_ascii_digit);
    let mut windows = file.windows(id.len()).enumerate();
    windows.any(|(start, window)| window == id && ends(start + id.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn systemid(registrations: &Registrations, id: &str) -> Option<String> {
        match registrations.kept(id).unwrap() {
            Kept::Systemid(systemid) => Some(systemid.expose().to_owned()),
            Kept::Nothing => None,
            damaged @ Kept::Damaged { .. } => panic!("{damaged:?}"),
        }
    }

    #[test]
    fn a_systemid_is_found_again_whatever_the_id() {
        let folder = tempfile::tempdir().unwrap();
        let registrations = Registrations::new(Folder::new(folder.path()));
        let long = "é/".repeat(300);
        for id in [
            "esx1.example.com",
            "a/b",
            "..",
            "../../x",
            "a\0b",
            "é",
            "%",
            &long,
        ] {
            assert!(systemid(&registrations, id).is_none());
            let answer = Datum::members([("system_id", Datum::text(id.replace('\0', "")))]);
            let reserved = registrations.begin(id).unwrap();
            assert!(registrations.is_in_doubt(id));
            assert!(systemid(&registrations, id).is_none());
            registrations.keep(reserved, &answer).unwrap();
            assert_eq!(systemid(&registrations, id).unwrap(), id.replace('\0', ""));
            assert!(!registrations.is_in_doubt(id));
            registrations.begin(id).unwrap().leave();
            assert!(registrations.is_in_doubt(id));
        }
        let names = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(names.count(), 16, "none is in another folder");
        let plain = folder.path().join("hypervisor-systemid-esx1.example.com");
        assert!(plain.exists());
    }

    #[test]
    fn each_server_has_its_own_registrations_and_the_first_has_what_is_there() {
        let place = tempfile::tempdir().unwrap();
        let folder = || Folder::new(place.path().join("state"));
        let keep = |registrations: &Registrations, text: &str| {
            registrations.folder().prepare().unwrap();
            let answer = Datum::members([("system_id", Datum::text(text))]);
            registrations
                .keep(registrations.begin("h").unwrap(), &answer)
                .unwrap();
        };
        keep(&Registrations::new(folder()), "of virt-who");
        for server in ["https://a", "https://b/x", "https://b/y"] {
            // Before its first report nothing is decided.
            Registrations::of(server, folder()).unwrap();
        }
        let first = Registrations::claim("https://a", folder()).unwrap();
        assert_eq!(systemid(&first, "h").as_deref(), Some("of virt-who"));
        for server in ["https://b/x", "https://b/y"] {
            let other = Registrations::claim(server, folder()).unwrap();
            assert_eq!(systemid(&other, "h"), None);
            keep(&other, server);
        }
        for (server, expected) in [
            ("https://a", "of virt-who"),
            ("https://b/x", "https://b/x"),
            ("https://b/y", "https://b/y"),
        ] {
            let registrations = Registrations::of(server, folder()).unwrap();
            assert_eq!(systemid(&registrations, "h").as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let registrations = Registrations::new(Folder::new(folder.path()));
        let path = folder.path().join("hypervisor-systemid-h");
        let contents = [
            "",
            "cos\nsystem\n",
            "}.",
            "(dp0\nS'system_id'\nS' '\ns.",
            "(dp0\nS'system_id'\nS'\\x01'\ns.",
            &"x".repeat((1 << 20) + 1),
        ];
        for (number, content) in contents.iter().enumerate() {
            std::fs::write(&path, content).unwrap();
            let kept = registrations.kept("h").unwrap();
            assert!(matches!(kept, Kept::Damaged { path: named, .. } if named == path));
            let aside = registrations.set_aside("h").unwrap();
            let name = format!("hypervisor-systemid-h.damaged-{}", number + 1);
            assert_eq!(aside, folder.path().join(name));
            assert!(matches!(registrations.kept("h").unwrap(), Kept::Nothing));
        }
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(registrations.kept("h").unwrap(), Kept::Damaged { .. }));
        registrations.set_aside("h").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_system_of_another_hypervisor_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let registrations = Registrations::new(Folder::new(folder.path()));
        let systemid = "<name>system_id</name><value><string>ID-1000010012</string></value>";
        let answer = Datum::members([("system_id", Datum::text(systemid))]);
        registrations
            .keep(registrations.begin("h").unwrap(), &answer)
            .unwrap();
        for (number, known) in [(1000010012, true), (100001001, false), (2, false)] {
            assert_eq!(registrations.has_system(number, "i").unwrap(), known, "{number}");
            assert!(!registrations.has_system(number, "h").unwrap());
        }
        registrations.set_aside("h").unwrap();
        assert!(!registrations.has_system(1000010012, "i").unwrap());
    }
}
