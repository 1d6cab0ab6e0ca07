//! How the lists become hypervisors and guests.

use rustc_hash::FxHashMap;

use super::TYPE;
use super::record::{Cluster, Host, Machine};
use crate::mapping::{Guest, Hypervisor, HypervisorId, Inventory, LeftOut, Members, Parent};

/// virt-who's value of hypervisor.type if the server does not tell the type.
const AHV: &str = "AHV";

/// Parts of the types of other hypervisors that Nutanix manages, such as `kVMware`, in lower case. virt-who reports only AHV.
const OTHERS: [&str; 4] = ["vmware", "esx", "hyperv", "xen"];

/// All that a scan reads.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) clusters: Vec<Cluster>,
    pub(super) hosts: Vec<Host>,
    pub(super) machines: Vec<Machine>,
}

/// What becomes of a host.
enum Fate {
    /// It is the hypervisor with this index.
    Kept(usize),
    /// It is left out; its name or uuid.
    LeftOut(String),
}

impl Lists {
    /// Gives the hosts this kind of id, and puts the virtual machines on their hosts.
    pub(super) fn inventory(self, id: HypervisorId) -> Inventory {
        let Lists {
            clusters,
            hosts,
            machines,
        } = self;
        let mut inventory = Inventory::default();
        let clusters: FxHashMap<&str, &Cluster> = clusters
            .iter()
            .filter_map(|cluster| Some((cluster.uuid.as_deref()?, cluster)))
            .collect();
        let mut fates: FxHashMap<String, Fate> = FxHashMap::default();
        for host in hosts {
            let cluster = host.cluster.as_deref().and_then(|uuid| clusters.get(uuid));
            let fate = match hypervisor(&host, cluster.copied(), id) {
                Ok(hypervisor) => {
                    inventory.hypervisors.push(hypervisor);
                    Fate::Kept(inventory.hypervisors.len() - 1)
                }
                Err(reason) => {
                    let label = host.name.clone().or(host.uuid.clone());
                    let left_out = left_out(LeftOut::HOST, host.uuid.clone(), host.name, reason);
                    inventory.left_out.push(left_out);
                    Fate::LeftOut(label.unwrap_or_default())
                }
            };
            if let Some(uuid) = host.uuid {
                fates.entry(uuid).or_insert(fate);
            }
        }
        for machine in machines {
            match place(&machine, &fates) {
                Ok((host, guest)) => {
                    let name = machine.name;
                    if let Some(hypervisor) = inventory.hypervisors.get_mut(host) {
                        hypervisor.guests.push(Guest { name, ..guest });
                    }
                }
                Err(reason) => {
                    let left_out = left_out(LeftOut::GUEST, machine.uuid, machine.name, reason);
                    inventory.left_out.push(left_out);
                }
            }
        }
        inventory.sort();
        inventory
    }
}

/// The hypervisor that a host becomes, without its guests, or why it is left out.
fn hypervisor(host: &Host, cluster: Option<&Cluster>, id: HypervisorId) -> Result<Hypervisor, String> {
    let uuid = host.uuid.as_deref().ok_or("no uuid")?;
    // Prism Central lists itself and others that are no machines; they have no name or no sockets.
    let name = host.name.as_deref().ok_or("no name")?;
    let sockets = host.sockets.as_deref().filter(|sockets| *sockets != "0");
    let sockets = sockets.ok_or("no num_cpu_sockets")?;
    if let Some(kind) = other_hypervisor(host, cluster) {
        return Err(format!("its hypervisor is {kind}, not AHV"));
    }
    let cluster_name = cluster.and_then(|cluster| cluster.name.as_deref());
    let mut facts = Members::new();
    let kind = host.hypervisor.as_deref().unwrap_or(AHV);
    for (fact, value) in [
        ("hypervisor.type", Some(kind)),
        ("cpu.cpu_socket(s)", Some(sockets)),
        ("hypervisor.version", host.version.as_deref()),
        ("dmi.system.uuid", Some(uuid)),
        ("hypervisor.cluster", cluster_name.or(host.cluster.as_deref())),
    ] {
        if let Some(value) = value {
            facts.set(fact, value);
        }
    }
    Ok(Hypervisor {
        name: Some(name.to_owned()),
        facts,
        parent: host.cluster.as_ref().map(|uuid| Parent {
            id: Some(uuid.clone()),
            kind: Some("cluster".to_owned()),
            name: cluster_name.map(str::to_owned),
            ..Parent::default()
        }),
        ..Hypervisor::new(match id {
            HypervisorId::Hostname => name,
            HypervisorId::Uuid | HypervisorId::Hwuuid => uuid,
        })
    })
}

