//! Compares what was sent with what the server says became of it: real servers lose hypervisors without a word.

use std::collections::{HashMap, HashSet};

use super::job::{ListedHypervisor, Lists, shortened};
use crate::mapping::LeftOut;

/// What became of a report: the sum over its check-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of hypervisors that are new to the server.
    pub created: usize,
    /// The number that the server changed.
    pub updated: usize,
    /// The number that were the same on the server.
    pub unchanged: usize,
    /// Those that the server refused or lost. If several hypervisors share a name, the answer does not show which of them it
    /// lost: then all of them are here, more than `lost`.
    pub failed: Vec<LeftOut>,
    /// The number that the server refused.
    pub refused: usize,
    /// The number that were sent and are nowhere in the server's answer.
    pub lost: usize,
    /// The ids of the server's jobs, in order.
    pub jobs: Vec<String>,
    /// The server's time at the end of the last job, in seconds since 1970, if the server said it.
    pub ended: Option<i64>,
}

/// A hypervisor that was sent: what the server's answer is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent<'a> {
    pub(super) id: &'a str,
    pub(super) name: Option<&'a str>,
}

impl Tally {
    /// Adds what a finished job says about the hypervisors that were sent.
    ///
    /// The server's entries have a name and the server's own uuid, but not the id that was sent; only refusals have the id. So
    /// hypervisors are found by name, and the rest on both sides is counted.
    pub(super) fn add(&mut self, sent: &[Sent<'_>], lists: &Lists) {
        self.created += lists.created.len();
        self.updated += lists.updated.len();
        self.unchanged += lists.unchanged.len();

        let refusals = Refusals::new(sent, &lists.failed_update);
        self.refused += refusals.of_sent.iter().flatten().count() + refusals.unknown;
        self.failed.extend(refusals.unmatched);
        let mut awaited: Vec<Sent<'_>> = Vec::new();
        let mut refused: Vec<Sent<'_>> = Vec::new();
        for (host, error) in sent.iter().zip(refusals.of_sent) {
            match error {
                None => awaited.push(*host),
                Some(error) => {
                    refused.push(*host);
                    self.failed.push(failed(host, error));
                }
            }
        }

        let mut entries = Entries::new(lists);
        let missing: Vec<Sent<'_>> = entries.take_by_name(awaited.iter());
        // A refused hypervisor may be in `updated` as well: that entry must not cover another one.
        entries.take_by_name(refused.iter());
        let lost = missing.len().saturating_sub(entries.left());
        self.lost += lost;
        if lost == 0 {
            return;
        }
        let names: HashSet<Option<&str>> = missing.iter().map(|host| host.name).collect();
        let suspects: Vec<&Sent<'_>> = awaited.iter().filter(|host| names.contains(&host.name)).collect();
        let error = match suspects.len() {
            all if all == lost => "the server lost it: its job finished without mentioning it".to_owned(),
            all => format!(
                "perhaps lost: the server's job does not mention {lost} of {all} hypervisors of this name"
            ),
        };
        self.failed
            .extend(suspects.into_iter().map(|host| failed(host, error.clone())));
    }
}

fn failed(host: &Sent<'_>, reason: String) -> LeftOut {
    LeftOut {
        kind: LeftOut::HOST.into(),
        id: Some(host.id.to_owned()),
        name: host.name.map(str::to_owned),
        reason,
    }
}

/// How many refusals without one of our hypervisors are repeated; an honest server sends none.
const MOST_UNKNOWN: usize = 100;

/// The server's refusals, `<hypervisorId>: <reason>`, by the hypervisors that were sent.
struct Refusals {
    /// For each hypervisor that was sent, why it was refused.
    of_sent: Vec<Option<String>>,
    /// Refusals that name none of our hypervisors; the last one counts those beyond [`MOST_UNKNOWN`].
    unmatched: Vec<LeftOut>,
    /// How many refusals name none of our hypervisors.
    unknown: usize,
}

impl Refusals {
    fn new(sent: &[Sent<'_>], texts: &[String]) -> Self {
        let ids = Ids::new(sent);
        let mut refusals = Refusals {
            of_sent: vec![None; sent.len()],
            unmatched: Vec::new(),
            unknown: 0,
        };
        let unmatched = |reason: String| LeftOut {
            kind: LeftOut::HOST.into(),
            id: None,
            name: None,
            reason,
        };
        for text in texts {
            match ids.named_by(text) {
                Some((host, reason)) => refusals.of_sent[host] = Some(reason_of(reason)),
                None => {
                    refusals.unknown += 1;
                    if refusals.unknown <= MOST_UNKNOWN {
                        refusals.unmatched.push(unmatched(shortened(text)));
                    }
                }
            }
        }
        if let Some(more @ 1..) = refusals.unknown.checked_sub(MOST_UNKNOWN) {
            let error = format!("{more} more refusals name no hypervisor of this report");
            refusals.unmatched.push(unmatched(error));
        }
        refusals
    }
}

/// The server's reason for a refusal, or that it gives none.
fn reason_of(reason: &str) -> String {
    match shortened(reason) {
        none if none.is_empty() => "the server refused it and does not say why".to_owned(),
        reason => reason,
    }
}

/// The ids that were sent, in order, with their indices. The server ignores case, and answers in lower case.
struct Ids(Vec<(String, usize)>);

impl Ids {
    fn new(sent: &[Sent<'_>]) -> Self {
        let mut ids: Vec<(String, usize)> = (0..)
            .zip(sent)
            .map(|(place, host)| (lower(host.id).map(|(_, c)| c).collect(), place))
            .collect();
        ids.sort_unstable();
        Ids(ids)
    }

    /// The hypervisor whose id, with a colon, begins the text, and what follows. An id may contain colons: the longest match
    /// counts.
    ///
    /// The text comes from the server and may be megabytes of colons. It is read once, and only as far as any id matches.
    fn named_by<'t>(&self, text: &'t str) -> Option<(usize, &'t str)> {
        let mut fitting = &self.0[..];
        let mut read = 0;
        let mut found = None;
        for (place, c) in lower(text) {
            // Of the ids that begin with what was read, the shortest comes first.
            if let [(id, host), ..] = fitting
                && c == ':'
                && id.len() == read
            {
                found = Some((*host, &text[place + 1..]));
            }
            let next = |id: &str| id[read..].chars().next();
            let from = fitting.partition_point(|(id, _)| next(id) < Some(c));
            let to = fitting.partition_point(|(id, _)| next(id) <= Some(c));
            fitting = &fitting[from..to];
            if fitting.is_empty() {
                break;
            }
            read += c.len_utf8();
        }
        found
    }
}

/// The characters of a text in lower case, each with the position of its original.
fn lower(text: &str) -> impl Iterator<Item = (usize, char)> {
    let all = text.char_indices();
    all.flat_map(|(place, c)| c.to_lowercase().map(move |c| (place, c)))
}

/// The entries of a job's lists that have not been matched with a hypervisor yet.
struct Entries<'a> {
    named: HashMap<&'a str, usize>,
    nameless: usize,
}

impl<'a> Entries<'a> {
    /// Counts each uuid once: two hypervisors that the server took for one are one on the server.
    fn new(lists: &'a Lists) -> Self {
        let mut entries = Entries {
            named: HashMap::new(),
            nameless: 0,
        };
        let mut seen = HashSet::new();
        let all = [&lists.created, &lists.updated, &lists.unchanged];
        for ListedHypervisor { name, uuid } in all.into_iter().flatten() {
            let twice = uuid.as_deref().is_some_and(|uuid| !seen.insert(uuid));
            match name {
                _ if twice => {}
                Some(name) => *entries.named.entry(name).or_default() += 1,
                None => entries.nameless += 1,
            }
        }
        entries
    }

