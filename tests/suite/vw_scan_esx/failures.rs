//! How a scan fails: with one line, the right status, and no session left open.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;

use vw_sim::http::{Certificate, Fault, Response};
use vw_sim::vcenter::{Inventory, Open};

use super::{PROGRAM, Site, answer, small, soap_fault};
use crate::support::{Run, at_once, signals, with_time};

#[test]
fn failures_are_one_line_and_leave_no_session() {
    let site = Site::new(small());
    fs::write(site.path("wrong"), "s3cret").unwrap();
    let wrong = site.scan(&["--password-file", &site.file("wrong")]);
    // In curl the second of two equal options wins; here they are an error.
    wrong.failed(64, "--password-file");
    let url = site.vcenter.url();
    let cacert = site.file("ca.pem");
    let password = site.file("password");
    let run = |server: &str, user: &str, password: &str, more: &[&str]| {
        let run = Run::new(PROGRAM).args(["--server", server, "-u", user, "--password-file", password]);
        run.args(more).run()
    };
    let trusted: &[&str] = &["--cacert", &cacert];
    let refused = run(&url, "sim", &site.file("wrong"), trusted);
    refused.failed(77, "InvalidLogin");
    assert!(!refused.stderr.contains("s3cret"));
    run(&url, "locked", &password, trusted).failed(77, "InvalidLogin");
    run(&url, "sim", &site.file("none"), trusted).failed(78, "none");
    run(&url, "sim", &password, &["--cacert", &site.file("none")]).failed(78, "none");
    run(&url, "sim", &password, &["--cacert", &password]).failed(78, "password");
    run(&url, "sim", &password, &[]).failed(77, "--thumbprint");
    for server in ["none.invalid", "127.0.0.1:9"] {
        let outcome = with_time(&[server], |limit| {
            run(server, "sim", &password, &["--timeout", limit])
        });
        outcome.failed_at_last(75, server);
    }
    run("127.0.0.1:70000", "sim", &password, &[]).failed(64, "70000");
    run(&url, "sim", &password, &["--cacert", &cacert, "--timeout", "0"]).failed(64, "--timeout");
    site.nothing_is_open();
}

#[test]
fn without_arguments_the_error_names_what_is_missing() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let outcome = Run::new(PROGRAM)
        .env("VW_CONFIG", empty.path().to_str().unwrap())
        .run();
    outcome.failed(78, "--server");
}

#[test]
fn certificates_are_verified_unless_an_option_says_otherwise() {
    let table = [
        (Certificate::For(vec!["vc.example.com".into()]), 77, "name"),
        (Certificate::Expired, 77, "expired"),
        (Certificate::SelfSigned, 77, "--cacert"),
    ];
    for (certificate, status, words) in table {
        let site = Site::with_certificate(small(), &certificate);
        let refused = site.scan(&[]);
        refused.failed(status, words);
        assert!(
            site.vcenter.calls().is_empty(),
            "nothing is sent to a server that is not trusted"
        );
        let url = site.vcenter.url();
        let password = site.file("password");
        let options = ["--server", &url, "-u", "sim", "--password-file", &password];
        let seen = refused
            .stderr
            .split("--thumbprint ")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap();
        for trust in [&["--insecure"][..], &["--thumbprint", seen]] {
            Run::new(PROGRAM).args(options).args(trust).run().quiet_success();
        }
        site.nothing_is_open();
    }
}

