//! Documents that come one after the other.

use super::*;

#[test]
fn each_document_has_a_result_and_the_worst_status_wins() {
    let site = Site::new();
    let mut child = site.spawn(&[]);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for (document, state) in [
        (MAPPING, "finished"),
        (r#"{"hypervisors":[]}"#, "failed"),
        (MAPPING, "finished"),
    ] {
        input.write_all(document.as_bytes()).unwrap();
        assert_eq!(next_line(&mut output)["state"], state);
    }
    input.write_all(b"{\"hyp").unwrap();
    drop(input);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(65));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(
        stderr.contains("--allow-empty") && stderr.contains("before a document was complete"),
        "{stderr}"
    );
}

#[test]
fn only_the_newest_waiting_document_of_each_source_is_sent() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(100_000));
    let other = site.candlepin.occupy("sim", JobTime::Polls(100_000));
    let mut child = site.spawn(&["--job-timeout", "1"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(mapping(&["first"], "").as_bytes()).unwrap();
    until(|| site.candlepin.jobs().len() > 1);
    let section = |id: &str, name: &str| mapping(&[id], &format!(r#","source":{{"section":"{name}"}}"#));
    let waiting = [section("old", "a"), section("b", "b"), section("new", "a")];
    input.write_all(waiting.concat().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains(&other) && stderr.contains("skipping a document"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(75));
    assert_eq!(lines(std::str::from_utf8(&output.stdout).unwrap()).len(), 3);
    let sent: Vec<String> = site
        .candlepin
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            body["hypervisors"][0]["name"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(
        sent.contains(&"name-b".to_owned()) && sent.contains(&"name-new".to_owned()),
        "{sent:?}"
    );
    assert!(!sent.contains(&"name-old".to_owned()), "{sent:?}");
}

#[test]
fn a_temporary_failure_is_retried_until_the_document_is_accepted() {
    let site = Site::new();
    site.candlepin.refuse_next([503]);
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("; trying again in "), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert_eq!(line(&outcome)["state"], "finished");
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn a_newer_document_replaces_one_that_is_being_retried() {
    let site = Site::new();
    site.candlepin.refuse_next([503]);
    let mut child = site.spawn(&[]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(mapping(&["old"], "").as_bytes()).unwrap();
    until(|| {
        site.candlepin
            .requests()
            .iter()
            .any(|request| request.status == 503)
    });
    input.write_all(mapping(&["new"], "").as_bytes()).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let states = [next_line(&mut output), next_line(&mut output)].map(|line| line["state"].clone());
    assert_eq!(states, ["failed", "finished"]);
    drop(input);
    // What is newer stands for what it replaced.
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(site.held(), ["new"]);
}

#[test]
fn two_reporters_can_share_one_scan() {
    let (one, other) = (Site::new(), Site::new());
    let quoted = |site: &Site| site.options().join(" ");
    let script = format!(
        "{{ printf '%s' \"$MAPPING\" | tee /dev/fd/3 | {PROGRAM} {}; }} 3>&1 >&2 | {PROGRAM} {}",
        quoted(&one),
        quoted(&other)
    );
    let status = Command::new("sh")
        .args(["-c", &script])
        .env("MAPPING", MAPPING)
        .env("VW_CONFIG", one.file("virt-who.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(one.held(), ["h1", "h2"]);
    assert_eq!(other.held(), ["h1", "h2"]);
}

#[test]
fn a_document_is_reported_before_the_next_one_comes() {
    let site = Site::new();
    let mut child = site.spawn(&[]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(MAPPING.as_bytes()).unwrap();
    let mut output = BufReader::new(child.stdout.as_mut().unwrap());
    assert_eq!(next_line(&mut output)["state"], "finished");
    // Nothing more comes; a signal ends the wait all the same.
    signals::send(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(143));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "vw-report-candlepin: terminated\n");
}

#[test]
fn a_signal_ends_the_wait_for_a_job_with_one_line() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let site = Site::with(|settings| settings.job_time = JobTime::Polls(100_000));
        let mut child = site.spawn(&[]);
        let mut input = child.stdin.take().unwrap();
        input.write_all(MAPPING.as_bytes()).unwrap();
        drop(input);
        until(|| site.candlepin.request_count() > 3);
        signals::send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let lines = lines(std::str::from_utf8(&output.stdout).unwrap());
        assert_eq!(lines[0]["state"], "failed");
    }
}

#[test]
fn a_signal_ends_the_wait_for_another_attempt() {
    let site = Site::new();
    site.server.misbehave(|_, request: &Request| {
        let mut answer = Response::new(503, "text/plain", "later");
        answer.headers.push(("Retry-After".into(), "3600".into()));
        (request.method == "POST").then_some(Fault::Answer(answer))
    });
    let mut child = site.spawn(&[]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(MAPPING.as_bytes()).unwrap();
    let mut output = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    output.read_line(&mut told).unwrap();
    assert!(told.contains("trying again in 3600 s"), "{told}");
    signals::send(&child, "TERM");
    let ended = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(ended.status.code(), Some(143));
    assert_eq!(
        lines(std::str::from_utf8(&ended.stdout).unwrap())[0]["state"],
        "failed"
    );
}

#[test]
fn the_report_is_sent_although_nobody_reads_the_results() {
    let site = Site::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = site
        .run()
        .stdin(MAPPING.to_owned() + &mapping(&["c"], ""))
        .run_with_stdout(writer);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(site.candlepin.jobs().len(), 2);
}

#[test]
fn unwritable_results_are_an_error_but_the_report_is_sent() {
    let site = Site::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = site
        .run()
        .stdin(MAPPING.to_owned() + &mapping(&["c"], ""))
        .run_with_stdout(full);
    outcome.failed(74, "writing to stdout");
    assert_eq!(site.candlepin.jobs().len(), 2);
}
