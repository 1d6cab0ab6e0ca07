//! What the server accepted last, kept so that what did not change need not be sent again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{CheckIn, Error};
use crate::cancel::Cancel;
use crate::state::{Folder, Lock};

/// The largest file that is read, in bytes; the ids of 100,000 hypervisors take a tenth of it.
const LARGEST: u64 = 64 << 20;

/// What is reported, by whom and where to: each series has a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The server's address.
    pub server: String,
    /// The owner.
    pub owner: String,
    /// The reporter's id.
    pub reporter: String,
    /// The section that the document comes from.
    pub section: Option<String>,
}

/// What was accepted last in a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    // The name in the file is that of earlier versions.
    #[serde(rename = "place")]
    series: Series,
    /// The digest of what was sent; none while a report is under way, for then nobody knows what the server has.
    digest: Option<String>,
    /// When the server accepted it, in seconds since 1970.
    time: u64,
    /// The ids of the hypervisors.
    hypervisors: Vec<String>,
}

impl Accepted {
    /// What the server has accepted now, whole.
    pub fn new(series: Series, check_in: &CheckIn<'_>, digest: String) -> Self {
        Accepted {
            series,
            digest: Some(digest),
            time: now(),
            hypervisors: check_in.ids().map(str::to_owned).collect(),
        }
    }

    /// What was accepted last in this series. A file that can't be used means that nobody knows, and so everything is sent.
    pub fn read(folder: &Folder, series: &Series) -> Option<Self> {
        let name = file(series);
        let doubt = |reason: String| {
            log::warn!("{}: {reason}; reporting all of it", folder.path(&name).display());
        };
        let content = match folder.read(&name, LARGEST) {
            Ok(content) => content?,
            Err(error) => {
                doubt(std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string));
                return None;
            }
        };
        match serde_json::from_slice::<Accepted>(&content) {
            Ok(accepted) if accepted.series == *series => Some(accepted),
            Ok(_) => {
                doubt("it is about another report".to_owned());
                None
            }
            Err(error) => {
                doubt(format!("it is damaged: {error}"));
                None
            }
        }
    }

    /// Keeps it.
    pub fn write(&self, folder: &Folder) -> Result<(), Error> {
        let content = serde_json::to_vec(self).map_err(Error::Body)?;
        folder
            .prepare()
            .and_then(|()| folder.write(&file(&self.series), &content))
            .map_err(Error::State)
    }

    /// Notes that a report is under way: until it is accepted nobody knows what the server has.
    pub fn doubt(mut self, folder: &Folder) -> Result<(), Error> {
        match self.digest.take() {
            Some(_) => self.write(folder),
            None => Ok(()),
        }
    }

    /// Whether the server has this already, and was told all of it less than `age` ago.
    pub fn covers(&self, digest: &str, age: Duration) -> bool {
        // A time to come is that of a clock that was wrong.
        let passed = now().checked_sub(self.time);
        self.digest.as_deref() == Some(digest) && passed.is_some_and(|passed| passed < age.as_secs())
    }

    /// The hypervisors that were there and of which a document does not tell any more.
    pub fn vanished(&self, check_in: &CheckIn<'_>) -> Vec<String> {
        let ids = self.hypervisors.iter();
        ids.filter(|id| !check_in.knows(id)).cloned().collect()
    }

    /// Also keeps these hypervisors, which vanished but have not been cleared.
    pub fn add(&mut self, vanished: &[String]) {
        self.hypervisors.extend_from_slice(vanished);
    }

    /// How many hypervisors there were.
    pub fn hypervisors(&self) -> usize {
        self.hypervisors.len()
    }

    /// Keeps other runs from reporting in this series, as long as what is returned lives. Waits for one that does, but not
    /// beyond `until`.
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

/// The file of a series. An owner or section may hold anything, and all of it together be too long for a name.
fn file(series: &Series) -> String {
    let Series {
        server,
        owner,
        reporter,
        section,
    } = series;
    let text = format!(
        "{server}\n{owner}\n{reporter}\n{}",
        section.as_deref().unwrap_or_default()
    );
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let digits: String = digest.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("candlepin-{digits}.json")
}

fn now() -> u64 {
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
    fn what_was_accepted_is_known_again() {
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
