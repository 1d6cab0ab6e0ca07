//! The hosts and virtual machines of a pool, with records like those of XenServer 8.

use std::collections::BTreeMap;

use crate::xmlrpc::Value;

/// The reference that names no object.
pub(super) const NULL: &str = "OpaqueRef:NULL";

/// A class of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Host,
    Vm,
}

impl Class {
    /// The name in events.
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::Host => "host",
            Class::Vm => "vm",
        }
    }
}

/// An object of the pool.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) class: Class,
    pub(super) record: BTreeMap<String, Value>,
    /// The event that tells its last change.
    pub(super) changed: u64,
}

/// The objects of a pool by their references.
#[derive(Debug, Clone, Default)]
pub struct Pool(pub(super) BTreeMap<String, Object>);

impl Pool {
    /// This number of hosts, `xen1` and so on, with the virtual machines `vm1` and so on spread over them. Each host has a
    /// control domain; besides them there are a template, a snapshot, and `off`, which is halted.
    pub fn new(hosts: usize, vms: usize) -> Self {
        let mut pool = Pool::default();
        for number in 1..=hosts {
            pool.add_host(number);
            pool.add_vm(
                &format!("dom0-{number}"),
                Some(number),
                &[("is_control_domain", true)],
            );
        }
        for number in 1..=vms {
            pool.add_vm(&format!("vm{number}"), Some((number - 1) % hosts.max(1) + 1), &[]);
        }
        pool.add_vm("off", None, &[]);
        pool.add_vm("template", None, &[("is_a_template", true)]);
        pool.add_vm(
            "snapshot",
            None,
            &[("is_a_snapshot", true), ("is_a_template", true)],
        );
        pool
    }

    /// The reference of a host by its number, counted from 1.
    pub fn host(number: usize) -> String {
        format!("OpaqueRef:{}", Pool::host_uuid(number))
    }

    /// The uuid of a host by its number.
    pub fn host_uuid(number: usize) -> String {
        format!("11111111-0000-4000-8000-{number:012x}")
    }

    /// The reference of a virtual machine by its name.
    pub fn vm(name: &str) -> String {
        format!("OpaqueRef:{}", Pool::vm_uuid(name))
    }

    /// The uuid of a virtual machine by its name.
    pub fn vm_uuid(name: &str) -> String {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("22222222-0000-4000-8000-{:012x}", hash & 0xffff_ffff_ffff)
    }

    /// Replaces a member of an object's record by a text, or removes it.
    pub fn set(&mut self, reference: &str, member: &str, text: Option<&str>) {
        if let Some(object) = self.0.get_mut(reference) {
            match text {
                Some(text) => object.record.insert(member.to_owned(), text.into()),
                None => object.record.remove(member),
            };
        }
    }

    fn add_host(&mut self, number: usize) {
        let text = |text: String| Value::Text(text);
        let own = [
            ("uuid", text(Pool::host_uuid(number))),
            ("hostname", text(format!("xen{number}"))),
            ("name_label", text(format!("Host {number} <rack & row>"))),
            ("address", text(format!("192.0.2.{number}"))),
            (
                "cpu_info",
                map(&[
                    ("cpu_count", "32"),
                    ("socket_count", "2"),
                    ("vendor", "GenuineIntel"),
                    ("speed", "2593.906"),
                    ("modelname", "Intel(R) Xeon(R) Gold 6226R"),
                    ("features", "77faf3ff-bfebfbff-00000021"),
                ]),
            ),
            (
                "software_version",
                map(&[
                    ("product_brand", "XCP-ng"),
                    ("product_version", "8.2.1"),
                    ("build_number", "release/yangtze/master/58"),
                    ("xapi", "1.20"),
                    ("xen", "4.13.5-9.36"),
                ]),
            ),
        ];
        self.add(Class::Host, Pool::host(number), HOST, own);
    }

    fn add_vm(&mut self, name: &str, host: Option<usize>, flags: &[(&str, bool)]) {
        let flag = |wanted: &str| flags.iter().any(|(flag, set)| *flag == wanted && *set);
        let power_state = if host.is_some() { "Running" } else { "Halted" };
        let own = [
            ("uuid", Value::Text(Pool::vm_uuid(name))),
            ("name_label", name.into()),
            ("power_state", power_state.into()),
            (
                "resident_on",
                Value::Text(host.map_or(NULL.to_owned(), Pool::host)),
            ),
            ("is_a_template", Value::Boolean(flag("is_a_template"))),
            ("is_a_snapshot", Value::Boolean(flag("is_a_snapshot"))),
            ("is_control_domain", Value::Boolean(flag("is_control_domain"))),
            ("is_default_template", Value::Boolean(false)),
        ];
        self.add(Class::Vm, Pool::vm(name), VM, own);
    }

    fn add<const N: usize>(
        &mut self,
        class: Class,
        reference: String,
        usual: &[(&str, Usual)],
        own: [(&str, Value); N],
    ) {
        let usual = usual.iter().map(|(name, value)| (*name, value.value()));
        let record = usual.chain(own).map(|(name, value)| (name.to_owned(), value));
        let record = record.collect();
        let object = Object {
            class,
            record,
            changed: 0,
        };
        self.0.insert(reference, object);
    }
}

fn map(entries: &[(&str, &str)]) -> Value {
    let entries = entries.iter();
    Value::Struct(
        entries
            .map(|(name, text)| ((*name).to_owned(), (*text).into()))
            .collect(),
    )
}

