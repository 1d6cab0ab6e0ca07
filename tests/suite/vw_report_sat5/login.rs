//! Logins, sessions and roles.

use super::*;

#[test]
fn wrong_credentials_are_tried_once_and_registered_hypervisors_are_reported() {
    let site = Site::new();
    site.report();
    fs::remove_file(site.registration("esx2.example.com")).unwrap();
    fs::write(site.file("password"), "wrong-one").unwrap();
    let new = r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"b","guests":[]},{"uuid":"esx1.example.com","guests":[]}]}"#;
    let outcome = site.run().stdin(new).run();
    failed(&outcome, 77, "vw-report-sat5: a, b: login to http://127.0.0.1:");
    let line = line(&outcome);
    assert_eq!((&line["state"], &line["updated"]), (&json!("partial"), &json!(1)));
    let errors = failures(&line);
    for words in [
        " as \"sim\" failed: ",
        "fault 2950",
        "check user name and password",
    ] {
        assert!(errors[0].1.contains(words), "{errors:?}");
    }
    assert_eq!(errors[0].1, errors[1].1);
    assert_eq!(site.satellite.count(LOGIN), 2);
}

#[test]
fn a_wrong_password_names_section_server_and_user() {
    let site = Site::new();
    let section = site.section("wrong-one");
    let outcome = site.bare().run();
    failed(&outcome, 77, &format!("vw-report-sat5: {section}: "));
    let login = format!("login to {} as \"sim\" failed: ", site.server.url());
    for words in [&*login, "check user name and password", "may lock the account"] {
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
    assert!(!outcome.stderr.contains("wrong-one"), "{outcome:?}");
}

#[test]
fn a_user_without_org_admin_can_report_once_the_map_exists() {
    let plain = Account {
        org_admin: false,
        ..Account::admin("plain", "sim-secret")
    };
    let site = Site::with(Settings {
        accounts: vec![Account::admin("sim", "sim-secret"), plain],
    });
    let outcome = site.run_as("plain").run();
    outcome.failed(77, "esx1.example.com, esx2.example.com: channel.software.create");
    let line = line(&outcome);
    assert_eq!(line["state"], "failed");
    assert!(failures(&line)[0].1.contains("role channel_admin"), "{line}");
    assert_eq!(site.satellite.open_sessions(), 0);

    site.report();
    fs::remove_dir_all(site.file("state")).unwrap();
    site.run_as("plain").run().quiet_success();
}

#[test]
fn a_missing_map_is_set_or_the_missing_role_is_named() {
    let channels = Account {
        org_admin: false,
        channel_admin: true,
        ..Account::admin("channels", "sim-secret")
    };
    let site = Site::with(Settings {
        accounts: vec![Account::admin("sim", "sim-secret"), channels],
    });
    // This user may create the channel, but not map it.
    let outcome = site.run_as("channels").args(ONE_BY_ONE).run();
    assert_eq!(outcome.status, 77, "{outcome:?}");
    let line = line(&outcome);
    let error = failures(&line)[0].1;
    assert!(
        error.contains("no base channel") && error.contains("org_admin"),
        "{error}"
    );
    assert_eq!(
        (site.satellite.channels().len(), site.satellite.maps().len()),
        (1, 0)
    );
    assert_eq!(site.satellite.count(REGISTER), 1, "one is enough to know");

    let outcome = site.run().run();
    succeeded(&outcome);
    assert_eq!(
        outcome.stderr,
        "vw-report-sat5: mapped the channel hypervisor-base-1\n"
    );
    assert_eq!(
        (site.satellite.channels().len(), site.satellite.maps().len()),
        (1, 1)
    );
}

#[test]
fn a_session_is_closed_after_each_error() {
    for method in ["user.getDetails", "channel.software.getDetails", SET_MAP] {
        let site = Site::new();
        site.satellite.trouble(method, 1, for_long(500));
        let outcome = site.run().run();
        assert_eq!(outcome.status, 75, "{outcome:?}");
        site.one_session_is_closed();
    }
}

#[test]
fn a_signal_ends_the_report_after_the_logout() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let site = Site::new();
        // The second request is the first one in the session.
        site.server
            .misbehave(|number, _| (number == 2).then_some(Fault::Silence));
        let child = site.spawn(&ONE_BY_ONE, "stderr");
        until(|| site.server.requests().len() == 2);
        signals::send(&child, signal);
        let (ended, line) = ended(child);
        assert_eq!((ended, &line["state"]), (status, &json!("failed")), "{line}");
        site.one_session_is_closed();
    }
}

#[test]
fn a_refused_login_ends_a_stream_at_once() {
    let site = Site::new();
    for (method, refusal, words) in [
        (LOGIN, Trouble::Fault(2950, "incorrect.".into()), "fault 2950"),
        (REGISTER, Trouble::Fault(-2, "Invalid".into()), "fault -2"),
        (LOGIN, Trouble::Status(401), "401"),
    ] {
        site.satellite.trouble(method, 1, refusal);
        let before = site.satellite.count(LOGIN);
        // Its input stays open, and more could come.
        let (mut child, stdin) = site.stream(&mapping());
        let status = support::ended(&mut child);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(status.is_some(), "it goes on: {output:?}");
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(words), "{output:?}");
        assert_eq!(site.satellite.count(LOGIN), before + 1, "{output:?}");
    }
}

#[test]
fn a_missing_role_does_not_end_a_stream() {
    let site = Site::new();
    site.satellite
        .trouble("channel.software.create", 1, Trouble::Fault(-23, "no".into()));
    let outcome = site.run().stdin(mapping_of("a") + &mapping_of("b")).run();
    assert_eq!(
        (outcome.status, outcome.stdout.lines().count()),
        (77, 2),
        "{outcome:?}"
    );
    assert_eq!(site.satellite.registrations(), 2, "the role was given meanwhile");
}
