//! Results: JSON with a time and an error, and what a person at a terminal sees.

use super::*;

/// What the last line on stderr says behind the command's name.
fn last_error(outcome: &Outcome) -> &str {
    let last = outcome.stderr.lines().last().unwrap();
    last.strip_prefix("vw-report-candlepin: ").unwrap()
}

/// The screen with the time as `TIME` and the seconds as `SECONDS`.
fn without_clock(screen: &str) -> String {
    let clock = fancy_regex::Regex::new(r"(?m)^\d\d:\d\d:\d\d ").unwrap();
    let seconds = fancy_regex::Regex::new(r"\(\d+\.\d s\)").unwrap();
    let screen = clock.replace_all(screen, "TIME ");
    seconds.replace_all(&screen, "(SECONDS)").into_owned()
}

#[test]
fn a_result_has_the_same_error_as_stderr() {
    let site = Site::new();
    assert_eq!(line(&site.run().run()).get("error"), None);

    std::fs::write(site.folder.path().join("password"), "wrong").unwrap();
    let refused = site.run().run();
    let told = line(&refused);
    assert_eq!((refused.status, &told["state"]), (77, &json!("failed")));
    let error = told["error"].as_str().unwrap();
    // Only the ids for the server's administrator are added there.
    assert!(last_error(&refused).starts_with(error), "{refused:?}");
    assert!(error.contains("Invalid Credentials"), "{error}");

    std::fs::write(site.folder.path().join("password"), "sim-secret").unwrap();
    let twice = mapping(&["a", "A", "b"], "");
    let partial = site.report(&[], &twice);
    let told = line(&partial);
    assert_eq!((partial.status, &told["state"]), (65, &json!("partial")));
    assert_eq!(told["error"], last_error(&partial));
}

#[test]
fn a_state_that_cannot_be_saved_is_an_error_in_the_result() {
    let site = Site::new();
    std::fs::write(site.folder.path().join("state"), "").unwrap();
    let outcome = site.report(&["--state-dir", &site.file("state")], MAPPING);
    assert_eq!(outcome.status, 74, "{outcome:?}");
    let told = line(&outcome);
    assert_eq!(told["error"], last_error(&outcome));
    assert!(!outcome.stdout.contains("os error"), "{outcome:?}");
}

#[test]
fn an_unfinished_job_is_an_error_in_its_result() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(100_000));
    let sent = line(&site.report(&["--no-wait"], MAPPING));
    let job = sent["jobs"][0].as_str().unwrap();
    let outcome = site.report(&["--job", job], "");
    assert_eq!(outcome.status, 75, "{outcome:?}");
    let told = line(&outcome);
    assert!(told["error"].as_str().unwrap().contains("not done yet"), "{told}");
}

#[test]
fn a_person_reads_a_line_and_a_program_json() {
    let site = Site::new();
    let shown = site.run().run_on_terminal(80);
    let server = format!("{}/candlepin", site.server.url());
    assert_eq!(
        without_clock(&shown.stdout),
        format!("TIME {server}: finished, 2 hypervisors, 2 guests, 2\n    created, 1 left out (SECONDS)\n")
    );
    let json = site.run().args(["--json"]).run_on_terminal(80);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&told["state"], &told["unchanged"]),
        (&json!("finished"), &json!(2))
    );

    let hostile = r#"{"hypervisors":[{"uuid":"a","name":"one","guests":[]},{"uuid":"A","name":"tw\u202eo","guests":[]},
                     {"uuid":"b","guests":[]}]}"#;
    for columns in [60, 80, 200] {
        let shown = site.run().stdin(hostile).run_on_terminal(columns);
        assert_eq!(shown.status, 65);
        let screen = without_clock(&shown.stdout);
        let at = screen.find("TIME ").unwrap();
        assert!(screen[at..].contains("PARTIAL, 3"), "{screen}");
        assert!(screen[at..].contains("\n  one (a): "), "{screen}");
        assert!(screen[at..].contains("\n  tw o (A): "), "{screen}");
        let result = screen[at..].lines().take_while(|line| !line.starts_with("vw-"));
        for line in result {
            assert!(line.chars().count() <= columns.into(), "{columns}: {line}");
        }
        // The error stands once, on stderr, which is the same screen.
        assert_eq!(
            screen.matches("not everything is reported").count(),
            1,
            "{screen}"
        );
    }
}
