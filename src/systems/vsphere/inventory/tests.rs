use super::host::qualified;
use super::*;
use crate::mapping::{HypervisorId, SharedId};

fn inventory(objects: &[Object]) -> Inventory {
    let mut inventory = Inventory::default();
    for object in objects {
        inventory.add(object);
    }
    inventory
}

fn vm(id: &str, uuid: &str, version: &str) -> Object {
    let properties = [
        ("config.uuid", uuid),
        ("config.version", version),
        ("runtime.powerState", "poweredOn"),
    ];
    Object::of(VM, id, &properties)
}

fn ids(inventory: Inventory, id: HypervisorId) -> Vec<String> {
    inventory
        .identify(id)
        .hypervisors()
        .map(|hypervisor| hypervisor.id.unwrap())
        .collect()
}

#[test]
fn uuids_are_swapped_from_hardware_version_13_on() {
    let uuid = "78563412-ab90-efcd-1234-567890abcdef";
    let swapped = "12345678-90ab-cdef-1234-567890abcdef";
    let table = [
        ("vmx-08", uuid),
        ("vmx-12", uuid),
        ("vmx-13", swapped),
        ("vmx-21", swapped),
        ("vmx-100", swapped),
        ("", uuid),
        ("vmx-", uuid),
        ("vmx-x", uuid),
        ("13", uuid),
    ];
    for (version, expected) in table {
        let host = Object::of(HOST, "host-1", &[("vm", "VirtualMachine:vm-1")]);
        let identified = inventory(&[vm("vm-1", uuid, version), host]).identify(HypervisorId::Hwuuid);
        let guests = identified.hypervisors().next().unwrap().guests;
        assert_eq!(guests.first().unwrap().id, expected, "{version}");
    }
}

#[test]
fn power_states_have_virt_whos_numbers() {
    let table = [
        (Some("poweredOn"), 1),
        (Some("suspended"), 3),
        (Some("poweredOff"), 5),
        (Some("odd"), 0),
        (None, 0),
    ];
    for (state, number) in table {
        assert_eq!(power_state(state).number(), number);
    }
}

#[test]
fn a_domain_is_added_once() {
    let table = [
        ("", "ex.com", ""),
        ("esx1", "", "esx1"),
        ("esx1", "ex.com", "esx1.ex.com"),
        ("esx1.ex.com", "ex.com", "esx1.ex.com"),
        ("esx1.EX.com", "ex.com", "esx1.EX.com"),
        ("esx1.other.com", "ex.com", "esx1.other.com.ex.com"),
        ("lex.com", "ex.com", "lex.com.ex.com"),
    ];
    for (host, domain, expected) in table {
        assert_eq!(qualified(host, domain), expected);
    }
}

#[test]
fn a_host_becomes_a_hypervisor_in_any_order_of_objects() {
    let uuid = "00000000-0000-0000-0000-00000000000";
    let host = Object::of(
        HOST,
        "host-9",
        &[
            ("name", "10.0.0.1"),
            ("vm", "VirtualMachine:vm-2"),
            ("vm", "VirtualMachine:vm-1"),
            ("parent", "ClusterComputeResource:domain-c7"),
            ("hardware.systemInfo.uuid", "aaaa"),
            ("hardware.cpuInfo.numCpuPackages", "2"),
            ("config.product.name", "VMware ESXi"),
            ("config.product.version", "8.0.2"),
            ("config.network.dnsConfig.hostName", "esx1"),
            ("config.network.dnsConfig.domainName", "example.com"),
        ],
    );
    let cluster = Object::of(CLUSTER, "domain-c7", &[("name", "A%2fB")]);
    let objects = [
        host,
        vm("vm-1", &format!("{uuid}1"), "vmx-09"),
        cluster,
        vm("vm-2", &format!("{uuid}2"), "vmx-09"),
    ];
    let identified = inventory(&objects).identify(HypervisorId::Uuid);
    let hypervisor = identified.hypervisors().next().unwrap();
    assert_eq!(hypervisor.id.as_deref(), Some("aaaa"));
    assert_eq!(hypervisor.name.as_deref(), Some("esx1.example.com"));
    let guests: Vec<_> = hypervisor.guests.iter().map(|guest| guest.id.as_str()).collect();
    assert_eq!(guests, [format!("{uuid}1"), format!("{uuid}2")]);
    let facts = [
        ("hypervisor.type", "VMware ESXi"),
        ("cpu.cpu_socket(s)", "2"),
        ("hypervisor.version", "8.0.2"),
        ("dmi.system.uuid", "aaaa"),
        ("hypervisor.cluster", "A/B"),
    ];
    for (name, value) in facts {
        assert_eq!(hypervisor.facts.text(name), Some(value), "{name}");
    }
    assert_eq!(hypervisor.parent.unwrap().name.as_deref(), Some("A/B"));
}

#[test]
fn each_id_has_its_property_and_hosts_without_it_are_omitted() {
    let whole = [
        ("hardware.systemInfo.uuid", "u1"),
        ("config.network.dnsConfig.hostName", "esx1"),
    ];
    let objects = || {
        [
            Object::of(HOST, "host-1", &whole),
            Object::of(HOST, "host-2", &[("name", "bare")]),
        ]
    };
    assert_eq!(ids(inventory(&objects()), HypervisorId::Uuid), ["u1"]);
    assert_eq!(ids(inventory(&objects()), HypervisorId::Hostname), ["esx1"]);
    assert_eq!(
        ids(inventory(&objects()), HypervisorId::Hwuuid),
        ["host-1", "host-2"]
    );
    let identified = inventory(&objects()).identify(HypervisorId::Uuid);
    let [omitted] = identified.left_out() else {
        panic!("one host is omitted")
    };
    assert_eq!(
        (omitted.id.as_deref(), omitted.name.as_deref()),
        (Some("host-2"), Some("bare"))
    );
    assert_eq!(omitted.reason, "no hardware.systemInfo.uuid");
}

#[test]
fn unusable_guests_are_omitted_with_the_reason() {
    let vms = ["vm-1", "vm-2", "vm-3"].map(|id| ("vm", format!("VirtualMachine:{id}")));
    let vms = vms.each_ref().map(|(path, id)| (*path, id.as_str()));
    let objects = [
        Object::of(HOST, "host-1", &vms),
        vm("vm-1", "", "vmx-13"),
        vm("vm-2", "junk", "vmx-13"),
    ];
    let identified = inventory(&objects).identify(HypervisorId::Hwuuid);
    let reasons: Vec<_> = identified
        .left_out()
        .iter()
        .map(|omitted| omitted.reason.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "no config.uuid",
            "config.uuid \"junk\" is not a uuid",
            "it vanished during the scan"
        ]
    );
}

#[test]
fn hosts_that_share_an_id_are_kept_and_named() {
    let same = [("hardware.systemInfo.uuid", "u1")];
    let objects = ["host-2", "host-1", "host-3"].map(|id| Object::of(HOST, id, &same));
    let identified = inventory(&objects).identify(HypervisorId::Uuid);
    assert_eq!(identified.hypervisors().count(), 3);
    assert_eq!(
        identified.shared_ids(),
        [SharedId {
            id: "u1".to_owned(),
            names: ["host-1", "host-2", "host-3"].map(str::to_owned).to_vec()
        }]
    );
}
