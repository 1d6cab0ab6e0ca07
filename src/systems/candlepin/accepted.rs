//! The last accepted report, stored so that an unchanged mapping is not sent again.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::missing::MissingHypervisor;
use super::{CheckIn, Error};
use crate::cancel::Cancel;
use crate::state::{Folder, Lock};
use crate::text;

/// The limit for a stored file, in bytes. The ids of 100,000 hypervisors take a tenth of it.
const LARGEST: u64 = 64 << 20;

/// The beginning of a file's name.
const PREFIX: &str = "candlepin-";
/// The end of a file's name.
const SUFFIX: &str = ".json";

/// What distinguishes the reports that replace each other from all others. Each series has a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The server's address.
    pub server: String,
    /// The owner.
    pub owner: String,
    /// The reporter's id.
    pub reporter: String,
    /// The section that reports the document, and that of its scan if it is another one.
    pub section: Option<String>,
}

/// The last accepted report of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    // The name in the file is that of earlier versions.
    #[serde(rename = "place")]
    series: Series,
    /// The digest of what was sent; `None` while a report is under way, because the server's state is unknown then.
    digest: Option<String>,
    /// When the server accepted it, in seconds since 1970.
    time: u64,
    /// The ids of the hypervisors.
    hypervisors: Vec<String>,
    /// Their names, in the same order. Earlier versions stored none.
    #[serde(default)]
    names: Vec<Option<String>>,
    /// The server's time when the report ended, in seconds since 1970, if the server said it.
    #[serde(default)]
    reported: Option<i64>,
    /// The server's time when the last heartbeat ended. A heartbeat renews the check-in of all hypervisors of a reporter.
    #[serde(default)]
    heartbeat: Option<i64>,
    /// Hypervisors that were reported before and are not any more, if vanished ones are deleted.
    #[serde(default)]
    pub(super) missing: Vec<MissingHypervisor>,
}

impl Accepted {
    /// A report that the server has accepted completely, just now.
    pub fn new(series: Series, check_in: &CheckIn<'_>, digest: String) -> Self {
        Accepted {
            series,
            digest: Some(digest),
            time: now(),
            hypervisors: check_in.ids().map(str::to_owned).collect(),
            names: check_in.names().map(|name| name.map(str::to_owned)).collect(),
            reported: None,
            heartbeat: None,
            missing: Vec::new(),
        }
    }

    /// The last accepted report of a series. `None` if there is none, or if its file can't be used; a warning says so.
    pub fn read(folder: &Folder, series: &Series) -> Option<Self> {
        let name = file(series);
        let reason = match Accepted::read_file(folder, &name) {
            Ok(None) => return None,
            Ok(Some(accepted)) if accepted.series == *series => return Some(accepted),
            Ok(Some(_)) => "it belongs to another report".to_owned(),
            Err(reason) => reason,
        };
        log::warn!("{}: {reason}; reporting everything", folder.path(&name).display());
        None
    }

