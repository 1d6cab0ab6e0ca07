//! What ends a reporter at once in a stream, and what does not.

use super::*;

/// Sends a document to a reporter whose stdin stays open, as in a pipeline that watches, and waits for its end.
#[track_caller]
fn ended(site: &Site, change: impl FnOnce(&mut Vec<String>)) -> Outcome {
    let mut options = site.options();
    change(&mut options);
    let mut child = Command::new(PROGRAM)
        .args(options)
        .env("VW_CONFIG", site.file("virt-who.conf"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(MAPPING.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(input);
    Outcome {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn set(options: &mut [String], name: &str, value: &str) {
    let place = options.iter().position(|option| option == name).unwrap();
    options[place + 1] = value.to_owned();
}

/// Reports two documents; `between` is called when the first one has its result.
#[track_caller]
fn two_documents(site: &Site, options: &[&str], between: impl FnOnce()) -> (Vec<Value>, Outcome) {
    let mut child = site.spawn(options);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    input.write_all(MAPPING.as_bytes()).unwrap();
    let mut results = vec![next_line(&mut output)];
    between();
    input.write_all(MAPPING.as_bytes()).unwrap();
    results.push(next_line(&mut output));
    drop(input);
    let ended = child.wait_with_output().unwrap();
    let outcome = Outcome {
        status: ended.status.code().unwrap(),
        stdout: String::new(),
        stderr: String::from_utf8(ended.stderr).unwrap(),
    };
    (results, outcome)
}

#[test]
fn a_refused_login_ends_the_stream_after_one_attempt() {
    let site = Site::new();
    std::fs::write(site.file("password"), "no-good-secret").unwrap();
    let outcome = ended(&site, |_| {});
    outcome.failed(77, "login to http://127.0.0.1");
    outcome.failed(77, "as \"sim\" failed: wrong user name or password");
    assert_eq!(line(&outcome)["state"], "failed");
    // Accounts get locked by those who go on.
    assert_eq!(count(&site, "/hypervisors/"), 1);
}

#[test]
fn a_user_without_role_and_a_deleted_system_end_the_stream() {
    for (status, words) in [
        (403, "check the user's role for owner \"sim\""),
        (410, "was deleted"),
    ] {
        let site = Site::new();
        site.candlepin.refuse_next([status]);
        let outcome = ended(&site, |_| {});
        outcome.failed(77, words);
        assert_eq!(count(&site, "/hypervisors/"), 1);
    }
}

#[test]
fn an_unknown_owner_ends_the_stream() {
    let site = Site::new();
    let outcome = ended(&site, |options| set(options, "--owner", "nobody"));
    outcome.failed(69, "owner \"nobody\" is unknown");
    assert_eq!(count(&site, "/hypervisors/"), 1);
}

#[test]
fn a_wrong_configuration_ends_the_stream() {
    let site = Site::new();
    let outcome = ended(&site, |options| {
        let url = options[1].replace("http://", "https://");
        set(options, "--server", &url);
        options.extend(["--cacert".to_owned(), site.file("none.pem")]);
    });
    outcome.failed(78, "none.pem");
    assert_eq!(site.server.requests().len(), 0);
}

#[test]
fn a_refusal_in_the_middle_of_a_document_ends_the_stream() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(0));
    let mut posts = 0;
    site.server.misbehave(move |_, request: &Request| {
        posts += usize::from(request.method == "POST");
        let refusal = || Response::new(403, "application/json", r#"{"displayMessage":"no more"}"#);
        (posts == 2).then(|| Fault::Answer(refusal()))
    });
    let outcome = ended(&site, |options| {
        options.extend(["--batch".to_owned(), "1".to_owned()]);
    });
    outcome.failed(77, "1 of 2 hypervisors are reported, and the others not");
    assert_eq!(line(&outcome)["state"], "partial");
}

#[test]
fn a_404_page_of_tomcat_does_not_end_the_stream() {
    let site = Site::new();
    site.candlepin.set_deploying(true);
    let (results, outcome) = two_documents(&site, &[], || site.candlepin.set_deploying(false));
    assert_eq!(
        (&results[0]["state"], &results[1]["state"]),
        (&json!("failed"), &json!("finished"))
    );
    assert_eq!(outcome.status, 76, "{outcome:?}");
    assert!(!outcome.stderr.contains("unknown"), "{outcome:?}");
    for words in [
        "rhsm_prefix",
        "--server",
        "/candlepin",
        "404 Not Found",
        "HTTP Status 404",
    ] {
        assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
    }
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn a_404_page_for_a_check_in_is_not_an_unknown_owner() {
    let site = Site::new();
    let mut first = true;
    site.server.misbehave(move |_, request: &Request| {
        let page = || Response::new(404, "text/html", "<html><title>HTTP Status 404</title></html>");
        (request.method == "POST" && std::mem::replace(&mut first, false)).then(|| Fault::Answer(page()))
    });
    let (results, outcome) = two_documents(&site, &[], || {});
    assert_eq!(results[1]["state"], "finished");
    assert_eq!(outcome.status, 76, "{outcome:?}");
    assert!(!outcome.stderr.contains("owner"), "{outcome:?}");
}

#[test]
fn a_certificate_that_is_not_trusted_does_not_end_the_stream() {
    use vw_sim::http::{Authority, Certificate};

    let tls = Authority::new().unwrap().issue(&Certificate::Good).unwrap();
    let mut site = Site::new();
    site.server = Server::start(site.candlepin.clone(), Some(tls)).unwrap();
    let (results, outcome) = two_documents(&site, &[], || {});
    assert_eq!(results.len(), 2);
    assert_eq!(outcome.status, 77, "{outcome:?}");
    assert_eq!(outcome.stderr.matches("not trusted").count(), 2, "{outcome:?}");
}

#[test]
fn a_404_for_a_heartbeat_is_not_an_unknown_owner() {
    let site = Site::new();
    site.candlepin.lose_heartbeats();
    let outcome = site.report(&["--heartbeat"], MAPPING);
    outcome.failed(76, "accepts none at this path");
    assert!(!outcome.stderr.contains("unknown"), "{outcome:?}");

    // Where it would stand for a report that report is made.
    let folder = site.file("state");
    let kept = || site.report(&["--state-dir", &folder], MAPPING);
    assert_eq!(kept().status, 0);
    let again = kept();
    assert_eq!(
        (again.status, &line(&again)["state"]),
        (0, &json!("finished")),
        "{again:?}"
    );
    assert!(again.stderr.contains("reporting everything instead"), "{again:?}");
    assert_eq!(line(&again)["unchanged"], 2);
}
