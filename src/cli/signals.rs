//! Signals that end a command, and SIGUSR1, which must not.
//!
//! A command that talks to a server catches SIGINT, SIGTERM, SIGHUP and SIGQUIT. The first one sets a [`Cancel`] token, which ends
//! blocking work, so that the command can log out.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::error::Failure;
use super::exit::status;
use crate::cancel::{Cancel, HookGuard, Signal};
use crate::error::{Classify, Kind};

/// The signals that end a command; SIGHUP first.
const ENDING: [(i32, Signal); 4] = [
    (SIGHUP, Signal::Hangup),
    (SIGINT, Signal::Interrupt),
    (SIGQUIT, Signal::Quit),
    (SIGTERM, Signal::Terminate),
];

/// A second signal is ignored for this time after the first. For example, timeout(1) sends two at once: to the process and to
/// its group.
const ECHO: Duration = Duration::from_millis(500);

/// Whether a caught signal has come. Unlike the token, it is set by the handler itself, before anything else is done.
static HAS_COME: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Locked until the process ends by the thread that prints the last message and decides the exit status.
static LAST_WORD: Mutex<()> = Mutex::new(());

/// Returns a token that the first signal sets. A second signal at least half a second later ends the process immediately.
///
/// A signal that was ignored when the process started stays ignored: SIGHUP under nohup(1), SIGINT and SIGQUIT in a command that
/// sh started with `&`.
pub fn cancel_on_signals() -> Result<Cancel, Failure> {
    cancel_on(&ENDING)
}

/// The same for a service, which does not end at SIGHUP: see [`super::on_hangup`].
pub fn cancel_on_signals_but_hangup() -> Result<Cancel, Failure> {
    cancel_on(&ENDING[1..])
}

fn cancel_on(ending: &[(i32, Signal)]) -> Result<Cancel, Failure> {
    let cancel = Cancel::default();
    let failed = |error: io::Error| Failure::new(Kind::Software, format!("catching signals: {error}"));
    let caught = ending.iter().map(|(number, _)| *number);
    let caught: Vec<i32> = caught.filter(|number| !is_ignored(*number)).collect();
    // First, because a signal that only sets the flag is lost.
    let mut signals = Signals::new(&caught).map_err(failed)?;
    for number in caught {
        signal_hook::flag::register(number, HAS_COME.clone()).map_err(failed)?;
    }
    let token = cancel.clone();
    let watch = move || {
        let mut first: Option<Instant> = None;
        for number in signals.forever() {
            let Some((_, signal)) = ENDING.into_iter().find(|(own, _)| *own == number) else {
                continue;
            };
            match first {
                None => {
                    first = Some(Instant::now());
                    set(&token, signal);
                }
                Some(first) if first.elapsed() < ECHO => {}
                Some(_) => std::process::exit(status(Kind::Signal(signal)).into()),
            }
        }
    };
    let thread = thread::Builder::new().name("signals".into());
    thread.spawn(watch).map_err(failed)?;
    Ok(cancel)
}

/// Sets the token in another thread, because a hook may block and the next signal must still be handled.
fn set(token: &Cancel, signal: Signal) {
    let own = token.clone();
    let started = thread::Builder::new().spawn(move || own.cancel(signal));
    if started.is_err() {
        token.cancel(signal);
    }
}

/// Whether a signal has come that ends the command. It sets the token a little later.
pub(super) fn has_come() -> bool {
    HAS_COME.load(Ordering::Relaxed)
}

/// Whether the process was started with this signal ignored. Without /proc the answer is no.
pub(super) fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status) & (1 << (signal - 1)) != 0
}

/// The set of ignored signals (`SigIgn` in proc_pid_status(5)) as a bit mask. Signal 1 is the lowest bit.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}

/// As long as the guard lives, a signal ends the process immediately, with its message and exit status.
///
/// It is for times when no session is open and the main thread may block without checking the token: while it reads the
/// configuration, which may be a FIFO, or prints a document.
pub fn end_at_once(cancel: &Cancel) -> AtOnceGuard {
    let token = cancel.clone();
    AtOnceGuard(cancel.on_cancel(move || {
        if let Err(cancelled) = token.check() {
            take_last_word();
            let kind = cancelled.kind();
            if kind != Kind::ReaderGone {
                log::error!("{cancelled}");
            }
            std::process::exit(status(kind).into());
        }
    }))
}

/// Keeps [`end_at_once`] in force.
#[derive(Debug)]
pub struct AtOnceGuard(HookGuard);

impl Drop for AtOnceGuard {
    /// If a signal has come, the process is about to end in another thread. This one must not go on and report it, too.
    fn drop(&mut self) {
        if !self.0.withdraw() {
            loop {
                thread::park();
            }
        }
    }
}

/// Lets one thread end the process. Any other thread blocks here until the process has ended.
pub(super) fn take_last_word() {
    std::mem::forget(LAST_WORD.lock());
}

/// Ignores SIGUSR1 until [`super::on_user_signal`] is called, because users may send it to all stages of a pipeline.
pub(super) fn ignore_user_signal() {
    if let Err(error) = signal_hook::flag::register(SIGUSR1, Arc::default()) {
        log::debug!("SIGUSR1 is not ignored: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_proc() {
        let of = |signals: &[i32]| {
            let mask: u64 = signals.iter().map(|signal| 1 << (signal - 1)).sum();
            ignored(&format!(
                "Name:\tvw\nSigBlk:\tffff\nSigIgn:\t{mask:016x}\nSigCgt:\tffff\n"
            ))
        };
        assert_eq!(of(&[SIGHUP]), 1);
        assert_eq!(of(&[SIGINT, SIGQUIT]), 0b110);
        assert_eq!(ignored("SigIgn:\t8000000000000000\n"), 1 << 63);
        assert_eq!(ignored("SigIgn:\tnonsense\n"), 0);
        assert_eq!(ignored(""), 0);
    }
}
