//! The deletion of hypervisors that have vanished. It can't be undone, so everything is checked again before each one.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use super::accepted::{self, Accepted};
use super::job::{list, seconds};
use super::missing::MissingHypervisor;
use super::{Candlepin, Error, PLAIN, json};
use crate::http::Request;

/// The limit for the ids in one question, in bytes: servers and proxies limit a request's line to about 8,000.
const LONGEST_QUERY: usize = 4_000;

/// The limit for an answer about hypervisors, in bytes. One hypervisor has about 1.5 kB.
const LARGEST: u64 = 32 << 20;

/// When vanished hypervisors are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// How long a hypervisor must be missing from all good documents.
    pub after: Duration,
    /// The number of vanished hypervisors that may be deleted, whatever their share.
    pub limit: usize,
    /// The share that may be deleted, whatever their number, in percent of the hypervisors that were reported before.
    pub share: u8,
}

/// Vanished hypervisors, too many to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooMany {
    /// Each with its name, if it is known, and its id.
    pub labels: Vec<String>,
    /// The number of hypervisors that were reported before.
    pub of: usize,
}

/// What became of the hypervisors that vanished.
#[derive(Debug, Default)]
pub struct Vanished {
    /// Those that were deleted, each with its name and id.
    pub deleted: Vec<String>,
    /// Those that are not deleted because they are too many.
    pub too_many: Option<TooMany>,
    /// Why the document does not prove that what it lacks has vanished.
    pub doubt: Option<&'static str>,
}

impl Deletion {
    /// The hypervisors that would be deleted now, without asking the server; an error if too many vanished.
    pub(super) fn due<'a>(&self, accepted: &'a Accepted) -> Result<Vec<&'a MissingHypervisor>, TooMany> {
        let now = accepted::now();
        let is_due = |missing: &&MissingHypervisor| missing.is_due(self.after, now);
        let due: Vec<&MissingHypervisor> = accepted.missing.iter().filter(is_due).collect();
        // Those that are not due yet count as well: an account that loses its rights may do so bit by bit.
        let vanished = accepted.missing.iter().filter(|missing| missing.has_vanished());
        let labels: Vec<String> = vanished.map(MissingHypervisor::label).collect();
        let of = accepted.hypervisors() + accepted.missing.len();
        match !due.is_empty() && self.is_exceeded(labels.len(), of) {
            true => Err(TooMany { labels, of }),
            false => Ok(due),
        }
    }

    fn is_exceeded(&self, vanished: usize, of: usize) -> bool {
        vanished > self.limit && vanished * 100 > of * usize::from(self.share)
    }
}

/// A hypervisor as the server describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    uuid: String,
    #[serde(default)]
    hypervisor_id: Option<HeldId>,
    #[serde(default)]
    last_checkin: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeldId {
    hypervisor_id: String,
    #[serde(default)]
    reporter_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Listing(#[serde(deserialize_with = "list")] Vec<Held>);

/// Why a hypervisor is not ours to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NotOurs {
    /// Another reporter reported it last.
    Reporter(String),
    /// Another series holds it.
    Elsewhere,
    /// It was checked in after our last report of it.
    Newer(String),
    /// The server does not say when it was checked in, or when our last report ended.
    NoTime,
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotOurs::Reporter(reporter) => write!(f, "its last reporter is {reporter:?}"),
            NotOurs::Elsewhere => f.write_str("it is in a report of another section"),
            NotOurs::Newer(time) => write!(
                f,
                "it was checked in at {time}, after the last report from here that held it"
            ),
            NotOurs::NoTime => f.write_str("it is not known when it was reported last"),
        }
    }
}

impl Held {
    fn id(&self) -> &str {
        self.hypervisor_id.as_ref().map_or("", |id| &id.hypervisor_id)
    }

    /// Fails unless we were the last to report it.
    fn check(&self, missing: &MissingHypervisor, reporter: &str) -> Result<(), NotOurs> {
        let theirs = self
            .hypervisor_id
            .as_ref()
            .and_then(|id| id.reporter_id.as_deref());
        match theirs {
            Some(theirs) if theirs == reporter => {}
            theirs => return Err(NotOurs::Reporter(theirs.unwrap_or_default().to_owned())),
        }
        let time = self.last_checkin.as_deref();
        match (time, time.and_then(seconds), missing.reported) {
            (Some(text), Some(time), Some(reported)) if time > reported => {
                Err(NotOurs::Newer(text.to_owned()))
            }
            (_, Some(_), Some(_)) => Ok(()),
            _ => Err(NotOurs::NoTime),
        }
    }
}

