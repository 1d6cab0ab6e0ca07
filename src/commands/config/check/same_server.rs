//! Sections that report the same server to the same destination.

use std::collections::HashMap;

use super::Check;
use crate::config::Section;
use crate::systems::vsphere::Address;

/// The names of the sections that scan a server for a destination.
pub(super) struct Servers(HashMap<Scanned, Vec<String>>);

/// What a section scans, and where that is reported.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Scanned {
    kind: String,
    /// Host and port.
    server: String,
    owner: String,
    sat_server: String,
}

impl Servers {
    pub(super) fn new(sections: &[&Section]) -> Self {
        let mut servers: HashMap<Scanned, Vec<String>> = HashMap::new();
        for section in sections.iter().filter(|section| section.broken().is_none()) {
            if let Some(scanned) = Scanned::of(section) {
                servers.entry(scanned).or_default().push(name_of(section));
            }
        }
        Servers(servers)
    }
}

impl Scanned {
    fn of(section: &Section) -> Option<Self> {
        let text = |key| section.text(key).ok().flatten().unwrap_or_default();
        let Address { base, .. } = Address::parse(&text("server")).ok()?;
        Some(Scanned {
            kind: section.source_type().unwrap_or_default(),
            server: format!("{}:{}", base.host.to_lowercase(), base.port),
            owner: text("owner"),
            sat_server: text("sat_server"),
        })
    }
}

/// How messages name a section.
pub(super) fn name_of(section: &Section) -> String {
    section.name().unwrap_or("the environment").to_owned()
}

impl Check {
    /// Warns about another section that reports the same server to the same destination: about an earlier one, or about any if
    /// only this section is checked (`is_only`). Both would report the same hosts.
    pub(super) fn same_server(&mut self, section: &Section, servers: &Servers, is_only: bool) {
        let name = name_of(section);
        let same = Scanned::of(section).and_then(|scanned| servers.0.get(&scanned));
        let mut others = same.into_iter().flatten();
        let other = match is_only {
            true => others.find(|other| **other != name),
            false => others.next().filter(|other| **other != name),
        };
        if let Some(other) = other {
            let reason = format!(
                "is also in [{other}], with the same destination: hosts are reported twice unless filters keep them apart"
            );
            self.warn(section, "server", &reason);
        }
    }
}
