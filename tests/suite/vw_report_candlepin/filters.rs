//! What the section's filters leave out is not reported, whether vw-filter stands before the reporter or not.

use super::*;

impl Site {
    /// The report of a section with these keys, which is named and has the whole account.
    fn section(&self, keys: &str) -> Vec<String> {
        let text = format!(
            "[prod]\ntype=esx\nserver=vc\nowner=sim\n{keys}\n[other]\ntype=esx\nserver=vc\nowner=sim\n"
        );
        std::fs::write(self.file("virt-who.conf"), text).unwrap();
        vec!["-n".to_owned(), "prod".to_owned()]
    }

    fn filtered(&self, keys: &str, options: &[&str], input: &str) -> Outcome {
        let section = self.section(keys);
        self.bare()
            .args(self.options())
            .args(section)
            .args(options)
            .stdin(input)
            .run()
    }
}

/// What vw-filter makes of a document for the section.
fn vw_filter(site: &Site, section: &str, input: &str) -> String {
    Run::new(env!("CARGO_BIN_EXE_vw-filter"))
        .env("VW_CONFIG", &site.file("virt-who.conf"))
        .args(["-n", section])
        .stdin(input)
        .run()
        .quiet_success()
}

#[test]
fn hosts_that_the_section_excludes_are_not_reported() {
    let site = Site::new();
    let outcome = site.filtered("exclude_hosts=H1", &[], MAPPING);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "vw-report-candlepin: the filters of [prod] left out 1 of 2 hypervisors: esx1.example.com\n"
    );
    assert_eq!(site.held(), ["h2"]);
    let line = line(&outcome);
    // One was left out by the scan, one here.
    let counts = ["hypervisors", "guests", "created", "omitted"].map(|name| line[name].clone());
    assert_eq!(counts, [1, 0, 1, 2]);
    assert_eq!(
        (&line["state"], &line["failed"]),
        (&json!("finished"), &json!([]))
    );

    let all = site.filtered("exclude_hosts=H1", &["--no-filter"], MAPPING);
    assert_eq!((all.status, &*all.stderr), (0, ""));
    assert_eq!(site.held(), ["h1", "h2"]);
    // Without a section there are no filters.
    let site = Site::new();
    site.section("exclude_hosts=H1");
    assert_eq!(site.report(&[], MAPPING).status, 0);
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn the_only_section_is_used_without_being_named() {
    let site = Site::new();
    let text = format!(
        "[prod]\ntype=esx\nserver=vc\nowner=sim\nrhsm_hostname=127.0.0.1\nrhsm_username=sim\nrhsm_password=sim-secret\n{}",
        "filter_hosts=h2\n"
    );
    std::fs::write(site.file("virt-who.conf"), text).unwrap();
    let url = format!("{}/candlepin", site.server.url());
    let outcome = site.bare().args(["--server", &url]).stdin(MAPPING).run();
    assert_eq!(
        (outcome.status, site.held()),
        (0, vec!["h2".to_owned()]),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.contains("the filters of [prod] left out 1 of 2"),
        "{outcome:?}"
    );
}

