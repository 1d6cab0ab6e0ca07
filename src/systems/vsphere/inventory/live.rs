//! An inventory that changes.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::host::Host;
use super::vms::{Ids, VmId, Vms};
use super::{CLUSTER, HOST, Inventory, Usable, VM, decode, power_state};
use crate::mapping::GuestState;
use crate::systems::vsphere::changes::Update;
use crate::systems::vsphere::property::Object;

/// An inventory that changes. The cost of a change does not depend on the inventory's size.
///
/// [`Live::inventory`] is what a scan would read at that moment.
#[derive(Debug, Default)]
pub(crate) struct Live {
    hosts: FxHashMap<String, Listing>,
    ids: Ids,
    /// In the order in which an inventory puts them.
    vms: BTreeMap<VmId, Known>,
    /// The hardware versions that cannot be parsed.
    odd_versions: FxHashMap<VmId, String>,
    clusters: FxHashMap<String, String>,
    with_names: bool,
    /// The names of virtual machines, and their uuids as vSphere shows them; only if `with_names`.
    names: FxHashMap<VmId, String>,
    shown_uuids: FxHashMap<VmId, Uuid>,
    /// How many lists of virtual machines have come from hosts.
    lists: u64,
}

/// A host with its list of virtual machines.
#[derive(Debug)]
struct Listing {
    host: Host,
    vms: Vec<VmId>,
    /// The number of the list, in the order in which lists came.
    number: u64,
}

/// A virtual machine as it was described last.
#[derive(Debug)]
enum Known {
    Usable(Uuid, GuestState),
    /// Why it can't be a guest.
    Unusable(Box<str>),
}

impl Live {
    /// An empty inventory, with the names of virtual machines or without.
    pub(crate) fn new(with_names: bool) -> Self {
        Live {
            with_names,
            ..Live::default()
        }
    }

