//! The part of an inventory that a scan keeps, and how it becomes hypervisors and guests.
//!
//! [`Inventory`] collects the objects in any order, and [`Inventory::identify`] makes hypervisors of them. [`Live`] does the same
//! for an inventory that changes.

mod host;
mod identified;
mod live;
mod texts;
mod vms;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use self::host::Host;
pub use self::identified::Identified;
pub(super) use self::live::Live;
use self::vms::{VANISHED, Vms};
use super::ManagedObject;
use super::property::{Object, PropertySpec};
use crate::escape;
use crate::mapping::GuestState;

/// virt-who's type of this source.
pub const TYPE: &str = "esx";

pub(super) const CLUSTER: &str = "ClusterComputeResource";
pub(super) const HOST: &str = "HostSystem";
pub(super) const VM: &str = "VirtualMachine";

/// The properties that a scan reads.
///
/// All of them are older than version 4 of the API (VI SDK 2.5, Reference Guide), so no server refuses one as unknown.
const WANTED: &[PropertySpec] = &[GUESTS, CLUSTERS, HOSTS];

/// The same with the guests' names.
const WANTED_WITH_NAMES: &[PropertySpec] = &[NAMED_GUESTS, CLUSTERS, HOSTS];

/// The properties to read, with the guests' names or without.
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

/// The hosts, virtual machines and clusters of one scan, in a compact form.
#[derive(Debug, Default)]
pub struct Inventory {
    hosts: Vec<Host>,
    /// The virtual machines, with a list for each of `hosts`.
    vms: Vms,
    clusters: FxHashMap<String, String>,
    /// Whether guests get their name, their managed object id and their uuid as vSphere shows it.
    with_names: bool,
    /// The names of virtual machines that were read, by managed object id.
    names: FxHashMap<String, String>,
    /// The uuids as vSphere shows them, by managed object id; only if `with_names`.
    shown_uuids: FxHashMap<String, Uuid>,
    /// How many virtual machines have an unparsable hardware version, and the first of them.
    odd_versions: usize,
    first_odd_version: String,
}

impl Inventory {
    /// An empty inventory.
    ///
    /// With `with_names`, guests get their name, their managed object id and their uuid as vSphere shows it.
    pub(super) fn new(with_names: bool) -> Self {
        Inventory {
            with_names,
            ..Inventory::default()
        }
    }

    /// Adds one object; objects may come in any order.
    pub(super) fn add(&mut self, object: &Object) {
        match object.kind.as_str() {
            VM => {
                self.add_vm(object);
                if self.with_names {
                    self.add_name(object);
                }
            }
            HOST => {
                self.vms.list(object.references("vm").map(|(_, id)| id));
                self.hosts.push(Host::new(object));
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

    /// Adds the name of a virtual machine.
    pub(super) fn add_name(&mut self, object: &Object) {
        if let Some(name) = object.text("name") {
            self.names.insert(object.id.clone(), decode(name));
        }
    }

    /// The virtual machines that messages will name, as omitted or as clones, and whose names have not been read.
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
}

/// The properties that make a virtual machine a guest.
struct Usable<'o> {
    /// The uuid in the DMI table of the virtual machine.
    uuid: Uuid,
    /// The uuid as vSphere shows it.
    shown: Uuid,
    /// The hardware version, if it cannot be parsed.
    odd_version: Option<&'o str>,
}

impl<'o> Usable<'o> {
    /// Fails with the reason why the virtual machine can't be a guest.
    fn new(object: &'o Object) -> Result<Self, String> {
        if object.is_gone() {
            return Err(VANISHED.to_owned());
        }
        let shown = match object.text("config.uuid").filter(|uuid| !uuid.is_empty()) {
            None => return Err(missing("config.uuid", object.fault_of("config.uuid"))),
            Some(text) => Uuid::try_parse(text).map_err(|_| format!("config.uuid {text:?} is not a uuid"))?,
        };
        let version = object.text("config.version").unwrap_or_default();
        let number = version
            .strip_prefix("vmx-")
            .and_then(|digits| digits.parse::<u32>().ok());
        Ok(Usable {
            uuid: match number {
                // Since hardware version 13 the DMI table has the first three groups in little-endian byte order.
                Some(13..) => Uuid::from_bytes(shown.to_bytes_le()),
                _ => shown,
            },
            shown,
            odd_version: number.is_none().then_some(version),
        })
    }
}

/// The name as people see it: the API escapes `%`, `/` and `\`. A name with an invalid escape is kept as it is.
fn decode(name: &str) -> String {
    escape::Scheme::Name
        .decode(name)
        .unwrap_or_else(|_| name.to_owned())
}

/// The reason for leaving out an object without a property.
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