/// Decides whose a vanished hypervisor is, and says why it is not ours; of many, only the first are named.
struct Ownership<'a> {
    reporter: String,
    others: &'a [Accepted],
    unnamed: usize,
    named: usize,
}

/// How many hypervisors that are not ours are named, unless debug messages are on.
const NAMED: usize = 10;

impl<'a> Ownership<'a> {
    fn new(reporter: &str, others: &'a [Accepted]) -> Self {
        Ownership {
            reporter: reporter.to_owned(),
            others,
            unnamed: 0,
            named: 0,
        }
    }

    /// Whether a hypervisor is ours, as the server describes it now.
    fn is_ours(&mut self, missing: &MissingHypervisor, held: Option<&Held>) -> bool {
        let checked = match held {
            None => {
                self.say(format_args!("{} is not on the server any more", missing.label()));
                return false;
            }
            Some(_) if self.others.iter().any(|other| other.holds(missing)) => Err(NotOurs::Elsewhere),
            Some(held) => held.check(missing, &self.reporter),
        };
        if let Err(reason) = &checked {
            self.say(format_args!(
                "{} vanished and is not deleted: {reason}",
                missing.label()
            ));
        }
        checked.is_ok()
    }

    fn say(&mut self, message: fmt::Arguments<'_>) {
        if self.named < NAMED || log::log_enabled!(log::Level::Debug) {
            self.named += 1;
            log::info!("{message}");
        } else {
            self.unnamed += 1;
        }
    }

    /// Says how many are not named.
    fn end(self) {
        if self.unnamed > 0 {
            log::info!("and {} more like these", self.unnamed);
        }
    }
}

impl Candlepin {
    /// Deletes the hypervisors that are due, and forgets those that are not ours any more.
    ///
    /// `others` are the other series of this owner. `came_back` says whether a waiting document mentions an id. What is deleted
    /// leaves `accepted.missing` at once, also if a later deletion fails.
    pub(super) fn delete_vanished(
        &mut self,
        deletion: Deletion,
        accepted: &mut Accepted,
        others: &[Accepted],
        came_back: &dyn Fn(&str) -> bool,
        vanished: &mut Vanished,
    ) -> Result<(), Error> {
        let now = accepted::now();
        let is_due = |missing: &MissingHypervisor| missing.is_due(deletion.after, now);
        if !accepted.missing.iter().any(is_due) {
            return Ok(());
        }
        let all = accepted.missing.iter().filter(|missing| missing.has_vanished());
        let held = self.held(&all.map(|missing| missing.id.as_str()).collect::<Vec<_>>())?;
        let mut owner = Ownership::new(&self.client.id, others);
        accepted.missing.retain(|missing| {
            !missing.has_vanished() || owner.is_ours(missing, held.get(&lower(&missing.id)))
        });
        let due: Vec<MissingHypervisor> = match deletion.due(accepted) {
            Ok(due) => due.into_iter().cloned().collect(),
            Err(too_many) => {
                vanished.too_many = Some(too_many);
                owner.end();
                return Ok(());
            }
        };
        for missing in due {
            if came_back(&missing.id) || missing.name.as_deref().is_some_and(came_back) {
                log::info!("{} came back and is not deleted", missing.label());
                continue;
            }
            if let Some(known) = held.get(&lower(&missing.id))
                && let fresh = self.consumer_at(&known.uuid)?
                && owner.is_ours(
                    &missing,
                    fresh
                        .as_ref()
                        .filter(|fresh| lower(fresh.id()) == lower(&missing.id)),
                )
                && self.delete(&known.uuid, &missing)?
            {
                log::info!("deleted {}", missing.label());
                vanished.deleted.push(missing.label());
            }
            accepted.missing.retain(|other| other.id != missing.id);
        }
        owner.end();
        Ok(())
    }

    /// What the server holds of the hypervisors with these ids, by id in lower case.
    fn held(&mut self, ids: &[&str]) -> Result<HashMap<String, Held>, Error> {
        let doing = "asking for the vanished hypervisors";
        let owner = utf8_percent_encode(&self.client.owner, PLAIN).to_string();
        let mut held = HashMap::new();
        for query in queries(ids) {
            let request = Request::get(format!("/owners/{owner}/hypervisors?{query}"));
            let (response, log_ids) = self.exchange(doing, request)?;
            let (Listing(listed), _) = json(response, LARGEST, doing, log_ids)?;
            held.extend(listed.into_iter().map(|one| (lower(one.id()), one)));
        }
        Ok(held)
    }

