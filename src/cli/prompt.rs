//! A question on the terminal whose answer is not shown.
//!
//! The stages of a pipeline share one terminal, so one asks after the other. Whatever ends the question restores the terminal: an
//! answer, Ctrl-D, an error, a signal; and Ctrl-Z does so until the command goes on. In the background nothing is asked: the job
//! is stopped until it is in the foreground, and even then hears of the signals that end it.

mod job;
mod turn;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use signal_hook::consts::SIGTSTP;
use signal_hook::iterator::Signals;
use zeroize::Zeroizing;

use crate::cancel::{Cancel, Cancelled};
use crate::secret::Secret;
use turn::Turn;

/// The terminal of this process, whatever stdin and stdout are.
const TERMINAL: &str = "/dev/tty";

/// The most bytes of an answer; the kernel keeps lines of 4096 at most.
const LONGEST: usize = 64 * 1024;

/// How often it is looked whether a question that is not shown is shown again.
const PAUSE: Duration = Duration::from_millis(100);

/// The question that is being asked.
static ASKED: Mutex<Asked> = Mutex::new(Asked::Nothing);

enum Asked {
    Nothing,
    Question(Question),
    /// A signal has come: nothing more is asked, for the process may end at any moment.
    Over,
}

struct Question {
    terminal: File,
    text: String,
    /// The settings to restore.
    before: Termios,
    /// As long as the question is shown.
    turn: Option<Turn>,
    cancel: Cancel,
}

/// Whether there is a terminal to ask on.
pub(super) fn possible() -> io::Result<()> {
    open().map(drop)
}

fn open() -> io::Result<File> {
    let opened = File::options().read(true).write(true).open(TERMINAL);
    opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NXIO) => io::Error::other("there is none now"),
        _ => error,
    })
}

/// Asks on the terminal, once it is free, and returns the line that was typed.
///
/// The outer error is a signal, the inner one says why the terminal can't be used or that nothing was typed.
pub(super) fn ask(text: &str, cancel: &Cancel) -> Result<io::Result<Secret>, Cancelled> {
    cancel.check()?;
    let terminal = match open() {
        Ok(terminal) => terminal,
        Err(error) => return Ok(Err(error)),
    };
    let turn = take_turn(&terminal, cancel)?;
    // Held until the end of the question, so that a signal which ends the process at once restores the terminal first.
    let _restore = cancel.on_cancel(|| end(OptionalActions::Flush, Asked::Over));
    // User and server come from a file.
    let asked = match begin(terminal, &super::text::line(text), turn, cancel) {
        Ok(terminal) => cancel.unblocked(move || read_line(terminal)),
        Err(error) => Ok(Err(error)),
    };
    // Half a password must not be left to whoever reads the terminal next.
    let complete = matches!(asked, Ok(Ok(_)));
    let action = match complete {
        true => OptionalActions::Now,
        false => OptionalActions::Flush,
    };
    end(action, Asked::Nothing);
    match complete {
        true => cancel.check()?,
        // The end of a terminal that is gone may be seen before the signal that says so.
        false => cancel.sleep(PAUSE)?,
    }
    asked
}

/// Waits until this process is in the foreground, and no other asks.
fn take_turn(terminal: &File, cancel: &Cancel) -> Result<Turn, Cancelled> {
    loop {
        job::wait_for_foreground(terminal, cancel)?;
        let turn = Turn::wait(cancel)?;
        // Nobody in the background has a turn: others could not ask until then.
        if job::may_use(terminal) {
            return Ok(turn);
        }
    }
}

/// Shows the question, and hides what is typed from now on.
fn begin(terminal: File, text: &str, turn: Turn, cancel: &Cancel) -> io::Result<File> {
    stop_cleanly();
    let reading = terminal.try_clone()?;
    let mut asked = lock();
    if matches!(*asked, Asked::Over) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let mut question = Question {
        before: tcgetattr(&terminal)?,
        terminal,
        text: text.to_owned(),
        turn: None,
        cancel: cancel.clone(),
    };
    let shown = question.show(turn);
    *asked = Asked::Question(question);
    shown.map(|()| reading)
}

