//! How a scan fails: with one line, the right status, and no session left open.

use std::io::Read;
use std::process::Stdio;
use std::sync::mpsc::channel;

use vw_sim::http::{Fault, Request, Response};
use vw_sim::xen::Pool;

use super::{HOSTS, LOGIN, LOGOUT, PROGRAM, Site, VMS};
use crate::support::{Run, at_once, ended, signals, with_longer_times, with_time};

/// Whether a request calls a method.
pub(crate) fn calls(request: &Request, method: &str) -> bool {
    String::from_utf8_lossy(&request.body).contains(&format!("<methodName>{method}</methodName>"))
}

#[test]
fn a_wrong_password_is_tried_once() {
    let site = Site::new(Pool::new(1, 1));
    std::fs::write(site.path("password"), "s3cret").unwrap();
    let outcome = site.scan(&[]);
    outcome.failed(77, "as \"sim\" failed: wrong user name or password");
    assert!(
        outcome.stderr.contains("repeated failures may lock the account"),
        "{outcome:?}"
    );
    assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
    assert_eq!(site.xen.count(LOGIN), 1);
}

#[test]
fn a_refusal_ends_the_scan_or_is_retried_as_its_code_says() {
    let table = [
        (HOSTS, "RBAC_PERMISSION_DENIED", 77, "a role in the pool"),
        (VMS, "INTERNAL_ERROR", 69, "INTERNAL_ERROR (sim"),
        (LOGIN, "MESSAGE_DEPRECATED", 69, "MESSAGE_DEPRECATED"),
        // Such as a coordinator that became a member during the scan.
        (VMS, "HOST_IS_SLAVE", 69, "not the pool's coordinator"),
    ];
    for (method, code, status, words) in table {
        let site = Site::new(Pool::new(1, 1));
        site.xen.fail(method, 9, code, ["sim", "sim-secret"]);
        let outcome = site.scan(&[]);
        outcome.failed(status, words);
        assert!(outcome.stderr.contains("127.0.0.1:"), "{outcome:?}");
        assert!(!outcome.stderr.contains("sim-secret"), "{outcome:?}");
        assert_eq!(site.xen.open_sessions(), 0, "{code}");
    }
    for code in [
        "HOST_STILL_BOOTING",
        "HOST_OFFLINE",
        "TOO_BUSY",
        "TOO_MANY_PENDING_TASKS",
    ] {
        for method in [LOGIN, HOSTS] {
            let site = Site::new(Pool::new(1, 1));
            site.xen.fail(method, 1, code, []);
            let outcome = site.scan(&[]);
            assert_eq!(outcome.status, 0, "{outcome:?}");
            assert!(outcome.stderr.contains("trying again in"), "{outcome:?}");
            site.nothing_is_open();
        }
    }
    let site = Site::new(Pool::new(1, 1));
    site.xen.fail(LOGIN, 1000, "HOST_STILL_BOOTING", []);
    let words = "HOST_STILL_BOOTING";
    let outcome = with_time(&[words], |limit| site.scan(&["--timeout", limit]));
    outcome.failed_at_last(75, words);
}

#[test]
fn a_session_that_ends_is_opened_again_once() {
    let site = Site::new(Pool::new(1, 1));
    site.xen.fail(HOSTS, 1, "SESSION_INVALID", ["OpaqueRef:gone"]);
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.stderr.contains("the session ended; logging in again"),
        "{outcome:?}"
    );
    assert_eq!(site.xen.count(LOGIN), 2);
    site.nothing_is_open();
    site.xen.fail(HOSTS, 2, "SESSION_INVALID", ["OpaqueRef:gone"]);
    let outcome = site.scan(&[]);
    outcome.failed_after_warnings(75, "the session ended");
    assert_eq!(site.xen.count(LOGIN), 4);
    site.nothing_is_open();
}

/// The reference of a session is as secret as the password.
#[test]
fn a_session_is_not_shown_when_the_server_repeats_it() {
    let site = Site::new(Pool::new(1, 1));
    let (sender, receiver) = channel();
    site.xen.server().misbehave(move |_, request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if !calls(request, HOSTS) {
            return None;
        }
        let (_, rest) = body.split_once("<string>").unwrap();
        let session = rest.split('<').next().unwrap().to_owned();
        let failure = format!(
            "<methodResponse><params><param><value><struct><member><name>Status</name><value>Failure</value></member>\
             <member><name>ErrorDescription</name><value><array><data><value>HANDLE_INVALID</value><value>session</value>\
             <value>{session}</value></data></array></value></member></struct></value></param></params></methodResponse>"
        );
        sender.send(session).unwrap();
        Some(vw_sim::hostile::answer("text/xml", failure))
    });
    let outcome = site.scan(&["-d"]);
    assert_eq!(outcome.status, 69, "{outcome:?}");
    let session = receiver.recv().unwrap();
    assert!(session.starts_with("OpaqueRef:"));
    assert!(
        outcome.stderr.contains("HANDLE_INVALID (session, (redacted))"),
        "{outcome:?}"
    );
    assert!(!outcome.stderr.contains(&session), "{outcome:?}");
    site.nothing_is_open();
}

