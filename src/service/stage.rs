//! One command of a pipeline: its messages are passed on, and its exit status becomes a failure with its cause.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use log::Level;
use signal_hook::consts::signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};

use super::Failure;
use crate::error::{Classify as _, Kind};
use crate::process::{self, LAST_WORDS, Limits, Program, Running};
use crate::text;

/// How long the last line is held back, because it may turn out to be the error.
const HELD_BACK: Duration = Duration::from_millis(300);

/// A stage that runs.
pub(super) struct Stage {
    name: String,
    voice: Voice,
    running: Running,
    told: Receiver<Told>,
}

/// The section in whose name stages run, and what they have warned of in this round.
///
/// All stages read the same configuration, and warn of the same things in it.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    section: String,
    warned: Arc<Mutex<HashSet<String>>>,
}

impl Voice {
    /// The most warnings that are remembered.
    const MOST: usize = 1000;

    /// The voice of a section that has not said anything.
    pub(super) fn new(section: &str) -> Self {
        Voice {
            section: section.to_owned(),
            warned: Arc::default(),
        }
    }

    /// The same voice, if it is of this section.
    pub(super) fn of(&self, section: &str) -> Self {
        match self.section == section {
            true => self.clone(),
            false => Voice::new(section),
        }
    }

    /// Passes a message on; a warning only once.
    fn pass_on(&self, level: Level, name: &str, message: &str) {
        let section = &self.section;
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let level = match level {
            Level::Warn if warned.contains(message) => Level::Debug,
            level => level,
        };
        if level == Level::Warn && warned.len() < Voice::MOST {
            warned.insert(message.to_owned());
        }
        log::log!(target: "vw::stage", level, section = section; "[{section}] {name}: {message}");
    }
}

/// What a stage told at last.
#[derive(Debug, Default)]
struct Told {
    /// The last message that is no warning.
    last: Option<String>,
    /// Whether it has not been passed on yet.
    is_held_back: bool,
}

impl Stage {
    /// Starts a stage of the section's pipeline.
    pub(super) fn start(
        program: &Program,
        voice: &Voice,
        stdin: impl Into<Stdio>,
        stdout: impl Into<Stdio>,
    ) -> Result<Self, Failure> {
        let name = program.name();
        let started = program.start(stdin.into(), stdout.into());
        let mut running = started.map_err(|error| failure(&voice.section, &name, &error))?;
        let told = relay(running.lines(), voice, &name).map_err(|source| {
            let program = name.clone();
            failure(&voice.section, &name, &process::Error::Start { program, source })
        })?;
        Ok(Stage {
            name,
            voice: voice.clone(),
            running,
            told,
        })
    }

    /// Its stdout, once.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.running.stdout()
    }

    /// Waits for its end.
    pub(super) fn wait(self, limits: Limits<'_>) -> Result<(), Failure> {
        let ended = self.running.wait(limits);
        let told = self.told.recv_timeout(LAST_WORDS).unwrap_or_default();
        let kind = match &ended {
            Ok(status) => kind_of(*status, limits),
            Err(error) => Some(error.kind()),
        };
        if let (true, Some(last)) = (told.is_held_back, &told.last) {
            let level = match kind {
                None | Some(Kind::Signal(_)) => Level::Info,
                Some(_) => Level::Error,
            };
            self.voice.pass_on(level, &self.name, last);
        }
        match (ended, kind) {
            (_, None) => Ok(()),
            (Err(error), _) => Err(failure(&self.voice.section, &self.name, &error)),
            (Ok(status), Some(kind)) => {
                let unsaid = || {
                    let message = process::end_of(status);
                    self.voice.pass_on(Level::Error, &self.name, &message);
                    message
                };
                Err(Failure {
                    stage: self.name.clone(),
                    kind,
                    message: told.last.unwrap_or_else(unsaid),
                })
            }
        }
    }
}

/// The most that a stage may print that is run quietly, in bytes.
const MOST: u64 = 1 << 20;

/// Runs a stage without input, and passes nothing on.
pub(super) fn run_quietly(program: &Program, limits: Limits<'_>) -> Result<(), Failure> {
    let name = program.name();
    let failed = |kind, message| Failure {
        stage: name.clone(),
        kind,
        message,
    };
    let output = match program.output(b"", MOST, limits) {
        Ok(output) => output,
        Err(error) => return Err(failed(error.kind(), text::message(&error.with_causes()))),
    };
    let Some(kind) = kind_of(output.status, limits) else {
        return Ok(());
    };
    let lines = output.stderr.iter().rev();
    let last = lines
        .map(|line| leveled(line, &name))
        .find(|(level, _)| level.is_none());
    let message = last.map_or_else(
        || process::end_of(output.status),
        |(_, message)| message.to_owned(),
    );
    Err(failed(kind, message))
}

