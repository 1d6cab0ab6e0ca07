//! Comparing what was sent with what the server says became of it: a real one loses hypervisors without a word.

use std::collections::{HashMap, HashSet};

use super::job::{ListedHypervisor, Lists, shortened};
use crate::mapping::LeftOut;

/// What became of a report, summed up over its check-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many hypervisors were new to the server.
    pub created: usize,
    /// How many the server changed.
    pub updated: usize,
    /// How many the server knew so already.
    pub unchanged: usize,
    /// Those that the server refused or lost. Where hypervisors share a name the server's answer does not tell which of
    /// them it lost; then this holds all of them, and more than were lost.
    pub failed: Vec<LeftOut>,
    /// How many the server refused.
    pub refused: usize,
    /// How many of those sent are nowhere in the server's answer.
    pub lost: usize,
    /// The ids of the server's jobs, in their order.
    pub jobs: Vec<String>,
}

/// A hypervisor that was sent, as far as the server's answer can be compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent<'a> {
    pub(super) id: &'a str,
    pub(super) name: Option<&'a str>,
}

impl Tally {
    /// Adds what a finished job says of the hypervisors that were sent.
    ///
    /// The server's entries carry a name and the server's own uuid, but not the id that was sent; only what it refused is
    /// told by id. So hypervisors are found again by name, and what is left on both sides is counted.
    pub(super) fn add(&mut self, sent: &[Sent<'_>], lists: &Lists) {
        self.created += lists.created.len();
        self.updated += lists.updated.len();
        self.unchanged += lists.unchanged.len();

        let refusals = Refusals::new(sent, &lists.failed_update);
        self.refused += refusals.of_sent.iter().flatten().count() + refusals.unknown;
        self.failed.extend(refusals.nobodys);
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
        // A host that is refused may stand in `updated` as well: that entry stands for no other host.
        entries.take_by_name(refused.iter());
        let lost = missing.len().saturating_sub(entries.left());
        self.lost += lost;
        if lost == 0 {
            return;
        }
        let names: HashSet<Option<&str>> = missing.iter().map(|host| host.name).collect();
        let suspects: Vec<&Sent<'_>> = awaited.iter().filter(|host| names.contains(&host.name)).collect();
        let error = match suspects.len() {
            all if all == lost => "the server lost it: its job finished without a word about it".to_owned(),
            all => format!("perhaps lost: the server's job is silent about {lost} of {all} such hypervisors"),
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

/// So many refusals that name no hypervisor of ours are repeated; an honest server has none.
const MOST_UNKNOWN: usize = 100;

/// The server's refusals, `<hypervisorId>: <reason>`, by the hypervisors that were sent.
struct Refusals {
    /// For each hypervisor that was sent, why it was refused.
    of_sent: Vec<Option<String>>,
    /// Refusals that name no hypervisor of ours; the last one stands for those beyond [`MOST_UNKNOWN`].
    nobodys: Vec<LeftOut>,
    /// How many those are.
    unknown: usize,
}

impl Refusals {
    fn new(sent: &[Sent<'_>], texts: &[String]) -> Self {
        let ids = Ids::new(sent);
        let mut refusals = Refusals {
            of_sent: vec![None; sent.len()],
            nobodys: Vec::new(),
            unknown: 0,
        };
        let nobodys = |reason: String| LeftOut {
            kind: LeftOut::HOST.into(),
            id: None,
            name: None,
            reason,
        };
        for text in texts {
            match ids.named_by(text) {
                Some((host, reason)) => refusals.of_sent[host] = Some(told(reason)),
                None => {
                    refusals.unknown += 1;
                    if refusals.unknown <= MOST_UNKNOWN {
                        refusals.nobodys.push(nobodys(shortened(text)));
                    }
                }
            }
        }
        if let Some(more @ 1..) = refusals.unknown.checked_sub(MOST_UNKNOWN) {
            let error = format!("{more} more refusals name no hypervisor of this report");
            refusals.nobodys.push(nobodys(error));
        }
        refusals
    }
}

/// The server's reason for a refusal, if it gives one.
fn told(reason: &str) -> String {
    match shortened(reason) {
        none if none.is_empty() => "the server refused it and does not say why".to_owned(),
        reason => reason,
    }
}

/// The ids that were sent, in order, with their places. The server compares them without case, and answers in lower case.
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

    /// The hypervisor whose id stands before a colon at the beginning of the text, and what stands behind that. An id may hold
    /// colons itself: the longest one that fits counts.
    ///
    /// The text comes from the server and may be megabytes of colons: it is read once, and only as far as any id agrees with it.
    fn named_by<'t>(&self, text: &'t str) -> Option<(usize, &'t str)> {
        let mut fitting = &self.0[..];
        let mut read = 0;
        let mut found = None;
        for (place, c) in lower(text) {
            // Of those that begin with what was read, the one that is no longer comes first.
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

/// The characters of a text in lower case, each with the place in the text of the one that it comes from.
fn lower(text: &str) -> impl Iterator<Item = (usize, char)> {
    let all = text.char_indices();
    all.flat_map(|(place, c)| c.to_lowercase().map(move |c| (place, c)))
}

/// The entries of a job's lists that have not been found among the hypervisors yet.
struct Entries<'a> {
    named: HashMap<&'a str, usize>,
    nameless: usize,
}

impl<'a> Entries<'a> {
    /// Counts a uuid once: two hypervisors that the server took for one are one on the server.
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

    /// Takes one entry for each host that one bears the name of, and gives back the hosts for which there was none.
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

    /// How many entries are left: they stand for hypervisors to which the server gave another name.
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
    fn all_that_was_sent_is_found_again_whatever_the_order() {
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
    fn of_several_with_one_name_all_are_suspects() {
        let lists = Lists {
            created: entries(&["a", "a", "b"]),
            ..Lists::default()
        };
        let hosts = [sent("1", "a"), sent("2", "a"), sent("3", "a"), sent("4", "b")];
        let tally = tally(&hosts, &lists);
        assert_eq!((tally.lost, ids(&tally)), (1, vec!["1", "2", "3"]));
        assert!(
            tally.failed[0].reason.contains("silent about 1 of 3"),
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
    fn a_refusal_is_found_by_its_id_and_its_entry_covers_nobody_else() {
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
    fn a_text_without_end_costs_no_more_than_its_length() {
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
        // Each prefix by itself took hours.
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
        let reasons: Vec<_> = refusals.of_sent.iter().map(Option::as_deref).collect();
        assert_eq!(reasons[..2], [Some("x"), Some("no")]);
        assert_eq!(refusals.of_sent.iter().flatten().count(), 3);
        // Case folds to other lengths.
        let hosts = [sent("\u{130}1\u{3a3}", "a")];
        let refusals = Refusals::new(&hosts, &["\u{130}1\u{3a3}: no".to_owned()]);
        assert_eq!(refusals.of_sent, [Some("no".to_owned())]);
    }

    #[test]
    fn refusals_of_nobody_are_counted_and_not_all_repeated() {
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
    fn two_that_the_server_took_for_one_are_one() {
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
        /// With names of their own, exactly those that the server kept silent about are named.
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
