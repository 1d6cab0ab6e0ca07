//! vw-show as its users meet it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use unicode_width::UnicodeWidthStr;

use crate::support::{Outcome, Run};

mod page;
mod why;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-show");

fn command(args: &[&str]) -> Run {
    Run::new(PROGRAM).args(args)
}

fn show(args: &[&str], stdin: impl Into<Vec<u8>>) -> Outcome {
    command(args).stdin(stdin).run()
}

/// Two clusters, a host outside them, a wide and a right-to-left name, hostile names, and what two stages left out.
const MAPPING: &str = concat!(
    r#"{"hypervisors":["#,
    r#"{"uuid":"9705df9f-0000-1000-8000-000000000001","name":"esx1.example.com","guests":["#,
    r#"{"guestId":"564dae86-5aee-e348-8b8e-56d029eae0d7","name":"web1","moref":"vm-1","state":1,"attributes":{"active":1,"virtWhoType":"esx"}},"#,
    r#"{"guestId":"g2","name":"=cmd|'/c calc'!A1","state":5,"attributes":{"active":0,"virtWhoType":"esx"}},"#,
    r#"{"guestId":"g3","name":"a\u001b[2J\u202eb\nc","state":1}],"#,
    r#""facts":{"cpu.cpu_socket(s)":"3","hypervisor.cluster":"Cluster A"}},"#,
    r#"{"uuid":"id-2","name":"東京ホスト","guests":[{"guestId":"g4","name":"db","state":3}],"#,
    r#""facts":{"cpu.cpu_socket(s)":"2","hypervisor.cluster":"クラスタ"}},"#,
    r#"{"uuid":"id-3","name":"שלום","guests":[],"facts":{"cpu.cpu_socket(s)":"1"}},"#,
    r#"{"uuid":"id-4","name":"esx4.example.com","guests":[],"facts":{"hypervisor.cluster":"Cluster A"}}],"#,
    r#""source":{"section":"prod","type":"esx","server":"vc.example.com","time":"2026-08-01T12:00:00Z"},"#,
    r#""omitted":[{"kind":"host","id":"host-17","name":"esx17.example.com","stage":"vw-scan-esx","reason":"no hardware.systemInfo.uuid"},"#,
    r#"{"kind":"host","id":"id-5","name":"esx5.example.com","stage":"vw-filter","reason":"exclude_hosts has \"esx5*\""}]}"#,
    "\n"
);

#[test]
fn the_table_has_the_hosts_and_what_is_in_the_document() {
    let expected = "\
NAME              ID                                    CLUSTER    SOCKETS  GUESTS  STATES
esx1.example.com  9705df9f-0000-1000-8000-000000000001  Cluster A        3       3  2 running, 1 shut off
esx4.example.com  id-4                                  Cluster A        ?       0
שלום              id-3                                                   1       0
東京ホスト        id-2                                  クラスタ         2       1  1 paused

section prod, vc.example.com, scanned 2026-08-01T12:00:00Z
4 hosts, 6 sockets, sockets unknown: 1 host, 4 guests (2 running, 1 paused, 1 shut off)
2 left out: vw-show --summary lists the reasons, --why NAME explains one
";
    assert_eq!(show(&[], MAPPING).quiet_success(), expected);
}

/// The first words of a table's rows.
fn first_words(text: &str) -> Vec<&str> {
    let rows = text.lines().skip(1).take_while(|line| !line.is_empty());
    rows.map(|row| row.split("  ").next().unwrap()).collect()
}

#[test]
fn rows_are_sorted_by_any_column_and_selected_by_any_text() {
    let hosts = |args: &[&str]| -> Vec<String> {
        let text = show(args, MAPPING).quiet_success();
        first_words(&text).into_iter().map(str::to_owned).collect()
    };
    let (one, four, rtl, wide) = ("esx1.example.com", "esx4.example.com", "שלום", "東京ホスト");
    assert_eq!(hosts(&["--sort", "sockets"]), [four, rtl, wide, one]);
    assert_eq!(hosts(&["--sort", "sockets", "-r"]), [one, wide, rtl, four]);
    assert_eq!(hosts(&["--sort=guests", "--reverse"]), [one, wide, four, rtl]);
    assert_eq!(hosts(&["--sort", "Cluster"]), [rtl, one, four, wide]);
    assert_eq!(hosts(&["--match", "cluster a"]), [one, four]);
    assert_eq!(hosts(&["-m", "PAUSED"]), [wide]);
    let none = show(&["--match", "nothing"], MAPPING).quiet_success();
    assert!(none.starts_with("0 of 4 hosts shown\nsection prod"), "{none}");
    show(&["--sort", "colour"], MAPPING).failed(
        64,
        "--sort colour: the table's columns are name, id, cluster, sockets, guests, states",
    );
}

