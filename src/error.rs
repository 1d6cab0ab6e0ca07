//! The kinds of failures, which decide the exit status.

use crate::cancel::{Cancelled, Signal};

/// The kind of a failure.
///
/// Every error of the library has one, through [`Classify`]. The names are those of sysexits(3); [`crate::cli`] turns a kind
/// into an exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Invalid options or arguments.
    Usage,
    /// The input is not JSON or not a mapping, or part of it could not be reported.
    Data,
    /// The input ended before a document was complete.
    NoInput,
    /// The server refused permanently: unknown owner, failed job, lost hypervisors.
    Unavailable,
    /// A defect in this program.
    Software,
    /// A file or stdout could not be read or written.
    Io,
    /// The server is unreachable, timed out or is overloaded; a later attempt may succeed.
    TempFail,
    /// The server's answer is invalid.
    Protocol,
    /// The credentials are refused, or the server's certificate is not trusted.
    NoPerm,
    /// The configuration is missing, unreadable or contradictory.
    Config,
    /// A signal ended the command.
    Signal(Signal),
    /// The reader of stdout is gone. For a source or filter this is not a failure.
    ReaderGone,
}

/// An error that has a kind.
///
/// [`crate::cli::Error`] is made from these errors only, so a command that returns an error without a kind does not compile.
pub trait Classify: std::error::Error + Send + Sync + 'static {
    /// The kind of this failure.
    fn kind(&self) -> Kind;

    /// The error followed by its causes, separated by colons.
    fn with_causes(&self) -> String
    where
        Self: Sized,
    {
        let first: &dyn std::error::Error = self;
        let all = std::iter::successors(Some(first), |error| error.source());
        all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

impl Classify for Cancelled {
    fn kind(&self) -> Kind {
        match self.0 {
            Signal::Pipe => Kind::ReaderGone,
            signal => Kind::Signal(signal),
        }
    }
}

impl Kind {
    /// The kind of failure that another of our commands, or one like them, tells by its exit status; none for 0.
    ///
    /// An unknown status counts as a defect, except for the shell's: a command that can't be run is a matter of configuration.
    pub fn of_status(status: u8) -> Option<Self> {
        Some(match status {
            0 => return None,
            64 => Kind::Usage,
            65 => Kind::Data,
            66 => Kind::NoInput,
            69 => Kind::Unavailable,
            74 => Kind::Io,
            75 => Kind::TempFail,
            76 => Kind::Protocol,
            77 => Kind::NoPerm,
            78 | 126 | 127 => Kind::Config,
            129 => Kind::Signal(Signal::Hangup),
            130 => Kind::Signal(Signal::Interrupt),
            131 => Kind::Signal(Signal::Quit),
            143 => Kind::Signal(Signal::Terminate),
            _ => Kind::Software,
        })
    }

    /// The kind of an error from writing to a file or stream.
    pub fn of_output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Kind::ReaderGone,
            _ => Kind::Io,
        }
    }
}
