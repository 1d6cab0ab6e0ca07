//! From the engine's objects to hypervisors and guests.

use std::collections::HashMap;

use super::TYPE;
use super::object::{Cluster, Host, Object, Odd, Vm, text};
use crate::mapping::{Guest, GuestState, Hypervisor, HypervisorId, Inventory, LeftOut, Parent};

/// Makes hypervisors of the hosts and puts the virtual machines on them.
pub(super) fn of(
    clusters: Vec<Object<Cluster>>,
    hosts: Vec<Object<Host>>,
    machines: Vec<Object<Vm>>,
    id: HypervisorId,
) -> Inventory {
    let mut inventory = Inventory::default();
    let clusters = by_id(clusters, &mut inventory);
    let mut places = HashMap::new();
    for object in hosts {
        match hypervisor(object, &clusters, id) {
            Ok((host, hypervisor)) => {
                places.insert(host, inventory.hypervisors.len());
                inventory.hypervisors.push(hypervisor);
            }
            Err(left_out) => inventory.left_out.push(left_out),
        }
    }
    for object in machines {
        match guest(object) {
            Ok((host, guest)) => match places.get(&host) {
                Some(place) => inventory.hypervisors[*place].guests.push(guest),
                None => inventory.left_out.push(LeftOut {
                    kind: LeftOut::GUEST.into(),
                    id: Some(guest.id),
                    name: guest.name,
                    reason: format!("its host {host} is left out or not listed"),
                }),
            },
            Err(left_out) => inventory.left_out.push(left_out),
        }
    }
    inventory.sort();
    inventory
}

/// The most clusters that a note names.
const NAMED: usize = 5;

/// The clusters by their ids. Those that can't be read are noted: their hosts are kept.
fn by_id(clusters: Vec<Object<Cluster>>, inventory: &mut Inventory) -> HashMap<String, Cluster> {
    let (mut found, mut odd) = (HashMap::new(), Vec::new());
    for object in clusters {
        match object {
            Object::Usable(cluster) => _ = found.insert(cluster.id.0.clone(), cluster),
            Object::Odd(Odd { id, name, reason }) => {
                let cluster = name.or(id).unwrap_or_else(|| "one without an id".to_owned());
                odd.push(format!("{cluster} ({reason})"));
            }
        }
    }
    let clusters = match odd.len() {
        0 => return found,
        1 => "1 cluster".to_owned(),
        many => format!("{many} clusters"),
    };
    let named = crate::text::names(odd.iter(), NAMED);
    inventory.notes.push(format!(
        "{clusters} can't be read, but the hosts are kept: {named}"
    ));
    found
}

/// The host as a hypervisor, after the host's own id.
fn hypervisor(
    object: Object<Host>,
    clusters: &HashMap<String, Cluster>,
    kind: HypervisorId,
) -> Result<(String, Hypervisor), LeftOut> {
    let host = object.usable(LeftOut::HOST)?;
    let address = text(host.address.as_ref());
    let hardware = host.hardware_information.as_ref();
    let hardware = hardware.and_then(|hardware| text(hardware.uuid.as_ref()));
    let link = host
        .cluster
        .as_ref()
        .and_then(|cluster| text(cluster.id.as_ref()));
    let cluster = link.and_then(|id| clusters.get(id));
    let cluster_name = cluster.and_then(|cluster| text(cluster.name.as_ref()));
    let own_id = text(Some(&host.id));
    let left_out = |reason: String| LeftOut {
        kind: LeftOut::HOST.into(),
        id: own_id.map(str::to_owned),
        name: text(host.name.as_ref()).or(address).map(str::to_owned),
        reason,
    };
    if let Some(cluster) = cluster.filter(|cluster| !cluster.runs_machines()) {
        let name = text(cluster.name.as_ref()).unwrap_or(&cluster.id.0);
        return Err(left_out(format!(
            "its cluster {name:?} runs no virtual machines (virt_service)"
        )));
    }
    let (id, property) = match kind {
        HypervisorId::Uuid => (own_id, "id"),
        HypervisorId::Hostname => (address, "address"),
        HypervisorId::Hwuuid => (hardware, "hardware_information.uuid"),
    };
    let id = id.ok_or_else(|| left_out(format!("no {property}")))?;
    let mut hypervisor = Hypervisor {
        name: address.or(text(host.name.as_ref())).map(str::to_owned),
        parent: link.map(|id| Parent {
            id: Some(id.to_owned()),
            kind: Some("cluster".to_owned()),
            name: cluster_name.map(str::to_owned),
            ..Parent::default()
        }),
        ..Hypervisor::new(id)
    };
    let topology = host.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref());
    let facts = [
        ("hypervisor.type", Some("qemu")),
        (
            "cpu.cpu_socket(s)",
            topology.and_then(|topology| text(topology.sockets.as_ref())),
        ),
        (
            "hypervisor.version",
            host.version
                .as_ref()
                .and_then(|version| text(version.full_version.as_ref())),
        ),
        ("dmi.system.uuid", hardware),
        ("hypervisor.cluster", cluster_name),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            hypervisor.facts.set(name, value);
        }
    }
    Ok((own_id.unwrap_or_default().to_owned(), hypervisor))
}