    /// How many hosts and virtual machines there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.hosts.len(), self.vms.len())
    }

    /// Applies an update; returns false if it is incomplete, so that the whole object must be read again.
    #[must_use]
    pub(crate) fn apply(&mut self, update: &Update<'_>) -> bool {
        match update.kind {
            // An object that is known may enter again; then the update has all its properties.
            "enter" => self.put(update.object),
            "leave" => self.remove(update.object),
            _ => return self.modify(update.object, update.paths),
        }
        true
    }

    /// Adds or replaces an object.
    pub(crate) fn put(&mut self, object: &Object) {
        match object.kind.as_str() {
            VM => self.put_vm(object),
            HOST => {
                let (vms, number) = self.list(object);
                let host = Host::new(object);
                let listing = Listing { host, vms, number };
                self.hosts.insert(object.id.clone(), listing);
            }
            CLUSTER => match object.text("name") {
                Some(name) => drop(self.clusters.insert(object.id.clone(), decode(name))),
                None => drop(self.clusters.remove(&object.id)),
            },
            _ => {}
        }
    }

    fn put_vm(&mut self, object: &Object) {
        let id = self.ids.id(&object.id);
        self.forget_vm(id);
        self.name_vm(id, object);
        let known = match Usable::new(object) {
            Ok(Usable {
                uuid,
                shown,
                odd_version,
            }) => {
                if let Some(version) = odd_version {
                    self.odd_versions.insert(id, version.to_owned());
                }
                if self.with_names {
                    self.shown_uuids.insert(id, shown);
                }
                Known::Usable(uuid, power_state(object.text("runtime.powerState")))
            }
            Err(reason) => Known::Unusable(reason.into()),
        };
        self.vms.insert(id, known);
    }

    fn forget_vm(&mut self, id: VmId) {
        self.vms.remove(&id);
        self.odd_versions.remove(&id);
        self.names.remove(&id);
        self.shown_uuids.remove(&id);
    }

    fn name_vm(&mut self, id: VmId, object: &Object) {
        if self.with_names
            && let Some(name) = object.text("name")
        {
            self.names.insert(id, decode(name));
        }
    }

    /// The host's list of virtual machines, and the list's number.
    fn list(&mut self, object: &Object) -> (Vec<VmId>, u64) {
        self.lists += 1;
        let ids = object.references("vm").map(|(_, id)| self.ids.id(id));
        (ids.collect(), self.lists)
    }

    /// Removes an object.
    fn remove(&mut self, object: &Object) {
        match object.kind.as_str() {
            VM => {
                let id = self.ids.id(&object.id);
                self.forget_vm(id);
            }
            HOST => drop(self.hosts.remove(&object.id)),
            CLUSTER => drop(self.clusters.remove(&object.id)),
            _ => {}
        }
    }

    /// Changes the properties at `paths` to the object's, and unsets those that the object lacks.
    ///
    /// Returns false if that is incomplete: some properties count only together.
    fn modify(&mut self, object: &Object, paths: &[String]) -> bool {
        let only = |path| paths.iter().all(|changed| changed == path);
        match object.kind.as_str() {
            _ if object.lacks_properties() => false,
            // Servers also report changes of other properties, without naming them.
            _ if paths.is_empty() => self.knows(object),
            VM if only("runtime.powerState") => {
                let id = self.ids.id(&object.id);
                match self.vms.get_mut(&id) {
                    Some(Known::Usable(_, state)) => *state = power_state(object.text("runtime.powerState")),
                    _ => return false,
                }
                true
            }
            VM if only("name") => {
                let id = self.ids.id(&object.id);
                self.name_vm(id, object);
                self.vms.contains_key(&id)
            }
            HOST => self.modify_host(object, paths),
            CLUSTER if only("name") => {
                self.put(object);
                true
            }
            _ => false,
        }
    }

    /// Whether an object of this id is known.
    fn knows(&mut self, object: &Object) -> bool {
        match object.kind.as_str() {
            VM => {
                let id = self.ids.id(&object.id);
                self.vms.contains_key(&id)
            }
            HOST => self.hosts.contains_key(&object.id),
            // A cluster without a name is not kept, because only the name is used.
            _ => true,
        }
    }

    fn modify_host(&mut self, object: &Object, paths: &[String]) -> bool {
        let list = paths.iter().any(|path| path == "vm").then(|| self.list(object));
        let Some(listing) = self.hosts.get_mut(&object.id) else {
            return false;
        };
        if let Some((vms, number)) = list {
            (listing.vms, listing.number) = (vms, number);
        }
        for path in paths {
            match path.as_str() {
                "vm" => {}
                "name" => listing.host.rename(object),
                "parent" => listing.host.move_to_parent(object),
                _ => return false,
            }
        }
        true
    }

    /// The inventory as it is now.
    pub(crate) fn inventory(&self) -> Inventory {
        let mut vms = Vms::with_ids(self.ids.clone());
        for (id, known) in &self.vms {
            match known {
                Known::Usable(uuid, state) => vms.add_known(*id, *uuid, *state),
                Known::Unusable(reason) => vms.add_known_unusable(*id, reason.to_string()),
            }
        }
        let by_text = |(id, name): (&VmId, &String)| (self.ids.text(*id), name.clone());
        let shown = |(id, uuid): (&VmId, &Uuid)| (self.ids.text(*id), *uuid);
        let mut listings: Vec<&Listing> = self.hosts.values().collect();
        listings.sort_unstable_by_key(|listing| listing.number);
        let hosts = listings.into_iter().map(|listing| {
            vms.list_known(&listing.vms);
            listing.host.clone()
        });
        let hosts = hosts.collect();
        let first_odd = self.odd_versions.iter().min();
        Inventory {
            hosts,
            vms,
            clusters: self.clusters.clone(),
            with_names: self.with_names,
            names: self.names.iter().map(by_text).collect(),
            shown_uuids: self.shown_uuids.iter().map(shown).collect(),
            odd_versions: self.odd_versions.len(),
            first_odd_version: first_odd
                .map(|(id, version)| format!("{} with {version:?}", self.ids.text(*id)))
                .unwrap_or_default(),
        }
    }
}
