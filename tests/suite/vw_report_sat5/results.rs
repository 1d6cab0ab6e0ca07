//! Result lines: JSON with a time and an error, and a line of text on a terminal.

use super::*;

/// The last line on stderr, without the command's name.
fn last_error(outcome: &Outcome) -> &str {
    let last = outcome.stderr.lines().last().unwrap();
    last.strip_prefix("vw-report-sat5: ").unwrap()
}

#[test]
fn the_result_has_the_error_line_of_stderr() {
    let site = Site::new();
    assert_eq!(line(&site.run().run()).get("error"), None);
    let site = Site::new();
    fs::write(site.file("password"), "wrong").unwrap();
    let refused = site.run().run();
    let result = line(&refused);
    assert_eq!((refused.status, &result["state"]), (77, &json!("failed")));
    assert_eq!(result["error"], last_error(&refused));
}

#[test]
fn a_terminal_shows_text_and_a_program_gets_json() {
    let site = Site::new();
    let shown = site.run().run_on_terminal(200);
    let last = shown.stdout.lines().last().unwrap();
    let expected = format!(
        "{}: finished, 2 hypervisors, 2 guests, 2 created (",
        site.server.url()
    );
    assert!(last.contains(&expected) && !last.contains('{'), "{shown:?}");
    let json = site.run().args(["--json"]).run_on_terminal(80);
    let result: Value = serde_json::from_str(json.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(result["state"], "unchanged");
}

#[test]
fn errors_of_hypervisors_have_no_errno() {
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
