//! vw-diff as its users meet it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use vw_sim::vcenter::Inventory;

use crate::support::{Outcome, Run, ended, is_utc, signals};
use crate::vw_scan_esx::{PROGRAM as SCAN, Site};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-diff");

const OLD: &str = r#"{"hypervisors":[
  {"uuid":"A","name":"esx1","facts":{"cpu.cpu_socket(s)":"2"},"guests":[
     {"guestId":"g1","state":1},{"guestId":"g2","state":5,"name":"web"},{"guestId":"g3","state":1}]},
  {"uuid":"b","name":"esx2","guests":[{"guestId":"g4","state":1}]}],"source":{"section":"prod"}}"#;

const NEW: &str = r#"{"hypervisors":[
  {"uuid":"a","name":"esx1","facts":{"cpu.cpu_socket(s)":"4"},"guests":[
     {"guestId":"g1","state":5},{"guestId":"G2","state":1,"name":"web"}]},
  {"uuid":"c","name":"esx3","guests":[{"guestId":"g3","state":1},{"guestId":"g5"}]}],"source":{"section":"prod"}}"#;

const WORDS: &str = "\
host came: esx3 (c) with 2 guests
host went: esx2 (b)
host changed: esx1 (a): cpu.cpu_socket(s) 2 -> 4
guest came: g5 on esx3
guest went: g4 from esx2
guest moved: g3 from esx1 to esx3
guest changed: g1 on esx1: state running -> shut off
guest changed: web (G2) on esx1: state shut off -> running
";

/// A folder with the files `old` and `new`.
fn place(old: &str, new: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), old).unwrap();
    fs::write(folder.path().join("new"), new).unwrap();
    folder
}

fn diff(folder: &TempDir, args: &[&str]) -> Run {
    Run::new(PROGRAM).folder(folder.path()).args(args)
}

fn between(old: &str, new: &str, options: &[&str]) -> Outcome {
    diff(&place(old, new), &[&["old", "new"], options].concat()).run()
}

/// The only line of JSON.
fn document(outcome: &Outcome) -> Value {
    assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn differences_are_told_in_words_and_the_status_is_1() {
    let outcome = between(OLD, NEW, &[]);
    assert_eq!(
        (outcome.status, &*outcome.stdout, &*outcome.stderr),
        (1, WORDS, "")
    );
    let outcome = between(OLD, NEW, &["--summary"]);
    assert_eq!(outcome.status, 1);
    assert_eq!(
        outcome.stdout,
        "hosts: 1 came, 1 went, 1 changed; guests: 1 came, 1 went, 1 moved, 2 changed\n"
    );
}

#[test]
fn mappings_that_are_the_same_print_nothing_and_end_with_0() {
    // The other layout, in another order, indented, with ids in another case and without states.
    let other = r#"{"omitted": [], "hypervisors": [
        {"guestIds": [{"guestId": "G4"}], "hypervisorId": {"hypervisorId": "B"}},
        {"guestIds": [{"guestId": "G3"}, {"guestId": "g1"}, {"guestId": "G2"}],
         "hypervisorId": {"hypervisorId": "a"}, "facts": {"cpu.cpu_socket(s)": 2}}]}"#;
    assert_eq!(between(OLD, other, &[]).quiet_success(), "");
    assert_eq!(
        between(other, OLD, &["--summary"]).quiet_success(),
        "no differences\n"
    );
    let empty = json!({"hosts": {"came": [], "went": [], "changed": []},
                       "guests": {"came": [], "went": [], "moved": [], "changed": []}});
    let outcome = between(other, OLD, &["--json"]);
    assert_eq!((outcome.status, document(&outcome)), (0, empty));
}

#[test]
fn json_has_ids_names_and_the_old_and_the_new_value() {
    let outcome = between(OLD, NEW, &["--json"]);
    assert_eq!(outcome.status, 1);
    let expected = json!({
        "hosts": {"came": [{"id": "c", "name": "esx3"}], "went": [{"id": "b", "name": "esx2"}],
                  "changed": [{"id": "a", "name": "esx1", "what": {"cpu.cpu_socket(s)": ["2", "4"]}}]},
        "guests": {"came": [{"guestId": "g5", "host": "c"}], "went": [{"guestId": "g4", "host": "b"}],
                   "moved": [{"guestId": "g3", "host": "c", "from": "A", "to": "c"}],
                   "changed": [{"guestId": "g1", "host": "a", "what": {"state": [1, 5]}},
                               {"guestId": "G2", "name": "web", "host": "a", "what": {"state": [5, 1]}}]}});
    assert_eq!(document(&outcome), expected);
    let outcome = between(OLD, NEW, &["--json", "--summary"]);
    let expected = json!({"hosts": {"came": 1, "went": 1, "changed": 1},
                          "guests": {"came": 1, "went": 1, "moved": 1, "changed": 2}});
    assert_eq!(document(&outcome), expected);
}

