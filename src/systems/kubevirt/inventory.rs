//! How nodes and virtual machine instances become hypervisors and guests.

use std::collections::HashMap;

use super::TYPE;
use super::object::{Known, Machine, Node, Object};
use super::quantity;
use crate::mapping::{Guest, Hypervisor, HypervisorId, Inventory, LeftOut};

/// The most objects that are read.
const MOST: usize = 1 << 20;

/// The objects of one scan, in any order.
#[derive(Debug, Default)]
pub struct Objects {
    nodes: Vec<Node>,
    machines: Vec<Machine>,
    left_out: Vec<LeftOut>,
}

impl Objects {
    /// Adds the JSON text of an object. Returns false if there are too many.
    pub fn add(&mut self, text: &str) -> bool {
        match Object::read(text).map(Object::known) {
            Ok(Known::Node(node)) => self.nodes.push(node),
            Ok(Known::Machine(machine)) => self.machines.push(machine),
            Ok(Known::LeftOut(left_out)) | Err(left_out) => self.left_out.push(left_out),
        }
        self.count() <= MOST
    }

    /// How many objects there are.
    fn count(&self) -> usize {
        self.nodes.len() + self.machines.len() + self.left_out.len()
    }

    /// How many nodes and virtual machine instances are usable.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.nodes.len(), self.machines.len())
    }

    /// The inventory: gives the nodes this kind of id, puts the guests on their nodes, and leaves out what lacks what it needs.
    pub fn inventory(self, id: HypervisorId) -> Inventory {
        let Objects {
            nodes,
            machines,
            mut left_out,
        } = self;
        let mut inventory = Inventory::default();
        // By the node's name: its place among the hypervisors, or none if it is left out.
        let mut places: HashMap<String, Option<usize>> = HashMap::with_capacity(nodes.len());
        for node in nodes {
            let name = node.name.clone();
            let place = match hypervisor(node, id, &mut inventory.notes) {
                Ok(hypervisor) => {
                    inventory.hypervisors.push(hypervisor);
                    Some(inventory.hypervisors.len() - 1)
                }
                Err(host) => {
                    left_out.push(host);
                    None
                }
            };
            places.insert(name, place);
        }
        for machine in machines {
            match places.get(&machine.node) {
                Some(Some(place)) => inventory.hypervisors[*place].guests.push(guest(machine)),
                Some(None) => left_out.push(without_node(machine, "is left out")),
                None => left_out.push(without_node(machine, "is not in the list of nodes")),
            }
        }
        inventory.left_out = left_out;
        inventory.sort();
        inventory
    }
}

/// The facts are those of virt-who, so that a server's records stay. In it, the fact of the sockets is a number of CPUs.
fn hypervisor(node: Node, id: HypervisorId, notes: &mut Vec<String>) -> Result<Hypervisor, LeftOut> {
    let Node {
        name,
        machine_id,
        hostname,
        cpu,
        kubelet_version,
    } = node;
    let (id, missing) = match id {
        HypervisorId::Hostname => (
            hostname.or_else(|| machine_id.clone()),
            "neither an address of type Hostname nor status.nodeInfo.machineID",
        ),
        _ => (machine_id.clone(), "no status.nodeInfo.machineID"),
    };
    let Some(id) = id else {
        return Err(LeftOut {
            kind: LeftOut::HOST.into(),
            id: Some(name.clone()),
            name: Some(name),
            reason: missing.to_owned(),
        });
    };
    let cpus = cpu.as_deref().and_then(quantity::whole);
    if let (Some(cpu), None) = (&cpu, cpus) {
        notes.push(format!(
            "node {name:?} has the fact of its CPUs left out: status.allocatable.cpu is {cpu:?}"
        ));
    }
    let facts = [
        ("cpu.cpu_socket(s)", cpus.map(|cpus| cpus.to_string())),
        ("hypervisor.type", Some("qemu".to_owned())),
        ("dmi.system.uuid", machine_id),
        ("hypervisor.version", kubelet_version),
    ];
    let mut hypervisor = Hypervisor::new(id);
    hypervisor.name = Some(name);
    for (fact, value) in facts {
        if let Some(value) = value {
            hypervisor.facts.set(fact, value);
        }
    }
    Ok(hypervisor)
}

fn guest(machine: Machine) -> Guest {
    let mut buffer = uuid::Uuid::encode_buffer();
    let uuid: &str = machine.uuid.hyphenated().encode_lower(&mut buffer);
    let mut guest = Guest::new(uuid, machine.state, TYPE);
    guest.moref = Some(machine.id());
    guest.name = Some(machine.name);
    guest.uuid = Some(machine.shown_uuid);
    guest
}

