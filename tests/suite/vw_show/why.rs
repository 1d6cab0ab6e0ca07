//! The answers of `vw-show --why`.

use std::sync::Arc;

use vw_sim::candlepin::{Candlepin, JobTime, Settings};
use vw_sim::http::Server;
use vw_sim::vcenter::Inventory;

use super::{MAPPING, show};
use crate::support::Run;
use crate::vw_scan_esx_options::Site;

fn why(text: &str) -> String {
    show(&["--why", text], MAPPING).quiet_success()
}

#[test]
fn why_says_where_a_guest_is_by_its_name_its_id_or_its_uuid_in_either_byte_order() {
    let expected = "\
section prod, vc.example.com, scanned 2026-08-01T12:00:00Z
guest web1 is on host esx1.example.com
  id: 564dae86-5aee-e348-8b8e-56d029eae0d7
  state: running
  managed object id: vm-1
  host id: 9705df9f-0000-1000-8000-000000000001
  cluster: Cluster A
";
    for text in [
        "web1",
        "WEB1",
        "vm-1",
        "564DAE86-5AEE-E348-8B8E-56D029EAE0D7",
        "564dae86",
        "5aee-e348",
    ] {
        assert_eq!(why(text), expected, "{text}");
    }
    let other = expected.to_owned() + "  its uuid is the one asked for, in the other byte order\n";
    for text in [
        "86ae4d56-ee5a-48e3-8b8e-56d029eae0d7",
        "86ae4d56ee5a48e38b8e56d029eae0d7",
        "86ae4d56",
        "56 4d ae 86 5a ee e3 48-8b 8e 56 d0 29 ea e0 d7",
    ] {
        let expected = if text.starts_with("56") { expected } else { &other };
        assert_eq!(why(text), expected, "{text}");
    }
}

#[test]
fn why_says_where_a_host_is_and_by_which_stage_and_why_it_was_left_out() {
    let host = why("esx1");
    assert!(
        host.contains("\nhost esx1.example.com is in the document\n  id: 9705df9f"),
        "{host}"
    );
    assert!(
        host.contains("\n  sockets: 3\n  guests: 3 (2 running, 1 shut off)\n"),
        "{host}"
    );
    assert!(
        !host.contains("esx17"),
        "a whole name is better than a part: {host}"
    );
    for text in ["esx17", "esx17.example.com", "host-17", "sx17"] {
        let scan = why(text);
        assert!(
            scan.contains("\nhost esx17.example.com was left out by vw-scan-esx: no hardware.systemInfo.uuid\n  id: host-17\n"),
            "{scan}"
        );
    }
    let filter = why("id-5");
    assert!(
        filter.contains("\nhost esx5.example.com was left out by vw-filter: exclude_hosts has \"esx5*\"\n"),
        "{filter}"
    );
    let cluster = why("クラスタ");
    assert!(
        cluster.contains("another member of these does:\nhost 東京ホスト or one of its guests\n"),
        "{cluster}"
    );
    let many = why("example");
    assert!(
        many.contains("host esx4.example.com is in") && many.contains("host esx5.example.com was left"),
        "{many}"
    );
}

#[test]
fn why_says_what_it_means_that_no_stage_saw_something() {
    let outcome = show(&["--why", "esx99"], MAPPING);
    assert_eq!((outcome.status, &*outcome.stderr), (1, ""));
    for words in [
        "not found: no name or id of the 4 hosts and 4 guests in this document contains \"esx99\", nor does any of the 2 in \"omitted\".\n",
        "\nSo no stage before this one saw it. Possible reasons:\n",
        "\n- The server does not show it to the account of the scan.",
    ] {
        assert!(outcome.stdout.contains(words), "{words}: {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("--guest-names"), "{}", outcome.stdout);
    let nameless = r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g","state":1}]}]}"#;
    let outcome = show(&["--why", "web1"], nameless);
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stdout.contains("scan with --guest-names"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains("--no-omitted"), "{}", outcome.stdout);
    let checkin = r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}]}"#;
    let outcome = show(&["--why", "web1"], checkin);
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stdout.contains("without --layout checkin"),
        "{}",
        outcome.stdout
    );
    show(&["--why", " "], MAPPING).failed(64, "--why needs a name, an id or a uuid");
}

