//! Odd inventories: an odd object is at most an entry in `omitted`, and never prevents the report.

use std::sync::Arc;

use serde_json::Value;
use vw_sim::vcenter::{Host, HostKey, Inventory, Vm, VmKey};

use crate::vw_scan_esx_options::Site;

mod pages;

const UUID: &str = "78563412-ab90-efcd-1234-567890abcdef";
const SWAPPED: &str = "12345678-90ab-cdef-1234-567890abcdef";

/// The host that every inventory of the table has, and that every document must have.
struct Usual {
    host: HostKey,
    /// Its two machines.
    vms: Vec<VmKey>,
}

fn usual(inventory: &mut Inventory) -> Usual {
    let cluster = inventory.add_cluster("usual");
    let host = inventory.add_host(cluster, Host::new("usual.example.com"));
    let vms = vec![
        inventory.add_vm(host, Vm::new("usual1")),
        inventory.add_vm(host, Vm::new("usual2")),
    ];
    Usual { host, vms }
}

/// A host with this name and a change.
fn host(name: &str, change: impl FnOnce(&mut Host)) -> Host {
    let mut host = Host::new(name);
    change(&mut host);
    host
}

/// A machine with [`UUID`] and a change.
fn vm(change: impl FnOnce(&mut Vm)) -> Vm {
    let mut vm = Vm::new("odd");
    vm.uuid = Some(UUID.into());
    change(&mut vm);
    vm
}

fn denied(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// The hypervisor whose name begins with this.
fn named<'m>(mapping: &'m Value, name: &str) -> Option<&'m Value> {
    let hosts = mapping["hypervisors"].as_array().unwrap();
    hosts
        .iter()
        .find(|host| host["name"].as_str().is_some_and(|found| found.starts_with(name)))
}

struct Row {
    what: &'static str,
    build: fn(&mut Inventory, &Usual),
    /// JSON pointers into the odd host, and the values there; `null` for a missing one.
    values: &'static [(&'static str, &'static str)],
    /// Kind, name and reason of the omitted objects.
    omitted: &'static [(&'static str, &'static str, &'static str)],
    /// What stderr says.
    warns: &'static [&'static str],
}

const HOST_LEFT_OUT: &str = "left out 1 host (see";
const GUEST_LEFT_OUT: &str = "left out 1 guest (see";

fn hosts_with_odd_names_or_parents() -> Vec<Row> {
    vec![
        Row {
            what: "a host without DNS data has its name in the inventory",
            build: |inventory, _| {
                inventory.add_standalone(host("odd%2f1", |host| {
                    host.dns_host = None;
                    host.dns_domain = None;
                }));
            },
            values: &[("/name", "\"odd/1\"")],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "an empty DNS name is none, and a domain is added once",
            build: |inventory, _| {
                inventory.add_standalone(host("odd", |host| host.dns_host = Some(String::new())));
                inventory.add_standalone(host("twice", |host| {
                    host.dns_host = Some("twice.example.com".into());
                    host.dns_domain = Some("example.com".into());
                }));
            },
            values: &[("/name", "\"odd\"")],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "a host whose machines may not be read",
            build: |inventory, _| {
                let odd = inventory.add_standalone(host("odd", |host| host.denied = denied(&["vm"])));
                inventory.add_vm(odd, vm(|_| {}));
            },
            values: &[("/guests", "[]")],
            omitted: &[(
                "guest",
                "odd",
                "no host lists it: it moved during the scan, or the account may not see its host",
            )],
            warns: &[GUEST_LEFT_OUT],
        },
        Row {
            what: "a host without a parent",
            build: |inventory, _| {
                inventory.add_standalone(host("odd", |host| host.denied = denied(&["parent"])));
            },
            values: &[("/parent", "null"), ("/facts/hypervisor.cluster", "null")],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "a cluster without a name",
            build: |inventory, _| {
                let cluster = inventory.add_cluster("x");
                inventory.compute_mut(cluster).name = None;
                inventory.add_host(cluster, Host::new("odd"));
            },
            values: &[
                ("/parent/type", "\"ClusterComputeResource\""),
                ("/parent/name", "null"),
                ("/facts/hypervisor.cluster", "null"),
            ],
            omitted: &[],
            warns: &[],
        },
    ]
}

