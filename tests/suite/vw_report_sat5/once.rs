//! No hypervisor is registered twice and no answer is lost, whatever ends a run.

use super::*;
use crate::support::with_longer_times;

#[test]
fn a_second_run_waits_and_registers_nothing() {
    let site = Site::new();
    let Held { child, release } = site.held_at(REGISTER, &[]);
    let second = site.spawn(&[], "second");
    let waiting = format!(
        "vw-report-sat5: waiting for process {}, which holds the lock {}\n",
        child.id(),
        site.file("state/vw-report-sat5.lock")
    );
    until(|| site.stderr_of("second") == waiting);
    drop(release);
    let (status, result) = ended(child);
    assert_eq!((status, &result["created"]), (0, &json!(2)), "{result}");
    let (status, result) = ended(second);
    assert_eq!((status, &result["unchanged"]), (0, &json!(2)), "{result}");
    assert_eq!(site.stderr_of("second"), waiting);
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn a_run_that_waits_too_long_names_the_other_process() {
    with_longer_times(|limit| {
        let site = Site::new();
        let Held { child, release } = site.held_at(REGISTER, &[]);
        let calls = site.satellite.calls();
        let (status, result) = ended(site.spawn(&["--timeout", limit], "second"));
        assert_eq!((status, &result["state"]), (75, &json!("failed")), "{result}");
        let stderr = site.stderr_of("second");
        let last = stderr.lines().last().unwrap();
        let words = format!("process {} still holds the lock", child.id());
        assert!(last.contains(&words) && !last.contains("127.0.0.1"), "{stderr}");
        assert!(
            failures(&result).iter().all(|(_, error)| error.contains(&words)),
            "{result}"
        );

        let third = site.spawn(&[], "third");
        until(|| site.stderr_of("third").contains("waiting for process"));
        signals::send(&third, "TERM");
        assert_eq!(ended(third).0, 143);
        assert_eq!(site.satellite.calls(), calls);
        drop(release);
        assert_eq!(ended(child).0, 0);
    });
}

#[test]
fn a_signal_does_not_lose_the_answer_to_a_registration() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let site = Site::new();
        let Held { child, release } = site.held_at(REGISTER, &[]);
        // The connection for all other calls is closed at the signal.
        until(|| site.server.connections() == 2);
        signals::send(&child, signal);
        until(|| site.server.connections() == 1);
        drop(release);
        let (ended, result) = ended(child);
        assert_eq!((ended, &result["state"]), (status, &json!("failed")), "{result}");
        assert!(
            !site.stderr_of("first").contains("may now exist"),
            "{}",
            site.stderr_of("first")
        );
        assert_eq!(
            (site.satellite.registrations(), site.satellite.open_sessions()),
            (1, 0)
        );
        assert_eq!(result["failed"][1]["id"], "esx2.example.com", "{result}");

        assert_eq!(line(&site.run().run())["created"], 1);
        assert_eq!(site.satellite.registrations(), 2, "none twice");
        assert_eq!(site.systems()["esx hypervisor esx1.example.com"].len(), 2);
    }
}

#[test]
fn a_signal_does_not_lose_a_session() {
    let site = Site::new();
    // The signal may be noticed before or after the answer. In either case the next call would not end by itself.
    site.server.misbehave(|_, request| {
        let body = String::from_utf8_lossy(&request.body);
        body.contains("user.getDetails").then_some(Fault::Silence)
    });
    let Held { child, release } = site.held_at(LOGIN, &[]);
    signals::send(&child, "TERM");
    drop(release);
    let (status, result) = ended(child);
    assert_eq!((status, &result["state"]), (143, &json!("failed")), "{result}");
    site.one_session_is_closed();
    assert_eq!(site.satellite.registrations(), 0);
}

#[test]
fn a_timeout_does_not_lose_the_answer_to_a_registration() {
    support::with_longer_times(|limit| {
        let site = Site::new();
        let Held { child, release } = site.held_at(REGISTER, &["--timeout", limit]);
        // The server has got a call, so the time has begun. It ends before this does, and the answer is awaited for another 5 s.
        std::thread::sleep(Duration::from_secs(limit.parse().unwrap()));
        drop(release);
        let (status, result) = ended(child);
        assert_eq!((status, &result["state"]), (75, &json!("failed")), "{result}");
        assert!(
            site.stderr_of("first").contains("--timeout"),
            "{}",
            site.stderr_of("first")
        );
        assert_eq!(line(&site.run().run())["created"], 1);
        assert_eq!(site.satellite.registrations(), 2, "none twice");
    });
}

#[test]
fn the_profile_of_a_lost_answer_is_found_at_once() {
    let lost: [fn(&str) -> Option<Fault>; 3] = [
        |body| body.contains(REGISTER).then_some(Fault::Lose),
        |body| body.contains(REGISTER).then_some(Fault::Cut(200)),
        |_| None,
    ];
    for lost in lost {
        let site = Site::new();
        site.server
            .misbehave(move |_, request| lost(&String::from_utf8_lossy(&request.body)));
        site.satellite.trouble(REGISTER, 1, Trouble::Lost(504));
        let outcome = site.run().run();
        succeeded(&outcome);
        let words =
            "esx1.example.com: the answer to its registration was lost (registration.new_system_user_pass: ";
        assert!(
            outcome.stderr.contains(words) || outcome.stderr.contains(&words.replace("x1", "x2")),
            "{outcome:?}"
        );
        let line = line(&outcome);
        assert_eq!(
            (&line["state"], &line["created"]),
            (&json!("finished"), &json!(2))
        );
        assert_eq!(site.satellite.registrations(), 2, "none twice");
        assert_eq!(site.systems()["esx hypervisor esx1.example.com"].len(), 2);
        site.one_session_is_closed();
        assert!(site.odd_files().is_empty());
        assert_eq!(line_of_forced(&site)["updated"], 2);
    }
}

