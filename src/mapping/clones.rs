//! Guests that are there more than once, as virtual machines are that were copied together with their uuid.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::{Guest, GuestState, Hypervisor, Mapping};

/// Guests of one hypervisor that have one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies<'m> {
    /// Their id.
    pub guest: &'m str,
    /// The hypervisor's name or id.
    pub hypervisor: &'m str,
    /// How many they are.
    pub count: usize,
}

/// A guest that several hypervisors have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared<'m> {
    /// Its id.
    pub guest: Cow<'m, str>,
    /// The hypervisors' names or ids, in the order in which they are reported.
    pub hypervisors: Vec<&'m str>,
}

impl Shared<'_> {
    /// How many hypervisors are named.
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

impl fmt::Display for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { guest, hypervisors } = self;
        let last = hypervisors.last().copied().unwrap_or_default();
        let more = hypervisors.len().saturating_sub(Shared::NAMED);
        let named = hypervisors.iter().take(Shared::NAMED);
        let named = named.copied().collect::<Vec<_>>().join(" and on ");
        write!(f, "guest {guest} is on {named}")?;
        if more > 0 {
            write!(f, " and on {more} more")?;
        }
        write!(f, "; it counts for {last}, which is reported last")
    }
}

impl Mapping {
    /// Keeps, of the guests of a hypervisor that have one id (ignoring case), the first that runs, or else the first, and
    /// gives those that it met.
    pub fn keep_one_of_each_guest(&mut self, mut give: impl FnMut(Copies<'_>)) {
        for hypervisor in &mut self.hypervisors {
            keep_one_of_each(hypervisor, &mut give);
        }
    }
}

fn keep_one_of_each(hypervisor: &mut Hypervisor, give: &mut impl FnMut(Copies<'_>)) {
    if !has_copies(&hypervisor.guests) {
        return;
    }
    let mut places: HashMap<String, usize> = HashMap::with_capacity(hypervisor.guests.len());
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kept: Vec<Guest> = Vec::with_capacity(hypervisor.guests.len());
    for guest in std::mem::take(&mut hypervisor.guests) {
        let place = *places.entry(folded(&guest.id).into_owned()).or_insert(kept.len());
        let Some(other) = kept.get_mut(place) else {
            kept.push(guest);
            continue;
        };
        *counts.entry(place).or_insert(1) += 1;
        if guest.state == GuestState::Running && other.state != GuestState::Running {
            *other = guest;
        }
    }
    hypervisor.guests = kept;
    for (place, count) in counts {
        give(Copies {
            guest: &hypervisor.guests[place].id,
            hypervisor: known_as(hypervisor),
            count,
        });
    }
}

fn has_copies(guests: &[Guest]) -> bool {
    let mut ids: Vec<Cow<'_, str>> = guests.iter().map(|guest| folded(&guest.id)).collect();
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1])
}

/// An id as it is compared; most are in lower case already.
fn folded(id: &str) -> Cow<'_, str> {
    match id.is_ascii() && !id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Borrowed(id),
        false => Cow::Owned(id.to_lowercase()),
    }
}

/// Sorts hypervisors by id, those last on which guests run that others have too; returns such guests.
pub(super) fn shared<'m>(hosts: &mut [(&'m str, &'m Hypervisor)]) -> Vec<Shared<'m>> {
    hosts.sort_by_key(|(id, _)| *id);
    let mut first: HashMap<Cow<'m, str>, Holder> = HashMap::new();
    let mut holders: BTreeMap<Cow<'m, str>, Vec<Holder>> = BTreeMap::new();
    for (place, (_, hypervisor)) in hosts.iter().enumerate() {
        for guest in &hypervisor.guests {
            let id = folded(&guest.id);
            let runs = guest.state == GuestState::Running;
            let own = Holder { place, runs };
            let other = *first.entry(id.clone()).or_insert(own);
            if other.place != place {
                let holders = holders.entry(id).or_insert_with(|| vec![other]);
                if holders.last().is_none_or(|last| last.place != place) {
                    holders.push(own);
                }
            }
        }
    }
    let running = holders.values().flatten().filter(|holder| holder.runs);
    let last: HashSet<&str> = running.map(|holder| hosts[holder.place].0).collect();
    let mut told: Vec<Shared<'m>> = Vec::with_capacity(holders.len());
    for (guest, mut holders) in holders {
        holders.sort_by_key(|holder| last.contains(hosts[holder.place].0));
        let hypervisors = holders.iter().map(|holder| known_as(hosts[holder.place].1));
        let hypervisors = hypervisors.collect();
        told.push(Shared { guest, hypervisors });
    }
    hosts.sort_by_key(|(id, _)| last.contains(id));
    told
}

/// A hypervisor that has a guest.
#[derive(Debug, Clone, Copy)]
struct Holder {
    /// Its place among the hypervisors.
    place: usize,
    /// Whether the guest runs there.
    runs: bool,
}

fn known_as(hypervisor: &Hypervisor) -> &str {
    let known = hypervisor.name.as_ref().or(hypervisor.id.as_ref());
    known.map_or("this machine", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn mapping(text: &str) -> Mapping {
        Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap()
    }

    #[test]
    fn a_running_guest_is_kept_before_its_copies() {
        let mut mapping = mapping(
            r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"G","state":5},{"guestId":"h","state":5},
                {"guestId":"g","state":1},{"guestId":"g","state":3},{"guestId":"i","state":5},{"guestId":"I","state":3}]}]}"#,
        );
        let mut told: Vec<String> = Vec::new();
        mapping.keep_one_of_each_guest(|copies| told.push(copies.to_string()));
        assert_eq!(
            told,
            [
                "guest g is listed 3 times on a; it is reported once",
                "guest i is listed 2 times on a; it is reported once"
            ]
        );
        let kept: Vec<_> = mapping.hypervisors[0]
            .guests
            .iter()
            .map(|guest| (&*guest.id, guest.state.number()))
            .collect();
        assert_eq!(kept, [("g", 1), ("h", 5), ("i", 5)]);
        mapping.keep_one_of_each_guest(|copies| panic!("{copies}"));
    }

    #[test]
    fn a_hypervisor_comes_last_where_a_guest_runs_that_others_have_too() {
        let mapping = mapping(
            r#"{"hypervisors":[{"uuid":"c","guests":[{"guestId":"g","state":5}]},{"uuid":"d","guests":[]},
                {"uuid":"a","name":"one","guests":[{"guestId":"G","state":1},{"guestId":"x","state":1}]},
                {"uuid":"b","guests":[{"guestId":"y","state":1},{"guestId":"g","state":5}]}]}"#,
        );
        let reportable = mapping.reportable();
        let order: Vec<&str> = reportable.hosts.iter().map(|(id, _)| *id).collect();
        assert_eq!(order, ["b", "c", "d", "a"]);
        let told: Vec<String> = reportable.census.shared.iter().map(Shared::to_string).collect();
        assert_eq!(
            told,
            ["guest g is on b and on c and on one; it counts for one, which is reported last"]
        );
    }

    #[test]
    fn a_message_names_a_few_hypervisors_only() {
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
