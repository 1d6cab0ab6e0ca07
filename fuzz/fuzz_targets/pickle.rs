//! The files that keep systemids: a pickle is read as text, or it is damaged; a whole one is not confused with a part of it.

use vw::state::Folder;
use vw::systems::satellite5::pickle::{Error, text_of, write};
use vw::systems::satellite5::systemid::{Kept, Registrations};
use vw::xmlrpc::{Datum, is_sendable};

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

pub fn run(bytes: &[u8]) {
    let read = text_of(bytes, "system_id");
    match &read {
        Ok(text) => {
            // A byte of Python 2's texts may be two in UTF-8.
            assert!(
                text.len() <= 2 * bytes.len(),
                "{} bytes of {}",
                text.len(),
                bytes.len()
            );
            let answer = Datum::members([("other", Datum::Nil), ("system_id", Datum::text(text.as_str()))]);
            assert_eq!(text_of(&write(&answer), "system_id").as_ref(), Ok(text));
            // A pickle ends with its first STOP, so what follows does not matter, and a part is cut.
            assert_eq!(
                text_of(&[bytes, b"\x80more"].concat(), "system_id").as_ref(),
                Ok(text)
            );
        }
        Err(Error::Cut(at) | Error::Damaged(at)) => assert!(*at <= bytes.len()),
        Err(Error::Opcode { opcode, position }) => assert_eq!(bytes[*position], *opcode),
        Err(Error::Missing(name)) => assert_eq!(name, "system_id"),
    }
    FOLDER.with(|folder| {
        std::fs::write(folder.path().join("hypervisor-systemid-h"), bytes)
            .expect("a file that can be written");
        let kept = Registrations::new(Folder::new(folder.path()))
            .kept("h")
            .expect("a file that can be read");
        let usable = read
            .ok()
            .filter(|text| !text.trim().is_empty() && text.chars().all(is_sendable));
        match kept {
            Kept::Systemid(secret) => assert_eq!(Some(secret.expose()), usable.as_deref()),
            Kept::Damaged { reason, .. } => assert!(usable.is_none() && !reason.is_empty()),
            Kept::Nothing => panic!("there is a file"),
        }
    });
}
