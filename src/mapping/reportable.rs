//! What of a document can be reported, wherever it goes.

use std::collections::HashMap;

use super::clones::{Shared, shared};
use super::{Concerns, Fault, Hypervisor, LeftOut, Mapping};

/// The hypervisors of a document that can be reported, and what can't.
#[derive(Debug, Default)]
pub struct Reportable<'m> {
    /// The hypervisors that can be reported, with their ids, in the order in which they are reported: by id, but hypervisors
    /// that share guests with others come last, because servers count such a guest for the hypervisor they learn of last.
    pub hosts: Vec<(&'m str, &'m Hypervisor)>,
    /// The guests of this machine itself, if the document has them.
    pub local: Option<&'m Hypervisor>,
    /// What the document holds, and what of it can't be reported.
    pub census: Census<'m>,
}

/// What a document holds, and what of it is not reported.
#[derive(Debug, Default)]
pub struct Census<'m> {
    /// The number of hypervisors, reported or not, without this machine itself.
    pub hypervisors: usize,
    /// The number of their guests.
    pub guests: usize,
    /// What is not reported, or not as it is written, because of what the document says.
    pub left_out: Vec<LeftOut>,
    /// How many more there are than `left_out` names.
    pub unnamed: usize,
    /// The number of hypervisors and guests that are not reported.
    pub omitted: usize,
    /// Guests that several hypervisors have.
    pub shared: Vec<Shared<'m>>,
}

impl Mapping {
    /// Sorts out what can be reported. Of hypervisors whose ids are equal, ignoring case as every server does, none can: each
    /// would take the guests of the others away.
    pub fn reportable(&self) -> Reportable<'_> {
        let mut reportable = Reportable::default();
        for fault in self.faults.iter().chain(&self.flaws) {
            reportable.census.unnamed += fault.count.saturating_sub(1);
        }
        for fault in &self.faults {
            if fault.about == Concerns::Host {
                reportable.census.hypervisors += fault.count;
            }
            reportable.census.omitted += fault.count;
            reportable
                .census
                .left_out
                .push(left_out(fault, &format!("{}: ", fault.about.kind()), ""));
        }
        for flaw in &self.flaws {
            let sent = match flaw.about {
                Concerns::State => "; reported with state 0",
                _ => "; reported without it",
            };
            reportable.census.left_out.push(left_out(flaw, "", sent));
        }
        let mut count: HashMap<String, usize> = HashMap::new();
        for id in self
            .hypervisors
            .iter()
            .filter_map(|hypervisor| hypervisor.id.as_ref())
        {
            *count.entry(id.to_lowercase()).or_default() += 1;
        }
        for hypervisor in &self.hypervisors {
            let Some(id) = hypervisor.id.as_deref() else {
                if reportable.local.is_some() {
                    reportable.census.omitted += 1;
                    reportable.census.left_out.push(LeftOut {
                        kind: LeftOut::HOST.into(),
                        id: None,
                        name: None,
                        reason: "the document lists this machine's own guests again".to_owned(),
                    });
                }
                reportable.local.get_or_insert(hypervisor);
                continue;
            };
            reportable.census.hypervisors += 1;
            reportable.census.guests += hypervisor.guests.len();
            match count.get(&id.to_lowercase()) {
                Some(equal @ 2..) => {
                    reportable.census.omitted += 1;
                    reportable.census.left_out.push(LeftOut {
                        kind: LeftOut::HOST.into(),
                        id: Some(id.to_owned()),
                        name: hypervisor.name.clone(),
                        reason: format!("{equal} hypervisors have this id, ignoring case"),
                    });
                }
                _ => reportable.hosts.push((id, hypervisor)),
            }
        }
        reportable.census.shared = shared(&mut reportable.hosts);
        reportable
    }
}

/// What a fault leaves out, with words before and after the reason.
fn left_out(fault: &Fault, before: &str, after: &str) -> LeftOut {
    let left_out = LeftOut::from(fault.clone());
    LeftOut {
        reason: format!("{before}{}{after}", left_out.reason),
        ..left_out
    }
}

#[cfg(test)]
mod tests {
    use crate::mapping::Reader;

    #[test]
    fn what_cannot_be_reported_is_told_and_counted() {
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
    fn of_two_entries_for_this_machine_one_counts_and_the_other_is_told() {
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