#[test]
fn either_side_may_be_stdin_but_not_both() {
    let folder = place(OLD, NEW);
    for (args, input) in [(["-", "new"], OLD), (["old", "-"], NEW)] {
        let outcome = diff(&folder, &args).stdin(input).run();
        assert_eq!((outcome.status, &*outcome.stdout), (1, WORDS), "{args:?}");
    }
    diff(&folder, &["-", "-"])
        .run()
        .failed(64, "only one of OLD and NEW can be stdin");
    diff(&folder, &["old"]).run().failed(64, "<NEW>");
    diff(&folder, &["--follow", "old", "new"])
        .run()
        .failed(64, "--follow");
    diff(&folder, &["--follow", "-"])
        .run()
        .failed(64, "OLD must be a file");
}

#[test]
fn input_that_is_missing_cut_or_no_mapping_is_no_difference() {
    for (new, status, words) in [
        ("", 66, "new: no input"),
        (
            &NEW[..150],
            66,
            "new: the input ended at byte 150, before a document was complete",
        ),
        ("[]", 65, "new: the input is not a mapping"),
        ("hosts", 65, "new: the input is not JSON"),
    ] {
        let outcome = between(OLD, new, &[]);
        outcome.failed(status, words);
        assert_eq!(outcome.stdout, "");
    }
    let folder = place(OLD, NEW);
    diff(&folder, &["old", "gone"])
        .run()
        .failed(74, "gone: No such file or directory");
    diff(&folder, &["old", "."])
        .run()
        .failed(74, ".: reading the input: Is a directory");
    let advice = "no input: the command before this one failed; see its message";
    diff(&folder, &["old", "-"]).run().failed(66, advice);
    diff(&folder, &["--follow"]).run().failed(66, advice);
}

#[test]
fn a_process_substitution_that_fails_is_named_as_the_cause() {
    let folder = place(OLD, NEW);
    let script = format!("{PROGRAM} <(cat old) <(cat new) --summary; {PROGRAM} old <(false)");
    let outcome = Run::new("bash").args(["-c", &script]).folder(folder.path()).run();
    assert_eq!(outcome.status, 66);
    assert!(outcome.stdout.starts_with("hosts: 1 came"), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .ends_with("the command in <(...) failed; see its message\n"),
        "{outcome:?}"
    );
}

#[test]
fn what_is_unusable_is_named_and_not_compared() {
    let odd =
        r#"{"hypervisors":[{"uuid":""},{"uuid":"a","guests":[{"guestId":"g1","state":9},{"state":1}]}]}"#;
    let even = r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g1","state":1}]}]}"#;
    let outcome = between(odd, even, &[]);
    assert_eq!((outcome.status, &*outcome.stdout), (0, ""));
    let warnings: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(warnings.len(), 3, "{outcome:?}");
    assert!(
        warnings
            .iter()
            .all(|line| line.starts_with("vw-diff: warning: old: ")),
        "{outcome:?}"
    );
    assert!(
        warnings[0].ends_with("its id is empty; it is not compared"),
        "{outcome:?}"
    );
}