#[test]
fn parent_lists_are_applied_and_a_document_without_parents_is_refused() {
    let site = Site::new();
    let outcome = site.filtered("exclude_host_parents=c7", &[], MAPPING);
    assert_eq!(
        (outcome.status, site.held()),
        (0, vec!["h2".to_owned()]),
        "{outcome:?}"
    );

    let without = MAPPING.replace(r#","parent":{"id":"domain-c7"}"#, "");
    let outcome = site.filtered("exclude_host_parents=c7", &[], &without);
    outcome.failed(65, "vw-filter -n prod");
    outcome.failed(65, "--no-filter");
    let told = line(&outcome);
    assert_eq!(
        (&told["state"], &told["hypervisors"]),
        (&json!("failed"), &json!(2))
    );
    assert_eq!(site.held(), ["h2"], "nothing was sent");
    assert_eq!(
        site.filtered("exclude_host_parents=c7", &["--no-filter"], &without)
            .status,
        0
    );
    // vw-filter's own check-in layout keeps neither parents nor the mark.
    let checkin = Run::new(env!("CARGO_BIN_EXE_vw-filter"))
        .env("VW_CONFIG", &site.file("virt-who.conf"))
        .args(["-n", "prod", "--layout", "checkin", "-q"])
        .stdin(MAPPING)
        .run()
        .quiet_success();
    site.filtered("exclude_host_parents=c7", &[], &checkin)
        .failed(65, "without --layout checkin");
    let dry = site.filtered("exclude_host_parents=c7", &["--dry-run"], &without);
    dry.failed(65, "--no-filter");
    assert_eq!(dry.stdout, "");
}

#[test]
fn a_document_that_is_already_filtered_is_not_filtered_again() {
    let site = Site::new();
    site.section("exclude_hosts=H1\nexclude_host_parents=c7");
    // Of the parents nothing is left in what is sent over the air gap; the mark stays.
    let filtered = vw_filter(&site, "prod", MAPPING);
    let outcome = site.filtered("exclude_hosts=H1,h2\nexclude_host_parents=c7", &[], &filtered);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    assert_eq!(site.held(), ["h2"]);
    assert_eq!(line(&outcome)["omitted"], 2);
    // Filtered for another section it is not.
    let filtered = vw_filter(&site, "other", MAPPING);
    let outcome = site.filtered("exclude_hosts=H1", &["--dry-run"], &filtered);
    assert!(
        !outcome.stdout.contains("H1") && outcome.stdout.contains("h2"),
        "{outcome:?}"
    );
}

#[test]
fn filters_that_leave_nothing_are_not_reported_as_an_empty_scan() {
    let site = Site::new();
    let outcome = site.filtered("exclude_hosts=*", &[], MAPPING);
    failed_with_note(
        &outcome,
        65,
        "the filters of [prod] left out 2 hypervisors (exclude_hosts has \"*\")",
    );
    assert!(!outcome.stderr.contains("account"), "{outcome:?}");
    assert_eq!(line(&outcome)["hypervisors"], 0);
    // vw-filter before it says the same.
    let filtered = vw_filter(&site, "prod", MAPPING);
    let outcome = site.filtered("exclude_hosts=*", &[], &filtered);
    outcome.failed(65, "vw-filter left out 2 hypervisors (exclude_hosts has \"*\")");
    let allowed = site.filtered("exclude_hosts=*", &["--allow-empty"], &filtered);
    assert_eq!(
        (allowed.status, &line(&allowed)["state"]),
        (0, &json!("finished"))
    );
    assert_eq!(site.held(), Vec::<String>::new());
    // An empty scan is another thing.
    site.filtered("exclude_hosts=*", &[], r#"{"hypervisors":[]}"#)
        .failed(
            65,
            "the document has no hypervisor; check that the scan's account",
        );
}

/// Like `failed`, after what is said about filters.
#[track_caller]
fn failed_with_note(outcome: &Outcome, status: i32, words: &str) {
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert!(
        outcome.stderr.lines().last().unwrap().contains(words),
        "{outcome:?}"
    );
}

#[test]
fn a_pattern_without_a_match_is_named_once_in_a_stream() {
    let site = Site::new();
    let stream = MAPPING.repeat(3);
    let outcome = site.filtered("exclude_hosts=H1 h2, host-17", &[], &stream);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let warning = "vw-report-candlepin: warning: [prod] exclude_hosts has \"H1 h2\", which matches no hypervisor; is a comma missing?";
    assert_eq!(outcome.stderr.matches(warning).count(), 1, "{outcome:?}");
    assert!(!outcome.stderr.contains("host-17"), "{outcome:?}");
}

#[test]
fn an_invalid_pattern_is_a_configuration_error() {
    let site = Site::new();
    site.filtered("filter_type=regex\nfilter_hosts=(a", &[], MAPPING)
        .failed(78, "virt-who.conf:6: [prod] filter_hosts");
    site.filtered("filter_hosts=", &["--check"], MAPPING)
        .failed(78, "filter_hosts: is empty");
    let slow = mapping(&["a".repeat(60).as_str()], "");
    site.filtered(
        "filter_type=regex\nfilter_hosts=(?:(a|aa)+)(?=[b-z]).*",
        &[],
        &slow,
    )
    .failed(78, "takes too long");
    assert_eq!(site.candlepin.jobs().len(), 0);
}

#[test]
fn ten_dropped_hosts_are_named_and_all_in_debug_messages() {
    let site = Site::new();
    let ids: Vec<String> = (10..60)
        .map(|n| format!("lab{n}"))
        .chain(["prod1".to_owned()])
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let document = mapping(&ids, "");
    let outcome = site.filtered("exclude_hosts=lab*", &[], &document);
    let said = outcome.stderr.lines().next().unwrap();
    assert!(
        said.starts_with("vw-report-candlepin: the filters of [prod] left out 50 of 51 hypervisors: name-lab10, name-lab11,")
            && said.ends_with("name-lab19 and 40 more (-d names all)"),
        "{outcome:?}"
    );
    let all = site.filtered("exclude_hosts=lab*", &["-d"], &document).stderr;
    assert!(
        (10..60).all(|n| all.contains(&format!("hypervisor name-lab{n} is left out"))),
        "{all}"
    );
}

#[test]
fn a_flaw_in_a_filtered_host_is_ignored() {
    let site = Site::new();
    let document = r#"{"hypervisors":[{"uuid":"good","guests":[]},
        {"uuid":"lab","guests":[{},{"guestId":"g","state":9}],"facts":{"a":"1","a":"2"}}]}"#;
    let outcome = site.filtered("exclude_hosts=lab", &[], document);
    assert_eq!(
        (outcome.status, &line(&outcome)["failed"]),
        (0, &json!([])),
        "{outcome:?}"
    );
    let outcome = site.filtered("exclude_hosts=good", &[], document);
    assert_eq!(
        (outcome.status, line(&outcome)["failed"].as_array().unwrap().len()),
        (65, 3),
        "{outcome:?}"
    );
    // Nor does a host that is of no use at all.
    let document = r#"{"hypervisors":[{"uuid":"good","guests":[]},{"uuid":"lab","guests":null}]}"#;
    let outcome = site.filtered("exclude_hosts=lab", &[], document);
    let told = line(&outcome);
    assert_eq!(
        (
            outcome.status,
            &told["failed"],
            &told["omitted"],
            &told["hypervisors"]
        ),
        (0, &json!([]), &json!(1), &json!(1)),
        "{outcome:?}"
    );
    let outcome = site.filtered("exclude_hosts=good", &["--allow-empty"], document);
    failed_with_note(&outcome, 65, "1 left out or changed");
}

#[test]
fn hosts_that_filters_drop_are_never_cleared() {
    let site = Site::new();
    let folder = site.file("state");
    let ids: Vec<String> = (0..30).map(|n| format!("esx{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let all = mapping(&ids, "");
    let clear = ["--state-dir", &folder, "--clear-vanished"];
    assert_eq!(site.filtered("", &clear, &all).status, 0);
    // From now on two are left out; one of them is not even there any more, and one that is reported vanished.
    let fewer = mapping(&ids[..28], "");
    let outcome = site.filtered("exclude_hosts=esx0,esx29", &clear, &fewer);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let held = site.candlepin.hypervisors("sim");
    assert_eq!(held["esx0"].guest_ids(), ["g-esx0"]);
    assert_eq!(held["esx29"].guest_ids(), ["g-esx29"]);
    assert!(held["esx28"].guest_ids().is_empty());
}
