//! What every command shares: its `main`, its messages, its standard streams and its exit status.
//!
//! Only this room touches stdin, stdout, stderr and the exit status.

pub mod advice;
pub mod args;
mod error;
mod events;
mod help;
mod log;
pub mod mapping;
pub mod password;
mod patient;
pub mod progress;
mod prompt;
pub mod result;
mod signals;
pub mod stamp;
pub mod table;
pub mod text;
mod width;
pub mod words;

pub use error::{Context, Error, Result};
pub use events::{cancel_without_reader, end_without_reader, on_user_signal};
pub use patient::stdout_until;
pub use signals::{cancel_on_signals, end_at_once};

use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args as _, Command, Parser};
use rustix::fs::{OFlags, fcntl_getfl};

use crate::cancel::{Cancel, Signal};
use crate::error::{Classify, Kind};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All of it worked.
    Ok,
    /// It failed, and has said so already.
    Failed(Kind),
}

impl From<()> for Exit {
    fn from((): ()) -> Self {
        Exit::Ok
    }
}

/// Runs a command: reads its options, starts its messages, prints its one error line and decides its exit status.
///
/// The options of [`args::Messages`] are added to the command's own.
pub fn main<A: Parser, E: Into<Exit>>(run: impl FnOnce(A) -> Result<E>) -> ExitCode {
    let own = A::command();
    let about = own.get_about().cloned().unwrap_or_default();
    // Adding options also sets what the command says of itself.
    let command = args::Messages::augment_args(own).about(about);
    start(command, args::Messages::from_matches, run)
}

/// [`main`] for a command without debug messages, whose `-d` is free to mean something else.
pub fn main_without_messages<A: Parser, E: Into<Exit>>(run: impl FnOnce(A) -> Result<E>) -> ExitCode {
    start(A::command(), |_| args::Messages::default(), run)
}

fn start<A: Parser, E: Into<Exit>>(
    command: Command,
    messages: impl FnOnce(&ArgMatches) -> args::Messages,
    run: impl FnOnce(A) -> Result<E>,
) -> ExitCode {
    let name = command.get_name().to_owned();
    if !is_writable(io::stdout()) {
        let problem =
            "stdout is open for reading only, so nothing can be printed; redirect it with > and not with <";
        log::line(&name, problem);
        return ExitCode::from(status(Kind::Io));
    }
    // The short help fits a screen, whichever way it is asked for; the man page has the rest.
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort);
    let command = command.disable_help_flag(true).arg(help.help("Print help"));
    let command = help::shaped(command);
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage(&name, &error),
    };
    if let Err(error) = log::start(&name, &messages(&matches)) {
        log::line(&name, &error.to_string());
        return ExitCode::from(status(error.kind()));
    }
    let args = match A::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => return usage(&name, &error),
    };
    log::catch_panics(&name);
    signals::ignore_user_signal();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(args)));
    signals::take_last_word();
    match ended {
        Ok(Ok(exit)) => match exit.into() {
            Exit::Ok => ExitCode::SUCCESS,
            Exit::Failed(kind) => ExitCode::from(status(kind)),
        },
        Ok(Err(error)) => {
            let kind = error.kind();
            if kind != Kind::ReaderGone {
                ::log::error!("{:#}", advice::advised(error));
            }
            ExitCode::from(status(kind))
        }
        Err(_) => ExitCode::from(status(Kind::Software)),
    }
}

/// Whether a descriptor takes what is written, as far as its mode says. std ignores the error that one for reading only gives.
fn is_writable(descriptor: impl AsFd) -> bool {
    let mode = fcntl_getfl(descriptor).map(|flags| flags & OFlags::ACCMODE);
    mode != Ok(OFlags::RDONLY)
}

/// Prints help or version where they were asked for, else what is wrong with the options, in one line.
fn usage(name: &str, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                log::line(name, &format!("writing to stdout: {error}"));
                ExitCode::from(status(Kind::Io))
            }
            _ => ExitCode::SUCCESS,
        };
    }
    let text = error.render().to_string();
    let words: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect();
    let words = words.join(" ");
    let words = words.trim_start_matches("error: ").replace(" tip: ", "; ");
    log::line(name, &format!("{words}; see {name} --help"));
    ExitCode::from(status(Kind::Usage))
}

/// The exit status of each kind of failure, as sysexits(3) and the shell have them.
fn status(kind: Kind) -> u8 {
    match kind {
        Kind::ReaderGone | Kind::Signal(Signal::Pipe) => 0,
        Kind::Usage => 64,
        Kind::Data => 65,
        Kind::NoInput => 66,
        Kind::Unavailable => 69,
        Kind::Software => 70,
        Kind::Io => 74,
        Kind::TempFail => 75,
        Kind::Protocol => 76,
        Kind::NoPerm => 77,
        Kind::Config => 78,
        Kind::Signal(Signal::Hangup) => 129,
        Kind::Signal(Signal::Interrupt) => 130,
        Kind::Signal(Signal::Quit) => 131,
        Kind::Signal(Signal::Terminate) => 143,
    }
}

/// A failure of a command itself, rather than of the library.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// A failure of the given kind; the message says what to do.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Failure { kind, message }
    }

    /// Something failed that never does, such as writing JSON into memory: a defect.
    pub fn defect(error: impl std::fmt::Display) -> Self {
        Failure::new(
            Kind::Software,
            format!("this is a defect, please report it: {error}"),
        )
    }

    /// Stdout could not be written, or its reader went away.
    pub fn of_stdout(error: &io::Error) -> Self {
        Failure::new(Kind::of_output(error), format!("writing to stdout: {error}"))
    }
}

