//! The inventory of a simulated vCenter or ESX host: folders, clusters, hosts and virtual machines, which tests may edit.

use super::object::{
    Compute, ComputeKey, Datacenter, Folder, FolderKey, Host, HostKey, Node, TaskKey, Vm, VmKey,
};
use super::task::Task;

/// The kind of server that an inventory belongs to; its ids and names depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A vCenter, whose ids look like `host-12`.
    VirtualCenter,
    /// A single ESX host, whose ids look like `ha-host`.
    HostAgent,
}

/// A host in its cluster or compute resource, with its machines.
#[derive(Debug, Clone)]
struct PlacedHost {
    host: Host,
    parent: ComputeKey,
    vms: Vec<VmKey>,
}

/// A virtual machine, with its host and folder unless it was deleted.
#[derive(Debug, Clone)]
struct PlacedVm {
    vm: Vm,
    place: Option<(HostKey, FolderKey)>,
}

/// A server's whole inventory. A clone is independent.
#[derive(Debug, Clone)]
pub struct Inventory {
    kind: Kind,
    last_number: u32,
    pub(super) folders: Vec<Folder>,
    pub(super) datacenters: Vec<Datacenter>,
    pub(super) computes: Vec<Compute>,
    hosts: Vec<PlacedHost>,
    vms: Vec<PlacedVm>,
    pub(super) tasks: Vec<Task>,
}

pub(super) const ROOT: FolderKey = FolderKey(0);