/// The type of a host's hypervisor, if it is known and not AHV. In v3 only the cluster tells it.
fn other_hypervisor<'r>(host: &'r Host, cluster: Option<&'r Cluster>) -> Option<&'r str> {
    let of_cluster = cluster.map(|cluster| &*cluster.hypervisors).unwrap_or_default();
    let kinds = match &host.hypervisor {
        Some(kind) => std::slice::from_ref(kind),
        None => of_cluster,
    };
    let is_other = |kind: &String| {
        let kind = kind.to_ascii_lowercase();
        OTHERS.iter().any(|other| kind.contains(other))
    };
    match kinds.iter().all(is_other) {
        true => kinds.first().map(String::as_str),
        false => None,
    }
}

/// The index of a virtual machine's hypervisor, and the guest that it becomes, or why it is left out.
fn place(machine: &Machine, fates: &FxHashMap<String, Fate>) -> Result<(usize, Guest), String> {
    let uuid = machine.uuid.as_deref().ok_or("no uuid")?;
    let state = machine.state().ok_or("no power_state")?;
    let Some(host) = &machine.host else {
        return Err(format!("not on a host ({state})"));
    };
    match fates.get(host) {
        Some(Fate::Kept(index)) => Ok((*index, Guest::new(uuid, state, TYPE))),
        Some(Fate::LeftOut(host)) => Err(format!("its host {host} is left out")),
        None => Err(format!("its host {host} is not in the list of hosts")),
    }
}

