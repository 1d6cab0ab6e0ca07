//! What can go wrong, and how it is told.

use super::*;

#[test]
fn what_is_wrong_with_the_account() {
    let account = |name: &str, access| Account {
        username: name.to_owned(),
        password: "sim-secret".to_owned(),
        access,
    };
    let site = Site::with(|settings| {
        settings.accounts.push(account("nothing", Access::Nothing));
        settings.accounts.push(account("other", Access::Owners(vec![])));
    });
    std::fs::write(site.folder.path().join("password"), "wrong").unwrap();
    let outcome = site.run().run();
    outcome.failed(77, "Invalid Credentials");
    outcome.failed(77, "request uuid");
    assert!(!outcome.stderr.contains("wrong"), "{outcome:?}");
    assert_eq!(line(&outcome)["state"], "failed");

    std::fs::write(site.folder.path().join("password"), "sim-secret\r\n").unwrap();
    for (options, status, words) in [
        (["--username", "nothing"], 77, "Insufficient permissions"),
        (
            ["--username", "other"],
            69,
            "owner \"sim\" is unknown, or user \"other\" has no right to it",
        ),
        (["--owner", "Sim"], 69, "owner \"Sim\" is unknown"),
    ] {
        let mut all = site.options();
        let place = all.iter().position(|option| option == options[0]).unwrap();
        all[place + 1] = options[1].to_owned();
        site.bare().args(all).stdin(MAPPING).run().failed(status, words);
    }
    assert!(site.held().is_empty());
}

#[test]
fn a_port_where_nobody_listens() {
    let site = Site::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = site.options();
    options[1] = format!("http://{free}/candlepin");
    options.extend(["--timeout".to_owned(), "1".to_owned()]);
    let outcome = site.bare().args(options).stdin(MAPPING).run();
    failed(&outcome, 75, &free.to_string());
    assert_eq!(line(&outcome)["state"], "failed");
}

#[test]
fn a_server_in_trouble_is_asked_again_later_or_not_in_time() {
    for status in [429, 500, 502, 503] {
        let site = Site::new();
        site.candlepin.refuse_next([status]);
        site.report(&["--timeout", "1"], MAPPING)
            .failed(75, &status.to_string());
    }
    let site = Site::new();
    site.candlepin.set_database_down(true);
    site.report(&["--timeout", "1"], MAPPING)
        .failed(75, "answered 500");
}