    /// A hypervisor by the server's own id; `None` if it does not exist any more.
    fn consumer_at(&mut self, uuid: &str) -> Result<Option<Held>, Error> {
        let doing = format!("asking for consumer {uuid}");
        match self.exchange(&doing, Request::get(consumer_path(uuid))) {
            Ok((response, log_ids)) => Ok(Some(json(response, LARGEST, &doing, log_ids)?.0)),
            Err(Error::Gone { .. } | Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a hypervisor; returns false if it did not exist any more.
    fn delete(&mut self, uuid: &str, missing: &MissingHypervisor) -> Result<bool, Error> {
        let doing = format!("deleting {}", missing.label());
        match self.exchange(&doing, Request::delete(consumer_path(uuid))) {
            Ok(_) => Ok(true),
            Err(Error::Gone { .. } | Error::NotFound { .. }) => {
                log::info!("{} is not on the server any more", missing.label());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn consumer_path(uuid: &str) -> String {
    format!("/consumers/{}", utf8_percent_encode(uuid, PLAIN))
}

fn lower(id: &str) -> String {
    id.to_lowercase()
}

/// Queries that ask for these ids, none of them much longer than [`LONGEST_QUERY`].
fn queries(ids: &[&str]) -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    for id in ids {
        let parameter = format!("hypervisor_id={}", utf8_percent_encode(id, PLAIN));
        match queries.last_mut() {
            Some(query) if query.len() + parameter.len() < LONGEST_QUERY => {
                query.push('&');
                query.push_str(&parameter);
            }
            _ => queries.push(parameter),
        }
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELETION: Deletion = Deletion {
        after: Duration::ZERO,
        limit: 5,
        share: 10,
    };

    #[test]
    fn both_limits_must_be_exceeded() {
        for (vanished, of, expected) in [
            (0, 0, false),
            (5, 5, false),
            (6, 6, true),
            (6, 60, false),
            (6, 59, true),
            (100, 1000, false),
            (101, 1000, true),
        ] {
            assert_eq!(DELETION.is_exceeded(vanished, of), expected, "{vanished} of {of}");
        }
        let none = Deletion {
            limit: 0,
            share: 0,
            ..DELETION
        };
        assert!(none.is_exceeded(1, 1000) && !none.is_exceeded(0, 1000));
        let any = Deletion { share: 100, ..none };
        assert!(!any.is_exceeded(1000, 1000));
    }

    #[test]
    fn only_what_we_reported_last_is_ours() {
        let held = |reporter: &str, time: &str| -> Held {
            serde_json::from_str(&format!(
                r#"{{"uuid":"u","hypervisorId":{{"hypervisorId":"a","reporterId":{reporter}}},"lastCheckin":{time}}}"#
            ))
            .unwrap()
        };
        // 2026-11-26T14:13:28Z
        let missing = |reported| MissingHypervisor::new("a", None, reported);
        let reported = seconds("2026-11-26T14:13:28+0000");
        assert_eq!(reported, Some(1_795_702_408));
        let check =
            |reporter: &str, time: &str, reported| held(reporter, time).check(&missing(reported), "me");
        let (same, newer) = (r#""2026-11-26T14:13:28+0000""#, r#""2026-11-26T14:13:29+0000""#);
        assert_eq!(check(r#""me""#, same, reported), Ok(()));
        assert_eq!(
            check(r#""me""#, r#""2026-11-26T15:13:28+0100""#, reported),
            Ok(())
        );
        assert!(matches!(
            check(r#""me""#, newer, reported),
            Err(NotOurs::Newer(_))
        ));
        assert!(matches!(
            check(r#""Me""#, same, reported),
            Err(NotOurs::Reporter(_))
        ));
        assert!(matches!(check("null", same, reported), Err(NotOurs::Reporter(_))));
        assert_eq!(check(r#""me""#, same, None), Err(NotOurs::NoTime));
        assert_eq!(check(r#""me""#, "null", reported), Err(NotOurs::NoTime));
        assert_eq!(check(r#""me""#, r#""soon""#, reported), Err(NotOurs::NoTime));
    }

    #[test]
    fn many_ids_become_several_queries_that_are_not_too_long() {
        let ids: Vec<String> = (0..500).map(|n| format!("é&{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let queries = queries(&ids);
        assert!(queries.len() > 1 && queries.iter().all(|query| query.len() <= LONGEST_QUERY));
        assert_eq!(queries.join("&").matches("hypervisor_id=%C3%A9%26").count(), 500);
    }
}
