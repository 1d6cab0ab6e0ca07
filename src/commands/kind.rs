//! The types of sources that have a scan, and what a section of each type needs.

use std::fmt::Write as _;

use crate::config::{self, Section};
use crate::http::{self, Base};
use crate::mapping::HypervisorId::{self, Hostname, Hwuuid, Uuid};

/// A type of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// virt-who's name of the type, also in the name of the command: `vw-scan-NAME`.
    pub name: &'static str,
    /// The ids that its hosts have. The first is the default.
    pub ids: &'static [HypervisorId],
    /// Where its servers listen, if the scan speaks HTTP with them itself.
    pub service: Option<Service>,
}

/// Where the servers of a type listen, and what a login needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Service {
    /// The port, unless the server's address has a port or a scheme.
    pub port: u16,
    /// The path, unless the address has one.
    pub path: &'static str,
    /// The variable of the environment that may hold the password.
    pub password: &'static str,
}

/// `vw-scan-libvirt`.
pub(crate) const LIBVIRT: Kind = Kind {
    name: "libvirt",
    ids: &[Uuid, Hostname],
    service: None,
};

/// `vw-scan-kubevirt`.
pub(crate) const KUBEVIRT: Kind = Kind {
    name: "kubevirt",
    ids: &[Uuid, Hostname],
    service: None,
};

/// `vw-scan-xen`.
pub(crate) const XEN: Kind = Kind {
    name: "xen",
    ids: &[Uuid, Hostname],
    service: Some(Service {
        port: 443,
        path: "",
        password: "VIRTWHO_XEN_PASSWORD",
    }),
};

/// `vw-scan-ahv`.
pub(crate) const AHV: Kind = Kind {
    name: "ahv",
    ids: &[Uuid, Hostname],
    service: Some(Service {
        port: 9440,
        // It depends on which of Prism's two APIs is used.
        path: "",
        password: "VIRTWHO_AHV_PASSWORD",
    }),
};

/// `vw-scan-rhevm`.
pub(crate) const RHEVM: Kind = Kind {
    name: "rhevm",
    ids: &[Uuid, Hostname, Hwuuid],
    service: Some(Service {
        // virt-who's port is 8443, that of RHEV 3.0, whose API was another one.
        port: 443,
        path: "/ovirt-engine/api",
        password: "VIRTWHO_RHEVM_PASSWORD",
    }),
};

/// The types whose scans share their settings: all but esx, whose addresses may be libvirt's URIs, and fake, which has no server.
const KINDS: [Kind; 5] = [LIBVIRT, KUBEVIRT, XEN, AHV, RHEVM];

/// Types of virt-who that have no scan yet, and why.
const LATER: [(&str, &str); 1] = [(
    "hyperv",
    "a scan of Hyper-V comes later, because its protocol, WS-Management, needs a server to test against",
)];

/// Why a type of virt-who has no scan yet. A program of that name in PATH can scan it nevertheless.
pub(crate) fn comes_later(name: &str) -> Option<&'static str> {
    LATER
        .iter()
        .find(|(later, _)| *later == name)
        .map(|(_, reason)| *reason)
}

impl Kind {
    /// Whether the section names no server although its type is this one, so that its guests are this machine's own. Only libvirt
    /// needs no server.
    pub(crate) fn is_local(&self, section: &Section) -> bool {
        section.source_type().is_ok_and(|kind| kind == self.name) && !section.has("server")
    }

    /// The type with this name.
    pub(crate) fn of(name: &str) -> Option<Kind> {
        KINDS.into_iter().find(|kind| kind.name == name)
    }
}

impl Service {
    /// Reads a server's address as people write it.
    pub(crate) fn parse(&self, address: &str) -> Result<Base, http::Error> {
        Base::parse(address, self.port, self.path)
    }

    /// The server that the section names.
    pub(crate) fn base(&self, section: &Section) -> Result<Base, config::Error> {
        let parsed = self.parse(&section.need("server")?);
        parsed.map_err(|error| section.wrong("server", &error.to_string()))
    }
}

/// Such as `uuid, hostname or hwuuid`.
pub(super) fn alternatives(ids: &[HypervisorId]) -> String {
    let mut words = String::new();
    for (at, id) in ids.iter().enumerate() {
        let between = match at {
            0 => "",
            _ if at + 1 == ids.len() => " or ",
            _ => ", ",
        };
        // Writing to a string can't fail.
        let _ = write!(words, "{between}{id}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_words() {
        assert_eq!(alternatives(RHEVM.ids), "uuid, hostname or hwuuid");
        assert_eq!(alternatives(XEN.ids), "uuid or hostname");
    }

    #[test]
    fn a_type_is_found_by_its_name() {
        for kind in KINDS {
            assert_eq!(Kind::of(kind.name), Some(kind));
        }
        assert_eq!(Kind::of("esx"), None);
    }
}
