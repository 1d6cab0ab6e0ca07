//! What a scan needs of a cluster, a host and a virtual machine, and how each of the two APIs spells it.
//!
//! The members are those of Nutanix's API reference for v2.0 and v3. Whatever is missing or odd is `None`.

use serde::Deserialize;

use super::lenient::{Elements, Object, Text};
use crate::mapping::GuestState;

/// The most elements of a list within a record.
const MOST: usize = 10_000;

/// A cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) uuid: Option<String>,
    pub(super) name: Option<String>,
    /// The version of its software (AOS, or that of Prism Central).
    pub(super) version: Option<String>,
    /// Whether it is Prism Central itself, which is in its own list of clusters.
    pub(super) is_central: bool,
    /// The types of its hosts' hypervisors, each once, as far as it lists them.
    pub(super) hypervisors: Vec<String>,
}

/// A host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) uuid: Option<String>,
    pub(super) name: Option<String>,
    /// The number of its CPU sockets.
    pub(super) sockets: Option<String>,
    /// The type of its hypervisor, such as `kKvm`. v3 does not tell it.
    pub(super) hypervisor: Option<String>,
    /// Product and version, such as `Nutanix 20220304.480`.
    pub(super) version: Option<String>,
    /// The uuid of its cluster.
    pub(super) cluster: Option<String>,
}

/// A virtual machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) uuid: Option<String>,
    pub(super) name: Option<String>,
    /// `on`, `off`, …; upper case in v3.
    pub(super) power: Option<String>,
    /// The uuid of the host on which it is.
    pub(super) host: Option<String>,
}

impl Machine {
    /// Its state. `None` if it has none.
    pub(super) fn state(&self) -> Option<GuestState> {
        let power = self.power.as_ref()?.to_ascii_lowercase();
        Some(match &*power {
            "on" => GuestState::Running,
            "off" => GuestState::ShutOff,
            "paused" | "suspended" => GuestState::Paused,
            _ => GuestState::None,
        })
    }
}

/// A record with a uuid of its own.
pub(super) trait Identified {
    fn uuid(&self) -> Option<&str>;

    /// The texts that are kept of it.
    fn texts(&self) -> impl Iterator<Item = &String>;
}

impl Identified for Cluster {
    fn uuid(&self) -> Option<&str> {
        self.uuid.as_deref()
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let texts = [&self.uuid, &self.name, &self.version];
        texts.into_iter().flatten().chain(&self.hypervisors)
    }
}

impl Identified for Host {
    fn uuid(&self) -> Option<&str> {
        self.uuid.as_deref()
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let Host {
            uuid,
            name,
            sockets,
            hypervisor,
            version,
            cluster,
        } = self;
        let texts = [uuid, name, sockets, hypervisor, version, cluster];
        texts.into_iter().flatten()
    }
}

impl Identified for Machine {
    fn uuid(&self) -> Option<&str> {
        self.uuid.as_deref()
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let texts = [&self.uuid, &self.name, &self.power, &self.host];
        texts.into_iter().flatten()
    }
}

/// The records of v2.0, Prism Element's API. One struct serves its three lists.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Element {
    uuid: Text,
    name: Text,
    version: Text,
    hypervisor_types: Elements<Text, MOST>,
    num_cpu_sockets: Text,
    hypervisor_type: Text,
    hypervisor_full_name: Text,
    cluster_uuid: Text,
    power_state: Text,
    host_uuid: Text,
}

impl From<Element> for Cluster {
    fn from(record: Element) -> Self {
        Cluster {
            uuid: record.uuid.0,
            name: record.name.0,
            version: record.version.0,
            is_central: false,
            hypervisors: each_once(record.hypervisor_types.0.into_iter()),
        }
    }
}

impl From<Element> for Host {
    fn from(record: Element) -> Self {
        Host {
            uuid: record.uuid.0,
            name: record.name.0,
            sockets: record.num_cpu_sockets.0,
            hypervisor: record.hypervisor_type.0,
            version: record.hypervisor_full_name.0,
            cluster: record.cluster_uuid.0,
        }
    }
}

impl From<Element> for Machine {
    fn from(record: Element) -> Self {
        Machine {
            uuid: record.uuid.0,
            name: record.name.0,
            power: record.power_state.0,
            host: record.host_uuid.0,
        }
    }
}

