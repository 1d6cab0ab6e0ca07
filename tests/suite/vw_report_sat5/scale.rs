//! Many hypervisors: several at once, in one session; and what is not sent again.

use std::sync::Mutex;

use super::*;

/// A document with this many hypervisors; the guests of those in `changed` run.
fn many(count: usize, changed: &[usize]) -> String {
    let hosts: Vec<Value> = (0..count)
        .map(|host| {
            let state = if changed.contains(&host) { 1 } else { 5 };
            let guest = format!("564dae86-0000-1000-8000-{host:012}");
            json!({"uuid": format!("esx{host:03}"), "guests": [{"guestId": guest, "state": state}]})
        })
        .collect();
    json!({ "hypervisors": hosts }).to_string()
}

#[test]
fn several_are_registered_at_once_in_one_session() {
    let site = Site::new();
    let (trouble, release) = Trouble::held();
    site.satellite.trouble(REGISTER, 1, trouble);
    let (child, _) = site
        .run()
        .args(["-j", "3"])
        .stdin(many(30, &[]))
        .start(Stdio::piped());
    // While one waits for its answer, two threads do all the others.
    until(|| site.satellite.count(NOTIFY) == 29);
    drop(release);
    let (status, result) = ended(child);
    assert_eq!((status, &result["created"]), (0, &json!(30)), "{result}");
    assert_eq!(site.systems().len(), 30);
    let calls = site.satellite.calls();
    for method in [LOGIN, "user.getDetails", "channel.software.create", SET_MAP] {
        assert_eq!(calls[method], 1, "{method}");
    }
    site.one_session_is_closed();
}

#[test]
fn one_at_a_time_keeps_the_order() {
    let site = Site::new();
    succeeded(&site.run().args(ONE_BY_ONE).stdin(many(10, &[])).run());
    let profiles: Vec<String> = site
        .satellite
        .systems()
        .into_iter()
        .map(|system| system.profile)
        .collect();
    assert!(profiles.is_sorted(), "{profiles:?}");
    for wrong in ["0", "65", "x"] {
        site.run().args(["-j", wrong]).run().failed(64, "--jobs");
    }
}

#[test]
fn an_expired_session_costs_one_login_for_all() {
    let site = Site::new();
    // All have got the same key, which expires before any of them uses it again.
    let mut looked_up = 0;
    let satellite = site.satellite.clone();
    site.server.misbehave(move |_, request| {
        looked_up += usize::from(String::from_utf8_lossy(&request.body).contains("system.getId"));
        if looked_up == 5 {
            satellite.expire_sessions();
            looked_up += 1;
        }
        None
    });
    let outcome = site.run().stdin(many(20, &[])).run();
    succeeded(&outcome);
    assert_eq!(line(&outcome)["created"], 20);
    assert_eq!(
        (site.satellite.count(LOGIN), site.satellite.open_sessions()),
        (2, 0)
    );
    assert_eq!(
        outcome.stderr.matches("logging in again").count(),
        1,
        "{outcome:?}"
    );
}

#[test]
fn only_changed_plans_are_sent() {
    let site = Site::new();
    let report = |document: String, options: &[&str]| {
        let before = site.satellite.calls();
        let outcome = site.run().args(options).stdin(document).run();
        succeeded(&outcome);
        let line = line(&outcome);
        let calls = site.satellite.calls().into_iter();
        let calls: BTreeMap<String, usize> = calls
            .map(|(method, count)| (method.clone(), count - before.get(&method).unwrap_or(&0)))
            .filter(|(_, count)| *count > 0)
            .collect();
        (line, calls)
    };
    report(many(50, &[]), &[]);
    let (line, calls) = report(many(50, &[]), &[]);
    assert_eq!(
        (&line["state"], &line["unchanged"]),
        (&json!("unchanged"), &json!(50))
    );
    assert!(calls.is_empty(), "{calls:?}");

    let (line, calls) = report(many(50, &[7]), &[]);
    assert_eq!(
        (&line["state"], &line["updated"], &line["unchanged"]),
        (&json!("finished"), &json!(1), &json!(49))
    );
    assert_eq!(calls, BTreeMap::from([(NOTIFY.to_owned(), 1)]));
    assert_eq!(site.systems()["esx hypervisor esx007"][0].1, GuestState::Running);

    let (line, calls) = report(many(50, &[7]), &["--force"]);
    assert_eq!((&line["updated"], calls[NOTIFY]), (&json!(50), 50));

    // A plan that the server did not accept is sent again.
    site.satellite.trouble(NOTIFY, 1, Trouble::Fault(1, "no".into()));
    assert_eq!(site.run().stdin(many(50, &[7, 8])).run().status, 69);
    let (line, calls) = report(many(50, &[7]), &[]);
    assert_eq!((&line["updated"], calls[NOTIFY]), (&json!(1), 1), "{line}");

    // So is everything if the file is damaged.
    fs::write(site.file("state/vw-report-sat5.json"), "{").unwrap();
    let outcome = site.run().stdin(many(50, &[7])).run();
    assert!(
        outcome.stderr.contains("vw-report-sat5.json is damaged"),
        "{outcome:?}"
    );
    assert_eq!(super::line(&outcome)["updated"], 50);
}

#[test]
fn hypervisors_that_share_guests_are_sent_together_and_in_order() {
    let site = Site::new();
    let document = |state: u8| {
        json!({"hypervisors": [
            {"uuid": "a", "guests": [{"guestId": WEB, "state": 1}, {"guestId": DB, "state": state}]},
            {"uuid": "b", "guests": [{"guestId": WEB, "state": 5}]},
            {"uuid": "c", "guests": []},
        ]})
        .to_string()
    };
    let plans = Arc::new(Mutex::new(Vec::new()));
    let noted = plans.clone();
    site.server.misbehave(move |_, request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if body.contains(NOTIFY) {
            noted.lock().unwrap().push(body);
        }
        None
    });
    succeeded(&site.run().stdin(document(1)).run());
    plans.lock().unwrap().clear();
    let result = line(&site.run().stdin(document(5)).run());
    assert_eq!(
        (&result["updated"], &result["unchanged"]),
        (&json!(2), &json!(1)),
        "{result}"
    );
    let plans = plans.lock().unwrap();
    let of_a: Vec<bool> = plans
        .iter()
        .map(|plan| plan.contains("esx hypervisor a</string>"))
        .collect();
    assert_eq!(of_a, [false, true], "the one on which it runs is last");
}

#[test]
fn a_server_that_is_away_ends_the_report_soon() {
    let site = Site::new();
    succeeded(&site.run().stdin(many(100, &[])).run());
    site.server
        .misbehave(|_, _| Some(vw_sim::hostile::retry_after(503, "86400")));
    let before = site.server.requests().len();
    let outcome = site.run().stdin(many(100, &[3])).args(["--force"]).run();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    let result = line(&outcome);
    assert_eq!(
        (&result["state"], failures(&result).len()),
        (&json!("failed"), 100),
        "{result}"
    );
    let requests = site.server.requests().len() - before;
    assert!(requests < 100, "{requests} requests");
}
