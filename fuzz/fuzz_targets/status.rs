//! The status file of vw-run, the file of a lock, and the lines that its reporters print: both become metrics that Prometheus can read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime};

use vw::cancel::Cancel;
use vw::cli::result::{Line, Shown as _};
use vw::service::status::{FILE, Section, Status};
use vw::service::{Outcome, ResultLine, metrics};
use vw::state::{Claim, Error, Folder};
use vw::text::is_control;

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

pub fn run(bytes: &[u8]) {
    FOLDER.with(|folder| {
        fs::write(folder.path().join(FILE), bytes).expect("a file that can be written");
        let folder = Folder::new(folder.path());
        locked(&folder, bytes);
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
    });
}

/// Whoever finds a lock taken names its holder, whatever the file says.
fn locked(folder: &Folder, bytes: &[u8]) {
    let _held = folder
        .claim("lock", Claim::Alone)
        .expect("a lock that nobody else takes");
    fs::write(folder.path("lock"), bytes).expect("a file that can be written");
    let Err(Error::Locked { holder, .. }) = folder.claim("lock", Claim::Alone) else {
        panic!("the lock was taken twice");
    };
    let shown = holder.to_string();
    let is_process = shown
        .strip_prefix("process ")
        .is_some_and(|id| id.parse::<u32>().is_ok());
    assert!(is_process || shown == "another process", "{shown}");
}

/// A section after a round whose reporter printed the bytes.
fn round(bytes: &[u8]) -> Section {
    let mut section = Section::default();
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().take(10) {
        let line = ResultLine::parse(line);
        if let Some(line) = &line {
            readable(&line.value);
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

/// The result line of another command is shown to people in lines that nothing in it can break.
fn readable(value: &serde_json::Value) {
    let shown = Line::read(value).readable();
    assert!(
        shown.ends_with('\n') && !shown.lines().any(|line| line.contains(is_control)),
        "{shown:?}"
    );
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
