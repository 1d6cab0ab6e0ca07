//! The plans that the server has accepted, stored so that an unchanged one is not sent again.
//!
//! The file is removed before anything is sent, and written when the report is done. So if a process is killed, the next report
//! sends everything, instead of taking what the server had before for what it has now.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::Classify as _;
use crate::secret::Secret;
use crate::state::{self, Folder};
use crate::text;
use crate::xmlrpc::Datum;

/// The file. virt-who ignores it.
const FILE: &str = "vw-report-sat5.json";
/// The limit for the file, in bytes. 100,000 hypervisors take a fifth of it.
const LARGEST: u64 = 64 << 20;
/// How long the server is taken to have what it has accepted. An administrator may have deleted a system meanwhile.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The accepted plans, by hypervisor.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accepted {
    plans: HashMap<String, Entry>,
}

/// An accepted plan.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    digest: String,
    /// When it was accepted, in seconds since 1970.
    time: u64,
}

impl Accepted {
    /// The plans accepted within the last day. None if the file is missing; if it can't be used, a warning says so.
    pub(super) fn read(folder: &Folder) -> Self {
        let content = match folder.read(FILE, LARGEST) {
            Ok(None) => return Accepted::default(),
            Ok(Some(content)) => content,
            Err(error) => {
                log::warn!("{}; sending everything", error.with_causes());
                return Accepted::default();
            }
        };
        match serde_json::from_slice::<Accepted>(&content) {
            Ok(mut accepted) => {
                let now = now();
                accepted.plans.retain(|_, entry| entry.is_recent(now));
                accepted
            }
            Err(error) => {
                let path = folder.path(FILE);
                log::warn!("{} is damaged ({error}); sending everything", path.display());
                Accepted::default()
            }
        }
    }

    /// Stores them.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), state::Error> {
        // Strings and numbers can always be written.
        let content = serde_json::to_vec(self).unwrap_or_default();
        folder.write(FILE, &content)
    }

    /// Whether the server has accepted the plan with this digest within the last day, and no other since.
    pub(super) fn covers(&self, id: &str, digest: &str) -> bool {
        let entry = self.plans.get(id);
        entry.is_some_and(|entry| entry.digest == digest && entry.is_recent(now()))
    }

    /// Records that the server has accepted a plan just now.
    pub(super) fn add(&mut self, id: &str, digest: String) {
        let entry = Entry { digest, time: now() };
        self.plans.insert(id.to_owned(), entry);
    }

    /// Records that it is unknown what the server has of a hypervisor.
    pub(super) fn remove(&mut self, id: &str) {
        self.plans.remove(id);
    }
}

impl Entry {
    fn is_recent(&self, now: u64) -> bool {
        // A time in the future comes from a wrong clock.
        let passed = now.checked_sub(self.time);
        passed.is_some_and(|passed| passed < LONGEST.as_secs())
    }
}

/// Removes the file. A warning says if that fails.
pub(super) fn forget(folder: &Folder) {
    let removed = folder
        .has(FILE)
        .then(|| folder.remove(FILE).and_then(|()| folder.sync()));
    if let Some(Err(error)) = removed {
        log::warn!("{}", error.with_causes());
    }
}

/// The digest of a plan's events for the system of a server. Another server, or another registration, makes it another digest.
pub(super) fn digest(server: &str, systemid: &Secret, events: &Datum<'_>) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [server, systemid.expose()] {
        context.update(&part.len().to_le_bytes());
        context.update(part.as_bytes());
    }
    let events = serde_json::to_vec(events).unwrap_or_default();
    context.update(&events);
    text::hex(context.finish().as_ref())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Guest, GuestState, Hypervisor};
    use crate::systems::satellite5::Registrant;
    use crate::systems::satellite5::plan::Plan;

    fn of(server: &str, systemid: &str, state: GuestState) -> String {
        let hypervisor = Hypervisor {
            guests: vec![Guest::new("1", state, "esx")],
            ..Hypervisor::new("h")
        };
        let registrant = Registrant {
            id: "h",
            kind: "esx",
            hypervisor: &hypervisor,
        };
        let systemid = Secret::from(systemid.to_owned());
        digest(server, &systemid, &Plan::of(&registrant).events)
    }

    #[test]
    fn a_plan_is_known_for_a_day_unless_anything_changes() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let known = of("s", "x", GuestState::Running);
        let mut accepted = Accepted::read(&folder);
        assert!(!accepted.covers("h", &known));
        accepted.add("h", known.clone());
        accepted.write(&folder).unwrap();

        let mut accepted = Accepted::read(&folder);
        assert!(accepted.covers("h", &known) && !accepted.covers("i", &known));
        for other in [
            of("s", "x", GuestState::ShutOff),
            of("s", "y", GuestState::Running),
            of("sx", "", GuestState::Running),
        ] {
            assert!(!accepted.covers("h", &other));
        }
        for (time, is_known) in [
            (now() - 86_000, true),
            (now() - 86_401, false),
            (now() + 1_000, false),
        ] {
            accepted.plans.get_mut("h").unwrap().time = time;
            assert_eq!(accepted.covers("h", &known), is_known, "{time}");
            accepted.write(&folder).unwrap();
            assert_eq!(
                Accepted::read(&folder).plans.len(),
                usize::from(is_known),
                "{time}"
            );
        }
        accepted.add("h", known.clone());
        accepted.write(&folder).unwrap();
        forget(&folder);
        forget(&folder);
        assert_eq!(Accepted::read(&folder), Accepted::default());
        accepted.remove("h");
        assert!(!accepted.covers("h", &known));
    }

    #[test]
    fn a_damaged_file_is_ignored() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        for content in ["", "{\"plans\":", "[]", "{\"plans\":{\"h\":1}}"] {
            std::fs::write(folder.path(FILE), content).unwrap();
            assert_eq!(Accepted::read(&folder), Accepted::default());
        }
    }
}
