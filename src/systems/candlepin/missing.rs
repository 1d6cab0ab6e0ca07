//! Hypervisors that were reported before and are missing from the document now: since when, and when they were reported last.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CheckIn;

/// A hypervisor that was reported before and is not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MissingHypervisor {
    /// Its id.
    pub(super) id: String,
    /// The name with which it was reported.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// The time of the first good document without it, in seconds since 1970. `None` if a later document mentions it, for
    /// example in `omitted`, or if no good document has arrived since.
    #[serde(default)]
    since: Option<u64>,
    /// The server's time at the end of the last report that held it, in seconds since 1970.
    pub(super) reported: Option<i64>,
}

impl MissingHypervisor {
    /// A hypervisor that is no longer reported.
    pub(super) fn new(id: &str, name: Option<&str>, reported: Option<i64>) -> Self {
        MissingHypervisor {
            id: id.to_owned(),
            name: name.map(str::to_owned),
            since: None,
            reported,
        }
    }

    /// Whether the last good document did not mention it.
    pub(super) fn has_vanished(&self) -> bool {
        self.since.is_some()
    }

    /// Adapts it to a check-in that does not send it; returns whether it has just vanished.
    ///
    /// `is_good` says whether the document proves what is missing, `now` is our time, and `renewed` the server's time of the last
    /// heartbeat, which counts as a report of all hypervisors until one vanishes.
    pub(super) fn update(
        &mut self,
        check_in: &CheckIn<'_>,
        is_good: bool,
        now: u64,
        renewed: Option<i64>,
    ) -> bool {
        if check_in.knows(&self.id) || self.name.as_deref().is_some_and(|name| check_in.omits(name)) {
            self.since = None;
            return false;
        }
        if !is_good {
            return false;
        }
        match self.since {
            None => {
                self.since = Some(now);
                self.reported = self.reported.max(renewed.filter(|_| self.reported.is_some()));
                true
            }
            // The clock was ahead at that time.
            Some(since) if since > now => {
                self.since = Some(now);
                false
            }
            Some(_) => false,
        }
    }

    /// Whether it has been missing from all good documents for this long.
    pub(super) fn is_due(&self, after: Duration, now: u64) -> bool {
        self.since
            .is_some_and(|since| now.saturating_sub(since) >= after.as_secs())
    }

    /// The name with the id, for messages.
    pub(super) fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.id),
            None => self.id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Mapping, Reader};

    fn mapping(text: &str) -> Mapping {
        Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap()
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn the_time_begins_with_the_first_good_document_without_it() {
        let without = mapping(r#"{"hypervisors":[{"uuid":"b","guests":[]}]}"#);
        let without = CheckIn::new(&without);
        let mut missing = MissingHypervisor::new("a", Some("esx1"), Some(50));
        assert!(!missing.update(&without, false, 100, Some(60)), "a bad document");
        assert!(!missing.has_vanished());
        assert!(missing.update(&without, true, 200, Some(70)));
        assert_eq!(missing.reported, Some(70), "a heartbeat counted as a report");
        assert!(!missing.update(&without, true, 300, Some(80)));
        assert_eq!(
            missing.reported,
            Some(70),
            "a heartbeat after it vanished does not"
        );
        let day = 200 + DAY.as_secs();
        assert!(!missing.is_due(DAY, day - 1) && missing.is_due(DAY, day));
        assert!(missing.is_due(Duration::ZERO, 200));
        // A clock that was put back restarts the time.
        missing.update(&without, true, 150, None);
        assert!(!missing.is_due(DAY, day - 51) && missing.is_due(DAY, day - 50));
    }

    #[test]
    fn a_document_that_omits_it_by_id_or_name_restarts_the_time() {
        let without = mapping(r#"{"hypervisors":[{"uuid":"b","guests":[]}]}"#);
        for omitted in [r#"{"id":"A"}"#, r#"{"id":"host-1","name":"ESX1"}"#] {
            let omits = mapping(&format!(
                r#"{{"hypervisors":[{{"uuid":"b","guests":[]}}],"omitted":[{omitted}]}}"#
            ));
            let mut missing = MissingHypervisor::new("a", Some("esx1"), Some(50));
            assert!(missing.update(&CheckIn::new(&without), true, 100, None));
            assert!(!missing.update(&CheckIn::new(&omits), true, 200, None));
            assert!(!missing.is_due(Duration::ZERO, 300), "{omitted}");
            assert!(missing.update(&CheckIn::new(&without), true, 300, None));
        }
    }

    #[test]
    fn a_heartbeat_is_no_report_of_what_an_older_state_holds() {
        let without = mapping(r#"{"hypervisors":[{"uuid":"b","guests":[]}]}"#);
        let mut missing = MissingHypervisor::new("a", None, None);
        missing.update(&CheckIn::new(&without), true, 100, Some(70));
        assert_eq!(missing.reported, None);
    }
}