#[test]
fn guests_are_listed_with_their_hosts() {
    let text = show(&["--guests", "--match", "esx1", "--sort", "state"], MAPPING).quiet_success();
    let expected = "\
NAME               ID                                    STATE     HOST              CLUSTER
a [2J b, c         g3                                    running   esx1.example.com  Cluster A
web1               564dae86-5aee-e348-8b8e-56d029eae0d7  running   esx1.example.com  Cluster A
=cmd|'/c calc'!A1  g2                                    shut off  esx1.example.com  Cluster A

3 of 4 guests shown
";
    assert!(text.starts_with(expected), "{text}");
    let nameless = r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g","state":1}]},{"guests":[{"guestId":"h","state":5}]}]}"#;
    let text = show(&["--guests", "-m", "g"], nameless).quiet_success();
    assert!(text.starts_with("ID  STATE    HOST\ng   running  a\n"), "{text}");
    let local = show(&["--guests"], nameless).quiet_success();
    assert!(local.contains("h   shut off  this machine\n"), "{local}");
    assert!(
        local.ends_with("1 guest (1 running); this machine: 1 guest\n"),
        "{local}"
    );
}

#[test]
fn a_table_fits_the_terminal_whatever_the_names_are() {
    for columns in [50, 80, 200] {
        for args in [&["-q"][..], &["-q", "--guests"], &["-q", "--summary"]] {
            let shown = command(args)
                .env("NO_COLOR", "1")
                .stdin(MAPPING)
                .run_on_terminal(columns);
            assert_eq!(shown.status, 0, "{shown:?}");
            assert!(!shown.stdout.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
            for line in shown.stdout.lines() {
                assert!(line.width() <= columns.into(), "{columns} {args:?}: {line}");
            }
        }
    }
    // Nothing of a name or id is lost by breaking it.
    let shown = command(&["-q"])
        .env("NO_COLOR", "1")
        .stdin(MAPPING)
        .run_on_terminal(80)
        .stdout;
    assert!(shown.contains("\nesx1.         9705df9f-0000-1000-  "), "{shown}");
    assert!(shown.contains("\nexample.com   8000-000000000001  "), "{shown}");
}

#[test]
fn colours_are_for_terminals_of_users_who_want_them() {
    let on_terminal = |name: &str, value: &str| {
        let run = command(&[])
            .env("TERM", "xterm")
            .env("NO_COLOR", "")
            .env(name, value);
        run.stdin(MAPPING).run_on_terminal(120).stdout
    };
    let shown = on_terminal("TERM", "xterm");
    assert!(shown.contains("\u{1b}[1mNAME"), "{shown:?}");
    assert!(shown.contains("\u{1b}[33m2 left out"), "{shown:?}");
    assert!(!on_terminal("NO_COLOR", "1").contains('\u{1b}'));
    assert!(!on_terminal("TERM", "dumb").contains('\u{1b}'));
    assert!(!show(&[], MAPPING).quiet_success().contains('\u{1b}'));
}

#[test]
fn right_to_left_names_do_not_move_the_cells_beside_them() {
    let shown = command(&[]).stdin(MAPPING).run_on_terminal(120).stdout;
    assert!(shown.contains("\n\u{200e}שלום\u{200e}  "), "{shown:?}");
}

#[test]
fn csv_has_one_row_per_guest_and_one_for_a_host_without_guests() {
    let text = show(&["--csv"], MAPPING).quiet_success();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>().join(" "),
        "host host_id cluster cpu.cpu_socket(s) guest guest_id state active type moref uuid"
    );
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(rows.len(), 6);
    assert_eq!(text.lines().count(), 7, "a row is a line: {text}");
    assert_eq!(
        rows[0],
        [
            "esx1.example.com",
            "9705df9f-0000-1000-8000-000000000001",
            "Cluster A",
            "3",
            "web1",
            "564dae86-5aee-e348-8b8e-56d029eae0d7",
            "running",
            "1",
            "esx",
            "vm-1",
            ""
        ]
    );
    assert_eq!(rows[1][4], "'=cmd|'/c calc'!A1");
    assert_eq!(rows[2][4], "a [2J b c");
    assert_eq!(rows[4], ["שלום", "id-3", "", "1", "", "", "", "", "", "", ""]);
}

#[test]
fn the_summary_counts_socket_pairs_per_cluster_and_says_how() {
    let text = show(&["--summary"], MAPPING).quiet_success();
    let expected = "\
section prod, vc.example.com, scanned 2026-08-01T12:00:00Z

CLUSTER       HOSTS  EMPTY  SOCKETS  PAIRS  UNKNOWN  GUESTS  STATES
(no cluster)      1      1        1      1        0       0
Cluster A         2      1        3      2        1       3  2 running, 1 shut off
クラスタ          1      0        2      1        0       1  1 paused
total             4      2        6      4        1       4  2 running, 1 paused, 1 shut off

4 socket pairs, 6 sockets, sockets unknown: 1 host, without guests: 2 hosts
Socket pairs: each host's sockets (its fact cpu.cpu_socket(s)) divided by 2 and rounded up, then added.
Hosts whose sockets are unknown are in no number of sockets or pairs.

left out by vw-filter: 1 host: exclude_hosts has \"esx5*\"
left out by vw-scan-esx: 1 host: no hardware.systemInfo.uuid
";
    assert_eq!(text, expected);
}

#[test]
fn hosts_of_kubevirt_have_cpus_and_no_socket_pairs() {
    let document = |source: &str| {
        format!(
            r#"{{"hypervisors":[{{"uuid":"n1","guests":[],"facts":{{"cpu.cpu_socket(s)":"8"}}}}]{source}}}"#
        )
    };
    let kubevirt = document(r#","source":{"type":"kubevirt"}"#);
    let text = show(&["--summary"], &*kubevirt).quiet_success();
    assert!(
        text.contains("\ntotal             1      1   8 CPUs      -        0"),
        "{text}"
    );
    assert!(
        text.contains("\n0 socket pairs, 0 sockets, 8 CPUs of 1 host,"),
        "{text}"
    );
    assert!(text.contains("\nKubeVirt counts CPUs, not sockets"), "{text}");
    let table = show(&[], &*kubevirt).quiet_success();
    assert!(table.contains("\nn1   8 CPUs       0\n"), "{table}");
    let other = show(&["--summary"], document("")).quiet_success();
    assert!(
        other.contains("\n4 socket pairs, 8 sockets, without guests: 1 host\n"),
        "{other}"
    );
}

#[test]
fn each_document_of_a_stream_is_shown_as_soon_as_it_is_complete() {
    let (mut child, mut stdin) = command(&[]).stdin(MAPPING).start(Stdio::inherit());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The input is still open.
    let first: Vec<String> = lines.by_ref().map(Result::unwrap).take(9).collect();
    assert!(first[8].starts_with("2 left out"), "{first:?}");
    stdin.write_all(br#"{"hypervisors":[]}"#).unwrap();
    drop(stdin);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest, ["", "0 hosts, 0 sockets, 0 guests"]);
    assert!(child.wait().unwrap().success());

    let twice = MAPPING.repeat(2);
    let csv = show(&["--csv"], &*twice).quiet_success();
    assert_eq!(csv.matches("host_id").count(), 1, "{csv}");
    assert_eq!(csv.lines().count(), 13);
    let both = MAPPING.replace("web1", "web2") + MAPPING;
    let found = show(&["--why", "web1"], both);
    assert_eq!(found.status, 0, "{found:?}");
    assert!(
        found.stdout.contains("not found") && found.stdout.contains("guest web1 is on"),
        "{found:?}"
    );
}

#[test]
fn bad_input_is_refused_in_one_line_and_faults_are_named() {
    for args in [
        &[][..],
        &["--guests"],
        &["--csv"],
        &["--summary"],
        &["--why", "x"],
        &["--html"],
    ] {
        show(args, "").failed(66, "no input: the command before this one failed");
        show(args, &MAPPING[..300]).failed(66, "before a document was complete");
        show(args, "<html>").failed(65, "the input is not JSON");
        let full = command(args)
            .stdin(MAPPING)
            .run_with_stdout(File::create("/dev/full").unwrap());
        full.failed(74, "writing to stdout: No space left on device");
    }
    show(&["--csv", "--html"], MAPPING).failed(64, "cannot be used with");
    show(&["--csv", "--sort", "id"], MAPPING).failed(64, "cannot be used with");
    let faulty = r#"{"hypervisors":[{"uuid":"","name":"odd","guests":[]},{"uuid":"a","guests":[{"guestId":"g","state":9},{}]}]}"#;
    let outcome = show(&[], faulty);
    assert_eq!(outcome.status, 0);
    assert!(
        outcome
            .stderr
            .contains("host odd at byte 16: its id is empty; no reporter can use it"),
        "{outcome:?}"
    );
    assert!(
        outcome
            .stderr
            .contains("it has no guestId; no reporter can use it"),
        "{outcome:?}"
    );
    assert_eq!(outcome.stderr.lines().count(), 3, "{outcome:?}");
    assert!(outcome.stdout.contains("\n2 left out: "), "{outcome:?}");
}

#[test]
fn it_ends_quietly_when_its_reader_goes() {
    for args in [&["--csv"][..], &["--html"], &["--guests"]] {
        let (mut child, mut stdin) = command(args).start(Stdio::piped());
        drop(child.stdout.take());
        let big = format!("{}\n", MAPPING.trim_end()).repeat(2000);
        let _ = stdin.write_all(big.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), output.stderr),
            (Some(0), Vec::new()),
            "{args:?}"
        );
    }
}