#[test]
fn bad_answers_are_one_line_and_leave_no_session() {
    let html = || {
        Fault::Answer(Response::new(
            200,
            "text/html",
            "<!DOCTYPE html><html><title>Proxy</title></html>",
        ))
    };
    let status = |status| move || Fault::Answer(Response::new(status, "text/plain", "not now"));
    type Plan = Box<dyn Fn() -> Fault + Send + Sync>;
    let table: Vec<(Plan, i32, &str)> = vec![
        (Box::new(|| Fault::Close), 75, "connection"),
        (Box::new(|| Fault::Cut(300)), 75, "before the answer was complete"),
        (Box::new(html), 76, "web page"),
        (
            Box::new(|| Fault::Answer(Response::new(200, "application/json", "{\"error\":\"x\"}"))),
            76,
            "is JSON, not the vSphere API's",
        ),
        (Box::new(status(503)), 75, "503"),
        (Box::new(status(429)), 75, "429"),
        (Box::new(status(404)), 76, "404"),
        (Box::new(status(500)), 75, "500"),
        (
            Box::new(|| Fault::Answer(Response::new(200, "text/xml", "<a><b></a>"))),
            76,
            "not the vSphere API",
        ),
        (
            Box::new(|| {
                Fault::Answer(Response::new(
                    200,
                    "text/xml",
                    "<!DOCTYPE x [<!ENTITY e 'e'>]><x/>",
                ))
            }),
            76,
            "document type",
        ),
        (
            Box::new(|| Fault::Answer(Response::new(200, "text/xml", "<Envelope><Body>"))),
            75,
            "cut",
        ),
        (
            Box::new(|| Fault::Answer(Response::new(200, "text/xml", ""))),
            76,
            "not the vSphere API",
        ),
    ];
    let calls = [
        "RetrieveServiceContent",
        "Login",
        "CreateContainerView",
        "<RetrievePropertiesEx",
    ];
    at_once(calls, |call| {
        let site = Site::new(small());
        let whole = site.scan(&[]).quiet_success();
        for (number, (fault, status, words)) in table.iter().enumerate() {
            let fault = fault();
            let mut fault = Some(fault);
            site.vcenter.server().misbehave(move |_, request| {
                let wanted = String::from_utf8_lossy(&request.body).contains(call);
                if wanted { fault.take() } else { None }
            });
            let outcome = site.scan(&["--timeout", "20"]);
            let passes = *status == 75;
            assert_eq!(
                outcome.status,
                if passes { 0 } else { *status },
                "{call} {number}: {outcome:?}"
            );
            assert_eq!(
                outcome.stdout,
                if passes { &*whole } else { "" },
                "{call} {number}"
            );
            // A call that only reads is repeated silently if the server had closed the connection.
            let silent = outcome.stderr.is_empty() && words == &"connection" && call.contains("Retrieve");
            if !silent {
                assert_eq!(outcome.stderr.lines().count(), 1, "{call} {number}: {outcome:?}");
                assert!(outcome.stderr.contains(words), "{call} {number}: {outcome:?}");
                assert_eq!(
                    outcome.stderr.contains("; trying again in 0."),
                    passes,
                    "{call} {number}"
                );
            }
            assert_eq!(site.vcenter.open().sessions, 0, "{call} {number}");
        }
    });
}

fn not_now(retry_after: &str) -> Response {
    let mut response = Response::new(503, "text/plain", "not now");
    response.headers.push(("Retry-After".into(), retry_after.into()));
    response
}

#[test]
fn a_lasting_failure_ends_the_scan_in_time() {
    let site = Site::new(small());
    answer(&site, "RetrievePropertiesEx", |_| Some(not_now("0")));
    let again = "; trying again in ";
    let outcome = with_time(&["503", again], |limit| site.scan(&["--timeout", limit]));
    outcome.failed_at_last(75, "503");
    assert!(outcome.stderr.contains(again), "{outcome:?}");
    site.nothing_is_open();
    // If the server wants a longer pause than there is time, there is no second attempt.
    answer(&site, "RetrievePropertiesEx", |_| Some(not_now("3600")));
    site.scan(&[]).failed(75, "503");
    answer(&site, "RetrievePropertiesEx", |count| {
        (count == 1).then(|| not_now("1"))
    });
    let outcome = site.scan(&[]);
    assert!(outcome.stderr.ends_with("; trying again in 1 s\n"), "{outcome:?}");
    assert_eq!(outcome.status, 0);
    site.nothing_is_open();
}

#[test]
fn a_session_that_expires_during_a_scan_is_replaced_once() {
    let site = Site::new(Inventory::new(3, 20));
    let whole = site.scan(&[]).quiet_success();
    site.vcenter.limit_pages(Some(5));
    for expires in [1, 2] {
        let vcenter = Arc::downgrade(&site.vcenter);
        let mut left = expires;
        answer(&site, "ContinueRetrievePropertiesEx", move |_| {
            if left > 0 {
                left -= 1;
                vcenter.upgrade().unwrap().expire_sessions();
            }
            None
        });
        let outcome = site.scan(&[]);
        let again =
            "NotAuthenticated: The session is not authenticated.; the session ended; logging in again";
        assert!(outcome.stderr.contains(again), "{outcome:?}");
        if expires == 1 {
            assert_eq!((outcome.status, outcome.stdout), (0, whole.clone()));
            assert_eq!(outcome.stderr.lines().count(), 1);
        } else {
            assert_eq!((outcome.status, &*outcome.stdout), (75, ""));
            assert_eq!(outcome.stderr.lines().count(), 2);
        }
        site.nothing_is_open();
    }
}

