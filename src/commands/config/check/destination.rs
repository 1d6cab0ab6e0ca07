//! The destination of a section.

use super::same_server::name_of;
use super::{Check, Surroundings};
use crate::cli::args;
use crate::commands::kind::LIBVIRT;
use crate::commands::{rhsm, way};
use crate::config::effective::{EffectiveKey, Origin};
use crate::config::{Note, Rhsm, Section};
use crate::systems::satellite5;

/// Keys whose empty value has a meaning, and the warning that says which.
const EMPTY_PROXY: [(&str, &str); 2] = [
    (
        "rhsm_proxy_hostname",
        "is empty, so Candlepin is reached without a proxy; remove the line to use the proxy of rhsm.conf or the environment",
    ),
    (
        "rhsm_proxy_user",
        "is empty, so the proxy gets no user name and password; remove the line to use those of rhsm.conf",
    ),
];

impl Check {
    /// What a report needs: to Satellite 5 if the section has `sat_server`, else to Candlepin.
    pub(super) fn destination(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        if section.has("sat_server") {
            self.satellite5(section);
        } else if section.source_type().is_ok_and(|kind| kind == "fake") && !section.has("owner") {
            self.warn(
                section,
                "owner",
                "is missing, so it can't be reported to Candlepin",
            );
        } else {
            self.candlepin(section, surroundings);
        }
    }

    fn satellite5(&mut self, section: &Section) {
        if let Some(server) = self.ok(section.need("sat_server")) {
            let before = self.errors;
            self.connection(section, &args::Keys::SATELLITE5);
            match satellite5::base(&server) {
                Err(error) => self.fail(section, "sat_server", &error.to_string()),
                Ok(base) if self.errors == before => {
                    let endpoint = way::satellite5(&args::Connection::default(), section, base);
                    self.way(section, "sat_server", endpoint);
                }
                Ok(_) => {}
            }
        }
        self.ok(section.need("sat_username"));
        self.password(section, "sat_password", "report");
    }

    fn candlepin(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        if !LIBVIRT.is_local(section) {
            self.ok(rhsm::owner(section));
        }
        let before = self.errors;
        for (key, reason) in EMPTY_PROXY {
            if section.has(key) && !section.is_set(key) {
                self.warn(section, key, reason);
            }
        }
        self.connection(section, &args::Keys::CANDLEPIN);
        let Some(rhsm) = self.ok(Rhsm::load(surroundings.rhsm_conf, section)) else {
            return;
        };
        if rhsm.insecure {
            self.insecure_rhsm(section, surroundings);
        }
        if self.errors > before {
            return;
        }
        let endpoint = rhsm::endpoint(&rhsm, section, None, &args::Connection::default());
        self.way(section, "rhsm_hostname", endpoint);
        let certificate = rhsm::certificate(&rhsm);
        if rhsm.username.is_some() {
            self.password(section, "rhsm_password", "report");
        } else if !certificate.exists() {
            self.unregistered
                .entry(certificate)
                .or_default()
                .push(name_of(section));
        }
    }

    /// Warns if rhsm.conf turns off the verification of the server's certificate.
    fn insecure_rhsm(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let keys = Rhsm::effective_keys(surroundings.rhsm_conf, section).unwrap_or_default();
        let insecure = |key: &&EffectiveKey| key.key == "rhsm_insecure" && key.origin == Origin::Rhsm;
        if let Some(key) = keys.iter().find(insecure) {
            self.add(
                false,
                Note {
                    place: key.place.clone(),
                    section: Some("server".to_owned()),
                    key: Some("insecure".to_owned()),
                    message:
                        "Candlepin's certificate is not verified; use rhsm_cacert or rhsm_thumbprint instead"
                            .to_owned(),
                },
            );
        }
    }
}
