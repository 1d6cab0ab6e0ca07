//! What can be reported of a document, to any destination.

use std::collections::HashMap;

use super::clones::{SharedGuest, shared};
use super::{Concerns, Fault, Hypervisor, LeftOut, Mapping};

/// The hypervisors of a document that can be reported, and a census of the whole document.
#[derive(Debug, Default)]
pub struct Reportable<'m> {
    /// The hypervisors that can be reported, with their ids, in the order in which they are reported: by id, but hypervisors
    /// that share guests with others come last, because servers count such a guest for the hypervisor they learn of last.
    pub hosts: Vec<(&'m str, &'m Hypervisor)>,
    /// The guests of this machine itself, if the document has them.
    pub local: Option<&'m Hypervisor>,
    /// The counts of the whole document, and what can't be reported.
    pub census: Census<'m>,
}

/// The counts of a document, and what of it is not reported.
#[derive(Debug, Default)]
pub struct Census<'m> {
    /// The number of hypervisors, reported or not, without this machine itself.
    pub hypervisors: usize,
    /// The number of their guests.
    pub guests: usize,
    /// What is not reported, or only in part, because it is invalid.
    pub left_out: Vec<LeftOut>,
    /// The number of others that `left_out` does not name.
    pub unnamed: usize,
    /// The number of hypervisors and guests that are not reported.
    pub omitted: usize,
    /// Guests that several hypervisors list.
    pub shared: Vec<SharedGuest<'m>>,
}

impl Mapping {
    /// Returns what can be reported. Hypervisors with equal ids, ignoring case, can't be: servers ignore case, so each would
    /// replace the guests of the others.
    pub fn reportable(&self) -> Reportable<'_> {
        let mut hosts = Vec::new();
        let mut local = None;
        let mut census = Census::default();
        census.count_faults(self);
        let ids = self
            .hypervisors
            .iter()
            .filter_map(|hypervisor| hypervisor.id.as_ref());
        let mut count: HashMap<String, usize> = HashMap::new();
        for id in ids {
            *count.entry(id.to_lowercase()).or_default() += 1;
        }
        for hypervisor in &self.hypervisors {
            let Some(id) = hypervisor.id.as_deref() else {
                if local.is_some() {
                    census.leave_out(
                        hypervisor,
                        "the document lists this machine's own guests again".to_owned(),
                    );
                }
                local.get_or_insert(hypervisor);
                continue;
            };
            census.hypervisors += 1;
            census.guests += hypervisor.guests.len();
            match count.get(&id.to_lowercase()) {
                Some(equal @ 2..) => {
                    census.leave_out(
                        hypervisor,
                        format!("{equal} hypervisors have this id, ignoring case"),
                    );
                }
                _ => hosts.push((id, hypervisor)),
            }
        }
        census.shared = shared(&mut hosts);
        Reportable { hosts, local, census }
    }
}

impl Census<'_> {
    /// Counts the unusable parts of a document.
    fn count_faults(&mut self, mapping: &Mapping) {
        for fault in &mapping.faults {
            if fault.about == Concerns::Host {
                self.hypervisors += fault.count;
            }
            self.omitted += fault.count;
            self.name_fault(fault, &format!("{}: ", fault.about.kind()), "");
        }
        for flaw in &mapping.flaws {
            let effect = match flaw.about {
                Concerns::State => "; reported with state 0",
                _ => "; reported without it",
            };
            self.name_fault(flaw, "", effect);
        }
    }

    /// Adds a fault, with text before and after its reason.
    fn name_fault(&mut self, fault: &Fault, before: &str, after: &str) {
        let left_out = LeftOut::from(fault.clone());
        self.left_out.push(LeftOut {
            reason: format!("{before}{}{after}", left_out.reason),
            ..left_out
        });
        self.unnamed += fault.count.saturating_sub(1);
    }

    /// Adds a hypervisor that is not reported.
    fn leave_out(&mut self, hypervisor: &Hypervisor, reason: String) {
        self.omitted += 1;
        self.left_out.push(LeftOut {
            kind: LeftOut::HOST.into(),
            id: hypervisor.id.clone(),
            name: hypervisor.name.clone(),
            reason,
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::mapping::Reader;

    #[test]
    fn what_cannot_be_reported_is_named_and_counted() {
        let text = r#"{"hypervisors":[{"guests":[{"guestId":"0","state":1}]},{"uuid":"a","guests":[{"guestId":"1","state":1}]},
            {"uuid":"B","name":"one","guests":[]},{"uuid":"b","guests":[]},{"uuid":"","name":"none","guests":[]}]}"#;
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        let reportable = mapping.reportable();
        assert_eq!(
            reportable.hosts.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!((reportable.census.hypervisors, reportable.census.guests), (4, 1));
        assert_eq!(reportable.local.unwrap().guests.len(), 1);
        let left_out: Vec<_> = reportable
            .census
            .left_out
            .iter()
            .map(|left| (left.id.as_deref(), left.name.as_deref()))
            .collect();
        assert_eq!(
            left_out,
            [(None, Some("none")), (Some("B"), Some("one")), (Some("b"), None)]
        );
    }

    #[test]
    fn faults_and_flaws_are_named_with_what_becomes_of_them() {
        let guests = r#"{"guestId":"1","state":9},{"guestId":""},{"guestId":""},{"guestId":"2","state":1}"#;
        let text = format!(
            r#"{{"hypervisors":[{{"uuid":"a","guests":[{guests}],"facts":{{"f":"\ud800"}}}},{{"uuid":""}}]}}"#
        );
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        let census = mapping.reportable().census;
        assert_eq!((census.hypervisors, census.guests, census.omitted), (2, 2, 3));
        let reasons: Vec<&str> = census.left_out.iter().map(|left_out| &*left_out.reason).collect();
        assert_eq!(
            reasons,
            [
                "guest: number 2 of a: its id is empty",
                "guest: number 3 of a: its id is empty",
                "host: its id is empty",
                "the fact f is not valid text; reported without it",
                "guest 1: its state is 9, not a number from 0 to 7; reported with state 0",
            ]
        );
        assert_eq!(census.unnamed, 0);
    }

    #[test]
    fn faults_that_are_not_named_are_counted() {
        let guests = vec![r#"{"guestId":""}"#; 100].join(",");
        let text = format!(
            r#"{{"hypervisors":[{{"uuid":"a","guests":[{guests}]}},{{"uuid":"b","guests":[{guests}]}}]}}"#
        );
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        let census = mapping.reportable().census;
        assert_eq!(
            (census.omitted, census.left_out.len() + census.unnamed),
            (200, 200)
        );
        assert!(census.unnamed > 0);
    }

    #[test]
    fn the_second_entry_for_this_machine_is_left_out() {
        let text = r#"{"hypervisors":[{"guests":[{"guestId":"a","state":1}]},{"guests":[{"guestId":"b","state":1}]}]}"#;
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        let reportable = mapping.reportable();
        assert_eq!(reportable.local.unwrap().guests[0].id, "a");
        assert_eq!(
            (reportable.census.left_out.len(), reportable.census.omitted),
            (1, 1)
        );
    }
}
