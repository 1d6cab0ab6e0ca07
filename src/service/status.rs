//! The status file of vw-run: what became of the last rounds of each section. It outlives the process, so that `-s` and the
//! metrics of a run by cron or a timer know earlier successes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::error::Kind;
use crate::state::{Error, Folder};

/// The name of the status file in the state folder.
pub const FILE: &str = "vw-run.json";
/// The lock for changes of the status file. Several processes, each with its own sections, may share a state folder.
const LOCK: &str = "vw-run.json.lock";
/// The longest wait for the lock. A change takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest status file, in bytes: some ten thousand sections.
const LIMIT: u64 = 16 << 20;

/// What became of one round of a section.
#[derive(Debug, Clone)]
pub struct Round {
    /// The time of the end.
    pub time: Timestamp,
    /// The duration in seconds.
    pub seconds: f64,
    /// What the scan found, if it succeeded.
    pub scanned: Option<Scanned>,
    /// The reporter's state, such as `finished`, if the destination accepted the report or part of it.
    pub accepted: Option<String>,
    /// Why the round failed, if it did: the kind of the true cause, and the message.
    pub failure: Option<(Kind, String)>,
}

/// The numbers of a mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// How many hypervisors it has.
    pub hypervisors: u64,
    /// How many guests it has.
    pub guests: u64,
    /// How many hypervisors and guests were left out.
    pub omitted: u64,
}

/// The content of the status file: what is known of each section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The sections by their names.
    pub sections: BTreeMap<String, Section>,
}

/// What is known of a section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// The last successful scan.
    pub source: Source,
    /// The last accepted report.
    pub destination: Destination,
    /// The last round, successful or not.
    pub round: Option<LastRound>,
    /// The time of the last round without any failure.
    pub last_success: Option<Timestamp>,
    /// How many rounds failed, by the kind of failure.
    pub failures: BTreeMap<String, u64>,
    /// How many rounds there were.
    pub rounds: u64,
}

/// The last successful scan of a section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// Its time.
    pub last_successful_retrieve: Option<Timestamp>,
    /// What it found.
    #[serde(flatten)]
    pub scanned: Option<Scanned>,
}

/// The last report of a section that its destination accepted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// Its time.
    pub last_successful_send: Option<Timestamp>,
    /// The reporter's state: `finished`, `partial`, `unchanged` or `sent`.
    pub last_successful_send_job_status: Option<String>,
}

/// The last round of a section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRound {
    /// The time of its end.
    pub time: Timestamp,
    /// Its duration in seconds.
    pub seconds: f64,
    /// The kind of failure, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Status {
    /// Reads the status file. A missing file is an empty status; a broken one, too, with a warning.
    pub fn read(folder: &Folder) -> Result<Self, Error> {
        let Some(content) = folder.read(FILE, LIMIT)? else {
            return Ok(Status::default());
        };
        Ok(serde_json::from_slice(&content).unwrap_or_else(|error| {
            let path = folder.path(FILE);
            log::warn!("{} is invalid and begins anew: {error}", path.display());
            Status::default()
        }))
    }

    /// Adds rounds to the status file, each with the name of its section, and returns what it then contains.
    ///
    /// Readers find the old content or the new one. `cancel` ends the wait for another process that is writing.
    pub fn add<'a>(
        folder: &Folder,
        rounds: impl IntoIterator<Item = (&'a str, &'a Round)>,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let _lock = folder.lock(LOCK, Some(Instant::now() + PATIENCE), cancel)?;
        let mut status = Status::read(folder)?;
        for (section, round) in rounds {
            status.sections.entry(section.to_owned()).or_default().add(round);
        }
        folder.write(FILE, &status.to_json())?;
        Ok(status)
    }

    fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys: writing them to memory can't fail.
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

impl Section {
    /// Adds a round. What a failed round does not know stays as it was.
    pub fn add(&mut self, round: &Round) {
        let time = whole_seconds(round.time);
        self.rounds += 1;
        if round.scanned.is_some() {
            self.source.last_successful_retrieve = Some(time);
            self.source.scanned = round.scanned;
        }
        if round.accepted.is_some() {
            self.destination.last_successful_send = Some(time);
            self.destination
                .last_successful_send_job_status
                .clone_from(&round.accepted);
        }
        let (kind, error) = round.failure.as_ref().map_or((None, None), |(kind, error)| {
            (Some(name(*kind).to_owned()), Some(error.clone()))
        });
        match &kind {
            Some(kind) => *self.failures.entry(kind.clone()).or_default() += 1,
            None => self.last_success = Some(time),
        }
        self.round = Some(LastRound {
            time,
            seconds: round.seconds,
            kind,
            error,
        });
    }
}

/// A time without its fraction.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The kinds of a round's failures, in the order of their statuses.
pub const KINDS: [&str; 11] = [
    "usage",
    "data",
    "noinput",
    "unavailable",
    "software",
    "io",
    "tempfail",
    "protocol",
    "noperm",
    "config",
    "signal",
];

