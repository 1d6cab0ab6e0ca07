//! Generated inventories of any size, the same in every run.

use super::inventory::Inventory;
use super::object::{Host, HostKey, Vm, mix};
use super::script::{Asked, Question};

/// How many hosts a datacenter has.
const DATACENTER: usize = 1000;
/// In each group of hosts the last one is standalone and the others share a cluster.
const GROUP: usize = 5;

/// Of this number of first machines each third one has a serial port to a file, about which its tasks ask.
const ASKING: usize = 100;

/// Hardware versions before and after vmx-13, where guests begin to see their uuid in another byte order.
const HARDWARE: [&str; 12] = [
    "vmx-08", "vmx-09", "vmx-10", "vmx-11", "vmx-12", "vmx-13", "vmx-14", "vmx-15", "vmx-17", "vmx-19",
    "vmx-20", "vmx-21",
];
const PRODUCTS: [&str; 4] = ["6.7.0", "7.0.3", "8.0.2", "8.0.3"];
const PACKAGES: [i16; 4] = [2, 2, 1, 4];

impl Inventory {
    /// A vCenter with this number of hosts, in clusters and standalone, and virtual machines spread unevenly over them. Without hosts
    /// there are no virtual machines. 5,000 hosts with 100,000 machines take a fraction of a second.
    pub fn new(hosts: usize, vms: usize) -> Self {
        let mut inventory = Inventory::empty();
        let mut keys = Vec::with_capacity(hosts);
        let mut folder = inventory.host_folder();
        let mut cluster = None;
        for n in 0..hosts {
            if n > 0 && n % DATACENTER == 0 {
                inventory.add_datacenter(&format!("DC{}", n / DATACENTER + 1));
            }
            if n % DATACENTER == 0 {
                folder = inventory.add_folder(inventory.host_folder(), "Racks");
            }
            let host = host(n);
            keys.push(match n % GROUP {
                last if last == GROUP - 1 => inventory.add_standalone(host),
                place => {
                    let fresh = if place == 0 { None } else { cluster };
                    let cluster = *cluster.insert(
                        fresh.unwrap_or_else(|| inventory.add_cluster_in(folder, &cluster_name(n / GROUP))),
                    );
                    inventory.add_host(cluster, host)
                }
            });
        }
        for n in 0..if hosts == 0 { 0 } else { vms } {
            inventory.add_vm(place(&keys, n), vm(n));
        }
        inventory
    }

    /// A single ESX host with this number of virtual machines.
    pub fn new_esx(vms: usize) -> Self {
        let mut inventory = Inventory::esx(host(0));
        for n in 0..vms {
            inventory.add_vm(HostKey(0), vm(n));
        }
        inventory
    }
}

fn place(hosts: &[HostKey], vm: usize) -> HostKey {
    let at = mix(vm as u64) % hosts.len() as u64;
    hosts[usize::try_from(at).unwrap_or(0)]
}

fn host(n: usize) -> Host {
    let mut host = Host::new(&format!("esx{}.example.com", n + 1));
    host.packages = Some(PACKAGES[n % PACKAGES.len()]);
    host.version = Some(PRODUCTS[n / GROUP % PRODUCTS.len()].to_owned());
    // As some administrators do, a full name where a short one belongs.
    if n % 7 == 6 {
        host.dns_host.clone_from(&host.name);
    }
    host
}

/// One cluster in four has a name that vSphere escapes.
fn cluster_name(n: usize) -> String {
    match n % 4 {
        1 => format!("Web %2f Database {}", n + 1),
        _ => format!("Cluster {}", n + 1),
    }
}

fn vm(n: usize) -> Vm {
    let mut vm = Vm::new(&format!("vm{}", n + 1));
    vm.version = Some(HARDWARE[n % HARDWARE.len()].to_owned());
    let power = match mix(n as u64 + 1) % 10 {
        0..=6 => "poweredOn",
        7 | 8 => "poweredOff",
        _ => "suspended",
    };
    vm.power = Some(power.to_owned());
    if n < ASKING && n % 3 == 2 {
        let asked = Asked::at_once(Question::serial_port());
        vm.script.questions.push(asked);
    }
    vm
}
