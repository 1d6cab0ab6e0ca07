//! What a scan keeps of an inventory, and how it becomes hypervisors and guests.

mod host;
mod live;
mod vms;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use self::host::Host;
pub(super) use self::live::Live;
use self::vms::{Placed, VANISHED, Vm, Vms};
use super::ManagedObject;
use super::property::{Object, PropertySpec};
use crate::error::{Classify, Kind};
use crate::escape;
use crate::mapping::{Guest, GuestState, Hypervisor, LeftOut};

/// virt-who's type of this source.
const TYPE: &str = "esx";

pub(super) const CLUSTER: &str = "ClusterComputeResource";
pub(super) const HOST: &str = "HostSystem";
pub(super) const VM: &str = "VirtualMachine";

/// All that a scan asks for: properties that the API has had since before version 4 (VI SDK 2.5, Reference Guide), so that no
/// server which is spoken to refuses one as unknown.
const WANTED: &[PropertySpec] = &[GUESTS, CLUSTERS, HOSTS];

/// The same with the guests' names.
const WANTED_WITH_NAMES: &[PropertySpec] = &[NAMED_GUESTS, CLUSTERS, HOSTS];

/// What is asked for, with the guests' names or without.
pub(super) fn wanted(guest_names: bool) -> &'static [PropertySpec] {
    match guest_names {
        false => WANTED,
        true => WANTED_WITH_NAMES,
    }
}

/// Only the names of virtual machines.
pub(super) const NAMES: PropertySpec = PropertySpec {
    kind: VM,
    paths: &["name"],
};

const GUESTS: PropertySpec = PropertySpec {
    kind: VM,
    paths: &["config.uuid", "config.version", "runtime.powerState"],
};

const NAMED_GUESTS: PropertySpec = PropertySpec {
    kind: VM,
    paths: &["config.uuid", "config.version", "runtime.powerState", "name"],
};

const CLUSTERS: PropertySpec = PropertySpec {
    kind: CLUSTER,
    paths: &["name"],
};

const HOSTS: PropertySpec = PropertySpec {
    kind: HOST,
    paths: &[
        "name",
        "vm",
        "parent",
        "hardware.systemInfo.uuid",
        "hardware.cpuInfo.numCpuPackages",
        "config.product.name",
        "config.product.version",
        "config.network.dnsConfig.hostName",
        "config.network.dnsConfig.domainName",
    ],
};

/// Which property of a host becomes its hypervisor's id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HypervisorId {
    /// The hardware's uuid (`hardware.systemInfo.uuid`).
    #[default]
    Uuid,
    /// The DNS name (`config.network.dnsConfig`).
    Hostname,
    /// The managed object id, such as `host-9`.
    Hwuuid,
}

/// A hypervisor_id that is none of uuid, hostname, hwuuid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of uuid, hostname, hwuuid")]
pub struct UnknownHypervisorId(String);

impl Classify for UnknownHypervisorId {
    fn kind(&self) -> Kind {
        Kind::Config
    }
}

impl fmt::Display for HypervisorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HypervisorId::Uuid => "uuid",
            HypervisorId::Hostname => "hostname",
            HypervisorId::Hwuuid => "hwuuid",
        })
    }
}

impl FromStr for HypervisorId {
    type Err = UnknownHypervisorId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "uuid" => Ok(HypervisorId::Uuid),
            "hostname" => Ok(HypervisorId::Hostname),
            "hwuuid" => Ok(HypervisorId::Hwuuid),
            _ => Err(UnknownHypervisorId(text.to_owned())),
        }
    }
}

/// The hosts, virtual machines and clusters of one scan, in a form that a large inventory fits into.
#[derive(Debug, Default)]
pub struct Inventory {
    hosts: Vec<Host>,
    vms: Vms,
    clusters: FxHashMap<String, String>,
    /// Whether guests get their name, managed object id and uuid as vSphere shows it.
    with_names: bool,
    /// The names of virtual machines that were asked for, by managed object id.
    names: FxHashMap<String, String>,
    /// The uuids as vSphere shows them, likewise; only `with_names`.
    shown_uuids: FxHashMap<String, Uuid>,
    /// How many virtual machines have a hardware version that is none, and the first of them.
    odd_versions: usize,
    first_odd_version: String,
}

impl Inventory {
    /// An empty one, whose guests will have their name, managed object id and uuid as vSphere shows it, or not.
    pub(super) fn new(with_names: bool) -> Self {
        Inventory {
            with_names,
            ..Inventory::default()
        }
    }

