//! Asks for a password on the terminal, without echo.
//!
//! The stages of a pipeline share one terminal, so they ask one after the other. An answer, Ctrl-D, an error or a signal restores
//! the terminal; Ctrl-Z restores it until the command continues. A background job does not ask: it is stopped until it is in the
//! foreground, and signals still end it.

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

use super::parent;
use crate::cancel::{Cancel, Cancelled};
use crate::secret::Secret;
use turn::Turn;

/// The terminal of this process, even if stdin and stdout are redirected.
const TERMINAL: &str = "/dev/tty";

/// The longest answer in bytes. The kernel limits a line to 4096.
const LONGEST: usize = 64 * 1024;

/// The interval at which the reading thread checks whether a hidden question is shown again.
const PAUSE: Duration = Duration::from_millis(100);

/// The question that is being asked.
static ASKED: Mutex<Asked> = Mutex::new(Asked::Nothing);

enum Asked {
    Nothing,
    Question(Question),
    /// A signal has come. No more questions are asked, because the process may end at any moment.
    Over,
}

struct Question {
    terminal: File,
    text: String,
    /// The settings to restore.
    before: Termios,
    /// `None` while the question is not shown.
    turn: Option<Turn>,
    cancel: Cancel,
}

/// Fails if there is no terminal.
pub(super) fn possible() -> io::Result<()> {
    open().map(drop)
}

fn open() -> io::Result<File> {
    if parent::is_vw_run() {
        return Err(io::Error::other("vw-run does not ask"));
    }
    let opened = File::options().read(true).write(true).open(TERMINAL);
    opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NXIO) => io::Error::other("there is no terminal"),
        _ => error,
    })
}

/// Waits until the terminal is free, asks, and returns the line that was typed.
///
/// The outer error is a signal. The inner error says that the terminal is unusable, or that nothing was typed.
pub(super) fn ask(text: &str, cancel: &Cancel) -> Result<io::Result<Secret>, Cancelled> {
    cancel.check()?;
    let terminal = match open() {
        Ok(terminal) => terminal,
        Err(error) => return Ok(Err(error)),
    };
    let turn = take_turn(&terminal, cancel)?;
    // Held until the end of the question, so that a signal that ends the process restores the terminal first.
    let _restore = cancel.on_cancel(|| end(OptionalActions::Flush, Asked::Over));
    // The names of user and server come from a file, so they may contain control characters.
    let asked = match begin(terminal, &crate::text::line(text), turn, cancel) {
        Ok(terminal) => cancel.unblocked(move || read_line(terminal)),
        Err(error) => Ok(Err(error)),
    };
    // Part of a password must not remain for the next program that reads the terminal.
    let complete = matches!(asked, Ok(Ok(_)));
    let action = match complete {
        true => OptionalActions::Now,
        false => OptionalActions::Flush,
    };
    end(action, Asked::Nothing);
    match complete {
        true => cancel.check()?,
        // If the terminal is gone, SIGHUP may arrive later than the read error.
        false => cancel.sleep(PAUSE)?,
    }
    asked
}

/// Waits until this process is in the foreground and no other process asks.
fn take_turn(terminal: &File, cancel: &Cancel) -> Result<Turn, Cancelled> {
    loop {
        job::wait_for_foreground(terminal, cancel)?;
        let turn = Turn::wait(cancel)?;
        // A background process must not keep its turn, because others could not ask.
        if job::may_use(terminal) {
            return Ok(turn);
        }
    }
}

/// Shows the question and turns echo off.
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
        // The newline is echoed, so that the next output is not on the same line as the question.
        quiet
            .local_modes
            .insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        quiet.input_modes.insert(InputModes::ICRNL);
        // Flushing discards what was typed before the question was shown.
        tcsetattr(&self.terminal, OptionalActions::Flush, &quiet)?;
        self.terminal.write_all(self.text.as_bytes())
    }

    /// Restores the terminal if the question is shown. If that fails, the shell may restore it.
    fn restore(&mut self, action: OptionalActions) {
        let turn = self.turn.take();
        // In the background, tcsetattr(3) would stop the process, and another process uses the terminal.
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

/// Makes Ctrl-Z restore the terminal before the process stops. The question is shown again when the process continues.
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

/// Restores the terminal and stops, as SIGTSTP does by default. Does nothing if no shell could continue the process.
fn stop() {
    if !job::can_stop() {
        return;
    }
    if let Asked::Question(question) = &mut *lock() {
        question.restore(OptionalActions::Flush);
    }
    // Returns after SIGCONT.
    let stopped = signal_hook::low_level::emulate_default_handler(SIGTSTP);
    if let Err(error) = stopped.and_then(|()| ask_again()) {
        log::debug!("asking again on the terminal: {error}");
    }
}

/// Shows the question again once the process is in the foreground and has the turn.
fn ask_again() -> io::Result<()> {
    // Don't hold the lock while waiting: the handler of a signal that ends the process needs it.
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

/// Waits until a line is typed while the question is shown.
fn wait_for_line(terminal: &File) -> io::Result<()> {
    loop {
        // A blocking read is not possible: after a stop, the kernel would stop a background job again at each attempt, even if
        // another signal should end it.
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
        // While the question is hidden, the typed text is for another process.
        thread::sleep(PAUSE);
    }
}

/// Reads a line without its newline.
fn read_line(mut terminal: File) -> io::Result<Secret> {
    // Allocated once, because a growing buffer leaves copies of the password in memory.
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