/// A document with this many guests on each of the hosts.
fn large(hosts: usize, guests: usize) -> String {
    let guest = |host: usize, n: usize| {
        format!(
            r#"{{"guestId":"guest-{host}-{n}","name":"vm{host}-{n}","state":{}}}"#,
            n % 8
        )
    };
    let host = |host: usize| {
        let guests: Vec<String> = (0..guests).map(|n| guest(host, n)).collect();
        format!(
            r#"{{"uuid":"id-{host}","name":"esx{host}.example.com","guests":[{}],"facts":{{"cpu.cpu_socket(s)":"2"}}}}"#,
            guests.join(",")
        )
    };
    let hosts: Vec<String> = (0..hosts).map(host).collect();
    format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","))
}

#[test]
fn what_is_streamed_does_not_grow_with_the_document() {
    let document = large(1000, 20);
    for args in [
        &["--csv"][..],
        &["--summary"],
        &["--why", "vm999-19"],
        &["--html"],
    ] {
        let memory = |document: &str| {
            let (outcome, used) = command(args).stdin(document).measured();
            assert_eq!(outcome.status, 0, "{args:?}: {}", outcome.stderr);
            used.memory
        };
        let (small, all) = (memory(&document), memory(&document.repeat(10)));
        assert!(all < small.max(8 << 20) + (8 << 20), "{args:?}: {small} {all}");
    }
}

#[test]
fn a_document_without_end_is_refused_where_memory_would_grow() {
    let run = |args: &[&str]| {
        let (mut child, mut stdin) = command(args).start(Stdio::piped());
        let mut stdout = child.stdout.take().unwrap();
        let reading = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let hypervisor = format!(r#"{{"uuid":"a","guests":[],"x":"{}"}},"#, "x".repeat(32 << 20));
        stdin.write_all(br#"{"hypervisors":["#).unwrap();
        let mut written = 0;
        while written < 9 && stdin.write_all(hypervisor.as_bytes()).is_ok() {
            written += 1;
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        reading.join().unwrap().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for args in [&[][..], &["--summary"], &["--html"]] {
        let (status, stderr) = run(args);
        assert_eq!(status, 65, "{args:?}: {stderr}");
        assert!(
            stderr.contains("a document of more than 256 MiB"),
            "{args:?}: {stderr}"
        );
    }
    // It goes on to the end of the input.
    assert_eq!(run(&["--csv"]).0, 66);
}