    /// Takes in one object; objects may come in any order.
    pub(super) fn add(&mut self, object: &Object) {
        match object.kind.as_str() {
            VM => {
                self.add_vm(object);
                if self.with_names {
                    self.add_name(object);
                }
            }
            HOST => {
                let vms = self.vms.list(object.references("vm").map(|(_, id)| id));
                self.hosts.push(Host::new(object, vms));
            }
            CLUSTER => {
                if let Some(name) = object.text("name") {
                    self.clusters.insert(object.id.clone(), decode(name));
                }
            }
            _ => {}
        }
    }

    fn add_vm(&mut self, object: &Object) {
        match Usable::new(object) {
            Ok(Usable {
                uuid,
                shown,
                odd_version,
            }) => {
                if self.with_names {
                    self.shown_uuids.insert(object.id.clone(), shown);
                }
                if let Some(version) = odd_version {
                    self.odd_versions += 1;
                    if self.odd_versions == 1 {
                        self.first_odd_version = format!("{} with {version:?}", object.id);
                    }
                }
                let state = power_state(object.text("runtime.powerState"));
                self.vms.add(&object.id, uuid, state);
            }
            Err(reason) => self.vms.add_unusable(&object.id, reason),
        }
    }

    /// Takes in the name of a virtual machine.
    pub(super) fn add_name(&mut self, object: &Object) {
        if let Some(name) = object.text("name") {
            self.names.insert(object.id.clone(), decode(name));
        }
    }

    /// The virtual machines that will be named, as omitted or as clones, and whose names have not been asked for.
    pub(super) fn nameless(&self) -> Vec<ManagedObject> {
        if self.with_names {
            return Vec::new();
        }
        let mut ids = self.vms.not_placed();
        ids.extend(self.vms.clones());
        ids.sort_unstable();
        ids.dedup();
        let machine = |id| ManagedObject { kind: VM.into(), id };
        ids.into_iter().map(machine).collect()
    }

    /// How many hosts and virtual machines have been seen.
    pub fn counts(&self) -> (usize, usize) {
        (self.hosts.len(), self.vms.count())
    }

    /// Decides which hosts and guests can be told under this kind of id, and which are left out.
    pub fn identify(self, id: HypervisorId) -> Identified {
        let mut notes = Vec::new();
        if self.odd_versions > 0 {
            let machines = match self.odd_versions {
                1 => format!("virtual machine {} has", self.first_odd_version),
                number => format!(
                    "{number} virtual machines (the first is {}) have",
                    self.first_odd_version
                ),
            };
            notes.push(format!(
                "{machines} a hardware version that cannot be parsed: the bytes of the uuid are not swapped"
            ));
        }
        let Inventory {
            hosts,
            clusters,
            vms,
            names,
            shown_uuids,
            with_names,
            ..
        } = self;
        let vms = vms.place(hosts.iter().map(|host| &host.vms));
        if let Some(first) = vms.moved.first() {
            let machines = match vms.moved.len() {
                1 => format!("virtual machine {first}"),
                number => format!("{number} virtual machines (the first is {first})"),
            };
            notes.push(format!(
                "{machines} moved during the scan: the last host that listed it counts"
            ));
        }
        let mut order = Vec::with_capacity(hosts.len());
        let mut all_left_out = Vec::new();
        for (at, host) in hosts.iter().enumerate() {
            match host.hypervisor_id(id) {
                Ok(id) => order.push((id.to_owned(), at)),
                Err(reason) => {
                    let name = host.display_name().map(str::to_owned);
                    all_left_out.push(left_out(LeftOut::HOST, &host.id, name, reason));
                }
            }
        }
        for (id, reason) in &vms.omitted {
            let name = names.get(id).cloned();
            all_left_out.push(left_out(LeftOut::GUEST, id, name, reason.clone()));
        }
        order.sort_by(|(id, at), (other, other_at)| {
            let moref = |at: &usize| hosts.get(*at).map(|host| &host.id);
            id.cmp(other).then_with(|| moref(at).cmp(&moref(other_at)))
        });
        // Hosts before guests.
        all_left_out.sort_by(|a, b| (&b.kind, &a.id).cmp(&(&a.kind, &b.id)));
        Identified {
            hosts,
            vms,
            clusters,
            order,
            left_out: all_left_out,
            notes,
            with_names,
            names,
            shown_uuids,
        }
    }
}

/// What of a virtual machine makes it a guest.
struct Usable<'o> {
    /// The uuid as its guest finds it in its DMI table.
    uuid: Uuid,
    /// The same as vSphere shows it.
    shown: Uuid,
    /// The hardware version, where that is none.
    odd_version: Option<&'o str>,
}