#[test]
fn names_cannot_control_a_terminal_or_break_a_line() {
    let hostile = r#"{"hypervisors":[{"uuid":"x\n\u001b[2J\u202e","name":"a\nguest went: b","guests":[]}]}"#;
    let empty = r#"{"hypervisors":[]}"#;
    let outcome = between(empty, hostile, &[]);
    assert_eq!(
        outcome.stdout,
        "host came: a guest went: b (x  [2J ) with 0 guests\n"
    );
    let shown = diff(&place(empty, hostile), &["old", "new", "--json"]).run_on_terminal(80);
    assert!(!shown.stdout.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[test]
fn a_full_disk_is_an_error_and_a_missing_reader_is_not() {
    let folder = place(OLD, NEW);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = diff(&folder, &["old", "new"]).run_with_stdout(full);
    outcome.failed(74, "No space left on device");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = diff(&folder, &["old", "new"]).run_with_stdout(writer);
    assert_eq!(
        (outcome.status, &*outcome.stderr),
        (1, ""),
        "the status is the answer"
    );
}

#[test]
fn of_several_documents_of_a_source_the_last_counts_and_sources_are_compared_together() {
    let one = |section: &str, guest: &str| {
        format!(
            r#"{{"hypervisors":[{{"uuid":"{section}","guests":[{{"guestId":"{guest}"}}]}}],"source":{{"section":"{section}"}}}}"#
        )
    };
    let old = one("a", "x") + &one("b", "y") + &one("a", "g");
    let new = one("b", "g") + &one("a", "y");
    let outcome = between(&old, &new, &[]);
    assert_eq!(
        outcome.stdout,
        "guest moved: g from a to b\nguest moved: y from b to a\n"
    );
}

#[test]
fn each_document_of_a_stream_is_compared_with_the_one_before_as_it_comes() {
    let (mut child, mut stdin) = Run::new(PROGRAM)
        .args(["--follow", "--json"])
        .stdin(OLD)
        .start(Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = |document: &str| -> Value {
        // The stream stays open, so the line shows that nothing waits for its end.
        stdin.write_all(document.as_bytes()).unwrap();
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
    };
    let there = next(NEW);
    assert!(is_utc(there["time"].as_str().unwrap()));
    assert_eq!(
        (&there["section"], &there["guests"]["moved"][0]["to"]),
        (&json!("prod"), &json!("c"))
    );
    // An unchanged document prints nothing.
    let back = next(&format!("{NEW}{OLD}"));
    assert_eq!(back["guests"]["moved"][0]["to"], "A");
    drop(stdin);
    assert!(lines.next().is_none());
    assert_eq!(ended(&mut child).unwrap().code(), Some(1));
}

#[test]
fn what_happens_in_a_vcenter_is_told_as_it_happens() {
    let site = Site::new(Inventory::new(2, 4));
    let folder = place(&site.scan(&[]).quiet_success(), "");
    let watch = Command::new(SCAN)
        .args(site.options())
        .args(["--watch", "--settle", "0", "--guest-names"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut watch = watch.unwrap();
    let diff = Command::new(PROGRAM)
        .args(["--follow", "old"])
        .current_dir(&folder)
        .stdin(watch.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .spawn();
    let mut diff = diff.unwrap();
    let mut lines = BufReader::new(diff.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    site.vcenter.change(|inventory| {
        let (vm, _) = inventory.vms().next().unwrap();
        inventory.vm_mut(vm).name = Some("web".into());
        inventory.vm_mut(vm).power = Some("suspended".into());
    });
    let line = next();
    assert!(
        line.contains(" guest changed: web (") && line.ends_with("-> paused"),
        "{line}"
    );
    site.vcenter.change(|inventory| {
        let (vm, _) = inventory.vms().next().unwrap();
        inventory.remove_vm(vm);
    });
    let line = next();
    assert!(line.contains(" guest went: web ("), "{line}");
    signals::send(&watch, "TERM");
    assert_eq!(ended(&mut watch).unwrap().code(), Some(143));
    assert_eq!(ended(&mut diff).unwrap().code(), Some(1));
}

#[test]
fn a_stream_tells_the_time_and_the_section_and_keeps_sources_apart() {
    let folder = place(OLD, NEW);
    let other = OLD.replace("prod", "other");
    let stream = format!("{OLD}{other}{NEW}{other}");
    let outcome = diff(&folder, &["--follow", "--summary"]).stdin(stream).run();
    assert_eq!(
        (outcome.status, outcome.stdout.lines().count()),
        (1, 1),
        "{outcome:?}"
    );
    let (moment, rest) = outcome.stdout.split_once(" prod: ").unwrap();
    assert!(
        moment.len() == "2026-08-01 12:00:07".len() && rest.starts_with("hosts: 1 came"),
        "{outcome:?}"
    );
    // A first document is compared with OLD, whichever source that is of.
    let outcome = diff(&folder, &["--follow", "old"])
        .stdin(NEW.replace("prod", "other"))
        .run();
    assert_eq!(outcome.stdout.lines().count(), WORDS.lines().count());
    let outcome = diff(&folder, &["--follow", "old"])
        .stdin(format!("{OLD}{OLD}"))
        .run();
    assert_eq!(outcome.quiet_success(), "");
    let outcome = diff(&folder, &["--follow"])
        .stdin(format!("{OLD}{NEW}{}", &OLD[..100]))
        .run();
    assert_eq!(
        (outcome.status, outcome.stdout.lines().count()),
        (66, WORDS.lines().count())
    );
}

#[test]
fn a_stream_ends_when_nobody_reads_the_differences() {
    let (mut child, stdin) = Run::new(PROGRAM)
        .args(["--follow"])
        .stdin(OLD)
        .start(Stdio::piped());
    drop(child.stdout.take());
    assert_eq!(ended(&mut child).unwrap().code(), Some(0));
    drop(stdin);
}

#[test]
fn a_large_inventory_takes_little_memory() {
    let document = |shift: usize| {
        let host = |host: usize| {
            let guest = |guest: usize| {
                let id = (host * 20 + guest + shift) % 100_000;
                format!(
                    r#"{{"guestId":"{id:08x}-0000-4000-8000-000000000000","state":{},"attributes":{{"active":1,"virtWhoType":"esx"}}}}"#,
                    id % 2 * 4 + 1
                )
            };
            let guests: Vec<String> = (0..20).map(guest).collect();
            format!(
                r#"{{"uuid":"{host:08x}-1111-4000-8000-000000000000","guests":[{}],"facts":{{"cpu.cpu_socket(s)":"2","hypervisor.type":"VMware ESXi"}},"name":"esx{host}.example.com"}}"#,
                guests.join(",")
            )
        };
        let hosts: Vec<String> = (0..5_000).map(host).collect();
        format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","))
    };
    let folder = place(&document(0), &document(1));
    let (outcome, used) = diff(&folder, &["old", "new", "--summary"]).measured();
    assert_eq!(outcome.stdout, "guests: 5000 moved\n");
    // Two documents of 12 MB each.
    assert!(used.memory < 48 << 20, "{} MiB", used.memory >> 20);
}
