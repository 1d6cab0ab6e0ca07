//! The source of a section.

use super::{Check, Surroundings};
use crate::cli::args;
use crate::commands::kind::{AHV, KUBEVIRT, Kind, LIBVIRT, comes_later};
use crate::commands::scan::{ALL_IDS, hypervisor_id};
use crate::commands::vsphere::address_problem;
use crate::commands::way;
use crate::config::{Error, Section, did_you_mean};
use crate::mapping::HypervisorId;
use crate::systems::vsphere::Address;

/// All types of sources that any version of virt-who has.
const TYPES: [&str; 9] = [
    "esx", "fake", "libvirt", "hyperv", "kubevirt", "ahv", "xen", "rhevm", "vdsm",
];

impl Check {
    /// The type of the source, and what a scan of that type needs.
    pub(super) fn source(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let Some(kind) = self.ok(section.source_type()) else {
            return;
        };
        let scan = format!("vw-scan-{kind}");
        let before = self.errors;
        if kind != "fake" {
            // What concerns a cluster's server is in the kubeconfig.
            if kind != KUBEVIRT.name {
                self.connection(section, &args::Keys::SOURCE);
            }
            if section.has("is_hypervisor") {
                self.warn(
                    section,
                    "is_hypervisor",
                    "is ignored, because the type is not fake",
                );
            }
        }
        match kind.as_str() {
            "esx" => {
                self.esx(section);
                if self.errors == before
                    && let Some(Some(server)) = self.ok(section.text("server"))
                    && let Ok(address) = Address::parse(&server)
                {
                    let endpoint = way::source(&args::Connection::default(), section, &address, false);
                    self.way(section, "server", endpoint);
                }
            }
            "fake" => {
                if let Some(file) = self.ok(section.need("file"))
                    && let Err(error) = std::fs::File::open(&file)
                {
                    self.fail(section, "file", &format!("{file} can't be read: {error}"));
                }
                self.ok(section.is_local());
            }
            known if (surroundings.has_command)(&scan) => {
                if let Some(kind) = Kind::of(known) {
                    self.known(section, &kind);
                }
            }
            _ if !section.has("type") => {
                let reason = "is missing, which means libvirt, and there is no command vw-scan-libvirt in PATH; set it to esx";
                self.fail(section, "type", reason);
            }
            kind => {
                let reason = match (comes_later(kind), TYPES.contains(&kind)) {
                    (Some(reason), _) => {
                        format!(
                            "{kind} is not supported: {reason}; vw(7) shows how a program of your own can read it"
                        )
                    }
                    (None, true) => format!("{kind} is not supported: there is no command {scan} in PATH"),
                    (None, false) => format!(
                        "'{kind}' is an unknown type{}, and there is no command {scan} in PATH",
                        did_you_mean(kind, TYPES)
                    ),
                };
                self.fail(section, "type", &reason);
            }
        }
    }

    fn esx(&mut self, section: &Section) {
        let (mut username, mut has_password) = (None, false);
        if let Some(server) = self.ok(section.need("server")) {
            match Address::parse(&server) {
                Ok(address) => {
                    username = address.username;
                    has_password = address.password.is_some();
                }
                Err(error) => self.fail(section, "server", &address_problem(&error)),
            }
        }
        if username.is_none() {
            self.ok(section.need("username"));
        }
        if !has_password {
            self.password(section, "password", "scan");
        }
        self.hypervisor_id(section, ALL_IDS);
    }

    /// What a scan of this type needs.
    fn known(&mut self, section: &Section, kind: &Kind) {
        let before = self.errors;
        if let Some(service) = kind.service {
            let base = self.ok(service.base(section));
            self.ok(section.need("username"));
            self.password(section, "password", "scan");
            if let (Some(base), true) = (base, self.errors == before) {
                let endpoint = way::https_source(&args::Connection::default(), section, base);
                self.way(section, "server", endpoint);
            }
        }
        match *kind {
            LIBVIRT => self.libvirt(section),
            KUBEVIRT => self.kubevirt(section),
            AHV => self.ahv(section),
            _ => {}
        }
        self.hypervisor_id(section, kind.ids);
    }

    fn ahv(&mut self, section: &Section) {
        self.ok(section.flag("prism_central"));
        if section.has("ahv_internal_debug") {
            let reason = "has no meaning here; use -d, or --trace DIR, which saves each exchange";
            self.warn(section, "ahv_internal_debug", reason);
        }
    }

    fn hypervisor_id(&mut self, section: &Section, allowed: &[HypervisorId]) {
        let id = hypervisor_id(None, section, allowed);
        if let Err(Ok(error)) = id.map_err(|error| error.downcast::<Error>()) {
            self.ok::<()>(Err(error));
        }
    }

    /// Warns about patterns that match nothing, because they look like another kind of id.
    pub(super) fn patterns(&mut self, section: &Section) {
        let ids = section.text("hypervisor_id").ok().flatten();
        let ids = ids.unwrap_or_else(|| "uuid".to_owned());
        for key in ["filter_hosts", "exclude_hosts"] {
            for pattern in section.list(key).ok().flatten().unwrap_or_default() {
                let is_uuid = uuid::Uuid::parse_str(&pattern).is_ok();
                let is_plain = pattern
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
                let reason = match ids.as_str() {
                    "hostname" | "hwuuid" if is_uuid => {
                        format!("'{pattern}' is a uuid, but the ids are by {ids}")
                    }
                    "uuid" if is_plain && !is_uuid => {
                        format!(
                            "'{pattern}' is not a uuid, but the ids are uuids; set hypervisor_id, or use --match-names"
                        )
                    }
                    _ => continue,
                };
                self.warn(section, key, &format!("{reason}: it matches nothing"));
            }
        }
    }
}
