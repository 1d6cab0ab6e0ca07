//! The job that the server makes of a check-in: what the server says about it, and what that means.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::display_message;
use crate::backoff::Backoff;
use crate::text;

/// What precedes the ids in the answer to a check-in while another one of its owner runs.
const BLOCKED: &str = "Job blocked by the following existing jobs:";

/// The limit for the hypervisors in one list of a job.
const MOST_ENTRIES: usize = 500_000;

/// The limit for a job's id, in bytes. Ids of current servers have 32, ids of old ones about 60.
const LONGEST_ID: usize = 255;

/// How much of a server's text a message repeats, in characters.
const LONGEST_TEXT: usize = 500;

/// A job as the server describes it, in the answer to a check-in or to a question.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Job {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    /// Its state.
    pub(super) state: JobState,
    /// The lists of a finished job, the text of a failed one, null, or on old servers `"[cloaked]"`. It stays unparsed, because
    /// the values of a hostile answer need two hundred times its memory.
    #[serde(default, rename = "resultData")]
    data: Option<Box<RawValue>>,
    /// What old servers say about a failed job; their `resultData` is null then.
    #[serde(default)]
    result: Option<String>,
    /// When it ended.
    #[serde(default, rename = "endTime")]
    ended: Option<Box<RawValue>>,
    /// When it ended, on old servers.
    #[serde(default, rename = "finishTime")]
    finished: Option<Box<RawValue>>,
}

/// The states of a job.
///
/// CREATED, RUNNING, FINISHED, FAILED, CANCELED and ABORTED are those of current servers, where a blocked job is FAILED. On older
/// ones a second report of an owner is WAITING or PENDING until the first is done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) enum JobState {
    /// Accepted, not started.
    Created,
    /// Running.
    Running,
    /// In the queue of an older server.
    Waiting,
    /// In the queue of an older server.
    Pending,
    /// Done; what became of the hypervisors is in its result.
    Finished,
    /// Failed.
    Failed,
    /// Canceled by an administrator.
    Canceled,
    /// Ended by the server before it ran.
    Aborted,
    /// An unknown state, which counts as running.
    Unknown(String),
}

impl From<String> for JobState {
    fn from(text: String) -> Self {
        match text.as_str() {
            "CREATED" => JobState::Created,
            "RUNNING" => JobState::Running,
            "WAITING" => JobState::Waiting,
            "PENDING" => JobState::Pending,
            "FINISHED" => JobState::Finished,
            "FAILED" => JobState::Failed,
            "CANCELED" => JobState::Canceled,
            "ABORTED" => JobState::Aborted,
            _ => JobState::Unknown(shortened(&text)),
        }
    }
}

impl JobState {
    /// The server's name for it.
    pub(super) fn as_str(&self) -> &str {
        match self {
            JobState::Created => "CREATED",
            JobState::Running => "RUNNING",
            JobState::Waiting => "WAITING",
            JobState::Pending => "PENDING",
            JobState::Finished => "FINISHED",
            JobState::Failed => "FAILED",
            JobState::Canceled => "CANCELED",
            JobState::Aborted => "ABORTED",
            JobState::Unknown(text) => text,
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// Refused because these jobs were running: wait for them and send again.
    Blocked(Vec<String>),
    /// Done.
    Finished(Lists),
    /// Finished, but the server does not say what became of the hypervisors. The text says what it answered instead.
    NoLists(String),
    /// Failed; the text is the server's reason, or empty.
    Failed(String),
}

/// What became of the hypervisors of a check-in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lists {
    /// Hypervisors that are new to the server.
    #[serde(deserialize_with = "list")]
    pub(super) created: Vec<ListedHypervisor>,
    /// Hypervisors that the server changed.
    #[serde(deserialize_with = "list")]
    pub(super) updated: Vec<ListedHypervisor>,
    /// Hypervisors that were the same on the server.
    #[serde(deserialize_with = "list")]
    pub(super) unchanged: Vec<ListedHypervisor>,
    /// `<hypervisorId>: <reason>` for each hypervisor that the server refused.
    #[serde(deserialize_with = "list")]
    pub(super) failed_update: Vec<String>,
}

/// Reads an id, which must not be longer than [`LONGEST_ID`] because messages and result lines repeat it.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    match id.len() {
        ..=LONGEST_ID => Ok(id),
        length => Err(D::Error::custom(format!("an id of {length} bytes"))),
    }
}

