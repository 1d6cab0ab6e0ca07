//! What a scan keeps of an inventory, and how it becomes hypervisors and guests.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::ManagedObject;
use super::property::{Object, PropertySpec};
use crate::error::Kind;
use crate::escape;
use crate::mapping::{Guest, GuestState, Hypervisor, Members, Omitted, Parent};

/// virt-who's type of this source.
const TYPE: &str = "esx";

/// The stage that `omitted` names.
const STAGE: &str = "vw-scan-esx";

const CLUSTER: &str = "ClusterComputeResource";
const HOST: &str = "HostSystem";
const VM: &str = "VirtualMachine";

/// All that a scan asks for: properties that the API has had since before version 4 (VI SDK 2.5, Reference Guide), so that no
/// server which is spoken to refuses one as unknown.
pub(super) const WANTED: &[PropertySpec] = &[GUEST, CLUSTERS, HOSTS];

/// The same with the guests' names.
pub(super) const WANTED_WITH_NAMES: &[PropertySpec] = &[NAMED_GUEST, CLUSTERS, HOSTS];

/// Only the names of virtual machines.
pub(super) const NAMES: PropertySpec = PropertySpec {
    kind: VM,
    paths: &["name"],
};

const GUEST: PropertySpec = PropertySpec {
    kind: VM,
    paths: &["config.uuid", "config.version", "runtime.powerState"],
};

const NAMED_GUEST: PropertySpec = PropertySpec {
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

impl UnknownHypervisorId {
    /// The kind of this failure.
    pub fn kind(&self) -> Kind {
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
    vms: FxHashMap<VmId, Vm>,
    /// Why a virtual machine can't be a guest.
    unusable_vms: FxHashMap<VmId, String>,
    /// The names of virtual machines, as far as they were asked for.
    names: FxHashMap<VmId, Box<str>>,
    /// The uuids as vSphere shows them, with `--guest-names`.
    shown_uuids: FxHashMap<VmId, Uuid>,
    with_names: bool,
    clusters: FxHashMap<String, String>,
    /// How many virtual machines have a hardware version that is none, and the first of them.
    odd_versions: usize,
    first_odd_version: String,
}

/// A virtual machine's managed object id: a number where it is vCenter's `vm-NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum VmId {
    Numbered(u32),
    Named(Box<str>),
}

impl VmId {
    fn new(id: &str) -> Self {
        let number = id
            .strip_prefix("vm-")
            .filter(|digits| !digits.starts_with(['0', '+']));
        match number.and_then(|digits| digits.parse().ok()) {
            Some(number) => VmId::Numbered(number),
            None => VmId::Named(id.into()),
        }
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VmId::Numbered(number) => write!(f, "vm-{number}"),
            VmId::Named(id) => f.write_str(id),
        }
    }
}

/// A virtual machine with the uuid that its guest finds in its DMI table.
#[derive(Debug, Clone, Copy)]
struct Vm {
    uuid: Uuid,
    state: GuestState,
}

/// A host as the server told it; texts that are empty count as missing.
#[derive(Debug, Default)]
struct Host {
    id: String,
    name: Option<String>,
    vms: Vec<VmId>,
    parent: Option<ManagedObject>,
    uuid: Option<String>,
    sockets: Option<String>,
    product_name: Option<String>,
    product_version: Option<String>,
    dns_name: Option<String>,
    /// The fault that came instead of the uuid or of the DNS name.
    uuid_fault: Option<String>,
    dns_fault: Option<String>,
}

impl Inventory {
    /// One whose guests will have their name, managed object id and uuid as vSphere shows it, or not.
    pub(super) fn new(with_names: bool) -> Self {
        Inventory {
            with_names,
            ..Inventory::default()
        }
    }

    /// Takes in one object; objects may come in any order.
    pub(super) fn add(&mut self, object: &Object) {
        match object.kind.as_str() {
            VM => self.add_vm(object),
            HOST => self.hosts.push(Host::new(object)),
            CLUSTER => {
                if let Some(name) = object.text("name") {
                    self.clusters.insert(object.id.clone(), decode(name));
                }
            }
            _ => {}
        }
    }

