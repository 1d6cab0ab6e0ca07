//! What all commands share: `main`, options, messages, streams, prompts, result lines and the exit status.
//!
//! Only this module uses stdin, stdout, stderr and the exit status.

pub mod advice;
pub mod args;
pub mod colour;
mod error;
mod events;
mod exit;
mod help;
mod json;
pub mod mapping;
mod messages;
mod parent;
pub mod password;
pub mod progress;
mod prompt;
pub mod result;
mod signals;
pub mod stamp;
mod streams;
pub mod table;
mod version;
mod width;
pub mod words;

pub use error::{Context, Error, Failure, Result};
pub use events::{cancel_without_reader, end_without_reader, on_hangup, on_user_signal};
pub use exit::Exit;
pub use signals::{cancel_on_signals, cancel_on_signals_but_hangup, end_at_once};
pub use streams::{
    json_stdout, json_stdout_until, print, print_json, print_raw, stdin, stdin_or_terminal, stdout,
    stdout_until,
};

use std::io;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args as _, Command, Parser};

use crate::cancel::Signal;
use crate::error::{Classify, Kind};
use messages::Messages;

/// Runs a command: reads its options, starts its messages, prints its error line and returns its exit status.
///
/// The options `--debug`, `--quiet` and `--log-file` are added to the command's own, see [`command`].
pub fn main<A: Parser, E: Into<Exit>>(run: impl FnOnce(A) -> Result<E>) -> ExitCode {
    start(command::<A>(), Messages::from_matches, run)
}

/// [`main`] without the options for messages, for a command whose `-d` has another meaning.
pub fn main_without_messages<A: Parser, E: Into<Exit>>(run: impl FnOnce(A) -> Result<E>) -> ExitCode {
    start(command_without_messages::<A>(), |_| Messages::default(), run)
}

/// The command line that [`main`] reads. Completions are made from it.
pub fn command<A: Parser>() -> Command {
    let own = A::command();
    let about = own.get_about().cloned().unwrap_or_default();
    // `augment_args` replaces the command's description.
    complete(Messages::augment_args(own).about(about))
}

/// The command line that [`main_without_messages`] reads.
pub fn command_without_messages<A: Parser>() -> Command {
    complete(A::command())
}

/// Adds what is not about the command's work: help and version.
fn complete(command: Command) -> Command {
    with_help(command).version(version::LONG)
}

fn start<A: Parser, E: Into<Exit>>(
    command: Command,
    messages: impl FnOnce(&ArgMatches) -> Messages,
    run: impl FnOnce(A) -> Result<E>,
) -> ExitCode {
    let name = command.get_name().to_owned();
    if !streams::is_writable(io::stdout()) {
        let problem =
            "stdout is open for reading only, so nothing can be printed; redirect it with > instead of <";
        messages::line(&name, problem);
        return status(Kind::Io);
    }
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage(&name, &error),
    };
    if let Err(error) = messages::start(&name, &messages(&matches)) {
        messages::line(&name, &error.to_string());
        return status(error.kind());
    }
    let args = match A::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => return usage(&name, &error),
    };
    messages::catch_panics(&name);
    if !parent::end_with_it() {
        return status(Kind::Signal(Signal::Terminate));
    }
    signals::ignore_user_signal();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(args)));
    signals::take_last_word();
    match ended {
        Ok(Ok(exit)) => match exit.into() {
            Exit::Ok => ExitCode::SUCCESS,
            Exit::No => ExitCode::from(exit::NO),
            Exit::Failed(kind) => status(kind),
        },
        Ok(Err(error)) => {
            let kind = error.kind();
            if kind != Kind::ReaderGone {
                log::error!("{:#}", advice::advised(error));
            }
            status(kind)
        }
        Err(_) => status(Kind::Software),
    }
}

/// Both `-h` and `--help` print the short help, which fits a screen. The man page has the details.
fn with_help(command: Command) -> Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort);
    let command = command.disable_help_flag(true).arg(help.help("Print help"));
    help::shaped(command)
}

fn status(kind: Kind) -> ExitCode {
    ExitCode::from(exit::status(kind))
}

/// Prints help or version if clap was asked for them, otherwise what is wrong with the options, in one line.
fn usage(name: &str, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                messages::line(name, &format!("writing to stdout: {error}"));
                status(Kind::Io)
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
    messages::line(name, &format!("{words}; see {name} --help"));
    status(Kind::Usage)
}
