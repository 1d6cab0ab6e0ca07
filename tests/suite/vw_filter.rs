//! vw-filter as its users meet it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde::de::IgnoredAny;
use vw::mapping::{Hypervisor, Reader};

use crate::support::{Outcome, Run};

mod lists;
mod odd;

fn filter(args: &[&str], stdin: impl Into<Vec<u8>>) -> Outcome {
    command(args).stdin(stdin).run()
}

fn command(args: &[&str]) -> Run {
    Run::new(env!("CARGO_BIN_EXE_vw-filter")).args(args)
}

/// A document in our layout, with an unknown member at every level, and numbers that a parser might change.
const MAPPING: &str = concat!(
    r#"{"hypervisors":[{"guests":[{"guestId":"here","state":1}]},"#,
    r#"{"uuid":"esx1","guests":[{"guestId":"g1","state":5,"attributes":{"active":0,"virtWhoType":"esx","x":1.10},"#,
    r#""name":"web","moref":"vm-1","uuid":"g9","x":1e400}],"facts":{"cpu.cpu_socket(s)":"2","x":0.10},"#,
    r#""name":"one.example.com","parent":{"id":"domain-c7","type":"ClusterComputeResource","name":"Cluster A","x":1E2},"x":-0},"#,
    r#"{"uuid":"esx2","guests":[],"name":"two.example.com"}],"#,
    r#""source":{"section":"prod","type":"esx","server":"vc.example.com","instanceUuid":"i","x":123456789012345678901},"#,
    r#""omitted":[{"kind":"host","id":"host-17","stage":"vw-scan-esx","reason":"no uuid","x":1.0}],"x":[1.0,{"y":null}]}"#,
    "\n"
);

const CHECKIN: &str = concat!(
    r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"esx1"},"name":"one","guestIds":[{"guestId":"g1","state":1}],"facts":{}},"#,
    r#"{"hypervisorId":{"hypervisorId":"esx2"},"name":"two","guestIds":[]}]}"#,
    "\n"
);

#[test]
fn without_rules_everything_passes_unchanged() {
    for document in [MAPPING, CHECKIN, "{\"hypervisors\":[]}\n"] {
        assert_eq!(filter(&[], document).quiet_success(), document);
    }
}

#[test]
fn indenting_changes_only_white_space() {
    for document in [MAPPING, CHECKIN, "{\"hypervisors\":[]}\n"] {
        let pretty = filter(&["--pretty"], document).quiet_success();
        assert!(pretty.starts_with("{\n  \"hypervisors\": ["), "{pretty}");
        assert!(pretty.ends_with("\n}\n"), "{pretty}");
        assert_eq!(filter(&["--pretty"], &*pretty).quiet_success(), pretty);
        assert_eq!(filter(&["--compact"], pretty).quiet_success(), document);
    }
}

