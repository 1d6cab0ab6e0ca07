//! What a Prism manages.

use serde_json::Value;

use super::{Edition, List};

/// How many hosts a cluster of a generated inventory has.
const CLUSTER: usize = 4;
/// The states of machines, in turn. Most of them are on.
const POWER: [&str; 10] = [
    "on",
    "on",
    "off",
    "on",
    "on",
    "suspended",
    "on",
    "on",
    "paused",
    "on",
];
const SOCKETS: [u64; 4] = [2, 2, 1, 4];

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its uuid.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// The type of its hypervisors, as v3 lists it: `AHV`, `VMWARE`.
    pub hypervisor: String,
}

/// A host. A member that is `None` is missing in the answers.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its uuid.
    pub uuid: String,
    /// Its name.
    pub name: Option<String>,
    /// The number of its CPU sockets.
    pub sockets: Option<u64>,
    /// The type of its hypervisor, as v2.0 has it: `kKvm`, `kVMware`.
    pub hypervisor: String,
    /// The uuid of its cluster.
    pub cluster: Option<String>,
}

/// A virtual machine. A member that is `None` is missing in the answers.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its uuid.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// `on`, `off`, `suspended`, `paused`; v3 has them in upper case.
    pub power: Option<String>,
    /// The uuid of its host. A machine that is off has none.
    pub host: Option<String>,
}

/// The clusters, hosts and virtual machines of a Prism.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The clusters.
    pub clusters: Vec<Cluster>,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The virtual machines.
    pub machines: Vec<Machine>,
    /// Records that are at the end of a list as they are.
    pub odd: Vec<(List, Value)>,
}

impl Inventory {
    /// This number of hosts in clusters, with virtual machines spread over them; the same in every run.
    pub fn new(hosts: usize, machines: usize) -> Self {
        let clusters = (0..hosts.div_ceil(CLUSTER)).map(|n| Cluster {
            uuid: uuid(1, n),
            name: format!("ntnx-{}", n + 1),
            hypervisor: "AHV".into(),
        });
        let hosts: Vec<Host> = (0..hosts).map(host).collect();
        let machines = (0..machines).map(|n| machine(n, &hosts));
        Inventory {
            clusters: clusters.collect(),
            machines: machines.collect(),
            hosts,
            odd: Vec::new(),
        }
    }

    /// The same hosts in one cluster, as Prism Element has only its own.
    pub fn in_one_cluster(mut self) -> Self {
        self.clusters.truncate(1);
        let only = self.clusters.first().map(|cluster| cluster.uuid.clone());
        for host in &mut self.hosts {
            host.cluster.clone_from(&only);
        }
        self
    }

    /// How many records a list has.
    pub(super) fn count(&self, edition: Edition, list: List) -> usize {
        let odd = self.odd.iter().filter(|(of, _)| *of == list);
        self.regular(edition, list) + odd.count()
    }

    /// How many of them are not odd.
    fn regular(&self, edition: Edition, list: List) -> usize {
        match list {
            List::Clusters if edition == Edition::Central => self.clusters.len() + 1,
            List::Clusters => self.clusters.len(),
            List::Hosts => self.hosts.len(),
            List::Machines => self.machines.len(),
        }
    }

    /// The record at this place of a list.
    pub(super) fn record(&self, edition: Edition, list: List, place: usize) -> Value {
        if let Some(place) = place.checked_sub(self.regular(edition, list)) {
            let mut odd = self.odd.iter().filter(|(of, _)| *of == list);
            return odd
                .nth(place)
                .map(|(_, record)| record.clone())
                .unwrap_or_default();
        }
        match (edition, list) {
            (Edition::Element, List::Clusters) => self.clusters[place].element(),
            (Edition::Element, List::Hosts) => self.hosts[place].element(),
            (Edition::Element, List::Machines) => self.machines[place].element(),
            (Edition::Central, List::Clusters) => match place.checked_sub(1) {
                None => Cluster::prism_central(),
                Some(place) => self.clusters[place].central(),
            },
            (Edition::Central, List::Hosts) => self.hosts[place].central(),
            (Edition::Central, List::Machines) => self.machines[place].central(),
        }
    }
}

impl Machine {
    /// A machine on this host, which is on.
    pub fn on(host: &Host, uuid: &str, name: &str) -> Self {
        Machine {
            uuid: uuid.into(),
            name: name.into(),
            power: Some("on".into()),
            host: Some(host.uuid.clone()),
        }
    }
}

fn host(n: usize) -> Host {
    Host {
        uuid: uuid(2, n),
        name: Some(format!("ahv{}.example.com", n + 1)),
        sockets: Some(SOCKETS[n % SOCKETS.len()]),
        hypervisor: "kKvm".into(),
        cluster: Some(uuid(1, n / CLUSTER)),
    }
}

fn machine(n: usize, hosts: &[Host]) -> Machine {
    let power = POWER[n % POWER.len()];
    let host = hosts.get(n * 7 % hosts.len().max(1)).filter(|_| power != "off");
    Machine {
        uuid: uuid(3, n),
        name: format!("vm{}", n + 1),
        power: Some(power.into()),
        host: host.map(|host| host.uuid.clone()),
    }
}

fn uuid(kind: usize, n: usize) -> String {
    format!(
        "{:08x}-0a0b-4c0d-8e0f-{:012x}",
        n * 7_919 % 65_537 + kind * 0x1000_0000,
        n + 1
    )
}
