//! Why a program did not do its work.

use std::io;
use std::time::Duration;

use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be started.
    #[error("starting {program}")]
    Start {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// Its streams can't be read or written.
    #[error("running {program}")]
    Stream {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// It did not end in time.
    #[error("{program} did not end within {} s", limit.as_secs_f64().ceil())]
    Late {
        /// Its name.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// It printed more than the limit.
    #[error("{program} printed more than {limit} bytes")]
    TooLarge {
        /// Its name.
        program: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// It wants to read from or write to the terminal, which belongs to us. The system has stopped it.
    #[error("{program} wants to ask something on the terminal, which it must not")]
    WantsTerminal {
        /// Its name.
        program: String,
    },
    /// A signal came while it ran.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Start { .. } | Error::WantsTerminal { .. } => Kind::Config,
            Error::Stream { .. } => Kind::Io,
            Error::Late { .. } => Kind::TempFail,
            Error::TooLarge { .. } => Kind::Protocol,
            Error::Cancelled(cancelled) => cancelled.kind(),
        }
    }
}