    /// Removes the entry of each hypervisor by its name; returns the hypervisors without one.
    fn take_by_name<'s, 'h: 's>(&mut self, hosts: impl Iterator<Item = &'s Sent<'h>>) -> Vec<Sent<'h>> {
        let without = hosts.filter(|host| {
            let entry = host.name.and_then(|name| self.named.get_mut(name));
            match entry {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            }
        });
        without.copied().collect()
    }

    /// The number of entries that are left: hypervisors to which the server gave another name.
    fn left(&self) -> usize {
        self.named.values().sum::<usize>() + self.nameless
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent<'a>(id: &'a str, name: &'a str) -> Sent<'a> {
        Sent {
            id,
            name: (!name.is_empty()).then_some(name),
        }
    }

    /// Entries with these names, each with a uuid of its own.
    fn entries(names: &[&str]) -> Vec<ListedHypervisor> {
        let entry = |(n, name): (usize, &&str)| ListedHypervisor {
            name: Some((*name).to_owned()),
            uuid: Some(format!("{name}-{n}")),
        };
        names.iter().enumerate().map(entry).collect()
    }

    fn tally(sent: &[Sent<'_>], lists: &Lists) -> Tally {
        let mut tally = Tally::default();
        tally.add(sent, lists);
        tally
    }

    fn ids(tally: &Tally) -> Vec<&str> {
        tally
            .failed
            .iter()
            .map(|failed| failed.id.as_deref().unwrap_or("?"))
            .collect()
    }

    #[test]
    fn all_that_was_sent_is_found_in_any_order() {
        let lists = Lists {
            created: entries(&["b"]),
            updated: entries(&["c"]),
            unchanged: entries(&["a"]),
            failed_update: vec![],
        };
        let tally = tally(&[sent("1", "a"), sent("2", "b"), sent("3", "c")], &lists);
        assert_eq!((tally.created, tally.updated, tally.unchanged), (1, 1, 1));
        assert_eq!((tally.lost, tally.refused, tally.failed.len()), (0, 0, 0));
    }

    #[test]
    fn a_lost_hypervisor_is_named() {
        let lists = Lists {
            created: entries(&["a"]),
            ..Lists::default()
        };
        let tally = tally(&[sent("1", "a"), sent("2", "b")], &lists);
        assert_eq!((tally.lost, ids(&tally)), (1, vec!["2"]));
        assert!(
            tally.failed[0].reason.starts_with("the server lost it"),
            "{tally:?}"
        );
    }

    #[test]
    fn all_hypervisors_that_share_the_name_of_a_lost_one_are_named() {
        let lists = Lists {
            created: entries(&["a", "a", "b"]),
            ..Lists::default()
        };
        let hosts = [sent("1", "a"), sent("2", "a"), sent("3", "a"), sent("4", "b")];
        let tally = tally(&hosts, &lists);
        assert_eq!((tally.lost, ids(&tally)), (1, vec!["1", "2", "3"]));
        assert!(
            tally.failed[0].reason.contains("does not mention 1 of 3"),
            "{tally:?}"
        );
    }

    #[test]
    fn a_name_that_the_server_gave_covers_one_of_ours() {
        let lists = Lists {
            created: entries(&["1", "b"]),
            ..Lists::default()
        };
        assert_eq!(tally(&[sent("1", ""), sent("2", "b")], &lists).lost, 0);
        assert_eq!(
            tally(&[sent("1", ""), sent("2", "b"), sent("3", "")], &lists).lost,
            1
        );
    }

    #[test]
    fn the_entry_of_a_refused_hypervisor_covers_no_other_one() {
        let lists = Lists {
            updated: entries(&["a"]),
            failed_update: vec!["urn:x:1: no: good".to_owned(), "odd".to_owned()],
            ..Lists::default()
        };
        let tally = tally(&[sent("URN:X:1", "a"), sent("2", "b")], &lists);
        assert_eq!((tally.refused, tally.lost), (2, 1));
        assert_eq!(ids(&tally), ["?", "URN:X:1", "2"]);
        assert_eq!(tally.failed[1].reason, "no: good");
    }

    #[test]
    fn a_hostile_refusal_is_read_once() {
        let long = ":".repeat(255);
        let hosts = [
            sent("urn", "a"),
            sent("urn:x", "b"),
            sent(&long, "c"),
            sent("", "d"),
        ];
        let texts = vec![":".repeat(4 << 20), "urn:X: no".to_owned(), "URN: x".to_owned()];
        let begun = std::time::Instant::now();
        let refusals = Refusals::new(&hosts, &texts);
        // Comparing each prefix took hours.
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
        let reasons: Vec<_> = refusals.of_sent.iter().map(Option::as_deref).collect();
        assert_eq!(reasons[..2], [Some("x"), Some("no")]);
        assert_eq!(refusals.of_sent.iter().flatten().count(), 3);
        // Lower case may have another length.
        let hosts = [sent("\u{130}1\u{3a3}", "a")];
        let refusals = Refusals::new(&hosts, &["\u{130}1\u{3a3}: no".to_owned()]);
        assert_eq!(refusals.of_sent, [Some("no".to_owned())]);
    }

    #[test]
    fn refusals_of_unknown_hypervisors_are_counted_and_some_are_repeated() {
        let lists = Lists {
            failed_update: vec![String::new(); 100_000],
            ..Lists::default()
        };
        let tally = tally(&[sent("1", "a")], &lists);
        assert_eq!((tally.refused, tally.lost), (100_000, 1));
        assert_eq!(tally.failed.len(), MOST_UNKNOWN + 2);
        let counted = &tally.failed[MOST_UNKNOWN].reason;
        assert!(counted.starts_with("99900 more"), "{counted}");
    }

    #[test]
    fn two_hypervisors_with_one_uuid_count_once() {
        let same = |name: &str| ListedHypervisor {
            name: Some(name.to_owned()),
            uuid: Some("u".to_owned()),
        };
        let lists = Lists {
            updated: vec![same("a"), same("b")],
            ..Lists::default()
        };
        assert_eq!(tally(&[sent("1", "a"), sent("2", "b")], &lists).lost, 1);
    }

    #[test]
    fn an_empty_report_has_lost_nothing() {
        assert_eq!(tally(&[], &Lists::default()), Tally::default());
    }

    proptest! {
        /// If names are unique, exactly the lost hypervisors are named.
        #[test]
        fn exactly_the_lost_are_named(fates in proptest::collection::vec(0..5_u8, 0..40)) {
            let names: Vec<(String, String)> = (0..fates.len()).map(|n| (format!("id{n}"), format!("name{n}"))).collect();
            let hosts: Vec<Sent<'_>> = names.iter().map(|(id, name)| sent(id, name)).collect();
            let mut lists = Lists::default();
            let mut bad = Vec::new();
            for ((id, name), fate) in names.iter().zip(&fates) {
                let entry = entries(&[name]);
                match fate {
                    0 => lists.created.extend(entry),
                    1 => lists.updated.extend(entry),
                    2 => lists.unchanged.extend(entry),
                    3 => lists.failed_update.push(format!("{id}: no")),
                    _ => {}
                }
                if *fate > 2 {
                    bad.push(id.as_str());
                }
            }
            let tally = tally(&hosts, &lists);
            let mut named = ids(&tally);
            named.sort_unstable();
            bad.sort_unstable();
            prop_assert_eq!(named, bad);
            prop_assert_eq!(tally.lost, fates.iter().filter(|fate| **fate == 4).count());
        }
    }
}
