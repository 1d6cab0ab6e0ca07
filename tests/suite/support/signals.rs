//! Sending signals to commands.

use std::fs;
use std::process::{Child, Command};
use std::sync::Once;

/// The signals that a shell may have set to be ignored, with their numbers.
const NUMBERS: [(&str, i32); 5] = [("HUP", 1), ("INT", 2), ("QUIT", 3), ("USR1", 10), ("TERM", 15)];

/// Sends a signal, by its name.
#[track_caller]
pub(crate) fn send(child: &Child, signal: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// Whether the process has a handler for the signal by now.
pub(crate) fn catches(child: &Child, signal: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    has(&status, "SigCgt:", number(signal))
}

/// Makes commands start with the default signals. If the tests were started by `cargo test &` in sh, some are ignored.
pub(crate) fn not_ignored() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        for (_, number) in NUMBERS {
            if has(&status, "SigIgn:", number) {
                // A caught signal has its default again in a new program.
                signal_hook::flag::register(number, std::sync::Arc::default()).unwrap();
            }
        }
    });
}

fn number(signal: &str) -> i32 {
    NUMBERS.iter().find(|(name, _)| *name == signal).unwrap().1
}

fn has(status: &str, mask: &str, signal: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix(mask))
        .unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (signal - 1)) != 0
}