impl Question {
    fn show(&mut self, turn: Turn) -> io::Result<()> {
        self.turn = Some(turn);
        let mut quiet = self.before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, or the next output would follow the question.
        quiet
            .local_modes
            .insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        quiet.input_modes.insert(InputModes::ICRNL);
        // What was typed before the question was shown, and is no answer to it.
        tcsetattr(&self.terminal, OptionalActions::Flush, &quiet)?;
        self.terminal.write_all(self.text.as_bytes())
    }

    /// Gives the terminal back as it was, if the question is shown; what can't be restored is left to the shell.
    fn restore(&mut self, action: OptionalActions) {
        let turn = self.turn.take();
        // In the background this would stop the process, and the terminal is another's.
        if turn.is_some() && tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp()) {
            let _ = tcsetattr(&self.terminal, action, &self.before);
            if matches!(action, OptionalActions::Flush) {
                let _ = self.terminal.write_all(b"\n");
            }
        }
    }
}

/// Ends the question, if there is one.
fn end(action: OptionalActions, then: Asked) {
    let mut asked = lock();
    if let Asked::Question(question) = &mut *asked {
        question.restore(action);
    }
    if !matches!(*asked, Asked::Over) {
        *asked = then;
    }
}

fn lock() -> MutexGuard<'static, Asked> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on Ctrl-Z restores the terminal before it stops the process, and the question is asked again afterwards.
fn stop_cleanly() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if super::signals::is_ignored(SIGTSTP) {
            return;
        }
        let started = Signals::new([SIGTSTP]).and_then(|mut signals| {
            let thread = thread::Builder::new().name("SIGTSTP".into());
            thread.spawn(move || signals.forever().for_each(|_| stop()))
        });
        if let Err(error) = started {
            log::debug!("Ctrl-Z leaves the terminal without echo: {error}");
        }
    });
}

/// Does what SIGTSTP does by itself, which is nothing where nobody could have us go on.
fn stop() {
    if !job::can_stop() {
        return;
    }
    if let Asked::Question(question) = &mut *lock() {
        question.restore(OptionalActions::Flush);
    }
    // It returns when SIGCONT has come.
    let stopped = signal_hook::low_level::emulate_default_handler(SIGTSTP);
    if let Err(error) = stopped.and_then(|()| ask_again()) {
        log::debug!("asking again on the terminal: {error}");
    }
}

/// Shows the question again, once the terminal is ours.
fn ask_again() -> io::Result<()> {
    // The lock is not held while we wait, for a signal that ends the process takes it.
    let (terminal, cancel) = match &*lock() {
        Asked::Question(question) => (question.terminal.try_clone()?, question.cancel.clone()),
        Asked::Nothing | Asked::Over => return Ok(()),
    };
    let Ok(turn) = take_turn(&terminal, &cancel) else {
        return Ok(());
    };
    match &mut *lock() {
        Asked::Question(question) => question.show(turn),
        Asked::Nothing | Asked::Over => Ok(()),
    }
}

/// Waits until a line was typed as an answer.
fn wait_for_line(terminal: &File) -> io::Result<()> {
    loop {
        // A read that blocks would, after a stop, have the kernel stop a background job again and again, whatever other signal came.
        let mut polled = [PollFd::new(terminal, PollFlags::IN)];
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            done => done?,
        };
        if polled[0].revents().contains(PollFlags::HUP) {
            return Err(io::Error::other("the terminal is gone"));
        }
        match &*lock() {
            Asked::Question(question) if question.turn.is_some() => return Ok(()),
            Asked::Question(_) => {}
            Asked::Nothing | Asked::Over => return Err(io::ErrorKind::Interrupted.into()),
        }
        // What is typed meanwhile is another's.
        thread::sleep(PAUSE);
    }
}

/// Reads a line and drops its end.
fn read_line(mut terminal: File) -> io::Result<Secret> {
    // Allocated once, for a growing buffer leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut piece = Zeroizing::new([0; 4096]);
    loop {
        wait_for_line(&terminal)?;
        let length = match terminal.read(&mut *piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        if length == 0 && line.is_empty() {
            return Err(io::Error::other("nothing was typed"));
        }
        if line.len() + length > LONGEST {
            return Err(io::Error::other("the line is too long"));
        }
        line.extend_from_slice(&piece[..length]);
        if length == 0 || line.ends_with(b"\n") {
            break;
        }
    }
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    match std::str::from_utf8(text) {
        Ok(text) => Ok(Secret::from(text.to_owned())),
        Err(_) => Err(io::Error::other("what was typed is not UTF-8")),
    }
}