    /// The content of a file; the error says why it can't be used.
    fn read_file(folder: &Folder, name: &str) -> Result<Option<Self>, String> {
        let content = folder.read(name, LARGEST);
        let content = content.map_err(|error| {
            std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string)
        })?;
        let read = content.map(|content| serde_json::from_slice(&content));
        read.transpose()
            .map_err(|error| format!("it is damaged: {error}"))
    }

    /// The last accepted reports of all other series for the same owner of the same server. `None` if a file can't be read; a
    /// warning says so.
    pub fn others(folder: &Folder, series: &Series) -> Option<Vec<Self>> {
        let mut others = Vec::new();
        let own = file(series);
        let names = folder.names(PREFIX).map_err(|error| error.to_string());
        let names = names.inspect_err(|reason| log::warn!("{reason}")).ok()?;
        let is_state = |name: &String| name.ends_with(SUFFIX) && *name != own;
        for name in names.into_iter().filter(is_state) {
            match Accepted::read_file(folder, &name) {
                Ok(other) => others.extend(other.filter(|other| {
                    (&other.series.server, &other.series.owner) == (&series.server, &series.owner)
                })),
                Err(reason) => {
                    log::warn!("{}: {reason}", folder.path(&name).display());
                    return None;
                }
            }
        }
        Some(others)
    }

    /// Stores it.
    pub fn write(&self, folder: &Folder) -> Result<(), Error> {
        let content = serde_json::to_vec(self).map_err(Error::Body)?;
        folder
            .prepare()
            .and_then(|()| folder.write(&file(&self.series), &content))
            .map_err(Error::State)
    }

    /// Marks the server's state as unknown, until a report has been accepted.
    pub fn doubt(&self, folder: &Folder) -> Result<(), Error> {
        match self.digest {
            Some(_) => Accepted {
                digest: None,
                ..self.clone()
            }
            .write(folder),
            None => Ok(()),
        }
    }

    /// Whether the server has this already, from a report less than `age` ago.
    pub fn covers(&self, digest: &str, age: Duration) -> bool {
        // A time in the future comes from a wrong clock.
        let passed = now().checked_sub(self.time);
        self.digest.as_deref() == Some(digest) && passed.is_some_and(|passed| passed < age.as_secs())
    }

    /// The hypervisors of this report that a document does not mention any more.
    pub fn vanished(&self, check_in: &CheckIn<'_>) -> Vec<String> {
        let ids = self.hypervisors.iter();
        ids.filter(|id| !check_in.knows(id)).cloned().collect()
    }

    /// Adds hypervisors that vanished but have not been cleared.
    pub fn add(&mut self, vanished: &[String]) {
        self.hypervisors.extend_from_slice(vanished);
        self.names.resize(self.hypervisors.len(), None);
    }

    /// The hypervisors that this report, or an earlier one, held and that a check-in does not send.
    pub(super) fn missing_from(&self, check_in: &CheckIn<'_>) -> Vec<MissingHypervisor> {
        let sent: HashSet<String> = check_in.ids().map(str::to_lowercase).collect();
        let earlier = self.missing.iter().cloned();
        let names = self
            .names
            .iter()
            .map(Option::as_deref)
            .chain(std::iter::repeat(None));
        let last = self.hypervisors.iter().zip(names);
        let last = last.map(|(id, name)| MissingHypervisor::new(id, name, self.reported));
        let all = earlier.chain(last);
        all.filter(|missing| !sent.contains(&missing.id.to_lowercase()))
            .collect()
    }

    /// Whether it holds this hypervisor of another series. An older report than the last one of that series does not count: the
    /// section may have been renamed since.
    pub(super) fn holds(&self, missing: &MissingHypervisor) -> bool {
        let id = missing.id.to_lowercase();
        let confirmed = self.reported.max(self.heartbeat);
        let is_older = confirmed.is_some() && confirmed < missing.reported;
        !is_older && self.hypervisors.iter().any(|held| held.to_lowercase() == id)
    }

    /// Whether a hypervisor has vanished and is not deleted yet.
    pub(super) fn has_vanished(&self) -> bool {
        self.missing.iter().any(MissingHypervisor::has_vanished)
    }

    /// Whether both are of the same reporter.
    pub(super) fn has_reporter_of(&self, other: &Self) -> bool {
        self.series.reporter == other.series.reporter
    }

    /// The server's time of the last heartbeat, in seconds since 1970.
    pub(super) fn heartbeat(&self) -> Option<i64> {
        self.heartbeat
    }

    /// The same, accepted just now. `time` is the server's, in seconds since 1970.
    pub(super) fn reported_at(self, time: Option<i64>) -> Self {
        Accepted {
            time: now(),
            reported: time,
            ..self
        }
    }

    /// The same report, with what an equal one says that was not sent: the last heartbeat, and what is missing.
    pub(super) fn confirmed(&self, equal: Self) -> Self {
        Accepted {
            heartbeat: equal.heartbeat,
            missing: equal.missing,
            ..self.clone()
        }
    }

    /// Notes a heartbeat at this time, in seconds since 1970.
    pub(super) fn heartbeat_at(&mut self, time: Option<i64>) {
        self.heartbeat = self.heartbeat.max(time);
    }

    /// The number of hypervisors.
    pub fn hypervisors(&self) -> usize {
        self.hypervisors.len()
    }

    /// Takes the lock of a series, so that only one run at a time reports it. Waits for another run until `until`.
    pub fn lock(
        folder: &Folder,
        series: &Series,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Result<Lock, Error> {
        let name = file(series) + ".lock";
        folder
            .lock(&name, until, cancel)
            .map_err(|error| match error.is_of_waiting() {
                true => Error::Locked(error),
                false => Error::State(error),
            })
    }
}

/// The file of a series. Its name is a digest, because owner and section may contain anything and be too long for a name.
fn file(series: &Series) -> String {
    let Series {
        server,
        owner,
        reporter,
        section,
    } = series;
    let identity = format!(
        "{server}\n{owner}\n{reporter}\n{}",
        section.as_deref().unwrap_or_default()
    );
    let digest = ring::digest::digest(&ring::digest::SHA256, identity.as_bytes());
    format!("{PREFIX}{}{SUFFIX}", text::hex(&digest.as_ref()[..16]))
}

/// Our time, in seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    const DAY: Duration = Duration::from_secs(86_400);

    fn series() -> Series {
        Series {
            server: "https://sub.example.com/candlepin".to_owned(),
            owner: "an/owner".to_owned(),
            reporter: "me".to_owned(),
            section: None,
        }
    }

    #[test]
    fn an_accepted_report_is_recognised() {
        let text = r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"B","guests":[]}]}"#;
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        let check_in = CheckIn::new(&mapping);
        let digest = check_in.digest().unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().join("state"));
        assert_eq!(Accepted::read(&folder, &series()), None);

        let accepted = Accepted::new(series(), &check_in, digest.clone());
        accepted.write(&folder).unwrap();
        let read = Accepted::read(&folder, &series()).unwrap();
        assert_eq!(read, accepted);
        assert!(
            read.covers(&digest, DAY) && !read.covers("other", DAY) && !read.covers(&digest, Duration::ZERO)
        );
        let other = Series {
            section: Some("x".to_owned()),
            ..series()
        };
        assert_eq!(Accepted::read(&folder, &other), None);

        let fewer = Reader::new(&br#"{"hypervisors":[{"uuid":"b","guests":[]}]}"#[..]).next_mapping();
        let fewer = fewer.unwrap().unwrap();
        assert_eq!(
            (read.vanished(&CheckIn::new(&fewer)), read.hypervisors()),
            (vec!["a".to_owned()], 2)
        );
        read.doubt(&folder).unwrap();
        let doubted = Accepted::read(&folder, &series()).unwrap();
        assert!(!doubted.covers(&digest, DAY));
        assert_eq!(doubted.hypervisors(), 2);
        let ahead = Accepted {
            time: now() + 100,
            ..accepted
        };
        assert!(!ahead.covers(&digest, DAY));

        std::fs::write(folder.path(&file(&series())), "{\"place\":").unwrap();
        assert_eq!(Accepted::read(&folder, &series()), None);
    }
}