fn hosts_with_missing_data() -> Vec<Row> {
    vec![
        Row {
            what: "a host without a CPU count",
            build: |inventory, _| {
                inventory.add_standalone(host("odd", |host| host.packages = None));
            },
            values: &[("/facts/cpu.cpu_socket(s)", "null")],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "a host without config",
            build: |inventory, _| {
                inventory.add_standalone(host("odd", |host| {
                    host.product = None;
                    host.version = None;
                    host.dns_host = None;
                    host.dns_domain = None;
                }));
            },
            values: &[
                ("/facts/hypervisor.type", "\"vmware\""),
                ("/facts/hypervisor.version", "null"),
            ],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "a disconnected host of which the server still knows all",
            build: |inventory, _| {
                let odd = inventory.add_standalone(host("odd", |host| {
                    host.connection = Some("disconnected".into());
                }));
                inventory.add_vm(odd, vm(|_| {}));
            },
            values: &[("/guests/0/guestId", "\"12345678-90ab-cdef-1234-567890abcdef\"")],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "a host that never was connected",
            build: |inventory, _| {
                inventory.add_standalone(Host {
                    name: Some("odd".into()),
                    connection: Some("notResponding".into()),
                    ..Host::default()
                });
            },
            values: &[],
            omitted: &[("host", "odd", "no hardware.systemInfo.uuid")],
            warns: &[HOST_LEFT_OUT],
        },
        Row {
            what: "a host whose uuid may not be read",
            build: |inventory, _| {
                inventory.add_standalone(host("odd.example.com", |host| {
                    host.denied = denied(&["hardware.systemInfo.uuid"]);
                }));
            },
            values: &[],
            omitted: &[(
                "host",
                "odd.example.com",
                "no hardware.systemInfo.uuid (NoPermission)",
            )],
            warns: &[HOST_LEFT_OUT],
        },
    ]
}

fn odd_machines() -> Vec<Row> {
    vec![
        Row {
            what: "a machine without config, as one that is being made",
            build: |inventory, usual| {
                inventory.add_vm(
                    usual.host,
                    vm(|vm| {
                        vm.uuid = None;
                        vm.version = None;
                    }),
                );
            },
            values: &[],
            omitted: &[("guest", "odd", "no config.uuid")],
            warns: &[GUEST_LEFT_OUT],
        },
        Row {
            what: "a machine with an empty uuid",
            build: |inventory, usual| {
                inventory.add_vm(usual.host, vm(|vm| vm.uuid = Some(String::new())));
            },
            values: &[],
            omitted: &[("guest", "odd", "no config.uuid")],
            warns: &[GUEST_LEFT_OUT],
        },
        Row {
            what: "a machine whose uuid is none, with a name from hell",
            build: |inventory, usual| {
                inventory.add_vm(
                    usual.host,
                    vm(|vm| {
                        vm.uuid = Some("<junk>".into());
                        vm.name = Some("]]> <&\"'> %25 \u{1F600}".into());
                    }),
                );
            },
            values: &[],
            omitted: &[(
                "guest",
                "]]> <&\"'> % \u{1F600}",
                "config.uuid \"<junk>\" is not a uuid",
            )],
            warns: &[GUEST_LEFT_OUT],
        },
        Row {
            what: "an odd hardware version",
            build: |inventory, _| {
                let odd = inventory.add_standalone(Host::new("odd"));
                inventory.add_vm(odd, vm(|vm| vm.version = Some("vmx-next".into())));
            },
            values: &[("/guests/0/guestId", "\"78563412-ab90-efcd-1234-567890abcdef\"")],
            omitted: &[],
            warns: &["with \"vmx-next\""],
        },
        Row {
            what: "a template, which is a machine that is off",
            build: |inventory, _| {
                let odd = inventory.add_standalone(Host::new("odd"));
                inventory.add_vm(odd, vm(|vm| vm.power = Some("poweredOff".into())));
            },
            values: &[("/guests/0/state", "5"), ("/guests/0/attributes/active", "0")],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "an odd power state, and none",
            build: |inventory, _| {
                let odd = inventory.add_standalone(Host::new("odd"));
                inventory.add_vm(odd, vm(|vm| vm.power = Some("hibernating".into())));
                inventory.add_vm(
                    odd,
                    vm(|vm| {
                        vm.power = None;
                        vm.uuid = Some(SWAPPED.into());
                    }),
                );
            },
            values: &[("/guests/0/state", "0"), ("/guests/1/state", "0")],
            omitted: &[],
            warns: &[],
        },
    ]
}

