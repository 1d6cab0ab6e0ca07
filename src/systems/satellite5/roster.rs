//! The hypervisors of a mapping, sorted into those that can be reported and those that can't.

use std::collections::HashSet;

use super::plan;
use super::registrant::Registrant;
use crate::mapping::{Census, Hypervisor, LeftOut, Mapping};

/// virt-who's type of a source if neither the caller nor the document says it.
const USUAL_KIND: &str = "esx";

/// Why this machine's own entry is refused: it has no id to register, and the machine itself has its systemid already.
const LOCAL: &str = "this machine's own guests: Satellite 5 takes them only from rhn-virtualization-host";

/// What is reported of a document.
#[derive(Debug)]
pub struct Roster<'m> {
    /// The hypervisors that are reported.
    pub registrants: Vec<Registrant<'m>>,
    /// What the document has, and what of it is not reported.
    pub census: Census<'m>,
}

impl<'m> Roster<'m> {
    /// Sorts the hypervisors of a document. Without a `kind` their sources have that of their guests.
    pub fn new(mapping: &'m Mapping, kind: Option<&'m str>) -> Self {
        let reportable = mapping.reportable();
        // A hypervisor without guests does not say its type; usually all of a document have the same.
        let of_document = mapping.hypervisors.iter().find_map(kind_of_guests);
        let registrant = |(id, hypervisor)| {
            let kind = kind.or_else(|| kind_of_guests(hypervisor)).or(of_document);
            let kind = kind.unwrap_or(USUAL_KIND);
            Registrant { id, kind, hypervisor }
        };
        let mut census = reportable.census;
        let mut registrants: Vec<Registrant<'_>> = reportable.hosts.into_iter().map(registrant).collect();
        registrants.retain(|registrant| match registrant.unsendable() {
            Some(reason) => {
                census.omitted += 1;
                census.left_out.push(registrant.left_out(reason));
                false
            }
            None => {
                census.omitted += plan::count_unsendable(&registrant.hypervisor.guests);
                true
            }
        });
        if reportable.local.is_some() {
            census.omitted += 1;
            census.left_out.push(LeftOut {
                kind: LeftOut::HOST.into(),
                reason: LOCAL.into(),
                ..LeftOut::default()
            });
        }
        Roster { registrants, census }
    }
}

impl Roster<'_> {
    /// Whether all of the document can be reported as it is.
    pub fn is_whole(&self) -> bool {
        let mut registrants = self.registrants.iter();
        self.census.left_out.is_empty()
            && registrants.all(|registrant| plan::count_unsendable(&registrant.hypervisor.guests) == 0)
    }
}

impl<'m> Roster<'m> {
    /// The hypervisors that share no guests with others, and those that do, in their order.
    pub(super) fn by_sharing(&self) -> (Vec<&Registrant<'m>>, Vec<&Registrant<'m>>) {
        if self.census.shared.is_empty() {
            return (self.registrants.iter().collect(), Vec::new());
        }
        let shared = self.census.shared.iter();
        let shared: HashSet<String> = shared.map(|shared| shared.guest.to_lowercase()).collect();
        let is_apart = |registrant: &&Registrant<'_>| {
            let mut guests = registrant.hypervisor.guests.iter();
            !guests.any(|guest| shared.contains(&guest.id.to_lowercase()))
        };
        self.registrants.iter().partition(is_apart)
    }
}

/// virt-who's type of a hypervisor's source, as its guests have it.
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
    fn the_type_is_the_given_one_else_that_of_the_guests_else_esx() {
        let kinds = |json: &str, kind| {
            let mapping = mapping(json);
            let kinds: Vec<_> = Roster::new(&mapping, kind)
                .registrants
                .iter()
                .map(|registrant| registrant.kind.to_owned())
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
