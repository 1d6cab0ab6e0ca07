//! The record of a run: what it keeps of each outcome, in the status file, the metrics, and the line for `systemctl status`.

use std::collections::{BTreeMap, BTreeSet};

use super::status::{self, Section, Status};
use super::{Outcome, metrics};
use crate::cancel::Cancel;
use crate::error::{Classify, Kind};
use crate::state::Folder;

/// The longest line for `systemctl status`, in bytes.
const LONGEST_LINE: usize = 400;

/// The record of a run.
#[derive(Debug)]
pub struct Record {
    folder: Folder,
    metrics: Option<metrics::File>,
    /// The sections of this run. Memory is the truth: a full disk must not lose a count.
    sections: BTreeMap<String, Section>,
}

impl Record {
    /// The record in this state folder, with what an earlier run knew of these sections. The metrics are optional.
    pub fn new<'a>(
        folder: Folder,
        metrics: Option<metrics::File>,
        sections: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut record = Record {
            folder,
            metrics,
            sections: BTreeMap::new(),
        };
        record.set_sections(sections);
        record
    }

    /// Sets the sections of this run, for example after the configuration has changed.
    pub fn set_sections<'a>(&mut self, sections: impl IntoIterator<Item = &'a str>) {
        let names: BTreeSet<&str> = sections.into_iter().collect();
        let mut earlier = Status::read(&self.folder).unwrap_or_else(|error| {
            log::warn!("{}", error.with_causes());
            Status::default()
        });
        let mut known = std::mem::take(&mut self.sections);
        self.sections = names
            .into_iter()
            .map(|name| {
                let section = known.remove(name).or_else(|| earlier.sections.remove(name));
                (name.to_owned(), section.unwrap_or_default())
            })
            .collect();
    }

    /// Adds outcomes, and writes the status file and the metrics.
    ///
    /// What can't be written is reported as an error. The first failure's kind is returned: it is no reason to stop, because the
    /// next outcomes are written again with these.
    pub fn add<'a>(
        &mut self,
        outcomes: impl IntoIterator<Item = &'a Outcome>,
        cancel: &Cancel,
    ) -> Option<Kind> {
        for outcome in outcomes {
            // A section may have left the configuration during its round.
            if let Some(section) = self.sections.get_mut(status::section_name(outcome)) {
                section.add(outcome);
            }
        }
        let status = Status::replace(&self.folder, &self.sections, cancel);
        let metrics = self.metrics.as_ref().map_or(Ok(()), |file| {
            let sections = self
                .sections
                .iter()
                .map(|(name, section)| (name.as_str(), section));
            file.write(&metrics::text(sections))
        });
        let failed = [
            ("the status of this round can't be kept", status),
            ("the metrics of this round can't be kept", metrics),
        ];
        let mut kinds = failed.into_iter().filter_map(|(what, result)| {
            let error = result.err()?;
            log::error!("{what}: {}", error.with_causes());
            Some(error.kind())
        });
        let first = kinds.next();
        kinds.for_each(drop);
        first
    }

    /// The state of the sections in one line: `2 of 3 sections succeeded; lab: vc.example.com: connection refused`.
    pub fn line(&self) -> String {
        let rounds = self.sections.iter().filter_map(|(name, section)| {
            let round = section.round.as_ref()?;
            Some((name, round.error.as_deref()))
        });
        let (failed, fine): (Vec<_>, Vec<_>) = rounds.partition(|(_, error)| error.is_some());
        let number = self.sections.len();
        let plural = if number == 1 { "" } else { "s" };
        let mut line = format!("{} of {number} section{plural} succeeded", fine.len());
        for (name, error) in failed {
            line += &format!("; {name}: {}", error.unwrap_or_default());
        }
        crate::text::cut(&line, LONGEST_LINE).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Failure, ResultLine};
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    fn outcome(section: &str, error: Option<&str>) -> Outcome {
        Outcome {
            section: Some(section.to_owned()),
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_585_600),
            duration: Duration::from_secs(1),
            is_scanned: error.is_none(),
            line: error.is_none().then(|| {
                ResultLine::parse(r#"{"state":"finished","hypervisors":1,"guests":2,"omitted":0}"#).unwrap()
            }),
            failure: error.map(|message| Failure {
                stage: "vw-scan-esx".to_owned(),
                kind: Kind::TempFail,
                message: message.to_owned(),
            }),
        }
    }

    fn metrics_file(place: &Path) -> Option<metrics::File> {
        Some(metrics::File::new(&place.join("vw.prom")).unwrap())
    }

    #[test]
    fn a_later_run_goes_on_with_the_counts_of_an_earlier_one() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("state"));
        let cancel = Cancel::default();
        let mut first = Record::new(folder.clone(), None, ["prod", "lab"]);
        assert_eq!(first.line(), "0 of 2 sections succeeded");
        let outcomes = [
            outcome("prod", None),
            outcome("lab", Some("vc2: connection refused")),
        ];
        assert_eq!(first.add(&outcomes, &cancel), None);
        assert_eq!(
            first.line(),
            "1 of 2 sections succeeded; lab: vc2: connection refused"
        );

        let mut second = Record::new(folder.clone(), metrics_file(place.path()), ["lab"]);
        second.add(&[outcome("lab", None)], &cancel);
        assert_eq!(second.line(), "1 of 1 section succeeded");
        let status = Status::read(&folder).unwrap();
        assert_eq!(
            (status.sections["lab"].rounds, status.sections["prod"].rounds),
            (2, 1)
        );
        // The metrics have only the sections of the run: two runs with one file each must not tell the same twice.
        let text = fs::read_to_string(place.path().join("vw.prom")).unwrap();
        assert!(text.contains("vw_rounds_total{section=\"lab\"} 2\n"), "{text}");
        assert!(!text.contains("prod"), "{text}");
    }

    #[test]
    fn a_section_that_left_the_configuration_leaves_the_metrics() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("state"));
        let mut record = Record::new(folder, metrics_file(place.path()), ["a", "b"]);
        record.add(&[outcome("a", None), outcome("b", None)], &Cancel::default());
        record.set_sections(["b", "c"]);
        // Its round was still going on.
        record.add(&[outcome("a", None), outcome("b", None)], &Cancel::default());
        let text = fs::read_to_string(place.path().join("vw.prom")).unwrap();
        assert!(!text.contains("\"a\""), "{text}");
        assert!(text.contains("vw_rounds_total{section=\"b\"} 2\n"), "{text}");
        assert!(text.contains("vw_rounds_total{section=\"c\"} 0\n"), "{text}");
    }

    #[test]
    fn what_can_not_be_written_is_written_with_the_next_outcomes() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("state");
        fs::write(&folder, "in the way").unwrap();
        let mut record = Record::new(Folder::new(&folder), metrics_file(place.path()), ["a"]);
        let failed = record.add(&[outcome("a", None)], &Cancel::default());
        assert_eq!(failed, Some(Kind::Io));
        let metrics = || fs::read_to_string(place.path().join("vw.prom")).unwrap();
        assert!(metrics().contains("vw_rounds_total{section=\"a\"} 1\n"));
        fs::remove_file(&folder).unwrap();
        assert_eq!(record.add(&[outcome("a", None)], &Cancel::default()), None);
        assert!(metrics().contains("vw_rounds_total{section=\"a\"} 2\n"));
        let status = Status::read(&Folder::new(&folder)).unwrap();
        assert_eq!(status.sections["a"].rounds, 2);
    }
}
