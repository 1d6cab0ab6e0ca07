//! Where messages go in a service: with the journal's priorities, and into log files that logrotate(8) renames.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::contrib::logrotate;
use crate::support::{Run, ended, skipped, until};

const FILTER: &str = env!("CARGO_BIN_EXE_vw-filter");

/// A document whose only hypervisor is left out with a warning that has this name.
fn document(name: &str) -> String {
    format!(r#"{{"hypervisors":[{{"uuid":"","name":"{name}","guests":[]}}]}}"#) + "\n"
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What a filter with these options writes to a file as its stderr. `stream` makes JOURNAL_STREAM from the file's device and inode.
fn stderr(options: &[&str], input: &str, stream: impl Fn(u64, u64) -> String) -> String {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("journal");
    let file = File::create(&path).unwrap();
    let about = file.metadata().unwrap();
    let run = Run::new(FILTER)
        .args(options)
        .env("JOURNAL_STREAM", &stream(about.dev(), about.ino()));
    let (mut child, stdin) = run.stdin(input).start(file);
    drop(stdin);
    ended(&mut child).unwrap();
    text(&path)
}

#[test]
fn each_line_for_the_journal_begins_with_its_priority() {
    let journal = |device: u64, inode: u64| format!("{device}:{inode}");
    let said = stderr(&["-d"], &(document("a") + "{"), journal);
    let begins = |begin: &str| said.lines().filter(|line| line.starts_with(begin)).count();
    assert!(begins("<7>vw-filter: debug: ") > 0, "{said}");
    assert!(begins("<4>vw-filter: warning: ") > 0, "{said}");
    assert_eq!(begins("<3>vw-filter: "), 1, "{said}");
    assert_eq!(begins("<"), said.lines().count(), "{said}");
    // An error that comes before the messages are started.
    let said = stderr(&["--odd"], "", journal);
    assert!(said.starts_with("<3>vw-filter: "), "{said}");
}

#[test]
fn stderr_that_is_not_the_journal_has_no_priorities() {
    let other: [fn(u64, u64) -> String; 3] = [
        |device, inode| format!("{device}:{}", inode + 1),
        |device, inode| format!("{}:{inode}", device + 1),
        |_, _| "nonsense".to_owned(),
    ];
    for stream in other {
        let said = stderr(&[], &document("a"), stream);
        assert!(said.starts_with("vw-filter: warning: "), "{said}");
    }
}

/// Runs a filter that logs to `place/all.log`, and calls `rotate` between two documents.
fn log_across(place: &Path, rotate: impl Fn()) {
    let run = Run::new(FILTER).args(["--log-file", "all.log"]).folder(place);
    let (mut child, mut stdin) = run.stdin(document("first")).start(Stdio::null());
    until(|| text(&place.join("all.log")).contains("first"));
    rotate();
    stdin.write_all(document("second").as_bytes()).unwrap();
    drop(stdin);
    assert!(ended(&mut child).unwrap().success());
}

#[test]
fn a_log_file_that_was_renamed_is_opened_again() {
    let place = tempfile::tempdir().unwrap();
    let (log, old) = (place.path().join("all.log"), place.path().join("all.log.1"));
    log_across(place.path(), || fs::rename(&log, &old).unwrap());
    assert!(text(&old).contains("first") && !text(&old).contains("second"));
    assert!(text(&log).contains("second") && !text(&log).contains("first"));
}

#[test]
fn logrotate_needs_neither_a_signal_nor_copytruncate() {
    let Some(logrotate) = logrotate() else {
        return skipped("logrotate: it is not installed");
    };
    let place = tempfile::tempdir().unwrap();
    let (log, old) = (place.path().join("all.log"), place.path().join("all.log.1"));
    for how in ["create 0640", "nocreate"] {
        let rules = place.path().join("rules");
        let body = format!("{} {{\n rotate 3\n {how}\n}}\n", log.display());
        fs::write(&rules, body).unwrap();
        log_across(place.path(), || {
            let rotated = Command::new(&logrotate)
                .args(["--force", "--state"])
                .arg(place.path().join("state"))
                .arg(&rules)
                .output()
                .unwrap();
            assert!(rotated.status.success(), "{rotated:?}");
        });
        assert!(
            text(&old).contains("first") && !text(&old).contains("second"),
            "{how}"
        );
        assert!(
            text(&log).contains("second") && !text(&log).contains("first"),
            "{how}"
        );
        fs::remove_file(&log).unwrap();
    }
}
