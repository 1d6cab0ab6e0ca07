//! What comes from outside while a command runs for long: its reader goes away, a user asks for something.

use std::io;
use std::os::fd::AsFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::SIGUSR1;

use super::Failure;
use crate::cancel::{Cancel, Signal};
use crate::error::Kind;

/// Sets the token when nobody reads stdout any more, which a command that writes rarely would notice late.
pub fn cancel_without_reader(cancel: &Cancel) -> Result<(), Failure> {
    let cancel = cancel.clone();
    let watch = move || {
        if reader_goes(io::stdout()) {
            cancel.cancel(Signal::Pipe);
        }
    };
    start("stdout", watch)
}

/// Ends the process, as SIGPIPE would, when nobody reads stdout any more: for a command that keeps nothing, and may wait
/// for its input for hours.
pub fn end_without_reader() -> Result<(), Failure> {
    let watch = || {
        if reader_goes(io::stdout()) {
            std::process::exit(super::status(Kind::ReaderGone).into());
        }
    };
    start("stdout", watch)
}

/// Waits until the other end of a pipe or socket is closed; false where that can't be seen.
fn reader_goes(output: impl AsFd) -> bool {
    // Errors and hang-ups are told unasked; a file never has any.
    let mut polled = [PollFd::new(&output, PollFlags::empty())];
    loop {
        match poll(&mut polled, None) {
            Ok(_) => break polled.iter().any(|fd| !fd.revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(_) => break false,
        }
    }
}

/// Has `run` run at each SIGUSR1, in a thread of its own.
pub fn on_user_signal(run: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let signals = signal_hook::iterator::Signals::new([SIGUSR1]);
    let mut signals = signals.map_err(|error| failed("SIGUSR1", &error))?;
    start("SIGUSR1", move || signals.forever().for_each(|_| run()))
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
    fn a_reader_that_goes_away_is_noticed_without_writing() {
        let (reader, writer) = io::pipe().unwrap();
        let watch = thread::spawn(move || reader_goes(writer));
        drop(reader);
        assert!(watch.join().unwrap());
    }
}