    fn add_vm(&mut self, object: &Object) {
        let id = VmId::new(&object.id);
        self.add_name(object);
        let uuid = match object.text("config.uuid").filter(|uuid| !uuid.is_empty()) {
            None => Err(missing("config.uuid", object.fault_of("config.uuid"))),
            Some(text) => Uuid::try_parse(text).map_err(|_| format!("config.uuid {text:?} is no uuid")),
        };
        match uuid {
            Ok(uuid) => {
                if self.with_names {
                    self.shown_uuids.insert(id.clone(), uuid);
                }
                let uuid = self.as_the_guest_sees_it(uuid, object);
                let state = power_state(object.text("runtime.powerState"));
                self.vms.insert(id, Vm { uuid, state });
            }
            Err(reason) => {
                self.unusable_vms.insert(id, reason);
            }
        }
    }

    /// Takes in the name of a virtual machine, where the object has it.
    pub(super) fn add_name(&mut self, object: &Object) {
        if let Some(name) = object.text("name") {
            self.names.insert(VmId::new(&object.id), decode(name).into());
        }
    }

    /// The virtual machines that can't be guests and whose names have not been asked for.
    pub(super) fn nameless(&self) -> Vec<ManagedObject> {
        let unusable = self.unusable_vms.keys().filter(|_| !self.with_names);
        let mut nameless: Vec<ManagedObject> = unusable
            .map(|id| ManagedObject {
                kind: VM.into(),
                id: id.to_string(),
            })
            .collect();
        nameless.sort_by(|one, other| one.id.cmp(&other.id));
        nameless
    }

    /// From hardware version 13 on, a guest's DMI table shows the first three groups in the other byte order.
    fn as_the_guest_sees_it(&mut self, uuid: Uuid, object: &Object) -> Uuid {
        let version = object.text("config.version").unwrap_or_default();
        let number = version
            .strip_prefix("vmx-")
            .and_then(|digits| digits.parse::<u32>().ok());
        if number.is_none() {
            self.odd_versions += 1;
            if self.odd_versions == 1 {
                self.first_odd_version = format!("{} with {version:?}", object.id);
            }
        }
        match number {
            Some(13..) => Uuid::from_bytes(uuid.to_bytes_le()),
            _ => uuid,
        }
    }

    /// How many hosts and virtual machines have been seen.
    pub fn counts(&self) -> (usize, usize) {
        (self.hosts.len(), self.vms.len() + self.unusable_vms.len())
    }

    /// Decides which hosts and guests can be told under this kind of id, and which are omitted.
    pub fn identify(mut self, id: HypervisorId) -> Identified {
        if self.odd_versions > 0 {
            log::warn!(
                "{} virtual machines have no known hardware version, the first is {}: their uuids are taken as they are",
                self.odd_versions,
                self.first_odd_version,
            );
        }
        let mut omitted = Vec::new();
        let mut order = Vec::new();
        for (at, host) in self.hosts.iter_mut().enumerate() {
            match host.hypervisor_id(id) {
                Ok(id) => order.push((id, at)),
                Err(reason) => omitted.push(Omitted {
                    kind: Omitted::HOST.into(),
                    id: Some(host.id.clone()),
                    name: host.display_name().map(str::to_owned),
                    stage: STAGE.into(),
                    reason,
                    ..Omitted::default()
                }),
            }
            host.vms.retain(|vm| {
                let known = self.vms.contains_key(vm);
                if !known {
                    let reason = self
                        .unusable_vms
                        .remove(vm)
                        .unwrap_or_else(|| "it vanished during the scan".into());
                    omitted.push(Omitted {
                        kind: Omitted::GUEST.into(),
                        id: Some(vm.to_string()),
                        name: self.names.get(vm).map(|name| name.to_string()),
                        stage: STAGE.into(),
                        reason,
                        ..Omitted::default()
                    });
                }
                known
            });
        }
        order.sort_by(|(id, at), (other, other_at)| {
            let moref = |at: &usize| self.hosts.get(*at).map(|host| &host.id);
            id.cmp(other).then_with(|| moref(at).cmp(&moref(other_at)))
        });
        // Hosts before guests.
        omitted.sort_by(|a, b| (&b.kind, &a.id).cmp(&(&a.kind, &b.id)));
        Identified {
            inventory: self,
            order,
            omitted,
        }
    }
}

