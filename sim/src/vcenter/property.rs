//! The properties that objects have, and how their values are written.

use std::io::{self, Write};

use super::inventory::{Inventory, ROOT};
use super::object::{ComputeKey, FolderKey, HostKey, Node, TaskKey, VmKey};
use super::soap::{Fault, escape};

/// A property's value.
enum Value<'a> {
    /// The name of a simple type, and the text.
    Plain(&'static str, &'a str),
    Short(i16),
    Reference(Node),
    References(Vec<Node>),
    /// The name of a type with members, and the members as XML.
    Members(&'static str, String),
}

use Value::{Members, Plain, Reference, References, Short};

const STRING: &str = "xsd:string";

/// The types of objects in the inventory, with the paths of each besides `name` and `parent`.
const PATHS: [(&str, &[&str]); 9] = [
    ("Folder", &["childEntity"]),
    ("Datacenter", &["hostFolder", "vmFolder"]),
    ("ComputeResource", &["host", "resourcePool"]),
    ("ClusterComputeResource", &["host", "resourcePool"]),
    ("ResourcePool", &["owner", "resourcePool", "vm"]),
    (
        "HostSystem",
        &[
            "vm",
            "hardware.systemInfo.uuid",
            "hardware.cpuInfo.numCpuPackages",
            "config.product.name",
            "config.product.version",
            "config.network.dnsConfig.hostName",
            "config.network.dnsConfig.domainName",
            "runtime.connectionState",
        ],
    ),
    (
        "VirtualMachine",
        &[
            "config.name",
            "config.instanceUuid",
            "config.uuid",
            "config.version",
            "parentVApp",
            "recentTask",
            "resourcePool",
            "runtime.host",
            "runtime.powerState",
            "runtime.question",
        ],
    ),
    ("VirtualApp", &["parentFolder"]),
    ("Task", &["info"]),
];

/// Further types of a real server, of which the inventory has no objects.
const OTHER_TYPES: [&str; 8] = [
    "ManagedEntity",
    "Datastore",
    "StoragePod",
    "Network",
    "DistributedVirtualPortgroup",
    "VmwareDistributedVirtualSwitch",
    "DistributedVirtualSwitch",
    "OpaqueNetwork",
];

/// Whether a server knows this type.
pub(super) fn is_type(name: &str) -> bool {
    PATHS.iter().any(|(kind, _)| *kind == name) || OTHER_TYPES.contains(&name)
}

/// Whether an object of one type is also one of another.
pub(super) fn is_a(kind: &str, wanted: &str) -> bool {
    kind == wanted
        || wanted == "ManagedEntity"
        || (kind == "ClusterComputeResource" && wanted == "ComputeResource")
}

