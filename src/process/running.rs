//! A program that runs, until it has been waited for.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::consts::{SIGTTIN, SIGTTOU};

use super::error::Error;
use crate::cancel::Cancel;

/// How long a program may take to end after SIGTERM, in which it logs out.
pub const GRACE: Duration = Duration::from_secs(8);

/// The longest time limit, about 68 years.
const LONGEST: Duration = Duration::from_secs(1 << 31);

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// How long it may take.
    pub time: Duration,
    /// The token that ends it.
    pub cancel: &'a Cancel,
}

impl<'a> Limits<'a> {
    /// No limit but the token.
    pub fn until(cancel: &'a Cancel) -> Self {
        let time = LONGEST;
        Limits { time, cancel }
    }
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    lines: Option<Receiver<String>>,
    /// Whether it has been waited for.
    is_over: bool,
}

/// Why the wait for a program goes on.
enum Event {
    /// It has ended.
    Ended,
    /// The system has stopped it, because it wants to use the terminal.
    WantsTerminal,
    /// A signal has come.
    Cancelled,
}

impl Running {
    pub(super) fn new(name: String, child: Child, lines: Option<Receiver<String>>) -> Self {
        Running {
            name,
            child,
            lines,
            is_over: false,
        }
    }

    /// Its stdin, once, if that is a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its stdout, once, if that is a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its lines on stderr, once. They end soon after it has ended.
    pub fn lines(&mut self) -> Option<Receiver<String>> {
        self.lines.take()
    }

    /// Waits for its end. At the time limit or a signal it is ended, and the error says so.
    pub fn wait(mut self, limits: Limits<'_>) -> Result<ExitStatus, Error> {
        let (sender, events) = mpsc::channel();
        let cancelled = sender.clone();
        let _hook = limits
            .cancel
            .on_cancel(move || _ = cancelled.send(Event::Cancelled));
        self.tell_end(sender).map_err(|source| self.stream(source))?;
        let mut end = Instant::now() + limits.time.min(LONGEST);
        let (mut is_told, mut is_late) = (false, false);
        loop {
            match events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Event::WantsTerminal) => {
                    self.reap()?;
                    let program = self.name.clone();
                    return Err(Error::WantsTerminal { program });
                }
                Ok(Event::Cancelled) if is_told => continue,
                Err(RecvTimeoutError::Timeout) if is_told => {
                    self.signal(Signal::KILL);
                    // Nothing survives SIGKILL, though it may take a while.
                    end = Instant::now() + GRACE;
                    continue;
                }
                Ok(Event::Cancelled) => {}
                Err(RecvTimeoutError::Timeout) => is_late = true,
            }
            is_told = true;
            self.signal(Signal::TERM);
            end = Instant::now() + GRACE;
        }
        let status = self.reap()?;
        match is_late {
            true => Err(Error::Late {
                program: self.name.clone(),
                limit: limits.time,
            }),
            // If it has done its work although a signal came, its result counts.
            false if is_told && !status.success() => Err(limits.cancel.check().err().map_or_else(
                || self.stream(io::ErrorKind::Interrupted.into()),
                Error::Cancelled,
            )),
            false => Ok(status),
        }
    }

    /// Sends an event when it has ended or wants the terminal, without reaping it, so that its process id stays its own.
    fn tell_end(&self, sender: Sender<Event>) -> io::Result<()> {
        let pid = Pid::from_child(&self.child);
        let wait = move || {
            loop {
                let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
                let status = match waitid(WaitId::Pid(pid), options) {
                    Err(Errno::INTR) => continue,
                    Err(_) | Ok(None) => break,
                    Ok(Some(status)) => status,
                };
                match status.stopping_signal() {
                    None => break,
                    Some(SIGTTIN | SIGTTOU) => _ = sender.send(Event::WantsTerminal),
                    // Somebody else has stopped it, and may continue it.
                    Some(_) => {}
                }
                // Forgets this stop, to wait for the next event.
                let forget = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
                let _ = waitid(WaitId::Pid(pid), forget);
            }
            _ = sender.send(Event::Ended);
        };
        thread::Builder::new().name("child".into()).spawn(wait).map(drop)
    }

    pub(super) fn signal(&self, signal: Signal) {
        // Its group may have ended meanwhile.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Ends what is left of its group, and takes its exit status.
    fn reap(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::KILL);
        self.is_over = true;
        self.child.wait().map_err(|source| self.stream(source))
    }

    fn stream(&self, source: io::Error) -> Error {
        Error::Stream {
            program: self.name.clone(),
            source,
        }
    }
}

impl Drop for Running {
    /// Ends a program that nobody waits for.
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.reap();
        }
    }
}

/// How a program ended, in words: `exit status 75` or `killed by signal 9`.
pub fn end_of(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}