fn left_out(kind: &'static str, id: Option<String>, name: Option<String>, reason: String) -> LeftOut {
    LeftOut {
        kind: kind.into(),
        id,
        name,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn host(uuid: &str, name: &str) -> Host {
        Host {
            uuid: some(uuid),
            name: some(name),
            sockets: some("2"),
            cluster: some("c1"),
            version: some("Nutanix 20220304.480"),
            hypervisor: some("kKvm"),
        }
    }

    fn machine(uuid: &str, power: &str, host: &str) -> Machine {
        Machine {
            uuid: some(uuid),
            name: some(&format!("name of {uuid}")),
            power: some(power),
            host: some(host),
        }
    }

    fn lists(hosts: Vec<Host>, machines: Vec<Machine>) -> Lists {
        let cluster = Cluster {
            uuid: some("c1"),
            name: some("lab"),
            hypervisors: vec!["kKvm".to_owned()],
            ..Cluster::default()
        };
        Lists {
            clusters: vec![cluster],
            hosts,
            machines,
        }
    }

    /// What is left out, as `kind id: reason`.
    fn reasons(inventory: &Inventory) -> Vec<String> {
        let left_out = inventory.left_out.iter();
        let text = |one: &LeftOut| {
            format!(
                "{} {}: {}",
                one.kind,
                one.id.as_deref().unwrap_or("-"),
                one.reason
            )
        };
        left_out.map(text).collect()
    }

    #[test]
    fn a_host_becomes_a_hypervisor_with_its_guests() {
        let hosts = vec![host("h2", "beta"), host("h1", "alpha")];
        let machines = vec![machine("v2", "off", "h1"), machine("v1", "on", "h1")];
        let inventory = lists(hosts, machines).inventory(HypervisorId::Uuid);
        assert!(inventory.left_out.is_empty() && inventory.notes.is_empty());
        let [alpha, beta] = &*inventory.hypervisors else {
            panic!()
        };
        assert_eq!(
            (alpha.id.as_deref(), alpha.name.as_deref()),
            (Some("h1"), Some("alpha"))
        );
        assert_eq!((beta.id.as_deref(), beta.guests.len()), (Some("h2"), 0));
        let guests: Vec<_> = alpha
            .guests
            .iter()
            .map(|guest| (&*guest.id, guest.state.unwrap().number()))
            .collect();
        assert_eq!(guests, [("v1", 1), ("v2", 5)]);
        assert_eq!(alpha.guests[0].name.as_deref(), Some("name of v1"));
        let facts: Vec<_> = alpha
            .facts
            .iter()
            .map(|(name, _)| (name, alpha.facts.text(name).unwrap()))
            .collect();
        let expected = [
            ("hypervisor.type", "kKvm"),
            ("cpu.cpu_socket(s)", "2"),
            ("hypervisor.version", "Nutanix 20220304.480"),
            ("dmi.system.uuid", "h1"),
            ("hypervisor.cluster", "lab"),
        ];
        assert_eq!(facts, expected);
        let parent = alpha.parent.as_ref().unwrap();
        assert_eq!(
            (parent.id.as_deref(), parent.name.as_deref()),
            (Some("c1"), Some("lab"))
        );
    }

    #[test]
    fn hostname_makes_the_name_the_id() {
        let hosts = vec![host("h1", "beta"), host("h2", "alpha")];
        let inventory = lists(hosts, vec![machine("v1", "on", "h1")]).inventory(HypervisorId::Hostname);
        let ids: Vec<_> = inventory
            .hypervisors
            .iter()
            .map(|one| one.id.as_deref().unwrap())
            .collect();
        assert_eq!(ids, ["alpha", "beta"]);
        assert_eq!(
            inventory.hypervisors[1].guests[0].name.as_deref(),
            Some("name of v1")
        );
    }

    #[test]
    fn an_unknown_cluster_is_named_by_its_uuid() {
        let mut lone = host("h1", "alpha");
        lone.cluster = some("c2");
        lone.hypervisor = None;
        let mut without = host("h2", "beta");
        without.cluster = None;
        let inventory = lists(vec![lone, without], Vec::new()).inventory(HypervisorId::Uuid);
        let [lone, without] = &*inventory.hypervisors else {
            panic!()
        };
        assert_eq!(lone.facts.text("hypervisor.cluster"), Some("c2"));
        assert_eq!(lone.facts.text("hypervisor.type"), Some("AHV"));
        assert_eq!(without.facts.text("hypervisor.cluster"), None);
        assert_eq!(without.parent, None);
    }

    #[test]
    fn an_odd_host_is_left_out_with_its_guests_and_the_others_stay() {
        let without = |change: fn(&mut Host), uuid: &str| {
            let mut host = host(uuid, &format!("name of {uuid}"));
            change(&mut host);
            host
        };
        let hosts = vec![
            host("h1", "alpha"),
            without(|host| host.name = None, "h2"),
            without(|host| host.sockets = None, "h3"),
            without(|host| host.sockets = some("0"), "h4"),
            without(|host| host.hypervisor = some("kVMware"), "h5"),
            Host::default(),
        ];
        let machines = vec![
            machine("v1", "on", "h1"),
            machine("v2", "on", "h3"),
            machine("v3", "on", "h2"),
        ];
        let inventory = lists(hosts, machines).inventory(HypervisorId::Uuid);
        assert_eq!(inventory.hypervisors.len(), 1);
        let expected = [
            "host -: no uuid",
            "host h2: no name",
            "host h3: no num_cpu_sockets",
            "host h4: no num_cpu_sockets",
            "host h5: its hypervisor is kVMware, not AHV",
            "guest v2: its host name of h3 is left out",
            "guest v3: its host h2 is left out",
        ];
        assert_eq!(reasons(&inventory), expected);
    }

    #[test]
    fn a_machine_without_host_or_state_is_left_out() {
        let mut stateless = machine("v2", "", "h1");
        stateless.power = None;
        let mut homeless = machine("v3", "off", "");
        homeless.host = None;
        let machines = vec![
            machine("v1", "suspended", "h1"),
            stateless,
            homeless,
            machine("v4", "on", "h9"),
            Machine::default(),
        ];
        let inventory = lists(vec![host("h1", "alpha")], machines).inventory(HypervisorId::Uuid);
        assert_eq!(inventory.hypervisors[0].guests.len(), 1);
        let expected = [
            "guest -: no uuid",
            "guest v2: no power_state",
            "guest v3: not on a host (shut off)",
            "guest v4: its host h9 is not in the list of hosts",
        ];
        assert_eq!(reasons(&inventory), expected);
    }

    #[test]
    fn in_v3_the_cluster_tells_the_type_of_hypervisor() {
        let untyped = || Host {
            hypervisor: None,
            ..host("h1", "alpha")
        };
        for (kinds, kept) in [
            (&["AHV"][..], true),
            (&["VMWARE", "AHV"], true),
            (&["kNull"], true),
            (&[], true),
            (&["VMWARE"], false),
            (&["kVMware", "kHyperv"], false),
        ] {
            let mut lists = lists(vec![untyped()], Vec::new());
            lists.clusters[0].hypervisors = kinds.iter().map(|kind| kind.to_string()).collect();
            let inventory = lists.inventory(HypervisorId::Uuid);
            assert_eq!(inventory.hypervisors.len() == 1, kept, "{kinds:?}");
        }
    }

    #[test]
    fn hosts_with_one_uuid_are_both_kept() {
        let hosts = vec![host("h1", "alpha"), host("h1", "beta")];
        let inventory = lists(hosts, vec![machine("v1", "on", "h1")]).inventory(HypervisorId::Uuid);
        let guests: Vec<_> = inventory.hypervisors.iter().map(|one| one.guests.len()).collect();
        assert_eq!(guests, [1, 0]);
    }
}