impl Classify for Failure {
    fn kind(&self) -> Kind {
        self.kind
    }
}

/// Standard output, buffered.
pub fn stdout() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}

/// Standard output for JSON, buffered; on a terminal what would steer it is escaped.
pub fn json_stdout() -> text::Json<BufWriter<io::StdoutLock<'static>>> {
    text::Json::new(stdout(), io::stdout().is_terminal())
}

/// [`json_stdout`] for a command that must hear of a signal while nobody reads: see [`stdout_until`].
pub fn json_stdout_until(cancel: &Cancel) -> text::Json<BufWriter<impl Write + use<>>> {
    text::Json::new(stdout_until(cancel), io::stdout().is_terminal())
}

/// Standard input, buffered; a terminal is refused, for whoever started the command so forgot the pipe.
pub fn stdin() -> Result<io::BufReader<io::StdinLock<'static>>, Failure> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        return Err(Failure::new(
            Kind::NoInput,
            "stdin is a terminal; pipe a mapping in, or redirect a file with <",
        ));
    }
    Ok(io::BufReader::with_capacity(64 * 1024, stdin))
}

/// Standard input, buffered, for a command that people also type into.
pub fn stdin_or_terminal() -> io::BufReader<io::StdinLock<'static>> {
    io::BufReader::with_capacity(64 * 1024, io::stdin().lock())
}

/// Prints text that is a command's whole result, such as the answer to `--check`; nothing in it steers a terminal.
pub fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().is_terminal() {
        true => print_raw(&text::printable(text)),
        false => print_raw(text),
    }
}

/// Prints text as it is, also on a terminal, for a command that converts what it is given.
pub fn print_raw(text: &str) -> Result<(), Failure> {
    write_out(stdout(), text)
}

/// Prints JSON.
pub fn print_json(text: &str) -> Result<(), Failure> {
    write_out(json_stdout(), text)
}

fn write_out(mut out: impl Write, text: &str) -> Result<(), Failure> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::of_stdout(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    /// The numbers of an entry in the list of statuses in vw(7), and its text.
    fn documented() -> Vec<(Vec<u8>, String)> {
        let page = include_str!("../man/vw.7");
        let section = page.split(".Sh EXIT STATUS\n").nth(1).unwrap();
        let list = section.split("\n.El").next().unwrap();
        let entries = list.split("\n.It ").skip(1);
        entries
            .map(|entry| {
                let (numbers, text) = entry.split_once('\n').unwrap();
                let numbers = numbers.split(" , ").map(|number| number.parse().unwrap());
                (numbers.collect(), text.replace('\n', " "))
            })
            .collect()
    }

    #[test]
    fn the_status_of_each_kind_is_the_one_in_the_manual_page() {
        // The word by which the entry of a kind is found.
        let kinds = [
            (Kind::ReaderGone, "All of it worked"),
            (Kind::Usage, "options"),
            (Kind::Data, "in part"),
            (Kind::NoInput, "ended before a document"),
            (Kind::Unavailable, "unknown owner"),
            (Kind::Software, "defect"),
            (Kind::Io, "read or written"),
            (Kind::TempFail, "later"),
            (Kind::Protocol, "server's answer"),
            (Kind::NoPerm, "redentials"),
            (Kind::Config, "configuration"),
            (Kind::Signal(Signal::Hangup), "SIGHUP"),
            (Kind::Signal(Signal::Interrupt), "SIGINT"),
            (Kind::Signal(Signal::Quit), "SIGQUIT"),
            (Kind::Signal(Signal::Terminate), "SIGTERM"),
        ];
        let documented = documented();
        for (kind, word) in kinds {
            let found: Vec<_> = documented
                .iter()
                .filter(|(_, text)| text.contains(word))
                .collect();
            let [(numbers, text)] = found[..] else {
                panic!("{kind:?}: {} entries have {word:?}", found.len());
            };
            assert!(numbers.contains(&status(kind)), "{kind:?}: {numbers:?} {text}");
        }
        let mut used = kinds.map(|(kind, _)| status(kind)).to_vec();
        used.sort_unstable();
        let all: Vec<u8> = documented.into_iter().flat_map(|(numbers, _)| numbers).collect();
        assert_eq!(
            used, all,
            "each status stands for one kind, and the page lists no other"
        );
    }

    #[test]
    fn a_signal_ends_a_command_with_128_and_its_number() {
        for (signal, number) in [
            (Signal::Hangup, signal_hook::consts::SIGHUP),
            (Signal::Interrupt, signal_hook::consts::SIGINT),
            (Signal::Quit, signal_hook::consts::SIGQUIT),
            (Signal::Terminate, signal_hook::consts::SIGTERM),
        ] {
            assert_eq!(i32::from(status(Kind::Signal(signal))), 128 + number);
        }
    }

    #[test]
    fn the_mode_of_a_descriptor_says_whether_it_can_be_written() {
        let null = |read, write| {
            let mut options = std::fs::File::options();
            options.read(read).write(write).open("/dev/null").unwrap()
        };
        assert!(!is_writable(null(true, false)));
        assert!(is_writable(null(false, true)));
        assert!(is_writable(null(true, true)));
        let (reader, writer) = io::pipe().unwrap();
        assert!(!is_writable(reader));
        assert!(is_writable(writer));
    }
}
