//! Which hypervisors of a mapping are reported, and which are not.

use super::{plan, xmlrpc};
use crate::mapping::{Census, Hypervisor, LeftOut, Mapping};

/// virt-who's type of a source, where neither configuration nor document tells it.
const USUAL_KIND: &str = "esx";

/// The hypervisors of a document as they are reported.
#[derive(Debug)]
pub struct Roster<'m> {
    /// Those to be reported.
    pub hosts: Vec<Host<'m>>,
    /// What the document holds, and what of it is not reported.
    pub census: Census<'m>,
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
        let reportable = mapping.reportable();
        // A hypervisor without guests does not tell its type; most documents have only one.
        let of_document = mapping.hypervisors.iter().find_map(kind_of_guests);
        let host = |(id, hypervisor)| {
            let kind = kind.or_else(|| kind_of_guests(hypervisor)).or(of_document);
            let kind = kind.unwrap_or(USUAL_KIND);
            Host { id, kind, hypervisor }
        };
        let mut census = reportable.census;
        let mut hosts: Vec<Host<'_>> = reportable.hosts.into_iter().map(host).collect();
        hosts.retain(|host| {
            let unsendable = host.unsendable();
            census.omitted += match unsendable {
                Some(_) => 1,
                None => plan::unfit(&host.hypervisor.guests),
            };
            let is_sent = unsendable.is_none();
            census
                .left_out
                .extend(unsendable.map(|reason| host.left_out(reason)));
            is_sent
        });
        Roster {
            hosts,
            census,
            local: reportable.local.is_some(),
        }
    }
}

impl Host<'_> {
    /// Why it can't be sent: in its id, or in the type of its source, there is a character that has no place in a name. XML
    /// does not carry some of these, and others would break the lines of whoever lists the profiles.
    fn unsendable(&self) -> Option<String> {
        let found = |text: &str| text.chars().find(|c| c.is_control() || !xmlrpc::is_sendable(*c));
        let told = |what: &str, c: char| {
            format!(
                "{what} holds the character U+{:04X}, which can't be sent",
                c as u32
            )
        };
        let id = found(self.id).map(|c| told("its id", c));
        id.or_else(|| found(self.kind).map(|c| told("the type of its source", c)))
    }

    /// This host, which is not on the server as it should be.
    pub fn left_out(&self, reason: String) -> LeftOut {
        LeftOut {
            kind: LeftOut::HOST.into(),
            id: Some(self.id.to_owned()),
            name: self.hypervisor.name.clone(),
            reason,
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
