//! Compares two sides.

use std::cmp::Ordering;

use super::change::{self, Change};
use super::snapshot::{GuestRef, HostRef, Snapshot};
use crate::mapping::GuestState;

/// What changed between two sides.
#[derive(Debug, Default)]
pub struct Differences<'s> {
    /// The hypervisors.
    pub hosts: HostDifferences<'s>,
    /// The guests.
    pub guests: GuestDifferences<'s>,
}

/// Hypervisors that differ, each list in the order of their ids.
#[derive(Debug, Default)]
pub struct HostDifferences<'s> {
    /// Only the new side has them.
    pub came: Vec<HostRef<'s>>,
    /// Only the old side has them.
    pub went: Vec<HostRef<'s>>,
    /// Both sides have them; their name, facts or parent changed.
    pub changed: Vec<Changed<'s, HostRef<'s>>>,
}

/// Guests that differ, each list in the order of their ids.
#[derive(Debug, Default)]
pub struct GuestDifferences<'s> {
    /// Only the new side has them.
    pub came: Vec<GuestRef<'s>>,
    /// Only the old side has them.
    pub went: Vec<GuestRef<'s>>,
    /// They are on another hypervisor.
    pub moved: Vec<Moved<'s>>,
    /// Both sides have them; their state, attributes or name changed.
    pub changed: Vec<Changed<'s, GuestRef<'s>>>,
}

/// What changed in a hypervisor or a guest.
#[derive(Debug)]
pub struct Changed<'s, T> {
    /// As it is on the new side.
    pub new: T,
    /// At least one change.
    pub what: Vec<Change<'s>>,
}

/// A guest that is on another hypervisor.
#[derive(Debug)]
pub struct Moved<'s> {
    /// As it is on the new side.
    pub guest: GuestRef<'s>,
    /// The hypervisor on which it was.
    pub from: HostRef<'s>,
}

impl<'s> Differences<'s> {
    /// Compares two sides. Each may consist of several documents, such as one per source.
    pub fn between(old: &'s [Snapshot], new: &'s [Snapshot]) -> Self {
        Differences {
            hosts: hosts(old, new),
            guests: guests(old, new),
        }
    }

    /// Whether the sides are the same.
    pub fn is_empty(&self) -> bool {
        let (hosts, guests) = (&self.hosts, &self.guests);
        hosts.came.is_empty()
            && hosts.went.is_empty()
            && hosts.changed.is_empty()
            && guests.came.is_empty()
            && guests.went.is_empty()
            && guests.moved.is_empty()
            && guests.changed.is_empty()
    }
}

fn hosts<'s>(old: &'s [Snapshot], new: &'s [Snapshot]) -> HostDifferences<'s> {
    let sorted = |side: &'s [Snapshot]| {
        let mut hosts: Vec<HostRef<'s>> = side.iter().flat_map(Snapshot::hosts).collect();
        // Hypervisors that share an id are compared by their names, so that their order makes no difference.
        hosts.sort_by_key(|host| (host.key(), host.name()));
        hosts
    };
    let mut found = HostDifferences::default();
    let (old, new) = (sorted(old), sorted(new));
    join(
        &old,
        &new,
        |host| host.key(),
        |old, new| {
            for pair in old.iter().zip(new) {
                let what = change::of_host(*pair.0, *pair.1);
                if !what.is_empty() {
                    found.changed.push(Changed { new: *pair.1, what });
                }
            }
            found.went.extend(old.iter().skip(new.len()));
            found.came.extend(new.iter().skip(old.len()));
        },
    );
    found
}

fn guests<'s>(old: &'s [Snapshot], new: &'s [Snapshot]) -> GuestDifferences<'s> {
    let sorted = |side: &'s [Snapshot]| {
        let mut guests: Vec<GuestRef<'s>> = side.iter().flat_map(Snapshot::guests).collect();
        // Looking up the hypervisors takes time, and nearly no guests share an id.
        let by_place = |one: &GuestRef<'s>, other: &GuestRef<'s>| {
            let by_id = one.key().cmp(other.key());
            by_id.then_with(|| one.host().key().cmp(&other.host().key()))
        };
        guests.sort_by(|one, other| {
            let is_idle = |guest: &GuestRef<'_>| guest.state() != Some(GuestState::Running);
            by_place(one, other).then_with(|| is_idle(one).cmp(&is_idle(other)))
        });
        // A server keeps a guest once that a hypervisor lists several times; a running one counts.
        guests.dedup_by(|one, other| by_place(one, other).is_eq());
        guests
    };
    let mut found = GuestDifferences::default();
    let (old, new) = (sorted(old), sorted(new));
    join(&old, &new, |guest| guest.key(), |old, new| found.add(old, new));
    found
}

impl<'s> GuestDifferences<'s> {
    /// Adds the differences of one guest, which either side may have on several hypervisors.
    fn add(&mut self, old: &[GuestRef<'s>], new: &[GuestRef<'s>]) {
        let (mut left, mut arrived) = (Vec::new(), Vec::new());
        join(
            old,
            new,
            |guest| guest.host().key(),
            |old, new| match (old.first(), new.first()) {
                (Some(old), Some(new)) => self.add_changes(*old, *new),
                (Some(old), None) => left.push(*old),
                (None, Some(new)) => arrived.push(*new),
                (None, None) => {}
            },
        );
        for (old, new) in left.iter().zip(&arrived) {
            self.moved.push(Moved {
                guest: *new,
                from: old.host(),
            });
            self.add_changes(*old, *new);
        }
        self.went.extend(left.iter().skip(arrived.len()));
        self.came.extend(arrived.iter().skip(left.len()));
    }

    fn add_changes(&mut self, old: GuestRef<'s>, new: GuestRef<'s>) {
        let what = change::of_guest(old, new);
        if !what.is_empty() {
            self.changed.push(Changed { new, what });
        }
    }
}

/// Passes the items of both sides with the same key to `give`, in the order of the keys. Both sides are sorted.
fn join<T, K: Ord>(old: &[T], new: &[T], key: impl Fn(&T) -> K, mut give: impl FnMut(&[T], &[T])) {
    let (mut old, mut new) = (old, new);
    loop {
        let order = match (old.first(), new.first()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => key(old).cmp(&key(new)),
        };
        let (olds, rest) = old.split_at(if order.is_le() { run(old, &key) } else { 0 });
        old = rest;
        let (news, rest) = new.split_at(if order.is_ge() { run(new, &key) } else { 0 });
        new = rest;
        give(olds, news);
    }
}

/// The number of items with the same key as the first.
fn run<T, K: Ord>(items: &[T], key: &impl Fn(&T) -> K) -> usize {
    let Some(first) = items.first().map(key) else {
        return 0;
    };
    items.iter().take_while(|item| key(item) == first).count()
}
