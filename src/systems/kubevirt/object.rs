//! The objects that a scan reads, a node and a virtual machine instance, with only the members that it needs.

use serde::Deserialize;
use uuid::Uuid;

use crate::mapping::{GuestState, LeftOut};

/// An object of either kind. A member that is null counts as missing, as in Kubernetes.
#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
pub(super) struct Object {
    kind: Option<String>,
    metadata: Option<Metadata>,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
struct Spec {
    domain: Option<Domain>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
struct Domain {
    firmware: Option<Firmware>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
struct Firmware {
    uuid: Option<String>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    // Of a node.
    addresses: Option<Vec<Address>>,
    allocatable: Option<Allocatable>,
    node_info: Option<NodeInfo>,
    // Of a virtual machine instance.
    node_name: Option<String>,
    phase: Option<String>,
    conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
struct Address {
    r#type: Option<String>,
    address: Option<String>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
struct Allocatable {
    cpu: Option<String>,
}

#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    #[serde(rename = "machineID")]
    machine_id: Option<String>,
    kubelet_version: Option<String>,
}

/// A condition. Only its type and status are hashed and read: the time in it changes although nothing else does.
#[derive(Debug, Default, Deserialize, Hash)]
#[serde(default)]
struct Condition {
    r#type: Option<String>,
    status: Option<String>,
}

/// A node: a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Its name, by which virtual machine instances name it.
    pub name: String,
    /// The machine id of its operating system, 32 hex digits.
    pub machine_id: Option<String>,
    /// Its address of type Hostname.
    pub hostname: Option<String>,
    /// The quantity of CPU that pods may use, such as `7500m`.
    pub cpu: Option<String>,
    /// The version of its kubelet, such as `v1.34.1`.
    pub kubelet_version: Option<String>,
}

/// A virtual machine instance (VMI): a virtual machine that runs or has run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Its namespace, in which its name is unique.
    pub namespace: String,
    pub name: String,
    /// The uuid in its DMI table.
    pub uuid: Uuid,
    /// The same as it was written.
    pub shown_uuid: String,
    /// The node that it is on.
    pub node: String,
    pub state: GuestState,
}

/// The most bytes of a text that is kept. Names have at most 253.
const LONGEST: usize = 1024;

/// What an object of a list is.
pub(super) enum Known {
    Node(Node),
    Machine(Machine),
    /// It lacks what it needs.
    LeftOut(LeftOut),
}

/// The kind of nodes.
const NODE: &str = "Node";

/// The kind of virtual machine instances.
const MACHINE: &str = "VirtualMachineInstance";

impl Object {
    /// Reads the JSON text of one object; fails with what is left out.
    pub(super) fn read(text: &str) -> Result<Self, LeftOut> {
        serde_json::from_str(text).map_err(|error| odd(text, &error))
    }

    /// The kind, the namespace and the name, by which events name the object.
    pub(super) fn key(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        let metadata = self.metadata.as_ref();
        (
            self.kind.as_deref(),
            metadata.and_then(|metadata| metadata.namespace.as_deref()),
            metadata.and_then(|metadata| metadata.name.as_deref()),
        )
    }