#[test]
fn answers_that_are_cut_or_not_those_of_a_candlepin() {
    fn page() -> Fault {
        Fault::Answer(Response::new(
            200,
            "text/html",
            "<html><title>Welcome</title></html>",
        ))
    }
    fn json(text: &str) -> Fault {
        Fault::Answer(Response::new(200, "application/json", text))
    }
    type Trouble = fn() -> Fault;
    let troubles: [(Trouble, i32, &str); 8] = [
        (|| Fault::Close, 75, "ended before the answer was complete"),
        (|| Fault::Cut(20), 75, "ended before the answer was complete"),
        (page, 76, "a web page came instead"),
        (|| json("{"), 76, "is the path right?"),
        (|| json("[]"), 76, "is the path right?"),
        (
            || json(r#"{"id":7,"state":[],"managerCapabilities":{}}"#),
            76,
            "is the path right?",
        ),
        (
            || Fault::Answer(Response::new(415, "text/plain", "no")),
            76,
            "415",
        ),
        (
            || {
                Fault::Answer(Response::new(
                    410,
                    "application/json",
                    r#"{"displayMessage":"gone"}"#,
                ))
            },
            77,
            "gone",
        ),
    ];
    for (trouble, status, words) in troubles {
        for path in [
            "/candlepin/status",
            "/candlepin/hypervisors/sim",
            "/candlepin/jobs/",
        ] {
            let site = Site::new();
            site.server
                .misbehave(move |_, request: &Request| request.path.starts_with(path).then(trouble));
            let outcome = site.report(&["--timeout", "1"], MAPPING);
            failed(&outcome, status, words);
            assert_eq!(line(&outcome)["state"], "failed");
        }
    }
}

#[test]
fn the_server_says_how_long_to_wait() {
    let later = || {
        let soon = std::time::SystemTime::now() + Duration::from_secs(3_600);
        httpdate::fmt_http_date(soon)
    };
    for (wait, status, posts) in [
        ("0".to_owned(), 0, 2),
        ("3600".to_owned(), 75, 1),
        (later(), 75, 1),
    ] {
        let site = Site::new();
        let mut first = true;
        site.server.misbehave(move |_, request: &Request| {
            let refuse = request.method == "POST" && std::mem::replace(&mut first, false);
            refuse.then(|| {
                let mut answer = Response::new(429, "text/plain", "slowly");
                answer.headers.push(("Retry-After".into(), wait.clone()));
                Fault::Answer(answer)
            })
        });
        let outcome = site.run().run();
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert_eq!(count(&site, "/hypervisors/"), posts);
    }
}

#[test]
fn a_connection_that_breaks_costs_nothing_but_time() {
    // Before the report has arrived, and after.
    let faults: [fn() -> Fault; 3] = [|| Fault::Close, || Fault::Lose, || Fault::Cut(10)];
    for fault in faults {
        let site = Site::with(|settings| settings.job_time = JobTime::Polls(0));
        let mut first = true;
        site.server.misbehave(move |_, request: &Request| {
            (request.method == "POST" && std::mem::replace(&mut first, false)).then(fault)
        });
        let outcome = site.run().run();
        assert_eq!(
            (outcome.status, line(&outcome)["state"].as_str()),
            (0, Some("finished")),
            "{outcome:?}"
        );
        assert_eq!(site.held(), ["h1", "h2"]);
    }
}

#[test]
fn a_server_that_restarts_while_the_job_runs_is_asked_again() {
    let site = Site::new();
    let mut asked = 0;
    site.server.misbehave(move |_, request: &Request| {
        asked += usize::from(request.path.starts_with("/candlepin/jobs/"));
        match asked {
            1 => Some(Fault::Close),
            2 => Some(Fault::Answer(Response::new(
                503,
                "text/html",
                "<html><title>Starting</title>",
            ))),
            _ => None,
        }
    });
    let outcome = site.run().run();
    assert_eq!(
        (outcome.status, line(&outcome)["state"].as_str()),
        (0, Some("finished")),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("asking again"), "{outcome:?}");
    // The report itself went once.
    assert_eq!(site.candlepin.jobs().len(), 1);
}

#[test]
fn a_path_where_no_candlepin_is() {
    let site = Site::new();
    let mut options = site.options();
    options[1] = format!("{}/nothing", site.server.url());
    site.bare().args(options).stdin(MAPPING).run().failed(69, "404");
}

#[test]
fn input_that_is_no_document_is_no_report() {
    for (input, status) in [
        ("", 66),
        (" \n", 66),
        (&MAPPING[..MAPPING.len() / 2], 66),
        (&MAPPING[..MAPPING.len() - 1], 66),
        ("not json", 65),
        ("[]", 65),
        (r#"{"hypervisors":1}"#, 65),
    ] {
        let site = Site::new();
        let outcome = site.run().stdin(input).run();
        outcome.failed(status, "vw-report-candlepin: ");
        assert_eq!(outcome.stdout, "", "{input}");
        assert_eq!(site.candlepin.request_count(), 0, "{input}");
    }
}

#[test]
fn a_time_limit_for_the_whole() {
    let site = Site::new();
    site.server.misbehave(|_, _| Some(Fault::Silence));
    site.run().args(["--timeout", "1"]).run().failed(75, "--timeout");
}

#[test]
fn wrong_options_are_told_in_one_line() {
    let site = Site::new();
    for options in [
        &["--job-timeout", "0"][..],
        &["--job-timeout", "soon"],
        &["--nonsense"],
        &["--batch", "0"],
        &["--key", "k.pem"],
        &["--force"],
        &["--clear-vanished"],
        &["--check", "--dry-run"],
        &["more"],
    ] {
        site.run().args(options).run().failed(64, "--help");
    }
    assert_eq!(site.candlepin.request_count(), 0);
}