#[test]
fn every_way_out_logs_out() {
    at_once([VMS, HOSTS], |method| {
        for signal in ["TERM", "INT", "HUP"] {
            let site = Site::new(Pool::new(1, 1));
            let (sender, receiver) = channel();
            site.xen.server().misbehave(move |_, request| {
                calls(request, method).then(|| {
                    sender.send(()).unwrap();
                    Fault::Silence
                })
            });
            signals::not_ignored();
            let (mut child, _stdin) = Run::new(PROGRAM).args(site.options()).start(Stdio::piped());
            receiver.recv().unwrap();
            assert_eq!(site.xen.originators(), ["vw-scan-xen"]);
            signals::send(&child, signal);
            let status = ended(&mut child).unwrap();
            let (expected, words) = match signal {
                "TERM" => (143, "terminated"),
                "INT" => (130, "interrupted"),
                _ => (129, "ended by SIGHUP"),
            };
            assert_eq!(status.code(), Some(expected), "{signal} at {method}");
            let mut messages = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut messages)
                .unwrap();
            assert_eq!(messages, format!("vw-scan-xen: {words}\n"));
            site.nothing_is_open();
        }
    });
    with_longer_times(|limit| {
        let site = Site::new(Pool::new(1, 1));
        site.xen
            .server()
            .misbehave(|_, request| calls(request, VMS).then_some(Fault::Silence));
        let outcome = site.scan(&["--timeout", limit]);
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert!(
            outcome.stderr.contains("not done within the time limit"),
            "{outcome:?}"
        );
        site.nothing_is_open();
    });
}

#[test]
fn a_signal_during_the_login_waits_for_its_answer() {
    let site = Site::new(Pool::new(1, 1));
    let (sender, receiver) = channel();
    site.xen.server().misbehave(move |_, request| {
        if calls(request, LOGIN) {
            sender.send(()).unwrap();
            return Some(Fault::Delay(std::time::Duration::from_secs(1)));
        }
        // Where the signal comes late, the scan has not ended yet.
        calls(request, HOSTS).then_some(Fault::Silence)
    });
    signals::not_ignored();
    let (mut child, _stdin) = Run::new(PROGRAM).args(site.options()).start(Stdio::null());
    receiver.recv().unwrap();
    signals::send(&child, "TERM");
    assert_eq!(ended(&mut child).unwrap().code(), Some(143));
    site.nothing_is_open();
}

#[test]
fn a_logout_that_fails_is_tried_over_another_connection() {
    let site = Site::new(Pool::new(1, 1));
    let mut first = true;
    site.xen.server().misbehave(move |_, request| {
        (calls(request, LOGOUT) && std::mem::take(&mut first)).then_some(Fault::Close)
    });
    site.scan(&["-q"]).quiet_success();
    site.nothing_is_open();
    site.xen
        .server()
        .misbehave(|_, request| calls(request, LOGOUT).then(|| vw_sim::hostile::status(500)));
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.stderr.contains("the session stays open until it expires"),
        "{outcome:?}"
    );
}

#[test]
fn a_password_that_the_server_quotes_is_not_shown() {
    let site = Site::new(Pool::new(1, 1));
    site.xen.server().misbehave(|_, request| {
        // A message has one line.
        let quoted = String::from_utf8_lossy(&request.body).replace('\n', " ");
        let answer = Response::new(400, "text/plain", quoted);
        Some(Fault::Answer(answer))
    });
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 76, "{outcome:?}");
    assert!(outcome.stderr.contains("(redacted)"), "{outcome:?}");
    assert!(!outcome.stderr.contains("sim-secret"), "{outcome:?}");
}

#[test]
fn another_service_is_named_as_such() {
    let table = [
        (vw_sim::hostile::page as fn(u16) -> Fault, 200, 76),
        (vw_sim::hostile::status, 404, 76),
        (vw_sim::hostile::status, 405, 76),
    ];
    for (fault, status, expected) in table {
        let site = Site::new(Pool::new(1, 1));
        site.xen.server().misbehave(move |_, _| Some(fault(status)));
        site.scan(&[])
            .failed(expected, "is this the address of a XenServer or XCP-ng host?");
    }
}

#[test]
fn answers_that_lack_something_are_refused() {
    let envelope = |members: &str| {
        format!(
            "<methodResponse><params><param><value><struct>{members}</struct></value></param></params></methodResponse>"
        )
    };
    let member =
        |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let success = member("Status", "Success");
    let table = [
        (envelope(&success), "no Value"),
        (envelope(&member("Value", "<struct/>")), "no Status"),
        (envelope(&member("Status", "Failure")), "no ErrorDescription"),
        (envelope(&(success.clone() + &member("Value", "text"))), "no records"),
        (
            envelope(&(success.clone() + &member("Value", "<struct/>").repeat(2))),
            "a second member",
        ),
        (
            "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value></member>\
             <member><name>faultString</name><value>no such method</value></member></struct></value></fault></methodResponse>"
                .to_owned(),
            "fault 1: no such method",
        ),
    ];
    for (answer, words) in table {
        let site = Site::new(Pool::new(1, 1));
        site.xen.server().misbehave(move |_, request| {
            calls(request, VMS).then(|| vw_sim::hostile::answer("text/xml", answer.clone()))
        });
        site.scan(&[]).failed(76, words);
        site.nothing_is_open();
    }
}
