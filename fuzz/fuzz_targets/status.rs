//! The status file of vw-run, and the lines that its reporters print: both become metrics that Prometheus can read.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use vw::cancel::Cancel;
use vw::service::status::{FILE, Section, Status};
use vw::service::{Outcome, ResultLine, metrics};
use vw::state::Folder;

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

fuzz_target!(|bytes: &[u8]| FOLDER.with(|folder| {
    fs::write(folder.path().join(FILE), bytes).expect("a file that can be written");
    let folder = Folder::new(folder.path());
    let read = Status::read(&folder).expect("a file that can be read");
    is_exposition(&metrics::text(
        read.sections
            .iter()
            .map(|(name, section)| (name.as_str(), section)),
    ));
    // What one process writes, the next one reads; sections that it does not know stay.
    let own = BTreeMap::from([("own".to_owned(), round(bytes))]);
    Status::replace(&folder, &own, &Cancel::default()).expect("a file that can be written");
    let again = Status::read(&folder).expect("a file that can be read");
    let mut expected = read;
    expected.sections.extend(own);
    assert_eq!(again, expected);
}));

/// A section after a round whose reporter printed the bytes.
fn round(bytes: &[u8]) -> Section {
    let mut section = Section::default();
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().take(10) {
        let line = ResultLine::parse(line);
        if let Some(line) = &line {
            assert!(
                line.retry_after()
                    .is_none_or(|pause| pause <= vw::http::LONGEST_PAUSE)
            );
        }
        section.add(&Outcome {
            section: None,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_585_600),
            duration: Duration::from_millis(250),
            is_scanned: true,
            line,
            failure: None,
        });
    }
    section
}

/// Each line is a comment or a sample, and no sample comes twice.
fn is_exposition(text: &str) {
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a name and a value");
        let value: f64 = value.parse().expect("a number");
        assert!(value.is_finite(), "{line}");
        assert!(series.ends_with('}') && series.contains("{section=\""), "{line}");
        assert!(seen.insert(series), "{series} comes twice");
    }
}
