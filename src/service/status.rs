//! The status file of vw-run: what became of the last rounds of each section. It outlives the process, so that `-s` and the
//! metrics of a run by cron or a timer know earlier successes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::cancel::Cancel;
use crate::error::Kind;
use crate::state::{Error, Folder};

/// The name of the section that is made of `VIRTWHO_*` variables. It is virt-who's.
pub const VARIABLES: &str = "env/cmdline";
/// The name of the status file in the state folder.
pub const FILE: &str = "vw-run.json";
/// The lock for changes of the status file. Several processes, each with its own sections, may share a state folder.
const LOCK: &str = "vw-run.json.lock";
/// The longest wait for the lock. A change takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest status file, in bytes: some ten thousand sections.
const LIMIT: u64 = 16 << 20;

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
            log::warn!("{} is invalid and is replaced: {error}", path.display());
            Status::default()
        }))
    }

    /// Replaces what the status file says of these sections.
    ///
    /// Readers find the old content or the new one. `cancel` ends the wait for another process that is writing.
    pub fn replace(
        folder: &Folder,
        sections: &BTreeMap<String, Section>,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let _lock = folder.lock(LOCK, Some(Instant::now() + PATIENCE), cancel)?;
        let mut status = Status::read(folder)?;
        let sections = sections
            .iter()
            .map(|(name, section)| (name.clone(), section.clone()));
        status.sections.extend(sections);
        folder.write(FILE, &status.to_json())
    }

    fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys: writing them to memory can't fail.
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

impl Section {
    /// Adds what came of a round. What a failed round does not know stays as it was.
    pub fn add(&mut self, outcome: &Outcome) {
        let time = whole_seconds(outcome.time);
        self.rounds = self.rounds.saturating_add(1);
        if outcome.is_scanned {
            self.source.last_successful_retrieve = Some(time);
            self.source.scanned = Scanned::of(outcome).or(self.source.scanned);
        }
        if outcome.is_sent() {
            let state = outcome.line.as_ref().and_then(|line| line.text("state"));
            self.destination.last_successful_send = Some(time);
            self.destination.last_successful_send_job_status = state.map(str::to_owned);
        }
        let kind = outcome.kind().map(|kind| name(kind).to_owned());
        match &kind {
            Some(kind) => {
                let number = self.failures.entry(kind.clone()).or_default();
                *number = number.saturating_add(1);
            }
            None => self.last_success = Some(time),
        }
        self.round = Some(LastRound {
            time,
            seconds: outcome.duration.as_millis() as f64 / 1000.0,
            kind,
            error: outcome.failure.as_ref().map(|failure| failure.message.clone()),
        });
    }
}

impl Scanned {
    /// The numbers of a result line, if there is one.
    fn of(outcome: &Outcome) -> Option<Self> {
        Some(Scanned {
            hypervisors: outcome.number("hypervisors")?,
            guests: outcome.number("guests")?,
            omitted: outcome.number("omitted")?,
        })
    }
}

/// The name of an outcome's section in the status file.
pub fn section_name(outcome: &Outcome) -> &str {
    outcome.section.as_deref().unwrap_or(VARIABLES)
}

/// A time without its fraction. A time outside the calendar's range becomes the beginning of 1970.
fn whole_seconds(time: SystemTime) -> Timestamp {
    let time = Timestamp::try_from(time).unwrap_or_default();
    Timestamp::from_second(time.as_second()).unwrap_or_default()
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
    use crate::service::{Failure, ResultLine};
    use std::fs;

    fn success(second: u64) -> Outcome {
        let line = r#"{"state":"finished","hypervisors":5,"guests":25,"omitted":1}"#;
        Outcome {
            section: None,
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(second * 1000 + 999),
            duration: Duration::from_micros(1_500_001),
            is_scanned: true,
            line: ResultLine::parse(line),
            failure: None,
        }
    }

    fn failure(second: u64, kind: Kind) -> Outcome {
        let failure = Failure {
            stage: "vw-scan-esx".to_owned(),
            kind,
            message: "vc: connection refused".to_owned(),
        };
        Outcome {
            is_scanned: false,
            line: None,
            failure: Some(failure),
            ..success(second)
        }
    }

    fn of(name: &str, outcome: &Outcome) -> BTreeMap<String, Section> {
        let mut section = Section::default();
        section.add(outcome);
        BTreeMap::from([(name.to_owned(), section)])
    }

    #[test]
    fn a_failed_round_keeps_the_last_successes() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("new"));
        let cancel = Cancel::default();
        assert_eq!(Status::read(&folder).unwrap(), Status::default());
        let failed = failure(1_785_589_200, Kind::TempFail);
        let mut sections = of("lab", &failed);
        sections.extend(of("prod", &success(1_785_585_600)));
        Status::replace(&folder, &sections, &cancel).unwrap();
        let mut prod = Status::read(&folder).unwrap().sections.remove("prod").unwrap();
        prod.add(&failed);
        let prod = BTreeMap::from([("prod".to_owned(), prod)]);
        Status::replace(&folder, &prod, &cancel).unwrap();
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
        let refused = Outcome {
            is_scanned: true,
            line: ResultLine::parse(r#"{"state":"failed","hypervisors":6,"guests":30,"omitted":0}"#),
            ..failure(200, Kind::NoPerm)
        };
        section.add(&refused);
        assert_eq!(section.source.last_successful_retrieve.unwrap().as_second(), 200);
        assert_eq!(section.source.scanned.unwrap().hypervisors, 6);
        assert_eq!(section.destination.last_successful_send.unwrap().as_second(), 100);
        // A reporter that was killed prints no line.
        section.add(&Outcome {
            line: None,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(250),
            ..refused
        });
        assert_eq!(section.source.last_successful_retrieve.unwrap().as_second(), 250);
        assert_eq!(section.source.scanned.unwrap().hypervisors, 6);
        // A report that was accepted in part is no success of the round.
        section.add(&Outcome {
            is_scanned: true,
            line: ResultLine::parse(r#"{"state":"partial","hypervisors":6,"guests":30,"omitted":0}"#),
            ..failure(300, Kind::Data)
        });
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
            Status::replace(&folder, &of("a", &success(1)), &Cancel::default()).unwrap();
            assert_eq!(
                Status::read(&folder).unwrap().sections["a"].rounds,
                1,
                "{content}"
            );
        }
        fs::write(
            folder.path(FILE),
            r#"{"sections":{"a":{"rounds":7,"new":{}}},"version":2}"#,
        )
        .unwrap();
        assert_eq!(Status::read(&folder).unwrap().sections["a"].rounds, 7);
        let most = format!(
            r#"{{"sections":{{"a":{{"rounds":{0},"failures":{{"tempfail":{0}}}}}}}}}"#,
            u64::MAX
        );
        fs::write(folder.path(FILE), most).unwrap();
        let mut full = Status::read(&folder).unwrap().sections.remove("a").unwrap();
        full.add(&failure(1, Kind::TempFail));
        assert_eq!((full.rounds, full.failures["tempfail"]), (u64::MAX, u64::MAX));
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
