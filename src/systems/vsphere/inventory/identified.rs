//! An inventory whose hosts have ids, and how it becomes hypervisors.

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::host::Host;
use super::vms::{Placed, Vm};
use super::{Inventory, TYPE};
use crate::mapping::{Guest, Hypervisor, HypervisorId, LeftOut, SharedId};

/// An inventory whose hosts have ids, in the order of the mapping.
#[derive(Debug)]
pub struct Identified {
    hosts: Vec<Host>,
    vms: Placed,
    /// The clusters' names by managed object id.
    clusters: FxHashMap<String, String>,
    /// The kind of the hosts' ids.
    id: HypervisorId,
    /// The places in `hosts` of those that have an id, in the order of their ids.
    order: Vec<u32>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    with_names: bool,
    names: FxHashMap<String, String>,
    shown_uuids: FxHashMap<String, Uuid>,
}

impl Inventory {
    /// Gives the hosts this kind of id, puts the guests on their hosts, and leaves out those that lack what they need.
    pub fn identify(self, id: HypervisorId) -> Identified {
        let odd_versions = self.odd_versions_note();
        let Inventory {
            hosts,
            clusters,
            vms,
            names,
            shown_uuids,
            with_names,
            ..
        } = self;
        let vms = vms.place();
        let moved = moved_note(&vms.moved);
        let (order, mut left_out) = by_id(&hosts, id);
        left_out.extend(vms.omitted.iter().map(|(id, reason)| {
            let name = names.get(id).cloned();
            without(LeftOut::GUEST, id, name, reason.clone())
        }));
        // Hosts before guests.
        left_out.sort_by(|a, b| (&b.kind, &a.id).cmp(&(&a.kind, &b.id)));
        Identified {
            hosts,
            vms,
            clusters,
            id,
            order,
            left_out,
            notes: odd_versions.into_iter().chain(moved).collect(),
            with_names,
            names,
            shown_uuids,
        }
    }

    fn odd_versions_note(&self) -> Option<String> {
        let first = &self.first_odd_version;
        let machines = match self.odd_versions {
            0 => return None,
            1 => format!("virtual machine {first} has"),
            number => format!("{number} virtual machines (the first is {first}) have"),
        };
        Some(format!(
            "{machines} a hardware version that cannot be parsed: the bytes of the uuid are not swapped"
        ))
    }
}

fn moved_note(moved: &[String]) -> Option<String> {
    let first = moved.first()?;
    let machines = match moved.len() {
        1 => format!("virtual machine {first}"),
        number => format!("{number} virtual machines (the first is {first})"),
    };
    Some(format!(
        "{machines} moved during the scan: the last host that listed it counts"
    ))
}

/// The hosts that have this kind of id, in the order of their ids, and those that lack it.
fn by_id(hosts: &[Host], id: HypervisorId) -> (Vec<u32>, Vec<LeftOut>) {
    let mut order = Vec::with_capacity(hosts.len());
    let mut left_out = Vec::new();
    for (at, host) in (0..).zip(hosts) {
        match host.hypervisor_id(id) {
            Ok(id) => order.push((id, host.id(), at)),
            Err(reason) => {
                let name = host.display_name().map(str::to_owned);
                left_out.push(without(LeftOut::HOST, host.id(), name, reason));
            }
        }
    }
    order.sort_unstable();
    (order.into_iter().map(|(.., at)| at).collect(), left_out)
}

impl Identified {
    /// What is doubtful in the inventory, for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The hosts and guests that are left out, and why: hosts first, each by managed object id.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The ids that several hosts share, with the hosts' names.
    pub fn shared_ids(&self) -> Vec<SharedId> {
        let hosts: Vec<_> = self.with_ids().collect();
        let same = hosts.chunk_by(|(_, id, _), (_, other, _)| id == other);
        let shared = same.filter(|hosts| hosts.len() > 1).filter_map(|hosts| {
            let (_, id, _) = hosts.first()?;
            let names = hosts.iter().map(|(.., host)| host.label().to_owned());
            Some(SharedId {
                id: (*id).to_owned(),
                names: names.collect(),
            })
        });
        shared.collect()
    }

    /// The hosts that have an id, in the order of their ids, each with its place and its id.
    fn with_ids(&self) -> impl Iterator<Item = (usize, &str, &Host)> {
        self.order.iter().filter_map(|at| {
            let at = *at as usize;
            let host = self.hosts.get(at)?;
            Some((at, host.hypervisor_id(self.id).ok()?, host))
        })
    }

    /// The guest ids that several virtual machines share, usually because one is a copy, with the machines' names and hosts.
    ///
    /// Machines on hosts that are left out do not count.
    pub fn clones(&self) -> Vec<SharedId> {
        let mut has_id = vec![false; self.hosts.len()];
        for at in &self.order {
            if let Some(has_id) = has_id.get_mut(*at as usize) {
                *has_id = true;
            }
        }
        let clones = self.vms.clones().filter_map(|same| {
            let (first, _) = same.first()?;
            let kept = same.iter().filter(|(_, host)| has_id.get(*host) == Some(&true));
            let names: Vec<String> = kept.map(|(vm, host)| self.machine(vm, *host)).collect();
            let id = hyphenated(first.uuid);
            (names.len() > 1).then_some(SharedId { id, names })
        });
        clones.collect()
    }

    /// A virtual machine in messages, such as `"web1" (vm-42) on esx1.example.com`.
    fn machine(&self, vm: &Vm, host: usize) -> String {
        let id = self.vms.id_of(vm);
        let host = self.hosts.get(host);
        let host = host.map_or("no host", Host::label);
        match self.names.get(&id) {
            Some(name) => format!("{name:?} ({id}) on {host}"),
            None => format!("{id} on {host}"),
        }
    }

    /// The hypervisors in bytewise order of their ids, each with its guests in the same order.
    pub fn hypervisors(&self) -> impl Iterator<Item = Hypervisor> {
        self.with_ids().map(|(at, id, host)| {
            let cluster = host.cluster().and_then(|id| self.clusters.get(id));
            Hypervisor {
                guests: self.vms.on(at).iter().map(|vm| self.guest(vm)).collect(),
                ..host.hypervisor(id, cluster.map(String::as_str))
            }
        })
    }

    fn guest(&self, vm: &Vm) -> Guest {
        let guest = Guest::new(hyphenated(vm.uuid), vm.state(), TYPE);
        if !self.with_names {
            return guest;
        }
        let id = self.vms.id_of(vm);
        Guest {
            name: self.names.get(&id).cloned(),
            uuid: self.shown_uuids.get(&id).map(|uuid| hyphenated(*uuid)),
            moref: Some(id),
            ..guest
        }
    }
}

fn without(kind: &'static str, id: &str, name: Option<String>, reason: String) -> LeftOut {
    LeftOut {
        kind: kind.into(),
        id: Some(id.to_owned()),
        name,
        reason,
    }
}

/// The uuid's usual text.
fn hyphenated(uuid: Uuid) -> String {
    uuid.hyphenated()
        .encode_lower(&mut Uuid::encode_buffer())
        .to_owned()
}
