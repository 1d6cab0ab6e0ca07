//! The objects of an inventory.

use super::script::{Question, Script};

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

/// A task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey(pub(super) u32);

/// Any object that has properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Node {
    // In the order in which a container view lists its objects: machines before their hosts.
    Vm(VmKey),
    Compute(ComputeKey),
    Host(HostKey),
    Pool(ComputeKey),
    Folder(FolderKey),
    Datacenter(u32),
    /// Not part of any container.
    Task(TaskKey),
}

/// A host. `None` means unset: the property is not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Host {
    /// The managed object id. If it is empty, adding the host sets it.
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
    /// Properties that the account may not read: each is sent as a `missingSet` with NoPermission, or with `fault`.
    pub denied: Vec<String>,
    /// The type of the fault in that `missingSet`, such as ManagedObjectNotFound.
    pub fault: Option<&'static str>,
}

impl Host {
    /// A connected ESXi 8 host with this fully qualified name and a uuid that is made from it.
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
            fault: None,
        }
    }
}

/// A virtual machine. `None` means unset: the property is not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vm {
    /// The managed object id. If it is empty, adding the machine sets it.
    pub id: String,
    /// The name in the inventory, escaped as the API has it.
    pub name: Option<String>,
    /// `config.uuid`, as vSphere shows it.
    pub uuid: Option<String>,
    /// `config.instanceUuid`.
    pub instance_uuid: Option<String>,
    /// `config.version`, such as vmx-19.
    pub version: Option<String>,
    /// `runtime.powerState`: poweredOn, poweredOff or suspended; any other text is sent, too.
    pub power: Option<String>,
    /// `runtime.question`.
    pub question: Option<Question>,
    /// What its tasks do.
    pub script: Script,
    /// Properties that the account may not read: each is sent as a `missingSet` with NoPermission, or with `fault`.
    pub denied: Vec<String>,
    /// The type of the fault in that `missingSet`, such as ManagedObjectNotFound.
    pub fault: Option<&'static str>,
}

impl Vm {
    /// A running machine of hardware version vmx-19, with a uuid that is made from the name.
    pub fn new(name: &str) -> Self {
        let some = |text: &str| Some(text.to_owned());
        Vm {
            id: String::new(),
            name: some(name),
            uuid: Some(uuid(&format!("vm {name}"))),
            instance_uuid: Some(uuid(&format!("instance {name}"))),
            version: some("vmx-19"),
            power: some("poweredOn"),
            question: None,
            script: Script::default(),
            denied: Vec::new(),
            fault: None,
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

/// A uuid made from a text, the same in every run.
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
