//! Durations mean the same in every option of every command that takes one.

use serde_json::json;

use crate::support::{Outcome, Run};

const SCAN: &str = env!("CARGO_BIN_EXE_vw-scan-esx");
const CANDLEPIN: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");
const SATELLITE5: &str = env!("CARGO_BIN_EXE_vw-report-sat5");

/// Each option that takes a duration, with the command and what else the option needs.
const OPTIONS: [(&str, &[&str], &str); 8] = [
    (SCAN, &[], "--timeout"),
    (SCAN, &["--watch"], "--settle"),
    (SCAN, &["--watch"], "--repeat"),
    (CANDLEPIN, &[], "--timeout"),
    (CANDLEPIN, &[], "--job-timeout"),
    (CANDLEPIN, &[], "--max-age"),
    (CANDLEPIN, &["--state-dir", "state"], "--full-every"),
    (SATELLITE5, &[], "--timeout"),
];

/// The command in an environment without any configuration: it can get no further than to that.
fn run(program: &str, more: &[&str], option: &str, value: &str) -> Outcome {
    let run = Run::new(program).env("VW_CONFIG", "/dev/null").args(more);
    run.args([format!("{option}={value}")]).run()
}

#[test]
fn seconds_and_units_are_accepted_by_every_option() {
    for (program, more, option) in OPTIONS {
        for value in ["90", "90s", "5m", "1h"] {
            let outcome = run(program, more, option, value);
            assert_eq!(outcome.status, 78, "{option} {value}: {outcome:?}");
        }
    }
}

#[test]
fn an_invalid_duration_is_refused_with_examples() {
    for (program, more, option) in OPTIONS {
        for value in ["soon", "5x", "-1", "1.5", ""] {
            let outcome = run(program, more, option, value);
            outcome.failed(64, option);
            outcome.failed(64, "90, 90s, 5m or 1h");
            outcome.failed(64, "; see vw-");
        }
        run(program, more, option, "999999999h").failed(64, "too long");
    }
}

#[test]
fn only_a_limit_must_be_longer_than_zero() {
    for (program, more, option) in OPTIONS {
        let outcome = run(program, more, option, "0s");
        match option {
            "--timeout" | "--job-timeout" => outcome.failed(64, "at least 1 second"),
            _ => assert_eq!(outcome.status, 78, "{option}: {outcome:?}"),
        }
    }
}

#[test]
fn an_age_in_hours_is_that_many_seconds() {
    let stamped = json!({"hypervisors": [], "source": {"time": "2020-01-01T00:00:00Z"}});
    let run = Run::new(CANDLEPIN).env("VW_CONFIG", "/dev/null");
    let outcome = run
        .args(["--dry-run", "--max-age", "2h"])
        .stdin(stamped.to_string())
        .run();
    outcome.failed(65, "--max-age allows 7200 s");
}