/// The virtual machine as a guest, after the id of its host.
fn guest(object: Object<Vm>) -> Result<(String, Guest), LeftOut> {
    let vm = object.usable(LeftOut::GUEST)?;
    let name = text(vm.name.as_ref()).map(str::to_owned);
    let status = text(vm.status.as_ref());
    let left_out = |id: Option<&str>, reason: String| LeftOut {
        kind: LeftOut::GUEST.into(),
        id: id.map(str::to_owned),
        name: name.clone(),
        reason,
    };
    let Some(id) = text(Some(&vm.id)) else {
        return Err(left_out(None, "no id".to_owned()));
    };
    let host = vm.host.as_ref().and_then(|host| text(host.id.as_ref()));
    let Some(host) = host else {
        let status = status.unwrap_or("unknown");
        return Err(left_out(Some(id), format!("not on a host (status {status})")));
    };
    let guest = Guest {
        name: name.clone(),
        ..Guest::new(id, state(status.unwrap_or_default()), TYPE)
    };
    Ok((host.to_owned(), guest))
}

/// The state of a machine. Except for `migrating`, which has no equal in version 3 of the API, the numbers are virt-who's.
fn state(status: &str) -> GuestState {
    match status {
        "up" | "migrating" => GuestState::Running,
        "not_responding" | "wait_for_launch" => GuestState::Blocked,
        "paused" => GuestState::Paused,
        "powering_down" | "powered_down" | "saving_state" => GuestState::ShuttingDown,
        "down" | "powering_up" | "reboot_in_progress" | "restoring_state" => GuestState::ShutOff,
        "suspended" => GuestState::PmSuspended,
        _ if status.starts_with("migrating_") => GuestState::ShutOff,
        _ if status.starts_with("image_") => GuestState::Crashed,
        _ => GuestState::None,
    }
}

impl Cluster {
    /// Whether its hosts run virtual machines. A cluster that does not say does.
    fn runs_machines(&self) -> bool {
        !text(self.virt_service.as_ref()).is_some_and(|text| text.eq_ignore_ascii_case("false"))
    }
}

