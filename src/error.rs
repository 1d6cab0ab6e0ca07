//! What happened, in the terms of the exit status.

use crate::cancel::{Cancelled, Signal};

/// What kind of thing went wrong.
///
/// Every error of the library has one, by [`Classify`]. The names are those of sysexits(3); [`crate::cli`] turns a kind into the
/// status of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Wrong options or arguments.
    Usage,
    /// The input is not JSON or not a mapping, or had to be reported in part because of what it says.
    Data,
    /// The input ended before a document was complete.
    NoInput,
    /// The server refused for good: unknown owner, failed job, lost hypervisors.
    Unavailable,
    /// A defect of ours.
    Software,
    /// A file or stdout could not be read or written.
    Io,
    /// It may work later: unreachable, timed out, overloaded.
    TempFail,
    /// The server's answer makes no sense.
    Protocol,
    /// Credentials refused, or a certificate that is not trusted.
    NoPerm,
    /// The configuration is missing, unreadable or contradictory.
    Config,
    /// A signal asked the command to end.
    Signal(Signal),
    /// The reader of stdout went away; for a source or a filter that is no failure.
    ReaderGone,
}

/// An error of ours, which has a kind.
///
/// [`crate::cli::Error`] takes no other: an error whose kind was forgotten does not compile.
pub trait Classify: std::error::Error + Send + Sync + 'static {
    /// The kind of this failure.
    fn kind(&self) -> Kind;

    /// The error with its causes, in one line.
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
    /// The kind of a file or stream that could not be read or written.
    pub fn of_output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Kind::ReaderGone,
            _ => Kind::Io,
        }
    }
}