impl Host {
    fn new(object: &Object) -> Self {
        let text = |path| {
            object
                .text(path)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let fault = |path| object.fault_of(path).map(str::to_owned);
        let host_name = text("config.network.dnsConfig.hostName");
        let domain_name = text("config.network.dnsConfig.domainName");
        Host {
            id: object.id.clone(),
            name: text("name").map(|name| decode(&name)),
            vms: object.references("vm").map(|(_, id)| VmId::new(id)).collect(),
            parent: object
                .references("parent")
                .next()
                .map(|(kind, id)| ManagedObject {
                    kind: kind.into(),
                    id: id.into(),
                }),
            uuid: text("hardware.systemInfo.uuid"),
            sockets: text("hardware.cpuInfo.numCpuPackages"),
            product_name: text("config.product.name"),
            product_version: text("config.product.version"),
            dns_name: host_name.map(|host| qualified(host, domain_name.as_deref())),
            uuid_fault: fault("hardware.systemInfo.uuid"),
            dns_fault: fault("config.network.dnsConfig.hostName"),
        }
    }

    fn hypervisor_id(&self, id: HypervisorId) -> Result<String, String> {
        match id {
            HypervisorId::Hwuuid => Ok(self.id.clone()),
            HypervisorId::Uuid => self
                .uuid
                .clone()
                .ok_or_else(|| missing("hardware.systemInfo.uuid", self.uuid_fault.as_deref())),
            HypervisorId::Hostname => self
                .dns_name
                .clone()
                .ok_or_else(|| missing("config.network.dnsConfig.hostName", self.dns_fault.as_deref())),
        }
    }

    /// The DNS name, or the name in the inventory, which is what the host was added by.
    fn display_name(&self) -> Option<&str> {
        self.dns_name.as_deref().or(self.name.as_deref())
    }
}

/// An inventory whose hosts have ids, in the order of the mapping.
#[derive(Debug)]
pub struct Identified {
    inventory: Inventory,
    order: Vec<(String, usize)>,
    omitted: Vec<Omitted>,
}

impl Identified {
    /// The hosts and guests that are left out, and why: hosts first, each by managed object id.
    pub fn omitted(&self) -> &[Omitted] {
        &self.omitted
    }

    /// The ids that several hosts share, each with the hosts' names.
    pub fn shared_ids(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let same = self.order.chunk_by(|(id, _), (other, _)| id == other);
        same.filter(|hosts| hosts.len() > 1).filter_map(|hosts| {
            let (id, _) = hosts.first()?;
            let named = hosts.iter().filter_map(|(_, at)| self.inventory.hosts.get(*at));
            Some((
                id.as_str(),
                named
                    .map(|host| host.display_name().unwrap_or(&host.id))
                    .collect(),
            ))
        })
    }

    /// The hypervisors one after the other, bytewise by id, their guests likewise.
    pub fn hypervisors(&self) -> impl Iterator<Item = Hypervisor> {
        self.order.iter().filter_map(|(id, at)| {
            let host = self.inventory.hosts.get(*at)?;
            Some(self.inventory.hypervisor(id, host))
        })
    }
}

impl Inventory {
    fn guest(&self, id: &VmId, vm: &Vm) -> Guest {
        let guest = Guest::new(vm.uuid.to_string(), vm.state, TYPE);
        match self.with_names {
            false => guest,
            true => Guest {
                name: self.names.get(id).map(|name| name.to_string()),
                moref: Some(id.to_string()),
                uuid: self.shown_uuids.get(id).map(Uuid::to_string),
                ..guest
            },
        }
    }

