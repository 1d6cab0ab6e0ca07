//! What a simulated vCenter or ESX host has: folders, clusters, hosts and virtual machines, to be edited by hand.

/// Which kind of server the inventory belongs to; ids, names and versions follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A vCenter, whose ids look like `host-12`.
    VirtualCenter,
    /// An ESX host by itself, whose ids look like `ha-host`.
    HostAgent,
}

/// A host of the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKey(pub(super) u32);

/// A virtual machine of the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VmKey(pub(super) u32);

/// A cluster, or the compute resource around a standalone host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComputeKey(pub(super) u32);

/// A folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderKey(pub(super) u32);

/// Any object that has properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Node {
    // The order is that in which a container view shows its objects: machines before what carries them.
    Vm(VmKey),
    Compute(ComputeKey),
    Host(HostKey),
    Pool(ComputeKey),
    Folder(FolderKey),
    Datacenter(u32),
}

/// A host. What is `None` is unset, and a scan does not get it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Host {
    /// The managed object id; an empty one is given when the host is added.
    pub id: String,
    /// The name in the inventory, escaped as the API has it (`%2f` for a slash).
    pub name: Option<String>,
    /// `hardware.systemInfo.uuid`.
    pub uuid: Option<String>,
    /// `hardware.cpuInfo.numCpuPackages`.
    pub packages: Option<i16>,
    /// `config.product.name`.
    pub product: Option<String>,
    /// `config.product.version`.
    pub version: Option<String>,
    /// `config.network.dnsConfig.hostName`.
    pub dns_host: Option<String>,
    /// `config.network.dnsConfig.domainName`.
    pub dns_domain: Option<String>,
    /// `runtime.connectionState`: connected, disconnected or notResponding.
    pub connection: Option<String>,
    /// Properties that the account may not read: they come as a `missingSet` with NoPermission.
    pub denied: Vec<String>,
    pub(super) vms: Vec<VmKey>,
    pub(super) parent: Option<ComputeKey>,
}

impl Host {
    /// A connected ESXi 8 host of this fully qualified name, with a uuid made from the name.
    pub fn new(name: &str) -> Self {
        let (host, domain) = name.split_once('.').unwrap_or((name, ""));
        let some = |text: &str| Some(text.to_owned());
        Host {
            id: String::new(),
            name: some(name),
            uuid: Some(uuid(&format!("host {name}"))),
            packages: Some(2),
            product: some("VMware ESXi"),
            version: some("8.0.2"),
            dns_host: some(host),
            dns_domain: some(domain),
            connection: some("connected"),
            denied: Vec::new(),
            vms: Vec::new(),
            parent: None,
        }
    }
}

/// A virtual machine. What is `None` is unset, and a scan does not get it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vm {
    /// The managed object id; an empty one is given when the machine is added.
    pub id: String,
    /// The name in the inventory, escaped as the API has it.
    pub name: Option<String>,
    /// `config.uuid`, as vSphere shows it.
    pub uuid: Option<String>,
    /// `config.version`, such as vmx-19.
    pub version: Option<String>,
    /// `runtime.powerState`: poweredOn, poweredOff or suspended; anything is sent.
    pub power: Option<String>,
    /// Properties that the account may not read: they come as a `missingSet` with NoPermission.
    pub denied: Vec<String>,
    pub(super) host: Option<HostKey>,
    pub(super) folder: Option<FolderKey>,
}

impl Vm {
    /// A running machine of hardware version vmx-19, with a uuid made from the name.
    pub fn new(name: &str) -> Self {
        let some = |text: &str| Some(text.to_owned());
        Vm {
            id: String::new(),
            name: some(name),
            uuid: Some(uuid(&format!("vm {name}"))),
            version: some("vmx-19"),
            power: some("poweredOn"),
            denied: Vec::new(),
            host: None,
            folder: None,
        }
    }
}

/// A cluster, or the compute resource around a standalone host.
#[derive(Debug, Clone, PartialEq)]
pub struct Compute {
    /// The managed object id.
    pub id: String,
    /// The name in the inventory, escaped as the API has it; `None` is unset.
    pub name: Option<String>,
    /// Whether it is a ClusterComputeResource.
    pub cluster: bool,
    pub(super) pool: String,
    pub(super) hosts: Vec<HostKey>,
    pub(super) folder: FolderKey,
}

#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) parent: Option<Node>,
    pub(super) children: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) struct Datacenter {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) hosts: FolderKey,
    pub(super) vms: FolderKey,
}

/// A server's whole inventory. Clones share nothing.
#[derive(Debug, Clone)]
pub struct Inventory {
    kind: Kind,
    last_number: u32,
    pub(super) folders: Vec<Folder>,
    pub(super) datacenters: Vec<Datacenter>,
    pub(super) computes: Vec<Compute>,
    pub(super) hosts: Vec<Host>,
    pub(super) vms: Vec<Vm>,
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

