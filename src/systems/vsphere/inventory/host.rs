//! A host of an inventory, and how it becomes a hypervisor.

use std::fmt::Write as _;

use super::texts::Texts;
use super::vms::VANISHED;
use super::{CLUSTER, decode, missing};
use crate::mapping::{Hypervisor, HypervisorId, Members, Parent};
use crate::systems::vsphere::property::Object;

/// A host as the server describes it; an empty text counts as missing.
#[derive(Debug, Clone)]
pub(super) struct Host {
    texts: Texts<{ Text::ALL.len() }>,
    /// Whether it was deleted while the server read its properties.
    is_gone: bool,
}

/// What a host's texts are.
#[derive(Clone, Copy)]
enum Text {
    /// The managed object id.
    Id,
    Name,
    /// The type of the cluster or other compute resource that contains it.
    ParentKind,
    /// The managed object id of the same.
    Parent,
    Uuid,
    Sockets,
    ProductName,
    ProductVersion,
    DnsName,
    /// The fault that came instead of the uuid.
    UuidFault,
    /// The fault that came instead of the DNS name.
    DnsFault,
}

impl Text {
    const ALL: [Text; 11] = [
        Text::Id,
        Text::Name,
        Text::ParentKind,
        Text::Parent,
        Text::Uuid,
        Text::Sockets,
        Text::ProductName,
        Text::ProductVersion,
        Text::DnsName,
        Text::UuidFault,
        Text::DnsFault,
    ];
}

const UUID: &str = "hardware.systemInfo.uuid";
const DNS_NAME: &str = "config.network.dnsConfig.hostName";

impl Host {
    pub(super) fn new(object: &Object) -> Self {
        let text = |path| object.text(path).unwrap_or_default();
        let fault = |path| object.fault_of(path).unwrap_or_default();
        let name = decode(text("name"));
        let dns_name = qualified(text(DNS_NAME), text("config.network.dnsConfig.domainName"));
        let (parent_kind, parent) = parent(object);
        let texts = Text::ALL.map(|which| match which {
            Text::Id => &object.id,
            Text::Name => &name,
            Text::ParentKind => parent_kind,
            Text::Parent => parent,
            Text::Uuid => text(UUID),
            Text::Sockets => text("hardware.cpuInfo.numCpuPackages"),
            Text::ProductName => text("config.product.name"),
            Text::ProductVersion => text("config.product.version"),
            Text::DnsName => &dns_name,
            Text::UuidFault => fault(UUID),
            Text::DnsFault => fault(DNS_NAME),
        });
        Host {
            texts: Texts::new(texts),
            is_gone: object.is_gone(),
        }
    }

    /// Takes another name from the object.
    pub(super) fn rename(&mut self, object: &Object) {
        let name = decode(object.text("name").unwrap_or_default());
        self.texts.set(Text::Name as usize, &name);
    }

    /// Takes another parent from the object.
    pub(super) fn move_to_parent(&mut self, object: &Object) {
        let (kind, id) = parent(object);
        self.texts.set(Text::ParentKind as usize, kind);
        self.texts.set(Text::Parent as usize, id);
    }

    fn text(&self, which: Text) -> Option<&str> {
        Some(self.texts.get(which as usize)).filter(|text| !text.is_empty())
    }

    /// The managed object id.
    pub(super) fn id(&self) -> &str {
        self.texts.get(Text::Id as usize)
    }

    /// The managed object id of the cluster that contains it.
    pub(super) fn cluster(&self) -> Option<&str> {
        match self.text(Text::ParentKind) {
            Some(CLUSTER) => self.text(Text::Parent),
            _ => None,
        }
    }

    /// Its id as a hypervisor, or why it has none.
    pub(super) fn hypervisor_id(&self, id: HypervisorId) -> Result<&str, String> {
        if self.is_gone {
            return Err(VANISHED.to_owned());
        }
        let (value, path, fault) = match id {
            HypervisorId::Hwuuid => return Ok(self.id()),
            HypervisorId::Uuid => (Text::Uuid, UUID, Text::UuidFault),
            HypervisorId::Hostname => (Text::DnsName, DNS_NAME, Text::DnsFault),
        };
        self.text(value).ok_or_else(|| missing(path, self.text(fault)))
    }

    /// The DNS name, or the name in the inventory, which is what the host was added by.
    pub(super) fn display_name(&self) -> Option<&str> {
        self.text(Text::DnsName).or(self.text(Text::Name))
    }

    /// The name for messages, otherwise the managed object id.
    pub(super) fn label(&self) -> &str {
        self.display_name().unwrap_or(self.id())
    }

    /// The hypervisor, without its guests.
    pub(super) fn hypervisor(&self, id: &str, cluster: Option<&str>) -> Hypervisor {
        Hypervisor {
            name: self.display_name().map(str::to_owned),
            facts: self.facts(cluster),
            parent: self.text(Text::Parent).map(|parent| Parent {
                id: Some(parent.to_owned()),
                kind: self.text(Text::ParentKind).map(str::to_owned),
                name: cluster.map(str::to_owned),
                ..Parent::default()
            }),
            ..Hypervisor::new(id)
        }
    }

    /// The facts for the subscription service, under virt-who's names.
    fn facts(&self, cluster: Option<&str>) -> Members {
        let mut facts = Members::new();
        facts.set(
            "hypervisor.type",
            self.text(Text::ProductName).unwrap_or("vmware"),
        );
        let others = [
            ("cpu.cpu_socket(s)", self.text(Text::Sockets)),
            ("hypervisor.version", self.text(Text::ProductVersion)),
            ("dmi.system.uuid", self.text(Text::Uuid)),
            ("hypervisor.cluster", cluster),
        ];
        for (name, value) in others {
            if let Some(value) = value {
                facts.set(name, value);
            }
        }
        facts
    }
}

/// The type and id of the cluster or other compute resource that contains the host.
fn parent(object: &Object) -> (&str, &str) {
    object.references("parent").next().unwrap_or_default()
}

/// The host's name with its domain. Some administrators have entered the domain in both fields.
pub(super) fn qualified(host: &str, domain: &str) -> String {
    let mut name = host.to_owned();
    let (lower_host, lower_domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let has_domain = lower_host
        .strip_suffix(&lower_domain)
        .is_some_and(|rest| rest.ends_with('.'));
    if !host.is_empty() && !domain.is_empty() && !has_domain {
        let _ = write!(name, ".{domain}");
    }
    name
}