fn odd_inventories() -> Vec<Row> {
    vec![
        Row {
            what: "two hosts with one uuid",
            build: |inventory, _| {
                for name in ["odd.example.com", "other.example.com"] {
                    inventory.add_standalone(host(name, |host| host.uuid = Some("one".into())));
                }
            },
            values: &[("/uuid", "\"one\"")],
            omitted: &[],
            warns: &["2 hosts have the id one: odd.example.com, other.example.com"],
        },
        Row {
            what: "two machines with one uuid, as after a copy",
            build: |inventory, _| {
                let odd = inventory.add_standalone(Host::new("odd"));
                inventory.add_vm(odd, vm(|_| {}));
                inventory.add_vm(odd, vm(|vm| vm.power = Some("poweredOff".into())));
            },
            values: &[
                ("/guests/0/guestId", "\"12345678-90ab-cdef-1234-567890abcdef\""),
                ("/guests/1/guestId", "\"12345678-90ab-cdef-1234-567890abcdef\""),
            ],
            omitted: &[],
            warns: &[
                "2 virtual machines have the guest id 12345678-90ab-cdef-1234-567890abcdef: \"odd\" (vm-",
            ],
        },
        Row {
            what: "folders in folders, a cluster in the innermost, another datacenter",
            build: |inventory, _| {
                let mut folder = inventory.host_folder();
                for name in ["a", "b%2fc", "d"] {
                    folder = inventory.add_folder(folder, name);
                }
                let cluster = inventory.add_cluster_in(folder, "deep");
                let odd = inventory.add_host(cluster, Host::new("odd"));
                inventory.add_vm(odd, vm(|_| {}));
                inventory.add_datacenter("second");
                inventory.add_standalone(Host::new("far"));
            },
            values: &[
                ("/facts/hypervisor.cluster", "\"deep\""),
                ("/guests/0/guestId", "\"12345678-90ab-cdef-1234-567890abcdef\""),
            ],
            omitted: &[],
            warns: &[],
        },
        Row {
            what: "names with XML's characters, percent escapes and emoji",
            build: |inventory, _| {
                let cluster = inventory.add_cluster("<a & \"b\"> 'c' 50%25 %2f %5c %zz \u{1F600}");
                inventory.add_host(
                    cluster,
                    host("odd &amp; <x> \u{1F600}", |host| {
                        host.dns_host = None;
                        host.uuid = Some("<&>".into());
                    }),
                );
            },
            values: &[("/name", "\"odd &amp; <x> \u{1F600}\""), ("/uuid", "\"<&>\"")],
            omitted: &[],
            warns: &[],
        },
    ]
}

#[test]
fn one_odd_object_affects_no_others() {
    let table = [
        hosts_with_odd_names_or_parents(),
        hosts_with_missing_data(),
        odd_machines(),
        odd_inventories(),
    ];
    for row in table.into_iter().flatten() {
        let mut inventory = Inventory::empty();
        let usual = usual(&mut inventory);
        (row.build)(&mut inventory, &usual);
        let site = Site::new(inventory);
        for pages in [None, Some(1), Some(2)] {
            site.vcenter.limit_pages(pages);
            let outcome = site.scan(&[]);
            let context = format!("{} {pages:?}: {outcome:?}", row.what);
            assert_eq!(outcome.status, 0, "{context}");
            assert_eq!(outcome.stderr.lines().count(), row.warns.len(), "{context}");
            for words in row.warns {
                assert!(outcome.stderr.contains(words), "{context}");
            }
            let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
            let guests = named(&mapping, "usual").unwrap_or_else(|| panic!("{context}"))["guests"].as_array();
            assert_eq!(guests.unwrap().len(), usual.vms.len(), "{context}");
            let odd = named(&mapping, "odd");
            assert!(odd.is_some() || row.values.is_empty(), "{context}");
            for (pointer, text) in row.values {
                let found = odd.and_then(|odd| odd.pointer(pointer)).unwrap_or(&Value::Null);
                assert_eq!(found.to_string(), *text, "{pointer} {context}");
            }
            let none = Vec::new();
            let omitted = mapping
                .get("omitted")
                .map_or(&none, |list| list.as_array().unwrap());
            let omitted: Vec<_> = omitted
                .iter()
                .map(|one| ["kind", "name", "reason"].map(|member| one[member].as_str().unwrap_or_default()))
                .map(|[kind, name, reason]| (kind, name, reason))
                .collect();
            assert_eq!(omitted, row.omitted, "{context}");
        }
        assert_eq!(site.vcenter.open().sessions, 0);
    }
}

#[test]
fn ids_by_host_name_leave_out_hosts_without_one() {
    let mut inventory = Inventory::empty();
    usual(&mut inventory);
    inventory.add_standalone(host("odd", |host| host.dns_host = None));
    let site = Site::new(inventory);
    let outcome = site.scan(&["--hypervisor-id", "hostname"]);
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(mapping["hypervisors"][0]["uuid"], "usual.example.com");
    assert_eq!(
        mapping["omitted"][0]["reason"],
        "no config.network.dnsConfig.hostName"
    );
}
