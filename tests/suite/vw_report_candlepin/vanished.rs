//! `--delete-vanished`: which hypervisors are deleted, and every reason not to.

use std::time::SystemTime;

use super::state::state;
use super::*;

mod deletion;

/// Deletes at once what a good document lacks.
const AT_ONCE: [&str; 3] = ["--delete-vanished", "--vanished-for", "0"];

/// Who reports in these tests.
const REPORTER: [&str; 2] = ["--reporter-id", "me"];

/// What follows the hypervisors of a document of section prod.
const PROD: &str = r#","source":{"section":"prod"}"#;

impl Site {
    fn delete(&self, options: &[&str], input: &str) -> Outcome {
        self.kept(&[&AT_ONCE[..], &REPORTER, options].concat(), input)
    }

    /// A site where `ids` were reported by section prod.
    fn reported(ids: &[&str]) -> Self {
        let site = Site::new();
        let first = site.delete(&[], &mapping(ids, PROD));
        assert_eq!(state(&first), "finished");
        site
    }

    fn deletions(&self) -> usize {
        let requests = self.server.requests();
        requests
            .iter()
            .filter(|logged| logged.request.method == "DELETE")
            .count()
    }

    /// Makes the only state file say that everything missing is missing since a time that is this much earlier.
    fn age(&self, seconds: u64) {
        let file = self.kept_file().unwrap();
        let mut kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let missing = kept["missing"].as_array_mut().unwrap();
        assert!(!missing.is_empty(), "nothing is missing");
        for missing in missing {
            missing["since"] = (missing["since"].as_u64().unwrap() - seconds).into();
        }
        std::fs::write(file, kept.to_string()).unwrap();
    }
}

/// Makes each state file say that its last report was this much earlier.
fn date_back(site: &Site, seconds: i64) {
    for entry in std::fs::read_dir(site.file("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let mut kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            kept["reported"] = (kept["reported"].as_i64().unwrap() - seconds).into();
            std::fs::write(path, kept.to_string()).unwrap();
        }
    }
}

#[test]
fn a_vanished_hypervisor_is_deleted_and_named() {
    let site = Site::reported(&["a", "b", "C"]);
    let outcome = site.delete(&[], &mapping(&["A", "b"], PROD));
    assert_eq!(state(&outcome), "finished");
    assert_eq!(line(&outcome)["deleted"], 1);
    assert!(outcome.stderr.contains("deleted name-C (C)"), "{outcome:?}");
    assert_eq!(site.held(), ["a", "b"]);
    // It is forgotten, and nothing more is asked.
    let again = site.delete(&[], &mapping(&["A", "b"], PROD));
    assert_eq!(state(&again), "unchanged");
    assert_eq!(line(&again).get("deleted"), None);
    assert_eq!((site.deletions(), count(&site, "/owners/")), (1, 1));
    // If it comes back, it is reported anew.
    let back = site.delete(&[], &mapping(&["A", "b", "C"], PROD));
    assert_eq!(line(&back)["created"], 1);
}

#[test]
fn nothing_is_deleted_without_the_option() {
    let site = Site::reported(&["a", "b"]);
    assert_eq!(state(&site.kept(&REPORTER, &mapping(&["a"], PROD))), "finished");
    assert_eq!(site.held(), ["a", "b"]);
    // Such a run forgets what vanished.
    assert_eq!(state(&site.delete(&[], &mapping(&["a"], PROD))), "unchanged");
    assert_eq!(site.held(), ["a", "b"]);
}

#[test]
fn a_hypervisor_is_deleted_after_it_was_missing_from_every_good_document_for_a_day() {
    let site = Site::reported(&["a", "b"]);
    let delete = |input: &str| site.kept(&["--delete-vanished", "--reporter-id", "me"], input);
    let without = mapping(&["a"], PROD);
    let outcome = delete(&without);
    assert_eq!(state(&outcome), "finished");
    assert!(
        outcome.stderr.contains("vanished") && outcome.stderr.contains("name-b (b)"),
        "{outcome:?}"
    );
    site.age(86_000);
    assert_eq!(state(&delete(&without)), "unchanged");
    // A document that has it again, or omits it, restarts the time.
    let omitted = format!(
        r#"{PROD},"omitted":[{{"kind":"host","id":"host-1","name":"NAME-B","stage":"vw-scan-esx"}}]"#
    );
    for again in [mapping(&["a", "b"], PROD), mapping(&["a"], &omitted)] {
        assert_eq!(delete(&again).status, 0);
        assert_eq!(delete(&without).status, 0);
        site.age(86_000);
        assert_eq!(state(&delete(&without)), "unchanged");
        assert_eq!(site.held(), ["a", "b"]);
    }
    site.age(401);
    // The document is unchanged, so only the deletion is left to do.
    let outcome = delete(&without);
    assert_eq!(
        (state(&outcome).as_str(), &line(&outcome)["deleted"]),
        ("unchanged", &json!(1))
    );
    assert_eq!(site.held(), ["a"]);
}