/// The name of a kind of failure: that of sysexits(3), in lower case.
pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "usage",
        Kind::Data => "data",
        Kind::NoInput => "noinput",
        Kind::Unavailable => "unavailable",
        Kind::Software => "software",
        Kind::Io | Kind::ReaderGone => "io",
        Kind::TempFail => "tempfail",
        Kind::Protocol => "protocol",
        Kind::NoPerm => "noperm",
        Kind::Config => "config",
        Kind::Signal(_) => "signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn time(second: i64) -> Timestamp {
        Timestamp::new(second, 123_456_789).unwrap()
    }

    fn success(second: i64) -> Round {
        Round {
            time: time(second),
            seconds: 1.5,
            scanned: Some(Scanned {
                hypervisors: 5,
                guests: 25,
                omitted: 1,
            }),
            accepted: Some("finished".to_owned()),
            failure: None,
        }
    }

    fn failure(second: i64, kind: Kind) -> Round {
        Round {
            scanned: None,
            accepted: None,
            failure: Some((kind, "vc: connection refused".to_owned())),
            ..success(second)
        }
    }

    #[test]
    fn a_failed_round_keeps_the_last_successes() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("new"));
        let cancel = Cancel::default();
        assert_eq!(Status::read(&folder).unwrap(), Status::default());
        let (first, second) = (success(1_785_585_600), failure(1_785_589_200, Kind::TempFail));
        Status::add(&folder, [("prod", &first), ("lab", &second)], &cancel).unwrap();
        let status = Status::add(&folder, [("prod", &second)], &cancel).unwrap();
        assert_eq!(Status::read(&folder).unwrap(), status);
        let expected = concat!(
            r#"{"sections":{"lab":{"source":{"last_successful_retrieve":null},"destination":{"last_successful_send":null,"#,
            r#""last_successful_send_job_status":null},"round":{"time":"2026-08-01T13:00:00Z","seconds":1.5,"kind":"tempfail","#,
            r#""error":"vc: connection refused"},"last_success":null,"failures":{"tempfail":1},"rounds":1},"#,
            r#""prod":{"source":{"last_successful_retrieve":"2026-08-01T12:00:00Z","hypervisors":5,"guests":25,"omitted":1},"#,
            r#""destination":{"last_successful_send":"2026-08-01T12:00:00Z","last_successful_send_job_status":"finished"},"#,
            r#""round":{"time":"2026-08-01T13:00:00Z","seconds":1.5,"kind":"tempfail","error":"vc: connection refused"},"#,
            r#""last_success":"2026-08-01T12:00:00Z","failures":{"tempfail":1},"rounds":2}}}"#,
            "\n"
        );
        assert_eq!(fs::read_to_string(folder.path(FILE)).unwrap(), expected);
    }

    #[test]
    fn a_scan_may_succeed_and_its_report_fail() {
        let mut section = Section::default();
        section.add(&success(100));
        let refused = Round {
            scanned: success(0).scanned,
            ..failure(200, Kind::NoPerm)
        };
        section.add(&refused);
        assert_eq!(section.source.last_successful_retrieve.unwrap().as_second(), 200);
        assert_eq!(section.destination.last_successful_send.unwrap().as_second(), 100);
        // A report that was accepted in part is no success of the round.
        let partial = Round {
            accepted: Some("partial".to_owned()),
            failure: Some((Kind::Data, "2 hypervisors have the id x".to_owned())),
            ..success(300)
        };
        section.add(&partial);
        assert_eq!(section.destination.last_successful_send.unwrap().as_second(), 300);
        assert_eq!(section.last_success.unwrap().as_second(), 100);
    }

    #[test]
    fn an_invalid_file_is_replaced_and_a_newer_one_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        for content in [
            "",
            "{",
            "[]",
            r#"{"sections":[1]}"#,
            r#"{"sections":{"a":{"rounds":-1}}}"#,
        ] {
            fs::write(folder.path(FILE), content).unwrap();
            let round = success(1);
            let status = Status::add(&folder, [("a", &round)], &Cancel::default()).unwrap();
            assert_eq!(status.sections["a"].rounds, 1, "{content}");
        }
        fs::write(
            folder.path(FILE),
            r#"{"sections":{"a":{"rounds":7,"new":{}}},"version":2}"#,
        )
        .unwrap();
        assert_eq!(Status::read(&folder).unwrap().sections["a"].rounds, 7);
    }

    #[test]
    fn each_kind_has_a_name_of_the_list() {
        let signal = Kind::Signal(crate::cancel::Signal::Terminate);
        for kind in [
            Kind::Usage,
            Kind::Data,
            Kind::Io,
            Kind::ReaderGone,
            Kind::Config,
            signal,
        ] {
            assert!(KINDS.contains(&name(kind)));
        }
    }
}
