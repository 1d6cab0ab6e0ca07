//! Which hypervisors of a mapping are reported, and which are not.

use std::collections::HashMap;

use super::Failed;
use crate::error::Kind;
use crate::mapping::{Fault, Hypervisor, Mapping, Omitted};

/// virt-who's type of a source, where neither configuration nor document tells it.
const USUAL_KIND: &str = "esx";

/// The hypervisors of a document as they are reported.
#[derive(Debug)]
pub struct Roster<'m> {
    /// Those to be reported.
    pub hosts: Vec<Host<'m>>,
    /// What is not, because of what the document says.
    pub left_out: Vec<Failed>,
    /// How many hypervisors the document has, reported or not; this machine itself does not count.
    pub hypervisors: usize,
    /// How many guests those have.
    pub guests: usize,
    /// Whether the document tells of this machine's own guests, which a Satellite 5 learns from the machine itself.
    pub local: bool,
}

/// A hypervisor to be reported.
#[derive(Debug, Clone, Copy)]
pub struct Host<'m> {
    /// Its id.
    pub id: &'m str,
    /// virt-who's type of its source, which is part of the names that the server gets.
    pub kind: &'m str,
    /// All that the document says about it.
    pub hypervisor: &'m Hypervisor,
}

impl<'m> Roster<'m> {
    /// Sorts out what is reported. Without a `kind` it is that of the guests.
    pub fn new(mapping: &'m Mapping, kind: Option<&'m str>) -> Self {
        let mut roster = Roster {
            hosts: Vec::with_capacity(mapping.hypervisors.len()),
            left_out: Vec::new(),
            hypervisors: 0,
            guests: 0,
            local: false,
        };
        for fault in &mapping.faults {
            let Fault {
                kind,
                id,
                name,
                reason,
                ..
            } = fault;
            roster.hypervisors += usize::from(*kind == Omitted::HOST);
            roster.left_out.push(Failed {
                id: id.clone(),
                name: name.clone(),
                error: format!("{kind}: {reason}"),
                kind: Kind::Data,
            });
        }
        // A hypervisor without guests does not tell its type; most documents have only one.
        let of_document = mapping.hypervisors.iter().find_map(kind_of_guests);
        for hypervisor in &mapping.hypervisors {
            let Some(id) = hypervisor.id.as_deref() else {
                roster.local = true;
                continue;
            };
            roster.hypervisors += 1;
            roster.guests += hypervisor.guests.len();
            let kind = kind.or_else(|| kind_of_guests(hypervisor)).or(of_document);
            let kind = kind.unwrap_or(USUAL_KIND);
            roster.hosts.push(Host { id, kind, hypervisor });
        }
        roster.leave_out_equal_ids();
        roster
    }

    /// Of hypervisors with one id each would stop the guests of the others.
    fn leave_out_equal_ids(&mut self) {
        let mut count: HashMap<String, usize> = HashMap::new();
        for host in &self.hosts {
            *count.entry(host.id.to_lowercase()).or_default() += 1;
        }
        self.hosts
            .retain(|host| match count.get(&host.id.to_lowercase()) {
                Some(count @ 2..) => {
                    let error = format!("{count} hypervisors have this id, ignoring case");
                    self.left_out.push(host.failed(error, Kind::Data));
                    false
                }
                _ => true,
            });
    }
}

impl Host<'_> {
    /// This host did not get where it should be.
    pub fn failed(&self, error: String, kind: Kind) -> Failed {
        Failed {
            id: Some(self.id.to_owned()),
            name: self.hypervisor.name.clone(),
            error,
            kind,
        }
    }
}

fn kind_of_guests(hypervisor: &Hypervisor) -> Option<&str> {
    let mut kinds = hypervisor
        .guests
        .iter()
        .filter_map(|guest| guest.attributes.virt_who_type.as_deref());
    kinds.find(|kind| !kind.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn mapping(json: &str) -> Mapping {
        Reader::new(json.as_bytes()).next_mapping().unwrap().unwrap()
    }

    #[test]
    fn what_cannot_be_reported_is_told_and_counted() {
        let mapping = mapping(
            r#"{"hypervisors":[{"guests":[{"guestId":"0","state":1}]},{"uuid":"a","guests":[{"guestId":"1","state":1}]},
               {"uuid":"B","name":"one","guests":[]},{"uuid":"b","guests":[]},{"uuid":"","name":"none","guests":[]}]}"#,
        );
        let roster = Roster::new(&mapping, None);
        assert_eq!(roster.hosts.iter().map(|host| host.id).collect::<Vec<_>>(), ["a"]);
        assert_eq!((roster.hypervisors, roster.guests, roster.local), (4, 1, true));
        let left_out: Vec<_> = roster
            .left_out
            .iter()
            .map(|f| (f.id.as_deref(), f.name.as_deref()))
            .collect();
        assert!(
            left_out.contains(&(Some("B"), Some("one"))) && left_out.contains(&(Some("b"), None)),
            "{left_out:?}"
        );
        assert!(
            left_out.iter().any(|(_, name)| *name == Some("none")),
            "{left_out:?}"
        );
        assert_eq!(left_out.len(), 3);
        assert!(roster.left_out.iter().all(|failed| failed.kind == Kind::Data));
    }

    #[test]
    fn the_type_is_what_was_said_else_that_of_the_guests_else_esx() {
        let kinds = |json: &str, kind| {
            let mapping = mapping(json);
            let kinds: Vec<_> = Roster::new(&mapping, kind)
                .hosts
                .iter()
                .map(|host| host.kind.to_owned())
                .collect();
            kinds
        };
        let mixed = r#"{"hypervisors":[{"uuid":"a","guests":[]},
            {"uuid":"b","guests":[{"guestId":"1","state":1,"attributes":{"virtWhoType":"xen"}}]},
            {"uuid":"c","guests":[{"guestId":"2","state":1,"attributes":{"virtWhoType":"hyperv"}}]}]}"#;
        assert_eq!(kinds(mixed, None), ["xen", "xen", "hyperv"]);
        assert_eq!(kinds(mixed, Some("esx")), ["esx", "esx", "esx"]);
        assert_eq!(
            kinds(r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#, None),
            ["esx"]
        );
    }
}