    /// An ESX host by itself.
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
        }
    }

    /// Whose inventory this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// An id that no object has yet: a vCenter's with this prefix, or an ESX host's own fixed one.
    fn id(&mut self, prefix: &str, on_esx: &str) -> String {
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

    /// Adds a datacenter; clusters and standalone hosts go to the newest one.
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

    /// Adds a folder within the one given, for clusters.
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

    /// Adds a host with a compute resource of its own, named like the host.
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
        host.parent = Some(compute);
        host.vms = Vec::new();
        self.hosts.push(host);
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
        vm.host = Some(host);
        vm.folder = Some(folder);
        self.vms.push(vm);
        self.hosts[host.0 as usize].vms.push(key);
        self.put(folder, Node::Vm(key));
        key
    }

    /// The vm folder of the datacenter that a host stands in.
    fn vm_folder_of(&self, host: HostKey) -> FolderKey {
        let compute = self.hosts[host.0 as usize].parent;
        let mut above = compute.map(|c| Node::Folder(self.computes[c.0 as usize].folder));
        loop {
            above = match above {
                Some(Node::Folder(folder)) => self.folders[folder.0 as usize].parent,
                Some(Node::Datacenter(dc)) => return self.datacenters[dc as usize].vms,
                _ => return ROOT,
            }
        }
    }

    /// Moves a virtual machine to another host, as vMotion does.
    pub fn move_vm(&mut self, vm: VmKey, host: HostKey) {
        if let Some(old) = self.vms[vm.0 as usize].host.replace(host) {
            self.hosts[old.0 as usize].vms.retain(|key| *key != vm);
        }
        self.hosts[host.0 as usize].vms.push(vm);
    }

    /// Deletes a virtual machine; its key stays valid for [`Inventory::vm`] alone.
    pub fn remove_vm(&mut self, vm: VmKey) {
        let gone = &mut self.vms[vm.0 as usize];
        let (host, folder) = (gone.host.take(), gone.folder.take());
        if let Some(host) = host {
            self.hosts[host.0 as usize].vms.retain(|key| *key != vm);
        }
        if let Some(folder) = folder {
            let children = &mut self.folders[folder.0 as usize].children;
            children.retain(|child| *child != Node::Vm(vm));
        }
    }

    /// All hosts, in the order in which they were added.
    pub fn hosts(&self) -> impl Iterator<Item = (HostKey, &Host)> {
        (0..).map(HostKey).zip(&self.hosts)
    }

    /// All virtual machines that were not deleted, in the order in which they were added.
    pub fn vms(&self) -> impl Iterator<Item = (VmKey, &Vm)> {
        let all = (0..).map(VmKey).zip(&self.vms);
        all.filter(|(_, vm)| vm.host.is_some())
    }

    /// A host.
    pub fn host(&self, host: HostKey) -> &Host {
        &self.hosts[host.0 as usize]
    }

    /// A host, to be edited.
    pub fn host_mut(&mut self, host: HostKey) -> &mut Host {
        &mut self.hosts[host.0 as usize]
    }

    /// A virtual machine.
    pub fn vm(&self, vm: VmKey) -> &Vm {
        &self.vms[vm.0 as usize]
    }

    /// A virtual machine, to be edited.
    pub fn vm_mut(&mut self, vm: VmKey) -> &mut Vm {
        &mut self.vms[vm.0 as usize]
    }

    /// A cluster, or the compute resource of a standalone host.
    pub fn compute(&self, compute: ComputeKey) -> &Compute {
        &self.computes[compute.0 as usize]
    }

    /// A cluster, or the compute resource of a standalone host, to be edited.
    pub fn compute_mut(&mut self, compute: ComputeKey) -> &mut Compute {
        &mut self.computes[compute.0 as usize]
    }

    /// Where a host belongs.
    pub fn parent_of(&self, host: HostKey) -> Option<&Compute> {
        let parent = self.host(host).parent;
        parent.map(|compute| self.compute(compute))
    }

    /// A host's virtual machines.
    pub fn vms_of(&self, host: HostKey) -> impl Iterator<Item = &Vm> {
        self.host(host).vms.iter().map(|vm| self.vm(*vm))
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
        }
    }
}

/// A uuid that belongs to a text, the same in every run.
pub(super) fn uuid(text: &str) -> String {
    let fnv = |start: u64| {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        mix(text.bytes().fold(start, step))
    };
    let (a, b) = (fnv(0xcbf2_9ce4_8422_2325), fnv(0x9e37_79b9_7f4a_7c15));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | ((b >> 48) & 0x3fff),
        b & 0xffff_ffff_ffff
    )
}

/// Spreads neighbouring numbers over the whole range (splitmix64).
pub(super) fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
