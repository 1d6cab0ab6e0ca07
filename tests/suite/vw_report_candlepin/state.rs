//! The state that a reporter keeps, so that it sends only changes.

use super::*;

impl Site {
    pub(super) fn kept(&self, options: &[&str], input: &str) -> Outcome {
        let folder = self.file("state");
        self.report(&[&["--state-dir", &folder], options].concat(), input)
    }

    /// The only state file; the lock file does not count.
    pub(super) fn kept_file(&self) -> Option<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.file("state")).ok()?;
        let mut files = entries.map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|extension| extension == "json"))
    }
}

#[track_caller]
pub(super) fn state(outcome: &Outcome) -> String {
    assert_eq!(outcome.status, 0, "{outcome:?}");
    line(outcome)["state"].as_str().unwrap().to_owned()
}

#[test]
fn an_unchanged_document_sends_only_a_heartbeat() {
    let site = Site::new();
    assert_eq!(state(&site.kept(&[], MAPPING)), "finished");
    let unchanged = site.kept(&[], MAPPING);
    assert_eq!(state(&unchanged), "unchanged");
    // The server has not changed, and was not asked.
    let counts =
        ["hypervisors", "created", "updated", "unchanged"].map(|name| line(&unchanged)[name].clone());
    assert_eq!(counts, [2, 0, 0, 2]);
    assert_eq!(site.candlepin.heartbeats().len(), 1);
    assert_eq!(count(&site, "/hypervisors/sim"), 2);
    for option in [&["--force"][..], &["--full-every", "0"]] {
        assert_eq!(state(&site.kept(option, MAPPING)), "finished");
    }
    // Another source, another reporter.
    assert_eq!(state(&site.kept(&["--reporter-id", "x"], MAPPING)), "finished");
    assert_eq!(
        state(&site.kept(&[], &MAPPING.replace("prod", "test"))),
        "finished"
    );
    assert_eq!(state(&site.kept(&[], &MAPPING.replace("g2", "g3"))), "finished");
    assert_eq!(state(&site.kept(&[], MAPPING)), "finished");
}

#[test]
fn an_old_server_gets_no_heartbeat() {
    let site = Site::with(|settings| settings.generation = Generation::Old);
    assert_eq!(state(&site.kept(&[], MAPPING)), "finished");
    assert_eq!(state(&site.kept(&[], MAPPING)), "unchanged");
    assert!(site.candlepin.heartbeats().is_empty());
    site.report(&["--heartbeat"], MAPPING)
        .failed(69, "hypervisors_heartbeat");
}

