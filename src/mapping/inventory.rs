//! What a scan finds: the inventory of a source.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::clones::folded;
use super::{Hypervisor, LeftOut, SharedId, sort};

/// The hosts of a source with their guests, and what is missing or doubtful.
///
/// Each source but vSphere, whose inventories are larger, makes one of these. The guests have their names; whoever writes the
/// mapping decides whether it shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The hosts. After [`Inventory::sort`] in the order of a mapping.
    pub hypervisors: Vec<Hypervisor>,
    /// The hosts and guests that are left out, and why.
    pub left_out: Vec<LeftOut>,
    /// What is doubtful, one warning each.
    pub notes: Vec<String>,
}

impl Inventory {
    /// Sorts hypervisors and guests by their ids, and what is left out by kind, hosts first, and id. So two scans of the same hosts
    /// and guests are equal, in whatever order the source lists them.
    pub fn sort(&mut self) {
        // What has the same id is in the order of its name, not in that of the source.
        self.hypervisors.sort_by(|one, other| one.name.cmp(&other.name));
        for hypervisor in &mut self.hypervisors {
            hypervisor
                .guests
                .sort_by(|one, other| one.moref.cmp(&other.moref));
        }
        sort(&mut self.hypervisors);
        self.left_out.sort_by(|one, other| {
            (&other.kind, &one.id, &one.name).cmp(&(&one.kind, &other.id, &other.name))
        });
    }

    /// The ids that several hypervisors share, ignoring case, with the hypervisors' names.
    pub fn shared_ids(&self) -> Vec<SharedId> {
        let hosts = self.hypervisors.iter();
        shared(hosts.filter_map(|host| Some((host.id.as_deref()?, host.label().to_owned()))))
    }

    /// The ids that several guests share, ignoring case, usually because one virtual machine is a copy of the other. The names tell the
    /// guests and their hypervisors.
    pub fn clones(&self) -> Vec<SharedId> {
        let guests = self.hypervisors.iter().flat_map(|host| {
            let with_host = move |guest| (host, guest);
            host.guests.iter().map(with_host)
        });
        shared(guests.map(|(host, guest)| {
            let host = host.label();
            let name = match (&guest.name, &guest.moref) {
                (Some(name), Some(id)) => format!("{name:?} ({id}) on {host}"),
                (Some(name), None) => format!("{name:?} on {host}"),
                (None, Some(id)) => format!("{id} on {host}"),
                (None, None) => format!("a guest on {host}"),
            };
            (guest.id.as_str(), name)
        }))
    }
}

/// The ids that occur more than once, in their order.
fn shared<'i>(named: impl Iterator<Item = (&'i str, String)>) -> Vec<SharedId> {
    let mut holders: BTreeMap<Cow<'i, str>, Vec<String>> = BTreeMap::new();
    for (id, name) in named {
        holders.entry(folded(id)).or_default().push(name);
    }
    let several = holders.into_iter().filter(|(_, names)| names.len() > 1);
    let shared = several.map(|(id, names)| SharedId {
        id: id.into_owned(),
        names,
    });
    shared.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Guest, GuestState};

    fn guest(id: &str, name: Option<&str>, moref: Option<&str>) -> Guest {
        Guest {
            name: name.map(str::to_owned),
            moref: moref.map(str::to_owned),
            ..Guest::new(id, GuestState::Running, "rhevm")
        }
    }

    fn host(id: &str, name: Option<&str>, guests: Vec<Guest>) -> Hypervisor {
        Hypervisor {
            name: name.map(str::to_owned),
            guests,
            ..Hypervisor::new(id)
        }
    }

    fn texts(shared: Vec<SharedId>) -> Vec<String> {
        let text = |SharedId { id, names }| format!("{id}: {}", names.join(", "));
        shared.into_iter().map(text).collect()
    }

    #[test]
    fn shared_ids_name_their_holders() {
        let inventory = Inventory {
            hypervisors: vec![
                host(
                    "A",
                    Some("one"),
                    vec![guest("g", Some("web"), Some("7")), guest("h", None, None)],
                ),
                host(
                    "a",
                    None,
                    vec![guest("G", Some("db"), None), guest("g", None, Some("9"))],
                ),
                host("b", None, vec![guest("h", None, None), guest("i", None, None)]),
                Hypervisor::local(vec![]),
            ],
            ..Inventory::default()
        };
        assert_eq!(texts(inventory.shared_ids()), ["a: one, a"]);
        let clones = [
            "g: \"web\" (7) on one, \"db\" on a, 9 on a",
            "h: a guest on one, a guest on b",
        ];
        assert_eq!(texts(inventory.clones()), clones);
    }

    #[test]
    fn the_order_does_not_depend_on_the_source() {
        let left_out = |kind: &'static str, id: &str| LeftOut {
            kind: kind.into(),
            id: Some(id.to_owned()),
            ..LeftOut::default()
        };
        let sorted = Inventory {
            hypervisors: vec![
                host(
                    "a",
                    Some("1"),
                    vec![guest("g", None, Some("1")), guest("g", None, Some("2"))],
                ),
                host("a", Some("2"), vec![]),
                host(
                    "b",
                    Some("0"),
                    vec![guest("g", None, None), guest("h", None, None)],
                ),
            ],
            left_out: vec![
                left_out(LeftOut::HOST, "2"),
                left_out(LeftOut::HOST, "3"),
                left_out(LeftOut::GUEST, "1"),
            ],
            notes: Vec::new(),
        };
        let mut inventory = sorted.clone();
        inventory.hypervisors.reverse();
        for host in &mut inventory.hypervisors {
            host.guests.reverse();
        }
        inventory.left_out.reverse();
        inventory.sort();
        assert_eq!(inventory, sorted);
    }
}