fn without_node(machine: Machine, why: &str) -> LeftOut {
    LeftOut {
        kind: LeftOut::GUEST.into(),
        id: Some(machine.id()),
        reason: format!("its node {:?} {why}", machine.node),
        name: Some(machine.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::GuestState;

    fn inventory(objects: &[&str], id: HypervisorId) -> Inventory {
        let mut collected = Objects::default();
        for object in objects {
            assert!(collected.add(object));
        }
        collected.inventory(id)
    }

    fn node(name: &str, machine_id: &str) -> String {
        format!(
            r#"{{"kind":"Node","metadata":{{"name":{name:?}}},"status":{{"addresses":[{{"type":"InternalIP","address":"192.0.2.1"}},
                {{"type":"Hostname","address":"{name}.example.com"}}],"allocatable":{{"cpu":"7500m"}},
                "nodeInfo":{{"machineID":{machine_id:?},"kubeletVersion":"v1.34.1"}}}}}}"#
        )
    }

    fn machine(name: &str, uuid: &str, node: &str, status: &str) -> String {
        format!(
            r#"{{"kind":"VirtualMachineInstance","metadata":{{"namespace":"default","name":{name:?}}},
                "spec":{{"domain":{{"firmware":{{"uuid":{uuid:?}}}}}}},"status":{{"nodeName":{node:?},{status}}}}}"#
        )
    }

    const UUID: &str = "0000000A-0000-4000-8000-00000000000A";

    #[test]
    fn nodes_have_virt_whos_facts_and_either_id() {
        let objects = [node("n1", "00aa"), node("n2", "")];
        let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
        let by_uuid = inventory(&objects, HypervisorId::Uuid);
        let [host] = &by_uuid.hypervisors[..] else {
            panic!("{by_uuid:?}")
        };
        assert_eq!(
            (host.id.as_deref(), host.name.as_deref()),
            (Some("00aa"), Some("n1"))
        );
        let facts: Vec<_> = host
            .facts
            .iter()
            .map(|(name, value)| (name, value.text().unwrap()))
            .collect();
        let expected = [
            ("cpu.cpu_socket(s)", "7"),
            ("hypervisor.type", "qemu"),
            ("dmi.system.uuid", "00aa"),
            ("hypervisor.version", "v1.34.1"),
        ];
        assert_eq!(facts, expected);
        assert_eq!(
            by_uuid.left_out[0].to_string(),
            "n2 (n2): no status.nodeInfo.machineID"
        );
        let by_name = inventory(&objects, HypervisorId::Hostname);
        let ids: Vec<_> = by_name
            .hypervisors
            .iter()
            .map(|host| host.id.as_deref().unwrap())
            .collect();
        assert_eq!(ids, ["n1.example.com", "n2.example.com"]);
        assert_eq!(by_name.hypervisors[1].facts.get("dmi.system.uuid"), None);
    }

    #[test]
    fn a_node_without_an_address_has_its_machine_id_as_host_name() {
        let bare = r#"{"kind":"Node","metadata":{"name":"n"},"status":{"nodeInfo":{"machineID":"aa"},"addresses":null}}"#;
        let nothing = r#"{"kind":"Node","metadata":{"name":"m"}}"#;
        let inventory = inventory(&[bare, nothing], HypervisorId::Hostname);
        assert_eq!(inventory.hypervisors[0].id.as_deref(), Some("aa"));
        assert_eq!(
            inventory.left_out[0].to_string(),
            "m (m): neither an address of type Hostname nor status.nodeInfo.machineID"
        );
        assert_eq!(inventory.hypervisors[0].facts.get("cpu.cpu_socket(s)"), None);
        assert_eq!(inventory.notes, [""; 0]);
    }

    #[test]
    fn each_phase_has_its_state() {
        let state = |status: &str| {
            let machine = machine("vm", UUID, "n", status);
            inventory(&[&machine, &node("n", "aa")], HypervisorId::Uuid).hypervisors[0].guests[0].state
        };
        for (phase, expected) in [
            ("", GuestState::None),
            ("Pending", GuestState::None),
            ("Scheduling", GuestState::None),
            ("Scheduled", GuestState::None),
            ("Running", GuestState::Running),
            ("Succeeded", GuestState::ShutOff),
            ("Failed", GuestState::Crashed),
            ("Unknown", GuestState::None),
            ("WaitingForSync", GuestState::None),
            ("running", GuestState::None),
        ] {
            assert_eq!(state(&format!(r#""phase":{phase:?}"#)), Some(expected), "{phase}");
        }
        assert_eq!(state(r#""phase":null"#), Some(GuestState::None));
        let paused = |status: &str, phase: &str| {
            state(&format!(
                r#""phase":{phase:?},"conditions":[{{"type":"Ready","status":"True"}},{{"type":"Paused","status":{status:?}}}]"#
            ))
        };
        assert_eq!(paused("True", "Running"), Some(GuestState::Paused));
        assert_eq!(paused("False", "Running"), Some(GuestState::Running));
        assert_eq!(paused("True", "Succeeded"), Some(GuestState::ShutOff));
    }

    #[test]
    fn one_odd_object_is_left_out_and_the_rest_is_reported() {
        let good = machine("good", UUID, "n", r#""phase":"Running""#);
        let odd = [
            machine("nil", "00000000-0000-0000-0000-000000000000", "n", r#""phase":"Running""#),
            machine("text", "web1", "n", r#""phase":"Running""#),
            machine("empty", "", "n", r#""phase":"Running""#),
            machine("waiting", UUID, "", r#""phase":"Pending""#),
            machine("lost", UUID, "gone", r#""phase":"Running""#),
            machine("idless", UUID, "m", r#""phase":"Running""#),
            r#"{"kind":"VirtualMachineInstance","metadata":{"namespace":"a","name":"number"},"spec":{"domain":{"firmware":{"uuid":5}}},"status":{}}"#.into(),
            r#"{"kind":"VirtualMachineInstance","metadata":{"namespace":"a","name":"bare"}}"#.into(),
            r#"{"kind":"VirtualMachineInstance","metadata":{}}"#.into(),
            r#"{"kind":"Pod","metadata":{"name":"p"}}"#.into(),
            r#"{"kind":"Node","metadata":{"name":"odd"},"status":{"allocatable":{"cpu":8},"nodeInfo":{"machineID":"bb"}}}"#.into(),
            "5".into(),
            "null".into(),
        ];
        let mut objects: Vec<&str> = odd.iter().map(String::as_str).collect();
        let (node, idless) = (node("n", "aa"), node("m", ""));
        objects.extend([good.as_str(), node.as_str(), idless.as_str()]);
        let inventory = inventory(&objects, HypervisorId::Uuid);
        let [host] = &inventory.hypervisors[..] else {
            panic!("{inventory:?}")
        };
        let guests: Vec<_> = host
            .guests
            .iter()
            .map(|guest| (&*guest.id, guest.moref.as_deref()))
            .collect();
        assert_eq!(guests, [(&*UUID.to_lowercase(), Some("default/good"))]);
        let left_out: Vec<String> = inventory
            .left_out
            .iter()
            .map(|one| format!("{} {one}", one.kind))
            .collect();
        let expected = [
            "host m (m): no status.nodeInfo.machineID",
            "host odd (odd): invalid type: integer `8`, expected a string",
            "guest its kind \"Pod\" is neither Node nor VirtualMachineInstance",
            "guest no metadata.name",
            "guest invalid type: integer `5`, expected struct Object",
            "guest invalid type: null, expected struct Object",
            "guest bare (a/bare): not on a node",
            "guest number (a/number): invalid type: integer `5`, expected a string",
            "guest empty (default/empty): no spec.domain.firmware.uuid",
            "guest idless (default/idless): its node \"m\" is left out",
            "guest lost (default/lost): its node \"gone\" is not in the list of nodes",
            "guest nil (default/nil): spec.domain.firmware.uuid \"00000000-0000-0000-0000-000000000000\" is all zeros",
            "guest text (default/text): spec.domain.firmware.uuid \"web1\" is not a uuid",
            "guest waiting (default/waiting): not on a node (phase Pending)",
        ];
        let mut sorted = left_out.clone();
        sorted.sort();
        let mut wanted = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
    }

    #[test]
    fn an_odd_quantity_of_cpus_leaves_only_that_fact_out() {
        let node = node("n", "aa").replace("7500m", "many");
        let inventory = inventory(&[&node], HypervisorId::Uuid);
        assert_eq!(inventory.hypervisors[0].facts.get("cpu.cpu_socket(s)"), None);
        assert_eq!(
            inventory.notes,
            ["node \"n\" has the fact of its CPUs left out: status.allocatable.cpu is \"many\""]
        );
    }

    #[test]
    fn colliding_firmware_uuids_are_kept_and_named() {
        let (one, other) = (
            machine("a", UUID, "n", r#""phase":"Running""#),
            machine("b", UUID, "n", r#""phase":"Running""#),
        );
        let inventory = inventory(&[&one, &other, &node("n", "aa")], HypervisorId::Uuid);
        assert_eq!(inventory.hypervisors[0].guests.len(), 2);
        let clones = inventory.clones();
        assert_eq!(clones[0].id, UUID.to_lowercase());
        assert_eq!(
            clones[0].names,
            ["\"a\" (default/a) on n", "\"b\" (default/b) on n"]
        );
    }
}
