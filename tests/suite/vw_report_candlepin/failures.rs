//! Failures of a report, and their messages.

use super::*;

#[test]
fn a_refused_account_says_what_is_wrong_with_it() {
    let account = |name: &str, access| Account {
        username: name.to_owned(),
        password: "sim-secret".to_owned(),
        access,
    };
    let site = Site::with(|settings| {
        settings.accounts.push(account("nothing", Access::Nothing));
        settings.accounts.push(account("other", Access::Owners(vec![])));
    });
    std::fs::write(site.folder.path().join("password"), "no-good-secret").unwrap();
    let outcome = site.run().run();
    outcome.failed(77, "Invalid Credentials");
    outcome.failed(77, "request uuid");
    assert!(!outcome.stderr.contains("no-good"), "{outcome:?}");
    assert_eq!(line(&outcome)["state"], "failed");

    std::fs::write(site.folder.path().join("password"), "sim-secret\r\n").unwrap();
    for (options, status, words) in [
        (["--username", "nothing"], 77, "Insufficient permissions"),
        (
            ["--username", "other"],
            69,
            "owner \"sim\" is unknown (upper and lower case differ), or user \"other\" has no access to it",
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
fn a_port_where_nobody_listens_is_named() {
    let site = Site::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = site.options();
    options[1] = format!("http://{free}/candlepin");
    let outcome = with_time(&[&free.to_string()], |limit| {
        let run = site.bare().args(options.clone()).args(["--timeout", limit]);
        run.stdin(MAPPING).run()
    });
    failed(&outcome, 75, &free.to_string());
    assert_eq!(line(&outcome)["state"], "failed");
}

#[test]
fn an_overloaded_server_is_retried_until_the_time_limit() {
    for status in [429, 500, 502, 503] {
        let words = status.to_string();
        let outcome = with_time(&[&words], |limit| {
            let site = Site::new();
            site.candlepin.refuse_next([status; 100]);
            site.report(&["--timeout", limit], MAPPING)
        });
        outcome.failed_at_last(75, &words);
    }
    let site = Site::new();
    site.candlepin.set_database_down(true);
    let outcome = with_time(&["answered 500"], |limit| {
        site.report(&["--timeout", limit], MAPPING)
    });
    outcome.failed_at_last(75, "answered 500");
}

#[test]
fn cut_and_foreign_answers_are_errors() {
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
    let troubles: [(Trouble, i32, &str); 9] = [
        (|| Fault::Close, 75, "ended before the answer was complete"),
        (|| Fault::Cut(20), 75, "ended before the answer was complete"),
        (page, 76, "a web page came instead"),
        (|| json("{"), 76, "is not one of Candlepin"),
        (|| json("[]"), 76, "is not one of Candlepin"),
        (|| json("{}"), 76, "is not one of Candlepin"),
        (
            || json(r#"{"id":7,"state":[],"managerCapabilities":{}}"#),
            76,
            "is not one of Candlepin",
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
    at_once(troubles, |(trouble, status, words)| {
        for path in [
            "/candlepin/status",
            "/candlepin/hypervisors/sim",
            "/candlepin/jobs/",
        ] {
            let site = Site::new();
            site.server
                .misbehave(move |_, request: &Request| request.path.starts_with(path).then(trouble));
            let outcome = with_time(&[words], |limit| site.report(&["--timeout", limit], MAPPING));
            failed(&outcome, status, words);
            assert_eq!(line(&outcome)["state"], "failed");
            // Only the first request shows that the path may be wrong.
            let doubted = status == 76 && words != "415" && path.ends_with("status");
            assert_eq!(outcome.stderr.contains("rhsm_prefix"), doubted, "{outcome:?}");
        }
    });
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
        let begun = Instant::now();
        let outcome = site.run().run();
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert_eq!(count(&site, "/hypervisors/"), posts);
        // After the end of the input retries go on for a minute, so longer pauses are not waited for.
        assert!(begun.elapsed() < Duration::from_secs(50));
        let pause = outcome.stderr.split("(the server asks to wait ").nth(1);
        let pause = pause.and_then(|pause| pause.split(" s)").next()?.parse::<u64>().ok());
        assert_eq!(
            pause.is_some_and(|pause| (3_500..=3_600).contains(&pause)),
            status == 75,
            "{outcome:?}"
        );
        // vw-run reads it there.
        let line: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let told = line.get("retry_after").map(|pause| pause.as_u64().unwrap());
        assert_eq!(told.is_some(), status == 75, "{line}");
        assert!(
            told.is_none_or(|pause| (3_500..=3_600).contains(&pause)),
            "{line}"
        );
    }
}

#[test]
fn a_broken_connection_is_retried() {
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
fn a_path_without_a_candlepin_is_named() {
    let site = Site::new();
    let mut options = site.options();
    options[1] = format!("{}/nothing", site.server.url());
    let outcome = site.bare().args(options).stdin(MAPPING).run();
    outcome.failed(76, "404");
    outcome.failed(76, "/nothing; check the path");
    outcome.failed(76, "rhsm_prefix");

    // A Candlepin answers, but not at this path.
    let mut options = site.options();
    options[1] += "/more";
    let outcome = site.bare().args(options).stdin(MAPPING).run();
    outcome.failed(76, "/candlepin/more; check the path");
}

#[test]
fn a_refused_login_names_server_user_and_section() {
    let site = Site::new();
    let address = site.server.address();
    let section = format!(
        "[other]\ntype=esx\n[prod]\ntype=esx\nowner=sim\nrhsm_hostname=http://{address}\nrhsm_prefix=/candlepin\n\
         rhsm_username=sim\nrhsm_password=no-good-secret\n"
    );
    std::fs::write(site.file("virt-who.conf"), section).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(site.file("virt-who.conf"), private).unwrap();
    let outcome = site.bare().args(["-n", "prod"]).stdin(MAPPING).run();
    for words in [
        format!("section [prod] ({}:3)", site.file("virt-who.conf")),
        format!("login to http://{address}/candlepin as \"sim\" failed: wrong user name or password"),
        "may lock the account".to_owned(),
        "401 Unauthorized: Invalid Credentials".to_owned(),
    ] {
        outcome.failed(77, &words);
    }
    let checked = site.bare().args(["-n", "prod", "--check"]).run();
    checked.failed(77, "section [prod]");
    assert!(!outcome.stderr.contains("no-good"), "{outcome:?}");
}

#[test]
fn an_aborted_job_is_given_up_and_one_that_was_blocked_is_sent_again() {
    let site = Site::new();
    site.candlepin
        .doom_next_job(Fate::Abort("the server stops".to_owned()));
    let outcome = site.run().run();
    outcome.failed(69, "ABORTED: the server stops");
    assert_eq!(line(&outcome)["state"], "failed");
    assert_eq!(site.candlepin.jobs().len(), 1);

    let other = site.candlepin.occupy("sim", JobTime::Polls(1));
    let blocked = format!("Job blocked by the following existing jobs: {other}");
    let answer = json!({"id": "j", "state": "ABORTED", "resultData": blocked}).to_string();
    let mut first = true;
    site.server.misbehave(move |_, request: &Request| {
        let aborted = || Response::new(200, "application/json", answer.as_str());
        (request.method == "POST" && std::mem::replace(&mut first, false)).then(|| Fault::Answer(aborted()))
    });
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains(&other), "{outcome:?}");
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn a_server_without_capabilities_gets_the_old_check_in() {
    let site = Site::with(|settings| {
        settings.generation = Generation::Old;
        settings.asynchronous = false;
        settings.tells_capabilities = false;
    });
    let outcome = site.run().run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(line(&outcome)["state"], "finished");
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn a_refusal_of_megabytes_is_read_at_once() {
    let site = Site::new();
    site.candlepin.remark([":".repeat(4 << 20), "h1: no".to_owned()]);
    let outcome = site.report(&["--timeout", "60"], MAPPING);
    // Colons took hours to read once, despite the limit.
    failed(&outcome, 69, "2 refused");
    let line = line(&outcome);
    assert_eq!(line["state"], "partial");
    assert!(line.to_string().len() < 10_000);
}

#[test]
fn the_time_limit_names_an_unfinished_job() {
    with_longer_times(|limit| {
        let site = Site::with(|settings| settings.job_time = JobTime::Polls(100_000));
        let outcome = site.report(&["--timeout", limit], MAPPING);
        failed(&outcome, 75, "no time is left to wait for job ");
        failed(&outcome, 75, "--timeout");
        let job = &site.candlepin.jobs()[0].id;
        failed(&outcome, 75, job);
    });
}

#[test]
fn the_time_limit_names_an_unfinished_job_of_another_reporter() {
    with_longer_times(|limit| {
        let site = Site::new();
        let other = site.candlepin.occupy("sim", JobTime::Polls(100_000));
        let outcome = site.report(&["--timeout", limit], MAPPING);
        let last = outcome.stderr.lines().last().unwrap();
        assert!(
            last.contains(&other) && last.contains("no time is left "),
            "{outcome:?}"
        );
        assert_eq!(outcome.status, 75);
    });
}

#[test]
fn the_time_limit_names_the_last_failure() {
    with_longer_times(|limit| {
        let site = Site::new();
        let mut first = true;
        site.server.misbehave(move |_, request: &Request| {
            (request.method == "POST").then(|| match std::mem::replace(&mut first, false) {
                true => Fault::Answer(Response::new(503, "text/plain", "no database")),
                false => Fault::Silence,
            })
        });
        let outcome = site.report(&["--timeout", limit], MAPPING);
        let last = outcome.stderr.lines().last().unwrap();
        assert_eq!(outcome.status, 75, "{outcome:?}");
        // There may have been time for a second attempt, which gets no answer.
        assert!(
            last.contains("503 Service Unavailable: no database"),
            "{outcome:?}"
        );
    });
}

#[test]
fn a_server_that_is_redeployed_while_the_job_runs_is_asked_again() {
    let site = Site::new();
    let mut asked = 0;
    site.server.misbehave(move |_, request: &Request| {
        asked += usize::from(request.path.starts_with("/candlepin/jobs/"));
        let page = || Response::new(404, "text/html", "<html><title>HTTP Status 404</title></html>");
        (asked == 1).then(|| Fault::Answer(page()))
    });
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("asking again"), "{outcome:?}");
    assert_eq!(site.candlepin.jobs().len(), 1);
}

#[test]
fn an_owner_or_job_that_is_a_dot_or_two_is_refused() {
    let site = Site::new();
    for key in [".", "..", ""] {
        let mut options = site.options();
        let place = options.iter().position(|option| option == "--owner").unwrap();
        options[place + 1] = key.to_owned();
        let outcome = site.bare().args(options).stdin(MAPPING).run();
        outcome.failed(64, "--owner");
        site.run().args(["--job", key]).run().failed(64, "--job");
    }
    let section = "[prod]\ntype=esx\nowner=..\nrhsm_hostname=x\n";
    std::fs::write(site.file("virt-who.conf"), section).unwrap();
    let outcome = site.bare().args(["-n", "prod"]).stdin(MAPPING).run();
    outcome.failed(78, "virt-who.conf:3");
    assert_eq!(site.candlepin.request_count(), 0);

    // The server chooses the ids of jobs.
    site.server.misbehave(|_, request: &Request| {
        let job = || Response::new(200, "application/json", r#"{"id":"..","state":"RUNNING"}"#);
        (request.method == "POST").then(|| Fault::Answer(job()))
    });
    site.run().run().failed(76, "no job can have this id");
}

#[test]
fn nothing_is_sent_for_an_input_without_a_document() {
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
fn the_time_limit_covers_the_whole_report() {
    let site = Site::new();
    site.server.misbehave(|_, _| Some(Fault::Silence));
    site.run().args(["--timeout", "1"]).run().failed(75, "--timeout");
}

#[test]
fn wrong_options_are_named_in_one_line() {
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