#[test]
fn a_refused_log_in_says_why_and_is_not_retried() {
    let table = [
        (
            "InvalidLogin",
            "Cannot complete login.",
            "wrong user name or password",
            "repeated failures may lock the account",
        ),
        (
            "InvalidLogin",
            "User account is locked.",
            "the account is locked",
            "have it unlocked, or wait, before the next try",
        ),
        (
            "InvalidLogin",
            "User password has expired",
            "the account or its password has expired",
            "renew it",
        ),
        (
            "PasswordExpired",
            "",
            "the account or its password has expired",
            "renew it",
        ),
        (
            "InvalidLogin",
            "The account is disabled",
            "the account is disabled",
            "have it enabled",
        ),
        (
            "NoPermission",
            "",
            "the account may not log in",
            "give the account a role on the server, such as the read-only one",
        ),
    ];
    let site = Site::new(small());
    let server = site.vcenter.url().replace("https://", "");
    for (kind, text, words, advice) in table {
        let before = site.vcenter.requests().len();
        answer(&site, "Login", move |_| Some(soap_fault(kind, text)));
        let outcome = site.scan(&[]);
        outcome.failed(77, &format!("login to {server} as \"sim\" failed: {words}"));
        assert!(
            outcome.stderr.contains(kind) && outcome.stderr.contains(text),
            "{outcome:?}"
        );
        assert!(outcome.stderr.ends_with(&format!("; {advice}\n")), "{outcome:?}");
        // The versions, RetrieveServiceContent, Login.
        assert_eq!(site.vcenter.requests().len() - before, 3);
    }
}

#[test]
fn views_are_destroyed_even_after_an_error() {
    let site = Site::new(small());
    answer(&site, "RetrievePropertiesEx", |_| {
        Some(Response::new(404, "text/plain", ""))
    });
    site.scan(&[])
        .failed(76, "404 Not Found, not the vSphere API's; is this the address");
    assert_eq!(site.vcenter.open(), Open::default());
    // The log-out also ends what could not be destroyed.
    answer(&site, "DestroyView", |_| Some(not_now("0")));
    site.scan(&[]).quiet_success();
    site.nothing_is_open();
}

#[test]
fn a_failed_log_out_is_a_warning() {
    let site = Site::new(small());
    site.vcenter.server().misbehave(|_, request| {
        let wanted = String::from_utf8_lossy(&request.body).contains("<Logout");
        wanted.then(|| Fault::Answer(Response::new(503, "text/plain", "not now")))
    });
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0);
    assert!(
        outcome.stderr.contains("warning") && outcome.stderr.contains("session"),
        "{outcome:?}"
    );
    assert!(outcome.stdout.ends_with("}\n"));
}

#[test]
fn a_text_of_300_mib_is_refused() {
    let site = Site::new(small());
    site.vcenter.server().misbehave(|_, request| {
        let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
        wanted.then(|| {
            let write = |out: &mut dyn std::io::Write| {
                out.write_all(b"<Envelope><Body><RetrievePropertiesExResponse><returnval><objects><obj>")?;
                let piece = [b'x'; 1 << 16];
                (0..300 << 4).try_for_each(|_| out.write_all(&piece))
            };
            Fault::Answer(Response::stream(200, "text/xml", write))
        })
    });
    site.scan(&[]).failed(76, "longer than 1 MiB");
    site.nothing_is_open();
}

#[test]
fn a_reader_that_goes_away_ends_the_scan_quietly() {
    let site = Site::new(Inventory::new(400, 8000));
    let mut child = Command::new(PROGRAM)
        .args(site.options())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    site.nothing_is_open();
}

#[test]
fn a_full_disk_is_an_error() {
    let site = Site::new(small());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = Run::new(PROGRAM).args(site.options()).run_with_stdout(full);
    outcome.failed(74, "space");
    site.nothing_is_open();
}

#[test]
fn a_signal_ends_the_scan_after_log_out() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let site = Site::new(small());
        site.vcenter.server().misbehave(|_, request| {
            let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
            wanted.then_some(Fault::Silence)
        });
        let mut child = Command::new(PROGRAM)
            .args(site.options())
            .arg("-d")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        messages
            .find(|line| line.contains("RetrievePropertiesEx"))
            .unwrap();
        // The message comes before the request. The session must be closed in both cases.
        signals::send(&child, signal);
        let rest: Vec<String> = messages.collect();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{rest:?}");
        assert_eq!(
            rest.iter().filter(|line| !line.contains("debug:")).count(),
            1,
            "{rest:?}"
        );
        site.nothing_is_open();
    }
}
