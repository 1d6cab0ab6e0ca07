//! Hypervisors made of the records of hosts and virtual machines.

use std::collections::HashMap;

use super::TYPE;
use super::record::{Host, Vm};
use crate::mapping::{Guest, Hypervisor, HypervisorId, Inventory, LeftOut, Members};

/// The place of each host among the hypervisors, by its reference; None if it is left out.
type Places = HashMap<String, Option<usize>>;

/// Puts the virtual machines on their hosts, and leaves out what lacks an id or a host.
pub(super) fn inventory(hosts: Vec<Host>, vms: Vec<Vm>, id: HypervisorId) -> Inventory {
    let mut inventory = Inventory::default();
    let mut places = Places::with_capacity(hosts.len());
    for host in hosts {
        let place = match hypervisor(&host, id) {
            Ok(hypervisor) => {
                inventory.hypervisors.push(hypervisor);
                Some(inventory.hypervisors.len() - 1)
            }
            Err(reason) => {
                let id = host.uuid.as_ref().unwrap_or(&host.reference);
                let left_out = left_out(LeftOut::HOST, id, host.name(), reason);
                inventory.left_out.push(left_out);
                None
            }
        };
        places.insert(host.reference, place);
    }
    for vm in vms {
        let guest = place_of(&vm, &places).and_then(|place| Ok((place, guest(&vm)?)));
        match guest {
            Ok((place, guest)) => {
                if let Some(hypervisor) = inventory.hypervisors.get_mut(place) {
                    hypervisor.guests.push(guest);
                }
            }
            Err(reason) => {
                let id = vm.uuid.as_ref().unwrap_or(&vm.reference);
                let left_out = left_out(LeftOut::GUEST, id, vm.name.as_deref(), reason);
                inventory.left_out.push(left_out);
            }
        }
    }
    inventory.sort();
    inventory
}

/// The host as a hypervisor without guests, or why it has no id.
fn hypervisor(host: &Host, id: HypervisorId) -> Result<Hypervisor, &'static str> {
    let id = match id {
        // The commands accept no hwuuid: a pool has no other id of a host.
        HypervisorId::Uuid | HypervisorId::Hwuuid => host.uuid.as_ref().ok_or("no uuid")?,
        HypervisorId::Hostname => host.hostname.as_ref().ok_or("no hostname")?,
    };
    let mut facts = Members::new();
    let known = [
        ("cpu.cpu_socket(s)", &host.sockets),
        ("hypervisor.type", &host.brand),
        ("hypervisor.version", &host.version),
        ("dmi.system.uuid", &host.uuid),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            facts.set(name, value.as_str());
        }
    }
    Ok(Hypervisor {
        name: host.name().map(str::to_owned),
        facts,
        ..Hypervisor::new(id)
    })
}

/// The place of a virtual machine's host, or why it has none.
fn place_of(vm: &Vm, places: &Places) -> Result<usize, &'static str> {
    let host = vm.host.as_ref().ok_or("not resident on a host")?;
    let place = places.get(host).ok_or("its host is not listed")?;
    place.ok_or("its host is left out")
}

fn guest(vm: &Vm) -> Result<Guest, &'static str> {
    let uuid = vm.uuid.as_ref().ok_or("no uuid")?;
    Ok(Guest {
        name: vm.name.clone(),
        moref: Some(vm.reference.clone()),
        ..Guest::new(uuid, vm.state, TYPE)
    })
}