#[test]
fn only_an_accepted_report_is_saved_as_state() {
    let site = Site::new();
    site.kept(&["--dry-run"], MAPPING).quiet_success();
    assert!(site.kept_file().is_none());
    assert_eq!(state(&site.kept(&["--no-wait"], MAPPING)), "sent");
    assert!(site.kept_file().is_none());
    site.candlepin.doom_next_job(Fate::Fail("no".to_owned()));
    assert_eq!(site.kept(&["--job-timeout", "5"], MAPPING).status, 69);
    assert!(site.kept_file().is_none());
    site.candlepin.lose(["h2"]);
    assert_eq!(site.kept(&[], MAPPING).status, 69);
    assert!(site.kept_file().is_none());
    site.candlepin.lose::<_, &str>([]);
    assert_eq!(state(&site.kept(&[], MAPPING)), "finished");

    // After a failed report the state of the server is unknown.
    let other = mapping(&["H1"], r#","source":{"section":"prod"}"#);
    site.candlepin.doom_next_job(Fate::Fail("no".to_owned()));
    assert_eq!(site.kept(&[], &other).status, 69);
    assert_eq!(state(&site.kept(&[], MAPPING)), "finished");
    site.kept(&["--dry-run"], MAPPING).failed(0, "unchanged");
}

#[test]
fn a_damaged_state_file_causes_a_full_report() {
    let site = Site::new();
    assert_eq!(state(&site.kept(&[], MAPPING)), "finished");
    let file = site.kept_file().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    for text in ["", "{", "[]", "\u{0}"] {
        std::fs::write(&file, text).unwrap();
        let outcome = site.kept(&[], MAPPING);
        assert_eq!(state(&outcome), "finished");
        assert!(outcome.stderr.contains("damaged"), "{outcome:?}");
    }
    assert_eq!(state(&site.kept(&[], MAPPING)), "unchanged");
}

#[test]
fn an_unusable_state_folder_does_not_prevent_the_report() {
    let site = Site::new();
    std::fs::write(site.folder.path().join("state"), "a file").unwrap();
    let outcome = site.kept(&[], MAPPING);
    failed(&outcome, 74, "storing what was reported");
    assert_eq!(line(&outcome)["state"], "finished");
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn two_runs_at_once_take_turns() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(1));
    let folder = site.file("state");
    let documents = [MAPPING.to_owned(), MAPPING.replace("g2", "g3")];
    let children: Vec<Child> = documents
        .iter()
        .map(|document| {
            let mut child = site.spawn(&["--state-dir", &folder]);
            child
                .stdin
                .take()
                .unwrap()
                .write_all(document.as_bytes())
                .unwrap();
            child
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    // The saved state is the state of the server.
    let held = site.candlepin.hypervisors("sim");
    let last = usize::from(held["h1"].guest_ids().contains(&"g3"));
    assert_eq!(state(&site.kept(&[], &documents[last])), "unchanged");
}

#[test]
fn a_run_that_waits_too_long_for_another_names_it_and_not_the_server() {
    let site = Site::new();
    let folder = site.file("state");
    let checks_in = |request: &Request| request.method == "POST";
    site.server
        .misbehave(move |_, request| checks_in(request).then_some(Fault::Silence));
    let mut first = site.spawn(&["--state-dir", &folder]);
    first.stdin.take().unwrap().write_all(MAPPING.as_bytes()).unwrap();
    let checked_in = || {
        let requests = site.server.requests();
        requests
            .iter()
            .filter(|logged| checks_in(&logged.request))
            .count()
    };
    until(|| checked_in() == 1);
    std::fs::write(site.file("state/.vw-a1b2c3"), "left by a killed run").unwrap();

    let outcome = with_time(&["waiting for process"], |limit| {
        site.kept(&["--timeout", limit], MAPPING)
    });
    let holder = format!("process {}", first.id());
    assert_eq!(outcome.status, 75, "{outcome:?}");
    let said: Vec<&str> = outcome.stderr.lines().collect();
    assert!(
        said[0].contains(&format!("waiting for {holder}, which holds the lock")),
        "{outcome:?}"
    );
    let last = said.last().unwrap();
    assert!(
        last.contains(&format!("{holder} still holds the lock")),
        "{outcome:?}"
    );
    assert!(!last.contains("127.0.0.1"), "{outcome:?}");
    assert_eq!((checked_in(), &line(&outcome)["state"]), (1, &json!("failed")));

    // A killed process leaves no lock.
    first.kill().unwrap();
    first.wait().unwrap();
    site.server.behave();
    assert_eq!(state(&site.kept(&[], MAPPING)), "finished");
    assert!(!std::fs::exists(site.file("state/.vw-a1b2c3")).unwrap());
}

#[test]
fn heartbeat_reports_nothing_and_needs_a_document_with_hypervisors() {
    let site = Site::new();
    assert_eq!(state(&site.report(&["--heartbeat"], MAPPING)), "heartbeat");
    assert_eq!(site.candlepin.heartbeats().len(), 1);
    assert!(site.held().is_empty());
    site.report(&["--heartbeat"], r#"{"hypervisors":[]}"#)
        .failed(65, "--allow-empty");
    site.report(&["--heartbeat"], "").failed(66, "no input");
    assert_eq!(site.candlepin.heartbeats().len(), 1);
}

#[test]
fn a_vanished_hypervisor_of_a_small_site_is_cleared() {
    let site = Site::new();
    assert_eq!(state(&site.kept(&[], &mapping(&["a", "b", "c"], ""))), "finished");
    let outcome = site.kept(&["--clear-vanished"], &mapping(&["a", "b"], ""));
    assert_eq!(state(&outcome), "finished");
    let held = site.candlepin.hypervisors("sim");
    assert!(held["c"].guests.is_empty() && !held["a"].guests.is_empty());
    // After that the state has forgotten it.
    let again = site.kept(&["--clear-vanished"], &mapping(&["a", "b"], ""));
    assert_eq!(state(&again), "unchanged");
}

#[test]
fn nothing_is_cleared_unless_the_document_proves_what_vanished() {
    let site = Site::new();
    assert_eq!(state(&site.kept(&[], &mapping(&["a", "b"], ""))), "finished");
    let guests = || site.candlepin.hypervisors("sim")["b"].guests.len();
    let checkin = r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}]}"#;
    let filter = Run::new(env!("CARGO_BIN_EXE_vw-filter")).args(["--layout", "mapping"]);
    let converted = filter.stdin(checkin).run().quiet_success();
    let unlisted = mapping(&["a"], r#","source":{"unlisted":"vw-filter"}"#);
    for (document, words) in [
        (checkin, "check-in layout"),
        (&converted, "without listing it"),
        (&unlisted, "without listing it"),
    ] {
        for options in [&["--clear-vanished"][..], &["--clear-vanished", "--force"]] {
            let outcome = site.kept(options, document);
            failed_after_notes(&outcome, 65, words);
            assert!(outcome.stderr.contains("(b), but none is cleared"), "{outcome:?}");
            assert_eq!((&line(&outcome)["state"], guests()), (&"partial".into(), 1));
        }
    }
    // It is still remembered, so a good document clears it.
    assert_eq!(
        state(&site.kept(&["--clear-vanished"], &mapping(&["a"], ""))),
        "finished"
    );
    assert_eq!(guests(), 0);
}

#[test]
fn too_many_vanished_hypervisors_are_kept_until_confirmed() {
    let site = Site::new();
    let ids: Vec<String> = (10..31).map(|n| format!("h{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(state(&site.kept(&[], &mapping(&ids, ""))), "finished");
    let guests = |id: &str| site.candlepin.hypervisors("sim")[id].guests.len();

    // An omitted hypervisor still exists.
    let omitted = r#","omitted":[{"kind":"host","id":"H10","stage":"vw-filter","reason":"x"}]"#;
    let outcome = site.kept(&["--clear-vanished"], &mapping(&ids[6..], omitted));
    assert_eq!(state(&outcome), "finished");
    assert_eq!(["h10", "h11", "h15", "h16"].map(guests), [1, 0, 0, 1]);

    // Six of the fifteen remain, and a new one is reported.
    let rest = [&ids[12..], &["new"]].concat();
    for of in [15, 16] {
        let outcome = site.kept(&["--clear-vanished"], &mapping(&rest, ""));
        let words = format!("6 of the {of} hypervisors reported before vanished (h16, h17, h18 and 3 more)");
        outcome.failed(65, &words);
        outcome.failed(65, "--force");
        assert_eq!(line(&outcome)["state"], "partial");
        assert_eq!(["h16", "h21", "new"].map(guests), [1, 1, 1]);
    }
    // The second time there was nothing to send.
    assert_eq!(site.candlepin.heartbeats().len(), 1);
    let dry = site.kept(&["--clear-vanished", "--dry-run"], &mapping(&rest, ""));
    failed_after_notes(&dry, 65, "--force");

    let outcome = site.kept(&["--clear-vanished", "--force"], &mapping(&rest, ""));
    assert_eq!(state(&outcome), "finished");
    assert_eq!(["h16", "h21", "new"].map(guests), [0, 0, 1]);
    let again = site.kept(&["--clear-vanished"], &mapping(&rest, ""));
    assert_eq!(state(&again), "unchanged");
}

#[track_caller]
fn failed_after_notes(outcome: &Outcome, status: i32, words: &str) {
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert!(
        outcome.stderr.lines().last().unwrap().contains(words),
        "{outcome:?}"
    );
}
