//! Signals as shells, nohup and timeout(1) send or ignore them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vw_sim::http::Fault;

use super::{FILTER, PASSWORD, SCAN, Site, ends};
use crate::support::signals::{self, catches};
use crate::support::{skipped, until};

#[test]
fn a_second_signal_half_a_second_later_ends_the_command_at_once() {
    let site = Site::new(2);
    site.misbehave(|text| {
        let silent = text.contains("<RetrievePropertiesEx") || text.contains("<Logout");
        silent.then_some(Fault::Silence)
    });
    let child = site.scan("");
    until(|| site.was_asked("<RetrievePropertiesEx"));
    signals::send(&child, "TERM");
    until(|| site.was_asked("<Logout"));
    // The command has met the first signal by now. Within half a second a second one would count as the same.
    let first = Instant::now();
    until(|| first.elapsed() > Duration::from_millis(600));
    signals::send(&child, "INT");
    let ended = child.wait_with_output().unwrap();
    // The log-out would have been waited for until five seconds were over, and the status would be that of the first signal.
    assert_eq!(ended.status.code(), Some(130));
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let site = Site::new(2);
    site.silence("<RetrievePropertiesEx");
    let server = site.vcenter.url();
    let script = format!(
        "trap '' HUP INT QUIT; exec {SCAN} --server {server} -u sim --password-file {}",
        site.file("password")
    );
    let child = Command::new("sh")
        .args(["-c", &script])
        .env("VW_CONFIG", site.path("none.conf"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until(|| site.was_asked("<RetrievePropertiesEx"));
    for signal in ["HUP", "INT", "QUIT"] {
        assert!(!catches(&child, signal));
        signals::send(&child, signal);
    }
    ends(child, (&["TERM"], 143), "under nohup");
    site.nothing_is_open("under nohup");
}

#[test]
fn sigusr1_does_nothing_in_the_other_commands() {
    let site = Site::new(0);
    fs::write(
        site.path("password"),
        "000102030405060708090a0b0c0d0e0f\nf0e0d0c0b0a090807060504030201000\n",
    )
    .unwrap();
    for (program, words, input) in [
        (FILTER, "", r#"{"hypervisors":[]}"#),
        (PASSWORD, "--key-file @password", "s3cret\n"),
    ] {
        let mut child = site.spawn(program, words);
        until(|| catches(&child, "USR1"));
        signals::send(&child, "USR1");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{program}: {ended:?}");
        assert!(!ended.stdout.is_empty());
    }
}

#[test]
fn a_scan_under_timeout_1_leaves_no_session() {
    if !Path::new("/usr/bin/timeout").exists() {
        return skipped("timeout(1) around a scan: it is not installed");
    }
    let site = Site::new(2);
    site.silence("<RetrievePropertiesEx");
    let server = site.vcenter.url();
    let words = format!("--preserve-status 3 {SCAN} --server {server} -u sim --password-file @password");
    let child = site.spawn("/usr/bin/timeout", &words);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(143), "{ended:?}");
    site.nothing_is_open("timeout");
}
