//! What a person wants to know of a hypervisor.

use std::fmt;

use super::{Sockets, States};
use crate::mapping::{Hypervisor, Parent};

/// A hypervisor in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id. `None` means this machine itself.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its cluster, if it is in one.
    pub cluster: Option<Cluster>,
    /// Its sockets, as far as the hypervisor itself says what is counted; see [`Host::sockets`].
    sockets: Sockets,
    /// virt-who's type of the source, which its guests have.
    kind: Option<String>,
    /// Its guests.
    pub guests: States,
}

/// A cluster of hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cluster {
    /// Its name, or its id if it has no name.
    pub name: String,
    /// Its id, which tells clusters with the same name apart.
    pub id: Option<String>,
}

impl Host {
    /// The host of a hypervisor.
    pub fn new(hypervisor: &Hypervisor) -> Self {
        let kinds = hypervisor.guests.iter();
        let kind = kinds.filter_map(|guest| guest.attributes.virt_who_type.as_deref());
        let kind = kind.map(str::to_owned).next();
        Host {
            id: hypervisor.id.clone(),
            name: hypervisor.name.clone(),
            cluster: cluster(hypervisor),
            sockets: Sockets::of(&hypervisor.facts).from_source(kind.as_deref()),
            kind,
            guests: States::of(&hypervisor.guests),
        }
    }

    /// The sockets, in a document from a source of this type. Guests know the type too, but not every host has guests, and a
    /// document names its source after its hypervisors.
    pub fn sockets(&self, source: Option<&str>) -> Sockets {
        match self.kind {
            Some(_) => self.sockets,
            None => self.sockets.from_source(source),
        }
    }

    /// The name, otherwise the id.
    pub fn label(&self) -> &str {
        let label = self.name.as_deref().or(self.id.as_deref());
        label.unwrap_or("this machine")
    }

    /// Whether the host says itself what its fact counts.
    pub fn knows_its_source(&self) -> bool {
        self.kind.is_some() || self.sockets == Sockets::Unknown
    }
}

/// The cluster by the fact, which every layout has, or by the parent, unless that is a host outside clusters.
fn cluster(hypervisor: &Hypervisor) -> Option<Cluster> {
    let is_cluster = |parent: &&Parent| parent.kind.as_deref() == Some("ClusterComputeResource");
    let parent = hypervisor.parent.as_ref().filter(is_cluster);
    let id = parent.and_then(|parent| parent.id.clone());
    let fact = hypervisor.facts.text("hypervisor.cluster");
    let name = fact.filter(|name| !name.is_empty());
    let name = name.or_else(|| parent.and_then(|parent| parent.name.as_deref()));
    let name = name.map(str::to_owned).or_else(|| id.clone())?;
    Some(Cluster { name, id })
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn host(members: &str) -> Host {
        let text = format!(r#"{{"hypervisors":[{{"uuid":"a",{members}}}]}}"#);
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        Host::new(&mapping.hypervisors[0])
    }

    #[test]
    fn the_cluster_is_in_a_fact_or_the_parent() {
        let cluster = |members: &str| host(members).cluster.map(|cluster| cluster.name);
        let fact = r#""guests":[],"facts":{"hypervisor.cluster":"F"}"#;
        assert_eq!(cluster(fact).as_deref(), Some("F"));
        let parent = r#""guests":[],"parent":{"type":"ClusterComputeResource","id":"domain-c7","name":"P"}"#;
        assert_eq!(cluster(parent).as_deref(), Some("P"));
        let nameless = r#""guests":[],"parent":{"type":"ClusterComputeResource","id":"domain-c7"}"#;
        assert_eq!(cluster(nameless).as_deref(), Some("domain-c7"));
        let alone = r#""guests":[],"parent":{"type":"ComputeResource","id":"domain-s9","name":"esx1"}"#;
        assert_eq!(cluster(alone), None);
    }

    #[test]
    fn the_guests_or_else_the_document_say_what_the_fact_counts() {
        let fact = r#""facts":{"cpu.cpu_socket(s)":"8"}"#;
        let of = |kind: &str| {
            let guests = format!(r#"[{{"guestId":"g","state":1,"attributes":{{"virtWhoType":"{kind}"}}}}]"#);
            host(&format!(r#""guests":{guests},{fact}"#))
        };
        assert_eq!(of("kubevirt").sockets(None), Sockets::Cpus(8));
        assert_eq!(of("esx").sockets(Some("kubevirt")), Sockets::Known(8));
        let empty = host(&format!(r#""guests":[],{fact}"#));
        assert_eq!(empty.sockets(Some("kubevirt")), Sockets::Cpus(8));
        assert_eq!(empty.sockets(None), Sockets::Known(8));
    }
}
