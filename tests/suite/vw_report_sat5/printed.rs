//! Results: JSON with a time and an error, and what a person at a terminal sees.

use super::*;

/// What the last line on stderr says behind the command's name.
fn last_error(outcome: &Outcome) -> &str {
    let last = outcome.stderr.lines().last().unwrap();
    last.strip_prefix("vw-report-sat5: ").unwrap()
}

#[test]
fn a_failure_is_told_in_the_result_as_on_stderr() {
    let site = Site::new();
    assert_eq!(line(&site.run().run()).get("error"), None);
    let site = Site::new();
    fs::write(site.file("password"), "wrong").unwrap();
    let refused = site.run().run();
    let told = line(&refused);
    assert_eq!((refused.status, &told["state"]), (77, &json!("failed")));
    assert_eq!(told["error"], last_error(&refused));
}

#[test]
fn a_person_reads_a_line_and_a_program_json() {
    let site = Site::new();
    let shown = site.run().run_on_terminal(200);
    let last = shown.stdout.lines().last().unwrap();
    let expected = format!(
        "{}: finished, 2 hypervisors, 2 guests, 2 created (",
        site.server.url()
    );
    assert!(last.contains(&expected) && !last.contains('{'), "{shown:?}");
    let json = site.run().args(["--json"]).run_on_terminal(80);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(told["state"], "finished");
}

#[test]
fn errors_of_single_hypervisors_have_no_number_of_the_system() {
    let site = Site::new();
    fs::write(site.file("state"), "").unwrap();
    let outcome = site.run().run();
    assert_ne!(outcome.status, 0);
    assert!(
        !(outcome.stdout.clone() + &outcome.stderr).contains("os error"),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("ot a directory"), "{outcome:?}");
}
