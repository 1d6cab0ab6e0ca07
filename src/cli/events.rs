//! Events from outside while a command runs: the reader of stdout goes away, or a user sends SIGUSR1.

use std::io;
use std::os::fd::AsFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGUSR1};

use super::error::Failure;
use super::exit::status;
use crate::cancel::{Cancel, Signal};
use crate::error::Kind;

/// Sets the token when the reader of stdout goes away. A command that writes rarely would notice it late.
pub fn cancel_without_reader(cancel: &Cancel) -> Result<(), Failure> {
    let cancel = cancel.clone();
    let watch = move || {
        if reader_goes(io::stdout()) {
            cancel.cancel(Signal::Pipe);
        }
    };
    start("stdout", watch)
}

/// Ends the process, as SIGPIPE would, when the reader of stdout goes away. It is for a command that keeps no state and may wait
/// for input for hours.
pub fn end_without_reader() -> Result<(), Failure> {
    let watch = || {
        if reader_goes(io::stdout()) {
            std::process::exit(status(Kind::ReaderGone).into());
        }
    };
    start("stdout", watch)
}

/// Waits until the other end of a pipe or socket is closed. Returns false if that can't be detected.
fn reader_goes(output: impl AsFd) -> bool {
    // poll(2) always reports errors and hang-ups. A file has neither.
    let mut polled = [PollFd::new(&output, PollFlags::empty())];
    loop {
        match poll(&mut polled, None) {
            Ok(_) => break polled.iter().any(|fd| !fd.revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(_) => break false,
        }
    }
}

/// Calls `run` at each SIGUSR1, in a separate thread.
pub fn on_user_signal(run: impl Fn() + Send + 'static) -> Result<(), Failure> {
    on_signal(SIGUSR1, "SIGUSR1", run)
}

/// Calls `run` at each SIGHUP, in a separate thread.
pub fn on_hangup(run: impl Fn() + Send + 'static) -> Result<(), Failure> {
    on_signal(SIGHUP, "SIGHUP", run)
}

fn on_signal(number: i32, name: &str, run: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let signals = signal_hook::iterator::Signals::new([number]);
    let mut signals = signals.map_err(|error| failed(name, &error))?;
    start(name, move || signals.forever().for_each(|_| run()))
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.into());
    let started = thread.spawn(work);
    started.map(drop).map_err(|error| failed(name, &error))
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(Kind::Software, format!("watching {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_detected_without_writing() {
        let (reader, writer) = io::pipe().unwrap();
        let watch = thread::spawn(move || reader_goes(writer));
        drop(reader);
        assert!(watch.join().unwrap());
    }
}
