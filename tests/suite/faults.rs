//! One table of what goes wrong between a command and its server; each command that speaks with servers is walked through it.
//!
//! A fault lasts: each further request of the same kind meets it again. A command that retries does so until its `--timeout`,
//! and then ends with the status of the fault.
mod ahv;
mod candlepin;
mod read_back;
mod rhevm;
mod rows;
mod satellite5;
mod scan;
mod xen;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use vw_sim::http::{Fault, Request};

use self::rows::{Row, common, from, json, row, xml};
use crate::support::{Outcome, Run, Used};

/// The most bytes that a command may have in memory; a debug build without hostile input takes about a quarter of it.
const MEMORY: u64 = 60 << 20;
/// `--timeout` in seconds for a command that retries until it is over. On a busy machine it may be over before the command meets the
/// fault, so only what happens with the longest one is a failure of the test.
const LIMITS: [u32; 3] = [2, 8, 40];
/// `--timeout` in seconds for a command that ends by itself.
const LONG: u32 = 60;
/// What a command may take beyond its `--timeout`, log-out included, on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(20);
/// Parts of the messages without "warning: " of a command that succeeds: vw-report-sat5 names a channel that it had to create, and
/// what it found after an answer was lost.
const TOLD: [&str; 3] = ["created the channel", "exists now", "but its profile was found"];
/// Parts of the warnings of a command that succeeds although its log-out, or a call whose result does not matter, met the fault.
const HARMLESS: [&str; 2] = ["the session stays open", "its hardware list is not refreshed"];
/// How many commands run at once; most of them wait.
const AT_ONCE: usize = 24;

/// One kind of request of a command.
struct Call {
    name: String,
    /// Many elements may be in its answer.
    large: bool,
}

/// Runs a command that meets a row's fault, with a `--timeout` that is long enough.
fn with_time<T>(row: &Row, run: impl Fn(u32) -> Result<T, String>) -> Result<T, String> {
    let limits: &[u32] = if row.statuses.contains(&75) {
        &LIMITS
    } else {
        &[LONG]
    };
    let mut ended = Err(String::new());
    for limit in limits {
        ended = run(*limit);
        if ended.is_ok() {
            break;
        }
    }
    ended
}

/// Walks through all rows at all calls, and fails with all of what is wrong. `run` also gets the `--timeout`.
fn walk(rows: &[Row], calls: &[Call], run: impl Fn(&Row, &str, u32) -> Result<(), String> + Sync) {
    let steps = rows
        .iter()
        .flat_map(|row| calls.iter().map(move |call| (row, call)))
        .filter(|(row, call)| call.large || !row.costly);
    let (steps, wrong) = (Mutex::new(steps), Mutex::new(Vec::new()));
    let next = || steps.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((row, call)) = next() {
                    if let Err(error) = with_time(row, |limit| run(row, &call.name, limit)) {
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{} at {}: {error}", row.name, call.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Has each request that is of the kind meet the row's fault; `start` begins a good answer to it.
fn meets(
    row: &Row,
    start: String,
    of_the_kind: impl Fn(&Request) -> bool + Send + 'static,
) -> impl FnMut(usize, &Request) -> Option<Fault> + Send + 'static {
    let fault = Arc::clone(&row.fault);
    move |_, request| of_the_kind(request).then(|| fault(&start))
}

/// Runs a command, named `program` in its messages, that should end with one of the statuses, and as the row says.
fn ended(row: &Row, expected: &[i32], program: &str, run: Run, limit: u32) -> Result<Outcome, String> {
    let (outcome, used) = run.args(["--timeout", &limit.to_string()]).measured();
    let verdict = judged(row, expected, program, &outcome, used, limit);
    verdict.map(|()| outcome)
}

fn judged(
    row: &Row,
    expected: &[i32],
    program: &str,
    outcome: &Outcome,
    used: Used,
    limit: u32,
) -> Result<(), String> {
    let show = |what: &str| Err(format!("{what}: {used:?} {outcome:?}"));
    if !expected.contains(&outcome.status) {
        return show("status");
    }
    let mut lines: Vec<&str> = outcome.stderr.lines().collect();
    if outcome.status != 0 {
        let last = lines.pop().unwrap_or_default();
        let error = last
            .strip_prefix(program)
            .and_then(|rest| rest.strip_prefix(": "));
        if error.is_none_or(|error| error.starts_with("warning: ") || error.len() > 1500) {
            return show("no error line");
        }
        if !last.contains("127.0.0.1:") {
            return show("the error line does not name the server");
        }
    }
    let warning = format!("{program}: warning: ");
    let is_no_error = |line: &&str| line.starts_with(&warning) || TOLD.iter().any(|told| line.contains(told));
    if !lines.iter().all(is_no_error) {
        return show("more than one error line");
    }
    if outcome.status == 0 {
        let is_harmless = |line: &&str| HARMLESS.iter().any(|words| line.contains(words));
        // What the call did before its answer was lost lets the next attempt succeed.
        let has_met = |line: &&str| {
            line.contains("; trying again in ") && row.words.iter().any(|words| line.contains(words))
        };
        let odd = |line: &&str| line.starts_with(&warning) && !is_harmless(line) && !has_met(line);
        if let Some(line) = lines.iter().find(|line| odd(line)) {
            return show(&format!("a success with the warning {line:?}"));
        }
    } else if !row.words.iter().any(|words| outcome.stderr.contains(words)) {
        return show("words");
    }
    if outcome.stderr.contains("sim-secret") || outcome.stderr.contains("secret=1") {
        return show("a secret");
    }
    if used.memory > MEMORY {
        return show("memory");
    }
    if used.time > Duration::from_secs(limit.into()) + SLACK {
        return show("time");
    }
    Ok(())
}
