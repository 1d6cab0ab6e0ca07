//! Guests that are listed more than once, for example because a virtual machine was copied with its uuid.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::{Guest, Hypervisor, Mapping};

/// Guests of one hypervisor with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies<'m> {
    /// Their id.
    pub guest: &'m str,
    /// The hypervisor's name or id.
    pub hypervisor: &'m str,
    /// The number of guests.
    pub count: usize,
}

/// A guest that several hypervisors list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedGuest<'m> {
    /// Its id.
    pub guest: Cow<'m, str>,
    /// The hypervisors' names or ids, in the order in which they are reported.
    pub hypervisors: Vec<&'m str>,
}

impl SharedGuest<'_> {
    /// The most hypervisors that are named.
    const NAMED: usize = 5;
}

impl fmt::Display for Copies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Copies {
            guest,
            hypervisor,
            count,
        } = self;
        write!(
            f,
            "guest {guest} is listed {count} times on {hypervisor}; it is reported once"
        )
    }
}

impl fmt::Display for SharedGuest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SharedGuest { guest, hypervisors } = self;
        let last = hypervisors.last().copied().unwrap_or_default();
        let more = hypervisors.len().saturating_sub(SharedGuest::NAMED);
        let named = hypervisors.iter().take(SharedGuest::NAMED);
        let named = named.copied().collect::<Vec<_>>().join(" and on ");
        write!(f, "guest {guest} is on {named}")?;
        if more > 0 {
            write!(f, " and on {more} more")?;
        }
        write!(f, "; it counts for {last}, which is reported last")
    }
}

impl Mapping {
    /// Keeps one of the guests with the same id (ignoring case) on a hypervisor: the first that runs, otherwise the first. Calls
    /// `warn` for each such id.
    pub fn keep_one_of_each_guest(&mut self, mut warn: impl FnMut(Copies<'_>)) {
        for hypervisor in &mut self.hypervisors {
            keep_one_of_each(hypervisor, &mut warn);
        }
    }
}

fn keep_one_of_each(hypervisor: &mut Hypervisor, warn: &mut impl FnMut(Copies<'_>)) {
    if !has_copies(&hypervisor.guests) {
        return;
    }
    let mut indexes: HashMap<String, usize> = HashMap::with_capacity(hypervisor.guests.len());
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kept: Vec<Guest> = Vec::with_capacity(hypervisor.guests.len());
    for guest in std::mem::take(&mut hypervisor.guests) {
        let index = *indexes
            .entry(folded(&guest.id).into_owned())
            .or_insert(kept.len());
        let Some(other) = kept.get_mut(index) else {
            kept.push(guest);
            continue;
        };
        *counts.entry(index).or_insert(1) += 1;
        if guest.is_running() && !other.is_running() {
            *other = guest;
        }
    }
    hypervisor.guests = kept;
    for (index, count) in counts {
        warn(Copies {
            guest: &hypervisor.guests[index].id,
            hypervisor: hypervisor.label(),
            count,
        });
    }
}

fn has_copies(guests: &[Guest]) -> bool {
    let mut ids: Vec<Cow<'_, str>> = guests.iter().map(|guest| folded(&guest.id)).collect();
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1])
}

/// An id in lower case, as ids are compared. Most ids already are.
pub(super) fn folded(id: &str) -> Cow<'_, str> {
    match id.is_ascii() && !id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Borrowed(id),
        false => Cow::Owned(id.to_lowercase()),
    }
}

