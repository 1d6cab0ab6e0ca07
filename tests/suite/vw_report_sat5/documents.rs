//! Documents in which something is odd, and the section's filters.

use super::*;

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
    hosts.push(json!({"uuid": "x".repeat(250), "guests": []}));
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
        site.held().into_keys().collect::<Vec<_>>(),
        ["esx hypervisor good"]
    );
    let refused: Vec<&str> = failures(&line).into_iter().map(|(id, _)| id).collect();
    assert_eq!(refused.len(), 9, "{line}");
    assert!(ids.iter().all(|id| refused.contains(id)), "{line}");
    assert!(line["failed"].to_string().contains("U+0085"), "{line}");
}

#[test]
fn a_state_that_is_none_and_a_doubled_fact_are_named() {
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
fn copies_of_a_guest_are_told_once_and_named() {
    let site = Site::new();
    let document = json!({"hypervisors": [
        {"uuid": "h1", "guests": [{"guestId": WEB, "state": 5}, {"guestId": WEB, "state": 1}, {"guestId": DB, "state": 5}]},
        {"uuid": "h2", "guests": [{"guestId": DB, "state": 1}]},
    ]});
    let outcome = site.run().stdin(document.to_string()).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
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
        site.held()["esx hypervisor h1"].iter().any(|(uuid, state)| *uuid
            == WEB.replace('-', "").to_lowercase()
            && *state == GuestState::Running),
        "{:?}",
        site.held()
    );
}

#[test]
fn many_guests_that_do_not_fit_are_named_ten_times_and_counted() {
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
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let said = "vw-report-sat5: the filters of [prod] left out 1 of 2 hypervisors: ESX 1\n";
    assert!(outcome.stderr.starts_with(said), "{outcome:?}");
    assert_eq!(
        site.held().into_keys().collect::<Vec<_>>(),
        ["esx hypervisor esx2.example.com"]
    );
    let told = line(&outcome);
    assert_eq!(
        (&told["hypervisors"], &told["omitted"], &told["state"]),
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