/// Reads a list of at most [`MOST_ENTRIES`].
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(entry) = entries.next_element()? {
                if list.len() == MOST_ENTRIES {
                    return Err(A::Error::custom(format!("a list of more than {MOST_ENTRIES}")));
                }
                list.push(entry);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List(PhantomData))
}

/// A hypervisor in a job's lists. The server does not repeat the id that was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ListedHypervisor {
    /// The name that was sent, or the server's earlier one.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// The server's own id for it.
    #[serde(default)]
    pub(super) uuid: Option<String>,
}

impl Job {
    /// The server's time at the end of the job, in seconds since 1970, if the server says it.
    pub(super) fn ended(&self) -> Option<i64> {
        let times = [&self.ended, &self.finished];
        times
            .into_iter()
            .flatten()
            .find_map(|time| seconds(&read::<String>(time.get())?))
    }

    /// How the job ended; `None` if it has not.
    pub(super) fn end(&self) -> Option<End> {
        let data = self.data.as_deref().map_or("null", RawValue::get);
        Some(match self.state {
            JobState::Created
            | JobState::Running
            | JobState::Waiting
            | JobState::Pending
            | JobState::Unknown(_) => {
                return None;
            }
            JobState::Finished => match read::<String>(data) {
                _ if data == "null" => End::NoLists("its resultData is null".to_owned()),
                Some(text) if text == "[cloaked]" => End::NoLists("its resultData is cloaked".to_owned()),
                Some(text) => End::Failed(shortened(&text)),
                None => match serde_json::from_str(data) {
                    Ok(lists) => End::Finished(lists),
                    Err(error) => End::NoLists(shortened(&format!("its resultData: {error}"))),
                },
            },
            JobState::Failed | JobState::Canceled | JobState::Aborted => {
                // Some servers answer an object instead of a text.
                let text = read::<String>(data).or_else(|| display_message(data.as_bytes()));
                let text = text.or_else(|| self.result.clone()).unwrap_or_default();
                match text.strip_prefix(BLOCKED) {
                    Some(ids) => End::Blocked(ids_of(ids)),
                    None => End::Failed(shortened(&text)),
                }
            }
        })
    }
}

/// Seconds since 1970 of a time as Candlepin writes it, such as `2026-11-26T14:13:28+0000`.
pub(super) fn seconds(time: &str) -> Option<i64> {
    Some(time.parse::<Timestamp>().ok()?.as_second())
}

/// JSON as a value of this type, if it is one.
fn read<T: de::DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

fn ids_of(text: &str) -> Vec<String> {
    let ids = text.split(|c: char| c == ',' || c.is_whitespace());
    // Only one report of an owner runs at a time, so a longer list is hostile.
    ids.filter(|id| (1..=LONGEST_ID).contains(&id.len()))
        .take(10)
        .map(str::to_owned)
        .collect()
}

/// A text from the server, cut to a length that fits a message.
pub(super) fn shortened(text: &str) -> String {
    text::cut(text.trim(), LONGEST_TEXT).into_owned()
}