/// A member that is the same in all records of a class.
enum Usual {
    /// Also an integer, a reference, or an item of an enumeration.
    Text(&'static str),
    Flag(bool),
    Date(&'static str),
    Set(&'static [&'static str]),
    Map(&'static [(&'static str, &'static str)]),
}

impl Usual {
    fn value(&self) -> Value {
        match self {
            Usual::Text(text) => (*text).into(),
            Usual::Flag(flag) => Value::Boolean(*flag),
            Usual::Date(date) => Value::Date((*date).to_owned()),
            Usual::Set(texts) => Value::Array(texts.iter().map(|text| (*text).into()).collect()),
            Usual::Map(entries) => map(entries),
        }
    }
}

/// Members that a scan does not need; their names and types are those of the class reference.
const HOST: &[(&str, Usual)] = &[
    ("name_description", Usual::Text("Default install")),
    ("memory_overhead", Usual::Text("1229062144")),
    (
        "allowed_operations",
        Usual::Set(&["vm_migrate", "provision", "vm_start"]),
    ),
    ("current_operations", Usual::Map(&[])),
    ("API_version_major", Usual::Text("2")),
    ("API_version_minor", Usual::Text("16")),
    ("API_version_vendor", Usual::Text("XenSource")),
    ("API_version_vendor_implementation", Usual::Map(&[])),
    ("enabled", Usual::Flag(true)),
    (
        "other_config",
        Usual::Map(&[("agent_start_time", "1700000000."), ("uuid", "none")]),
    ),
    ("capabilities", Usual::Set(&["xen-3.0-x86_64", "hvm-3.0-x86_64"])),
    ("cpu_configuration", Usual::Map(&[])),
    ("sched_policy", Usual::Text("credit")),
    ("supported_bootloaders", Usual::Set(&["pygrub", "eliloader"])),
    (
        "resident_VMs",
        Usual::Set(&["OpaqueRef:7f3f0000-0000-4000-8000-000000000001"]),
    ),
    ("logging", Usual::Map(&[])),
    ("PIFs", Usual::Set(&[])),
    ("suspend_image_sr", Usual::Text(NULL)),
    ("crash_dump_sr", Usual::Text(NULL)),
    (
        "metrics",
        Usual::Text("OpaqueRef:7f3f0000-0000-4000-8000-000000000002"),
    ),
    (
        "license_params",
        Usual::Map(&[("restrict_rbac", "false"), ("expiry", "20330101T00:00:00Z")]),
    ),
    ("edition", Usual::Text("xcp-ng")),
    (
        "bios_strings",
        Usual::Map(&[("system-manufacturer", "Dell Inc."), ("oem-1", "[1028]")]),
    ),
    ("tags", Usual::Set(&[])),
];

/// See [`HOST`].
const VM: &[(&str, Usual)] = &[
    (
        "allowed_operations",
        Usual::Set(&["changing_dynamic_range", "hard_reboot", "clean_shutdown"]),
    ),
    ("current_operations", Usual::Map(&[])),
    ("name_description", Usual::Text("")),
    ("user_version", Usual::Text("1")),
    ("suspend_VDI", Usual::Text(NULL)),
    ("affinity", Usual::Text(NULL)),
    ("memory_static_max", Usual::Text("4294967296")),
    ("VCPUs_params", Usual::Map(&[("weight", "256"), ("cap", "0")])),
    ("VCPUs_max", Usual::Text("2")),
    ("actions_after_shutdown", Usual::Text("destroy")),
    (
        "consoles",
        Usual::Set(&["OpaqueRef:7f3f0000-0000-4000-8000-000000000003"]),
    ),
    ("VIFs", Usual::Set(&[])),
    (
        "platform",
        Usual::Map(&[
            ("acpi", "1"),
            ("apic", "true"),
            ("device-model", "qemu-upstream-compat"),
        ]),
    ),
    (
        "other_config",
        Usual::Map(&[("mac_seed", "dbd5a4a4"), ("resident_on", "nowhere")]),
    ),
    ("domid", Usual::Text("7")),
    ("last_boot_CPU_flags", Usual::Map(&[("vendor", "GenuineIntel")])),
    (
        "metrics",
        Usual::Text("OpaqueRef:7f3f0000-0000-4000-8000-000000000004"),
    ),
    (
        "guest_metrics",
        Usual::Text("OpaqueRef:7f3f0000-0000-4000-8000-000000000005"),
    ),
    (
        "last_booted_record",
        Usual::Text("('struct' ('uuid' 'a') ('power_state' 'Halted') ('name_label' '<b>'))"),
    ),
    (
        "recommendations",
        Usual::Text("<restrictions><restriction field=\"memory-static-max\" max=\"1\"/></restrictions>"),
    ),
    (
        "xenstore_data",
        Usual::Map(&[("vm-data/mmio-hole-size", "268435456")]),
    ),
    ("ha_restart_priority", Usual::Text("")),
    ("tags", Usual::Set(&["prod"])),
    ("snapshot_of", Usual::Text(NULL)),
    ("snapshots", Usual::Set(&[])),
    ("snapshot_time", Usual::Date("19700101T00:00:00Z")),
    ("blocked_operations", Usual::Map(&[])),
    ("parent", Usual::Text(NULL)),
    ("children", Usual::Set(&[])),
    ("generation_id", Usual::Text("123:456")),
    ("hardware_platform_version", Usual::Text("2")),
];