#[test]
fn a_hypervisor_of_another_reporter_is_kept() {
    let site = Site::reported(&["a", "b"]);
    site.candlepin
        .checked_in_by("sim", "b", "virt-who", SystemTime::UNIX_EPOCH);
    let outcome = site.delete(&[], &mapping(&["a"], PROD));
    assert_eq!(state(&outcome), "finished");
    assert!(
        outcome.stderr.contains(r#"its last reporter is "virt-who""#),
        "{outcome:?}"
    );
    assert_eq!((site.held().len(), site.deletions()), (2, 0));
    // Whoever reports it now takes care of it.
    let again = site.delete(&[], &mapping(&["a"], PROD));
    assert_eq!((again.stderr.as_str(), count(&site, "/owners/")), ("", 1));
}

#[test]
fn a_hypervisor_that_was_checked_in_later_is_kept() {
    let site = Site::reported(&["a", "b"]);
    let later = SystemTime::now() + Duration::from_secs(60);
    site.candlepin.checked_in_by("sim", "b", "me", later);
    let outcome = site.delete(&[], &mapping(&["a"], PROD));
    assert_eq!(state(&outcome), "finished");
    assert!(outcome.stderr.contains("it was checked in at"), "{outcome:?}");
    assert_eq!((site.held().len(), site.deletions()), (2, 0));
}

#[test]
fn without_a_time_of_the_last_report_nothing_is_deleted() {
    // Servers that make no jobs do not say when a report ended.
    let site = Site::with(|settings| {
        settings.generation = Generation::Old;
        settings.asynchronous = false;
    });
    assert_eq!(state(&site.delete(&[], &mapping(&["a", "b"], PROD))), "finished");
    let outcome = site.delete(&[], &mapping(&["a"], PROD));
    assert!(
        outcome.stderr.contains("not known when it was reported last"),
        "{outcome:?}"
    );
    assert_eq!((site.held().len(), site.deletions()), (2, 0));
}

#[test]
fn a_report_that_is_not_accepted_deletes_nothing() {
    let site = Site::reported(&["a", "b"]);
    site.candlepin.lose(["a"]);
    let document = mapping(&["a"], PROD).replace("g-a", "g-new");
    assert_eq!(site.delete(&[], &document).status, 69);
    assert_eq!((site.held().len(), site.deletions()), (2, 0));
}

#[test]
fn a_hypervisor_that_moved_to_another_section_is_kept() {
    let site = Site::reported(&["a", "b"]);
    let test = |ids: &[&str]| mapping(ids, r#","source":{"section":"test"}"#);
    assert_eq!(state(&site.delete(&[], &test(&["c", "B"]))), "finished");
    // For the server it might have been in the same second.
    site.candlepin
        .checked_in_by("sim", "b", "me", SystemTime::UNIX_EPOCH);
    let outcome = site.delete(&[], &mapping(&["a"], PROD));
    assert_eq!(state(&outcome), "finished");
    assert!(outcome.stderr.contains("another section"), "{outcome:?}");
    assert_eq!((site.held().len(), site.deletions()), (3, 0));
}

#[test]
fn heartbeats_do_not_keep_what_vanishes_after_them() {
    let site = Site::reported(&["a", "b"]);
    let test = mapping(&["c"], r#","source":{"section":"test"}"#);
    assert_eq!(state(&site.delete(&[], &test)), "finished");
    date_back(&site, 60);
    // Both sections have one reporter, so each of these heartbeats renews the check-in of b.
    assert_eq!(state(&site.delete(&[], &mapping(&["a", "b"], PROD))), "unchanged");
    assert_eq!(state(&site.delete(&[], &test)), "unchanged");
    assert_eq!(site.candlepin.heartbeats().len(), 2);

    // While b is missing, a heartbeat would hide that somebody reported it.
    let for_a_day = ["--delete-vanished", "--reporter-id", "me"];
    assert_eq!(state(&site.kept(&for_a_day, &mapping(&["a"], PROD))), "finished");
    assert_eq!(state(&site.kept(&for_a_day, &mapping(&["a"], PROD))), "unchanged");
    assert_eq!(state(&site.kept(&for_a_day, &test)), "unchanged");
    assert_eq!(site.candlepin.heartbeats().len(), 2);
    let outcome = site.delete(&[], &mapping(&["a"], PROD));
    assert_eq!(line(&outcome)["deleted"], 1, "{outcome:?}");
    assert_eq!(state(&site.kept(&for_a_day, &test)), "unchanged");
    assert_eq!(site.candlepin.heartbeats().len(), 3);
}

/// A document in check-in layout as vw-filter converts it.
fn converted(checkin: &str) -> String {
    let filter = Run::new(env!("CARGO_BIN_EXE_vw-filter")).args(["--layout", "mapping"]);
    filter.stdin(checkin).run().quiet_success()
}

#[test]
fn a_document_that_proves_nothing_deletes_nothing() {
    let site = Site::reported(&["a", "b", "c"]);
    let nameless =
        format!(r#"{PROD},"omitted":[{{"kind":"host","id":"host-1","stage":"vw-scan-esx","reason":"x"}}]"#);
    let checkin = r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"name":"n","guestIds":[]}],"source":{"section":"prod"}}"#;
    let unlisted = r#","source":{"section":"prod","unlisted":"vw-filter"}"#;
    let partial = mapping(&["a"], PROD).replace(r#"{"uuid":"a""#, r#"{"uuid":"","guests":[]},{"uuid":"a""#);
    for (document, words) in [
        (mapping(&[], PROD), "the mapping has no hypervisor"),
        (mapping(&["a"], &nameless), "a host without a name"),
        (checkin.to_owned(), "check-in layout"),
        (mapping(&["a"], unlisted), "without listing it"),
        (converted(checkin), "without listing it"),
        (partial, "left out or changed"),
    ] {
        let outcome = site.delete(&["--allow-empty", "--force"], &document);
        failed(&outcome, 65, words);
        let line = line(&outcome);
        assert_eq!(line["state"], "partial", "{outcome:?}");
        assert_eq!(site.held(), ["a", "b", "c"], "{words}");
    }
    assert_eq!((site.deletions(), count(&site, "/owners/")), (0, 0));
    // A good document then deletes what it lacks.
    assert_eq!(line(&site.delete(&[], &mapping(&["a"], PROD)))["deleted"], 2);
}

#[test]
fn what_a_stage_or_a_filter_left_out_is_kept() {
    let site = Site::reported(&["a", "b", "c", "d", "e"]);
    let conf = site.file("filtered.conf");
    std::fs::write(&conf, "[prod]\ntype=esx\nserver=x\nowner=sim\nexclude_hosts=d\n").unwrap();
    let omitted = format!(
        r#"{PROD},"omitted":[{{"kind":"host","id":"B","stage":"vw-filter","reason":"x"}},
            {{"kind":"host","id":"host-9","name":"Name-C","stage":"vw-scan-esx","reason":"x"}}]"#
    );
    let outcome = site.delete(&["-c", &conf, "-n", "prod"], &mapping(&["a"], &omitted));
    assert_eq!(state(&outcome), "finished");
    assert_eq!(site.held(), ["a", "b", "c", "d"]);
    assert_eq!(line(&outcome)["deleted"], 1);
}

#[test]
fn what_a_stage_left_out_without_listing_it_is_kept() {
    let site = Site::reported(&["a", "b"]);
    let filter = Run::new(env!("CARGO_BIN_EXE_vw-filter")).args(["--exclude-hosts", "b", "--no-omitted"]);
    let filtered = filter.stdin(mapping(&["a", "b"], PROD)).run().quiet_success();
    failed(&site.delete(&[], &filtered), 65, "without listing it");
    assert_eq!(site.held(), ["a", "b"]);
}

#[test]
fn a_section_that_reports_several_scans_keeps_what_each_of_them_has() {
    let site = Site::new();
    let conf = site.file("several.conf");
    std::fs::write(&conf, "[all]\ntype=esx\nserver=x\nowner=sim\n").unwrap();
    let scan = |section: &str, ids: &[&str]| {
        let document = mapping(ids, &format!(r#","source":{{"section":"{section}"}}"#));
        state(&site.delete(&["-c", &conf, "-n", "all"], &document))
    };
    assert_eq!(scan("vc1", &["a", "b"]), "finished");
    assert_eq!(scan("vc2", &["c"]), "finished");
    assert_eq!(scan("vc1", &["a", "b"]), "unchanged");
    assert_eq!(site.held(), ["a", "b", "c"]);
    assert_eq!(scan("vc1", &["a"]), "finished");
    assert_eq!(site.held(), ["a", "c"]);
}

#[test]
fn too_many_are_deleted_only_if_one_of_the_limits_allows_it() {
    let ids: Vec<String> = (10..30).map(|n| format!("h{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let site = Site::reported(&ids);
    let rest = [&ids[6..], &["new"]].concat();
    for options in [&[][..], &["--force"]] {
        let outcome = site.delete(options, &mapping(&rest, PROD));
        failed_after_notes(&outcome, 65, "6 of the 21 hypervisors reported before vanished");
        failed_after_notes(
            &outcome,
            65,
            "name-h10 (h10), name-h11 (h11), name-h12 (h12) and 3 more",
        );
        failed_after_notes(&outcome, 65, "--vanished-limit");
        assert_eq!(line(&outcome)["state"], "partial");
        assert_eq!(
            (site.deletions(), site.held().len()),
            (0, 21),
            "the rest is reported"
        );
    }
    let outcome = site.delete(&["--dry-run"], &mapping(&rest, PROD));
    failed_after_notes(&outcome, 65, "more than 5 and more than 10 %");
    for (options, status) in [
        (["--vanished-limit", "4", "--vanished-share", "28"], 65),
        (["--vanished-limit", "0", "--vanished-share", "29"], 0),
    ] {
        assert_eq!(site.delete(&options, &mapping(&rest, PROD)).status, status);
    }
    assert_eq!(site.held().len(), 15);
    let site = Site::reported(&ids);
    let outcome = site.delete(
        &["--vanished-limit", "6", "--vanished-share", "0"],
        &mapping(&rest, PROD),
    );
    assert_eq!(line(&outcome)["deleted"], 6);
}

#[test]
fn those_that_are_not_due_yet_count_for_the_limits() {
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let site = Site::reported(&ids);
    let delete = |ids: &[&str]| site.kept(&["--delete-vanished", "--reporter-id", "me"], &mapping(ids, PROD));
    assert_eq!(delete(&ids[3..]).status, 0);
    site.age(90_000);
    let outcome = delete(&ids[6..]);
    failed_after_notes(&outcome, 65, "6 of the 8 hypervisors");
    assert_eq!(site.deletions(), 0);
}

#[test]
fn a_dry_run_names_what_would_be_deleted() {
    let site = Site::reported(&["a", "b"]);
    let outcome = site.delete(&["--dry-run"], &mapping(&["a"], PROD));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("would delete name-b (b)"), "{outcome:?}");
    assert!(!outcome.stdout.contains("name-b"), "{outcome:?}");
    assert_eq!((site.deletions(), site.held().len()), (0, 2));
    let outcome = site.delete(&["--dry-run"], &mapping(&["a", "b"], PROD));
    assert!(!outcome.stderr.contains("would delete"), "{outcome:?}");
}

#[test]
fn a_stream_deletes_when_the_time_is_over() {
    let site = Site::reported(&["a", "b"]);
    let folder = site.file("state");
    let options = [&["--delete-vanished", "--state-dir", &folder][..], &REPORTER].concat();
    let mut child = site.spawn(&options);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut next = |ids: &[&str]| {
        stdin.write_all(mapping(ids, PROD).as_bytes()).unwrap();
        next_line(&mut stdout)
    };
    assert_eq!(next(&["a"])["state"], "finished");
    assert_eq!(next(&["a"])["state"], "unchanged");
    assert_eq!(site.held(), ["a", "b"]);
    site.age(86_400);
    assert_eq!(next(&["a", "c"])["deleted"], 1);
    assert_eq!(site.held(), ["a", "c"]);
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let site = Site::new();
    site.report(&["--delete-vanished"], MAPPING)
        .failed(64, "--state-dir");
    for other in ["--clear-vanished", "--no-wait", "--heartbeat"] {
        site.delete(&[other], MAPPING).failed(64, other);
    }
    for option in ["--vanished-for", "--vanished-limit", "--vanished-share"] {
        site.kept(&[option, "1"], MAPPING).failed(64, "--delete-vanished");
    }
    site.delete(&["--vanished-share", "101"], MAPPING)
        .failed(64, "101");
}

#[track_caller]
fn failed_after_notes(outcome: &Outcome, status: i32, words: &str) {
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert!(
        outcome.stderr.lines().last().unwrap().contains(words),
        "{outcome:?}"
    );
}