/// The pauses between two questions about a job: short at first for small reports, then longer, because large ones take minutes.
pub(super) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(250), Duration::from_secs(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recorded answer of a real server.
    macro_rules! recorded {
        ($name:literal) => {
            serde_json::from_slice::<Job>(include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/data/candlepin/",
                $name,
                ".json"
            )))
            .unwrap()
        };
    }

    fn job(state: &str, data: &str) -> Job {
        let text = format!(r#"{{"id":"j","state":"{state}","resultData":{data},"more":[1]}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn entries(names: &[(&str, &str)]) -> Vec<ListedHypervisor> {
        let entry = |(name, uuid): &(&str, &str)| ListedHypervisor {
            name: Some((*name).to_owned()),
            uuid: Some((*uuid).to_owned()),
        };
        names.iter().map(entry).collect()
    }

    #[test]
    fn an_accepted_job_has_not_ended_on_both_generations() {
        let job = recorded!("4.7.5-created");
        assert_eq!(job.id, "ff808081a20676b601a206783640000e");
        assert_eq!(job.end(), None);
        assert_eq!(recorded!("2.4.16-created").end(), None);
        assert_eq!(recorded!("2.4.16-waiting").state, JobState::Waiting);
        assert_eq!(recorded!("2.4.16-waiting").end(), None);
        assert_eq!(recorded!("2.4.16-cloaked").end(), None);
    }

    #[test]
    fn a_finished_job_lists_what_became_of_each_hypervisor() {
        let lists = |job: Job| match job.end() {
            Some(End::Finished(lists)) => lists,
            other => panic!("{other:?}"),
        };
        let new = lists(recorded!("4.7.5-finished"));
        let expected = [
            ("mv2", "f3669f60-6c30-4f25-b88d-64fe02296e48"),
            ("mv1", "06ad2062-ec22-490b-b591-ee106752be38"),
        ];
        assert_eq!(new.created, entries(&expected));
        let old = lists(recorded!("2.4.16-finished"));
        let expected = [("esx1.example.com", "64bdf371-8374-4bd1-a330-15027dfb36a9")];
        assert_eq!(old.unchanged, entries(&expected));
        assert_eq!(lists(recorded!("4.7.5-lost")), Lists::default());
        let refused = lists(recorded!("4.7.5-twice"));
        let text = "host-1: Unable to update hypervisor with id host-1 in org testowner";
        assert_eq!(refused.failed_update, [text]);
    }

    #[test]
    fn a_blocked_job_names_the_jobs_before_it() {
        let blocked = recorded!("4.7.5-blocked").end();
        let ids = vec!["ff808081a2067cf701a206841e365669".to_owned()];
        assert_eq!(blocked, Some(End::Blocked(ids)));
        for state in ["FAILED", "ABORTED"] {
            let two = job(state, r#""Job blocked by the following existing jobs: a, b""#);
            let ids = ["a", "b"].map(str::to_owned).to_vec();
            assert_eq!(two.end(), Some(End::Blocked(ids)), "{state}");
        }
    }

    #[test]
    fn a_failed_job_gives_its_reason() {
        let reason = |job: Job| match job.end() {
            Some(End::Failed(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let text = "org.candlepin.async.JobExecutionException: Cannot invoke";
        assert!(reason(recorded!("4.7.5-failed")).starts_with(text));
        assert!(reason(recorded!("2.4.16-failed")).starts_with("Cannot invoke"));
        let with_message = job("FAILED", r#"{"displayMessage":"must be positive"}"#);
        assert_eq!(reason(with_message), "must be positive");
        assert_eq!(reason(job("CANCELED", "null")), "");
        assert_eq!(
            reason(job("ABORTED", r#""the server stops""#)),
            "the server stops"
        );
        // A text instead of lists means failure, whatever the state says.
        assert_eq!(reason(job("FINISHED", r#""no way""#)), "no way");
        assert!(reason(recorded!("4.7.5-heartbeat")).starts_with("Last hypervisor check-in"));
        let long = format!("\"{}\"", "ü".repeat(10_000));
        assert_eq!(reason(job("FAILED", &long)).chars().count(), LONGEST_TEXT + 1);
    }

    #[test]
    fn a_finished_job_without_lists_is_not_a_success() {
        for data in ["null", r#""[cloaked]""#, "[]", "{}", r#"{"created":[]}"#, "7"] {
            assert!(
                matches!(job("FINISHED", data).end(), Some(End::NoLists(_))),
                "{data}"
            );
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_refused() {
        let lists = |entries: usize| {
            let created = vec!["{}"; entries].join(",");
            let data = format!(r#"{{"created":[{created}],"updated":[],"unchanged":[],"failedUpdate":[]}}"#);
            job("FINISHED", &data).end()
        };
        assert!(
            matches!(lists(MOST_ENTRIES), Some(End::Finished(lists)) if lists.created.len() == MOST_ENTRIES)
        );
        let Some(End::NoLists(reason)) = lists(MOST_ENTRIES + 1) else {
            panic!("not refused");
        };
        assert!(reason.contains("more than 500000"), "{reason}");
    }

    #[test]
    fn an_unknown_state_is_waited_for_and_shown() {
        let odd = job("RESTING", "null");
        assert_eq!(odd.state.to_string(), "RESTING");
        assert_eq!(odd.end(), None);
    }

    #[test]
    fn an_answer_that_is_not_a_job_is_an_error() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"id":"x"}"#,
            r#"{"id":1,"state":"X"}"#,
            &format!(r#"{{"id":"{}","state":"X"}}"#, "x".repeat(LONGEST_ID + 1)),
        ] {
            assert!(serde_json::from_str::<Job>(body).is_err(), "{body}");
        }
    }
}