/// Sorts hypervisors by id, and returns the guests that several of them list. A hypervisor on which such a guest runs comes last.
pub(super) fn shared<'m>(hosts: &mut [(&'m str, &'m Hypervisor)]) -> Vec<SharedGuest<'m>> {
    hosts.sort_by_key(|(id, _)| *id);
    let guests = hosts.iter().map(|(_, hypervisor)| hypervisor.guests.len());
    let mut first: HashMap<Cow<'m, str>, Holder> = HashMap::with_capacity(guests.sum());
    let mut holders: BTreeMap<Cow<'m, str>, Vec<Holder>> = BTreeMap::new();
    for (index, (_, hypervisor)) in hosts.iter().enumerate() {
        for guest in &hypervisor.guests {
            let id = folded(&guest.id);
            let runs = guest.is_running();
            let own = Holder { index, runs };
            let other = *first.entry(id.clone()).or_insert(own);
            if other.index != index {
                let holders = holders.entry(id).or_insert_with(|| vec![other]);
                if holders.last().is_none_or(|last| last.index != index) {
                    holders.push(own);
                }
            }
        }
    }
    let running = holders.values().flatten().filter(|holder| holder.runs);
    let last: HashSet<&str> = running.map(|holder| hosts[holder.index].0).collect();
    let mut shared: Vec<SharedGuest<'m>> = Vec::with_capacity(holders.len());
    for (guest, mut holders) in holders {
        holders.sort_by_key(|holder| last.contains(hosts[holder.index].0));
        let hypervisors = holders.iter().map(|holder| hosts[holder.index].1.label());
        let hypervisors = hypervisors.collect();
        shared.push(SharedGuest { guest, hypervisors });
    }
    hosts.sort_by_key(|(id, _)| last.contains(id));
    shared
}

/// A hypervisor that lists a guest.
#[derive(Debug, Clone, Copy)]
struct Holder {
    /// The index of the hypervisor.
    index: usize,
    /// Whether the guest runs there.
    runs: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn mapping(text: &str) -> Mapping {
        Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap()
    }

    #[test]
    fn of_several_copies_the_running_guest_is_kept() {
        let mut mapping = mapping(
            r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"G","state":5},{"guestId":"h","state":5},
                {"guestId":"g","state":1},{"guestId":"g","state":3},{"guestId":"i","state":5},{"guestId":"I","state":3}]}]}"#,
        );
        let mut messages: Vec<String> = Vec::new();
        mapping.keep_one_of_each_guest(|copies| messages.push(copies.to_string()));
        assert_eq!(
            messages,
            [
                "guest g is listed 3 times on a; it is reported once",
                "guest i is listed 2 times on a; it is reported once"
            ]
        );
        let kept: Vec<_> = mapping.hypervisors[0]
            .guests
            .iter()
            .map(|guest| (&*guest.id, guest.state.unwrap().number()))
            .collect();
        assert_eq!(kept, [("g", 1), ("h", 5), ("i", 5)]);
        mapping.keep_one_of_each_guest(|copies| panic!("{copies}"));
    }

    #[test]
    fn a_hypervisor_may_have_nothing_but_copies() {
        let mut mapping = mapping(
            r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g","state":1},{"guestId":"G","state":1}]}]}"#,
        );
        let mut counts = Vec::new();
        mapping.keep_one_of_each_guest(|copies| counts.push(copies.count));
        assert_eq!((counts, mapping.hypervisors[0].guests.len()), (vec![2], 1));
        // The first is kept, because both run.
        assert_eq!(mapping.hypervisors[0].guests[0].id, "g");
    }

    #[test]
    fn the_hypervisor_on_which_a_shared_guest_runs_comes_last() {
        let mapping = mapping(
            r#"{"hypervisors":[{"uuid":"c","guests":[{"guestId":"g","state":5}]},{"uuid":"d","guests":[]},
                {"uuid":"a","name":"one","guests":[{"guestId":"G","state":1},{"guestId":"x","state":1}]},
                {"uuid":"b","guests":[{"guestId":"y","state":1},{"guestId":"g","state":5}]}]}"#,
        );
        let reportable = mapping.reportable();
        let order: Vec<&str> = reportable.hosts.iter().map(|(id, _)| *id).collect();
        assert_eq!(order, ["b", "c", "d", "a"]);
        let messages: Vec<String> = reportable
            .census
            .shared
            .iter()
            .map(SharedGuest::to_string)
            .collect();
        assert_eq!(
            messages,
            ["guest g is on b and on c and on one; it counts for one, which is reported last"]
        );
    }

    #[test]
    fn a_message_names_at_most_five_hypervisors_and_the_last() {
        let hosts: Vec<String> = (10..40)
            .map(|n| format!(r#"{{"uuid":"h{n}","guests":[{{"guestId":"g","state":1}}]}}"#))
            .collect();
        let mapping = mapping(&format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(",")));
        assert_eq!(
            mapping.reportable().census.shared[0].to_string(),
            "guest g is on h10 and on h11 and on h12 and on h13 and on h14 and on 25 more; it counts for h39, which is \
             reported last"
        );
    }
}
