//! Documents: empty, odd, several, and filtered by a section.

use super::*;

#[test]
fn guests_that_are_gone_become_stopped() {
    let site = Site::new();
    site.report();
    let without = r#"{"hypervisors":[{"uuid":"esx1.example.com","guests":[]}]}"#;
    assert_eq!(site.run().stdin(without).run().status, 0);
    let systems = site.systems();
    let guests = &systems["esx hypervisor esx1.example.com"];
    assert_eq!(guests.len(), 2);
    assert!(
        guests.iter().all(|(_, state)| *state == GuestState::Stopped),
        "{guests:?}"
    );
}

#[test]
fn an_empty_mapping_is_refused_without_allow_empty() {
    let site = Site::new();
    let empty = r#"{"hypervisors":[]}"#;
    let outcome = site.run().stdin(empty).run();
    failed(&outcome, 65, "--allow-empty");
    assert_eq!(line(&outcome)["state"], "failed");
    let outcome = site.run().args(["--allow-empty"]).stdin(empty).run();
    assert_eq!(
        (outcome.status, &line(&outcome)["state"]),
        (0, &json!("finished"))
    );
    assert_eq!(site.satellite.calls(), BTreeMap::new());
}

#[test]
fn this_machines_own_entry_is_refused_and_the_others_are_reported() {
    let own = r#"{"guests":[{"guestId":"1","state":1}]}"#;
    let words = "this machine's own guests: Satellite 5 takes them only from rhn-virtualization-host";
    let last_words = "no hypervisors, only this machine's own guests";
    for (options, state, last) in [
        (&[][..], "failed", last_words),
        (&["--allow-empty"], "partial", words),
    ] {
        let site = Site::new();
        let outcome = site
            .run()
            .args(options)
            .stdin(format!(r#"{{"hypervisors":[{own}]}}"#))
            .run();
        assert_eq!(
            (outcome.status, &line(&outcome)["state"]),
            (65, &json!(state)),
            "{outcome:?}"
        );
        assert!(outcome.stderr.contains(words), "{outcome:?}");
        assert!(outcome.stderr.contains(last), "{outcome:?}");
        assert_eq!(site.satellite.calls(), BTreeMap::new());
    }
    let site = Site::new();
    let merged = mapping().replacen('[', &format!("[{own},"), 1);
    let outcome = site.run().stdin(merged.as_str()).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    let result = line(&outcome);
    assert_eq!(
        (&result["state"], &result["created"], &result["omitted"]),
        (&json!("partial"), &json!(2), &json!(1))
    );
    assert_eq!(failures(&result), [("", words)]);
    assert_eq!(site.systems()["esx hypervisor esx1.example.com"].len(), 2);

    // Nothing of it is sent if it is to be sent as it is, or not at all.
    let calls = site.satellite.calls();
    let outcome = site.run().args(["--strict"]).stdin(merged.as_str()).run();
    failed(&outcome, 65, "--strict");
    let dry = site.bare().args(["--dry-run"]).stdin(merged).run();
    assert_eq!((dry.status, dry.stdout.lines().count()), (65, 2), "{dry:?}");
    assert_eq!(site.satellite.calls(), calls);
}

#[test]
fn a_strict_report_sends_all_or_nothing() {
    let site = Site::new();
    succeeded(&site.run().args(["--strict"]).run());
    let calls = site.satellite.calls();
    let guest = |id: &str| json!({"guestId": id, "state": 1});
    for odd in [
        json!({"uuid": "esx3", "guests": [guest(WEB), guest("vm-42")]}),
        json!({"uuid": "ESX1.example.com", "guests": []}),
        json!({"uuid": "", "guests": []}),
        json!({"uuid": "a\u{1}b", "guests": []}),
        json!({"uuid": "esx3", "guests": [{"guestId": WEB, "state": 99}]}),
    ] {
        let document = mapping().replacen('[', &format!("[{odd},"), 1);
        let outcome = site.run().args(["--strict"]).stdin(document.as_str()).run();
        failed(&outcome, 65, "nothing is sent (--strict)");
        assert_eq!(line(&outcome)["state"], "failed");
        let dry = site.bare().args(["--strict", "--dry-run"]).stdin(document).run();
        assert_eq!((dry.status, dry.stdout.as_str()), (65, ""), "{dry:?}");
    }
    assert_eq!(site.satellite.calls(), calls);
}

#[test]
fn an_old_document_is_refused() {
    let site = Site::new();
    let stamped = |time: &str| mapping().replacen('{', &format!(r#"{{"source":{{"time":"{time}"}},"#), 1);
    for (old, words) in [
        (mapping(), "--stamp"),
        (stamped("2020-01-01T00:00:00Z"), "--max-age"),
    ] {
        let outcome = site.run().args(["--max-age", "1h"]).stdin(old).run();
        failed(&outcome, 65, words);
    }
    assert_eq!(site.satellite.calls(), BTreeMap::new());
    let now = Command::new("date").args(["-u", "+%FT%TZ"]).output().unwrap();
    let now = String::from_utf8(now.stdout).unwrap();
    succeeded(
        &site
            .run()
            .args(["--max-age", "1h"])
            .stdin(stamped(now.trim()))
            .run(),
    );
}

#[test]
fn each_document_of_a_stream_has_a_result_line() {
    let site = Site::new();
    let stream = mapping_of("a") + "{\"hypervisors\":[]}" + &mapping_of("b");
    let outcome = site.run().stdin(stream).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    let states: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["finished", "failed", "unchanged"]);

    for (input, status) in [("", 66), (&mapping()[..40], 66), ("no json", 65)] {
        let outcome = site.run().stdin(input).run();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (status, ""),
            "{outcome:?}"
        );
    }
}

#[test]
fn odd_ids_are_reported_or_named() {
    let site = Site::new();
    let long = "long".repeat(80);
    let guest = |id: &str| json!({"guestId": id, "state": 7});
    let mapping = json!({"hypervisors": [
        {"uuid": "rack/7", "guests": [guest(WEB), guest("vm-42"), guest("00000000-0000-0000-0000-000000000000")]},
        {"uuid": long, "guests": [guest(DB)]},
        {"uuid": "a\u{1}b", "guests": []},
        {"uuid": "Twice", "name": "one", "guests": []},
        {"uuid": "tWICE", "name": "two", "guests": []},
        {"uuid": "<&>'\"é", "guests": []},
    ]});
    let outcome = site.run().stdin(mapping.to_string()).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    let line = line(&outcome);
    assert_eq!(
        (&line["state"], &line["created"], &line["hypervisors"]),
        (&json!("partial"), &json!(3), &json!(6))
    );
    let errors: BTreeMap<_, _> = failures(&line).into_iter().collect();
    assert_eq!(
        errors.keys().copied().collect::<Vec<_>>(),
        ["Twice", "a\u{1}b", "rack/7", "tWICE"]
    );
    assert!(
        errors["rack/7"].contains("\"vm-42\"") && errors["rack/7"].contains("is zero"),
        "{errors:?}"
    );
    assert!(errors["a\u{1}b"].contains("U+0001"), "{errors:?}");
    let systems = site.systems();
    assert_eq!(systems["esx hypervisor rack/7"].len(), 1);
    assert_eq!(systems.values().map(Vec::len).sum::<usize>(), 2);
    assert!(systems.contains_key("esx hypervisor <&>'\"é"));

    site.run().stdin(mapping.to_string()).run();
    assert_eq!(site.satellite.registrations(), 3, "each is found again");
}

#[test]
fn a_dry_run_prints_the_plans_and_needs_no_server() {
    let site = Site::new();
    let printed = site.bare().args(["--dry-run"]).run().quiet_success();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["profile"], "esx hypervisor esx1.example.com");
    assert_eq!(lines[0]["registered"], false);
    assert_eq!(lines[0]["plan"].as_array().unwrap().len(), 5);
    assert_eq!(
        lines[0]["plan"][2][3]["name"],
        format!("VM {WEB} from esx hypervisor esx1.example.com")
    );
    assert_eq!(lines[1]["plan"][2], json!([0, "crawl_ended", "system", {}]));
    assert!(!fs::exists(site.file("state")).unwrap());

    site.report();
    let calls = site.satellite.calls();
    let printed = site.run().args(["--dry-run"]).run().quiet_success();
    assert_eq!(printed.matches("\"registered\":true").count(), 2);
    assert_eq!(site.satellite.calls(), calls);
}

#[test]
fn a_dry_run_refuses_the_ids_that_a_report_refuses() {
    let ids = [
        "a\nb",
        "a\u{85}b",
        "a\u{9b}b",
        "a\u{7f}b",
        "a\u{1}b",
        "a\tb",
        "a\u{ffff}b",
    ];
    let mut hosts: Vec<Value> = ids.iter().map(|id| json!({"uuid": id, "guests": []})).collect();
    let odd_kind = json!([{"guestId": WEB, "state": 1, "attributes": {"virtWhoType": "es\u{9b}x"}}]);
    hosts.push(json!({"uuid": "kind", "guests": odd_kind}));
    hosts.push(json!({"uuid": "good", "guests": [{"guestId": DB, "state": 1, "attributes": {"virtWhoType": "esx"}}]}));
    let document = json!({"hypervisors": hosts}).to_string();
    let site = Site::new();
    let dry = site.bare().args(["--dry-run"]).stdin(&*document).run();
    assert_eq!(dry.status, 65, "{dry:?}");
    assert_eq!(dry.stdout.lines().count(), 1, "{dry:?}");
    assert!(dry.stdout.contains("\"id\":\"good\""), "{dry:?}");
    assert!(
        dry.stderr.contains("not everything is reported as it is"),
        "{dry:?}"
    );

    let outcome = site.run().stdin(&*document).run();
    assert_eq!(outcome.status, dry.status, "{outcome:?}");
    let line = line(&outcome);
    assert_eq!(
        site.systems().into_keys().collect::<Vec<_>>(),
        ["esx hypervisor good"]
    );
    let refused: Vec<&str> = failures(&line).into_iter().map(|(id, _)| id).collect();
    assert_eq!(refused.len(), 8, "{line}");
    assert!(ids.iter().all(|id| refused.contains(id)), "{line}");
    assert!(line["failed"].to_string().contains("U+0085"), "{line}");
}

#[test]
fn an_invalid_state_and_a_duplicate_fact_are_named() {
    let site = Site::new();
    for (guest, facts, words) in [
        (
            r#","state":"running""#,
            "",
            "its state is \"running\", not a number from 0 to 7; reported with state 0",
        ),
        (r#","state":99"#, "", "its state is 99"),
        (r#","state":1,"state":5"#, "", "it has two members \"state\""),
        ("", r#","facts":{"a":"1","a":"2"}"#, "the fact a is repeated"),
        ("", r#","facts":{"a":"\udc00"}"#, "the fact a is not valid text"),
    ] {
        let document =
            format!(r#"{{"hypervisors":[{{"uuid":"h1","guests":[{{"guestId":"{WEB}"{guest}}}]{facts}}}]}}"#);
        let outcome = site.run().stdin(&*document).run();
        assert_eq!(outcome.status, 65, "{outcome:?}");
        let line = line(&outcome);
        assert!(failures(&line)[0].1.contains(words), "{line}");
        assert_eq!(
            (&line["state"], line["omitted"].as_u64()),
            (&json!("partial"), Some(0))
        );
        let dry = site.bare().args(["--dry-run"]).stdin(&*document).run();
        assert_eq!(dry.status, 65, "{dry:?}");
    }
}

#[test]
fn copies_of_a_guest_are_reported_once_and_named() {
    let site = Site::new();
    let document = json!({"hypervisors": [
        {"uuid": "h1", "guests": [{"guestId": WEB, "state": 5}, {"guestId": WEB, "state": 1}, {"guestId": DB, "state": 5}]},
        {"uuid": "h2", "guests": [{"guestId": DB, "state": 1}]},
    ]});
    let outcome = site.run().stdin(document.to_string()).run();
    succeeded(&outcome);
    assert!(
        outcome.stderr.contains(&format!(
            "guest {WEB} is listed 2 times on h1; it is reported once"
        )),
        "{outcome:?}"
    );
    let shared = format!("guest {DB} is on h1 and on h2; it counts for h2, which is reported last");
    assert!(
        outcome.stderr.to_lowercase().contains(&shared.to_lowercase()),
        "{outcome:?}"
    );
    assert!(
        site.systems()["esx hypervisor h1"]
            .iter()
            .any(
                |(uuid, state)| *uuid == WEB.replace('-', "").to_lowercase() && *state == GuestState::Running
            ),
        "{:?}",
        site.systems()
    );
}

#[test]
fn of_many_unusable_guests_ten_are_named_and_all_are_counted() {
    let site = Site::new();
    let guests: Vec<Value> = (0..1000)
        .map(|n| json!({"guestId": format!("vm-{n}"), "state": 1}))
        .collect();
    let document = json!({"hypervisors": [{"uuid": "h1", "guests": guests}]});
    let outcome = site.run().stdin(document.to_string()).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    let line = line(&outcome);
    let failed = failures(&line);
    assert!(
        failed[0].1.contains("\"vm-9\"") && failed[0].1.ends_with("and 990 more"),
        "{line}"
    );
    assert_eq!(line["omitted"], 1000);
}

#[test]
fn what_the_section_excludes_is_not_registered() {
    let site = Site::new();
    let section = |keys: &str| {
        let text = format!(
            "[prod]\ntype=esx\nserver=vc\nsat_server={}\n{keys}\n",
            site.server.url()
        );
        fs::write(site.file("virt-who.conf"), text).unwrap();
    };
    section("exclude_hosts=esx1.*");
    let outcome = site.run().args(["-n", "prod"]).run();
    succeeded(&outcome);
    let message = "vw-report-sat5: the filters of [prod] left out 1 of 2 hypervisors: ESX 1\n";
    assert!(outcome.stderr.starts_with(message), "{outcome:?}");
    assert_eq!(
        site.systems().into_keys().collect::<Vec<_>>(),
        ["esx hypervisor esx2.example.com"]
    );
    let result = line(&outcome);
    assert_eq!(
        (&result["hypervisors"], &result["omitted"], &result["state"]),
        (&json!(1), &json!(1), &json!("finished"))
    );
    let dry = site.bare().args(["-n", "prod", "--dry-run"]).run();
    assert_eq!((dry.status, dry.stdout.lines().count()), (0, 1), "{dry:?}");

    section("exclude_hosts=*");
    let outcome = site.run().args(["-n", "prod"]).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .ends_with("(exclude_hosts has \"*\"); if that is right, use --allow-empty\n"),
        "{outcome:?}"
    );
    section("filter_host_parents=c7");
    let outcome = site.run().args(["-n", "prod"]).run();
    outcome.failed(65, "--no-filter");
    assert_eq!(line(&outcome)["state"], "failed");
    assert_eq!(site.satellite.registrations(), 1);

    let outcome = site.run().args(["-n", "prod", "--no-filter"]).run();
    assert_eq!(
        (outcome.status, site.satellite.registrations()),
        (0, 2),
        "{outcome:?}"
    );
}
