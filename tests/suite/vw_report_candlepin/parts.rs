//! Large documents, in parts.

use super::*;

const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

#[test]
fn batches_are_sent_in_order_and_have_one_result_line() {
    let site = Site::new();
    let outcome = site.report(&["--batch", "2"], &mapping(&FIVE, ""));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let line = line(&outcome);
    assert_eq!(
        (&line["created"], &line["hypervisors"], &line["guests"]),
        (&json!(5), &json!(5), &json!(5))
    );
    let jobs: Vec<String> = site.candlepin.jobs().into_iter().map(|job| job.id).collect();
    assert_eq!((jobs.len(), &line["jobs"]), (3, &json!(jobs)));
    assert_eq!(site.held(), FIVE);
    // None was refused because of another one.
    assert!(
        site.candlepin
            .jobs()
            .iter()
            .all(|job| job.state == JobState::Finished)
    );
}

#[test]
fn a_failure_in_the_middle_says_what_is_reported_and_a_second_run_completes_it() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(0));
    let mut posts = 0;
    site.server.misbehave(move |_, request: &Request| {
        posts += usize::from(request.method == "POST");
        (posts == 2).then(|| {
            Fault::Answer(Response::new(
                403,
                "application/json",
                r#"{"displayMessage":"no more"}"#,
            ))
        })
    });
    let outcome = site.report(&["--batch", "2"], &mapping(&FIVE, ""));
    outcome.failed(77, "2 of 5 hypervisors are reported, and the others not");
    outcome.failed(77, "no more");
    let first = line(&outcome);
    assert_eq!(
        (&first["state"], &first["created"]),
        (&json!("partial"), &json!(2))
    );
    let failed: Vec<&str> = first["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| failed["id"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["c", "d", "e"]);
    assert!(
        first["failed"][0]["error"]
            .as_str()
            .unwrap()
            .contains("not known"),
        "{first}"
    );
    assert_eq!(first["failed"][2]["error"], "not sent");
    assert_eq!(site.held(), ["a", "b"]);

    site.server.behave();
    let second = line(&site.report(&["--batch", "2"], &mapping(&FIVE, "")));
    assert_eq!((&second["created"], &second["unchanged"]), (&json!(3), &json!(2)));
}

#[test]
fn a_retry_does_not_send_accepted_parts_again() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(0));
    let mut posts = 0;
    site.server.misbehave(move |_, request: &Request| {
        posts += usize::from(request.method == "POST");
        (posts == 2).then_some(Fault::Close)
    });
    let outcome = site.report(&["--batch", "2"], &mapping(&FIVE, ""));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let line = line(&outcome);
    assert_eq!((&line["created"], &line["unchanged"]), (&json!(5), &json!(0)));
    assert_eq!(count(&site, "/hypervisors/"), 4);
}

#[test]
fn with_no_wait_all_but_the_last_part_are_waited_for() {
    let site = Site::new();
    let outcome = site.report(&["--batch", "2", "--no-wait"], &mapping(&FIVE, ""));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(
        (&line(&outcome)["state"], &line(&outcome)["created"]),
        (&json!("sent"), &json!(4))
    );
}

#[test]
fn a_dry_run_prints_each_body() {
    let site = Site::new();
    let input = mapping(&FIVE, "");
    let dry = site
        .bare()
        .args(["--dry-run", "--batch", "2"])
        .stdin(input.as_str())
        .run();
    let dry = dry.quiet_success();
    site.report(&["--batch", "2"], &input);
    let requests = site.candlepin.requests();
    let sent = requests.iter().filter(|request| request.method == "POST");
    let sent: String = sent
        .map(|request| String::from_utf8(request.body.clone()).unwrap() + "\n")
        .collect();
    assert_eq!(dry, sent);
}