/// The kind of failure that an exit status tells.
///
/// A stage that somebody else has ended, such as the kernel out of memory, may work next time. A crash is a defect.
fn kind_of(status: ExitStatus, limits: Limits<'_>) -> Option<Kind> {
    const CRASHES: [i32; 5] = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV];
    match (status.code().map(u8::try_from), status.signal()) {
        (Some(Ok(code)), _) => match Kind::of_status(code) {
            Some(Kind::Signal(_)) if limits.cancel.check().is_ok() => Some(Kind::TempFail),
            kind => kind,
        },
        (_, Some(signal)) if !CRASHES.contains(&signal) => Some(Kind::TempFail),
        _ => Some(Kind::Software),
    }
}

/// A failure to run a stage, which is reported here because the stage did not.
fn failure(section: &str, name: &str, error: &process::Error) -> Failure {
    let kind = error.kind();
    let message = text::message(&error.with_causes());
    if !matches!(kind, Kind::Signal(_)) {
        log::error!(section = section; "[{section}] {message}");
    }
    Failure {
        stage: name.to_owned(),
        kind,
        message,
    }
}

/// Passes messages on as they come, and returns where the last one arrives.
fn relay(lines: Option<Receiver<String>>, voice: &Voice, name: &str) -> io::Result<Receiver<Told>> {
    let (sender, receiver) = mpsc::channel();
    let (voice, name) = (voice.clone(), name.to_owned());
    let relay = move || {
        let told = lines.map(|lines| pass_all_on(&lines, &voice, &name));
        _ = sender.send(told.unwrap_or_default());
    };
    thread::Builder::new().name("messages".into()).spawn(relay)?;
    Ok(receiver)
}

fn pass_all_on(lines: &Receiver<String>, voice: &Voice, name: &str) -> Told {
    let mut told = Told::default();
    loop {
        let line = match told.is_held_back {
            true => lines.recv_timeout(HELD_BACK),
            false => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if line != Err(RecvTimeoutError::Disconnected)
            && let (true, Some(last)) = (told.is_held_back, &told.last)
        {
            voice.pass_on(Level::Info, name, last);
            told.is_held_back = false;
        }
        let line = match line {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return told,
        };
        match leveled(&line, name) {
            (Some(level), message) => voice.pass_on(level, name, message),
            (None, message) => {
                told.last = Some(message.to_owned());
                told.is_held_back = true;
            }
        }
    }
}

/// A line's level and message, without the command's name. An error and a piece of information look alike.
fn leveled<'a>(line: &'a str, name: &str) -> (Option<Level>, &'a str) {
    let own = line.strip_prefix(name).and_then(|line| line.strip_prefix(": "));
    let line = own.unwrap_or(line);
    if let Some(message) = line.strip_prefix("warning: ") {
        (Some(Level::Warn), message)
    } else if let Some(message) = line.strip_prefix("debug: ") {
        (Some(Level::Debug), message)
    } else {
        (None, line)
    }
}

/// Reads what a stage prints, in a thread. More than `most` bytes are dropped.
pub(super) fn read_all(stdout: Option<ChildStdout>, most: u64) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut bytes = Vec::new();
        if let Some(mut stdout) = stdout {
            let _ = (&mut stdout).take(most).read_to_end(&mut bytes);
            let _ = io::copy(&mut stdout, &mut io::sink());
        }
        _ = sender.send(bytes);
    };
    thread::Builder::new().name("stdout".into()).spawn(read)?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;

    fn run(script: &str) -> Result<(), Failure> {
        let program = Program::new("/bin/sh").option("-c", script);
        let stage = Stage::start(&program, &Voice::new("prod"), Stdio::null(), Stdio::null())?;
        stage.wait(Limits {
            time: Duration::from_secs(60),
            cancel: &Cancel::default(),
        })
    }

    #[test]
    fn the_last_message_that_is_no_warning_is_the_cause() {
        assert_eq!(run("echo sh: fine >&2"), Ok(()));
        let script = "echo sh: waiting >&2; echo sh: no route >&2; echo sh: warning: odd >&2; exit 75";
        assert_eq!(
            run(script),
            Err(Failure {
                stage: "sh".to_owned(),
                kind: Kind::TempFail,
                message: "no route".to_owned(),
            })
        );
    }

    #[test]
    fn a_stage_without_a_word_fails_with_its_status() {
        let failure = |script| run(script).unwrap_err();
        assert_eq!(failure("exit 3").message, "exit status 3");
        assert_eq!(failure("exit 78").kind, Kind::Config);
        let killed = failure("kill -9 $$");
        assert_eq!(
            (killed.kind, &*killed.message),
            (Kind::TempFail, "killed by signal 9")
        );
        // Nobody has asked vw-run to end, so this is a failure like any other.
        assert_eq!(failure("exit 143").kind, Kind::TempFail);
        assert_eq!(failure("kill -SEGV $$").kind, Kind::Software);
    }

    #[test]
    fn a_line_has_a_level_if_it_says_so() {
        for (line, level, message) in [
            ("vw-x: warning: w", Some(Level::Warn), "w"),
            ("vw-x: debug: d", Some(Level::Debug), "d"),
            ("vw-x: e: f", None, "e: f"),
            ("of a script", None, "of a script"),
        ] {
            assert_eq!(leveled(line, "vw-x"), (level, message));
        }
    }
}
