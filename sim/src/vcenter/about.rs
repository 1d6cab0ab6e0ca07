//! What the server says about itself, and the versions of its API.

use super::inventory::Kind;
use super::object::uuid;

/// Versions of vim25 as servers publish them, newest first.
const VERSIONS: [&str; 15] = [
    "9.0.0.0", "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.0", "7.0", "6.7.3", "6.7", "6.5", "6.0",
    "5.5", "5.1", "5.0", "4.1",
];

pub(super) struct About {
    kind: Kind,
    pub(super) names: Names,
    versions: &'static [&'static str],
}

impl About {
    /// A server whose newest version of the API is this one; `None` if the version is unknown.
    pub(super) fn new(kind: Kind, api_version: &str) -> Option<Self> {
        let place = VERSIONS.iter().position(|version| *version == api_version)?;
        Some(About {
            kind,
            names: Names::of(kind),
            versions: &VERSIONS[place..],
        })
    }

    /// Whether a SOAPAction names one of the server's versions, or none, which means the oldest.
    pub(super) fn speaks(&self, action: &str) -> bool {
        match action.strip_prefix("urn:vim25/") {
            Some(version) => self.versions.contains(&version),
            None => matches!(action, "" | "urn:vim25"),
        }
    }

    pub(super) fn instance_uuid(&self) -> Option<String> {
        (self.kind == Kind::VirtualCenter).then(|| uuid("vw-sim"))
    }

    pub(super) fn welcome(&self) -> &'static str {
        self.name().0
    }

    /// Name, product line and API type.
    fn name(&self) -> (&'static str, &'static str, &'static str) {
        match self.kind {
            Kind::VirtualCenter => ("VMware vCenter Server", "vpx", "VirtualCenter"),
            Kind::HostAgent => ("VMware ESXi", "embeddedEsx", "HostAgent"),
        }
    }

    pub(super) fn service_content(&self, root: &str) -> String {
        let (name, line, api) = self.name();
        let version = self.versions[0];
        let product = version.get(..5).unwrap_or(version);
        let Names {
            property_collector,
            session_manager,
            view_manager,
        } = self.names;
        let instance = match self.instance_uuid() {
            Some(uuid) => format!("<instanceUuid>{uuid}</instanceUuid>"),
            None => String::new(),
        };
        format!(
            "<returnval><rootFolder type=\"Folder\">{root}</rootFolder>\
             <propertyCollector type=\"PropertyCollector\">{property_collector}</propertyCollector>\
             <viewManager type=\"ViewManager\">{view_manager}</viewManager>\
             <about><name>{name}</name><fullName>{name} {product} build-1 (vw-sim)</fullName><vendor>VMware, Inc.</vendor>\
             <version>{product}</version><build>1</build><localeVersion>INTL</localeVersion><localeBuild>000</localeBuild>\
             <osType>linux-x64</osType><productLineId>{line}</productLineId><apiType>{api}</apiType>\
             <apiVersion>{version}</apiVersion>{instance}</about>\
             <sessionManager type=\"SessionManager\">{session_manager}</sessionManager></returnval>"
        )
    }

    /// `/sdk/vimServiceVersions.xml`.
    pub(super) fn service_versions(&self) -> String {
        let prior = self.versions[1..].iter();
        let prior: String = prior.map(|v| format!("   <version>{v}</version>\n")).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<namespaces version=\"1.0\">\n <namespace>\n  <name>urn:vim25</name>\n  \
             <version>{}</version>\n  <priorVersions>\n{prior}  </priorVersions>\n </namespace>\n</namespaces>\n",
            self.versions[0]
        )
    }
}

/// The ids of the objects that serve the API itself.
pub(super) struct Names {
    pub(super) property_collector: &'static str,
    pub(super) session_manager: &'static str,
    pub(super) view_manager: &'static str,
}

impl Names {
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::VirtualCenter => Names {
                property_collector: "propertyCollector",
                session_manager: "SessionManager",
                view_manager: "ViewManager",
            },
            Kind::HostAgent => Names {
                property_collector: "ha-property-collector",
                session_manager: "ha-sessionmgr",
                view_manager: "ViewManager",
            },
        }
    }
}
