//! Hypervisors, guests and facts that are not what they should be, and much of what there should be little of.

use super::*;

/// A document with one hypervisor, in which only these members are odd.
fn document_of(guests: &str, facts: &str) -> String {
    format!(r#"{{"hypervisors":[{{"uuid":"esx1","guests":{guests},"facts":{facts}}}]}}"#) + "\n"
}

#[test]
fn states_and_facts_that_are_wrong_pass_as_written_with_a_warning() {
    for state in ["99", "-1", "1.5", "\"1\"", "\"running\"", "null", "1,\"state\":5"] {
        let document = document_of(&format!(r#"[{{"guestId":"g1","state":{state}}}]"#), "{}");
        let outcome = filter(&[], &*document);
        assert_eq!((outcome.status, &*outcome.stdout), (0, &*document));
        assert!(
            outcome
                .stderr
                .starts_with("vw-filter: warning: host esx1 at byte 16: guest g1: it"),
            "{outcome:?}"
        );
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
    for (facts, words) in [
        (r#"{"a":"1","a":"2"}"#, "the fact a is there twice"),
        (r#"{"a":"\ud800"}"#, "the fact a is not valid text"),
        (
            r#"{"\ud800":"a","b":"1"}"#,
            "the name of a fact is not valid text",
        ),
    ] {
        let document = document_of("[]", facts);
        let outcome = filter(&[], &*document);
        assert_eq!((outcome.status, &*outcome.stdout), (0, &*document));
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
    // These are as they should be.
    let document = document_of(
        r#"[{"guestId":"g1","state":1.0},{"guestId":"g2"},{"guestId":"g3","state":7}]"#,
        r#"{"a":"\ud83d\ude00","b":"\\","c":1}"#,
    );
    assert_eq!(filter(&[], &*document).quiet_success(), document);
}

#[test]
fn a_hypervisor_without_a_list_of_guests_is_left_out_and_named() {
    for (entry, words) in [
        (r#"{"uuid":"esx1"}"#, "it has no list of guests"),
        (r#"{"uuid":"esx1","guests":null}"#, "its guests are not a list"),
        (
            r#"{"uuid":"esx1","guests":[],"guestIds":[]}"#,
            "it has both \"guests\" and \"guestIds\"",
        ),
    ] {
        let document = format!(r#"{{"hypervisors":[{entry},{{"uuid":"esx2","guests":[]}}]}}"#);
        let outcome = filter(&[], document);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let warning = format!("vw-filter: warning: host esx1 at byte 16: {words}; it is left out\n");
        assert_eq!(outcome.stderr, warning);
        assert!(
            outcome.stdout.starts_with(
                r#"{"hypervisors":[{"uuid":"esx2","guests":[]}],"omitted":[{"kind":"host","id":"esx1""#
            ),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_repeated_flaw_is_named_ten_times_and_counted() {
    let guests = format!("[{}{{\"guestId\":\"g\",\"state\":1}}]", "{},".repeat(5000));
    let outcome = filter(&[], document_of(&guests, "{}"));
    assert_eq!(outcome.status, 0);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 11, "{}", outcome.stderr);
    assert!(
        lines[0].ends_with("number 1 of esx1: it has no guestId"),
        "{lines:?}"
    );
    assert_eq!(
        lines[10],
        "vw-filter: warning: and 1 warning like these (-d names all)"
    );

    let hosts = format!(
        "{{\"hypervisors\":[{}{{\"uuid\":\"a\",\"guests\":[]}}]}}",
        "{},".repeat(5000)
    );
    let outcome = filter(&[], hosts);
    assert_eq!(outcome.stderr.lines().count(), 11, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .ends_with("and 4990 warnings like these (-d names all)\n")
    );
    assert!(
        outcome.stdout.len() < 200_000,
        "each of very many is not in omitted"
    );
    assert!(
        outcome.stdout.contains("and 3999 more such"),
        "but they are counted there"
    );
}

#[test]
fn in_checkin_layout_the_dropped_hosts_are_counted_on_stderr() {
    let hosts: Vec<String> = (0..2470)
        .map(|n| format!(r#"{{"uuid":"esx{n}","guests":[],"name":"n{n}"}}"#))
        .collect();
    let document = format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","));
    let options = ["--layout=checkin", "--exclude-hosts=*"];
    let outcome = filter(&options, &*document);
    let said = "vw-filter: the lists left out 2470 of 2470 hypervisors: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2460 more \
                (-d names all)\n";
    assert_eq!((outcome.status, &*outcome.stderr), (0, said));
    let all = filter(&[options[0], options[1], "-d"], &*document).stderr;
    assert!(all.contains("hypervisor n2469 is left out: exclude_hosts has \"*\""));
    assert_eq!(filter(&[options[0], options[1], "-q"], &*document).stderr, "");
}

#[test]
fn little_memory_is_used_whatever_comes() {
    let members = format!("{{{}\"hypervisors\":[]}}", "\"\":1,".repeat(2 << 20));
    let (outcome, used) = command(&[]).stdin(members).measured();
    outcome.failed(65, "an item of more than 1048576 members and elements");
    assert!(used.memory < 250 << 20, "{} bytes", used.memory);
    let guests = format!("[{}{{\"guestId\":\"g\"}}]", "{},".repeat(1_000_000));
    let (outcome, used) = command(&["-q"]).stdin(document_of(&guests, "{}")).measured();
    assert_eq!(outcome.status, 0);
    assert!(used.memory < 100 << 20, "{} bytes", used.memory);
}