#[test]
fn why_finds_what_no_reporter_can_use() {
    let document = r#"{"hypervisors":[{"uuid":"","name":"esx1","guests":[{"guestId":"g","name":"web1"}]}]}"#;
    for text in ["esx1", "web1"] {
        let outcome = show(&["--why", text, "-q"], document);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(
            outcome.stdout,
            "host esx1 is in the document (at byte 16), but no reporter can use it: its id is empty\n"
        );
    }
}

#[test]
fn why_answers_from_the_output_of_every_stage() {
    let site = Site::new(Inventory::new(3, 9));
    let scan = site.run(&["--guest-names"]).run().stdout;
    let filter = |args: &[&str]| {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-filter")).args(args);
        run.stdin(scan.clone()).run().stdout
    };
    let name = "esx1.example.com";
    let in_scan = show(&["--why", name], &*scan).quiet_success();
    assert!(
        in_scan.contains("host esx1.example.com is in the document\n"),
        "{in_scan}"
    );
    let dropped = filter(&["--exclude-hosts", "esx1.*", "--match-names"]);
    let in_filter = show(&["--why", name], &*dropped).quiet_success();
    assert!(
        in_filter.contains("host esx1.example.com was left out by vw-filter: exclude_hosts has \"esx1.*\"\n"),
        "{in_filter}"
    );
    let checkin = filter(&["--layout", "checkin"]);
    let in_checkin = show(&["--why", name], &*checkin).quiet_success();
    assert!(
        in_checkin.contains("host esx1.example.com is in the document\n"),
        "{in_checkin}"
    );
}

/// The result of a report with two hosts that have one id, and a third.
fn result_of_a_report() -> String {
    let settings = Settings {
        job_time: JobTime::Polls(0),
        ..Settings::default()
    };
    let server = Server::start(Arc::new(Candlepin::new(settings)), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "sim-secret\n").unwrap();
    let document = concat!(
        r#"{"hypervisors":[{"uuid":"dup","name":"esx1.example.com","guests":[]},"#,
        r#"{"uuid":"dup","name":"esx17.example.com","guests":[]},{"uuid":"id-3","name":"esx3","guests":[]}]}"#
    );
    let report = Run::new(env!("CARGO_BIN_EXE_vw-report-candlepin"))
        .env("VW_CONFIG", "/dev/null")
        .args(["--server", &format!("{}/candlepin", server.url())])
        .args(["--owner", "sim", "--username", "sim", "--password-file"])
        .args([password])
        .stdin(document)
        .run();
    assert_eq!(report.status, 65, "{report:?}");
    report.stdout
}

#[test]
fn why_answers_from_the_results_of_a_reporter() {
    let results = result_of_a_report();
    let found = show(&["--why", "esx17"], &*results).quiet_success();
    let (heading, answer) = found.split_once('\n').unwrap();
    assert!(
        heading.starts_with("report to http") && heading.ends_with(": partial"),
        "{found}"
    );
    assert_eq!(
        answer,
        "esx17.example.com was not reported as it is: 2 hypervisors have this id, ignoring case\n  id: dup\n"
    );
    let other = show(&["--why", "esx3"], &*results);
    assert_eq!((other.status, &*other.stderr), (1, ""));
    assert!(
        other
            .stdout
            .contains("not found: \"esx3\" is not among what failed.")
            && other
                .stdout
                .contains("(3 hosts and 0 guests, 2 left out): ask the reporter's input.\n"),
        "{}",
        other.stdout
    );
    // The log of many runs.
    let both = show(&["--why", "esx1"], results.repeat(2)).quiet_success();
    assert_eq!(
        both.matches("esx1.example.com was not reported").count(),
        2,
        "{both}"
    );
    let failed = r#"{"time":"t","section":null,"server":"s","owner":null,"state":"failed","error":"connection refused","hypervisors":1,"guests":0,"omitted":0,"failed":[],"jobs":[],"seconds":1}"#;
    let all = show(&["--why", "esx1"], failed);
    assert_eq!(all.status, 1);
    assert!(
        all.stdout
            .ends_with("the report failed, with all that was in it: connection refused\n"),
        "{all:?}"
    );
    show(&["--why", "esx1"], &results[..40]).failed(65, "line 1 of the input is not a reporter's result: ");
    show(&[], &*results).failed(65, "the input is not a mapping");
}