/// The records of v3, Prism Central's API: what is wished for is in `spec`, and what is in `status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Central {
    metadata: Object<Reference>,
    spec: Object<Spec>,
    status: Object<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    uuid: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    name: Text,
    cluster_reference: Object<Reference>,
    resources: Object<Resources>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    config: Object<Config>,
    nodes: Object<Nodes>,
    num_cpu_sockets: Text,
    hypervisor: Object<Hypervisor>,
    power_state: Text,
    host_reference: Object<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    build: Object<Build>,
    service_list: Elements<Text, MOST>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Build {
    version: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nodes {
    hypervisor_server_list: Elements<Object<Server>, MOST>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Server {
    #[serde(rename = "type")]
    kind: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hypervisor {
    hypervisor_full_name: Text,
}

/// The parts of a record of v3, each of which may be missing.
struct Parts {
    uuid: Option<String>,
    name: Option<String>,
    cluster: Option<String>,
    resources: Resources,
}

impl From<Central> for Parts {
    fn from(record: Central) -> Self {
        let status = record.status.or_empty();
        Parts {
            uuid: record.metadata.or_empty().uuid.0,
            name: status.name.0.or(record.spec.or_empty().name.0),
            cluster: status.cluster_reference.or_empty().uuid.0,
            resources: status.resources.or_empty(),
        }
    }
}

impl From<Central> for Cluster {
    fn from(record: Central) -> Self {
        let parts = Parts::from(record);
        let config = parts.resources.config.or_empty();
        let services = config.service_list.0;
        let servers = parts.resources.nodes.or_empty().hypervisor_server_list.0;
        Cluster {
            uuid: parts.uuid,
            name: parts.name,
            version: config.build.or_empty().version.0,
            is_central: services
                .iter()
                .any(|service| service.0.as_deref() == Some("PRISM_CENTRAL")),
            hypervisors: each_once(servers.into_iter().map(|server| server.or_empty().kind)),
        }
    }
}

/// The different texts among these.
fn each_once(texts: impl Iterator<Item = Text>) -> Vec<String> {
    let mut once: Vec<String> = texts.filter_map(|text| text.0).collect();
    once.sort_unstable();
    once.dedup();
    once
}

impl From<Central> for Host {
    fn from(record: Central) -> Self {
        let parts = Parts::from(record);
        Host {
            uuid: parts.uuid,
            name: parts.name,
            sockets: parts.resources.num_cpu_sockets.0,
            hypervisor: None,
            version: parts.resources.hypervisor.or_empty().hypervisor_full_name.0,
            cluster: parts.cluster,
        }
    }
}

impl From<Central> for Machine {
    fn from(record: Central) -> Self {
        let parts = Parts::from(record);
        Machine {
            uuid: parts.uuid,
            name: parts.name,
            power: parts.resources.power_state.0,
            host: parts.resources.host_reference.or_empty().uuid.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn element<T: From<Element>>(json: Value) -> T {
        from_value::<Element>(json).unwrap().into()
    }

    fn central<T: From<Central>>(json: Value) -> T {
        from_value::<Central>(json).unwrap().into()
    }

    #[test]
    fn both_apis_describe_the_same_host() {
        let host = Host {
            uuid: text("h"),
            name: text("node-1"),
            sockets: text("2"),
            hypervisor: text("kKvm"),
            version: text("Nutanix 20220304.480"),
            cluster: text("c"),
        };
        let v2 = element::<Host>(json!({
            "uuid": "h", "name": "node-1", "num_cpu_sockets": 2, "hypervisor_type": "kKvm", "num_vms": 4,
            "hypervisor_full_name": "Nutanix 20220304.480", "cluster_uuid": "c", "stats": {"num_io": "8"},
        }));
        assert_eq!(v2, host);
        let v3 = central::<Host>(json!({
            "metadata": {"uuid": "h", "kind": "host"}, "spec": {},
            "status": {"name": "node-1", "state": "COMPLETE", "cluster_reference": {"uuid": "c"}, "resources": {
                "num_cpu_sockets": 2, "hypervisor": {"num_vms": 4, "hypervisor_full_name": "Nutanix 20220304.480"},
            }},
        }));
        let untyped = Host {
            hypervisor: None,
            ..host
        };
        assert_eq!(v3, untyped);
    }

    #[test]
    fn both_apis_describe_the_same_machine() {
        let v2 =
            element::<Machine>(json!({"uuid": "v", "name": "web", "power_state": "on", "host_uuid": "h"}));
        let v3 = central::<Machine>(json!({
            "metadata": {"uuid": "v"},
            "status": {"name": "web", "resources": {"power_state": "ON", "host_reference": {"uuid": "h"}}},
        }));
        assert_eq!(
            (v2.state(), v3.state()),
            (Some(GuestState::Running), Some(GuestState::Running))
        );
        assert_eq!(
            v3,
            Machine {
                power: text("ON"),
                ..v2
            }
        );
    }

    #[test]
    fn both_apis_describe_the_same_cluster() {
        let v2 = element::<Cluster>(json!({
            "uuid": "c", "name": "lab", "version": "6.5.2", "hypervisor_types": ["kKvm"],
        }));
        let v3 = central::<Cluster>(json!({
            "metadata": {"uuid": "c"}, "spec": {"name": "lab"}, "status": {"resources": {
                "config": {"build": {"version": "6.5.2"}, "service_list": ["AOS"]},
                "nodes": {"hypervisor_server_list": [{"type": "kKvm", "ip": "10.0.0.1"}, {"type": "kKvm"}, 7]},
            }},
        }));
        assert_eq!(v2, v3);
        assert!(!v3.is_central);
        let own = json!({"status": {"resources": {"config": {"service_list": ["PRISM_CENTRAL"]}}}});
        assert!(central::<Cluster>(own).is_central);
    }

    #[test]
    fn states_in_any_case() {
        let state = |power: Value| element::<Machine>(json!({"power_state": power})).state();
        for (power, expected) in [
            ("on", GuestState::Running),
            ("OFF", GuestState::ShutOff),
            ("PAUSED", GuestState::Paused),
            ("suspended", GuestState::Paused),
            ("unknown", GuestState::None),
        ] {
            assert_eq!(state(power.into()), Some(expected), "{power}");
        }
        assert_eq!(state(Value::Null), None);
    }

    #[test]
    fn odd_parts_are_missing() {
        for odd in [
            json!(null),
            json!([]),
            json!("x"),
            json!(-1),
            json!({"uuid": [], "name": {}}),
        ] {
            let record = json!({"metadata": odd, "spec": odd, "status": odd});
            assert_eq!(central::<Machine>(record.clone()), Machine::default());
            assert_eq!(central::<Host>(record.clone()), Host::default());
            assert_eq!(central::<Cluster>(record), Cluster::default());
            let resources =
                json!({"status": {"resources": {"host_reference": odd, "nodes": odd, "hypervisor": odd}}});
            assert_eq!(central::<Host>(resources), Host::default());
        }
    }
}