    fn hypervisor(&self, id: &str, host: &Host) -> Hypervisor {
        let mut vms: Vec<(&VmId, &Vm)> = host
            .vms
            .iter()
            .filter_map(|id| Some((id, self.vms.get(id)?)))
            .collect();
        vms.sort_by(|(id, vm), (other_id, other)| {
            let by_uuid = vm.uuid.cmp(&other.uuid);
            by_uuid.then_with(|| id.to_string().cmp(&other_id.to_string()))
        });
        let cluster = host.parent.as_ref().filter(|parent| parent.kind == CLUSTER);
        let cluster_name = cluster.and_then(|parent| self.clusters.get(&parent.id));
        Hypervisor {
            name: host.display_name().map(str::to_owned),
            guests: vms.into_iter().map(|(id, vm)| self.guest(id, vm)).collect(),
            facts: host.facts(cluster_name),
            parent: host.parent.as_ref().map(|parent| Parent {
                id: Some(parent.id.clone()),
                kind: Some(parent.kind.clone()),
                name: cluster_name.cloned(),
                ..Parent::default()
            }),
            ..Hypervisor::new(id)
        }
    }
}

impl Host {
    /// What the subscription service wants to know, under virt-who's names.
    fn facts(&self, cluster: Option<&String>) -> Members {
        let mut facts = Members::new();
        facts.set(
            "hypervisor.type",
            self.product_name.clone().unwrap_or_else(|| "vmware".into()),
        );
        let others = [
            ("cpu.cpu_socket(s)", self.sockets.as_ref()),
            ("hypervisor.version", self.product_version.as_ref()),
            ("dmi.system.uuid", self.uuid.as_ref()),
            ("hypervisor.cluster", cluster),
        ];
        for (name, value) in others {
            if let Some(value) = value {
                facts.set(name, value.clone());
            }
        }
        facts
    }
}

/// The name as people see it: the API escapes `%`, `/` and `\`. What is no escaping is taken as it is.
fn decode(name: &str) -> String {
    escape::Scheme::Name
        .decode(name)
        .unwrap_or_else(|_| name.to_owned())
}

/// The host's name with its domain, which some administrators have entered in both fields.
fn qualified(mut host: String, domain: Option<&str>) -> String {
    let Some(domain) = domain else { return host };
    let (lower_host, lower_domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let has_domain = lower_host
        .strip_suffix(&lower_domain)
        .is_some_and(|rest| rest.ends_with('.'));
    if !has_domain {
        let _ = write!(host, ".{domain}");
    }
    host
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

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(objects: &[Object]) -> Inventory {
        let mut inventory = Inventory::default();
        for object in objects {
            inventory.add(object);
        }
        inventory
    }

    fn vm(id: &str, uuid: &str, version: &str) -> Object {
        let properties = [
            ("config.uuid", uuid),
            ("config.version", version),
            ("runtime.powerState", "poweredOn"),
        ];
        Object::of(VM, id, &properties)
    }

    fn ids(inventory: Inventory, id: HypervisorId) -> Vec<String> {
        inventory
            .identify(id)
            .hypervisors()
            .map(|hypervisor| hypervisor.id.unwrap())
            .collect()
    }

    #[test]
    fn uuids_are_swapped_from_hardware_version_13_on() {
        let uuid = "78563412-ab90-efcd-1234-567890abcdef";
        let swapped = "12345678-90ab-cdef-1234-567890abcdef";
        let table = [
            ("vmx-08", uuid),
            ("vmx-12", uuid),
            ("vmx-13", swapped),
            ("vmx-21", swapped),
            ("vmx-100", swapped),
            ("", uuid),
            ("vmx-", uuid),
            ("vmx-x", uuid),
            ("13", uuid),
        ];
        for (version, expected) in table {
            let host = Object::of(HOST, "host-1", &[("vm", "VirtualMachine:vm-1")]);
            let identified = inventory(&[vm("vm-1", uuid, version), host]).identify(HypervisorId::Hwuuid);
            let guests = identified.hypervisors().next().unwrap().guests;
            assert_eq!(guests.first().unwrap().id, expected, "{version}");
        }
    }

    #[test]
    fn power_states_have_virt_whos_numbers() {
        let table = [
            (Some("poweredOn"), 1),
            (Some("suspended"), 3),
            (Some("poweredOff"), 5),
            (Some("odd"), 0),
            (None, 0),
        ];
        for (state, number) in table {
            assert_eq!(power_state(state).number(), number);
        }
    }

    #[test]
    fn a_domain_is_added_once() {
        let table = [
            ("esx1", None, "esx1"),
            ("esx1", Some("ex.com"), "esx1.ex.com"),
            ("esx1.ex.com", Some("ex.com"), "esx1.ex.com"),
            ("esx1.EX.com", Some("ex.com"), "esx1.EX.com"),
            ("esx1.other.com", Some("ex.com"), "esx1.other.com.ex.com"),
            ("lex.com", Some("ex.com"), "lex.com.ex.com"),
        ];
        for (host, domain, expected) in table {
            assert_eq!(qualified(host.into(), domain), expected);
        }
    }

    #[test]
    fn a_host_becomes_a_hypervisor_whatever_comes_first() {
        let uuid = "00000000-0000-0000-0000-00000000000";
        let host = Object::of(
            HOST,
            "host-9",
            &[
                ("name", "10.0.0.1"),
                ("vm", "VirtualMachine:vm-2"),
                ("vm", "VirtualMachine:vm-1"),
                ("parent", "ClusterComputeResource:domain-c7"),
                ("hardware.systemInfo.uuid", "aaaa"),
                ("hardware.cpuInfo.numCpuPackages", "2"),
                ("config.product.name", "VMware ESXi"),
                ("config.product.version", "8.0.2"),
                ("config.network.dnsConfig.hostName", "esx1"),
                ("config.network.dnsConfig.domainName", "example.com"),
            ],
        );
        let cluster = Object::of(CLUSTER, "domain-c7", &[("name", "A%2fB")]);
        let objects = [
            host,
            vm("vm-1", &format!("{uuid}1"), "vmx-09"),
            cluster,
            vm("vm-2", &format!("{uuid}2"), "vmx-09"),
        ];
        let identified = inventory(&objects).identify(HypervisorId::Uuid);
        let hypervisor = identified.hypervisors().next().unwrap();
        assert_eq!(hypervisor.id.as_deref(), Some("aaaa"));
        assert_eq!(hypervisor.name.as_deref(), Some("esx1.example.com"));
        let guests: Vec<_> = hypervisor.guests.iter().map(|guest| guest.id.as_str()).collect();
        assert_eq!(guests, [format!("{uuid}1"), format!("{uuid}2")]);
        let facts = [
            ("hypervisor.type", "VMware ESXi"),
            ("cpu.cpu_socket(s)", "2"),
            ("hypervisor.version", "8.0.2"),
            ("dmi.system.uuid", "aaaa"),
            ("hypervisor.cluster", "A/B"),
        ];
        for (name, value) in facts {
            assert_eq!(hypervisor.facts.text(name), Some(value), "{name}");
        }
        assert_eq!(hypervisor.parent.unwrap().name.as_deref(), Some("A/B"));
    }

    #[test]
    fn each_id_is_taken_from_its_property_and_hosts_without_it_are_omitted() {
        let whole = [
            ("hardware.systemInfo.uuid", "u1"),
            ("config.network.dnsConfig.hostName", "esx1"),
        ];
        let objects = || {
            [
                Object::of(HOST, "host-1", &whole),
                Object::of(HOST, "host-2", &[("name", "bare")]),
            ]
        };
        assert_eq!(ids(inventory(&objects()), HypervisorId::Uuid), ["u1"]);
        assert_eq!(ids(inventory(&objects()), HypervisorId::Hostname), ["esx1"]);
        assert_eq!(
            ids(inventory(&objects()), HypervisorId::Hwuuid),
            ["host-1", "host-2"]
        );
        let identified = inventory(&objects()).identify(HypervisorId::Uuid);
        let [omitted] = identified.omitted() else {
            panic!("one host is omitted")
        };
        assert_eq!(
            (omitted.id.as_deref(), omitted.name.as_deref()),
            (Some("host-2"), Some("bare"))
        );
        assert_eq!(omitted.reason, "no hardware.systemInfo.uuid");
    }

    #[test]
    fn guests_that_cannot_be_told_are_omitted_with_the_reason() {
        let vms = ["vm-1", "vm-2", "vm-3"].map(|id| ("vm", format!("VirtualMachine:{id}")));
        let vms = vms.each_ref().map(|(path, id)| (*path, id.as_str()));
        let objects = [
            Object::of(HOST, "host-1", &vms),
            vm("vm-1", "", "vmx-13"),
            vm("vm-2", "junk", "vmx-13"),
        ];
        let identified = inventory(&objects).identify(HypervisorId::Hwuuid);
        let reasons: Vec<_> = identified
            .omitted()
            .iter()
            .map(|omitted| omitted.reason.as_str())
            .collect();
        assert_eq!(
            reasons,
            [
                "no config.uuid",
                "config.uuid \"junk\" is no uuid",
                "it vanished during the scan"
            ]
        );
    }

    #[test]
    fn hosts_with_one_id_are_kept_and_named() {
        let same = [("hardware.systemInfo.uuid", "u1")];
        let objects = ["host-2", "host-1", "host-3"].map(|id| Object::of(HOST, id, &same));
        let identified = inventory(&objects).identify(HypervisorId::Uuid);
        assert_eq!(identified.hypervisors().count(), 3);
        assert_eq!(
            identified.shared_ids().collect::<Vec<_>>(),
            [("u1", vec!["host-1", "host-2", "host-3"])]
        );
    }

    #[test]
    fn virtual_machine_ids_are_kept_exactly() {
        for id in ["vm-1", "vm-01", "vm-+1", "vm-4294967296", "12", "vm-", "group-v3"] {
            assert_eq!(VmId::new(id).to_string(), id);
        }
    }
}