/// The result of a report that sends everything.
fn line_of_forced(site: &Site) -> Value {
    line(&site.run().args(["--force"]).run())
}

#[test]
fn a_registration_whose_answer_is_lost_is_not_retried_at_once() {
    // The server is still working on it, so nothing is found yet.
    let site = Site::new();
    site.satellite.trouble(REGISTER, 1, Trouble::Status(504));
    let words = "a profile \"esx hypervisor esx1.example.com\" may now exist on the server";
    let outcome = site.run().args(ONE_BY_ONE).run();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    assert!(
        outcome.stderr.lines().last().unwrap().contains(words),
        "{outcome:?}"
    );
    assert!(failures(&line(&outcome))[0].1.starts_with(words), "{outcome:?}");
    assert_eq!(site.satellite.count(REGISTER), 2, "each once");
    assert_eq!(site.odd_files(), ["hypervisor-pending-esx1.example.com"]);
    assert_eq!(line(&site.run().run())["created"], 1);
    assert!(site.odd_files().is_empty());

    // The server is silent for too long after a signal.
    let site = Site::new();
    let Held { child, release } = site.held_at(REGISTER, &[]);
    signals::send(&child, "TERM");
    let (status, result) = ended(child);
    assert_eq!(status, 143);
    assert!(failures(&result)[0].1.starts_with(words), "{result}");
    let stderr = site.stderr_of("first");
    assert!(stderr.lines().last().unwrap().contains(words), "{stderr}");
    drop(release);
    assert_eq!(line(&site.run().run())["created"], 2);
    assert_eq!(site.satellite.registrations(), 2, "none twice");
}

#[test]
fn of_several_possible_profiles_none_is_adopted() {
    let site = Site::new();
    site.satellite.trouble(REGISTER, 1, Trouble::Status(504));
    let outcome = site.run().args(ONE_BY_ONE).run();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    for _ in 0..2 {
        site.register_elsewhere("esx hypervisor esx1.example.com");
    }
    let outcome = site.run().run();
    let words = "the systems 1000010001, 1000010002 all have the profile \"esx hypervisor esx1.example.com\"";
    failed(&outcome, 69, words);
    assert_eq!(
        (
            site.satellite.registrations(),
            line(&outcome)["unchanged"].clone()
        ),
        (3, json!(1))
    );
    let first = site.satellite.systems()[1].id.clone();
    assert!(site.satellite.delete_system(&first));
    assert_eq!(line(&site.run().run())["created"], 1);
    assert_eq!(site.satellite.registrations(), 3);
    assert!(site.odd_files().is_empty());
}

#[test]
fn a_failed_lookup_registers_nothing() {
    let site = Site::new();
    site.satellite.trouble(REGISTER, 1, Trouble::Status(502));
    assert_eq!(site.run().args(ONE_BY_ONE).run().status, 75);
    for (method, trouble, status) in [
        (
            "system.getId",
            Trouble::Fault(-1, "Could not find method".into()),
            69,
        ),
        ("system.getId", for_long(500), 75),
        (LOGIN, Trouble::Fault(2950, "incorrect.".into()), 77),
    ] {
        site.satellite.trouble(method, 1, trouble);
        let before = site.satellite.registrations();
        let one = r#"{"hypervisors":[{"uuid":"esx1.example.com","guests":[]}]}"#;
        let outcome = site.run().stdin(one).run();
        assert_eq!(
            (outcome.status, site.satellite.registrations()),
            (status, before),
            "{outcome:?}"
        );
        assert_eq!(site.satellite.open_sessions(), 0);
    }
    // The registration had not arrived.
    let outcome = site.run().run();
    succeeded(&outcome);
    assert!(
        outcome.stderr.contains("an earlier registration did not arrive"),
        "{outcome:?}"
    );
    assert_eq!(site.satellite.systems().len(), 2);
}

#[test]
fn a_refused_registration_leaves_nothing_in_doubt() {
    for (status, registrations) in [(401, 0), (404, 1), (429, 2)] {
        let site = Site::new();
        site.satellite.trouble(REGISTER, 1, Trouble::Status(status));
        let outcome = site.run().args(ONE_BY_ONE).run();
        assert!(!outcome.stderr.contains("may now exist"), "{outcome:?}");
        assert_eq!(site.satellite.registrations(), registrations, "{outcome:?}");
        assert!(site.odd_files().is_empty());
    }
}

#[test]
fn a_killed_run_leaves_neither_a_lock_nor_files_nor_a_second_profile() {
    let site = Site::new();
    let Held { mut child, release } = site.held_at(REGISTER, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(release);
    assert_eq!(site.odd_files(), ["hypervisor-pending-esx1.example.com"]);
    // A file of a run that was killed while writing, and one that is not ours.
    fs::write(site.file("state/.vw-a1B2c3"), "half a file").unwrap();
    fs::write(site.file("state/.vw-note"), "").unwrap();
    let outcome = site.run().run();
    assert_eq!(
        (outcome.status, &line(&outcome)["created"]),
        (0, &json!(2)),
        "{outcome:?}"
    );
    assert_eq!(site.odd_files(), [".vw-note"]);
    assert_eq!(site.satellite.registrations(), 2, "none twice");
    assert_eq!(site.systems()["esx hypervisor esx1.example.com"].len(), 2);
}
