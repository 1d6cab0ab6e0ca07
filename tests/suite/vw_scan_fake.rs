//! vw-scan-fake as its users meet it.

use std::fs;

use tempfile::TempDir;

use crate::support::{Outcome, Run};

const MAPPING: &str = concat!(
    r#"{"hypervisors":[{"uuid":"b","guests":[{"guestId":"g2","state":1},{"guestId":"g1","state":5}],"x":1.0},{"uuid":""},"#,
    r#"{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}],"source":{"section":"old","server":"vc"}}"#
);

/// A folder with a mapping and a section that names it.
fn place(section: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("m.json"), MAPPING).unwrap();
    let text = format!("[test]\ntype=fake\nfile=m.json\n{section}\n[other]\ntype=esx\n");
    fs::write(folder.path().join("a.conf"), text).unwrap();
    folder
}

fn scan(folder: &TempDir, args: &[&str]) -> Outcome {
    let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-fake")).args(args);
    run.folder(folder.path()).env("VW_CONFIG", "a.conf").run()
}

#[test]
fn the_file_is_printed_in_order_and_omitted_entries_are_named() {
    let outcome = scan(&place(""), &[]);
    assert_eq!(outcome.status, 0);
    assert_eq!(
        outcome.stdout,
        concat!(
            r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"b","guests":[{"guestId":"g1","state":5},"#,
            r#"{"guestId":"g2","state":1}],"x":1.0}],"source":{"section":"test","type":"fake","server":"vc"},"#,
            r#""omitted":[{"kind":"host","stage":"vw-scan-fake","reason":"its id is empty"}]}"#,
            "\n"
        )
    );
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    let checkin = scan(&place(""), &["-n", "test", "--layout", "checkin", "-q"]).quiet_success();
    assert!(checkin.starts_with(r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}"#));
    let place = place("");
    fs::write(place.path().join("m.json"), checkin).unwrap();
    let mapping = scan(&place, &["-n", "test", "-q"]).quiet_success();
    assert!(mapping.contains(r#""unlisted":"vw-scan-fake""#), "{mapping}");
}

#[test]
fn is_hypervisor_no_prints_the_guests_of_this_machine() {
    let own = scan(&place("is_hypervisor=no"), &["-q"]).quiet_success();
    let guests = r#"{"hypervisors":[{"guests":[{"guestId":"g1","state":5},{"guestId":"g2","state":1}]}],"#;
    assert!(own.starts_with(guests), "{own}");
}

#[test]
fn a_file_that_is_no_mapping_is_an_error() {
    let folder = place("");
    let write = |text: &str| fs::write(folder.path().join("m.json"), text).unwrap();
    for (text, status, words) in [
        ("", 66, "m.json: "),
        (&MAPPING[..100], 66, "m.json: "),
        ("[]", 65, "m.json: "),
        ("hypervisors", 65, "m.json: "),
    ] {
        write(text);
        let outcome = scan(&folder, &[]);
        outcome.failed(status, words);
        assert_eq!(outcome.stdout, "");
    }
    fs::remove_file(folder.path().join("m.json")).unwrap();
    scan(&folder, &[]).failed(78, "a.conf:3: [test] file: m.json can't be read: No such file");
    scan(&folder, &["--file", "gone"]).failed(78, "--file gone: No such file");
    fs::write(folder.path().join("a.conf"), "[test]\ntype=fake\n").unwrap();
    scan(&folder, &[]).failed(78, "a.conf:1: [test] file: is missing; add it, or give --file");
    scan(&folder, &["-n", "x"]).failed(78, "there is no section [x]; there is test");
}