#[test]
fn dropped_hosts_are_listed_in_omitted() {
    let outcome = filter(&["--exclude-hosts", "nobody, ESX1"], MAPPING);
    let warning = "vw-filter: warning: exclude_hosts has \"nobody\", which matches no hypervisor\n";
    assert_eq!((outcome.status, &*outcome.stderr), (0, warning));
    let stdout = outcome.stdout;
    assert!(!stdout.contains(r#""uuid":"esx1""#), "{stdout}");
    assert!(
        stdout.contains(r#"{"guests":[{"guestId":"here","state":1}]},{"uuid":"esx2""#),
        "{stdout}"
    );
    let appended = concat!(
        r#""reason":"no uuid","x":1.0},{"kind":"host","id":"esx1","name":"one.example.com","stage":"vw-filter","#,
        r#""reason":"exclude_hosts has \"ESX1\""}],"x":[1.0"#
    );
    assert!(stdout.contains(appended), "{stdout}");

    let without = filter(&["--exclude-hosts=esx1", "--no-omitted"], MAPPING).quiet_success();
    assert!(!without.contains("omitted"), "{without}");
    assert!(without.contains(r#""source":{"section""#), "{without}");
    assert!(without.contains(r#""unlisted":"vw-"#), "{without}");
}

#[test]
fn a_mapping_from_the_check_in_layout_says_that_nobody_knows_what_was_left_out() {
    let checkin = r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}]}"#;
    let mapping = filter(&["--layout=mapping"], checkin).quiet_success();
    let marked = r#"{"hypervisors":[{"uuid":"a","guests":[]}],"source":{"unlisted":"vw-filter"}}"#;
    assert_eq!(mapping.trim_end(), marked);
    // It stays as it is, and so does what is a mapping from the beginning.
    assert_eq!(filter(&[], marked).quiet_success().trim_end(), marked);
    let own = r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#;
    assert_eq!(filter(&["--layout=mapping"], own).quiet_success().trim_end(), own);
    assert_eq!(filter(&[], checkin).quiet_success().trim_end(), checkin);
}

#[test]
fn each_rule_keeps_the_hosts_that_it_describes() {
    let ids = |args: &[&str]| -> Vec<String> {
        // A pattern without a match is named; see below.
        let stdout = filter(&[args, &["-q"]].concat(), MAPPING).quiet_success();
        let mapping = Reader::new(stdout.as_bytes()).next_mapping().unwrap().unwrap();
        let id = |host: Hypervisor| host.id.unwrap_or("local".into());
        mapping.hypervisors.into_iter().map(id).collect()
    };
    assert_eq!(ids(&["--filter-hosts", "nobody"]), ["local"]);
    assert_eq!(
        ids(&["--filter-hosts", "esx?", "--exclude-hosts", "*1"]),
        ["local", "esx2"]
    );
    assert_eq!(
        ids(&["--filter-hosts", "esx1", "--filter-hosts", "esx2"]),
        ["local", "esx1", "esx2"]
    );
    assert_eq!(
        ids(&["--filter-hosts", "esx[1]", "--filter-type", "wildcards"]),
        ["local", "esx1"]
    );
    assert_eq!(
        ids(&["--filter-hosts", "e(?!sx1).*", "--filter-type", "regex"]),
        ["local", "esx2"]
    );
    assert_eq!(ids(&["--exclude-hosts", "*"]), ["local"]);
    assert_eq!(ids(&["--exclude-hosts", "two.*"]), ["local", "esx1", "esx2"]);
    assert_eq!(
        ids(&["--exclude-hosts", "two.*", "--match-names"]),
        ["local", "esx1"]
    );
    assert_eq!(ids(&["--filter-host-parents", "c7"]), ["local", "esx1"]);
    assert_eq!(ids(&["--filter-host-parents", "'cluster a'"]), ["local", "esx1"]);
    assert_eq!(ids(&["--exclude-host-parents", "domain-*"]), ["local", "esx2"]);
}

#[test]
fn the_other_layout_has_the_same_members_under_its_names() {
    let expected = concat!(
        r#"{"hypervisors":[{"guestIds":[{"guestId":"here","state":1}]},"#,
        r#"{"hypervisorId":{"hypervisorId":"esx1"},"#,
        r#""guestIds":[{"guestId":"g1","state":5,"attributes":{"active":0,"virtWhoType":"esx","x":1.10},"x":1e400}],"#,
        r#""facts":{"cpu.cpu_socket(s)":"2","x":0.10},"name":"one.example.com","x":-0}],"x":[1.0,{"y":null}]}"#,
        "\n"
    );
    let outcome = filter(&["--layout", "checkin", "--exclude-hosts", "esx2"], MAPPING);
    assert_eq!((outcome.status, &*outcome.stdout), (0, expected));
    let said = "vw-filter: the lists left out 1 of 2 hypervisors: two.example.com\n";
    assert_eq!(outcome.stderr, said, "this layout can't tell it");

    let back = filter(&["--layout=mapping", "--exclude-hosts=esx2"], CHECKIN).quiet_success();
    let expected = concat!(
        r#"{"hypervisors":[{"uuid":"esx1","name":"one","guests":[{"guestId":"g1","state":1}],"facts":{}}],"#,
        r#""source":{"unlisted":"vw-filter"},"#,
        r#""omitted":[{"kind":"host","id":"esx2","name":"two","stage":"vw-filter","reason":"exclude_hosts has \"esx2\""}]}"#,
        "\n"
    );
    assert_eq!(back, expected);
}

#[test]
fn a_hypervisor_without_an_id_is_left_out_and_named() {
    let entries = [
        (r#"{"uuid":"","guests":[],"name":"odd"}"#, "its id is empty"),
        (r#"{"uuid":null,"guests":[],"name":"odd"}"#, "its id is null"),
        (r#"{"guests":[],"name":"odd"}"#, "it has no id"),
        (
            r#"{"hypervisorId":{},"guestIds":[],"name":"odd"}"#,
            "it has no id",
        ),
        (
            r#"{"hypervisorId":{"hypervisorId":""},"guestIds":[],"name":"odd"}"#,
            "its id is empty",
        ),
    ];
    for (entry, reason) in entries {
        let document = format!("{{\"hypervisors\":[{entry},{{\"uuid\":\"esx1\",\"guests\":[]}}]}}");
        let outcome = filter(&[], document);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        assert!(
            outcome
                .stderr
                .starts_with("vw-filter: warning: host odd at byte 16: "),
            "{outcome:?}"
        );
        assert!(outcome.stderr.contains(reason), "{outcome:?}");
        let omitted = r#""omitted":[{"kind":"host","name":"odd","stage":"vw-filter","reason":"#;
        assert!(outcome.stdout.contains(omitted), "{outcome:?}");
        assert!(
            outcome.stdout.starts_with(r#"{"hypervisors":[{"uuid":"esx1""#),
            "{outcome:?}"
        );
    }
}

#[test]
fn each_document_is_handled_as_soon_as_it_comes() {
    let stream = format!("\u{feff}{MAPPING}{}\n\n{CHECKIN}", CHECKIN.trim_end());
    assert_eq!(
        filter(&[], stream).quiet_success(),
        format!("{MAPPING}{CHECKIN}{CHECKIN}")
    );

    let mut child = Command::new(env!("CARGO_BIN_EXE_vw-filter"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for document in [MAPPING, CHECKIN] {
        // The newline after the document has not been written yet.
        stdin.write_all(document.trim_end().as_bytes()).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, document);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_input_that_ends_early_is_named_and_leaves_no_document() {
    filter(&[], "").failed(66, "no input: the command before this one failed");
    filter(&[], " \n").failed(66, "no input: ");
    // The library has a test that cuts it at every byte.
    for length in [1, 15, 16, 17, 100, MAPPING.len() - 2] {
        let outcome = filter(&[], &MAPPING[..length]);
        outcome.failed(
            66,
            ", before a document was complete: the command before this one failed",
        );
        assert!(
            serde_json::from_str::<IgnoredAny>(&outcome.stdout).is_err(),
            "{outcome:?}"
        );
    }
    let second = format!("{MAPPING}{{\"hypervisors\":[");
    let outcome = filter(&[], second);
    outcome.failed(66, "before a document was complete");
    assert_eq!(outcome.stdout, MAPPING);
}

#[test]
fn an_input_that_is_no_mapping_is_refused_with_its_position() {
    let cases = [
        (
            "<html>",
            "not JSON: found \"<\" instead of a document's \"{\" at byte 0",
        ),
        ("[{\"hypervisors\":[]}]", "a document is not an object, at byte 0"),
        ("{}", "no member \"hypervisors\", at byte 0"),
        ("{\"state\":\"finished\"}", "no member \"hypervisors\""),
        (
            "{\"hypervisors\":{}}",
            "\"hypervisors\" is not a list, at byte 15",
        ),
        (
            "{\"hypervisors\":[3]}",
            "a hypervisor is not an object, at byte 16",
        ),
        ("{\"hypervisors\":[null]}", "a hypervisor is not an object"),
        ("{\"hypervisors\":[{\"uuid\":a}]}", "at byte 24"),
        (
            "{\"hypervisors\":[{\"uuid\":\"a\",\"guests\":[]},]}",
            "instead of a hypervisor at byte 41",
        ),
        (
            "{\"hypervisors\":[],\"hypervisors\":[]}",
            "two members \"hypervisors\"",
        ),
        (
            "{\"omitted\":[],\"hypervisors\":[],\"omitted\":[{\"kind\":\"host\"}]}",
            "two members \"omitted\"",
        ),
        (
            "{\"omitted\":[{}],\"hypervisors\":[],\"omitted\":[]}",
            "two members \"omitted\"",
        ),
        ("{\"hypervisors\":[]},", "at byte 18"),
        ("{\"hypervisors\":[]}garbage", "at byte 18"),
    ];
    for (input, words) in cases {
        filter(&[], input).failed(65, words);
    }
}

#[test]
fn a_document_that_is_too_large_or_too_deep_is_an_error() {
    let deep = format!("{{\"hypervisors\":[{{\"x\":{}", "[".repeat(1000));
    filter(&[], deep).failed(65, "deeper than 128 levels");
    let large = format!("{{\"hypervisors\":[{{\"uuid\":\"{}", "a".repeat(65 << 20));
    filter(&[], large).failed(65, "more than 64 MiB, at byte 16");
}

#[test]
fn a_parent_list_is_refused_if_no_host_has_a_parent() {
    for option in ["--filter-host-parents=c7", "--exclude-host-parents=c7"] {
        let outcome = filter(&[option], CHECKIN);
        outcome_failed_last(
            &outcome,
            65,
            "is set, but no hypervisor of the document has a \"parent\"",
        );
        assert!(
            serde_json::from_str::<IgnoredAny>(&outcome.stdout).is_err(),
            "{outcome:?}"
        );
    }
    let empty = "{\"hypervisors\":[]}\n";
    assert_eq!(
        filter(&["--filter-host-parents=c7"], empty).quiet_success(),
        empty
    );
}

/// The last line on stderr is the error; the lines before name what was left out.
#[track_caller]
fn outcome_failed_last(outcome: &Outcome, status: i32, words: &str) {
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert!(
        outcome.stderr.lines().last().unwrap_or_default().contains(words),
        "{outcome:?}"
    );
}

#[test]
fn rules_without_an_option_come_from_the_section() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.conf");
    let section = "[prod]\ntype=esx\nserver=vc\nowner=o\n";
    let run = |keys: &str, args: &[&str]| {
        std::fs::write(&file, format!("{section}{keys}")).unwrap();
        let config = format!("--config={}", file.display());
        filter(&[&[&*config], args].concat(), MAPPING)
    };
    let kept = |keys, args: &[&str]| {
        let stdout = run(keys, &[args, &["-q"]].concat()).quiet_success();
        ["esx1", "esx2"].map(|id| stdout.contains(&format!("\"uuid\":\"{id}\"")))
    };
    assert_eq!(kept("", &[]), [true, true]);
    assert_eq!(kept("filter_hosts=esx1", &[]), [true, false]);
    assert_eq!(kept("filter_hosts=esx1", &["-n", "prod"]), [true, false]);
    assert_eq!(kept("filter_hosts=esx1", &["--filter-hosts=esx2"]), [false, true]);
    assert_eq!(
        kept("filter_hosts=esx1", &["--exclude-hosts=esx1"]),
        [false, false]
    );
    assert_eq!(kept("exclude_host_parents=c7", &[]), [false, true]);
    assert_eq!(
        kept("filter_hosts=esx.\nfilter_type=wildcards", &[]),
        [false, false]
    );
    assert_eq!(kept("filter_hosts=esx.\nfilter_type=regex", &[]), [true, true]);
    assert_eq!(
        kept(
            "filter_hosts=esx.\nfilter_type=regex",
            &["--filter-type=wildcards"]
        ),
        [false, false]
    );

    run("filter_hosts=", &[]).failed(78, "a.conf:5: [prod] filter_hosts: is empty");
    run("filter_hosts=(a\nfilter_type=regex", &[]).failed(
        78,
        "filter_hosts: has \"(a\", which is not a valid regular expression",
    );
    run("filter_hosts=a\nfilter_type=glob", &[]).failed(78, "neither wildcards nor regex");
    run("filter_type=regex", &["--filter-hosts=(a"]).failed(64, "filter_hosts has \"(a\"");
    run("", &["-n", "test"]).failed(78, "there is no section [test]");
    let config = format!("--config={}", folder.path().join("none.conf").display());
    filter(&[&config, "-n", "prod"], MAPPING).failed(78, "none.conf");
}

#[test]
fn wrong_options_are_usage_errors() {
    filter(&["--filter-hosts", ""], MAPPING).failed(64, "filter_hosts is empty");
    filter(&["--filter-hosts", "''"], MAPPING).failed(64, "an empty pattern");
    filter(&["--filter-hosts", "'a"], MAPPING).failed(64, "--filter-hosts");
    filter(&["--filter-hosts", "*a", "--filter-type=regex"], MAPPING).failed(64, "\"*a\"");
    filter(&["--filter-type=glob"], MAPPING).failed(64, "--filter-type");
    filter(&["--pretty", "--compact"], MAPPING).failed(64, "--compact");
    filter(&["surplus"], MAPPING).failed(64, "surplus");
    let explosive = ["--filter-type=regex", "--filter-hosts", "(?:(a|aa)+)(?=[b-z]).*"];
    let document = format!(
        "{{\"hypervisors\":[{{\"uuid\":\"{}\",\"guests\":[]}}]}}",
        "a".repeat(60)
    );
    filter(&explosive, document).failed(64, "takes too long");
}

#[test]
fn an_unwritable_output_is_an_error_unless_the_reader_left() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    command(&[])
        .stdin(MAPPING)
        .run_with_stdout(full)
        .failed(74, "writing the output");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = command(&[]).stdin(MAPPING).run_with_stdout(writer);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
}

#[test]
fn a_pattern_that_matches_several_parents_is_pointed_out() {
    let host = |id: usize, parent: &str| {
        format!(
            r#"{{"uuid":"esx{id}","guests":[],"parent":{{"id":"{parent}","type":"ClusterComputeResource"}}}}"#
        )
    };
    let parents = ["domain-c7", "domain-c7", "domain-c71", "domain-c72", "domain-c8"];
    let hosts: Vec<String> = parents
        .iter()
        .enumerate()
        .map(|(n, parent)| host(n, parent))
        .collect();
    let document = format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","));
    let said = |list: &str| filter(&["--exclude-host-parents", list], &*document).stderr;
    assert_eq!(
        said("domain-c7"),
        "vw-filter: warning: exclude_host_parents has \"domain-c7\", which matches both domain-c7 and domain-c71; \
         write domain-c7$ to match the end of the id\n"
    );
    // A wildcard or an anchor is meant to match several.
    for list in ["domain-c7$", "domain-c*", "domain-c8"] {
        assert_eq!(said(list), "", "{list}");
    }
}