    /// The node or virtual machine instance that it is.
    pub(super) fn known(self) -> Known {
        let Object {
            kind,
            metadata,
            spec,
            status,
        } = self;
        let Metadata { name, namespace } = metadata.unwrap_or_default();
        let (name, namespace) = (text(name), text(namespace));
        let known = match (kind.as_deref(), name) {
            (Some(NODE), Some(name)) => Ok(Known::Node(node(name, status.unwrap_or_default()))),
            (Some(MACHINE), Some(name)) => machine(
                namespace.unwrap_or_default(),
                name,
                spec.unwrap_or_default(),
                status.unwrap_or_default(),
            )
            .map(Known::Machine),
            (Some(kind @ (NODE | MACHINE)), None) => Err(LeftOut {
                reason: "no metadata.name".to_owned(),
                ..nameless(kind)
            }),
            (kind, _) => Err(LeftOut {
                reason: format!(
                    "its kind {:?} is neither {NODE} nor {MACHINE}",
                    kind.unwrap_or_default()
                ),
                ..nameless(MACHINE)
            }),
        };
        known.unwrap_or_else(Known::LeftOut)
    }
}

impl Machine {
    /// The namespace and the name, by which people and Kubernetes name it: `default/web1`.
    pub(super) fn id(&self) -> String {
        id(&self.namespace, &self.name)
    }
}

fn id(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn node(name: String, status: Status) -> Node {
    let info = status.node_info.unwrap_or_default();
    let addresses = status.addresses.unwrap_or_default();
    let hostname = addresses
        .into_iter()
        .find(|address| address.r#type.as_deref() == Some("Hostname"));
    Node {
        name,
        machine_id: text(info.machine_id),
        hostname: text(hostname.and_then(|hostname| hostname.address)),
        cpu: text(status.allocatable.unwrap_or_default().cpu),
        kubelet_version: text(info.kubelet_version),
    }
}

fn machine(namespace: String, name: String, spec: Spec, status: Status) -> Result<Machine, LeftOut> {
    let without = |reason: String| LeftOut {
        kind: LeftOut::GUEST.into(),
        id: Some(id(&namespace, &name)),
        name: Some(name.clone()),
        reason,
    };
    let state = state(&status);
    let phase = status.phase.as_deref().filter(|phase| !phase.is_empty());
    let Some(node) = text(status.node_name) else {
        return Err(without(match phase {
            Some(phase) => format!("not on a node (phase {phase})"),
            None => "not on a node".to_owned(),
        }));
    };
    let firmware = spec.domain.unwrap_or_default().firmware.unwrap_or_default();
    let Some(shown_uuid) = text(firmware.uuid) else {
        return Err(without("no spec.domain.firmware.uuid".to_owned()));
    };
    let uuid = match Uuid::try_parse(&shown_uuid) {
        Ok(uuid) if uuid.is_nil() => Err("is all zeros"),
        Ok(uuid) => Ok(uuid),
        Err(_) => Err("is not a uuid"),
    };
    match uuid {
        Ok(uuid) => Ok(Machine {
            namespace,
            name,
            uuid,
            shown_uuid,
            node,
            state,
        }),
        Err(why) => Err(without(format!("spec.domain.firmware.uuid {shown_uuid:?} {why}"))),
    }
}

/// The state of a virtual machine instance. The phases are those of KubeVirt's API; which state they mean is our decision, because
/// virt-who reports each as running.
fn state(status: &Status) -> GuestState {
    let is_paused = |condition: &Condition| {
        condition.r#type.as_deref() == Some("Paused") && condition.status.as_deref() == Some("True")
    };
    let mut conditions = status.conditions.iter().flatten();
    match status.phase.as_deref() {
        Some("Running") if conditions.any(is_paused) => GuestState::Paused,
        Some("Running") => GuestState::Running,
        Some("Succeeded") => GuestState::ShutOff,
        Some("Failed") => GuestState::Crashed,
        // Pending, Scheduling, Scheduled, Unknown, WaitingForSync and later ones.
        _ => GuestState::None,
    }
}

/// A text that is not empty. One that is longer than Kubernetes allows counts as missing.
fn text(text: Option<String>) -> Option<String> {
    text.filter(|text| (1..=LONGEST).contains(&text.len()))
}

fn nameless(kind: &str) -> LeftOut {
    let kind = match kind {
        NODE => LeftOut::HOST,
        _ => LeftOut::GUEST,
    };
    LeftOut {
        kind: kind.into(),
        ..LeftOut::default()
    }
}

/// What is left out because a member that is needed has another type. As much of its name as can be read is kept.
fn odd(text: &str, error: &serde_json::Error) -> LeftOut {
    #[derive(Default, Deserialize)]
    struct Named {
        kind: String,
        metadata: NamedMetadata,
    }
    #[derive(Default, Deserialize)]
    struct NamedMetadata {
        name: String,
        namespace: Option<String>,
    }
    // The place is one in the text of the object, which nobody sees.
    let reason = error.to_string();
    let reason = reason.split(" at line ").next().unwrap_or_default();
    let Ok(Named { kind, metadata }) = serde_json::from_str(text) else {
        return LeftOut {
            reason: reason.to_owned(),
            ..nameless(MACHINE)
        };
    };
    let NamedMetadata { name, namespace } = metadata;
    LeftOut {
        id: Some(match &namespace {
            Some(namespace) => id(namespace, &name),
            None => name.clone(),
        }),
        name: Some(name),
        reason: reason.to_owned(),
        ..nameless(&kind)
    }
}