/// Refuses a path that the type does not have. A real server does this before it looks at any object.
pub(super) fn check(kind: &str, path: &str) -> Result<(), Fault> {
    let paths = PATHS.iter().find(|(known, _)| *known == kind);
    let paths = paths.map_or(&[] as &[&str], |(_, paths)| paths);
    if matches!(path, "name" | "parent") || paths.contains(&path) {
        return Ok(());
    }
    let within = |known: &&&str| {
        let rest = known.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    match paths.iter().find(within) {
        // A real server would send the whole structure, so InvalidProperty would be wrong.
        Some(_) => {
            let message = format!("The simulator has only the single values within {path}");
            Err(Fault::new("NotSupported", &message, String::new()))
        }
        None => Err(Fault::invalid_property(path)),
    }
}

impl Inventory {
    /// The value at a path that [`check`] accepted; `None` if it is unset.
    fn value(&self, node: Node, path: &str) -> Option<Value<'_>> {
        match node {
            Node::Vm(key) => self.vm_value(key, path),
            Node::Host(key) => self.host_value(key, path),
            Node::Compute(key) => self.compute_value(key, path),
            Node::Pool(key) => self.pool_value(key, path),
            Node::Folder(key) => self.folder_value(key, path),
            Node::Datacenter(at) => self.datacenter_value(at, path),
            Node::Task(key) => self.task_value(key, path),
        }
    }

    fn vm_value(&self, key: VmKey, path: &str) -> Option<Value<'_>> {
        let vm = self.vm(key);
        Some(match path {
            "name" | "config.name" => Plain(STRING, vm.name.as_deref()?),
            "parent" => Reference(Node::Folder(self.place_of(key)?.1)),
            "config.uuid" => Plain(STRING, vm.uuid.as_deref()?),
            "config.instanceUuid" => Plain(STRING, vm.instance_uuid.as_deref()?),
            "config.version" => Plain(STRING, vm.version.as_deref()?),
            "resourcePool" => Reference(Node::Pool(self.compute_of(self.place_of(key)?.0))),
            "runtime.host" => Reference(Node::Host(self.place_of(key)?.0)),
            "runtime.powerState" => Plain("VirtualMachinePowerState", vm.power.as_deref()?),
            "runtime.question" => Members("VirtualMachineQuestionInfo", vm.question.as_ref()?.members()),
            "recentTask" => References(self.tasks_of(key).map(Node::Task).collect()),
            _ => return None,
        })
    }

    fn host_value(&self, key: HostKey, path: &str) -> Option<Value<'_>> {
        let host = self.host(key);
        Some(match path {
            "name" => Plain(STRING, host.name.as_deref()?),
            "parent" => Reference(Node::Compute(self.compute_of(key))),
            "vm" => References(self.vms_of(key).iter().copied().map(Node::Vm).collect()),
            "hardware.systemInfo.uuid" => Plain(STRING, host.uuid.as_deref()?),
            "hardware.cpuInfo.numCpuPackages" => Short(host.packages?),
            "config.product.name" => Plain(STRING, host.product.as_deref()?),
            "config.product.version" => Plain(STRING, host.version.as_deref()?),
            "config.network.dnsConfig.hostName" => Plain(STRING, host.dns_host.as_deref()?),
            "config.network.dnsConfig.domainName" => Plain(STRING, host.dns_domain.as_deref()?),
            "runtime.connectionState" => Plain("HostSystemConnectionState", host.connection.as_deref()?),
            _ => return None,
        })
    }

    fn compute_value(&self, key: ComputeKey, path: &str) -> Option<Value<'_>> {
        let compute = self.compute(key);
        Some(match path {
            "name" => Plain(STRING, compute.name.as_deref()?),
            "parent" => Reference(Node::Folder(compute.folder)),
            "host" => References(compute.hosts.iter().copied().map(Node::Host).collect()),
            "resourcePool" => Reference(Node::Pool(key)),
            _ => return None,
        })
    }

    fn pool_value(&self, key: ComputeKey, path: &str) -> Option<Value<'_>> {
        Some(match path {
            "name" => Plain(STRING, "Resources"),
            "parent" | "owner" => Reference(Node::Compute(key)),
            "resourcePool" => References(Vec::new()),
            "vm" => {
                let hosts = self.compute(key).hosts.iter();
                let vms = hosts.flat_map(|host| self.vms_of(*host));
                References(vms.copied().map(Node::Vm).collect())
            }
            _ => return None,
        })
    }

    fn folder_value(&self, key: FolderKey, path: &str) -> Option<Value<'_>> {
        let folder = &self.folders[key.0 as usize];
        Some(match path {
            "name" => Plain(STRING, &folder.name),
            "parent" => Reference(folder.parent?),
            "childEntity" => References(folder.children.clone()),
            _ => return None,
        })
    }

    fn datacenter_value(&self, at: u32, path: &str) -> Option<Value<'_>> {
        let datacenter = &self.datacenters[at as usize];
        Some(match path {
            "name" => Plain(STRING, &datacenter.name),
            "parent" => Reference(Node::Folder(ROOT)),
            "hostFolder" => Reference(Node::Folder(datacenter.hosts)),
            "vmFolder" => Reference(Node::Folder(datacenter.vms)),
            _ => return None,
        })
    }

    fn task_value(&self, key: TaskKey, path: &str) -> Option<Value<'_>> {
        match path {
            "info" => Some(Members("TaskInfo", self.task_members(key))),
            _ => None,
        }
    }

    /// The objects that a property refers to, for traversals.
    pub(super) fn follow(&self, node: Node, path: &str) -> Vec<Node> {
        match self.value(node, path) {
            Some(Reference(node)) => vec![node],
            Some(References(nodes)) => nodes,
            _ => Vec::new(),
        }
    }

    fn is_denied(&self, node: Node, path: &str) -> bool {
        let denied = match node {
            Node::Vm(vm) => &self.vm(vm).denied,
            Node::Host(host) => &self.host(host).denied,
            _ => return false,
        };
        denied.iter().any(|hidden| hidden == path)
    }

    /// The fault in place of a denied property.
    fn fault_of(&self, node: Node) -> &'static str {
        let fault = match node {
            Node::Vm(vm) => self.vm(vm).fault,
            Node::Host(host) => self.host(host).fault,
            _ => None,
        };
        fault.unwrap_or("NoPermission")
    }

    /// A property as it is sent; empty if it is unset or denied.
    pub(super) fn rendered(&self, node: Node, path: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if !self.is_denied(node, path)
            && let Some(value) = self.value(node, path)
        {
            // Writing into memory does not fail.
            let _ = self.write_value(&mut bytes, node, &value);
        }
        bytes
    }

    fn write_value(&self, out: &mut dyn Write, of: Node, value: &Value) -> io::Result<()> {
        match value {
            Plain(kind, text) => write!(out, "<val xsi:type=\"{kind}\">{}</val>", escape(text)),
            Members(kind, members) => write!(out, "<val xsi:type=\"{kind}\">{members}</val>"),
            Short(number) => write!(out, "<val xsi:type=\"xsd:short\">{number}</val>"),
            Reference(node) => {
                let (kind, id) = (self.type_of(*node), escape(self.id_of(*node)));
                // Clients must distinguish the two attributes by namespace, not by order, so the order varies.
                match of {
                    Node::Host(host) if host.0 % 2 == 1 => {
                        write!(
                            out,
                            "<val xsi:type=\"ManagedObjectReference\" type=\"{kind}\">{id}</val>"
                        )
                    }
                    _ => write!(
                        out,
                        "<val type=\"{kind}\" xsi:type=\"ManagedObjectReference\">{id}</val>"
                    ),
                }
            }
            References(nodes) => {
                out.write_all(b"<val xsi:type=\"ArrayOfManagedObjectReference\">")?;
                for node in nodes {
                    let (kind, id) = (self.type_of(*node), escape(self.id_of(*node)));
                    write!(
                        out,
                        "<ManagedObjectReference type=\"{kind}\" xsi:type=\"ManagedObjectReference\">{id}</ManagedObjectReference>"
                    )?;
                }
                out.write_all(b"</val>")
            }
        }
    }

    /// Writes `<obj>`, then each set property within the element `set`, then the properties that the account may not read.
    pub(super) fn write_object(
        &self,
        out: &mut dyn Write,
        node: Node,
        paths: &[&str],
        set: PropertyElement,
    ) -> io::Result<()> {
        let (kind, id) = (self.type_of(node), escape(self.id_of(node)));
        write!(out, "<obj type=\"{kind}\">{id}</obj>")?;
        let (open, close) = match set {
            PropertyElement::PropSet => ("<propSet><name>", "</propSet>"),
            PropertyElement::ChangeSet | PropertyElement::ChangeSetWithUnset => {
                ("<changeSet><name>", "</changeSet>")
            }
        };
        let after_name = match set {
            PropertyElement::PropSet => "</name>",
            _ => "</name><op>assign</op>",
        };
        for path in paths {
            let value = self.value(node, path);
            let shows_unset = matches!(set, PropertyElement::ChangeSetWithUnset);
            if self.is_denied(node, path) || (value.is_none() && !shows_unset) {
                continue;
            }
            for part in [open, path, after_name] {
                out.write_all(part.as_bytes())?;
            }
            if let Some(value) = value {
                self.write_value(out, node, &value)?;
            }
            out.write_all(close.as_bytes())?;
        }
        self.write_denied(out, node, paths)
    }

    /// Writes a `missingSet` for each property that the account may not read.
    fn write_denied(&self, out: &mut dyn Write, node: Node, paths: &[&str]) -> io::Result<()> {
        let (kind, id) = (self.type_of(node), escape(self.id_of(node)));
        let fault = self.fault_of(node);
        let (members, message) = match fault {
            "ManagedObjectNotFound" => (
                format!("<obj type=\"{kind}\">{id}</obj>"),
                "The object has already been deleted or has not been completely created",
            ),
            _ => (
                format!("<object type=\"{kind}\">{id}</object><privilegeId>System.Read</privilegeId>"),
                "Permission to perform this operation was denied.",
            ),
        };
        for path in paths.iter().filter(|path| self.is_denied(node, path)) {
            write!(
                out,
                "<missingSet><path>{path}</path><fault><fault xsi:type=\"{fault}\">{members}</fault>\
                 <localizedMessage>{message}</localizedMessage></fault></missingSet>"
            )?;
        }
        Ok(())
    }
}

/// The element around a property in an answer.
#[derive(Clone, Copy)]
pub(super) enum PropertyElement {
    /// In a retrieval.
    PropSet,
    /// In an update, for an object that a filter shows for the first time.
    ChangeSet,
    /// In an update, for a change, which also shows that a property is no longer set.
    ChangeSetWithUnset,
}
