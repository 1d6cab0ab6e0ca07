//! A host of an inventory, and how it becomes a hypervisor.

use std::fmt::Write as _;
use std::ops::Range;

use super::vms::VANISHED;
use super::{decode, missing};
use crate::mapping::{Hypervisor, HypervisorId, Members, Parent};
use crate::systems::vsphere::ManagedObject;
use crate::systems::vsphere::property::Object;

/// A host as the server describes it; an empty text counts as missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    /// The managed object id.
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// The range of its virtual machines in the list of all hosts' virtual machines.
    pub(super) vms: Range<usize>,
    /// The cluster or other compute resource that contains it.
    pub(super) parent: Option<ManagedObject>,
    uuid: Option<String>,
    sockets: Option<String>,
    product_name: Option<String>,
    product_version: Option<String>,
    dns_name: Option<String>,
    /// The fault that came instead of the uuid or the DNS name.
    uuid_fault: Option<String>,
    dns_fault: Option<String>,
    /// Whether it was deleted while the server read its properties.
    is_gone: bool,
}

impl Host {
    pub(super) fn new(object: &Object, vms: Range<usize>) -> Self {
        let text = |path| {
            object
                .text(path)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let fault = |path| object.fault_of(path).map(str::to_owned);
        let host_name = text("config.network.dnsConfig.hostName");
        let domain_name = text("config.network.dnsConfig.domainName");
        Host {
            id: object.id.clone(),
            name: text("name").map(|name| decode(&name)),
            vms,
            parent: parent(object),
            uuid: text("hardware.systemInfo.uuid"),
            sockets: text("hardware.cpuInfo.numCpuPackages"),
            product_name: text("config.product.name"),
            product_version: text("config.product.version"),
            dns_name: host_name.map(|host| qualified(host, domain_name.as_deref())),
            uuid_fault: fault("hardware.systemInfo.uuid"),
            dns_fault: fault("config.network.dnsConfig.hostName"),
            is_gone: object.is_gone(),
        }
    }

    /// Its id as a hypervisor, or why it has none.
    pub(super) fn hypervisor_id(&self, id: HypervisorId) -> Result<&str, String> {
        if self.is_gone {
            return Err(VANISHED.to_owned());
        }
        let (value, path, fault) = match id {
            HypervisorId::Hwuuid => return Ok(&self.id),
            HypervisorId::Uuid => (&self.uuid, "hardware.systemInfo.uuid", &self.uuid_fault),
            HypervisorId::Hostname => (
                &self.dns_name,
                "config.network.dnsConfig.hostName",
                &self.dns_fault,
            ),
        };
        value.as_deref().ok_or_else(|| missing(path, fault.as_deref()))
    }

    /// The DNS name, or the name in the inventory, which is what the host was added by.
    pub(super) fn display_name(&self) -> Option<&str> {
        self.dns_name.as_deref().or(self.name.as_deref())
    }

    /// The hypervisor, without its guests.
    pub(super) fn hypervisor(&self, id: &str, cluster: Option<&str>) -> Hypervisor {
        Hypervisor {
            name: self.display_name().map(str::to_owned),
            facts: self.facts(cluster),
            parent: self.parent.as_ref().map(|parent| Parent {
                id: Some(parent.id.clone()),
                kind: Some(parent.kind.clone()),
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
            self.product_name.as_deref().unwrap_or("vmware"),
        );
        let others = [
            ("cpu.cpu_socket(s)", self.sockets.as_deref()),
            ("hypervisor.version", self.product_version.as_deref()),
            ("dmi.system.uuid", self.uuid.as_deref()),
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

/// The cluster or other compute resource that contains the host.
pub(super) fn parent(object: &Object) -> Option<ManagedObject> {
    let (kind, id) = object.references("parent").next()?;
    Some(ManagedObject {
        kind: kind.into(),
        id: id.into(),
    })
}

/// The host's name with its domain. Some administrators have entered the domain in both fields.
pub(super) fn qualified(mut host: String, domain: Option<&str>) -> String {
    let Some(domain) = domain else { return host };
    let (lower_host, lower_domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let has_domain = lower_host
        .strip_suffix(&lower_domain)
        .is_some_and(|rest| rest.ends_with('.'));
    if !has_domain {
        let _ = write!(host, ".{domain}");
    }
    host
}
