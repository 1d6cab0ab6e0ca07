//! Options and configuration.

use super::*;

#[test]
fn a_dry_run_prints_the_body_and_needs_no_server() {
    let site = Site::new();
    let dry = site
        .bare()
        .args(["--dry-run"])
        .stdin(MAPPING)
        .run()
        .quiet_success();
    assert_eq!(site.candlepin.request_count(), 0);
    site.run().run();
    let sent = site.candlepin.requests()[1].body.clone();
    assert_eq!(dry, String::from_utf8(sent).unwrap() + "\n");

    let twice = r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"A","guests":[]}]}"#;
    let outcome = site.bare().args(["--dry-run"]).stdin(twice).run();
    failed(&outcome, 65, "2 left out");
    assert_eq!(outcome.stdout, "");
    site.bare()
        .args(["--dry-run", "-n", "nosuch"])
        .stdin(MAPPING)
        .run()
        .failed(78, "[nosuch]");
    site.bare()
        .args(["--dry-run"])
        .stdin("")
        .run()
        .failed(66, "no input");
}

#[test]
fn a_section_is_enough_without_options() {
    let site = Site::new();
    let address = site.server.address();
    let section = |name: &str, more: &str| {
        format!(
            "[{name}]\ntype=esx\nowner=sim\nrhsm_hostname=http://{address}\nrhsm_prefix=/candlepin\n\
             rhsm_username=sim\nrhsm_insecure=1\n{more}\n"
        )
    };
    let write = |text: String| std::fs::write(site.folder.path().join("virt-who.conf"), text).unwrap();
    write(section("prod", "rhsm_password=sim-secret"));
    for options in [&["-n", "prod"][..], &[]] {
        let outcome = site.bare().args(options).stdin(MAPPING).run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(line(&outcome)["section"], "prod");
    }
    site.bare()
        .args(["-n", "test"])
        .stdin(MAPPING)
        .run()
        .failed(78, "there is no section [test]");

    write(section("prod", ""));
    let outcome = site
        .bare()
        .env("VIRTWHO_RHSM_PASSWORD", "sim-secret")
        .stdin(MAPPING)
        .run();
    assert_eq!(outcome.status, 0, "{outcome:?}");

    write("[prod]\ntype=esx\nowner=sim\nrhsm_hostname=x\n".to_owned());
    site.bare()
        .args(["-n", "prod"])
        .stdin(MAPPING)
        .run()
        .failed(78, "rhsm_username");
    write("[prod]\ntype=esx\nrhsm_hostname=x\n".to_owned());
    site.bare()
        .args(["-n", "prod"])
        .stdin(MAPPING)
        .run()
        .failed(78, "owner");
    assert_eq!(site.candlepin.jobs().len(), 3);
}

#[test]
fn debug_messages_show_the_ids_and_no_secret() {
    let site = Site::new();
    let outcome = site.run().args(["--debug"]).run();
    assert_eq!(outcome.status, 0);
    let address = site.server.address();
    for words in [
        "correlation id",
        "request uuid",
        "FINISHED after ",
        "using no section",
        &format!("reporting to http://{address}/candlepin, owner \"sim\", as reporter "),
        "logging in as user \"sim\"",
        "Candlepin 4.7.5: makes jobs of check-ins, has a heartbeat",
        "checking in: 200 after ",
        "limits: connecting 10 s, silence 60 s, a job 3600 s, 14400 s for a document",
    ] {
        assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
    }
    for secret in ["sim-secret", "c2ltOnNpbS1zZWNyZXQ="] {
        assert!(!outcome.stderr.contains(secret), "{outcome:?}");
    }
}

#[test]
fn debug_messages_show_the_settings_in_force() {
    let site = Site::new();
    let section = "[prod]\ntype=esx\nowner=sim\nrhsm_username=me\nrhsm_hostname=127.0.0.1\nrhsm_port=1\n";
    std::fs::write(site.file("virt-who.conf"), section).unwrap();
    std::fs::write(
        site.file("rhsm.conf"),
        "[server]\nprefix=/here\nserver_timeout=7\n",
    )
    .unwrap();
    let (files, conf) = (site.file("virt-who.conf"), site.file("rhsm.conf"));
    let run = site
        .bare()
        .args(["-n", "prod", "-d", "--timeout", "1", "--rhsm-conf", &conf]);
    let outcome = run
        .args(["--password-file", &site.file("password")])
        .stdin(MAPPING)
        .run();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    for words in [
        &format!("configuration files: {files}"),
        &format!("using section [prod] ({files}:1)"),
        &format!("rhsm.conf: {conf}\n"),
        "reporting to https://127.0.0.1:1/here, owner \"sim\"",
        "logging in as user \"me\"",
        "silence 7 s (server_timeout)",
        "1 s for an attempt (--timeout)",
    ] {
        assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
    }
}

#[test]
fn check_proves_that_a_report_would_be_accepted() {
    let site = Site::new();
    let outcome = site.report(&["--check"], "");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert!(
        outcome.stdout.contains("Candlepin 4.7.5") && outcome.stdout.contains("owner sim"),
        "{outcome:?}"
    );
    assert!(site.held().is_empty());
    // One that has to wait its turn is let in, too.
    site.candlepin.occupy("sim", JobTime::Polls(100_000));
    assert_eq!(site.report(&["--check"], "").status, 0);
    std::fs::write(site.folder.path().join("password"), "wrong").unwrap();
    let outcome = site.report(&["--check"], "");
    outcome.failed(77, "Invalid Credentials");
    outcome.failed(77, "correlation id");
}

#[test]
fn an_old_document_is_refused_with_max_age() {
    let site = Site::new();
    let stamped = |time: &str| mapping(&["a"], &format!(r#","source":{{"time":"{time}"}}"#));
    let aged = |input: &str| site.report(&["--max-age", "3600"], input);
    aged(MAPPING).failed(65, "--stamp");
    aged(&stamped("2020-01-01T00:00:00Z")).failed(65, "--max-age allows 3600");
    assert_eq!(site.candlepin.request_count(), 0);
    assert_eq!(aged(&stamped("2999-01-01T00:00:00Z")).status, 0);
}

#[test]
fn the_server_comes_from_rhsm_conf() {
    let site = Site::new();
    let conf = format!("[server]\nhostname={}\nprefix=/candlepin\n", site.server.url());
    std::fs::write(site.folder.path().join("rhsm.conf"), conf).unwrap();
    let options = ["--owner", "sim", "--username", "sim"].map(str::to_owned);
    let files = ["--password-file", "password", "--rhsm-conf", "rhsm.conf"];
    let files = files.map(|text| {
        if text.starts_with('-') {
            text.to_owned()
        } else {
            site.file(text)
        }
    });
    let run = || site.bare().args(options.clone()).args(files.clone());
    assert_eq!(run().stdin(MAPPING).run().status, 0);
    std::fs::remove_file(site.folder.path().join("rhsm.conf")).unwrap();
    run().stdin(MAPPING).run().failed(78, "rhsm.conf");
    let agents = site.server.requests();
    let version = concat!("vw-report-candlepin/", env!("CARGO_PKG_VERSION"));
    assert!(
        agents
            .iter()
            .all(|logged| logged.request.header("User-Agent") == Some(version))
    );
}