fn left_out(kind: &'static str, id: &str, name: Option<&str>, reason: &str) -> LeftOut {
    LeftOut {
        kind: kind.into(),
        id: Some(id.to_owned()),
        name: name.map(str::to_owned),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::xen::record::{HostRecords, Records, VmRecords, read_records};
    use crate::xmlrpc::{Value, answer_with};

    /// The records in a struct, each a reference and the members as XML.
    fn records<K: Records>(records: &[(&str, &[(&str, &str)])]) -> Vec<K::Kept> {
        let member =
            |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
        let record = |(reference, members): &(&str, &[(&str, &str)])| {
            let members = members.iter().map(|(name, value)| member(name, value));
            member(
                reference,
                &format!("<struct>{}</struct>", members.collect::<String>()),
            )
        };
        let all: String = records.iter().map(record).collect();
        let xml = format!(
            "<methodResponse><params><param><value><struct>{all}</struct></value></param></params></methodResponse>"
        );
        let read = answer_with(xml.as_bytes(), |value: Value<'_, _>| {
            read_records::<K, _>(value, || ())
        });
        read.unwrap().unwrap().unwrap()
    }

    fn map(entries: &[(&str, &str)]) -> String {
        let entry = |(name, value): &(&str, &str)| {
            format!("<member><name>{name}</name><value>{value}</value></member>")
        };
        format!(
            "<struct>{}</struct>",
            entries.iter().map(entry).collect::<String>()
        )
    }

    fn left_out_in(inventory: &Inventory) -> Vec<String> {
        inventory.left_out.iter().map(LeftOut::to_string).collect()
    }

    #[test]
    fn a_missing_entry_drops_only_its_fact() {
        let software = map(&[("product_brand", "XCP-ng"), ("product_version", "8.2.1")]);
        let table = [
            (
                vec![
                    ("cpu_info", map(&[("cpu_count", "16"), ("socket_count", "2")])),
                    ("software_version", software.clone()),
                ],
                r#"{"cpu.cpu_socket(s)":"2","dmi.system.uuid":"u1","hypervisor.type":"XCP-ng","hypervisor.version":"8.2.1"}"#,
            ),
            (
                vec![
                    ("cpu_info", map(&[("cpu_count", "16")])),
                    ("software_version", map(&[("product_version", "7.6")])),
                ],
                r#"{"dmi.system.uuid":"u1","hypervisor.version":"7.6"}"#,
            ),
            (
                vec![
                    ("cpu_info", "two".to_owned()),
                    ("software_version", "<array><data/></array>".to_owned()),
                ],
                r#"{"dmi.system.uuid":"u1"}"#,
            ),
            (
                vec![("cpu_info", map(&[("socket_count", "-1")]))],
                r#"{"dmi.system.uuid":"u1"}"#,
            ),
            (
                vec![("cpu_info", map(&[("socket_count", "<i4>2</i4>")]))],
                r#"{"dmi.system.uuid":"u1"}"#,
            ),
        ];
        for (mut members, facts) in table {
            members.push(("uuid", "u1".to_owned()));
            let members: Vec<(&str, &str)> = members.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let hosts = records::<HostRecords>(&[("OpaqueRef:1", &members)]);
            let inventory = inventory(hosts, vec![], HypervisorId::Uuid);
            let found = serde_json::to_string(&inventory.hypervisors[0].facts).unwrap();
            let found: serde_json::Value = serde_json::from_str(&found).unwrap();
            let facts: serde_json::Value = serde_json::from_str(facts).unwrap();
            assert_eq!(found, facts);
        }
    }

    #[test]
    fn odd_records_are_left_out_and_the_rest_stays() {
        let hosts = records::<HostRecords>(&[
            ("OpaqueRef:1", &[("uuid", "h1"), ("hostname", "xen1")]),
            ("OpaqueRef:2", &[("uuid", ""), ("hostname", "xen2")]),
            ("OpaqueRef:3", &[("uuid", "h3"), ("name_label", "three")]),
        ]);
        let yes = "<boolean>1</boolean>";
        let vm = |at: &'static str| [("uuid", "v"), ("resident_on", at), ("power_state", "Running")];
        let vms = records::<VmRecords>(&[
            ("OpaqueRef:10", &vm("OpaqueRef:1")),
            (
                "OpaqueRef:11",
                &[
                    ("uuid", "dom0"),
                    ("is_control_domain", yes),
                    ("resident_on", "OpaqueRef:1"),
                ],
            ),
            ("OpaqueRef:12", &[("uuid", "t"), ("is_a_template", yes)]),
            ("OpaqueRef:13", &[("is_a_snapshot", yes), ("uuid", "s")]),
            (
                "OpaqueRef:14",
                &[
                    ("uuid", "off"),
                    ("name_label", "db &amp; co"),
                    ("resident_on", "OpaqueRef:NULL"),
                ],
            ),
            (
                "OpaqueRef:15",
                &[("name_label", "nameless"), ("resident_on", "OpaqueRef:1")],
            ),
            ("OpaqueRef:16", &[("uuid", "a"), ("resident_on", "OpaqueRef:2")]),
            ("OpaqueRef:17", &[("uuid", "b"), ("resident_on", "OpaqueRef:9")]),
            (
                "OpaqueRef:18",
                &[("uuid", "c"), ("resident_on", "<boolean>0</boolean>")],
            ),
        ]);
        let by_uuid = inventory(hosts.clone(), vms.clone(), HypervisorId::Uuid);
        let ids: Vec<_> = by_uuid
            .hypervisors
            .iter()
            .map(|host| (host.id.as_deref().unwrap(), host.label()))
            .collect();
        assert_eq!(ids, [("h1", "xen1"), ("h3", "three")]);
        let guests: Vec<_> = by_uuid.hypervisors[0]
            .guests
            .iter()
            .map(|guest| guest.id.as_str())
            .collect();
        assert_eq!(guests, ["v"]);
        assert_eq!(
            left_out_in(&by_uuid),
            [
                "xen2 (OpaqueRef:2): no uuid",
                "nameless (OpaqueRef:15): no uuid",
                "a: its host is left out",
                "b: its host is not listed",
                "c: not resident on a host",
                "db & co (off): not resident on a host",
            ]
        );
        let by_name = inventory(hosts, vms, HypervisorId::Hostname);
        let ids: Vec<_> = by_name
            .hypervisors
            .iter()
            .map(|host| host.id.as_deref().unwrap())
            .collect();
        assert_eq!(ids, ["xen1", "xen2"]);
        assert_eq!(left_out_in(&by_name)[0], "three (h3): no hostname");
    }

    #[test]
    fn power_states_are_those_of_virt_who() {
        let table = [
            ("Running", 1),
            ("Paused", 3),
            ("Suspended", 3),
            ("Halted", 5),
            ("Migrating", 0),
            ("<boolean>1</boolean>", 0),
        ];
        for (power_state, number) in table {
            let vms = records::<VmRecords>(&[("OpaqueRef:1", &[("power_state", power_state)])]);
            assert_eq!(vms[0].state.number(), number, "{power_state}");
        }
    }
}
