//! The exit status.

use crate::cancel::Signal;
use crate::error::Kind;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything succeeded.
    Ok,
    /// It failed, and has already reported the failure.
    Failed(Kind),
}

impl From<()> for Exit {
    fn from((): ()) -> Self {
        Exit::Ok
    }
}

/// The exit status for a kind of failure, as in sysexits(3) and in the shell.
pub(super) fn status(kind: Kind) -> u8 {
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
