//! Errors of the server: of one call, and of all.

use super::*;

#[test]
fn an_error_of_one_hypervisor_does_not_stop_the_others() {
    for trouble in [
        (
            NOTIFY,
            Trouble::Fault(1, "caught\nValueError".into()),
            69,
            "fault 1: caught ValueError",
        ),
        (NOTIFY, for_long(500), 75, "500"),
        (REGISTER, Trouble::Fault(-90, "no slots".into()), 69, "fault -90"),
    ] {
        let site = Site::new();
        let (method, trouble, status, words) = trouble;
        site.satellite.trouble(method, 1, trouble);
        let outcome = site.run().args(ONE_BY_ONE).run();
        assert_eq!(outcome.status, status, "{outcome:?}");
        let line = line(&outcome);
        assert_eq!((&line["state"], &line["created"]), (&json!("partial"), &json!(1)));
        assert_eq!(failures(&line)[0].0, "esx1.example.com");
        assert!(failures(&line)[0].1.contains(words), "{line}");
        assert!(site.systems().contains_key("esx hypervisor esx2.example.com"));
    }
}

#[test]
fn a_report_is_retried_unless_that_could_register_twice() {
    let site = Site::new();
    site.satellite.trouble(NOTIFY, 1, Trouble::Status(503));
    let outcome = site.run().run();
    assert_eq!(
        (outcome.status, site.satellite.registrations()),
        (0, 2),
        "{outcome:?}"
    );

    let site = Site::new();
    site.satellite.trouble(REGISTER, 1, Trouble::Status(503));
    let outcome = site.run().run();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    assert_eq!(site.satellite.count(REGISTER), 2, "once for each");
    assert_eq!(line(&outcome)["created"], 1);
    succeeded(&site.run().run());
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn errors_of_the_server_are_those_of_each_hypervisor_unless_they_end_the_report() {
    const PAGE: &str = "<!DOCTYPE html><html><title>Proxy</title></html>";
    const OTHER: &str = "no Satellite 5 or Spacewalk answers there; check the server's address";
    fn answer(status: u16, kind: &'static str, text: &'static str) -> Fault {
        Fault::Answer(Response::new(status, kind, text))
    }
    type Faulty = fn() -> Fault;
    let faults: [(Faulty, i32, &str); 7] = [
        (|| Fault::Close, 75, "ended before"),
        (|| Fault::Cut(20), 75, "ended before"),
        (|| answer(200, "text/html", PAGE), 76, "HTML page"),
        (|| answer(200, "text/html", PAGE), 76, OTHER),
        (|| answer(200, "text/xml", "<methodResponse/>"), 76, "not XML-RPC"),
        (|| answer(404, "text/plain", "no"), 76, OTHER),
        (|| answer(401, "text/plain", "no"), 77, "401"),
    ];
    for (fault, status, words) in faults {
        support::with_longer_times(|limit| {
            let site = Site::new();
            site.report();
            // The first hypervisor is let through.
            let mut seen = 0;
            site.server.misbehave(move |_, _| {
                seen += 1;
                (seen > 1).then(fault)
            });
            let three = json!({"hypervisors": [
                {"uuid": "esx1.example.com", "guests": []},
                {"uuid": "esx2.example.com", "guests": []},
                {"uuid": "esx3", "guests": []},
            ]});
            let run = site
                .run()
                .args(["--timeout", limit])
                .args(ONE_BY_ONE)
                .args(["--force"]);
            let outcome = run.stdin(three.to_string()).run();
            assert_eq!(outcome.status, status, "{outcome:?}");
            let line = line(&outcome);
            assert!(failures(&line)[0].1.contains(words), "{outcome:?}");
            assert_eq!((&line["state"], &line["updated"]), (&json!("partial"), &json!(1)));
            let ids: Vec<&str> = failures(&line).iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, ["esx2.example.com", "esx3"]);
        });
    }
}

#[test]
fn a_server_that_does_not_listen_is_named() {
    support::with_longer_times(|limit| {
        let site = Site::new();
        let outcome = site
            .bare()
            .args(ONE_BY_ONE)
            .args(["--server", "127.0.0.1:1", "--username", "sim"])
            .args(["--password-file", &site.file("password"), "--timeout", limit])
            .run();
        failed(&outcome, 75, "connection refused");
    });
}

#[test]
fn a_long_pause_that_the_server_asks_for_is_shown() {
    let site = Site::new();
    site.server
        .misbehave(|_, _| Some(vw_sim::hostile::retry_after(503, "3600")));
    let outcome = site.run().run();
    failed(&outcome, 75, "the server asks to wait 3600 s");
    let line: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(line["retry_after"], 3600);
}

#[test]
fn a_timeout_also_says_what_failed_before() {
    support::with_longer_times(|limit| {
        let site = Site::new();
        let mut first = true;
        site.server.misbehave(move |_, request| {
            if std::mem::take(&mut first) {
                return Some(vw_sim::hostile::status(500));
            }
            // Not the login, whose answer is awaited for longer.
            let body = String::from_utf8_lossy(&request.body);
            body.contains("user.getDetails").then_some(Fault::Silence)
        });
        let outcome = site.run().args(["--timeout", limit]).run();
        assert_eq!(outcome.status, 75, "{outcome:?}");
        let last = outcome.stderr.lines().last().unwrap();
        let (before, late) = last.split_once("; the last attempt: ").unwrap();
        assert!(
            before.contains("500") && late.contains("--timeout"),
            "{outcome:?}"
        );
    });
}