impl<T> Object<T> {
    /// The object, or what is left out without it.
    fn usable(self, kind: &'static str) -> Result<T, LeftOut> {
        match self {
            Object::Usable(object) => Ok(object),
            Object::Odd(Odd { id, name, reason }) => Err(LeftOut {
                kind: kind.into(),
                id,
                name,
                reason,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::rhevm::object::Listed;

    fn objects<T: Listed>(json: &[&str]) -> Vec<Object<T>> {
        json.iter().map(|json| Object::read(json)).collect()
    }

    const CLUSTERS: [&str; 2] = [
        r#"{"id":"c1","name":"Default","virt_service":"true"}"#,
        r#"{"id":"c2","name":"Bricks","virt_service":false}"#,
    ];

    const HOST: &str = r#"{"id":"h1","name":"kvm1","address":"kvm1.example.com","cluster":{"id":"c1"},
        "cpu":{"topology":{"sockets":"2","cores":"8"}},"hardware_information":{"uuid":"4C4C"},
        "version":{"full_version":"vdsm-4.50.3-1.el8"}}"#;

    fn scanned(hosts: &[&str], machines: &[&str], id: HypervisorId) -> Inventory {
        of(objects(&CLUSTERS), objects(hosts), objects(machines), id)
    }

    fn left_out(inventory: &Inventory) -> Vec<String> {
        inventory
            .left_out
            .iter()
            .map(|one| format!("{} {one}", one.kind))
            .collect()
    }

    #[test]
    fn a_host_becomes_a_hypervisor() {
        for (kind, id) in [
            (HypervisorId::Uuid, "h1"),
            (HypervisorId::Hostname, "kvm1.example.com"),
            (HypervisorId::Hwuuid, "4C4C"),
        ] {
            let inventory = scanned(
                &[HOST],
                &[r#"{"id":"v1","name":"web","status":"up","host":{"id":"h1"}}"#],
                kind,
            );
            let [host] = &inventory.hypervisors[..] else {
                panic!("{inventory:?}");
            };
            assert_eq!(host.id.as_deref(), Some(id));
            assert_eq!(host.name.as_deref(), Some("kvm1.example.com"));
            let fact = |name| host.facts.get(name).and_then(|value| value.text());
            assert_eq!(fact("cpu.cpu_socket(s)"), Some("2"));
            assert_eq!(fact("hypervisor.type"), Some("qemu"));
            assert_eq!(fact("hypervisor.version"), Some("vdsm-4.50.3-1.el8"));
            assert_eq!(fact("dmi.system.uuid"), Some("4C4C"));
            assert_eq!(fact("hypervisor.cluster"), Some("Default"));
            assert_eq!(host.guests.len(), 1);
            assert!(host.guests[0].is_running());
        }
    }

    #[test]
    fn what_is_odd_is_left_out_and_the_rest_is_kept() {
        let inventory = scanned(
            &[
                HOST,
                r#"{"id":"h2","address":"kvm2","cluster":{"id":"c2"}}"#,
                r#"{"id":"h3","cluster":{"id":"c9"}}"#,
                r#"{"id":"h4","cpu":7}"#,
            ],
            &[
                r#"{"id":"v1","name":"web","status":"up","host":{"id":"h3"}}"#,
                r#"{"id":"v2","name":"off","status":"down"}"#,
                r#"{"id":"v3","status":"up","host":{"id":"h2"}}"#,
                r#"{"id":"","status":"up","host":{"id":"h1"}}"#,
                r#"{"id":"v5","host":{"id":"h1"}}"#,
                "null",
            ],
            HypervisorId::Uuid,
        );
        let ids: Vec<_> = inventory.hypervisors.iter().map(|host| host.label()).collect();
        assert_eq!(ids, ["kvm1.example.com", "h3"]);
        assert_eq!(inventory.hypervisors[0].guests[0].state, Some(GuestState::None));
        assert_eq!(
            left_out(&inventory),
            [
                "host kvm2 (h2): its cluster \"Bricks\" runs no virtual machines (virt_service)",
                "host h4: its form is not the API's: invalid type: integer `7`, expected an object",
                "guest no id",
                "guest its form is not the API's: invalid type: null, expected an object",
                "guest off (v2): not on a host (status down)",
                "guest v3: its host h2 is left out or not listed",
            ]
        );
        let inventory = scanned(&[r#"{"id":"h1"}"#], &[], HypervisorId::Hwuuid);
        assert_eq!(left_out(&inventory), ["host h1: no hardware_information.uuid"]);
    }

    #[test]
    fn clusters_that_cannot_be_read_cost_no_host_and_share_a_note() {
        let odd = [
            r#"{"id":"c1","virt_service":[]}"#,
            "7",
            r#"{"id":"c3","name":"three","virt_service":{}}"#,
        ];
        let notes = |clusters: &[&str]| {
            let inventory = of(objects(clusters), objects(&[HOST]), vec![], HypervisorId::Uuid);
            assert_eq!(inventory.hypervisors.len(), 1);
            inventory.notes
        };
        let [one] = &notes(&odd[..1])[..] else { panic!() };
        assert!(
            one.starts_with("1 cluster can't be read, but the hosts are kept: c1 ("),
            "{one}"
        );
        let [three] = &notes(&odd)[..] else { panic!() };
        assert!(three.starts_with("3 clusters can't be read"), "{three}");
        assert!(
            three.contains("), one without an id (") && three.contains("), three ("),
            "{three}"
        );
        let [many] = &notes(&["7"; 40])[..] else { panic!() };
        assert!(
            many.starts_with("40 clusters") && many.ends_with(" and 35 more"),
            "{many}"
        );
    }

    #[test]
    fn states() {
        for (status, number) in [
            ("up", 1),
            ("migrating", 1),
            ("migrating_to", 5),
            ("paused", 3),
            ("powering_down", 4),
            ("saving_state", 4),
            ("down", 5),
            ("powering_up", 5),
            ("reboot_in_progress", 5),
            ("restoring_state", 5),
            ("not_responding", 2),
            ("wait_for_launch", 2),
            ("image_locked", 6),
            ("image_illegal", 6),
            ("suspended", 7),
            ("unassigned", 0),
            ("unknown", 0),
            ("", 0),
        ] {
            assert_eq!(state(status).number(), number, "{status}");
        }
    }
}