impl<'o> Usable<'o> {
    /// Fails with the reason why the machine can't be a guest.
    fn new(object: &'o Object) -> Result<Self, String> {
        if object.is_gone() {
            return Err(VANISHED.to_owned());
        }
        let shown = match object.text("config.uuid").filter(|uuid| !uuid.is_empty()) {
            None => return Err(missing("config.uuid", object.fault_of("config.uuid"))),
            Some(text) => Uuid::try_parse(text).map_err(|_| format!("config.uuid {text:?} is no uuid"))?,
        };
        let version = object.text("config.version").unwrap_or_default();
        let number = version
            .strip_prefix("vmx-")
            .and_then(|digits| digits.parse::<u32>().ok());
        Ok(Usable {
            uuid: match number {
                // From hardware version 13 on, the table shows the first three groups in the other byte order.
                Some(13..) => Uuid::from_bytes(shown.to_bytes_le()),
                _ => shown,
            },
            shown,
            odd_version: number.is_none().then_some(version),
        })
    }
}

/// An inventory whose hosts have ids, in the order of the mapping.
#[derive(Debug)]
pub struct Identified {
    hosts: Vec<Host>,
    vms: Placed,
    clusters: FxHashMap<String, String>,
    order: Vec<(String, usize)>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    with_names: bool,
    names: FxHashMap<String, String>,
    shown_uuids: FxHashMap<String, Uuid>,
}

impl Identified {
    /// What is doubtful in it, for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The hosts and guests that are left out, and why: hosts first, each by managed object id.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The ids that several hosts share, each with the hosts' names.
    pub fn shared_ids(&self) -> Vec<(String, Vec<String>)> {
        let same = self.order.chunk_by(|(id, _), (other, _)| id == other);
        let shared = same.filter(|hosts| hosts.len() > 1).filter_map(|hosts| {
            let (id, _) = hosts.first()?;
            let named = hosts.iter().filter_map(|(_, at)| self.hosts.get(*at));
            let named = named.map(|host| host.display_name().unwrap_or(&host.id).to_owned());
            Some((id.clone(), named.collect()))
        });
        shared.collect()
    }

    /// The guest ids that several virtual machines share, as after a copy: each with the machines' names and hosts.
    pub fn clones(&self) -> Vec<(String, Vec<String>)> {
        let mut told = vec![false; self.hosts.len()];
        for (_, at) in &self.order {
            if let Some(told) = told.get_mut(*at) {
                *told = true;
            }
        }
        let is_told = |at: usize| told.get(at) == Some(&true);
        let clones = self.vms.clones().filter_map(|same| {
            let (first, _) = same.first()?;
            let on_told = same.iter().filter(|(_, host)| is_told(*host));
            let named: Vec<String> = on_told.map(|(vm, host)| self.machine(vm, *host)).collect();
            (named.len() > 1).then(|| (hyphenated(first.uuid), named))
        });
        clones.collect()
    }

    /// Such as `"web1" (vm-42) on esx1.example.com`.
    fn machine(&self, vm: &Vm, host: usize) -> String {
        let id = self.vms.id_of(vm);
        let host = self.hosts.get(host);
        let host = host.map_or("no host", |host| host.display_name().unwrap_or(&host.id));
        match self.names.get(&id) {
            Some(name) => format!("{name:?} ({id}) on {host}"),
            None => format!("{id} on {host}"),
        }
    }

    /// The hypervisors one after the other, bytewise by id, their guests likewise.
    pub fn hypervisors(&self) -> impl Iterator<Item = Hypervisor> {
        self.order.iter().filter_map(|(id, at)| {
            let host = self.hosts.get(*at)?;
            let cluster = host.parent.as_ref().filter(|parent| parent.kind == CLUSTER);
            let cluster = cluster.and_then(|parent| self.clusters.get(&parent.id));
            Some(Hypervisor {
                guests: self.vms.on(*at).iter().map(|vm| self.guest(vm)).collect(),
                ..host.hypervisor(id, cluster.map(String::as_str))
            })
        })
    }

    fn guest(&self, vm: &Vm) -> Guest {
        let guest = Guest::new(hyphenated(vm.uuid), vm.state, TYPE);
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

fn left_out(kind: &'static str, id: &str, name: Option<String>, reason: String) -> LeftOut {
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

/// The name as people see it: the API escapes `%`, `/` and `\`. What is no escaping is taken as it is.
fn decode(name: &str) -> String {
    escape::Scheme::Name
        .decode(name)
        .unwrap_or_else(|_| name.to_owned())
}

/// Why something is left out that lacks a property.
fn missing(path: &str, fault: Option<&str>) -> String {
    match fault {
        Some(fault) => format!("no {path} ({fault})"),
        None => format!("no {path}"),
    }
}

fn power_state(state: Option<&str>) -> GuestState {
    match state {
        Some("poweredOn") => GuestState::Running,
        Some("suspended") => GuestState::Paused,
        Some("poweredOff") => GuestState::ShutOff,
        _ => GuestState::None,
    }
}