fn key(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Inventory {
    /// A vCenter with an empty datacenter.
    pub fn empty() -> Self {
        let mut inventory = Inventory::bare(Kind::VirtualCenter, "group-d1", "Datacenters");
        inventory.add_datacenter("DC1");
        inventory
    }

    /// A single ESX host.
    pub fn esx(host: Host) -> Self {
        let mut inventory = Inventory::bare(Kind::HostAgent, "ha-folder-root", "ha-folder-root");
        inventory.add_datacenter("ha-datacenter");
        inventory.add_standalone(host);
        inventory
    }

    fn bare(kind: Kind, root: &str, name: &str) -> Self {
        Inventory {
            kind,
            last_number: 1,
            folders: vec![Folder {
                id: root.to_owned(),
                name: name.to_owned(),
                parent: None,
                children: Vec::new(),
            }],
            datacenters: Vec::new(),
            computes: Vec::new(),
            hosts: Vec::new(),
            vms: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// The kind of server.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A new id: on a vCenter with this prefix, on an ESX host the fixed one.
    pub(super) fn id(&mut self, prefix: &str, on_esx: &str) -> String {
        self.last_number += 1;
        match self.kind {
            Kind::VirtualCenter => format!("{prefix}{}", self.last_number),
            Kind::HostAgent => on_esx.to_owned(),
        }
    }

    fn folder(&mut self, id: String, name: &str, parent: Node) -> FolderKey {
        let key = FolderKey(key(self.folders.len()));
        self.folders.push(Folder {
            id,
            name: name.to_owned(),
            parent: Some(parent),
            children: Vec::new(),
        });
        key
    }

    fn put(&mut self, folder: FolderKey, child: Node) {
        self.folders[folder.0 as usize].children.push(child);
    }

    /// Adds a datacenter. Clusters and standalone hosts are added to the newest one.
    pub fn add_datacenter(&mut self, name: &str) {
        let datacenter = Node::Datacenter(key(self.datacenters.len()));
        let id = self.id("datacenter-", "ha-datacenter");
        let vm_folder = self.id("group-v", "ha-folder-vm");
        let host_folder = self.id("group-h", "ha-folder-host");
        let vms = self.folder(vm_folder, "vm", datacenter);
        let hosts = self.folder(host_folder, "host", datacenter);
        self.datacenters.push(Datacenter {
            id,
            name: name.to_owned(),
            hosts,
            vms,
        });
        self.put(ROOT, datacenter);
    }

    /// The folder of the newest datacenter's hosts and clusters.
    pub fn host_folder(&self) -> FolderKey {
        self.datacenters.last().map_or(ROOT, |dc| dc.hosts)
    }

    /// Adds a folder for clusters to a folder.
    pub fn add_folder(&mut self, parent: FolderKey, name: &str) -> FolderKey {
        let id = self.id("group-h", "");
        let folder = self.folder(id, name, Node::Folder(parent));
        self.put(parent, Node::Folder(folder));
        folder
    }

    /// Adds a cluster to the newest datacenter.
    pub fn add_cluster(&mut self, name: &str) -> ComputeKey {
        self.add_cluster_in(self.host_folder(), name)
    }

    /// Adds a cluster to a folder.
    pub fn add_cluster_in(&mut self, folder: FolderKey, name: &str) -> ComputeKey {
        let id = self.id("domain-c", "ha-compute-res");
        self.add_compute(folder, id, Some(name.to_owned()), true)
    }

    /// Adds a host with its own compute resource of the same name.
    pub fn add_standalone(&mut self, host: Host) -> HostKey {
        let id = self.id("domain-s", "ha-compute-res");
        let compute = self.add_compute(self.host_folder(), id, host.name.clone(), false);
        self.add_host(compute, host)
    }

    fn add_compute(
        &mut self,
        folder: FolderKey,
        id: String,
        name: Option<String>,
        cluster: bool,
    ) -> ComputeKey {
        let key = ComputeKey(key(self.computes.len()));
        let pool = self.id("resgroup-", "ha-root-pool");
        self.computes.push(Compute {
            id,
            name,
            cluster,
            pool,
            hosts: Vec::new(),
            folder,
        });
        self.put(folder, Node::Compute(key));
        key
    }

    /// Adds a host to a cluster.
    pub fn add_host(&mut self, compute: ComputeKey, mut host: Host) -> HostKey {
        let key = HostKey(key(self.hosts.len()));
        if host.id.is_empty() {
            host.id = self.id("host-", "ha-host");
        }
        self.hosts.push(PlacedHost {
            host,
            parent: compute,
            vms: Vec::new(),
        });
        self.computes[compute.0 as usize].hosts.push(key);
        key
    }

    /// Adds a virtual machine to a host.
    pub fn add_vm(&mut self, host: HostKey, mut vm: Vm) -> VmKey {
        let key = VmKey(key(self.vms.len()));
        if vm.id.is_empty() {
            let number = self.vms.len() + 1;
            vm.id = self.id("vm-", &number.to_string());
        }
        let folder = self.vm_folder_of(host);
        let place = Some((host, folder));
        self.vms.push(PlacedVm { vm, place });
        self.hosts[host.0 as usize].vms.push(key);
        self.put(folder, Node::Vm(key));
        key
    }

    /// Adds a folder for virtual machines to the newest datacenter.
    pub fn add_vm_folder(&mut self, name: &str) -> FolderKey {
        let parent = self.datacenters.last().map_or(ROOT, |dc| dc.vms);
        let id = self.id("group-v", "ha-folder-vm");
        let folder = self.folder(id, name, Node::Folder(parent));
        self.put(parent, Node::Folder(folder));
        folder
    }

    /// Moves a virtual machine into another folder, unless it was deleted.
    pub fn move_into(&mut self, vm: VmKey, folder: FolderKey) {
        if let Some((_, old)) = &mut self.vms[vm.0 as usize].place {
            let old = std::mem::replace(old, folder);
            let children = &mut self.folders[old.0 as usize].children;
            children.retain(|child| *child != Node::Vm(vm));
            self.put(folder, Node::Vm(vm));
        }
    }

    /// The vm folder of the datacenter of a host.
    fn vm_folder_of(&self, host: HostKey) -> FolderKey {
        let mut above = Some(Node::Folder(self.compute(self.compute_of(host)).folder));
        loop {
            above = match above {
                Some(Node::Folder(folder)) => self.folders[folder.0 as usize].parent,
                Some(Node::Datacenter(dc)) => return self.datacenters[dc as usize].vms,
                _ => return ROOT,
            }
        }
    }

    /// Moves a virtual machine to another host, as vMotion does, unless it was deleted.
    pub fn move_vm(&mut self, vm: VmKey, host: HostKey) {
        if let Some((old, _)) = &mut self.vms[vm.0 as usize].place {
            let old = std::mem::replace(old, host);
            self.hosts[old.0 as usize].vms.retain(|key| *key != vm);
            self.hosts[host.0 as usize].vms.push(vm);
        }
    }

    /// Moves a host, with its virtual machines, to another cluster of its datacenter.
    pub fn move_host(&mut self, host: HostKey, compute: ComputeKey) {
        let old = std::mem::replace(&mut self.hosts[host.0 as usize].parent, compute);
        self.computes[old.0 as usize].hosts.retain(|key| *key != host);
        self.computes[compute.0 as usize].hosts.push(host);
    }

    /// Deletes a virtual machine; its key stays valid only for [`Inventory::vm`].
    pub fn remove_vm(&mut self, vm: VmKey) {
        if let Some((host, folder)) = self.vms[vm.0 as usize].place.take() {
            self.hosts[host.0 as usize].vms.retain(|key| *key != vm);
            let children = &mut self.folders[folder.0 as usize].children;
            children.retain(|child| *child != Node::Vm(vm));
        }
    }

    /// All hosts, in the order in which they were added.
    pub fn hosts(&self) -> impl Iterator<Item = (HostKey, &Host)> {
        let hosts = self.hosts.iter().map(|placed| &placed.host);
        (0..).map(HostKey).zip(hosts)
    }

    /// All virtual machines that were not deleted, in the order in which they were added.
    pub fn vms(&self) -> impl Iterator<Item = (VmKey, &Vm)> {
        let all = (0..).map(VmKey).zip(&self.vms);
        let there = all.filter(|(_, placed)| placed.place.is_some());
        there.map(|(key, placed)| (key, &placed.vm))
    }

    /// A host.
    pub fn host(&self, host: HostKey) -> &Host {
        &self.hosts[host.0 as usize].host
    }

    /// A host, to be edited.
    pub fn host_mut(&mut self, host: HostKey) -> &mut Host {
        &mut self.hosts[host.0 as usize].host
    }

    /// A virtual machine.
    pub fn vm(&self, vm: VmKey) -> &Vm {
        &self.vms[vm.0 as usize].vm
    }

    /// A virtual machine, to be edited.
    pub fn vm_mut(&mut self, vm: VmKey) -> &mut Vm {
        &mut self.vms[vm.0 as usize].vm
    }

    /// A cluster, or the compute resource of a standalone host.
    pub fn compute(&self, compute: ComputeKey) -> &Compute {
        &self.computes[compute.0 as usize]
    }

    /// A cluster, or the compute resource of a standalone host, to be edited.
    pub fn compute_mut(&mut self, compute: ComputeKey) -> &mut Compute {
        &mut self.computes[compute.0 as usize]
    }

    /// The cluster or compute resource of a host.
    pub fn compute_of(&self, host: HostKey) -> ComputeKey {
        self.hosts[host.0 as usize].parent
    }

    /// A host's virtual machines, in the order in which they came to it.
    pub fn vms_of(&self, host: HostKey) -> &[VmKey] {
        &self.hosts[host.0 as usize].vms
    }

    /// A virtual machine's host and folder; `None` if it was deleted.
    pub(super) fn place_of(&self, vm: VmKey) -> Option<(HostKey, FolderKey)> {
        self.vms[vm.0 as usize].place
    }

    /// The object of a type and id.
    pub(super) fn find(&self, kind: &str, id: &str) -> Option<Node> {
        let node = match kind {
            "VirtualMachine" => self
                .vms()
                .find(|(_, vm)| vm.id == id)
                .map(|(key, _)| Node::Vm(key)),
            "HostSystem" => self
                .hosts()
                .find(|(_, host)| host.id == id)
                .map(|(key, _)| Node::Host(key)),
            "ComputeResource" | "ClusterComputeResource" => {
                let place = self.computes.iter().position(|c| c.id == id);
                place.map(|at| Node::Compute(ComputeKey(key(at))))
            }
            "ResourcePool" => {
                let place = self.computes.iter().position(|c| c.pool == id);
                place.map(|at| Node::Pool(ComputeKey(key(at))))
            }
            "Folder" => {
                let place = self.folders.iter().position(|f| f.id == id);
                place.map(|at| Node::Folder(FolderKey(key(at))))
            }
            "Task" => {
                let place = self
                    .tasks
                    .iter()
                    .position(|task| task.id == id && !task.forgotten);
                place.map(|at| Node::Task(TaskKey(key(at))))
            }
            "Datacenter" => {
                let place = self.datacenters.iter().position(|dc| dc.id == id);
                place.map(|at| Node::Datacenter(key(at)))
            }
            _ => None,
        };
        node.filter(|node| self.type_of(*node) == kind)
    }

    /// The name of an object's type.
    pub(super) fn type_of(&self, node: Node) -> &'static str {
        match node {
            Node::Vm(_) => "VirtualMachine",
            Node::Host(_) => "HostSystem",
            Node::Compute(compute) if self.compute(compute).cluster => "ClusterComputeResource",
            Node::Compute(_) => "ComputeResource",
            Node::Pool(_) => "ResourcePool",
            Node::Folder(_) => "Folder",
            Node::Datacenter(_) => "Datacenter",
            Node::Task(_) => "Task",
        }
    }

    /// An object's id.
    pub(super) fn id_of(&self, node: Node) -> &str {
        match node {
            Node::Vm(vm) => &self.vm(vm).id,
            Node::Host(host) => &self.host(host).id,
            Node::Compute(compute) => &self.compute(compute).id,
            Node::Pool(compute) => &self.compute(compute).pool,
            Node::Folder(folder) => &self.folders[folder.0 as usize].id,
            Node::Datacenter(dc) => &self.datacenters[dc as usize].id,
            Node::Task(task) => &self.tasks[task.0 as usize].id,
        }
    }
}
